/* SPDX-License-Identifier: Apache-2.0
 *
 * Labels and listeners elsewhere to rules, entries and ports; see mcast.h.
 */
#include "router/mcast.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <netinet/in.h>

#include "router/desired_parts.h"
#include "router/nft_expr.h"
#include "router/nft_netdev.h"

#define PRIORITY   0
#define RANGES_MAX (LIMIT_GROUP_RANGES + MULTICAST_LABEL_FIXED)
#define LEGS_MAX   256 /* of one VNI that have labels */
#define REG	   ((uint32_t)NFT_REG32_00)

struct mac mcast_mac(const struct ip *group)
{
	const uint8_t *b = group->b;

	if (group->family == AF_INET)
		return (struct mac){{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}};
	return (struct mac){{0x33, 0x33, b[12], b[13], b[14], b[15]}};
}

/* --- labels --- */

static const struct multicast_label *label_of(const struct inventory *inv, const char *network_id)
{
	for (size_t i = 0; i < inv->n_multicast; i++)
		if (str_eq(inv->multicast[i].network.id, network_id))
			return inv->multicast[i].label.overlay ? &inv->multicast[i].label : NULL;
	return NULL;
}

/* What it asks for as ranges that do not overlap. Return: how many */
static size_t ranges_of(const struct multicast_label *l, struct prefix ret[static RANGES_MAX])
{
	struct prefix all[RANGES_MAX];
	struct ip fixed[MULTICAST_LABEL_FIXED];
	size_t n = 0, kept = 0, n_fixed = multicast_label_fixed(l, fixed);

	for (size_t i = 0; i < l->n_groups; i++)
		all[n++] = l->groups[i];
	for (size_t i = 0; i < n_fixed; i++)
		all[n++] = prefix_host(&fixed[i]);
	for (size_t i = 0; i < n; i++) {
		bool held = false;

		for (size_t k = 0; k < n && !held; k++)
			held = k != i && prefix_contains(&all[k], &all[i]) &&
			       (prefix_cmp(&all[k], &all[i]) != 0 || k < i);
		if (!held)
			ret[kept++] = all[i];
	}
	return kept;
}

void mcast_add_peer(const struct desired_input *in, struct net *net, const struct peer *peer, const struct entry *fdb)
{
	for (size_t i = 0; i < peer->n_groups; i++) {
		bool wanted = false;

		for (size_t s = 0; s < in->inventory->n_stacks && !wanted; s++) {
			const struct inv_stack *stack = &in->inventory->stacks[s];

			for (size_t k = 0; stack->vni == peer->vni && k < stack->n_networks && !wanted; k++) {
				const struct multicast_label *l = label_of(in->inventory, stack->networks[k].id);

				wanted = l && multicast_label_has(l, &peer->groups[i].ip);
			}
		}
		if (!wanted)
			continue;
		struct entry e = *fdb;
		e.type = ENTRY_GROUP;
		e.mac = mcast_mac(&peer->groups[i].ip);
		entry_set_put(&net->entries, &e);
	}
}

/* --- rules --- */

struct source {
	struct prefix real, as;
};

struct leg {
	char name[16];
	int ifindex;
	const struct inv_network *network;
	struct prefix ranges[RANGES_MAX];
	size_t n_ranges;
	struct source sources[LIMIT_SUBNETS];
	size_t n_sources;
};

struct copies {
	struct leg *legs;
	size_t n, cap;
	char tunnel[16]; /* "": there is none */
	int tunnel_ifindex;
	struct mac mac; /* that copies come from */
	struct nft_netdev table;
};

/* "chain-of-a-device": all is named after devices, whose names are short */
static const char *chain_name(char ret[static 32], const char *what, const char *dev)
{
	snprintf(ret, 32, "%s-%s", what, dev);
	return ret;
}

static void match_prefix(struct nlmsghdr *nlh, const struct prefix *p, uint32_t at4, uint32_t at6)
{
	static const uint8_t zeroes[16];
	size_t len = ip_size(p->ip.family);
	uint8_t mask[16] = {0};

	for (unsigned bit = 0; bit < p->len; bit++)
		mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	nft_load(nlh, NFT_PAYLOAD_NETWORK_HEADER, p->ip.family == AF_INET ? at4 : at6, len, REG);
	if (p->len < len * 8)
		nft_mask(nlh, mask, zeroes, len, REG);
	nft_is_equal(nlh, p->ip.b, len, REG);
}

static void match_family(struct nlmsghdr *nlh, uint8_t family)
{
	const uint16_t type = htons(family == AF_INET ? ETH_P_IP : ETH_P_IPV6);

	nft_meta(nlh, NFT_META_PROTOCOL, REG);
	nft_is_equal(nlh, &type, sizeof(type), REG);
}

static void match_udp(struct nlmsghdr *nlh)
{
	const uint8_t udp = IPPROTO_UDP;

	nft_meta(nlh, NFT_META_L4PROTO, REG);
	nft_is_equal(nlh, &udp, sizeof(udp), REG);
}

static void match_group(struct nlmsghdr *nlh, const struct prefix *range)
{
	match_prefix(nlh, range, 16, 24);
}

static void match_source(struct nlmsghdr *nlh, const struct prefix *p)
{
	match_prefix(nlh, p, 12, 8);
}

/* Not the bridge: what it says is what somebody on this host says, or relays */
static void match_not_bridge(struct nlmsghdr *nlh, const struct inv_network *nw, uint8_t family)
{
	for (size_t i = 0; i < nw->n_gateways; i++) {
		if (nw->gateways[i].family != family)
			continue;
		nft_load(nlh, NFT_PAYLOAD_NETWORK_HEADER, family == AF_INET ? 12 : 8, ip_size(family), REG);
		nft_is_other(nlh, nw->gateways[i].b, ip_size(family), REG);
	}
}

/* The source gets the prefix @as in place of its own; checksums follow */
static void map_source(struct nlmsghdr *nlh, const struct source *s)
{
	bool v4 = s->real.ip.family == AF_INET;
	size_t len = ip_size(s->real.ip.family);
	uint8_t host[16] = {0};

	for (unsigned bit = s->real.len; bit < len * 8; bit++)
		host[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	nft_load(nlh, NFT_PAYLOAD_NETWORK_HEADER, v4 ? 12 : 8, len, REG);
	nft_mask(nlh, host, s->as.ip.b, len, REG);
	nft_store_address(nlh, v4 ? 12 : 8, len, REG);
}

static void from_us(struct nlmsghdr *nlh, const struct mac *mac)
{
	nft_immediate(nlh, mac->b, sizeof(mac->b), REG);
	nft_store(nlh, NFT_PAYLOAD_LL_HEADER, 6, sizeof(mac->b), REG, -1);
}

static void copy_to(struct nlmsghdr *nlh, int ifindex)
{
	const uint32_t to = (uint32_t)ifindex;

	nft_immediate(nlh, &to, sizeof(to), REG);
	nft_duplicate(nlh, REG);
}

/* In the chain of what a leg's stack said: one copy to a device for each packet, since ranges do not overlap */
static void rule_copy(struct copies *c, const char *chain, const struct prefix *range, int ifindex)
{
	struct nft_netdev_rule rule;
	struct nlmsghdr *nlh = nft_netdev_rule(&rule, chain);

	match_family(nlh, range->ip.family);
	match_group(nlh, range);
	copy_to(nlh, ifindex);
	nft_netdev_rule_end(&c->table, &rule);
}

static void rules_to_leg(struct copies *c, const char *chain, const struct leg *from, const struct leg *to)
{
	for (size_t i = 0; i < from->n_ranges; i++)
		for (size_t k = 0; k < to->n_ranges; k++) {
			const struct prefix *a = &from->ranges[i], *b = &to->ranges[k];

			if (prefix_contains(a, b))
				rule_copy(c, chain, b, to->ifindex);
			else if (prefix_contains(b, a))
				rule_copy(c, chain, a, to->ifindex);
		}
}

static void rules_from_leg(struct copies *c, const struct leg *l)
{
	static const struct prefix all[] = {{{AF_INET, {224}}, 4}, {{AF_INET6, {0xff}}, 8}};
	char in[32], said[32];

	nft_netdev_chain(&c->table, chain_name(said, "said", l->name), NFT_NETDEV_INGRESS, NULL, 0);
	nft_netdev_chain(&c->table, chain_name(in, "from", l->name), NFT_NETDEV_INGRESS, &l->name, 1);
	for (size_t i = 0; i < l->n_sources; i++) {
		const struct source *s = &l->sources[i];
		uint8_t family = s->real.ip.family;
		struct nft_netdev_rule rule;
		struct nlmsghdr *nlh = nft_netdev_rule(&rule, in);

		match_family(nlh, family);
		match_group(nlh, &all[family != AF_INET]);
		match_source(nlh, &s->real);
		match_not_bridge(nlh, l->network, family);
		match_udp(nlh);
		if (prefix_cmp(&s->real, &s->as) != 0)
			map_source(nlh, s);
		from_us(nlh, &c->mac);
		nft_goto(nlh, said);
		nft_netdev_rule_end(&c->table, &rule);
	}
	for (size_t i = 0; c->tunnel[0] && i < l->n_ranges; i++)
		rule_copy(c, said, &l->ranges[i], c->tunnel_ifindex);
	for (size_t i = 0; i < c->n; i++)
		if (&c->legs[i] != l)
			rules_to_leg(c, said, l, &c->legs[i]);
}

static void rules_from_tunnel(struct copies *c)
{
	char in[32];

	nft_netdev_chain(&c->table, chain_name(in, "from", c->tunnel), NFT_NETDEV_INGRESS, &c->tunnel, 1);
	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->legs[i].n_ranges; k++) {
			const struct prefix *range = &c->legs[i].ranges[k];
			struct nft_netdev_rule rule;
			struct nlmsghdr *nlh = nft_netdev_rule(&rule, in);

			match_family(nlh, range->ip.family);
			match_group(nlh, range);
			match_udp(nlh);
			from_us(nlh, &c->mac);
			copy_to(nlh, c->legs[i].ifindex);
			nft_netdev_rule_end(&c->table, &rule);
		}
}

/* --- legs --- */

static void sources_take(const struct desired *d, struct leg *l)
{
	for (size_t i = 0; i < d->claims.n; i++) {
		const struct claim *c = &d->claims.v[i];
		size_t at = 0;

		if (c->network != l->network || c->refused)
			continue;
		while (at < l->n_sources && prefix_cmp(&l->sources[at].real, &c->real) != 0)
			at++;
		/* the mapped one is known to all, beside the true one or instead */
		if (at == l->n_sources && at < ARRAY_LEN(l->sources))
			l->sources[l->n_sources++] = (struct source){c->real, c->prefix};
		else if (at < l->n_sources && c->mapped)
			l->sources[at].as = c->prefix;
	}
}

static void leg_take(const struct desired *d, const struct inv_network *nw, const struct multicast_label *label,
		     const char *name, const struct net *actual, struct copies *c)
{
	const struct link *is = actual ? net_link(actual, name) : NULL;
	struct leg *l;

	if (!is || is->ifindex <= 0 || c->n >= LEGS_MAX)
		return;
	l = xgrow(&c->legs, c->n, &c->cap);
	c->n++;
	str_copy(l->name, name);
	l->ifindex = is->ifindex;
	l->network = nw;
	l->n_ranges = ranges_of(label, l->ranges);
	sources_take(d, l);
}

static void vni_legs(const struct desired_input *in, const struct desired *d, const struct net *net,
		     const struct net *actual, struct net *host, struct copies *c)
{
	for (size_t s = 0; s < in->inventory->n_stacks; s++) {
		const struct inv_stack *stack = &in->inventory->stacks[s];

		for (size_t k = 0; stack->vni == net->id.vni && k < stack->n_networks; k++) {
			const struct inv_network *nw = &stack->networks[k];
			const struct multicast_label *label = label_of(in->inventory, nw->id);
			char leg[16], port[16];
			struct link *l;

			name_derive(leg, "leg-", nw->id);
			name_derive(port, "drl-", nw->id);
			l = net_link(host, port);
			if (!l || !net_link(net, leg))
				continue;
			l->mcast_router = label ? MCAST_ROUTER_ALWAYS : MCAST_ROUTER_QUERIES;
			if (label)
				leg_take(d, nw, label, leg, actual, c);
		}
	}
}

static void vni_table(const struct desired_input *in, const struct desired *d, struct net *net, struct net *host)
{
	const struct net *actual = net_list_find(in->actual, &net->id);
	struct copies c = {0};

	for (size_t i = 0; i < net->n_links; i++) {
		const struct link *is = actual ? net_link(actual, net->links[i].name) : NULL;

		if (net->links[i].kind != LINK_VXLAN || !is || is->ifindex <= 0)
			continue;
		str_copy(c.tunnel, is->name);
		c.tunnel_ifindex = is->ifindex;
	}
	c.mac = vtep_mac(in->host_id, net->id.vni);
	vni_legs(in, d, net, actual, host, &c);
	if (c.n) {
		nft_netdev_begin(&c.table, &net->shortcut, PRIORITY);
		for (size_t i = 0; i < c.n; i++)
			rules_from_leg(&c, &c.legs[i]);
		if (c.tunnel[0])
			rules_from_tunnel(&c);
		nft_netdev_end(&c.table);
	}
	free(c.legs);
}

void mcast_add(const struct desired_input *in, struct desired *d)
{
	static const struct net_id id = {.kind = NET_HOST};
	struct net *host = net_list_find(&d->nets, &id);

	for (size_t i = 0; host && i < d->nets.n; i++)
		if (d->nets.v[i]->id.kind == NET_VNI)
			vni_table(in, d, d->nets.v[i], host);
}
