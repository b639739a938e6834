/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of names.h, shared by what says (names_say.c) and what hears (names.c).
 */
#ifndef DISCOVERY_NAMES_STATE_H
#define DISCOVERY_NAMES_STATE_H

#include "discovery/core_state.h"
#include "discovery/names.h"

#define STEP_NAMES	   32 /* datagrams at once, and the time to the next ones: a receiver has room for some 180 */
#define STEP_NAMES_US	   (2 * USEC_PER_MSEC)
#define TURN_NAMES	   8 /* datagrams of one set before it is another one's turn */
#define LIMIT_NAME_ANSWERS 512
#define LARGE_NAMES	   512 /* more than this are told twice after a change, not three times */
#define GROUP_RATE	   (NAMES_RATE * 3 / 4)
#define GROUP_BURST	   (NAMES_BURST * 3 / 4)
#define EMPTY_ROUNDS	   4
#define LATE_LOW_US	   (2 * USEC_PER_SEC) /* a change of few names is told once more after this */
#define LATE_HIGH_US	   (3 * USEC_PER_SEC)
/* After a change of a set the next waits so long, and longer the more datagrams it takes */
#define CHANGE_US	    (5 * USEC_PER_MSEC)
#define CHANGE_PART_US	    500
#define CHANGE_MAX_US	    (150 * USEC_PER_MSEC)
#define LIMIT_NAME_PARTIALS 64
#define ASK_PAUSE_US	    (10 * USEC_PER_SEC) /* between two questions to a host whose parts got lost */
#define CHECK_US	    (1 * USEC_PER_SEC)	/* addresses outside of all subnets are told only after that */

/** struct own - The names of a stack of ours, and what is still to be said of them */
struct own {
	struct name_stack names;
	uint64_t seq;
	int64_t changed_us;   /* when the last change was or is told first */
	uint8_t empty_rounds; /* that an empty set is still told of by itself */
	bool fresh;	      /* its first round since the change is not over */
	uint8_t left;	      /* rounds to the group, the next at send_us */
	bool late;	      /* and one more, some time behind them */
	int64_t send_us;
	bool going; /* a round is under way, next_part the next of it */
	size_t next_part;
	/* encoded, while somebody is sent it */
	struct ip host_ip;
	struct buf text;
	size_t *ends, n_parts, cap_ends;
	size_t last_parts; /* when it was encoded last */
};

/** struct own_answer - A set under way to one address */
struct own_answer {
	struct endpoint to;
	struct own *own;
	uint64_t seq;
	size_t next_part;
};

/** struct heard - The names of a peer; its place among the entries is the index */
struct heard {
	struct name_stack names; /* key and names; no host_name */
	size_t n_addresses;
	uint64_t seq;
	int64_t heard_us, check_us; /* check_us 0: was checked */
	uint8_t fed, fed_again;	    /* as in struct entry */
};

struct names_partial {
	struct name_stack names; /* unsorted, of all parts so far */
	size_t n_addresses;
	struct endpoint from;
	uint64_t seq;
	uint16_t parts, n_have;
	int64_t since_us;
	uint8_t have[WIRE_NAMES_PARTS / 8];
};

struct names_state {
	bool changed;
	/* what we say */
	struct own **own;
	size_t n_own, cap_own;
	struct own_answer *answers;
	size_t n_answers, cap_answers;
	size_t turn; /* whose it is */
	int64_t step_us;
	struct bucket group;
	/* what we hear */
	struct heard **heard;
	size_t n_heard, cap_heard; /* places */
	size_t n_names, n_addresses;
	struct names_partial *partials[LIMIT_NAME_PARTIALS];
	size_t n_partials;
	int64_t ask_us;	  /* nobody is asked before */
	int64_t check_us; /* the next check, INT64_MAX: none */
	int64_t scan_us;  /* who tells no names any more is looked for then */
};

/** names_message() - What is said of the names of a stack of ours; it borrows them */
void names_message(const struct core *core, const struct own *o, struct wire_names *m);
/** names_entry() - The peer at @place, or NULL: there is none */
struct entry *names_entry(struct core *core, uint32_t place);
/** names_heard() - What is kept of it, or NULL. names_heard_drop() - nothing any more */
struct heard *names_heard(struct core *core, uint32_t place);
void names_heard_drop(struct core *core, uint32_t place);
/** names_take() - A whole set of the peer at @place; takes the names. @from: whom to refuse */
void names_take(struct core *core, int64_t now_us, const struct endpoint *from, uint32_t place, uint64_t seq,
		struct name_stack *names);
void say_timer(struct core *core, struct core_now now);
int64_t say_due(const struct core *core);
void say_done(struct names_state *s);

#endif
