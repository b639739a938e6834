/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that other processes write and replace: bounded reads that check the owner, atomic replacement, and a watch on
 * a directory (a watch on a file dies with its first rename).
 */
#ifndef IO_FILE_H
#define IO_FILE_H

#include <sys/types.h>

#include "base/base.h"
#include "io/loop.h"

/** struct file_owner - Who may own a file that is read; @n = 0: anybody */
struct file_owner {
	uid_t uids[4];
	size_t n;
};

/** file_owner_add() - One more uid, unless it is there */
void file_owner_add(struct file_owner *o, uid_t uid);

/**
 * file_read() - Read a whole regular file, bounded
 * @dirfd: directory, or AT_FDCWD
 * @max:   bytes at most
 * @owner: NULL or who may own it; checked by fstat on what was opened
 *
 * Never blocks on a FIFO or device and follows no symlink in the last component.
 * Return: 0; -ENOENT missing; -E2BIG; -EPERM wrong owner; -EISDIR, -EINVAL not a regular file; else -errno
 */
int file_read(int dirfd, const char *name, size_t max, const struct file_owner *owner, struct buf *ret,
	      struct err *err) MUST_USE;

enum file_flags { FILE_SYNC = 1 /* fsync file and directory: must survive power loss */ };

/**
 * file_replace() - Write a temporary file beside @name and rename it over
 * @mode: permission bits of the result, whatever the umask
 *
 * On failure (full disk, ...) the old file stays as it was and no temporary file is left.
 */
int file_replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode, int flags,
		 struct err *err) MUST_USE;

/**
 * struct file_mark - Which version of a file this is: what file_replace() made, until somebody else touches it
 * All zero: none.
 */
struct file_mark {
	uint64_t ino, size, mtime_ns;
	uid_t uid;
};

/** file_mark_get() - Of the file as it is now; all zero where there is no regular file */
struct file_mark file_mark_get(int dirfd, const char *name);
bool file_mark_same(const struct file_mark *a, const struct file_mark *b);

/** struct dirwatch - Tells which names in a directory changed, appeared or went; survives replacement of the directory
 */
struct dirwatch;
/** dirwatch_fn - @name: the entry, or NULL: anything may have changed (overflow, directory replaced) */
typedef void dirwatch_fn(void *arg, const char *name);
int dirwatch_new(uv_loop_t *loop, const char *path, dirwatch_fn *fn, void *arg, struct dirwatch **ret,
		 struct err *err) MUST_USE;
void dirwatch_free(struct dirwatch *w);

/** file_limit_raise() - Let this process have @want files open, or as many as it may */
void file_limit_raise(size_t want);

/** dir_make() - mkdir -p with @mode for what is made; 0 also when it is there. */
int dir_make(const char *path, mode_t mode, struct err *err) MUST_USE;

#endif
