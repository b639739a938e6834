/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries in flight: each answer to its own, bounds, time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "names/forward.h"

static struct sockaddr_in client(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
}

static void test_to_and_fro(void **state)
{
	struct sockaddr_in c = client(5), got;
	struct forward f = {0};
	uint16_t id, its;

	assert_false(forward_take(&f, 1, 7, 1, &got, &its));
	id = forward_add(&f, 1, 1234, &c, 77, 99);
	assert_int_equal(id, 1234);
	assert_false(forward_take(&f, 2, id, 98, &got, &its)); /* another question */
	assert_false(forward_take(&f, 2, (uint16_t)(id + FORWARD_FIRST), 99, &got, &its));
	assert_false(forward_take(&f, 1 + FORWARD_US, id, 99, &got, &its)); /* too late */
	assert_true(forward_take(&f, FORWARD_US, id, 99, &got, &its));
	assert_int_equal(its, 77);
	assert_int_equal(got.sin_port, 5);
	assert_false(forward_take(&f, 2, id, 99, &got, &its)); /* twice */
	/* an error without a question is believed by its id */
	id = forward_add(&f, 2, 1, &c, 78, 99);
	assert_true(forward_take(&f, 3, id, 0, &got, &its));
	forward_done(&f);
	forward_done(&f);
}

/* Sent again is what has not been answered and still may be: the last ones, in their order */
static void test_kept(void **state)
{
	struct sockaddr_in c = client(5), got;
	struct forward f = {0};
	uint8_t query[FORWARD_BYTES + 1] = {0};
	uint16_t ids[FORWARD_KEPT + 2], its;

	assert_null(forward_kept(&f, 1, 0));
	for (uint16_t i = 0; i < ARRAY_LEN(ids); i++) {
		ids[i] = forward_add(&f, 1, (uint16_t)(100 + i), &c, i, 0);
		memcpy(query, &ids[i], sizeof(ids[i]));
		query[2] = (uint8_t)i;
		forward_keep(&f, query, 20u + i);
	}
	forward_keep(&f, query, sizeof(query)); /* too long */
	forward_keep(&f, query, 1);
	for (unsigned i = 0; i < FORWARD_KEPT; i++) {
		const struct forward_query *q = forward_kept(&f, 2, i);
		assert_non_null(q);
		assert_int_equal(q->len, 22 + i);
		assert_int_equal(q->bytes[2], 2 + i);
		assert_memory_equal(q->bytes, &ids[2 + i], sizeof(ids[0]));
	}
	assert_null(forward_kept(&f, 2, FORWARD_KEPT));
	assert_true(forward_take(&f, 2, ids[4], 0, &got, &its));
	assert_null(forward_kept(&f, 2, 2)); /* answered */
	assert_non_null(forward_kept(&f, 2, 3));
	assert_null(forward_kept(&f, 1 + FORWARD_US, 3)); /* too late */
	forward_done(&f);
	assert_null(forward_kept(&f, 2, 3));
	forward_keep(&f, query, 20); /* nothing is in flight */
	assert_null(forward_kept(&f, 2, FORWARD_KEPT - 1));
	forward_done(&f);
}

/* Ids from a bad source, all at once: none is lost up to the bound */
static void test_many(void **state)
{
	struct forward f = {0};
	uint16_t ids[FORWARD_MAX / 2];
	struct sockaddr_in got;

	for (uint16_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct sockaddr_in c = client(i);

		ids[i] = forward_add(&f, 1, (uint16_t)(i * 64), &c, i, i + 1u);
		assert_true(f.cap <= FORWARD_MAX);
	}
	for (uint16_t i = 0; i < ARRAY_LEN(ids); i++) {
		uint16_t its;

		if (!forward_take(&f, 2, ids[i], i + 1u, &got, &its))
			continue; /* its place was taken when the table was as large as it may be */
		assert_int_equal(its, i);
		assert_int_equal(got.sin_port, i);
	}
	forward_done(&f);
}

/* Good ids: a table that is half full loses next to nothing */
static void test_random(void **state)
{
	struct forward f = {0};
	uint16_t ids[256];
	unsigned lost = 0;

	for (uint16_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct sockaddr_in c = client(i);

		ids[i] = forward_add(&f, 1, (uint16_t)hash64(&i, sizeof(i), 1), &c, i, i + 1u);
	}
	for (uint16_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct sockaddr_in got;
		uint16_t its;

		lost += !forward_take(&f, 2, ids[i], i + 1u, &got, &its);
	}
	assert_int_equal(lost, 0);
	forward_done(&f);
}

/* More than there is room for, without end: bounded, and the newest are served */
static void test_flood(void **state)
{
	struct sockaddr_in c = client(1), got;
	struct forward f = {0};
	uint16_t its;

	for (uint32_t i = 0; i < 100000; i++) {
		uint16_t id = forward_add(&f, 1, (uint16_t)hash64(&i, sizeof(i), 1), &c, (uint16_t)i, i + 1);

		assert_true(f.cap <= FORWARD_MAX);
		if (i % 100 == 0) {
			assert_true(forward_take(&f, 2, id, i + 1, &got, &its));
			assert_int_equal(its, (uint16_t)i);
		}
	}
	/* and when their time is over there is room for all */
	for (uint16_t i = 0; i < FORWARD_MAX / 2; i++)
		forward_add(&f, 2 + FORWARD_US, (uint16_t)(i * 2), &c, i, 1);
	for (uint16_t i = 0; i < FORWARD_MAX / 2; i++)
		assert_true(forward_take(&f, 3 + FORWARD_US, (uint16_t)(i * 2), 1, &got, &its));
	forward_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_to_and_fro), cmocka_unit_test(test_kept),	 cmocka_unit_test(test_many),
		cmocka_unit_test(test_random),	   cmocka_unit_test(test_flood),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
