/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams: joining, and comparing what two members know.
 *
 *	who opens                      who accepts
 *	SUMS, and who I am  ---------> takes me in
 *	takes them          <--------- RECORDS of all buckets whose sums differ, in frames; the last says so
 *	RECORDS of the same buckets -> takes them, closes
 *
 * A member that joins has all buckets but its own empty, and so learns everything. A PING over a stream is answered by
 * an ACK: it shows that the member lives though datagrams do not arrive.
 */
#include "discovery/gossip_state.h"

static struct stream *stream_find(const struct gossip *g, uint32_t number)
{
	for (size_t i = 0; i < g->n_streams; i++) {
		if (g->streams[i]->number == number)
			return g->streams[i];
	}
	return NULL;
}

static struct stream *stream_add(struct gossip *g, int64_t now_us, enum stream_kind kind)
{
	struct stream *s;

	if (g->n_streams >= STREAMS || (kind != STREAM_IN && g->n_own >= STREAMS_OWN)) {
		g->counts[GOSSIP_COUNT_FULL]++;
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	if (++g->stream_number == 0)
		++g->stream_number;
	s->number = g->stream_number;
	s->kind = kind;
	s->end_us = now_us + (kind == STREAM_PROBE ? STREAM_PROBE_US : STREAM_US);
	g->n_own += kind != STREAM_IN;
	*xgrow(&g->streams, g->n_streams, &g->cap_streams) = s;
	g->n_streams++;
	return s;
}

/* It is over, well or not */
static void stream_end(struct gossip *g, int64_t now_us, struct stream *s)
{
	if (s->kind == STREAM_JOIN) {
		struct join *j = &g->joins[s->join];

		j->stream = 0;
		j->ping_us = INT64_MAX;
		if (s->heard_last)
			j->pause_us = JOIN_MIN_US;
		/* one that never opened has waited already */
		j->next_us =
			now_us + (s->heard_last			     ? JOIN_CHECK_US
				  : s->greeted || s->end_us > now_us ? gossip_jitter(g, j->pause_us / 2, j->pause_us)
								     : 0);
		if (!s->heard_last)
			j->pause_us = j->pause_us * 2 < JOIN_MAX_US ? j->pause_us * 2 : JOIN_MAX_US;
	}
	g->n_own -= s->kind != STREAM_IN;
	for (size_t i = 0; i < g->n_streams; i++) {
		if (g->streams[i] == s) {
			g->streams[i] = g->streams[--g->n_streams];
			break;
		}
	}
	free(s);
}

static void stream_close(struct gossip *g, int64_t now_us, struct stream *s)
{
	action_push(g, GOSSIP_STREAM_CLOSE, NULL, 0)->stream = s->number;
	stream_end(g, now_us, s);
}

static struct stream *stream_open(struct gossip *g, int64_t now_us, enum stream_kind kind, const struct endpoint *to)
{
	struct stream *s = stream_add(g, now_us, kind);
	struct gossip_action *a;

	if (!s)
		return NULL;
	a = action_push(g, GOSSIP_STREAM_OPEN, NULL, 0);
	a->stream = s->number;
	a->to = *to;
	return s;
}

uint32_t sync_open_probe(struct gossip *g, int64_t now_us, uint32_t n, uint32_t number)
{
	struct endpoint to = node_address(g, n);
	struct stream *s = stream_open(g, now_us, STREAM_PROBE, &to);

	if (!s)
		return 0;
	s->probe = number;
	s->at = *node_id(g, n);
	return s->number;
}

void sync_at(struct gossip *g, int64_t now_us, const struct endpoint *to)
{
	if (g->sync_us > now_us || g->leaving || !stream_open(g, now_us, STREAM_SYNC, to))
		return;
	g->counts[GOSSIP_COUNT_SYNC]++;
	g->sync_us = now_us + gossip_jitter(g, gossip_scale(g, SYNC_PAUSE_US) / 2, gossip_scale(g, SYNC_PAUSE_US));
	g->differ = 0;
	g->differ_us = now_us;
}

void sync_with(struct gossip *g, int64_t now_us, uint32_t n)
{
	struct endpoint to = node_address(g, n);

	sync_at(g, now_us, &to);
}

void sync_sum(struct gossip *g, int64_t now_us, uint32_t n, uint64_t sum)
{
	/* while much is still to be told a difference says nothing */
	if (sum == g->sum) {
		g->differ -= g->differ > 0;
		return;
	}
	if (g->n_queued > SYNC_NEWS)
		return;
	if (g->differ < DIFFER_LIMIT)
		g->differ += 2;
	/* one that differs among many who agree never comes to the limit */
	if (now_us - g->differ_us > DIFFER_MAX_US)
		g->differ_us = now_us;
	if (g->differ >= DIFFER_LIMIT || now_us - g->differ_us >= DIFFER_US)
		sync_with(g, now_us, n);
}

/* --- frames --- */

static void frame_send(struct gossip *g, struct stream *s, const struct gossip_writer *w)
{
	action_push(g, GOSSIP_STREAM_SEND, w->data, w->len)->stream = s->number;
	s->ready = false;
}

static void sums_send(struct gossip *g, struct stream *s, uint8_t *data)
{
	struct gossip_head h = {.type = GOSSIP_SUMS, .id = g->id, .incarnation = gossip_incarnation(g), .sum = g->sum};
	uint8_t sums[GOSSIP_BUCKETS * 8];
	struct gossip_update u;
	struct gossip_writer w;

	for (size_t i = 0; i < GOSSIP_BUCKETS; i++)
		gossip_put64(sums + i * 8, g->sums[i]);
	h.sums = sums;
	gossip_head_write(&w, data, FRAME_FILL, &h);
	node_update(g, g->self, &u);
	gossip_update_write(&w, &u);
	frame_send(g, s, &w);
}

/* The rest of one node's records. Return: false when they do not all fit */
static bool node_write(struct gossip *g, struct stream *s, struct gossip_writer *w, uint32_t n)
{
	const struct node *node = &g->nodes[n];
	bool resumed = s->fact_at && gossip_id_eq(&s->at, node_id(g, n));
	struct gossip_update u;

	s->fact_at = false;
	if (!resumed) {
		node_update(g, n, &u);
		if (node->status == GOSSIP_SUSPECT || node->status == GOSSIP_DEAD) {
			/* whom we suspect is first of all a member, and the suspicion is our own business */
			u.kind = node->status == GOSSIP_DEAD ? GOSSIP_UPDATE_LOST : GOSSIP_UPDATE_ALIVE;
			u.address = node_address(g, n);
		}
		if (!gossip_update_write(w, &u))
			return false;
	}
	for (const struct fact *f = node->facts; f; f = f->next) {
		if (resumed && f->key < s->fact_key)
			continue;
		fact_update(g, n, f, &u);
		if (gossip_update_write(w, &u))
			continue;
		s->fact_at = true;
		s->fact_key = f->key;
		s->at = *node_id(g, n);
		return false;
	}
	return true;
}

static void records_send(struct gossip *g, struct stream *s, uint8_t *data)
{
	struct gossip_head h = {.type = GOSSIP_RECORDS,
				.id = g->id,
				.incarnation = gossip_incarnation(g),
				.sum = g->sum,
				.buckets = s->buckets};
	struct gossip_writer w;

	gossip_head_write(&w, data, FRAME_FILL, &h);
	for (; s->cursor < g->n_nodes; s->cursor++) {
		uint8_t bucket;

		if (g->nodes[s->cursor].status == NODE_FREE)
			continue;
		bucket = node_id(g, s->cursor)->b[0];
		if (!(s->buckets[bucket / 8] & 1u << bucket % 8))
			continue;
		if (!node_write(g, s, &w, s->cursor))
			break;
	}
	s->sending = s->cursor < g->n_nodes;
	data[GOSSIP_HEAD] = !s->sending; /* last */
	frame_send(g, s, &w);
}

static void stream_pump(struct gossip *g, struct stream *s)
{
	uint8_t data[FRAME_FILL];
	struct gossip_writer w;

	if (!s->ready)
		return;
	if (s->kind != STREAM_IN && !s->greeted) {
		s->greeted = true;
		if (s->kind != STREAM_PROBE) {
			sums_send(g, s, data);
			return;
		}
		message_begin(g, &w, data, GOSSIP_PING, s->probe, &s->at);
		frame_send(g, s, &w);
	} else if (s->ack) {
		s->ack = false;
		message_begin(g, &w, data, GOSSIP_ACK, s->ack_number, NULL);
		frame_send(g, s, &w);
	} else if (s->sending) {
		records_send(g, s, data);
	}
}

static void sums_heard(struct gossip *g, struct stream *s, const struct gossip_head *h)
{
	memset(s->buckets, 0, sizeof(s->buckets));
	for (size_t i = 0; i < GOSSIP_BUCKETS; i++) {
		if (gossip_get64(h->sums + i * 8) != g->sums[i])
			s->buckets[i / 8] |= (uint8_t)(1u << i % 8);
	}
	s->sending = true;
	s->greeted = true;
	s->cursor = 0;
}

/* Return: false: the stream has ended */
static bool frame_in(struct gossip *g, int64_t now_us, struct stream *s, const struct gossip_head *h,
		     struct gossip_reader updates)
{
	if (h->type == GOSSIP_PING && gossip_id_eq(&h->target, &g->id)) {
		s->ack = true;
		s->ack_number = h->number;
		return true;
	}
	if (h->type == GOSSIP_SUMS && !s->greeted) {
		gossip_take(g, now_us, updates, NONE, s);
		sums_heard(g, s, h);
		return true;
	}
	if (h->type == GOSSIP_RECORDS && s->greeted) {
		gossip_take(g, now_us, updates, NONE, s);
		if (!h->last)
			return true;
	}
	stream_close(g, now_us, s);
	return false;
}

static bool frame_own(struct gossip *g, int64_t now_us, struct stream *s, const struct gossip_head *h,
		      struct gossip_reader updates)
{
	if (s->kind == STREAM_PROBE && h->type == GOSSIP_ACK && gossip_id_eq(&h->id, &s->at)) {
		probe_acked(g, now_us, &h->id, s->probe, false);
	} else if (s->kind != STREAM_PROBE && h->type == GOSSIP_RECORDS && !s->heard_last) {
		if (s->kind == STREAM_JOIN && gossip_id_eq(&h->id, &g->id)) {
			g->joins[s->join].own = true;
			stream_close(g, now_us, s);
			return false;
		}
		gossip_take(g, now_us, updates, NONE, s);
		memcpy(s->buckets, h->buckets, sizeof(s->buckets));
		s->heard_last = s->sending = h->last;
		return true;
	}
	stream_close(g, now_us, s);
	return false;
}

uint32_t gossip_stream_accept(struct gossip *g, mono_t now, const struct endpoint *from)
{
	struct stream *s = stream_add(g, now.us, STREAM_IN);

	(void)from;
	if (!s)
		return 0;
	s->ready = true;
	return s->number;
}

void gossip_stream_ready(struct gossip *g, mono_t now, uint32_t stream)
{
	struct stream *s = stream_find(g, stream);

	if (!s)
		return;
	if (s->kind == STREAM_JOIN && !s->greeted) /* it is open: the time of any other */
		s->end_us = now.us + STREAM_US;
	s->ready = true;
	stream_pump(g, s);
}

void gossip_stream_frame(struct gossip *g, mono_t now, uint32_t stream, const void *data, size_t len)
{
	struct stream *s = stream_find(g, stream);
	struct gossip_reader updates;
	struct gossip_head h;
	uint32_t sender;

	if (!s)
		return;
	if (gossip_decode(data, len, true, &h, &updates) < 0) {
		g->counts[GOSSIP_COUNT_BAD]++;
		stream_close(g, now.us, s);
		return;
	}
	sender = node_find(g, &h.id);
	if (sender != NONE && s->kind != STREAM_IN && s->kind != STREAM_JOIN)
		member_proven(g, now.us, sender, h.incarnation);
	if (s->kind == STREAM_IN ? frame_in(g, now.us, s, &h, updates) : frame_own(g, now.us, s, &h, updates))
		stream_pump(g, s);
}

void gossip_stream_closed(struct gossip *g, mono_t now, uint32_t stream)
{
	struct stream *s = stream_find(g, stream);

	if (s)
		stream_end(g, now.us, s);
}

/* --- joining, time --- */

static bool join_known(const struct gossip *g, const struct join *j)
{
	for (size_t i = 0; i < g->n_live; i++) {
		if (node_address_is(g, g->live[i], &j->to))
			return true;
	}
	return false;
}

static void join_ping(struct gossip *g, int64_t now_us, struct join *j)
{
	static const struct gossip_id anybody;
	uint8_t data[GOSSIP_DATAGRAM];
	struct gossip_update u;
	struct gossip_writer w;

	message_begin(g, &w, data, GOSSIP_PING, j->number, &anybody);
	node_update(g, g->self, &u);
	gossip_update_write(&w, &u);
	message_send(g, &j->to, &w);
	j->ping_us = now_us + JOIN_PING_US;
}

void join_acked(struct gossip *g, uint32_t number)
{
	for (size_t i = 0; i < g->n_joins; i++) {
		if (g->joins[i].stream && g->joins[i].number == number)
			g->joins[i].ping_us = INT64_MAX;
	}
}

void joins_set(struct gossip *g, int64_t now_us, const struct endpoint *join, size_t n)
{
	struct join old[GOSSIP_JOINS];
	size_t n_old = g->n_joins;

	memcpy(old, g->joins, sizeof(old));
	g->n_joins = n < GOSSIP_JOINS ? n : GOSSIP_JOINS;
	for (size_t i = 0; i < g->n_joins; i++) {
		g->joins[i] =
			(struct join){.to = join[i], .pause_us = JOIN_MIN_US, .ping_us = INT64_MAX, .next_us = now_us};
		for (size_t k = 0; k < n_old; k++) {
			if (old[k].to.port != join[i].port || ip_cmp(&old[k].to.ip, &join[i].ip) != 0)
				continue;
			g->joins[i] = old[k];
			old[k].to.port = 0;
		}
	}
	for (size_t i = g->n_streams; i-- > 0;) {
		struct stream *s = g->streams[i];
		bool there = s->kind != STREAM_JOIN;

		for (size_t k = 0; k < g->n_joins && !there; k++) {
			there = g->joins[k].stream == s->number;
			if (there)
				s->join = (uint8_t)k;
		}
		if (!there) /* its time ends it as well as any other */
			s->kind = STREAM_SYNC;
	}
}

void gossip_join(struct gossip *g, mono_t now, const struct endpoint *join, size_t n)
{
	joins_set(g, now.us, join, n);
	gossip_timer(g, now);
}

static void join_timer(struct gossip *g, int64_t now_us, size_t at)
{
	struct join *j = &g->joins[at];
	struct stream *s;

	if (j->stream && j->ping_us <= now_us)
		join_ping(g, now_us, j);
	if (j->own || j->stream || j->next_us > now_us)
		return;
	if (join_known(g, j)) {
		j->next_us = now_us + JOIN_CHECK_US;
		return;
	}
	j->next_us = now_us + JOIN_MIN_US;
	s = stream_open(g, now_us, STREAM_JOIN, &j->to);
	if (!s)
		return;
	s->join = (uint8_t)at;
	s->end_us = now_us + j->pause_us;
	j->stream = s->number;
	j->number = ++g->number;
	join_ping(g, now_us, j);
}

void sync_timer(struct gossip *g, int64_t now_us)
{
	for (size_t i = g->n_streams; i-- > 0;) {
		if (g->streams[i]->end_us <= now_us)
			stream_close(g, now_us, g->streams[i]);
	}
	for (size_t i = 0; i < g->n_joins && !g->leaving; i++)
		join_timer(g, now_us, i);
}

int64_t sync_due(const struct gossip *g)
{
	int64_t due_us = INT64_MAX;

	for (size_t i = 0; i < g->n_streams; i++) {
		if (g->streams[i]->end_us < due_us)
			due_us = g->streams[i]->end_us;
	}
	for (size_t i = 0; i < g->n_joins && !g->leaving; i++) {
		const struct join *j = &g->joins[i];

		if (!j->own && !j->stream && j->next_us < due_us)
			due_us = j->next_us;
		if (j->stream && j->ping_us < due_us)
			due_us = j->ping_us;
	}
	return due_us;
}

void sync_done(struct gossip *g)
{
	for (size_t i = 0; i < g->n_streams; i++)
		free(g->streams[i]);
	free(g->streams);
}
