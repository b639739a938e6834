/* SPDX-License-Identifier: Apache-2.0
 *
 * Which groups somebody in our stacks listens to, of those that go over the overlay: what the role multicast says in
 * multicast.json, and what the label says by itself. A file that is broken or gone changes nothing.
 *
 * A change is told at once; who changes all the time (a container can) is told four times a second.
 */
#ifndef DISCOVERY_RECEIVERS_H
#define DISCOVERY_RECEIVERS_H

#include "discovery/core.h"
#include "io/loop.h"
#include "state/identity.h"
#include "state/inventory.h"
#include "state/multicast.h"

#define RECEIVERS_BURST 50 /* changes that are told at once */
#define RECEIVERS_RATE	4  /* and then so many a second */

struct receivers;

/** receivers_new() - @changed: fill stacks again */
struct receivers *receivers_new(uv_loop_t *loop, const struct state_dir *dir, void (*changed)(void *arg), void *arg);
void receivers_free(struct receivers *r);
/** receivers_file() - multicast.json may be another */
void receivers_file(struct receivers *r);
/** receivers_fill() - Give stacks their groups */
void receivers_fill(const struct receivers *r, const struct inventory *inv, struct local_stack *stacks, size_t n);

/** receivers_of() - The same, pure: @s all zeroes: nothing is known of listeners. Return: how many did not fit */
size_t receivers_of(const struct inventory *inv, const struct multicast_state *s, struct local_stack *stack);

#endif
