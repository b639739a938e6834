/* SPDX-License-Identifier: Apache-2.0
 *
 * What an event means for the actual state of one namespace.
 *
 * Events say what changed; some changes have none: the kernel drops IPv4 routes without a word when a device goes down
 * or away, and takes the source address out of routes when the address goes. After such an event the namespace is read
 * again. Everything is deferred to the next turn of the loop, so that a burst costs one dump and one call.
 *
 * What we write ourselves is put into the actual state by whoever wrote it (observe_applied()). The echo of it is
 * dropped by a filter in the kernel, where that says who asked: 10,000 peers would otherwise overrun the socket. FDB
 * entries do not tell; they arrive, compare equal, and change nothing.
 *
 * An event may be older than what a dump or a write has put into the state meanwhile. Then the state is wrong for a
 * moment, the plan repeats a write that is idempotent, and the state is right again: nobody else wrote after it, or
 * there would be another event.
 */
#include "router/watch.h"

#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "base/log.h"

#define RESYNC_RETRY_US (50 * USEC_PER_MSEC)
#define FOREIGN_SHARE	10 /* reading foreign routes takes a tenth of the time at most */

static void tell(struct watch *w)
{
	w->dirty = true;
	w->soon(w->o);
}

static void want_resync(struct watch *w)
{
	w->resync = true;
	w->soon(w->o);
}

static void want_foreign(struct watch *w)
{
	if (w->net->id.kind != NET_HOST)
		return;
	w->foreign = true;
	w->soon(w->o);
}

/* --- links --- */

/* A bridge that a leg is on: the shortcut knows its MAC */
static bool has_our_port(const struct net *n, const struct link *bridge)
{
	for (size_t i = 0; bridge->kind == LINK_BRIDGE && i < n->n_links; i++)
		if (str_eq(n->links[i].master, bridge->name) && link_is_ours(n, &n->links[i]))
			return true;
	return false;
}

/* Does it matter to anybody? The MAC of a stranger's bridge changes with its ports and does not */
static bool link_differs(const struct net *n, const struct link *a, const struct link *b)
{
	if (!str_eq(a->name, b->name) || a->up != b->up || a->mtu != b->mtu || !str_eq(a->master, b->master) ||
	    !str_eq(a->alias, b->alias) || a->ipv6_off != b->ipv6_off || a->kind != b->kind || a->ifindex != b->ifindex)
		return true;
	if (!link_is_ours(n, b))
		return mac_cmp(&a->mac, &b->mac) != 0 && has_our_port(n, b);
	return a->mcast_router != b->mcast_router || mac_cmp(&a->mac, &b->mac) != 0 ||
	       a->peer_ifindex != b->peer_ifindex || a->vxlan.vni != b->vxlan.vni || a->vxlan.port != b->vxlan.port ||
	       a->vxlan.learning != b->vxlan.learning || a->vxlan.src_low != b->vxlan.src_low ||
	       a->vxlan.src_high != b->vxlan.src_high || ip_cmp(&a->vxlan.local, &b->vxlan.local) != 0;
}

/* What hung on a device that went is gone with it; rules stay, "detached" */
static void drop_entries_of(struct watch *w, const char *dev)
{
	struct entry_set *s = &w->net->entries;
	struct entry *gone = NULL;
	size_t n = 0, cap = 0, it = 0;

	for (const struct entry *e; (e = entry_set_next(s, &it));) {
		if (e->type == ENTRY_RULE || !str_eq(e->dev, dev))
			continue;
		*xgrow(&gone, n, &cap) = *e;
		n++;
	}
	for (size_t i = 0; i < n; i++)
		entry_set_remove(s, &gone[i]);
	free(gone);
	if (n)
		want_resync(w);
}

/* A device left, or stays but lost what stood on it */
static void link_lost(struct watch *w, const struct link *l)
{
	drop_entries_of(w, l->name);
	want_foreign(w);
	tell(w);
}

static void link_event(struct watch *w, const struct decoded *d)
{
	struct net *n = w->net;
	struct link *l = link_by_index(n, d->ifindex, &w->hint);

	if (d->removed) {
		if (!l)
			return;
		struct link was = *l;
		*l = n->links[--n->n_links];
		link_lost(w, &was);
		return;
	}
	struct link now = link_from_decoded(n, d);
	if (!l) {
		/* One of that name that is still here has gone or was renamed; its event got lost or is to come */
		struct link *stale = net_link(n, now.name);
		if (stale) {
			struct link was = *stale;
			*stale = n->links[--n->n_links];
			link_lost(w, &was);
		}
		*xgrow(&n->links, n->n_links, &n->cap_links) = now;
		n->n_links++;
		tell(w);
		return;
	}
	struct link was = *l;
	*l = now;
	if (!link_differs(n, &was, &now))
		return;
	/* A small MTU takes IPv6 off the device, and all that stood on it */
	if (!str_eq(was.name, now.name) || (was.up && !now.up) || was.mtu != now.mtu || was.ipv6_off != now.ipv6_off)
		link_lost(w, &was);
	tell(w);
}

int watch_links(struct watch *w, struct err *err)
{
	struct net *n = w->net;
	struct net before = {
		.id = n->id, .links = xmemdup(n->links, n->n_links * sizeof(*n->links)), .n_links = n->n_links};

	int rc = dump_links(w->nl[WATCH_RT], n, err);
	for (size_t i = 0; rc == 0 && i < before.n_links; i++) {
		const struct link *was = &before.links[i], *now = link_by_index(n, was->ifindex, NULL);
		if (!now || !str_eq(now->name, was->name) || (was->up && !now->up))
			link_lost(w, was);
		else if (link_differs(n, was, now))
			tell(w);
	}
	if (rc == 0 && n->n_links > before.n_links)
		tell(w);
	free(before.links);
	return rc;
}

/* --- addresses --- */

static bool addrs_set(struct host_addrs *a, const struct ip *ip, int ifindex, bool removed)
{
	for (size_t i = 0; i < a->n; i++) {
		if (a->v[i].ifindex != ifindex || ip_cmp(&a->v[i].ip, ip) != 0)
			continue;
		if (removed)
			a->v[i] = a->v[--a->n];
		return removed;
	}
	if (removed)
		return false;
	*xgrow(&a->v, a->n, &a->cap) = (struct host_addr){.ip = *ip, .ifindex = ifindex};
	a->n++;
	return true;
}

/*
 * IPv4 routes with this source are gone, IPv6 ones have lost it; and with the last IPv4 address of a device all IPv4
 * routes over it. Neither is told.
 */
static bool may_have_lost_routes(const struct net *n, const struct entry *addr, const struct link *l)
{
	size_t it = 0;

	for (const struct entry *e; (e = entry_set_next(&n->entries, &it));)
		if (e->type == ENTRY_ROUTE && e->family == addr->family &&
		    (memcmp(e->src, addr->dst, 16) == 0 || (e->family == AF_INET && l && str_eq(e->dev, l->name))))
			return true;
	return false;
}

/*
 * Nor is it told that IPv6 was turned off on a device: its addresses go, and it is still up. Ours and bridges only:
 * strangers' links come and go all day.
 */
static bool may_have_lost_ipv6(const struct net *n, const struct entry *addr, const struct link *l)
{
	return addr->family == AF_INET6 && l && l->up && !l->ipv6_off && (l->kind == LINK_BRIDGE || link_is_ours(n, l));
}

static void addr_event(struct watch *w, const struct decoded *d, const struct link *l)
{
	struct ip ip = ip_from_bytes(d->entry.family, d->entry.dst);

	if (w->net->id.kind == NET_HOST && addrs_set(&w->addrs, &ip, d->ifindex, d->removed))
		tell(w);
	if (d->removed && (may_have_lost_routes(w->net, &d->entry, l) || may_have_lost_ipv6(w->net, &d->entry, l)))
		want_resync(w);
}

/* --- events --- */

static void entry_event(struct watch *w, struct decoded *d)
{
	struct net *n = w->net;
	const struct link *l = link_by_index(n, d->ifindex, &w->hint);

	if (d->entry.type == ENTRY_ADDR)
		addr_event(w, d, l);
	if (d->removed && l)
		memcpy(d->entry.dev, l->name, sizeof(d->entry.dev));
	if (!d->removed && !entry_keep(n, d, l))
		return;
	const struct entry *have = entry_set_find(&n->entries, &d->entry);
	if (!d->removed) {
		if (have && entry_same(have, &d->entry))
			return;
		entry_set_put(&n->entries, &d->entry);
	} else {
		/*
		 * A route or FDB entry of another value under the same key is another one (another metric, a second
		 * destination). The other types have gone, whatever they were.
		 */
		if (!have ||
		    ((d->entry.type == ENTRY_ROUTE || d->entry.type == ENTRY_FDB) && !entry_same(have, &d->entry)))
			return;
		entry_set_remove(&n->entries, &d->entry);
	}
	tell(w);
}

static bool link_has_no_ipv6(struct watch *w, int ifindex)
{
	const struct link *l = link_by_index(w->net, ifindex, &w->hint);

	return l && l->ipv6_off;
}

static void rt_event(void *arg, const struct nlmsghdr *nlh)
{
	struct watch *w = arg;
	struct decoded d;

	decode_rt(nlh, &d);
	switch (d.kind) {
	case DECODED_NOTHING:
		return;
	case DECODED_LINK:
		link_event(w, &d);
		return;
	case DECODED_ENTRY:
		entry_event(w, &d);
		return;
	case DECODED_FOREIGN:
		/* No event tells that disable_ipv6 was turned off, but then routes appear */
		if (!d.removed && d.entry.family == AF_INET6 && link_has_no_ipv6(w, d.ifindex))
			want_resync(w);
		/* A stranger's route under the key of ours may have replaced it, and that is all we are told */
		if (!d.removed && entry_set_find(&w->net->entries, &d.entry))
			want_resync(w);
		if (d.counts)
			want_foreign(w);
		return;
	}
}

static void rt_lost(void *arg)
{
	want_resync(arg);
}

static void nf_event(void *arg, const struct nlmsghdr *nlh)
{
	struct watch *w = arg;
	uint32_t gen = 0;

	switch (decode_nft_event(nlh, &gen)) {
	case NFT_EVENT_OTHER:
		return;
	case NFT_EVENT_OURS:
		w->nft_touched = true;
		return;
	case NFT_EVENT_GENERATION: /* closes a transaction; an old one is in what we have read already */
		if (w->nft_touched && (int32_t)(gen - w->nft_gen) > 0) {
			w->nft = true;
			w->soon(w->o);
		}
		w->nft_touched = false;
		return;
	}
}

static void nf_lost(void *arg)
{
	struct watch *w = arg;

	w->nft = true;
	w->nft_touched = false;
	w->soon(w->o);
}

/* --- opening --- */

/* Drop routes and neighbours that our own request socket wrote; see the top of the file */
static void filter_echoes(struct nl *events, struct nl *requests)
{
	struct sockaddr_nl self = {0};
	socklen_t len = sizeof(self);

	if (getsockname(nl_fd(requests), (struct sockaddr *)&self, &len) < 0 || self.nl_pid == 0)
		return;
#define TYPE_AT (offsetof(struct nlmsghdr, nlmsg_type))
#define PID_AT	(offsetof(struct nlmsghdr, nlmsg_pid))
	/* loads are from network byte order */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, TYPE_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWNEIGH), 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELNEIGH), 1, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, PID_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(self.nl_pid), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};
	if (setsockopt(nl_fd(events), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		log_debug("netlink echoes are not filtered", kv_int("errno", errno));
}

static int watch_join(struct watch *w, uv_loop_t *loop, struct err *err)
{
	static const unsigned full[] = {RTNLGRP_LINK,	    RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
					RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,	 RTNLGRP_NEIGH,
					RTNLGRP_IPV4_RULE,  RTNLGRP_IPV6_RULE,	 0};
	static const unsigned light[] = {RTNLGRP_LINK,	     RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
					 RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  RTNLGRP_NEIGH,
					 RTNLGRP_IPV4_RULE,  RTNLGRP_IPV6_RULE,	  0};
	static const unsigned nft[] = {NFNLGRP_NFTABLES, 0};

	filter_echoes(w->nl[WATCH_RT_EVENTS], w->nl[WATCH_RT]);
	int rc = nl_listen(w->nl[WATCH_RT_EVENTS], loop, w->net->id.kind == NET_CONTAINER ? light : full, rt_event,
			   rt_lost, w, err);
	if (rc == 0 && w->nl[WATCH_NF_EVENTS])
		rc = nl_listen(w->nl[WATCH_NF_EVENTS], loop, nft, nf_event, nf_lost, w, err);
	return rc;
}

static int watch_read(struct watch *w, struct err *err)
{
	struct net *n = w->net;
	bool changed;
	int rc = dump_links(w->nl[WATCH_RT], n, err);

	if (rc == 0)
		rc = dump_entries(w->nl[WATCH_RT], n, n->id.kind == NET_HOST ? &w->addrs : NULL, err);
	if (rc == 0 && n->id.kind == NET_HOST)
		rc = dump_foreign(w->nl[WATCH_RT], n, &changed, err);
	if (rc == 0 && w->nl[WATCH_NF])
		rc = dump_nft(w->nl[WATCH_NF], n, &w->nft_gen, err);
	return rc;
}

int watch_listen(struct watch *w, uv_loop_t *loop, struct err *err)
{
	int rc = watch_join(w, loop, err);

	if (rc == 0)
		rc = watch_read(w, err);
	if (rc < 0)
		return rc;
	w->net->ready = true;
	w->net->broken[0] = '\0';
	tell(w);
	return 0;
}

void watch_close(struct watch *w)
{
	for (int i = 0; i < WATCH_SOCKET_N_; i++) {
		nl_free(w->nl[i]);
		w->nl[i] = NULL;
	}
	if (w->ns_fd >= 0)
		close(w->ns_fd);
	w->ns_fd = -1;
	free(w->addrs.v);
	w->addrs = (struct host_addrs){0};
	w->resync = w->foreign = w->nft = w->nft_touched = false;
	net_clear(w->net);
}

/* --- what is due --- */

void watch_nft(struct watch *w)
{
	uint32_t gen = 0;

	if (!w->nl[WATCH_NF])
		return;
	w->nft = false;
	if (dump_nft_generation(w->nl[WATCH_NF], &gen, NULL) == 0 && gen == w->nft_gen)
		return;
	struct err err;
	if (dump_nft(w->nl[WATCH_NF], w->net, &w->nft_gen, &err) < 0) {
		log_debug("cannot read nf_tables", kv_str("error", err.text));
		return;
	}
	tell(w);
}

static void work_resync(struct watch *w)
{
	struct err err;
	int rc = watch_read(w, &err);

	if (rc == -EAGAIN || rc == -ENOBUFS || rc == -EINTR) {
		/* a storm: when it is over, the dump goes through */
		w->resync = true;
		w->resync_not_before = (mono_t){mono_now().us + RESYNC_RETRY_US};
		return;
	}
	if (rc < 0) {
		watch_close(w);
		str_copy(w->net->broken, err.text);
	}
	w->dirty = true;
}

static void work_foreign(struct watch *w, int64_t now_us)
{
	bool changed = false;

	w->foreign = false;
	int rc = dump_foreign(w->nl[WATCH_RT], w->net, &changed, NULL);
	int64_t took_us = mono_now().us - now_us;
	w->foreign_not_before = (mono_t){now_us + took_us * FOREIGN_SHARE};
	if (rc < 0)
		w->foreign = true;
	if (changed)
		w->dirty = true;
}

int64_t watch_work(struct watch *w)
{
	int64_t now_us = mono_now().us, wait_us = 0;

	if (!w->net->ready)
		return 0;
	if (w->resync && now_us >= w->resync_not_before.us) {
		w->resync = w->foreign = w->nft = false;
		work_resync(w);
		if (!w->net->ready)
			return 0;
	}
	if (w->nft)
		watch_nft(w);
	if (w->foreign && now_us >= w->foreign_not_before.us)
		work_foreign(w, now_us);
	if (w->resync)
		wait_us = w->resync_not_before.us - now_us;
	if (w->foreign && (!wait_us || w->foreign_not_before.us - now_us < wait_us))
		wait_us = w->foreign_not_before.us - now_us;
	return wait_us < 0 ? 1 : wait_us;
}
