/* SPDX-License-Identifier: Apache-2.0
 *
 * Gossip, rule by rule; how a cluster of it behaves is what tests/sim shows. One core here, and the test speaks for all
 * others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "discovery/gossip_wire.h"

#define START_US INT64_C(5000000)

/* struct told - The actions of one step, counted; the last of each kind kept */
struct told {
	unsigned n[GOSSIP_ACTION_KIND_N_];
	struct gossip_action last[GOSSIP_ACTION_KIND_N_];
	uint8_t data[GOSSIP_ACTION_KIND_N_][GOSSIP_FRAME_BYTES];
};

struct bench {
	struct gossip *g;
	int64_t now_us;
	struct told told;
};

static struct gossip_id id_of(uint8_t i)
{
	struct gossip_id id;

	memset(id.b, i, sizeof(id.b));
	return id;
}

static struct endpoint at(uint8_t i)
{
	uint8_t b[4] = {192, 0, 2, i};

	return (struct endpoint){.ip = ip_from_bytes(AF_INET, b), .port = 4791};
}

static mono_t now(const struct bench *b)
{
	return (mono_t){b->now_us};
}

static void listen_to(struct bench *b)
{
	struct gossip_action a;

	memset(&b->told.n, 0, sizeof(b->told.n));
	while (gossip_next_action(b->g, &a)) {
		b->told.n[a.kind]++;
		if (a.len)
			memcpy(b->told.data[a.kind], a.data, a.len);
		b->told.last[a.kind] = a;
	}
}

/* We are 1; those up to @others are known */
static struct bench *bench_new(uint8_t others, const struct endpoint *join)
{
	struct bench *b = xcalloc(1, sizeof(*b));
	struct gossip_config config = {
		.id = id_of(1), .address = at(1), .incarnation = 10, .random = 3, .join = join, .n_join = join != NULL};

	b->now_us = START_US;
	b->g = gossip_new(&config);
	for (uint8_t i = 2; i <= others; i++) {
		struct gossip_id id = id_of(i);
		struct endpoint e = at(i);

		gossip_load(b->g, now(b), &id, &e, 5);
	}
	gossip_start(b->g, now(b));
	listen_to(b);
	return b;
}

static void bench_free(struct bench *b)
{
	gossip_free(b->g);
	free(b);
}

/* Let time go by in which nobody answers */
static void wait_us(struct bench *b, int64_t us)
{
	struct told sum = {0};

	for (int64_t end_us = b->now_us + us; gossip_due(b->g) <= end_us;) {
		b->now_us = gossip_due(b->g) > b->now_us ? gossip_due(b->g) : b->now_us;
		gossip_timer(b->g, now(b));
		listen_to(b);
		for (size_t i = 0; i < GOSSIP_ACTION_KIND_N_; i++)
			sum.n[i] += b->told.n[i];
	}
	memcpy(b->told.n, sum.n, sizeof(sum.n));
}

static void hear(struct bench *b, uint8_t from, enum gossip_type type, const struct gossip_update *u)
{
	struct gossip_head h = {.type = type, .id = id_of(from), .incarnation = 5, .number = 99, .target = id_of(1)};
	struct endpoint e = at(from);
	uint8_t data[GOSSIP_DATAGRAM];
	struct gossip_writer w;

	gossip_head_write(&w, data, sizeof(data), &h);
	if (u)
		assert_true(gossip_update_write(&w, u));
	gossip_datagram(b->g, now(b), &e, data, w.len);
	listen_to(b);
}

static struct gossip_update about(enum gossip_update_kind kind, uint8_t i, uint64_t incarnation)
{
	return (struct gossip_update){
		.kind = kind, .id = id_of(i), .incarnation = incarnation, .address = at(i), .n_by = 1, .by = {77}};
}

static enum gossip_status status(const struct bench *b, uint8_t i)
{
	struct gossip_id id = id_of(i);
	struct gossip_member m;

	return gossip_find(b->g, &id, &m) ? m.status : GOSSIP_STATUS_N_;
}

static uint64_t own_incarnation(const struct bench *b)
{
	struct gossip_id id = id_of(1);
	struct gossip_member m;

	assert_true(gossip_find(b->g, &id, &m));
	return m.incarnation;
}

static void test_order_of_news(void **state)
{
	static const struct {
		enum gossip_update_kind kind;
		uint64_t incarnation;
		enum gossip_status then;
	} steps[] = {
		{GOSSIP_UPDATE_SUSPECT, 4, GOSSIP_ALIVE},   {GOSSIP_UPDATE_SUSPECT, 5, GOSSIP_SUSPECT},
		{GOSSIP_UPDATE_ALIVE, 5, GOSSIP_SUSPECT},   {GOSSIP_UPDATE_ALIVE, 6, GOSSIP_ALIVE},
		{GOSSIP_UPDATE_DEAD, 5, GOSSIP_ALIVE},	    {GOSSIP_UPDATE_DEAD, 6, GOSSIP_DEAD},
		{GOSSIP_UPDATE_ALIVE, 6, GOSSIP_DEAD},	    {GOSSIP_UPDATE_SUSPECT, 6, GOSSIP_DEAD},
		{GOSSIP_UPDATE_ALIVE, 7, GOSSIP_ALIVE},	    {GOSSIP_UPDATE_LEFT, 7, GOSSIP_LEFT},
		{GOSSIP_UPDATE_DEAD, 7, GOSSIP_LEFT},	    {GOSSIP_UPDATE_ALIVE, 8, GOSSIP_ALIVE},
		{GOSSIP_UPDATE_SUSPECT, 9, GOSSIP_SUSPECT}, {GOSSIP_UPDATE_LEFT, 9, GOSSIP_LEFT},
	};
	struct bench *b = bench_new(6, NULL);

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct gossip_update u = about(steps[i].kind, 2, steps[i].incarnation);

		hear(b, 3, GOSSIP_NEWS, &u);
		assert_int_equal(status(b, 2), steps[i].then);
	}
	bench_free(b);
}

static void test_up_and_down_once(void **state)
{
	struct bench *b = bench_new(3, NULL);
	struct gossip_update up = about(GOSSIP_UPDATE_ALIVE, 9, 1), left = about(GOSSIP_UPDATE_LEFT, 9, 1);

	wait_us(b, 50 * USEC_PER_MSEC);
	b->now_us += 50 * USEC_PER_MSEC;
	hear(b, 2, GOSSIP_NEWS, &up);
	assert_int_equal(b->told.n[GOSSIP_UP], 1);
	assert_true(b->told.last[GOSSIP_UP].member.address.ip.b[3] == 9);
	assert_int_equal(b->told.n[GOSSIP_SEND], 3); /* at once, to all there are */
	hear(b, 3, GOSSIP_NEWS, &up);
	assert_int_equal(b->told.n[GOSSIP_UP], 0);
	hear(b, 2, GOSSIP_NEWS, &left);
	hear(b, 3, GOSSIP_NEWS, &left);
	assert_int_equal(b->told.n[GOSSIP_DOWN], 0); /* that was the first time */
	assert_int_equal(gossip_alive(b->g), 3);
	bench_free(b);
}

static void test_refutes(void **state)
{
	struct bench *b = bench_new(3, NULL);
	struct gossip_update u = about(GOSSIP_UPDATE_SUSPECT, 1, 9);

	hear(b, 2, GOSSIP_NEWS, &u); /* of an earlier life */
	assert_int_equal(own_incarnation(b), 10);
	u = about(GOSSIP_UPDATE_SUSPECT, 1, 10);
	hear(b, 2, GOSSIP_NEWS, &u);
	assert_int_equal(own_incarnation(b), 11);
	u = about(GOSSIP_UPDATE_DEAD, 1, 500);
	hear(b, 2, GOSSIP_NEWS, &u);
	assert_int_equal(own_incarnation(b), 501);
	u = about(GOSSIP_UPDATE_LEFT, 1, 501);
	hear(b, 2, GOSSIP_NEWS, &u);
	assert_int_equal(own_incarnation(b), 502);
	/* where we were before */
	u = about(GOSSIP_UPDATE_ALIVE, 1, 502);
	u.address = at(40);
	hear(b, 2, GOSSIP_NEWS, &u);
	assert_int_equal(own_incarnation(b), 503);
	assert_int_equal(gossip_counts(b->g)[GOSSIP_COUNT_REFUTED], 4);
	bench_free(b);
}

static void test_silence_is_death(void **state)
{
	struct bench *b = bench_new(2, NULL);
	struct gossip_head h;
	struct gossip_reader r;
	struct gossip_update u;

	wait_us(b, 4 * USEC_PER_SEC);
	assert_int_equal(status(b, 2), GOSSIP_DEAD);
	assert_int_equal(b->told.n[GOSSIP_DOWN], 1);
	assert_true(b->told.n[GOSSIP_STREAM_OPEN] > 0);
	/* for ever */
	b->now_us += 30 * 86400 * USEC_PER_SEC;
	wait_us(b, 10 * USEC_PER_SEC);
	assert_true(b->told.n[GOSSIP_SEND] > 0 && b->told.last[GOSSIP_SEND].to.ip.b[3] == 2);
	/* and it is told what it has to refute */
	assert_int_equal(gossip_decode(b->told.data[GOSSIP_SEND], b->told.last[GOSSIP_SEND].len, false, &h, &r), 0);
	assert_int_equal(h.type, GOSSIP_PING);
	assert_int_equal(gossip_update_next(&r, &u), 1);
	assert_int_equal(u.kind, GOSSIP_UPDATE_DEAD);
	bench_free(b);
}

static void test_speaking_is_proof(void **state)
{
	struct bench *b = bench_new(3, NULL);
	struct gossip_update u = about(GOSSIP_UPDATE_DEAD, 2, 4);
	struct gossip_head h;
	struct gossip_reader r;

	hear(b, 3, GOSSIP_NEWS, &u);
	assert_int_equal(status(b, 2), GOSSIP_ALIVE);
	u.incarnation = 5;
	hear(b, 3, GOSSIP_NEWS, &u);
	assert_int_equal(status(b, 2), GOSSIP_DEAD);
	/* it pings us: the ACK says that it is thought dead */
	hear(b, 2, GOSSIP_PING, NULL);
	assert_int_equal(status(b, 2), GOSSIP_DEAD);
	assert_int_equal(gossip_decode(b->told.data[GOSSIP_SEND], b->told.last[GOSSIP_SEND].len, false, &h, &r), 0);
	assert_int_equal(h.type, GOSSIP_ACK);
	assert_int_equal(gossip_update_next(&r, &u), 1);
	assert_true(u.kind == GOSSIP_UPDATE_DEAD && u.id.b[0] == 2);
	/* another host of that name and incarnation at another address is no proof */
	struct gossip_head other = {.type = GOSSIP_NEWS, .id = id_of(2), .incarnation = 6};
	uint8_t data[GOSSIP_DATAGRAM];
	struct gossip_writer w;
	struct endpoint from = at(66);

	gossip_head_write(&w, data, sizeof(data), &other);
	gossip_datagram(b->g, now(b), &from, data, w.len);
	assert_int_equal(status(b, 2), GOSSIP_DEAD);
	from = at(2);
	gossip_datagram(b->g, now(b), &from, data, w.len);
	assert_int_equal(status(b, 2), GOSSIP_ALIVE);
	bench_free(b);
}

/* Datagrams that tell a member that it is thought dead, of those that we want to send */
static unsigned told_dead(struct bench *b)
{
	struct gossip_action a;
	unsigned n = 0;

	while (gossip_next_action(b->g, &a)) {
		struct gossip_update u;
		struct gossip_reader r;
		struct gossip_head h;

		n += a.kind == GOSSIP_SEND && gossip_decode(a.data, a.len, false, &h, &r) == 0 &&
		     h.type == GOSSIP_NEWS && gossip_update_next(&r, &u) == 1 && u.kind == GOSSIP_UPDATE_DEAD;
	}
	return n;
}

/* A stream in which somebody thinks dead those with the numbers from @first */
static void hear_of_lost(struct bench *b, uint32_t first, uint32_t n)
{
	static uint8_t frame[GOSSIP_FRAME_BYTES];
	uint8_t sums[GOSSIP_BUCKETS * 8] = {0};
	struct gossip_head h = {.type = GOSSIP_SUMS, .id = id_of(250), .incarnation = 5, .sums = sums};
	struct gossip_update u = about(GOSSIP_UPDATE_LOST, 9, 5);
	struct endpoint from = at(250);
	struct gossip_writer w;

	gossip_head_write(&w, frame, sizeof(frame), &h);
	for (uint32_t i = first; i < first + n; i++) {
		memcpy(u.id.b, &i, sizeof(i));
		assert_true(gossip_update_write(&w, &u));
	}
	gossip_stream_frame(b->g, now(b), gossip_stream_accept(b->g, now(b), &from), frame, w.len);
}

/* However many streams say so of however many: it is one budget */
static void test_the_dead_are_told_within_a_budget(void **state)
{
	struct bench *b = bench_new(1, NULL);
	struct gossip_id id = id_of(9);
	struct endpoint to = at(9);
	unsigned first;

	for (uint32_t i = 0; i < 2000; i++) {
		memcpy(id.b, &i, sizeof(i));
		gossip_load(b->g, now(b), &id, &to, 5);
	}
	listen_to(b);
	hear_of_lost(b, 0, 3);
	assert_int_equal(told_dead(b), 3);
	for (uint32_t i = 0; i < 20; i++)
		hear_of_lost(b, i * 100, 100);
	first = told_dead(b);
	assert_true(first > 400 && first <= 512);
	hear_of_lost(b, 0, 100);
	assert_int_equal(told_dead(b), 0);
	/* who was not told is, a second later; by and by */
	b->now_us += USEC_PER_SEC;
	hear_of_lost(b, 1000, 1000);
	first = told_dead(b);
	assert_true(first > 50 && first < 200);
	bench_free(b);
}

/* One that was cut off from all thought all others dead, and has not told it to anybody yet when it comes back */
static void test_the_returned_kill_nobody(void **state)
{
	struct bench *b = bench_new(4, NULL);
	struct gossip_update dead = about(GOSSIP_UPDATE_DEAD, 4, 5), back = about(GOSSIP_UPDATE_ALIVE, 4, 6);

	hear(b, 2, GOSSIP_NEWS, &dead);
	assert_int_equal(status(b, 4), GOSSIP_DEAD);
	dead = about(GOSSIP_UPDATE_DEAD, 3, 5);
	hear(b, 4, GOSSIP_PING, &dead); /* before it knows what to refute */
	assert_int_equal(status(b, 3), GOSSIP_ALIVE);
	hear(b, 2, GOSSIP_NEWS, &back);
	assert_int_equal(status(b, 4), GOSSIP_ALIVE);
	hear(b, 4, GOSSIP_NEWS, &dead); /* and after */
	assert_int_equal(status(b, 3), GOSSIP_ALIVE);
	assert_int_equal(b->told.n[GOSSIP_DOWN], 0);
	/* a suspicion that others share it may end, and some time later it is one like all others */
	struct gossip_update suspect = about(GOSSIP_UPDATE_SUSPECT, 3, 5);
	hear(b, 2, GOSSIP_NEWS, &suspect);
	hear(b, 4, GOSSIP_NEWS, &dead);
	assert_int_equal(status(b, 3), GOSSIP_DEAD);
	back = about(GOSSIP_UPDATE_ALIVE, 3, 6);
	dead = about(GOSSIP_UPDATE_DEAD, 3, 6);
	hear(b, 2, GOSSIP_NEWS, &back);
	b->now_us += 10 * USEC_PER_SEC;
	hear(b, 4, GOSSIP_NEWS, &dead);
	assert_int_equal(status(b, 3), GOSSIP_DEAD);
	bench_free(b);
}

static void test_facts(void **state)
{
	struct bench *b = bench_new(3, NULL);
	struct gossip_update u = {.kind = GOSSIP_UPDATE_FACT,
				  .id = id_of(2),
				  .key = 7,
				  .seq = 3,
				  .data = (const uint8_t *)"new",
				  .len = 3};
	uint64_t sum = gossip_sum(b->g);

	hear(b, 3, GOSSIP_NEWS, &u);
	assert_int_equal(b->told.n[GOSSIP_FACT], 1);
	assert_memory_equal(b->told.data[GOSSIP_FACT], "new", 3);
	hear(b, 3, GOSSIP_NEWS, &u);
	u.seq = 2;
	hear(b, 3, GOSSIP_NEWS, &u);
	assert_int_equal(b->told.n[GOSSIP_FACT], 0);
	u.seq = 4;
	u.len = 0;
	hear(b, 3, GOSSIP_NEWS, &u);
	assert_int_equal(b->told.n[GOSSIP_FACT], 1);
	assert_int_equal(b->told.last[GOSSIP_FACT].len, 0);
	assert_true(gossip_sum(b->g) != sum);
	/* of nobody known */
	u.id = id_of(50);
	hear(b, 3, GOSSIP_NEWS, &u);
	assert_int_equal(b->told.n[GOSSIP_FACT], 0);
	/* they go with their member */
	struct gossip_update left = about(GOSSIP_UPDATE_LEFT, 2, 5), back = about(GOSSIP_UPDATE_ALIVE, 2, 6);

	hear(b, 3, GOSSIP_NEWS, &left);
	hear(b, 3, GOSSIP_NEWS, &back);
	u = (struct gossip_update){
		.kind = GOSSIP_UPDATE_FACT, .id = id_of(2), .key = 7, .seq = 1, .data = (const uint8_t *)"a", .len = 1};
	hear(b, 3, GOSSIP_NEWS, &u);
	assert_int_equal(b->told.n[GOSSIP_FACT], 1);
	bench_free(b);
}

/* Killed and started again, a member may tell something else by a number that is known: that must not look agreed */
static void test_sum_is_over_what_is_said(void **state)
{
	struct bench *b[2] = {bench_new(2, NULL), bench_new(2, NULL)};
	struct gossip_update u = {.kind = GOSSIP_UPDATE_FACT, .id = id_of(2), .key = 7, .seq = 1, .len = 3};
	static const char *const said[] = {"old", "new"};

	assert_true(gossip_sum(b[0]->g) == gossip_sum(b[1]->g));
	for (size_t i = 0; i < ARRAY_LEN(b); i++) {
		u.data = (const uint8_t *)said[i];
		hear(b[i], 2, GOSSIP_NEWS, &u);
	}
	assert_true(gossip_sum(b[0]->g) != gossip_sum(b[1]->g));
	for (size_t i = 0; i < ARRAY_LEN(b); i++)
		bench_free(b[i]);
}

static void test_own_facts(void **state)
{
	struct bench *b = bench_new(2, NULL);
	struct gossip_update u = {.kind = GOSSIP_UPDATE_FACT,
				  .id = id_of(1),
				  .key = 7,
				  .seq = 30,
				  .data = (const uint8_t *)"old",
				  .len = 3};
	struct gossip_head h;
	struct gossip_reader r;
	static uint8_t long_one[GOSSIP_FACT_BYTES + 1];

	wait_us(b, USEC_PER_SEC);
	/* of an earlier run: is told to be no more */
	hear(b, 2, GOSSIP_NEWS, &u);
	assert_int_equal(gossip_decode(b->told.data[GOSSIP_SEND], b->told.last[GOSSIP_SEND].len, false, &h, &r), 0);
	assert_int_equal(gossip_update_next(&r, &u), 1);
	assert_true(u.kind == GOSSIP_UPDATE_FACT && u.seq == 31 && u.len == 0);
	/* and comes back with a higher number */
	assert_int_equal(gossip_fact(b->g, now(b), 7, "again", 5), 0);
	wait_us(b, 50 * USEC_PER_MSEC);
	assert_int_equal(gossip_fact(b->g, now(b), 8, long_one, sizeof(long_one)), -E2BIG);
	for (uint64_t key = 1; key < GOSSIP_HOST_FACTS; key++)
		assert_int_equal(gossip_fact(b->g, now(b), key << 8, "x", 1), 0);
	assert_int_equal(gossip_fact(b->g, now(b), 9, "x", 1), -ENOSPC);
	assert_int_equal(gossip_fact(b->g, now(b), 9, NULL, 0), 0);
	bench_free(b);
}

static void test_joins(void **state)
{
	struct endpoint to = at(1);
	struct bench *b = bench_new(1, &to);
	struct gossip_head h;
	struct gossip_reader r;
	uint8_t buckets[32] = {0}, frame[200];
	struct gossip_writer w;

	/* tried again and again, and asked beside by datagrams */
	wait_us(b, USEC_PER_SEC / 10);
	uint32_t stream = b->told.last[GOSSIP_STREAM_OPEN].stream;

	assert_true(stream > 0);
	assert_true(b->told.n[GOSSIP_SEND] > 0);
	gossip_stream_closed(b->g, now(b), stream);
	wait_us(b, USEC_PER_SEC * 3 / 10);
	assert_int_equal(b->told.n[GOSSIP_STREAM_OPEN], 1);
	/* one that does not open is given up for another */
	stream = b->told.last[GOSSIP_STREAM_OPEN].stream;
	wait_us(b, USEC_PER_SEC * 7 / 10);
	assert_int_equal(b->told.n[GOSSIP_STREAM_OPEN], 1);
	assert_true(b->told.last[GOSSIP_STREAM_OPEN].stream != stream);
	stream = b->told.last[GOSSIP_STREAM_OPEN].stream;
	gossip_stream_ready(b->g, now(b), stream);
	listen_to(b);
	assert_int_equal(b->told.n[GOSSIP_STREAM_SEND], 1);
	assert_int_equal(
		gossip_decode(b->told.data[GOSSIP_STREAM_SEND], b->told.last[GOSSIP_STREAM_SEND].len, true, &h, &r), 0);
	assert_int_equal(h.type, GOSSIP_SUMS);
	/* we answer ourselves: never again */
	h = (struct gossip_head){.type = GOSSIP_RECORDS, .id = id_of(1), .last = true, .buckets = buckets};
	gossip_head_write(&w, frame, sizeof(frame), &h);
	gossip_stream_frame(b->g, now(b), stream, frame, w.len);
	listen_to(b);
	assert_int_equal(b->told.n[GOSSIP_STREAM_CLOSE], 1);
	wait_us(b, 60 * USEC_PER_SEC);
	assert_int_equal(b->told.n[GOSSIP_STREAM_OPEN], 0);
	assert_int_equal(gossip_alive(b->g), 1);
	bench_free(b);
}

static void test_leaves(void **state)
{
	struct bench *b = bench_new(8, NULL);

	gossip_leave(b->g, now(b));
	listen_to(b);
	assert_int_equal(b->told.n[GOSSIP_SEND], 7); /* all of them, at once */
	wait_us(b, USEC_PER_SEC);
	assert_int_equal(b->told.n[GOSSIP_STOPPED], 1);
	assert_true(gossip_due(b->g) == INT64_MAX);
	bench_free(b);
}

static void test_strangers(void **state)
{
	struct bench *b = bench_new(2, NULL);
	unsigned answers = 0;

	for (int i = 0; i < 1000; i++) {
		hear(b, 99, GOSSIP_PING, NULL);
		answers += b->told.n[GOSSIP_SEND];
	}
	assert_true(answers > 10 && answers < 100);
	assert_int_equal(status(b, 99), GOSSIP_STATUS_N_);
	/* nobody is asked to ping for one */
	hear(b, 99, GOSSIP_PING_REQ, NULL);
	assert_int_equal(b->told.n[GOSSIP_SEND], 0);
	bench_free(b);
}

static void test_members_are_bounded(void **state)
{
	struct bench *b = bench_new(2, NULL);
	struct gossip_update u = about(GOSSIP_UPDATE_ALIVE, 9, 1);

	for (uint32_t i = 0; i < GOSSIP_MEMBERS + 100; i++) {
		memcpy(u.id.b, &i, sizeof(i));
		hear(b, 2, GOSSIP_NEWS, &u);
	}
	assert_int_equal(gossip_alive(b->g), GOSSIP_MEMBERS);
	assert_int_equal(gossip_counts(b->g)[GOSSIP_COUNT_FULL], 102);
	assert_true(gossip_bytes(b->g) < 8u << 20);
	/* who is gone makes room */
	u = about(GOSSIP_UPDATE_DEAD, 2, 5);
	hear(b, 2, GOSSIP_NEWS, &u);
	u = about(GOSSIP_UPDATE_ALIVE, 250, 1);
	hear(b, 2, GOSSIP_NEWS, &u);
	assert_int_equal(status(b, 250), GOSSIP_ALIVE);
	assert_int_equal(status(b, 2), GOSSIP_STATUS_N_);
	bench_free(b);
}

static void test_parser(void **state)
{
	struct gossip_head h = {.type = GOSSIP_NEWS, .id = id_of(2)}, back;
	struct gossip_update u = about(GOSSIP_UPDATE_ALIVE, 3, 4);
	struct gossip_reader r;
	struct gossip_writer w;
	uint8_t data[GOSSIP_DATAGRAM + 1] = {0};

	gossip_head_write(&w, data, sizeof(data), &h);
	assert_int_equal(w.len, GOSSIP_HEAD);
	assert_true(gossip_update_write(&w, &u));
	assert_int_equal(gossip_decode(data, w.len, false, &back, &r), 0);
	for (size_t len = 0; len < w.len; len++) {
		if (len != GOSSIP_HEAD)
			assert_int_equal(gossip_decode(data, len, false, &back, &r), -EBADMSG);
	}
	data[2] = 2;
	assert_int_equal(gossip_decode(data, w.len, false, &back, &r), -EPROTONOSUPPORT);
	data[2] = GOSSIP_VERSION;
	data[GOSSIP_HEAD + 17] = 1; /* an incarnation that nobody has */
	assert_int_equal(gossip_decode(data, w.len, false, &back, &r), -EBADMSG);
	data[GOSSIP_HEAD + 17] = 0;
	data[GOSSIP_HEAD + 26] = 224; /* a group is nobody's address */
	assert_int_equal(gossip_decode(data, w.len, false, &back, &r), -EBADMSG);
	data[3] = GOSSIP_SUMS; /* over streams only */
	assert_int_equal(gossip_decode(data, sizeof(data), false, &back, &r), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_of_news),
		cmocka_unit_test(test_up_and_down_once),
		cmocka_unit_test(test_refutes),
		cmocka_unit_test(test_silence_is_death),
		cmocka_unit_test(test_the_returned_kill_nobody),
		cmocka_unit_test(test_the_dead_are_told_within_a_budget),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_speaking_is_proof),
		cmocka_unit_test(test_own_facts),
		cmocka_unit_test(test_joins),
		cmocka_unit_test(test_sum_is_over_what_is_said),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_parser),
		cmocka_unit_test(test_members_are_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
