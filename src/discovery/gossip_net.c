/* SPDX-License-Identifier: Apache-2.0
 *
 * UDP, TCP, and the table of connections.
 */
#include "discovery/gossip_net.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/log.h"

#define CONNS		 96 /* in all; more than gossip has streams, since some are fresh or about to close */
#define FRESH_FROM	 4  /* of one address, before they have said anything of worth */
#define FRESH_US	 (2 * USEC_PER_SEC)
#define CLOSING_US	 (2 * USEC_PER_SEC)
#define BACKLOG		 64
#define ACCEPTS_A_TURN	 16
#define DATAGRAMS_A_TURN 256
#define READS_A_TURN	 8
#define READ_BYTES	 16384
#define RECEIVE_BYTES	 (4 << 20)

enum conn_state { CONN_CONNECTING, CONN_HELLO, CONN_OPEN, CONN_CLOSING /* when all is sent */, CONN_DEAD };

struct conn {
	struct gossip_net *net;
	uint32_t number; /* 0: nobody knows it yet */
	enum conn_state state;
	bool opened; /* by us */
	bool told;   /* that it is open */
	struct endpoint peer;
	int fd;
	struct fdwatch *watch;
	struct frames frames;
	struct buf out;
	size_t sent;
	int64_t end_us; /* CONN_HELLO by others, CONN_CLOSING, what failed at once: dead then; else INT64_MAX */
	int code;	/* why, then */
};

struct gossip_net {
	uv_loop_t *loop;
	struct gossip_net_events events;
	struct endpoint at;
	int udp, tcp; /* -1: none */
	struct fdwatch *udp_watch, *tcp_watch;
	struct conn *conns[CONNS];
	size_t n_conns;
	struct timer *sweep;
};

/* --- connections --- */

static struct conn *conn_find(const struct gossip_net *n, uint32_t number)
{
	for (size_t i = 0; i < n->n_conns; i++) {
		if (n->conns[i]->number == number && n->conns[i]->state < CONN_CLOSING)
			return n->conns[i];
	}
	return NULL;
}

static void conn_free(struct conn *c)
{
	fdwatch_free(c->watch);
	if (c->fd >= 0)
		close(c->fd);
	frames_done(&c->frames);
	buf_done(&c->out);
	free(c);
}

static void conn_end(struct conn *c, int code);

/* Callbacks may be on the way up the stack: what is dead is freed from the loop */
static void conns_sweep(void *arg)
{
	struct gossip_net *n = arg;
	int64_t now_us = mono_now().us, next_us = INT64_MAX;

	for (size_t i = n->n_conns; i-- > 0;) {
		struct conn *c = n->conns[i];

		if (c->state != CONN_DEAD && c->end_us > now_us) {
			next_us = c->end_us < next_us ? c->end_us : next_us;
			continue;
		}
		conn_end(c, c->code ? c->code : -ETIMEDOUT);
		conn_free(c);
		n->conns[i] = n->conns[--n->n_conns];
	}
	if (next_us != INT64_MAX)
		timer_start(n->sweep, next_us - now_us);
}

static void sweep_by(struct gossip_net *n, int64_t us)
{
	if (us == 0 || !timer_is_set(n->sweep))
		timer_start(n->sweep, us);
}

/* @code: of a stream of ours that did not open */
static void conn_end(struct conn *c, int code)
{
	struct gossip_net *n = c->net;
	uint32_t number = c->number;
	enum conn_state was = c->state;

	if (was == CONN_DEAD)
		return;
	c->state = CONN_DEAD;
	c->number = 0;
	fdwatch_set(c->watch, 0);
	sweep_by(n, 0);
	if (was == CONN_CLOSING)
		return;
	if (c->opened && !c->told)
		n->events.opened(n->events.arg, &c->peer, code);
	if (number)
		n->events.closed(n->events.arg, number);
}

static struct conn *conn_add(struct gossip_net *n, int fd, const struct endpoint *peer, bool opened, fdwatch_fn *fn)
{
	struct conn *c = xcalloc(1, sizeof(*c));
	int on = 1;

	*c = (struct conn){.net = n, .opened = opened, .peer = *peer, .fd = fd, .end_us = INT64_MAX};
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	frames_begin(&c->frames, opened, n->events.seal(n->events.arg), &c->out);
	c->watch = fdwatch_new(n->loop, "gossip stream", fd, opened ? UV_WRITABLE : UV_READABLE, fn, c);
	n->conns[n->n_conns++] = c;
	return c;
}

/* --- out --- */

static void conn_flush(struct conn *c)
{
	bool was = c->sent < c->out.len;

	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			fdwatch_set(c->watch, UV_READABLE | UV_WRITABLE);
			return;
		}
		if (n < 0) {
			conn_end(c, -errno);
			return;
		}
		c->sent += (size_t)n;
	}
	buf_done(&c->out);
	c->sent = 0;
	fdwatch_set(c->watch, UV_READABLE);
	if (c->state == CONN_CLOSING)
		conn_end(c, 0);
	else if (was && c->state == CONN_OPEN)
		c->net->events.ready(c->net->events.arg, c->number);
}

static void conn_close(struct conn *c)
{
	c->state = CONN_CLOSING;
	c->number = 0;
	c->end_us = mono_now().us + CLOSING_US;
	sweep_by(c->net, CLOSING_US);
	if (c->sent == c->out.len)
		conn_end(c, 0);
	else
		fdwatch_set(c->watch, UV_READABLE | UV_WRITABLE);
}

/* --- in --- */

static void conn_greeted(struct conn *c)
{
	struct gossip_net *n = c->net;

	if (!c->opened)
		return; /* its first frame shows what it is worth */
	c->state = CONN_OPEN;
	c->told = true;
	n->events.opened(n->events.arg, &c->peer, 0);
	if (c->state == CONN_OPEN)
		n->events.ready(n->events.arg, c->number);
}

static void conn_frame(struct conn *c, const void *data, size_t len)
{
	struct gossip_net *n = c->net;

	if (c->state == CONN_HELLO) {
		uint32_t number = n->events.accept(n->events.arg, &c->peer);

		if (!number) {
			conn_end(c, 0);
			return;
		}
		c->number = number;
		c->state = CONN_OPEN;
		c->end_us = INT64_MAX;
	}
	n->events.frame(n->events.arg, c->number, data, len);
}

/* What came so far. The keys may have changed meanwhile: a hello made with the old ones fails, and is tried again */
static void conn_take(struct conn *c)
{
	const struct seal *seal = c->net->events.seal(c->net->events.arg);
	const void *data;
	size_t len;

	while (c->state == CONN_HELLO || c->state == CONN_OPEN) {
		switch (frames_next(&c->frames, seal, &c->out, &data, &len)) {
		case FRAMES_MORE:
			conn_flush(c);
			return;
		case FRAMES_HELLO:
			conn_greeted(c);
			break;
		case FRAMES_FRAME:
			conn_frame(c, data, len);
			break;
		case FRAMES_NO_KEY:
			c->net->events.no_key(c->net->events.arg, &c->peer, c->frames.key_id);
			if (c->number || c->opened) {
				conn_end(c, -ENOKEY);
				return;
			}
			conn_close(c); /* it is told which key we have */
			return;
		case FRAMES_BAD:
			conn_end(c, -EBADMSG);
			return;
		}
	}
}

static void conn_read(struct conn *c)
{
	char data[READ_BYTES];

	for (int i = 0; i < READS_A_TURN && c->state < CONN_DEAD; i++) {
		ssize_t n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (n <= 0) {
			conn_end(c, n < 0 ? -errno : -ECONNRESET);
			return;
		}
		if (c->state == CONN_CLOSING)
			continue;
		frames_feed(&c->frames, data, (size_t)n);
		conn_take(c);
	}
}

static void on_conn(void *arg, int events)
{
	struct conn *c = arg;
	int code = 0;
	socklen_t len = sizeof(code);

	if (c->state == CONN_CONNECTING) {
		if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
			code = errno;
		if (code) {
			conn_end(c, -code);
			return;
		}
		c->state = CONN_HELLO;
	}
	if (events & UV_WRITABLE)
		conn_flush(c);
	if (events & ~UV_WRITABLE && c->state != CONN_DEAD)
		conn_read(c);
}

/* --- TCP --- */

static bool fresh_full(const struct gossip_net *n, const struct endpoint *from)
{
	size_t of_it = 0;

	for (size_t i = 0; i < n->n_conns; i++)
		of_it += n->conns[i]->state == CONN_HELLO && !n->conns[i]->opened &&
			 ip_cmp(&n->conns[i]->peer.ip, &from->ip) == 0;
	return of_it >= FRESH_FROM;
}

static void on_tcp(void *arg, int events)
{
	struct gossip_net *n = arg;

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int fd = accept4(n->tcp, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct endpoint from;
		struct conn *c;

		if (fd < 0)
			return;
		from = endpoint_from_sockaddr(&ss);
		/* the last places are for streams of our own */
		if (n->n_conns >= CONNS - 24 || fresh_full(n, &from)) {
			close(fd);
			continue;
		}
		c = conn_add(n, fd, &from, false, on_conn);
		c->state = CONN_HELLO;
		c->end_us = mono_now().us + FRESH_US;
		sweep_by(n, FRESH_US);
	}
}

static int tcp_socket(const struct endpoint *at, bool server, struct err *err)
{
	int fd = socket(at->ip.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_storage ss;
	struct endpoint e = *at;
	socklen_t len;
	char s[ENDPOINT_STRLEN];

	if (fd < 0)
		return err_errno(err, -errno, "open a TCP socket");
	if (!server)
		e.port = 0;
	if (server)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	len = endpoint_to_sockaddr(&e, &ss);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || (server && listen(fd, BACKLOG) < 0)) {
		int code = -errno;

		close(fd);
		return err_errno(err, code, "TCP, %s", endpoint_format(at, s));
	}
	return fd;
}

void gossip_net_open(struct gossip_net *n, uint32_t number, const struct endpoint *to)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(to, &ss);
	struct conn *c;
	int fd = -1;

	if (n->tcp >= 0 && to->ip.family == n->at.ip.family && n->n_conns < CONNS)
		fd = tcp_socket(&n->at, false, NULL);
	if (fd < 0) {
		/* its time in gossip ends it */
		log_debug("a stream cannot be opened");
		return;
	}
	c = conn_add(n, fd, to, true, on_conn);
	c->number = number;
	/* What fails at once is told by the socket, from the loop, as all else is */
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS) {
		int code = errno;

		log_debug("a stream cannot be opened", kv_str("why", strerror(code)));
		c->end_us = mono_now().us;
		c->code = -code;
		fdwatch_set(c->watch, 0);
		sweep_by(n, 0);
	}
}

void gossip_net_frame(struct gossip_net *n, uint32_t number, const void *data, size_t len)
{
	struct conn *c = conn_find(n, number);

	if (!c || c->state != CONN_OPEN)
		return;
	frames_put(&c->frames, data, len, &c->out);
	/* sent from the loop: gossip hears that there is room after it has said all it wants to say now */
	fdwatch_set(c->watch, UV_READABLE | UV_WRITABLE);
}

void gossip_net_close(struct gossip_net *n, uint32_t number)
{
	struct conn *c = conn_find(n, number);

	if (!c)
		return;
	if (c->opened && !c->told)
		n->events.opened(n->events.arg, &c->peer, -ETIMEDOUT);
	c->told = true;
	if (c->state == CONN_CONNECTING) {
		c->number = 0;
		c->state = CONN_CLOSING;
		conn_end(c, 0);
		return;
	}
	conn_close(c);
}

/* --- UDP --- */

static void on_udp(void *arg, int events)
{
	struct gossip_net *n = arg;
	char data[LIMIT_DATAGRAM_IN + 1];

	for (int i = 0; i < DATAGRAMS_A_TURN && n->udp >= 0; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		ssize_t got = recvfrom(n->udp, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&ss, &len);
		struct endpoint from;

		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (got < 0)
			continue; /* EINTR, or an ICMP error of something sent: bounded by the turn */
		from = endpoint_from_sockaddr(&ss);
		n->events.datagram(n->events.arg, &from, data, (size_t)got);
	}
}

static int udp_socket(const struct endpoint *at, struct err *err)
{
	int fd = socket(at->ip.family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), bytes = RECEIVE_BYTES;
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(at, &ss);
	char s[ENDPOINT_STRLEN];

	if (fd < 0)
		return err_errno(err, -errno, "open a UDP socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0) {
		int code = -errno;

		close(fd);
		return err_errno(err, code, "UDP, %s", endpoint_format(at, s));
	}
	return fd;
}

int gossip_net_send(struct gossip_net *n, const struct endpoint *to, const char *data, size_t len)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = endpoint_to_sockaddr(to, &ss);

	if (n->udp < 0 || to->ip.family != n->at.ip.family)
		return -EAFNOSUPPORT;
	if (sendto(n->udp, data, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&ss, ss_len) < 0)
		return -errno;
	return 0;
}

/* --- life --- */

static void unbind(struct gossip_net *n)
{
	for (size_t i = n->n_conns; i-- > 0;)
		conn_end(n->conns[i], -ENETDOWN);
	fdwatch_free(n->udp_watch);
	fdwatch_free(n->tcp_watch);
	n->udp_watch = n->tcp_watch = NULL;
	if (n->udp >= 0)
		close(n->udp);
	if (n->tcp >= 0)
		close(n->tcp);
	n->udp = n->tcp = -1;
	n->at = (struct endpoint){.port = 0};
}

int gossip_net_bind(struct gossip_net *n, const struct endpoint *at, struct err *err)
{
	unbind(n);
	if (ip_is_none(&at->ip))
		return 0;
	n->at = *at;
	n->udp = udp_socket(at, err);
	n->tcp = n->udp < 0 ? -1 : tcp_socket(at, true, err);
	if (n->tcp < 0) {
		int code = err->code;

		unbind(n);
		return code;
	}
	n->udp_watch = fdwatch_new(n->loop, "gossip datagrams", n->udp, UV_READABLE, on_udp, n);
	n->tcp_watch = fdwatch_new(n->loop, "gossip streams", n->tcp, UV_READABLE, on_tcp, n);
	return 0;
}

struct gossip_net *gossip_net_new(uv_loop_t *loop, const struct gossip_net_events *events)
{
	struct gossip_net *n = xcalloc(1, sizeof(*n));

	*n = (struct gossip_net){.loop = loop, .events = *events, .udp = -1, .tcp = -1};
	n->sweep = timer_new(loop, "gossip streams", conns_sweep, n);
	return n;
}

void gossip_net_free(struct gossip_net *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->n_conns; i++) {
		n->conns[i]->state = CONN_DEAD;
		conn_free(n->conns[i]);
	}
	n->n_conns = 0;
	unbind(n);
	timer_free(n->sweep);
	free(n);
}
