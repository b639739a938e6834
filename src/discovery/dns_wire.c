/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads an answer in one or two walks over its records; see dns_wire.h.
 */
#include "discovery/dns_wire.h"

#define HEADER_BYTES 12
#define CNAMES_MAX   8
#define CLASS_IN     1

struct message {
	const uint8_t *data;
	size_t len;
	size_t answers; /* where they begin */
	unsigned n_answers, n_authority;
};

struct record {
	char owner[DNS_NAME_BYTES];
	unsigned type, class;
	uint32_t ttl_s;
	size_t at, len; /* of what it holds */
};

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

bool dns_name_valid(const char *s)
{
	size_t label = 0, n = 0;

	for (; *s; s++, n++) {
		if (*s == '.' && label == 0)
			return false;
		if (*s != '.' && *s != '-' && *s != '_' && !(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9'))
			return false;
		label = *s == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0 && n < 254;
}

/* Lower case; a byte that no host name has becomes '?', so that it is valid nowhere */
static char label_char(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ? (char)c : '?';
}

/**
 * name_read() - The name at @at
 * @ret: NULL: only skip it
 * Return: where what follows it begins; 0: broken
 */
static size_t name_read(const struct message *m, size_t at, char *ret)
{
	size_t begin = at, next = 0, n = 0;

	while (at < m->len) {
		uint8_t c = m->data[at];

		if (c == 0) {
			if (ret)
				ret[n] = '\0';
			return next ? next : at + 1;
		}
		if (c >= 0xc0) {
			size_t to = at + 1 < m->len ? get16(m->data + at) & 0x3fff : begin;

			/* Only backwards: then it ends */
			if (to >= begin)
				return 0;
			next = next ? next : at + 2;
			begin = at = to;
			continue;
		}
		if (c > 63 || at + 1 + c > m->len || n + c + 2 > DNS_NAME_BYTES)
			return 0;
		if (n && ret)
			ret[n] = '.';
		n += n > 0;
		for (size_t i = 0; i < c && ret; i++)
			ret[n + i] = label_char(m->data[at + 1 + i]);
		n += c;
		at += 1u + c;
	}
	return 0;
}

/* Return: where the next one begins; 0: broken */
static size_t record_read(const struct message *m, size_t at, struct record *ret)
{
	at = name_read(m, at, ret->owner);
	if (at == 0 || at + 10 > m->len)
		return 0;
	ret->type = get16(m->data + at);
	ret->class = get16(m->data + at + 2);
	ret->ttl_s = get32(m->data + at + 4);
	if (ret->ttl_s > INT32_MAX) /* RFC 2181: then it is none */
		ret->ttl_s = 0;
	ret->at = at + 10;
	ret->len = get16(m->data + at + 8);
	return ret->at + ret->len > m->len ? 0 : ret->at + ret->len;
}

static int header_read(struct message *m, enum dns_type type, struct err *err)
{
	unsigned flags, rcode;
	size_t at = HEADER_BYTES;

	if (m->len < HEADER_BYTES || m->len > DNS_MESSAGE_BYTES)
		return err_set(err, -EBADMSG, "an answer of %zu bytes", m->len);
	flags = get16(m->data + 2);
	rcode = flags & 15;
	if (!(flags & 0x8000) || get16(m->data + 4) != 1)
		return err_set(err, -EBADMSG, "not an answer to one question");
	if (rcode == 5)
		return err_set(err, -EACCES, "refused");
	if (rcode != 0 && rcode != 3)
		return err_set(err, -EAGAIN, rcode == 2 ? "the server failed" : "the server answers with error %u",
			       rcode);
	if (flags & 0x0200)
		return err_set(err, -EBADMSG, "the answer is cut off");
	at = name_read(m, at, NULL);
	if (at == 0 || at + 4 > m->len || get16(m->data + at) != type)
		return err_set(err, -EBADMSG, "the answer to another question");
	m->answers = at + 4;
	m->n_answers = get16(m->data + 6);
	m->n_authority = get16(m->data + 8);
	return rcode == 3 ? -ENOENT : 0;
}

static void ttl_take(uint32_t *ttl_s, uint32_t of)
{
	if (of < *ttl_s)
		*ttl_s = of;
}

/* Where the CNAMEs of the answer lead from @name, which is replaced. Return: how many there were; negative: broken */
static int cnames_follow(const struct message *m, char name[static DNS_NAME_BYTES], uint32_t *ttl_s, struct err *err)
{
	int n = 0;

	for (bool again = true; again; n++) {
		size_t at = m->answers;
		struct record r;

		again = false;
		for (unsigned i = 0; i < m->n_answers && !again; i++) {
			at = record_read(m, at, &r);
			if (at == 0)
				return err_set(err, -EBADMSG, "a broken record");
			if (r.type != DNS_TYPE_CNAME || r.class != CLASS_IN || !str_eq(r.owner, name))
				continue;
			if (name_read(m, r.at, name) == 0)
				return err_set(err, -EBADMSG, "a broken CNAME");
			ttl_take(ttl_s, r.ttl_s);
			again = true;
		}
		if (again && n >= CNAMES_MAX)
			return err_set(err, -EBADMSG, "CNAMEs that go on and on");
	}
	return n - 1;
}

static bool text_valid(const uint8_t *text, size_t len)
{
	size_t at = 0;

	while (at < len)
		at += 1u + text[at];
	return len > 0 && at == len;
}

static bool found_read(const struct message *m, const struct record *r, struct dns_found *ret)
{
	const uint8_t *p = m->data + r->at;

	switch (r->type) {
	case DNS_TYPE_A:
		ret->ip = r->len == 4 ? ip_from_bytes(AF_INET, p) : (struct ip){0};
		return r->len == 4;
	case DNS_TYPE_AAAA:
		ret->ip = r->len == 16 ? ip_from_bytes(AF_INET6, p) : (struct ip){0};
		return r->len == 16;
	case DNS_TYPE_TXT:
		ret->text = p;
		ret->text_len = r->len;
		return text_valid(p, r->len);
	case DNS_TYPE_SRV:
		/* the target ends where the record does, unless it is compressed, which it must not be, and is */
		if (r->len < 7 || name_read(m, r->at + 6, ret->target) == 0)
			return false;
		ret->port = (uint16_t)get16(p + 4);
		return ret->port && dns_name_valid(ret->target);
	default:
		return false;
	}
}

/* How long it is true that there is nothing: RFC 2308, of the SOA in the authority section */
static void negative_ttl(const struct message *m, uint32_t *ttl_s)
{
	size_t at = m->answers;
	struct record r;

	for (unsigned i = 0; i < m->n_answers + m->n_authority; i++) {
		at = record_read(m, at, &r);
		if (at == 0)
			return;
		if (i < m->n_answers || r.type != DNS_TYPE_SOA || r.len < 22)
			continue;
		ttl_take(ttl_s, r.ttl_s);
		ttl_take(ttl_s, get32(m->data + at - 4));
		return;
	}
}

int dns_message_read(const uint8_t *data, size_t len, const char *name, enum dns_type type, dns_found_fn *fn, void *arg,
		     uint32_t *ret_ttl_s, struct err *err)
{
	struct message m = {.data = data, .len = len};
	char owner[DNS_NAME_BYTES] = "";
	uint32_t ttl_s = UINT32_MAX;
	struct record r;
	size_t n = 0, at;
	int code = header_read(&m, type, err), cnames = 0;

	if (code == 0) {
		str_copy(owner, name);
		code = cnames = cnames_follow(&m, owner, &ttl_s, err);
	}
	if (code < 0 && code != -ENOENT)
		return code;
	at = m.answers;
	for (unsigned i = 0; code >= 0 && i < m.n_answers; i++) {
		struct dns_found f = {0};

		at = record_read(&m, at, &r); /* was there before */
		if (at == 0)
			return err_set(err, -EBADMSG, "a broken record");
		if (r.type != type || r.class != CLASS_IN || !str_eq(r.owner, owner))
			continue;
		n++;
		ttl_take(&ttl_s, r.ttl_s);
		if (found_read(&m, &r, &f))
			fn(arg, &f);
	}
	if (n == 0 && cnames > 0)
		return err_set(err, -EBADMSG, "a CNAME, and not where it leads");
	if (n == 0)
		negative_ttl(&m, &ttl_s);
	*ret_ttl_s = ttl_s;
	if (n > 0)
		return 0;
	return code == -ENOENT ? err_set(err, -ENOENT, "there is no such name")
			       : err_set(err, -ENODATA, "it has no such records");
}
