/* SPDX-License-Identifier: Apache-2.0
 *
 * The supervisor with roles that are shell scripts: what it starts, restarts, and ends.
 */
#include "io/help.h"

#include <fcntl.h>
#include <signal.h>

#include "base/log.h"
#include "host/supervise.h"
#include "io/broker.h"

struct fixture {
	uv_loop_t loop;
	char dir[64], run_dir[96];
	struct supervisor *s;
	unsigned changes;
	bool stopped;
};

static void on_changed(void *arg)
{
	((struct fixture *)arg)->changes++;
}

static void on_stopped(void *arg)
{
	((struct fixture *)arg)->stopped = true;
}

static int setup(void **state)
{
	static char *const env[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"FROM_HOST=yes", NULL};
	struct fixture *f = xcalloc(1, sizeof(*f));

	log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	loop_init(&f->loop);
	help_mkdir(f->dir);
	str_print(f->run_dir, "%s/run", f->dir);
	f->s = supervisor_new(&f->loop, &(struct supervisor_spec){.exe_dir = f->dir,
								  .run_dir = f->run_dir,
								  .env = env,
								  .changed = on_changed,
								  .stopped = on_stopped,
								  .arg = f});
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	supervisor_stop(f->s);
	assert_true(help_wait(&f->loop, &f->stopped));
	supervisor_free(f->s);
	loop_done(&f->loop);
	help_rm(f->dir);
	free(f);
	return 0;
}

/* A role that runs @body; $D is the test's folder */
static void lay_role(struct fixture *f, const char *role, const char *body)
{
	autofree char *path = xasprintf("%s/docker-router-%s", f->dir, role);
	autofree char *text = xasprintf("#!/bin/sh\nD=%s\n%s\n", f->dir, body);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static struct host_role role_state(struct fixture *f, const char *role)
{
	struct host_role roles[16];
	size_t n = supervisor_state(f->s, roles, ARRAY_LEN(roles));

	for (size_t i = 0; i < n; i++)
		if (str_eq(roles[i].role, role))
			return roles[i];
	return (struct host_role){.state = ROLE_STATE_N_};
}

static char *read_file(struct fixture *f, const char *name)
{
	autofree char *path = xasprintf("%s/%s", f->dir, name);
	char *text = xcalloc(1, 1024);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		assert_true(read(fd, text, 1023) >= 0);
		close(fd);
	}
	return text;
}

/* Wait until a role has written a line into a file of the folder */
static void wait_file(struct fixture *f, const char *name, const char *want)
{
	int64_t end_us = mono_now().us + DEADLINE_US;

	for (;;) {
		autofree char *text = read_file(f, name);

		if (strstr(text, want))
			return;
		if (mono_now().us > end_us)
			fail_msg("waited for \"%s\" in %s, which holds \"%s\"", want, name, text);
		uv_run(&f->loop, UV_RUN_NOWAIT);
	}
}

static void wait_restarts(struct fixture *f, const char *role, uint32_t n)
{
	int64_t end_us = mono_now().us + DEADLINE_US;

	while (role_state(f, role).restarts < n) {
		if (mono_now().us > end_us)
			fail_msg("%s was restarted %u times, not %u", role, role_state(f, role).restarts, n);
		uv_run(&f->loop, UV_RUN_NOWAIT);
	}
}

#define STAY "trap 'exit 0' TERM\nwhile :; do sleep 0.01; done"

static void test_backoff(void **state)
{
	static const int64_t want_ms[] = {0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000};
	struct backoff b = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want_ms); i++)
		assert_int_equal(backoff_next(&b, 0, 1), want_ms[i] * 1000);
	/* a minute of running makes it forgotten */
	assert_int_equal(backoff_next(&b, 59 * USEC_PER_SEC, 1), 30 * USEC_PER_SEC);
	assert_int_equal(backoff_next(&b, 60 * USEC_PER_SEC, 1), 0);
	assert_int_equal(backoff_next(&b, 0, 1), 100 * USEC_PER_MSEC);
	/* wrong usage is not cured by trying */
	b = (struct backoff){0};
	assert_int_equal(backoff_next(&b, 0, 2), 30 * USEC_PER_SEC);
	for (int i = 0; i < 1000; i++)
		assert_true(backoff_next(&b, 0, -1) <= 30 * USEC_PER_SEC);
}

static void test_start_and_environment(void **state)
{
	struct fixture *f = *state;

	lay_role(f, "inventory", "echo inventory $FROM_HOST $GOODBYE $" BROKER_FD_ENV ". > $D/inventory\n" STAY);
	lay_role(f, "discovery", "echo discovery $FROM_HOST $GOODBYE $" BROKER_FD_ENV ". > $D/discovery\n" STAY);
	lay_role(f, "router",
		 "echo router $FROM_HOST $GOODBYE $" BROKER_FD_ENV ". > $D/router\n"
		 "readlink /proc/self/fd/3 >> $D/router\n" STAY);
	supervisor_set_roles(f->s, "inventory,discovery, router");
	wait_file(f, "inventory", "inventory yes .\n");
	wait_file(f, "discovery", "discovery yes never .\n");
	wait_file(f, "router", "router yes 3.\nsocket:");
	assert_int_equal(role_state(f, "router").state, ROLE_RUNNING);
	assert_true(role_state(f, "router").pid > 1);
	assert_int_equal(role_state(f, "router").restarts, 0);
	assert_true(f->changes >= 3);
}

static void test_restart(void **state)
{
	struct fixture *f = *state;
	int64_t began_us;

	lay_role(f, "router", "kill -KILL $$");
	began_us = mono_now().us;
	supervisor_set_roles(f->s, "router");
	wait_restarts(f, "router", 3);
	/* at once, after 100 ms, after 200 ms: the third end is not before 100 ms have gone */
	assert_true(mono_now().us - began_us >= 100 * USEC_PER_MSEC);
	assert_string_equal(role_state(f, "router").last_exit, "signal 9");
	assert_int_equal(role_state(f, "router").state, ROLE_WAITING);
	assert_int_equal(role_state(f, "router").pid, 0);
	lay_role(f, "router", "echo back > $D/back\n" STAY);
	wait_file(f, "back", "back");
	assert_int_equal(role_state(f, "router").state, ROLE_RUNNING);
}

static void test_wrong_usage_is_not_hurried(void **state)
{
	struct fixture *f = *state;

	lay_role(f, "router", "echo x >> $D/tries; exit 2");
	supervisor_set_roles(f->s, "router");
	wait_restarts(f, "router", 1);
	help_spin(&f->loop);
	assert_int_equal(role_state(f, "router").state, ROLE_WAITING);
	assert_string_equal(role_state(f, "router").last_exit, "exit 2");
	autofree char *tries = read_file(f, "tries");
	assert_string_equal(tries, "x\n");
}

static void test_missing_executable(void **state)
{
	struct fixture *f = *state;

	supervisor_set_roles(f->s, "router");
	assert_int_equal(role_state(f, "router").state, ROLE_WAITING);
	assert_string_equal(role_state(f, "router").last_exit, "not started");
}

static void test_roles_come_and_go(void **state)
{
	struct fixture *f = *state;

	lay_role(f, "inventory", "trap 'exit 0' TERM\necho x >> $D/inventory\n" STAY);
	lay_role(f, "router", "echo x >> $D/router\n" STAY);
	supervisor_set_roles(f->s, "inventory");
	wait_file(f, "inventory", "x");
	supervisor_set_roles(f->s, "router");
	wait_file(f, "router", "x");
	for (int64_t end_us = mono_now().us + DEADLINE_US; role_state(f, "inventory").state != ROLE_STOPPED;) {
		assert_true(mono_now().us < end_us);
		uv_run(&f->loop, UV_RUN_NOWAIT);
	}
	assert_string_equal(role_state(f, "inventory").last_exit, "exit 0");
	supervisor_set_roles(f->s, "inventory,router");
	wait_file(f, "inventory", "x\nx\n");
	assert_int_equal(role_state(f, "router").restarts, 0);
}

static void test_signal_reaches_all(void **state)
{
	struct fixture *f = *state;

	lay_role(f, "inventory", "trap 'echo hup > $D/inventory' HUP\necho ready > $D/i\n" STAY);
	lay_role(f, "router", "trap 'echo hup > $D/router' HUP\necho ready > $D/r\n" STAY);
	supervisor_set_roles(f->s, "inventory,router");
	wait_file(f, "i", "ready");
	wait_file(f, "r", "ready");
	supervisor_signal(f->s, SIGHUP);
	wait_file(f, "inventory", "hup");
	wait_file(f, "router", "hup");
}

static void test_stop_in_time(void **state)
{
	struct fixture *f = *state;
	int64_t began_us;

	lay_role(f, "inventory", "trap '' TERM\necho ready > $D/i\nwhile :; do sleep 0.01; done");
	lay_role(f, "router", "trap 'exit 0' TERM\necho ready > $D/r\n" STAY);
	supervisor_set_roles(f->s, "inventory,router");
	wait_file(f, "i", "ready");
	wait_file(f, "r", "ready");
	began_us = mono_now().us;
	supervisor_stop(f->s);
	assert_true(help_wait(&f->loop, &f->stopped));
	assert_true(mono_now().us - began_us >= 5 * USEC_PER_SEC);
	assert_string_equal(role_state(f, "inventory").last_exit, "signal 9");
	assert_string_equal(role_state(f, "router").last_exit, "exit 0");
	f->stopped = false; /* the teardown stops once more */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff),
		cmocka_unit_test_setup_teardown(test_start_and_environment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_usage_is_not_hurried, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_executable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roles_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signal_reaches_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_in_time, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
