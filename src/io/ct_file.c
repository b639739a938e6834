/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing into a container's file system; see ct_file.h.
 */
#include "io/ct_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "io/ns.h"

#define RESOLV_BYTES 4096
#define MOUNTS_BYTES (512u << 10)

bool ct_pid_is(int32_t pid, const char *id)
{
	char path[48], text[4096];
	autoclose int fd = -1;
	ssize_t n;

	if (strlen(id) != 64 || strspn(id, "0123456789abcdef") != 64)
		return true;
	str_print(path, "/proc/%d/cgroup", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return false;
	text[n] = '\0';
	return strstr(text, id) != NULL;
}

int ct_root(int32_t pid, int ns_fd, struct err *err)
{
	autoclose int pidfd = -1, ns = -1, root = -1;
	struct pollfd ended = {.events = POLLIN};
	char path[48];

	if (pid <= 0)
		return err_set(err, -ESRCH, "its process is not known");
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return err_errno(err, -errno, "process %d", pid);
	str_print(path, "/proc/%d/ns/net", pid);
	ns = ns_open(path, err);
	if (ns < 0)
		return ns;
	if (!ns_same(ns, ns_fd))
		return err_set(err, -ESRCH, "process %d is not in the container's namespace", pid);
	str_print(path, "/proc/%d/root", pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_errno(err, -errno, "%s", path);
	/* as long as it lives its number is its own: what was opened is of the one that was asked for */
	ended.fd = pidfd;
	if (poll(&ended, 1, 0) != 0)
		return err_set(err, -ESRCH, "process %d has ended", pid);
	return steal_fd(root);
}

static int open_in(int root, const char *path, uint64_t flags, uint64_t mode)
{
	struct open_how how = {
		.flags = O_CLOEXEC | flags, .mode = mode, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

int ct_flag_dir(int root, struct err *err)
{
	int dir = open_in(root, "/" CT_FLAG_DIR, O_PATH | O_DIRECTORY, 0);

	return dir < 0 ? err_errno(err, dir, "/" CT_FLAG_DIR) : dir;
}

int ct_flag_make(int root, struct err *err)
{
	autoclose int dir = ct_flag_dir(root, err), fd = -1;

	if (dir < 0)
		return dir;
	/* relative to the directory, and no link: what has the name already is left alone, and counts */
	fd = openat(dir, CT_FLAG_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 && errno != EEXIST)
		return err_errno(err, -errno, "/" CT_FLAG_DIR "/" CT_FLAG_NAME);
	return steal_fd(dir);
}

void ct_flag_remove(int dir)
{
	(void)!unlinkat(dir, CT_FLAG_NAME, 0);
}

bool ct_resolv_is_own(const char *mountinfo, const char *id)
{
	bool own = true; /* no mount: it is in the image */

	for (const char *line = mountinfo; *line;) {
		size_t len = strcspn(line, "\n");
		char root[1024], at[1024], one[2300];

		snprintf(one, sizeof(one), "%.*s", (int)(len < sizeof(one) ? len : sizeof(one) - 1), line);
		if (sscanf(one, "%*u %*u %*s %1023s %1023s", root, at) == 2) {
			if (str_eq(at, "/etc/resolv.conf"))
				own = strstr(root, id) != NULL;
			else if (str_eq(at, "/etc"))
				own = false;
		}
		line += len + (line[len] == '\n');
	}
	return own;
}

static int resolv_check(int32_t pid, const char *id, struct err *err)
{
	autofree char *text = xcalloc(1, MOUNTS_BYTES + 1);
	autoclose int fd = -1;
	char path[48];
	size_t n = 0;
	ssize_t got;

	str_print(path, "/proc/%d/mountinfo", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	while (n < MOUNTS_BYTES && (got = read(fd, text + n, MOUNTS_BYTES - n)) > 0)
		n += (size_t)got;
	if (n == 0 || n == MOUNTS_BYTES || !ct_resolv_is_own(text, id))
		return err_set(err, -EPERM, "/etc/resolv.conf: somebody has mounted another file there");
	return 0;
}

int ct_resolv_write(int root, int32_t pid, const char *id, const char *text, size_t len, bool force, struct err *err)
{
	autoclose int fd = -1;
	char was[RESOLV_BYTES + 1];
	struct stat st;
	ssize_t n;
	int rc = resolv_check(pid, id, err);

	if (rc < 0)
		return rc;
	fd = open_in(root, "/etc/resolv.conf", O_RDWR | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0);
	if (fd < 0)
		return err_errno(err, fd, "/etc/resolv.conf");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "/etc/resolv.conf is no file");
	n = pread(fd, was, RESOLV_BYTES, 0);
	if (n < 0)
		return err_errno(err, -errno, "/etc/resolv.conf");
	was[n] = '\0';
	if (!force && strstr(was, "127.0.0.11"))
		return 1;
	if ((size_t)n == len && memcmp(was, text, len) == 0)
		return 0;
	if (pwrite(fd, text, len, 0) != (ssize_t)len || ftruncate(fd, (off_t)len) < 0)
		return err_errno(err, -errno, "/etc/resolv.conf");
	return 0;
}
