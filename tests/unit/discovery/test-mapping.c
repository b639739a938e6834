/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets a mapped prefix and which: every rule, that nothing flips, that all hosts come to an end, that a pool can be
 * used up, and that it is quick.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "base/clock.h"
#include "discovery/mapping.h"

static struct prefix prefix_of(const char *s)
{
	struct prefix p;

	assert_int_equal(prefix_parse(s, &p), 0);
	return prefix_mask(p);
}

/* A member of a VNI, ours or another's: lists as text, blanks between; mapped: "subnet=as" */
struct member {
	const char *stack, *subnets, *mapped, *avoid, *refused;
	uint32_t vni; /* 1000 when it is 0 */
	char host;    /* the first digit of its host_id; 'm': ours */
};

struct table {
	struct prefix subnets[8][8], avoid[8][8], refused[8][8];
	struct mapped mapped[8][8];
	struct peer peers[8];
	struct mapping_peer in_peers[8];
	struct mapping_stack stacks[8];
	struct prefix routes[8];
	struct mapping_input in;
	struct mapping_output out[8];
	struct problems problems;
};

#define ME "5fffffffffffffffffffffffffffffff"

static size_t words(const char *text, struct prefix *ret)
{
	autofree char *copy = xstrdup(text ? text : "");
	char *save = NULL;
	size_t n = 0;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		ret[n++] = prefix_of(w);
	return n;
}

static size_t pairs(const char *text, struct mapped *ret)
{
	autofree char *copy = xstrdup(text ? text : "");
	char *save = NULL;
	size_t n = 0;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char *equals = strchr(w, '=');

		*equals = '\0';
		ret[n++] = (struct mapped){.subnet = prefix_of(w), .as = prefix_of(equals + 1)};
	}
	return n;
}

static void table_make(struct table *t, const struct member *members, size_t n, const char *routes)
{
	memset(t, 0, sizeof(*t));
	t->in = (struct mapping_input){.host_id = ME,
				       .stacks = t->stacks,
				       .peers = t->in_peers,
				       .routes = t->routes,
				       .n_routes = words(routes, t->routes),
				       .pools = {prefix_of("241.0.0.0/9"), prefix_of("fd64:7264::/33")}};
	for (size_t i = 0; i < n; i++) {
		const struct member *m = &members[i];
		uint32_t vni = m->vni ? m->vni : 1000;

		assert_true(i < 8);
		if (m->host == 'm') {
			struct mapping_stack *s = &t->stacks[t->in.n_stacks++];

			*s = (struct mapping_stack){.stack_id = m->stack,
						    .vni = vni,
						    .subnets = t->subnets[i],
						    .n_subnets = words(m->subnets, t->subnets[i]),
						    .before = t->mapped[i],
						    .n_before = pairs(m->mapped, t->mapped[i])};
		} else {
			struct peer *p = &t->peers[i];

			t->in_peers[t->in.n_peers++] = (struct mapping_peer){
				.peer = p, .refused = t->refused[i], .n_refused = words(m->refused, t->refused[i])};
			*p = (struct peer){.vni = vni,
					   .host_ip = {AF_INET, {192, 0, 2, (uint8_t)m->host}},
					   .subnets = t->subnets[i],
					   .n_subnets = (uint16_t)words(m->subnets, t->subnets[i]),
					   .mapped = t->mapped[i],
					   .n_mapped = (uint16_t)pairs(m->mapped, t->mapped[i]),
					   .avoid = t->avoid[i],
					   .n_avoid = (uint16_t)words(m->avoid, t->avoid[i])};
			str_copy(p->stack_id, m->stack);
			memset(p->host_id, m->host, HOST_ID_LEN);
			str_print(p->host_name, "host%c", m->host);
		}
	}
}

static void settle(struct table *t)
{
	problems_done(&t->problems);
	t->problems = (struct problems){0};
	mapping_settle(&t->in, t->out, &t->problems);
}

#define SETTLE(t, routes, ...)                                             \
	do {                                                               \
		const struct member m_[] = {__VA_ARGS__};                  \
		table_make((t), m_, sizeof(m_) / sizeof(m_[0]), (routes)); \
		settle(t);                                                 \
	} while (0)

static void is_prefix(const struct prefix *p, const char *text)
{
	char s[PREFIX_STRLEN];

	assert_string_equal(prefix_format(p, s), text);
}

static void is_not_mapped(const struct mapping_output *o)
{
	assert_int_equal(o->n_mapped, 0);
	assert_false(o->is_new || o->has_moved);
	assert_string_equal(o->why, "");
}

static void in_pool(const struct prefix *p)
{
	struct prefix v4 = prefix_of("241.0.0.0/9"), v6 = prefix_of("fd64:7264::/33");

	assert_true(prefix_contains(p->ip.family == AF_INET ? &v4 : &v6, p));
}

static void test_nothing_clashes(void **state)
{
	struct table t;

	SETTLE(&t, "192.168.1.0/24 172.17.0.0/16 10.71.0.0/24", {"shop", "10.71.0.0/24", .host = 'm'},
	       {"blog", "10.72.0.0/24", .host = '7'}, {"wiki", "10.71.0.0/24", .host = '8', .vni = 2000});
	is_not_mapped(&t.out[0]);
	assert_int_equal(t.out[0].n_subnets, 1);
	assert_int_equal(t.out[0].n_avoid, 0);
	/* a subnet inside another of the same stack is none */
	SETTLE(&t, "", {"shop", "10.71.0.0/24", .host = 'm'}, {"blog", "10.72.0.0/16 10.72.1.0/24", .host = '7'});
	is_not_mapped(&t.out[0]);
	/* without stacks there is nothing to do */
	SETTLE(&t, "", {"blog", "10.72.0.0/24", .host = '7'});
	assert_int_equal(t.problems.n, 0);
}

/* A clash maps all our stacks of the VNI, and none of another */
static void test_clash(void **state)
{
	struct table t;

	SETTLE(&t, "", {"shop", "172.18.0.0/16 fd01::/64", .host = 'm'}, {"misc", "10.1.0.0/24", .host = 'm'},
	       {"other", "10.2.0.0/24", .host = 'm', .vni = 2000}, {"blog", "172.18.0.0/16", .host = '7'});
	assert_int_equal(t.out[0].n_mapped, 2);
	in_pool(&t.out[0].mapped[0].as);
	in_pool(&t.out[0].mapped[1].as);
	assert_int_equal(t.out[0].mapped[0].as.len, 16);
	assert_int_equal(t.out[0].mapped[1].as.len, 64);
	is_prefix(&t.out[0].mapped[0].subnet, "172.18.0.0/16");
	assert_int_equal(t.out[0].n_subnets, 2); /* both address spaces are announced */
	assert_true(t.out[0].is_new);
	assert_false(t.out[0].has_moved);
	assert_non_null(strstr(t.out[0].why, "172.18.0.0/16 is 241."));
	assert_non_null(strstr(t.out[0].why, "blog@host7 has 172.18.0.0/16"));
	assert_int_equal(t.out[1].n_mapped, 1);
	assert_non_null(strstr(t.out[1].why, "both have 172.18.0.0/16"));
	assert_false(prefix_overlaps(&t.out[0].mapped[0].as, &t.out[1].mapped[0].as));
	is_not_mapped(&t.out[2]);
	assert_int_equal(t.problems.n, 0);
	/* two others, nested; ours has nothing to do with it */
	SETTLE(&t, "", {"shop", "10.1.0.0/24", .host = 'm'}, {"blog", "172.18.0.0/16", .host = '7'},
	       {"wiki", "172.18.5.0/24", .host = '8'});
	assert_int_equal(t.out[0].n_mapped, 1);
	assert_non_null(strstr(t.out[0].why, "blog@host7 and wiki@host8 both have 172.18.5.0/24"));
	/* two of ours: two engines on one host */
	SETTLE(&t, "", {"shop", "172.18.0.0/16", .host = 'm'}, {"blog", "172.18.0.0/16", .host = 'm'});
	assert_int_equal(t.out[0].n_mapped, 1);
	assert_int_equal(t.out[1].n_mapped, 1);
	assert_false(prefix_overlaps(&t.out[0].mapped[0].as, &t.out[1].mapped[0].as));
	assert_non_null(strstr(t.out[0].why, "blog of this host has"));
}

static void test_other_reasons(void **state)
{
	struct table t;

	/* somebody is mapped */
	SETTLE(&t, "", {"shop", "10.1.0.0/24", .host = 'm'},
	       {"blog", "10.2.0.0/24", "10.2.0.0/24=241.0.9.0/24", .host = '7'});
	assert_int_equal(t.out[0].n_mapped, 1);
	assert_non_null(strstr(t.out[0].why, "blog@host7 is mapped"));
	/* somebody avoids ours */
	SETTLE(&t, "", {"shop", "10.1.0.0/24", .host = 'm'},
	       {"blog", "10.2.0.0/24", .avoid = "10.0.0.0/15", .host = '7'});
	assert_int_equal(t.out[0].n_mapped, 1);
	assert_non_null(strstr(t.out[0].why, "host7 has a route to 10.0.0.0/15"));
	/* somebody avoids a third's: not his own host's */
	SETTLE(&t, "", {"shop", "10.1.0.0/24", .host = 'm'},
	       {"blog", "10.2.0.0/24", .avoid = "10.3.0.0/24", .host = '7'}, {"wiki", "10.3.0.0/24", .host = '8'});
	assert_int_equal(t.out[0].n_mapped, 1);
	assert_non_null(strstr(t.out[0].why, "host7 has a route to 10.3.0.0/24, where wiki@host8 is"));
	SETTLE(&t, "", {"shop", "10.1.0.0/24", .host = 'm'},
	       {"blog", "10.2.0.0/24", .avoid = "10.2.0.0/24", .host = '7'});
	is_not_mapped(&t.out[0]);
	/* in another VNI it is nothing to us */
	SETTLE(&t, "", {"shop", "10.1.0.0/24", .host = 'm'},
	       {"blog", "10.2.0.0/24", .avoid = "10.1.0.0/24", .host = '7', .vni = 2000});
	is_not_mapped(&t.out[0]);
}

/* Routes of this host: told to the others when they are in the way of one, and then all are mapped */
static void test_own_routes(void **state)
{
	struct table t;

	SETTLE(&t, "10.2.0.0/16 10.2.7.0/24 192.168.0.0/24", {"shop", "10.1.0.0/24", .host = 'm'},
	       {"blog", "10.2.7.0/24", .host = '7'}, {"wiki", "192.168.0.0/16", .host = '8', .vni = 2000});
	assert_int_equal(t.out[0].n_avoid, 2);
	is_prefix(&t.out[0].avoid[0], "10.2.0.0/16");
	is_prefix(&t.out[0].avoid[1], "10.2.7.0/24");
	assert_int_equal(t.out[0].n_mapped, 1);
	assert_non_null(strstr(t.out[0].why, "this host has a route to 10.2.0.0/16, where blog@host7 is"));
	/* a mapped prefix of another that one of our routes is in the way of */
	SETTLE(&t, "241.9.0.0/16", {"shop", "10.1.0.0/24", .host = 'm'},
	       {"blog", "172.18.0.0/16", "172.18.0.0/16=241.9.0.0/16", .host = '7'});
	assert_int_equal(t.out[0].n_avoid, 1);
	/* the bridge of a stack of ours, of any VNI, is none */
	SETTLE(&t, "172.18.0.0/16", {"shop", "10.1.0.0/24", .host = 'm'},
	       {"misc", "172.18.0.0/16", .host = 'm', .vni = 2000}, {"blog", "172.18.0.0/16", .host = '7'});
	assert_int_equal(t.out[0].n_avoid, 0);
	is_not_mapped(&t.out[0]);
	/* what overlaps our underlay was refused, and is a reason all the same */
	SETTLE(&t, "192.168.0.0/24", {"shop", "10.1.0.0/24", .host = 'm'},
	       {"blog", "", .refused = "192.168.0.0/16", .host = '7'});
	assert_int_equal(t.out[0].n_avoid, 1);
	assert_int_equal(t.out[0].n_mapped, 1);
}

static void test_avoid_is_bounded(void **state)
{
	struct prefix routes[100];
	struct table t;

	SETTLE(&t, "", {"shop", "10.1.0.0/24", .host = 'm'}, {"blog", "10.2.0.0/16", .host = '7'});
	for (unsigned i = 0; i < 100; i++)
		routes[99 - i] = (struct prefix){{AF_INET, {10, 2, (uint8_t)i, 0}}, 24};
	t.in.routes = routes;
	t.in.n_routes = 100;
	settle(&t);
	assert_int_equal(t.out[0].n_avoid, LIMIT_AVOID);
	for (size_t i = 0; i < LIMIT_AVOID; i++)
		assert_int_equal(t.out[0].avoid[i].ip.b[2], i);
}

static void test_settings(void **state)
{
	struct table t;
	const struct member alone = {"shop", "10.1.0.0/24", .host = 'm'};

	table_make(&t, &alone, 1, "");
	t.in.mapping = MAPPING_ALWAYS;
	settle(&t);
	assert_int_equal(t.out[0].n_mapped, 1);
	assert_int_equal(t.out[0].n_subnets, 0);
	assert_non_null(strstr(t.out[0].why, "MAPPING=always"));
	SETTLE(&t, "10.9.0.0/24", {"shop", "172.18.0.0/16", "172.18.0.0/16=241.7.0.0/16", .host = 'm'},
	       {"blog", "172.18.0.0/16 10.9.0.0/24", .host = '7'});
	t.in.mapping = MAPPING_NEVER;
	settle(&t);
	is_not_mapped(&t.out[0]);
	assert_int_equal(t.out[0].n_subnets, 1);
	assert_int_equal(t.out[0].n_avoid, 1); /* others may want to know */
}

/* What may be there no longer clashes with nothing; and yet nobody takes what it has */
static void test_ghosts(void **state)
{
	struct table t;
	struct prefix as;

	/* one stack at one address under two host ids: made anew */
	SETTLE(&t, "", {"shop", "10.1.0.0/24", .host = 'm'}, {"blog", "172.18.0.0/16", .host = '7'},
	       {"blog", "172.18.0.0/16", .host = '8'});
	assert_int_equal(t.out[0].n_mapped, 1);
	t.peers[1].host_ip = t.peers[2].host_ip = (struct ip){AF_INET, {192, 0, 2, 7}};
	settle(&t);
	is_not_mapped(&t.out[0]);
	str_copy(t.peers[2].stack_id, "wiki");
	settle(&t);
	assert_int_equal(t.out[0].n_mapped, 1);
	/* from an old file */
	SETTLE(&t, "10.9.0.0/16", {"shop", "172.18.0.0/16", .host = 'm'},
	       {"blog", "172.18.0.0/16 10.9.0.0/16", "172.18.0.0/16=241.22.0.0/16", .avoid = "172.18.0.0/16",
		.host = '7'});
	assert_int_equal(t.out[0].n_mapped, 1);
	as = t.out[0].mapped[0].as;
	t.in_peers[0].hearsay = true;
	settle(&t);
	is_not_mapped(&t.out[0]);
	assert_int_equal(t.out[0].n_avoid, 0);
	t.in.mapping = MAPPING_ALWAYS;
	settle(&t);
	assert_int_equal(prefix_cmp(&t.out[0].mapped[0].as, &as), 0); /* not 241.22.0.0/16, which is its place */
	is_prefix(&as, "241.23.0.0/16");
}

/* What is there stays, when the reason for it has gone too; what was somewhere else is chosen anew */
static void test_sticky(void **state)
{
	struct table t;

	SETTLE(&t, "",
	       {"shop", "172.18.0.0/16 172.19.0.0/16", "172.18.0.0/16=241.99.0.0/16 172.30.0.0/16=241.98.0.0/16",
		.host = 'm'},
	       {"misc", "10.1.0.0/24", .host = 'm'});
	assert_int_equal(t.out[0].n_mapped, 2);
	is_prefix(&t.out[0].mapped[0].as, "241.99.0.0/16");
	assert_true(t.out[0].is_new); /* the second subnet */
	assert_false(t.out[0].has_moved);
	assert_int_equal(t.out[1].n_mapped, 1);
	assert_non_null(strstr(t.out[1].why, "shop of this host is mapped"));
	/* outside of the pool, or in the half for shadows: as if it were not there */
	SETTLE(&t, "", {"shop", "172.18.0.0/16", "172.18.0.0/16=241.200.0.0/16", .host = 'm'});
	is_not_mapped(&t.out[0]);
	SETTLE(&t, "", {"shop", "172.18.0.0/16", "172.18.0.0/16=241.200.0.0/16", .host = 'm'},
	       {"blog", "172.18.0.0/16", .host = '7'});
	in_pool(&t.out[0].mapped[0].as);
}

/* The same on every run and wherever it is; another host has another place */
static void test_deterministic(void **state)
{
	struct table t;
	struct prefix first;

	SETTLE(&t, "", {"shop", "172.18.0.0/16", .host = 'm'}, {"blog", "172.18.0.0/16", .host = '7'});
	first = t.out[0].mapped[0].as;
	/* a golden: what hosts of another release choose must not depend on the release */
	is_prefix(&first, "241.22.0.0/16");
	SETTLE(&t, "", {"misc", "10.1.0.0/24", .host = 'm'}, {"shop", "172.18.0.0/16", .host = 'm'},
	       {"wiki", "172.18.0.0/17", .host = '9'});
	assert_int_equal(prefix_cmp(&t.out[1].mapped[0].as, &first), 0);
	/* taken: by a mapped prefix of any VNI, by what a member avoids, by a route: the next one */
	SETTLE(&t, "241.23.1.0/24", {"shop", "172.18.0.0/16", .host = 'm'}, {"blog", "172.18.0.0/16", .host = '7'},
	       {"wiki", "10.9.0.0/16", "10.9.0.0/16=241.22.0.0/16", .host = '8', .vni = 3000},
	       {"wiki2", "10.8.0.0/16", .avoid = "241.24.0.0/17", .host = '8'},
	       {"wiki3", "10.7.0.0/16", .avoid = "241.25.0.0/17", .host = '8', .vni = 3000});
	is_prefix(&t.out[0].mapped[0].as, "241.25.0.0/16");
	/* around the end of the pool */
	SETTLE(&t, "241.22.0.0/15 241.24.0.0/13 241.32.0.0/11 241.64.0.0/10", {"shop", "172.18.0.0/16", .host = 'm'},
	       {"blog", "172.18.0.0/16", .host = '7'});
	is_prefix(&t.out[0].mapped[0].as, "241.0.0.0/16");
}

/* Of two that have the same, the larger moves; the other must not */
static void test_moves(void **state)
{
	struct table t;

	SETTLE(&t, "", {"shop", "172.18.0.0/16", "172.18.0.0/16=241.7.0.0/16", .host = 'm'},
	       {"blog", "172.18.0.0/16", "172.18.0.0/16=241.7.0.0/16", .host = '7'});
	is_prefix(&t.out[0].mapped[0].as, "241.7.0.0/16");
	assert_string_equal(t.out[0].why, "");
	SETTLE(&t, "", {"shop", "172.18.0.0/16", "172.18.0.0/16=241.7.0.0/16", .host = 'm'},
	       {"blog", "10.9.1.0/24", "10.9.1.0/24=241.7.1.0/24", .host = '3'});
	is_prefix(&t.out[0].mapped[0].as, "241.22.0.0/16");
	assert_true(t.out[0].has_moved);
	assert_false(t.out[0].is_new);
	assert_non_null(strstr(t.out[0].why, "172.18.0.0/16 is 241.22.0.0/16: blog@host3 has 241.7.1.0/24"));
	/* it has moved too often: it stays for now, and says so */
	t.stacks[0].hold = true;
	settle(&t);
	is_prefix(&t.out[0].mapped[0].as, "241.7.0.0/16");
	assert_true(t.out[0].was_held);
	/* two of ours; a file may say anything */
	SETTLE(&t, "", {"b", "172.18.0.0/16", "172.18.0.0/16=241.7.0.0/16", .host = 'm'},
	       {"a", "172.19.0.0/16", "172.19.0.0/16=241.7.0.0/16", .host = 'm'},
	       {"c", "10.1.0.0/24 10.2.0.0/24", "10.1.0.0/24=241.8.0.0/24 10.2.0.0/24=241.8.0.0/24", .host = 'm'});
	is_prefix(&t.out[1].mapped[0].as, "241.7.0.0/16");
	assert_true(t.out[0].has_moved);
	is_prefix(&t.out[2].mapped[0].as, "241.8.0.0/24");
	assert_int_not_equal(prefix_cmp(&t.out[2].mapped[1].as, &t.out[2].mapped[0].as), 0);
	/* a route of this host, also when it may not move for others; what a member avoids; not what others avoid */
	SETTLE(&t, "241.7.3.0/24", {"shop", "172.18.0.0/16", "172.18.0.0/16=241.7.0.0/16", .host = 'm'});
	assert_true(t.out[0].has_moved);
	assert_non_null(strstr(t.out[0].why, "this host has a route to 241.7.3.0/24"));
	t.stacks[0].hold = true;
	settle(&t);
	assert_true(t.out[0].has_moved);
	SETTLE(&t, "", {"shop", "172.18.0.0/16", "172.18.0.0/16=241.7.0.0/16", .host = 'm'},
	       {"blog", "10.9.1.0/24", .avoid = "241.7.0.0/16", .host = '7'});
	assert_true(t.out[0].has_moved);
	SETTLE(&t, "", {"shop", "172.18.0.0/16", "172.18.0.0/16=241.7.0.0/16", .host = 'm'},
	       {"blog", "10.9.1.0/24", .avoid = "241.7.0.0/16", .host = '7', .vni = 2000});
	assert_false(t.out[0].has_moved);
}

/* One who takes or avoids all of the pool: what is in use stays, and other VNIs are nothing to us */
static void test_all_is_taken(void **state)
{
	struct table t;
	const char *half = "10.128.0.0/10=241.0.0.0/10 10.192.0.0/10=241.64.0.0/10";
	const struct member mine = {"shop", "172.18.0.0/16", "172.18.0.0/16=241.7.0.0/16", .host = 'm'};
	const struct member fresh = {"shop", "172.18.0.0/16", .host = 'm'};
	const struct member blog = {"blog", "172.18.0.0/16", .host = '7'};

	/* taken, by smaller ones of our VNI: told, and kept */
	SETTLE(&t, "", mine, blog, {"x", "10.9.0.0/24", half, .host = '0'});
	is_prefix(&t.out[0].mapped[0].as, "241.7.0.0/16");
	assert_false(t.out[0].has_moved || t.out[0].is_new);
	assert_int_equal(t.problems.n, 1);
	assert_non_null(strstr(t.problems.v[0].text, "172.18.0.0/16 should have another mapped prefix"));
	problems_done(&t.problems);
	/* but for one place: there */
	SETTLE(&t, "", mine, blog,
	       {"x", "10.9.0.0/24", "10.128.0.0/10=241.0.0.0/10 10.192.0.0/11=241.64.0.0/11", .host = '0'});
	assert_true(t.out[0].has_moved);
	is_prefix(&t.out[0].mapped[0].as, "241.96.0.0/16");
	/* avoided, at once and in pieces: a new one is taken all the same, an old one stays; one that may go, goes */
	SETTLE(&t, "", mine, blog, {"x", "10.9.0.0/24", .avoid = "241.0.0.0/9", .host = '0'});
	is_prefix(&t.out[0].mapped[0].as, "241.7.0.0/16");
	assert_false(t.out[0].has_moved);
	SETTLE(&t, "", mine, blog, {"x", "10.9.0.0/24", .avoid = "241.0.0.0/10 241.64.0.0/10", .host = '0'});
	is_prefix(&t.out[0].mapped[0].as, "241.7.0.0/16");
	assert_int_equal(t.problems.n, 1);
	problems_done(&t.problems);
	SETTLE(&t, "", fresh, blog, {"x", "10.9.0.0/24", .avoid = "241.0.0.0/10 241.64.0.0/10", .host = '0'});
	is_prefix(&t.out[0].mapped[0].as, "241.22.0.0/16");
	SETTLE(&t, "", fresh, blog,
	       {"x", "10.9.0.0/24", .avoid = "241.0.0.0/8 241.0.0.0/10 241.64.0.0/11", .host = '0'});
	is_prefix(&t.out[0].mapped[0].as, "241.96.0.0/16");
	assert_int_equal(t.problems.n, 0);
	/* a route of ours over all: no place for a new one */
	SETTLE(&t, "240.0.0.0/7", mine, blog);
	is_prefix(&t.out[0].mapped[0].as, "241.7.0.0/16");
	assert_int_equal(t.problems.n, 1);
	problems_done(&t.problems);
	SETTLE(&t, "240.0.0.0/7", fresh, blog);
	assert_int_equal(t.out[0].n_mapped, 0);
	problems_done(&t.problems);
	/* a VNI that we are not in: passed over while there is room, and nobody moves for it */
	SETTLE(&t, "", mine, blog, {"x", "10.9.0.0/24", half, .host = '0', .vni = 7});
	is_prefix(&t.out[0].mapped[0].as, "241.7.0.0/16");
	assert_int_equal(t.problems.n, 0);
	SETTLE(&t, "", fresh, blog, {"x", "10.9.0.0/24", half, .host = '0', .vni = 7});
	is_prefix(&t.out[0].mapped[0].as, "241.22.0.0/16");
	assert_int_equal(t.problems.n, 0);
	SETTLE(&t, "", fresh, blog, {"x", "10.9.0.0/24", .avoid = "241.22.0.0/16", .host = '0', .vni = 7});
	is_prefix(&t.out[0].mapped[0].as, "241.22.0.0/16");
	/* one that we are in is */
	SETTLE(&t, "", mine, blog, {"x", "10.9.0.0/24", "10.9.0.0/24=241.7.1.0/24", .host = '0', .vni = 7},
	       {"misc", "10.1.0.0/24", .host = 'm', .vni = 7});
	assert_true(t.out[0].has_moved);
}

static void test_problems(void **state)
{
	struct table t;
	struct member always = {"shop", "10.0.0.0/9 172.18.0.0/16", .host = 'm'};

	/* as large as the half of the pool: that one is announced as it is */
	SETTLE(&t, "", {"shop", "10.0.0.0/9 172.18.0.0/16", .host = 'm'}, {"blog", "172.18.0.0/16", .host = '7'});
	assert_int_equal(t.out[0].n_mapped, 1);
	is_prefix(&t.out[0].mapped[0].subnet, "172.18.0.0/16");
	assert_int_equal(t.problems.n, 1);
	assert_string_equal(t.problems.v[0].object, "stack shop");
	assert_non_null(strstr(t.problems.v[0].text, "10.0.0.0/9 cannot be mapped"));
	assert_non_null(strstr(t.problems.v[0].cure, "ipam"));
	problems_done(&t.problems);
	table_make(&t, &always, 1, "");
	t.in.mapping = MAPPING_ALWAYS;
	settle(&t);
	assert_int_equal(t.out[0].n_subnets, 1);
	is_prefix(&t.out[0].subnets[0], "10.0.0.0/9");
	problems_done(&t.problems);
	/* two halves fit, a third does not; a LAN in the pool */
	SETTLE(&t, "", {"a", "10.0.0.0/10", .host = 'm'}, {"b", "10.64.0.0/10", .host = 'm'},
	       {"c", "10.128.0.0/10", .host = 'm'}, {"blog", "10.0.0.0/10", .host = '7'});
	assert_int_equal(t.out[0].n_mapped + t.out[1].n_mapped, 2);
	assert_int_equal(t.out[2].n_mapped, 0);
	assert_int_equal(t.problems.n, 1);
	assert_non_null(strstr(t.problems.v[0].text, "no place is left in 241.0.0.0/9"));
	problems_done(&t.problems);
	SETTLE(&t, "241.0.0.0/8", {"shop", "172.18.0.0/16", .host = 'm'}, {"blog", "172.18.0.0/16", .host = '7'});
	assert_int_equal(t.out[0].n_mapped, 0);
	assert_int_equal(t.problems.n, 1);
	problems_done(&t.problems);
}

/* 128 networks of Docker's size: all of them, and none twice */
static void test_pool_is_used_up(void **state)
{
	static struct mapping_stack stacks[130];
	static struct mapping_output out[130];
	static struct prefix subnets[130];
	static char names[130][8];
	struct mapping_input in = {.host_id = ME,
				   .mapping = MAPPING_ALWAYS,
				   .stacks = stacks,
				   .n_stacks = 130,
				   .pools = {prefix_of("241.0.0.0/9")}};
	struct problems problems = {0};
	bool seen[128] = {false};
	size_t mapped = 0;

	for (unsigned i = 0; i < 130; i++) {
		str_print(names[i], "s%u", i);
		subnets[i] = (struct prefix){{AF_INET, {10, (uint8_t)i, 0, 0}}, 16};
		stacks[i] =
			(struct mapping_stack){.stack_id = names[i], .vni = 1, .subnets = &subnets[i], .n_subnets = 1};
	}
	mapping_settle(&in, out, &problems);
	for (size_t i = 0; i < 130; i++) {
		if (out[i].n_mapped == 0)
			continue;
		mapped++;
		assert_false(seen[out[i].mapped[0].as.ip.b[1]]);
		seen[out[i].mapped[0].as.ip.b[1]] = true;
	}
	assert_int_equal(mapped, 128);
	assert_int_equal(problems.n, 2);
	problems_done(&problems);
}

static void test_large_families(void **state)
{
	struct table t;
	struct prefix first;

	/* more places than can be numbered */
	SETTLE(&t, "", {"shop", "fd01::/112", .host = 'm'}, {"blog", "fd01::/112", .host = '7'});
	assert_int_equal(t.out[0].n_mapped, 1);
	first = t.out[0].mapped[0].as;
	assert_int_equal(first.len, 112);
	in_pool(&first);
	/* no pool of that family: nothing, and nothing to complain of */
	t.in.pools[1].len = 0;
	settle(&t);
	assert_int_equal(t.out[0].n_mapped, 0);
	assert_int_equal(t.problems.n, 0);
}

/* Hosts that all chose the same, and hear of each other only in rounds: who ends where does not oscillate */
static void test_all_come_to_an_end(void **state)
{
	enum { HOSTS = 40, ROUNDS = 12 };
	static struct peer peers[HOSTS];
	static struct mapped mapped[HOSTS], next[HOSTS];
	struct mapping_peer in_peers[HOSTS] = {0};
	struct prefix subnet = prefix_of("172.18.0.0/16");
	unsigned moves = 0, round = 0;

	for (unsigned i = 0; i < HOSTS; i++) {
		mapped[i] = (struct mapped){.subnet = subnet, .as = prefix_of("241.5.0.0/16")};
		peers[i] = (struct peer){
			.vni = 1, .subnets = &subnet, .n_subnets = 1, .mapped = &mapped[i], .n_mapped = 1};
		str_print(peers[i].host_id, "%032x", i + 1);
		str_copy(peers[i].stack_id, "s");
	}
	for (; round < ROUNDS; round++) {
		moves = 0;
		for (size_t i = 0; i < HOSTS; i++) {
			struct mapping_stack stack = {.stack_id = "s",
						      .vni = 1,
						      .subnets = &subnet,
						      .n_subnets = 1,
						      .before = &mapped[i],
						      .n_before = 1};
			struct mapping_input in = {.host_id = peers[i].host_id,
						   .stacks = &stack,
						   .n_stacks = 1,
						   .peers = in_peers,
						   .pools = {prefix_of("241.0.0.0/9")}};
			struct mapping_output out;
			struct problems problems = {0};

			for (size_t j = 0; j < HOSTS; j++) {
				if (j != i)
					in_peers[in.n_peers++].peer = &peers[j];
			}
			mapping_settle(&in, &out, &problems);
			assert_int_equal(out.n_mapped, 1);
			next[i] = out.mapped[0];
			moves += out.has_moved;
		}
		memcpy(mapped, next, sizeof(mapped));
		is_prefix(&mapped[0].as, "241.5.0.0/16"); /* the smallest never moves */
		if (moves == 0)
			break;
	}
	assert_int_equal(moves, 0);
	for (size_t i = 0; i < HOSTS; i++) {
		for (size_t j = 0; j < i; j++)
			assert_false(prefix_overlaps(&mapped[i].as, &mapped[j].as));
	}
}

/* 10,000 peers, all on one subnet, all mapped, and a pool that is nearly full */
static void test_ten_thousand(void **state)
{
	enum { PEERS = 10000, STACKS = 50 };
	static struct peer peers[PEERS];
	static struct mapping_peer in_peers[PEERS];
	static struct mapped mapped[PEERS];
	static struct prefix subnets[PEERS], routes[1000];
	static struct mapping_stack stacks[STACKS];
	static struct mapping_output out[STACKS];
	static char names[STACKS][8];
	struct mapping_input in = {.host_id = ME,
				   .stacks = stacks,
				   .n_stacks = STACKS,
				   .peers = in_peers,
				   .n_peers = PEERS,
				   .routes = routes,
				   .n_routes = 1000,
				   .pools = {prefix_of("241.0.0.0/9")}};
	struct prefix pool = prefix_of("241.0.0.0/9");
	struct problems problems = {0};
	int64_t begin_us, took_us;

	for (unsigned i = 0; i < PEERS; i++) {
		subnets[i] = prefix_of("172.18.5.0/24");
		mapped[i].subnet = subnets[i];
		assert_true(prefix_nth(&pool, 24, i, &mapped[i].as));
		peers[i] = (struct peer){
			.vni = 1, .subnets = &subnets[i], .n_subnets = 1, .mapped = &mapped[i], .n_mapped = 1};
		str_print(peers[i].host_id, "%032x", i);
		str_copy(peers[i].stack_id, "s");
		in_peers[i].peer = &peers[i];
	}
	for (unsigned i = 0; i < 1000; i++)
		routes[i] = (struct prefix){{AF_INET, {10, (uint8_t)(i >> 8), (uint8_t)i, 0}}, 24};
	for (unsigned i = 0; i < STACKS; i++) {
		str_print(names[i], "s%u", i);
		stacks[i] =
			(struct mapping_stack){.stack_id = names[i], .vni = 1, .subnets = &subnets[i], .n_subnets = 1};
	}
	begin_us = mono_now().us;
	mapping_settle(&in, out, &problems);
	took_us = mono_now().us - begin_us;
	print_message("# 10,000 peers were looked at in %lld us\n", (long long)took_us);
	assert_in_range(took_us, 0, 500000);
	for (size_t i = 0; i < STACKS; i++)
		assert_int_equal(out[i].n_mapped, 1);
	assert_int_equal(problems.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_clashes),	 cmocka_unit_test(test_clash),
		cmocka_unit_test(test_other_reasons),	 cmocka_unit_test(test_own_routes),
		cmocka_unit_test(test_avoid_is_bounded), cmocka_unit_test(test_settings),
		cmocka_unit_test(test_ghosts),		 cmocka_unit_test(test_sticky),
		cmocka_unit_test(test_deterministic),	 cmocka_unit_test(test_moves),
		cmocka_unit_test(test_problems),	 cmocka_unit_test(test_pool_is_used_up),
		cmocka_unit_test(test_large_families),	 cmocka_unit_test(test_all_come_to_an_end),
		cmocka_unit_test(test_ten_thousand),	 cmocka_unit_test(test_all_is_taken),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
