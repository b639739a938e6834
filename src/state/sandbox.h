/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The sandbox
 *
 * Which system calls a role may make once it has begun: a list of names, in sandbox.c. What is not on it fails with
 * EPERM, and is named in the log once: a call that nobody thought of is then an error that the role tells of, as it
 * would any other, and not a dead role (docs/decisions/18).
 *
 * It lasts, also for children. In a build with AddressSanitizer, which makes calls of its own, it is empty.
 */
#ifndef STATE_SANDBOX_H
#define STATE_SANDBOX_H

#include "base/base.h"

/** enum sandbox_part - What is allowed beside memory, time, signals, files and the loop */
enum sandbox_part {
	SANDBOX_NET = 1,      /* making sockets: unix, IPv4, IPv6, netlink; those that are there may always be used */
	SANDBOX_THREADS = 2,  /* threads of libraries */
	SANDBOX_CHILDREN = 4, /* other programs, which may do no more than this */
};

/**
 * sandbox_enter() - From here on; needs no_new_privs, see privileges_drop()
 * @parts: a bit for each
 *
 * Return: 0; -ENOTSUP this kernel, or what we run in, has none; else a negative errno
 */
int sandbox_enter(unsigned parts, struct err *err) MUST_USE;

#endif
