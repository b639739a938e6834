/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom to join by: GOSSIP_JOIN and join.json as addresses. Names are looked up by libuv's own thread, so that nothing
 * waits for a name server, and again now and then, since what they stand for may change.
 */
#ifndef DISCOVERY_GOSSIP_JOINS_H
#define DISCOVERY_GOSSIP_JOINS_H

#include "discovery/gossip.h"
#include "io/loop.h"
#include "state/join.h"

struct gossip_joins;

struct gossip_joins *gossip_joins_new(uv_loop_t *loop, uint16_t port, loop_fn *changed, void *arg);
void gossip_joins_free(struct gossip_joins *j);
/** gossip_joins_set() - Look these up; changed() follows */
void gossip_joins_set(struct gossip_joins *j, const struct join_list *list);
/** gossip_joins_get() - The addresses of that family. Return: how many, GOSSIP_JOINS at most */
size_t gossip_joins_get(const struct gossip_joins *j, uint8_t family, struct endpoint ret[static GOSSIP_JOINS]);
/** gossip_joins_problems() - Names that are not found */
void gossip_joins_problems(const struct gossip_joins *j, uint8_t family, struct problems *ret);

#endif
