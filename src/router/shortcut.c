/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds what can be shortened, and encodes the table; see shortcut.h.
 */
#include "router/shortcut.h"

#include <arpa/inet.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <netinet/in.h>

#include "router/nft_netdev.h"

#define PRIORITY 1000 /* behind everybody else's */

/* nft's own numbers of types, for who lists the table: no kernel header has them. Of each part six bits */
#define KEY_TYPE_IPV4	 7u
#define KEY_TYPE_IPV6	 8u
#define KEY_TYPE_PORT	 13u
#define DATA_TYPE_DEVICE 20u
/* ... and its user data of sets: type, length, value */
#define UDATA_DATA_BYTE_ORDER 1
#define BYTE_ORDER_HOST	      1u

/* struct family - How packets of one family are read; offsets from the network header */
struct family {
	char digit;
	uint16_t ethertype;
	uint32_t type, size; /* of an address */
	uint32_t source, dest, protocol;
};

static const struct family families[] = {
	{'4', ETH_P_IP, KEY_TYPE_IPV4, 4, 12, 16, 9},
	{'6', ETH_P_IPV6, KEY_TYPE_IPV6, 16, 8, 24, 6},
};

/* Registers: the key from the first on, what stands beside it behind the longest key */
#define REG_KEY	 ((uint32_t)NFT_REG32_00)
#define REG_DATA ((uint32_t)NFT_REG32_12)

/* --- finding --- */

static int name_cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

bool shortcut_find(const struct net *host, const char *bridge, const char *leg, const struct mac *leg_mac,
		   struct shortcut *ret)
{
	const struct link *b = host ? net_link(host, bridge) : NULL, *l = host ? net_link(host, leg) : NULL;

	*ret = (struct shortcut){.leg_mac = *leg_mac};
	if (!b || !l || l->kind != LINK_VETH || l->ifindex <= 0 || mac_is_none(&b->mac))
		return false;
	str_copy(ret->leg, leg);
	ret->leg_ifindex = l->ifindex;
	ret->bridge_mac = b->mac;
	for (size_t i = 0; i < host->n_links; i++) {
		const struct link *port = &host->links[i];
		/* By a tunnel or a LAN's port nobody comes whom we connect. */
		if (port == l || port->kind != LINK_VETH || !str_eq(port->master, bridge))
			continue;
		char(*name)[16] = (char(*)[16])xgrow(&ret->ports, ret->n_ports, &ret->cap_ports);
		ret->n_ports++;
		str_copy(*name, port->name);
	}
	if (!ret->n_ports)
		return false;
	qsort(ret->ports, ret->n_ports, sizeof(*ret->ports), name_cmp);
	if (ret->n_ports > SHORTCUT_PORTS)
		ret->n_ports = SHORTCUT_PORTS;
	return true;
}

/* --- encoding --- */

struct rules {
	struct nft_netdev table;
	const char *network; /* HASH of the leg's name: all names of one network end so */
};

/* "out4-HASH", also of what we only remember */
static void object_name(char ret[static 32], const struct rules *r, const char *what, char digit)
{
	if (digit)
		snprintf(ret, 32, "%s%c-%s", what, digit, r->network);
	else
		snprintf(ret, 32, "%s-%s", what, r->network);
}

static void add_set(struct rules *r, const char *what, const struct family *f, bool is_map, uint32_t id)
{
	_Alignas(struct nlmsghdr) char bytes[512] = {0};
	struct nlmsghdr *nlh = nft_message(bytes, NFT_MSG_NEWSET, NLM_F_CREATE, NFPROTO_NETDEV);
	char name[32];

	object_name(name, r, what, f->digit);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, name);
	nft_put_be32(nlh, NFTA_SET_ID, id);
	nft_put_be32(nlh, NFTA_SET_FLAGS, NFT_SET_TIMEOUT | NFT_SET_EVAL | (is_map ? (uint32_t)NFT_SET_MAP : 0));
	nft_put_be32(nlh, NFTA_SET_KEY_TYPE, f->type << 18 | f->type << 12 | KEY_TYPE_PORT << 6 | KEY_TYPE_PORT);
	nft_put_be32(nlh, NFTA_SET_KEY_LEN, 2 * f->size + 8);
	if (is_map) {
		nft_put_be32(nlh, NFTA_SET_DATA_TYPE, DATA_TYPE_DEVICE);
		nft_put_be32(nlh, NFTA_SET_DATA_LEN, sizeof(uint32_t));
		const uint32_t order = BYTE_ORDER_HOST;
		uint8_t udata[2 + sizeof(order)] = {UDATA_DATA_BYTE_ORDER, sizeof(order)};
		memcpy(udata + 2, &order, sizeof(order));
		mnl_attr_put(nlh, NFTA_SET_USERDATA, sizeof(udata), udata);
	}
	mnl_attr_put_u64(nlh, NFTA_SET_TIMEOUT, htobe64(UINT64_C(1000) * SHORTCUT_SECONDS));
	struct nlattr *desc = mnl_attr_nest_start(nlh, NFTA_SET_DESC);
	nft_put_be32(nlh, NFTA_SET_DESC_SIZE, SHORTCUT_CONNECTIONS);
	mnl_attr_nest_end(nlh, desc);
	nft_message_end(&r->table.t->raw, nlh);
}

static void match_byte(struct nlmsghdr *nlh, uint32_t base, uint32_t offset, uint8_t mask, uint8_t value)
{
	static const uint8_t zero;

	nft_load(nlh, base, offset, 1, REG_KEY);
	if (mask != 0xff)
		nft_mask(nlh, &mask, &zero, 1, REG_KEY);
	nft_is_equal(nlh, &value, 1, REG_KEY);
}

static void match_mac(struct nlmsghdr *nlh, uint32_t offset, const struct mac *mac)
{
	nft_load(nlh, NFT_PAYLOAD_LL_HEADER, offset, sizeof(mac->b), REG_KEY);
	nft_is_equal(nlh, mac->b, sizeof(mac->b), REG_KEY);
}

/* A whole TCP segment within a connection, behind a bare IP header; then its addresses and ports become the key */
static void match_segment(struct nlmsghdr *nlh, const struct family *f)
{
	static const uint8_t fragment[2] = {0x3f, 0xff}, zero[2];
	const uint16_t ethertype = htons(f->ethertype);

	nft_meta(nlh, NFT_META_PROTOCOL, REG_KEY);
	nft_is_equal(nlh, &ethertype, sizeof(ethertype), REG_KEY);
	if (f->ethertype == ETH_P_IP) {
		match_byte(nlh, NFT_PAYLOAD_NETWORK_HEADER, 0, 0xff, 0x45); /* 20 bytes: no options */
		nft_load(nlh, NFT_PAYLOAD_NETWORK_HEADER, 6, sizeof(fragment), REG_KEY);
		nft_mask(nlh, fragment, zero, sizeof(fragment), REG_KEY);
		nft_is_equal(nlh, zero, sizeof(zero), REG_KEY);
	}
	match_byte(nlh, NFT_PAYLOAD_NETWORK_HEADER, f->protocol, 0xff, IPPROTO_TCP);
	match_byte(nlh, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 0x17, 0x10); /* of FIN, SYN, RST, ACK only ACK */
	nft_load(nlh, NFT_PAYLOAD_NETWORK_HEADER, f->source, f->size, REG_KEY);
	nft_load(nlh, NFT_PAYLOAD_NETWORK_HEADER, f->dest, f->size, REG_KEY + f->size / 4);
	nft_load(nlh, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, REG_KEY + f->size / 2);
	nft_load(nlh, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, REG_KEY + f->size / 2 + 1);
}

/* What has taken the shortcut tells nothing about the firewall. */
static void rule_taken(struct rules *r, const char *chain)
{
	const uint32_t mark = SHORTCUT_MARK;
	struct nft_netdev_rule rule;
	struct nlmsghdr *nlh = nft_netdev_rule(&rule, chain);

	nft_meta(nlh, NFT_META_MARK, REG_KEY);
	nft_is_equal(nlh, &mark, sizeof(mark), REG_KEY);
	nft_verdict(nlh, NF_ACCEPT);
	nft_netdev_rule_end(&r->table, &rule);
}

/* Egress. @offset: of the MAC that tells what went by the leg. @set is a map of ports for what comes from it */
static void rule_remember(struct rules *r, const char *chain, const struct family *f, uint32_t mac_at,
			  const struct mac *mac, const char *set, bool is_map)
{
	struct nft_netdev_rule rule;
	struct nlmsghdr *nlh = nft_netdev_rule(&rule, chain);

	match_mac(nlh, mac_at, mac);
	match_segment(nlh, f);
	if (is_map)
		nft_meta(nlh, NFT_META_OIF, REG_DATA);
	nft_remember(nlh, set, REG_KEY, is_map ? REG_DATA : 0);
	nft_netdev_rule_end(&r->table, &rule);
}

static void take(struct nlmsghdr *nlh)
{
	const uint32_t mark = SHORTCUT_MARK;

	nft_immediate(nlh, &mark, sizeof(mark), REG_KEY);
	nft_meta_set(nlh, NFT_META_MARK, REG_KEY);
	nft_forward(nlh, REG_DATA);
}

/* Ingress of the leg: it leads to the port that the bridge took. */
static void rule_in(struct rules *r, const char *chain, const struct family *f, const char *map)
{
	struct nft_netdev_rule rule;
	struct nlmsghdr *nlh = nft_netdev_rule(&rule, chain);

	match_segment(nlh, f);
	nft_is_in(nlh, map, REG_KEY, REG_DATA);
	take(nlh);
	nft_netdev_rule_end(&r->table, &rule);
}

/* Ingress of a port: to the leg, addressed as the host does. @to: the gateway, or (grade route) the leg */
static void rule_out(struct rules *r, const char *chain, const struct family *f, const char *set,
		     const struct shortcut *s, const struct mac *to)
{
	const uint32_t ifindex = (uint32_t)s->leg_ifindex;
	struct nft_netdev_rule rule;
	struct nlmsghdr *nlh = nft_netdev_rule(&rule, chain);

	match_mac(nlh, 0, to);
	match_segment(nlh, f);
	nft_is_in(nlh, set, REG_KEY, 0);
	if (mac_cmp(to, &s->leg_mac) != 0) {
		nft_immediate(nlh, s->leg_mac.b, sizeof(s->leg_mac.b), REG_KEY);
		nft_store(nlh, NFT_PAYLOAD_LL_HEADER, 0, sizeof(s->leg_mac.b), REG_KEY, -1);
	}
	nft_immediate(nlh, &ifindex, sizeof(ifindex), REG_DATA);
	take(nlh);
	nft_netdev_rule_end(&r->table, &rule);
}

static void add_network(struct rules *r, const struct shortcut *s, uint32_t *set_id)
{
	char ports_in[32], ports_out[32], leg_in[32], leg_out[32];
	const char(*ports)[16] = (const char(*)[16])s->ports;

	object_name(ports_in, r, "from-containers", 0);
	object_name(ports_out, r, "to-containers", 0);
	object_name(leg_in, r, "from-leg", 0);
	object_name(leg_out, r, "to-leg", 0);
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		add_set(r, "out", &families[f], false, ++*set_id);
		add_set(r, "in", &families[f], true, ++*set_id);
	}
	nft_netdev_chain(&r->table, ports_in, NFT_NETDEV_INGRESS, ports, s->n_ports);
	nft_netdev_chain(&r->table, ports_out, NFT_NETDEV_EGRESS, ports, s->n_ports);
	nft_netdev_chain(&r->table, leg_in, NFT_NETDEV_INGRESS, &s->leg, 1);
	nft_netdev_chain(&r->table, leg_out, NFT_NETDEV_EGRESS, &s->leg, 1);
	rule_taken(r, ports_out);
	rule_taken(r, leg_out);
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct family *f = &families[i];
		char out[32], in[32];
		object_name(out, r, "out", f->digit);
		object_name(in, r, "in", f->digit);
		rule_out(r, ports_in, f, out, s, &s->bridge_mac);
		rule_out(r, ports_in, f, out, s, &s->leg_mac);
		rule_remember(r, leg_out, f, 0, &s->leg_mac, out, false);
		rule_in(r, leg_in, f, in);
		rule_remember(r, ports_out, f, 6, &s->leg_mac, in, true);
	}
}

void shortcut_table(const struct shortcut *v, size_t n, struct nft_table *t)
{
	struct rules r = {0};
	uint32_t set_id = 0;

	if (!n)
		return;
	nft_netdev_begin(&r.table, t, PRIORITY);
	for (size_t i = 0; i < n; i++) {
		const char *hash = strchr(v[i].leg, '-');
		r.network = hash ? hash + 1 : v[i].leg;
		add_network(&r, &v[i], &set_id);
	}
	nft_netdev_end(&r.table);
}
