/* SPDX-License-Identifier: Apache-2.0
 *
 * What membership.c (groups, legs, actions) and membership_filter.c (one leg's state of one group) share.
 */
#ifndef MULTICAST_MEMBERSHIP_STATE_H
#define MULTICAST_MEMBERSHIP_STATE_H

#include "multicast/membership.h"

struct msource {
	struct ip ip;
	int64_t until; /* 0: blocked, in EXCLUDE */
	uint8_t ask;   /* queries still to send */
};

/** struct mentry - One leg's state of one group */
struct mentry {
	uint32_t leg;
	bool reported; /* the state below counts */
	bool exclude;
	int64_t until;		    /* the group's timer, in EXCLUDE */
	int64_t v1_until, v2_until; /* a host of that version was heard; MLDv1 is v2 here */
	struct ip reporter;
	struct msource *sources; /* in order */
	size_t n, cap;
	uint8_t ask; /* queries for the group still to send */
	int64_t ask_at;
	struct membership_filter *holds[MEMBERSHIP_ORIGIN_N_]; /* by filter_dup() */
};

/** struct mtimes - A leg's timing, worked out */
struct mtimes {
	int64_t member_us; /* group membership interval */
	int64_t last_us;   /* last member query interval */
	uint8_t last_count;
};

/**
 * mentry_record() - Apply one record (the tables of section 6.4)
 * @querier: queries may be sent
 * @room:    how many sources may be added, counted down
 * @lost:    counts sources that were not
 *
 * Return: did the wanted sources change?
 */
bool mentry_record(struct mentry *e, int64_t now, const struct mtimes *t, bool querier, uint8_t version,
		   const struct gmp_record *r, size_t *room, uint64_t *lost);
/** mentry_query() - Somebody else's query for this group lowers timers */
void mentry_query(struct mentry *e, int64_t now, int64_t last_us, const struct gmp_message *q);
/** mentry_expire() - Return: did the wanted sources change? */
bool mentry_expire(struct mentry *e, int64_t now);
/** mentry_due() - The next moment at which something happens */
int64_t mentry_due(const struct mentry *e);
/** mentry_filter() - What is wanted, by reports and holds together */
void mentry_filter(const struct mentry *e, struct membership_filter *ret);
bool mentry_wants(const struct mentry *e, const struct ip *source);
/** mentry_is_empty() - Neither reported nor held */
bool mentry_is_empty(const struct mentry *e);
void mentry_done(struct mentry *e);

/** filter_dup() - A copy only as long as its sources: it may be read and freed, but not be assigned from */
struct membership_filter *filter_dup(const struct membership_filter *f);
/** filter_copy() - Of one that is whole or by filter_dup(), into a whole one */
void filter_copy(struct membership_filter *into, const struct membership_filter *f);
/** filter_merge() - @into: what either wants (RFC 3376 section 3.2); what does not fit counts as any source */
void filter_merge(struct membership_filter *into, const struct membership_filter *other);
bool filter_equal(const struct membership_filter *a, const struct membership_filter *b);
bool filter_wants(const struct membership_filter *f, const struct ip *source);

#endif
