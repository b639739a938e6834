/* SPDX-License-Identifier: Apache-2.0
 *
 * ICMP echoes as `ping` makes them and the answers to them, of both families. Pure: what comes from the network passes
 * ping_parse().
 */
#ifndef CLI_PING_H
#define CLI_PING_H

#include "base/addr.h"

#define PING_HEADER    8	      /* of ICMP */
#define PING_BYTES_MAX (65536 + 1024) /* of a packet, headers included */

enum ping_kind {
	PING_NOTHING, /* not ours */
	PING_REPLY,
	PING_EXPIRED,	  /* the hop limit ended there */
	PING_UNREACHABLE, /* the one who says so knows no way, or does not let it pass */
	PING_TOO_BIG,
	PING_KIND_N_
};

struct ping_answer {
	enum ping_kind kind;
	uint16_t seq;
	uint32_t mtu;	/* PING_TOO_BIG: what would pass, 0: not told */
	bool damaged;	/* a reply whose checksum is wrong, or that does not hold what was sent */
	bool elsewhere; /* an error about an echo to another address: somebody on the way did not turn it back */
};

/** ping_make() - An echo request with @payload bytes into @out. Return: its length; the IPv6 checksum is the kernel's
 */
size_t ping_make(uint8_t family, uint16_t id, uint16_t seq, size_t payload, uint8_t *out);
/**
 * ping_parse() - What arrived on a raw ICMP socket
 * @data: with the IP header (IPv4) or without it (IPv6), as these sockets give it
 * @id, @to: of our echoes
 */
struct ping_answer ping_parse(const struct ip *to, uint16_t id, const uint8_t *data, size_t len);

/** ping_largest() - The largest payload that leaves for @ip by the interface; 0: unknown */
uint32_t ping_largest(const struct ip *ip);

#endif
