/* SPDX-License-Identifier: Apache-2.0
 *
 * rtnetlink, as attach speaks it; see kernel.h. A veth pair is made by one message, with its peer in the container and
 * named. (The peer must not be told to come up in it: the kernel opens it before the two are joined, ENOTCONN.)
 */
#include "attach/kernel.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#ifndef IFA_PROTO
#define IFA_PROTO 11 /* Linux 5.18 */
#endif

struct message {
	_Alignas(struct nlmsghdr) char bytes[2048];
};

static struct nlmsghdr *begin(struct message *m, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(m->bytes);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	return nlh;
}

static struct nlmsghdr *begin_link(struct message *m, uint16_t type, uint16_t flags, int ifindex)
{
	struct nlmsghdr *nlh = begin(m, type, flags);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = ifindex;
	return nlh;
}

/* --- reading --- */

struct attrs {
	const struct nlattr *v[IFLA_MAX + 1];
	uint16_t max;
};

static int attr_take(const struct nlattr *a, void *arg)
{
	struct attrs *attrs = arg;
	uint16_t type = mnl_attr_get_type(a);

	if (type <= attrs->max && type < ARRAY_LEN(attrs->v))
		attrs->v[type] = a;
	return MNL_CB_OK;
}

static void text_take(const struct nlattr *a, char *ret, size_t size)
{
	if (a)
		snprintf(ret, size, "%.*s", (int)mnl_attr_get_payload_len(a), (const char *)mnl_attr_get_payload(a));
}

static uint32_t u32_take(const struct nlattr *a, uint32_t otherwise)
{
	return a && mnl_attr_get_payload_len(a) >= sizeof(uint32_t) ? mnl_attr_get_u32(a) : otherwise;
}

static void linkinfo_decode(const struct nlattr *info, struct seen_link *l)
{
	static const char *const kinds[] = {[SEEN_VETH] = "veth", [SEEN_MACVLAN] = "macvlan", [SEEN_BRIDGE] = "bridge"};
	struct attrs a = {.max = IFLA_INFO_SLAVE_DATA}, data = {.max = IFLA_MAX};
	char kind[32] = "", port[32] = "";

	mnl_attr_parse_nested(info, attr_take, &a);
	text_take(a.v[IFLA_INFO_KIND], kind, sizeof(kind));
	text_take(a.v[IFLA_INFO_SLAVE_KIND], port, sizeof(port));
	for (int i = SEEN_VETH; i <= SEEN_BRIDGE; i++)
		if (str_eq(kind, kinds[i]))
			l->kind = (enum seen_kind)i;
	if (l->kind == SEEN_MACVLAN && a.v[IFLA_INFO_DATA]) {
		mnl_attr_parse_nested(a.v[IFLA_INFO_DATA], attr_take, &data);
		l->macvlan_private = u32_take(data.v[IFLA_MACVLAN_MODE], 0) == MACVLAN_MODE_PRIVATE;
	}
	if (str_eq(port, "bridge") && a.v[IFLA_INFO_SLAVE_DATA]) {
		struct attrs brport = {.max = IFLA_MAX};

		mnl_attr_parse_nested(a.v[IFLA_INFO_SLAVE_DATA], attr_take, &brport);
		if (brport.v[IFLA_BRPORT_ISOLATED] && mnl_attr_get_payload_len(brport.v[IFLA_BRPORT_ISOLATED]) >= 1)
			l->isolated = mnl_attr_get_u8(brport.v[IFLA_BRPORT_ISOLATED]) != 0;
	}
}

static void link_decode(const struct nlmsghdr *nlh, struct seen *s)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct attrs a = {.max = IFLA_MAX};
	struct seen_link l = {0};

	/* a bridge tells about its ports in a family of its own, with half of the attributes */
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi) || ifi->ifi_family == AF_BRIDGE)
		return;
	if (nlh->nlmsg_type == RTM_DELLINK) {
		seen_remove(s, ifi->ifi_index);
		return;
	}
	mnl_attr_parse(nlh, sizeof(*ifi), attr_take, &a);
	l.ifindex = ifi->ifi_index;
	l.up = ifi->ifi_flags & IFF_UP;
	l.carrier = ifi->ifi_flags & IFF_LOWER_UP;
	text_take(a.v[IFLA_IFNAME], l.name, sizeof(l.name));
	text_take(a.v[IFLA_IFALIAS], l.alias, sizeof(l.alias));
	l.master = (int)u32_take(a.v[IFLA_MASTER], 0);
	l.lower = (int)u32_take(a.v[IFLA_LINK], 0);
	l.mtu = u32_take(a.v[IFLA_MTU], 0);
	if (a.v[IFLA_ADDRESS] && mnl_attr_get_payload_len(a.v[IFLA_ADDRESS]) == sizeof(l.mac.b))
		memcpy(l.mac.b, mnl_attr_get_payload(a.v[IFLA_ADDRESS]), sizeof(l.mac.b));
	if (a.v[IFLA_LINKINFO])
		linkinfo_decode(a.v[IFLA_LINKINFO], &l);
	seen_put(s, &l);
}

static bool ip_take(const struct nlattr *a, uint8_t family, struct ip *ret)
{
	if (!a || mnl_attr_get_payload_len(a) != ip_size(family))
		return false;
	*ret = ip_from_bytes(family, mnl_attr_get_payload(a));
	return true;
}

static void addr_decode(const struct nlmsghdr *nlh, struct seen *s)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct attrs a = {.max = IFA_PROTO};
	struct seen_addr addr = {0};
	uint32_t flags;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa) ||
	    (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return;
	mnl_attr_parse(nlh, sizeof(*ifa), attr_take, &a);
	if (!ip_take(a.v[IFA_LOCAL] ? a.v[IFA_LOCAL] : a.v[IFA_ADDRESS], ifa->ifa_family, &addr.p.ip))
		return;
	flags = u32_take(a.v[IFA_FLAGS], ifa->ifa_flags);
	addr.ifindex = (int)ifa->ifa_index;
	addr.p.len = ifa->ifa_prefixlen;
	addr.permanent = flags & IFA_F_PERMANENT;
	addr.tentative = flags & IFA_F_TENTATIVE;
	if (a.v[IFA_PROTO] && mnl_attr_get_payload_len(a.v[IFA_PROTO]) >= 1)
		addr.ours = mnl_attr_get_u8(a.v[IFA_PROTO]) == ATTACH_PROTOCOL;
	*xgrow(&s->addrs, s->n_addrs, &s->cap_addrs) = addr;
	s->n_addrs++;
}

static void route_decode(const struct nlmsghdr *nlh, struct seen *s)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct attrs a = {.max = RTA_MAX};
	struct seen_route r = {0};

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) || rtm->rtm_protocol != ATTACH_PROTOCOL ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return;
	mnl_attr_parse(nlh, sizeof(*rtm), attr_take, &a);
	r.to.ip.family = rtm->rtm_family;
	r.to.len = rtm->rtm_dst_len;
	(void)ip_take(a.v[RTA_DST], rtm->rtm_family, &r.to.ip);
	(void)ip_take(a.v[RTA_GATEWAY], rtm->rtm_family, &r.via);
	(void)ip_take(a.v[RTA_PREFSRC], rtm->rtm_family, &r.src);
	r.metric = u32_take(a.v[RTA_PRIORITY], 0);
	r.ifindex = (int)u32_take(a.v[RTA_OIF], 0);
	*xgrow(&s->routes, s->n_routes, &s->cap_routes) = r;
	s->n_routes++;
}

void kernel_decode(const struct nlmsghdr *nlh, struct seen *s)
{
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		link_decode(nlh, s);
		break;
	case RTM_NEWADDR:
		addr_decode(nlh, s);
		break;
	case RTM_NEWROUTE:
		route_decode(nlh, s);
		break;
	default: /* what we did not ask for */
		break;
	}
}

static void on_message(void *arg, const struct nlmsghdr *nlh)
{
	kernel_decode(nlh, arg);
}

static void links_clear(void *arg)
{
	((struct seen *)arg)->n_links = 0;
}

static void addrs_clear(void *arg)
{
	((struct seen *)arg)->n_addrs = 0;
}

static void routes_clear(void *arg)
{
	((struct seen *)arg)->n_routes = 0;
}

int kernel_dump_links(struct nl *nl, struct seen *s, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = begin_link(&m, RTM_GETLINK, 0, 0);

	links_clear(s);
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return nl_dump(nl, nlh, on_message, links_clear, s, err);
}

static int dump_routes(struct nl *nl, uint8_t family, struct seen *s, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = begin(&m, RTM_GETROUTE, 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	struct seen part = {0};
	int rc;

	rtm->rtm_family = family;
	rtm->rtm_protocol = ATTACH_PROTOCOL;
	mnl_attr_put_u32(nlh, RTA_TABLE, RT_TABLE_MAIN);
	rc = nl_dump(nl, nlh, on_message, routes_clear, &part, err);
	if (rc == -ENOENT || rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP)
		rc = 0; /* a table that nobody has put anything into, or no IPv6 */
	for (size_t i = 0; rc == 0 && i < part.n_routes; i++) {
		*xgrow(&s->routes, s->n_routes, &s->cap_routes) = part.routes[i];
		s->n_routes++;
	}
	seen_done(&part);
	return rc;
}

void kernel_forget_rest(struct seen *s)
{
	addrs_clear(s);
	routes_clear(s);
}

int kernel_dump_rest(struct nl *nl, struct seen *s, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = begin(&m, RTM_GETADDR, 0);
	int rc;

	kernel_forget_rest(s);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifaddrmsg));
	rc = nl_dump(nl, nlh, on_message, addrs_clear, s, err);
	if (rc == 0)
		rc = dump_routes(nl, AF_INET, s, err);
	return rc == 0 ? dump_routes(nl, AF_INET6, s, err) : rc;
}

void kernel_read_link(struct nl *nl, const char *name, struct seen *s)
{
	struct message m;
	struct nlmsghdr *nlh = begin_link(&m, RTM_GETLINK, 0, 0);
	struct seen_link *before = seen_by_name(s, name);
	struct err err;

	if (before)
		seen_remove(s, before->ifindex);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	(void)!nl_get(nl, nlh, on_message, s, &err);
}

/* --- changing --- */

static int request(struct nl *nl, struct nlmsghdr *nlh, const char *what, struct err *err)
{
	int rc = nl_get(nl, nlh, NULL, NULL, err);

	return rc < 0 ? err_wrap(err, "%s", what) : 0;
}

static void put_mac(struct nlmsghdr *nlh, const struct mac *m)
{
	if (!mac_is_none(m))
		mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(m->b), m->b);
}

static uint32_t mtu_for(const struct want *w, const struct seen_link *parent)
{
	if (!w->mtu || (w->spec->kind != NIC_VETH && w->mtu > parent->mtu))
		return parent->mtu;
	return w->mtu;
}

static int make_veth(const struct places *p, const struct want *w, const struct seen_link *parent, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = begin_link(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info, *data, *peer;

	mnl_attr_put_strz(nlh, IFLA_IFNAME, w->host);
	mnl_attr_put_u32(nlh, IFLA_MTU, parent->mtu);
	mnl_attr_put_u32(nlh, IFLA_MASTER, (uint32_t)parent->ifindex);
	put_mac(nlh, &w->host_mac);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, w->spec->name);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu_for(w, parent));
	put_mac(nlh, &w->mac);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)p->ct_fd);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	return request(p->host, nlh, "make a veth pair", err);
}

static void put_macvlan(struct nlmsghdr *nlh, uint32_t mode)
{
	struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO), *data;

	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "macvlan");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put_u32(nlh, IFLA_MACVLAN_MODE, mode);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

static int make_macvlan(const struct places *p, const struct want *w, const struct seen_link *parent, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = begin_link(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);

	mnl_attr_put_strz(nlh, IFLA_IFNAME, w->spec->name);
	mnl_attr_put_u32(nlh, IFLA_LINK, (uint32_t)parent->ifindex);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu_for(w, parent));
	put_mac(nlh, &w->mac);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)p->ct_fd);
	put_macvlan(nlh, w->spec->kind == NIC_MACVLAN_PRIVATE ? MACVLAN_MODE_PRIVATE : MACVLAN_MODE_BRIDGE);
	return request(p->host, nlh, "make a macvlan", err);
}

int kernel_set_alias(struct nl *nl, int ifindex, const char *alias, const char *rename, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = begin_link(&m, RTM_NEWLINK, 0, ifindex);

	/* without the end of the text, so that "" is an empty one */
	mnl_attr_put(nlh, IFLA_IFALIAS, strlen(alias), alias);
	if (rename)
		mnl_attr_put_strz(nlh, IFLA_IFNAME, rename);
	return request(nl, nlh, "set alias", err);
}

/* Its alias first: dying after that leaves something that says what it was called */
static int take_physical(const struct places *p, const struct want *w, const struct seen_link *parent, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh;
	int rc = kernel_set_alias(p->host, parent->ifindex, w->alias, NULL, err);

	if (rc < 0)
		return rc;
	nlh = begin_link(&m, RTM_NEWLINK, 0, parent->ifindex);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)p->ct_fd);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, w->spec->name);
	rc = request(p->host, nlh, "move the interface", err);
	if (rc < 0)
		(void)!kernel_set_alias(p->host, parent->ifindex, "", NULL, NULL);
	return rc;
}

int kernel_give_back(const struct places *p, int ifindex, const char *name, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = begin_link(&m, RTM_NEWLINK, 0, ifindex);

	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)p->host_fd);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return request(p->ct, nlh, "move the interface back", err);
}

static int make(const struct places *p, const struct seen *host, const struct want *w, struct err *err)
{
	const struct seen_link *parent = seen_by_name(host, w->spec->parent);

	if (!parent)
		return err_set(err, -ENODEV, "%s has gone", w->spec->parent);
	switch (w->spec->kind) {
	case NIC_VETH:
		return make_veth(p, w, parent, err);
	case NIC_MACVLAN:
	case NIC_MACVLAN_PRIVATE:
		return make_macvlan(p, w, parent, err);
	case NIC_PHYSICAL:
		return take_physical(p, w, parent, err);
	case NIC_KIND_N_:
		break;
	}
	return err_set(err, -EINVAL, "no such kind");
}

int kernel_remove_link(struct nl *nl, int ifindex, struct err *err)
{
	struct message m;
	int rc = request(nl, begin_link(&m, RTM_DELLINK, 0, ifindex), "remove", err);

	return rc == -ENODEV ? 0 : rc;
}

/*
 * A group is a number that a link can be given, and by which all that have it are removed. Nobody else gives this one;
 * and had we died after giving it, the next removal would take away what was to go then.
 */
#define DOOMED_GROUP 0x64726174u /* "drat" */

static bool removed_as_group(struct nl *nl, const int *ifindex, size_t n)
{
	struct message m;
	struct nlmsghdr *nlh;
	struct err err;

	for (size_t i = 0; i < n; i++) {
		nlh = nl_begin(nl, RTM_NEWLINK, 0, NULL);
		struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
		ifi->ifi_index = ifindex[i];
		mnl_attr_put_u32(nlh, IFLA_GROUP, DOOMED_GROUP);
		nl_end(nl);
	}
	if (nl_commit(nl, NULL, NULL) < 0) /* one that is gone fails, and is no matter */
		return false;
	nlh = begin_link(&m, RTM_DELLINK, 0, 0);
	mnl_attr_put_u32(nlh, IFLA_GROUP, DOOMED_GROUP);
	return request(nl, nlh, "remove", &err) == 0;
}

int kernel_remove_links(struct nl *nl, const int *ifindex, size_t n, struct err *err)
{
	int rc = 0;

	if (n > 1 && removed_as_group(nl, ifindex, n))
		return 0;
	for (size_t i = 0; i < n; i++) {
		int one = kernel_remove_link(nl, ifindex[i], err);

		rc = one < 0 ? one : rc;
	}
	return rc;
}

static void put_up(struct nlmsghdr *nlh)
{
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
}

static int link_up(struct nl *nl, int ifindex, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = begin_link(&m, RTM_NEWLINK, 0, ifindex);

	put_up(nlh);
	return request(nl, nlh, "set up", err);
}

static void put_isolated(struct nlmsghdr *nlh, bool isolated)
{
	struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO), *data;

	mnl_attr_put_strz(nlh, IFLA_INFO_SLAVE_KIND, "bridge");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_SLAVE_DATA);
	mnl_attr_put_u8(nlh, IFLA_BRPORT_ISOLATED, isolated);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

/* A port of a bridge is nobody to talk to: the kernel gives it no IPv6 address. Before it comes up */
static void put_no_ll(struct nlmsghdr *nlh)
{
	struct nlattr *spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC), *inet6 = mnl_attr_nest_start(nlh, AF_INET6);

	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, inet6);
	mnl_attr_nest_end(nlh, spec);
}

/* What failed first of a batch, where it matters */
struct set_failure {
	int code;
	struct err *err;
};
enum { SET_ATTRS, SET_NO_LL, SET_ISOLATION, SET_UP_AT_LAST, SET_N_ };

static void on_set_failed(void *arg, void *cookie, int code, const char *extack)
{
	static const char *const what[SET_N_] = {"set", "set address generation", "set isolation", "set up"};
	struct set_failure *f = arg;
	size_t step = (size_t)(uintptr_t)cookie;

	if (f->code < 0 || (step == SET_NO_LL && code == -EAFNOSUPPORT)) /* a kernel without IPv6 */
		return;
	f->code = err_errno(f->err, code, extack[0] ? "%s: %s" : "%s%s", what[step], extack);
}

static struct nlmsghdr *batch_link(struct nl *nl, int ifindex, size_t step)
{
	struct nlmsghdr *nlh = nl_begin(nl, RTM_NEWLINK, 0, (void *)(uintptr_t)step);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = ifindex;
	return nlh;
}

/* In one go, but in this order: the kernel sets a link up before it reads the rest of the same message */
static int set(struct nl *nl, const struct want *w, const struct op *op, const struct mac *mac, struct err *err)
{
	struct set_failure failure = {.err = err};
	struct nlmsghdr *nlh;
	int rc;

	nlh = batch_link(nl, op->ifindex, SET_ATTRS);
	if (op->set & SET_ALIAS)
		mnl_attr_put(nlh, IFLA_IFALIAS, strlen(w->alias), w->alias);
	if (op->set & SET_MTU)
		mnl_attr_put_u32(nlh, IFLA_MTU, op->mtu);
	if (op->set & SET_MASTER)
		mnl_attr_put_u32(nlh, IFLA_MASTER, (uint32_t)op->master);
	if (op->set & SET_MAC)
		put_mac(nlh, mac);
	nl_end(nl);
	if (op->set & SET_UP && op->kind == OP_HOST_SET) {
		put_no_ll(batch_link(nl, op->ifindex, SET_NO_LL));
		nl_end(nl);
	}
	if (op->set & SET_ISOLATED) {
		put_isolated(batch_link(nl, op->ifindex, SET_ISOLATION), w->spec->isolated);
		nl_end(nl);
	}
	if (op->set & SET_UP) {
		put_up(batch_link(nl, op->ifindex, SET_UP_AT_LAST));
		nl_end(nl);
	}
	rc = nl_commit(nl, on_set_failed, &failure);
	return rc < 0 ? err_errno(err, rc, "set") : failure.code;
}

static int addr_send(const struct places *p, const struct op *op, bool remove, bool proto, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = begin(&m, remove ? RTM_DELADDR : RTM_NEWADDR, remove ? 0 : NLM_F_CREATE | NLM_F_REPLACE);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	const struct ip *ip = &op->address.ip;

	ifa->ifa_family = ip->family;
	ifa->ifa_prefixlen = op->address.len;
	ifa->ifa_index = (uint32_t)op->ifindex;
	ifa->ifa_flags = ip->family == AF_INET6 && !op->look_for_duplicates ? IFA_F_NODAD : 0;
	mnl_attr_put(nlh, IFA_LOCAL, ip_size(ip->family), ip->b);
	mnl_attr_put(nlh, IFA_ADDRESS, ip_size(ip->family), ip->b);
	if (ip->family == AF_INET && !remove && op->address.len < 31) {
		struct ip last = prefix_last(&op->address);

		mnl_attr_put(nlh, IFA_BROADCAST, 4, last.b);
	}
	if (proto && !remove)
		mnl_attr_put_u8(nlh, IFA_PROTO, ATTACH_PROTOCOL);
	return request(p->ct, nlh, remove ? "remove address" : "add address", err);
}

int kernel_route(struct nl *nl, int ifindex, const struct want_route *r, bool remove, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = begin(&m, remove ? RTM_DELROUTE : RTM_NEWROUTE, remove ? 0 : NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	uint8_t family = r->to.ip.family;
	char text[PREFIX_STRLEN];
	int rc;

	rtm->rtm_family = family;
	rtm->rtm_dst_len = r->to.len;
	rtm->rtm_protocol = ATTACH_PROTOCOL;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_type = RTN_UNICAST;
	rtm->rtm_scope = ip_is_none(&r->via) && family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	rtm->rtm_flags = r->onlink && !remove ? RTNH_F_ONLINK : 0;
	if (r->to.len)
		mnl_attr_put(nlh, RTA_DST, ip_size(family), r->to.ip.b);
	if (!ip_is_none(&r->via))
		mnl_attr_put(nlh, RTA_GATEWAY, ip_size(family), r->via.b);
	if (!ip_is_none(&r->src) && !remove)
		mnl_attr_put(nlh, RTA_PREFSRC, ip_size(family), r->src.b);
	mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)ifindex);
	mnl_attr_put_u32(nlh, RTA_PRIORITY, r->metric);
	rc = nl_get(nl, nlh, NULL, NULL, err);
	if (rc == -ESRCH && remove)
		return 0;
	return rc < 0 ? err_wrap(err, "route %s", prefix_format(&r->to, text)) : 0;
}

int kernel_apply(const struct places *p, const struct seen *host, const struct want *w, const struct op *op,
		 struct err *err)
{
	int rc;

	switch (op->kind) {
	case OP_MAKE:
		return make(p, host, w, err);
	case OP_HOST_REMOVE:
		return kernel_remove_link(p->host, op->ifindex, err);
	case OP_NIC_REMOVE:
		if (w->spec->kind == NIC_PHYSICAL)
			return kernel_give_back(p, op->ifindex, w->spec->parent, err);
		return kernel_remove_link(p->ct, op->ifindex, err);
	case OP_HOST_SET:
		return set(p->host, w, op, &w->host_mac, err);
	case OP_NIC_SET:
		return set(p->ct, w, op, &w->mac, err);
	case OP_ADDR_ADD:
		rc = addr_send(p, op, false, true, err);
		/* kernels before 5.18 know no owner of an address */
		return rc == -EINVAL ? addr_send(p, op, false, false, err) : rc;
	case OP_ADDR_REMOVE:
		rc = addr_send(p, op, true, false, err);
		return rc == -EADDRNOTAVAIL ? 0 : rc;
	case OP_ROUTE_ADD:
	case OP_ROUTE_REMOVE:
		return kernel_route(p->ct, op->ifindex, &op->route, op->kind == OP_ROUTE_REMOVE, err);
	case OP_SYSCTL:
	case OP_KIND_N_:
		break;
	}
	return err_set(err, -EINVAL, "not an operation of the kernel's");
}

int kernel_make_shim(struct nl *nl, const char *name, int parent, const char *alias, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = begin_link(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct seen made = {0};
	struct seen_link *l;
	int rc;

	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_LINK, (uint32_t)parent);
	put_macvlan(nlh, MACVLAN_MODE_BRIDGE);
	rc = request(nl, nlh, "make the host's macvlan", err);
	if (rc < 0)
		return rc;
	kernel_read_link(nl, name, &made);
	l = seen_by_name(&made, name);
	rc = l ? kernel_set_alias(nl, l->ifindex, alias, NULL, err) : err_set(err, -ENODEV, "%s has gone", name);
	if (rc == 0 && l)
		rc = link_up(nl, l->ifindex, err);
	seen_done(&made);
	return rc;
}
