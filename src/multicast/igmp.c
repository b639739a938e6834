/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of IGMP. Every length is checked before what it covers is read.
 */
#include "multicast/igmp.h"

#define TYPE_QUERY     0x11
#define TYPE_V1_REPORT 0x12
#define TYPE_V2_REPORT 0x16
#define TYPE_LEAVE     0x17
#define TYPE_V3_REPORT 0x22

#define IPV4_BYTES     20
#define PROTOCOL_IGMP  2
#define OPTION_ALERT   0x94
#define MESSAGE_BYTES  8
#define V3_QUERY_BYTES 12
#define TENTH_US       (USEC_PER_SEC / 10)
#define V1_RESPONSE_US (10 * USEC_PER_SEC)
#define FLAG_SUPPRESS  8
#define ROBUSTNESS_MAX 7
#define TOS_CONTROL    0xc0
#define FRAGMENT_MASK  0x3fff /* more to come, or offset */

const char *const igmp_bad_names[IGMP_BAD_N_] = {
	"ok",		"other type",	   "broken IPv4 header", "wrong length",      "wrong checksum",
	"TTL is not 1", "no router alert", "wrong source",	 "wrong destination", "wrong group",
};

/* Is there a router alert among the options? */
static bool has_alert(const uint8_t *options, size_t len)
{
	for (size_t at = 0; at < len && options[at];) {
		if (options[at] == 1) {
			at++;
			continue;
		}
		if (options[at] == OPTION_ALERT)
			return true;
		if (len - at < 2 || options[at + 1] < 2)
			return false;
		at += options[at + 1];
	}
	return false;
}

static bool is_group(const struct ip *ip, const char last[static 4])
{
	return !memcmp(ip->b, last, 4);
}

static enum igmp_bad query_parse(const uint8_t *p, size_t len, const struct ip *to, bool alert, struct gmp_message *ret)
{
	ret->kind = GMP_QUERY;
	ret->group = ip_from_bytes(AF_INET, p + 4);
	if (ip_is_unspecified(&ret->group))
		ret->group = (struct ip){0};
	else if (!ip_is_multicast(&ret->group))
		return IGMP_BAD_GROUP;
	if (len == MESSAGE_BYTES) {
		ret->version = p[1] ? 2 : 1;
		ret->max_response_us = p[1] ? p[1] * TENTH_US : V1_RESPONSE_US;
	} else if (len < V3_QUERY_BYTES) {
		return IGMP_BAD_LENGTH; /* RFC 3376 section 7.1: must be ignored */
	} else {
		ret->version = 3;
		ret->max_response_us = gmp_float8(p[1]) * TENTH_US;
		ret->suppress = p[8] & FLAG_SUPPRESS;
		ret->robustness = p[8] & 7;
		ret->interval_us = gmp_float8(p[9]) * USEC_PER_SEC;
		ret->count = gmp_get16(p + 10);
		if (ret->count > (len - V3_QUERY_BYTES) / 4)
			return IGMP_BAD_LENGTH;
		if (ret->count && ip_is_none(&ret->group))
			return IGMP_BAD_GROUP;
		ret->data = p + V3_QUERY_BYTES;
		ret->len = ret->count * 4;
		if (!alert)
			return IGMP_BAD_ALERT;
	}
	/* a general query to all systems, section 9.1: what comes to a group only is for attackers */
	if (ip_is_none(&ret->group) ? !is_group(to, "\xe0\0\0\1")
				    : !is_group(to, "\xe0\0\0\1") && ip_cmp(to, &ret->group))
		return IGMP_BAD_TARGET;
	return IGMP_OK;
}

static enum igmp_bad report_parse(const uint8_t *p, size_t len, const struct ip *to, bool alert,
				  struct gmp_message *ret)
{
	ret->kind = GMP_REPORT;
	if (p[0] != TYPE_V3_REPORT) {
		ret->single = true;
		ret->group = ip_from_bytes(AF_INET, p + 4);
		ret->version = p[0] == TYPE_V1_REPORT ? 1 : 2;
		ret->single_type = p[0] == TYPE_LEAVE ? GMP_TO_INCLUDE : GMP_IS_EXCLUDE;
		ret->count = 1;
		if (!ip_is_multicast(&ret->group))
			return IGMP_BAD_GROUP;
		/* a leave goes to all routers or, by old hosts, to the group */
		if (ip_cmp(to, &ret->group) && !(p[0] == TYPE_LEAVE && is_group(to, "\xe0\0\0\2")))
			return IGMP_BAD_TARGET;
		return IGMP_OK;
	}
	ret->version = 3;
	ret->count = gmp_get16(p + 6);
	ret->data = p + MESSAGE_BYTES;
	if (gmp_records_check(AF_INET, ret->data, len - MESSAGE_BYTES, ret->count, &ret->len))
		return IGMP_BAD_LENGTH;
	if (!is_group(to, "\xe0\0\0\x16"))
		return IGMP_BAD_TARGET;
	return alert ? IGMP_OK : IGMP_BAD_ALERT;
}

enum igmp_bad igmp_parse(const uint8_t *packet, size_t len, struct gmp_message *ret)
{
	struct gmp_message m = {.family = AF_INET};
	struct ip to;
	size_t head, total;
	enum igmp_bad bad;

	if (len < IPV4_BYTES || packet[0] >> 4 != 4)
		return IGMP_BAD_IP;
	head = (size_t)(packet[0] & 15) * 4;
	total = gmp_get16(packet + 2);
	if (head < IPV4_BYTES || total < head || total > len || packet[9] != PROTOCOL_IGMP ||
	    gmp_get16(packet + 6) & FRAGMENT_MASK)
		return IGMP_BAD_IP;
	const uint8_t *p = packet + head;
	len = total - head;
	if (len < MESSAGE_BYTES)
		return IGMP_BAD_LENGTH;
	if (gmp_checksum(0, p, len))
		return IGMP_BAD_CHECKSUM;
	switch (p[0]) {
	case TYPE_QUERY:
	case TYPE_V1_REPORT:
	case TYPE_V2_REPORT:
	case TYPE_LEAVE:
	case TYPE_V3_REPORT:
		break;
	default:
		return IGMP_OTHER;
	}
	if (packet[8] != 1)
		return IGMP_BAD_TTL;
	m.from = ip_from_bytes(AF_INET, packet + 12);
	to = ip_from_bytes(AF_INET, packet + 16);
	if (!ip_is_unspecified(&m.from) && !gmp_is_source(&m.from))
		return IGMP_BAD_SOURCE;
	bool alert = has_alert(packet + IPV4_BYTES, head - IPV4_BYTES);
	bad = p[0] == TYPE_QUERY ? query_parse(p, len, &to, alert, &m) : report_parse(p, len, &to, alert, &m);
	if (bad == IGMP_OK)
		*ret = m;
	return bad;
}

/* --- out --- */

/* The header around @len bytes that stand behind it already */
static size_t finish(const struct ip *from, const uint8_t to[static 4], uint8_t *out, size_t len)
{
	uint8_t *p = out + IGMP_HEADER_BYTES;

	gmp_set16(p + 2, 0);
	gmp_set16(p + 2, gmp_checksum(0, p, len));
	memset(out, 0, IGMP_HEADER_BYTES);
	out[0] = 0x40 | IGMP_HEADER_BYTES / 4;
	out[1] = TOS_CONTROL;
	gmp_set16(out + 2, IGMP_HEADER_BYTES + len);
	out[6] = 0x40; /* do not fragment */
	out[8] = 1;
	out[9] = PROTOCOL_IGMP;
	memcpy(out + 12, from->b, 4);
	memcpy(out + 16, to, 4);
	out[20] = OPTION_ALERT;
	out[21] = 4;
	gmp_set16(out + 10, gmp_checksum(0, out, IGMP_HEADER_BYTES));
	return IGMP_HEADER_BYTES + len;
}

size_t igmp_query_build(const struct ip *from, const struct gmp_query *q, uint8_t out[static GMP_PACKET])
{
	static const uint8_t all_systems[4] = {224, 0, 0, 1};
	uint8_t *p = out + IGMP_HEADER_BYTES;
	size_t n = q->n_sources > GMP_SOURCES ? GMP_SOURCES : q->n_sources, len = MESSAGE_BYTES;
	int64_t tenths = q->max_response_us / TENTH_US, seconds = q->interval_us / USEC_PER_SEC;

	memset(p, 0, V3_QUERY_BYTES);
	p[0] = TYPE_QUERY;
	if (q->group.family)
		memcpy(p + 4, q->group.b, 4);
	tenths = tenths < 1 ? 1 : tenths > 31744 ? 31744 : tenths;
	if (q->version == 2)
		p[1] = (uint8_t)(tenths > 255 ? 255 : tenths);
	if (q->version >= 3) {
		p[1] = gmp_float8_code((uint32_t)tenths);
		p[8] = (uint8_t)((q->suppress ? FLAG_SUPPRESS : 0) |
				 (q->robustness > ROBUSTNESS_MAX ? 0 : q->robustness));
		p[9] = gmp_float8_code((uint32_t)(seconds < 1 ? 1 : seconds > 31744 ? 31744 : seconds));
		gmp_set16(p + 10, n);
		for (size_t i = 0; i < n; i++)
			memcpy(p + V3_QUERY_BYTES + i * 4, q->sources[i].b, 4);
		len = V3_QUERY_BYTES + n * 4;
	}
	return finish(from, q->group.family ? q->group.b : all_systems, out, len);
}

size_t igmp_report_build(const struct ip *from, const struct gmp_record *records, size_t n,
			 uint8_t out[static GMP_PACKET], size_t *ret_n)
{
	static const uint8_t all_v3_routers[4] = {224, 0, 0, 22};
	uint8_t *p = out + IGMP_HEADER_BYTES;
	size_t len = gmp_records_put(AF_INET, records, n, p + MESSAGE_BYTES,
				     GMP_PACKET - IGMP_HEADER_BYTES - MESSAGE_BYTES, ret_n);

	if (!*ret_n)
		return 0;
	memset(p, 0, MESSAGE_BYTES);
	p[0] = TYPE_V3_REPORT;
	gmp_set16(p + 6, *ret_n);
	return finish(from, all_v3_routers, out, MESSAGE_BYTES + len);
}

size_t igmp_v2_build(const struct ip *from, const struct ip *group, bool leave, uint8_t out[static GMP_PACKET])
{
	static const uint8_t all_routers[4] = {224, 0, 0, 2};
	uint8_t *p = out + IGMP_HEADER_BYTES;

	memset(p, 0, MESSAGE_BYTES);
	p[0] = leave ? TYPE_LEAVE : TYPE_V2_REPORT;
	memcpy(p + 4, group->b, 4);
	return finish(from, leave ? all_routers : group->b, out, MESSAGE_BYTES);
}

struct ip igmp_target(const uint8_t *packet)
{
	return ip_from_bytes(AF_INET, packet + 16);
}
