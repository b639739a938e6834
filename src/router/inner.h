/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The packet inside an ICMP error
 *
 * An ICMP error quotes the packet that it is about. Where addresses are rewritten the quoted ones must be too, the
 *other way round, or the sender does not know its own packet again: no path MTU discovery, no traceroute, no "refused".
 *
 *	IPv4   ICMP header 8 | inner IPv4 header: checksum at 10, source at 12, destination at 16 | ...
 *	IPv6   ICMPv6 header 8: checksum at 2 | inner IPv6 header: source at 8, destination at 24 | ...
 *
 * The kernel's payload expression writes these bytes and sets one checksum right (net/netfilter/nft_payload.c), but nft
 * has no words for where that is, so these few rules are netlink messages. For IPv4 it is the inner header's: then the
 * sum over that header is what it was, and the ICMP checksum holds. For IPv6, whose header has none, it is that of
 * ICMPv6. The checksum of the TCP or UDP header inside is left: it may be cut off, nobody looks at it, and who put it
 * there may not have finished it.
 *
 * Pure. The messages follow the transaction that makes the table.
 */
#ifndef ROUTER_INNER_H
#define ROUTER_INNER_H

#include "base/addr.h"
#include "base/base.h"

/**
 * struct inner_rule - Where the inner source (or destination) is in @from, its prefix becomes @to
 * @chain: of our table; entered by ICMP errors of the family only
 * @set:   of our table: the other inner address must be in it; NULL: whatever it is
 */
struct inner_rule {
	const char *chain, *set;
	bool source;
	struct prefix from, to; /* same family and length, host bits cleared */
};

/** inner_encode() - Append the rule as one NFT_MSG_NEWRULE; number and ack are the sender's business */
void inner_encode(struct buf *out, const struct inner_rule *r);

#endif
