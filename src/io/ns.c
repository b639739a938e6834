/* SPDX-License-Identifier: Apache-2.0
 *
 * Network namespaces. Everything works on the calling thread only, and comes back to its own namespace before it
 * returns.
 */
#include "io/ns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define NS_SELF "/proc/thread-self/ns/net"

/* -EINVAL when @fd is anything but a network namespace */
static int ns_check(int fd, const char *path, struct err *err)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return err_errno(err, -errno, "%s", path);
	if (fs.f_type != NSFS_MAGIC)
		return err_set(err, -EINVAL, "%s: is not a namespace", path);
	return 0;
}

int ns_open(const char *path, struct err *err)
{
	autoclose int probe = -1, fd = -1;
	char again[40];
	int rc;

	/* Open without effect first: what lies at a path from outside may be a device or a FIFO */
	probe = open(path, O_PATH | O_CLOEXEC);
	if (probe < 0)
		return err_errno(err, -errno, "%s", path);
	rc = ns_check(probe, path, err);
	if (rc < 0)
		return rc;
	str_print(again, "/proc/self/fd/%d", probe);
	fd = open(again, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return err_set(err, -EINVAL, "%s: is not a network namespace", path);
	return steal_fd(fd);
}

bool ns_same(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static int ns_home(struct ns_guard *g, struct err *err)
{
	g->home = open(NS_SELF, O_RDONLY | O_CLOEXEC);
	return g->home < 0 ? err_errno(err, -errno, NS_SELF) : 0;
}

int ns_enter(int ns_fd, struct ns_guard *g, struct err *err)
{
	int rc = ns_home(g, err);

	if (rc < 0)
		return rc;
	if (setns(ns_fd, CLONE_NEWNET) < 0) {
		rc = err_errno(err, -errno, "enter network namespace");
		close(g->home);
		g->home = -1;
	}
	return rc;
}

void ns_leave(struct ns_guard *g)
{
	int saved = errno;

	/* To go on in the wrong namespace would let us do to strangers what was meant for ourselves */
	if (setns(g->home, CLONE_NEWNET) < 0)
		abort();
	close(g->home);
	g->home = -1;
	errno = saved;
}

int ns_create(const char *path, struct err *err)
{
	autoclose int pin = -1;
	struct ns_guard g;
	int rc;

	pin = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
	if (pin < 0)
		return err_errno(err, -errno, "make %s", path);
	rc = ns_home(&g, err);
	if (rc < 0)
		goto out;
	if (unshare(CLONE_NEWNET) < 0) {
		rc = err_errno(err, -errno, "make a network namespace");
		close(g.home);
		goto out;
	}
	if (mount(NS_SELF, path, NULL, MS_BIND, NULL) < 0)
		rc = err_errno(err, -errno, "pin a network namespace at %s", path);
	ns_leave(&g);
	if (rc == 0)
		rc = ns_open(path, err);
out:
	if (rc < 0) {
		umount2(path, MNT_DETACH);
		unlink(path);
	}
	return rc;
}

int ns_unpin(const char *path, struct err *err)
{
	/* Pinned twice by two that raced, the mounts lie one on the other; the bound is for a file system that plays
	 * with us */
	for (int i = 0; i < 64 && umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0; i++)
		;
	if (errno == EPERM || errno == EBUSY)
		return err_errno(err, -errno, "unpin %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, -errno, "remove %s", path);
	return 0;
}

int ns_socket(int ns_fd, int domain, int type, int protocol, struct err *err)
{
	struct ns_guard g;
	int fd, rc;

	if (ns_fd >= 0) {
		rc = ns_enter(ns_fd, &g, err);
		if (rc < 0)
			return rc;
	}
	fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (fd < 0)
		fd = err_errno(err, -errno, "socket");
	if (ns_fd >= 0)
		ns_leave(&g);
	return fd;
}

int ns_sysctl_at(int dirfd, const char *path, const char *value)
{
	autoclose int fd = -1;
	char was[128];
	int failed = 0;
	ssize_t n;

	fd = openat(dirfd, path, O_RDWR | O_CLOEXEC);
	if (fd < 0) { /* what holds the value already need not be writable */
		failed = -errno;
		fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		return -errno;
	n = pread(fd, was, sizeof(was) - 1, 0);
	if (n < 0)
		return -errno;
	while (n > 0 && was[n - 1] == '\n')
		n--;
	was[n] = '\0';
	if (str_eq(was, value))
		return 0;
	if (failed)
		return failed;
	return pwrite(fd, value, strlen(value), 0) < 0 ? -errno : 0;
}

/*
 * A procfs or sysfs of our own, as the namespace that we are in sees it: mounted nowhere, and gone when its descriptor
 * is closed. Docker mounts /proc/sys read-only in containers, and /sys shows the network namespace that it was mounted
 * in.
 */
static int own_fs_write(const char *type, const char *path, const char *value)
{
	autoclose int context = -1, fs = -1;

	context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	if (context < 0)
		return -errno;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fs = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	if (fs < 0)
		return -errno;
	return ns_sysctl_at(fs, path, value);
}

int ns_sysctl(int ns_fd, const char *name, const char *value, struct err *err)
{
	char path[160], own[160];
	struct ns_guard g;
	int rc;

	if (strstr(name, "..") || str_print(path, "/proc/sys/net/%s", name) >= (int)sizeof(path))
		return err_set(err, -EINVAL, "sysctl net/%s: not a name", name);
	str_print(own, "sys/net/%s", name);
	if (ns_fd >= 0) {
		rc = ns_enter(ns_fd, &g, err);
		if (rc < 0)
			return rc;
	}
	rc = ns_sysctl_at(AT_FDCWD, path, value);
	if (rc == -EROFS && own_fs_write("proc", own, value) == 0)
		rc = 0;
	if (ns_fd >= 0)
		ns_leave(&g);
	return rc < 0 ? err_errno(err, rc, "sysctl net/%s = %s", name, value) : 0;
}

int ns_device(int ns_fd, const char *device, const char *name, const char *value, struct err *err)
{
	char path[80];
	struct ns_guard g;
	int rc;

	if (strchr(device, '/') || str_print(path, "class/net/%s/%s", device, name) >= (int)sizeof(path))
		return err_set(err, -EINVAL, "%s of %s: not a name", name, device);
	rc = ns_enter(ns_fd, &g, err);
	if (rc < 0)
		return rc;
	rc = own_fs_write("sysfs", path, value);
	ns_leave(&g);
	return rc < 0 ? err_errno(err, rc, "%s: %s = %s", device, name, value) : 0;
}
