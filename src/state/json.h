/* SPDX-License-Identifier: Apache-2.0
 *
 * What the state files share: strict, bounded loading through jansson, getters that say which field of which file was
 * wrong, problems, and writing.
 */
#ifndef STATE_JSON_H
#define STATE_JSON_H

#include <jansson.h>

#include "base/addr.h"
#include "base/base.h"
#include "base/clock.h"
#include "io/file.h"
#include "state/limits.h"

/**
 * struct problem - One thing that a person should know: told by `status` and `doctor`, logged once when it appears
 * @object: what it is about: "network shop_default", "peer 192.0.2.7"
 * @text:   what is wrong and what is allowed; one line
 * @cure:   what to do, may hold several lines; "" when the text says it
 */
struct problem {
	char *object, *text, *cure;
};
struct problems {
	struct problem *v;
	size_t n, cap;
};
void problems_add(struct problems *p, const char *object, const char *cure, const char *fmt, ...) PRINTF(4, 5);
void problems_done(struct problems *p);
/**
 * problems_log_new() - Log (warning) what is in @now and was not in @before
 * @object: NULL, or only what is about this: a reader logs what the file itself made it leave out, the rest its writer
 * has logged
 */
void problems_log_new(const struct problems *before, const struct problems *now, const char *object);
json_t *problems_to_json(const struct problems *p);
void problems_from_json(json_t *array, struct problems *ret); /* skips what is malformed */

/** json_parse_bounded() - Parse @len bytes, depth <= LIMIT_JSON_DEPTH, duplicate keys refused. Return: new reference or
 * NULL */
json_t *json_parse_bounded(const char *data, size_t len, struct err *err);

/*
 * Of a large text, what is needed without building the whole tree. Only brackets and strings are looked at: what is cut
 * out has to be parsed.
 */
bool json_is_space(char c);
/** json_skip_value() - Behind the value that starts at @i: at the comma or bracket that follows, or @len */
size_t json_skip_value(const char *s, size_t len, size_t i);
/** json_find_array() - Where the elements of the top object's array @name begin and end, at its ']'. false: not there
 */
bool json_find_array(const char *s, size_t len, const char *name, size_t *ret_begin, size_t *ret_end);

/*
 * Getters: @ret untouched and -ENOENT when the key is missing or null; -EINVAL with @err naming the key, the value and
 * what is allowed when it is of the wrong type or out of range.
 */
int json_get_str(const json_t *o, const char *key, char *ret, size_t size, struct err *err) MUST_USE;
int json_get_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t *ret, struct err *err) MUST_USE;
int json_get_bool(const json_t *o, const char *key, bool *ret, struct err *err) MUST_USE;
int json_get_ip(const json_t *o, const char *key, struct ip *ret, struct err *err) MUST_USE;
int json_get_mac(const json_t *o, const char *key, struct mac *ret, struct err *err) MUST_USE;
/** json_get_prefixes() - An array of CIDR strings, at most @max; host bits cleared */
int json_get_prefixes(const json_t *o, const char *key, struct prefix *ret, size_t max, size_t *ret_n,
		      struct err *err) MUST_USE;
/** json_optional() - A getter's result where the key may be missing */
static inline int json_optional(int r)
{
	return r == -ENOENT ? 0 : r;
}
/** json_required() - A getter's result where it may not */
static inline int json_required(int r, const char *key, struct err *err)
{
	return r == -ENOENT ? err_set(err, -EINVAL, "%s is missing", key) : r;
}
int json_get_wall(const json_t *o, const char *key, wall_t *ret, struct err *err) MUST_USE;
/** json_get_enum() - A string that is one of @n names (none may be NULL). Return: its index, -ENOENT or -EINVAL */
int json_get_enum(const json_t *o, const char *key, const char *const *names, size_t n, struct err *err) MUST_USE;
/** json_get_array() - An array; NULL when missing, null or (then told in @p about @object) of another type */
json_t *json_get_array(const json_t *o, const char *key, struct problems *p, const char *object);
/** json_check_array() - For what a file is nothing without. Return: 0 an array, missing or null; -EINVAL another type
 */
int json_check_array(const json_t *o, const char *key, struct err *err) MUST_USE;
/** json_put_*() - into object @o; text that is not UTF-8 is put as str_safe() prints it */
void json_put(json_t *o, const char *key, json_t *value);
void json_put_str(json_t *o, const char *key, const char *s);
void json_put_int(json_t *o, const char *key, int64_t n);
void json_put_wall(json_t *o, const char *key, wall_t t);
void json_put_mac(json_t *o, const char *key, const struct mac *m);
void json_put_ip(json_t *o, const char *key, const struct ip *ip);
void json_put_prefixes(json_t *o, const char *key, const struct prefix *p, size_t n);

/** json_print() - Append the text of @v: one line with @flags JSON_COMPACT, indented with JSON_INDENT(1); always ASCII
 */
void json_print(struct buf *b, const json_t *v, size_t flags);

/** name_valid() - 1 to LIMIT_NAME-1 bytes of [A-Za-z0-9_.-], not starting with '-' or '.': stacks, hosts, networks,
 * containers */
bool name_valid(const char *s);

/** json_check_version() - An object with "version": 1, else @err says that @what is none. Return: 0 or -EINVAL */
int json_check_version(const json_t *root, const char *what, struct err *err) MUST_USE;

/** state_read_json() - file_read() + json_parse_bounded(); -ENOENT when missing */
int state_read_json(int dirfd, const char *name, const struct file_owner *owner, json_t **ret,
		    struct err *err) MUST_USE;
/** state_write_json() - file_replace() with mode 0644, indented by 1, keys in insertion order */
int state_write_json(int dirfd, const char *name, json_t *root, struct err *err) MUST_USE;

#define STATE_INVENTORY "inventory.json"
#define STATE_NAMES	"names.json"
#define STATE_RECORDS	"records.json"
#define STATE_DISCOVERY "discovery.json"
#define STATE_ROUTER	"router.json"
#define STATE_MULTICAST "multicast.json"
#define STATE_HOST	"host.json"
#define STATE_HOST_ID	"host_id"

#endif
