/* SPDX-License-Identifier: Apache-2.0
 *
 * The role's one struct, for the files that are the role: main.c (start, files, end), role_links.c (interfaces to
 * legs), role_relay.c (packets to cores and back), role_copies.c (what the kernel copies) and role_state.c
 * (multicast.json).
 */
#ifndef MULTICAST_ROLE_H
#define MULTICAST_ROLE_H

#include "io/broker.h"
#include "multicast/advertise.h"
#include "multicast/groups.h"
#include "multicast/links.h"
#include "multicast/mdns.h"
#include "multicast/proxy.h"
#include "multicast/ssdp.h"
#include "multicast/starts.h"
#include "multicast/wire.h"
#include "state/config.h"
#include "state/identity.h"
#include "state/multicast.h"

#define RULES_US      (1 * USEC_PER_MSEC)
#define MDB_QUIET_US  (10 * USEC_PER_MSEC)
#define LOOK_RETRY_US (500 * USEC_PER_MSEC) /* what could not be opened is tried again */
#define WRITE_US      (200 * USEC_PER_MSEC) /* of a change that people look for */
/* of listeners, whom other hosts wait for: so many times at once, then at this pace */
#define WRITE_GROUPS	     50
#define WRITE_GROUPS_EACH_US (250 * USEC_PER_MSEC)
#define WRITE_COUNT_US	     (30 * USEC_PER_SEC) /* of counters alone: home servers boot from SD cards */

/* Numbers of one leg */
struct tally {
	uint32_t leg;
	uint64_t heard, sent;
	struct {
		const char *why;
		uint64_t n;
	} drops[LIMIT_MC_DROPS];
	size_t n_drops;
};

/* A container on a leg, as it was when it was seen: another start of it is another one */
struct seen {
	uint32_t leg;
	uint64_t start;
};

struct role {
	uv_loop_t loop;
	struct config config;
	struct state_dir dir;
	struct inventory inventory;
	struct discovery discovery; /* only where a label needs it */
	bool have_inventory, bad_inventory, looked;
	bool mdb_known;		       /* what bridges say was read, */
	int64_t mdb_read_us;	       /* and when */
	struct multicast_state before; /* what the run before us left: its legs and groups; emptied as it is used */
	bool kept;		       /* it stands in the file, and is better than nothing */
	mono_t started;
	struct nl *dumps, *events;
	struct wire *wire;
	struct proxy *proxy;
	struct ssdp *ssdp;
	struct mdns *mdns;
	struct groups *groups;
	struct broker *broker; /* NULL: nobody started us, groups are not routed */
	struct buf rules;      /* that the kernel has, as far as we know */
	bool rules_known, rules_asked, ways_asked;
	char rules_error[200];
	size_t rules_left_out, ways_left_out;
	struct buf ways;      /* those of reach.h that the kernel refused, */
	char ways_error[200]; /* and why; they are tried again when they differ */
	struct advertise advertise;
	uint32_t advertise_leg; /* the LAN where that is */
	bool all_open;		/* every leg that is wanted: a route that is not among them is no more */
	struct links links;	/* in use */
	uint32_t last_leg;
	struct tally *tallies; /* of the links, at the same index */
	size_t cap_tallies;
	struct problems problems, told; /* now, and those that were logged */
	uint64_t written;		/* hash of what multicast.json says, without counters */
	bool write_failed;
	struct mc_actions of_ssdp, of_mdns;
	struct timer *look, *due, *write, *mdb, *rules_timer;
	int64_t write_at_us;
	uint64_t told_changes; /* groups_changes() that are in the file, or will be */
	int64_t told_us;       /* when the next one would be due at the permitted rate */
	struct starts starts;
	struct seen *seen; /* sorted */
	size_t n_seen;
	size_t devices; /* when there was last something to do */
	struct dirwatch *watch;
	struct sigwatch *signals[3];
};

/* Callbacks get the role as @arg */

/** role_look_soon() - Interfaces or networks may have changed; role_on_look() is the look */
void role_look_soon(struct role *r);
void role_on_look(void *arg);
void role_on_link_event(void *arg, const struct nlmsghdr *nlh);
void role_on_link_lost(void *arg);

/** role_starts() - Look for what has started since the last time */
void role_starts(struct role *r);

/** role_tally() - NULL: no such leg */
struct tally *role_tally(struct role *r, uint32_t leg);
/** role_drop() - A packet of @leg was dropped for @why, a literal */
void role_drop(struct role *r, uint32_t leg, const char *why);
/** role_actions() - Carry out what the cores have asked for, and set the timer that they want */
void role_actions(struct role *r);
void role_on_due(void *arg);
void role_on_packet(void *arg, const struct mc_packet *p);
void role_on_bad(void *arg, uint32_t leg, const char *why);
void role_on_gmp(void *arg, uint32_t leg, int family, const uint8_t *packet, size_t len);
void role_on_gmp_send(void *arg, uint32_t leg, const struct ip *dst, const uint8_t *packet, size_t len);
mc_map_fn role_on_map;
bool role_on_same(void *arg, uint32_t leg, const struct ip *a, const struct ip *b);

/** role_rules_soon() - The rules may have to be others; role_on_rules() sees */
void role_rules_soon(struct role *r);
void role_on_rules(void *arg);
void role_on_mdb(void *arg);
/** role_advertise() - Tell the LAN the ways to routed networks, where that is wanted; later it sends what is due */
void role_advertise(struct role *r);
bool role_advertises(const struct role *r); /* is there something to tell or to take back? Then the LAN is needed */
void role_advertise_end(struct role *r, const struct link *l); /* the leg is about to be left */
/** role_solicited() - Somebody on the LAN asks for routers, with that packet */
void role_solicited(struct role *r, uint32_t leg, const uint8_t *packet, size_t len);
/** role_adopt() - A leg that is new: who listened there before we were started */
void role_adopt(struct role *r, const struct link *l);

/** role_write_soon() - multicast.json differs, and is written within @delay_us */
void role_write_soon(struct role *r, int64_t delay_us);
void role_on_write(void *arg);

#endif
