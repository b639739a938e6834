/* SPDX-License-Identifier: Apache-2.0
 *
 * ICMP echoes and the answers to them, and how large one may be; see ping.h. RFC 792, RFC 1191 (the MTU in
 * "fragmentation needed"), RFC 4443.
 */
#include <netinet/icmp6.h>

#include <linux/icmp.h> /* after libc's own: musl */

#include "cli/ping.h"

#define IPV4_HEADER 20
#define IPV6_HEADER 40

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get16(p + i);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* A byte that differs from its neighbours and from packet to packet */
static uint8_t pattern(uint16_t seq, size_t i)
{
	return (uint8_t)((size_t)seq * 7 + i);
}

size_t ping_make(uint8_t family, uint16_t id, uint16_t seq, size_t payload, uint8_t *out)
{
	size_t len = PING_HEADER + payload;

	memset(out, 0, PING_HEADER);
	out[0] = family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	put16(out + 4, id);
	put16(out + 6, seq);
	for (size_t i = 0; i < payload; i++)
		out[PING_HEADER + i] = pattern(seq, i);
	if (family == AF_INET)
		put16(out + 2, checksum(out, len));
	return len;
}

static struct ping_answer reply_parse(const struct ip *to, uint16_t id, const uint8_t *icmp, size_t len)
{
	struct ping_answer a = {.kind = PING_REPLY, .seq = get16(icmp + 6)};

	if (get16(icmp + 4) != id)
		return (struct ping_answer){0};
	/* the kernel looks at that of ICMPv6 only */
	a.damaged = to->family == AF_INET && checksum(icmp, len) != 0;
	for (size_t i = PING_HEADER; i < len; i++)
		a.damaged = a.damaged || icmp[i] != pattern(a.seq, i - PING_HEADER);
	return a;
}

/* The packet inside an error: its header, and the first 8 bytes behind it */
static struct ping_answer error_parse(const struct ip *to, uint16_t id, enum ping_kind kind, const uint8_t *icmp,
				      size_t len)
{
	struct ping_answer a = {.kind = kind};
	const uint8_t *in = icmp + PING_HEADER;
	bool v4 = to->family == AF_INET;
	size_t left = len - PING_HEADER, header = v4 ? IPV4_HEADER : IPV6_HEADER;

	if (left < header + PING_HEADER || in[0] >> 4 != (v4 ? 4 : 6))
		return (struct ping_answer){0};
	if (v4)
		header = (size_t)(in[0] & 15) * 4;
	if (header < (v4 ? IPV4_HEADER : IPV6_HEADER) || left < header + PING_HEADER ||
	    in[v4 ? 9 : 6] != (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return (struct ping_answer){0};
	const uint8_t *echo = in + header;
	if (echo[0] != (v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST) || get16(echo + 4) != id)
		return (struct ping_answer){0};
	a.seq = get16(echo + 6);
	a.elsewhere = memcmp(in + (v4 ? 16 : 24), to->b, ip_size(to->family)) != 0;
	if (kind == PING_TOO_BIG)
		a.mtu = v4 ? get16(icmp + 6) : (uint32_t)get16(icmp + 4) << 16 | get16(icmp + 6);
	return a;
}

struct ping_answer ping_parse(const struct ip *to, uint16_t id, const uint8_t *data, size_t len)
{
	bool v4 = to->family == AF_INET;

	if (v4) {
		size_t header = len ? (size_t)(data[0] & 15) * 4 : 0;
		if (header < IPV4_HEADER || len < header)
			return (struct ping_answer){0};
		data += header;
		len -= header;
	}
	if (len < PING_HEADER)
		return (struct ping_answer){0};
	if (data[0] == (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
		return reply_parse(to, id, data, len);
	if (v4 ? data[0] == ICMP_DEST_UNREACH && data[1] == ICMP_FRAG_NEEDED : data[0] == ICMP6_PACKET_TOO_BIG)
		return error_parse(to, id, PING_TOO_BIG, data, len);
	if (data[0] == (v4 ? ICMP_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED))
		return error_parse(to, id, PING_EXPIRED, data, len);
	if (data[0] == (v4 ? ICMP_DEST_UNREACH : ICMP6_DST_UNREACH))
		return error_parse(to, id, PING_UNREACHABLE, data, len);
	return (struct ping_answer){0};
}

uint32_t ping_largest(const struct ip *ip)
{
	struct endpoint to = {.ip = *ip, .port = 9}; /* nothing is sent: connecting looks up the route */
	struct sockaddr_storage ss;
	socklen_t ss_len = endpoint_to_sockaddr(&to, &ss), len = sizeof(int);
	bool v4 = ip->family == AF_INET;
	int headers = (v4 ? IPV4_HEADER : IPV6_HEADER) + PING_HEADER, mtu = 0;
	autoclose int fd = socket(ip->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&ss, ss_len) < 0 ||
	    getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU : IPV6_MTU, &mtu, &len) < 0)
		return 0;
	return mtu > headers ? (uint32_t)(mtu - headers) : 0;
}
