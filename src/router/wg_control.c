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
#define FRESH_S	   185		       /* WireGuard ends a session after 180 */
#define SETTLED_US (4 * USEC_PER_SEC)  /* until then the other end has made up its mind too */
#define LOST_US	   (11 * USEC_PER_SEC) /* two handshakes, 5 s apart, and some more */

/* struct talk - One request to wireguard-go. @change: it sets something */
struct talk {
	struct device *d;
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

/* struct seen - Of a peer. Times are monotonic, 0: not so */
struct seen {
	uint8_t key[WG_KEY_BYTES];
	struct endpoint announced;
	int64_t fresh_us; /* it has a session since; 1: before we looked */
	int64_t tried_us; /* it has none, and something was sent to it since; 1: an earlier run gave it up */
	uint64_t tx;
};

/* struct device - That of one slot */
struct device {
	struct wg_control *c;
	unsigned slot;
	int read_ifindex; /* of the link that was read last; 0: none */
	int64_t told_us;
	struct talk *reading;
	struct seen *seen; /* by key, where that is needed: @sorted */
	size_t n_seen, cap_seen;
	bool sorted;
};

struct wg_control {
	uv_loop_t *loop;
	struct broker *broker;
	struct observe *o;
	struct timer *poll, *answer;
	uint16_t family;
	struct device devices[WG_SLOTS];
	/* the change under way */
	struct talk *changing;
	struct device *changed;
	wg_control_fn *fn;
	void *arg;
	int code;
	char why[256];
	struct seen *told;
	size_t n_told;
};

static const struct link *device_link(const struct device *d)
{
	return net_wg_link(observe_wireguard_net(d->c->o), d->slot);
}

/* --- what is known of peers --- */

static int seen_cmp(const void *a, const void *b)
{
	return memcmp(((const struct seen *)a)->key, ((const struct seen *)b)->key, WG_KEY_BYTES);
}

static struct seen *seen_find(struct device *d, const uint8_t *key)
{
	struct seen what = {0};

	memcpy(what.key, key, WG_KEY_BYTES);
	if (!d->sorted && d->n_seen)
		qsort(d->seen, d->n_seen, sizeof(*d->seen), seen_cmp);
	d->sorted = true;
	return d->n_seen ? bsearch(&what, d->seen, d->n_seen, sizeof(*d->seen), seen_cmp) : NULL;
}

/* Valid until the next one is made. NULL: there are too many */
static struct seen *seen_make(struct device *d, const uint8_t *key)
{
	struct seen *s = seen_find(d, key);

	if (s || d->n_seen >= WG_PEERS_MAX)
		return s;
	s = xgrow(&d->seen, d->n_seen, &d->cap_seen);
	d->n_seen++;
	d->sorted = false;
	memcpy(s->key, key, WG_KEY_BYTES);
	return s;
}

void wg_control_remember(struct wg_control *c, unsigned slot, const uint8_t key[static WG_KEY_BYTES],
			 const struct endpoint *announced, bool lost)
{
	struct seen *s = seen_make(&c->devices[slot], key);

	if (!s)
		return;
	s->announced = *announced;
	if (lost)
		s->tried_us = 1;
}

/* What this reading adds. @first: of this device by us: a session that is there is older than we */
static void seen_note(struct seen *s, const struct wg_peer *p, bool first, int64_t now_us, int64_t wall_s,
		      struct wg_note *ret)
{
	bool fresh = p->handshake_s && wall_s - p->handshake_s < FRESH_S;

	if (!fresh)
		s->fresh_us = 0;
	else if (!s->fresh_us)
		s->fresh_us = first ? 1 : now_us;
	if (fresh)
		s->tried_us = 0;
	else if (!s->tried_us && !first && p->tx > s->tx)
		s->tried_us = now_us;
	s->tx = p->tx;
	ret->announced = s->announced;
	ret->settled = s->fresh_us && now_us - s->fresh_us >= SETTLED_US;
	ret->lost = s->tried_us && now_us - s->tried_us >= LOST_US;
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

static bool notes_same(const struct net_wg *w, const struct wg_note *notes)
{
	for (size_t i = 0; i < w->device.n_peers; i++)
		if (w->notes[i].settled != notes[i].settled || w->notes[i].lost != notes[i].lost)
			return false;
	return true;
}

static struct wg_note *notes_make(struct device *d, const struct wg_device *read, bool first)
{
	struct wg_note *notes = xcalloc(read->n_peers + 1, sizeof(*notes));
	int64_t now_us = mono_now().us, wall_s = wall_now().ms / 1000;

	for (size_t i = 0; i < read->n_peers; i++) /* all first: one that is new costs a sort */
		(void)seen_make(d, read->peers[i].key);
	for (size_t i = 0; i < read->n_peers; i++) {
		struct seen *s = seen_find(d, read->peers[i].key);
		if (s)
			seen_note(s, &read->peers[i], first, now_us, wall_s, &notes[i]);
	}
	return notes;
}

/* Takes the contents of @read */
static void device_take(struct device *d, struct wg_device *read, int ifindex)
{
	struct net *n = observe_wireguard_net(d->c->o);
	const struct link *l = device_link(d);

	if (!l || l->ifindex != ifindex) { /* another one since */
		wg_device_done(read);
		return;
	}
	struct net_wg *w = &n->wg[d->slot];
	wg_peers_sort(read);
	struct wg_note *notes = notes_make(d, read, d->read_ifindex == 0);
	bool same = w->present && d->read_ifindex == ifindex && device_same(&w->device, read) && notes_same(w, notes) &&
		    (mono_now().us - d->told_us < TELL_US || handshakes_same(&w->device, read));
	if (!same)
		d->told_us = mono_now().us;
	net_wg_done(w);
	w->present = w->known = true;
	w->device = *read;
	w->notes = notes;
	*read = (struct wg_device){0};
	d->read_ifindex = ifindex;
	if (!same)
		observe_wireguard_changed(d->c->o);
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

/* A reading soon is not put off by one that has just ended */
static void poll_later(struct wg_control *c)
{
	if (!timer_is_set(c->poll))
		timer_start(c->poll, POLL_US);
}

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
	struct wg_control *c = t->d->c;

	if (t->change) {
		c->changing = NULL;
		change_ended(c, code, why);
	} else {
		t->d->reading = NULL;
		if (code == 0)
			device_take(t->d, &t->device, t->ifindex);
		else
			log_debug("WireGuard device not read", kv_str("why", why));
		poll_later(c);
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
	struct device *d = arg;
	struct wg_control *c = d->c;
	/* one connection to a device is as good as another; that of a talk that was given up meanwhile is left over */
	struct talk *t = d->reading && d->reading->fd < 0 ? d->reading : c->changed == d ? c->changing : NULL;

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

static struct talk *talk_new(struct device *d, const struct link *l, bool change)
{
	struct talk *t = xcalloc(1, sizeof(*t));

	t->d = d;
	t->fd = -1;
	t->change = change;
	t->ifindex = l->ifindex;
	if (!change)
		t->reader.device = &t->device;
	t->timeout = timer_new(d->c->loop, "wireguard-go", on_timeout, t);
	timer_start(t->timeout, TIMEOUT_US);
	return t;
}

static void talk_connect(struct device *d, const struct link *l)
{
	struct broker_ns ns = {.name = "wireguard"};

	str_copy(ns.iface, l->name);
	broker_call(d->c->broker, BROKER_WIREGUARD_SOCKET, &ns, 0, -1, on_connected, d);
}

/* --- reading --- */

static void device_poll(struct device *d)
{
	const struct link *l = device_link(d);
	struct wg_device read = {0};
	struct err err;

	if (!l || !l->alias[0] || d->reading)
		return; /* wg_control_look() comes back */
	if (l->kind == LINK_TUN) {
		d->reading = talk_new(d, l, false);
		wg_uapi_get(&d->reading->out);
		talk_connect(d, l);
		return;
	}
	if (kernel_read(d->c, l, &read, &err) == 0)
		device_take(d, &read, l->ifindex);
	else
		log_debug("WireGuard device not read", kv_str("why", err.text));
	wg_device_done(&read);
	poll_later(d->c);
}

static void on_poll(void *arg)
{
	struct wg_control *c = arg;

	for (size_t i = 0; i < WG_SLOTS; i++)
		device_poll(&c->devices[i]);
}

void wg_control_look(struct wg_control *c)
{
	struct net *n = observe_wireguard_net(c->o);

	for (size_t i = 0; n && i < WG_SLOTS; i++) {
		struct device *d = &c->devices[i];
		const struct link *l = device_link(d);
		if (!l && n->wg[i].known) {
			net_wg_done(&n->wg[i]);
			/* another one starts from nothing */
			d->n_seen = 0;
			d->read_ifindex = 0;
		}
		if (l && l->alias[0] && (!n->wg[i].present || l->ifindex != d->read_ifindex)) {
			n->wg[i].present = false;
			timer_start(c->poll, 0);
		}
	}
}

/* --- changing --- */

static void on_answer(void *arg)
{
	struct wg_control *c = arg;
	wg_control_fn *fn = c->fn;

	c->fn = NULL;
	for (size_t i = 0; c->code == 0 && i < c->n_told; i++)
		(void)seen_make(c->changed, c->told[i].key);
	for (size_t i = 0; c->code == 0 && i < c->n_told; i++) {
		struct seen *s = seen_find(c->changed, c->told[i].key);
		if (s)
			s->announced = c->told[i].announced;
	}
	free(steal_ptr(c->told));
	c->n_told = 0;
	/* what is so now is read before the next plan is made of it: until then it counts as not known */
	struct net *n = observe_wireguard_net(c->o);
	if (n)
		n->wg[c->changed->slot].present = false;
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

void wg_control_change(struct wg_control *c, unsigned slot, const struct wg_change *change, wg_control_fn *fn,
		       void *arg)
{
	struct device *d = c->changed = &c->devices[slot];
	const struct link *l = device_link(d);
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
	talk_free(steal_ptr(d->reading));
	if (!l) {
		change_ended(c, -ENODEV, "the WireGuard device is not there");
	} else if (l->kind == LINK_TUN) {
		c->changing = talk_new(d, l, true);
		wg_uapi_set(&c->changing->out, change);
		talk_connect(d, l);
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
	for (unsigned i = 0; i < WG_SLOTS; i++)
		c->devices[i] = (struct device){.c = c, .slot = i};
	c->poll = timer_new(loop, "wireguard", on_poll, c);
	c->answer = timer_new(loop, "wireguard-answer", on_answer, c);
	return c;
}

void wg_control_free(struct wg_control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < WG_SLOTS; i++) {
		talk_free(c->devices[i].reading);
		free(c->devices[i].seen);
	}
	talk_free(c->changing);
	timer_free(c->poll);
	timer_free(c->answer);
	free(c->told);
	free(c);
}
