/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a container's namespace, and the work in it; see box.h. What follows from its NICs being ready, the flag and
 * resolv.conf, is in box_files.c.
 */
#include "attach/box.h"

#include <assert.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "attach/box_state.h"
#include "attach/kernel.h"
#include "attach/want.h"
#include "base/log.h"
#include "io/nic_conf.h"

#define RETRY_FIRST_US (50 * USEC_PER_MSEC)
#define RETRY_LAST_US  (30 * USEC_PER_SEC)
#define ROUNDS	       8		      /* of look, plan, apply, in one turn */
#define RELEASE_US     (1500 * USEC_PER_MSEC) /* a client takes no longer to give its lease back */
#define EVENTS_US      (5 * USEC_PER_MSEC)    /* an event is seldom alone, and most are echoes of what we did */

static void box_soon(struct box *b)
{
	if (b->step == BOX_OPEN)
		timer_start(b->work, 0);
}

/* The kernel says that something has changed: look once for all of it */
static void box_heard(struct box *b)
{
	if (b->step == BOX_OPEN && !timer_is_set(b->work))
		timer_start(b->work, EVENTS_US);
}

static void box_told(struct box *b)
{
	b->all->changed(b->all->arg);
}

/* --- NICs --- */

static void nic_say(struct box *b, struct nic *n, enum nic_state state, const char *why)
{
	if (n->state == state && str_eq(n->why, why))
		return;
	if (n->state != state)
		n->since = wall_now();
	n->state = state;
	str_copy(n->why, why);
	box_told(b);
}

static struct nic *nic_of(struct box *b, const char *name)
{
	for (size_t i = 0; i < b->n_nics; i++)
		if (str_eq(b->nics[i]->name, name))
			return b->nics[i];
	return NULL;
}

static void nic_free(struct nic *n, bool release)
{
	for (size_t i = 0; i < LEASE_KIND_N_; i++)
		client_free(n->clients[i], release);
	free(n);
}

static void on_lease(void *arg)
{
	struct nic *n = arg;

	if (n->box->step == BOX_STOPPING)
		timer_start(n->box->work, 0);
	else
		box_soon(n->box);
	box_told(n->box);
}

/* What an earlier run of ours knew: of this container; else, as a wish only, of one that was called the same */
static void nic_remember(struct box *b, struct nic *n)
{
	const struct attach_state *s = b->all->before;
	const struct att_nic *best = NULL;

	for (size_t i = 0; s && i < s->n_nics; i++) {
		const struct att_nic *was = &s->nics[i];

		if (!str_eq(was->nic, n->name))
			continue;
		if (str_eq(was->container, b->a.container.id)) {
			best = was;
			break;
		}
		if (str_eq(was->name, b->a.container.name))
			best = was;
	}
	for (size_t i = 0; best && i < best->n_leases; i++) {
		struct att_lease l = best->leases[i];

		if (!n->clients[l.kind])
			continue;
		if (!str_eq(best->container, b->a.container.id))
			l.seconds = 0;
		client_keep(n->clients[l.kind], &l);
	}
}

static struct nic *nic_new(struct box *b, const struct nic_spec *spec)
{
	struct nic *n = xcalloc(1, sizeof(*n));

	n->box = b;
	str_copy(n->name, spec->name);
	n->since = wall_now();
	want_host_name(b->a.container.id, n->name, n->host);
	if (spec->dhcp)
		n->clients[LEASE_DHCP] = client_new(b->all->loop, b->all->broker, LEASE_DHCP, on_lease, n);
	if (spec->dhcp6)
		n->clients[LEASE_DHCP6] = client_new(b->all->loop, b->all->broker, LEASE_DHCP6, on_lease, n);
	nic_remember(b, n);
	return n;
}

static void nic_want(const struct box *b, const struct nic *n, size_t index, struct want *ret)
{
	struct att_lease leases[LEASE_KIND_N_] = {0};

	for (size_t i = 0; i < LEASE_KIND_N_; i++)
		if (n->clients[i])
			leases[i] = *client_lease(n->clients[i]);
	want_make(b->all->host_id, &b->a, index, leases, ret);
}

/* --- the work --- */

static void on_sysctl(void *arg, int code, int fd, const char *text)
{
	struct call *c = arg;
	struct box *b = c->box;

	autoclose_(&fd);
	if (b) {
		struct nic *n = nic_of(b, c->nic);

		b->calls--;
		if (n && c->turn == b->turn) {
			n->sysctl_calling = false;
			n->sysctl_done = true; /* also when it failed: a NIC without that is better than none */
			if (code < 0)
				log_debug("IPv6 settings", kv_str("nic", c->nic), kv_str("why", text));
		}
		box_call_done(c);
		box_soon(b);
		return;
	}
	box_call_done(c);
}

/* At once where we can, and else the broker does it. Return: it is done */
static bool nic_sysctl(struct box *b, struct nic *n, const struct want *w)
{
	struct broker_ns ns = b->ns;
	struct err err;

	if (n->sysctl_calling)
		return false;
	if (b->conf_fd >= 0 && nic_conf_write(b->conf_fd, n->name, w->sysctl, &err) == 0) {
		n->sysctl_done = true;
		return true;
	}
	n->sysctl_calling = true;
	str_copy(ns.iface, n->name);
	broker_call(b->all->broker, BROKER_NIC_SYSCTL, &ns, w->sysctl, -1, on_sysctl, box_call(b, n->name));
	return false;
}

/* The next plan is of host and container as they are now; their events come later */
static void nic_did(struct box *b, struct nic *n, const struct want *w, const struct op *op)
{
	if (op->kind == OP_MAKE) {
		n->sysctl_done = n->sysctl_calling = false;
		n->n_known = 0;
		kernel_read_link(b->all->host_nl, w->host, &b->all->host);
		kernel_read_link(b->nl, n->name, &b->seen);
		if (w->spec->kind == NIC_PHYSICAL)
			kernel_read_link(b->all->host_nl, w->spec->parent, &b->all->host);
	} else if (op->kind == OP_HOST_REMOVE) {
		seen_remove(&b->all->host, op->ifindex);
	} else if (op->set & SET_UP && w->spec->kind == NIC_VETH) {
		/*
		 * The end that was set up first sends nothing until a worker of the kernel's has heard of its carrier.
		 * Who asks for it is answered after that (Linux 6.9), and so the program, which sends as soon as it has
		 * an address, does not lose its first question to the LAN, and a second with it.
		 */
		kernel_read_link(b->all->host_nl, w->host, &b->all->host);
		kernel_read_link(b->nl, n->name, &b->seen);
	}
	if (op->kind == OP_ADDR_ADD && n->n_known < ARRAY_LEN(n->known))
		n->known[n->n_known++] = op->address;
	if (!plan_expect(w, op, &b->all->host, &b->seen) && op->kind != OP_MAKE)
		b->look = true;
}

/* Return: something was changed, so look again */
static bool nic_apply(struct box *b, struct nic *n, const struct want *w, const struct ops *ops)
{
	struct places p = {.host = b->all->host_nl, .ct = b->nl, .host_fd = b->all->host_fd, .ct_fd = b->ns_fd};
	bool did = false;

	for (size_t i = 0; i < ops->n; i++) {
		const struct op *op = &ops->v[i];
		struct err err;

		if (log_enabled(LOG_LEVEL_DEBUG)) {
			autobuf struct buf text = {0};

			op_print(op, w, &text);
			log_debug("apply", kv_str("container", b->a.container.name), kv_str("op", text.data));
		}
		if (op->kind == OP_SYSCTL) {
			did |= nic_sysctl(b, n, w);
			continue;
		}
		if (op->kind == OP_MAKE)
			doomed_remove(b->all->doomed); /* one of an earlier start has the same name */
		if (op->kind == OP_MAKE && !n->begun_us)
			n->begun_us = mono_now().us;
		if (kernel_apply(&p, &b->all->host, w, op, &err) < 0) {
			n->failed = true;
			nic_say(b, n, NIC_FAILED, err.text);
			return did;
		}
		nic_did(b, n, w, op);
		did = true;
	}
	return did;
}

static bool slaac_has(const struct box *b, const struct nic *n)
{
	const struct seen_link *l = seen_by_name(&b->seen, n->name);

	for (size_t i = 0; l && i < b->seen.n_addrs; i++) {
		const struct seen_addr *a = &b->seen.addrs[i];

		if (a->ifindex == l->ifindex && a->p.ip.family == AF_INET6 && !a->permanent && !a->tentative &&
		    !ip_is_link_local(&a->p.ip))
			return true;
	}
	return false;
}

static void nic_remember_seen(const struct box *b, struct nic *n, const struct want *w)
{
	const struct seen_link *l = seen_by_name(&b->seen, n->name), *host = seen_by_name(&b->all->host, w->host);

	n->host_ifindex = host ? host->ifindex : 0;
	n->ifindex = l ? l->ifindex : 0;
	if (!l)
		return;
	n->mac = l->mac;
	n->mtu = l->mtu;
	n->n_addresses = 0;
	for (size_t i = 0; i < b->seen.n_addrs && n->n_addresses < ARRAY_LEN(n->addresses); i++)
		if (b->seen.addrs[i].ifindex == l->ifindex && !ip_is_link_local(&b->seen.addrs[i].p.ip))
			n->addresses[n->n_addresses++] = b->seen.addrs[i].p;
	memset(n->gateways, 0, sizeof(n->gateways));
	for (size_t i = 0; i < w->n_routes; i++)
		if (!w->routes[i].to.len)
			n->gateways[w->routes[i].to.ip.family == AF_INET6] = w->routes[i].via;
}

/* Return: why it waits for a server; or, with @ret_ready, what one gave that was not taken; or "" */
static const char *clients_start(struct box *b, struct nic *n, bool *ret_ready)
{
	static const char *const waits[] = {"waits for a DHCP server's answer", "waits for a DHCPv6 server's answer"};
	const char *why = "";
	char id[129];

	static_assert(ARRAY_LEN(waits) == LEASE_KIND_N_, "one text per kind");
	*ret_ready = true;
	for (size_t i = 0; i < LEASE_KIND_N_; i++) { /* all of them, before any is waited for */
		if (!n->clients[i])
			continue;
		want_client_id(b->all->host_id, &b->a, n->name, (enum lease_kind)i, id);
		client_start(n->clients[i], &b->ns, n->name, b->a.hostname, id);
	}
	for (size_t i = 0; i < LEASE_KIND_N_ && *ret_ready; i++) {
		const struct att_lease *l = n->clients[i] ? client_lease(n->clients[i]) : NULL;

		if (!l)
			continue;
		*ret_ready = !ip_is_none(&l->address.ip);
		if (!*ret_ready || !why[0])
			why = *ret_ready || l->why[0] ? l->why : waits[i];
	}
	return why;
}

/* The kernel has all of it: is what servers give there too? */
static void nic_settle(struct box *b, struct nic *n, const struct want *w)
{
	const struct nic_spec *s = w->spec;
	const char *why;
	bool ready;

	if (n->begun_us) {
		n->attach_us = mono_now().us - n->begun_us;
		n->begun_us = 0;
		log_debug("NIC made", kv_str("container", b->a.container.name), kv_str("nic", n->name),
			  kv_int("took_us", n->attach_us));
	}
	why = clients_start(b, n, &ready);
	if (!ready) {
		nic_say(b, n, NIC_WAITING, why);
		return;
	}
	if (s->slaac && !slaac_has(b, n)) {
		nic_say(b, n, NIC_WAITING, "waits for a router advertisement");
		return;
	}
	nic_say(b, n, NIC_READY, why);
}

/* Return: look again */
static bool nic_work(struct box *b, struct nic *n, size_t index)
{
	char why[200] = "";
	struct ops ops = {0};
	struct want w;
	enum nic_state state;
	bool did;

	nic_want(b, n, index, &w);
	state = plan_nic(&w, &b->all->host, &b->seen, n->sysctl_done, n->known, n->n_known, &ops, why);
	nic_remember_seen(b, n, &w);
	if (state == NIC_READY)
		nic_settle(b, n, &w);
	else if (why[0] || n->state != NIC_READY || ops.n)
		nic_say(b, n, state, why);
	did = !n->failed && nic_apply(b, n, &w, &ops);
	ops_done(&ops);
	return did;
}

static void box_break(struct box *b, const char *why);

static void box_retry(struct box *b)
{
	timer_start(b->retry, b->retry_us);
	b->retry_us = b->retry_us * 2 > RETRY_LAST_US ? RETRY_LAST_US : b->retry_us * 2;
}

/* Addresses and routes only when there is a NIC that they could be on: a container that has just started has none */
static int box_look(struct box *b, struct err *err)
{
	int rc = kernel_dump_links(b->nl, &b->seen, err);

	b->look = false;
	if (rc < 0)
		return rc;
	kernel_forget_rest(&b->seen);
	for (size_t i = 0; i < b->n_nics; i++)
		if (seen_by_name(&b->seen, b->nics[i]->name))
			return kernel_dump_rest(b->nl, &b->seen, err);
	return 0;
}

static void box_work(struct box *b)
{
	bool again = true, failed = false;
	struct err err;

	for (size_t i = 0; i < b->n_nics; i++)
		b->nics[i]->failed = false;
	b->look = true;
	for (int round = 0; again && round < ROUNDS; round++) {
		again = false;
		if (b->look && box_look(b, &err) < 0) {
			box_break(b, err.text);
			return;
		}
		for (size_t i = 0; i < b->n_nics; i++)
			again |= nic_work(b, b->nics[i], i);
	}
	for (size_t i = 0; i < b->n_nics; i++)
		failed |= b->nics[i]->failed;
	if (failed || again)
		box_retry(b);
	else
		b->retry_us = RETRY_FIRST_US;
	seen_done(&b->seen); /* looked at anew every time: thousands of containers need not keep it */
	box_files(b);
}

/* --- opening and closing --- */

static void box_close(struct box *b)
{
	nl_free(b->nl);
	nl_free(b->events);
	b->nl = b->events = NULL;
	autoclose_(&b->ns_fd);
	b->ns_fd = -1;
	autoclose_(&b->conf_fd);
	b->conf_fd = -1;
	timer_stop(b->work);
	timer_stop(b->retry);
	box_calls_forget(b);
	b->turn++;
	for (size_t i = 0; i < b->n_nics; i++)
		b->nics[i]->sysctl_done = b->nics[i]->sysctl_calling = false;
}

static void box_break(struct box *b, const char *why)
{
	box_close(b);
	b->step = BOX_WAIT;
	for (size_t i = 0; i < b->n_nics; i++)
		nic_say(b, b->nics[i], NIC_WAITING, why);
	box_retry(b);
}

static void on_event(void *arg, const struct nlmsghdr *nlh)
{
	(void)nlh;
	box_heard(arg);
}

static void on_lost(void *arg)
{
	box_heard(arg);
}

static int box_listen(struct box *b, struct err *err)
{
	static const unsigned groups[] = {RTNLGRP_LINK,	      RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
					  RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  0};

	return nl_listen(b->events, b->all->loop, groups, on_event, on_lost, b, err);
}

enum what { WHAT_CONF, WHAT_NS, WHAT_NL, WHAT_EVENTS };

/* Has an earlier run of ours made all NICs of this start of the container? */
static bool box_is_made(struct box *b)
{
	struct err err;

	if (kernel_dump_links(b->nl, &b->seen, &err) < 0)
		return false;
	for (size_t i = 0; i < b->n_nics; i++) {
		const struct seen_link *l = seen_by_name(&b->seen, b->nics[i]->name);

		if (!l || strncmp(l->alias, ATTACH_ALIAS, strlen(ATTACH_ALIAS)) != 0)
			return false;
	}
	return true;
}

static void box_opened(struct box *b)
{
	struct err err;

	if (box_listen(b, &err) < 0) {
		box_break(b, err.text);
		return;
	}
	b->step = BOX_OPEN;
	box_flag_begin(b, box_is_made(b));
	box_work(b);
}

static void on_open(void *arg, int code, int fd, const char *text)
{
	struct call *c = arg;
	struct box *b = c->box;
	int what = c->what;
	struct err err = {0};

	if (!b || c->turn != b->turn) {
		autoclose_(&fd);
		if (b)
			b->calls--;
		box_call_done(c);
		return;
	}
	b->calls--;
	box_call_done(c);
	if (what == WHAT_CONF) { /* the first question; without that the broker is asked for each NIC */
		b->conf_fd = fd;
		return;
	}
	if (code < 0 || fd < 0) {
		autoclose_(&fd);
		box_break(b, text && text[0] ? text : strerror(code < 0 ? -code : EPROTO));
		return;
	}
	if (what == WHAT_NS)
		b->ns_fd = fd;
	else
		(void)!nl_adopt(fd, what == WHAT_NL ? &b->nl : &b->events, &err);
	if (err.code < 0)
		box_break(b, err.text);
	else if (b->ns_fd >= 0 && b->nl && b->events)
		box_opened(b);
}

static void box_ask(struct box *b, enum broker_op op, int arg, int what)
{
	struct call *c = box_call(b, "");

	c->what = what;
	broker_call(b->all->broker, op, &b->ns, arg, -1, on_open, c);
}

static void box_open(struct box *b)
{
	const struct inv_container *c = &b->a.container;

	if (!b->a.running || b->a.refused[0]) {
		b->step = BOX_CLOSED;
		for (size_t i = 0; i < b->n_nics; i++)
			nic_say(b, b->nics[i], b->a.refused[0] ? NIC_REFUSED : NIC_WAITING,
				b->a.refused[0] ? b->a.refused : "the container does not run; it is waited for");
		return;
	}
	b->step = BOX_OPENING;
	b->ns = (struct broker_ns){.pid = c->pid};
	str_print(b->ns.name, "ct:%s", c->id);
	memcpy(b->ns.sandbox, c->sandbox, sizeof(b->ns.sandbox));
	box_ask(b, BROKER_NIC_CONF, 0, WHAT_CONF);
	box_ask(b, BROKER_OPEN, 0, WHAT_NS);
	box_ask(b, BROKER_NETLINK, NETLINK_ROUTE, WHAT_NL);
	box_ask(b, BROKER_NETLINK, NETLINK_ROUTE, WHAT_EVENTS);
}

static void on_retry(void *arg)
{
	struct box *b = arg;

	if (b->step == BOX_OPEN)
		box_soon(b);
	else if (b->step == BOX_WAIT)
		box_open(b);
}

/* --- stopping --- */

/* The host's end outlives a namespace that somebody keeps, such as we do until now */
static void nic_take_away(struct box *b, struct nic *n)
{
	struct places p = {.host = b->all->host_nl, .ct = b->nl, .host_fd = b->all->host_fd, .ct_fd = b->ns_fd};
	struct seen_link *l = n->host_ifindex ? seen_by_index(&b->all->host, n->host_ifindex) : NULL;
	struct err err = {0};
	int rc = 0;

	if (l && str_eq(l->name, n->host)) {
		doomed_add(b->all->doomed, l->ifindex);
		seen_remove(&b->all->host, n->host_ifindex);
	} else if (n->kind == NIC_PHYSICAL && b->nl && n->ifindex && n->lent[0]) {
		rc = kernel_give_back(&p, n->ifindex, n->lent, &err);
		if (rc == 0)
			box_returned(b, n->lent);
	} else if (b->nl && n->ifindex) {
		rc = kernel_remove_link(b->nl, n->ifindex, &err);
	}
	if (rc < 0 && rc != -ENODEV)
		log_warning("a NIC cannot be taken away", kv_str("container", b->a.container.name),
			    kv_str("nic", n->name), kv_str("why", err.text));
}

static void box_end(struct box *b)
{
	for (size_t i = 0; i < b->n_nics; i++)
		nic_take_away(b, b->nics[i]);
	box_close(b);
	for (size_t i = 0; i < b->n_nics; i++)
		nic_free(b->nics[i], true);
	b->n_nics = 0;
	b->step = BOX_GONE;
	box_told(b);
}

static void on_patience(void *arg)
{
	struct box *b = arg;

	if (b->step == BOX_STOPPING)
		box_end(b);
}

void box_stop(struct box *b)
{
	bool waits = false;

	if (b->step == BOX_STOPPING || b->step == BOX_GONE)
		return;
	box_flag_end(b);
	timer_stop(b->retry);
	timer_stop(b->work);
	for (size_t i = 0; i < b->n_nics; i++) {
		struct nic *n = b->nics[i];

		for (size_t k = 0; k < LEASE_KIND_N_ && b->step == BOX_OPEN; k++) {
			if (!n->clients[k])
				continue;
			client_release(n->clients[k]);
			waits |= !client_ended(n->clients[k]);
		}
	}
	b->step = BOX_STOPPING;
	if (waits)
		timer_start(b->patience, RELEASE_US);
	else
		timer_start(b->patience, 0);
}

static void on_work(void *arg)
{
	struct box *b = arg;
	bool ended = true;

	if (b->step == BOX_OPEN) {
		box_work(b);
	} else if (b->step == BOX_STOPPING) {
		for (size_t i = 0; i < b->n_nics * LEASE_KIND_N_; i++) {
			const struct client *c = b->nics[i / LEASE_KIND_N_]->clients[i % LEASE_KIND_N_];

			ended &= !c || client_ended(c);
		}
		if (ended)
			timer_start(b->patience, 0);
	}
}

/* --- public --- */

static void a_done(struct inv_attach *a)
{
	free(a->nics);
	*a = (struct inv_attach){0};
}

static void a_copy(const struct inv_attach *from, struct inv_attach *ret)
{
	*ret = *from;
	ret->container.interfaces = NULL;
	ret->container.n_interfaces = ret->container.cap_interfaces = 0;
	ret->nics = from->n_nics ? xmemdup(from->nics, from->n_nics * sizeof(*from->nics)) : NULL;
	ret->cap_nics = from->n_nics;
}

/* That which was called so before and is still the same kind of thing; taken out of the list */
static struct nic *nic_keep(struct box *b, const struct nic_spec *spec, const struct inv_attach *before)
{
	for (size_t i = 0; before && i < b->n_nics; i++) {
		struct nic *n = b->nics[i];
		const struct nic_spec *was = &before->nics[i];

		if (!str_eq(n->name, spec->name))
			continue;
		if (was->dhcp != spec->dhcp || was->dhcp6 != spec->dhcp6 || was->kind != spec->kind ||
		    !str_eq(was->parent, spec->parent))
			return NULL;
		/* the last takes its place, in both lists alike: before is thrown away after this */
		b->nics[i] = b->nics[--b->n_nics];
		before->nics[i] = before->nics[b->n_nics];
		return n;
	}
	return NULL;
}

/* NICs as the settings have them now: what stays keeps its client, what is no longer wanted goes */
static void nics_follow(struct box *b, const struct inv_attach *before)
{
	struct nic **now = xcalloc(b->a.n_nics + 1, sizeof(struct nic *));

	for (size_t i = 0; i < b->a.n_nics; i++) {
		now[i] = nic_keep(b, &b->a.nics[i], before);
		if (now[i])
			now[i]->sysctl_done = false; /* it may want another one */
	}
	for (size_t i = 0; i < b->n_nics; i++) {
		if (b->step == BOX_OPEN)
			nic_take_away(b, b->nics[i]);
		nic_free(b->nics[i], true);
	}
	for (size_t i = 0; i < b->a.n_nics; i++) {
		const struct nic_spec *spec = &b->a.nics[i];
		struct nic *n = now[i] ? now[i] : nic_new(b, spec);

		now[i] = n;
		n->kind = spec->kind;
		str_copy(n->parent, spec->parent);
		str_copy(n->lent, spec->kind == NIC_PHYSICAL ? spec->parent : "");
		n->shim = spec->kind == NIC_MACVLAN && !spec->no_shim;
	}
	free(b->nics);
	b->nics = now;
	b->n_nics = b->a.n_nics;
}

struct box *box_new(struct boxes *all, const struct inv_attach *a)
{
	struct box *b = xcalloc(1, sizeof(*b));

	b->all = all;
	b->ns_fd = b->conf_fd = -1;
	b->retry_us = RETRY_FIRST_US;
	b->work = timer_new(all->loop, "container", on_work, b);
	b->retry = timer_new(all->loop, "container retry", on_retry, b);
	b->patience = timer_new(all->loop, "container end", on_patience, b);
	a_copy(a, &b->a);
	nics_follow(b, NULL);
	box_open(b);
	return b;
}

const char *box_id(const struct box *b)
{
	return b->a.container.id;
}

const struct inv_attach *box_wants(const struct box *b)
{
	return &b->a;
}

static bool nics_same(const struct inv_attach *a, const struct inv_attach *b)
{
	if (a->n_nics != b->n_nics)
		return false;
	for (size_t i = 0; i < a->n_nics; i++)
		if (!nic_same(&a->nics[i], &b->nics[i]))
			return false;
	return true;
}

void box_update(struct box *b, const struct inv_attach *a)
{
	struct inv_attach before = b->a;
	bool again = before.running != a->running || before.container.pid != a->container.pid ||
		     !str_eq(before.container.sandbox, a->container.sandbox) || !str_eq(before.refused, a->refused);
	bool same = nics_same(&before, a);

	a_copy(a, &b->a);
	if (!same)
		nics_follow(b, &before);
	a_done(&before);
	if (again) {
		box_close(b);
		b->retry_us = RETRY_FIRST_US;
		box_open(b);
	} else if (!same || b->a.flag != before.flag) {
		box_soon(b);
		if (b->step == BOX_CLOSED)
			box_open(b);
	}
	box_told(b);
}

void box_host_changed(struct box *b, const char *link)
{
	bool about = !link;

	for (size_t i = 0; !about && i < b->n_nics; i++)
		about = str_eq(b->nics[i]->host, link) || str_eq(b->nics[i]->parent, link);
	if (about)
		box_heard(b);
}

bool box_owns(const struct box *b, const char *link)
{
	for (size_t i = 0; i < b->n_nics; i++)
		if (str_eq(b->nics[i]->host, link) || str_eq(b->nics[i]->lent, link))
			return true;
	return false;
}

bool box_gone(const struct box *b)
{
	return b->step == BOX_GONE;
}

void box_free(struct box *b)
{
	if (!b)
		return;
	box_close(b);
	for (size_t i = 0; i < b->n_nics; i++)
		nic_free(b->nics[i], false);
	free(b->nics);
	box_calls_forget(b);
	timer_free(b->work);
	timer_free(b->retry);
	timer_free(b->patience);
	a_done(&b->a);
	free(b);
}
