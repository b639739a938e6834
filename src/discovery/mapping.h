/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Which stacks get mapped prefixes, and which
 *
 * See docs/decisions/10. Every host decides for its own stacks, from what all have announced:
 *
 *   - In a VNI where subnets of two stacks overlap (but for one stack at one address with two host ids: the older is a
 *     ghost, of a host that was made anew), or one overlaps what a member host avoids, or a route of this host,
 *     or where any stack is mapped already, all stacks of this host are mapped, one prefix for each subnet.
 *   - What a stack has, it keeps, until the subnet goes. It moves when the same was taken by a smaller owner
 *     (host_id, stack_id) in a VNI that we are in, or when it came into the way of a route of a member; and only when
 *     there is a better place.
 *   - A new one is taken from the pool: at a place that follows from a hash of (host_id, stack_id, subnet), or at the
 *     next that nobody has, of any VNI: a container may be in two. When there is none: one that only VNIs have that we
 *     are not in; else one that some member avoids.
 *
 * Of two owners of one prefix always the same one moves, and the smallest owner never does: so it comes to an end,
 * whatever was said at the same time. Pure: no I/O, no clock. Everything is looked up in sorted arrays.
 */
#ifndef DISCOVERY_MAPPING_H
#define DISCOVERY_MAPPING_H

#include "state/config.h"
#include "state/discovery.h"

/** struct mapping_stack - A stack of ours; all borrowed */
struct mapping_stack {
	const char *stack_id;
	uint32_t vni;
	const struct prefix *subnets; /* sorted, host bits cleared */
	size_t n_subnets;
	const struct mapped *before; /* what it has; sorted by subnet */
	size_t n_before;
	bool hold; /* it has moved too often lately: no other host can make it move again */
};

/** struct mapping_peer - A peer, and what of its prefixes was refused since it overlaps a network of ours */
struct mapping_peer {
	const struct peer *peer;
	const struct prefix *refused;
	size_t n_refused;
	bool hearsay; /* of an old file, not heard since: what it has is taken, and clashes with nothing */
};

struct mapping_input {
	const char *host_id;
	enum mapping mapping;
	struct prefix pools[2]; /* of IPv4 and IPv6: mapping_pool(); len 0: there is none */
	const struct mapping_stack *stacks;
	size_t n_stacks;
	const struct mapping_peer *peers;
	size_t n_peers;
	const struct prefix *routes; /* of this host; those that equal a subnet of ours are passed over */
	size_t n_routes;
};

struct mapping_output {
	struct mapped mapped[LIMIT_SUBNETS];
	size_t n_mapped;
	struct prefix subnets[LIMIT_SUBNETS]; /* to be announced */
	size_t n_subnets;
	struct prefix avoid[LIMIT_AVOID]; /* sorted */
	size_t n_avoid;
	bool is_new;	/* a subnet has a mapped prefix that had none */
	bool has_moved; /* a subnet has another one than before */
	bool was_held;	/* one would have moved but for @hold */
	char why[320];	/* is_new or has_moved: which and why, for people */
};

/** mapping_pool() - The half of @shadow (of SHADOW_POOL) that mapped prefixes come from */
struct prefix mapping_pool(const struct prefix *shadow);

/**
 * mapping_settle() - What each of our stacks is mapped to, announces and avoids
 * @out:      n_stacks of them, in the order of in->stacks
 * @problems: is added to: a pool that is used up, a prefix that is too large
 */
void mapping_settle(const struct mapping_input *in, struct mapping_output *out, struct problems *problems);

#endif
