/* SPDX-License-Identifier: Apache-2.0
 *
 * Which interfaces and addresses this host has, and which of them discovery uses. Reading is netlink; choosing is a
 * pure function.
 */
#ifndef IO_INTERFACES_H
#define IO_INTERFACES_H

#include "base/addr.h"
#include "base/base.h"
#include "io/nl.h"

#define LIMIT_JOINED 64 /* interfaces that multicast is heard on */

struct iface {
	int index;
	char name[16];
	bool up, multicast, loopback;
};

struct iface_address {
	int index;
	struct prefix prefix; /* the address, and the length of its network */
	bool usable;	      /* of wider than link scope (on lo: any), not tentative */
	bool second_rate;     /* temporary or deprecated: only when there is no other */
};

/** struct interfaces - What is there */
struct interfaces {
	struct iface *ifaces;
	size_t n_ifaces, cap_ifaces;
	struct iface_address *addresses;
	size_t n_addresses, cap_addresses;
	int default_index; /* interface of the default route of the family that was asked for, or 0 */
	uint32_t default_metric;
	struct ip default_source; /* that its route prefers, or none */
};

/** interfaces_read() - @default_family: AF_INET, AF_INET6, or 0: the default route does not matter */
int interfaces_read(struct nl *nl, uint8_t default_family, struct interfaces *ret, struct err *err) MUST_USE;
void interfaces_done(struct interfaces *i);

/** struct interfaces_wish - What the config says, and what is in use */
struct interfaces_wish {
	uint8_t family;
	struct ip host_ip; /* HOST_IP, or none: to be found */
	const char *name;  /* INTERFACE, or "" */
	struct ip current; /* found before, or none: kept as long as it is there */
	bool current_firm; /* it was on the default route's interface */
};

struct interfaces_choice {
	struct ip host_ip; /* none: there is none yet */
	bool firm;	   /* not just the first that came along */
	int host_index;	   /* the interface that has it */
	int joined[LIMIT_JOINED];
	size_t n_joined;
};

/**
 * interfaces_choose() - The address to send from and the interfaces to hear multicast on
 *
 * Without INTERFACE all that are up, can multicast, have an address of the family, and are neither loopback nor made by
 * Docker or by us; and the one that has the chosen address in any case.
 */
void interfaces_choose(const struct interfaces *i, const struct interfaces_wish *wish, struct interfaces_choice *ret);

/** interface_is_internal() - Made by Docker or by us, by its name: containers, not neighbours, are behind it */
bool interface_is_internal(const char *name);

#endif
