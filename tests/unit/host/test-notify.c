/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service manager hears, on both kinds of sockets.
 */
#include "io/help.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "host/notify.h"

struct fixture {
	uv_loop_t loop;
	char dir[64], path[96], env_socket[128];
	int manager;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	loop_init(&f->loop);
	help_mkdir(f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->manager);
	loop_done(&f->loop);
	help_rm(f->dir);
	free(f);
	return 0;
}

static void manager_listen(struct fixture *f, bool abstract)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t len;

	if (abstract)
		str_print(f->path, "@docker-router-test-%d", getpid());
	else
		str_print(f->path, "%s/notify", f->dir);
	str_print(f->env_socket, "NOTIFY_SOCKET=%s", f->path);
	len = strlen(f->path);
	memcpy(a.sun_path, f->path, len);
	if (abstract)
		a.sun_path[0] = '\0';
	f->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	len += offsetof(struct sockaddr_un, sun_path);
	assert_int_equal(bind(f->manager, (struct sockaddr *)&a, abstract ? (socklen_t)len : sizeof(a)), 0);
}

static void expect(struct fixture *f, const char *want)
{
	char in[256];
	ssize_t n = recv(f->manager, in, sizeof(in) - 1, 0);

	assert_true(n > 0);
	in[n] = '\0';
	assert_string_equal(in, want);
}

static void tell(struct fixture *f, bool abstract)
{
	struct notify *n;

	manager_listen(f, abstract);
	n = notify_new(&f->loop, (char *const[]){(char *)"A=b", f->env_socket, NULL});
	notify_send(n, "READY=1\nSTATUS=%d roles run", 3);
	expect(f, "READY=1\nSTATUS=3 roles run");
	notify_free(n);
}

static void test_path_socket(void **state)
{
	tell(*state, false);
}

static void test_abstract_socket(void **state)
{
	tell(*state, true);
}

static void test_reloading_tells_the_time(void **state)
{
	struct fixture *f = *state;
	struct notify *n;
	long long us = 0;
	char in[256] = "";
	struct timespec now;

	manager_listen(f, false);
	n = notify_new(&f->loop, (char *const[]){f->env_socket, NULL});
	notify_reloading(n);
	assert_true(recv(f->manager, in, sizeof(in) - 1, 0) > 0);
	assert_int_equal(sscanf(in, "RELOADING=1\nMONOTONIC_USEC=%lld", &us), 1);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_true(us > 0 && us <= now.tv_sec * 1000000LL + now.tv_nsec / 1000);
	assert_true(us > now.tv_sec * 1000000LL - 10000000);
	notify_free(n);
}

static void test_watchdog_is_fed(void **state)
{
	struct fixture *f = *state;
	int64_t end_us = mono_now().us + DEADLINE_US;
	char in[64];
	struct notify *n;
	int fed = 0;

	manager_listen(f, false);
	n = notify_new(&f->loop, (char *const[]){f->env_socket, (char *)"WATCHDOG_USEC=20000", NULL});
	while (fed < 3 && mono_now().us < end_us) {
		uv_run(&f->loop, UV_RUN_ONCE);
		while (recv(f->manager, in, sizeof(in), 0) == 10)
			fed++;
	}
	assert_true(fed >= 3);
	notify_free(n);
	/* not when it is meant for another process */
	n = notify_new(&f->loop,
		       (char *const[]){f->env_socket, (char *)"WATCHDOG_USEC=2000", (char *)"WATCHDOG_PID=1", NULL});
	assert_int_equal(uv_run(&f->loop, UV_RUN_NOWAIT), 0); /* no timer is set */
	notify_free(n);
}

static void test_no_manager(void **state)
{
	struct fixture *f = *state;
	static const char *const env[] = {"NOTIFY_SOCKET=", "NOTIFY_SOCKET=relative", "NOTIFY_SOCKET=/no/such/socket",
					  "NOTIFY_SOCKET=@"};

	f->manager = -1;
	for (size_t i = 0; i < ARRAY_LEN(env); i++) {
		struct notify *n = notify_new(&f->loop, (char *const[]){(char *)env[i], NULL});

		notify_send(n, "READY=1");
		notify_reloading(n);
		notify_free(n);
	}
	notify_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_path_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(test_abstract_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reloading_tells_the_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watchdog_is_fed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_manager, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
