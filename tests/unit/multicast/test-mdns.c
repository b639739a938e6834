/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries and answers of multicast DNS on their way; what is blanked, filtered and refused.
 */
#include "relay.h"

#include "multicast/asker.h"
#include "multicast/mdns.h"
#include "multicast/mdns_packet.h"

#define GROUP	 "224.0.0.251:5353"
#define RESPONSE 0x8400
#define PTR	 12
#define SRV	 33
#define QU	 0x8001

struct dns {
	uint8_t b[MDNS_BYTES + 8];
	size_t len;
};

static void put16(struct dns *d, size_t v)
{
	d->b[d->len++] = (uint8_t)(v >> 8);
	d->b[d->len++] = (uint8_t)v;
}

static struct dns dns(unsigned id, unsigned flags, unsigned questions, unsigned answers, unsigned additional)
{
	struct dns d = {.len = 0};

	put16(&d, id);
	put16(&d, flags);
	put16(&d, questions);
	put16(&d, answers);
	put16(&d, 0);
	put16(&d, additional);
	return d;
}

static size_t name(struct dns *d, const char *text)
{
	size_t begin = d->len;

	while (*text) {
		size_t n = strcspn(text, ".");

		d->b[d->len++] = (uint8_t)n;
		memcpy(d->b + d->len, text, n);
		d->len += n;
		text += n + (text[n] == '.');
	}
	d->b[d->len++] = 0;
	return begin;
}

static void question(struct dns *d, const char *text, unsigned type, unsigned class)
{
	name(d, text);
	put16(d, type);
	put16(d, class);
}

static void record(struct dns *d, const char *text, unsigned type, const void *data, size_t len)
{
	name(d, text);
	put16(d, type);
	put16(d, 0x8001);
	put16(d, 0);
	put16(d, 120);
	put16(d, len);
	memcpy(d->b + d->len, data, len);
	d->len += len;
}

static void ptr_record(struct dns *d, const char *text, const char *to)
{
	struct dns target = {.len = 0};

	name(&target, to);
	record(d, text, PTR, target.b, target.len);
}

struct world {
	struct mdns *m;
	struct mc_actions a;
};

static void world_init(struct world *w)
{
	struct prefix subnet;

	*w = (struct world){.m = mdns_new(1)};
	for (uint32_t id = LAN; id <= LAN2; id++) {
		struct mc_leg l = leg_of(id, MC_MDNS, &subnet);

		mdns_leg_set(w->m, (mono_t){0}, &l, &w->a);
	}
}

static void world_done(struct world *w)
{
	mc_actions_done(&w->a);
	mdns_free(w->m);
}

static void say_to(struct world *w, int64_t now, uint32_t leg, uint32_t port, const char *src, const struct dns *d)
{
	uint8_t *copy = xmemdup(d->b, d->len);
	struct mc_packet p = packet(leg, src, port ? "172.30.2.1:40000" : GROUP, copy, d->len);

	p.port = port;
	mc_actions_clear(&w->a);
	mdns_input(w->m, (mono_t){now}, &p, &w->a);
	free(copy);
}

static void say(struct world *w, int64_t now, uint32_t leg, const char *src, const struct dns *d)
{
	say_to(w, now, leg, 0, src, d);
}

static void test_query(void **state)
{
	struct world w;
	struct dns q = dns(0, 0, 1, 1, 0);
	const struct mc_action *a;

	question(&q, "_ipp._tcp.local", PTR, 1);
	ptr_record(&q, "_ipp._tcp.local", "printer._ipp._tcp.local"); /* a known answer */
	world_init(&w);
	say(&w, S, LAN, "192.0.2.9:5353", &q);
	assert_int_equal(sent_count(&w.a), 2);
	a = sent_on(&w.a, SHOP);
	assert_int_equal(a->ttl, 255);
	assert_int_equal(a->src_port, 5353);
	assert_int_equal(a->port, 0);
	assert_int_equal(a->len, q.len);
	assert_memory_equal(a->data, q.b, q.len);
	/* the same by others at once is one */
	say(&w, S + 100 * MS, LAN, "192.0.2.10:5353", &q);
	assert_int_equal(sent_count(&w.a), 0);
	/* as another router says it on the other side */
	say(&w, S + 100 * MS, SHOP, "172.30.2.66:5353", &q);
	assert_int_equal(sent_count(&w.a), 0);
	say(&w, 3 * S + 200 * MS, LAN, "192.0.2.9:5353", &q);
	assert_int_equal(sent_count(&w.a), 2);
	world_done(&w);
}

static void test_unicast_question(void **state)
{
	struct world w;
	struct dns q = dns(0, 0, 1, 0, 0);
	const struct mc_action *a;

	question(&q, "nas.local", MDNS_A, QU);
	world_init(&w);
	say(&w, S, LAN, "192.0.2.9:5353", &q);
	a = sent_on(&w.a, SHOP);
	assert_int_equal((uint8_t)a->data[q.len - 2], 0); /* asks all */
	assert_int_equal(a->len, q.len);
	world_done(&w);
}

static void test_legacy(void **state)
{
	struct world w;
	struct dns q = dns(0x1234, 0, 1, 0, 0), r = dns(0x1234, RESPONSE, 1, 1, 0),
		   late = dns(0x4321, RESPONSE, 0, 1, 0);
	static const uint8_t ip[4] = {172, 30, 2, 9};
	const struct mc_action *a;
	uint32_t port;

	question(&q, "nas.local", MDNS_A, 1);
	question(&r, "nas.local", MDNS_A, 1);
	record(&r, "nas.local", MDNS_A, ip, 4);
	record(&late, "nas.local", MDNS_A, ip, 4);
	world_init(&w);
	say(&w, S, LAN, "192.0.2.9:40123", &q);
	a = sent_on(&w.a, SHOP);
	port = a->port;
	assert_int_not_equal(port, 0);
	say_to(&w, S, SHOP, port, "172.30.2.9:5353", &r);
	a = sent_on(&w.a, LAN);
	assert_non_null(a);
	assert_int_equal(a->dst.port, 40123);
	assert_memory_equal(a->data, r.b, r.len);
	say_to(&w, S, SHOP, port, "172.30.2.9:5353", &late);
	assert_string_equal(dropped(&w.a), "answer that nobody waits for");
	say_to(&w, S, SHOP, port, "172.30.2.9:5354", &r);
	assert_string_equal(dropped(&w.a), "answer from another port than 5353");
	mc_actions_clear(&w.a);
	mdns_timer(w.m, (mono_t){mdns_due(w.m)}, &w.a);
	assert_int_equal(w.a.n, 2);
	assert_int_equal(w.a.v[0].kind, MC_CLOSE);
	world_done(&w);
}

static void test_blank(void **state)
{
	struct world w;
	struct dns r = dns(0, RESPONSE, 0, 2, 1), only = dns(0, RESPONSE, 0, 1, 0);
	static const uint8_t good[4] = {172, 30, 2, 9}, hidden[4] = {172, 17, 0, 1};
	struct ip ip6 = ip_of("fe80::9");
	struct prefix hide;
	const struct mc_action *a;
	struct mdns_walk walk;
	struct mdns_item item;
	size_t blanked = 0, addresses = 0;

	record(&r, "nas.local", MDNS_A, good, 4);
	record(&r, "nas.local", MDNS_A, hidden, 4);
	record(&r, "nas.local", MDNS_AAAA, ip6.b, 16);
	record(&only, "nas.local", MDNS_AAAA, ip6.b, 16);
	world_init(&w);
	assert_int_equal(prefix_parse("172.17.0.0/16", &hide), 0);
	mdns_hide(w.m, &hide, 1);
	say(&w, S, SHOP, "172.30.2.9:5353", &r);
	a = sent_on(&w.a, LAN);
	assert_int_equal(a->len, r.len);
	assert_int_equal(mdns_walk_begin(&walk, (const uint8_t *)a->data, a->len), 0);
	while (mdns_walk_next(&walk, &item) == 1) {
		blanked += item.type == MDNS_BLANK && item.class == 1;
		addresses += item.type == MDNS_A;
	}
	assert_int_equal(blanked, 2);
	assert_int_equal(addresses, 1);
	assert_int_equal(mdns_counts(w.m)[MDNS_COUNT_BLANKED], 2);
	say(&w, S, SHOP, "172.30.2.9:5353", &only);
	assert_int_equal(sent_count(&w.a), 0);
	world_done(&w);
}

static void test_types(void **state)
{
	static const struct {
		const char *name;
		bool pass;
	} cases[] = {
		{"_ipp._tcp.local", true},
		{"My Printer._ipp._tcp.local", true},
		{"_printer._sub._ipp._tcp.local", true},
		{"_googlecast._tcp.local", true},
		{"_http._tcp.local", false},
		{"_ipp._udp.local", false},
		{"nas.local", true},
		{"_services._dns-sd._udp.local", true},
	};
	struct prefix subnet;
	struct mc_leg shop = leg_of(SHOP, MC_MDNS, &subnet);
	struct world w;
	struct dns r = dns(0, RESPONSE, 0, 1, 0), meta = dns(0, RESPONSE, 0, 1, 0);

	world_init(&w);
	str_copy(shop.types[0], "_ipp._tcp");
	str_copy(shop.types[1], "_googlecast._tcp");
	shop.n_types = 2;
	mdns_leg_set(w.m, (mono_t){0}, &shop, &w.a);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct dns q = dns(0, 0, 1, 0, 0);

		question(&q, cases[i].name, PTR, 1);
		say(&w, S * (1 + (int64_t)i), LAN, "192.0.2.9:5353", &q);
		/* the other network has no such bound */
		if (!sent_on(&w.a, MEDIA) || !sent_on(&w.a, SHOP) == cases[i].pass)
			fail_msg("%s: %s", cases[i].name, dropped(&w.a));
	}
	/* an answer to the question which types there are speaks of a type */
	ptr_record(&meta, "_services._dns-sd._udp.local", "_http._tcp.local");
	say(&w, 60 * S, LAN, "192.0.2.9:5353", &meta);
	assert_true(sent_on(&w.a, MEDIA) && !sent_on(&w.a, SHOP));
	say(&w, 63 * S, SHOP, "172.30.2.9:5353", &meta);
	assert_string_equal(dropped(&w.a), "another type of service");
	ptr_record(&r, "_services._dns-sd._udp.local", "_ipp._tcp.local");
	say(&w, 60 * S, LAN, "192.0.2.9:5353", &r);
	assert_int_equal(sent_count(&w.a), 2);
	world_done(&w);
}

static void test_refused(void **state)
{
	struct world w;
	struct dns r = dns(0, RESPONSE, 0, 1, 0), q = dns(0, 0, 1, 0, 0);
	static const uint8_t ip[4] = {172, 30, 2, 9};

	record(&r, "nas.local", MDNS_A, ip, 4);
	question(&q, "nas.local", MDNS_A, 1);
	world_init(&w);
	say(&w, S, SHOP, "172.30.2.9:1234", &r);
	assert_string_equal(dropped(&w.a), "answer from another port than 5353");
	say(&w, S, SHOP, "192.0.2.9:5353", &r);
	assert_string_equal(dropped(&w.a), "the source is not of this link");
	struct mc_packet p = packet(LAN, "192.0.2.9:5353", "192.0.2.1:5353", q.b, q.len);
	mc_actions_clear(&w.a);
	mdns_input(w.m, (mono_t){S}, &p, &w.a);
	assert_string_equal(dropped(&w.a), "not to the group");
	/* cut anywhere */
	for (size_t len = 0; len < r.len; len++) {
		struct dns cut = r;

		cut.len = len;
		say(&w, S, SHOP, "172.30.2.9:5353", &cut);
		assert_string_equal(dropped(&w.a), "broken DNS");
	}
	/* from LAN to LAN: never */
	say(&w, S, LAN2, "198.51.100.9:5353", &q);
	assert_null(sent_on(&w.a, LAN));
	assert_int_equal(sent_count(&w.a), 2);
	world_done(&w);
}

static void test_names(void **state)
{
	struct mdns_walk walk;
	struct mdns_item item;
	struct dns d = dns(0, 0, 2, 0, 0);

	question(&d, "a.Local", MDNS_A, 1);
	d.b[d.len++] = 1;
	d.b[d.len++] = 'B';
	put16(&d, 0xc000 | (MDNS_HEADER + 2)); /* "local" */
	put16(&d, MDNS_A);
	put16(&d, 1);
	assert_int_equal(mdns_walk_begin(&walk, d.b, d.len), 0);
	assert_int_equal(mdns_walk_next(&walk, &item), 1);
	assert_string_equal(item.name, "a.local");
	assert_int_equal(mdns_walk_next(&walk, &item), 1);
	assert_string_equal(item.name, "b.local");
	assert_int_equal(mdns_walk_next(&walk, &item), 0);
	/* a pointer to itself, forwards, into the header */
	static const uint16_t pointers[] = {0xc00c, 0xc020, 0xc002};

	for (size_t i = 0; i < ARRAY_LEN(pointers); i++) {
		d = dns(0, 0, 1, 0, 0);
		put16(&d, pointers[i]);
		put16(&d, MDNS_A);
		put16(&d, 1);
		assert_int_equal(mdns_walk_begin(&walk, d.b, d.len), 0);
		assert_int_equal(mdns_walk_next(&walk, &item), -EBADMSG);
	}
	/* longer than a name may be */
	d = dns(0, 0, 1, 0, 0);
	for (int i = 0; i < 5; i++) {
		d.b[d.len++] = 63;
		memset(d.b + d.len, 'x', 63);
		d.len += 63;
	}
	d.b[d.len++] = 0;
	put16(&d, MDNS_A);
	put16(&d, 1);
	assert_int_equal(mdns_walk_begin(&walk, d.b, d.len), 0);
	assert_int_equal(mdns_walk_next(&walk, &item), -EBADMSG);
	/* more records than anybody has, none at all, and another opcode */
	d = dns(0, 0, 600, 0, 0);
	assert_int_equal(mdns_walk_begin(&walk, d.b, d.len), -EBADMSG);
	d = dns(0, 0, 0, 0, 0);
	assert_int_equal(mdns_walk_begin(&walk, d.b, d.len), -EBADMSG);
	d = dns(0, 0x2800, 1, 0, 0);
	assert_int_equal(mdns_walk_begin(&walk, d.b, d.len), -EBADMSG);
}

static void test_storm(void **state)
{
	struct world w;
	size_t sent = 0;

	world_init(&w);
	for (int i = 0; i < 10000; i++) { /* a thousand a second, all different, of one host */
		struct dns q = dns(0, 0, 1, 0, 0);
		char text[64];

		snprintf(text, sizeof(text), "x%d.local", i);
		question(&q, text, MDNS_A, 1);
		say(&w, S + i * MS, LAN, "192.0.2.9:5353", &q);
		sent += sent_count(&w.a);
	}
	assert_true(sent <= 2 * (200 + 10 * 50 + 10));
	/* queries of other ports, each from another */
	for (int i = 0; i < 1000; i++) {
		struct dns q = dns((unsigned)i, 0, 1, 0, 0);
		char src[64];

		question(&q, "nas.local", MDNS_A, 1);
		snprintf(src, sizeof(src), "192.0.2.%d:%d", i % 200 + 2, 10000 + i);
		say(&w, 20 * S + i * MS, LAN, src, &q);
	}
	mc_actions_clear(&w.a);
	mdns_timer(w.m, (mono_t){60 * S}, &w.a);
	assert_true(mdns_due(w.m) == INT64_MAX);
	world_done(&w);
}

/* Somebody has just started: one sound question, there and nowhere else */
static void test_look(void **state)
{
	const struct mc_action *a;
	struct mdns_item item;
	struct mdns_walk walk;
	struct world w;

	world_init(&w);
	mdns_look(w.m, SHOP, &w.a);
	assert_int_equal(sent_count(&w.a), 2);
	a = sent_on(&w.a, SHOP);
	assert_int_equal(a->src_port, MDNS_PORT);
	assert_int_equal(mdns_walk_begin(&walk, (const uint8_t *)a->data, a->len), 0);
	assert_int_equal(mdns_walk_next(&walk, &item), 1);
	assert_string_equal(item.name, "_services._dns-sd._udp.local");
	assert_true(item.question && item.type == MDNS_PTR && item.class == 1);
	assert_int_equal(mdns_walk_next(&walk, &item), 0);
	mc_actions_clear(&w.a);
	mdns_look(w.m, 99, &w.a);
	assert_int_equal(w.a.n, 0);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),  cmocka_unit_test(test_unicast_question),
		cmocka_unit_test(test_legacy), cmocka_unit_test(test_blank),
		cmocka_unit_test(test_types),  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_names),  cmocka_unit_test(test_storm),
		cmocka_unit_test(test_look),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
