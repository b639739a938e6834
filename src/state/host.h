/* SPDX-License-Identifier: Apache-2.0
 *
 * host.json: which roles run, written by `host`.
 *
 *	{"version":1,"last_update":"...","pid":100,"instance":"89abcdef","run_dir":"/run/docker-router/89abcdef","key_file":"","netns":"net:[4026531840]",
 *	 "release":"0.1.0","refused":"","roles":[{"role":"router","pid":103,"state":"running","since":"...","restarts":0,"last_exit":""}]}
 */
#ifndef STATE_HOST_H
#define STATE_HOST_H

#include "state/json.h"

enum role_state { ROLE_RUNNING, ROLE_WAITING /* for its next try */, ROLE_STOPPED, ROLE_STATE_N_ };
extern const char *const role_state_names[ROLE_STATE_N_];

struct host_role {
	char role[16];
	int32_t pid;
	enum role_state state;
	wall_t since;
	uint32_t restarts;
	char last_exit[64]; /* "exit 1", "signal 9", "" */
};

struct host_state {
	wall_t last_update;
	int32_t pid;
	char instance[16], run_dir[256], netns[32], release[16];
	char key_file[256]; /* CLUSTER_KEY_FILE, so that the verbs find it too; "": none */
	char refused[256];  /* why the settings were not taken at the last SIGHUP; "": they were */
	struct host_role roles[16];
	size_t n_roles;
};

json_t *host_state_to_json(const struct host_state *s);
int host_state_from_json(const json_t *root, struct host_state *ret, struct err *err) MUST_USE;
int host_state_read(int dirfd, const struct file_owner *owner, struct host_state *ret, struct err *err) MUST_USE;
int host_state_write(int dirfd, const struct host_state *s, struct err *err) MUST_USE;

#endif
