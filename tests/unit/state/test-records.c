/* SPDX-License-Identifier: Apache-2.0
 *
 * records.json: round trip and broken parts.
 */
#include "state/records.h"

#include "tempdir.h"

#define HOST "0123456789abcdef0123456789abcdef"

static const char example[] =
	"{\"version\":1,\"last_update\":\"2024-01-15T10:30:00Z\",\"domain\":\"docker-router.internal\",\"listen\":"
	"[\"127.0.0.1:4753\",\"172.17.0.1:53\"],\"listen_error\":\"\",\"containers\":[{\"id\":\"c1\",\"name\":\"shop_"
	"web_1\",\"vnis\":["
	"1000,"
	"2000],\"answered\":true,\"why\":\"\"},{\"id\":\"c2\",\"name\":\"odd\",\"vnis\":[],\"answered\":false,\"why\":"
	"\"no resolver\"}],\"records\":[{\"name\":\"\",\"kind\":\"service\",\"stack_id\":\"shop\",\"host_id\":\"" HOST
	"\",\"host_name\":\"nas\",\"vni\":1000,\"addresses\":[\"172.18.0.2\"],\"mapped\":[\"241.7.0.2\"]},{\"name\":"
	"\"web\",\"kind\":\"service\",\"stack_id\":\"shop\",\"host_id\":\"\",\"host_name\":\"\",\"vni\":1000,"
	"\"addresses\":[\"172.18.0.2\",\"fd00::2\"],\"mapped\":[]}],\"problems\":[]}";

static int from_text(const char *text, struct records *ret, struct err *e)
{
	json_t *o = json_parse_bounded(text, strlen(text), e);

	assert_non_null(o);
	int r = records_from_json(o, ret, e);
	json_decref(o);
	return r;
}

static void test_golden(void **state)
{
	struct tempdir *t = *state;
	struct records r = {0}, again = {0};
	struct err e = {0};
	autobuf struct buf b = {0};

	assert_int_equal(from_text(example, &r, &e), 0);
	assert_int_equal(r.n_containers, 2);
	assert_int_equal(r.containers[0].vnis[1], 2000);
	assert_string_equal(r.containers[1].why, "no resolver");
	assert_int_equal(r.listen[0].port, 4753);
	assert_int_equal(r.records[0].n_mapped, 1);
	str_copy(r.records[1].host_name, "\"h\\ \x01"); /* goes the long way */
	assert_int_equal(records_write(t->fd, &r, &e), 0);
	assert_int_equal(records_read(t->fd, NULL, &again, &e), 0);
	assert_string_equal(again.records[1].host_name, r.records[1].host_name);
	again.records[1].host_name[0] = '\0';
	json_t *o = records_to_json(&again);
	json_print(&b, o, JSON_COMPACT);
	json_decref(o);
	assert_string_equal(b.data, example);
	records_done(&r);
	records_done(&again);
	/* without anything, and off */
	assert_int_equal(records_write(t->fd, &r, &e), 0);
	assert_int_equal(records_read(t->fd, NULL, &again, &e), 0);
	assert_int_equal(again.n_listen, 0);
	/* as it was when there was one address only */
	assert_int_equal(from_text("{\"version\":1,\"listen\":\"127.0.0.1:4753\"}", &r, &e), 0);
	assert_int_equal(r.n_listen, 1);
	assert_int_equal(r.listen[0].port, 4753);
	records_done(&r);
	assert_int_equal(from_text("{\"version\":1,\"listen\":\"\"}", &r, &e), 0);
	assert_int_equal(r.n_listen, 0);
	records_done(&r);
	assert_string_equal(again.listen_error, "");
	records_done(&again);
}

static void test_broken(void **state)
{
	struct tempdir *t = *state;
	struct records r = {0};
	struct err e = {0};
	static const char *const refused[] = {"[]",
					      "{\"version\":3}",
					      "{\"version\":1,\"records\":5}",
					      "{\"version\":1,\"containers\":{}}",
					      "{\"version\":1,\"listen\":\"x\"}",
					      "{\"version\":1,\"listen\":5}",
					      "{\"version\":1,\"listen\":[\"127.0.0.1:1\",7]}",
					      "{\"version\":1,\"listen\":[1,2,3,4,5,6,7,8,9]}",
					      "{\"version\":1,\"domain\":7}"};
	static const char *const left_out[] = {
		"\"records\":[5]",
		"\"records\":[{\"name\":\"A\",\"kind\":\"service\",\"stack_id\":\"s\",\"vni\":1}]",
		"\"records\":[{\"name\":\"a\",\"kind\":\"odd\",\"stack_id\":\"s\",\"vni\":1}]",
		"\"records\":[{\"name\":\"a\",\"kind\":\"alias\",\"stack_id\":\"s s\",\"vni\":1}]",
		"\"records\":[{\"name\":\"a\",\"kind\":\"alias\",\"stack_id\":\"s\",\"vni\":0}]",
		"\"records\":[{\"name\":\"a\",\"kind\":\"alias\",\"stack_id\":\"s\",\"vni\":1,\"host_id\":\"x\"}]",
		"\"records\":[{\"name\":\"a\",\"kind\":\"alias\",\"stack_id\":\"s\",\"vni\":1,\"addresses\":[\"1\"]}]",
		"\"records\":[{\"name\":\"a\",\"kind\":\"alias\",\"stack_id\":\"s\",\"vni\":1,\"addresses\":["
		"\"10.0.0.1\"],\"mapped\":[\"10.0.0.2\",\"10.0.0.3\"]}]",
		"\"containers\":[{}]",
		"\"containers\":[{\"id\":\"a\",\"vnis\":[0]}]",
		"\"containers\":[{\"id\":\"a\",\"vnis\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}]",
	};

	assert_int_equal(records_read(t->fd, NULL, &r, &e), -ENOENT);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		assert_int_equal(from_text(refused[i], &r, &e), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(left_out); i++) {
		autofree char *text = xasprintf("{\"version\":1,%s}", left_out[i]);

		assert_int_equal(from_text(text, &r, &e), 0);
		assert_int_equal(r.n_records + r.n_containers, 0);
		assert_int_equal(r.problems.n, 1);
		records_done(&r);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_make, tempdir_remove)
	const struct CMUnitTest tests[] = {T(test_golden), T(test_broken)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
