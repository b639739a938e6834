/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of gossip, shared by the files that it is made of and by nobody else:
 *
 *	gossip.c          events, the timer, leaving
 *	gossip_book.c     ids and addresses, each once
 *	gossip_members.c  the table, and what an update does to it
 *	gossip_suspect.c  suspicions and their time
 *	gossip_facts.c    facts, ours and those of members
 *	gossip_queue.c    what is to be told, and what rides on a datagram; actions
 *	gossip_probe.c    PING, PING_REQ, local health, dead members
 *	gossip_sync.c     streams: joining, comparing
 *
 * Durations are chosen for: a crash known to 20 members within 2 s, and no false alarm in an hour at 10 % loss.
 */
#ifndef DISCOVERY_GOSSIP_STATE_H
#define DISCOVERY_GOSSIP_STATE_H

#include "discovery/gossip_book.h"
#include "discovery/gossip_wire.h"

/* A probe costs a member three wake-ups (its timer, the ACK, the PING of another): 12 a second. memberlist: 1 s */
#define PROBE_US (250 * USEC_PER_MSEC)
/* The ACK is waited for by what the network is known to need, within these */
#define ACK_MIN_US (100 * USEC_PER_MSEC)
#define ACK_MAX_US USEC_PER_SEC
/* Others and the stream are given this much of the time of an ACK more; NACKs come before that */
#define INDIRECT_PERCENT 150
#define NACK_PERCENT	 110
#define INDIRECTS	 3 /* Lifeguard, memberlist: 3 */
#define HEALTH_MAX	 8
/* A suspicion that CONFIRMS others share lasts the first, times log10 of the members; that nobody shares so much
 * longer. memberlist: 4 times its second, and 6 */
#define SUSPECT_MIN_US	   (400 * USEC_PER_MSEC)
#define SUSPECT_ALONE_US   USEC_PER_SEC /* at least, where there is nobody who could share it */
#define SUSPECT_MAX_FACTOR 6
#define CONFIRMS	   3
#define CONFIRMERS	   5			 /* so many are to probe a suspect at once, on average */
#define SUSPECT_REPROBE_US (200 * USEC_PER_MSEC) /* the suspect is told so by who suspects it, again and again */
/* News go to FANOUT members at once, and then each interval until they were told RETELL times log10 of the members.
 * memberlist: 3 each 200 ms, 4 times */
#define GOSSIP_US    (40 * USEC_PER_MSEC)
#define FANOUT	     3
#define RETELL	     4
#define RETELL_FACT  3
#define LEVELS	     24
#define LEAVE_DIRECT 32			  /* a member that leaves tells so many itself, */
#define LEAVE_TIMES  3			  /* so many times, */
#define LEAVE_US     (40 * USEC_PER_MSEC) /* and waits so long between them */
/* Each dead member is pinged by somebody about as often; a single member does so no more often than the second */
#define RETRY_US     (2 * USEC_PER_SEC)
#define RETRY_MIN_US (500 * USEC_PER_MSEC)
#define AWAY_S	     5	 /* so long deaths that a member tells who came back from the dead are not believed */
#define LEFT_S	     600 /* so long it is remembered that somebody has left, against old news */
/* Joining: again after the first, doubled up to the second; while others are known, each third. A PING goes beside the
 * stream, since a connection whose first packet is lost takes a second; a stream that is not open by then is given up
 * for another one */
#define JOIN_MIN_US   (300 * USEC_PER_MSEC)
#define JOIN_PING_US  (80 * USEC_PER_MSEC)
#define JOIN_MAX_US   (5 * USEC_PER_SEC)
#define JOIN_CHECK_US (15 * USEC_PER_SEC)
/* Sums: one that differs counts two, one that is equal takes one away; at the limit two members compare */
#define DIFFER_LIMIT 12
#define DIFFER_US                                                                                           \
	(8 * USEC_PER_SEC) /* differences so far apart are no news under way: somebody is missing something \
			    */
#define DIFFER_MAX_US (60 * USEC_PER_SEC) /* and so far apart they have nothing to do with each other */
#define SYNC_PAUSE_US (USEC_PER_SEC)	  /* between two that we begin, times log10 of the members */
#define SYNC_NEWS     64		  /* what a stream tells is told on, unless it is more than that */
/* Members are told that somebody thinks them dead by so many datagrams at once and so many a second, whoever says so
 * and by however many streams. Who is not told is told when tables are compared again, if it is still needed */
#define LOST_BURST	512
#define LOST_PER_S	128
#define FRAME_FILL	32768 /* a frame of records */
#define STREAMS		64
#define STREAMS_OWN	16
#define STREAM_US	(10 * USEC_PER_SEC)
#define STREAM_PROBE_US (2 * USEC_PER_SEC)
#define PROBES		32
#define RELAYS		64
/* Datagrams of who is no member are answered so often a second, in all */
#define STRANGERS_PER_S 64
#define STRANGERS_BURST 64
#define NONE		UINT32_MAX

struct fact {
	struct fact *next;
	uint64_t key, seq;
	uint32_t update; /* NONE: not to be told */
	uint16_t len;
	uint8_t data[];
};

/** struct node - A member, at the number of its id in the book: half a line of the cache, since there may be 16,384,
 * and in the simulation as many times more. All zero but status NODE_FREE: nobody
 */
struct node {
	uint64_t incarnation;
	struct fact *facts;
	uint32_t update; /* place in updates[], NONE: nothing to be told */
	/* alive: when it came back from the dead, s, or 0; GOSSIP_SUSPECT: place in suspicions[]; dead or left: since
	 * when, s */
	uint32_t since;
	uint16_t live; /* place in live[], BOOK_NONE: is not there */
	uint16_t address;
	uint8_t status;
};

#define NODE_FREE GOSSIP_STATUS_N_

struct suspicion {
	uint64_t by[GOSSIP_ACCUSERS]; /* hashes of who shares it */
	int64_t start_us;
	uint32_t deadline_us, reprobe_us; /* behind start_us; reprobe: NONE: it is not ours */
	uint16_t node;
	uint8_t n_by;
};

struct update {
	struct fact *fact;
	uint32_t next, prev;
	uint16_t node;
	uint8_t level; /* how often it was told */
};

struct level {
	uint32_t first, last;
};

enum probe_kind {
	PROBE_ROUND,
	PROBE_EXTRA, /* of a suspect, not in its turn: says nothing about our health */
	PROBE_LOST,  /* of whom somebody thinks dead: when it fails both are right */
	PROBE_QUIET  /* nobody is accused when it fails */
};

struct probe {
	struct gossip_id target;
	uint32_t number, stream; /* stream: 0 none */
	uint8_t nacks_wanted, nacks;
	bool indirect; /* others were asked */
	enum probe_kind kind;
	uint64_t incarnation; /* of the target, when it began */
	int64_t sent_us, next_us, deadline_us;
};

struct relay {
	struct gossip_id target;
	struct endpoint to; /* who asked */
	uint32_t number, their_number;
	bool nacked;
	int64_t nack_us, end_us;
};

enum stream_kind { STREAM_JOIN, STREAM_SYNC, STREAM_PROBE, STREAM_IN };

struct stream {
	uint32_t number, probe;
	enum stream_kind kind;
	uint8_t join; /* which one of joins[] */
	bool ready, greeted, sending, heard_last, closing, ack;
	uint32_t ack_number;
	uint8_t buckets[GOSSIP_BUCKETS / 8];
	uint32_t cursor;     /* the node whose records come next */
	struct gossip_id at; /* who that was, and the fact of it that comes next */
	uint64_t fact_key;
	bool fact_at;
	uint32_t news;
	int64_t end_us;
};

struct join {
	struct endpoint to;
	bool own;		 /* it is ourselves */
	uint32_t stream, number; /* of the PING beside it */
	int64_t next_us, pause_us;
	int64_t ping_us; /* it is said again then; INT64_MAX: no more */
};

struct gossip {
	struct gossip_id id;
	uint64_t random;
	bool started, leaving, stopped;
	struct gossip_book *book;
	struct node *nodes;
	size_t n_nodes, cap_nodes; /* free ones included */
	size_t n_used;
	uint32_t self;
	uint16_t *live; /* members alive or suspected, in the order of the round */
	size_t n_live, cap_live, round;
	size_t n_dead, n_left, n_facts;
	uint64_t sums[GOSSIP_BUCKETS], sum;
	struct suspicion *suspicions;
	size_t n_suspicions, cap_suspicions;
	int64_t suspicion_us; /* no deadline is before this */
	/* what is to be told */
	struct update *updates;
	size_t n_updates, cap_updates, n_queued;
	uint32_t free_update;
	struct level levels[2][LEVELS]; /* members, facts */
	int64_t news_us;		/* not before this */
	uint8_t leave_left;
	/* probes */
	unsigned health;
	int64_t probe_us, retry_us, srtt_us, rttvar_us;
	int64_t retry_permille;
	uint32_t number;
	struct probe probes[PROBES];
	size_t n_probes;
	struct relay *relays;
	size_t n_relays, cap_relays;
	int64_t stranger_us, lost_us; /* for gossip_allow() */
	/* streams */
	struct join joins[GOSSIP_JOINS];
	size_t n_joins;
	struct stream **streams;
	size_t n_streams, cap_streams, n_own;
	uint32_t stream_number;
	unsigned differ;
	int64_t differ_us; /* the first difference of those that count together */
	int64_t sync_us;   /* not before this */
	int64_t expire_us;
	/* what comes out */
	struct gossip_action *actions; /* data: an offset into bytes while it is queued */
	size_t action_head, n_actions, cap_actions;
	struct buf bytes;
	uint64_t counts[GOSSIP_COUNT_N_];
};

static inline bool gossip_id_eq(const struct gossip_id *a, const struct gossip_id *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline bool node_lives(const struct node *n)
{
	return n->status <= GOSSIP_SUSPECT;
}

/* --- gossip.c --- */

uint64_t gossip_random(struct gossip *g);
int64_t gossip_jitter(struct gossip *g, int64_t low_us, int64_t high_us);
/** gossip_scale() - @us times log10 of the members, at least @us */
int64_t gossip_scale(const struct gossip *g, int64_t us);
/** gossip_allow() - One more of what is bounded to @burst at once and @per_s a second? @bucket_us: 0 in the beginning
 */
bool gossip_allow(int64_t *bucket_us, int64_t now_us, unsigned per_s, unsigned burst);
/** gossip_news() - Take the updates of a message of a stream (or NULL) or a datagram */
void gossip_take(struct gossip *g, int64_t now_us, struct gossip_reader r, uint32_t sender, struct stream *s);

/* --- gossip_members.c --- */

uint32_t node_find(const struct gossip *g, const struct gossip_id *id); /* or NONE */
const struct gossip_id *node_id(const struct gossip *g, uint32_t n);	/* good until the next one is added */
struct endpoint node_address(const struct gossip *g, uint32_t n);
bool node_address_is(const struct gossip *g, uint32_t n, const struct endpoint *e);
void node_set_address(struct gossip *g, uint32_t n, const struct endpoint *e);
void node_tell(const struct gossip *g, uint32_t n, struct gossip_member *ret);
/** node_random() - One of live[], or NONE */
uint32_t node_random(struct gossip *g);
/** members_init() - Ourselves */
void members_init(struct gossip *g, const struct endpoint *address, uint64_t incarnation);
void members_done(struct gossip *g);
/** members_sum() - Something with hash @h appears in the bucket of @n, or is no more */
void members_sum(struct gossip *g, uint32_t n, uint64_t h, bool add);
/** Each: has it told us something? @s: the stream that it came by, or NULL */
bool member_alive(struct gossip *g, int64_t now_us, const struct gossip_update *u, struct stream *s);
bool member_suspect(struct gossip *g, int64_t now_us, const struct gossip_update *u);
/** member_was_away() - Is it dead for us, or was a moment ago? */
bool member_was_away(const struct gossip *g, int64_t now_us, uint32_t n);
/** member_gone_by() - Somebody says DEAD of another one; @away: member_was_away() before he said so */
bool member_gone_by(struct gossip *g, int64_t now_us, const struct gossip_update *u, bool away);
bool member_gone(struct gossip *g, int64_t now_us, const struct gossip_id *id, uint64_t incarnation,
		 enum gossip_status status);
/** member_lost() - The sender thinks it dead: it is not believed, but the member is told */
bool member_lost(struct gossip *g, int64_t now_us, const struct gossip_update *u);
/** member_proven() - @n itself has spoken with that incarnation */
void member_proven(struct gossip *g, int64_t now_us, uint32_t n, uint64_t incarnation);
/** member_refute() - Somebody thinks us gone, or somewhere else, as of @incarnation */
void member_refute(struct gossip *g, int64_t now_us, uint64_t incarnation, bool was_dead);
void members_expire(struct gossip *g, int64_t now_us);
/** node_update() - What is to be told about it */
void node_update(const struct gossip *g, uint32_t n, struct gossip_update *ret);

/* --- gossip_suspect.c --- */

/** suspicion_add() - Begin, or share one. Return: was it news? */
bool suspicion_add(struct gossip *g, int64_t now_us, uint32_t n, const uint64_t *by, size_t n_by, bool ours);
void suspicion_end(struct gossip *g, uint32_t n);
void suspicion_timer(struct gossip *g, int64_t now_us);

/* --- gossip_facts.c --- */

uint64_t fact_hash(const struct gossip_id *id, const struct fact *f);
/** fact_take() - Return: was it news? */
bool fact_take(struct gossip *g, int64_t now_us, const struct gossip_update *u, struct stream *s);
void facts_drop(struct gossip *g, uint32_t n);
/** facts_tell() - Tell all of ours anew */
void facts_tell(struct gossip *g, int64_t now_us);
void fact_update(const struct gossip *g, uint32_t n, const struct fact *f, struct gossip_update *ret);

/* --- gossip_queue.c --- */

/** queue_node() - Tell what is known of @n; queue_fact() - a fact of it */
void queue_node(struct gossip *g, int64_t now_us, uint32_t n);
void queue_fact(struct gossip *g, int64_t now_us, uint32_t n, struct fact *f);
void queue_drop(struct gossip *g, uint32_t *update);
/** queue_fill() - As many of the updates as fit; @not: about that node nothing, or NONE */
void queue_fill(struct gossip *g, struct gossip_writer *w);
void queue_init(struct gossip *g);
void queue_timer(struct gossip *g, int64_t now_us);
/** message_begin(), message_send() - One of ours; @w is on a buffer of GOSSIP_DATAGRAM */
void message_begin(struct gossip *g, struct gossip_writer *w, void *data, enum gossip_type type, uint32_t number,
		   const struct gossip_id *target);
void message_send(struct gossip *g, const struct endpoint *to, const struct gossip_writer *w);
struct gossip_action *action_push(struct gossip *g, enum gossip_action_kind kind, const void *data, size_t len);

/* --- gossip_probe.c --- */

/** probe_start() - PING @n, if that is not being done, and there are not too many */
void probe_start(struct gossip *g, int64_t now_us, uint32_t n, enum probe_kind kind);
void probe_datagram(struct gossip *g, int64_t now_us, const struct gossip_head *h, const struct endpoint *from,
		    uint32_t sender);
/** probe_acked() - By a stream or a datagram */
void probe_acked(struct gossip *g, int64_t now_us, const struct gossip_id *by, uint32_t number, bool direct);
void probe_timer(struct gossip *g, int64_t now_us);
int64_t probe_due(const struct gossip *g);
void health_change(struct gossip *g, int by);

/* --- gossip_sync.c --- */

uint32_t sync_open_probe(struct gossip *g, int64_t now_us, uint32_t n, uint32_t number);
/** sync_at() - Compare with who is at @to, if that was not done with anybody a moment ago */
void sync_at(struct gossip *g, int64_t now_us, const struct endpoint *to);
/** sync_with() - The same with member @n */
void sync_with(struct gossip *g, int64_t now_us, uint32_t n);
/** sync_sum() - @n told its sum */
void sync_sum(struct gossip *g, int64_t now_us, uint32_t n, uint64_t sum);
void sync_timer(struct gossip *g, int64_t now_us);
int64_t sync_due(const struct gossip *g);
/** joins_set() - As gossip_join() */
void joins_set(struct gossip *g, int64_t now_us, const struct endpoint *join, size_t n);
/** join_acked() - @number: of a PING to somebody whom we join; he is a member now, if he said who he is */
void join_acked(struct gossip *g, uint32_t number);
void sync_done(struct gossip *g);

#endif
