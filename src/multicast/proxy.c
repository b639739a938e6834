/* SPDX-License-Identifier: Apache-2.0
 *
 * Listeners and connections of the HTTP relay; what passes is didl.c's. See proxy.h.
 */
#include "multicast/proxy.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/log.h"
#include "multicast/didl.h"

#define CHUNK	   65536
#define HIGH	   (256u << 10)		 /* bytes that wait for one side before the other is no longer read */
#define IDLE_US	   (3600 * USEC_PER_SEC) /* a film that is paused holds its connection */
#define CONNECT_US (10 * USEC_PER_SEC)
#define SWEEP_US   (5 * USEC_PER_SEC)

struct service {
	struct proxy *proxy;
	struct proxy_service s;
	struct prefix clients[LIMIT_SUBNETS]; /* who may connect */
	size_t n_clients;
	int fd;
	struct fdwatch *watch;
	int64_t used_us;
};

enum side_of { CLIENT, SERVER, SIDE_N_ };

struct side {
	struct connection *connection;
	int fd;
	struct fdwatch *watch;
	struct buf out; /* for it */
	size_t sent;	/* bytes of out that are gone */
	bool ended;	/* it sends no more */
	bool told;	/* that the other sends no more */
};

struct connection {
	struct service *service;
	struct side side[SIDE_N_];
	struct didl *didl;
	bool connected;
	int64_t active_us;
	uint64_t rewritten;
};

struct proxy {
	uv_loop_t *loop;
	struct service *services[PROXY_SERVICES];
	size_t n_services;
	struct connection *connections[PROXY_CONNECTIONS];
	size_t n_connections;
	struct timer *sweep;
	char chunk[CHUNK];
};

/* --- connections --- */

static void connection_free(struct connection *c)
{
	struct proxy *p = c->service->proxy;

	for (size_t i = 0; i < p->n_connections; i++)
		if (p->connections[i] == c)
			p->connections[i] = p->connections[--p->n_connections];
	c->service->s.open--;
	c->service->s.rewritten += didl_rewritten(c->didl) - c->rewritten;
	for (enum side_of i = 0; i < SIDE_N_; i++) {
		fdwatch_free(c->side[i].watch);
		autoclose_(&c->side[i].fd);
		buf_done(&c->side[i].out);
	}
	didl_free(c->didl);
	free(c);
}

static void connection_fail(struct connection *c, const char *what, int code)
{
	str_print(c->service->s.error, "%s%s%s", what, code ? ": " : "", code ? strerror(-code) : "");
	log_debug("HTTP relay: connection ends", kv_str("why", c->service->s.error));
	connection_free(c);
}

static size_t side_waiting(const struct side *s)
{
	return s->out.len - s->sent;
}

static void side_watch(struct connection *c, enum side_of i)
{
	struct side *s = &c->side[i], *other = &c->side[!i];
	int events = 0;

	if (i == SERVER && !c->connected)
		events = UV_WRITABLE;
	else if (side_waiting(s))
		events |= UV_WRITABLE;
	if (!s->ended && side_waiting(other) < HIGH && (i == CLIENT || c->connected))
		events |= UV_READABLE;
	fdwatch_set(s->watch, events);
}

/* Write what waits. Return: 0 or -errno */
static int side_flush(struct side *s, bool other_ended)
{
	while (side_waiting(s)) {
		ssize_t n = send(s->fd, s->out.data + s->sent, side_waiting(s), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		s->sent += (size_t)n;
	}
	buf_clear(&s->out);
	s->sent = 0;
	if (other_ended && !s->told) {
		s->told = true;
		shutdown(s->fd, SHUT_WR);
	}
	return 0;
}

/* Everything that can go now goes. false: the connection is over, and freed */
static bool connection_go_on(struct connection *c)
{
	for (enum side_of i = 0; i < SIDE_N_; i++) {
		int rc = i == SERVER && !c->connected ? 0 : side_flush(&c->side[i], c->side[!i].ended);

		if (rc < 0) {
			connection_fail(c, i == CLIENT ? "the client" : "the server", rc);
			return false;
		}
	}
	/* a client that sends no more may still wait for the reply; a server that sends no more is done */
	if (c->side[SERVER].ended && !side_waiting(&c->side[CLIENT])) {
		connection_free(c);
		return false;
	}
	for (enum side_of i = 0; i < SIDE_N_; i++)
		side_watch(c, i);
	return true;
}

/* Return: false: the connection is over, and freed */
static bool side_read(struct connection *c, enum side_of i)
{
	struct proxy *p = c->service->proxy;
	struct buf *out = &c->side[!i].out;
	ssize_t n = recv(c->side[i].fd, p->chunk, sizeof(p->chunk), MSG_DONTWAIT);
	int rc = 0;

	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return true;
		connection_fail(c, i == CLIENT ? "the client" : "the server", -errno);
		return false;
	}
	c->active_us = mono_now().us;
	c->service->s.bytes += (uint64_t)n;
	if (n == 0) {
		c->side[i].ended = true;
		if (i == SERVER)
			rc = didl_response_end(c->didl, out);
	} else if (i == CLIENT) {
		rc = didl_request(c->didl, p->chunk, (size_t)n, out);
	} else {
		rc = didl_response(c->didl, p->chunk, (size_t)n, out);
	}
	if (rc < 0) {
		connection_fail(c, i == CLIENT ? "the client speaks no sound HTTP" : "the server speaks no sound HTTP",
				0);
		return false;
	}
	c->service->s.rewritten += didl_rewritten(c->didl) - c->rewritten;
	c->rewritten = didl_rewritten(c->didl);
	return true;
}

static void on_side(void *arg, int events)
{
	struct side *s = arg;
	struct connection *c = s->connection;
	enum side_of i = s == &c->side[SERVER] ? SERVER : CLIENT;

	if (i == SERVER && !c->connected) {
		int error = 0;
		socklen_t len = sizeof(error);

		if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
			connection_fail(c, "cannot connect to the server", error ? -error : -errno);
			return;
		}
		c->connected = true;
	} else if (events & UV_READABLE && !side_read(c, i)) {
		return;
	}
	connection_go_on(c);
}

static int connect_inside(const struct endpoint *inside, struct err *err)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(inside, &ss);
	autoclose int fd = socket(inside->ip.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(err, -errno, "make a socket");
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return err_errno(err, -errno, "cannot connect to the server");
	return steal_fd(fd);
}

/* Takes @client */
static void connection_new(struct service *s, int client)
{
	struct proxy *p = s->proxy;
	struct connection *c;
	struct err err;
	int on = 1, server = p->n_connections < PROXY_CONNECTIONS
				     ? connect_inside(&s->s.inside, &err)
				     : err_set(&err, -ENOSPC, "more than %d connections", PROXY_CONNECTIONS);

	if (server < 0) {
		str_print(s->s.error, "%.90s", err.text);
		s->s.refused++;
		close(client);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->service = s;
	c->active_us = mono_now().us;
	c->didl = didl_new(&s->s.inside, &s->s.outside);
	for (enum side_of i = 0; i < SIDE_N_; i++) {
		int fd = i == CLIENT ? client : server;

		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
		c->side[i].connection = c;
		c->side[i].fd = fd;
		c->side[i].watch = fdwatch_new(p->loop, "HTTP relay", fd, 0, on_side, &c->side[i]);
	}
	p->connections[p->n_connections++] = c;
	s->s.open++;
	s->s.connections++;
	if (!timer_is_set(p->sweep))
		timer_start(p->sweep, SWEEP_US);
	connection_go_on(c);
}

static void on_sweep(void *arg)
{
	struct proxy *p = arg;
	int64_t now = mono_now().us;

	for (size_t i = p->n_connections; i-- > 0;) {
		struct connection *c = p->connections[i];

		if (now - c->active_us > (c->connected ? IDLE_US : CONNECT_US))
			connection_fail(c, c->connected ? "idle" : "cannot connect to the server", -ETIMEDOUT);
	}
	if (p->n_connections)
		timer_start(p->sweep, SWEEP_US);
}

/* --- services --- */

static void on_client(void *arg, int events)
{
	struct service *s = arg;

	for (int i = 0; i < 16; i++) {
		struct sockaddr_storage ss = {0};
		socklen_t len = sizeof(ss);
		int fd = accept4(s->fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct endpoint from;

		if (fd < 0)
			return;
		from = endpoint_from_sockaddr(&ss);
		if (prefixes_have_ip(s->clients, s->n_clients, &from.ip)) {
			connection_new(s, fd);
			continue;
		}
		s->s.refused++;
		str_print(s->s.error, "a client from beyond the link was refused");
		close(fd);
	}
}

static void service_free(struct service *s)
{
	struct proxy *p = s->proxy;

	for (size_t i = p->n_connections; i-- > 0;)
		if (p->connections[i]->service == s)
			connection_free(p->connections[i]);
	for (size_t i = 0; i < p->n_services; i++)
		if (p->services[i] == s)
			p->services[i] = p->services[--p->n_services];
	fdwatch_free(s->watch);
	autoclose_(&s->fd);
	free(s);
}

static int listen_at(const struct endpoint *at)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(at, &ss);
	autoclose int fd = socket(at->ip.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd < 0)
		return -errno;
	/* after a restart old connections still hold the port */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 64) < 0)
		return -errno;
	return steal_fd(fd);
}

/* The port comes from a hash, so that it is the same after a restart; a taken one is passed over */
static int service_listen(struct endpoint *at, const struct endpoint *inside)
{
	uint64_t start = hash64(inside->ip.b, sizeof(inside->ip.b), inside->port);
	int fd = -EADDRINUSE;

	for (uint64_t i = 0; i < PROXY_SERVICES && fd == -EADDRINUSE; i++) {
		at->port = (uint16_t)(PROXY_PORT_FIRST + (start + i) % PROXY_SERVICES);
		fd = listen_at(at);
	}
	return fd;
}

static struct service *service_find(const struct proxy *p, uint32_t from, const struct endpoint *inside, uint32_t to)
{
	for (size_t i = 0; i < p->n_services; i++) {
		struct proxy_service *s = &p->services[i]->s;

		if (s->from == from && s->to == to && s->inside.port == inside->port &&
		    ip_cmp(&s->inside.ip, &inside->ip) == 0)
			return p->services[i];
	}
	return NULL;
}

/* Room for one more: what nobody has announced for the longest time goes, unless it is in use */
static bool services_room(struct proxy *p)
{
	struct service *oldest = NULL;

	if (p->n_services < PROXY_SERVICES)
		return true;
	for (size_t i = 0; i < p->n_services; i++)
		if (!p->services[i]->s.open && (!oldest || p->services[i]->used_us < oldest->used_us))
			oldest = p->services[i];
	if (!oldest)
		return false;
	service_free(oldest);
	return true;
}

/* Where clients on that link reach us; none: not by that family */
static const struct ip *address_on(const struct mc_leg *to, uint8_t family)
{
	return family == AF_INET ? &to->ip4 : &to->ip6_wide;
}

static void clients_set(struct service *s, const struct mc_leg *to)
{
	s->n_clients = 0;
	for (size_t i = 0; i < to->n_subnets && i < LIMIT_SUBNETS; i++)
		s->clients[s->n_clients++] = to->subnets[i];
}

int proxy_map(struct proxy *p, const struct mc_leg *from, const struct endpoint *inside, const struct mc_leg *to,
	      struct endpoint *ret_outside)
{
	struct service *s = service_find(p, from->id, inside, to->id);
	struct endpoint at = {.ip = *address_on(to, inside->ip.family)};
	int fd;

	if (!s) {
		if (ip_is_none(&at.ip))
			return -EADDRNOTAVAIL;
		if (!services_room(p))
			return -EADDRINUSE;
		fd = service_listen(&at, inside);
		if (fd < 0)
			return fd;
		s = xcalloc(1, sizeof(*s));
		s->proxy = p;
		s->s = (struct proxy_service){.from = from->id, .to = to->id, .inside = *inside, .outside = at};
		clients_set(s, to);
		s->fd = fd;
		s->watch = fdwatch_new(p->loop, "HTTP relay accept", fd, UV_READABLE, on_client, s);
		p->services[p->n_services++] = s;
	}
	s->used_us = mono_now().us;
	*ret_outside = s->s.outside;
	return 0;
}

void proxy_leg_over(struct proxy *p, uint32_t leg)
{
	for (size_t i = p->n_services; i-- > 0;)
		if (p->services[i]->s.from == leg || p->services[i]->s.to == leg)
			service_free(p->services[i]);
}

void proxy_leg_change(struct proxy *p, const struct mc_leg *leg)
{
	for (size_t i = p->n_services; i-- > 0;) {
		struct service *s = p->services[i];

		if (s->s.to != leg->id)
			continue;
		if (ip_cmp(&s->s.outside.ip, address_on(leg, s->s.outside.ip.family)) != 0)
			service_free(s);
		else
			clients_set(s, leg);
	}
}

void proxy_services(const struct proxy *p, proxy_service_fn *fn, void *arg)
{
	for (size_t i = 0; i < p->n_services; i++)
		fn(arg, &p->services[i]->s);
}

struct proxy *proxy_new(uv_loop_t *loop)
{
	struct proxy *p = xcalloc(1, sizeof(*p));

	p->loop = loop;
	p->sweep = timer_new(loop, "HTTP relay idle", on_sweep, p);
	return p;
}

void proxy_free(struct proxy *p)
{
	if (!p)
		return;
	for (size_t i = p->n_services; i-- > 0;)
		service_free(p->services[i]);
	timer_free(p->sweep);
	free(p);
}
