/* SPDX-License-Identifier: Apache-2.0
 *
 * What IGMP and MLD say, in one shape: a query, or records that tell which sources of a group a host wants. igmp.h and
 * mld.h parse into it and build from it; older versions' reports and leaves are turned into records of the newest
 * (RFC 3376 section 7.3.2, RFC 3810 section 8.3.2).
 */
#ifndef MULTICAST_GMP_H
#define MULTICAST_GMP_H

#include "base/addr.h"
#include "base/clock.h"

#define GMP_SOURCES 64	 /* of one record or query that are looked at, and of one group that are kept */
#define GMP_RECORDS 512	 /* of one report that are looked at */
#define GMP_PACKET  1400 /* bytes of a packet that is built */

enum gmp_kind { GMP_QUERY, GMP_REPORT, GMP_KIND_N_ };

/* the numbers are those on the wire */
enum gmp_record_type {
	GMP_IS_INCLUDE = 1,
	GMP_IS_EXCLUDE = 2,
	GMP_TO_INCLUDE = 3,
	GMP_TO_EXCLUDE = 4,
	GMP_ALLOW = 5,
	GMP_BLOCK = 6,
};

/** struct gmp_message - One valid message; borrows the packet that it was parsed from */
struct gmp_message {
	enum gmp_kind kind;
	uint8_t family;
	uint8_t version; /* of IGMP: 1, 2, 3; of MLD: 1, 2 */
	struct ip from;

	/* a query */
	struct ip group;	 /* none: a general query */
	int64_t max_response_us; /* until the last host has answered */
	int64_t interval_us;	 /* the querier's, 0: not told */
	uint8_t robustness;	 /* the querier's, 0: not told */
	bool suppress;		 /* do not lower timers */

	/* the query's sources, or a report's records */
	const uint8_t *data;
	size_t len;
	size_t count;

	/* an older version's report: this one record */
	bool single;
	enum gmp_record_type single_type;
};

/** struct gmp_record - One group of a report; or what is to be built */
struct gmp_record {
	enum gmp_record_type type;
	struct ip group;
	const uint8_t *sources; /* addresses of the group's family, one behind the other */
	size_t n_sources;
};

/**
 * gmp_record_next() - Walk through a report; begin with *at == 0
 *
 * Groups that no host can ask for (no multicast address, 224.0.0.0/24, ff00::/16, ff01::/16, ff02::1) come as well:
 * see gmp_group_refused(). Return: false behind the last
 */
bool gmp_record_next(const struct gmp_message *m, size_t *at, struct gmp_record *ret);
/** gmp_source() - The n-th of sources as in struct gmp_record or gmp_message.data of a query */
struct ip gmp_source(uint8_t family, const uint8_t *sources, size_t n);

/** gmp_group_refused() - Why a group is none to report, in words; NULL: it is one */
const char *gmp_group_refused(const struct ip *group);
/** gmp_group_is_local() - Never routed: 224.0.0.0/24, or an IPv6 scope of the link or narrower */
bool gmp_group_is_local(const struct ip *group);
/** gmp_is_source() - Can this be the source of a packet to a group? */
bool gmp_is_source(const struct ip *ip);

/* --- for igmp.c and mld.c --- */

static inline uint16_t gmp_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void gmp_set16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/** gmp_checksum() - The Internet checksum (RFC 1071) of @data, on top of @sum; 0 when one inside is right */
uint16_t gmp_checksum(uint32_t sum, const uint8_t *data, size_t len);
uint32_t gmp_sum(uint32_t sum, const uint8_t *data, size_t len); /* not yet folded */
/** gmp_float8() - IGMPv3's codes for times, section 4.1.1: from a code, and the nearest code not above @value */
uint32_t gmp_float8(uint8_t code);
uint8_t gmp_float8_code(uint32_t value);
/** gmp_records_check() - The @count records of a report. @ret_len: their bytes. Return: 0 or -EBADMSG */
int gmp_records_check(uint8_t family, const uint8_t *data, size_t len, size_t count, size_t *ret_len) MUST_USE;
/** gmp_records_put() - Records as on the wire, as many as fit. @ret_n: how many. Return: bytes of @out */
size_t gmp_records_put(uint8_t family, const struct gmp_record *records, size_t n, uint8_t *out, size_t size,
		       size_t *ret_n);

/** struct gmp_query - A query to build */
struct gmp_query {
	uint8_t version;
	struct ip group; /* none: general */
	int64_t max_response_us, interval_us;
	uint8_t robustness;
	bool suppress;
	const struct ip *sources; /* of the newest version only */
	size_t n_sources;	  /* the first GMP_SOURCES */
};

#endif
