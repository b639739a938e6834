/* SPDX-License-Identifier: Apache-2.0
 *
 * A small HTTP/1.1 server on a unix socket, for one trusted client: dockerd, which asks its plugins. One request a
 * connection ("Connection: close"), so that no client meets a connection that a restart of ours has closed. What is
 * asked is answered now or later; everything has a bound.
 */
#ifndef IO_HTTP_SERVER_H
#define IO_HTTP_SERVER_H

#include "base/base.h"
#include "io/loop.h"

#define HTTP_SERVER_BODY	(1u << 20) /* bytes of a request's body */
#define HTTP_SERVER_CONNECTIONS 512

struct http_server;
struct http_exchange; /* a request that waits for its answer */

/** http_request_fn - @path: "/Plugin.Activate"; @body: borrowed for the call. To be answered once by http_reply() */
typedef void http_request_fn(void *arg, struct http_exchange *x, const char *path, const struct buf *body);

/**
 * http_server_new() - Listen at @path, mode 0600; its folder is made when missing
 *
 * A socket that a killed predecessor left is replaced in one step.
 * Return: 0; -EADDRINUSE: somebody answers there; -errno
 */
int http_server_new(uv_loop_t *loop, const char *path, http_request_fn *fn, void *arg, struct http_server **ret,
		    struct err *err) MUST_USE;
void http_server_free(struct http_server *s); /* the socket is removed, open requests end without answer */

/** http_reply() - Answer; @x is gone then. @status: 200, 400, ... */
void http_reply(struct http_exchange *x, int status, const char *body, size_t len);
/** http_exchange_gone() - Have @fn called when the client leaves before the answer; @x is gone then. NULL: no more */
void http_exchange_gone(struct http_exchange *x, loop_fn *fn, void *arg);

#endif
