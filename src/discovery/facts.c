/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts out of the core, and into its table.
 */
#include "discovery/facts.h"

#include "discovery/names_state.h"

enum fact_kind { FACT_STACK, FACT_NAMES };

static uint64_t fact_key(enum fact_kind kind, const char *stack_id, uint32_t vni, unsigned part)
{
	uint32_t w[3] = {(uint32_t)kind, vni, part};

	return hash64(stack_id, strlen(stack_id), hash64(w, sizeof(w), 0));
}

/* --- ours --- */

struct telling {
	core_facts_fn *fn;
	void *arg;
	enum fact_kind kind;
	const char *stack_id;
	uint32_t vni;
	unsigned part;
};

static void tell_part(void *arg, const char *data, size_t len)
{
	struct telling *t = arg;

	t->fn(t->arg, fact_key(t->kind, t->stack_id, t->vni, ++t->part), data, len);
}

void core_facts(struct core *core, core_facts_fn *fn, void *arg)
{
	for (size_t i = 0; i < core->n_locals && !ip_is_none(&core->host_ip); i++) {
		struct local *l = core->locals[i];
		struct wire_msg m;

		if (l->leaving)
			continue;
		/* no time in it: a fact that says the same is the same */
		announce_message(core, l, &m);
		wire_encode(&m, tell_part,
			    &(struct telling){
				    .fn = fn, .arg = arg, .kind = FACT_STACK, .stack_id = m.stack_id, .vni = m.vni});
	}
	for (size_t i = 0; i < core->names->n_own && !ip_is_none(&core->host_ip); i++) {
		struct own *o = core->names->own[i];
		struct wire_names m;

		names_message(core, o, &m);
		wire_names_encode(
			&m, tell_part,
			&(struct telling){
				.fn = fn, .arg = arg, .kind = FACT_NAMES, .stack_id = m.stack_id, .vni = m.vni});
	}
}

/* --- of others --- */

/* One that is whole, from the parts that the store has. Return: 0 a part is missing or of another number; -EINVAL */
static int stack_whole(const struct fact_store *store, const char *host_id, struct wire_msg *m, struct err *err)
{
	struct wire_msg whole = *m;

	whole.n_subnets = whole.n_mapped = whole.n_avoid = whole.n_groups = 0;
	for (unsigned part = 1; part <= m->parts; part++) {
		uint64_t key = fact_key(FACT_STACK, m->stack_id, m->vni, part);
		size_t len;
		const void *data = store->get(store->arg, host_id, key, &len);
		struct wire_msg p;
		int r = data ? wire_decode(data, len, &p, err) : 0;

		if (!data || (r == 0 && (p.seq != m->seq || p.part != part || p.parts != m->parts)))
			return 0;
		if (r < 0 || !message_add(&whole, &p))
			return r < 0 ? -EINVAL : err_set(err, -EINVAL, "more subnets than allowed in all parts");
	}
	*m = whole;
	return 1;
}

/* All parts of a set of names of a stack, if the store has them */
static void names_whole(struct core *core, struct core_now now, const struct fact_store *store, const char *host_id,
			const struct ip *host_ip, const char *stack_id, uint32_t vni, unsigned parts)
{
	struct endpoint from = {.ip = *host_ip, .port = core->config.discovery_port};
	size_t len;

	for (unsigned part = 1; part <= parts; part++) {
		if (!store->get(store->arg, host_id, fact_key(FACT_NAMES, stack_id, vni, part), &len))
			return;
	}
	for (unsigned part = 1; part <= parts; part++) {
		const void *data = store->get(store->arg, host_id, fact_key(FACT_NAMES, stack_id, vni, part), &len);

		names_datagram(core, now, &from, data, len);
	}
}

/* The names of a stack may have come before the stack itself, or when it was somewhere else */
static void names_again_of(struct core *core, struct core_now now, const struct fact_store *store,
			   const struct wire_msg *m)
{
	struct wire_names first;
	size_t len;
	const void *data = store->get(store->arg, m->host_id, fact_key(FACT_NAMES, m->stack_id, m->vni, 1), &len);
	unsigned parts;

	if (!data || wire_names_decode(data, len, &first, NULL) < 0)
		return;
	parts = first.parts;
	wire_names_done(&first);
	names_whole(core, now, store, m->host_id, &m->host_ip, m->stack_id, m->vni, parts);
}

static int names_fact(struct core *core, struct core_now now, const struct fact_store *store, const char *host_id,
		      const void *data, size_t len, struct err *err)
{
	struct wire_names m;
	int r = wire_names_decode(data, len, &m, err);

	if (r < 0)
		return -EINVAL;
	if (str_eq(m.host_id, host_id))
		names_whole(core, now, store, host_id, &m.host_ip, m.stack_id, m.vni, m.parts);
	else
		r = err_set(err, -EINVAL, "host_id is not that of who tells it");
	wire_names_done(&m);
	return r;
}

int core_feed_fact(struct core *core, struct core_now now, enum feed feed, const struct fact_store *store,
		   const char *host_id, const void *data, size_t len, struct err *err)
{
	struct wire_msg m;
	int r;

	if (core->stopping)
		return 0;
	if (wire_names_is(data, len))
		return names_fact(core, now, store, host_id, data, len, err);
	r = wire_decode(data, len, &m, err);
	if (r < 0)
		return -EINVAL;
	if (m.type != WIRE_ANNOUNCE || !str_eq(m.host_id, host_id))
		return err_set(err, -EINVAL, "no announcement of the host that tells it");
	if (m.parts > 1) {
		r = stack_whole(store, host_id, &m, err);
		if (r <= 0)
			return r;
	}
	r = feed_message(core, now, feed, &m, err);
	if (r == 0)
		names_again_of(core, now, store, &m);
	return r;
}

void core_feed_fact_drop(struct core *core, struct core_now now, enum feed feed, const char *host_id, uint64_t key)
{
	for (size_t i = 0; i < core->peers.n_entries; i++) {
		const struct peer *p = &core->peers.entries[i].peer;

		if (core->peers.entries[i].used && str_eq(p->host_id, host_id) &&
		    fact_key(FACT_STACK, p->stack_id, p->vni, 1) == key)
			core_feed_drop(core, now, feed, p);
	}
}

void core_feed_host_drop(struct core *core, struct core_now now, enum feed feed, const char *host_id)
{
	for (size_t i = 0; i < core->peers.n_entries; i++) {
		if (core->peers.entries[i].used && str_eq(core->peers.entries[i].peer.host_id, host_id))
			core_feed_drop(core, now, feed, &core->peers.entries[i].peer);
	}
}
