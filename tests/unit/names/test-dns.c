/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries that are plain and such that are not; answers, read by another parser.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "packet.h"

/* At the end of a block of its exact size, so that reading behind it is seen */
static int parse(const uint8_t *b, size_t len, struct dns_query *q)
{
	uint8_t *copy = xmemdup(b, len ? len : 1);
	int rc = dns_query_parse(copy, len, q);

	free(copy);
	return rc;
}

static void test_parse(void **state)
{
	struct packet p = packet_query("WEB.Shop", DNS_A, 0);
	struct dns_query q;

	assert_int_equal(parse(p.b, p.len, &q), 0);
	assert_string_equal(q.name, "web.shop");
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.type, DNS_A);
	assert_int_equal(q.question_end, p.len);
	assert_int_equal(q.size, 512);
	assert_false(q.edns);
	p = packet_query("a_b@host", DNS_AAAA, 4096);
	assert_int_equal(parse(p.b, p.len, &q), 0);
	assert_string_equal(q.name, "a_b@host");
	assert_true(q.edns);
	assert_int_equal(q.size, DNS_REPLY_BYTES);
	p = packet_query("", DNS_ANY, 100);
	assert_int_equal(parse(p.b, p.len, &q), 0);
	assert_string_equal(q.name, "");
	assert_int_equal(q.size, 512);
}

static void test_every_length(void **state)
{
	struct packet p = packet_query("web.shop", DNS_A, 1232);
	struct dns_query q;

	/* cut anywhere it is no plain query any more; cut in the header it is none at all */
	for (size_t len = 0; len < p.len; len++)
		assert_int_equal(parse(p.b, len, &q), len < DNS_HEADER_BYTES ? -EBADMSG : -EINVAL);
	p.b[p.len++] = 0;
	assert_int_equal(parse(p.b, p.len, &q), -EINVAL);
}

static void test_not_plain(void **state)
{
	/* offset of a byte in the query for "web.shop" with EDNS, its value, and what comes of it */
	static const struct {
		size_t at;
		uint8_t value;
		int rc;
	} cases[] = {
		{2, 0x81, -EBADMSG},		       /* a response */
		{2, 0x28, -EINVAL},		       /* UPDATE */
		{2, 0x03, -EINVAL},		       /* truncated */
		{5, 0, -EINVAL},		       /* no question */
		{5, 2, -EINVAL},		       /* two */
		{7, 1, -EINVAL},		       /* an answer */
		{9, 1, -EINVAL},		       /* an authority */
		{11, 2, -EINVAL},		       /* two additional records */
		{11, 0, -EINVAL},		       /* more behind the last */
		{12, 64, -EINVAL},		       /* a label too long */
		{12, 0xc0, -EINVAL},		       /* a pointer */
		{12, 200, -EINVAL},  {13, 0, -EINVAL}, /* a NUL, a dot, a blank and so on in a label */
		{13, '.', -EINVAL},  {13, ' ', -EINVAL},  {13, '\\', -EINVAL},
		{13, 0x7f, -EINVAL}, {13, 0xc3, -EINVAL}, {25, 3, -EINVAL}, /* class CH */
		{26, 1, -EINVAL},					    /* OPT of a name */
		{28, 42, -EINVAL},					    /* another record */
		{32, 1, -EINVAL},					    /* another version of EDNS */
		{36, 1, -EINVAL},					    /* options that are not there */
	};
	struct packet p = packet_query("web.shop", DNS_A, 1232);
	struct dns_query q;

	assert_int_equal(p.len, 37);
	assert_int_equal(parse(p.b, p.len, &q), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t was = p.b[cases[i].at];

		p.b[cases[i].at] = cases[i].value;
		if (parse(p.b, p.len, &q) != cases[i].rc)
			fail_msg("byte %zu = %u", cases[i].at, cases[i].value);
		p.b[cases[i].at] = was;
	}
	/* options that are there are passed over */
	p.b[36] = 4;
	memset(p.b + p.len, 9, 4);
	assert_int_equal(parse(p.b, p.len + 4, &q), 0);
}

static void test_long_names(void **state)
{
	struct dns_query q;
	struct packet p;
	char name[300];

	/* 127 labels of one byte: 255 bytes on the wire, 253 as text */
	for (size_t i = 0; i < 127; i++)
		memcpy(name + 2 * i, "a.", 3);
	name[253] = '\0';
	p = packet_query(name, DNS_A, 0);
	assert_int_equal(parse(p.b, p.len, &q), 0);
	assert_string_equal(q.name, name);
	/* one more */
	memcpy(name + 253, ".b", 3);
	p = packet_query(name, DNS_A, 0);
	assert_int_equal(parse(p.b, p.len, &q), -EINVAL);
	memset(name, 'x', 63);
	name[63] = '\0';
	p = packet_query(name, DNS_A, 0);
	assert_int_equal(parse(p.b, p.len, &q), 0);
}

static size_t build(const char *name, uint16_t type, uint16_t edns, const struct dns_answer *a, uint8_t *out)
{
	struct packet p = packet_query(name, type, edns);
	struct dns_query q;
	size_t len;

	assert_int_equal(dns_query_parse(p.b, p.len, &q), 0);
	len = dns_answer_build(p.b, &q, a, out);
	assert_true(len <= q.size);
	return len;
}

static void test_addresses(void **state)
{
	struct ip ips[4];
	struct dns_answer a = {.addresses = ips, .n_addresses = 4};
	uint8_t out[DNS_REPLY_BYTES];
	size_t len;

	for (size_t i = 0; i < 3; i++)
		ips[i] = (struct ip){AF_INET, {10, 0, 0, (uint8_t)i}};
	assert_int_equal(ip_parse("fd00::1", &ips[3]), 0);
	len = build("web.shop", DNS_ANY, 0, &a, out);
	assert_string_equal(packet_text(out, len), "0 10.0.0.0 10.0.0.1 10.0.0.2 fd00::1");
	a.first = 2;
	len = build("web.shop", DNS_ANY, 4096, &a, out);
	assert_string_equal(packet_text(out, len), "0 10.0.0.2 fd00::1 10.0.0.0 10.0.0.1 +opt 1232");
	/* id, what was asked, and flags: response, authoritative, recursion as asked and available */
	assert_int_equal(out[0] << 8 | out[1], 0x1234);
	assert_int_equal(out[2] << 8 | out[3], 0x8580);
	assert_int_equal(out[12 + 1], 'w');
}

/* As many as fit, never cut short, and in turns all */
static void test_too_many(void **state)
{
	struct ip ips[100];
	bool seen[100] = {false};
	struct dns_answer a = {.addresses = ips, .n_addresses = 100};
	uint8_t out[DNS_REPLY_BYTES];

	for (size_t i = 0; i < 100; i++)
		ips[i] = (struct ip){AF_INET, {10, 0, 0, (uint8_t)i}};
	for (a.first = 0; a.first < 100; a.first++) {
		size_t len = build("web.shop", DNS_A, 0, &a, out);
		ns_msg m;

		assert_true(len <= 512 && len > 512 - 16);
		assert_int_equal(ns_initparse(out, (int)len, &m), 0);
		assert_int_equal(ns_msg_count(m, ns_s_an), 30);
		assert_int_equal(ns_msg_getflag(m, ns_f_tc), 0);
		seen[out[26 + 15]] = true; /* the last byte of the first */
		len = build("web.shop", DNS_A, 1232, &a, out);
		assert_int_equal(ns_initparse(out, (int)len, &m), 0);
		assert_int_equal(ns_msg_count(m, ns_s_an), 74);
		assert_int_equal(ns_msg_count(m, ns_s_ar), 1);
	}
	for (size_t i = 0; i < 100; i++)
		assert_true(seen[i]);
}

static void test_negative(void **state)
{
	struct dns_answer a = {.rcode = DNS_NXDOMAIN, .zone = "docker-router.internal"};
	uint8_t out[DNS_REPLY_BYTES];
	size_t len = build("x.docker-router.internal", DNS_A, 0, &a, out);

	assert_string_equal(packet_text(out, len), "3 ns:docker-router.internal");
	a = (struct dns_answer){.zone = "docker-router.internal", .soa = true};
	len = build("docker-router.internal", DNS_SOA, 1232, &a, out);
	assert_string_equal(packet_text(out, len), "0 docker-router.internal +opt 1232");
	a = (struct dns_answer){.rcode = DNS_REFUSED};
	len = build("x", DNS_A, 0, &a, out);
	assert_string_equal(packet_text(out, len), "5");
	assert_int_equal(dns_error_build(out, DNS_FORMERR, out), DNS_HEADER_BYTES);
	assert_string_equal(packet_text(out, DNS_HEADER_BYTES), "1");
}

static void test_ptr(void **state)
{
	struct dns_answer a = {.target = "shop_web_1.shop.docker-router.internal"};
	char longest[300] = "";
	uint8_t out[DNS_REPLY_BYTES];
	size_t len = build("2.0.71.10.in-addr.arpa", DNS_PTR, 0, &a, out);

	assert_string_equal(packet_text(out, len), "0 shop_web_1.shop.docker-router.internal");
	/* what is no name of DNS is left out */
	a.target = "a..b";
	len = build("2.0.71.10.in-addr.arpa", DNS_PTR, 0, &a, out);
	assert_string_equal(packet_text(out, len), "0");
	memset(longest, 'x', 64);
	a.target = longest;
	len = build("2.0.71.10.in-addr.arpa", DNS_PTR, 0, &a, out);
	assert_string_equal(packet_text(out, len), "0");
	for (size_t i = 0; i < 128; i++)
		memcpy(longest + 2 * i, "a.", 3);
	longest[255] = '\0';
	len = build("2.0.71.10.in-addr.arpa", DNS_PTR, 1232, &a, out);
	assert_string_equal(packet_text(out, len), "0 +opt 1232");
}

static void test_reverse(void **state)
{
	static const char *const bad[] = {"",
					  "1.0.0.10",
					  "0.0.10.in-addr.arpa",
					  "1.2.3.4.5.in-addr.arpa",
					  "256.0.0.10.in-addr.arpa",
					  "01.0.0.10.in-addr.arpa",
					  "1.0.0.10.in-addr.arpa.x",
					  "-1.0.0.10.in-addr.arpa",
					  "..0.10.in-addr.arpa",
					  "in-addr.arpa",
					  "0.8.b.d.0.1.0.0.2.ip6.arpa",
					  "x.ip6.arpa",
					  "1.0.0.10in-addr.arpa"};
	char v6[80] = "", text[IP_STRLEN];
	struct ip ip;

	assert_int_equal(dns_reverse_parse("2.0.71.10.in-addr.arpa", &ip), 0);
	assert_string_equal(ip_format(&ip, text), "10.71.0.2");
	assert_int_equal(dns_reverse_parse("255.0.10.1.in-addr.arpa", &ip), 0);
	assert_string_equal(ip_format(&ip, text), "1.10.0.255");
	for (size_t i = 0; i < 32; i++) {
		v6[2 * i] = "8b1acdef000000000000000000000fdf"[i];
		v6[2 * i + 1] = '.';
	}
	memcpy(v6 + 64, "ip6.arpa", 9);
	assert_int_equal(dns_reverse_parse(v6, &ip), 0);
	assert_string_equal(ip_format(&ip, text), "fdf0::fedc:a1b8");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (dns_reverse_parse(bad[i], &ip) == 0)
			fail_msg("%s was taken", bad[i]);
}

static void test_question_hash(void **state)
{
	struct packet a = packet_query("web.shop", DNS_A, 0), b = packet_query("WEB.SHOP", DNS_A, 1232);
	struct packet c = packet_query("web.shop", DNS_AAAA, 0);

	assert_int_equal(dns_question_hash(a.b, a.len), dns_question_hash(b.b, b.len));
	assert_true(dns_question_hash(a.b, a.len) != dns_question_hash(c.b, c.len));
	for (size_t len = 0; len < a.len; len++) {
		uint8_t *copy = xmemdup(a.b, len ? len : 1);

		assert_int_equal(dns_question_hash(copy, len), 0);
		free(copy);
	}
	a.b[5] = 0;
	assert_int_equal(dns_question_hash(a.b, a.len), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	  cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_not_plain), cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_negative),  cmocka_unit_test(test_ptr),
		cmocka_unit_test(test_reverse),	  cmocka_unit_test(test_question_hash),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
