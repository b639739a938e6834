/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams: what goes out comes back, what is hostile is refused with words, what an older program sends is
 * understood.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "discovery/wire.h"

#define ID "0123456789abcdef0123456789abcdef"

struct sent {
	char *data[WIRE_PARTS];
	size_t len[WIRE_PARTS], n;
};

static void keep(void *arg, const char *data, size_t len)
{
	struct sent *s = arg;

	assert_true(s->n < WIRE_PARTS);
	assert_true(len <= LIMIT_DATAGRAM - LIMIT_SEAL);
	s->data[s->n] = xmemdup(data, len);
	s->len[s->n++] = len;
}

static void sent_done(struct sent *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->data[i]);
}

static struct ip ip_of(const char *s)
{
	struct ip ip;

	assert_int_equal(ip_parse(s, &ip), 0);
	return ip;
}

static struct wire_msg example(void)
{
	struct wire_msg m = {.type = WIRE_ANNOUNCE,
			     .stack_id = "shop",
			     .host_ip = ip_of("192.0.2.1"),
			     .vni = 1000,
			     .timestamp = 1700000000,
			     .host_id = ID,
			     .host_name = "nas",
			     .uplink = ip_of("172.30.0.3"),
			     .epoch = 3,
			     .port = 4789,
			     .seq = 17,
			     .vtep_mac = vtep_mac(ID, 1000),
			     .vtep_ip = vtep_ip(ID, 1000)};

	assert_int_equal(prefix_parse("10.71.0.0/24", &m.subnets[0]), 0);
	assert_int_equal(prefix_parse("2001:db8:71::/64", &m.subnets[1]), 0);
	m.n_subnets = 2;
	m.mapped[0].subnet = m.subnets[0];
	assert_int_equal(prefix_parse("241.0.7.0/24", &m.mapped[0].as), 0);
	m.mapped[1].subnet = m.subnets[1];
	assert_int_equal(prefix_parse("fd64:7264:0:7::/64", &m.mapped[1].as), 0);
	m.n_mapped = 2;
	assert_int_equal(prefix_parse("172.17.0.0/16", &m.avoid[0]), 0);
	m.n_avoid = 1;
	assert_int_equal(prefix_parse("239.1.2.3/32", &m.groups[0]), 0);
	assert_int_equal(prefix_parse("ff05::7/128", &m.groups[1]), 0);
	m.n_groups = 2;
	return m;
}

static void test_round_trip(void **state)
{
	struct wire_msg m = example(), back;
	struct sent s = {0};
	struct err err = {0};

	for (m.type = 0; m.type < WIRE_TYPE_N_; m.type++) {
		s = (struct sent){0};
		wire_encode(&m, keep, &s);
		assert_int_equal(s.n, 1);
		assert_int_equal(wire_decode(s.data[0], s.len[0], &back, &err), 0);
		assert_int_equal(back.type, m.type);
		assert_string_equal(back.stack_id, "shop");
		assert_string_equal(back.host_id, ID);
		assert_string_equal(back.host_name, "nas");
		assert_int_equal(ip_cmp(&back.host_ip, &m.host_ip), 0);
		assert_int_equal(ip_cmp(&back.uplink, &m.uplink), 0);
		assert_int_equal(back.epoch, m.epoch);
		assert_int_equal(ip_cmp(&back.vtep_ip, &m.vtep_ip), 0);
		assert_int_equal(mac_cmp(&back.vtep_mac, &m.vtep_mac), 0);
		assert_int_equal(back.vni, 1000);
		assert_int_equal(back.port, 4789);
		assert_int_equal(back.seq, 17);
		assert_int_equal(back.timestamp, 1700000000);
		assert_int_equal(back.part, 1);
		assert_int_equal(back.parts, 1);
		assert_int_equal(back.n_subnets, m.type == WIRE_GOODBYE ? 0 : 2);
		for (size_t i = 0; i < back.n_subnets; i++)
			assert_int_equal(prefix_cmp(&back.subnets[i], &m.subnets[i]), 0);
		assert_int_equal(back.n_mapped, m.type == WIRE_GOODBYE ? 0 : 2);
		for (size_t i = 0; i < back.n_mapped; i++) {
			assert_int_equal(prefix_cmp(&back.mapped[i].subnet, &m.mapped[i].subnet), 0);
			assert_int_equal(prefix_cmp(&back.mapped[i].as, &m.mapped[i].as), 0);
		}
		assert_int_equal(back.n_avoid, m.type == WIRE_GOODBYE ? 0 : 1);
		if (m.type != WIRE_GOODBYE)
			assert_int_equal(prefix_cmp(&back.avoid[0], &m.avoid[0]), 0);
		assert_int_equal(back.n_groups, m.type == WIRE_GOODBYE ? 0 : 2);
		for (size_t i = 0; i < back.n_groups; i++)
			assert_int_equal(prefix_cmp(&back.groups[i], &m.groups[i]), 0);
		sent_done(&s);
	}
}

/* The longest of everything: split, every part within bounds and a message of its own, no subnet lost */
static void test_split(void **state)
{
	struct wire_msg m = example(), back;
	struct sent s = {0};
	struct err err = {0};
	size_t n = 0, n_mapped = 0, n_avoid = 0, n_groups = 0;

	memset(m.stack_id, 'x', sizeof(m.stack_id) - 1);
	memset(m.host_name, 'y', sizeof(m.host_name) - 1);
	m.host_ip = ip_of("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
	m.uplink = ip_of("2001:db8:ffff:ffff:ffff:ffff:ffff:fffe");
	m.vni = VNI_MAX;
	m.vtep_mac = vtep_mac(ID, m.vni);
	m.vtep_ip = vtep_ip(ID, m.vni);
	m.seq = INT64_MAX;
	m.timestamp = INT64_MIN;
	m.wireguard = (struct wg_say){
		.key = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", .port = 51820, .n_ring = WG_RING};
	for (size_t i = 0; i < WG_RING; i++)
		str_copy(m.wireguard.ring[i], "1a2b3c4d");
	for (m.n_subnets = 0; m.n_subnets < LIMIT_SUBNETS; m.n_subnets++) {
		m.subnets[m.n_subnets] = (struct prefix){ip_of("2001:db8:ffff:ffff:ffff:ffff:ffff:1000"), 128};
		m.subnets[m.n_subnets].ip.b[15] = (uint8_t)m.n_subnets;
	}
	/* subnets alone: no part is longer than the older programs can read */
	m.n_mapped = m.n_avoid = m.n_groups = 0;
	wire_encode(&m, keep, &s);
	for (size_t i = 0; i < s.n; i++)
		assert_true(s.len[i] <= WIRE_BYTES);
	sent_done(&s);
	s = (struct sent){0};
	/* what those do not know of at all */
	str_copy(m.wireguard.next, "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyE=");
	m.wireguard.next_port = 51821;
	m.wireguard.relay = true;
	for (m.wireguard.n_by = 0; m.wireguard.n_by < WG_RELAYS; m.wireguard.n_by++)
		str_copy(m.wireguard.by[m.wireguard.n_by], "1a2b3c4d");
	for (m.n_mapped = 0; m.n_mapped < LIMIT_SUBNETS; m.n_mapped++) {
		m.mapped[m.n_mapped] = (struct mapped){.subnet = m.subnets[m.n_mapped], .as = m.subnets[m.n_mapped]};
		m.mapped[m.n_mapped].as.ip.b[2] = 0xff;
	}
	for (; m.n_avoid < LIMIT_AVOID; m.n_avoid++)
		m.avoid[m.n_avoid] = m.subnets[m.n_avoid];
	for (; m.n_groups < LIMIT_GROUPS; m.n_groups++) {
		m.groups[m.n_groups] = m.subnets[m.n_groups];
		m.groups[m.n_groups].ip.b[0] = 0xff;
		m.groups[m.n_groups].ip.b[1] = 0x35;
	}
	wire_encode(&m, keep, &s);
	assert_true(s.len[0] <= WIRE_BYTES);
	assert_true(s.n > 1);
	for (size_t i = 0; i < s.n; i++) {
		assert_int_equal(wire_decode(s.data[i], s.len[i], &back, &err), 0);
		assert_int_equal(back.part, i + 1);
		assert_int_equal(back.parts, s.n);
		assert_int_equal(back.seq, INT64_MAX);
		for (size_t j = 0; j < back.n_subnets; j++)
			assert_int_equal(prefix_cmp(&back.subnets[j], &m.subnets[n++]), 0);
		for (size_t j = 0; j < back.n_mapped; j++)
			assert_int_equal(prefix_cmp(&back.mapped[j].as, &m.mapped[n_mapped++].as), 0);
		for (size_t j = 0; j < back.n_avoid; j++)
			assert_int_equal(prefix_cmp(&back.avoid[j], &m.avoid[n_avoid++]), 0);
		for (size_t j = 0; j < back.n_groups; j++)
			assert_int_equal(prefix_cmp(&back.groups[j], &m.groups[n_groups++]), 0);
	}
	assert_int_equal(n, LIMIT_SUBNETS);
	assert_int_equal(n_mapped, LIMIT_SUBNETS);
	assert_int_equal(n_avoid, LIMIT_AVOID);
	assert_int_equal(n_groups, LIMIT_GROUPS);
	assert_in_range(s.n, 20, 20); /* what WIRE_PARTS says of it */
	sent_done(&s);
}

/* The bytes of the program that this family comes from */
static void test_older_program(void **state)
{
	static const char old[] = "{\"type\":\"QUERY\",\"version\":1,\"stack_id\":\"stack-a\",\"host_ip\":\"10.0.1.5\","
				  "\"vni\":1000,\"timestamp\":1700000000}";
	struct wire_msg m;
	struct sent s = {0};
	struct err err = {0};

	assert_int_equal(wire_decode(old, strlen(old), &m, &err), 0);
	assert_int_equal(m.type, WIRE_QUERY);
	assert_string_equal(m.stack_id, "stack-a");
	assert_string_equal(m.host_id, "");
	assert_int_equal(m.port, 4789);
	assert_int_equal(m.n_subnets, 0);
	assert_true(mac_is_none(&m.vtep_mac));
	wire_encode(&m, keep, &s);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.len[0], strlen(old));
	assert_memory_equal(s.data[0], old, s.len[0]);
	sent_done(&s);
}

/* Replace @what by @with in a good datagram, and expect @code and words that hold @says */
static void refuse(const char *what, const char *with, int code, const char *says)
{
	struct wire_msg m = example(), back = {.vni = 7};
	struct sent s = {0};
	struct err err = {0};
	autobuf struct buf b = {0};
	const char *at;

	wire_encode(&m, keep, &s);
	buf_append(&b, s.data[0], s.len[0]);
	at = strstr(b.data, what);
	assert_non_null(at);
	autobuf struct buf changed = {0};
	buf_append(&changed, b.data, (size_t)(at - b.data));
	buf_puts(&changed, with);
	buf_puts(&changed, at + strlen(what));
	if (wire_decode(changed.data, changed.len, &back, &err) != code || (code && !strstr(err.text, says)))
		fail_msg("%s\ncode %d, said: %s", changed.data, err.code, err.text);
	if (code)
		assert_int_equal(back.vni, 7); /* untouched */
	sent_done(&s);
}

static void test_fields(void **state)
{
	refuse("\"ANNOUNCE\"", "\"HELLO\"", -EINVAL, "type \"HELLO\"");
	refuse("\"ANNOUNCE\"", "7", -EINVAL, "type");
	refuse("\"type\"", "\"typo\"", -EINVAL, "type");
	refuse("\"version\":1", "\"version\":2", -EPROTONOSUPPORT, "version 2");
	refuse("\"version\":1", "\"version\":\"1\"", -EINVAL, "version");
	refuse("\"shop\"", "\"\"", -EINVAL, "stack_id");
	refuse("\"shop\"", "\"-shop\"", -EINVAL, "stack_id \"-shop\"");
	refuse("\"shop\"", "\"a/../b\"", -EINVAL, "stack_id");
	refuse("\"shop\"", "\"a\\u001b[2J\"", -EINVAL, "\\x1b");
	refuse("\"shop\"", "[\"shop\"]", -EINVAL, "stack_id");
	refuse("\"192.0.2.1\"", "\"999.0.2.1\"", -EINVAL, "host_ip");
	refuse("\"192.0.2.1\"", "\"0.0.0.0\"", -EINVAL, "host_ip");
	refuse("\"192.0.2.1\"", "\"224.0.0.1\"", -EINVAL, "host_ip");
	refuse("\"192.0.2.1\"", "\"255.255.255.255\"", -EINVAL, "host_ip");
	refuse("\"192.0.2.1\"", "\"fe80::1\"", -EINVAL, "host_ip");
	refuse("\"192.0.2.1\"", "3221225985", -EINVAL, "host_ip");
	refuse("\"vni\":1000", "\"vni\":0", -EINVAL, "vni");
	refuse("\"vni\":1000", "\"vni\":16777216", -EINVAL, "vni");
	refuse("\"vni\":1000", "\"vni\":-1", -EINVAL, "vni");
	refuse("\"vni\":1000", "\"vni\":1000.0", -EINVAL, "vni");
	refuse("\"vni\":1000", "\"vni\":\"1000\"", -EINVAL, "vni");
	refuse("\"vni\":1000", "\"vni\":99999999999999999999", -EBADMSG, "");
	refuse("\"timestamp\":1700000000", "\"timestamp\":\"now\"", -EINVAL, "timestamp");
	refuse(ID, "0123456789ABCDEF0123456789ABCDEF", -EINVAL, "host_id");
	refuse(ID, "0123", -EINVAL, "host_id");
	refuse("\"nas\"", "\"n a s\"", -EINVAL, "host_name");
	refuse("\"port\":4789", "\"port\":NaN", -EBADMSG, "");
	refuse("\"port\":4789", "\"port\":\"NaN\"", -EINVAL, "port");
	refuse("\"port\":4789", "\"port\":0", -EINVAL, "port");
	refuse("\"port\":4789", "\"port\":65536", -EINVAL, "port");
	refuse("\"port\":4789", "\"port\":4789.5", -EINVAL, "port");
	refuse("\"seq\":17", "\"seq\":-1", -EINVAL, "seq");
	refuse("\"seq\":17", "\"seq\":null", 0, ""); /* null is as good as missing */
	refuse("\"172.30.0.3\"", "\"239.0.0.1\"", -EINVAL, "uplink");
	refuse("\"epoch\":3", "\"epoch\":16", -EINVAL, "epoch");
	refuse("\"10.71.0.0/24\"", "\"10.71.0.0/33\"", -EINVAL, "subnets");
	refuse("\"241.0.7.0/24\"", "\"241.0.0.0/16\"", -EINVAL, "mapped \"241.0.0.0/16\"");
	refuse("\"241.0.7.0/24\"", "\"fd64::/24\"", -EINVAL, "mapped");
	refuse("\"241.0.7.0/24\"", "\"224.0.7.0/24\"", -EINVAL, "mapped \"224.0.7.0/24\"");
	refuse("\"241.0.7.0/24\"", "\"241.0.7.0/33\"", -EINVAL, "mapped");
	refuse("\"241.0.7.0/24\"", "7", -EINVAL, "mapped");
	refuse(",\"241.0.7.0/24\"", "", -EINVAL, "mapped");
	refuse("[\"172.17.0.0/16\"]", "7", -EINVAL, "avoid");
	refuse("\"172.17.0.0/16\"", "\"172.17.0.0/33\"", -EINVAL, "avoid");
	refuse("\"10.71.0.0/24\"", "24", -EINVAL, "subnets");
	refuse("[\"10.71.0.0/24\",\"2001:db8:71::/64\"]", "\"10.71.0.0/24\"", -EINVAL, "subnets");
	refuse("\"subnets\":", "\"part\":3,\"parts\":2,\"subnets\":", -EINVAL, "part");
	refuse("\"subnets\":", "\"part\":1,\"parts\":29,\"subnets\":", -EINVAL, "parts");
	refuse("\"subnets\":", "\"part\":0,\"parts\":2,\"subnets\":", -EINVAL, "part");
	refuse("\"subnets\":", "\"type\":\"GOODBYE\",\"subnets\":", -EBADMSG, "");
	/* fields of a later version, and fields of ours that it may have dropped */
	refuse("\"subnets\":", "\"colour\":{\"a\":[1]},\"subnets\":", 0, "");
	refuse(",\"port\":4789", "", 0, "");
	refuse(",\"seq\":17", "", 0, "");
}

static void test_vtep_is_derived(void **state)
{
	struct mac own = vtep_mac(ID, 1000), other = vtep_mac(ID, 1001);
	struct ip own_ip = vtep_ip(ID, 1000), other_ip = vtep_ip("ffffffffffffffffffffffffffffffff", 1000);
	char a[MAC_STRLEN], b[MAC_STRLEN], c[IP_STRLEN], d[IP_STRLEN];

	refuse(mac_format(&own, a), mac_format(&other, b), -EINVAL, "vtep_mac");
	refuse(mac_format(&own, a), "ff:ff:ff:ff:ff:ff", -EINVAL, "vtep_mac");
	refuse(mac_format(&own, a), "00:00:00:00:00:00", -EINVAL, "vtep_mac");
	refuse(ip_format(&own_ip, c), ip_format(&other_ip, d), -EINVAL, "vtep_ip");
	refuse(ip_format(&own_ip, c), "10.0.0.1", -EINVAL, "vtep_ip");
	refuse(ip_format(&own_ip, c), "2001:db8::1", -EINVAL, "vtep_ip");
}

static void test_shapes(void **state)
{
	struct wire_msg m = example(), back;
	struct sent s = {0};
	struct err err = {0};
	char *deep = xmalloc(LIMIT_DATAGRAM_IN + 1);

	wire_encode(&m, keep, &s);
	for (size_t len = 0; len < s.len[0]; len++)
		assert_int_equal(wire_decode(s.data[0], len, &back, &err), -EBADMSG);
	sent_done(&s);
	memset(deep, '[', LIMIT_DATAGRAM_IN + 1);
	assert_int_equal(wire_decode(deep, LIMIT_DATAGRAM_IN, &back, &err), -EBADMSG);
	assert_int_equal(wire_decode(deep, LIMIT_DATAGRAM_IN + 1, &back, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "8193 bytes"));
	free(deep);
	assert_int_equal(wire_decode("[]", 2, &back, &err), -EBADMSG);
	assert_int_equal(wire_decode("7", 1, &back, &err), -EBADMSG);
	assert_int_equal(wire_decode("{}", 2, &back, &err), -EINVAL);
	assert_int_equal(wire_decode("\0\0\0\0", 4, &back, &err), -EBADMSG);
}

static void test_too_many_subnets(void **state)
{
	autobuf struct buf b = {0};
	struct wire_msg back;
	struct err err = {0};

	buf_printf(&b, "{\"type\":\"ANNOUNCE\",\"version\":1,\"stack_id\":\"a\",\"host_ip\":\"192.0.2.1\",\"vni\":1,"
		       "\"host_id\":\"" ID "\",\"subnets\":[");
	for (int i = 0; i <= LIMIT_SUBNETS; i++)
		buf_printf(&b, "%s\"10.0.%d.0/24\"", i ? "," : "", i);
	buf_puts(&b, "]}");
	assert_int_equal(wire_decode(b.data, b.len, &back, &err), -EINVAL);
	assert_non_null(strstr(err.text, "subnets"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),	 cmocka_unit_test(test_split),
		cmocka_unit_test(test_older_program),	 cmocka_unit_test(test_fields),
		cmocka_unit_test(test_vtep_is_derived),	 cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_too_many_subnets),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
