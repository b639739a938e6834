/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections of the server: a head, a body, an answer, the end. See http_server.h.
 */
#include "io/http_server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "io/file.h"
#include "io/http_message.h"

#define REQUEST_US (10 * USEC_PER_SEC) /* for a request to come, and for an answer to be taken */

enum exchange_state { READ_HEAD, READ_BODY, WORKING, WRITING };

struct http_exchange {
	struct http_server *server;
	int fd;
	struct fdwatch *watch;
	struct timer *deadline;
	enum exchange_state state;
	struct http_body framing;
	struct buf in, body, out; /* what came, the request's body, the answer */
	char path[128];
	size_t sent;
	loop_fn *gone;
	void *gone_arg;
};

struct http_server {
	uv_loop_t *loop;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd;
	struct fdwatch *watch;
	http_request_fn *fn;
	void *arg;
	struct http_exchange *exchanges[HTTP_SERVER_CONNECTIONS];
	size_t n;
};

static void server_watch(struct http_server *s)
{
	fdwatch_set(s->watch, s->n < HTTP_SERVER_CONNECTIONS ? UV_READABLE : 0);
}

static void exchange_free(struct http_exchange *x)
{
	struct http_server *s = x->server;

	for (size_t i = 0; i < s->n; i++)
		if (s->exchanges[i] == x)
			s->exchanges[i] = s->exchanges[--s->n];
	fdwatch_free(x->watch);
	timer_free(x->deadline);
	close(x->fd);
	buf_done(&x->in);
	buf_done(&x->body);
	buf_done(&x->out);
	free(x);
	server_watch(s);
}

/* The client left, or took too long */
static void exchange_end(struct http_exchange *x)
{
	loop_fn *gone = x->state == WORKING ? x->gone : NULL;
	void *arg = x->gone_arg;

	exchange_free(x);
	if (gone)
		gone(arg);
}

static void on_deadline(void *arg)
{
	exchange_end(arg);
}

static const char *status_text(int status)
{
	return status == 200   ? "OK"
	       : status == 404 ? "Not Found"
	       : status < 500  ? "Bad Request"
			       : "Internal Server Error";
}

static void exchange_write(struct http_exchange *x)
{
	char rest[16384];

	while (x->sent < x->out.len) {
		ssize_t n = send(x->fd, x->out.data + x->sent, x->out.len - x->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			fdwatch_set(x->watch, UV_WRITABLE);
			return;
		}
		if (n < 0)
			break;
		x->sent += (size_t)n;
	}
	/* closed with something unread, the client would see a reset and not the answer */
	for (size_t i = 0; i < HTTP_SERVER_BODY; i += sizeof(rest))
		if (recv(x->fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
			break;
	exchange_free(x);
}

void http_reply(struct http_exchange *x, int status, const char *body, size_t len)
{
	x->state = WRITING;
	buf_printf(
		&x->out,
		"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		status, status_text(status), len);
	buf_append(&x->out, body, len);
	timer_start(x->deadline, REQUEST_US);
	exchange_write(x);
}

void http_exchange_gone(struct http_exchange *x, loop_fn *fn, void *arg)
{
	x->gone = fn;
	x->gone_arg = arg;
}

static void reply_error(struct http_exchange *x, const char *why)
{
	autofree char *text = xasprintf("{\"Err\":\"%s\"}", why);

	http_reply(x, 400, text, strlen(text));
}

/* "POST /Plugin.Activate HTTP/1.1" */
static bool path_take(struct http_exchange *x, const struct http_head *h)
{
	const char *at = h->start.s + h->method.len + 1;
	size_t len = h->start.len - h->method.len - 1 - strlen(" HTTP/1.1");

	if (!http_text_is(h->method, "POST") || len == 0 || len >= sizeof(x->path) || at[0] != '/')
		return false;
	memcpy(x->path, at, len);
	x->path[len] = '\0';
	return true;
}

/* Return: false: it has ended, or been answered */
static bool head_take(struct http_exchange *x)
{
	struct http_head *h;
	size_t end = http_head_end(x->in.data, x->in.len);
	bool ok;

	if (!end && x->in.len < HTTP_HEAD_BYTES)
		return false;
	if (!end || end > HTTP_HEAD_BYTES) {
		reply_error(x, "head of more than 16384 bytes");
		return false;
	}
	h = xmalloc(sizeof(*h));
	ok = http_head_parse(x->in.data, end, false, h) == 0 && path_take(x, h);
	if (ok)
		http_body_begin(&x->framing, h->chunked ? HTTP_CHUNKED : HTTP_LENGTH, h->length);
	ok = ok && h->length <= (int64_t)HTTP_SERVER_BODY;
	free(h);
	if (!ok) {
		reply_error(x, "allowed is POST /NAME with a body of at most 1 MiB");
		return false;
	}
	memmove(x->in.data, x->in.data + end, x->in.len - end);
	x->in.len -= end;
	x->state = READ_BODY;
	return true;
}

static void body_take(struct http_exchange *x)
{
	ssize_t n = http_body_next(&x->framing, x->in.data, x->in.len, &x->body);

	buf_clear(&x->in);
	if (n < 0 || x->body.len > HTTP_SERVER_BODY) {
		reply_error(x, "a body that is malformed, or of more than 1 MiB");
		return;
	}
	if (!x->framing.done)
		return;
	x->state = WORKING;
	timer_stop(x->deadline);
	x->server->fn(x->server->arg, x, x->path, &x->body);
}

static void exchange_read(struct http_exchange *x)
{
	char chunk[16384];
	ssize_t n = recv(x->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		exchange_end(x);
		return;
	}
	if (x->state == WORKING) /* it was told that the connection ends with the answer */
		return;
	buf_append(&x->in, chunk, (size_t)n);
	if (x->state == READ_HEAD && !head_take(x))
		return;
	body_take(x);
}

static void on_exchange(void *arg, int events)
{
	struct http_exchange *x = arg;

	if (x->state == WRITING)
		exchange_write(x);
	else
		exchange_read(x);
}

static void on_connection(void *arg, int events)
{
	struct http_server *s = arg;
	struct http_exchange *x;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	x = xcalloc(1, sizeof(*x));
	x->server = s;
	x->fd = fd;
	s->exchanges[s->n++] = x;
	x->deadline = timer_new(s->loop, "http request", on_deadline, x);
	timer_start(x->deadline, REQUEST_US);
	x->watch = fdwatch_new(s->loop, "http request", fd, UV_READABLE, on_exchange, x);
	server_watch(s);
}

/* --- the socket --- */

static bool somebody_answers(const struct sockaddr_un *at)
{
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* EAGAIN: its queue is full */
	return fd >= 0 && (connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 || errno == EAGAIN);
}

static int folder_make(const char *path, struct err *err)
{
	autofree char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');

	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	return dir_make(dir, 0755, err);
}

static int server_bind(struct http_server *s, struct err *err)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX}, fresh = {.sun_family = AF_UNIX};
	int rc = folder_make(s->path, err);

	if (rc < 0)
		return rc;
	str_copy(at.sun_path, s->path);
	if (snprintf(fresh.sun_path, sizeof(fresh.sun_path), "%s.new", s->path) >= (int)sizeof(fresh.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: allowed are %zu bytes", s->path, sizeof(at.sun_path) - 5);
	if (somebody_answers(&at))
		return err_set(err, -EADDRINUSE, "%s: another process answers there", s->path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return err_errno(err, -errno, "socket");
	unlink(fresh.sun_path);
	if (bind(s->fd, (struct sockaddr *)&fresh, sizeof(fresh)) < 0 || chmod(fresh.sun_path, 0600) < 0 ||
	    listen(s->fd, HTTP_SERVER_CONNECTIONS) < 0 || rename(fresh.sun_path, at.sun_path) < 0) {
		rc = err_errno(err, -errno, "listen at %s", s->path);
		unlink(fresh.sun_path);
	}
	return rc;
}

int http_server_new(uv_loop_t *loop, const char *path, http_request_fn *fn, void *arg, struct http_server **ret,
		    struct err *err)
{
	struct http_server *s = xcalloc(1, sizeof(*s));
	int rc;

	s->loop = loop;
	s->fn = fn;
	s->arg = arg;
	s->fd = -1;
	rc = str_copy(s->path, path)
		     ? server_bind(s, err)
		     : err_set(err, -ENAMETOOLONG, "%s: allowed are %zu bytes", path, sizeof(s->path) - 5);
	if (rc < 0) {
		autoclose_(&s->fd);
		free(s);
		return rc;
	}
	s->watch = fdwatch_new(loop, "http server", s->fd, UV_READABLE, on_connection, s);
	*ret = s;
	return 0;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	while (s->n)
		exchange_free(s->exchanges[s->n - 1]);
	fdwatch_free(s->watch);
	unlink(s->path);
	close(s->fd);
	free(s);
}
