/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages over a socket pair: bounds, order, descriptors, and the end.
 */
#include "help.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "io/seqpacket.h"

#define BYTES_MAX 1000

struct fixture {
	uv_loop_t loop;
	struct seqpacket *a, *b;
	size_t messages, last_len;
	uint32_t next;
	bool in_order, done, closed;
	int fd;
};

static void on_message(void *arg, const void *data, size_t len, int fd)
{
	struct fixture *f = arg;
	uint32_t n = 0;

	memcpy(&n, data, len < sizeof(n) ? len : sizeof(n));
	f->in_order &= n == f->next++;
	f->messages++;
	f->last_len = len;
	autoclose_(&f->fd);
	f->fd = fd;
	f->done = true;
}

static void on_closed(void *arg)
{
	struct fixture *f = arg;

	f->closed = f->done = true;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	int pair[2];

	loop_init(&f->loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	f->a = seqpacket_new(&f->loop, pair[0], BYTES_MAX, 0, on_message, on_closed, f);
	f->b = seqpacket_new(&f->loop, pair[1], BYTES_MAX, 0, on_message, on_closed, f);
	f->in_order = true;
	f->fd = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	seqpacket_free(f->a);
	seqpacket_free(f->b);
	seqpacket_free(NULL);
	autoclose_(&f->fd);
	loop_done(&f->loop);
	free(f);
	return 0;
}

static void wait_messages(struct fixture *f, size_t n)
{
	while (f->messages < n) {
		f->done = false;
		if (!help_wait(&f->loop, &f->done))
			fail_msg("%zu of %zu messages came", f->messages, n);
	}
}

/* Many more than the socket holds: the rest waits, and comes in order */
static void test_queue(void **state)
{
	struct fixture *f = *state;
	char data[BYTES_MAX] = {0};

	for (uint32_t i = 0; i < 5000; i++) {
		memcpy(data, &i, sizeof(i));
		seqpacket_send(f->a, data, sizeof(data), -1);
	}
	wait_messages(f, 5000);
	assert_true(f->in_order);
	assert_int_equal(f->last_len, BYTES_MAX);
}

static void test_too_long(void **state)
{
	struct fixture *f = *state;
	char data[3 * BYTES_MAX] = {0};

	seqpacket_send(f->a, data, sizeof(data), -1);
	wait_messages(f, 1);
	assert_int_equal(f->last_len, BYTES_MAX + 1);
}

static void test_descriptor(void **state)
{
	struct fixture *f = *state;
	uint32_t n = 0;
	int ends[2];
	char c;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	seqpacket_send(f->a, &n, sizeof(n), ends[1]);
	assert_int_equal(fcntl(ends[1], F_GETFD), -1); /* taken */
	wait_messages(f, 1);
	assert_true(f->fd >= 0);
	assert_int_equal(fcntl(f->fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(f->fd, "x", 1), 1);
	assert_int_equal(read(ends[0], &c, 1), 1);
	close(ends[0]);
}

static void test_pause(void **state)
{
	struct fixture *f = *state;
	uint32_t n = 0;

	seqpacket_pause(f->b, true);
	seqpacket_send(f->a, &n, sizeof(n), -1);
	help_spin(&f->loop);
	assert_int_equal(f->messages, 0);
	seqpacket_pause(f->b, false);
	wait_messages(f, 1);
}

static void test_end(void **state)
{
	struct fixture *f = *state;
	uint32_t n = 0;

	seqpacket_free(f->b);
	f->b = NULL;
	assert_true(help_wait(&f->loop, &f->closed));
	/* sending into nothing is no death and no second end */
	f->closed = false;
	seqpacket_send(f->a, &n, sizeof(n), -1);
	help_spin(&f->loop);
	assert_false(f->closed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
