/* SPDX-License-Identifier: Apache-2.0
 *
 * Hosts of all versions join and leave under virtual time: what is wanted where, what is asked upstream, which queries
 * go out, and how much one host can make us keep.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "multicast/membership.h"

#define LAN   1u
#define SHOP  2u
#define MEDIA 3u
#define S     USEC_PER_SEC

struct said {
	size_t queries, source_queries, changed, asks;
	struct membership_filter asked[8]; /* by leg */
	uint32_t query_leg;
};

static struct ip ip_of(const char *s)
{
	struct ip ip;

	assert_int_equal(ip_parse(s, &ip), 0);
	return ip;
}

static struct said drain(struct membership *m)
{
	struct membership_action a;
	struct said s = {0};

	while (membership_next_action(m, &a))
		switch (a.kind) {
		case MEMBERSHIP_QUERY:
			s.queries++;
			s.source_queries += a.n_sources > 0;
			s.query_leg = a.leg;
			break;
		case MEMBERSHIP_CHANGED:
			s.changed++;
			break;
		case MEMBERSHIP_ASK:
			s.asks++;
			assert_true(a.leg < 8);
			memcpy(&s.asked[a.leg], a.filter, sizeof(s.asked[0]));
			break;
		}
	return s;
}

static mono_t at(int64_t us)
{
	return (mono_t){us};
}

/* Time passes, with every timer at its moment */
static struct said until(struct membership *m, int64_t us)
{
	struct said all = {0};

	while (membership_due(m) <= us) {
		int64_t due = membership_due(m);
		struct said s;

		membership_timer(m, at(due));
		s = drain(m);
		all.queries += s.queries;
		all.source_queries += s.source_queries;
		all.changed += s.changed;
		all.asks += s.asks;
		assert_true(membership_due(m) > due);
	}
	membership_timer(m, at(us));
	return all;
}

static struct membership *world(void)
{
	struct membership *m = membership_new();

	for (uint32_t id = LAN; id <= MEDIA; id++) {
		struct membership_leg leg = {.id = id, .domain = 1, .upstream = true};

		assert_int_equal(membership_leg_set(m, at(0), &leg), 0);
		membership_querier(m, at(0), id, AF_INET, true);
	}
	return m;
}

static void say(struct membership *m, int64_t now, uint32_t leg, uint8_t version, enum gmp_record_type type,
		const char *group, const char *host, size_t n, const char *const *sources)
{
	uint8_t data[GMP_SOURCES * 4 + 300], *p = data;
	struct gmp_message msg = {
		.kind = GMP_REPORT, .family = AF_INET, .version = version, .from = ip_of(host), .count = 1};
	struct ip g = ip_of(group);

	p[0] = (uint8_t)type;
	p[1] = 0;
	gmp_set16(p + 2, n);
	memcpy(p + 4, g.b, 4);
	for (size_t i = 0; i < n; i++) {
		struct ip s = ip_of(sources[i]);

		memcpy(p + 8 + i * 4, s.b, 4);
	}
	msg.data = data;
	msg.len = 8 + n * 4;
	if (version < 3) {
		msg.single = true;
		msg.single_type = type;
		msg.group = g;
	}
	membership_heard(m, at(now), leg, &msg);
}

static bool wants(struct membership *m, uint32_t leg, const char *group, const char *source)
{
	struct ip g = ip_of(group), s;

	if (source)
		s = ip_of(source);
	return membership_wants(m, leg, &g, source ? &s : NULL);
}

#define G   "239.1.2.3"
#define A   "198.51.100.1"
#define B   "198.51.100.2"
#define C   "198.51.100.3"
#define ONE "192.0.2.9"
#define TWO "192.0.2.10"

static void test_join_leave(void **state)
{
	struct membership *m = world();
	struct said s;

	say(m, S, LAN, 3, GMP_TO_EXCLUDE, G, ONE, 0, NULL);
	s = drain(m);
	assert_int_equal(s.changed, 1);
	assert_int_equal(s.asks, 2); /* on both other legs, not on its own */
	assert_true(s.asked[SHOP].exclude && s.asked[MEDIA].exclude);
	assert_true(wants(m, LAN, G, A));
	assert_false(wants(m, SHOP, G, A));
	/* the same once more: nothing new */
	say(m, 2 * S, LAN, 3, GMP_IS_EXCLUDE, G, TWO, 0, NULL);
	s = drain(m);
	assert_int_equal(s.changed + s.asks + s.queries, 0);
	/* one leaves: is somebody left? */
	say(m, 3 * S, LAN, 3, GMP_TO_INCLUDE, G, ONE, 0, NULL);
	s = drain(m);
	assert_int_equal(s.queries, 1);
	assert_int_equal(s.query_leg, LAN);
	/* yes, the other */
	say(m, 3 * S + 500000, LAN, 3, GMP_IS_EXCLUDE, G, TWO, 0, NULL);
	s = until(m, 100 * S);
	assert_int_equal(s.queries, 0);
	assert_true(wants(m, LAN, G, A));
	/* then nobody: two queries a second apart, and it is over */
	say(m, 100 * S, LAN, 3, GMP_TO_INCLUDE, G, TWO, 0, NULL);
	s = drain(m);
	assert_int_equal(s.queries, 1);
	s = until(m, 101 * S + 900000);
	assert_int_equal(s.queries, 1);
	assert_true(wants(m, LAN, G, A));
	s = until(m, 102 * S + 1);
	assert_int_equal(s.changed, 1);
	assert_int_equal(s.asks, 2);
	assert_false(wants(m, LAN, G, A));
	assert_true(membership_due(m) == INT64_MAX);
	membership_free(m);
}

static void test_silence(void **state)
{
	struct membership *m = world();

	say(m, 0, LAN, 3, GMP_IS_EXCLUDE, G, ONE, 0, NULL);
	drain(m);
	until(m, 259 * S);
	assert_true(wants(m, LAN, G, NULL));
	until(m, 261 * S); /* 2 * 125 + 10 */
	assert_false(wants(m, LAN, G, NULL));
	membership_free(m);
}

/* The tables of RFC 3376 section 6.4, one by one: state, record, and what is wanted right after */
static void test_tables(void **state)
{
	static const struct {
		const char *name;
		enum gmp_record_type before;
		const char *had[2];
		enum gmp_record_type type;
		const char *list[2];
		bool a, b, c; /* is it wanted? c stands for any other */
		size_t queries;
	} cases[] = {
		{"INCLUDE(A) ALLOW(B)", GMP_IS_INCLUDE, {A}, GMP_ALLOW, {B}, true, true, false, 0},
		{"INCLUDE(A) BLOCK(A)", GMP_IS_INCLUDE, {A}, GMP_BLOCK, {A}, true, false, false, 1},
		{"INCLUDE(A) BLOCK(B)", GMP_IS_INCLUDE, {A}, GMP_BLOCK, {B}, true, false, false, 0},
		{"INCLUDE(A,B) IS_EX(B)", GMP_IS_INCLUDE, {A, B}, GMP_IS_EXCLUDE, {B}, true, true, true, 0},
		{"INCLUDE(A) IS_EX(B)", GMP_IS_INCLUDE, {A}, GMP_IS_EXCLUDE, {B}, true, false, true, 0},
		{"INCLUDE(A) TO_EX(B)", GMP_IS_INCLUDE, {A}, GMP_TO_EXCLUDE, {B}, true, false, true, 0},
		{"INCLUDE(A) TO_EX(A)", GMP_IS_INCLUDE, {A}, GMP_TO_EXCLUDE, {A}, true, true, true, 1},
		{"INCLUDE(A) TO_IN(B)", GMP_IS_INCLUDE, {A}, GMP_TO_INCLUDE, {B}, true, true, false, 1},
		{"INCLUDE(A) IS_IN(B)", GMP_IS_INCLUDE, {A}, GMP_IS_INCLUDE, {B}, true, true, false, 0},
		{"EXCLUDE(A) IS_IN(A)", GMP_IS_EXCLUDE, {A}, GMP_IS_INCLUDE, {A}, true, true, true, 0},
		{"EXCLUDE(A) IS_EX(B)", GMP_IS_EXCLUDE, {A}, GMP_IS_EXCLUDE, {B}, true, true, true, 0},
		{"EXCLUDE(A,B) IS_EX(B)", GMP_IS_EXCLUDE, {A, B}, GMP_IS_EXCLUDE, {B}, true, false, true, 0},
		{"EXCLUDE(A) ALLOW(A)", GMP_IS_EXCLUDE, {A}, GMP_ALLOW, {A}, true, true, true, 0},
		{"EXCLUDE(A) BLOCK(B)", GMP_IS_EXCLUDE, {A}, GMP_BLOCK, {B}, false, true, true, 1},
		{"EXCLUDE(A) TO_EX(B)", GMP_IS_EXCLUDE, {A}, GMP_TO_EXCLUDE, {B}, true, true, true, 1},
		{"EXCLUDE(A) TO_IN(A)", GMP_IS_EXCLUDE, {A}, GMP_TO_INCLUDE, {A}, true, true, true, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct membership *m = world();
		struct said s;

		say(m, S, LAN, 3, cases[i].before, G, ONE, cases[i].had[1] ? 2 : 1, cases[i].had);
		drain(m);
		say(m, 2 * S, LAN, 3, cases[i].type, G, ONE, cases[i].list[1] ? 2 : 1, cases[i].list);
		s = drain(m);
		if (wants(m, LAN, G, A) != cases[i].a || wants(m, LAN, G, B) != cases[i].b ||
		    wants(m, LAN, G, C) != cases[i].c || s.queries != cases[i].queries)
			fail_msg("%s: A %d B %d C %d, %zu queries", cases[i].name, wants(m, LAN, G, A),
				 wants(m, LAN, G, B), wants(m, LAN, G, C), s.queries);
		membership_free(m);
	}
}

static void test_sources_time_out(void **state)
{
	static const char *const both[] = {A, B}, *const only_b[] = {B};
	struct membership *m = world();
	struct said s;

	say(m, 0, LAN, 3, GMP_IS_INCLUDE, G, ONE, 2, both);
	s = drain(m);
	assert_int_equal(s.asked[SHOP].n, 2);
	assert_false(s.asked[SHOP].exclude);
	say(m, S, LAN, 3, GMP_BLOCK, G, ONE, 1, only_b);
	s = drain(m);
	assert_int_equal(s.source_queries, 1);
	s = until(m, 4 * S);
	assert_int_equal(s.source_queries, 1);
	assert_true(wants(m, LAN, G, A));
	assert_false(wants(m, LAN, G, B));
	/* in EXCLUDE a source that nobody asks for any more is blocked, and wanted again when the mode ends */
	say(m, 5 * S, LAN, 3, GMP_TO_EXCLUDE, G, TWO, 0, NULL);
	drain(m);
	say(m, 6 * S, LAN, 3, GMP_BLOCK, G, TWO, 1, only_b);
	drain(m);
	until(m, 10 * S);
	assert_false(wants(m, LAN, G, B));
	assert_true(wants(m, LAN, G, C));
	membership_free(m);
}

static void test_old_hosts(void **state)
{
	struct membership *m = world();
	struct said s;

	/* one that speaks v1 cannot say that he stays: a leave of another is not heard */
	say(m, 0, LAN, 1, GMP_IS_EXCLUDE, G, ONE, 0, NULL);
	say(m, S, LAN, 2, GMP_TO_INCLUDE, G, TWO, 0, NULL);
	s = drain(m);
	assert_int_equal(s.queries, 0);
	until(m, 100 * S);
	assert_true(wants(m, LAN, G, A));
	membership_free(m);

	/* v2: a leave is, a block is not */
	static const char *const a[] = {A};

	m = world();
	say(m, 0, LAN, 2, GMP_IS_EXCLUDE, G, ONE, 0, NULL);
	say(m, S, LAN, 3, GMP_BLOCK, G, TWO, 1, a);
	s = drain(m);
	assert_int_equal(s.queries, 0);
	say(m, S, LAN, 3, GMP_TO_EXCLUDE, G, TWO, 1, a);
	drain(m);
	assert_true(wants(m, LAN, G, A));
	say(m, 2 * S, LAN, 2, GMP_TO_INCLUDE, G, ONE, 0, NULL);
	s = drain(m);
	assert_int_equal(s.queries, 1);
	until(m, 5 * S);
	assert_false(wants(m, LAN, G, A));
	membership_free(m);
}

static void test_not_the_querier(void **state)
{
	struct membership *m = world();
	struct gmp_message q = {.kind = GMP_QUERY,
				.family = AF_INET,
				.version = 3,
				.from = ip_of("192.0.2.1"),
				.group = ip_of(G),
				.max_response_us = S,
				.robustness = 2};
	struct said s;

	membership_querier(m, at(0), LAN, AF_INET, false);
	say(m, 0, LAN, 3, GMP_IS_EXCLUDE, G, ONE, 0, NULL);
	drain(m);
	say(m, S, LAN, 3, GMP_TO_INCLUDE, G, ONE, 0, NULL);
	s = drain(m);
	assert_int_equal(s.queries, 0);
	until(m, 60 * S);
	assert_true(wants(m, LAN, G, A)); /* nobody has asked */
	q.suppress = true;
	membership_heard(m, at(60 * S), LAN, &q);
	until(m, 70 * S);
	assert_true(wants(m, LAN, G, A));
	q.suppress = false;
	membership_heard(m, at(70 * S), LAN, &q);
	until(m, 71 * S);
	assert_true(wants(m, LAN, G, A));
	until(m, 73 * S);
	assert_false(wants(m, LAN, G, A));
	membership_free(m);
}

static void test_merge(void **state)
{
	static const char *const a[] = {A}, *const ab[] = {A, B};
	struct membership *m = world();
	struct membership_leg other = {.id = 4, .domain = 2, .upstream = true};
	struct said s;

	assert_int_equal(membership_leg_set(m, at(0), &other), 0);
	/* blocked by both is blocked; wanted by one is wanted */
	say(m, 0, SHOP, 3, GMP_IS_EXCLUDE, G, ONE, 2, ab);
	say(m, 0, MEDIA, 3, GMP_IS_EXCLUDE, G, TWO, 1, a);
	s = drain(m);
	assert_true(s.asked[LAN].exclude);
	assert_int_equal(s.asked[LAN].n, 1);
	assert_int_equal(s.asked[LAN].sources[0].b[3], 1);
	assert_int_equal(s.asked[4].n + s.asked[4].exclude, 0); /* another domain */
	assert_true(s.asked[SHOP].exclude);
	say(m, S, MEDIA, 3, GMP_ALLOW, G, TWO, 1, a);
	s = drain(m);
	assert_int_equal(s.asked[LAN].n, 0);
	assert_true(s.asked[LAN].exclude);
	/* a leg goes: what only it wanted is asked no more */
	membership_leg_remove(m, at(2 * S), MEDIA);
	s = drain(m);
	assert_int_equal(s.asked[LAN].n, 2);
	membership_leg_remove(m, at(2 * S), SHOP);
	s = drain(m);
	assert_int_equal(s.asks, 1);
	assert_int_equal(s.asked[LAN].n + s.asked[LAN].exclude, 0);
	membership_free(m);
}

static void test_holds(void **state)
{
	struct membership *m = world();
	struct membership_filter any = {.exclude = true}, one = {.n = 1, .sources = {ip_of(A)}}, got;
	struct ip g = ip_of(G), local = ip_of("224.0.0.251");
	struct said s;

	assert_int_equal(membership_hold(m, at(0), SHOP, MEMBERSHIP_MDB, &g, &one), 0);
	s = drain(m);
	assert_int_equal(s.asks, 2);
	assert_int_equal(s.asked[LAN].n, 1);
	assert_int_equal(membership_hold(m, at(0), SHOP, MEMBERSHIP_MDB, &g, &one), 0);
	s = drain(m);
	assert_int_equal(s.asks + s.changed, 0);
	assert_int_equal(membership_hold(m, at(0), SHOP, MEMBERSHIP_LABEL, &g, &any), 0);
	drain(m);
	assert_true(membership_asked(m, LAN, &g, &got));
	assert_true(got.exclude);
	assert_false(membership_asked(m, SHOP, &g, &got));
	assert_int_equal(membership_hold(m, at(0), SHOP, MEMBERSHIP_LABEL, &g, NULL), 0);
	drain(m);
	assert_true(wants(m, SHOP, G, A));
	assert_false(wants(m, SHOP, G, B));
	membership_release(m, at(0), SHOP, MEMBERSHIP_MDB);
	drain(m);
	assert_false(wants(m, SHOP, G, A));
	assert_int_equal(membership_hold(m, at(0), 77, MEMBERSHIP_MDB, &g, &one), -ENOENT);
	assert_int_equal(membership_hold(m, at(0), SHOP, MEMBERSHIP_MDB, &local, &one), -EINVAL);
	membership_free(m);
}

static void test_ranges(void **state)
{
	struct membership *m = world();
	struct prefix range;
	struct membership_filter any = {.exclude = true};
	struct ip g = ip_of("239.9.9.9");

	assert_int_equal(prefix_parse("239.1.0.0/16", &range), 0);
	struct membership_leg leg = {.id = SHOP, .domain = 1, .upstream = true, .ranges = &range, .n_ranges = 1};

	say(m, 0, SHOP, 3, GMP_IS_EXCLUDE, "239.9.9.9", ONE, 0, NULL);
	drain(m);
	assert_true(wants(m, SHOP, "239.9.9.9", A));
	assert_int_equal(membership_leg_set(m, at(S), &leg), 0);
	drain(m);
	assert_false(wants(m, SHOP, "239.9.9.9", A)); /* no longer permitted */
	say(m, S, SHOP, 3, GMP_IS_EXCLUDE, "239.9.9.9", ONE, 0, NULL);
	assert_false(wants(m, SHOP, "239.9.9.9", A));
	assert_int_equal(membership_counts(m)[MEMBERSHIP_COUNT_UNLABELLED], 1);
	assert_int_equal(membership_hold(m, at(0), SHOP, MEMBERSHIP_MDB, &g, &any), -EPERM);
	say(m, S, SHOP, 3, GMP_IS_EXCLUDE, G, ONE, 0, NULL);
	assert_true(wants(m, SHOP, G, A));
	/* what others want of other groups is not asked there */
	say(m, S, LAN, 3, GMP_IS_EXCLUDE, "239.9.9.9", ONE, 0, NULL);
	struct said s = drain(m);
	assert_int_equal(s.asked[SHOP].exclude, false);
	membership_free(m);
}

static size_t counted;

static void count(void *arg, const struct membership_entry *e)
{
	counted++;
}

static void test_bounds(void **state)
{
	struct membership *m = world();
	char group[32], host[32];

	for (int i = 0; i < 10000; i++) {
		snprintf(group, sizeof(group), "239.2.%d.%d", i / 250, i % 250 + 1);
		say(m, S, LAN, 3, GMP_IS_EXCLUDE, group, ONE, 0, NULL);
	}
	counted = 0;
	membership_entries(m, count, NULL);
	assert_int_equal(counted, MEMBERSHIP_GROUPS_PER_HOST);
	assert_int_equal(membership_counts(m)[MEMBERSHIP_COUNT_HOST_FULL], 10000 - MEMBERSHIP_GROUPS_PER_HOST);
	/* others still can, up to the leg's bound */
	for (int i = 0; i < 10000; i++) {
		snprintf(group, sizeof(group), "239.3.%d.%d", i / 250, i % 250 + 1);
		snprintf(host, sizeof(host), "192.0.%d.%d", i / 250, i % 250 + 1);
		say(m, S, LAN, 3, GMP_IS_EXCLUDE, group, host, 0, NULL);
	}
	counted = 0;
	membership_entries(m, count, NULL);
	assert_int_equal(counted, MEMBERSHIP_GROUPS_PER_LEG);
	/* and other legs are not touched by that */
	say(m, S, SHOP, 3, GMP_IS_EXCLUDE, G, ONE, 0, NULL);
	assert_true(wants(m, SHOP, G, NULL));
	/* none of it is for ever */
	drain(m);
	until(m, 300 * S);
	counted = 0;
	membership_entries(m, count, NULL);
	assert_int_equal(counted, 0);
	membership_free(m);
}

static void test_source_bounds(void **state)
{
	static char names[GMP_SOURCES + 10][24];
	const char *list[GMP_SOURCES + 10];
	struct membership *m = world();
	struct said s;

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		snprintf(names[i], sizeof(names[i]), "198.51.100.%zu", i + 1);
		list[i] = names[i];
	}
	say(m, 0, SHOP, 3, GMP_IS_INCLUDE, G, ONE, ARRAY_LEN(list), list);
	s = drain(m);
	assert_int_equal(s.asked[LAN].n, GMP_SOURCES);
	assert_int_equal(membership_counts(m)[MEMBERSHIP_COUNT_SOURCES], 10);
	/* two legs with others: more than a list holds counts as any source */
	say(m, 0, MEDIA, 3, GMP_IS_INCLUDE, G, ONE, 10, list + GMP_SOURCES);
	s = drain(m);
	assert_true(s.asked[LAN].exclude);
	assert_int_equal(s.asked[LAN].n, 0);
	membership_free(m);
}

static void test_refused(void **state)
{
	struct membership *m = world();

	say(m, 0, LAN, 3, GMP_IS_EXCLUDE, "224.0.0.5", ONE, 0, NULL);
	say(m, 0, LAN, 3, GMP_IS_EXCLUDE, "192.0.2.5", ONE, 0, NULL);
	say(m, 0, LAN, 3, GMP_TO_INCLUDE, G, ONE, 0, NULL); /* a leave of what nobody joined */
	say(m, 0, 99, 3, GMP_IS_EXCLUDE, G, ONE, 0, NULL);  /* no such leg */
	counted = 0;
	membership_entries(m, count, NULL);
	assert_int_equal(counted, 0);
	assert_int_equal(membership_counts(m)[MEMBERSHIP_COUNT_REFUSED], 2);
	struct said s = drain(m);
	assert_int_equal(s.queries + s.changed + s.asks, 0);
	membership_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join_leave),    cmocka_unit_test(test_silence),
		cmocka_unit_test(test_tables),	      cmocka_unit_test(test_sources_time_out),
		cmocka_unit_test(test_old_hosts),     cmocka_unit_test(test_not_the_querier),
		cmocka_unit_test(test_merge),	      cmocka_unit_test(test_holds),
		cmocka_unit_test(test_ranges),	      cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_source_bounds), cmocka_unit_test(test_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
