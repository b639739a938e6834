/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests against the running kernel: a network namespace of their own, and commands to play the stranger with.
 */
#ifndef TEST_ROUTER_KERNEL_H
#define TEST_ROUTER_KERNEL_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/base.h"

/** kernel_fresh() - From now on in a network and mount namespace of our own, with lo up. False: not allowed to */
static inline bool kernel_fresh(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return false;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	return system("ip link set lo up") == 0;
}

/** kernel_skip() - Say so in TAP */
static inline int kernel_skip(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	return 0;
}

/** sh() - A command, which must succeed */
#define sh(...)                                              \
	do {                                                 \
		char sh_command_[1024];                      \
		str_print(sh_command_, __VA_ARGS__);         \
		if (system(sh_command_) != 0)                \
			fail_msg("failed: %s", sh_command_); \
	} while (0)

#endif
