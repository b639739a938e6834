/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines as they come out of stderr: text, JSON, hostile values, levels, a full pipe.
 */
#include "base/log.h"

#include <fcntl.h>
#include <limits.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int saved_stderr = -1;
static int pipe_fds[2];

static int start(void **state)
{
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK), 0);
	saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	log_init("router", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	return 0;
}

static int stop(void **state)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return 0;
}

/* what was logged since the last call */
static const char *logged(void)
{
	static char text[2 * PIPE_BUF];
	ssize_t n = read(pipe_fds[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* the line behind its time, whose form is checked */
static const char *untimed(const char *line)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? line[i] < '0' || line[i] > '9' : line[i] != form[i])
			fail_msg("not a time: %s", line);
	return line + sizeof(form) - 1;
}

static void test_text(void **state)
{
	log_info("peer is back", kv_str("peer", "192.0.2.7"), kv_int("vni", 1000), kv_str("name", "my nas"),
		 kv_str("none", NULL));
	assert_string_equal(untimed(logged()),
			    "info router: peer is back peer=192.0.2.7 vni=1000 name=\"my nas\" none=\"\"\n");
	log_error("it \"broke\"");
	assert_string_equal(untimed(logged()), "error router: it \"broke\"\n");
}

static void test_hostile(void **state)
{
	log_warning("bad\nname \x1b[2J", kv_str("name", "a\nb\"\x1b[31m\xff"));
	assert_string_equal(untimed(logged()),
			    "warning router: bad\\x0aname \\x1b[2J name=\"a\\x0ab\\x22\\x1b[31m\\xff\"\n");
}

/* From a signal handler: the same but for the time */
static void test_signal(void **state)
{
	char longer[300];

	log_signal(LOG_LEVEL_WARNING, "call refused", "call", "mount");
	assert_string_equal(logged(), "warning router: call refused call=mount\n");
	log_init("router", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_signal(LOG_LEVEL_WARNING, "call refused", "call", "mount");
	assert_string_equal(
		logged(), "{\"level\":\"warning\",\"role\":\"router\",\"msg\":\"call refused\",\"call\":\"mount\"}\n");
	log_signal(LOG_LEVEL_DEBUG, "call refused", "call", "mount");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	log_signal(LOG_LEVEL_WARNING, longer, "call", "mount");
	assert_string_equal(logged(), "");
}

static void test_levels(void **state)
{
	log_debug("not told");
	assert_string_equal(logged(), "");
	assert_false(log_enabled(LOG_LEVEL_DEBUG));
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("not told");
	assert_string_equal(logged(), "");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("told");
	assert_string_equal(untimed(logged()), "debug router: told\n");
}

static void test_journal(void **state)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_init("router", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info("short");
	assert_string_equal(logged(), "info router: short\n");
}

static void test_json(void **state)
{
	log_init("host", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_info("a \"b\"\n", kv_str("name", "x\"\n"), kv_int("n", -5));
	const char *line = logged();
	assert_int_equal(strncmp(line, "{\"time\":\"20", 11), 0);
	assert_string_equal(strstr(line, ",\"level\""),
			    ",\"level\":\"info\",\"role\":\"host\",\"msg\":\"a \\\"b\\\"\\\\x0a\","
			    "\"name\":\"x\\\\x22\\\\x0a\",\"n\":-5}\n");
}

static void test_errno_kept(void **state)
{
	errno = EXDEV;
	log_info("x");
	assert_int_equal(errno, EXDEV);
}

static void test_long_line(void **state)
{
	char *text = xmalloc(3 * PIPE_BUF);
	memset(text, 'x', 3 * PIPE_BUF);
	text[3 * PIPE_BUF - 1] = '\0';
	log_info(text);
	const char *line = logged();
	assert_in_range(strlen(line), PIPE_BUF - 10, PIPE_BUF);
	assert_string_equal(line + strlen(line) - 4, "...\n");
	log_init("host", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_info(text);
	line = logged();
	assert_in_range(strlen(line), 10, PIPE_BUF);
	assert_string_equal(line + strlen(line) - 2, "}\n");
	free(text);
}

/* nobody reads: the caller goes on, and is told later how many lines were lost */
static void test_full_pipe(void **state)
{
	for (int i = 0; i < 3000; i++)
		log_info("a line of which there are too many for the pipe", kv_int("n", i));
	for (int i = 0; i < 100 && *logged(); i++)
		;
	log_info("after");
	const char *line = untimed(logged());
	assert_int_equal(strncmp(line, "info router: after lines_dropped=", 33), 0);
	assert_true(atoi(line + 33) > 1000);
	log_info("again");
	assert_string_equal(untimed(logged()), "info router: again\n");
}

static void test_limit(void **state)
{
	struct log_limit l = {.interval_us = 1000};
	uint64_t held = 99;
	assert_true(log_limit_pass(&l, 10, &held));
	assert_int_equal(held, 0);
	assert_false(log_limit_pass(&l, 11, &held));
	assert_false(log_limit_pass(&l, 1009, &held));
	assert_true(log_limit_pass(&l, 1010, &held));
	assert_int_equal(held, 2);
	assert_false(log_limit_pass(&l, 1011, &held));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_text, start, stop),
		cmocka_unit_test_setup_teardown(test_hostile, start, stop),
		cmocka_unit_test_setup_teardown(test_signal, start, stop),
		cmocka_unit_test_setup_teardown(test_levels, start, stop),
		cmocka_unit_test_setup_teardown(test_journal, start, stop),
		cmocka_unit_test_setup_teardown(test_json, start, stop),
		cmocka_unit_test_setup_teardown(test_errno_kept, start, stop),
		cmocka_unit_test_setup_teardown(test_long_line, start, stop),
		cmocka_unit_test_setup_teardown(test_full_pipe, start, stop),
		cmocka_unit_test(test_limit),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
