/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds on everything that comes from outside: wire, files, labels, engines.
 */
#ifndef STATE_LIMITS_H
#define STATE_LIMITS_H

#define LIMIT_PEERS	       16384 /* in all */
#define LIMIT_PEERS_PER_SOURCE 256   /* per sender address */
#define LIMIT_SUBNETS	       64    /* per peer, per network */
#define LIMIT_DATAGRAM	       1400  /* bytes sent; what is longer is split */
#define LIMIT_SEAL	       62    /* bytes that sealing adds */
#define LIMIT_DATAGRAM_IN      8192  /* bytes accepted */
#define LIMIT_JSON_DEPTH       32
#define LIMIT_FILE_BYTES       (32u << 20) /* a state file */
#define LIMIT_STACKS	       1024	   /* of one host */
#define LIMIT_CONTAINERS       4096	   /* of one host */
#define LIMIT_JOIN	       16	   /* members that are joined by */
#define LIMIT_JOIN_BYTES       264	   /* "host:port", NUL included */
#define LIMIT_ETCD_ENDPOINTS   8
#define LIMIT_ENGINES	       16
#define LIMIT_NAME	       128   /* bytes of a stack, network, container or service name, NUL included */
#define LIMIT_ID	       80    /* bytes of a host id, container id, network id, NUL included */
#define LIMIT_PROBLEMS	       256   /* told in one state file */
#define LIMIT_AVOID	       16    /* routes that a host tells for a VNI */
#define LIMIT_ALIASES	       32    /* of a container on one network */
#define LIMIT_DNS	       8     /* name servers that a container was given */
#define LIMIT_LISTEN	       8     /* addresses of NAMES_LISTEN */
#define LIMIT_NAMES_PER_STACK  4096  /* that are announced or answered */
#define LIMIT_NAMES	       65536 /* in all */
#define LIMIT_NAME_ADDRESSES   64    /* of one name */
#define LIMIT_GROUP_RANGES     16    /* of one network's label */
#define LIMIT_HIDE	       32    /* prefixes of MULTICAST_HIDE */
#define LIMIT_MDNS_TYPES       16    /* the same */
#define LIMIT_MDNS_TYPE	       24    /* "_googlecast._tcp": 15 letters at most (RFC 6335), and what is around them */
#define LIMIT_GROUPS	       64    /* of a stack, that are told to other hosts */
#define EPOCHS		       16    /* of a router container, see struct inv_stack */

#endif
