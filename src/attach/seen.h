/* SPDX-License-Identifier: Apache-2.0
 *
 * What a network namespace has, as far as attach looks at it: links, addresses, and the routes that are ours. Filled by
 * kernel.h; plan.h compares it with what is wanted.
 */
#ifndef ATTACH_SEEN_H
#define ATTACH_SEEN_H

#include "state/attach.h"

enum seen_kind { SEEN_OTHER, SEEN_VETH, SEEN_MACVLAN, SEEN_BRIDGE };

struct seen_link {
	int ifindex, master, lower; /* lower: IFLA_LINK; of a veth its peer's ifindex */
	char name[NIC_NAME], alias[160];
	enum seen_kind kind;
	bool up, carrier, isolated, macvlan_private;
	struct mac mac;
	uint32_t mtu;
};

struct seen_addr {
	int ifindex;
	struct prefix p;
	bool ours;	/* IFA_PROTO is ATTACH_PROTOCOL */
	bool permanent; /* not made of a router advertisement */
	bool tentative;
};

struct seen_route { /* protocol ATTACH_PROTOCOL, main table */
	int ifindex;
	struct prefix to;
	struct ip via; /* none: on the link */
	struct ip src; /* RTA_PREFSRC, or none */
	uint32_t metric;
};

struct seen {
	struct seen_link *links;
	size_t n_links, cap_links;
	struct seen_addr *addrs;
	size_t n_addrs, cap_addrs;
	struct seen_route *routes;
	size_t n_routes, cap_routes;
};

void seen_done(struct seen *s);
struct seen_link *seen_by_name(const struct seen *s, const char *name);
struct seen_link *seen_by_index(const struct seen *s, int ifindex);
/** seen_put() - Insert, or replace that of the same ifindex */
void seen_put(struct seen *s, const struct seen_link *l);
void seen_remove(struct seen *s, int ifindex);

#endif
