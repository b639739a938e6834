/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: A peer as a TXT record
 *
 *	"docker-router=1" "stack=shop" "vni=1000" "host=32 hex" "name=nas" "ip=192.0.2.1" "port=4789" "seq=17"
 *	"net=10.71.0.0/24,10.72.0.0/24" "map=172.18.0.0/16>241.7.0.0/16" "avoid=172.17.0.0/16" "uplink=..." "epoch=3"
 *	"wg=KEY,51820,1a2b3c4d"
 *
 * One record for each stack, at the name that the SRV record of its host points to. "docker-router=1" is the first
 * string; the others may come in any order, and what is not known is skipped. A list that is longer than a string goes
 * on in another one of the same key. Sealed it is "docker-router=1" "sealed=...", and a sealed value (seal_value.h) to
 * the end, of all the strings that it would have.
 *
 * Pure. Here a text is what the record holds: strings, each behind a byte that tells its length.
 */
#ifndef DISCOVERY_DNS_TEXT_H
#define DISCOVERY_DNS_TEXT_H

#include "state/discovery.h"

#define DNS_TEXT_BYTES (24u << 10) /* a peer with all lists full has some 10 kB, sealed 14 */

/** dns_text_put() - Append the text of a peer. MAC and inner address are left out: they are computed */
void dns_text_put(struct buf *b, const struct peer *p);
/** dns_text_get() - Return: 0, end with peer_done(); -EINVAL with @err: a field; -ENOENT: it is not ours */
int dns_text_get(const uint8_t *text, size_t len, struct peer *ret, struct err *err) MUST_USE;

/** dns_text_is_ours() - Does it begin as ours do? */
bool dns_text_is_ours(const uint8_t *text, size_t len);
/** dns_sealed_put() - Append a text that holds @data, a sealed value */
void dns_sealed_put(struct buf *b, const char *data, size_t len);
/** dns_sealed_get() - Is it a sealed one? Then append the value to @ret */
bool dns_sealed_get(const uint8_t *text, size_t len, struct buf *ret);

/** dns_text_print() - Append as zone files have it: strings in quotes */
void dns_text_print(struct buf *b, const uint8_t *text, size_t len);

#endif
