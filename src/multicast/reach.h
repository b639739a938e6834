/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Networks that the LAN has a route to
 *
 * With `routed` in its label, a container is reached at its own address: the home router has a route to the network by
 * this host. But Docker's FORWARD has policy DROP, its version 28 drops in raw PREROUTING what is for a container and
 *did not come by its bridge, and its masquerade would change the source of the replies. So both ways are handed from
 * interface to interface in the ingress hook (nft's fwd), in front of all of that and of connection tracking:
 *
 *	eth0  --from the LAN's subnets, to the network's--> br-a	neighbour found by the kernel, TTL counted down
 *	br-a  --from the network's, to the LAN's----------> eth0	with the container's own address as source
 *
 * Only between the subnets of both links, and never to the host's own addresses. Pure.
 */
#ifndef MULTICAST_REACH_H
#define MULTICAST_REACH_H

#include "multicast/links.h"

#define REACH_RULES 128

/**
 * reach_rules() - Lines of io/forward_rule.h for all pairs of a routed network and a LAN
 * Return: how many did not fit
 */
size_t reach_rules(const struct links *links, struct buf *out);

/** reach_prefixes() - IPv6 subnets that routed networks have, to be advertised. Return: how many, @max at most */
size_t reach_prefixes(const struct links *links, struct prefix *ret, size_t max);

/** lines_sort() - Lines of a text into order, so that those that begin alike are together */
void lines_sort(struct buf *text);

#endif
