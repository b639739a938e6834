/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process of ours runs with, as the kernel tells it in /proc/PID/status.
 */
#ifndef CLI_PRIVILEGES_H
#define CLI_PRIVILEGES_H

#include <jansson.h>
#include <sys/types.h>

#include "base/base.h"

struct privileges {
	uid_t uid;
	uint64_t capabilities; /* those that it has or may take: a bit for each CAP_* */
	uint64_t bounding;     /* and the most that a program which it runs could get */
	bool no_new_privs, seccomp;
};

/**
 * privileges_parse() - The text of /proc/PID/status
 * Return: 0; -ENOENT no process of ours, by its name; -EBADMSG
 */
int privileges_parse(const char *text, struct privileges *ret) MUST_USE;
/** privileges_read() - Return: 0, or as above, or -errno */
int privileges_read(pid_t pid, struct privileges *ret) MUST_USE;
/** privileges_text() - "docker-router, no capabilities, no_new_privs, seccomp"; privileges_json() - the same in fields
 */
void privileges_text(const struct privileges *p, struct buf *out);
json_t *privileges_json(const struct privileges *p);

#endif
