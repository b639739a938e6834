/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the kernel's table as it is to be: in a namespace of our own, with nft.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/forward_rule.h"
#include "io/forward_table.h"

#define LINES "va vb 239.1.2.3\nva vb 239.1.2.4 not=192.0.2.0/24\n"

static void sh(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static void state(const char *lines)
{
	autobuf struct buf text = {0};
	struct err err = {0};
	FILE *nft;

	assert_int_equal(forward_rule_make(lines, strlen(lines), &text, &err), 0);
	forward_table_mark(lines, strlen(lines), &text);
	nft = popen("nft -f -", "w");
	assert_non_null(nft);
	fwrite(text.data, 1, text.len, nft);
	assert_int_equal(pclose(nft), 0);
}

static bool is(const char *lines)
{
	return forward_table_is(lines, strlen(lines));
}

static int setup(void **s)
{
	sh("ip link add dev va type veth peer name vb && ip link set va up && ip link set vb up");
	return 0;
}

static int teardown(void **s)
{
	sh("ip link del va; nft flush ruleset");
	return 0;
}

static void test_none(void **s)
{
	assert_true(is(""));
	assert_false(is(LINES));
	state(LINES);
	assert_false(is(""));
	state("");
	assert_true(is(""));
}

static void test_there(void **s)
{
	state(LINES);
	assert_true(is(LINES));
	assert_false(is("va vb 239.1.2.3\n"));
	assert_false(is(LINES "vb va 239.1.2.5\n"));
	/* another table counts for nothing */
	sh("nft add table netdev other && nft add chain netdev other c && nft add rule netdev other c accept");
	assert_true(is(LINES));
	state("va vb 239.1.2.3\n");
	assert_true(is("va vb 239.1.2.3\n"));
	assert_false(is(LINES));
}

static void test_a_rule_less(void **s)
{
	state(LINES);
	sh("nft flush chain netdev " FORWARD_TABLE " from-va");
	assert_false(is(LINES));
}

static void test_another_device(void **s)
{
	state(LINES);
	sh("ip link del va && ip link add dev va type veth peer name vb && ip link set va up && ip link set vb up");
	assert_false(is(LINES));
	state(LINES);
	assert_true(is(LINES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_rule_less, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_device, setup, teardown),
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0 || system("nft list ruleset >/dev/null 2>&1") != 0) {
		printf("1..0 # SKIP needs root and nft\n");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
