/* SPDX-License-Identifier: Apache-2.0
 *
 * Buffers, strings of fixed size, numbers from text.
 */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_buf(void **state)
{
	struct buf b = {0};
	buf_puts(&b, "");
	assert_string_equal(b.data, "");
	for (int i = 0; i < 300; i++)
		buf_append(&b, "ab", 2);
	assert_int_equal(b.len, 600);
	assert_int_equal(b.data[600], 0);
	char *data = b.data;
	buf_clear(&b);
	assert_ptr_equal(b.data, data);
	assert_string_equal(b.data, "");
	buf_printf(&b, "%d-%s", 42, "x");
	assert_string_equal(b.data, "42-x");
	/* longer than what was reserved at first */
	char longer[400];
	memset(longer, 'y', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	struct buf c = {0};
	buf_printf(&c, "<%s>", longer);
	assert_int_equal(c.len, 401);
	assert_int_equal(c.data[400], '>');
	buf_done(&b);
	buf_done(&c);
	assert_null(b.data);
}

static void test_str_copy(void **state)
{
	char a[4] = "zzz";
	assert_true(str_copy(a, "x"));
	assert_memory_equal(a, "x\0\0", 4);
	assert_true(str_copy(a, "abc"));
	assert_false(str_copy(a, "abcd"));
	assert_string_equal(a, "abc");
}

static void test_str_safe(void **state)
{
	struct buf b = {0};
	str_safe(&b, "");
	assert_string_equal(b.data, "");
	str_safe(&b, "a \"b\\\x1b[31m\n\xc3\xa9\x7f");
	assert_string_equal(b.data, "a \\x22b\\x5c\\x1b[31m\\x0a\\xc3\\xa9\\x7f");
	buf_clear(&b);
	char longer[1000];
	memset(longer, 'y', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	str_safe(&b, longer);
	assert_int_equal(b.len, 203);
	buf_done(&b);
}

static void test_parse_u64(void **state)
{
	static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "1.0", "0x10", "1e3", "\xd9\xa1"};
	uint64_t n = 7;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(parse_u64(bad[i], 0, 100, &n), -EINVAL);
	assert_int_equal(parse_u64("0", 1, 100, &n), -ERANGE);
	assert_int_equal(parse_u64("101", 1, 100, &n), -ERANGE);
	assert_int_equal(parse_u64("18446744073709551616", 0, UINT64_MAX, &n), -ERANGE);
	assert_int_equal(n, 7);
	assert_int_equal(parse_u64("18446744073709551615", 0, UINT64_MAX, &n), 0);
	assert_true(n == UINT64_MAX);
	assert_int_equal(parse_u64("007", 0, 100, &n), 0);
	assert_int_equal(n, 7);
}

static void test_nearest(void **state)
{
	static const char *const words[] = {"status", "stacks", "peers", "router", "routes", "map", NULL};
	assert_string_equal(str_nearest("statsu", words), "status");
	assert_string_equal(str_nearest("peer", words), "peers");
	assert_string_equal(str_nearest("route", words), "router");
	assert_string_equal(str_nearest("mop", words), "map");
	assert_null(str_nearest("frobnicate", words));
	assert_null(str_nearest("", words));
	assert_null(str_nearest("a-word-of-more-than-thirty-two-letters-is-no-slip", words));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf),	  cmocka_unit_test(test_str_copy), cmocka_unit_test(test_str_safe),
		cmocka_unit_test(test_parse_u64), cmocka_unit_test(test_nearest),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
