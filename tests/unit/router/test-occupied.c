/* SPDX-License-Identifier: Apache-2.0
 *
 * A VNI that is taken: the words name the pins that may hold it, and leave other failures as they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/occupied.h"

#define OP  "vni:1000 link add vx1000 type vxlan id 1000"
#define WHY "vx1000: make: A VXLAN device with the specified VNI already exists"

static void sh(const char *dir, const char *words)
{
	autofree char *command = xasprintf("cd %s && %s", dir, words);

	assert_int_equal(system(command), 0);
}

static void test_names_pins(void **state)
{
	char dir[] = "/tmp/dr-occupied-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	sh(dir, "mkdir 00000001 00000002 00000003 && touch 00000001/vni-1000 00000002/vni-1000 00000003/vni-2000");
	autofree char *own = xasprintf("%s/00000001", dir), *other = xasprintf("in %s/00000002/vni-1000 perhaps", dir);

	autofree char *text = occupied_explain(own, OP, WHY, -EEXIST);
	assert_int_equal(strncmp(text, WHY "; ", strlen(WHY "; ")), 0);
	assert_non_null(strstr(text, other));
	assert_non_null(strstr(text, "umount -l"));

	autofree char *third = occupied_explain(own, "vni:3000 link add vx3000 type vxlan", WHY, -EEXIST);
	assert_non_null(strstr(third, "ip -d link show type vxlan"));
	assert_null(strstr(third, dir));

	static const char *const others[] = {"vni:1000 link add leg-1 type veth", "host link add vx1000 type vxlan",
					     "vni: link add vx1000", ""};
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		autofree char *same = occupied_explain(own, others[i], WHY, -EEXIST);
		assert_string_equal(same, WHY);
	}
	autofree char *same = occupied_explain(own, OP, WHY, -EPERM), *no_dir = occupied_explain("", OP, WHY, -EEXIST);
	assert_string_equal(same, WHY);
	assert_non_null(strstr(no_dir, "ip -d link"));
	sh(dir, "rm -r 0000000?");
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names_pins)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("occupied", tests, NULL, NULL);
}
