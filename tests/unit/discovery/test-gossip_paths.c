/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of UDP and TCP does not get through: what is told for each way to fail, and when it is told no more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "discovery/gossip_paths.h"

static const struct endpoint there = {.ip = {AF_INET, {192, 0, 2, 7}}, .port = 4791};
static const mono_t start = {INT64_C(1000) * USEC_PER_SEC};

static mono_t after(int64_t s)
{
	return (mono_t){start.us + s * USEC_PER_SEC};
}

/* Is exactly this told (NULL: nothing), of the only address that there is? */
static void assert_told(const struct gossip_paths *p, mono_t now, bool joined, const char *what)
{
	struct problems told = {0};

	gossip_path_problems(p, now, &there, joined, &told);
	assert_int_equal(told.n, what != NULL);
	if (what) {
		assert_string_equal(told.v[0].object, "192.0.2.7:4791");
		if (!strstr(told.v[0].text, what))
			fail_msg("told: %s", told.v[0].text);
		assert_true(told.v[0].cure[0]);
	}
	problems_done(&told);
}

static void test_udp_blocked(void **state)
{
	struct gossip_paths p = {0};

	assert_told(&p, start, true, NULL);
	assert_false(gossip_path_opened(&p, after(0), &there, 0));
	assert_false(gossip_path_opened(&p, after(1), &there, 0));
	assert_told(&p, after(1), true, NULL); /* two may be chance */
	assert_true(gossip_path_opened(&p, after(2), &there, 0));
	assert_false(gossip_path_opened(&p, after(3), &there, 0)); /* known already */
	assert_told(&p, after(3), false, "UDP does not get through");
	assert_told(&p, after(62), false, "UDP does not get through");
	assert_told(&p, after(63), false, NULL); /* long ago */
	gossip_path_heard(&p, after(4), &there);
	assert_told(&p, after(4), true, NULL);
	/* three in a row, that is without a minute between them */
	assert_false(gossip_path_opened(&p, after(10), &there, 0));
	assert_false(gossip_path_opened(&p, after(100), &there, 0));
	assert_false(gossip_path_opened(&p, after(101), &there, 0));
	assert_told(&p, after(101), true, NULL);
}

static void test_tcp_blocked(void **state)
{
	struct gossip_paths p = {0};

	assert_true(gossip_path_opened(&p, after(0), &there, -ETIMEDOUT));
	assert_false(gossip_path_opened(&p, after(1), &there, -ETIMEDOUT));
	assert_true(gossip_path_opened(&p, after(2), &there, -EHOSTUNREACH)); /* another failure is news */
	assert_told(&p, after(2), true, "neither TCP nor UDP");
	assert_told(&p, after(2), false, NULL); /* a member that is dead is no fault of the network */
	gossip_path_heard(&p, after(3), &there);
	assert_told(&p, after(3), true, "TCP does not get through");
	assert_told(&p, after(3), false, "TCP does not get through");
	assert_false(gossip_path_opened(&p, after(4), &there, 0));
	assert_told(&p, after(4), true, NULL);
}

static void test_others(void **state)
{
	struct gossip_paths p = {0};

	assert_true(gossip_path_opened(&p, after(0), &there, -ECONNREFUSED));
	assert_told(&p, after(0), true, "nobody listens there");
	assert_told(&p, after(0), false, NULL);
	/* a wrong key is told by who has the keys */
	assert_true(gossip_path_opened(&p, after(1), &there, -ENOKEY));
	assert_told(&p, after(1), true, NULL);
	/* who is not watched is not noted */
	gossip_path_heard(&p, after(1), &(struct endpoint){.ip = there.ip, .port = 1});
	assert_int_equal(p.n, 1);
}

static void test_bounded(void **state)
{
	struct gossip_paths p = {0};
	struct endpoint e = there;

	for (unsigned i = 0; i < GOSSIP_PATHS; i++) {
		e.port = (uint16_t)(1000 + i);
		assert_true(gossip_path_opened(&p, after(0), &e, -ETIMEDOUT));
	}
	assert_false(gossip_path_opened(&p, after(1), &there, -ETIMEDOUT)); /* no room */
	assert_told(&p, after(1), true, NULL);
	assert_int_equal(p.n, GOSSIP_PATHS);
	/* what is old makes room */
	assert_true(gossip_path_opened(&p, after(61), &there, -ETIMEDOUT));
	assert_int_equal(p.n, GOSSIP_PATHS);
	assert_told(&p, after(61), true, "neither");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp_blocked),
		cmocka_unit_test(test_tcp_blocked),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
