/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling a service manager how we are, as sd_notify(3) does: datagrams to the socket that NOTIFY_SOCKET names. Does
 * nothing where there is none.
 */
#ifndef HOST_NOTIFY_H
#define HOST_NOTIFY_H

#include "io/loop.h"

struct notify;

/** notify_new() - From the environment: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID. Feeds the watchdog when one is
 * asked for */
struct notify *notify_new(uv_loop_t *loop, char *const *env);
void notify_free(struct notify *n);
/** notify_send() - "READY=1\nSTATUS=..." */
void notify_send(struct notify *n, const char *fmt, ...) PRINTF(2, 3);
/** notify_reloading() - RELOADING=1 with the time that the manager wants beside it; READY=1 must follow */
void notify_reloading(struct notify *n);

#endif
