/* SPDX-License-Identifier: Apache-2.0
 *
 * IGMP and MLD: what is built is understood, what is broken is refused for the right reason, at every length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "multicast/igmp.h"
#include "multicast/mld.h"

static struct ip ip_of(const char *s)
{
	struct ip ip;

	assert_int_equal(ip_parse(s, &ip), 0);
	return ip;
}

/* At the end of a block of its exact size, so that reading behind it is seen. @ret must not be used for its data */
static int igmp(const uint8_t *p, size_t len, struct gmp_message *ret)
{
	uint8_t *copy = xmemdup(p, len);
	enum igmp_bad bad = igmp_parse(copy, len, ret);

	free(copy);
	return (int)bad;
}

static int mld(const uint8_t *p, size_t len, struct gmp_message *ret)
{
	uint8_t *copy = xmemdup(p, len);
	enum mld_bad bad = mld_parse(copy, len, ret);

	free(copy);
	return (int)bad;
}

/* The checksum of an IGMP message anew, after it was changed */
static void igmp_sign(uint8_t *p, size_t len)
{
	gmp_set16(p + IGMP_HEADER_BYTES + 2, 0);
	gmp_set16(p + IGMP_HEADER_BYTES + 2, gmp_checksum(0, p + IGMP_HEADER_BYTES, len - IGMP_HEADER_BYTES));
}

static void mld_sign(uint8_t *p, size_t len)
{
	size_t n = len - MLD_HEADER_BYTES;

	gmp_set16(p + MLD_HEADER_BYTES + 2, 0);
	gmp_set16(p + MLD_HEADER_BYTES + 2,
		  gmp_checksum(gmp_sum((uint32_t)n + 58, p + 8, 32), p + MLD_HEADER_BYTES, n));
}

static void test_igmp_query(void **state)
{
	struct ip from = ip_of("192.0.2.1"), sources[2] = {ip_of("198.51.100.1"), ip_of("198.51.100.2")};
	struct gmp_query q = {
		.version = 3, .max_response_us = 10 * USEC_PER_SEC, .interval_us = 125 * USEC_PER_SEC, .robustness = 2};
	uint8_t p[GMP_PACKET];
	struct gmp_message m;
	size_t len = igmp_query_build(&from, &q, p);

	assert_int_equal(igmp(p, len, &m), IGMP_OK);
	assert_int_equal(m.kind, GMP_QUERY);
	assert_int_equal(m.version, 3);
	assert_true(ip_is_none(&m.group));
	assert_int_equal(m.max_response_us, 10 * USEC_PER_SEC);
	assert_int_equal(m.interval_us, 125 * USEC_PER_SEC);
	assert_int_equal(m.robustness, 2);
	assert_false(m.suppress);
	assert_int_equal(ip_cmp(&m.from, &from), 0);
	struct ip to = igmp_target(p);
	assert_int_equal(to.b[3], 1);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(igmp(p, cut, &m), IGMP_BAD_IP);
	/* padding of a short frame is not looked at */
	p[len] = 0xff;
	assert_int_equal(igmp(p, len + 1, &m), IGMP_OK);

	q.group = ip_of("239.1.2.3");
	q.sources = sources;
	q.n_sources = 2;
	q.suppress = true;
	len = igmp_query_build(&from, &q, p);
	assert_int_equal(igmp_parse(p, len, &m), IGMP_OK);
	assert_true(m.suppress);
	assert_int_equal(m.count, 2);
	struct ip second = gmp_source(AF_INET, m.data, 1);
	assert_int_equal(ip_cmp(&second, &sources[1]), 0);
	to = igmp_target(p);
	assert_int_equal(ip_cmp(&to, &q.group), 0);
	p[IGMP_HEADER_BYTES + 11] = 3; /* three sources, and bytes of two */
	igmp_sign(p, len);
	assert_int_equal(igmp(p, len, &m), IGMP_BAD_LENGTH);

	q = (struct gmp_query){.version = 2, .max_response_us = 10 * USEC_PER_SEC};
	len = igmp_query_build(&from, &q, p);
	assert_int_equal(igmp(p, len, &m), IGMP_OK);
	assert_int_equal(m.version, 2);
	q.version = 1;
	len = igmp_query_build(&from, &q, p);
	assert_int_equal(igmp(p, len, &m), IGMP_OK);
	assert_int_equal(m.version, 1);
	assert_int_equal(m.max_response_us, 10 * USEC_PER_SEC);
}

static void test_igmp_report(void **state)
{
	struct ip from = ip_of("192.0.2.9");
	static const uint8_t sources[8] = {198, 51, 100, 1, 198, 51, 100, 2};
	struct gmp_record records[2] = {{GMP_TO_EXCLUDE, ip_of("239.1.2.3"), NULL, 0},
					{GMP_ALLOW, ip_of("232.1.1.1"), sources, 2}};
	uint8_t p[GMP_PACKET];
	struct gmp_message m;
	struct gmp_record r;
	size_t n, at = 0, len = igmp_report_build(&from, records, 2, p, &n);

	assert_int_equal(n, 2);
	assert_int_equal(igmp_parse(p, len, &m), IGMP_OK);
	assert_int_equal(m.kind, GMP_REPORT);
	assert_true(gmp_record_next(&m, &at, &r));
	assert_int_equal(r.type, GMP_TO_EXCLUDE);
	assert_int_equal(r.n_sources, 0);
	assert_true(gmp_record_next(&m, &at, &r));
	assert_int_equal(r.type, GMP_ALLOW);
	assert_int_equal(r.n_sources, 2);
	assert_memory_equal(r.sources, sources, 8);
	assert_false(gmp_record_next(&m, &at, &r));

	/* a type that is not known is passed over */
	p[IGMP_HEADER_BYTES + 8] = 9;
	igmp_sign(p, len);
	at = 0;
	assert_int_equal(igmp_parse(p, len, &m), IGMP_OK);
	assert_true(gmp_record_next(&m, &at, &r));
	assert_int_equal(r.type, GMP_ALLOW);

	/* auxiliary data is jumped over; more of it than there is, is a wrong length */
	p[IGMP_HEADER_BYTES + 9] = 1;
	igmp_sign(p, len);
	assert_int_equal(igmp_parse(p, len, &m), IGMP_BAD_LENGTH);
	p[IGMP_HEADER_BYTES + 9] = 200;
	igmp_sign(p, len);
	assert_int_equal(igmp(p, len, &m), IGMP_BAD_LENGTH);
	p[IGMP_HEADER_BYTES + 9] = 0;
	p[IGMP_HEADER_BYTES + 6] = 0xff; /* 65,282 records */
	igmp_sign(p, len);
	assert_int_equal(igmp(p, len, &m), IGMP_BAD_LENGTH);
}

static void test_igmp_old(void **state)
{
	struct ip from = ip_of("192.0.2.9"), group = ip_of("239.1.2.3");
	uint8_t p[GMP_PACKET];
	struct gmp_message m;
	struct gmp_record r;
	size_t at = 0, len = igmp_v2_build(&from, &group, false, p);

	assert_int_equal(igmp(p, len, &m), IGMP_OK);
	assert_int_equal(m.version, 2);
	assert_true(gmp_record_next(&m, &at, &r));
	assert_int_equal(r.type, GMP_IS_EXCLUDE);
	assert_int_equal(ip_cmp(&r.group, &group), 0);
	assert_false(gmp_record_next(&m, &at, &r));
	p[IGMP_HEADER_BYTES] = 0x12;
	igmp_sign(p, len);
	assert_int_equal(igmp(p, len, &m), IGMP_OK);
	assert_int_equal(m.version, 1);
	len = igmp_v2_build(&from, &group, true, p);
	assert_int_equal(igmp(p, len, &m), IGMP_OK);
	at = 0;
	assert_true(gmp_record_next(&m, &at, &r));
	assert_int_equal(r.type, GMP_TO_INCLUDE);
}

static void test_igmp_bad(void **state)
{
	/* offset in a v3 report, its value, and what comes of it */
	static const struct {
		size_t at;
		uint8_t value;
		int bad;
		bool sign;
	} cases[] = {
		{0, 0x64, IGMP_BAD_IP, false},	 /* IPv6? */
		{0, 0x44, IGMP_BAD_IP, false},	 /* a header of 16 bytes */
		{0, 0x4f, IGMP_BAD_IP, false},	 /* a header longer than the packet */
		{3, 3, IGMP_BAD_IP, false},	 /* shorter than its header */
		{3, 200, IGMP_BAD_IP, false},	 /* longer than what came */
		{3, 28, IGMP_BAD_LENGTH, false}, /* room for half a message */
		{6, 0x20, IGMP_BAD_IP, false},	 /* a fragment */
		{8, 2, IGMP_BAD_TTL, false},	   {9, 17, IGMP_BAD_IP, false},	      {12, 224, IGMP_BAD_SOURCE, false},
		{12, 127, IGMP_BAD_SOURCE, false}, {12, 255, IGMP_BAD_SOURCE, false}, {19, 23, IGMP_BAD_TARGET, false},
		{20, 1, IGMP_BAD_ALERT, false},	   {24, 0x13, IGMP_OTHER, true}, /* DVMRP */
		{26, 0, IGMP_BAD_CHECKSUM, false},
	};
	struct ip from = ip_of("192.0.2.9");
	struct gmp_record record = {GMP_IS_EXCLUDE, ip_of("239.1.2.3"), NULL, 0};
	struct gmp_message m = {.version = 77};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t p[GMP_PACKET];
		size_t n, len = igmp_report_build(&from, &record, 1, p, &n);

		p[cases[i].at] = cases[i].value;
		if (cases[i].sign)
			igmp_sign(p, len);
		if (igmp(p, len, &m) != cases[i].bad)
			fail_msg("case %zu: %s instead of %s", i, igmp_bad_names[igmp(p, len, &m)],
				 igmp_bad_names[cases[i].bad]);
		assert_int_equal(m.version, 77); /* untouched */
	}
}

static void test_mld(void **state)
{
	struct ip from = ip_of("fe80::1"), source = ip_of("2001:db8::1");
	struct gmp_query q = {.version = 2,
			      .max_response_us = 40000 * USEC_PER_MSEC,
			      .interval_us = 125 * USEC_PER_SEC,
			      .robustness = 2,
			      .group = ip_of("ff05::c"),
			      .sources = &source,
			      .n_sources = 1};
	struct gmp_record record = {GMP_BLOCK, ip_of("ff3e::8000:1"), source.b, 1}, r;
	uint8_t p[GMP_PACKET];
	struct gmp_message m;
	size_t n, at = 0, len = mld_query_build(&from, &q, p);

	assert_int_equal(mld_parse(p, len, &m), MLD_OK);
	assert_int_equal(m.version, 2);
	assert_int_equal(m.max_response_us, 40000 * USEC_PER_MSEC);
	assert_int_equal(m.interval_us, 125 * USEC_PER_SEC);
	assert_int_equal(m.count, 1);
	struct ip first = gmp_source(AF_INET6, m.data, 0);
	assert_int_equal(ip_cmp(&first, &source), 0);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(mld(p, cut, &m), MLD_BAD_IP);
	q = (struct gmp_query){.version = 1, .max_response_us = USEC_PER_SEC};
	len = mld_query_build(&from, &q, p);
	assert_int_equal(mld(p, len, &m), MLD_OK);
	assert_int_equal(m.version, 1);
	assert_int_equal(m.max_response_us, USEC_PER_SEC);

	len = mld_v1_build(&from, &record.group, true, p);
	assert_int_equal(mld(p, len, &m), MLD_OK);
	assert_true(gmp_record_next(&m, &at, &r));
	assert_int_equal(r.type, GMP_TO_INCLUDE);
	len = mld_v1_build(&from, &record.group, false, p);
	assert_int_equal(mld(p, len, &m), MLD_OK);
	assert_int_equal(m.single_type, GMP_IS_EXCLUDE);

	len = mld_report_build(&from, &record, 1, p, &n);
	assert_int_equal(n, 1);
	assert_int_equal(mld_parse(p, len, &m), MLD_OK);
	at = 0;
	assert_true(gmp_record_next(&m, &at, &r));
	assert_int_equal(r.type, GMP_BLOCK);
	assert_int_equal(r.n_sources, 1);
	assert_memory_equal(r.sources, source.b, 16);
	assert_false(gmp_record_next(&m, &at, &r));
}

static void test_mld_bad(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		int bad;
		bool sign;
	} cases[] = {
		{0, 0x40, MLD_BAD_IP, false},	  {5, 255, MLD_BAD_IP, false},	    {5, 0, MLD_BAD_IP, false},
		{6, 58, MLD_BAD_CHECKSUM, false}, {6, 17, MLD_BAD_IP, false},	    {7, 64, MLD_BAD_HOPS, false},
		{8, 0x20, MLD_BAD_SOURCE, true},  {39, 2, MLD_BAD_TARGET, true},    {40, 17, MLD_BAD_IP, false},
		{41, 9, MLD_BAD_IP, false},	  {42, 9, MLD_BAD_ALERT, false},    {43, 200, MLD_BAD_ALERT, false},
		{48, 135, MLD_OTHER, true},	  {50, 0, MLD_BAD_CHECKSUM, false}, {55, 2, MLD_BAD_LENGTH, true},
		{57, 1, MLD_BAD_LENGTH, true},
	};
	struct ip from = ip_of("fe80::1");
	struct gmp_record record = {GMP_IS_EXCLUDE, ip_of("ff05::c"), NULL, 0};
	struct gmp_message m = {.version = 77};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t p[GMP_PACKET];
		size_t n, len = mld_report_build(&from, &record, 1, p, &n);

		p[cases[i].at] = cases[i].value;
		if (cases[i].sign)
			mld_sign(p, len);
		if (mld(p, len, &m) != cases[i].bad)
			fail_msg("case %zu: %s instead of %s", i, mld_bad_names[mld(p, len, &m)],
				 mld_bad_names[cases[i].bad]);
		assert_int_equal(m.version, 77);
	}
}

static void test_many_records(void **state)
{
	struct gmp_record records[300];
	struct ip from4 = ip_of("192.0.2.9"), from6 = ip_of("fe80::1");
	uint8_t p[GMP_PACKET];
	struct gmp_message m;
	size_t n, len;

	for (size_t i = 0; i < ARRAY_LEN(records); i++)
		records[i] = (struct gmp_record){GMP_IS_EXCLUDE, ip_of("239.1.2.3"), NULL, 0};
	len = igmp_report_build(&from4, records, ARRAY_LEN(records), p, &n);
	assert_true(len <= GMP_PACKET && n < ARRAY_LEN(records));
	assert_int_equal(igmp(p, len, &m), IGMP_OK);
	assert_int_equal(m.count, n);
	for (size_t i = 0; i < ARRAY_LEN(records); i++)
		records[i].group = ip_of("ff05::1:3");
	len = mld_report_build(&from6, records, ARRAY_LEN(records), p, &n);
	assert_true(len <= GMP_PACKET && n < ARRAY_LEN(records));
	assert_int_equal(mld(p, len, &m), MLD_OK);
	assert_int_equal(m.count, n);
}

static void test_groups(void **state)
{
	static const char *const refused[] = {"192.0.2.1", "224.0.0.1", "224.0.0.251", "ff01::1",
					      "ff00::1",   "ff02::1",	"2001:db8::1"};
	static const char *const local[] = {"224.0.0.251", "ff02::fb", "ff02::1:ff00:1"};
	static const char *const routed[] = {"239.255.255.250", "224.0.1.1", "232.1.1.1", "ff05::c", "ff0e::1"};
	struct ip ip;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		ip = ip_of(refused[i]);
		assert_non_null(gmp_group_refused(&ip));
	}
	for (size_t i = 0; i < ARRAY_LEN(local); i++) {
		ip = ip_of(local[i]);
		assert_true(gmp_group_is_local(&ip));
	}
	for (size_t i = 0; i < ARRAY_LEN(routed); i++) {
		ip = ip_of(routed[i]);
		assert_null(gmp_group_refused(&ip));
		assert_false(gmp_group_is_local(&ip));
	}
}

static void test_numbers(void **state)
{
	/* what a code says comes back as that code, and times are never said too long */
	for (unsigned code = 1; code < 256; code++)
		assert_int_equal(gmp_float8_code(gmp_float8((uint8_t)code)), code);
	for (uint32_t v = 1; v < 31744; v += 7)
		assert_true(gmp_float8(gmp_float8_code(v)) <= v);
	assert_int_equal(gmp_float8(0xff), 31744);
	assert_int_equal(gmp_checksum(0, (const uint8_t *)"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 8),
			 0x220d); /* RFC 1071 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_igmp_query),   cmocka_unit_test(test_igmp_report),
		cmocka_unit_test(test_igmp_old),     cmocka_unit_test(test_igmp_bad),
		cmocka_unit_test(test_mld),	     cmocka_unit_test(test_mld_bad),
		cmocka_unit_test(test_many_records), cmocka_unit_test(test_groups),
		cmocka_unit_test(test_numbers),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
