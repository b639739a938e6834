/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to servers of the test's own on the loopback address: one that answers, refuses, cuts off, is not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "io/resolver.h"

/** struct server - UDP, and TCP on the same port */
struct server {
	uv_udp_t udp;
	uv_tcp_t tcp, conn;
	struct endpoint at;
	int rcode;
	bool cut_off; /* by UDP */
	int n_udp, n_tcp;
	bool edns;
	char in[2048];
};

struct world {
	uv_loop_t loop;
	struct server servers[2];
	int code;
	size_t len;
	int answers;
};

/* The question back as an answer with one A record, or with an error */
static size_t reply(struct server *s, const char *q, size_t len, bool cut_off, char *out)
{
	static const char record[] = "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\xc0\0\2\1";
	size_t n = 12;

	assert_true(len > 12 && len < 512);
	s->edns = q[11] == 1;
	while (q[n]) /* one question, without compression */
		n += 1u + (unsigned char)q[n];
	n += 5;
	memcpy(out, q, n);
	out[2] = (char)(0x80 | (cut_off ? 2 : 0));
	out[3] = (char)s->rcode;
	out[7] = (char)(s->rcode == 0 && !cut_off);
	out[9] = out[11] = 0;
	if (!out[7])
		return n;
	memcpy(out + n, record, sizeof(record) - 1);
	return n + sizeof(record) - 1;
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct server *s = h->data;

	*buf = uv_buf_init(s->in, sizeof(s->in));
}

static void on_udp(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
	struct server *s = udp->data;
	char out[1024];
	uv_buf_t b;

	if (n <= 0)
		return;
	s->n_udp++;
	b = uv_buf_init(out, (unsigned)reply(s, buf->base, (size_t)n, s->cut_off, out));
	assert_true(uv_udp_try_send(udp, &b, 1, from) > 0);
}

static void on_read(uv_stream_t *conn, ssize_t n, const uv_buf_t *buf)
{
	struct server *s = conn->data;
	char out[1024];
	size_t len;
	uv_buf_t b;

	if (n <= 2)
		return;
	s->n_tcp++;
	len = reply(s, buf->base + 2, (size_t)n - 2, false, out + 2);
	out[0] = (char)(len >> 8);
	out[1] = (char)len;
	b = uv_buf_init(out, (unsigned)len + 2);
	assert_int_equal(uv_try_write(conn, &b, 1), len + 2);
}

static void on_connect(uv_stream_t *tcp, int status)
{
	struct server *s = tcp->data;

	uv_tcp_init(tcp->loop, &s->conn);
	s->conn.data = s;
	assert_int_equal(uv_accept(tcp, (uv_stream_t *)&s->conn), 0);
	uv_read_start((uv_stream_t *)&s->conn, on_alloc, on_read);
}

static void server_open(struct world *w, struct server *s)
{
	struct sockaddr_storage ss;
	struct sockaddr_in any;
	int len = sizeof(ss);

	uv_ip4_addr("127.0.0.1", 0, &any);
	uv_udp_init(&w->loop, &s->udp);
	uv_tcp_init(&w->loop, &s->tcp);
	s->udp.data = s->tcp.data = s;
	/* the port that TCP gets may be taken for UDP: then another one */
	do {
		assert_int_equal(uv_udp_bind(&s->udp, (struct sockaddr *)&any, 0), 0);
		assert_int_equal(uv_udp_getsockname(&s->udp, (struct sockaddr *)&ss, &len), 0);
		s->at = endpoint_from_sockaddr(&ss);
	} while (uv_tcp_bind(&s->tcp, (struct sockaddr *)&ss, 0) != 0);
	assert_int_equal(uv_listen((uv_stream_t *)&s->tcp, 4, on_connect), 0);
	uv_udp_recv_start(&s->udp, on_alloc, on_udp);
}

static void on_answer(void *arg, int code, const uint8_t *data, size_t len, const struct err *err)
{
	struct world *w = arg;

	w->answers++;
	w->code = code;
	w->len = len;
	assert_true(code == 0 || err->text[0]);
	loop_stop(&w->loop);
}

static void late(void *arg)
{
	fail_msg("no answer within 30 s");
}

/* One question to the first @n servers, the @skip first of them left out */
static void ask(struct world *w, size_t skip, size_t n)
{
	struct endpoint at[] = {w->servers[0].at, w->servers[1].at};
	struct ip local = {.family = AF_INET, .b = {127, 0, 0, 1}};
	struct resolver_config c = {.servers = at + skip, .n_servers = n, .local = &local, .n_local = 1};
	struct timer *deadline = timer_new(&w->loop, "deadline", late, NULL);
	struct resolver *r;
	struct err err = {0};

	assert_int_equal(resolver_new(&w->loop, &c, &r, &err), 0);
	w->answers = 0;
	timer_start(deadline, 30 * USEC_PER_SEC);
	resolver_ask(r, "h.example", 1, on_answer, w);
	if (!w->answers)
		loop_run(&w->loop);
	assert_int_equal(w->answers, 1);
	timer_free(deadline);
	resolver_free(r);
}

static void world_open(struct world *w)
{
	*w = (struct world){.code = 1};
	loop_init(&w->loop);
	server_open(w, &w->servers[0]);
	server_open(w, &w->servers[1]);
}

static void test_answer(void **state)
{
	struct world w;

	world_open(&w);
	ask(&w, 0, 1);
	assert_int_equal(w.code, 0);
	assert_true(w.len > 12);
	assert_true(w.servers[0].edns);
	/* that there is no such name is an answer too */
	w.servers[0].rcode = 3;
	ask(&w, 0, 1);
	assert_int_equal(w.code, 0);
	/* cut off: by TCP */
	w.servers[0].rcode = 0;
	w.servers[0].cut_off = true;
	ask(&w, 0, 1);
	assert_int_equal(w.code, 0);
	assert_int_equal(w.servers[0].n_tcp, 1);
	loop_done(&w.loop);
}

static void test_failures(void **state)
{
	struct world w;

	world_open(&w);
	/* one refuses: the other one is asked */
	w.servers[0].rcode = 5;
	ask(&w, 0, 2);
	assert_int_equal(w.code, 0);
	assert_int_equal(w.servers[1].n_udp, 1);
	/* when there is none, that is told as it was */
	ask(&w, 0, 1);
	assert_int_equal(w.code, -EACCES);
	w.servers[1].rcode = 2;
	ask(&w, 1, 1);
	assert_int_equal(w.code, -EAGAIN);
	/* nobody is there */
	w.servers[0].at.port = 1;
	ask(&w, 0, 1);
	assert_int_equal(w.code, -ECONNREFUSED);
	loop_done(&w.loop);
}

static void test_end(void **state)
{
	struct world w;
	struct resolver_config c = {.servers = &w.servers[0].at, .n_servers = 1};
	struct resolver *r;
	struct err err = {0};

	/* freed with a question under way: not answered */
	world_open(&w);
	assert_int_equal(resolver_new(&w.loop, &c, &r, &err), 0);
	resolver_ask(r, "h.example", 1, on_answer, &w);
	resolver_free(r);
	assert_int_equal(w.answers, 0);
	resolver_free(NULL);
	loop_done(&w.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
