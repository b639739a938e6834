/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation: arrays grow zeroed and keep what is in them; what cannot be had aborts.
 */
#include "base/base.h"

#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
	int a;
	char b[20];
};

static void test_grow(void **state)
{
	struct item *items = NULL;
	size_t n = 0, cap = 0;
	for (; n < 1000; n++) {
		struct item *it = xgrow(&items, n, &cap);
		assert_int_equal(it->a, 0);
		assert_int_equal(it->b[19], 0);
		it->a = (int)n;
		it->b[19] = 1;
	}
	assert_true(cap >= 1000 && cap < 2000);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(items[i].a, i);
	/* a slot that was given up is zeroed for the next */
	struct item *again = xgrow(&items, 500, &cap);
	assert_int_equal(again->a, 0);
	free(items);
}

static void test_copies(void **state)
{
	autofree char *a = xstrdup("text"), *b = xstrndup("text", 2), *c = xasprintf("%s-%d", "x", 7);
	autofree char *d = xmemdup("12345", 3), *e = xmemdup(NULL, 0), *f = xmalloc(0), *g = xcalloc(0, 8);
	assert_string_equal(a, "text");
	assert_string_equal(b, "te");
	assert_string_equal(c, "x-7");
	assert_memory_equal(d, "123", 3);
	assert_non_null(e);
	assert_non_null(f);
	assert_non_null(g);
}

static void test_steal(void **state)
{
	char *p = xstrdup("x");
	autofree char *q = steal_ptr(p);
	assert_null(p);
	assert_non_null(q);
	int fd = 5, taken = steal_fd(fd);
	assert_int_equal(fd, -1);
	assert_int_equal(taken, 5);
}

static void test_out_of_memory(void **state)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		close(STDERR_FILENO);
		/* more than there are addresses; a merely large size would be the sanitizer's to refuse */
		void *items = NULL;
		size_t cap = SIZE_MAX / 2;
		xgrow_(&items, cap, &cap, 4);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grow),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_steal),
		cmocka_unit_test(test_out_of_memory),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
