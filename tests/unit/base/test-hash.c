/* SPDX-License-Identifier: Apache-2.0
 *
 * The hash: the same for ever, different for different seeds, spread in all its bits.
 */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_stable(void **state)
{
	/* MAC addresses and interface names of running systems are made of it */
	assert_true(hash64("", 0, 0) == UINT64_C(0xf52a15e9a9b5e89b));
	assert_true(hash64("docker-router", 13, 0) == UINT64_C(0x461e9602b5fed7c3));
	assert_true(hash64("docker-router", 13, 1) == UINT64_C(0x8c22b9597d8264f1));
}

static void test_spread(void **state)
{
	/* numbers that differ in one low bit: half of the result's bits turn, none of them never or always */
	unsigned turned[64] = {0};
	const unsigned n = 4096;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t other = i ^ 1;
		uint64_t diff = hash64(&i, sizeof(i), 0) ^ hash64(&other, sizeof(other), 0);
		for (unsigned bit = 0; bit < 64; bit++)
			turned[bit] += diff >> bit & 1;
	}
	for (unsigned bit = 0; bit < 64; bit++)
		assert_in_range(turned[bit], n / 3, n * 2 / 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stable),
		cmocka_unit_test(test_spread),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
