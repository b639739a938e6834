/* SPDX-License-Identifier: Apache-2.0
 *
 * Links. A name alone does not say whose a link is, and between the plan and now somebody may have made one of that
 * name: what is to be changed or removed is read first, and left alone when it is a stranger's.
 *
 * A new link gets its alias first of all: dying after that leaves something that is known to be ours. (The kernel takes
 * no alias in the message that makes the link.)
 */
#include "router/apply_link.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "base/log.h"
#include "router/decode.h"
#include "router/dump.h"
#include "router/encode.h"

struct message {
	_Alignas(struct nlmsghdr) char bytes[ENCODE_MAX];
};

static struct nlmsghdr *message_init(struct message *m, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(m->bytes);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	return nlh;
}

static struct nl *net_nl(const struct observe *o, const struct net_id *id, struct err *err)
{
	struct nl *nl = observe_net_nl(o, id);
	char name[96];

	if (!nl)
		err_set(err, -ENODEV, "%s is not open", net_id_print(id, name));
	return nl;
}

static void take_link(void *arg, const struct nlmsghdr *nlh)
{
	struct decoded *d = arg;

	if (nlh->nlmsg_type == RTM_NEWLINK)
		decode_rt(nlh, d);
}

/* The link of this name as the kernel has it now. Return: 0 or -ENODEV, -errno */
static int link_read(struct nl *nl, const char *name, struct link *ret, struct err *err)
{
	struct message m;
	struct decoded d = {.kind = DECODED_NOTHING};
	struct nlmsghdr *nlh = message_init(&m, RTM_GETLINK, 0);

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	int rc = nl_get(nl, nlh, take_link, &d, err);
	if (rc < 0)
		return rc;
	if (d.kind != DECODED_LINK)
		return err_errno(err, -ENODEV, "%s", name);
	*ret = d.link;
	return 0;
}

static bool may_touch(const struct net_id *id, const struct link *l)
{
	struct net n = {.id = *id};

	return link_is_ours(&n, l);
}

static int link_send(struct nl *nl, struct nlmsghdr *nlh, const char *name, const char *what, struct err *err)
{
	int rc = nl_get(nl, nlh, NULL, NULL, err);

	return rc < 0 ? err_wrap(err, "%s: %s", name, what) : 0;
}

static int link_set(struct nl *nl, const struct link *l, int ifindex, int what, int master, const char *words,
		    struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = message_init(&m, RTM_NEWLINK, 0);

	encode_link_set(nlh, l, ifindex, what, master);
	return link_send(nl, nlh, l->name, words, err);
}

static int link_set_master(struct nl *nl, const struct link *l, int ifindex, struct err *err)
{
	struct link master = {0};

	if (l->master[0]) {
		int rc = link_read(nl, l->master, &master, err);
		if (rc < 0)
			return err_wrap(err, "%s: bridge %s", l->name, l->master);
	}
	return link_set(nl, l, ifindex, ENCODE_SET_MASTER, master.ifindex, "set bridge", err);
}

/* Before a link of ours comes up: the kernel would give it an IPv6 address that nobody asked for */
static void link_no_ll(struct nl *nl, const struct link *l, int ifindex)
{
	struct err err;

	if (link_set(nl, l, ifindex, ENCODE_SET_NO_LL, 0, "no IPv6 link-local address", &err) < 0)
		log_debug("no IPv6 on a link", kv_str("error", err.text)); /* then there is nothing to prevent */
}

/* --- add --- */

/* What a new link cannot be told when it is made */
static int link_finish(struct observe *o, const struct net_id *id, const struct link *l, struct err *err)
{
	struct nl *nl = net_nl(o, id, err);
	struct link made;

	if (!nl)
		return err->code;
	int rc = link_read(nl, l->name, &made, err);
	if (rc == 0)
		rc = link_set(nl, l, made.ifindex, ENCODE_SET_ALIAS, 0, "set alias", err);
	if (rc < 0)
		return rc;
	link_no_ll(nl, l, made.ifindex);
	if (l->master[0])
		rc = link_set_master(nl, l, made.ifindex, err);
	if (rc == 0 && l->up)
		rc = link_set(nl, l, made.ifindex, ENCODE_SET_UP, 0, "set up", err);
	return rc;
}

/* Return: -1: @id is where the socket is, nothing to say; an fd; or -errno below -1 */
static int target_fd(const struct observe *o, const struct net_id *socket, const struct net_id *id, struct err *err)
{
	char name[96];

	if (net_id_same(socket, id))
		return -1;
	int fd = observe_net_fd(o, id);
	return fd >= 0 ? fd : err_set(err, -ENODEV, "%s is not open", net_id_print(id, name));
}

static int link_add(struct observe *o, const struct op *op, struct err *err)
{
	static const struct net_id host = {.kind = NET_HOST};
	static const struct net_id inside = {.kind = NET_WIREGUARD};
	const struct net_id *socket = op->link->kind == LINK_WIREGUARD ? &host
				      : op->link->kind == LINK_VXLAN   ? op->link->vxlan.inside ? &inside : &host
								       : &op->net->id;
	const struct net_id *peer_id = op->peer ? &op->peer_net->id : NULL;
	struct nl *nl = net_nl(o, socket, err);
	struct message m;

	if (!nl)
		return err->code;
	int fd = target_fd(o, socket, &op->net->id, err);
	int peer_fd = peer_id ? target_fd(o, socket, peer_id, err) : -1;
	if (fd < -1 || peer_fd < -1)
		return err->code;
	struct nlmsghdr *nlh = message_init(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	encode_link_add(nlh, op->link, fd, op->peer, peer_fd);
	int rc = link_send(nl, nlh, op->link->name, "make", err);
	if (rc == 0)
		rc = link_finish(o, &op->net->id, op->link, err);
	if (rc == 0 && op->peer)
		rc = link_finish(o, peer_id, op->peer, err);
	return rc;
}

int apply_link_take(struct observe *o, const struct op *op, struct err *err)
{
	static const struct net_id host = {.kind = NET_HOST};
	struct nl *nl = net_nl(o, &host, err);
	struct link now;
	struct message m;

	if (!nl)
		return err->code;
	int fd = target_fd(o, &host, &op->net->id, err);
	if (fd < 0)
		return err->code;
	int rc = link_read(nl, op->link->name, &now, err);
	if (rc == 0 && (now.kind != LINK_TUN || now.alias[0]))
		rc = err_set(err, -EEXIST, "%s: there is another one of this name", op->link->name);
	if (rc < 0)
		return rc;
	struct nlmsghdr *nlh = message_init(&m, RTM_NEWLINK, 0);
	encode_link_move(nlh, now.ifindex, fd);
	rc = link_send(nl, nlh, op->link->name, "move into its namespace", err);
	if (rc < 0)
		return rc;
	nl = net_nl(o, &op->net->id, err);
	rc = nl ? link_read(nl, op->link->name, &now, err) : err->code;
	if (rc == 0)
		rc = link_set(nl, op->link, now.ifindex, ENCODE_SET_MTU, 0, "set MTU", err);
	return rc < 0 ? rc : link_finish(o, &op->net->id, op->link, err);
}

/* --- remove --- */

static int link_delete(struct nl *nl, const struct link *l, struct err *err)
{
	struct message m;
	struct nlmsghdr *nlh = message_init(&m, RTM_DELLINK, 0);

	encode_link_remove(nlh, l->ifindex);
	int rc = link_send(nl, nlh, l->name, "remove", err);
	return rc == -ENODEV ? 0 : rc;
}

static int link_remove(struct observe *o, const struct op *op, struct err *err)
{
	struct nl *nl = net_nl(o, &op->net->id, err);
	struct link now;

	if (!nl)
		return err->code;
	int rc = link_read(nl, op->link->name, &now, err);
	if (rc == -ENODEV)
		return 0; /* with its other end, or by somebody */
	if (rc < 0)
		return rc;
	if (!may_touch(&op->net->id, &now) && now.ifindex != op->link->ifindex)
		return 0; /* ours has gone, this is another one */
	return link_delete(nl, &now, err);
}

/* --- set --- */

/* What some drivers and kernels change only while down; what is to be up comes up again at the end of link_change() */
static int link_set_down(struct nl *nl, const struct link *l, const struct link *now, int what, const char *words,
			 struct err *err)
{
	struct link down = *l;
	int rc = link_set(nl, l, now->ifindex, what, 0, words, err);

	if (rc != -EBUSY)
		return rc;
	down.up = false;
	rc = link_set(nl, &down, now->ifindex, ENCODE_SET_UP, 0, "set down", err);
	return rc < 0 ? rc : link_set(nl, l, now->ifindex, what, 0, words, err);
}

static int link_change(struct observe *o, const struct op *op, struct err *err)
{
	const struct link *l = op->link;
	struct nl *nl = net_nl(o, &op->net->id, err);
	struct link now;
	int rc;

	if (!nl)
		return err->code;
	rc = link_read(nl, op->set_name ? op->was.name : l->name, &now, err);
	if (rc < 0)
		return rc;
	if (!may_touch(&op->net->id, &now) && (now.alias[0] || now.kind != l->kind))
		return err_set(err, -EEXIST, "%s: there is another one of this name", now.name);
	if (op->set_name) {
		if (now.ifindex != op->was.ifindex || !may_touch(&op->net->id, &now))
			return err_set(err, -ENODEV, "%s: it is another one now", now.name);
		/* one that cannot be renamed goes, and the next plan makes it anew */
		if (link_set_down(nl, l, &now, ENCODE_SET_NAME, "rename", err) < 0)
			return link_delete(nl, &now, err);
	}
	if (op->set_alias)
		rc = link_set(nl, l, now.ifindex, ENCODE_SET_ALIAS, 0, "set alias", err);
	if (rc == 0 && op->set_vxlan) {
		rc = link_set(nl, l, now.ifindex, ENCODE_SET_VXLAN, 0, "set local address and learning", err);
		if (rc == -EOPNOTSUPP || rc == -EINVAL || rc == -EAFNOSUPPORT)
			return link_delete(nl, &now, err); /* the next plan makes it anew */
	}
	if (rc == 0 && op->set_mtu)
		rc = link_set(nl, l, now.ifindex, ENCODE_SET_MTU, 0, "set MTU", err);
	if (rc == 0 && op->set_mac)
		rc = link_set_down(nl, l, &now, ENCODE_SET_MAC, "set MAC", err);
	if (rc == 0 && op->set_master)
		rc = link_set_master(nl, l, now.ifindex, err);
	if (rc == 0 && op->set_mcast_router)
		rc = link_set(nl, l, now.ifindex, ENCODE_SET_MCAST_ROUTER, 0, "set multicast router", err);
	if (rc == 0 && l->up)
		link_no_ll(nl, l, now.ifindex);
	if (rc == 0 && (op->set_up || op->set_mac || op->set_name))
		rc = link_set(nl, l, now.ifindex, ENCODE_SET_UP, 0, l->up ? "set up" : "set down", err);
	return rc;
}

int apply_link(struct observe *o, const struct op *op, struct err *err)
{
	switch (op->kind) {
	case OP_LINK_ADD:
		return link_add(o, op, err);
	case OP_LINK_SET:
		return link_change(o, op, err);
	case OP_LINK_REMOVE:
		return link_remove(o, op, err);
	case OP_NFT_REPLACE:
	case OP_NFT_ELEMENTS:
	case OP_NFT_REMOVE:
	case OP_SHORTCUT_REPLACE:
	case OP_SHORTCUT_REMOVE:
	case OP_WG_DEVICE:
	case OP_WG_PEER:
	case OP_WG_REMOVE:
	case OP_ENTRY_ADD:
	case OP_ENTRY_REMOVE:
	case OP_KIND_N_:
		break;
	}
	return err_set(err, -EINVAL, "not an operation on links");
}
