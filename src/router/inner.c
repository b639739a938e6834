/* SPDX-License-Identifier: Apache-2.0
 *
 * Encodes the rules for packets quoted in ICMP errors; see inner.h.
 */
#include "router/inner.h"

#include <linux/netfilter.h>

#include "router/net.h"
#include "router/nft_expr.h"

#define RULE_BYTES 2048

/* From the start of the ICMP header. */
#define INNER		8
#define INNER4_CHECKSUM (INNER + 10)
#define INNER4_SOURCE	(INNER + 12)
#define INNER4_DEST	(INNER + 16)
#define INNER6_SOURCE	(INNER + 8)
#define INNER6_DEST	(INNER + 24)
#define ICMP6_CHECKSUM	2

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
		nft_load(nlh, NFT_PAYLOAD_TRANSPORT_HEADER, r->source ? dest : source, len, NFT_REG_1);
		nft_is_in(nlh, r->set, NFT_REG_1, 0);
	}
	nft_load(nlh, NFT_PAYLOAD_TRANSPORT_HEADER, at, len, NFT_REG_1);
	nft_mask(nlh, net, zeroes, len, NFT_REG_1);
	nft_is_equal(nlh, r->from.ip.b, len, NFT_REG_1);
	nft_load(nlh, NFT_PAYLOAD_TRANSPORT_HEADER, at, len, NFT_REG_1);
	nft_mask(nlh, host, r->to.ip.b, len, NFT_REG_1);
	nft_store(nlh, NFT_PAYLOAD_TRANSPORT_HEADER, at, len, NFT_REG_1, v4 ? INNER4_CHECKSUM : ICMP6_CHECKSUM);
}

void inner_encode(struct buf *out, const struct inner_rule *r)
{
	_Alignas(struct nlmsghdr) char bytes[RULE_BYTES] = {0};
	struct nlmsghdr *nlh = nft_message(bytes, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, NFPROTO_INET);

	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, r->chain);
	struct nlattr *list = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
	put_expressions(nlh, r);
	mnl_attr_nest_end(nlh, list);
	nft_message_end(out, nlh);
}
