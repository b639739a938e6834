/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP server on a unix socket, on the loop of the test itself: every request goes to a function of the test, which
 * writes what bytes it likes, whenever it likes. For faults that no real server can be made to show.
 */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H

#include <assert.h>
#include <uv.h>

#include "base/base.h"
#include "base/clock.h"

struct fake_server;

struct fake_conn {
	uv_pipe_t pipe;
	struct fake_server *server;
	struct fake_conn *next;
	struct buf in;
	bool closed;
};

/** fake_fn - A request has come: "GET", "/path?query"; answer with fake_send() and its kin, now or later */
typedef void fake_fn(void *arg, struct fake_conn *c, const char *method, const char *path, const char *body);

struct fake_server {
	uv_pipe_t *listener;
	uv_loop_t *loop;
	fake_fn *fn;
	void *arg;
	struct fake_conn *conns;
	size_t accepted, requests;
};

static void fake_conn_free(uv_handle_t *h)
{
	struct fake_conn *c = h->data;

	buf_done(&c->in);
	free(c);
}

static void fake_close(struct fake_conn *c)
{
	struct fake_conn **at = &c->server->conns;

	if (c->closed)
		return;
	c->closed = true;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	uv_close((uv_handle_t *)&c->pipe, fake_conn_free);
}

struct fake_write {
	uv_write_t req;
	char *data;
};

static void fake_written(uv_write_t *req, int status)
{
	struct fake_write *w = (struct fake_write *)req;

	free(w->data);
	free(w);
}

static void fake_send_bytes(struct fake_conn *c, const void *data, size_t len)
{
	struct fake_write *w = xcalloc(1, sizeof(*w));
	uv_buf_t b;

	w->data = xmemdup(data, len ? len : 1);
	b = uv_buf_init(w->data, (unsigned)len);
	if (uv_write(&w->req, (uv_stream_t *)&c->pipe, &b, 1, fake_written) < 0)
		fake_written(&w->req, -1);
}

static inline void fake_send(struct fake_conn *c, const char *s)
{
	fake_send_bytes(c, s, strlen(s));
}

static inline void fake_answer(struct fake_conn *c, int status, const char *body)
{
	autobuf struct buf b = {0};

	buf_printf(&b, "HTTP/1.1 %d Words\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
		   strlen(body), body);
	fake_send_bytes(c, b.data, b.len);
}

static inline void fake_stream_open(struct fake_conn *c)
{
	fake_send(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static inline void fake_chunk_bytes(struct fake_conn *c, const void *data, size_t len)
{
	autobuf struct buf b = {0};

	buf_printf(&b, "%zx\r\n", len);
	buf_append(&b, data, len);
	buf_puts(&b, "\r\n");
	fake_send_bytes(c, b.data, b.len);
}

static inline void fake_chunk(struct fake_conn *c, const char *s)
{
	fake_chunk_bytes(c, s, strlen(s));
}

static void fake_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	*b = uv_buf_init(xmalloc(4096), 4096);
}

static void fake_parse(struct fake_conn *c)
{
	char *end, method[16], path[2048];
	size_t head, body = 0;
	const char *length;

	while (!c->closed && c->in.len && (end = strstr(c->in.data, "\r\n\r\n"))) {
		autofree char *content = NULL;

		head = (size_t)(end - c->in.data) + 4;
		length = strcasestr(c->in.data, "Content-Length:");
		body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
		if (c->in.len < head + body)
			return;
		assert(sscanf(c->in.data, "%15s %2047s", method, path) == 2);
		content = xstrndup(c->in.data + head, body);
		memmove(c->in.data, c->in.data + head + body, c->in.len - head - body + 1);
		c->in.len -= head + body;
		c->server->requests++;
		c->server->fn(c->server->arg, c, method, path, content);
	}
}

static void fake_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct fake_conn *c = s->data;

	if (n > 0)
		buf_append(&c->in, b->base, (size_t)n);
	free(b->base);
	if (n < 0)
		fake_close(c);
	else if (n > 0)
		fake_parse(c);
}

static void fake_accept(uv_stream_t *listener, int status)
{
	struct fake_server *s = listener->data;
	struct fake_conn *c = xcalloc(1, sizeof(*c));

	assert(status == 0);
	c->server = s;
	uv_pipe_init(s->loop, &c->pipe, 0);
	c->pipe.data = c;
	assert(uv_accept(listener, (uv_stream_t *)&c->pipe) == 0);
	c->next = s->conns;
	s->conns = c;
	s->accepted++;
	assert(uv_read_start((uv_stream_t *)&c->pipe, fake_alloc, fake_read) == 0);
}

static inline void fake_server_start(struct fake_server *s, uv_loop_t *loop, const char *path, fake_fn *fn, void *arg)
{
	s->listener = xcalloc(1, sizeof(*s->listener));
	s->loop = loop;
	s->fn = fn;
	s->arg = arg;
	unlink(path);
	uv_pipe_init(loop, s->listener, 0);
	s->listener->data = s;
	assert(uv_pipe_bind(s->listener, path) == 0);
	assert(uv_listen((uv_stream_t *)s->listener, 64, fake_accept) == 0);
}

/* As a server that was stopped: its socket file is gone too (libuv unlinks it). */
static inline void fake_server_stop(struct fake_server *s)
{
	while (s->conns)
		fake_close(s->conns);
	if (s->listener)
		uv_close((uv_handle_t *)s->listener, (uv_close_cb)free);
	s->listener = NULL;
}

static void fake_tick(uv_timer_t *t)
{
}

/** run_until() - Run the loop until the condition holds. Return: whether it did before the deadline */
static inline bool run_until(uv_loop_t *loop, bool (*condition)(void *), void *arg, int ms)
{
	int64_t deadline_us = mono_now().us + ms * USEC_PER_MSEC;
	uv_timer_t *tick = xcalloc(1, sizeof(*tick));
	bool holds;

	uv_timer_init(loop, tick);
	uv_timer_start(tick, fake_tick, 5, 5);
	while (!(holds = condition(arg)) && mono_now().us < deadline_us)
		uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)tick, (uv_close_cb)free);
	return holds;
}

#endif
