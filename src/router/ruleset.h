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
 * In a router namespace: restore, the TCP MSS is held to the path's MTU, and where stacks of ours are mapped
 *   source     of what comes from a stack: its mapped prefix, when it is for a mapped prefix of somebody (or the subnet
 *              is not ours to use)
 *   to-stack   after routing: the destination in a mapped prefix becomes the true one
 *   errors-... the same for packets quoted in ICMP errors, the other way round; see inner.h
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

/** struct ruleset_mapped - A subnet of ours and its mapped prefix; @held: the subnet itself is in use as well */
struct ruleset_mapped {
	struct prefix subnet, as; /* same length, host bits cleared */
	bool held;
};

/** struct ruleset_router - What a router namespace's table is made from */
struct ruleset_router {
	const struct shadow *shadows;
	size_t n_shadows;
	const struct ruleset_mapped *mapped;
	size_t n_mapped;
	const char *tunnel; /* the VXLAN device, or "" */
};

/** struct ruleset_alone - The two-container form; @stack: its subnets, @mapped of them */
struct ruleset_alone {
	struct ruleset_vni vni;
	const struct prefix *stack;
	size_t n_stack;
	const struct ruleset_mapped *mapped;
	size_t n_mapped;
	const char *stack_dev, *uplink_dev;
	bool epochs;
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
	bool closed;   /* traffic between hosts is encrypted: no VXLAN of ours in or out in clear */
	bool epochs;   /* a peer has one: see SOURCE_PORT_BASE */
};

/**
 * ruleset_host(), ruleset_router() - Fill @t: json, raw, fingerprint, n_rules, present, and the (empty) sets:
 * "overlay4", "overlay6" (interval) and per VNI "peers4-N", "peers6-N"; of a router namespace with mapped subnets
 * "mapped4", "mapped6" (interval): all mapped prefixes of the VNI; of the two-container form with epochs "epoch4-BIT",
 * and with mapped subnets also "members4", "members6" (interval): all prefixes of the VNI
 */
void ruleset_host(const struct ruleset_host *in, struct nft_table *t);
/** struct ruleset_wireguard - @relayed: prefixes that are forwarded, each to itself only, since we relay */
struct ruleset_wireguard {
	struct ruleset_host host; /* vnis and port */
	const char *devices[2];
	size_t n_devices;
	const struct prefix *relayed[2];
	size_t n_relayed;
};
/** ruleset_wireguard() - The namespace of the WireGuard devices: nothing but VXLAN of ours, and what the VNIs allow */
void ruleset_wireguard(const struct ruleset_wireguard *in, struct nft_table *t);
void ruleset_router(const struct ruleset_router *in, struct nft_table *t);
/**
 * ruleset_alone() - The two-container form: guard, MSS, mapped subnets, and the stack's way out by @uplink_dev (Docker
 * masquerades no stack whose gateway is not its own)
 */
void ruleset_alone(const struct ruleset_alone *in, struct nft_table *t);

/** ruleset_replace() - {"nftables":[...]} that replaces the whole table, with or without elements, to be freed */
char *ruleset_replace(const struct nft_table *t, bool elements);
/** ruleset_elements() - that turns the elements of @actual into those of @desired; NULL when they are equal */
char *ruleset_elements(const struct nft_table *desired, const struct nft_table *actual);
char *ruleset_remove(void);

#endif
