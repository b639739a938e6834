/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom to join by: addresses as they are, names as a resolver of the test's own answers them (uv_getaddrinfo() and the
 * clock are wrapped by the linker, so that nothing is asked and nothing waits).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "discovery/gossip_joins.h"

#define ASKED_MAX 8

int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *req, uv_getaddrinfo_cb cb, const char *node,
			  const char *service, const struct addrinfo *hints);
void __wrap_uv_freeaddrinfo(struct addrinfo *info);
int __wrap_uv_cancel(uv_req_t *req);
mono_t __wrap_mono_now(void);

static struct {
	uv_getaddrinfo_t *req;
	uv_getaddrinfo_cb cb;
	char name[64];
} asked[ASKED_MAX];
static size_t n_asked;
static unsigned n_cancelled, n_changed;
static int64_t now_us = 100 * USEC_PER_SEC;

int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *req, uv_getaddrinfo_cb cb, const char *node,
			  const char *service, const struct addrinfo *hints)
{
	(void)loop;
	(void)service;
	assert_int_equal(hints->ai_socktype, SOCK_STREAM);
	assert_true(n_asked < ASKED_MAX);
	asked[n_asked].req = req;
	asked[n_asked].cb = cb;
	str_copy(asked[n_asked].name, node);
	n_asked++;
	return 0;
}

void __wrap_uv_freeaddrinfo(struct addrinfo *info)
{
	(void)info;
}

int __wrap_uv_cancel(uv_req_t *req)
{
	(void)req;
	n_cancelled++;
	return 0;
}

mono_t __wrap_mono_now(void)
{
	return (mono_t){now_us};
}

/* The oldest question is answered: with the addresses in @words, a blank between two, or with an error */
static void answer(const char *name, int status, const char *words)
{
	struct sockaddr_storage ss[8];
	struct addrinfo info[8] = {0};
	uv_getaddrinfo_t *req = asked[0].req;
	uv_getaddrinfo_cb cb = asked[0].cb;
	char text[256];
	size_t n = 0;

	assert_true(n_asked > 0);
	assert_string_equal(asked[0].name, name);
	memmove(asked, asked + 1, --n_asked * sizeof(asked[0]));
	str_copy(text, words);
	for (char *save, *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		struct endpoint e = {0};

		assert_int_equal(ip_parse(w, &e.ip), 0);
		info[n].ai_addrlen = endpoint_to_sockaddr(&e, &ss[n]);
		info[n].ai_family = e.ip.family;
		info[n].ai_addr = (struct sockaddr *)&ss[n];
		if (n)
			info[n - 1].ai_next = &info[n];
		n++;
	}
	cb(req, status, n ? info : NULL);
}

struct bench {
	uv_loop_t loop;
	struct gossip_joins *joins;
};

static void on_changed(void *arg)
{
	(void)arg;
	n_changed++;
}

static int setup(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	n_asked = n_cancelled = n_changed = 0;
	loop_init(&b->loop);
	b->joins = gossip_joins_new(&b->loop, 4791, on_changed, b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	gossip_joins_free(b->joins);
	while (n_asked > 0) /* who is freed still hears that it was cancelled */
		answer(asked[0].name, UV_ECANCELED, "");
	loop_done(&b->loop);
	free(b);
	return 0;
}

static void set(struct bench *b, const char *words)
{
	struct join_list list = {.n = 0};
	char text[512];

	str_copy(text, words);
	for (char *save, *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save), list.n++)
		str_copy(list.to[list.n], w);
	gossip_joins_set(b->joins, &list);
}

static void must_be(struct bench *b, uint8_t family, const char *want)
{
	struct endpoint v[GOSSIP_JOINS];
	size_t n = gossip_joins_get(b->joins, family, v);
	char e[ENDPOINT_STRLEN];
	autobuf struct buf got = {0};

	buf_puts(&got, "");
	for (size_t i = 0; i < n; i++)
		buf_printf(&got, "%s%s", i ? " " : "", endpoint_format(&v[i], e));
	assert_string_equal(got.len ? got.data : "", want);
}

/* The words of all problems */
static void must_tell(struct bench *b, uint8_t family, size_t n, const char *object, const char *words)
{
	struct problems p = {0};

	gossip_joins_problems(b->joins, family, &p);
	assert_int_equal(p.n, n);
	if (n) {
		assert_string_equal(p.v[0].object, object);
		assert_non_null(strstr(p.v[0].text, words));
		assert_true(p.v[0].cure[0] != '\0');
	}
	problems_done(&p);
}

static void test_addresses(void **state)
{
	struct bench *b = *state;

	set(b, "192.0.2.1 [2001:db8::1]:5000 192.0.2.2:4000 256.1.1.1");
	assert_int_equal(n_changed, 1);
	assert_int_equal(n_asked, 0);
	must_be(b, AF_INET, "192.0.2.1:4791 192.0.2.2:4000");
	must_be(b, AF_INET6, "[2001:db8::1]:5000");
	must_tell(b, 0, 0, "", "");
	must_tell(b, AF_INET, 1, "[2001:db8::1]:5000", "no IPv4 address");
}

static void test_names(void **state)
{
	struct bench *b = *state;

	set(b, "nas.lan 192.0.2.9 box.lan:5000");
	must_be(b, AF_INET, "192.0.2.9:4791");
	answer("nas.lan", 0, "192.0.2.1 239.1.1.1 0.0.0.0 2001:db8::1");
	assert_int_equal(n_changed, 2);
	answer("box.lan", 0, "192.0.2.2");
	assert_int_equal(n_changed, 3);
	must_be(b, AF_INET, "192.0.2.1:4791 192.0.2.9:4791 192.0.2.2:5000");
	must_be(b, AF_INET6, "[2001:db8::1]:4791");
	/* another order asks nobody again, and forgets nothing */
	set(b, "box.lan:5000 nas.lan");
	assert_int_equal(n_asked, 0);
	must_be(b, AF_INET, "192.0.2.2:5000 192.0.2.1:4791");
	/* a minute later they are asked again; who is still there is no change */
	n_changed = 0;
	now_us += 61 * USEC_PER_SEC;
	set(b, "box.lan:5000 nas.lan");
	assert_int_equal(n_changed, 1);
	answer("box.lan", 0, "192.0.2.2");
	assert_int_equal(n_changed, 1);
	answer("nas.lan", 0, "192.0.2.3");
	assert_int_equal(n_changed, 2);
	must_be(b, AF_INET, "192.0.2.2:5000 192.0.2.3:4791");
}

static void test_not_found(void **state)
{
	struct bench *b = *state;

	set(b, "nas.lan");
	answer("nas.lan", UV_EAI_NONAME, "");
	must_be(b, AF_INET, "");
	must_tell(b, AF_INET, 1, "nas.lan", "the name is not found");
	/* not at once, but soon */
	set(b, "nas.lan");
	assert_int_equal(n_asked, 0);
	now_us += 4 * USEC_PER_SEC;
	set(b, "nas.lan");
	answer("nas.lan", 0, "192.0.2.1");
	must_tell(b, AF_INET, 0, "", "");
	must_tell(b, AF_INET6, 1, "nas.lan", "no IPv6 address");
	/* a name server that is away later takes nothing away */
	now_us += 61 * USEC_PER_SEC;
	set(b, "nas.lan");
	answer("nas.lan", UV_EAI_AGAIN, "");
	must_be(b, AF_INET, "192.0.2.1:4791");
	must_tell(b, AF_INET, 0, "", "");
}

/* Whom nobody wants to join by any more is not waited for, and his answer is nothing */
static void test_given_up(void **state)
{
	struct bench *b = *state;

	set(b, "nas.lan");
	set(b, "192.0.2.9");
	assert_int_equal(n_cancelled, 1);
	n_changed = 0;
	answer("nas.lan", 0, "192.0.2.1");
	assert_int_equal(n_changed, 0);
	must_be(b, AF_INET, "192.0.2.9:4791");
	/* the same while the whole is freed: teardown() */
	set(b, "box.lan");
	assert_int_equal(n_asked, 1);
}

static void test_bounds(void **state)
{
	struct bench *b = *state;
	struct endpoint v[GOSSIP_JOINS];
	struct join_list list = {.n = 0};

	set(b, "nas.lan");
	answer("nas.lan", 0, "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6");
	must_be(b, AF_INET, "192.0.2.1:4791 192.0.2.2:4791 192.0.2.3:4791 192.0.2.4:4791");
	for (; list.n < LIMIT_JOIN; list.n++)
		str_print(list.to[list.n], "192.0.2.%u", (unsigned)list.n % 200 + 1);
	gossip_joins_set(b->joins, &list);
	assert_int_equal(gossip_joins_get(b->joins, AF_INET, v), GOSSIP_JOINS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
