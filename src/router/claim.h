/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Who may have which prefix in a VNI
 *
 * Every stack claims its subnets; Docker gives 172.18.0.0/16 on every host, so claims clash. The rule, the same on
 * every host, without a leader:
 *
 *   - a claim that was accepted before (router.json) stays accepted as long as its owner is there: an established route
 *     never flips. It is established CLAIM_SETTLE_US after it was accepted: two hosts that come up together have each
 *     accepted their own before they hear of the other, and must then come to the same answer;
 *   - among the others the smaller (host_id, stack_id) wins;
 *   - a remote claim that overlaps a route of this host is refused, on this host only; it stays established meanwhile,
 *     since a new bridge shows up as a route before the inventory says whose it is;
 *   - a claim of a stack that overlaps another of the same stack is no clash.
 *
 * A mapped prefix (see struct mapped) is a claim like any other. A refused subnet that an accepted mapped claim stands
 * for is off the overlay, but its network is not; one without takes its network off: it gets no leg. Of two networks of
 * this host with the same addresses one is mapped: nobody could tell them apart. Accepted claims of different owners
 * never overlap. Pure: no I/O.
 */
#ifndef ROUTER_CLAIM_H
#define ROUTER_CLAIM_H

#include "router/net.h"
#include "state/config.h"
#include "state/discovery.h"
#include "state/inventory.h"
#include "state/router.h"

#define CLAIM_SETTLE_US (3 * INT64_C(1000000))

struct claim {
	uint32_t vni;
	struct prefix prefix;		   /* host bits cleared */
	const char *host_id, *stack_id;	   /* borrowed from discovery or inventory */
	const struct peer *peer;	   /* NULL: ours */
	const struct inv_network *network; /* NULL: a peer's */
	bool established, refused;
	bool mapped;	    /* @prefix stands for @real */
	bool other;	    /* the other one of the two, the subnet or its mapped prefix, is accepted */
	struct prefix real; /* mapped: the subnet; else as @prefix */
	int64_t since_us;   /* accepted: since when, for struct rs_route */
	char *with;	    /* refused: by whom, in words */
};

struct claims {
	struct claim *v; /* sorted by vni, prefix */
	size_t n, cap;
};

/** struct claim_input - All borrowed */
struct claim_input {
	const char *host_id;
	int64_t now_us;	      /* of the monotonic clock; 0: what was accepted before is established */
	enum mapping mapping; /* always: our subnets are no claims, never: our mapped prefixes are none */
	const struct inventory *inventory;
	const struct discovery *discovery;
	const struct router_state *before;   /* may be NULL */
	const struct foreign_route *foreign; /* of the host; routes over bridges of our stacks are passed over */
	size_t n_foreign;
};

void claims_settle(const struct claim_input *in, struct claims *ret);
void claims_done(struct claims *c);

/**
 * claim_cure() - The ipam lines that end the clash, ready to paste
 * @c: all claims: the subnet that is offered overlaps none of them and no foreign route
 */
void claim_cure(struct buf *out, const struct claims *c, const struct claim *refused, const struct claim_input *in);

#endif
