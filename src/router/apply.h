/* SPDX-License-Identifier: Apache-2.0
 *
 * The only code that changes the kernel. Netlink requests go in batches and are synchronous; nft transactions are
 * children of the broker (or ours, without one) and asynchronous.
 */
#ifndef ROUTER_APPLY_H
#define ROUTER_APPLY_H

#include "io/broker.h"
#include "router/observe.h"
#include "router/plan.h"

struct apply;

/** struct apply_failure - What did not work; @op text and @why (strerror and the kernel's extended ack) */
struct apply_failure {
	char *op, *why;
	int code;
};
struct apply_result {
	size_t done, failed;		/* operations */
	struct apply_failure *failures; /* the first 64 */
	size_t n_failures, cap_failures;
};
void apply_result_done(struct apply_result *r);

/** apply_done_fn - The plan has been carried out, nft transactions included */
typedef void apply_done_fn(void *arg, const struct apply_result *r);

struct apply *apply_new(uv_loop_t *loop, struct broker *broker, struct observe *o);
void apply_free(struct apply *a); /* before broker_free(), and the loop must not run in between */
bool apply_busy(const struct apply *a);
/**
 * apply_run() - Carry out @plan (borrowed for the call only: what outlives it is copied)
 * @fn: called from the loop
 *
 * Order: the plan's. nft transactions that stand together run at the same time, and what stands behind them waits for
 * all of them but OP_NFT_ELEMENTS, which only the end waits for. A short plan without nft operations is done, and @fn
 * called, before this returns; of a long one the loop turns every 4096 entries.
 */
void apply_run(struct apply *a, const struct plan *plan, apply_done_fn *fn, void *arg);

#endif
