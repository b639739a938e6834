/* SPDX-License-Identifier: Apache-2.0
 *
 * What the mode dns reads out of DNS messages (RFC 1035, 2308, 2782): the records of one name and type, with the time
 * that they may be kept. A resolver's answer is a stranger's: whatever comes in, nothing is read out of bounds, nothing
 * goes round in circles, and names are those of hosts or there are none.
 *
 * Pure: bytes in, structs out.
 */
#ifndef DISCOVERY_DNS_WIRE_H
#define DISCOVERY_DNS_WIRE_H

#include "base/addr.h"

#define DNS_NAME_BYTES	  256 /* as text, NUL included */
#define DNS_MESSAGE_BYTES 65535

enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_SRV = 33
};

/** struct dns_found - One record */
struct dns_found {
	char target[DNS_NAME_BYTES]; /* SRV: dns_name_valid(), lower case, no dot at the end */
	uint16_t port;		     /* SRV: not 0 */
	struct ip ip;		     /* A, AAAA */
	const uint8_t *text;	     /* TXT: strings, each behind a byte that tells its length; borrowed */
	size_t text_len;
};
typedef void dns_found_fn(void *arg, const struct dns_found *f);

/**
 * dns_message_read() - The records of @name and @type in an answer; CNAMEs within it are followed
 * @name:      lower case, no dot at the end
 * @fn:	       called for each; one that is broken, or names nothing that can be a host, is left out
 * @ret_ttl_s: how long it is true, also that there is nothing; UINT32_MAX: it does not say
 *
 * Return: 0; -ENOENT: there is no such name; -ENODATA: it has no such records; -EACCES: refused; -EAGAIN: the server
 * cannot tell now; -EBADMSG: broken, cut off, or the answer to something else
 */
int dns_message_read(const uint8_t *data, size_t len, const char *name, enum dns_type type, dns_found_fn *fn, void *arg,
		     uint32_t *ret_ttl_s, struct err *err) MUST_USE;

/** dns_name_valid() - Labels of letters, digits, '-' and '_', 1 to 63 bytes, dots between; lower case; not "" */
bool dns_name_valid(const char *s);

#endif
