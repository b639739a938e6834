/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of the kernel -> our structs. Pure: no sockets, no allocation but the growth of an array that is handed in.
 * What does not parse is "nothing"; a length that lies is never followed. decode.c reads rtnetlink, decode_nft.c
 * nf_tables.
 */
#ifndef ROUTER_DECODE_H
#define ROUTER_DECODE_H

#include <linux/netlink.h>

#include "router/net.h"

enum decoded_kind { DECODED_NOTHING, DECODED_LINK, DECODED_ENTRY, DECODED_FOREIGN };

/**
 * struct decoded - One rtnetlink message
 * @removed: RTM_DEL..., or something that is no longer what we keep (a neighbour that is not permanent any more)
 * @ours:    it carries ROUTER_PROTOCOL. Addresses, FDB entries and links cannot: there the caller knows
 * @counts:  DECODED_FOREIGN: one that our subnets must not clash with; then @foreign is filled. @entry holds the key of
 *           any route of somebody else's: it may stand where ours stood
 * @ifindex: of the link itself, or of the device that the entry or foreign route stands on; 0: none. The caller turns
 *           it into entry.dev or foreign.dev
 * @master:  DECODED_LINK: ifindex of the bridge, or 0; the caller turns it into link.master
 */
struct decoded {
	enum decoded_kind kind;
	bool removed, ours;
	bool counts;
	int ifindex, master;
	struct entry entry;
	union {
		struct link link;
		struct foreign_route foreign;
	};
};

/**
 * decode_rt() - Decode one rtnetlink message
 *
 *   RTM_*LINK    every link
 *   RTM_*ADDR    every address
 *   RTM_*ROUTE   with our protocol: an entry. Else a foreign route, when it is unicast, no default and not of table
 * local RTM_*RULE    with our protocol and of our shape RTM_*NEIGH   permanent unicast neighbours with a MAC; every
 * other state counts as removed. AF_BRIDGE: FDB entries of the device itself with a destination
 */
void decode_rt(const struct nlmsghdr *nlh, struct decoded *ret);

/** enum nft_event - What a message of NFNLGRP_NFTABLES is about */
enum nft_event {
	NFT_EVENT_OTHER,
	NFT_EVENT_OURS,	      /* something in a table of ours */
	NFT_EVENT_GENERATION, /* the end of a transaction */
};
/** decode_nft_event() - @ret_gen: NFT_EVENT_GENERATION: number of the ruleset's generation; else untouched */
enum nft_event decode_nft_event(const struct nlmsghdr *nlh, uint32_t *ret_gen);

/** decode_nft_rule() - Count a rule of our table into @t, take the fingerprint when it is the one that bears it */
void decode_nft_rule(const struct nlmsghdr *nlh, struct nft_table *t);
/** decode_nft_set() - Add a named set of addresses of our table to @t, without elements; others are passed over */
void decode_nft_set(const struct nlmsghdr *nlh, struct nft_table *t);

/** struct nft_points - Elements as the kernel tells them: single keys, and where intervals start and end */
struct nft_points {
	struct nft_point {
		uint8_t key[16];
		bool end;
	} * v;
	size_t n, cap;
};
/** decode_nft_elements() - Append the elements of one message. @key_size: 4 or 16. Return: false: more than we ever
 * made */
bool decode_nft_elements(const struct nlmsghdr *nlh, size_t key_size, struct nft_points *ret);
/**
 * nft_set_fill() - Make the sorted prefixes of @s from @points (sorted in place)
 * Return: false when an interval is no prefix: nobody but a stranger makes those
 */
bool nft_set_fill(struct nft_set *s, struct nft_points *points);

/*
 * Attributes, checked: for both files
 */
#define ATTRS_MAX 80
struct attrs {
	const struct nlattr *v[ATTRS_MAX]; /* by type; the last of a type counts, as in the kernel */
};
/** attrs_parse() - Index the attributes in @len bytes at @data; stops at the first that does not fit */
void attrs_parse(struct attrs *a, const void *data, size_t len);
/** attrs_message(), attrs_nested() - Those of a message behind its header of @header bytes, those inside an attribute
 */
bool attrs_message(struct attrs *a, const struct nlmsghdr *nlh, size_t header);
bool attrs_nested(struct attrs *a, const struct nlattr *in);
/** attr_data() - Payload of at least @min bytes, or NULL (also when @a is NULL) */
const void *attr_data(const struct nlattr *a, size_t min);
size_t attr_size(const struct nlattr *a);
uint32_t attr_u32(const struct nlattr *a, uint32_t otherwise);
uint32_t attr_be32(const struct nlattr *a, uint32_t otherwise);
uint16_t attr_be16(const struct nlattr *a, uint16_t otherwise);
uint8_t attr_u8(const struct nlattr *a, uint8_t otherwise);
/** attr_str() - Copy a string, NUL or not; false when missing or too long (then @ret is "") */
bool attr_str(const struct nlattr *a, char *ret, size_t size);

#endif
