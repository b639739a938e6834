/* SPDX-License-Identifier: Apache-2.0
 *
 * What a DHCP server says, in good and in bad.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attach/lease.h"

/* @text: with a '|' for each NUL */
static int parse(const char *text, struct att_lease *ret, struct err *err)
{
	size_t len = strlen(text);
	autofree char *copy = xstrdup(text);

	for (size_t i = 0; i < len; i++)
		if (copy[i] == '|')
			copy[i] = '\0';
	*ret = (struct att_lease){0};
	return lease_parse(strstr(text, "6|") ? LEASE_DHCP6 : LEASE_DHCP, copy, len, ret, err);
}

static struct att_lease bound(const char *more)
{
	autofree char *text = xasprintf("bound|ip=192.0.2.50|mask=24|%s", more);
	struct att_lease l;
	struct err err = {0};

	if (parse(text, &l, &err) != LEASE_BOUND)
		fail_msg("%s: %s", text, err.text);
	return l;
}

static void refused(const char *text, const char *words)
{
	struct att_lease l;
	struct err err = {0};

	assert_int_equal(parse(text, &l, &err), -EINVAL);
	if (!strstr(err.text, words))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, err.text, words);
	assert_true(ip_is_none(&l.address.ip));
}

static void test_good(void **state)
{
	struct att_lease l = bound("router=192.0.2.1 192.0.2.2|dns=192.0.2.53 192.0.2.54|domain=lan.example|lease=3600|"
				   "serverid=192.0.2.1|mtu=1400|");

	assert_int_equal(l.address.len, 24);
	assert_int_equal(l.gateway.b[3], 1);
	assert_int_equal(l.n_dns, 2);
	assert_string_equal(l.domain, "lan.example");
	assert_int_equal(l.seconds, 3600);
	assert_int_equal(l.mtu, 1400);
	assert_string_equal(l.why, "");
	/* with classless routes the gateway is what they say (RFC 3442) */
	l = bound(
		"router=192.0.2.9|staticroutes=203.0.113.0/24 192.0.2.7 0.0.0.0/0 192.0.2.1 198.51.100.0/24 0.0.0.0|");
	assert_int_equal(l.n_routes, 3);
	assert_true(ip_is_none(&l.gateway));
	assert_true(ip_is_none(&l.routes[2].via));
	/* as some providers have it: everybody is a neighbour */
	l = (struct att_lease){0};
	assert_int_equal(parse("renew|ip=192.0.2.50|mask=32|router=198.51.100.1|", &l, NULL), LEASE_BOUND);
	assert_false(ip_is_none(&l.gateway));
	assert_int_equal(l.seconds, UINT32_MAX);
}

static void test_events(void **state)
{
	struct att_lease l;

	assert_int_equal(parse("deconfig|", &l, NULL), LEASE_DECONFIG);
	assert_int_equal(parse("nak|serverid=192.0.2.1|", &l, NULL), LEASE_NAK);
	assert_int_equal(parse("leasefail|", &l, NULL), LEASE_FAIL);
	assert_int_equal(parse("reboot|", &l, NULL), LEASE_OTHER);
	assert_int_equal(parse("bound", &l, NULL), -EINVAL); /* no end */
	assert_int_equal(parse("", &l, NULL), -EINVAL);
	assert_int_equal(parse("bound|ip|", &l, NULL), -EINVAL);
}

static void test_unusable(void **state)
{
	refused("bound|mask=24|", "no address");
	refused("bound|ip=0.0.0.0|mask=24|", "no address");
	refused("bound|ip=224.0.0.1|mask=24|", "no address");
	refused("bound|ip=127.0.0.1|mask=8|", "no address");
	refused("bound|ip=255.255.255.255|mask=24|", "no address");
	refused("bound|ip=2001:db8::1|mask=24|", "no address");
	refused("bound|ip=192.0.2.50|mask=0|", "no subnet mask");
	refused("bound|ip=192.0.2.50|", "no subnet mask");
	refused("bound|ip=192.0.2.50|mask=33|", "no subnet mask");
	refused("bound|ip=192.0.2.0|mask=24|", "whole subnet");
	refused("bound|ip=192.0.2.255|mask=24|", "whole subnet");
}

static void skipped(const char *more, const char *words)
{
	struct att_lease l = bound(more);

	if (!strstr(l.why, words))
		fail_msg("%s: \"%s\" does not say \"%s\"", more, l.why, words);
}

static void test_nonsense(void **state)
{
	struct att_lease l;

	skipped("router=203.0.113.1|", "gateway is not in the subnet");
	skipped("router=192.0.2.50|", "gateway");
	skipped("router=x|", "gateway");
	skipped("lease=0|", "lease of 0 seconds");
	skipped("staticroutes=10.0.0.0/8 203.0.113.1|", "a route by a gateway");
	skipped("staticroutes=x y|", "a route that is none");
	skipped("staticroutes=224.0.0.0/4 192.0.2.1|", "a route that is none");
	skipped("dns=x|", "name server");
	skipped("dns=0.0.0.0|", "name server");
	skipped("domain=a;reboot|", "domain");
	skipped("domain=$(reboot)|", "domain");
	skipped("domain=-x|", "domain");
	skipped("mtu=20|", "MTU");
	l = bound("lease=0|");
	assert_int_equal(l.seconds, LEASE_SECONDS_MIN);
	l = bound("lease=99999999999|");
	assert_int_equal(l.seconds, UINT32_MAX);
	l = bound("dns=192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7 192.0.2.8 192.0.2.9|");
	assert_int_equal(l.n_dns, LIMIT_DNS);
}

#define ADDR "new_dhcp6_ia_na1_ia_addr"

static void test_dhcp6(void **state)
{
	struct att_lease l;

	assert_int_equal(parse("BOUND6|" ADDR "1=2001:db8:6::5|" ADDR
			       "1_vltime=3600|new_dhcp6_name_servers=2001:db8:6::53 "
			       "2001:db8:6::54|new_dhcp6_domain_search=lan.example other.example|",
			       &l, NULL),
			 LEASE_BOUND);
	assert_int_equal(l.kind, LEASE_DHCP6);
	assert_int_equal(l.address.len, 128);
	assert_int_equal(l.address.ip.b[15], 5);
	assert_int_equal(l.seconds, 3600);
	assert_int_equal(l.n_dns, 2);
	assert_string_equal(l.domain, "lan.example");
	assert_string_equal(l.why, "");
	/* the first is taken back */
	assert_int_equal(parse("RENEW6|" ADDR "1=2001:db8:6::5|" ADDR "1_vltime=0|" ADDR "2=2001:db8:6::6|" ADDR
			       "2_vltime=20|new_dhcp6_name_servers=fe80::1 x|new_dhcp6_domain_search=$(reboot)|",
			       &l, NULL),
			 LEASE_BOUND);
	assert_int_equal(l.address.ip.b[15], 6);
	assert_int_equal(l.seconds, LEASE_SECONDS_MIN);
	assert_int_equal(l.n_dns, 1);
	assert_string_equal(l.domain, "");
	assert_non_null(strstr(l.why, "lease of 20 seconds"));
	assert_int_equal(parse("EXPIRE6|", &l, NULL), LEASE_OTHER);
	assert_int_equal(parse("RELEASE6|", &l, NULL), LEASE_OTHER);
	assert_int_equal(parse("broken|why=dhcp6: unshare: no|", &l, NULL), LEASE_BROKEN);
	assert_string_equal(l.why, "dhcp6: unshare: no");
	refused("BOUND6|", "no address of IPv6");
	refused("BOUND6|" ADDR "1=2001:db8:6::5|", "no address of IPv6");
	refused("BOUND6|" ADDR "1=192.0.2.5|" ADDR "1_vltime=60|", "no address of IPv6");
	refused("BOUND6|" ADDR "1=fe80::5|" ADDR "1_vltime=60|", "no address of IPv6");
	refused("BOUND6|" ADDR "1=ff02::1|" ADDR "1_vltime=60|", "no address of IPv6");
	refused("BOUND6|" ADDR "1=::|" ADDR "1_vltime=60|", "no address of IPv6");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	 cmocka_unit_test(test_events), cmocka_unit_test(test_unusable),
		cmocka_unit_test(test_nonsense), cmocka_unit_test(test_dhcp6),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
