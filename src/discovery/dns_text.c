/* SPDX-License-Identifier: Apache-2.0
 *
 * Between peers and the strings of TXT records; see dns_text.h.
 */
#include "discovery/dns_text.h"

#include "state/peer_text.h"

#define MAGIC	     "docker-router=1"
#define SEALED	     "sealed="
#define STRING_BYTES 255
#define WG_NEXT	     "next:" /* of WireGuard: before a port and a key, nothing, a relay */
#define WG_RELAY     "relay"
#define WG_BY	     "by:"

/* --- out --- */

static void string_put(struct buf *b, const char *s, size_t len)
{
	uint8_t n = (uint8_t)len;

	buf_append(b, &n, 1);
	buf_append(b, s, len);
}

static void field_put(struct buf *b, const char *key, const char *value)
{
	char s[STRING_BYTES + 1];
	int n = str_print(s, "%s=%s", key, value);

	string_put(b, s, (size_t)n);
}

static void number_put(struct buf *b, const char *key, uint64_t n)
{
	char s[24];

	str_print(s, "%llu", (unsigned long long)n);
	field_put(b, key, s);
}

/** struct list - Elements of a key, as many in a string as fit */
struct list {
	struct buf *b;
	const char *key;
	char s[STRING_BYTES + 1];
	size_t len;
};

static void list_end(struct list *l)
{
	if (l->len)
		string_put(l->b, l->s, l->len);
	l->len = 0;
}

static void list_put(struct list *l, const char *element)
{
	if (l->len + 1 + strlen(element) > STRING_BYTES)
		list_end(l);
	l->len += (size_t)snprintf(l->s + l->len, sizeof(l->s) - l->len, "%s%s%s", l->len ? "" : l->key,
				   l->len ? "," : "=", element);
}

static void prefixes_put(struct buf *b, const char *key, const struct prefix *p, size_t n)
{
	struct list l = {.b = b, .key = key};
	char s[PREFIX_STRLEN];

	for (size_t i = 0; i < n; i++)
		list_put(&l, prefix_format(&p[i], s));
	list_end(&l);
}

static void mapped_put(struct buf *b, const char *key, const struct mapped *m, size_t n)
{
	struct list l = {.b = b, .key = key};
	char subnet[PREFIX_STRLEN], as[PREFIX_STRLEN], s[2 * PREFIX_STRLEN];

	for (size_t i = 0; i < n; i++) {
		str_print(s, "%s>%s", prefix_format(&m[i].subnet, subnet), prefix_format(&m[i].as, as));
		list_put(&l, s);
	}
	list_end(&l);
}

/* key, port, ids of the ring; then what begins with a word of its own */
static void wireguard_put(struct buf *b, const struct wg_say *w)
{
	struct list l = {.b = b, .key = "wg"};
	char port[8];

	list_put(&l, w->key);
	str_print(port, "%u", w->port);
	list_put(&l, port);
	for (size_t i = 0; i < w->n_ring; i++)
		list_put(&l, w->ring[i]);
	if (w->next[0]) {
		char next[80];
		str_print(next, WG_NEXT "%u:%s", w->next_port, w->next);
		list_put(&l, next);
	}
	if (w->relay)
		list_put(&l, WG_RELAY);
	for (size_t i = 0; i < w->n_by; i++) {
		char by[16];
		str_print(by, WG_BY "%s", w->by[i]);
		list_put(&l, by);
	}
	list_end(&l);
}

void dns_text_put(struct buf *b, const struct peer *p)
{
	char s[IP_STRLEN];

	string_put(b, MAGIC, strlen(MAGIC));
	field_put(b, "stack", p->stack_id);
	number_put(b, "vni", p->vni);
	field_put(b, "host", p->host_id);
	if (p->host_name[0])
		field_put(b, "name", p->host_name);
	field_put(b, "ip", ip_format(&p->host_ip, s));
	number_put(b, "port", p->vxlan_endpoint.port);
	number_put(b, "seq", p->seq);
	prefixes_put(b, "net", p->subnets, p->n_subnets);
	mapped_put(b, "map", p->mapped, p->n_mapped);
	prefixes_put(b, "avoid", p->avoid, p->n_avoid);
	if (!ip_is_none(&p->uplink))
		field_put(b, "uplink", ip_format(&p->uplink, s));
	if (p->epoch)
		number_put(b, "epoch", p->epoch);
	if (p->wireguard.key[0])
		wireguard_put(b, &p->wireguard);
}

void dns_sealed_put(struct buf *b, const char *data, size_t len)
{
	size_t n = STRING_BYTES - strlen(SEALED);
	uint8_t first;

	n = len < n ? len : n;
	first = (uint8_t)(strlen(SEALED) + n);
	string_put(b, MAGIC, strlen(MAGIC));
	buf_append(b, &first, 1);
	buf_puts(b, SEALED);
	buf_append(b, data, n);
	while (n < len) {
		size_t more = len - n < STRING_BYTES ? len - n : STRING_BYTES;

		string_put(b, data + n, more);
		n += more;
	}
}

void dns_text_print(struct buf *b, const uint8_t *text, size_t len)
{
	for (size_t at = 0; at < len && at + 1 + text[at] <= len; at += 1u + text[at]) {
		buf_puts(b, at ? " \"" : "\"");
		for (size_t i = 0; i < text[at]; i++) {
			uint8_t c = text[at + 1 + i];

			if (c == '"' || c == '\\' || c < 0x20 || c > 0x7e)
				buf_printf(b, "\\%03u", c);
			else
				buf_append(b, &c, 1);
		}
		buf_puts(b, "\"");
	}
}

/* --- in --- */

/* The next string, or false at the end or where it is broken */
static bool string_next(const uint8_t *text, size_t len, size_t *at, const char **ret, size_t *ret_len)
{
	if (*at >= len || *at + 1 + text[*at] > len)
		return false;
	*ret = (const char *)text + *at + 1;
	*ret_len = text[*at];
	*at += 1 + *ret_len;
	return true;
}

static bool string_is(const char *s, size_t len, const char *what)
{
	return len == strlen(what) && memcmp(s, what, len) == 0;
}

bool dns_text_is_ours(const uint8_t *text, size_t len)
{
	const char *s;
	size_t at = 0, n;

	return string_next(text, len, &at, &s, &n) && string_is(s, n, MAGIC);
}

bool dns_sealed_get(const uint8_t *text, size_t len, struct buf *ret)
{
	const char *s;
	size_t at = 0, n;

	if (!string_next(text, len, &at, &s, &n) || !string_is(s, n, MAGIC) || !string_next(text, len, &at, &s, &n) ||
	    n < strlen(SEALED) || memcmp(s, SEALED, strlen(SEALED)) != 0 || len > DNS_TEXT_BYTES)
		return false;
	buf_append(ret, s + strlen(SEALED), n - strlen(SEALED));
	while (string_next(text, len, &at, &s, &n))
		buf_append(ret, s, n);
	return true;
}

struct parsed {
	struct peer peer;
	struct prefix subnets[LIMIT_SUBNETS], avoid[LIMIT_AVOID];
	struct mapped mapped[LIMIT_SUBNETS];
	size_t n_subnets, n_avoid, n_mapped;
};

/* The next element of a list with commas, cut out of @s */
static char *element_next(char **s)
{
	char *begin = *s, *comma = begin ? strchr(begin, ',') : NULL;

	*s = comma ? comma + 1 : NULL;
	if (comma)
		*comma = '\0';
	return begin;
}

static int prefixes_get(char *value, struct prefix *v, size_t max, size_t *n)
{
	for (char *e; (e = element_next(&value));) {
		if (*n >= max || prefix_parse(e, &v[*n]) < 0)
			return -EINVAL;
		v[*n] = prefix_mask(v[*n]);
		(*n)++;
	}
	return 0;
}

static int mapped_get(char *value, struct parsed *out)
{
	for (char *e; (e = element_next(&value));) {
		char *as = strchr(e, '>');
		struct mapped *m = &out->mapped[out->n_mapped];

		if (!as || out->n_mapped >= LIMIT_SUBNETS)
			return -EINVAL;
		*as++ = '\0';
		if (prefix_parse(e, &m->subnet) < 0 || prefix_parse(as, &m->as) < 0 || !mapped_valid(m))
			return -EINVAL;
		out->n_mapped++;
	}
	return 0;
}

static int wireguard_next_get(char *e, struct wg_say *w)
{
	char *key = strchr(e, ':');
	uint64_t port;

	if (!key)
		return -EINVAL;
	*key++ = '\0';
	if (parse_u64(e, 1, UINT16_MAX, &port) < 0 || !str_copy(w->next, key) || !wg_say_slots_differ(w))
		return -EINVAL;
	w->next_port = (uint16_t)port;
	return 0;
}

/* What follows key and port */
static int wireguard_more_get(char *e, struct wg_say *w)
{
	if (strncmp(e, WG_NEXT, strlen(WG_NEXT)) == 0)
		return wireguard_next_get(e + strlen(WG_NEXT), w);
	if (str_eq(e, WG_RELAY)) {
		w->relay = true;
		return 0;
	}
	if (strncmp(e, WG_BY, strlen(WG_BY)) == 0) {
		e += strlen(WG_BY);
		if (w->n_by >= WG_RELAYS || !wg_ring_id_valid(e) || !str_copy(w->by[w->n_by], e))
			return -EINVAL;
		w->n_by++;
		return 0;
	}
	if (w->n_ring >= WG_RING || !wg_ring_id_valid(e) || !str_copy(w->ring[w->n_ring], e))
		return -EINVAL;
	w->n_ring++;
	return 0;
}

static int wireguard_get(char *value, struct wg_say *ret)
{
	struct wg_say w = {.n_ring = 0};
	char *e = element_next(&value);
	uint8_t key[32];
	uint64_t port;

	if (!str_copy(w.key, e) || !wg_key_parse(e, key) || !(e = element_next(&value)) ||
	    parse_u64(e, 1, UINT16_MAX, &port) < 0)
		return -EINVAL;
	w.port = (uint16_t)port;
	while ((e = element_next(&value)))
		if (wireguard_more_get(e, &w) < 0)
			return -EINVAL;
	*ret = w;
	return 0;
}

static int number_get(const char *value, uint64_t min, uint64_t max, uint64_t *ret)
{
	return parse_u64(value, min, max, ret) < 0 ? -EINVAL : 0;
}

enum field {
	F_STACK,
	F_VNI,
	F_HOST,
	F_NAME,
	F_IP,
	F_PORT,
	F_SEQ,
	F_UPLINK,
	F_EPOCH,
	F_WG,
	F_NET,
	F_MAP,
	F_AVOID,
	F_N_
};
static const char *const field_names[F_N_] = {"stack",	"vni",	 "host", "name", "ip",	"port", "seq",
					      "uplink", "epoch", "wg",	 "net",	 "map", "avoid"};

static int field_get(enum field f, char *value, struct parsed *out)
{
	struct peer *p = &out->peer;
	uint64_t n = 0;
	int r;

	switch (f) {
	case F_STACK:
		return str_copy(p->stack_id, value) && name_valid(value) ? 0 : -EINVAL;
	case F_VNI:
		r = number_get(value, 1, VNI_MAX, &n);
		p->vni = (uint32_t)n;
		return r;
	case F_HOST:
		return str_copy(p->host_id, value) && host_id_valid(value) ? 0 : -EINVAL;
	case F_NAME:
		return str_copy(p->host_name, value) && name_valid(value) ? 0 : -EINVAL;
	case F_IP:
		return ip_parse(value, &p->host_ip);
	case F_PORT:
		r = number_get(value, 1, UINT16_MAX, &n);
		p->vxlan_endpoint.port = (uint16_t)n;
		return r;
	case F_SEQ:
		return number_get(value, 0, INT64_MAX, &p->seq);
	case F_UPLINK:
		return ip_parse(value, &p->uplink);
	case F_EPOCH:
		r = number_get(value, 0, EPOCHS - 1, &n);
		p->epoch = (uint8_t)n;
		return r;
	case F_WG:
		return wireguard_get(value, &p->wireguard);
	case F_NET:
		return prefixes_get(value, out->subnets, LIMIT_SUBNETS, &out->n_subnets);
	case F_MAP:
		return mapped_get(value, out);
	case F_AVOID:
		return prefixes_get(value, out->avoid, LIMIT_AVOID, &out->n_avoid);
	case F_N_:
		break;
	}
	return -EINVAL;
}

static enum field field_find(const char *key, size_t len)
{
	int f = 0;

	while (f < F_N_ && !string_is(key, len, field_names[f]))
		f++;
	return (enum field)f;
}

static void *copy(const void *v, size_t size)
{
	return size ? xmemdup(v, size) : NULL;
}

static void parsed_take(struct parsed *out, struct peer *ret)
{
	struct peer *p = &out->peer;

	p->vxlan_endpoint.ip = p->host_ip;
	if (!p->vxlan_endpoint.port)
		p->vxlan_endpoint.port = 4789;
	out->n_subnets = prefixes_tidy(out->subnets, out->n_subnets);
	out->n_mapped = mapped_tidy(out->mapped, out->n_mapped);
	out->n_avoid = prefixes_tidy(out->avoid, out->n_avoid);
	p->n_subnets = (uint16_t)out->n_subnets;
	p->n_mapped = (uint16_t)out->n_mapped;
	p->n_avoid = (uint16_t)out->n_avoid;
	p->subnets = copy(out->subnets, out->n_subnets * sizeof(out->subnets[0]));
	p->mapped = copy(out->mapped, out->n_mapped * sizeof(out->mapped[0]));
	p->avoid = copy(out->avoid, out->n_avoid * sizeof(out->avoid[0]));
	*ret = *p;
}

int dns_text_get(const uint8_t *text, size_t len, struct peer *ret, struct err *err)
{
	const unsigned needed = 1u << F_STACK | 1u << F_VNI | 1u << F_HOST | 1u << F_IP;
	struct parsed out = {.peer = {.source = PEER_DNS}};
	unsigned seen = 0;
	size_t at = 0, n;
	const char *s;

	if (!string_next(text, len, &at, &s, &n) || !string_is(s, n, MAGIC))
		return err_set(err, -ENOENT, "no record of ours");
	while (string_next(text, len, &at, &s, &n)) {
		const char *equals = memchr(s, '=', n);
		size_t key_len = equals ? (size_t)(equals - s) : n;
		enum field f = field_find(s, key_len);
		char value[STRING_BYTES + 1];

		if (f == F_N_ || !equals)
			continue;
		n -= key_len + 1;
		memcpy(value, equals + 1, n);
		value[n] = '\0';
		if (strlen(value) != n || (f < F_NET && seen & 1u << f) || field_get(f, value, &out) < 0)
			return err_set(err, -EINVAL, "%s: not as it must be, or twice", field_names[f]);
		seen |= 1u << f;
	}
	if (at != len || (seen & needed) != needed)
		return err_set(err, -EINVAL, "stack, vni, host and ip must be there");
	parsed_take(&out, ret);
	return 0;
}
