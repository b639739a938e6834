/* SPDX-License-Identifier: Apache-2.0
 *
 * A world for the core's tests: nodes with virtual clocks on a virtual network that delays, loses and doubles datagrams
 * by a seed. Nothing in it waits.
 */
#ifndef TEST_DISCOVERY_WORLD_H
#define TEST_DISCOVERY_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "discovery/core.h"

#define WORLD_NODES 64
#define SEC	    USEC_PER_SEC
#define MSEC	    USEC_PER_MSEC

struct flight {
	int64_t at_us;
	struct endpoint from, to; /* to.port 0: the group */
	char *data;
	size_t len;
};

struct node {
	struct core *core; /* NULL: not running */
	struct core_config config;
	struct ip ip;
	uint16_t port;
	int64_t wall_offset_ms;
	bool isolated, deaf; /* deaf: multicast of others does not reach it */
	struct local_stack stacks[4];
	size_t n_stacks;
	size_t n_logs, n_sent, n_changed, n_names_changed;
	bool stopped;
	char last_log[512], last_stack_log[512];
};

struct world {
	int64_t now_us;
	uint64_t random;
	unsigned loss_permille, double_permille;
	int64_t delay_us; /* at most */
	struct node nodes[WORLD_NODES];
	size_t n_nodes;
	struct flight *flights;
	size_t n_flights, cap_flights;
	size_t n_sent;
};

static inline uint64_t world_random(struct world *w, uint64_t below)
{
	w->random++;
	return hash64(&w->random, sizeof(w->random), 77) % below;
}

static inline struct ip ip4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	return (struct ip){AF_INET, {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d}};
}

static inline struct prefix prefix_of(const char *s)
{
	struct prefix p;

	assert_int_equal(prefix_parse(s, &p), 0);
	return p;
}

static inline struct core_now node_now(const struct world *w, const struct node *n)
{
	return (struct core_now){.mono = {w->now_us},
				 .wall = {INT64_C(1700000000000) + w->now_us / 1000 + n->wall_offset_ms}};
}

static inline void flight_add(struct world *w, const struct endpoint *from, const struct endpoint *to, const char *data,
			      size_t len)
{
	unsigned copies = world_random(w, 1000) < w->double_permille ? 2 : 1;

	w->n_sent++;
	for (unsigned i = 0; i < copies; i++) {
		struct flight *f = xgrow(&w->flights, w->n_flights, &w->cap_flights);

		w->n_flights++;
		*f = (struct flight){.at_us = w->now_us + 1 + (int64_t)world_random(w, (uint64_t)w->delay_us + 1),
				     .from = *from,
				     .to = *to,
				     .data = xmemdup(data, len),
				     .len = len};
	}
}

struct world_unicast {
	struct world *w;
	const struct endpoint *from;
	const struct action *a;
};

static inline void world_unicast(void *arg, const struct endpoint *to)
{
	struct world_unicast *u = arg;

	flight_add(u->w, u->from, to, u->a->data, u->a->len);
}

static inline void node_drain(struct world *w, struct node *n)
{
	struct endpoint from = {.ip = n->ip, .port = n->port}, group = {.ip = ip4(239, 1, 1, 1)};
	struct action a;

	while (n->core && core_next_action(n->core, &a)) {
		switch (a.kind) {
		case ACTION_SEND_GROUP:
			n->n_sent++;
			if (n->config.multicast)
				flight_add(w, &from, &group, a.data, a.len);
			core_unicast(n->core, world_unicast, &(struct world_unicast){w, &from, &a});
			break;
		case ACTION_SEND:
			n->n_sent++;
			flight_add(w, &from, &a.to, a.data, a.len);
			break;
		case ACTION_CHANGED:
			n->n_changed++;
			break;
		case ACTION_NAMES:
			n->n_names_changed++;
			break;
		case ACTION_LOG:
			n->n_logs++;
			snprintf(n->last_log, sizeof(n->last_log), "%s | %s | %s", a.text, a.about ? a.about : "",
				 a.why ? a.why : "");
			if (str_eq(a.key, "stack"))
				memcpy(n->last_stack_log, n->last_log, sizeof(n->last_log));
			break;
		case ACTION_STOPPED:
			n->stopped = true;
			break;
		case ACTION_KIND_N_:
			break;
		}
	}
}

static inline void world_init(struct world *w, uint64_t seed)
{
	*w = (struct world){.now_us = 1000 * SEC, .random = seed * 1000003, .delay_us = 2 * MSEC};
}

/* A node that is not running yet, with one stack "sN" in VNI 1000 and a subnet of its own */
static inline struct node *node_add(struct world *w)
{
	struct node *n = &w->nodes[w->n_nodes];
	unsigned i = (unsigned)w->n_nodes++;

	assert_true(w->n_nodes <= WORLD_NODES);
	n->ip = ip4(192, 0, 2, i + 1);
	n->port = 4790;
	n->config = (struct core_config){.vxlan_port = 4789,
					 .discovery_port = 4790,
					 .announce_us = 30 * SEC,
					 .timeout_us = 90 * SEC,
					 .multicast = true,
					 .goodbye = true,
					 .random = world_random(w, UINT64_MAX)};
	snprintf(n->config.host_id, sizeof(n->config.host_id), "%032x", i + 1);
	snprintf(n->config.host_name, sizeof(n->config.host_name), "host%u", i + 1);
	snprintf(n->stacks[0].stack_id, sizeof(n->stacks[0].stack_id), "s%u", i + 1);
	n->stacks[0].vni = 1000;
	n->stacks[0].n_subnets = 1;
	n->stacks[0].subnets[0] = (struct prefix){ip4(10, 71 + (i >> 8), i & 255, 0), 24};
	n->n_stacks = 1;
	return n;
}

static inline void node_address(struct world *w, struct node *n)
{
	struct prefix underlay = {ip4(192, 0, 2, 0), 24};
	struct core_addresses a = {
		.host_ip = n->ip, .port = n->port, .own = &n->ip, .n_own = 1, .underlay = &underlay, .n_underlay = 1};

	core_addresses(n->core, node_now(w, n), &a);
	node_drain(w, n);
}

static inline void node_stacks(struct world *w, struct node *n)
{
	core_stacks(n->core, node_now(w, n), n->stacks, n->n_stacks);
	node_drain(w, n);
}

/* As main.c does it; @file: what was exported before, or NULL */
static inline void node_start(struct world *w, struct node *n, const struct discovery *file)
{
	n->stopped = false;
	n->core = core_new(&n->config);
	if (file)
		core_load(n->core, node_now(w, n), file);
	node_address(w, n);
	node_stacks(w, n);
	core_start(n->core, node_now(w, n));
	node_drain(w, n);
}

/* kill -9 */
static inline void node_kill(struct node *n)
{
	core_free(n->core);
	n->core = NULL;
}

static inline void flight_land(struct world *w, const struct flight *f)
{
	bool group = f->to.port == 0;

	for (size_t i = 0; i < w->n_nodes; i++) {
		struct node *n = &w->nodes[i];
		bool self = ip_cmp(&n->ip, &f->from.ip) == 0;

		if (!n->core || (group ? n->deaf && !self : ip_cmp(&n->ip, &f->to.ip) != 0 || n->port != f->to.port))
			continue;
		if (!self && (n->isolated || world_random(w, 1000) < w->loss_permille))
			continue;
		for (size_t j = 0; j < w->n_nodes; j++) {
			if (w->nodes[j].isolated && !self && ip_cmp(&w->nodes[j].ip, &f->from.ip) == 0)
				goto next;
		}
		core_datagram(n->core, node_now(w, n), &f->from, group, f->data, f->len);
		node_drain(w, n);
	next:;
	}
}

static inline void world_run(struct world *w, int64_t for_us)
{
	int64_t end_us = w->now_us + for_us;

	for (;;) {
		int64_t next_us = end_us;
		size_t landing = SIZE_MAX;
		struct node *due = NULL;

		for (size_t i = 0; i < w->n_flights; i++) {
			if (w->flights[i].at_us <= next_us) {
				next_us = w->flights[i].at_us;
				landing = i;
			}
		}
		for (size_t i = 0; i < w->n_nodes; i++) {
			struct node *n = &w->nodes[i];

			if (n->core && core_due(n->core) < next_us) {
				next_us = core_due(n->core);
				due = n;
			}
		}
		if (!due && landing == SIZE_MAX)
			break;
		if (next_us > w->now_us)
			w->now_us = next_us;
		if (due) {
			core_timer(due->core, node_now(w, due));
			node_drain(w, due);
			assert_true(core_due(due->core) > w->now_us || due->stopped); /* or it would spin */
		} else {
			struct flight f = w->flights[landing];

			w->flights[landing] = w->flights[--w->n_flights];
			flight_land(w, &f);
			free(f.data);
		}
	}
	w->now_us = end_us;
}

static inline void world_done(struct world *w)
{
	for (size_t i = 0; i < w->n_nodes; i++)
		core_free(w->nodes[i].core);
	for (size_t i = 0; i < w->n_flights; i++)
		free(w->flights[i].data);
	free(w->flights);
}

/* How many peers @n knows; *ret_first: a copy of the first, subnets borrowed */
static inline size_t node_peers(struct world *w, struct node *n, struct peer *ret_first)
{
	struct discovery d;
	size_t count;

	core_export(n->core, node_now(w, n), &d);
	count = d.n_peers;
	if (ret_first && count)
		*ret_first = d.peers[0];
	core_export_done(&d);
	return count;
}

static inline bool node_knows(struct world *w, struct node *n, const char *stack_id, struct peer *ret)
{
	struct discovery d;
	bool found = false;

	core_export(n->core, node_now(w, n), &d);
	for (size_t i = 0; i < d.n_peers; i++) {
		if (str_eq(d.peers[i].stack_id, stack_id)) {
			found = true;
			if (ret)
				*ret = d.peers[i];
		}
	}
	core_export_done(&d);
	return found;
}

/* Does every running node know the stacks of every other one, and nothing else? */
static inline bool world_converged(struct world *w)
{
	for (size_t i = 0; i < w->n_nodes; i++) {
		size_t expected = 0;

		if (!w->nodes[i].core)
			continue;
		for (size_t j = 0; j < w->n_nodes; j++) {
			if (j == i || !w->nodes[j].core)
				continue;
			for (size_t k = 0; k < w->nodes[j].n_stacks; k++, expected++) {
				if (!node_knows(w, &w->nodes[i], w->nodes[j].stacks[k].stack_id, NULL))
					return false;
			}
		}
		if (node_peers(w, &w->nodes[i], NULL) != expected)
			return false;
	}
	return true;
}

static inline uint64_t node_count(const struct node *n, enum core_count which)
{
	return core_counts(n->core)[which];
}

/* A datagram out of nowhere, and what @n makes of it */
static inline void node_hear(struct world *w, struct node *n, const char *from_ip, const char *text)
{
	struct endpoint from = {.port = 4790};

	assert_int_equal(ip_parse(from_ip, &from.ip), 0);
	core_datagram(n->core, node_now(w, n), &from, true, text, strlen(text));
	node_drain(w, n);
}

#endif
