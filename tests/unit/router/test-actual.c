/* SPDX-License-Identifier: Apache-2.0
 *
 * The containers of net.h: sets of entries under growth and removal, against a plain array; keys, printing, nets,
 * links.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/net.h"

static struct entry make(uint8_t type, uint32_t n)
{
	struct entry e = {.type = type, .family = AF_INET, .len = 24};

	str_copy(e.dev, "vx1000");
	switch ((enum entry_type)type) {
	case ENTRY_FDB:
	case ENTRY_GROUP:
		e.family = e.len = 0;
		e.mac = (struct mac){
			{type == ENTRY_GROUP ? 1 : 2, 0, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 1}};
		e.via_family = AF_INET;
		e.via[0] = 192;
		break;
	case ENTRY_ROUTE:
	case ENTRY_ADDR:
	case ENTRY_NEIGH:
	case ENTRY_RULE:
		e.table = type == ENTRY_ROUTE ? 254 : 0;
		e.dst[0] = 10;
		e.dst[1] = (uint8_t)(n >> 8);
		e.dst[2] = (uint8_t)n;
		break;
	case ENTRY_TYPE_N_:
		break;
	}
	return e;
}

static void test_set_grows_and_shrinks(void **state)
{
	enum { N = 9000 };
	struct entry_set s = {0};
	static bool present[N];

	for (uint32_t i = 0; i < N; i++) {
		struct entry e = make((uint8_t)(i % ENTRY_TYPE_N_), i);
		entry_set_put(&s, &e);
		present[i] = true;
	}
	assert_int_equal(s.n, N);
	/* remove and put back in an order that has nothing to do with the hash */
	uint32_t x = 12345;
	for (int round = 0; round < 20000; round++) {
		x = x * 1103515245u + 12345u;
		uint32_t i = (x >> 8) % N;
		struct entry e = make((uint8_t)(i % ENTRY_TYPE_N_), i);
		if (present[i])
			entry_set_remove(&s, &e);
		else
			entry_set_put(&s, &e);
		present[i] = !present[i];
	}
	size_t expect = 0, walked = 0, it = 0;
	for (uint32_t i = 0; i < N; i++) {
		struct entry e = make((uint8_t)(i % ENTRY_TYPE_N_), i);
		const struct entry *f = entry_set_find(&s, &e);
		assert_int_equal(f != NULL, present[i]);
		assert_true(!f || entry_same(f, &e));
		expect += present[i];
	}
	assert_int_equal(s.n, expect);
	while (entry_set_next(&s, &it))
		walked++;
	assert_int_equal(walked, expect);
	assert_true(s.slots < N * 3); /* most of the router's memory */
	for (uint32_t i = 0; i < N; i++) {
		struct entry e = make((uint8_t)(i % ENTRY_TYPE_N_), i);
		entry_set_remove(&s, &e);
	}
	assert_int_equal(s.n, 0);
	it = 0;
	assert_null(entry_set_next(&s, &it));
	entry_set_done(&s);
	entry_set_done(&s);
}

static void test_set_copied_in_slot_order(void **state)
{
	struct entry_set a = {0}, b = {0};

	for (uint32_t i = 0; i < 40000; i++) {
		struct entry e = make(ENTRY_ROUTE, i);
		e.dst[3] = (uint8_t)(i >> 16);
		entry_set_put(&a, &e);
	}
	/* would take minutes if they all fell into the first slots */
	size_t it = 0;
	for (const struct entry *e; (e = entry_set_next(&a, &it));)
		entry_set_put(&b, e);
	assert_int_equal(a.n, b.n);
	entry_set_done(&a);
	entry_set_done(&b);
}

static void test_put_of_own_entry(void **state)
{
	struct entry_set s = {0};

	for (uint32_t i = 0; i < 200; i++) {
		struct entry e = make(ENTRY_NEIGH, i);
		entry_set_put(&s, &e);
		size_t it = 0;
		entry_set_put(&s, entry_set_next(&s, &it)); /* may make the set grow under its own entry */
	}
	assert_int_equal(s.n, 200);
	entry_set_done(&s);
}

static void test_key_and_value(void **state)
{
	struct entry_set s = {0};
	struct entry r = make(ENTRY_ROUTE, 1), other = r;

	entry_set_put(&s, &r);
	str_copy(other.dev, "eth0"); /* value */
	other.mtu = 1400;
	other.onlink = 1;
	assert_non_null(entry_set_find(&s, &other));
	assert_false(entry_same(entry_set_find(&s, &other), &other));
	entry_set_put(&s, &other);
	assert_int_equal(s.n, 1);
	assert_true(entry_same(entry_set_find(&s, &r), &other));
	other.table = 7; /* key */
	assert_null(entry_set_find(&s, &other));
	other = r;
	other.len = 25;
	assert_null(entry_set_find(&s, &other));

	struct entry fdb = make(ENTRY_FDB, 1), moved = fdb;
	entry_set_put(&s, &fdb);
	moved.via[0] = 198;
	moved.pref = 14789;
	assert_true(entry_same(entry_set_find(&s, &moved), &fdb));
	assert_false(entry_same(entry_set_find(&s, &moved), &moved));
	str_copy(moved.dev, "vx6");
	assert_null(entry_set_find(&s, &moved));

	struct entry rule = make(ENTRY_RULE, 1), lower = rule;
	rule.pref = 100;
	lower.pref = 101;
	entry_set_put(&s, &rule);
	assert_null(entry_set_find(&s, &lower));
	entry_set_done(&s);
}

static void print_is(const struct entry *e, const char *expect)
{
	autobuf struct buf b = {0};

	entry_print(&b, e);
	assert_string_equal(b.data, expect);
}

static void test_print(void **state)
{
	struct entry e = make(ENTRY_ROUTE, 0x4800);
	e.via_family = AF_INET6;
	e.via[0] = 0xfe;
	e.via[1] = 0x80;
	e.via[15] = 1;
	e.onlink = 1;
	e.table = 5;
	print_is(&e, "route 10.72.0.0/24 via inet6 fe80::1 dev vx1000 onlink table 5");
	e.mtu = 1450;
	e.src[0] = 10;
	e.src[3] = 1;
	print_is(&e, "route 10.72.0.0/24 via inet6 fe80::1 dev vx1000 onlink src 10.0.0.1 mtu 1450 table 5");
	e = make(ENTRY_NEIGH, 0x100);
	e.mac.b[0] = 2;
	print_is(&e, "neigh 10.1.0.0 lladdr 02:00:00:00:00:00 dev vx1000");
	e = make(ENTRY_FDB, 7);
	print_is(&e, "fdb 02:00:00:00:07:01 dev vx1000 dst 192.0.0.0");
	e.pref = 14789;
	print_is(&e, "fdb 02:00:00:00:07:01 dev vx1000 dst 192.0.0.0 port 14789");
	e = make(ENTRY_ADDR, 0);
	print_is(&e, "addr 10.0.0.0/24 dev vx1000");
	e = make(ENTRY_RULE, 0);
	e.len = 0;
	e.pref = 90;
	e.table = 1000;
	print_is(&e, "rule inet pref 90 from all iif vx1000 lookup 1000");
}

static void test_nets(void **state)
{
	struct net_list l = {0};
	struct net_id host = {.kind = NET_HOST}, vni = {.kind = NET_VNI, .vni = 1000}, ct = {.kind = NET_CONTAINER};
	char name[96];

	str_copy(ct.container, "0123456789ab");
	assert_null(net_list_find(&l, &host));
	struct net *n = net_list_add(&l, &vni);
	assert_ptr_equal(net_list_add(&l, &vni), n);
	assert_ptr_not_equal(net_list_add(&l, &host), n);
	net_list_add(&l, &ct);
	assert_int_equal(l.n, 3);
	assert_string_equal(net_id_print(&vni, name), "vni:1000");
	assert_string_equal(net_id_print(&host, name), "host");
	assert_string_equal(net_id_print(&ct, name), "ct:0123456789ab");
	vni.vni = 1001;
	assert_null(net_list_find(&l, &vni));

	assert_null(net_link(n, "vx1000"));
	net_link_add(n, "vx1000")->mtu = 1450;
	net_link_add(n, "veth0");
	assert_int_equal(net_link_add(n, "vx1000")->mtu, 1450);
	assert_int_equal(n->n_links, 2);
	struct entry e = make(ENTRY_ROUTE, 1);
	entry_set_put(&n->entries, &e);
	*xgrow(&n->nft.sets, n->nft.n_sets, &n->nft.cap_sets) = (struct nft_set){.name = "peers4"};
	n->nft.n_sets++;
	assert_non_null(nft_table_set(&n->nft, "peers4"));
	assert_null(nft_table_set(&n->nft, "peers6"));
	net_clear(n);
	assert_int_equal(n->n_links + n->entries.n + n->nft.n_sets, 0);
	assert_int_equal(n->id.vni, 1000);
	net_list_done(&l);
	net_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_grows_and_shrinks),
		cmocka_unit_test(test_set_copied_in_slot_order),
		cmocka_unit_test(test_put_of_own_entry),
		cmocka_unit_test(test_key_and_value),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_nets),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
