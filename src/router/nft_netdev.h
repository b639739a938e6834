/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole table of the family netdev as one transaction of netlink messages: removed if it is there, made, and its last
 * rule bears the fingerprint of all before it, as decode_nft.c reads it. Pure.
 */
#ifndef ROUTER_NFT_NETDEV_H
#define ROUTER_NFT_NETDEV_H

#include "router/net.h"
#include "router/nft_expr.h"

#define NFT_NETDEV_RULE_BYTES 4096

enum nft_netdev_hook { NFT_NETDEV_INGRESS = 0, NFT_NETDEV_EGRESS = 1 /* needs Linux 5.16 */ };

struct nft_netdev {
	struct nft_table *t; /* borrowed */
	int priority;	     /* of chains of devices */
	size_t n;	     /* rules */
};

/** struct nft_netdev_rule - On the stack between begin and end */
struct nft_netdev_rule {
	_Alignas(struct nlmsghdr) char bytes[NFT_NETDEV_RULE_BYTES];
	struct nlmsghdr *nlh;
	struct nlattr *list;
};

/** nft_netdev_begin() - The table, empty, into t->raw. nft_netdev_end() - all else of @t follows from that */
void nft_netdev_begin(struct nft_netdev *b, struct nft_table *t, int priority);
void nft_netdev_end(struct nft_netdev *b);
/** nft_netdev_chain() - @n_devices 0: one that rules go to */
void nft_netdev_chain(struct nft_netdev *b, const char *name, enum nft_netdev_hook hook, const char (*devices)[16],
		      size_t n_devices);
/** nft_netdev_rule() - Begin one; expressions are put into what it returns */
struct nlmsghdr *nft_netdev_rule(struct nft_netdev_rule *rule, const char *chain);
void nft_netdev_rule_end(struct nft_netdev *b, struct nft_netdev_rule *rule);
/** nft_netdev_remove() - The transaction that takes the table away */
void nft_netdev_remove(struct buf *out);

#endif
