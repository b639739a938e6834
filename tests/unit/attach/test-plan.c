/* SPDX-License-Identifier: Apache-2.0
 *
 * What is planned for one NIC: from nothing, when it is there, when something of it is not as it should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attach/plan.h"
#include "io/broker.h"

#define HOST_ID "0123456789abcdef0123456789abcdef"

struct world {
	struct inv_attach a;
	struct nic_spec nic;
	struct att_lease leases[LEASE_KIND_N_];
	struct want w;
	struct seen host, ct;
	struct ops ops;
	char why[200];
};

static void link_put(struct seen *s, int ifindex, const char *name, enum seen_kind kind)
{
	struct seen_link l = {.ifindex = ifindex, .kind = kind, .mtu = 1500, .up = true};

	str_copy(l.name, name);
	seen_put(s, &l);
}

static void setting(struct world *t, const char *key, const char *value)
{
	assert_int_equal(nic_set(&t->nic, key, value, NULL), 0);
}

static int world_begin(void **state)
{
	struct world *t = xcalloc(1, sizeof(*t));
	struct nic_specs *specs = xcalloc(1, sizeof(*specs));

	assert_int_equal(nic_list_parse("br-lan:eth1", "", specs, NULL), 0);
	t->nic = specs->v[0];
	free(specs);
	str_copy(t->a.container.id, "abc");
	str_copy(t->a.owner, "shop/web/1");
	t->a.nics = &t->nic;
	t->a.n_nics = 1;
	link_put(&t->host, 10, "br-lan", SEEN_BRIDGE);
	link_put(&t->host, 11, "eth0", SEEN_OTHER);
	link_put(&t->ct, 1, "lo", SEEN_OTHER);
	*state = t;
	return 0;
}

static int world_end(void **state)
{
	struct world *t = *state;

	seen_done(&t->host);
	seen_done(&t->ct);
	ops_done(&t->ops);
	free(t);
	return 0;
}

static enum nic_state plan(struct world *t, bool sysctl_done)
{
	ops_done(&t->ops);
	t->why[0] = '\0';
	want_make(HOST_ID, &t->a, 0, t->leases, &t->w);
	return plan_nic(&t->w, &t->host, &t->ct, sysctl_done, NULL, 0, &t->ops, t->why);
}

/* The kernel has made the pair; ours when @alias */
static void made(struct world *t, bool alias)
{
	struct seen_link end = {.ifindex = 20, .lower = 2, .kind = SEEN_VETH, .mtu = 1500, .master = 10, .up = true},
			 nic = {.ifindex = 2, .lower = 20, .kind = SEEN_VETH, .mtu = 1500};

	want_make(HOST_ID, &t->a, 0, t->leases, &t->w);
	str_copy(end.name, t->w.host);
	str_copy(nic.name, "eth1");
	nic.mac = t->w.mac;
	if (alias) {
		str_copy(end.alias, t->w.alias);
		str_copy(nic.alias, t->w.alias);
		nic.up = true;
	}
	seen_put(&t->host, &end);
	seen_put(&t->ct, &nic);
}

static const char *printed(struct world *t)
{
	static char text[2000];
	struct buf b = {0};

	for (size_t i = 0; i < t->ops.n; i++) {
		op_print(&t->ops.v[i], &t->w, &b);
		buf_puts(&b, "; ");
	}
	str_print(text, "%s", b.data ? b.data : "");
	buf_done(&b);
	return text;
}

static void test_from_nothing(void **state)
{
	struct world *t = *state;

	setting(t, "address", "192.0.2.5/24");
	setting(t, "gateway", "192.0.2.1");
	assert_int_equal(plan(t, false), NIC_WAITING);
	assert_string_equal(printed(t), "make eth1 veth on br-lan; ");
	made(t, false);
	assert_int_equal(plan(t, false), NIC_WAITING);
	assert_string_equal(printed(t), "host-set eth1 alias; sysctl eth1; set eth1 alias; ");
	seen_by_name(&t->ct, "eth1")->up = false;
	assert_int_equal(plan(t, true), NIC_WAITING);
	assert_string_equal(printed(t), "host-set eth1 alias; set eth1 alias up; addr-add eth1 192.0.2.5/24; "
					"route-add eth1 0.0.0.0/0 via 192.0.2.1 metric 100; ");
	made(t, true);
	assert_int_equal(plan(t, true), NIC_WAITING);
	assert_string_equal(printed(t),
			    "addr-add eth1 192.0.2.5/24; route-add eth1 0.0.0.0/0 via 192.0.2.1 metric 100; ");
	*xgrow(&t->ct.addrs, t->ct.n_addrs, &t->ct.cap_addrs) =
		(struct seen_addr){.ifindex = 2, .p = t->w.addresses[0], .ours = true};
	t->ct.n_addrs++;
	*xgrow(&t->ct.routes, t->ct.n_routes, &t->ct.cap_routes) =
		(struct seen_route){.ifindex = 2, .to = t->w.routes[0].to, .via = t->w.routes[0].via, .metric = 100};
	t->ct.n_routes++;
	assert_int_equal(plan(t, true), NIC_READY);
	assert_string_equal(printed(t), "");
	/* another address is wanted: the old one goes, a stranger's and its own stay */
	setting(t, "address", "192.0.2.6/24");
	*xgrow(&t->ct.addrs, t->ct.n_addrs, &t->ct.cap_addrs) = (struct seen_addr){.ifindex = 2};
	assert_int_equal(prefix_parse("192.0.2.77/24", &t->ct.addrs[t->ct.n_addrs++].p), 0);
	plan(t, true);
	assert_string_equal(printed(t), "addr-remove eth1 192.0.2.5/24; addr-add eth1 192.0.2.6/24; ");
	/* no gateway any more */
	memset(t->nic.gateways, 0, sizeof(t->nic.gateways));
	plan(t, true);
	assert_non_null(strstr(printed(t), "route-remove eth1 0.0.0.0/0 via 192.0.2.1 metric 100"));
}

/* What was carried out need not be looked for: expected, it leaves nothing to do */
static void test_expect(void **state)
{
	struct world *t = *state;
	int turns = 0;

	setting(t, "address", "192.0.2.5/24,2001:db8::5/64");
	setting(t, "gateway", "192.0.2.1,2001:db8::1");
	setting(t, "isolated", "true");
	setting(t, "mtu", "1400");
	made(t, false);
	seen_by_index(&t->host, 20)->up = false;
	seen_by_index(&t->ct, 2)->mac.b[5]++;
	while (plan(t, turns > 0) != NIC_READY) {
		assert_true(turns++ < 2);
		for (size_t i = 0; i < t->ops.n; i++)
			assert_true(plan_expect(&t->w, &t->ops.v[i], &t->host, &t->ct));
	}
	assert_int_equal(turns, 2); /* the interface's IPv6 first, then all else */
	assert_int_equal(t->ct.n_addrs, 2);
	assert_int_equal(t->ct.n_routes, 2);
	/* what else goes with something that is removed, only the kernel knows */
	setting(t, "address", "192.0.2.6/24");
	memset(t->nic.gateways, 0, sizeof(t->nic.gateways));
	plan(t, true);
	for (size_t i = 0; i < t->ops.n; i++)
		if (t->ops.v[i].kind != OP_ADDR_ADD)
			assert_false(plan_expect(&t->w, &t->ops.v[i], &t->host, &t->ct));
	/* a link that has gone since */
	t->ops.v[0] = (struct op){.kind = OP_NIC_SET, .ifindex = 99, .set = SET_UP};
	assert_false(plan_expect(&t->w, &t->ops.v[0], &t->host, &t->ct));
}

static void test_left_alone(void **state)
{
	struct world *t = *state;

	/* without an address it comes up, and that is all: no sysctl either */
	made(t, true);
	*xgrow(&t->ct.addrs, t->ct.n_addrs, &t->ct.cap_addrs) = (struct seen_addr){.ifindex = 2};
	assert_int_equal(prefix_parse("192.0.2.77/24", &t->ct.addrs[t->ct.n_addrs++].p), 0);
	assert_int_equal(plan(t, false), NIC_READY);
	assert_string_equal(printed(t), "");
}

static void test_parents(void **state)
{
	struct world *t = *state;

	str_copy(t->nic.parent, "br-late");
	assert_int_equal(plan(t, false), NIC_WAITING);
	assert_non_null(strstr(t->why, "br-late does not exist"));
	assert_int_equal(t->ops.n, 0);
	str_copy(t->nic.parent, "eth0");
	assert_int_equal(plan(t, false), NIC_REFUSED);
	assert_non_null(strstr(t->why, "is no bridge"));
	setting(t, "kind", "macvlan");
	assert_int_equal(plan(t, false), NIC_WAITING);
	assert_string_equal(printed(t), "make eth1 macvlan on eth0; ");
	setting(t, "kind", "physical");
	assert_int_equal(plan(t, false), NIC_WAITING);
	str_copy(t->nic.parent, "br-lan");
	assert_int_equal(plan(t, false), NIC_REFUSED);
	assert_non_null(strstr(t->why, "cannot be moved"));
}

static void test_taken(void **state)
{
	struct world *t = *state;

	link_put(&t->ct, 5, "eth1", SEEN_VETH); /* Docker's */
	assert_int_equal(plan(t, false), NIC_FAILED);
	assert_non_null(strstr(t->why, "not ours"));
	assert_int_equal(t->ops.n, 0);
	/* a host's end without its other end, of ours: made anew */
	seen_done(&t->ct);
	made(t, true);
	seen_done(&t->ct);
	assert_int_equal(plan(t, false), NIC_WAITING);
	assert_string_equal(printed(t), "host-remove eth1; make eth1 veth on br-lan; ");
	/* a stranger's */
	str_copy(seen_by_index(&t->host, 20)->alias, "somebody's");
	assert_int_equal(plan(t, false), NIC_FAILED);
	assert_int_equal(t->ops.n, 0);
}

static void test_healing(void **state)
{
	struct world *t = *state;
	struct seen_link *end, *nic;

	made(t, true);
	end = seen_by_index(&t->host, 20);
	nic = seen_by_index(&t->ct, 2);
	end->master = 0;
	end->up = false;
	end->mtu = 9000;
	nic->mac.b[5]++;
	nic->up = false;
	plan(t, true);
	assert_string_equal(printed(t), "host-set eth1 mtu master up; set eth1 mac up; ");
	made(t, true);
	setting(t, "isolated", "true");
	setting(t, "mtu", "1400");
	plan(t, true);
	assert_string_equal(printed(t), "host-set eth1 isolated; set eth1 mtu; ");
	/* another kind is wanted: away with this one first */
	t->nic.isolated = false;
	setting(t, "kind", "macvlan");
	plan(t, true);
	assert_string_equal(printed(t), "remove eth1; ");
	assert_int_equal(t->ops.v[0].ifindex, 2);
}

static void test_remove(void **state)
{
	struct world *t = *state;

	made(t, true);
	plan(t, true);
	ops_done(&t->ops);
	plan_remove(&t->w, &t->host, &t->ct, &t->ops);
	assert_string_equal(printed(t), "host-remove eth1; ");
	ops_done(&t->ops);
	seen_by_index(&t->host, 20)->alias[0] = '\0';
	str_copy(seen_by_index(&t->host, 20)->alias, "somebody's");
	str_copy(seen_by_index(&t->ct, 2)->alias, "somebody's");
	plan_remove(&t->w, &t->host, &t->ct, &t->ops);
	assert_string_equal(printed(t), "");
}

static void test_wants(void **state)
{
	struct world *t = *state;
	struct want other;
	char id[129], again[129];

	setting(t, "address", "dhcp,slaac,192.0.2.5/24");
	setting(t, "gateway", "192.0.2.1");
	assert_int_equal(prefix_parse("198.51.100.5/24", &t->leases[LEASE_DHCP].address), 0);
	assert_int_equal(ip_parse("198.51.100.1", &t->leases[LEASE_DHCP].gateway), 0);
	t->leases[LEASE_DHCP].mtu = 1300;
	want_make(HOST_ID, &t->a, 0, t->leases, &t->w);
	assert_int_equal(t->w.n_addresses, 2);
	assert_true(t->w.leased[1] && !t->w.leased[0]);
	assert_int_equal(t->w.n_routes, 1); /* the label's gateway, and not the lease's */
	assert_int_equal(t->w.routes[0].via.b[3], 1);
	assert_false(t->w.routes[0].onlink);
	assert_int_equal(t->w.mtu, 1300);
	assert_int_equal(t->w.sysctl, BROKER_NIC_RA | BROKER_NIC_AUTOCONF);
	assert_int_equal(t->w.host_mac.b[0], 0xfe);
	/* the same stack on another host of the LAN is somebody else there */
	want_make("fedcba9876543210fedcba9876543210", &t->a, 0, t->leases, &other);
	assert_true(mac_cmp(&t->w.mac, &other.mac) != 0);
	/* made anew it is the same to the LAN, and another end on the host */
	str_copy(t->a.container.id, "def");
	want_make(HOST_ID, &t->a, 0, t->leases, &other);
	assert_int_equal(mac_cmp(&t->w.mac, &other.mac), 0);
	assert_string_not_equal(t->w.host, other.host);
	want_client_id(HOST_ID, &t->a, "eth1", LEASE_DHCP, id);
	want_client_id(HOST_ID, &t->a, "eth1", LEASE_DHCP, again);
	assert_string_equal(id, again);
	/* a DUID is the container's, whichever NIC asks */
	want_client_id(HOST_ID, &t->a, "eth1", LEASE_DHCP6, id);
	want_client_id(HOST_ID, &t->a, "eth2", LEASE_DHCP6, again);
	assert_string_equal(id, again);
	assert_int_equal(strlen(id), 36);
	assert_memory_equal(id, "0004", 4);
	setting(t, "address", "dhcp6");
	want_make(HOST_ID, &t->a, 0, t->leases, &t->w);
	assert_int_equal(t->w.sysctl, BROKER_NIC_RA); /* routes, but no address of its own making */
	assert_false(t->w.alone);
	setting(t, "address", "dhcp,slaac,192.0.2.5/24");
	/* a gateway that is no neighbour is reached as if it were: somebody says so by hand */
	setting(t, "gateway", "203.0.113.1");
	want_make(HOST_ID, &t->a, 0, t->leases, &t->w);
	assert_true(t->w.routes[0].onlink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_from_nothing, world_begin, world_end),
		cmocka_unit_test_setup_teardown(test_expect, world_begin, world_end),
		cmocka_unit_test_setup_teardown(test_left_alone, world_begin, world_end),
		cmocka_unit_test_setup_teardown(test_parents, world_begin, world_end),
		cmocka_unit_test_setup_teardown(test_taken, world_begin, world_end),
		cmocka_unit_test_setup_teardown(test_healing, world_begin, world_end),
		cmocka_unit_test_setup_teardown(test_remove, world_begin, world_end),
		cmocka_unit_test_setup_teardown(test_wants, world_begin, world_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
