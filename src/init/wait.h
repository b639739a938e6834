/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for the network before a program starts: interfaces by netlink, the flag of NETWORKWAIT, something that takes
 * connections.
 */
#ifndef INIT_WAIT_H
#define INIT_WAIT_H

#include "init/options.h"

/* written by who attaches NICs, when all are ready; waited for when NETWORKWAIT is set */
#define WAIT_FLAG "/tmp/.nsnetsetup"

/**
 * wait_run() - Wait for all of it, or until the time is up
 *
 * Says once what it waits for, after two seconds, and what was missing when the time is up. Blocks, resolves names: a
 * process of its own, which ends with status 1 when the time is up. Return: 0 it is there; a negative errno
 */
int wait_run(const struct wait_options *o) MUST_USE;
/** wait_is_needed() - Is there anything to wait for? */
bool wait_is_needed(const struct wait_options *o);

/** interface_missing() - Why @name is not ready: "eth1", "an address of eth1"; NULL: it is ready */
const char *interface_missing(const char *name, bool address);

/** target_answers() - Does it take a connection, within @timeout_ms for each address? */
bool target_answers(const struct target *t, int timeout_ms);

#endif
