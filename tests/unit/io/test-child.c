/* SPDX-License-Identifier: Apache-2.0
 *
 * Children: what they print, how they end, what they inherit, where they run.
 */
#include "help.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "io/child.h"
#include "io/ns.h"

struct fixture {
	uv_loop_t loop;
	struct child *child;
	int status, signal, calls;
	char out[1024];
	size_t out_len, err_len;
	bool done;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	loop_init(&f->loop);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_done(&f->loop);
	free(f);
	return 0;
}

static void on_end(void *arg, const struct child_result *r)
{
	struct fixture *f = arg;

	f->calls++;
	f->status = r->status;
	f->signal = r->signal;
	f->out_len = r->out->len;
	f->err_len = r->err_out->len;
	snprintf(f->out, sizeof(f->out), "%s", r->out->data);
	f->done = true;
}

static void run(struct fixture *f, struct child_spec spec, const char *script)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	struct err err;
	int rc;

	spec.argv = argv;
	f->done = false;
	rc = child_spawn(&f->loop, &spec, on_end, f, &f->child, &err);
	if (rc < 0)
		fail_msg("%s", err.text);
	if (!help_wait(&f->loop, &f->done))
		fail_msg("\"%s\" did not end", script);
}

static const struct child_spec collect = {.stdin_fd = -1, .ns_fd = -1, .flags = CHILD_COLLECT};

static void test_output_and_status(void **state)
{
	struct fixture *f = *state;

	run(f, collect, "echo out; echo error >&2; exit 7");
	assert_int_equal(f->status, 7);
	assert_int_equal(f->signal, 0);
	assert_string_equal(f->out, "out\n");
	assert_int_equal(f->err_len, 6);
	run(f, collect, "cat; exit 0"); /* stdin is empty, not ours */
	assert_int_equal(f->status, 0);
	assert_string_equal(f->out, "");
	assert_int_equal(f->calls, 2);
}

static void test_signal_that_killed(void **state)
{
	struct fixture *f = *state;

	run(f, collect, "kill -TERM $$");
	assert_int_equal(f->status, -1);
	assert_int_equal(f->signal, SIGTERM);
}

/* More than a pipe holds, and more than is kept: neither side may stop */
static void test_much_output_is_cut(void **state)
{
	struct fixture *f = *state;

	run(f, collect, "head -c 3000000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3");
	assert_int_equal(f->status, 3);
	assert_int_equal(f->out_len, 65536);
	assert_int_equal(f->err_len, 65536);
}

static void test_timeout(void **state)
{
	struct fixture *f = *state;
	struct child_spec spec = collect;
	int64_t began_us = mono_now().us;

	spec.timeout_ms = 50;
	run(f, spec, "trap '' TERM INT; while :; do read x < /dev/zero; done");
	assert_int_equal(f->signal, SIGKILL);
	assert_true(mono_now().us - began_us >= 50 * USEC_PER_MSEC);
}

/* A grandchild keeps the pipes open; the child's end counts */
static void test_grandchild_holds_nothing_up(void **state)
{
	struct fixture *f = *state;
	pid_t grandchild;

	run(f, collect, "sleep 1000 & echo $!");
	assert_int_equal(f->status, 0);
	grandchild = atoi(f->out);
	assert_true(grandchild > 1);
	assert_int_equal(kill(grandchild, SIGKILL), 0);
}

static void test_descriptors_are_passed(void **state)
{
	struct fixture *f = *state;
	struct child_spec spec = collect;
	int a[2], b[2];

	/* in an order that makes each the other's target, if they are the lowest that are free */
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	assert_int_equal(write(a[1], "A", 1), 1);
	assert_int_equal(write(b[1], "B", 1), 1);
	close(a[1]);
	close(b[1]);
	spec.pass_fds = (const int[]){b[0], a[0]};
	spec.n_pass_fds = 2;
	spec.stdin_fd = -1;
	run(f, spec, "cat <&3; cat <&4; test -e /proc/self/fd/64 || echo none");
	assert_string_equal(f->out, "BAnone\n");
	close(a[0]);
	close(b[0]);
}

static void test_stdin_and_environment(void **state)
{
	struct fixture *f = *state;
	struct child_spec spec = collect;
	int in[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(write(in[1], "input", 5), 5);
	close(in[1]);
	spec.stdin_fd = in[0];
	spec.env = (const char *const[]){"A=b", NULL};
	run(f, spec, "cat; echo $A$HOME");
	assert_string_equal(f->out, "inputb\n");
	close(in[0]);
}

static void test_signals_are_reset(void **state)
{
	struct fixture *f = *state;
	sigset_t block, before;

	/* loop_init() ignores SIGPIPE, and we block one more: the child must know of neither */
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, &before);
	run(f, collect, "sed -n 's/^SigBlk:\\t/0x/p; s/^SigIgn:\\t/ 0x/p' /proc/self/status | tr -d '\\n'");
	sigprocmask(SIG_SETMASK, &before, NULL);
	unsigned long long blocked, ignored;
	assert_int_equal(sscanf(f->out, "%llx %llx", &blocked, &ignored), 2);
	assert_int_equal(blocked, 0);
	/* 32 and 33 are libc's own: it lets nobody touch them, and who started us may have had them ignored */
	assert_int_equal(ignored & ~0x180000000ull, 0);
}

static void test_what_cannot_run(void **state)
{
	struct fixture *f = *state;
	struct child_spec spec = collect;
	struct err err;

	spec.argv = (const char *const[]){"no-such-program-here", NULL};
	assert_int_equal(child_spawn(&f->loop, &spec, on_end, f, &f->child, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no-such-program-here"));
	spec.argv = (const char *const[]){"/etc", NULL}; /* seen by exec only, in the child */
	assert_int_equal(child_spawn(&f->loop, &spec, on_end, f, &f->child, &err), -EACCES);
	spec.argv = (const char *const[]){"sh", NULL};
	spec.pass_fds = (const int[]){4711};
	spec.n_pass_fds = 1;
	assert_int_equal(child_spawn(&f->loop, &spec, on_end, f, &f->child, &err), -EBADF);
	help_spin(&f->loop);
	assert_int_equal(f->calls, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie was left */
}

static void test_many_at_once(void **state)
{
	enum { N = 40 };
	struct fixture *f = *state;
	struct child_spec spec = collect;

	spec.argv = (const char *const[]){"true", NULL};
	for (int i = 0; i < N; i++)
		assert_int_equal(child_spawn(&f->loop, &spec, on_end, f, &f->child, NULL), 0);
	while (f->calls < N) {
		f->done = false;
		assert_true(help_wait(&f->loop, &f->done));
	}
	assert_int_equal(f->calls, N);
}

static void test_forgotten_child_is_reaped(void **state)
{
	struct fixture *f = *state;
	struct child_spec spec = collect;
	pid_t pid;

	spec.argv = (const char *const[]){"sleep", "1000", NULL};
	assert_int_equal(child_spawn(&f->loop, &spec, on_end, f, &f->child, NULL), 0);
	pid = child_pid(f->child);
	child_signal(f->child, SIGKILL);
	child_forget(f->child);
	for (int64_t end_us = mono_now().us + DEADLINE_US; kill(pid, 0) == 0 && mono_now().us < end_us;)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(f->calls, 0);
}

/* Freed at once, which the sanitizers see; the process goes on */
static void test_abandoned(void **state)
{
	static const char *const argv[] = {"sleep", "30", NULL};
	struct child_spec spec = {.argv = argv, .stdin_fd = -1, .ns_fd = -1, .flags = CHILD_COLLECT};
	struct fixture *f = *state;
	pid_t pid;

	assert_int_equal(child_spawn(&f->loop, &spec, on_end, f, &f->child, NULL), 0);
	pid = child_pid(f->child);
	child_abandon(f->child);
	child_abandon(NULL);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(f->calls, 0);
}

static void on_sigchld(uv_signal_t *handle, int signum)
{
	(void)signum;
	child_reap_orphans(handle->loop);
}

/* As PID 1 would: strangers are reaped, our own keep their status */
static void test_orphans_are_reaped(void **state)
{
	struct fixture *f = *state;
	uv_signal_t sigchld;
	pid_t stranger = fork();

	if (stranger == 0)
		_exit(9);
	uv_signal_init(&f->loop, &sigchld);
	uv_signal_start(&sigchld, on_sigchld, SIGCHLD);
	run(f, collect, "exit 5");
	assert_int_equal(f->status, 5);
	child_reap_orphans(&f->loop);
	for (int64_t end_us = mono_now().us + DEADLINE_US; kill(stranger, 0) == 0 && mono_now().us < end_us;)
		child_reap_orphans(&f->loop);
	assert_int_equal(waitpid(stranger, NULL, WNOHANG), -1);
	uv_close((uv_handle_t *)&sigchld, NULL);
	help_spin(&f->loop);
}

/* The child is told when we die, also when we are killed */
static void test_death_signal(void **state)
{
	struct fixture *f = *state;
	struct child_spec spec = collect;
	int life[2];
	pid_t middle;
	char c;

	assert_int_equal(pipe2(life, O_CLOEXEC), 0);
	middle = fork();
	if (middle == 0) {
		spec.flags = CHILD_PDEATHSIG;
		spec.pass_fds = &life[1];
		spec.n_pass_fds = 1;
		spec.argv = (const char *const[]){"sleep", "1000", NULL};
		if (child_spawn(&f->loop, &spec, on_end, f, &f->child, NULL) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	close(life[1]);
	assert_int_equal(waitpid(middle, NULL, 0), middle);
	fcntl(life[0], F_SETFL, O_NONBLOCK);
	/* the end of file comes when the last holder of the other end is dead */
	int64_t end_us = mono_now().us + DEADLINE_US;
	ssize_t n;
	while ((n = read(life[0], &c, 1)) < 0 && mono_now().us < end_us)
		;
	assert_int_equal(n, 0);
	close(life[0]);
}

static void test_namespace(void **state)
{
	struct fixture *f = *state;
	struct child_spec spec = collect;
	char dir[64], here[64] = "", there[64];
	autofree char *pin = NULL;

	if (!help_own_namespaces())
		skip();
	pin = xasprintf("%s/ns", help_mkdir(dir));
	spec.ns_fd = ns_create(pin, NULL);
	assert_true(spec.ns_fd >= 0);
	run(f, collect, "readlink /proc/self/ns/net");
	str_copy(here, f->out);
	run(f, spec, "readlink /proc/self/ns/net");
	str_copy(there, f->out);
	assert_string_not_equal(here, there);
	run(f, collect, "readlink /proc/self/ns/net");
	assert_string_equal(f->out, here); /* we did not move */
	close(spec.ns_fd);
	assert_int_equal(ns_unpin(pin, NULL), 0);
	help_rm(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_output_and_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signal_that_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_much_output_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_grandchild_holds_nothing_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptors_are_passed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stdin_and_environment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signals_are_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_cannot_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten_child_is_reaped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_abandoned, setup, teardown),
		cmocka_unit_test_setup_teardown(test_orphans_are_reaped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death_signal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_namespace, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
