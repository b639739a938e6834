/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks: alone, beside others, after they vanished; under virtual time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "multicast/querier.h"

#define S USEC_PER_SEC

struct said {
	size_t queries, anonymous, reports, changes;
};

static struct ip ip_of(const char *s)
{
	struct ip ip;

	assert_int_equal(ip_parse(s, &ip), 0);
	return ip;
}

static void drain(struct querier *q, struct said *s)
{
	enum querier_action a;

	while (querier_next_action(q, &a)) {
		s->queries += a == QUERIER_SEND;
		s->anonymous += a == QUERIER_SEND_ANY;
		s->reports += a == QUERIER_REPORT;
		s->changes += a == QUERIER_CHANGED;
	}
}

static struct said until(struct querier *q, int64_t us)
{
	struct said s = {0};

	drain(q, &s);
	while (querier_due(q) <= us) {
		int64_t due = querier_due(q);

		querier_timer(q, (mono_t){due});
		drain(q, &s);
		assert_true(querier_due(q) > due);
	}
	return s;
}

static struct querier start(enum querier_mode mode, int64_t listen_us)
{
	struct querier q = {0};
	struct querier_config c = {.mode = mode, .family = AF_INET, .self = ip_of("192.0.2.5"), .listen_us = listen_us};

	querier_config(&q, (mono_t){0}, &c);
	return q;
}

static void hear(struct querier *q, int64_t now, const char *from, const char *group)
{
	struct gmp_message m = {.kind = GMP_QUERY,
				.family = AF_INET,
				.version = 3,
				.from = ip_of(from),
				.group = group ? ip_of(group) : (struct ip){0},
				.max_response_us = 10 * S,
				.interval_us = 60 * S,
				.robustness = 2};

	querier_heard(q, (mono_t){now}, &m);
}

static void test_alone(void **state)
{
	struct querier q = start(QUERIER_AUTO, 0);
	struct said s = until(&q, 0);

	assert_true(querier_is_us(&q));
	assert_int_equal(s.queries, 1);
	s = until(&q, 32 * S); /* the second of two at the quicker pace */
	assert_int_equal(s.queries, 1);
	s = until(&q, 32 * S + 1250 * S);
	assert_int_equal(s.queries, 10);
	assert_int_equal(s.reports, 0);
}

static void test_listens_first(void **state)
{
	struct querier q = start(QUERIER_AUTO, QUERIER_LISTEN);
	struct said s = until(&q, 130 * S);

	assert_int_equal(s.queries, 0);
	assert_int_equal(s.anonymous, 1);
	assert_int_equal(s.reports, 2); /* a switch is kept awake meanwhile */
	assert_false(querier_is_us(&q));
	s = until(&q, 136 * S);
	assert_int_equal(s.queries, 1);
	assert_true(querier_is_us(&q));
}

static void test_other_first(void **state)
{
	struct querier q = start(QUERIER_AUTO, QUERIER_LISTEN);
	struct said s;

	/* whatever its address: it was there before */
	until(&q, S);
	hear(&q, 2 * S, "192.0.2.200", NULL);
	assert_int_equal(q.state, QUERIER_OTHER);
	for (int64_t t = 62; t < 1000; t += 60) {
		s = until(&q, t * S);
		assert_int_equal(s.queries + s.reports + s.anonymous, 0);
		hear(&q, t * S, "192.0.2.200", NULL);
	}
	/* it vanishes: replaced after the time that it promised, 2 * 60 + 5 */
	s = until(&q, (962 + 124) * S);
	assert_int_equal(s.queries, 0);
	s = until(&q, (962 + 126) * S);
	assert_int_equal(s.queries, 1);
	assert_true(querier_is_us(&q));
	assert_true(ip_is_none(&q.other));
}

static void test_lower_wins(void **state)
{
	struct querier q = start(QUERIER_AUTO, 0);
	struct said s;

	until(&q, S);
	hear(&q, S, "192.0.2.200", NULL); /* must give way to us */
	assert_true(querier_is_us(&q));
	hear(&q, 2 * S, "192.0.2.1", NULL);
	assert_false(querier_is_us(&q));
	hear(&q, 3 * S, "192.0.2.200", NULL); /* says nothing about the lower one */
	assert_int_equal(ip_cmp(&q.other, &(struct ip){AF_INET, {192, 0, 2, 1}}), 0);
	s = until(&q, 126 * S);
	assert_int_equal(s.queries, 0);
	s = until(&q, 128 * S);
	assert_int_equal(s.queries, 1);
}

static void test_no_fight(void **state)
{
	struct querier q = start(QUERIER_AUTO, 0);

	until(&q, S);
	for (int i = 0; i < QUERIER_YIELD; i++) {
		assert_true(querier_is_us(&q));
		hear(&q, (2 + i) * S, "192.0.2.200", NULL);
	}
	assert_false(querier_is_us(&q));
}

static void test_on(void **state)
{
	struct querier q = start(QUERIER_ON, QUERIER_LISTEN);
	struct said s = until(&q, S);

	assert_int_equal(s.queries, 1);
	hear(&q, 2 * S, "192.0.2.1", NULL);
	assert_true(querier_is_us(&q));
	assert_false(ip_is_none(&q.other)); /* to be told */
	s = until(&q, 400 * S);
	assert_true(s.queries >= 3);
	assert_true(ip_is_none(&q.other));
}

static void test_off(void **state)
{
	struct querier q = start(QUERIER_OFF, QUERIER_LISTEN);
	struct said s = until(&q, 1000 * S);

	assert_int_equal(s.queries + s.anonymous, 0);
	assert_int_equal(s.reports, 9);
	/* where somebody asks, the kernel answers: nothing unasked */
	for (int64_t t = 1010; t < 2000; t += 60) {
		hear(&q, t * S, "192.0.2.1", NULL);
		s = until(&q, (t + 59) * S);
		assert_int_equal(s.reports, 0);
	}
}

static void test_own_and_anonymous(void **state)
{
	struct querier q = start(QUERIER_AUTO, 0);

	until(&q, S);
	hear(&q, S, "192.0.2.5", NULL);
	hear(&q, S, "0.0.0.0", NULL);
	assert_true(querier_is_us(&q));
	assert_int_equal(q.heard, 0);
}

static void test_address(void **state)
{
	struct querier q = {0};
	struct querier_config c = {.mode = QUERIER_ON, .family = AF_INET};
	struct said s;

	assert_true(querier_due(&q) == INT64_MAX);
	querier_config(&q, (mono_t){0}, &c);
	s = until(&q, S);
	assert_int_equal(s.queries, 0);
	assert_int_equal(q.state, QUERIER_SILENT);
	c.self = ip_of("192.0.2.5");
	querier_config(&q, (mono_t){2 * S}, &c);
	s = until(&q, 3 * S);
	assert_int_equal(s.queries, 1);
	/* the same again does not begin anew */
	querier_config(&q, (mono_t){4 * S}, &c);
	s = until(&q, 5 * S);
	assert_int_equal(s.queries, 0);
	c.self = (struct ip){0};
	querier_config(&q, (mono_t){6 * S}, &c);
	assert_false(querier_is_us(&q));
}

static void test_hostile_values(void **state)
{
	struct querier q = start(QUERIER_AUTO, 0);
	struct gmp_message m = {.kind = GMP_QUERY,
				.family = AF_INET,
				.version = 3,
				.from = ip_of("192.0.2.1"),
				.max_response_us = INT64_C(3174) * S,
				.interval_us = INT64_C(31744) * S,
				.robustness = 7};

	until(&q, S);
	querier_heard(&q, (mono_t){S}, &m);
	assert_true(q.other_until <= (3 * 3600 + 1) * S);
	m.interval_us = 1;
	m.max_response_us = 0;
	querier_heard(&q, (mono_t){S}, &m);
	assert_true(q.other_until >= 2 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone),	    cmocka_unit_test(test_listens_first),
		cmocka_unit_test(test_other_first), cmocka_unit_test(test_lower_wins),
		cmocka_unit_test(test_no_fight),    cmocka_unit_test(test_on),
		cmocka_unit_test(test_off),	    cmocka_unit_test(test_own_and_anonymous),
		cmocka_unit_test(test_address),	    cmocka_unit_test(test_hostile_values),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
