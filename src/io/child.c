/* SPDX-License-Identifier: Apache-2.0
 *
 * Child processes. libuv's own spawn knows neither network namespaces nor a death signal, so the spawn is ours: vfork()
 * - the parent stands still, with its memory lent and not copied - a few system calls in the child, exec. Its end is
 * seen by SIGCHLD through libuv, and only our own pids are waited for.
 *
 * When the child has ended, what its pipes hold is read without waiting: a grandchild that keeps them open must not
 * hold us up.
 */
#include "io/child.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define CHILD_OUTPUT_BYTES (64u << 10)
#define CHILD_PASS_MAX	   16
#define CHILD_FD_HIGH	   64 /* above all that a child is given */

struct child {
	uv_loop_t *loop;
	pid_t pid; /* 0: reaped */
	int status;
	uv_signal_t sigchld;
	struct timer *timeout;
	struct child_pipe {
		int fd;
		struct fdwatch *watch;
		struct buf text;
	} out, err;
	child_fn *fn; /* NULL: forgotten */
	void *arg;
};

/* --- between vfork() and exec: only system calls, nothing of the parent's is changed --- */

struct child_start {
	const char *path;
	char *const *argv;
	char *const *env;
	int in, out, err; /* out, err: -1: inherited */
	const int *pass_fds;
	size_t n_pass_fds;
	int ns_fd, error_fd, flags;
	pid_t parent;
};

/* Return: false with errno set */
static bool child_fds(const struct child_start *s)
{
	int from[3 + CHILD_PASS_MAX] = {s->in, s->out, s->err};
	size_t n = 3 + s->n_pass_fds;

	for (size_t i = 3; i < n; i++)
		from[i] = s->pass_fds[i - 3];
	/* Out of the way first, or one target could be another's source */
	for (size_t i = 0; i < n; i++) {
		if (from[i] < 0 && (i == 1 || i == 2))
			continue; /* stays as it is */
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, CHILD_FD_HIGH);
		if (from[i] < 0)
			return false;
	}
	for (size_t i = 0; i < n; i++)
		if (from[i] >= 0 && dup2(from[i], (int)i) < 0)
			return false;
	return true;
}

static void __attribute__((noreturn)) child_exec(const struct child_start *s)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	if (s->ns_fd >= 0 && setns(s->ns_fd, CLONE_NEWNET) < 0)
		goto fail;
	if (s->flags & CHILD_DETACH && setsid() < 0)
		goto fail;
	if (s->flags & (CHILD_PDEATHSIG | CHILD_PDEATHKILL)) {
		if (prctl(PR_SET_PDEATHSIG, s->flags & CHILD_PDEATHKILL ? SIGKILL : SIGTERM) < 0)
			goto fail;
		if (getppid() != s->parent) { /* died before we asked */
			errno = ESRCH;
			goto fail;
		}
	}
	if (!child_fds(s))
		goto fail;
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(s->path, s->argv, s->env);
fail:;
	int code = errno ? errno : EIO;
	ssize_t n = write(s->error_fd, &code, sizeof(code));
	_exit(n > 0 ? 127 : 126);
}

/* vfork() returns twice into this frame, so that nothing else may live in it */
static __attribute__((noinline)) pid_t child_vfork(const struct child_start *s)
{
	/* posix_spawn() knows neither setns() nor prctl(); what child_exec() calls is a system call or touches only its
	 * frame */
	pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */

	if (pid == 0)
		child_exec(s); /* NOLINT(clang-analyzer-unix.Vfork) */
	return pid;
}

/* --- in the parent --- */

int child_find(const char *name, char ret[static CHILD_PATH_MAX])
{
	static const char usual[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	const char *path = getenv("PATH");
	autofree char *all = xasprintf("%s%s%s", path ? path : "", path && *path ? ":" : "", usual);
	char *save = NULL;

	if (strchr(name, '/')) {
		if (snprintf(ret, CHILD_PATH_MAX, "%s", name) >= CHILD_PATH_MAX)
			return -ENAMETOOLONG;
		return access(ret, X_OK) < 0 ? -errno : 0;
	}
	for (char *dir = strtok_r(all, ":", &save); dir; dir = strtok_r(NULL, ":", &save))
		if (snprintf(ret, CHILD_PATH_MAX, "%s/%s", dir, name) < CHILD_PATH_MAX && access(ret, X_OK) == 0)
			return 0;
	return -ENOENT;
}

static void child_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void child_pipe_close(struct child_pipe *p)
{
	fdwatch_free(p->watch);
	p->watch = NULL;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void child_free(struct child *c)
{
	timer_free(c->timeout);
	child_pipe_close(&c->out);
	child_pipe_close(&c->err);
	buf_done(&c->out.text);
	buf_done(&c->err.text);
	uv_close((uv_handle_t *)&c->sigchld, child_closed);
}

/* Read what is there, keep what fits. Return: false at the end or on an error */
static bool child_pipe_read(struct child_pipe *p)
{
	char in[8192];

	/* bounded: one that writes for ever is read turn by turn, and after its end a grandchild's flood is not */
	for (int i = 0; p->fd >= 0 && i < 64; i++) {
		ssize_t n = read(p->fd, in, sizeof(in));
		size_t room = CHILD_OUTPUT_BYTES - p->text.len;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		buf_append(&p->text, in, (size_t)n < room ? (size_t)n : room);
	}
	return true;
}

static void child_pipe_readable(void *arg, int events)
{
	struct child_pipe *p = arg;

	(void)events;
	if (!child_pipe_read(p))
		child_pipe_close(p);
}

static void child_ended(struct child *c)
{
	struct child_result r = {.status = -1, .out = &c->out.text, .err_out = &c->err.text};
	child_fn *fn = c->fn;

	child_pipe_read(&c->out);
	child_pipe_read(&c->err);
	/* readers get a string, also where nothing was written */
	buf_puts(&c->out.text, "");
	buf_puts(&c->err.text, "");
	if (WIFEXITED(c->status))
		r.status = WEXITSTATUS(c->status);
	else if (WIFSIGNALED(c->status))
		r.signal = WTERMSIG(c->status);
	c->fn = NULL;
	if (fn)
		fn(c->arg, &r);
	child_free(c);
}

static void child_on_sigchld(uv_signal_t *handle, int signum)
{
	struct child *c = handle->data;
	pid_t pid;

	(void)signum;
	if (c->pid == 0)
		return;
	do {
		pid = waitpid(c->pid, &c->status, WNOHANG);
	} while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return;
	if (pid < 0)
		c->status = -1; /* somebody waited for it in our place: neither exit nor signal */
	c->pid = 0;
	child_ended(c);
}

static void child_timed_out(void *arg)
{
	child_signal(arg, SIGKILL);
}

static int child_pipe_open(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	/* only our end: the child's programs do not expect a pipe that says EAGAIN */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return 0;
}

static void child_pipe_watch(struct child *c, struct child_pipe *p, int *fd)
{
	p->fd = steal_fd(*fd);
	p->watch = fdwatch_new(c->loop, "child-output", p->fd, UV_READABLE, child_pipe_readable, p);
}

/* vfork and exec. Return: pid, or -errno of what failed in the child before exec */
static int child_start(struct child_start *s)
{
	autoclose int error_read = -1, error_write = -1;
	sigset_t all, before;
	int ends[2], code = 0;
	pid_t pid;
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	error_read = ends[0];
	/* not among the numbers that the child's own descriptors take */
	s->error_fd = error_write = fcntl(ends[1], F_DUPFD_CLOEXEC, CHILD_FD_HIGH);
	close(ends[1]);
	if (error_write < 0)
		return -errno;
	s->parent = getpid();
	/* A handler of ours must not run in the child, in memory that is the parent's */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = child_vfork(s);
	if (pid < 0)
		pid = -errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return pid;
	close(steal_fd(error_write));
	do {
		n = read(error_read, &code, sizeof(code));
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(code))
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return -code;
}

int child_spawn(uv_loop_t *loop, const struct child_spec *spec, child_fn *fn, void *arg, struct child **ret,
		struct err *err)
{
	autoclose int null = -1, out_read = -1, out_write = -1, err_read = -1, err_write = -1;
	char path[CHILD_PATH_MAX];
	struct child_start start = {
		.path = path,
		.argv = (char *const *)spec->argv,
		.env = spec->env ? (char *const *)spec->env : environ,
		.in = spec->stdin_fd,
		.out = -1,
		.err = -1,
		.pass_fds = spec->pass_fds,
		.n_pass_fds = spec->n_pass_fds,
		.ns_fd = spec->ns_fd,
		.flags = spec->flags,
	};
	struct child *c;
	int rc, ends[2];

	if (spec->n_pass_fds > CHILD_PASS_MAX)
		return err_set(err, -E2BIG, "run %s: %zu descriptors to pass", spec->argv[0], spec->n_pass_fds);
	rc = child_find(spec->argv[0], path);
	if (rc < 0)
		return err_errno(err, rc, "run %s", spec->argv[0]);
	if (spec->stdin_fd < 0) {
		start.in = null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (null < 0)
			return err_errno(err, -errno, "run %s: /dev/null", spec->argv[0]);
	}
	if (spec->flags & (CHILD_DETACH | CHILD_QUIET))
		start.out = start.err = start.in;
	if (spec->flags & CHILD_COLLECT) {
		rc = child_pipe_open(ends);
		if (rc < 0)
			return err_errno(err, rc, "run %s: pipe", spec->argv[0]);
		out_read = ends[0];
		out_write = ends[1];
		start.out = out_write;
		rc = child_pipe_open(ends);
		if (rc < 0)
			return err_errno(err, rc, "run %s: pipe", spec->argv[0]);
		err_read = ends[0];
		err_write = ends[1];
		start.err = err_write;
	}
	c = xcalloc(1, sizeof(*c));
	c->loop = loop;
	c->fn = fn;
	c->arg = arg;
	c->out.fd = c->err.fd = -1;
	uv_signal_init(loop, &c->sigchld);
	c->sigchld.data = c;
	/* before the spawn, so that the shortest life is seen */
	uv_signal_start(&c->sigchld, child_on_sigchld, SIGCHLD);
	rc = child_start(&start);
	if (rc < 0) {
		child_free(c);
		return err_errno(err, rc, "run %s", path);
	}
	c->pid = rc;
	if (spec->flags & CHILD_COLLECT) {
		child_pipe_watch(c, &c->out, &out_read);
		child_pipe_watch(c, &c->err, &err_read);
	}
	if (spec->timeout_ms > 0) {
		c->timeout = timer_new(loop, "child-timeout", child_timed_out, c);
		timer_start(c->timeout, spec->timeout_ms * USEC_PER_MSEC);
	}
	*ret = c;
	return 0;
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

void child_signal(struct child *c, int signum)
{
	if (c->pid > 0)
		kill(c->pid, signum);
}

void child_forget(struct child *c)
{
	c->fn = NULL;
	c->arg = NULL;
}

void child_abandon(struct child *c)
{
	if (!c)
		return;
	if (c->pid > 0)
		waitpid(c->pid, NULL, WNOHANG); /* else init reaps it, after us */
	child_free(c);
}

static void child_find_by_pid(uv_handle_t *handle, void *arg)
{
	struct child **found = arg;
	uv_signal_t *signal_handle = (uv_signal_t *)handle;
	struct child *c;

	if (handle->type != UV_SIGNAL || signal_handle->signal_cb != child_on_sigchld || uv_is_closing(handle))
		return;
	c = handle->data;
	if (c->pid == (*found)->pid)
		*found = c;
}

void child_reap_orphans(uv_loop_t *loop)
{
	for (;;) {
		struct child key = {0}, *c = &key;
		siginfo_t info = {0};

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return;
		key.pid = info.si_pid;
		uv_walk(loop, child_find_by_pid, &c);
		if (c != &key)
			child_on_sigchld(&c->sigchld, SIGCHLD);
		else
			waitpid(key.pid, NULL, WNOHANG);
	}
}
