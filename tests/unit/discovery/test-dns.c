/* SPDX-License-Identifier: Apache-2.0
 *
 * The mode dns: messages, texts and keys as strangers may make them, and the state machine under a clock of ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "discovery/dns.h"
#include "discovery/dns_key.h"
#include "discovery/dns_text.h"

#define SEC	USEC_PER_SEC
#define LISTING "_docker-router._udp.r.example"
#define ME	"00000000000000000000000000000001"
#define OTHER	"00000000000000000000000000000002"

/* --- messages --- */

struct msg {
	uint8_t data[DNS_MESSAGE_BYTES + 1];
	size_t len;
};

static void put16(struct msg *m, unsigned n)
{
	m->data[m->len++] = (uint8_t)(n >> 8);
	m->data[m->len++] = (uint8_t)n;
}

static void put32(struct msg *m, uint32_t n)
{
	put16(m, n >> 16);
	put16(m, n & 0xffff);
}

static void put_name(struct msg *m, const char *s)
{
	while (*s) {
		size_t len = strcspn(s, ".");

		m->data[m->len++] = (uint8_t)len;
		memcpy(m->data + m->len, s, len);
		m->len += len;
		s += len + (s[len] == '.');
	}
	m->data[m->len++] = 0;
}

static void msg_begin(struct msg *m, const char *name, unsigned type, unsigned rcode)
{
	m->len = 0;
	put16(m, 7);
	put16(m, 0x8180 | rcode);
	put16(m, 1);
	put16(m, 0);
	put16(m, 0);
	put16(m, 0);
	put_name(m, name);
	put16(m, type);
	put16(m, 1);
}

/* Return: where its length stands */
static size_t rr_begin(struct msg *m, const char *name, unsigned type, uint32_t ttl_s)
{
	m->data[7]++; /* one answer more */
	if (str_eq(name, "^"))
		put16(m, 0xc00c);
	else
		put_name(m, name);
	put16(m, type);
	put16(m, 1);
	put32(m, ttl_s);
	put16(m, 0);
	return m->len - 2;
}

static void rr_end(struct msg *m, size_t at)
{
	size_t len = m->len - at - 2;

	m->data[at] = (uint8_t)(len >> 8);
	m->data[at + 1] = (uint8_t)len;
}

static void rr_srv(struct msg *m, const char *name, uint32_t ttl_s, unsigned port, const char *target)
{
	size_t at = rr_begin(m, name, DNS_TYPE_SRV, ttl_s);

	put32(m, 0);
	put16(m, port);
	put_name(m, target);
	rr_end(m, at);
}

static void rr_cname(struct msg *m, const char *name, const char *target)
{
	size_t at = rr_begin(m, name, DNS_TYPE_CNAME, 30);

	put_name(m, target);
	rr_end(m, at);
}

static void rr_bytes(struct msg *m, const char *name, unsigned type, uint32_t ttl_s, const void *data, size_t len)
{
	size_t at = rr_begin(m, name, type, ttl_s);

	memcpy(m->data + m->len, data, len);
	m->len += len;
	rr_end(m, at);
}

static void rr_soa(struct msg *m, uint32_t ttl_s, uint32_t minimum_s)
{
	size_t at = rr_begin(m, "r.example", DNS_TYPE_SOA, ttl_s);

	m->data[7]--; /* in the authority section */
	m->data[9]++;
	put_name(m, "ns.r.example");
	put_name(m, "admin.r.example");
	for (int i = 0; i < 4; i++)
		put32(m, 600);
	put32(m, minimum_s);
	rr_end(m, at);
}

struct heard {
	struct dns_found v[8];
	size_t n;
};

static void on_found(void *arg, const struct dns_found *f)
{
	struct heard *h = arg;

	if (h->n < ARRAY_LEN(h->v))
		h->v[h->n] = *f;
	h->n++;
}

static int read_msg(const struct msg *m, const char *name, enum dns_type type, struct heard *h, uint32_t *ttl_s)
{
	struct err err = {0};
	/* of its own size, so that a sanitizer sees who reads behind it */
	uint8_t *data = xmemdup(m->data, m->len + !m->len);
	int code;

	*h = (struct heard){.n = 0};
	*ttl_s = 0;
	code = dns_message_read(data, m->len, name, type, on_found, h, ttl_s, &err);
	assert_true(code == 0 || err.text[0]);
	free(data);
	return code;
}

static struct msg m;

static void test_records(void **state)
{
	struct heard h;
	uint32_t ttl_s;

	msg_begin(&m, LISTING, DNS_TYPE_SRV, 0);
	rr_srv(&m, "^", 60, 4790, "NAS.r.example");
	rr_srv(&m, "^", 30, 4791, "pi.r.example");
	rr_srv(&m, "^", 30, 0, "noport.r.example");
	rr_srv(&m, "^", 30, 4790, "");
	rr_srv(&m, "^", 30, 4790, "b ad.r.example");
	rr_srv(&m, "other.example", 1, 4790, "foreign.r.example");
	rr_bytes(&m, "^", DNS_TYPE_A, 1, "\x0a\x00\x00\x01", 4);
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), 0);
	assert_int_equal(h.n, 2);
	assert_string_equal(h.v[0].target, "nas.r.example");
	assert_int_equal(h.v[1].port, 4791);
	assert_int_equal(ttl_s, 30);
	/* what is cut off anywhere is no answer, and nothing is read behind it */
	for (size_t len = m.len; m.len-- > 0 && len;)
		assert_true(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s) < 0);
}

static void test_cnames(void **state)
{
	struct heard h;
	uint32_t ttl_s;

	msg_begin(&m, LISTING, DNS_TYPE_SRV, 0);
	rr_srv(&m, "there.example", 60, 4790, "nas.r.example");
	rr_cname(&m, "mid.example", "there.example");
	rr_cname(&m, "^", "mid.example");
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), 0);
	assert_int_equal(h.n, 1);
	assert_int_equal(ttl_s, 30);
	msg_begin(&m, LISTING, DNS_TYPE_SRV, 0);
	rr_cname(&m, "^", "mid.example");
	rr_cname(&m, "mid.example", LISTING);
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), -EBADMSG);
	msg_begin(&m, LISTING, DNS_TYPE_SRV, 0);
	rr_cname(&m, "^", "elsewhere.example");
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), -EBADMSG);
}

static void test_negative(void **state)
{
	struct heard h;
	uint32_t ttl_s;

	msg_begin(&m, LISTING, DNS_TYPE_SRV, 3);
	rr_soa(&m, 600, 20);
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), -ENOENT);
	assert_int_equal(ttl_s, 20);
	msg_begin(&m, LISTING, DNS_TYPE_SRV, 0);
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), -ENODATA);
	assert_int_equal(ttl_s, UINT32_MAX);
	msg_begin(&m, LISTING, DNS_TYPE_SRV, 5);
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), -EACCES);
	msg_begin(&m, LISTING, DNS_TYPE_SRV, 2);
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), -EAGAIN);
	msg_begin(&m, LISTING, DNS_TYPE_A, 0);
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), -EBADMSG);
	msg_begin(&m, LISTING, DNS_TYPE_SRV, 0);
	m.data[2] |= 2; /* TC */
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), -EBADMSG);
	m.data[2] = 0; /* no answer at all */
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), -EBADMSG);
}

static void test_hostile(void **state)
{
	struct heard h;
	uint32_t ttl_s;
	size_t at;

	/* a name that points to itself, forwards, and behind the end */
	for (unsigned to = 0; to < 3; to++) {
		msg_begin(&m, LISTING, DNS_TYPE_SRV, 0);
		m.data[7] = 1;
		at = m.len;
		put16(&m, 0xc000u | (unsigned)(to == 0 ? at : to == 1 ? at + 2 : 0x3fff));
		put16(&m, DNS_TYPE_SRV);
		put16(&m, 1);
		put32(&m, 60);
		put16(&m, 0);
		assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), -EBADMSG);
	}
	/* 64 kB of records that are none */
	msg_begin(&m, LISTING, DNS_TYPE_SRV, 0);
	unsigned n = 0;
	for (; m.len + 12 < DNS_MESSAGE_BYTES; n++)
		rr_bytes(&m, "^", DNS_TYPE_SRV, 60, "", 0);
	m.data[6] = (uint8_t)(n >> 8);
	m.data[7] = (uint8_t)n;
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), 0);
	assert_int_equal(h.n, 0);
	memset(m.data + 40, 0xff, DNS_MESSAGE_BYTES - 40);
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), -EBADMSG);
	m.len = DNS_MESSAGE_BYTES + 1;
	assert_int_equal(read_msg(&m, LISTING, DNS_TYPE_SRV, &h, &ttl_s), -EBADMSG);
	/* a TXT record whose strings are longer than it is */
	msg_begin(&m, "h.r.example", DNS_TYPE_TXT, 0);
	rr_bytes(&m, "^", DNS_TYPE_TXT, 60,
		 "\xff"
		 "abc",
		 4);
	assert_int_equal(read_msg(&m, "h.r.example", DNS_TYPE_TXT, &h, &ttl_s), 0);
	assert_int_equal(h.n, 0);
	assert_false(dns_name_valid(""));
	assert_false(dns_name_valid("a..b"));
	assert_false(dns_name_valid("a."));
	assert_false(dns_name_valid("Upper"));
	assert_true(dns_name_valid("_a-1.b"));
}

/* --- texts --- */

static struct prefix prefix_of(const char *s)
{
	struct prefix p;

	assert_int_equal(prefix_parse(s, &p), 0);
	return p;
}

static struct peer peer_of(const char *host, const char *stack, uint64_t seq)
{
	struct peer p = {.vni = 1000, .seq = seq, .source = PEER_DNS, .vxlan_endpoint = {.port = 4789}};

	str_copy(p.host_id, host);
	str_copy(p.stack_id, stack);
	assert_int_equal(ip_parse("192.0.2.2", &p.host_ip), 0);
	p.vxlan_endpoint.ip = p.host_ip;
	return p;
}

static void test_text(void **state)
{
	struct peer p = peer_of(OTHER, "shop", 17), q;
	struct prefix nets[LIMIT_SUBNETS], avoid = prefix_of("172.17.0.0/16");
	struct mapped mapped[LIMIT_SUBNETS];
	autobuf struct buf b = {0}, printed = {0};
	struct err err = {0};

	str_copy(p.host_name, "nas");
	p.epoch = 3;
	str_copy(p.wireguard.key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	p.wireguard.port = 51820;
	p.wireguard.n_ring = 2;
	str_copy(p.wireguard.ring[0], "1a2b3c4d");
	str_copy(p.wireguard.ring[1], "1a2b3c4e");
	wg_key_format((const uint8_t[32]){[31] = 1}, p.wireguard.next);
	p.wireguard.next_port = 51821;
	p.wireguard.relay = true;
	p.wireguard.n_by = 1;
	str_copy(p.wireguard.by[0], "5e6f7a8b");
	assert_int_equal(ip_parse("172.30.0.3", &p.uplink), 0);
	for (int i = 0; i < LIMIT_SUBNETS; i++) {
		char s[PREFIX_STRLEN];

		str_print(s, "2001:db8:1234:5678:%d00::/80", i + 10);
		nets[i] = prefix_of(s);
		str_print(s, "fd64:7264:1234:5678:%d00::/80", i + 10);
		mapped[i] = (struct mapped){.subnet = nets[i], .as = prefix_of(s)};
	}
	p.subnets = nets;
	p.n_subnets = LIMIT_SUBNETS;
	p.mapped = mapped;
	p.n_mapped = LIMIT_SUBNETS;
	p.avoid = &avoid;
	p.n_avoid = 1;
	dns_text_put(&b, &p);
	assert_true(b.len < DNS_TEXT_BYTES);
	assert_true(dns_text_is_ours((uint8_t *)b.data, b.len));
	assert_int_equal(dns_text_get((uint8_t *)b.data, b.len, &q, &err), 0);
	assert_int_equal(peer_key_cmp(&p, &q), 0);
	assert_int_equal(q.seq, 17);
	assert_int_equal(q.epoch, 3);
	assert_string_equal(q.host_name, "nas");
	assert_int_equal(q.n_subnets, LIMIT_SUBNETS);
	assert_int_equal(q.n_mapped, LIMIT_SUBNETS);
	for (size_t i = 0; i < LIMIT_SUBNETS; i++) {
		assert_int_equal(prefix_cmp(&q.subnets[i], &nets[i]), 0);
		assert_int_equal(prefix_cmp(&q.mapped[i].as, &mapped[i].as), 0);
	}
	assert_int_equal(q.n_avoid, 1);
	assert_true(wg_say_same(&p.wireguard, &q.wireguard));
	assert_int_equal(ip_cmp(&q.uplink, &p.uplink), 0);
	peer_done(&q);
	dns_text_print(&printed,
		       (const uint8_t *)"\x03"
					"a\"\n"
					"\x00",
		       5);
	assert_string_equal(printed.data, "\"a\\034\\010\" \"\"");
}

static void strings(struct buf *b, const char *const *v)
{
	buf_clear(b);
	for (; *v; v++) {
		uint8_t n = (uint8_t)strlen(*v);

		buf_append(b, &n, 1);
		buf_append(b, *v, n);
	}
}

#define GOOD "docker-router=1", "stack=shop", "vni=1000", "host=" OTHER, "ip=192.0.2.2"

static void test_text_hostile(void **state)
{
	static const char *const good[] = {GOOD, "new=field", "nothing", NULL};
	static const char *const bad[][8] = {
		{GOOD, "vni=1"},
		{GOOD, "seq=-1"},
		{GOOD, "net=10.0.0.0/33"},
		{GOOD, "net="},
		{GOOD, "map=10.0.0.0/8"},
		{GOOD, "map=10.0.0.0/8>11.0.0.0/9"},
		{GOOD, "port=0"},
		{GOOD, "name=a b"},
		{GOOD, "epoch=99"},
		{GOOD, "wg=AAAA,1"},
		{GOOD, "wg=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
		{GOOD, "wg=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,5,x"},
		{"docker-router=1", "stack=shop"},
	};
	static const char *const foreign[] = {"v=spf1 -all", NULL};
	autobuf struct buf b = {0}, sealed = {0};
	struct err err = {0};
	struct peer p;

	strings(&b, good);
	assert_int_equal(dns_text_get((uint8_t *)b.data, b.len, &p, &err), 0);
	assert_int_equal(p.vxlan_endpoint.port, 4789);
	peer_done(&p);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		strings(&b, bad[i]);
		assert_int_equal(dns_text_get((uint8_t *)b.data, b.len, &p, &err), -EINVAL);
	}
	strings(&b, foreign);
	assert_int_equal(dns_text_get((uint8_t *)b.data, b.len, &p, &err), -ENOENT);
	assert_false(dns_sealed_get((uint8_t *)b.data, b.len, &sealed));
	/* what is sealed comes back, whatever its length */
	for (size_t n = 1; n < 1200; n += 17) {
		char text[1200];

		memset(text, 'x', n);
		text[n - 1] = 'y';
		buf_clear(&b);
		buf_clear(&sealed);
		dns_sealed_put(&b, text, n);
		assert_true(dns_sealed_get((uint8_t *)b.data, b.len, &sealed));
		assert_int_equal(sealed.len, n);
		assert_memory_equal(sealed.data, text, n);
	}
}

static void test_key(void **state)
{
	static const char *const good[] = {
		"key \"Ours.\" {\n\talgorithm hmac-sha256;\n\tsecret \"AAAABBBB\";\n};\n",
		"# made by hand\n/* so */ key ours { secret AAAABBBB; algorithm HMAC-SHA256; };",
		"hmac-sha256:ours:AAAABBBB\n",
		"// in a line\nours:AAAABBBB",
	};
	static const char *const bad[] = {
		"",
		"# only a comment",
		"key \"ours\"",
		"key ours { algorithm hmac-sha256; };",
		"key ours { secret AAAABBBB; secret AAAABBBB; };",
		"key ours { secret AAAABBBB };",
		"key ours { server x; };",
		"key \"o urs\" { secret AAAABBBB; };",
		"rot13:ours:AAAABBBB",
		"ours:AAAA BBBB",
		"ours:AAAABBB!",
		"ours",
		"AAAABBBB:",
	};
	struct err err;
	struct dns_key k;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(dns_key_parse(good[i], &k, &err), 0);
		assert_string_equal(k.name, "ours");
		assert_string_equal(k.algorithm, "hmac-sha256");
		assert_string_equal(k.secret, "AAAABBBB");
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err = (struct err){0};
		assert_int_equal(dns_key_parse(bad[i], &k, &err), -EINVAL);
		assert_non_null(err.text);
		assert_null(strstr(err.text, "AAAA"));
	}
}

static void test_update_code(void **state)
{
	struct err err = {0};

	assert_int_equal(
		dns_update_code("; TSIG error with server: tsig indicates error\nupdate failed: NOTAUTH(BADKEY)\n",
				&err),
		-EKEYREJECTED);
	assert_int_equal(
		dns_update_code("; TSIG error with server: tsig indicates error\nupdate failed: NOTAUTH(BADSIG)\n",
				&err),
		-EBADE);
	assert_int_equal(dns_update_code("update failed: NOTAUTH(BADTIME)\n", &err), -ETIME);
	assert_int_equal(dns_update_code("update failed: REFUSED\n", &err), -EACCES);
	assert_string_equal(err.text, "update failed: REFUSED");
	assert_int_equal(dns_update_code("update failed: NOTZONE\n", &err), -ENXIO);
	assert_int_equal(dns_update_code("; Communication with 192.0.2.1#53 failed: connection refused\ncould not "
					 "reach any name server\n",
					 &err),
			 -ETIMEDOUT);
	assert_int_equal(dns_update_code("; Communication with 192.0.2.1#53 failed: timed out\n", &err), -ETIMEDOUT);
	assert_int_equal(dns_update_code("", &err), -EIO);
}

/* --- the state machine --- */

struct world {
	struct dns *dns;
	mono_t now;
	char log[4096]; /* what it told the core */
	struct endpoint hosts[8];
	size_t n_hosts;
	struct dns_question q[DNS_PARALLEL_MAX];
	char names[DNS_PARALLEL_MAX][DNS_NAME_BYTES]; /* of those: theirs are borrowed */
	size_t n_q;
	char key[WG_KEY_TEXT]; /* of the last peer that was put */
};

static void told(struct world *w, const char *what, const char *who)
{
	size_t n = strlen(w->log);

	snprintf(w->log + n, sizeof(w->log) - n, "%s%s%s%s", n ? " " : "", what, who[0] ? ":" : "", who);
}

static void on_put(void *arg, const struct peer *p)
{
	told(arg, "put", p->stack_id);
	str_copy(((struct world *)arg)->key, p->wireguard.key);
}
static void on_drop(void *arg, const struct peer *p)
{
	told(arg, "drop", p->stack_id);
}
static void on_begin(void *arg)
{
	told(arg, "begin", "");
}
static void on_end(void *arg, int64_t grace_us)
{
	told(arg, grace_us ? "end-with-grace" : "end", "");
}
static void on_seen(void *arg)
{
}
static void on_hosts(void *arg, const struct endpoint *v, size_t n)
{
	struct world *w = arg;

	assert_true(n <= ARRAY_LEN(w->hosts));
	if (n)
		memcpy(w->hosts, v, n * sizeof(*v));
	w->n_hosts = n;
}
static void on_say(void *arg, enum log_level level, const char *text, const char *why)
{
}
/* "sealed" by a name in front */
static void on_seal(void *arg, const char *about, const char *in, size_t len, struct buf *ret)
{
	buf_puts(ret, "KEY");
	buf_append(ret, in, len);
}
static int on_open(void *arg, const char *about, const char *in, size_t len, struct buf *ret, struct err *err)
{
	if (len < 3 || memcmp(in, "KEY", 3) != 0)
		return err_set(err, -ENOKEY, "no key");
	buf_append(ret, in + 3, len - 3);
	return 0;
}

static void world_open(struct world *w, bool update, bool sealed)
{
	struct dns_config c = {.domain = "r.example",
			       .host_id = ME,
			       .family = AF_INET,
			       .port = 4790,
			       .ttl_s = 60,
			       .update = update,
			       .goodbye = true,
			       .sealed = sealed,
			       .random = 1};
	struct dns_events e = {.put = on_put,
			       .drop = on_drop,
			       .begin = on_begin,
			       .end = on_end,
			       .seen = on_seen,
			       .hosts = on_hosts,
			       .say = on_say,
			       .seal = on_seal,
			       .unseal = on_open,
			       .arg = w};

	*w = (struct world){.now = {1000 * SEC}};
	w->dns = dns_new(&c, &e);
}

static void log_is(struct world *w, const char *want)
{
	assert_string_equal(w->log, want);
	w->log[0] = '\0';
}

/* The question of that name and type must be asked now, and nothing else but what is answered later */
static struct dns_question asked(struct world *w, const char *name, enum dns_type type)
{
	struct dns_question q = {.id = 0};

	while (w->n_q < DNS_PARALLEL_MAX && dns_ask(w->dns, w->now, &w->q[w->n_q])) {
		str_copy(w->names[w->n_q], w->q[w->n_q].name);
		w->n_q++;
	}
	for (size_t i = 0; i < w->n_q; i++) {
		if (!str_eq(w->names[i], name) || w->q[i].type != type)
			continue;
		q = w->q[i];
		w->q[i] = w->q[--w->n_q];
		memmove(w->names[i], w->names[w->n_q], sizeof(w->names[i]));
		return q;
	}
	fail_msg("%s is not asked for", name);
	return q;
}

static void answer(struct world *w, struct dns_question q)
{
	struct err err = {0};

	dns_answer(w->dns, w->now, q.id, 0, m.data, m.len, &err);
}

static void fail_question(struct world *w, struct dns_question q, int code)
{
	struct err err = {.text = "silence"};

	dns_answer(w->dns, w->now, q.id, code, NULL, 0, &err);
}

static void listing(struct world *w, uint32_t ttl_s, const char *a, const char *b)
{
	struct dns_question q = asked(w, LISTING, DNS_TYPE_SRV);

	msg_begin(&m, LISTING, DNS_TYPE_SRV, a ? 0 : 3);
	if (a)
		rr_srv(&m, "^", ttl_s, 4790, a);
	if (b)
		rr_srv(&m, "^", ttl_s, 4790, b);
	if (!a)
		rr_soa(&m, ttl_s, ttl_s);
	answer(w, q);
}

static void text(struct world *w, const char *name, const struct peer *p, bool sealed)
{
	struct dns_question q = asked(w, name, DNS_TYPE_TXT);
	autobuf struct buf b = {0}, s = {0}, t = {0};

	msg_begin(&m, name, DNS_TYPE_TXT, 0);
	if (p && !sealed) {
		dns_text_put(&b, p);
		rr_bytes(&m, "^", DNS_TYPE_TXT, 60, b.data, b.len);
	} else if (p) {
		dns_text_put(&b, p);
		on_seal(NULL, "", b.data, b.len, &s);
		dns_sealed_put(&t, s.data, s.len);
		rr_bytes(&m, "^", DNS_TYPE_TXT, 60, t.data, t.len);
	}
	answer(w, q);
}

static bool problem_is(const struct world *w, const char *words)
{
	struct problems p = {0};
	bool found = false;

	dns_problems(w->dns, &p);
	for (size_t i = 0; i < p.n; i++)
		found = found || strstr(p.v[i].text, words);
	problems_done(&p);
	return found;
}

static void sleep_for(struct world *w, int64_t us)
{
	w->now.us += us;
}

static void test_by_hand(void **state)
{
	struct world w;

	world_open(&w, false, false);
	listing(&w, 60, "nas.r.example", NULL);
	log_is(&w, "begin");
	text(&w, "nas.r.example", NULL, false);
	log_is(&w, "end");
	struct dns_question q = asked(&w, "nas.r.example", DNS_TYPE_A);
	msg_begin(&m, "nas.r.example", DNS_TYPE_A, 0);
	rr_bytes(&m, "^", DNS_TYPE_A, 60, "\xc0\x00\x02\x09", 4);
	rr_bytes(&m, "^", DNS_TYPE_A, 60, "\xe0\x00\x00\x01", 4); /* multicast: nobody's */
	answer(&w, q);
	assert_int_equal(w.n_hosts, 1);
	assert_int_equal(w.hosts[0].port, 4790);
	assert_int_equal(w.hosts[0].ip.b[3], 9);
	/* not before its time is over, and then: it is gone */
	sleep_for(&w, 29 * SEC);
	assert_false(dns_ask(w.dns, w.now, &q));
	sleep_for(&w, 30 * SEC);
	while (dns_ask(w.dns, w.now, &q))
		assert_int_equal(q.type, DNS_TYPE_TXT); /* somebody may write it */
	sleep_for(&w, SEC);
	listing(&w, 60, NULL, NULL);
	assert_int_equal(w.n_hosts, 0);
	assert_true(problem_is(&w, "there is no SRV record"));
	dns_free(w.dns);
}

static void test_registered(void **state)
{
	struct peer p = peer_of(OTHER, "shop", 1);
	struct dns_question q;
	struct world w;

	world_open(&w, false, false);
	listing(&w, 1, "dr-2.r.example", "dr-3.r.example");
	text(&w, "dr-2.r.example", &p, false);
	log_is(&w, "begin put:shop"); /* not all is known yet */
	assert_int_equal(w.n_hosts, 1);
	assert_int_equal(w.hosts[0].ip.b[3], 2);
	fail_question(&w, asked(&w, "dr-3.r.example", DNS_TYPE_TXT), -ETIMEDOUT);
	log_is(&w, "");
	assert_true(problem_is(&w, "no DNS server answers"));
	/* TTL 1 is not honoured: not before TTL_MIN */
	sleep_for(&w, SEC);
	while (dns_ask(w.dns, w.now, &q))
		assert_string_equal(q.name, "dr-3.r.example");
	w.n_q = 0;
	sleep_for(&w, 2 * SEC);
	listing(&w, 1000000, "dr-2.r.example", NULL);
	log_is(&w, "end");
	assert_false(problem_is(&w, "no DNS server answers"));
	/* and 1000000 neither */
	sleep_for(&w, 300 * SEC);
	q = asked(&w, LISTING, DNS_TYPE_SRV);
	text(&w, "dr-2.r.example", NULL, false);
	log_is(&w, "drop:shop");
	dns_free(w.dns);
}

static void test_away(void **state)
{
	struct peer p = peer_of(OTHER, "shop", 1);
	struct world w;

	world_open(&w, false, false);
	listing(&w, 60, "dr-2.r.example", NULL);
	text(&w, "dr-2.r.example", &p, false);
	log_is(&w, "begin put:shop end");
	for (int i = 0; i < 8; i++) {
		sleep_for(&w, 60 * SEC);
		fail_question(&w, asked(&w, LISTING, DNS_TYPE_SRV), i % 2 ? -ETIMEDOUT : -EACCES);
		fail_question(&w, asked(&w, "dr-2.r.example", DNS_TYPE_TXT), -EAGAIN);
	}
	log_is(&w, "");
	/* back, and empty: there is time to write it again */
	sleep_for(&w, 60 * SEC);
	text(&w, "dr-2.r.example", NULL, false);
	listing(&w, 30, NULL, NULL);
	log_is(&w, "");
	sleep_for(&w, 30 * SEC);
	listing(&w, 30, "dr-2.r.example", NULL);
	text(&w, "dr-2.r.example", &p, false);
	log_is(&w, "put:shop");
	/* but for a healthy zone that says so */
	sleep_for(&w, 61 * SEC);
	listing(&w, 30, NULL, NULL);
	log_is(&w, "drop:shop");
	dns_free(w.dns);
}

static void test_sealed(void **state)
{
	struct peer p = peer_of(OTHER, "shop", 1);
	struct world w;

	world_open(&w, false, true);
	listing(&w, 60, "dr-2.r.example", NULL);
	text(&w, "dr-2.r.example", &p, false);
	log_is(&w, "begin end"); /* in clear: a stranger's */
	assert_true(problem_is(&w, "cannot be read"));
	dns_keys(w.dns, w.now, true);
	text(&w, "dr-2.r.example", &p, true);
	log_is(&w, "put:shop");
	assert_false(problem_is(&w, "cannot be read"));
	dns_free(w.dns);
}

/* A public key of WireGuard in a record that is not sealed is nobody's */
static void test_wireguard(void **state)
{
	struct peer p = peer_of(OTHER, "shop", 1);
	struct world w;

	p.wireguard =
		(struct wg_say){.key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=", .port = 51820, .n_ring = 1};
	str_copy(p.wireguard.ring[0], "1a2b3c4d");
	world_open(&w, false, false);
	listing(&w, 60, "dr-2.r.example", NULL);
	text(&w, "dr-2.r.example", &p, false);
	log_is(&w, "begin put:shop end");
	assert_string_equal(w.key, "");
	/* with a key such a record is not read at all, and a sealed one brings it */
	dns_keys(w.dns, w.now, true);
	text(&w, "dr-2.r.example", &p, false);
	assert_string_equal(w.key, "");
	assert_true(problem_is(&w, "cannot be read"));
	dns_keys(w.dns, w.now, true);
	text(&w, "dr-2.r.example", &p, true);
	assert_string_equal(w.key, p.wireguard.key);
	dns_free(w.dns);
}

/* --- our own records --- */

static void self_set(struct world *w, const char *stack, uint64_t seq)
{
	struct peer p = peer_of(ME, stack ? stack : "", seq);

	dns_self_begin(w->dns);
	if (stack)
		dns_self(w->dns, &p);
	dns_self_end(w->dns);
}

static void updates(struct world *w, const char *want)
{
	autobuf struct buf b = {0};

	assert_true(dns_update(w->dns, w->now, &b));
	assert_string_equal(b.data, want);
}

static void update_done(struct world *w, int code)
{
	struct err err = {.text = "why"};

	dns_updated(w->dns, w->now, code, &err);
}

#define OWN "dr-" ME ".r.example"
#define TXT(seq)                                                                                \
	"update add " OWN ". 60 TXT \"docker-router=1\" \"stack=shop\" \"vni=1000\" \"host=" ME \
	"\" \"ip=192.0.2.2\" \"port=4789\" \"seq=" seq "\"\n"
#define WRITES(seq)                                                                                   \
	"update delete " OWN ".\nupdate add " OWN ". 60 A 192.0.2.2\n" TXT(seq) "update add " LISTING \
										". 60 SRV 0 0 4790 " OWN ".\nsend\n"
#define LEAVES "update delete " LISTING ". SRV 0 0 4790 " OWN ".\nupdate delete " OWN ".\nsend\n"

static bool update_none(struct world *w)
{
	autobuf struct buf b = {0};

	return !dns_update(w->dns, w->now, &b);
}

static void test_writing(void **state)
{
	struct world w;

	world_open(&w, true, false);
	self_set(&w, NULL, 0);
	assert_true(update_none(&w));
	self_set(&w, "shop", 1);
	updates(&w, WRITES("1"));
	assert_true(update_none(&w));
	update_done(&w, -EBADE);
	assert_true(problem_is(&w, "BADSIG"));
	assert_true(update_none(&w));
	sleep_for(&w, 20 * SEC);
	updates(&w, WRITES("1"));
	update_done(&w, 0);
	assert_false(problem_is(&w, "BADSIG"));
	self_set(&w, "shop", 1);
	assert_true(update_none(&w));
	self_set(&w, "shop", 2);
	updates(&w, WRITES("2"));
	update_done(&w, 0);
	self_set(&w, NULL, 0);
	updates(&w, LEAVES);
	update_done(&w, 0);
	dns_stop(w.dns, w.now);
	assert_true(dns_stopped(w.dns));
	dns_free(w.dns);
}

static void test_lost(void **state)
{
	struct peer mine = peer_of(ME, "shop", 1);
	struct world w;

	world_open(&w, true, false);
	self_set(&w, "shop", 1);
	listing(&w, 2, NULL, NULL);
	assert_false(problem_is(&w, "there is no SRV record"));
	updates(&w, WRITES("1"));
	update_done(&w, 0);
	/* a cache may still hold what was before */
	sleep_for(&w, 30 * SEC);
	listing(&w, 60, NULL, NULL);
	assert_true(update_none(&w));
	sleep_for(&w, 60 * SEC);
	listing(&w, 60, NULL, NULL);
	updates(&w, WRITES("1"));
	update_done(&w, 0);
	sleep_for(&w, 61 * SEC);
	listing(&w, 60, OWN, NULL);
	text(&w, OWN, &mine, false);
	assert_true(update_none(&w));
	/* an older content than ours, and who is ourselves is not spoken to */
	assert_int_equal(w.n_hosts, 0);
	mine.seq = 0;
	sleep_for(&w, 200 * SEC);
	listing(&w, 60, OWN, NULL);
	text(&w, OWN, &mine, false);
	updates(&w, WRITES("1"));
	/* told to stop meanwhile: it may be there, so it is taken away */
	dns_stop(w.dns, w.now);
	assert_false(dns_stopped(w.dns));
	updates(&w, LEAVES);
	update_done(&w, -ETIMEDOUT);
	assert_true(dns_stopped(w.dns));
	dns_free(w.dns);
}

static void test_earlier(void **state)
{
	struct world w;

	/* records of an earlier start, with another port, and no stack now */
	world_open(&w, true, false);
	self_set(&w, NULL, 0);
	struct dns_question q = asked(&w, LISTING, DNS_TYPE_SRV);
	msg_begin(&m, LISTING, DNS_TYPE_SRV, 0);
	rr_srv(&m, "^", 60, 4999, OWN);
	answer(&w, q);
	updates(&w, "update delete " LISTING ". SRV 0 0 4999 " OWN ".\n" LEAVES);
	update_done(&w, 0);
	dns_free(w.dns);
	world_open(&w, true, false);
	dns_forget(w.dns);
	updates(&w, LEAVES);
	update_done(&w, 0);
	assert_true(dns_stopped(w.dns));
	dns_free(w.dns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),	  cmocka_unit_test(test_cnames),
		cmocka_unit_test(test_negative),  cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_text),	  cmocka_unit_test(test_text_hostile),
		cmocka_unit_test(test_key),	  cmocka_unit_test(test_update_code),
		cmocka_unit_test(test_by_hand),	  cmocka_unit_test(test_registered),
		cmocka_unit_test(test_away),	  cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_wireguard), cmocka_unit_test(test_writing),
		cmocka_unit_test(test_lost),	  cmocka_unit_test(test_earlier),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
