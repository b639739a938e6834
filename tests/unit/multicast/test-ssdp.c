/* SPDX-License-Identifier: Apache-2.0
 *
 * Searches, answers and announcements on their way; and what is refused: storms, loops, headers that hide others.
 */
#include "relay.h"

#include "multicast/asker.h"
#include "multicast/guard.h"
#include "multicast/ssdp.h"
#include "multicast/ssdp_message.h"

#define GROUP "239.255.255.250:1900"
#define SEARCH \
	"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\nST: ssdp:all\r\n\r\n"
#define NOTIFY                                                                                        \
	"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nCACHE-CONTROL: max-age=60\r\n"            \
	"LOCATION: http://172.30.2.9:8200/rootDesc.xml\r\nNTS: ssdp:alive\r\nNT: upnp:rootdevice\r\n" \
	"USN: uuid:4d696e69-444c::upnp:rootdevice\r\n\r\n"
#define BYEBYE                                                                                           \
	"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNTS: ssdp:byebye\r\nNT: upnp:rootdevice\r\n" \
	"USN: uuid:4d696e69-444c::upnp:rootdevice\r\n\r\n"
#define ANSWER                                                                                                         \
	"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=60\r\nST: ssdp:all\r\nUSN: uuid:4d696e69-444c::upnp:rootdevice\r\n" \
	"EXT:\r\nLOCATION: http://172.30.2.9:8200/rootDesc.xml\r\n\r\n"

/* fe80::9 is 2001:db8:30::9 */
static bool same(void *arg, uint32_t leg, const struct ip *a, const struct ip *b)
{
	struct ip narrow = ip_of("fe80::9"), wide = ip_of("2001:db8:30::9");

	return leg == SHOP &&
	       ((!ip_cmp(a, &narrow) && !ip_cmp(b, &wide)) || (!ip_cmp(a, &wide) && !ip_cmp(b, &narrow)));
}

struct world {
	struct ssdp *s;
	struct mc_actions a;
	bool mapping;
};

static bool map(void *arg, uint32_t from, const struct endpoint *inside, uint32_t to, struct endpoint *ret_outside)
{
	const struct world *w = arg;

	if (!w->mapping || from != SHOP || inside->port != 8200)
		return false;
	*ret_outside = at(to == LAN ? "192.0.2.1:48200" : "172.30.3.1:48200");
	return true;
}

static void world_init(struct world *w, uint64_t random)
{
	struct ssdp_config c = {.map = map, .same = same, .arg = w};
	struct prefix subnet;

	*w = (struct world){0};
	w->s = ssdp_new(&c, random);
	for (uint32_t id = LAN; id <= LAN2; id++) {
		struct mc_leg l = leg_of(id, MC_SSDP, &subnet);

		ssdp_leg_set(w->s, (mono_t){0}, &l, &w->a);
	}
	assert_int_equal(w->a.n, 0);
}

static void world_done(struct world *w)
{
	mc_actions_done(&w->a);
	ssdp_free(w->s);
}

static void say(struct world *w, int64_t now, uint32_t leg, const char *src, const char *text)
{
	/* a block of its exact size, so that reading behind it is seen */
	uint8_t *copy = xmemdup(text, strlen(text));
	struct mc_packet p = packet(leg, src, GROUP, copy, strlen(text));

	mc_actions_clear(&w->a);
	ssdp_input(w->s, (mono_t){now}, &p, &w->a);
	free(copy);
}

static void answer(struct world *w, int64_t now, uint32_t leg, uint32_t port, const char *src, const char *text)
{
	struct mc_packet p = packet(leg, src, "172.30.2.1:40000", text, strlen(text));

	p.port = port;
	mc_actions_clear(&w->a);
	ssdp_input(w->s, (mono_t){now}, &p, &w->a);
}

static bool has(const struct mc_action *a, const char *text)
{
	return a && memmem(a->data, a->len, text, strlen(text));
}

static void test_search(void **state)
{
	struct world w;
	const struct mc_action *shop, *back;
	uint32_t port, media;

	world_init(&w, 1);
	say(&w, S, LAN, "192.0.2.9:50000", SEARCH);
	assert_int_equal(sent_count(&w.a), 2); /* not to the other LAN, nor back */
	shop = sent_on(&w.a, SHOP);
	assert_non_null(shop);
	assert_int_equal(shop->dst.port, 1900);
	assert_int_equal(shop->ttl, SSDP_TTL);
	assert_true(has(shop, "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"));
	assert_true(has(shop, "MX: 2\r\n"));
	port = shop->port;
	media = sent_on(&w.a, MEDIA)->port;
	assert_true(port && media && port != media);
	/* said again: from the same sockets; by another: from others */
	say(&w, S + 100 * MS, LAN, "192.0.2.9:50000", SEARCH);
	assert_int_equal(sent_on(&w.a, SHOP)->port, port);
	say(&w, S + 200 * MS, LAN, "192.0.2.10:50000", SEARCH);
	assert_int_not_equal(sent_on(&w.a, SHOP)->port, port);

	answer(&w, 2 * S, SHOP, port, "172.30.2.9:1900", ANSWER);
	assert_int_equal(sent_count(&w.a), 1);
	back = sent_on(&w.a, LAN);
	assert_int_equal(back->port, 0);
	assert_int_equal(back->src_port, SSDP_PORT);
	assert_int_equal(back->dst.port, 50000);
	assert_int_equal(back->dst.ip.b[3], 9);
	assert_true(has(back, "LOCATION: http://172.30.2.9:8200/rootDesc.xml\r\n"));

	/* MX and two seconds later it is over */
	assert_int_equal(ssdp_due(w.s), 5 * S + 100 * MS);
	mc_actions_clear(&w.a);
	ssdp_timer(w.s, (mono_t){5 * S + 100 * MS}, &w.a);
	assert_int_equal(w.a.n, 2);
	assert_int_equal(w.a.v[0].kind, MC_CLOSE);
	answer(&w, 5 * S + 150 * MS, SHOP, port, "172.30.2.9:1900", ANSWER);
	assert_string_equal(dropped(&w.a), "answer that nobody waits for");
	world_done(&w);
}

static void test_location(void **state)
{
	struct world w;
	uint32_t port;

	world_init(&w, 1);
	w.mapping = true;
	say(&w, S, LAN, "192.0.2.9:50000", SEARCH);
	port = sent_on(&w.a, SHOP)->port;
	answer(&w, S, SHOP, port, "172.30.2.9:1900", ANSWER);
	assert_true(has(sent_on(&w.a, LAN), "LOCATION: http://192.0.2.1:48200/rootDesc.xml\r\n"));
	/* who announces another's address gets no way to it */
	answer(&w, S, SHOP, port, "172.30.2.77:1900", ANSWER);
	assert_true(has(sent_on(&w.a, LAN), "LOCATION: http://172.30.2.9:8200/rootDesc.xml\r\n"));
	/* each leg has its own */
	say(&w, S, SHOP, "172.30.2.9:1900", NOTIFY);
	assert_true(has(sent_on(&w.a, LAN), "http://192.0.2.1:48200/"));
	assert_true(has(sent_on(&w.a, MEDIA), "http://172.30.3.1:48200/"));
	assert_true(has(sent_on(&w.a, LAN2), "http://172.30.3.1:48200/"));
	/* what only its link reaches is not told */
	say(&w, 2 * S, SHOP, "172.30.2.9:1900",
	    "NOTIFY * HTTP/1.1\r\nNTS: ssdp:alive\r\nUSN: uuid:x\r\nLOCATION: http://[fe80::5]:80/d.xml\r\n\r\n");
	assert_int_equal(sent_count(&w.a), 0);
	assert_string_equal(dropped(&w.a), "LOCATION is reached on its own link only");
	say(&w, 2 * S, SHOP, "172.30.2.9:1900",
	    "NOTIFY * HTTP/1.1\r\nNTS: ssdp:alive\r\nUSN: uuid:y\r\nLOCATION: http://127.0.0.1/d.xml\r\n\r\n");
	assert_int_equal(sent_count(&w.a), 0);
	world_done(&w);
}

static void count_device(void *arg, const struct ssdp_device *d)
{
	assert_string_equal(d->usn, "uuid:4d696e69-444c");
	assert_string_equal(d->location, "http://172.30.2.9:8200/rootDesc.xml");
	assert_int_equal(d->leg, SHOP);
	++*(size_t *)arg;
}

static void test_notify(void **state)
{
	struct world w;
	size_t n = 0;

	world_init(&w, 1);
	say(&w, S, SHOP, "172.30.2.9:1900", NOTIFY);
	assert_int_equal(sent_count(&w.a), 3);
	assert_int_equal(sent_on(&w.a, LAN)->src_port, SSDP_PORT);
	assert_int_equal(sent_on(&w.a, LAN)->port, 0);
	ssdp_devices(w.s, (mono_t){2 * S}, count_device, &n);
	assert_int_equal(n, 1);
	ssdp_devices(w.s, (mono_t){62 * S}, count_device, &n); /* its max-age is over */
	assert_int_equal(n, 1);
	say(&w, 3 * S, SHOP, "172.30.2.9:1900", BYEBYE);
	assert_int_equal(sent_count(&w.a), 3);
	ssdp_devices(w.s, (mono_t){3 * S}, count_device, &n);
	assert_int_equal(n, 1);
	world_done(&w);
}

static void test_own_come_back(void **state)
{
	struct world w, other;
	autofree char *copy = NULL, *theirs = NULL;

	world_init(&w, 1);
	world_init(&other, 2);
	say(&w, S, LAN, "192.0.2.9:50000", SEARCH);
	copy = xstrndup(sent_on(&w.a, SHOP)->data, sent_on(&w.a, SHOP)->len);
	say(&w, 60 * S, SHOP, "172.30.2.99:1900", copy);
	assert_int_equal(sent_count(&w.a), 0);
	assert_string_equal(dropped(&w.a), "it came back to us");
	/* another router of ours forwards it once, and we know its copy */
	say(&other, S, SHOP, "172.30.2.99:1900", copy);
	assert_true(sent_count(&other.a) > 0);
	theirs = xstrndup(sent_on(&other.a, LAN)->data, sent_on(&other.a, LAN)->len);
	say(&w, 100 * S, LAN, "192.0.2.77:1900", theirs);
	assert_int_equal(sent_count(&w.a), 0);
	world_done(&w);
	world_done(&other);
}

/* Two routers with the same two links, and each hears all that the other says, for as long as there is something */
static void test_two_routers(void **state)
{
	struct world r[2];
	struct flight {
		uint32_t leg;
		int by;
		char *text;
	} queue[512];
	size_t first = 0, last = 0, total = 0;

	world_init(&r[0], 1);
	world_init(&r[1], 2);
	queue[last++] = (struct flight){LAN, -1, xstrdup(SEARCH)};
	queue[last++] = (struct flight){SHOP, -1, xstrdup(NOTIFY)};
	while (first < last) {
		struct flight f = queue[first++];

		for (int i = 0; i < 2; i++) {
			char src[32];

			if (i == f.by)
				continue;
			if (f.by < 0)
				snprintf(src, sizeof(src), f.leg == LAN ? "192.0.2.9:50000" : "172.30.2.9:1900");
			else
				snprintf(src, sizeof(src),
					 f.leg == LAN	 ? "192.0.2.%d:1900"
					 : f.leg == LAN2 ? "198.51.100.%d:1900"
					 : f.leg == SHOP ? "172.30.2.%d:1900"
							 : "172.30.3.%d:1900",
					 101 + f.by);
			say(&r[i], S + (int64_t)first * MS, f.leg, src, f.text);
			for (size_t k = 0; k < r[i].a.n; k++) {
				const struct mc_action *a = &r[i].a.v[k];

				if (a->kind != MC_SEND)
					continue;
				total++;
				assert_true(last < ARRAY_LEN(queue));
				queue[last++] = (struct flight){a->leg, i, xstrndup(a->data, a->len)};
			}
		}
		free(f.text);
	}
	/* the search on two legs and the announcement on three, by each of them, and a few that crossed */
	assert_true(total <= 12);
	world_done(&r[0]);
	world_done(&r[1]);
}

static void test_storm(void **state)
{
	struct world w;
	size_t sent = 0;
	char src[64], text[512];

	world_init(&w, 1);
	for (int i = 0; i < 1000; i++) { /* in one second, each from a port of its own */
		snprintf(src, sizeof(src), "192.0.2.9:%d", 10000 + i);
		say(&w, S + i * MS, LAN, src, SEARCH);
		sent += sent_count(&w.a);
	}
	assert_true(sent <= 2 * ASKER_PER_HOST);
	/* of many hosts, all different */
	for (int i = 0; i < 5000; i++) {
		snprintf(src, sizeof(src), "192.0.2.%d:%d", i % 200 + 2, 20000 + i);
		snprintf(text, sizeof(text),
			 "M-SEARCH * HTTP/1.1\r\nMAN: \"ssdp:discover\"\r\nMX: 1000000000\r\nST: x%d\r\n\r\n", i);
		say(&w, 3 * S + i * MS, LAN, src, text);
		sent += sent_count(&w.a);
		assert_true(ssdp_askers(w.s) <= ASKER_SLOTS);
	}
	assert_true(sent <= 2 * (400 + 5 * 200) + 2 * ASKER_SLOTS);
	/* nothing of it is left after the longest MX */
	mc_actions_clear(&w.a);
	ssdp_timer(w.s, (mono_t){20 * S}, &w.a);
	assert_int_equal(ssdp_askers(w.s), 0);
	assert_true(ssdp_due(w.s) == INT64_MAX);
	say(&w, 21 * S, LAN, "192.0.2.9:50000", SEARCH);
	assert_int_equal(sent_count(&w.a), 2);
	world_done(&w);
}

static void test_mx(void **state)
{
	static const struct {
		const char *line, *sent;
		int64_t life_us;
	} cases[] = {
		{"MX: 0\r\n", "MX: 1\r\n", 3 * S},
		{"MX: 3\r\n", "MX: 3\r\n", 5 * S},
		{"MX: 1000000000\r\n", "MX: 5\r\n", 7 * S},
		{"MX: 99999999999999999999\r\n", "MX: 5\r\n", 7 * S},
		{"", "ST: ssdp:all", 7 * S},
		{"MX: -1\r\n", NULL, 0},
		{"MX: 2x\r\n", NULL, 0},
		{"MX:\r\n", NULL, 0},
		{"MX: 1\r\nmx: 2\r\n", NULL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		char text[512];

		world_init(&w, 1);
		snprintf(text, sizeof(text), "M-SEARCH * HTTP/1.1\r\nMAN: \"ssdp:discover\"\r\n%sST: ssdp:all\r\n\r\n",
			 cases[i].line);
		say(&w, 0, LAN, "192.0.2.9:50000", text);
		if (cases[i].sent) {
			assert_true(has(sent_on(&w.a, SHOP), cases[i].sent));
			assert_int_equal(ssdp_due(w.s), cases[i].life_us);
		} else {
			assert_int_equal(sent_count(&w.a), 0);
			assert_true(strlen(dropped(&w.a)) > 0);
		}
		world_done(&w);
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *text;
		enum ssdp_bad bad;
	} cases[] = {
		{"", SSDP_BAD_START},
		{"\r\n", SSDP_BAD_START},
		{"GET / HTTP/1.1\r\n\r\n", SSDP_BAD_START},
		{"M-SEARCH /x HTTP/1.1\r\nMAN: \"ssdp:discover\"\r\n\r\n", SSDP_BAD_START},
		{"HTTP/1.1 404 No\r\n\r\n", SSDP_BAD_START},
		{"HTTP/1.1 2000\r\n\r\n", SSDP_BAD_START},
		{"M-SEARCH * HTTP/1.1", SSDP_BAD_MAN}, /* no headers */
		{"M-SEARCH * HTTP/1.1\r\nMAN: ssdp:other\r\n\r\n", SSDP_BAD_MAN},
		{"NOTIFY * HTTP/1.1\r\nno colon\r\n\r\n", SSDP_BAD_HEADER},
		{"NOTIFY * HTTP/1.1\r\n: no name\r\n\r\n", SSDP_BAD_HEADER},
		{"NOTIFY * HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", SSDP_BAD_HEADER},
		{"NOTIFY * HTTP/1.1\r\nA: b\rLOCATION: http://evil/\r\n\r\n", SSDP_BAD_HEADER},
		{"NOTIFY * HTTP/1.1\r\nA: b\x01\r\n\r\n", SSDP_BAD_HEADER},
		{"NOTIFY * HTTP/1.1\r\nLOCATION: http://a/\r\nLocation: http://b/\r\n\r\n", SSDP_BAD_TWICE},
		{"NOTIFY * HTTP/1.1\r\nPATH.DOCKER-ROUTER: x\r\n\r\n", SSDP_BAD_PATH},
		{"NOTIFY * HTTP/1.1\r\nPATH.DOCKER-ROUTER:\r\n\r\n", SSDP_BAD_PATH},
		{"NOTIFY * HTTP/1.1\r\nPATH.DOCKER-ROUTER: 0123456789abcdef;\r\n\r\n", SSDP_BAD_PATH},
	};
	struct ssdp_message m;
	struct buf b = {0};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (ssdp_parse(cases[i].text, strlen(cases[i].text), &m) != cases[i].bad)
			fail_msg("%s: %s", cases[i].text,
				 ssdp_bad_names[ssdp_parse(cases[i].text, strlen(cases[i].text), &m)]);
	assert_int_equal(ssdp_parse("NOTIFY * HTTP/1.1\r\nA: b\0c\r\n\r\n", 29, &m), SSDP_BAD_HEADER);
	/* 64 kB; and too many headers */
	buf_puts(&b, "NOTIFY * HTTP/1.1\r\n");
	for (int i = 0; i < 60; i++)
		buf_printf(&b, "H%d: x\r\n", i);
	buf_puts(&b, "\r\n");
	assert_int_equal(ssdp_parse(b.data, b.len, &m), SSDP_BAD_HEADER);
	while (b.len < 65000)
		buf_puts(&b, "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
	assert_int_equal(ssdp_parse(b.data, b.len, &m), SSDP_BAD_LONG);
	buf_done(&b);
}

static void test_restart_of_many(void **state)
{
	struct world w;
	size_t sent = 0;

	world_init(&w, 1);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 3 * 15; i++) {
			autofree char *text =
				xasprintf("NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNTS: ssdp:%s\r\n"
					  "LOCATION: http://172.30.2.9/\r\nNT: n\r\nUSN: uuid:a::%d-%d\r\n\r\n",
					  round < 2 ? "byebye" : "alive", round, i % 15);

			say(&w, S + i * MS, SHOP, "172.30.2.9:40000", text);
			for (size_t k = 0; k < w.a.n; k++)
				sent += w.a.v[k].kind == MC_SEND && w.a.v[k].leg == LAN;
			mc_actions_clear(&w.a);
		}
	assert_int_equal(sent, 3 * 3 * 15);
	world_done(&w);
}

static void test_tolerant(void **state)
{
	static const char lf[] =
		"M-SEARCH * HTTP/1.1\nHost:239.255.255.250:1900\nman: \"ssdp:discover\"\nmx: 1\nst:upnp:rootdevice";
	struct ssdp_message m;
	struct buf b = {0}, again = {0};

	/* lone LF, no blanks, no empty line at the end, a body: what goes out is as it should be */
	assert_int_equal(ssdp_parse(lf, strlen(lf), &m), SSDP_OK);
	ssdp_write(&m, 0xabc, NULL, &b);
	assert_string_equal(b.data,
			    "M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\nman: \"ssdp:discover\"\r\nmx: 1\r\n"
			    "st: upnp:rootdevice\r\nPATH.DOCKER-ROUTER: 0000000000000abc\r\n\r\n");
	assert_int_equal(ssdp_parse(b.data, b.len, &m), SSDP_OK);
	assert_int_equal(m.n_path, 1);
	assert_true(m.path[0] == 0xabc);
	ssdp_write(&m, 0xdef, NULL, &again);
	assert_int_equal(ssdp_parse(again.data, again.len, &m), SSDP_OK);
	assert_int_equal(m.n_path, 2);
	buf_clear(&b);
	buf_puts(&b, NOTIFY "body: that nobody reads");
	assert_int_equal(ssdp_parse(b.data, b.len, &m), SSDP_OK);
	assert_null(ssdp_find(&m, "body"));
	buf_done(&b);
	buf_done(&again);
}

static void test_sources(void **state)
{
	struct world w;

	world_init(&w, 1);
	say(&w, S, SHOP, "192.0.2.9:1900", NOTIFY); /* an address of the LAN, on a network */
	assert_string_equal(dropped(&w.a), "the source is not of this link");
	say(&w, S, SHOP, "224.0.0.1:1900", NOTIFY);
	assert_string_equal(dropped(&w.a), "the source is not of this link");
	say(&w, S, SHOP, "172.30.2.9:1900", ANSWER); /* an answer to the group */
	assert_int_equal(sent_count(&w.a), 0);
	struct mc_packet p = packet(LAN, "192.0.2.9:5", "192.0.2.1:1900", SEARCH, strlen(SEARCH));
	mc_actions_clear(&w.a);
	ssdp_input(w.s, (mono_t){S}, &p, &w.a); /* to us alone */
	assert_int_equal(sent_count(&w.a), 0);
	say(&w, S, 99, "192.0.2.9:1900", NOTIFY);
	assert_int_equal(w.a.n, 0);
	world_done(&w);
}

static void test_ipv6(void **state)
{
	struct world w;
	struct mc_packet p = packet(LAN, "[fe80::9]:50000", "[ff02::c]:1900", SEARCH, strlen(SEARCH));

	world_init(&w, 1);
	ssdp_input(w.s, (mono_t){S}, &p, &w.a);
	assert_int_equal(sent_count(&w.a), 2);
	assert_int_equal(sent_on(&w.a, SHOP)->dst.ip.family, AF_INET6);
	assert_int_equal(sent_on(&w.a, SHOP)->dst.ip.b[1], 2);
	/* the same words to another scope are others */
	mc_actions_clear(&w.a);
	p = packet(SHOP, "[fe80::8]:50000", "[ff05::c]:1900", SEARCH, strlen(SEARCH));
	ssdp_input(w.s, (mono_t){S}, &p, &w.a);
	assert_int_equal(sent_on(&w.a, LAN)->dst.ip.b[1], 5);
	world_done(&w);
}

static void test_leg_goes(void **state)
{
	struct world w;
	struct prefix subnet;
	uint32_t port;

	world_init(&w, 1);
	say(&w, S, LAN, "192.0.2.9:50000", SEARCH);
	port = sent_on(&w.a, SHOP)->port;
	mc_actions_clear(&w.a);
	ssdp_leg_remove(w.s, (mono_t){S}, SHOP, &w.a);
	answer(&w, S, SHOP, port, "172.30.2.9:1900", ANSWER);
	assert_int_equal(sent_count(&w.a), 0);
	/* who asked on a leg that goes: his other sockets are closed */
	mc_actions_clear(&w.a);
	ssdp_leg_remove(w.s, (mono_t){S}, LAN, &w.a);
	assert_int_equal(w.a.n, 1);
	assert_int_equal(w.a.v[0].kind, MC_CLOSE);
	assert_int_equal(w.a.v[0].leg, MEDIA);
	/* and a leg that does not want it any more is none */
	struct mc_leg l = leg_of(MEDIA, MC_MDNS, &subnet);

	ssdp_leg_set(w.s, (mono_t){S}, &l, &w.a);
	say(&w, 2 * S, LAN2, "198.51.100.9:50000", SEARCH);
	assert_int_equal(sent_count(&w.a), 0);
	world_done(&w);
}

/* Somebody has just started: he is asked, and what he answers is announced to the others; what others answer is not */
static void test_look(void **state)
{
	struct ip who = ip_of("172.30.2.9"), other = ip_of("172.30.2.8");
	const struct mc_action *a;
	struct world w, second;
	uint32_t port;

	world_init(&w, 1);
	w.mapping = true;
	ssdp_look(w.s, (mono_t){S}, SHOP, &who, &w.a);
	assert_int_equal(sent_count(&w.a), 1); /* there and nowhere else */
	a = sent_on(&w.a, SHOP);
	assert_non_null(memmem(a->data, a->len, "ssdp:all", 8));
	port = a->port;
	assert_int_not_equal(port, 0);
	/* another router that hears it does not pass it on */
	world_init(&second, 2);
	struct mc_packet p = packet(SHOP, "172.30.2.7:40000", GROUP, a->data, a->len);
	ssdp_input(second.s, (mono_t){S}, &p, &second.a);
	assert_int_equal(sent_count(&second.a), 0);
	world_done(&second);

	assert_false(ssdp_has_heard(w.s, SHOP, &who, S));
	answer(&w, S + MS, SHOP, port, "172.30.2.8:1900", ANSWER);
	assert_int_equal(sent_count(&w.a), 0);
	assert_false(ssdp_has_heard(w.s, SHOP, &other, S));
	answer(&w, S + MS, SHOP, port, "172.30.2.9:1900", ANSWER);
	assert_int_equal(sent_count(&w.a), 3); /* two LANs, the other network */
	a = sent_on(&w.a, LAN);
	assert_int_equal(a->port, 0);
	assert_int_equal(a->dst.port, SSDP_PORT);
	assert_int_equal(strncmp(a->data, "NOTIFY * HTTP/1.1\r\n", 19), 0);
	assert_non_null(memmem(a->data, a->len, "NTS: ssdp:alive\r\n", 17));
	assert_non_null(memmem(a->data, a->len, "NT: ssdp:all\r\n", 14));
	assert_non_null(memmem(a->data, a->len, "LOCATION: http://192.0.2.1:48200/rootDesc.xml\r\n", 47));
	assert_null(memmem(a->data, a->len, "EXT", 3));
	assert_null(sent_on(&w.a, SHOP));
	assert_true(ssdp_has_heard(w.s, SHOP, &who, S));
	assert_false(ssdp_has_heard(w.s, SHOP, &who, S + 2 * MS));

	/* over IPv6 it answers from an address of the link, and names another: by ours it is reached */
	who = ip_of("2001:db8:30::9");
	mc_actions_clear(&w.a);
	ssdp_look(w.s, (mono_t){2 * S}, SHOP, &who, &w.a);
	a = sent_on(&w.a, SHOP);
	assert_int_equal(a->dst.ip.family, AF_INET6);
	answer(&w, 2 * S, SHOP, a->port, "[fe80::9]:1900",
	       "HTTP/1.1 200 OK\r\nST: x\r\nUSN: uuid:six\r\nLOCATION: http://[2001:db8:30::9]:8200/\r\n\r\n");
	a = sent_on(&w.a, LAN);
	assert_true(a && memmem(a->data, a->len, "LOCATION: http://192.0.2.1:48200/\r\n", 35));
	assert_true(ssdp_has_heard(w.s, SHOP, &who, 2 * S));

	mc_actions_clear(&w.a);
	ssdp_look(w.s, (mono_t){3 * S}, 99, &who, &w.a);
	assert_int_equal(w.a.n, 0);
	ssdp_timer(w.s, (mono_t){20 * S}, &w.a);
	assert_int_equal(ssdp_askers(w.s), 0);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_search),	    cmocka_unit_test(test_location),
		cmocka_unit_test(test_notify),	    cmocka_unit_test(test_own_come_back),
		cmocka_unit_test(test_two_routers), cmocka_unit_test(test_storm),
		cmocka_unit_test(test_mx),	    cmocka_unit_test(test_bad),
		cmocka_unit_test(test_tolerant),    cmocka_unit_test(test_restart_of_many),
		cmocka_unit_test(test_sources),	    cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_leg_goes),    cmocka_unit_test(test_look),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
