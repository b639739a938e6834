/* SPDX-License-Identifier: Apache-2.0
 *
 * Instances that nobody uses any more: found by what the kernel says of their links, and removed.
 */
#include "io/instance.h"

#include <dirent.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/addr.h"
#include "io/nl.h"
#include "io/ns.h"

#define CLAIM_NAME "docker-router.host"
/* Links of ours that are tied to the host's namespace; the router's net.h has the same words */
#define ALIAS_VXLAN "docker-router:vxlan"
#define ALIAS_LEG   "docker-router:leg"

int instance_claim(int ns_fd, struct err *err)
{
	/* An abstract socket belongs to the namespace and goes with the process */
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	autoclose int fd = ns_socket(ns_fd, AF_UNIX, SOCK_DGRAM, 0, err);

	if (fd < 0)
		return fd;
	memcpy(sun.sun_path + 1, CLAIM_NAME, sizeof(CLAIM_NAME) - 1);
	/* the end of the string counts as a part of the name: older programs bind it so */
	if (bind(fd, (struct sockaddr *)&sun, offsetof(struct sockaddr_un, sun_path) + sizeof(CLAIM_NAME)) < 0)
		return err_errno(err, -errno, "bind a socket");
	return steal_fd(fd);
}

bool instance_pin_name(const char *name)
{
	uint64_t vni;

	if (str_eq(name, PIN_WIREGUARD))
		return true;
	return strncmp(name, "vni-", 4) == 0 && name[4] != '0' && parse_u64(name + 4, 1, VNI_MAX, &vni) == 0;
}

/* --- one router namespace --- */

struct seen_link {
	int index;
	int32_t nsid; /* of the namespace that it is tied to, or -1 */
	bool tells;
};

struct seen {
	struct seen_link *v;
	size_t n, cap;
	int32_t nsid;
};

static void on_link(void *arg, const struct nlmsghdr *nlh)
{
	struct seen *s = arg;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi) ||
	    ifi->ifi_flags & IFF_LOOPBACK)
		return;
	struct seen_link *l = xgrow(&s->v, s->n, &s->cap);
	s->n++;
	*l = (struct seen_link){.index = ifi->ifi_index, .nsid = -1};
	mnl_attr_for_each(a, nlh, sizeof(*ifi))
	{
		const char *text = mnl_attr_get_payload(a);
		size_t len = mnl_attr_get_payload_len(a);

		if (mnl_attr_get_type(a) == IFLA_LINK_NETNSID && len >= sizeof(l->nsid))
			memcpy(&l->nsid, text, sizeof(l->nsid));
		if (mnl_attr_get_type(a) == IFLA_IFALIAS)
			l->tells = (len >= sizeof(ALIAS_VXLAN) &&
				    memcmp(text, ALIAS_VXLAN, sizeof(ALIAS_VXLAN) - 1) == 0) ||
				   (len >= sizeof(ALIAS_LEG) && memcmp(text, ALIAS_LEG, sizeof(ALIAS_LEG) - 1) == 0);
	}
}

static void on_restart(void *arg)
{
	struct seen *s = arg;

	s->n = 0;
}

static void on_nsid(void *arg, const struct nlmsghdr *nlh)
{
	struct seen *s = arg;
	const struct nlattr *a;

	if (nlh->nlmsg_type != RTM_NEWNSID || mnl_nlmsg_get_payload_len(nlh) < sizeof(struct rtgenmsg))
		return;
	mnl_attr_for_each(a, nlh, sizeof(struct rtgenmsg))
	{
		if (mnl_attr_get_type(a) == NETNSA_NSID && mnl_attr_get_payload_len(a) >= sizeof(s->nsid))
			memcpy(&s->nsid, mnl_attr_get_payload(a), sizeof(s->nsid));
	}
}

static int links_read(struct nl *nl, struct seen *s, struct err *err)
{
	char request[64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	return nl_dump(nl, nlh, on_link, on_restart, s, err);
}

/* By which number the namespace of @nl knows @host_ns; after the dump, which gives numbers to those it names */
static int nsid_read(struct nl *nl, int host_ns, struct seen *s, struct err *err)
{
	char request[64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);

	s->nsid = -1;
	nlh->nlmsg_type = RTM_GETNSID;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct rtgenmsg));
	mnl_attr_put_u32(nlh, NETNSA_FD, (uint32_t)host_ns);
	return nl_get(nl, nlh, on_nsid, s, err);
}

static int pin_nl(const char *path, struct nl **ret, struct err *err)
{
	autoclose int ns = ns_open(path, err);
	int fd = ns < 0 ? ns : ns_socket(ns, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, err);

	return fd < 0 ? fd : nl_adopt(fd, ret, err);
}

enum tied { TIED_TO_NOBODY, TIED_HERE, TIED_ELSEWHERE };

static enum tied pin_tied(const char *path, int host_ns)
{
	struct nl *nl = NULL;
	struct seen s = {.nsid = -1};
	enum tied ret = TIED_TO_NOBODY;
	int code = pin_nl(path, &nl, NULL);

	if (code == -EINVAL || code == -ENOENT)
		return TIED_TO_NOBODY; /* its mount is gone, and the namespace with it */
	if (code < 0)
		return TIED_ELSEWHERE;
	if (links_read(nl, &s, NULL) < 0 || nsid_read(nl, host_ns, &s, NULL) < 0)
		ret = TIED_ELSEWHERE; /* who knows */
	for (size_t i = 0; i < s.n && ret != TIED_ELSEWHERE; i++) {
		if (s.v[i].tells)
			ret = s.nsid >= 0 && s.v[i].nsid == s.nsid ? TIED_HERE : TIED_ELSEWHERE;
	}
	free(s.v);
	nl_free(nl);
	return ret;
}

static int pin_remove(const char *path, struct err *err)
{
	struct nl *nl = NULL;
	struct seen s = {0};

	/* The devices first: somebody may hold the namespace open for a while yet, and a VXLAN device's socket is not
	 * in it. What does not go now goes with the namespace. */
	if (pin_nl(path, &nl, NULL) == 0 && links_read(nl, &s, NULL) == 0) {
		for (size_t i = 0; i < s.n; i++) {
			struct nlmsghdr *nlh = nl_begin(nl, RTM_DELLINK, 0, NULL);
			struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
			ifi->ifi_index = s.v[i].index;
			nl_end(nl);
		}
		(void)!nl_commit(nl, NULL, NULL);
	}
	free(s.v);
	nl_free(nl);
	return ns_unpin(path, err);
}

/* --- instances --- */

static int is_pin(const struct dirent *e)
{
	return instance_pin_name(e->d_name);
}

static int is_instance(const struct dirent *e)
{
	return strlen(e->d_name) == 8 && strspn(e->d_name, "0123456789abcdef") == 8;
}

static bool instance_tied_here(const char *path, int host_ns)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, is_pin, NULL);
	bool here = false, elsewhere = false;

	for (int i = 0; i < n; i++) {
		autofree char *pin = xasprintf("%s/%s", path, names[i]->d_name);
		enum tied tied = elsewhere ? TIED_ELSEWHERE : pin_tied(pin, host_ns);

		here |= tied == TIED_HERE;
		elsewhere |= tied == TIED_ELSEWHERE;
		free(names[i]);
	}
	free(names);
	return here && !elsewhere;
}

void instances_left(const char *run_dir, int host_ns, const char *skip, instance_fn *fn, void *arg)
{
	struct dirent **names = NULL;
	int n = scandir(run_dir, &names, is_instance, alphasort);

	for (int i = 0; i < n; i++) {
		autofree char *path = xasprintf("%s/%s", run_dir, names[i]->d_name);

		if (!(skip && str_eq(path, skip)) && instance_tied_here(path, host_ns))
			fn(arg, path);
		free(names[i]);
	}
	free(names);
}

int instance_remove(const char *path, struct err *err)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, is_pin, NULL), code = n < 0 ? err_errno(err, -errno, "%s", path) : 0;

	for (int i = 0; i < n; i++) {
		autofree char *pin = xasprintf("%s/%s", path, names[i]->d_name);
		int rc = pin_remove(pin, code == 0 ? err : NULL);

		if (code == 0)
			code = rc;
		free(names[i]);
	}
	free(names);
	if (code == 0)
		(void)rmdir(path); /* unless there is something in it that is not ours */
	return code;
}
