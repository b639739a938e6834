/* SPDX-License-Identifier: Apache-2.0
 *
 * Removal by netlink. What is dumped is sent back as a delete request, so that it means exactly what was seen.
 */
#include "cli/sweep.h"

#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "base/addr.h"
#include "io/nl.h"
#include "io/ns.h"
#include "state/driver.h"

struct item {
	const char *kind;
	char *what;
	uint16_t type; /* of the delete request */
	void *payload;
	size_t len;
	int code;
	char *why;
};

struct items {
	struct item *v;
	size_t n, cap;
	size_t mark; /* where the dump that runs began: its repeat goes back to here */
	int flags;
	/* link names of the namespace, for the texts */
	struct link_name {
		int index;
		char name[IFNAMSIZ];
	} * links;
	size_t n_links, cap_links;
};

static void items_cut(struct items *it, size_t n)
{
	while (it->n > n) {
		struct item *i = &it->v[--it->n];
		free(i->what);
		free(i->payload);
		free(i->why);
	}
}

static void items_restart(void *arg)
{
	struct items *it = arg;

	items_cut(it, it->mark);
}

static void item_add(struct items *it, const char *kind, uint16_t type, const struct nlmsghdr *nlh, char *what)
{
	struct item *i = xgrow(&it->v, it->n, &it->cap);

	it->n++;
	i->kind = kind;
	i->type = type;
	i->what = what;
	i->len = mnl_nlmsg_get_payload_len(nlh);
	i->payload = xmemdup(mnl_nlmsg_get_payload(nlh), i->len);
}

/* An attribute of at least @size bytes, or NULL */
static const void *attr_find(const struct nlmsghdr *nlh, size_t header, uint16_t type, size_t size)
{
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(nlh) < header)
		return NULL;
	mnl_attr_for_each(a, nlh, header)
	{
		if (mnl_attr_get_type(a) == type)
			return mnl_attr_get_payload_len(a) >= size ? mnl_attr_get_payload(a) : NULL;
	}
	return NULL;
}

static uint32_t attr_u32(const struct nlmsghdr *nlh, size_t header, uint16_t type, uint32_t fallback)
{
	const void *p = attr_find(nlh, header, type, sizeof(uint32_t));
	uint32_t n = fallback;

	if (p)
		memcpy(&n, p, sizeof(n));
	return n;
}

/* A string attribute, copied and ended; "" when there is none */
static const char *attr_str(const struct nlmsghdr *nlh, size_t header, uint16_t type, char *out, size_t size)
{
	const struct nlattr *a;

	out[0] = 0;
	mnl_attr_for_each(a, nlh, header)
	{
		if (mnl_attr_get_type(a) == type)
			snprintf(out, size, "%.*s", (int)mnl_attr_get_payload_len(a),
				 (const char *)mnl_attr_get_payload(a));
	}
	return out;
}

static const char *link_name(const struct items *it, int index, char out[static 24])
{
	for (size_t i = 0; i < it->n_links; i++) {
		if (it->links[i].index == index)
			return it->links[i].name;
	}
	snprintf(out, 24, "#%d", index);
	return out;
}

static char *prefix_text(uint8_t family, const void *bytes, uint8_t len)
{
	struct prefix p = {.ip = {.family = family}, .len = len};
	char text[PREFIX_STRLEN];

	if (bytes)
		p.ip = ip_from_bytes(family, bytes);
	else if (len == 0)
		return xstrdup("default");
	return xstrdup(prefix_format(&p, text));
}

static void on_link(void *arg, const struct nlmsghdr *nlh)
{
	struct items *it = arg;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	char alias[256];

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return;
	struct link_name *l = xgrow(&it->links, it->n_links, &it->cap_links);
	it->n_links++;
	l->index = ifi->ifi_index;
	attr_str(nlh, sizeof(*ifi), IFLA_IFNAME, l->name, sizeof(l->name));
	attr_str(nlh, sizeof(*ifi), IFLA_IFALIAS, alias, sizeof(alias));

	bool ours = strncmp(alias, SWEEP_ALIAS, strlen(SWEEP_ALIAS)) == 0 ||
		    strncmp(alias, DRIVER_ALIAS, strlen(DRIVER_ALIAS)) == 0 ||
		    (strncmp(alias, ATTACH_ALIAS, strlen(ATTACH_ALIAS)) == 0 &&
		     strncmp(alias, SWEEP_LENT, strlen(SWEEP_LENT)) != 0);
	if (it->flags & SWEEP_ALL_LINKS)
		ours = !(ifi->ifi_flags & IFF_LOOPBACK);
	if (!ours)
		return;
	/* by index alone: what else the kernel shows of a link it does not take back */
	struct ifinfomsg del = {.ifi_family = AF_UNSPEC, .ifi_index = ifi->ifi_index};
	struct item *i = xgrow(&it->v, it->n, &it->cap);
	it->n++;
	*i = (struct item){.kind = "link",
			   .type = RTM_DELLINK,
			   .what = alias[0] ? xasprintf("%s (%s)", l->name, alias) : xstrdup(l->name),
			   .payload = xmemdup(&del, sizeof(del)),
			   .len = sizeof(del)};
}

static void links_restart(void *arg)
{
	struct items *it = arg;

	it->n_links = 0;
	items_restart(it);
}

static void on_rule(void *arg, const struct nlmsghdr *nlh)
{
	struct items *it = arg;
	const struct fib_rule_hdr *r = mnl_nlmsg_get_payload(nlh);
	const uint8_t *protocol = attr_find(nlh, sizeof(*r), FRA_PROTOCOL, 1);
	char iif[IFNAMSIZ];

	if (nlh->nlmsg_type != RTM_NEWRULE || !protocol || *protocol != SWEEP_PROTOCOL)
		return;
	size_t bytes = ip_size(r->family);
	const void *src = attr_find(nlh, sizeof(*r), FRA_SRC, bytes);
	autofree char *from = src ? prefix_text(r->family, src, r->src_len) : xstrdup("all");
	attr_str(nlh, sizeof(*r), FRA_IIFNAME, iif, sizeof(iif));
	item_add(it, "rule", RTM_DELRULE, nlh,
		 xasprintf("%u: from %s%s%s lookup %u", attr_u32(nlh, sizeof(*r), FRA_PRIORITY, 0), from,
			   iif[0] ? " iif " : "", iif, attr_u32(nlh, sizeof(*r), FRA_TABLE, r->table)));
}

static void on_route(void *arg, const struct nlmsghdr *nlh)
{
	struct items *it = arg;
	const struct rtmsg *r = mnl_nlmsg_get_payload(nlh);
	char number[24];

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*r) ||
	    (r->rtm_protocol != SWEEP_PROTOCOL && r->rtm_protocol != ATTACH_PROTOCOL))
		return;
	autofree char *dst =
		prefix_text(r->rtm_family, attr_find(nlh, sizeof(*r), RTA_DST, ip_size(r->rtm_family)), r->rtm_dst_len);
	uint32_t oif = attr_u32(nlh, sizeof(*r), RTA_OIF, 0);
	item_add(it, "route", RTM_DELROUTE, nlh,
		 xasprintf("%s%s%s table %u", dst, oif ? " dev " : "", oif ? link_name(it, (int)oif, number) : "",
			   attr_u32(nlh, sizeof(*r), RTA_TABLE, r->rtm_table)));
	struct rtmsg *del = it->v[it->n - 1].payload;
	del->rtm_flags &= RTNH_F_ONLINK; /* the others are what the kernel found out, not what was asked for */
}

static void on_neigh(void *arg, const struct nlmsghdr *nlh)
{
	struct items *it = arg;
	const struct ndmsg *n = mnl_nlmsg_get_payload(nlh);
	const uint8_t *protocol = attr_find(nlh, sizeof(*n), NDA_PROTOCOL, 1);
	char number[24], text[IP_STRLEN];

	if (nlh->nlmsg_type != RTM_NEWNEIGH || !protocol || *protocol != SWEEP_PROTOCOL)
		return;
	const void *dst = attr_find(nlh, sizeof(*n), NDA_DST, ip_size(n->ndm_family));
	if (!dst || ip_size(n->ndm_family) == 0)
		return;
	struct ip ip = ip_from_bytes(n->ndm_family, dst);
	item_add(it, "neighbour", RTM_DELNEIGH, nlh,
		 xasprintf("%s dev %s", ip_format(&ip, text), link_name(it, n->ndm_ifindex, number)));
}

struct dump {
	uint16_t type;
	uint8_t family;
	size_t header; /* all of them begin with the family */
	nl_msg_fn *fn;
};

static const struct dump dumps[] = {
	{RTM_GETRULE, AF_INET, sizeof(struct fib_rule_hdr), on_rule},
	{RTM_GETRULE, AF_INET6, sizeof(struct fib_rule_hdr), on_rule},
	{RTM_GETROUTE, AF_INET, sizeof(struct rtmsg), on_route},
	{RTM_GETROUTE, AF_INET6, sizeof(struct rtmsg), on_route},
	{RTM_GETNEIGH, AF_INET, sizeof(struct ndmsg), on_neigh},
	{RTM_GETNEIGH, AF_INET6, sizeof(struct ndmsg), on_neigh},
};

static int dump_run(struct nl *nl, const struct dump *d, struct items *it, loop_fn *restart, struct err *err)
{
	char request[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);

	nlh->nlmsg_type = d->type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	uint8_t *body = mnl_nlmsg_put_extra_header(nlh, d->header);
	body[0] = d->family;
	it->mark = it->n;
	return nl_dump(nl, nlh, d->fn, restart, it, err);
}

static void on_fail(void *arg, void *cookie, int code, const char *extack)
{
	struct item *i = cookie;

	/* gone already: with its link, with the other end of its veth */
	if (code == -ENOENT || code == -ESRCH || code == -ENODEV || code == -EADDRNOTAVAIL)
		return;
	i->code = code;
	i->why = xasprintf("%s%s%s", strerror(-code), extack[0] ? ": " : "", extack);
}

static int items_remove(struct nl *nl, struct items *it, size_t from, size_t to, struct err *err)
{
	for (size_t i = from; i < to; i++) {
		struct nlmsghdr *nlh = nl_begin(nl, it->v[i].type, 0, &it->v[i]);
		memcpy(mnl_nlmsg_put_extra_header(nlh, it->v[i].len), it->v[i].payload, it->v[i].len);
		nl_end(nl);
	}
	int code = nl_commit(nl, on_fail, it);
	return code < 0 ? err_errno(err, code, "netlink") : 0;
}

int sweep_namespace(int ns_fd, int flags, sweep_fn *fn, void *arg, struct err *err)
{
	struct items it = {.flags = flags};
	struct nl *nl = NULL;
	const struct dump links = {RTM_GETLINK, AF_UNSPEC, sizeof(struct ifinfomsg), on_link};
	int fd = ns_socket(ns_fd, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, err);

	if (fd < 0)
		return fd;
	int code = nl_adopt(fd, &nl, err);
	if (code < 0)
		return code;
	code = dump_run(nl, &links, &it, links_restart, err);
	size_t n_links = it.n; /* found first, for the names; removed last */
	for (size_t i = 0; i < ARRAY_LEN(dumps) && code == 0; i++) {
		code = dump_run(nl, &dumps[i], &it, items_restart, err);
		if (code == -EOPNOTSUPP || code == -EAFNOSUPPORT || code == -EPROTONOSUPPORT)
			code = 0; /* a kernel without IPv6 or policy routing has nothing of ours there */
	}
	if (code == 0 && !(flags & SWEEP_DRY_RUN)) {
		code = items_remove(nl, &it, n_links, it.n, err);
		if (code == 0)
			code = items_remove(nl, &it, 0, n_links, err);
	}
	for (size_t i = 0; i < it.n && code == 0; i++) {
		const struct item *x = &it.v[(i + n_links) % it.n];
		fn(arg, x->kind, x->what, x->code, x->why ? x->why : "");
	}
	items_cut(&it, 0);
	free(it.v);
	free(it.links);
	nl_free(nl);
	return code;
}

/* --- interfaces that were lent --- */

struct lent {
	struct {
		int index;
		char name[IFNAMSIZ], home[IFNAMSIZ];
	} v[64];
	size_t n;
};

static void on_lent(void *arg, const struct nlmsghdr *nlh)
{
	struct lent *l = arg;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	char alias[256];

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi) || l->n >= ARRAY_LEN(l->v))
		return;
	attr_str(nlh, sizeof(*ifi), IFLA_IFALIAS, alias, sizeof(alias));
	if (strncmp(alias, SWEEP_LENT, strlen(SWEEP_LENT)) != 0 || !nic_name_valid(alias + strlen(SWEEP_LENT)))
		return;
	l->v[l->n].index = ifi->ifi_index;
	attr_str(nlh, sizeof(*ifi), IFLA_IFNAME, l->v[l->n].name, IFNAMSIZ);
	str_copy(l->v[l->n].home, alias + strlen(SWEEP_LENT));
	l->n++;
}

static void lent_restart(void *arg)
{
	((struct lent *)arg)->n = 0;
}

/* Move it home, or, when it is there, take the alias off and give it its name again */
static int lent_return(struct nl *nl, int index, const char *name, int home, struct err *err)
{
	char request[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = RTM_NEWLINK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = index;
	if (home >= 0)
		mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)home);
	else
		mnl_attr_put(nlh, IFLA_IFALIAS, 0, "");
	if (name)
		mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return nl_get(nl, nlh, NULL, NULL, err);
}

int sweep_home(int ns_fd, int home, int flags, sweep_fn *fn, void *arg, struct err *err)
{
	const struct dump links = {RTM_GETLINK, AF_UNSPEC, sizeof(struct ifinfomsg), on_lent};
	char request[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct lent lent = {.n = 0};
	struct nl *nl = NULL;
	int fd = ns_socket(ns_fd, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, err);
	int code = fd < 0 ? fd : nl_adopt(fd, &nl, err);

	if (code < 0)
		return code;
	nlh->nlmsg_type = links.type;
	mnl_nlmsg_put_extra_header(nlh, links.header);
	code = nl_dump(nl, nlh, links.fn, lent_restart, &lent, err);
	for (size_t i = 0; i < lent.n && code == 0; i++) {
		bool is_home = ns_same(ns_fd, home), named = str_eq(lent.v[i].name, lent.v[i].home);
		struct err why = {0};
		int rc = 0;

		if (!(flags & SWEEP_DRY_RUN))
			rc = lent_return(nl, lent.v[i].index, is_home && named ? NULL : lent.v[i].home,
					 is_home ? -1 : home, &why);
		fn(arg, "interface", lent.v[i].home, rc, rc < 0 ? why.text : "");
	}
	nl_free(nl);
	return code;
}
