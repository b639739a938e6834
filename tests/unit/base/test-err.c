/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors: one line, cut at the end, filled on failure only, NULL is fine.
 */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_set(void **state)
{
	struct err e = {0};
	assert_int_equal(err_set(&e, -EINVAL, "port %d", 7), -EINVAL);
	assert_int_equal(e.code, -EINVAL);
	assert_string_equal(e.text, "port 7");
	assert_int_equal(err_errno(&e, -ENOENT, "open %s", "x"), -ENOENT);
	assert_string_equal(e.text, "open x: No such file or directory");
	assert_int_equal(err_wrap(&e, "leg of %s", "shop"), -ENOENT);
	assert_string_equal(e.text, "leg of shop: open x: No such file or directory");
}

static void test_null(void **state)
{
	assert_int_equal(err_set(NULL, -EPERM, "x"), -EPERM);
	assert_int_equal(err_errno(NULL, -EPERM, "x"), -EPERM);
	assert_true(err_wrap(NULL, "x") < 0);
}

static void test_hostile(void **state)
{
	struct err e = {0};
	char longer[1000];
	memset(longer, 'y', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	err_set(&e, -EINVAL, "a\nb\x1b[2J\x7f%s", longer);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_int_equal(strncmp(e.text, "a b [2J y", 9), 0);
	err_wrap(&e, "%s", "prefix");
	assert_int_equal(strncmp(e.text, "prefix: a b", 11), 0);
	/* the old text as an argument */
	err_set(&e, -EIO, "short");
	err_set(&e, -EIO, "again %s", e.text);
	assert_string_equal(e.text, "again short");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_hostile),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
