/* SPDX-License-Identifier: Apache-2.0
 *
 * One leg's state of one group: the tables of RFC 3376 section 6.4 (RFC 3810 section 7.4 is the same), its timers, and
 * the arithmetic of source lists.
 */
#include "multicast/membership_state.h"

/* --- lists of sources, in order --- */

static size_t source_place(const struct mentry *e, const struct ip *ip, bool *found)
{
	size_t low = 0, high = e->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int c = ip_cmp(&e->sources[middle].ip, ip);

		if (c == 0) {
			*found = true;
			return middle;
		}
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = false;
	return low;
}

static struct msource *source_find(const struct mentry *e, const struct ip *ip)
{
	bool found;
	size_t at = source_place(e, ip, &found);

	return found ? &e->sources[at] : NULL;
}

static bool in_record(const struct gmp_record *r, const struct ip *ip)
{
	size_t size = ip_size(ip->family), n = r->n_sources > GMP_SOURCES ? GMP_SOURCES : r->n_sources;

	for (size_t i = 0; i < n; i++)
		if (!memcmp(r->sources + i * size, ip->b, size))
			return true;
	return false;
}

/* Keep only what the record has */
static bool drop_others(struct mentry *e, const struct gmp_record *r)
{
	size_t kept = 0;
	bool changed;

	for (size_t i = 0; i < e->n; i++)
		if (in_record(r, &e->sources[i].ip))
			e->sources[kept++] = e->sources[i];
	changed = kept != e->n;
	e->n = kept;
	return changed;
}

/* --- a record --- */

struct change {
	struct mentry *e;
	int64_t now;
	const struct mtimes *t;
	bool querier;
	size_t *room;
	uint64_t *lost;
	bool changed;
};

/* The source, made when it is not there. NULL: no room */
static struct msource *source_get(struct change *c, const struct ip *ip, bool *is_new)
{
	struct mentry *e = c->e;
	bool found;
	size_t at = source_place(e, ip, &found);

	*is_new = !found;
	if (found)
		return &e->sources[at];
	if (e->n >= GMP_SOURCES || !*c->room || !gmp_is_source(ip)) {
		(*c->lost)++;
		return NULL;
	}
	--*c->room;
	xgrow(&e->sources, e->n, &e->cap);
	memmove(&e->sources[at + 1], &e->sources[at], (e->n - at) * sizeof(*e->sources));
	e->n++;
	e->sources[at] = (struct msource){.ip = *ip};
	return &e->sources[at];
}

/* (sources of the record) = membership interval: they are wanted */
static void want(struct change *c, const struct gmp_record *r)
{
	for (size_t i = 0; i < r->n_sources; i++) {
		struct ip ip = gmp_source(r->group.family, r->sources, i);
		bool is_new;
		struct msource *s = source_get(c, &ip, &is_new);

		if (!s)
			continue;
		if (is_new || !s->until)
			c->changed = true;
		s->until = c->now + c->t->member_us;
		s->ask = 0;
	}
}

static void ask_later(struct change *c)
{
	if (!c->e->ask_at)
		c->e->ask_at = c->now;
}

/* Q(G, S): does anybody still want it? */
static void ask_source(struct change *c, struct msource *s)
{
	int64_t last = c->now + c->t->last_us * c->t->last_count;

	if (!c->querier || !s->until)
		return;
	if (s->until > last)
		s->until = last;
	s->ask = c->t->last_count;
	ask_later(c);
}

/* Q(G) */
static void ask_group(struct change *c)
{
	int64_t last = c->now + c->t->last_us * c->t->last_count;

	if (!c->querier)
		return;
	if (c->e->until > last)
		c->e->until = last;
	c->e->ask = c->t->last_count;
	ask_later(c);
}

static void exclude(struct change *c, const struct gmp_record *r, bool ask)
{
	struct mentry *e = c->e;
	bool was_exclude = e->reported && e->exclude;
	/* TO_EX in EXCLUDE gives new sources the group's timer, IS_EX the membership interval */
	int64_t until = ask && e->until > c->now ? e->until : c->now + c->t->member_us;

	if (!was_exclude)
		c->changed = true;
	if (drop_others(e, r))
		c->changed = true;
	e->exclude = true;
	for (size_t i = 0; i < r->n_sources; i++) {
		struct ip ip = gmp_source(r->group.family, r->sources, i);
		bool is_new;
		struct msource *s = source_get(c, &ip, &is_new);

		if (!s)
			continue;
		/* nobody wanted all before: blocked at once. Else others may want it still */
		if (is_new)
			s->until = was_exclude ? until : 0;
		if (ask)
			ask_source(c, s);
	}
	e->until = c->now + c->t->member_us;
	e->ask = 0;
}

static void block(struct change *c, const struct gmp_record *r)
{
	struct mentry *e = c->e;

	for (size_t i = 0; i < r->n_sources; i++) {
		struct ip ip = gmp_source(r->group.family, r->sources, i);
		struct msource *s;
		bool is_new = false;

		s = e->exclude ? source_get(c, &ip, &is_new) : source_find(e, &ip);
		if (!s)
			continue;
		if (is_new)
			s->until = e->until;
		ask_source(c, s);
	}
}

static void to_include(struct change *c, const struct gmp_record *r)
{
	struct mentry *e = c->e;

	want(c, r);
	for (size_t i = 0; i < e->n; i++)
		if (e->sources[i].until && !in_record(r, &e->sources[i].ip))
			ask_source(c, &e->sources[i]);
	if (e->exclude)
		ask_group(c);
}

bool mentry_record(struct mentry *e, int64_t now, const struct mtimes *t, bool querier, uint8_t version,
		   const struct gmp_record *r, size_t *room, uint64_t *lost)
{
	struct change c = {.e = e, .now = now, .t = t, .querier = querier, .room = room, .lost = lost};
	bool was = e->reported;
	bool mld = r->group.family == AF_INET6, old = version < (mld ? 2 : 3);
	struct gmp_record cut = *r;

	if (cut.n_sources > GMP_SOURCES) {
		*lost += cut.n_sources - GMP_SOURCES;
		cut.n_sources = GMP_SOURCES;
	}
	/* section 7.3.2: which version speaks whoever is there? */
	if (old && r->type == GMP_IS_EXCLUDE)
		*(version == 1 && !mld ? &e->v1_until : &e->v2_until) = now + t->member_us;
	if (e->v1_until > now && (r->type == GMP_TO_INCLUDE || r->type == GMP_BLOCK))
		return false; /* who speaks v1 cannot say that he stays */
	if (e->v2_until > now && r->type == GMP_BLOCK)
		return false;
	if ((e->v1_until > now || e->v2_until > now) && r->type == GMP_TO_EXCLUDE)
		cut.n_sources = 0;

	switch (cut.type) {
	case GMP_IS_INCLUDE:
	case GMP_ALLOW:
		want(&c, &cut);
		break;
	case GMP_IS_EXCLUDE:
		exclude(&c, &cut, false);
		break;
	case GMP_TO_EXCLUDE:
		exclude(&c, &cut, true);
		break;
	case GMP_TO_INCLUDE:
		to_include(&c, &cut);
		break;
	case GMP_BLOCK:
		block(&c, &cut);
		break;
	}
	e->reported = e->exclude || e->n;
	return c.changed || e->reported != was;
}

void mentry_query(struct mentry *e, int64_t now, int64_t last_us, const struct gmp_message *q)
{
	int64_t last = now + last_us;

	if (q->suppress)
		return;
	if (!q->count && e->exclude && e->until > last)
		e->until = last;
	for (size_t i = 0; i < q->count && i < GMP_SOURCES; i++) {
		struct ip ip = gmp_source(q->family, q->data, i);
		struct msource *s = source_find(e, &ip);

		if (s && s->until > last)
			s->until = last;
	}
}

/* --- time --- */

bool mentry_expire(struct mentry *e, int64_t now)
{
	size_t kept = 0;
	bool changed = false, to_include = e->exclude && e->until <= now;

	if (!e->reported)
		return false;
	for (size_t i = 0; i < e->n; i++) {
		struct msource *s = &e->sources[i];
		bool over = s->until <= now; /* blocked ones too */

		if (over && s->until)
			changed = true;
		if (over && (!e->exclude || to_include))
			continue;
		if (over) {
			s->until = 0;
			s->ask = 0;
		}
		e->sources[kept++] = *s;
	}
	e->n = kept;
	if (to_include) {
		e->exclude = false;
		e->ask = 0;
		e->until = 0;
		changed = true;
	}
	e->reported = e->exclude || e->n;
	return changed;
}

int64_t mentry_due(const struct mentry *e)
{
	int64_t due = INT64_MAX;

	if (!e->reported)
		return due;
	if (e->exclude)
		due = e->until;
	for (size_t i = 0; i < e->n; i++)
		if (e->sources[i].until && e->sources[i].until < due)
			due = e->sources[i].until;
	if (e->ask_at && e->ask_at < due)
		due = e->ask_at;
	return due;
}

/* --- filters --- */

static size_t filter_bytes(const struct membership_filter *f)
{
	return offsetof(struct membership_filter, sources) + f->n * sizeof(f->sources[0]);
}

struct membership_filter *filter_dup(const struct membership_filter *f)
{
	return xmemdup(f, filter_bytes(f));
}

void filter_copy(struct membership_filter *into, const struct membership_filter *f)
{
	memcpy(into, f, filter_bytes(f));
}

bool filter_wants(const struct membership_filter *f, const struct ip *source)
{
	if (!source)
		return f->exclude || f->n;
	for (size_t i = 0; i < f->n; i++)
		if (!ip_cmp(&f->sources[i], source))
			return !f->exclude;
	return f->exclude;
}

bool filter_equal(const struct membership_filter *a, const struct membership_filter *b)
{
	if (a->exclude != b->exclude || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (ip_cmp(&a->sources[i], &b->sources[i]))
			return false;
	return true;
}

static void filter_keep(struct membership_filter *f, const struct membership_filter *by, bool listed)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->n; i++) {
		bool found = false;

		for (size_t k = 0; k < by->n && !found; k++)
			found = !ip_cmp(&by->sources[k], &f->sources[i]);
		if (found == listed)
			f->sources[kept++] = f->sources[i];
	}
	f->n = kept;
}

void filter_merge(struct membership_filter *into, const struct membership_filter *other)
{
	if (into->exclude && other->exclude) {
		filter_keep(into, other, true); /* blocked by both */
	} else if (into->exclude) {
		filter_keep(into, other, false);
	} else if (other->exclude) {
		struct membership_filter f;

		filter_copy(&f, other);
		filter_keep(&f, into, false);
		filter_copy(into, &f);
	} else {
		for (size_t i = 0; i < other->n; i++) {
			size_t at = 0;

			while (at < into->n && ip_cmp(&into->sources[at], &other->sources[i]) < 0)
				at++;
			if (at < into->n && !ip_cmp(&into->sources[at], &other->sources[i]))
				continue;
			if (into->n == GMP_SOURCES) {
				into->exclude = true;
				into->n = 0;
				return;
			}
			memmove(&into->sources[at + 1], &into->sources[at], (into->n - at) * sizeof(into->sources[0]));
			into->sources[at] = other->sources[i];
			into->n++;
		}
	}
}

/* A bridge knows groups and no sources; where reports are heard, they say it better */
static bool hold_counts(const struct mentry *e, int origin)
{
	return e->holds[origin] && !(origin == MEMBERSHIP_MDB && e->reported);
}

void mentry_filter(const struct mentry *e, struct membership_filter *ret)
{
	ret->exclude = e->reported && e->exclude;
	ret->n = 0;
	if (e->reported)
		for (size_t i = 0; i < e->n; i++)
			if (e->exclude == !e->sources[i].until)
				ret->sources[ret->n++] = e->sources[i].ip;
	for (int o = 0; o < MEMBERSHIP_ORIGIN_N_; o++)
		if (hold_counts(e, o))
			filter_merge(ret, e->holds[o]);
}

bool mentry_wants(const struct mentry *e, const struct ip *source)
{
	const struct msource *s;

	for (int o = 0; o < MEMBERSHIP_ORIGIN_N_; o++)
		if (hold_counts(e, o) && filter_wants(e->holds[o], source))
			return true;
	if (!e->reported)
		return false;
	if (!source)
		return true;
	s = source_find(e, source);
	return s ? s->until != 0 : e->exclude;
}

bool mentry_is_empty(const struct mentry *e)
{
	for (int o = 0; o < MEMBERSHIP_ORIGIN_N_; o++)
		if (e->holds[o])
			return false;
	return !e->reported;
}

void mentry_done(struct mentry *e)
{
	for (int o = 0; o < MEMBERSHIP_ORIGIN_N_; o++)
		free(e->holds[o]);
	free(e->sources);
	*e = (struct mentry){0};
}
