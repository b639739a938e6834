/* SPDX-License-Identifier: Apache-2.0
 *
 * What wireguard-go hands over is put together again.
 *
 * wireguard-go gives the kernel one packet at a time: each goes alone through all that is behind, and every other one
 * is answered by an acknowledgement that wireguard-go has to carry back. A timer of GRO (gro_flush_timeout) lets the
 * VXLAN devices above it wait 100 us for the next packet of a flow; what its sender has pushed (PSH), acknowledgements
 * and UDP do not wait. The kernel's WireGuard needs no such thing, it hands over many at once.
 *
 * Nothing is lost where it fails, so nothing waits for it. The setting stays with the device, whatever ends.
 */
#ifndef ROUTER_GATHER_H
#define ROUTER_GATHER_H

#include "io/broker.h"
#include "router/net.h"

/** gather_link() - Set it for @l of @vni, when it is a VXLAN device above wireguard-go. @actual: what is there */
void gather_link(struct broker *broker, const struct net_list *actual, const struct net_id *vni, const struct link *l);
/** gather_all() - For all in @actual: wireguard-go may come later than they, and who began may not have ended it */
void gather_all(struct broker *broker, const struct net_list *actual);

#endif
