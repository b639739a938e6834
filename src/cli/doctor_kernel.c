/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel must be able to do. As root it is tried, in a namespace made for that, which is gone when its last
 * descriptor is closed; else the kernel's own list of options is read, where there is one.
 */
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/utsname.h>

#include "cli/doctor.h"
#include "io/nl.h"
#include "io/ns.h"

static const struct kernel_option {
	const char *option, *why;
	bool optional;
} kernel_options[] = {
	{"CONFIG_NET_NS", "a router namespace per VNI"},
	{"CONFIG_VETH", "legs into the stacks, NICs into the containers"},
	{"CONFIG_BRIDGE", "Docker's networks are bridges"},
	{"CONFIG_VXLAN", "the tunnel between hosts"},
	{"CONFIG_INET", "IPv4"},
	{"CONFIG_IPV6", "next hops inside a VNI are IPv6, for IPv4 stacks too"},
	{"CONFIG_IP_ADVANCED_ROUTER", "needed by the next"},
	{"CONFIG_IP_MULTIPLE_TABLES", "policy rules lead a stack's IPv4 traffic to its leg"},
	{"CONFIG_IPV6_MULTIPLE_TABLES", "the same for IPv6"},
	{"CONFIG_IP_MULTICAST", "discovery by multicast"},
	{"CONFIG_NETFILTER", "needed by the next"},
	{"CONFIG_NF_CONNTRACK", "notrack, so that overlay traffic costs no connection tracking"},
	{"CONFIG_NF_TABLES", "our own table: the VXLAN port open to peers only, prefix rewriting"},
	{"CONFIG_NF_TABLES_INET", "one table for both families"},
	{"CONFIG_NFT_CT", "notrack"},
	{"CONFIG_NFT_FIB_IPV4", "needed by the next but one"},
	{"CONFIG_NFT_FIB_IPV6", "needed by the next"},
	{"CONFIG_NFT_FIB_INET", "what is for this host itself stays tracked"},
	{"CONFIG_UNIX", "the Docker Engine's socket"},
	{"CONFIG_INOTIFY_USER", "the state directory is watched"},
	{"CONFIG_MEMFD_CREATE", "firewall transactions are handed over in memory"},
	{"CONFIG_NF_TABLES_NETDEV", "needed by the next two", true},
	{"CONFIG_NFT_FWD_NETDEV", "the shortcut of DATAPATH leg past the bridge: without it a leg is slower", true},
	{"CONFIG_NFT_DUP_NETDEV", "multicast groups of routable addresses are copied", true},
	{"CONFIG_WIREGUARD", "ENCRYPTION=wireguard; without it by wireguard-go, slower", true},
};

struct table *kernel_options_table(void)
{
	static const struct column columns[] = {{"option", "OPTION", 0}, {"needed", "NEEDED", 0}, {"why", "WHY", 0}};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < ARRAY_LEN(kernel_options); i++) {
		cell_str(t, kernel_options[i].option);
		cell_str(t, kernel_options[i].optional ? "optional" : "always");
		cell_str(t, kernel_options[i].why);
	}
	return t;
}

/* --- without root: read --- */

static bool option_is_set(const char *config, const char *option)
{
	size_t len = strlen(option);

	for (const char *p = config; (p = strstr(p, option)); p += len) {
		if ((p == config || p[-1] == '\n') && p[len] == '=' && (p[len + 1] == 'y' || p[len + 1] == 'm'))
			return true;
	}
	return false;
}

static bool config_read(struct doctor *d, struct buf *ret)
{
	const char *argv[] = {"sh", "-c",
			      "gzip -dc /proc/config.gz | grep -E '^CONFIG_[A-Z0-9_]+=[ym]$' | grep -E "
			      "'NET|INET|VXLAN|VETH|BRIDGE|IP|NF|UNIX|INOTIFY|MEMFD'",
			      NULL};
	char path[200];
	struct utsname u;
	struct run_result r;
	struct err err;
	bool got = false;

	if (access("/proc/config.gz", R_OK) == 0 && doctor_run(d, argv, -1, NULL, &r, &err) == 0) {
		/* output is bounded: a list that was cut proves nothing */
		got = r.status == 0 && r.out.len > 0 && r.out.len < RUN_OUTPUT_MAX;
		if (got)
			buf_append(ret, r.out.data, r.out.len);
		run_result_done(&r);
	}
	if (!got && uname(&u) == 0) {
		str_print(path, "/boot/config-%s", u.release);
		got = file_read(AT_FDCWD, path, 4u << 20, NULL, ret, &err) == 0;
	}
	return got;
}

static void kernel_read(struct doctor *d, const char *why_not_tried)
{
	autobuf struct buf config = {0};
	size_t missing = 0;

	if (!config_read(d, &config)) {
		doctor_add(d, "kernel", CHECK_SKIPPED, "Run doctor as root: then it tries what the kernel can do.",
			   "%s, and there is neither /proc/config.gz nor a file in /boot", why_not_tried);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(kernel_options); i++) {
		if (option_is_set(config.data, kernel_options[i].option))
			continue;
		missing++;
		doctor_add(d, "kernel", kernel_options[i].optional ? CHECK_INFO : CHECK_WARNING,
			   "Take a kernel that has it; as root, doctor tries it.", "%s is not set: %s",
			   kernel_options[i].option, kernel_options[i].why);
	}
	if (missing == 0)
		doctor_add(d, "kernel", CHECK_OK, NULL, "all %zu options are set (%s)", ARRAY_LEN(kernel_options),
			   why_not_tried);
}

/* --- as root: try --- */

struct request {
	char bytes[1024] __attribute__((aligned(8)));
	struct nlmsghdr *nlh;
};

static void request_begin(struct request *r, uint16_t type)
{
	r->nlh = mnl_nlmsg_put_header(r->bytes);
	r->nlh->nlmsg_type = type;
	r->nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
}

static int link_try(struct nl *nl, const char *name, const char *kind, struct err *err)
{
	struct request r;
	struct ifinfomsg *ifi;

	request_begin(&r, RTM_NEWLINK);
	ifi = mnl_nlmsg_put_extra_header(r.nlh, sizeof(*ifi));
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	mnl_attr_put_strz(r.nlh, IFLA_IFNAME, name);
	struct nlattr *info = mnl_attr_nest_start(r.nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(r.nlh, IFLA_INFO_KIND, kind);
	struct nlattr *data = mnl_attr_nest_start(r.nlh, IFLA_INFO_DATA);
	if (str_eq(kind, "vxlan")) {
		mnl_attr_put_u32(r.nlh, IFLA_VXLAN_ID, 1);
		mnl_attr_put_u16(r.nlh, IFLA_VXLAN_PORT, htons(4789));
		mnl_attr_put_u8(r.nlh, IFLA_VXLAN_LEARNING, 0);
	}
	mnl_attr_nest_end(r.nlh, data);
	mnl_attr_nest_end(r.nlh, info);
	return nl_get(nl, r.nlh, NULL, NULL, err);
}

static int veth_try(struct nl *nl, struct err *err)
{
	return link_try(nl, "drdoctor0", "veth", err);
}

static int bridge_try(struct nl *nl, struct err *err)
{
	return link_try(nl, "drdoctor1", "bridge", err);
}

static int vxlan_try(struct nl *nl, struct err *err)
{
	return link_try(nl, "drdoctor2", "vxlan", err);
}

static int rule_try(struct nl *nl, uint8_t family, struct err *err)
{
	struct request r;
	struct fib_rule_hdr *h;

	request_begin(&r, RTM_NEWRULE);
	h = mnl_nlmsg_put_extra_header(r.nlh, sizeof(*h));
	h->family = family;
	h->action = FR_ACT_TO_TBL;
	h->table = RT_TABLE_UNSPEC;
	mnl_attr_put_u32(r.nlh, FRA_TABLE, 5000);
	mnl_attr_put_u32(r.nlh, FRA_PRIORITY, 5000);
	mnl_attr_put_u8(r.nlh, FRA_PROTOCOL, 212);
	mnl_attr_put_strz(r.nlh, FRA_IIFNAME, "drdoctor1");
	return nl_get(nl, r.nlh, NULL, NULL, err);
}

static int rule4_try(struct nl *nl, struct err *err)
{
	return rule_try(nl, AF_INET, err);
}

static int rule6_try(struct nl *nl, struct err *err)
{
	return rule_try(nl, AF_INET6, err);
}

/* 192.0.2.0/24 via inet6 fe80::1 dev drdoctor0 onlink */
static int route_try(struct nl *nl, struct err *err)
{
	struct {
		uint16_t family;
		uint8_t ip[16];
	} via = {AF_INET6, {0xfe, 0x80, [15] = 1}};
	struct request r;
	struct rtmsg *rt;
	unsigned index = if_nametoindex("drdoctor0");

	if (!index)
		return err_set(err, -ENODEV, "no veth to try it on");
	request_begin(&r, RTM_NEWROUTE);
	rt = mnl_nlmsg_put_extra_header(r.nlh, sizeof(*rt));
	rt->rtm_family = AF_INET;
	rt->rtm_dst_len = 24;
	rt->rtm_table = RT_TABLE_MAIN;
	rt->rtm_protocol = 212;
	rt->rtm_type = RTN_UNICAST;
	rt->rtm_flags = RTNH_F_ONLINK;
	mnl_attr_put_u32(r.nlh, RTA_DST, inet_addr("192.0.2.0"));
	mnl_attr_put_u32(r.nlh, RTA_OIF, index);
	mnl_attr_put(r.nlh, RTA_VIA, sizeof(via), &via);
	return nl_get(nl, r.nlh, NULL, NULL, err);
}

static const struct kernel_try {
	const char *what;
	int (*fn)(struct nl *nl, struct err *err);
	const char *cure;
} kernel_tries[] = {
	{"veth", veth_try, "Kernel option CONFIG_VETH (modprobe veth)."},
	{"bridge", bridge_try, "Kernel option CONFIG_BRIDGE (modprobe bridge)."},
	{"VXLAN", vxlan_try, "Kernel option CONFIG_VXLAN (modprobe vxlan)."},
	{"IPv4 policy rules", rule4_try, "Kernel option CONFIG_IP_MULTIPLE_TABLES."},
	{"IPv6 policy rules", rule6_try,
	 "Kernel options CONFIG_IPV6 and CONFIG_IPV6_MULTIPLE_TABLES, and no ipv6.disable=1 on its command line."},
	{"IPv4 routes over an IPv6 next hop", route_try,
	 "Linux 5.2 or later with CONFIG_IPV6, and no ipv6.disable=1 on its command line."},
};

#define NFT_CHAIN(rule) "table inet drdoctor {\nchain c {\ntype filter hook prerouting priority -310\n" rule "\n}\n}\n"
#define NFT_INGRESS(rule) \
	"table netdev drdoctor {\nchain c {\ntype filter hook ingress device lo priority 0\n" rule "\n}\n}\n"
#define NFT_AGE "Linux 4.18 or later, and nft 0.9 or later."

static const struct nft_try {
	const char *what, *input, *cure;
	bool optional;
} nft_tries[] = {
	{"nft table of family inet", NFT_CHAIN(""),
	 "Kernel options CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET (modprobe nf_tables)."},
	{"nft raw payload match", NFT_CHAIN("udp dport 4789 @th,96,24 0x3e8 accept"), NFT_AGE},
	{"nft notrack", NFT_CHAIN("notrack"),
	 "Kernel options CONFIG_NF_CONNTRACK and CONFIG_NFT_CT (modprobe nft_ct)."},
	{"nft fib", NFT_CHAIN("fib daddr type local accept"),
	 "Kernel options CONFIG_NFT_FIB_IPV4, CONFIG_NFT_FIB_IPV6, CONFIG_NFT_FIB_INET (modprobe nft_fib_inet)."},
	{"nft prefix rewriting", NFT_CHAIN("ip daddr set ip daddr & 0.0.0.255 ^ 192.0.2.0"), NFT_AGE},
	{"nft sets of prefixes",
	 "table inet drdoctor {\nset s {\ntype ipv4_addr\nflags interval\nelements = { 192.0.2.0/24 }\n}\n}\n",
	 NFT_AGE},
	{"nft fwd, by which a leg takes the shortcut past the bridge (slower without)", NFT_INGRESS("fwd to lo"),
	 "Kernel options CONFIG_NF_TABLES_NETDEV and CONFIG_NFT_FWD_NETDEV (modprobe nft_fwd_netdev).", true},
	{"nft dup, by which multicast groups are copied (docker-router.multicast)", NFT_INGRESS("dup to lo"),
	 "Kernel options CONFIG_NF_TABLES_NETDEV and CONFIG_NFT_DUP_NETDEV (modprobe nft_dup_netdev).", true},
};

static size_t netlink_tries(struct doctor *d, int ns)
{
	struct nl *nl;
	struct err err = {0};
	struct ns_guard g;
	size_t failed = 0;

	if (ns_enter(ns, &g, &err) < 0) {
		doctor_add(d, "kernel", CHECK_ERROR, "Kernel option CONFIG_NET_NS.", "%s", err.text);
		return 1;
	}
	if (nl_open(NETLINK_ROUTE, &nl, &err) < 0) {
		doctor_add(d, "kernel", CHECK_ERROR, NULL, "%s", err.text);
		ns_leave(&g);
		return 1;
	}
	for (size_t i = 0; i < ARRAY_LEN(kernel_tries); i++) {
		err = (struct err){0};
		if (kernel_tries[i].fn(nl, &err) == 0)
			continue;
		failed++;
		doctor_add(d, "kernel", CHECK_ERROR, kernel_tries[i].cure, "%s: %s", kernel_tries[i].what, err.text);
	}
	nl_free(nl);
	ns_leave(&g);
	return failed;
}

static size_t nft_tries_run(struct doctor *d, int ns)
{
	const char *argv[] = {"nft", "-f", "-", NULL};
	size_t failed = 0;

	for (size_t i = 0; i < ARRAY_LEN(nft_tries); i++) {
		char text[160];
		struct run_result r;
		struct err err = {0};

		if (doctor_run(d, argv, ns, nft_tries[i].input, &r, &err) < 0)
			return failed; /* no nft (doctor_programs() says so), or no time */
		if (r.status != 0) {
			failed += !nft_tries[i].optional;
			doctor_add(d, "kernel", nft_tries[i].optional ? CHECK_INFO : CHECK_ERROR, nft_tries[i].cure,
				   "%s: %s", nft_tries[i].what, run_first_line(&r, text, sizeof(text)));
		}
		run_result_done(&r);
	}
	return failed;
}

/* A namespace of our own; we are back in ours. Return: fd or -errno */
static int scratch_make(void)
{
	autoclose int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (home < 0 || unshare(CLONE_NEWNET) < 0)
		return -errno;
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (setns(home, CLONE_NEWNET) < 0)
		abort(); /* to go on elsewhere would check the wrong namespace */
	return fd;
}

void doctor_kernel(struct doctor *d)
{
	if (!d->root) {
		kernel_read(d, "not tried without root");
		return;
	}
	autoclose int ns = scratch_make();
	if (ns == -EINVAL) {
		doctor_add(d, "kernel", CHECK_ERROR, "Kernel option CONFIG_NET_NS.", "there are no network namespaces");
		return;
	}
	if (ns < 0) {
		kernel_read(d, "not tried, since no network namespace may be made here");
		return;
	}
	size_t failed = netlink_tries(d, ns);
	failed += nft_tries_run(d, ns);
	if (failed == 0)
		doctor_add(d, "kernel", CHECK_OK, NULL,
			   "namespaces, veth, bridge, VXLAN, policy rules, IPv4 via IPv6 and nftables work (tried)");
}
