/* SPDX-License-Identifier: Apache-2.0
 *
 * Which legs follow from networks and interfaces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "multicast/links.h"

struct world {
	struct interfaces ifs;
	struct inventory inv;
	struct discovery disc;
	struct links links;
	struct problems problems;
};

static void iface(struct world *w, int index, const char *name)
{
	struct iface *f = xgrow(&w->ifs.ifaces, w->ifs.n_ifaces, &w->ifs.cap_ifaces);

	w->ifs.n_ifaces++;
	*f = (struct iface){.index = index, .up = true, .multicast = true};
	str_copy(f->name, name);
}

static void address(struct world *w, int index, const char *cidr)
{
	struct iface_address *a = xgrow(&w->ifs.addresses, w->ifs.n_addresses, &w->ifs.cap_addresses);

	w->ifs.n_addresses++;
	a->index = index;
	assert_int_equal(prefix_parse(cidr, &a->prefix), 0);
	a->usable = !ip_is_link_local(&a->prefix.ip);
}

static void network(struct world *w, const char *name, const char *bridge, const char *label)
{
	struct inv_multicast *m = xgrow(&w->inv.multicast, w->inv.n_multicast, &w->inv.cap_multicast);
	struct err err;

	w->inv.n_multicast++;
	str_copy(m->network.name, name);
	str_copy(m->network.id, name);
	str_copy(m->network.bridge, bridge);
	assert_int_equal(multicast_label_parse(label, &m->label, &err), 0);
}

static void look(struct world *w, const char *lan)
{
	links_done(&w->links);
	problems_done(&w->problems);
	links_desired(&w->inv, &w->disc, &w->ifs, lan, false, &w->links, &w->problems);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	iface(w, 2, "eth0");
	address(w, 2, "192.0.2.1/24");
	address(w, 2, "fe80::1/64");
	address(w, 2, "2001:db8::1/64");
	w->ifs.default_index = 2;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	links_done(&w->links);
	problems_done(&w->problems);
	interfaces_done(&w->ifs);
	inventory_done(&w->inv);
	free(w);
	return 0;
}

static void test_nothing_labelled(void **state)
{
	struct world *w = *state;

	look(w, "");
	assert_int_equal(w->links.n, 0); /* the LAN neither */
	assert_int_equal(w->problems.n, 0);
}

/* There is something to take back: the LAN is there, and wants nothing */
static void test_lan_anyway(void **state)
{
	struct world *w = *state;

	links_desired(&w->inv, &w->disc, &w->ifs, "", true, &w->links, &w->problems);
	assert_int_equal(w->links.n, 1);
	assert_true(w->links.v[0]->leg.lan);
	assert_int_equal(w->links.v[0]->leg.wants, 0);
	links_done(&w->links);
	/* a network that is for the overlay alone has no way to it */
	iface(w, 3, "br-a");
	address(w, 3, "172.30.0.1/24");
	network(w, "a", "br-a", "239.1.0.0/16,routed,overlay");
	links_desired(&w->inv, &w->disc, &w->ifs, "", true, &w->links, &w->problems);
	assert_int_equal(w->links.n, 2);
	assert_false(w->links.v[0]->leg.routed);
	assert_int_equal(w->links.v[1]->leg.wants, 0);
}

static void test_one(void **state)
{
	struct world *w = *state;
	struct ip ip;

	network(w, "media", "br-1", "ssdp");
	look(w, "");
	assert_int_equal(w->links.n, 1); /* no bridge yet */
	assert_int_equal(w->problems.n, 1);
	assert_non_null(strstr(w->problems.v[0].text, "br-1 is not there"));
	iface(w, 7, "br-1");
	address(w, 7, "172.30.0.1/24");
	look(w, "");
	assert_int_equal(w->links.n, 2);
	assert_int_equal(w->problems.n, 0);
	assert_false(w->links.v[0]->leg.lan);
	assert_int_equal(w->links.v[0]->ifindex, 7);
	assert_int_equal(w->links.v[0]->leg.wants, MC_SSDP);
	assert_int_equal(w->links.v[0]->leg.n_subnets, 1);
	assert_true(w->links.v[1]->leg.lan);
	assert_int_equal(w->links.v[1]->leg.wants, MC_SSDP); /* what nobody wants is not joined */
	assert_int_equal(w->links.v[1]->leg.n_subnets, 3);
	assert_int_equal(ip_parse("2001:db8::1", &ip), 0);
	assert_int_equal(ip_cmp(&w->links.v[1]->leg.ip6_wide, &ip), 0);
	assert_int_equal(ip_parse("fe80::1", &ip), 0);
	assert_int_equal(ip_cmp(&w->links.v[1]->leg.ip6, &ip), 0);
	assert_ptr_equal(w->links.v[1]->leg.subnets, w->links.v[1]->subnets);
}

static void test_same(void **state)
{
	struct world *w = *state;
	struct links before;

	network(w, "media", "br-1", "mdns");
	iface(w, 7, "br-1");
	address(w, 7, "172.30.0.1/24");
	look(w, "");
	before = w->links;
	w->links = (struct links){0};
	look(w, "");
	assert_true(link_same(before.v[0], w->links.v[0]));
	/* another address: the same leg, changed */
	address(w, 7, "fe80::7/64");
	look(w, "");
	assert_true(link_is(before.v[0], w->links.v[0]));
	assert_false(link_same(before.v[0], w->links.v[0]));
	before.v[0]->leg.id = 5;
	link_take(before.v[0], w->links.v[0]);
	assert_true(link_same(before.v[0], w->links.v[0]));
	assert_int_equal(before.v[0]->leg.id, 5);
	assert_ptr_equal(before.v[0]->leg.subnets, before.v[0]->subnets);
	/* a bridge that was made anew: another leg */
	w->ifs.ifaces[1].index = 8;
	look(w, "");
	assert_false(link_is(before.v[0], w->links.v[0]));
	links_done(&before);
}

static void test_lan(void **state)
{
	struct world *w = *state;

	network(w, "media", "br-1", "all");
	look(w, "lan9");
	assert_int_equal(w->links.n, 0);
	assert_non_null(strstr(w->problems.v[1].text, "lan9 is not there"));
	iface(w, 3, "lan9");
	w->ifs.ifaces[1].up = false;
	look(w, "lan9");
	assert_non_null(strstr(w->problems.v[1].text, "lan9 is down"));
	w->ifs.ifaces[1].up = true;
	look(w, "lan9");
	assert_int_equal(w->links.n, 1);
	assert_non_null(strstr(w->problems.v[1].text, "has no address"));
	w->ifs.default_index = 0;
	look(w, "");
	assert_int_equal(w->links.n, 0);
	assert_non_null(strstr(w->problems.v[1].text, "no default route"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_labelled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lan_anyway, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lan, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
