/* SPDX-License-Identifier: Apache-2.0
 *
 * attach.json: the NICs that the role attach keeps, written by it, read by the verbs; and by attach itself when it
 * starts again, for the leases.
 *
 *	{"version":1,"last_update":"...",
 *	 "nics":[{"container":"<id>","name":"shop_web_1","nic":"eth1","parent":"br-lan","kind":"veth","host":"dra1234abcd",
 *	   "state":"ready","why":"","since":"...","attach_us":900,"mac":"02:...","mtu":1500,
 *	   "addresses":["192.0.2.5/24"],"gateways":["192.0.2.1"],
 *	   "leases":[{"kind":"dhcp","state":"bound","address":"192.0.2.5/24","gateway":"192.0.2.1","server":"192.0.2.1",
 *	     "dns":["192.0.2.1"],"since":"...","seconds":3600,"client_pid":4711}]}],
 *	 "problems":[{"object":"container web","text":"...","cure":"..."}]}
 */
#ifndef STATE_ATTACH_H
#define STATE_ATTACH_H

#include "state/nic.h"

#define STATE_ATTACH	 "attach.json"
#define LIMIT_ALL_NICS	 8192			 /* of one host */
#define ATTACH_ALIAS	 "docker-router-attach:" /* of every link of ours; of a physical one its own name follows */
#define ATTACH_PROTOCOL	 213			 /* of every route of ours */
#define ATTACH_FLAG_PATH "/tmp/.nsnetsetup"	 /* in a container with NETWORKWAIT: all its NICs are ready */

enum nic_state {
	NIC_WAITING, /* for its bridge, its container, a lease: it comes by itself, why says what is missing */
	NIC_READY,
	NIC_FAILED,  /* the kernel refused; tried again when something changes */
	NIC_REFUSED, /* what was asked for cannot be done */
	NIC_STATE_N_
};
extern const char *const nic_state_names[NIC_STATE_N_]; /* "waiting", "ready", "failed", "refused" */

enum lease_kind { LEASE_DHCP, LEASE_DHCP6, LEASE_KIND_N_ };
extern const char *const lease_kind_names[LEASE_KIND_N_]; /* "dhcp", "dhcp6" */

/** struct att_lease - What a server gave; address none: nothing yet */
struct att_lease {
	enum lease_kind kind;
	struct prefix address;
	struct ip gateway, server;
	struct nic_route routes[LIMIT_NIC_ROUTES];
	size_t n_routes;
	struct ip dns[LIMIT_DNS];
	size_t n_dns;
	char domain[64];
	uint32_t mtu; /* 0: not told */
	wall_t since;
	uint32_t seconds; /* from then */
	char why[128];	  /* nothing was given, or what of it was not taken */
};

struct att_nic {
	char container[LIMIT_ID], name[LIMIT_NAME]; /* id, name */
	char nic[NIC_NAME], parent[NIC_NAME], host[NIC_NAME];
	enum nic_kind kind;
	enum nic_state state;
	char why[200];
	wall_t since;	   /* in this state */
	int64_t attach_us; /* what making it took, 0 when it was found */
	struct mac mac;
	uint32_t mtu;
	struct prefix addresses[LIMIT_NIC_ADDRESSES];
	size_t n_addresses;
	struct ip gateways[2];
	struct att_lease leases[LEASE_KIND_N_];
	size_t n_leases;
};

struct attach_state {
	wall_t last_update;
	struct att_nic *nics; /* sorted by container's name, NIC's name */
	size_t n_nics, cap_nics;
	struct problems problems;
};

void attach_state_done(struct attach_state *s);
json_t *attach_state_to_json(const struct attach_state *s);
/** attach_state_from_json() - What is malformed in it is left out and told in its problems */
int attach_state_from_json(const json_t *root, struct attach_state *ret, struct err *err) MUST_USE;
int attach_state_read(int dirfd, const struct file_owner *owner, struct attach_state *ret, struct err *err) MUST_USE;
/**
 * attach_state_write() - Write it, as of now, when it tells anything new
 * @written: hash of what was told last, 0: nothing; kept up to date
 *
 * Return: 0; 1: nothing new; -errno
 */
int attach_state_write(int dirfd, const struct attach_state *s, uint64_t *written, struct err *err) MUST_USE;

#endif
