/* SPDX-License-Identifier: Apache-2.0
 *
 * What the protocol does when all goes well, when it restarts, and when the network does not help.
 */
#include "world.h"

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

/* The second to come knows and is known after one exchange, not after an interval */
static void test_known_at_once(void **state)
{
	struct peer p = {0};

	start(1);
	world_run(&w, 20 * SEC);
	start(1);
	world_run(&w, 10 * MSEC);
	assert_true(node_knows(&w, &w.nodes[0], "s2", &p));
	assert_string_equal(p.host_name, "host2");
	assert_int_equal(p.source, PEER_MULTICAST);
	assert_int_equal(p.status, PEER_ACTIVE);
	assert_int_equal(p.vxlan_endpoint.port, 4789);
	assert_int_equal(p.n_subnets, 1);
	assert_true(node_knows(&w, &w.nodes[1], "s1", NULL));
}

/* A host without stacks hears all and says nothing; with its first stack it asks */
static void test_silent_without_stacks(void **state)
{
	struct node *n;

	start(1);
	n = node_add(&w);
	n->n_stacks = 0;
	node_start(&w, n, NULL);
	world_run(&w, 40 * SEC);
	assert_int_equal(n->n_sent, 0);
	assert_true(node_knows(&w, n, "s1", NULL));
	assert_int_equal(node_peers(&w, &w.nodes[0], NULL), 0);
	n->n_stacks = 1;
	node_stacks(&w, n);
	world_run(&w, 10 * MSEC);
	assert_true(node_knows(&w, &w.nodes[0], "s2", NULL));
}

static void test_no_address_no_word(void **state)
{
	struct node *n = node_add(&w);
	struct core_addresses none = {0};

	n->core = core_new(&n->config);
	node_stacks(&w, n);
	core_start(n->core, node_now(&w, n));
	node_drain(&w, n);
	world_run(&w, 100 * SEC);
	assert_int_equal(n->n_sent, 0);
	node_address(&w, n);
	world_run(&w, MSEC);
	assert_true(n->n_sent > 0);
	/* and again when it goes away */
	core_addresses(n->core, node_now(&w, n), &none);
	node_drain(&w, n);
	n->n_sent = 0;
	world_run(&w, 100 * SEC);
	assert_int_equal(n->n_sent, 0);
}

static void test_stack_changes(void **state)
{
	struct node *n;
	struct peer p = {0};
	uint64_t seq;

	start(2);
	world_run(&w, 5 * SEC);
	n = &w.nodes[0];
	assert_true(node_knows(&w, &w.nodes[1], "s1", &p));
	seq = p.seq;
	n->stacks[0].subnets[1] = prefix_of("2001:db8:71::/64");
	n->stacks[0].n_subnets = 2;
	n->stacks[1] = n->stacks[0];
	str_copy(n->stacks[1].stack_id, "second");
	n->stacks[1].vni = 2000;
	n->n_stacks = 2;
	node_stacks(&w, n);
	world_run(&w, 5 * MSEC);
	assert_true(node_knows(&w, &w.nodes[1], "s1", &p));
	assert_int_equal(p.n_subnets, 2);
	assert_true(p.seq > seq);
	assert_true(node_knows(&w, &w.nodes[1], "second", &p));
	assert_int_equal(p.vni, 2000);
	/* the same again is no change */
	world_run(&w, 2 * SEC);
	n->n_sent = 0;
	node_stacks(&w, n);
	world_run(&w, SEC);
	assert_int_equal(n->n_sent, 0);
	/* one goes: gone at once, said three times, the other stays */
	n->n_stacks = 1;
	node_stacks(&w, n);
	world_run(&w, 5 * MSEC);
	assert_false(node_knows(&w, &w.nodes[1], "second", NULL));
	assert_true(node_knows(&w, &w.nodes[1], "s1", NULL));
	world_run(&w, 2 * SEC);
	assert_int_equal(n->n_sent, 3);
	/* and comes back */
	n->n_stacks = 2;
	node_stacks(&w, n);
	world_run(&w, 5 * MSEC);
	assert_true(node_knows(&w, &w.nodes[1], "second", NULL));
}

static void test_periodic(void **state)
{
	struct node *n;

	start(1);
	n = &w.nodes[0];
	world_run(&w, 2 * SEC);
	n->n_sent = 0;
	world_run(&w, 300 * SEC);
	assert_in_range(n->n_sent, 9, 11);
}

/* Idle means idle: what two hosts with a stack each wake up for */
static void test_few_wakeups(void **state)
{
	unsigned wakeups = 0;

	start(2);
	world_run(&w, 5 * SEC);
	for (int64_t end = w.now_us + 300 * SEC; w.now_us < end; wakeups++) {
		int64_t step = core_due(w.nodes[0].core) + 1 - w.now_us;

		assert_true(step > 1);
		world_run(&w, step < end - w.now_us ? step : end - w.now_us);
	}
	assert_in_range(wakeups, 1, 60);
}

static void test_goodbye(void **state)
{
	struct node *n;

	start(3);
	world_run(&w, 5 * SEC);
	n = &w.nodes[0];
	core_stop(n->core, node_now(&w, n));
	node_drain(&w, n);
	world_run(&w, 10 * MSEC);
	assert_false(node_knows(&w, &w.nodes[1], "s1", NULL));
	assert_false(node_knows(&w, &w.nodes[2], "s1", NULL));
	assert_true(node_knows(&w, &w.nodes[1], "s3", NULL));
	world_run(&w, 150 * MSEC);
	assert_true(n->stopped);
}

static void test_goodbye_never(void **state)
{
	struct node *n = node_add(&w);

	n->config.goodbye = false;
	node_start(&w, n, NULL);
	start(1);
	world_run(&w, 5 * SEC);
	n->n_sent = 0;
	core_stop(n->core, node_now(&w, n));
	node_drain(&w, n);
	assert_true(n->stopped);
	assert_int_equal(n->n_sent, 0);
	world_run(&w, 30 * SEC);
	assert_true(node_knows(&w, &w.nodes[1], "s1", NULL));
}

/* An announcement that was under way when its stack said goodbye comes too late */
static void test_goodbye_overtakes(void **state)
{
	struct endpoint from;
	struct flight late = {0};
	struct node *n;

	start(2);
	world_run(&w, 5 * SEC);
	n = &w.nodes[0];
	n->stacks[0].subnets[0] = prefix_of("10.99.0.0/24");
	node_stacks(&w, n);
	assert_true(w.n_flights > 0);
	late = w.flights[w.n_flights - 1];
	late.data = xmemdup(late.data, late.len);
	world_run(&w, SEC);
	from = late.from;
	core_stop(n->core, node_now(&w, n));
	node_drain(&w, n);
	world_run(&w, SEC);
	assert_int_equal(node_peers(&w, &w.nodes[1], NULL), 0);
	core_datagram(w.nodes[1].core, node_now(&w, &w.nodes[1]), &from, true, late.data, late.len);
	free(late.data);
	assert_int_equal(node_peers(&w, &w.nodes[1], NULL), 0);
	assert_int_equal(node_count(&w.nodes[1], COUNT_OLD), 1);
}

/* stale after three quarters of the timeout, gone after it, and not a second earlier */
static void test_stale_then_gone(void **state)
{
	struct peer p = {0};

	start(2);
	world_run(&w, SEC);
	node_kill(&w.nodes[0]);
	world_run(&w, 66 * SEC);
	assert_true(node_knows(&w, &w.nodes[1], "s1", &p));
	assert_int_equal(p.status, PEER_ACTIVE);
	world_run(&w, 2 * SEC);
	assert_true(node_knows(&w, &w.nodes[1], "s1", &p));
	assert_int_equal(p.status, PEER_STALE);
	world_run(&w, 20 * SEC);
	assert_true(node_knows(&w, &w.nodes[1], "s1", NULL));
	world_run(&w, 3 * SEC);
	assert_false(node_knows(&w, &w.nodes[1], "s1", NULL));
	assert_non_null(strstr(w.nodes[1].last_log, "peer has gone"));
}

static void test_stale_comes_back(void **state)
{
	struct peer p = {0};

	start(2);
	world_run(&w, SEC);
	w.nodes[0].isolated = true;
	world_run(&w, 75 * SEC);
	assert_true(node_knows(&w, &w.nodes[1], "s1", &p));
	assert_int_equal(p.status, PEER_STALE);
	w.nodes[0].isolated = false;
	world_run(&w, 35 * SEC);
	assert_true(node_knows(&w, &w.nodes[1], "s1", &p));
	assert_int_equal(p.status, PEER_ACTIVE);
}

/* kill -9 and a start from the file: nobody is lost for a moment, and everybody is asked */
static void test_restart(void **state)
{
	struct node *n;
	struct discovery file;
	struct peer p = {0};
	uint64_t seq;

	start(3);
	world_run(&w, 10 * SEC);
	n = &w.nodes[0];
	core_export(n->core, node_now(&w, n), &file);
	/* what the file says must outlive the core it is borrowed from */
	json_t *json = discovery_to_json(&file);
	seq = file.self.seq;
	core_export_done(&file);
	node_kill(n);
	world_run(&w, 3600 * SEC);
	assert_int_equal(discovery_from_json(json, &file, NULL), 0);
	json_decref(json);
	n->isolated = true;
	node_start(&w, n, &file);
	assert_int_equal(node_peers(&w, n, NULL), 2);
	assert_true(node_knows(&w, n, "s3", &p));
	assert_int_equal(p.n_subnets, 1);
	/* an hour old, yet half the timeout is left to be heard again */
	world_run(&w, 44 * SEC);
	assert_int_equal(node_peers(&w, n, NULL), 2);
	world_run(&w, 5 * SEC);
	assert_int_equal(node_peers(&w, n, NULL), 0);
	node_kill(n);
	n->isolated = false;
	node_start(&w, n, &file);
	world_run(&w, 10 * MSEC);
	assert_true(world_converged(&w));
	assert_true(node_knows(&w, &w.nodes[1], "s1", &p));
	assert_true(p.seq > seq);
	discovery_done(&file);
}

/* The clock goes back an hour while we are down: the number in the file goes on, nobody takes us for our own past */
static void test_clock_set_back(void **state)
{
	struct node *n;
	struct discovery file;
	struct peer p = {0};

	start(2);
	world_run(&w, 10 * SEC);
	n = &w.nodes[0];
	core_export(n->core, node_now(&w, n), &file);
	json_t *json = discovery_to_json(&file);
	core_export_done(&file);
	assert_int_equal(discovery_from_json(json, &file, NULL), 0);
	json_decref(json);
	node_kill(n);
	n->wall_offset_ms = -3600 * 1000;
	n->stacks[0].subnets[0] = prefix_of("10.99.0.0/24");
	node_start(&w, n, &file);
	world_run(&w, 10 * MSEC);
	assert_true(node_knows(&w, &w.nodes[1], "s1", &p));
	assert_int_equal(p.n_subnets, 1);
	assert_int_equal(node_count(&w.nodes[1], COUNT_OLD), 0);
	assert_true(node_knows(&w, n, "s2", &p));
	discovery_done(&file);
	/* set back while running: nothing at all happens */
	w.nodes[1].wall_offset_ms = -3600 * 1000;
	world_run(&w, 200 * SEC);
	assert_true(world_converged(&w));
	/* and without a file, an hour behind: mute for two intervals, not for an hour */
	node_kill(n);
	n->wall_offset_ms = -7200 * 1000;
	n->stacks[0].subnets[0] = prefix_of("10.98.0.0/24");
	node_start(&w, n, NULL);
	world_run(&w, 100 * SEC);
	assert_true(node_knows(&w, &w.nodes[1], "s1", NULL));
	assert_true(node_count(&w.nodes[1], COUNT_OLD) > 0);
	assert_true(world_converged(&w));
}

/* The address changes: the same peer at another place, believed as soon as the old place is silent */
static void test_address_change(void **state)
{
	struct node *n;
	struct peer p = {0};

	start(3);
	world_run(&w, 10 * SEC);
	n = &w.nodes[0];
	n->ip = ip4(192, 0, 2, 200);
	node_address(&w, n);
	world_run(&w, 300 * MSEC);
	assert_true(node_knows(&w, &w.nodes[1], "s1", &p));
	assert_int_equal(p.host_ip.b[3], 200);
	assert_int_equal(p.vxlan_endpoint.ip.b[3], 200);
	assert_true(world_converged(&w));
	world_run(&w, 200 * SEC);
	assert_true(world_converged(&w));
}

/* The process slept (suspend, SIGSTOP) past every timeout: the others did not go, so they are asked first */
static void test_after_sleep(void **state)
{
	struct node *n;

	start(2);
	world_run(&w, 10 * SEC);
	n = &w.nodes[0];
	/* what the other sent meanwhile is lost */
	for (size_t i = 0; i < w.n_flights; i++)
		free(w.flights[i].data);
	w.n_flights = 0;
	w.now_us += 7200 * SEC;
	core_timer(n->core, node_now(&w, n));
	node_drain(&w, n);
	assert_int_equal(node_peers(&w, n, NULL), 1);
	world_run(&w, SEC);
	assert_true(node_knows(&w, n, "s2", NULL));
	world_run(&w, 10 * SEC);
	assert_true(node_knows(&w, n, "s2", NULL));
}

/* One cannot hear multicast: its own announcements bring answers all the same */
static void test_deaf_to_multicast(void **state)
{
	struct node *n = node_add(&w);

	n->deaf = true;
	node_start(&w, n, NULL);
	world_run(&w, SEC);
	start(1);
	world_run(&w, 10 * MSEC);
	/* the newcomer's QUERY was not heard by the deaf one ... */
	assert_int_equal(node_peers(&w, n, NULL), 0);
	/* ... its next announcement is answered */
	world_run(&w, 34 * SEC);
	assert_true(node_knows(&w, n, "s2", NULL));
	assert_true(node_knows(&w, &w.nodes[1], "s1", NULL));
}

/* Two processes of one host: each answer goes to the port of who asked */
static void test_two_processes(void **state)
{
	struct node *n;
	struct peer p = {0};

	start(2);
	n = node_add(&w);
	n->ip = w.nodes[0].ip;
	n->port = 50000;
	n->deaf = true; /* only answers by unicast reach it */
	node_start(&w, n, NULL);
	world_run(&w, 10 * MSEC);
	assert_true(node_knows(&w, n, "s2", &p));
	assert_true(node_knows(&w, n, "s1", &p));
	assert_int_equal(ip_cmp(&p.host_ip, &n->ip), 0);
	assert_true(node_knows(&w, &w.nodes[0], "s3", NULL));
	assert_true(node_knows(&w, &w.nodes[1], "s3", NULL));
}

/* No multicast at all: lists of peers, also when only one of two lists the other */
static void test_static(void **state)
{
	struct endpoint to = {.ip = ip4(192, 0, 2, 1), .port = 4790};
	struct node *a = node_add(&w), *b = node_add(&w);
	struct peer p = {0};

	a->config.multicast = b->config.multicast = false;
	b->config.peers = &to;
	b->config.n_peers = 1;
	node_start(&w, a, NULL);
	world_run(&w, SEC);
	node_start(&w, b, NULL);
	world_run(&w, 10 * MSEC);
	assert_true(world_converged(&w));
	assert_true(node_knows(&w, b, "s1", &p));
	assert_int_equal(p.source, PEER_STATIC);
	/* a lists nobody, and tells b of a change at once all the same */
	a->stacks[1] = a->stacks[0];
	str_copy(a->stacks[1].stack_id, "more");
	a->n_stacks = 2;
	node_stacks(&w, a);
	world_run(&w, 10 * MSEC);
	assert_true(node_knows(&w, b, "more", NULL));
	world_run(&w, 600 * SEC);
	assert_true(world_converged(&w));
	core_stop(a->core, node_now(&w, a));
	node_drain(&w, a);
	world_run(&w, 10 * MSEC);
	assert_int_equal(node_peers(&w, b, NULL), 0);
}

/* A stack with more subnets than a datagram holds */
static void test_split(void **state)
{
	struct node *n = node_add(&w);
	struct peer p = {0};

	for (size_t i = 0; i < LIMIT_SUBNETS; i++) {
		n->stacks[0].subnets[i] = prefix_of("2001:db8:ffff:ffff::/64");
		n->stacks[0].subnets[i].ip.b[7] = (uint8_t)i;
	}
	n->stacks[0].n_subnets = LIMIT_SUBNETS;
	w.double_permille = 300;
	node_start(&w, n, NULL);
	start(1);
	world_run(&w, 20 * MSEC);
	assert_true(node_knows(&w, &w.nodes[1], "s1", &p));
	assert_int_equal(p.n_subnets, LIMIT_SUBNETS);
	assert_int_equal(node_count(&w.nodes[1], COUNT_PART), 0);
	/* one part in four is lost: repetition heals it */
	n->stacks[0].n_subnets = LIMIT_SUBNETS - 1;
	w.loss_permille = 250;
	node_stacks(&w, n);
	world_run(&w, 600 * SEC);
	w.loss_permille = 0;
	world_run(&w, 40 * SEC);
	assert_true(node_knows(&w, &w.nodes[1], "s1", &p));
	assert_int_equal(p.n_subnets, LIMIT_SUBNETS - 1);
}

/* As many stacks as others take from one address: all known at once, and nobody takes it for a flood */
static void test_many_stacks(void **state)
{
	struct local_stack *stacks = xcalloc(LIMIT_PEERS_PER_SOURCE, sizeof(*stacks));
	struct node *n;

	start(2);
	n = &w.nodes[0];
	for (int i = 0; i < LIMIT_PEERS_PER_SOURCE; i++) {
		snprintf(stacks[i].stack_id, sizeof(stacks[i].stack_id), "many%d", i);
		stacks[i].vni = 1000;
	}
	world_run(&w, 20 * SEC);
	core_stacks(n->core, node_now(&w, n), stacks, LIMIT_PEERS_PER_SOURCE);
	node_drain(&w, n);
	world_run(&w, 100 * MSEC);
	assert_int_equal(node_peers(&w, &w.nodes[1], NULL), LIMIT_PEERS_PER_SOURCE);
	world_run(&w, 20 * SEC);
	start(1);
	world_run(&w, 100 * MSEC);
	assert_int_equal(node_peers(&w, &w.nodes[2], NULL), LIMIT_PEERS_PER_SOURCE + 1);
	world_run(&w, 200 * SEC);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(node_count(&w.nodes[i], COUNT_RATE), 0);
	core_stop(n->core, node_now(&w, n));
	node_drain(&w, n);
	world_run(&w, 400 * MSEC);
	assert_true(n->stopped);
	assert_int_equal(node_peers(&w, &w.nodes[1], NULL), 1);
	free(stacks);
}

/* Last_seen is told by the clock that never jumps; a refresh alone is no change to the file */
static void test_refresh_is_no_change(void **state)
{
	struct node *n;
	struct peer p = {0};

	start(2);
	world_run(&w, 5 * SEC);
	n = &w.nodes[0];
	node_peers(&w, n, NULL);
	assert_false(core_touched(n->core));
	n->n_changed = 0;
	world_run(&w, 35 * SEC);
	assert_int_equal(n->n_changed, 0);
	assert_true(core_touched(n->core));
	assert_true(node_knows(&w, n, "s2", &p));
	assert_in_range(p.last_seen.ms, node_now(&w, n).wall.ms - 34000, node_now(&w, n).wall.ms);
}

/*
 * Seeds: 6 nodes on a bad network start, stop, are killed and restarted from their files, change stacks and addresses.
 * When that is over, and two intervals later, all know exactly what is true.
 */
static json_t *files[6];

static void perturb(struct node *n, size_t i)
{
	struct discovery d;

	switch (world_random(&w, 6)) {
	case 0:
		n->stacks[0].subnets[0].ip.b[2] ^= 128;
		node_stacks(&w, n);
		break;
	case 1:
		n->stacks[1] = n->stacks[0];
		snprintf(n->stacks[1].stack_id, sizeof(n->stacks[1].stack_id), "more%zu", i);
		n->n_stacks = n->n_stacks == 1 ? 2 : 1;
		node_stacks(&w, n);
		break;
	case 2:
		n->isolated = !n->isolated;
		break;
	case 3:
		n->ip.b[3] = (uint8_t)(n->ip.b[3] ^ 64);
		node_address(&w, n);
		break;
	case 4:
		n->wall_offset_ms = -(int64_t)world_random(&w, 3600 * 1000);
		break;
	default:
		core_export(n->core, node_now(&w, n), &d);
		json_decref(files[i]);
		files[i] = discovery_to_json(&d);
		core_export_done(&d);
		node_kill(n);
		break;
	}
}

static void revive(struct node *n, size_t i)
{
	struct discovery d;

	assert_int_equal(discovery_from_json(files[i], &d, NULL), 0);
	node_start(&w, n, &d);
	discovery_done(&d);
}

static void test_seeds(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		world_done(&w);
		world_init(&w, seed);
		w.loss_permille = (unsigned)world_random(&w, 300);
		w.double_permille = 50;
		w.delay_us = (int64_t)world_random(&w, 50) * MSEC;
		start(6);
		for (int step = 0; step < 40; step++) {
			size_t i = world_random(&w, 6);

			world_run(&w, (int64_t)world_random(&w, 20) * SEC + (int64_t)world_random(&w, 1000) * MSEC);
			if (w.nodes[i].core)
				perturb(&w.nodes[i], i);
			else
				revive(&w.nodes[i], i);
		}
		for (size_t i = 0; i < 6; i++) {
			w.nodes[i].isolated = false;
			if (!w.nodes[i].core)
				revive(&w.nodes[i], i);
		}
		/* with 30 % loss a timeout's worth of announcements may all be lost; so the end is calm */
		w.loss_permille = 0;
		world_run(&w, 125 * SEC);
		if (!world_converged(&w))
			fail_msg("seed %llu did not converge", (unsigned long long)seed);
	}
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		json_decref(files[i]);
		files[i] = NULL;
	}
}

/* 40 hosts start together on a network that loses a fifth: all know all within a second */
static void test_many_start_together(void **state)
{
	w.loss_permille = 200;
	start(40);
	world_run(&w, 2 * SEC);
	assert_true(world_converged(&w));
}

int main(void)
{
#define CORE_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CORE_TEST(test_known_at_once),
		CORE_TEST(test_silent_without_stacks),
		CORE_TEST(test_no_address_no_word),
		CORE_TEST(test_stack_changes),
		CORE_TEST(test_periodic),
		CORE_TEST(test_few_wakeups),
		CORE_TEST(test_goodbye),
		CORE_TEST(test_goodbye_never),
		CORE_TEST(test_goodbye_overtakes),
		CORE_TEST(test_stale_then_gone),
		CORE_TEST(test_stale_comes_back),
		CORE_TEST(test_restart),
		CORE_TEST(test_clock_set_back),
		CORE_TEST(test_address_change),
		CORE_TEST(test_after_sleep),
		CORE_TEST(test_deaf_to_multicast),
		CORE_TEST(test_two_processes),
		CORE_TEST(test_static),
		CORE_TEST(test_split),
		CORE_TEST(test_refresh_is_no_change),
		CORE_TEST(test_many_stacks),
		CORE_TEST(test_seeds),
		CORE_TEST(test_many_start_together),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
