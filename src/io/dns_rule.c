/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets and rule of the role names. The rule is written in netlink messages and not by nft, because the socket that
 * makes an owned table is the one that keeps it, and that must be handed out. All of it is system calls that do not
 * wait: the kernel works inside sendto(), and its answers are there when that returns.
 */
#include "io/dns_rule.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "io/broker.h"
#include "io/ns.h"

#define RESOLVER_ADDRESS "127.0.0.11" /* Docker's, in every container but those on its default bridge */
#define RESOLVER_PORT	 53
#define CHAIN		 "output"
/* before connection tracking, which begins at -200 */
#define CHAIN_PRIORITY (-300)
#define BATCH_BYTES    4096

#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 0x2
#endif

static struct sockaddr_in inet_address(const char *address, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, address, &sin.sin_addr);
	return sin;
}

static int udp_open(int ns_fd, struct err *err)
{
	struct sockaddr_in sin = inet_address(DNS_ADDRESS, 0);
	autoclose int fd = ns_socket(ns_fd, AF_INET, SOCK_DGRAM, 0, err);

	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		return err_errno(err, -errno, "bind " DNS_ADDRESS);
	return steal_fd(fd);
}

int dns_listen_open(int ns_fd, struct err *err)
{
	return udp_open(ns_fd, err);
}

int dns_ask_open(int ns_fd, struct err *err)
{
	struct sockaddr_in sin = inet_address(RESOLVER_ADDRESS, RESOLVER_PORT);
	autoclose int fd = udp_open(ns_fd, err);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		return err_errno(err, -errno, "connect to Docker's resolver");
	return steal_fd(fd);
}

/* --- the rule --- */

/* One message of the batch. Return: its header, to put attributes behind */
static struct nlmsghdr *message(struct mnl_nlmsg_batch *b, uint16_t type, uint16_t flags, uint8_t family,
				uint16_t res_id)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(mnl_nlmsg_batch_current(b));
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(res_id);
	return nlh;
}

static struct nlmsghdr *nft_message(struct mnl_nlmsg_batch *b, uint8_t type, uint16_t flags)
{
	return message(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), (uint16_t)(NLM_F_CREATE | flags), NFPROTO_IPV4,
		       0);
}

static void put_data(struct nlmsghdr *nlh, uint16_t attr, const void *data, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, attr);

	mnl_attr_put(nlh, NFTA_DATA_VALUE, len, data);
	mnl_attr_nest_end(nlh, nest);
}

/* An expression of the rule, between these two */
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

static void expr_load_protocol(struct nlmsghdr *nlh)
{
	struct expr e = expr_begin(nlh, "meta");

	mnl_attr_put_u32(nlh, NFTA_META_DREG, htonl(NFT_REG_1));
	mnl_attr_put_u32(nlh, NFTA_META_KEY, htonl(NFT_META_L4PROTO));
	expr_end(nlh, e);
}

static void expr_load(struct nlmsghdr *nlh, enum nft_payload_bases base, uint32_t offset, uint32_t len)
{
	struct expr e = expr_begin(nlh, "payload");

	mnl_attr_put_u32(nlh, NFTA_PAYLOAD_DREG, htonl(NFT_REG_1));
	mnl_attr_put_u32(nlh, NFTA_PAYLOAD_BASE, htonl(base));
	mnl_attr_put_u32(nlh, NFTA_PAYLOAD_OFFSET, htonl(offset));
	mnl_attr_put_u32(nlh, NFTA_PAYLOAD_LEN, htonl(len));
	expr_end(nlh, e);
}

static void expr_cmp(struct nlmsghdr *nlh, enum nft_cmp_ops op, const void *data, size_t len)
{
	struct expr e = expr_begin(nlh, "cmp");

	mnl_attr_put_u32(nlh, NFTA_CMP_SREG, htonl(NFT_REG_1));
	mnl_attr_put_u32(nlh, NFTA_CMP_OP, htonl(op));
	put_data(nlh, NFTA_CMP_DATA, data, len);
	expr_end(nlh, e);
}

static void expr_immediate(struct nlmsghdr *nlh, enum nft_registers reg, const void *data, size_t len)
{
	struct expr e = expr_begin(nlh, "immediate");

	mnl_attr_put_u32(nlh, NFTA_IMMEDIATE_DREG, htonl(reg));
	put_data(nlh, NFTA_IMMEDIATE_DATA, data, len);
	expr_end(nlh, e);
}

static void expr_notrack(struct nlmsghdr *nlh)
{
	struct nlattr *elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);

	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, "notrack");
	mnl_attr_nest_end(nlh, elem);
}

/* @csum_offset: of the checksum of the same header; an address is in UDP's too */
static void expr_store(struct nlmsghdr *nlh, enum nft_payload_bases base, uint32_t offset, uint32_t csum_offset,
		       const void *data, size_t len)
{
	expr_immediate(nlh, NFT_REG_1, data, len);
	struct expr e = expr_begin(nlh, "payload");

	mnl_attr_put_u32(nlh, NFTA_PAYLOAD_SREG, htonl(NFT_REG_1));
	mnl_attr_put_u32(nlh, NFTA_PAYLOAD_BASE, htonl(base));
	mnl_attr_put_u32(nlh, NFTA_PAYLOAD_OFFSET, htonl(offset));
	mnl_attr_put_u32(nlh, NFTA_PAYLOAD_LEN, htonl((uint32_t)len));
	mnl_attr_put_u32(nlh, NFTA_PAYLOAD_CSUM_TYPE, htonl(NFT_PAYLOAD_CSUM_INET));
	mnl_attr_put_u32(nlh, NFTA_PAYLOAD_CSUM_OFFSET, htonl(csum_offset));
	if (base == NFT_PAYLOAD_NETWORK_HEADER)
		mnl_attr_put_u32(nlh, NFTA_PAYLOAD_CSUM_FLAGS, htonl(NFT_PAYLOAD_L4CSUM_PSEUDOHDR));
	expr_end(nlh, e);
}

static void put_table(struct mnl_nlmsg_batch *b)
{
	struct nlmsghdr *nlh = nft_message(b, NFT_MSG_NEWTABLE, 0);

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, DNS_TABLE);
	mnl_attr_put_u32(nlh, NFTA_TABLE_FLAGS, htonl(NFT_TABLE_F_OWNER));
	mnl_nlmsg_batch_next(b);
}

static void put_chain(struct mnl_nlmsg_batch *b)
{
	struct nlmsghdr *nlh = nft_message(b, NFT_MSG_NEWCHAIN, 0);
	struct nlattr *hook;

	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, DNS_TABLE);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, CHAIN);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TYPE, "filter");
	hook = mnl_attr_nest_start(nlh, NFTA_CHAIN_HOOK);
	mnl_attr_put_u32(nlh, NFTA_HOOK_HOOKNUM, htonl(NF_INET_LOCAL_OUT));
	mnl_attr_put_u32(nlh, NFTA_HOOK_PRIORITY, htonl((uint32_t)CHAIN_PRIORITY));
	mnl_attr_nest_end(nlh, hook);
	mnl_nlmsg_batch_next(b);
}

/* Where an IPv4 header has its addresses, and a UDP header its ports */
enum end { END_SOURCE, END_DESTINATION };

static void expr_match_end(struct nlmsghdr *nlh, enum end end, enum nft_cmp_ops address, const struct sockaddr_in *sin)
{
	expr_load(nlh, NFT_PAYLOAD_NETWORK_HEADER, end == END_SOURCE ? 12 : 16, 4);
	expr_cmp(nlh, address, &sin->sin_addr, 4);
	if (!sin->sin_port)
		return;
	expr_load(nlh, NFT_PAYLOAD_TRANSPORT_HEADER, end == END_SOURCE ? 0 : 2, 2);
	expr_cmp(nlh, NFT_CMP_EQ, &sin->sin_port, 2);
}

static void expr_store_end(struct nlmsghdr *nlh, enum end end, const struct sockaddr_in *sin)
{
	expr_store(nlh, NFT_PAYLOAD_NETWORK_HEADER, end == END_SOURCE ? 12 : 16, 10, &sin->sin_addr, 4);
	expr_store(nlh, NFT_PAYLOAD_TRANSPORT_HEADER, end == END_SOURCE ? 0 : 2, 6, &sin->sin_port, 2);
}

/* UDP that has @from at one of its ends, and is not from @unless, has @to there instead; nobody keeps a state of it */
static void put_rule(struct mnl_nlmsg_batch *b, enum end end, const struct sockaddr_in *from,
		     const struct sockaddr_in *unless, const struct sockaddr_in *to)
{
	struct nlmsghdr *nlh = nft_message(b, NFT_MSG_NEWRULE, NLM_F_APPEND | NLM_F_ACK);
	struct nlattr *list;
	uint8_t udp = IPPROTO_UDP;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, DNS_TABLE);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, CHAIN);
	list = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
	expr_load_protocol(nlh);
	expr_cmp(nlh, NFT_CMP_EQ, &udp, sizeof(udp));
	expr_match_end(nlh, end, NFT_CMP_EQ, from);
	if (unless)
		expr_match_end(nlh, END_SOURCE, NFT_CMP_NEQ, unless);
	expr_notrack(nlh);
	expr_store_end(nlh, end, to);
	mnl_attr_nest_end(nlh, list);
	mnl_nlmsg_batch_next(b);
}

/*
 * meta l4proto udp ip daddr 127.0.0.11 udp dport 53 ip saddr != 127.77.53.1 notrack ip daddr set 127.77.53.1 udp dport
 *	set PORT
 * meta l4proto udp ip saddr 127.77.53.1 udp sport PORT notrack ip saddr set 127.0.0.11 udp sport set 53
 */
static void put_rules(struct mnl_nlmsg_batch *b, uint16_t port)
{
	struct sockaddr_in ours = inet_address(DNS_ADDRESS, port), any_port = inet_address(DNS_ADDRESS, 0);
	struct sockaddr_in docker = inet_address(RESOLVER_ADDRESS, RESOLVER_PORT);

	put_rule(b, END_DESTINATION, &docker, &any_port, &ours);
	put_rule(b, END_SOURCE, &ours, NULL, &docker);
}

/* The kernel's answers to the batch: the first error, or 0 when the rules were acknowledged */
static int answers_read(int fd)
{
	char in[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	int first = -ENODATA;
	ssize_t n;

	while ((n = recv(fd, in, sizeof(in), MSG_DONTWAIT)) > 0) {
		int len = (int)n;

		for (const struct nlmsghdr *nlh = (void *)in; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
				continue;
			if (first == -ENODATA || first == 0)
				first = e->error;
		}
	}
	return first;
}

int dns_rule_open(int ns_fd, uint16_t port, struct err *err)
{
	char out[BATCH_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	autoclose int fd = ns_socket(ns_fd, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, err);
	struct mnl_nlmsg_batch *b;
	ssize_t sent;
	int rc;

	if (fd < 0)
		return fd;
	b = mnl_nlmsg_batch_start(out, sizeof(out) / 2);
	message(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	mnl_nlmsg_batch_next(b);
	put_table(b);
	put_chain(b);
	put_rules(b, port);
	message(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	mnl_nlmsg_batch_next(b);
	sent = sendto(fd, mnl_nlmsg_batch_head(b), mnl_nlmsg_batch_size(b), 0, (struct sockaddr *)&kernel,
		      sizeof(kernel));
	rc = sent < 0 ? -errno : answers_read(fd);
	mnl_nlmsg_batch_stop(b);
	/* kernels that do not know the flag refuse all that they do not know */
	if (rc == -EINVAL || rc == -EOPNOTSUPP)
		return err_set(err, -EOPNOTSUPP,
			       "this kernel has no nft tables that go with their owner: Linux 5.12 is needed");
	if (rc < 0)
		return err_errno(err, rc, "nft table " DNS_TABLE);
	return steal_fd(fd);
}
