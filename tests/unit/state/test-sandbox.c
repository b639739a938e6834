/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be called in the sandbox, and what may not, each tried in a process of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/child.h"
#include "io/file.h"
#include "io/loop.h"
#include "state/sandbox.h"

#define HAVE_NONE 77

/* Run @fn in a sandbox. Return: what it returns, or HAVE_NONE */
static int inside(unsigned parts, int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct err err = {0};

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			_exit(1);
		int r = sandbox_enter(parts, &err);
		if (r == -ENOTSUP || (r == 0 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0))
			_exit(HAVE_NONE);
		_exit(r < 0 ? 1 : fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void expect(unsigned parts, int (*fn)(void))
{
	assert_int_equal(inside(parts, fn), 0);
}

static int is_there(void)
{
	return 0;
}

#define REFUSED(call) ((call) < 0 && errno == EPERM ? 0 : __LINE__ % 70 + 2)

static int refused_all(void)
{
	int r = REFUSED(unshare(CLONE_NEWUSER));

	r = r ? r : REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	r = r ? r : REFUSED(mount("none", "/", NULL, 0, NULL));
	r = r ? r : REFUSED(setns(0, 0));
	r = r ? r : REFUSED(kill(getppid(), 0));
	r = r ? r : REFUSED(syscall(SYS_bpf, 0, NULL, 0));
	r = r ? r : REFUSED(syscall(SYS_keyctl, 0, 0));
	r = r ? r : REFUSED(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
	r = r ? r : REFUSED(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
	r = r ? r : REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
	r = r ? r : REFUSED(socket(AF_ALG, SOCK_SEQPACKET, 0));
	r = r ? r : REFUSED(execl("/bin/true", "true", (char *)NULL));
	r = r ? r : REFUSED(fork());
	return r;
}

static void test_refused(void **state)
{
	expect(SANDBOX_NET, refused_all);
	expect(SANDBOX_NET | SANDBOX_THREADS, refused_all);
}

/* What the log has of three refused calls, two of them the same */
static int named(void)
{
	static const char line[] = "warning docker-router: system call refused: it fails with EPERM call=";
	char want[400], got[sizeof(want)] = "";
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 || dup2(fds[1], STDERR_FILENO) < 0)
		return 2;
	if (unshare(CLONE_NEWUSER) == 0 || mount("none", "/", NULL, 0, NULL) == 0 || unshare(CLONE_NEWUSER) == 0)
		return 3;
	str_print(want, "%sunshare\n%smount\n", line, line);
	if (read(fds[0], got, sizeof(got) - 1) < 0 || strcmp(got, want) != 0) {
		printf("# %s", got);
		return 4;
	}
	/* one that somebody sends is nothing */
	return raise(SIGSYS) == 0 && read(fds[0], got, sizeof(got)) < 0 ? 0 : 5;
}

static void test_named(void **state)
{
#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__) || defined(__arm__)
	expect(SANDBOX_NET, named);
	expect(SANDBOX_NET | SANDBOX_THREADS, named);
#endif
}

static int no_socket(void)
{
	return REFUSED(socket(AF_INET, SOCK_DGRAM, 0));
}

static void test_no_socket(void **state)
{
	expect(0, no_socket);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

/* A loop with a timer and a watch, a file replaced, sockets of each family */
static int works(void)
{
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
	struct err err = {0};
	uv_loop_t loop;
	char path[64];

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		autoclose int fd = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (fd < 0 && errno == EPERM)
			return 2;
	}
	loop_init(&loop);
	struct timer *t = timer_new(&loop, "stop", stop, &loop);
	timer_start(t, 1);
	loop_run(&loop);
	timer_free(t);
	loop_done(&loop);
	str_print(path, "/tmp/docker-router-sandbox-%d", (int)getpid());
	autoclose int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file_replace(fd, path + 5, "x", 1, 0644, 0, &err) < 0)
		return 3;
	return unlink(path) < 0 ? 4 : 0;
}

static void test_works(void **state)
{
	expect(SANDBOX_NET, works);
}

static void *nothing(void *arg)
{
	return arg;
}

static int thread(void)
{
	struct addrinfo *found = NULL;
	pthread_t t;

	if (pthread_create(&t, NULL, nothing, NULL) != 0)
		return 2;
	pthread_join(t, NULL);
	if (getaddrinfo("127.0.0.1", "80", NULL, &found) != 0)
		return 3;
	freeaddrinfo(found);
	return fork() < 0 ? 0 : 4;
}

static int no_thread(void)
{
	pthread_t t;

	return pthread_create(&t, NULL, nothing, NULL) == 0 ? 2 : 0;
}

static void test_threads(void **state)
{
	expect(SANDBOX_NET | SANDBOX_THREADS, thread);
	expect(SANDBOX_NET, no_thread);
}

struct run {
	uv_loop_t loop;
	int status;
};

static void ended(void *arg, const struct child_result *r)
{
	struct run *run = arg;

	run->status = r->status;
	loop_stop(&run->loop);
}

static int program(void)
{
	static const char *const argv[] = {"/bin/sh", "-c", "mount -t tmpfs x /mnt 2>/dev/null && exit 5; exit 3",
					   NULL};
	struct child_spec spec = {.argv = argv, .stdin_fd = -1, .ns_fd = -1};
	struct err err = {0};
	struct child *child;
	struct run run = {.status = -1};

	loop_init(&run.loop);
	if (child_spawn(&run.loop, &spec, ended, &run, &child, &err) < 0)
		return 2;
	loop_run(&run.loop);
	loop_done(&run.loop);
	return run.status == 3 ? 0 : 4;
}

static void test_children(void **state)
{
	expect(SANDBOX_NET | SANDBOX_CHILDREN, program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused), cmocka_unit_test(test_named),	cmocka_unit_test(test_no_socket),
		cmocka_unit_test(test_works),	cmocka_unit_test(test_threads), cmocka_unit_test(test_children),
	};

	if (inside(SANDBOX_NET, is_there) == HAVE_NONE) {
		printf("1..0 # SKIP no filter: built with sanitizers, or this kernel has none\n");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
