/* SPDX-License-Identifier: Apache-2.0
 *
 * Links of endpoints in the running kernel, in a namespace of the test's own.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "driver/link.h"

static struct nl *nl;

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static void made(enum driver_kind kind, const char *parent)
{
	struct driver_network n = {.mtu = 1400};
	struct driver_endpoint e = {.id = "f6f32e8f5942d9ae", .kind = kind, .mac = {{2, 1, 1, 1, 1, 1}}};
	struct link_found p, found;
	struct err err = {0};
	char host[16], peer[16];

	driver_link_names(e.id, host, peer);
	assert_int_equal(link_find(nl, parent, &p, &err), 0);
	for (int again = 0; again < 2; again++) { /* what is left from before is replaced */
		if (link_make(nl, &n, &e, &p, &err) != 0)
			fail_msg("%s", err.text);
	}
	assert_int_equal(link_find(nl, host, &found, NULL), kind == DRIVER_BRIDGE ? 0 : -ENODEV);
	assert_int_equal(link_find(nl, peer, &found, &err), 0);
	assert_true(found.ours);
	assert_int_equal(found.mtu, 1400);
	assert_int_equal(link_find_mac(nl, &e.mac, &err), found.index);
	assert_int_equal(link_remove(nl, e.id, &err), 0);
	assert_int_equal(link_find(nl, peer, &found, NULL), -ENODEV);
	assert_int_equal(link_find_mac(nl, &e.mac, NULL), -ENODEV);
	assert_int_equal(link_remove(nl, e.id, &err), 0);
}

static void test_make(void **state)
{
	struct link_found found;

	made(DRIVER_BRIDGE, "lan");
	made(DRIVER_MACVLAN, "nic");
	made(DRIVER_MACVLAN_PRIVATE, "nic");
	assert_int_equal(link_find(nl, "lan", &found, NULL), 0);
	assert_true(found.is_bridge && !found.ours);
	assert_int_equal(link_find(nl, "nothing", &found, NULL), -ENODEV);
}

static void test_not_ours(void **state)
{
	struct driver_network n = {0};
	struct driver_endpoint e = {.id = "f6f32e8f5942d9ae", .kind = DRIVER_BRIDGE, .mac = {{2, 1, 1, 1, 1, 1}}};
	struct link_found p;
	struct err err = {0};
	char host[16], peer[16], command[80];

	driver_link_names(e.id, host, peer);
	str_print(command, "ip link add dev %s type veth peer name other", host);
	run(command);
	assert_int_equal(link_find(nl, "lan", &p, &err), 0);
	assert_int_equal(link_make(nl, &n, &e, &p, &err), -EEXIST);
	assert_int_equal(link_remove(nl, e.id, &err), -EEXIST);
	assert_non_null(strstr(err.text, "not ours"));
	run("ip link del dev other");
}

static void test_readdress(void **state)
{
	struct prefix none = {0}, a, b;
	struct ip gateway, elsewhere = {0};
	struct link_found nic;
	struct err err = {0};

	assert_int_equal(prefix_parse("192.0.2.7/24", &a), 0);
	assert_int_equal(prefix_parse("198.51.100.7/24", &b), 0);
	assert_int_equal(ip_parse("192.0.2.1", &gateway), 0);
	assert_int_equal(link_find(nl, "nic", &nic, &err), 0);
	assert_int_equal(link_readdress(nl, nic.index, &none, &a, &gateway, &err), 0);
	assert_int_equal(link_readdress(nl, nic.index, &a, &a, &gateway, &err), 0); /* again: nothing else */
	run("ip -4 addr show dev nic | grep -q 'inet 192.0.2.7/24 brd 192.0.2.255'");
	run("ip route show default | grep -q '^default via 192.0.2.1 dev nic proto dhcp'");
	assert_int_equal(ip_parse("198.51.100.1", &gateway), 0);
	assert_int_equal(link_readdress(nl, nic.index, &a, &b, &gateway, &err), 0);
	run("! ip -4 addr show dev nic | grep -q 192.0.2.7");
	run("test \"$(ip route show default | grep -c via)\" = 1");
	run("ip route show default | grep -q 'via 198.51.100.1'");
	/* a default route by another interface is not ours to change */
	run("ip route del default; ip addr add 203.0.113.7/24 dev lan; ip route add default via 203.0.113.1 dev lan");
	assert_int_equal(link_readdress(nl, nic.index, &b, &a, &gateway, &err), 0);
	run("test \"$(ip route show default | cut -d' ' -f1-5)\" = 'default via 203.0.113.1 dev lan'");
	/* nothing instead */
	assert_int_equal(link_readdress(nl, nic.index, &a, &none, &elsewhere, &err), 0);
	run("! ip -4 addr show dev nic | grep -q inet");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_readdress),
	};
	struct err err;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	run("ip link set dev lo up; ip link add dev lan type bridge; ip link set dev lan up; "
	    "ip link add dev nic type veth peer name far; ip link set dev nic up; ip link set dev far up");
	if (nl_open(NETLINK_ROUTE, &nl, &err) < 0)
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	nl_free(nl);
	return failed;
}
