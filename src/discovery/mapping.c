/* SPDX-License-Identifier: Apache-2.0
 *
 * Who needs a mapped prefix, and which one is free: see mapping.h. What everybody holds is put into two sorted arrays,
 * one by VNI, one of all; choosing walks over the gaps between what is taken (places.c).
 */
#include "discovery/mapping.h"

#include <assert.h>

#include "discovery/places.h"

enum kind { HELD_SUBNET, HELD_MAPPED, HELD_AVOID, HELD_ROUTE };

/* A prefix and who has it; of HELD_ROUTE nobody has */
struct held {
	struct prefix prefix;
	uint32_t scope; /* what it is looked up by: the VNI, or 0 */
	uint32_t vni;
	enum kind kind;
	bool weak; /* nothing that is established moves for it */
	const char *host_id, *stack_id;
	const struct peer *peer;     /* NULL: ours */
	const struct prefix *subnet; /* of HELD_MAPPED */
};

/* Sorted by scope, prefix, owner */
struct index {
	struct held *v;
	size_t n, cap;
	bool len4[33], len6[129]; /* what lengths there are */
};

enum why { WHY_NOT, WHY_ALWAYS, WHY_MAPPED, WHY_CLASH, WHY_AVOID, WHY_ROUTE };

/* A VNI that we have stacks in */
struct vni_state {
	uint32_t vni;
	enum why why;
	struct held a, b;      /* of whom it is, or against whom */
	struct places avoided; /* by its members */
};

struct settling {
	const struct mapping_input *in;
	struct index members;	      /* by VNI: subnets and mapped prefixes */
	struct index taken;	      /* all, of all VNIs; of avoided ones those of our VNIs */
	struct places places;	      /* of ours, of the VNIs that we are in, of routes */
	struct places strange;	      /* of other VNIs: passed over while there is room, for containers in two */
	const struct prefix **routes; /* those that are not our own subnets */
	size_t n_routes;
	struct vni_state *vnis; /* sorted */
	size_t n_vnis;
	struct problems *problems;
};

struct prefix mapping_pool(const struct prefix *shadow)
{
	struct prefix half = *shadow;

	if (half.len > 0)
		half.len++;
	return half;
}

/* --- the index --- */

static int owner_cmp(const struct held *a, const struct held *b)
{
	int order = strcmp(a->host_id, b->host_id);

	if (order == 0)
		order = strcmp(a->stack_id, b->stack_id);
	return order ? order : (a->vni > b->vni) - (a->vni < b->vni);
}

static int held_cmp(const void *pa, const void *pb)
{
	const struct held *a = pa, *b = pb;
	int order;

	if (a->scope != b->scope)
		return a->scope < b->scope ? -1 : 1;
	order = prefix_cmp(&a->prefix, &b->prefix);
	return order ? order : owner_cmp(a, b);
}

static void index_add(struct index *ix, uint32_t scope, const struct held *h)
{
	struct held *new = xgrow(&ix->v, ix->n, &ix->cap);

	ix->n++;
	*new = *h;
	new->scope = scope;
	(h->prefix.ip.family == AF_INET ? ix->len4 : ix->len6)[h->prefix.len] = true;
}

static void index_sort(struct index *ix)
{
	if (ix->n > 1)
		qsort(ix->v, ix->n, sizeof(*ix->v), held_cmp);
}

static size_t index_lower_bound(const struct index *ix, uint32_t scope, const struct prefix *p)
{
	size_t low = 0, high = ix->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct held *h = &ix->v[mid];

		if (h->scope < scope || (h->scope == scope && prefix_cmp(&h->prefix, p) < 0))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Is it what is looked for? */
typedef bool held_fn(const struct held *h, const struct held *own);

/* The first that overlaps own->prefix and that @fn says yes to, or NULL */
static const struct held *index_find(const struct index *ix, uint32_t scope, const struct held *own, held_fn *fn)
{
	const struct prefix *p = &own->prefix;
	const bool *lens = p->ip.family == AF_INET ? ix->len4 : ix->len6;

	for (uint8_t len = 1; len < p->len; len++) {
		struct prefix outer = prefix_mask((struct prefix){p->ip, len});

		if (!lens[len])
			continue;
		for (size_t i = index_lower_bound(ix, scope, &outer);
		     i < ix->n && ix->v[i].scope == scope && prefix_cmp(&ix->v[i].prefix, &outer) == 0; i++) {
			if (fn(&ix->v[i], own))
				return &ix->v[i];
		}
	}
	/* and all that lie inside follow one another */
	for (size_t i = index_lower_bound(ix, scope, p);
	     i < ix->n && ix->v[i].scope == scope && prefix_contains(p, &ix->v[i].prefix); i++) {
		if (fn(&ix->v[i], own))
			return &ix->v[i];
	}
	return NULL;
}

/* A host that was made anew has another host_id: what is left of its past is no clash, and will be gone soon */
static bool is_ghost(const struct held *a, const struct held *b)
{
	return a->peer && b->peer && ip_cmp(&a->peer->host_ip, &b->peer->host_ip) == 0 &&
	       str_eq(a->stack_id, b->stack_id);
}

static bool is_other_subnet(const struct held *h, const struct held *own)
{
	return h->kind == HELD_SUBNET && owner_cmp(h, own) != 0;
}

static bool is_subnet_of_other_host(const struct held *h, const struct held *own)
{
	return h->kind == HELD_SUBNET && !str_eq(h->host_id, own->host_id);
}

static bool is_of_peer(const struct held *h, const struct held *own)
{
	return h->peer != NULL;
}

static bool is_avoided_here(const struct held *h, const struct held *own)
{
	return h->kind == HELD_AVOID && h->vni == own->vni && !str_eq(h->host_id, own->host_id);
}

static bool is_avoided_place(const struct held *h, const struct held *own)
{
	return is_avoided_here(h, own) && !h->weak;
}

static bool is_route(const struct held *h, const struct held *own)
{
	return h->kind == HELD_ROUTE;
}

/* Must @own, a mapped prefix, give way to it? Of two mapped ones the larger owner must */
static bool is_in_the_way(const struct held *h, const struct held *own)
{
	int order;

	if (h->weak)
		return false;
	switch (h->kind) {
	case HELD_SUBNET:
		return true;
	case HELD_AVOID:
	case HELD_ROUTE:
		return false; /* are looked for apart */
	case HELD_MAPPED:
		order = owner_cmp(h, own);
		return order < 0 || (order == 0 && prefix_cmp(h->subnet, own->subnet) < 0);
	}
	return false;
}

/* --- what everybody holds --- */

static int vni_cmp(const void *a, const void *b)
{
	const struct vni_state *x = a, *y = b;

	return (x->vni > y->vni) - (x->vni < y->vni);
}

static struct vni_state *vni_find(const struct settling *s, uint32_t vni)
{
	struct vni_state key = {.vni = vni};

	return s->n_vnis ? bsearch(&key, s->vnis, s->n_vnis, sizeof(key), vni_cmp) : NULL;
}

static void vnis_collect(struct settling *s)
{
	size_t kept = 0;

	s->vnis = xcalloc(s->in->n_stacks + 1, sizeof(*s->vnis));
	for (size_t i = 0; i < s->in->n_stacks; i++)
		s->vnis[i].vni = s->in->stacks[i].vni;
	if (s->in->n_stacks > 1)
		qsort(s->vnis, s->in->n_stacks, sizeof(*s->vnis), vni_cmp);
	for (size_t i = 0; i < s->in->n_stacks; i++) {
		if (kept == 0 || s->vnis[kept - 1].vni != s->vnis[i].vni)
			s->vnis[kept++] = s->vnis[i];
	}
	s->n_vnis = kept;
}

static void hold(struct settling *s, const struct held *h, bool hearsay)
{
	if (!hearsay && (h->kind == HELD_SUBNET || h->kind == HELD_MAPPED) && !h->weak)
		index_add(&s->members, h->vni, h);
	index_add(&s->taken, 0, h);
	places_take(h->weak ? &s->strange : &s->places, &h->prefix);
}

static const struct prefix *pool_of(const struct settling *s, uint8_t family)
{
	for (size_t i = 0; i < ARRAY_LEN(s->in->pools); i++) {
		if (s->in->pools[i].len > 0 && s->in->pools[i].ip.family == family)
			return &s->in->pools[i];
	}
	return NULL;
}

/* Who avoids all that there is to choose from is not to be helped: it says nothing about where to go */
static void hold_avoided(struct settling *s, struct vni_state *v, struct held h)
{
	const struct prefix *pool = pool_of(s, h.prefix.ip.family);

	h.weak = pool && prefix_contains(&h.prefix, pool);
	if (!h.weak)
		places_take(&v->avoided, &h.prefix);
	index_add(&s->taken, 0, &h);
}

static void peer_collect(struct settling *s, const struct mapping_peer *mp)
{
	const struct peer *p = mp->peer;
	struct held h = {.vni = p->vni, .host_id = p->host_id, .stack_id = p->stack_id, .peer = p};
	struct vni_state *v = vni_find(s, p->vni);

	h.weak = v == NULL; /* a VNI that we have no stack in */
	for (size_t i = 0; i < p->n_subnets; i++) {
		h.prefix = p->subnets[i];
		hold(s, &h, mp->hearsay);
	}
	for (size_t i = 0; i < mp->n_refused; i++) {
		h.prefix = mp->refused[i];
		hold(s, &h, mp->hearsay);
	}
	h.kind = HELD_AVOID;
	for (size_t i = 0; v && i < p->n_avoid; i++) {
		h.prefix = p->avoid[i];
		hold_avoided(s, v, h);
	}
	h.kind = HELD_MAPPED;
	for (size_t i = 0; i < p->n_mapped; i++) {
		h.prefix = p->mapped[i].as;
		h.subnet = &p->mapped[i].subnet;
		hold(s, &h, mp->hearsay);
	}
	if (v && p->n_mapped > 0 && !mp->hearsay && v->why == WHY_NOT) {
		v->why = WHY_MAPPED;
		v->a = h;
	}
}

static bool stack_has_subnet(const struct mapping_stack *st, const struct prefix *p)
{
	for (size_t i = 0; i < st->n_subnets; i++) {
		if (prefix_cmp(&st->subnets[i], p) == 0)
			return true;
	}
	return false;
}

/* Could @m, which @st has, still be chosen today? */
static bool pair_is_valid(const struct settling *s, const struct mapping_stack *st, const struct mapped *m)
{
	const struct prefix *pool = pool_of(s, m->as.ip.family);

	return pool && m->as.len == m->subnet.len && m->as.len > pool->len && prefix_contains(pool, &m->as) &&
	       stack_has_subnet(st, &m->subnet);
}

static struct held held_of(const struct settling *s, const struct mapping_stack *st, enum kind kind,
			   const struct prefix *p)
{
	return (struct held){
		.prefix = *p, .vni = st->vni, .kind = kind, .host_id = s->in->host_id, .stack_id = st->stack_id};
}

static void stack_collect(struct settling *s, const struct mapping_stack *st)
{
	struct vni_state *v = vni_find(s, st->vni);

	for (size_t i = 0; i < st->n_subnets; i++) {
		struct held h = held_of(s, st, HELD_SUBNET, &st->subnets[i]);
		hold(s, &h, false);
	}
	if (s->in->mapping == MAPPING_NEVER)
		return;
	for (size_t i = 0; i < st->n_before; i++) {
		struct held h = held_of(s, st, HELD_MAPPED, &st->before[i].as);

		if (!pair_is_valid(s, st, &st->before[i]))
			continue;
		h.subnet = &st->before[i].subnet;
		hold(s, &h, false);
		if (v->why == WHY_NOT) {
			v->why = WHY_MAPPED;
			v->a = h;
		}
	}
}

static int prefix_pointer_cmp(const void *a, const void *b)
{
	return prefix_cmp(*(const struct prefix *const *)a, *(const struct prefix *const *)b);
}

/* The bridge of a stack of ours is no foreign route, whatever VNI it is in */
static void routes_collect(struct settling *s)
{
	const struct mapping_input *in = s->in;
	const struct prefix **own;
	size_t n_own = 0;

	for (size_t i = 0; i < in->n_stacks; i++)
		n_own += in->stacks[i].n_subnets;
	/* NOLINTBEGIN(bugprone-sizeof-expression): they hold pointers */
	own = xcalloc(n_own + 1, sizeof(*own));
	s->routes = xcalloc(in->n_routes + 1, sizeof(*s->routes));
	n_own = 0;
	for (size_t i = 0; i < in->n_stacks; i++) {
		for (size_t j = 0; j < in->stacks[i].n_subnets; j++)
			own[n_own++] = &in->stacks[i].subnets[j];
	}
	if (n_own > 1)
		qsort(own, n_own, sizeof(*own), prefix_pointer_cmp);
	for (size_t i = 0; i < in->n_routes; i++) {
		const struct prefix *route = &in->routes[i];

		if (n_own == 0 || !bsearch(&route, own, n_own, sizeof(*own), prefix_pointer_cmp))
			s->routes[s->n_routes++] = route;
	}
	if (s->n_routes > 1)
		qsort(s->routes, s->n_routes, sizeof(*s->routes), prefix_pointer_cmp);
	/* NOLINTEND(bugprone-sizeof-expression) */
	free(own);
	for (size_t i = 0; i < s->n_routes; i++) {
		struct held h = {.kind = HELD_ROUTE, .prefix = *s->routes[i], .host_id = in->host_id, .stack_id = ""};
		hold(s, &h, false);
	}
}

static void collect(struct settling *s)
{
	vnis_collect(s);
	for (size_t i = 0; i < s->in->n_stacks; i++)
		stack_collect(s, &s->in->stacks[i]);
	for (size_t i = 0; i < s->in->n_peers; i++)
		peer_collect(s, &s->in->peers[i]);
	routes_collect(s);
	index_sort(&s->members);
	index_sort(&s->taken);
}

/* --- which VNIs --- */

static void vni_mapped(struct vni_state *v, enum why why, const struct held *a, const struct held *b)
{
	if (v->why != WHY_NOT)
		return;
	v->why = why;
	v->a = *a;
	v->b = *b;
}

/* Prefixes lie inside each other or apart: of each group that overlaps, the outermost comes first */
static void clashes_find(struct settling *s)
{
	const struct held *open = NULL;

	for (size_t i = 0; i < s->members.n; i++) {
		const struct held *h = &s->members.v[i];

		if (h->kind != HELD_SUBNET)
			continue;
		if (!open || open->vni != h->vni || !prefix_contains(&open->prefix, &h->prefix))
			open = h;
		else if (owner_cmp(open, h) != 0 && !is_ghost(open, h))
			vni_mapped(vni_find(s, h->vni), WHY_CLASH, open, h);
	}
}

static void avoided_find(struct settling *s)
{
	for (size_t i = 0; i < s->in->n_peers; i++) {
		const struct peer *p = s->in->peers[i].peer;
		struct vni_state *v = vni_find(s, p->vni);

		for (size_t j = 0; v && v->why == WHY_NOT && !s->in->peers[i].hearsay && j < p->n_avoid; j++) {
			struct held avoid = {.prefix = p->avoid[j],
					     .vni = p->vni,
					     .kind = HELD_AVOID,
					     .host_id = p->host_id,
					     .stack_id = p->stack_id,
					     .peer = p};
			const struct held *h = index_find(&s->members, p->vni, &avoid, is_subnet_of_other_host);

			if (h)
				vni_mapped(v, WHY_AVOID, h, &avoid);
		}
	}
}

/* Our own routes: are they in the way of a peer's subnet, and what do the others of the VNI have to know of? */
static size_t routes_find(struct settling *s, struct vni_state *v, struct prefix avoid[static LIMIT_AVOID])
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_routes && (n < LIMIT_AVOID || v->why == WHY_NOT); i++) {
		struct held route = {.prefix = *s->routes[i],
				     .vni = v->vni,
				     .kind = HELD_ROUTE,
				     .host_id = s->in->host_id,
				     .stack_id = ""};
		const struct held *h = index_find(&s->members, v->vni, &route, is_of_peer);

		if (!h || (n > 0 && prefix_cmp(&avoid[n - 1], s->routes[i]) == 0))
			continue;
		if (n < LIMIT_AVOID)
			avoid[n++] = *s->routes[i];
		h = v->why == WHY_NOT ? index_find(&s->members, v->vni, &route, is_subnet_of_other_host) : NULL;
		if (h)
			vni_mapped(v, WHY_ROUTE, h, &route);
	}
	return n;
}

/* --- words --- */

static const char *held_text(const struct held *h, char *ret, size_t size)
{
	char ip[IP_STRLEN];

	if (!h->peer)
		snprintf(ret, size, "%s of this host", h->stack_id);
	else if (h->peer->host_name[0])
		snprintf(ret, size, "%s@%s", h->stack_id, h->peer->host_name);
	else
		snprintf(ret, size, "%s@%s", h->stack_id, ip_format(&h->peer->host_ip, ip));
	return ret;
}

static const char *host_text(const struct held *h, char ret[static 64])
{
	if (!h->peer)
		snprintf(ret, 64, "this host");
	else if (h->peer->host_name[0])
		snprintf(ret, 64, "%s", h->peer->host_name);
	else
		ip_format(&h->peer->host_ip, ret);
	return ret;
}

#define TEXT 240 /* a stack's name and a host's */

/* Why a subnet gets a mapped prefix: what clashes with itself before what clashes elsewhere in the VNI */
static void why_new(const struct settling *s, const struct held *subnet, char *ret, size_t size)
{
	const struct vni_state *v = vni_find(s, subnet->vni);
	const struct held *h = index_find(&s->members, subnet->vni, subnet, is_other_subnet);
	char p[PREFIX_STRLEN], a[TEXT], b[TEXT];

	if (v->why == WHY_ALWAYS) {
		snprintf(ret, size, "MAPPING=always");
		return;
	}
	if (h) {
		snprintf(ret, size, "%s has %s", held_text(h, a, sizeof(a)), prefix_format(&h->prefix, p));
		return;
	}
	h = index_find(&s->taken, 0, subnet, is_avoided_here);
	if (h) {
		snprintf(ret, size, "%s has a route to %s", host_text(h, a), prefix_format(&h->prefix, p));
		return;
	}
	prefix_format(&v->b.prefix, p);
	switch (v->why) {
	case WHY_NOT:
	case WHY_ALWAYS:
		break;
	case WHY_MAPPED:
		snprintf(ret, size, "%s is mapped", held_text(&v->a, a, sizeof(a)));
		break;
	case WHY_CLASH:
		snprintf(ret, size, "%s and %s both have %s", held_text(&v->a, a, sizeof(a)),
			 held_text(&v->b, b, sizeof(b)), p);
		break;
	case WHY_AVOID:
	case WHY_ROUTE:
		snprintf(ret, size, "%s has a route to %s, where %s is", host_text(&v->b, b), p,
			 held_text(&v->a, a, sizeof(a)));
		break;
	}
}

static void why_moved(const struct held *h, char *ret, size_t size)
{
	char p[PREFIX_STRLEN], a[TEXT];

	prefix_format(&h->prefix, p);
	if (h->kind == HELD_AVOID || h->kind == HELD_ROUTE)
		snprintf(ret, size, "%s has a route to %s", host_text(h, a), p);
	else
		snprintf(ret, size, "%s has %s", held_text(h, a, sizeof(a)), p);
}

/* --- which prefix --- */

static uint64_t place_hash(const struct settling *s, const struct held *subnet)
{
	char text[HOST_ID_LEN + LIMIT_NAME + PREFIX_STRLEN + 3], p[PREFIX_STRLEN];

	str_print(text, "%s %s %s", s->in->host_id, subnet->stack_id, prefix_format(&subnet->prefix, p));
	return hash64(text, strlen(text), 0);
}

enum lack { LACK_TOO_LARGE, LACK_FULL, LACK_STAYS };

static void problem_add(struct settling *s, const struct held *subnet, const struct prefix *pool, enum lack lack)
{
	char p[PREFIX_STRLEN], q[PREFIX_STRLEN];
	autofree char *object = xasprintf("stack %s", subnet->stack_id);
	const char *cure = "Give that network a smaller subnet (ipam), or all hosts a larger SHADOW_POOL; see which "
			   "stacks and routes lie in it.";

	prefix_format(&subnet->prefix, p);
	prefix_format(pool, q);
	switch (lack) {
	case LACK_TOO_LARGE:
		problems_add(s->problems, object,
			     "Give that network a smaller subnet (ipam), or all hosts a larger SHADOW_POOL.",
			     "subnet %s cannot be mapped: it is as large as %s, the half of SHADOW_POOL for that", p,
			     q);
		break;
	case LACK_FULL:
		problems_add(s->problems, object, cure,
			     "subnet %s cannot be mapped: no place is left in %s, the half of SHADOW_POOL for that", p,
			     q);
		break;
	case LACK_STAYS:
		problems_add(s->problems, object, cure,
			     "subnet %s should have another mapped prefix: no place is left in %s, the half of "
			     "SHADOW_POOL for that",
			     p, q);
		break;
	}
}

/* What @st had for it, or NULL */
static const struct mapped *pair_before(const struct settling *s, const struct mapping_stack *st,
					const struct prefix *subnet)
{
	for (size_t i = 0; i < st->n_before; i++) {
		if (prefix_cmp(&st->before[i].subnet, subnet) == 0)
			return pair_is_valid(s, st, &st->before[i]) ? &st->before[i] : NULL;
	}
	return NULL;
}

/* Who makes @m move, or NULL: what nobody can live with first */
static const struct held *pair_blocked(const struct settling *s, const struct mapping_stack *st, const struct mapped *m,
				       struct mapping_output *out)
{
	struct held own = held_of(s, st, HELD_MAPPED, &m->as);
	const struct held *h = index_find(&s->taken, 0, &own, is_route);

	own.subnet = &m->subnet;
	if (h)
		return h;
	h = index_find(&s->taken, 0, &own, is_in_the_way);
	if (!h)
		h = index_find(&s->taken, 0, &own, is_avoided_place);
	if (!h || !h->peer || !st->hold)
		return h;
	out->was_held = true;
	return NULL;
}

/*
 * The best place that there is for @own: outside of what anybody has; else where a VNI that is not ours has something;
 * else where some member host cannot reach it, but the others can, if that is any better than what made it move
 */
static bool place_choose(struct settling *s, const struct held *own, const struct prefix *pool,
			 const struct held *blocked, struct prefix *ret)
{
	struct places *sets[] = {&s->places, &vni_find(s, own->vni)->avoided, &s->strange};
	size_t least = blocked && blocked->kind == HELD_AVOID ? 2 : 1;
	uint64_t hash = place_hash(s, own);

	for (size_t n = ARRAY_LEN(sets); n >= least; n--) {
		if (places_choose(sets, n, pool, own->prefix.len, hash, ret)) {
			places_take(&s->places, ret);
			return true;
		}
	}
	return false;
}

/* Return: false when there is none for it */
static bool subnet_map(struct settling *s, const struct mapping_stack *st, const struct prefix *subnet,
		       struct mapping_output *out)
{
	struct held own = held_of(s, st, HELD_SUBNET, subnet);
	const struct prefix *pool = pool_of(s, subnet->ip.family);
	const struct mapped *before = pair_before(s, st, subnet);
	const struct held *blocked = before ? pair_blocked(s, st, before, out) : NULL;
	struct mapped *m = &out->mapped[out->n_mapped];
	char p[PREFIX_STRLEN], q[PREFIX_STRLEN], why[2 * TEXT + PREFIX_STRLEN + 40] = "";

	m->subnet = *subnet;
	if (before && !blocked) {
		*m = *before;
		out->n_mapped++;
		return true;
	}
	if (!pool)
		return false;
	if (subnet->len <= pool->len) {
		problem_add(s, &own, pool, LACK_TOO_LARGE);
		return false;
	}
	if (!place_choose(s, &own, pool, blocked, &m->as)) {
		problem_add(s, &own, pool, before ? LACK_STAYS : LACK_FULL);
		/* What is in use is given up for a better one only: else one who takes all takes it away from all */
		if (!before)
			return false;
		*m = *before;
		out->n_mapped++;
		return true;
	}
	out->n_mapped++;
	if (blocked)
		why_moved(blocked, why, sizeof(why));
	else
		why_new(s, &own, why, sizeof(why));
	if (!out->why[0] || (blocked && !out->has_moved)) /* one is told; a move before what is new */
		str_print(out->why, "%s is %s: %.*s", prefix_format(subnet, p), prefix_format(&m->as, q), 200, why);
	out->is_new = out->is_new || !blocked;
	out->has_moved = out->has_moved || blocked;
	return true;
}

static void stack_settle(struct settling *s, const struct mapping_stack *st, struct mapping_output *out)
{
	bool is_mapped = vni_find(s, st->vni)->why != WHY_NOT && s->in->mapping != MAPPING_NEVER;

	assert(st->n_subnets <= LIMIT_SUBNETS);
	for (size_t i = 0; i < st->n_subnets; i++) {
		bool done = is_mapped && subnet_map(s, st, &st->subnets[i], out);

		if (!done || s->in->mapping != MAPPING_ALWAYS)
			out->subnets[out->n_subnets++] = st->subnets[i];
	}
}

/* --- all of it --- */

static int stack_order(const void *pa, const void *pb)
{
	const struct mapping_stack *a = *(const struct mapping_stack *const *)pa;
	const struct mapping_stack *b = *(const struct mapping_stack *const *)pb;
	int order = strcmp(a->stack_id, b->stack_id);

	return order ? order : (a->vni > b->vni) - (a->vni < b->vni);
}

/* The smaller of ours choose first, so that it is the same whatever order they came in */
static void stacks_settle(struct settling *s, struct mapping_output *out)
{
	size_t n = s->in->n_stacks;
	const struct mapping_stack **order;

	/* NOLINTBEGIN(bugprone-sizeof-expression): it holds pointers */
	order = xcalloc(n + 1, sizeof(*order));
	for (size_t i = 0; i < n; i++)
		order[i] = &s->in->stacks[i];
	if (n > 1)
		qsort(order, n, sizeof(*order), stack_order);
	/* NOLINTEND(bugprone-sizeof-expression) */
	for (size_t i = 0; i < n; i++)
		stack_settle(s, order[i], &out[order[i] - s->in->stacks]);
	free(order);
}

void mapping_settle(const struct mapping_input *in, struct mapping_output *out, struct problems *problems)
{
	struct settling s = {.in = in, .problems = problems};

	memset(out, 0, in->n_stacks * sizeof(*out));
	if (in->n_stacks == 0)
		return;
	collect(&s);
	for (size_t i = 0; i < s.n_vnis && in->mapping == MAPPING_ALWAYS; i++)
		s.vnis[i].why = WHY_ALWAYS;
	clashes_find(&s);
	avoided_find(&s);
	for (size_t i = 0; i < s.n_vnis; i++) {
		struct prefix avoid[LIMIT_AVOID];
		size_t n = routes_find(&s, &s.vnis[i], avoid);

		for (size_t j = 0; j < in->n_stacks; j++) {
			if (in->stacks[j].vni != s.vnis[i].vni)
				continue;
			memcpy(out[j].avoid, avoid, n * sizeof(avoid[0]));
			out[j].n_avoid = n;
		}
	}
	stacks_settle(&s, out);
	places_done(&s.places);
	places_done(&s.strange);
	for (size_t i = 0; i < s.n_vnis; i++)
		places_done(&s.vnis[i].avoided);
	free(s.members.v);
	free(s.taken.v);
	free(s.routes);
	free(s.vnis);
}
