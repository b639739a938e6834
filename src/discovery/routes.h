/* SPDX-License-Identifier: Apache-2.0
 *
 * The routes of this host that others must not be in the way of, and as they change. Reading needs no privilege.
 */
#ifndef DISCOVERY_ROUTES_H
#define DISCOVERY_ROUTES_H

#include "base/addr.h"
#include "io/nl.h"

#define LIMIT_ROUTES 16384 /* that are looked at */

struct routes;

/** routes_fn - What there is now, sorted, each once; borrowed for the call */
typedef void routes_fn(void *arg, const struct prefix *routes, size_t n);

struct routes *routes_new(uv_loop_t *loop, routes_fn *fn, void *arg);
/** routes_start() - Tell what is there, before it returns, and each change later */
int routes_start(struct routes *r, struct err *err) MUST_USE;
void routes_free(struct routes *r);

/**
 * route_counts() - Is this RTM_NEWROUTE or RTM_DELROUTE about one that a stack could be in the way of?
 *
 * Those the router sees as foreign: unicast, of any table but local, neither ours (protocol 212) nor link-local or
 * multicast; and not so short that no subnet can be as large (/8, of IPv6 /16): such halves of a default route are one.
 */
bool route_counts(const struct nlmsghdr *nlh, struct prefix *ret);

#endif
