/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Names
 *
 * What we say: the names of each stack of ours are a set with a number (seq), sent as NAMES datagrams (wire_names.h)
 *
 *	a set has changed          to the group, three times as an ANNOUNCE, and once more some seconds later; at once,
 *	                           but a large set that changes again and again waits a moment in between
 *	each announce interval     to the group, once; an empty set only for EMPTY_ROUNDS intervals: whoever heard none
 *	                           of them has forgotten us
 *	a RESPONSE is sent         to the asker, behind it; by the group as well where the answer is
 *
 * Sets of several hundred datagrams are dealt out in steps, so that receivers' buffers hold them, and small ones pass
 * large ones. Receivers allow names more than other datagrams, but only to hosts that they know (NAMES_RATE).
 *
 * What we hear: a set counts only when all of its parts have come, and then replaces the one before; parts that were
 * lost come with the repetitions. It is believed of a known peer at its own address. Which of its addresses lie in
 * subnets of that stack is looked at when names are exported, since subnets change on their own.
 *
 *	nothing --parts--> partial --all of them--> heard --peer gone, GOODBYE, no NAMES for two timeouts--> nothing
 *	                      |  PARTIAL_US: dropped, and the host is asked for all it has
 *	                      v
 *	                   nothing
 */
#ifndef DISCOVERY_NAMES_H
#define DISCOVERY_NAMES_H

#include "discovery/wire_names.h"
#include "state/names.h"

struct core;
struct core_now;
struct source;

#define NAMES_RATE	       1000 /* datagrams per second that one host may send, and be sent by the group */
#define NAMES_BURST	       4096
#define NAMES_ANSWER_RATE      250 /* that are sent to one address alone */
#define NAMES_ANSWER_BURST     1024
#define LIMIT_NAMES_PER_SOURCE (LIMIT_NAMES / 4)

struct names_state;

struct names_state *names_state_new(void);
void names_state_free(struct names_state *s);

/* --- what we say --- */

/** names_online() - There is somebody to be and an address to be it at, or it is another one: say all */
void names_online(struct core *core, int64_t now_us);
/** names_again() - All sets of ours to the group once more, at @at_us */
void names_again(struct core *core, int64_t at_us);
/** names_interval() - The announce interval is over */
void names_interval(struct core *core, int64_t now_us);
/** names_answer() - All sets of ours to @to */
void names_answer(struct core *core, const struct endpoint *to);

/* --- what we hear --- */

/** names_admit() - May it send names at this rate? To be asked of an address only that has peers */
bool names_admit(struct source *from, int64_t now_us);
void names_datagram(struct core *core, struct core_now now, const struct endpoint *from, const char *data, size_t len);
/** names_peer_changed() - Its subnets or its host's name are others now */
void names_peer_changed(struct core *core, uint32_t place);
/** names_peer_gone() - Before the entry is buried */
void names_peer_gone(struct core *core, uint32_t place);

/** names_feed_begin(), names_feed_end() - As core_feed_begin(), core_feed_end(); @bit is the feed's */
void names_feed_begin(struct core *core, uint8_t bit);
void names_feed_end(struct core *core, int64_t now_us, uint8_t bit);

void names_timer(struct core *core, struct core_now now);
int64_t names_due(const struct core *core);
/** names_start() - The file is there from the start, also when it holds nothing */
void names_start(struct core *core);
/** names_changed() - Has anything changed since it was last asked? */
bool names_changed(struct core *core);

#endif
