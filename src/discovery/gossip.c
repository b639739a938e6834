/* SPDX-License-Identifier: Apache-2.0
 *
 * The events of gossip, and its timer: who is asked in which order. What each does is in the files that
 * gossip_state.h lists.
 */
#include "discovery/gossip_state.h"

#define EXPIRE_US (60 * USEC_PER_SEC)
#define AHEAD	  16

const char *const gossip_count_names[GOSSIP_COUNT_N_] = {
	[GOSSIP_COUNT_RECEIVED] = "received", [GOSSIP_COUNT_SENT] = "sent", [GOSSIP_COUNT_BAD] = "bad",
	[GOSSIP_COUNT_STRANGER] = "stranger", [GOSSIP_COUNT_FULL] = "full", [GOSSIP_COUNT_SUSPECTED] = "suspected",
	[GOSSIP_COUNT_REFUTED] = "refuted",   [GOSSIP_COUNT_SYNC] = "sync",
};

uint64_t gossip_random(struct gossip *g)
{
	g->random += UINT64_C(0x9e3779b97f4a7c15);
	return hash64(&g->random, sizeof(g->random), 0);
}

int64_t gossip_jitter(struct gossip *g, int64_t low_us, int64_t high_us)
{
	return low_us + (int64_t)(gossip_random(g) % (uint64_t)(high_us - low_us + 1));
}

int64_t gossip_scale(const struct gossip *g, int64_t us)
{
	/* log10 of 10, 20, 50, ... times 100; between them in a line */
	static const struct {
		uint32_t n, log;
	} t[] = {{10, 100},   {20, 130},   {50, 170},	{100, 200},   {200, 230},  {500, 270},
		 {1000, 300}, {2000, 330}, {5000, 370}, {10000, 400}, {20000, 430}};
	size_t n = g->n_live + 1, i = 0;

	if (n <= t[0].n)
		return us;
	while (i + 2 < ARRAY_LEN(t) && n > t[i + 1].n)
		i++;
	return us * (t[i].log + (int64_t)(n - t[i].n) * (t[i + 1].log - t[i].log) / (t[i + 1].n - t[i].n)) / 100;
}

bool gossip_allow(int64_t *bucket_us, int64_t now_us, unsigned per_s, unsigned burst)
{
	int64_t step_us = USEC_PER_SEC / per_s;

	if (*bucket_us < now_us)
		*bucket_us = now_us;
	if (*bucket_us - now_us > step_us * (burst - 1))
		return false;
	*bucket_us += step_us;
	return true;
}

struct gossip *gossip_new(const struct gossip_config *config)
{
	struct gossip *g = xcalloc(1, sizeof(*g));

	g->id = config->id;
	g->random = config->random;
	g->number = (uint32_t)gossip_random(g);
	g->suspicion_us = INT64_MAX;
	g->retry_permille = 1000;
	queue_init(g);
	g->book = config->book;
	if (g->book)
		g->book->cores++;
	else
		g->book = gossip_book_new(gossip_random(g));
	members_init(g, &config->address, config->incarnation < GOSSIP_INCARNATION_MAX / 2 ? config->incarnation : 0);
	joins_set(g, 0, config->join, config->n_join);
	return g;
}

void gossip_free(struct gossip *g)
{
	if (!g)
		return;
	members_done(g);
	gossip_book_free(g->book);
	sync_done(g);
	free(g->relays);
	free(g->updates);
	free(g->actions);
	buf_done(&g->bytes);
	free(g);
}

void gossip_load(struct gossip *g, mono_t now, const struct gossip_id *id, const struct endpoint *address,
		 uint64_t incarnation)
{
	struct gossip_update u = {
		.kind = GOSSIP_UPDATE_ALIVE, .id = *id, .address = *address, .incarnation = incarnation};
	struct stream many = {.news = SYNC_NEWS}; /* nobody is told what they know */

	if (incarnation < GOSSIP_INCARNATION_MAX)
		member_alive(g, now.us, &u, &many);
}

void gossip_start(struct gossip *g, mono_t now)
{
	g->started = true;
	g->probe_us = now.us + gossip_jitter(g, 0, PROBE_US);
	g->expire_us = now.us + EXPIRE_US;
	queue_node(g, now.us, g->self);
	gossip_timer(g, now);
}

void gossip_leave(struct gossip *g, mono_t now)
{
	if (g->leaving)
		return;
	g->leaving = true;
	g->leave_left = LEAVE_TIMES;
	g->news_us = now.us;
	gossip_timer(g, now);
}

void gossip_address(struct gossip *g, mono_t now, const struct endpoint *address)
{
	if (node_address_is(g, g->self, address))
		return;
	node_set_address(g, g->self, address);
	member_refute(g, now.us, gossip_incarnation(g), false);
}

/* What is known of those of whom a message speaks is far from the processor: asked for early it is waited for but once
 */
static void look_ahead(const struct gossip *g, struct gossip_reader *r)
{
	struct gossip_update u;
	uint16_t n;

	if (gossip_update_next(r, &u) != 1)
		return;
	n = book_id_find(g->book, &u.id);
	if (n < g->n_nodes)
		__builtin_prefetch(&g->nodes[n]);
}

void gossip_take(struct gossip *g, int64_t now_us, struct gossip_reader r, uint32_t sender, struct stream *s)
{
	/* before it is back by what it says itself */
	bool away = sender != NONE && member_was_away(g, now_us, sender);
	struct gossip_reader ahead = r;
	struct gossip_update u;

	for (size_t i = 0; i < AHEAD; i++)
		look_ahead(g, &ahead);
	while (gossip_update_next(&r, &u) == 1) {
		look_ahead(g, &ahead);
		switch (u.kind) {
		case GOSSIP_UPDATE_ALIVE:
			member_alive(g, now_us, &u, s);
			break;
		case GOSSIP_UPDATE_SUSPECT:
			member_suspect(g, now_us, &u);
			break;
		case GOSSIP_UPDATE_DEAD:
			member_gone_by(g, now_us, &u, away);
			break;
		case GOSSIP_UPDATE_LEFT:
			member_gone(g, now_us, &u.id, u.incarnation, GOSSIP_LEFT);
			break;
		case GOSSIP_UPDATE_FACT:
			fact_take(g, now_us, &u, s);
			break;
		case GOSSIP_UPDATE_LOST:
			if (s) /* each makes us send something, which a forged datagram shall not */
				member_lost(g, now_us, &u);
			break;
		}
	}
}

void gossip_datagram(struct gossip *g, mono_t now, const struct endpoint *from, const void *data, size_t len)
{
	struct gossip_reader updates;
	struct gossip_head h;
	uint32_t sender;

	g->counts[GOSSIP_COUNT_RECEIVED]++;
	if (gossip_decode(data, len, false, &h, &updates) < 0) {
		g->counts[GOSSIP_COUNT_BAD]++;
		return;
	}
	if (!g->started || g->stopped || gossip_id_eq(&h.id, &g->id))
		return;
	sender = node_find(g, &h.id);
	if (sender != NONE && node_address_is(g, sender, from))
		member_proven(g, now.us, sender, h.incarnation);
	gossip_take(g, now.us, updates, sender, NULL);
	sender = node_find(g, &h.id);
	probe_datagram(g, now.us, &h, from, sender);
	if (sender != NONE && node_lives(&g->nodes[sender]))
		sync_sum(g, now.us, sender, h.sum);
	queue_timer(g, now.us);
}

void gossip_timer(struct gossip *g, mono_t now)
{
	if (!g->started || g->stopped)
		return;
	if (!g->leaving)
		probe_timer(g, now.us);
	suspicion_timer(g, now.us);
	sync_timer(g, now.us);
	if (g->expire_us <= now.us) {
		g->expire_us = now.us + EXPIRE_US;
		members_expire(g, now.us);
	}
	queue_timer(g, now.us);
}

int64_t gossip_due(const struct gossip *g)
{
	int64_t due_us, us;

	if (!g->started || g->stopped)
		return INT64_MAX;
	due_us = g->leaving ? INT64_MAX : probe_due(g);
	us = sync_due(g);
	due_us = us < due_us ? us : due_us;
	due_us = g->suspicion_us < due_us ? g->suspicion_us : due_us;
	if (((g->n_queued > 0 && g->n_live > 0) || g->leaving) && g->news_us < due_us)
		due_us = g->news_us;
	if (g->n_left > 0 && g->expire_us < due_us)
		due_us = g->expire_us;
	return due_us;
}

/* --- what is known --- */

void gossip_members(const struct gossip *g, gossip_member_fn *fn, void *arg)
{
	struct gossip_member m;

	for (uint32_t n = 0; n < g->n_nodes; n++) {
		if (n == g->self || g->nodes[n].status == NODE_FREE)
			continue;
		node_tell(g, n, &m);
		fn(arg, &m);
	}
}

bool gossip_find(const struct gossip *g, const struct gossip_id *id, struct gossip_member *ret)
{
	uint32_t n = node_find(g, id);

	if (n != NONE)
		node_tell(g, n, ret);
	return n != NONE;
}

uint64_t gossip_incarnation(const struct gossip *g)
{
	return g->nodes[g->self].incarnation;
}

size_t gossip_alive(const struct gossip *g)
{
	return g->n_live + 1;
}

uint64_t gossip_sum(const struct gossip *g)
{
	return g->sum;
}

unsigned gossip_health(const struct gossip *g)
{
	return g->health;
}

size_t gossip_bytes(const struct gossip *g)
{
	size_t bytes = sizeof(*g) + g->cap_nodes * sizeof(*g->nodes) + book_bytes(g->book) / g->book->cores +
		       g->cap_live * sizeof(*g->live) + g->cap_suspicions * sizeof(*g->suspicions) +
		       g->cap_updates * sizeof(*g->updates) + g->cap_actions * sizeof(*g->actions) + g->bytes.cap +
		       g->n_streams * sizeof(struct stream) + g->cap_relays * sizeof(*g->relays);

	for (size_t i = 0; i < g->n_nodes; i++) {
		for (const struct fact *f = g->nodes[i].facts; f; f = f->next)
			bytes += sizeof(*f) + f->len + 16; /* the allocator's own */
	}
	return bytes;
}

const uint64_t *gossip_counts(const struct gossip *g)
{
	return g->counts;
}
