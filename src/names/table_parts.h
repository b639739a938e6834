/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the table, between its building (table_build.c) and its use (table.c).
 */
#ifndef NAMES_TABLE_PARTS_H
#define NAMES_TABLE_PARTS_H

#include "names/table.h"

#define STACK_ADDRESSES FIND_MAX
#define VIEWER_MAX	16 /* stacks, networks of a container */
#define VIEWER_SUBNETS	32

/* What the router makes no way to, whether it tells people (refused[]) or not (held[]) */
struct refused {
	uint32_t vni;
	const char *host_id, *stack_id;
	struct prefix prefix;
};

/* A stack on one host */
struct instance {
	char stack[LIMIT_NAME], host[64]; /* lower case */
	size_t host_short;		  /* bytes of @host up to its first dot */
	bool own;
	const struct name_stack *names;
	const struct prefix *subnets; /* that its addresses lie in; of our own they lie where they lie */
	size_t n_subnets;
	const struct mapped *mapped;
	size_t n_mapped;
	struct ip *addresses; /* of all its containers, sorted, each once */
	size_t n_addresses;
	const struct refused *refused; /* what the router makes no way to */
	size_t n_refused;
};

/* An address, as somebody may know it, and the name that has it */
struct reverse {
	struct ip ip;
	bool mapped;
	uint32_t instance, name;
};

struct viewer_stack {
	const char *stack_id;
	uint32_t vni;
	bool mapped;
};

struct viewer {
	const char *id; /* NULL: the host */
	struct viewer_stack stacks[VIEWER_MAX];
	size_t n_stacks;
	uint64_t networks[VIEWER_MAX]; /* hashes of their ids */
	size_t n_networks;
	bool elsewhere; /* Docker's resolver knows names there that we do not know of */
	struct prefix subnets[VIEWER_SUBNETS];
	size_t n_subnets;
};

struct table {
	char domain[64];
	struct name_stack *own;
	size_t n_own;
	struct instance *instances; /* sorted by stack, VNI, host */
	size_t n_instances;
	const char **hosts; /* sorted: what may stand behind a stack */
	size_t n_hosts;
	struct reverse *reverse; /* sorted by ip */
	size_t n_reverse, cap_reverse;
	uint64_t *local; /* sorted hashes of (network, name): what Docker's own resolver knows */
	size_t n_local, cap_local;
	struct viewer *viewers; /* sorted by id */
	size_t n_viewers, cap_viewers;
	struct viewer host;
	struct refused *refused; /* sorted by VNI, host, stack */
	size_t n_refused;
	const struct prefix **subnets; /* of all our networks: where they are, the host goes to nobody else */
	size_t n_subnets;
};

/** name_hash() - Of a name in lower case, for struct table.local; @network: hash of the network's id, with seed 0 */
uint64_t name_hash(const char *name, uint64_t network);
int name_hash_cmp(const void *a, const void *b);
/** instance_may_have() - May a container of this stack have that address? */
bool instance_may_have(const struct instance *s, const struct ip *ip);

#endif
