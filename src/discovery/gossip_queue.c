/* SPDX-License-Identifier: Apache-2.0
 *
 * What is to be told: updates in lists by how often they were told already, so that the newest go first; members before
 * facts, which are long. And the queue of actions, whose bytes lie behind each other in one buffer.
 */
#include "discovery/gossip_state.h"

#define PICKED_MAX   64
#define MISFITS	     4 /* so many that do not fit are looked at: the room is used up */
#define BYTES_KEPT   4096
#define ACTIONS_KEPT 64

/* --- lists --- */

static void list_add(struct gossip *g, uint32_t at)
{
	struct update *u = &g->updates[at];
	struct level *l = &g->levels[u->fact != NULL][u->level];

	u->next = NONE;
	u->prev = l->last;
	if (l->last != NONE)
		g->updates[l->last].next = at;
	else
		l->first = at;
	l->last = at;
}

static void list_take(struct gossip *g, uint32_t at)
{
	struct update *u = &g->updates[at];
	struct level *l = &g->levels[u->fact != NULL][u->level];

	if (u->prev != NONE)
		g->updates[u->prev].next = u->next;
	else
		l->first = u->next;
	if (u->next != NONE)
		g->updates[u->next].prev = u->prev;
	else
		l->last = u->prev;
}

static void update_free(struct gossip *g, uint32_t at)
{
	g->updates[at].next = g->free_update;
	g->free_update = at;
	g->n_queued--;
	if (g->n_queued > 0 || g->cap_updates <= 64)
		return;
	/* After a storm the room that it needed is given back */
	free(g->updates);
	g->updates = NULL;
	g->n_updates = g->cap_updates = 0;
	g->free_update = NONE;
}

static void queue(struct gossip *g, int64_t now_us, uint32_t *place, uint32_t n, struct fact *f)
{
	uint32_t at = *place;

	if (at != NONE) {
		list_take(g, at);
	} else {
		if (g->free_update != NONE) {
			at = g->free_update;
			g->free_update = g->updates[at].next;
		} else {
			xgrow(&g->updates, g->n_updates, &g->cap_updates);
			at = (uint32_t)g->n_updates++;
		}
		g->n_queued++;
	}
	g->updates[at] = (struct update){.node = (uint16_t)n, .fact = f};
	*place = at;
	list_add(g, at);
	if (g->news_us < now_us)
		g->news_us = now_us;
}

void queue_node(struct gossip *g, int64_t now_us, uint32_t n)
{
	queue(g, now_us, &g->nodes[n].update, n, NULL);
}

void queue_fact(struct gossip *g, int64_t now_us, uint32_t n, struct fact *f)
{
	queue(g, now_us, &f->update, n, f);
}

void queue_drop(struct gossip *g, uint32_t *update)
{
	uint32_t at = *update;

	if (at == NONE)
		return;
	*update = NONE;
	list_take(g, at);
	update_free(g, at);
}

void queue_init(struct gossip *g)
{
	g->free_update = NONE;
	for (size_t i = 0; i < 2; i++) {
		for (size_t j = 0; j < LEVELS; j++)
			g->levels[i][j] = (struct level){NONE, NONE};
	}
}

/* ceil(log10(members + 1)) times, as memberlist does; when there is much to tell, comparing does the rest of the facts
 */
static uint8_t told_limit(const struct gossip *g, bool fact)
{
	unsigned digits = 1;

	if (fact && g->n_queued > SYNC_NEWS)
		return RETELL_FACT;
	for (size_t n = g->n_live + 1; n >= 10; n /= 10)
		digits++;
	return (uint8_t)((fact ? RETELL_FACT : RETELL) * digits);
}

static void told(struct gossip *g, uint32_t at)
{
	struct update *u = &g->updates[at];

	if (++u->level < told_limit(g, u->fact != NULL)) {
		list_add(g, at);
		return;
	}
	*(u->fact ? &u->fact->update : &g->nodes[u->node].update) = NONE;
	update_free(g, at);
}

/* As look_ahead() in gossip.c: a datagram speaks of up to 40 members, and of each there is something here and there */
static void look_ahead(const struct gossip *g)
{
	uint32_t nodes[PICKED_MAX];
	size_t n = 0;

	for (size_t j = 0; j < LEVELS; j++) {
		for (uint32_t at = g->levels[0][j].first; at != NONE && n < PICKED_MAX; at = g->updates[at].next) {
			nodes[n] = g->updates[at].node;
			__builtin_prefetch(&g->nodes[nodes[n++]]);
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (g->nodes[nodes[i]].status == GOSSIP_SUSPECT)
			__builtin_prefetch(&g->suspicions[g->nodes[nodes[i]].since]);
	}
}

void queue_fill(struct gossip *g, struct gossip_writer *w)
{
	uint32_t picked[PICKED_MAX];
	size_t n_picked = 0;

	if (g->n_queued > MISFITS)
		look_ahead(g);
	for (size_t i = 0; i < 2 && g->n_queued > 0; i++) {
		unsigned misfits = 0;

		for (size_t j = 0; j < LEVELS; j++) {
			uint32_t next, at = g->levels[i][j].first;

			for (; at != NONE && n_picked < PICKED_MAX && misfits < MISFITS; at = next) {
				struct update *u = &g->updates[at];
				struct gossip_update out;

				next = u->next;
				if (u->fact)
					fact_update(g, u->node, u->fact, &out);
				else
					node_update(g, u->node, &out);
				if (!gossip_update_write(w, &out)) {
					misfits++;
					continue;
				}
				list_take(g, at);
				picked[n_picked++] = at;
			}
		}
	}
	for (size_t i = 0; i < n_picked; i++)
		told(g, picked[i]);
}

/* --- messages --- */

void message_begin(struct gossip *g, struct gossip_writer *w, void *data, enum gossip_type type, uint32_t number,
		   const struct gossip_id *target)
{
	struct gossip_head h = {
		.type = type, .id = g->id, .incarnation = gossip_incarnation(g), .sum = g->sum, .number = number};

	if (target)
		h.target = *target;
	gossip_head_write(w, data, GOSSIP_DATAGRAM, &h);
}

void message_send(struct gossip *g, const struct endpoint *to, const struct gossip_writer *w)
{
	struct gossip_action *a = action_push(g, GOSSIP_SEND, w->data, w->len);

	a->to = *to;
	g->counts[GOSSIP_COUNT_SENT]++;
}

/* One datagram of news to @n. Return: false when there are none */
static bool news_send(struct gossip *g, uint32_t n)
{
	struct endpoint to = node_address(g, n);
	uint8_t data[GOSSIP_DATAGRAM];
	struct gossip_writer w;

	message_begin(g, &w, data, GOSSIP_NEWS, 0, NULL);
	queue_fill(g, &w);
	if (w.len == GOSSIP_HEAD)
		return false;
	message_send(g, &to, &w);
	return true;
}

/* The last of our words go to as many as possible, not to three */
static void leave_send(struct gossip *g, int64_t now_us)
{
	struct gossip_update u;
	uint8_t data[GOSSIP_DATAGRAM];
	struct gossip_writer w;
	size_t n = g->n_live < LEAVE_DIRECT ? g->n_live : LEAVE_DIRECT;
	size_t first = g->n_live ? gossip_random(g) % g->n_live : 0;

	node_update(g, g->self, &u);
	message_begin(g, &w, data, GOSSIP_NEWS, 0, NULL);
	gossip_update_write(&w, &u);
	for (size_t i = 0; i < n; i++) {
		struct endpoint to = node_address(g, g->live[(first + i) % g->n_live]);

		message_send(g, &to, &w);
	}
	g->news_us = now_us + LEAVE_US;
	if (n > 0 && --g->leave_left > 0)
		return;
	g->leave_left = 0;
	g->stopped = true;
	action_push(g, GOSSIP_STOPPED, NULL, 0);
}

void queue_timer(struct gossip *g, int64_t now_us)
{
	size_t first, n = g->n_live < FANOUT ? g->n_live : FANOUT;

	if (g->news_us > now_us || g->stopped)
		return;
	if (g->leaving) {
		leave_send(g, now_us);
		return;
	}
	if (g->n_queued == 0 || n == 0)
		return;
	first = gossip_random(g) % g->n_live;
	for (size_t i = 0; i < n && g->n_queued > 0; i++) {
		/* neighbours in live[] are as random as any, since it is shuffled each round */
		if (!news_send(g, g->live[(first + i) % g->n_live]))
			break;
	}
	g->news_us = now_us + GOSSIP_US;
}

/* --- actions --- */

struct gossip_action *action_push(struct gossip *g, enum gossip_action_kind kind, const void *data, size_t len)
{
	struct gossip_action *a = xgrow(&g->actions, g->n_actions, &g->cap_actions);

	g->n_actions++;
	a->kind = kind;
	a->data = (const void *)(uintptr_t)g->bytes.len; /* NOLINT(performance-no-int-to-ptr): the buffer may move */
	a->len = len;
	if (len)
		buf_append(&g->bytes, data, len);
	return a;
}

bool gossip_next_action(struct gossip *g, struct gossip_action *ret)
{
	if (g->action_head == g->n_actions) {
		g->action_head = g->n_actions = g->bytes.len = 0;
		if (g->bytes.cap > BYTES_KEPT)
			buf_done(&g->bytes);
		if (g->cap_actions > ACTIONS_KEPT) {
			free(g->actions);
			g->actions = NULL;
			g->cap_actions = 0;
		}
		return false;
	}
	*ret = g->actions[g->action_head++];
	ret->data = ret->len ? g->bytes.data + (uintptr_t)ret->data : NULL;
	return true;
}
