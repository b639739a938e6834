/* SPDX-License-Identifier: Apache-2.0
 *
 * Hostile senders: everything that can be wrong with a datagram costs a count, one log line per while, and nothing
 * else.
 */
#include "world.h"

#define ID_X "abcdefabcdefabcdefabcdefabcdefab"

static struct world w;
static struct node *me, *friend;

static int setup(void **state)
{
	world_init(&w, 5);
	me = node_add(&w);
	friend = node_add(&w);
	node_start(&w, me, NULL);
	node_start(&w, friend, NULL);
	world_run(&w, 12 * SEC);
	assert_true(node_knows(&w, me, "s2", NULL));
	me->n_logs = me->n_sent = me->n_changed = 0;
	return 0;
}

static int teardown(void **state)
{
	/* whatever was tried: the friend is known, and what we say of ourselves is heard */
	assert_true(node_knows(&w, me, "s2", NULL));
	assert_true(node_knows(&w, friend, "s1", NULL));
	world_done(&w);
	return 0;
}

/* A datagram of a well-behaved stranger, with one field of choice */
struct said {
	enum wire_type type;
	const char *from, *host_ip, *host_id, *stack_id, *subnets;
	uint64_t seq;
	uint32_t vni;
	unsigned part, parts;
	bool by_unicast;
	uint16_t port;
};

static void say(struct said s)
{
	struct endpoint from = {.port = s.port ? s.port : 4790};
	const char *host_id = s.host_id ? s.host_id : ID_X;
	uint32_t vni = s.vni ? s.vni : 1000;
	struct mac mac = vtep_mac(host_id, vni);
	struct ip ip = vtep_ip(host_id, vni);
	char m[MAC_STRLEN], i[IP_STRLEN];
	autobuf struct buf b = {0};

	if (!s.from)
		s.from = "192.0.2.66";
	assert_int_equal(ip_parse(s.from, &from.ip), 0);
	buf_printf(&b,
		   "{\"type\":\"%s\",\"version\":1,\"stack_id\":\"%s\",\"host_ip\":\"%s\",\"vni\":%u,"
		   "\"host_id\":\"%s\",\"vtep_mac\":\"%s\",\"vtep_ip\":\"%s\",\"seq\":%llu,\"part\":%u,\"parts\":%u,"
		   "\"subnets\":[%s]}",
		   wire_type_names[s.type], s.stack_id ? s.stack_id : "x", s.host_ip ? s.host_ip : s.from, vni, host_id,
		   mac_format(&mac, m), ip_format(&ip, i), (unsigned long long)(s.seq ? s.seq : 1), s.part ? s.part : 1,
		   s.parts ? s.parts : 1, s.subnets ? s.subnets : "\"10.99.0.0/24\"");
	core_datagram(me->core, node_now(&w, me), &from, !s.by_unicast, b.data, b.len);
	node_drain(&w, me);
}

static void test_stranger_is_answered(void **state)
{
	struct peer p = {0};

	say((struct said){.port = 5555});
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.n_subnets, 1);
	assert_string_equal(p.host_id, ID_X);
	/* one RESPONSE, to the port it came from */
	assert_int_equal(me->n_sent, 1);
	assert_int_equal(w.flights[w.n_flights - 1].to.port, 5555);
	assert_non_null(strstr(w.flights[w.n_flights - 1].data, "\"RESPONSE\""));
	/* a second ANNOUNCE is not, a RESPONSE never is, a QUERY always */
	say((struct said){.seq = 2});
	say((struct said){.type = WIRE_RESPONSE, .from = "192.0.2.67", .host_id = "00000000000000000000000000000abc"});
	assert_int_equal(me->n_sent, 1);
	say((struct said){.type = WIRE_QUERY, .seq = 2});
	say((struct said){.type = WIRE_QUERY, .seq = 2});
	assert_int_equal(me->n_sent, 3);
}

static void test_garbage(void **state)
{
	static const char *const garbage[] = {
		"", "{", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "\xff\xfe\x00", "null", "{\"type\":"};

	for (size_t i = 0; i < ARRAY_LEN(garbage); i++)
		node_hear(&w, me, "192.0.2.66", garbage[i]);
	assert_int_equal(node_count(me, COUNT_SHAPE), ARRAY_LEN(garbage));
	assert_int_equal(me->n_logs, 1);
	node_hear(&w, me, "192.0.2.66", "{\"type\":\"ANNOUNCE\",\"version\":3}");
	assert_int_equal(node_count(me, COUNT_VERSION), 1);
	node_hear(&w, me, "192.0.2.66", "{\"type\":\"ANNOUNCE\",\"version\":1,\"stack_id\":7}");
	assert_int_equal(node_count(me, COUNT_FIELD), 1);
	assert_non_null(strstr(me->last_log, "stack_id"));
	assert_non_null(strstr(me->last_log, "192.0.2.66"));
	assert_int_equal(me->n_logs, 3);
	assert_int_equal(me->n_sent, 0);
	assert_int_equal(node_peers(&w, me, NULL), 1);
	/* after a while the next is said, with the number of those held back */
	world_run(&w, 11 * SEC);
	node_hear(&w, me, "192.0.2.66", "{");
	assert_int_equal(me->n_logs, 4);
}

static void test_not_the_sender(void **state)
{
	say((struct said){.host_ip = "192.0.2.67"});
	say((struct said){.from = "127.0.0.1"});
	assert_int_equal(node_count(me, COUNT_SENDER), 2);
	node_hear(&w, me, "239.1.1.1", "{}");
	node_hear(&w, me, "0.0.0.0", "{}");
	assert_int_equal(node_count(me, COUNT_SENDER), 4);
	assert_int_equal(node_peers(&w, me, NULL), 1);
	assert_int_equal(me->n_sent, 0);
}

/* Our own, looped back, are nothing; our identity from elsewhere is a cloned disk and told */
static void test_own_identity(void **state)
{
	struct discovery d;

	say((struct said){.from = "192.0.2.1", .host_id = me->config.host_id, .port = 4790});
	say((struct said){.from = "192.0.2.1", .host_id = me->config.host_id, .port = 40000});
	assert_int_equal(me->n_logs, 0);
	assert_int_equal(node_count(me, COUNT_IDENTITY), 0);
	say((struct said){.from = "192.0.2.66", .host_id = me->config.host_id});
	say((struct said){
		.from = "192.0.2.66", .host_id = me->config.host_id, .type = WIRE_GOODBYE, .seq = 1ull << 60});
	assert_int_equal(node_count(me, COUNT_IDENTITY), 2);
	assert_int_equal(me->n_logs, 1);
	assert_int_equal(node_peers(&w, me, NULL), 1);
	assert_int_equal(me->n_changed, 1);
	core_export(me->core, node_now(&w, me), &d);
	assert_int_equal(d.problems.n, 1);
	assert_string_equal(d.problems.v[0].object, "192.0.2.66");
	assert_non_null(strstr(d.problems.v[0].text, "cloned disk"));
	assert_non_null(strstr(d.problems.v[0].cure, "host_id"));
	core_export_done(&d);
	/* told while it goes on, and for a while after */
	world_run(&w, 700 * SEC);
	core_export(me->core, node_now(&w, me), &d);
	assert_int_equal(d.problems.n, 0);
	core_export_done(&d);
}

static void test_subnets(void **state)
{
	static const struct {
		const char *subnet, *why;
	} bad[] = {
		{"0.0.0.0/0", "shorter than /8"},  {"8.0.0.0/7", "shorter than /8"},
		{"2000::/3", "shorter than /16"},  {"::/0", "shorter than /16"},
		{"224.0.0.0/8", "multicast"},	   {"239.1.1.0/24", "multicast"},
		{"127.0.0.0/8", "loopback"},	   {"169.254.7.0/24", "link-local"},
		{"fe80::/64", "link-local"},	   {"ff05::/16", "multicast"},
		{"::1/128", "loopback"},	   {"192.0.2.0/24", "overlaps our own network 192.0.2.0/24"},
		{"192.0.0.0/16", "overlaps"},	   {"192.0.2.128/25", "overlaps"},
		{"0.0.0.0/8", "unspecified"},	   {"255.255.255.255/32", "broadcast"},
		{"::ffff:10.0.0.0/112", "mapped"},
	};
	struct peer p = {0};

	say((struct said){0});
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		autobuf struct buf b = {0};

		buf_printf(&b, "\"%s\",\"10.99.0.0/24\"", bad[i].subnet);
		world_run(&w, 11 * SEC);
		say((struct said){.subnets = b.data, .seq = i + 2});
		assert_true(node_knows(&w, me, "x", &p));
		assert_int_equal(p.n_subnets, 1);
		assert_int_equal(node_count(me, COUNT_SUBNET), i + 1);
		if (!strstr(me->last_log, bad[i].subnet) || !strstr(me->last_log, bad[i].why))
			fail_msg("%s: %s", bad[i].subnet, me->last_log);
	}
	/* unsorted, doubled, with host bits: as the router wants them */
	say((struct said){.subnets = "\"10.99.3.7/24\",\"10.99.1.0/24\",\"10.99.3.0/24\"", .seq = 100});
	core_stacks(me->core, node_now(&w, me), me->stacks, me->n_stacks);
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.n_subnets, 2);
	assert_int_equal(p.subnets[0].ip.b[2], 1);
	assert_int_equal(p.subnets[1].ip.b[3], 0);
}

/* SHADOW_POOL is in use inside of every host; a peer's own address is never behind the tunnel to it */
static void test_reserved_subnets(void **state)
{
	struct peer p = {0};

	node_kill(me);
	me->config.reserved[0] = prefix_of("241.0.0.0/8");
	me->config.reserved[1] = prefix_of("fd64:7264::/32");
	node_start(&w, me, NULL);
	say((struct said){.subnets = "\"241.7.0.0/16\",\"fd64:7264:1::/48\",\"10.99.0.0/24\""});
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.n_subnets, 1);
	say((struct said){.from = "198.51.100.7",
			  .host_id = "00000000000000000000000000000abc",
			  .stack_id = "y",
			  .subnets = "\"198.51.0.0/16\""});
	assert_true(node_knows(&w, me, "y", &p));
	assert_int_equal(p.n_subnets, 0);
	world_run(&w, SEC);
}

/* An address of ours comes into being inside what a peer announced before */
static void test_underlay_changes(void **state)
{
	struct prefix underlay = prefix_of("10.99.0.0/16");
	struct core_addresses a = {.host_ip = me->ip,
				   .port = me->port,
				   .own = &me->ip,
				   .n_own = 1,
				   .underlay = &underlay,
				   .n_underlay = 1};
	struct peer p = {0};

	say((struct said){0});
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.n_subnets, 1);
	core_addresses(me->core, node_now(&w, me), &a);
	node_drain(&w, me);
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.n_subnets, 0);
	/* and goes again: the next announcement brings it back, although its number is the same */
	node_address(&w, me);
	say((struct said){0});
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.n_subnets, 1);
}

static void test_older_is_ignored(void **state)
{
	struct peer p = {0};

	say((struct said){.seq = 10});
	say((struct said){.seq = 9, .subnets = "\"10.50.0.0/24\""});
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.subnets[0].ip.b[1], 99);
	say((struct said){.seq = 9, .type = WIRE_GOODBYE});
	assert_true(node_knows(&w, me, "x", NULL));
	assert_int_equal(node_count(me, COUNT_OLD), 2);
	/* two intervals of silence: then it is its clock, not its past */
	world_run(&w, 61 * SEC);
	say((struct said){.seq = 9, .subnets = "\"10.50.0.0/24\""});
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.subnets[0].ip.b[1], 50);
}

/* Nobody takes a name from who still answers; a note says who tried */
static void test_claim_is_refused(void **state)
{
	struct discovery d;
	struct peer p = {0};

	say((struct said){
		.host_id = friend->config.host_id, .stack_id = "s2", .seq = 1ull << 60, .subnets = "\"10.66.0.0/24\""});
	assert_true(node_knows(&w, me, "s2", &p));
	assert_int_equal(p.host_ip.b[3], 2);
	world_run(&w, SEC);
	say((struct said){
		.host_id = friend->config.host_id, .stack_id = "s2", .type = WIRE_GOODBYE, .seq = 1ull << 60});
	world_run(&w, SEC);
	assert_true(node_knows(&w, me, "s2", &p));
	assert_int_equal(p.host_ip.b[3], 2);
	assert_int_equal(p.subnets[0].ip.b[1], 71);
	assert_true(node_count(me, COUNT_CLAIM) >= 2);
	core_export(me->core, node_now(&w, me), &d);
	assert_int_equal(d.problems.n, 1);
	assert_string_equal(d.problems.v[0].object, "192.0.2.66");
	core_export_done(&d);
	/* asking the old address is bounded: a flood of claims is not a flood of questions */
	me->n_sent = 0;
	for (int i = 0; i < 500; i++)
		say((struct said){.host_id = friend->config.host_id, .stack_id = "s2", .seq = 1ull << 60});
	assert_in_range(me->n_sent, 0, 2);
}

static void test_parts(void **state)
{
	struct peer p = {0};

	/* in any order, twice, mixed with others */
	say((struct said){.part = 2, .parts = 2, .subnets = "\"10.99.2.0/24\""});
	assert_false(node_knows(&w, me, "x", NULL));
	say((struct said){.part = 2, .parts = 2, .subnets = "\"10.99.2.0/24\""});
	say((struct said){.part = 1, .parts = 2, .stack_id = "y", .subnets = "\"10.98.1.0/24\""});
	say((struct said){.part = 1, .parts = 2, .subnets = "\"10.99.1.0/24\""});
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.n_subnets, 2);
	/* parts of different numbers are no whole */
	say((struct said){.part = 1, .parts = 2, .seq = 5, .subnets = "\"10.97.1.0/24\""});
	say((struct said){.part = 2, .parts = 2, .seq = 6, .subnets = "\"10.97.2.0/24\""});
	assert_true(node_knows(&w, me, "x", &p));
	assert_int_equal(p.seq, 1);
	/* nor are parts of different senders, nor too many subnets in all */
	say((struct said){.part = 2, .parts = 2, .stack_id = "y", .from = "192.0.2.67"});
	assert_false(node_knows(&w, me, "y", NULL));
}

static void test_parts_bounded(void **state)
{
	autobuf struct buf b = {0};
	char id[33];

	for (int i = 0; i < LIMIT_SUBNETS; i++)
		buf_printf(&b, "%s\"10.99.%d.0/24\"", i ? "," : "", i);
	say((struct said){.part = 1, .parts = 2, .subnets = b.data});
	say((struct said){.part = 2, .parts = 2, .subnets = "\"10.98.0.0/24\""});
	assert_false(node_knows(&w, me, "x", NULL));
	assert_int_equal(node_count(me, COUNT_PART), 1);
	/* from one source no more than a few at once, from many no more than there is room for; the rest still works */
	for (unsigned i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "%032x", 0xa000 + i);
		say((struct said){.part = 1, .parts = 2, .host_id = id, .stack_id = "z"});
	}
	assert_true(node_count(me, COUNT_PART) >= 90);
	for (unsigned i = 0; i < 200; i++) {
		autobuf struct buf from = {0};

		buf_printf(&from, "198.51.100.%u", i + 1);
		snprintf(id, sizeof(id), "%032x", 0xb000 + i);
		say((struct said){.part = 1, .parts = 2, .from = from.data, .host_id = id, .stack_id = "z"});
	}
	say((struct said){.part = 1, .parts = 2, .from = "192.0.2.67", .host_id = ID_X});
	say((struct said){.part = 2, .parts = 2, .from = "192.0.2.67", .host_id = ID_X});
	assert_true(node_knows(&w, me, "x", NULL));
}

/* A flood from one address: bounded in rate and in peers, and nobody else suffers */
static void test_flood_of_one(void **state)
{
	char stack[32];

	for (int i = 0; i < 2000; i++) {
		snprintf(stack, sizeof(stack), "flood%d", i);
		say((struct said){.stack_id = stack});
	}
	assert_int_equal(node_peers(&w, me, NULL), 1 + LIMIT_PEERS_PER_SOURCE);
	assert_int_equal(node_count(me, COUNT_RATE), 2000 - 512);
	assert_int_equal(node_count(me, COUNT_FULL), 512 - LIMIT_PEERS_PER_SOURCE);
	/* one line for the rate, one for the bound, some for those that came; not thousands */
	assert_in_range(me->n_logs, 2, 300);
	assert_in_range(me->n_sent, 0, 520);
	world_run(&w, SEC);
	say((struct said){.from = "192.0.2.67", .host_id = "00000000000000000000000000000abc", .stack_id = "y"});
	assert_true(node_knows(&w, me, "y", NULL));
	/* the flood is over: it goes as it came */
	world_run(&w, 100 * SEC);
	assert_int_equal(node_peers(&w, me, NULL), 1);
}

/* A flood from many: the table is full, those that are in it stay, later there is room again */
static void test_flood_of_many(void **state)
{
	char id[33], from[32];
	struct discovery d;

	for (unsigned i = 0; i < LIMIT_PEERS + 2000; i++) {
		snprintf(id, sizeof(id), "%032x", 0x100000 + i);
		snprintf(from, sizeof(from), "198.51.%u.%u", i >> 8, i & 255);
		say((struct said){.from = from, .host_id = id});
		if (i % 1000 == 0) { /* what we answered went nowhere; the friend is heard meanwhile */
			for (size_t f = 0; f < w.n_flights; f++)
				free(w.flights[f].data);
			w.n_flights = 0;
		}
	}
	assert_int_equal(node_peers(&w, me, NULL), LIMIT_PEERS);
	assert_true(node_knows(&w, me, "s2", NULL));
	assert_int_equal(node_count(me, COUNT_FULL), 2001);
	core_export(me->core, node_now(&w, me), &d);
	assert_int_equal(d.problems.n, 1);
	core_export_done(&d);
	for (size_t f = 0; f < w.n_flights; f++)
		free(w.flights[f].data);
	w.n_flights = 0;
	world_run(&w, 100 * SEC);
	assert_int_equal(node_peers(&w, me, NULL), 1);
	say((struct said){0});
	assert_true(node_knows(&w, me, "x", NULL));
}

/* A question is small and its answer is not: no more goes to one address than one address may send */
static void test_amplification(void **state)
{
	for (int i = 0; i < 400; i++)
		say((struct said){.type = WIRE_QUERY, .port = 53});
	assert_int_equal(me->n_sent, 400);
	me->n_stacks = 4;
	for (size_t i = 1; i < 4; i++) {
		me->stacks[i] = me->stacks[0];
		snprintf(me->stacks[i].stack_id, sizeof(me->stacks[i].stack_id), "t%zu", i);
	}
	node_stacks(&w, me);
	me->n_sent = 0;
	for (int i = 0; i < 100; i++)
		say((struct said){.type = WIRE_QUERY, .port = 53});
	assert_int_equal(me->n_sent, 512 - 400);
	me->n_stacks = 1;
	node_stacks(&w, me);
	world_run(&w, SEC);
}

/* The program that this family comes from: listed, without subnets, and answered in a way that it can hear */
static void test_older_program(void **state)
{
	static const char query[] =
		"{\"type\":\"QUERY\",\"version\":1,\"stack_id\":\"stack-a\",\"host_ip\":\"192.0.2.50\","
		"\"vni\":1000,\"timestamp\":1700000000}";
	struct peer p = {0};
	bool by_group = false, alone = false;

	node_hear(&w, me, "192.0.2.50", query);
	assert_true(node_knows(&w, me, "stack-a", &p));
	assert_string_equal(p.host_id, "");
	assert_int_equal(p.n_subnets, 0);
	assert_int_equal(p.vxlan_endpoint.port, 4789);
	core_timer(me->core, node_now(&w, me));
	node_drain(&w, me);
	for (size_t i = 0; i < w.n_flights; i++) {
		by_group = by_group || w.flights[i].to.port == 0;
		alone = alone || w.flights[i].to.ip.b[3] == 50;
	}
	assert_true(by_group);
	assert_true(alone);
	/* from where it is not, it is not believed; and with subnets of its own making it stays without */
	node_hear(&w, me, "192.0.2.51", query);
	assert_int_equal(node_count(me, COUNT_SENDER), 1);
	node_hear(&w, me, "192.0.2.50",
		  "{\"type\":\"ANNOUNCE\",\"version\":1,\"stack_id\":\"stack-a\",\"host_ip\":\"192.0.2.50\","
		  "\"vni\":1000,\"subnets\":[\"10.1.0.0/16\"]}");
	assert_true(node_knows(&w, me, "stack-a", &p));
	assert_int_equal(p.n_subnets, 0);
	world_run(&w, 100 * SEC);
	assert_false(node_knows(&w, me, "stack-a", NULL));
}

/* discovery.json as somebody else may have left it */
static void test_hostile_file(void **state)
{
	struct discovery d = {0};
	struct peer peers[5];
	struct prefix everything = prefix_of("0.0.0.0/0");

	memset(peers, 0, sizeof(peers));
	for (size_t i = 0; i < 5; i++) {
		snprintf(peers[i].stack_id, sizeof(peers[i].stack_id), "f%zu", i);
		snprintf(peers[i].host_id, sizeof(peers[i].host_id), "%032zx", i + 0x500);
		peers[i].vni = 1000;
		peers[i].host_ip = ip4(192, 0, 2, 100 + (unsigned)i);
		peers[i].vtep_mac = vtep_mac(peers[i].host_id, 1000);
		peers[i].vtep_ip = vtep_ip(peers[i].host_id, 1000);
		peers[i].last_seen.ms = INT64_C(9000000000000);
		peers[i].subnets = &everything;
		peers[i].n_subnets = 1;
		peers[i].seq = UINT64_MAX / 4;
	}
	str_copy(peers[0].host_id, me->config.host_id);
	peers[1].vtep_mac.b[5] ^= 1;
	peers[2].host_ip = ip4(224, 0, 0, 1);
	str_copy(peers[3].stack_id, "../x");
	d.peers = peers;
	d.n_peers = 5;
	node_kill(me);
	node_start(&w, me, &d);
	world_run(&w, SEC);
	assert_int_equal(node_peers(&w, me, NULL), 2); /* the friend and the last of the five */
	assert_true(node_knows(&w, me, "f4", &peers[0]));
	assert_int_equal(peers[0].n_subnets, 0);
	world_run(&w, 100 * SEC);
	assert_int_equal(node_peers(&w, me, NULL), 1);
}

int main(void)
{
#define RECEIVE_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		RECEIVE_TEST(test_stranger_is_answered),
		RECEIVE_TEST(test_garbage),
		RECEIVE_TEST(test_not_the_sender),
		RECEIVE_TEST(test_own_identity),
		RECEIVE_TEST(test_subnets),
		RECEIVE_TEST(test_reserved_subnets),
		RECEIVE_TEST(test_underlay_changes),
		RECEIVE_TEST(test_older_is_ignored),
		RECEIVE_TEST(test_claim_is_refused),
		RECEIVE_TEST(test_parts),
		RECEIVE_TEST(test_parts_bounded),
		RECEIVE_TEST(test_flood_of_one),
		RECEIVE_TEST(test_flood_of_many),
		RECEIVE_TEST(test_amplification),
		RECEIVE_TEST(test_older_program),
		RECEIVE_TEST(test_hostile_file),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
