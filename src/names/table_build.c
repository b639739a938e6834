/* SPDX-License-Identifier: Apache-2.0
 *
 * Building the table: stacks sorted by name, each with the names that its file holds (sorted already), addresses sorted
 * for the way back, and for each container what it sees. Nothing is copied that the files' structs hold.
 */
#include "names/table_parts.h"

static void sort(void *items, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	if (n > 1)
		qsort(items, n, size, cmp);
}

static void lower(char *dst, size_t size, const char *src)
{
	size_t n = 0;

	for (; n + 1 < size && src[n]; n++)
		dst[n] = src[n] >= 'A' && src[n] <= 'Z' ? (char)(src[n] - 'A' + 'a') : src[n];
	dst[n] = '\0';
}

/* --- stacks --- */

/* May a container of this stack have that address? */
bool instance_may_have(const struct instance *s, const struct ip *ip)
{
	return s->own || prefixes_have_ip(s->subnets, s->n_subnets, ip) || mapped_find(s->mapped, s->n_mapped, ip);
}

static int instance_cmp(const void *a, const void *b)
{
	const struct instance *x = a, *y = b;
	int order = strcmp(x->stack, y->stack);

	if (order)
		return order;
	if (x->names->vni != y->names->vni)
		return x->names->vni < y->names->vni ? -1 : 1;
	return strcmp(x->names->host_id, y->names->host_id);
}

static int ip_order(const void *a, const void *b)
{
	return ip_cmp(a, b);
}

static void instance_addresses(struct instance *s)
{
	size_t n = 0, kept = 0, max = 0;

	for (size_t i = 0; i < s->names->n_names; i++)
		if (s->names->names[i].kind != NAME_ALIAS)
			max += s->names->names[i].n_addresses;
	if (!max)
		return;
	s->addresses = xcalloc(max, sizeof(*s->addresses));
	for (size_t i = 0; i < s->names->n_names; i++) {
		const struct name *name = &s->names->names[i];

		for (size_t j = 0; name->kind != NAME_ALIAS && j < name->n_addresses; j++)
			if (instance_may_have(s, &name->addresses[j]))
				s->addresses[n++] = name->addresses[j];
	}
	sort(s->addresses, n, sizeof(*s->addresses), ip_order);
	for (size_t i = 0; i < n; i++)
		if (!kept || ip_cmp(&s->addresses[kept - 1], &s->addresses[i]) != 0)
			s->addresses[kept++] = s->addresses[i];
	s->n_addresses = kept < STACK_ADDRESSES ? kept : STACK_ADDRESSES;
	if (kept)
		s->addresses = xrealloc(s->addresses, s->n_addresses * sizeof(*s->addresses));
}

static void instance_init(struct instance *s, const struct name_stack *names)
{
	s->names = names;
	lower(s->stack, sizeof(s->stack), names->stack_id);
	lower(s->host, sizeof(s->host), names->host_name);
	s->host_short = strcspn(s->host, ".");
}

static const struct self_stack *self_find(const struct discovery *d, uint32_t vni, const char *stack_id)
{
	for (size_t i = 0; i < d->self.n_stacks; i++)
		if (d->self.stacks[i].vni == vni && str_eq(d->self.stacks[i].stack_id, stack_id))
			return &d->self.stacks[i];
	return NULL;
}

static int peer_key(const struct peer *p, uint32_t vni, const char *host_id, const char *stack_id)
{
	int order;

	if (p->vni != vni)
		return p->vni < vni ? -1 : 1;
	order = strcmp(p->host_id, host_id);
	return order ? order : strcmp(p->stack_id, stack_id);
}

/* peers[] is sorted by that, but those without a host_id, which have no names, stand somewhere among it */
static const struct peer *peer_find(const struct peer *const *peers, size_t n, const struct name_stack *s)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = peer_key(peers[mid], s->vni, s->host_id, s->stack_id);

		if (order == 0)
			return peers[mid];
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static int peer_order(const void *a, const void *b)
{
	const struct peer *x = *(const struct peer *const *)a, *y = *(const struct peer *const *)b;

	return peer_key(x, y->vni, y->host_id, y->stack_id);
}

static void add_own(struct table *t, const struct inventory *inv, const struct discovery *d)
{
	t->own = xcalloc(inv->n_stacks + 1, sizeof(*t->own));
	for (size_t i = 0; i < inv->n_stacks; i++) {
		struct name_stack *names = &t->own[t->n_own++];
		struct instance *s = &t->instances[t->n_instances++];
		const struct self_stack *self = self_find(d, inv->stacks[i].vni, inv->stacks[i].stack_id);

		names_of_stack(&inv->stacks[i], names);
		str_copy(names->host_id, d->self.host_id);
		str_copy(names->host_name, d->self.host_name);
		instance_init(s, names);
		s->own = true;
		if (self) {
			s->mapped = self->mapped;
			s->n_mapped = self->n_mapped;
		}
		instance_addresses(s);
	}
}

static void add_peers(struct table *t, const struct names *names, const struct discovery *d)
{
	const struct peer **peers = xcalloc(d->n_peers + 1, sizeof(*peers));
	size_t n = 0;

	for (size_t i = 0; i < d->n_peers; i++)
		if (d->peers[i].host_id[0])
			peers[n++] = &d->peers[i];
	sort(peers, n, sizeof(*peers), peer_order);
	for (size_t i = 0; i < names->n_stacks; i++) {
		const struct peer *p = peer_find(peers, n, &names->stacks[i]);
		struct instance *s = &t->instances[t->n_instances];

		if (!p || str_eq(p->host_id, d->self.host_id))
			continue; /* whoever is gone has no names, whatever the file still says */
		instance_init(s, &names->stacks[i]);
		s->subnets = p->subnets;
		s->n_subnets = p->n_subnets;
		s->mapped = p->mapped;
		s->n_mapped = p->n_mapped;
		instance_addresses(s);
		t->n_instances++;
	}
	free(peers);
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_hosts(struct table *t)
{
	size_t kept = 0;

	t->hosts = xcalloc(2 * t->n_instances + 1, sizeof(*t->hosts));
	for (size_t i = 0; i < t->n_instances; i++)
		if (t->instances[i].host[0])
			t->hosts[t->n_hosts++] = t->instances[i].host;
	sort(t->hosts, t->n_hosts, sizeof(*t->hosts), text_cmp);
	for (size_t i = 0; i < t->n_hosts; i++)
		if (!kept || !str_eq(t->hosts[kept - 1], t->hosts[i]))
			t->hosts[kept++] = t->hosts[i];
	t->n_hosts = kept;
}

static void reverse_add(struct table *t, const struct ip *ip, bool mapped, size_t instance, size_t name)
{
	struct reverse *r = xgrow(&t->reverse, t->n_reverse, &t->cap_reverse);

	*r = (struct reverse){.ip = *ip, .mapped = mapped, .instance = (uint32_t)instance, .name = (uint32_t)name};
	t->n_reverse++;
}

static int reverse_cmp(const void *a, const void *b)
{
	const struct reverse *x = a, *y = b;
	int order = ip_cmp(&x->ip, &y->ip);

	if (order)
		return order;
	if (x->instance != y->instance)
		return x->instance < y->instance ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

/* Both addresses of what is mapped lead back */
static void add_reverse(struct table *t)
{
	for (size_t i = 0; i < t->n_instances; i++) {
		const struct instance *s = &t->instances[i];

		for (size_t j = 0; j < s->names->n_names; j++) {
			const struct name *n = &s->names->names[j];

			for (size_t k = 0; k < n->n_addresses; k++) {
				const struct mapped *m = mapped_find(s->mapped, s->n_mapped, &n->addresses[k]);
				struct ip as;

				if (!instance_may_have(s, &n->addresses[k]))
					continue;
				reverse_add(t, &n->addresses[k], false, i, j);
				if (!m)
					continue;
				as = prefix_translate(&m->as, &n->addresses[k]);
				reverse_add(t, &as, true, i, j);
			}
		}
	}
	sort(t->reverse, t->n_reverse, sizeof(*t->reverse), reverse_cmp);
}

/* --- what is refused --- */

static int refused_cmp(const void *a, const void *b)
{
	const struct refused *x = a, *y = b;
	int order;

	if (x->vni != y->vni)
		return x->vni < y->vni ? -1 : 1;
	order = strcmp(x->host_id, y->host_id);
	return order ? order : strcmp(x->stack_id, y->stack_id);
}

static size_t refused_first(const struct table *t, const struct refused *key)
{
	size_t lo = 0, hi = t->n_refused;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (refused_cmp(&t->refused[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void refused_add(struct table *t, uint32_t vni, const char *host_id, const char *stack_id,
			const struct prefix *prefix)
{
	t->refused[t->n_refused++] =
		(struct refused){.vni = vni, .host_id = host_id, .stack_id = stack_id, .prefix = *prefix};
}

static void add_refused(struct table *t, const struct router_state *router)
{
	t->refused = xcalloc(router->n_refused + router->n_held + 1, sizeof(*t->refused));
	for (size_t i = 0; i < router->n_refused; i++)
		refused_add(t, router->refused[i].vni, router->refused[i].host_id, router->refused[i].stack_id,
			    &router->refused[i].prefix);
	for (size_t i = 0; i < router->n_held; i++)
		refused_add(t, router->held[i].vni, router->held[i].host_id, router->held[i].stack_id,
			    &router->held[i].prefix);
	sort(t->refused, t->n_refused, sizeof(*t->refused), refused_cmp);
	for (size_t i = 0; t->n_refused && i < t->n_instances; i++) {
		struct instance *s = &t->instances[i];
		struct refused key = {
			.vni = s->names->vni, .host_id = s->names->host_id, .stack_id = s->names->stack_id};
		size_t at = refused_first(t, &key);

		s->refused = &t->refused[at];
		while (at + s->n_refused < t->n_refused && refused_cmp(&t->refused[at + s->n_refused], &key) == 0)
			s->n_refused++;
	}
}

static void add_subnets(struct table *t, const struct inventory *inv)
{
	size_t n = 0;

	for (size_t i = 0; i < inv->n_stacks; i++)
		for (size_t j = 0; j < inv->stacks[i].n_networks; j++)
			n += inv->stacks[i].networks[j].n_subnets;
	t->subnets = xcalloc(n + 1, sizeof(*t->subnets));
	for (size_t i = 0; i < inv->n_stacks; i++)
		for (size_t j = 0; j < inv->stacks[i].n_networks; j++)
			for (size_t k = 0; k < inv->stacks[i].networks[j].n_subnets; k++)
				t->subnets[t->n_subnets++] = &inv->stacks[i].networks[j].subnets[k];
}

/* --- who asks --- */

uint64_t name_hash(const char *s, uint64_t seed)
{
	return hash64(s, strlen(s), seed);
}

static int viewer_cmp(const void *a, const void *b)
{
	const struct viewer *x = a, *y = b;

	return strcmp(x->id, y->id);
}

static void viewer_add_stack(struct viewer *v, const struct viewer_stack *s)
{
	for (size_t i = 0; i < v->n_stacks; i++)
		if (v->stacks[i].vni == s->vni && str_eq(v->stacks[i].stack_id, s->stack_id))
			return;
	if (v->n_stacks < VIEWER_MAX)
		v->stacks[v->n_stacks++] = *s;
}

static void viewer_add_network(struct viewer *v, const struct inv_network *n)
{
	if (v->n_networks < VIEWER_MAX)
		v->networks[v->n_networks++] = name_hash(n->id, 0);
	for (size_t i = 0; i < n->n_subnets && v->n_subnets < VIEWER_SUBNETS; i++)
		v->subnets[v->n_subnets++] = n->subnets[i];
}

static void local_add(struct table *t, uint64_t network, const char *name)
{
	char text[LIMIT_NAME];

	lower(text, sizeof(text), name);
	*xgrow(&t->local, t->n_local, &t->cap_local) = name_hash(text, network);
	t->n_local++;
}

int name_hash_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static const struct inv_network *network_find(const struct inv_stack *s, const char *id)
{
	for (size_t i = 0; i < s->n_networks; i++)
		if (str_eq(s->networks[i].id, id))
			return &s->networks[i];
	return NULL;
}

static void add_container(struct table *t, const struct inv_stack *s, const struct viewer_stack *vs,
			  const struct inv_container *c)
{
	struct viewer *v = xgrow(&t->viewers, t->n_viewers, &t->cap_viewers);

	t->n_viewers++;
	v->id = c->id;
	v->elsewhere = c->elsewhere;
	viewer_add_stack(v, vs);
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct inv_interface *f = &c->interfaces[i];
		const struct inv_network *n = network_find(s, f->network_id);
		uint64_t network = name_hash(f->network_id, 0);

		if (n)
			viewer_add_network(v, n);
		local_add(t, network, c->name);
		if (c->service[0])
			local_add(t, network, c->service);
		for (size_t j = 0; j < f->n_aliases; j++)
			local_add(t, network, f->aliases[j]);
	}
}

/* A container that is in several stacks is one viewer */
static void viewers_merge(struct table *t)
{
	size_t kept = 0;

	sort(t->viewers, t->n_viewers, sizeof(*t->viewers), viewer_cmp);
	for (size_t i = 0; i < t->n_viewers; i++) {
		struct viewer *v = &t->viewers[i], *to = kept ? &t->viewers[kept - 1] : NULL;

		if (!to || !str_eq(to->id, v->id)) {
			t->viewers[kept++] = *v;
			continue;
		}
		to->elsewhere |= v->elsewhere;
		for (size_t j = 0; j < v->n_stacks; j++)
			viewer_add_stack(to, &v->stacks[j]);
		for (size_t j = 0; j < v->n_networks && to->n_networks < VIEWER_MAX; j++)
			to->networks[to->n_networks++] = v->networks[j];
		for (size_t j = 0; j < v->n_subnets && to->n_subnets < VIEWER_SUBNETS; j++)
			to->subnets[to->n_subnets++] = v->subnets[j];
	}
	t->n_viewers = kept;
}

static void add_viewers(struct table *t, const struct inventory *inv, const struct discovery *d)
{
	for (size_t i = 0; i < inv->n_stacks; i++) {
		const struct inv_stack *s = &inv->stacks[i];
		const struct self_stack *self = self_find(d, s->vni, s->stack_id);
		struct viewer_stack vs = {.stack_id = s->stack_id, .vni = s->vni, .mapped = self && self->n_mapped > 0};

		for (size_t j = 0; j < s->n_containers; j++)
			add_container(t, s, &vs, &s->containers[j]);
	}
	viewers_merge(t);
	sort(t->local, t->n_local, sizeof(*t->local), name_hash_cmp);
}

/* --- the whole --- */

struct table *table_new(const struct inventory *inv, const struct names *names, const struct discovery *d,
			const struct router_state *router, const char *domain)
{
	struct table *t = xcalloc(1, sizeof(*t));

	str_copy(t->domain, domain);
	t->instances = xcalloc(inv->n_stacks + names->n_stacks + 1, sizeof(*t->instances));
	add_own(t, inv, d);
	add_peers(t, names, d);
	sort(t->instances, t->n_instances, sizeof(*t->instances), instance_cmp);
	add_hosts(t);
	add_refused(t, router);
	add_subnets(t, inv);
	add_reverse(t);
	add_viewers(t, inv, d);
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_own; i++)
		name_stack_done(&t->own[i]);
	for (size_t i = 0; i < t->n_instances; i++)
		free(t->instances[i].addresses);
	free(t->own);
	free(t->instances);
	free(t->hosts);
	free(t->reverse);
	free(t->local);
	free(t->viewers);
	free(t->refused);
	free(t->subnets);
	free(t);
}

const char *table_domain(const struct table *t)
{
	return t->domain;
}

const struct viewer *table_viewer(const struct table *t, const char *container_id)
{
	struct viewer key = {.id = container_id};

	return t->n_viewers ? bsearch(&key, t->viewers, t->n_viewers, sizeof(key), viewer_cmp) : NULL;
}

const struct viewer *table_host(const struct table *t)
{
	return &t->host;
}
