/* SPDX-License-Identifier: Apache-2.0
 *
 * What a NIC is to look like in the kernel: the spec, and what servers gave for it. Pure.
 */
#ifndef ATTACH_WANT_H
#define ATTACH_WANT_H

#include "state/attach.h"
#include "state/inventory.h"

#define WANT_METRIC 100 /* of default routes, plus the NIC's place: behind Docker's own, which has 0 */

struct want_route {
	struct prefix to;
	struct ip via;	 /* none: on the link */
	uint32_t metric; /* as the kernel reports it */
	struct ip src;	 /* of what the host sends itself; none: the kernel's choice */
	bool onlink;	 /* via is in no subnet of the NIC */
};

struct want {
	const struct nic_spec *spec; /* borrowed */
	char host[NIC_NAME];	     /* the host's end of a veth */
	char alias[160];
	struct mac mac, host_mac;
	struct prefix addresses[LIMIT_NIC_ADDRESSES + LEASE_KIND_N_];
	bool leased[LIMIT_NIC_ADDRESSES + LEASE_KIND_N_]; /* not ours to be sure of: the kernel looks for duplicates */
	size_t n_addresses;
	struct want_route routes[(1 + LEASE_KIND_N_) * (LIMIT_NIC_ROUTES + 2)];
	size_t n_routes;
	uint32_t mtu; /* 0: the parent's */
	bool alone;   /* nothing was said about addresses: the container sees to that itself */
	int sysctl;   /* enum broker_nic */
};

/** want_host_name() - Of the host's end: "dra" and ten hex digits, other ones for every container and NIC */
void want_host_name(const char *container_id, const char *nic, char ret[static NIC_NAME]);
/**
 * want_make()
 * @host_id: the same stack on two hosts of one LAN has other MACs on each
 * @index:  of the NIC in the container
 * @leases: LEASE_KIND_N_ of them; those without an address say nothing
 */
void want_make(const char *host_id, const struct inv_attach *a, size_t index, const struct att_lease *leases,
	       struct want *ret);

/** want_client_id() - For a DHCP server, in hex: stays when the container is made anew; for DHCPv6 a DUID */
void want_client_id(const char *host_id, const struct inv_attach *a, const char *nic, enum lease_kind kind,
		    char ret[static 129]);

/** want_shim_name() - Of the host's macvlan on @parent, by which it reaches containers there */
void want_shim_name(const char *parent, char ret[static NIC_NAME]);

#endif
