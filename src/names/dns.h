/* SPDX-License-Identifier: Apache-2.0
 *
 * What is needed of DNS: one question out of a datagram, one set of records into another (RFC 1035, 2308, 6891). Pure;
 * whatever comes in, nothing is read or written out of bounds. What is not understood is for Docker's resolver.
 */
#ifndef NAMES_DNS_H
#define NAMES_DNS_H

#include "base/addr.h"

#define DNS_HEADER_BYTES 12
#define DNS_NAME_BYTES	 256  /* as text, NUL included */
#define DNS_QUERY_BYTES	 4096 /* more than any query has */
#define DNS_REPLY_BYTES	 1232 /* what passes everywhere unfragmented; without EDNS it is 512 */
#define DNS_TTL_S	 5
#define DNS_NEGATIVE_S	 1 /* a name may come at any moment */

enum dns_type {
	DNS_A = 1,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_OPT = 41,
	DNS_ANY = 255,
};
enum dns_rcode { DNS_NOERROR = 0, DNS_FORMERR = 1, DNS_NXDOMAIN = 3, DNS_REFUSED = 5 };

struct dns_query {
	uint16_t id, flags, type;
	char name[DNS_NAME_BYTES]; /* lower case, labels with dots between, none at the end; "" is the root */
	size_t question_end;	   /* offset behind the question */
	size_t size;		   /* bytes that the answer may have */
	bool edns;
};

/**
 * dns_query_parse() - A plain query: one question of class IN, nothing else but an OPT record
 *
 * Return: 0; -EINVAL: a query that is not for us to judge, @ret holds id and flags; -EBADMSG: no query at all
 */
int dns_query_parse(const uint8_t *in, size_t len, struct dns_query *ret) MUST_USE;

/** struct dns_answer - What to say. All is borrowed */
struct dns_answer {
	enum dns_rcode rcode;
	const struct ip *addresses; /* A and AAAA */
	size_t n_addresses;
	size_t first;	    /* of them; then the others in their order, as many as fit */
	const char *target; /* of a PTR; NULL: none */
	const char *zone;   /* a SOA of it in the authority section; NULL: none */
	bool soa;	    /* it is the answer itself */
};

/**
 * dns_answer_build() - Answer @q, which was parsed out of @in
 *
 * Names that are no names of DNS are left out, and so are their records.
 * Return: bytes of @out, at most q->size
 */
size_t dns_answer_build(const uint8_t *in, const struct dns_query *q, const struct dns_answer *a,
			uint8_t out[static DNS_REPLY_BYTES]);
/** dns_error_build() - A header with @rcode for what was no plain query. @in has at least a header */
size_t dns_error_build(const uint8_t *in, enum dns_rcode rcode, uint8_t out[static DNS_HEADER_BYTES]);

/** dns_question_hash() - Of the question, whatever its case; 0: there is none, or it is broken */
uint64_t dns_question_hash(const uint8_t *in, size_t len);

/** dns_reverse_parse() - The address that "2.0.18.172.in-addr.arpa" or "...ip6.arpa" asks for. 0 or -EINVAL */
int dns_reverse_parse(const char *name, struct ip *ret) MUST_USE;

#endif
