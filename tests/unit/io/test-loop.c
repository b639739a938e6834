/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources on the loop: when they fire, and that they can free themselves.
 */
#include "help.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

struct seen {
	uv_loop_t loop;
	struct timer *timer;
	struct fdwatch *watch;
	struct sigwatch *signal;
	int calls, events, fd;
	int64_t at_us;
	bool done;
};

static int setup(void **state)
{
	struct seen *s = xcalloc(1, sizeof(*s));

	loop_init(&s->loop);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct seen *s = *state;

	loop_done(&s->loop);
	free(s);
	return 0;
}

static void on_timer(void *arg)
{
	struct seen *s = arg;

	s->calls++;
	s->at_us = mono_now().us;
	s->done = true;
}

static void test_timer_is_never_early(void **state)
{
	struct seen *s = *state;

	s->timer = timer_new(&s->loop, "test", on_timer, s);
	assert_false(timer_is_set(s->timer));
	for (int i = 1; i <= 20; i++) {
		int64_t delay_us = i * 379, began_us = mono_now().us;

		s->done = false;
		timer_start(s->timer, delay_us);
		assert_true(timer_is_set(s->timer));
		assert_true(help_wait(&s->loop, &s->done));
		assert_true(s->at_us - began_us >= delay_us);
		assert_false(timer_is_set(s->timer));
	}
	assert_int_equal(s->calls, 20);
}

static void test_timer_stops(void **state)
{
	struct seen *s = *state;

	s->timer = timer_new(&s->loop, "test", on_timer, s);
	timer_start(s->timer, 0);
	timer_stop(s->timer);
	help_spin(&s->loop);
	assert_int_equal(s->calls, 0);
	timer_free(s->timer);
	timer_free(NULL);
}

static void on_timer_again(void *arg)
{
	struct seen *s = arg;

	if (++s->calls < 1000)
		timer_start(s->timer, 0);
}

/* A timer that sets itself again with no delay must leave the others their turn */
static void test_timer_does_not_starve_the_loop(void **state)
{
	struct seen *s = *state;

	s->timer = timer_new(&s->loop, "test", on_timer_again, s);
	timer_start(s->timer, 0);
	uv_run(&s->loop, UV_RUN_NOWAIT);
	assert_true(s->calls < 10);
}

static void on_timer_free(void *arg)
{
	struct seen *s = arg;

	timer_free(s->timer);
	s->timer = NULL;
	s->done = true;
}

static void test_timer_frees_itself(void **state)
{
	struct seen *s = *state;

	s->timer = timer_new(&s->loop, "test", on_timer_free, s);
	timer_start(s->timer, 0);
	assert_true(help_wait(&s->loop, &s->done));
}

static void on_fd(void *arg, int events)
{
	struct seen *s = arg;
	char c;

	s->calls++;
	s->events |= events;
	if (events & UV_READABLE && read(s->fd, &c, 1) == 1)
		s->done = true;
}

static void test_fd_is_watched_and_paused(void **state)
{
	struct seen *s = *state;
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	s->fd = pair[0];
	s->watch = fdwatch_new(&s->loop, "test", pair[0], UV_READABLE, on_fd, s);
	help_spin(&s->loop);
	assert_int_equal(s->calls, 0);
	assert_int_equal(write(pair[1], "a", 1), 1);
	assert_true(help_wait(&s->loop, &s->done));
	fdwatch_set(s->watch, 0);
	assert_int_equal(write(pair[1], "b", 1), 1);
	help_spin(&s->loop);
	assert_int_equal(s->calls, 1);
	s->done = false;
	fdwatch_set(s->watch, UV_READABLE);
	assert_true(help_wait(&s->loop, &s->done));
	fdwatch_free(s->watch);
	close(pair[0]);
	close(pair[1]);
}

static void on_fd_error(void *arg, int events)
{
	struct seen *s = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	s->calls++;
	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error == ECONNREFUSED)
		s->done = true;
	if (recv(s->fd, &error, 1, MSG_DONTWAIT) == 1)
		s->events++;
}

/* libuv alone would end the watch at a pending socket error; ours lets the owner meet it, and goes on */
static void test_fd_survives_a_socket_error(void **state)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct seen *s = *state;
	socklen_t len = sizeof(to);
	int other = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	s->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(other, (struct sockaddr *)&to, sizeof(to)) < 0)
		skip(); /* no IPv6 loopback here */
	assert_int_equal(getsockname(other, (struct sockaddr *)&to, &len), 0);
	close(other);
	assert_int_equal(connect(s->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	s->watch = fdwatch_new(&s->loop, "test", s->fd, UV_READABLE, on_fd_error, s);
	assert_int_equal(send(s->fd, "x", 1, 0), 1); /* refused: an error is pending on the socket */
	assert_true(help_wait(&s->loop, &s->done));
	/* and what comes after it is seen */
	other = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(other, (struct sockaddr *)&to, sizeof(to)), 0);
	struct sockaddr_in6 self;
	len = sizeof(self);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&self, &len), 0);
	assert_int_equal(sendto(other, "y", 1, 0, (struct sockaddr *)&self, len), 1);
	s->events = 0;
	for (int i = 0; i < 1000 && !s->events; i++)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_int_equal(s->events, 1);
	fdwatch_free(s->watch);
	close(s->fd);
	close(other);
}

static void on_signal(void *arg, int signum)
{
	struct seen *s = arg;

	s->events = signum;
	sigwatch_free(s->signal);
	s->done = true;
}

static void test_signal(void **state)
{
	struct seen *s = *state;

	s->signal = sigwatch_new(&s->loop, SIGUSR1, on_signal, s);
	kill(getpid(), SIGUSR1);
	assert_true(help_wait(&s->loop, &s->done));
	assert_int_equal(s->events, SIGUSR1);
}

static void test_done_frees_what_is_left(void **state)
{
	struct seen *s = *state;
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	for (int i = 0; i < 3; i++)
		timer_start(timer_new(&s->loop, "left", on_timer, s), USEC_PER_SEC);
	fdwatch_new(&s->loop, "left", pair[0], UV_READABLE, on_fd, s);
	sigwatch_new(&s->loop, SIGUSR2, on_signal, s);
	loop_done(&s->loop); /* the leak check of the sanitizer is what tests this */
	loop_init(&s->loop);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_timer_is_never_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_does_not_starve_the_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_frees_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fd_is_watched_and_paused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fd_survives_a_socket_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_done_frees_what_is_left, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
