/* SPDX-License-Identifier: Apache-2.0
 *
 * Mapped subnets in the running kernel: the rules of a router namespace, as ruleset.h makes them, between a container
 * and a peer. What comes out is compared with a rewriter of its own, packet by packet, from a fixed seed; then real
 * sockets: checksums that are left to the device, and ICMP errors of the kernel's own, which must find their socket.
 *
 *	namespace C           router                        namespace P
 *	eth0 172.18.0.2  ===  leg0 169.254.77.77  vx0  ===  eth0 241.2.0.9 (mapped), 10.9.0.9 (not)
 *	     fd00:71::2                                          fd64:2::9, fd99::9
 *	known to P as 241.1.0.2, fd64:1::2
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "io/nl.h"
#include "kernel.h"
#include "router/dump.h"
#include "router/ruleset.h"

#define WAIT_MS 5000
#define PACKETS 1500 /* of each direction and family */

static int ns_router, ns_ct, ns_peer;
static bool held, alone; /* what the rules in force were made with: subnet in use too; two-container form */

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

static struct prefix P(const char *s) {
	struct prefix p;
	assert_int_equal(prefix_parse(s, &p), 0);
	return p;
}

static struct ip
I(const char *s) {
	struct ip ip;
	assert_int_equal(ip_parse(s, &ip), 0);
	return ip;
}

/* ---- the three namespaces ---- */

static void
no_offload(const char *dev)
{
	struct ethtool_value off = {.cmd = ETHTOOL_STXCSUM};
	struct ifreq ifr = {.ifr_data = (void *)&off};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	str_copy(ifr.ifr_name, dev);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	close(fd);
}

static int setup(void **state)
{
	ns_router = ns_here();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	ns_ct = ns_here();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	ns_peer = ns_here();
	enter(ns_router);
	sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.accept_dad=0 "
	   "net.ipv6.conf.default.accept_dad=0 net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_ratemask=0 "
	   "net.ipv4.icmp_msgs_per_sec=10000 net.ipv4.icmp_msgs_burst=10000 net.ipv6.icmp.ratelimit=0 "
	   "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0");
	sh("ip link add leg0 type veth peer name eth0 netns /proc/%d/fd/%d", (int)getpid(), ns_ct);
	sh("ip link add vx0 type veth peer name eth0 netns /proc/%d/fd/%d", (int)getpid(), ns_peer);
	sh("sysctl -qw net.ipv4.neigh.leg0.mcast_solicit=1 net.ipv4.neigh.leg0.retrans_time_ms=50 "
	   "net.ipv6.neigh.leg0.mcast_solicit=1 net.ipv6.neigh.leg0.retrans_time_ms=50");
	sh("ip link set leg0 up && ip link set vx0 up");
	sh("ip addr add 169.254.77.77/32 dev leg0 && ip addr add fe80::77:77/64 dev leg0 nodad");
	sh("ip addr add 198.51.100.1/24 dev vx0 && ip addr add fd98::1/64 dev vx0 nodad");
	sh("ip route add 172.18.0.0/16 dev leg0 && ip route add 241.1.0.0/16 dev leg0");
	sh("ip route add fd00:71::/64 dev leg0 && ip route add fd64:1::/64 dev leg0");
	sh("ip route add 241.2.0.0/16 dev vx0 && ip route add 10.9.0.0/24 dev vx0");
	sh("ip route add fd64:2::/64 dev vx0 && ip route add fd99::/64 dev vx0");
	no_offload("vx0"); /* what leaves here is finished, and can be checked */
	no_offload("leg0");
	enter(ns_ct);
	sh("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv4.icmp_ratelimit=0 "
	   "net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0");
	sh("ip link set lo up && ip link set eth0 up && ip addr add 172.18.0.2/16 dev eth0 && "
	   "ip addr add fd00:71::2/64 dev eth0 nodad");
	sh("ip route add default via 169.254.77.77 dev eth0 onlink && ip route add default via fe80::77:77 dev eth0");
	enter(ns_peer);
	sh("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv4.icmp_ratelimit=0 "
	   "net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0");
	sh("ip link set lo up && ip link set eth0 up && ip addr add 198.51.100.2/24 dev eth0 && "
	   "ip addr add fd98::2/64 dev eth0 nodad");
	sh("ip addr add 241.2.0.9/32 dev eth0 && ip addr add 10.9.0.9/32 dev eth0 && "
	   "ip addr add fd64:2::9/128 dev eth0 nodad && ip addr add fd99::9/128 dev eth0 nodad");
	sh("ip route add default via 198.51.100.1 && ip route add default via fd98::1");
	enter(ns_router);
	return 0;
}

static void put(struct nft_table *t, const char *name, const char *prefix)
{
	struct nft_set *s = nft_table_set(t, name);
	assert_non_null(s);
	*xgrow(&s->v, s->n, &s->cap) = P(prefix);
	s->n++;
}

static void table_make(struct nft_table *t, bool with_real, bool two_containers)
{
	struct ruleset_mapped mapped[] = {{P("172.18.0.0/16"), P("241.1.0.0/16"), with_real},
					  {P("fd00:71::/64"), P("fd64:1::/64"), with_real}};
	struct prefix stack[] = {mapped[0].subnet, mapped[1].subnet};
	struct ruleset_router in = {.mapped = mapped, .n_mapped = ARRAY_LEN(mapped), .tunnel = "vx0"};
	struct ruleset_alone all = {.vni = {1000, 4789},
				    .stack = stack,
				    .n_stack = ARRAY_LEN(stack),
				    .mapped = mapped,
				    .n_mapped = ARRAY_LEN(mapped),
				    .stack_dev = "leg0",
				    .uplink_dev = "up0"};

	memset(t, 0, sizeof(*t));
	if (two_containers)
		ruleset_alone(&all, t);
	else
		ruleset_router(&in, t);
	for (int members = 0; members <= two_containers; members++) {
		put(t, members ? "members4" : "mapped4", "241.1.0.0/16");
		put(t, members ? "members4" : "mapped4", "241.2.0.0/16");
		put(t, members ? "members6" : "mapped6", "fd64:1::/64");
		put(t, members ? "members6" : "mapped6", "fd64:2::/64");
	}
	if (two_containers) {
		put(t, "members4", "10.9.0.0/24");
		put(t, "members6", "fd99::/64");
	}
}

static void table_done(struct nft_table *t)
{
	for (size_t i = 0; i < t->n_sets; i++)
		free(t->sets[i].v);
	free(t->sets);
	free(t->json);
	buf_done(&t->raw);
	memset(t, 0, sizeof(*t));
}

static void load(bool with_real, bool two_containers)
{
	struct nft_table t;
	struct net n = {.id.kind = NET_VNI};
	struct nl *nl;
	struct err err = {0};
	uint32_t gen;

	enter(ns_router);
	table_make(&t, with_real, two_containers);
	autofree char *json = ruleset_replace(&t, true);
	FILE *f = popen("nft -j -f -", "we");
	assert_non_null(f);
	fputs(json, f);
	assert_int_equal(pclose(f), 0);
	assert_int_equal(nl_open(NETLINK_NETFILTER, &nl, &err), 0);
	if (nl_transaction(nl, t.raw.data, t.raw.len, &err) != 0)
		fail_msg("%s", err.text);
	/* what the kernel says that it has is what was wanted: or it would be replaced without an end */
	assert_int_equal(dump_nft(nl, &n, &gen, &err), 0);
	assert_int_equal(n.nft.n_rules, t.n_rules);
	assert_true(n.nft.fingerprint == t.fingerprint);
	assert_int_equal(n.nft.n_sets, t.n_sets);
	table_done(&t);
	table_done(&n.nft);
	nl_free(nl);
	held = with_real;
	alone = two_containers;
}

/* ---- the reference ---- */

struct packet {
	uint8_t b[1600];
	size_t len;
};

static uint32_t sum_bytes(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void set16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static bool is_v6(const struct packet *p)
{
	return p->b[0] >> 4 == 6;
}

/* Where the transport header starts, and what it is. Extension headers are of our own making: all but fragments. */
static size_t l4_of(const struct packet *p, uint8_t *ret_proto)
{
	if (!is_v6(p)) {
		*ret_proto = p->b[9];
		return (size_t)(p->b[0] & 15) * 4;
	}
	size_t at = 40;
	uint8_t next = p->b[6];
	while (next == IPPROTO_DSTOPTS) {
		next = p->b[at];
		at += (size_t)(p->b[at + 1] + 1) * 8;
	}
	*ret_proto = next;
	return at;
}

static size_t checksum_at(uint8_t proto)
{
	return proto == IPPROTO_TCP ? 16 : proto == IPPROTO_UDP ? 6 : 2;
}

static void fix_checksums(struct packet *p)
{
	uint8_t proto;
	size_t l4 = l4_of(p, &proto), len = p->len - l4, n = is_v6(p) ? 16 : 4;
	uint32_t sum = 0;

	if (!is_v6(p)) {
		set16(p->b + 10, 0);
		set16(p->b + 10, ~sum_bytes(p->b, l4, 0));
	}
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_ICMP && proto != IPPROTO_ICMPV6)
		return;
	uint8_t *at = p->b + l4 + checksum_at(proto);
	if (proto == IPPROTO_UDP && !is_v6(p) && get16(at) == 0)
		return;
	if (proto != IPPROTO_ICMP) {
		sum = sum_bytes(p->b + (is_v6(p) ? 8 : 12), n * 2, 0);
		sum += proto + (uint32_t)len;
	}
	set16(at, 0);
	sum = ~sum_bytes(p->b + l4, len, sum) & 0xffff;
	set16(at, sum ? sum : 0xffff);
}

static bool within(const uint8_t *addr, const struct prefix *p)
{
	struct ip ip = ip_from_bytes(p->ip.family, addr);
	return prefix_has_ip(p, &ip);
}

/* All prefixes of this test end on a byte */
static void move(uint8_t *addr, const struct prefix *to)
{
	memcpy(addr, to->ip.b, to->len / 8);
}

/* Is the subnet mapped for who has this address? */
static bool is_mapped_for(const uint8_t *addr, bool v6)
{
	static const char *const all[2][3] = {{"241.1.0.0/16", "241.2.0.0/16", "10.9.0.0/24"},
					      {"fd64:1::/64", "fd64:2::/64", "fd99::/64"}};

	if (!held && !alone)
		return true;
	for (int i = 0; i < (held ? 2 : 3); i++) {
		struct prefix p = P(all[v6][i]);
		if (within(addr, &p))
			return true;
	}
	return false;
}

static bool is_error(bool v6, uint8_t proto, uint8_t type)
{
	if (v6)
		return proto == IPPROTO_ICMPV6 && type >= 1 && type <= 4;
	return proto == IPPROTO_ICMP && (type == 3 || type == 11 || type == 12);
}

static void reference_inner(struct packet *p, size_t inner, bool from_stack)
{
	bool v6 = is_v6(p);
	size_t n = v6 ? 16 : 4, src = inner + (v6 ? 8 : 12), dst = src + n, at = from_stack ? dst : src;
	struct prefix real = P(v6 ? "fd00:71::/64" : "172.18.0.0/16"), as = P(v6 ? "fd64:1::/64" : "241.1.0.0/16");

	if (p->len < at + n)
		return;
	if (from_stack ? !within(p->b + dst, &real) || !is_mapped_for(p->b + src, v6) : !within(p->b + src, &as))
		return;
	uint32_t before = sum_bytes(p->b + at, n, 0);
	move(p->b + at, from_stack ? &as : &real);
	if (v6)
		return;
	/* RFC 1624, equation 3 */
	uint32_t sum = (uint16_t)~get16(p->b + inner + 10) + (uint32_t)(uint16_t)~before + sum_bytes(p->b + at, n, 0);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	set16(p->b + inner + 10, ~sum);
}

static void reference(struct packet *p, bool from_stack)
{
	bool v6 = is_v6(p);
	uint8_t proto, *src = p->b + (v6 ? 8 : 12), *dst = src + (v6 ? 16 : 4);
	size_t l4 = l4_of(p, &proto);
	struct prefix real = P(v6 ? "fd00:71::/64" : "172.18.0.0/16"), as = P(v6 ? "fd64:1::/64" : "241.1.0.0/16");

	if (is_error(v6, proto, p->b[l4]))
		reference_inner(p, l4 + 8, from_stack);
	if (from_stack && within(src, &real) && is_mapped_for(dst, v6))
		move(src, &as);
	if (!from_stack && within(dst, &as))
		move(dst, &real);
	p->b[v6 ? 7 : 8]--;
	fix_checksums(p);
}

/* ---- random packets ---- */

static uint64_t seed = 20240607;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static void rnd_bytes(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rnd(256);
}

static void put_address(uint8_t *at, const char *prefix)
{
	struct prefix p = P(prefix);
	size_t n = ip_size(p.ip.family);

	memcpy(at, p.ip.b, n);
	rnd_bytes(at + p.len / 8, n - p.len / 8);
}

static const char *stack_side(bool v6, bool from_stack)
{
	/* the last one: what is no container's, and what is not rewritten */
	static const char *const from[2][3] = {{"172.18.0.0/16", "172.18.0.0/16", "192.168.7.0/24"},
					       {"fd00:71::/64", "fd00:71::/64", "fd55::/64"}};
	static const char *const to[2][3] = {{"241.1.0.2/32", "241.1.0.2/32", "172.18.0.2/32"},
					     {"fd64:1::2/128", "fd64:1::2/128", "fd00:71::2/128"}};
	return from_stack ? from[v6][rnd(3)] : to[v6][rnd(3)];
}

static const char *peer_side(bool v6)
{
	static const char *const all[2][2] = {{"241.2.0.9/32", "10.9.0.9/32"}, {"fd64:2::9/128", "fd99::9/128"}};
	return all[v6][rnd(2)];
}

static const char *inner_side(bool v6)
{
	static const char *const all[2][5] = {
		{"172.18.0.0/16", "241.1.0.0/16", "241.2.0.0/16", "10.9.0.0/24", "192.168.0.0/16"},
		{"fd00:71::/64", "fd64:1::/64", "fd64:2::/64", "fd99::/64", "fd55::/64"}};
	return all[v6][rnd(5)];
}

/* The packet in an ICMP error: mostly about what went the other way, sometimes about anything; cut anywhere */
static void make_inner(struct packet *p, bool from_stack)
{
	bool v6 = is_v6(p), any = rnd(4) == 0;
	size_t inner = p->len, header = v6 ? 40 : 20, data = rnd(200);
	uint8_t *b = p->b + inner, *src = b + (v6 ? 8 : 12), *dst = src + (v6 ? 16 : 4);

	rnd_bytes(b, header + data);
	b[0] = v6 ? 0x60 : 0x45;
	put_address(src, any ? inner_side(v6) : !from_stack ? (v6 ? "fd64:1::/64" : "241.1.0.0/16") : peer_side(v6));
	put_address(dst, any ? inner_side(v6) : from_stack ? (v6 ? "fd00:71::/64" : "172.18.0.0/16") : peer_side(v6));
	if (!v6 && rnd(8)) { /* else it is wrong, and stays as wrong */
		set16(b + 10, 0);
		set16(b + 10, ~sum_bytes(b, header, 0));
	}
	p->len += rnd(6) ? header + data : rnd((uint32_t)header + 1);
}

static void make(struct packet *p, bool v6, bool from_stack)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDP, 1, 1, 1, 132, 253};
	uint8_t proto = protos[rnd(ARRAY_LEN(protos))];
	size_t at;

	memset(p, 0, sizeof(*p));
	if (proto == 1 && v6)
		proto = IPPROTO_ICMPV6;
	if (v6) {
		p->b[0] = 0x60;
		p->b[6] = proto;
		p->b[7] = (uint8_t)(2 + rnd(200));
		at = 40;
		if (rnd(4) == 0) { /* destination options: padding */
			p->b[6] = IPPROTO_DSTOPTS;
			p->b[at] = proto;
			p->b[at + 2] = 1;
			p->b[at + 3] = 4;
			at += 8;
		}
	} else {
		size_t options = rnd(4) == 0 ? 4 * (1 + rnd(5)) : 0;
		p->b[0] = (uint8_t)(0x45 + options / 4);
		rnd_bytes(p->b + 4, 2);
		p->b[8] = (uint8_t)(2 + rnd(200));
		p->b[9] = proto;
		memset(p->b + 20, 1, options); /* no operation */
		at = 20 + options;
	}
	uint8_t *src = p->b + (v6 ? 8 : 12), *dst = src + (v6 ? 16 : 4);
	put_address(src, from_stack ? stack_side(v6, true) : peer_side(v6));
	put_address(dst, from_stack ? peer_side(v6) : stack_side(v6, false));
	size_t data = rnd(900);
	rnd_bytes(p->b + at, 20 + data);
	p->len = at + 20 + data;
	if (proto == IPPROTO_TCP) {
		p->b[at + 12] = 0x50;
		p->b[at + 13] = 0x10; /* no SYN: its options are clamped */
	} else if (proto == IPPROTO_UDP) {
		set16(p->b + at + 4, (uint32_t)(p->len - at));
		set16(p->b + at + 6, !v6 && rnd(4) == 0 ? 0 : 1);
	} else if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) {
		static const uint8_t types4[] = {3, 11, 12, 3, 11, 0, 8, 4, 13},
				     types6[] = {1, 2, 3, 4, 0, 128, 129, 100};
		p->b[at] = v6 ? types6[rnd(ARRAY_LEN(types6))] : types4[rnd(ARRAY_LEN(types4))];
		p->len = at + 8;
		make_inner(p, from_stack);
	}
	if (v6)
		set16(p->b + 4, (uint32_t)(p->len - 40));
	else
		set16(p->b + 2, (uint32_t)p->len);
	fix_checksums(p);
}

/* Cut @p in two: @n bytes of what is behind the header go into the first. IPv4 without options, IPv6 without more. */
static void cut(const struct packet *p, size_t n, uint32_t id, struct packet out[2])
{
	size_t header = is_v6(p) ? 40 : 20, frag = is_v6(p) ? 8 : 0;

	for (int i = 0; i < 2; i++) {
		size_t from = header + (i ? n : 0), to = i ? p->len : header + n;
		memcpy(out[i].b, p->b, header);
		memcpy(out[i].b + header + frag, p->b + from, to - from);
		out[i].len = header + frag + to - from;
		if (is_v6(p)) {
			uint8_t *f = out[i].b + 40;
			f[0] = p->b[6];
			f[1] = 0;
			set16(f + 2, i ? (uint32_t)n : 1);
			set16(f + 4, id >> 16);
			set16(f + 6, id);
			out[i].b[6] = IPPROTO_FRAGMENT;
			set16(out[i].b + 4, (uint32_t)out[i].len - 40);
		} else {
			set16(out[i].b + 2, (uint32_t)out[i].len);
			set16(out[i].b + 6, i ? (uint32_t)n / 8 : 0x2000);
			set16(out[i].b + 10, 0);
			set16(out[i].b + 10, ~sum_bytes(out[i].b, 20, 0));
		}
	}
}

/* ---- in and out ---- */

static int tap(int ns)
{
	enter(ns);
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex("eth0")};
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sll, sizeof(sll)), 0);
	enter(ns_router);
	return fd;
}

static void router_mac(const char *dev, uint8_t mac[6])
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	enter(ns_router);
	str_copy(ifr.ifr_name, dev);
	assert_int_equal(ioctl(fd, SIOCGIFHWADDR, &ifr), 0);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	close(fd);
}

static void inject(int fd, int ns, const char *to_dev, const struct packet *p)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_halen = 6};

	router_mac(to_dev, sll.sll_addr);
	enter(ns);
	sll.sll_ifindex = (int)if_nametoindex("eth0");
	sll.sll_protocol = htons(is_v6(p) ? ETH_P_IPV6 : ETH_P_IP);
	assert_int_equal(sendto(fd, p->b, p->len, 0, (struct sockaddr *)&sll, sizeof(sll)), (ssize_t)p->len);
	enter(ns_router);
}

static bool same_but_zero(const uint8_t *a, const uint8_t *b)
{
	uint16_t x = get16(a), y = get16(b); /* 0 and 0xffff are one number */
	return x == y || ((x == 0 || x == 0xffff) && (y == 0 || y == 0xffff));
}

/* The same, but for the two ways of writing zero in the checksums at @a, @b, @c (0: none there) */
static bool same(const struct packet *x, const struct packet *y, size_t a, size_t b, size_t c)
{
	if (x->len != y->len)
		return false;
	for (size_t i = 0; i < x->len; i++) {
		if ((i == a || i == b || i == c) && i && i + 1 < x->len) {
			if (!same_but_zero(x->b + i, y->b + i))
				return false;
			i++;
		} else if (x->b[i] != y->b[i]) {
			return false;
		}
	}
	return true;
}

static void dump(const char *what, const struct packet *p)
{
	fprintf(stderr, "# %s:", what);
	for (size_t i = 0; i < p->len && i < 160; i++)
		fprintf(stderr, "%s%02x", i % 4 ? "" : " ", p->b[i]);
	fprintf(stderr, "\n");
}

/* The next packet of this family that arrives and that @want may be: neither neighbour discovery nor anything of ours
 */
static bool receive(int fd, const struct packet *want, struct packet *ret)
{
	int64_t deadline = mono_now().us + WAIT_MS * USEC_PER_MSEC;

	while (mono_now().us < deadline) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		struct sockaddr_ll from;
		socklen_t size = sizeof(from);
		if (poll(&pfd, 1, 100) <= 0)
			continue;
		ssize_t n = recvfrom(fd, ret->b, sizeof(ret->b), 0, (struct sockaddr *)&from, &size);
		bool v6 = from.sll_protocol == htons(ETH_P_IPV6);
		if (n < 20 || from.sll_pkttype == PACKET_OUTGOING || v6 != is_v6(want) ||
		    (!v6 && from.sll_protocol != htons(ETH_P_IP)))
			continue;
		ret->len = (size_t)n;
		if (v6 && (ret->b[7] == 255 || ret->b[24] == 255)) /* neighbours, and who listens to what */
			continue;
		return true;
	}
	return false;
}

static void drain(int fd)
{
	uint8_t waste[2048];
	while (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) >= 0)
		;
}

static void one(int in, int out, bool from_stack, const struct packet *p, const struct packet *want, size_t inner)
{
	struct packet got;
	uint8_t proto;
	size_t l4 = l4_of(want, &proto);
	bool v6 = is_v6(want), fragment = !v6 && (get16(want->b + 6) & 0x1fff);

	inject(in, from_stack ? ns_ct : ns_peer, from_stack ? "leg0" : "vx0", p);
	if (!receive(out, want, &got)) {
		dump("lost", p);
		fail_msg("a packet got lost");
	}
	if (v6 && proto == IPPROTO_FRAGMENT) {
		fragment = get16(want->b + 42) & 0xfff8;
		proto = want->b[40];
		l4 = 48;
	}
	size_t sum = fragment || (proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_ICMP &&
				  proto != IPPROTO_ICMPV6)
			     ? 0
			     : l4 + checksum_at(proto);
	if (sum && proto == IPPROTO_UDP)
		assert_int_equal(get16(want->b + sum) == 0, get16(got.b + sum) == 0); /* none stays none */
	if (same(&got, want, v6 ? 0 : 10, sum, inner && !v6 ? inner + 10 : 0))
		return;
	dump("sent", p);
	dump("want", want);
	dump("got ", &got);
	fail_msg("another packet came out");
}

static void run_random(bool v6, bool from_stack)
{
	int ct = tap(ns_ct), peer = tap(ns_peer), in = from_stack ? ct : peer, out = from_stack ? peer : ct;
	size_t errors = 0, fragments = 0;

	drain(ct);
	drain(peer);
	for (int i = 0; i < PACKETS; i++) {
		struct packet p, want, cut_p[2], cut_want[2];
		uint8_t proto;
		make(&p, v6, from_stack);
		want = p;
		reference(&want, from_stack);
		size_t l4 = l4_of(&p, &proto), inner = is_error(v6, proto, p.b[l4]) ? l4 + 8 : 0;
		errors += inner != 0;
		if (!alone && l4 == (v6 ? 40 : 20) && p.len > 180 && rnd(3) == 0) {
			uint32_t id = rnd(1u << 30);
			size_t n = 8 * (8 + rnd(10));
			cut(&p, n, id, cut_p);
			cut(&want, n, id, cut_want);
			size_t at = inner ? inner + (v6 ? 8 : 0) : 0;
			one(in, out, from_stack, &cut_p[0], &cut_want[0], at);
			one(in, out, from_stack, &cut_p[1], &cut_want[1], 0);
			fragments++;
		} else {
			one(in, out, from_stack, &p, &want, inner);
		}
		if (i % 64 == 63) {
			drain(in); /* our own, and answers to what is unasked for */
		}
	}
	assert_true(errors > PACKETS / 8 && (alone || fragments > PACKETS / 16));
	close(ct);
	close(peer);
}

/* ---- tests ---- */

/* Only the taps hear: nobody answers what is thrown at them */
static void quiet(bool on)
{
	static const char rules[] =
		"table inet quiet { chain in { type filter hook prerouting priority -500; icmpv6 type "
		"{ nd-neighbor-solicit, nd-neighbor-advert } accept; drop; }; }";
	for (int i = 0; i < 2; i++) {
		enter(i ? ns_ct : ns_peer);
		if (on)
			sh("nft '%s'", rules);
		else
			sh("nft delete table inet quiet");
	}
	enter(ns_router);
}

/* Whatever became of the test before */
static int start(void **state)
{
	for (int i = 0; i < 2; i++) {
		enter(i ? ns_ct : ns_peer);
		(void)!system("nft delete table inet quiet 2>/dev/null");
	}
	enter(ns_router);
	return 0;
}

static void warm_up(void)
{
	enter(ns_ct);
	sh("ping -c1 -W2 241.2.0.9 >/dev/null && ping -c1 -W2 fd64:2::9 >/dev/null");
	if (held)
		sh("ping -c1 -W2 10.9.0.9 >/dev/null && ping -c1 -W2 fd99::9 >/dev/null");
	enter(ns_peer);
	sh("ping -c1 -W2 -I 241.2.0.9 241.1.0.2 >/dev/null && ping -c1 -W2 -I fd64:2::9 fd64:1::2 >/dev/null");
	enter(ns_router);
}

static void test_random(void **state)
{
	for (int form = 0; form < 4; form++) {
		bool real = form & 1;
		load(real, form & 2);
		warm_up();
		quiet(true);
		for (int i = 0; i < 4; i++)
			run_random(i & 1, i & 2);
		quiet(false);
	}
}

/* A socket in @ns, bound to @addr and not waiting forever */
static int sock(int ns, int type, const char *addr, uint16_t port)
{
	struct endpoint e = {.ip = I(addr), .port = port};
	struct sockaddr_storage ss;
	struct timeval patience = {.tv_sec = WAIT_MS / 1000};
	int one_ = 1;

	enter(ns);
	int fd = socket(e.ip.family, type | SOCK_CLOEXEC, 0);
	enter(ns_router);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one_, sizeof(one_));
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, endpoint_to_sockaddr(&e, &ss)), 0);
	return fd;
}

static int connect_to(int fd, const char *addr, uint16_t port)
{
	struct endpoint e = {.ip = I(addr), .port = port};
	struct sockaddr_storage ss;
	return connect(fd, (struct sockaddr *)&ss, endpoint_to_sockaddr(&e, &ss));
}

/* All TCP and UDP that a tap has caught is sound, as far as the checksum goes; and the addresses are as they must be */
static size_t check_caught(int fd, const char *src, const char *dst)
{
	struct ip a = I(src), b = I(dst);
	size_t n = 0;

	for (;;) {
		struct packet p, sound;
		struct sockaddr_ll from;
		socklen_t size = sizeof(from);
		uint8_t proto;
		ssize_t len = recvfrom(fd, p.b, sizeof(p.b), MSG_DONTWAIT, (struct sockaddr *)&from, &size);
		if (len < 0)
			return n;
		p.len = (size_t)len;
		if (from.sll_pkttype == PACKET_OUTGOING ||
		    (from.sll_protocol != htons(ETH_P_IP) && from.sll_protocol != htons(ETH_P_IPV6)))
			continue;
		size_t l4 = l4_of(&p, &proto), at = is_v6(&p) ? 8 : 12;
		if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
			continue;
		sound = p;
		fix_checksums(&sound);
		if (!same(&sound, &p, is_v6(&p) ? 0 : 10, l4 + checksum_at(proto), 0)) {
			dump("got ", &p);
			fail_msg("a checksum is wrong");
		}
		assert_memory_equal(p.b + at, a.b, ip_size(a.family));
		assert_memory_equal(p.b + at + ip_size(a.family), b.b, ip_size(b.family));
		n++;
	}
}

static void run_udp(const char *ct_own, const char *ct_seen, const char *peer, bool expect_seen)
{
	char text[1200], got[1500], name[IP_STRLEN];
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	int at_peer = tap(ns_peer), at_ct = tap(ns_ct);
	int c = sock(ns_ct, SOCK_DGRAM, ct_own, 7001), p = sock(ns_peer, SOCK_DGRAM, peer, 7002);

	memset(text, 'x', sizeof(text));
	assert_int_equal(connect_to(c, peer, 7002), 0);
	assert_int_equal(send(c, text, sizeof(text), 0), sizeof(text));
	assert_int_equal(recvfrom(p, got, sizeof(got), 0, (struct sockaddr *)&ss, &size), sizeof(text));
	struct endpoint from = endpoint_from_sockaddr(&ss);
	assert_string_equal(ip_format(&from.ip, name), expect_seen ? ct_seen : ct_own);
	assert_int_equal(sendto(p, text, sizeof(text), 0, (struct sockaddr *)&ss, size), sizeof(text));
	assert_int_equal(recv(c, got, sizeof(got), 0), sizeof(text)); /* connected: only from whom it sent to */
	assert_int_equal(check_caught(at_peer, expect_seen ? ct_seen : ct_own, peer), 1);
	assert_int_equal(check_caught(at_ct, peer, ct_own), 1);
	close(c);
	close(p);
	close(at_peer);
	close(at_ct);
}

static void run_tcp(const char *ct_own, const char *ct_seen, const char *peer)
{
	char text[60000];
	int at_peer = tap(ns_peer), at_ct = tap(ns_ct);
	int listener = sock(ns_ct, SOCK_STREAM, ct_own, 7003), p = sock(ns_peer, SOCK_STREAM, peer, 0);

	memset(text, 'y', sizeof(text));
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect_to(p, ct_seen, 7003), 0);
	int c = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(c >= 0);
	/* 60 kB fit into the buffers: nobody need read meanwhile */
	assert_int_equal(send(c, text, sizeof(text), 0), sizeof(text));
	assert_int_equal(recv(p, text, sizeof(text), MSG_WAITALL), sizeof(text));
	assert_int_equal(send(p, text, sizeof(text), 0), sizeof(text));
	assert_int_equal(recv(c, text, sizeof(text), MSG_WAITALL), sizeof(text));
	assert_true(check_caught(at_peer, ct_seen, peer) > 10);
	assert_true(check_caught(at_ct, peer, ct_own) > 10);
	close(c);
	close(p);
	close(listener);
	close(at_peer);
	close(at_ct);
}

/* Real sockets over veth leave their checksums to the device: it gets the half that must be right */
static void test_sockets(void **state)
{
	for (int form = 0; form < 4; form++) {
		bool real = form & 1;
		load(real, form & 2);
		warm_up();
		run_udp("172.18.0.2", "241.1.0.2", "241.2.0.9", true);
		run_udp("fd00:71::2", "fd64:1::2", "fd64:2::9", true);
		run_udp("172.18.0.2", "241.1.0.2", "10.9.0.9", !real);
		run_udp("fd00:71::2", "fd64:1::2", "fd99::9", !real);
		run_tcp("172.18.0.2", "241.1.0.2", "241.2.0.9");
		run_tcp("fd00:71::2", "fd64:1::2", "fd64:2::9");
	}
}

/* The ICMP error that @fd is told, within the deadline */
static struct sock_extended_err error_of(int fd, bool v6, struct ip *ret_dst)
{
	char data[64], control[512];
	struct sockaddr_storage ss;
	struct iovec iov = {data, sizeof(data)};
	struct msghdr m = {.msg_name = &ss,
			   .msg_namelen = sizeof(ss),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct pollfd pfd = {.fd = fd, .events = 0};

	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
	assert_true(recvmsg(fd, &m, MSG_ERRQUEUE) >= 0);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == (v6 ? IPPROTO_IPV6 : IPPROTO_IP) &&
		    c->cmsg_type == (v6 ? IPV6_RECVERR : IP_RECVERR)) {
			struct sock_extended_err e;
			memcpy(&e, CMSG_DATA(c), sizeof(e));
			*ret_dst = endpoint_from_sockaddr(&ss).ip;
			return e;
		}
	fail_msg("no error told");
	return (struct sock_extended_err){0};
}

static int errors_socket(int ns, const char *addr)
{
	bool v6 = strchr(addr, ':') != NULL;
	int fd = sock(ns, SOCK_DGRAM, addr, 0), on = 1, discover = v6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE;

	assert_int_equal(
		setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
				    &discover, sizeof(discover)),
			 0);
	return fd;
}

/* One datagram that cannot arrive, and the error about it that must find its way back to the socket */
static void provoke(int ns, const char *from, const char *to, int hops, size_t size, int want_errno, int type, int code,
		    uint32_t info)
{
	bool v6 = strchr(from, ':') != NULL;
	char text[1500] = "", name[IP_STRLEN];
	int fd = errors_socket(ns, from);
	struct ip dst;

	if (hops)
		assert_int_equal(setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_UNICAST_HOPS : IP_TTL, &hops,
					    sizeof(hops)),
				 0);
	assert_int_equal(connect_to(fd, to, 9), 0);
	assert_int_equal(send(fd, text, size, 0), (ssize_t)size);
	struct sock_extended_err e = error_of(fd, v6, &dst);
	assert_int_equal(e.ee_errno, want_errno);
	assert_int_equal(e.ee_type, type);
	assert_int_equal(e.ee_code, code);
	if (info)
		assert_int_equal(e.ee_info, info);
	assert_string_equal(ip_format(&dst, name), to);
	close(fd);
}

static void test_errors(void **state)
{
	for (int form = 0; form < 4; form++) {
		bool real = form & 1;
		load(real, form & 2);
		warm_up();
		/* nobody listens: the other end says so */
		provoke(ns_ct, "172.18.0.2", "241.2.0.9", 0, 10, ECONNREFUSED, 3, 3, 0);
		provoke(ns_peer, "241.2.0.9", "241.1.0.2", 0, 10, ECONNREFUSED, 3, 3, 0);
		provoke(ns_ct, "fd00:71::2", "fd64:2::9", 0, 10, ECONNREFUSED, 1, 4, 0);
		provoke(ns_peer, "fd64:2::9", "fd64:1::2", 0, 10, ECONNREFUSED, 1, 4, 0);
		provoke(ns_ct, "172.18.0.2", "10.9.0.9", 0, 10, ECONNREFUSED, 3, 3, 0);
		provoke(ns_ct, "fd00:71::2", "fd99::9", 0, 10, ECONNREFUSED, 1, 4, 0);
		if (real) {
			provoke(ns_peer, "10.9.0.9", "172.18.0.2", 0, 10, ECONNREFUSED, 3, 3, 0);
			provoke(ns_peer, "fd99::9", "fd00:71::2", 0, 10, ECONNREFUSED, 1, 4, 0);
		}
		/* time exceeded, in the router namespace */
		provoke(ns_ct, "172.18.0.2", "241.2.0.9", 1, 10, EHOSTUNREACH, 11, 0, 0);
		provoke(ns_peer, "241.2.0.9", "241.1.0.2", 1, 10, EHOSTUNREACH, 11, 0, 0);
		provoke(ns_ct, "fd00:71::2", "fd64:2::9", 1, 10, EHOSTUNREACH, 3, 0, 0);
		provoke(ns_peer, "fd64:2::9", "fd64:1::2", 1, 10, EHOSTUNREACH, 3, 0, 0);
		/* no such container: told after its address has been made true */
		provoke(ns_peer, "241.2.0.9", "241.1.7.7", 0, 10, EHOSTUNREACH, 3, 1, 0);
		provoke(ns_peer, "fd64:2::9", "fd64:1::77", 0, 10, EHOSTUNREACH, 1, 3, 0);
		/* too big for the tunnel, and for the leg */
		sh("ip link set vx0 mtu 1400");
		provoke(ns_ct, "172.18.0.2", "241.2.0.9", 0, 1440, EMSGSIZE, 3, 4, 1400);
		provoke(ns_ct, "fd00:71::2", "fd64:2::9", 0, 1440, EMSGSIZE, 2, 0, 1400);
		sh("ip link set vx0 mtu 1500 && ip link set leg0 mtu 1300");
		provoke(ns_peer, "241.2.0.9", "241.1.0.2", 0, 1440, EMSGSIZE, 3, 4, 1300);
		provoke(ns_peer, "fd64:2::9", "fd64:1::2", 0, 1440, EMSGSIZE, 2, 0, 1300);
		sh("ip link set leg0 mtu 1500");
		for (int i = 0; i < 2; i++) { /* what was learned of the path */
			enter(i ? ns_ct : ns_peer);
			sh("ip route flush cache && ip -6 route flush cache");
		}
		enter(ns_router);
	}
}

/* Two-container form: the router container has an address in the stack, which is mapped as well */
static void test_gateway(void **state)
{
	sh("ip addr add 172.18.0.1/32 dev leg0 && ip addr add fd00:71::1/128 dev leg0 nodad");
	for (int real = 0; real < 2; real++) {
		load(real, true);
		sh("ping -c1 -W2 -I 172.18.0.1 241.2.0.9 >/dev/null && ping -c1 -W2 -I fd00:71::1 fd64:2::9 "
		   ">/dev/null");
		enter(ns_peer);
		sh("ping -c1 -W2 -I 241.2.0.9 241.1.0.1 >/dev/null && ping -c1 -W2 -I fd64:2::9 fd64:1::1 >/dev/null");
		enter(ns_ct);
		sh("ping -c1 -W2 172.18.0.1 >/dev/null && ping -c1 -W2 fd00:71::1 >/dev/null");
		sh("ping -c1 -W2 241.1.0.1 >/dev/null && ping -c1 -W2 fd64:1::1 >/dev/null");
		enter(ns_router);
	}
	sh("ip addr del 172.18.0.1/32 dev leg0 && ip addr del fd00:71::1/128 dev leg0");
}

/* A container may call one of its own stack by the mapped address, too: out by the leg and in again */
static void test_own_mapped_address(void **state)
{
	enter(ns_ct);
	sh("ip addr add 172.18.0.3/32 dev eth0 && ip addr add fd00:71::3/128 dev eth0 nodad");
	enter(ns_router);
	for (int form = 0; form < 4; form++) {
		load(form & 1, form & 2);
		/* one namespace plays both: what goes out has one address, what comes back in is for the other */
		int a = sock(ns_ct, SOCK_DGRAM, "172.18.0.2", 7004), b = sock(ns_ct, SOCK_DGRAM, "172.18.0.3", 7005);
		char text[16];
		assert_int_equal(connect_to(a, "241.1.0.3", 7005), 0);
		assert_int_equal(connect_to(b, "241.1.0.2", 7004), 0);
		assert_int_equal(send(a, "there", 5, 0), 5);
		assert_int_equal(recv(b, text, sizeof(text), 0), 5);
		assert_int_equal(send(b, "back", 4, 0), 4);
		assert_int_equal(recv(a, text, sizeof(text), 0), 4);
		close(a);
		close(b);
	}
	enter(ns_ct);
	sh("ip addr del 172.18.0.3/32 dev eth0 && ip addr del fd00:71::3/128 dev eth0");
	enter(ns_router);
}

/* A transaction that fails leaves nothing behind, and says why */
static void test_transaction_fails(void **state)
{
	struct nft_table t;
	struct net before = {.id.kind = NET_VNI}, after = {.id.kind = NET_VNI};
	struct nl *nl;
	struct err err = {0};
	uint32_t gen;

	load(true, false);
	table_make(&t, true, false);
	assert_int_equal(nl_open(NETLINK_NETFILTER, &nl, &err), 0);
	assert_int_equal(dump_nft(nl, &before, &gen, &err), 0);
	/* the last rule into a chain that is not there */
	char *last = NULL;
	for (size_t at = 0; at < t.raw.len; at += NLMSG_ALIGN(((struct nlmsghdr *)(t.raw.data + at))->nlmsg_len))
		last = t.raw.data + at;
	char *name = memmem(last, 256, "errors6-to", 10);
	assert_non_null(name);
	name[0] = 'x';
	assert_int_equal(nl_transaction(nl, t.raw.data, t.raw.len, &err), -ENOENT);
	assert_true(err.text[0]);
	assert_int_equal(dump_nft(nl, &after, &gen, &err), 0);
	assert_int_equal(after.nft.n_rules, before.nft.n_rules);
	/* the socket is as good as new */
	name[0] = 'e';
	assert_int_equal(nl_transaction(nl, t.raw.data, t.raw.len, &err), 0);
	table_done(&before.nft);
	table_done(&after.nft);
	assert_int_equal(dump_nft(nl, &after, &gen, &err), 0);
	assert_int_equal(after.nft.n_rules, t.n_rules + 4);
	table_done(&after.nft);
	table_done(&t);
	nl_free(nl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_random, start),
		cmocka_unit_test_setup(test_sockets, start),
		cmocka_unit_test_setup(test_errors, start),
		cmocka_unit_test_setup(test_gateway, start),
		cmocka_unit_test_setup(test_own_mapped_address, start),
		cmocka_unit_test_setup(test_transaction_fails, start),
	};
	if (!kernel_fresh())
		return kernel_skip("needs root");
	if (system("nft list tables >/dev/null 2>&1") != 0)
		return kernel_skip("needs nft");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
