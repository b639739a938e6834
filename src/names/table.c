/* SPDX-License-Identifier: Apache-2.0
 *
 * The index: stacks sorted by name, each with the names that its file holds (sorted already), addresses sorted for the
 * way back, and for each container what it sees. Nothing is copied that the files' structs hold.
 */
#include "names/table.h"

#include "names/public.h"

#define STACK_ADDRESSES FIND_MAX
#define VIEWER_MAX	16 /* stacks, networks, subnets of a container */

/* A stack on one host */
struct instance {
	char stack[LIMIT_NAME], host[64]; /* lower case */
	size_t host_short;		  /* bytes of @host up to its first dot */
	bool own;
	const struct name_stack *names;
	const struct prefix *subnets; /* that its addresses lie in; of our own they lie where they lie */
	size_t n_subnets;
	const struct mapped *mapped;
	size_t n_mapped;
	struct ip *addresses; /* of all its containers, sorted, each once */
	size_t n_addresses;
};

/* An address, as somebody may know it, and the name that has it */
struct reverse {
	struct ip ip;
	bool mapped;
	uint32_t instance, name;
};

struct viewer_stack {
	const char *stack_id;
	uint32_t vni;
	bool mapped;
};

struct viewer {
	const char *id; /* NULL: the host */
	struct viewer_stack stacks[VIEWER_MAX];
	size_t n_stacks;
	uint64_t networks[VIEWER_MAX]; /* hashes of their ids */
	size_t n_networks;
	struct prefix subnets[VIEWER_MAX];
	size_t n_subnets;
};

struct table {
	char domain[64];
	struct name_stack *own;
	size_t n_own;
	struct instance *instances; /* sorted by stack, VNI, host */
	size_t n_instances;
	const char **hosts; /* sorted: what may stand behind a stack */
	size_t n_hosts;
	struct reverse *reverse; /* sorted by ip */
	size_t n_reverse, cap_reverse;
	uint64_t *local; /* sorted hashes of (network, name): what Docker's own resolver knows */
	size_t n_local, cap_local;
	struct viewer *viewers; /* sorted by id */
	size_t n_viewers, cap_viewers;
	struct viewer host;
};

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

static bool in_any(const struct prefix *p, size_t n, const struct ip *ip)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_has_ip(&p[i], ip))
			return true;
	return false;
}

static const struct mapped *mapped_of(const struct instance *s, const struct ip *ip)
{
	for (size_t i = 0; i < s->n_mapped; i++)
		if (prefix_has_ip(&s->mapped[i].subnet, ip))
			return &s->mapped[i];
	return NULL;
}

/* May a container of this stack have that address? */
static bool address_ok(const struct instance *s, const struct ip *ip)
{
	return s->own || in_any(s->subnets, s->n_subnets, ip) || mapped_of(s, ip);
}

/* The address at the same place in the mapped prefix */
static struct ip translate(const struct mapped *m, const struct ip *ip)
{
	struct ip out = *ip;

	for (size_t bit = 0; bit < m->as.len; bit++) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		out.b[bit / 8] = (uint8_t)((out.b[bit / 8] & ~mask) | (m->as.ip.b[bit / 8] & mask));
	}
	return out;
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
			if (address_ok(s, &name->addresses[j]))
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

/* --- who asks --- */

static uint64_t text_hash(const char *s, uint64_t seed)
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
		v->networks[v->n_networks++] = text_hash(n->id, 0);
	for (size_t i = 0; i < n->n_subnets && v->n_subnets < VIEWER_MAX; i++)
		v->subnets[v->n_subnets++] = n->subnets[i];
}

static void local_add(struct table *t, uint64_t network, const char *name)
{
	char text[LIMIT_NAME];

	lower(text, sizeof(text), name);
	*xgrow(&t->local, t->n_local, &t->cap_local) = text_hash(text, network);
	t->n_local++;
}

static int hash_cmp(const void *a, const void *b)
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
	viewer_add_stack(v, vs);
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct inv_interface *f = &c->interfaces[i];
		const struct inv_network *n = network_find(s, f->network_id);
		uint64_t network = text_hash(f->network_id, 0);

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
		for (size_t j = 0; j < v->n_stacks; j++)
			viewer_add_stack(to, &v->stacks[j]);
		for (size_t j = 0; j < v->n_networks && to->n_networks < VIEWER_MAX; j++)
			to->networks[to->n_networks++] = v->networks[j];
		for (size_t j = 0; j < v->n_subnets && to->n_subnets < VIEWER_MAX; j++)
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
	sort(t->local, t->n_local, sizeof(*t->local), hash_cmp);
}

/* Is the stack in one of the viewer's VNIs? */
static bool visible(const struct table *t, const struct viewer *v, const struct instance *s)
{
	if (!v->id) {
		for (size_t i = 0; i < t->n_own; i++)
			if (t->own[i].vni == s->names->vni)
				return true;
		return false;
	}
	for (size_t i = 0; i < v->n_stacks; i++)
		if (v->stacks[i].vni == s->names->vni)
			return true;
	return false;
}

/*
 * Does @v use mapped addresses of @s? Not of its own stack; else when its own is mapped too, so that its own address is
 * rewritten as well. The host has no stack: it may have another network where the true address of a mapped stack is.
 */
static bool sees_mapped(const struct viewer *v, const struct instance *s)
{
	bool mapped = false;

	if (!v->id)
		return !s->own;
	for (size_t i = 0; i < v->n_stacks; i++) {
		if (v->stacks[i].vni != s->names->vni)
			continue;
		if (s->own && str_eq(v->stacks[i].stack_id, s->names->stack_id))
			return false;
		mapped |= v->stacks[i].mapped;
	}
	return mapped;
}

/* An address of @s as @v is to use it. A true one that is not announced leads nowhere, whoever asks */
static struct ip view(const struct instance *s, bool mapped, const struct ip *ip)
{
	const struct mapped *m = mapped_of(s, ip);

	if (m && (mapped || (!s->own && !in_any(s->subnets, s->n_subnets, ip))))
		return translate(m, ip);
	return *ip;
}

static bool local_knows(const struct table *t, const struct viewer *v, const char *name)
{
	for (size_t i = 0; i < v->n_networks; i++) {
		uint64_t key = text_hash(name, v->networks[i]);

		if (t->n_local && bsearch(&key, t->local, t->n_local, sizeof(key), hash_cmp))
			return true;
	}
	return false;
}

/* --- from name to address --- */

struct finding {
	const struct table *table;
	const struct viewer *viewer;
	uint8_t family;
	struct ip *ips;
	size_t n;
	bool exists;
};

static void finding_add(struct finding *f, const struct instance *s, const struct ip *ips, size_t n)
{
	bool mapped = sees_mapped(f->viewer, s);
	size_t before = f->n; /* those of one stack differ from each other */

	for (size_t i = 0; i < n && f->n < FIND_MAX; i++) {
		struct ip ip;
		bool there = false;

		if (!address_ok(s, &ips[i]))
			continue;
		f->exists = true;
		if (f->family && ips[i].family != f->family)
			continue;
		ip = view(s, mapped, &ips[i]);
		for (size_t j = 0; j < before && !there; j++)
			there = ip_cmp(&f->ips[j], &ip) == 0;
		if (!there)
			f->ips[f->n++] = ip;
	}
}

static int name_key_cmp(const void *key, const void *item)
{
	return strcmp(key, ((const struct name *)item)->name);
}

static bool host_is(const struct instance *s, const char *host)
{
	return str_eq(s->host, host) ||
	       (s->host_short && strncmp(s->host, host, s->host_short) == 0 && !host[s->host_short]);
}

static size_t instance_first(const struct table *t, const char *stack)
{
	size_t lo = 0, hi = t->n_instances;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(t->instances[mid].stack, stack) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* @name: NULL means the stack itself. @host: NULL means all */
static void find_in_stack(struct finding *f, const char *name, const char *stack, const char *host)
{
	const struct table *t = f->table;

	for (size_t i = instance_first(t, stack); i < t->n_instances && str_eq(t->instances[i].stack, stack); i++) {
		const struct instance *s = &t->instances[i];
		const struct name *n;

		if (!visible(t, f->viewer, s) || (host && !host_is(s, host)))
			continue;
		if (!name) {
			f->exists = true;
			finding_add(f, s, s->addresses, s->n_addresses);
			continue;
		}
		n = s->names->n_names
			    ? bsearch(name, s->names->names, s->names->n_names, sizeof(*s->names->names), name_key_cmp)
			    : NULL;
		if (n)
			finding_add(f, s, n->addresses, n->n_addresses);
	}
}

static char *dot_before(char *begin, char *end)
{
	while (end > begin)
		if (*--end == '.')
			return end;
	return NULL;
}

/* STACK, then NAME.STACK with the shortest stack first. @text is changed for a moment */
static void find_plain(struct finding *f, char *text, const char *host)
{
	find_in_stack(f, NULL, text, host);
	for (char *dot = text + strlen(text); !f->exists && (dot = dot_before(text, dot));) {
		*dot = '\0';
		find_in_stack(f, text, dot + 1, host);
		*dot = '.';
	}
}

static bool host_known(const struct table *t, const char *host)
{
	size_t lo = 0, hi = t->n_hosts;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(t->hosts[mid], host) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* what begins with "host." stands right behind it, but for what begins with "host-" */
	for (; lo < t->n_hosts && strncmp(t->hosts[lo], host, strlen(host)) == 0; lo++) {
		char c = t->hosts[lo][strlen(host)];

		if (c == '\0' || c == '.')
			return true;
		if (c > '.')
			break;
	}
	return false;
}

static void find_text(struct finding *f, char *text)
{
	char *at = strrchr(text, '@');

	if (at) {
		*at = '\0';
		if (text[0] && at[1])
			find_plain(f, text, at + 1);
		*at = '@';
		return;
	}
	find_plain(f, text, NULL);
	for (char *dot = text + strlen(text); !f->exists && (dot = dot_before(text, dot));) {
		if (!host_known(f->table, dot + 1))
			continue;
		*dot = '\0';
		find_plain(f, text, dot + 1);
		*dot = '.';
	}
}

/* Length of what stands before the domain; -1: it does not end in it */
static int before_domain(const struct table *t, const char *name)
{
	size_t len = strlen(name), tail = strlen(t->domain);

	if (len < tail || !str_eq(name + len - tail, t->domain))
		return -1;
	if (len == tail)
		return 0;
	return name[len - tail - 1] == '.' ? (int)(len - tail - 1) : -1;
}

bool table_below(const struct table *t, const char *name)
{
	return before_domain(t, name) >= 0;
}

enum find table_find(const struct table *t, const struct viewer *v, const char *name, uint8_t family,
		     struct ip ret[static FIND_MAX], size_t *ret_n)
{
	struct finding f = {.table = t, .viewer = v, .family = family, .ips = ret};
	int before = before_domain(t, name);
	char text[256];

	*ret_n = 0;
	if (before == 0)
		return FIND_NAME;
	if (before < 0 && !strchr(name, '@') && name_is_public(name))
		return FIND_NONE;
	snprintf(text, sizeof(text), "%.*s", before < 0 ? (int)sizeof(text) - 1 : before, name);
	find_text(&f, text);
	if (!f.exists)
		return before < 0 ? FIND_NONE : FIND_ABSENT;
	if (before < 0 && local_knows(t, v, text))
		return FIND_NONE;
	*ret_n = f.n;
	return FIND_NAME;
}

/* --- from address to name --- */

static int kind_rank(enum name_kind k)
{
	switch (k) {
	case NAME_CONTAINER: /* the one that no other container has */
		return 0;
	case NAME_SERVICE:
		return 1;
	case NAME_ALIAS:
	case NAME_KIND_N_:
		break;
	}
	return 2;
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

/* Names are added in the order of preference, so that the first of an address is the one */
static void add_reverse(struct table *t)
{
	for (size_t i = 0; i < t->n_instances; i++) {
		const struct instance *s = &t->instances[i];

		for (size_t j = 0; j < s->names->n_names; j++) {
			const struct name *n = &s->names->names[j];

			for (size_t k = 0; k < n->n_addresses; k++) {
				const struct mapped *m = mapped_of(s, &n->addresses[k]);
				struct ip as;

				if (!address_ok(s, &n->addresses[k]))
					continue;
				reverse_add(t, &n->addresses[k], false, i, j);
				if (!m)
					continue;
				as = translate(m, &n->addresses[k]);
				reverse_add(t, &as, true, i, j);
			}
		}
	}
	sort(t->reverse, t->n_reverse, sizeof(*t->reverse), reverse_cmp);
}

enum find table_find_ip(const struct table *t, const struct viewer *v, const struct ip *ip, char *ret, size_t size)
{
	const struct reverse *best = NULL;
	size_t lo = 0, hi = t->n_reverse;
	int best_rank = 0;

	if (in_any(v->subnets, v->n_subnets, ip))
		return FIND_NONE;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ip_cmp(&t->reverse[mid].ip, ip) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* one address may be several stacks': then it is that of the one which this viewer reaches by it */
	for (; lo < t->n_reverse && ip_cmp(&t->reverse[lo].ip, ip) == 0; lo++) {
		const struct reverse *r = &t->reverse[lo];
		const struct instance *s = &t->instances[r->instance];
		int rank;

		if (!visible(t, v, s))
			continue;
		rank = kind_rank(s->names->names[r->name].kind) + (sees_mapped(v, s) == r->mapped ? 0 : 10);
		if (!best || rank < best_rank) {
			best = r;
			best_rank = rank;
		}
	}
	if (!best)
		return FIND_NONE;
	if (snprintf(ret, size, "%s.%s.%s", t->instances[best->instance].names->names[best->name].name,
		     t->instances[best->instance].stack, t->domain) >= (int)size)
		return FIND_NONE;
	return FIND_NAME;
}

/* --- the whole --- */

struct table *table_new(const struct inventory *inv, const struct names *names, const struct discovery *d,
			const char *domain)
{
	struct table *t = xcalloc(1, sizeof(*t));

	str_copy(t->domain, domain);
	t->instances = xcalloc(inv->n_stacks + names->n_stacks + 1, sizeof(*t->instances));
	add_own(t, inv, d);
	add_peers(t, names, d);
	sort(t->instances, t->n_instances, sizeof(*t->instances), instance_cmp);
	add_hosts(t);
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

static void record_add(const struct instance *s, const char *name, enum name_kind kind, const struct ip *ips, size_t n,
		       struct records *ret)
{
	struct record r = {.kind = kind, .vni = s->names->vni};
	bool mapped = false;

	r.addresses = xcalloc(n + 1, sizeof(*r.addresses));
	r.mapped = xcalloc(n + 1, sizeof(*r.mapped));
	for (size_t i = 0; i < n; i++) {
		if (!address_ok(s, &ips[i]))
			continue;
		mapped |= mapped_of(s, &ips[i]) != NULL;
		r.addresses[r.n_addresses] = ips[i];
		r.mapped[r.n_addresses++] = view(s, true, &ips[i]);
	}
	if (!r.n_addresses || ret->n_records >= LIMIT_NAMES) {
		free(r.addresses);
		free(r.mapped);
		return;
	}
	r.n_mapped = mapped ? r.n_addresses : 0;
	str_copy(r.name, name);
	str_copy(r.stack_id, s->names->stack_id);
	str_copy(r.host_id, s->names->host_id);
	str_copy(r.host_name, s->names->host_name);
	*xgrow(&ret->records, ret->n_records, &ret->cap_records) = r;
	ret->n_records++;
}

static int record_cmp(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	int order;

	if (x->vni != y->vni)
		return x->vni < y->vni ? -1 : 1;
	order = strcmp(x->stack_id, y->stack_id);
	if (!order)
		order = strcmp(x->name, y->name);
	return order ? order : strcmp(x->host_id, y->host_id);
}

void table_records(const struct table *t, struct records *ret)
{
	for (size_t i = 0; i < t->n_instances; i++) {
		const struct instance *s = &t->instances[i];
		char object[LIMIT_NAME + 16];

		record_add(s, "", NAME_SERVICE, s->addresses, s->n_addresses, ret);
		for (size_t j = 0; j < s->names->n_names; j++)
			record_add(s, s->names->names[j].name, s->names->names[j].kind, s->names->names[j].addresses,
				   s->names->names[j].n_addresses, ret);
		if ((i && str_eq(t->instances[i - 1].stack, s->stack)) || !name_is_public(s->stack))
			continue;
		str_print(object, "stack %s", s->names->stack_id);
		problems_add(&ret->problems, object, "",
			     "it is called like a top-level domain: its names are answered only below %s", t->domain);
	}
	sort(ret->records, ret->n_records, sizeof(*ret->records), record_cmp);
}
