/* SPDX-License-Identifier: Apache-2.0
 *
 * One NIC that a container is to have on a bridge or interface of the host: how labels, the config file,
 * /etc/config/docker and `docker-router plug` say it, and its form in inventory.json. Pure.
 *
 *	docker-router.attach: "br-lan:eth1 br-guest:eth2"
 *	docker-router.attach.eth1.kind: veth | macvlan | macvlan-private | physical
 *	docker-router.attach.eth1.address: "dhcp", "dhcp6", "slaac", addresses with their length; several with commas
 *	docker-router.attach.eth1.gateway / .mac / .mtu / .routes / .dns / .metric / .isolated / .shim
 *
 * A route is "10.0.0.0/8 via 192.0.2.1", or a prefix alone, which is then on the link.
 */
#ifndef STATE_NIC_H
#define STATE_NIC_H

#include "state/json.h"

#define LIMIT_NICS	    16 /* of one container */
#define LIMIT_NIC_ADDRESSES 8
#define LIMIT_NIC_ROUTES    16
#define NIC_NAME	    16 /* bytes of an interface's name, NUL included */

enum nic_kind { NIC_VETH, NIC_MACVLAN, NIC_MACVLAN_PRIVATE, NIC_PHYSICAL, NIC_KIND_N_ };
extern const char *const nic_kind_names[NIC_KIND_N_]; /* "veth", "macvlan", "macvlan-private", "physical" */

struct nic_route {
	struct prefix to; /* host bits cleared */
	struct ip via;	  /* none: on the link */
};

/** struct nic_spec - What somebody asks for; what is not asked for is zero */
struct nic_spec {
	char parent[NIC_NAME]; /* bridge (veth), or interface (the others), of the host */
	char name[NIC_NAME];   /* in the container */
	enum nic_kind kind;
	bool dhcp, dhcp6, slaac;
	struct prefix addresses[LIMIT_NIC_ADDRESSES]; /* host bits kept */
	size_t n_addresses;
	struct ip gateways[2]; /* of IPv4, of IPv6; or none */
	struct mac mac;	       /* none: nic_mac() */
	uint32_t mtu;	       /* 0: the parent's */
	struct nic_route routes[LIMIT_NIC_ROUTES];
	size_t n_routes;
	struct ip dns[LIMIT_DNS];
	size_t n_dns;
	bool no_dns;	/* "none": leave resolv.conf alone whatever a lease says */
	int64_t metric; /* of default routes; -1: not given */
	bool isolated;	/* veth: other isolated ports of the bridge are not reached */
	bool no_shim;	/* macvlan: no way between host and container */
};

struct nic_specs {
	struct nic_spec v[LIMIT_NICS];
	size_t n;
};

/** nic_name_valid() - A name that the kernel takes for an interface, of printable ASCII, and not lo, all or default */
bool nic_name_valid(const char *name);

/**
 * nic_list_parse() - "br-lan:eth1 br-guest:eth2", commas or spaces between
 * @prefix: put before every parent: "br-" for /etc/config/docker, else ""
 *
 * Return: 0; -EINVAL or -E2BIG with the element and what is allowed; then @ret is left alone.
 */
int nic_list_parse(const char *value, const char *prefix, struct nic_specs *ret, struct err *err) MUST_USE;
/** nic_set() - One setting of a NIC, @key being what stands behind "docker-router.attach.eth1." */
int nic_set(struct nic_spec *nic, const char *key, const char *value, struct err *err) MUST_USE;
/** nic_check() - What only the whole tells: a gateway without address, DHCP and a route of the wrong family, ... */
int nic_check(const struct nic_spec *nic, struct err *err) MUST_USE;
struct nic_spec *nic_find(struct nic_specs *specs, const char *name);
extern const char *const nic_keys[]; /* that nic_set() knows; NULL-terminated */

/**
 * nic_mac() - The MAC of a NIC that was given none: locally administered, and the same whenever the service is started
 * @owner: what stays when a container is made anew: nic_owner()
 */
struct mac nic_mac(const char *owner, const char *nic_name);
/** nic_owner() - "project/service/1" with Compose, else "name"; @number: of the service's containers, 0 unknown */
void nic_owner(const char *project, const char *service, uint32_t number, const char *name, char *ret, size_t size);

json_t *nic_to_json(const struct nic_spec *nic);
int nic_from_json(const json_t *o, struct nic_spec *ret, struct err *err) MUST_USE;
bool nic_same(const struct nic_spec *a, const struct nic_spec *b);

#endif
