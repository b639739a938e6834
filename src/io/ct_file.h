/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of a container that the broker writes for the role attach: the flag of NETWORKWAIT and resolv.conf. What lies
 * in a container is a stranger's: no name is followed out of its root, nothing but a plain file is written, and its
 * process is proved to be in the container's namespace and still there, since a pid is used again.
 */
#ifndef IO_CT_FILE_H
#define IO_CT_FILE_H

#include "base/base.h"

#define CT_FLAG_DIR  "tmp"
#define CT_FLAG_NAME ".nsnetsetup"

/** ct_pid_is() - Is @pid a process of the container @id, by its control group? Where @id is no id: true */
bool ct_pid_is(int32_t pid, const char *id);
/** ct_root() - The root of the process @pid, if that is in the namespace @ns_fd. Return: fd or -errno */
int ct_root(int32_t pid, int ns_fd, struct err *err) MUST_USE;
/**
 * ct_flag_make() - Make the flag below @root
 * Return: its directory, which lets it be taken away when the container has stopped and nobody else gets there; or
 * -errno
 */
int ct_flag_make(int root, struct err *err) MUST_USE;
/** ct_flag_dir() - That directory, without making the flag; -ENOENT: there is none */
int ct_flag_dir(int root, struct err *err) MUST_USE;
void ct_flag_remove(int dir);
/**
 * ct_resolv_write() - Put @text into /etc/resolv.conf, which Docker has mounted there: in place
 *
 * Where Docker's resolver is in it nothing is changed, unless @force. A file that somebody has mounted there, the
 * host's own may be, is refused: only the engine's for @id is written, or one of the container's image. Return: 0; 1:
 * it was left alone; -errno
 */
int ct_resolv_write(int root, int32_t pid, const char *id, const char *text, size_t len, bool force,
		    struct err *err) MUST_USE;
/** ct_resolv_is_own() - By the text of a mountinfo; pure */
bool ct_resolv_is_own(const char *mountinfo, const char *id);

#endif
