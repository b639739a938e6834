/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks: they run, and RFC 3339 both ways, with the dates where calendars go wrong.
 */
#include "base/clock.h"

#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_now(void **state)
{
	mono_t a = mono_now(), b = mono_now();
	assert_true(a.us > 0 && b.us >= a.us);
	int64_t off = wall_now().ms / 1000 - (int64_t)time(NULL);
	assert_true(off >= -1 && off <= 1);
}

static void test_format(void **state)
{
	char text[WALL_STRLEN];
	assert_string_equal(wall_format((wall_t){0}, text), "1970-01-01T00:00:00Z");
	assert_string_equal(wall_format((wall_t){.ms = -1}, text), "1969-12-31T23:59:59Z");
	assert_string_equal(wall_format((wall_t){.ms = 1705314600999}, text), "2024-01-15T10:30:00Z");
	assert_string_equal(wall_format((wall_t){.ms = INT64_MAX}, text), "9999-12-31T23:59:59Z");
	assert_string_equal(wall_format((wall_t){.ms = INT64_MIN}, text), "0000-01-01T00:00:00Z");
}

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{"2024-01-15T10:30:00Z", 1705314600000},
		{"2024-01-15T10:30:00.999999999Z", 1705314600000},
		{"2024-01-15T11:30:00+01:00", 1705314600000},
		{"2024-01-15T01:00:00-09:30", 1705314600000},
		{"2024-02-29T00:00:00z", 1709164800000},
		{"2000-02-29t00:00:00Z", 951782400000},
		{"1969-12-31T23:59:59Z", -1000},
		{"2016-12-31T23:59:60Z", 1483228800000},
		{"0000-01-01T00:00:00Z", -62167219200000},
		{"9999-12-31T23:59:59Z", 253402300799000},
	};
	static const char *const bad[] = {"",
					  "2024-01-15",
					  "2024-01-15T10:30:00",
					  "2024-01-15T10:30Z",
					  "2024-1-15T10:30:00Z",
					  "2024-13-15T10:30:00Z",
					  "2023-02-29T00:00:00Z",
					  "1900-02-29T00:00:00Z",
					  "2024-04-31T00:00:00Z",
					  "2024-01-15T24:00:00Z",
					  "2024-01-15T10:60:00Z",
					  "2024-01-15T10:30:61Z",
					  "2024-01-15T10:30:00.Z",
					  "2024-01-15T10:30:00+1:00",
					  "2024-01-15T10:30:00+24:00",
					  "2024-01-15T10:30:00Z ",
					  "-024-01-15T10:30:00Z",
					  "2024-01-15 10:30:00Z"};
	wall_t t = {.ms = 5};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (wall_parse(bad[i], &t) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	assert_int_equal(t.ms, 5);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(wall_parse(good[i].text, &t), 0);
		assert_true(t.ms == good[i].ms);
	}
}

/* every day of 150 years, against the C library */
static void test_days(void **state)
{
	char text[WALL_STRLEN];
	for (int64_t day = -10000; day < 50000; day++) {
		wall_t t = {.ms = day * 86400000}, again;
		time_t secs = (time_t)(day * 86400);
		struct tm tm;
		char want[WALL_STRLEN];
		assert_non_null(gmtime_r(&secs, &tm));
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%SZ", &tm);
		assert_string_equal(wall_format(t, text), want);
		assert_int_equal(wall_parse(text, &again), 0);
		assert_true(again.ms == t.ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_now),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_days),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
