/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts that are exchanged with etcd's JSON gateway.
 */
#include "discovery/etcd_wire.h"

#include "state/json.h"

#define VALUE_BASE64 ((size_t)(ETCD_VALUE_BYTES + 2) / 3 * 4)

/* --- base64 --- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_put(struct buf *b, const void *data, size_t len)
{
	const unsigned char *in = data;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)in[i] << 16 | (n > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (n > 2 ? in[i + 2] : 0u);
		char out[4] = {digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=',
			       n > 2 ? digits[v & 63] : '='};

		buf_append(b, out, sizeof(out));
	}
}

static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_get(const char *s, size_t len, struct buf *ret)
{
	size_t pad = len && s[len - 1] == '=' ? (len > 1 && s[len - 2] == '=' ? 2 : 1) : 0;

	if (len % 4)
		return -EBADMSG;
	buf_reserve(ret, len / 4 * 3 + 1);
	for (size_t i = 0; i < len; i += 4) {
		size_t n = i + 4 == len ? 4 - pad : 4;
		uint32_t v = 0;
		char out[3];

		for (size_t k = 0; k < 4; k++) {
			int d = k < n ? digit_value(s[i + k]) : 0;

			if (d < 0)
				return -EBADMSG;
			v = v << 6 | (uint32_t)d;
		}
		out[0] = (char)(v >> 16);
		out[1] = (char)(v >> 8 & 255);
		out[2] = (char)(v & 255);
		buf_append(ret, out, n - 1);
	}
	return 0;
}

/* --- requests --- */

static void put_base64(struct buf *b, const char *name, const void *data, size_t len)
{
	buf_printf(b, "\"%s\":\"", name);
	base64_put(b, data, len);
	buf_puts(b, "\"");
}

static void put_text(struct buf *b, const char *s)
{
	json_t *text = json_string(s);

	if (!text) /* no UTF-8: nobody's password */
		text = json_string("");
	json_print(b, text, JSON_ENCODE_ANY);
	json_decref(text);
}

void etcd_put_login(struct buf *b, const char *username, const char *password)
{
	buf_puts(b, "{\"name\":");
	put_text(b, username);
	buf_puts(b, ",\"password\":");
	put_text(b, password);
	buf_puts(b, "}");
}

void etcd_put_grant(struct buf *b, uint32_t ttl_s)
{
	buf_printf(b, "{\"TTL\":\"%u\"}", ttl_s);
}

void etcd_put_lease(struct buf *b, int64_t lease)
{
	buf_printf(b, "{\"ID\":\"%lld\"}", (long long)lease);
}

/* All keys below @prefix: from "prefix/" to what comes behind the last of them, since '0' follows '/' */
static void put_bounds(struct buf *b, const char *prefix, const struct buf *after)
{
	autofree char *from = xasprintf("%s/", prefix), *to = xasprintf("%s0", prefix);

	if (after && after->len)
		put_base64(b, "key", after->data, after->len + 1); /* with its NUL it is the next possible one */
	else
		put_base64(b, "key", from, strlen(from));
	buf_puts(b, ",");
	put_base64(b, "range_end", to, strlen(to));
}

void etcd_put_range(struct buf *b, const char *prefix, const struct buf *after, int64_t revision, unsigned limit)
{
	buf_puts(b, "{");
	put_bounds(b, prefix, after);
	buf_printf(b, ",\"limit\":\"%u\"", limit);
	if (revision)
		buf_printf(b, ",\"revision\":\"%lld\"", (long long)revision);
	buf_puts(b, "}");
}

void etcd_put_watch(struct buf *b, const char *prefix, int64_t start_revision)
{
	buf_puts(b, "{\"create_request\":{");
	put_bounds(b, prefix, NULL);
	buf_printf(b, ",\"start_revision\":\"%lld\",\"fragment\":true}}", (long long)start_revision);
}

void etcd_put_txn_begin(struct buf *b)
{
	buf_puts(b, "{\"success\":[");
}

void etcd_put_txn_op(struct buf *b, const char *key, const struct buf *value, int64_t lease)
{
	if (b->data[b->len - 1] != '[')
		buf_puts(b, ",");
	buf_puts(b, value ? "{\"request_put\":{" : "{\"request_delete_range\":{");
	put_base64(b, "key", key, strlen(key));
	if (value) {
		buf_puts(b, ",");
		put_base64(b, "value", value->data, value->len);
		buf_printf(b, ",\"lease\":\"%lld\"", (long long)lease);
	}
	buf_puts(b, "}}");
}

void etcd_put_txn_end(struct buf *b)
{
	buf_puts(b, "]}");
}

/* --- answers --- */

/* A number as a string or left out */
static int get_int64(const json_t *o, const char *key, int64_t *ret)
{
	const json_t *v = json_object_get(o, key);
	const char *s = json_string_value(v);
	bool negative = s && *s == '-';
	uint64_t n;

	*ret = 0;
	if (!v)
		return 0;
	if (!s || parse_u64(s + negative, 0, INT64_MAX, &n) < 0)
		return -EBADMSG;
	*ret = negative ? -(int64_t)n : (int64_t)n;
	return 0;
}

static bool get_flag(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static json_t *answer_parse(const char *data, size_t len, struct err *err)
{
	struct err why = {0};
	json_t *root = json_parse_bounded(data, len, &why);

	if (json_is_object(root))
		return root;
	json_decref(root);
	err_set(err, -EBADMSG, "etcd's answer is no JSON object%s%s", why.text[0] ? ": " : "", why.text);
	return NULL;
}

static int answer_bad(struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "etcd's answer: %s", what);
}

/* Of a message only what can be printed, and not all of a long one */
static void message_copy(char *ret, size_t size, const char *s)
{
	autobuf struct buf safe = {0};

	str_safe(&safe, s ? s : "");
	snprintf(ret, size, "%s", safe.data ? safe.data : "");
}

int etcd_reason(const char *m)
{
	static const struct {
		const char *words;
		int code;
	} reasons[] = {
		{"authentication failed", -EACCES},   {"user name is empty", -EACCES},
		{"invalid auth token", -EKEYEXPIRED}, {"revision of auth store is old", -EKEYEXPIRED},
		{"permission denied", -EPERM},	      {"lease not found", -ENOKEY},
		{"has been compacted", -ESTALE},      {"authentication is not enabled", -ENOTSUP},
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (strstr(m, reasons[i].words))
			return reasons[i].code;
	}
	return -EIO;
}

int etcd_refusal(int status, const char *data, size_t len, struct err *err)
{
	json_t *root = json_parse_bounded(data, len, NULL);
	const json_t *inner = json_object_get(root, "error");
	const char *message = json_string_value(json_object_get(root, "message"));
	char text[160];
	int r;

	if (!message)
		message = json_is_object(inner) ? json_string_value(json_object_get(inner, "message"))
						: json_string_value(inner);
	message_copy(text, sizeof(text), message);
	r = etcd_reason(text);
	if (r == -EIO && status == 401)
		r = -EKEYEXPIRED;
	if (r == -EIO && status == 403)
		r = -EPERM;
	json_decref(root);
	return err_set(err, r, "HTTP status %d%s%s", status, text[0] ? ": " : "", text);
}

int etcd_get_token(const char *data, size_t len, char *ret, size_t size, struct err *err)
{
	json_t *root = answer_parse(data, len, err);
	const char *token = json_string_value(json_object_get(root, "token"));
	int r = 0;

	if (!root)
		return -EBADMSG;
	/* It becomes a line of a header */
	if (!token || !*token || strlen(token) >= size) {
		json_decref(root);
		return answer_bad(err, "no token");
	}
	for (const char *c = token; r == 0 && *c; c++) {
		if (*c <= ' ' || *c >= 127)
			r = answer_bad(err, "a token that is none");
	}
	if (r == 0)
		memcpy(ret, token, strlen(token) + 1);
	json_decref(root);
	return r;
}

int etcd_get_grant(const char *data, size_t len, int64_t *ret_lease, struct err *err)
{
	json_t *root = answer_parse(data, len, err);
	int64_t lease = 0;
	int r = 0;

	if (!root)
		return -EBADMSG;
	if (get_int64(root, "ID", &lease) < 0 || lease == 0)
		r = answer_bad(err, "a lease without ID");
	else
		*ret_lease = lease;
	json_decref(root);
	return r;
}

int etcd_get_alive(const char *data, size_t len, int64_t *ret_ttl_s, int64_t *ret_revision, struct err *err)
{
	json_t *root = answer_parse(data, len, err);
	const json_t *result = json_object_get(root, "result");
	int64_t ttl_s = 0, revision = 0;
	int r = 0;

	if (!root)
		return -EBADMSG;
	if (!json_is_object(result) || get_int64(result, "TTL", &ttl_s) < 0 || ttl_s < 0 ||
	    get_int64(json_object_get(result, "header"), "revision", &revision) < 0)
		r = answer_bad(err, "a keep-alive without result");
	if (r == 0) {
		*ret_ttl_s = ttl_s;
		*ret_revision = revision;
	}
	json_decref(root);
	return r;
}

int etcd_get_txn(const char *data, size_t len, int64_t *ret_revision, struct err *err)
{
	int64_t revision;
	json_t *root = answer_parse(data, len, err);
	int r = 0;

	if (!root)
		return -EBADMSG;
	if (!get_flag(root, "succeeded") || get_int64(json_object_get(root, "header"), "revision", &revision) < 0)
		r = answer_bad(err, "a transaction that did not succeed");
	else
		*ret_revision = revision;
	json_decref(root);
	return r;
}

static bool key_below(const struct buf *key, const char *prefix)
{
	size_t len = strlen(prefix);

	return key->len > len + 1 && memcmp(key->data, prefix, len) == 0 && key->data[len] == '/';
}

/* @key: is set to the whole of it. Return: -EBADMSG no key with a revision, or not below @prefix; 0 told, or left out
 */
static int kv_tell(const json_t *o, bool deleted, const char *prefix, etcd_kv_fn *fn, void *arg, struct buf *key,
		   int64_t *ret_revision)
{
	const json_t *k = json_object_get(o, "key"), *v = json_object_get(o, "value");
	autobuf struct buf value = {0};
	struct etcd_kv kv = {.deleted = deleted};

	buf_clear(key);
	if (!json_is_string(k) || (v && !json_is_string(v)) || get_int64(o, "mod_revision", &kv.revision) < 0 ||
	    kv.revision <= 0 || get_int64(o, "lease", &kv.lease) < 0 ||
	    base64_get(json_string_value(k), json_string_length(k), key) < 0 || !key_below(key, prefix))
		return -EBADMSG;
	*ret_revision = kv.revision;
	if (key->len >= ETCD_KEY_BYTES || memchr(key->data, 0, key->len))
		return 0;
	if (v && (json_string_length(v) > VALUE_BASE64 ||
		  base64_get(json_string_value(v), json_string_length(v), &value) < 0))
		return 0;
	kv.key = key->data + strlen(prefix) + 1;
	kv.value = value.data ? value.data : "";
	kv.value_len = value.len;
	fn(arg, &kv);
	return 0;
}

int etcd_get_range(const char *data, size_t len, const char *prefix, etcd_kv_fn *fn, void *arg, struct etcd_range *ret,
		   struct err *err)
{
	json_t *root = answer_parse(data, len, err);
	const json_t *kvs = json_object_get(root, "kvs");
	struct etcd_range range = {0};
	int64_t revision;
	int r = 0;

	if (!root)
		return -EBADMSG;
	if (get_int64(json_object_get(root, "header"), "revision", &range.revision) < 0 || range.revision <= 0 ||
	    (kvs && !json_is_array(kvs)))
		r = answer_bad(err, "a listing without revision");
	for (size_t i = 0; r == 0 && i < json_array_size(kvs); i++) {
		if (kv_tell(json_array_get(kvs, i), false, prefix, fn, arg, &range.last, &revision) < 0)
			r = answer_bad(err, "a key that was not asked for");
	}
	range.more = get_flag(root, "more");
	if (r == 0 && range.more && !range.last.len)
		r = answer_bad(err, "more, but nothing here");
	if (r == 0)
		*ret = range;
	else
		buf_done(&range.last);
	json_decref(root);
	return r;
}

static int event_tell(const json_t *event, const char *prefix, etcd_kv_fn *fn, void *arg, int64_t *last)
{
	const json_t *type = json_object_get(event, "type");
	autobuf struct buf key = {0};
	const char *name = type ? json_string_value(type) : "PUT";

	if (!json_is_object(event) || !name || (!str_eq(name, "PUT") && !str_eq(name, "DELETE")))
		return -EBADMSG;
	return kv_tell(json_object_get(event, "kv"), str_eq(name, "DELETE"), prefix, fn, arg, &key, last);
}

static void watch_error(const json_t *error, struct etcd_watch *w)
{
	w->canceled = true;
	message_copy(w->reason, sizeof(w->reason), json_string_value(json_object_get(error, "message")));
}

int etcd_get_watch(const char *data, size_t len, const char *prefix, etcd_kv_fn *fn, void *arg, struct etcd_watch *ret,
		   struct err *err)
{
	json_t *root = answer_parse(data, len, err);
	const json_t *result = json_object_get(root, "result"), *error = json_object_get(root, "error"), *events;
	struct etcd_watch w = {0};
	int r = 0;

	if (!root)
		return -EBADMSG;
	events = json_object_get(result, "events");
	if (json_is_object(error))
		watch_error(error, &w);
	else if (!json_is_object(result) || (events && !json_is_array(events)) ||
		 get_int64(result, "compact_revision", &w.compact_revision) < 0)
		r = answer_bad(err, "a line of a watch without result");
	w.created = get_flag(result, "created");
	w.fragment = get_flag(result, "fragment");
	if (get_flag(result, "canceled")) {
		w.canceled = true;
		message_copy(w.reason, sizeof(w.reason), json_string_value(json_object_get(result, "cancel_reason")));
	}
	for (size_t i = 0; r == 0 && i < json_array_size(events); i++) {
		if (event_tell(json_array_get(events, i), prefix, fn, arg, &w.revision) < 0)
			r = answer_bad(err, "an event that is none");
	}
	if (r == 0)
		*ret = w;
	json_decref(root);
	return r;
}
