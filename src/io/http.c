/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl's multi_socket interface on the loop. libcurl must not be called from inside its own callbacks, and a user of
 * ours wants to start and cancel requests from inside his. So libcurl's callbacks only collect bytes; what they brought
 * is handed out afterwards, from a list of requests that have news (http_dispatch()). Connections are kept and used
 * again. It does not know what the bytes mean, retries nothing and follows no redirect.
 */
#include <curl/curl.h>
#include <strings.h>

#include "base/log.h"
#include "io/http.h"

#define HTTP_MAX_BYTES	      (8u << 20)
#define HTTP_CONNECT_MS	      5000
#define HTTP_ERROR_BODY	      65536 /* of a stream that was refused */
#define HTTP_KEPT_CONNECTIONS 8L

struct http_request {
	struct http *http;
	struct http_request *prev, *next;	      /* all requests */
	struct http_request *ready_prev, *ready_next; /* those with news */
	CURL *easy;
	struct curl_slist *headers;
	char *body_out;
	char where[200]; /* for messages: the socket or URL that was asked */
	char curl_error[CURL_ERROR_SIZE];
	size_t max_bytes;
	struct buf in;
	size_t in_seen; /* stream: bytes of @in that hold no newline */
	loop_fn *on_open;
	http_line_fn *on_line;
	http_done_fn *on_done;
	void *arg;
	bool stream, ready, opened, open_told, too_big, ended, cancelled, refused;
	CURLcode result;
};

struct http {
	uv_loop_t *loop;
	CURLM *multi;
	struct timer *timer;	/* libcurl's */
	struct timer *dispatch; /* fires when there is news outside of a libcurl call */
	struct http_request *all;
	struct http_request *ready_head, *ready_tail;
	struct http_request *current; /* whose callback runs */
	bool dispatching, dead;
};

static void http_dispatch(struct http *h);

static void ready_remove(struct http *h, struct http_request *r)
{
	if (r->ready_prev)
		r->ready_prev->ready_next = r->ready_next;
	else
		h->ready_head = r->ready_next;
	if (r->ready_next)
		r->ready_next->ready_prev = r->ready_prev;
	else
		h->ready_tail = r->ready_prev;
	r->ready_prev = r->ready_next = NULL;
	r->ready = false;
}

static struct http_request *ready_pop(struct http *h)
{
	struct http_request *r = h->ready_head;

	if (!r)
		return NULL;
	h->ready_head = r->ready_next;
	if (h->ready_head)
		h->ready_head->ready_prev = NULL;
	else
		h->ready_tail = NULL;
	r->ready_next = NULL;
	r->ready = false;
	return r;
}

static void ready_add(struct http_request *r)
{
	struct http *h = r->http;

	if (r->ready)
		return;
	r->ready = true;
	r->ready_prev = h->ready_tail;
	r->ready_next = NULL;
	if (h->ready_tail)
		h->ready_tail->ready_next = r;
	else
		h->ready_head = r;
	h->ready_tail = r;
}

/* Takes the request out of libcurl: nothing of it comes in any more. */
static void request_detach(struct http_request *r)
{
	if (!r->easy)
		return;
	if (r->http->multi)
		curl_multi_remove_handle(r->http->multi, r->easy);
	curl_easy_cleanup(r->easy);
	r->easy = NULL;
}

static void request_free(struct http *h, struct http_request *r)
{
	request_detach(r);
	if (r->ready)
		ready_remove(h, r);
	if (r->prev)
		r->prev->next = r->next;
	else
		h->all = r->next;
	if (r->next)
		r->next->prev = r->prev;
	curl_slist_free_all(r->headers);
	buf_done(&r->in);
	free(r->body_out);
	free(r);
}

/* ---- from libcurl ---- */

static void on_fd(void *arg, int events);

/** struct watch - What libcurl waits for on one socket */
struct watch {
	struct http *http;
	struct fdwatch *fdwatch;
	curl_socket_t fd;
};

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
	struct http *h = user;
	struct watch *w = socket_user;
	int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	if (what == CURL_POLL_REMOVE) {
		if (w) {
			fdwatch_free(w->fdwatch);
			free(w);
			curl_multi_assign(h->multi, fd, NULL);
		}
		return 0;
	}
	if (!w) {
		w = xcalloc(1, sizeof(*w));
		w->http = h;
		w->fd = fd;
		w->fdwatch = fdwatch_new(h->loop, "http", fd, events, on_fd, w);
		curl_multi_assign(h->multi, fd, w);
	} else {
		fdwatch_set(w->fdwatch, events);
	}
	return 0;
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *user)
{
	struct http *h = user;

	if (timeout_ms < 0)
		timer_stop(h->timer);
	else
		timer_start(h->timer, timeout_ms * USEC_PER_MSEC);
	return 0;
}

static size_t on_curl_header(char *data, size_t size, size_t n, void *user)
{
	struct http_request *r = user;
	size_t len = size * n;
	long status = 0;

	/* the empty line ends the headers; of an interim (1xx) answer too */
	if (len <= 2 && (len == 0 || data[0] == '\r' || data[0] == '\n')) {
		curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status >= 200) {
			r->opened = status < 300;
			r->refused = status >= 300;
			if (r->stream)
				ready_add(r);
		}
	}
	return len;
}

/* Would the bytes that have come make a line longer than allowed? Looks at new bytes only. */
static bool stream_line_too_long(struct http_request *r, const char *data, size_t len)
{
	const char *newline = memchr(data, '\n', len);
	const char *last = newline ? memrchr(data, '\n', len) : NULL;

	if (!newline) {
		r->in_seen += len;
		return r->in_seen > r->max_bytes;
	}
	if (r->in_seen + (size_t)(newline - data) > r->max_bytes)
		return true;
	r->in_seen = len - (size_t)(last + 1 - data);
	return r->in_seen > r->max_bytes;
}

static size_t on_curl_data(char *data, size_t size, size_t n, void *user)
{
	struct http_request *r = user;
	size_t len = size * n;

	if (r->stream && r->opened) {
		if (stream_line_too_long(r, data, len)) {
			r->too_big = true;
			return 0;
		}
		buf_append(&r->in, data, len);
		ready_add(r);
		return len;
	}
	if (r->stream && r->in.len + len > HTTP_ERROR_BODY)
		return len; /* enough of the excuse */
	if (!r->stream && r->in.len + len > r->max_bytes) {
		r->too_big = true;
		return 0;
	}
	buf_append(&r->in, data, len);
	return len;
}

/* ---- into libcurl ---- */

static void http_collect(struct http *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct http_request *r = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&r);
		r->ended = true;
		r->result = m->data.result;
		ready_add(r);
	}
}

static void http_action(struct http *h, curl_socket_t fd, int flags)
{
	int running;

	curl_multi_socket_action(h->multi, fd, flags, &running);
	http_collect(h);
	http_dispatch(h);
}

static void on_fd(void *arg, int events)
{
	struct watch *w = arg;

	http_action(w->http, w->fd,
		    (events & (UV_READABLE | UV_DISCONNECT) ? CURL_CSELECT_IN : 0) |
			    (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
	http_action(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void on_dispatch(void *arg)
{
	http_dispatch(arg);
}

/* ---- to the user ---- */

static int request_code(const struct http_request *r, struct err *err)
{
	const char *words = r->curl_error[0] ? r->curl_error : curl_easy_strerror(r->result);
	long os_errno = 0;
	int code = -EIO;

	if (r->too_big)
		return err_set(err, -E2BIG, "%s: %s of more than %zu bytes", r->where,
			       r->stream ? "a line" : "an answer", r->max_bytes);
	if (r->result == CURLE_OK)
		return 0;
	if (r->easy)
		curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &os_errno);
	if (r->result == CURLE_COULDNT_CONNECT) {
		code = os_errno > 0 ? (int)-os_errno : -ECONNREFUSED;
		return err_errno(err, code, "%s", r->where);
	}
	if (r->result == CURLE_OPERATION_TIMEDOUT)
		code = -ETIMEDOUT;
	else if (r->result == CURLE_COULDNT_RESOLVE_HOST)
		code = -EHOSTUNREACH;
	else if (r->result == CURLE_URL_MALFORMAT)
		code = -EINVAL;
	else if (r->result == CURLE_UNSUPPORTED_PROTOCOL)
		code = -EPROTONOSUPPORT;
	/* with TLS 1.3 the other side says what it thinks of our certificate when all is set up */
	else if ((strstr(words, "SSL") && strstr(words, "alert")) || r->result == CURLE_SSL_CONNECT_ERROR ||
		 r->result == CURLE_PEER_FAILED_VERIFICATION || r->result == CURLE_SSL_CERTPROBLEM ||
		 r->result == CURLE_SSL_CACERT_BADFILE)
		code = -EPROTO;
	else if (r->result == CURLE_GOT_NOTHING || r->result == CURLE_RECV_ERROR || r->result == CURLE_SEND_ERROR ||
		 r->result == CURLE_PARTIAL_FILE)
		code = -ECONNRESET;
	return err_set(err, code, "%s: %s", r->where, words);
}

static void line_tell(struct http_request *r, char *line, size_t len)
{
	if (len && line[len - 1] == '\r')
		len--;
	line[len] = '\0';
	if (len)
		r->on_line(r->arg, line, len);
}

/* Hand out the whole lines. A callback may cancel: then @r is marked, and freed by the dispatcher. */
static void stream_cut(struct http_request *r)
{
	struct buf in = r->in;
	size_t at = 0;
	char *newline;

	/* the callback's line lies in a buffer that nothing else touches: more bytes cannot come meanwhile */
	r->in = (struct buf){0};
	while (!r->cancelled && at < in.len && (newline = memchr(in.data + at, '\n', in.len - at))) {
		size_t len = (size_t)(newline - in.data) - at;
		char *line = in.data + at;

		at += len + 1;
		line_tell(r, line, len);
	}
	if (!r->cancelled && at < in.len) {
		memmove(in.data, in.data + at, in.len - at);
		in.len -= at;
		in.data[in.len] = '\0';
		r->in = in;
	} else {
		buf_done(&in);
	}
}

static void request_end(struct http_request *r)
{
	struct err err = {0};
	struct buf body = {0};
	int code = request_code(r, &err);
	long status = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	request_detach(r); /* its connection is free for the next request, which the callback may start */
	if (r->stream && r->opened) {
		/* a last line without newline counts when the answer ended as it should */
		if (code == 0 && r->in.len)
			line_tell(r, r->in.data, r->in.len);
	} else {
		body = r->in;
		r->in = (struct buf){0};
	}
	if (!r->cancelled) {
		buf_reserve(&body, 1);
		body.data[body.len] = '\0';
		r->on_done(r->arg, code, (int)status, &body, &err);
	}
	buf_done(&body);
}

static void request_tell(struct http_request *r)
{
	if (r->stream && r->opened && !r->open_told) {
		r->open_told = true;
		if (r->on_open)
			r->on_open(r->arg);
	}
	if (r->stream && r->opened && !r->cancelled)
		stream_cut(r);
	if (r->ended && !r->cancelled)
		request_end(r);
}

static void http_release(struct http *h)
{
	for (struct http_request *r = h->all, *next; r; r = next) {
		next = r->next;
		request_free(h, r);
	}
	if (h->multi)
		curl_multi_cleanup(h->multi);
	timer_free(h->timer);
	timer_free(h->dispatch);
	curl_global_cleanup();
	free(h);
}

static void http_dispatch(struct http *h)
{
	struct http_request *r;

	if (h->dispatching)
		return;
	h->dispatching = true;
	while (!h->dead && (r = ready_pop(h))) {
		h->current = r;
		request_tell(r);
		h->current = NULL;
		if (!h->dead && (r->ended || r->cancelled))
			request_free(h, r);
	}
	h->dispatching = false;
	if (h->dead)
		http_release(h);
}

/* ---- public ---- */

struct http *http_new(uv_loop_t *loop)
{
	struct http *h = xcalloc(1, sizeof(*h));

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	h->loop = loop;
	h->multi = curl_multi_init();
	if (!h->multi)
		abort();
	h->timer = timer_new(loop, "http timer", on_timer, h);
	h->dispatch = timer_new(loop, "http dispatch", on_dispatch, h);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, HTTP_KEPT_CONNECTIONS);
	curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	h->dead = true;
	if (!h->dispatching) {
		http_release(h);
		return;
	}
	/* inside a callback: the dispatcher does the rest, nobody is called any more */
	for (struct http_request *r = h->all; r; r = r->next)
		r->cancelled = true;
}

static void request_set_blob(CURL *easy, CURLoption option, const char *pem)
{
	struct curl_blob blob = {.flags = CURL_BLOB_COPY};

	if (!pem)
		return;
	/* libcurl does not write to it */
	memcpy(&blob.data, &pem, sizeof(pem));
	blob.len = strlen(pem);
	curl_easy_setopt(easy, option, &blob);
}

static void request_set_tls(CURL *easy, const struct http_spec *spec)
{
	if (spec->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, spec->ca_file);
	if (spec->cert_file)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, spec->cert_file);
	if (spec->key_file)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, spec->key_file);
	request_set_blob(easy, CURLOPT_CAINFO_BLOB, spec->ca_pem);
	request_set_blob(easy, CURLOPT_SSLCERT_BLOB, spec->cert_pem);
	request_set_blob(easy, CURLOPT_SSLKEY_BLOB, spec->key_pem);
}

static void request_set_body(struct http_request *r, const struct http_spec *spec)
{
	r->body_out = xstrdup(spec->body);
	r->headers = curl_slist_append(r->headers, "Content-Type: application/json");
	r->headers = curl_slist_append(r->headers, "Expect:"); /* no round trip to ask whether we may */
	curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, r->body_out);
	curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(r->body_out));
}

static void request_set_options(struct http_request *r, const struct http_spec *spec)
{
	const char *method = spec->method ? spec->method : "GET";
	CURL *easy = r->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, (void *)r);
	curl_easy_setopt(easy, CURLOPT_URL, spec->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* http_proxy is meant for others */
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->curl_error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_curl_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_curl_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	if (spec->unix_socket)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, spec->unix_socket);
	else
		curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	if (!r->stream && spec->timeout_ms > 0)
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)spec->timeout_ms);
	if (spec->body)
		request_set_body(r, spec);
	if (!spec->body && strcasecmp(method, "GET") == 0)
		curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	else
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	if (spec->authorization) {
		autofree char *header = xasprintf("Authorization: %s", spec->authorization);
		r->headers = curl_slist_append(r->headers, header);
	}
	if (r->headers)
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->headers);
	request_set_tls(easy, spec);
}

static struct http_request *request_start(struct http *h, const struct http_spec *spec, bool stream, loop_fn *on_open,
					  http_line_fn *on_line, http_done_fn *on_done, void *arg)
{
	struct http_request *r = xcalloc(1, sizeof(*r));
	CURLMcode mcode;

	r->http = h;
	r->stream = stream;
	r->on_open = on_open;
	r->on_line = on_line;
	r->on_done = on_done;
	r->arg = arg;
	r->max_bytes = spec->max_bytes ? spec->max_bytes : HTTP_MAX_BYTES;
	str_copy(r->where, spec->unix_socket ? spec->unix_socket : spec->url);
	r->next = h->all;
	if (h->all)
		h->all->prev = r;
	h->all = r;

	r->easy = curl_easy_init();
	if (!r->easy)
		abort();
	request_set_options(r, spec);
	mcode = curl_multi_add_handle(h->multi, r->easy);
	if (mcode != CURLM_OK) {
		log_debug("http request was not taken", kv_str("why", curl_multi_strerror(mcode)));
		r->ended = true;
		r->result = CURLE_FAILED_INIT;
		ready_add(r);
		timer_start(h->dispatch, 0); /* not from inside this call */
	}
	return r;
}

struct http_request *http_start(struct http *h, const struct http_spec *spec, http_done_fn *fn, void *arg)
{
	return request_start(h, spec, false, NULL, NULL, fn, arg);
}

struct http_request *http_stream(struct http *h, const struct http_spec *spec, loop_fn *on_open, http_line_fn *line,
				 http_done_fn *fn, void *arg)
{
	return request_start(h, spec, true, on_open, line, fn, arg);
}

void http_cancel(struct http_request *r)
{
	if (!r)
		return;
	if (r->http->current == r) {
		/* inside its own callback: the dispatcher frees it */
		r->cancelled = true;
		request_detach(r);
		return;
	}
	request_free(r->http, r);
}
