/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The leg's shortcut
 *
 * By the leg each frame passes the host's firewall: iptables where bridged frames pass it, and the host's forwarding on
 * the way out. That is what DATAPATH=leg promises, and what it costs. Of an established TCP connection the shortcut
 * takes the frames from one port of the bridge to the other, past both, after the firewall has let it through:
 *
 *     container ---- veth* ----- bridge, host, iptables ----- drl-HASH* ---- router namespace
 *                      '------------- shortcut -----------------'
 *
 *   egress    of the leg (and of the container's port, the other way): what arrives here has passed everything. A TCP
 *             segment with ACK and without SYN, FIN, RST is remembered: addresses and ports, for SHORTCUT_SECONDS
 *   ingress   of the container's port (of the leg): such a segment that is remembered leaves by the other end at once
 *
 * What is remembered is not refreshed: every SHORTCUT_SECONDS each direction of each connection passes the firewall
 * anew, so a rule that comes later counts within that time. What opens or closes a connection always passes it, and so
 * do fragments, packets with IP options or extension headers, and whatever is not TCP. Nothing is learned but by
 * packets that the firewall let through, and by what port it let them out.
 *
 * A table of its own, family netdev, in the host's namespace: chains of this family hang on devices, and the table must
 * be made anew as containers come and go; what is remembered is then lost, and one packet of each connection goes the
 * long way. Its chains come last among those of their hooks: a filter that somebody else has there sees every packet.
 * Made of netlink messages, since nft's JSON has no words for it (nft 1.0.6 cannot add to maps). Needs Linux 5.16.
 *
 * Pure.
 */
#ifndef ROUTER_SHORTCUT_H
#define ROUTER_SHORTCUT_H

#include "router/net.h"

#define SHORTCUT_SECONDS     5
#define SHORTCUT_CONNECTIONS 16384    /* remembered at most, for each network, family and direction */
#define SHORTCUT_PORTS	     256      /* NFT_NETDEVICE_MAX of the kernel: further ports of a bridge have none */
#define SHORTCUT_MARK	     0x64726c /* of what has taken it, until it leaves the host's namespace */

/** struct shortcut - One network with a leg */
struct shortcut {
	char leg[16]; /* the host's end */
	int leg_ifindex;
	struct mac leg_mac; /* of the other end: what the host sends to */
	struct mac bridge_mac;
	char (*ports)[16]; /* owned, sorted: those of containers */
	size_t n_ports, cap_ports;
};

/** shortcut_find() - Make the one of @leg, on @bridge as @host (actual) has them; false: there is nothing to shorten */
bool shortcut_find(const struct net *host, const char *bridge, const char *leg, const struct mac *leg_mac,
		   struct shortcut *ret);
/** shortcut_table() - Fill @t: raw (all of it, a transaction that replaces the table), fingerprint, n_rules, present */
void shortcut_table(const struct shortcut *v, size_t n, struct nft_table *t);

#endif
