/* SPDX-License-Identifier: Apache-2.0
 *
 * Subnets that clash, on a virtual network: that hosts agree on mapped prefixes, whatever was lost, cut off or
 * restarted meanwhile, and what strangers can do about it.
 */
#include "world.h"

static struct world w;

static int setup(void **state)
{
	world_init(&w, 11);
	return 0;
}

static int teardown(void **state)
{
	world_done(&w);
	return 0;
}

static struct node *add(const char *subnet)
{
	struct node *n = node_add(&w);

	n->config.reserved[0] = prefix_of("241.0.0.0/8");
	n->config.reserved[1] = prefix_of("fd64:7264::/32");
	n->stacks[0].subnets[0] = prefix_of(subnet);
	return n;
}

/* What @n has chosen for its first stack; len 0: nothing */
static struct mapped chosen(struct node *n)
{
	struct discovery d;
	struct mapped m = {0};

	core_export(n->core, node_now(&w, n), &d);
	node_drain(&w, n);
	if (d.self.n_stacks && d.self.stacks[0].n_mapped)
		m = d.self.stacks[0].mapped[0];
	core_export_done(&d);
	return m;
}

static bool is_at(struct node *n, const struct prefix *as)
{
	struct mapped m = chosen(n);

	return prefix_cmp(&m.as, as) == 0;
}

/* What @n knows of @of's first stack, in the same words */
static struct mapped heard(struct node *n, const struct node *of)
{
	struct discovery d;
	struct mapped m = {0};

	core_export(n->core, node_now(&w, n), &d);
	node_drain(&w, n);
	for (size_t i = 0; i < d.n_peers; i++) {
		if (str_eq(d.peers[i].host_id, of->config.host_id) && d.peers[i].n_mapped)
			m = d.peers[i].mapped[0];
	}
	core_export_done(&d);
	return m;
}

static size_t problems(struct node *n)
{
	struct discovery d;
	size_t count;

	core_export(n->core, node_now(&w, n), &d);
	node_drain(&w, n);
	count = d.problems.n;
	core_export_done(&d);
	return count;
}

/* All are mapped, no two to the same, and everybody knows it of everybody */
static bool agreed(void)
{
	for (size_t i = 0; i < w.n_nodes; i++) {
		struct mapped m = chosen(&w.nodes[i]);

		if (m.as.len == 0)
			return false;
		for (size_t j = 0; j < w.n_nodes; j++) {
			struct mapped other = heard(&w.nodes[j], &w.nodes[i]);

			if (j != i && (prefix_cmp(&other.as, &m.as) != 0 || prefix_cmp(&other.subnet, &m.subnet) != 0))
				return false;
			other = chosen(&w.nodes[j]);
			if (j < i && prefix_overlaps(&other.as, &m.as))
				return false;
		}
	}
	return true;
}

static size_t sent(void)
{
	size_t n = 0;

	for (size_t i = 0; i < w.n_nodes; i++)
		n += w.nodes[i].n_sent;
	return n;
}

/* A stranger says something to @n */
#define ID_X "00000000000000000000000000000000"

static void say(struct node *n, uint64_t seq, const char *lists)
{
	struct mac mac = vtep_mac(ID_X, 1000);
	struct ip ip = vtep_ip(ID_X, 1000);
	char m[MAC_STRLEN], i[IP_STRLEN];
	autobuf struct buf b = {0};

	buf_printf(&b,
		   "{\"type\":\"ANNOUNCE\",\"version\":1,\"stack_id\":\"x\",\"host_ip\":\"192.0.2.66\",\"vni\":1000,"
		   "\"host_id\":\"" ID_X "\",\"vtep_mac\":\"%s\",\"vtep_ip\":\"%s\",\"seq\":%llu%s}",
		   mac_format(&mac, m), ip_format(&ip, i), (unsigned long long)seq, lists);
	node_hear(&w, n, "192.0.2.66", b.data);
}

/* Two fresh hosts with what Docker gives: both come up at once */
static void test_both_at_once(void **state)
{
	struct node *a = add("172.18.0.0/16"), *b = add("172.18.0.0/16");
	struct mapped before;
	size_t quiet;

	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	assert_int_equal(chosen(a).as.len, 0);
	world_run(&w, 30 * MSEC);
	assert_true(agreed());
	assert_int_equal(chosen(a).as.len, 16);
	assert_non_null(strstr(a->last_stack_log, "stack has a mapped subnet | s1, vni 1000 | 172.18.0.0/16 is 241."));
	assert_non_null(strstr(a->last_stack_log, "s2@host2 has 172.18.0.0/16"));
	assert_int_equal(problems(a) + problems(b), 0);
	/* and there it stays */
	before = chosen(a);
	world_run(&w, 2 * SEC);
	quiet = sent();
	world_run(&w, 20 * SEC);
	assert_in_range(sent() - quiet, 0, 2);
	assert_true(is_at(a, &before.as));
	/* also when the reason has gone */
	core_stop(b->core, node_now(&w, b));
	node_drain(&w, b);
	world_run(&w, 5 * SEC);
	assert_false(node_knows(&w, a, "s2", NULL));
	assert_true(is_at(a, &before.as));
}

static void test_no_clash_no_mapping(void **state)
{
	struct node *a = add("10.1.0.0/24"), *b = add("10.2.0.0/24");

	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	world_run(&w, 40 * SEC);
	assert_int_equal(chosen(a).as.len + chosen(b).as.len, 0);
	/* a third one clashes with one of them: then all of the VNI are */
	node_start(&w, add("10.2.0.0/16"), NULL);
	world_run(&w, 100 * MSEC);
	assert_true(agreed());
}

/* A stack whose clash is known says both prefixes with its first word */
static void test_mapped_before_the_first_word(void **state)
{
	struct node *a = add("172.18.0.0/16"), *b = add("10.2.0.0/24");

	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	world_run(&w, 20 * SEC);
	b->stacks[1] = b->stacks[0];
	str_copy(b->stacks[1].stack_id, "new");
	b->stacks[1].subnets[0] = prefix_of("172.18.0.0/16");
	b->n_stacks = 2;
	b->n_sent = 0;
	/* also when all was looked at a moment ago */
	say(b, 1, ",\"subnets\":[\"10.66.0.0/24\"]");
	node_stacks(&w, b);
	assert_true(b->n_sent >= 1);
	for (size_t i = 0; i < w.n_flights; i++) {
		autofree char *text = xstrndup(w.flights[i].data, w.flights[i].len);

		if (strstr(text, "\"new\""))
			assert_non_null(strstr(text, "\"mapped\":[[\"172.18.0.0/16\",\"241."));
	}
	/* the old one is mapped too, and the file names both at once */
	assert_int_equal(chosen(b).as.len, 16); /* "new" is sorted before "s2" */
	world_run(&w, 100 * MSEC);
	assert_int_equal(chosen(a).as.len, 16);
}

static void test_restart_keeps(void **state)
{
	struct node *a = add("172.18.0.0/16"), *b = add("172.18.0.0/16");
	struct discovery d, copy = {0};
	struct err err = {0};
	struct mapped before;
	json_t *json;

	/* somewhere else than where the hash says: only the file knows */
	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	world_run(&w, 100 * MSEC);
	core_export(a->core, node_now(&w, a), &d);
	d.self.stacks[0].mapped[0].as = prefix_of("241.1.0.0/16");
	json = discovery_to_json(&d);
	core_export_done(&d);
	assert_int_equal(discovery_from_json(json, &copy, &err), 0);
	json_decref(json);
	for (int i = 0; i < 3; i++) {
		node_kill(a);
		world_run(&w, SEC);
		a->n_logs = 0;
		node_start(&w, a, &copy);
		before = chosen(a);
		assert_int_equal(before.as.ip.b[1], 1);
		world_run(&w, SEC);
		assert_true(is_at(a, &before.as));
		assert_true(agreed());
	}
	discovery_done(&copy);
}

/* A file of last week: who is in it has a chance to be heard, and clashes with nobody until it is */
static void test_old_file(void **state)
{
	struct node *a = add("172.18.0.0/16"), *b = add("172.18.0.0/16");
	struct prefix subnet = prefix_of("172.18.0.0/16");
	struct peer peer = {.vni = 1000, .host_ip = b->ip, .subnets = &subnet, .n_subnets = 1};
	struct discovery d = {.peers = &peer, .n_peers = 1};

	str_copy(peer.stack_id, "s2");
	str_copy(peer.host_id, b->config.host_id);
	peer.vtep_mac = vtep_mac(peer.host_id, 1000);
	peer.vtep_ip = vtep_ip(peer.host_id, 1000);
	peer.last_seen.ms = node_now(&w, a).wall.ms - 7 * 86400 * INT64_C(1000);
	node_start(&w, a, &d);
	assert_true(node_knows(&w, a, "s2", NULL));
	assert_int_equal(chosen(a).as.len, 0);
	world_run(&w, SEC);
	assert_int_equal(chosen(a).as.len, 0);
	node_start(&w, b, NULL);
	world_run(&w, 100 * MSEC);
	assert_true(agreed());
	/* one of a minute ago: at once */
	node_kill(a);
	node_kill(b);
	peer.last_seen.ms = node_now(&w, a).wall.ms - 60 * INT64_C(1000);
	node_start(&w, a, &d);
	assert_int_equal(chosen(a).as.len, 16);
	node_start(&w, b, NULL);
}

static void file_with(struct node *n, const char *as, struct discovery *ret)
{
	struct discovery d = {0};
	struct self_stack *s = xgrow(&d.self.stacks, d.self.n_stacks, &d.self.cap_stacks);

	d.self.n_stacks = 1;
	str_copy(d.self.host_id, n->config.host_id);
	str_copy(s->stack_id, n->stacks[0].stack_id);
	s->vni = 1000;
	s->mapped[0] = (struct mapped){.subnet = n->stacks[0].subnets[0], .as = prefix_of(as)};
	s->n_mapped = 1;
	*ret = d;
}

/* Apart, both sides chose the same; together again one moves, once, and all agree */
static void test_partition(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		size_t moves = 0;

		world_init(&w, seed);
		w.loss_permille = seed % 2 ? 0 : 200;
		for (size_t i = 0; i < 4; i++) {
			struct node *n = add("172.18.0.0/16");
			struct discovery d;

			n->isolated = true;
			file_with(n, "241.5.0.0/16", &d);
			node_start(&w, n, &d);
			discovery_done(&d);
		}
		world_run(&w, 5 * SEC);
		for (size_t i = 0; i < 4; i++) {
			assert_int_equal(chosen(&w.nodes[i]).as.ip.b[1], 5);
			w.nodes[i].isolated = false;
			w.nodes[i].n_logs = 0;
		}
		world_run(&w, 70 * SEC);
		w.loss_permille = 0;
		world_run(&w, 40 * SEC);
		assert_true(agreed());
		assert_int_equal(chosen(&w.nodes[0]).as.ip.b[1], 5); /* the smallest host_id */
		moves = sent();
		world_run(&w, 25 * SEC);
		assert_in_range(sent() - moves, 0, 8); /* nothing but the interval's */
		assert_true(agreed());
		if (seed < 20)
			world_done(&w);
	}
}

/* A route of a member that is no stack's: told, and mapped because of it */
static void test_routes(void **state)
{
	struct node *a = add("10.1.0.0/24"), *b = add("10.2.0.0/24");
	struct prefix routes[] = {prefix_of("192.168.0.0/24"), prefix_of("10.2.0.0/16"), prefix_of("192.0.2.0/24")};
	struct peer p = {0};
	struct discovery d;

	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	world_run(&w, 5 * SEC);
	core_routes(a->core, node_now(&w, a), routes, 3);
	node_drain(&w, a);
	world_run(&w, 100 * MSEC);
	assert_true(agreed());
	core_export(b->core, node_now(&w, b), &d);
	p = d.peers[0];
	assert_int_equal(p.n_avoid, 1);
	assert_int_equal(prefix_cmp(&p.avoid[0], &routes[1]), 0);
	core_export_done(&d);
	assert_non_null(strstr(b->last_stack_log, "host1 has a route to 10.2.0.0/16"));
	/* a route right where the other is mapped to: it moves away */
	routes[0] = chosen(b).as;
	core_routes(a->core, node_now(&w, a), routes, 3);
	node_drain(&w, a);
	world_run(&w, 100 * MSEC);
	assert_false(is_at(b, &routes[0]));
	assert_true(agreed());
}

/* A stack on the network that our tunnels run over: refused, told to be avoided, and reached when it is mapped */
static void test_underlay(void **state)
{
	struct node *a = add("10.1.0.0/24"), *b = add("192.0.0.0/16");
	struct prefix underlay = prefix_of("192.0.2.0/24");
	struct peer p = {0};

	b->ip = ip4(198, 51, 100, 2);
	node_start(&w, a, NULL);
	core_routes(a->core, node_now(&w, a), &underlay, 1);
	node_drain(&w, a);
	b->core = core_new(&b->config);
	struct core_addresses where = {.host_ip = b->ip, .port = b->port, .own = &b->ip, .n_own = 1};
	core_addresses(b->core, node_now(&w, b), &where);
	node_stacks(&w, b);
	core_start(b->core, node_now(&w, b));
	node_drain(&w, b);
	world_run(&w, SEC);
	assert_true(agreed());
	assert_true(node_knows(&w, a, "s2", &p));
	assert_int_equal(p.n_subnets, 0);
	assert_int_equal(p.n_mapped, 1);
	assert_int_equal(problems(a), 0); /* what was one for a moment is none */
	/* our addresses change, nothing else does: it is still avoided */
	node_address(&w, a);
	world_run(&w, SEC);
	assert_true(node_knows(&w, b, "s1", &p));
	assert_int_equal(p.n_avoid, 1);
}

/* MAPPING=always beside auto, and never */
static void test_settings(void **state)
{
	struct node *a = add("172.18.0.0/16"), *b = add("10.2.0.0/24"), *c = add("172.18.0.0/16");
	struct peer p = {0};

	a->config.mapping = MAPPING_ALWAYS;
	c->config.mapping = MAPPING_NEVER;
	node_start(&w, a, NULL);
	assert_int_equal(chosen(a).as.len, 16);
	node_start(&w, b, NULL);
	node_start(&w, c, NULL);
	world_run(&w, SEC);
	assert_true(node_knows(&w, b, "s1", &p));
	assert_int_equal(p.n_subnets, 0);
	assert_int_equal(p.n_mapped, 1);
	assert_int_equal(chosen(b).as.len, 24);
	assert_int_equal(chosen(c).as.len, 0);
	assert_true(node_knows(&w, b, "s3", &p));
	assert_int_equal(p.n_subnets, 1);
}

/* --- strangers --- */

static void test_hostile_values(void **state)
{
	static const char *const bad[] = {
		"\"mapped\":7",
		"\"mapped\":[7]",
		"\"mapped\":[[]]",
		"\"mapped\":[[\"10.0.0.0/24\"]]",
		"\"mapped\":[[\"10.0.0.0/24\",\"241.0.0.0/24\",\"241.1.0.0/24\"]]",
		"\"mapped\":[[\"10.0.0.0/24\",\"241.0.0.0/16\"]]",
		"\"mapped\":[[\"10.0.0.0/64\",\"fd64:7264::/64\"]]",
		"\"mapped\":[[\"fd01::/64\",\"10.0.0.0/64\"]]",
		"\"mapped\":[[\"0.0.0.0/0\",\"0.0.0.0/0\"]]",
		"\"mapped\":[[\"224.0.0.0/24\",\"241.0.0.0/24\"]]",
		"\"avoid\":7",
		"\"avoid\":[[]]",
		"\"avoid\":[\"10.0.0.0/33\"]",
	};
	/* well-formed, and yet nobody may have it: the host's address, link-local, the half for shadows, all of the
	 * pool, too short, our underlay, two on one */
	static const char *const refused[] = {
		"[\"10.0.0.0/16\",\"192.0.0.0/16\"]",	"[\"10.0.0.0/16\",\"169.254.0.0/16\"]",
		"[\"10.0.0.0/16\",\"241.200.0.0/16\"]", "[\"10.0.0.0/9\",\"241.0.0.0/9\"]",
		"[\"10.0.0.0/8\",\"241.0.0.0/8\"]",	"[\"0.0.0.0/2\",\"64.0.0.0/2\"]",
		"[\"10.0.0.0/28\",\"192.0.2.64/28\"]",	"[\"127.0.0.0/16\",\"241.1.0.0/16\"]",
	};
	struct node *me = add("10.1.0.0/24");
	struct peer p = {0};
	uint64_t seq = 1;

	node_start(&w, me, NULL);
	world_run(&w, SEC);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		autofree char *lists = xasprintf(",\"subnets\":[],%s", bad[i]);

		say(me, seq++, lists);
		assert_int_equal(node_count(me, COUNT_FIELD), i + 1);
	}
	assert_false(node_knows(&w, me, "x", NULL));
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		autofree char *lists = xasprintf(",\"subnets\":[],\"mapped\":[%s]", refused[i]);

		say(me, seq++, lists);
		assert_true(node_knows(&w, me, "x", &p));
		if (p.n_mapped)
			fail_msg("%s was taken", refused[i]);
	}
	say(me, seq++,
	    ",\"subnets\":[\"10.9.0.0/24\"],\"mapped\":[[\"10.9.0.1/24\",\"241.9.0.1/24\"],[\"10.8.0.0/"
	    "24\",\"241.9.0.0/24\"]]"
	    ",\"avoid\":[\"0.0.0.0/0\",\"0.0.0.0/1\",\"127.0.0.0/8\",\"fe80::/64\",\"10.7.0.0/16\"]");
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.n_subnets, 1);
	assert_int_equal(p.n_mapped, 1);
	assert_int_equal(p.n_avoid, 1);
	/* its own subnet may not lie in the pool */
	say(me, seq++, ",\"subnets\":[\"241.9.0.0/24\"]");
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.n_subnets, 0);
	/* a half of the pool, or all of it, is nothing to avoid; what holds it and more may be */
	say(me, seq++, ",\"subnets\":[],\"avoid\":[\"241.0.0.0/9\",\"241.128.0.0/9\",\"241.0.0.0/8\"]");
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.n_avoid, 0);
	say(me, seq++, ",\"subnets\":[],\"avoid\":[\"fd64:7264::/31\",\"241.0.0.0/10\"]");
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.n_avoid, 2);
	/* more than there may be */
	autobuf struct buf many = {0};
	buf_puts(&many, ",\"subnets\":[],\"avoid\":[");
	for (int i = 0; i <= LIMIT_AVOID; i++)
		buf_printf(&many, "%s\"10.%d.0.0/16\"", i ? "," : "", i);
	buf_puts(&many, "]");
	say(me, seq++, many.data);
	assert_int_equal(node_count(me, COUNT_FIELD), ARRAY_LEN(bad) + 1);
}

/* Somebody who always takes what we have just moved to: a few moves, then one now and then */
static void test_chased(void **state)
{
	struct node *me = add("172.18.0.0/16");
	size_t moves = 0;
	uint64_t seq = 1;

	node_start(&w, me, NULL);
	say(me, seq++, ",\"subnets\":[\"172.18.0.0/16\"]");
	for (int i = 0; i < 100; i++) {
		struct mapped before = chosen(me), after;
		char s[PREFIX_STRLEN];
		autofree char *lists = NULL;

		assert_int_equal(before.as.len, 16);
		lists = xasprintf(",\"subnets\":[\"172.18.0.0/16\"],\"mapped\":[[\"172.18.0.0/16\",\"%s\"]]",
				  prefix_format(&before.as, s));
		say(me, seq++, lists);
		world_run(&w, 100 * MSEC);
		after = chosen(me);
		moves += prefix_cmp(&before.as, &after.as) != 0;
	}
	assert_in_range(moves, 1, 5);
	/* nor do we try all the time */
	world_run(&w, SEC);
	assert_true(core_due(me->core) - w.now_us > 100 * MSEC);
	/* when it stops, we have one of our own */
	world_run(&w, 60 * SEC);
	struct mapped last = heard(me, &(struct node){.config = {.host_id = ID_X}}), ours = chosen(me);
	assert_int_not_equal(prefix_cmp(&last.as, &ours.as), 0);
}

/* Somebody who avoids or takes all of the pool: who has a prefix keeps it, and says nothing */
static void test_all_is_taken(void **state)
{
	static const char *const attacks[] = {
		",\"subnets\":[\"10.200.0.0/24\"],\"avoid\":[\"241.0.0.0/9\"]",
		",\"subnets\":[\"10.200.0.0/24\"],\"avoid\":[\"240.0.0.0/7\"]",
		",\"subnets\":[\"10.200.0.0/24\"],\"avoid\":[\"241.0.0.0/10\",\"241.64.0.0/10\"]",
		",\"subnets\":[],\"mapped\":[[\"10.0.0.0/10\",\"241.0.0.0/10\"],[\"10.64.0.0/10\",\"241.64.0.0/10\"]]",
	};
	struct node *nodes[] = {add("172.18.0.0/16"), add("172.18.0.0/16"), add("172.18.0.0/16")};
	struct mapped before[3];

	for (size_t i = 0; i < 3; i++)
		node_start(&w, nodes[i], NULL);
	world_run(&w, 5 * SEC);
	assert_true(agreed());
	for (size_t i = 0; i < 3; i++)
		before[i] = chosen(nodes[i]);
	for (size_t k = 0; k < ARRAY_LEN(attacks); k++) {
		size_t quiet = sent();

		for (size_t i = 0; i < 3; i++)
			say(nodes[i], k + 1, attacks[k]);
		world_run(&w, SEC);
		for (size_t i = 0; i < 3; i++)
			assert_true(is_at(nodes[i], &before[i].as));
		assert_in_range(sent() - quiet, 0, k ? 0 : 30); /* the first one is answered */
	}
	assert_int_equal(problems(nodes[0]), 1);
}

/* Thousands of peers at once: looked at together */
static void test_burst(void **state)
{
	struct node *me = add("172.18.0.0/16");
	char id[33], from[32];
	size_t before, put_off = 0;

	node_start(&w, me, NULL);
	say(me, 1, ",\"subnets\":[\"172.18.0.0/16\"]");
	world_run(&w, 2 * SEC); /* what follows from that is said */
	before = me->n_sent;
	for (unsigned i = 0; i < 3000; i++) {
		struct mac mac;
		struct ip ip;
		char m[MAC_STRLEN], v[IP_STRLEN];
		autobuf struct buf b = {0};

		snprintf(id, sizeof(id), "%032x", 0x100000 + i);
		snprintf(from, sizeof(from), "198.51.%u.%u", i >> 8, i & 255);
		mac = vtep_mac(id, 1000);
		ip = vtep_ip(id, 1000);
		buf_printf(&b,
			   "{\"type\":\"RESPONSE\",\"version\":1,\"stack_id\":\"x\",\"host_ip\":\"%s\",\"vni\":1000,"
			   "\"host_id\":\"%s\",\"vtep_mac\":\"%s\",\"vtep_ip\":\"%s\",\"seq\":1,"
			   "\"subnets\":[\"172.18.%u.0/24\"],\"mapped\":[[\"172.18.%u.0/24\",\"241.%u.%u.0/24\"]]}",
			   from, id, mac_format(&mac, m), ip_format(&ip, v), i & 255, i & 255, i >> 8, i & 255);
		w.now_us += 20;
		node_hear(&w, me, from, b.data);
		put_off += core_due(me->core) - w.now_us < 400 * MSEC;
	}
	assert_in_range(me->n_sent - before, 0, 10);
	assert_in_range(put_off, 2900, 3000);
	world_run(&w, SEC);
	assert_int_equal(chosen(me).as.len, 16);
	assert_true(chosen(me).as.ip.b[1] > 11);
}

int main(void)
{
#define CLASH_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CLASH_TEST(test_both_at_once),
		CLASH_TEST(test_no_clash_no_mapping),
		CLASH_TEST(test_mapped_before_the_first_word),
		CLASH_TEST(test_restart_keeps),
		CLASH_TEST(test_old_file),
		CLASH_TEST(test_partition),
		CLASH_TEST(test_routes),
		CLASH_TEST(test_underlay),
		CLASH_TEST(test_settings),
		CLASH_TEST(test_hostile_values),
		CLASH_TEST(test_chased),
		CLASH_TEST(test_all_is_taken),
		CLASH_TEST(test_burst),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
