/* SPDX-License-Identifier: Apache-2.0
 *
 * Namespaces: made, pinned, entered and left, and what is refused.
 */
#include "help.h"

#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "io/nic_conf.h"
#include "io/ns.h"

static char dir[64];

static int group_setup(void **state)
{
	(void)state;
	help_mkdir(dir);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	help_rm(dir);
	return 0;
}

static void test_life(void **state)
{
	autofree char *path = xasprintf("%s/one", dir);
	int made, again, home = ns_open("/proc/self/ns/net", NULL);
	struct err err;

	(void)state;
	assert_true(home >= 0);
	made = ns_create(path, NULL);
	assert_true(made >= 0);
	assert_int_equal(ns_create(path, &err), -EEXIST);
	again = ns_open(path, NULL);
	assert_true(again >= 0);
	assert_true(ns_same(made, again));
	assert_false(ns_same(made, home));
	close(again);
	/* we are where we were */
	again = ns_open("/proc/self/ns/net", NULL);
	assert_true(ns_same(home, again));
	close(again);
	close(made);
	assert_int_equal(ns_unpin(path, NULL), 0);
	assert_int_equal(ns_unpin(path, NULL), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(ns_open(path, &err), -ENOENT);
	close(home);
}

static void test_enter(void **state)
{
	autofree char *path = xasprintf("%s/two", dir);
	int ns = ns_create(path, NULL), home = ns_open("/proc/self/ns/net", NULL), now;
	struct ns_guard g;

	(void)state;
	assert_true(ns >= 0);
	assert_int_equal(ns_enter(ns, &g, NULL), 0);
	now = ns_open("/proc/self/ns/net", NULL);
	assert_true(ns_same(ns, now));
	close(now);
	ns_leave(&g);
	now = ns_open("/proc/self/ns/net", NULL);
	assert_true(ns_same(home, now));
	close(now);
	close(ns);
	close(home);
	assert_int_equal(ns_unpin(path, NULL), 0);
}

static void test_what_is_no_namespace(void **state)
{
	autofree char *file = xasprintf("%s/file", dir), *fifo = xasprintf("%s/fifo", dir);
	struct err err;

	(void)state;
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	assert_int_equal(mkfifo(fifo, 0644), 0);
	assert_int_equal(ns_open(file, &err), -EINVAL);
	assert_int_equal(ns_open(fifo, &err), -EINVAL); /* and did not wait for a writer */
	assert_int_equal(ns_open("/dev/null", &err), -EINVAL);
	assert_int_equal(ns_open("/proc/self/ns/mnt", &err), -EINVAL);
	assert_non_null(strstr(err.text, "not a network namespace"));
	/* a namespace that cannot be entered: we stay, and are told */
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct ns_guard g;
	assert_int_equal(ns_enter(fd, &g, &err), -EINVAL);
	close(fd);
}

static void test_socket(void **state)
{
	autofree char *path = xasprintf("%s/three", dir);
	int ns = ns_create(path, NULL), fd;
	struct ifreq ifr = {.ifr_name = "lo"};

	(void)state;
	fd = ns_socket(ns, AF_INET, SOCK_DGRAM, 0, NULL);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	/* what it sees is a fresh namespace's lo, which is down */
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	assert_false(ifr.ifr_flags & IFF_UP);
	close(fd);
	close(ns);
	assert_int_equal(ns_unpin(path, NULL), 0);
}

static int sysctl_read(int ns, const char *path)
{
	struct ns_guard g;
	char c = '?';
	int fd;

	assert_int_equal(ns_enter(ns, &g, NULL), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, &c, 1), 1);
	close(fd);
	ns_leave(&g);
	return c - '0';
}

static void test_sysctl(void **state)
{
	autofree char *path = xasprintf("%s/four", dir);
	int ns = ns_create(path, NULL);
	struct err err;

	(void)state;
	assert_int_equal(ns_sysctl(ns, "ipv4/ip_forward", "1", NULL), 0);
	assert_int_equal(sysctl_read(ns, "/proc/sys/net/ipv4/ip_forward"), 1);
	assert_int_equal(ns_sysctl(ns, "ipv4/ip_forward", "0", NULL), 0);
	assert_int_equal(sysctl_read(ns, "/proc/sys/net/ipv4/ip_forward"), 0);
	assert_int_equal(ns_sysctl(ns, "ipv4/no_such_name", "0", &err), -ENOENT);
	assert_int_equal(ns_sysctl(ns, "../kernel/hostname", "x", &err), -EINVAL);
	close(ns);
	assert_int_equal(ns_unpin(path, NULL), 0);
}

/* Docker's containers have /proc/sys read-only */
static void test_sysctl_over_a_read_only_proc(void **state)
{
	autofree char *path = xasprintf("%s/five", dir);
	int ns = ns_create(path, NULL), home = ns_open("/proc/self/ns/net", NULL), fd;
	char value[12];

	(void)state;
	assert_int_equal(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);
	assert_int_equal(fd, -1);
	assert_int_equal(ns_sysctl(ns, "ipv4/ip_forward", "1", NULL), 0);
	assert_int_equal(sysctl_read(ns, "/proc/sys/net/ipv4/ip_forward"), 1);
	/* a directory to write into is of no use there; what holds the value already is no failure */
	assert_int_equal(nic_conf_open(ns, NULL), -EROFS);
	str_print(value, "%d", sysctl_read(home, "/proc/sys/net/ipv4/ip_forward"));
	assert_int_equal(ns_sysctl_at(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", value), 0);
	assert_int_equal(ns_sysctl_at(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", value[0] == '1' ? "0" : "1"), -EROFS);
	assert_int_equal(umount2("/proc/sys", MNT_DETACH), 0);
	close(home);
	close(ns);
	assert_int_equal(ns_unpin(path, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_enter),
		cmocka_unit_test(test_what_is_no_namespace),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_sysctl),
		cmocka_unit_test(test_sysctl_over_a_read_only_proc),
	};

	if (!help_own_namespaces())
		return help_skip_all("needs root");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
