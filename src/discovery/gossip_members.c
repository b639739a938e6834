/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of members, and what an update does to it. Of two things said about a member the one with the higher
 * incarnation is right; of the same incarnation the worse one, since only the member itself can count up.
 */
#include "discovery/gossip_state.h"

const char *const gossip_status_names[GOSSIP_STATUS_N_] = {
	[GOSSIP_ALIVE] = "alive", [GOSSIP_SUSPECT] = "suspect", [GOSSIP_DEAD] = "dead", [GOSSIP_LEFT] = "left"};

#define FREE GOSSIP_STATUS_N_ /* status of a place that nobody has */

/* --- the index: open addressing, by a hash that strangers cannot foresee --- */

static size_t index_at(const struct gossip *g, const struct gossip_id *id)
{
	uint64_t w[2], h;

	memcpy(w, id->b, sizeof(w));
	h = (w[0] ^ g->hash_seed) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ h >> 32 ^ w[1]) * (g->hash_seed | 1);
	return (h ^ h >> 32) & (g->index_size - 1);
}

uint32_t node_find(const struct gossip *g, const struct gossip_id *id)
{
	for (size_t i = index_at(g, id);; i = (i + 1) & (g->index_size - 1)) {
		if (!g->index[i])
			return NONE;
		if (gossip_id_eq(&g->nodes[g->index[i] - 1].id, id))
			return g->index[i] - 1;
	}
}

static void index_add(struct gossip *g, uint32_t n)
{
	size_t i = index_at(g, &g->nodes[n].id);

	while (g->index[i])
		i = (i + 1) & (g->index_size - 1);
	g->index[i] = n + 1;
}

static void index_build(struct gossip *g, size_t size)
{
	free(g->index);
	g->index = xcalloc(size, sizeof(*g->index));
	g->index_size = size;
	for (uint32_t n = 0; n < g->n_nodes; n++) {
		if (g->nodes[n].status != FREE)
			index_add(g, n);
	}
}

/* Those behind the gap that would not be found any more move up */
static void index_remove(struct gossip *g, uint32_t n)
{
	size_t mask = g->index_size - 1, gap = index_at(g, &g->nodes[n].id);

	while (g->index[gap] != n + 1)
		gap = (gap + 1) & mask;
	g->index[gap] = 0;
	for (size_t i = (gap + 1) & mask; g->index[i]; i = (i + 1) & mask) {
		size_t home = index_at(g, &g->nodes[g->index[i] - 1].id);

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		g->index[gap] = g->index[i];
		g->index[i] = 0;
		gap = i;
	}
}

/* --- nodes --- */

struct endpoint node_address(const struct node *n)
{
	struct endpoint e = {.ip.family = n->family, .port = n->port};

	memcpy(e.ip.b, n->ip, sizeof(n->ip));
	return e;
}

void node_set_address(struct node *n, const struct endpoint *e)
{
	n->family = e->ip.family;
	n->port = e->port;
	memcpy(n->ip, e->ip.b, sizeof(n->ip));
}

static bool address_is(const struct node *n, const struct endpoint *e)
{
	return n->family == e->ip.family && n->port == e->port && memcmp(n->ip, e->ip.b, sizeof(n->ip)) == 0;
}

void node_tell(const struct node *n, struct gossip_member *ret)
{
	*ret = (struct gossip_member){.id = n->id,
				      .address = node_address(n),
				      .incarnation = n->incarnation,
				      .status = (enum gossip_status)n->status};
}

static uint64_t node_hash(const struct node *n)
{
	uint64_t w[4];

	memcpy(w, n->id.b, sizeof(n->id.b));
	w[2] = n->incarnation;
	w[3] = n->port;
	return hash64(w, sizeof(w), 1);
}

void members_sum(struct gossip *g, const struct node *n, uint64_t h, bool add)
{
	g->sums[n->id.b[0]] += add ? h : -h;
	g->sum += add ? h : -h;
}

static void action_member(struct gossip *g, enum gossip_action_kind kind, const struct node *n)
{
	node_tell(n, &action_push(g, kind, NULL, 0)->member);
}

/* Into the round, at a random place of what is left of it */
static void live_add(struct gossip *g, uint32_t n)
{
	size_t at;

	xgrow(&g->live, g->n_live, &g->cap_live);
	at = g->n_live++;
	g->live[at] = n;
	g->nodes[n].live = (uint32_t)at;
	if (at > g->round) {
		size_t to = g->round + gossip_random(g) % (at + 1 - g->round);
		uint32_t other = g->live[to];

		g->live[to] = n;
		g->live[at] = other;
		g->nodes[n].live = (uint32_t)to;
		g->nodes[other].live = (uint32_t)at;
	}
}

static void live_remove(struct gossip *g, uint32_t n)
{
	uint32_t at = g->nodes[n].live, last = g->live[--g->n_live];

	g->live[at] = last;
	g->nodes[last].live = at;
	g->nodes[n].live = NONE;
}

uint32_t node_random(struct gossip *g)
{
	return g->n_live ? g->live[gossip_random(g) % g->n_live] : NONE;
}

static void node_free(struct gossip *g, uint32_t n)
{
	struct node *node = &g->nodes[n];

	index_remove(g, n);
	queue_drop(g, &node->update);
	*(node->status == GOSSIP_LEFT ? &g->n_left : &g->n_dead) -= 1;
	node->status = FREE;
	node->since = g->free_node;
	g->free_node = n;
	g->n_used--;
}

/* Room for another one: of those that are gone the one that is so longest gives way */
static bool evict(struct gossip *g)
{
	uint32_t oldest = NONE;

	for (uint32_t n = 1; n < g->n_nodes; n++) {
		const struct node *node = &g->nodes[n];

		if ((node->status == GOSSIP_DEAD || node->status == GOSSIP_LEFT) &&
		    (oldest == NONE || node->since < g->nodes[oldest].since))
			oldest = n;
	}
	if (oldest == NONE)
		return false;
	node_free(g, oldest);
	return true;
}

/* Return: NONE: there are too many */
static uint32_t node_add(struct gossip *g, const struct gossip_update *u, enum gossip_status status)
{
	struct node *node;
	uint32_t n;

	if (g->n_used >= GOSSIP_MEMBERS && (status != GOSSIP_ALIVE || !evict(g))) {
		g->counts[GOSSIP_COUNT_FULL]++;
		return NONE;
	}
	if (g->free_node != NONE) {
		n = g->free_node;
		g->free_node = g->nodes[n].since;
	} else {
		xgrow(&g->nodes, g->n_nodes, &g->cap_nodes);
		n = (uint32_t)g->n_nodes++;
	}
	node = &g->nodes[n];
	*node = (struct node){
		.id = u->id, .status = (uint8_t)status, .live = NONE, .incarnation = u->incarnation, .update = NONE};
	node_set_address(node, &u->address);
	g->n_used++;
	if (g->n_used * 4 > g->index_size * 3)
		index_build(g, g->index_size * 2);
	else
		index_add(g, n);
	return n;
}

void members_init(struct gossip *g, const struct endpoint *address, uint64_t incarnation)
{
	struct gossip_update u = {.id = g->id, .incarnation = incarnation, .address = *address};

	g->free_node = NONE;
	g->index_size = 16;
	g->index = xcalloc(g->index_size, sizeof(*g->index));
	node_add(g, &u, GOSSIP_ALIVE);
	members_sum(g, &g->nodes[0], node_hash(&g->nodes[0]), true);
}

void members_done(struct gossip *g)
{
	for (size_t n = 0; n < g->n_nodes; n++) {
		struct fact *next;

		for (struct fact *f = g->nodes[n].status == FREE ? NULL : g->nodes[n].facts; f; f = next) {
			next = f->next;
			free(f);
		}
	}
	free(g->nodes);
	free(g->index);
	free(g->live);
	free(g->suspicions);
}

void node_update(const struct gossip *g, const struct node *n, struct gossip_update *ret)
{
	static const enum gossip_update_kind kinds[] = {
		[GOSSIP_ALIVE] = GOSSIP_UPDATE_ALIVE,
		[GOSSIP_SUSPECT] = GOSSIP_UPDATE_SUSPECT,
		[GOSSIP_DEAD] = GOSSIP_UPDATE_DEAD,
		[GOSSIP_LEFT] = GOSSIP_UPDATE_LEFT,
	};

	*ret = (struct gossip_update){.kind = kinds[n->status], .id = n->id, .incarnation = n->incarnation};
	if (n->status == GOSSIP_SUSPECT) {
		const struct suspicion *s = &g->suspicions[n->since];

		ret->n_by = s->n_by;
		memcpy(ret->by, s->by, sizeof(ret->by));
	}
	if (n->status == GOSSIP_ALIVE)
		ret->address = node_address(n);
	if (n == &g->nodes[0] && g->leaving)
		ret->kind = GOSSIP_UPDATE_LEFT;
}

/* --- updates --- */

void member_refute(struct gossip *g, int64_t now_us, uint64_t incarnation, bool was_dead)
{
	struct node *self = &g->nodes[0];

	if (g->leaving || incarnation < self->incarnation)
		return;
	members_sum(g, self, node_hash(self), false);
	self->incarnation = incarnation + 1;
	members_sum(g, self, node_hash(self), true);
	g->counts[GOSSIP_COUNT_REFUTED]++;
	queue_node(g, now_us, 0);
	if (was_dead)
		facts_tell(g, now_us); /* they were thrown away with us */
}

/* Alive, as of a higher incarnation than before */
static void revive(struct gossip *g, int64_t now_us, uint32_t n, uint64_t incarnation, const struct endpoint *address)
{
	struct node *node = &g->nodes[n];
	bool moved = address && !address_is(node, address), was = node_lives(node);

	if (was)
		members_sum(g, node, node_hash(node), false);
	if (node->status == GOSSIP_SUSPECT)
		suspicion_end(g, n);
	if (node->status == GOSSIP_DEAD)
		g->n_dead--;
	if (node->status == GOSSIP_LEFT)
		g->n_left--;
	node->status = GOSSIP_ALIVE;
	node->incarnation = incarnation;
	if (moved)
		node_set_address(node, address);
	if (!was) {
		live_add(g, n);
		node->since = (uint32_t)(now_us / USEC_PER_SEC);
	}
	members_sum(g, node, node_hash(node), true);
	if (!was || moved)
		action_member(g, GOSSIP_UP, node);
}

/* What a stream tells is told on unless it is half the world */
static bool worth_telling(struct stream *s)
{
	return !s || ++s->news <= SYNC_NEWS;
}

bool member_alive(struct gossip *g, int64_t now_us, const struct gossip_update *u, struct stream *s)
{
	uint32_t n = node_find(g, &u->id);
	bool was_dead;

	if (n == 0) {
		struct node *self = &g->nodes[0];

		/* An earlier run of ours, or where we were before */
		if (u->incarnation > self->incarnation ||
		    (u->incarnation == self->incarnation && !address_is(self, &u->address)))
			member_refute(g, now_us, u->incarnation, false);
		return false;
	}
	if (n == NONE) {
		n = node_add(g, u, GOSSIP_ALIVE);
		if (n == NONE)
			return false;
		live_add(g, n);
		members_sum(g, &g->nodes[n], node_hash(&g->nodes[n]), true);
		action_member(g, GOSSIP_UP, &g->nodes[n]);
		if (worth_telling(s))
			queue_node(g, now_us, n);
		return true;
	}
	if (u->incarnation <= g->nodes[n].incarnation)
		return false;
	was_dead = g->nodes[n].status == GOSSIP_DEAD;
	revive(g, now_us, n, u->incarnation, &u->address);
	if (worth_telling(s))
		queue_node(g, now_us, n);
	/* Back from the other side of a partition: it knows others there */
	if (was_dead && !s)
		sync_with(g, now_us, n);
	return true;
}

void member_proven(struct gossip *g, int64_t now_us, uint32_t n, uint64_t incarnation)
{
	bool was_dead = g->nodes[n].status == GOSSIP_DEAD;

	if (n == 0 || incarnation <= g->nodes[n].incarnation)
		return;
	revive(g, now_us, n, incarnation, NULL);
	queue_node(g, now_us, n);
	if (was_dead)
		sync_with(g, now_us, n);
}

bool member_suspect(struct gossip *g, int64_t now_us, const struct gossip_update *u)
{
	uint32_t n = node_find(g, &u->id);

	if (n == 0) {
		if (u->incarnation >= g->nodes[0].incarnation)
			health_change(g, 1);
		member_refute(g, now_us, u->incarnation, false);
		return false;
	}
	if (n == NONE || u->incarnation < g->nodes[n].incarnation)
		return false;
	if (!node_lives(&g->nodes[n]) && u->incarnation == g->nodes[n].incarnation)
		return false;
	if (u->incarnation > g->nodes[n].incarnation)
		revive(g, now_us, n, u->incarnation, NULL);
	if (!suspicion_add(g, now_us, n, u->by, u->n_by, false))
		return false;
	queue_node(g, now_us, n);
	return true;
}

bool member_gone(struct gossip *g, int64_t now_us, const struct gossip_id *id, uint64_t incarnation,
		 enum gossip_status status)
{
	uint32_t n = node_find(g, id);
	struct node *node = n == NONE ? NULL : &g->nodes[n];

	if (n == 0) {
		member_refute(g, now_us, incarnation, true);
		return false;
	}
	if (!node || incarnation < node->incarnation)
		return false;
	if (!node_lives(node)) {
		/* who has left does not die as well */
		if (incarnation == node->incarnation && (status == GOSSIP_DEAD || node->status == GOSSIP_LEFT))
			return false;
		*(node->status == GOSSIP_LEFT ? &g->n_left : &g->n_dead) -= 1;
	} else {
		members_sum(g, node, node_hash(node), false);
		facts_drop(g, node);
		if (node->status == GOSSIP_SUSPECT)
			suspicion_end(g, n);
		live_remove(g, n);
		node->status = (uint8_t)status;
		action_member(g, GOSSIP_DOWN, node);
	}
	node->incarnation = incarnation;
	node->status = (uint8_t)status;
	node->since = (uint32_t)(now_us / USEC_PER_SEC);
	*(status == GOSSIP_LEFT ? &g->n_left : &g->n_dead) += 1;
	queue_node(g, now_us, n);
	return true;
}

bool member_lost(struct gossip *g, int64_t now_us, const struct gossip_update *u, struct stream *s)
{
	uint32_t n = node_find(g, &u->id);
	struct gossip_update dead = {.kind = GOSSIP_UPDATE_DEAD, .id = u->id, .incarnation = u->incarnation};
	struct gossip_writer w;
	uint8_t data[GOSSIP_DATAGRAM];
	struct endpoint to;

	if (n == 0) {
		member_refute(g, now_us, u->incarnation, true);
		return false;
	}
	if (n == NONE) {
		/* It may be alive on the far side of a partition, and is pinged from now on */
		n = node_add(g, u, GOSSIP_DEAD);
		if (n != NONE) {
			g->nodes[n].since = (uint32_t)(now_us / USEC_PER_SEC);
			g->n_dead++;
		}
		return false;
	}
	if (u->incarnation < g->nodes[n].incarnation || !node_lives(&g->nodes[n]) || (s && ++s->told > SYNC_TELL))
		return false;
	message_begin(g, &w, data, GOSSIP_NEWS, 0, NULL);
	gossip_update_write(&w, &dead);
	to = node_address(&g->nodes[n]);
	message_send(g, &to, &w);
	/* and we look for ourselves, since its turn may be minutes away */
	probe_start(g, now_us, n, PROBE_LOST);
	return false;
}

bool member_was_away(const struct gossip *g, int64_t now_us, uint32_t n)
{
	const struct node *node = &g->nodes[n];

	if (!node_lives(node))
		return true;
	return node->status == GOSSIP_ALIVE && node->since && (uint32_t)(now_us / USEC_PER_SEC) - node->since <= AWAY_S;
}

/*
 * Who comes back from the far side of a cut tells of deaths that it saw there: of all of us, if it was alone. None of
 * that is news where they are alive; they hear of it from itself, and refute
 */
bool member_gone_by(struct gossip *g, int64_t now_us, const struct gossip_update *u, bool away)
{
	uint32_t n = node_find(g, &u->id);

	if (away && n != NONE && n != 0 && g->nodes[n].status == GOSSIP_ALIVE)
		return false;
	return member_gone(g, now_us, &u->id, u->incarnation, GOSSIP_DEAD);
}

void members_expire(struct gossip *g, int64_t now_us)
{
	uint32_t now_s = (uint32_t)(now_us / USEC_PER_SEC);

	for (uint32_t n = 1; g->n_left > 0 && n < g->n_nodes; n++) {
		if (g->nodes[n].status == GOSSIP_LEFT && now_s - g->nodes[n].since > LEFT_S)
			node_free(g, n);
	}
}
