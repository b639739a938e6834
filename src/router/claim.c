/* SPDX-License-Identifier: Apache-2.0
 *
 * Settles which stack may have which prefix; see claim.h for the rule.
 */
#include "router/claim.h"

static int owner_cmp(const struct claim *a, const struct claim *b)
{
	int c = strcmp(a->host_id, b->host_id);
	return c ? c : strcmp(a->stack_id, b->stack_id);
}

static int claim_cmp(const void *pa, const void *pb)
{
	const struct claim *a = pa, *b = pb;
	if (a->vni != b->vni)
		return a->vni < b->vni ? -1 : 1;
	int c = prefix_cmp(&a->prefix, &b->prefix);
	return c ? c : owner_cmp(a, b);
}

/* Established first, then by owner, then by prefix: the order in which claims are accepted. */
static int priority_cmp(const void *pa, const void *pb)
{
	const struct claim *a = *(struct claim *const *)pa, *b = *(struct claim *const *)pb;
	if (a->established != b->established)
		return a->established ? -1 : 1;
	int c = owner_cmp(a, b);
	return c ? c : prefix_cmp(&a->prefix, &b->prefix);
}

static const struct rs_vni *before_vni(const struct router_state *s, uint32_t vni)
{
	for (size_t i = 0; s && i < s->n_vnis; i++)
		if (s->vnis[i].vni == vni)
			return &s->vnis[i];
	return NULL;
}

static const struct rs_route *route_before(const struct router_state *s, const struct claim *c)
{
	const struct rs_vni *v = before_vni(s, c->vni);
	size_t lo = 0, hi = v ? v->n_routes : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct rs_route *r = &v->routes[mid];
		int cmp = prefix_cmp(&r->prefix, &c->prefix);
		if (cmp == 0)
			return str_eq(r->host_id, c->host_id) && str_eq(r->stack_id, c->stack_id) ? r : NULL;
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* Refused before because of a route of this host, and established until then */
static bool held_before(const struct router_state *s, const struct claim *c)
{
	for (size_t i = 0; s && i < s->n_refused; i++) {
		const struct rs_refused *r = &s->refused[i];
		if (r->established && r->vni == c->vni && prefix_cmp(&r->prefix, &c->prefix) == 0 &&
		    str_eq(r->host_id, c->host_id) && str_eq(r->stack_id, c->stack_id))
			return true;
	}
	for (size_t i = 0; s && i < s->n_held; i++) {
		const struct rs_held *h = &s->held[i];
		if (h->vni == c->vni && prefix_cmp(&h->prefix, &c->prefix) == 0 && str_eq(h->host_id, c->host_id) &&
		    str_eq(h->stack_id, c->stack_id))
			return true;
	}
	return false;
}

static void remember(const struct claim_input *in, struct claim *c)
{
	const struct rs_route *r = route_before(in->before, c);

	if (r) {
		c->since_us = r->since_us;
		c->established = !r->since_us || !in->now_us || in->now_us - r->since_us >= CLAIM_SETTLE_US;
	} else {
		c->established = held_before(in->before, c);
		c->since_us = c->established ? 0 : in->now_us;
	}
}

/* Discovery refuses these from the wire; a file may have been written by somebody else. */
static bool is_subnet(const struct prefix *p)
{
	return p->len >= (p->ip.family == AF_INET ? 8 : 16) && !ip_is_multicast(&p->ip) && !ip_is_loopback(&p->ip) &&
	       !ip_is_link_local(&p->ip) && !ip_is_unspecified(&p->ip);
}

static void add(struct claims *cs, const struct claim_input *in, struct claim c)
{
	c.prefix = prefix_mask(c.prefix);
	c.real = c.mapped ? prefix_mask(c.real) : c.prefix;
	remember(in, &c);
	if (!is_subnet(&c.prefix)) {
		c.refused = true;
		c.with = xstrdup("the rule that a subnet is /8 or longer (IPv6 /16), and neither multicast, loopback "
				 "nor link-local");
	}
	xgrow(&cs->v, cs->n, &cs->cap);
	cs->v[cs->n++] = c;
}

/* The network of ours that a subnet which discovery has mapped is of; NULL: it has just gone, or is about to come */
static const struct inv_network *network_of(const struct inventory *inv, const struct self_stack *self,
					    const struct prefix *subnet)
{
	for (size_t i = 0; i < inv->n_stacks; i++) {
		const struct inv_stack *s = &inv->stacks[i];
		if (s->vni != self->vni || !str_eq(s->stack_id, self->stack_id))
			continue;
		for (size_t j = 0; j < s->n_networks; j++)
			for (size_t k = 0; k < s->networks[j].n_subnets; k++) {
				struct prefix p = prefix_mask(s->networks[j].subnets[k]);
				if (prefix_cmp(&p, subnet) == 0)
					return &s->networks[j];
			}
	}
	return NULL;
}

static bool is_mapping(const struct mapped *m)
{
	return m->subnet.ip.family == m->as.ip.family && m->subnet.len == m->as.len;
}

static void collect_ours(const struct claim_input *in, struct claims *cs)
{
	for (size_t i = 0; in->mapping != MAPPING_ALWAYS && i < in->inventory->n_stacks; i++) {
		const struct inv_stack *s = &in->inventory->stacks[i];
		for (size_t j = 0; j < s->n_networks; j++)
			for (size_t k = 0; k < s->networks[j].n_subnets; k++)
				add(cs, in,
				    (struct claim){.vni = s->vni,
						   .prefix = s->networks[j].subnets[k],
						   .host_id = in->host_id,
						   .stack_id = s->stack_id,
						   .network = &s->networks[j]});
	}
	for (size_t i = 0; in->mapping != MAPPING_NEVER && i < in->discovery->self.n_stacks; i++) {
		const struct self_stack *s = &in->discovery->self.stacks[i];
		for (size_t k = 0; k < s->n_mapped; k++) {
			const struct inv_network *nw = network_of(in->inventory, s, &s->mapped[k].subnet);
			if (nw && is_mapping(&s->mapped[k]))
				add(cs, in,
				    (struct claim){.vni = s->vni,
						   .prefix = s->mapped[k].as,
						   .host_id = in->host_id,
						   .stack_id = s->stack_id,
						   .network = nw,
						   .mapped = true,
						   .real = s->mapped[k].subnet});
		}
	}
}

static void collect(const struct claim_input *in, struct claims *cs)
{
	collect_ours(in, cs);
	for (size_t i = 0; i < in->discovery->n_peers; i++) {
		const struct peer *p = &in->discovery->peers[i];
		struct claim c = {.vni = p->vni, .host_id = p->host_id, .stack_id = p->stack_id, .peer = p};
		if (!p->host_id[0])
			continue;
		for (size_t k = 0; k < p->n_subnets; k++) {
			c.prefix = p->subnets[k];
			add(cs, in, c);
		}
		c.mapped = true;
		for (size_t k = 0; k < p->n_mapped; k++) {
			c.prefix = p->mapped[k].as;
			c.real = p->mapped[k].subnet;
			if (is_mapping(&p->mapped[k]))
				add(cs, in, c);
		}
	}
	if (cs->n)
		qsort(cs->v, cs->n, sizeof(*cs->v), claim_cmp);
}

static void refuse(struct claim *c, const struct claim *winner)
{
	char p[PREFIX_STRLEN], ip[IP_STRLEN];

	c->refused = true;
	c->established = false;
	free(c->with);
	if (!winner->peer)
		c->with = xasprintf("%s of stack %s on this host", prefix_format(&winner->prefix, p), winner->stack_id);
	else
		c->with = xasprintf("%s of stack %s on %s (%s)", prefix_format(&winner->prefix, p), winner->stack_id,
				    winner->peer->host_name[0] ? winner->peer->host_name : winner->host_id,
				    ip_format(&winner->peer->host_ip, ip));
}

/*
 * Claims [from, to) overlap in a chain. Accept them by priority; what was accepted is kept sorted and, but for overlaps
 * of one owner, disjoint, so that one look to the left and one to the right tell.
 */
static void settle_cluster(struct claims *cs, size_t from, size_t to)
{
	size_t n = to - from, n_taken = 0;
	struct claim **order = xmalloc(n * sizeof(*order)), **taken = xmalloc(n * sizeof(*taken));

	for (size_t i = 0; i < n; i++)
		order[i] = &cs->v[from + i];
	qsort(order, n, sizeof(*order), priority_cmp);
	for (size_t i = 0; i < n; i++) {
		struct claim *c = order[i];
		size_t lo = 0, hi = n_taken;
		if (c->refused)
			continue;
		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;
			if (prefix_cmp(&taken[mid]->prefix, &c->prefix) < 0)
				lo = mid + 1;
			else
				hi = mid;
		}
		struct claim *clash = NULL, *own = NULL;
		if (lo > 0 && prefix_overlaps(&taken[lo - 1]->prefix, &c->prefix))
			clash = taken[lo - 1];
		if ((!clash || owner_cmp(clash, c) == 0) && lo < n_taken &&
		    prefix_overlaps(&taken[lo]->prefix, &c->prefix)) {
			own = clash;
			clash = taken[lo];
			/* ours contains what comes after: all of it must be ours too */
			for (size_t j = lo; j < n_taken && prefix_overlaps(&taken[j]->prefix, &c->prefix); j++)
				if (owner_cmp(taken[j], c) != 0) {
					clash = taken[j];
					break;
				}
		}
		if (clash && owner_cmp(clash, c) != 0) {
			refuse(c, clash);
			continue;
		}
		/* An overlap with ourselves: the wider one stands in @taken, for the looks of those that come. */
		const struct claim *wide = own ? own : clash;
		if (wide && prefix_contains(&wide->prefix, &c->prefix))
			continue;
		size_t end = lo;
		while (end < n_taken && prefix_contains(&c->prefix, &taken[end]->prefix))
			end++;
		memmove(taken + lo + 1, taken + end, (n_taken - end) * sizeof(*taken));
		taken[lo] = c;
		n_taken = n_taken - (end - lo) + 1;
	}
	free(order);
	free(taken);
}

static int foreign_cmp(const void *pa, const void *pb)
{
	const struct foreign_route *a = pa, *b = pb;
	return prefix_cmp(&a->dst, &b->dst);
}

static bool bridge_of_stack(const struct inventory *inv, const char *dev)
{
	for (size_t i = 0; i < inv->n_stacks; i++)
		for (size_t j = 0; j < inv->stacks[i].n_networks; j++)
			if (str_eq(inv->stacks[i].networks[j].bridge, dev))
				return true;
	return false;
}

/* The host's routes, sorted, and which lengths occur: an enclosing route is looked up once per length. */
struct foreign_index {
	struct foreign_route *v;
	size_t n;
	bool len4[33], len6[129];
};

static void foreign_index_make(const struct claim_input *in, struct foreign_index *ix)
{
	memset(ix, 0, sizeof(*ix));
	ix->v = xcalloc(in->n_foreign + 1, sizeof(*ix->v));
	for (size_t i = 0; i < in->n_foreign; i++) {
		const struct foreign_route *f = &in->foreign[i];
		/* Half of the world is no subnet: a VPN's way of writing a default route (0.0.0.0/1, 128.0.0.0/1). */
		if (f->dst.len < (f->dst.ip.family == AF_INET ? 8 : 16) || ip_is_link_local(&f->dst.ip) ||
		    ip_is_multicast(&f->dst.ip) || bridge_of_stack(in->inventory, f->dev))
			continue;
		ix->v[ix->n] = *f;
		ix->v[ix->n].dst = prefix_mask(f->dst);
		if (f->dst.ip.family == AF_INET)
			ix->len4[f->dst.len] = true;
		else
			ix->len6[f->dst.len] = true;
		ix->n++;
	}
	if (ix->n)
		qsort(ix->v, ix->n, sizeof(*ix->v), foreign_cmp);
}

static size_t foreign_lower_bound(const struct foreign_index *ix, const struct prefix *p)
{
	size_t lo = 0, hi = ix->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (prefix_cmp(&ix->v[mid].dst, p) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static const struct foreign_route *foreign_overlap(const struct foreign_index *ix, const struct prefix *p)
{
	const bool *lens = p->ip.family == AF_INET ? ix->len4 : ix->len6;

	for (uint8_t len = 1; len < p->len; len++) {
		if (!lens[len])
			continue;
		struct prefix outer = prefix_mask((struct prefix){p->ip, len});
		size_t i = foreign_lower_bound(ix, &outer);
		if (i < ix->n && prefix_cmp(&ix->v[i].dst, &outer) == 0)
			return &ix->v[i];
	}
	size_t i = foreign_lower_bound(ix, p);
	return i < ix->n && prefix_contains(p, &ix->v[i].dst) ? &ix->v[i] : NULL;
}

/* Tell a subnet and the mapped prefix that stands for it of each other. */
static void pair_mapped(struct claims *cs)
{
	for (size_t i = 0; i < cs->n; i++)
		cs->v[i].other = false;
	for (size_t i = 0; i < cs->n; i++) {
		struct claim *m = &cs->v[i], key = *m;
		if (!m->mapped)
			continue;
		key.prefix = m->real;
		struct claim *c = bsearch(&key, cs->v, cs->n, sizeof(*cs->v), claim_cmp);
		if (!c || c->mapped)
			continue;
		c->other |= !m->refused;
		m->other |= !c->refused;
	}
}

/*
 * Two networks of this host with the same addresses, of two engines: what comes from them could not be told apart. One
 * of them is mapped, that which has the subnet if one does; the other is off the overlay.
 */
static bool refuse_twins(struct claims *cs)
{
	struct claim **ours = xmalloc((cs->n + 1) * sizeof(*ours));
	size_t n = 0;
	bool any = false;

	for (size_t i = 0; i < cs->n; i++)
		if (cs->v[i].mapped && cs->v[i].network && !cs->v[i].refused)
			ours[n++] = &cs->v[i];
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++) {
			struct claim *a = ours[i], *b = ours[j];
			if (a->refused || b->refused || a->vni != b->vni || a->network == b->network ||
			    !prefix_overlaps(&a->real, &b->real))
				continue;
			struct claim winner = b->other && !a->other ? *b : *a;
			winner.prefix = winner.real;
			refuse(b->other && !a->other ? a : b, &winner);
			any = true;
		}
	free(ours);
	return any;
}

void claims_settle(const struct claim_input *in, struct claims *ret)
{
	struct foreign_index ix;
	char p[PREFIX_STRLEN];

	memset(ret, 0, sizeof(*ret));
	collect(in, ret);
	foreign_index_make(in, &ix);
	for (size_t from = 0; from < ret->n;) {
		size_t to = from + 1;
		struct ip last = prefix_last(&ret->v[from].prefix);
		while (to < ret->n && ret->v[to].vni == ret->v[from].vni &&
		       ret->v[to].prefix.ip.family == last.family && ip_cmp(&ret->v[to].prefix.ip, &last) <= 0) {
			struct ip end = prefix_last(&ret->v[to].prefix);
			if (ip_cmp(&end, &last) > 0)
				last = end;
			to++;
		}
		if (to - from > 1)
			settle_cluster(ret, from, to);
		from = to;
	}
	for (size_t i = 0; i < ret->n; i++) {
		struct claim *c = &ret->v[i];
		if (c->refused || !c->peer)
			continue;
		const struct foreign_route *f = foreign_overlap(&ix, &c->prefix);
		if (f) {
			c->refused = true;
			c->with = xasprintf("route %s dev %s of this host", prefix_format(&f->dst, p), f->dev);
		}
	}
	pair_mapped(ret);
	if (refuse_twins(ret))
		pair_mapped(ret);
	free(ix.v);
}

void claims_done(struct claims *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i].with);
	free(c->v);
	memset(c, 0, sizeof(*c));
}

void claim_cure(struct buf *out, const struct claims *c, const struct claim *refused, const struct claim_input *in)
{
	static const char pool4[] = "10.64.0.0/10", pool6[] = "fd64:6f63::/32";
	bool v4 = refused->prefix.ip.family == AF_INET;
	struct prefix pool, offer;
	char text[PREFIX_STRLEN], seed[HOST_ID_LEN + LIMIT_NAME + 2];
	uint8_t len = v4 ? 24 : 64;

	if (prefix_parse(v4 ? pool4 : pool6, &pool) != 0)
		abort();
	str_print(seed, "%s/%s", refused->host_id, refused->stack_id);
	uint64_t n = UINT64_C(1) << (v4 ? 14 : 32), at = hash64(seed, strlen(seed), refused->vni) % n;
	for (unsigned attempt = 0; attempt < 4096; attempt++, at = (at + 1) % n) {
		bool taken = !prefix_nth(&pool, len, at, &offer);
		for (size_t i = 0; i < c->n && !taken; i++)
			taken = prefix_overlaps(&c->v[i].prefix, &offer);
		for (size_t i = 0; i < in->n_foreign && !taken; i++)
			taken = in->foreign[i].dst.len && prefix_overlaps(&in->foreign[i].dst, &offer);
		if (taken)
			continue;
		const char *network = refused->network ? refused->network->name : "default";
		const char *us = strchr(network, '_');
		buf_printf(out, "networks:\n  %s:\n    ipam:\n      config:\n        - subnet: %s",
			   us ? us + 1 : network, prefix_format(&offer, text));
		return;
	}
}
