/* SPDX-License-Identifier: Apache-2.0
 *
 * Stop a running host for `down`. Who is signalled must hold the lock on host.lock at that moment, and is held by a
 * pidfd: a number alone may have become somebody else's.
 */
#include "cli/down.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cli/run.h"
#include "io/ns.h"

#define STOP_TIMEOUT_MS	     15000
#define KILL_TIMEOUT_MS	     5000
#define PROGRESS_MS	     1000
#define SYSTEMCTL_TIMEOUT_MS 3000

/* glibc has wrappers only since 2.36, musl none */
int pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int pidfd_signal(int pidfd, int signum)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signum, NULL, 0) < 0 ? -errno : 0;
}

/* Does @pid hold a flock on the file @fd? */
static bool lock_is_held_by(int fd, pid_t pid)
{
	struct stat st;
	char line[256], want_inode[32];
	bool found = false;
	FILE *f = fopen("/proc/locks", "re");

	if (!f || fstat(fd, &st) < 0) {
		if (f)
			fclose(f);
		return false;
	}
	/* "1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF"; the device is another than st_dev on some file systems */
	str_print(want_inode, "%llu", (unsigned long long)st.st_ino);
	while (!found && fgets(line, sizeof(line), f)) {
		int holder;
		char device[64];
		if (strstr(line, "->") || sscanf(line, "%*s FLOCK %*s %*s %d %63s", &holder, device) != 2)
			continue;
		const char *inode = strrchr(device, ':');
		found = holder == pid && inode && str_eq(inode + 1, want_inode);
	}
	fclose(f);
	return found;
}

static int64_t now_ms(void)
{
	return mono_now().us / USEC_PER_MSEC;
}

/* Wait for a process to end; says what it waits for when that takes longer. Return: it has ended */
static bool process_wait(int pidfd, int timeout_ms, const char *what)
{
	int64_t start = now_ms(), left;
	bool said = !isatty(STDERR_FILENO);

	while ((left = start + timeout_ms - now_ms()) > 0) {
		struct pollfd p = {.fd = pidfd, .events = POLLIN};
		if (!said && left > timeout_ms - PROGRESS_MS)
			left -= timeout_ms - PROGRESS_MS;
		int n = poll(&p, 1, (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (!said && now_ms() - start >= PROGRESS_MS) {
			fprintf(stderr, "waiting for %s to stop\n", what);
			said = true;
		}
	}
	return false;
}

/* The roles end with their host; one that hangs is ended here, else it would put back what we remove */
struct role_process {
	const char *role;
	int32_t pid;
	int pidfd;
};

bool role_runs(const char *role, int32_t pid)
{
	char path[64], exe[512], want[64];

	str_print(path, "/proc/%d/exe", pid);
	ssize_t n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return false;
	exe[n] = 0;
	char *deleted = strstr(exe, " (deleted)"); /* upgraded while it ran */
	if (deleted)
		*deleted = 0;
	const char *name = strrchr(exe, '/');
	str_print(want, "docker-router-%s", role);
	size_t len = strlen(want);
	/* discovery is docker-router-discovery-etcd in that mode */
	return name && strncmp(name + 1, want, len) == 0 && (name[1 + len] == '\0' || name[1 + len] == '-');
}

static size_t roles_open(const struct host_state *h, struct role_process *roles)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n_roles; i++) {
		const struct host_role *r = &h->roles[i];
		if (r->pid <= 1)
			continue;
		int pidfd = pidfd_of(r->pid);
		if (pidfd < 0)
			continue;
		if (role_runs(r->role, r->pid)) /* asked after it was pinned down */
			roles[n++] = (struct role_process){.role = r->role, .pid = r->pid, .pidfd = pidfd};
		else
			close(pidfd);
	}
	return n;
}

static void role_stop(struct down *d, const struct role_process *r)
{
	char what[80];

	if (process_wait(r->pidfd, 0, r->role) || process_wait(r->pidfd, 1, r->role))
		return; /* ended with its host, as it should */
	str_print(what, "%s (pid %d)", r->role, r->pid);
	(void)pidfd_signal(r->pidfd, SIGTERM);
	if (process_wait(r->pidfd, KILL_TIMEOUT_MS, what)) {
		down_said(d, "role", what, "stopped", "");
		return;
	}
	(void)pidfd_signal(r->pidfd, SIGKILL);
	bool ended = process_wait(r->pidfd, KILL_TIMEOUT_MS, what);
	down_told(d, "role", what, ended ? 0 : -ETIMEDOUT, ended ? "killed" : "does not end");
}

static int fail(int code, const char *fmt, ...) PRINTF(2, 3);
static int fail(int code, const char *fmt, ...)
{
	va_list ap;

	fputs("docker-router down: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

/* --- who would start it again --- */

/* "0::/system.slice/docker-router.service": the last part of the path of the first hierarchy that has one */
bool unit_of_cgroup(const char *cgroup, char *out, size_t size)
{
	while (*cgroup) {
		size_t len = strcspn(cgroup, "\n"), at = len;
		while (at > 0 && cgroup[at - 1] != '/')
			at--;
		size_t n = len - at;
		if (n > 8 && n < size && memcmp(cgroup + len - 8, ".service", 8) == 0 && cgroup[at] != '-' &&
		    strspn(cgroup + at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.@-\\") >= n) {
			snprintf(out, size, "%.*s", (int)n, cgroup + at);
			return true;
		}
		cgroup += len + (cgroup[len] == '\n');
	}
	return false;
}

/* Is this process what the unit is there for? A host that somebody started from cron or by ssh is in their unit */
static bool unit_is_of(const char *unit, pid_t pid)
{
	const char *argv[] = {"systemctl", "show", "--property=MainPID", "--value", unit, NULL};
	struct run_result r;
	struct err err;
	uint64_t main_pid = 0;

	if (run_wait(argv, -1, NULL, NULL, SYSTEMCTL_TIMEOUT_MS, &r, &err) < 0)
		return false;
	r.out.data[strcspn(r.out.data, "\n")] = 0;
	bool same = r.status == 0 && parse_u64(r.out.data, 1, INT32_MAX, &main_pid) == 0 && (pid_t)main_pid == pid;
	run_result_done(&r);
	return same;
}

/* Under systemd (Restart=always) it is systemd that is asked, or it would be back in a second. Return: was it? */
static bool unit_stop(pid_t pid)
{
	char path[64], text[4096], unit[128];

	str_print(path, "/proc/%d/cgroup", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	if (strstr(text, "docker") || strstr(text, "libpod") || strstr(text, "kubepods"))
		fprintf(stderr,
			"docker-router down: the host runs in a container; with a restart policy it comes back, so "
			"remove the container too\n");
	if (access("/run/systemd/system", F_OK) != 0 || !unit_of_cgroup(text, unit, sizeof(unit)) ||
	    !unit_is_of(unit, pid))
		return false;
	const char *argv[] = {"systemctl", "stop", unit, NULL};
	struct run_result r;
	struct err err;
	if (run_wait(argv, -1, NULL, NULL, STOP_TIMEOUT_MS, &r, &err) < 0)
		return false;
	bool stopped = r.status == 0;
	run_result_done(&r);
	return stopped;
}

static int host_stop(struct down *d, int lock, pid_t pid, int pidfd)
{
	char what[40];

	str_print(what, "host (pid %d)", pid);
	if (d->dry_run) {
		down_said(d, "process", what, "would be stopped", "");
		return 0;
	}
	int code = unit_stop(pid) ? 0 : pidfd_signal(pidfd, SIGTERM);
	if (code < 0 && code != -ESRCH)
		return fail(code, "cannot signal the %s: %s", what, strerror(-code));
	if (process_wait(pidfd, STOP_TIMEOUT_MS, what)) {
		down_said(d, "process", what, "stopped", "");
		return 0;
	}
	if (!lock_is_held_by(lock, pid))
		return fail(-EBUSY, "the %s does not end, and does not hold %s any more; end it by hand", what,
			    HOST_LOCK);
	(void)pidfd_signal(pidfd, SIGKILL);
	if (!process_wait(pidfd, KILL_TIMEOUT_MS, what))
		return fail(-ETIMEDOUT, "the %s does not end, not even by SIGKILL", what);
	down_said(d, "process", what, "killed", "it did not end by itself in 15 s");
	return 0;
}

/* Nobody runs: what host.json says about the namespace must be where we are */
static int namespace_here(struct down *d)
{
	char here[64];
	struct err err = {0};
	const char *want = d->files.host.netns;
	ssize_t n = readlink("/proc/self/ns/net", here, sizeof(here) - 1);

	if (n <= 0)
		return fail(-ENOENT, "cannot read /proc/self/ns/net");
	here[n] = 0;
	if (d->files.code[FILE_HOST] == 0 && want[0] && !str_eq(want, here) && !(d->cli->options & OPT_HERE)) {
		char safe_want[32] = "";
		for (size_t i = 0; i < sizeof(safe_want) - 1 && want[i]; i++)
			safe_want[i] = want[i] >= ' ' && want[i] < 127 ? want[i] : '?';
		return fail(
			-EXDEV,
			"the host worked in network namespace %s and this is %s: run `nsenter "
			"--net=/run/netns/NAME docker-router down --state-dir %s` with the name or a /proc/PID/ns/net "
			"of that namespace, or give --here when it is gone (after a reboot its number changes)",
			safe_want, here, d->cli->dir.path);
	}
	d->host_ns = ns_open("/proc/self/ns/net", &err);
	return d->host_ns < 0 ? fail(d->host_ns, "%s", err.text) : 0;
}

static int host_running(struct down *d, int lock)
{
	char text[32] = "", path[64];
	struct err err = {0};
	uint64_t pid = 0;
	ssize_t n = pread(lock, text, sizeof(text) - 1, 0);

	if (n > 0)
		text[strcspn(text, "\n")] = 0;
	if (n <= 0 || parse_u64(text, 1, INT32_MAX, &pid) != 0)
		return fail(-EINVAL, "%s/%s is held, but holds no pid: stop the host first", d->cli->dir.path,
			    HOST_LOCK);
	autoclose int pidfd = pidfd_of((pid_t)pid);
	if (pidfd < 0 || !lock_is_held_by(lock, (pid_t)pid))
		return fail(
			-ESRCH,
			"%s/%s is held by a process that cannot be seen from here (another PID namespace?): stop the "
			"host or its container first",
			d->cli->dir.path, HOST_LOCK);
	if (pid == 1)
		return fail(-EBUSY,
			    "the host is PID 1 of this container and would take us along: stop the container and "
			    "run `docker-router down` in a new one with the same mounts");
	str_print(path, "/proc/%llu/ns/net", (unsigned long long)pid);
	d->host_ns = ns_open(path, &err);
	if (d->host_ns < 0)
		return fail(d->host_ns, "%s", err.text);
	return host_stop(d, lock, (pid_t)pid, pidfd);
}

int down_host(struct down *d)
{
	struct role_process roles[ARRAY_LEN(d->files.host.roles)];
	size_t n_roles = roles_open(&d->files.host, roles);
	autoclose int lock = openat(d->cli->dir.fd, HOST_LOCK, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int code = 0;

	if (lock < 0 && errno != ENOENT)
		code = fail(-errno, "%s/%s: %s", d->cli->dir.path, HOST_LOCK, strerror(errno));
	else if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) == 0)
		code = namespace_here(d);
	else
		code = host_running(d, lock);
	for (size_t i = 0; i < n_roles; i++) {
		if (code == 0 && !d->dry_run)
			role_stop(d, &roles[i]);
		close(roles[i].pidfd);
	}
	if (code == 0 && lock >= 0 && !d->dry_run) {
		if (flock(lock, LOCK_EX | LOCK_NB) < 0)
			return fail(-EBUSY, "another host has started meanwhile (systemd, or a container with restart: "
					    "always?): stop it there");
		d->lock = steal_fd(lock);
	}
	return code;
}
