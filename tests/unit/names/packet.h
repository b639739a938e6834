/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries made by hand, and replies read by the C library's own parser: what we build must be DNS to others.
 */
#ifndef TEST_NAMES_PACKET_H
#define TEST_NAMES_PACKET_H

#include <arpa/nameser.h>
#include <resolv.h>

#include "names/dns.h"

struct packet {
	uint8_t b[4096];
	size_t len;
};

static inline void packet_put16(struct packet *p, uint16_t v)
{
	p->b[p->len++] = (uint8_t)(v >> 8);
	p->b[p->len++] = (uint8_t)v;
}

static inline void packet_name(struct packet *p, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");

		p->b[p->len++] = (uint8_t)n;
		memcpy(p->b + p->len, name, n);
		p->len += n;
		name += n + (name[n] == '.');
	}
	p->b[p->len++] = 0;
}

/* @size: of EDNS, or 0: none */
static inline struct packet packet_query(const char *name, uint16_t type, uint16_t size)
{
	struct packet p = {.len = 0};

	packet_put16(&p, 0x1234);
	packet_put16(&p, 0x0100); /* recursion desired */
	packet_put16(&p, 1);
	packet_put16(&p, 0);
	packet_put16(&p, 0);
	packet_put16(&p, size ? 1 : 0);
	packet_name(&p, name);
	packet_put16(&p, type);
	packet_put16(&p, 1);
	if (size) {
		p.b[p.len++] = 0;
		packet_put16(&p, DNS_OPT);
		packet_put16(&p, size);
		packet_put16(&p, 0);
		packet_put16(&p, 0);
		packet_put16(&p, 0);
	}
	return p;
}

/* A reply as "RCODE name/type rdata ...; authority ...": what it says, in a line */
static inline const char *packet_text(const uint8_t *b, size_t len)
{
	static const struct {
		ns_sect section;
		const char *before;
	} sections[] = {{ns_s_an, " "}, {ns_s_ns, " ns:"}, {ns_s_ar, " +"}};
	static char text[16384];
	size_t at;
	ns_msg m;

	if (ns_initparse(b, (int)len, &m) < 0)
		return "broken";
	at = (size_t)snprintf(text, sizeof(text), "%d", (int)ns_msg_getflag(m, ns_f_rcode));
	for (size_t s = 0; s < ARRAY_LEN(sections); s++) {
		for (int i = 0; i < ns_msg_count(m, sections[s].section); i++) {
			char data[1100] = "?";
			ns_rr rr;

			if (ns_parserr(&m, sections[s].section, i, &rr) < 0)
				return "broken record";
			if (ns_rr_type(rr) == ns_t_a || ns_rr_type(rr) == ns_t_aaaa) {
				struct ip ip =
					ip_from_bytes(ns_rr_type(rr) == ns_t_a ? AF_INET : AF_INET6, ns_rr_rdata(rr));

				ip_format(&ip, data);
			} else if (ns_rr_type(rr) == ns_t_ptr || ns_rr_type(rr) == ns_t_soa) {
				if (dn_expand(b, b + len, ns_rr_rdata(rr), data, sizeof(data)) < 0)
					return "broken name";
			} else if (ns_rr_type(rr) == ns_t_opt) {
				snprintf(data, sizeof(data), "opt %u", (unsigned)ns_rr_class(rr));
			}
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", sections[s].before, data);
		}
	}
	return text;
}

#endif
