/* SPDX-License-Identifier: Apache-2.0
 *
 * What BROKER_FORWARD makes of a request: the nft table "docker-router-multicast" (family netdev), which copies
 * datagrams to multicast groups from one interface to others, in front of every firewall. Pure.
 */
#ifndef IO_FORWARD_RULE_H
#define IO_FORWARD_RULE_H

#include "base/base.h"

#define FORWARD_RULES_MAX 1024
#define FORWARD_BYTES_MAX ((size_t)64 * FORWARD_RULES_MAX)
#define FORWARD_TABLE	  "docker-router-multicast"

/**
 * forward_rule_make() - Lines "IN OUT GROUP\n", those of one IN together, to text for `nft -f -`
 *
 * IN and OUT are interface names of letters, digits, '_', '.' and '-'; GROUP is an address that can be routed: nothing
 * else comes into the text. Without any line the table is removed.
 * Return: 0; -EINVAL, -E2BIG with @err
 */
int forward_rule_make(const char *text, size_t len, struct buf *ret, struct err *err) MUST_USE;

#endif
