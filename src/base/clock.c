/* SPDX-License-Identifier: Apache-2.0
 *
 * The two clocks, and the wall clock as text. The calendar is computed here: gmtime() and timegm() would do as well,
 * but take years that RFC 3339 does not have.
 */
#include "base/clock.h"

#include <time.h>

mono_t mono_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (mono_t){.us = ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000};
}

wall_t wall_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (wall_t){.ms = ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000};
}

/* days since 1970-01-01 of a proleptic Gregorian date; the year starts in March, so that the leap day is its last */
static int64_t days_from_date(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

const char *wall_format(wall_t t, char out[static WALL_STRLEN])
{
	/* years 0000 to 9999, all that the format can hold */
	const int64_t first = INT64_C(-62167219200), last = INT64_C(253402300799);
	int64_t s = t.ms / 1000 - (t.ms % 1000 < 0);
	s = s < first ? first : s > last ? last : s;
	time_t secs = (time_t)s;
	struct tm tm = {0};
	if (!gmtime_r(&secs, &tm) || !strftime(out, WALL_STRLEN, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, WALL_STRLEN, "1970-01-01T00:00:00Z");
	if (tm.tm_year + 1900 < 1000) /* strftime does not pad years everywhere */
		snprintf(out, WALL_STRLEN, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)(tm.tm_year + 1900) % 10000u,
			 (unsigned)(tm.tm_mon + 1) % 100u, (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
			 (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
	return out;
}

/* @n digits at *s, moved behind them; -1 when there are fewer */
static int digits(const char **s, int n)
{
	int v = 0;
	for (; n > 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return -1;
		v = v * 10 + (**s - '0');
	}
	return v;
}

static bool literal(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

int wall_parse(const char *s, wall_t *ret_t)
{
	static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = digits(&s, 4);
	if (year < 0 || !literal(&s, '-'))
		return -EINVAL;
	int month = digits(&s, 2);
	if (month < 1 || month > 12 || !literal(&s, '-'))
		return -EINVAL;
	int day = digits(&s, 2);
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (day < 1 || day > month_days[month - 1] + (month == 2 && leap) || (!literal(&s, 'T') && !literal(&s, 't')))
		return -EINVAL;
	int hour = digits(&s, 2);
	if (hour < 0 || hour > 23 || !literal(&s, ':'))
		return -EINVAL;
	int minute = digits(&s, 2);
	if (minute < 0 || minute > 59 || !literal(&s, ':'))
		return -EINVAL;
	int second = digits(&s, 2);
	if (second < 0 || second > 60)
		return -EINVAL;
	if (literal(&s, '.')) {
		if (digits(&s, 1) < 0)
			return -EINVAL;
		while (*s >= '0' && *s <= '9')
			s++;
	}
	int offset_min = 0;
	if (!literal(&s, 'Z') && !literal(&s, 'z')) {
		int sign = *s == '-' ? -1 : *s == '+' ? 1 : 0;
		if (!sign)
			return -EINVAL;
		s++;
		int off_h = digits(&s, 2);
		if (off_h < 0 || off_h > 23 || !literal(&s, ':'))
			return -EINVAL;
		int off_m = digits(&s, 2);
		if (off_m < 0 || off_m > 59)
			return -EINVAL;
		offset_min = sign * (off_h * 60 + off_m);
	}
	if (*s)
		return -EINVAL;
	int64_t minutes = (days_from_date(year, month, day) * 24 + hour) * 60 + minute - offset_min;
	ret_t->ms = (minutes * 60 + second) * 1000;
	return 0;
}
