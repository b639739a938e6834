/* SPDX-License-Identifier: Apache-2.0
 *
 * Interfaces and addresses: three netlink dumps, and the choice among what they say.
 */
#include "io/interfaces.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#define LIMIT_READ 16384 /* interfaces, addresses */

void interfaces_done(struct interfaces *i)
{
	free(i->ifaces);
	free(i->addresses);
	*i = (struct interfaces){0};
}

/* --- reading --- */

static void on_link(void *arg, const struct nlmsghdr *nlh)
{
	struct interfaces *i = arg;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	struct iface *f;

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi) ||
	    i->n_ifaces >= LIMIT_READ)
		return;
	f = xgrow(&i->ifaces, i->n_ifaces, &i->cap_ifaces);
	i->n_ifaces++;
	f->index = ifi->ifi_index;
	f->up = ifi->ifi_flags & IFF_UP;
	f->multicast = ifi->ifi_flags & IFF_MULTICAST;
	f->loopback = ifi->ifi_flags & IFF_LOOPBACK;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
	{
		if (mnl_attr_get_type(attr) == IFLA_IFNAME && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
			str_copy(f->name, mnl_attr_get_str(attr));
	}
}

static void on_address(void *arg, const struct nlmsghdr *nlh)
{
	struct interfaces *i = arg;
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	struct ip local = {0}, address = {0};
	struct iface_address *a;
	uint32_t flags;

	if (nlh->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa) ||
	    ip_size(ifa->ifa_family) == 0 || i->n_addresses >= LIMIT_READ)
		return;
	flags = ifa->ifa_flags;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		bool is_ip = mnl_attr_get_payload_len(attr) == ip_size(ifa->ifa_family);

		if (mnl_attr_get_type(attr) == IFA_LOCAL && is_ip)
			local = ip_from_bytes(ifa->ifa_family, mnl_attr_get_payload(attr));
		else if (mnl_attr_get_type(attr) == IFA_ADDRESS && is_ip)
			address = ip_from_bytes(ifa->ifa_family, mnl_attr_get_payload(attr));
		else if (mnl_attr_get_type(attr) == IFA_FLAGS && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			flags = mnl_attr_get_u32(attr);
	}
	/* On a point-to-point link IFA_ADDRESS is the other end */
	if (ip_is_none(&local))
		local = address;
	if (ip_is_none(&local) || ifa->ifa_prefixlen > ip_bits(ifa->ifa_family))
		return;
	a = xgrow(&i->addresses, i->n_addresses, &i->cap_addresses);
	i->n_addresses++;
	a->index = (int)ifa->ifa_index;
	a->prefix = (struct prefix){.ip = local, .len = ifa->ifa_prefixlen};
	a->usable = (ifa->ifa_scope < RT_SCOPE_LINK || ifa->ifa_scope == RT_SCOPE_HOST) &&
		    !(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED));
	a->second_rate = flags & (IFA_F_TEMPORARY | IFA_F_DEPRECATED);
}

static uint32_t attr_u32(const struct nlattr *attr)
{
	return mnl_attr_validate(attr, MNL_TYPE_U32) >= 0 ? mnl_attr_get_u32(attr) : 0;
}

static void on_route(void *arg, const struct nlmsghdr *nlh)
{
	struct interfaces *i = arg;
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	uint32_t table, metric = 0, oif = 0;
	struct ip source = {0};

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) || rtm->rtm_dst_len != 0 ||
	    rtm->rtm_type != RTN_UNICAST)
		return;
	table = rtm->rtm_table;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		switch (mnl_attr_get_type(attr)) {
		case RTA_TABLE:
			table = attr_u32(attr);
			break;
		case RTA_OIF:
			oif = attr_u32(attr);
			break;
		case RTA_PRIORITY:
			metric = attr_u32(attr);
			break;
		case RTA_PREFSRC:
			if (mnl_attr_get_payload_len(attr) == ip_size(rtm->rtm_family))
				source = ip_from_bytes(rtm->rtm_family, mnl_attr_get_payload(attr));
			break;
		case RTA_MULTIPATH:
			if (mnl_attr_get_payload_len(attr) >= sizeof(struct rtnexthop))
				oif = (uint32_t)((const struct rtnexthop *)mnl_attr_get_payload(attr))->rtnh_ifindex;
			break;
		default: /* the kernel's attributes, not ours */
			break;
		}
	}
	if (table != RT_TABLE_MAIN || oif == 0 || (i->default_index != 0 && metric >= i->default_metric))
		return;
	i->default_index = (int)oif;
	i->default_metric = metric;
	i->default_source = source;
}

static void restart_ifaces(void *arg)
{
	((struct interfaces *)arg)->n_ifaces = 0;
}

static void restart_addresses(void *arg)
{
	((struct interfaces *)arg)->n_addresses = 0;
}

static void restart_routes(void *arg)
{
	((struct interfaces *)arg)->default_index = 0;
}

static int read_links(struct nl *nl, struct interfaces *i, struct err *err)
{
	char bytes[256] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(bytes);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = RTM_GETLINK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return nl_dump(nl, nlh, on_link, restart_ifaces, i, err);
}

static int read_addresses(struct nl *nl, struct interfaces *i, struct err *err)
{
	char bytes[256] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(bytes);
	struct ifaddrmsg *ifa;

	nlh->nlmsg_type = RTM_GETADDR;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = AF_UNSPEC;
	return nl_dump(nl, nlh, on_address, restart_addresses, i, err);
}

static int read_routes(struct nl *nl, uint8_t family, struct interfaces *i, struct err *err)
{
	char bytes[256] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(bytes);
	struct rtmsg *rtm;
	int r;

	nlh->nlmsg_type = RTM_GETROUTE;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = family;
	rtm->rtm_table = RT_TABLE_MAIN;
	r = nl_dump(nl, nlh, on_route, restart_routes, i, err);
	return r == -ENOENT ? 0 : r; /* no such table yet: no route */
}

int interfaces_read(struct nl *nl, uint8_t default_family, struct interfaces *ret, struct err *err)
{
	struct interfaces i = {0};
	int r = read_links(nl, &i, err);

	if (r == 0)
		r = read_addresses(nl, &i, err);
	if (r == 0 && default_family)
		r = read_routes(nl, default_family, &i, err);
	if (r < 0) {
		interfaces_done(&i);
		return err_wrap(err, "read the interfaces");
	}
	*ret = i;
	return 0;
}

/* --- choosing --- */

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool interface_is_internal(const char *name)
{
	/* Docker's bridges are br- and 12 hex digits; br-lan and its kin are what neighbours are behind */
	if (starts_with(name, "br-")) {
		size_t n = 3;
		while ((name[n] >= '0' && name[n] <= '9') || (name[n] >= 'a' && name[n] <= 'f'))
			n++;
		if (n == 15 && name[n] == '\0')
			return true;
	}
	if (starts_with(name, "dr") && name[2] >= '0' && name[2] <= '9')
		return true;
	return str_eq(name, "docker0") || str_eq(name, "docker_gwbridge") || starts_with(name, "veth") ||
	       starts_with(name, "drl-") || starts_with(name, "drp") || starts_with(name, "drq") ||
	       starts_with(name, "vx");
}

static const struct iface *iface_find(const struct interfaces *i, int index)
{
	for (size_t n = 0; n < i->n_ifaces; n++) {
		if (i->ifaces[n].index == index)
			return &i->ifaces[n];
	}
	return NULL;
}

static const struct iface_address *address_find(const struct interfaces *i, const struct ip *ip)
{
	for (size_t n = 0; n < i->n_addresses; n++) {
		const struct iface_address *a = &i->addresses[n];

		if (a->usable && ip_cmp(&a->prefix.ip, ip) == 0)
			return a;
	}
	return NULL;
}

/* The best address of an interface, or NULL */
static const struct iface_address *address_of(const struct interfaces *i, int index, uint8_t family)
{
	const struct iface_address *best = NULL;

	for (size_t n = 0; n < i->n_addresses; n++) {
		const struct iface_address *a = &i->addresses[n];

		if (a->index != index || !a->usable || a->prefix.ip.family != family)
			continue;
		if (!best || (best->second_rate && !a->second_rate))
			best = a;
	}
	return best;
}

static bool has_family(const struct interfaces *i, int index, uint8_t family)
{
	for (size_t n = 0; n < i->n_addresses; n++) {
		if (i->addresses[n].index == index && i->addresses[n].prefix.ip.family == family)
			return true;
	}
	return false;
}

static bool is_suitable(const struct interfaces *i, const struct iface *f, const struct interfaces_wish *wish)
{
	if (!f->up)
		return false;
	if (wish->name[0])
		return str_eq(f->name, wish->name);
	return f->multicast && !f->loopback && !interface_is_internal(f->name) && has_family(i, f->index, wish->family);
}

static const struct iface_address *address_by_route(const struct interfaces *i, uint8_t family)
{
	const struct iface_address *a;

	if (i->default_index == 0)
		return NULL;
	a = ip_is_none(&i->default_source) ? NULL : address_find(i, &i->default_source);
	return a ? a : address_of(i, i->default_index, family);
}

static const struct iface_address *address_choose(const struct interfaces *i, const struct interfaces_wish *wish,
						  bool *ret_firm)
{
	const struct iface_address *a = NULL, *by_route;

	*ret_firm = true;
	if (!ip_is_none(&wish->host_ip))
		return address_find(i, &wish->host_ip);
	/* What is in use stays in use: a tunnel that takes the default route must not move us into it */
	by_route = wish->name[0] ? NULL : address_by_route(i, wish->family);
	if (!ip_is_none(&wish->current) && (wish->current_firm || !by_route)) {
		a = address_find(i, &wish->current);
		*ret_firm = wish->current_firm;
		if (a)
			return a;
	}
	*ret_firm = true;
	if (by_route)
		return by_route;
	for (size_t n = 0; n < i->n_ifaces; n++) {
		if (!is_suitable(i, &i->ifaces[n], wish))
			continue;
		a = address_of(i, i->ifaces[n].index, wish->family);
		if (a)
			break;
	}
	*ret_firm = a && wish->name[0];
	return a;
}

void interfaces_choose(const struct interfaces *i, const struct interfaces_wish *wish, struct interfaces_choice *ret)
{
	struct interfaces_choice c = {0};
	const struct iface_address *a = address_choose(i, wish, &c.firm);
	const struct iface *f = a ? iface_find(i, a->index) : NULL;

	if (f && f->up) {
		c.host_ip = a->prefix.ip;
		c.host_index = a->index;
	}
	for (size_t n = 0; n < i->n_ifaces && c.n_joined < LIMIT_JOINED; n++) {
		f = &i->ifaces[n];
		if (is_suitable(i, f, wish) || (f->index == c.host_index && !wish->name[0]))
			c.joined[c.n_joined++] = f->index;
	}
	*ret = c;
}
