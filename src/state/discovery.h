/* SPDX-License-Identifier: Apache-2.0
 *
 * discovery.json: who else is out there, and who we are. Keeps every field of the file that discovery programs of this
 * family have always written (version, last_update, peers[] with stack_id, host_ip, vxlan_endpoint, vni, last_seen,
 * status); the others are ours and optional for readers and writers.
 *
 *	{"version":1,"last_update":"2024-01-15T10:30:00Z",
 *	 "self":{"host_id":"32 hex","host_name":"pi","host_ip":"192.0.2.1","vxlan_port":4789,"seq":17,
 *	         "key_id":"1a2b3c4d","modes":["multicast"],"stacks":[{"stack_id":"shop","vni":1000,"subnets":["10.71.0.0/24"],
 *	         "mapped":[{"subnet":"172.18.0.0/16","as":"241.7.0.0/16"}],"avoid":["172.17.0.0/16"],
 *	         "groups":["239.1.2.3/32"],"vtep_mac":"02:..","vtep_ip":"fe80::.."}]},
 *	 "peers":[{"stack_id":"stack-a","host_ip":"10.0.1.5","vxlan_endpoint":"10.0.1.5:4789","vni":1000,
 *	           "last_seen":"2024-01-15T10:30:00Z","status":"active",
 *	           "subnets":["10.72.0.0/24"],"mapped":[],"avoid":[],"groups":["239.1.2.3/32"],"host_id":"...","host_name":"nas","vtep_mac":"02:..","vtep_ip":"fe80::..",
 *	           "uplink":"172.30.0.3","epoch":3,"wireguard":{...},"seq":4,"source":"multicast"}],
 *	 "gossip":{"port":4791,"incarnation":1700000000,
 *	           "members":[{"host_id":"..","address":"10.0.1.5:4791","incarnation":1700000001,"status":"alive"}]},
 *	 "problems":[...]}
 *
 * peers[] never contains ourselves. A peer without host_id (written by an older program) gets no route: it has no
 * subnets either.
 */
#ifndef STATE_DISCOVERY_H
#define STATE_DISCOVERY_H

#include "state/identity.h"
#include "state/json.h"
#include "state/wireguard.h"

enum member_status { MEMBER_ALIVE, MEMBER_SUSPECT, MEMBER_DEAD, MEMBER_LEFT, MEMBER_STATUS_N_ };
extern const char *const member_status_names[MEMBER_STATUS_N_];

/** struct cluster_member - Another host in the mode gossip */
struct cluster_member {
	char host_id[HOST_ID_LEN + 1];
	struct endpoint address;
	uint64_t incarnation;
	enum member_status status;
};

enum peer_status { PEER_ACTIVE, PEER_STALE, PEER_STATUS_N_ };
enum peer_source {
	PEER_MULTICAST,
	PEER_STATIC,
	PEER_FILE /* written by hand or by another program */,
	PEER_ETCD,
	PEER_GOSSIP,
	PEER_DNS,
	PEER_SOURCE_N_
};
extern const char *const peer_status_names[PEER_STATUS_N_];
extern const char *const peer_source_names[PEER_SOURCE_N_];

/**
 * struct mapped - A subnet of a stack and the prefix of the same length by which all others reach it as well
 *
 * A stack of whose subnet another one in the VNI, or a member host, has its own; see docs/decisions/10. Both addresses
 * work side by side; between two stacks that are both mapped the mapped ones are used, by both.
 */
struct mapped {
	struct prefix subnet, as; /* host bits cleared */
};

struct peer {
	char stack_id[LIMIT_NAME];
	char host_id[HOST_ID_LEN + 1]; /* "" when unknown */
	char host_name[64];	       /* for people; "" when unknown */
	uint32_t vni;
	struct ip host_ip;
	struct endpoint vxlan_endpoint;
	struct mac vtep_mac; /* none: unknown */
	struct ip vtep_ip;   /* none: unknown */
	struct ip uplink;    /* two-container form, see inventory.h */
	uint8_t epoch;
	struct wg_say wireguard; /* key "": none; told by sealed datagrams only */
	uint64_t seq;
	wall_t last_seen;
	enum peer_status status;
	enum peer_source source;
	struct prefix *subnets; /* sorted, host bits cleared */
	uint16_t n_subnets;
	struct mapped *mapped; /* sorted by subnet; subnet need not be one of @subnets: MAPPING=always */
	uint16_t n_mapped;
	struct prefix *avoid; /* routes of its host that overlap a subnet or mapped prefix of somebody in the VNI */
	uint16_t n_avoid;
	struct prefix *groups; /* that somebody in the stack listens to, over the overlay; sorted, whole addresses */
	uint16_t n_groups;
};

struct self_stack {
	char stack_id[LIMIT_NAME];
	uint32_t vni;
	struct prefix subnets[LIMIT_SUBNETS]; /* as announced: none with MAPPING=always */
	size_t n_subnets;
	struct mapped mapped[LIMIT_SUBNETS];
	size_t n_mapped;
	struct prefix avoid[LIMIT_AVOID];
	size_t n_avoid;
	struct prefix groups[LIMIT_GROUPS];
	size_t n_groups;
};

struct discovery {
	wall_t last_update;
	struct {
		char host_id[HOST_ID_LEN + 1], host_name[64];
		struct ip host_ip; /* underlay address that all is sent from; none: not known yet */
		uint16_t vxlan_port;
		uint64_t seq;	/* the highest that was sent */
		char modes[64]; /* "multicast,static" */
		char key_id[9]; /* of the key that seals; "": not sealed */
		struct self_stack *stacks;
		size_t n_stacks, cap_stacks;
	} self;
	struct {
		uint16_t port; /* 0: not that mode */
		uint64_t incarnation;
		struct cluster_member *members; /* sorted by host_id */
		size_t n_members, cap_members;
	} gossip;
	struct peer *peers; /* sorted by vni, host_id, stack_id */
	size_t n_peers, cap_peers;
	struct problems problems;
};

/** mapped_find() - The one whose subnet holds @ip, or NULL */
const struct mapped *mapped_find(const struct mapped *v, size_t n, const struct ip *ip);
void peer_done(struct peer *p);
/** peer_from_value(), peer_to_value() - One peer as text: an object as in peers[], in one line */
int peer_from_value(const char *s, size_t len, struct peer *ret, struct err *err) MUST_USE;
void peer_to_value(struct buf *b, const struct peer *p);
int peer_key_cmp(const struct peer *a, const struct peer *b); /* (vni, host_id, stack_id); without host_id by host_ip */
void discovery_done(struct discovery *d);
void discovery_sort(struct discovery *d);
void discovery_sort_members(struct discovery *d);

json_t *discovery_to_json(const struct discovery *d);
/** discovery_from_json() - As inventory_from_json(): a broken peer is left out and told in ret->problems */
int discovery_from_json(const json_t *root, struct discovery *ret, struct err *err) MUST_USE;
/**
 * discovery_from_text() - What discovery_from_json() makes of the whole text, without building the whole tree
 *
 * The elements of peers[] are cut out by their brackets and parsed one by one; the rest, with "peers":[] in their
 * place, is a small document. An element that is no JSON is one broken peer then; the frame must be sound.
 */
int discovery_from_text(const char *s, size_t len, struct discovery *ret, struct err *err) MUST_USE;
int discovery_read(int dirfd, const struct file_owner *owner, struct discovery *ret, struct err *err) MUST_USE;
int discovery_write(int dirfd, const struct discovery *d, struct err *err) MUST_USE;

#endif
