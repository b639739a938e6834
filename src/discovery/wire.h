/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The datagram
 *
 * One JSON object per UDP datagram. The first six fields are those that discovery programs of this family have always
 * sent; a datagram that has only those is understood. The others are ours:
 *
 *	{"type":"ANNOUNCE","version":1,"stack_id":"shop","host_ip":"192.0.2.1","vni":1000,"timestamp":1700000000,
 *	 "host_id":"32 hex","host_name":"nas","port":4789,"vtep_mac":"02:..","vtep_ip":"fe80::..","seq":17,
 *	 "uplink":"172.30.0.3","epoch":3,"wireguard":{"key":"base64","port":51820,"ring":["1a2b3c4d"]},"part":1,"parts":2,"subnets":["172.18.0.0/16"],
 *	 "mapped":[["172.18.0.0/16","241.7.0.0/16"]],"avoid":["172.17.0.0/16"],"groups":["239.1.2.3/32"]}
 *
 * mapped: a subnet of the stack and the prefix by which all others reach it as well; avoid: routes of the host that are
 * in the way of a stack of the VNI; groups: multicast that somebody in the stack listens to. Who does not know them
 * reads the rest.
 *
 * wireguard: see state/wireguard.h; only in datagrams that are sealed. Whether this one was, the core knows.
 *
 * What does not fit is split: every part carries the same seq and all fields, the elements of the lists are dealt out.
 *A part is not longer than WIRE_BYTES, since the older programs read into a buffer of that size; only where that makes
 *more than WIRE_PARTS, all parts but the first are so long that they are LIMIT_DATAGRAM when sealed.
 *
 * Pure: bytes in, struct out and back. Whether the sender may say what it says is the core's business.
 */
#ifndef DISCOVERY_WIRE_H
#define DISCOVERY_WIRE_H

#include "base/addr.h"
#include "base/base.h"
#include "state/discovery.h"
#include "state/identity.h"
#include "state/limits.h"

#define WIRE_VERSION	1
#define WIRE_BYTES	1024 /* sent; less than LIMIT_DATAGRAM */
#define WIRE_PARTS	28   /* as much as there can be of the longest kind, beside the longest names, makes 20 */
#define WIRE_HOST_NAME	64   /* bytes, NUL included */
#define WIRE_VXLAN_PORT 4789 /* of who does not say */

enum wire_type { WIRE_ANNOUNCE, WIRE_QUERY, WIRE_RESPONSE, WIRE_GOODBYE, WIRE_TYPE_N_ };
extern const char *const wire_type_names[WIRE_TYPE_N_];

/** struct wire_msg - One datagram; with several parts, what this part says */
struct wire_msg {
	enum wire_type type;
	char stack_id[LIMIT_NAME];
	struct ip host_ip;
	uint32_t vni;
	int64_t timestamp; /* for people: nothing is decided by it */
	/* without host_id (an older program) all that follows is zero, but port */
	char host_id[HOST_ID_LEN + 1];
	char host_name[WIRE_HOST_NAME];
	struct mac vtep_mac;
	struct ip vtep_ip;
	struct ip uplink;
	uint8_t epoch;
	struct wg_say wireguard; /* key "": none */
	uint16_t port;
	uint8_t part, parts; /* 1..parts */
	uint64_t seq;
	size_t n_subnets;
	struct prefix subnets[LIMIT_SUBNETS]; /* host bits cleared, as in the others */
	size_t n_mapped;
	struct mapped mapped[LIMIT_SUBNETS]; /* of each pair both are of one family and length */
	size_t n_avoid;
	struct prefix avoid[LIMIT_AVOID];
	size_t n_groups;
	struct prefix groups[LIMIT_GROUPS]; /* of receivers in the stack; whole addresses */
};

/**
 * wire_decode() - Read a datagram
 * @err: names the field, its value and what is allowed
 *
 * VTEP MAC and address must be those that belong to host_id and vni: nobody can take those of another host.
 * Return: 0; -EBADMSG no JSON object; -EPROTONOSUPPORT another version; -EINVAL a field
 */
int wire_decode(const char *data, size_t len, struct wire_msg *ret, struct err *err) MUST_USE;

/** wire_fn - One datagram to send; @data is borrowed */
typedef void wire_fn(void *arg, const char *data, size_t len);
/** wire_encode() - Write @m (part and parts are ignored) as one datagram or several; a GOODBYE has no subnets,
 * and nothing of what goes with them */
void wire_encode(const struct wire_msg *m, wire_fn *fn, void *arg);

/** wire_host_id_valid() - 32 lower-case hex digits? */
bool wire_host_id_valid(const char *s);

#endif
