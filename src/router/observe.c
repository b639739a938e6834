/* SPDX-License-Identifier: Apache-2.0
 *
 * Which namespaces are watched: opening their sockets, by the broker or here, and telling once per turn of the loop
 * that something changed. What an event means is in watch.c.
 */
#include "router/observe.h"

#include <linux/netlink.h>

#include "base/log.h"
#include "router/watch.h"
#include "router/wg_control.h"

#define RETRY_US USEC_PER_SEC

/* struct call - A request to the broker; its answer may come after the watch was forgotten */
struct call {
	struct observe *o;
	struct watch *watch; /* NULL: forgotten, or opened anew */
	int what;	     /* enum watch_socket, or -1: the namespace */
};

struct observe {
	uv_loop_t *loop;
	struct broker *broker;
	loop_fn *changed;
	void *arg;
	struct net_list nets;
	struct watch **watches; /* as nets.v */
	size_t n_watches, cap_watches;
	struct call **calls;
	size_t n_calls, cap_calls;
	struct wg_control *wireguard;
	bool relay;	     /* the WireGuard namespace forwards */
	struct timer *soon;  /* this turn's work and the call of changed() */
	struct timer *later; /* work that must wait */
};

static void observe_soon(struct observe *o)
{
	if (!timer_is_set(o->soon))
		timer_start(o->soon, 0);
}

static void observe_work(void *arg)
{
	struct observe *o = arg;
	bool dirty = false;
	int64_t wait_us = 0;

	for (size_t i = 0; i < o->n_watches; i++) {
		struct watch *w = o->watches[i];
		int64_t us = watch_work(w);
		if (us > 0 && (wait_us == 0 || us < wait_us))
			wait_us = us;
		if (w->dirty && w->net->id.kind == NET_WIREGUARD)
			wg_control_look(o->wireguard);
		dirty |= w->dirty;
		w->dirty = false;
	}
	if (wait_us > 0)
		timer_start(o->later, wait_us);
	if (dirty)
		o->changed(o->arg);
}

bool observe_settled(const struct observe *o)
{
	for (size_t i = 0; i < o->n_watches; i++)
		if (o->watches[i]->net->ready && o->watches[i]->resync)
			return false;
	return true;
}

struct observe *observe_new(uv_loop_t *loop, struct broker *broker, loop_fn *changed, void *arg)
{
	struct observe *o = xcalloc(1, sizeof(*o));

	o->loop = loop;
	o->broker = broker;
	o->changed = changed;
	o->arg = arg;
	o->wireguard = wg_control_new(loop, broker, o);
	o->soon = timer_new(loop, "observe", observe_work, o);
	o->later = timer_new(loop, "observe-later", observe_work, o);
	return o;
}

struct watch *observe_watch(const struct observe *o, const struct net_id *id)
{
	for (size_t i = 0; i < o->n_watches; i++)
		if (net_id_same(&o->watches[i]->net->id, id))
			return o->watches[i];
	return NULL;
}

static struct watch *watch_ready(const struct observe *o, const struct net_id *id)
{
	struct watch *w = observe_watch(o, id);

	return w && w->net->ready ? w : NULL;
}

/* Answers that are still to come belong to nobody then */
static void watch_disown_calls(struct observe *o, struct watch *w)
{
	for (size_t i = 0; i < o->n_calls; i++)
		if (o->calls[i]->watch == w)
			o->calls[i]->watch = NULL;
	w->waiting = 0;
}

void observe_free(struct observe *o)
{
	if (!o)
		return;
	wg_control_free(o->wireguard);
	for (size_t i = 0; i < o->n_watches; i++) {
		watch_close(o->watches[i]);
		free(o->watches[i]);
	}
	free(o->watches);
	for (size_t i = 0; i < o->n_calls; i++)
		free(o->calls[i]);
	free(o->calls);
	net_list_done(&o->nets);
	timer_free(o->soon);
	timer_free(o->later);
	free(o);
}

/* --- opening --- */

static void watch_break(struct watch *w, const char *why)
{
	watch_disown_calls(w->o, w);
	watch_close(w);
	str_copy(w->net->broken, why);
	w->dirty = true;
	observe_soon(w->o);
}

static void watch_start(struct watch *w)
{
	struct err err;

	if (watch_listen(w, w->o->loop, &err) < 0)
		watch_break(w, err.text);
}

static void broker_answered(void *arg, int code, int fd, const char *text);

static void watch_ask(struct watch *w, enum broker_op op, int arg_n, int what)
{
	struct observe *o = w->o;
	struct call *c = xcalloc(1, sizeof(*c));
	struct broker_ns ns = {.pid = w->pid};
	char name[96];

	str_copy(ns.name, net_id_print(&w->net->id, name));
	memcpy(ns.sandbox, w->sandbox, sizeof(ns.sandbox));
	*c = (struct call){.o = o, .watch = w, .what = what};
	*xgrow(&o->calls, o->n_calls, &o->cap_calls) = c;
	o->n_calls++;
	w->waiting++;
	broker_call(o->broker, op, &ns, arg_n, -1, broker_answered, c);
}

/* The namespace is there: now its sockets. A container has no table of ours */
static void watch_ask_sockets(struct watch *w)
{
	watch_ask(w, BROKER_NETLINK, NETLINK_ROUTE, WATCH_RT);
	watch_ask(w, BROKER_NETLINK, NETLINK_ROUTE, WATCH_RT_EVENTS);
	if (w->net->id.kind == NET_CONTAINER)
		return;
	if (w->net->id.kind == NET_WIREGUARD)
		watch_ask(w, BROKER_NETLINK, NETLINK_GENERIC, WATCH_GENL);
	watch_ask(w, BROKER_NETLINK, NETLINK_NETFILTER, WATCH_NF);
	watch_ask(w, BROKER_NETLINK, NETLINK_NETFILTER, WATCH_NF_EVENTS);
}

static void watch_answer(struct watch *w, int what, int code, int fd, const char *text)
{
	struct err err = {0};

	w->waiting--;
	if (code == -EPROTONOSUPPORT && (what == WATCH_NF || what == WATCH_NF_EVENTS)) {
		/* a kernel without nf_tables: the rest works, and nft says so when the table is to be made */
	} else if (code < 0) {
		autoclose_(&fd);
		err_set(&err, code, "%s", text && text[0] ? text : strerror(-code));
	} else if (fd < 0) {
		err_set(&err, -EPROTO, "the broker sent no descriptor");
	} else if (what < 0) {
		w->ns_fd = fd;
	} else {
		(void)!nl_adopt(fd, &w->nl[what], &err);
	}
	if (err.code < 0)
		watch_break(w, err.text);
	else if (what < 0)
		watch_ask_sockets(w);
	else if (w->waiting == 0)
		watch_start(w);
}

static void broker_answered(void *arg, int code, int fd, const char *text)
{
	struct call *c = arg;
	struct observe *o = c->o;
	struct watch *w = c->watch;
	int what = c->what;

	for (size_t i = 0; i < o->n_calls; i++)
		if (o->calls[i] == c) {
			o->calls[i] = o->calls[--o->n_calls];
			break;
		}
	free(c);
	if (w)
		watch_answer(w, what, code, fd, text);
	else
		autoclose_(&fd);
}

/* Without a broker there is one namespace: that we are in */
static void watch_open_own(struct watch *w)
{
	static const int protocols[WATCH_GENL] = {NETLINK_ROUTE, NETLINK_ROUTE, NETLINK_NETFILTER, NETLINK_NETFILTER};
	struct err err;

	if (w->net->id.kind != NET_HOST) {
		watch_break(w, "no broker to open it");
		return;
	}
	for (int i = 0; i < WATCH_GENL; i++)
		if (nl_open(protocols[i], &w->nl[i], &err) < 0 && (i < WATCH_NF || err.code != -EPROTONOSUPPORT)) {
			watch_break(w, err.text);
			return;
		}
	w->net->all_addresses = true;
	watch_start(w);
}

static int open_flags(const struct watch *w)
{
	if (w->net->id.kind == NET_WIREGUARD)
		return BROKER_CREATE | (w->o->relay ? BROKER_RELAY : 0);
	return w->net->id.kind == NET_VNI ? BROKER_CREATE : 0;
}

static void watch_open(struct watch *w)
{
	w->tried = mono_now();
	if (w->o->broker)
		watch_ask(w, BROKER_OPEN, open_flags(w), -1);
	else
		watch_open_own(w);
}

void observe_want(struct observe *o, const struct net_id *id, const char *sandbox, int32_t pid)
{
	struct watch *w = observe_watch(o, id);
	bool open = false;

	if (!w) {
		w = xcalloc(1, sizeof(*w));
		w->o = o;
		w->soon = observe_soon;
		w->ns_fd = -1;
		w->net = net_list_add(&o->nets, id);
		*xgrow(&o->watches, o->n_watches, &o->cap_watches) = w;
		o->n_watches++;
		open = true;
	} else if (!str_eq(w->sandbox, sandbox) || w->pid != pid) {
		watch_disown_calls(o, w);
		watch_close(w);
		open = true;
	} else if (w->net->broken[0] && mono_now().us - w->tried.us >= RETRY_US) {
		w->net->broken[0] = '\0';
		open = true;
	}
	str_copy(w->sandbox, sandbox);
	w->pid = pid;
	if (open)
		watch_open(w);
}

void observe_forget(struct observe *o, const struct net_id *id)
{
	for (size_t i = 0; i < o->n_watches; i++) {
		struct watch *w = o->watches[i];
		if (!net_id_same(&w->net->id, id))
			continue;
		watch_disown_calls(o, w);
		watch_close(w);
		net_free(w->net);
		free(w);
		o->watches[i] = o->watches[--o->n_watches];
		o->nets.v[i] = o->nets.v[--o->nets.n];
		return;
	}
}

/* --- what is known --- */

const struct net_list *observe_nets(const struct observe *o)
{
	return &o->nets;
}

int observe_net_fd(const struct observe *o, const struct net_id *id)
{
	const struct watch *w = watch_ready(o, id);

	return w ? w->ns_fd : -1;
}

struct nl *observe_net_nl(const struct observe *o, const struct net_id *id)
{
	const struct watch *w = watch_ready(o, id);

	return w ? w->nl[WATCH_RT] : NULL;
}

struct nl *observe_net_nf(const struct observe *o, const struct net_id *id)
{
	const struct watch *w = watch_ready(o, id);

	return w ? w->nl[WATCH_NF] : NULL;
}

struct nl *observe_net_genl(const struct observe *o)
{
	const struct watch *w = watch_ready(o, &(struct net_id){.kind = NET_WIREGUARD});

	return w ? w->nl[WATCH_GENL] : NULL;
}

struct wg_control *observe_wireguard(const struct observe *o)
{
	return o->wireguard;
}

void observe_wireguard_relay(struct observe *o)
{
	o->relay = true;
}

struct net *observe_wireguard_net(const struct observe *o)
{
	struct watch *w = watch_ready(o, &(struct net_id){.kind = NET_WIREGUARD});

	return w ? w->net : NULL;
}

void observe_wireguard_changed(struct observe *o)
{
	struct watch *w = watch_ready(o, &(struct net_id){.kind = NET_WIREGUARD});

	if (!w)
		return;
	w->dirty = true;
	observe_soon(o);
}

void observe_resync(struct observe *o, const struct net_id *id)
{
	for (size_t i = 0; i < o->n_watches; i++)
		if (!id || net_id_same(&o->watches[i]->net->id, id))
			o->watches[i]->resync = true;
	observe_soon(o);
}

int observe_links(struct observe *o, const struct net_id *id, struct err *err)
{
	struct watch *w = watch_ready(o, id);
	char name[96];

	return w ? watch_links(w, err) : err_set(err, -ENODEV, "%s is not ready", net_id_print(id, name));
}

void observe_nft(struct observe *o, const struct net_id *id)
{
	struct watch *w = watch_ready(o, id);

	if (w)
		watch_nft(w);
}

void observe_applied(struct observe *o, const struct net_id *id, const struct entry *e, bool removed)
{
	struct watch *w = watch_ready(o, id);

	if (!w)
		return;
	if (removed)
		entry_set_remove(&w->net->entries, e);
	else
		entry_set_put(&w->net->entries, e);
}

bool observe_underlay(const struct observe *o, const struct ip *ip, char ret_dev[static 16], uint32_t *ret_mtu)
{
	const struct watch *w = watch_ready(o, &(struct net_id){.kind = NET_HOST});

	for (size_t i = 0; w && i < w->addrs.n; i++) {
		const struct link *l = link_by_index(w->net, w->addrs.v[i].ifindex, NULL);
		if (!l || ip_cmp(&w->addrs.v[i].ip, ip) != 0)
			continue;
		memcpy(ret_dev, l->name, sizeof(l->name));
		*ret_mtu = l->mtu;
		return true;
	}
	return false;
}
