/* SPDX-License-Identifier: Apache-2.0
 *
 * What can keep a container's NIC from its LAN: a bridge that is missing, has no port or no carrier; Wi-Fi below a
 * macvlan; iptables for bridged frames; a DHCP server that a macvlan cannot reach; a port that does not forward.
 */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "cli/doctor.h"
#include "cli/nics.h"
#include "io/nl.h"

#define WIRELESS_NAME 0x8B01 /* SIOCGIWNAME */
#define PORT_FORWARDS 3	     /* BR_STATE_FORWARDING */

struct lan {
	struct doctor *d;
	struct nl *nl;
	int fd; /* any socket, for ioctl */
	bool have_firewall, bridged_filter;
	struct run_result firewall;
};

/* IFF_..., -1: no such interface */
static int flags_of(const struct lan *l, const char *name)
{
	struct ifreq ifr = {0};

	str_copy(ifr.ifr_name, name);
	return ioctl(l->fd, SIOCGIFFLAGS, &ifr) < 0 ? -1 : (uint16_t)ifr.ifr_flags;
}

static bool is_wireless(const struct lan *l, const char *name)
{
	struct ifreq ifr = {0};

	str_copy(ifr.ifr_name, name);
	return ioctl(l->fd, WIRELESS_NAME, &ifr) == 0;
}

/* The attribute of this type in a nest, or NULL */
static const struct nlattr *nested(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *a;

	if (!nest)
		return NULL;
	mnl_attr_for_each_nested(a, nest)
	{
		if (mnl_attr_get_type(a) == type)
			return a;
	}
	return NULL;
}

static void on_port(void *arg, const struct nlmsghdr *nlh)
{
	const struct nlattr *a, *state = NULL;

	mnl_attr_for_each(a, nlh, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(a) == IFLA_LINKINFO)
			state = nested(nested(a, IFLA_INFO_SLAVE_DATA), IFLA_BRPORT_STATE);
	}
	if (state && mnl_attr_get_payload_len(state) >= 1)
		*(int *)arg = mnl_attr_get_u8(state);
}

/* Of a bridge's port; -1: it is none */
static int port_state(const struct lan *l, const char *name)
{
	char request[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct err err;
	int state = -1;

	nlh->nlmsg_type = RTM_GETLINK;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return !l->nl || nl_get(l->nl, nlh, on_port, &state, &err) < 0 ? -1 : state;
}

/* Does somebody on this host serve DHCP? 0x43 is port 67 */
static bool dhcp_server_here(void)
{
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/net/udp", "re");

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, ":0043 ") && strstr(line, ":0043 ") < line + 24;
	if (f)
		fclose(f);
	return found;
}

static void firewall_look(struct lan *l)
{
	static const char *const argv[] = {"iptables-save", NULL};
	struct err err;
	char on[8] = "";
	FILE *f = fopen("/proc/sys/net/bridge/bridge-nf-call-iptables", "re");

	l->bridged_filter = f && fgets(on, sizeof(on), f) && on[0] == '1';
	if (f)
		fclose(f);
	l->have_firewall = l->d->root && l->bridged_filter && doctor_run(l->d, argv, -1, NULL, &l->firewall, &err) == 0;
}

static void check_bridge(const struct lan *l, const struct att_nic *n)
{
	struct doctor *d = l->d;
	int flags = flags_of(l, n->parent);
	struct firewall_view v;

	if (flags < 0) {
		autofree char *cure = xasprintf("Make it, or correct the name. On OpenWrt a bridge without ports needs "
						"bridge_empty and force_link. By hand: ip link add name %s type bridge",
						n->parent);
		doctor_add(d, "attach", CHECK_WARNING, cure, "%s %s: there is no %s on this host", n->name, n->nic,
			   n->parent);
		return;
	}
	if (!(flags & IFF_UP))
		doctor_add(d, "attach", CHECK_WARNING, "Set it up: ip link set dev NAME up.", "%s %s: %s is down",
			   n->name, n->nic, n->parent);
	else if (!(flags & IFF_RUNNING))
		doctor_add(d, "attach", CHECK_WARNING,
			   "Put the LAN's interface into the bridge. On OpenWrt set force_link for it.",
			   "%s %s: %s has no carrier, so nobody is on it", n->name, n->nic, n->parent);
	if (n->kind != NIC_VETH || !l->have_firewall)
		return;
	firewall_parse(l->firewall.out.data, n->parent, &v);
	if (!v.forward_drop || v.accepts)
		return;
	autofree char *cure = xasprintf("iptables -I FORWARD -i %s -o %s -j ACCEPT, or sysctl -w "
					"net.bridge.bridge-nf-call-iptables=0, or kind macvlan",
					n->parent, n->parent);
	doctor_add(d, "attach", CHECK_ERROR, cure,
		   "%s %s: bridged frames pass iptables (br_netfilter), whose FORWARD drops what comes from other "
		   "ports of "
		   "%s",
		   n->name, n->nic, n->parent);
}

static void check_nic(const struct lan *l, const struct att_nic *n)
{
	struct doctor *d = l->d;
	size_t before = d->n;
	bool macvlan = n->kind == NIC_MACVLAN || n->kind == NIC_MACVLAN_PRIVATE, leased = n->n_leases > 0;
	int state = n->host[0] ? port_state(l, n->host) : -1;

	if (!d->other_ns && n->state != NIC_REFUSED && n->kind != NIC_PHYSICAL)
		check_bridge(l, n);
	if (macvlan && is_wireless(l, n->parent))
		doctor_add(d, "attach", CHECK_ERROR, "Use a cable, or a bridge that is routed (no macvlan).",
			   "%s %s: %s is Wi-Fi, where an access point takes frames of one MAC only", n->name, n->nic,
			   n->parent);
	if (macvlan && leased && ip_is_none(&n->leases[0].address.ip) && dhcp_server_here())
		doctor_add(d, "attach", CHECK_WARNING, "Use kind veth and a bridge, which the server listens on.",
			   "%s %s: a DHCP server runs on this very host, and a macvlan does not reach that", n->name,
			   n->nic);
	if (state >= 0 && state != PORT_FORWARDS)
		doctor_add(d, "attach", CHECK_WARNING, "Wait for its forward delay, or switch STP off for the bridge.",
			   "%s %s: its port %s of %s does not forward", n->name, n->nic, n->host, n->parent);
	if (d->n == before && n->state != NIC_READY)
		doctor_add(d, "attach", n->state == NIC_WAITING ? CHECK_WARNING : CHECK_ERROR, NULL, "%s %s: %s",
			   n->name, n->nic, n->why[0] ? n->why : nic_state_names[n->state]);
}

void doctor_attach(struct doctor *d)
{
	struct file_owner owner = owner_of_root(&d->cli->dir);
	struct lan l = {.d = d, .fd = -1};
	struct attach_state s = {0};
	struct err err = {0};
	size_t before = d->n;
	int rc;

	if (d->cli->dir.fd < 0)
		return;
	doctor_step(d, "NICs of containers");
	if (d->files.inventory.n_attach && !role_wanted(&d->files, "attach")) {
		doctor_add(d, "attach", CHECK_WARNING, "Add attach to ROLES.",
			   "containers are to have NICs, and ROLES has no attach");
	} else if (d->files.inventory.n_attach) {
		rc = attach_state_read(d->cli->dir.fd, &owner, &s, &err);
		if (rc < 0)
			doctor_add(d, "attach", CHECK_ERROR, NULL, "%s",
				   rc == -ENOENT ? "the role attach has written no attach.json" : err.text);
	}
	rc = nics_add_driver(&d->cli->dir, &d->files.inventory, &s, &err);
	if (rc < 0 && rc != -ENOENT)
		doctor_add(d, "attach", CHECK_ERROR, NULL, "%s", err.text);
	if (!s.n_nics) {
		attach_state_done(&s);
		return;
	}
	l.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (d->other_ns || nl_open(NETLINK_ROUTE, &l.nl, &err) < 0)
		l.nl = NULL;
	firewall_look(&l);
	for (size_t i = 0; i < s.n_nics; i++)
		check_nic(&l, &s.nics[i]);
	if (d->n == before)
		doctor_add(d, "attach", CHECK_OK, NULL, "%zu NIC%s of containers ready", s.n_nics,
			   s.n_nics == 1 ? " is" : "s are");
	if (l.have_firewall)
		run_result_done(&l.firewall);
	nl_free(l.nl);
	autoclose_(&l.fd);
	attach_state_done(&s);
}
