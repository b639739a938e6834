/* SPDX-License-Identifier: Apache-2.0
 *
 * Child processes: spawn, feed stdin from a descriptor, collect a bounded stdout/stderr, end. Never fork-and-continue:
 * what must run elsewhere (namespace, user) is arranged around the spawn.
 */
#ifndef IO_CHILD_H
#define IO_CHILD_H

#include <sys/types.h>

#include "base/base.h"
#include "io/loop.h"

struct child;

/** struct child_result - How a child ended; @out and @err_out are borrowed for the callback */
struct child_result {
	int status; /* exit status, or -1 */
	int signal; /* that killed it, or 0 */
	const struct buf *out, *err_out;
};
typedef void child_fn(void *arg, const struct child_result *r);

enum child_flags {
	CHILD_COLLECT = 1,     /* stdout and stderr into buffers, 64 KiB each; else inherited */
	CHILD_PDEATHSIG = 2,   /* the child gets SIGTERM when we die */
	CHILD_PDEATHKILL = 16, /* the same with SIGKILL, for who does too much at the other */
	CHILD_QUIET = 8,       /* output to /dev/null */
	CHILD_DETACH = 4,      /* it outlives us: a session of its own, output to /dev/null */
};

/** struct child_spec - What to run */
struct child_spec {
	const char *const *argv; /* NULL-terminated; argv[0] is searched in PATH, then in the usual places */
	const char *const *env;	 /* NULL-terminated, or NULL: ours */
	int stdin_fd;		 /* borrowed, or -1: /dev/null */
	const int *pass_fds;	 /* borrowed; become 3, 4, ... in the child */
	size_t n_pass_fds;
	int ns_fd;	/* network namespace to run in (needs CAP_SYS_ADMIN), or -1 */
	int timeout_ms; /* SIGKILL after that, or 0: never */
	int flags;
};

#define CHILD_PATH_MAX 512
/** child_find() - The program that child_spawn() would take. Return: 0, -ENOENT */
int child_find(const char *name, char ret[static CHILD_PATH_MAX]) MUST_USE;
/** child_spawn() - @fn is called once from the loop when it has ended and its pipes are drained; then it is freed */
int child_spawn(uv_loop_t *loop, const struct child_spec *spec, child_fn *fn, void *arg, struct child **ret,
		struct err *err) MUST_USE;
pid_t child_pid(const struct child *c);
void child_signal(struct child *c, int signum);
/** child_forget() - No more callback; the process goes on, is reaped and freed when it ends */
void child_forget(struct child *c);
/** child_abandon() - Likewise, but freed now: at our own end, when no loop waits for the process any more; NULL is fine
 */
void child_abandon(struct child *c);
/**
 * child_reap_orphans() - As PID 1: reap what ended and is no child of child_spawn(); call it on SIGCHLD
 *
 * Children of @loop that have ended are told to their owners as ever.
 */
void child_reap_orphans(uv_loop_t *loop);

#endif
