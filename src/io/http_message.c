/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads and framings.
 */
#include "io/http_message.h"

#include <strings.h>

#define LINE_MAX_ 4096 /* between chunks, and all trailers together */

enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END, TRAILER_BEGIN, TRAILER };

bool http_text_is(struct http_text t, const char *s)
{
	return t.len == strlen(s) && !strncasecmp(t.s, s, t.len);
}

size_t http_head_end(const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const char *p = memchr(b + i, '\n', len - i);

		if (!p)
			return 0;
		i = (size_t)(p - b);
		if (i + 1 < len && b[i + 1] == '\n')
			return i + 2;
		if (i + 2 < len && b[i + 1] == '\r' && b[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

static bool is_token(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool http_line_next(struct http_text *rest, struct http_text *ret)
{
	const char *end = memchr(rest->s, '\n', rest->len);
	size_t len = end ? (size_t)(end - rest->s) : rest->len, used = end ? len + 1 : len;

	ret->s = rest->s;
	ret->len = len && rest->s[len - 1] == '\r' && end ? len - 1 : len;
	rest->s += used;
	rest->len -= used;
	for (size_t i = 0; i < ret->len; i++) {
		unsigned char c = (unsigned char)ret->s[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

size_t http_token_len(struct http_text t)
{
	size_t n = 0;

	while (n < t.len && is_token((unsigned char)t.s[n]))
		n++;
	return n;
}

struct http_text http_text_trim(struct http_text t)
{
	while (t.len && is_blank(t.s[0])) {
		t.s++;
		t.len--;
	}
	while (t.len && is_blank(t.s[t.len - 1]))
		t.len--;
	return t;
}

static int start_parse(struct http_text line, bool response, struct http_head *ret)
{
	size_t n;

	ret->start = line;
	if (response) {
		if (line.len < 12 || (memcmp(line.s, "HTTP/1.1 ", 9) != 0 && memcmp(line.s, "HTTP/1.0 ", 9) != 0) ||
		    (line.len > 12 && line.s[12] != ' '))
			return -EBADMSG;
		for (size_t i = 9; i < 12; i++) {
			if (line.s[i] < '0' || line.s[i] > '9')
				return -EBADMSG;
			ret->status = ret->status * 10 + line.s[i] - '0';
		}
		return ret->status >= 100 ? 0 : -EBADMSG;
	}
	n = http_token_len(line);
	ret->method = (struct http_text){line.s, n};
	/* "GET /x HTTP/1.1": two blanks, no more */
	if (!n || line.len < n + 11 || line.s[n] != ' ' ||
	    (memcmp(line.s + line.len - 9, " HTTP/1.1", 9) != 0 && memcmp(line.s + line.len - 9, " HTTP/1.0", 9) != 0))
		return -EBADMSG;
	for (size_t i = n + 1; i < line.len - 9; i++)
		if (is_blank(line.s[i]))
			return -EBADMSG;
	return 0;
}

static int length_parse(struct http_text v, int64_t *ret)
{
	int64_t n = 0;

	if (!v.len || v.len > 18)
		return -EBADMSG;
	for (size_t i = 0; i < v.len; i++) {
		if (v.s[i] < '0' || v.s[i] > '9')
			return -EBADMSG;
		n = n * 10 + (v.s[i] - '0');
	}
	*ret = n;
	return 0;
}

static int header_parse(struct http_text line, struct http_head *ret)
{
	struct http_header h = {.name = {line.s, http_token_len(line)}};

	/* no blank in front of the colon, no folded line */
	if (!h.name.len || h.name.len == line.len || line.s[h.name.len] != ':' || ret->n >= HTTP_HEADERS)
		return -EBADMSG;
	h.value = http_text_trim((struct http_text){line.s + h.name.len + 1, line.len - h.name.len - 1});
	if (http_text_is(h.name, "Content-Length")) {
		if (ret->length >= 0 || length_parse(h.value, &ret->length))
			return -EBADMSG;
	}
	if (http_text_is(h.name, "Transfer-Encoding")) {
		if (ret->chunked || !http_text_is(h.value, "chunked"))
			return -EBADMSG;
		ret->chunked = true;
	}
	ret->headers[ret->n++] = h;
	return 0;
}

int http_head_parse(const char *b, size_t len, bool response, struct http_head *ret)
{
	struct http_text rest = {b, len}, line;

	ret->n = 0;
	ret->status = 0;
	ret->chunked = false;
	ret->length = -1;
	ret->method = (struct http_text){0};
	if (!http_line_next(&rest, &line) || start_parse(line, response, ret))
		return -EBADMSG;
	for (;;) {
		if (!rest.len || !http_line_next(&rest, &line))
			return -EBADMSG;
		if (!line.len)
			break;
		if (header_parse(line, ret))
			return -EBADMSG;
	}
	/* both: two parsers, two ends (RFC 9112 section 6.3) */
	return ret->chunked && ret->length >= 0 ? -EBADMSG : 0;
}

const struct http_header *http_head_find(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		if (http_text_is(h->headers[i].name, name))
			return &h->headers[i];
	return NULL;
}

/* --- bodies --- */

void http_body_begin(struct http_body *b, enum http_framing framing, int64_t length)
{
	*b = (struct http_body){.framing = framing, .left = length > 0 ? (uint64_t)length : 0, .state = CHUNK_SIZE};
	b->done = framing == HTTP_NONE || (framing == HTTP_LENGTH && !b->left);
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* A byte that is not inside a chunk. Return: 0 or -EBADMSG */
static int chunk_byte(struct http_body *b, char c)
{
	if (++b->line > LINE_MAX_)
		return -EBADMSG;
	switch (b->state) {
	case CHUNK_SIZE:
		if (hex(c) >= 0) {
			if (b->left >> 56)
				return -EBADMSG;
			b->left = b->left << 4 | (uint64_t)hex(c);
			b->digits = true;
			return 0;
		}
		if (!b->digits || (c != '\r' && c != '\n' && c != ';' && c != ' ' && c != '\t'))
			return -EBADMSG;
		b->state = CHUNK_EXTENSION;
		/* fall through */
	case CHUNK_EXTENSION:
		if (c != '\n')
			return 0;
		b->state = b->left ? CHUNK_DATA : TRAILER_BEGIN;
		b->digits = false;
		if (b->left)
			b->line = 0;
		return 0;
	case CHUNK_END:
		if (c == '\r')
			return b->line > 1 ? -EBADMSG : 0;
		b->state = CHUNK_SIZE;
		b->line = 0;
		return c == '\n' ? 0 : -EBADMSG;
	case TRAILER_BEGIN:
		if (c == '\n')
			b->done = true;
		else if (c != '\r')
			b->state = TRAILER;
		return 0;
	default: /* TRAILER */
		if (c == '\n')
			b->state = TRAILER_BEGIN;
		return 0;
	}
}

ssize_t http_body_next(struct http_body *b, const char *data, size_t len, struct buf *text)
{
	size_t at = 0;

	while (at < len && !b->done) {
		size_t n = len - at;
		bool inside = b->framing != HTTP_CHUNKED || b->state == CHUNK_DATA;

		if (!inside) {
			if (chunk_byte(b, data[at++]))
				return -EBADMSG;
			continue;
		}
		if (b->framing != HTTP_UNTIL_CLOSE && n > b->left)
			n = (size_t)b->left;
		if (text)
			buf_append(text, data + at, n);
		at += n;
		if (b->framing == HTTP_UNTIL_CLOSE)
			continue;
		b->left -= n;
		if (!b->left && b->framing == HTTP_CHUNKED)
			b->state = CHUNK_END;
		else if (!b->left)
			b->done = true;
	}
	return (ssize_t)at;
}
