/* SPDX-License-Identifier: Apache-2.0
 *
 * A DHCP server's words, byte by byte, for the tests of the client.
 */
#ifndef TEST_DRIVER_SERVER_H
#define TEST_DRIVER_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "driver/dhcp.h"

#define FRAME_OPTIONS 282 /* where options begin: Ethernet 14, IP 20, UDP 8, BOOTP 236, cookie 4 */

static const struct mac client_mac = {{2, 1, 2, 3, 4, 5}}, server_mac = {{2, 0xaa, 0, 0, 0, 1}};

struct frame {
	uint8_t b[1024];
	size_t len;
};

static inline void frame_put16(struct frame *f, size_t at, size_t v)
{
	f->b[at] = (uint8_t)(v >> 8);
	f->b[at + 1] = (uint8_t)v;
}

/* Lengths of IP and UDP for what was put in */
static inline void frame_close(struct frame *f)
{
	frame_put16(f, 14 + 2, f->len - 14);
	frame_put16(f, 34 + 4, f->len - 34);
}

static inline void frame_option(struct frame *f, uint8_t code, const void *value, size_t len)
{
	f->b[f->len++] = code;
	f->b[f->len++] = (uint8_t)len;
	memcpy(f->b + f->len, value, len);
	f->len += len;
	frame_close(f);
}

static inline void frame_ip(struct frame *f, uint8_t code, const char *address)
{
	struct ip ip;

	assert_int_equal(ip_parse(address, &ip), 0);
	frame_option(f, code, ip.b, 4);
}

static inline void frame_seconds(struct frame *f, uint8_t code, uint32_t s)
{
	uint8_t v[4] = {(uint8_t)(s >> 24), (uint8_t)(s >> 16), (uint8_t)(s >> 8), (uint8_t)s};

	frame_option(f, code, v, 4);
}

/* A reply without options but its type */
static inline struct frame frame_bare(uint8_t type, uint32_t xid, const char *address)
{
	struct frame f = {.len = FRAME_OPTIONS};
	uint8_t *bootp = f.b + 42;
	struct ip ip;

	memset(f.b, 0xff, 6);
	memcpy(f.b + 6, server_mac.b, 6);
	frame_put16(&f, 12, 0x0800);
	f.b[14] = 0x45;
	f.b[14 + 9] = 17;
	frame_put16(&f, 34, 67);
	frame_put16(&f, 36, 68);
	bootp[0] = 2;
	bootp[1] = 1;
	bootp[2] = 6;
	frame_put16(&f, 42 + 4, xid >> 16);
	frame_put16(&f, 42 + 6, xid & 0xffff);
	if (address) {
		assert_int_equal(ip_parse(address, &ip), 0);
		memcpy(bootp + 16, ip.b, 4);
	}
	memcpy(bootp + 28, client_mac.b, 6);
	memcpy(bootp + 236, (const uint8_t[]){0x63, 0x82, 0x53, 0x63}, 4);
	frame_option(&f, 53, &type, 1);
	return f;
}

/* What a sound server says: /24, for @seconds, by 192.0.2.1 */
static inline struct frame frame_reply(uint8_t type, uint32_t xid, const char *address, uint32_t seconds)
{
	struct frame f = frame_bare(type, xid, address);

	frame_ip(&f, 54, "192.0.2.1");
	if (type == DHCP_NAK)
		return f;
	frame_seconds(&f, 51, seconds);
	frame_ip(&f, 1, "255.255.255.0");
	frame_ip(&f, 3, "192.0.2.1");
	return f;
}

/* What the client said: an option's value, NULL: it is not there */
static inline const uint8_t *out_option(const struct dhcp_out *out, uint8_t code, size_t *ret_len)
{
	for (size_t i = FRAME_OPTIONS; i < out->len && out->frame[i] != 255;) {
		if (!out->frame[i]) {
			i++;
			continue;
		}
		if (out->frame[i] == code) {
			*ret_len = out->frame[i + 1];
			return out->frame + i + 2;
		}
		i += 2u + out->frame[i + 1];
	}
	return NULL;
}

static inline int out_type(const struct dhcp_out *out)
{
	size_t n;
	const uint8_t *p = out->len ? out_option(out, 53, &n) : NULL;

	return p ? p[0] : 0;
}

#endif
