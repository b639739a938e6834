/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams to structs and back. Everything here may be hostile: jansson parses with bounded depth and refuses
 * duplicate keys, every field has its type and range checked, and nothing is allocated but by jansson. Encoding is by
 * hand: all text in it has passed name_valid(), so that nothing needs escaping, and its length is known while
 * splitting.
 */
#include "discovery/wire.h"

#include <assert.h>
#include <inttypes.h>

#include "state/json.h"
#include "state/peer_text.h"

const char *const wire_type_names[WIRE_TYPE_N_] = {"ANNOUNCE", "QUERY", "RESPONSE", "GOODBYE"};

bool wire_host_id_valid(const char *s)
{
	return strlen(s) == HOST_ID_LEN && strspn(s, "0123456789abcdef") == HOST_ID_LEN;
}

/* One line that quotes what came: "stack_id "a b": allowed are ..." */
static int field_bad(struct err *err, const char *field, const char *value, const char *allowed)
{
	autobuf struct buf b = {0};

	str_safe(&b, value);
	return err_set(err, -EINVAL, "%s \"%s\": %s", field, b.data ? b.data : "", allowed);
}

/* A missing field is -EINVAL with words; the getters say -ENOENT and nothing */
static int field_must(int code, const char *field, struct err *err)
{
	return code == -ENOENT ? err_set(err, -EINVAL, "%s is missing", field) : code;
}

/* An optional field: missing is fine, wrong is not */
static int field_may(int code)
{
	return code == -ENOENT ? 0 : code;
}

static int type_decode(const json_t *o, enum wire_type *ret, struct err *err)
{
	char name[16];
	int r = field_must(json_get_str(o, "type", name, sizeof(name), err), "type", err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(wire_type_names); i++) {
		if (str_eq(name, wire_type_names[i])) {
			*ret = (enum wire_type)i;
			return 0;
		}
	}
	return field_bad(err, "type", name, "ANNOUNCE, QUERY, RESPONSE or GOODBYE is allowed");
}

static int version_decode(const json_t *o, struct err *err)
{
	int64_t version = 0;
	int r = field_must(json_get_int(o, "version", INT64_MIN, INT64_MAX, &version, err), "version", err);

	if (r < 0)
		return r;
	if (version != WIRE_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "version %" PRId64 ": only %d is understood", version,
			       WIRE_VERSION);
	return 0;
}

static int name_decode(const json_t *o, const char *field, char *ret, size_t size, struct err *err)
{
	int r = json_get_str(o, field, ret, size, err);

	if (r < 0)
		return r;
	if (!name_valid(ret))
		return field_bad(err, field, ret, "letters, digits, '_', '.', '-' are allowed, not '-' or '.' first");
	return 0;
}

/* What nobody may have as an address of his own. Loopback is for the core to judge: INTERFACE=lo is a way to run */
static bool ip_is_bad(const struct ip *ip)
{
	return ip_is_none(ip) || ip_is_unspecified(ip) || ip_is_multicast(ip) ||
	       (ip->family == AF_INET && (ip->b[0] == 0 || ip->b[0] >= 240)) ||
	       (ip->family == AF_INET6 && ip_is_link_local(ip));
}

static int address_decode(const json_t *o, const char *field, struct ip *ret, struct err *err)
{
	struct ip ip = {0};
	char s[IP_STRLEN];
	int r = json_get_ip(o, field, &ip, err);

	if (r < 0)
		return r;
	if (ip_is_bad(&ip))
		return field_bad(err, field, ip_format(&ip, s), "a unicast address of wider scope is allowed");
	*ret = ip;
	return 0;
}

static int vtep_decode(const json_t *o, struct wire_msg *m, struct err *err)
{
	struct mac mac = vtep_mac(m->host_id, m->vni), said_mac = mac;
	struct ip ip = vtep_ip(m->host_id, m->vni), said_ip = ip;
	char a[MAC_STRLEN], b[MAC_STRLEN], c[IP_STRLEN], d[IP_STRLEN];
	int r = field_may(json_get_mac(o, "vtep_mac", &said_mac, err));

	if (r < 0)
		return r;
	if (mac_cmp(&mac, &said_mac) != 0)
		return err_set(err, -EINVAL, "vtep_mac %s: host_id and vni make it %s", mac_format(&said_mac, a),
			       mac_format(&mac, b));
	r = field_may(json_get_ip(o, "vtep_ip", &said_ip, err));
	if (r < 0)
		return r;
	if (ip_cmp(&ip, &said_ip) != 0)
		return err_set(err, -EINVAL, "vtep_ip %s: host_id and vni make it %s", ip_format(&said_ip, c),
			       ip_format(&ip, d));
	m->vtep_mac = mac;
	m->vtep_ip = ip;
	return 0;
}

static int parts_decode(const json_t *o, struct wire_msg *m, struct err *err)
{
	int64_t part = 1, parts = 1;
	int r = field_may(json_get_int(o, "parts", 1, WIRE_PARTS, &parts, err));

	if (r < 0)
		return r;
	r = field_may(json_get_int(o, "part", 1, parts, &part, err));
	if (r < 0)
		return r;
	m->part = (uint8_t)part;
	m->parts = (uint8_t)parts;
	return 0;
}

static int pair_decode(const json_t *pair, struct mapped *ret, struct err *err)
{
	const char *subnet = json_string_value(json_array_get(pair, 0)),
		   *as = json_string_value(json_array_get(pair, 1));

	if (!json_is_array(pair) || json_array_size(pair) != 2 || !subnet || !as)
		return err_set(err, -EINVAL, "mapped holds what is no pair of prefixes");
	if (prefix_parse(subnet, &ret->subnet) < 0 || ip_is_multicast(&ret->subnet.ip))
		return field_bad(err, "mapped", subnet, "a unicast prefix is allowed");
	if (prefix_parse(as, &ret->as) < 0 || ip_is_multicast(&ret->as.ip))
		return field_bad(err, "mapped", as, "a unicast prefix is allowed");
	if (!mapped_valid(ret))
		return field_bad(err, "mapped", as, "a prefix of the family and length of the subnet is allowed");
	return 0;
}

static int mapped_decode(const json_t *o, struct wire_msg *m, struct err *err)
{
	const json_t *array = json_object_get(o, "mapped");
	size_t n = json_array_size(array);
	int r = 0;

	if (!array || json_is_null(array))
		return 0;
	if (!json_is_array(array) || n > LIMIT_SUBNETS)
		return err_set(err, -EINVAL, "mapped: an array of at most %d pairs is allowed", LIMIT_SUBNETS);
	for (size_t i = 0; i < n && r == 0; i++)
		r = pair_decode(json_array_get(array, i), &m->mapped[i], err);
	m->n_mapped = r == 0 ? n : 0;
	return r;
}

static int wireguard_decode(const json_t *o, struct wire_msg *m, struct err *err)
{
	const json_t *say = json_object_get(o, "wireguard");

	return say && !json_is_null(say) ? wg_say_from_json(say, &m->wireguard, err) : 0;
}

/* What only programs like ours say. Missing fields have a meaning, so that a later version may drop some */
static int ours_decode(const json_t *o, struct wire_msg *m, struct err *err)
{
	int64_t port = WIRE_VXLAN_PORT, seq = 0, epoch = 0;
	int r = field_may(name_decode(o, "host_name", m->host_name, sizeof(m->host_name), err));

	if (r == 0)
		r = field_may(json_get_int(o, "port", 1, UINT16_MAX, &port, err));
	if (r == 0)
		r = field_may(json_get_int(o, "seq", 0, INT64_MAX, &seq, err));
	if (r == 0)
		r = field_may(address_decode(o, "uplink", &m->uplink, err));
	if (r == 0)
		r = field_may(json_get_int(o, "epoch", 0, EPOCHS - 1, &epoch, err));
	if (r == 0)
		r = wireguard_decode(o, m, err);
	if (r == 0)
		r = vtep_decode(o, m, err);
	if (r == 0)
		r = parts_decode(o, m, err);
	if (r == 0)
		r = field_may(json_get_prefixes(o, "subnets", m->subnets, LIMIT_SUBNETS, &m->n_subnets, err));
	if (r == 0)
		r = mapped_decode(o, m, err);
	if (r == 0)
		r = field_may(json_get_prefixes(o, "avoid", m->avoid, LIMIT_AVOID, &m->n_avoid, err));
	if (r == 0)
		r = field_may(json_get_prefixes(o, "groups", m->groups, LIMIT_GROUPS, &m->n_groups, err));
	m->port = (uint16_t)port;
	m->epoch = (uint8_t)epoch;
	m->seq = (uint64_t)seq;
	return r;
}

static int msg_decode(const json_t *o, struct wire_msg *m, struct err *err)
{
	int64_t vni = 0;
	int r = type_decode(o, &m->type, err);

	if (r == 0)
		r = version_decode(o, err);
	if (r == 0)
		r = field_must(name_decode(o, "stack_id", m->stack_id, sizeof(m->stack_id), err), "stack_id", err);
	if (r == 0)
		r = field_must(address_decode(o, "host_ip", &m->host_ip, err), "host_ip", err);
	if (r == 0)
		r = field_must(json_get_int(o, "vni", 1, VNI_MAX, &vni, err), "vni", err);
	if (r == 0)
		r = field_may(json_get_int(o, "timestamp", INT64_MIN, INT64_MAX, &m->timestamp, err));
	if (r < 0)
		return r;
	m->vni = (uint32_t)vni;
	r = json_get_str(o, "host_id", m->host_id, sizeof(m->host_id), err);
	if (r == -ENOENT) {
		m->port = WIRE_VXLAN_PORT;
		m->part = m->parts = 1;
		return 0;
	}
	if (r < 0)
		return r;
	if (!wire_host_id_valid(m->host_id))
		return field_bad(err, "host_id", m->host_id, "32 lower-case hex digits are allowed");
	return ours_decode(o, m, err);
}

int wire_decode(const char *data, size_t len, struct wire_msg *ret, struct err *err)
{
	struct wire_msg m = {0};
	json_t *root;
	int r;

	if (len > LIMIT_DATAGRAM_IN)
		return err_set(err, -EBADMSG, "datagram of %zu bytes: %d are allowed", len, LIMIT_DATAGRAM_IN);
	root = json_parse_bounded(data, len, err);
	if (!root) {
		if (err)
			err->code = -EBADMSG;
		return -EBADMSG;
	}
	if (!json_is_object(root))
		r = err_set(err, -EBADMSG, "datagram is no JSON object");
	else
		r = msg_decode(root, &m, err);
	json_decref(root);
	if (r == 0)
		*ret = m;
	return r;
}

/* All fields but subnets and what follows them */
static void head_encode(struct buf *b, const struct wire_msg *m, unsigned part, unsigned parts)
{
	char ip[IP_STRLEN], mac[MAC_STRLEN];

	buf_printf(b, "{\"type\":\"%s\",\"version\":%d,\"stack_id\":\"%s\",\"host_ip\":\"%s\",\"vni\":%" PRIu32,
		   wire_type_names[m->type], WIRE_VERSION, m->stack_id, ip_format(&m->host_ip, ip), m->vni);
	buf_printf(b, ",\"timestamp\":%" PRId64, m->timestamp);
	if (!m->host_id[0]) {
		buf_puts(b, "}");
		return;
	}
	buf_printf(b, ",\"host_id\":\"%s\"", m->host_id);
	if (m->host_name[0])
		buf_printf(b, ",\"host_name\":\"%s\"", m->host_name);
	buf_printf(b, ",\"port\":%u,\"vtep_mac\":\"%s\",\"vtep_ip\":\"%s\",\"seq\":%" PRIu64, (unsigned)m->port,
		   mac_format(&m->vtep_mac, mac), ip_format(&m->vtep_ip, ip), m->seq);
	if (!ip_is_none(&m->uplink))
		buf_printf(b, ",\"uplink\":\"%s\"", ip_format(&m->uplink, ip));
	if (m->epoch)
		buf_printf(b, ",\"epoch\":%u", (unsigned)m->epoch);
	if (m->wireguard.key[0] && part == 1) {
		buf_puts(b, ",\"wireguard\":");
		wg_say_print(b, &m->wireguard);
	}
	if (parts != 1)
		buf_printf(b, ",\"part\":%u,\"parts\":%u", part, parts);
}

/*
 * Subnets, pairs, routes to avoid and groups are one row of items; a part has some that follow one another, and names a
 * list only where it has something of it. Only the list of subnets is always there.
 */
enum list { LIST_SUBNETS, LIST_MAPPED, LIST_AVOID, LIST_GROUPS, LIST_N_ };
static const char *const list_names[] = {"subnets", "mapped", "avoid", "groups"};
static_assert(ARRAY_LEN(list_names) == LIST_N_, "one name per list");
#define TYPE_BYTES  8  /* the longest name of a type */
#define LISTS_BYTES 64 /* the names of all lists, their brackets and commas, and the last bracket */

static size_t items_count(const struct wire_msg *m)
{
	return m->type == WIRE_GOODBYE ? 0 : m->n_subnets + m->n_mapped + m->n_avoid + m->n_groups;
}

/* Append item @i. Return: which list it is of */
static enum list item_encode(struct buf *b, const struct wire_msg *m, size_t i)
{
	char s[PREFIX_STRLEN], as[PREFIX_STRLEN];

	if (i < m->n_subnets) {
		buf_printf(b, "\"%s\"", prefix_format(&m->subnets[i], s));
		return LIST_SUBNETS;
	}
	i -= m->n_subnets;
	if (i < m->n_mapped) {
		buf_printf(b, "[\"%s\",\"%s\"]", prefix_format(&m->mapped[i].subnet, s),
			   prefix_format(&m->mapped[i].as, as));
		return LIST_MAPPED;
	}
	i -= m->n_mapped;
	if (i < m->n_avoid) {
		buf_printf(b, "\"%s\"", prefix_format(&m->avoid[i], s));
		return LIST_AVOID;
	}
	buf_printf(b, "\"%s\"", prefix_format(&m->groups[i - m->n_avoid], s));
	return LIST_GROUPS;
}

static void items_encode(struct buf *b, const struct wire_msg *m, size_t from, size_t to)
{
	enum list open = LIST_SUBNETS;
	bool first = true;

	buf_printf(b, ",\"%s\":[", list_names[open]);
	for (size_t i = from; i < to; i++) {
		autobuf struct buf item = {0};
		enum list list = item_encode(&item, m, i);

		if (list != open) {
			buf_printf(b, "],\"%s\":[", list_names[list]);
			first = true;
		}
		open = list;
		buf_printf(b, "%s%s", first ? "" : ",", item.data);
		first = false;
	}
	buf_puts(b, "]}");
}

/* Deal the items out; the first part has a head of its own length. Return: how many parts that makes, ends[] where each
 * ends; 0: more than WIRE_PARTS */
static unsigned items_deal(const struct wire_msg *m, size_t first_head, size_t head, size_t later_bytes,
			   size_t ends[static WIRE_PARTS])
{
	size_t n = items_count(m), at = 0, bytes = WIRE_BYTES;
	unsigned parts = 0;

	do {
		size_t used = (parts ? head : first_head) + LISTS_BYTES, first = at;

		if (parts == WIRE_PARTS)
			return 0;
		for (; at < n; at++) {
			autobuf struct buf item = {0};

			item_encode(&item, m, at);
			used += item.len + 1;
			if (used > bytes && at > first)
				break;
		}
		ends[parts++] = at;
		bytes = later_bytes;
	} while (at < n);
	return parts;
}

void wire_encode(const struct wire_msg *m, wire_fn *fn, void *arg)
{
	autobuf struct buf b = {0};
	size_t ends[WIRE_PARTS], at = 0;
	unsigned parts;

	assert(m->n_subnets <= LIMIT_SUBNETS && m->n_mapped <= LIMIT_SUBNETS && m->n_avoid <= LIMIT_AVOID &&
	       m->n_groups <= LIMIT_GROUPS);
	head_encode(&b, m, 1, WIRE_PARTS);
	if (!m->host_id[0]) {
		fn(arg, b.data, b.len);
		return;
	}
	/* dealt out alike, whatever the type: parts of one seq may be put together with those of another type */
	size_t pad = TYPE_BYTES - strlen(wire_type_names[m->type]), first_head = b.len + pad;
	buf_clear(&b);
	head_encode(&b, m, WIRE_PARTS, WIRE_PARTS);
	size_t head = b.len + pad;
	parts = items_deal(m, first_head, head, WIRE_BYTES, ends);
	if (parts == 0)
		parts = items_deal(m, first_head, head, LIMIT_DATAGRAM - LIMIT_SEAL, ends);
	assert(parts > 0);
	for (unsigned part = 1; part <= parts; part++) {
		buf_clear(&b);
		head_encode(&b, m, part, parts);
		items_encode(&b, m, at, ends[part - 1]);
		at = ends[part - 1];
		fn(arg, b.data, b.len);
	}
}
