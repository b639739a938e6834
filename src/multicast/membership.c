/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups and legs: finds the state that a record is for, keeps the bounds, and tells what changed. A group that changed
 * waits in a list; its actions are worked out when they are taken.
 */
#include "multicast/membership_state.h"

#define BUCKETS 1024

const char *const membership_count_names[MEMBERSHIP_COUNT_N_] = {
	"records", "refused", "local", "unlabelled", "host_full", "leg_full", "full", "sources",
};

struct leg {
	struct membership_leg conf; /* .ranges is ours */
	struct mtimes times;
	bool querier[2]; /* IPv4, IPv6 */
	size_t entries;
};

struct ask {
	uint32_t leg;
	struct membership_filter *filter; /* by filter_dup() */
};

struct group {
	struct ip ip;
	struct mentry *entries;
	size_t n, cap;
	struct ask *asks;
	size_t n_asks, cap_asks;
	struct group *next; /* in its bucket */
	struct group *next_dirty;
	bool dirty, changed;
	size_t step; /* how far its actions have been taken */
};

struct membership {
	struct leg *legs;
	size_t n_legs, cap_legs;
	struct group *buckets[BUCKETS];
	size_t n_entries, n_sources;
	struct group *dirty, **dirty_end;
	int64_t now, due;
	uint64_t counts[MEMBERSHIP_COUNT_N_];
	/* what the last action borrows */
	struct membership_filter said;
	struct ip asked[GMP_SOURCES];
};

struct membership *membership_new(void)
{
	struct membership *m = xcalloc(1, sizeof(*m));

	m->dirty_end = &m->dirty;
	m->due = INT64_MAX;
	return m;
}

static void group_free(struct group *g)
{
	for (size_t i = 0; i < g->n; i++)
		mentry_done(&g->entries[i]);
	for (size_t i = 0; i < g->n_asks; i++)
		free(g->asks[i].filter);
	free(g->entries);
	free(g->asks);
	free(g);
}

void membership_free(struct membership *m)
{
	if (!m)
		return;
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct group *g = m->buckets[b], *next; g; g = next) {
			next = g->next;
			group_free(g);
		}
	for (size_t i = 0; i < m->n_legs; i++)
		free((void *)m->legs[i].conf.ranges);
	free(m->legs);
	free(m);
}

/* --- finding --- */

static struct leg *leg_find(const struct membership *m, uint32_t id)
{
	for (size_t i = 0; i < m->n_legs; i++)
		if (m->legs[i].conf.id == id)
			return &m->legs[i];
	return NULL;
}

static bool leg_permits(const struct leg *l, const struct ip *group)
{
	return !l->conf.n_ranges || prefixes_have_ip(l->conf.ranges, l->conf.n_ranges, group);
}

static size_t bucket(const struct ip *ip)
{
	return hash64(ip->b, ip_size(ip->family), ip->family) % BUCKETS;
}

static struct group *group_find(const struct membership *m, const struct ip *ip)
{
	for (struct group *g = m->buckets[bucket(ip)]; g; g = g->next)
		if (!ip_cmp(&g->ip, ip))
			return g;
	return NULL;
}

static struct mentry *entry_find(const struct group *g, uint32_t leg)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->entries[i].leg == leg)
			return &g->entries[i];
	return NULL;
}

static struct ask *ask_find(const struct group *g, uint32_t leg)
{
	for (size_t i = 0; i < g->n_asks; i++)
		if (g->asks[i].leg == leg)
			return &g->asks[i];
	return NULL;
}

static void ask_remove(struct group *g, struct ask *a)
{
	free(a->filter);
	*a = g->asks[--g->n_asks];
}

static void group_dirty(struct membership *m, struct group *g, bool changed)
{
	g->changed |= changed;
	g->step = 0;
	if (g->dirty)
		return;
	g->dirty = true;
	g->next_dirty = NULL;
	*m->dirty_end = g;
	m->dirty_end = &g->next_dirty;
}

static void entry_remove(struct membership *m, struct group *g, struct mentry *e)
{
	struct leg *l = leg_find(m, e->leg);

	if (l)
		l->entries--;
	m->n_entries--;
	m->n_sources -= e->n;
	mentry_done(e);
	*e = g->entries[--g->n];
}

/* --- legs --- */

static struct mtimes times_of(const struct membership_timing *t)
{
	uint8_t robustness = t->robustness ? t->robustness : 2;
	int64_t interval = t->interval_us ? t->interval_us : 125 * USEC_PER_SEC;
	int64_t response = t->response_us ? t->response_us : 10 * USEC_PER_SEC;

	return (struct mtimes){
		.member_us = robustness * interval + response,
		.last_us = t->last_member_us ? t->last_member_us : USEC_PER_SEC,
		.last_count = robustness,
	};
}

static void all_dirty(struct membership *m)
{
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct group *g = m->buckets[b]; g; g = g->next)
			group_dirty(m, g, true);
}

/* What a leg may not have any more goes */
static void entries_drop(struct membership *m, const struct leg *l, bool all)
{
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct group *g = m->buckets[b]; g; g = g->next) {
			struct mentry *e = entry_find(g, l->conf.id);

			if (e && (all || !leg_permits(l, &g->ip)))
				entry_remove(m, g, e);
			struct ask *a = all ? ask_find(g, l->conf.id) : NULL;

			if (a)
				ask_remove(g, a);
		}
}

int membership_leg_set(struct membership *m, mono_t now, const struct membership_leg *leg)
{
	size_t n = leg->n_ranges > MEMBERSHIP_RANGES ? MEMBERSHIP_RANGES : leg->n_ranges;
	struct leg *l = leg_find(m, leg->id);

	if (!leg->id)
		return -EINVAL;
	if (!l) {
		if (m->n_legs >= MEMBERSHIP_LEGS)
			return -ENOSPC;
		l = xgrow(&m->legs, m->n_legs, &m->cap_legs);
		m->n_legs++;
	}
	m->now = now.us;
	free((void *)l->conf.ranges);
	l->conf = *leg;
	l->conf.n_ranges = n;
	l->conf.ranges = n ? xmemdup(leg->ranges, n * sizeof(*leg->ranges)) : NULL;
	l->times = times_of(&leg->timing);
	entries_drop(m, l, false);
	all_dirty(m);
	return 0;
}

void membership_leg_remove(struct membership *m, mono_t now, uint32_t leg)
{
	struct leg *l = leg_find(m, leg);

	if (!l)
		return;
	m->now = now.us;
	entries_drop(m, l, true);
	free((void *)l->conf.ranges);
	*l = m->legs[--m->n_legs];
	all_dirty(m);
}

void membership_querier(struct membership *m, mono_t now, uint32_t leg, uint8_t family, bool us)
{
	struct leg *l = leg_find(m, leg);

	if (l)
		l->querier[family == AF_INET6] = us;
}

/* --- entries and their bounds --- */

/* How many groups did this host bring to the leg? */
static size_t host_groups(const struct membership *m, uint32_t leg, const struct ip *host)
{
	size_t n = 0;

	for (size_t b = 0; b < BUCKETS; b++)
		for (const struct group *g = m->buckets[b]; g; g = g->next) {
			const struct mentry *e = entry_find(g, leg);

			n += e && e->reported && !ip_cmp(&e->reporter, host);
		}
	return n;
}

/* The entry, made when there is room. Return: NULL: no room, counted */
static struct mentry *entry_get(struct membership *m, struct leg *l, const struct ip *ip, struct group **ret_group)
{
	struct group *g = group_find(m, ip);
	struct mentry *e = g ? entry_find(g, l->conf.id) : NULL;

	if (!e && (l->entries >= MEMBERSHIP_GROUPS_PER_LEG || m->n_entries >= MEMBERSHIP_GROUPS)) {
		m->counts[l->entries >= MEMBERSHIP_GROUPS_PER_LEG ? MEMBERSHIP_COUNT_LEG_FULL
								  : MEMBERSHIP_COUNT_FULL]++;
		return NULL;
	}
	if (!g) {
		size_t b = bucket(ip);

		g = xcalloc(1, sizeof(*g));
		g->ip = *ip;
		g->next = m->buckets[b];
		m->buckets[b] = g;
	}
	if (!e) {
		e = xgrow(&g->entries, g->n, &g->cap);
		g->n++;
		e->leg = l->conf.id;
		l->entries++;
		m->n_entries++;
	}
	*ret_group = g;
	return e;
}

static void due_note(struct membership *m, const struct mentry *e)
{
	int64_t due = mentry_due(e);

	if (due < m->due)
		m->due = due;
}

/* One record. @host_n: groups of this host, SIZE_MAX: not counted yet */
static void record(struct membership *m, struct leg *l, const struct gmp_message *message, const struct gmp_record *r,
		   size_t *host_n)
{
	size_t room = MEMBERSHIP_SOURCES - m->n_sources, before;
	struct group *g = group_find(m, &r->group);
	struct mentry *e = g ? entry_find(g, l->conf.id) : NULL;
	bool asks_none =
		r->type == GMP_BLOCK ||
		((r->type == GMP_TO_INCLUDE || r->type == GMP_IS_INCLUDE || r->type == GMP_ALLOW) && !r->n_sources);

	m->counts[MEMBERSHIP_COUNT_RECORDS]++;
	if (gmp_group_refused(&r->group)) {
		m->counts[MEMBERSHIP_COUNT_REFUSED]++;
		return;
	}
	if (gmp_group_is_local(&r->group)) {
		m->counts[MEMBERSHIP_COUNT_LOCAL]++;
		return;
	}
	if (!leg_permits(l, &r->group)) {
		m->counts[MEMBERSHIP_COUNT_UNLABELLED]++;
		return;
	}
	if (!e || !e->reported) {
		if (asks_none)
			return; /* nobody listened, and nobody does now */
		if (*host_n == SIZE_MAX)
			*host_n = host_groups(m, l->conf.id, &message->from);
		if (*host_n >= MEMBERSHIP_GROUPS_PER_HOST) {
			m->counts[MEMBERSHIP_COUNT_HOST_FULL]++;
			return;
		}
		e = entry_get(m, l, &r->group, &g);
		if (!e)
			return;
		++*host_n;
		if (!e->reported)
			e->reporter = message->from;
	}
	before = e->n;
	bool changed = mentry_record(e, m->now, &l->times, l->querier[message->family == AF_INET6], message->version, r,
				     &room, &m->counts[MEMBERSHIP_COUNT_SOURCES]);
	m->n_sources += e->n - before;
	due_note(m, e);
	if (changed || (e->ask_at && e->ask_at <= m->now) || mentry_is_empty(e))
		group_dirty(m, g, changed);
}

/* Somebody else's query about one group. General ones say nothing about timers */
static void query_heard(struct membership *m, const struct leg *l, const struct gmp_message *q)
{
	struct group *g = ip_is_none(&q->group) ? NULL : group_find(m, &q->group);
	struct mentry *e = g ? entry_find(g, l->conf.id) : NULL;
	int64_t last = q->max_response_us * (q->robustness ? q->robustness : l->times.last_count);

	if (!e || l->querier[q->family == AF_INET6])
		return;
	/* at least a second: a hostile query of 1 ms must not cut off whoever would answer */
	mentry_query(e, m->now, last < USEC_PER_SEC ? USEC_PER_SEC : last, q);
	due_note(m, e);
}

void membership_heard(struct membership *m, mono_t now, uint32_t leg, const struct gmp_message *message)
{
	struct leg *l = leg_find(m, leg);
	struct gmp_record r;
	size_t at = 0, host_n = SIZE_MAX;

	m->now = now.us;
	if (!l)
		return;
	if (message->kind == GMP_QUERY)
		query_heard(m, l, message);
	else
		while (gmp_record_next(message, &at, &r))
			record(m, l, message, &r, &host_n);
}

int membership_hold(struct membership *m, mono_t now, uint32_t leg, enum membership_origin origin,
		    const struct ip *group, const struct membership_filter *filter)
{
	struct leg *l = leg_find(m, leg);
	struct group *g = group_find(m, group);
	struct mentry *e = g ? entry_find(g, leg) : NULL;

	m->now = now.us;
	if (!l)
		return -ENOENT;
	if (gmp_group_refused(group) || gmp_group_is_local(group))
		return -EINVAL;
	if (!leg_permits(l, group))
		return -EPERM;
	if (filter && !filter->exclude && !filter->n)
		filter = NULL;
	if (!filter && (!e || !e->holds[origin]))
		return 0;
	if (e && e->holds[origin] && filter && filter_equal(e->holds[origin], filter))
		return 0;
	if (!e && !(e = entry_get(m, l, group, &g)))
		return -ENOSPC;
	free(e->holds[origin]);
	e->holds[origin] = filter ? filter_dup(filter) : NULL;
	group_dirty(m, g, true);
	return 0;
}

void membership_release(struct membership *m, mono_t now, uint32_t leg, enum membership_origin origin)
{
	m->now = now.us;
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct group *g = m->buckets[b]; g; g = g->next) {
			struct mentry *e = entry_find(g, leg);

			if (!e || !e->holds[origin])
				continue;
			free(e->holds[origin]);
			e->holds[origin] = NULL;
			group_dirty(m, g, true);
		}
}

/* --- time --- */

void membership_timer(struct membership *m, mono_t now)
{
	m->now = now.us;
	if (m->due > now.us)
		return;
	m->due = INT64_MAX;
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct group *g = m->buckets[b]; g; g = g->next)
			for (size_t i = 0; i < g->n; i++) {
				struct mentry *e = &g->entries[i];
				size_t before = e->n;
				bool changed = mentry_expire(e, now.us);

				m->n_sources -= before - e->n;
				if (changed || (e->ask_at && e->ask_at <= now.us))
					group_dirty(m, g, changed);
				if (!e->ask_at || e->ask_at > now.us)
					due_note(m, e);
			}
}

int64_t membership_due(const struct membership *m)
{
	return m->due;
}

/* --- actions --- */

/* What all legs of its domain but this one want */
static void merged(const struct membership *m, const struct group *g, const struct leg *l,
		   struct membership_filter *ret)
{
	ret->exclude = false;
	ret->n = 0;
	if (!l->conf.upstream || !leg_permits(l, &g->ip))
		return;
	for (size_t i = 0; i < g->n; i++) {
		const struct leg *other = leg_find(m, g->entries[i].leg);
		struct membership_filter f;

		if (!other || other == l || other->conf.domain != l->conf.domain)
			continue;
		mentry_filter(&g->entries[i], &f);
		filter_merge(ret, &f);
	}
}

/* The next query of this entry, if its time has come */
static bool entry_ask(struct membership *m, struct group *g, struct mentry *e, struct membership_action *ret)
{
	const struct leg *l = leg_find(m, e->leg);
	bool more = false;

	if (!e->ask_at || e->ask_at > m->now)
		return false;
	e->ask_at = 0;
	if (!l || !e->reported)
		return false;
	*ret = (struct membership_action){
		.kind = MEMBERSHIP_QUERY, .leg = e->leg, .group = g->ip, .response_us = l->times.last_us};
	if (e->ask) {
		/* it covers all sources; those wait for the next turn */
		more = --e->ask > 0;
	} else {
		for (size_t i = 0; i < e->n; i++)
			if (e->sources[i].ask) {
				more |= --e->sources[i].ask > 0;
				m->asked[ret->n_sources++] = e->sources[i].ip;
			}
		if (!ret->n_sources) {
			due_note(m, e);
			return false; /* somebody answered */
		}
		ret->sources = m->asked;
	}
	for (size_t i = 0; !ret->n_sources && i < e->n; i++)
		more |= e->sources[i].ask > 0;
	if (more)
		e->ask_at = m->now + l->times.last_us;
	due_note(m, e);
	return true;
}

/* Is something else to be asked for on this leg now? */
static bool leg_ask(struct membership *m, struct group *g, const struct leg *l, struct membership_action *ret)
{
	struct ask *a = ask_find(g, l->conf.id);

	merged(m, g, l, &m->said);
	if (a ? filter_equal(a->filter, &m->said) : !filter_wants(&m->said, NULL))
		return false;
	if (a && !filter_wants(&m->said, NULL)) {
		ask_remove(g, a);
	} else {
		if (!a) {
			a = xgrow(&g->asks, g->n_asks, &g->cap_asks);
			g->n_asks++;
			a->leg = l->conf.id;
		}
		free(a->filter);
		a->filter = filter_dup(&m->said);
	}
	*ret = (struct membership_action){
		.kind = MEMBERSHIP_ASK, .leg = l->conf.id, .group = g->ip, .filter = &m->said};
	return true;
}

/* Take a group that has said everything out of the list; and away, when nothing is left of it */
static void group_clean(struct membership *m, struct group *g)
{
	m->dirty = g->next_dirty;
	if (!m->dirty)
		m->dirty_end = &m->dirty;
	g->dirty = false;
	if (g->n || g->n_asks)
		return;
	for (struct group **p = &m->buckets[bucket(&g->ip)]; *p; p = &(*p)->next)
		if (*p == g) {
			*p = g->next;
			break;
		}
	group_free(g);
}

bool membership_next_action(struct membership *m, struct membership_action *ret)
{
	struct group *g;

	while ((g = m->dirty)) {
		for (size_t i = 0; i < g->n; i++)
			if (entry_ask(m, g, &g->entries[i], ret))
				return true;
		if (g->changed) {
			g->changed = false;
			*ret = (struct membership_action){.kind = MEMBERSHIP_CHANGED, .group = g->ip};
			return true;
		}
		while (g->step < m->n_legs)
			if (leg_ask(m, g, &m->legs[g->step++], ret))
				return true;
		for (size_t i = g->n; i-- > 0;)
			if (mentry_is_empty(&g->entries[i]))
				entry_remove(m, g, &g->entries[i]);
		group_clean(m, g);
	}
	return false;
}

/* --- what is known --- */

bool membership_wants(const struct membership *m, uint32_t leg, const struct ip *group, const struct ip *source)
{
	const struct group *g = group_find(m, group);
	const struct mentry *e = g ? entry_find(g, leg) : NULL;

	return e && mentry_wants(e, source);
}

bool membership_permitted(const struct membership *m, uint32_t leg, const struct ip *group)
{
	const struct leg *l = leg_find(m, leg);

	return l && leg_permits(l, group);
}

bool membership_asked(const struct membership *m, uint32_t leg, const struct ip *group, struct membership_filter *ret)
{
	const struct group *g = group_find(m, group);
	const struct ask *a = g ? ask_find(g, leg) : NULL;

	if (!a)
		return false;
	filter_copy(ret, a->filter);
	return true;
}

void membership_entries(const struct membership *m, membership_entry_fn *fn, void *arg)
{
	for (size_t b = 0; b < BUCKETS; b++)
		for (const struct group *g = m->buckets[b]; g; g = g->next)
			for (size_t i = 0; i < g->n; i++) {
				const struct mentry *e = &g->entries[i];
				struct membership_entry out = {.leg = e->leg, .group = g->ip};

				if (mentry_is_empty(e))
					continue;
				for (int o = 0; o < MEMBERSHIP_ORIGIN_N_; o++)
					out.origins |= e->holds[o] ? 1u << o : 0;
				if (e->reported) {
					out.reporter = e->reporter;
					out.until_us = e->until;
					for (size_t k = 0; k < e->n; k++)
						if (e->sources[k].until > out.until_us)
							out.until_us = e->sources[k].until;
					out.version = e->v1_until > m->now	 ? 1
						      : g->ip.family == AF_INET6 ? (e->v2_until > m->now ? 1 : 2)
						      : e->v2_until > m->now	 ? 2
										 : 3;
				}
				mentry_filter(e, &out.filter);
				fn(arg, &out);
			}
}

void membership_asks(const struct membership *m, uint32_t leg, membership_ask_fn *fn, void *arg)
{
	for (size_t b = 0; b < BUCKETS; b++)
		for (const struct group *g = m->buckets[b]; g; g = g->next) {
			const struct ask *a = ask_find(g, leg);

			if (a)
				fn(arg, &g->ip, a->filter);
		}
}

const uint64_t *membership_counts(const struct membership *m)
{
	return m->counts;
}
