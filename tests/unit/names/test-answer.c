/* SPDX-License-Identifier: Apache-2.0
 *
 * From datagram to datagram.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "names/answer.h"
#include "packet.h"
#include "world.h"

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	world_init(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_done(*state);
	free(*state);
	return 0;
}

/* What c3 (of blog), or the host, is told */
static const char *told(struct world *w, bool host, const char *name, uint16_t type, uint16_t edns)
{
	struct packet p = packet_query(name, type, edns);
	uint8_t out[DNS_REPLY_BYTES];
	uint32_t turn = 0;
	size_t len;
	enum verdict v = host ? answer_host(w->table, &turn, p.b, p.len, out, &len)
			      : answer_query(w->table, table_viewer(w->table, "c3"), &turn, p.b, p.len, out, &len);

	return v == VERDICT_REPLY ? packet_text(out, len) : v == VERDICT_ASK_ON ? "ask on" : "drop";
}

static void test_container(void **state)
{
	struct world *w = *state;

	assert_string_equal(told(w, false, "WEB.shop", DNS_A, 0), "0 10.71.0.2 241.2.0.2");
	assert_string_equal(told(w, false, "web.shop", DNS_AAAA, 1232), "0 fd71::2 +opt 1232");
	assert_string_equal(told(w, false, "web.shop", DNS_ANY, 0), "0 10.71.0.2 fd71::2 241.2.0.2");
	/* it is there, but has none of that; below the domain with a SOA */
	assert_string_equal(told(w, false, "db.shop", DNS_AAAA, 0), "0");
	assert_string_equal(told(w, false, "db.shop", 65 /* HTTPS */, 0), "0");
	assert_string_equal(told(w, false, "db.shop.docker-router.internal", DNS_AAAA, 0),
			    "0 ns:docker-router.internal");
	assert_string_equal(told(w, false, "nobody.shop.docker-router.internal", DNS_A, 0),
			    "3 ns:docker-router.internal");
	assert_string_equal(told(w, false, "docker-router.internal", DNS_SOA, 0), "0 docker-router.internal");
	assert_string_equal(told(w, false, "docker-router.internal", DNS_A, 0), "0 ns:docker-router.internal");
	assert_string_equal(told(w, false, "2.0.71.10.in-addr.arpa", DNS_PTR, 0),
			    "0 shop_web_1.shop.docker-router.internal");
	/* not ours */
	assert_string_equal(told(w, false, "nobody.shop", DNS_A, 0), "ask on");
	assert_string_equal(told(w, false, "example.com", DNS_A, 1232), "ask on");
	assert_string_equal(told(w, false, "google.com", DNS_A, 0), "ask on");
	assert_string_equal(told(w, false, "2.0.18.172.in-addr.arpa", DNS_PTR, 0), "ask on");
	assert_string_equal(told(w, false, "", 2, 0), "ask on");
}

static void test_host(void **state)
{
	struct world *w = *state;

	assert_string_equal(told(w, true, "web.shop.docker-router.internal", DNS_A, 0), "0 10.71.0.2 241.2.0.2");
	assert_string_equal(told(w, true, "key.secret", DNS_A, 0), "0 10.91.0.2");
	assert_string_equal(told(w, true, "no.docker-router.internal", DNS_A, 0), "3 ns:docker-router.internal");
	assert_string_equal(told(w, true, "example.com", DNS_A, 1232), "5 +opt 1232");
	assert_string_equal(told(w, true, "1.2.0.192.in-addr.arpa", DNS_PTR, 0), "5");
}

static void test_turns(void **state)
{
	struct world *w = *state;
	struct packet p = packet_query("web.shop", DNS_A, 0);
	const struct viewer *v = table_viewer(w->table, "c3");
	uint8_t out[DNS_REPLY_BYTES];
	uint32_t turn = 0;
	size_t len;

	for (int i = 0; i < 4; i++) {
		assert_int_equal(answer_query(w->table, v, &turn, p.b, p.len, out, &len), VERDICT_REPLY);
		assert_string_equal(packet_text(out, len), i % 2 ? "0 241.2.0.2 10.71.0.2" : "0 10.71.0.2 241.2.0.2");
	}
}

static void test_odd(void **state)
{
	struct world *w = *state;
	struct packet p = packet_query("web.shop", DNS_A, 0);
	const struct viewer *v = table_viewer(w->table, "c3");
	uint8_t out[DNS_REPLY_BYTES];
	uint32_t turn = 0;
	size_t len;

	/* somebody who is in no stack */
	assert_int_equal(answer_query(w->table, NULL, &turn, p.b, p.len, out, &len), VERDICT_ASK_ON);
	/* two questions: Docker's resolver may know what to do; the host's gets an error */
	p.b[5] = 2;
	assert_int_equal(answer_query(w->table, v, &turn, p.b, p.len, out, &len), VERDICT_ASK_ON);
	assert_int_equal(answer_host(w->table, &turn, p.b, p.len, out, &len), VERDICT_REPLY);
	assert_string_equal(packet_text(out, len), "1");
	/* no query: a reply would make two of us talk for ever */
	p.b[2] |= 0x80;
	assert_int_equal(answer_query(w->table, v, &turn, p.b, p.len, out, &len), VERDICT_DROP);
	assert_int_equal(answer_host(w->table, &turn, p.b, p.len, out, &len), VERDICT_DROP);
	assert_int_equal(answer_query(w->table, v, &turn, p.b, 11, out, &len), VERDICT_DROP);
	assert_int_equal(answer_host(w->table, &turn, p.b, 0, out, &len), VERDICT_DROP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_container, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host, setup, teardown),
		cmocka_unit_test_setup_teardown(test_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
