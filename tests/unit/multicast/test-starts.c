/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has started is looked for often at first, then seldom, then no more; and not once he was found.
 */
#include "relay.h"

#include "multicast/starts.h"

static void is_looked_for(void **state)
{
	struct ip a = ip_of("172.30.2.9");
	struct starts s = {0};
	struct start e;
	int64_t now = S;
	unsigned n = 0, early = 0;

	assert_true(starts_due(&s) == INT64_MAX);
	starts_add(&s, (mono_t){now}, SHOP, &a);
	while (starts_due(&s) != INT64_MAX) {
		now = starts_due(&s);
		assert_true(starts_next(&s, (mono_t){now}, &e));
		assert_false(starts_next(&s, (mono_t){now}, &e));
		assert_int_equal(e.tries, n);
		assert_true(e.since_us == S && e.leg == SHOP && ip_cmp(&e.who, &a) == 0);
		early += now - S <= S;
		n++;
	}
	assert_int_equal(n, STARTS_TRY);
	assert_true(early >= 6 && now - S > 5 * S && now - S < 20 * S);
}

static void is_found(void **state)
{
	struct ip a = ip_of("172.30.2.9"), b = ip_of("172.30.2.10");
	struct starts s = {0};
	struct start e;

	starts_add(&s, (mono_t){0}, SHOP, &a);
	starts_add(&s, (mono_t){0}, SHOP, &b);
	starts_add(&s, (mono_t){0}, MEDIA, &a);
	assert_true(starts_next(&s, (mono_t){0}, &e));
	starts_add(&s, (mono_t){5}, SHOP, &a); /* once more: from the beginning */
	assert_int_equal(s.n, 3);
	starts_found(&s, SHOP, &a);
	starts_found(&s, SHOP, &a);
	starts_leg_over(&s, MEDIA);
	assert_int_equal(s.n, 1);
	assert_true(starts_next(&s, (mono_t){9}, &e) && ip_cmp(&e.who, &b) == 0);
}

static void is_bounded(void **state)
{
	struct starts s = {0};
	struct ip ip = ip_of("172.30.0.1");

	for (int i = 0; i < 2 * STARTS; i++) {
		ip.b[2] = (uint8_t)(i >> 8);
		ip.b[3] = (uint8_t)i;
		starts_add(&s, (mono_t){0}, SHOP, &ip);
	}
	assert_int_equal(s.n, STARTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(is_looked_for), cmocka_unit_test(is_found),
					   cmocka_unit_test(is_bounded)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
