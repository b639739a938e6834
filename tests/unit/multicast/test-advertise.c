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
		assert_true(now <= 3 * S);
		assert_int_equal(advertise_next(&a, (mono_t){now}, &from, p), 72);
		assert_int_equal(advertise_next(&a, (mono_t){now}, &from, p), 0);
	}
	assert_true(advertise_due(&a) - now == ADVERTISE_EVERY_US);
	advertise_set(&a, (mono_t){now}, &a_net, 1); /* nothing new */
	assert_true(advertise_due(&a) - now == ADVERTISE_EVERY_US);
	/* another in its place: the old one is over, three times */
	advertise_set(&a, (mono_t){now}, &b_net, 1);
	for (int i = 0; i < 3; i++) {
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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_packet), cmocka_unit_test(test_times),
					   cmocka_unit_test(test_many)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
