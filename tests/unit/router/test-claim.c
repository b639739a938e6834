/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may have which prefix: the rule of claim.h, and its cost under hostile claims.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "router/claim.h"

struct world {
	struct inventory inv;
	struct discovery disc;
	struct router_state before;
	struct foreign_route foreign[8];
	size_t n_foreign;
	int64_t now_us;
	enum mapping mapping;
	struct claims claims;
};

static struct prefix P(const char *s) {
	struct prefix p;
	assert_int_equal(prefix_parse(s, &p), 0);
	return p;
}

static void
add_peer(struct world *w, char host, const char *stack, uint32_t vni, const char *subnet)
{
	struct peer *p = xgrow(&w->disc.peers, w->disc.n_peers, &w->disc.cap_peers);
	w->disc.n_peers++;
	memset(p->host_id, host, HOST_ID_LEN);
	str_copy(p->stack_id, stack);
	p->vni = vni;
	assert_int_equal(ip_parse("192.0.2.7", &p->host_ip), 0);
	p->subnets = xcalloc(1, sizeof(*p->subnets));
	p->subnets[0] = P(subnet);
	p->n_subnets = 1;
}

static void add_local(struct world *w, const char *stack, uint32_t vni, const char *bridge, const char *subnet)
{
	struct inv_stack *s = inventory_stack(&w->inv, stack, vni);
	struct inv_network *n = xgrow(&s->networks, s->n_networks, &s->cap_networks);
	s->n_networks++;
	str_copy(n->id, bridge);
	str_print(n->name, "%s_default", stack);
	str_copy(n->bridge, bridge);
	n->subnets[n->n_subnets++] = P(subnet);
}

static void add_foreign(struct world *w, const char *dst, const char *dev)
{
	w->foreign[w->n_foreign].dst = P(dst);
	str_copy(w->foreign[w->n_foreign++].dev, dev);
}

static void settle(struct world *w)
{
	struct claim_input in = {.host_id = "55555555555555555555555555555555",
				 .now_us = w->now_us,
				 .mapping = w->mapping,
				 .inventory = &w->inv,
				 .discovery = &w->disc,
				 .before = &w->before,
				 .foreign = w->foreign,
				 .n_foreign = w->n_foreign};
	claims_done(&w->claims);
	claims_settle(&in, &w->claims);
}

static const struct claim *claim_of(struct world *w, const char *stack)
{
	for (size_t i = 0; i < w->claims.n; i++)
		if (str_eq(w->claims.v[i].stack_id, stack))
			return &w->claims.v[i];
	fail_msg("no claim of %s", stack);
	return NULL;
}

static bool refused(struct world *w, const char *stack)
{
	return claim_of(w, stack)->refused;
}

static void establish(struct world *w, uint32_t vni, char host, const char *stack, const char *prefix)
{
	struct rs_vni *v = xgrow(&w->before.vnis, w->before.n_vnis, &w->before.cap_vnis);
	w->before.n_vnis++;
	v->vni = vni;
	v->routes = xcalloc(1, sizeof(*v->routes));
	v->n_routes = v->cap_routes = 1;
	v->routes[0].prefix = P(prefix);
	memset(v->routes[0].host_id, host, HOST_ID_LEN);
	str_copy(v->routes[0].stack_id, stack);
}

static void world_done(struct world *w)
{
	inventory_done(&w->inv);
	discovery_done(&w->disc);
	router_state_done(&w->before);
	claims_done(&w->claims);
}

static void test_smaller_owner_wins(void **state)
{
	struct world w = {0};
	add_peer(&w, '2', "two", 7, "10.1.0.0/16");
	add_peer(&w, '1', "one", 7, "10.1.2.0/24");
	add_peer(&w, '3', "else", 7, "10.2.0.0/16");
	settle(&w);
	assert_false(refused(&w, "one"));
	assert_true(refused(&w, "two"));
	assert_non_null(strstr(claim_of(&w, "two")->with, "one"));
	assert_false(refused(&w, "else"));
	world_done(&w);
}

static void test_established_never_flips(void **state)
{
	struct world w = {0};
	add_peer(&w, '2', "two", 7, "10.1.0.0/16");
	establish(&w, 7, '2', "two", "10.1.0.0/16");
	add_peer(&w, '1', "one", 7, "10.1.2.0/24");
	settle(&w);
	assert_true(refused(&w, "one"));
	assert_false(refused(&w, "two"));
	world_done(&w);
}

/* Two hosts that come up together have each accepted their own; soon after, the smaller one has it on both. */
static void test_settling(void **state)
{
	struct world w = {.now_us = 100 * INT64_C(1000000)};
	add_local(&w, "mine", 7, "br-mine", "10.1.0.0/16");
	settle(&w);
	assert_int_equal(claim_of(&w, "mine")->since_us, w.now_us);
	establish(&w, 7, '5', "mine", "10.1.0.0/16");
	w.before.vnis[0].routes[0].since_us = w.now_us;
	add_peer(&w, '1', "one", 7, "10.1.0.0/16");
	w.now_us += CLAIM_SETTLE_US - 1;
	settle(&w);
	assert_true(refused(&w, "mine"));
	assert_false(refused(&w, "one"));
	w.now_us++;
	settle(&w);
	assert_false(refused(&w, "mine"));
	assert_true(refused(&w, "one"));
	assert_int_equal(claim_of(&w, "mine")->since_us, w.before.vnis[0].routes[0].since_us);
	w.before.vnis[0].routes[0].since_us = 0; /* read from router.json */
	w.now_us = 1;
	settle(&w);
	assert_false(refused(&w, "mine"));
	world_done(&w);
}

static void test_other_vni_is_no_clash(void **state)
{
	struct world w = {0};
	add_peer(&w, '2', "two", 7, "10.1.0.0/16");
	add_peer(&w, '1', "one", 8, "10.1.0.0/16");
	settle(&w);
	assert_false(refused(&w, "one"));
	assert_false(refused(&w, "two"));
	world_done(&w);
}

static void test_own_overlap_is_no_clash(void **state)
{
	struct world w = {0};
	add_peer(&w, '1', "one", 7, "10.1.0.0/16");
	add_peer(&w, '1', "one", 7, "10.1.2.0/24");
	add_peer(&w, '2', "two", 7, "10.1.3.0/24");
	settle(&w);
	assert_false(w.claims.v[0].refused);
	assert_false(w.claims.v[1].refused);
	assert_true(refused(&w, "two"));
	world_done(&w);
}

static void test_against_local(void **state)
{
	struct world w = {0};
	add_local(&w, "mine", 7, "br-mine", "172.18.0.0/16");
	add_peer(&w, '1', "smaller", 7, "172.18.0.0/16");
	settle(&w);
	assert_false(refused(&w, "smaller"));
	assert_true(refused(&w, "mine"));
	establish(&w, 7, '5', "mine", "172.18.0.0/16");
	settle(&w);
	assert_true(refused(&w, "smaller"));
	assert_non_null(strstr(claim_of(&w, "smaller")->with, "this host"));
	assert_false(refused(&w, "mine"));
	world_done(&w);
}

static void test_against_route_of_host(void **state)
{
	struct world w = {0};
	add_local(&w, "mine", 7, "br-mine", "10.71.0.0/24");
	add_foreign(&w, "192.168.0.0/16", "eth0");
	add_foreign(&w, "10.99.5.0/24", "br-x");
	add_foreign(&w, "10.71.0.0/24", "br-mine"); /* our own stack's: no clash with another VNI's */
	add_foreign(&w, "0.0.0.0/0", "eth0");
	add_foreign(&w, "0.0.0.0/1", "tun0"); /* a VPN's default route */
	add_foreign(&w, "128.0.0.0/1", "tun0");
	add_peer(&w, '1', "inside", 7, "192.168.3.0/24");
	add_peer(&w, '2', "around", 7, "10.99.0.0/16");
	add_peer(&w, '3', "fine", 7, "10.98.0.0/16");
	add_peer(&w, '4', "other-vni", 9, "10.71.0.0/24");
	settle(&w);
	assert_true(refused(&w, "inside"));
	assert_string_equal(claim_of(&w, "inside")->with, "route 192.168.0.0/16 dev eth0 of this host");
	assert_true(refused(&w, "around"));
	assert_false(refused(&w, "fine"));
	assert_false(refused(&w, "mine"));
	assert_false(refused(&w, "other-vni"));
	world_done(&w);
}

/* A new bridge is a route of the host first, and one of our stacks' a moment later: what was established stays so. */
static void test_new_bridge_takes_nothing(void **state)
{
	struct world w = {0};
	add_peer(&w, '9', "shop", 7, "10.71.0.0/24");
	establish(&w, 7, '9', "shop", "10.71.0.0/24");
	add_foreign(&w, "10.71.0.0/25", "br-late");
	settle(&w);
	assert_true(refused(&w, "shop"));
	assert_true(claim_of(&w, "shop")->established);

	/* as desired_settle() remembers it */
	struct rs_refused *r = xgrow(&w.before.refused, w.before.n_refused, &w.before.cap_refused);
	w.before.n_refused++;
	w.before.vnis[0].n_routes = 0;
	r->vni = 7;
	r->prefix = P("10.71.0.0/24");
	memset(r->host_id, '9', HOST_ID_LEN);
	str_copy(r->stack_id, "shop");
	add_local(&w, "late", 7, "br-late", "10.71.0.0/25");
	settle(&w);
	assert_false(refused(&w, "late")); /* 5... is less than 9..., and nothing says that shop was first */
	r->established = true;
	settle(&w);
	assert_true(refused(&w, "late"));
	assert_false(refused(&w, "shop"));
	world_done(&w);
}

/* A file that somebody else wrote: what is no subnet is refused, and takes nobody along. */
static void test_no_subnet(void **state)
{
	static const char *const bad[] = {"0.0.0.0/0",	    "10.0.0.0/7", "224.1.0.0/16", "127.0.0.0/8",
					  "169.254.0.0/16", "::/0",	  "fe80::/64",	  "ff02::/16"};
	struct world w = {0};
	char name[16];

	add_local(&w, "mine", 7, "br-mine", "10.71.0.0/24");
	add_peer(&w, '2', "fine", 7, "10.72.0.0/24");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		str_print(name, "bad%u", (unsigned)i);
		add_peer(&w, '1', name, 7, bad[i]);
	}
	settle(&w);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		str_print(name, "bad%u", (unsigned)i);
		assert_true(refused(&w, name));
		assert_non_null(strstr(claim_of(&w, name)->with, "/8 or longer"));
	}
	assert_false(refused(&w, "mine"));
	assert_false(refused(&w, "fine"));
	world_done(&w);
}

static void test_cure_is_free(void **state)
{
	struct world w = {0};
	struct claim_input in = {.inventory = &w.inv, .discovery = &w.disc, .foreign = w.foreign};
	autobuf struct buf cure = {0};
	struct prefix offer;

	add_local(&w, "mine", 7, "br-mine", "172.18.0.0/16");
	add_peer(&w, '1', "smaller", 7, "172.18.0.0/16");
	settle(&w);
	claim_cure(&cure, &w.claims, claim_of(&w, "mine"), &in);
	char *subnet = strstr(cure.data, "- subnet: ");
	assert_non_null(subnet);
	offer = P(subnet + strlen("- subnet: "));
	assert_int_equal(offer.len, 24);
	/* the offer, taken by somebody, is offered no more */
	add_peer(&w, '2', "taker", 7, subnet + strlen("- subnet: "));
	settle(&w);
	buf_clear(&cure);
	claim_cure(&cure, &w.claims, claim_of(&w, "mine"), &in);
	struct prefix second = P(strstr(cure.data, "- subnet: ") + strlen("- subnet: "));
	assert_false(prefix_overlaps(&offer, &second));
	world_done(&w);
}

/* All claims of the whole table inside one /8, one of which holds all: settled in bounded time, without overlap. */
static void test_hostile_cluster(void **state)
{
	struct world w = {0};
	char s[32];

	for (unsigned i = 0; i < LIMIT_PEERS; i++) {
		str_print(s, "10.%u.%u.0/%u", i / 250 % 250, i % 250, 24 + i % 7);
		add_peer(&w, (char)('0' + i % 10), i % 2 ? "odd" : "even", 7, s);
	}
	add_peer(&w, '9', "whole", 7, "10.0.0.0/8");
	settle(&w);
	assert_true(refused(&w, "whole"));
	for (size_t i = 0, last = SIZE_MAX; i < w.claims.n; i++) {
		if (w.claims.v[i].refused)
			continue;
		if (last != SIZE_MAX && prefix_overlaps(&w.claims.v[last].prefix, &w.claims.v[i].prefix)) {
			assert_string_equal(w.claims.v[last].host_id, w.claims.v[i].host_id);
			assert_string_equal(w.claims.v[last].stack_id, w.claims.v[i].stack_id);
		} else {
			last = i;
		}
	}
	world_done(&w);
}

static void map_peer(struct world *w, size_t i, const char *subnet, const char *as)
{
	struct peer *p = &w->disc.peers[i];
	p->mapped = xcalloc(1, sizeof(*p->mapped));
	p->mapped[0] = (struct mapped){P(subnet), P(as)};
	p->n_mapped = 1;
}

static void map_local(struct world *w, const char *stack, uint32_t vni, const char *subnet, const char *as)
{
	struct self_stack *s = xgrow(&w->disc.self.stacks, w->disc.self.n_stacks, &w->disc.self.cap_stacks);
	w->disc.self.n_stacks++;
	str_copy(s->stack_id, stack);
	s->vni = vni;
	s->mapped[s->n_mapped++] = (struct mapped){P(subnet), P(as)};
}

static const struct claim *claim_at(struct world *w, const char *stack, const char *prefix)
{
	struct prefix p = P(prefix);
	for (size_t i = 0; i < w->claims.n; i++)
		if (str_eq(w->claims.v[i].stack_id, stack) && prefix_cmp(&w->claims.v[i].prefix, &p) == 0)
			return &w->claims.v[i];
	return NULL;
}

/* Both are mapped; the subnet itself stays with one of them, and each claim knows how the other fared. */
static void test_mapped(void **state)
{
	struct world w = {0};
	add_local(&w, "ours", 7, "br-a", "172.18.0.0/16");
	add_peer(&w, '1', "theirs", 7, "172.18.0.0/16");
	map_local(&w, "ours", 7, "172.18.0.0/16", "241.1.0.0/16");
	map_peer(&w, 0, "172.18.0.0/16", "241.2.0.0/16");
	settle(&w);
	assert_int_equal(w.claims.n, 4);
	const struct claim *real = claim_at(&w, "ours", "172.18.0.0/16"), *as = claim_at(&w, "ours", "241.1.0.0/16");
	assert_true(real->refused && real->other && !real->mapped);
	assert_true(!as->refused && !as->other && as->mapped && as->network == real->network);
	assert_int_equal(prefix_cmp(&as->real, &real->prefix), 0);
	assert_true(!claim_at(&w, "theirs", "172.18.0.0/16")->refused && claim_at(&w, "theirs", "241.2.0.0/16")->other);
	/* not of another VNI, of a subnet that has gone, or of another size */
	w.disc.self.stacks[0].vni = 8;
	settle(&w);
	assert_null(claim_at(&w, "ours", "241.1.0.0/16"));
	w.disc.self.stacks[0].vni = 7;
	w.disc.self.stacks[0].mapped[0].subnet = P("172.19.0.0/16");
	settle(&w);
	assert_null(claim_at(&w, "ours", "241.1.0.0/16"));
	w.disc.self.stacks[0].mapped[0] = (struct mapped){P("172.18.0.0/16"), P("241.1.0.0/17")};
	settle(&w);
	assert_null(claim_at(&w, "ours", "241.1.0.0/17"));
	world_done(&w);
}

static void test_mapping_option(void **state)
{
	struct world w = {.mapping = MAPPING_ALWAYS};
	add_local(&w, "ours", 7, "br-a", "172.18.0.0/16");
	map_local(&w, "ours", 7, "172.18.0.0/16", "241.1.0.0/16");
	settle(&w);
	assert_int_equal(w.claims.n, 1);
	assert_true(w.claims.v[0].mapped && !w.claims.v[0].other && !w.claims.v[0].refused);
	w.mapping = MAPPING_NEVER;
	settle(&w);
	assert_int_equal(w.claims.n, 1);
	assert_false(w.claims.v[0].mapped);
	world_done(&w);
}

/* Two networks of this host with the same addresses: only that which has them is mapped, or else the first. */
static void test_mapped_twins(void **state)
{
	struct world w = {0};
	add_local(&w, "a", 7, "br-a", "172.18.0.0/16");
	add_local(&w, "b", 7, "br-b", "172.18.0.0/16");
	add_local(&w, "c", 8, "br-c", "172.18.0.0/16");
	map_local(&w, "b", 7, "172.18.0.0/16", "241.1.0.0/16");
	map_local(&w, "a", 7, "172.18.0.0/16", "241.2.0.0/16");
	map_local(&w, "c", 8, "172.18.0.0/16", "241.3.0.0/16");
	settle(&w);
	assert_false(claim_at(&w, "a", "172.18.0.0/16")->refused || claim_at(&w, "a", "241.2.0.0/16")->refused);
	assert_true(claim_at(&w, "b", "172.18.0.0/16")->refused && claim_at(&w, "b", "241.1.0.0/16")->refused);
	assert_false(claim_at(&w, "b", "172.18.0.0/16")->other); /* so it is told */
	assert_non_null(strstr(claim_at(&w, "b", "241.1.0.0/16")->with, "172.18.0.0/16 of stack a"));
	assert_false(claim_at(&w, "c", "241.3.0.0/16")->refused);
	w.mapping = MAPPING_ALWAYS;
	settle(&w);
	assert_false(claim_at(&w, "b", "241.1.0.0/16")->refused);
	assert_true(claim_at(&w, "a", "241.2.0.0/16")->refused);
	world_done(&w);
}

/* Two have chosen the same prefix: one of them keeps it until discovery has moved the other. */
static void test_mapped_twice(void **state)
{
	struct world w = {0};
	add_peer(&w, '2', "two", 7, "172.18.0.0/16");
	add_peer(&w, '1', "one", 7, "172.18.0.0/16");
	map_peer(&w, 0, "172.18.0.0/16", "241.1.0.0/16");
	map_peer(&w, 1, "172.18.0.0/16", "241.1.0.0/16");
	settle(&w);
	assert_false(claim_at(&w, "one", "241.1.0.0/16")->refused);
	assert_true(claim_at(&w, "two", "241.1.0.0/16")->refused);
	assert_false(claim_at(&w, "two", "172.18.0.0/16")->other);
	world_done(&w);
}

/*
 * What was established, is refused because of a route of this host and mapped meanwhile is in no list of refusals; it
 * has the better claim all the same: a new bridge is a route before the inventory says that it is ours.
 */
static void test_mapped_is_held(void **state)
{
	struct world w = {.now_us = 100};
	add_peer(&w, '9', "theirs", 7, "172.18.0.0/16");
	map_peer(&w, 0, "172.18.0.0/16", "241.2.0.0/16");
	establish(&w, 7, '9', "theirs", "172.18.0.0/16");
	add_foreign(&w, "172.18.0.0/16", "br-new");
	settle(&w);
	const struct claim *c = claim_at(&w, "theirs", "172.18.0.0/16");
	assert_true(c->refused && c->established && c->other);
	router_state_done(&w.before);
	struct rs_held *h = xgrow(&w.before.held, w.before.n_held, &w.before.cap_held);
	w.before.n_held++;
	h->vni = c->vni;
	h->prefix = c->prefix;
	str_copy(h->host_id, c->host_id);
	str_copy(h->stack_id, c->stack_id);
	add_local(&w, "ours", 7, "br-new", "172.18.0.0/16");
	settle(&w);
	assert_false(claim_at(&w, "theirs", "172.18.0.0/16")->refused);
	assert_true(claim_at(&w, "ours", "172.18.0.0/16")->refused);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smaller_owner_wins),
		cmocka_unit_test(test_established_never_flips),
		cmocka_unit_test(test_settling),
		cmocka_unit_test(test_other_vni_is_no_clash),
		cmocka_unit_test(test_own_overlap_is_no_clash),
		cmocka_unit_test(test_against_local),
		cmocka_unit_test(test_against_route_of_host),
		cmocka_unit_test(test_new_bridge_takes_nothing),
		cmocka_unit_test(test_no_subnet),
		cmocka_unit_test(test_cure_is_free),
		cmocka_unit_test(test_hostile_cluster),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_mapping_option),
		cmocka_unit_test(test_mapped_twins),
		cmocka_unit_test(test_mapped_twice),
		cmocka_unit_test(test_mapped_is_held),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
