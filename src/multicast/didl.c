/* SPDX-License-Identifier: Apache-2.0
 *
 * Two readers, one for each way, and the requests between them whose replies are still to come.
 */
#include "multicast/didl.h"

#include <strings.h>

#include "io/http_message.h"

/* struct way: one direction */
struct way {
	struct buf head; /* what has come of it */
	struct http_body body;
	bool in_body;
};

struct didl {
	char inside[ENDPOINT_STRLEN], outside[ENDPOINT_STRLEN];
	char bare[IP_STRLEN + 2]; /* inside without port, where that says the same: port 80; else empty */
	struct way request, response;
	bool head_only[DIDL_REQUESTS]; /* of the requests that wait: HEAD */
	size_t first, waiting;
	bool tunnel;
	struct buf xml, raw; /* a body that is to be changed: itself, and how it came */
	bool keeping;
	uint64_t rewritten;
};

struct didl *didl_new(const struct endpoint *inside, const struct endpoint *outside)
{
	struct didl *d = xcalloc(1, sizeof(*d));

	endpoint_format(inside, d->inside);
	endpoint_format(outside, d->outside);
	if (inside->port == 80) {
		char ip[IP_STRLEN];

		ip_format(&inside->ip, ip);
		snprintf(d->bare, sizeof(d->bare), inside->ip.family == AF_INET6 ? "[%s]" : "%s", ip);
	}
	return d;
}

void didl_free(struct didl *d)
{
	if (!d)
		return;
	buf_done(&d->request.head);
	buf_done(&d->response.head);
	buf_done(&d->xml);
	buf_done(&d->raw);
	free(d);
}

uint64_t didl_rewritten(const struct didl *d)
{
	return d->rewritten;
}

size_t didl_kept(const struct didl *d)
{
	return d->request.head.len + d->response.head.len + d->xml.len + d->raw.len;
}

/* --- addresses --- */

/* How many bytes behind "http://" name the server; 0: they do not */
static size_t names_server(const struct didl *d, const char *s, size_t len)
{
	size_t n = strlen(d->inside);

	/* 8200 is not the beginning of 82001 */
	if (len >= n && !memcmp(s, d->inside, n) && (len == n || s[n] < '0' || s[n] > '9'))
		return n;
	n = strlen(d->bare);
	if (n && len >= n && !memcmp(s, d->bare, n) &&
	    (len == n || !(s[n] == ':' || s[n] == '.' || (s[n] >= '0' && s[n] <= '9'))))
		return n;
	return 0;
}

static void rewrite(struct didl *d, const char *s, size_t len, struct buf *out)
{
	static const char scheme[] = "http://";
	const size_t n_scheme = sizeof(scheme) - 1;

	while (len) {
		const char *p = memmem(s, len, scheme, n_scheme);
		size_t n = p ? (size_t)(p - s) + n_scheme : len, named;

		buf_append(out, s, n);
		s += n;
		len -= n;
		named = p ? names_server(d, s, len) : 0;
		if (!named)
			continue;
		buf_puts(out, d->outside);
		s += named;
		len -= named;
		d->rewritten++;
	}
}

/* --- heads --- */

static void text_put(struct buf *b, struct http_text t)
{
	buf_append(b, t.s, t.len);
}

static void header_put(struct buf *b, const struct http_header *h)
{
	text_put(b, h->name);
	buf_puts(b, ": ");
	text_put(b, h->value);
	buf_puts(b, "\r\n");
}

static void request_put(const struct didl *d, const struct http_head *h, struct buf *out)
{
	text_put(out, h->start);
	buf_puts(out, "\r\n");
	for (size_t i = 0; i < h->n; i++) {
		if (http_text_is(h->headers[i].name, "Host"))
			buf_printf(out, "Host: %s\r\n", d->inside);
		else if (!http_text_is(h->headers[i].name, "Accept-Encoding"))
			header_put(out, &h->headers[i]);
	}
	buf_puts(out, "\r\n");
}

/* @length < 0: as the head has it */
static void response_put(struct didl *d, const struct http_head *h, int64_t length, bool unknown, struct buf *out)
{
	text_put(out, h->start);
	buf_puts(out, "\r\n");
	for (size_t i = 0; i < h->n; i++) {
		const struct http_header *e = &h->headers[i];

		if ((length >= 0 || unknown) &&
		    (http_text_is(e->name, "Content-Length") || http_text_is(e->name, "Transfer-Encoding") ||
		     http_text_is(e->name, "Trailer")))
			continue;
		if (http_text_is(e->name, "Location") || http_text_is(e->name, "Content-Location")) {
			text_put(out, e->name);
			buf_puts(out, ": ");
			rewrite(d, e->value.s, e->value.len, out);
			buf_puts(out, "\r\n");
			continue;
		}
		header_put(out, e);
	}
	if (length >= 0)
		buf_printf(out, "Content-Length: %lld\r\n", (long long)length);
	buf_puts(out, "\r\n");
}

static bool is_xml(const struct http_head *h)
{
	const struct http_header *type = http_head_find(h, "Content-Type"),
				 *coding = http_head_find(h, "Content-Encoding");
	size_t n = 0;

	if (!type || (coding && !http_text_is(coding->value, "identity")))
		return false;
	while (n < type->value.len && type->value.s[n] != ';' && type->value.s[n] != ' ')
		n++;
	const struct http_text t = {type->value.s, n};

	return http_text_is(t, "text/xml") || http_text_is(t, "application/xml") ||
	       (n > 4 && !strncasecmp(t.s + n - 4, "+xml", 4));
}

static enum http_framing framing_of(const struct http_head *h, bool response)
{
	if (h->chunked)
		return HTTP_CHUNKED;
	if (h->length >= 0)
		return HTTP_LENGTH;
	return response ? HTTP_UNTIL_CLOSE : HTTP_NONE;
}

/*
 * Gather a head.
 * Return: how many of the bytes it took; @ret_whole: its length, when it is whole. -EBADMSG: too long
 */
static ssize_t head_gather(struct way *w, const char *data, size_t len, size_t *ret_whole)
{
	size_t had = w->head.len, take = HTTP_HEAD_BYTES - had, end;

	if (take > len)
		take = len;
	buf_append(&w->head, data, take);
	/* the empty line may have begun in what was there */
	size_t from = had > 3 ? had - 3 : 0;

	end = http_head_end(w->head.data + from, w->head.len - from);
	if (!end) {
		*ret_whole = 0;
		return w->head.len >= HTTP_HEAD_BYTES ? -EBADMSG : (ssize_t)take;
	}
	*ret_whole = from + end;
	w->head.len = *ret_whole;
	return (ssize_t)(*ret_whole - had);
}

/* --- requests --- */

static int request_head(struct didl *d, size_t len, struct buf *out)
{
	struct http_head h;

	if (http_head_parse(d->request.head.data, len, false, &h) || d->waiting >= DIDL_REQUESTS ||
	    http_text_is(h.method, "CONNECT"))
		return -EBADMSG;
	d->head_only[(d->first + d->waiting++) % DIDL_REQUESTS] = http_text_is(h.method, "HEAD");
	request_put(d, &h, out);
	http_body_begin(&d->request.body, framing_of(&h, false), h.length);
	d->request.in_body = !d->request.body.done;
	return 0;
}

/* Empty lines in front of a message are nothing (RFC 9112 section 2.2) */
static size_t blank_lines(const struct way *w, const char *data, size_t len)
{
	size_t n = 0;

	while (!w->head.len && n < len && (data[n] == '\r' || data[n] == '\n'))
		n++;
	return n;
}

int didl_request(struct didl *d, const void *data, size_t len, struct buf *out)
{
	const char *p = data;

	while (len && !d->tunnel) {
		struct way *w = &d->request;
		size_t whole = 0;
		ssize_t n;

		if (w->in_body) {
			n = http_body_next(&w->body, p, len, NULL);
			if (n < 0)
				return -EBADMSG;
			buf_append(out, p, (size_t)n);
			w->in_body = !w->body.done;
		} else if ((n = (ssize_t)blank_lines(w, p, len)) == 0) {
			n = head_gather(w, p, len, &whole);
			if (n < 0 || (whole && request_head(d, whole, out)))
				return -EBADMSG;
			if (whole)
				buf_clear(&w->head);
		}
		p += n;
		len -= (size_t)n;
	}
	buf_append(out, p, len);
	return 0;
}

/* --- replies --- */

/* The kept body, changed, behind its head */
static void xml_finish(struct didl *d, struct buf *out)
{
	autobuf struct buf text = {0};
	struct http_head h;

	rewrite(d, d->xml.data ? d->xml.data : "", d->xml.len, &text);
	/* it was parsed before */
	if (http_head_parse(d->response.head.data, d->response.head.len, true, &h) == 0) {
		response_put(d, &h, (int64_t)text.len, false, out);
		buf_append(out, text.data, text.len);
	}
	d->keeping = false;
	buf_done(&d->xml);
	buf_done(&d->raw);
}

/* It is too long: it passes as it came */
static void xml_give_up(struct didl *d, struct buf *out)
{
	struct http_head h;

	if (http_head_parse(d->response.head.data, d->response.head.len, true, &h) == 0)
		response_put(d, &h, -1, false, out);
	buf_append(out, d->raw.data, d->raw.len);
	d->keeping = false;
	buf_done(&d->xml);
	buf_done(&d->raw);
	buf_clear(&d->response.head);
}

static int response_head(struct didl *d, size_t len, struct buf *out)
{
	struct way *w = &d->response;
	enum http_framing framing;
	struct http_head h;
	bool head_only, xml;

	if (http_head_parse(w->head.data, len, true, &h) || !d->waiting)
		return -EBADMSG;
	if (h.status == 101) {
		d->tunnel = true;
		response_put(d, &h, -1, false, out);
		return 0;
	}
	if (h.status < 200) {
		/* before the reply itself */
		response_put(d, &h, -1, false, out);
		return 0;
	}
	head_only = d->head_only[d->first];
	d->first = (d->first + 1) % DIDL_REQUESTS;
	d->waiting--;
	framing = h.status == 204 || h.status == 304 || head_only ? HTTP_NONE : framing_of(&h, true);
	http_body_begin(&w->body, framing, h.length);
	w->in_body = !w->body.done;
	/* a part of a body cannot be changed: its place in the whole would be another */
	xml = is_xml(&h) && h.status != 206 && h.length <= (int64_t)DIDL_XML_BYTES;
	if (w->in_body && xml) {
		d->keeping = true;
		return 0;
	}
	response_put(d, &h, -1, head_only && xml, out);
	return 0;
}

static ssize_t response_body(struct didl *d, const char *p, size_t len, struct buf *out)
{
	struct way *w = &d->response;
	ssize_t n = http_body_next(&w->body, p, len, d->keeping ? &d->xml : NULL);

	if (n < 0)
		return -EBADMSG;
	buf_append(d->keeping ? &d->raw : out, p, (size_t)n);
	w->in_body = !w->body.done;
	if (d->keeping && d->raw.len > DIDL_XML_BYTES + HTTP_HEAD_BYTES)
		xml_give_up(d, out);
	else if (d->keeping && !w->in_body)
		xml_finish(d, out);
	if (!w->in_body)
		buf_clear(&w->head);
	return n;
}

int didl_response(struct didl *d, const void *data, size_t len, struct buf *out)
{
	const char *p = data;

	while (len && !d->tunnel) {
		struct way *w = &d->response;
		size_t whole = 0;
		ssize_t n;

		if (w->in_body) {
			n = response_body(d, p, len, out);
			if (n < 0)
				return -EBADMSG;
		} else if ((n = (ssize_t)blank_lines(w, p, len)) == 0) {
			n = head_gather(w, p, len, &whole);
			if (n < 0 || (whole && response_head(d, whole, out)))
				return -EBADMSG;
			if (whole && !d->keeping)
				buf_clear(&w->head);
		}
		p += n;
		len -= (size_t)n;
	}
	buf_append(out, p, len);
	return 0;
}

int didl_response_end(struct didl *d, struct buf *out)
{
	struct way *w = &d->response;

	if (d->tunnel)
		return 0;
	if (w->in_body && w->body.framing == HTTP_UNTIL_CLOSE) {
		w->in_body = false;
		if (d->keeping)
			xml_finish(d, out);
		buf_clear(&w->head);
		return 0;
	}
	return w->in_body || w->head.len ? -EBADMSG : 0;
}
