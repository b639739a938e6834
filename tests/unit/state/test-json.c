/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounded JSON: what is refused and in which words, getters, problems, files.
 */
#include "state/json.h"

#include "tempdir.h"

static json_t *parse(const char *text)
{
	struct err e = {0};
	json_t *v = json_parse_bounded(text, strlen(text), &e);
	if (!v)
		fail_msg("%s: %s", text, e.text);
	return v;
}

static void refused(const char *text, size_t len, const char *why)
{
	struct err e = {0};
	assert_null(json_parse_bounded(text, len, &e));
	assert_true(e.code < 0);
	if (!strstr(e.text, why))
		fail_msg("\"%s\" does not tell of \"%s\"", e.text, why);
}

static void test_refused(void **state)
{
	refused("", 0, "empty");
	refused("{", 1, "no JSON");
	refused("{\"a\":1,\"a\":2}", 13, "duplicate");
	refused("{\"a\":NaN}", 9, "no JSON");
	refused("{\"a\":1e999}", 11, "no JSON");
	refused("{\"a\":99999999999999999999}", 26, "no JSON");
	refused("{\"a\":\"\\u0000\"}", 14, "no JSON");
	refused("{\"a\":\"\xff\"}", 9, "no JSON");
	refused("{\"a\":\"x\0y\"}", 11, "no JSON");
	refused("{} x", 4, "no JSON");
	refused("\0", 1, "no JSON");
}

static void test_depth(void **state)
{
	char text[201];
	memset(text, '[', 100);
	memset(text + 100, ']', 100);
	text[200] = '\0';
	refused(text, 200, "deeper");
	json_decref(parse("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"));
	refused("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", 66, "deeper");
	/* brackets in a string are text, and an escaped quote does not end it */
	json_decref(parse("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[[[[[[[[[[\"]"));
}

static void test_many_values(void **state)
{
	struct buf b = {0};
	buf_puts(&b, "[0");
	for (int i = 0; i < 1100000; i++)
		buf_append(&b, ",0", 2);
	buf_puts(&b, "]");
	refused(b.data, b.len, "values");
	buf_done(&b);
}

static void test_get_str(void **state)
{
	json_t *o = parse("{\"s\":\"abc\",\"n\":1,\"null\":null,\"empty\":\"\"}");
	struct err e = {0};
	char s[4] = "zz";
	assert_int_equal(json_get_str(o, "none", s, sizeof(s), &e), -ENOENT);
	assert_int_equal(json_get_str(o, "null", s, sizeof(s), &e), -ENOENT);
	assert_int_equal(json_get_str(o, "n", s, sizeof(s), &e), -EINVAL);
	assert_string_equal(e.text, "n: 1 is not a string");
	assert_int_equal(json_get_str(o, "s", s, 3, &e), -EINVAL);
	assert_string_equal(e.text, "s: 3 bytes, at most 2 are allowed");
	assert_string_equal(s, "zz");
	assert_int_equal(json_get_str(o, "s", s, sizeof(s), &e), 0);
	assert_string_equal(s, "abc");
	assert_int_equal(json_get_str(o, "empty", s, sizeof(s), NULL), 0);
	assert_string_equal(s, "");
	/* not an object at all */
	assert_int_equal(json_get_str(NULL, "s", s, sizeof(s), &e), -ENOENT);
	json_decref(o);
	o = parse("[1]");
	assert_int_equal(json_get_str(o, "s", s, sizeof(s), &e), -ENOENT);
	json_decref(o);
}

static void test_get_int(void **state)
{
	json_t *o = parse("{\"n\":4789,\"r\":1.0,\"s\":\"1\",\"big\":9223372036854775807,\"b\":true,\"a\":[]}");
	static const char *const bad[] = {"r", "s", "big", "b", "a"};
	struct err e = {0};
	int64_t n = 5;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(json_get_int(o, bad[i], 1, 65535, &n, &e), -EINVAL);
	assert_string_equal(e.text, "a: an array is not a whole number from 1 to 65535");
	assert_int_equal(n, 5);
	assert_int_equal(json_get_int(o, "n", 4790, 65535, &n, &e), -EINVAL);
	assert_int_equal(json_get_int(o, "n", 4789, 4789, &n, &e), 0);
	assert_int_equal(n, 4789);
	assert_int_equal(json_get_int(o, "big", 0, INT64_MAX, &n, &e), 0);
	assert_true(n == INT64_MAX);
	json_decref(o);
}

static void test_get_others(void **state)
{
	static const char *const names[] = {"red", "green"};
	json_t *o = parse("{\"ip\":\"10.0.0.1\",\"badip\":\"10.0.0\",\"mac\":\"02:00:00:00:00:01\",\"b\":true,"
			  "\"p\":[\"10.1.2.3/8\",\"fd00::/64\"],\"badp\":[\"10.0.0.0/8\",7],\"none\":\"\","
			  "\"e\":\"green\",\"t\":\"2024-01-15T10:30:00Z\",\"o\":{}}");
	struct err e = {0};
	struct ip ip = {0};
	struct mac mac = {0};
	struct prefix p[2] = {0};
	wall_t t = {0};
	char text[PREFIX_STRLEN];
	size_t n = 9;
	bool b = false;
	assert_int_equal(json_get_ip(o, "ip", &ip, &e), 0);
	assert_string_equal(ip_format(&ip, text), "10.0.0.1");
	assert_int_equal(json_get_ip(o, "none", &ip, &e), -ENOENT);
	assert_int_equal(json_get_ip(o, "badip", &ip, &e), -EINVAL);
	assert_string_equal(e.text, "badip: \"10.0.0\" is not an IP address");
	assert_int_equal(json_get_mac(o, "mac", &mac, &e), 0);
	assert_int_equal(mac.b[5], 1);
	assert_int_equal(json_get_mac(o, "ip", &mac, &e), -EINVAL);
	assert_int_equal(json_get_bool(o, "b", &b, &e), 0);
	assert_true(b);
	assert_int_equal(json_get_bool(o, "ip", &b, &e), -EINVAL);
	assert_int_equal(json_get_prefixes(o, "p", p, 1, &n, &e), -EINVAL);
	assert_int_equal(json_get_prefixes(o, "badp", p, 2, &n, &e), -EINVAL);
	assert_int_equal(json_get_prefixes(o, "o", p, 2, &n, &e), -EINVAL);
	assert_int_equal(n, 9);
	assert_true(ip_is_none(&p[0].ip));
	assert_int_equal(json_get_prefixes(o, "p", p, 2, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(prefix_format(&p[0], text), "10.0.0.0/8");
	assert_int_equal(json_get_enum(o, "e", names, 2, &e), 1);
	assert_int_equal(json_get_enum(o, "ip", names, 2, &e), -EINVAL);
	assert_string_equal(e.text, "ip: \"10.0.0.1\" is not one of red, green");
	assert_int_equal(json_get_wall(o, "t", &t, &e), 0);
	assert_true(t.ms == 1705314600000);
	assert_int_equal(json_get_wall(o, "ip", &t, &e), -EINVAL);
	json_decref(o);
}

static void test_name(void **state)
{
	char longer[LIMIT_NAME + 1];
	memset(longer, 'a', sizeof(longer));
	longer[LIMIT_NAME] = '\0';
	assert_false(name_valid(longer));
	longer[LIMIT_NAME - 1] = '\0';
	assert_true(name_valid(longer));
	assert_true(name_valid("My_stack-1.x") && name_valid("0") && name_valid("_x"));
	assert_false(name_valid("") || name_valid("-x") || name_valid(".x") || name_valid("a b") || name_valid("a/b") ||
		     name_valid("\xc3\xa9"));
}

static void test_put_and_print(void **state)
{
	struct buf b = {0};
	json_t *o = json_object();
	json_put_str(o, "z", "caf\xc3\xa9\xc2\x9b");
	json_put_str(o, "broken", "a\xff");
	json_put_int(o, "a", -1);
	json_put_wall(o, "t", (wall_t){0});
	json_put_mac(o, "mac", &(struct mac){0});
	json_put_ip(o, "ip", &(struct ip){0});
	json_print(&b, o, JSON_COMPACT);
	assert_string_equal(b.data, "{\"z\":\"caf\\u00E9\\u009B\",\"broken\":\"a\\\\xff\",\"a\":-1,"
				    "\"t\":\"1970-01-01T00:00:00Z\",\"mac\":\"\",\"ip\":\"\"}");
	json_decref(o);
	buf_done(&b);
}

static void test_problems(void **state)
{
	struct problems p = {0}, again = {0};
	problems_add(&p, "network x", "do\nthis", "it %s", "broke");
	problems_add(&p, "network y", NULL, "too");
	json_t *array = problems_to_json(&p);
	json_array_append_new(array, json_integer(5));
	json_array_append_new(array, json_object());
	problems_from_json(array, &again);
	problems_from_json(NULL, &again);
	assert_int_equal(again.n, 2);
	assert_string_equal(again.v[0].object, "network x");
	assert_string_equal(again.v[0].text, "it broke");
	assert_string_equal(again.v[0].cure, "do\nthis");
	assert_string_equal(again.v[1].cure, "");
	json_decref(array);
	for (int i = 0; i < 10000; i++)
		problems_add(&p, "o", "", "%d", i);
	assert_int_equal(p.n, LIMIT_PROBLEMS);
	assert_string_equal(p.v[p.n - 1].text, "there are more than are told here");
	problems_done(&p);
	problems_done(&again);
	problems_done(&again);
}

static void test_version(void **state)
{
	static const char *const bad[] = {"[]", "{}", "{\"version\":2}", "{\"version\":\"1\"}", "5"};
	struct err e = {0};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		json_t *o = json_loads(bad[i], JSON_DECODE_ANY, NULL);
		assert_int_equal(json_check_version(o, "x.json", &e), -EINVAL);
		json_decref(o);
	}
	assert_int_equal(json_check_version(NULL, "x.json", &e), -EINVAL);
	json_t *o = parse("{\"version\":1}");
	assert_int_equal(json_check_version(o, "x.json", &e), 0);
	json_decref(o);
}

static void test_files(void **state)
{
	struct tempdir *t = *state;
	struct err e = {0};
	json_t *o = NULL;
	assert_int_equal(state_read_json(t->fd, "x.json", NULL, &o, &e), -ENOENT);
	tempdir_put(t, "x.json", "");
	assert_int_equal(state_read_json(t->fd, "x.json", NULL, &o, &e), -EINVAL);
	assert_string_equal(e.text, "x.json: empty, no JSON");
	o = parse("{\"b\":[1],\"a\":{}}");
	assert_int_equal(state_write_json(t->fd, "x.json", o, &e), 0);
	json_decref(o);
	assert_int_equal(state_read_json(t->fd, "x.json", NULL, &o, &e), 0);
	assert_int_equal(json_array_size(json_object_get(o, "b")), 1);
	json_decref(o);
	autobuf struct buf text = {0};
	assert_int_equal(file_read(t->fd, "x.json", 1000, NULL, &text, &e), 0);
	assert_string_equal(text.data, "{\n \"b\": [\n  1\n ],\n \"a\": {}\n}\n");
	struct stat st;
	assert_int_equal(fstatat(t->fd, "x.json", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_many_values),
		cmocka_unit_test(test_get_str),
		cmocka_unit_test(test_get_int),
		cmocka_unit_test(test_get_others),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_put_and_print),
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_version),
		cmocka_unit_test_setup_teardown(test_files, tempdir_make, tempdir_remove),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
