/* SPDX-License-Identifier: Apache-2.0
 *
 * host_id: 32 lower-case hex digits, made once from the kernel's random source, kept in STATE_DIR/host_id, survives
 * power loss. STATE_DIR itself: set up, opened, and who may write which file in it.
 */
#ifndef STATE_IDENTITY_H
#define STATE_IDENTITY_H

#include <sys/types.h>

#include "base/base.h"
#include "io/file.h"

#define HOST_ID_LEN 32

/** struct state_dir - STATE_DIR, opened */
struct state_dir {
	char path[256];
	int fd;
	uid_t uid; /* of the user docker-router, or nobody where that does not exist */
	gid_t gid;
	bool fallback; /* nobody was taken */
};

/**
 * state_dir_open() - Make STATE_DIR when missing, open it
 *
 * As root it is made root:docker-router, mode 1771; one that is there and root-owned is set right.
 */
int state_dir_open(const char *path, struct state_dir *ret, struct err *err) MUST_USE;
void state_dir_done(struct state_dir *d);

/**
 * owner_of_discovery(), owner_of_root() - Who may own the files of the role that faces the wire; of the others
 *
 * discovery runs as docker-router (or nobody), all other roles as uid 0 without the capabilities they do not need: so
 * that what parses datagrams of strangers can neither replace inventory.json nor signal the router. Both sets hold our
 * own effective uid as well, so that everything works for one unprivileged user in a test.
 */
struct file_owner owner_of_discovery(const struct state_dir *d);
struct file_owner owner_of_root(const struct state_dir *d);

/** identity_load() - Read host_id, make it when missing (or broken: that is said in @err text and a new one made, code
 * 0) */
int identity_load(const struct state_dir *d, char ret_id[static HOST_ID_LEN + 1], struct err *err) MUST_USE;

/** privileges_drop() - Become uid:gid, keep @caps (bit mask 1 << CAP_*, ambient too), no_new_privs, not dumpable */
int privileges_drop(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups, uint64_t caps,
		    struct err *err) MUST_USE;

#endif
