/* SPDX-License-Identifier: Apache-2.0
 *
 * What BROKER_FORWARD makes of a request: the nft table "docker-router-multicast" (family netdev), which copies
 * datagrams to multicast groups from one interface to others, and hands on what is routed between a LAN and a network;
 * both in front of every firewall. Pure.
 */
#ifndef IO_FORWARD_RULE_H
#define IO_FORWARD_RULE_H

#include "base/base.h"

#define FORWARD_RULES_MAX 1024
#define FORWARD_LISTED	  64 /* addresses in one list */
#define FORWARD_BYTES_MAX ((size_t)256 * FORWARD_RULES_MAX)
#define FORWARD_TABLE	  "docker-router-multicast"

/**
 * forward_rule_make() - Lines, those of one IN together, to text for `nft -f -`
 *
 *	IN OUT GROUP [OPTION...]	what comes in on IN for the group is copied to OUT
 *	IN OUT PREFIX from=... [but=..]	what comes in on IN for the prefix is handed to who has that address on OUT
 *
 *	from=P,P,...	only from these addresses or prefixes
 *	not=A,A,...	not from these
 *	but=A,A,...	not to these: the host's own addresses
 *	ttl=N		copies (and what the host itself gets) leave with this TTL, 1 to 255
 *
 * IN and OUT are interface names of letters, digits, '_', '.' and '-'; GROUP is an address that can be routed, PREFIX
 *one of at least 8 bits (IPv4) or 16 (IPv6) that is no group's: nothing else comes into the text. Without any line the
 * table is removed.
 * Return: 0; -EINVAL, -E2BIG with @err
 */
int forward_rule_make(const char *text, size_t len, struct buf *ret, struct err *err) MUST_USE;

#endif
