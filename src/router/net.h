/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: What the router wants and what the kernel has, in the same words
 *
 * Desired and actual state are both a list of namespaces (struct net); each has links, entries (addresses, routes,
 * neighbours, FDB entries, policy rules) and one nft table. plan.h compares them; nothing here does I/O.
 *
 * What is ours in the kernel:
 *   links    alias "docker-router:..."
 *   routes, rules, neighbours   protocol ROUTER_PROTOCOL (rtm_protocol, FRA_PROTOCOL, NDA_PROTOCOL)
 *   addresses, FDB entries      those on our links
 *   nft      the tables "docker-router", of the families inet and netdev
 * In a router namespace all links but lo are ours.
 *
 * Devices are named, not numbered: an ifindex changes when a device is made again, a name does not.
 */
#ifndef ROUTER_NET_H
#define ROUTER_NET_H

#include "base/addr.h"
#include "base/base.h"
#include "io/wg.h"
#include "state/limits.h"
#include "state/wireguard.h"

#define ROUTER_PROTOCOL	 212
#define ROUTER_ALIAS	 "docker-router:"
#define ROUTER_NFT_TABLE "docker-router"

/*
 * Outer source ports: a range for each epoch. A peer in the two-container form is behind the NAT of its host, whose
 * connection tracking goes on dropping what came while the container was away, for as long as it comes. So its router
 * counts its starts, and who sends to it in the same form over IPv4 moves to the range of that number, by a rule:
 * ruleset_alone(). With an outer checksum that cannot be done (nft and NAT both spoil one that is complete while the
 * inner one is left to the device), and a device cannot change its range; in those cases a flow has to pause.
 */
#define SOURCE_PORT_BASE 32768
#define SOURCE_PORTS	 2048

enum net_kind { NET_HOST, NET_VNI, NET_CONTAINER, NET_WIREGUARD, NET_KIND_N_ };

/** struct net_id - Which namespace */
struct net_id {
	enum net_kind kind;
	uint32_t vni;		  /* NET_VNI */
	char container[LIMIT_ID]; /* NET_CONTAINER */
};

/* LINK_WIREGUARD is desired; where the kernel has none, wireguard-go makes a LINK_TUN of the same name */
enum link_kind { LINK_OTHER, LINK_VXLAN, LINK_VETH, LINK_BRIDGE, LINK_WIREGUARD, LINK_TUN };

struct link {
	char name[16];
	enum link_kind kind;
	char alias[64]; /* "" : not ours */
	struct mac mac;
	uint32_t mtu;
	bool up;
	char master[16];      /* bridge it is a port of, or "" */
	uint8_t mcast_router; /* of that port, IFLA_BRPORT_MULTICAST_ROUTER; desired 0: as it is; actual 0: not known */
	/* LINK_VXLAN: made in the host's namespace, where its socket stays */
	struct {
		uint32_t vni;
		struct ip local;
		uint16_t port;
		uint16_t src_low,
			src_high; /* outer source ports; 0, 0: the kernel's choice (not compared when desired is 0) */
		bool learning;	  /* always false when desired */
		bool no_checksum; /* outer UDP over IPv4 goes without; desired only */
		bool inside;	  /* its socket is in the WireGuard namespace; desired only */
	} vxlan;
	/* LINK_VETH: the other end; it is a struct link of its own in its own net */
	struct net_id peer_net; /* desired only */
	char peer_name[16];	/* desired only */
	bool veth_primary;	/* desired only: this end's creation makes both */
	/* actual only */
	int ifindex;
	int peer_ifindex; /* IFLA_LINK */
	bool ipv6_off;	  /* no IPv6 on it (disable_ipv6): v6 entries on it wait */
};

enum entry_type { ENTRY_ADDR, ENTRY_NEIGH, ENTRY_FDB, ENTRY_GROUP, ENTRY_ROUTE, ENTRY_RULE, ENTRY_TYPE_N_ };

/**
 * struct entry - One small thing in a namespace
 *
 *            key                                           value
 *   ADDR     dev, family, dst, len
 *   NEIGH    dev, family, dst                              mac           always permanent
 *   FDB      dev, mac                                      via, pref     outer destination and its UDP port (0: the
 *                                                                        device's own); static, self
 *   GROUP    dev, mac (a multicast one), via, pref         -             one of several destinations
 *   ROUTE    family, dst, len, table, pref (IPv4 metric)   dev, via, src, mtu, onlink
 *   RULE     family, pref, dev (iif), dst/len (from), table              to the main table (254) always without its
 *                                                                        default routes (suppress_prefixlength 0)
 *
 * Unused fields are zero, so that key and value compare as bytes (entry_same()).
 */
struct entry {
	uint8_t type, family, len;
	uint8_t via_family; /* 0: no next hop */
	uint8_t onlink;
	struct mac mac;
	uint32_t table, pref, mtu; /* pref: see the table above. mtu: RTAX_MTU of a route, 0: none */
	char dev[16];
	uint8_t dst[16], via[16], src[16]; /* src: preferred source of a route */
};

/** struct entry_set - Entries by key: an open hash */
struct entry_set {
	struct entry *v; /* slots; type ENTRY_TYPE_N_ marks an empty one */
	size_t n, slots;
};

void entry_set_done(struct entry_set *s);
/** entry_set_put() - Insert, or replace what has the same key */
void entry_set_put(struct entry_set *s, const struct entry *e);
/** entry_set_find() - By the key of @e. Return: borrowed, until the next put or remove */
const struct entry *entry_set_find(const struct entry_set *s, const struct entry *e);
void entry_set_remove(struct entry_set *s, const struct entry *e);
/** entry_set_next() - Walk: *it starts at 0. Return: NULL at the end. Nothing may be put or removed meanwhile */
const struct entry *entry_set_next(const struct entry_set *s, size_t *it);
bool entry_same(const struct entry *a, const struct entry *b);
/** entry_print() - As `ip` would say it: "route 10.72.0.0/24 via fe80::1 dev vx1000 onlink table 5" */
void entry_print(struct buf *out, const struct entry *e);

/** struct nft_set - Elements of one named set that change with the peers */
struct nft_set {
	char name[32];
	uint8_t family;	  /* of its elements */
	bool interval;	  /* prefixes; else single addresses (len 32 or 128) */
	struct prefix *v; /* sorted by prefix_cmp() */
	size_t n, cap;
};

/**
 * struct nft_table - Our table in one namespace
 * @fingerprint: of everything but the sets' elements; in the kernel it is the comment of the one rule in the chain
 *               "fingerprint": "docker-router:" and 16 hex digits (nft 1.0.6 loses a table's comment in JSON)
 * @n_rules: number of rules, those of @raw included, to see in the kernel whether one was taken away
 */
struct nft_table {
	bool present;
	uint64_t fingerprint;
	size_t n_rules;
	char *json; /* desired only: an array of nft commands (libnftables JSON) that adds the table, its sets without
		       elements, chains and rules */
	struct buf raw; /* desired only: rules that this JSON has no words for, as netlink messages; see inner.h */
	struct nft_set *sets;
	size_t n_sets, cap_sets;
};

/** struct foreign_route - A route of somebody else in the host's namespace: what our subnets must not clash with */
struct foreign_route {
	struct prefix dst;
	char dev[16];
};

/** struct wg_note - Of a peer, beside what the device tells; actual only */
struct wg_note {
	struct endpoint announced; /* what we told the device last; none: not known */
	bool settled;		   /* there is a session, and has been for some seconds */
	bool lost;		   /* there is none, and what was sent for some seconds did not bring one about */
};

/** struct net_wg - The WireGuard device of one slot in NET_WIREGUARD */
struct net_wg {
	bool present;		 /* actual: the rest is what it is now */
	bool known;		 /* actual: the rest is what it was when it was read last */
	struct wg_device device; /* peers sorted by key */
	struct wg_note *notes;	 /* actual: as device.peers */
};

struct net {
	struct net_id id;
	bool ready;	    /* actual only: opened and dumped */
	bool all_addresses; /* actual only, two-container form: those on links of others are entries too */
	char broken[160];   /* actual only: why it cannot be opened, or "" */
	struct link *links;
	size_t n_links, cap_links;
	struct entry_set entries;
	struct nft_table nft;
	struct nft_table
		shortcut; /* of family netdev, without sets or JSON. NET_HOST: see shortcut.h; NET_VNI: mcast.h */
	struct net_wg wg[WG_SLOTS];
	/* actual, NET_HOST only; not default routes, not ours, not local/broadcast/multicast, not unreachable */
	struct foreign_route *foreign;
	size_t n_foreign, cap_foreign;
};

struct net_list {
	struct net **v;
	size_t n, cap;
};

void net_free(struct net *n);
void net_clear(struct net *n); /* as new: only the id stays */
void net_list_done(struct net_list *l);
struct net *net_list_find(const struct net_list *l, const struct net_id *id);
struct net *net_list_add(struct net_list *l, const struct net_id *id); /* find or add */
bool net_id_same(const struct net_id *a, const struct net_id *b);
const char *net_id_print(const struct net_id *id,
			 char out[static 96]); /* "host", "vni:1000", "ct:ID", "wireguard" (broker's words) */
void net_wg_done(struct net_wg *w);
/** net_wg_name() - Of a slot's device. net_wg_link() - It, desired or actual; NULL: there is none */
void net_wg_name(const char *host_id, unsigned slot, char ret[static 16]);
struct link *net_wg_link(const struct net *n, unsigned slot);
/** wg_peer_find() - By the public key, among sorted ones. wg_peers_sort() - So */
const struct wg_peer *wg_peer_find(const struct wg_device *d, const uint8_t key[static WG_KEY_BYTES]);
void wg_peers_sort(struct wg_device *d);
/** link_kind_fits() - Is what is there what is desired? */
bool link_kind_fits(enum link_kind desired, enum link_kind actual);
struct link *net_link(const struct net *n, const char *name);
struct link *net_link_add(struct net *n, const char *name);	      /* find or add */
struct nft_set *nft_table_set(struct nft_table *t, const char *name); /* find, or NULL */

#endif
