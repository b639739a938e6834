/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of members, and what an update does to it. Of two things said about a member the one with the higher
 * incarnation is right; of the same incarnation the worse one, since only the member itself can count up.
 */
#include "discovery/gossip_state.h"

const char *const gossip_status_names[GOSSIP_STATUS_N_] = {
	[GOSSIP_ALIVE] = "alive", [GOSSIP_SUSPECT] = "suspect", [GOSSIP_DEAD] = "dead", [GOSSIP_LEFT] = "left"};

/* --- nodes --- */

uint32_t node_find(const struct gossip *g, const struct gossip_id *id)
{
	uint16_t n = book_id_find(g->book, id);

	return n < g->n_nodes && g->nodes[n].status != NODE_FREE ? n : NONE;
}

const struct gossip_id *node_id(const struct gossip *g, uint32_t n)
{
	return book_id(g->book, (uint16_t)n);
}

struct endpoint node_address(const struct gossip *g, uint32_t n)
{
	return book_address(g->book, g->nodes[n].address);
}

bool node_address_is(const struct gossip *g, uint32_t n, const struct endpoint *e)
{
	return book_address_is(g->book, g->nodes[n].address, e);
}

void node_set_address(struct gossip *g, uint32_t n, const struct endpoint *e)
{
	uint16_t old = g->nodes[n].address, to = book_address_add(g->book, e);

	if (to == BOOK_NONE)
		return;
	g->nodes[n].address = to;
	book_address_drop(g->book, old);
}

void node_tell(const struct gossip *g, uint32_t n, struct gossip_member *ret)
{
	const struct node *node = &g->nodes[n];

	*ret = (struct gossip_member){.id = *node_id(g, n),
				      .address = node_address(g, n),
				      .incarnation = node->incarnation,
				      .status = (enum gossip_status)node->status};
}

static uint64_t node_hash(const struct gossip *g, uint32_t n)
{
	uint64_t w[4];

	memcpy(w, node_id(g, n), sizeof(struct gossip_id));
	w[2] = g->nodes[n].incarnation;
	w[3] = node_address(g, n).port;
	return hash64(w, sizeof(w), 1);
}

void members_sum(struct gossip *g, uint32_t n, uint64_t h, bool add)
{
	g->sums[node_id(g, n)->b[0]] += add ? h : -h;
	g->sum += add ? h : -h;
}

static void action_member(struct gossip *g, enum gossip_action_kind kind, uint32_t n)
{
	node_tell(g, n, &action_push(g, kind, NULL, 0)->member);
}

/* Into the round, at a random place of what is left of it */
static void live_add(struct gossip *g, uint32_t n)
{
	size_t at;

	xgrow(&g->live, g->n_live, &g->cap_live);
	at = g->n_live++;
	g->live[at] = (uint16_t)n;
	g->nodes[n].live = (uint16_t)at;
	if (at > g->round) {
		size_t to = g->round + gossip_random(g) % (at + 1 - g->round);
		uint16_t other = g->live[to];

		g->live[to] = (uint16_t)n;
		g->live[at] = other;
		g->nodes[n].live = (uint16_t)to;
		g->nodes[other].live = (uint16_t)at;
	}
}

static void live_remove(struct gossip *g, uint32_t n)
{
	uint16_t at = g->nodes[n].live, last = g->live[--g->n_live];

	g->live[at] = last;
	g->nodes[last].live = at;
	g->nodes[n].live = BOOK_NONE;
}

uint32_t node_random(struct gossip *g)
{
	return g->n_live ? g->live[gossip_random(g) % g->n_live] : NONE;
}

static void node_free(struct gossip *g, uint32_t n)
{
	struct node *node = &g->nodes[n];

	queue_drop(g, &node->update);
	*(node->status == GOSSIP_LEFT ? &g->n_left : &g->n_dead) -= 1;
	book_address_drop(g->book, node->address);
	book_id_drop(g->book, (uint16_t)n);
	*node = (struct node){.status = NODE_FREE};
	g->n_used--;
}

/* Room for another one: of those that are gone the one that is so longest gives way */
static bool evict(struct gossip *g)
{
	uint32_t oldest = NONE;

	for (uint32_t n = 0; n < g->n_nodes; n++) {
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

/* Lines of the cache hold two each, as long as none is in two of them */
static void nodes_reach(struct gossip *g, uint16_t n)
{
	size_t cap = (size_t)n + 1 > g->book->ids.n ? (size_t)n + 1 : g->book->ids.n;
	struct node *nodes;

	if (n >= g->cap_nodes) {
		cap = (cap + cap / 8 + 16) & ~(size_t)1;
		nodes = aligned_alloc(64, cap * sizeof(*nodes));
		if (!nodes)
			abort();
		if (g->n_nodes)
			memcpy(nodes, g->nodes, g->n_nodes * sizeof(*nodes));
		free(g->nodes);
		g->nodes = nodes;
		g->cap_nodes = cap;
	}
	for (; g->n_nodes <= n; g->n_nodes++)
		g->nodes[g->n_nodes] = (struct node){.status = NODE_FREE};
}

/* Return: NONE: there are too many */
static uint32_t node_add(struct gossip *g, const struct gossip_update *u, enum gossip_status status)
{
	uint16_t n = BOOK_NONE, address = BOOK_NONE;

	if (g->n_used < GOSSIP_MEMBERS || (status == GOSSIP_ALIVE && evict(g)))
		n = book_id_add(g->book, &u->id);
	if (n != BOOK_NONE)
		address = book_address_add(g->book, &u->address);
	if (address == BOOK_NONE) {
		if (n != BOOK_NONE)
			book_id_drop(g->book, n);
		g->counts[GOSSIP_COUNT_FULL]++;
		return NONE;
	}
	nodes_reach(g, n);
	g->nodes[n] = (struct node){.status = (uint8_t)status,
				    .live = BOOK_NONE,
				    .incarnation = u->incarnation,
				    .address = address,
				    .update = NONE};
	g->n_used++;
	return n;
}

void members_init(struct gossip *g, const struct endpoint *address, uint64_t incarnation)
{
	struct gossip_update u = {.id = g->id, .incarnation = incarnation, .address = *address};

	g->self = node_add(g, &u, GOSSIP_ALIVE);
	if (g->self == NONE)
		abort(); /* a shared book that is full */
	members_sum(g, g->self, node_hash(g, g->self), true);
}

void members_done(struct gossip *g)
{
	for (size_t n = 0; n < g->n_nodes; n++) {
		struct fact *next;

		if (g->nodes[n].status == NODE_FREE)
			continue;
		for (struct fact *f = g->nodes[n].facts; f; f = next) {
			next = f->next;
			free(f);
		}
		book_address_drop(g->book, g->nodes[n].address);
		book_id_drop(g->book, (uint16_t)n);
	}
	free(g->nodes);
	free(g->live);
	free(g->suspicions);
}

void node_update(const struct gossip *g, uint32_t n, struct gossip_update *ret)
{
	const struct node *node = &g->nodes[n];
	static const enum gossip_update_kind kinds[] = {
		[GOSSIP_ALIVE] = GOSSIP_UPDATE_ALIVE,
		[GOSSIP_SUSPECT] = GOSSIP_UPDATE_SUSPECT,
		[GOSSIP_DEAD] = GOSSIP_UPDATE_DEAD,
		[GOSSIP_LEFT] = GOSSIP_UPDATE_LEFT,
	};

	*ret = (struct gossip_update){
		.kind = kinds[node->status], .id = *node_id(g, n), .incarnation = node->incarnation};
	if (node->status == GOSSIP_SUSPECT) {
		const struct suspicion *s = &g->suspicions[node->since];

		ret->n_by = s->n_by;
		memcpy(ret->by, s->by, sizeof(ret->by));
	}
	if (node->status == GOSSIP_ALIVE)
		ret->address = node_address(g, n);
	if (n == g->self && g->leaving)
		ret->kind = GOSSIP_UPDATE_LEFT;
}

/* --- updates --- */

void member_refute(struct gossip *g, int64_t now_us, uint64_t incarnation, bool was_dead)
{
	struct node *self = &g->nodes[g->self];

	if (g->leaving || incarnation < self->incarnation)
		return;
	members_sum(g, g->self, node_hash(g, g->self), false);
	self->incarnation = incarnation + 1;
	members_sum(g, g->self, node_hash(g, g->self), true);
	g->counts[GOSSIP_COUNT_REFUTED]++;
	queue_node(g, now_us, g->self);
	if (was_dead)
		facts_tell(g, now_us); /* they were thrown away with us */
}

/* Alive, as of a higher incarnation than before */
static void revive(struct gossip *g, int64_t now_us, uint32_t n, uint64_t incarnation, const struct endpoint *address)
{
	struct node *node = &g->nodes[n];
	bool moved = address && !node_address_is(g, n, address), was = node_lives(node);

	if (was)
		members_sum(g, n, node_hash(g, n), false);
	if (node->status == GOSSIP_SUSPECT)
		suspicion_end(g, n);
	if (node->status == GOSSIP_DEAD)
		g->n_dead--;
	if (node->status == GOSSIP_LEFT)
		g->n_left--;
	node->status = GOSSIP_ALIVE;
	node->incarnation = incarnation;
	if (moved)
		node_set_address(g, n, address);
	if (!was) {
		live_add(g, n);
		node->since = (uint32_t)(now_us / USEC_PER_SEC);
	}
	members_sum(g, n, node_hash(g, n), true);
	if (!was || moved)
		action_member(g, GOSSIP_UP, n);
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

	if (n == g->self) {
		const struct node *self = &g->nodes[n];

		/* An earlier run of ours, or where we were before */
		if (u->incarnation > self->incarnation ||
		    (u->incarnation == self->incarnation && !node_address_is(g, n, &u->address)))
			member_refute(g, now_us, u->incarnation, false);
		return false;
	}
	if (n == NONE) {
		n = node_add(g, u, GOSSIP_ALIVE);
		if (n == NONE)
			return false;
		live_add(g, n);
		members_sum(g, n, node_hash(g, n), true);
		action_member(g, GOSSIP_UP, n);
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

	if (n == g->self || incarnation <= g->nodes[n].incarnation)
		return;
	revive(g, now_us, n, incarnation, NULL);
	queue_node(g, now_us, n);
	if (was_dead)
		sync_with(g, now_us, n);
}

bool member_suspect(struct gossip *g, int64_t now_us, const struct gossip_update *u)
{
	uint32_t n = node_find(g, &u->id);

	if (n == g->self) {
		if (u->incarnation >= g->nodes[n].incarnation)
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

	if (n == g->self) {
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
		members_sum(g, n, node_hash(g, n), false);
		facts_drop(g, n);
		if (node->status == GOSSIP_SUSPECT)
			suspicion_end(g, n);
		live_remove(g, n);
		node->status = (uint8_t)status;
		action_member(g, GOSSIP_DOWN, n);
	}
	node->incarnation = incarnation;
	node->status = (uint8_t)status;
	node->since = (uint32_t)(now_us / USEC_PER_SEC);
	*(status == GOSSIP_LEFT ? &g->n_left : &g->n_dead) += 1;
	queue_node(g, now_us, n);
	return true;
}

bool member_lost(struct gossip *g, int64_t now_us, const struct gossip_update *u)
{
	uint32_t n = node_find(g, &u->id);
	struct gossip_update dead = {.kind = GOSSIP_UPDATE_DEAD, .id = u->id, .incarnation = u->incarnation};
	struct gossip_writer w;
	uint8_t data[GOSSIP_DATAGRAM];
	struct endpoint to;

	if (n == g->self) {
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
	if (u->incarnation < g->nodes[n].incarnation || !node_lives(&g->nodes[n]) ||
	    !gossip_allow(&g->lost_us, now_us, LOST_PER_S, LOST_BURST))
		return false;
	message_begin(g, &w, data, GOSSIP_NEWS, 0, NULL);
	gossip_update_write(&w, &dead);
	to = node_address(g, n);
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

	if (away && n != NONE && n != g->self && g->nodes[n].status == GOSSIP_ALIVE)
		return false;
	return member_gone(g, now_us, &u->id, u->incarnation, GOSSIP_DEAD);
}

void members_expire(struct gossip *g, int64_t now_us)
{
	uint32_t now_s = (uint32_t)(now_us / USEC_PER_SEC);

	for (uint32_t n = 0; g->n_left > 0 && n < g->n_nodes; n++) {
		if (g->nodes[n].status == GOSSIP_LEFT && now_s - g->nodes[n].since > LEFT_S)
			node_free(g, n);
	}
}
