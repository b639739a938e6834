/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Multicast over the overlay
 *
 *	bridge of the stack --- drl-HASH === leg-HASH ---ingress hook: copies---> vxVNI ---FDB entry of the group-->
 *hosts leg-HASH <--copies: ingress hook --- vxVNI <------------------------ a host
 *
 * The leg's port is a multicast router's port to the bridge (mcast_router 2): it is given all groups, whoever listens.
 * What comes from the overlay enters the bridge by that port, so that snooping decides which containers get it, and the
 * bridge never gives it back. In the router namespace a table of the family netdev copies UDP to groups of the label
 * from leg to tunnel, and to other legs of the VNI that have them in their labels; and from the tunnel to legs, never
 *to the tunnel again.
 *
 *	from-leg   only with a source in a subnet of the stack that is not the bridge itself: what was relayed or copied
 *	           into the stack from the LAN, or came by the overlay, goes no further. Where the subnet is mapped, the
 *	           source becomes the mapped one. The source's MAC becomes ours: containers of two hosts may have the
 *same from-tunnel  the source's MAC becomes ours, too
 *
 * Who gets a group is in the tunnel's FDB: an entry of the group's Ethernet address for each host with a listener,
 * learned from discovery. (VXLAN devices have always kept lists of remotes for multicast addresses, not only for
 * zeroes.) A group that nobody has an entry for is dropped there: nothing is flooded. 32 groups of IPv4 share an
 * Ethernet address; who listens to one of them is sent the others, too, and drops what no label of his names.
 *
 * The table depends on numbers of devices, so it is desired when they are there. Nothing of it needs us to run.
 *
 * Pure.
 */
#ifndef ROUTER_MCAST_H
#define ROUTER_MCAST_H

#include "router/desired.h"

#define MCAST_ROUTER_QUERIES 1 /* the kernel's own choice: a port where somebody asks */
#define MCAST_ROUTER_ALWAYS  2

/** mcast_add() - What the labels ask for, of all legs in @d: the ports' kind, and the tables */
void mcast_add(const struct desired_input *in, struct desired *d);
/** mcast_add_peer() - Entries for the groups that @peer listens to, by the way that @fdb leads to it */
void mcast_add_peer(const struct desired_input *in, struct net *net, const struct peer *peer, const struct entry *fdb);
/** mcast_mac() - The Ethernet address of a group */
struct mac mcast_mac(const struct ip *group);

#endif
