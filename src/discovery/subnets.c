/* SPDX-License-Identifier: Apache-2.0
 *
 * Which prefixes a peer may have: as its subnets, as what those are mapped to, and as what its host avoids. What is
 * refused for our own networks' sake is remembered: they are why the peer's stack has to be mapped.
 */
#include "discovery/core_state.h"
#include "discovery/mapping.h"
#include "state/peer_text.h"

#define V4(a, b, c, d, l)                  \
	{                                  \
		{AF_INET, {a, b, c, d}}, l \
	}
#define V6(a, b, l)                   \
	{                             \
		{AF_INET6, {a, b}}, l \
	}

/* What no stack can have as its subnet, or part of it */
static const struct {
	struct prefix prefix;
	const char *why;
} subnets_bad[] = {
	{V4(0, 0, 0, 0, 8), "holds unspecified addresses"},
	{V4(127, 0, 0, 0, 8), "holds loopback addresses"},
	{V4(169, 254, 0, 0, 16), "holds link-local addresses"},
	{V4(224, 0, 0, 0, 4), "holds multicast addresses"},
	{V4(255, 255, 255, 255, 32), "holds the broadcast address"},
	{V6(0x00, 0x00, 16), "holds loopback, unspecified or mapped addresses"},
	{V6(0xfe, 0x80, 10), "holds link-local addresses"},
	{V6(0xff, 0x00, 8), "holds multicast addresses"},
};

/* --- why not --- */

static const char *refusal_always(const struct prefix *p, char *text, size_t size)
{
	if (p->len < (p->ip.family == AF_INET ? 8 : 16)) {
		snprintf(text, size, "shorter than %s", p->ip.family == AF_INET ? "/8" : "/16");
		return text;
	}
	for (size_t i = 0; i < ARRAY_LEN(subnets_bad); i++) {
		if (prefix_overlaps(&subnets_bad[i].prefix, p))
			return subnets_bad[i].why;
	}
	return NULL;
}

/* A mapped prefix may lie in the half of the pool that they are from, and be no larger than one can be there */
static const char *refusal_pool(const struct core *core, const struct prefix *p, bool mapped, char *text, size_t size)
{
	char s[PREFIX_STRLEN];

	for (size_t i = 0; i < ARRAY_LEN(core->config.reserved); i++) {
		const struct prefix *pool = &core->config.reserved[i];
		struct prefix half = mapping_pool(pool);

		if (pool->len == 0 || !prefix_overlaps(pool, p) ||
		    (mapped && p->len > half.len && prefix_contains(&half, p)))
			continue;
		snprintf(text, size, "overlaps %s of SHADOW_POOL", prefix_format(pool, s));
		return text;
	}
	return NULL;
}

static const char *refusal_own(const struct core *core, const struct prefix *p, char *text, size_t size)
{
	char s[PREFIX_STRLEN];

	for (size_t i = 0; i < core->n_underlay; i++) {
		if (prefix_overlaps(&core->underlay[i], p)) {
			snprintf(text, size, "overlaps our own network %s", prefix_format(&core->underlay[i], s));
			return text;
		}
	}
	return NULL;
}

/* --- the lists of a peer --- */

struct sieve {
	struct core *core;
	int64_t now_us;
	struct peer *peer;
	bool say;
	struct prefix refused[2 * LIMIT_SUBNETS]; /* for our own networks' sake */
	size_t n_refused;
};

static void refused_add(struct sieve *s, const struct prefix *p)
{
	if (s->n_refused < ARRAY_LEN(s->refused))
		s->refused[s->n_refused++] = *p;
}

static void refused_tell(struct sieve *s, const struct prefix *p, const char *what, const char *why)
{
	struct endpoint from = {.ip = s->peer->host_ip};
	autofree char *who = peer_text(s->peer);
	char text[PREFIX_STRLEN];

	prefix_format(p, text);
	if (s->say)
		core_refuse(s->core, s->now_us, COUNT_SUBNET, &from, "%s \"%s\" of %s: %s", what, text, who, why);
	core_note(s->core, s->now_us, who, "Give that stack another subnet.", "%s %s is refused: %s", what, text, why);
}

/* Nothing is wrong any more: that subnet has a mapped prefix */
static void refused_untell(struct sieve *s, const struct prefix *p, const char *why)
{
	autofree char *who = peer_text(s->peer);
	char text[PREFIX_STRLEN];

	core_note_end(s->core, who, "subnet %s is refused: %s", prefix_format(p, text), why);
}

static bool is_mapped(const struct mapped *m, size_t n, const struct prefix *subnet)
{
	for (size_t i = 0; i < n; i++) {
		if (prefix_cmp(&m[i].subnet, subnet) == 0)
			return true;
	}
	return false;
}

/* Keep what may stay. Return: how many did */
static size_t mapped_filter(struct sieve *s, struct mapped *m, size_t n)
{
	char text[160];
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		const struct prefix *as = &m[i].as;
		const char *why = refusal_always(&m[i].subnet, text, sizeof(text)), *own = NULL;

		if (!why)
			why = refusal_always(as, text, sizeof(text));
		if (!why)
			why = refusal_pool(s->core, as, true, text, sizeof(text));
		if (!why)
			why = own = refusal_own(s->core, as, text, sizeof(text));
		if (own)
			refused_add(s, as);
		if (!why && prefix_has_ip(as, &s->peer->host_ip))
			why = "holds the peer's own host address";
		for (size_t j = 0; !why && j < kept; j++) {
			if (prefix_overlaps(&m[j].as, as))
				why = "two subnets are mapped to the same";
		}
		if (why)
			refused_tell(s, as, "mapped subnet", why);
		else
			m[kept++] = m[i];
	}
	return kept;
}

static size_t subnets_filter(struct sieve *s, struct prefix *p, size_t n, const struct mapped *mapped, size_t n_mapped)
{
	char text[160];
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		const char *why = refusal_always(&p[i], text, sizeof(text)), *own = NULL;

		if (!why)
			why = refusal_pool(s->core, &p[i], false, text, sizeof(text));
		if (!why)
			why = own = refusal_own(s->core, &p[i], text, sizeof(text));
		if (own)
			refused_add(s, &p[i]);
		if (!why && prefix_has_ip(&p[i], &s->peer->host_ip))
			why = "holds the peer's own host address";
		if (!why)
			p[kept++] = p[i];
		else if (own && is_mapped(mapped, n_mapped, &p[i]))
			refused_untell(s, &p[i], why);
		else
			refused_tell(s, &p[i], "subnet", why);
	}
	return kept;
}

/* Who avoids a whole half of the pool says nothing about where to go: no stack has its subnets there */
static const char *refusal_half(const struct core *core, const struct prefix *p, char *text, size_t size)
{
	char s[PREFIX_STRLEN];

	for (size_t i = 0; i < ARRAY_LEN(core->config.reserved); i++) {
		const struct prefix *pool = &core->config.reserved[i];

		if (pool->len == 0 || !prefix_contains(pool, p) || p->len > mapping_pool(pool).len)
			continue;
		snprintf(text, size, "a whole half of %s of SHADOW_POOL", prefix_format(pool, s));
		return text;
	}
	return NULL;
}

static size_t avoid_filter(struct sieve *s, struct prefix *p, size_t n)
{
	struct endpoint from = {.ip = s->peer->host_ip};
	char text[160], prefix[PREFIX_STRLEN];
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		const char *why = refusal_always(&p[i], text, sizeof(text));

		if (!why)
			why = refusal_half(s->core, &p[i], text, sizeof(text));
		if (!why)
			p[kept++] = p[i];
		else if (s->say)
			core_refuse(s->core, s->now_us, COUNT_SUBNET, &from, "avoid \"%s\": %s",
				    prefix_format(&p[i], prefix), why);
	}
	return kept;
}

/* --- taking them over --- */

static bool prefixes_set(struct prefix **v, uint16_t *n, const struct prefix *new, size_t n_new)
{
	bool same = *n == n_new;

	for (size_t i = 0; same && i < n_new; i++)
		same = prefix_cmp(&(*v)[i], &new[i]) == 0;
	if (same)
		return false;
	free(*v);
	*v = n_new ? xmemdup(new, n_new * sizeof(*new)) : NULL;
	*n = (uint16_t)n_new;
	return true;
}

static bool mapped_set(struct peer *peer, const struct mapped *new, size_t n_new)
{
	bool same = peer->n_mapped == n_new;

	for (size_t i = 0; same && i < n_new; i++)
		same = prefix_cmp(&peer->mapped[i].subnet, &new[i].subnet) == 0 &&
		       prefix_cmp(&peer->mapped[i].as, &new[i].as) == 0;
	if (same)
		return false;
	free(peer->mapped);
	peer->mapped = n_new ? xmemdup(new, n_new * sizeof(*new)) : NULL;
	peer->n_mapped = (uint16_t)n_new;
	return true;
}

/* @again: it is what is there already; of what was refused before, only that is known */
static bool lists_take(struct core *core, int64_t now_us, struct entry *e, struct wire_msg *m, bool say, bool again)
{
	struct peer *peer = &e->peer;
	struct sieve s = {.core = core, .now_us = now_us, .peer = peer, .say = say};
	char text[160];
	bool changed;

	for (size_t i = 0; again && i < e->n_refused; i++) {
		if (refusal_own(core, &e->refused[i], text, sizeof(text)))
			refused_add(&s, &e->refused[i]);
	}
	m->n_mapped = mapped_filter(&s, m->mapped, mapped_tidy(m->mapped, m->n_mapped));
	m->n_subnets = prefixes_tidy(m->subnets, m->n_subnets);
	m->n_subnets = subnets_filter(&s, m->subnets, m->n_subnets, m->mapped, m->n_mapped);
	m->n_avoid = avoid_filter(&s, m->avoid, prefixes_tidy(m->avoid, m->n_avoid));
	changed = prefixes_set(&peer->subnets, &peer->n_subnets, m->subnets, m->n_subnets);
	changed = mapped_set(peer, m->mapped, m->n_mapped) || changed;
	changed = prefixes_set(&peer->avoid, &peer->n_avoid, m->avoid, m->n_avoid) || changed;
	if (prefixes_set(&e->refused, &e->n_refused, s.refused, s.n_refused) || changed)
		clash_changed(core);
	return changed;
}

bool groups_take(struct peer *peer, struct wire_msg *m)
{
	m->n_groups = groups_tidy(m->groups, m->n_groups);
	return prefixes_set(&peer->groups, &peer->n_groups, m->groups, m->n_groups);
}

bool subnets_take(struct core *core, int64_t now_us, struct entry *e, struct wire_msg *m, bool say)
{
	return lists_take(core, now_us, e, m, say, false);
}

void subnets_copy(struct wire_msg *m, const struct peer *peer)
{
	m->n_subnets = peer->n_subnets;
	m->n_mapped = peer->n_mapped;
	m->n_avoid = peer->n_avoid;
	m->n_groups = peer->n_groups;
	if (m->n_subnets)
		memcpy(m->subnets, peer->subnets, m->n_subnets * sizeof(m->subnets[0]));
	if (m->n_mapped)
		memcpy(m->mapped, peer->mapped, m->n_mapped * sizeof(m->mapped[0]));
	if (m->n_avoid)
		memcpy(m->avoid, peer->avoid, m->n_avoid * sizeof(m->avoid[0]));
	if (m->n_groups)
		memcpy(m->groups, peer->groups, m->n_groups * sizeof(m->groups[0]));
}

/* All that a peer said is looked at again; what was refused before may come with the next announcement */
void subnets_underlay(struct core *core, int64_t now_us)
{
	for (size_t i = 0; i < core->peers.n_entries; i++) {
		struct entry *e = &core->peers.entries[i];
		struct wire_msg m = {0};

		if (!e->used || e->gone)
			continue;
		subnets_copy(&m, &e->peer);
		if (lists_take(core, now_us, e, &m, true, true))
			core->changed = true;
	}
}
