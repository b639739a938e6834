/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of MLD. Every length is checked before what it covers is read.
 */
#include "multicast/mld.h"

#define TYPE_QUERY     130
#define TYPE_V1_REPORT 131
#define TYPE_DONE      132
#define TYPE_V2_REPORT 143

#define IPV6_BYTES     40
#define NEXT_OPTIONS   0
#define NEXT_ICMPV6    58
#define OPTION_PAD1    0
#define OPTION_ALERT   5
#define MESSAGE_BYTES  24
#define V2_QUERY_BYTES 28
#define V2_REPORT_HEAD 8
#define FLAG_SUPPRESS  8
#define ROBUSTNESS_MAX 7
#define RESPONSE_MAX   ((0x1fff) << 10) /* milliseconds that a code can say */

const char *const mld_bad_names[MLD_BAD_N_] = {
	"ok",
	"other type",
	"broken IPv6 header",
	"wrong length",
	"wrong checksum",
	"hop limit is not 1",
	"no router alert",
	"wrong source",
	"wrong destination",
	"wrong group",
};

static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
static const uint8_t all_routers[16] = {0xff, 2, [15] = 2};
static const uint8_t all_v2_routers[16] = {0xff, 2, [15] = 0x16};

/* RFC 3810 section 5.1.3 */
static int64_t float16(unsigned code)
{
	if (code < 32768)
		return code;
	return (int64_t)((code & 0xfff) | 0x1000) << (((code >> 12) & 7) + 3);
}

static unsigned float16_code(int64_t value)
{
	if (value < 32768)
		return (unsigned)(value < 1 ? 1 : value);
	for (unsigned exponent = 0; exponent < 8; exponent++)
		if (value >> (exponent + 3) < 0x2000)
			return 0x8000 | exponent << 12 | (unsigned)((value >> (exponent + 3)) & 0xfff);
	return 0xffff;
}

static bool is(const struct ip *ip, const uint8_t bytes[static 16])
{
	return !memcmp(ip->b, bytes, 16);
}

static enum mld_bad query_parse(const struct mld_envelope *e, const uint8_t *p, size_t len, struct gmp_message *ret)
{
	ret->kind = GMP_QUERY;
	ret->group = ip_from_bytes(AF_INET6, p + 8);
	if (ip_is_unspecified(&ret->group))
		ret->group = (struct ip){0};
	else if (!ip_is_multicast(&ret->group))
		return MLD_BAD_GROUP;
	if (len == MESSAGE_BYTES) {
		ret->version = 1;
		ret->max_response_us = gmp_get16(p + 4) * USEC_PER_MSEC;
	} else if (len < V2_QUERY_BYTES) {
		return MLD_BAD_LENGTH; /* RFC 3810 section 8.1: must be ignored */
	} else {
		ret->version = 2;
		ret->max_response_us = float16(gmp_get16(p + 4)) * USEC_PER_MSEC;
		ret->suppress = p[24] & FLAG_SUPPRESS;
		ret->robustness = p[24] & 7;
		ret->interval_us = gmp_float8(p[25]) * USEC_PER_SEC;
		ret->count = gmp_get16(p + 26);
		if (ret->count > (len - V2_QUERY_BYTES) / 16)
			return MLD_BAD_LENGTH;
		if (ret->count && ip_is_none(&ret->group))
			return MLD_BAD_GROUP;
		ret->data = p + V2_QUERY_BYTES;
		ret->len = ret->count * 16;
	}
	if (ip_is_none(&ret->group) ? !is(&e->to, all_nodes) : !is(&e->to, all_nodes) && ip_cmp(&e->to, &ret->group))
		return MLD_BAD_TARGET;
	return MLD_OK;
}

static enum mld_bad report_parse(const struct mld_envelope *e, const uint8_t *p, size_t len, struct gmp_message *ret)
{
	ret->kind = GMP_REPORT;
	if (p[0] != TYPE_V2_REPORT) {
		if (len < MESSAGE_BYTES)
			return MLD_BAD_LENGTH;
		ret->version = 1;
		ret->single = true;
		ret->single_type = p[0] == TYPE_DONE ? GMP_TO_INCLUDE : GMP_IS_EXCLUDE;
		ret->group = ip_from_bytes(AF_INET6, p + 8);
		ret->count = 1;
		if (!ip_is_multicast(&ret->group))
			return MLD_BAD_GROUP;
		if (ip_cmp(&e->to, &ret->group) && !(p[0] == TYPE_DONE && is(&e->to, all_routers)))
			return MLD_BAD_TARGET;
		return MLD_OK;
	}
	ret->version = 2;
	ret->count = gmp_get16(p + 6);
	ret->data = p + V2_REPORT_HEAD;
	if (gmp_records_check(AF_INET6, ret->data, len - V2_REPORT_HEAD, ret->count, &ret->len))
		return MLD_BAD_LENGTH;
	return is(&e->to, all_v2_routers) ? MLD_OK : MLD_BAD_TARGET;
}

enum mld_bad mld_message_parse(const struct mld_envelope *e, const uint8_t *p, size_t len, struct gmp_message *ret)
{
	struct gmp_message m = {.family = AF_INET6, .from = e->from};
	enum mld_bad bad;

	if (len < V2_REPORT_HEAD)
		return MLD_BAD_LENGTH;
	if (p[0] != TYPE_QUERY && p[0] != TYPE_V1_REPORT && p[0] != TYPE_DONE && p[0] != TYPE_V2_REPORT)
		return MLD_OTHER;
	if (e->from.family != AF_INET6 || !ip_is_link_local(&e->from))
		return MLD_BAD_SOURCE;
	if (e->hops != 1)
		return MLD_BAD_HOPS;
	if (!e->alert)
		return MLD_BAD_ALERT;
	if (p[0] == TYPE_QUERY && len < MESSAGE_BYTES)
		return MLD_BAD_LENGTH;
	bad = p[0] == TYPE_QUERY ? query_parse(e, p, len, &m) : report_parse(e, p, len, &m);
	if (bad == MLD_OK)
		*ret = m;
	return bad;
}

/* Is there a router alert in the hop-by-hop options @p, which are @len bytes? */
static bool has_alert(const uint8_t *p, size_t len)
{
	for (size_t at = 2; at < len;) {
		if (p[at] == OPTION_PAD1) {
			at++;
			continue;
		}
		if (len - at < 2 || len - at - 2 < p[at + 1])
			return false;
		if (p[at] == OPTION_ALERT && p[at + 1] == 2)
			return true;
		at += 2u + p[at + 1];
	}
	return false;
}

/* RFC 8200 section 8.1 */
static uint16_t checksum(const uint8_t *addresses, const uint8_t *p, size_t len)
{
	return gmp_checksum(gmp_sum((uint32_t)len + NEXT_ICMPV6, addresses, 32), p, len);
}

enum mld_bad mld_parse(const uint8_t *packet, size_t len, struct gmp_message *ret)
{
	struct mld_envelope e;
	size_t total, head = IPV6_BYTES;
	uint8_t next;

	if (len < IPV6_BYTES || packet[0] >> 4 != 6)
		return MLD_BAD_IP;
	total = IPV6_BYTES + gmp_get16(packet + 4);
	if (total > len)
		return MLD_BAD_IP;
	e = (struct mld_envelope){.from = ip_from_bytes(AF_INET6, packet + 8),
				  .to = ip_from_bytes(AF_INET6, packet + 24),
				  .hops = packet[7]};
	next = packet[6];
	if (next == NEXT_OPTIONS) {
		size_t options;

		if (total - head < 8)
			return MLD_BAD_IP;
		options = ((size_t)packet[head + 1] + 1) * 8;
		if (options > total - head)
			return MLD_BAD_IP;
		e.alert = has_alert(packet + head, options);
		next = packet[head];
		head += options;
	}
	if (next != NEXT_ICMPV6)
		return MLD_BAD_IP;
	if (checksum(packet + 8, packet + head, total - head))
		return MLD_BAD_CHECKSUM;
	return mld_message_parse(&e, packet + head, total - head, ret);
}

/* --- out --- */

/* The headers around @len bytes that stand behind them already */
static size_t finish(const struct ip *from, const uint8_t to[static 16], uint8_t *out, size_t len)
{
	/* next header, length 0 (8 bytes), router alert: MLD, padding of two */
	static const uint8_t options[8] = {NEXT_ICMPV6, 0, OPTION_ALERT, 2, 0, 0, 1, 0};
	uint8_t *p = out + MLD_HEADER_BYTES;

	memset(out, 0, IPV6_BYTES);
	out[0] = 0x60;
	gmp_set16(out + 4, sizeof(options) + len);
	out[6] = NEXT_OPTIONS;
	out[7] = 1;
	memcpy(out + 8, from->b, 16);
	memcpy(out + 24, to, 16);
	memcpy(out + IPV6_BYTES, options, sizeof(options));
	gmp_set16(p + 2, 0);
	gmp_set16(p + 2, checksum(out + 8, p, len));
	return MLD_HEADER_BYTES + len;
}

size_t mld_query_build(const struct ip *from, const struct gmp_query *q, uint8_t out[static GMP_PACKET])
{
	uint8_t *p = out + MLD_HEADER_BYTES;
	size_t n = q->n_sources > GMP_SOURCES ? GMP_SOURCES : q->n_sources, len = MESSAGE_BYTES;
	int64_t ms = q->max_response_us / USEC_PER_MSEC, seconds = q->interval_us / USEC_PER_SEC;

	memset(p, 0, V2_QUERY_BYTES);
	p[0] = TYPE_QUERY;
	if (q->group.family)
		memcpy(p + 8, q->group.b, 16);
	gmp_set16(p + 4, (size_t)(ms < 1 ? 1 : ms > 65535 ? 65535 : ms));
	if (q->version >= 2) {
		gmp_set16(p + 4, float16_code(ms > RESPONSE_MAX ? RESPONSE_MAX : ms));
		p[24] = (uint8_t)((q->suppress ? FLAG_SUPPRESS : 0) |
				  (q->robustness > ROBUSTNESS_MAX ? 0 : q->robustness));
		p[25] = gmp_float8_code((uint32_t)(seconds < 1 ? 1 : seconds > 31744 ? 31744 : seconds));
		gmp_set16(p + 26, n);
		for (size_t i = 0; i < n; i++)
			memcpy(p + V2_QUERY_BYTES + i * 16, q->sources[i].b, 16);
		len = V2_QUERY_BYTES + n * 16;
	}
	return finish(from, q->group.family ? q->group.b : all_nodes, out, len);
}

size_t mld_report_build(const struct ip *from, const struct gmp_record *records, size_t n,
			uint8_t out[static GMP_PACKET], size_t *ret_n)
{
	uint8_t *p = out + MLD_HEADER_BYTES;
	size_t len = gmp_records_put(AF_INET6, records, n, p + V2_REPORT_HEAD,
				     GMP_PACKET - MLD_HEADER_BYTES - V2_REPORT_HEAD, ret_n);

	if (!*ret_n)
		return 0;
	memset(p, 0, V2_REPORT_HEAD);
	p[0] = TYPE_V2_REPORT;
	gmp_set16(p + 6, *ret_n);
	return finish(from, all_v2_routers, out, V2_REPORT_HEAD + len);
}

size_t mld_v1_build(const struct ip *from, const struct ip *group, bool done, uint8_t out[static GMP_PACKET])
{
	uint8_t *p = out + MLD_HEADER_BYTES;

	memset(p, 0, MESSAGE_BYTES);
	p[0] = done ? TYPE_DONE : TYPE_V1_REPORT;
	memcpy(p + 8, group->b, 16);
	return finish(from, done ? all_routers : group->b, out, MESSAGE_BYTES);
}

struct ip mld_target(const uint8_t *packet)
{
	return ip_from_bytes(AF_INET6, packet + 24);
}
