/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of `down` share.
 */
#ifndef CLI_DOWN_H
#define CLI_DOWN_H

#include "cli/cli.h"

#define HOST_LOCK "host.lock" /* in STATE_DIR: held (flock) by a running host, its pid inside */

struct down {
	struct cli *cli;
	struct state_files files;
	bool dry_run, utf8;
	int host_ns;	 /* the namespace that the host runs or ran in */
	int lock;	 /* host.lock, held by us: no host starts while we clean up behind the last; or -1 */
	char where[160]; /* what the next lines are about */
	size_t n, failed;
	json_t *rows; /* JSON */
};

/** down_told() - One thing was removed, or would be, or could not be (@code < 0) */
void down_told(struct down *d, const char *kind, const char *what, int code, const char *why);
/** down_said() - The same with other words for how it ended; never a failure */
void down_said(struct down *d, const char *kind, const char *what, const char *result, const char *why);

/**
 * down_host() - Find out in which namespace the host works, stop it when it runs, and take its lock
 *
 * Says on stderr why it cannot.
 * Return: 0 with d->host_ns set (and d->lock, unless there is no lock file or this is a dry run), -errno
 */
int down_host(struct down *d) MUST_USE;

/** unit_of_cgroup() - The systemd service in the text of /proc/PID/cgroup; pure */
bool unit_of_cgroup(const char *cgroup, char *out, size_t size);

/** pidfd_of(), pidfd_signal() - pidfd_open(2), pidfd_send_signal(2). Return: fd, 0, or negative */
int pidfd_of(pid_t pid);
int pidfd_signal(int pidfd, int signum);
/** role_runs() - Is the process of this number one of that role? To be asked when it is held by a pidfd */
bool role_runs(const char *role, int32_t pid);

#endif
