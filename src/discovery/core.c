/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's outside: it is made and freed here, events are handed to what says (announce.c) and what hears
 * (receive.c), and the whole is copied out for the file.
 */
#include <assert.h>

#include "discovery/core_state.h"
#include "discovery/names.h"

/* A timer this late means that the process or the machine slept: silence was ours, not the peers' */
#define SLEPT_US    (5 * USEC_PER_SEC)
#define PATIENCE_US (3 * USEC_PER_SEC)

struct core *core_new(const struct core_config *config)
{
	struct core *core = xcalloc(1, sizeof(*core));

	assert(wire_host_id_valid(config->host_id) && config->announce_us > 0 &&
	       config->timeout_us > config->announce_us);
	core->config = *config;
	core->peers_config = config->n_peers ? xmemdup(config->peers, config->n_peers * sizeof(*config->peers)) : NULL;
	core->config.peers = core->peers_config;
	core->n_peers_fixed = config->n_peers;
	core->random = config->random;
	core->patience_us = INT64_MIN;
	for (size_t i = 0; i < FEED_N_; i++)
		core->feed_seen_us[i] = INT64_MIN;
	core->group_answer_us = INT64_MIN / 2;
	peers_init(&core->peers, config->timeout_us, core_random(core));
	core->names = names_state_new();
	return core;
}

void core_free(struct core *core)
{
	if (!core)
		return;
	for (size_t i = core->action_head > 0 ? core->action_head - 1 : 0; i < core->n_actions; i++)
		action_clear(&core->actions[i]);
	for (size_t i = 0; i < core->n_locals; i++)
		free(core->locals[i]);
	for (size_t i = 0; i < core->n_partials; i++)
		free(core->partials[i]);
	for (size_t i = 0; i < core->n_notes; i++) {
		free(core->notes[i].object);
		free(core->notes[i].cure);
		free(core->notes[i].text);
	}
	names_state_free(core->names);
	peers_done(&core->peers);
	free(core->actions);
	free(core->locals);
	free(core->answers);
	free(core->own);
	free(core->underlay);
	free(core->routes);
	free(core->loaded);
	problems_done(&core->clash_problems);
	free(core->peers_config);
	free(core);
}

/* --- events --- */

void core_load(struct core *core, struct core_now now, const struct discovery *d)
{
	assert(!core->started);
	if (str_eq(d->self.host_id, core->config.host_id))
		announce_seq(core, now.wall, d->self.seq);
	if (str_eq(d->self.host_id, core->config.host_id))
		clash_load(core, d);
	receive_load(core, now, d);
}

void core_start(struct core *core, struct core_now now)
{
	if (!core->seq_known)
		announce_seq(core, now.wall, 0);
	core->started = true;
	core->changed = true;
	names_start(core);
	announce_refresh(core, now, false);
	core_timer(core, now);
}

void core_stop(struct core *core, struct core_now now)
{
	if (core->stopping)
		return;
	announce_stop(core, now);
	core_timer(core, now);
}

void core_stacks(struct core *core, struct core_now now, const struct local_stack *stacks, size_t n)
{
	if (core->stopping)
		return;
	if (!core->seq_known)
		announce_seq(core, now.wall, 0);
	announce_stacks(core, now, stacks, n);
	core_timer(core, now);
}

void core_addresses(struct core *core, struct core_now now, const struct core_addresses *a)
{
	bool moved = ip_cmp(&core->host_ip, &a->host_ip) != 0;

	free(core->own);
	free(core->underlay);
	core->own = a->n_own ? xmemdup(a->own, a->n_own * sizeof(*a->own)) : NULL;
	core->n_own = a->n_own;
	core->underlay = a->n_underlay ? xmemdup(a->underlay, a->n_underlay * sizeof(*a->underlay)) : NULL;
	core->n_underlay = a->n_underlay;
	core->host_ip = a->host_ip;
	core->port = a->port;
	if (moved)
		core->changed = true;
	subnets_underlay(core, now.mono.us);
	announce_refresh(core, now, moved);
	core_timer(core, now);
}

void core_datagram(struct core *core, struct core_now now, const struct endpoint *from, bool by_group, const char *data,
		   size_t len)
{
	if (!core->started || core->stopping)
		return;
	receive_datagram(core, now, from, by_group, data, len);
	clash_timer(core, now);
}

void core_routes(struct core *core, struct core_now now, const struct prefix *routes, size_t n)
{
	free(core->routes);
	core->routes = n ? xmemdup(routes, n * sizeof(*routes)) : NULL;
	core->n_routes = n;
	clash_changed(core);
	core_timer(core, now);
}

static bool endpoint_in(const struct endpoint *v, size_t n, const struct endpoint *e)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].port == e->port && ip_cmp(&v[i].ip, &e->ip) == 0)
			return true;
	}
	return false;
}

void core_found(struct core *core, struct core_now now, const struct endpoint *hosts, size_t n)
{
	struct endpoint *old = core->peers_config;
	size_t n_old = core->config.n_peers, total = core->n_peers_fixed;
	struct endpoint *v = xcalloc(total + n + 1, sizeof(*v));

	for (size_t i = 0; i < total; i++)
		v[i] = old[i];
	for (size_t i = 0; i < n; i++) {
		if (!endpoint_in(v, total, &hosts[i]))
			v[total++] = hosts[i];
	}
	core->peers_config = v;
	core->config.peers = v;
	core->config.n_peers = total;
	for (size_t i = core->n_peers_fixed; i < total && core->started && !core->stopping; i++) {
		if (v[i].ip.family == core->host_ip.family && !endpoint_in(old, n_old, &v[i]))
			announce_ask(core, now, &v[i]);
	}
	free(old);
}

void core_timer(struct core *core, struct core_now now)
{
	int64_t due_us = core_due(core);

	if (core->started && due_us != 0 && due_us != INT64_MAX && now.mono.us - due_us > SLEPT_US) {
		core->patience_us = now.mono.us + PATIENCE_US;
		if (core->online)
			announce_query(core, now.mono.us);
	}
	receive_timer(core, now);
	clash_timer(core, now);
	announce_timer(core, now);
	names_timer(core, now);
	notes_expire(core, now.mono.us);
}

int64_t core_due(const struct core *core)
{
	int64_t a = announce_due(core), b = receive_due(core), c = names_due(core), d = clash_due(core);
	int64_t due_us = a < b ? a : b;

	due_us = c < due_us ? c : due_us;
	due_us = d < due_us ? d : due_us;
	for (size_t i = 0; i < core->n_notes; i++) {
		if (core->notes[i].until_us < due_us)
			due_us = core->notes[i].until_us;
	}
	return due_us;
}

void core_unicast(const struct core *core, core_unicast_fn *fn, void *arg)
{
	for (size_t i = 0; i < core->config.n_peers; i++) {
		if (core->peers_config[i].ip.family == core->host_ip.family)
			fn(arg, &core->peers_config[i]);
	}
	for (size_t i = 0; i < core->peers.n_hosts; i++) {
		const struct host *h = &core->peers.hosts[i];
		bool known = !h->used || !h->by_unicast || h->by_group;

		if (!known && !endpoint_in(core->peers_config, core->config.n_peers, &h->from))
			fn(arg, &h->from);
	}
}

/* --- what is known --- */

static void export_self(const struct core *core, struct discovery *d)
{
	str_copy(d->self.host_id, core->config.host_id);
	str_copy(d->self.host_name, core->config.host_name);
	str_copy(d->self.modes, core->config.modes);
	d->self.host_ip = core->host_ip;
	d->self.vxlan_port = core->config.vxlan_port;
	d->self.seq = core->seq;
	for (size_t i = 0; i < core->n_locals; i++) {
		const struct local *l = core->locals[i];
		const struct local_stack *s = &l->stack;
		struct self_stack *out;

		/* At the end all are kept: `down` says goodbye for them again, whether we did or not */
		if (core->locals[i]->leaving && !core->stopping)
			continue;
		out = xgrow(&d->self.stacks, d->self.n_stacks, &d->self.cap_stacks);
		d->self.n_stacks++;
		str_copy(out->stack_id, s->stack_id);
		out->vni = s->vni;
		out->n_subnets = l->n_subnets;
		memcpy(out->subnets, l->subnets, l->n_subnets * sizeof(l->subnets[0]));
		out->n_mapped = l->n_mapped;
		memcpy(out->mapped, l->mapped, l->n_mapped * sizeof(l->mapped[0]));
		out->n_avoid = l->n_avoid;
		memcpy(out->avoid, l->avoid, l->n_avoid * sizeof(l->avoid[0]));
		out->n_groups = s->n_groups;
		memcpy(out->groups, s->groups, s->n_groups * sizeof(s->groups[0]));
	}
}

void core_export(struct core *core, struct core_now now, struct discovery *ret)
{
	struct discovery d = {.last_update = now.wall};

	/* The file never shows a clash that is already known without what follows from it */
	clash_settle(core, now);
	export_self(core, &d);
	d.cap_peers = core->peers.n_alive + 1;
	d.peers = xcalloc(d.cap_peers, sizeof(*d.peers));
	for (size_t i = 0; i < core->peers.n_entries; i++) {
		const struct entry *e = &core->peers.entries[i];
		struct peer *out;
		int64_t seen_us;

		if (!e->used || e->gone)
			continue;
		out = &d.peers[d.n_peers++];
		*out = e->peer;
		if (e->ghost) /* its addresses are the other one's now */
			out->n_subnets = out->n_mapped = out->n_avoid = out->n_groups = 0;
		/* Reckoned from the clock that never jumps: a wall clock that is set does not make peers old */
		seen_us = feed_seen_us(core, e);
		seen_us = seen_us > e->heard_us ? seen_us : e->heard_us;
		out->last_seen.ms = now.wall.ms - (now.mono.us - seen_us) / USEC_PER_MSEC;
	}
	if (ip_is_none(&core->host_ip))
		problems_add(
			&d.problems, "discovery",
			"HOST_IP and INTERFACE, where they are set, must name what this host has; an address of the "
			"family of MULTICAST_GROUP is needed, on an interface that is up.",
			"no address to send from: nobody is told of our stacks");
	for (size_t i = 0; i < core->n_notes; i++)
		problems_add(&d.problems, core->notes[i].object, core->notes[i].cure, "%s", core->notes[i].text);
	for (size_t i = 0; i < core->clash_problems.n; i++)
		problems_add(&d.problems, core->clash_problems.v[i].object, core->clash_problems.v[i].cure, "%s",
			     core->clash_problems.v[i].text);
	discovery_sort(&d);

	core->touched = false;
	*ret = d;
}

void core_export_done(struct discovery *d)
{
	free(d->self.stacks);
	free(d->peers);
	free(d->gossip.members);
	problems_done(&d->problems);
	*d = (struct discovery){0};
}

bool core_touched(const struct core *core)
{
	return core->touched;
}

const uint64_t *core_counts(const struct core *core)
{
	return core->counts;
}
