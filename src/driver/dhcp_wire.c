/* SPDX-License-Identifier: Apache-2.0
 *
 * DHCP messages in Ethernet frames. Offsets are those of RFC 2131 section 2; nothing is read that does not lie inside
 * the frame, and option overload is not followed: what stands in "sname" and "file" is for boot loaders.
 */
#include "driver/dhcp.h"

#define ETH	    14
#define IP_LEN	    20
#define UDP_LEN	    8
#define BOOTP	    236
#define COOKIE	    0x63825363u
#define BOOTP_LEAST 300 /* what old relays want */

enum option {
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_HOSTNAME = 12,
	OPT_WANT = 50,
	OPT_TIME = 51,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_LIST = 55,
	OPT_MAX_SIZE = 57,
	OPT_T1 = 58,
	OPT_T2 = 59,
	OPT_CLIENT_ID = 61,
	OPT_END = 255,
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

/* --- what we say --- */

static uint8_t *option(uint8_t *p, enum option o, const void *value, size_t len)
{
	p[0] = (uint8_t)o;
	p[1] = (uint8_t)len;
	memcpy(p + 2, value, len);
	return p + 2 + len;
}

static uint16_t checksum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get16(p + i);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static size_t bootp_build(const struct dhcp_ask *a, uint8_t *b)
{
	static const uint8_t list[] = {OPT_MASK, OPT_ROUTER, OPT_TIME, OPT_SERVER, OPT_T1, OPT_T2};
	static const uint8_t max_size[] = {1500 >> 8, 1500 & 0xff};
	uint8_t type = (uint8_t)a->type, id[7] = {1};
	uint8_t *p = b + BOOTP + 4;

	b[0] = 1; /* request */
	b[1] = 1; /* Ethernet */
	b[2] = 6;
	put32(b + 4, a->xid);
	put16(b + 8, a->secs);
	/* nobody answers at our address yet */
	if (ip_is_none(&a->ciaddr))
		put16(b + 10, 0x8000);
	memcpy(b + 12, a->ciaddr.b, 4);
	memcpy(b + 28, a->mac.b, 6);
	put32(b + BOOTP, COOKIE);
	p = option(p, OPT_TYPE, &type, 1);
	memcpy(id + 1, a->mac.b, 6);
	p = option(p, OPT_CLIENT_ID, id, sizeof(id));
	if (!ip_is_none(&a->want))
		p = option(p, OPT_WANT, a->want.b, 4);
	if (!ip_is_none(&a->server))
		p = option(p, OPT_SERVER, a->server.b, 4);
	if (a->type != DHCP_RELEASE) {
		if (a->hostname[0])
			p = option(p, OPT_HOSTNAME, a->hostname, strnlen(a->hostname, DHCP_HOSTNAME - 1));
		p = option(p, OPT_MAX_SIZE, max_size, sizeof(max_size));
		p = option(p, OPT_LIST, list, sizeof(list));
	}
	*p++ = OPT_END;
	return p - b < BOOTP_LEAST ? BOOTP_LEAST : (size_t)(p - b);
}

void dhcp_build(const struct dhcp_ask *a, struct dhcp_out *out)
{
	static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint8_t *eth = out->frame, *ip = eth + ETH, *udp = ip + IP_LEN, *bootp = udp + UDP_LEN;
	size_t len;

	memset(out->frame, 0, sizeof(out->frame));
	len = bootp_build(a, bootp) + UDP_LEN;
	memcpy(eth, a->to_mac ? a->to_mac->b : everybody, 6);
	memcpy(ip + 16, a->to_mac ? a->to.b : everybody, 4);
	memcpy(ip + 12, a->ciaddr.b, 4);
	memcpy(eth + 6, a->mac.b, 6);
	put16(eth + 12, 0x0800);
	put16(udp, 68);
	put16(udp + 2, 67);
	put16(udp + 4, (uint16_t)len);
	/* pseudo header: both addresses, protocol, length */
	uint32_t sum = 17 + (uint32_t)len;
	for (size_t i = 12; i < 20; i += 2)
		sum += get16(ip + i);
	put16(udp + 6, checksum(sum, udp, len));
	if (get16(udp + 6) == 0)
		put16(udp + 6, 0xffff);
	ip[0] = 0x45;
	put16(ip + 2, (uint16_t)(IP_LEN + len));
	ip[8] = 64;
	ip[9] = 17;
	put16(ip + 10, checksum(0, ip, IP_LEN));
	out->len = ETH + IP_LEN + len;
}

/* --- what servers say --- */

struct options {
	const uint8_t *of[256]; /* the first of its code, at its length; NULL */
};

/* -EBADMSG: one reaches over the end */
static int options_find(const uint8_t *p, size_t len, struct options *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < len;) {
		uint8_t code = p[i++];

		if (code == OPT_END)
			return 0;
		if (code == OPT_PAD)
			continue;
		if (i >= len || p[i] > len - i - 1)
			return -EBADMSG;
		if (!ret->of[code])
			ret->of[code] = p + i;
		i += 1u + p[i];
	}
	return 0; /* without an end: it ends with the message */
}

static bool option_u32(const struct options *o, enum option code, uint32_t *ret)
{
	const uint8_t *p = o->of[code];

	if (!p || p[0] < 4)
		return false;
	*ret = get32(p + 1);
	return true;
}

/* Return: the BOOTP message inside an Ethernet frame, and how long it is; NULL: it is something else */
static const uint8_t *bootp_find(const uint8_t *f, size_t len, size_t *ret_len)
{
	const uint8_t *ip = f + ETH, *udp;
	size_t head, total, n;

	if (len < ETH + IP_LEN || get16(f + 12) != 0x0800 || ip[0] >> 4 != 4)
		return NULL;
	head = (size_t)(ip[0] & 15) * 4;
	total = get16(ip + 2);
	/* no fragments; the checksum of UDP may not be there yet, when it comes from this machine */
	if (head < IP_LEN || total > len - ETH || total < head + UDP_LEN || ip[9] != 17 || get16(ip + 6) & 0x3fff)
		return NULL;
	udp = ip + head;
	n = get16(udp + 4);
	if (get16(udp) != 67 || get16(udp + 2) != 68 || n < UDP_LEN + BOOTP + 4 || n > total - head)
		return NULL;
	*ret_len = n - UDP_LEN;
	return udp + UDP_LEN;
}

static bool host_ok(uint32_t a)
{
	return a >> 24 != 0 && a >> 24 != 127 && a >> 28 < 14; /* neither 0/8, loopback, multicast nor reserved */
}

/* The prefix length of a mask with its ones in front. Return: 0: it is none */
static uint8_t mask_length(uint32_t mask)
{
	uint8_t n = 0;

	while (n < 32 && mask >> (31 - n) & 1)
		n++;
	return n && (n == 32 || mask << n == 0) ? n : 0;
}

static struct ip ip4(uint32_t a)
{
	uint8_t b[4];

	put32(b, a);
	return ip_from_bytes(AF_INET, b);
}

static int lease_parse(const struct options *o, uint32_t address, struct dhcp_lease *l, struct err *err)
{
	uint32_t mask = 0, server = 0, router = 0;
	char text[IP_STRLEN];

	l->address.ip = ip4(address);
	ip_format(&l->address.ip, text);
	if (!host_ok(address))
		return err_set(err, -EBADMSG, "the DHCP server offers %s, which no host can have", text);
	if (!option_u32(o, OPT_MASK, &mask) || !(l->address.len = mask_length(mask)))
		return err_set(err, -EBADMSG,
			       "the DHCP server offers %s with the mask %08x: allowed is one of 1 to 32 bits", text,
			       mask);
	if (l->address.len < 31 && ((address & ~mask) == 0 || (address | mask) == UINT32_MAX))
		return err_set(err, -EBADMSG, "the DHCP server offers %s/%u, the net itself or its broadcast", text,
			       l->address.len);
	if (!option_u32(o, OPT_SERVER, &server) || !host_ok(server))
		return err_set(err, -EBADMSG, "the DHCP server does not tell who it is (option 54)");
	l->server = ip4(server);
	if (!option_u32(o, OPT_TIME, &l->seconds) || l->seconds == 0)
		return err_set(err, -EBADMSG, "the DHCP server offers %s for no time", text);
	if (option_u32(o, OPT_ROUTER, &router) && host_ok(router) && (router & mask) == (address & mask) &&
	    router != address)
		l->gateway = ip4(router);
	if (!option_u32(o, OPT_T1, &l->t1) || l->t1 == 0 || l->t1 >= l->seconds)
		l->t1 = l->seconds / 2;
	if (!option_u32(o, OPT_T2, &l->t2) || l->t2 < l->t1 || l->t2 >= l->seconds)
		l->t2 = l->seconds - l->seconds / 8;
	if (l->t2 < l->t1)
		l->t1 = l->t2;
	return 0;
}

int dhcp_parse(const uint8_t *frame, size_t len, const struct mac *mac, uint32_t xid, struct dhcp_reply *ret,
	       struct err *err)
{
	struct dhcp_reply r = {0};
	struct options o;
	size_t n;
	const uint8_t *b = bootp_find(frame, len, &n);

	if (!b || b[0] != 2 || b[1] != 1 || b[2] != 6 || get32(b + 4) != xid || memcmp(b + 28, mac->b, 6) != 0 ||
	    get32(b + BOOTP) != COOKIE)
		return -EAGAIN;
	if (options_find(b + BOOTP + 4, n - BOOTP - 4, &o) < 0)
		return err_set(err, -EBADMSG, "a DHCP message whose options reach over its end");
	if (!o.of[OPT_TYPE] || o.of[OPT_TYPE][0] != 1)
		return -EAGAIN;
	switch (o.of[OPT_TYPE][1]) {
	case DHCP_NAK:
		r.type = DHCP_NAK;
		break;
	case DHCP_OFFER:
	case DHCP_ACK: {
		int rc = lease_parse(&o, get32(b + 16), &r.lease, err);

		if (rc < 0)
			return rc;
		r.type = (enum dhcp_type)o.of[OPT_TYPE][1];
		memcpy(r.lease.server_mac.b, frame + 6, 6);
		break;
	}
	default:
		return -EAGAIN;
	}
	*ret = r;
	return 0;
}
