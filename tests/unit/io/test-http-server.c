/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP server on its unix socket: requests in pieces, answers later, clients that leave, and what it refuses.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include "help.h"
#include "io/http_server.h"

struct world {
	uv_loop_t loop;
	char dir[64], path[96];
	struct http_server *server;
	struct http_exchange *held;
	char asked[128];
	struct buf body;
	bool hold, gone;
	int requests;
};

static void on_gone(void *arg)
{
	struct world *w = arg;

	w->gone = true;
	w->held = NULL;
}

static void on_request(void *arg, struct http_exchange *x, const char *path, const struct buf *body)
{
	struct world *w = arg;

	w->requests++;
	str_copy(w->asked, path);
	buf_clear(&w->body);
	buf_append(&w->body, body->data, body->len);
	if (w->hold) {
		w->held = x;
		http_exchange_gone(x, on_gone, w);
	} else {
		http_reply(x, 200, "{}", 2);
	}
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err;

	loop_init(&w->loop);
	help_mkdir(w->dir);
	str_print(w->path, "%s/plugins/x.sock", w->dir); /* its folder is made */
	assert_int_equal(http_server_new(&w->loop, w->path, on_request, w, &w->server, &err), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	http_server_free(w->server);
	assert_int_equal(access(w->path, F_OK), -1);
	loop_done(&w->loop);
	help_rm(w->dir);
	buf_done(&w->body);
	free(w);
	return 0;
}

static int client(const struct world *w)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	str_copy(at.sun_path, w->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void say(struct world *w, int fd, const char *text, size_t len)
{
	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
	help_spin(&w->loop);
}

/* All that comes, until the server closes */
static void answer_is(struct world *w, int fd, const char *wanted)
{
	struct buf got = {0};
	char part[4096];
	ssize_t n;

	help_spin(&w->loop);
	while ((n = recv(fd, part, sizeof(part), MSG_DONTWAIT)) > 0)
		buf_append(&got, part, (size_t)n);
	assert_int_equal(n, 0);
	if (!got.data || !strstr(got.data, wanted))
		fail_msg("\"%s\" does not have \"%s\"", got.data ? got.data : "", wanted);
	buf_done(&got);
	close(fd);
}

#define HEAD "POST /NetworkDriver.Join HTTP/1.1\r\nHost: plugin\r\nContent-Length: 9\r\n\r\n"

static void test_request(void **state)
{
	struct world *w = *state;
	static const char text[] = HEAD "{\"a\": 12}";
	int fd = client(w);

	for (size_t i = 0; i + 1 < sizeof(text); i++) /* byte by byte */
		say(w, fd, text + i, 1);
	answer_is(w, fd,
		  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: "
		  "close\r\n\r\n{}");
	assert_string_equal(w->asked, "/NetworkDriver.Join");
	assert_string_equal(w->body.data, "{\"a\": 12}");
	/* in chunks, and without any body */
	fd = client(w);
	static const char chunked[] =
		"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
	say(w, fd, chunked, sizeof(chunked) - 1);
	answer_is(w, fd, "200 OK");
	assert_string_equal(w->body.data, "abcde");
	fd = client(w);
	static const char bare[] = "POST /Plugin.Activate HTTP/1.1\r\n\r\n";
	say(w, fd, bare, sizeof(bare) - 1);
	answer_is(w, fd, "200 OK");
	assert_int_equal(w->body.len, 0);
}

static void test_later(void **state)
{
	struct world *w = *state;
	int fd = client(w);
	struct buf big = {0};

	w->hold = true;
	say(w, fd, HEAD "{\"a\": 12}", strlen(HEAD) + 9);
	assert_non_null(w->held);
	assert_int_equal(recv(fd, w->asked, 1, MSG_DONTWAIT), -1);
	for (int i = 0; i < 100000; i++) /* more than the socket takes at once */
		buf_puts(&big, "0123456789");
	http_reply(w->held, 500, big.data, big.len);
	size_t got = 0;
	for (ssize_t n = 1; n != 0;) {
		char part[65536];

		uv_run(&w->loop, UV_RUN_NOWAIT);
		n = recv(fd, part, sizeof(part), MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	assert_true(got > big.len);
	buf_done(&big);
	close(fd);
	/* one that leaves is told of, and not answered */
	fd = client(w);
	say(w, fd, HEAD "{\"a\": 12}", strlen(HEAD) + 9);
	assert_non_null(w->held);
	close(fd);
	help_spin(&w->loop);
	assert_true(w->gone);
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"POST nothing HTTP/1.1\r\n\r\n",
		"POST /x HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
		"POST /x HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"\x16\x03\x01 TLS\r\n\r\n",
	};
	struct world *w = *state;
	struct buf head = {0};
	int fd;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		fd = client(w);
		say(w, fd, texts[i], strlen(texts[i]));
		answer_is(w, fd, "HTTP/1.1 400 Bad Request");
	}
	fd = client(w);
	buf_puts(&head, "POST /x HTTP/1.1\r\n");
	while (head.len < 20000)
		buf_puts(&head, "X-Header: 0123456789\r\n");
	say(w, fd, head.data, head.len);
	answer_is(w, fd, "400 Bad Request");
	buf_done(&head);
	assert_int_equal(w->requests, 0);
}

static void test_two(void **state)
{
	struct world *w = *state;
	struct http_server *second = NULL;
	struct err err;

	/* who answers there is left alone; a socket that nobody listens at is replaced */
	assert_int_equal(http_server_new(&w->loop, w->path, on_request, w, &second, &err), -EADDRINUSE);
	help_spin(&w->loop);
	http_server_free(w->server);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	str_copy(at.sun_path, w->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
	assert_int_equal(http_server_new(&w->loop, w->path, on_request, w, &w->server, &err), 0);
	fd = client(w);
	say(w, fd, HEAD "{\"a\": 12}", strlen(HEAD) + 9);
	answer_is(w, fd, "200 OK");
	char longest[200];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(http_server_new(&w->loop, longest, on_request, w, &second, &err), -ENAMETOOLONG);
}

static void test_many(void **state)
{
	struct world *w = *state;
	int fds[HTTP_SERVER_CONNECTIONS + 8];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = client(w);
		if (i % 16 == 0)
			help_spin(&w->loop);
	}
	help_spin(&w->loop);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		say(w, fds[i], HEAD "{\"a\": 12}", strlen(HEAD) + 9);
		answer_is(w, fds[i], "200 OK");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
