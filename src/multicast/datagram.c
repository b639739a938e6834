/* SPDX-License-Identifier: Apache-2.0
 *
 * IP and UDP headers, read and written; see datagram.h.
 */
#include "multicast/datagram.h"

#define IP4_HEAD 20
#define IP6_HEAD 40
#define UDP_HEAD 8

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t sum_add(uint32_t sum, const uint8_t *p, size_t len)
{
	for (; len > 1; p += 2, len -= 2)
		sum += get16(p);
	if (len)
		sum += (uint32_t)p[0] << 8;
	return (sum & 0xffff) + (sum >> 16); /* at most 65535 bytes a call: no overflow */
}

static uint16_t sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Of the pseudo header; UDP's own and the data come on top */
static uint32_t sum_pseudo(const struct ip *src, const struct ip *dst, size_t udp_len)
{
	uint32_t sum = sum_add(0, src->b, ip_size(src->family));

	sum += sum_add(0, dst->b, ip_size(dst->family));
	return sum + IPPROTO_UDP + (uint32_t)udp_len;
}

const char *datagram_parse(const uint8_t *packet, size_t len, bool check, struct mc_packet *ret)
{
	struct mc_packet p = *ret;
	size_t head, total, udp_len;
	const uint8_t *udp;

	if (len < IP4_HEAD)
		return "no IP packet";
	if (packet[0] >> 4 == 4) {
		head = (size_t)(packet[0] & 0x0f) * 4;
		total = get16(packet + 2);
		if (head < IP4_HEAD || packet[9] != IPPROTO_UDP || get16(packet + 6) & 0x3fff)
			return "no whole UDP datagram";
		p.ttl = packet[8];
		p.src.ip = ip_from_bytes(AF_INET, packet + 12);
		p.dst.ip = ip_from_bytes(AF_INET, packet + 16);
	} else if (packet[0] >> 4 == 6 && len >= IP6_HEAD) {
		head = IP6_HEAD;
		total = IP6_HEAD + (size_t)get16(packet + 4);
		if (packet[6] != IPPROTO_UDP)
			return "no whole UDP datagram";
		p.ttl = packet[7];
		p.src.ip = ip_from_bytes(AF_INET6, packet + 8);
		p.dst.ip = ip_from_bytes(AF_INET6, packet + 24);
	} else {
		return "no IP packet";
	}
	if (total > len || total < head + UDP_HEAD)
		return "wrong length";
	udp = packet + head;
	udp_len = get16(udp + 4);
	if (udp_len < UDP_HEAD || udp_len > total - head)
		return "wrong length";
	if (udp_len - UDP_HEAD > MC_DATA)
		return "too long";
	/* 0: the sender made none, which only IPv4 permits */
	if (check && (get16(udp + 6) || p.src.ip.family == AF_INET6) &&
	    sum_fold(sum_pseudo(&p.src.ip, &p.dst.ip, udp_len) + sum_add(0, udp, udp_len)) != 0)
		return "wrong checksum";
	p.src.port = get16(udp);
	p.dst.port = get16(udp + 2);
	p.src.scope = p.dst.scope = 0;
	p.data = udp + UDP_HEAD;
	p.len = udp_len - UDP_HEAD;
	*ret = p;
	return NULL;
}

size_t datagram_head(const struct endpoint *src, const struct endpoint *dst, uint8_t ttl, const uint8_t *data,
		     size_t len, uint8_t out[static DATAGRAM_HEAD])
{
	bool v4 = dst->ip.family == AF_INET;
	size_t head = v4 ? IP4_HEAD : IP6_HEAD, udp_len = UDP_HEAD + len;
	uint8_t *udp = out + head;
	uint16_t sum;

	memset(out, 0, DATAGRAM_HEAD);
	if (v4) {
		out[0] = 0x45;
		put16(out + 2, IP4_HEAD + udp_len);
		out[8] = ttl;
		out[9] = IPPROTO_UDP;
		memcpy(out + 12, src->ip.b, 4);
		memcpy(out + 16, dst->ip.b, 4); /* the kernel fills in number and checksum */
	} else {
		out[0] = 0x60;
		put16(out + 4, udp_len);
		out[6] = IPPROTO_UDP;
		out[7] = ttl;
		memcpy(out + 8, src->ip.b, 16);
		memcpy(out + 24, dst->ip.b, 16);
	}
	put16(udp, src->port);
	put16(udp + 2, dst->port);
	put16(udp + 4, udp_len);
	sum = sum_fold(sum_pseudo(&src->ip, &dst->ip, udp_len) + sum_add(0, udp, UDP_HEAD) + sum_add(0, data, len));
	put16(udp + 6, sum ? sum : 0xffff);
	return head + UDP_HEAD;
}
