/* SPDX-License-Identifier: Apache-2.0
 *
 * Encodes expressions of nf_tables; see nft_expr.h.
 */
#include "router/nft_expr.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

#include "router/net.h"

struct nlmsghdr *nft_message(void *bytes, int type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(bytes);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = (uint16_t)((NFNL_SUBSYS_NFTABLES << 8) | type);
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, ROUTER_NFT_TABLE); /* attribute 1 of every object, see decode_nft.c */
	return nlh;
}

void nft_message_end(struct buf *out, const struct nlmsghdr *nlh)
{
	buf_append(out, nlh, NLMSG_ALIGN(nlh->nlmsg_len));
}

void nft_put_be32(struct nlmsghdr *nlh, uint16_t type, uint32_t value)
{
	mnl_attr_put_u32(nlh, type, htonl(value));
}

static void put_data(struct nlmsghdr *nlh, uint16_t type, const void *data, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, type);

	mnl_attr_put(nlh, NFTA_DATA_VALUE, len, data);
	mnl_attr_nest_end(nlh, nest);
}

/* An expression's beginning; its end is two nests closed. */
struct expr {
	struct nlattr *elem, *data;
};

static struct expr expr_begin(struct nlmsghdr *nlh, const char *name)
{
	struct expr e = {.elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM)};

	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, name);
	e.data = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
	return e;
}

static void expr_end(struct nlmsghdr *nlh, struct expr e)
{
	mnl_attr_nest_end(nlh, e.data);
	mnl_attr_nest_end(nlh, e.elem);
}

void nft_load(struct nlmsghdr *nlh, uint32_t base, uint32_t offset, size_t len, uint32_t reg)
{
	struct expr e = expr_begin(nlh, "payload");

	nft_put_be32(nlh, NFTA_PAYLOAD_DREG, reg);
	nft_put_be32(nlh, NFTA_PAYLOAD_BASE, base);
	nft_put_be32(nlh, NFTA_PAYLOAD_OFFSET, offset);
	nft_put_be32(nlh, NFTA_PAYLOAD_LEN, (uint32_t)len);
	expr_end(nlh, e);
}

void nft_store(struct nlmsghdr *nlh, uint32_t base, uint32_t offset, size_t len, uint32_t reg, int checksum)
{
	struct expr e = expr_begin(nlh, "payload");

	nft_put_be32(nlh, NFTA_PAYLOAD_SREG, reg);
	nft_put_be32(nlh, NFTA_PAYLOAD_BASE, base);
	nft_put_be32(nlh, NFTA_PAYLOAD_OFFSET, offset);
	nft_put_be32(nlh, NFTA_PAYLOAD_LEN, (uint32_t)len);
	if (checksum >= 0) {
		nft_put_be32(nlh, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
		nft_put_be32(nlh, NFTA_PAYLOAD_CSUM_OFFSET, (uint32_t)checksum);
	}
	expr_end(nlh, e);
}

void nft_store_address(struct nlmsghdr *nlh, uint32_t offset, size_t len, uint32_t reg)
{
	struct expr e = expr_begin(nlh, "payload");

	nft_put_be32(nlh, NFTA_PAYLOAD_SREG, reg);
	nft_put_be32(nlh, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	nft_put_be32(nlh, NFTA_PAYLOAD_OFFSET, offset);
	nft_put_be32(nlh, NFTA_PAYLOAD_LEN, (uint32_t)len);
	/* IPv6 has no checksum of its own */
	nft_put_be32(nlh, NFTA_PAYLOAD_CSUM_TYPE, len == 4 ? NFT_PAYLOAD_CSUM_INET : NFT_PAYLOAD_CSUM_NONE);
	nft_put_be32(nlh, NFTA_PAYLOAD_CSUM_OFFSET, len == 4 ? 10 : 0);
	nft_put_be32(nlh, NFTA_PAYLOAD_CSUM_FLAGS, NFT_PAYLOAD_L4CSUM_PSEUDOHDR);
	expr_end(nlh, e);
}

void nft_meta(struct nlmsghdr *nlh, uint32_t key, uint32_t reg)
{
	struct expr e = expr_begin(nlh, "meta");

	nft_put_be32(nlh, NFTA_META_KEY, key);
	nft_put_be32(nlh, NFTA_META_DREG, reg);
	expr_end(nlh, e);
}

void nft_meta_set(struct nlmsghdr *nlh, uint32_t key, uint32_t reg)
{
	struct expr e = expr_begin(nlh, "meta");

	nft_put_be32(nlh, NFTA_META_KEY, key);
	nft_put_be32(nlh, NFTA_META_SREG, reg);
	expr_end(nlh, e);
}

void nft_immediate(struct nlmsghdr *nlh, const void *value, size_t len, uint32_t reg)
{
	struct expr e = expr_begin(nlh, "immediate");

	nft_put_be32(nlh, NFTA_IMMEDIATE_DREG, reg);
	put_data(nlh, NFTA_IMMEDIATE_DATA, value, len);
	expr_end(nlh, e);
}

static void put_verdict(struct nlmsghdr *nlh, int code, const char *chain)
{
	struct expr e = expr_begin(nlh, "immediate");

	nft_put_be32(nlh, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	struct nlattr *data = mnl_attr_nest_start(nlh, NFTA_IMMEDIATE_DATA);
	struct nlattr *verdict = mnl_attr_nest_start(nlh, NFTA_DATA_VERDICT);
	nft_put_be32(nlh, NFTA_VERDICT_CODE, (uint32_t)code);
	if (chain)
		mnl_attr_put_strz(nlh, NFTA_VERDICT_CHAIN, chain);
	mnl_attr_nest_end(nlh, verdict);
	mnl_attr_nest_end(nlh, data);
	expr_end(nlh, e);
}

void nft_verdict(struct nlmsghdr *nlh, int code)
{
	put_verdict(nlh, code, NULL);
}

void nft_goto(struct nlmsghdr *nlh, const char *chain)
{
	put_verdict(nlh, NFT_GOTO, chain);
}

void nft_mask(struct nlmsghdr *nlh, const void *mask, const void *value, size_t len, uint32_t reg)
{
	struct expr e = expr_begin(nlh, "bitwise");

	nft_put_be32(nlh, NFTA_BITWISE_SREG, reg);
	nft_put_be32(nlh, NFTA_BITWISE_DREG, reg);
	nft_put_be32(nlh, NFTA_BITWISE_LEN, (uint32_t)len);
	put_data(nlh, NFTA_BITWISE_MASK, mask, len);
	put_data(nlh, NFTA_BITWISE_XOR, value, len);
	expr_end(nlh, e);
}

static void compare(struct nlmsghdr *nlh, uint32_t how, const void *value, size_t len, uint32_t reg)
{
	struct expr e = expr_begin(nlh, "cmp");

	nft_put_be32(nlh, NFTA_CMP_SREG, reg);
	nft_put_be32(nlh, NFTA_CMP_OP, how);
	put_data(nlh, NFTA_CMP_DATA, value, len);
	expr_end(nlh, e);
}

void nft_is_equal(struct nlmsghdr *nlh, const void *value, size_t len, uint32_t reg)
{
	compare(nlh, NFT_CMP_EQ, value, len, reg);
}

void nft_is_other(struct nlmsghdr *nlh, const void *value, size_t len, uint32_t reg)
{
	compare(nlh, NFT_CMP_NEQ, value, len, reg);
}

void nft_is_in(struct nlmsghdr *nlh, const char *set, uint32_t reg, uint32_t data_reg)
{
	struct expr e = expr_begin(nlh, "lookup");

	mnl_attr_put_strz(nlh, NFTA_LOOKUP_SET, set);
	nft_put_be32(nlh, NFTA_LOOKUP_SREG, reg);
	if (data_reg)
		nft_put_be32(nlh, NFTA_LOOKUP_DREG, data_reg);
	expr_end(nlh, e);
}

void nft_remember(struct nlmsghdr *nlh, const char *set, uint32_t reg, uint32_t data_reg)
{
	struct expr e = expr_begin(nlh, "dynset");

	mnl_attr_put_strz(nlh, NFTA_DYNSET_SET_NAME, set);
	nft_put_be32(nlh, NFTA_DYNSET_OP, NFT_DYNSET_OP_ADD);
	nft_put_be32(nlh, NFTA_DYNSET_SREG_KEY, reg);
	if (data_reg)
		nft_put_be32(nlh, NFTA_DYNSET_SREG_DATA, data_reg);
	expr_end(nlh, e);
}

void nft_forward(struct nlmsghdr *nlh, uint32_t reg)
{
	struct expr e = expr_begin(nlh, "fwd");

	nft_put_be32(nlh, NFTA_FWD_SREG_DEV, reg);
	expr_end(nlh, e);
}

void nft_duplicate(struct nlmsghdr *nlh, uint32_t reg)
{
	struct expr e = expr_begin(nlh, "dup");

	nft_put_be32(nlh, NFTA_DUP_SREG_DEV, reg);
	expr_end(nlh, e);
}
