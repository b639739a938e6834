/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking the table: from names to addresses as the viewer is to use them, from addresses to names, and all of it for
 * people.
 */
#include "names/public.h"
#include "names/table_parts.h"

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

static bool member_of(const struct viewer *v, const struct instance *s)
{
	for (size_t i = 0; s->own && i < v->n_stacks; i++)
		if (v->stacks[i].vni == s->names->vni && str_eq(v->stacks[i].stack_id, s->names->stack_id))
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
	for (size_t i = 0; i < v->n_stacks; i++)
		mapped |= v->stacks[i].vni == s->names->vni && v->stacks[i].mapped;
	return mapped && !member_of(v, s);
}

/* An address of @s as @v is to use it. A true one that is not announced leads nowhere, whoever asks */
static struct ip view(const struct instance *s, bool mapped, const struct ip *ip)
{
	const struct mapped *m = mapped_find(s->mapped, s->n_mapped, ip);

	if (m && (mapped || (!s->own && !prefixes_have_ip(s->subnets, s->n_subnets, ip))))
		return prefix_translate(&m->as, ip);
	return *ip;
}

static bool refused(const struct instance *s, const struct ip *ip)
{
	for (size_t i = 0; i < s->n_refused; i++)
		if (prefix_has_ip(&s->refused[i].prefix, ip))
			return true;
	return false;
}

/*
 * Would @ip, an address of @s as view() has it, lead @v to somebody else, or nowhere? It does where the viewer is
 * itself in a network with that address: what it sends stays there. So no answer rather than a wrong one.
 */
static bool misleads(const struct table *t, const struct viewer *v, const struct instance *s, const struct ip *ip)
{
	if (v->id)
		return !member_of(v, s) && (prefixes_have_ip(v->subnets, v->n_subnets, ip) || refused(s, ip));
	if (s->own) /* the host has a bridge there */
		return false;
	for (size_t i = 0; i < t->n_subnets; i++)
		if (prefix_has_ip(t->subnets[i], ip))
			return true;
	return refused(s, ip);
}

/* Does Docker's own resolver know it, or may it? Names of theirs have no dots, but for odd ones */
static bool local_knows(const struct table *t, const struct viewer *v, const char *name)
{
	if (v->elsewhere && !strpbrk(name, ".@"))
		return true;
	for (size_t i = 0; i < v->n_networks; i++) {
		uint64_t key = name_hash(name, v->networks[i]);

		if (t->n_local && bsearch(&key, t->local, t->n_local, sizeof(key), name_hash_cmp))
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

		if (!instance_may_have(s, &ips[i]))
			continue;
		f->exists = true;
		if (f->family && ips[i].family != f->family)
			continue;
		ip = view(s, mapped, &ips[i]);
		if (misleads(f->table, f->viewer, s, &ip))
			continue;
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

enum find table_find_ip(const struct table *t, const struct viewer *v, const struct ip *ip, char *ret, size_t size)
{
	const struct reverse *best = NULL;
	size_t lo = 0, hi = t->n_reverse;
	int best_rank = 0;

	if (prefixes_have_ip(v->subnets, v->n_subnets, ip))
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

		if (!visible(t, v, s) || misleads(t, v, s, ip))
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

static void record_add(const struct instance *s, const char *name, enum name_kind kind, const struct ip *ips, size_t n,
		       struct records *ret)
{
	struct record r = {.kind = kind, .vni = s->names->vni};
	bool mapped = false;

	r.addresses = xcalloc(n + 1, sizeof(*r.addresses));
	r.mapped = xcalloc(n + 1, sizeof(*r.mapped));
	for (size_t i = 0; i < n; i++) {
		struct ip as = view(s, true, &ips[i]);

		/* our own is refused to others only, within the stack it is as ever */
		if (!instance_may_have(s, &ips[i]) || (!s->own && refused(s, &as)))
			continue;
		mapped |= mapped_find(s->mapped, s->n_mapped, &ips[i]) != NULL;
		r.addresses[r.n_addresses] = ips[i];
		r.mapped[r.n_addresses++] = as;
	}
	if (!r.n_addresses || ret->n_records >= (size_t)2 * LIMIT_NAMES) {
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

/* Once for all hosts that have a stack of that name */
static void tell_public(const struct table *t, const struct instance *s, struct records *ret)
{
	const char *host = s->names->host_name[0] ? s->names->host_name : s->names->host_id;
	autofree char *object = xasprintf("stack %s", s->names->stack_id), *cure = NULL;
	const char *name = s->names->n_names ? s->names->names[0].name : NULL;

	for (size_t i = 0; i < s->names->n_names; i++)
		if (s->names->names[i].kind == NAME_SERVICE) {
			name = s->names->names[i].name;
			break;
		}
	cure = xasprintf("Ask %s%s%s.%s, or call it otherwise: docker-router.stack on its network%s%s.",
			 name ? name : "", name ? "." : "", s->stack, t->domain, s->own ? "" : " on ",
			 s->own ? "" : host);
	problems_add(&ret->problems, object, cure,
		     "on %s, is called like a top-level domain: its names are answered only below %s",
		     s->own ? "this host" : host, t->domain);
}

void table_records(const struct table *t, struct records *ret)
{
	for (size_t i = 0; i < t->n_instances; i++) {
		const struct instance *s = &t->instances[i];

		record_add(s, "", NAME_SERVICE, s->addresses,
			   s->n_addresses < LIMIT_NAME_ADDRESSES ? s->n_addresses : LIMIT_NAME_ADDRESSES, ret);
		for (size_t j = 0; j < s->names->n_names; j++)
			record_add(s, s->names->names[j].name, s->names->names[j].kind, s->names->names[j].addresses,
				   s->names->names[j].n_addresses, ret);
		if ((!i || !str_eq(t->instances[i - 1].stack, s->stack)) && name_is_public(s->stack))
			tell_public(t, s, ret);
	}
	if (ret->n_records > 1)
		qsort(ret->records, ret->n_records, sizeof(*ret->records), record_cmp);
}
