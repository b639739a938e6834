/* SPDX-License-Identifier: Apache-2.0
 *
 * Placing the FIFO, and what happens to its name.
 */
#include "init/log_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>

/* as much as an unprivileged user may have; a program that writes in bursts waits less often */
#define FIFO_BYTES (1 << 20)

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* the folder of @path, and those above it, as mkdir -p makes them. Return: 0 or a negative errno */
static int folder_make(const char *path)
{
	char folder[PATH_MAX];

	str_copy(folder, path);
	for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(folder, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

static void folder_watch(const char *path, int watch_fd)
{
	char folder[PATH_MAX];

	str_copy(folder, path);
	strrchr(folder, '/')[folder[0] == '/' && strrchr(folder, '/') == folder] = '\0';
	if (watch_fd >= 0)
		/* the same watch each time; a folder that was made anew gets a new one */
		inotify_add_watch(watch_fd, folder,
				  IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR);
}

static void source_add(struct log_file *l, int fd, bool is_file)
{
	if (l->n_sources == LIMIT_LOG_SOURCES) {
		size_t i = 0; /* the oldest file, which nobody will miss; not a FIFO as long as there is another */
		while (i < LIMIT_LOG_SOURCES - 1 && !l->sources[i].is_file)
			i++;
		close(l->sources[i].fd);
		memmove(l->sources + i, l->sources + i + 1, (LIMIT_LOG_SOURCES - 1 - i) * sizeof(l->sources[0]));
		l->n_sources--;
	}
	l->sources[l->n_sources++] = (struct log_source){.fd = fd, .is_file = is_file};
}

/* Is @st one of our FIFOs? The newest is the one that is put back. */
static const struct log_source *fifo_ours(const struct log_file *l, const struct stat *st)
{
	struct stat ours;

	for (size_t i = l->n_sources; i-- > 0;)
		if (!l->sources[i].is_file && fstat(l->sources[i].fd, &ours) == 0 && (!st || same_file(&ours, st)))
			return &l->sources[i];
	return NULL;
}

static int fifo_open(struct log_file *l, bool *ret_new, struct err *err)
{
	struct stat st;
	autoclose int fd = open(l->path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, -errno, "log %s: open", l->path);
	if (!S_ISFIFO(st.st_mode))
		return err_set(err, -EAGAIN, "log %s: somebody else put something there", l->path);
	fcntl(fd, F_SETPIPE_SZ, FIFO_BYTES);
	source_add(l, steal_fd(fd), false);
	*ret_new = true;
	return 0;
}

/* a FIFO under the name @at: the one that we have, when it still has a name somewhere, or a new one */
static int fifo_link(struct log_file *l, const char *at, bool *ret_old)
{
	const struct log_source *old = fifo_ours(l, NULL);
	char ours[64];

	*ret_old = false;
	if (old) {
		str_print(ours, "/proc/self/fd/%d", old->fd);
		*ret_old = linkat(AT_FDCWD, ours, AT_FDCWD, at, AT_SYMLINK_FOLLOW) == 0;
		if (*ret_old || errno == EEXIST)
			return *ret_old ? 0 : -EEXIST;
	}
	if (mkfifo(at, 0600) < 0)
		return -errno;
	/* programs that give up root before they open their log must be able to, also those that open it "a+" */
	return chmod(at, 0666) < 0 ? -errno : 0;
}

static int fifo_make(struct log_file *l, bool *ret_new, struct err *err)
{
	bool old;
	int r = fifo_link(l, l->path, &old);

	if (r == -EEXIST)
		return -EAGAIN; /* a program was faster: look again */
	if (r < 0)
		return err_errno(err, r, "log %s: cannot make a FIFO", l->path);
	return old ? 0 : fifo_open(l, ret_new, err);
}

/* what was there before we came: kept, under a name that is free */
static int keep_old(const char *path, struct err *err)
{
	char to[PATH_MAX + 8];

	for (int i = 0; i < 10; i++) {
		str_print(to, i ? "%s.old.%d" : "%s.old", path, i);
		if (access(to, F_OK) == 0)
			continue;
		if (rename(path, to) < 0)
			return err_errno(err, -errno, "log %s: cannot be renamed%s", path,
					 errno == EBUSY ? " (it is a mount: mount its folder)" : "");
		return 0;
	}
	return err_set(err, -EEXIST, "log %s: there are ten old ones beside it already", path);
}

/* a program made a file where the FIFO was: read it, and put the FIFO over its name */
static int file_adopt(struct log_file *l, bool *ret_new, struct err *err)
{
	char beside[PATH_MAX + 16];
	struct stat st;
	bool old;
	autoclose int fd = open(l->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && errno == EACCES)
		fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, -errno, "log %s: open", l->path);
	if (!S_ISREG(st.st_mode))
		return -EAGAIN;
	str_print(beside, "%s.fifo.%d", l->path, getpid());
	unlink(beside);
	int r = fifo_link(l, beside, &old);
	if (r < 0 || rename(beside, l->path) < 0) {
		r = r < 0 ? r : -errno;
		unlink(beside);
		return err_errno(err, r, "log %s: cannot make a FIFO", l->path);
	}
	unlink(beside); /* renaming one link of a file over another does nothing */
	source_add(l, steal_fd(fd), true);
	*ret_new = true;
	return old ? 0 : fifo_open(l, ret_new, err);
}

static int place_once(struct log_file *l, bool *ret_new, struct err *err)
{
	struct stat st;

	if (lstat(l->path, &st) < 0)
		return errno == ENOENT ? fifo_make(l, ret_new, err) : err_errno(err, -errno, "log %s", l->path);
	if (S_ISFIFO(st.st_mode))
		return fifo_ours(l, &st) ? 0 : fifo_open(l, ret_new, err);
	bool first = l->n_sources == 0;
	if (S_ISREG(st.st_mode) && (!first || st.st_size == 0)) {
		if (!first)
			return file_adopt(l, ret_new, err);
		/* empty, as images have them: nothing to keep */
		return unlink(l->path) < 0 ? err_errno(err, -errno, "log %s: cannot be replaced%s", l->path,
						       errno == EBUSY ? " (it is a mount: mount its folder)" : "")
					   : -EAGAIN;
	}
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return err_set(err, -EEXIST, "log %s: is neither a file nor a FIFO", l->path);
	if (!first)
		return 0; /* a link that the program made itself: it knows where it logs to */
	int r = keep_old(l->path, err);
	return r < 0 ? r : -EAGAIN;
}

int log_file_place(struct log_file *l, int watch_fd, bool *ret_new, struct err *err)
{
	int r = folder_make(l->path);

	*ret_new = false;
	if (r < 0)
		return err_errno(err, r, "log %s: cannot make its folder", l->path);
	folder_watch(l->path, watch_fd);
	/* a program may make or take away the name between two steps; it does not do so for ever */
	for (int i = 0; i < 8; i++) {
		r = place_once(l, ret_new, err);
		if (r != -EAGAIN)
			return r;
	}
	return err_set(err, -EAGAIN, "log %s: its name changes all the time", l->path);
}

void log_file_done(struct log_file *l)
{
	for (size_t i = 0; i < l->n_sources; i++)
		close(l->sources[i].fd);
	l->n_sources = 0;
}

bool log_source_is_over(const struct log_source *s)
{
	struct stat st;

	if (!s->is_file || fstat(s->fd, &st) < 0 || st.st_nlink > 0 || lseek(s->fd, 0, SEEK_CUR) < st.st_size)
		return false;
	/*
	 * The kernel grants such a lease only while nobody else has it open, and to its owner (or with CAP_LEASE). It
	 * has no name any more, so that nobody opens it meanwhile and breaks the lease, of which a signal would tell
	 * us.
	 */
	if (fcntl(s->fd, F_SETLEASE, F_WRLCK) < 0)
		return false;
	fcntl(s->fd, F_SETLEASE, F_UNLCK);
	return fstat(s->fd, &st) == 0 && lseek(s->fd, 0, SEEK_CUR) >= st.st_size;
}

bool log_file_prune(struct log_file *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n_sources; i++) {
		if (log_source_is_over(&l->sources[i]))
			close(l->sources[i].fd);
		else
			l->sources[n++] = l->sources[i];
	}
	bool pruned = n < l->n_sources;
	l->n_sources = n;
	return pruned;
}
