/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP client over libcurl's multi interface on the loop: plain answers with a bound, and endless streams that are cut
 * into lines. http://, https:// and unix sockets.
 */
#ifndef IO_HTTP_H
#define IO_HTTP_H

#include "base/base.h"
#include "io/loop.h"

struct http;	     /* one per loop */
struct http_request; /* one in flight */

/** struct http_spec - A request; all strings are copied */
struct http_spec {
	const char *method;	 /* "GET", "POST"; NULL: GET */
	const char *unix_socket; /* path, or NULL */
	const char *url;	 /* http://localhost/v1.41/events?... */
	const char *body;	 /* NULL: none; application/json */
	size_t max_bytes;	 /* of the answer, of one line in a stream; 0: 8 MiB */
	int timeout_ms;		 /* whole request; 0: none. A stream has only a connect timeout of 5 s */
	const char *ca_file, *cert_file, *key_file; /* TLS, or NULL */
	const char *ca_pem, *cert_pem, *key_pem;    /* the same as text, for who may not read the files; or NULL */
	const char *authorization;		    /* that header's value, or NULL; secret: it is never logged */
};

/**
 * http_done_fn - The request has ended; it is freed after the callback
 * @code: 0 and @status the HTTP status, or a negative errno and @err says why
 * @body: the answer (empty for streams whose status was 2xx)
 */
typedef void http_done_fn(void *arg, int code, int status, const struct buf *body, const struct err *err);
/** http_line_fn - One line of a stream, without newline, NUL-terminated. */
typedef void http_line_fn(void *arg, char *line, size_t len);

struct http *http_new(uv_loop_t *loop);
void http_free(struct http *h); /* cancels all; no callback is called */

/** http_get() - Start; @fn is called exactly once from the loop, unless cancelled. */
struct http_request *http_start(struct http *h, const struct http_spec *spec, http_done_fn *fn, void *arg);
/**
 * http_stream() - Start an endless request
 * @on_open: called once with the loop running when a 2xx status line and headers have come (may be NULL)
 */
struct http_request *http_stream(struct http *h, const struct http_spec *spec, loop_fn *on_open, http_line_fn *line,
				 http_done_fn *fn, void *arg);
void http_cancel(struct http_request *r); /* frees it; no callback */

#endif
