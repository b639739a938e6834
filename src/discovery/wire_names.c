/* SPDX-License-Identifier: Apache-2.0
 *
 * Names to datagrams and back. As in wire.c everything may be hostile when it is read, and is known to need no escapes
 * when it is written. A datagram is bounded, so what it makes us allocate is, too.
 */
#include "discovery/wire_names.h"

#include <inttypes.h>

#include "state/json.h"

#define TYPE	   "NAMES"
#define TYPE_FIRST "{\"type\":\"" TYPE "\"" /* how we write it */

void wire_names_done(struct wire_names *m)
{
	for (size_t i = 0; i < m->n_names; i++)
		free(m->names[i].addresses);
	free(m->names);
	*m = (struct wire_names){0};
}

/* The word may be the name of a stack as well: then only the parser can tell */
static bool type_is_names(const char *data, size_t len)
{
	json_t *root = json_parse_bounded(data, len, NULL);
	const char *type = json_string_value(json_object_get(root, "type"));
	bool is = type && str_eq(type, TYPE);

	json_decref(root);
	return is;
}

bool wire_names_is(const char *data, size_t len)
{
	if (len >= strlen(TYPE_FIRST) && memcmp(data, TYPE_FIRST, strlen(TYPE_FIRST)) == 0)
		return true;
	return len <= LIMIT_DATAGRAM_IN && memmem(data, len, "\"" TYPE "\"", strlen(TYPE) + 2) &&
	       type_is_names(data, len);
}

/* --- reading --- */

static int field_bad(struct err *err, const char *field, const char *value, const char *allowed)
{
	autobuf struct buf b = {0};

	str_safe(&b, value);
	return err_set(err, -EINVAL, "%s \"%s\": %s", field, b.data ? b.data : "", allowed);
}

static int version_decode(const json_t *o, struct err *err)
{
	int64_t version = 0;
	int r = json_required(json_get_int(o, "version", INT64_MIN, INT64_MAX, &version, err), "version", err);

	if (r == 0 && version != WIRE_VERSION)
		r = err_set(err, -EPROTONOSUPPORT, "version %" PRId64 ": only %d is understood", version, WIRE_VERSION);
	return r;
}

static int head_decode(const json_t *o, struct wire_names *m, struct err *err)
{
	int64_t vni = 0, seq = 0, part = 1, parts = 1;
	int r = version_decode(o, err);

	if (r < 0 ||
	    (r = json_required(json_get_str(o, "stack_id", m->stack_id, sizeof(m->stack_id), err), "stack_id", err)) <
		    0 ||
	    (r = json_required(json_get_ip(o, "host_ip", &m->host_ip, err), "host_ip", err)) < 0 ||
	    (r = json_required(json_get_int(o, "vni", 1, VNI_MAX, &vni, err), "vni", err)) < 0 ||
	    (r = json_optional(json_get_int(o, "timestamp", INT64_MIN, INT64_MAX, &m->timestamp, err))) < 0 ||
	    (r = json_required(json_get_str(o, "host_id", m->host_id, sizeof(m->host_id), err), "host_id", err)) < 0 ||
	    (r = json_optional(json_get_str(o, "host_name", m->host_name, sizeof(m->host_name), err))) < 0 ||
	    (r = json_required(json_get_int(o, "seq", 1, INT64_MAX, &seq, err), "seq", err)) < 0 ||
	    (r = json_optional(json_get_int(o, "parts", 1, WIRE_NAMES_PARTS, &parts, err))) < 0 ||
	    (r = json_optional(json_get_int(o, "part", 1, parts, &part, err))) < 0)
		return r;
	if (!name_valid(m->stack_id))
		return field_bad(err, "stack_id", m->stack_id, "letters, digits, '_', '.', '-' are allowed");
	if (m->host_name[0] && !name_valid(m->host_name))
		return field_bad(err, "host_name", m->host_name, "letters, digits, '_', '.', '-' are allowed");
	if (!wire_host_id_valid(m->host_id))
		return field_bad(err, "host_id", m->host_id, "32 lower-case hex digits are allowed");
	m->vni = (uint32_t)vni;
	m->seq = (uint64_t)seq;
	m->part = (uint16_t)part;
	m->parts = (uint16_t)parts;
	return 0;
}

/* The text of an element; NULL: it is none, or holds a NUL */
static const char *text_at(const json_t *array, size_t i)
{
	const json_t *v = json_array_get(array, i);
	const char *s = json_string_value(v);

	return s && strlen(s) == json_string_length(v) ? s : NULL;
}

static int addresses_decode(const json_t *array, struct name *n, struct err *err)
{
	struct ip addresses[LIMIT_NAME_ADDRESSES];
	size_t count = json_array_size(array);

	if (!json_is_array(array) || count == 0 || count > LIMIT_NAME_ADDRESSES)
		return err_set(err, -EINVAL, "names: %s has not 1 to %d addresses", n->name, LIMIT_NAME_ADDRESSES);
	for (size_t i = 0; i < count; i++) {
		const char *s = text_at(array, i);

		if (!s || ip_parse(s, &addresses[i]) < 0)
			return field_bad(err, "names", s ? s : "", "IP addresses are allowed");
	}
	n->addresses = xmemdup(addresses, count * sizeof(*addresses));
	n->n_addresses = count;
	return 0;
}

/* Return: 1 taken, 0 passed over, negative errno */
static int name_decode(const json_t *o, struct name *n, struct err *err)
{
	const char *name = text_at(o, 0), *kind = text_at(o, 1);
	int r;

	if (!name || !kind || json_array_size(o) < 3)
		return err_set(err, -EINVAL, "names: [name, kind, [addresses]] is allowed");
	if (!label_valid(name))
		return field_bad(err, "names", name, "1 to 63 of a-z, 0-9, '_', '-' and single '.' inside are allowed");
	str_copy(n->name, name);
	for (size_t i = 0; i < NAME_KIND_N_; i++) {
		if (!str_eq(kind, name_kind_names[i]))
			continue;
		n->kind = (enum name_kind)i;
		r = addresses_decode(json_array_get(o, 2), n, err);
		return r < 0 ? r : 1;
	}
	return 0;
}

static int names_decode(const json_t *o, struct wire_names *m, struct err *err)
{
	const json_t *array = json_object_get(o, "names");
	size_t count = json_array_size(array);

	if (!json_is_array(array))
		return err_set(err, -EINVAL, "names is not an array");
	for (size_t i = 0; i < count; i++) {
		int r = name_decode(json_array_get(array, i), xgrow(&m->names, m->n_names, &m->cap_names), err);

		if (r < 0)
			return r;
		m->n_names += (size_t)r;
	}
	return 0;
}

int wire_names_decode(const char *data, size_t len, struct wire_names *ret, struct err *err)
{
	struct wire_names m = {0};
	json_t *root;
	int r;

	if (len > LIMIT_DATAGRAM_IN)
		return err_set(err, -EBADMSG, "datagram of %zu bytes: %d are allowed", len, LIMIT_DATAGRAM_IN);
	root = json_parse_bounded(data, len, err);
	if (!json_is_object(root)) {
		if (root)
			err_set(err, -EBADMSG, "datagram is no JSON object");
		else if (err)
			err->code = -EBADMSG;
		json_decref(root);
		return -EBADMSG;
	}
	r = head_decode(root, &m, err);
	if (r == 0)
		r = names_decode(root, &m, err);
	json_decref(root);
	if (r < 0)
		wire_names_done(&m);
	else
		*ret = m;
	return r;
}

/* --- writing --- */

static void head_encode(struct buf *b, const struct wire_names *m, unsigned part, unsigned parts)
{
	char ip[IP_STRLEN];

	buf_printf(b, TYPE_FIRST ",\"version\":%d,\"stack_id\":\"%s\",\"host_ip\":\"%s\",\"vni\":%" PRIu32,
		   WIRE_VERSION, m->stack_id, ip_format(&m->host_ip, ip), m->vni);
	buf_printf(b, ",\"timestamp\":%" PRId64 ",\"host_id\":\"%s\"", m->timestamp, m->host_id);
	if (m->host_name[0])
		buf_printf(b, ",\"host_name\":\"%s\"", m->host_name);
	buf_printf(b, ",\"seq\":%" PRIu64, m->seq);
	if (parts != 1)
		buf_printf(b, ",\"part\":%u,\"parts\":%u", part, parts);
	buf_puts(b, ",\"names\":[");
}

/* struct dealing - The lists of all parts one behind the other, and where each of them ends */
struct dealing {
	struct buf text;
	size_t ends[WIRE_NAMES_PARTS];
	size_t n_ends, first, room;
};

/* Make room for @len more bytes. Return: false when there are no parts left */
static bool deal_room(struct dealing *d, size_t len)
{
	if (d->text.len - d->first + len <= d->room || d->text.len == d->first)
		return true;
	if (d->n_ends + 1 >= WIRE_NAMES_PARTS)
		return false;
	d->ends[d->n_ends++] = d->first = d->text.len;
	return true;
}

/* One name, in several pieces when its addresses need them. Return: false when no part is left */
static bool deal_name(struct dealing *d, const struct name *n)
{
	char s[IP_STRLEN], opening[LABEL_BYTES + 32];
	bool open = false;

	str_print(opening, "[\"%s\",\"%s\",[", n->name, name_kind_names[n->kind]);
	for (size_t i = 0; i < n->n_addresses; i++) {
		size_t len = strlen(ip_format(&n->addresses[i], s)) + 3; /* quotes, comma */

		if (open && d->text.len - d->first + len + 2 > d->room) {
			buf_puts(&d->text, "]]");
			open = false;
		}
		if (!open) {
			if (!deal_room(d, strlen(opening) + len + 3))
				return false;
			if (d->text.len > d->first)
				buf_puts(&d->text, ",");
			buf_puts(&d->text, opening);
		}
		buf_puts(&d->text, open ? ",\"" : "\"");
		buf_puts(&d->text, s);
		buf_puts(&d->text, "\"");
		open = true;
	}
	if (open)
		buf_puts(&d->text, "]]");
	return true;
}

size_t wire_names_encode(const struct wire_names *m, wire_fn *fn, void *arg)
{
	struct dealing *d = xcalloc(1, sizeof(*d));
	autobuf struct buf b = {0};
	size_t said = 0, addresses = 0, at = 0;

	head_encode(&b, m, WIRE_NAMES_PARTS, WIRE_NAMES_PARTS);
	d->room = b.len + 2 < WIRE_BYTES ? WIRE_BYTES - b.len - 2 : 0;
	for (; said < m->n_names && said < LIMIT_NAMES_PER_STACK; said++) {
		addresses += m->names[said].n_addresses;
		if (addresses > LIMIT_STACK_NAME_ADDRESSES || !deal_name(d, &m->names[said]))
			break;
	}
	d->ends[d->n_ends++] = d->text.len;
	for (size_t part = 1; part <= d->n_ends; part++) {
		buf_clear(&b);
		head_encode(&b, m, (unsigned)part, (unsigned)d->n_ends);
		if (d->text.len)
			buf_append(&b, d->text.data + at, d->ends[part - 1] - at);
		buf_puts(&b, "]}");
		fn(arg, b.data, b.len);
		at = d->ends[part - 1];
	}
	buf_done(&d->text);
	free(d);
	return said;
}
