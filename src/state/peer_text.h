/* SPDX-License-Identifier: Apache-2.0
 *
 * One peer of discovery.json from and to text without JSON values in between: with 10,000 peers they are most of the
 * time between a datagram and a route. Only the plain form is known here, which is the one that we write; for all else,
 * and for everything broken, the caller goes the long way through jansson.
 */
#ifndef STATE_PEER_TEXT_H
#define STATE_PEER_TEXT_H

#include "state/discovery.h"

/**
 * peer_from_text() - Parse an object of known keys, plain strings, whole numbers and arrays of strings
 *
 * Return: true: @ret is what peer_from_json() would make of it (subnets allocated); false: go the long way
 */
bool peer_from_text(const char *s, size_t len, struct peer *ret);

/** peer_to_text() - Append what json_print() with JSON_COMPACT would. Return: false: nothing appended, go the long way
 */
bool peer_to_text(struct buf *b, const struct peer *p);

/** prefixes_tidy() - Sort, drop repetitions. Return: how many are left */
size_t prefixes_tidy(struct prefix *p, size_t n);

/** groups_tidy() - The same of groups: what goes over no overlay is dropped too, see overlay_group_valid() */
size_t groups_tidy(struct prefix *p, size_t n);

/** mapped_valid() - Clear host bits. Return: are both prefixes of one family and length, and not everything? */
bool mapped_valid(struct mapped *m);

/** mapped_tidy() - Sort by subnet, drop repetitions of a subnet. Return: how many are left */
size_t mapped_tidy(struct mapped *m, size_t n);

/** host_id_valid() - HOST_ID_LEN lower-case hex digits */
bool host_id_valid(const char *s);

#endif
