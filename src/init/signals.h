/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals as the kernel has them: 1 to 64, in sets of 64 bits. The libc's own functions leave some out for themselves
 * (musl 32 to 34), but an init must pass on what the programs of any libc use.
 */
#ifndef INIT_SIGNALS_H
#define INIT_SIGNALS_H

#include "base/base.h"

#define SIGNAL_BIT(n) (UINT64_C(1) << ((n)-1))
/* of ourselves, by a fault of ours: they must end us */
#define SIGNALS_OWN                                                                                                 \
	(SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGABRT) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGFPE) | \
	 SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGSYS))

/** signals_block() - Block exactly @set. Return: what was blocked before */
uint64_t signals_block(uint64_t set);
/** signals_fd() - A descriptor to read the blocked signals of @set from, without blocking. Return: it, or -errno */
int signals_fd(uint64_t set) MUST_USE;
/** signals_read() - The next one. Return: its number; 0 when there is none */
int signals_read(int fd);

#endif
