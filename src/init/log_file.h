/* SPDX-License-Identifier: Apache-2.0
 *
 * A FIFO in the place where a program insists on a log file, and keeping it there.
 *
 * The FIFO is held open for reading and writing by PID 1, which never reads it: as long as PID 1 lives no writer gets
 * SIGPIPE, and what is in it outlives the pump (init/pump.h) that reads.
 *
 * When the name no longer leads to our FIFO, it was rotated: renamed, or removed. It is put back at once. A program
 * that was faster made a file of that name; that file is taken away from under the name, and read for as long as
 * somebody has it open: a *source* beside the FIFO.
 */
#ifndef INIT_LOG_FILE_H
#define INIT_LOG_FILE_H

#include "base/base.h"

#define LIMIT_LOG_SOURCES 4

struct log_source {
	int fd;
	bool is_file; /* an ordinary file that grows, not the FIFO */
};

struct log_file {
	const char *path;
	int out; /* 1 or 2 */
	struct log_source sources[LIMIT_LOG_SOURCES];
	size_t n_sources;
};

/**
 * log_file_place() - Make it so: the folder is there and watched, and its name leads to our FIFO
 * @l:        path and out are set; sources are added
 * @watch_fd: inotify, or -1
 * @ret_new:  whether a source was added
 *
 * For the first time, and whenever something happened in the folder. What was there before the first time is kept as
 * PATH.old. Return: 0 or a negative errno; what cannot be put right now is tried again at the next event
 */
int log_file_place(struct log_file *l, int watch_fd, bool *ret_new, struct err *err) MUST_USE;
void log_file_done(struct log_file *l);

/** log_file_prune() - Close what nobody writes any more. Return: whether something was closed */
bool log_file_prune(struct log_file *l);

/** log_source_is_over() - Is @s a file that nobody but us has open, read to its end? */
bool log_source_is_over(const struct log_source *s);

#endif
