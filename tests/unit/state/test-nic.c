/* SPDX-License-Identifier: Apache-2.0
 *
 * What a NIC is to be: every setting with what is allowed and what is not, and that what is printed parses to the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/nic.h"

static struct nic_spec nic(void)
{
	struct nic_specs specs;

	assert_int_equal(nic_list_parse("br-lan:eth1", "", &specs, NULL), 0);
	return specs.v[0];
}

static void refused(const char *key, const char *value, const char *words)
{
	struct nic_spec n = nic(), before = n;
	struct err err = {0};

	assert_true(nic_set(&n, key, value, &err) < 0);
	if (!strstr(err.text, words))
		fail_msg("%s=%s: \"%s\" does not say \"%s\"", key, value, err.text, words);
	assert_true(nic_same(&n, &before));
}

static void accepted(const char *key, const char *value)
{
	struct nic_spec n = nic();
	struct err err = {0};

	if (nic_set(&n, key, value, &err) < 0)
		fail_msg("%s=%s: %s", key, value, err.text);
}

static void test_list(void **state)
{
	struct nic_specs specs = {0};
	struct err err = {0};
	char many[LIMIT_NICS * 16 + 32] = "";

	assert_int_equal(nic_list_parse("br-lan:eth1 br-guest:eth2", "", &specs, &err), 0);
	assert_int_equal(specs.n, 2);
	assert_string_equal(specs.v[1].parent, "br-guest");
	assert_string_equal(specs.v[1].name, "eth2");
	assert_non_null(nic_find(&specs, "eth2"));
	assert_null(nic_find(&specs, "eth3"));
	assert_int_equal(nic_list_parse(" lan:eth1,\tguest:eth2 ", "br-", &specs, &err), 0);
	assert_string_equal(specs.v[0].parent, "br-lan");

	assert_int_equal(nic_list_parse("", "", &specs, &err), -EINVAL);
	assert_int_equal(nic_list_parse("br-lan", "", &specs, &err), -EINVAL);
	assert_int_equal(nic_list_parse(":eth1", "br-", &specs, &err), -EINVAL);
	assert_int_equal(nic_list_parse("br-lan:", "", &specs, &err), -EINVAL);
	assert_int_equal(nic_list_parse("a:eth1 b:eth1", "", &specs, &err), -EINVAL);
	assert_non_null(strstr(err.text, "is the name of two NICs"));
	assert_int_equal(nic_list_parse("br-lan:a234567890123456", "", &specs, &err), -EINVAL);
	assert_int_equal(nic_list_parse("br-lan:lo", "", &specs, &err), -EINVAL);
	assert_int_equal(nic_list_parse("br-lan:../x", "", &specs, &err), -EINVAL);
	assert_int_equal(nic_list_parse("br-lan:-x", "", &specs, &err), -EINVAL);
	for (int i = 0; i <= LIMIT_NICS; i++) {
		char one[16];

		str_print(one, "b:eth%d ", i);
		strcat(many, one);
	}
	assert_int_equal(nic_list_parse(many, "", &specs, &err), -E2BIG);
	/* left alone by a failure */
	assert_string_equal(specs.v[0].parent, "br-lan");
}

static void test_addresses(void **state)
{
	struct nic_spec n = nic();

	assert_int_equal(nic_set(&n, "address", "dhcp, 192.0.2.5/24 2001:db8::5/64 slaac", NULL), 0);
	assert_true(n.dhcp && n.slaac);
	assert_int_equal(n.n_addresses, 2);
	assert_int_equal(n.addresses[0].ip.b[3], 5); /* host bits kept */
	accepted("address", "192.0.2.4/31");
	accepted("address", "192.0.2.4/32");
	refused("address", "", "is not allowed");
	refused("address", "192.0.2.5", "is not allowed");
	refused("address", "192.0.2.5/33", "is not allowed");
	refused("address", "192.0.2.300/24", "is not allowed");
	refused("address", "192.0.2.0/24", "is not allowed");
	refused("address", "192.0.2.255/24", "is not allowed");
	refused("address", "224.0.0.5/24", "is not allowed");
	refused("address", "127.0.0.5/8", "is not allowed");
	refused("address", "0.0.0.0/0", "is not allowed");
	refused("address", "192.0.2.5/0", "is not allowed");
	refused("address", "ff02::1/64", "is not allowed");
	refused("address", "dhcp nonsense", "nonsense");
	refused("address",
		"10.0.0.1/8 10.0.0.2/8 10.0.0.3/8 10.0.0.4/8 10.0.0.5/8 10.0.0.6/8 10.0.0.7/8 10.0.0.8/8 10.0.0.9/8",
		"more than 8");
}

static void test_settings(void **state)
{
	accepted("mac", "02:00:00:00:00:01");
	refused("mac", "01:00:5e:00:00:01", "is no MAC of one interface");
	refused("mac", "00:00:00:00:00:00", "is no MAC");
	refused("mac", "02:00:00:00:00", "is no MAC");
	accepted("mtu", "9000");
	refused("mtu", "0", "576 to 65535");
	refused("mtu", "-1", "576 to 65535");
	refused("mtu", "65536", "576 to 65535");
	accepted("metric", "0");
	refused("metric", "4294967296", "is not allowed");
	accepted("isolated", "true");
	refused("isolated", "yes", "true or false");
	accepted("shim", "false");
	accepted("kind", "macvlan-private");
	refused("kind", "ipvlan", "veth, macvlan, macvlan-private or physical");
	accepted("gateway", "192.0.2.1 2001:db8::1");
	refused("gateway", "192.0.2.1 192.0.2.2", "192.0.2.2");
	refused("gateway", "0.0.0.0", "is not allowed");
	refused("gateway", "", "is not allowed");
	accepted("dns", "none");
	accepted("dns", "192.0.2.53,2001:db8::53");
	refused("dns", "ns.example", "is no address");
	refused("dns", "", "is not allowed");
	accepted("routes", "10.0.0.0/8 via 192.0.2.1, 2001:db8:1::/48 via 2001:db8::1,10.1.0.0/16");
	refused("routes", "10.0.0.0/8 via", "is not allowed");
	refused("routes", "10.0.0.0/8 via 2001:db8::1", "is not allowed");
	refused("routes", "10.0.0.0/8 by 192.0.2.1", "is not allowed");
	refused("routes", "10.0.0.0/8 via 192.0.2.1 dev eth0", "is not allowed");
	refused("routes", "10.0.0.0", "is not allowed");
	refused("addresses", "dhcp", "did you mean address");
	refused("\x1b[31m", "dhcp", "\\x1b");
}

static void check(const char *const *settings, const char *words)
{
	struct nic_spec n = nic();
	struct err err = {0};

	for (; *settings; settings += 2)
		assert_int_equal(nic_set(&n, settings[0], settings[1], NULL), 0);
	assert_int_equal(nic_check(&n, &err), words ? -EINVAL : 0);
	if (words && !strstr(err.text, words))
		fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void test_together(void **state)
{
	check((const char *const[]){"gateway", "192.0.2.1", NULL}, "no address of IPv4");
	check((const char *const[]){"gateway", "192.0.2.1", "address", "2001:db8::5/64", NULL}, "no address of IPv4");
	check((const char *const[]){"gateway", "192.0.2.1", "address", "dhcp", NULL}, NULL);
	check((const char *const[]){"routes", "2001:db8:1::/48", "address", "dhcp", NULL}, "no address of IPv6");
	check((const char *const[]){"isolated", "true", "kind", "macvlan", NULL}, "only for kind veth");
	check((const char *const[]){"mtu", "1000", "address", "slaac", NULL}, "at least 1280");
	check((const char *const[]){"mtu", "1000", "address", "dhcp", NULL}, NULL);
}

static void test_round_trip(void **state)
{
	static const char *const settings[][2] = {{"kind", "macvlan"},
						  {"address", "dhcp,dhcp6,slaac,192.0.2.5/24,2001:db8::5/64"},
						  {"gateway", "192.0.2.1,2001:db8::1"},
						  {"mac", "02:00:00:00:00:01"},
						  {"mtu", "1400"},
						  {"routes", "10.0.0.0/8 via 192.0.2.1,10.1.0.0/16"},
						  {"dns", "192.0.2.53"},
						  {"metric", "0"},
						  {"shim", "false"}};
	struct nic_spec n = nic(), again;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		assert_int_equal(nic_set(&n, settings[i][0], settings[i][1], NULL), 0);
		json_t *o = nic_to_json(&n);

		/* a gateway without its address would be refused: only the whole is read back */
		if (i >= 1) {
			if (nic_from_json(o, &again, &err) < 0)
				fail_msg("%s: %s", settings[i][0], err.text);
			assert_true(nic_same(&n, &again));
		}
		json_decref(o);
	}
	assert_true(again.no_shim && again.metric == 0 && again.n_routes == 2);
	assert_true(ip_is_none(&again.routes[1].via));
}

static void from_json(const char *text, const char *words)
{
	json_t *o = json_loads(text, 0, NULL);
	struct nic_spec n;
	struct err err = {0};

	assert_non_null(o);
	assert_int_equal(nic_from_json(o, &n, &err), -EINVAL);
	if (!strstr(err.text, words))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, err.text, words);
	json_decref(o);
}

static void test_hostile_json(void **state)
{
	from_json("{}", "parent is missing");
	from_json("{\"parent\":\"br\",\"name\":\"../x\"}", "names of interfaces");
	from_json("{\"parent\":\"br\",\"name\":\"eth1\",\"mtu\":[1]}", "neither text nor a number");
	from_json("{\"parent\":\"br\",\"name\":\"eth1\",\"mtu\":-5}", "mtu");
	from_json("{\"parent\":\"br\",\"name\":\"eth1\",\"mac\":\"ff:ff:ff:ff:ff:ff\"}", "mac");
	from_json("{\"parent\":\"br\",\"name\":\"eth1\",\"gateway\":\"192.0.2.1\"}", "no address");
}

static void test_mac(void **state)
{
	char a[300], b[300], c[300];
	struct mac x, y;

	nic_owner("shop", "web", 1, "shop_web_1", a, sizeof(a));
	nic_owner("shop", "web", 0, "shop-web-run-1", b, sizeof(b));
	nic_owner("", "", 0, "web", c, sizeof(c));
	assert_string_equal(a, "shop/web/1");
	assert_string_equal(b, a);
	assert_string_equal(c, "web");
	x = nic_mac(a, "eth1");
	y = nic_mac(a, "eth1");
	assert_int_equal(mac_cmp(&x, &y), 0);
	assert_int_equal(x.b[0], 0x02);
	y = nic_mac(a, "eth2");
	assert_true(mac_cmp(&x, &y) != 0);
	y = nic_mac(c, "eth1");
	assert_true(mac_cmp(&x, &y) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),	 cmocka_unit_test(test_addresses),  cmocka_unit_test(test_settings),
		cmocka_unit_test(test_together), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_hostile_json),
		cmocka_unit_test(test_mac),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
