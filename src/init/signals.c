/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls around signals, without the libc's sets.
 */
#include "init/signals.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

uint64_t signals_block(uint64_t set)
{
	uint64_t before = 0;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, &before, sizeof(set));
	return before;
}

int signals_fd(uint64_t set)
{
	int fd = (int)syscall(SYS_signalfd4, -1, &set, sizeof(set), O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int signals_read(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}
