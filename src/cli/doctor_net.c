/* SPDX-License-Identifier: Apache-2.0
 *
 * The host's own way of handling packets, where it meets ours: forwarding, firewall, bridges under netfilter, MTU, and
 * containers whose traffic does not come by the stack's bridge.
 */
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "cli/doctor.h"
#include "io/nl.h"
#include "io/ns.h"

#define MTU_IPV6_MIN	 1280
#define VXLAN_IPV4	 50
#define VXLAN_IPV6	 70
#define ROUTES_LOOKED_AT 64 /* containers */

typedef void network_fn(struct doctor *d, const struct inv_stack *s, const struct inv_network *n);

static void networks_walk(struct doctor *d, network_fn *fn)
{
	for (size_t i = 0; i < d->files.inventory.n_stacks; i++) {
		const struct inv_stack *s = &d->files.inventory.stacks[i];
		for (size_t j = 0; j < s->n_networks; j++) {
			if (s->networks[j].bridge[0])
				fn(d, s, &s->networks[j]);
		}
	}
}

static bool network_has(const struct inv_network *n, uint8_t family)
{
	for (size_t i = 0; i < n->n_subnets; i++) {
		if (n->subnets[i].ip.family == family)
			return true;
	}
	return false;
}

/* -1: not there */
static int sysctl_read(const char *fmt, const char *dev)
{
	char path[160], text[16];
	int value = -1;

	str_print(path, fmt, dev);
	FILE *f = fopen(path, "re");
	if (!f)
		return -1;
	if (fgets(text, sizeof(text), f))
		value = atoi(text);
	fclose(f);
	return value;
}

/* --- forwarding --- */

static void forwarding_check(struct doctor *d, const struct inv_stack *s, const struct inv_network *n)
{
	if (network_has(n, AF_INET) && sysctl_read("/proc/sys/net/ipv4/conf/%s/forwarding", n->bridge) == 0)
		doctor_add(d, "forwarding", CHECK_ERROR,
			   "sysctl -w net.ipv4.ip_forward=1, and a line in /etc/sysctl.d to keep it.",
			   "IPv4 is not forwarded from %s: containers of stack %s do not reach their leg", n->bridge,
			   s->stack_id);
	if (network_has(n, AF_INET6) && sysctl_read("/proc/sys/net/ipv6/conf/%s/forwarding", n->bridge) == 0)
		doctor_add(
			d, "forwarding", CHECK_ERROR,
			"sysctl -w net.ipv6.conf.all.forwarding=1, and a line in /etc/sysctl.d to keep it. (Where the "
			"host has its own address by router advertisements, set accept_ra=2 on that interface too.)",
			"IPv6 is not forwarded from %s: containers of stack %s do not reach their leg", n->bridge,
			s->stack_id);
}

void doctor_forwarding(struct doctor *d)
{
	size_t before = d->n;

	if (d->other_ns)
		return;
	networks_walk(d, forwarding_check);
	if (d->n == before && d->files.inventory.n_stacks)
		doctor_add(d, "forwarding", CHECK_OK, NULL, "%s forwarded on the stacks' bridges",
			   doctor_has_ipv6(d) ? "IPv4 and IPv6 are" : "IPv4 is");
}

/* --- firewall --- */

/* " -i br-x " as a condition that is not negated; "-i br-x" may end the line */
static bool line_has(const char *line, const char *option, const char *value)
{
	autofree char *want = xasprintf(" %s %s ", option, value), *padded = xasprintf("%s ", line);
	const char *at = strstr(padded, want);

	return at && !(at - padded >= 2 && at[-1] == '!');
}

static bool line_has_any(const char *line, const char *option)
{
	autofree char *want = xasprintf(" %s ", option);

	return strstr(line, want);
}

static void filter_line(const char *line, const char *bridge, struct firewall_view *v)
{
	if (strncmp(line, ":FORWARD DROP", 13) == 0)
		v->forward_drop = true;
	if (strncmp(line, "-A ", 3) != 0 || !line_has(line, "-j", "ACCEPT") || line_has_any(line, "--ctstate") ||
	    line_has_any(line, "-m conntrack") || line_has_any(line, "-s") || line_has_any(line, "-d") ||
	    line_has_any(line, "-p"))
		return;
	bool in = line_has(line, "-i", bridge), out = line_has(line, "-o", bridge);
	bool in_any = !line_has_any(line, "-i"), out_any = !line_has_any(line, "-o");
	/* Docker: -i br -o br, or -i br alone; by hand: -A FORWARD -j ACCEPT */
	if ((in && (out || out_any)) || (out && in_any) || (in_any && out_any && strncmp(line, "-A FORWARD ", 11) == 0))
		v->accepts = true;
}

void firewall_parse(const char *save, const char *bridge, struct firewall_view *ret)
{
	struct firewall_view v = {0};
	char table[16] = "";

	while (*save) {
		size_t len = strcspn(save, "\n");
		autofree char *line = xstrndup(save, len);

		save += len + (save[len] == '\n');
		if (line[0] == '*')
			snprintf(table, sizeof(table), "%s", line + 1);
		else if (str_eq(table, "filter"))
			filter_line(line, bridge, &v);
		else if (str_eq(table, "raw") && strncmp(line, "-A PREROUTING ", 14) == 0 &&
			 line_has(line, "-j", "DROP")) {
			autofree char *not_in = xasprintf(" ! -i %s ", bridge);
			v.raw_drops = v.raw_drops || strstr(line, not_in);
		}
	}
	*ret = v;
}

struct firewall_text {
	const char *program;
	bool have, cut;
	struct buf text;
};

static void firewall_read(struct doctor *d, struct firewall_text *f)
{
	const char *filter[] = {f->program, "-t", "filter", NULL}, *raw[] = {f->program, "-t", "raw", NULL};
	struct run_result r;
	struct err err;

	if (doctor_run(d, filter, -1, NULL, &r, &err) == 0) {
		f->have = r.status == 0;
		f->cut = r.out.len >= RUN_OUTPUT_MAX;
		buf_puts(&f->text, r.out.data);
		run_result_done(&r);
	}
	if (f->have && doctor_run(d, raw, -1, NULL, &r, &err) == 0) {
		buf_puts(&f->text, "\n");
		buf_puts(&f->text, r.out.data);
		run_result_done(&r);
	}
}

/* Do all containers of this network have a way that passes no host firewall? */
static size_t containers_on_leg(const struct doctor *d, const struct inv_stack *s, const struct inv_network *n)
{
	size_t on_leg = 0;

	for (size_t i = 0; i < s->n_containers; i++) {
		const struct inv_container *c = &s->containers[i];
		bool here = false;
		for (size_t j = 0; j < c->n_interfaces; j++)
			here = here || str_eq(c->interfaces[j].network_id, n->id);
		if (here && !str_eq(container_path(&d->files.router, s, c->name), "nic"))
			on_leg++;
	}
	return on_leg;
}

static void policy_check(struct doctor *d, const struct firewall_text *f, uint8_t family, const struct inv_stack *s,
			 const struct inv_network *n)
{
	struct firewall_view v;
	const char *tool = family == AF_INET ? "iptables" : "ip6tables";

	if (!network_has(n, family) || n->internal)
		return;
	firewall_parse(f->text.data, n->bridge, &v);
	/* icc=false has a check of its own, and a list that was cut may hold the rule behind the cut */
	if (!v.forward_drop || v.accepts || !n->icc || f->cut)
		return;
	size_t on_leg = containers_on_leg(d, s, n);
	autofree char *cure = xasprintf(
		"%s, or give containers their own NIC (DATAPATH=auto or nic), or as a stopgap: %s -I FORWARD -i %s -o "
		"%s "
		"-j ACCEPT",
		family == AF_INET
			? "Let Docker manage iptables (\"iptables\": true in daemon.json)"
			: "Let Docker manage ip6tables (\"ip6tables\": true in daemon.json, before engine 27 with "
			  "\"experimental\": true)",
		tool, n->bridge, n->bridge);
	doctor_add(d, "firewall", on_leg ? CHECK_ERROR : CHECK_WARNING, cure,
		   "%s FORWARD has policy DROP and no rule of Docker's for %s (stack %s): %zu container%s cannot use "
		   "the leg",
		   tool, n->bridge, s->stack_id, on_leg, on_leg == 1 ? "" : "s");
}

static void icc_check(struct doctor *d, const struct inv_stack *s, const struct inv_network *n)
{
	if (n->icc)
		return;
	size_t on_leg = containers_on_leg(d, s, n);
	bool by_nic = str_eq(d->files.router.datapath, "auto") || str_eq(d->files.router.datapath, "nic");
	doctor_add(d, "icc", on_leg || !by_nic ? CHECK_ERROR : CHECK_INFO,
		   "Take com.docker.network.bridge.enable_icc: \"false\" away, or set DATAPATH to auto or nic.",
		   "network %s of stack %s has icc=false, Docker drops what goes by the leg: %zu container%s without a "
		   "NIC",
		   n->name, s->stack_id, on_leg, on_leg == 1 ? "" : "s");
}

/* Docker's isolation of an internal network counts on the addresses, on one bridge too: routes inside do not help. */
static void internal_check(struct doctor *d, const struct inv_stack *s, const struct inv_network *n)
{
	size_t by_route;

	if (!n->internal || !str_eq(d->files.router.datapath, "route") || d->other_ns ||
	    sysctl_read("/proc/sys/net/bridge/bridge-nf-call-iptables%s", "") != 1 ||
	    (by_route = containers_on_leg(d, s, n)) == 0)
		return;
	doctor_add(d, "internal", CHECK_ERROR, "Set DATAPATH to auto or nic.",
		   "network %s of stack %s is internal and bridged frames pass iptables, where Docker drops what "
		   "leaves it: %zu container%s without a NIC",
		   n->name, s->stack_id, by_route, by_route == 1 ? "" : "s");
}

static size_t raw_drops_count(struct doctor *d, const char *text)
{
	size_t n = 0;

	for (size_t i = 0; i < d->files.inventory.n_stacks; i++) {
		const struct inv_stack *s = &d->files.inventory.stacks[i];
		for (size_t j = 0; j < s->n_networks; j++) {
			struct firewall_view v;
			firewall_parse(text, s->networks[j].bridge, &v);
			n += v.raw_drops;
		}
	}
	return n;
}

static void bridge_netfilter_check(struct doctor *d, const struct firewall_text *f4)
{
	int on = sysctl_read("/proc/sys/net/bridge/bridge-nf-call-iptables%s", "");
	size_t drops = f4->have ? raw_drops_count(d, f4->text.data) : 0;
	bool legs = false;

	for (size_t i = 0; i < d->files.router.n_vnis; i++)
		legs = legs || d->files.router.vnis[i].n_legs;
	if (on == 1)
		doctor_add(
			d, "bridge netfilter", CHECK_INFO,
			"Nothing has to be done. sysctl -w net.bridge.bridge-nf-call-iptables=0 makes the leg faster, "
			"but "
			"Docker wants it on for icc=false and for published ports between containers.",
			"bridged frames pass iptables: the leg is slower than a NIC of one's own (DATAPATH auto gives "
			"those)");
	else
		doctor_add(d, "bridge netfilter", CHECK_OK, NULL, "bridged frames do not pass iptables");
	if (drops == 0 || !legs)
		return;
	if (!d->root)
		return; /* who may not list nft tables cannot tell */
	const char *argv[] = {"nft", "list", "tables", NULL};
	struct run_result r;
	struct err err;
	if (doctor_run(d, argv, -1, NULL, &r, &err) < 0)
		return;
	if (strstr(r.out.data, "table inet docker-router"))
		doctor_add(d, "docker drops", CHECK_OK, NULL,
			   "Docker drops direct traffic to containers on %zu of our networks; our table passes the "
			   "overlay's "
			   "by",
			   drops);
	else
		doctor_add(d, "docker drops", CHECK_ERROR, "Is the router running? It puts its table back at once.",
			   "Docker drops direct traffic to containers on %zu of our networks, and our nft table is "
			   "missing",
			   drops);
	run_result_done(&r);
}

void doctor_firewall(struct doctor *d)
{
	struct firewall_text f4 = {.program = "iptables-save"}, f6 = {.program = "ip6tables-save"};
	size_t before = d->n;

	networks_walk(d, icc_check);
	networks_walk(d, internal_check);
	if (d->files.inventory.n_stacks == 0 || d->other_ns)
		return;
	if (!d->root) {
		doctor_add(d, "firewall", CHECK_SKIPPED, "Run doctor as root.",
			   "only root may list the firewall's rules");
		return;
	}
	firewall_read(d, &f4);
	if (doctor_has_ipv6(d))
		firewall_read(d, &f6);
	if (!f4.have && !f6.have)
		doctor_add(d, "firewall", CHECK_SKIPPED,
			   "Install iptables, to let doctor look at its rules. From a container of ours: run doctor on "
			   "the host.",
			   "iptables-save cannot be run");
	for (size_t i = 0; i < d->files.inventory.n_stacks; i++) {
		const struct inv_stack *s = &d->files.inventory.stacks[i];
		for (size_t j = 0; j < s->n_networks; j++) {
			if (!s->networks[j].bridge[0])
				continue;
			if (f4.have)
				policy_check(d, &f4, AF_INET, s, &s->networks[j]);
			if (f6.have)
				policy_check(d, &f6, AF_INET6, s, &s->networks[j]);
		}
	}
	if (d->n == before && (f4.have || f6.have))
		doctor_add(d, "firewall", CHECK_OK, NULL, "FORWARD lets the stacks' bridges talk to their legs");
	bridge_netfilter_check(d, &f4);
	buf_done(&f4.text);
	buf_done(&f6.text);
}

/* --- MTU --- */

/* The interface that has @ip. Return: its MTU, 0: nobody has the address */
static unsigned underlay_mtu(const struct ip *ip, char ret_dev[static IFNAMSIZ])
{
	struct ifaddrs *list = NULL, *a;
	unsigned mtu = 0;

	if (getifaddrs(&list) < 0)
		return 0;
	for (a = list; a && !mtu; a = a->ifa_next) {
		struct sockaddr_storage ss = {0};
		if (!a->ifa_addr || a->ifa_addr->sa_family != ip->family)
			continue;
		memcpy(&ss, a->ifa_addr,
		       ip->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		struct endpoint e = endpoint_from_sockaddr(&ss);
		if (ip_cmp(&e.ip, ip) != 0)
			continue;
		autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		struct ifreq ifr = {0};
		snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", a->ifa_name);
		snprintf(ret_dev, IFNAMSIZ, "%s", a->ifa_name);
		mtu = fd >= 0 && ioctl(fd, SIOCGIFMTU, &ifr) == 0 ? (unsigned)ifr.ifr_mtu : 1;
	}
	freeifaddrs(list);
	return mtu;
}

/* Networks of one kind that are too large for the path: one cure for all of them */
enum mtu_kind { MTU_COMPOSE, MTU_DEFAULT_BRIDGE, MTU_BY_HAND, MTU_KIND_N_ };

/* Compose puts the project in front of a network's name, and names services */
static enum mtu_kind mtu_kind(const struct inv_stack *s, const struct inv_network *n)
{
	if (str_eq(n->bridge, "docker0"))
		return MTU_DEFAULT_BRIDGE;
	if (strchr(n->name, '_') && strncmp(n->name, s->stack_id, strlen(s->stack_id)) == 0)
		return MTU_COMPOSE;
	for (size_t i = 0; i < s->n_containers; i++) {
		const struct inv_container *c = &s->containers[i];
		for (size_t j = 0; c->service[0] && j < c->n_interfaces; j++) {
			if (str_eq(c->interfaces[j].network_id, n->id))
				return MTU_COMPOSE;
		}
	}
	return MTU_BY_HAND;
}

static void bridges_mtu_check(struct doctor *d, const struct rs_vni *v)
{
	autobuf struct buf bridges = {0}, compose = {0}, cure = {0};
	autofree char *by_hand = xstrdup("");
	bool docker0 = false;
	unsigned first = 0;
	size_t n_found = 0;

	for (size_t i = 0; i < d->files.inventory.n_stacks; i++) {
		const struct inv_stack *s = &d->files.inventory.stacks[i];
		for (size_t j = 0; s->vni == v->vni && j < s->n_networks; j++) {
			const struct inv_network *n = &s->networks[j];
			if (!n->bridge[0] || !v->mtu || n->mtu <= v->mtu)
				continue;
			const char *in_project = strchr(n->name, '_');
			enum mtu_kind kind = mtu_kind(s, n);
			n_found++;
			buf_printf(&bridges, "%s%s", bridges.len ? ", " : "", n->bridge);
			first = first ? first : n->mtu;
			docker0 = docker0 || kind == MTU_DEFAULT_BRIDGE;
			if (kind == MTU_COMPOSE)
				buf_printf(&compose,
					   "\n  %s:    # of stack %s\n    driver_opts:\n      "
					   "com.docker.network.driver.mtu: \"%u\"",
					   in_project ? in_project + 1 : n->name, s->stack_id, v->mtu);
			if (kind == MTU_BY_HAND) {
				char *more = xasprintf("%s%s%s", by_hand, by_hand[0] ? ", " : "", n->name);
				free(by_hand);
				by_hand = more;
			}
		}
	}
	if (!n_found)
		return;
	buf_puts(&cure, "It works as it is. To save the first packets of a flow the way back:");
	if (compose.len)
		buf_printf(&cure,
			   "\n"
			   "in the Compose file, then docker compose down and up:\nnetworks:%s",
			   compose.data);
	if (docker0)
		buf_printf(&cure,
			   "\nfor Docker's default bridge in /etc/docker/daemon.json, then restart dockerd:\n"
			   "{\"mtu\": %u}",
			   v->mtu);
	if (by_hand[0])
		buf_printf(&cure,
			   "\nmake these anew, with docker network create -o com.docker.network.driver.mtu=%u ...: %s",
			   v->mtu, by_hand);
	doctor_add(d, "MTU", CHECK_INFO, cure.data,
		   "%s %s MTU %u, the path of VNI %u %u: containers learn it packet by packet", bridges.data,
		   n_found == 1 ? "has" : "have", first, v->vni, v->mtu);
}

void doctor_mtu(struct doctor *d)
{
	const struct ip *ip = &d->files.discovery.self.host_ip;
	const struct router_state *r = &d->files.router;
	char dev[IFNAMSIZ] = "", text[IP_STRLEN];
	unsigned overhead = ip->family == AF_INET6 ? VXLAN_IPV6 : VXLAN_IPV4;
	size_t before = d->n;

	if (d->files.code[FILE_DISCOVERY] != 0 || ip_is_none(ip) || d->other_ns)
		return;
	unsigned mtu = underlay_mtu(ip, dev);
	if (mtu == 0) {
		/* the two-container form: the address is the host's, and this is the router's container */
		if (str_eq(d->files.router.datapath, "router"))
			return;
		doctor_add(d, "underlay", CHECK_ERROR,
			   "Has the address changed? discovery finds the new one; HOST_IP names one that is there.",
			   "no interface here has %s, which peers were told", ip_format(ip, text));
		return;
	}
	if (mtu < MTU_IPV6_MIN + overhead)
		doctor_add(d, "MTU", CHECK_WARNING, "Raise the MTU of the interface, or do without IPv6 inside.",
			   "%s has MTU %u: less than %u is left for IPv6 inside VXLAN, which needs %u", dev, mtu,
			   MTU_IPV6_MIN + overhead, MTU_IPV6_MIN);
	for (size_t i = 0; i < r->n_vnis; i++) {
		if (r->vnis[i].mtu && r->vnis[i].mtu + overhead > mtu)
			doctor_add(d, "MTU", CHECK_ERROR,
				   "Set UNDERLAY_MTU to that of the interface, or leave it away.",
				   "VNI %u has MTU %u, but %s (%s) leaves only %u: large packets are lost",
				   r->vnis[i].vni, r->vnis[i].mtu, dev, ip_format(ip, text), mtu - overhead);
	}
	for (size_t i = 0; i < r->n_vnis; i++)
		bridges_mtu_check(d, &r->vnis[i]);
	if (d->n == before)
		doctor_add(d, "MTU", CHECK_OK, NULL, "%s (%s) has %u, enough for every VNI", dev, ip_format(ip, text),
			   mtu);
}

/* --- containers whose default gateway is elsewhere --- */

struct gateways {
	struct ip v[8];
	size_t n;
};

static void on_default_route(void *arg, const struct nlmsghdr *nlh)
{
	struct gateways *g = arg;
	const struct rtmsg *r = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*r) || r->rtm_dst_len != 0 ||
	    r->rtm_table != RT_TABLE_MAIN || r->rtm_type != RTN_UNICAST || g->n == ARRAY_LEN(g->v))
		return;
	mnl_attr_for_each(a, nlh, sizeof(*r))
	{
		if (mnl_attr_get_type(a) == RTA_GATEWAY && mnl_attr_get_payload_len(a) == ip_size(r->rtm_family))
			g->v[g->n++] = ip_from_bytes(r->rtm_family, mnl_attr_get_payload(a));
	}
}

static void gateways_restart(void *arg)
{
	((struct gateways *)arg)->n = 0;
}

static int gateways_read(const struct inv_container *c, struct gateways *ret)
{
	char request[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	autoclose int ns = container_ns_open(c);
	struct nl *nl;
	struct err err;

	if (ns < 0)
		return ns;
	int fd = ns_socket(ns, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, &err);
	if (fd < 0)
		return fd;
	int code = nl_adopt(fd, &nl, &err);
	if (code < 0)
		return code;
	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	struct rtmsg *r = mnl_nlmsg_put_extra_header(nlh, sizeof(*r));
	r->rtm_family = AF_INET;
	code = nl_dump(nl, nlh, on_default_route, gateways_restart, ret, &err);
	nl_free(nl);
	return code;
}

/* Before engine 27 a container on an internal network may have a default route there; Docker drops what takes it. */
static bool leads_to_stack(const struct inv_stack *s, const struct gateways *g)
{
	for (size_t i = 0; i < s->n_networks; i++) {
		if (s->networks[i].internal)
			continue;
		for (size_t j = 0; j < s->networks[i].n_gateways; j++) {
			for (size_t k = 0; k < g->n; k++) {
				if (ip_cmp(&s->networks[i].gateways[j], &g->v[k]) == 0)
					return true;
			}
		}
	}
	return false;
}

void doctor_paths(struct doctor *d)
{
	const struct inventory *inv = &d->files.inventory;
	size_t looked = 0, cut_off = 0, paths = 0;

	if (d->files.code[FILE_ROUTER] != 0)
		return;
	for (size_t i = 0; i < inv->n_stacks; i++) {
		const struct inv_stack *s = &inv->stacks[i];
		for (size_t j = 0; j < s->n_containers; j++) {
			const struct inv_container *c = &s->containers[j];
			struct gateways g = {0};
			const char *path = container_path(&d->files.router, s, c->name);

			paths++;
			if (!str_eq(path, "leg") && !str_eq(path, "none"))
				continue;
			if (str_eq(path, "none")) {
				doctor_add(d, "paths", CHECK_WARNING,
					   "Refused subnets and what the router waits for stand here too.",
					   "container %s of stack %s has no path yet", c->name, s->stack_id);
				cut_off++;
				continue;
			}
			if (!d->root || ++looked > ROUTES_LOOKED_AT || doctor_left_ms(d, 1) == 0 ||
			    gateways_read(c, &g) < 0 || leads_to_stack(s, &g))
				continue;
			cut_off++;
			doctor_add(d, "paths", CHECK_ERROR,
				   "Set DATAPATH to auto: then it gets a NIC or routes of its own. Or make the stack's "
				   "network the "
				   "one whose name sorts first, and not internal.",
				   "container %s of stack %s is cut off: its default gateway is not the stack's "
				   "network, and "
				   "DATAPATH is %s",
				   c->name, s->stack_id, d->files.router.datapath);
		}
	}
	if (paths && cut_off == 0)
		doctor_add(d, "paths", CHECK_OK, NULL, "%zu container%s a path%s", paths,
			   paths == 1 ? " has" : "s have", d->root ? "" : " (their routes are looked at as root only)");
}
