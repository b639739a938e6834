/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The role multicast
 *
 * One label on a network, and what is on the LAN and what is in containers find each other. Two ways, since there are
 * two kinds of multicast:
 *
 *	control (SSDP, mDNS)   a few packets a second that carry addresses. A relay: heard by packet sockets on the
 *LAN's interface and on the bridges, in front of every firewall; sent on from this host's own address on the other
 *side. HTTP that SSDP leads to passes a proxy, which puts addresses right. No namespace, no NIC, no route, no rule:
 *nothing on the host is changed. routable groups        streams. The kernel forwards (MFC), in a namespace of ours with
 *a NIC on the LAN and a leg in every bridge, where neither Docker's chains nor another multicast router are.
 *
 *	inventory.json --> legs.c: legs, desired --+--> ssdp.c, mdns.c   (pure) --> relay.c: packet and UDP sockets,
 *http.c netlink (links, addresses) --> actual -----+--> membership.c ... (pure) --> mroute.c: MRT socket, reports
 *
 * The seam between the pure cores and the I/O
 * -------------------------------------------
 * A *leg* is a link that multicast enters and leaves by: an interface on the LAN, or a Docker network's bridge. Its
 * number is never used for another again while the process runs: a bridge that is made anew is a new leg. Cores get
 * legs by X_leg_set() (new, or changed) and X_leg_remove(), packets by X_input(), time by X_timer(); all with `now`.
 * They fill a list of actions; the role carries them out in that order and empties it. A core never blocks, allocates
 * by xalloc only, and is bounded in all that strangers can cause.
 *
 * Packets that the role itself has sent are never fed in: packet sockets do not show them. Those of another router of
 * ours are; a core has to tell them.
 */
#ifndef MULTICAST_MULTICAST_H
#define MULTICAST_MULTICAST_H

#include "base/addr.h"
#include "base/clock.h"
#include "state/limits.h"

#define MC_LEGS	  256  /* of one host */
#define MC_RANGES 32   /* group ranges of one leg */
#define MC_DATA	  9000 /* bytes of a packet that is looked at; longer ones are counted and dropped by the role */

#define SSDP_PORT 1900
#define MDNS_PORT 5353

enum mc_want { MC_SSDP = 1, MC_MDNS = 2, MC_GROUPS = 4 };

/** struct mc_leg - What a core knows of a leg; copied by X_leg_set() */
struct mc_leg {
	uint32_t id;	       /* not 0 */
	bool lan;	       /* else a Docker network. The relays go between LAN and networks, never LAN to LAN */
	unsigned wants;	       /* enum mc_want: what the label asks for; of a LAN everything */
	char name[LIMIT_NAME]; /* of the interface or the network */
	struct ip ip4, ip6;    /* that we send from there; none: not this family. ip6 is link-local */
	struct ip ip6_wide;    /* one that is more than link-local, or none */
	const struct prefix *subnets; /* on that link; copied. What is not of them is not believed to come from there */
	size_t n_subnets;
	bool routed;				       /* the LAN reaches what it announces as it is */
	char types[LIMIT_MDNS_TYPES][LIMIT_MDNS_TYPE]; /* of mDNS that pass, lower case; none: all */
	size_t n_types;
	const struct prefix *ranges; /* of MC_GROUPS; copied. 224.0.0.0/4 and ff00::/8 for `all` */
	size_t n_ranges;
};

/** struct mc_packet - A UDP datagram that came in on a leg, addresses and checksum seen by the role */
struct mc_packet {
	uint32_t leg;
	uint32_t port; /* that mc_open() was asked for; 0: heard on the wire, sent to the group or to SSDP_PORT,
			  MDNS_PORT */
	struct endpoint src, dst; /* scope is 0; the leg says it */
	uint8_t ttl;
	const uint8_t *data;
	size_t len;
};

enum mc_action_kind {
	MC_SEND,  /* data to @dst on @leg, from our own address there and the source port @src_port; or, when @port is
		     not 0, from the socket that it stands for, which is opened when it is not there yet */
	MC_CLOSE, /* @port is no longer needed */
	MC_DROP,  /* a packet of @leg was dropped for @why: counted, and told by `groups` */
};

struct mc_action {
	enum mc_action_kind kind;
	uint32_t leg;
	uint32_t port;	   /* chosen by the core, unique among its own: a source port of its own for a search */
	uint16_t src_port; /* when @port is 0 */
	struct endpoint dst;
	uint8_t ttl; /* set, never passed on: 1 within a link, 2 for SSDP (UDA 2.0) */
	char *data;  /* of the list */
	size_t len;
	const char *why; /* a literal, few words: "answer to nobody's search" */
};

/** struct mc_actions - What a core wants done; filled by it, emptied by the role */
struct mc_actions {
	struct mc_action *v;
	size_t n, cap;
};

/** mc_send() - Append; @data is copied */
void mc_send(struct mc_actions *a, uint32_t leg, uint16_t src_port, const struct endpoint *dst, uint8_t ttl,
	     const void *data, size_t len);
/** mc_send_by() - The same from the socket @port */
void mc_send_by(struct mc_actions *a, uint32_t leg, uint32_t port, const struct endpoint *dst, uint8_t ttl,
		const void *data, size_t len);
void mc_close(struct mc_actions *a, uint32_t leg, uint32_t port);
/** mc_drop() - @why: a literal */
void mc_drop(struct mc_actions *a, uint32_t leg, const char *why);
/** mc_actions_clear() - Keeps the room; mc_actions_done() frees it too */
void mc_actions_clear(struct mc_actions *a);
void mc_actions_done(struct mc_actions *a);

/*
 * What the cores look like to the role. ssdp.h:
 *
 *	struct ssdp *ssdp_new(const struct ssdp_config *config, uint64_t random);
 *	void ssdp_free(struct ssdp *s);
 *	void ssdp_leg_set(struct ssdp *s, mono_t now, const struct mc_leg *leg, struct mc_actions *out);
 *	void ssdp_leg_remove(struct ssdp *s, mono_t now, uint32_t leg, struct mc_actions *out);
 *	void ssdp_input(struct ssdp *s, mono_t now, const struct mc_packet *p, struct mc_actions *out);
 *	void ssdp_timer(struct ssdp *s, mono_t now, struct mc_actions *out);
 *	int64_t ssdp_due(const struct ssdp *s);
 *	a walk over what is alive (leg, uuid or USN, location as announced, until, how often), for the state file
 *
 *	config: { mc_map_fn *map; void *arg; } for LOCATION. A device of a network announces http://172.30.0.2:8200/x
 *	from 172.30.0.2 (another host or a gateway in it: as it is, and counted); @map gives the endpoint by which the
 *	other leg reaches it, and the core writes that into LOCATION (and AL, SECURELOCATION's host is left alone).
 *
 * mdns.h: the same names with mdns_, without map; reflects to all legs of the other side, once.
 *
 * didl.h, the proxy's: one struct didl per connection, told inside and outside endpoint;
 *	int didl_request(struct didl *d, const void *data, size_t len, struct buf *out);   client -> server
 *	int didl_response(struct didl *d, const void *data, size_t len, struct buf *out);  server -> client
 *	int didl_response_end(struct didl *d, struct buf *out);                             server closed
 *	bytes in, bytes out, any cut; 0, or negative: close both. Host: of requests is put to the inside endpoint,
 *	http://INSIDE in XML bodies of replies and in Location: to the outside one, lengths put right; what is not XML
 *or longer than 4 MiB passes as it is, without being kept.
 */

/**
 * mc_map_fn - By which endpoint does @to reach TCP @inside of @from?
 * Return: false: as it is (it is reached without us, or there is no room: the role has counted that)
 */
typedef bool mc_map_fn(void *arg, uint32_t from, const struct endpoint *inside, uint32_t to,
		       struct endpoint *ret_outside);

#endif
