/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The WireGuard devices, read and written
 *
 * The kernel's by generic netlink, wireguard-go's by its socket, which the broker connects for us. Nothing tells when
 * somebody changes the peers of such a device, so it is read when its link appears, after each change of ours, and
 * every few seconds. What was read is in the actual state (struct net_wg), with what only a row of readings shows:
 * whether a session has settled, and whether a peer is lost (struct wg_note).
 */
#ifndef ROUTER_WG_CONTROL_H
#define ROUTER_WG_CONTROL_H

#include "io/broker.h"
#include "router/observe.h"
#include "state/router.h"

struct wg_control *wg_control_new(uv_loop_t *loop, struct broker *broker, struct observe *o);
void wg_control_free(struct wg_control *c);

/** wg_control_fn - @code: 0 or -errno with @why */
typedef void wg_control_fn(void *arg, int code, const char *why);
/** wg_control_change() - @fn is called once, from the loop; @change is borrowed for the call. One at a time */
void wg_control_change(struct wg_control *c, unsigned slot, const struct wg_change *change, wg_control_fn *fn,
		       void *arg);
/** wg_control_look() - The links of its namespace changed: a device that was not read is read soon */
void wg_control_look(struct wg_control *c);
/**
 * wg_control_remember() - What an earlier run knew of a peer, from router.json
 * @announced: when that was set, or none
 * @lost:      nothing came back from it
 */
void wg_control_remember(struct wg_control *c, unsigned slot, const uint8_t key[static WG_KEY_BYTES],
			 const struct endpoint *announced, bool lost);

#endif
