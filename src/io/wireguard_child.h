/* SPDX-License-Identifier: Apache-2.0
 *
 * wireguard-go, for kernels without WireGuard: one process for the host's device, started by the broker. It outlives
 * broker and router, since traffic goes on when they end, and ends when its device is removed. Whoever needs it later
 * finds it by its socket.
 */
#ifndef IO_WIREGUARD_CHILD_H
#define IO_WIREGUARD_CHILD_H

#include "base/base.h"
#include "io/loop.h"

struct wireguard_child;

/** wireguard_child_fn - It listens (0), or did not come to it (-errno and why) */
typedef void wireguard_child_fn(void *arg, uint32_t id, int code, const char *text);
struct wireguard_child *wireguard_child_new(uv_loop_t *loop, wireguard_child_fn *fn, void *arg);
void wireguard_child_free(struct wireguard_child *w); /* the process goes on; NULL is fine */
/**
 * wireguard_child_start() - Run it unless it runs; @iface has been checked
 * @id: comes back with the answer
 * Return: 0, an answer follows; -EBUSY: one start at a time
 */
int wireguard_child_start(struct wireguard_child *w, uint32_t id, const char *iface, struct err *err) MUST_USE;
/** wireguard_connect() - Its UDP sockets get a buffer that is large enough on the way. Return: its socket,
 * non-blocking; or -errno */
int wireguard_connect(const char *iface, struct err *err) MUST_USE;

#endif
