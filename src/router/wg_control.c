/* SPDX-License-Identifier: Apache-2.0
 *
 * Conversations with a WireGuard device. One with the kernel is a system call or two; one with wireguard-go is a
 * connection, a request, and an answer that is read as it comes, with a deadline: that process may be stuck.
 */
#include "router/wg_control.h"

#include <sys/socket.h>

#include "base/log.h"

#define POLL_US	   (3 * USEC_PER_SEC)
#define TIMEOUT_US (5 * USEC_PER_SEC)
#define TELL_US	   (30 * USEC_PER_SEC) /* handshakes are news so often */

/* struct talk - One request to wireguard-go. @change: it sets something */
struct talk {
	struct wg_control *c;
	struct buf out;
	size_t sent;
	int fd;
	struct fdwatch *watch;
	struct timer *timeout;
	struct wg_uapi_reader reader;
	struct wg_device device;
	int ifindex; /* of the device that was asked */
	bool change;
};

struct seen {
	uint8_t key[WG_KEY_BYTES];
	struct endpoint announced;
};

struct wg_control {
	uv_loop_t *loop;
	struct broker *broker;
	struct observe *o;
	struct timer *poll, *answer;
	uint16_t family;
	int64_t told_us;
	int read_ifindex; /* of the link that was read last; 0: none */
	struct talk *reading, *changing;
	struct seen *seen; /* sorted by nothing: looked through once a read */
	size_t n_seen, cap_seen;
	/* the change under way */
	wg_control_fn *fn;
	void *arg;
	int code;
	char why[256];
	struct seen *told;
	size_t n_told;
};

static const struct link *device_link(const struct net *n)
{
	for (size_t i = 0; n && i < n->n_links; i++)
		if (n->links[i].kind == LINK_WIREGUARD || n->links[i].kind == LINK_TUN)
			return &n->links[i];
	return NULL;
}

/* --- what was announced --- */

static struct seen *seen_find(const struct wg_control *c, const uint8_t *key)
{
	for (size_t i = 0; i < c->n_seen; i++)
		if (memcmp(c->seen[i].key, key, WG_KEY_BYTES) == 0)
			return &c->seen[i];
	return NULL;
}

void wg_control_remember(struct wg_control *c, const uint8_t key[static WG_KEY_BYTES], const struct endpoint *announced)
{
	struct seen *s = seen_find(c, key);

	if (!s) {
		if (c->n_seen >= WG_PEERS_MAX)
			return;
		s = xgrow(&c->seen, c->n_seen, &c->cap_seen);
		c->n_seen++;
		memcpy(s->key, key, WG_KEY_BYTES);
	}
	s->announced = *announced;
}

/* --- what was read --- */

static bool peer_same(const struct wg_peer *a, const struct wg_peer *b)
{
	if (memcmp(a->key, b->key, WG_KEY_BYTES) != 0 || memcmp(a->psk, b->psk, WG_KEY_BYTES) != 0 ||
	    a->keepalive_s != b->keepalive_s || a->n_allowed != b->n_allowed ||
	    ip_cmp(&a->endpoint.ip, &b->endpoint.ip) != 0 || a->endpoint.port != b->endpoint.port ||
	    (a->handshake_s != 0) != (b->handshake_s != 0))
		return false;
	for (size_t i = 0; i < a->n_allowed && i < WG_ALLOWED; i++)
		if (prefix_cmp(&a->allowed[i], &b->allowed[i]) != 0)
			return false;
	return true;
}

static bool device_same(const struct wg_device *a, const struct wg_device *b)
{
	if (memcmp(a->private_key, b->private_key, WG_KEY_BYTES) != 0 || a->port != b->port || a->n_peers != b->n_peers)
		return false;
	for (size_t i = 0; i < a->n_peers; i++)
		if (!peer_same(&a->peers[i], &b->peers[i]))
			return false;
	return true;
}

/* Of devices that are alike but for that */
static bool handshakes_same(const struct wg_device *a, const struct wg_device *b)
{
	for (size_t i = 0; i < a->n_peers; i++)
		if (a->peers[i].handshake_s != b->peers[i].handshake_s)
			return false;
	return true;
}

/* Takes the contents of @d */
static void device_take(struct wg_control *c, struct wg_device *d, int ifindex)
{
	struct net *n = observe_wireguard_net(c->o);
	const struct link *l = device_link(n);

	if (!l || l->ifindex != ifindex) { /* another one since */
		wg_device_done(d);
		return;
	}
	wg_peers_sort(d);
	bool same = n->wg.present && c->read_ifindex == ifindex && device_same(&n->wg.device, d) &&
		    (mono_now().us - c->told_us < TELL_US || handshakes_same(&n->wg.device, d));
	if (!same)
		c->told_us = mono_now().us;
	net_wg_done(&n->wg);
	n->wg.present = true;
	n->wg.device = *d;
	n->wg.announced = xcalloc(d->n_peers + 1, sizeof(*n->wg.announced));
	for (size_t i = 0; i < d->n_peers; i++) {
		const struct seen *s = seen_find(c, d->peers[i].key);
		if (s)
			n->wg.announced[i] = s->announced;
	}
	*d = (struct wg_device){0};
	c->read_ifindex = ifindex;
	if (!same)
		observe_wireguard_changed(c->o);
}

/* --- the kernel's --- */

static void on_family(void *arg, const struct nlmsghdr *nlh)
{
	struct wg_control *c = arg;

	c->family = wg_genl_family_decode(nlh);
}

static int kernel_family(struct wg_control *c, struct nl *nl, struct err *err)
{
	_Alignas(8) char buf[256];

	if (c->family)
		return 0;
	int rc = nl_get(nl, wg_genl_family(buf), on_family, c, err);
	return rc < 0 ? rc : c->family ? 0 : err_set(err, -EPROTONOSUPPORT, "the kernel tells no WireGuard family");
}

static void on_device(void *arg, const struct nlmsghdr *nlh)
{
	wg_genl_decode(nlh, arg);
}

static void on_restart(void *arg)
{
	wg_device_done(arg);
}

static int kernel_read(struct wg_control *c, const struct link *l, struct wg_device *ret, struct err *err)
{
	struct nl *nl = observe_net_genl(c->o);
	_Alignas(8) char buf[256];
	int rc = nl ? kernel_family(c, nl, err) : err_set(err, -ENODEV, "no generic netlink");

	if (rc == 0)
		rc = nl_dump(nl, wg_genl_get(buf, c->family, l->name), on_device, on_restart, ret, err);
	return rc;
}

static int kernel_change(struct wg_control *c, const struct link *l, const struct wg_change *change, struct err *err)
{
	struct nl *nl = observe_net_genl(c->o);
	_Alignas(8) char buf[WG_MESSAGE];
	int rc = nl ? kernel_family(c, nl, err) : err_set(err, -ENODEV, "no generic netlink");
	size_t at = 0;

	if (rc < 0)
		return rc;
	do {
		at = wg_genl_set(buf, c->family, l->name, change, at);
		rc = nl_get(nl, (struct nlmsghdr *)(void *)buf, NULL, NULL, err);
	} while (rc == 0 && at < change->n_peers);
	explicit_bzero(buf, sizeof(buf));
	return rc;
}

/* --- wireguard-go's --- */

static void change_ended(struct wg_control *c, int code, const char *why);

static void talk_free(struct talk *t)
{
	if (!t)
		return;
	fdwatch_free(t->watch);
	timer_free(t->timeout);
	autoclose_(&t->fd);
	if (t->out.data)
		explicit_bzero(t->out.data, t->out.len);
	buf_done(&t->out);
	wg_device_done(&t->device);
	explicit_bzero(&t->reader, sizeof(t->reader));
	free(t);
}

static void talk_ended(struct talk *t, int code, const char *why)
{
	struct wg_control *c = t->c;

	if (t->change) {
		c->changing = NULL;
		change_ended(c, code, why);
	} else {
		c->reading = NULL;
		if (code == 0)
			device_take(c, &t->device, t->ifindex);
		else
			log_debug("WireGuard device not read", kv_str("why", why));
		timer_start(c->poll, POLL_US);
	}
	talk_free(t);
}

static void talk_read(struct talk *t)
{
	char in[16384];
	struct err err = {0};

	for (int i = 0; i < 16; i++) {
		ssize_t n = read(t->fd, in, sizeof(in));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		int rc = n < 0	  ? err_errno(&err, -errno, "read")
			 : n == 0 ? err_set(&err, -ECONNRESET, "wireguard-go has ended")
				  : wg_uapi_read(&t->reader, in, (size_t)n, &err);
		explicit_bzero(in, sizeof(in));
		if (rc == 0)
			continue;
		if (rc > 0 && t->reader.code < 0)
			rc = err_set(&err, t->reader.code, "wireguard-go: %s", strerror(-t->reader.code));
		talk_ended(t, rc > 0 ? 0 : rc, err.text);
		return;
	}
}

static void on_talk(void *arg, int events)
{
	struct talk *t = arg;

	while (events & UV_WRITABLE && t->sent < t->out.len) {
		ssize_t n = send(t->fd, t->out.data + t->sent, t->out.len - t->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			talk_ended(t, -errno, strerror(errno));
			return;
		}
		t->sent += (size_t)n;
		if (t->sent == t->out.len)
			fdwatch_set(t->watch, UV_READABLE);
	}
	if (events & UV_READABLE)
		talk_read(t);
}

static void on_connected(void *arg, int code, int fd, const char *text)
{
	struct wg_control *c = arg;
	/* one connection is as good as another; that of a talk that was given up meanwhile is left over */
	struct talk *t = c->reading && c->reading->fd < 0 ? c->reading : c->changing;

	if (!t || t->fd >= 0) {
		autoclose_(&fd);
		return;
	}
	if (code < 0) {
		autoclose_(&fd);
		talk_ended(t, code, text && text[0] ? text : strerror(-code));
		return;
	}
	t->fd = fd;
	t->watch = fdwatch_new(c->loop, "wireguard-go", fd, UV_READABLE | UV_WRITABLE, on_talk, t);
}

static void on_timeout(void *arg)
{
	talk_ended(arg, -ETIMEDOUT, "wireguard-go does not answer");
}

static struct talk *talk_new(struct wg_control *c, const struct link *l, bool change)
{
	struct talk *t = xcalloc(1, sizeof(*t));

	t->c = c;
	t->fd = -1;
	t->change = change;
	t->ifindex = l->ifindex;
	if (!change)
		t->reader.device = &t->device;
	t->timeout = timer_new(c->loop, "wireguard-go", on_timeout, t);
	timer_start(t->timeout, TIMEOUT_US);
	return t;
}

static void talk_connect(struct wg_control *c, const struct link *l)
{
	struct broker_ns ns = {.name = "wireguard"};

	str_copy(ns.iface, l->name);
	broker_call(c->broker, BROKER_WIREGUARD_SOCKET, &ns, 0, -1, on_connected, c);
}

/* --- reading --- */

static void on_poll(void *arg)
{
	struct wg_control *c = arg;
	struct net *n = observe_wireguard_net(c->o);
	const struct link *l = device_link(n);
	struct wg_device d = {0};
	struct err err;

	if (!l || !l->alias[0] || c->reading)
		return; /* wg_control_look() comes back */
	if (l->kind == LINK_TUN) {
		c->reading = talk_new(c, l, false);
		wg_uapi_get(&c->reading->out);
		talk_connect(c, l);
		return;
	}
	if (kernel_read(c, l, &d, &err) == 0)
		device_take(c, &d, l->ifindex);
	else
		log_debug("WireGuard device not read", kv_str("why", err.text));
	wg_device_done(&d);
	timer_start(c->poll, POLL_US);
}

void wg_control_look(struct wg_control *c)
{
	struct net *n = observe_wireguard_net(c->o);
	const struct link *l = device_link(n);

	if (l && l->alias[0] && (!n->wg.present || l->ifindex != c->read_ifindex)) {
		net_wg_done(&n->wg);
		timer_start(c->poll, 0);
	}
}

/* --- changing --- */

static void on_answer(void *arg)
{
	struct wg_control *c = arg;
	wg_control_fn *fn = c->fn;

	c->fn = NULL;
	for (size_t i = 0; c->code == 0 && i < c->n_told; i++)
		wg_control_remember(c, c->told[i].key, &c->told[i].announced);
	free(steal_ptr(c->told));
	c->n_told = 0;
	/* what is so now is read before the next plan is made of it: until then it counts as not known */
	struct net *n = observe_wireguard_net(c->o);
	if (n)
		net_wg_done(&n->wg);
	if (!c->reading)
		timer_start(c->poll, 0);
	if (fn)
		fn(c->arg, c->code, c->why);
}

static void change_ended(struct wg_control *c, int code, const char *why)
{
	c->code = code;
	str_copy(c->why, why ? why : "");
	timer_start(c->answer, 0);
}

void wg_control_change(struct wg_control *c, const struct wg_change *change, wg_control_fn *fn, void *arg)
{
	const struct link *l = device_link(observe_wireguard_net(c->o));
	struct err err = {0};

	c->fn = fn;
	c->arg = arg;
	c->told = xcalloc(change->n_peers + 1, sizeof(*c->told));
	c->n_told = 0;
	for (size_t i = 0; i < change->n_peers; i++) {
		const struct wg_peer_change *p = &change->peers[i];
		if (p->remove || !p->set_endpoint)
			continue;
		memcpy(c->told[c->n_told].key, p->peer.key, WG_KEY_BYTES);
		c->told[c->n_told++].announced = p->peer.endpoint;
	}
	/* a read that is under way may tell what was before */
	talk_free(steal_ptr(c->reading));
	if (!l) {
		change_ended(c, -ENODEV, "the WireGuard device is not there");
	} else if (l->kind == LINK_TUN) {
		c->changing = talk_new(c, l, true);
		wg_uapi_set(&c->changing->out, change);
		talk_connect(c, l);
	} else {
		int rc = kernel_change(c, l, change, &err);
		change_ended(c, rc, err.text);
	}
}

struct wg_control *wg_control_new(uv_loop_t *loop, struct broker *broker, struct observe *o)
{
	struct wg_control *c = xcalloc(1, sizeof(*c));

	c->loop = loop;
	c->broker = broker;
	c->o = o;
	c->poll = timer_new(loop, "wireguard", on_poll, c);
	c->answer = timer_new(loop, "wireguard-answer", on_answer, c);
	return c;
}

void wg_control_free(struct wg_control *c)
{
	if (!c)
		return;
	talk_free(c->reading);
	talk_free(c->changing);
	timer_free(c->poll);
	timer_free(c->answer);
	free(c->seen);
	free(c->told);
	free(c);
}
