/* SPDX-License-Identifier: Apache-2.0
 *
 * The DHCP client under a clock of the test: a lease's whole life, and servers that are away, refuse, or change their
 * mind.
 */
#include "server.h"

#define SEC USEC_PER_SEC

struct world {
	struct dhcp_client c;
	struct dhcp_out out;
	int64_t now_us;
};

static struct world begin(const char *want)
{
	struct world w = {.now_us = 1000 * SEC};
	struct ip ip = {0};

	if (want)
		assert_int_equal(ip_parse(want, &ip), 0);
	dhcp_begin(&w.c, &client_mac, "web", want ? &ip : NULL, 7, w.now_us);
	return w;
}

/* Go to where the client wants to be woken */
static int wake(struct world *w)
{
	assert_true(w->c.due_us != INT64_MAX);
	if (w->now_us < w->c.due_us)
		w->now_us = w->c.due_us;
	return dhcp_timer(&w->c, w->now_us, &w->out);
}

static int hear(struct world *w, struct frame f)
{
	return dhcp_input(&w->c, f.b, f.len, w->now_us, &w->out);
}

static void bind_to(struct world *w, const char *address, uint32_t seconds)
{
	assert_int_equal(wake(w), 0);
	assert_int_equal(out_type(&w->out), DHCP_DISCOVER);
	assert_int_equal(hear(w, frame_reply(DHCP_OFFER, w->c.xid, address, seconds)), 0);
	assert_int_equal(out_type(&w->out), DHCP_REQUEST); /* at once */
	assert_int_equal(hear(w, frame_reply(DHCP_ACK, w->c.xid, address, seconds)), DHCP_GOT);
	assert_int_equal(w->c.state, DHCP_BOUND);
}

static void test_life(void **state)
{
	struct world w = begin(NULL);
	size_t n;

	bind_to(&w, "192.0.2.7", 1000);
	assert_int_equal(w.c.due_us, w.now_us + 500 * SEC);
	assert_int_equal(dhcp_timer(&w.c, w.now_us, &w.out), 0); /* too early */
	assert_int_equal(w.out.len, 0);
	/* T1: unicast to the server, with the address in ciaddr, naming neither */
	assert_int_equal(wake(&w), 0);
	assert_int_equal(w.c.state, DHCP_RENEWING);
	assert_int_equal(out_type(&w.out), DHCP_REQUEST);
	assert_memory_equal(w.out.frame, server_mac.b, 6);
	assert_null(out_option(&w.out, 50, &n));
	assert_null(out_option(&w.out, 54, &n));
	assert_int_equal(w.out.frame[42 + 12], 192);
	assert_int_equal(hear(&w, frame_reply(DHCP_ACK, w.c.xid, "192.0.2.7", 1000)), DHCP_GOT);
	assert_int_equal(w.c.due_us, w.now_us + 500 * SEC);
	/* given back */
	dhcp_release(&w.c, &w.out);
	assert_int_equal(out_type(&w.out), DHCP_RELEASE);
	assert_non_null(out_option(&w.out, 54, &n));
	assert_int_equal(w.c.state, DHCP_OFF);
	assert_int_equal(w.c.due_us, INT64_MAX);
	dhcp_release(&w.c, &w.out);
	assert_int_equal(w.out.len, 0);
}

static void test_server_away(void **state)
{
	struct world w = begin(NULL);
	int renews = 0, rebinds = 0, discovers = 0;
	int64_t begin_us;

	bind_to(&w, "192.0.2.7", 1000);
	begin_us = w.now_us;
	for (;;) {
		int events = wake(&w);

		if (events & DHCP_LOST)
			break;
		renews += w.c.state == DHCP_RENEWING;
		rebinds += w.c.state == DHCP_REBINDING;
	}
	assert_int_equal(w.now_us, begin_us + 1000 * SEC); /* not a second longer than it was given */
	assert_true(renews > 1 && rebinds > 1 && renews + rebinds < 40);
	assert_int_equal(w.c.state, DHCP_SELECTING);
	assert_int_equal(out_type(&w.out), DHCP_DISCOVER);
	/* an hour: it goes on asking, and not often */
	for (begin_us = w.now_us; w.now_us < begin_us + 3600 * SEC; discovers++)
		assert_int_equal(wake(&w), 0);
	assert_true(discovers > 30 && discovers < 90);
	assert_int_equal(hear(&w, frame_reply(DHCP_OFFER, w.c.xid, "192.0.2.9", 1000)), 0);
	assert_int_equal(hear(&w, frame_reply(DHCP_ACK, w.c.xid, "192.0.2.9", 1000)), DHCP_GOT);
}

static void test_nak(void **state)
{
	struct world w = begin("192.0.2.7");
	size_t n;

	assert_int_equal(wake(&w), 0);
	assert_non_null(out_option(&w.out, 50, &n)); /* asks for what it had */
	assert_int_equal(hear(&w, frame_reply(DHCP_OFFER, w.c.xid, "192.0.2.7", 1000)), 0);
	assert_int_equal(hear(&w, frame_reply(DHCP_NAK, w.c.xid, NULL, 0)), 0); /* nothing is lost yet */
	assert_int_equal(w.c.state, DHCP_SELECTING);
	assert_int_equal(w.c.due_us, w.now_us);
	bind_to(&w, "192.0.2.8", 1000);
	assert_int_equal(wake(&w), 0);
	assert_int_equal(hear(&w, frame_reply(DHCP_NAK, w.c.xid, NULL, 0)), DHCP_LOST);
	assert_true(ip_is_none(&w.c.lease.address.ip));
	assert_int_equal(wake(&w), 0);
	assert_null(out_option(&w.out, 50, &n)); /* what was refused is not asked for again */
}

static void test_lost_messages(void **state)
{
	struct world w = begin(NULL);
	uint32_t xid;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(wake(&w), 0);
		assert_int_equal(out_type(&w.out), DHCP_DISCOVER);
	}
	xid = w.c.xid;
	assert_int_equal(hear(&w, frame_reply(DHCP_OFFER, xid, "192.0.2.7", 1000)), 0);
	/* a second server's offer, and an ACK that nobody asked for */
	assert_int_equal(hear(&w, frame_reply(DHCP_OFFER, xid, "192.0.2.99", 1000)), 0);
	assert_int_equal(w.out.len, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(wake(&w), 0);
		assert_int_equal(out_type(&w.out), DHCP_REQUEST);
	}
	assert_int_equal(wake(&w), 0); /* three were enough: from the beginning */
	assert_int_equal(out_type(&w.out), DHCP_DISCOVER);
	assert_true(w.c.xid != xid);
	assert_int_equal(hear(&w, frame_reply(DHCP_ACK, w.c.xid, "192.0.2.7", 1000)), 0);
	assert_int_equal(w.c.state, DHCP_SELECTING);
}

static void test_another_address(void **state)
{
	struct world w = begin(NULL);
	char text[PREFIX_STRLEN];

	bind_to(&w, "192.0.2.7", 1000);
	assert_int_equal(wake(&w), 0);
	assert_int_equal(hear(&w, frame_reply(DHCP_ACK, w.c.xid, "192.0.2.42", 1000)), DHCP_GOT);
	assert_string_equal(prefix_format(&w.c.lease.address, text), "192.0.2.42/24");
}

static struct dhcp_lease held(int64_t begin_us, uint32_t seconds)
{
	struct dhcp_lease l = {.seconds = seconds,
			       .t1 = seconds / 2,
			       .t2 = seconds - seconds / 8,
			       .begin_us = begin_us,
			       .server_mac = server_mac};

	assert_int_equal(prefix_parse("192.0.2.7/24", &l.address), 0);
	assert_int_equal(ip_parse("192.0.2.1", &l.server), 0);
	return l;
}

static void test_resume(void **state)
{
	struct world w = {.now_us = 5000 * SEC};
	struct dhcp_lease l = held(w.now_us - 100 * SEC, 1000);

	/* a restart in the middle: goes on as if nothing had been */
	dhcp_resume(&w.c, &client_mac, "web", &l, 1, false, w.now_us);
	assert_int_equal(w.c.due_us, w.now_us + 400 * SEC);
	/* asked for again, and nobody answers: it is ours until it ends */
	dhcp_resume(&w.c, &client_mac, "web", &l, 1, true, w.now_us);
	for (int i = 0; i < 3; i++)
		assert_int_equal(wake(&w), 0);
	assert_int_equal(w.c.state, DHCP_REBINDING);
	assert_false(ip_is_none(&w.c.lease.address.ip));
	/* one that ran out meanwhile */
	l = held(w.now_us - 2000 * SEC, 1000);
	dhcp_resume(&w.c, &client_mac, "web", &l, 1, false, w.now_us);
	assert_int_equal(wake(&w), DHCP_LOST);
	assert_int_equal(out_type(&w.out), DHCP_DISCOVER);
}

static void test_forever(void **state)
{
	struct world w = begin(NULL);

	bind_to(&w, "192.0.2.7", DHCP_FOREVER);
	assert_int_equal(w.c.due_us, INT64_MAX);
	assert_int_equal(dhcp_timer(&w.c, w.now_us + 100000 * SEC, &w.out), 0);
	assert_int_equal(w.out.len, 0);
}

static void test_shortest(void **state)
{
	struct world w = begin(NULL);
	int n = 0;

	bind_to(&w, "192.0.2.7", 1); /* a second: no storm */
	while (!(wake(&w) & DHCP_LOST))
		assert_true(++n < 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_server_away),
		cmocka_unit_test(test_nak),
		cmocka_unit_test(test_lost_messages),
		cmocka_unit_test(test_another_address),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_forever),
		cmocka_unit_test(test_shortest),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
