/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts that IGMP and MLD have in common.
 */
#include "multicast/gmp.h"

/* a record: type, length of auxiliary data in words, number of sources, group, sources, auxiliary data */
#define RECORD_HEAD 4

static size_t record_bytes(const uint8_t *p, size_t address)
{
	return RECORD_HEAD + address + gmp_get16(p + 2) * address + (size_t)p[1] * 4;
}

int gmp_records_check(uint8_t family, const uint8_t *data, size_t len, size_t count, size_t *ret_len)
{
	size_t address = ip_size(family), at = 0;

	if (count > GMP_RECORDS)
		return -EBADMSG;
	for (; count; count--) {
		if (len - at < RECORD_HEAD + address || len - at < record_bytes(data + at, address))
			return -EBADMSG;
		at += record_bytes(data + at, address);
	}
	*ret_len = at; /* more behind the last is to be ignored, RFC 3376 section 4.2.11 */
	return 0;
}

bool gmp_record_next(const struct gmp_message *m, size_t *at, struct gmp_record *ret)
{
	size_t address = ip_size(m->family);

	if (m->kind != GMP_REPORT)
		return false;
	if (m->single) {
		if (*at)
			return false;
		*at = 1;
		*ret = (struct gmp_record){.type = m->single_type, .group = m->group};
		return true;
	}
	while (*at < m->len && m->len - *at >= RECORD_HEAD + address) {
		const uint8_t *p = m->data + *at;

		*at += record_bytes(p, address);
		if (p[0] < GMP_IS_INCLUDE || p[0] > GMP_BLOCK)
			continue; /* types yet to come are to be ignored */
		*ret = (struct gmp_record){.type = (enum gmp_record_type)p[0],
					   .group = ip_from_bytes(m->family, p + RECORD_HEAD),
					   .sources = p + RECORD_HEAD + address,
					   .n_sources = gmp_get16(p + 2)};
		return true;
	}
	return false;
}

struct ip gmp_source(uint8_t family, const uint8_t *sources, size_t n)
{
	return ip_from_bytes(family, sources + n * ip_size(family));
}

size_t gmp_records_put(uint8_t family, const struct gmp_record *records, size_t n, uint8_t *out, size_t size,
		       size_t *ret_n)
{
	size_t address = ip_size(family), at = 0, i;

	for (i = 0; i < n; i++) {
		const struct gmp_record *r = &records[i];
		size_t sources = r->n_sources > GMP_SOURCES ? GMP_SOURCES : r->n_sources;
		size_t bytes = RECORD_HEAD + address + sources * address;

		if (size - at < bytes)
			break;
		out[at] = (uint8_t)r->type;
		out[at + 1] = 0;
		gmp_set16(out + at + 2, sources);
		memcpy(out + at + RECORD_HEAD, r->group.b, address);
		if (sources)
			memcpy(out + at + RECORD_HEAD + address, r->sources, sources * address);
		at += bytes;
	}
	*ret_n = i;
	return at;
}

/* --- which addresses --- */

const char *gmp_group_refused(const struct ip *g)
{
	if (!ip_is_multicast(g))
		return "not a multicast address";
	if (g->family == AF_INET)
		return g->b[0] == 224 && !g->b[1] && !g->b[2] ? "224.0.0.0/24 stays on its link" : NULL;
	/* RFC 3810 section 6: none is ever sent for these */
	if ((g->b[1] & 15) < 2)
		return "the scope is the host itself";
	if ((g->b[1] & 15) == 2 && !memcmp(g->b + 2, "\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 14))
		return "all nodes hear ff02::1 anyway";
	return NULL;
}

bool gmp_group_is_local(const struct ip *g)
{
	if (g->family == AF_INET)
		return g->b[0] == 224 && !g->b[1] && !g->b[2];
	return (g->b[1] & 15) <= 2;
}

bool gmp_is_source(const struct ip *ip)
{
	if (ip_is_none(ip) || ip_is_multicast(ip) || ip_is_unspecified(ip) || ip_is_loopback(ip))
		return false;
	return ip->family != AF_INET || (ip->b[0] != 0 && ip->b[0] < 240);
}

/* --- numbers --- */

uint32_t gmp_sum(uint32_t sum, const uint8_t *data, size_t len)
{
	size_t i;

	/* 65,535 bytes of 0xff do not overflow 32 bits */
	for (i = 0; i + 1 < len; i += 2)
		sum += gmp_get16(data + i);
	if (i < len)
		sum += (uint32_t)data[i] << 8;
	return sum;
}

uint16_t gmp_checksum(uint32_t sum, const uint8_t *data, size_t len)
{
	sum = gmp_sum(sum, data, len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t gmp_float8(uint8_t code)
{
	if (code < 128)
		return code;
	return (uint32_t)((code & 15) | 16) << (((code >> 4) & 7) + 3);
}

uint8_t gmp_float8_code(uint32_t value)
{
	if (value < 128)
		return (uint8_t)value;
	for (uint32_t exponent = 0; exponent < 8; exponent++)
		if (value >> (exponent + 3) < 32)
			return (uint8_t)(0x80 | exponent << 4 | ((value >> (exponent + 3)) & 15));
	return 0xff;
}
