/* SPDX-License-Identifier: Apache-2.0
 *
 * Which ways are opened between a LAN and networks that it has a route to: only those, and never to the host itself.
 */
#include "relay.h"

#include "io/forward_rule.h"
#include "multicast/reach.h"

static struct link *link_new(struct links *l, const char *ifname, bool lan, bool routed, const char *addresses)
{
	struct link *to = xcalloc(1, sizeof(*to));
	autofree char *copy = xstrdup(addresses);
	char *save = NULL;

	*xgrow(&l->v, l->n, &l->cap) = to; /* NOLINT(bugprone-sizeof-expression): it holds pointers */
	l->n++;
	str_copy(to->ifname, ifname);
	to->leg.lan = lan;
	to->leg.routed = routed;
	to->leg.subnets = to->subnets;
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		struct prefix p;

		assert_int_equal(prefix_parse(s, &p), 0);
		to->own[to->n_own++] = p.ip;
		p = prefix_mask(p);
		if (!to->leg.n_subnets || prefix_cmp(&to->subnets[to->leg.n_subnets - 1], &p) != 0)
			to->subnets[to->leg.n_subnets++] = p;
	}
	return to;
}

static void rules(const struct links *l, const char *want)
{
	autobuf struct buf b = {0}, made = {0};
	struct err err = {0};

	buf_puts(&b, "");
	assert_int_equal(reach_rules(l, &b), 0);
	lines_sort(&b);
	assert_string_equal(b.data, want);
	if (forward_rule_make(b.data, b.len, &made, &err) != 0)
		fail_msg("%s", err.text);
}

static void test_ways(void **state)
{
	struct links l = {0};
	struct prefix v6[4];

	link_new(&l, "eth0", true, false, "192.0.2.1/24 192.0.2.77/24 fe80::1/64 2001:db8::1/64");
	link_new(&l, "br-a", false, true, "172.30.0.1/24 fe80::2/64 2001:db8:30::1/64");
	link_new(&l, "br-b", false, false, "172.31.0.1/24");
	rules(&l, "br-a eth0 192.0.2.0/24 from=172.30.0.0/24 but=192.0.2.1,192.0.2.77,192.0.2.255\n"
		  "br-a eth0 2001:db8::/64 from=2001:db8:30::/64 but=2001:db8::1\n"
		  "eth0 br-a 172.30.0.0/24 from=192.0.2.0/24 but=172.30.0.1,172.30.0.255\n"
		  "eth0 br-a 2001:db8:30::/64 from=2001:db8::/64 but=2001:db8:30::1\n");
	assert_int_equal(reach_prefixes(&l, v6, 4), 1);
	assert_int_equal(v6[0].len, 64);
	assert_int_equal(reach_prefixes(&l, v6, 0), 0);
	links_done(&l);
}

static void test_none(void **state)
{
	struct links l = {0};

	rules(&l, "");
	link_new(&l, "br-a", false, true, "172.30.0.1/24 192.0.2.9/24");
	rules(&l, ""); /* no LAN */
	link_new(&l, "eth0", true, false, "192.0.2.1/24");
	/* the subnet that is on both links is left out */
	rules(&l, "eth0 br-a 172.30.0.0/24 from=192.0.2.0/24 but=172.30.0.1,172.30.0.255\n");
	links_done(&l);
}

static void test_bounds(void **state)
{
	struct links l = {0};
	autobuf struct buf b = {0};

	link_new(&l, "eth0", true, false, "192.0.2.1/24");
	for (int i = 0; i < REACH_RULES; i++) {
		char name[16], address[32];

		str_print(name, "br-%d", i);
		str_print(address, "10.1.%d.1/24", i);
		link_new(&l, name, false, true, address);
	}
	assert_int_equal(reach_rules(&l, &b), REACH_RULES); /* two ways each */
	links_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_ways), cmocka_unit_test(test_none),
					   cmocka_unit_test(test_bounds)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
