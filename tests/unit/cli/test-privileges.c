/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/PID/status as kernels write it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "cli/privileges.h"

#define STATUS(uid, prm, bnd, rest)                                                                                  \
	"Name:\tdocker-router-d\nUmask:\t0022\nState:\tS (sleeping)\nPid:\t7\nUid:\t" uid "\t" uid "\t" uid "\t" uid \
	"\nGid:\t0\t0\t0\t0\nCapInh:\t0000000000000000\nCapPrm:\t" prm "\nCapEff:\t0000000000000000\nCapBnd:\t" bnd  \
	"\nCapAmb:\t0000000000000000\n" rest

static void text_is(const char *status, const char *text)
{
	struct privileges p;
	autobuf struct buf b = {0};

	assert_int_equal(privileges_parse(status, &p), 0);
	privileges_text(&p, &b);
	assert_string_equal(b.data, text);
}

static void test_parse(void **state)
{
	text_is(STATUS("4294967294", "0000000000000000", "0000000000000000", "NoNewPrivs:\t1\nSeccomp:\t2\n"),
		"uid 4294967294, no capability, no_new_privs, seccomp");
	text_is(STATUS("0", "0000000000001000", "0000000000001000", "NoNewPrivs:\t1\nSeccomp:\t0\n"),
		"root, net_admin, no_new_privs");
	text_is(STATUS("0", "0000000000003000", "0000000000003000", "NoNewPrivs:\t1\nSeccomp:\t0\n"),
		"root, net_admin+net_raw, no_new_privs");
	text_is(STATUS("0", "000001fffeffffff", "000001ffffffffff", "NoNewPrivs:\t0\n"),
		"root, all capabilities but sys_resource");
	text_is(STATUS("0", "000001ffffffffff", "000001ffffffffff", "NoNewPrivs:\t0\n"), "root, all capabilities");
	text_is(STATUS("0", "0000003fffffffff", "0000003fffffffff", "NoNewPrivs:\t0\nSeccomp:\t0\n"),
		"root, all capabilities");
	text_is(STATUS("0", "0000010000000000", "000001ffffffffff", "NoNewPrivs:\t0\nSeccomp:\t0\n"),
		"root, checkpoint_restore");
}

static void test_others(void **state)
{
	struct privileges p;

	assert_int_equal(privileges_parse("", &p), -ENOENT);
	assert_int_equal(privileges_parse("Name:\tbash\nUid:\t0\t0\t0\t0\n", &p), -ENOENT);
	assert_int_equal(privileges_parse("Name:\tdocker-router-d\nUid:\t0\t0\t0\t0\n", &p), -EBADMSG);
	assert_true(privileges_read(2147483001, &p) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_others)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
