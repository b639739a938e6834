/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries in, answers out. A cursor that cannot leave its buffer does all the writing; a reply is cut at record ends.
 */
#include "names/dns.h"

#define FLAG_RESPONSE	   0x8000
#define FLAG_AUTHORITATIVE 0x0400
#define FLAG_TRUNCATED	   0x0200
#define FLAG_RD		   0x0100
#define FLAG_RA		   0x0080
#define FLAG_CD		   0x0010
#define OPCODE_MASK	   0x7800

#define CLASS_IN	  1
#define SIZE_WITHOUT_EDNS 512
#define LABEL_MAX	  63
#define NAME_WIRE_MAX	  255
#define OPT_BYTES	  11
#define QUESTION_POINTER  0xc000 /* plus the offset: the question's name is always right behind the header */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void set16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* --- in --- */

/*
 * The question's name as text. A name with a byte that text cannot show (a dot in a label, a NUL) is none of ours.
 * Return: offset behind it, or 0: broken, compressed, or not as text
 */
static size_t name_read(const uint8_t *in, size_t len, size_t at, char ret[static DNS_NAME_BYTES])
{
	size_t n = 0, begin = at;

	while (at < len && in[at]) {
		size_t label = in[at++];

		if (label > LABEL_MAX || label >= len - at || at - begin + label + 1 > NAME_WIRE_MAX)
			return 0;
		if (n)
			ret[n++] = '.';
		for (; label; label--, at++) {
			char c = (char)in[at];

			if (c <= ' ' || c == '.' || c == '\\' || c > '~')
				return 0;
			ret[n++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
		}
	}
	ret[n] = '\0';
	return at < len ? at + 1 : 0;
}

/* The one record that a query may have behind its question: OPT, of the root */
static int opt_read(const uint8_t *in, size_t len, size_t at, struct dns_query *q)
{
	uint16_t size, data;

	if (len - at < OPT_BYTES || in[at] != 0 || get16(in + at + 1) != DNS_OPT || in[at + 6] != 0)
		return -EINVAL; /* or a version of EDNS that we do not know */
	size = get16(in + at + 3);
	data = get16(in + at + 9);
	if (len - at - OPT_BYTES != data)
		return -EINVAL;
	q->edns = true;
	q->size = size < SIZE_WITHOUT_EDNS ? SIZE_WITHOUT_EDNS : size > DNS_REPLY_BYTES ? DNS_REPLY_BYTES : size;
	return 0;
}

int dns_query_parse(const uint8_t *in, size_t len, struct dns_query *ret)
{
	size_t at;

	ret->edns = false;
	ret->size = SIZE_WITHOUT_EDNS;
	if (len < DNS_HEADER_BYTES)
		return -EBADMSG;
	ret->id = get16(in);
	ret->flags = get16(in + 2);
	if (ret->flags & FLAG_RESPONSE)
		return -EBADMSG;
	if (ret->flags & (OPCODE_MASK | FLAG_TRUNCATED) || get16(in + 4) != 1 || get16(in + 6) != 0 ||
	    get16(in + 8) != 0 || get16(in + 10) > 1)
		return -EINVAL;
	at = name_read(in, len, DNS_HEADER_BYTES, ret->name);
	if (!at || len - at < 4 || get16(in + at + 2) != CLASS_IN)
		return -EINVAL;
	ret->type = get16(in + at);
	ret->question_end = at + 4;
	if (get16(in + 10) == 1)
		return opt_read(in, len, ret->question_end, ret);
	return len == ret->question_end ? 0 : -EINVAL;
}

uint64_t dns_question_hash(const uint8_t *in, size_t len)
{
	uint8_t text[NAME_WIRE_MAX + 4];
	size_t at = DNS_HEADER_BYTES, n;

	if (len < DNS_HEADER_BYTES || get16(in + 4) == 0)
		return 0;
	while (at < len && in[at] && in[at] <= LABEL_MAX)
		at += in[at] + 1u;
	n = at + 5 - DNS_HEADER_BYTES; /* the root, type and class */
	if (at >= len || in[at] || len - at < 5 || n > sizeof(text))
		return 0;
	/* bytes of lengths and types may change as well: the same ones in both */
	for (size_t i = 0; i < n; i++) {
		uint8_t c = in[DNS_HEADER_BYTES + i];

		text[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
	}
	return hash64(text, n, 0);
}

/* The decimal number of a label that begins at @s and ends in a dot, without leading zero. Return: behind the dot */
static const char *octet_read(const char *s, uint8_t *ret)
{
	unsigned n = 0;
	size_t digits = 0;

	for (; *s >= '0' && *s <= '9' && digits < 3; s++, digits++)
		n = n * 10 + (unsigned)(*s - '0');
	if (!digits || *s != '.' || n > 255 || (digits > 1 && s[-(ptrdiff_t)digits] == '0'))
		return NULL;
	*ret = (uint8_t)n;
	return s + 1;
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int reverse_parse4(const char *s, struct ip *ret)
{
	uint8_t b[4];

	for (size_t i = 4; i-- > 0;) {
		s = octet_read(s, &b[i]);
		if (!s)
			return -EINVAL;
	}
	if (!str_eq(s, "in-addr.arpa"))
		return -EINVAL;
	*ret = ip_from_bytes(AF_INET, b);
	return 0;
}

int dns_reverse_parse(const char *name, struct ip *ret)
{
	const char *s = name;
	uint8_t b[16] = {0};

	if (reverse_parse4(name, ret) == 0)
		return 0;
	for (size_t i = 0; i < 32; i++, s += 2) {
		int n = nibble(s[0]);

		if (n < 0 || s[1] != '.')
			return -EINVAL;
		if (i % 2)
			b[15 - i / 2] = (uint8_t)(b[15 - i / 2] | n << 4);
		else
			b[15 - i / 2] = (uint8_t)n;
	}
	if (!str_eq(s, "ip6.arpa"))
		return -EINVAL;
	*ret = ip_from_bytes(AF_INET6, b);
	return 0;
}

/* --- out --- */

struct out {
	uint8_t *p;
	size_t len, max;
	bool full; /* something did not fit: the record that it was part of is taken back */
};

static void put(struct out *o, const void *data, size_t len)
{
	if (o->full || len > o->max - o->len) {
		o->full = true;
		return;
	}
	memcpy(o->p + o->len, data, len);
	o->len += len;
}

static void put16(struct out *o, uint16_t v)
{
	uint8_t b[2];

	set16(b, v);
	put(o, b, sizeof(b));
}

static void put32(struct out *o, uint32_t v)
{
	put16(o, (uint16_t)(v >> 16));
	put16(o, (uint16_t)v);
}

/* "a.b" as labels, with the root behind them */
static void put_name(struct out *o, const char *name)
{
	size_t begin = o->len;

	while (*name) {
		size_t n = strcspn(name, ".");
		uint8_t len = (uint8_t)n;

		if (!n || n > LABEL_MAX) {
			o->full = true;
			return;
		}
		put(o, &len, 1);
		put(o, name, n);
		name += n;
		if (*name == '.')
			name++;
	}
	put(o, "", 1);
	if (o->len - begin > NAME_WIRE_MAX)
		o->full = true;
}

static void put_head(struct out *o, uint16_t pointer, enum dns_type type, uint32_t ttl_s)
{
	put16(o, pointer);
	put16(o, (uint16_t)type);
	put16(o, CLASS_IN);
	put32(o, ttl_s);
}

/* End what was begun at @begin: keep it, or take it back. Return: was it kept? */
static bool keep(struct out *o, size_t begin)
{
	bool kept = !o->full;

	if (!kept)
		o->len = begin;
	o->full = false;
	return kept;
}

static bool put_address(struct out *o, const struct ip *ip)
{
	size_t begin = o->len, size = ip_size(ip->family);

	put_head(o, QUESTION_POINTER | DNS_HEADER_BYTES, ip->family == AF_INET ? DNS_A : DNS_AAAA, DNS_TTL_S);
	put16(o, (uint16_t)size);
	put(o, ip->b, size);
	return keep(o, begin);
}

static bool put_ptr(struct out *o, const char *target)
{
	size_t begin = o->len, at;

	put_head(o, QUESTION_POINTER | DNS_HEADER_BYTES, DNS_PTR, DNS_TTL_S);
	at = o->len;
	put16(o, 0);
	put_name(o, target);
	if (!o->full)
		set16(o->p + at, (uint16_t)(o->len - at - 2));
	return keep(o, begin);
}

/* Of @zone, which is written where the question does not end in it, as is for the zone's own reverse names */
static bool put_soa(struct out *o, const char *zone)
{
	size_t begin = o->len, at;

	put_name(o, zone);
	put16(o, DNS_SOA);
	put16(o, CLASS_IN);
	put32(o, DNS_NEGATIVE_S);
	at = o->len;
	put16(o, 0);
	put16(o, (uint16_t)(QUESTION_POINTER | begin)); /* primary server: it has no better name */
	put(o, "\x0ahostmaster", 11);
	put16(o, (uint16_t)(QUESTION_POINTER | begin));
	put32(o, 1);		  /* serial */
	put32(o, 3600);		  /* refresh */
	put32(o, 600);		  /* retry */
	put32(o, 86400);	  /* expire */
	put32(o, DNS_NEGATIVE_S); /* how long a name is not there */
	if (!o->full)
		set16(o->p + at, (uint16_t)(o->len - at - 2));
	return keep(o, begin);
}

static void put_opt(struct out *o)
{
	put(o, "", 1);
	put16(o, DNS_OPT);
	put16(o, DNS_REPLY_BYTES);
	put32(o, 0);
	put16(o, 0);
}

size_t dns_answer_build(const uint8_t *in, const struct dns_query *q, const struct dns_answer *a,
			uint8_t out[static DNS_REPLY_BYTES])
{
	struct out o = {.p = out, .max = q->size - (q->edns ? OPT_BYTES : 0)};
	uint16_t answers = 0, authority = 0;
	bool more = true;

	put(&o, in, q->question_end); /* its case as it came: some clients check that */
	for (size_t i = 0; i < a->n_addresses && more; i++) {
		more = put_address(&o, &a->addresses[(a->first + i) % a->n_addresses]);
		answers += more;
	}
	if (a->target)
		answers = (uint16_t)(answers + put_ptr(&o, a->target));
	if (a->soa && a->zone)
		answers = (uint16_t)(answers + put_soa(&o, a->zone));
	else if (a->zone)
		authority = put_soa(&o, a->zone);
	o.max = q->size;
	if (q->edns)
		put_opt(&o);
	set16(out + 2,
	      (uint16_t)(FLAG_RESPONSE | FLAG_AUTHORITATIVE | FLAG_RA | (q->flags & (FLAG_RD | FLAG_CD)) | a->rcode));
	set16(out + 4, 1);
	set16(out + 6, answers);
	set16(out + 8, authority);
	set16(out + 10, q->edns);
	return o.len;
}

size_t dns_error_build(const uint8_t *in, enum dns_rcode rcode, uint8_t out[static DNS_HEADER_BYTES])
{
	uint16_t flags = get16(in + 2);

	memset(out, 0, DNS_HEADER_BYTES);
	memcpy(out, in, 2);
	set16(out + 2, (uint16_t)(FLAG_RESPONSE | (flags & (OPCODE_MASK | FLAG_RD)) | rcode));
	return DNS_HEADER_BYTES;
}
