/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The desired state
 *
 * Computed from the state files alone, but for three things that only the kernel knows and that are handed in as actual
 * state: the host's own routes (subnets must not clash with them), which bridges are there, and what the interfaces
 *inside a container are called.
 *
 *	host                                  router namespace of a VNI
 *	bridge --- drl-HASH === leg-HASH      169.254.77.77, fe80::77:77
 *	rules iif bridge -> table of stack    route SUBNET dev leg-HASH
 *	table: PREFIX via 169.254.77.77 ...   vxVNI: neighbour, FDB entry, route per peer
 *	container: drVNI ============ nic-HASH    route ADDRESS/32 dev nic-HASH
 *
 * Next hops on legs and NICs are link-local constants with a permanent neighbour: never resolved on the wire, so the
 *same on every leg; IPv4 goes over an IPv4 next hop there, because a bridge or container may have IPv6 switched off.
 */
#ifndef ROUTER_DESIRED_H
#define ROUTER_DESIRED_H

#include "router/claim.h"
#include "router/net.h"
#include "router/ruleset.h"
#include "state/config.h"
#include "state/router.h"

#define RULE_PREF_CONNECTED 4788 /* inside containers: main without its default routes */
#define RULE_PREF_BRIDGE    4789 /* iif BRIDGE -> table of its stack */
#define RULE_PREF_SOURCE    4790 /* from SUBNET iif lo -> table of that stack */
#define RULE_PREF_HOST	    4791 /* iif lo -> TABLE_HOST */
#define TABLE_BASE	    0x64000000u
#define TABLE_HOST	    0x64ffffffu
#define TABLE_CONTAINER	    0x64fffffeu /* inside containers, looked up before main */
#define NIC_ROUTES_MAX	    65536 /* routes in containers' namespaces in all; beyond that containers keep to the leg */

struct wg_own;
struct wg_paths;

struct desired_input {
	const struct config *config;
	const char *host_id;
	int64_t now_us;	    /* see struct claim_input */
	const char *ns_dir; /* RUN_DIR/INSTANCE, for router.json */
	const struct inventory *inventory;
	const struct discovery *discovery;
	const struct router_state *before; /* may be NULL */
	const struct net_list *actual;
	struct ip local;	 /* underlay address; none: no VXLAN device yet */
	uint32_t underlay_mtu;	 /* of the interface that has it */
	const struct wg_own *wg; /* NULL: traffic between hosts is not encrypted */
	bool nics;		 /* may enter containers: there is a broker */
	uint8_t epoch;		 /* two-container form: of this start, see struct inv_stack */
};

/** struct desired_want - A container's namespace that must be watched; borrowed from inventory */
struct desired_want {
	const struct inv_container *container;
};

struct desired {
	struct net_list nets;
	struct claims claims; /* borrow from inventory and discovery */
	struct desired_want *wants;
	size_t n_wants, cap_wants;
	struct wg_paths *paths;	   /* to other hosts inside WireGuard; borrow from discovery; NULL: not encrypted */
	struct router_state state; /* for router.json: all but counters, pending and last_update */
};

/** desired_make() - The host form. */
void desired_make(const struct desired_input *in, struct desired *ret);
/** desired_make_alone() - The two-container form: our own namespace is host and router namespace in one; see alone.c */
void desired_make_alone(const struct desired_input *in, struct desired *ret);
/** alone_inventory() - What the two-container form knows of its stack, for inventory.json: discovery announces it */
void alone_inventory(const struct desired_input *in, struct inventory *ret);
void desired_done(struct desired *d);

/** desired_settle() - Shared by both forms: claims, refused and established routes into @ret->state */
void desired_settle(const struct desired_input *in, struct desired *ret);
/** desired_add_peers() - Shared: neighbours, FDB entries and routes of the accepted remote claims of a VNI over @dev */
void desired_add_peers(const struct desired_input *in, struct desired *d, struct net *net, uint32_t vni,
		       const char *dev, const struct ip *same_host_via);
/** desired_add_vxlan() - Shared: the device and its address. Return: its overlay MTU */
uint32_t desired_add_vxlan(const struct desired_input *in, struct net *net, uint32_t vni, const char *name,
			   uint16_t port);

extern const struct ip leg_next_hop4, leg_next_hop6;

#endif
