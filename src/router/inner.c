/* SPDX-License-Identifier: Apache-2.0
 *
 * Encodes the rules for packets quoted in ICMP errors; see inner.h.
 */
#include "router/inner.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "router/net.h"

#define RULE_BYTES 2048

/* From the start of the ICMP header. */
#define INNER		8
#define INNER4_CHECKSUM (INNER + 10)
#define INNER4_SOURCE	(INNER + 12)
#define INNER4_DEST	(INNER + 16)
#define INNER6_SOURCE	(INNER + 8)
#define INNER6_DEST	(INNER + 24)
#define ICMP6_CHECKSUM	2

static void put_be32(struct nlmsghdr *nlh, uint16_t type, uint32_t value)
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

/* Bytes of the packet into the register. Where the packet ends before them the rule does not apply. */
static void load(struct nlmsghdr *nlh, uint32_t offset, size_t len)
{
	struct expr e = expr_begin(nlh, "payload");

	put_be32(nlh, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_be32(nlh, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
	put_be32(nlh, NFTA_PAYLOAD_OFFSET, offset);
	put_be32(nlh, NFTA_PAYLOAD_LEN, (uint32_t)len);
	expr_end(nlh, e);
}

static void store(struct nlmsghdr *nlh, uint32_t offset, size_t len, uint32_t checksum)
{
	struct expr e = expr_begin(nlh, "payload");

	put_be32(nlh, NFTA_PAYLOAD_SREG, NFT_REG_1);
	put_be32(nlh, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
	put_be32(nlh, NFTA_PAYLOAD_OFFSET, offset);
	put_be32(nlh, NFTA_PAYLOAD_LEN, (uint32_t)len);
	put_be32(nlh, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
	put_be32(nlh, NFTA_PAYLOAD_CSUM_OFFSET, checksum);
	expr_end(nlh, e);
}

static void mask_xor(struct nlmsghdr *nlh, const uint8_t *mask, const uint8_t *value, size_t len)
{
	struct expr e = expr_begin(nlh, "bitwise");

	put_be32(nlh, NFTA_BITWISE_SREG, NFT_REG_1);
	put_be32(nlh, NFTA_BITWISE_DREG, NFT_REG_1);
	put_be32(nlh, NFTA_BITWISE_LEN, (uint32_t)len);
	put_data(nlh, NFTA_BITWISE_MASK, mask, len);
	put_data(nlh, NFTA_BITWISE_XOR, value, len);
	expr_end(nlh, e);
}

static void is_equal(struct nlmsghdr *nlh, const uint8_t *value, size_t len)
{
	struct expr e = expr_begin(nlh, "cmp");

	put_be32(nlh, NFTA_CMP_SREG, NFT_REG_1);
	put_be32(nlh, NFTA_CMP_OP, NFT_CMP_EQ);
	put_data(nlh, NFTA_CMP_DATA, value, len);
	expr_end(nlh, e);
}

static void is_in(struct nlmsghdr *nlh, const char *set)
{
	struct expr e = expr_begin(nlh, "lookup");

	mnl_attr_put_strz(nlh, NFTA_LOOKUP_SET, set);
	put_be32(nlh, NFTA_LOOKUP_SREG, NFT_REG_1);
	expr_end(nlh, e);
}

static void put_expressions(struct nlmsghdr *nlh, const struct inner_rule *r)
{
	static const uint8_t zeroes[16];
	bool v4 = r->from.ip.family == AF_INET;
	size_t len = ip_size(r->from.ip.family);
	uint32_t source = v4 ? INNER4_SOURCE : INNER6_SOURCE, dest = v4 ? INNER4_DEST : INNER6_DEST;
	uint32_t at = r->source ? source : dest;
	uint8_t net[16] = {0}, host[16] = {0};

	for (unsigned bit = 0; bit < len * 8; bit++)
		(bit < r->from.len ? net : host)[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	if (r->set) {
		load(nlh, r->source ? dest : source, len);
		is_in(nlh, r->set);
	}
	load(nlh, at, len);
	mask_xor(nlh, net, zeroes, len);
	is_equal(nlh, r->from.ip.b, len);
	load(nlh, at, len);
	mask_xor(nlh, host, r->to.ip.b, len);
	store(nlh, at, len, v4 ? INNER4_CHECKSUM : ICMP6_CHECKSUM);
}

void inner_encode(struct buf *out, const struct inner_rule *r)
{
	_Alignas(struct nlmsghdr) char bytes[RULE_BYTES];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(bytes);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWRULE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_APPEND;
	nfg->nfgen_family = NFPROTO_INET;
	nfg->version = NFNETLINK_V0;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, ROUTER_NFT_TABLE);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, r->chain);
	struct nlattr *list = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
	put_expressions(nlh, r);
	mnl_attr_nest_end(nlh, list);
	buf_append(out, bytes, NLMSG_ALIGN(nlh->nlmsg_len));
}
