/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers of feeds: checked, merged with what datagrams say, dropped, kept while the feed is away.
 */
#include "discovery/core.h"
#include "discovery/facts.h"
#include "world.h"

static struct peer record(const struct node *n, uint64_t seq, const struct prefix *subnet)
{
	struct peer p = {.vni = 1000, .host_ip = n->ip, .vxlan_endpoint = {.ip = n->ip, .port = 4789}, .seq = seq};

	str_copy(p.stack_id, n->stacks[0].stack_id);
	str_copy(p.host_id, n->config.host_id);
	str_copy(p.host_name, n->config.host_name);
	p.subnets = subnet ? xmemdup(subnet, sizeof(*subnet)) : NULL;
	p.n_subnets = subnet ? 1 : 0;
	return p;
}

static int put(struct world *w, struct node *n, struct peer p)
{
	struct err err = {0};
	int r = core_feed_put(n->core, node_now(w, n), FEED_ETCD, &p, &err);

	node_drain(w, n);
	peer_done(&p);
	return r;
}

/* Of the only peer that there is: its number, or 0: none */
static uint64_t seq_of(struct world *w, struct node *n, enum peer_source *ret_source, size_t *ret_subnets)
{
	struct discovery d;
	uint64_t seq = 0;

	core_export(n->core, node_now(w, n), &d);
	assert_true(d.n_peers <= 1);
	if (d.n_peers) {
		seq = d.peers[0].seq;
		*ret_source = d.peers[0].source;
		*ret_subnets = d.peers[0].n_subnets;
		assert_int_equal(d.peers[0].status, PEER_ACTIVE);
	}
	core_export_done(&d);
	return seq;
}

static struct node *node_etcd(struct world *w, bool multicast)
{
	struct node *n = node_add(w);

	n->config.feeds = 1u << FEED_ETCD;
	n->config.multicast = multicast;
	return n;
}

static void drop(struct world *w, struct node *a, const struct node *b)
{
	struct peer p = record(b, 0, NULL);

	core_feed_drop(a->core, node_now(w, a), FEED_ETCD, &p);
	node_drain(w, a);
}

static void test_put_drop(void **state)
{
	struct world w;
	struct node *a, *b;
	enum peer_source source;
	size_t n;

	world_init(&w, 1);
	a = node_etcd(&w, false);
	b = node_add(&w);
	node_start(&w, a, NULL);
	assert_int_equal(put(&w, a, record(b, 5, &b->stacks[0].subnets[0])), 0);
	assert_int_equal(seq_of(&w, a, &source, &n), 5);
	assert_int_equal(source, PEER_ETCD);
	assert_int_equal(n, 1);
	/* hours of silence are nothing; a newer record is, also with a smaller number when nobody else tells anything
	 */
	world_run(&w, 7200 * SEC);
	assert_int_equal(seq_of(&w, a, &source, &n), 5);
	assert_int_equal(put(&w, a, record(b, 7, NULL)), 0);
	assert_int_equal(seq_of(&w, a, &source, &n), 7);
	assert_int_equal(n, 0);
	assert_int_equal(put(&w, a, record(b, 3, NULL)), 0);
	assert_int_equal(seq_of(&w, a, &source, &n), 3);
	drop(&w, a, b);
	assert_int_equal(seq_of(&w, a, &source, &n), 0);
	assert_int_equal(w.n_sent, 0); /* nothing is said to anybody */
	node_kill(a);
	free(w.flights);
}

static void test_checks(void **state)
{
	struct prefix underlay = prefix_of("192.0.2.0/25"), good = prefix_of("10.99.0.0/24");
	struct world w;
	struct node *a, *b;
	struct peer p;
	enum peer_source source;
	size_t n;

	world_init(&w, 2);
	a = node_etcd(&w, false);
	b = node_add(&w);
	node_start(&w, a, NULL);
	p = record(b, 1, &good);
	p.host_ip = p.vxlan_endpoint.ip = ip4(127, 0, 0, 2);
	assert_int_equal(put(&w, a, p), -EINVAL);
	p = record(b, 1, &good);
	p.host_ip = p.vxlan_endpoint.ip = ip4(239, 1, 1, 1);
	assert_int_equal(put(&w, a, p), -EINVAL);
	p = record(b, 1, &good);
	p.vxlan_endpoint.ip = ip4(203, 0, 113, 9);
	assert_int_equal(put(&w, a, p), -EINVAL);
	p = record(b, 1, &good);
	p.vtep_mac = (struct mac){{2, 0, 0, 0, 0, 1}};
	assert_int_equal(put(&w, a, p), -EINVAL);
	p = record(b, 1, &good);
	p.host_id[0] = '\0';
	assert_int_equal(put(&w, a, p), -EINVAL);
	assert_int_equal(put(&w, a, record(a, 1, &good)), 0); /* ourselves */
	assert_int_equal(seq_of(&w, a, &source, &n), 0);
	/* a subnet that is ours to be reached by */
	assert_int_equal(put(&w, a, record(b, 1, &underlay)), 0);
	assert_int_equal(seq_of(&w, a, &source, &n), 1);
	assert_int_equal(n, 0);
	node_kill(a);
	free(w.flights);
}

static void test_merge(void **state)
{
	struct world w;
	struct node *a, *b;
	enum peer_source source;
	uint64_t seq;
	size_t n;

	world_init(&w, 3);
	a = node_etcd(&w, true);
	b = node_add(&w);
	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	world_run(&w, SEC);
	seq = seq_of(&w, a, &source, &n);
	assert_true(seq > 0);
	assert_int_equal(source, PEER_MULTICAST);
	/* an older record changes nothing, a newer one does; it is one peer */
	assert_int_equal(put(&w, a, record(b, seq - 1, NULL)), 0);
	assert_int_equal(seq_of(&w, a, &source, &n), seq);
	assert_int_equal(n, 1);
	assert_int_equal(put(&w, a, record(b, seq + 1, NULL)), 0);
	assert_int_equal(seq_of(&w, a, &source, &n), seq + 1);
	assert_int_equal(n, 0);
	/* and the older datagrams that still come do not turn that back */
	world_run(&w, 70 * SEC);
	assert_int_equal(seq_of(&w, a, &source, &n), seq + 1);
	/* the feed has it no more: datagrams have, until they end too */
	drop(&w, a, b);
	world_run(&w, 40 * SEC);
	assert_true(seq_of(&w, a, &source, &n) > 0);
	assert_int_equal(put(&w, a, record(b, seq + 1, NULL)), 0);
	node_kill(b);
	world_run(&w, 300 * SEC);
	assert_int_equal(seq_of(&w, a, &source, &n), seq + 1);
	drop(&w, a, b);
	assert_int_equal(seq_of(&w, a, &source, &n), 0);
	node_kill(a);
	free(w.flights);
}

static void test_listing(void **state)
{
	struct world w;
	struct node *a, *b;
	struct discovery file;
	enum peer_source source;
	size_t n;

	world_init(&w, 4);
	a = node_etcd(&w, false);
	b = node_add(&w);
	node_start(&w, a, NULL);
	assert_int_equal(put(&w, a, record(b, 5, NULL)), 0);
	/* listed again: it stays; not listed: it is gone, at once or after a while */
	core_feed_begin(a->core, FEED_ETCD);
	assert_int_equal(put(&w, a, record(b, 5, NULL)), 0);
	core_feed_end(a->core, node_now(&w, a), FEED_ETCD, 0);
	assert_int_equal(seq_of(&w, a, &source, &n), 5);
	core_feed_begin(a->core, FEED_ETCD);
	core_feed_end(a->core, node_now(&w, a), FEED_ETCD, 80 * SEC);
	node_drain(&w, a);
	assert_int_equal(seq_of(&w, a, &source, &n), 5);
	world_run(&w, 10 * SEC);
	assert_int_equal(seq_of(&w, a, &source, &n), 5);
	world_run(&w, 75 * SEC);
	assert_int_equal(seq_of(&w, a, &source, &n), 0);
	/* after a restart it is in the file: etcd may be away for as long as it likes */
	assert_int_equal(put(&w, a, record(b, 6, NULL)), 0);
	core_export(a->core, node_now(&w, a), &file);
	struct core *old = a->core;
	node_start(&w, a, &file);
	core_export_done(&file);
	core_free(old);
	world_run(&w, 7200 * SEC);
	assert_int_equal(seq_of(&w, a, &source, &n), 6);
	assert_int_equal(source, PEER_ETCD);
	core_feed_begin(a->core, FEED_ETCD);
	core_feed_end(a->core, node_now(&w, a), FEED_ETCD, 0);
	assert_int_equal(seq_of(&w, a, &source, &n), 0);
	node_kill(a);
	free(w.flights);
}

/* What DNS says may be as old as its TTL: who said goodbye is gone, and his old record does not bring him back */
static void test_dns_goodbye(void **state)
{
	struct err err = {0};
	struct world w;
	struct node *a, *b;
	enum peer_source source;
	struct peer p;
	uint64_t seq;
	size_t n;

	world_init(&w, 7);
	a = node_etcd(&w, true);
	a->config.feeds = 1u << FEED_DNS;
	b = node_add(&w);
	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	world_run(&w, SEC);
	seq = seq_of(&w, a, &source, &n);
	p = record(b, seq, NULL);
	assert_int_equal(core_feed_put(a->core, node_now(&w, a), FEED_DNS, &p, &err), 0);
	world_run(&w, 40 * SEC);
	assert_int_equal(seq_of(&w, a, &source, &n), seq);
	assert_int_equal(source, PEER_DNS);
	b->n_stacks = 0;
	node_stacks(&w, b);
	world_run(&w, SEC);
	assert_int_equal(seq_of(&w, a, &source, &n), 0);
	assert_int_equal(core_feed_put(a->core, node_now(&w, a), FEED_DNS, &p, &err), 0);
	assert_int_equal(seq_of(&w, a, &source, &n), 0);
	p.seq += 1000000;
	assert_int_equal(core_feed_put(a->core, node_now(&w, a), FEED_DNS, &p, &err), 0);
	assert_int_equal(seq_of(&w, a, &source, &n), p.seq);
	node_kill(a);
	node_kill(b);
	free(w.flights);
}

/* core_found(): who is new is asked at once, and spoken to from then on */
static void test_found(void **state)
{
	struct world w;
	struct node *a, *b;
	enum peer_source source;
	struct endpoint to;
	size_t n;

	world_init(&w, 8);
	a = node_etcd(&w, false);
	b = node_add(&w);
	b->config.multicast = false;
	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	world_run(&w, 60 * SEC);
	assert_int_equal(seq_of(&w, a, &source, &n), 0);
	to = (struct endpoint){.ip = b->ip, .port = b->config.discovery_port};
	core_found(a->core, node_now(&w, a), &to, 1);
	node_drain(&w, a);
	world_run(&w, SEC);
	assert_true(seq_of(&w, a, &source, &n) > 0);
	assert_true(seq_of(&w, b, &source, &n) > 0);
	core_found(a->core, node_now(&w, a), NULL, 0);
	node_kill(b);
	world_run(&w, 300 * SEC);
	assert_int_equal(seq_of(&w, a, &source, &n), 0);
	node_kill(a);
	free(w.flights);
}

/* Of the only peer that there is */
static size_t names_of(struct world *w, struct node *n)
{
	struct names all = {0};
	size_t count;

	core_names_export(n->core, node_now(w, n), &all);
	assert_true(all.n_stacks <= 1);
	count = all.n_stacks ? all.stacks[0].n_names : 0;
	names_done(&all);
	return count;
}

static void names_put(struct world *w, struct node *a, const struct node *b, uint64_t seq, size_t count)
{
	struct peer key = record(b, 0, NULL);
	struct name_stack names = {0};

	for (size_t i = 0; i < count; i++) {
		struct name *n = xgrow(&names.names, names.n_names, &names.cap_names);

		str_print(n->name, "web-%zu", i);
		n->addresses = xmemdup(&b->stacks[0].subnets[0].ip, sizeof(struct ip));
		n->n_addresses = 1;
		names.n_names++;
	}
	core_feed_names(a->core, node_now(w, a), FEED_ETCD, &key, seq, &names);
	name_stack_done(&names);
	node_drain(w, a);
}

static void test_names(void **state)
{
	struct world w;
	struct node *a, *b;
	struct discovery file;
	struct names names_file;
	struct peer key;

	world_init(&w, 6);
	a = node_etcd(&w, false);
	b = node_add(&w);
	node_start(&w, a, NULL);
	/* of nobody who is known */
	names_put(&w, a, b, 5, 2);
	assert_int_equal(names_of(&w, a), 0);
	/* they stay as they are for as long as the feed has them */
	assert_int_equal(put(&w, a, record(b, 5, &b->stacks[0].subnets[0])), 0);
	names_put(&w, a, b, 5, 2);
	assert_int_equal(names_of(&w, a), 2);
	world_run(&w, 7200 * SEC);
	assert_int_equal(names_of(&w, a), 2);
	names_put(&w, a, b, 6, 3);
	assert_int_equal(names_of(&w, a), 3);
	/* a listing with the peer but without them takes them away; one without the peer leaves them with it */
	core_feed_begin(a->core, FEED_ETCD);
	core_feed_end(a->core, node_now(&w, a), FEED_ETCD, 80 * SEC);
	world_run(&w, 60 * SEC);
	assert_int_equal(names_of(&w, a), 3);
	assert_int_equal(put(&w, a, record(b, 7, &b->stacks[0].subnets[0])), 0);
	names_put(&w, a, b, 7, 3);
	core_feed_begin(a->core, FEED_ETCD);
	assert_int_equal(put(&w, a, record(b, 7, &b->stacks[0].subnets[0])), 0);
	core_feed_end(a->core, node_now(&w, a), FEED_ETCD, 80 * SEC);
	assert_int_equal(names_of(&w, a), 0);
	/* over a restart, while the feed is away */
	names_put(&w, a, b, 8, 2);
	core_export(a->core, node_now(&w, a), &file);
	core_names_export(a->core, node_now(&w, a), &names_file);
	struct core *old = a->core;
	a->core = core_new(&a->config);
	core_load(a->core, node_now(&w, a), &file);
	core_names_load(a->core, node_now(&w, a), &names_file);
	core_start(a->core, node_now(&w, a));
	core_export_done(&file);
	names_done(&names_file);
	core_free(old);
	world_run(&w, 7200 * SEC);
	assert_int_equal(names_of(&w, a), 2);
	/* and gone when they are, or their peer is */
	key = record(b, 0, NULL);
	core_feed_names_drop(a->core, node_now(&w, a), FEED_ETCD, &key);
	assert_int_equal(names_of(&w, a), 0);
	names_put(&w, a, b, 9, 1);
	assert_int_equal(names_of(&w, a), 1);
	drop(&w, a, b);
	assert_int_equal(names_of(&w, a), 0);
	node_kill(a);
	free(w.flights);
}

static void self_count(void *arg, const struct peer *p)
{
	(*(size_t *)arg)++;
	assert_int_equal(p->n_subnets, 1);
	assert_true(p->seq > 0);
}

static void test_self(void **state)
{
	struct world w;
	struct node *a;
	uint64_t version;
	size_t n = 0;

	world_init(&w, 5);
	a = node_etcd(&w, false);
	node_start(&w, a, NULL);
	core_self(a->core, node_now(&w, a), self_count, &n);
	assert_int_equal(n, 1);
	version = core_self_version(a->core);
	node_stacks(&w, a);
	world_run(&w, 60 * SEC);
	assert_true(core_self_version(a->core) == version);
	a->n_stacks = 0;
	node_stacks(&w, a);
	assert_true(core_self_version(a->core) != version);
	n = 0;
	core_self(a->core, node_now(&w, a), self_count, &n);
	assert_int_equal(n, 0);
	node_kill(a);
	free(w.flights);
}

/* --- public keys of WireGuard: only what came sealed may bring one --- */

static struct wg_say a_key(void)
{
	return (struct wg_say){.key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=", .port = 51820};
}

static const char *key_in_file(struct world *w, struct node *n, const char *stack_id)
{
	static struct peer p;

	p = (struct peer){.vni = 0};
	assert_true(node_knows(w, n, stack_id, &p));
	return p.wireguard.key;
}

struct fact {
	char data[2048];
	size_t len;
};

static void fact_keep(void *arg, uint64_t key, const char *data, size_t len)
{
	struct fact *f = arg;

	assert_true(len < sizeof(f->data));
	memcpy(f->data, data, len);
	f->len = len;
}

static const void *fact_none(void *arg, const char *host_id, uint64_t key, size_t *ret_len)
{
	return NULL;
}

/* The same record by each feed, to who has no key, who gets one then, and hears it again */
static void test_wireguard_feeds(void **state)
{
	static const enum feed feeds[] = {FEED_ETCD, FEED_DNS, FEED_GOSSIP};
	const struct fact_store store = {.get = fact_none};

	for (size_t i = 0; i < ARRAY_LEN(feeds); i++) {
		struct wg_say say = a_key();
		struct fact fact = {.len = 0};
		struct err err = {0};
		struct world w;
		struct node *a, *b;

		world_init(&w, 11);
		a = node_etcd(&w, false);
		a->config.feeds = (uint8_t)(1u << feeds[i]);
		b = node_add(&w);
		b->config.multicast = false;
		b->config.sealed = true; /* or it would tell no key: so does who means harm, without one */
		node_start(&w, a, NULL);
		node_start(&w, b, NULL);
		core_wireguard(b->core, node_now(&w, b), &say);
		node_drain(&w, b);
		core_facts(b->core, fact_keep, &fact);
		assert_non_null(memmem(fact.data, fact.len, say.key, strlen(say.key)));
		for (unsigned round = 0; round < 2; round++) {
			struct peer p = record(b, 1000 + round, NULL);

			p.wireguard = say;
			if (feeds[i] == FEED_GOSSIP)
				assert_int_equal(core_feed_fact(a->core, node_now(&w, a), feeds[i], &store,
								b->config.host_id, fact.data, fact.len, &err),
						 0);
			else
				assert_int_equal(core_feed_put(a->core, node_now(&w, a), feeds[i], &p, &err), 0);
			node_drain(&w, a);
			assert_string_equal(key_in_file(&w, a, "s2"), round ? say.key : "");
			core_sealed(a->core, node_now(&w, a), true);
			node_drain(&w, a);
			if (round == 0)
				assert_string_equal(key_in_file(&w, a, "s2"), "");
		}
		world_done(&w);
	}
}

static bool told_key;

static void key_look(void *arg, const struct peer *p)
{
	told_key = p->wireguard.key[0] != '\0';
}

/* By datagrams; and what is ours is not told as long as nothing is sealed */
static void test_wireguard_datagrams(void **state)
{
	struct wg_say say = a_key();
	struct world w;
	struct node *a, *b;

	world_init(&w, 12);
	a = node_add(&w);
	b = node_add(&w);
	b->config.sealed = true;
	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	core_wireguard(a->core, node_now(&w, a), &say);
	core_wireguard(b->core, node_now(&w, b), &say);
	node_drain(&w, b);
	world_run(&w, 2 * SEC);
	assert_string_equal(key_in_file(&w, a, "s2"), "");
	assert_string_equal(key_in_file(&w, b, "s1"), "");
	core_self(a->core, node_now(&w, a), key_look, NULL);
	assert_false(told_key);
	/* a key comes: ours is told at once, theirs is known when they say it again */
	core_sealed(a->core, node_now(&w, a), true);
	assert_true(core_is_sealed(a->core));
	node_drain(&w, a);
	assert_string_equal(key_in_file(&w, a, "s2"), "");
	core_self(a->core, node_now(&w, a), key_look, NULL);
	assert_true(told_key);
	world_run(&w, 2 * SEC);
	assert_string_equal(key_in_file(&w, b, "s1"), say.key);
	world_run(&w, 60 * SEC);
	assert_string_equal(key_in_file(&w, a, "s2"), say.key);
	world_done(&w);
}

/* A message whose first part came in clear is not ended by a second one that is sealed */
static void test_wireguard_parts(void **state)
{
	static const char head[] = "{\"type\":\"ANNOUNCE\",\"version\":1,\"stack_id\":\"s2\",\"host_ip\":\"192.0.2.2\","
				   "\"vni\":1000,\"timestamp\":1700000000,\"port\":4789,\"seq\":9,\"host_id\":\"%s\"%s,"
				   "\"part\":%d,\"parts\":2,\"subnets\":[\"10.72.%d.0/24\"]}";
	struct endpoint from = {.ip = ip4(192, 0, 2, 2), .port = 4790};
	struct world w;
	struct node *a, *b;
	char text[1024];

	world_init(&w, 13);
	a = node_add(&w);
	b = node_add(&w);
	node_start(&w, a, NULL);
	snprintf(text, sizeof(text), head, b->config.host_id,
		 ",\"wireguard\":{\"key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\",\"port\":51820,\"ring\":[]}",
		 1, 1);
	core_datagram(a->core, node_now(&w, a), &from, false, text, strlen(text));
	core_sealed(a->core, node_now(&w, a), true);
	snprintf(text, sizeof(text), head, b->config.host_id, "", 2, 2);
	core_datagram(a->core, node_now(&w, a), &from, false, text, strlen(text));
	node_drain(&w, a);
	assert_false(node_knows(&w, a, "s2", NULL));
	snprintf(text, sizeof(text), head, b->config.host_id, "", 1, 1);
	core_datagram(a->core, node_now(&w, a), &from, false, text, strlen(text));
	node_drain(&w, a);
	assert_string_equal(key_in_file(&w, a, "s2"), "");
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_drop),	cmocka_unit_test(test_checks),
		cmocka_unit_test(test_merge),		cmocka_unit_test(test_listing),
		cmocka_unit_test(test_names),		cmocka_unit_test(test_self),
		cmocka_unit_test(test_dns_goodbye),	cmocka_unit_test(test_found),
		cmocka_unit_test(test_wireguard_feeds), cmocka_unit_test(test_wireguard_datagrams),
		cmocka_unit_test(test_wireguard_parts),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
