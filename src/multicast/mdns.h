/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: mDNS reflector
 *
 * Multicast DNS (RFC 6762) lives in 224.0.0.251 and ff02::fb, which no router forwards. What is said on one leg is said
 * again on the others of its domain, byte for byte, known answers included, with these exceptions:
 *
 *	a question that wants its answer for itself  asks for one to the group: we would get the answer, nobody else
 *	a query from another port than 5353          goes on from a socket of its own; answers to that go back to who
 *asked addresses that the other side cannot reach   are blanked (mdns_packet.h): link-local ones, and prefixes given
 *	types of service                             that are not among those of both legs, when some are given
 *
 * Copies and storms: guard.h. The same words within a second are said once, which is what the RFC wants of everybody
 * (sections 7.3 and 7.4).
 *
 * From a LAN to networks, from a network to LANs and other networks, never from LAN to LAN. Pure; see multicast.h for
 *the shape.
 */
#ifndef MULTICAST_MDNS_H
#define MULTICAST_MDNS_H

#include "multicast/multicast.h"

#define MDNS_HIDDEN    256
#define MDNS_LEGACY_US (4 * USEC_PER_SEC)
#define MDNS_TTL       255 /* RFC 6762 section 11 */

enum mdns_group { MDNS_V4, MDNS_V6, MDNS_GROUP_N_ };
/** mdns_group_ip() - 224.0.0.251, ff02::fb */
struct ip mdns_group_ip(enum mdns_group group);

struct mdns;

struct mdns *mdns_new(uint64_t random);
void mdns_free(struct mdns *m);

/** mdns_hide() - Prefixes of addresses that are not to be told on other legs, the first MDNS_HIDDEN */
void mdns_hide(struct mdns *m, const struct prefix *prefixes, size_t n);

/** mdns_leg_set() - A leg is there, or differs now; without MC_MDNS among its wants it is not */
void mdns_leg_set(struct mdns *m, mono_t now, const struct mc_leg *leg, struct mc_actions *out);
void mdns_leg_remove(struct mdns *m, mono_t now, uint32_t leg, struct mc_actions *out);
/** mdns_input() - What came to our own address at port 5353 is dropped: nobody was asked to answer there */
void mdns_input(struct mdns *m, mono_t now, const struct mc_packet *p, struct mc_actions *out);
void mdns_timer(struct mdns *m, mono_t now, struct mc_actions *out);
int64_t mdns_due(const struct mdns *m); /* INT64_MAX: no timer */

/** mdns_look() - Ask on @leg what is offered there; the answers go to the others as always */
void mdns_look(struct mdns *m, uint32_t leg, struct mc_actions *out);

enum mdns_count {
	MDNS_COUNT_QUERIES, /* reflected */
	MDNS_COUNT_RESPONSES,
	MDNS_COUNT_LEGACY,  /* queries from other ports */
	MDNS_COUNT_ANSWERS, /* to those */
	MDNS_COUNT_BLANKED, /* addresses */
	MDNS_COUNT_N_
};
extern const char *const mdns_count_names[MDNS_COUNT_N_];
const uint64_t *mdns_counts(const struct mdns *m);

#endif
