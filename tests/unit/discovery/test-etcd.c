/* SPDX-License-Identifier: Apache-2.0
 *
 * etcd.c against an etcd of a few lines and under a clock of its own: registration, leases, listing, watch, failing
 * members, login. Nothing in it waits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "discovery/etcd.h"
#include "discovery/etcd_wire.h"

#define SEC    USEC_PER_SEC
#define HOST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HOST_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define PREFIX "/docker-router/discovery"

struct world {
	mono_t now;
	struct etcd *etcd;
	/* the cluster */
	bool down[3], silent;
	const char *refuse; /* the body of a 4xx for the next request */
	int refuse_status;
	int64_t lease, revision;
	struct buf kvs;	  /* what a listing says */
	struct buf reply; /* the answer under way */
	/* what came */
	char path[64], token[64], body[4096], watch_body[1024];
	size_t endpoint, n_requests, n_txns, n_logins, n_lists, n_puts, n_drops, n_ends, n_seen, n_watches;
	char last_put[LIMIT_NAME], last_drop[LIMIT_NAME], last_said[512];
	int64_t grace_us;
	size_t n_names;
	uint64_t names_seq;
	bool watching;
};

static void on_put(void *arg, const struct peer *peer)
{
	struct world *w = arg;

	w->n_puts++;
	str_copy(w->last_put, peer->stack_id);
}

static void on_drop(void *arg, const struct peer *key)
{
	struct world *w = arg;

	w->n_drops++;
	str_copy(w->last_drop, key->stack_id);
}

static void on_names(void *arg, const struct peer *key, uint64_t seq, struct name_stack *names)
{
	struct world *w = arg;

	w->n_names = names->n_names;
	w->names_seq = seq;
	str_copy(w->last_put, key->stack_id);
}

static void on_names_drop(void *arg, const struct peer *key)
{
	struct world *w = arg;

	w->n_names = 0;
	str_copy(w->last_drop, key->stack_id);
}

static void on_begin(void *arg)
{
}

static void on_end(void *arg, int64_t grace_us)
{
	struct world *w = arg;

	w->n_ends++;
	w->grace_us = grace_us;
}

static void on_seen(void *arg)
{
	((struct world *)arg)->n_seen++;
}

static void on_say(void *arg, enum log_level level, const char *text, const char *why)
{
	struct world *w = arg;

	str_print(w->last_said, "%s: %s", text, why ? why : "");
}

static struct peer peer_of(const char *stack, const char *host, uint64_t seq)
{
	struct peer p = {.vni = 1000, .seq = seq, .source = PEER_ETCD};

	str_copy(p.stack_id, stack);
	str_copy(p.host_id, host);
	assert_int_equal(ip_parse("192.0.2.2", &p.host_ip), 0);
	p.vxlan_endpoint = (struct endpoint){.ip = p.host_ip, .port = 4789};
	return p;
}

/* A key and its value as in an answer */
static void kv_put(struct buf *b, const char *stack, const char *host, int64_t revision, const char *value)
{
	autofree char *key = xasprintf(PREFIX "/%s/%s/1000", stack, host);
	autobuf struct buf text = {0};
	struct peer p = peer_of(stack, host, 5);

	if (value)
		buf_puts(&text, value);
	else
		peer_to_value(&text, &p);
	buf_puts(b, "{\"key\":\"");
	base64_put(b, key, strlen(key));
	buf_printf(b, "\",\"mod_revision\":\"%lld\",\"value\":\"", (long long)revision);
	base64_put(b, text.data, text.len);
	buf_puts(b, "\"}");
}

static void world_event(struct world *w, bool deleted, const char *stack, const char *host, int64_t revision)
{
	autobuf struct buf b = {0};

	buf_printf(&b, "{\"result\":{\"header\":{\"revision\":\"%lld\"},\"events\":[{%s\"kv\":", (long long)revision,
		   deleted ? "\"type\":\"DELETE\"," : "");
	kv_put(&b, stack, host, revision, NULL);
	buf_puts(&b, "}]}}");
	w->revision = revision;
	etcd_watch_line(w->etcd, w->now, b.data, b.len);
}

/* The cluster answers the request that is under way */
static void world_answer(struct world *w)
{
	struct err err = {0};
	struct buf *b = &w->reply;
	int status = 200;

	buf_clear(b);
	if (w->down[w->endpoint]) {
		err_set(&err, -ECONNREFUSED, "refused");
		etcd_answer(w->etcd, w->now, -ECONNREFUSED, 0, NULL, 0, &err);
		return;
	}
	if (w->refuse) {
		buf_puts(b, w->refuse);
		status = w->refuse_status;
		w->refuse = NULL;
	} else if (str_eq(w->path, "/v3/auth/authenticate")) {
		buf_printf(b, "{\"token\":\"t%zu\"}", ++w->n_logins);
	} else if (str_eq(w->path, "/v3/lease/grant")) {
		w->lease++;
		buf_printf(b, "{\"ID\":\"%lld\",\"TTL\":\"30\"}", (long long)w->lease);
	} else if (str_eq(w->path, "/v3/lease/keepalive")) {
		autofree char *id = xasprintf("\"%lld\"", (long long)w->lease);
		buf_printf(b, "{\"result\":{\"header\":{\"revision\":\"%lld\"}%s}}", (long long)w->revision,
			   strstr(w->body, id) ? ",\"TTL\":\"30\"" : "");
	} else if (str_eq(w->path, "/v3/kv/txn")) {
		w->n_txns++;
		buf_printf(b, "{\"header\":{\"revision\":\"%lld\"},\"succeeded\":true}", (long long)++w->revision);
	} else if (str_eq(w->path, "/v3/kv/range")) {
		w->n_lists++;
		buf_printf(b, "{\"header\":{\"revision\":\"%lld\"},\"kvs\":[%s]}", (long long)w->revision,
			   w->kvs.data ? w->kvs.data : "");
	} else {
		buf_puts(b, "{}");
	}
	etcd_answer(w->etcd, w->now, 0, status, b->data, b->len, &err);
}

static void world_watch(struct world *w)
{
	struct etcd_request r;
	enum etcd_watch_do what;

	while ((what = etcd_watch(w->etcd, w->now, &r)) != ETCD_WATCH_KEEP) {
		w->watching = what == ETCD_WATCH_START;
		w->n_watches += w->watching;
		if (w->watching)
			str_copy(w->watch_body, r.body);
	}
}

static void world_run(struct world *w, int64_t for_us)
{
	int64_t end_us = w->now.us + for_us, due_us;
	struct etcd_request r;

	for (int guard = 0; guard < 10000; guard++) {
		world_watch(w);
		if (etcd_request(w->etcd, w->now, &r)) {
			w->n_requests++;
			w->endpoint = r.endpoint;
			str_copy(w->path, r.path);
			str_copy(w->token, r.token);
			str_copy(w->body, r.body);
			if (!w->silent)
				world_answer(w);
			continue;
		}
		due_us = etcd_due(w->etcd);
		if (due_us > end_us) {
			w->now.us = end_us;
			return;
		}
		w->now.us = due_us > w->now.us ? due_us : w->now.us + 1;
	}
	fail_msg("it never rests");
}

static void world_self(struct world *w, const char *stack, uint64_t seq)
{
	struct peer p = peer_of(stack ? stack : "", HOST_A, seq);

	etcd_self_begin(w->etcd);
	if (stack)
		etcd_self(w->etcd, &p);
	etcd_self_end(w->etcd);
}

static void world_start(struct world *w, size_t n_endpoints, const char *username)
{
	struct etcd_config c = {.n_endpoints = n_endpoints, .ttl_s = 30, .goodbye = true};
	struct etcd_events e = {on_put, on_drop, on_names, on_names_drop, on_begin, on_end, on_seen, on_say, w};

	*w = (struct world){.now = {1000 * SEC}, .revision = 10, .lease = 100};
	str_copy(c.prefix, PREFIX);
	str_copy(c.host_id, HOST_A);
	str_copy(c.username, username);
	str_copy(c.password, "secret");
	w->etcd = etcd_new(&c, &e);
}

static void world_end(struct world *w)
{
	etcd_free(w->etcd);
	buf_done(&w->kvs);
	buf_done(&w->reply);
}

static void test_register_and_watch(void **state)
{
	struct world w;

	world_start(&w, 1, "");
	kv_put(&w.kvs, "blog", HOST_B, 7, NULL);
	world_self(&w, "shop", 1);
	world_run(&w, SEC);
	assert_int_equal(w.n_txns, 1);
	assert_int_equal(w.n_puts, 1);
	assert_string_equal(w.last_put, "blog");
	assert_int_equal(w.grace_us, 30 * SEC);
	assert_true(w.watching);
	/* the listing was at revision 11, behind our own put */
	assert_non_null(strstr(w.watch_body, "\"start_revision\":\"12\""));
	world_event(&w, false, "wiki", HOST_B, 12);
	assert_string_equal(w.last_put, "wiki");
	world_event(&w, true, "wiki", HOST_B, 13);
	assert_string_equal(w.last_drop, "wiki");
	/* idle: the lease is kept alive, no more */
	w.n_requests = 0;
	world_run(&w, 60 * SEC);
	assert_in_range(w.n_requests, 10, 13);
	assert_string_equal(w.path, "/v3/lease/keepalive");
	assert_int_equal(w.n_watches, 1);
	/* the same stack again is no write, another content is one, a stack that goes too */
	world_self(&w, "shop", 1);
	world_run(&w, SEC);
	assert_int_equal(w.n_txns, 1);
	world_self(&w, "shop", 2);
	world_run(&w, SEC);
	assert_int_equal(w.n_txns, 2);
	world_self(&w, NULL, 0);
	world_run(&w, SEC);
	assert_int_equal(w.n_txns, 3);
	world_run(&w, 10 * SEC);
	assert_int_equal(w.n_txns, 3);
	world_end(&w);
}

static void test_lease_runs_out(void **state)
{
	struct world w;

	world_start(&w, 1, "");
	world_self(&w, "shop", 1);
	world_run(&w, SEC);
	w.lease = 500; /* ours is unknown now */
	world_run(&w, 6 * SEC);
	assert_int_equal(w.n_txns, 2);
	assert_int_equal(w.lease, 501);
	/* an answer to a put says so too */
	w.refuse = "{\"error\":\"x\",\"message\":\"etcdserver: requested lease not found\",\"code\":5}";
	w.refuse_status = 404;
	world_self(&w, "shop", 2);
	world_run(&w, SEC);
	assert_int_equal(w.n_txns, 3);
	assert_int_equal(w.lease, 502);
	/* deleted by somebody: put again, a second later at the earliest */
	world_event(&w, true, "shop", HOST_A, w.revision + 1);
	assert_int_equal(w.n_drops, 0);
	world_run(&w, 8 * SEC);
	assert_int_equal(w.n_txns, 4);
	/* gone with our lease, as a leader that slept too long may do: put again at once, with another one */
	w.lease = 600;
	world_event(&w, true, "shop", HOST_A, w.revision + 1);
	world_run(&w, SEC / 100);
	assert_int_equal(w.n_txns, 5);
	assert_int_equal(w.lease, 601);
	world_end(&w);
}

static void test_compaction(void **state)
{
	static const char line[] =
		"{\"result\":{\"header\":{\"revision\":\"99\"},\"canceled\":true,\"compact_revision\":\"50\"}}";
	struct world w;

	world_start(&w, 1, "");
	world_run(&w, SEC);
	assert_int_equal(w.n_ends, 1);
	w.revision = 99;
	etcd_watch_line(w.etcd, w.now, line, strlen(line));
	world_run(&w, SEC);
	assert_int_equal(w.n_ends, 2);
	assert_int_equal(w.grace_us, 0); /* etcd was well: who is missing is gone */
	assert_non_null(strstr(w.watch_body, "\"start_revision\":\"100\""));
	assert_int_equal(w.n_watches, 2);
	world_end(&w);
}

static void test_failover_and_outage(void **state)
{
	struct err err = {0};
	const char *cure;
	struct world w;
	size_t first;

	world_start(&w, 3, "");
	world_self(&w, "shop", 1);
	world_run(&w, SEC);
	first = w.endpoint;
	/* one member dies: the watch goes on at another one, from where it was, and nobody is told gone */
	w.down[first] = true;
	err_set(&err, -ECONNRESET, "reset");
	etcd_watch_end(w.etcd, w.now, -ECONNRESET, 200, "", 0, &err);
	world_run(&w, SEC);
	assert_int_not_equal(w.endpoint, first);
	assert_true(w.watching);
	assert_int_equal(w.n_ends, 1);
	assert_null(etcd_problem(w.etcd, &cure));
	/* all: it is told, tried on and on but not wildly, and nobody is dropped */
	w.down[0] = w.down[1] = w.down[2] = true;
	w.n_requests = 0;
	world_run(&w, 600 * SEC);
	assert_non_null(strstr(etcd_problem(w.etcd, &cure), "no member of etcd answers"));
	assert_in_range(w.n_requests, 250, 700);
	assert_int_equal(w.n_drops, 0);
	assert_int_equal(w.n_ends, 1);
	/* back, with our lease gone: registered again, listed with time for the others to come back */
	w.down[0] = w.down[1] = w.down[2] = false;
	w.lease = 500;
	world_run(&w, 8 * SEC);
	assert_null(etcd_problem(w.etcd, &cure));
	assert_int_equal(w.n_txns, 2);
	assert_int_equal(w.n_ends, 2);
	assert_int_equal(w.grace_us, 30 * SEC);
	assert_true(w.watching);
	world_end(&w);
}

static void test_login(void **state)
{
	const char *cure;
	struct world w;

	world_start(&w, 1, "router");
	world_self(&w, "shop", 1);
	w.refuse = "{\"error\":\"etcdserver: authentication failed, invalid user ID or password\",\"code\":3}";
	w.refuse_status = 400;
	world_run(&w, 20 * 1000);
	assert_non_null(strstr(etcd_problem(w.etcd, &cure), "refuses user and password"));
	world_run(&w, SEC);
	assert_null(etcd_problem(w.etcd, &cure));
	assert_string_equal(w.token, "t1");
	assert_int_equal(w.n_txns, 1);
	/* the token has run out */
	w.refuse = "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}";
	w.refuse_status = 401;
	world_run(&w, 6 * SEC);
	assert_int_equal(w.n_logins, 2);
	assert_string_equal(w.token, "t2");
	world_self(&w, "shop", 2);
	w.refuse = "{\"message\":\"etcdserver: permission denied\",\"code\":7}";
	w.refuse_status = 403;
	world_run(&w, 20 * 1000);
	assert_non_null(strstr(etcd_problem(w.etcd, &cure), "may not read and write"));
	assert_non_null(strstr(cure, "grant-permission"));
	world_end(&w);
}

static void test_stop(void **state)
{
	struct world w;

	world_start(&w, 1, "");
	world_self(&w, "shop", 1);
	world_run(&w, SEC);
	etcd_stop(w.etcd, w.now);
	assert_false(etcd_stopped(w.etcd));
	world_run(&w, SEC);
	assert_string_equal(w.path, "/v3/lease/revoke");
	assert_true(etcd_stopped(w.etcd));
	assert_false(w.watching);
	world_end(&w);
	/* before anything was put: what an earlier process put goes */
	world_start(&w, 1, "router");
	world_self(&w, "shop", 1);
	etcd_stop(w.etcd, w.now);
	world_run(&w, SEC);
	assert_string_equal(w.path, "/v3/kv/txn");
	assert_non_null(strstr(w.body, "request_delete_range"));
	assert_int_equal(w.n_logins, 1);
	assert_true(etcd_stopped(w.etcd));
	world_end(&w);
}

static void test_strangers(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"result\":1}",
		"{\"result\":{\"events\":{}}}",
		"{\"result\":{\"events\":[{\"kv\":{\"key\":\"L2V0Yw==\",\"mod_revision\":\"3\"}}]}}"};
	struct peer p;
	struct world w;
	bool names;

	assert_int_equal(etcd_key_parse("shop/" HOST_A "/1000", &p, &names), 0);
	assert_false(names);
	assert_int_equal(etcd_key_parse("shop/" HOST_A "/1000/names", &p, &names), 0);
	assert_true(names);
	assert_string_equal(p.stack_id, "shop");
	assert_int_equal(p.vni, 1000);
	assert_int_equal(etcd_key_parse("shop/" HOST_A "/0", &p, &names), -EINVAL);
	assert_int_equal(etcd_key_parse("shop/" HOST_A "/01000", &p, &names), -EINVAL);
	assert_int_equal(etcd_key_parse("shop/" HOST_A "/1000/others", &p, &names), -EINVAL);
	assert_int_equal(etcd_key_parse("../" HOST_A "/1000", &p, &names), -EINVAL);
	assert_int_equal(etcd_key_parse("shop/aaaa/1000", &p, &names), -EINVAL);
	assert_int_equal(etcd_key_parse("shop/" HOST_A "/1000000000000000000000", &p, &names), -EINVAL);
	/* a value that is none, one that lies about its key, one of our own: no peers, and the rest counts */
	world_start(&w, 1, "");
	kv_put(&w.kvs, "one", HOST_B, 7, "rubbish");
	buf_puts(&w.kvs, ",");
	kv_put(&w.kvs, "two", HOST_B, 7, "{\"stack_id\":\"other\",\"host_ip\":\"192.0.2.2\",\"vni\":1000}");
	buf_puts(&w.kvs, ",");
	kv_put(&w.kvs, "own", HOST_A, 7, NULL);
	buf_puts(&w.kvs, ",");
	kv_put(&w.kvs, "blog", HOST_B, 7, NULL);
	world_run(&w, SEC);
	assert_int_equal(w.n_puts, 1);
	assert_string_equal(w.last_put, "blog");
	/* lines that are none: all is listed again */
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		size_t ends = w.n_ends;

		assert_true(w.watching);
		etcd_watch_line(w.etcd, w.now, bad[i], strlen(bad[i]));
		world_run(&w, 10 * SEC);
		assert_int_equal(w.n_ends, ends + 1);
	}
	world_end(&w);
}

/* What is too long at once is asked for in smaller pages */
static void test_long_values(void **state)
{
	static const char *const limits[] = {"\"256\"", "\"64\"", "\"16\"", "\"4\"", "\"1\""};
	struct etcd_request r;
	struct err err = {0};
	struct world w;

	world_start(&w, 1, "");
	world_self(&w, "shop", 1);
	for (size_t i = 0; i < ARRAY_LEN(limits);) {
		assert_true(etcd_request(w.etcd, w.now, &r));
		str_copy(w.path, r.path);
		str_copy(w.body, r.body);
		if (!str_eq(r.path, "/v3/kv/range")) {
			world_answer(&w);
			continue;
		}
		assert_non_null(strstr(r.body, limits[i++]));
		err_set(&err, -E2BIG, "an answer of more than 16777216 bytes");
		etcd_answer(w.etcd, w.now, -E2BIG, 0, NULL, 0, &err);
	}
	w.now.us += 10 * SEC;
	world_run(&w, SEC);
	assert_int_equal(w.n_ends, 1);
	world_end(&w);
}

static void test_base64(void **state)
{
	static const char *const bad[] = {"a", "====", "ab=c", "a===", "ab\nc", "abc=abc="};

	for (size_t len = 0; len < 70; len++) {
		autobuf struct buf text = {0}, back = {0};
		char data[70];

		for (size_t i = 0; i < len; i++)
			data[i] = (char)(i * 37 + len * 5);
		base64_put(&text, data, len);
		assert_int_equal(base64_get(text.data ? text.data : "", text.len, &back), 0);
		assert_int_equal(back.len, len);
		assert_memory_equal(back.data, data, len);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		autobuf struct buf back = {0};

		assert_int_equal(base64_get(bad[i], strlen(bad[i]), &back), -EBADMSG);
	}
}

static void no_kv(void *arg, const struct etcd_kv *kv)
{
	(void)arg;
	(void)kv;
	fail();
}

/* Errors as etcd 3.5 says them, and as 3.6 does, whose gateway has no "error" beside "message" and other fields in a
 * stream */
static void test_refusals(void **state)
{
	static const struct {
		int status, want;
		const char *text;
	} of[] = {
		{400, -ENOTSUP,
		 "{\"error\":\"etcdserver: authentication is not enabled\",\"code\":9,\"message\":\"etcdserver: "
		 "authentication is not enabled\"}"},
		{400, -ENOTSUP, "{\"code\":9,\"message\":\"etcdserver: authentication is not enabled\"}"},
		{404, -ENOKEY, "{\"code\":5,\"message\":\"etcdserver: requested lease not found\",\"details\":[]}"},
		{401, -EKEYEXPIRED, "{\"code\":16,\"message\":\"etcdserver: invalid auth token\",\"details\":[]}"},
		{401, -EKEYEXPIRED, "{\"code\":16,\"message\":\"said otherwise\"}"},
		{403, -EPERM, "not even JSON"},
		{503, -EIO, "{}"},
	};
	static const char *const streams[] = {
		"{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"etcdserver: no "
		"leader\",\"http_status\":\"Service "
		"Unavailable\"}}",
		"{\"error\":{\"code\":14,\"message\":\"etcdserver: no leader\",\"details\":[]}}",
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(of); i++)
		assert_int_equal(etcd_refusal(of[i].status, of[i].text, strlen(of[i].text), &err), of[i].want);
	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		struct etcd_watch w = {0};

		assert_int_equal(etcd_get_watch(streams[i], strlen(streams[i]), "/x", no_kv, NULL, &w, &err), 0);
		assert_true(w.canceled);
		assert_string_equal(w.reason, "etcdserver: no leader");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_register_and_watch),
		cmocka_unit_test(test_lease_runs_out),
		cmocka_unit_test(test_compaction),
		cmocka_unit_test(test_failover_and_outage),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_refusals),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
