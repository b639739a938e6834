/* SPDX-License-Identifier: Apache-2.0
 *
 * What routers' advertisements say, and when: soon after a change, seldom later, and goodbye.
 */
#include "relay.h"

#include "multicast/advertise.h"
#include "multicast/gmp.h"

static struct prefix net(const char *s)
{
	struct prefix p;

	assert_int_equal(prefix_parse(s, &p), 0);
	return p;
}

static void test_packet(void **state)
{
	struct prefix v[] = {net("2001:db8:30::/64"), net("2001:db8:31::1:0/112")};
	struct ip from = ip_of("fe80::1"), v4 = ip_of("192.0.2.1");
	uint8_t p[ADVERTISE_BYTES];
	struct advertise a = {0};

	assert_int_equal(advertise_next(&a, (mono_t){S}, &from, p), 0);
	advertise_set(&a, (mono_t){S}, v, 2);
	assert_int_equal(advertise_next(&a, (mono_t){S}, &v4, p), 0);
	assert_int_equal(advertise_next(&a, (mono_t){S}, &from, p), 40 + 16 + 16 + 24);
	assert_int_equal(p[7], 255);
	assert_memory_equal(p + 8, from.b, 16);
	assert_int_equal(gmp_checksum(gmp_sum(56 + 58, p + 8, 32), p + 40, 56), 0);
	assert_int_equal(p[40], 134);
	assert_int_equal(p[46] << 8 | p[47], 0); /* no default route */
	assert_int_equal(p[56], 24);
	assert_int_equal(p[57], 2);
	assert_int_equal(p[58], 64);
	assert_int_equal(p[62] << 8 | p[63], ADVERTISE_LIFE_S);
	assert_memory_equal(p + 64, v[0].ip.b, 8);
	assert_int_equal(p[72], 24);
	assert_int_equal(p[73], 3);
	assert_int_equal(p[74], 112);
	assert_memory_equal(p + 80, v[1].ip.b, 16);
}

static void test_times(void **state)
{
	struct prefix a_net = net("2001:db8:30::/64"), b_net = net("2001:db8:31::/64");
	struct ip from = ip_of("fe80::1");
	uint8_t p[ADVERTISE_BYTES];
	struct advertise a = {0};
	int64_t now = S;

	assert_true(advertise_due(&a) == INT64_MAX);
	advertise_set(&a, (mono_t){now}, &a_net, 1);
	for (int i = 0; i < 3; i++) {
		now = advertise_due(&a);
		assert_true(now == S + i * ADVERTISE_MIN_US);
		assert_int_equal(advertise_next(&a, (mono_t){now}, &from, p), 72);
		assert_int_equal(advertise_next(&a, (mono_t){now}, &from, p), 0);
	}
	assert_true(advertise_due(&a) - now == ADVERTISE_EVERY_US);
	advertise_set(&a, (mono_t){now}, &a_net, 1); /* nothing new */
	assert_true(advertise_due(&a) - now == ADVERTISE_EVERY_US);
	/* another in its place: the old one is over, three times */
	advertise_set(&a, (mono_t){now}, &b_net, 1);
	for (int i = 0; i < 3; i++) {
		assert_true(advertise_due(&a) == now + ADVERTISE_MIN_US); /* not sooner, though it is news */
		now = advertise_due(&a);
		assert_int_equal(advertise_next(&a, (mono_t){now}, &from, p), 88);
		assert_memory_equal(p + 64, b_net.ip.b, 8);
		assert_memory_equal(p + 80, a_net.ip.b, 8);
		assert_int_equal(p[78] << 8 | p[79], 0);
	}
	now = advertise_due(&a);
	assert_int_equal(advertise_next(&a, (mono_t){now}, &from, p), 72);
	/* none: goodbye, then silence */
	advertise_set(&a, (mono_t){now}, NULL, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(advertise_next(&a, (mono_t){advertise_due(&a)}, &from, p), 72);
	assert_true(advertise_due(&a) == INT64_MAX);
}

/* The LAN is left: all is taken back in one packet, however short the time since the last one */
static void test_end(void **state)
{
	struct prefix v[2] = {net("2001:db8:30::/64"), net("2001:db8:31::/64")};
	struct ip from = ip_of("fe80::1");
	uint8_t p[ADVERTISE_BYTES];
	struct advertise a = {0};

	assert_int_equal(advertise_end(&a, &from, p), 0);
	advertise_set(&a, (mono_t){S}, v, 2);
	assert_int_equal(advertise_next(&a, (mono_t){S}, &from, p), 88);
	advertise_set(&a, (mono_t){S}, v, 1); /* and what was still to be taken back */
	assert_int_equal(advertise_end(&a, &from, p), 88);
	for (int i = 0; i < 2; i++) {
		assert_memory_equal(p + 64 + 16 * i, v[i].ip.b, 8);
		assert_int_equal(p[62 + 16 * i] << 8 | p[63 + 16 * i], 0);
	}
	assert_true(advertise_due(&a) == INT64_MAX);
	assert_int_equal(advertise_end(&a, &from, p), 0);
}

/* More than fit, and as many again: never beyond the packet */
static void test_many(void **state)
{
	struct prefix v[2 * ADVERTISE_PREFIXES];
	struct ip from = ip_of("fe80::1");
	uint8_t p[ADVERTISE_BYTES];
	struct advertise a = {0};

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		v[i] = net("2001:db8::/96");
		v[i].ip.b[6] = (uint8_t)i;
	}
	advertise_set(&a, (mono_t){0}, v, ARRAY_LEN(v));
	assert_int_equal(advertise_next(&a, (mono_t){0}, &from, p), ADVERTISE_BYTES);
	advertise_set(&a, (mono_t){0}, v + ADVERTISE_PREFIXES, ADVERTISE_PREFIXES);
	assert_int_equal(advertise_next(&a, (mono_t){0}, &from, p), ADVERTISE_BYTES);
	advertise_set(&a, (mono_t){0}, v, 1);
	assert_true(a.n_over <= ADVERTISE_PREFIXES);
	assert_true(advertise_next(&a, (mono_t){0}, &from, p) <= ADVERTISE_BYTES);
}

/* A solicitation with @options behind it, signed; its length */
static size_t solicit(const char *from, const void *options, size_t n, uint8_t p[static 80])
{
	struct ip src = ip_of(from), dst = ip_of("ff02::2");

	memset(p, 0, 80);
	p[0] = 0x60;
	gmp_set16(p + 4, 8 + n);
	p[6] = 58;
	p[7] = 255;
	memcpy(p + 8, src.b, 16);
	memcpy(p + 24, dst.b, 16);
	p[40] = 133;
	if (n)
		memcpy(p + 48, options, n);
	gmp_set16(p + 42, gmp_checksum(gmp_sum((uint32_t)(8 + n) + 58, p + 8, 32), p + 40, 8 + n));
	return 48 + n;
}

/* Of one byte that differs, with the checksum put right unless it is the checksum itself */
static bool accepted(size_t at, uint8_t value)
{
	uint8_t p[80];
	size_t len = solicit("fe80::9", "\1\1\0\1\2\3\4\5", 8, p);

	p[at] = value;
	if (at != 42) {
		p[42] = p[43] = 0;
		gmp_set16(p + 42, gmp_checksum(gmp_sum((uint32_t)gmp_get16(p + 4) + 58, p + 8, 32), p + 40, len - 40));
	}
	return advertise_is_solicitation(p, len);
}

static void test_solicitation(void **state)
{
	uint8_t p[80], *copy;
	size_t len = solicit("fe80::9", "\1\1\0\1\2\3\4\5", 8, p);

	assert_true(advertise_is_solicitation(p, len));
	for (size_t n = 0; n < len; n++) {
		copy = xmemdup(p, n + 1); /* a block of its own, so that reading behind it is seen */
		assert_false(advertise_is_solicitation(copy, n));
		free(copy);
	}
	assert_true(advertise_is_solicitation(p, solicit("fe80::9", NULL, 0, p)));
	assert_true(advertise_is_solicitation(p, solicit("::", NULL, 0, p)));
	assert_false(advertise_is_solicitation(p, solicit("::", "\1\1\0\1\2\3\4\5", 8, p)));
	assert_true(advertise_is_solicitation(p, solicit("::", "\7\1\0\1\2\3\4\5", 8, p)));
	assert_true(accepted(48, 1));
	assert_false(accepted(0, 0x45));
	assert_false(accepted(7, 254)); /* it came over a router */
	assert_false(accepted(40, 134));
	assert_false(accepted(41, 1));
	assert_false(accepted(42, 0x12));
	assert_false(accepted(49, 0));
	assert_false(accepted(49, 2));
	assert_false(accepted(5, 200));
}

static void test_solicited(void **state)
{
	struct prefix v = net("2001:db8:30::/64");
	struct ip from = ip_of("fe80::1");
	uint8_t p[ADVERTISE_BYTES];
	struct advertise a = {0};
	int64_t now = S;

	advertise_solicited(&a, (mono_t){now}, 7); /* there is nothing to say */
	assert_true(advertise_due(&a) == INT64_MAX);
	advertise_set(&a, (mono_t){now}, &v, 1);
	advertise_solicited(&a, (mono_t){now}, 7); /* it is to be said anyway */
	assert_true(advertise_due(&a) == now);
	for (int i = 0; i < 3; i++) {
		now = advertise_due(&a);
		assert_int_equal(advertise_next(&a, (mono_t){now}, &from, p), 72);
	}
	/* a second after the last one: three seconds after it, and who asks beside gets the same */
	advertise_solicited(&a, (mono_t){now + S}, 123456);
	assert_true(advertise_due(&a) == now + ADVERTISE_MIN_US + 123456);
	advertise_solicited(&a, (mono_t){now + 2 * S}, 400000);
	assert_true(advertise_due(&a) == now + ADVERTISE_MIN_US + 123456);
	now = advertise_due(&a);
	assert_int_equal(advertise_next(&a, (mono_t){now}, &from, p), 72);
	/* later: within half a second, whatever the number */
	now += 10 * S;
	advertise_solicited(&a, (mono_t){now}, UINT32_MAX);
	assert_true(advertise_due(&a) >= now && advertise_due(&a) <= now + ADVERTISE_DELAY_US);
	now = advertise_due(&a);
	assert_int_equal(advertise_next(&a, (mono_t){now}, &from, p), 72);
	assert_true(advertise_due(&a) == now + ADVERTISE_EVERY_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_packet),	cmocka_unit_test(test_times),
					   cmocka_unit_test(test_many),		cmocka_unit_test(test_end),
					   cmocka_unit_test(test_solicitation), cmocka_unit_test(test_solicited)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
