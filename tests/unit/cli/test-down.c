/* SPDX-License-Identifier: Apache-2.0
 *
 * `down` against the real kernel, in network and mount namespaces of the test's own: a host that runs (a child plays
 * it) is stopped, all that is ours goes, all that is not stays, and a second run finds nothing.
 */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cli/down.h"
#include "cli/run.h"
#include "io/instance.h"
#include "io/ns.h"

struct fixture {
	char dir[64], state_dir[96], run_dir[96], instance[128];
	struct cli cli;
	pid_t host;
};

static void sh(const char *command)
{
	const char *argv[] = {"sh", "-ec", command, NULL};
	struct run_result r;
	struct err err = {0};

	if (run_wait(argv, -1, NULL, NULL, 20000, &r, &err) != 0)
		fail_msg("%s", err.text);
	if (r.status != 0)
		fail_msg("%s: %s", command, r.err_out.data);
	run_result_done(&r);
}

/* First bytes of what a command prints */
static char *output_of(const char *command)
{
	const char *argv[] = {"sh", "-c", command, NULL};
	struct run_result r;
	struct err err = {0};

	assert_int_equal(run_wait(argv, -1, NULL, NULL, 20000, &r, &err), 0);
	buf_done(&r.err_out);
	return r.out.data;
}

static void expect_output(const char *command, const char *want)
{
	autofree char *got = output_of(command);

	if (!str_eq(got, want))
		fail_msg("%s: \"%s\", not \"%s\"", command, got, want);
}

static void put(const char *dir, const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static bool there(const char *dir, const char *name)
{
	autofree char *path = xasprintf("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = {0};

	*state = f;
	if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return 0; /* the test skips itself */
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	str_copy(f->dir, "/tmp/dr-down-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(mount("none", f->dir, "tmpfs", 0, NULL), 0);
	str_print(f->state_dir, "%s/state", f->dir);
	str_print(f->run_dir, "%s/run", f->dir);
	str_print(f->instance, "%s/89abcdef", f->run_dir);
	mkdir(f->state_dir, 0755);
	mkdir(f->run_dir, 0755);
	mkdir(f->instance, 0755);
	put(f->state_dir, "host_id", "89abcdef0123456789abcdef01234567\n");
	f->cli.verb = "down";
	str_copy(f->cli.config.state_dir, f->state_dir);
	str_copy(f->cli.config.run_dir, f->run_dir);
	assert_int_equal(state_dir_view(f->state_dir, &f->cli.dir, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->host > 0) {
		kill(f->host, SIGKILL);
		waitpid(f->host, NULL, 0);
	}
	if (f->dir[0]) {
		close(f->cli.dir.fd);
		umount2(f->dir, MNT_DETACH);
		rmdir(f->dir);
	}
	free(f);
	return 0;
}

#define SKIP_UNLESS_ROOT(f)                              \
	do {                                             \
		if (!(f)->dir[0]) {                      \
			print_message("# needs root\n"); \
			skip();                          \
		}                                        \
	} while (0)

/* What the router leaves behind, and beside it what looks alike and is somebody else's */
static void kernel_fill(struct fixture *f)
{
	autofree char *pin = xasprintf("%s/vni-1000", f->instance);
	struct err err = {0};
	struct ns_guard g;

	int ns = ns_create(pin, &err);
	assert_true(ns >= 0);
	sh("ip link set lo up\n"
	   "ip link add dev br-1 address 02:00:00:00:00:01 type bridge; ip link set br-1 up\n"
	   "ip addr add 192.0.2.1/24 dev br-1\n"
	   "ip link add dev drl-1 type veth peer name eth-1\n"
	   "ip link set drl-1 alias docker-router:leg master br-1 up; ip link set eth-1 up\n"
	   "ip link add dev vx2 type vxlan id 2 dstport 4789; ip link set vx2 alias docker-router:vxlan\n"
	   "ip link add dev other type veth peer name other2; ip link set other alias somebody up; ip link set other2 "
	   "up\n"
	   "ip rule add pref 5000 iif br-1 lookup 21200 protocol 212; ip -6 rule add pref 5000 iif br-1 lookup 21200 "
	   "protocol 212\n"
	   "ip rule add pref 6000 iif br-1 lookup 99 protocol 99\n"
	   "ip route add 198.51.100.0/24 via 192.0.2.9 dev br-1 proto 212 table 21200\n"
	   "ip route add 198.51.101.0/24 via inet6 fe80::9 dev br-1 onlink proto 212 table 21200\n"
	   "ip route add 198.51.102.0/24 via 192.0.2.9 dev br-1 proto 99\n"
	   "ip -6 route add 2001:db8:1::/48 via fe80::9 dev br-1 proto 212 table 21200\n"
	   "ip neigh add fe80::9 lladdr 02:00:00:00:00:09 dev br-1 protocol 212 nud permanent\n"
	   "ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:77 dev br-1 nud permanent\n"
	   "nft add table inet docker-router; nft add table inet mine; nft add table ip docker-router-not\n");
	assert_int_equal(ns_enter(ns, &g, &err), 0);
	sh("ip link add dev vx1000 type vxlan id 1000 dstport 4789; ip link add dev br-in type bridge");
	ns_leave(&g);
	close(ns);
}

static void expect_ours_gone(const struct fixture *f)
{
	expect_output("(ip -N rule; ip -N -6 rule) | grep -c 'proto 212'", "0\n");
	expect_output("ip route show table all proto 212; ip -6 route show table all proto 212", "");
	expect_output("ip -6 neigh show nud permanent | grep -c ^fe80::9", "0\n");
	expect_output("ip -br link | grep -cE 'drl-1|eth-1|vx2'", "0\n");
	expect_output("nft list tables", "table inet mine\ntable ip docker-router-not\n");
	assert_false(there(f->instance, "vni-1000"));
}

static void expect_others_stay(void)
{
	expect_output("ip -N rule | grep 'proto 99' | cut -d: -f1", "6000\n");
	expect_output("ip route show proto 99 | cut -d' ' -f1", "198.51.102.0/24\n");
	expect_output("ip neigh show nud permanent | cut -d' ' -f1", "192.0.2.77\n");
	expect_output("ip -br link | grep -cE '^(br-1|other@|other2@)'", "3\n");
}

/* Silent: what verb_down() prints is not this test's business */
static int down_run(struct fixture *f, int options, char **ret_out)
{
	char path[] = "/tmp/dr-down-out-XXXXXX";
	int out = mkstemp(path), saved = dup(STDOUT_FILENO);
	struct buf text = {0};
	char in[4096];
	ssize_t n;

	unlink(path);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	f->cli.options = options;
	int status = verb_down(&f->cli);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	lseek(out, 0, SEEK_SET);
	buf_puts(&text, "");
	while ((n = read(out, in, sizeof(in))) > 0)
		buf_append(&text, in, (size_t)n);
	close(out);
	*ret_out = text.data;
	return status;
}

static void host_json(const struct fixture *f, pid_t pid, const char *netns)
{
	char here[64] = "";

	if (!netns) {
		assert_true(readlink("/proc/self/ns/net", here, sizeof(here) - 1) > 0);
		netns = here;
	}
	autofree char *text =
		xasprintf("{\"version\":1,\"last_update\":\"2024-01-15T10:30:00Z\",\"pid\":%d,\"instance\":"
			  "\"89abcdef\",\"run_dir\":\"%s\",\"netns\":\"%s\",\"release\":\"0.1.0\",\"roles\":[]}",
			  pid, f->instance, netns);
	put(f->state_dir, "host.json", text);
}

/* A host in a network namespace of its own or ours: holds the lock, ends by SIGTERM - or does not */
static void host_play(struct fixture *f, bool stubborn)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	f->host = fork();
	if (f->host == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* not to outlive a test that dies */
		autofree char *path = xasprintf("%s/host.lock", f->state_dir);
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		char text[16];
		int n = str_print(text, "%d\n", getpid());

		signal(SIGTERM, stubborn ? SIG_IGN : SIG_DFL);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || write(fd, text, (size_t)n) != n ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static void test_all_goes_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	autofree char *dry = NULL, *first = NULL, *second = NULL;

	SKIP_UNLESS_ROOT(f);
	kernel_fill(f);
	host_json(f, 1 << 30, NULL);
	put(f->state_dir, "router.json", "{\"version\":1,\"vnis\":[]}");
	put(f->state_dir, ".router.json.0123456789abcdef", "half");
	put(f->state_dir, "names.json", "{\"version\":1,\"stacks\":[]}");
	put(f->state_dir, ".records.json.0123456789abcdef", "half");
	put(f->state_dir, "notes.txt", "the operator's");

	/* dry: tells all, changes nothing */
	autofree char *before = output_of("ip rule; ip route show table all; ip -br link; ip neigh; nft list ruleset");
	assert_int_equal(down_run(f, OPT_DRY_RUN, &dry), EXIT_DONE);
	autofree char *after = output_of("ip rule; ip route show table all; ip -br link; ip neigh; nft list ruleset");
	assert_string_equal(before, after);
	assert_non_null(strstr(dry, "host: rule 5000: from all iif br-1 lookup 21200 would be removed\n"));
	assert_non_null(strstr(dry, "host: route 198.51.101.0/24 dev br-1 table 21200 would be removed\n"));
	assert_non_null(strstr(dry, "host: neighbour fe80::9 dev br-1 would be removed\n"));
	assert_non_null(strstr(dry, "host: link drl-1 (docker-router:leg) would be removed\n"));
	assert_non_null(strstr(dry, "host: nft table inet docker-router would be removed\n"));
	assert_non_null(strstr(dry, "router namespace 1000: link vx1000 would be removed\n"));
	assert_true(there(f->instance, "vni-1000") && there(f->state_dir, "host.json"));

	assert_int_equal(down_run(f, 0, &first), EXIT_DONE);
	expect_ours_gone(f);
	expect_others_stay();
	assert_false(there(f->state_dir, "host.json"));
	assert_false(there(f->state_dir, "router.json"));
	assert_false(there(f->state_dir, ".router.json.0123456789abcdef"));
	assert_false(there(f->state_dir, "names.json"));
	assert_false(there(f->state_dir, ".records.json.0123456789abcdef"));
	assert_true(there(f->state_dir, "host_id"));
	assert_true(there(f->state_dir, "notes.txt"));
	assert_false(there(f->run_dir, ""));

	assert_int_equal(down_run(f, 0, &second), EXIT_DONE);
	assert_string_equal(second, "nothing to remove\n");
}

/* Of a host id that nobody remembers: what is tied to this network namespace goes, but not while a host works there */
static void test_forgotten_instance(void **state)
{
	struct fixture *f = *state;
	autofree char *forgotten = xasprintf("%s/00000001", f->run_dir), *pin = xasprintf("%s/vni-7", forgotten);
	autofree char *links = xasprintf("ip link add dev vx7 type vxlan id 7 dstport 4789; ip link set vx7 netns %s\n"
					 "nsenter --net=%s ip link set vx7 alias docker-router:vxlan:7",
					 pin, pin);
	autofree char *held = NULL, *out = NULL;
	struct err err = {0};

	SKIP_UNLESS_ROOT(f);
	kernel_fill(f);
	mkdir(forgotten, 0755);
	int ns = ns_create(pin, &err);
	assert_true(ns >= 0);
	close(ns);
	sh(links);

	int claim = instance_claim(-1, &err);
	assert_true(claim >= 0);
	assert_int_equal(down_run(f, 0, &held), EXIT_DONE);
	assert_false(there(f->instance, "vni-1000"));
	assert_true(there(forgotten, "vni-7"));
	close(claim);
	assert_int_equal(down_run(f, 0, &out), EXIT_DONE);
	assert_non_null(strstr(out, "router namespace 7: link vx7 (docker-router:vxlan:7) removed\n"));
	assert_false(there(f->run_dir, ""));
}

static void test_running_host_is_stopped(void **state)
{
	struct fixture *f = *state;
	autofree char *dry = NULL, *out = NULL;

	SKIP_UNLESS_ROOT(f);
	host_play(f, false);
	host_json(f, f->host, "net:[1]"); /* its own word does not matter while it runs */
	kernel_fill(f);
	assert_int_equal(down_run(f, OPT_DRY_RUN, &dry), EXIT_DONE);
	assert_int_equal(kill(f->host, 0), 0);
	assert_int_equal(waitpid(f->host, NULL, WNOHANG), 0);
	assert_non_null(strstr(dry, "would be stopped\n"));

	assert_int_equal(down_run(f, OPT_PURGE, &out), EXIT_DONE);
	int status;
	assert_int_equal(waitpid(f->host, &status, 0), f->host);
	f->host = 0;
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_non_null(strstr(out, "stopped\n"));
	expect_ours_gone(f);
	assert_false(there(f->state_dir, "")); /* purged: nothing was left in it */
}

static void test_other_namespace_is_refused(void **state)
{
	struct fixture *f = *state;
	autofree char *out = NULL, *forced = NULL;

	SKIP_UNLESS_ROOT(f);
	kernel_fill(f);
	host_json(f, 1 << 30, "net:[1]");
	assert_int_equal(down_run(f, 0, &out), EXIT_FAILED);
	assert_true(there(f->instance, "vni-1000") && there(f->state_dir, "host.json"));
	expect_output("ip -N rule | grep 'proto 212' | cut -d: -f1", "5000\n");

	assert_int_equal(down_run(f, OPT_HERE, &forced), EXIT_DONE);
	expect_ours_gone(f);
}

static void test_foreign_lock_is_left_alone(void **state)
{
	struct fixture *f = *state;
	autofree char *out = NULL;
	char text[16];

	SKIP_UNLESS_ROOT(f);
	host_play(f, false);
	pid_t innocent = fork();
	if (innocent == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	/* somebody wrote another pid into it; who does not hold the lock is not signalled */
	str_print(text, "%d\n", innocent);
	put(f->state_dir, "host.lock", text);
	assert_int_equal(down_run(f, 0, &out), EXIT_FAILED);
	assert_int_equal(waitpid(f->host, NULL, WNOHANG), 0);
	assert_int_equal(waitpid(innocent, NULL, WNOHANG), 0);
	kill(innocent, SIGKILL);
	waitpid(innocent, NULL, 0);
}

static void test_without_host_json_the_id_tells(void **state)
{
	struct fixture *f = *state;
	autofree char *out = NULL;

	SKIP_UNLESS_ROOT(f);
	kernel_fill(f);
	assert_int_equal(down_run(f, 0, &out), EXIT_DONE);
	expect_ours_gone(f);
	expect_others_stay();
}

static void test_many(void **state)
{
	struct fixture *f = *state;
	autofree char *out = NULL;

	SKIP_UNLESS_ROOT(f);
	sh("ip link set lo up; ip link add dev br-1 type bridge; ip link set br-1 up; ip addr add 192.0.2.1/24 dev "
	   "br-1\n"
	   "i=0; while [ $i -lt 3000 ]; do echo route add 10.$((i / 250)).$((i % 250)).0/24 via 192.0.2.9 dev br-1 "
	   "proto 212 "
	   "table 21200; i=$((i + 1)); done | ip -batch -\n");
	assert_int_equal(down_run(f, 0, &out), EXIT_DONE);
	expect_output("ip route show table all proto 212", "");
	size_t lines = 0;
	for (const char *p = out; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 3000 + 1); /* and the instance's folder */
}

static void expect_unit(const char *cgroup, const char *unit)
{
	char out[64] = "";

	assert_int_equal(unit_of_cgroup(cgroup, out, sizeof(out)), unit[0] != 0);
	assert_string_equal(out, unit);
}

static void test_unit(void **state)
{
	expect_unit("0::/system.slice/docker-router.service\n", "docker-router.service");
	expect_unit("12:pids:/x\n1:name=systemd:/system.slice/dr@a.service\n0::/y\n", "dr@a.service");
	expect_unit("0::/user.slice/user-0.slice/session-1.scope\n", "");
	expect_unit("0::/system.slice/docker-0123.scope\n", "");
	expect_unit("0::/\n", "");
	expect_unit("0::/system.slice/.service\n", "");
	expect_unit("0::/system.slice/a b.service\n", "");
	expect_unit("0::/system.slice/--force.service\n", ""); /* never an option */
	expect_unit("", "");
}

/* A role is known by its executable; discovery has another one in mode etcd */
static void test_role_runs(void **state)
{
	char dir[] = "/tmp/dr-role-XXXXXX";
	autofree char *exe = NULL, *copy = NULL;
	int gone[2];
	char c;

	assert_non_null(mkdtemp(dir));
	exe = xasprintf("%s/docker-router-discovery-etcd", dir);
	copy = xasprintf("cp /bin/sleep %s", exe);
	sh(copy);
	assert_int_equal(pipe2(gone, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execl(exe, exe, "60", NULL);
		_exit(127);
	}
	close(gone[1]);
	assert_int_equal(read(gone[0], &c, 1), 0); /* it is that executable now */
	close(gone[0]);
	bool known = role_runs("discovery", pid), other = role_runs("disco", pid) || role_runs("router", pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(exe);
	rmdir(dir);
	assert_true(known);
	assert_false(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unit),
		cmocka_unit_test(test_role_runs),
		cmocka_unit_test_setup_teardown(test_all_goes_and_nothing_else, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten_instance, setup, teardown),
		cmocka_unit_test_setup_teardown(test_running_host_is_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_namespace_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_lock_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_host_json_the_id_tells, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
