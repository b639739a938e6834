/* SPDX-License-Identifier: Apache-2.0
 *
 * The gate of the broker: pure functions that decide whether a datagram is a request that is done at all. Whoever took
 * over a role gets no further than this grammar.
 */
#include <inttypes.h>
#include <linux/netlink.h>

#include "base/addr.h"
#include "io/broker_wire.h"

static const char *const op_names[] = {"open",	    "netlink",	  "nft",      "remove",	   "list",
				       "ipv6-on",   "dns",	  "dns-rule", "wireguard", "wireguard-socket",
				       "forward",   "nic-sysctl", "flag",     "resolv",	   "dhcp",
				       "dhcp-stop", "packet",	  "nic-conf", "gather"};
_Static_assert(ARRAY_LEN(op_names) == BROKER_OP_N_, "a name for every operation");

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool all_alnum(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!is_alnum(*s))
			return false;
	return true;
}

static bool terminated(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

/* "1000": no sign, no leading zero, 1 to VNI_MAX */
static bool vni_parse(const char *s, uint32_t *ret_vni)
{
	uint64_t n;

	if (s[0] < '1' || s[0] > '9' || parse_u64(s, 1, VNI_MAX, &n) < 0)
		return false;
	*ret_vni = (uint32_t)n;
	return true;
}

/* A container's id: letters and digits, then also _ . - */
static bool container_ok(const char *s)
{
	if (!is_alnum(s[0]))
		return false;
	for (; *s; s++)
		if (!is_alnum(*s) && !strchr("_.-", *s))
			return false;
	return true;
}

/* "dr7": what the router calls its NICs in containers; nobody else's interface is touched */
static bool iface_ok(const char *s)
{
	if (strncmp(s, "dr", 2) != 0 || !s[2])
		return false;
	for (s += 2; *s; s++)
		if (*s < '0' || *s > '9')
			return false;
	return true;
}

/* What the kernel takes for an interface, and no name that stands for something else below /proc/sys */
static bool nic_ok(const char *s)
{
	if (!*s || *s == '-' || str_eq(s, ".") || str_eq(s, "..") || str_eq(s, "lo") || str_eq(s, "all") ||
	    str_eq(s, "default"))
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || strchr("/:%\"\\", *s))
			return false;
	return true;
}

/* "drwg", 8 hex digits, and "b" for the second: what the router calls the host's WireGuard devices */
static bool wireguard_ok(const char *s)
{
	size_t len = strlen(s);

	return (len == 12 || (len == 13 && s[12] == 'b')) && strncmp(s, "drwg", 4) == 0 &&
	       strspn(s + 4, "0123456789abcdef") >= 8;
}

/* "vx7wg": what the router calls the VXLAN device of VNI 7 above WireGuard */
static bool vxlan_ok(const char *s, uint32_t vni)
{
	char name[sizeof(((struct broker_ns *)0)->iface)];

	str_print(name, "vx%" PRIu32 "wg", vni);
	return str_eq(s, name);
}

static bool below(const char *dir, const char *top)
{
	size_t n = strlen(top);

	return strncmp(dir, top, n) == 0 && (dir[n] == '\0' || dir[n] == '/');
}

bool broker_sandbox_dir_ok(const char *dir, const char *base)
{
	size_t n = strlen(dir);

	if (below(dir, "/run") || below(dir, "/var/run"))
		return true;
	return n > 6 && str_eq(dir + n - 6, "/netns") && all_alnum(base);
}

/* An absolute path of plain characters without "." and ".." whose directory is one for sandbox keys */
static bool sandbox_ok(const char *s)
{
	char dir[sizeof(((struct broker_ns *)0)->sandbox)];
	const char *base;

	if (s[0] != '/')
		return false;
	for (const char *p = s; *p; p++) {
		if (!is_alnum(*p) && !strchr("/_.:@+-", *p))
			return false;
		if (p[0] == '/' && (p[1] == '/' || p[1] == '\0'))
			return false;
		if (p[0] == '/' && p[1] == '.' &&
		    (p[2] == '/' || p[2] == '\0' || (p[2] == '.' && (p[3] == '/' || p[3] == '\0'))))
			return false;
	}
	base = strrchr(s, '/') + 1;
	snprintf(dir, sizeof(dir), "%.*s", (int)(base - s - 1), s);
	return broker_sandbox_dir_ok(dir, base);
}

static int ns_check(const struct broker_ns *ns, struct broker_ask *ask, struct err *err)
{
	if (str_eq(ns->name, "host")) {
		ask->target = TARGET_HOST;
	} else if (str_eq(ns->name, "wireguard")) {
		ask->target = TARGET_WIREGUARD;
	} else if (strncmp(ns->name, "vni:", 4) == 0) {
		ask->target = TARGET_VNI;
		if (!vni_parse(ns->name + 4, &ask->vni))
			return err_set(err, -EINVAL, "namespace: vni:N takes 1 to %u", VNI_MAX);
	} else if (strncmp(ns->name, "ct:", 3) == 0) {
		ask->target = TARGET_CONTAINER;
		if (!container_ok(ns->name + 3))
			return err_set(err, -EINVAL, "namespace: ct:ID takes a container's id");
		if (ns->sandbox[0] && !sandbox_ok(ns->sandbox))
			return err_set(err, -EINVAL, "sandbox: must lie below /run or /var/run, or end in /netns/ID");
		if (ns->pid < 0)
			return err_set(err, -EINVAL, "pid: must not be negative");
		return 0;
	} else {
		return err_set(err, -EINVAL, "namespace: must be host, vni:N, wireguard or ct:ID");
	}
	if (ns->sandbox[0] || ns->pid)
		return err_set(err, -EINVAL, "sandbox and pid go with ct: only");
	return 0;
}

/* What each operation takes */
static int op_check(const struct broker_ask *ask, bool has_fd, struct err *err)
{
	const char *op = op_names[ask->op];
	bool ok = false, ours = ask->target == TARGET_VNI || ask->target == TARGET_WIREGUARD;

	if (has_fd !=
	    (ask->op == BROKER_NFT || ask->op == BROKER_FORWARD || ask->op == BROKER_RESOLV || ask->op == BROKER_DHCP))
		return err_set(err, -EINVAL, "%s: %s", op, has_fd ? "takes no descriptor" : "needs a descriptor");
	if (ask->ns.iface[0] && ask->op != BROKER_IPV6_ON && ask->op != BROKER_WIREGUARD &&
	    ask->op != BROKER_WIREGUARD_SOCKET && ask->op != BROKER_NIC_SYSCTL && ask->op != BROKER_DHCP &&
	    ask->op != BROKER_GATHER)
		return err_set(err, -EINVAL, "%s: takes no interface", op);
	switch (ask->op) {
	case BROKER_OPEN:
		ok = ask->arg == 0 || (ask->arg == BROKER_CREATE && ours) ||
		     (ask->arg == (BROKER_CREATE | BROKER_RELAY) && ask->target == TARGET_WIREGUARD);
		break;
	case BROKER_NETLINK:
		ok = ask->arg == NETLINK_ROUTE || ask->arg == NETLINK_NETFILTER ||
		     (ask->arg == NETLINK_GENERIC && ask->target == TARGET_WIREGUARD);
		break;
	case BROKER_NFT:
		ok = ask->arg == 0;
		break;
	case BROKER_REMOVE:
		ok = ask->arg == 0 && ours;
		break;
	case BROKER_LIST:
		ok = ask->arg == 0 && ask->target == TARGET_HOST;
		break;
	case BROKER_IPV6_ON:
		ok = ask->arg == 0 && ask->target == TARGET_CONTAINER && iface_ok(ask->ns.iface);
		break;
	case BROKER_DNS:
		ok = (ask->arg == BROKER_DNS_LISTEN || ask->arg == BROKER_DNS_ASK) && ask->target == TARGET_CONTAINER;
		break;
	case BROKER_DNS_RULE:
		ok = ask->arg > 0 && ask->arg <= UINT16_MAX && ask->target == TARGET_CONTAINER;
		break;
	case BROKER_WIREGUARD:
	case BROKER_WIREGUARD_SOCKET:
		ok = ask->arg == 0 && ask->target == TARGET_WIREGUARD && wireguard_ok(ask->ns.iface);
		break;
	case BROKER_FORWARD:
		ok = ask->arg == 0 && ask->target == TARGET_HOST;
		break;
	case BROKER_NIC_SYSCTL:
		ok = ask->arg >= 0 && ask->arg <= BROKER_NIC_ALL && ask->target == TARGET_CONTAINER &&
		     nic_ok(ask->ns.iface);
		break;
	case BROKER_FLAG:
	case BROKER_RESOLV:
		ok = (ask->arg == 0 || ask->arg == 1) && ask->target == TARGET_CONTAINER;
		break;
	case BROKER_DHCP:
		ok = ask->arg == 0 && ask->target == TARGET_CONTAINER && nic_ok(ask->ns.iface);
		break;
	case BROKER_DHCP_STOP:
		ok = ask->arg >= 0 && ask->target == TARGET_HOST;
		break;
	case BROKER_PACKET:
	case BROKER_NIC_CONF:
		ok = ask->arg == 0 && ask->target == TARGET_CONTAINER;
		break;
	case BROKER_GATHER:
		ok = ask->arg == 0 && ask->target == TARGET_VNI && vxlan_ok(ask->ns.iface, ask->vni);
		break;
	case BROKER_OP_N_:
		break;
	}
	return ok ? 0 : err_set(err, -EINVAL, "%s: not with this namespace and argument", op);
}

int broker_request_check(const void *data, size_t len, bool has_fd, struct broker_ask *ret, struct err *err)
{
	struct broker_request r;
	struct broker_ask ask = {0};
	int rc;

	if (len != sizeof(r))
		return err_set(err, -EBADMSG, "request of %zu bytes, must be %zu", len, sizeof(r));
	memcpy(&r, data, sizeof(r));
	if (r.magic != BROKER_MAGIC)
		return err_set(err, -EBADMSG, "request of another version");
	if (!terminated(r.ns.name, sizeof(r.ns.name)) || !terminated(r.ns.sandbox, sizeof(r.ns.sandbox)) ||
	    !terminated(r.ns.iface, sizeof(r.ns.iface)))
		return err_set(err, -EBADMSG, "request with a string that does not end");
	if (r.op < 0 || r.op >= BROKER_OP_N_)
		return err_set(err, -EINVAL, "operation %d: there is none", r.op);
	ask.op = (enum broker_op)r.op;
	ask.arg = r.arg;
	ask.ns = r.ns;
	rc = ns_check(&r.ns, &ask, err);
	if (rc == 0)
		rc = op_check(&ask, has_fd, err);
	if (rc == 0)
		*ret = ask;
	return rc;
}
