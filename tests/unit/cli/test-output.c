/* SPDX-License-Identifier: Apache-2.0
 *
 * Safe text, alignment, narrow terminals, JSON from the same rows, and a disk that is full.
 */
#include "test.h"

#include <locale.h>

#include "cli/output.h"

static const struct style wide = {.utf8 = true};

static void expect_safe(const char *in, bool utf8, const char *out)
{
	autobuf struct buf b = {0};

	buf_puts(&b, "");
	text_safe(&b, in, utf8);
	assert_string_equal(b.data, out);
}

static void test_safe(void **state)
{
	expect_safe("plain \"text\" \\", true, "plain \"text\" \\");
	expect_safe("\x1b[31m\x07\n\t\x7f", true, "\\x1b[31m\\x07\\x0a\\x09\\x7f");
	expect_safe("caf\xc3\xa9 \xe4\xb8\xad", true, "caf\xc3\xa9 \xe4\xb8\xad");
	expect_safe("caf\xc3\xa9", false, "caf\\xc3\\xa9");
	expect_safe("\xc2\x9b"
		    "31m",
		    true,
		    "\\xc2\\x9b"
		    "31m"); /* CSI as one character */
	expect_safe("a\xe2\x80\xae"
		    "b",
		    true,
		    "a\\xe2\\x80\\xae"
		    "b"); /* right-to-left override */
	expect_safe("a\xe2\x80\x8b"
		    "b",
		    true,
		    "a\\xe2\\x80\\x8b"
		    "b");								     /* zero width space */
	expect_safe("\xc0\xaf \xed\xa0\x80 \xff", true, "\\xc0\\xaf \\xed\\xa0\\x80 \\xff"); /* overlong, surrogate */
	expect_safe("\xe4\xb8", true, "\\xe4\\xb8");					     /* cut in the middle */
	expect_safe("\xf4\x90\x80\x80", true, "\\xf4\\x90\\x80\\x80");			     /* beyond Unicode */
}

static void test_safe_is_bounded(void **state)
{
	autofree char *flood = xmalloc(100001);
	autobuf struct buf b = {0};

	memset(flood, 'x', 100000);
	flood[100000] = 0;
	text_safe(&b, flood, true);
	assert_int_equal(text_width(b.data, true), TEXT_MAX + 1);

	/* a tower of combining marks takes no columns, and must end all the same */
	buf_clear(&b);
	for (size_t i = 0; i < 1000; i++)
		memcpy(flood + 2 * i, "\xcc\x81", 2);
	flood[2000] = 0;
	text_safe(&b, flood, true);
	assert_true(b.len < 1000);
}

static void expect_pad(const char *in, size_t width, bool right, bool utf8, const char *out)
{
	autobuf struct buf b = {0};

	buf_puts(&b, "");
	text_pad(&b, in, width, right, utf8);
	assert_string_equal(b.data, out);
}

static void test_pad(void **state)
{
	expect_pad("ab", 4, false, true, "ab  ");
	expect_pad("ab", 4, true, true, "  ab");
	expect_pad("abcdef", 4, false, true, "abc…");
	expect_pad("abcdef", 4, false, false, "abc~");
	expect_pad("中文字", 6, false, true, "中文字");
	expect_pad("中文字", 5, false, true, "中文…");
	expect_pad("中文字", 4, false, true, "中… "); /* half a character is none */
	expect_pad("abc", 0, false, true, "");
	assert_int_equal(text_width("é中", true), 3);
}

static void test_age(void **state)
{
	char out[24];

	assert_string_equal(text_age((wall_t){0}, (wall_t){5999}, out), "5s");
	assert_string_equal(text_age((wall_t){0}, (wall_t){119 * 1000}, out), "119s");
	assert_string_equal(text_age((wall_t){0}, (wall_t){120 * 1000}, out), "2m");
	assert_string_equal(text_age((wall_t){0}, (wall_t){7200 * 1000}, out), "2h");
	assert_string_equal(text_age((wall_t){0}, (wall_t){3 * 86400 * 1000ll}, out), "3d");
	assert_string_equal(text_age((wall_t){3600 * 1000}, (wall_t){0}, out), "0s"); /* the clock was set back */
}

static const struct column columns[] = {
	{"vni", "VNI", COL_RIGHT}, {"name", "NAME", COL_SHRINK}, {"note", "NOTE", COL_HIDE}, {"id", "ID", COL_JSON}};

static struct table *sample(const char *name, const char *note)
{
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	cell_int(t, 7);
	cell_str(t, "a");
	cell_str(t, "");
	cell_str(t, "x1");
	cell_int(t, 16777215);
	cell_str(t, name);
	cell_str(t, note);
	cell_str(t, "x2");
	return t;
}

static void expect_table(struct table *t, const struct style *style, const char *out)
{
	autobuf struct buf b = {0};

	table_print(&b, t, style);
	table_free(t);
	assert_string_equal(b.data, out);
}

static void test_table(void **state)
{
	expect_table(sample("中文", ""), &wide,
		     "     VNI  NAME\n"
		     "       7  a\n"
		     "16777215  中文\n");
	expect_table(sample("b", "see"), &wide,
		     "     VNI  NAME  NOTE\n"
		     "       7  a\n"
		     "16777215  b     see\n");
	expect_table(table_new(columns, ARRAY_LEN(columns)), &wide, "VNI  NAME\n");
}

static void test_table_shrinks_only_where_it_must(void **state)
{
	struct style narrow = {.utf8 = true, .width = 20};

	/* no terminal: never cut */
	expect_table(sample("a-name-of-thirty-columns-or-so", ""), &wide,
		     "     VNI  NAME\n"
		     "       7  a\n"
		     "16777215  a-name-of-thirty-columns-or-so\n");
	expect_table(sample("a-name-of-thirty-columns-or-so", ""), &narrow,
		     "     VNI  NAME\n"
		     "       7  a\n"
		     "16777215  a-name-of…\n");
	/* it fits: as it is */
	expect_table(sample("exactly-10", ""), &narrow,
		     "     VNI  NAME\n"
		     "       7  a\n"
		     "16777215  exactly-10\n");
	/* hopeless: down to the floor, and wider than the terminal */
	narrow.width = 5;
	expect_table(sample("a-name-of-thirty-columns-or-so", ""), &narrow,
		     "     VNI  NAME\n"
		     "       7  a\n"
		     "16777215  a-name-…\n");
}

static void test_json_has_the_same_rows(void **state)
{
	json_t *list = table_json(sample("web\x1b", "cut \xe4\xb8"));

	assert_int_equal(json_array_size(list), 2);
	json_t *row = json_array_get(list, 1);
	assert_int_equal(json_integer_value(json_object_get(row, "vni")), 16777215);
	assert_string_equal(json_string_value(json_object_get(row, "name")), "web\x1b"); /* escaped when printed */
	assert_string_equal(json_string_value(json_object_get(row, "note")), "cut \\xe4\\xb8");
	assert_string_equal(json_string_value(json_object_get(row, "id")), "x2");
	json_decref(list);
}

static char *printed(bool json, void (*fill)(struct output *o))
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct output o;

	output_begin(&o, f, json, false);
	fill(&o);
	assert_int_equal(output_end(&o), 0);
	fclose(f);
	return text;
}

static void fill(struct output *o)
{
	o->style.utf8 = true;
	output_line(o, "hello %s", "\x1b]0;x\x07");
	output_table(o, "things", "Things", NULL, sample("b", ""));
	output_table(o, "none", NULL, "No such thing.", table_new(columns, ARRAY_LEN(columns)));
	output_value(o, "extra", json_string("\xc2\x9b"));
	output_gap(o);
	output_block(o, 2, "networks:\n  \x1b[0m:\n\nend");
}

static void test_output(void **state)
{
	autofree char *text = printed(false, fill), *json = printed(true, fill);

	assert_string_equal(text, "hello \\x1b]0;x\\x07\n"
				  "\nThings\n"
				  "     VNI  NAME\n"
				  "       7  a\n"
				  "16777215  b\n"
				  "No such thing.\n"
				  "\n"
				  "  networks:\n"
				  "    \\x1b[0m:\n"
				  "\n"
				  "  end\n");
	assert_null(strstr(json, "\xc2\x9b"));
	assert_non_null(strstr(json, "\\u009B"));
	json_t *root = json_loads(json, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(root, "things")), 2);
	assert_int_equal(json_array_size(json_object_get(root, "none")), 0);
	json_decref(root);
}

static void test_full_disk(void **state)
{
	for (int json = 0; json < 2; json++) {
		FILE *f = fopen("/dev/full", "we");
		struct output o;

		assert_non_null(f);
		output_begin(&o, f, json, false);
		output_line(&o, "x");
		assert_int_equal(output_end(&o), -ENOSPC);
		fclose(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_safe),
		cmocka_unit_test(test_safe_is_bounded),
		cmocka_unit_test(test_pad),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_shrinks_only_where_it_must),
		cmocka_unit_test(test_json_has_the_same_rows),
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_full_disk),
	};

	/* wcwidth() knows wide characters only in a UTF-8 locale */
	setenv("LC_ALL", "C.UTF-8", 1);
	setlocale(LC_CTYPE, "");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
