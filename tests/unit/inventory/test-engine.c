/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine of one engine against an engine that is made of knobs: order of requests, what an event costs, and
 * faults that no real engine can be made to show.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../fake_server.h"
#include "base/log.h"
#include "inventory/engine.h"
#include "inventory/fetch.h"

#define NETWORK(id, name, vni)                                                           \
	"{\"Id\":\"" id "\",\"Name\":\"" name                                            \
	"\",\"Driver\":\"bridge\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.1.2.0/24\"}]}," \
	"\"Labels\":{\"docker-router.vni\":\"" vni "\"}}"
#define NETWORKS(id, name) \
	"{\"" name "\":{\"NetworkID\":\"" id "\",\"IPAddress\":\"10.1.2.3\",\"MacAddress\":\"02:00:00:00:00:01\"}}"
#define LISTED(id, name)                         \
	"{\"Id\":\"" id "\",\"Names\":[\"/" name \
	"\"],\"State\":\"running\",\"NetworkSettings\":{\"Networks\":" NETWORKS("n1", "net") "}}"
#define INSPECTED(id, name, pid, networks)                                                                             \
	"{\"Id\":\"" id "\",\"Name\":\"/" name "\",\"State\":{\"Running\":true,\"Pid\":" pid "},\"NetworkSettings\":{" \
	"\"SandboxKey\":\"/run/x\",\"Networks\":" networks "}}"
#define STOPPED(id) "{\"Id\":\"" id "\",\"Name\":\"/x\",\"State\":{\"Running\":false,\"Pid\":0}}"
#define EVENT(type, action, id)                                                    \
	"{\"Type\":\"" type "\",\"Action\":\"" action "\",\"Actor\":{\"ID\":\"" id \
	"\",\"Attributes\":{}},\"timeNano\":1700000000123456789}\n"
#define EVENT_NET(action, net, ct)                                                 \
	"{\"Type\":\"network\",\"Action\":\"" action "\",\"Actor\":{\"ID\":\"" net \
	"\",\"Attributes\":{\"container\":\"" ct "\"}}}\n"

struct test {
	uv_loop_t loop;
	struct http *http;
	struct engine *engine;
	struct fake_server server;
	char dir[64], path[96], endpoint[128];
	/* knobs */
	const char *version, *networks, *containers, *c1, *c2, *n2;
	int version_status, c1_status, networks_status;
	bool hold_events, hold_c1, hold_lists, truncate_networks, dribble_networks;
	/* what happened */
	struct fake_conn *stream, *held_c1, *held_networks, *held_containers;
	struct buf log; /* of requests, one letter each */
	char events_query[1024];
	int changed, inspected, listed, versions, podman_networks, big;
};

static void answer_networks(struct test *t, struct fake_conn *c)
{
	if (t->truncate_networks)
		fake_answer(c, 200, "[{\"Id\":\"n1\",");
	else if (t->dribble_networks) {
		fake_send(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		for (const char *p = t->networks; *p; p++)
			fake_chunk_bytes(c, p, 1);
		fake_send(c, "0\r\n\r\n");
	} else
		fake_answer(c, t->networks_status, t->networks);
}

static void serve(void *arg, struct fake_conn *c, const char *method, const char *path, const char *body)
{
	struct test *t = arg;
	int number;

	assert_string_equal(method, "GET");
	if (strcmp(path, "/version") == 0) {
		t->versions++;
		buf_puts(&t->log, "V");
		fake_answer(c, t->version_status, t->version);
	} else if (strstr(path, "/events?")) {
		buf_puts(&t->log, "E");
		snprintf(t->events_query, sizeof(t->events_query), "%s", path);
		t->stream = c;
		if (!t->hold_events)
			fake_stream_open(c);
	} else if (strcmp(path, "/v1.41/networks") == 0 || strcmp(path, "/v4.0.0/libpod/networks/json") == 0) {
		buf_puts(&t->log, "N");
		t->podman_networks += strstr(path, "libpod") != NULL;
		if (t->hold_lists)
			t->held_networks = c;
		else
			answer_networks(t, c);
	} else if (strcmp(path, "/v1.41/containers/json") == 0) {
		buf_puts(&t->log, "C");
		t->listed++;
		if (t->hold_lists)
			t->held_containers = c;
		else
			fake_answer(c, 200, t->containers);
	} else if (strcmp(path, "/v1.41/containers/c1/json") == 0) {
		buf_puts(&t->log, "1");
		t->inspected++;
		if (t->hold_c1)
			t->held_c1 = c;
		else
			fake_answer(c, t->c1_status, t->c1);
	} else if (strcmp(path, "/v1.41/containers/c2/json") == 0) {
		buf_puts(&t->log, "2");
		t->inspected++;
		fake_answer(c, t->c2 ? 200 : 404, t->c2 ? t->c2 : "{\"message\":\"no such container\"}");
	} else if (strcmp(path, "/v1.41/networks/n2") == 0 || strcmp(path, "/v4.0.0/libpod/networks/n2/json") == 0) {
		buf_puts(&t->log, "n");
		fake_answer(c, t->n2 ? 200 : 404, t->n2 ? t->n2 : "{\"message\":\"no such network\"}");
	} else if (sscanf(path, "/v1.41/containers/big%d/json", &number) == 1) {
		autofree char *text =
			xasprintf("{\"Id\":\"big%04d\",\"Name\":\"/big\",\"State\":{\"Running\":true,"
				  "\"Pid\":%d},\"NetworkSettings\":{\"Networks\":" NETWORKS("n1", "net") "}}",
				  number, number ? number : 1);

		t->big++;
		fake_answer(c, 200, text);
	} else
		fake_answer(c, 404, "{\"message\":\"page not found\"}");
}

static void on_changed(void *arg)
{
	((struct test *)arg)->changed++;
}

static int setup(void **state)
{
	struct test *t = xcalloc(1, sizeof(*t));
	struct model_config config = {0};

	log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	t->version = "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\",\"Version\":\"20.10\"}";
	t->networks = "[" NETWORK("n1", "net", "1000") "]";
	t->containers = "[" LISTED("c1", "web") "]";
	t->c1 = INSPECTED("c1", "web", "77", NETWORKS("n1", "net"));
	t->version_status = t->c1_status = t->networks_status = 200;
	loop_init(&t->loop);
	snprintf(t->dir, sizeof(t->dir), "/tmp/test-engine.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof(t->path), "%s/s", t->dir);
	snprintf(t->endpoint, sizeof(t->endpoint), "unix://%s", t->path);
	fake_server_start(&t->server, &t->loop, t->path, serve, t);
	t->http = http_new(&t->loop);
	assert_int_equal(engine_new(&t->loop, t->http, t->endpoint, &config, on_changed, t, &t->engine, NULL), 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	engine_free(t->engine);
	http_free(t->http);
	fake_server_stop(&t->server);
	loop_done(&t->loop);
	unlink(t->path);
	rmdir(t->dir);
	buf_done(&t->log);
	free(t);
	return 0;
}

/* ---- conditions ---- */

static struct model_source view(struct test *t)
{
	struct model_source s;

	engine_view(t->engine, &s);
	return s;
}

static bool is_connected(void *arg)
{
	return view(arg).state == ENGINE_CONNECTED;
}

static bool is_lost(void *arg)
{
	return view(arg).state == ENGINE_LOST;
}

static bool has_error(void *arg)
{
	return view(arg).error[0] != '\0';
}

static struct docker_container *ct(struct test *t, const char *id)
{
	return docker_set_container(view(t).set, id);
}

static bool has_c1(void *arg)
{
	return ct(arg, "c1") != NULL;
}

static bool has_no_c1(void *arg)
{
	return ct(arg, "c1") == NULL;
}

static bool has_c2(void *arg)
{
	return ct(arg, "c2") != NULL;
}

static bool has_no_c2(void *arg)
{
	return ct(arg, "c2") == NULL;
}

static bool c1_is_detached(void *arg)
{
	return ct(arg, "c1") && ct(arg, "c1")->n_attachments == 0;
}

static bool c1_is_new(void *arg)
{
	return ct(arg, "c1") && ct(arg, "c1")->pid == 88;
}

static bool c1_is_inspected(void *arg)
{
	return ct(arg, "c1") && ct(arg, "c1")->pid == 77;
}

static bool c1_is_held(void *arg)
{
	return ((struct test *)arg)->held_c1 != NULL;
}

static bool lists_are_held(void *arg)
{
	struct test *t = arg;

	return t->held_networks && t->held_containers;
}

static bool has_n2(void *arg)
{
	return docker_set_network(view(arg).set, "n2", NULL) != NULL;
}

static bool has_no_n1(void *arg)
{
	return docker_set_network(view(arg).set, "n1", NULL) == NULL;
}

static bool listed_again(void *arg)
{
	return ((struct test *)arg)->listed >= 2 && is_connected(arg);
}

static bool asked_three_times(void *arg)
{
	return ((struct test *)arg)->versions >= 3;
}

static void until(struct test *t, bool (*condition)(void *), int ms)
{
	assert_true(run_until(&t->loop, condition, t, ms));
}

static void connect_first(struct test *t)
{
	until(t, is_connected, 5000);
	buf_clear(&t->log);
	t->inspected = 0;
}

/* ---- tests ---- */

static void test_start(void **state)
{
	struct test *t = *state;

	assert_false(engine_settled(t->engine));
	until(t, is_connected, 5000);
	assert_true(engine_settled(t->engine));
	assert_string_equal(view(t).api, "1.41");
	assert_string_equal(view(t).engine, "20.10");
	/* subscribed before it listed; the two lists in either order */
	assert_true(strcmp(t->log.data, "VENC1") == 0 || strcmp(t->log.data, "VECN1") == 0);
	assert_int_equal(ct(t, "c1")->pid, 77);
	assert_string_equal(ct(t, "c1")->sandbox, "/run/x");
	assert_non_null(strstr(t->events_query, "/v1.41/events?since="));
	assert_non_null(strstr(t->events_query, "%22connect%22"));
	assert_non_null(strstr(t->events_query, "%22health_status%22"));
}

static bool c2_was_asked_twice(void *arg)
{
	return str_eq(((struct test *)arg)->log.data, "22");
}

static void test_event_fetches_one(void **state)
{
	struct test *t = *state;

	connect_first(t);
	t->c2 = INSPECTED("c2", "db", "99", NETWORKS("n1", "net"));
	fake_chunk(t->stream, EVENT("container", "start", "c2"));
	until(t, has_c2, 1000);
	assert_string_equal(t->log.data, "2");
	fake_chunk(t->stream, EVENT("container", "health_status: healthy", "c2"));
	until(t, c2_was_asked_twice, 1000);
	buf_clear(&t->log);
	buf_puts(&t->log, "2");
	t->n2 = NETWORK("n2", "two", "2");
	fake_chunk(t->stream, EVENT("network", "create", "n2"));
	until(t, has_n2, 1000);
	assert_string_equal(t->log.data, "2n");
}

static void test_known_without_asking(void **state)
{
	struct test *t = *state;

	connect_first(t);
	fake_chunk(t->stream, EVENT("container", "die", "c1"));
	until(t, has_no_c1, 1000);
	fake_chunk(t->stream, EVENT("network", "destroy", "n1"));
	until(t, has_no_n1, 1000);
	assert_int_equal(t->log.len, 0);
}

static void test_disconnect(void **state)
{
	struct test *t = *state;

	connect_first(t);
	t->hold_c1 = true;
	fake_chunk(t->stream, EVENT_NET("disconnect", "n1", "c1"));
	until(t, c1_is_detached, 1000); /* at once */
	until(t, c1_is_held, 1000);
	t->c1 = INSPECTED("c1", "web", "88", "{}");
	fake_answer(t->held_c1, 200, t->c1); /* and confirmed */
	until(t, c1_is_new, 1000);
	assert_true(c1_is_detached(t));
}

static void test_answer_older_than_event(void **state)
{
	struct test *t = *state;

	connect_first(t);
	t->hold_c1 = true;
	fake_chunk(t->stream, EVENT("container", "rename", "c1"));
	until(t, c1_is_held, 1000);
	fake_chunk(t->stream, EVENT("container", "die", "c1"));
	until(t, has_no_c1, 1000);
	fake_answer(t->held_c1, 200, t->c1); /* "running": it was, when the engine wrote that */
	t->c2 = INSPECTED("c2", "db", "99", NETWORKS("n1", "net"));
	fake_chunk(t->stream, EVENT("container", "start", "c2"));
	until(t, has_c2, 1000);
	assert_true(has_no_c1(t));
	/* and it may come back */
	t->hold_c1 = false;
	t->c1 = INSPECTED("c1", "web", "88", NETWORKS("n1", "net"));
	fake_chunk(t->stream, EVENT("container", "start", "c1"));
	until(t, c1_is_new, 1000);
}

static void test_disconnect_during_answer(void **state)
{
	struct test *t = *state;

	connect_first(t);
	t->hold_c1 = true;
	fake_chunk(t->stream, EVENT("container", "rename", "c1"));
	until(t, c1_is_held, 1000);
	fake_chunk(t->stream, EVENT_NET("disconnect", "n1", "c1"));
	until(t, c1_is_detached, 1000);
	t->hold_c1 = false;
	t->c1 = INSPECTED("c1", "web", "88", "{}");
	t->changed = 0;
	fake_answer(t->held_c1, 200, INSPECTED("c1", "web", "77", NETWORKS("n1", "net"))); /* from before */
	while (!c1_is_new(t)) {
		assert_true(c1_is_detached(t)); /* at no time attached again */
		uv_run(&t->loop, UV_RUN_ONCE);
	}
	assert_int_equal(t->inspected, 2);
}

static void test_restart_during_answer(void **state)
{
	struct test *t = *state;

	connect_first(t);
	t->hold_c1 = true;
	fake_chunk(t->stream, EVENT("container", "rename", "c1"));
	until(t, c1_is_held, 1000);
	t->hold_c1 = false;
	fake_chunk(t->stream, EVENT("container", "die", "c1") EVENT("container", "start", "c1"));
	until(t, has_no_c1, 1000);
	fake_answer(t->held_c1, 200, t->c1); /* pid 77, from before */
	t->c1 = INSPECTED("c1", "web", "88", NETWORKS("n1", "net"));
	until(t, c1_is_new, 1000);
	assert_int_equal(t->inspected, 2);
}

static void test_chunks_inside_lines(void **state)
{
	struct test *t = *state;
	static const char event[] = EVENT("container", "die", "c1");

	connect_first(t);
	for (size_t i = 0; i < sizeof(event) - 1; i++)
		fake_chunk_bytes(t->stream, event + i, 1);
	until(t, has_no_c1, 1000);
	assert_int_equal(t->listed, 1);
}

static void test_garbage_event_lists_again(void **state)
{
	struct test *t = *state;

	connect_first(t);
	t->containers = "[]";
	fake_chunk(t->stream, "{\"Type\":\"container\",\"Act\n[1,2]\n\n\"x\"\n");
	until(t, listed_again, 3000);
	until(t, has_no_c1, 1000);
	assert_int_equal(t->listed, 2); /* once for all of it */
	assert_int_equal(t->versions, 1);
}

static void test_endless_event(void **state)
{
	struct test *t = *state;
	autofree char *block = xmalloc(1 << 16);

	connect_first(t);
	memset(block, '{', 1 << 16);
	for (int i = 0; i < 20; i++)
		fake_chunk_bytes(t->stream, block, 1 << 16);
	until(t, is_lost, 2000);
	assert_true(has_c1(t)); /* fail static */
	until(t, is_connected, 2000);
}

static void test_event_during_listing(void **state)
{
	struct test *t = *state;

	t->hold_lists = true;
	until(t, lists_are_held, 2000);
	/* the engine wrote the lists already; now c1 dies and c2 starts */
	t->c1 = STOPPED("c1");
	t->c2 = INSPECTED("c2", "db", "99", NETWORKS("n1", "net"));
	fake_chunk(t->stream, EVENT("container", "die", "c1") EVENT("container", "start", "c2"));
	fake_chunk(t->stream, EVENT("network", "destroy", "n2"));
	for (int i = 0; i < 20; i++)
		uv_run(&t->loop, UV_RUN_NOWAIT);
	assert_int_equal(t->inspected, 0);
	fake_answer(t->held_networks, 200, "[" NETWORK("n1", "net", "1000") "," NETWORK("n2", "two", "2") "]");
	fake_answer(t->held_containers, 200, t->containers);
	until(t, is_connected, 2000);
	assert_true(has_no_c1(t));
	assert_false(has_n2(t));
	assert_true(has_c2(t));
}

static void test_lists_in_bytes(void **state)
{
	struct test *t = *state;

	t->dribble_networks = true;
	until(t, is_connected, 5000);
	assert_int_equal(view(t).set->n_networks, 1);
}

static void test_truncated_list(void **state)
{
	struct test *t = *state;

	t->truncate_networks = true;
	until(t, has_error, 2000);
	assert_int_equal(view(t).state, ENGINE_CONNECTING);
	assert_non_null(strstr(view(t).error, "list of networks"));
	assert_true(engine_settled(t->engine));
	t->truncate_networks = false;
	until(t, is_connected, 2000);
	assert_string_equal(view(t).error, "");
}

static void test_no_array(void **state)
{
	struct test *t = *state;

	t->networks = "{\"message\":\"hello\"}";
	until(t, has_error, 2000);
	assert_int_equal(view(t).set->n_networks, 0);
	t->networks = "[null,17,{},{\"Id\":\"../../x\"}," NETWORK("n1", "net", "5") "]";
	until(t, is_connected, 2000);
	assert_int_equal(view(t).set->n_networks, 1); /* one bad object costs that object */
}

static void test_status_500(void **state)
{
	struct test *t = *state;

	t->version_status = 500;
	t->version = "{\"message\":\"not \\u001b[2J now\"}";
	until(t, asked_three_times, 3000); /* with back-off */
	assert_non_null(strstr(view(t).error, "500"));
	assert_null(strchr(view(t).error, '\033'));
	t->version_status = 200;
	t->version = "{\"ApiVersion\":\"1.41\"}";
	until(t, is_connected, 3000);
}

static void test_too_new(void **state)
{
	struct test *t = *state;

	t->version = "{\"ApiVersion\":\"1.99\",\"MinAPIVersion\":\"1.90\"}";
	until(t, has_error, 2000);
	assert_non_null(strstr(view(t).error, "1.90 to 1.99"));
}

static void test_inspect_500(void **state)
{
	struct test *t = *state;

	t->c1_status = 500;
	until(t, is_connected, 1000); /* not held up */
	assert_non_null(ct(t, "c1")); /* as it was listed */
	assert_int_equal(ct(t, "c1")->pid, 0);
	t->c1_status = 200;
	t->c1 = INSPECTED("c1", "web", "88", NETWORKS("n1", "net"));
	until(t, c1_is_new, 3000); /* tried again */
}

static void test_inspect_hangs(void **state)
{
	struct test *t = *state;

	t->hold_c1 = true;
	t->c2 = INSPECTED("c2", "db", "99", NETWORKS("n1", "net"));
	t->containers = "[" LISTED("c1", "web") "," LISTED("c2", "db") "]";
	until(t, is_connected, FETCH_TIMEOUT_MS + 2000);
	assert_int_equal(ct(t, "c2")->pid, 99);
	assert_int_equal(ct(t, "c1")->pid, 0);
	/* everything else goes on */
	fake_chunk(t->stream, EVENT("container", "die", "c2"));
	until(t, has_no_c2, 1000);
}

static void test_gone_meanwhile(void **state)
{
	struct test *t = *state;

	t->c1_status = 404;
	until(t, is_connected, 2000);
	assert_true(has_no_c1(t));
	t->c2 = NULL;
	buf_clear(&t->log);
	fake_chunk(t->stream, EVENT("container", "start", "c2"));
	fake_chunk(t->stream, EVENT("network", "create", "n2"));
	t->c1_status = 200;
	fake_chunk(t->stream, EVENT("container", "start", "c1"));
	until(t, has_c1, 2000);
	assert_true(has_no_c2(t));
	assert_false(has_n2(t));
}

static void test_unknown_network(void **state)
{
	struct test *t = *state;

	connect_first(t);
	t->n2 = NETWORK("n2", "two", "2");
	t->c2 = INSPECTED("c2", "db", "99", NETWORKS("n2", "two"));
	fake_chunk(t->stream, EVENT("container", "start", "c2"));
	until(t, has_n2, 2000);
	assert_string_equal(t->log.data, "2n");
}

static void test_lost_and_back(void **state)
{
	struct test *t = *state;

	connect_first(t);
	fake_chunk(t->stream, EVENT("container", "rename", "c1"));
	until(t, has_c1, 1000);
	fake_server_stop(&t->server);
	until(t, is_lost, 2000);
	assert_true(view(t).error[0]);
	assert_true(has_c1(t)); /* fail static */
	assert_int_equal(view(t).set->n_networks, 1);
	t->containers = "[]";
	t->changed = 0;
	for (int i = 0; i < 50; i++)
		uv_run(&t->loop, UV_RUN_NOWAIT);
	fake_server_start(&t->server, &t->loop, t->path, serve, t); /* the socket is made anew */
	until(t, is_connected, 2000);
	assert_true(t->changed > 0);
	assert_true(has_no_c1(t));
	assert_non_null(strstr(t->events_query, "since=1700000000.123456789&")); /* where it was */
}

static void test_socket_appears(void **state)
{
	struct test *t = *state;
	int64_t began_us;

	connect_first(t);
	fake_server_stop(&t->server);
	until(t, is_lost, 2000);
	/* let the back-off grow to 1.6 s */
	began_us = mono_now().us;
	while (mono_now().us - began_us < 1600 * USEC_PER_MSEC)
		uv_run(&t->loop, UV_RUN_ONCE);
	fake_server_start(&t->server, &t->loop, t->path, serve, t);
	until(t, is_connected, 300); /* it was seen, not waited for */
}

static void test_stream_ends(void **state)
{
	struct test *t = *state;

	connect_first(t);
	fake_chunk(t->stream, "");
	fake_send(t->stream, "\r\n");
	until(t, is_lost, 2000);
	assert_non_null(strstr(view(t).error, "event stream has ended"));
	until(t, is_connected, 2000);
}

static void test_headers_held_back(void **state)
{
	struct test *t = *state;

	t->hold_events = true; /* until the first event */
	until(t, is_connected, 4000);
	fake_stream_open(t->stream);
	fake_chunk(t->stream, EVENT("container", "die", "c1"));
	until(t, has_no_c1, 2000);
	assert_int_equal(t->listed, 1);
}

static void test_podman(void **state)
{
	struct test *t = *state;

	t->version =
		"{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.24\",\"Version\":\"4.3.1\",\"Components\":[{\"Name\":"
		"\"Podman Engine\"}]}";
	t->networks = "[{\"name\":\"net\",\"id\":\"f00\",\"driver\":\"bridge\",\"network_interface\":\"podman1\","
		      "\"subnets\":[{\"subnet\":\"10.1.2.0/24\",\"gateway\":\"10.1.2.1\"}],"
		      "\"labels\":{\"docker-router.vni\":\"1000\"}}]";
	t->c1 = INSPECTED("c1", "web", "77", NETWORKS("net", "net"));
	connect_first(t);
	assert_int_equal(t->podman_networks, 1);
	assert_string_equal(view(t).set->networks[0]->bridge, "podman1");
	t->c1 = INSPECTED("c1", "web", "88", NETWORKS("net", "net"));
	fake_chunk(t->stream,
		   "{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"c1\",\"Attributes\":{}}}\n");
	until(t, c1_is_new, 1000);
	assert_string_equal(t->log.data, "1");
}

/* A list of 5 MB, with 1000 containers that matter: bounded work in flight, and nothing is lost. */
static void test_big_list(void **state)
{
	struct test *t = *state;
	autobuf struct buf list = {0};
	autofree char *filler = xmalloc(4001);
	int64_t began_us = mono_now().us;

	memset(filler, 'x', 4000);
	filler[4000] = '\0';
	buf_puts(&list, "[");
	for (int i = 0; i < 1300; i++) {
		/* every one after the first 1000 is on a network of no interest */
		buf_printf(&list,
			   "%s{\"Id\":\"big%04d\",\"Names\":[\"/big%04d\"],\"State\":\"running\",\"Labels\":{\"x\":"
			   "\"%s\"},\"NetworkSettings\":{\"Networks\":{\"net\":{\"NetworkID\":\"%s\",\"IPAddress\":"
			   "\"10.1.2.3\",\"MacAddress\":\"02:00:00:00:00:01\"}}}}",
			   i ? "," : "", i, i, filler, i < 1000 ? "n1" : "n3");
	}
	buf_puts(&list, "]");
	assert_true(list.len > 5000000);
	t->containers = list.data;
	t->networks = "[" NETWORK("n1", "net", "1000") ",{\"Id\":\"n3\",\"Name\":\"other\",\"Driver\":\"bridge\"}]";
	until(t, is_connected, 20000);
	assert_int_equal(t->big, 1000);
	assert_int_equal(view(t).set->n_containers, 1300);
	assert_int_equal(ct(t, "big0999")->pid, 999);
	assert_int_equal(ct(t, "big1000")->pid, 0);
	assert_true(t->server.accepted <= FETCH_PARALLEL + 3); /* connections are kept */
	print_message("# 5 MB, 1000 inspected: %d ms\n", (int)((mono_now().us - began_us) / USEC_PER_MSEC));
	t->containers = "[]";
}

static void test_configure(void **state)
{
	struct test *t = *state;
	struct config_network c = {.name = "net", .stack = "s", .vni = 9};
	struct model_config config = {.networks = &c, .n_networks = 1};

	t->networks = "[{\"Id\":\"n1\",\"Name\":\"net\",\"Driver\":\"bridge\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.1."
		      "2.0/24\"}]}}]";
	until(t, is_connected, 2000);
	assert_int_equal(t->inspected, 0); /* it did not matter */
	engine_configure(t->engine, &config);
	until(t, c1_is_inspected, 3000);
	assert_int_equal(t->inspected, 1);
	engine_configure(t->engine, &config); /* the same: nothing to do */
	assert_int_equal(t->listed, 2);
}

static void test_endpoints(void **state)
{
	static const char *const bad[] = {"",	    "unix://", "unix://relative", "ssh://host", "npipe:////./x",
					  "tcp://", "/x"};
	struct test *t = *state;
	struct model_config config = {0};
	struct engine *e = NULL;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(engine_new(&t->loop, t->http, bad[i], &config, on_changed, t, &e, &err), -EINVAL);
		assert_null(e);
		assert_non_null(strstr(err.text, "unix:///path or tcp://host:port"));
	}
}

static void test_free_at_any_time(void **state)
{
	struct test *t = *state;
	struct model_config config = {0};

	for (int steps = 0; steps < 60; steps += 2) {
		engine_free(t->engine);
		assert_int_equal(engine_new(&t->loop, t->http, t->endpoint, &config, on_changed, t, &t->engine, NULL),
				 0);
		for (int i = 0; i < steps; i++)
			uv_run(&t->loop, UV_RUN_NOWAIT);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_start),
		TEST(test_event_fetches_one),
		TEST(test_known_without_asking),
		TEST(test_disconnect),
		TEST(test_answer_older_than_event),
		TEST(test_disconnect_during_answer),
		TEST(test_restart_during_answer),
		TEST(test_chunks_inside_lines),
		TEST(test_garbage_event_lists_again),
		TEST(test_endless_event),
		TEST(test_event_during_listing),
		TEST(test_lists_in_bytes),
		TEST(test_truncated_list),
		TEST(test_no_array),
		TEST(test_status_500),
		TEST(test_too_new),
		TEST(test_inspect_500),
		TEST(test_inspect_hangs),
		TEST(test_gone_meanwhile),
		TEST(test_unknown_network),
		TEST(test_lost_and_back),
		TEST(test_socket_appears),
		TEST(test_stream_ends),
		TEST(test_headers_held_back),
		TEST(test_podman),
		TEST(test_big_list),
		TEST(test_configure),
		TEST(test_endpoints),
		TEST(test_free_at_any_time),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
