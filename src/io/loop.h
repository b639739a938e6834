/* SPDX-License-Identifier: Apache-2.0
 *
 * libuv with the ceremony taken off: timers, watched descriptors, signals, as objects that free themselves safely from
 * inside their own callback. A callback never waits for another process, peer or disk; one that ran over 50 ms is
 * reported at debug level with its name.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <uv.h>

#include "base/base.h"
#include "base/clock.h"

typedef void loop_fn(void *arg);
typedef void fdwatch_fn(void *arg, int events); /* UV_READABLE | UV_WRITABLE | UV_DISCONNECT */
typedef void sigwatch_fn(void *arg, int signum);

struct timer;
struct fdwatch;
struct sigwatch;

/** loop_init(), loop_run(), loop_stop(), loop_done() - @loop in place; loop_done() closes every handle that is left */
void loop_init(uv_loop_t *loop);
void loop_run(uv_loop_t *loop);
void loop_stop(uv_loop_t *loop);
void loop_done(uv_loop_t *loop);

/** timer_new() - A one-shot timer, not yet started; @name (literal) is for the slow-callback report */
struct timer *timer_new(uv_loop_t *loop, const char *name, loop_fn *fn, void *arg);
/** timer_start() - (Re)arm to fire once, @delay_us from now, rounded up to a millisecond */
void timer_start(struct timer *t, int64_t delay_us);
void timer_stop(struct timer *t);
bool timer_is_set(const struct timer *t);
void timer_free(struct timer *t); /* NULL is fine */

/** fdwatch_new() - Watch @fd (borrowed: free the watch before closing it) */
struct fdwatch *fdwatch_new(uv_loop_t *loop, const char *name, int fd, int events, fdwatch_fn *fn, void *arg);
void fdwatch_set(struct fdwatch *w, int events); /* 0: pause */
void fdwatch_free(struct fdwatch *w);

struct sigwatch *sigwatch_new(uv_loop_t *loop, int signum, sigwatch_fn *fn, void *arg);
void sigwatch_free(struct sigwatch *w);

#endif
