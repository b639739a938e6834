/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom to join by: as text, and as a file.
 */
#include "state/join.h"

#include <fcntl.h>
#include <sys/stat.h>

static bool host_valid(const char *s, size_t len)
{
	if (len == 0 || len > 253 || s[0] == '-' || s[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '.' || c == '_'))
			return false;
	}
	return true;
}

int join_parse(const char *s, uint16_t default_port, struct join_target *ret)
{
	const char *colon = strchr(s, ':');
	size_t len = colon ? (size_t)(colon - s) : strlen(s);
	uint64_t port = default_port;

	*ret = (struct join_target){.address.port = default_port};
	if (strlen(s) >= sizeof(ret->host))
		return -EINVAL;
	if (!strchr(s, '%') && endpoint_parse(s, default_port, &ret->address) == 0) {
		str_copy(ret->host, s);
		return ret->address.port == 0 || ip_is_multicast(&ret->address.ip) ||
				       ip_is_unspecified(&ret->address.ip)
			       ? -EINVAL
			       : 0;
	}
	*ret = (struct join_target){.address.port = default_port};
	/* what has only digits and dots is an address, and was none */
	if (!host_valid(s, len) || strspn(s, "0123456789.") == len ||
	    (colon && parse_u64(colon + 1, 1, UINT16_MAX, &port) < 0))
		return -EINVAL;
	memcpy(ret->host, s, len);
	ret->address.port = (uint16_t)port;
	return 0;
}

void join_list_add(struct join_list *l, const char *to)
{
	size_t at = 0;

	while (at < l->n && !str_eq(l->to[at], to))
		at++;
	if (at == l->n && l->n < LIMIT_JOIN)
		l->n++;
	if (at == LIMIT_JOIN)
		at--;
	memmove(l->to[1], l->to[0], at * sizeof(l->to[0]));
	str_copy(l->to[0], to);
}

static int join_from_json(const json_t *root, struct join_file *f, struct err *err)
{
	int r = json_check_version(root, STATE_JOIN, err);

	if (r < 0 || (r = json_check_array(root, "join", err)) < 0 ||
	    (r = json_optional(json_get_str(root, "refused", f->refused, sizeof(f->refused), err))) < 0 ||
	    (r = json_optional(json_get_wall(root, "refused_at", &f->refused_at, err))) < 0)
		return r;
	const json_t *array = json_object_get(root, "join");
	for (size_t i = 0; i < json_array_size(array) && f->join.n < LIMIT_JOIN; i++) {
		const char *to = json_string_value(json_array_get(array, i));
		struct join_target target;

		if (!to || strlen(to) >= LIMIT_JOIN_BYTES || join_parse(to, JOIN_PORT, &target) < 0)
			return err_set(err, -EINVAL, "join[%zu] is no name or address with a port", i);
		str_copy(f->join.to[f->join.n], to);
		f->join.n++;
	}
	return 0;
}

int join_file_read(int dirfd, const struct file_owner *owner, struct join_file *ret, struct err *err)
{
	json_t *root = NULL;
	int r;

	*ret = (struct join_file){0};
	r = state_read_json(dirfd, STATE_JOIN, owner, &root, err);
	if (r < 0)
		return r;
	r = join_from_json(root, ret, err);
	json_decref(root);
	return r < 0 ? err_wrap(err, STATE_JOIN) : 0;
}

int join_file_write(int dirfd, const struct join_file *f, struct err *err)
{
	json_t *o = json_object(), *join = json_array();
	autobuf struct buf text = {0};

	json_put_int(o, "version", 1);
	for (size_t i = 0; i < f->join.n; i++)
		json_array_append_new(join, json_string(f->join.to[i]));
	json_put(o, "join", join);
	if (f->refused[0]) {
		json_put_str(o, "refused", f->refused);
		json_put_wall(o, "refused_at", f->refused_at);
	}
	json_print(&text, o, JSON_INDENT(1));
	buf_puts(&text, "\n");
	json_decref(o);
	return file_replace(dirfd, STATE_JOIN, text.data, text.len, 0644, FILE_SYNC, err);
}

void join_key_path(const char *configured, const char *state_dir, char *ret, size_t size)
{
	if (configured[0])
		snprintf(ret, size, "%s", configured);
	else
		snprintf(ret, size, "%s/%s", state_dir, STATE_KEY_FILE);
}

int join_key_folder(int dirfd, struct err *err)
{
	struct stat st;

	if (mkdirat(dirfd, STATE_KEYS, 0700) < 0 && errno != EEXIST)
		return err_errno(err, -errno, "make the folder %s", STATE_KEYS);
	if (fstatat(dirfd, STATE_KEYS, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, -errno, "%s", STATE_KEYS);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
		return err_set(err, -EPERM, "%s in STATE_DIR is not a folder of ours with mode 0700", STATE_KEYS);
	return 0;
}
