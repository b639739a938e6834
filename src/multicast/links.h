/* SPDX-License-Identifier: Apache-2.0
 *
 * Which legs there should be: out of inventory.json and this host's interfaces. Pure.
 */
#ifndef MULTICAST_LINKS_H
#define MULTICAST_LINKS_H

#include "io/interfaces.h"
#include "multicast/multicast.h"
#include "state/discovery.h"
#include "state/inventory.h"

#define LIMIT_OWN      32
#define LINK_ELSEWHERE 48 /* prefixes */

/** struct link - A leg with what the I/O needs of it. What makes it the same leg: ifindex and network */
struct link {
	struct mc_leg leg; /* its id is 0 until it is given one */
	int ifindex;
	char ifname[16], network_id[LIMIT_ID], label[MULTICAST_LABEL_STRLEN];
	struct ip own[LIMIT_OWN]; /* all addresses that the host has there */
	size_t n_own;
	struct prefix subnets[LIMIT_SUBNETS], ranges[LIMIT_GROUP_RANGES]; /* where leg points to */
	/* the overlay, which the router carries multicast over (router/mcast.h) */
	uint32_t vni; /* 0: the label does not name it, or the network is of no stack */
	bool apart;   /* the label names nothing else: nothing is exchanged with the LAN or networks by this role */
	struct prefix elsewhere[LINK_ELSEWHERE]; /* of other stacks of the VNI: what comes from there, comes that way */
	size_t n_elsewhere;
};

/** struct links - In place; links are heap-allocated, so that what points into them stays */
struct links {
	struct link **v;
	size_t n, cap;
};

/**
 * links_desired() - A leg for every labelled network whose bridge is there, and one for the LAN
 * @lan:      INTERFACE, or "": that of the default route
 * @d:        who else is in the VNIs; NULL: nobody is known
 * @lan_anyway: there is something to say there
 * @problems: filled with what is missing
 *
 * Nothing is labelled: no leg at all, the LAN is left alone but for @lan_anyway, whose leg wants nothing.
 */
void links_desired(const struct inventory *inv, const struct discovery *d, const struct interfaces *ifs,
		   const char *lan, bool lan_anyway, struct links *ret, struct problems *problems);
/** links_need_discovery() - Has a network a label with both the LAN and the overlay? Else @d is not looked at */
bool links_need_discovery(const struct inventory *inv);
void links_done(struct links *l);
bool link_is(const struct link *a, const struct link *b);   /* are they one leg? */
bool link_same(const struct link *a, const struct link *b); /* and has nothing of it changed? Numbers do not count */
/** link_take() - @to becomes as @from is, but for its number */
void link_take(struct link *to, const struct link *from);

#endif
