/* SPDX-License-Identifier: Apache-2.0
 *
 * Our structs -> the running kernel -> our structs: every entry type in both families and every link kind must come
 * back as what was sent, or the router would write it again for ever. Needs root: works in a network namespace of its
 * own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/rtnetlink.h>

#include "kernel.h"
#include "router/dump.h"
#include "router/encode.h"

static struct nl *nl, *nf;
static struct net host = {.id = {.kind = NET_HOST}};

static void read_all(void)
{
	struct err err = {0};
	bool changed;

	if (dump_links(nl, &host, &err) < 0 || dump_entries(nl, &host, NULL, &err) < 0 ||
	    dump_foreign(nl, &host, &changed, &err) < 0)
		fail_msg("dump: %s", err.text);
}

static void send_message(struct nlmsghdr *nlh)
{
	struct err err = {0};

	if (nl_get(nl, nlh, NULL, NULL, &err) < 0)
		fail_msg("%s", err.text);
}

struct message {
	_Alignas(struct nlmsghdr) char bytes[ENCODE_MAX];
};

static struct nlmsghdr *begin(struct message *m, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(m->bytes);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	return nlh;
}

static void send_entry(const struct entry *e, bool remove)
{
	struct message m;
	struct encode_head head = encode_entry_head(e, remove);
	struct nlmsghdr *nlh = begin(&m, head.type, head.flags);
	const struct link *l = e->dev[0] ? net_link(&host, e->dev) : NULL;

	encode_entry(nlh, e, l ? l->ifindex : 0, remove);
	assert_true(nlh->nlmsg_len <= ENCODE_MAX);
	send_message(nlh);
}

static void link_add(const struct link *l, const struct link *peer)
{
	struct message m;
	struct nlmsghdr *nlh = begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);

	encode_link_add(nlh, l, -1, peer, -1);
	assert_true(nlh->nlmsg_len <= ENCODE_MAX);
	send_message(nlh);
	read_all();
}

static void link_set(const char *name, const struct link *l, int what, int master)
{
	struct message m;
	struct nlmsghdr *nlh = begin(&m, RTM_NEWLINK, 0);

	encode_link_set(nlh, l, net_link(&host, name)->ifindex, what, master);
	send_message(nlh);
	read_all();
}

/* What is written is read back equal, can be written again, changes in place, and goes */
static void round_trip(struct entry e, void (*change)(struct entry *e))
{
	autobuf struct buf text = {0};

	entry_print(&text, &e);
	send_entry(&e, false);
	read_all();
	const struct entry *got = entry_set_find(&host.entries, &e);
	if (!got)
		fail_msg("not in the dump: %s", text.data);
	if (!entry_same(got, &e)) {
		buf_puts(&text, " != ");
		entry_print(&text, got);
		fail_msg("differs: %s", text.data);
	}
	size_t n = host.entries.n;
	if (e.type != ENTRY_RULE) /* that one answers EEXIST, which counts as done */
		send_entry(&e, false);
	if (change) {
		change(&e);
		send_entry(&e, false);
	}
	read_all();
	assert_int_equal(host.entries.n, n);
	got = entry_set_find(&host.entries, &e);
	assert_non_null(got);
	assert_true(entry_same(got, &e));
	send_entry(&e, true);
	read_all();
	assert_null(entry_set_find(&host.entries, &e));
	assert_int_equal(host.entries.n, n - 1);
}

static struct entry entry(uint8_t type, const char *dev, const char *dst, const char *via)
{
	struct entry e = {.type = type};
	struct prefix p;
	struct ip ip;

	str_copy(e.dev, dev);
	if (dst) {
		assert_int_equal(prefix_parse(dst, &p), 0);
		e.family = p.ip.family;
		memcpy(e.dst, p.ip.b, 16);
		if (type != ENTRY_NEIGH)
			e.len = p.len;
	}
	if (via) {
		assert_int_equal(ip_parse(via, &ip), 0);
		e.via_family = ip.family;
		memcpy(e.via, ip.b, 16);
	}
	if (type == ENTRY_NEIGH || type == ENTRY_FDB)
		e.mac = (struct mac){{2, 0, 0, 0, 0, 7}};
	if (type == ENTRY_GROUP)
		e.mac = (struct mac){{1, 0, 0x5e, 1, 2, 3}};
	if (type == ENTRY_ROUTE)
		e.table = 254;
	return e;
}

static void change_mac(struct entry *e)
{
	e->mac.b[5]++;
}

static void change_via(struct entry *e)
{
	e->via[e->via_family == AF_INET ? 3 : 15]++;
}

static void change_mtu(struct entry *e)
{
	e->mtu = 1380;
}

static void change_port(struct entry *e)
{
	e->pref = 14789;
}

static struct link vxlan(const char *name, uint32_t vni, const char *local)
{
	struct link l = {.kind = LINK_VXLAN, .mtu = 1450, .mac = {{2, 0, 0, 0, 1, (uint8_t)vni}}};

	str_copy(l.name, name);
	str_copy(l.alias, ROUTER_ALIAS "vni");
	l.vxlan.vni = vni;
	l.vxlan.port = 4789;
	assert_int_equal(ip_parse(local, &l.vxlan.local), 0);
	return l;
}

static void test_vxlan(void **state)
{
	struct link l = vxlan("vx1000", 1000, "192.0.2.1"), six = vxlan("vx6", 1000, "2001:db8::1");

	l.vxlan.src_low = 30000;
	l.vxlan.src_high = 40000;
	link_add(&l, NULL);
	const struct link *got = net_link(&host, "vx1000");
	assert_non_null(got);
	assert_int_equal(got->kind, LINK_VXLAN);
	assert_int_equal(got->vxlan.vni, 1000);
	assert_int_equal(got->vxlan.port, 4789);
	assert_int_equal(ip_cmp(&got->vxlan.local, &l.vxlan.local), 0);
	assert_int_equal(got->vxlan.src_low, 30000);
	assert_int_equal(got->vxlan.src_high, 40000);
	assert_false(got->vxlan.learning);
	assert_int_equal(got->mtu, 1450);
	assert_int_equal(mac_cmp(&got->mac, &l.mac), 0);
	assert_false(got->up);
	assert_string_equal(got->alias, "");
	assert_false(link_is_ours(&host, got));

	link_set("vx1000", &l, ENCODE_SET_ALIAS, 0);
	assert_string_equal(net_link(&host, "vx1000")->alias, ROUTER_ALIAS "vni");
	assert_true(link_is_ours(&host, net_link(&host, "vx1000")));
	link_set("vx1000", &l, ENCODE_SET_NO_LL, 0);
	l.up = true;
	link_set("vx1000", &l, ENCODE_SET_UP, 0);
	assert_true(net_link(&host, "vx1000")->up);
	/* while up */
	l.mac.b[0] = 6;
	l.mtu = 1400;
	assert_int_equal(ip_parse("192.0.2.9", &l.vxlan.local), 0);
	link_set("vx1000", &l, ENCODE_SET_MAC, 0);
	link_set("vx1000", &l, ENCODE_SET_MTU, 0);
	l.vxlan.learning = true;
	link_set("vx1000", &l, ENCODE_SET_VXLAN, 0);
	assert_true(net_link(&host, "vx1000")->vxlan.learning);
	l.vxlan.learning = false;
	link_set("vx1000", &l, ENCODE_SET_VXLAN, 0);
	assert_false(net_link(&host, "vx1000")->vxlan.learning);
	got = net_link(&host, "vx1000");
	assert_int_equal(mac_cmp(&got->mac, &l.mac), 0);
	assert_int_equal(got->mtu, 1400);
	assert_int_equal(ip_cmp(&got->vxlan.local, &l.vxlan.local), 0);
	assert_int_equal(got->vxlan.src_low, 30000);

	link_add(&six, NULL);
	link_set("vx6", &six, ENCODE_SET_ALIAS, 0);
	got = net_link(&host, "vx6");
	assert_int_equal(ip_cmp(&got->vxlan.local, &six.vxlan.local), 0);
	assert_int_equal(got->vxlan.src_low, 0);
}

static void test_veth_and_bridge(void **state)
{
	struct link a = {.kind = LINK_VETH, .mtu = 1450, .mac = {{2, 0, 0, 0, 2, 1}}};
	struct link b = {.kind = LINK_VETH, .mtu = 1450, .mac = {{2, 0, 0, 0, 2, 2}}};
	struct link br = {.kind = LINK_BRIDGE, .mtu = 1500};

	str_copy(a.name, "leg0");
	str_copy(b.name, "leg1");
	str_copy(br.name, "br0");
	link_add(&br, NULL);
	assert_int_equal(net_link(&host, "br0")->kind, LINK_BRIDGE);
	link_add(&a, &b);
	const struct link *x = net_link(&host, "leg0"), *y = net_link(&host, "leg1");
	assert_non_null(x);
	assert_non_null(y);
	assert_int_equal(x->kind, LINK_VETH);
	assert_int_equal(x->peer_ifindex, y->ifindex);
	assert_int_equal(mac_cmp(&x->mac, &a.mac) | mac_cmp(&y->mac, &b.mac), 0);
	assert_int_equal(x->mtu + y->mtu, 2900);
	link_set("leg1", &b, ENCODE_SET_MASTER, net_link(&host, "br0")->ifindex);
	assert_string_equal(net_link(&host, "leg1")->master, "br0");
	assert_int_equal(net_link(&host, "leg1")->mcast_router, 1);
	b.mcast_router = 2;
	link_set("leg1", &b, ENCODE_SET_MCAST_ROUTER, 0);
	assert_int_equal(net_link(&host, "leg1")->mcast_router, 2);
	link_set("leg1", &b, ENCODE_SET_MASTER, 0);
	assert_int_equal(net_link(&host, "leg1")->mcast_router, 0);
	assert_string_equal(net_link(&host, "leg1")->master, "");
	str_copy(a.alias, ROUTER_ALIAS "leg");
	link_set("leg0", &a, ENCODE_SET_ALIAS | ENCODE_SET_NO_LL, 0);
	a.up = b.up = true;
	link_set("leg0", &a, ENCODE_SET_UP, 0);
	link_set("leg1", &b, ENCODE_SET_UP, 0);
	/* no IPv6 address of the kernel's making on ours */
	size_t it = 0;
	for (const struct entry *e; (e = entry_set_next(&host.entries, &it));)
		assert_false(e->type == ENTRY_ADDR && str_eq(e->dev, "leg0"));
}

static void test_ipv6_off(void **state)
{
	assert_false(net_link(&host, "leg0")->ipv6_off);
	sh("sysctl -qw net.ipv6.conf.leg0.disable_ipv6=1");
	read_all();
	assert_true(net_link(&host, "leg0")->ipv6_off);
	sh("sysctl -qw net.ipv6.conf.leg0.disable_ipv6=0");
	read_all();
	assert_false(net_link(&host, "leg0")->ipv6_off);
}

static void test_addresses(void **state)
{
	round_trip(entry(ENTRY_ADDR, "leg0", "10.9.0.1/24", NULL), NULL);
	round_trip(entry(ENTRY_ADDR, "leg0", "169.254.7.1/32", NULL), NULL);
	round_trip(entry(ENTRY_ADDR, "leg0", "fe80::7/64", NULL), NULL);
	round_trip(entry(ENTRY_ADDR, "leg0", "2001:db8:9::1/128", NULL), NULL);
}

static void test_neighbours(void **state)
{
	round_trip(entry(ENTRY_NEIGH, "vx1000", "fe80::2", NULL), change_mac);
	round_trip(entry(ENTRY_NEIGH, "leg0", "10.9.0.2", NULL), change_mac);
}

static void test_fdb(void **state)
{
	round_trip(entry(ENTRY_FDB, "vx1000", NULL, "192.0.2.2"), change_via);
	round_trip(entry(ENTRY_FDB, "vx1000", NULL, "192.0.2.2"), change_port);
	round_trip(entry(ENTRY_FDB, "vx6", NULL, "2001:db8::2"), change_via);
}

/* Destinations of one group come and go each by itself */
static void test_groups(void **state)
{
	struct entry a = entry(ENTRY_GROUP, "vx1000", NULL, "192.0.2.2"), b = a, c = a;

	change_via(&b);
	change_port(&c);
	send_entry(&a, false);
	send_entry(&b, false);
	send_entry(&c, false);
	send_entry(&b, false);
	read_all();
	assert_non_null(entry_set_find(&host.entries, &a));
	assert_non_null(entry_set_find(&host.entries, &b));
	assert_non_null(entry_set_find(&host.entries, &c));
	send_entry(&b, true);
	read_all();
	assert_non_null(entry_set_find(&host.entries, &a));
	assert_null(entry_set_find(&host.entries, &b));
	assert_non_null(entry_set_find(&host.entries, &c));
	send_entry(&a, true);
	send_entry(&c, true);
	read_all();
	assert_null(entry_set_find(&host.entries, &a));
	assert_null(entry_set_find(&host.entries, &c));
}

static void test_routes(void **state)
{
	struct entry e;

	round_trip(entry(ENTRY_ROUTE, "vx1000", "10.72.0.0/24", NULL), change_mtu);
	e = entry(ENTRY_ROUTE, "vx1000", "10.72.0.0/24", "fe80::2"); /* IPv4 over an IPv6 next hop */
	round_trip(e, NULL);
	e.onlink = 1;
	e.table = 4711;
	round_trip(e, change_via);
	e.pref = 77; /* metric */
	round_trip(e, change_mtu);
	e = entry(ENTRY_ROUTE, "vx1000", "10.72.0.0/24", "10.255.0.1");
	e.onlink = 1;
	round_trip(e, change_via);
	e = entry(ENTRY_ROUTE, "vx1000", "2001:db8:72::/48", "fe80::2");
	round_trip(e, change_via);
	e.onlink = 1;
	e.mtu = 1400;
	round_trip(e, change_mtu);
	e.table = 100000;
	round_trip(e, change_via);
	round_trip(entry(ENTRY_ROUTE, "vx1000", "2001:db8:72::/48", NULL), change_mtu);
	round_trip(entry(ENTRY_ROUTE, "leg0", "0.0.0.0/0", NULL), NULL);
	e = entry(ENTRY_ROUTE, "leg0", "::/0", "fe80::9");
	e.table = 200;
	round_trip(e, NULL);
}

static void test_routes_with_source(void **state)
{
	struct entry a4 = entry(ENTRY_ADDR, "leg0", "10.9.0.1/24", NULL);
	struct entry a6 = entry(ENTRY_ADDR, "leg0", "2001:db8:9::1/64", NULL);
	struct entry e = entry(ENTRY_ROUTE, "leg0", "10.73.0.0/16", "10.9.0.77");

	send_entry(&a4, false);
	send_entry(&a6, false);
	memcpy(e.src, a4.dst, 16);
	e.mtu = 1400;
	round_trip(e, change_via);
	e = entry(ENTRY_ROUTE, "leg0", "10.73.0.0/16", "fe80::77");
	memcpy(e.src, a4.dst, 16);
	e.onlink = 1;
	round_trip(e, change_via);
	e = entry(ENTRY_ROUTE, "leg0", "2001:db8:73::/48", "fe80::77");
	memcpy(e.src, a6.dst, 16);
	e.onlink = 1;
	round_trip(e, change_mtu);
	send_entry(&a4, true);
	send_entry(&a6, true);
}

static void test_rules(void **state)
{
	struct entry e = entry(ENTRY_RULE, "br0", NULL, NULL);

	e.family = AF_INET;
	e.table = 4711;
	e.pref = 90;
	round_trip(e, NULL);
	e.family = AF_INET6;
	round_trip(e, NULL);
	e = entry(ENTRY_RULE, "lo", "10.71.0.0/16", NULL);
	e.table = 99;
	e.pref = 91;
	round_trip(e, NULL);
	e = entry(ENTRY_RULE, "notthere", "2001:db8:71::/48", NULL); /* "detached" */
	e.table = 99;
	e.pref = 91;
	round_trip(e, NULL);
}

static bool foreign_has(const char *dst, const char *dev)
{
	struct prefix p;

	assert_int_equal(prefix_parse(dst, &p), 0);
	for (size_t i = 0; i < host.n_foreign; i++)
		if (prefix_cmp(&host.foreign[i].dst, &p) == 0 && str_eq(host.foreign[i].dev, dev))
			return true;
	return false;
}

static void test_what_is_not_ours(void **state)
{
	read_all();
	size_t n = host.entries.n;

	sh("ip addr add 198.51.100.1/24 dev br0 && ip link set br0 up");
	sh("ip route add 203.0.113.0/24 dev leg0 && ip route add unreachable 10.5.0.0/16");
	sh("ip -6 route add 2001:db8:5::/48 via fe80::9 dev leg0");
	sh("ip route add default dev leg0 && ip route add 10.6.0.0/16 nexthop dev leg0 nexthop dev leg1");
	sh("ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:01 dev br0");
	sh("ip rule add pref 5 iif br0 lookup 5");
	sh("ip route add 10.7.0.0/16 dev leg0 table 77");
	read_all();
	assert_int_equal(host.entries.n, n);
	assert_true(foreign_has("198.51.100.0/24", "br0"));
	assert_true(foreign_has("203.0.113.0/24", "leg0"));
	assert_true(foreign_has("2001:db8:5::/48", "leg0"));
	assert_true(foreign_has("10.6.0.0/16", ""));
	assert_true(foreign_has("10.7.0.0/16", "leg0"));
	assert_false(foreign_has("10.5.0.0/16", ""));
	assert_false(foreign_has("198.51.100.1/32", "br0"));
	for (size_t i = 0; i < host.n_foreign; i++)
		assert_int_not_equal(host.foreign[i].dst.len, 0);
	/* in a router namespace a stranger's neighbour on a link of ours is there to be removed */
	host.id.kind = NET_VNI;
	sh("ip neigh add 10.255.0.9 lladdr 02:00:00:00:00:01 dev vx1000 nud permanent");
	read_all();
	struct entry e = entry(ENTRY_NEIGH, "vx1000", "10.255.0.9", NULL);
	assert_non_null(entry_set_find(&host.entries, &e));
	host.id.kind = NET_HOST;
	read_all();
	assert_null(entry_set_find(&host.entries, &e));
}

static void test_nft(void **state)
{
	struct err err = {0};
	uint32_t gen = 0, later = 0;

	assert_int_equal(dump_nft(nf, &host, &gen, &err), 0);
	assert_false(host.nft.present);
	sh("nft -f - <<'E'\n"
	   "table inet other {\n set peers4 { type ipv4_addr; elements = { 10.0.0.1 }; }\n}\n"
	   "table ip docker-router {\n chain c { accept; }\n}\n"
	   "table inet docker-router {\n"
	   " set peers4 { type ipv4_addr; elements = { 192.0.2.9, 192.0.2.1, 255.255.255.255 }; }\n"
	   " set peers6 { type ipv6_addr; elements = { 2001:db8::2, 2001:db8::1 }; }\n"
	   " set overlay4 { type ipv4_addr; flags interval; elements = { 10.72.0.0/24, 10.73.0.0/16, 10.72.1.0/24,"
	   " 240.0.0.0/4, 192.0.2.7 }; }\n"
	   " set overlay6 { type ipv6_addr; flags interval; elements = { fd00::/8, 2001:db8::/32, 2001:db9:1::1 }; }\n"
	   " set empty4 { type ipv4_addr; flags interval; }\n"
	   " set ports { type inet_service; elements = { 1, 2 }; }\n"
	   " map m { type ipv4_addr : verdict; elements = { 10.0.0.1   : drop }; }\n"
	   " chain a { type filter hook prerouting priority -310; ip saddr @peers4 notrack; udp dport { 1, 2 } drop; "
	   "}\n"
	   " chain fingerprint { return comment \"docker-router:0123456789abcdef\"; }\n"
	   "}\nE");
	assert_int_equal(dump_nft(nf, &host, &gen, &err), 0);
	struct nft_table *t = &host.nft;
	assert_true(t->present);
	assert_int_equal(t->n_rules, 3);
	assert_true(t->fingerprint == UINT64_C(0x0123456789abcdef));
	assert_int_equal(t->n_sets, 5);
	char s[PREFIX_STRLEN];
	struct nft_set *set = nft_table_set(t, "peers4");
	assert_int_equal(set->n, 3);
	assert_false(set->interval);
	assert_string_equal(prefix_format(&set->v[0], s), "192.0.2.1/32");
	set = nft_table_set(t, "peers6");
	assert_int_equal(set->n, 2);
	assert_string_equal(prefix_format(&set->v[1], s), "2001:db8::2/128");
	set = nft_table_set(t, "overlay4");
	assert_true(set->interval);
	assert_int_equal(set->n, 5);
	assert_string_equal(prefix_format(&set->v[0], s), "10.72.0.0/24");
	assert_string_equal(prefix_format(&set->v[1], s), "10.72.1.0/24");
	assert_string_equal(prefix_format(&set->v[2], s), "10.73.0.0/16");
	assert_string_equal(prefix_format(&set->v[3], s), "192.0.2.7/32");
	assert_string_equal(prefix_format(&set->v[4], s), "240.0.0.0/4");
	set = nft_table_set(t, "overlay6");
	assert_int_equal(set->n, 3);
	assert_string_equal(prefix_format(&set->v[2], s), "fd00::/8");
	assert_int_equal(nft_table_set(t, "empty4")->n, 0);

	/* an interval that is no prefix is a stranger's */
	sh("nft add element inet docker-router overlay4 { 10.80.0.1-10.80.0.9 }");
	assert_int_equal(dump_nft(nf, &host, &later, &err), 0);
	assert_int_not_equal(gen, later);
	assert_true(host.nft.fingerprint == 0);
	sh("nft delete table inet docker-router");
	assert_int_equal(dump_nft(nf, &host, &gen, &err), 0);
	assert_false(host.nft.present);
	assert_int_equal(host.nft.n_sets, 0);
}

static void test_many_elements(void **state)
{
	struct err err = {0};
	uint32_t gen;
	FILE *f = popen("nft -f -", "w");

	fputs("table inet docker-router {\nset overlay4 { type ipv4_addr; flags interval; elements = {", f);
	for (int i = 0; i < 5000; i++)
		fprintf(f, "10.%d.%d.0/24,", i / 256, i % 256);
	fputs("}; }\n}\n", f);
	assert_int_equal(pclose(f), 0);
	assert_int_equal(dump_nft(nf, &host, &gen, &err), 0);
	assert_int_equal(nft_table_set(&host.nft, "overlay4")->n, 5000);
	sh("nft delete table inet docker-router");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vxlan),
		cmocka_unit_test(test_veth_and_bridge),
		cmocka_unit_test(test_ipv6_off),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_fdb),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_routes_with_source),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_what_is_not_ours),
		cmocka_unit_test(test_nft),
		cmocka_unit_test(test_many_elements),
	};
	struct err err;

	if (!kernel_fresh())
		return kernel_skip("needs root, for a network namespace of its own");
	if (nl_open(NETLINK_ROUTE, &nl, &err) < 0 || nl_open(NETLINK_NETFILTER, &nf, &err) < 0)
		return kernel_skip(err.text);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	nl_free(nl);
	nl_free(nf);
	net_clear(&host);
	return rc;
}
