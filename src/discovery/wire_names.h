/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The datagram that tells names
 *
 * One JSON object like the others (wire.h), of the type NAMES:
 *
 *	{"type":"NAMES","version":1,"stack_id":"shop","host_ip":"192.0.2.1","vni":1000,"timestamp":1700000000,
 *	 "host_id":"32 hex","host_name":"nas","seq":17,"part":1,"parts":2,
 *	 "names":[["web","service",["172.18.0.2","fd00::2"]],["shop-web-1","container",["172.18.0.2"]]]}
 *
 * All names of one stack are a set. One that does not fit into a datagram of WIRE_BYTES is dealt out to parts with the
 * same seq; a name with many addresses may stand in several of them. A name that has an unknown kind is passed over.
 *
 * Pure: bytes in, struct out and back. Whether the sender may say what it says is the core's business.
 */
#ifndef DISCOVERY_WIRE_NAMES_H
#define DISCOVERY_WIRE_NAMES_H

#include "discovery/wire.h"
#include "state/names.h"

#define WIRE_NAMES_PARTS 2048
/* Addresses of all names of a stack that are told or taken */
#define LIMIT_STACK_NAME_ADDRESSES ((size_t)4 * LIMIT_NAMES_PER_STACK)

/** struct wire_names - One datagram; when decoded, what this part says */
struct wire_names {
	char stack_id[LIMIT_NAME];
	struct ip host_ip;
	uint32_t vni;
	int64_t timestamp; /* for people */
	char host_id[HOST_ID_LEN + 1];
	char host_name[WIRE_HOST_NAME];
	uint16_t part, parts; /* 1..parts */
	uint64_t seq;
	struct name *names;
	size_t n_names, cap_names;
};

/** wire_names_is() - Is this a datagram of the type NAMES, as far as one sees without parsing it? */
bool wire_names_is(const char *data, size_t len);
/**
 * wire_names_decode() - Read a datagram
 * @ret: wire_names_done() when it was read
 * @err: names the field, its value and what is allowed
 *
 * Return: 0; -EBADMSG no JSON object; -EPROTONOSUPPORT another version; -EINVAL a field
 */
int wire_names_decode(const char *data, size_t len, struct wire_names *ret, struct err *err) MUST_USE;
void wire_names_done(struct wire_names *m);

/**
 * wire_names_encode() - Write @m (part and parts are ignored) as one datagram or several
 *
 * Return: how many of its names are in them; what is beyond LIMIT_STACK_NAME_ADDRESSES or WIRE_NAMES_PARTS is left out
 */
size_t wire_names_encode(const struct wire_names *m, wire_fn *fn, void *arg);

#endif
