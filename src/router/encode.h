/* SPDX-License-Identifier: Apache-2.0
 *
 * Our structs -> rtnetlink requests. Pure: what is written goes into a message that the caller has begun (nl_begin(),
 * or a buffer of ENCODE_MAX bytes); names have become ifindexes before. decode.h is the way back.
 */
#ifndef ROUTER_ENCODE_H
#define ROUTER_ENCODE_H

#include <libmnl/libmnl.h>

#include "router/net.h"

#define ENCODE_MAX 1024 /* bytes that any of these needs, header included */

/** struct encode_head - What a request's header says; NLM_F_REQUEST is the sender's business */
struct encode_head {
	uint16_t type, flags;
};

/** encode_entry_head() - Add (or replace) is idempotent; so is removal, if ENOENT and its kin are taken as done */
struct encode_head encode_entry_head(const struct entry *e, bool remove);
/** encode_entry() - The body. @ifindex: of entry.dev; not looked at for rules */
void encode_entry(struct nlmsghdr *nlh, const struct entry *e, int ifindex, bool remove);

/**
 * encode_link_add() - A new vxlan device, or a veth pair; comes up without alias, down, in no bridge (RTM_NEWLINK)
 * @ns_fd:      namespace that it shall appear in, -1: that of the socket. A vxlan device keeps its UDP socket in the
 *              namespace of the netlink socket
 * @peer:       other end of a veth, else NULL
 * @peer_ns_fd: likewise
 */
void encode_link_add(struct nlmsghdr *nlh, const struct link *l, int ns_fd, const struct link *peer, int peer_ns_fd);

enum encode_set {
	ENCODE_SET_MAC = 1,
	ENCODE_SET_MTU = 2,
	ENCODE_SET_ALIAS = 4,
	ENCODE_SET_MASTER = 8,
	ENCODE_SET_UP = 16,	       /* up or down, as the link says */
	ENCODE_SET_VXLAN = 32,	       /* local address and learning */
	ENCODE_SET_MCAST_ROUTER = 128, /* of a bridge's port */
	ENCODE_SET_NO_LL = 64,	       /* no IPv6 link-local address of the kernel's making */
	ENCODE_SET_NAME = 256,	       /* before Linux 6.2 only of a link that is down */
};
/** encode_link_set() - Change what @what names of the link @ifindex to what @l says (RTM_NEWLINK without create) */
void encode_link_set(struct nlmsghdr *nlh, const struct link *l, int ifindex, int what, int master_ifindex);
/** encode_link_move() - To another namespace */
void encode_link_move(struct nlmsghdr *nlh, int ifindex, int ns_fd);
/** encode_link_remove() - RTM_DELLINK */
void encode_link_remove(struct nlmsghdr *nlh, int ifindex);

#endif
