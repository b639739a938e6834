/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The plan
 *
 * A pure function of desired and actual state. It is what --dry-run prints, what tests test without root, and what
 * makes start, restart, upgrade and healing one and the same thing. Operations are ordered so that each finds what it
 * needs:
 *
 *   1. nft tables (the guard stands before the door opens)
 *   2. links that go; 3. links that come; 4. links that change; the peers of the WireGuard devices
 *   5. addresses, neighbours, FDB entries, routes, rules: first what comes or changes, then what goes (no gap); in host
 *      and containers only after the router namespaces, so that nobody is sent where nothing waits
 *   6. the leg's shortcut, whose rules hang on devices
 *
 * What hangs on a link that goes or is made again is not deleted one by one: the kernel does that.
 * A namespace that is desired but not ready is passed over; it is planned when it is.
 */
#ifndef ROUTER_PLAN_H
#define ROUTER_PLAN_H

#include "router/net.h"

enum op_kind {
	OP_NFT_REPLACE,	 /* whole table with all elements */
	OP_NFT_ELEMENTS, /* add and remove elements of sets */
	OP_NFT_REMOVE,
	OP_SHORTCUT_REPLACE, /* @nft: its raw is the whole transaction */
	OP_SHORTCUT_REMOVE,
	OP_LINK_REMOVE,
	OP_LINK_ADD,  /* vxlan, or the primary end of a veth pair with both ends' attributes; down, with alias */
	OP_LINK_SET,  /* what differs, see set_* */
	OP_WG_DEVICE, /* private key and port */
	OP_WG_PEER,   /* add or change */
	OP_WG_REMOVE, /* of a peer */
	OP_ENTRY_ADD, /* add or replace */
	OP_ENTRY_REMOVE,
	OP_KIND_N_
};

/** struct op_wg - What an operation on the WireGuard device says; holds secrets */
struct op_wg {
	unsigned slot;
	bool set_private_key, set_port;
	uint8_t private_key[WG_KEY_BYTES];
	uint16_t port;
	struct wg_peer_change peer;
};

struct op {
	enum op_kind kind;
	const struct net *net;	    /* desired net; for removals the actual one */
	const struct link *link;    /* desired (ADD, SET) or actual (REMOVE) */
	const struct link *peer;    /* OP_LINK_ADD of a veth: the other end as desired */
	const struct net *peer_net; /* its namespace, desired */
	/*
	 * OP_LINK_SET; set_vxlan: local address and learning. (What was learned meanwhile ages away; neighbours, and so
	 * traffic, are of MACs that have an entry of ours.)
	 */
	bool set_name, set_mac, set_mtu, set_up, set_master, set_alias, set_vxlan, set_mcast_router;
	struct {
		char name[16];
		int ifindex;
	} was;			     /* set_name: the link that is to be renamed */
	const struct entry *entry;   /* borrowed from desired (ADD) or actual (REMOVE) */
	const struct nft_table *nft; /* desired; OP_NFT_REPLACE, OP_SHORTCUT_REPLACE */
	struct op_wg *wg;	     /* owned, wiped */
	char *nft_json;		     /* owned: the transaction: {"nftables":[...]} */
};

/** struct plan_blocked - A link that cannot be made: somebody else's has the name */
struct plan_blocked {
	const struct net *net;
	const struct link *link;
};

/** struct plan - Borrows from desired and actual: use it before either changes */
struct plan {
	struct op *ops;
	size_t n, cap;
	struct plan_blocked *blocked;
	size_t n_blocked, cap_blocked;
};

void plan_make(const struct net_list *desired, const struct net_list *actual, struct plan *ret);
void plan_done(struct plan *p);
void op_wg_free(struct op_wg *w);
/** op_print() - One line for people: "vni:1000 link add vx1000 type vxlan id 1000 local 192.0.2.1 dstport 4789" */
void op_print(struct buf *out, const struct op *op);

#endif
