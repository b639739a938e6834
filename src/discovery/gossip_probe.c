/* SPDX-License-Identifier: Apache-2.0
 *
 * Who answers, and who does not: PING and ACK, the help of others, the health of our own, and those who are dead but
 * may not be. What is awaited here is little and bounded, so it is looked through.
 */
#include "discovery/gossip_state.h"

void health_change(struct gossip *g, int by)
{
	int to = (int)g->health + by;

	g->health = to < 0 ? 0 : to > HEALTH_MAX ? HEALTH_MAX : (unsigned)to;
}

static int64_t ack_us(const struct gossip *g)
{
	int64_t us = g->srtt_us + 4 * g->rttvar_us;

	us = us < ACK_MIN_US ? ACK_MIN_US : us > ACK_MAX_US ? ACK_MAX_US : us;
	return us * (1 + g->health);
}

/* As TCP does (RFC 6298) */
static void rtt_measured(struct gossip *g, int64_t us)
{
	int64_t off;

	if (g->srtt_us == 0) {
		g->srtt_us = us;
		g->rttvar_us = us / 2;
		return;
	}
	off = us > g->srtt_us ? us - g->srtt_us : g->srtt_us - us;
	g->rttvar_us += (off - g->rttvar_us) / 4;
	g->srtt_us += (us - g->srtt_us) / 8;
}

static void ping(struct gossip *g, uint32_t n, uint32_t number)
{
	const struct node *node = &g->nodes[n];
	struct endpoint to = node_address(g, n);
	struct gossip_update u;
	struct gossip_writer w;
	uint8_t data[GOSSIP_DATAGRAM];

	message_begin(g, &w, data, GOSSIP_PING, number, node_id(g, n));
	/* a suspect is the first who should know */
	if (node->status != GOSSIP_ALIVE) {
		node_update(g, n, &u);
		gossip_update_write(&w, &u);
	}
	if (node_lives(node))
		queue_fill(g, &w);
	message_send(g, &to, &w);
}

void probe_start(struct gossip *g, int64_t now_us, uint32_t n, enum probe_kind kind)
{
	const struct gossip_id *id = node_id(g, n);
	struct probe *p;

	for (size_t i = 0; i < g->n_probes; i++) {
		struct probe *other = &g->probes[i];

		if (!gossip_id_eq(&other->target, id) || (kind != PROBE_QUIET && other->kind == PROBE_QUIET))
			continue;
		if (kind == PROBE_LOST)
			other->kind = kind;
		return;
	}
	if (g->n_probes == PROBES)
		return;
	p = &g->probes[g->n_probes++];
	*p = (struct probe){.target = *id,
			    .number = ++g->number,
			    .kind = kind,
			    .sent_us = now_us,
			    .incarnation = g->nodes[n].incarnation,
			    .next_us = now_us + ack_us(g),
			    .deadline_us = now_us + ack_us(g) * (100 + INDIRECT_PERCENT) / 100};
	ping(g, n, p->number);
}

static void probe_remove(struct gossip *g, size_t at)
{
	g->probes[at] = g->probes[--g->n_probes];
}

void probe_acked(struct gossip *g, int64_t now_us, const struct gossip_id *by, uint32_t number, bool direct)
{
	for (size_t i = 0; i < g->n_probes; i++) {
		struct probe *p = &g->probes[i];

		if (p->number != number)
			continue;
		if (direct && !gossip_id_eq(&p->target, by))
			direct = false;
		if (direct && !p->indirect)
			rtt_measured(g, now_us - p->sent_us);
		if (p->kind == PROBE_ROUND)
			health_change(g, -1);
		probe_remove(g, i);
		return;
	}
}

/* No ACK yet: ask others, and try a stream, which a lost packet does not stop */
static void probe_indirect(struct gossip *g, int64_t now_us, struct probe *p)
{
	uint32_t n = node_find(g, &p->target), asked[INDIRECTS] = {0};
	uint8_t data[GOSSIP_DATAGRAM];
	struct gossip_writer w;
	size_t n_asked = 0;

	p->indirect = true;
	p->next_us = INT64_MAX;
	for (size_t tries = 0; n_asked < INDIRECTS && tries < (size_t)3 * INDIRECTS; tries++) {
		uint32_t helper = node_random(g);
		struct endpoint to;
		bool twice = helper == NONE || helper == n;

		for (size_t i = 0; i < n_asked; i++)
			twice |= asked[i] == helper;
		if (twice)
			continue;
		asked[n_asked++] = helper;
		to = node_address(g, helper);
		message_begin(g, &w, data, GOSSIP_PING_REQ, p->number, &p->target);
		queue_fill(g, &w);
		message_send(g, &to, &w);
		p->nacks_wanted++;
	}
	if (n != NONE)
		p->stream = sync_open_probe(g, now_us, n, p->number);
}

static void probe_failed(struct gossip *g, int64_t now_us, const struct probe *p)
{
	uint32_t n = node_find(g, &p->target);
	uint64_t by = hash64(g->id.b, sizeof(g->id.b), 3);

	/* who does not even hear from helpers has a fault of his own */
	if (p->kind == PROBE_ROUND)
		health_change(g, p->nacks_wanted ? p->nacks_wanted - p->nacks : 1);
	if (n == NONE || !node_lives(&g->nodes[n]))
		return;
	if (p->kind == PROBE_LOST && p->incarnation == g->nodes[n].incarnation) {
		member_gone(g, now_us, &p->target, g->nodes[n].incarnation, GOSSIP_DEAD);
		return;
	}
	if (suspicion_add(g, now_us, n, &by, 1, true))
		queue_node(g, now_us, n);
}

/* --- for others --- */

static const struct gossip_id anybody;

/* @sender: who asked, NONE: nobody we know; ourselves: he does not know who we are */
static void answer(struct gossip *g, enum gossip_type type, uint32_t number, const struct endpoint *to, uint32_t sender)
{
	uint8_t data[GOSSIP_DATAGRAM];
	struct gossip_writer w;
	struct gossip_update u;

	message_begin(g, &w, data, type, number, NULL);
	if (sender == g->self || (sender != NONE && g->nodes[sender].status != GOSSIP_ALIVE)) {
		node_update(g, sender, &u);
		gossip_update_write(&w, &u);
	}
	/* an address that only says that it is a member's gets no more than it sent */
	if (sender != NONE && sender != g->self && node_lives(&g->nodes[sender]) && type == GOSSIP_ACK &&
	    node_address_is(g, sender, to))
		queue_fill(g, &w);
	message_send(g, to, &w);
}

static bool stranger_allowed(struct gossip *g, int64_t now_us)
{
	if (gossip_allow(&g->stranger_us, now_us, STRANGERS_PER_S, STRANGERS_BURST))
		return true;
	g->counts[GOSSIP_COUNT_STRANGER]++;
	return false;
}

static void relay_start(struct gossip *g, int64_t now_us, const struct gossip_head *h, const struct endpoint *from,
			uint32_t sender)
{
	uint32_t n = node_find(g, &h->target);
	struct relay *r;

	if (sender == NONE || n == NONE || n == g->self || g->n_relays >= RELAYS)
		return;
	r = xgrow(&g->relays, g->n_relays, &g->cap_relays);
	g->n_relays++;
	*r = (struct relay){.target = h->target,
			    .to = *from,
			    .number = ++g->number,
			    .their_number = h->number,
			    .nack_us = now_us + ack_us(g) * NACK_PERCENT / 100,
			    .end_us = now_us + ack_us(g) * 2};
	ping(g, n, r->number);
}

static void relay_acked(struct gossip *g, uint32_t number)
{
	for (size_t i = 0; i < g->n_relays; i++) {
		if (g->relays[i].number != number)
			continue;
		answer(g, GOSSIP_ACK, g->relays[i].their_number, &g->relays[i].to, NONE);
		g->relays[i] = g->relays[--g->n_relays];
		return;
	}
}

static void pinged(struct gossip *g, int64_t now_us, const struct gossip_head *h, const struct endpoint *from,
		   uint32_t sender)
{
	if (gossip_id_eq(&h->target, &anybody)) {
		if (stranger_allowed(g, now_us))
			answer(g, GOSSIP_ACK, h->number, from, g->self);
	} else if (gossip_id_eq(&h->target, &g->id) && (sender != NONE || stranger_allowed(g, now_us))) {
		answer(g, GOSSIP_ACK, h->number, from, sender);
		/* somebody knows us whom we do not know: we have forgotten something */
		if (sender == NONE)
			sync_at(g, now_us, from);
	}
}

void probe_datagram(struct gossip *g, int64_t now_us, const struct gossip_head *h, const struct endpoint *from,
		    uint32_t sender)
{
	switch (h->type) {
	case GOSSIP_PING:
		pinged(g, now_us, h, from, sender);
		break;
	case GOSSIP_ACK:
		probe_acked(g, now_us, &h->id, h->number, true);
		join_acked(g, h->number);
		relay_acked(g, h->number);
		break;
	case GOSSIP_PING_REQ:
		relay_start(g, now_us, h, from, sender);
		break;
	case GOSSIP_NACK:
		for (size_t i = 0; i < g->n_probes; i++) {
			if (g->probes[i].number == h->number && g->probes[i].nacks < g->probes[i].nacks_wanted)
				g->probes[i].nacks++;
		}
		break;
	case GOSSIP_NEWS:
	case GOSSIP_SUMS:
	case GOSSIP_RECORDS:
		break;
	}
}

/* --- the dead --- */

/* The fewer are dead the longer is a single member's share of pinging them */
static int64_t retry_due(const struct gossip *g)
{
	int64_t us;

	if (g->n_dead == 0)
		return INT64_MAX;
	us = RETRY_US * (int64_t)(g->n_live + 1) / (int64_t)g->n_dead;
	us = us < RETRY_MIN_US ? RETRY_MIN_US : us;
	return g->retry_us + us * g->retry_permille / 1000;
}

static void retry(struct gossip *g, int64_t now_us)
{
	size_t first = gossip_random(g) % g->n_nodes;

	g->retry_us = now_us;
	g->retry_permille = (int64_t)(500 + gossip_random(g) % 1001);
	for (size_t i = 0; i < g->n_nodes; i++) {
		uint32_t n = (uint32_t)((first + i) % g->n_nodes);

		if (g->nodes[n].status == GOSSIP_DEAD) {
			probe_start(g, now_us, n, PROBE_QUIET);
			return;
		}
	}
}

/* --- time --- */

static void round_next(struct gossip *g, int64_t now_us)
{
	if (g->round >= g->n_live) {
		for (size_t i = g->n_live; i-- > 1;) {
			size_t j = gossip_random(g) % (i + 1);
			uint16_t n = g->live[i];

			g->live[i] = g->live[j];
			g->live[j] = n;
			g->nodes[g->live[i]].live = (uint16_t)i;
			g->nodes[g->live[j]].live = (uint16_t)j;
		}
		g->round = 0;
	}
	probe_start(g, now_us, g->live[g->round++], PROBE_ROUND);
}

void probe_timer(struct gossip *g, int64_t now_us)
{
	for (size_t i = g->n_probes; i-- > 0;) {
		struct probe *p = &g->probes[i];

		if (p->kind == PROBE_QUIET && p->next_us <= now_us) {
			probe_remove(g, i);
		} else if (p->deadline_us <= now_us) {
			struct probe failed = *p;

			probe_remove(g, i);
			probe_failed(g, now_us, &failed);
		} else if (p->next_us <= now_us) {
			probe_indirect(g, now_us, p);
		}
	}
	for (size_t i = g->n_relays; i-- > 0;) {
		struct relay *r = &g->relays[i];

		if (!r->nacked && r->nack_us <= now_us) {
			r->nacked = true;
			answer(g, GOSSIP_NACK, r->their_number, &r->to, NONE);
		}
		if (r->end_us <= now_us)
			g->relays[i] = g->relays[--g->n_relays];
	}
	if (g->n_live > 0 && g->probe_us <= now_us) {
		g->probe_us = now_us + PROBE_US * (1 + g->health);
		round_next(g, now_us);
	}
	if (retry_due(g) <= now_us)
		retry(g, now_us);
}

int64_t probe_due(const struct gossip *g)
{
	int64_t due_us = retry_due(g);

	if (g->n_live > 0 && g->probe_us < due_us)
		due_us = g->probe_us;
	for (size_t i = 0; i < g->n_probes; i++) {
		const struct probe *p = &g->probes[i];
		int64_t us = p->next_us < p->deadline_us ? p->next_us : p->deadline_us;

		due_us = us < due_us ? us : due_us;
	}
	for (size_t i = 0; i < g->n_relays; i++) {
		int64_t us = g->relays[i].nacked ? g->relays[i].end_us : g->relays[i].nack_us;

		due_us = us < due_us ? us : due_us;
	}
	return due_us;
}
