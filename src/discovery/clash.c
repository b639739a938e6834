/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the core and mapping.c: when clashes are looked for, and what follows for our stacks. Thousands of peers
 * that come as a burst are looked at together; a stranger who takes what we have again and again moves us a few times
 * and then seldom.
 */
#include "discovery/core_state.h"
#include "discovery/mapping.h"

#define PAUSE_US	  (20 * USEC_PER_MSEC) /* after a look at all, and so much more for each peer: */
#define PAUSE_PER_PEER_US 100
#define MOVES_BURST	  4		      /* for others' sake: at once */
#define MOVES_US	  (30 * USEC_PER_SEC) /* and one more each */

void clash_changed(struct core *core)
{
	core->clash_changed = true;
}

void clash_load(struct core *core, const struct discovery *d)
{
	free(core->loaded);
	core->n_loaded = d->self.n_stacks;
	core->loaded = d->self.n_stacks ? xmemdup(d->self.stacks, d->self.n_stacks * sizeof(*d->self.stacks)) : NULL;
}

void clash_local(const struct core *core, struct local *l)
{
	for (size_t i = 0; i < core->n_loaded; i++) {
		const struct self_stack *s = &core->loaded[i];

		if (s->vni != l->stack.vni || !str_eq(s->stack_id, l->stack.stack_id))
			continue;
		memcpy(l->mapped, s->mapped, sizeof(l->mapped));
		l->n_mapped = s->n_mapped;
	}
}

/* --- moving --- */

static bool moves_held(const struct local *l, int64_t now_us)
{
	return l->moves_us - now_us > (MOVES_BURST - 1) * MOVES_US;
}

static void moves_count(struct local *l, int64_t now_us)
{
	l->moves_us = (l->moves_us > now_us ? l->moves_us : now_us) + MOVES_US;
}

/* --- input --- */

struct work {
	struct mapping_stack *stacks;
	struct local **locals; /* of each stack */
	size_t n_stacks;
	struct mapping_peer *peers;
	size_t n_peers;
	struct mapping_output *out;
};

static void work_begin(struct core *core, int64_t now_us, struct work *w)
{
	*w = (struct work){.stacks = xcalloc(core->n_locals + 1, sizeof(*w->stacks)),
			   /* NOLINTNEXTLINE(bugprone-sizeof-expression): it holds pointers */
			   .locals = xcalloc(core->n_locals + 1, sizeof(*w->locals)),
			   .peers = xcalloc(core->peers.n_alive + 1, sizeof(*w->peers)),
			   .out = xcalloc(core->n_locals + 1, sizeof(*w->out))};

	for (size_t i = 0; i < core->n_locals; i++) {
		struct local *l = core->locals[i];

		if (l->leaving)
			continue;
		w->locals[w->n_stacks] = l;
		w->stacks[w->n_stacks++] = (struct mapping_stack){.stack_id = l->stack.stack_id,
								  .vni = l->stack.vni,
								  .subnets = l->stack.subnets,
								  .n_subnets = l->stack.n_subnets,
								  .before = l->mapped,
								  .n_before = l->n_mapped,
								  .hold = moves_held(l, now_us)};
	}
	for (size_t i = 0; i < core->peers.n_entries; i++) {
		const struct entry *e = &core->peers.entries[i];

		/* Without host_id it has no subnets either */
		if (e->used && !e->gone && e->peer.host_id[0])
			w->peers[w->n_peers++] = (struct mapping_peer){.peer = &e->peer,
								       .refused = e->refused,
								       .n_refused = e->n_refused,
								       .hearsay = e->hearsay || e->ghost};
	}
}

static void work_done(struct work *w)
{
	free(w->stacks);
	free(w->locals);
	free(w->peers);
	free(w->out);
}

/* --- output --- */

static bool prefixes_set(struct prefix *v, size_t *n, const struct prefix *new, size_t n_new)
{
	bool same = *n == n_new;

	for (size_t i = 0; same && i < n_new; i++)
		same = prefix_cmp(&v[i], &new[i]) == 0;
	memcpy(v, new, n_new * sizeof(*new));
	*n = n_new;
	return !same;
}

static bool local_set(struct local *l, const struct mapping_output *out)
{
	bool same = l->n_mapped == out->n_mapped, changed;

	for (size_t i = 0; same && i < out->n_mapped; i++)
		same = prefix_cmp(&l->mapped[i].subnet, &out->mapped[i].subnet) == 0 &&
		       prefix_cmp(&l->mapped[i].as, &out->mapped[i].as) == 0;
	memcpy(l->mapped, out->mapped, out->n_mapped * sizeof(out->mapped[0]));
	l->n_mapped = out->n_mapped;
	changed = prefixes_set(l->subnets, &l->n_subnets, out->subnets, out->n_subnets);
	return prefixes_set(l->avoid, &l->n_avoid, out->avoid, out->n_avoid) || changed || !same;
}

static void local_say(struct core *core, const struct local *l, const struct mapping_output *out)
{
	if (out->is_new || out->has_moved)
		core_say_stack(core, LOG_LEVEL_INFO,
			       out->has_moved ? "stack has another mapped subnet" : "stack has a mapped subnet",
			       xasprintf("%s, vni %u", l->stack.stack_id, l->stack.vni), xstrdup(out->why));
}

static bool problems_same(const struct problems *a, const struct problems *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = str_eq(a->v[i].object, b->v[i].object) && str_eq(a->v[i].text, b->v[i].text);
	return same;
}

static void clash_apply(struct core *core, int64_t now_us, const struct work *w, struct problems *problems)
{
	size_t nth = 0;

	for (size_t i = 0; i < w->n_stacks; i++) {
		const struct mapping_output *out = &w->out[i];
		struct local *l = w->locals[i];

		if (local_set(l, out))
			announce_local(core, l, nth++, now_us);
		local_say(core, l, out);
		if (out->has_moved)
			moves_count(l, now_us);
		if (out->was_held) { /* it still has to move */
			core->clash_changed = true;
			if (core->clash_us < l->moves_us - (MOVES_BURST - 1) * MOVES_US)
				core->clash_us = l->moves_us - (MOVES_BURST - 1) * MOVES_US;
		}
	}
	if (!problems_same(&core->clash_problems, problems))
		core->changed = true;
	problems_done(&core->clash_problems);
	core->clash_problems = *problems;
}

void clash_settle(struct core *core, struct core_now now)
{
	struct mapping_input in = {.host_id = core->config.host_id,
				   .mapping = core->config.mapping,
				   .routes = core->routes,
				   .n_routes = core->n_routes};
	struct problems problems = {0};
	struct work w;

	if (!core->clash_changed || core->stopping)
		return;
	core->clash_changed = false;
	core->clash_us = now.mono.us + PAUSE_US + (int64_t)core->peers.n_alive * PAUSE_PER_PEER_US;
	for (size_t i = 0; i < ARRAY_LEN(in.pools); i++)
		in.pools[i] = mapping_pool(&core->config.reserved[i]);
	work_begin(core, now.mono.us, &w);
	in.stacks = w.stacks;
	in.n_stacks = w.n_stacks;
	in.peers = w.peers;
	in.n_peers = w.n_peers;
	mapping_settle(&in, w.out, &problems);
	clash_apply(core, now.mono.us, &w, &problems);
	work_done(&w);
}

void clash_timer(struct core *core, struct core_now now)
{
	if (now.mono.us >= core->clash_us)
		clash_settle(core, now);
}

int64_t clash_due(const struct core *core)
{
	return core->clash_changed && core->started && !core->stopping ? core->clash_us : INT64_MAX;
}
