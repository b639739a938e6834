/* SPDX-License-Identifier: Apache-2.0
 *
 * Our side of WireGuard: the private key, the keys of the ring, and wireguard.json, by which discovery learns what to
 * tell the others.
 */
#ifndef ROUTER_WG_OWN_H
#define ROUTER_WG_OWN_H

#include "router/wg_control.h"
#include "router/wg_path.h"
#include "router/wireguard.h"
#include "state/config.h"

/** wg_own_load() - At the start. The ring may be empty, where CLUSTER_KEY_FILE is not set: `join` brings it. @ret NULL:
 * ENCRYPTION is none, and wireguard.json is taken away */
int wg_own_load(const struct state_dir *d, const struct config *c, struct wg_own **ret, struct err *err) MUST_USE;
/** wg_own_reload() - After SIGHUP and `join`: the keys again. What cannot be read stays as it was, and that is said */
void wg_own_reload(const struct state_dir *d, const struct config *c, struct wg_own *w);
void wg_own_free(struct wg_own *w); /* wiped; NULL is fine */
/** wg_own_renewed() - The key that was to follow is the key now, and the others are told */
int wg_own_renewed(const struct state_dir *d, const struct config *c, struct wg_own *w, struct err *err) MUST_USE;
/** wg_own_by() - The relays that we are reached by; told when they are others than before */
void wg_own_by(const struct state_dir *d, const struct config *c, struct wg_own *w, const struct wg_paths *paths);
/** wg_own_remember() - What an earlier run told the device, from router.json */
void wg_own_remember(const struct router_state *before, const struct wg_own *w, struct wg_control *c);

#endif
