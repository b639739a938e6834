/* SPDX-License-Identifier: Apache-2.0
 *
 * What the host's namespace needs across all stacks: routing tables, shadows, and the nft tables with their sets.
 */
#include <inttypes.h>

#include "router/desired_parts.h"
#include "router/shortcut.h"

struct table_of {
	const char *network_id;
	uint32_t table;
};

struct shadow_of {
	uint32_t vni;
	struct prefix real, shadow;
};

struct host_parts {
	const struct net *host; /* actual, may be NULL */
	const struct inventory *inventory;
	struct table_of *tables;
	size_t n_tables, cap_tables;
	struct shadow_of *shadows; /* see add_shadow() */
	size_t n_shadows, cap_shadows;
	struct shadow *used;
	uint32_t *used_vni;
	size_t n_used, cap_used, cap_used_vni;
	char (*bridges)[16];
	size_t n_bridges, cap_bridges;
	struct shortcut *shortcuts;
	size_t n_shortcuts, cap_shortcuts;
};

static void add_table(struct host_parts *p, const char *network_id)
{
	uint32_t table = (uint32_t)hash64(network_id, strlen(network_id), 0x7461626c) & 0xffffff;

	for (size_t i = 0; i < p->n_tables; i++)
		if (str_eq(p->tables[i].network_id, network_id))
			return;
	for (bool again = true; again;) {
		again = (TABLE_BASE | table) >= TABLE_CONTAINER;
		for (size_t i = 0; i < p->n_tables && !again; i++)
			again = p->tables[i].table == (TABLE_BASE | table);
		if (again)
			table = (table + 1) & 0xffffff;
	}
	struct table_of *t = xgrow(&p->tables, p->n_tables, &p->cap_tables);
	p->n_tables++;
	t->network_id = network_id;
	t->table = TABLE_BASE | table;
}

static bool shadow_free(const struct host_parts *p, const struct prefix *s)
{
	for (size_t i = 0; i < p->n_shadows; i++)
		if (prefix_overlaps(&p->shadows[i].shadow, s))
			return false;
	for (size_t i = 0; p->host && i < p->host->n_foreign; i++)
		if (p->host->foreign[i].dst.len && prefix_overlaps(&p->host->foreign[i].dst, s))
			return false;
	return true;
}

/* Mapped prefixes have the first half of the pool. */
static struct prefix second_half(struct prefix pool)
{
	pool.ip.b[pool.len / 8] |= (uint8_t)(0x80 >> pool.len % 8);
	pool.len++;
	return pool;
}

/*
 * A shadow of the same length out of SHADOW_POOL, its place from a hash, so that it is the same after a restart. Needed
 * where Docker 28 would drop what is for the true address, since a container of another bridge of this host has it: for
 * our own prefixes, and for those of peers that a stack of another VNI has here.
 */
static void add_shadow(struct host_parts *p, const struct desired_input *in, const struct claim *c)
{
	struct prefix pool = c->prefix.ip.family == AF_INET ? in->config->shadow4 : in->config->shadow6;
	struct prefix s;
	char seed[160];

	if (ip_is_none(&pool.ip) || c->prefix.len <= pool.len)
		return;
	pool = second_half(prefix_mask(pool));
	unsigned bits = c->prefix.len - pool.len;
	uint64_t n = bits >= 32 ? UINT64_C(1) << 32 : UINT64_C(1) << bits;
	int len = str_print(seed, "%s/%u", c->network ? c->network->id : c->host_id, c->prefix.ip.family);
	uint64_t at = hash64(seed, (size_t)len, 0x736861) % n;
	for (uint64_t attempt = 0; attempt < n && attempt < 4096; attempt++, at = (at + 1) % n) {
		if (!prefix_nth(&pool, c->prefix.len, at, &s) || !shadow_free(p, &s))
			continue;
		struct shadow_of *o = xgrow(&p->shadows, p->n_shadows, &p->cap_shadows);
		p->n_shadows++;
		*o = (struct shadow_of){c->vni, c->prefix, s};
		return;
	}
}

struct host_parts *parts_new(const struct desired_input *in, const struct desired *d, const struct net *actual_host)
{
	struct host_parts *p = xcalloc(1, sizeof(*p));

	p->host = actual_host;
	p->inventory = in->inventory;
	for (size_t i = 0; i < in->inventory->n_stacks; i++)
		for (size_t j = 0; j < in->inventory->stacks[i].n_networks; j++)
			add_table(p, in->inventory->stacks[i].networks[j].id);
	for (size_t i = 0; i < d->claims.n; i++) {
		const struct claim *c = &d->claims.v[i];
		/* A mapped prefix is nobody's true address. */
		if (!c->refused && !c->mapped && (c->network || parts_is_local(p, &c->prefix)))
			add_shadow(p, in, c);
	}
	return p;
}

uint32_t parts_table(const struct host_parts *p, const char *network_id)
{
	for (size_t i = 0; i < p->n_tables; i++)
		if (str_eq(p->tables[i].network_id, network_id))
			return p->tables[i].table;
	abort(); /* all networks were added by parts_new() */
}

void parts_add_bridge(struct host_parts *p, const char *bridge)
{
	char(*b)[16] = (char(*)[16])xgrow(&p->bridges, p->n_bridges, &p->cap_bridges);
	p->n_bridges++;
	str_copy(*b, bridge);
}

void parts_shortcut(struct host_parts *p, const char *bridge, const char *leg, const struct mac *leg_mac)
{
	struct shortcut s;

	if (shortcut_find(p->host, bridge, leg, leg_mac, &s)) {
		*xgrow(&p->shortcuts, p->n_shortcuts, &p->cap_shortcuts) = s;
		p->n_shortcuts++;
	} else {
		free(s.ports);
	}
}

const struct link *parts_bridge(const struct host_parts *p, const char *bridge)
{
	for (size_t i = 0; i < p->n_bridges; i++)
		if (str_eq(p->bridges[i], bridge))
			return net_link(p->host, bridge);
	return NULL;
}

bool parts_shadow(struct host_parts *p, const char *bridge, const struct claim *c, struct prefix *ret)
{
	for (size_t i = 0; i < p->n_shadows; i++) {
		const struct shadow_of *o = &p->shadows[i];
		if (o->vni != c->vni || prefix_cmp(&o->real, &c->prefix) != 0)
			continue;
		struct shadow *u = xgrow(&p->used, p->n_used, &p->cap_used);
		uint32_t *vni = xgrow(&p->used_vni, p->n_used, &p->cap_used_vni);
		p->n_used++;
		str_copy(u->bridge, bridge);
		u->real = o->real;
		u->shadow = o->shadow;
		*vni = c->vni;
		*ret = o->shadow;
		return true;
	}
	return false;
}

bool parts_is_local(const struct host_parts *p, const struct prefix *prefix)
{
	for (size_t i = 0; i < p->inventory->n_stacks; i++)
		for (size_t j = 0; j < p->inventory->stacks[i].n_networks; j++) {
			const struct inv_network *nw = &p->inventory->stacks[i].networks[j];
			for (size_t k = 0; k < nw->n_subnets; k++)
				if (prefix_overlaps(&nw->subnets[k], prefix))
					return true;
		}
	return false;
}

static int prefix_cmp_void(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

static void set_add(struct nft_table *t, const char *name, const struct prefix *p)
{
	struct nft_set *s = nft_table_set(t, name);
	if (!s)
		return;
	struct prefix *slot = xgrow(&s->v, s->n, &s->cap);
	*slot = *p;
	s->n++;
}

/* Sort; drop doubles and, in an interval set, what another holds already (nft refuses overlaps). */
static void set_finish(struct nft_set *s)
{
	size_t n = 0;

	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), prefix_cmp_void);
	for (size_t i = 0; i < s->n; i++)
		if (!n || !prefix_contains(&s->v[n - 1], &s->v[i]))
			s->v[n++] = s->v[i];
	s->n = n;
}

void guard_add(struct nft_table *t, uint32_t vni, const struct ip *ip)
{
	struct prefix host = prefix_host(ip);
	char name[32];

	str_print(name, "peers%d-%" PRIu32, ip->family == AF_INET ? 4 : 6, vni);
	set_add(t, name, &host);
}

void guard_fill(const struct discovery *disc, struct nft_table *t)
{
	for (size_t i = 0; i < disc->n_peers; i++)
		if (disc->peers[i].host_id[0])
			guard_add(t, disc->peers[i].vni, &disc->peers[i].vxlan_endpoint.ip);
}

struct epoch_at {
	struct ip ip;
	uint8_t epoch;
};

static int epoch_cmp(const void *a, const void *b)
{
	return ip_cmp(&((const struct epoch_at *)a)->ip, &((const struct epoch_at *)b)->ip);
}

bool epochs_seen(const struct discovery *disc)
{
	for (size_t i = 0; i < disc->n_peers; i++)
		if (disc->peers[i].epoch)
			return true;
	return false;
}

/* The stacks behind one address share a range: when one of them moves, all do. That hurts nobody, it is a new flow. */
void epochs_fill(const struct discovery *disc, struct nft_table *t)
{
	struct epoch_at *at = xcalloc(disc->n_peers + 1, sizeof(*at));
	size_t n = 0;

	for (size_t i = 0; i < disc->n_peers; i++)
		if (disc->peers[i].epoch && disc->peers[i].vxlan_endpoint.ip.family == AF_INET)
			at[n++] = (struct epoch_at){disc->peers[i].vxlan_endpoint.ip, disc->peers[i].epoch};
	qsort(at, n, sizeof(*at), epoch_cmp);
	for (size_t i = 0; i < n; i++) {
		struct prefix host = prefix_host(&at[i].ip);
		char name[32];
		if (i + 1 < n && epoch_cmp(&at[i], &at[i + 1]) == 0) {
			at[i + 1].epoch ^= at[i].epoch;
			continue;
		}
		for (unsigned bit = 1; bit < EPOCHS; bit <<= 1) {
			str_print(name, "epoch4-%u", bit);
			if (at[i].epoch & bit)
				set_add(t, name, &host);
		}
	}
	free(at);
}

void sets_finish(struct nft_table *t)
{
	for (size_t i = 0; i < t->n_sets; i++)
		set_finish(&t->sets[i]);
}

static void fill_overlay(const struct desired *d, struct nft_table *t)
{
	for (size_t i = 0; i < d->claims.n; i++) {
		const struct claim *c = &d->claims.v[i];
		const char *name = c->prefix.ip.family == AF_INET ? "overlay4" : "overlay6";
		if (c->refused)
			continue;
		set_add(t, name, &c->prefix);
		if (c->mapped && c->network) /* as they are between the router namespace and the containers */
			set_add(t, name, &c->real);
	}
}

void mapped_make(const struct claims *cs, uint32_t vni, struct ruleset_mapped **ret, size_t *ret_n)
{
	size_t n = 0, i, to;

	claims_of(cs, vni, &i, &to);
	*ret = xcalloc(to - i + 1, sizeof(**ret));
	for (; i < to; i++) {
		const struct claim *c = &cs->v[i];
		if (c->network && c->mapped && !c->refused)
			(*ret)[n++] = (struct ruleset_mapped){.subnet = c->real, .as = c->prefix, .held = c->other};
	}
	*ret_n = n;
}

void mapped_fill(const struct claims *cs, uint32_t vni, struct nft_table *t)
{
	size_t i, to;

	for (claims_of(cs, vni, &i, &to); i < to; i++) {
		const struct claim *c = &cs->v[i];
		bool v4 = c->prefix.ip.family == AF_INET;
		if (c->refused)
			continue;
		if (c->mapped)
			set_add(t, v4 ? "mapped4" : "mapped6", &c->prefix);
		set_add(t, v4 ? "members4" : "members6", &c->prefix);
	}
}

static const char *tunnel_of(const struct net *n)
{
	for (size_t i = 0; i < n->n_links; i++)
		if (n->links[i].kind == LINK_VXLAN)
			return n->links[i].name;
	return "";
}

void parts_finish(struct host_parts *p, const struct desired_input *in, struct desired *d, struct net *host)
{
	struct ruleset_host rh = {.shadows = p->used,
				  .n_shadows = p->n_used,
				  .port = in->config->vxlan_port,
				  .closed = in->wg != NULL,
				  .bridges = (const char(*)[16])p->bridges,
				  .n_bridges = p->n_bridges};
	struct ruleset_vni *vnis = xcalloc(d->nets.n + 1, sizeof(*vnis));

	for (size_t i = 0; i < d->nets.n; i++) {
		struct net *n = d->nets.v[i];
		if (n->id.kind != NET_VNI)
			continue;
		vnis[rh.n_vnis].vni = n->id.vni;
		vnis[rh.n_vnis++].port = in->config->vxlan_port;
		struct shadow *mine = xcalloc(p->n_used + 1, sizeof(*mine));
		size_t n_mine = 0;
		for (size_t j = 0; j < p->n_used; j++)
			if (p->used_vni[j] == n->id.vni)
				mine[n_mine++] = p->used[j];
		struct ruleset_router rr = {.shadows = mine, .n_shadows = n_mine, .tunnel = tunnel_of(n)};
		struct ruleset_mapped *mapped;
		mapped_make(&d->claims, n->id.vni, &mapped, &rr.n_mapped);
		rr.mapped = mapped;
		ruleset_router(&rr, &n->nft);
		mapped_fill(&d->claims, n->id.vni, &n->nft);
		sets_finish(&n->nft);
		free(mapped);
		free(mine);
	}
	rh.vnis = vnis;
	if (rh.n_vnis) {
		ruleset_host(&rh, &host->nft);
		fill_overlay(d, &host->nft);
		guard_fill(in->discovery, &host->nft);
		sets_finish(&host->nft);
	}
	shortcut_table(p->shortcuts, p->n_shortcuts, &host->shortcut);
	for (size_t i = 0; i < p->n_shortcuts; i++)
		free(p->shortcuts[i].ports);
	free(p->shortcuts);
	free(vnis);
	free(p->tables);
	free(p->shadows);
	free(p->used);
	free(p->used_vni);
	free(p->bridges);
	free(p);
}
