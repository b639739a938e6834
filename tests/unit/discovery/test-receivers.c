/* SPDX-License-Identifier: Apache-2.0
 *
 * Which groups a stack's peers are told of: by label, by listeners, and never others; and how they get from host to
 * host.
 */
#include "world.h"

#include "discovery/receivers.h"

static struct inventory inv;
static struct multicast_state heard;
static struct local_stack stack;

static struct ip ip_of(const char *s)
{
	struct ip ip;

	assert_int_equal(ip_parse(s, &ip), 0);
	return ip;
}

static int teardown(void **state)
{
	inventory_done(&inv);
	multicast_state_done(&heard);
	stack = (struct local_stack){0};
	return 0;
}

/* A network of the stack "shop" in VNI 1000, its leg @leg */
static void network(const char *id, const char *label, int64_t leg)
{
	struct inv_stack *s = inventory_stack(&inv, "shop", 1000);
	struct inv_network *n = xgrow(&s->networks, s->n_networks, &s->cap_networks);
	struct inv_multicast *m = xgrow(&inv.multicast, inv.n_multicast, &inv.cap_multicast);
	struct mcs_leg *l = xgrow(&heard.legs, heard.n_legs, &heard.cap_legs);
	struct err err;

	s->n_networks++;
	inv.n_multicast++;
	heard.n_legs++;
	str_copy(n->id, id);
	str_copy(m->network.id, id);
	assert_int_equal(multicast_label_parse(label, &m->label, &err), 0);
	l->leg = leg;
	str_copy(l->network, id);
	stack.vni = 1000;
	str_copy(stack.stack_id, "shop");
}

static void listens(int64_t leg, const char *group)
{
	struct mcs_group *g = xgrow(&heard.groups, heard.n_groups, &heard.cap_groups);

	heard.n_groups++;
	g->leg = leg;
	g->group = ip_of(group);
}

static void told(const char *words)
{
	autobuf struct buf b = {0};
	char text[PREFIX_STRLEN];

	receivers_of(&inv, &heard, &stack);
	for (size_t i = 0; i < stack.n_groups; i++)
		buf_printf(&b, "%s%s", i ? " " : "", prefix_format(&stack.groups[i], text));
	assert_string_equal(b.data ? b.data : "", words);
}

static void test_labels(void **state)
{
	network("a", "overlay,ssdp,mdns", 1);
	told("224.0.0.251/32 239.255.255.250/32 ff05::c/128");
}

static void test_not_for_the_overlay(void **state)
{
	network("a", "ssdp,mdns,239.1.0.0/16", 1);
	listens(1, "239.1.2.3");
	told("");
}

static void test_listeners(void **state)
{
	network("a", "lan,overlay,239.1.0.0/16,ff05::/16", 1);
	network("b", "239.1.0.0/16", 2);
	listens(1, "239.1.2.3");
	listens(1, "239.1.2.3");
	listens(1, "ff05::7");
	listens(1, "239.2.0.1"); /* the label is another by now */
	listens(2, "239.1.2.4"); /* a network that is not for the overlay */
	listens(3, "239.1.2.5"); /* of no network */
	told("239.1.2.3/32 ff05::7/128");
	stack.vni = 1001;
	told("");
}

static void test_bound(void **state)
{
	network("a", "overlay,239.1.0.0/16", 1);
	for (unsigned i = 0; i < LIMIT_GROUPS + 3; i++) {
		char text[IP_STRLEN];

		str_print(text, "239.1.0.%u", i);
		listens(1, text);
	}
	assert_int_equal(receivers_of(&inv, &heard, &stack), 3);
	assert_int_equal(stack.n_groups, LIMIT_GROUPS);
}

/* What @n knows of the groups of @of's first stack */
static size_t known(struct world *w, struct node *n, const struct node *of)
{
	struct discovery d;
	size_t groups = 0;

	core_export(n->core, node_now(w, n), &d);
	for (size_t i = 0; i < d.n_peers; i++)
		if (str_eq(d.peers[i].host_id, of->config.host_id))
			groups = d.peers[i].n_groups;
	core_export_done(&d);
	return groups;
}

/* From one to the other within a moment, and away again; strangers' nonsense is passed over */
static void test_told(void **state)
{
	struct world w;
	struct node *a, *b;

	world_init(&w, 5);
	a = node_add(&w);
	b = node_add(&w);
	node_start(&w, a, NULL);
	node_start(&w, b, NULL);
	world_run(&w, 2 * SEC);
	assert_int_equal(known(&w, b, a), 0);
	a->stacks[0].groups[0] = (struct prefix){ip_of("239.1.2.3"), 32};
	a->stacks[0].groups[1] = (struct prefix){ip_of("239.1.2.0"), 24}; /* no group */
	a->stacks[0].groups[2] = (struct prefix){ip_of("10.0.0.1"), 32};
	a->stacks[0].groups[3] = (struct prefix){ip_of("224.0.0.1"), 32}; /* stays on its link */
	a->stacks[0].n_groups = 4;
	node_stacks(&w, a);
	world_run(&w, 100 * MSEC);
	assert_int_equal(known(&w, b, a), 1);
	a->stacks[0].n_groups = 0;
	node_stacks(&w, a);
	world_run(&w, 100 * MSEC);
	assert_int_equal(known(&w, b, a), 0);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_labels, teardown),
		cmocka_unit_test_teardown(test_not_for_the_overlay, teardown),
		cmocka_unit_test_teardown(test_listeners, teardown),
		cmocka_unit_test_teardown(test_bound, teardown),
		cmocka_unit_test(test_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
