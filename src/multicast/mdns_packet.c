/* SPDX-License-Identifier: Apache-2.0
 *
 * A walk that cannot leave its packet. Pointers must point backwards, so every name ends.
 */
#include "multicast/mdns_packet.h"

#define OPCODE_MASK 0x78
#define POINTER	    0xc0
#define NAME_MAX_   255
#define UNICAST	    0x8000 /* of a question's class: answer to me alone; of a record's: forget all others */
#define META	    "_services._dns-sd._udp.local"

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Return: offset behind the name, 0: broken. @ret may be NULL */
static size_t name_read(const uint8_t *b, size_t len, size_t at, char *ret)
{
	size_t after = 0, total = 0, n = 0, begin = at;

	for (;;) {
		if (at >= len)
			return 0;
		uint8_t label = b[at];

		if ((label & POINTER) == POINTER) {
			if (at + 1 >= len)
				return 0;
			size_t to = (size_t)(label & 0x3f) << 8 | b[at + 1];

			after = after ? after : at + 2;
			if (to >= begin || to < MDNS_HEADER)
				return 0;
			at = begin = to;
			continue;
		}
		if (label & POINTER)
			return 0;
		at++;
		total += label + 1u;
		if (total > NAME_MAX_ || label > len - at)
			return 0;
		if (!label)
			break;
		if (ret && n)
			ret[n++] = '.';
		for (size_t i = 0; ret && i < label; i++) {
			uint8_t c = b[at + i];

			ret[n++] = (char)(c >= 'A' && c <= 'Z'		    ? c - 'A' + 'a'
					  : c <= ' ' || c == '.' || c > '~' ? '?'
									    : c);
		}
		at += label;
	}
	if (ret)
		ret[n] = '\0';
	return after ? after : at;
}

int mdns_walk_begin(struct mdns_walk *w, const uint8_t *b, size_t len)
{
	size_t records;

	if (len < MDNS_HEADER || len > MDNS_BYTES || b[2] & OPCODE_MASK)
		return -EBADMSG;
	records = (size_t)get16(b + 6) + get16(b + 8) + get16(b + 10);
	if (get16(b + 4) + records > MDNS_RECORDS || get16(b + 4) + records == 0)
		return -EBADMSG;
	*w = (struct mdns_walk){.b = b, .len = len, .at = MDNS_HEADER, .questions = get16(b + 4), .records = records};
	return 0;
}

int mdns_walk_next(struct mdns_walk *w, struct mdns_item *ret)
{
	size_t at;

	if (w->n == w->questions + w->records)
		return 0;
	at = name_read(w->b, w->len, w->at, ret->name);
	if (!at || w->len - at < 4)
		return -EBADMSG;
	ret->question = w->n++ < w->questions;
	ret->type_at = at;
	ret->type = get16(w->b + at);
	ret->class = get16(w->b + at + 2);
	ret->data_at = ret->data_len = 0;
	at += 4;
	if (!ret->question) {
		if (w->len - at < 6)
			return -EBADMSG;
		ret->data_len = get16(w->b + at + 4);
		ret->data_at = at += 6;
		if (w->len - at < ret->data_len)
			return -EBADMSG;
		at += ret->data_len;
	}
	w->at = at;
	return 1;
}

int mdns_walk_name(const struct mdns_walk *w, size_t at, char ret[static MDNS_NAME_BYTES])
{
	return name_read(w->b, w->len, at, ret) ? 0 : -EBADMSG;
}

void mdns_ask_all(uint8_t *b, size_t len)
{
	struct mdns_walk w;
	struct mdns_item item;

	if (mdns_walk_begin(&w, b, len))
		return;
	while (mdns_walk_next(&w, &item) == 1 && item.question)
		b[item.type_at + 2] &= (uint8_t) ~(UNICAST >> 8);
}

size_t mdns_blank(uint8_t *b, size_t len, const struct prefix *hidden, size_t n, size_t *ret_left)
{
	struct mdns_walk w;
	struct mdns_item item;
	size_t blanked = 0, left = 0;

	*ret_left = 0;
	if (mdns_walk_begin(&w, b, len))
		return 0;
	while (mdns_walk_next(&w, &item) == 1) {
		struct ip ip = {0};

		if (item.question)
			continue;
		left++;
		if (item.type == MDNS_A && item.data_len == 4)
			ip = ip_from_bytes(AF_INET, b + item.data_at);
		else if (item.type == MDNS_AAAA && item.data_len == 16)
			ip = ip_from_bytes(AF_INET6, b + item.data_at);
		if (ip_is_none(&ip) || !(ip_is_link_local(&ip) || ip_is_loopback(&ip) || ip_is_unspecified(&ip) ||
					 prefixes_have_ip(hidden, n, &ip)))
			continue;
		b[item.type_at] = MDNS_BLANK >> 8;
		b[item.type_at + 1] = MDNS_BLANK & 0xff;
		b[item.type_at + 2] &= (uint8_t) ~(UNICAST >> 8);
		memset(b + item.type_at + 4, 0, 4);
		blanked++;
		left--;
	}
	*ret_left = left;
	return blanked;
}

/* --- types of service --- */

bool mdns_service(const char *name, char ret[static MDNS_NAME_BYTES])
{
	for (const char *p = name; p; p = strchr(p, '.')) {
		size_t n;

		if (*p == '.')
			p++;
		if (*p != '_')
			continue;
		n = strcspn(p, ".");
		if (strncmp(p + n, "._tcp", 5) != 0 && strncmp(p + n, "._udp", 5) != 0)
			continue;
		if (p[n + 5] && p[n + 5] != '.')
			continue;
		memcpy(ret, p, n + 5);
		ret[n + 5] = '\0';
		return true;
	}
	return false;
}

static bool type_listed(const char *service, const char (*types)[LIMIT_MDNS_TYPE], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(types[i], service))
			return true;
	return false;
}

bool mdns_types_pass(const uint8_t *b, size_t len, const char (*types)[LIMIT_MDNS_TYPE], size_t n)
{
	struct mdns_walk w;
	struct mdns_item item;
	char name[MDNS_NAME_BYTES], service[MDNS_NAME_BYTES];
	bool others = false;

	if (!n)
		return true;
	if (mdns_walk_begin(&w, b, len))
		return false;
	while (mdns_walk_next(&w, &item) == 1) {
		const char *of = item.name;

		if (str_eq(item.name, META)) {
			if (item.question)
				return true;
			if (item.type != MDNS_PTR || mdns_walk_name(&w, item.data_at, name))
				continue;
			of = name;
		}
		if (!mdns_service(of, service))
			continue;
		if (type_listed(service, types, n))
			return true;
		others = true;
	}
	return !others;
}
