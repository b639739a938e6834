/* SPDX-License-Identifier: Apache-2.0
 *
 * Timers, watched descriptors and signals over libuv. Every source hangs in a list on its loop, so that loop_done()
 * finds what was left; the memory of a freed source goes in libuv's close callback, which runs after the callback that
 * freed it.
 */
#include "io/loop.h"

#include <assert.h>
#include <signal.h>

#include "base/log.h"

#define SLOW_NS UINT64_C(50000000)

/* What the three kinds share. It stands first in each, and the handle's data points to it. */
struct source {
	struct source *prev, *next; /* in the list that uv_loop_t.data heads */
	uv_loop_t *loop;
	uv_handle_t *handle;
	const char *name;
	void *arg;
};

struct timer {
	struct source src;
	uv_timer_t uv;
	loop_fn *fn;
	bool in_callback;
};

struct fdwatch {
	struct source src;
	uv_poll_t uv;
	fdwatch_fn *fn;
	int events;
};

struct sigwatch {
	struct source src;
	uv_signal_t uv;
	sigwatch_fn *fn;
};

static void source_link(struct source *s, uv_loop_t *loop, uv_handle_t *handle, const char *name, void *arg)
{
	s->loop = loop;
	s->handle = handle;
	s->name = name;
	s->arg = arg;
	handle->data = s;
	s->next = loop->data;
	if (s->next)
		s->next->prev = s;
	loop->data = s;
}

static void source_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void source_free(struct source *s)
{
	assert(!uv_is_closing(s->handle)); /* freed twice */
	if (s->prev)
		s->prev->next = s->next;
	else
		s->loop->data = s->next;
	if (s->next)
		s->next->prev = s->prev;
	uv_close(s->handle, source_closed);
}

static void source_report(const struct source *s, uint64_t began_ns)
{
	uint64_t took_ns = uv_hrtime() - began_ns;

	if (took_ns > SLOW_NS)
		log_debug("slow callback", kv_str("name", s->name), kv_int("ms", (int64_t)(took_ns / 1000000)));
}

void loop_init(uv_loop_t *loop)
{
	memset(loop, 0, sizeof(*loop));
	if (uv_loop_init(loop) < 0)
		abort(); /* no epoll descriptor: nothing can work */
	/* A peer that closes its end is an error of a write, not our death; children get the default back. */
	signal(SIGPIPE, SIG_IGN);
}

void loop_run(uv_loop_t *loop)
{
	uv_run(loop, UV_RUN_DEFAULT);
}

void loop_stop(uv_loop_t *loop)
{
	uv_stop(loop);
}

static void loop_close_left(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void loop_done(uv_loop_t *loop)
{
	while (loop->data)
		source_free(loop->data);
	uv_walk(loop, loop_close_left, NULL); /* handles that somebody made without us: closed, not freed */
	while (uv_run(loop, UV_RUN_DEFAULT) != 0)
		;
	if (uv_loop_close(loop) < 0)
		abort();
}

struct timer *timer_new(uv_loop_t *loop, const char *name, loop_fn *fn, void *arg)
{
	struct timer *t = xcalloc(1, sizeof(*t));

	t->fn = fn;
	uv_timer_init(loop, &t->uv);
	source_link(&t->src, loop, (uv_handle_t *)&t->uv, name, arg);
	return t;
}

static void timer_fired(uv_timer_t *uv)
{
	struct timer *t = uv->data;
	uint64_t began_ns = uv_hrtime();

	t->in_callback = true;
	t->fn(t->src.arg);
	t->in_callback = false;
	source_report(&t->src, began_ns);
}

void timer_start(struct timer *t, int64_t delay_us)
{
	uint64_t timeout_ms = 0;

	uv_update_time(t->src.loop);
	if (delay_us > 0) {
		/* libuv counts in whole milliseconds from a clock that it cuts: aim at the first one not too early */
		uint64_t due_us = uv_hrtime() / 1000 + (uint64_t)delay_us;
		uint64_t due_ms = (due_us + 999) / 1000;

		timeout_ms = due_ms - uv_now(t->src.loop);
	} else if (t->in_callback) {
		/* libuv before 1.48 would call it again at once, for ever, without looking at a descriptor */
		timeout_ms = 1;
	}
	uv_timer_start(&t->uv, timer_fired, timeout_ms, 0);
}

void timer_stop(struct timer *t)
{
	uv_timer_stop(&t->uv);
}

bool timer_is_set(const struct timer *t)
{
	return uv_is_active((const uv_handle_t *)&t->uv);
}

void timer_free(struct timer *t)
{
	if (t)
		source_free(&t->src);
}

static void fdwatch_fired(uv_poll_t *uv, int status, int events);

static void fdwatch_apply(struct fdwatch *w)
{
	int rc = w->events ? uv_poll_start(&w->uv, w->events, fdwatch_fired) : uv_poll_stop(&w->uv);

	if (rc < 0)
		abort(); /* a descriptor that was closed under us: a bug here, and silence would hide it */
}

static void fdwatch_fired(uv_poll_t *uv, int status, int events)
{
	struct fdwatch *w = uv->data;
	uint64_t began_ns = uv_hrtime();

	/*
	 * libuv stops a watch on POLLERR and says EBADF. But a pending socket error - a netlink socket after an
	 * overrun - is there to be read: go on watching, and let the owner meet it in its read or write.
	 */
	if (status < 0) {
		fdwatch_apply(w);
		events = w->events;
	}
	w->fn(w->src.arg, events);
	source_report(&w->src, began_ns);
}

struct fdwatch *fdwatch_new(uv_loop_t *loop, const char *name, int fd, int events, fdwatch_fn *fn, void *arg)
{
	struct fdwatch *w = xcalloc(1, sizeof(*w));

	w->fn = fn;
	w->events = events;
	if (uv_poll_init(loop, &w->uv, fd) < 0)
		abort(); /* watched twice, or no descriptor that can be polled */
	source_link(&w->src, loop, (uv_handle_t *)&w->uv, name, arg);
	fdwatch_apply(w);
	return w;
}

void fdwatch_set(struct fdwatch *w, int events)
{
	if (w->events == events)
		return;
	w->events = events;
	fdwatch_apply(w);
}

void fdwatch_free(struct fdwatch *w)
{
	if (w)
		source_free(&w->src);
}

static void sigwatch_fired(uv_signal_t *uv, int signum)
{
	struct sigwatch *w = uv->data;
	uint64_t began_ns = uv_hrtime();

	w->fn(w->src.arg, signum);
	source_report(&w->src, began_ns);
}

struct sigwatch *sigwatch_new(uv_loop_t *loop, int signum, sigwatch_fn *fn, void *arg)
{
	struct sigwatch *w = xcalloc(1, sizeof(*w));

	w->fn = fn;
	uv_signal_init(loop, &w->uv);
	source_link(&w->src, loop, (uv_handle_t *)&w->uv, "signal", arg);
	if (uv_signal_start(&w->uv, sigwatch_fired, signum) < 0)
		abort();
	return w;
}

void sigwatch_free(struct sigwatch *w)
{
	if (w)
		source_free(&w->src);
}
