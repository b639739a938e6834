/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: One container
 *
 *	closed --> opening --> open --> stopping --> gone
 *	   ^          |         |
 *	   +--(wait)--+---------+   the namespace cannot be entered: tried again, ever more seldom
 *
 * Opening asks the broker for the namespace and two sockets in it. Open, every event of the kernel inside, and of the
 * host's links that it is about, leads to the same work: look, plan (plan.h), apply, until there is nothing to do. A
 * descriptor in the namespace keeps it alive, and with it the host's ends of its NICs; so when the container has
 * stopped, leases are given back, host ends and flag are taken away, and all is closed.
 */
#ifndef ATTACH_BOX_H
#define ATTACH_BOX_H

#include "attach/doomed.h"
#include "attach/seen.h"
#include "io/broker.h"
#include "io/nl.h"
#include "state/inventory.h"

/** struct boxes - What all containers share; borrowed by them */
struct boxes {
	uv_loop_t *loop;
	struct broker *broker;
	struct nl *host_nl;
	int host_fd;
	char host_id[40];
	struct seen host; /* links of the host, always true */
	struct doomed *doomed;
	const struct attach_state *before; /* what an earlier run wrote, for its leases */
	loop_fn *changed;		   /* something that box_state() tells */
	void *arg;
};

struct box;

struct box *box_new(struct boxes *all, const struct inv_attach *a);
const char *box_id(const struct box *b); /* of the container */
/** box_wants() - What the inventory said last; borrowed */
const struct inv_attach *box_wants(const struct box *b);
/** box_update() - What the inventory says now of the same container; another sandbox or pid is another start of it */
void box_update(struct box *b, const struct inv_attach *a);
/** box_host_changed() - A link of the host came, changed or went; NULL: any */
void box_host_changed(struct box *b, const char *link);
/** box_owns() - Is the host's link of this name a NIC's end, or a physical interface of this name lent to it? */
bool box_owns(const struct box *b, const char *link);
/** box_stop() - The container has stopped: give back, take away, close. box_gone() becomes true */
void box_stop(struct box *b);
bool box_gone(const struct box *b);
/** box_free() - Ours ends, and NICs stay; or it is gone */
void box_free(struct box *b);
/** box_state() - Its NICs, appended */
void box_state(const struct box *b, struct attach_state *ret);
/** box_macvlan() - For shims: the addresses of its macvlans on @parent, appended to @ret. Return: how many, at most
 * @max */
size_t box_macvlan(const struct box *b, const char *parent, struct ip *ret, size_t max);
/** box_shim_parent() - Parents that want a shim: the @i-th, or NULL */
const char *box_shim_parent(const struct box *b, size_t i);

#endif
