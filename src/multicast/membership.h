/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Who listens where
 *
 * For each leg and group, which sources somebody there wants: the router's side of IGMPv3 and MLDv2 (RFC 3376 section
 *6, RFC 3810 section 7), with hosts of older versions beside them. And for each leg, what all others of its domain want
 * together: that is asked for there (RFC 4605, but any leg may be the upstream of the others).
 *
 *	membership_report(), membership_hold(), ...   then membership_next_action() until it says false,
 *	                                              then a timer for membership_due()
 *
 * Pure: no socket, clock or random number. A leg is a number that the driver chose, and keeps over a new ifindex if it
 * likes. Only routable groups are kept; what stays on a link is a relay's business.
 *
 *	INCLUDE(sources)           each with a timer; none left: nobody listens
 *	EXCLUDE(wanted, blocked)   all but the blocked; the group's timer turns it into INCLUDE(wanted)
 *
 * A leave is believed after nobody answered a query to the group, sent only where we are the querier; where another is,
 * his query lowers the timers (section 6.6.1).
 */
#ifndef MULTICAST_MEMBERSHIP_H
#define MULTICAST_MEMBERSHIP_H

#include "multicast/gmp.h"

#define MEMBERSHIP_LEGS		   256
#define MEMBERSHIP_RANGES	   32	/* permitted groups of one leg */
#define MEMBERSHIP_GROUPS	   4096 /* of all legs together: pairs of leg and group */
#define MEMBERSHIP_GROUPS_PER_LEG  1024
#define MEMBERSHIP_GROUPS_PER_HOST 256
#define MEMBERSHIP_SOURCES	   16384 /* of all groups together */

struct membership;

/** struct membership_timing - RFC 3376 section 8; zeroes are the RFC's values */
struct membership_timing {
	uint8_t robustness;	/* 2 */
	int64_t interval_us;	/* 125 s */
	int64_t response_us;	/* 10 s */
	int64_t last_member_us; /* 1 s */
};

struct membership_leg {
	uint32_t id;		     /* not 0 */
	uint32_t domain;	     /* groups are exchanged among legs of the same */
	bool upstream;		     /* say here what the others want */
	const struct prefix *ranges; /* permitted groups, copied, the first MEMBERSHIP_RANGES; none: all */
	size_t n_ranges;
	struct membership_timing timing;
};

/** struct membership_filter - Sources of a group that are wanted; INCLUDE without any: the group is not */
struct membership_filter {
	bool exclude;
	size_t n;
	struct ip sources[GMP_SOURCES]; /* in order */
};

enum membership_origin {
	MEMBERSHIP_LABEL, /* wanted always */
	MEMBERSHIP_MDB,	  /* a bridge says so */
	MEMBERSHIP_ORIGIN_N_
};

struct membership *membership_new(void);
void membership_free(struct membership *m);

/* --- events --- */

/** membership_leg_set() - A leg is there, or differs now. Return: 0; -ENOSPC; -EINVAL id 0 */
int membership_leg_set(struct membership *m, mono_t now, const struct membership_leg *leg) MUST_USE;
/** membership_leg_remove() - All that was heard there is forgotten; nothing is asked there any more */
void membership_leg_remove(struct membership *m, mono_t now, uint32_t leg);
/** membership_querier() - Are we the querier there? Not, as long as nobody says so */
void membership_querier(struct membership *m, mono_t now, uint32_t leg, uint8_t family, bool us);
/** membership_heard() - A report, or somebody else's query, came in on @leg */
void membership_heard(struct membership *m, mono_t now, uint32_t leg, const struct gmp_message *message);
/**
 * membership_hold() - Listeners that are known in another way than by reports, until the next call for them
 * @filter: NULL: no more
 *
 * Return: 0; -ENOENT no such leg; -EINVAL no routable group; -EPERM not permitted there; -ENOSPC too many
 */
int membership_hold(struct membership *m, mono_t now, uint32_t leg, enum membership_origin origin,
		    const struct ip *group, const struct membership_filter *filter) MUST_USE;
/** membership_release() - No more of all that @origin held on @leg */
void membership_release(struct membership *m, mono_t now, uint32_t leg, enum membership_origin origin);
void membership_timer(struct membership *m, mono_t now);
/** membership_due() - When membership_timer() wants to be called, INT64_MAX: not at all */
int64_t membership_due(const struct membership *m);

/* --- actions --- */

enum membership_action_kind {
	MEMBERSHIP_QUERY,   /* ask on leg for group, of the sources when there are some; we are the querier */
	MEMBERSHIP_CHANGED, /* somewhere the listeners of group are others now: see membership_wants() */
	MEMBERSHIP_ASK,	    /* join, leave or filter group on leg, as filter says */
};

struct membership_action {
	enum membership_action_kind kind;
	uint32_t leg;
	struct ip group;
	const struct ip *sources; /* of a query */
	size_t n_sources;
	int64_t response_us; /* of a query */
	const struct membership_filter *filter;
};

/** membership_next_action() - Take the next one out. It is good until the next call of any function but this one */
bool membership_next_action(struct membership *m, struct membership_action *ret);

/* --- what is known --- */

/** membership_wants() - Does somebody on @leg want what @source sends to @group? @source NULL: any source at all */
bool membership_wants(const struct membership *m, uint32_t leg, const struct ip *group, const struct ip *source);
/** membership_permitted() - May the group be on that leg at all? */
bool membership_permitted(const struct membership *m, uint32_t leg, const struct ip *group);
/** membership_asked() - What is asked for on @leg now. Return: false: nothing */
bool membership_asked(const struct membership *m, uint32_t leg, const struct ip *group, struct membership_filter *ret);

/** struct membership_entry - One leg's listeners of one group, for the verbs */
struct membership_entry {
	uint32_t leg;
	struct ip group;
	struct ip reporter; /* who brought it; none: held only */
	uint8_t version;    /* of IGMP or MLD that is spoken there */
	unsigned origins;   /* bits 1 << enum membership_origin */
	int64_t until_us;   /* mono_t, when reports run out; 0: held only */
	struct membership_filter filter;
};
typedef void membership_entry_fn(void *arg, const struct membership_entry *e);
void membership_entries(const struct membership *m, membership_entry_fn *fn, void *arg);
/** membership_asks() - All that is asked for on @leg, to report it */
typedef void membership_ask_fn(void *arg, const struct ip *group, const struct membership_filter *filter);
void membership_asks(const struct membership *m, uint32_t leg, membership_ask_fn *fn, void *arg);

enum membership_count {
	MEMBERSHIP_COUNT_RECORDS,
	MEMBERSHIP_COUNT_REFUSED,    /* no group to report */
	MEMBERSHIP_COUNT_LOCAL,	     /* groups that stay on their link */
	MEMBERSHIP_COUNT_UNLABELLED, /* not among the permitted groups of the leg */
	MEMBERSHIP_COUNT_HOST_FULL,
	MEMBERSHIP_COUNT_LEG_FULL,
	MEMBERSHIP_COUNT_FULL,
	MEMBERSHIP_COUNT_SOURCES, /* sources beyond the bounds */
	MEMBERSHIP_COUNT_N_
};
extern const char *const membership_count_names[MEMBERSHIP_COUNT_N_];
const uint64_t *membership_counts(const struct membership *m);

#endif
