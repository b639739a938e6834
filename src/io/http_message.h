/* SPDX-License-Identifier: Apache-2.0
 *
 * As much of HTTP/1.1 as a relay or a small server needs (RFC 9112): the head of a message, and where its body ends.
 * Whatever two parsers could read in two ways is refused. Pure.
 */
#ifndef IO_HTTP_MESSAGE_H
#define IO_HTTP_MESSAGE_H

#include "base/base.h"

#define HTTP_HEAD_BYTES 16384
#define HTTP_HEADERS	100

struct http_text {
	const char *s; /* not terminated */
	size_t len;
};

struct http_header {
	struct http_text name, value;
};

enum http_framing { HTTP_NONE, HTTP_LENGTH, HTTP_CHUNKED, HTTP_UNTIL_CLOSE };

/** struct http_head - Borrows the bytes that it was parsed from */
struct http_head {
	struct http_text start;
	struct http_header headers[HTTP_HEADERS];
	size_t n;
	int status; /* of a response, 0: it is a request */
	struct http_text method;
	bool chunked;
	int64_t length; /* Content-Length, -1: not told */
};

/** http_head_end() - Where the head in @b ends, behind its empty line. Return: bytes, 0: not yet */
size_t http_head_end(const char *b, size_t len);
/** http_head_parse() - A whole head. Return: 0 or -EBADMSG */
int http_head_parse(const char *b, size_t len, bool response, struct http_head *ret) MUST_USE;
const struct http_header *http_head_find(const struct http_head *h, const char *name); /* NULL: none */
bool http_text_is(struct http_text t, const char *s);				       /* whatever the case */
/** http_text_trim() - Without the blanks at both ends */
struct http_text http_text_trim(struct http_text t);
/** http_token_len() - How many bytes of @t, from the first one on, are a token (RFC 9110 section 5.6.2) */
size_t http_token_len(struct http_text t);
/** http_line_next() - Take the first line from @rest, without CR LF or LF. Return: false: it holds what no line may */
bool http_line_next(struct http_text *rest, struct http_text *ret);

/** struct http_body - How far a body has come; http_body_begin(), then http_body_next() with what comes */
struct http_body {
	enum http_framing framing;
	uint64_t left; /* of the length, or of a chunk */
	int state;
	unsigned line; /* bytes of a line between chunks */
	bool digits;
	bool done;
};

void http_body_begin(struct http_body *b, enum http_framing framing, int64_t length);
/**
 * http_body_next() - Look at the next bytes
 * @text: what of them is the body itself is appended, NULL: not wanted
 *
 * Return: how many belong to the message (all, or up to its end: see .done); -EBADMSG
 */
ssize_t http_body_next(struct http_body *b, const char *data, size_t len, struct buf *text) MUST_USE;

#endif
