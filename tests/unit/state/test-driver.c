/* SPDX-License-Identifier: Apache-2.0
 *
 * driver.json: round trip, and entries that are broken.
 */
#include "state/driver.h"

#include "tempdir.h"

#define NET "b543c0d565ab511725fb948ceb57ff57"
#define END "f6f32e8f5942d9ae5e999beb6e236a0a"

static const char example[] =
	"{\"version\":1,\"last_update\":\"2026-01-01T00:00:00Z\",\"networks\":[{\"id\":\"" NET
	"\",\"parent\":\"br-lan\",\"kind\":\"auto\",\"ipam\":\"dhcp\",\"mtu\":0,\"wait\":10,\"gateways\":[\"192.0.2."
	"1\","
	"\"2001:db8::1\"],\"internal\":false}],\"endpoints\":[{\"id\":\"" END "\",\"network\":\"" NET
	"\",\"name\":\"web\",\"kind\":\"bridge\",\"mac\":\"02:00:00:00:00:01\",\"mac_given\":true,\"address\":\"192.0."
	"2.7/24\","
	"\"address6\":\"\",\"gateway\":\"192.0.2.1\",\"sandbox\":\"/var/run/docker/netns/"
	"x\",\"since\":\"2026-01-01T00:00:00Z\","
	"\"lease\":{\"server\":\"192.0.2.1\",\"server_mac\":\"02:00:00:00:00:02\",\"since\":\"2026-01-01T00:00:00Z\","
	"\"seconds\":3600,\"t1\":1800,\"t2\":3150}}],\"kept\":[{\"network\":\"" NET
	"\",\"mac\":\"02:00:00:00:00:03\",\"mac_given\":false,\"address\":\"192.0.2.8\"}]}";

static int from_text(const char *text, struct driver_state *ret, size_t *bad)
{
	struct err err = {0};
	json_t *o = json_parse_bounded(text, strlen(text), &err);

	assert_non_null(o);
	int r = driver_state_from_json(o, ret, bad, &err);
	json_decref(o);
	return r;
}

static void test_golden(void **state)
{
	struct tempdir *t = *state;
	struct driver_state s = {0}, again = {0};
	struct err err = {0};
	size_t bad = 0;
	autobuf struct buf b = {0};

	assert_int_equal(from_text(example, &s, &bad), 0);
	assert_int_equal(bad, 0);
	json_t *o = driver_state_to_json(&s);
	json_print(&b, o, JSON_COMPACT);
	json_decref(o);
	assert_string_equal(b.data, example);
	assert_int_equal(driver_state_write(t->fd, &s, true, &err), 0);
	assert_int_equal(driver_state_read(t->fd, NULL, &again, &bad, &err), 0);
	assert_int_equal(again.n_endpoints, 1);
	assert_memory_equal(&again.endpoints[0], &s.endpoints[0], sizeof(s.endpoints[0]));
	driver_state_done(&s);
	driver_state_done(&again);
}

static void test_broken(void **state)
{
	static const char *const texts[] = {
		"{\"version\":1,\"networks\":[{\"id\":\"../x\"}]}",
		"{\"version\":1,\"networks\":[{\"id\":\"" NET
		"\",\"parent\":\"br-lan\",\"kind\":\"x\",\"ipam\":\"dhcp\"}]}",
		"{\"version\":1,\"endpoints\":[5]}",
		"{\"version\":1,\"endpoints\":[{\"id\":\"" END "\",\"network\":\"" NET
		"\",\"kind\":\"auto\",\"mac\":\"02:00:00:00:00:01\"}]}",
		"{\"version\":1,\"endpoints\":[{\"id\":\"" END "\",\"network\":\"" NET
		"\",\"kind\":\"bridge\",\"mac\":\"02:00:00:00:00:01\",\"name\":\"a b\"}]}",
		"{\"version\":1,\"kept\":[{\"network\":\"" NET "\"}]}",
	};
	struct driver_state s;
	size_t bad;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		bad = 0;
		assert_int_equal(from_text(texts[i], &s, &bad), 0);
		assert_int_equal(bad, 1);
		assert_int_equal(s.n_networks + s.n_endpoints + s.n_kept, 0);
		driver_state_done(&s);
	}
	assert_int_equal(from_text("[]", &s, &bad), -EINVAL);
	assert_int_equal(from_text("{\"version\":2}", &s, &bad), -EINVAL);
}

static void test_names(void **state)
{
	char host[16], peer[16];

	/* of running systems: never change them */
	driver_link_names(END, host, peer);
	assert_int_equal(strlen(host), 11);
	assert_memory_equal(host, "drp", 3);
	assert_memory_equal(peer, "drq", 3);
	assert_string_equal(host + 3, peer + 3);
	assert_true(driver_name_valid("web-1"));
	assert_false(driver_name_valid("-web") || driver_name_valid("web-") || driver_name_valid("") ||
		     driver_name_valid("a.b"));
	assert_false(driver_id_valid("short") || driver_id_valid("0123456789ab/") || driver_id_valid(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_golden, tempdir_make, tempdir_remove),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
