/* SPDX-License-Identifier: Apache-2.0
 *
 * rtnetlink messages -> links, entries and foreign routes. Pure and bounded: every length is checked here, nothing is
 * taken on trust, though the kernel is who speaks. It decides what a message *is*; whether it is ours, where that is
 * not written in it, is for observe.c, who knows the links.
 */
#include "router/decode.h"

#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

void attrs_parse(struct attrs *a, const void *data, size_t len)
{
	const char *p = data;

	*a = (struct attrs){0};
	while (len >= sizeof(struct nlattr)) {
		const struct nlattr *at = (const void *)p;
		if (at->nla_len < sizeof(*at) || at->nla_len > len)
			return;
		unsigned type = at->nla_type & NLA_TYPE_MASK;
		if (type < ATTRS_MAX)
			a->v[type] = at;
		size_t step = NLA_ALIGN((size_t)at->nla_len);
		if (step >= len)
			return;
		p += step;
		len -= step;
	}
}

bool attrs_message(struct attrs *a, const struct nlmsghdr *nlh, size_t header)
{
	size_t start = NLMSG_HDRLEN + NLMSG_ALIGN(header);

	*a = (struct attrs){0};
	if (nlh->nlmsg_len < NLMSG_HDRLEN + header)
		return false;
	if (nlh->nlmsg_len > start)
		attrs_parse(a, (const char *)nlh + start, nlh->nlmsg_len - start);
	return true;
}

bool attrs_nested(struct attrs *a, const struct nlattr *in)
{
	*a = (struct attrs){0};
	if (!in)
		return false;
	attrs_parse(a, (const char *)in + NLA_HDRLEN, attr_size(in));
	return true;
}

size_t attr_size(const struct nlattr *a)
{
	return (size_t)a->nla_len - NLA_HDRLEN;
}

const void *attr_data(const struct nlattr *a, size_t min)
{
	return a && attr_size(a) >= min ? (const char *)a + NLA_HDRLEN : NULL;
}

uint32_t attr_u32(const struct nlattr *a, uint32_t otherwise)
{
	const void *p = attr_data(a, sizeof(otherwise));
	if (p)
		memcpy(&otherwise, p, sizeof(otherwise));
	return otherwise;
}

uint32_t attr_be32(const struct nlattr *a, uint32_t otherwise)
{
	return attr_data(a, 4) ? ntohl(attr_u32(a, 0)) : otherwise;
}

uint16_t attr_be16(const struct nlattr *a, uint16_t otherwise)
{
	uint16_t v;
	const void *p = attr_data(a, sizeof(v));
	if (!p)
		return otherwise;
	memcpy(&v, p, sizeof(v));
	return ntohs(v);
}

uint8_t attr_u8(const struct nlattr *a, uint8_t otherwise)
{
	const uint8_t *p = attr_data(a, 1);
	return p ? *p : otherwise;
}

bool attr_str(const struct nlattr *a, char *ret, size_t size)
{
	const char *p = attr_data(a, 1);

	ret[0] = '\0';
	if (!p)
		return false;
	size_t n = strnlen(p, attr_size(a));
	if (n >= size)
		return false;
	memcpy(ret, p, n);
	ret[n] = '\0';
	return true;
}

/* An address of @family into 16 zeroed bytes */
static bool attr_ip(const struct nlattr *a, uint8_t family, uint8_t ret[16])
{
	size_t n = ip_size(family);
	const void *p = n ? attr_data(a, n) : NULL;
	if (!p)
		return false;
	memcpy(ret, p, n);
	return true;
}

static void decode_vxlan(const struct nlattr *data, struct link *l)
{
	struct attrs a;

	l->kind = LINK_VXLAN;
	if (!attrs_nested(&a, data))
		return;
	l->vxlan.vni = attr_u32(a.v[IFLA_VXLAN_ID], 0);
	if (attr_ip(a.v[IFLA_VXLAN_LOCAL], AF_INET, l->vxlan.local.b))
		l->vxlan.local.family = AF_INET;
	else if (attr_ip(a.v[IFLA_VXLAN_LOCAL6], AF_INET6, l->vxlan.local.b))
		l->vxlan.local.family = AF_INET6;
	l->vxlan.port = attr_be16(a.v[IFLA_VXLAN_PORT], 0);
	const void *range = attr_data(a.v[IFLA_VXLAN_PORT_RANGE], sizeof(struct ifla_vxlan_port_range));
	if (range) {
		struct ifla_vxlan_port_range r;
		memcpy(&r, range, sizeof(r));
		l->vxlan.src_low = ntohs(r.low);
		l->vxlan.src_high = ntohs(r.high);
	}
	l->vxlan.learning = attr_u8(a.v[IFLA_VXLAN_LEARNING], 0) != 0;
}

static void decode_linkinfo(const struct nlattr *info, struct link *l)
{
	struct attrs a, port;
	char kind[16];

	if (!attrs_nested(&a, info))
		return;
	if (attr_str(a.v[IFLA_INFO_SLAVE_KIND], kind, sizeof(kind)) && str_eq(kind, "bridge") &&
	    attrs_nested(&port, a.v[IFLA_INFO_SLAVE_DATA]))
		l->mcast_router = attr_u8(port.v[IFLA_BRPORT_MULTICAST_ROUTER], 0);
	if (!attr_str(a.v[IFLA_INFO_KIND], kind, sizeof(kind)))
		return;
	if (str_eq(kind, "vxlan"))
		decode_vxlan(a.v[IFLA_INFO_DATA], l);
	else if (str_eq(kind, "veth"))
		l->kind = LINK_VETH;
	else if (str_eq(kind, "bridge"))
		l->kind = LINK_BRIDGE;
	else if (str_eq(kind, "wireguard"))
		l->kind = LINK_WIREGUARD;
	else if (str_eq(kind, "tun"))
		l->kind = LINK_TUN;
}

/* IFLA_AF_SPEC { AF_INET6 { IFLA_INET6_CONF: an array of int } } */
static bool decode_ipv6_off(const struct nlattr *spec)
{
	struct attrs families, inet6;
	int32_t off;
	size_t at = DEVCONF_DISABLE_IPV6 * sizeof(off);

	if (!attrs_nested(&families, spec))
		return false;
	if (!attrs_nested(&inet6, families.v[AF_INET6]))
		return true; /* the kernel has no IPv6 on this device */
	const char *conf = attr_data(inet6.v[IFLA_INET6_CONF], at + sizeof(off));
	if (!conf)
		return false;
	memcpy(&off, conf + at, sizeof(off));
	return off != 0;
}

static void decode_link(const struct nlmsghdr *nlh, struct decoded *ret)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(nlh);
	struct link *l = &ret->link;
	struct attrs a;

	/* AF_BRIDGE tells of ports, not of links: RTM_DELLINK there means "has left the bridge" */
	if (!attrs_message(&a, nlh, sizeof(*ifi)) || ifi->ifi_family != AF_UNSPEC || ifi->ifi_index <= 0)
		return;
	memset(l, 0, sizeof(*l));
	if (!attr_str(a.v[IFLA_IFNAME], l->name, sizeof(l->name)) || !l->name[0])
		return;
	attr_str(a.v[IFLA_IFALIAS], l->alias, sizeof(l->alias));
	if (a.v[IFLA_ADDRESS] && attr_size(a.v[IFLA_ADDRESS]) == sizeof(l->mac.b))
		memcpy(l->mac.b, attr_data(a.v[IFLA_ADDRESS], 6), 6);
	l->mtu = attr_u32(a.v[IFLA_MTU], 0);
	l->up = (ifi->ifi_flags & IFF_UP) != 0;
	l->ifindex = ifi->ifi_index;
	l->peer_ifindex = (int)attr_u32(a.v[IFLA_LINK], 0);
	l->ipv6_off = decode_ipv6_off(a.v[IFLA_AF_SPEC]);
	decode_linkinfo(a.v[IFLA_LINKINFO], l);
	ret->kind = DECODED_LINK;
	ret->ifindex = ifi->ifi_index;
	ret->master = (int)attr_u32(a.v[IFLA_MASTER], 0);
}

static void decode_addr(const struct nlmsghdr *nlh, struct decoded *ret)
{
	const struct ifaddrmsg *ifa = NLMSG_DATA(nlh);
	struct entry *e = &ret->entry;
	struct attrs a;

	if (!attrs_message(&a, nlh, sizeof(*ifa)) || ifa->ifa_prefixlen > ip_bits(ifa->ifa_family))
		return;
	/* With a peer IFA_ADDRESS is the other end; our own is IFA_LOCAL then, and on IPv4 always */
	if (!attr_ip(a.v[IFA_LOCAL], ifa->ifa_family, e->dst) && !attr_ip(a.v[IFA_ADDRESS], ifa->ifa_family, e->dst))
		return;
	e->type = ENTRY_ADDR;
	e->family = ifa->ifa_family;
	e->len = ifa->ifa_prefixlen;
	ret->kind = DECODED_ENTRY;
	ret->ifindex = (int)ifa->ifa_index;
}

/* Our own routes have one next hop; one with several stays without, so that it differs from every desired one */
static void decode_next_hop(const struct rtmsg *rtm, const struct attrs *a, struct decoded *ret)
{
	struct entry *e = &ret->entry;
	const struct nlattr *via = a->v[RTA_VIA];

	if (rtm->rtm_type != RTN_UNICAST || a->v[RTA_MULTIPATH])
		return;
	ret->ifindex = (int)attr_u32(a->v[RTA_OIF], 0);
	if (attr_ip(a->v[RTA_GATEWAY], e->family, e->via)) {
		e->via_family = e->family;
	} else if (attr_data(via, sizeof(struct rtvia))) {
		const struct rtvia *v = attr_data(via, sizeof(*v));
		size_t n = v->rtvia_family <= UINT8_MAX ? ip_size((uint8_t)v->rtvia_family) : 0;
		if (n && attr_size(via) >= sizeof(*v) + n) {
			memcpy(e->via, v->rtvia_addr, n);
			e->via_family = (uint8_t)v->rtvia_family;
		}
	}
	e->onlink = (rtm->rtm_flags & RTNH_F_ONLINK) != 0;
}

static void decode_route(const struct nlmsghdr *nlh, struct decoded *ret)
{
	const struct rtmsg *rtm = NLMSG_DATA(nlh);
	struct entry *e = &ret->entry;
	struct attrs a, metrics;

	if (!attrs_message(&a, nlh, sizeof(*rtm)) || (rtm->rtm_flags & RTM_F_CLONED) ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6) || rtm->rtm_dst_len > ip_bits(rtm->rtm_family))
		return;
	e->type = ENTRY_ROUTE;
	e->family = rtm->rtm_family;
	e->len = rtm->rtm_dst_len;
	e->table = attr_u32(a.v[RTA_TABLE], rtm->rtm_table);
	if (!attr_ip(a.v[RTA_DST], e->family, e->dst) && e->len)
		return;
	if (e->family == AF_INET) /* IPv6 has 1024 where none was given */
		e->pref = attr_u32(a.v[RTA_PRIORITY], 0);
	if (rtm->rtm_protocol != ROUTER_PROTOCOL) {
		ret->kind = DECODED_FOREIGN;
		ret->ifindex = (int)attr_u32(a.v[RTA_OIF], 0);
		struct ip dst = ip_from_bytes(e->family, e->dst);
		ret->counts = rtm->rtm_type == RTN_UNICAST && e->len && e->table != RT_TABLE_LOCAL &&
			      !ip_is_multicast(&dst) && !ip_is_link_local(&dst);
		ret->foreign = (struct foreign_route){.dst = {.ip = dst, .len = e->len}};
		return;
	}
	decode_next_hop(rtm, &a, ret);
	attr_ip(a.v[RTA_PREFSRC], e->family, e->src);
	if (attrs_nested(&metrics, a.v[RTA_METRICS]))
		e->mtu = attr_u32(metrics.v[RTAX_MTU], 0);
	ret->kind = DECODED_ENTRY;
	ret->ours = true;
}

static void decode_rule(const struct nlmsghdr *nlh, struct decoded *ret)
{
	const struct fib_rule_hdr *frh = NLMSG_DATA(nlh);
	struct entry *e = &ret->entry;
	struct attrs a;

	if (!attrs_message(&a, nlh, sizeof(*frh)) || (frh->family != AF_INET && frh->family != AF_INET6) ||
	    attr_u8(a.v[FRA_PROTOCOL], 0) != ROUTER_PROTOCOL)
		return;
	/* We never made one that also looks at something else: then it is a stranger's under our number */
	if (frh->action != FR_ACT_TO_TBL || frh->dst_len || frh->tos || (frh->flags & FIB_RULE_INVERT) ||
	    a.v[FRA_OIFNAME] || a.v[FRA_FWMARK] || frh->src_len > ip_bits(frh->family))
		return;
	e->type = ENTRY_RULE;
	e->family = frh->family;
	e->len = frh->src_len;
	e->table = attr_u32(a.v[FRA_TABLE], frh->table);
	e->pref = attr_u32(a.v[FRA_PRIORITY], 0);
	attr_str(a.v[FRA_IIFNAME], e->dev, sizeof(e->dev));
	if (!attr_ip(a.v[FRA_SRC], e->family, e->dst) && e->len)
		return;
	ret->kind = DECODED_ENTRY;
	ret->ours = true;
}

static void decode_fdb(const struct ndmsg *ndm, const struct attrs *a, struct decoded *ret)
{
	struct entry *e = &ret->entry;
	const struct nlattr *dst = a->v[NDA_DST];
	const void *mac = attr_data(a->v[NDA_LLADDR], sizeof(e->mac.b));

	if (!mac || !(ndm->ndm_flags & NTF_SELF))
		return;
	memcpy(e->mac.b, mac, sizeof(e->mac.b));
	e->type = e->mac.b[0] & 1 ? ENTRY_GROUP : ENTRY_FDB;
	if (dst && attr_ip(dst, attr_size(dst) == 4 ? AF_INET : AF_INET6, e->via))
		e->via_family = attr_size(dst) == 4 ? AF_INET : AF_INET6;
	if (!e->via_family)
		return;
	e->pref = attr_be16(a->v[NDA_PORT], 0);
	if (!(ndm->ndm_state & NUD_PERMANENT))
		ret->removed = true;
	ret->kind = DECODED_ENTRY;
	ret->ifindex = ndm->ndm_ifindex;
}

static void decode_neigh(const struct nlmsghdr *nlh, struct decoded *ret)
{
	const struct ndmsg *ndm = NLMSG_DATA(nlh);
	struct entry *e = &ret->entry;
	struct attrs a;

	if (!attrs_message(&a, nlh, sizeof(*ndm)))
		return;
	if (ndm->ndm_family == AF_BRIDGE) {
		decode_fdb(ndm, &a, ret);
		return;
	}
	if (!attr_ip(a.v[NDA_DST], ndm->ndm_family, e->dst) || (ndm->ndm_flags & NTF_PROXY))
		return;
	e->type = ENTRY_NEIGH;
	e->family = ndm->ndm_family;
	struct ip ip = ip_from_bytes(e->family, e->dst);
	if (ip_is_multicast(&ip))
		return;
	/* One that the kernel is about to forget has no MAC any more */
	const void *mac = attr_data(a.v[NDA_LLADDR], sizeof(e->mac.b));
	if (mac)
		memcpy(e->mac.b, mac, sizeof(e->mac.b));
	if (!(ndm->ndm_state & NUD_PERMANENT) || !mac)
		ret->removed = true;
	ret->kind = DECODED_ENTRY;
	ret->ours = attr_u8(a.v[NDA_PROTOCOL], 0) == ROUTER_PROTOCOL;
	ret->ifindex = ndm->ndm_ifindex;
}

void decode_rt(const struct nlmsghdr *nlh, struct decoded *ret)
{
	ret->kind = DECODED_NOTHING;
	ret->removed = ret->ours = ret->counts = false;
	ret->ifindex = ret->master = 0;
	memset(&ret->entry, 0, sizeof(ret->entry));
	if (nlh->nlmsg_len < NLMSG_HDRLEN)
		return;

	/* every kind has four numbers: new, del, get, set */
	ret->removed = ((nlh->nlmsg_type - RTM_BASE) & 3) == 1;
	switch (nlh->nlmsg_type) {
	case RTM_DELLINK:
	case RTM_NEWLINK:
		decode_link(nlh, ret);
		return;
	case RTM_DELADDR:
	case RTM_NEWADDR:
		decode_addr(nlh, ret);
		return;
	case RTM_DELROUTE:
	case RTM_NEWROUTE:
		decode_route(nlh, ret);
		return;
	case RTM_DELRULE:
	case RTM_NEWRULE:
		decode_rule(nlh, ret);
		return;
	case RTM_DELNEIGH:
	case RTM_NEWNEIGH:
		decode_neigh(nlh, ret);
		return;
	default: /* the kernel's numbers, not an enum of ours */
		return;
	}
}
