/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading, replacing and watching files that several processes share. What a reader finds may be laid there by somebody
 * hostile: nothing here blocks on it, follows its symlink or reads more than it was told.
 */
#include "io/file.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/log.h"

void file_owner_add(struct file_owner *o, uid_t uid)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->uids[i] == uid)
			return;
	if (o->n < ARRAY_LEN(o->uids))
		o->uids[o->n++] = uid;
}

static bool file_owner_has(const struct file_owner *o, uid_t uid)
{
	if (!o || o->n == 0)
		return true;
	for (size_t i = 0; i < o->n; i++)
		if (o->uids[i] == uid)
			return true;
	return false;
}

static int file_check(const char *name, const struct stat *st, size_t max, const struct file_owner *owner,
		      struct err *err)
{
	if (S_ISDIR(st->st_mode))
		return err_set(err, -EISDIR, "%s: is a directory, a file is expected", name);
	if (!S_ISREG(st->st_mode))
		return err_set(err, -EINVAL, "%s: is not a regular file", name);
	if (!file_owner_has(owner, st->st_uid))
		return err_set(err, -EPERM, "%s: belongs to uid %u, which may not write it", name, st->st_uid);
	if (st->st_size > 0 && (uint64_t)st->st_size > max)
		return err_set(err, -E2BIG, "%s: %lld bytes, at most %zu are read", name, (long long)st->st_size, max);
	return 0;
}

int file_read(int dirfd, const char *name, size_t max, const struct file_owner *owner, struct buf *ret, struct err *err)
{
	autobuf struct buf b = {0};
	autoclose int fd = -1;
	struct stat st;
	int rc;

	/* Looked at before it is opened, since opening a device or FIFO can have effects of its own */
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, -errno, "%s", name);
	rc = file_check(name, &st, max, NULL, err);
	if (rc < 0)
		return rc;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_errno(err, -errno, "%s", name);
	/* ... and again, since only what was opened counts */
	if (fstat(fd, &st) < 0)
		return err_errno(err, -errno, "%s", name);
	rc = file_check(name, &st, max, owner, err);
	if (rc < 0)
		return rc;
	buf_reserve(&b, (size_t)st.st_size + 1);
	for (;;) {
		ssize_t n;

		buf_reserve(&b, 4096);
		n = read(fd, b.data + b.len, b.cap - b.len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, -errno, "%s: read", name);
		if (n == 0)
			break;
		b.len += (size_t)n;
		b.data[b.len] = '\0';
		if (b.len > max)
			return err_set(err, -E2BIG, "%s: grew beyond %zu bytes while it was read", name, max);
	}
	b.data[b.len] = '\0';
	buf_done(ret);
	*ret = b;
	b = (struct buf){0};
	return 0;
}

static int file_write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_temp_name(const char *name, char *ret, size_t size)
{
	uint64_t r;

	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return -EIO;
	return snprintf(ret, size, ".%.200s.%016llx", name, (unsigned long long)r) < (int)size ? 0 : -ENAMETOOLONG;
}

/*
 * A temporary file without a name leaves nothing behind when we are killed in the middle; where the file system has no
 * such thing (*ret_named), one with a name.
 */
static int file_temp_open(int dirfd, const char *temp, bool *ret_named)
{
	int fd = openat(dirfd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	*ret_named = false;
	if (fd >= 0)
		return fd;
	*ret_named = true;
	fd = openat(dirfd, temp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd >= 0 ? fd : -errno;
}

int file_replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode, int flags, struct err *err)
{
	char temp[256], proc[40];
	autoclose int fd = -1;
	bool named;
	int rc;

	rc = file_temp_name(name, temp, sizeof(temp));
	if (rc < 0)
		return err_errno(err, rc, "%s: temporary name", name);
	fd = file_temp_open(dirfd, temp, &named);
	if (fd < 0)
		return err_errno(err, fd, "%s: create a temporary file beside it", name);
	rc = file_write_all(fd, data, len);
	if (rc == 0 && fchmod(fd, mode) < 0)
		rc = -errno;
	if (rc == 0 && (flags & FILE_SYNC) && fsync(fd) < 0)
		rc = -errno;
	if (rc == 0 && !named) {
		str_print(proc, "/proc/self/fd/%d", fd);
		named = linkat(AT_FDCWD, proc, dirfd, temp, AT_SYMLINK_FOLLOW) == 0;
		if (!named)
			rc = -errno;
	}
	if (rc == 0 && renameat(dirfd, temp, dirfd, name) < 0)
		rc = -errno;
	if (rc < 0) {
		if (named)
			unlinkat(dirfd, temp, 0);
		return err_errno(err, rc, "%s: write", name);
	}
	if (flags & FILE_SYNC) {
		autoclose int dir = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (dir < 0 || fsync(dir) < 0)
			return err_errno(err, -errno, "%s: fsync its directory", name);
	}
	return 0;
}

struct file_mark file_mark_get(int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return (struct file_mark){0};
	return (struct file_mark){.ino = st.st_ino,
				  .size = (uint64_t)st.st_size,
				  .mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec,
				  .uid = st.st_uid};
}

bool file_mark_same(const struct file_mark *a, const struct file_mark *b)
{
	return a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns && a->uid == b->uid;
}

/*
 * DOC: dirwatch
 *
 * Two inotify watches: one on the directory, for what happens in it; one on its parent, for what happens to it. When
 * the directory is removed, moved away or made again, the first is set up anew on whatever the path means then, and the
 * owner is told that anything may have changed. While path and parent are both missing nothing can be watched: then,
 * and only then, a timer tries once a second.
 */
struct dirwatch {
	uv_loop_t *loop;
	char *path, *parent, *base;
	int fd, wd, wd_parent; /* inotify; -1: not watched now */
	struct fdwatch *watch;
	struct timer *retry;
	dirwatch_fn *fn;
	void *arg;
	bool busy, freed; /* inside a callback; freed there: the memory goes when it returns */
};

#define WATCH_DIR                                                                                            \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | \
	 IN_MOVE_SELF | IN_ONLYDIR)
#define WATCH_PARENT   (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define WATCH_RETRY_US USEC_PER_SEC

static void dirwatch_drop(int fd, int *wd)
{
	if (*wd >= 0)
		inotify_rm_watch(fd, *wd);
	*wd = -1;
}

/* Watch what the path means now. Return: 0, or why the directory itself is not watched */
static int dirwatch_arm(struct dirwatch *w)
{
	int rc;

	dirwatch_drop(w->fd, &w->wd);
	if (w->wd_parent < 0 && w->parent)
		w->wd_parent = inotify_add_watch(w->fd, w->parent, WATCH_PARENT);
	w->wd = inotify_add_watch(w->fd, w->path, WATCH_DIR);
	rc = w->wd < 0 ? -errno : 0;
	/* IN_MASK_ADD is not wanted: one inode with two roles ("/") needs only the first */
	if (w->wd >= 0 && w->wd == w->wd_parent)
		w->wd_parent = -1;
	timer_stop(w->retry);
	if (w->wd < 0 && (w->wd_parent < 0 || rc != -ENOENT))
		timer_start(w->retry, WATCH_RETRY_US);
	return rc;
}

static void dirwatch_retry(void *arg)
{
	struct dirwatch *w = arg;

	if (dirwatch_arm(w) == 0)
		w->fn(w->arg, NULL);
}

/* One inotify event. Return: true when the watches must be set up anew and everything may have changed */
static bool dirwatch_event(struct dirwatch *w, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW)
		return true;
	if (e->wd == w->wd_parent) {
		if (e->mask & IN_IGNORED)
			w->wd_parent = -1;
		else if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF))
			dirwatch_drop(w->fd, &w->wd_parent);
		else
			return e->len > 0 && str_eq(e->name, w->base);
		return true;
	}
	if (e->wd != w->wd)
		return false; /* of a watch that was dropped */
	if (e->mask & IN_IGNORED)
		w->wd = -1;
	if (e->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF))
		return true;
	/* temporary files of file_replace() begin with a dot, and are nobody's business */
	if (e->len > 0 && e->name[0] != '.')
		w->fn(w->arg, e->name);
	return false;
}

static void dirwatch_readable(void *arg, int events)
{
	_Alignas(struct inotify_event) char in[16384];
	struct dirwatch *w = arg;
	bool rearm = false;
	ssize_t n;

	(void)events;
	w->busy = true;
	n = read(w->fd, in, sizeof(in)); /* one buffer a callback: the rest comes with the next */
	for (ssize_t at = 0; n > 0 && at < n && !w->freed;) {
		const struct inotify_event *e = (const void *)(in + at);

		rearm |= dirwatch_event(w, e);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	if (rearm && !w->freed) {
		int rc = dirwatch_arm(w);

		if (rc < 0)
			log_debug("watched directory is missing", kv_str("path", w->path), kv_int("code", rc));
		w->fn(w->arg, NULL);
	}
	w->busy = false;
	if (w->freed)
		free(w);
}

int dirwatch_new(uv_loop_t *loop, const char *path, dirwatch_fn *fn, void *arg, struct dirwatch **ret, struct err *err)
{
	struct dirwatch *w = xcalloc(1, sizeof(*w));
	char *slash;
	int rc;

	w->loop = loop;
	w->fn = fn;
	w->arg = arg;
	w->wd = w->wd_parent = -1;
	w->path = xstrdup(path);
	for (size_t len = strlen(w->path); len > 1 && w->path[len - 1] == '/';)
		w->path[--len] = '\0';
	slash = strrchr(w->path, '/');
	w->base = xstrdup(slash ? slash + 1 : w->path);
	if (!slash)
		w->parent = xstrdup(".");
	else if (w->base[0])
		w->parent = slash == w->path ? xstrdup("/") : xstrndup(w->path, (size_t)(slash - w->path));
	w->retry = timer_new(loop, "dirwatch-retry", dirwatch_retry, w);
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd < 0)
		rc = err_errno(err, -errno, "watch %s", path);
	else if ((rc = dirwatch_arm(w)) < 0)
		err_errno(err, rc, "watch %s", path);
	if (rc < 0) {
		dirwatch_free(w);
		return rc;
	}
	w->watch = fdwatch_new(loop, "dirwatch", w->fd, UV_READABLE, dirwatch_readable, w);
	*ret = w;
	return 0;
}

void dirwatch_free(struct dirwatch *w)
{
	if (!w)
		return;
	fdwatch_free(w->watch);
	timer_free(w->retry);
	if (w->fd >= 0)
		close(w->fd);
	free(w->path);
	free(w->parent);
	free(w->base);
	w->freed = true;
	if (!w->busy)
		free(w);
}

int dir_make(const char *path, mode_t mode, struct err *err)
{
	autofree char *p = xstrdup(path);
	struct stat st;

	/* each '/' in turn becomes an end, so that every directory above is made too */
	for (char *at = p;; *at++ = '/') {
		at += strspn(at, "/");
		at += strcspn(at, "/");
		bool last = *at == '\0';

		*at = '\0';
		if (p[0] && mkdir(p, mode) == 0) {
			if (chmod(p, mode) < 0) /* mkdir() heeds the umask */
				return err_errno(err, -errno, "set mode of %s", p);
		} else if (p[0] && errno != EEXIST && errno != EROFS && errno != EACCES && errno != EPERM) {
			return err_errno(err, -errno, "make directory %s", p);
		}
		if (last)
			break;
	}
	if (stat(p, &st) < 0)
		return err_errno(err, -errno, "make directory %s", p);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "make directory %s: something else is there", p);
	return 0;
}

void file_limit_raise(size_t want)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= want)
		return;
	if (limit.rlim_max < want) {
		struct rlimit more = {want, want}; /* root may */

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
	}
	limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_debug("cannot raise the number of open files", kv_str("why", strerror(errno)));
}
