/* SPDX-License-Identifier: Apache-2.0
 *
 * Which records a name means, what may have been meant, and what is read out of ICMP.
 */
#include "test.h"

#include "cli/lookup.h"
#include "cli/ping.h"

#define ALL ((struct scope){0})

/* --- names --- */

static void add(struct records *r, uint32_t vni, const char *name, const char *stack, const char *host, char id,
		const char *address, const char *mapped)
{
	struct record *one = xgrow(&r->records, r->n_records, &r->cap_records);

	r->n_records++;
	str_copy(one->name, name);
	str_copy(one->stack_id, stack);
	str_copy(one->host_name, host);
	memset(one->host_id, id, HOST_ID_LEN);
	one->vni = vni;
	one->n_addresses = 1;
	one->addresses = xcalloc(1, sizeof(struct ip));
	assert_int_equal(ip_parse(address, one->addresses), 0);
	if (mapped) {
		one->n_mapped = 1;
		one->mapped = xcalloc(1, sizeof(struct ip));
		assert_int_equal(ip_parse(mapped, one->mapped), 0);
	}
}

static void records_make(struct records *r)
{
	*r = (struct records){0};
	str_copy(r->domain, "docker-router.internal");
	add(r, 1000, "", "shop", "pi", 'a', "172.18.0.2", "241.7.0.2");
	add(r, 1000, "web", "shop", "pi", 'a', "172.18.0.2", "241.7.0.2");
	add(r, 1000, "web", "shop", "nas.lan", 'b', "172.18.0.9", "241.9.0.9");
	add(r, 1000, "a.b", "c.d", "nas.lan", 'b', "172.19.0.2", NULL);
	add(r, 2000, "web", "shop", "den", 'c', "172.20.0.2", NULL);
}

static void expect_found(const char *question, struct scope scope, size_t n, bool below)
{
	struct records r;
	struct lookup l;

	records_make(&r);
	lookup_name(&r, question, scope, &l);
	if (l.n != n || (n && l.below_domain != below))
		fail_msg("%s: %zu records, below %d", question, l.n, l.below_domain);
	lookup_done(&l);
	records_done(&r);
}

static void test_names(void **state)
{
	static const uint32_t own[] = {2000};

	expect_found("web.shop", ALL, 3, false);
	expect_found("WEB.Shop.", ALL, 3, false);
	expect_found("web.shop.docker-router.internal", ALL, 3, true);
	expect_found("web.shop.DOCKER-router.internal.", ALL, 3, true);
	expect_found("web.shop", (struct scope){own, 1}, 1, false);
	expect_found("web.shop@pi", ALL, 1, false);
	expect_found("web.shop.pi", ALL, 1, false);
	expect_found("web.shop.nas.lan", ALL, 1, false);
	expect_found("web.shop@nas", ALL, 1, false); /* up to the first dot */
	expect_found("web.shop.nas.docker-router.internal", ALL, 1, true);
	expect_found("shop", ALL, 1, false);
	expect_found("shop@pi", ALL, 1, false);
	expect_found("a.b.c.d", ALL, 1, false);
	expect_found("web", ALL, 0, false);
	expect_found("web.shop@n", ALL, 0, false);
	expect_found("web.shopx", ALL, 0, false);
	expect_found("web.shop@", ALL, 0, false);
	expect_found("docker-router.internal", ALL, 0, false);
	expect_found(".", ALL, 0, false);
	expect_found("", ALL, 0, false);

	autofree char *flood = xmalloc(100001);
	memset(flood, 'w', 100000);
	flood[100000] = 0;
	expect_found(flood, ALL, 0, false);
}

static void test_addresses_and_parts(void **state)
{
	struct records r;
	struct lookup l;
	struct ip ip;

	records_make(&r);
	assert_int_equal(ip_parse("241.9.0.9", &ip), 0);
	lookup_address(&r, &ip, ALL, &l);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.v[0]->host_name, "nas.lan");
	assert_int_equal(ip_cmp(record_answer(l.v[0], 0), &ip), 0);
	lookup_done(&l);
	assert_int_equal(ip_parse("172.18.0.2", &ip), 0);
	lookup_address(&r, &ip, ALL, &l);
	assert_int_equal(l.n, 1); /* of the stack and its service, the service */
	assert_string_equal(l.v[0]->name, "web");
	lookup_done(&l);
	lookup_part(&r, "WEB", &l);
	assert_int_equal(l.n, 3);
	lookup_done(&l);
	lookup_part(&r, "", &l); /* not the stacks themselves */
	assert_int_equal(l.n, 0);
	lookup_done(&l);
	records_done(&r);
}

/* A container of shop on pi asks; its stack may be mapped */
static void expect_seen(const struct record *r, bool asker_mapped, const char *subnet, bool announced, bool refused,
			enum seen want)
{
	struct discovery d = {0};
	struct asker a = {.n_stacks = 1, .stacks = {{"shop", 1000, asker_mapped}}, .n_subnets = 1};
	struct prefix there;
	struct peer peer = {.vni = r->vni, .subnets = &there, .n_subnets = announced};
	struct rs_refused no = {.vni = r->vni, .prefix = {r->addresses[0], 24}};
	struct router_state router = {.refused = &no, .n_refused = refused};

	memset(d.self.host_id, 'a', HOST_ID_LEN);
	assert_int_equal(prefix_parse(subnet, &a.subnets[0]), 0);
	there = (struct prefix){r->addresses[0], 16};
	str_copy(peer.host_id, r->host_id);
	str_copy(peer.stack_id, r->stack_id);
	str_copy(no.host_id, r->host_id);
	str_copy(no.stack_id, r->stack_id);
	d.peers = &peer;
	d.n_peers = 1;
	assert_int_equal(record_seen(r, 0, &a, &d, &router), want);
}

static void test_seen(void **state)
{
	struct records r;
	const struct record *own, *twin, *plain;

	records_make(&r);
	own = &r.records[1];
	twin = &r.records[2]; /* of the same name, elsewhere */
	plain = &r.records[3];
	expect_seen(own, true, "172.18.0.0/16", true, false, SEEN_TRUE);
	expect_seen(own, false, "172.18.0.0/16", true, true, SEEN_TRUE);
	expect_seen(twin, true, "172.18.0.0/16", true, false, SEEN_MAPPED);
	expect_seen(twin, true, "172.18.0.0/16", true, true, SEEN_MAPPED); /* the mapped one is not refused */
	expect_seen(twin, false, "172.18.0.0/16", true, false, SEEN_NOT);
	expect_seen(twin, false, "10.0.0.0/24", true, false, SEEN_TRUE);
	expect_seen(twin, false, "10.0.0.0/24", false, false, SEEN_MAPPED); /* MAPPING=always there */
	expect_seen(plain, true, "172.18.0.0/16", true, false, SEEN_TRUE);
	expect_seen(plain, true, "172.18.0.0/16", true, true, SEEN_NOT);
	records_done(&r);
}

static void add_container(struct inv_stack *s, const char *id, const char *service, enum health health,
			  const char *address)
{
	struct inv_container *c = xgrow(&s->containers, s->n_containers, &s->cap_containers);
	struct inv_interface *f = xgrow(&c->interfaces, c->n_interfaces, &c->cap_interfaces);

	s->n_containers++;
	c->n_interfaces++;
	c->health = health;
	str_copy(c->id, id);
	str_copy(c->service, service);
	snprintf(c->name, sizeof(c->name), "shop_%s_1", service);
	str_copy(f->network_id, "n1");
	f->n_addresses = 1;
	assert_int_equal(ip_parse(address, f->addresses), 0);
}

static void test_left_to_others(void **state)
{
	struct inventory inv = {0};
	struct inv_stack *s = inventory_stack(&inv, "shop", 1000);
	const struct inv_container *v[4];
	static const uint32_t other[] = {2000};
	autobuf struct buf ips = {0};

	add_container(s, "c1", "web", HEALTH_NONE, "172.18.0.2");
	add_container(s, "c2", "sick", HEALTH_UNHEALTHY, "172.18.0.3");
	assert_int_equal(lookup_unhealthy(&inv, "internal", "pi", "sick.shop", ALL, v, 4), 1);
	assert_string_equal(v[0]->id, "c2");
	assert_int_equal(lookup_unhealthy(&inv, "internal", "pi", "SHOP_sick_1.shop.pi.internal", ALL, v, 4), 1);
	assert_int_equal(lookup_unhealthy(&inv, "internal", "pi", "sick.shop", (struct scope){other, 1}, v, 4), 0);
	assert_int_equal(lookup_unhealthy(&inv, "internal", "pi", "web.shop", ALL, v, 4), 0);
	assert_int_equal(lookup_unhealthy(&inv, "internal", "pi", "sick", ALL, v, 4), 0);
	assert_true(lookup_docker(&inv, "c2", "Web", &ips));
	assert_string_equal(ips.data, "172.18.0.2");
	assert_false(lookup_docker(&inv, "c2", "web.shop", &ips));
	assert_false(lookup_docker(&inv, "c9", "web", &ips));
	inventory_done(&inv);
}

static void test_nearest(void **state)
{
	struct records r;
	char near[NEAREST_MAX][RECORD_NAME_BYTES];

	records_make(&r);
	assert_int_equal(lookup_nearest(&r, "wbe.shop", ALL, near), 2);
	assert_string_equal(near[0], "web.shop");
	assert_string_equal(near[1], "shop");
	assert_true(lookup_nearest(&r, "web.blog", ALL, near) >= 1);
	assert_string_equal(near[0], "web.shop");
	assert_int_equal(lookup_nearest(&r, "zzz", ALL, near), 0);
	assert_int_equal(lookup_nearest(&r, "", ALL, near), 0);
	records_done(&r);
}

/* --- ICMP --- */

static uint8_t packet[PING_BYTES_MAX], wire[PING_BYTES_MAX];

static struct ip ip_of(const char *s)
{
	struct ip ip;

	assert_int_equal(ip_parse(s, &ip), 0);
	return ip;
}

/* As an IPv4 raw socket gives it; @options: words behind the header */
static size_t behind_header(const uint8_t *icmp, size_t len, unsigned options)
{
	size_t header = 20 + options * 4;

	memset(wire, 0, header);
	wire[0] = (uint8_t)(0x40 | header / 4);
	memcpy(wire + header, icmp, len);
	return header + len;
}

static void test_replies(void **state)
{
	struct ip to = ip_of("241.9.0.9");
	size_t n = ping_make(AF_INET, 0x1234, 7, 56, packet);

	assert_int_equal(n, 64);
	packet[0] = 0; /* an echo reply; the checksum changes with it by 8 << 8 */
	uint32_t sum = (uint32_t)(packet[2] << 8 | packet[3]) + 0x0800;
	sum = (sum & 0xffff) + (sum >> 16);
	packet[2] = (uint8_t)(sum >> 8);
	packet[3] = (uint8_t)sum;
	for (unsigned options = 0; options <= 10; options++) {
		struct ping_answer a = ping_parse(&to, 0x1234, wire, behind_header(packet, n, options));
		assert_int_equal(a.kind, PING_REPLY);
		assert_int_equal(a.seq, 7);
		assert_false(a.damaged);
	}
	assert_int_equal(ping_parse(&to, 0x1235, wire, behind_header(packet, n, 0)).kind, PING_NOTHING);
	packet[20] ^= 1;
	assert_true(ping_parse(&to, 0x1234, wire, behind_header(packet, n, 0)).damaged);

	/* IPv6: without a header, and the checksum is the kernel's */
	struct ip to6 = ip_of("fd64::1");
	n = ping_make(AF_INET6, 0x1234, 9, 3, packet);
	packet[0] = 129;
	struct ping_answer a = ping_parse(&to6, 0x1234, packet, n);
	assert_int_equal(a.kind, PING_REPLY);
	assert_int_equal(a.seq, 9);
	assert_false(a.damaged);
	packet[10] ^= 1;
	assert_true(ping_parse(&to6, 0x1234, packet, n).damaged);
}

static void test_errors(void **state)
{
	struct ip to = ip_of("241.9.0.9"), to6 = ip_of("fd64::1");
	uint8_t icmp[128] = {3, 4,    0,    0,	 0,
			     0, 0x05, 0xaa, 0x46}; /* fragmentation needed, 1450; inside with an option */

	icmp[8 + 9] = IPPROTO_ICMP;
	memcpy(icmp + 8 + 16, to.b, 4);
	ping_make(AF_INET, 0x1234, 300, 0, icmp + 8 + 24);
	size_t n = 8 + 24 + 8;
	struct ping_answer a = ping_parse(&to, 0x1234, wire, behind_header(icmp, n, 0));
	assert_int_equal(a.kind, PING_TOO_BIG);
	assert_int_equal(a.seq, 300);
	assert_int_equal(a.mtu, 1450);
	assert_false(a.elsewhere);
	icmp[8 + 16] ^= 1; /* about the address that the container itself has: nobody turned it back */
	assert_true(ping_parse(&to, 0x1234, wire, behind_header(icmp, n, 0)).elsewhere);
	icmp[0] = 11;
	assert_int_equal(ping_parse(&to, 0x1234, wire, behind_header(icmp, n, 0)).kind, PING_EXPIRED);
	icmp[0] = 3;
	icmp[1] = 1;
	assert_int_equal(ping_parse(&to, 0x1234, wire, behind_header(icmp, n, 0)).kind, PING_UNREACHABLE);
	assert_int_equal(ping_parse(&to, 0x4321, wire, behind_header(icmp, n, 0)).kind, PING_NOTHING);
	/* whatever is cut off: nothing, and no byte behind the end is read (valgrind, ASan) */
	for (size_t len = 0; len < 20 + n; len++) {
		behind_header(icmp, n, 0);
		autofree uint8_t *exact = xmemdup(wire, len ? len : 1);
		assert_int_equal(ping_parse(&to, 0x1234, exact, len).kind, PING_NOTHING);
	}

	uint8_t icmp6[64 + 8] = {2, 0, 0, 0, 0, 0, 0x05, 0x00, 0x60};
	icmp6[8 + 6] = IPPROTO_ICMPV6;
	memcpy(icmp6 + 8 + 24, to6.b, 16);
	ping_make(AF_INET6, 0x1234, 5, 0, icmp6 + 8 + 40);
	a = ping_parse(&to6, 0x1234, icmp6, 8 + 40 + 8);
	assert_int_equal(a.kind, PING_TOO_BIG);
	assert_int_equal(a.mtu, 1280);
	assert_int_equal(a.seq, 5);
	assert_false(a.elsewhere);
	assert_int_equal(ping_parse(&to6, 0x1234, icmp6, 8 + 40 + 7).kind, PING_NOTHING);
}

static void test_noise(void **state)
{
	struct ip to[] = {ip_of("241.9.0.9"), ip_of("fd64::1")};
	uint64_t x = 1;

	for (int turn = 0; turn < 200000; turn++) {
		uint8_t data[96];
		size_t len = (x = hash64(&x, sizeof(x), 3)) % sizeof(data);
		for (size_t i = 0; i < len; i += 8) {
			x = hash64(&x, sizeof(x), 5);
			memcpy(data + i, &x, len - i < 8 ? len - i : 8);
		}
		if (len > 21 && turn & 1) { /* far enough to be looked into */
			data[0] = 0x45;
			data[20] = (uint8_t)(turn & 2 ? 3 : 11);
		}
		autofree uint8_t *exact = xmemdup(data, len ? len : 1);
		(void)ping_parse(&to[turn % 3 == 0], 0x1234, exact, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	cmocka_unit_test(test_addresses_and_parts),
		cmocka_unit_test(test_nearest), cmocka_unit_test(test_replies),
		cmocka_unit_test(test_errors),	cmocka_unit_test(test_noise),
		cmocka_unit_test(test_seen),	cmocka_unit_test(test_left_to_others),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
