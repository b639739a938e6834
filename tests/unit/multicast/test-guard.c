/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies, echoes and storms; and who is asked for whom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "multicast/asker.h"
#include "multicast/guard.h"

#define S  USEC_PER_SEC
#define MS USEC_PER_MSEC

static struct endpoint from(const char *ip, uint16_t port)
{
	struct endpoint e = {.port = port};

	assert_int_equal(ip_parse(ip, &e.ip), 0);
	return e;
}

static struct guard *guard(void)
{
	struct guard_config c = {.seed = 7, .source_rate = 20, .source_burst = 60, .leg_rate = 200, .leg_burst = 400};

	return guard_new(&c);
}

static enum guard_verdict hear(struct guard *g, int64_t now, uint32_t leg, const char *ip, enum guard_kind kind,
			       const char *words)
{
	struct endpoint e = from(ip, 1900);

	return guard_heard(g, (mono_t){now}, leg, &e, kind, guard_hash(g, 0, words, strlen(words)));
}

static void sent(struct guard *g, int64_t now, uint32_t leg, const char *words)
{
	guard_sent(g, (mono_t){now}, leg, guard_hash(g, 0, words, strlen(words)));
}

static void test_echo(void **state)
{
	struct guard *g = guard();

	assert_int_equal(hear(g, S, 1, "192.0.2.1", GUARD_REPEATABLE, "search"), GUARD_PASS);
	sent(g, S, 2, "search");
	/* whoever says it there now repeats us */
	assert_int_equal(hear(g, S + MS, 2, "198.51.100.7", GUARD_REPEATABLE, "search"), GUARD_ECHO);
	/* on its own leg others may ask the same, and he again */
	assert_int_equal(hear(g, S + 2 * MS, 1, "192.0.2.2", GUARD_REPEATABLE, "search"), GUARD_PASS);
	assert_int_equal(hear(g, S + 3 * MS, 1, "192.0.2.1", GUARD_REPEATABLE, "search"), GUARD_PASS);
	assert_int_equal(hear(g, S + 4 * MS, 2, "198.51.100.7", GUARD_REPEATABLE, "another"), GUARD_PASS);
	/* later it is his own */
	assert_int_equal(hear(g, 5 * S, 2, "198.51.100.7", GUARD_REPEATABLE, "search"), GUARD_PASS);
	guard_free(g);
}

static void test_unique(void **state)
{
	struct guard *g = guard();

	assert_int_equal(hear(g, S, 1, "192.0.2.1", GUARD_UNIQUE, "alive"), GUARD_PASS);
	assert_int_equal(hear(g, S + MS, 1, "192.0.2.1", GUARD_UNIQUE, "alive"), GUARD_PASS);
	assert_int_equal(hear(g, S + MS, 1, "192.0.2.2", GUARD_UNIQUE, "alive"), GUARD_DUPLICATE);
	assert_int_equal(hear(g, S + MS, 2, "192.0.2.1", GUARD_UNIQUE, "alive"), GUARD_DUPLICATE);
	assert_int_equal(hear(g, 4 * S, 2, "192.0.2.1", GUARD_UNIQUE, "alive"), GUARD_PASS);
	guard_free(g);
}

static void test_started_again(void **state)
{
	struct endpoint old = from("192.0.2.1", 40001), new = from("192.0.2.1", 40002),
			relay = from("192.0.2.2", 40002);
	struct guard *g = guard();
	uint64_t alive = guard_hash(g, 0, "alive", 5);

	assert_int_equal(guard_heard(g, (mono_t){S}, 1, &old, GUARD_UNIQUE, alive), GUARD_PASS);
	guard_sent(g, (mono_t){S}, 2, alive);
	/* a restart takes half a second, and its author says the same from another port */
	assert_int_equal(guard_heard(g, (mono_t){S + 500 * MS}, 1, &new, GUARD_UNIQUE, alive), GUARD_PASS);
	assert_int_equal(guard_heard(g, (mono_t){S + 501 * MS}, 1, &relay, GUARD_UNIQUE, alive), GUARD_DUPLICATE);
	assert_int_equal(guard_heard(g, (mono_t){S + 502 * MS}, 2, &new, GUARD_UNIQUE, alive), GUARD_ECHO);
	guard_free(g);
}

static void test_once(void **state)
{
	struct guard *g = guard();

	assert_int_equal(hear(g, S, 1, "192.0.2.1", GUARD_ONCE, "query"), GUARD_PASS);
	assert_int_equal(hear(g, S + 500 * MS, 1, "192.0.2.1", GUARD_ONCE, "query"), GUARD_DUPLICATE);
	assert_int_equal(hear(g, S + 500 * MS, 1, "192.0.2.2", GUARD_ONCE, "query"), GUARD_DUPLICATE);
	assert_int_equal(hear(g, 2 * S, 1, "192.0.2.1", GUARD_ONCE, "query"), GUARD_PASS);
	guard_free(g);
}

/* Whatever goes round is stopped, and then heard again */
static void test_loop(void **state)
{
	struct guard *g = guard();
	size_t passed = 0;
	int64_t t = S;

	for (int i = 0; i < 1000; i++, t += MS) {
		char ip[32];

		snprintf(ip, sizeof(ip), "192.0.2.%d", i % 200 + 1); /* so that no rate stops it */
		passed += hear(g, t, 1, ip, GUARD_REPEATABLE, "round and round") == GUARD_PASS;
	}
	assert_true(passed <= GUARD_REPEATS + 1);
	assert_int_equal(hear(g, t + GUARD_MUTE_US, 1, "192.0.2.1", GUARD_REPEATABLE, "round and round"), GUARD_PASS);
	/* who asks every two seconds is never muted */
	for (t = 100 * S; t < 400 * S; t += 2 * S)
		assert_int_equal(hear(g, t, 1, "192.0.2.9", GUARD_REPEATABLE, "patient"), GUARD_PASS);
	guard_free(g);
}

static void test_rates(void **state)
{
	struct guard *g = guard();
	size_t one = 0, all = 0;
	char words[32], ip[32];

	/* a thousand a second of one source, for ten seconds */
	for (int i = 0; i < 10000; i++) {
		snprintf(words, sizeof(words), "%d", i);
		one += hear(g, S + i * MS, 1, "192.0.2.1", GUARD_REPEATABLE, words) == GUARD_PASS;
	}
	assert_true(one >= 60 + 190 && one <= 60 + 210);
	/* others are heard all the same */
	assert_int_equal(hear(g, 11 * S, 1, "192.0.2.2", GUARD_REPEATABLE, "a"), GUARD_PASS);
	/* and of a thousand sources as much as a leg may */
	for (int i = 0; i < 10000; i++) {
		snprintf(words, sizeof(words), "%d", i);
		snprintf(ip, sizeof(ip), "10.0.%d.%d", i / 250, i % 250 + 1);
		all += hear(g, 20 * S + i * MS, 2, ip, GUARD_REPEATABLE, words) == GUARD_PASS;
	}
	assert_true(all >= 400 + 1900 && all <= 400 + 2100);
	assert_int_equal(hear(g, 30 * S, 3, "192.0.2.3", GUARD_REPEATABLE, "b"), GUARD_PASS);
	guard_free(g);
}

/* What a flood says beyond its rate does not push out what is remembered */
static void test_flood_keeps_memory(void **state)
{
	struct guard *g = guard();
	char words[32];

	assert_int_equal(hear(g, S, 1, "192.0.2.1", GUARD_UNIQUE, "alive"), GUARD_PASS);
	sent(g, S, 2, "alive");
	for (int i = 0; i < 100000; i++) {
		snprintf(words, sizeof(words), "flood %d", i);
		hear(g, S + i * 10, 3, "192.0.2.66", GUARD_REPEATABLE, words);
	}
	assert_int_equal(hear(g, 2 * S, 2, "192.0.2.50", GUARD_UNIQUE, "alive"), GUARD_ECHO);
	guard_free(g);
}

static void test_askers(void **state)
{
	static struct askers a;
	struct endpoint e = from("192.0.2.1", 5000), other = from("192.0.2.2", 5000);
	struct asker *s = asker_get(&a, 1, &e, 5 * S);
	uint32_t p2, p3;

	assert_non_null(s);
	assert_ptr_equal(asker_get(&a, 1, &e, 3 * S), s); /* the same; not shorter */
	assert_int_equal(s->until, 5 * S);
	assert_ptr_not_equal(asker_get(&a, 2, &e, S), s); /* another leg, another asker */
	p2 = asker_port(&a, s, 2);
	p3 = asker_port(&a, s, 3);
	assert_true(p2 && p3 && p2 != p3);
	assert_int_equal(asker_port(&a, s, 2), p2);
	assert_ptr_equal(asker_of(&a, S, 2, p2), s);
	assert_null(asker_of(&a, S, 3, p2)); /* from the wrong side */
	assert_null(asker_of(&a, S, 2, 77));
	assert_null(asker_of(&a, 5 * S, 2, p2)); /* too late */
	for (int i = 1; i < ASKER_ANSWERS; i++)
		assert_non_null(asker_of(&a, S, 2, p2));
	assert_null(asker_of(&a, S, 2, p2)); /* too many */
	asker_get(&a, 1, &e, S);
	assert_non_null(asker_of(&a, S, 2, p2));
	assert_int_equal(asker_due(&a), S);
	assert_int_equal(asker_over(&a, S)->leg, 2);
	asker_drop(&a, asker_over(&a, S));
	assert_null(asker_over(&a, S));
	/* a leg goes: its sockets are forgotten, its askers over */
	asker_leg_over(&a, 3);
	assert_null(asker_of(&a, S, 3, p3));
	asker_leg_over(&a, 1);
	s = asker_over(&a, S);
	assert_non_null(s);
	assert_int_equal(s->n, 1);
	asker_drop(&a, s);
	assert_int_equal(a.n + a.sockets, 0);

	/* bounds */
	for (uint16_t i = 0; i < ASKER_PER_HOST; i++) {
		e.port = (uint16_t)(6000 + i);
		assert_non_null(asker_get(&a, 1, &e, S));
	}
	e.port = 7000;
	assert_null(asker_get(&a, 1, &e, S));
	assert_non_null(asker_get(&a, 1, &other, S));
	for (uint16_t i = 0; i < 1000; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "10.0.%d.%d", i / 250, i % 250 + 1);
		other = from(ip, 1);
		if ((s = asker_get(&a, 1, &other, S)))
			for (uint32_t leg = 2; leg < 2 + ASKER_LEGS + 3; leg++)
				assert_true(asker_port(&a, s, leg) != 0 || leg >= 2 + ASKER_LEGS ||
					    a.sockets == ASKER_SOCKETS);
	}
	assert_int_equal(a.n, ASKER_SLOTS);
	assert_int_equal(a.sockets, ASKER_SOCKETS);
	while ((s = asker_over(&a, S)))
		asker_drop(&a, s);
	assert_int_equal(a.n + a.sockets, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),   cmocka_unit_test(test_unique),
		cmocka_unit_test(test_once),   cmocka_unit_test(test_loop),
		cmocka_unit_test(test_rates),  cmocka_unit_test(test_flood_keeps_memory),
		cmocka_unit_test(test_askers), cmocka_unit_test(test_started_again),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
