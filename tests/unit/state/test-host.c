/* SPDX-License-Identifier: Apache-2.0
 *
 * host.json: round trip and broken parts.
 */
#include "state/host.h"

#include "tempdir.h"

static const char example[] =
	"{\"version\":1,\"last_update\":\"2024-01-15T10:30:00Z\",\"pid\":100,\"instance\":\"89abcdef\",\"run_dir\":"
	"\"/run/docker-router/"
	"89abcdef\",\"netns\":\"net:[4026531840]\",\"release\":\"0.1.0\",\"refused\":\"x\",\"roles\":[{\"role\":"
	"\"router\","
	"\"pid\":103,\"state\":\"running\",\"since\":\"2024-01-15T10:00:00Z\",\"restarts\":2,\"last_exit\":\"signal "
	"9\"}]}";

static int from_text(const char *text, struct host_state *ret, struct err *e)
{
	json_t *o = json_parse_bounded(text, strlen(text), e);
	assert_non_null(o);
	int r = host_state_from_json(o, ret, e);
	json_decref(o);
	return r;
}

static void test_golden(void **state)
{
	struct tempdir *t = *state;
	struct host_state s = {0}, again = {0};
	struct err e = {0};
	assert_int_equal(from_text(example, &s, &e), 0);
	assert_int_equal(s.roles[0].state, ROLE_RUNNING);
	assert_int_equal(s.roles[0].restarts, 2);
	autobuf struct buf b = {0};
	json_t *o = host_state_to_json(&s);
	json_print(&b, o, JSON_COMPACT);
	json_decref(o);
	assert_string_equal(b.data, example);
	assert_int_equal(host_state_write(t->fd, &s, &e), 0);
	assert_int_equal(host_state_read(t->fd, NULL, &again, &e), 0);
	assert_memory_equal(&again, &s, sizeof(s));
}

static void test_broken(void **state)
{
	struct host_state s = {.pid = 5};
	struct err e = {0};
	assert_int_equal(from_text("{\"version\":1,\"pid\":\"1\"}", &s, &e), -EINVAL);
	assert_string_equal(e.text, "host.json: pid: \"1\" is not a whole number from 0 to 2147483647");
	assert_int_equal(from_text("[]", &s, &e), -EINVAL);
	assert_int_equal(s.pid, 5);
	assert_int_equal(from_text("{\"version\":1,\"roles\":[5,{\"role\":\"x\"},{\"role\":\"x\",\"state\":\"odd\"},"
				   "{\"role\":\"router\",\"state\":\"waiting\"}]}",
				   &s, &e),
			 0);
	assert_int_equal(s.n_roles, 1);
	assert_int_equal(s.roles[0].state, ROLE_WAITING);
	struct buf b = {0};
	buf_puts(&b, "{\"version\":1,\"roles\":[");
	for (int i = 0; i < 100; i++)
		buf_printf(&b, "%s{\"role\":\"r\",\"state\":\"stopped\"}", i ? "," : "");
	buf_puts(&b, "]}");
	assert_int_equal(from_text(b.data, &s, &e), 0);
	assert_int_equal(s.n_roles, ARRAY_LEN(s.roles));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_golden, tempdir_make, tempdir_remove),
		cmocka_unit_test(test_broken),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
