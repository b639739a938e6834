/* SPDX-License-Identifier: Apache-2.0
 *
 * The containers of net.h: namespaces, their links, and the hash of entries. Both desired and actual state are made of
 * these. No I/O, no kernel constants but address families.
 *
 * The hash is open with linear probing and backward shift, so a removal leaves no tombstone and a walk touches nothing
 * but the slots. Ten thousand peers are some fifty thousand entries; it grows by half, not by two, since this is most
 * of the router's memory.
 */
#include "router/net.h"

#include <inttypes.h>

#define SLOTS_MIN 16

/* What makes an entry itself; see the table in net.h. The rest is its value. */
static bool entry_key_same(const struct entry *a, const struct entry *b)
{
	if (a->type != b->type)
		return false;
	switch ((enum entry_type)a->type) {
	case ENTRY_ADDR:
		return a->family == b->family && a->len == b->len && memcmp(a->dst, b->dst, 16) == 0 &&
		       str_eq(a->dev, b->dev);
	case ENTRY_NEIGH:
		return a->family == b->family && memcmp(a->dst, b->dst, 16) == 0 && str_eq(a->dev, b->dev);
	case ENTRY_FDB:
		return mac_cmp(&a->mac, &b->mac) == 0 && str_eq(a->dev, b->dev);
	case ENTRY_GROUP:
		return mac_cmp(&a->mac, &b->mac) == 0 && a->pref == b->pref && a->via_family == b->via_family &&
		       memcmp(a->via, b->via, 16) == 0 && str_eq(a->dev, b->dev);
	case ENTRY_ROUTE:
		return a->family == b->family && a->len == b->len && a->table == b->table && a->pref == b->pref &&
		       memcmp(a->dst, b->dst, 16) == 0;
	case ENTRY_RULE:
		return a->family == b->family && a->len == b->len && a->table == b->table && a->pref == b->pref &&
		       memcmp(a->dst, b->dst, 16) == 0 && str_eq(a->dev, b->dev);
	case ENTRY_TYPE_N_:
		break;
	}
	return false;
}

/* Addresses of peers often differ in a few bits of one byte only: every key field goes through a full mix */
static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ (h >> 32);
}

static uint64_t mix16(uint64_t h, const uint8_t bytes[16])
{
	uint64_t v[2];
	memcpy(v, bytes, 16);
	return mix(mix(h, v[0]), v[1]);
}

/*
 * Salted with the number of slots: entries that arrive in the order of another set's slots would otherwise pile up at
 * one end of a set that is still small.
 */
static size_t entry_slot(const struct entry *e, size_t slots)
{
	uint64_t h = mix(slots, e->type);
	switch ((enum entry_type)e->type) {
	case ENTRY_ADDR:
	case ENTRY_NEIGH:
	case ENTRY_RULE:
		h = mix16(h, e->dst);
		h = mix(h, e->pref);
		break;
	case ENTRY_FDB:
	case ENTRY_GROUP: {
		uint64_t m = 0;
		memcpy(&m, e->mac.b, 6);
		h = mix(h, m);
		if (e->type == ENTRY_GROUP)
			h = mix16(h, e->via);
		break;
	}
	case ENTRY_ROUTE:
		h = mix16(mix(h, ((uint64_t)e->table << 8) | e->len), e->dst);
		break;
	case ENTRY_TYPE_N_:
		break;
	}
	if (e->type != ENTRY_FDB && e->type != ENTRY_GROUP)
		h = mix(h, e->family);
	return (size_t)(((__uint128_t)mix(h, h >> 29) * slots) >> 64);
}

void entry_set_done(struct entry_set *s)
{
	free(s->v);
	*s = (struct entry_set){0};
}

/* Slot of the entry with this key, or the empty one where it would stand. There is always an empty one. */
static size_t entry_set_seek(const struct entry_set *s, const struct entry *e)
{
	size_t i = entry_slot(e, s->slots);
	while (s->v[i].type != ENTRY_TYPE_N_ && !entry_key_same(&s->v[i], e))
		i = i + 1 == s->slots ? 0 : i + 1;
	return i;
}

static void entry_set_grow(struct entry_set *s)
{
	struct entry_set old = *s;
	s->slots = old.slots ? old.slots + old.slots / 2 : SLOTS_MIN;
	s->v = xmalloc(s->slots * sizeof(*s->v));
	for (size_t i = 0; i < s->slots; i++)
		s->v[i].type = ENTRY_TYPE_N_;
	for (size_t i = 0; i < old.slots; i++)
		if (old.v[i].type != ENTRY_TYPE_N_)
			s->v[entry_set_seek(s, &old.v[i])] = old.v[i];
	free(old.v);
}

void entry_set_put(struct entry_set *s, const struct entry *e)
{
	if (e->type >= ENTRY_TYPE_N_)
		return;
	if ((s->n + 1) * 4 > s->slots * 3) {
		struct entry copy = *e; /* @e may stand in this very set */
		entry_set_grow(s);
		entry_set_put(s, &copy);
		return;
	}
	size_t i = entry_set_seek(s, e);
	if (s->v[i].type == ENTRY_TYPE_N_)
		s->n++;
	else if (&s->v[i] == e)
		return;
	s->v[i] = *e;
}

const struct entry *entry_set_find(const struct entry_set *s, const struct entry *e)
{
	if (s->n == 0)
		return NULL;
	const struct entry *f = &s->v[entry_set_seek(s, e)];
	return f->type == ENTRY_TYPE_N_ ? NULL : f;
}

void entry_set_remove(struct entry_set *s, const struct entry *e)
{
	if (s->n == 0)
		return;
	size_t hole = entry_set_seek(s, e);
	if (s->v[hole].type == ENTRY_TYPE_N_)
		return;
	s->n--;
	/* Close the gap: what follows and could stand in the hole without passing its own first slot moves up */
	for (size_t i = hole;;) {
		i = i + 1 == s->slots ? 0 : i + 1;
		if (s->v[i].type == ENTRY_TYPE_N_)
			break;
		size_t home = entry_slot(&s->v[i], s->slots);
		size_t way = i >= home ? i - home : i + s->slots - home;
		size_t back = i >= hole ? i - hole : i + s->slots - hole;
		if (way < back)
			continue;
		s->v[hole] = s->v[i];
		hole = i;
	}
	s->v[hole].type = ENTRY_TYPE_N_;
}

const struct entry *entry_set_next(const struct entry_set *s, size_t *it)
{
	while (*it < s->slots) {
		const struct entry *e = &s->v[(*it)++];
		if (e->type != ENTRY_TYPE_N_)
			return e;
	}
	return NULL;
}

/* Field by field: the struct has a byte of padding, which assignments need not copy */
bool entry_same(const struct entry *a, const struct entry *b)
{
	return a->type == b->type && a->family == b->family && a->len == b->len && a->via_family == b->via_family &&
	       a->onlink == b->onlink && mac_cmp(&a->mac, &b->mac) == 0 && a->table == b->table && a->pref == b->pref &&
	       a->mtu == b->mtu && str_eq(a->dev, b->dev) && memcmp(a->dst, b->dst, 16) == 0 &&
	       memcmp(a->via, b->via, 16) == 0 && memcmp(a->src, b->src, 16) == 0;
}

static void print_ip(struct buf *out, uint8_t family, const uint8_t *bytes)
{
	char s[IP_STRLEN];
	struct ip ip = ip_from_bytes(family, bytes);
	buf_puts(out, ip_format(&ip, s));
}

static void print_prefix(struct buf *out, const struct entry *e)
{
	if (e->len == 0) {
		buf_puts(out, e->type == ENTRY_RULE ? "all" : "default");
		return;
	}
	print_ip(out, e->family, e->dst);
	if (e->type == ENTRY_ADDR || e->len != ip_bits(e->family))
		buf_printf(out, "/%u", e->len);
}

static void print_route(struct buf *out, const struct entry *e)
{
	static const uint8_t none[16];

	buf_puts(out, "route ");
	print_prefix(out, e);
	if (e->via_family) {
		buf_puts(out, e->via_family != e->family ? " via inet6 " : " via ");
		print_ip(out, e->via_family, e->via);
	}
	if (e->dev[0])
		buf_printf(out, " dev %s", e->dev);
	if (e->onlink)
		buf_puts(out, " onlink");
	if (memcmp(e->src, none, 16) != 0) {
		buf_puts(out, " src ");
		print_ip(out, e->family, e->src);
	}
	if (e->mtu)
		buf_printf(out, " mtu %" PRIu32, e->mtu);
	if (e->pref)
		buf_printf(out, " metric %" PRIu32, e->pref);
	buf_printf(out, " table %" PRIu32, e->table);
}

void entry_print(struct buf *out, const struct entry *e)
{
	char mac[MAC_STRLEN];

	switch ((enum entry_type)e->type) {
	case ENTRY_ADDR:
		buf_puts(out, "addr ");
		print_prefix(out, e);
		buf_printf(out, " dev %s", e->dev);
		return;
	case ENTRY_NEIGH:
		buf_puts(out, "neigh ");
		print_ip(out, e->family, e->dst);
		buf_printf(out, " lladdr %s dev %s", mac_format(&e->mac, mac), e->dev);
		return;
	case ENTRY_FDB:
	case ENTRY_GROUP:
		buf_printf(out, "fdb %s dev %s", mac_format(&e->mac, mac), e->dev);
		if (e->via_family) {
			buf_puts(out, " dst ");
			print_ip(out, e->via_family, e->via);
		}
		if (e->pref)
			buf_printf(out, " port %" PRIu32, e->pref);
		return;
	case ENTRY_ROUTE:
		print_route(out, e);
		return;
	case ENTRY_RULE:
		buf_printf(out, "rule %s pref %" PRIu32 " from ", e->family == AF_INET6 ? "inet6" : "inet", e->pref);
		print_prefix(out, e);
		if (e->dev[0])
			buf_printf(out, " iif %s", e->dev);
		buf_printf(out, " lookup %" PRIu32, e->table);
		return;
	case ENTRY_TYPE_N_:
		break;
	}
	buf_puts(out, "nothing");
}

static void nft_table_done(struct nft_table *t)
{
	for (size_t i = 0; i < t->n_sets; i++)
		free(t->sets[i].v);
	free(t->sets);
	free(t->json);
	buf_done(&t->raw);
	*t = (struct nft_table){0};
}

void net_wg_done(struct net_wg *w)
{
	wg_device_done(&w->device);
	free(w->notes);
	*w = (struct net_wg){0};
}

#define WG_NAME_B 13 /* length of "drwg01234567b" */

void net_wg_name(const char *host_id, unsigned slot, char ret[static 16])
{
	snprintf(ret, 16, "drwg%.8s%s", host_id, slot ? "b" : "");
}

struct link *net_wg_link(const struct net *n, unsigned slot)
{
	for (size_t i = 0; n && i < n->n_links; i++) {
		struct link *l = &n->links[i];
		if ((l->kind == LINK_WIREGUARD || l->kind == LINK_TUN) && (strlen(l->name) == WG_NAME_B) == (slot != 0))
			return l;
	}
	return NULL;
}

static int wg_peer_cmp(const void *a, const void *b)
{
	return memcmp(((const struct wg_peer *)a)->key, ((const struct wg_peer *)b)->key, WG_KEY_BYTES);
}

void wg_peers_sort(struct wg_device *d)
{
	if (d->n_peers)
		qsort(d->peers, d->n_peers, sizeof(*d->peers), wg_peer_cmp);
}

const struct wg_peer *wg_peer_find(const struct wg_device *d, const uint8_t key[static WG_KEY_BYTES])
{
	struct wg_peer what = {0};

	memcpy(what.key, key, sizeof(what.key));
	return d->n_peers ? bsearch(&what, d->peers, d->n_peers, sizeof(*d->peers), wg_peer_cmp) : NULL;
}

bool link_kind_fits(enum link_kind desired, enum link_kind actual)
{
	return desired == actual || (desired == LINK_WIREGUARD && actual == LINK_TUN);
}

void net_clear(struct net *n)
{
	for (size_t i = 0; i < WG_SLOTS; i++)
		net_wg_done(&n->wg[i]);
	free(n->links);
	entry_set_done(&n->entries);
	nft_table_done(&n->nft);
	nft_table_done(&n->shortcut);
	free(n->foreign);
	*n = (struct net){.id = n->id};
}

void net_free(struct net *n)
{
	if (n)
		net_clear(n);
	free(n);
}

void net_list_done(struct net_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		net_free(l->v[i]);
	free(l->v);
	*l = (struct net_list){0};
}

bool net_id_same(const struct net_id *a, const struct net_id *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case NET_HOST:
	case NET_WIREGUARD:
		return true;
	case NET_VNI:
		return a->vni == b->vni;
	case NET_CONTAINER:
		return str_eq(a->container, b->container);
	case NET_KIND_N_:
		break;
	}
	return false;
}

const char *net_id_print(const struct net_id *id, char out[static 96])
{
	switch (id->kind) {
	case NET_HOST:
		snprintf(out, 96, "host");
		break;
	case NET_VNI:
		snprintf(out, 96, "vni:%" PRIu32, id->vni);
		break;
	case NET_CONTAINER:
		snprintf(out, 96, "ct:%s", id->container);
		break;
	case NET_WIREGUARD:
		snprintf(out, 96, "wireguard");
		break;
	case NET_KIND_N_:
		snprintf(out, 96, "?");
		break;
	}
	return out;
}

struct net *net_list_find(const struct net_list *l, const struct net_id *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (net_id_same(&l->v[i]->id, id))
			return l->v[i];
	return NULL;
}

struct net *net_list_add(struct net_list *l, const struct net_id *id)
{
	struct net *n = net_list_find(l, id);
	if (n)
		return n;
	n = xcalloc(1, sizeof(*n));
	n->id = *id;
	*xgrow(&l->v, l->n, &l->cap) = n;
	l->n++;
	return n;
}

struct link *net_link(const struct net *n, const char *name)
{
	for (size_t i = 0; i < n->n_links; i++)
		if (str_eq(n->links[i].name, name))
			return &n->links[i];
	return NULL;
}

struct link *net_link_add(struct net *n, const char *name)
{
	struct link *l = net_link(n, name);
	if (l)
		return l;
	l = xgrow(&n->links, n->n_links, &n->cap_links);
	n->n_links++;
	str_copy(l->name, name);
	return l;
}

struct nft_set *nft_table_set(struct nft_table *t, const char *name)
{
	for (size_t i = 0; i < t->n_sets; i++)
		if (str_eq(t->sets[i].name, name))
			return &t->sets[i];
	return NULL;
}
