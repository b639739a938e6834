/* SPDX-License-Identifier: Apache-2.0
 *
 * One DHCP client and its lease; see client.h.
 */
#include "attach/client.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include "base/log.h"
#include "io/dhcp_child.h"

#define RETRY_FIRST_US (200 * USEC_PER_MSEC)
#define RETRY_LAST_US  (30 * USEC_PER_SEC)
#define STEADY_US      (60 * USEC_PER_SEC) /* it ran for so long: the next retry is the first again */

struct client {
	uv_loop_t *loop;
	struct broker *broker;
	enum lease_kind kind;
	loop_fn *changed;
	void *arg;
	struct broker_ns ns;
	char hostname[64], client_id[129], wish[IP_STRLEN];
	bool wanted;  /* it is to run */
	bool calling; /* the broker will answer */
	bool freed, release_then;
	bool fresh; /* has said nothing yet: its first "deconfig" only means that it starts */
	int fd, number;
	struct fdwatch *watch;
	struct timer *retry, *expiry;
	int64_t retry_us, started_us;
	struct att_lease lease;
};

static void client_call(struct client *c);

static void on_stopped(void *arg, int code, int fd, const char *text)
{
	(void)arg;
	(void)code;
	(void)text;
	autoclose_(&fd);
}

static void client_close(struct client *c)
{
	fdwatch_free(c->watch);
	c->watch = NULL;
	autoclose_(&c->fd);
	c->fd = -1;
}

static void client_stop(struct client *c, bool release)
{
	if (c->fd >= 0)
		broker_call(c->broker, BROKER_DHCP_STOP, NULL, c->number * 2 + release, -1, on_stopped, NULL);
}

/* --- the lease --- */

static void lease_drop(struct client *c, const char *why)
{
	c->lease = (struct att_lease){.kind = c->kind};
	str_copy(c->lease.why, why);
	timer_stop(c->expiry);
	c->changed(c->arg);
}

static void on_expiry(void *arg)
{
	lease_drop(arg, "the lease is over, and no server has given another");
}

static void lease_timer(struct client *c)
{
	int64_t left_ms = c->lease.since.ms + (int64_t)c->lease.seconds * 1000 - wall_now().ms;

	timer_stop(c->expiry);
	if (c->lease.seconds != UINT32_MAX)
		timer_start(c->expiry, left_ms > 0 ? left_ms * USEC_PER_MSEC : 0);
}

void client_keep(struct client *c, const struct att_lease *before)
{
	int64_t left_ms = before->since.ms + (int64_t)before->seconds * 1000 - wall_now().ms;

	if (ip_is_none(&before->address.ip))
		return;
	ip_format(&before->address.ip, c->wish);
	if (left_ms <= 0)
		return;
	c->lease = *before;
	lease_timer(c);
}

const struct att_lease *client_lease(const struct client *c)
{
	return &c->lease;
}

static void client_said(struct client *c, const void *data, size_t len)
{
	struct att_lease l;
	struct err err;
	bool fresh = c->fresh;

	c->fresh = false;
	switch (lease_parse(c->kind, data, len, &l, &err)) {
	case LEASE_BOUND:
		l.since = wall_now();
		c->lease = l;
		ip_format(&l.address.ip, c->wish);
		lease_timer(c);
		c->changed(c->arg);
		break;
	case LEASE_NAK:
		c->wish[0] = '\0';
		lease_drop(c, "the server takes the address back");
		break;
	case LEASE_DECONFIG:
		if (!fresh && !ip_is_none(&c->lease.address.ip))
			lease_drop(c, "the lease is over, and no server has given another");
		break;
	case LEASE_FAIL:
		if (ip_is_none(&c->lease.address.ip) && !str_eq(c->lease.why, "no DHCP server answers"))
			lease_drop(c, "no DHCP server answers");
		break;
	case LEASE_BROKEN:
		if (ip_is_none(&c->lease.address.ip) && !str_eq(c->lease.why, l.why))
			lease_drop(c, l.why);
		break;
	case LEASE_OTHER:
		break;
	default:
		lease_drop(c, err.text);
		break;
	}
}

/* --- the process --- */

static void client_wait(struct client *c)
{
	if (mono_now().us - c->started_us > STEADY_US)
		c->retry_us = RETRY_FIRST_US;
	timer_start(c->retry, c->retry_us);
	c->retry_us = c->retry_us * 2 > RETRY_LAST_US ? RETRY_LAST_US : c->retry_us * 2;
}

static void on_readable(void *arg, int events)
{
	struct client *c = arg;
	char data[DHCP_EVENT_BYTES];
	ssize_t n;

	(void)events;
	n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);
	if (n > 0) {
		client_said(c, data, (size_t)n);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	client_close(c); /* it has ended, and so have all that it ran */
	if (c->wanted) {
		log_debug("DHCP client ended", kv_str("nic", c->ns.iface));
		client_wait(c);
	}
	c->changed(c->arg);
}

static void client_done(struct client *c)
{
	client_close(c);
	timer_free(c->retry);
	timer_free(c->expiry);
	free(c);
}

static void on_started(void *arg, int code, int fd, const char *text)
{
	struct client *c = arg;
	uint64_t number = 0;

	c->calling = false;
	if (code == 0 && fd >= 0 && parse_u64(text, 0, INT32_MAX / 2, &number) == 0) {
		c->fd = fd;
		c->number = (int)number;
	} else {
		autoclose_(&fd);
	}
	if (c->freed || !c->wanted) {
		client_stop(c, c->release_then);
		if (c->freed)
			client_done(c);
		else
			client_close(c);
		return;
	}
	if (c->fd < 0) {
		client_wait(c);
		if (ip_is_none(&c->lease.address.ip) && !str_eq(c->lease.why, text))
			lease_drop(c, text[0] ? text : strerror(-code));
		return;
	}
	c->fresh = true;
	c->watch = fdwatch_new(c->loop, "dhcp", c->fd, UV_READABLE, on_readable, c);
}

static void client_call(struct client *c)
{
	autobuf struct buf text = {0};
	autoclose int fd = -1;

	buf_printf(&text, "%s=%s\n", c->kind == LEASE_DHCP6 ? "duid" : "client_id", c->client_id);
	if (c->hostname[0])
		buf_printf(&text, "hostname=%s\n", c->hostname);
	if (c->wish[0] && c->kind == LEASE_DHCP) /* a server knows the address of a DUID */
		buf_printf(&text, "request=%s\n", c->wish);
	fd = memfd_create("dhcp", MFD_CLOEXEC);
	if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len) {
		client_wait(c);
		return;
	}
	c->started_us = mono_now().us;
	c->calling = true;
	broker_call(c->broker, BROKER_DHCP, &c->ns, 0, fd, on_started, c);
}

static void on_retry(void *arg)
{
	struct client *c = arg;

	if (c->wanted && !c->calling && c->fd < 0)
		client_call(c);
}

struct client *client_new(uv_loop_t *loop, struct broker *broker, enum lease_kind kind, loop_fn *changed, void *arg)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->loop = loop;
	c->broker = broker;
	c->kind = c->lease.kind = kind;
	c->changed = changed;
	c->arg = arg;
	c->fd = -1;
	c->retry_us = RETRY_FIRST_US;
	c->retry = timer_new(loop, "dhcp retry", on_retry, c);
	c->expiry = timer_new(loop, "dhcp expiry", on_expiry, c);
	return c;
}

void client_free(struct client *c, bool release)
{
	if (!c)
		return;
	c->wanted = false;
	c->release_then = release;
	client_stop(c, release);
	if (!c->calling) {
		client_done(c);
		return;
	}
	c->freed = true; /* the answer frees it */
	timer_stop(c->retry);
	timer_stop(c->expiry);
}

void client_start(struct client *c, const struct broker_ns *ns, const char *nic, const char *hostname,
		  const char *client_id)
{
	if (c->wanted)
		return;
	c->wanted = true;
	c->ns = *ns;
	str_copy(c->ns.iface, nic);
	str_copy(c->hostname, hostname);
	str_copy(c->client_id, client_id);
	client_call(c);
}

void client_release(struct client *c)
{
	c->wanted = false;
	c->release_then = true;
	timer_stop(c->retry);
	client_stop(c, true);
}

bool client_ended(const struct client *c)
{
	return !c->calling && c->fd < 0;
}
