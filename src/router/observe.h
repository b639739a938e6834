/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The actual state
 *
 * For every namespace that is watched: a dump at the start, netlink events after it. An overrun, or a link that goes or
 * goes down (the kernel then drops IPv4 routes without a word), is answered by a new dump of that namespace. Sockets
 * come from the broker, or are opened here when there is none (two-container form: the host's and the VNI's namespace
 * are one, ours). A socket keeps a namespace alive, so observe_forget() is called as soon as a container is gone.
 *
 * Tampering with our nft table is seen by NFNLGRP_NFTABLES events; those that our own nft child caused
 * (NFTA_GEN_PROC_PID is a child of the broker: compare by generation window instead) lead to one re-read and no more.
 */
#ifndef ROUTER_OBSERVE_H
#define ROUTER_OBSERVE_H

#include "io/broker.h"
#include "io/loop.h"
#include "io/nl.h"
#include "router/net.h"

struct observe;
struct wg_control;

/**
 * observe_new() - Nothing is watched yet
 * @broker:  borrowed, or NULL: only NET_HOST can be watched and it is our own namespace
 * @changed: called from the loop, once per burst, when anything of ours, a foreign route, an address or a link changed,
 * or a namespace became ready or broken
 */
struct observe *observe_new(uv_loop_t *loop, struct broker *broker, loop_fn *changed, void *arg);
/** observe_free() - Nothing may run the loop between this and broker_free(): answers that are open would find nobody */
void observe_free(struct observe *o);

/**
 * observe_want() - Watch this namespace (idempotent); it becomes ready later
 * @sandbox, @pid: of a container; else "" and 0
 * A container that came back with another sandbox or pid is opened anew. A broken one is tried again on each call, at
 * most once a second.
 */
void observe_want(struct observe *o, const struct net_id *id, const char *sandbox, int32_t pid);
void observe_forget(struct observe *o, const struct net_id *id);
/** observe_nets() - Actual state of all that are watched; borrowed, changes only from the loop and in observe_*() calls
 */
const struct net_list *observe_nets(const struct observe *o);
/** observe_settled() - False while a namespace must be read again before a plan is worth making; changed() follows */
bool observe_settled(const struct observe *o);
/** observe_net_fd() - Namespace descriptor of a ready net (borrowed), -1 when there is no broker: our own */
int observe_net_fd(const struct observe *o, const struct net_id *id);
/** observe_net_nl(), observe_net_nf() - Request sockets of a ready net, rtnetlink and nf_tables (borrowed); or NULL */
struct nl *observe_net_nl(const struct observe *o, const struct net_id *id);
struct nl *observe_net_nf(const struct observe *o, const struct net_id *id);
/** observe_net_genl() - Generic netlink in the WireGuard namespace (borrowed); or NULL */
struct nl *observe_net_genl(const struct observe *o);
/** observe_wireguard() - Reads and changes the WireGuard device, see wg_control.h */
struct wg_control *observe_wireguard(const struct observe *o);
/** observe_wireguard_relay() - Its namespace is to forward; before it is opened */
void observe_wireguard_relay(struct observe *o);
/** observe_wireguard_net() - NET_WIREGUARD to be written to, or NULL: not ready. observe_wireguard_changed() - It was
 */
struct net *observe_wireguard_net(const struct observe *o);
void observe_wireguard_changed(struct observe *o);
/** observe_resync() - Dump again (NULL: all) */
void observe_resync(struct observe *o, const struct net_id *id);
/** observe_links() - Re-read the links of one net now, synchronously (apply needs the ifindexes of what it made) */
int observe_links(struct observe *o, const struct net_id *id, struct err *err) MUST_USE;
/** observe_nft() - Our own nft transaction has ended: read the table again, once; what its events say is known then */
void observe_nft(struct observe *o, const struct net_id *id);
/** observe_applied() - An entry of ours was written (@removed: or removed) without error: no need to wait for the event
 */
void observe_applied(struct observe *o, const struct net_id *id, const struct entry *e, bool removed);
/** observe_underlay() - Of the host's namespace: the interface that has @ip. Return: false when nobody has it */
bool observe_underlay(const struct observe *o, const struct ip *ip, char ret_dev[static 16], uint32_t *ret_mtu);

#endif
