/* SPDX-License-Identifier: Apache-2.0
 *
 * rtnetlink for endpoints; see link.h. The kernel answers inside the call: nothing here waits.
 */
#include "driver/link.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "base/log.h"

#define ADDR_GEN_NONE 1 /* IN6_ADDR_GEN_MODE_NONE: no address, and no router solicitation, while it is on the host */

/* --- looking --- */

struct link_seen {
	struct link_found found;
	const struct mac *mac; /* looked for, or NULL */
	int by_mac;
};

static bool bridge_of(const struct nlattr *info)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, info) if (mnl_attr_get_type(a) == IFLA_INFO_KIND &&
					      mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >=
						      0) return str_eq(mnl_attr_get_str(a), "bridge");
	return false;
}

static void on_link(void *arg, const struct nlmsghdr *nlh)
{
	struct link_seen *s = arg;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return;
	s->found = (struct link_found){.index = ifi->ifi_index};
	mnl_attr_for_each(a, nlh, sizeof(*ifi))
	{
		uint16_t type = mnl_attr_get_type(a), len = mnl_attr_get_payload_len(a);

		if (type == IFLA_MTU && len >= 4)
			s->found.mtu = mnl_attr_get_u32(a);
		else if (type == IFLA_OPERSTATE && len >= 1)
			s->found.up = mnl_attr_get_u8(a) == IF_OPER_UP;
		else if (type == IFLA_LINKINFO)
			s->found.is_bridge = bridge_of(a);
		else if (type == IFLA_IFALIAS && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			s->found.ours = strncmp(mnl_attr_get_str(a), DRIVER_ALIAS, strlen(DRIVER_ALIAS)) == 0;
		else if (type == IFLA_ADDRESS && len == 6 && s->mac &&
			 memcmp(mnl_attr_get_payload(a), s->mac->b, 6) == 0 &&
			 (!s->by_mac || ifi->ifi_index < s->by_mac))
			s->by_mac = ifi->ifi_index;
	}
}

static struct nlmsghdr *request(char *buf, uint16_t type)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	return nlh;
}

int link_find(struct nl *nl, const char *name, struct link_found *ret, struct err *err)
{
	char buf[256] = {0};
	struct nlmsghdr *nlh = request(buf, RTM_GETLINK);
	struct link_seen seen = {0};
	int rc;

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	rc = nl_get(nl, nlh, on_link, &seen, err);
	if (rc < 0 && rc != -ENODEV)
		return rc;
	if (!seen.found.index)
		return err_set(err, -ENODEV, "%s: no such interface", name);
	*ret = seen.found;
	return 0;
}

static void seen_again(void *arg)
{
	struct link_seen *s = arg;

	s->by_mac = 0;
}

int link_find_mac(struct nl *nl, const struct mac *mac, struct err *err)
{
	char buf[256] = {0};
	struct nlmsghdr *nlh = request(buf, RTM_GETLINK);
	struct link_seen seen = {.mac = mac};
	int rc;

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	rc = nl_dump(nl, nlh, on_link, seen_again, &seen, err);
	if (rc < 0)
		return rc;
	return seen.by_mac ? seen.by_mac : err_set(err, -ENODEV, "no interface with that MAC");
}

bool link_event_parse(const struct nlmsghdr *nlh, struct link_event *ret)
{
	const struct nlattr *a;

	if ((nlh->nlmsg_type != RTM_DELLINK && nlh->nlmsg_type != RTM_NEWLINK) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct ifinfomsg))
		return false;
	*ret = (struct link_event){.gone = nlh->nlmsg_type == RTM_DELLINK};
	mnl_attr_for_each(a, nlh, sizeof(struct ifinfomsg))
	{
		uint16_t type = mnl_attr_get_type(a);

		if (type == IFLA_IFNAME && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			str_copy(ret->name, mnl_attr_get_str(a));
		else if (type == IFLA_OPERSTATE && mnl_attr_get_payload_len(a) >= 1)
			ret->up = mnl_attr_get_u8(a) == IF_OPER_UP;
	}
	return ret->name[0];
}

/* --- making --- */

struct failure {
	struct err *err;
	int code;
};

static void on_fail(void *arg, void *cookie, int code, const char *extack)
{
	struct failure *f = arg;
	const char *what = cookie;

	if (!f->code)
		f->code = err_set(f->err, code, "%s: %s%s%s", what, strerror(-code), extack[0] ? ": " : "", extack);
}

static int commit(struct nl *nl, struct err *err)
{
	struct failure f = {.err = err};
	int rc = nl_commit(nl, on_fail, &f);

	return rc < 0 ? err_errno(err, rc, "netlink") : f.code;
}

static struct ifinfomsg *put_link(struct nlmsghdr *nlh)
{
	return mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
}

static void put_no_ipv6(struct nlmsghdr *nlh)
{
	struct nlattr *af = mnl_attr_nest_start(nlh, IFLA_AF_SPEC), *inet6 = mnl_attr_nest_start(nlh, AF_INET6);

	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_NONE);
	mnl_attr_nest_end(nlh, inet6);
	mnl_attr_nest_end(nlh, af);
}

static void put_nic(struct nlmsghdr *nlh, const char *name, const struct mac *mac, uint32_t mtu)
{
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(mac->b), mac->b);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
}

/* A bridge takes the lowest MAC of its ports: ours never is that */
static struct mac host_mac(const struct mac *mac)
{
	struct mac m = *mac;

	m.b[0] = 0xfe;
	return m;
}

static void put_veth(struct nlmsghdr *nlh, const char *host, const char *peer, const struct driver_endpoint *e,
		     uint32_t mtu, int master)
{
	struct mac outer = host_mac(&e->mac);
	struct nlattr *info, *data, *other;

	put_link(nlh);
	put_nic(nlh, host, &outer, mtu);
	mnl_attr_put_u32(nlh, IFLA_MASTER, (uint32_t)master);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	other = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	put_nic(nlh, peer, &e->mac, mtu);
	mnl_attr_nest_end(nlh, other);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

static void put_macvlan(struct nlmsghdr *nlh, const char *peer, const struct driver_endpoint *e, uint32_t mtu,
			int parent)
{
	struct nlattr *info, *data;

	put_link(nlh);
	put_nic(nlh, peer, &e->mac, mtu);
	mnl_attr_put_u32(nlh, IFLA_LINK, (uint32_t)parent);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "macvlan");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put_u32(nlh, IFLA_MACVLAN_MODE,
			 e->kind == DRIVER_MACVLAN_PRIVATE ? MACVLAN_MODE_PRIVATE : MACVLAN_MODE_BRIDGE);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

static void change(struct nl *nl, const char *name, const char *endpoint_id, bool up)
{
	static char what[] = "set up a link";
	struct nlmsghdr *nlh = nl_begin(nl, RTM_NEWLINK, 0, what);
	struct ifinfomsg *ifi = put_link(nlh);
	char alias[sizeof(DRIVER_ALIAS) + 16];

	if (up)
		ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	if (!up) {
		str_print(alias, DRIVER_ALIAS "%.12s", endpoint_id);
		mnl_attr_put_strz(nlh, IFLA_IFALIAS, alias);
		put_no_ipv6(nlh);
	}
	nl_end(nl);
}

int link_make(struct nl *nl, const struct driver_network *n, const struct driver_endpoint *e,
	      const struct link_found *parent, struct err *err)
{
	static char what[] = "make a link";
	uint32_t mtu = n->mtu ? n->mtu : parent->mtu;
	bool veth = e->kind == DRIVER_BRIDGE;
	char host[16], peer[16];
	struct nlmsghdr *nlh;
	int rc = link_remove(nl, e->id, err);

	if (rc < 0)
		return rc;
	driver_link_names(e->id, host, peer);
	nlh = nl_begin(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, what);
	if (veth)
		put_veth(nlh, host, peer, e, mtu, parent->index);
	else
		put_macvlan(nlh, peer, e, mtu, parent->index);
	nl_end(nl);
	for (int up = 0; up < 2; up++) {
		if (veth)
			change(nl, host, e->id, up);
		change(nl, peer, e->id, up);
	}
	rc = commit(nl, err);
	if (rc < 0 && link_remove(nl, e->id, NULL) < 0)
		log_debug("half of a pair of links is left");
	return rc;
}

static int remove_one(struct nl *nl, const char *name, struct err *err)
{
	static char what[] = "remove a link";
	struct link_found found;
	struct nlmsghdr *nlh;
	int rc = link_find(nl, name, &found, err);

	if (rc == -ENODEV)
		return 0;
	if (rc < 0)
		return rc;
	if (!found.ours)
		return err_set(err, -EEXIST, "%s is there, and not ours", name);
	nlh = nl_begin(nl, RTM_DELLINK, 0, what);
	put_link(nlh)->ifi_index = found.index;
	nl_end(nl);
	rc = commit(nl, err);
	return rc == -ENODEV ? 0 : rc;
}

int link_remove(struct nl *nl, const char *endpoint_id, struct err *err)
{
	char host[16], peer[16];
	int rc;

	driver_link_names(endpoint_id, host, peer);
	rc = remove_one(nl, host, err);
	/* the other end of a veth is gone with it; one that Docker moved there and back has lost the alias */
	return rc < 0 ? rc : remove_one(nl, peer, err);
}

/* --- inside a container --- */

static void put_address(struct nl *nl, uint16_t type, uint16_t flags, int index, const struct prefix *p, char *what)
{
	struct nlmsghdr *nlh = nl_begin(nl, type, flags, what);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	struct ip broadcast = prefix_last(p);

	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = p->len;
	ifa->ifa_index = (uint32_t)index;
	mnl_attr_put(nlh, IFA_LOCAL, 4, p->ip.b);
	mnl_attr_put(nlh, IFA_ADDRESS, 4, p->ip.b);
	if (type == RTM_NEWADDR && p->len < 31)
		mnl_attr_put(nlh, IFA_BROADCAST, 4, broadcast.b);
	nl_end(nl);
}

struct default_route {
	int other; /* interface that has it, and is not this one */
	int index;
};

static void on_route(void *arg, const struct nlmsghdr *nlh)
{
	struct default_route *d = arg;
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) ||
	    rtm->rtm_family != AF_INET || rtm->rtm_dst_len || rtm->rtm_table != RT_TABLE_MAIN)
		return;
	mnl_attr_for_each(a, nlh,
			  sizeof(*rtm)) if (mnl_attr_get_type(a) == RTA_OIF && mnl_attr_get_payload_len(a) >= 4 &&
					    (int)mnl_attr_get_u32(a) != d->index) d->other = (int)mnl_attr_get_u32(a);
}

/* Return: 1: the default route is by another interface; 0; -errno */
static int default_elsewhere(struct nl *nl, int index, struct err *err)
{
	char buf[256] = {0};
	struct nlmsghdr *nlh = request(buf, RTM_GETROUTE);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	struct default_route d = {.index = index};
	int rc;

	rtm->rtm_family = AF_INET;
	rc = nl_dump(nl, nlh, on_route, NULL, &d, err);
	return rc < 0 ? rc : d.other != 0;
}

static int set_default(struct nl *nl, int index, const struct ip *gateway, struct err *err)
{
	static char what[] = "set the default route";
	struct nlmsghdr *nlh = nl_begin(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, what);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = AF_INET;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_DHCP;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)index);
	mnl_attr_put(nlh, RTA_GATEWAY, 4, gateway->b);
	nl_end(nl);
	return commit(nl, err);
}

int link_readdress(struct nl *nl, int index, const struct prefix *was, const struct prefix *now,
		   const struct ip *gateway, struct err *err)
{
	static char add[] = "add the address", del[] = "remove the old address";
	int elsewhere = default_elsewhere(nl, index, err), rc;

	if (elsewhere < 0)
		return elsewhere;
	if (!ip_is_none(&was->ip) && prefix_cmp(was, now) != 0) {
		put_address(nl, RTM_DELADDR, 0, index, was, del);
		rc = commit(nl, err);
		if (rc < 0 && rc != -EADDRNOTAVAIL)
			return rc;
	}
	if (ip_is_none(&now->ip))
		return 0;
	put_address(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, now, add);
	rc = commit(nl, err);
	return rc < 0 || ip_is_none(gateway) || elsewhere ? rc : set_default(nl, index, gateway, err);
}
