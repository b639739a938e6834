/* SPDX-License-Identifier: Apache-2.0
 *
 * What is copied follows from who listens where, and what is said on legs is IGMP of the right kind. Joins fail here:
 * there are no such interfaces, and that is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "multicast/groups.h"
#include "multicast/igmp.h"

struct world {
	struct groups *g;
	mono_t now;
	unsigned queries, reports, others;
};

static struct ip ip_of(const char *s)
{
	struct ip ip;

	assert_int_equal(ip_parse(s, &ip), 0);
	return ip;
}

static void on_send(void *arg, uint32_t leg, const struct ip *dst, const uint8_t *packet, size_t len)
{
	struct world *w = arg;
	struct gmp_message m;

	if (dst->family != AF_INET || igmp_parse(packet, len, &m) != IGMP_OK)
		w->others++;
	else if (m.kind == GMP_QUERY)
		w->queries++;
	else
		w->reports++;
}

static void leg(struct world *w, uint32_t id, const char *name, bool lan, const char *ip, const char *range)
{
	struct link l = {.ifindex = 1000000 + (int)id};

	l.leg.id = id;
	l.leg.lan = lan;
	l.leg.wants = MC_SSDP | MC_GROUPS;
	l.leg.ip4 = ip_of(ip);
	l.leg.ranges = l.ranges;
	str_copy(l.ifname, name);
	if (!lan) {
		assert_int_equal(prefix_parse(ip, &l.subnets[0]), 0);
		l.subnets[0].len = 24;
		l.subnets[0] = prefix_mask(l.subnets[0]);
		l.leg.n_subnets = 1;
	}
	l.leg.subnets = l.subnets;
	if (range)
		assert_int_equal(prefix_parse(range, &l.ranges[l.leg.n_ranges++]), 0);
	groups_leg_set(w->g, w->now, &l);
}

static void rules(struct world *w, const char *want)
{
	autobuf struct buf b = {0};

	buf_puts(&b, "");
	assert_int_equal(groups_rules(w->g, &b), 0);
	assert_string_equal(b.data, want);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->now.us = USEC_PER_SEC;
	w->g = groups_new(on_send, w, QUERIER_AUTO);
	leg(w, 1, "eth0", true, "192.0.2.1", NULL);
	leg(w, 2, "br-a", false, "172.30.0.1", "239.1.0.0/16");
	leg(w, 3, "br-b", false, "172.31.0.1", "239.0.0.0/8");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	groups_free(w->g);
	free(w);
	return 0;
}

static void test_bridges(void **state)
{
	struct world *w = *state;
	struct ip both[] = {ip_of("239.1.2.3"), ip_of("239.2.2.2"), ip_of("224.0.0.251"), ip_of("ff02::fb")};

	rules(w, "");
	groups_mdb(w->g, w->now, 2, both, ARRAY_LEN(both)); /* 239.2.2.2 is not among its ranges */
	rules(w, "br-b br-a 239.1.2.3 from=172.31.0.0/24\neth0 br-a 239.1.2.3\n");
	groups_mdb(w->g, w->now, 3, both, ARRAY_LEN(both)); /* 239.2.2.2 does not come from br-a */
	rules(w, "br-a br-b 239.1.2.3 from=172.30.0.0/24\nbr-b br-a 239.1.2.3 from=172.31.0.0/24\n"
		 "eth0 br-a 239.1.2.3\neth0 br-b 239.1.2.3\neth0 br-b 239.2.2.2\n");
	groups_mdb(w->g, w->now, 3, both, 0);
	rules(w, "br-b br-a 239.1.2.3 from=172.31.0.0/24\neth0 br-a 239.1.2.3\n");
	groups_leg_remove(w->g, w->now, 2);
	rules(w, "");
}

static void report(struct world *w, uint32_t leg, const char *ip, enum gmp_record_type type, const char *source)
{
	struct ip from = ip_of(ip), s = ip_of(source);
	struct gmp_record r = {.type = type, .group = ip_of("239.1.2.5"), .sources = s.b, .n_sources = 1};
	uint8_t packet[GMP_PACKET];
	size_t n, len = igmp_report_build(&from, &r, 1, packet, &n);

	assert_null(groups_heard(w->g, w->now, leg, AF_INET, packet, len));
}

/* Only from who is asked for, and only what can come from there */
static void test_sources(void **state)
{
	struct world *w = *state;
	struct ip group = ip_of("239.1.2.5");

	groups_ttl(w->g, 4);
	report(w, 1, "192.0.2.50", GMP_TO_INCLUDE, "172.30.0.9");
	rules(w, "br-a eth0 239.1.2.5 from=172.30.0.9 ttl=4\n"); /* it is not of br-b */
	groups_ttl(w->g, 0);
	report(w, 1, "192.0.2.50", GMP_TO_EXCLUDE, "172.30.0.8");
	rules(w, "br-a eth0 239.1.2.5 from=172.30.0.0/24 not=172.30.0.8\n"
		 "br-b eth0 239.1.2.5 from=172.31.0.0/24 not=172.30.0.8\n");
	groups_leg_remove(w->g, w->now, 1);
	/* the bridge knows no sources; reports from there do, when they are heard */
	groups_mdb(w->g, w->now, 2, &group, 1);
	rules(w, "br-b br-a 239.1.2.5 from=172.31.0.0/24\n");
	report(w, 2, "172.30.0.2", GMP_TO_INCLUDE, "172.31.0.9");
	rules(w, "br-b br-a 239.1.2.5 from=172.31.0.9\n");
}

static void test_lan(void **state)
{
	struct world *w = *state;
	struct ip from = ip_of("192.0.2.50");
	struct gmp_record r = {.type = GMP_TO_EXCLUDE, .group = ip_of("239.1.2.4")};
	uint8_t packet[GMP_PACKET];
	size_t n, len = igmp_report_build(&from, &r, 1, packet, &n);
	const char *why;

	assert_null(groups_heard(w->g, w->now, 1, AF_INET, packet, len));
	rules(w, "br-a eth0 239.1.2.4 from=172.30.0.0/24\nbr-b eth0 239.1.2.4 from=172.31.0.0/24\n");
	assert_true(groups_join_failed(w->g, &why) > 0); /* on interfaces that are not there */
	packet[len - 1] ^= 1;
	assert_non_null(groups_heard(w->g, w->now, 1, AF_INET, packet, len));
	assert_null(groups_heard(w->g, w->now, 9, AF_INET, packet, len)); /* a leg that is gone */
}

static void test_querier(void **state)
{
	struct world *w = *state;

	/* on bridges of our own we ask at once, on the LAN after a while */
	assert_true(querier_is_us(groups_querier(w->g, 2, AF_INET)));
	assert_false(querier_is_us(groups_querier(w->g, 1, AF_INET)));
	assert_null(groups_querier(w->g, 9, AF_INET));
	for (int i = 0; i < 200 && groups_due(w->g) < w->now.us + 300 * USEC_PER_SEC; i++) {
		int64_t due = groups_due(w->g);

		w->now.us = due > w->now.us ? due : w->now.us + 1;
		groups_timer(w->g, w->now);
	}
	assert_true(querier_is_us(groups_querier(w->g, 1, AF_INET)));
	assert_true(w->queries > 3);
	assert_int_equal(w->others, 0); /* there is no IPv6 address to ask from */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bridges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sources, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_querier, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
