/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of io share: waiting for a condition on a loop, and namespaces of their own.
 */
#ifndef TEST_IO_HELP_H
#define TEST_IO_HELP_H

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "io/loop.h"

#define DEADLINE_US (10 * USEC_PER_SEC)

static void help_expired(void *arg)
{
	*(bool *)arg = true;
}

/* Run the loop until *@done, at most ten seconds. Return: *@done */
static inline bool help_wait(uv_loop_t *loop, const volatile bool *done)
{
	bool expired = false;
	struct timer *t = timer_new(loop, "test-deadline", help_expired, &expired);

	timer_start(t, DEADLINE_US);
	while (!*done && !expired)
		uv_run(loop, UV_RUN_ONCE);
	timer_free(t);
	return *done;
}

/* Run the loop for what is ready now, without waiting */
static inline void help_spin(uv_loop_t *loop)
{
	for (int i = 0; i < 20; i++)
		uv_run(loop, UV_RUN_NOWAIT);
}

/* A network and a mount namespace for this process alone. Return: false when we may not */
static inline bool help_own_namespaces(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static inline int help_skip_all(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	return 0;
}

/* A folder of the test's own; empty and gone with help_rmdir() */
static inline const char *help_mkdir(char path[static 64])
{
	snprintf(path, 64, "/tmp/docker-router-test-XXXXXX");
	assert_non_null(mkdtemp(path));
	return path;
}

static inline void help_rm(const char *path)
{
	autofree char *command = xasprintf("rm -rf -- '%s'", path);

	assert_int_equal(system(command), 0);
}

#endif
