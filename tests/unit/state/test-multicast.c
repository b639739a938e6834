/* SPDX-License-Identifier: Apache-2.0
 *
 * multicast.json and back, and what is malformed in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "state/multicast.h"

static void parse(const char *text, struct multicast_state *ret)
{
	struct err err = {0};
	json_t *root = json_parse_bounded(text, strlen(text), &err);

	assert_non_null(root);
	if (multicast_state_from_json(root, ret, &err) != 0)
		fail_msg("%s", err.text);
	json_decref(root);
}

static void test_round_trip(void **state)
{
	static const char text[] =
		"{\"version\":1,\"last_update\":\"2026-01-01T00:00:00Z\",\"legs\":[{\"leg\":1,\"lan\":true,\"name\":"
		"\"eth0\","
		"\"network\":\"\",\"interface\":\"eth0\",\"wants\":\"ssdp\",\"addresses\":[\"192.0.2.1\"],\"subnets\":["
		"\"192.0.2.0/24\"],\"querier\":["
		"\"asking\",\"other\"],\"querier_other\":[\"\",\"fe80::1\"],\"heard\":3,"
		"\"sent\":4,"
		"\"dropped\":[{\"why\":\"rate\",\"n\":2}]}],\"devices\":[{\"leg\":1,\"from\":\"192.0.2.9\",\"usn\":"
		"\"uuid:1\","
		"\"location\":\"http://192.0.2.9/\",\"seconds\":10,\"heard\":1}],\"services\":[{\"from\":1,\"to\":2,"
		"\"inside\":\"172.30.0.2:8200\",\"outside\":\"192.0.2.1:61900\",\"connections\":1,\"open\":1,"
		"\"refused\":0,"
		"\"bytes\":5,\"rewritten\":6,\"error\":\"\"}],\"groups\":[{\"leg\":1,\"group\":\"239.1.2.3\",\"mode\":"
		"\"include\",\"sources\":2,\"reporter\":\"192.0.2.7\",\"bridge\":false}],\"advertised\":["
		"\"2001:db8:30::/64\"],\"counts\":[{\"what\":\"ssdp "
		"searches\",\"n\":7}],\"problems\":[]}";
	struct multicast_state s;
	autobuf struct buf again = {0};

	parse(text, &s);
	assert_int_equal(s.n_legs, 1);
	assert_int_equal(s.legs[0].drops[0].n, 2);
	assert_int_equal(s.services[0].outside.port, 61900);
	assert_int_equal(s.n_advertised, 1);
	json_t *root = multicast_state_to_json(&s);
	json_print(&again, root, JSON_COMPACT);
	assert_string_equal(again.data, text);
	json_decref(root);
	multicast_state_done(&s);
}

static void test_malformed(void **state)
{
	struct multicast_state s;
	struct err err;
	json_t *root = json_pack("{si}", "version", 2);

	assert_int_equal(multicast_state_from_json(root, &s, &err), -EINVAL);
	json_decref(root);
	parse("{\"version\":1,\"legs\":[{\"leg\":0},{\"leg\":1,\"heard\":-1},{\"leg\":1,\"addresses\":[\"x\"]},7,{"
	      "\"leg\":2}],"
	      "\"devices\":[{}],\"services\":[{\"inside\":\"x\"}],\"counts\":3,\"problems\":\"none\",\"advertised\":["
	      "\"x\"]}",
	      &s);
	assert_int_equal(s.n_legs, 1);
	assert_int_equal(s.legs[0].leg, 2);
	assert_int_equal(s.n_devices + s.n_services + s.n_counts, 0);
	assert_int_equal(s.n_advertised, 0);
	assert_int_equal(s.problems.n, 8);
	assert_non_null(strstr(s.problems.v[0].text, "legs[0] is left out"));
	multicast_state_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_malformed)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
