/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of peers against a plain list, and its bounds; the hash beneath it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "discovery/peers.h"

struct numbers {
	uint32_t v[4096];
};

static bool number_same(const void *owner, uint32_t place, const void *key)
{
	return ((const struct numbers *)owner)->v[place] == *(const uint32_t *)key;
}

/* Few hash values: long runs, that wrap around the end, with removals in their middle */
static void test_table(void **state)
{
	struct numbers n = {{0}};
	bool there[4096] = {false};
	struct table t = {0};
	uint64_t random = 1;

	for (uint32_t i = 0; i < 4096; i++)
		n.v[i] = i;
	for (int step = 0; step < 60000; step++) {
		uint32_t place, hash;

		random = hash64(&random, sizeof(random), 3);
		place = (uint32_t)(random % 4096);
		hash = (uint32_t)hash64(&place, sizeof(place), 0) % 97 * 40000003u;
		assert_int_equal(table_find(&t, hash, number_same, &n, &place), there[place] ? place : TABLE_NONE);
		if (there[place])
			table_remove(&t, hash, place);
		else
			table_put(&t, hash, place);
		there[place] = !there[place];
		assert_int_equal(table_find(&t, hash, number_same, &n, &place), there[place] ? place : TABLE_NONE);
	}
	for (uint32_t i = 0; i < 4096; i++) {
		uint32_t hash = (uint32_t)hash64(&i, sizeof(i), 0) % 97 * 40000003u;

		assert_int_equal(table_find(&t, hash, number_same, &n, &i), there[i] ? i : TABLE_NONE);
	}
	table_done(&t);
}

static struct endpoint from_of(unsigned n)
{
	return (struct endpoint){.ip = {AF_INET, {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}},
				 .port = 4790};
}

static int add(struct peers *p, unsigned host, const char *stack, int64_t now_us, uint32_t *ret_place)
{
	char id[HOST_ID_LEN + 1];
	struct endpoint from = from_of(host);
	struct peer_key key = {.host_id = id, .stack_id = stack, .host_ip = &from.ip, .vni = 7};
	bool new_host;

	snprintf(id, sizeof(id), "%032x", host);
	return peers_add(p, &key, &from, now_us, ret_place, &new_host);
}

static void test_add_bury(void **state)
{
	struct peers p;
	uint32_t a, b, again;
	struct endpoint from = from_of(1);

	peers_init(&p, 90 * USEC_PER_SEC, 42);
	assert_int_equal(add(&p, 1, "a", 0, &a), 0);
	assert_int_equal(add(&p, 1, "b", 0, &b), 0);
	assert_int_equal(p.n_alive, 2);
	assert_int_equal(peers_source(&p, &from.ip)->n_peers, 2);
	assert_int_equal(p.hosts[p.entries[a].host].n_entries, 2);
	peers_bury(&p, a, true, 0);
	assert_int_equal(p.n_alive, 1);
	assert_true(p.entries[a].gone);
	assert_int_equal(add(&p, 1, "a", 5, &again), 0);
	assert_int_equal(again, a);
	assert_int_equal(p.n_graves, 0);
	peers_bury(&p, a, false, 0);
	peers_bury(&p, b, false, 0);
	assert_int_equal(peers_source(&p, &from.ip)->n_peers, 0);
	assert_int_equal(peers_host(&p, "00000000000000000000000000000001", &from.ip), TABLE_NONE);
	/* places are used again */
	assert_int_equal(add(&p, 2, "c", 0, &again), 0);
	assert_int_equal(p.n_entries, 2);
	peers_done(&p);
}

static void test_bounds(void **state)
{
	struct peers p;
	uint32_t place;
	char stack[16];

	peers_init(&p, 90 * USEC_PER_SEC, 42);
	for (int i = 0; i < LIMIT_PEERS_PER_SOURCE; i++) {
		snprintf(stack, sizeof(stack), "s%d", i);
		assert_int_equal(add(&p, 0, stack, 0, &place), 0);
	}
	assert_int_equal(add(&p, 0, "more", 0, &place), -EDQUOT);
	for (unsigned i = 1; p.n_alive < LIMIT_PEERS; i++)
		assert_int_equal(add(&p, i, "s", 0, &place), 0);
	assert_int_equal(add(&p, 99999, "s", 0, &place), -ENOSPC);
	/* addresses that only pass by are forgotten, those with a peer never */
	for (unsigned i = 0; i < 3 * SOURCES_IDLE; i++) {
		struct endpoint from = from_of(0x800000 + i);

		peers_source(&p, &from.ip);
	}
	assert_int_equal(p.n_idle, SOURCES_IDLE);
	assert_true(p.n_sources <= LIMIT_PEERS + SOURCES_IDLE);
	for (unsigned i = 1; i < 100; i++) {
		struct endpoint from = from_of(i);

		assert_int_equal(peers_source(&p, &from.ip)->n_peers, 1);
	}
	peers_done(&p);
}

static void test_move(void **state)
{
	struct endpoint a = from_of(1), b = from_of(2);
	struct peers p;
	uint32_t place;

	peers_init(&p, 90 * USEC_PER_SEC, 42);
	assert_int_equal(add(&p, 1, "a", 0, &place), 0);
	assert_int_equal(peers_move(&p, place, &b.ip), 0);
	assert_int_equal(peers_source(&p, &a.ip)->n_peers, 0);
	assert_int_equal(peers_source(&p, &b.ip)->n_peers, 1);
	peers_bury(&p, place, false, 0);
	assert_int_equal(peers_source(&p, &b.ip)->n_peers, 0);
	peers_done(&p);
}

static void test_bucket(void **state)
{
	struct bucket b = {0};
	int64_t now_us = 5 * USEC_PER_SEC;
	int passed = 0;

	while (bucket_pass(&b, now_us))
		passed++;
	assert_int_equal(passed, SOURCE_BURST);
	now_us += USEC_PER_SEC;
	for (passed = 0; bucket_pass(&b, now_us);)
		passed++;
	assert_int_equal(passed, SOURCE_RATE);
	now_us += 3600 * USEC_PER_SEC;
	for (passed = 0; bucket_pass(&b, now_us);)
		passed++;
	assert_int_equal(passed, SOURCE_BURST);
}

struct seen {
	unsigned stale, gone;
};

static void on_scan(void *arg, struct entry *e, bool gone)
{
	struct seen *s = arg;

	*(gone ? &s->gone : &s->stale) += 1;
}

/* The scan is never late by more than its pause, and sleeps when there is nothing to see */
static void test_scan(void **state)
{
	struct seen seen = {0};
	struct peers p;
	uint32_t place;
	char stack[16];
	int scans = 0;

	peers_init(&p, 90 * USEC_PER_SEC, 42);
	assert_int_equal(p.scan_us, INT64_MAX);
	for (int i = 0; i < 100; i++) {
		snprintf(stack, sizeof(stack), "s%d", i);
		assert_int_equal(add(&p, 1, stack, i * 10 * USEC_PER_MSEC, &place), 0);
	}
	assert_true(p.scan_us <= 90 * USEC_PER_SEC * 3 / 4);
	while (p.scan_us != INT64_MAX) {
		int64_t now_us = p.scan_us;

		peers_scan(&p, now_us, on_scan, &seen);
		assert_true(p.scan_us > now_us);
		if (now_us >= 69 * USEC_PER_SEC)
			assert_int_equal(seen.stale, 100);
		assert_true(++scans < 30);
	}
	assert_int_equal(seen.gone, 100);
	assert_int_equal(p.n_alive, 0);
	peers_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table), cmocka_unit_test(test_add_bury), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_move),  cmocka_unit_test(test_bucket),   cmocka_unit_test(test_scan),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
