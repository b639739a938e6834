/* SPDX-License-Identifier: Apache-2.0
 *
 * One UDP socket in the host's namespace.
 */
#include "names/stub.h"

#include <sys/socket.h>

#include "base/log.h"
#include "names/answer.h"

#define RETRY_US (5 * USEC_PER_SEC)
#define ROUNDS	 (4 * BATCH)

struct stub {
	struct serve *serve;
	struct endpoint at;
	int fd;
	struct fdwatch *watch;
	struct timer *retry;
	bool started;
	char error[160];
};

static void on_query(void *arg, int events)
{
	struct stub *s = arg;
	struct batch *b = s->serve->batch;

	for (int i = 0; i < ROUNDS; i++) {
		struct sockaddr_storage from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(s->fd, b->in[0], sizeof(b->in[0]), MSG_DONTWAIT | MSG_TRUNC,
				     (struct sockaddr *)&from, &from_len);
		size_t len = 0;

		if (n < 0)
			return;
		/* before the first inventory nothing is known; whoever asks, asks again */
		if ((size_t)n > sizeof(b->in[0]) || !s->serve->table ||
		    answer_host(s->serve->table, &s->serve->turn, b->in[0], (size_t)n, b->out[0], &len) !=
			    VERDICT_REPLY)
			continue;
		s->serve->answered++;
		if (sendto(s->fd, b->out[0], len, MSG_DONTWAIT, (struct sockaddr *)&from, from_len) < 0)
			log_debug("cannot answer the host's resolver", kv_str("why", strerror(errno)));
	}
}

/* @freely: also at an address that no interface has */
static int listen_at(const struct endpoint *at, bool freely, struct err *err)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(at, &ss);
	autoclose int fd = socket(at->ip.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, free_bind = freely;

	if (fd < 0)
		return err_errno(err, -errno, "make a socket");
	if (at->ip.family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &free_bind, sizeof(free_bind));
	} else {
		setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &free_bind, sizeof(free_bind));
	}
	if (bind(fd, (struct sockaddr *)&ss, len) < 0)
		return err_errno(err, -errno, "cannot listen");
	return steal_fd(fd);
}

/* Does an interface of ours have the address? Then any port of it can be had */
static bool is_here(const struct ip *ip)
{
	struct endpoint any = {.ip = *ip};
	struct err err;
	autoclose int fd = listen_at(&any, false, &err);

	return fd >= 0;
}

static void stub_try(struct stub *s)
{
	struct err err = {0};
	int rc = 0;

	if (s->fd < 0) {
		rc = listen_at(&s->at, true, &err);
		/* without privileges: what was in the way at the start is what counts */
		if (rc == -EACCES && s->error[0])
			return;
		s->fd = rc;
	}
	if (rc < 0)
		str_copy(s->error, err.text);
	else
		str_copy(s->error, is_here(&s->at.ip) ? "" : "no interface has this address yet");
}

static void stub_serve(struct stub *s)
{
	if (s->error[0])
		timer_start(s->retry, RETRY_US);
	if (s->fd >= 0 && !s->watch)
		s->watch = fdwatch_new(s->serve->loop, "host's resolver", s->fd, UV_READABLE, on_query, s);
}

static void on_retry(void *arg)
{
	struct stub *s = arg;
	char before[sizeof(s->error)];

	str_copy(before, s->error);
	stub_try(s);
	stub_serve(s);
	if (!str_eq(before, s->error))
		s->serve->changed(s->serve->arg);
}

struct stub *stub_new(struct serve *serve, const struct endpoint *at)
{
	struct stub *s = xcalloc(1, sizeof(*s));

	s->serve = serve;
	s->at = *at;
	s->fd = -1;
	s->retry = timer_new(serve->loop, "listen for the host", on_retry, s);
	stub_try(s);
	return s;
}

void stub_start(struct stub *s)
{
	stub_serve(s);
}

void stub_free(struct stub *s)
{
	if (!s)
		return;
	timer_free(s->retry);
	fdwatch_free(s->watch);
	autoclose_(&s->fd);
	free(s);
}

const char *stub_error(const struct stub *s)
{
	return s->error;
}

const struct endpoint *stub_at(const struct stub *s)
{
	return &s->at;
}

bool stub_answers(const struct stub *s, const struct ip *ip)
{
	if (s->fd < 0 || s->at.port != 53 || s->at.ip.family != ip->family)
		return false;
	return ip_is_unspecified(&s->at.ip) ? !ip_is_loopback(ip) && is_here(ip) : ip_cmp(&s->at.ip, ip) == 0;
}
