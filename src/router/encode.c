/* SPDX-License-Identifier: Apache-2.0
 *
 * Links and entries -> rtnetlink requests. Pure. What the kernel reports of these is, decoded, the same entry again:
 * tests/unit/router/test-encode.c holds that for every type and family against the running kernel.
 */
#include "router/encode.h"

#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

struct encode_head encode_entry_head(const struct entry *e, bool remove)
{
	uint16_t add = NLM_F_CREATE | NLM_F_REPLACE;

	switch ((enum entry_type)e->type) {
	case ENTRY_ADDR:
		return remove ? (struct encode_head){RTM_DELADDR, 0} : (struct encode_head){RTM_NEWADDR, add};
	case ENTRY_NEIGH:
	case ENTRY_FDB:
		return remove ? (struct encode_head){RTM_DELNEIGH, 0} : (struct encode_head){RTM_NEWNEIGH, add};
	case ENTRY_GROUP:
		return remove ? (struct encode_head){RTM_DELNEIGH, 0}
			      : (struct encode_head){RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_APPEND};
	case ENTRY_ROUTE:
		return remove ? (struct encode_head){RTM_DELROUTE, 0} : (struct encode_head){RTM_NEWROUTE, add};
	case ENTRY_RULE: /* without EXCL the kernel would make a second one like it */
		return remove ? (struct encode_head){RTM_DELRULE, 0}
			      : (struct encode_head){RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL};
	case ENTRY_TYPE_N_:
		break;
	}
	return (struct encode_head){NLMSG_NOOP, 0};
}

static void put_ip(struct nlmsghdr *nlh, uint16_t type, uint8_t family, const uint8_t bytes[16])
{
	mnl_attr_put(nlh, type, ip_size(family), bytes);
}

static void encode_addr(struct nlmsghdr *nlh, const struct entry *e, int ifindex)
{
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	struct ip ip = ip_from_bytes(e->family, e->dst);

	ifa->ifa_family = e->family;
	ifa->ifa_prefixlen = e->len;
	ifa->ifa_index = (uint32_t)ifindex;
	/* Duplicate detection would keep an IPv6 address from working for a second; ours are derived and unique */
	ifa->ifa_flags = e->family == AF_INET6 ? IFA_F_NODAD : 0;
	ifa->ifa_scope = ip_is_link_local(&ip) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	put_ip(nlh, IFA_LOCAL, e->family, e->dst);
	put_ip(nlh, IFA_ADDRESS, e->family, e->dst);
}

static void encode_neigh(struct nlmsghdr *nlh, const struct entry *e, int ifindex, bool remove)
{
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

	ndm->ndm_family = e->family;
	ndm->ndm_ifindex = ifindex;
	put_ip(nlh, NDA_DST, e->family, e->dst);
	if (remove)
		return;
	ndm->ndm_state = NUD_PERMANENT;
	mnl_attr_put(nlh, NDA_LLADDR, sizeof(e->mac.b), e->mac.b);
	mnl_attr_put_u8(nlh, NDA_PROTOCOL, ROUTER_PROTOCOL);
}

static void encode_fdb(struct nlmsghdr *nlh, const struct entry *e, int ifindex, bool remove)
{
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

	ndm->ndm_family = AF_BRIDGE;
	ndm->ndm_ifindex = ifindex;
	ndm->ndm_flags = NTF_SELF;
	if (!remove)
		ndm->ndm_state = NUD_PERMANENT | NUD_NOARP;
	mnl_attr_put(nlh, NDA_LLADDR, sizeof(e->mac.b), e->mac.b);
	if (e->via_family)
		put_ip(nlh, NDA_DST, e->via_family, e->via);
	if (e->pref)
		mnl_attr_put_u16(nlh, NDA_PORT, htons((uint16_t)e->pref));
}

static void encode_next_hop(struct nlmsghdr *nlh, const struct entry *e)
{
	if (e->via_family == e->family) {
		put_ip(nlh, RTA_GATEWAY, e->family, e->via);
		return;
	}
	struct {
		uint16_t family; /* as struct rtvia, which has no end */
		uint8_t addr[16];
	} via = {.family = e->via_family};
	memcpy(via.addr, e->via, sizeof(via.addr));
	mnl_attr_put(nlh, RTA_VIA, sizeof(via.family) + ip_size(e->via_family), &via);
}

static void encode_route(struct nlmsghdr *nlh, const struct entry *e, int ifindex, bool remove)
{
	static const uint8_t none[16];
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = e->family;
	rtm->rtm_dst_len = e->len;
	rtm->rtm_protocol = ROUTER_PROTOCOL;
	rtm->rtm_table = e->table < 256 ? (uint8_t)e->table : RT_TABLE_UNSPEC;
	mnl_attr_put_u32(nlh, RTA_TABLE, e->table);
	if (e->len)
		put_ip(nlh, RTA_DST, e->family, e->dst);
	if (e->pref && e->family == AF_INET)
		mnl_attr_put_u32(nlh, RTA_PRIORITY, e->pref);
	if (remove) { /* by key; whatever type, next hop and device it has */
		rtm->rtm_scope = RT_SCOPE_NOWHERE;
		return;
	}
	rtm->rtm_type = RTN_UNICAST;
	rtm->rtm_scope = e->via_family ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	rtm->rtm_flags = e->onlink ? RTNH_F_ONLINK : 0;
	if (e->via_family)
		encode_next_hop(nlh, e);
	if (ifindex > 0)
		mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)ifindex);
	if (memcmp(e->src, none, sizeof(none)) != 0)
		put_ip(nlh, RTA_PREFSRC, e->family, e->src);
	if (e->mtu) {
		struct nlattr *metrics = mnl_attr_nest_start(nlh, RTA_METRICS);
		mnl_attr_put_u32(nlh, RTAX_MTU, e->mtu);
		mnl_attr_nest_end(nlh, metrics);
	}
}

static void encode_rule(struct nlmsghdr *nlh, const struct entry *e)
{
	struct fib_rule_hdr *frh = mnl_nlmsg_put_extra_header(nlh, sizeof(*frh));

	frh->family = e->family;
	frh->action = FR_ACT_TO_TBL;
	frh->src_len = e->len;
	frh->table = e->table < 256 ? (uint8_t)e->table : RT_TABLE_UNSPEC;
	mnl_attr_put_u32(nlh, FRA_TABLE, e->table);
	mnl_attr_put_u32(nlh, FRA_PRIORITY, e->pref);
	mnl_attr_put_u8(nlh, FRA_PROTOCOL, ROUTER_PROTOCOL);
	if (e->len)
		put_ip(nlh, FRA_SRC, e->family, e->dst);
	if (e->dev[0])
		mnl_attr_put_strz(nlh, FRA_IIFNAME, e->dev);
	if (e->table == RT_TABLE_MAIN)
		mnl_attr_put_u32(nlh, FRA_SUPPRESS_PREFIXLEN, 0);
}

void encode_entry(struct nlmsghdr *nlh, const struct entry *e, int ifindex, bool remove)
{
	switch ((enum entry_type)e->type) {
	case ENTRY_ADDR:
		encode_addr(nlh, e, ifindex);
		return;
	case ENTRY_NEIGH:
		encode_neigh(nlh, e, ifindex, remove);
		return;
	case ENTRY_FDB:
	case ENTRY_GROUP:
		encode_fdb(nlh, e, ifindex, remove);
		return;
	case ENTRY_ROUTE:
		encode_route(nlh, e, ifindex, remove);
		return;
	case ENTRY_RULE:
		encode_rule(nlh, e);
		return;
	case ENTRY_TYPE_N_:
		return;
	}
}

/* What both ends of a veth and every other new device say of themselves */
static void encode_new_link(struct nlmsghdr *nlh, const struct link *l, int ns_fd)
{
	mnl_attr_put_strz(nlh, IFLA_IFNAME, l->name);
	if (ns_fd >= 0)
		mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)ns_fd);
	if (!mac_is_none(&l->mac))
		mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(l->mac.b), l->mac.b);
	if (l->mtu)
		mnl_attr_put_u32(nlh, IFLA_MTU, l->mtu);
}

static void encode_vxlan_local(struct nlmsghdr *nlh, const struct link *l)
{
	const struct ip *local = &l->vxlan.local;

	/* inside, routes say what each packet is sent from; the family must be told all the same */
	if (l->vxlan.inside && !local->family)
		put_ip(nlh, IFLA_VXLAN_LOCAL6, AF_INET6, (const uint8_t[16]){0});
	if (local->family)
		put_ip(nlh, local->family == AF_INET ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, local->family, local->b);
}

static void encode_vxlan(struct nlmsghdr *nlh, const struct link *l)
{
	mnl_attr_put_u32(nlh, IFLA_VXLAN_ID, l->vxlan.vni);
	encode_vxlan_local(nlh, l);
	mnl_attr_put_u16(nlh, IFLA_VXLAN_PORT, htons(l->vxlan.port));
	mnl_attr_put_u8(nlh, IFLA_VXLAN_LEARNING, l->vxlan.learning);
	if (l->vxlan.local.family == AF_INET)
		mnl_attr_put_u8(nlh, IFLA_VXLAN_UDP_CSUM, !l->vxlan.no_checksum);
	if (l->vxlan.inside) {
		/* WireGuard proves every byte: a checksum on top would be computed twice for nothing (RFC 6935) */
		mnl_attr_put_u8(nlh, IFLA_VXLAN_UDP_ZERO_CSUM6_TX, 1);
		mnl_attr_put_u8(nlh, IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 1);
	}
	if (l->vxlan.src_low) {
		struct ifla_vxlan_port_range r = {htons(l->vxlan.src_low), htons(l->vxlan.src_high)};
		mnl_attr_put(nlh, IFLA_VXLAN_PORT_RANGE, sizeof(r), &r);
	}
}

static void encode_veth(struct nlmsghdr *nlh, const struct link *peer, int peer_ns_fd)
{
	struct nlattr *info = mnl_attr_nest_start(nlh, VETH_INFO_PEER);

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg)); /* zeroed */
	encode_new_link(nlh, peer, peer_ns_fd);
	mnl_attr_nest_end(nlh, info);
}

void encode_link_add(struct nlmsghdr *nlh, const struct link *l, int ns_fd, const struct link *peer, int peer_ns_fd)
{
	const char *kind = NULL;

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	encode_new_link(nlh, l, ns_fd);
	switch (l->kind) {
	case LINK_VXLAN:
		kind = "vxlan";
		break;
	case LINK_VETH:
		kind = "veth";
		break;
	case LINK_BRIDGE:
		kind = "bridge";
		break;
	case LINK_WIREGUARD:
		kind = "wireguard";
		break;
	case LINK_TUN:
	case LINK_OTHER:
		return;
	}
	struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, kind);
	struct nlattr *data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	if (l->kind == LINK_VXLAN)
		encode_vxlan(nlh, l);
	else if (l->kind == LINK_VETH && peer)
		encode_veth(nlh, peer, peer_ns_fd);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

void encode_link_set(struct nlmsghdr *nlh, const struct link *l, int ifindex, int what, int master_ifindex)
{
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = ifindex;
	if (what & ENCODE_SET_UP) {
		ifi->ifi_change = IFF_UP;
		ifi->ifi_flags = l->up ? IFF_UP : 0;
	}
	if (what & ENCODE_SET_NAME)
		mnl_attr_put_strz(nlh, IFLA_IFNAME, l->name);
	if (what & ENCODE_SET_MAC)
		mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(l->mac.b), l->mac.b);
	if (what & ENCODE_SET_MTU)
		mnl_attr_put_u32(nlh, IFLA_MTU, l->mtu);
	if (what & ENCODE_SET_ALIAS)
		mnl_attr_put_str(nlh, IFLA_IFALIAS, l->alias);
	if (what & ENCODE_SET_MASTER)
		mnl_attr_put_u32(nlh, IFLA_MASTER, (uint32_t)master_ifindex);
	if (what & ENCODE_SET_VXLAN) {
		struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
		mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "vxlan");
		struct nlattr *data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
		mnl_attr_put_u32(nlh, IFLA_VXLAN_ID, l->vxlan.vni);
		encode_vxlan_local(nlh, l);
		mnl_attr_put_u8(nlh, IFLA_VXLAN_LEARNING, l->vxlan.learning);
		mnl_attr_nest_end(nlh, data);
		mnl_attr_nest_end(nlh, info);
	}
	if (what & ENCODE_SET_MCAST_ROUTER) {
		struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
		mnl_attr_put_strz(nlh, IFLA_INFO_SLAVE_KIND, "bridge");
		struct nlattr *data = mnl_attr_nest_start(nlh, IFLA_INFO_SLAVE_DATA);
		mnl_attr_put_u8(nlh, IFLA_BRPORT_MULTICAST_ROUTER, l->mcast_router);
		mnl_attr_nest_end(nlh, data);
		mnl_attr_nest_end(nlh, info);
	}
	if (what & ENCODE_SET_NO_LL) {
		struct nlattr *spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
		struct nlattr *inet6 = mnl_attr_nest_start(nlh, AF_INET6);
		mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
		mnl_attr_nest_end(nlh, inet6);
		mnl_attr_nest_end(nlh, spec);
	}
}

void encode_link_move(struct nlmsghdr *nlh, int ifindex, int ns_fd)
{
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = ifindex;
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)ns_fd);
}

void encode_link_remove(struct nlmsghdr *nlh, int ifindex)
{
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = ifindex;
}
