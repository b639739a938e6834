/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "multicast/multicast.h"

static void actions_stay_in_order_and_own_their_data(void **state)
{
	struct mc_actions a = {0};
	struct endpoint to = {.port = SSDP_PORT};
	char data[] = "hello";

	(void)state;
	mc_send(&a, 1, MDNS_PORT, &to, 1, data, sizeof(data));
	mc_send_by(&a, 2, 77, &to, 2, NULL, 0);
	mc_close(&a, 2, 77);
	mc_drop(&a, 3, "too many");
	data[0] = 'x';
	assert_int_equal(a.n, 4);
	assert_int_equal(a.v[0].kind, MC_SEND);
	assert_string_equal(a.v[0].data, "hello");
	assert_int_equal(a.v[0].src_port, MDNS_PORT);
	assert_int_equal(a.v[0].port, 0);
	assert_int_equal(a.v[1].port, 77);
	assert_int_equal(a.v[1].ttl, 2);
	assert_null(a.v[1].data);
	assert_int_equal(a.v[2].kind, MC_CLOSE);
	assert_int_equal(a.v[3].leg, 3);
	assert_string_equal(a.v[3].why, "too many");
	mc_actions_clear(&a);
	assert_int_equal(a.n, 0);
	mc_drop(&a, 1, "again");
	assert_null(a.v[0].data); /* nothing of what was there before */
	mc_actions_done(&a);
	assert_null(a.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(actions_stay_in_order_and_own_their_data)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
