/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Gossip
 *
 * Which hosts are members of the cluster, and what each of them tells, without a group, a server or a list: SWIM with
 * the three parts of Lifeguard. No socket, clock or random source: events go in, actions come out, as in core.h:
 *
 *	gossip_datagram(), gossip_timer(), ...    then gossip_next_action() until it says false,
 *	                                          then a timer for gossip_due()
 *
 *	every PROBE_US        PING to the next of all members, each once a round. No ACK in time: PING_REQ by three
 *others and a PING over a stream; still none: suspected suspected             told to all, and to the member itself
 *with each PING; who hears it probes it too, with a chance that leaves about five of them. Each that agrees shortens
 *the time that it has refutation            the member counts its incarnation up and says so; the higher incarnation is
 *always right dead                  suspected for too long. It is pinged for ever, so that a partition of any length
 *heals left                  said by the member itself, at once local health          who misses answers himself is
 *slower to accuse others
 *
 * Updates ride on all datagrams, and on datagrams of their own right after a change. What they miss is found by a sum
 * of all that is known, which every datagram carries: where sums keep differing, two members compare over a stream.
 * While nothing happens nothing is sent but probes.
 *
 * What a member tells of itself are facts: bytes with a key and a sequence number, the newest wins, an empty one says
 * that it is no more. The facts of a member that is gone are gone.
 *
 * A stream is a connection that carries whole frames in order; the driver cuts them. Frames come one at a time: the
 * next is made when gossip_stream_ready() says that there is room.
 */
#ifndef DISCOVERY_GOSSIP_H
#define DISCOVERY_GOSSIP_H

#include "base/addr.h"
#include "base/clock.h"

#define GOSSIP_ID_BYTES	   16
#define GOSSIP_FRAME_BYTES 65536 /* the longest frame, either way */
#define GOSSIP_FACT_BYTES  1400	 /* one that does not fit into a datagram goes by streams alone */
#define GOSSIP_MEMBERS	   16384 /* in all, dead ones included */
#define GOSSIP_HOST_FACTS  1024	 /* of one member */
#define GOSSIP_FACTS	   65536 /* in all */
#define GOSSIP_JOINS	   16

struct gossip;

/** struct gossip_id - Who: the bytes of the host_id */
struct gossip_id {
	uint8_t b[GOSSIP_ID_BYTES];
};

enum gossip_status { GOSSIP_ALIVE, GOSSIP_SUSPECT, GOSSIP_DEAD, GOSSIP_LEFT, GOSSIP_STATUS_N_ };
extern const char *const gossip_status_names[GOSSIP_STATUS_N_];

struct gossip_member {
	struct gossip_id id;
	struct endpoint address;
	uint64_t incarnation;
	enum gossip_status status;
};

struct gossip_book;

struct gossip_config {
	struct gossip_id id;
	struct endpoint address;     /* ours, as others reach it */
	uint64_t incarnation;	     /* of the start: wall clock seconds do well; a lower one than before is mended */
	uint64_t random;	     /* what random numbers are made from */
	const struct endpoint *join; /* copied; the first GOSSIP_JOINS */
	size_t n_join;
	struct gossip_book *book; /* shared with other cores of this thread; NULL: one of its own */
};

/** gossip_book_new() - A book of ids and addresses for several cores; freed when they and who made it have freed it */
struct gossip_book *gossip_book_new(uint64_t random);
void gossip_book_free(struct gossip_book *b);

struct gossip *gossip_new(const struct gossip_config *config);
void gossip_free(struct gossip *g);

/* --- events --- */

/** gossip_load() - Before gossip_start(): a member known from an earlier run. It is believed until it misses probes */
void gossip_load(struct gossip *g, mono_t now, const struct gossip_id *id, const struct endpoint *address,
		 uint64_t incarnation);
void gossip_start(struct gossip *g, mono_t now);
/** gossip_leave() - Tell all; ACTION GOSSIP_STOPPED follows a moment later */
void gossip_leave(struct gossip *g, mono_t now);
/** gossip_join() - Other addresses to be joined by; those that were there before go on as they were */
void gossip_join(struct gossip *g, mono_t now, const struct endpoint *join, size_t n);
/** gossip_address() - We are reached at another address now */
void gossip_address(struct gossip *g, mono_t now, const struct endpoint *address);
/**
 * gossip_fact() - Tell a fact of ours, or that it is no more (@len 0)
 * @key: names it among ours
 *
 * Its sequence number is the module's own. Return: 0; -E2BIG longer than GOSSIP_FACT_BYTES; -ENOSPC too many
 */
int gossip_fact(struct gossip *g, mono_t now, uint64_t key, const void *data, size_t len) MUST_USE;
void gossip_datagram(struct gossip *g, mono_t now, const struct endpoint *from, const void *data, size_t len);
void gossip_timer(struct gossip *g, mono_t now);
/** gossip_due() - When gossip_timer() wants to be called, INT64_MAX: not at all */
int64_t gossip_due(const struct gossip *g);

/** gossip_stream_accept() - Somebody opened a stream to us. Return: its number, or 0: close it */
uint32_t gossip_stream_accept(struct gossip *g, mono_t now, const struct endpoint *from);
/** gossip_stream_ready() - The stream is open, or its last frame has left: another may follow */
void gossip_stream_ready(struct gossip *g, mono_t now, uint32_t stream);
void gossip_stream_frame(struct gossip *g, mono_t now, uint32_t stream, const void *data, size_t len);
/** gossip_stream_closed() - By the other side, or it could not be opened. Not called after GOSSIP_STREAM_CLOSE */
void gossip_stream_closed(struct gossip *g, mono_t now, uint32_t stream);

/* --- actions --- */

enum gossip_action_kind {
	GOSSIP_SEND,	     /* data to @to */
	GOSSIP_STREAM_OPEN,  /* stream to @to */
	GOSSIP_STREAM_SEND,  /* data as one frame */
	GOSSIP_STREAM_CLOSE, /* after what was sent */
	GOSSIP_UP,	     /* member is new, or back, or has moved */
	GOSSIP_DOWN,	     /* member is dead or has left; its facts go with it */
	GOSSIP_FACT,	     /* data is a fact of member; len 0: it is no more */
	GOSSIP_STOPPED,
	GOSSIP_ACTION_KIND_N_
};

struct gossip_action {
	enum gossip_action_kind kind;
	struct endpoint to;
	uint32_t stream;
	const void *data;
	size_t len;
	uint64_t key;
	struct gossip_member member;
};

/** gossip_next_action() - Take the next one out. It is good until the next call of any function but this one */
bool gossip_next_action(struct gossip *g, struct gossip_action *ret);

/* --- what is known --- */

typedef void gossip_member_fn(void *arg, const struct gossip_member *m);
/** gossip_members() - All but ourselves */
void gossip_members(const struct gossip *g, gossip_member_fn *fn, void *arg);
bool gossip_find(const struct gossip *g, const struct gossip_id *id, struct gossip_member *ret);
/** gossip_fact_of() - A fact of a member; NULL: there is none. Good until the next event */
const void *gossip_fact_of(const struct gossip *g, const struct gossip_id *id, uint64_t key, size_t *ret_len);
/** gossip_incarnation() - Ours */
uint64_t gossip_incarnation(const struct gossip *g);
/** gossip_alive() - How many are alive or suspected, ourselves included */
size_t gossip_alive(const struct gossip *g);
/** gossip_sum() - Equal where the same members with the same facts are alive */
uint64_t gossip_sum(const struct gossip *g);
/** gossip_health() - 0: well; up to 8: we miss answers and are patient */
unsigned gossip_health(const struct gossip *g);
/** gossip_bytes() - What is allocated, about */
size_t gossip_bytes(const struct gossip *g);

enum gossip_count {
	GOSSIP_COUNT_RECEIVED,
	GOSSIP_COUNT_SENT,
	GOSSIP_COUNT_BAD,      /* refused by the parser */
	GOSSIP_COUNT_STRANGER, /* datagrams of nobody known, above their rate */
	GOSSIP_COUNT_FULL,     /* members, facts or streams beyond the bounds */
	GOSSIP_COUNT_SUSPECTED,
	GOSSIP_COUNT_REFUTED, /* how often we had to */
	GOSSIP_COUNT_SYNC,    /* streams that compared */
	GOSSIP_COUNT_N_
};
extern const char *const gossip_count_names[GOSSIP_COUNT_N_];
const uint64_t *gossip_counts(const struct gossip *g);

#endif
