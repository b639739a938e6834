/* SPDX-License-Identifier: Apache-2.0
 *
 * Our nft table, as libnftables JSON. Pure.
 *
 * In the host's namespace:
 *   guard      VXLAN frames of our VNIs to this host pass only from addresses in the VNI's peer set; matched by VNI,
 * since Swarm and flannel may share the port. Tunnel packets are not tracked. overlay    traffic between overlay
 * prefixes is not tracked (keeps Docker's masquerade and raw drops out of the way of bridged frames) unless it is for
 * this host itself shadow     between two stacks of one host the destination prefix is rewritten on its way to the leg;
 * the router namespace restores it (Docker's raw drops match the true address of a container of the other stack). So is
 *              that of a remote stack where one of another VNI has the same addresses here
 *   redirects  of the bridges of our stacks are held back: one would outlive the leg
 * In a router namespace: restore, and the TCP MSS is held to the path's MTU.
 */
#ifndef ROUTER_RULESET_H
#define ROUTER_RULESET_H

#include "router/net.h"

/** struct shadow - @real is reached from @bridge by its shadow */
struct shadow {
	char bridge[16];
	struct prefix real, shadow; /* same length */
};

struct ruleset_vni {
	uint32_t vni;
	uint16_t port;
};

/** struct ruleset_host - What the host's table is made from; element sets are filled by the caller */
struct ruleset_host {
	const struct ruleset_vni *vnis;
	size_t n_vnis;
	const struct shadow *shadows;
	size_t n_shadows;
	const char (*bridges)[16];
	size_t n_bridges;
	uint16_t port; /* VXLAN */
	bool epochs;   /* a peer has one: see SOURCE_PORT_BASE */
};

/**
 * ruleset_host(), ruleset_router() - Fill @t: json, fingerprint, n_rules, present, and the (empty) sets:
 * "overlay4", "overlay6" (interval) and per VNI "peers4-N", "peers6-N"; of the two-container form with epochs
 * "epoch4-BIT"
 */
void ruleset_host(const struct ruleset_host *in, struct nft_table *t);
void ruleset_router(const struct shadow *shadows, size_t n_shadows, struct nft_table *t);
/**
 * ruleset_alone() - The two-container form: guard, MSS, and the stack's way out by @uplink_dev (Docker masquerades no
 * stack whose gateway is not its own)
 */
void ruleset_alone(const struct ruleset_vni *vni, const struct prefix *stack, size_t n_stack, const char *uplink_dev,
		   bool epochs, struct nft_table *t);

/** ruleset_replace() - {"nftables":[...]} that replaces the whole table, with or without elements, to be freed */
char *ruleset_replace(const struct nft_table *t, bool elements);
/** ruleset_elements() - that turns the elements of @actual into those of @desired; NULL when they are equal */
char *ruleset_elements(const struct nft_table *desired, const struct nft_table *actual);
char *ruleset_remove(void);

#endif
