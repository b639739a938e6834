/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of a container, written by the broker: nothing that lies in it leads out of it, or to somebody else's file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "io/ct_file.h"
#include "io/dhcp_child.h"
#include "io/ns.h"

struct fixture {
	char dir[64];
	int root;
};

static int begin(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	char path[128];

	str_copy(f->dir, "/tmp/test-ct-file-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	str_print(path, "%s/root", f->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	f->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->root >= 0);
	*state = f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;
	char command[128];

	close(f->root);
	str_print(command, "rm -r %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static bool there(const struct fixture *f, const char *name)
{
	char path[160];

	str_print(path, "%s/%s", f->dir, name);
	return access(path, F_OK) == 0;
}

static void test_flag(void **state)
{
	struct fixture *f = *state;
	int dir;

	assert_int_equal(ct_flag_make(f->root, NULL), -ENOENT); /* an image without /tmp */
	assert_int_equal(mkdirat(f->root, "tmp", 01777), 0);
	dir = ct_flag_make(f->root, NULL);
	assert_true(dir >= 0);
	assert_true(there(f, "root/tmp/.nsnetsetup"));
	close(dir);
	dir = ct_flag_make(f->root, NULL); /* again: it is there */
	assert_true(dir >= 0);
	ct_flag_remove(dir);
	ct_flag_remove(dir);
	assert_false(there(f, "root/tmp/.nsnetsetup"));
	close(dir);
}

static void test_flag_hostile(void **state)
{
	struct fixture *f = *state;
	char outside[128];
	int dir;

	/* /tmp is a link to the host's: to that of the container it leads */
	str_print(outside, "%s/outside", f->dir);
	assert_int_equal(mkdir(outside, 0755), 0);
	assert_int_equal(symlinkat(outside, f->root, "tmp"), 0);
	assert_true(ct_flag_make(f->root, NULL) < 0);
	assert_int_equal(unlinkat(f->root, "tmp", 0), 0);
	assert_int_equal(symlinkat("../../../../../../../../tmp", f->root, "tmp"), 0);
	assert_true(ct_flag_make(f->root, NULL) < 0);
	assert_int_equal(unlinkat(f->root, "tmp", 0), 0);
	/* the flag is one: it is not followed */
	assert_int_equal(mkdirat(f->root, "tmp", 0755), 0);
	str_print(outside, "%s/made", f->dir);
	assert_int_equal(symlinkat(outside, f->root, "tmp/.nsnetsetup"), 0);
	dir = ct_flag_make(f->root, NULL);
	assert_true(dir >= 0);
	assert_false(there(f, "made"));
	ct_flag_remove(dir);
	close(dir);
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_resolv_owner(void **state)
{
	assert_true(ct_resolv_is_own("", ID));
	assert_true(ct_resolv_is_own("1 2 0:1 / / rw - overlay overlay rw\n", ID));
	assert_true(
		ct_resolv_is_own("1 2 8:1 /var/lib/docker/containers/" ID "/resolv.conf /etc/resolv.conf rw\n", ID));
	assert_false(ct_resolv_is_own("1 2 8:1 /etc/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n", ID));
	assert_false(ct_resolv_is_own("1 2 8:1 /etc /etc rw - ext4 /dev/sda1 rw\n", ID));
	/* the last one mounted is what is seen */
	assert_false(ct_resolv_is_own("1 2 8:1 /x/" ID "/resolv.conf /etc/resolv.conf rw\n"
				      "2 2 8:1 /etc/resolv.conf /etc/resolv.conf rw\n",
				      ID));
}

static void test_process(void **state)
{
	autoclose int own = ns_open("/proc/self/ns/net", NULL);
	struct err err = {0};
	int root = ct_root(getpid(), own, &err);

	assert_true(root >= 0);
	close(root);
	assert_true(ct_root(0, own, &err) < 0);
	assert_true(ct_root(INT32_MAX, own, &err) < 0);
	assert_true(ct_pid_is(getpid(), "short")); /* no id, nothing to look for */
	assert_false(ct_pid_is(getpid(), ID));	   /* we are in no container of that id */
}

static int args(const char *text, struct dhcp_args *ret)
{
	*ret = (struct dhcp_args){0};
	return dhcp_args_parse(text, strlen(text), ret, NULL);
}

static void test_dhcp_args(void **state)
{
	struct dhcp_args a;

	assert_int_equal(args("", &a), 0);
	assert_int_equal(args("hostname=web-1\nclient_id=00646f\nrequest=192.0.2.5\n", &a), 0);
	assert_string_equal(a.hostname, "web-1");
	assert_string_equal(a.client_id, "00646f");
	assert_string_equal(a.request, "192.0.2.5");
	assert_int_equal(args("hostname=-x\n", &a), -EINVAL);
	assert_int_equal(args("hostname=a b\n", &a), -EINVAL);
	assert_int_equal(args("hostname=$(reboot)\n", &a), -EINVAL);
	assert_int_equal(args("hostname=Web\n", &a), -EINVAL);
	assert_int_equal(args("duid=0004aabb\n", &a), 0);
	assert_string_equal(a.duid, "0004aabb");
	assert_int_equal(args("duid=0004aab\n", &a), -EINVAL);
	assert_int_equal(args("duid=00\nia_na 1\n", &a), -EINVAL);
	assert_int_equal(args("client_id=0\n", &a), -EINVAL);
	assert_int_equal(args("client_id=zz\n", &a), -EINVAL);
	assert_int_equal(args("request=2001:db8::1\n", &a), -EINVAL);
	assert_int_equal(args("script=/bin/sh\n", &a), -EINVAL);
	assert_int_equal(args("hostname=web", &a), -EINVAL); /* no end */
	assert_int_equal(dhcp_args_parse("hostname=\0\n", 11, &a, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_flag, begin, end),
		cmocka_unit_test_setup_teardown(test_flag_hostile, begin, end),
		cmocka_unit_test(test_resolv_owner),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_dhcp_args),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
