/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The relays' sockets
 *
 * On each leg a packet socket per family hears what goes to the groups, and answers to searches. It stands in front of
 * netfilter: neither Docker's chains nor the host's own firewall are asked. A filter in the kernel lets through nothing
 * but UDP to the ports that matter; a second socket joins the groups, so that switches and bridges send them here.
 *
 * What is said goes out by a raw socket with our own headers, since port 5353 and 1900 belong to others on this host,
 * or from a socket of its own for a search. The latter is bound, so that the kernel answers nobody "port unreachable",
 * and never read: what comes to it is heard by the packet socket.
 *
 * What this host's own programs send on a leg is not heard: relays are for neighbours.
 */
#ifndef MULTICAST_WIRE_H
#define MULTICAST_WIRE_H

#include "io/loop.h"
#include "multicast/multicast.h"

/* Source ports of searches, above what kernels give out by themselves */
#define WIRE_PORT_FIRST 61500
#define WIRE_PORT_LAST	61899

struct wire;

typedef void wire_packet_fn(void *arg, const struct mc_packet *p);
/** wire_bad_fn - A packet of @leg was dropped before any core saw it; @why: a literal */
typedef void wire_bad_fn(void *arg, uint32_t leg, const char *why);

/** wire_gmp_fn - IGMP, MLD or a router solicitation, a whole packet from its IP header on */
typedef void wire_gmp_fn(void *arg, uint32_t leg, int family, const uint8_t *packet, size_t len);

/** wire_new() - Needs CAP_NET_RAW. Return: NULL with @err */
struct wire *wire_new(uv_loop_t *loop, wire_packet_fn *packet, wire_bad_fn *bad, wire_gmp_fn *gmp, void *arg,
		      struct err *err);
void wire_free(struct wire *w);
/** wire_hear_solicitations() - Routers are asked for: on LANs that are added from now on, that is heard too */
void wire_hear_solicitations(struct wire *w);

/** wire_leg_add() - Listen there. Return: 0, or -errno and nothing is left open */
int wire_leg_add(struct wire *w, const struct mc_leg *leg, int ifindex, struct err *err) MUST_USE;
/** wire_leg_change() - It has other addresses or wants now. The number stays */
int wire_leg_change(struct wire *w, const struct mc_leg *leg, struct err *err) MUST_USE;
void wire_leg_remove(struct wire *w, uint32_t leg);

/** wire_do() - Carry out MC_SEND or MC_CLOSE. Return: 0, or -errno: it was not sent */
int wire_do(struct wire *w, const struct mc_action *a) MUST_USE;

/** wire_send() - A whole packet of IGMP or ICMPv6 to @dst. Return: 0 or -errno */
int wire_send(struct wire *w, uint32_t leg, const struct ip *dst, const uint8_t *packet, size_t len) MUST_USE;

#endif
