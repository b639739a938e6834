/* SPDX-License-Identifier: Apache-2.0
 *
 * host.json as a struct and back.
 */
#include "state/host.h"

#include <assert.h>

const char *const role_state_names[] = {"running", "waiting", "stopped"};
static_assert(ARRAY_LEN(role_state_names) == ROLE_STATE_N_, "one name per state");

json_t *host_state_to_json(const struct host_state *s)
{
	json_t *o = json_object(), *roles = json_array();
	json_put_int(o, "version", 1);
	json_put_wall(o, "last_update", s->last_update);
	json_put_int(o, "pid", s->pid);
	json_put_str(o, "instance", s->instance);
	json_put_str(o, "run_dir", s->run_dir);
	json_put_str(o, "netns", s->netns);
	if (s->key_file[0])
		json_put_str(o, "key_file", s->key_file);
	json_put_str(o, "release", s->release);
	if (s->refused[0])
		json_put_str(o, "refused", s->refused);
	for (size_t i = 0; i < s->n_roles; i++) {
		const struct host_role *r = &s->roles[i];
		json_t * or = json_object();
		json_put_str(or, "role", r->role);
		json_put_int(or, "pid", r->pid);
		json_put_str(or, "state", role_state_names[r->state]);
		json_put_wall(or, "since", r->since);
		json_put_int(or, "restarts", r->restarts);
		json_put_str(or, "last_exit", r->last_exit);
		json_array_append_new(roles, or);
	}
	json_put(o, "roles", roles);
	return o;
}

static int role_from_json(const json_t *o, struct host_role *ret, struct err *err)
{
	struct host_role role = {0};
	int64_t pid = 0, restarts = 0;
	int r;
	if ((r = json_required(json_get_str(o, "role", role.role, sizeof(role.role), err), "role", err)) < 0 ||
	    (r = json_optional(json_get_int(o, "pid", 0, INT32_MAX, &pid, err))) < 0 ||
	    (r = json_optional(json_get_wall(o, "since", &role.since, err))) < 0 ||
	    (r = json_optional(json_get_int(o, "restarts", 0, UINT32_MAX, &restarts, err))) < 0 ||
	    (r = json_optional(json_get_str(o, "last_exit", role.last_exit, sizeof(role.last_exit), err))) < 0 ||
	    (r = json_required(json_get_enum(o, "state", role_state_names, ROLE_STATE_N_, err), "state", err)) < 0)
		return r;
	role.state = (enum role_state)r;
	role.pid = (int32_t)pid;
	role.restarts = (uint32_t)restarts;
	*ret = role;
	return 0;
}

int host_state_from_json(const json_t *root, struct host_state *ret, struct err *err)
{
	struct host_state s = {0};
	int64_t pid = 0;
	int r = json_check_version(root, STATE_HOST, err);
	if (r < 0)
		return r;
	if ((r = json_optional(json_get_wall(root, "last_update", &s.last_update, err))) < 0 ||
	    (r = json_optional(json_get_int(root, "pid", 0, INT32_MAX, &pid, err))) < 0 ||
	    (r = json_optional(json_get_str(root, "instance", s.instance, sizeof(s.instance), err))) < 0 ||
	    (r = json_optional(json_get_str(root, "run_dir", s.run_dir, sizeof(s.run_dir), err))) < 0 ||
	    (r = json_optional(json_get_str(root, "netns", s.netns, sizeof(s.netns), err))) < 0 ||
	    (r = json_optional(json_get_str(root, "key_file", s.key_file, sizeof(s.key_file), err))) < 0 ||
	    (r = json_optional(json_get_str(root, "release", s.release, sizeof(s.release), err))) < 0 ||
	    (r = json_optional(json_get_str(root, "refused", s.refused, sizeof(s.refused), err))) < 0)
		goto broken;
	s.pid = (int32_t)pid;
	const json_t *array = json_object_get(root, "roles");
	size_t n = json_array_size(array);
	/* there is no place for problems here: a role that cannot be told is not told */
	for (size_t i = 0; i < n && s.n_roles < ARRAY_LEN(s.roles); i++)
		if (role_from_json(json_array_get(array, i), &s.roles[s.n_roles], NULL) == 0)
			s.n_roles++;
	*ret = s;
	return 0;
broken:
	err_wrap(err, "%s", STATE_HOST);
	return r;
}

int host_state_read(int dirfd, const struct file_owner *owner, struct host_state *ret, struct err *err)
{
	json_t *root;
	int r = state_read_json(dirfd, STATE_HOST, owner, &root, err);
	if (r < 0)
		return r;
	r = host_state_from_json(root, ret, err);
	json_decref(root);
	return r;
}

int host_state_write(int dirfd, const struct host_state *s, struct err *err)
{
	json_t *root = host_state_to_json(s);
	int r = state_write_json(dirfd, STATE_HOST, root, err);
	json_decref(root);
	return r;
}
