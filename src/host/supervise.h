/* SPDX-License-Identifier: Apache-2.0
 *
 * The roles as children: start, restart with a back-off, end. A role that needs the kernel gets one end of a broker's
 * socket pair; the other end is served here, on the same loop.
 */
#ifndef HOST_SUPERVISE_H
#define HOST_SUPERVISE_H

#include "io/loop.h"
#include "state/host.h"

/** struct backoff - How long a role that ended waits for its next start */
struct backoff {
	unsigned failures; /* in a row */
};

/**
 * backoff_next() - Pure: what to do after a role ended
 * @ran_us: how long it ran; 60 s make all that was before forgotten
 * @status: its exit status; 2 says that it was used wrongly, which no restart cures soon
 *
 * Return: microseconds to wait: 0 the first time, then 100 ms doubling to 30 s
 */
int64_t backoff_next(struct backoff *b, int64_t ran_us, int status);

struct supervisor;

/** struct supervisor_spec - Strings are copied, @env is borrowed as long as the supervisor lives */
struct supervisor_spec {
	const char *exe_dir; /* of our own executable: the roles lie beside it, or in ../ROLE (build tree) */
	const char *run_dir; /* RUN_DIR/INSTANCE, for the broker */
	char *const *env;    /* NULL-terminated, for every role */
	loop_fn *changed;    /* supervisor_state() differs */
	loop_fn *stopped;    /* after supervisor_stop(): nobody runs any more; called from the loop */
	void *arg;
};

struct supervisor *supervisor_new(uv_loop_t *loop, const struct supervisor_spec *spec);
void supervisor_free(struct supervisor *s); /* what still runs is left running */

/** supervisor_set_roles() - "inventory,router": start what is new, end what is not in it */
void supervisor_set_roles(struct supervisor *s, const char *roles);
/** supervisor_stop() - SIGTERM to all, SIGKILL after 5 s */
void supervisor_stop(struct supervisor *s);
/** supervisor_signal() - To all that run */
void supervisor_signal(struct supervisor *s, int signum);
/** supervisor_state() - What runs, for host.json. Return: how many of @ret were filled */
size_t supervisor_state(const struct supervisor *s, struct host_role *ret, size_t max);

/**
 * supervisor_end_leftovers() - SIGTERM to roles that a killed predecessor left behind
 * @before: the host.json that it left
 *
 * Only a process that runs our role's executable and has lost its supervisor is meant.
 */
void supervisor_end_leftovers(const struct host_state *before);

#endif
