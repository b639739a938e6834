/* SPDX-License-Identifier: Apache-2.0
 *
 * The leg's shortcut in the running kernel, between a container and somebody behind the leg, by IPv4 and IPv6:
 *
 *	namespace C             host                                  namespace R
 *	eth0 10.71.0.2   ===   port0 - bridge br0 10.71.0.1 - drl-0  ===  leg0 169.254.77.77
 *	     fd00:71::2                 route via leg0                    lo   10.72.0.2, fd00:72::2
 *
 * What the firewall sees is counted by a chain of the host's forwarding and one of the bridge's: the ways out and in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "io/nl.h"
#include "kernel.h"
#include "router/dump.h"
#include "router/nft_netdev.h"
#include "router/shortcut.h"

#define WAIT_S	10
#define ROUNDS	200
#define PORT	7000
#define LEG_MAC "02:00:00:00:77:77"

static int ns_host, ns_ct, ns_far;
static struct nl *nf;

static void enter(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

static int ns_here(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int setup(void **state)
{
	struct err err;
	int pid = (int)getpid();

	ns_host = ns_here();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	ns_ct = ns_here();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	ns_far = ns_here();
	enter(ns_host);
	sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 "
	   "net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0");
	sh("ip link add dev br0 address 02:00:00:00:00:01 type bridge && ip link set br0 up");
	sh("ip link add dev port0 type veth peer name eth0 netns /proc/%d/fd/%d", pid, ns_ct);
	sh("ip link add dev drl-0 type veth peer name leg0 netns /proc/%d/fd/%d", pid, ns_far);
	sh("ip link set port0 master br0 up && ip link set drl-0 master br0 up");
	sh("ip addr add 10.71.0.1/24 dev br0 && ip addr add fd00:71::1/64 dev br0 nodad");
	sh("ip neigh add 169.254.77.77 lladdr " LEG_MAC " dev br0 && ip neigh add fe80::77:77 lladdr " LEG_MAC
	   " dev br0");
	sh("ip route add 10.72.0.0/24 via 169.254.77.77 dev br0 onlink && ip route add fd00:72::/64 via fe80::77:77 "
	   "dev br0");
	sh("nft 'add table inet spy; add chain inet spy f { type filter hook forward priority 0; }; "
	   "add rule inet spy f meta l4proto tcp counter; add table bridge spy; add chain bridge spy f "
	   "{ type filter hook forward priority 0; }; add rule bridge spy f iifname drl-0 meta l4proto tcp counter'");
	assert_int_equal(nl_open(NETLINK_NETFILTER, &nf, &err), 0);
	enter(ns_ct);
	sh("sysctl -qw net.ipv6.conf.default.accept_dad=0 && ip link set lo up && ip link set eth0 up && "
	   "ip addr add 10.71.0.2/24 dev eth0 && ip addr add fd00:71::2/64 dev eth0 nodad && "
	   "ip route add default via 10.71.0.1 && ip route add default via fd00:71::1");
	enter(ns_far);
	sh("sysctl -qw net.ipv6.conf.default.accept_dad=0 && ip link set lo up && ip link set leg0 address " LEG_MAC
	   " up && ip addr add 169.254.77.77/32 dev leg0 && ip addr add fe80::77:77/64 dev leg0 nodad && "
	   "ip addr add 10.72.0.2/32 dev lo && ip addr add fd00:72::2/128 dev lo nodad && "
	   "ip route add 10.71.0.0/24 dev leg0 && ip route add fd00:71::/64 dev leg0");
	enter(ns_host);
	return 0;
}

/* ---- the table ---- */

static void actual_host(struct net *host)
{
	struct err err;
	struct nl *rt;

	*host = (struct net){.id.kind = NET_HOST};
	assert_int_equal(nl_open(NETLINK_ROUTE, &rt, &err), 0);
	assert_int_equal(dump_links(rt, host, &err), 0);
	nl_free(rt);
}

static void table_make(struct nft_table *t)
{
	struct mac leg_mac = {{2, 0, 0, 0, 0x77, 0x77}};
	struct net host;
	struct shortcut s;

	actual_host(&host);
	assert_true(shortcut_find(&host, "br0", "drl-0", &leg_mac, &s));
	assert_int_equal(s.n_ports, 1);
	assert_string_equal(s.ports[0], "port0");
	*t = (struct nft_table){0};
	shortcut_table(&s, 1, t);
	free(s.ports);
	net_clear(&host);
}

static void shortcut_on(void)
{
	struct nft_table t;
	struct err err = {0};

	table_make(&t);
	if (nl_transaction(nf, t.raw.data, t.raw.len, &err) < 0)
		fail_msg("%s", err.text);
	buf_done(&t.raw);
}

static void shortcut_off(void)
{
	autobuf struct buf b = {0};
	struct err err;

	nft_netdev_remove(&b);
	assert_int_equal(nl_transaction(nf, b.data, b.len, &err), 0);
}

/* ---- the traffic ---- */

struct pair {
	int here, there; /* ends of one connection */
};

static socklen_t address(struct sockaddr_storage *sa, bool six)
{
	struct ip ip;

	assert_int_equal(ip_parse(six ? "fd00:72::2" : "10.72.0.2", &ip), 0);
	*sa = (struct sockaddr_storage){.ss_family = ip.family};
	if (six) {
		struct sockaddr_in6 *a = (void *)sa;
		a->sin6_port = htons(PORT);
		memcpy(&a->sin6_addr, ip.b, 16);
		return sizeof(*a);
	}
	struct sockaddr_in *a = (void *)sa;
	a->sin_port = htons(PORT);
	memcpy(&a->sin_addr, ip.b, 4);
	return sizeof(*a);
}

static int socket_in(int ns, bool six)
{
	struct timeval wait = {.tv_sec = WAIT_S};
	int one = 1;

	enter(ns);
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	enter(ns_host);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

static struct pair connect_through(bool six)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, six);
	struct pair p = {.here = socket_in(ns_ct, six)};
	int listener = socket_in(ns_far, six);

	assert_int_equal(bind(listener, (void *)&sa, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect(p.here, (void *)&sa, len), 0);
	p.there = accept(listener, NULL, NULL);
	assert_true(p.there >= 0);
	close(listener);
	return p;
}

static void exchange(const struct pair *p, int rounds)
{
	char c = 'x';

	for (int i = 0; i < rounds; i++) {
		assert_int_equal(send(p->here, &c, 1, MSG_NOSIGNAL), 1);
		assert_int_equal(recv(p->there, &c, 1, 0), 1);
		assert_int_equal(send(p->there, &c, 1, MSG_NOSIGNAL), 1);
		assert_int_equal(recv(p->here, &c, 1, 0), 1);
	}
}

static void pair_close(struct pair *p)
{
	close(p->here);
	close(p->there);
}

/* Packets that a chain of @family's firewall has seen since it was asked last */
static long seen(const char *family)
{
	char command[128];
	long packets = -1;

	str_print(command, "nft list chain %s spy f", family);
	FILE *f = popen(command, "re");
	assert_non_null(f);
	for (char line[256]; fgets(line, sizeof(line), f);) {
		const char *at = strstr(line, "counter packets ");
		if (at)
			packets = strtol(at + strlen("counter packets "), NULL, 10);
	}
	assert_int_equal(pclose(f), 0);
	sh("nft reset counters >/dev/null; nft flush chain %s spy f; nft add rule %s spy f %s meta l4proto tcp counter",
	   family, family, str_eq(family, "bridge") ? "iifname drl-0" : "");
	return packets;
}

static void seen_reset(void)
{
	(void)seen("inet");
	(void)seen("bridge");
}

/* ---- the tests ---- */

static void test_same_again(void **state)
{
	struct nft_table a, b;
	struct net host = {.id.kind = NET_HOST};
	struct err err;
	uint32_t gen;

	shortcut_on();
	table_make(&a);
	table_make(&b);
	assert_true(a.fingerprint == b.fingerprint && a.raw.len == b.raw.len);
	assert_int_equal(dump_nft(nf, &host, &gen, &err), 0);
	assert_false(host.nft.present);
	assert_true(host.shortcut.present);
	assert_true(host.shortcut.fingerprint == a.fingerprint);
	assert_int_equal(host.shortcut.n_rules, a.n_rules);
	/* in place of itself, and whoever lists it can read it */
	shortcut_on();
	sh("nft list table netdev docker-router | grep -q 'timeout 5s'");
	sh("nft delete rule netdev docker-router to-leg-0 handle $(nft -a list chain netdev docker-router to-leg-0 | "
	   "sed -n 's/.*meta mark.*handle //p')");
	assert_int_equal(dump_nft(nf, &host, &gen, &err), 0);
	assert_int_equal(host.shortcut.n_rules, a.n_rules - 1);
	shortcut_off();
	shortcut_off();
	assert_int_equal(dump_nft(nf, &host, &gen, &err), 0);
	assert_false(host.shortcut.present);
	net_clear(&host);
	buf_done(&a.raw);
	buf_done(&b.raw);
}

static void through(bool six)
{
	shortcut_off();
	struct pair p = connect_through(six);
	exchange(&p, 1);
	seen_reset();
	exchange(&p, ROUNDS);
	assert_true(seen("inet") >= ROUNDS);
	assert_true(seen("bridge") >= ROUNDS);
	/* a connection that is there already: one packet, and no more until it is looked at again */
	shortcut_on();
	seen_reset();
	exchange(&p, ROUNDS);
	assert_in_range(seen("inet"), 1, ROUNDS / 4);
	assert_in_range(seen("bridge"), 1, ROUNDS / 4);
	pair_close(&p);
	/* what opens and closes one is seen */
	seen_reset();
	p = connect_through(six);
	assert_true(seen("inet") >= 1);
	assert_true(seen("bridge") >= 1);
	exchange(&p, 2);
	seen_reset();
	shutdown(p.here, SHUT_WR);
	char c;
	assert_int_equal(recv(p.there, &c, 1, 0), 0);
	assert_true(seen("inet") >= 1);
	shutdown(p.there, SHUT_WR);
	assert_int_equal(recv(p.here, &c, 1, 0), 0);
	assert_true(seen("bridge") >= 1);
	pair_close(&p);
}

static void test_ipv4(void **state)
{
	through(false);
}

static void test_ipv6(void **state)
{
	through(true);
}

/* What the firewall drops is not remembered, and what it drops from now on ends with what is remembered. */
static void test_firewall(void **state)
{
	const char *const drop = "nft 'insert rule inet spy f tcp dport 7000 drop'";

	shortcut_on();
	struct pair p = connect_through(false);
	sh("%s", drop);
	/* nothing of it is remembered: a table that is new */
	shortcut_on();
	char c = 'x';
	struct timeval wait = {.tv_usec = 300000};
	setsockopt(p.there, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	assert_int_equal(send(p.here, &c, 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(p.there, &c, 1, 0), -1);
	sh("test -z \"$(nft list set netdev docker-router out4-0 | grep ' 7000 ')\"");
	(void)seen("inet"); /* takes the rule away */
	wait = (struct timeval){.tv_sec = WAIT_S};
	setsockopt(p.there, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	assert_int_equal(recv(p.there, &c, 1, 0), 1); /* sent again by TCP */
	pair_close(&p);
	shortcut_off();
}

/* A port that went takes no rule of the others' along; of the last one the chain goes */
static void test_port_gone(void **state)
{
	struct mac leg_mac = {{2, 0, 0, 0, 0x77, 0x77}};
	struct net host;
	struct shortcut s;
	struct nft_table t = {0};
	struct err err;
	uint32_t gen;

	sh("ip link add dev port1 type veth peer name port1x && ip link set port1 master br0");
	actual_host(&host);
	assert_true(shortcut_find(&host, "br0", "drl-0", &leg_mac, &s));
	assert_int_equal(s.n_ports, 2);
	shortcut_table(&s, 1, &t);
	free(s.ports);
	assert_int_equal(nl_transaction(nf, t.raw.data, t.raw.len, &err), 0);
	sh("ip link del port1");
	assert_int_equal(dump_nft(nf, &host, &gen, &err), 0);
	assert_int_equal(host.shortcut.n_rules, t.n_rules);
	struct pair p = connect_through(false);
	exchange(&p, 1);
	seen_reset();
	exchange(&p, ROUNDS);
	assert_in_range(seen("inet"), 0, ROUNDS / 4);
	pair_close(&p);
	/* made for a port that is not there any more: Linux 6.16 takes it, older ones say so and leave what was there
	 */
	if (nl_transaction(nf, t.raw.data, t.raw.len, &err) < 0)
		assert_int_equal(err.code, -ENOENT);
	assert_int_equal(dump_nft(nf, &host, &gen, &err), 0);
	assert_true(host.shortcut.fingerprint == t.fingerprint);
	buf_done(&t.raw);
	net_clear(&host);
	shortcut_off();
}

int main(void)
{
	if (!kernel_fresh())
		return kernel_skip("needs root, to make namespaces");
	ns_host = ns_here();
	/* egress hooks of devices: Linux 5.16, CONFIG_NETFILTER_EGRESS */
	if (system("nft 'add table netdev t; add chain netdev t c { type filter hook egress device lo priority 0; }' "
		   "2>/dev/null && nft delete table netdev t") != 0)
		return kernel_skip("the kernel has no netdev egress hook");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_again), cmocka_unit_test(test_ipv4),	     cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_firewall),   cmocka_unit_test(test_port_gone),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
