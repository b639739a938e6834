/* SPDX-License-Identifier: Apache-2.0
 *
 * The links of endpoints: a veth pair with one end in a bridge, or a macvlan on an interface. Both are made in the
 * namespace of the host; Docker moves one end into the container. And the address inside it, where a lease changes.
 */
#ifndef DRIVER_LINK_H
#define DRIVER_LINK_H

#include "io/nl.h"
#include "state/driver.h"

struct link_found {
	int index;
	uint32_t mtu;
	bool is_bridge, ours; /* ours: it has DRIVER_ALIAS */
	bool up;	      /* operational */
};

/** link_find() - By name, in the namespace of @nl. Return: 0; -ENODEV there is none; -errno */
int link_find(struct nl *nl, const char *name, struct link_found *ret, struct err *err) MUST_USE;
/** link_find_mac() - The interface that has this MAC, lowest index first. Return: its index; -ENODEV; -errno */
int link_find_mac(struct nl *nl, const struct mac *mac, struct err *err) MUST_USE;
/**
 * link_make() - Both links of an endpoint, up; what a killed predecessor left of them is removed first
 * @parent: as link_find() tells of the network's parent
 * Return: 0; -ENODEV the parent is gone; -errno
 */
int link_make(struct nl *nl, const struct driver_network *n, const struct driver_endpoint *e,
	      const struct link_found *parent, struct err *err) MUST_USE;
/** link_remove() - Both, as far as they are here; no error when there are none, and never a link without our alias */
int link_remove(struct nl *nl, const char *endpoint_id, struct err *err) MUST_USE;
/**
 * link_readdress() - Inside a container: the new address instead of the old, and the default route by @gateway, unless
 * another interface has it
 * @was, @now: none: it had, or gets, none
 */
int link_readdress(struct nl *nl, int index, const struct prefix *was, const struct prefix *now,
		   const struct ip *gateway, struct err *err) MUST_USE;

struct link_event {
	char name[16];
	bool gone, up; /* up: what is sent there gets through; of a port of a bridge without STP, the bridge too */
};

/** link_event_parse() - Return: false: it tells of something else */
bool link_event_parse(const struct nlmsghdr *nlh, struct link_event *ret);

#endif
