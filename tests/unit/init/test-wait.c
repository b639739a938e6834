/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking once: interfaces and targets. Waiting itself is in waits.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "init/wait.h"

static void test_interfaces(void **state)
{
	const char *missing = interface_missing("no-such-if0", false);

	assert_string_equal(missing, "interface no-such-if0");
	/* as long as a name can be */
	assert_non_null(interface_missing("0123456789abcde", true));
}

static void test_unix_target(void **state)
{
	struct target t;
	char text[64];
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				    (size_t)sprintf(a.sun_path + 1, "init-unit-%d", getpid()));

	sprintf(text, "unix:@init-unit-%d", getpid());
	assert_int_equal(target_parse(text, &t, NULL), 0);
	assert_false(target_answers(&t, 1000));
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_false(target_answers(&t, 1000));
	assert_int_equal(listen(fd, 1), 0);
	assert_true(target_answers(&t, 1000));
}

static void test_what_needs_waiting(void **state)
{
	struct wait_options w = {0};

	unsetenv("NETWORKWAIT");
	assert_false(wait_is_needed(&w));
	setenv("NETWORKWAIT", "0", 1);
	assert_false(wait_is_needed(&w));
	setenv("NETWORKWAIT", "1", 1);
	assert_true(wait_is_needed(&w));
	unsetenv("NETWORKWAIT");
	w.n_targets = 1;
	assert_true(wait_is_needed(&w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_unix_target),
		cmocka_unit_test(test_what_needs_waiting),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
