/* SPDX-License-Identifier: Apache-2.0
 *
 * The map: hosts, their stacks, and the VNIs that join them, in an order that stays. Built from the state files, then
 * drawn, listed or told as JSON; none of it does I/O.
 */
#ifndef CLI_MAP_H
#define CLI_MAP_H

#include "cli/cli.h"

enum map_link { MAP_LINKED, MAP_STALE, MAP_REFUSED, MAP_LINK_N_ };

/** enum map_crypt - How what goes to a host is encrypted; APART: one of the two encrypts alone, and nothing goes */
enum map_crypt {
	MAP_UNKNOWN,
	MAP_CLEAR,
	MAP_ENCRYPTED,
	MAP_RELAYED /* encrypted, by way of another */,
	MAP_WAITING /* for a handshake */,
	MAP_APART,
	MAP_CRYPT_N_
};

struct map_stack {
	char stack_id[LIMIT_NAME];
	uint32_t vni;
	const struct prefix *subnets; /* borrowed from the state files, or from @all */
	size_t n_subnets;
	const struct mapped *mapped; /* borrowed; of subnets that need not be among @subnets: MAPPING=always */
	size_t n_mapped;
	struct prefix *all; /* of a local stack with several networks; owned */
	int64_t containers; /* -1: unknown */
	enum map_link link;
};

struct map_host {
	char name[80];
	char host_id[HOST_ID_LEN + 1];
	struct ip ip;
	bool local, stale;	  /* stale: all its stacks are, or a member that has none is suspected */
	enum map_crypt crypt;	  /* of the local one, and of who has no stack: unknown */
	struct map_stack *stacks; /* by vni, then name */
	size_t n_stacks, cap_stacks;
};

/** struct map_member - One stack on a VNI */
struct map_member {
	uint32_t vni;
	size_t host, stack; /* indexes */
};

struct map {
	struct map_host *hosts; /* the local one first, then by name ("h2" before "h10"), address and id */
	size_t n_hosts, cap_hosts;
	struct map_member *members; /* by vni, then in the order of hosts */
	size_t n_members, cap_members;
	size_t n_vnis; /* different ones among them */
};

#define MAP_HOSTS_DRAWN 12 /* more are listed */
#define MAP_VNIS_DRAWN	16

void map_build(const struct state_files *f, struct map *ret); /* borrows from @f */
void map_done(struct map *m);
/** map_draw() - Boxes and lines; as map_list() where that is too big or too wide */
void map_draw(struct buf *out, const struct map *m, const struct style *style);
/** map_list() - The compact form: a list per VNI */
void map_list(struct buf *out, const struct map *m, const struct style *style);
void map_json(const struct map *m, json_t **ret_hosts, json_t **ret_vnis);

#endif
