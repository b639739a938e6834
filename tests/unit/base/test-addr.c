/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses: what parses, what does not, and that what is printed parses to the same again.
 */
#include "base/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct ip ip(const char *s)
{
	struct ip v = {0};
	assert_int_equal(ip_parse(s, &v), 0);
	return v;
}

static struct prefix prefix(const char *s)
{
	struct prefix p = {0};
	assert_int_equal(prefix_parse(s, &p), 0);
	return p;
}

static void test_ip_parse(void **state)
{
	static const char *const good[] = {"0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1"};
	static const char *const bad[] = {"",
					  " 1.2.3.4",
					  "1.2.3.4 ",
					  "1.2.3",
					  "010.0.0.1",
					  "1.2.3.256",
					  "1.2.3.4/8",
					  "fe80::1%eth0",
					  ":::",
					  "2001:db8::1::2",
					  "12345::",
					  "localhost",
					  "0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0"};
	char text[IP_STRLEN];
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct ip v = ip(good[i]);
		assert_string_equal(ip_format(&v, text), good[i]);
	}
	struct ip untouched = ip("192.0.2.1");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ip_parse(bad[i], &untouched), -EINVAL);
	assert_string_equal(ip_format(&untouched, text), "192.0.2.1");
	struct ip none = {0};
	assert_string_equal(ip_format(&none, text), "");
}

static void test_ip_kinds(void **state)
{
	struct ip v;
	v = ip("239.1.1.1"), assert_true(ip_is_multicast(&v));
	v = ip("ff02::1"), assert_true(ip_is_multicast(&v));
	v = ip("223.255.255.255"), assert_false(ip_is_multicast(&v));
	v = ip("127.9.9.9"), assert_true(ip_is_loopback(&v));
	v = ip("::1"), assert_true(ip_is_loopback(&v));
	v = ip("::2"), assert_false(ip_is_loopback(&v));
	v = ip("169.254.1.1"), assert_true(ip_is_link_local(&v));
	v = ip("febf::1"), assert_true(ip_is_link_local(&v));
	v = ip("fec0::1"), assert_false(ip_is_link_local(&v));
	v = ip("::"), assert_true(ip_is_unspecified(&v));
	v = ip("0.0.0.0"), assert_true(ip_is_unspecified(&v));
	v = (struct ip){0};
	assert_true(ip_is_none(&v));
	assert_false(ip_is_unspecified(&v));
}

static void test_ip_order(void **state)
{
	struct ip a = ip("10.0.0.1"), b = ip("10.0.0.2"), c = ip("::1"), none = {0};
	assert_true(ip_cmp(&a, &b) < 0 && ip_cmp(&b, &a) > 0 && ip_cmp(&a, &a) == 0);
	assert_true(ip_cmp(&b, &c) < 0);
	assert_int_equal(ip_cmp(&none, &none), 0);
}

static void test_prefix_parse(void **state)
{
	static const char *const bad[] = {
		"",	  "/8",	     "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8 ", "10.0.0.0/08",
		"::/129", "::/1000", "10.0.0.0/8/8"};
	char text[PREFIX_STRLEN];
	struct prefix p = prefix("10.1.2.3/8");
	assert_string_equal(prefix_format(&p, text), "10.1.2.3/8");
	p = prefix_mask(p);
	assert_string_equal(prefix_format(&p, text), "10.0.0.0/8");
	p = prefix("192.0.2.1");
	assert_int_equal(p.len, 32);
	p = prefix("2001:db8::ffff/17");
	p = prefix_mask(p);
	assert_string_equal(prefix_format(&p, text), "2001::/17");
	p = prefix("0.0.0.0/0");
	assert_int_equal(p.len, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(prefix_parse(bad[i], &p), -EINVAL);
}

static void test_prefix_relations(void **state)
{
	struct prefix a = prefix("10.71.0.0/16"), b = prefix("10.71.3.0/24"), c = prefix("10.72.0.0/24"),
		      all = prefix("0.0.0.0/0"), v6 = prefix("::/0");
	struct ip inside = ip("10.71.255.255"), outside = ip("10.72.0.1"), six = ip("::1");
	assert_true(prefix_has_ip(&a, &inside));
	assert_false(prefix_has_ip(&a, &outside));
	assert_false(prefix_has_ip(&all, &six));
	assert_true(prefix_contains(&a, &b) && !prefix_contains(&b, &a) && prefix_contains(&a, &a));
	assert_true(prefix_overlaps(&a, &b) && prefix_overlaps(&b, &a) && !prefix_overlaps(&b, &c));
	assert_false(prefix_overlaps(&all, &v6));
	assert_true(prefix_cmp(&a, &b) < 0 && prefix_cmp(&b, &a) > 0 && prefix_cmp(&a, &a) == 0);
	struct prefix longer = prefix("10.71.0.0/17");
	assert_true(prefix_cmp(&a, &longer) < 0);
}

static void test_prefix_parts(void **state)
{
	char text[IP_STRLEN];
	struct prefix p20 = prefix("172.18.16.0/20"), to = prefix("241.7.16.0/20"), six = prefix("fd00::/121");
	struct ip in = ip("172.18.19.7"), out, last;
	struct prefix v[] = {prefix("10.0.0.0/8"), p20};

	last = prefix_last(&p20);
	assert_string_equal(ip_format(&last, text), "172.18.31.255");
	last = prefix_last(&six);
	assert_string_equal(ip_format(&last, text), "fd00::7f");
	out = prefix_translate(&to, &in);
	assert_string_equal(ip_format(&out, text), "241.7.19.7");
	assert_true(prefixes_have_ip(v, 2, &in));
	assert_false(prefixes_have_ip(v, 1, &in));
	assert_false(prefixes_have_ip(v, 0, &in));
}

static void test_prefix_nth(void **state)
{
	char text[PREFIX_STRLEN];
	struct prefix pool = prefix("241.0.0.0/8"), six = prefix("fd64:7264::/32"), p;
	assert_true(prefix_nth(&pool, 24, 0, &p));
	assert_string_equal(prefix_format(&p, text), "241.0.0.0/24");
	assert_true(prefix_nth(&pool, 24, 65535, &p));
	assert_string_equal(prefix_format(&p, text), "241.255.255.0/24");
	assert_false(prefix_nth(&pool, 24, 65536, &p));
	assert_true(prefix_nth(&pool, 30, 5, &p));
	assert_string_equal(prefix_format(&p, text), "241.0.0.20/30");
	assert_true(prefix_nth(&pool, 8, 0, &p));
	assert_false(prefix_nth(&pool, 8, 1, &p));
	assert_false(prefix_nth(&pool, 7, 0, &p));
	assert_false(prefix_nth(&pool, 33, 0, &p));
	assert_true(prefix_nth(&six, 64, 0x12345, &p));
	assert_string_equal(prefix_format(&p, text), "fd64:7264:1:2345::/64");
	assert_true(prefix_nth(&six, 128, UINT64_MAX, &p));
	assert_string_equal(prefix_format(&p, text), "fd64:7264::ffff:ffff:ffff:ffff/128");
	assert_false(prefix_nth(&six, 64, UINT64_C(1) << 32, &p));
}

static void test_mac(void **state)
{
	static const char *const bad[] = {"",
					  "02:00:00:00:00",
					  "02:00:00:00:00:0",
					  "02:00:00:00:00:0g",
					  "02:00:00:00:00:00:00",
					  "02-00-00-00-00-00",
					  "020000000000"};
	char text[MAC_STRLEN];
	struct mac m = {0};
	assert_true(mac_is_none(&m));
	assert_int_equal(mac_parse("02:aB:00:00:00:fF", &m), 0);
	assert_string_equal(mac_format(&m, text), "02:ab:00:00:00:ff");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(mac_parse(bad[i], &m), -EINVAL);
}

static void test_endpoint(void **state)
{
	static const struct {
		const char *text, *printed;
	} good[] = {
		{"192.0.2.1:80", "192.0.2.1:80"},	  {"192.0.2.1", "192.0.2.1:4789"},
		{"[2001:db8::1]:80", "[2001:db8::1]:80"}, {"[2001:db8::1]", "[2001:db8::1]:4789"},
		{"2001:db8::1", "[2001:db8::1]:4789"},	  {"fe80::1%7", "[fe80::1%7]:4789"},
		{"[fe80::1%lo]:1", "[fe80::1%1]:1"},
	};
	static const char *const bad[] = {"",
					  ":80",
					  "192.0.2.1:",
					  "192.0.2.1:0",
					  "192.0.2.1:65536",
					  "192.0.2.1:8x",
					  "[192.0.2.1]:80",
					  "[2001:db8::1",
					  "[2001:db8::1]80",
					  "192.0.2.1%1:2",
					  "fe80::1%nosuch",
					  "fe80::1%",
					  "host:80",
					  "[]:80",
					  "192.0.2.1:000080"};
	char text[ENDPOINT_STRLEN];
	struct endpoint e;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(endpoint_parse(good[i].text, 4789, &e), 0);
		assert_string_equal(endpoint_format(&e, text), good[i].printed);
		struct sockaddr_storage ss;
		assert_true(endpoint_to_sockaddr(&e, &ss) > 0);
		struct endpoint again = endpoint_from_sockaddr(&ss);
		assert_memory_equal(&again, &e, sizeof(e));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (endpoint_parse(bad[i], 4789, &e) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	struct endpoint none = {0};
	struct sockaddr_storage ss;
	assert_string_equal(endpoint_format(&none, text), "");
	assert_int_equal(endpoint_to_sockaddr(&none, &ss), 0);
}

static void test_vtep(void **state)
{
	static const char host[] = "0123456789abcdef0123456789abcdef";
	char mac_text[MAC_STRLEN], ip_text[IP_STRLEN];
	struct mac m = vtep_mac(host, 1000), other = vtep_mac(host, 1001);
	struct ip v = vtep_ip(host, 1000);
	assert_int_equal(m.b[0] & 3, 2);
	assert_true(mac_cmp(&m, &other) != 0);
	assert_true(ip_is_link_local(&v));
	/* hosts of different releases must agree: these never change */
	assert_string_equal(mac_format(&m, mac_text), "72:b9:cb:59:f4:21");
	assert_string_equal(ip_format(&v, ip_text), "fe80::3030:3b5a:2634:eeb0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip_parse),	 cmocka_unit_test(test_ip_kinds),
		cmocka_unit_test(test_ip_order),	 cmocka_unit_test(test_prefix_parse),
		cmocka_unit_test(test_prefix_relations), cmocka_unit_test(test_prefix_parts),
		cmocka_unit_test(test_prefix_nth),	 cmocka_unit_test(test_mac),
		cmocka_unit_test(test_endpoint),	 cmocka_unit_test(test_vtep),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
