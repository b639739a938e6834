/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls by name, and the filter that libseccomp makes of them. Names that an architecture, a kernel or a
 * libc does not have are passed over: the lists are those of all of them.
 *
 * A call that is not on them raises SIGSYS in the thread that made it; the handler names it in the log, and has the
 *call return -EPERM. Where that does not go the kernel answers EPERM itself, and nothing but its audit log tells of it:
 *
 *	with SANDBOX_CHILDREN	 a handler does not survive execve(), and SIGSYS would end the program
 *	clone, fork, vfork	 libcs make them with all signals blocked, and then SIGSYS ends us
 *	other architectures	 no register is known here to put -EPERM into
 */
#include "state/sandbox.h"

#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <ucontext.h>

#include "base/log.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Where the result of a system call is, once a handler returns */
#if defined(__x86_64__)
#define RESULT(u) ((u)->uc_mcontext.gregs[REG_RAX])
#elif defined(__i386__)
#define RESULT(u) ((u)->uc_mcontext.gregs[REG_EAX])
#elif defined(__aarch64__)
#define RESULT(u) ((u)->uc_mcontext.regs[0])
#elif defined(__arm__)
#define RESULT(u) ((u)->uc_mcontext.arm_r0)
#endif

static const char *const always[] = {
	/* memory */
	"brk",
	"mmap",
	"mmap2",
	"munmap",
	"mremap",
	"mprotect",
	"madvise",
	"membarrier",
	"memfd_create",
	/* time */
	"clock_gettime",
	"clock_gettime64",
	"clock_getres",
	"clock_getres_time64",
	"clock_nanosleep",
	"clock_nanosleep_time64",
	"gettimeofday",
	"nanosleep",
	"time",
	/* signals, and our own end */
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sigreturn",
	"sigaltstack",
	"restart_syscall",
	"tgkill",
	"exit",
	"exit_group",
	/* who and what we are */
	"getpid",
	"getppid",
	"gettid",
	"getuid",
	"getuid32",
	"geteuid",
	"geteuid32",
	"getgid",
	"getgid32",
	"getegid",
	"getegid32",
	"getrlimit",
	"ugetrlimit",
	"getrusage",
	"prlimit64",
	"sysinfo",
	"uname",
	"getcwd",
	"getrandom",
	"sched_getaffinity",
	"sched_yield",
	/* files */
	"open",
	"openat",
	"openat2",
	"close",
	"close_range",
	"read",
	"readv",
	"pread64",
	"write",
	"writev",
	"pwrite64",
	"lseek",
	"_llseek",
	"fstat",
	"fstat64",
	"fstatat64",
	"newfstatat",
	"stat",
	"stat64",
	"lstat",
	"lstat64",
	"statx",
	"statfs",
	"statfs64",
	"fstatfs",
	"fstatfs64",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getdents64",
	"link",
	"linkat",
	"rename",
	"renameat",
	"renameat2",
	"unlink",
	"unlinkat",
	"fsync",
	"fdatasync",
	"ftruncate",
	"ftruncate64",
	"fchmod",
	"fchown",
	"fchown32",
	"umask",
	"flock",
	"fcntl",
	"fcntl64",
	"ioctl",
	"dup",
	"dup2",
	"dup3",
	"pipe",
	"pipe2",
	/* the loop */
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"poll",
	"ppoll",
	"ppoll_time64",
	"select",
	"_newselect",
	"pselect6",
	"pselect6_time64",
	"eventfd2",
	"timerfd_create",
	"timerfd_settime",
	"timerfd_settime64",
	"inotify_init1",
	"inotify_add_watch",
	"inotify_rm_watch",
	"futex",
	"futex_time64",
	/* sockets and children that are there already */
	"shutdown",
	"getsockname",
	"getpeername",
	"getsockopt",
	"setsockopt",
	"send",
	"sendto",
	"sendmsg",
	"sendmmsg",
	"recv",
	"recvfrom",
	"recvmsg",
	"recvmmsg",
	"recvmmsg_time64",
	"wait4",
	"waitid",
};

/* socket() and socketpair() are below: by family */
static const char *const net[] = {"bind", "connect", "listen", "accept", "accept4"};
static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

/* clone() is below: for threads only. clone3() is not there, which glibc and musl know how to do without */
static const char *const threads[] = {"set_robust_list",   "rseq",	     "set_tid_address",
				      "sched_setaffinity", "sched_getparam", "sched_getscheduler"};

static const char *const children[] = {
	"clone",
	"fork",
	"vfork",
	"execve",
	"execveat",
	"setsid",
	"setpgid",
	"rt_sigtimedwait",
	"rt_sigtimedwait_time64",
	"rt_sigsuspend",
	"getpgid",
	"getpgrp",
	"prctl",
	"arch_prctl",
	"set_tid_address",
	"set_robust_list",
	"rseq",
	"kill",
	"getgroups",
	"getgroups32",
	"chdir",
	"fchdir",
	"setrlimit",
};

/* What is not there for this architecture is no error: libseccomp knows all names of all of them */
static int allow(scmp_filter_ctx f, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int call = seccomp_syscall_resolve_name(names[i]), r;

		if (call == __NR_SCMP_ERROR)
			continue;
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 0);
		if (r < 0 && r != -EDOM)
			return r;
	}
	return 0;
}

static int allow_families(scmp_filter_ctx f)
{
	static const char *const calls[] = {"socket", "socketpair"};

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		for (size_t k = 0; k < ARRAY_LEN(families); k++) {
			int r = seccomp_rule_add(f, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(calls[i]), 1,
						 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[k]));

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int fill(scmp_filter_ctx f, unsigned parts)
{
	int r = seccomp_attr_set(f, SCMP_FLTATR_CTL_LOG, 1);

	if (r == -EOPNOTSUPP) /* a kernel before 4.14 */
		r = 0;
	if (r == 0)
		r = allow(f, always, ARRAY_LEN(always));
	if (r == 0 && parts & SANDBOX_NET)
		r = allow(f, net, ARRAY_LEN(net));
	if (r == 0 && parts & SANDBOX_NET)
		r = allow_families(f);
	if (r == 0 && parts & SANDBOX_THREADS)
		r = allow(f, threads, ARRAY_LEN(threads));
	if (r == 0 && parts & SANDBOX_THREADS && !(parts & SANDBOX_CHILDREN))
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r == 0 && parts & SANDBOX_CHILDREN)
		r = allow(f, children, ARRAY_LEN(children));
	/* its flags lie behind a pointer, where no filter sees them */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r;
}

#ifdef RESULT
#define CALLS	     512
#define FROM_SECCOMP 1 /* SYS_SECCOMP, which not every libc names */

/* A handler can ask nobody else: names of calls by number, each taken away when it was told. "": it has none */
static _Atomic(const char *) names[CALLS];

static void on_refused(int signal, siginfo_t *info, void *context)
{
	static const char text[] = "system call refused: it fails with EPERM";
	int call = info->si_syscall;
	const char *name = NULL;

	(void)signal;
	if (info->si_code != FROM_SECCOMP) /* somebody sent it */
		return;
	if (call >= 0 && call < CALLS)
		name = atomic_exchange(&names[call], NULL);
	if (name && *name) {
		log_signal(LOG_LEVEL_WARNING, text, "call", name);
	} else if (name) {
		char digits[4] = {(char)('0' + call / 100), (char)('0' + call / 10 % 10), (char)('0' + call % 10)};

		log_signal(LOG_LEVEL_WARNING, text, "call", digits);
	}
	RESULT((ucontext_t *)context) = -EPERM;
}

static int name_refused(scmp_filter_ctx f, unsigned parts)
{
	static const char *const blocked[] = {"clone", "fork", "vfork"};
	struct sigaction a = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};

	for (size_t i = 0; i < ARRAY_LEN(blocked); i++) {
		int call = seccomp_syscall_resolve_name(blocked[i]), r;

		if (call == SCMP_SYS(clone) && parts & SANDBOX_THREADS)
			r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), call, 1,
					     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
		else
			r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), call, 0);
		if (r < 0 && r != -EDOM)
			return r;
	}
	for (int i = 0; i < CALLS; i++) {
		const char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);

		atomic_store(&names[i], name ? name : "");
	}
	return sigaction(SIGSYS, &a, NULL) < 0 ? -errno : 0;
}
#else
static int name_refused(scmp_filter_ctx f, unsigned parts)
{
	(void)f;
	(void)parts;
	return 0;
}
#endif

int sandbox_enter(unsigned parts, struct err *err)
{
	bool named = false;
	scmp_filter_ctx f;
	int r;

	if (SANITIZED)
		return 0;
#ifdef RESULT
	named = !(parts & SANDBOX_CHILDREN);
#endif
	f = seccomp_init(named ? SCMP_ACT_TRAP : SCMP_ACT_ERRNO(EPERM));
	if (!f)
		return err_set(err, -ENOMEM, "libseccomp makes no filter");
	r = fill(f, parts);
	if (r == 0 && named)
		r = name_refused(f, parts);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	/* of the kernel libseccomp says -ECANCELED */
	if (r == -EINVAL || r == -ENOSYS || r == -ECANCELED || r == -EOPNOTSUPP)
		return err_set(err, -ENOTSUP, "this kernel, or what we run in, does not let us have a filter");
	return r < 0 ? err_errno(err, r, "seccomp filter") : 0;
}
