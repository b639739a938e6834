/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP client against a server that misbehaves on purpose.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/un.h>

#include "../fake_server.h"
#include "io/http.h"

struct test {
	uv_loop_t loop;
	struct http *http;
	struct fake_server server;
	char dir[64], path[96];
	struct fake_conn *stream;
	/* what came */
	int done, code, status, opened, lines;
	struct buf body, all_lines;
	struct err err;
	struct http_request *request, *second;
	int cancel_at_line, restarts;
	bool free_in_callback;
};

static void serve(void *arg, struct fake_conn *c, const char *method, const char *path, const char *body)
{
	struct test *t = arg;

	if (strcmp(path, "/hello") == 0)
		fake_answer(c, 200, "hello");
	else if (strcmp(path, "/echo") == 0)
		fake_answer(c, 201, body);
	else if (strcmp(path, "/error") == 0)
		fake_answer(c, 500, "no way");
	else if (strcmp(path, "/truncated") == 0) {
		fake_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
		fake_close(c);
	} else if (strcmp(path, "/slow") == 0)
		fake_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
	else if (strcmp(path, "/garbage") == 0) {
		fake_send(c, "\1\2\3 SSH-2.0\r\n\r\n");
		fake_close(c);
	} else if (strcmp(path, "/hangup") == 0)
		fake_close(c);
	else if (strcmp(path, "/stream") == 0) {
		fake_stream_open(c);
		t->stream = c;
	} else if (strcmp(path, "/redirect") == 0)
		fake_send(c, "HTTP/1.1 302 Go\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n");
}

static int setup(void **state)
{
	struct test *t = xcalloc(1, sizeof(*t));

	loop_init(&t->loop);
	snprintf(t->dir, sizeof(t->dir), "/tmp/test-http.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof(t->path), "%s/s", t->dir);
	fake_server_start(&t->server, &t->loop, t->path, serve, t);
	t->http = http_new(&t->loop);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	http_free(t->http);
	fake_server_stop(&t->server);
	loop_done(&t->loop);
	unlink(t->path);
	rmdir(t->dir);
	buf_done(&t->body);
	buf_done(&t->all_lines);
	free(t);
	return 0;
}

static void on_done(void *arg, int code, int status, const struct buf *body, const struct err *err)
{
	struct test *t = arg;

	t->done++;
	t->code = code;
	t->status = status;
	t->err = *err;
	buf_clear(&t->body);
	buf_append(&t->body, body->data, body->len);
	t->request = NULL;
	if (t->free_in_callback) {
		http_free(t->http);
		t->http = NULL;
	}
}

static void on_open(void *arg)
{
	((struct test *)arg)->opened++;
}

static void on_line(void *arg, char *line, size_t len)
{
	struct test *t = arg;

	assert_int_equal(strlen(line), len);
	t->lines++;
	buf_printf(&t->all_lines, "<%s>", len > 40 ? "long" : line);
	if (t->lines == t->cancel_at_line)
		http_cancel(t->request);
}

static bool is_done(void *arg)
{
	return ((struct test *)arg)->done > 0;
}

static bool has_stream(void *arg)
{
	return ((struct test *)arg)->opened > 0;
}

static bool has_three_lines(void *arg)
{
	return ((struct test *)arg)->lines >= 3;
}

static struct http_spec spec_of(struct test *t, const char *url)
{
	return (struct http_spec){.unix_socket = t->path, .url = url};
}

static void get(struct test *t, const char *url, size_t max, int timeout_ms)
{
	struct http_spec spec = spec_of(t, url);

	spec.max_bytes = max;
	spec.timeout_ms = timeout_ms;
	t->done = 0;
	t->request = http_start(t->http, &spec, on_done, t);
	assert_int_equal(t->done, 0); /* never from inside the call */
	assert_true(run_until(&t->loop, is_done, t, 5000));
	assert_int_equal(t->done, 1);
}

static void test_get(void **state)
{
	struct test *t = *state;

	for (int i = 0; i < 5; i++) {
		get(t, "http://localhost/hello", 0, 1000);
		assert_int_equal(t->code, 0);
		assert_int_equal(t->status, 200);
		assert_string_equal(t->body.data, "hello");
	}
	assert_int_equal(t->server.accepted, 1); /* the connection was kept */
}

static void test_post(void **state)
{
	struct test *t = *state;
	struct http_spec spec = spec_of(t, "http://localhost/echo");

	spec.method = "POST";
	spec.body = "{\"a\":1}";
	http_start(t->http, &spec, on_done, t);
	assert_true(run_until(&t->loop, is_done, t, 5000));
	assert_int_equal(t->status, 201);
	assert_string_equal(t->body.data, "{\"a\":1}");
}

static void test_statuses(void **state)
{
	struct test *t = *state;

	get(t, "http://localhost/error", 0, 1000);
	assert_int_equal(t->code, 0);
	assert_int_equal(t->status, 500);
	assert_string_equal(t->body.data, "no way");
	get(t, "http://localhost/redirect", 0, 1000);
	assert_int_equal(t->status, 302);
}

static void test_faults(void **state)
{
	struct test *t = *state;

	get(t, "http://localhost/truncated", 0, 2000);
	assert_int_equal(t->code, -ECONNRESET);
	get(t, "http://localhost/hangup", 0, 2000);
	assert_int_equal(t->code, -ECONNRESET);
	get(t, "http://localhost/slow", 0, 100);
	assert_int_equal(t->code, -ETIMEDOUT);
	get(t, "http://localhost/garbage", 0, 2000);
	assert_true(t->code < 0);
	assert_true(t->err.text[0]);
	get(t, "gopher://localhost/", 0, 2000);
	assert_int_equal(t->code, -EPROTONOSUPPORT);
	/* and it still works */
	get(t, "http://localhost/hello", 0, 2000);
	assert_int_equal(t->status, 200);
}

static void test_bound(void **state)
{
	struct test *t = *state;

	get(t, "http://localhost/hello", 5, 1000);
	assert_int_equal(t->code, 0);
	get(t, "http://localhost/hello", 4, 1000);
	assert_int_equal(t->code, -E2BIG);
	assert_non_null(strstr(t->err.text, "more than 4 bytes"));
}

static void test_connect(void **state)
{
	struct test *t = *state;

	fake_server_stop(&t->server);
	get(t, "http://localhost/hello", 0, 1000);
	assert_int_equal(t->code, -ENOENT);
	assert_non_null(strstr(t->err.text, t->path));
	/* a socket that nobody listens on, as kill -9 leaves it */
	{
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		snprintf(a.sun_path, sizeof(a.sun_path), "%s", t->path);
		assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
		close(fd);
	}
	get(t, "http://localhost/hello", 0, 1000);
	assert_int_equal(t->code, -ECONNREFUSED);
	unlink(t->path);
	fake_server_start(&t->server, &t->loop, t->path, serve, t);
	get(t, "http://localhost/hello", 0, 1000);
	assert_int_equal(t->status, 200);
}

static void stream(struct test *t, size_t max)
{
	struct http_spec spec = spec_of(t, "http://localhost/stream");

	spec.max_bytes = max;
	t->request = http_stream(t->http, &spec, on_open, on_line, on_done, t);
	assert_true(run_until(&t->loop, has_stream, t, 5000));
	assert_int_equal(t->opened, 1);
}

static void test_lines(void **state)
{
	struct test *t = *state;

	stream(t, 0);
	/* boundaries of chunks fall anywhere */
	fake_chunk(t->stream, "one\ntw");
	fake_chunk(t->stream, "o");
	fake_chunk(t->stream, "\r\n\n");
	fake_chunk(t->stream, "three\nfour");
	assert_true(run_until(&t->loop, has_three_lines, t, 5000));
	assert_string_equal(t->all_lines.data, "<one><two><three>");
	assert_int_equal(t->done, 0);
	fake_chunk(t->stream, "");
	fake_send(t->stream, "\r\n");
	assert_true(run_until(&t->loop, is_done, t, 5000));
	assert_int_equal(t->code, 0);
	assert_int_equal(t->status, 200);
	assert_int_equal(t->body.len, 0);
	/* the last line had no newline, but the stream ended as it should */
	assert_string_equal(t->all_lines.data, "<one><two><three><four>");
}

static void test_stream_cut(void **state)
{
	struct test *t = *state;

	stream(t, 0);
	fake_chunk(t->stream, "a\nb\nc\nhalf a li");
	assert_true(run_until(&t->loop, has_three_lines, t, 5000));
	fake_close(t->stream);
	assert_true(run_until(&t->loop, is_done, t, 5000));
	assert_int_equal(t->code, -ECONNRESET);
	assert_string_equal(t->all_lines.data, "<a><b><c>"); /* half a line is none */
}

static void test_endless_line(void **state)
{
	struct test *t = *state;
	char block[1000];

	memset(block, 'x', sizeof(block));
	stream(t, 4096);
	for (int i = 0; i < 4; i++)
		fake_chunk_bytes(t->stream, block, sizeof(block));
	fake_chunk(t->stream, "\na\nb\n"); /* 4000 bytes are a line still */
	assert_true(run_until(&t->loop, has_three_lines, t, 5000));
	assert_string_equal(t->all_lines.data, "<long><a><b>");
	for (int i = 0; i < 5; i++)
		fake_chunk_bytes(t->stream, block, sizeof(block));
	assert_true(run_until(&t->loop, is_done, t, 5000));
	assert_int_equal(t->code, -E2BIG);
}

static void test_stream_refused(void **state)
{
	struct test *t = *state;
	struct http_spec spec = spec_of(t, "http://localhost/error");

	http_stream(t->http, &spec, on_open, on_line, on_done, t);
	assert_true(run_until(&t->loop, is_done, t, 5000));
	assert_int_equal(t->opened, 0);
	assert_int_equal(t->lines, 0);
	assert_int_equal(t->status, 500);
	assert_string_equal(t->body.data, "no way");
}

static bool server_idle(void *arg)
{
	return ((struct test *)arg)->server.conns == NULL;
}

static void test_cancel_in_line(void **state)
{
	struct test *t = *state;

	t->cancel_at_line = 2;
	stream(t, 0);
	fake_chunk(t->stream, "one\ntwo\nthree\n");
	assert_true(run_until(&t->loop, server_idle, t, 5000)); /* hung up */
	assert_string_equal(t->all_lines.data, "<one><two>");
	assert_int_equal(t->done, 0);
}

static void test_cancel(void **state)
{
	struct test *t = *state;
	struct http_spec spec = spec_of(t, "http://localhost/hello");

	http_cancel(http_start(t->http, &spec, on_done, t));
	http_start(t->http, &spec, on_done, t);
	assert_true(run_until(&t->loop, is_done, t, 5000));
	assert_int_equal(t->done, 1);
}

static void on_done_start(void *arg, int code, int status, const struct buf *body, const struct err *err)
{
	struct test *t = arg;
	struct http_spec spec = spec_of(t, "http://localhost/hello");

	assert_int_equal(status, 200);
	if (++t->restarts < 20)
		http_start(t->http, &spec, on_done_start, t);
	else
		t->done = 1;
}

static void test_start_in_callback(void **state)
{
	struct test *t = *state;
	struct http_spec spec = spec_of(t, "http://localhost/hello");

	http_start(t->http, &spec, on_done_start, t);
	assert_true(run_until(&t->loop, is_done, t, 5000));
	assert_int_equal(t->restarts, 20);
	assert_int_equal(t->server.accepted, 1);
}

static void test_free_in_callback(void **state)
{
	struct test *t = *state;
	struct http_spec spec = spec_of(t, "http://localhost/slow");

	http_start(t->http, &spec, on_done, t); /* under way when it is freed */
	t->free_in_callback = true;
	spec = spec_of(t, "http://localhost/hello");
	http_start(t->http, &spec, on_done, t);
	assert_true(run_until(&t->loop, is_done, t, 5000));
	assert_null(t->http);
	assert_true(run_until(&t->loop, server_idle, t, 5000));
	assert_int_equal(t->done, 1);
}

static void test_parallel(void **state)
{
	struct test *t = *state;
	struct http_spec spec = spec_of(t, "http://localhost/hello");

	stream(t, 0); /* does not hold the others up */
	for (int i = 0; i < 8; i++)
		http_start(t->http, &spec, on_done, t);
	while (t->done < 8)
		assert_true(run_until(&t->loop, is_done, t, 5000) && uv_run(&t->loop, UV_RUN_ONCE) >= 0);
	assert_int_equal(t->done, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_get, setup, teardown),
		cmocka_unit_test_setup_teardown(test_post, setup, teardown),
		cmocka_unit_test_setup_teardown(test_statuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_connect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endless_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel_in_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_start_in_callback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_free_in_callback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parallel, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
