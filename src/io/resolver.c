/* SPDX-License-Identifier: Apache-2.0
 *
 * c-ares opens the sockets and says what it waits for; here that is watched, and its timer kept.
 */
#include "io/resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>

#define TIMEOUT_MS 1500 /* of the first try; c-ares doubles it */
#define TRIES	   2
#define EDNS_BYTES 1232
#define SOCKETS	   64

/*
 * c-ares passes over a server that refuses or fails, as it should, and in the end says only that none was to be had. So
 * what fails in that way is asked once more by a channel that takes any answer.
 */
enum { CAREFUL, FRANK, CHANNELS };

struct resolver {
	uv_loop_t *loop;
	ares_channel channels[CHANNELS];
	struct timer *timer;
	struct socket {
		struct resolver *resolver;
		ares_socket_t fd;
		struct fdwatch *watch; /* NULL: a free place */
	} sockets[SOCKETS];
	bool freeing;
};

struct question {
	struct resolver *resolver;
	char *name;
	int type, channel;
	resolver_fn *fn;
	void *arg;
};

static void resolver_timer(struct resolver *r)
{
	struct timeval tv[CHANNELS], *left = ares_timeout(r->channels[CAREFUL], NULL, &tv[CAREFUL]);

	left = ares_timeout(r->channels[FRANK], left, &tv[FRANK]);
	if (left)
		timer_start(r->timer, (int64_t)left->tv_sec * USEC_PER_SEC + left->tv_usec);
	else
		timer_stop(r->timer);
}

static void on_timer(void *arg)
{
	struct resolver *r = arg;

	for (int i = 0; i < CHANNELS; i++)
		ares_process_fd(r->channels[i], ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	resolver_timer(r);
}

static void on_socket(void *arg, int events)
{
	struct socket *s = arg;
	struct resolver *r = s->resolver;
	ares_socket_t fd = s->fd;

	/* the one whose it is not does nothing */
	for (int i = 0; i < CHANNELS; i++)
		ares_process_fd(r->channels[i], events & (UV_READABLE | UV_DISCONNECT) ? fd : ARES_SOCKET_BAD,
				events & UV_WRITABLE ? fd : ARES_SOCKET_BAD);
	resolver_timer(r);
}

static struct socket *socket_find(struct resolver *r, ares_socket_t fd)
{
	for (size_t i = 0; i < SOCKETS; i++) {
		if (r->sockets[i].watch && r->sockets[i].fd == fd)
			return &r->sockets[i];
	}
	return NULL;
}

static void socket_add(struct resolver *r, ares_socket_t fd, int events)
{
	for (size_t i = 0; i < SOCKETS; i++) {
		struct socket *s = &r->sockets[i];

		if (s->watch)
			continue;
		*s = (struct socket){.resolver = r, .fd = fd};
		s->watch = fdwatch_new(r->loop, "resolver", fd, events, on_socket, s);
		return;
	}
	/* With more sockets than places one is not heard, and its question asked again */
}

static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = arg;
	int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
	struct socket *s = socket_find(r, fd);

	if (!s && events) {
		socket_add(r, fd, events);
	} else if (s && events) {
		fdwatch_set(s->watch, events);
	} else if (s) {
		fdwatch_free(s->watch);
		s->watch = NULL;
	}
}

static int code_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
		return 0;
	case ARES_EREFUSED:
		return -EACCES;
	case ARES_ESERVFAIL:
	case ARES_ENOTIMP:
	case ARES_EFORMERR:
		return -EAGAIN;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ECONNREFUSED:
		return -ECONNREFUSED;
	case ARES_EBADRESP:
		return -EBADMSG;
	default:
		return -EIO;
	}
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *data, int len)
{
	struct question *q = arg;
	int code = code_of(status);
	struct err err = {0};

	if (!q->resolver->freeing && code == -ECONNREFUSED && q->channel == CAREFUL) {
		q->channel = FRANK;
		ares_query(q->resolver->channels[FRANK], q->name, ns_c_in, q->type, on_answer, q);
		return;
	}
	if (code == 0 && (!data || len <= 0))
		code = -EIO;
	if (code < 0)
		(void)err_set(&err, code, "%s", ares_strerror(status));
	if (!q->resolver->freeing)
		q->fn(q->arg, code, data, code == 0 ? (size_t)len : 0, &err);
	free(q->name);
	free(q);
}

static int servers_set(ares_channel channel, const struct resolver_config *config, struct err *err)
{
	autobuf struct buf list = {0};
	int status;

	for (size_t i = 0; i < config->n_servers; i++) {
		char s[ENDPOINT_STRLEN];

		buf_printf(&list, "%s%s", i ? "," : "", endpoint_format(&config->servers[i], s));
	}
	status = config->n_servers ? ares_set_servers_ports_csv(channel, list.data) : ARES_SUCCESS;
	return status == ARES_SUCCESS ? 0 : err_set(err, -EINVAL, "DNS_SERVER: %s", ares_strerror(status));
}

/* Is one of the servers, of this family, on this host? It may listen to nobody else */
static bool loopback_server(ares_channel channel, uint8_t family)
{
	struct ares_addr_port_node *servers = NULL;
	bool found = false;

	if (ares_get_servers_ports(channel, &servers) != ARES_SUCCESS)
		return true;
	for (struct ares_addr_port_node *s = servers; s; s = s->next) {
		struct ip ip = ip_from_bytes((uint8_t)s->family, &s->addr);

		found = found || (s->family == family && ip_is_loopback(&ip));
	}
	ares_free_data(servers);
	return found;
}

static void local_set(ares_channel channel, const struct ip *ip)
{
	uint32_t be;

	if (ip_is_loopback(ip) || loopback_server(channel, ip->family))
		return;
	if (ip->family == AF_INET6) {
		ares_set_local_ip6(channel, ip->b);
		return;
	}
	memcpy(&be, ip->b, sizeof(be));
	ares_set_local_ip4(channel, ntohl(be));
}

static int channel_new(struct resolver *r, int which, const struct resolver_config *config, struct err *err)
{
	struct ares_options o = {.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
					  (which == FRANK ? ARES_FLAG_NOCHECKRESP : 0),
				 .timeout = TIMEOUT_MS,
				 .tries = TRIES,
				 .ednspsz = EDNS_BYTES,
				 .lookups = (char *)"b",
				 .sock_state_cb = on_state,
				 .sock_state_cb_data = r};
	int status = ares_init_options(&r->channels[which], &o,
				       ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
					       ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
	int code;

	if (status != ARES_SUCCESS)
		return err_set(err, -EIO, "c-ares: %s", ares_strerror(status));
	code = servers_set(r->channels[which], config, err);
	for (size_t i = 0; i < config->n_local && code == 0; i++)
		local_set(r->channels[which], &config->local[i]);
	return code;
}

int resolver_new(uv_loop_t *loop, const struct resolver_config *config, struct resolver **ret, struct err *err)
{
	struct resolver *r = xcalloc(1, sizeof(*r));
	int code = 0;

	r->loop = loop;
	r->timer = timer_new(loop, "resolver", on_timer, r);
	for (int i = 0; i < CHANNELS && code == 0; i++)
		code = channel_new(r, i, config, err);
	if (code == 0)
		*ret = r;
	else
		resolver_free(r);
	return code;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	r->freeing = true;
	for (int i = 0; i < CHANNELS; i++) {
		if (r->channels[i])
			ares_destroy(r->channels[i]);
	}
	for (size_t i = 0; i < SOCKETS; i++)
		fdwatch_free(r->sockets[i].watch);
	timer_free(r->timer);
	free(r);
}

void resolver_ask(struct resolver *r, const char *name, int type, resolver_fn *fn, void *arg)
{
	struct question *q = xmalloc(sizeof(*q));

	*q = (struct question){.resolver = r, .name = xstrdup(name), .type = type, .fn = fn, .arg = arg};
	ares_query(r->channels[CAREFUL], name, ns_c_in, type, on_answer, q);
	resolver_timer(r);
}
