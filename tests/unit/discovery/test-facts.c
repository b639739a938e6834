/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts of one core in the table of another: all that is told arrives, in any order of the parts; what is no more goes;
 * nobody tells of another host.
 */
#include "discovery/facts.h"
#include "world.h"

#define FACTS 64

/* The store, as gossip has it: what @n tells */
struct store {
	const char *host_id;
	struct {
		uint64_t key;
		char *data;
		size_t len;
	} v[FACTS];
	size_t n;
	bool hidden[FACTS]; /* has not come yet */
};

static void store_put(void *arg, uint64_t key, const char *data, size_t len)
{
	struct store *s = arg;

	assert_true(s->n < FACTS && len > 0 && len <= LIMIT_DATAGRAM);
	for (size_t i = 0; i < s->n; i++)
		assert_true(s->v[i].key != key);
	s->v[s->n].key = key;
	s->v[s->n].data = xmemdup(data, len);
	s->v[s->n++].len = len;
}

static const void *store_get(void *arg, const char *host_id, uint64_t key, size_t *ret_len)
{
	const struct store *s = arg;

	for (size_t i = 0; i < s->n && str_eq(host_id, s->host_id); i++) {
		if (s->v[i].key != key || s->hidden[i])
			continue;
		*ret_len = s->v[i].len;
		return s->v[i].data;
	}
	return NULL;
}

static void store_done(struct store *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].data);
	s->n = 0;
}

static struct world w;

/* The store has this one now. Return: as core_feed_fact() */
static int arrives(struct node *to, struct store *s, size_t i)
{
	struct fact_store facts = {.get = store_get, .arg = s};
	struct err err = {0};
	int r;

	s->hidden[i] = false;
	r = core_feed_fact(to->core, node_now(&w, to), FEED_GOSSIP, &facts, s->host_id, s->v[i].data, s->v[i].len,
			   &err);
	node_drain(&w, to);
	assert_int_equal(r < 0, err.text[0] != '\0');
	return r;
}

static struct store told_by(struct node *n)
{
	struct store s = {.host_id = n->config.host_id};

	core_facts(n->core, store_put, &s);
	node_drain(&w, n);
	return s;
}

static struct node *node_quiet(void)
{
	struct node *n = node_add(&w);

	n->config.multicast = false;
	n->config.feeds = 1u << FEED_GOSSIP;
	return n;
}

static void subnets_many(struct node *n, size_t count)
{
	n->stacks[0].n_subnets = count;
	for (size_t i = 0; i < count; i++)
		n->stacks[0].subnets[i] = (struct prefix){ip4(10, 71, (unsigned)i, 0), 24};
}

static void names_set(struct node *n, size_t count)
{
	struct name_stack s = {.vni = 1000};

	str_copy(s.stack_id, n->stacks[0].stack_id);
	for (size_t i = 0; i < count; i++) {
		struct name *name = xgrow(&s.names, s.n_names, &s.cap_names);
		struct ip ip = n->stacks[0].subnets[0].ip;

		ip.b[3] = (uint8_t)(2 + i % 250);
		str_print(name->name, "service-with-a-name-%zu", i);
		name->kind = NAME_SERVICE;
		name->addresses = xmemdup(&ip, sizeof(ip));
		name->n_addresses = 1;
		s.n_names++;
	}
	core_names(n->core, node_now(&w, n), &s, 1);
	node_drain(&w, n);
	name_stack_done(&s);
}

static size_t names_known(struct node *n)
{
	struct names all;
	size_t count = 0;

	core_names_export(n->core, node_now(&w, n), &all);
	for (size_t i = 0; i < all.n_stacks; i++)
		count += all.stacks[i].n_names;
	names_done(&all);
	return count;
}

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

static void test_told(void **state)
{
	struct node *a = node_quiet(), *b = node_quiet();
	struct store s, again;
	struct peer p;

	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	s = told_by(a);
	assert_int_equal(s.n, 1);
	assert_int_equal(arrives(b, &s, 0), 0);
	assert_true(node_knows(&w, b, "s1", &p));
	assert_int_equal(p.source, PEER_GOSSIP);
	/* hours later nothing has changed, and what says the same is the same */
	world_run(&w, 7200 * SEC);
	assert_true(node_knows(&w, b, "s1", NULL));
	again = told_by(a);
	assert_int_equal(again.n, 1);
	assert_true(again.v[0].key == s.v[0].key);
	assert_int_equal(again.v[0].len, s.v[0].len);
	assert_memory_equal(again.v[0].data, s.v[0].data, s.v[0].len);
	store_done(&again);
	/* no more */
	core_feed_fact_drop(b->core, node_now(&w, b), FEED_GOSSIP, s.host_id, s.v[0].key + 1);
	core_feed_fact_drop(b->core, node_now(&w, b), FEED_GOSSIP, b->config.host_id, s.v[0].key);
	node_drain(&w, b);
	assert_true(node_knows(&w, b, "s1", NULL));
	core_feed_fact_drop(b->core, node_now(&w, b), FEED_GOSSIP, s.host_id, s.v[0].key);
	node_drain(&w, b);
	assert_false(node_knows(&w, b, "s1", NULL));
	assert_int_equal(arrives(b, &s, 0), 0);
	assert_true(node_knows(&w, b, "s1", NULL));
	core_feed_host_drop(b->core, node_now(&w, b), FEED_GOSSIP, s.host_id);
	node_drain(&w, b);
	assert_false(node_knows(&w, b, "s1", NULL));
	store_done(&s);
}

/* Parts are put together when all of one number are there, whichever comes last */
static void test_parts(void **state)
{
	struct node *a = node_quiet();
	struct store s;

	subnets_many(a, LIMIT_SUBNETS);
	node_start(&w, a, NULL);
	s = told_by(a);
	assert_true(s.n > 1);
	for (size_t last = 0; last < s.n; last++) {
		struct node *b = node_quiet();
		struct peer p;

		node_start(&w, b, NULL);
		for (size_t i = 0; i < s.n; i++)
			s.hidden[i] = true;
		for (size_t i = 0; i < s.n; i++) {
			if (i == last)
				continue;
			assert_int_equal(arrives(b, &s, i), 0);
			assert_false(node_knows(&w, b, "s1", NULL));
		}
		assert_int_equal(arrives(b, &s, last), 0);
		assert_true(node_knows(&w, b, "s1", NULL));
		node_peers(&w, b, &p);
		assert_int_equal(p.n_subnets, LIMIT_SUBNETS);
	}
	store_done(&s);
}

/* A part of an older number does not go with the others */
static void test_parts_mixed(void **state)
{
	struct node *a = node_quiet(), *b = node_quiet();
	struct store old, new;
	size_t i;

	subnets_many(a, LIMIT_SUBNETS);
	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	old = told_by(a);
	subnets_many(a, LIMIT_SUBNETS - 1);
	node_stacks(&w, a);
	new = told_by(a);
	assert_true(old.n > 1 && new.n > 1);
	free(new.v[1].data);
	new.v[1].data = xmemdup(old.v[1].data, old.v[1].len);
	new.v[1].len = old.v[1].len;
	assert_true(new.v[1].key == old.v[1].key);
	for (i = 0; i < new.n; i++)
		assert_int_equal(arrives(b, &new, i), 0);
	assert_false(node_knows(&w, b, "s1", NULL));
	store_done(&old);
	store_done(&new);
}

static void test_names(void **state)
{
	struct node *a = node_quiet(), *b = node_quiet(), *c = node_quiet();
	struct store s;

	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	node_start(&w, c, NULL);
	names_set(a, 40);
	s = told_by(a);
	assert_true(s.n > 2); /* the stack, and its names in several parts */
	for (size_t i = 0; i < s.n; i++)
		assert_int_equal(arrives(b, &s, i), 0);
	assert_int_equal(names_known(b), 40);
	/* names first, then the stack */
	for (size_t i = s.n; i-- > 0;)
		assert_int_equal(arrives(c, &s, i), 0);
	assert_int_equal(names_known(c), 40);
	store_done(&s);
}

/* Whoever is a member tells of himself alone, and nothing but what he announces */
static void test_refused(void **state)
{
	struct node *a = node_quiet(), *b = node_quiet(), *c = node_quiet();
	struct store s, of_c;
	struct err err = {0};
	struct fact_store facts = {.get = store_get, .arg = &s};

	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	node_start(&w, c, NULL);
	names_set(c, 1);
	s = told_by(a);
	of_c = told_by(c);
	assert_int_equal(of_c.n, 2);
	for (size_t i = 0; i < of_c.n; i++)
		assert_int_equal(core_feed_fact(b->core, node_now(&w, b), FEED_GOSSIP, &facts, s.host_id,
						of_c.v[i].data, of_c.v[i].len, &err),
				 -EINVAL);
	assert_int_equal(core_feed_fact(b->core, node_now(&w, b), FEED_GOSSIP, &facts, s.host_id, "{}", 2, &err),
			 -EINVAL);
	assert_int_equal(core_feed_fact(b->core, node_now(&w, b), FEED_GOSSIP, &facts, s.host_id, "\0\xff", 2, &err),
			 -EINVAL);
	for (size_t len = 0; len < s.v[0].len; len++)
		assert_int_equal(core_feed_fact(b->core, node_now(&w, b), FEED_GOSSIP, &facts, s.host_id, s.v[0].data,
						len, &err),
				 -EINVAL);
	assert_int_equal(node_peers(&w, b, NULL), 0);
	assert_int_equal(names_known(b), 0);
	/* what we told ourselves, come back, is nothing */
	assert_int_equal(arrives(a, &s, 0), 0);
	assert_int_equal(node_peers(&w, a, NULL), 0);
	store_done(&s);
	store_done(&of_c);
}

/* Without an address there is nothing that others could use */
static void test_no_address(void **state)
{
	struct node *a = node_quiet();
	struct store s;

	a->core = core_new(&a->config);
	node_stacks(&w, a);
	core_start(a->core, node_now(&w, a));
	s = told_by(a);
	assert_int_equal(s.n, 0);
	node_address(&w, a);
	s = told_by(a);
	assert_int_equal(s.n, 1);
	store_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parts_mixed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_address, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
