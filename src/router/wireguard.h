/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Traffic between hosts through WireGuard
 *
 *	host's namespace                 WireGuard namespace                     router namespace of a VNI
 *	eth0 <-- UDP 51820: the          drwg-HASH  fd64:7277:<hash of host_id>
 *	         device's socket            ^
 *	                                    +-- UDP 4789: the socket of ........ vx1000wg
 *
 * One device per host, and a second while its key changes (wg_path.h). Made in the host's namespace, where its socket
 *stays, and moved; the VXLAN devices are made in its namespace and moved to theirs. So whatever a VXLAN device sends
 *goes into the tunnel or nowhere: there is nothing else in that namespace. Who another host is, its public key says,
 *which travels sealed; its address inside is computed from host_id, and WireGuard believes a source address of nobody
 *else. Which address of ours is the source, the routes say: the VXLAN devices have none of their own.
 */
#ifndef ROUTER_WIREGUARD_H
#define ROUTER_WIREGUARD_H

#include "router/desired.h"
#include "state/keyring.h"
#include "state/wireguard.h"

/** struct wg_own_key - A key of ours, and with it a device */
struct wg_own_key {
	bool present;
	unsigned slot;
	uint8_t private_key[WG_KEY_BYTES];
};
/** struct wg_own - Our side; secret */
struct wg_own {
	struct wg_own_key now, next;
	struct wg_say say; /* what the others are told */
	struct keyring ring;
};

/** wireguard_hosts() - One peer of each host, by host_id; of several stacks the one that was said last. To be freed */
const struct peer **wireguard_hosts(const struct discovery *disc, size_t *ret_n);
/** wireguard_speaks() - Does traffic of ours go to this peer? Both encrypt, with a key in common, or neither does */
bool wireguard_speaks(const struct desired_input *in, const struct peer *p);
/** wireguard_mtu() - Of the device */
uint32_t wireguard_mtu(const struct desired_input *in);
/** wireguard_add() - The namespace, the device and its peers; and what router.json tells of them */
void wireguard_add(const struct desired_input *in, struct desired *ret);
/** wireguard_tell() - Peers that get no route, since only one of us encrypts, into pending */
void wireguard_tell(const struct desired_input *in, struct desired *ret);
/** wireguard_finish() - The nft table of its namespace, when the VNIs are known */
void wireguard_finish(const struct desired_input *in, struct desired *d);

#endif
