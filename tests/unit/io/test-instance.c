/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose router namespaces are these: those tied to this network namespace are found and removed, whatever they are
 * called; those of another stay, and what is no instance.
 */
#include "help.h"

#include <errno.h>
#include <stdlib.h>

#include "io/instance.h"
#include "io/ns.h"

static char dir[64];

static int group_setup(void **state)
{
	(void)state;
	if (!help_own_namespaces())
		return 0; /* the tests skip themselves */
	help_mkdir(dir);
	return mount("none", dir, "tmpfs", 0, NULL);
}

static int group_teardown(void **state)
{
	(void)state;
	if (dir[0]) {
		umount2(dir, MNT_DETACH);
		rmdir(dir);
	}
	return 0;
}

#define SKIP_UNLESS_ROOT()                               \
	do {                                             \
		if (!dir[0]) {                           \
			print_message("# needs root\n"); \
			skip();                          \
		}                                        \
	} while (0)

/* A router namespace as the router makes it: its VXLAN device is made here, and moved. Return: its descriptor */
static int router_make(const char *instance, unsigned vni, const char *links)
{
	autofree char *folder = xasprintf("%s/%s", dir, instance), *pin = xasprintf("%s/vni-%u", folder, vni);
	autofree char *command = xasprintf("set -e; V=%u P=%s\n%s", vni, pin, links);

	mkdir(folder, 0755);
	int ns = ns_create(pin, NULL);
	assert_true(ns >= 0);
	if (system(command) != 0)
		fail_msg("%s", command);
	return ns;
}

#define MAKE_VXLAN                                                                        \
	"ip link add dev vx$V type vxlan id $V dstport 4789; ip link set vx$V netns $P\n" \
	"nsenter --net=$P ip link set vx$V alias docker-router:vxlan:$V\n"
#define MAKE_LEG                                                                           \
	"ip link add dev drl-$V type veth peer name leg-$V; ip link set leg-$V netns $P\n" \
	"nsenter --net=$P ip link set leg-$V alias docker-router:leg:shop\n"
/* a NIC leads to a container, and says nothing of the host */
#define MAKE_NIC                                                                                             \
	"nsenter --net=$P sh -ec 'ip link add dev nic-1 type veth peer name nic-2; ip link set nic-1 alias " \
	"docker-router:nic:shop'\n"

static void take(void *arg, const char *path)
{
	struct buf *b = arg;

	buf_printf(b, "%s ", path + strlen(dir) + 1);
}

static char *left_here(const char *skip)
{
	struct buf found = {0};
	int here = ns_open("/proc/self/ns/net", NULL);

	buf_puts(&found, "");
	instances_left(dir, here, skip, take, &found);
	close(here);
	return found.data;
}

static void expect_left(const char *skip, const char *want)
{
	autofree char *got = left_here(skip);

	assert_string_equal(got, want);
}

static void remove_it(void *arg, const char *path)
{
	(void)arg;
	assert_int_equal(instance_remove(path, NULL), 0);
}

static void test_found_and_removed(void **state)
{
	struct ns_guard g;

	(void)state;
	SKIP_UNLESS_ROOT();
	int here = ns_open("/proc/self/ns/net", NULL),
	    held = router_make("00000001", 1000, MAKE_VXLAN MAKE_LEG MAKE_NIC);
	close(router_make("00000001", 1001, ""));
	close(router_make("00000002", 2000, MAKE_LEG));
	/* nothing leads from there to us */
	close(router_make("00000003", 3000, MAKE_NIC));
	close(router_make("00000004", 3001, ""));
	/* no instances, whatever is in them */
	close(router_make("00000005x", 4000, MAKE_VXLAN));
	close(router_make("notes", 4001, MAKE_VXLAN));
	autofree char *skip = xasprintf("%s/00000002", dir);
	expect_left(NULL, "00000001 00000002 ");
	expect_left(skip, "00000001 ");

	/* another's, in the same folder; and one that two share */
	autofree char *path = xasprintf("%s/other", dir);
	int other = ns_create(path, NULL);
	assert_int_equal(ns_enter(other, &g, NULL), 0);
	close(router_make("00000006", 1000, MAKE_VXLAN MAKE_LEG));
	close(router_make("00000002", 2001, MAKE_VXLAN));
	expect_left(NULL, "00000006 ");
	ns_leave(&g);
	expect_left(NULL, "00000001 ");

	/* its VNI is free at once, though somebody holds the namespace open; what is not ours in the folder stays */
	autofree char *note = xasprintf("touch %s/00000001/note", dir);
	assert_int_equal(system(note), 0);
	assert_int_not_equal(system("ip link add dev vxt type vxlan id 1000 dstport 4789 2>/dev/null"), 0);
	instances_left(dir, here, NULL, remove_it, NULL);
	assert_int_equal(system("ip link add dev vxt type vxlan id 1000 dstport 4789"), 0);
	autofree char *rest = xasprintf("test $(ls %s/00000001) = note; ip link del vxt", dir);
	assert_int_equal(system(rest), 0);
	expect_left(NULL, "");
	autofree char *stays = xasprintf("test -e %s/00000006/vni-1000 && test -e %s/00000003/vni-3000", dir, dir);
	assert_int_equal(system(stays), 0);
	close(held);
	close(other);
	close(here);
}

static void test_stale_pin(void **state)
{
	(void)state;
	SKIP_UNLESS_ROOT();
	/* a file whose mount is gone is removed with the rest, and no reason to remove anything alone */
	autofree char *make = xasprintf("mkdir %s/0000000a && touch %s/0000000a/vni-5", dir, dir);
	assert_int_equal(system(make), 0);
	expect_left(NULL, "");
	close(router_make("0000000a", 6, MAKE_VXLAN));
	expect_left(NULL, "0000000a ");
	autofree char *path = xasprintf("%s/0000000a", dir);
	assert_int_equal(instance_remove(path, NULL), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(instance_remove(path, NULL), -ENOENT);
}

static void test_claim(void **state)
{
	struct err err = {0};

	(void)state;
	SKIP_UNLESS_ROOT();
	autofree char *path = xasprintf("%s/claims", dir);
	int other = ns_create(path, NULL), one = instance_claim(-1, NULL), two = instance_claim(other, NULL);
	assert_true(one >= 0 && two >= 0);
	assert_int_equal(instance_claim(-1, &err), -EADDRINUSE);
	assert_int_equal(instance_claim(other, &err), -EADDRINUSE);
	close(two);
	assert_int_equal(instance_claim(-1, &err), -EADDRINUSE);
	two = instance_claim(other, NULL);
	assert_true(two >= 0);
	close(one);
	close(two);
	close(other);
}

static void test_pin_names(void **state)
{
	(void)state;
	assert_true(instance_pin_name("vni-1") && instance_pin_name("vni-16777215"));
	assert_false(instance_pin_name("vni-0") || instance_pin_name("vni-01") || instance_pin_name("vni-") ||
		     instance_pin_name("vni-16777216") || instance_pin_name("vni-1x") || instance_pin_name("vni"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_and_removed),
		cmocka_unit_test(test_stale_pin),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_pin_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("instance", tests, group_setup, group_teardown);
}
