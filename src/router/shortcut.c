/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds what can be shortened, and encodes the table; see shortcut.h.
 */
#include "router/shortcut.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <netinet/in.h>

#include "router/nft_expr.h"

#define RULE_BYTES  4096
#define CHAIN_BYTES (SHORTCUT_PORTS * 24 + 512)
#define PRIORITY    1000 /* behind everybody else's */

/* linux/netfilter.h has NF_NETDEV_EGRESS only since Linux 5.16 */
enum hook { HOOK_INGRESS = 0, HOOK_EGRESS = 1 };

/* nft's own numbers of types, for who lists the table: no kernel header has them. Of each part six bits */
#define KEY_TYPE_IPV4	 7u
#define KEY_TYPE_IPV6	 8u
#define KEY_TYPE_PORT	 13u
#define DATA_TYPE_DEVICE 20u
/* ... and its user data of rules and sets: type, length, value */
#define UDATA_COMMENT	      0
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
	struct buf *out;
	size_t n;
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

static void add_table(struct buf *out, int type, uint16_t flags)
{
	_Alignas(struct nlmsghdr) char bytes[256] = {0};

	nft_message_end(out, nft_message(bytes, type, flags, NFPROTO_NETDEV));
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
	nft_message_end(r->out, nlh);
}

static void add_chain(struct rules *r, const char *name, enum hook hook, const char (*devices)[16], size_t n)
{
	_Alignas(struct nlmsghdr) char bytes[CHAIN_BYTES] = {0};
	struct nlmsghdr *nlh = nft_message(bytes, NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFPROTO_NETDEV);

	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
	if (n) {
		struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_CHAIN_HOOK);
		nft_put_be32(nlh, NFTA_HOOK_HOOKNUM, hook);
		nft_put_be32(nlh, NFTA_HOOK_PRIORITY, PRIORITY);
		struct nlattr *list = mnl_attr_nest_start(nlh, NFTA_HOOK_DEVS);
		for (size_t i = 0; i < n; i++)
			mnl_attr_put_strz(nlh, NFTA_DEVICE_NAME, devices[i]);
		mnl_attr_nest_end(nlh, list);
		mnl_attr_nest_end(nlh, nest);
		nft_put_be32(nlh, NFTA_CHAIN_POLICY, NF_ACCEPT);
		mnl_attr_put_strz(nlh, NFTA_CHAIN_TYPE, "filter");
	}
	nft_message_end(r->out, nlh);
}

/* A rule's beginning; its end is rule_end(). */
struct rule {
	_Alignas(struct nlmsghdr) char bytes[RULE_BYTES];
	struct nlmsghdr *nlh;
	struct nlattr *list;
};

static struct nlmsghdr *rule_begin(struct rule *rule, const char *chain)
{
	rule->nlh = nft_message(rule->bytes, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, NFPROTO_NETDEV);
	mnl_attr_put_strz(rule->nlh, NFTA_RULE_CHAIN, chain);
	rule->list = mnl_attr_nest_start(rule->nlh, NFTA_RULE_EXPRESSIONS);
	return rule->nlh;
}

static void rule_end(struct rules *r, struct rule *rule)
{
	mnl_attr_nest_end(rule->nlh, rule->list);
	nft_message_end(r->out, rule->nlh);
	r->n++;
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
	struct rule rule = {0};
	struct nlmsghdr *nlh = rule_begin(&rule, chain);

	nft_meta(nlh, NFT_META_MARK, REG_KEY);
	nft_is_equal(nlh, &mark, sizeof(mark), REG_KEY);
	nft_verdict(nlh, NF_ACCEPT);
	rule_end(r, &rule);
}

/* Egress. @offset: of the MAC that tells what went by the leg. @set is a map of ports for what comes from it */
static void rule_remember(struct rules *r, const char *chain, const struct family *f, uint32_t mac_at,
			  const struct mac *mac, const char *set, bool is_map)
{
	struct rule rule = {0};
	struct nlmsghdr *nlh = rule_begin(&rule, chain);

	match_mac(nlh, mac_at, mac);
	match_segment(nlh, f);
	if (is_map)
		nft_meta(nlh, NFT_META_OIF, REG_DATA);
	nft_remember(nlh, set, REG_KEY, is_map ? REG_DATA : 0);
	rule_end(r, &rule);
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
	struct rule rule = {0};
	struct nlmsghdr *nlh = rule_begin(&rule, chain);

	match_segment(nlh, f);
	nft_is_in(nlh, map, REG_KEY, REG_DATA);
	take(nlh);
	rule_end(r, &rule);
}

/* Ingress of a port: to the leg, addressed as the host does. @to: the gateway, or (grade route) the leg */
static void rule_out(struct rules *r, const char *chain, const struct family *f, const char *set,
		     const struct shortcut *s, const struct mac *to)
{
	const uint32_t ifindex = (uint32_t)s->leg_ifindex;
	struct rule rule = {0};
	struct nlmsghdr *nlh = rule_begin(&rule, chain);

	match_mac(nlh, 0, to);
	match_segment(nlh, f);
	nft_is_in(nlh, set, REG_KEY, 0);
	if (mac_cmp(to, &s->leg_mac) != 0) {
		nft_immediate(nlh, s->leg_mac.b, sizeof(s->leg_mac.b), REG_KEY);
		nft_store(nlh, NFT_PAYLOAD_LL_HEADER, 0, sizeof(s->leg_mac.b), REG_KEY, -1);
	}
	nft_immediate(nlh, &ifindex, sizeof(ifindex), REG_DATA);
	take(nlh);
	rule_end(r, &rule);
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
	add_chain(r, ports_in, HOOK_INGRESS, ports, s->n_ports);
	add_chain(r, ports_out, HOOK_EGRESS, ports, s->n_ports);
	add_chain(r, leg_in, HOOK_INGRESS, &s->leg, 1);
	add_chain(r, leg_out, HOOK_EGRESS, &s->leg, 1);
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

/* As in the other table, see ruleset.c: the fingerprint of everything before it is the comment of the last rule. */
static void finish(struct rules *r, struct nft_table *t)
{
	struct rule rule = {0};
	uint8_t udata[2 + sizeof(ROUTER_ALIAS) + 16];

	t->fingerprint = hash64(r->out->data, r->out->len, 0);
	if (!t->fingerprint)
		t->fingerprint = 1; /* 0 means: not known */
	int len = snprintf((char *)udata + 2, sizeof(udata) - 2, ROUTER_ALIAS "%016" PRIx64, t->fingerprint);
	udata[0] = UDATA_COMMENT;
	udata[1] = (uint8_t)(len + 1);
	add_chain(r, "fingerprint", HOOK_INGRESS, NULL, 0);
	nft_verdict(rule_begin(&rule, "fingerprint"), NFT_RETURN);
	mnl_attr_nest_end(rule.nlh, rule.list);
	mnl_attr_put(rule.nlh, NFTA_RULE_USERDATA, (size_t)len + 3, udata);
	nft_message_end(r->out, rule.nlh);
	t->n_rules = r->n + 1;
	t->present = true;
}

void shortcut_table(const struct shortcut *v, size_t n, struct nft_table *t)
{
	struct rules r = {.out = &t->raw};
	uint32_t set_id = 0;

	if (!n)
		return;
	shortcut_remove(r.out);
	add_table(r.out, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	for (size_t i = 0; i < n; i++) {
		const char *hash = strchr(v[i].leg, '-');
		r.network = hash ? hash + 1 : v[i].leg;
		add_network(&r, &v[i], &set_id);
	}
	finish(&r, t);
}

/* "Add" before "delete": it must not fail when there is none. */
void shortcut_remove(struct buf *out)
{
	add_table(out, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	add_table(out, NFT_MSG_DELTABLE, 0);
}
