/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Who asks on a leg
 *
 * A snooping switch forwards a group only as long as somebody's queries make the listeners repeat themselves. For one
 * leg and one family this says when to ask in general, and whether we are who does (RFC 3376 section 6.6.2, RFC 3810
 * section 7.6.2):
 *
 *	on     we ask, whoever else does
 *	auto   we listen for a while first; while somebody else asks, we do not. Of two that began at once the lower
 *	       address goes on; a higher one that does not give way is left alone. Who falls silent is replaced after
 *the time that his own queries promised off    never
 *
 * While listening on IPv4 one query is sent from 0.0.0.0: hosts answer it, no election hears it. While nobody asks at
 * all, our own groups are reported unasked, so that a switch goes on forwarding them.
 *
 * Pure. querier_heard(), querier_timer() ... then querier_next_action() until it says false, then a timer for
 * querier_due().
 */
#ifndef MULTICAST_QUERIER_H
#define MULTICAST_QUERIER_H

#include "multicast/gmp.h"

#define QUERIER_INTERVAL_US (125 * USEC_PER_SEC)
#define QUERIER_RESPONSE_US (10 * USEC_PER_SEC)
#define QUERIER_ROBUSTNESS  2
#define QUERIER_YIELD	    3 /* so many queries from a higher address, and we give way */

enum querier_mode { QUERIER_OFF, QUERIER_AUTO, QUERIER_ON, QUERIER_MODE_N_ };
extern const char *const querier_mode_names[QUERIER_MODE_N_];

enum querier_state {
	QUERIER_SILENT,	   /* off, or no address yet */
	QUERIER_LISTENING, /* is there somebody? */
	QUERIER_ASKING,	   /* it is us */
	QUERIER_OTHER,	   /* somebody else is */
	QUERIER_STATE_N_
};
extern const char *const querier_state_names[QUERIER_STATE_N_];

struct querier_config {
	enum querier_mode mode;
	uint8_t family;
	struct ip self;	     /* our address there; none: we cannot ask. IPv6: link-local */
	uint8_t robustness;  /* 0: QUERIER_ROBUSTNESS */
	int64_t interval_us; /* 0: QUERIER_INTERVAL_US */
	int64_t response_us; /* 0: QUERIER_RESPONSE_US; less than the interval */
	int64_t listen_us; /* of auto, 0: not at all, as on a bridge of our own; QUERIER_LISTEN: interval + response */
};
#define QUERIER_LISTEN (-1)

/** struct querier - In place; all zeroes is off */
struct querier {
	struct querier_config conf;
	enum querier_state state;
	struct ip other; /* who asks, in QUERIER_OTHER; or who asks beside us */
	uint8_t other_version;
	int64_t other_until; /* when he counts as gone */
	int64_t ask_at, report_at, listen_until;
	unsigned startup; /* queries still to send at the quicker pace */
	unsigned higher;  /* queries heard from higher addresses that should give way */
	bool send_query, send_anonymous, send_report, changed;
	uint64_t sent, heard;
};

/** querier_config() - Begin, or go on with other settings or another address */
void querier_config(struct querier *q, mono_t now, const struct querier_config *conf);
/** querier_heard() - Somebody's query, general or not. Our own are known by their source */
void querier_heard(struct querier *q, mono_t now, const struct gmp_message *message);
void querier_timer(struct querier *q, mono_t now);
/** querier_due() - When querier_timer() wants to be called, INT64_MAX: not at all */
int64_t querier_due(const struct querier *q);

enum querier_action {
	QUERIER_SEND,	  /* a general query from our address: querier_query() */
	QUERIER_SEND_ANY, /* the same from 0.0.0.0 */
	QUERIER_REPORT,	  /* report our own groups on the leg */
	QUERIER_CHANGED,  /* the state did: see querier_is_us() */
};
/** querier_next_action() - Return: false when there is none */
bool querier_next_action(struct querier *q, enum querier_action *ret);

/** querier_is_us() - May we ask for groups, and lower their timers? */
bool querier_is_us(const struct querier *q);
/** querier_query() - The general query to build */
struct gmp_query querier_query(const struct querier *q);

#endif
