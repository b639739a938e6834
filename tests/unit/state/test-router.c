/* SPDX-License-Identifier: Apache-2.0
 *
 * router.json: round trip, and that one broken route does not cost the memory of the others.
 */
#include "state/router.h"

#include "tempdir.h"

static struct router_state from_text(const char *text)
{
	struct router_state s = {0};
	struct err e = {0};
	json_t *o = json_parse_bounded(text, strlen(text), &e);
	if (!o || router_state_from_json(o, &s, &e) < 0)
		fail_msg("%s", e.text);
	json_decref(o);
	return s;
}

#define HOST "0123456789abcdef0123456789abcdef"

static const char example[] =
	"{\"version\":1,\"last_update\":\"2024-01-15T10:30:00Z\",\"datapath\":\"auto\",\"plan\":{\"runs\":7,"
	"\"operations\":"
	"123,\"failed\":1,\"last_us\":1850},\"vnis\":[{\"vni\":1000,\"namespace\":\"/run/docker-router/x/"
	"vni-1000\",\"mtu\":"
	"1450,\"devices\":[{\"name\":\"vx1000\",\"local\":\"192.0.2.1\",\"port\":4789},{\"name\":\"vx1000-6\","
	"\"local\":"
	"\"2001:db8::1\",\"port\":4789}],\"legs\":[{\"stack_id\":\"shop\",\"network\":\"shop_default\",\"bridge\":"
	"\"br-0123\",\"name\":\"drl-89ab\"}],\"nics\":[{\"container\":\"shop_web_1\",\"name\":\"dr1000\",\"grade\":"
	"\"nic\"}],\"routes\":[{\"prefix\":\"10.71.0.0/24\",\"host_id\":\"" HOST
	"\",\"stack_id\":\"shop\",\"host_ip\":\"\"},"
	"{\"prefix\":\"10.72.0.0/24\",\"host_id\":\"" HOST "\",\"stack_id\":\"blog\",\"host_ip\":\"192.0.2.2\"},"
	"{\"prefix\":\"241.7.0.0/16\",\"subnet\":\"172.18.0.0/16\",\"host_id\":\"" HOST
	"\",\"stack_id\":\"wiki\",\"host_ip\":\"192.0.2.2\"}]}],"
	"\"refused\":[{\"vni\":1000,\"prefix\":\"172.18.0.0/16\",\"host_id\":\"" HOST
	"\",\"stack_id\":\"blog\",\"established\":true,\"with\":"
	"\"stack shop on nas\",\"cure\":\"ipam:\\n  config:\\n  - subnet: 10.9.0.0/24\"}],"
	"\"held\":[{\"vni\":1000,\"prefix\":\"172.19.0.0/16\",\"host_id\":\"" HOST
	"\",\"stack_id\":\"wiki\"}],\"pending\":[{\"operation\":"
	"\"leg of shop\",\"why\":\"no bridge yet\"}],\"problems\":[{\"object\":\"o\",\"text\":\"t\",\"cure\":\"c\"}]}";

static void test_golden(void **state)
{
	struct router_state s = from_text(example);
	assert_int_equal(s.runs, 7);
	assert_int_equal(s.n_vnis, 1);
	assert_int_equal(s.vnis[0].n_routes, 3);
	assert_true(ip_is_none(&s.vnis[0].routes[1].subnet.ip));
	assert_int_equal(s.vnis[0].routes[2].subnet.len, 16);
	assert_int_equal(s.n_held, 1);
	assert_string_equal(s.held[0].stack_id, "wiki");
	assert_true(ip_is_none(&s.vnis[0].routes[0].host_ip));
	assert_true(s.refused[0].established);
	assert_string_equal(s.refused[0].cure, "ipam:\n  config:\n  - subnet: 10.9.0.0/24");
	autobuf struct buf b = {0};
	json_t *o = router_state_to_json(&s);
	json_print(&b, o, JSON_COMPACT);
	assert_string_equal(b.data, example);
	json_decref(o);
	router_state_done(&s);
	router_state_done(&s);
}

static void test_tolerance(void **state)
{
	struct router_state s = from_text(
		"{\"version\":1,\"last_update\":7,\"plan\":{\"runs\":-1,\"operations\":\"x\",\"last_us\":5},\"vnis\":["
		"5,"
		"{\"vni\":0},{\"vni\":1,\"devices\":[{\"name\":\"a\"},{\"name\":\"b\",\"port\":1},{\"name\":\"c\","
		"\"port\":1},{\"name\":\"d\",\"port\":1}],\"legs\":[{}],\"nics\":[{\"container\":5}],\"routes\":["
		"{\"prefix\":\"10.9.0.0/16\",\"host_id\":\"a\",\"stack_id\":\"a\"},{\"prefix\":\"x\"},7,"
		"{\"prefix\":\"10.7.0.0/16\",\"subnet\":\"x\",\"host_id\":\"a\",\"stack_id\":\"a\"},"
		"{\"prefix\":\"10.8.0.1/16\",\"host_id\":\"a\",\"stack_id\":\"a\"}]}],"
		"\"refused\":[{\"vni\":1},{\"vni\":1,\"prefix\":\"10.0.0.0/"
		"8\",\"with\":5}],\"held\":[3,{\"vni\":1,\"prefix\":\"10.0.0.0/8\"}],\"pending\":[{\"why\":\"x\"}]}");
	char text[PREFIX_STRLEN];
	assert_int_equal(s.runs, 0);
	assert_int_equal(s.last_us, 5);
	assert_int_equal(s.n_vnis, 1);
	assert_int_equal(s.vnis[0].n_devices, 2);
	assert_int_equal(s.vnis[0].n_legs + s.vnis[0].n_nics, 0);
	assert_int_equal(s.vnis[0].n_routes, 2);
	assert_string_equal(prefix_format(&s.vnis[0].routes[0].prefix, text), "10.8.0.0/16");
	assert_int_equal(s.n_refused + s.n_held + s.n_pending, 0);
	/* time, 2 vnis, device, leg, nic, 3 routes, 2 refused, 2 held, pending */
	assert_int_equal(s.problems.n, 1 + 2 + 1 + 1 + 1 + 3 + 2 + 2 + 1);
	router_state_done(&s);
}

static void test_file(void **state)
{
	struct tempdir *t = *state;
	struct router_state a = from_text(example), b = {0};
	struct err e = {0};
	/* enough routes to take the path that gives memory back */
	for (unsigned i = 0; i < 2000; i++) {
		struct rs_vni *v = &a.vnis[0];
		struct rs_route *r = xgrow(&v->routes, v->n_routes, &v->cap_routes);
		*r = v->routes[0];
		r->prefix = (struct prefix){.ip = {.family = AF_INET, .b = {250, (uint8_t)(i >> 8), (uint8_t)i}},
					    .len = 24};
		v->n_routes++;
	}
	assert_int_equal(router_state_read(t->fd, NULL, &b, &e), -ENOENT);
	assert_int_equal(router_refused_read(t->fd, NULL, &b, &e), -ENOENT);
	assert_int_equal(router_state_write(t->fd, &a, &e), 0);
	assert_int_equal(router_state_read(t->fd, NULL, &b, &e), 0);
	struct router_state refused = {0};
	assert_int_equal(router_refused_read(t->fd, NULL, &refused, &e), 0);
	assert_int_equal(refused.n_vnis, 0);
	assert_int_equal(refused.n_refused, 1);
	assert_string_equal(refused.refused[0].stack_id, "blog");
	assert_int_equal(refused.n_held, 1);
	router_state_done(&refused);
	json_t *want = router_state_to_json(&a), *got = router_state_to_json(&b);
	assert_true(json_equal(want, got));
	json_decref(want);
	json_decref(got);
	router_state_done(&a);
	router_state_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_tolerance),
		cmocka_unit_test_setup_teardown(test_file, tempdir_make, tempdir_remove),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
