/* SPDX-License-Identifier: Apache-2.0
 *
 * The choice of address and interfaces, and that reading them works on the machine at hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include <linux/netlink.h>

#include "io/interfaces.h"

static struct interfaces all;

static struct ip ip_of(const char *s)
{
	struct ip ip;

	assert_int_equal(ip_parse(s, &ip), 0);
	return ip;
}

static void iface(int index, const char *name, bool up)
{
	struct iface *f = xgrow(&all.ifaces, all.n_ifaces, &all.cap_ifaces);

	all.n_ifaces++;
	f->index = index;
	str_copy(f->name, name);
	f->up = up;
	f->loopback = str_eq(name, "lo");
	f->multicast = !f->loopback;
}

static void address(int index, const char *cidr)
{
	struct iface_address *a = xgrow(&all.addresses, all.n_addresses, &all.cap_addresses);

	all.n_addresses++;
	a->index = index;
	assert_int_equal(prefix_parse(cidr, &a->prefix), 0);
	a->usable = !ip_is_link_local(&a->prefix.ip);
}

static int setup(void **state)
{
	iface(1, "lo", true);
	address(1, "127.0.0.1/8");
	address(1, "::1/128");
	iface(2, "eth0", true);
	address(2, "fe80::1/64");
	address(2, "192.0.2.1/24");
	address(2, "2001:db8::1/64");
	iface(3, "eth1", true);
	address(3, "198.51.100.1/24");
	iface(4, "docker0", true);
	address(4, "172.17.0.1/16");
	iface(5, "br-0123456789ab", true);
	address(5, "172.18.0.1/16");
	iface(6, "br-lan", true);
	address(6, "192.168.1.1/24");
	iface(7, "down0", false);
	address(7, "203.0.113.1/24");
	iface(8, "bare0", true);
	return 0;
}

static int teardown(void **state)
{
	interfaces_done(&all);
	return 0;
}

static struct interfaces_choice choose(struct interfaces_wish wish)
{
	struct interfaces_choice c;

	if (!wish.family)
		wish.family = AF_INET;
	if (!wish.name)
		wish.name = "";
	interfaces_choose(&all, &wish, &c);
	return c;
}

static bool joined(const struct interfaces_choice *c, int index)
{
	for (size_t i = 0; i < c->n_joined; i++) {
		if (c->joined[i] == index)
			return true;
	}
	return false;
}

static void assert_ip(struct ip ip, const char *s)
{
	char text[IP_STRLEN];

	assert_string_equal(ip_format(&ip, text), s);
}

static void test_first_that_can(void **state)
{
	struct interfaces_choice c = choose((struct interfaces_wish){0});

	assert_ip(c.host_ip, "192.0.2.1");
	assert_false(c.firm);
	assert_int_equal(c.n_joined, 3);
	assert_true(joined(&c, 2) && joined(&c, 3) && joined(&c, 6));
}

static void test_default_route(void **state)
{
	struct interfaces_choice c;

	all.default_index = 3;
	c = choose((struct interfaces_wish){0});
	assert_ip(c.host_ip, "198.51.100.1");
	assert_true(c.firm);
	/* what was found first gives way to the route, what the route gave stays */
	c = choose((struct interfaces_wish){.current = ip_of("192.0.2.1"), .current_firm = false});
	assert_ip(c.host_ip, "198.51.100.1");
	c = choose((struct interfaces_wish){.current = ip_of("192.0.2.1"), .current_firm = true});
	assert_ip(c.host_ip, "192.0.2.1");
	assert_true(c.firm);
	/* unless it has gone */
	c = choose((struct interfaces_wish){.current = ip_of("192.0.2.9"), .current_firm = true});
	assert_ip(c.host_ip, "198.51.100.1");
	/* the source that the route prefers */
	address(3, "198.51.100.2/24");
	all.default_source = ip_of("198.51.100.2");
	c = choose((struct interfaces_wish){0});
	assert_ip(c.host_ip, "198.51.100.2");
}

static void test_interface_named(void **state)
{
	struct interfaces_choice c = choose((struct interfaces_wish){.name = "lo"});

	assert_ip(c.host_ip, "127.0.0.1");
	assert_int_equal(c.n_joined, 1);
	assert_int_equal(c.joined[0], 1);
	all.default_index = 2;
	c = choose((struct interfaces_wish){.name = "docker0"});
	assert_ip(c.host_ip, "172.17.0.1");
	assert_true(c.firm);
	c = choose((struct interfaces_wish){.name = "eth7"});
	assert_true(ip_is_none(&c.host_ip));
	assert_int_equal(c.n_joined, 0);
	c = choose((struct interfaces_wish){.name = "down0"});
	assert_true(ip_is_none(&c.host_ip));
	c = choose((struct interfaces_wish){.name = "bare0"});
	assert_true(ip_is_none(&c.host_ip));
	assert_int_equal(c.n_joined, 1);
}

static void test_host_ip_given(void **state)
{
	struct interfaces_choice c = choose((struct interfaces_wish){.host_ip = ip_of("198.51.100.1")});

	assert_ip(c.host_ip, "198.51.100.1");
	assert_int_equal(c.host_index, 3);
	c = choose((struct interfaces_wish){.host_ip = ip_of("198.51.100.9")});
	assert_true(ip_is_none(&c.host_ip));
	/* where it is, is joined in any case */
	c = choose((struct interfaces_wish){.host_ip = ip_of("172.17.0.1")});
	assert_true(joined(&c, 4));
	c = choose((struct interfaces_wish){.host_ip = ip_of("203.0.113.1")});
	assert_true(ip_is_none(&c.host_ip)); /* down */
}

static void test_ipv6(void **state)
{
	struct interfaces_choice c = choose((struct interfaces_wish){.family = AF_INET6});

	assert_ip(c.host_ip, "2001:db8::1");
	assert_int_equal(c.n_joined, 1);
	/* a temporary address only when there is no other */
	all.addresses[4].second_rate = true;
	c = choose((struct interfaces_wish){.family = AF_INET6});
	assert_ip(c.host_ip, "2001:db8::1");
	address(2, "2001:db8::2/64");
	c = choose((struct interfaces_wish){.family = AF_INET6});
	assert_ip(c.host_ip, "2001:db8::2");
}

static void test_internal_names(void **state)
{
	assert_true(interface_is_internal("docker0"));
	assert_true(interface_is_internal("br-0123456789ab"));
	assert_true(interface_is_internal("veth12345"));
	assert_true(interface_is_internal("drl-89ab"));
	assert_true(interface_is_internal("vx1000"));
	assert_true(interface_is_internal("dr1000"));
	assert_false(interface_is_internal("br-lan"));
	assert_false(interface_is_internal("br0"));
	assert_false(interface_is_internal("dragon"));
	assert_false(interface_is_internal("eth0"));
	assert_false(interface_is_internal("d"));
}

static void test_read(void **state)
{
	struct interfaces i;
	struct err err = {0};
	struct nl *nl;
	bool lo = false;

	assert_int_equal(nl_open(NETLINK_ROUTE, &nl, &err), 0);
	assert_int_equal(interfaces_read(nl, AF_INET, &i, &err), 0);
	for (size_t n = 0; n < i.n_ifaces; n++)
		lo = lo || (str_eq(i.ifaces[n].name, "lo") && i.ifaces[n].loopback && i.ifaces[n].index == 1);
	assert_true(lo);
	interfaces_done(&i);
	assert_int_equal(interfaces_read(nl, AF_INET6, &i, &err), 0);
	interfaces_done(&i);
	nl_free(nl);
}

int main(void)
{
#define INTERFACES_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		INTERFACES_TEST(test_first_that_can),
		INTERFACES_TEST(test_default_route),
		INTERFACES_TEST(test_interface_named),
		INTERFACES_TEST(test_host_ip_given),
		INTERFACES_TEST(test_ipv6),
		INTERFACES_TEST(test_internal_names),
		INTERFACES_TEST(test_read),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
