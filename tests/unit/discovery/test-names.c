/* SPDX-License-Identifier: Apache-2.0
 *
 * Names between hosts: told at once, believed of whom they belong to, whole or not at all, whatever the network does.
 */
#include "world.h"

#include "discovery/names.h"
#include "discovery/peers.h"

static struct world w;

static int setup(void **state)
{
	world_init(&w, 1);
	return 0;
}

static int teardown(void **state)
{
	world_done(&w);
	return 0;
}

static void start(size_t n)
{
	for (size_t i = 0; i < n; i++)
		node_start(&w, node_add(&w), NULL);
}

/* The node's n-th stack has these @n_names names, "PREFIX0"..., each with one address of its subnet */
static void names_set(struct node *n, size_t nth, const char *prefix, size_t n_names)
{
	struct name_stack s = {.vni = n->stacks[nth].vni};

	str_copy(s.stack_id, n->stacks[nth].stack_id);
	for (size_t i = 0; i < n_names; i++) {
		struct name *name = xgrow(&s.names, s.n_names, &s.cap_names);
		struct ip ip = n->stacks[nth].subnets[0].ip;

		ip.b[3] = (uint8_t)(2 + i % 250);
		str_print(name->name, "%s%05zu", prefix, i);
		name->kind = NAME_SERVICE;
		name->addresses = xmemdup(&ip, sizeof(ip));
		name->n_addresses = 1;
		s.n_names++;
	}
	core_names(n->core, node_now(&w, n), &s, 1);
	node_drain(&w, n);
	name_stack_done(&s);
}

/* How many names of @stack_id the node knows; @first: whether the first begins so */
static size_t names_known(struct node *n, const char *stack_id, const char *first)
{
	struct names all;
	size_t count = 0;

	core_names_export(n->core, node_now(&w, n), &all);
	for (size_t i = 0; i < all.n_stacks; i++) {
		const struct name_stack *s = &all.stacks[i];

		if (!str_eq(s->stack_id, stack_id))
			continue;
		count += s->n_names;
		for (size_t k = 0; first && k < s->n_names; k++)
			assert_int_equal(strncmp(s->names[k].name, first, strlen(first)), 0);
	}
	names_done(&all);
	return count;
}

static void test_told_at_once(void **state)
{
	struct names all;

	start(2);
	world_run(&w, 5 * SEC);
	names_set(&w.nodes[0], 0, "web", 3);
	world_run(&w, 5 * MSEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", "web"), 3);
	core_names_export(w.nodes[1].core, node_now(&w, &w.nodes[1]), &all);
	assert_int_equal(all.n_stacks, 1);
	assert_string_equal(all.stacks[0].host_name, "host1");
	assert_string_equal(all.stacks[0].host_id, w.nodes[0].config.host_id);
	assert_int_equal(all.stacks[0].vni, 1000);
	assert_int_equal(all.stacks[0].names[0].n_addresses, 1);
	names_done(&all);
	/* a set replaces the one before */
	world_run(&w, SEC);
	names_set(&w.nodes[0], 0, "db", 2);
	world_run(&w, 5 * MSEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", "db"), 2);
	/* nothing takes all away */
	world_run(&w, SEC);
	names_set(&w.nodes[0], 0, "", 0);
	world_run(&w, 5 * MSEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", NULL), 0);
}

/* Changes in a row are gathered for some milliseconds, and none of them is late */
static void test_changes_in_a_row(void **state)
{
	size_t sent;

	start(2);
	world_run(&w, 5 * SEC);
	sent = w.nodes[0].n_sent;
	for (size_t i = 1; i <= 100; i++) {
		names_set(&w.nodes[0], 0, "web", i);
		world_run(&w, MSEC);
	}
	world_run(&w, 20 * MSEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", "web"), 100);
	assert_true(w.nodes[0].n_sent - sent < 100);
	world_run(&w, 4 * SEC);
	/* the same again is no change */
	sent = w.nodes[0].n_sent;
	names_set(&w.nodes[0], 0, "web", 100);
	world_run(&w, SEC);
	assert_int_equal(w.nodes[0].n_sent, sent);
}

/* All three of a change are lost in a row: it is told once more, not an interval later */
static void test_told_late(void **state)
{
	size_t sent;

	start(2);
	world_run(&w, 5 * SEC);
	names_set(&w.nodes[0], 0, "web", 2);
	world_run(&w, 5 * SEC);
	w.nodes[1].isolated = true;
	names_set(&w.nodes[0], 0, "web", 1);
	world_run(&w, SEC);
	w.nodes[1].isolated = false;
	assert_int_equal(names_known(&w.nodes[1], "s1", "web"), 2);
	world_run(&w, 3 * SEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", "web"), 1);
	/* four, and that is all */
	sent = w.nodes[0].n_sent;
	names_set(&w.nodes[0], 0, "web", 3);
	world_run(&w, 5 * SEC);
	assert_int_equal(w.nodes[0].n_sent - sent, 4);
}

/* Removed without a goodbye and made anew at the same address: the new one is believed, the old one counts no more */
static void test_made_anew(void **state)
{
	struct node *a, *b;
	struct discovery d;
	size_t n_subnets = 0;
	char old_id[HOST_ID_LEN + 1];

	start(2);
	a = &w.nodes[0];
	b = &w.nodes[1];
	world_run(&w, 5 * SEC);
	names_set(a, 0, "old", 3);
	world_run(&w, 5 * SEC);
	node_kill(a);
	memcpy(old_id, a->config.host_id, sizeof(old_id));
	memset(a->config.host_id, 'a', HOST_ID_LEN);
	node_start(&w, a, NULL);
	names_set(a, 0, "new", 2);
	world_run(&w, SEC);
	assert_int_equal(names_known(b, "s1", "new"), 2);
	core_export(b->core, node_now(&w, b), &d);
	assert_int_equal(d.n_peers, 2);
	for (size_t i = 0; i < d.n_peers; i++) {
		n_subnets += d.peers[i].n_subnets;
		assert_int_equal(d.peers[i].n_subnets, str_eq(d.peers[i].host_id, old_id) ? 0 : 1);
	}
	core_export_done(&d);
	assert_int_equal(n_subnets, 1);
	world_run(&w, 30 * SEC);
	assert_int_equal(names_known(b, "s1", "new"), 2);
	/* it is there after all: two that run at one address both count */
	node_kill(a);
	memcpy(a->config.host_id, old_id, sizeof(old_id));
	node_start(&w, a, NULL);
	world_run(&w, SEC);
	assert_int_equal(names_known(b, "s1", NULL), 5);
	world_run(&w, 120 * SEC);
	assert_int_equal(node_peers(&w, b, NULL), 1);
}

/* Repetitions and the interval change nothing: the file is not written again */
static void test_refresh_is_no_change(void **state)
{
	size_t changed;

	start(2);
	world_run(&w, 5 * SEC);
	names_set(&w.nodes[0], 0, "web", 30);
	world_run(&w, 5 * SEC);
	changed = w.nodes[1].n_names_changed;
	world_run(&w, 200 * SEC);
	assert_int_equal(w.nodes[1].n_names_changed, changed);
	assert_int_equal(names_known(&w.nodes[1], "s1", "web"), 30);
	/* nor does a restart there, after which all numbers are new */
	node_kill(&w.nodes[0]);
	node_start(&w, &w.nodes[0], NULL);
	names_set(&w.nodes[0], 0, "web", 30);
	world_run(&w, 5 * SEC);
	assert_int_equal(w.nodes[1].n_names_changed, changed);
	names_set(&w.nodes[0], 0, "web", 31);
	world_run(&w, SEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", "web"), 31);
}

/* Who comes later is told, and who comes back hears what changed meanwhile */
static void test_newcomer(void **state)
{
	start(1);
	names_set(&w.nodes[0], 0, "web", 100);
	world_run(&w, 20 * SEC);
	start(1);
	world_run(&w, 50 * MSEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", "web"), 100);
}

static void test_restart_loses_none(void **state)
{
	struct discovery d;
	struct names all;
	struct node *n;

	start(2);
	names_set(&w.nodes[0], 0, "web", 10);
	world_run(&w, 5 * SEC);
	n = &w.nodes[1];
	core_export(n->core, node_now(&w, n), &d);
	core_names_export(n->core, node_now(&w, n), &all);
	n->isolated = true; /* nobody tells it anything */
	{
		struct core *old = n->core;

		n->core = core_new(&n->config);
		core_load(n->core, node_now(&w, n), &d);
		core_names_load(n->core, node_now(&w, n), &all);
		core_export_done(&d);
		core_free(old);
	}
	names_done(&all);
	node_address(&w, n);
	node_stacks(&w, n);
	core_start(n->core, node_now(&w, n));
	node_drain(&w, n);
	world_run(&w, 20 * SEC);
	assert_int_equal(names_known(n, "s1", "web"), 10);
	n->isolated = false;
	names_set(&w.nodes[0], 0, "db", 4);
	world_run(&w, 100 * MSEC);
	assert_int_equal(names_known(n, "s1", "db"), 4);
}

static void test_gone_with_the_peer(void **state)
{
	size_t changed;

	start(3);
	names_set(&w.nodes[0], 0, "web", 10);
	names_set(&w.nodes[1], 0, "web", 10);
	world_run(&w, 5 * SEC);
	assert_int_equal(names_known(&w.nodes[2], "s1", NULL), 10);
	changed = w.nodes[2].n_names_changed;
	core_stop(w.nodes[0].core, node_now(&w, &w.nodes[0]));
	node_drain(&w, &w.nodes[0]);
	world_run(&w, 50 * MSEC);
	assert_int_equal(names_known(&w.nodes[2], "s1", NULL), 0);
	assert_int_equal(w.nodes[2].n_names_changed, changed + 1);
	/* the other dies without a word */
	node_kill(&w.nodes[1]);
	world_run(&w, 60 * SEC);
	assert_int_equal(names_known(&w.nodes[2], "s2", NULL), 10);
	world_run(&w, 60 * SEC);
	assert_int_equal(names_known(&w.nodes[2], "s2", NULL), 0);
	assert_int_equal(w.nodes[2].n_names_changed, changed + 2);
	/* a stack that goes takes its names along */
	start(1);
	names_set(&w.nodes[3], 0, "web", 1);
	world_run(&w, SEC);
	assert_int_equal(names_known(&w.nodes[2], "s4", NULL), 1);
	w.nodes[3].n_stacks = 0;
	node_stacks(&w, &w.nodes[3]);
	world_run(&w, 50 * MSEC);
	assert_int_equal(names_known(&w.nodes[2], "s4", NULL), 0);
}

/* With a part lost the former set stays as a whole; at no time there is a mixture */
static void test_loss_makes_no_mixture(void **state)
{
	size_t n;

	w.delay_us = 40 * MSEC; /* so that datagrams overtake each other, too */
	start(2);
	world_run(&w, 5 * SEC);
	w.loss_permille = 200;
	w.double_permille = 100;
	for (size_t round = 0; round < 40; round++) {
		size_t want = 60 + round * 3;
		char prefix[16];
		bool came = false;

		str_print(prefix, "r%zu-", round);
		names_set(&w.nodes[0], 0, prefix, want);
		for (size_t i = 0; i < 200 && !came; i++) {
			struct names all;

			world_run(&w, 5 * MSEC);
			core_names_export(w.nodes[1].core, node_now(&w, &w.nodes[1]), &all);
			n = all.n_stacks ? all.stacks[0].n_names : 0;
			came = n && strncmp(all.stacks[0].names[0].name, prefix, strlen(prefix)) == 0;
			for (size_t k = 0; k < n; k++)
				assert_memory_equal(all.stacks[0].names[k].name, all.stacks[0].names[0].name,
						    strcspn(prefix, "-") + 1);
			if (came)
				assert_int_equal(n, want);
			names_done(&all);
		}
	}
	w.loss_permille = 0;
	world_run(&w, 70 * SEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", "r39-"), 60 + 39 * 3);
}

static void test_partition(void **state)
{
	start(2);
	names_set(&w.nodes[0], 0, "web", 500);
	world_run(&w, 5 * SEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", "web"), 500);
	w.nodes[1].isolated = true;
	names_set(&w.nodes[0], 0, "db", 400);
	world_run(&w, 40 * SEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", "web"), 500);
	w.nodes[1].isolated = false;
	world_run(&w, 35 * SEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", "db"), 400);
	/* longer than the timeout: gone, and back */
	w.nodes[1].isolated = true;
	world_run(&w, 120 * SEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", NULL), 0);
	w.nodes[1].isolated = false;
	world_run(&w, 35 * SEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", "db"), 400);
}

/* 12,000 names of three hosts are no flood, and a change among them takes no 200 ms */
static void test_many(void **state)
{
	start(4);
	world_run(&w, 5 * SEC);
	for (size_t i = 0; i < 3; i++)
		names_set(&w.nodes[i], 0, "name-of-a-container-", 4000);
	world_run(&w, 200 * MSEC);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(names_known(&w.nodes[3], w.nodes[i].stacks[0].stack_id, "name"), 4000);
	for (size_t i = 0; i < 10; i++) {
		world_run(&w, 300 * MSEC);
		names_set(&w.nodes[0], 0, i % 2 ? "odd-name-of-a-container-" : "even-name-of-a-container-", 4000 - i);
		world_run(&w, 200 * MSEC);
		assert_int_equal(names_known(&w.nodes[3], "s1", i % 2 ? "odd" : "even"), 4000 - i);
	}
	/* and who comes now gets them all */
	start(1);
	world_run(&w, 500 * MSEC);
	for (size_t i = 0; i < 3; i++)
		assert_true(names_known(&w.nodes[4], w.nodes[i].stacks[0].stack_id, NULL) >= 3990);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(node_count(&w.nodes[i], COUNT_RATE), 0);
}

/* A sender's memory is bounded, and what is too much is told */
static void test_bounds(void **state)
{
	start(2);
	world_run(&w, SEC);
	names_set(&w.nodes[0], 0, "web", 6000);
	world_run(&w, 2 * SEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", "web"), LIMIT_NAMES_PER_STACK);
}

/* --- strangers --- */

#define HEAD                                                                                               \
	"{\"type\":\"NAMES\",\"version\":1,\"stack_id\":\"evil\",\"host_ip\":\"192.0.2.66\",\"vni\":1000," \
	"\"timestamp\":0,\"host_id\":\"000000000000000000000000000000ee\",\"host_name\":\"evil\""

static void evil_announce(struct node *n, const char *from, unsigned seq)
{
	autofree char *text = xasprintf(
		"{\"type\":\"ANNOUNCE\",\"version\":1,\"stack_id\":\"evil\",\"host_ip\":\"%s\",\"vni\":1000,"
		"\"timestamp\":0,\"host_id\":\"000000000000000000000000000000ee\",\"host_name\":\"evil\",\"port\":4789,"
		"\"seq\":%u,\"subnets\":[\"10.99.0.0/24\",\"fd00:99::/64\"]}",
		from, seq);

	node_hear(&w, n, from, text);
}

static void evil_names(struct node *n, const char *from, const char *rest)
{
	autofree char *text = xasprintf(HEAD "%s", rest);

	node_hear(&w, n, from, text);
}

static void test_of_nobody_known(void **state)
{
	struct node *n;

	start(1);
	n = &w.nodes[0];
	evil_names(n, "192.0.2.66", ",\"seq\":5,\"names\":[[\"web\",\"service\",[\"10.99.0.2\"]]]}");
	assert_int_equal(names_known(n, "evil", NULL), 0);
	assert_int_equal(node_count(n, COUNT_NAMES), 1);
	evil_announce(n, "192.0.2.66", 5);
	/* another address than that of the host: not believed */
	evil_names(n, "192.0.2.67", ",\"seq\":5,\"names\":[[\"web\",\"service\",[\"10.99.0.2\"]]]}");
	assert_int_equal(names_known(n, "evil", NULL), 0);
	assert_int_equal(node_count(n, COUNT_SENDER), 1);
	node_hear(&w, n, "192.0.2.67",
		  "{\"type\":\"NAMES\",\"version\":1,\"stack_id\":\"evil\",\"host_ip\":\"192.0.2.67\",\"vni\":1000,"
		  "\"host_id\":\"000000000000000000000000000000ee\",\"seq\":6,\"names\":[[\"web\",\"service\","
		  "[\"10.99.0.2\"]]]}");
	assert_int_equal(names_known(n, "evil", NULL), 0);
	assert_int_equal(node_count(n, COUNT_NAMES), 2);
	evil_names(n, "192.0.2.66", ",\"seq\":5,\"names\":[[\"web\",\"service\",[\"10.99.0.2\"]]]}");
	assert_int_equal(names_known(n, "evil", "web"), 1);
}

static void test_outside_of_its_subnets(void **state)
{
	struct node *n;
	struct discovery d;
	struct names all;

	start(1);
	n = &w.nodes[0];
	evil_announce(n, "192.0.2.66", 5);
	evil_names(n, "192.0.2.66",
		   ",\"seq\":5,\"names\":[[\"in\",\"service\",[\"10.71.0.2\",\"10.99.0.9\",\"fd00:99::9\"]],"
		   "[\"out\",\"service\",[\"10.71.0.2\",\"8.8.8.8\",\"::1\",\"fd00:98::1\"]]]}");
	core_names_export(n->core, node_now(&w, n), &all);
	assert_int_equal(all.n_stacks, 1);
	assert_int_equal(all.stacks[0].n_names, 1);
	assert_string_equal(all.stacks[0].names[0].name, "in");
	assert_int_equal(all.stacks[0].names[0].n_addresses, 2);
	names_done(&all);
	assert_int_equal(node_count(n, COUNT_NAMES), 0);
	world_run(&w, 2 * SEC);
	assert_int_equal(node_count(n, COUNT_NAMES), 1);
	assert_non_null(strstr(n->last_log, "name refused"));
	core_export(n->core, node_now(&w, n), &d);
	assert_int_equal(d.problems.n, 1);
	assert_non_null(strstr(d.problems.v[0].text, "outside"));
	core_export_done(&d);
	/* the same again is told no second time */
	for (size_t i = 0; i < 5; i++) {
		evil_names(n, "192.0.2.66",
			   ",\"seq\":5,\"names\":[[\"in\",\"service\",[\"10.71.0.2\",\"10.99.0.9\"]]]}");
		world_run(&w, 2 * SEC);
	}
	assert_int_equal(node_count(n, COUNT_NAMES), 1);
}

/* What a subnet more or less does to names that were told */
static void test_subnets_change(void **state)
{
	size_t changed;
	struct node *n;

	start(2);
	n = &w.nodes[0];
	names_set(n, 0, "web", 5);
	world_run(&w, 5 * SEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", NULL), 5);
	changed = w.nodes[1].n_names_changed;
	n->stacks[0].subnets[0] = prefix_of("10.200.0.0/24");
	node_stacks(&w, n);
	world_run(&w, 50 * MSEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", NULL), 0);
	assert_int_equal(w.nodes[1].n_names_changed, changed + 1);
	n->stacks[0].subnets[0] = prefix_of("10.71.0.0/16");
	node_stacks(&w, n);
	world_run(&w, 50 * MSEC);
	assert_int_equal(names_known(&w.nodes[1], "s1", NULL), 5);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		",\"seq\":9,\"names\":{}}",
		",\"seq\":9}",
		",\"names\":[]}",
		",\"seq\":0,\"names\":[]}",
		",\"seq\":-1,\"names\":[]}",
		",\"seq\":\"9\",\"names\":[]}",
		",\"seq\":9,\"names\":[1]}",
		",\"seq\":9,\"names\":[[]]}",
		",\"seq\":9,\"names\":[[\"web\"]]}",
		",\"seq\":9,\"names\":[[\"web\",\"service\"]]}",
		",\"seq\":9,\"names\":[[\"web\",\"service\",[]]]}",
		",\"seq\":9,\"names\":[[\"web\",\"service\",\"10.99.0.2\"]]}",
		",\"seq\":9,\"names\":[[\"web\",\"service\",[\"10.99.0\"]]]}",
		",\"seq\":9,\"names\":[[\"web\",\"service\",[7]]]}",
		",\"seq\":9,\"names\":[[\"web\",7,[\"10.99.0.2\"]]]}",
		",\"seq\":9,\"names\":[[7,\"service\",[\"10.99.0.2\"]]]}",
		",\"seq\":9,\"names\":[[\"\",\"service\",[\"10.99.0.2\"]]]}",
		",\"seq\":9,\"names\":[[\"Web\",\"service\",[\"10.99.0.2\"]]]}",
		",\"seq\":9,\"names\":[[\"a b\",\"service\",[\"10.99.0.2\"]]]}",
		",\"seq\":9,\"names\":[[\"a..b\",\"service\",[\"10.99.0.2\"]]]}",
		",\"seq\":9,\"names\":[[\".a\",\"service\",[\"10.99.0.2\"]]]}",
		",\"seq\":9,\"names\":[[\"a.\",\"service\",[\"10.99.0.2\"]]]}",
		",\"seq\":9,\"names\":[[\"a\\u0000b\",\"service\",[\"10.99.0.2\"]]]}",
		",\"seq\":9,\"names\":[[\"b\\u00fccher\",\"service\",[\"10.99.0.2\"]]]}",
		",\"seq\":9,\"names\":[[\"b\xc3\xbc"
		"cher\",\"service\",[\"10.99.0.2\"]]]}",
		/* 64 characters */
		",\"seq\":9,\"names\":[[\"0123456789012345678901234567890123456789012345678901234567890123\","
		"\"service\","
		"[\"10.99.0.2\"]]]}",
		",\"seq\":9,\"part\":2,\"parts\":1,\"names\":[]}",
		",\"seq\":9,\"part\":0,\"parts\":2,\"names\":[]}",
		",\"seq\":9,\"part\":1,\"parts\":2049,\"names\":[]}",
		",\"seq\":9,\"part\":1,\"parts\":1e9,\"names\":[]}",
		",\"seq\":9,\"names\":[],\"names\":[]}",
		",\"seq\":9,\"names\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
		"}",
		"",
	};
	struct node *n;

	start(1);
	n = &w.nodes[0];
	evil_announce(n, "192.0.2.66", 5);
	evil_names(n, "192.0.2.66", ",\"seq\":5,\"names\":[[\"web\",\"service\",[\"10.99.0.2\"]]]}");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint64_t before = node_count(n, COUNT_FIELD) + node_count(n, COUNT_SHAPE);

		evil_names(n, "192.0.2.66", bad[i]);
		assert_int_equal(node_count(n, COUNT_FIELD) + node_count(n, COUNT_SHAPE), before + 1);
		assert_int_equal(names_known(n, "evil", "web"), 1);
	}
	/* 63 are allowed; a kind that came later is passed over */
	evil_names(n, "192.0.2.66",
		   ",\"seq\":9,\"names\":[[\"012345678901234567890123456789012345678901234567890123456789012\","
		   "\"service\","
		   "[\"10.99.0.2\"]],[\"new\",\"hologram\",[\"10.99.0.3\"]]]}");
	assert_int_equal(names_known(n, "evil", "0123"), 1);
}

/* Older sets are passed over, for two intervals */
static void test_old(void **state)
{
	struct node *n;

	start(1);
	n = &w.nodes[0];
	evil_announce(n, "192.0.2.66", 5);
	evil_names(n, "192.0.2.66", ",\"seq\":9,\"names\":[[\"web\",\"service\",[\"10.99.0.2\"]]]}");
	evil_names(n, "192.0.2.66", ",\"seq\":8,\"names\":[]}");
	assert_int_equal(names_known(n, "evil", "web"), 1);
	assert_int_equal(node_count(n, COUNT_OLD), 1);
	world_run(&w, 70 * SEC);
	evil_names(n, "192.0.2.66", ",\"seq\":8,\"names\":[]}");
	assert_int_equal(names_known(n, "evil", NULL), 0);
}

/* Parts that never meet the others cost little, and what was known stays. One stranger's do not push out another's */
static void test_parts_of_a_stranger(void **state)
{
	struct node *n;

	start(2);
	names_set(&w.nodes[0], 0, "web", 200);
	world_run(&w, 5 * SEC);
	n = &w.nodes[1];
	evil_announce(n, "192.0.2.66", 5);
	for (unsigned i = 1; i < 2000; i++) {
		autofree char *rest = xasprintf(
			",\"seq\":%u,\"part\":%u,\"parts\":2048,\"names\":[[\"web\",\"service\",[\"10.99.0.2\"]]]}",
			10 + i, i);

		evil_names(n, "192.0.2.66", rest);
	}
	assert_int_equal(names_known(n, "evil", NULL), 0);
	names_set(&w.nodes[0], 0, "db", 300);
	world_run(&w, 100 * MSEC);
	assert_int_equal(names_known(n, "s1", "db"), 300);
	world_run(&w, 5 * SEC);
	assert_true(node_count(n, COUNT_PART) > 0);
}

/* A peer has all the rate it needs for names, and a stranger none beyond that of datagrams */
static void test_rate(void **state)
{
	struct node *n;

	start(1);
	n = &w.nodes[0];
	for (unsigned i = 0; i < 1000; i++)
		evil_names(n, "192.0.2.66", ",\"seq\":5,\"names\":[]}");
	assert_int_equal(node_count(n, COUNT_RATE), 1000 - SOURCE_BURST);
	world_run(&w, 10 * SEC);
	evil_announce(n, "192.0.2.66", 5);
	for (unsigned i = 0; i < NAMES_BURST + 100; i++)
		evil_names(n, "192.0.2.66", ",\"seq\":5,\"names\":[]}");
	assert_int_equal(node_count(n, COUNT_RATE), 1000 - SOURCE_BURST + 100);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_told_at_once),
					   T(test_changes_in_a_row),
					   T(test_told_late),
					   T(test_made_anew),
					   T(test_refresh_is_no_change),
					   T(test_newcomer),
					   T(test_restart_loses_none),
					   T(test_gone_with_the_peer),
					   T(test_loss_makes_no_mixture),
					   T(test_partition),
					   T(test_many),
					   T(test_bounds),
					   T(test_of_nobody_known),
					   T(test_outside_of_its_subnets),
					   T(test_subnets_change),
					   T(test_refused),
					   T(test_old),
					   T(test_parts_of_a_stranger),
					   T(test_rate)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
