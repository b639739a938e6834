/* SPDX-License-Identifier: Apache-2.0
 *
 * The short way between a peer and its text. Strict on purpose: it may refuse anything, but what it takes must be what
 * the long way makes of it. The fuzzer of the state files compares both.
 */
#include "state/peer_text.h"

#include "state/multicast_label.h"

bool host_id_valid(const char *s)
{
	size_t n = 0;
	while ((s[n] >= '0' && s[n] <= '9') || (s[n] >= 'a' && s[n] <= 'f'))
		n++;
	return n == HOST_ID_LEN && !s[n];
}

static int prefix_sort_cmp(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

size_t prefixes_tidy(struct prefix *p, size_t n)
{
	size_t kept = 0;
	if (n > 1)
		qsort(p, n, sizeof(*p), prefix_sort_cmp);
	for (size_t i = 0; i < n; i++)
		if (!kept || prefix_cmp(&p[i], &p[kept - 1]) != 0)
			p[kept++] = p[i];
	return kept;
}

size_t groups_tidy(struct prefix *p, size_t n)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (p[i].len == ip_bits(p[i].ip.family) && overlay_group_valid(&p[i].ip))
			p[kept++] = p[i];
	return prefixes_tidy(p, kept);
}

static int mapped_sort_cmp(const void *a, const void *b)
{
	const struct mapped *x = a, *y = b;
	int order = prefix_cmp(&x->subnet, &y->subnet);
	return order ? order : prefix_cmp(&x->as, &y->as);
}

bool mapped_valid(struct mapped *m)
{
	m->subnet = prefix_mask(m->subnet);
	m->as = prefix_mask(m->as);
	return m->subnet.ip.family == m->as.ip.family && m->subnet.len == m->as.len && m->as.len > 0;
}

size_t mapped_tidy(struct mapped *m, size_t n)
{
	size_t kept = 0;
	if (n > 1)
		qsort(m, n, sizeof(*m), mapped_sort_cmp);
	for (size_t i = 0; i < n; i++)
		if (!kept || prefix_cmp(&m[i].subnet, &m[kept - 1].subnet) != 0)
			m[kept++] = m[i];
	return kept;
}

/* where we are in the text; nothing is read at or behind @end */
struct scan {
	const char *s, *end;
};

static void skip_space(struct scan *in)
{
	while (in->s < in->end && (*in->s == ' ' || *in->s == '\n' || *in->s == '\t' || *in->s == '\r'))
		in->s++;
}

static bool take(struct scan *in, char c)
{
	skip_space(in);
	if (in->s == in->end || *in->s != c)
		return false;
	in->s++;
	return true;
}

/* a string of printable ASCII without escapes that fits into @ret */
static bool take_string(struct scan *in, char *ret, size_t size)
{
	size_t n = 0;
	if (!take(in, '"'))
		return false;
	for (; in->s < in->end && *in->s != '"'; in->s++) {
		if (*in->s < 0x20 || *in->s > 0x7e || *in->s == '\\' || n + 1 >= size)
			return false;
		ret[n++] = *in->s;
	}
	if (in->s == in->end)
		return false;
	in->s++;
	ret[n] = '\0';
	return true;
}

/* digits without a leading zero; what could overflow is left to the long way */
static bool take_number(struct scan *in, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;
	size_t digits = 0;
	skip_space(in);
	for (; in->s < in->end && *in->s >= '0' && *in->s <= '9'; in->s++, digits++) {
		if (digits == 18 || (digits && !n))
			return false;
		n = n * 10 + (uint64_t)(*in->s - '0');
	}
	*ret = n;
	return digits && n <= max && in->s < in->end && *in->s != '.' && *in->s != 'e' && *in->s != 'E';
}

static bool take_word(struct scan *in, const char *word)
{
	size_t n = strlen(word);

	skip_space(in);
	if ((size_t)(in->end - in->s) <= n || memcmp(in->s, word, n) != 0)
		return false;
	in->s += n;
	return true;
}

static bool take_prefixes(struct scan *in, struct prefix *ret, size_t max, size_t *ret_n)
{
	char text[PREFIX_STRLEN];
	size_t n = 0;
	if (!take(in, '['))
		return false;
	if (!take(in, ']')) {
		do {
			if (n >= max || !take_string(in, text, sizeof(text)) || prefix_parse(text, &ret[n]) < 0)
				return false;
			ret[n] = prefix_mask(ret[n]);
			n++;
		} while (take(in, ','));
		if (!take(in, ']'))
			return false;
	}
	*ret_n = n;
	return true;
}

/* {"subnet":"..","as":".."}, in this order, as we write it */
static bool take_pair(struct scan *in, struct mapped *ret)
{
	char key[8], subnet[PREFIX_STRLEN], as[PREFIX_STRLEN];
	return take(in, '{') && take_string(in, key, sizeof(key)) && str_eq(key, "subnet") && take(in, ':') &&
	       take_string(in, subnet, sizeof(subnet)) && take(in, ',') && take_string(in, key, sizeof(key)) &&
	       str_eq(key, "as") && take(in, ':') && take_string(in, as, sizeof(as)) && take(in, '}') &&
	       prefix_parse(subnet, &ret->subnet) == 0 && prefix_parse(as, &ret->as) == 0 && mapped_valid(ret);
}

static bool take_mapped(struct scan *in, struct mapped *ret, size_t *ret_n)
{
	size_t n = 0;
	if (!take(in, '['))
		return false;
	if (!take(in, ']')) {
		do {
			if (n >= LIMIT_SUBNETS || !take_pair(in, &ret[n]))
				return false;
			n++;
		} while (take(in, ','));
		if (!take(in, ']'))
			return false;
	}
	*ret_n = n;
	return true;
}

static bool take_ip(struct scan *in, struct ip *ret)
{
	char text[IP_STRLEN];
	return take_string(in, text, sizeof(text)) && ip_parse(text, ret) == 0;
}

/* ["1a2b3c4d",...], at most @max */
static bool take_ids(struct scan *in, char (*ret)[WG_RING_ID], size_t max, uint8_t *ret_n)
{
	if (!take(in, '['))
		return false;
	if (take(in, ']'))
		return true;
	do {
		if (*ret_n >= max || !take_string(in, ret[*ret_n], WG_RING_ID) || !wg_ring_id_valid(ret[*ret_n]))
			return false;
		++*ret_n;
	} while (take(in, ','));
	return take(in, ']');
}

static bool take_word_key(struct scan *in, const char *expected)
{
	char name[8];

	return take_string(in, name, sizeof(name)) && str_eq(name, expected) && take(in, ':');
}

/* "key":"..","port":51820 */
static bool take_wg_key(struct scan *in, char ret[static WG_KEY_TEXT], uint16_t *ret_port)
{
	uint8_t key[32], any = 0;
	uint64_t port;

	if (!take_word_key(in, "key") || !take_string(in, ret, WG_KEY_TEXT) || !take(in, ',') ||
	    !take_word_key(in, "port") || !take_number(in, UINT16_MAX, &port) || !port || !wg_key_parse(ret, key))
		return false;
	for (size_t i = 0; i < sizeof(key); i++)
		any |= key[i];
	*ret_port = (uint16_t)port;
	return any != 0;
}

/* As wg_say_print() writes it, in this order; what may be left out behind the ring */
static bool take_wireguard(struct scan *in, struct wg_say *w)
{
	char name[8];

	*w = (struct wg_say){0};
	if (!take(in, '{') || !take_wg_key(in, w->key, &w->port) || !take(in, ',') || !take_word_key(in, "ring") ||
	    !take_ids(in, w->ring, WG_RING, &w->n_ring))
		return false;
	while (take(in, ',')) {
		bool ok = take_string(in, name, sizeof(name)) && take(in, ':');
		if (ok && str_eq(name, "next") && !w->next[0])
			ok = take(in, '{') && take_wg_key(in, w->next, &w->next_port) && take(in, '}') &&
			     wg_say_slots_differ(w);
		else if (ok && str_eq(name, "relay"))
			ok = w->relay = take_word(in, "true");
		else if (ok && str_eq(name, "by") && !w->n_by)
			ok = take_ids(in, w->by, WG_RELAYS, &w->n_by);
		else
			ok = false;
		if (!ok)
			return false;
	}
	return take(in, '}');
}

enum key {
	KEY_STACK_ID,
	KEY_HOST_IP,
	KEY_VXLAN_ENDPOINT,
	KEY_VNI,
	KEY_LAST_SEEN,
	KEY_STATUS,
	KEY_SUBNETS,
	KEY_MAPPED,
	KEY_AVOID,
	KEY_GROUPS,
	KEY_HOST_ID,
	KEY_HOST_NAME,
	KEY_VTEP_MAC,
	KEY_VTEP_IP,
	KEY_UPLINK,
	KEY_EPOCH,
	KEY_WIREGUARD,
	KEY_SEQ,
	KEY_SOURCE,
	KEY_N_
};

static const char *const key_names[] = {"stack_id", "host_ip", "vxlan_endpoint", "vni",	   "last_seen", "status",
					"subnets",  "mapped",  "avoid",		 "groups", "host_id",	"host_name",
					"vtep_mac", "vtep_ip", "uplink",	 "epoch",  "wireguard", "seq",
					"source"};
_Static_assert(ARRAY_LEN(key_names) == KEY_N_, "one name per key");

static int name_find(const char *name, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (str_eq(name, names[i]))
			return i;
	return -1;
}

static bool take_name(struct scan *in, const char *const *names, int n, int *ret)
{
	char text[32];
	return take_string(in, text, sizeof(text)) && (*ret = name_find(text, names, n)) >= 0;
}

struct parsed {
	struct peer peer;
	struct prefix subnets[LIMIT_SUBNETS], avoid[LIMIT_AVOID], groups[LIMIT_GROUPS];
	struct mapped mapped[LIMIT_SUBNETS];
	size_t n_subnets, n_avoid, n_mapped, n_groups;
};

static bool take_value(struct scan *in, enum key key, struct parsed *out)
{
	struct peer *p = &out->peer;
	char text[ENDPOINT_STRLEN];
	uint64_t n;
	int i;
	switch (key) {
	case KEY_STACK_ID:
		return take_string(in, p->stack_id, sizeof(p->stack_id)) && name_valid(p->stack_id);
	case KEY_HOST_IP:
		return take_ip(in, &p->host_ip) && !ip_is_unspecified(&p->host_ip) && !ip_is_multicast(&p->host_ip);
	case KEY_VXLAN_ENDPOINT:
		return take_string(in, text, sizeof(text)) && !strchr(text, '%') &&
		       endpoint_parse(text, 0, &p->vxlan_endpoint) == 0 && p->vxlan_endpoint.port &&
		       !ip_is_unspecified(&p->vxlan_endpoint.ip) && !ip_is_multicast(&p->vxlan_endpoint.ip);
	case KEY_VNI:
		if (!take_number(in, VNI_MAX, &n) || !n)
			return false;
		p->vni = (uint32_t)n;
		return true;
	case KEY_LAST_SEEN:
		return take_string(in, text, sizeof(text)) && wall_parse(text, &p->last_seen) == 0;
	case KEY_STATUS:
		if (!take_name(in, peer_status_names, PEER_STATUS_N_, &i))
			return false;
		p->status = (enum peer_status)i;
		return true;
	case KEY_SUBNETS:
		return take_prefixes(in, out->subnets, LIMIT_SUBNETS, &out->n_subnets);
	case KEY_MAPPED:
		return take_mapped(in, out->mapped, &out->n_mapped);
	case KEY_AVOID:
		return take_prefixes(in, out->avoid, LIMIT_AVOID, &out->n_avoid);
	case KEY_GROUPS:
		return take_prefixes(in, out->groups, LIMIT_GROUPS, &out->n_groups);
	case KEY_HOST_ID:
		return take_string(in, p->host_id, sizeof(p->host_id)) && host_id_valid(p->host_id);
	case KEY_HOST_NAME:
		return take_string(in, p->host_name, sizeof(p->host_name));
	case KEY_VTEP_MAC:
		return take_string(in, text, sizeof(text)) && mac_parse(text, &p->vtep_mac) == 0;
	case KEY_VTEP_IP:
		return take_ip(in, &p->vtep_ip);
	case KEY_UPLINK:
		return take_ip(in, &p->uplink);
	case KEY_EPOCH:
		if (!take_number(in, EPOCHS - 1, &n))
			return false;
		p->epoch = (uint8_t)n;
		return true;
	case KEY_WIREGUARD:
		return take_wireguard(in, &p->wireguard);
	case KEY_SEQ:
		return take_number(in, INT64_MAX, &p->seq);
	case KEY_SOURCE:
		if (!take_name(in, peer_source_names, PEER_SOURCE_N_, &i))
			return false;
		p->source = (enum peer_source)i;
		return true;
	case KEY_N_:
		break;
	}
	return false;
}

bool peer_from_text(const char *s, size_t len, struct peer *ret)
{
	const unsigned needed = 1u << KEY_STACK_ID | 1u << KEY_HOST_IP | 1u << KEY_VXLAN_ENDPOINT | 1u << KEY_VNI;
	struct scan in = {.s = s, .end = s + len};
	struct parsed out;
	unsigned seen = 0;
	int key, next = 0;
	out.peer = (struct peer){.source = PEER_FILE};
	out.n_subnets = out.n_avoid = out.n_mapped = out.n_groups = 0;
	if (!take(&in, '{'))
		return false;
	do {
		char name[32];
		if (!take_string(&in, name, sizeof(name)))
			return false;
		/* keys come in the order that we write them: mostly the first look is right */
		for (key = next; key < KEY_N_ && !str_eq(name, key_names[key]); key++)
			;
		if (key == KEY_N_)
			key = name_find(name, key_names, KEY_N_);
		if (key < 0 || seen & 1u << key || !take(&in, ':') || !take_value(&in, (enum key)key, &out))
			return false;
		seen |= 1u << key;
		next = key + 1;
	} while (take(&in, ','));
	if (!take(&in, '}') || (seen & needed) != needed)
		return false;
	skip_space(&in);
	if (in.s != in.end)
		return false;
	out.peer.n_subnets = (uint16_t)prefixes_tidy(out.subnets, out.n_subnets);
	if (out.peer.n_subnets)
		out.peer.subnets = xmemdup(out.subnets, out.peer.n_subnets * sizeof(out.subnets[0]));
	out.peer.n_mapped = (uint16_t)mapped_tidy(out.mapped, out.n_mapped);
	if (out.peer.n_mapped)
		out.peer.mapped = xmemdup(out.mapped, out.peer.n_mapped * sizeof(out.mapped[0]));
	out.peer.n_avoid = (uint16_t)prefixes_tidy(out.avoid, out.n_avoid);
	if (out.peer.n_avoid)
		out.peer.avoid = xmemdup(out.avoid, out.peer.n_avoid * sizeof(out.avoid[0]));
	out.peer.n_groups = (uint16_t)groups_tidy(out.groups, out.n_groups);
	if (out.peer.n_groups)
		out.peer.groups = xmemdup(out.groups, out.peer.n_groups * sizeof(out.groups[0]));
	*ret = out.peer;
	return true;
}

static bool is_plain(const char *s)
{
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e || *s == '"' || *s == '\\')
			return false;
	return true;
}

static void put_key(struct buf *b, const char *before, enum key key)
{
	buf_puts(b, before);
	buf_puts(b, key_names[key]);
	buf_append(b, "\":", 2);
}

static void put_text(struct buf *b, const char *before, enum key key, const char *value)
{
	put_key(b, before, key);
	buf_append(b, "\"", 1);
	buf_puts(b, value);
	buf_append(b, "\"", 1);
}

static void put_number(struct buf *b, const char *before, enum key key, uint64_t n)
{
	char text[24];
	put_key(b, before, key);
	str_print(text, "%llu", (unsigned long long)n);
	buf_puts(b, text);
}

static void put_prefixes(struct buf *b, enum key key, const struct prefix *p, size_t n)
{
	char text[PREFIX_STRLEN];
	put_key(b, ",\"", key);
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, i ? ",\"" : "[\"");
		buf_puts(b, prefix_format(&p[i], text));
		buf_append(b, "\"", 1);
	}
	buf_puts(b, n ? "]" : "[]");
}

static void put_mapped(struct buf *b, const struct mapped *m, size_t n)
{
	char text[PREFIX_STRLEN];
	put_key(b, ",\"", KEY_MAPPED);
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, i ? ",{\"subnet\":\"" : "[{\"subnet\":\"");
		buf_puts(b, prefix_format(&m[i].subnet, text));
		buf_puts(b, "\",\"as\":\"");
		buf_puts(b, prefix_format(&m[i].as, text));
		buf_puts(b, "\"}");
	}
	buf_puts(b, "]");
}

bool peer_to_text(struct buf *b, const struct peer *p)
{
	char text[ENDPOINT_STRLEN];
	if (!is_plain(p->stack_id) || !is_plain(p->host_id) || !is_plain(p->host_name) || p->seq > INT64_MAX)
		return false;
	put_text(b, "{\"", KEY_STACK_ID, p->stack_id);
	put_text(b, ",\"", KEY_HOST_IP, ip_format(&p->host_ip, text));
	put_text(b, ",\"", KEY_VXLAN_ENDPOINT, endpoint_format(&p->vxlan_endpoint, text));
	put_number(b, ",\"", KEY_VNI, p->vni);
	put_text(b, ",\"", KEY_LAST_SEEN, wall_format(p->last_seen, text));
	put_text(b, ",\"", KEY_STATUS, peer_status_names[p->status]);
	put_prefixes(b, KEY_SUBNETS, p->subnets, p->n_subnets);
	if (p->n_mapped)
		put_mapped(b, p->mapped, p->n_mapped);
	if (p->n_avoid)
		put_prefixes(b, KEY_AVOID, p->avoid, p->n_avoid);
	if (p->n_groups)
		put_prefixes(b, KEY_GROUPS, p->groups, p->n_groups);
	if (*p->host_id)
		put_text(b, ",\"", KEY_HOST_ID, p->host_id);
	if (*p->host_name)
		put_text(b, ",\"", KEY_HOST_NAME, p->host_name);
	if (!mac_is_none(&p->vtep_mac))
		put_text(b, ",\"", KEY_VTEP_MAC, mac_format(&p->vtep_mac, text));
	if (!ip_is_none(&p->vtep_ip))
		put_text(b, ",\"", KEY_VTEP_IP, ip_format(&p->vtep_ip, text));
	if (!ip_is_none(&p->uplink))
		put_text(b, ",\"", KEY_UPLINK, ip_format(&p->uplink, text));
	if (p->epoch)
		put_number(b, ",\"", KEY_EPOCH, p->epoch);
	if (p->wireguard.key[0]) {
		put_key(b, ",\"", KEY_WIREGUARD);
		wg_say_print(b, &p->wireguard);
	}
	put_number(b, ",\"", KEY_SEQ, p->seq);
	put_text(b, ",\"", KEY_SOURCE, peer_source_names[p->source]);
	buf_append(b, "}", 1);
	return true;
}
