/* SPDX-License-Identifier: Apache-2.0
 *
 * inventory.json: what runs here. Written by the role inventory; in the two-container form by the router, which then is
 * who sees the stack's network.
 *
 *	{"version":1,"last_update":"...",
 *	 "engines":[{"endpoint":"unix:///var/run/docker.sock","state":"connected","api":"1.41","engine":"20.10.24","error":""}],
 *	 "stacks":[{"stack_id":"shop","vni":1000,
 *	   "networks":[{"name":"shop_default","id":"...","bridge":"br-0123456789ab","endpoint":"unix://...",
 *	     "subnets":["10.71.0.0/24"],"gateways":["10.71.0.1"],"internal":false,"icc":true,"mtu":1500}],
 *	   "uplink":"","epoch":0,
 *	   "containers":[{"id":"...","name":"shop_web_1","service":"web","pid":4711,"sandbox":"/var/run/docker/netns/...",
 *	     "health":"none","dns":["172.17.0.1"],"elsewhere":true,"interfaces":[{"network":"<network
 *id>","mac":"02:..","addresses":["10.71.0.2"], "aliases":["web"]}]}]}],
 *	 "multicast":[{"network":{as above},"label":"ssdp,239.1.0.0/16","containers":[as above]}],
 *	 "attach":[{"container":{as
 *above},"owner":"shop/web/1","hostname":"web","running":true,"paused":false,"flag":false,
 *	   "refused":"","nics":[{"parent":"br-lan","name":"eth1","kind":"veth","address":"dhcp"}]}],
 *	 "problems":[{"object":"network x","text":"...","cure":"..."}]}
 *
 * A stack is (stack_id, vni) here; several networks with the same two labels are one stack. A container stands in every
 * stack that one of its networks belongs to.
 */
#ifndef STATE_INVENTORY_H
#define STATE_INVENTORY_H

#include "state/json.h"
#include "state/multicast_label.h"
#include "state/nic.h"

enum engine_state { ENGINE_CONNECTING, ENGINE_CONNECTED, ENGINE_LOST, ENGINE_STATE_N_ };

struct inv_engine {
	char *endpoint, *api, *engine, *error;
	enum engine_state state;
};

enum health { HEALTH_NONE /* no health check */, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY, HEALTH_N_ };
extern const char *const health_names[HEALTH_N_]; /* "none", "starting", "healthy", "unhealthy" */

struct inv_interface {
	char network_id[LIMIT_ID];
	struct mac mac;
	struct ip addresses[4];
	size_t n_addresses;
	char **aliases; /* of the endpoint, as Docker knows them, without its id; lower case, each a label_valid() */
	size_t n_aliases, cap_aliases;
};

struct inv_container {
	char id[LIMIT_ID], name[LIMIT_NAME], service[LIMIT_NAME];
	char sandbox[256]; /* "" unknown */
	int32_t pid;
	enum health health;
	struct ip dns[LIMIT_DNS]; /* as it was started with: --dns, dns: in a Compose file */
	size_t n_dns;
	bool elsewhere; /* on a network of no stack too, where Docker knows names that are not in here */
	struct inv_interface *interfaces; /* those on networks of this stack */
	size_t n_interfaces, cap_interfaces;
};

struct inv_network {
	char id[LIMIT_ID], name[LIMIT_NAME], endpoint[256];
	char bridge[16]; /* "" when it is no bridge network: then a problem says so */
	struct prefix subnets[LIMIT_SUBNETS];
	size_t n_subnets;
	struct ip gateways[8]; /* addresses of the bridge */
	size_t n_gateways;
	bool internal, icc;
	uint32_t mtu; /* 0: unknown */
};

struct inv_stack {
	char stack_id[LIMIT_NAME];
	uint32_t vni;
	struct inv_network *networks;
	size_t n_networks, cap_networks;
	struct inv_container *containers;
	size_t n_containers, cap_containers;
	struct ip uplink; /* two-container form: the router's address on the shared uplink network; else none */
	uint8_t epoch;	  /* two-container form: another one at every start of the router, below EPOCHS */
};

/** struct inv_multicast - A network with the label docker-router.multicast, whether it is of a stack or not */
struct inv_multicast {
	struct inv_network network;
	struct multicast_label label;
	struct inv_container *containers; /* that are on it, sorted by id; the one interface of each */
	size_t n_containers, cap_containers;
};

/** struct inv_attach - A container that is to have NICs, whether it is of a stack or not */
struct inv_attach {
	struct inv_container
		container; /* no interfaces; of one that does not run, id and name are what it is called by */
	char owner[2 * LIMIT_NAME + 16]; /* nic_owner() */
	char hostname[64];		 /* for DHCP: a DNS label, or "" */
	bool running, paused;
	bool flag;	   /* it waits for ATTACH_FLAG_PATH */
	char refused[128]; /* why it can have none, or "" */
	struct nic_spec *nics;
	size_t n_nics, cap_nics;
};

struct inventory {
	wall_t last_update;
	struct inv_engine *engines;
	size_t n_engines, cap_engines;
	struct inv_stack *stacks; /* sorted by vni, stack_id; networks and containers by id */
	size_t n_stacks, cap_stacks;
	struct inv_multicast *multicast; /* sorted by network id */
	size_t n_multicast, cap_multicast;
	struct inv_attach *attach; /* sorted by container's id */
	size_t n_attach, cap_attach;
	struct problems problems;
};

void inventory_done(struct inventory *inv); /* frees contents, zeroes */
/** inventory_sort() - Bring into the canonical order, so that equal contents give equal files */
void inventory_sort(struct inventory *inv);
bool inventory_same(const struct inventory *a, const struct inventory *b); /* all but last_update */
/** inventory_stack() - Find or add a stack */
struct inv_stack *inventory_stack(struct inventory *inv, const char *stack_id, uint32_t vni);

json_t *inventory_to_json(const struct inventory *inv);
/**
 * inventory_from_json() - Parse; a broken stack, network or container is left out and told in ret->problems, the rest
 * is kept; only what is not an inventory at all is refused
 */
int inventory_from_json(const json_t *root, struct inventory *ret, struct err *err) MUST_USE;
/** inventory_attach_copy() - One more in @inv, with NICs of its own */
struct inv_attach *inventory_attach_copy(struct inventory *inv, const struct inv_attach *a);
int inventory_read(int dirfd, const struct file_owner *owner, struct inventory *ret, struct err *err) MUST_USE;
int inventory_write(int dirfd, const struct inventory *inv, struct err *err) MUST_USE;

#endif
