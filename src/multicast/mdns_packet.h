/* SPDX-License-Identifier: Apache-2.0
 *
 * A multicast DNS packet, looked through and changed in place: nothing in it moves, since names point at each other
 * (RFC 1035 section 4.1.4, RFC 6762). Pure.
 */
#ifndef MULTICAST_MDNS_PACKET_H
#define MULTICAST_MDNS_PACKET_H

#include "base/addr.h"
#include "state/limits.h"

#define MDNS_BYTES	9000 /* RFC 6762 section 17 */
#define MDNS_RECORDS	512  /* questions and records that are looked at; with more it is no sound packet */
#define MDNS_NAME_BYTES 256
#define MDNS_HEADER	12
#define MDNS_BLANK	0xff00 /* a type of record for private use: nobody knows it (RFC 6895) */

enum mdns_type { MDNS_A = 1, MDNS_PTR = 12, MDNS_AAAA = 28 };

/** struct mdns_item - A question or a record */
struct mdns_item {
	bool question;
	uint16_t type, class;
	size_t type_at;		    /* offset: type, class and, of a record, TTL, length */
	size_t data_at, data_len;   /* of a record */
	char name[MDNS_NAME_BYTES]; /* lower case, dots between labels and none at the end; bytes that are no text are
				       '?' */
};

struct mdns_walk {
	const uint8_t *b;
	size_t len, at, n, questions, records;
};

/** mdns_walk_begin() - Return: 0; -EBADMSG: no header of multicast DNS */
int mdns_walk_begin(struct mdns_walk *w, const uint8_t *b, size_t len) MUST_USE;
/** mdns_walk_next() - Return: 1; 0 behind the last; -EBADMSG: broken */
int mdns_walk_next(struct mdns_walk *w, struct mdns_item *ret) MUST_USE;
/** mdns_walk_name() - The name at @at, as struct mdns_item has it. Return: 0 or -EBADMSG */
int mdns_walk_name(const struct mdns_walk *w, size_t at, char ret[static MDNS_NAME_BYTES]) MUST_USE;

static inline uint16_t mdns_id(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline bool mdns_is_response(const uint8_t *b)
{
	return b[2] & 0x80;
}

/** mdns_ask_all() - Questions that want an answer to their sender alone ask for one to the group instead */
void mdns_ask_all(uint8_t *b, size_t len);
/**
 * mdns_blank() - Take addresses out of a response that was walked through without a fault
 * @hidden: prefixes of addresses that cannot be reached; those of the link and of the host itself always count
 * @ret_left: records that are left
 *
 * Return: how many were taken out: their type becomes MDNS_BLANK, their TTL 0
 */
size_t mdns_blank(uint8_t *b, size_t len, const struct prefix *hidden, size_t n, size_t *ret_left);

/** mdns_service() - "_ipp._tcp" of a name that has such labels, in @ret; false: it has none */
bool mdns_service(const char *name, char ret[static MDNS_NAME_BYTES]);
/**
 * mdns_types_pass() - Does a packet speak of one of these types of service?
 * @types: "_ipp._tcp", lower case; none: everything passes
 *
 * Names of hosts alone pass, and so does the question which types there are.
 */
bool mdns_types_pass(const uint8_t *b, size_t len, const char (*types)[LIMIT_MDNS_TYPE], size_t n);

#endif
