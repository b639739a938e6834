/* SPDX-License-Identifier: Apache-2.0
 *
 * Which records a name means; see lookup.h. Names are put together and compared rather than taken apart: names and
 * stacks have dots in them, so that one question can be read in several ways.
 */
#include "cli/lookup.h"

#include <strings.h>

const char *record_name(const struct record *r, char out[static RECORD_NAME_BYTES])
{
	snprintf(out, RECORD_NAME_BYTES, "%s%s%s", r->name, r->name[0] ? "." : "", r->stack_id);
	return out;
}

const struct ip *record_answer(const struct record *r, size_t i)
{
	return r->n_mapped == r->n_addresses ? &r->mapped[i] : &r->addresses[i];
}

const char *record_host(const struct record *r, char out[static 64])
{
	if (r->host_name[0])
		snprintf(out, 64, "%s", r->host_name);
	else
		snprintf(out, 64, "%.8s", r->host_id[0] ? r->host_id : "unknown");
	return out;
}

static void lookup_add(struct lookup *l, const struct record *r)
{
	*(const struct record **)xgrow(&l->v, l->n, &l->cap) = r;
	l->n++;
}

void lookup_done(struct lookup *l)
{
	free(l->v);
	*l = (struct lookup){0};
}

static bool in_scope(const struct record *r, struct scope scope)
{
	for (size_t i = 0; i < scope.n; i++) {
		if (scope.vnis[i] == r->vni)
			return true;
	}
	return scope.n == 0;
}

/* Without the dot at its end and the domain. Return: false when nothing can be called so */
static bool question_trim(const char *domain, const char *question, char out[static QUESTION_BYTES], bool *ret_below)
{
	size_t n = strlen(question), suffix = strlen(domain);

	*ret_below = false;
	if (n >= QUESTION_BYTES)
		return false;
	memcpy(out, question, n + 1);
	if (n && out[n - 1] == '.')
		out[--n] = 0;
	if (suffix && n > suffix + 1 && out[n - suffix - 1] == '.' && strcasecmp(out + n - suffix, domain) == 0) {
		*ret_below = true;
		out[n - suffix - 1] = 0;
	}
	return out[0];
}

/* @question is @name, perhaps with @host, or what stands before its first dot, behind it */
static bool is_called(const char *question, const char *name, const char *host)
{
	size_t n = strlen(name);

	if (strncasecmp(question, name, n) != 0)
		return false;
	if (!question[n])
		return true;
	if (!host[0] || (question[n] != '@' && question[n] != '.'))
		return false;
	size_t brief = strcspn(host, ".");
	question += n + 1;
	return strcasecmp(question, host) == 0 ||
	       (strncasecmp(question, host, brief) == 0 && strlen(question) == brief);
}

void lookup_name(const struct records *r, const char *question, struct scope scope, struct lookup *ret)
{
	char want[QUESTION_BYTES] = "", name[RECORD_NAME_BYTES];

	*ret = (struct lookup){0};
	if (!question_trim(r->domain, question, want, &ret->below_domain))
		return;
	for (size_t i = 0; i < r->n_records; i++) {
		const struct record *one = &r->records[i];
		if (in_scope(one, scope) && is_called(want, record_name(one, name), one->host_name))
			lookup_add(ret, one);
	}
}

void lookup_part(const struct records *r, const char *name, struct lookup *ret)
{
	*ret = (struct lookup){0};
	for (size_t i = 0; i < r->n_records; i++) {
		if (r->records[i].name[0] && strcasecmp(r->records[i].name, name) == 0)
			lookup_add(ret, &r->records[i]);
	}
}

bool record_has(const struct record *r, size_t i, const struct ip *ip)
{
	return ip_cmp(&r->addresses[i], ip) == 0 || (r->n_mapped == r->n_addresses && ip_cmp(&r->mapped[i], ip) == 0);
}

/* A container's own name is no other's; the stack's says least */
static int record_rank(const struct record *r)
{
	if (!r->name[0])
		return 3;
	return r->kind == NAME_CONTAINER ? 0 : r->kind == NAME_SERVICE ? 1 : 2;
}

static void lookup_add_better(struct lookup *l, const struct record *r)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct record *other = l->v[i];
		if (other->vni != r->vni || !str_eq(other->stack_id, r->stack_id) ||
		    !str_eq(other->host_id, r->host_id))
			continue;
		if (record_rank(r) < record_rank(other))
			l->v[i] = r;
		return;
	}
	lookup_add(l, r);
}

void lookup_address(const struct records *r, const struct ip *ip, struct scope scope, struct lookup *ret)
{
	*ret = (struct lookup){0};
	for (size_t i = 0; i < r->n_records; i++) {
		const struct record *one = &r->records[i];
		for (size_t j = 0; in_scope(one, scope) && j < one->n_addresses; j++) {
			if (record_has(one, j, ip))
				lookup_add_better(ret, one);
		}
	}
}

/* --- who asks --- */

static bool stack_mapped(const struct discovery *d, const struct inv_stack *s)
{
	for (size_t i = 0; i < d->self.n_stacks; i++) {
		if (d->self.stacks[i].vni == s->vni && str_eq(d->self.stacks[i].stack_id, s->stack_id))
			return d->self.stacks[i].n_mapped;
	}
	return false;
}

static const struct inv_container *container_find(const struct inv_stack *s, const char *id)
{
	for (size_t i = 0; i < s->n_containers; i++) {
		if (str_eq(s->containers[i].id, id))
			return &s->containers[i];
	}
	return NULL;
}

static bool container_on(const struct inv_container *c, const char *network_id)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		if (str_eq(c->interfaces[i].network_id, network_id))
			return true;
	}
	return false;
}

void asker_make(const struct record_container *c, const struct inventory *inv, const struct discovery *d,
		struct asker *ret)
{
	*ret = (struct asker){.container = c};
	for (size_t i = 0; i < inv->n_stacks; i++) {
		const struct inv_stack *s = &inv->stacks[i];
		const struct inv_container *here = container_find(s, c->id);
		if (!here || ret->n_stacks == ASKER_MAX)
			continue;
		ret->elsewhere = ret->elsewhere || here->elsewhere;
		ret->stacks[ret->n_stacks++] = (struct asker_stack){s->stack_id, s->vni, stack_mapped(d, s)};
		for (size_t j = 0; j < s->n_networks; j++) {
			const struct inv_network *n = &s->networks[j];
			for (size_t k = 0; container_on(here, n->id) && k < n->n_subnets; k++) {
				if (ret->n_subnets < ASKER_MAX)
					ret->subnets[ret->n_subnets++] = n->subnets[k];
			}
		}
	}
}

bool asker_is_of(const struct asker *a, const struct record *r, const struct discovery *d)
{
	for (size_t i = 0; i < a->n_stacks; i++) {
		if (a->stacks[i].vni == r->vni && str_eq(a->stacks[i].stack_id, r->stack_id))
			return str_eq(r->host_id, d->self.host_id);
	}
	return false;
}

/* MAPPING=always announces mapped prefixes only: then no way leads to the true address */
static bool true_announced(const struct record *r, const struct ip *ip, const struct discovery *d)
{
	for (size_t i = 0; i < d->n_peers; i++) {
		const struct peer *p = &d->peers[i];
		if (p->vni == r->vni && str_eq(p->host_id, r->host_id) && str_eq(p->stack_id, r->stack_id))
			return prefixes_have_ip(p->subnets, p->n_subnets, ip);
	}
	return true;
}

static bool is_refused(const struct record *r, const struct ip *ip, const struct router_state *router)
{
	for (size_t i = 0; i < router->n_refused; i++) {
		const struct rs_refused *no = &router->refused[i];
		if (no->vni == r->vni && str_eq(no->host_id, r->host_id) && str_eq(no->stack_id, r->stack_id) &&
		    prefix_has_ip(&no->prefix, ip))
			return true;
	}
	return false;
}

/* The rule of src/names/table.c */
enum seen record_seen(const struct record *r, size_t i, const struct asker *a, const struct discovery *d,
		      const struct router_state *router)
{
	bool has_mapped = r->n_mapped == r->n_addresses && ip_cmp(&r->mapped[i], &r->addresses[i]) != 0, mapped = !a;

	if (a && asker_is_of(a, r, d))
		return SEEN_TRUE;
	for (size_t j = 0; a && j < a->n_stacks; j++)
		mapped = mapped || (a->stacks[j].vni == r->vni && a->stacks[j].mapped);
	mapped = has_mapped && (mapped || !true_announced(r, &r->addresses[i], d));
	const struct ip *ip = mapped ? &r->mapped[i] : &r->addresses[i];
	if (a && (prefixes_have_ip(a->subnets, a->n_subnets, ip) || is_refused(r, ip, router)))
		return SEEN_NOT;
	return mapped ? SEEN_MAPPED : SEEN_TRUE;
}

/* --- what names leaves to others --- */

/* Is @c called @question by one of its names, each with @tail ("" or ".STACK")? */
static bool container_called(const struct inv_container *c, const char *network_id, const char *tail,
			     const char *question, const char *host)
{
	char name[2 * LIMIT_NAME + 2];

	snprintf(name, sizeof(name), "%s%s", c->name, tail);
	if (is_called(question, name, host))
		return true;
	snprintf(name, sizeof(name), "%s%s", c->service, tail);
	if (c->service[0] && is_called(question, name, host))
		return true;
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct inv_interface *f = &c->interfaces[i];
		for (size_t j = 0; (!network_id || str_eq(f->network_id, network_id)) && j < f->n_aliases; j++) {
			snprintf(name, sizeof(name), "%s%s", f->aliases[j], tail);
			if (is_called(question, name, host))
				return true;
		}
	}
	return false;
}

size_t lookup_unhealthy(const struct inventory *inv, const char *domain, const char *host_name, const char *question,
			struct scope scope, const struct inv_container **ret, size_t max)
{
	char want[QUESTION_BYTES] = "", tail[LIMIT_NAME + 2];
	size_t n = 0;
	bool below;

	if (!question_trim(domain, question, want, &below))
		return 0;
	for (size_t i = 0; i < inv->n_stacks; i++) {
		const struct inv_stack *s = &inv->stacks[i];
		struct record vni = {.vni = s->vni};
		if (!in_scope(&vni, scope))
			continue;
		snprintf(tail, sizeof(tail), ".%s", s->stack_id);
		for (size_t j = 0; j < s->n_containers && n < max; j++) {
			const struct inv_container *c = &s->containers[j];
			if ((c->health == HEALTH_STARTING || c->health == HEALTH_UNHEALTHY) &&
			    container_called(c, NULL, tail, want, host_name))
				ret[n++] = c;
		}
	}
	return n;
}

static void addresses_put(const struct inv_container *c, const char *network_id, struct buf *out)
{
	char ip[IP_STRLEN];

	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct inv_interface *f = &c->interfaces[i];
		for (size_t j = 0; str_eq(f->network_id, network_id) && j < f->n_addresses; j++)
			buf_printf(out, "%s%s", out->len ? ", " : "", ip_format(&f->addresses[j], ip));
	}
}

bool lookup_docker(const struct inventory *inv, const char *container_id, const char *question, struct buf *ret_ips)
{
	bool found = false;

	for (size_t i = 0; i < inv->n_stacks; i++) {
		const struct inv_stack *s = &inv->stacks[i];
		const struct inv_container *self = container_find(s, container_id);
		for (size_t j = 0; self && j < self->n_interfaces; j++) {
			const char *network = self->interfaces[j].network_id;
			for (size_t k = 0; k < s->n_containers; k++) {
				const struct inv_container *c = &s->containers[k];
				if (!container_on(c, network) || !container_called(c, network, "", question, ""))
					continue;
				found = true;
				addresses_put(c, network, ret_ips);
			}
		}
	}
	return found;
}

static bool nearest_add(char list[static NEAREST_MAX][RECORD_NAME_BYTES], size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++) {
		if (strcasecmp(list[i], name) == 0)
			return false;
	}
	if (*n < NEAREST_MAX)
		snprintf(list[(*n)++], RECORD_NAME_BYTES, "%s", name);
	return true;
}

/* The slips: the nearest, then the nearest of the others */
static void nearest_slips(const struct records *r, const char *want, struct scope scope,
			  char ret[static NEAREST_MAX][RECORD_NAME_BYTES], size_t *n)
{
	const char **words = xcalloc(r->n_records + 1, sizeof(*words));
	char *names = xcalloc(r->n_records + 1, RECORD_NAME_BYTES);
	size_t n_words = 0;

	for (size_t i = 0; i < r->n_records; i++) {
		if (in_scope(&r->records[i], scope))
			words[n_words++] = record_name(&r->records[i], names + i * RECORD_NAME_BYTES);
	}
	for (int turn = 0; turn < 3; turn++) {
		const char *word = str_nearest(want, words);
		if (!word)
			break;
		nearest_add(ret, n, word);
		size_t kept = 0;
		for (size_t i = 0; i < n_words; i++) {
			if (!str_eq(words[i], word))
				words[kept++] = words[i];
		}
		for (size_t i = kept; i < n_words; i++)
			words[i] = NULL;
		n_words = kept;
	}
	free(names);
	free(words);
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && strcasecmp(s + len - n, end) == 0;
}

size_t lookup_nearest(const struct records *r, const char *question, struct scope scope,
		      char ret[static NEAREST_MAX][RECORD_NAME_BYTES])
{
	char want[QUESTION_BYTES] = "", name[RECORD_NAME_BYTES];
	size_t n = 0;
	bool below;

	if (!question_trim(r->domain, question, want, &below))
		return 0;
	nearest_slips(r, want, scope, ret, &n);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < r->n_records && n < NEAREST_MAX; i++) {
			const struct record *one = &r->records[i];
			size_t part = strlen(one->name);
			bool same_name = part && strncasecmp(want, one->name, part) == 0 &&
					 (!want[part] || want[part] == '.' || want[part] == '@');
			bool same_stack = ends_with(want, one->stack_id);
			if (in_scope(one, scope) && (pass == 0 ? same_name : same_stack))
				nearest_add(ret, &n, record_name(one, name));
		}
	}
	return n;
}
