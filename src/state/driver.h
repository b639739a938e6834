/* SPDX-License-Identifier: Apache-2.0
 *
 * driver.json: the Docker networks that the network driver has, and their endpoints. Written by the role driver, which
 * finds there after a restart what Docker tells only once.
 *
 *	{"version":1,"last_update":"...",
 *	 "networks":[{"id":"...","parent":"br-lan","kind":"auto","ipam":"dhcp","mtu":0,"wait":10,"gateways":["192.0.2.1"],
 *	   "internal":false}],
 *	 "endpoints":[{"id":"...","network":"...","name":"web","kind":"bridge","mac":"02:...","mac_given":false,"address":"192.0.2.7/24",
 *	   "address6":"","gateway":"192.0.2.1","sandbox":"/var/run/docker/netns/...","since":"...",
 *	   "lease":{"server":"192.0.2.1","server_mac":"02:...","since":"...","seconds":3600,"t1":1800,"t2":3150}}],
 *	 "kept":[{"network":"...","mac":"02:...","mac_given":false,"address":"192.0.2.7"}]}
 *
 * "kept" are MACs, with the address that a DHCP server gave last, of endpoints that are gone: the next ones take them.
 */
#ifndef STATE_DRIVER_H
#define STATE_DRIVER_H

#include "state/json.h"

#define STATE_DRIVER	  "driver.json"
#define DRIVER_ALIAS	  "docker-router-driver:" /* of every link of the driver, on the host's side */
#define LIMIT_DRIVER_NETS 256
#define LIMIT_DRIVER_ENDS 4096
#define LIMIT_DRIVER_KEPT 256 /* of one network */
#define DRIVER_WAIT_MAX_S 25

enum driver_kind { DRIVER_AUTO, DRIVER_BRIDGE, DRIVER_MACVLAN, DRIVER_MACVLAN_PRIVATE, DRIVER_KIND_N_ };
extern const char *const driver_kind_names[DRIVER_KIND_N_]; /* "auto", "bridge", "macvlan", "macvlan-private" */
enum driver_ipam { DRIVER_DHCP, DRIVER_STATIC, DRIVER_IPAM_N_ };
extern const char *const driver_ipam_names[DRIVER_IPAM_N_]; /* "dhcp", "static" */

struct driver_network {
	char id[LIMIT_ID], parent[16];
	enum driver_kind kind;
	enum driver_ipam ipam;
	uint32_t mtu;	       /* 0: the parent's */
	uint32_t wait_s;       /* for the parent to be there, and for a DHCP server */
	struct ip gateways[2]; /* IPv4, IPv6; static only */
	bool internal;	       /* no gateway */
};

struct driver_lease {
	struct ip server;
	struct mac server_mac;
	wall_t since;
	uint32_t seconds, t1, t2; /* seconds 0: no lease */
};

struct driver_endpoint {
	char id[LIMIT_ID], network[LIMIT_ID];
	char name[64];	       /* told to the DHCP server, "" none */
	enum driver_kind kind; /* not auto */
	struct mac mac;
	bool mac_given;			 /* by Docker or by the name: not for others */
	struct prefix address, address6; /* host bits kept; none */
	struct ip gateway;
	char sandbox[256]; /* "" it is in no container yet */
	wall_t since;
	struct driver_lease lease;
};

struct driver_kept {
	char network[LIMIT_ID];
	struct mac mac;
	bool mac_given;
	struct ip address; /* or none */
};

struct driver_state {
	wall_t last_update;
	struct driver_network *networks;
	size_t n_networks, cap_networks;
	struct driver_endpoint *endpoints;
	size_t n_endpoints, cap_endpoints;
	struct driver_kept *kept; /* the last one of a network went last */
	size_t n_kept, cap_kept;
};

void driver_state_done(struct driver_state *s);
/** driver_link_names() - What the links of an endpoint are called: on the host, and what becomes the container's */
void driver_link_names(const char *endpoint_id, char ret_host[static 16], char ret_peer[static 16]);
json_t *driver_state_to_json(const struct driver_state *s);
/** driver_state_from_json() - What is malformed in it is left out, and counted in @ret_bad */
int driver_state_from_json(const json_t *root, struct driver_state *ret, size_t *ret_bad, struct err *err) MUST_USE;
int driver_state_read(int dirfd, const struct file_owner *owner, struct driver_state *ret, size_t *ret_bad,
		      struct err *err) MUST_USE;
/** driver_state_write() - @sync: must survive power loss */
int driver_state_write(int dirfd, const struct driver_state *s, bool sync, struct err *err) MUST_USE;

/** driver_id_valid() - An id as Docker makes them: 12 to 79 letters and digits */
bool driver_id_valid(const char *s);
/** driver_name_valid() - A label of a host's name: 1 to 63 letters, digits and '-', no '-' at the ends */
bool driver_name_valid(const char *s);

#endif
