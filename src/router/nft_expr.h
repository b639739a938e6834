/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules of nf_tables as netlink messages, for what nft's JSON has no words for: the expressions that we use. Registers
 * are those of 32 bits, NFT_REG32_00 and up; the old NFT_REG_1 is the first four of them. Pure.
 */
#ifndef ROUTER_NFT_EXPR_H
#define ROUTER_NFT_EXPR_H

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>

#include "base/base.h"

/**
 * nft_message() - Begin a message of @type (NFT_MSG_...): header, family, and attribute 1, the table's name
 * @bytes: zeroes: libmnl leaves what pads an attribute as it is, and fingerprints are made of it
 */
struct nlmsghdr *nft_message(void *bytes, int type, uint16_t flags, uint8_t family);
/** nft_message_end() - Append it to a transaction */
void nft_message_end(struct buf *out, const struct nlmsghdr *nlh);

void nft_put_be32(struct nlmsghdr *nlh, uint16_t type, uint32_t value);

/** nft_load() - @len bytes of the packet at @offset from @base (NFT_PAYLOAD_...). Of a shorter one the rule is not */
void nft_load(struct nlmsghdr *nlh, uint32_t base, uint32_t offset, size_t len, uint32_t reg);
/** nft_store() - The other way round. @checksum: offset of an Internet checksum that follows; -1: none */
void nft_store(struct nlmsghdr *nlh, uint32_t base, uint32_t offset, size_t len, uint32_t reg, int checksum);
/** nft_store_address() - The same of an address in the IP header, whose checksum and that of the datagram in it follow
 */
void nft_store_address(struct nlmsghdr *nlh, uint32_t offset, size_t len, uint32_t reg);
/** nft_meta() - NFT_META_... into a register; nft_meta_set() - and out of one */
void nft_meta(struct nlmsghdr *nlh, uint32_t key, uint32_t reg);
void nft_meta_set(struct nlmsghdr *nlh, uint32_t key, uint32_t reg);
/** nft_immediate() - A value into a register */
void nft_immediate(struct nlmsghdr *nlh, const void *value, size_t len, uint32_t reg);
/** nft_mask() - reg = reg & mask ^ value */
void nft_mask(struct nlmsghdr *nlh, const void *mask, const void *value, size_t len, uint32_t reg);
/** nft_is_equal() - Go on only if it is */
void nft_is_equal(struct nlmsghdr *nlh, const void *value, size_t len, uint32_t reg);
/** nft_is_other() - Go on only if it is not */
void nft_is_other(struct nlmsghdr *nlh, const void *value, size_t len, uint32_t reg);
/** nft_is_in() - Go on only if it is in the set; of a map, what stands beside it goes to @data_reg (0: a set) */
void nft_is_in(struct nlmsghdr *nlh, const char *set, uint32_t reg, uint32_t data_reg);
/** nft_remember() - Add to a set, or with @data_reg to a map, what is not in it */
void nft_remember(struct nlmsghdr *nlh, const char *set, uint32_t reg, uint32_t data_reg);
/** nft_forward() - Out of the device whose number is in the register (family netdev) */
void nft_forward(struct nlmsghdr *nlh, uint32_t reg);
/** nft_duplicate() - The same of a copy; the rule goes on */
void nft_duplicate(struct nlmsghdr *nlh, uint32_t reg);
/** nft_goto() - On in another chain, and not back */
void nft_goto(struct nlmsghdr *nlh, const char *chain);
/** nft_verdict() - NF_ACCEPT, NFT_RETURN... */
void nft_verdict(struct nlmsghdr *nlh, int code);

#endif
