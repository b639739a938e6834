/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Groups that are routed, and who asks for them
 *
 * For every leg a querier of IGMP and of MLD, so that snooping switches and bridges go on forwarding; and for legs with
 * group ranges in their label, who listens: bridges say it (their MDB, by netlink), neighbours by reports. What is
 *wanted on one leg is joined on the others, and the kernel is told to copy it:
 *
 *	lan  eth0 ---ingress hook--> 239.1.2.3 is wanted on br-a and br-b --> a copy leaves by each
 *	br-a -----------ingress hook--> wanted on the LAN ------------------> a copy leaves by eth0
 *
 * The hook stands in front of routing and of every firewall chain; no routing table of multicast, no limit of 32
 * interfaces and no time to live comes in. A copy that leaves by a leg passes no ingress hook there: it goes no
 *further, so that nothing goes round.
 */
#ifndef MULTICAST_GROUPS_H
#define MULTICAST_GROUPS_H

#include "multicast/links.h"
#include "multicast/membership.h"
#include "multicast/querier.h"

#define GROUPS_RULES  896 /* with REACH_RULES, FORWARD_RULES_MAX; pairs of group and leg that are copied */
#define GROUPS_JOINED 512 /* groups of a leg that are asked for there */

struct groups;

typedef void groups_send_fn(void *arg, uint32_t leg, const struct ip *dst, const uint8_t *packet, size_t len);

struct groups *groups_new(groups_send_fn *send, void *arg, enum querier_mode mode);
void groups_free(struct groups *g);

/** groups_leg_set() - A leg is there, or differs now */
void groups_leg_set(struct groups *g, mono_t now, const struct link *l);
void groups_leg_remove(struct groups *g, mono_t now, uint32_t leg);
/** groups_heard() - IGMP or MLD came in. Return: NULL, or why it was dropped, a literal */
const char *groups_heard(struct groups *g, mono_t now, uint32_t leg, int family, const uint8_t *packet, size_t len);
/** groups_mdb() - All groups that ports of the leg's bridge listen to */
void groups_mdb(struct groups *g, mono_t now, uint32_t leg, const struct ip *groups, size_t n);
/** groups_adopt() - Somebody on the leg listened before we were started: as if he had just said so */
void groups_adopt(struct groups *g, mono_t now, uint32_t leg, const struct ip *group, const struct ip *from);
/** groups_changes() - Another number when who listens has changed */
uint64_t groups_changes(const struct groups *g);
void groups_timer(struct groups *g, mono_t now);
int64_t groups_due(const struct groups *g); /* INT64_MAX: no timer */

/** groups_interval() - Between two queries, of legs that are set from now on */
void groups_interval(struct groups *g, int64_t interval_us);
/** groups_ttl() - That copies leave with; 0: with what they came */
void groups_ttl(struct groups *g, uint8_t ttl);
/**
 * groups_rules() - What the kernel is to copy: lines of io/forward_rule.h, sorted by IN, then GROUP
 *
 * From a network only what its own subnets send, and only from sources that are asked for. To a network that is in an
 * overlay nothing from other stacks of the VNI: that comes by the overlay.
 * Return: how many did not fit
 */
size_t groups_rules(const struct groups *g, struct buf *out);
/** groups_membership() - For people */
const struct membership *groups_membership(const struct groups *g);
const struct querier *groups_querier(const struct groups *g, uint32_t leg, uint8_t family);
/** groups_join_failed() - How many groups could not be joined, with the latest reason; 0: none */
size_t groups_join_failed(const struct groups *g, const char **ret_why);

#endif
