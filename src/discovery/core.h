/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The discovery protocol
 *
 * A state machine without socket, clock or random source: events go in, actions come out. The role (main.c) and the
 * tests' virtual network both drive it in the same way:
 *
 *	core_datagram(), core_timer(), core_stacks(), ...    then core_next_action() until it says false,
 *	                                                     then a timer for core_due()
 *
 * What goes over the wire:
 *
 *	start, first stack, new address   QUERY to the group, names one of our stacks, so that who hears it knows us
 *	a stack is new or has changed     ANNOUNCE to the group
 *	a stack has gone, stop            GOODBYE to the group
 *	each announce interval +-10 %     ANNOUNCE to the group, once, of every stack
 *	a QUERY is heard                  RESPONSE with all our stacks, to the asker's own address and port; and an
 *	                                  ANNOUNCE to the group a moment later, at most every 5 s, unless the site is
 *	                                  large: something may stand between the asker and what is sent to it alone
 *	an ANNOUNCE of an unknown host    RESPONSE likewise: it may have missed ours
 *
 * Those to the group are sent three times: at once, 40-120 ms later, 200-500 ms after that. A RESPONSE is never
 * answered, so nothing goes round in circles. To the group means: to the multicast group, when there is one, and to
 * every address of core_unicast(). A host without stacks says nothing, and listens.
 *
 * Sequence numbers are of the sending host, one more with each change. What is older than what is known is ignored,
 * unless its host was not heard for two announce intervals.
 *
 * A host that suddenly speaks from another address has moved, or somebody takes its name. So the old address is asked
 * first: when it answers within CLAIM_US the claim is refused, else the new one is believed and asked for all it has.
 *
 *	heard ----3/4 of the timeout---> stale ----timeout---> gone          GOODBYE: gone at once
 */
#ifndef DISCOVERY_CORE_H
#define DISCOVERY_CORE_H

#include "base/clock.h"
#include "base/log.h"
#include "discovery/wire.h"
#include "state/config.h"
#include "state/discovery.h"
#include "state/names.h"

struct core;

/** struct core_now - The time of an event */
struct core_now {
	mono_t mono;
	wall_t wall;
};

struct core_config {
	char host_id[HOST_ID_LEN + 1], host_name[WIRE_HOST_NAME]; /* host_name: name_valid(), or "" */
	char modes[64];						  /* for the file */
	uint16_t vxlan_port, discovery_port;
	int64_t announce_us, timeout_us;
	bool multicast;		      /* the group is in use; else all goes to single addresses */
	bool goodbye;		      /* say it when told to stop */
	bool sealed;		      /* what comes and goes is sealed: WireGuard may be spoken of */
	const struct endpoint *peers; /* of the mode static; copied */
	size_t n_peers;
	enum mapping mapping;
	uint8_t feeds;		   /* a bit for each enum feed that is in use */
	struct prefix reserved[2]; /* SHADOW_POOL: pools that are used inside every host: no peer may have them; len 0:
				      none */
	uint64_t random;	   /* what random numbers are made from */
};

struct core *core_new(const struct core_config *config);
void core_free(struct core *core);

/** struct local_stack - A stack of ours, to be announced */
struct local_stack {
	char stack_id[LIMIT_NAME];
	uint32_t vni;
	struct ip uplink;
	uint8_t epoch;
	size_t n_subnets;
	struct prefix subnets[LIMIT_SUBNETS];
	size_t n_groups;
	struct prefix groups[LIMIT_GROUPS]; /* that somebody in it listens to, of those that go over the overlay */
};

/** struct core_addresses - Where we are */
struct core_addresses {
	struct ip host_ip;    /* what is sent from, or none: nothing can be sent */
	uint16_t port;	      /* that is sent from, or 0 */
	const struct ip *own; /* all addresses of this host */
	size_t n_own;
	const struct prefix *underlay; /* networks of the interfaces that lead to peers: no subnet may overlap them */
	size_t n_underlay;
};

/* --- events --- */

/** core_load() - Before core_start(): who was known when the file was written. Of our stacks only what they were mapped
 * to */
void core_load(struct core *core, struct core_now now, const struct discovery *d);
/** core_names_load() - After core_load(): the names of who is known */
void core_names_load(struct core *core, struct core_now now, const struct names *n);
void core_start(struct core *core, struct core_now now);
/** core_stop() - Say GOODBYE, or not; ACTION_STOPPED follows */
void core_stop(struct core *core, struct core_now now);
/** core_stacks() - The stacks that we have now: compared with what we had */
void core_stacks(struct core *core, struct core_now now, const struct local_stack *stacks, size_t n);
/** core_names() - The names of all our stacks: compared with what we had; takes the contents of those that changed */
void core_names(struct core *core, struct core_now now, struct name_stack *stacks, size_t n);
void core_addresses(struct core *core, struct core_now now, const struct core_addresses *addresses);
/** core_wireguard() - What is told of our WireGuard device, if datagrams are sealed; key "": there is none */
void core_wireguard(struct core *core, struct core_now now, const struct wg_say *w);
/** core_sealed() - Discovery has a key now, or has none any more. What was half heard before is forgotten */
void core_sealed(struct core *core, struct core_now now, bool sealed);
bool core_is_sealed(const struct core *core);
/** core_routes() - Routes of this host that are neither ours nor a default route, in any order */
void core_routes(struct core *core, struct core_now now, const struct prefix *routes, size_t n);
/** core_datagram() - @by_group: it was sent to the multicast group, not to us alone. @data may be cut off by the socket
 */
void core_datagram(struct core *core, struct core_now now, const struct endpoint *from, bool by_group, const char *data,
		   size_t len);

/* --- feeds: sources of peers beside datagrams, see feed.c --- */

enum feed { FEED_ETCD, FEED_GOSSIP, FEED_DNS, FEED_N_ };

/**
 * core_feed_put() - A feed has this peer, or has it with another content
 * Return: 0, also when something newer is known from elsewhere; -EINVAL with @err: it cannot be a peer
 */
int core_feed_put(struct core *core, struct core_now now, enum feed feed, const struct peer *peer,
		  struct err *err) MUST_USE;
/** core_feed_drop() - It has it no more: the peer is gone, unless another feed has it or it is heard by datagrams */
void core_feed_drop(struct core *core, struct core_now now, enum feed feed, const struct peer *key);
/**
 * core_feed_begin(), core_feed_end() - What is put in between is all that the feed has; the others are dropped
 * @grace_us: they stay so long, if nobody else tells of them
 */
void core_feed_begin(struct core *core, enum feed feed);
void core_feed_end(struct core *core, struct core_now now, enum feed feed, int64_t grace_us);
/** core_feed_seen() - The feed answers: what it has is as good as heard just now */
void core_feed_seen(struct core *core, struct core_now now, enum feed feed);

/**
 * core_feed_names() - A feed has these names of a peer that it has too: all of them; takes the contents of @names
 * @key: host_id, stack_id, vni
 */
void core_feed_names(struct core *core, struct core_now now, enum feed feed, const struct peer *key, uint64_t seq,
		     struct name_stack *names);
/** core_feed_names_drop() - It has none of it any more. Those that are not put between begin and end are dropped too */
void core_feed_names_drop(struct core *core, struct core_now now, enum feed feed, const struct peer *key);

typedef void core_self_fn(void *arg, const struct peer *peer);
/** core_self() - Our stacks as others are to see them; none while there is no address. @peer is borrowed */
void core_self(const struct core *core, struct core_now now, core_self_fn *fn, void *arg);
typedef void core_self_names_fn(void *arg, const struct name_stack *names, uint64_t seq);
/** core_self_names() - The names of those, as far as they have any; borrowed */
void core_self_names(const struct core *core, core_self_names_fn *fn, void *arg);
/** core_self_version() - Another number each time that core_self() or core_self_names() has changed */
uint64_t core_self_version(const struct core *core);

/** core_found() - Hosts that are to be spoken to alone beside the configured ones: all of them. Who is new is asked */
void core_found(struct core *core, struct core_now now, const struct endpoint *hosts, size_t n);

void core_timer(struct core *core, struct core_now now);
/** core_due() - When core_timer() wants to be called, INT64_MAX: not at all */
int64_t core_due(const struct core *core);

/* --- actions --- */

enum action_kind {
	ACTION_SEND_GROUP, /* data to the group, and to all of core_unicast() */
	ACTION_SEND,	   /* data to @to */
	ACTION_CHANGED,	   /* the file has to be written soon */
	ACTION_NAMES,	   /* names.json has to be written soon */
	ACTION_LOG,
	ACTION_STOPPED, /* all that had to be said is said */
	ACTION_KIND_N_
};

struct action {
	enum action_kind kind;
	struct endpoint to;
	char *data;
	size_t len;
	/* ACTION_LOG; about and why may be NULL */
	enum log_level level;
	const char *text; /* a literal */
	const char *key;  /* what about is: a literal */
	char *about, *why;
	uint64_t held; /* lines of this kind that were kept back before it */
};

/** core_next_action() - Take the next one out. @ret is good until the next call of any core function */
bool core_next_action(struct core *core, struct action *ret);

typedef void core_unicast_fn(void *arg, const struct endpoint *to);
/** core_unicast() - Who is spoken to alone: the configured peers, and hosts that speak to us so and not by multicast */
void core_unicast(const struct core *core, core_unicast_fn *fn, void *arg);

/* --- what is known --- */

/** core_export() - For the file, sorted. It borrows from the core until the next event; end with core_export_done() */
void core_export(struct core *core, struct core_now now, struct discovery *ret);
void core_export_done(struct discovery *d);

/** core_names_export() - The names that peers tell, for the file, sorted; names_done() when no longer needed */
void core_names_export(struct core *core, struct core_now now, struct names *ret);

/** core_touched() - Was anybody heard since the last core_export(), without anything else having changed? */
bool core_touched(const struct core *core);

enum core_count {
	COUNT_RECEIVED,
	COUNT_OWN,   /* our own, looped back */
	COUNT_SHAPE, /* no JSON object, too long, too deep */
	COUNT_VERSION,
	COUNT_FIELD,	/* a field is missing, of another type, out of range */
	COUNT_SENDER,	/* host_ip is not where it came from, or can be nobody's */
	COUNT_IDENTITY, /* our own host_id from elsewhere */
	COUNT_CLAIM,	/* another host's host_id from elsewhere */
	COUNT_RATE,	/* above the rate of one source */
	COUNT_FULL,	/* more peers than the bounds allow */
	COUNT_SUBNET,	/* subnets refused */
	COUNT_OLD,	/* older than what is known */
	COUNT_NAMES,	/* names refused: outside of their stack's subnets, or of nobody known */
	COUNT_PART,	/* parts that never met the others, or do not fit together */
	COUNT_CLEAR,	/* not sealed, and we have a key */
	COUNT_KEY,	/* sealed with a key that we do not have */
	COUNT_FORGED,	/* the seal does not fit */
	COUNT_AGAIN,	/* sealed, and heard before */
	COUNT_SKEWED,	/* sealed by who is not known yet, with another clock than ours */
	COUNT_N_
};
extern const char *const core_count_names[COUNT_N_];
/** core_counts() - COUNT_N_ numbers since the start */
const uint64_t *core_counts(const struct core *core);

#endif
