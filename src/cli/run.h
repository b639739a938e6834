/* SPDX-License-Identifier: Apache-2.0
 *
 * Run a program and wait for it, bounded in time and output; find the executables of the other roles.
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "base/base.h"

struct run_result {
	int status; /* exit status, -1: killed by @signal */
	int signal;
	struct buf out, err_out; /* 64 KiB each at most */
};
#define RUN_OUTPUT_MAX (64u << 10)

/**
 * run_wait() - Run @argv and wait
 * @ns_fd: network namespace to run in, or -1: ours
 * @input: what it reads on stdin, or NULL
 * @env:   its environment, or NULL: ours
 *
 * After @timeout_ms it is killed. Return: 0 when it ran (see @ret), -ENOENT: no such program, else -errno
 */
int run_wait(const char *const *argv, int ns_fd, const char *input, const char *const *env, int timeout_ms,
	     struct run_result *ret, struct err *err) MUST_USE;
void run_result_done(struct run_result *r);
/** run_first_line() - Of what it said on stderr, else on stdout, else how it ended; made safe */
const char *run_first_line(const struct run_result *r, char *out, size_t size);

/** role_path() - The executable of a role: beside ours, or in its folder of a build tree. 0 or -ENOENT */
int role_path(const char *role, char *out, size_t size) MUST_USE;

#endif
