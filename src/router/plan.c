/* SPDX-License-Identifier: Apache-2.0
 *
 * The difference between desired and actual as an ordered list of operations; see plan.h.
 */
#include "router/plan.h"

#include "router/ruleset.h"

static struct op *op_add(struct plan *p, enum op_kind kind, const struct net *net)
{
	struct op *o = xgrow(&p->ops, p->n, &p->cap);
	p->n++;
	o->kind = kind;
	o->net = net;
	return o;
}

static bool is_ours(const struct link *l)
{
	return strncmp(l->alias, ROUTER_ALIAS, strlen(ROUTER_ALIAS)) == 0;
}

/* What cannot be changed on a link that is there. */
static bool must_remake(const struct link *d, const struct link *a)
{
	if (!link_kind_fits(d->kind, a->kind))
		return true;
	if (d->kind != LINK_VXLAN)
		return false;
	return d->vxlan.vni != a->vxlan.vni || d->vxlan.port != a->vxlan.port ||
	       d->vxlan.local.family != a->vxlan.local.family ||
	       (d->vxlan.src_low && (d->vxlan.src_low != a->vxlan.src_low || d->vxlan.src_high != a->vxlan.src_high));
}

/*
 * A link of that name that somebody else made is left alone. The alias comes after the link, so one without is ours,
 * half-made, when it has our MAC.
 */
static bool is_foreign(const struct link *d, const struct link *a)
{
	return !is_ours(a) && (a->alias[0] || !link_kind_fits(d->kind, a->kind) || mac_cmp(&a->mac, &d->mac) != 0);
}

enum fate {
	FATE_MISSING, /* not there, and cannot be made now */
	FATE_STAYS,
	FATE_RENAMED, /* there under another name, until this plan: what hung on it may have gone when it went down */
	FATE_MADE,    /* made, or made again, by this plan: nothing hangs on it yet */
};

static const struct net *ready_net(const struct net_list *l, const struct net_id *id)
{
	const struct net *n = net_list_find(l, id);
	return n && n->ready ? n : NULL;
}

/*
 * The link of ours that is to be @d and that somebody gave another name: making it again would take as long as the
 * kernel needs to delete it. @a: where it is.
 */
static const struct link *renamed(const struct net_list *actual, const struct net *dn, const struct net *a,
				  const struct link *d)
{
	const struct net *pn = d->kind == LINK_VETH ? ready_net(actual, &d->peer_net) : NULL;
	const struct link *other = pn ? net_link(pn, d->peer_name) : NULL;

	for (size_t i = 0; i < a->n_links; i++) {
		const struct link *l = &a->links[i];
		if (l->kind != d->kind || !str_eq(l->alias, d->alias) || net_link(dn, l->name))
			continue;
		if (d->kind == LINK_VXLAN && !must_remake(d, l))
			return l;
		if (other && l->ifindex == other->peer_ifindex && l->peer_ifindex == other->ifindex)
			return l;
	}
	return NULL;
}

/* What is there for the desired link @d, under its name or, where nothing has that, under another */
static const struct link *link_there(const struct net_list *actual, const struct net *dn, const struct net *a,
				     const struct link *d)
{
	const struct link *l = net_link(a, d->name);

	return l ? l : renamed(actual, dn, a, d);
}

static enum fate link_fate(const struct net_list *desired, const struct net_list *actual, const struct net *dn,
			   const char *name)
{
	const struct net *an = ready_net(actual, &dn->id);
	const struct link *d = net_link(dn, name);

	if (!an)
		return FATE_MISSING;
	if (!d) /* somebody else's: a bridge, a container's eth0, lo */
		return net_link(an, name) ? FATE_STAYS : FATE_MISSING;
	const struct link *a = link_there(actual, dn, an, d);
	enum fate stays = a && !str_eq(a->name, name) ? FATE_RENAMED : FATE_STAYS;
	if (a && is_foreign(d, a))
		return FATE_MISSING;
	if (d->kind == LINK_VXLAN || d->kind == LINK_WIREGUARD) {
		struct net_id socket = {.kind = d->kind == LINK_VXLAN && d->vxlan.inside ? NET_WIREGUARD : NET_HOST};
		return a && !must_remake(d, a) ? stays : ready_net(actual, &socket) ? FATE_MADE : FATE_MISSING;
	}
	if (d->kind != LINK_VETH)
		return FATE_MISSING;
	const struct net *pn = ready_net(actual, &d->peer_net);
	if (!pn)
		return FATE_MISSING;
	const struct net *pd = net_list_find(desired, &d->peer_net);
	const struct link *pl = pd ? net_link(pd, d->peer_name) : NULL;
	const struct link *pa = pl ? link_there(actual, pd, pn, pl) : net_link(pn, d->peer_name);
	if (a && pa && a->kind == LINK_VETH && pa->kind == LINK_VETH)
		return stays;
	if (!pl || (pa && is_foreign(pl, pa)))
		return FATE_MISSING;
	return FATE_MADE;
}

static bool nft_differs(const struct nft_table *d, const struct nft_table *a)
{
	return !a->present || a->fingerprint != d->fingerprint || a->n_rules != d->n_rules;
}

static bool table_differs(const struct net *d, const struct net *a)
{
	return nft_differs(&d->nft, &a->nft);
}

/* Is a VXLAN device there, with peers that may be sending? */
static bool door_open(const struct net_list *desired, const struct net_list *actual)
{
	for (size_t i = 0; i < desired->n; i++) {
		const struct net *d = desired->v[i], *a = ready_net(actual, &d->id);
		for (size_t j = 0; a && j < d->n_links; j++)
			if (d->links[j].kind == LINK_VXLAN && link_there(actual, d, a, &d->links[j]))
				return true;
	}
	return false;
}

/*
 * A table that is there is replaced with all of its elements at once, and one that somebody took away comes back
 * with them: no peer is shut out for a moment. At the first start it comes without, and they follow: nobody is let in
 * before, and the rest need not wait for thousands of elements.
 */
static void plan_nft_tables(struct plan *p, const struct net *d, const struct net *a, bool open)
{
	if (!d->nft.present) {
		if (a->nft.present)
			op_add(p, OP_NFT_REMOVE, a)->nft_json = ruleset_remove();
	} else if (table_differs(d, a)) {
		struct op *o = op_add(p, OP_NFT_REPLACE, d);
		o->nft = &d->nft;
		o->nft_json = ruleset_replace(&d->nft, a->nft.present || open);
	}
}

static void plan_nft_elements(struct plan *p, const struct net *d, const struct net *a, bool open)
{
	static const struct nft_table none;

	if (!d->nft.present || ((a->nft.present || open) && table_differs(d, a)))
		return;
	char *elements = ruleset_elements(&d->nft, a->nft.present ? &a->nft : &none);
	if (elements) {
		struct op *o = op_add(p, OP_NFT_ELEMENTS, d);
		o->nft = &d->nft;
		o->nft_json = elements;
	}
}

/* At the end: nobody waits for it, and it must not be in anybody's way. */
static void plan_shortcut(struct plan *p, const struct net *d, const struct net *a)
{
	if (!d || !d->shortcut.present) {
		if (a->shortcut.present)
			op_add(p, OP_SHORTCUT_REMOVE, a);
	} else if (nft_differs(&d->shortcut, &a->shortcut)) {
		op_add(p, OP_SHORTCUT_REPLACE, d)->nft = &d->shortcut;
	}
}

static bool was_renamed(const struct net_list *actual, const struct net *d, const struct net *a, const struct link *l)
{
	for (size_t i = 0; i < d->n_links; i++)
		if (str_eq(d->links[i].alias, l->alias) && link_there(actual, d, a, &d->links[i]) == l)
			return true;
	return false;
}

static void plan_link_removals(struct plan *p, const struct net_list *desired, const struct net_list *actual,
			       const struct net *a)
{
	const struct net *d = net_list_find(desired, &a->id);

	for (size_t i = 0; i < a->n_links; i++) {
		const struct link *l = &a->links[i], *want = d ? net_link(d, l->name) : NULL;
		bool go = is_ours(l) && !want && !(d && was_renamed(actual, d, a, l));
		if (want && !is_foreign(want, l) && link_fate(desired, actual, d, l->name) == FATE_MADE)
			go = true; /* made again */
		if (go)
			op_add(p, OP_LINK_REMOVE, a)->link = l;
	}
}

static void plan_link_changes(struct plan *p, const struct net *d, const struct link *l, const struct link *a)
{
	struct op o = {.kind = OP_LINK_SET, .net = d, .link = l};

	o.set_name = !str_eq(l->name, a->name);
	if (o.set_name) {
		str_copy(o.was.name, a->name);
		o.was.ifindex = a->ifindex;
	}
	o.set_alias = !str_eq(l->alias, a->alias);
	o.set_mac = mac_cmp(&l->mac, &a->mac) != 0;
	o.set_mtu = l->mtu != a->mtu;
	o.set_up = l->up != a->up;
	o.set_master = !str_eq(l->master, a->master);
	o.set_vxlan = l->kind == LINK_VXLAN &&
		      (ip_cmp(&l->vxlan.local, &a->vxlan.local) != 0 || l->vxlan.learning != a->vxlan.learning);
	/* where it is not known, the kernel's bridges know no multicast */
	o.set_mcast_router = l->mcast_router && a->mcast_router && l->mcast_router != a->mcast_router;
	if (o.set_name || o.set_alias || o.set_mac || o.set_mtu || o.set_up || o.set_master || o.set_vxlan ||
	    o.set_mcast_router)
		*op_add(p, OP_LINK_SET, d) = o;
}

static void plan_links(struct plan *p, const struct net_list *desired, const struct net_list *actual)
{
	for (size_t i = 0; i < actual->n; i++)
		if (actual->v[i]->ready)
			plan_link_removals(p, desired, actual, actual->v[i]);
	for (size_t i = 0; i < desired->n; i++) {
		const struct net *d = desired->v[i];
		for (size_t j = 0; j < d->n_links; j++) {
			const struct link *l = &d->links[j];
			const struct net *a = ready_net(actual, &d->id);
			const struct link *there = a ? net_link(a, l->name) : NULL;
			if (there && is_foreign(l, there)) {
				struct plan_blocked *b = xgrow(&p->blocked, p->n_blocked, &p->cap_blocked);
				p->n_blocked++;
				*b = (struct plan_blocked){d, l};
			}
			if (link_fate(desired, actual, d, l->name) != FATE_MADE ||
			    (l->kind == LINK_VETH && !l->veth_primary))
				continue;
			struct op *o = op_add(p, OP_LINK_ADD, d);
			o->link = l;
			if (l->kind == LINK_VETH) {
				o->peer_net = net_list_find(desired, &l->peer_net);
				o->peer = net_link(o->peer_net, l->peer_name);
			}
		}
	}
	for (size_t i = 0; i < desired->n; i++) {
		const struct net *d = desired->v[i], *a = ready_net(actual, &d->id);
		for (size_t j = 0; a && j < d->n_links; j++) {
			const struct link *l = &d->links[j];
			enum fate fate = link_fate(desired, actual, d, l->name);
			if (fate == FATE_STAYS || fate == FATE_RENAMED)
				plan_link_changes(p, d, l, link_there(actual, d, a, l));
		}
	}
}

static struct op_wg *wg_op(struct plan *p, enum op_kind kind, const struct net *net, unsigned slot)
{
	struct op *o = op_add(p, kind, net);

	o->wg = xcalloc(1, sizeof(*o->wg));
	o->wg->slot = slot;
	return o->wg;
}

void op_wg_free(struct op_wg *w)
{
	if (w)
		explicit_bzero(w, sizeof(*w));
	free(w);
}

/*
 * An endpoint that WireGuard has learned from the peer's own packets is better than what was announced. So it is set
 * only when the announced one is another than we last set; after a restart that is in router.json. Where it is not
 * known, one that works is left alone.
 */
static bool endpoint_differs(const struct net_wg *a, size_t i, const struct wg_peer *want)
{
	const struct endpoint *had = a->notes ? &a->notes[i].announced : &(struct endpoint){0};
	const struct wg_peer *is = &a->device.peers[i];

	if (ip_is_none(&had->ip))
		return ip_is_none(&is->endpoint.ip) || is->handshake_s == 0;
	return ip_cmp(&had->ip, &want->endpoint.ip) != 0 || had->port != want->endpoint.port;
}

static bool allowed_same(const struct wg_peer *a, const struct wg_peer *b)
{
	if (a->n_allowed != b->n_allowed || a->n_allowed > WG_ALLOWED)
		return false;
	for (size_t i = 0; i < a->n_allowed; i++) { /* the device has an order of its own */
		bool there = false;
		for (size_t k = 0; k < b->n_allowed && !there; k++)
			there = prefix_cmp(&a->allowed[i], &b->allowed[k]) == 0;
		if (!there)
			return false;
	}
	return true;
}

static void plan_wg_peer(struct plan *p, const struct net *d, unsigned slot, const struct net_wg *a,
			 const struct wg_peer *want)
{
	const struct wg_peer *is = a ? wg_peer_find(&a->device, want->key) : NULL;
	struct wg_peer_change c = {.set_psk = true, .set_endpoint = true, .set_allowed = true, .peer = *want};

	c.set_keepalive = want->keepalive_s != 0;
	if (is) {
		c.set_psk = memcmp(is->psk, want->psk, sizeof(is->psk)) != 0;
		c.set_endpoint = endpoint_differs(a, (size_t)(is - a->device.peers), want);
		c.set_keepalive = is->keepalive_s != want->keepalive_s;
		c.set_allowed = !allowed_same(is, want);
	}
	if (c.set_psk || c.set_endpoint || c.set_keepalive || c.set_allowed)
		wg_op(p, OP_WG_PEER, d, slot)->peer = c;
	explicit_bzero(&c, sizeof(c));
}

/* Who is not desired goes first: of one whose key has changed, the address is wanted by the new one. */
static void plan_wg_device(struct plan *p, const struct net_list *desired, const struct net_list *actual,
			   const struct net *d, const struct net *an, unsigned slot)
{
	const struct net_wg *a = an->wg[slot].present ? &an->wg[slot] : NULL;
	const struct link *l = net_wg_link(d, slot);

	if (!l)
		return;
	enum fate fate = link_fate(desired, actual, d, l->name);
	if (fate == FATE_MISSING || (fate == FATE_STAYS && !a))
		return; /* it will be read */
	if (fate == FATE_MADE)
		a = NULL;
	const struct wg_device *want = &d->wg[slot].device;
	bool key = !a || memcmp(a->device.private_key, want->private_key, WG_KEY_BYTES) != 0;
	bool port = !a || a->device.port != want->port;
	if (key || port) {
		struct op_wg *w = wg_op(p, OP_WG_DEVICE, d, slot);
		w->set_private_key = key;
		w->set_port = port;
		memcpy(w->private_key, want->private_key, WG_KEY_BYTES);
		w->port = want->port;
	}
	for (size_t i = 0; a && i < a->device.n_peers; i++)
		if (!wg_peer_find(want, a->device.peers[i].key)) {
			struct wg_peer_change *c = &wg_op(p, OP_WG_REMOVE, an, slot)->peer;
			c->remove = true;
			memcpy(c->peer.key, a->device.peers[i].key, WG_KEY_BYTES);
		}
	for (size_t i = 0; i < want->n_peers; i++)
		plan_wg_peer(p, d, slot, a, &want->peers[i]);
}

static void plan_wireguard(struct plan *p, const struct net_list *desired, const struct net_list *actual)
{
	static const struct net_id id = {.kind = NET_WIREGUARD};
	const struct net *d = net_list_find(desired, &id), *a = ready_net(actual, &id);

	for (unsigned slot = 0; d && a && slot < WG_SLOTS; slot++)
		plan_wg_device(p, desired, actual, d, a, slot);
}

/* A small cache: entries of a device come by the thousand. */
struct fate_cache {
	const struct net *net;
	char dev[8][16];
	enum fate fate[8];
	unsigned n, at;
};

static enum fate cached_fate(struct fate_cache *c, const struct net_list *desired, const struct net_list *actual,
			     const struct net *dn, const char *dev)
{
	if (c->net != dn)
		*c = (struct fate_cache){.net = dn};
	for (unsigned i = 0; i < c->n; i++)
		if (str_eq(c->dev[i], dev))
			return c->fate[i];
	enum fate f = link_fate(desired, actual, dn, dev);
	unsigned slot = c->n < ARRAY_LEN(c->dev) ? c->n++ : c->at++ % ARRAY_LEN(c->dev);
	str_copy(c->dev[slot], dev);
	c->fate[slot] = f;
	return f;
}

/* Addresses before neighbours before FDB entries before routes before rules: the order of the types. */
static void plan_entry_adds(struct plan *p, const struct net_list *desired, const struct net_list *actual,
			    const struct net *d)
{
	const struct net *a = ready_net(actual, &d->id);
	struct fate_cache cache = {0};

	for (uint8_t type = 0; a && type < ENTRY_TYPE_N_; type++) {
		size_t it = 0;
		for (const struct entry *e; (e = entry_set_next(&d->entries, &it));) {
			if (e->type != type)
				continue;
			enum fate f = e->dev[0] ? cached_fate(&cache, desired, actual, d, e->dev) : FATE_STAYS;
			if (f == FATE_MISSING)
				continue;
			const struct entry *have = entry_set_find(&a->entries, e);
			if (have && entry_same(have, e) && (f == FATE_STAYS || e->type == ENTRY_RULE))
				continue;
			op_add(p, OP_ENTRY_ADD, d)->entry = e;
		}
	}
}

/* Rules first: the reverse order. What hangs on a link that goes is the kernel's to remove. */
static void plan_entry_removals(struct plan *p, const struct net_list *desired, const struct net_list *actual,
				const struct net *a)
{
	const struct net *d = net_list_find(desired, &a->id);
	struct fate_cache cache = {0};

	for (int type = ENTRY_TYPE_N_ - 1; type >= 0; type--) {
		size_t it = 0;
		for (const struct entry *e; (e = entry_set_next(&a->entries, &it));) {
			if (e->type != type || (d && entry_set_find(&d->entries, e)))
				continue;
			if (e->type != ENTRY_RULE && e->dev[0]) {
				const struct link *l = net_link(a, e->dev);
				bool wanted = d && net_link(d, e->dev);
				/* An address on somebody else's link is theirs. */
				if (!l || (is_ours(l) && !wanted) || (e->type == ENTRY_ADDR && !is_ours(l)) ||
				    (wanted && cached_fate(&cache, desired, actual, d, e->dev) == FATE_MADE))
					continue;
			}
			op_add(p, OP_ENTRY_REMOVE, a)->entry = e;
		}
	}
}

static bool is_inner(const struct net *n)
{
	return n->id.kind == NET_VNI || n->id.kind == NET_WIREGUARD;
}

void plan_make(const struct net_list *desired, const struct net_list *actual, struct plan *ret)
{
	bool open = door_open(desired, actual);

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < desired->n; i++) {
		const struct net *a = ready_net(actual, &desired->v[i]->id);
		if (a)
			plan_nft_tables(ret, desired->v[i], a, open);
	}
	for (size_t i = 0; i < desired->n; i++) {
		const struct net *a = ready_net(actual, &desired->v[i]->id);
		if (a)
			plan_nft_elements(ret, desired->v[i], a, open);
	}
	plan_links(ret, desired, actual);
	plan_wireguard(ret, desired, actual);
	for (int vni_first = 1; vni_first >= 0; vni_first--)
		for (size_t i = 0; i < desired->n; i++)
			if (is_inner(desired->v[i]) == (vni_first != 0))
				plan_entry_adds(ret, desired, actual, desired->v[i]);
	for (int vni_last = 0; vni_last <= 1; vni_last++)
		for (size_t i = 0; i < actual->n; i++)
			if (actual->v[i]->ready && is_inner(actual->v[i]) == (vni_last != 0))
				plan_entry_removals(ret, desired, actual, actual->v[i]);
	for (size_t i = 0; i < actual->n; i++)
		if (actual->v[i]->ready)
			plan_shortcut(ret, net_list_find(desired, &actual->v[i]->id), actual->v[i]);
	/* Where nothing is desired any more the table goes last: until then it guards what is being taken down. */
	for (size_t i = 0; i < actual->n; i++)
		if (actual->v[i]->ready && actual->v[i]->nft.present && !net_list_find(desired, &actual->v[i]->id))
			op_add(ret, OP_NFT_REMOVE, actual->v[i])->nft_json = ruleset_remove();
}

void plan_done(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->ops[i].nft_json);
		op_wg_free(p->ops[i].wg);
	}
	free(p->ops);
	free(p->blocked);
	memset(p, 0, sizeof(*p));
}
