/* SPDX-License-Identifier: Apache-2.0
 *
 * The short way of a peer: that it is taken at all for what we write, and left for everything else. That both ways
 * agree is tested with discovery.json.
 */
#include "state/peer_text.h"

#include "tempdir.h"

#define HOST "0123456789abcdef0123456789abcdef"
static const char full[] =
	"{\"stack_id\":\"blog\",\"host_ip\":\"192.0.2.2\",\"vxlan_endpoint\":\"192.0.2.2:4790\",\"vni\":1000,"
	"\"last_seen\":\"2024-01-15T10:29:59Z\",\"status\":\"stale\",\"subnets\":[\"10.72.0.0/24\","
	"\"fd72::/64\"],\"mapped\":[{\"subnet\":\"10.72.0.0/24\",\"as\":\"241.0.7.0/24\"},{\"subnet\":\"fd72::/64\","
	"\"as\":\"fd64:7264:0:7::/64\"}],\"avoid\":[\"172.17.0.0/16\",\"192.168.0.0/16\"],\"host_id\":\"" HOST
	"\",\"host_name\":\"nas\",\"vtep_mac\":\"02:00:00:00:00:02\","
	"\"vtep_ip\":\"fe80::2\",\"uplink\":\"172.30.0.3\",\"epoch\":3,\"wireguard\":{\"key\":"
	"\"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\","
	"\"port\":51820,\"ring\":[\"1a2b3c4d\"],\"next\":{\"key\":\"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyE=\","
	"\"port\":51821},\"relay\":true,\"by\":[\"5e6f7a8b\",\"5e6f7a8c\"]},\"seq\":4,\"source\":\"multicast\"}";

static void test_taken(void **state)
{
	static const char *const others[] = {
		" { \"vni\" : 5 "
		",\n\t\"stack_id\":\"a\",\"vxlan_endpoint\":\"[2001:db8::1]:1\",\"host_ip\":\"2001:db8::1\" } ",
		"{\"stack_id\":\"a\",\"host_ip\":\"10.0.0.1\",\"vxlan_endpoint\":\"10.0.0.1:1\",\"vni\":1,\"subnets\":["
		" ]}",
	};
	struct peer p;
	autobuf struct buf b = {0};
	assert_true(peer_from_text(full, strlen(full), &p));
	assert_int_equal(p.vni, 1000);
	assert_int_equal(p.status, PEER_STALE);
	assert_int_equal(p.n_subnets, 2);
	assert_int_equal(p.n_mapped, 2);
	assert_int_equal(p.mapped[1].as.len, 64);
	assert_int_equal(p.n_avoid, 2);
	assert_int_equal(p.vxlan_endpoint.port, 4790);
	assert_true(peer_to_text(&b, &p));
	assert_string_equal(b.data, full);
	peer_done(&p);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		assert_true(peer_from_text(others[i], strlen(others[i]), &p));
		assert_int_equal(p.source, PEER_FILE);
		assert_int_equal(p.n_subnets, 0);
		peer_done(&p);
	}
}

static void test_left(void **state)
{
	struct peer p;
	/* every beginning of it, in a block that ends there */
	for (size_t len = 0; len < strlen(full); len++) {
		autofree char *part = xmemdup(full, len);
		assert_false(peer_from_text(part, len, &p));
	}
#define BASE "\"stack_id\":\"a\",\"host_ip\":\"10.0.0.1\",\"vxlan_endpoint\":\"10.0.0.1:1\""
	static const char *const texts[] = {
		"{" BASE "}",
		"{" BASE ",\"vni\":0}",
		"{" BASE ",\"vni\":01}",
		"{" BASE ",\"vni\":1.0}",
		"{" BASE ",\"vni\":1e1}",
		"{" BASE ",\"vni\":-1}",
		"{" BASE ",\"vni\":16777216}",
		"{" BASE ",\"vni\":9999999999999999999999}",
		"{" BASE ",\"vni\":1,}",
		"{" BASE ",\"vni\":1}x",
		"{" BASE ",\"vni\":1,\"vni\":1}",
		"{" BASE ",\"vni\":1,\"color\":\"red\"}",
		"{" BASE ",\"vni\":1,\"host_name\":\"\\u0041\"}",
		"{" BASE ",\"vni\":1,\"host_name\":\"caf\xc3\xa9\"}",
		"{" BASE ",\"vni\":1,\"host_name\":null}",
		"{" BASE ",\"vni\":1,\"host_id\":\"\"}",
		"{" BASE ",\"vni\":1,\"subnets\":[\"10.0.0.0/8\",]}",
		"{" BASE ",\"vni\":1,\"subnets\":[7]}",
		"{" BASE ",\"vni\":1,\"status\":\"odd\"}",
		"{" BASE ",\"vni\":1,\"avoid\":\"10.0.0.0/8\"}",
		"{" BASE ",\"vni\":1,\"mapped\":{}}",
		"{" BASE ",\"vni\":1,\"mapped\":[{}]}",
		"{" BASE ",\"vni\":1,\"mapped\":[\"10.0.0.0/8\"]}",
		"{" BASE ",\"vni\":1,\"mapped\":[{\"subnet\":\"10.0.0.0/8\"}]}",
		"{" BASE ",\"vni\":1,\"mapped\":[{\"subnet\":\"10.0.0.0/8\",\"as\":\"241.0.0.0/9\"}]}",
		"{" BASE ",\"vni\":1,\"mapped\":[{\"subnet\":\"10.0.0.0/8\",\"as\":\"fd00::/8\"}]}",
		"{" BASE ",\"vni\":1,\"mapped\":[{\"subnet\":\"0.0.0.0/0\",\"as\":\"0.0.0.0/0\"}]}",
		"{\"stack_id\":\"a\",\"host_ip\":\"10.0.0.1\",\"vxlan_endpoint\":\"10.0.0.1\",\"vni\":1}",
		"{\"stack_id\":\"../a\",\"host_ip\":\"10.0.0.1\",\"vxlan_endpoint\":\"10.0.0.1:1\",\"vni\":1}",
		"{\"stack_id\":\"a\",\"host_ip\":\"0.0.0.0\",\"vxlan_endpoint\":\"10.0.0.1:1\",\"vni\":1}",
		"[" BASE ",\"vni\":1}",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (peer_from_text(texts[i], strlen(texts[i]), &p))
			fail_msg("%s was taken", texts[i]);
}

static void test_not_written(void **state)
{
	static const char *const names[] = {"a\"b", "a\\b", "a\nb", "caf\xc3\xa9", "\x7f"};
	struct peer p = {.host_ip = {.family = AF_INET, .b = {10}}};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct buf b = {0};
		str_copy(p.host_name, names[i]);
		assert_false(peer_to_text(&b, &p));
		assert_int_equal(b.len, 0);
		buf_done(&b);
	}
}

static void test_tidy(void **state)
{
	struct prefix p[4] = {0};
	for (size_t i = 0; i < 4; i++)
		p[i] = (struct prefix){.ip = {.family = AF_INET, .b = {(uint8_t)(i % 2 ? 11 : 10)}}, .len = 8};
	assert_int_equal(prefixes_tidy(p, 4), 2);
	assert_int_equal(p[0].ip.b[0], 10);
	assert_int_equal(p[1].ip.b[0], 11);
	assert_int_equal(prefixes_tidy(NULL, 0), 0);
	assert_true(host_id_valid(HOST));
	assert_false(host_id_valid("") || host_id_valid(HOST "0") || host_id_valid("0123456789ABCDEF0123456789ABCDEF"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_left),
		cmocka_unit_test(test_not_written),
		cmocka_unit_test(test_tidy),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
