/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounded JSON, getters with words for the person who has to mend the file, problems. jansson limits depth to 2048 and
 * the number of values not at all, so both are counted in the text before it builds anything.
 */
#include "state/json.h"

#include "base/log.h"

/* a value costs about 100 bytes once parsed; a full discovery.json (LIMIT_PEERS) has a third of this */
#define LIMIT_JSON_VALUES (1u << 20)

static json_t *must(json_t *v)
{
	if (!v)
		abort(); /* no memory, as in xmalloc() */
	return v;
}

static int problem_cmp(const struct problem *a, const struct problem *b)
{
	int order = strcmp(a->object, b->object);
	return order ? order : strcmp(a->text, b->text);
}

static void problem_put(struct problems *p, const char *object, const char *cure, const char *text)
{
	*xgrow(&p->v, p->n, &p->cap) =
		(struct problem){.object = xstrdup(object), .text = xstrdup(text), .cure = xstrdup(cure)};
	p->n++;
}

void problems_add(struct problems *p, const char *object, const char *cure, const char *fmt, ...)
{
	if (p->n >= LIMIT_PROBLEMS)
		return;
	if (p->n == LIMIT_PROBLEMS - 1) {
		problem_put(p, "problems", "", "there are more than are told here");
		return;
	}
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	problem_put(p, object, cure ? cure : "", text);
	free(text);
}

void problems_done(struct problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].object);
		free(p->v[i].text);
		free(p->v[i].cure);
	}
	free(p->v);
	*p = (struct problems){0};
}

static bool problems_have(const struct problems *p, const struct problem *what)
{
	for (size_t i = 0; i < p->n; i++)
		if (problem_cmp(&p->v[i], what) == 0)
			return true;
	return false;
}

void problems_log_new(const struct problems *before, const struct problems *now, const char *object)
{
	for (size_t i = 0; i < now->n; i++) {
		const struct problem *p = &now->v[i];
		if (problems_have(before, p) || (object && !str_eq(p->object, object)))
			continue;
		if (*p->cure && !strchr(p->cure, '\n'))
			log_warning(p->text, kv_str("object", p->object), kv_str("cure", p->cure));
		else
			log_warning(p->text, kv_str("object", p->object));
	}
}

json_t *problems_to_json(const struct problems *p)
{
	json_t *array = must(json_array());
	for (size_t i = 0; i < p->n; i++) {
		json_t *o = must(json_object());
		json_put_str(o, "object", p->v[i].object);
		json_put_str(o, "text", p->v[i].text);
		json_put_str(o, "cure", p->v[i].cure);
		json_array_append_new(array, o);
	}
	return array;
}

void problems_from_json(json_t *array, struct problems *ret)
{
	size_t i;
	json_t *o;
	json_array_foreach(array, i, o)
	{
		const char *object = json_string_value(json_object_get(o, "object"));
		const char *text = json_string_value(json_object_get(o, "text"));
		const char *cure = json_string_value(json_object_get(o, "cure"));
		if (ret->n >= LIMIT_PROBLEMS)
			return;
		if (object && text && strlen(object) < 512 && strlen(text) < 2048 && (!cure || strlen(cure) < 4096))
			problem_put(ret, object, cure ? cure : "", text);
	}
}

/* count what jansson would build; brackets and commas inside strings do not count */
static int check_bounds(const char *data, size_t len, struct err *err)
{
	size_t depth = 0, values = 1;
	bool in_string = false;
	for (size_t i = 0; i < len; i++) {
		char c = data[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"')
			in_string = true;
		else if (c == '[' || c == '{')
			depth++, values++;
		else if ((c == ']' || c == '}') && depth)
			depth--;
		else if (c == ',')
			values++;
		if (depth > LIMIT_JSON_DEPTH)
			return err_set(err, -E2BIG, "JSON is nested deeper than %d", LIMIT_JSON_DEPTH);
		if (values > LIMIT_JSON_VALUES)
			return err_set(err, -E2BIG, "JSON has more than %u values", LIMIT_JSON_VALUES);
	}
	return 0;
}

json_t *json_parse_bounded(const char *data, size_t len, struct err *err)
{
	json_error_t why;
	if (!len) {
		err_set(err, -EINVAL, "empty, no JSON");
		return NULL;
	}
	if (check_bounds(data, len, err) < 0)
		return NULL;
	json_t *root = json_loadb(data, len, JSON_REJECT_DUPLICATES, &why);
	if (!root) {
		autobuf struct buf text = {0};
		str_safe(&text, why.text);
		err_set(err, -EINVAL, "line %d: no JSON: %s", why.line, text.data);
	}
	return root;
}

/* @v shortened for a message */
static const char *value_text(const json_t *v, char out[static 64])
{
	autobuf struct buf b = {0}, safe = {0};
	if (json_is_array(v) || json_is_object(v))
		return json_is_array(v) ? "an array" : "an object";
	if (json_is_string(v))
		str_safe(&safe, json_string_value(v));
	else
		json_print(&safe, v, JSON_ENCODE_ANY);
	if (json_is_string(v))
		buf_printf(&b, "\"%s\"", safe.data);
	else
		buf_puts(&b, safe.data);
	if (b.len >= 64)
		memcpy(b.data + 60, "...", 4);
	memcpy(out, b.data, b.len < 64 ? b.len + 1 : 64);
	return out;
}

static int refuse(const char *key, const json_t *v, const char *allowed, struct err *err)
{
	char text[64];
	if (!err)
		return -EINVAL;
	return err_set(err, -EINVAL, "%s: %s is not %s", key, value_text(v, text), allowed);
}

/* NULL when missing or null: encoders of other languages write null for an empty list or pointer */
static const json_t *member(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	return json_is_null(v) ? NULL : v;
}

/* the text of a string member without NULs inside; *ret NULL: refused or missing, see return value */
static int member_text(const json_t *o, const char *key, const char *allowed, const char **ret, struct err *err)
{
	const json_t *v = member(o, key);
	if (!v)
		return -ENOENT;
	if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
		return refuse(key, v, allowed, err);
	*ret = json_string_value(v);
	return 0;
}

int json_get_str(const json_t *o, const char *key, char *ret, size_t size, struct err *err)
{
	const char *s = "";
	int r = member_text(o, key, "a string", &s, err);
	if (r < 0)
		return r;
	if (strlen(s) >= size)
		return err_set(err, -EINVAL, "%s: %zu bytes, at most %zu are allowed", key, strlen(s), size - 1);
	str_copy_(ret, size, s);
	return 0;
}

int json_get_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
	const json_t *v = member(o, key);
	char allowed[80];
	if (!v)
		return -ENOENT;
	json_int_t n = json_integer_value(v);
	if (!json_is_integer(v) || n < min || n > max) {
		str_print(allowed, "a whole number from %lld to %lld", (long long)min, (long long)max);
		return refuse(key, v, allowed, err);
	}
	*ret = n;
	return 0;
}

int json_get_bool(const json_t *o, const char *key, bool *ret, struct err *err)
{
	const json_t *v = member(o, key);
	if (!v)
		return -ENOENT;
	if (!json_is_boolean(v))
		return refuse(key, v, "true or false", err);
	*ret = json_is_true(v);
	return 0;
}

int json_get_ip(const json_t *o, const char *key, struct ip *ret, struct err *err)
{
	const char *s = "";
	int r = member_text(o, key, "an IP address", &s, err);
	if (r == 0 && *s == '\0') /* how "none" is written */
		return -ENOENT;
	if (r == 0 && ip_parse(s, ret) < 0)
		r = refuse(key, member(o, key), "an IP address", err);
	return r;
}

int json_get_mac(const json_t *o, const char *key, struct mac *ret, struct err *err)
{
	const char *s = "";
	int r = member_text(o, key, "a MAC address", &s, err);
	if (r == 0 && *s == '\0')
		return -ENOENT;
	if (r == 0 && mac_parse(s, ret) < 0)
		r = refuse(key, member(o, key), "a MAC address", err);
	return r;
}

int json_get_prefixes(const json_t *o, const char *key, struct prefix *ret, size_t max, size_t *ret_n, struct err *err)
{
	const json_t *array = member(o, key);
	if (!array)
		return -ENOENT;
	if (!json_is_array(array))
		return refuse(key, array, "an array of prefixes", err);
	size_t n = json_array_size(array);
	if (n > max)
		return err_set(err, -EINVAL, "%s: %zu prefixes, at most %zu are allowed", key, n, max);
	struct prefix p;
	/* twice, so that @ret stays untouched when one of them is wrong */
	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < n; i++) {
			const json_t *v = json_array_get(array, i);
			const char *s = json_string_value(v);
			if (!s || strlen(s) != json_string_length(v) || prefix_parse(s, &p) < 0)
				return refuse(key, v, "a prefix such as 10.71.0.0/24", err);
			if (pass)
				ret[i] = prefix_mask(p);
		}
	*ret_n = n;
	return 0;
}

int json_get_wall(const json_t *o, const char *key, wall_t *ret, struct err *err)
{
	const char *s = "";
	int r = member_text(o, key, "a time", &s, err);
	if (r == 0 && wall_parse(s, ret) < 0)
		r = refuse(key, member(o, key), "a time such as 2024-01-15T10:30:00Z", err);
	return r;
}

int json_get_enum(const json_t *o, const char *key, const char *const *names, size_t n, struct err *err)
{
	const char *s = "";
	int r = member_text(o, key, "a string", &s, err);
	if (r < 0)
		return r;
	autobuf struct buf allowed = {0};
	for (size_t i = 0; i < n; i++) {
		if (str_eq(s, names[i]))
			return (int)i;
		buf_printf(&allowed, "%s%s", i ? ", " : "one of ", names[i]);
	}
	return refuse(key, member(o, key), allowed.data, err);
}

json_t *json_get_array(const json_t *o, const char *key, struct problems *p, const char *object)
{
	json_t *v = json_object_get(o, key);
	if (!v || json_is_null(v))
		return NULL;
	if (json_is_array(v))
		return v;
	char text[64];
	problems_add(p, object, "", "%s: %s is not an array", key, value_text(v, text));
	return NULL;
}

int json_check_array(const json_t *o, const char *key, struct err *err)
{
	const json_t *v = json_object_get(o, key);
	char text[64];
	return !v || json_is_null(v) || json_is_array(v)
		       ? 0
		       : err_set(err, -EINVAL, "%s: %s is not an array", key, value_text(v, text));
}

void json_put(json_t *o, const char *key, json_t *value)
{
	if (json_object_set_new_nocheck(o, key, must(value)) < 0)
		abort();
}

void json_put_str(json_t *o, const char *key, const char *s)
{
	json_t *v = json_string(s);
	if (!v) { /* not UTF-8 */
		autobuf struct buf safe = {0};
		str_safe(&safe, s);
		v = json_string(safe.data);
	}
	json_put(o, key, v);
}

void json_put_int(json_t *o, const char *key, int64_t n)
{
	json_put(o, key, json_integer(n));
}

void json_put_wall(json_t *o, const char *key, wall_t t)
{
	char text[WALL_STRLEN];
	json_put_str(o, key, wall_format(t, text));
}

void json_put_ip(json_t *o, const char *key, const struct ip *ip)
{
	char text[IP_STRLEN];
	json_put_str(o, key, ip_format(ip, text));
}

void json_put_mac(json_t *o, const char *key, const struct mac *m)
{
	char text[MAC_STRLEN];
	json_put_str(o, key, mac_is_none(m) ? "" : mac_format(m, text));
}

void json_put_prefixes(json_t *o, const char *key, const struct prefix *p, size_t n)
{
	char text[PREFIX_STRLEN];
	json_t *array = must(json_array());
	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, must(json_string(prefix_format(&p[i], text))));
	json_put(o, key, array);
}

static int print_piece(const char *data, size_t len, void *arg)
{
	buf_append(arg, data, len);
	return 0;
}

void json_print(struct buf *b, const json_t *v, size_t flags)
{
	/* ASCII only: the files are read with `cat`, and UTF-8 has control characters for terminals of its own */
	buf_reserve(b, 0);
	if (json_dump_callback(v, print_piece, b, flags | JSON_ENSURE_ASCII) < 0)
		abort();
}

bool name_valid(const char *s)
{
	size_t n = 0;
	if (*s == '-' || *s == '.')
		return false;
	for (; n < LIMIT_NAME && s[n]; n++) {
		char c = s[n];
		bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
			  c == '.' || c == '-';
		if (!ok)
			return false;
	}
	return n > 0 && n < LIMIT_NAME;
}

int json_check_version(const json_t *root, const char *what, struct err *err)
{
	struct err why = {0};
	int64_t version;
	if (!json_is_object(root))
		return err_set(err, -EINVAL, "%s: not an object", what);
	int r = json_get_int(root, "version", 1, 1, &version, &why);
	if (r == -ENOENT)
		return err_set(err, -EINVAL, "%s: without a version", what);
	if (r < 0)
		return err_set(err, -EINVAL, "%s: %s", what, why.text);
	return 0;
}

int state_read_json(int dirfd, const char *name, const struct file_owner *owner, json_t **ret, struct err *err)
{
	autobuf struct buf text = {0};
	int r = file_read(dirfd, name, LIMIT_FILE_BYTES, owner, &text, err);
	if (r < 0)
		return r;
	struct err why = {0};
	json_t *root = json_parse_bounded(text.data ? text.data : "", text.len, &why);
	if (!root)
		return err_set(err, why.code, "%s: %s", name, why.text);
	*ret = root;
	return 0;
}

int state_write_json(int dirfd, const char *name, json_t *root, struct err *err)
{
	autobuf struct buf text = {0};
	json_print(&text, root, JSON_INDENT(1));
	buf_puts(&text, "\n");
	return file_replace(dirfd, name, text.data, text.len, 0644, 0, err);
}

/* --- text that is not to become a tree --- */

bool json_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* behind the string that starts at @i; @len when it does not end */
static size_t skip_string(const char *s, size_t len, size_t i)
{
	for (i++; i < len; i++) {
		if (s[i] == '\\')
			i++;
		else if (s[i] == '"')
			return i + 1;
	}
	return len;
}

size_t json_skip_value(const char *s, size_t len, size_t i)
{
	size_t depth = 0;
	while (i < len) {
		char c = s[i];
		if (c == '"') {
			i = skip_string(s, len, i);
			continue;
		}
		if (c == '[' || c == '{') {
			depth++;
		} else if (c == ']' || c == '}') {
			if (!depth)
				return i;
			depth--;
		} else if (c == ',' && !depth) {
			return i;
		}
		i++;
	}
	return len;
}

bool json_find_array(const char *s, size_t len, const char *name, size_t *ret_begin, size_t *ret_end)
{
	size_t i = 0, n = strlen(name);
	while (i < len && json_is_space(s[i]))
		i++;
	if (i >= len || s[i] != '{')
		return false;
	for (i++; i < len; i++) {
		while (i < len && json_is_space(s[i]))
			i++;
		if (i >= len || s[i] != '"')
			return false;
		size_t key = i + 1;
		i = skip_string(s, len, i);
		bool found = i - key == n + 1 && memcmp(s + key, name, n) == 0;
		while (i < len && json_is_space(s[i]))
			i++;
		if (i >= len || s[i] != ':')
			return false;
		for (i++; i < len && json_is_space(s[i]); i++)
			;
		if (found && i < len && s[i] == '[') {
			*ret_begin = i + 1;
			do
				i = json_skip_value(s, len, i + 1);
			while (i < len && s[i] == ',');
			*ret_end = i;
			return i < len && s[i] == ']';
		}
		i = json_skip_value(s, len, i);
		if (i >= len || s[i] != ',')
			return false;
	}
	return false;
}
