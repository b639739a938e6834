/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory of its own for each test, with what is needed to lay files into it.
 */
#ifndef TESTS_STATE_TEMPDIR_H
#define TESTS_STATE_TEMPDIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/base.h"

struct tempdir {
	char path[64];
	int fd;
};

static inline int tempdir_make(void **state)
{
	struct tempdir *t = xcalloc(1, sizeof(*t));
	str_print(t->path, "%s/dr-state-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(t->path));
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(t->fd >= 0);
	*state = t;
	return 0;
}

/* the names in it, to see that no temporary file stayed; freed by the caller */
static inline char *tempdir_list(const struct tempdir *t)
{
	struct buf names = {0};
	DIR *dir = opendir(t->path);
	buf_puts(&names, "");
	for (struct dirent *e; (e = readdir(dir));)
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			buf_printf(&names, "%s ", e->d_name);
	closedir(dir);
	return names.data;
}

static inline int tempdir_remove(void **state)
{
	struct tempdir *t = *state;
	DIR *dir = opendir(t->path);
	for (struct dirent *e; (e = readdir(dir));)
		if (unlinkat(t->fd, e->d_name, 0) < 0)
			unlinkat(t->fd, e->d_name, AT_REMOVEDIR);
	closedir(dir);
	close(t->fd);
	rmdir(t->path);
	free(t);
	return 0;
}

static inline void tempdir_put(const struct tempdir *t, const char *name, const char *text)
{
	int fd = openat(t->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

#endif
