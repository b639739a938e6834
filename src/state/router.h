/* SPDX-License-Identifier: Apache-2.0
 *
 * router.json: what the router made, refused, and waits for. Also its memory of which route is established: an
 * established route never flips to a clashing newcomer, also not over a restart.
 *
 *	{"version":1,"last_update":"...","datapath":"auto","plan":{"runs":7,"operations":123,"failed":0,"last_us":1850},
 *	 "vnis":[{"vni":1000,"namespace":"/run/docker-router/<instance>/vni-1000","mtu":1450,
 *	   "devices":[{"name":"vx1000","local":"192.0.2.1","port":4789}],
 *	   "legs":[{"stack_id":"shop","network":"shop_default","bridge":"br-0123","name":"drl-89ab"}],
 *	   "nics":[{"container":"shop_web_1","name":"dr1000","grade":"nic"}],
 *	   "routes":[{"prefix":"10.72.0.0/24","host_id":"...","stack_id":"blog","host_ip":"192.0.2.2"},
 *	     {"prefix":"241.7.0.0/16","subnet":"172.18.0.0/16","host_id":"...","stack_id":"wiki","host_ip":"192.0.2.3"}]}],
 *	 "refused":[{"vni":1000,"prefix":"172.18.0.0/16","host_id":"...","stack_id":"blog",
 *	   "with":"stack shop on nas (..)","cure":"ipam lines"}],
 *	 "held":[{"vni":1000,"prefix":"172.19.0.0/16","host_id":"...","stack_id":"wiki"}],
 *	 "wireguard":{"device":"drwg0123abcd","namespace":"/run/docker-router/<instance>/wireguard","key":"...","port":51820,
 *	   "address":"fd64:7277:..","mtu":1440,"peers":[{"host_id":"...","host_name":"nas","key":"...","address":"fd64:7277:..",
 *	   "device":"drwg0123abcd","announced":"192.0.2.2:51820","endpoint":"192.0.2.2:51820","handshake":"2024-01-15T10:30:00Z"}]},
 *	 "pending":[{"operation":"...","why":"..."}],"problems":[...]}
 */
#ifndef STATE_ROUTER_H
#define STATE_ROUTER_H

#include "state/identity.h"
#include "state/json.h"
#include "state/wireguard.h"

struct rs_device {
	char name[16];
	struct ip local;
	uint16_t port;
};
struct rs_leg {
	char stack_id[LIMIT_NAME], network[LIMIT_NAME], bridge[16], name[16];
};
struct rs_nic {
	char container[LIMIT_NAME], name[16], grade[8];
};
struct rs_route {
	struct prefix prefix;
	struct prefix subnet; /* of a mapped prefix: what it stands for; else none */
	char host_id[HOST_ID_LEN + 1], stack_id[LIMIT_NAME];
	struct ip host_ip; /* none: a stack of this host */
	int64_t since_us;  /* of the monotonic clock; not in the file: what is read from there is established */
};
struct rs_refused {
	uint32_t vni;
	struct prefix prefix;
	char host_id[HOST_ID_LEN + 1], stack_id[LIMIT_NAME];
	bool established; /* has the better claim still when the route of this host is gone that it clashes with */
	char *with, *cure;
	/* not in the file: since when, of the monotonic clock, and whether the log has it; see router/refused.h */
	int64_t since_us;
	bool told;
};
/** struct rs_held - Refused as by rs_refused.established, but its mapped prefix is there: nothing to tell anybody */
struct rs_held {
	uint32_t vni;
	struct prefix prefix;
	char host_id[HOST_ID_LEN + 1], stack_id[LIMIT_NAME];
};
/** struct rs_wg_peer - Another host in the tunnel; @endpoint, @handshake: as the device tells, none: nothing yet */
struct rs_wg_peer {
	char host_id[HOST_ID_LEN + 1], host_name[64], key[WG_KEY_TEXT];
	struct ip address;
	char device[16];			     /* of ours, that takes us there */
	char relay[HOST_ID_LEN + 1], relay_name[64]; /* "": directly */
	struct endpoint announced, endpoint;
	wall_t handshake;
};
/** struct rs_wireguard - device "": traffic between hosts is not encrypted */
struct rs_wireguard {
	char device[16], ns[256], key[WG_KEY_TEXT];
	struct ip address;
	uint16_t port;
	uint32_t mtu;
	bool in_kernel; /* else by wireguard-go */
	bool relay;	/* we relay for others */
	/* the key that is to follow, "": none; hosts that have a session with it */
	char next_device[16], next_key[WG_KEY_TEXT];
	uint16_t next_port;
	size_t n_ready;
	struct rs_wg_peer *peers;
	size_t n_peers, cap_peers;
};
struct rs_pending {
	char *operation, *why;
};
struct rs_vni {
	uint32_t vni, mtu;
	char ns[256];
	struct rs_device devices[2];
	size_t n_devices;
	struct rs_leg *legs;
	size_t n_legs, cap_legs;
	struct rs_nic *nics;
	size_t n_nics, cap_nics;
	struct rs_route *routes; /* sorted by prefix */
	size_t n_routes, cap_routes;
};

struct router_state {
	wall_t last_update;
	char datapath[8];
	uint64_t runs, operations, failed, last_us;
	struct rs_vni *vnis;
	size_t n_vnis, cap_vnis;
	struct rs_refused *refused;
	size_t n_refused, cap_refused;
	struct rs_held *held;
	size_t n_held, cap_held;
	struct rs_wireguard wireguard;
	struct rs_pending *pending;
	size_t n_pending, cap_pending;
	struct problems problems;
};

void router_state_done(struct router_state *s);
json_t *router_state_to_json(const struct router_state *s);
int router_state_from_json(const json_t *root, struct router_state *ret, struct err *err) MUST_USE;
int router_state_read(int dirfd, const struct file_owner *owner, struct router_state *ret, struct err *err) MUST_USE;
/** router_refused_read() - As router_state_read(), but refused[] and held[] alone: cheap, however many routes */
int router_refused_read(int dirfd, const struct file_owner *owner, struct router_state *ret, struct err *err) MUST_USE;
int router_state_write(int dirfd, const struct router_state *s, struct err *err) MUST_USE;

#endif
