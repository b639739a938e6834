/* SPDX-License-Identifier: Apache-2.0
 *
 * discovery.json: round trip, files of older programs, broken parts, 10,000 peers. Whatever is read is read both ways,
 * as one tree and peer by peer, and must come out the same.
 */
#include "state/discovery.h"

#include "tempdir.h"

static char *print(const struct discovery *d)
{
	struct buf b = {0};
	json_t *o = discovery_to_json(d);
	json_print(&b, o, JSON_COMPACT);
	json_decref(o);
	return b.data;
}

static struct discovery from_text(const char *text)
{
	struct discovery d = {0}, tree = {0};
	struct err e = {0};
	if (discovery_from_text(text, strlen(text), &d, &e) < 0)
		fail_msg("%s", e.text);
	json_t *o = json_parse_bounded(text, strlen(text), &e);
	assert_non_null(o);
	assert_int_equal(discovery_from_json(o, &tree, &e), 0);
	json_decref(o);
	autofree char *a = print(&d), *b = print(&tree);
	assert_string_equal(a, b);
	discovery_done(&tree);
	return d;
}

#define HOST_A "0123456789abcdef0123456789abcdef"
#define HOST_B "fedcba9876543210fedcba9876543210"

static const char example[] =
	"{\"version\":1,\"last_update\":\"2024-01-15T10:30:00Z\",\"self\":{\"host_id\":\"" HOST_A "\",\"host_name\":"
	"\"pi\",\"host_ip\":\"192.0.2.1\",\"vxlan_port\":4789,\"seq\":17,\"modes\":[\"multicast\",\"static\"],"
	"\"stacks\":["
	"{\"stack_id\":\"shop\",\"vni\":1000,\"subnets\":[\"10.71.0.0/24\"],\"vtep_mac\":\"72:b9:cb:59:f4:21\","
	"\"vtep_ip\":\"fe80::3030:3b5a:2634:eeb0\"}]},\"peers\":[{\"stack_id\":\"blog\",\"host_ip\":\"192.0.2.2\","
	"\"vxlan_endpoint\":\"192.0.2.2:4790\",\"vni\":1000,\"last_seen\":\"2024-01-15T10:29:59Z\",\"status\":"
	"\"stale\","
	"\"subnets\":[\"10.72.0.0/24\",\"fd72::/64\"],\"host_id\":\"" HOST_B "\",\"host_name\":\"nas\",\"vtep_mac\":"
	"\"02:00:00:00:00:02\",\"vtep_ip\":\"fe80::2\",\"uplink\":\"172.30.0.3\",\"epoch\":3,\"seq\":4,\"source\":"
	"\"multicast\"}],"
	"\"problems\":[]}";

static void test_golden(void **state)
{
	struct discovery d = from_text(example);
	assert_int_equal(d.n_peers, 1);
	assert_int_equal(d.peers[0].status, PEER_STALE);
	assert_int_equal(d.peers[0].source, PEER_MULTICAST);
	assert_int_equal(d.peers[0].vxlan_endpoint.port, 4790);
	assert_int_equal(d.peers[0].n_subnets, 2);
	assert_string_equal(d.self.modes, "multicast,static");
	assert_int_equal(d.self.n_stacks, 1);
	autofree char *text = print(&d);
	assert_string_equal(text, example);
	discovery_done(&d);
	discovery_done(&d);
}

/* only what programs of this family have always written, in Go's spelling of time, and "peers": null for nobody */
static void test_older_program(void **state)
{
	struct discovery d = from_text(
		"{\n  \"version\": 1,\n  \"last_update\": \"2024-01-15T10:30:00.123456789+01:00\",\n  \"peers\": [\n"
		"    {\"stack_id\": \"stack-a\", \"host_ip\": \"10.0.1.5\", \"vxlan_endpoint\": \"10.0.1.5:4789\",\n"
		"     \"vni\": 1000, \"last_seen\": \"2024-01-15T10:30:00Z\", \"status\": \"active\"}\n  ]\n}\n");
	assert_int_equal(d.n_peers, 1);
	assert_int_equal(d.peers[0].source, PEER_FILE);
	assert_int_equal(d.peers[0].status, PEER_ACTIVE);
	assert_string_equal(d.peers[0].host_id, "");
	assert_int_equal(d.peers[0].n_subnets, 0);
	assert_int_equal(d.problems.n, 0);
	assert_true(d.last_update.ms == 1705311000000);
	discovery_done(&d);
	d = from_text("{\"version\":1,\"peers\":null,\"self\":null}");
	assert_int_equal(d.n_peers, 0);
	assert_int_equal(d.problems.n, 0);
	discovery_done(&d);
	d = from_text("{\"peers\" : [ ] , \"version\":1}");
	assert_int_equal(d.n_peers, 0);
	discovery_done(&d);
}

#define PEER(id, more) \
	"{\"stack_id\":\"" id "\",\"host_ip\":\"10.0.1.5\",\"vni\":1000,\"host_id\":\"" HOST_B "\"" more "}"

/* mapped and avoided: written where there are any, host bits cleared, sorted */
static void test_mapped(void **state)
{
	static const char text[] =
		"{\"version\":1,\"last_update\":\"2024-01-15T10:30:00Z\",\"self\":{\"host_id\":\"" HOST_A
		"\",\"host_name\":\"\",\"host_ip\":\"192.0.2.1\",\"vxlan_port\":4789,\"seq\":17,\"modes\":[],"
		"\"stacks\":["
		"{\"stack_id\":\"shop\",\"vni\":1000,\"subnets\":[],\"mapped\":[{\"subnet\":\"172.18.0.0/16\",\"as\":"
		"\"241.7.0.0/16\"}],\"avoid\":[\"172.19.0.0/16\"],\"vtep_mac\":\"72:b9:cb:59:f4:21\","
		"\"vtep_ip\":\"fe80::3030:3b5a:2634:eeb0\"}]},\"peers\":[{\"stack_id\":\"blog\",\"host_ip\":"
		"\"192.0.2.2\",\"vxlan_endpoint\":\"192.0.2.2:4789\",\"vni\":1000,\"last_seen\":"
		"\"2024-01-15T10:29:59Z\",\"status\":\"active\",\"subnets\":[\"172.18.0.0/16\"],\"mapped\":["
		"{\"subnet\":\"172.18.0.0/16\",\"as\":\"241.9.0.0/16\"},{\"subnet\":\"fd72::/64\",\"as\":"
		"\"fd64:7264:0:1::/64\"}],\"avoid\":[\"10.0.0.0/8\",\"172.17.0.0/16\"],\"host_id\":\"" HOST_B
		"\",\"seq\":4,\"source\":\"multicast\"}],\"problems\":[]}";
	struct discovery d = from_text(text);
	assert_int_equal(d.self.stacks[0].n_mapped, 1);
	assert_int_equal(d.self.stacks[0].n_avoid, 1);
	assert_int_equal(d.peers[0].n_mapped, 2);
	assert_int_equal(d.peers[0].n_avoid, 2);
	autofree char *out = print(&d);
	assert_string_equal(out, text);
	discovery_done(&d);
	d = from_text("{\"version\":1,\"peers\":[" PEER(
		"a", ",\"mapped\":[{\"as\":\"241.1.2.3/16\",\"subnet\":\"172.20.0.1/16\",\"why\":7},"
		     "{\"subnet\":\"172.18.0.0/16\",\"as\":\"241.2.0.0/16\"},{\"subnet\":\"172.18.0.0/16\",\"as\":"
		     "\"241.3.0.0/16\"}],\"avoid\":[\"10.2.0.1/16\",\"10.1.0.0/16\",\"10.2.0.0/16\"]") "]}");
	assert_int_equal(d.n_peers, 1);
	assert_int_equal(d.peers[0].n_mapped, 2);
	assert_int_equal(d.peers[0].mapped[0].subnet.ip.b[1], 18);
	assert_int_equal(d.peers[0].mapped[0].as.ip.b[1], 2);
	assert_int_equal(d.peers[0].mapped[1].as.ip.b[3], 0);
	assert_int_equal(d.peers[0].n_avoid, 2);
	assert_int_equal(d.peers[0].avoid[0].ip.b[1], 1);
	discovery_done(&d);
}

static void test_tolerance(void **state)
{
	static const char *const broken[] = {
		"{}",
		"{\"x\":[]}",
		PEER("../a", ""),
		PEER("", ""),
		PEER("a", ",\"vxlan_endpoint\":\"10.0.1.5:NaN\""),
		PEER("a", ",\"vxlan_endpoint\":\"[fe80::1%lo]:1\""),
		PEER("a", ",\"vxlan_endpoint\":\"239.1.1.1:4789\""),
		PEER("a", ",\"status\":\"odd\""),
		PEER("a", ",\"subnets\":\"10.0.0.0/8\""),
		PEER("a", ",\"subnets\":[\"10.0.0.0/33\"]"),
		PEER("a", ",\"avoid\":7"),
		PEER("a", ",\"mapped\":{}"),
		PEER("a", ",\"mapped\":[7]"),
		PEER("a", ",\"mapped\":[{\"subnet\":\"10.0.0.0/8\"}]"),
		PEER("a", ",\"mapped\":[{\"subnet\":\"10.0.0.0/8\",\"as\":\"241.0.0.0/9\"}]"),
		PEER("a", ",\"mapped\":[{\"subnet\":\"10.0.0.0/8\",\"as\":\"fd00::/8\"}]"),
		PEER("a", ",\"mapped\":[{\"subnet\":\"0.0.0.0/0\",\"as\":\"0.0.0.0/0\"}]"),
		PEER("a", ",\"seq\":-1"),
		PEER("a", ",\"seq\":1.5"),
		PEER("a", ",\"last_seen\":0"),
		PEER("a", ",\"vtep_mac\":\"02:00\""),
		PEER("a", ",\"host_name\":{}"),
		"{\"stack_id\":\"a\",\"host_ip\":\"0.0.0.0\",\"vni\":1000}",
		"{\"stack_id\":\"a\",\"host_ip\":\"10.0.1.5\",\"vni\":\"1000\"}",
		"{\"stack_id\":\"a\",\"host_ip\":\"10.0.1.5\",\"vni\":16777216}",
		"{\"stack_id\":\"a\",\"host_ip\":\"10.0.1.5\",\"vni\":1,\"host_id\":\"ABC\"}",
	};
	struct buf b = {0};
	buf_puts(&b, "{\"version\":1,\"peers\":[");
	for (size_t i = 0; i < ARRAY_LEN(broken); i++)
		buf_printf(&b, "%s,", broken[i]);
	buf_puts(&b, PEER("kept", ",\"source\":\"carrier-pigeon\",\"unknown\":[{}]") "]}");
	struct discovery d = from_text(b.data);
	assert_int_equal(d.n_peers, 1);
	assert_string_equal(d.peers[0].stack_id, "kept");
	assert_int_equal(d.peers[0].source, PEER_FILE);
	assert_int_equal(d.peers[0].vxlan_endpoint.port, 4789);
	assert_int_equal(d.problems.n, ARRAY_LEN(broken));
	discovery_done(&d);
	buf_done(&b);
	d = from_text("{\"version\":1,\"last_update\":5,\"self\":{\"vxlan_port\":99999,\"stacks\":[1]},\"peers\":[]}");
	assert_int_equal(d.problems.n, 2);
	assert_int_equal(d.n_peers, 0);
	discovery_done(&d);
	d = from_text("{\"version\":1,\"self\":{\"modes\":[1,\"static\",\"a b\"],\"stacks\":[1,{\"stack_id\":\"a\","
		      "\"vni\":5}]}}");
	assert_string_equal(d.self.modes, "static");
	assert_int_equal(d.self.n_stacks, 1);
	assert_int_equal(d.problems.n, 1);
	discovery_done(&d);
}

/* what no tree can be built of: read peer by peer, one peer is lost and not all */
static void test_one_peer_is_no_json(void **state)
{
	static const char text[] =
		"{\"version\":1,\"peers\":[" PEER("a", "") ",{\"vni\":99999999999999999999},{\"x\":\"\xff\"},"
							   "5," PEER("b", "") "],\"problems\":[]}";
	struct discovery d = {0};
	struct err e = {0};
	assert_int_equal(discovery_from_text(text, strlen(text), &d, &e), 0);
	assert_int_equal(d.n_peers, 2);
	assert_int_equal(d.problems.n, 3);
	discovery_done(&d);
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"7",
		"{",
		"{}",
		"{\"version\":2,\"peers\":[]}",
		"{\"version\":1,\"peers\":{}}",
		"{\"version\":1,\"peers\":7}",
		"{\"version\":1,\"peers\":[}",
		"{\"version\":1,\"peers\":[]",
		"{\"version\":1,\"peers\":[{]}",
		"{\"version\":1,\"peers\":[" PEER("a", "") ",]}",
		"{\"version\":1,\"peers\":[," PEER("a", "") "]}",
		"{\"version\":1,\"peers\":[" PEER("a", "") "]} {}",
		"{\"version\":1,\"peers\":[],\"peers\":[]}",
		"{\"version\":1,\"peers\":[\"]}",
		"{\"version\":1,\"peers\"",
		"{\"version\":1,\"peers\":",
		"{\"version\":1,\"peers",
		"{\"peers\":[],\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct discovery d = {0};
		struct err e = {0};
		if (discovery_from_text(texts[i], strlen(texts[i]), &d, &e) >= 0)
			fail_msg("%s was taken", texts[i]);
		assert_true(e.code < 0 && *e.text);
		assert_null(d.peers);
	}
}

static void test_order(void **state)
{
	struct discovery d =
		from_text("{\"version\":1,\"peers\":["
			  "{\"stack_id\":\"z\",\"host_ip\":\"10.0.0.9\",\"vni\":5,\"host_id\":\"" HOST_B "\"},"
			  "{\"stack_id\":\"z\",\"host_ip\":\"10.0.0.9\",\"vni\":5,\"host_id\":\"" HOST_A "\","
			  "\"subnets\":[\"10.9.0.0/16\",\"10.8.0.1/16\",\"10.9.1.1/16\"]},"
			  "{\"stack_id\":\"z\",\"host_ip\":\"10.0.0.9\",\"vni\":5},"
			  "{\"stack_id\":\"z\",\"host_ip\":\"10.0.0.8\",\"vni\":5},"
			  "{\"stack_id\":\"a\",\"host_ip\":\"10.0.0.9\",\"vni\":6,\"host_id\":\"" HOST_A "\"},"
			  "{\"stack_id\":\"a\",\"host_ip\":\"10.0.0.9\",\"vni\":5,\"host_id\":\"" HOST_A "\"}]}");
	assert_int_equal(d.n_peers, 6);
	assert_int_equal(d.problems.n, 0);
	char text[PREFIX_STRLEN];
	assert_string_equal(ip_format(&d.peers[0].host_ip, text), "10.0.0.8");
	assert_string_equal(ip_format(&d.peers[1].host_ip, text), "10.0.0.9");
	assert_string_equal(d.peers[2].stack_id, "a");
	assert_string_equal(d.peers[3].stack_id, "z");
	assert_string_equal(d.peers[4].host_id, HOST_B);
	assert_int_equal(d.peers[5].vni, 6);
	/* host bits cleared, sorted, once */
	assert_int_equal(d.peers[3].n_subnets, 2);
	assert_string_equal(prefix_format(&d.peers[3].subnets[0], text), "10.8.0.0/16");
	for (size_t i = 1; i < d.n_peers; i++)
		assert_true(peer_key_cmp(&d.peers[i - 1], &d.peers[i]) < 0);
	discovery_done(&d);
}

static void test_twice(void **state)
{
	struct discovery d = from_text("{\"version\":1,\"peers\":[" PEER(
		"a", ",\"seq\":1,\"last_seen\":\"2024-01-15T10:30:"
		     "00Z\"") "," PEER("a", ",\"seq\":2,\"last_seen\":\"2024-01-15T10:31:00Z\",\"subnets\":[\"10.1.0."
					    "0/16\"]") "," PEER("a", ",\"seq\":3,\"subnets\":[\"10.2.0.0/16\"]") "]}");
	assert_int_equal(d.n_peers, 1);
	assert_int_equal(d.peers[0].seq, 2);
	assert_int_equal(d.problems.n, 2);
	discovery_done(&d);
}

static void peers_make(struct discovery *d, size_t n)
{
	struct peer *peers = xcalloc(n, sizeof(*peers));
	for (size_t i = 0; i < n; i++) {
		struct peer *p = &peers[i];
		str_print(p->stack_id, "stack-%zu", i);
		str_copy(p->host_id, HOST_B);
		str_copy(p->host_name, "nas");
		p->vni = 1000 + (uint32_t)(i % 7);
		p->host_ip =
			(struct ip){.family = AF_INET, .b = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
		p->vxlan_endpoint = (struct endpoint){.ip = p->host_ip, .port = 4789};
		p->vtep_mac = vtep_mac(p->host_id, p->vni);
		p->vtep_ip = vtep_ip(p->host_id, p->vni);
		p->last_seen.ms = 1705314600000;
		p->n_subnets = 1;
		p->subnets = xcalloc(1, sizeof(*p->subnets));
		p->subnets[0] = (struct prefix){.ip = p->host_ip, .len = 24};
		p->subnets[0] = prefix_mask(p->subnets[0]);
	}
	d->peers = peers;
	d->n_peers = d->cap_peers = n;
	discovery_sort(d);
}

static void test_many_peers(void **state)
{
	struct tempdir *t = *state;
	struct discovery a = {.last_update.ms = 1705314600000}, b = {0};
	struct err e = {0};
	peers_make(&a, 10000);
	assert_int_equal(discovery_write(t->fd, &a, &e), 0);
	mono_t start = mono_now();
	assert_int_equal(discovery_read(t->fd, NULL, &b, &e), 0);
	int64_t took_us = mono_now().us - start.us;
	print_message("# 10,000 peers were read in %lld us\n", (long long)took_us);
	assert_int_equal(b.n_peers, 10000);
	assert_int_equal(b.problems.n, 0);
	for (size_t i = 0; i < a.n_peers; i++) {
		assert_int_equal(peer_key_cmp(&a.peers[i], &b.peers[i]), 0);
		assert_int_equal(b.peers[i].n_subnets, 1);
		assert_int_equal(prefix_cmp(&a.peers[i].subnets[0], &b.peers[i].subnets[0]), 0);
		assert_int_equal(mac_cmp(&a.peers[i].vtep_mac, &b.peers[i].vtep_mac), 0);
	}
	/* what is written again is the same, byte for byte */
	autobuf struct buf first = {0}, second = {0};
	assert_int_equal(file_read(t->fd, STATE_DISCOVERY, LIMIT_FILE_BYTES, NULL, &first, &e), 0);
	assert_int_equal(discovery_write(t->fd, &b, &e), 0);
	assert_int_equal(file_read(t->fd, STATE_DISCOVERY, LIMIT_FILE_BYTES, NULL, &second, &e), 0);
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.data, second.data, first.len);
	discovery_done(&a);
	discovery_done(&b);
}

static void test_too_many_peers(void **state)
{
	struct tempdir *t = *state;
	struct discovery a = {0}, b = {0};
	struct err e = {0};
	peers_make(&a, LIMIT_PEERS + 3);
	assert_int_equal(discovery_write(t->fd, &a, &e), 0);
	assert_int_equal(discovery_read(t->fd, NULL, &b, &e), 0);
	assert_int_equal(b.n_peers, LIMIT_PEERS);
	assert_int_equal(b.problems.n, 1);
	discovery_done(&a);
	discovery_done(&b);
}

/* discovery_write() prints piece by piece: it must be the document that discovery_to_json() builds */
static void test_written_form(void **state)
{
	struct tempdir *t = *state;
	static const char *const texts[] = {example, "{\"version\":1,\"peers\":[]}",
					    "{\"version\":1,\"peers\":[{}," PEER("a", "") "," PEER("b", "") "]}"};
	struct err e = {0};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct discovery d = from_text(texts[i]);
		json_t *want = discovery_to_json(&d), *got = NULL;
		assert_int_equal(discovery_write(t->fd, &d, &e), 0);
		assert_int_equal(state_read_json(t->fd, STATE_DISCOVERY, NULL, &got, &e), 0);
		assert_true(json_equal(want, got));
		json_decref(want);
		json_decref(got);
		discovery_done(&d);
	}
	autofree char *names = tempdir_list(t);
	assert_string_equal(names, "discovery.json ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_older_program),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_tolerance),
		cmocka_unit_test(test_one_peer_is_no_json),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_twice),
		cmocka_unit_test_setup_teardown(test_many_peers, tempdir_make, tempdir_remove),
		cmocka_unit_test_setup_teardown(test_too_many_peers, tempdir_make, tempdir_remove),
		cmocka_unit_test_setup_teardown(test_written_form, tempdir_make, tempdir_remove),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
