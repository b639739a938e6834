/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the core, shared by the files that it is made of and by nobody else:
 *
 *	core.c      events, the timer, what is exported
 *	announce.c  what we say: own stacks, questions, answers
 *	names.h     names, both ways
 *	receive.c   what others say: checks, peers
 *	parts.c     messages in parts
 *	feed.c      peers of other sources: etcd, gossip
 *	facts.c     datagrams that a source carries for others
 *	subnets.c   which prefixes a peer may have
 *	clash.c     subnets that clash, and what ours are mapped to
 *	action.c    the queue of actions, log lines, problems, random numbers
 */
#ifndef DISCOVERY_CORE_STATE_H
#define DISCOVERY_CORE_STATE_H

#include "discovery/core.h"
#include "discovery/peers.h"

#define RESENDS			  3
#define CLAIM_US		  (250 * USEC_PER_MSEC)
#define CLAIM_ASK_US		  (100 * USEC_PER_MSEC) /* the old address is asked a second time after that */
#define CLAIM_PAUSE_US		  (10 * USEC_PER_SEC)	/* between two claims on one host */
#define LIMIT_CLAIMS		  64			/* looked into at the same time */
#define LIMIT_ANSWERS		  1024			/* put off at the same time */
#define LIMIT_PARTIALS		  64			/* peers whose parts are awaited */
#define LIMIT_PARTIALS_PER_SOURCE 8
#define PARTIAL_US		  (3 * USEC_PER_SEC)
#define LIMIT_NOTES		  32
#define NOTE_US			  (600 * USEC_PER_SEC)
#define LOG_PAUSE_US		  (10 * USEC_PER_SEC)  /* between two lines of one kind that strangers cause */
#define PEER_LINES_BURST	  256		       /* lines about peers that come and go: at once */
#define PEER_LINES_US		  (50 * USEC_PER_MSEC) /* and one more each */

/** struct local - A stack of ours and what is still to be said about it */
struct local {
	struct local_stack stack;
	/* what is announced, see mapping.h */
	struct prefix subnets[LIMIT_SUBNETS], avoid[LIMIT_AVOID];
	struct mapped mapped[LIMIT_SUBNETS];
	size_t n_subnets, n_mapped, n_avoid;
	int64_t moves_us; /* how often it moved lately: counted as in struct bucket */
	uint64_t seq;
	bool leaving; /* GOODBYEs are being sent; then it is forgotten */
	uint8_t left; /* datagrams to send, the next one at send_us */
	int64_t send_us;
};

struct answer {
	struct endpoint to;
	int64_t send_us;
};

/** struct partial - The parts of a message that came so far */
struct partial {
	struct wire_msg msg; /* of the first one that came, with the subnets of all */
	struct endpoint from;
	uint32_t have; /* bit part - 1 */
	int64_t since_us;
};

/** struct note - A problem that is told while it keeps occurring */
struct note {
	char *object, *cure, *text;
	int64_t until_us;
};

struct core {
	struct core_config config;
	struct endpoint *peers_config; /* config.n_peers of them: configured ones first, then those of core_found() */
	size_t n_peers_fixed;
	uint64_t random;
	bool started, stopping, stopped;
	/* addresses */
	struct ip host_ip;
	struct wg_say wireguard; /* ours */
	uint16_t port;
	struct ip *own;
	size_t n_own;
	struct prefix *underlay;
	size_t n_underlay;
	/* what we say */
	uint64_t seq; /* the highest that was given out */
	bool seq_known;
	bool online; /* there is somebody to be, and an address to be it at */
	struct local **locals;
	size_t n_locals, cap_locals;
	int64_t announce_us; /* next periodic announcement */
	uint8_t query_left;
	int64_t query_us;
	int64_t group_answer_us; /* the last answer by the group, or the next when that is still to come */
	struct answer *answers;
	size_t n_answers, cap_answers;
	/* what others say */
	struct peers peers;
	int64_t feed_seen_us[FEED_N_]; /* INT64_MIN: never */
	uint32_t claims[LIMIT_CLAIMS]; /* hosts */
	size_t n_claims;
	struct partial *partials[LIMIT_PARTIALS];
	size_t n_partials;
	/* clashes */
	struct prefix *routes; /* of this host */
	size_t n_routes;
	struct self_stack *loaded; /* what our stacks were mapped to before the restart */
	size_t n_loaded;
	bool clash_changed; /* something has, that clashes may follow from */
	int64_t clash_us;   /* and is not looked at before this */
	struct problems clash_problems;
	int64_t patience_us; /* after a sleep: nobody is called stale or gone before this */
	struct names_state *names;
	/* what comes out */
	struct action *actions;
	size_t action_head, n_actions, cap_actions; /* those before action_head are done */
	bool changed, touched;
	struct note notes[LIMIT_NOTES];
	size_t n_notes;
	struct log_limit limits[COUNT_N_];
	struct bucket peer_lines;
	uint64_t peer_lines_held;
	uint64_t counts[COUNT_N_];
};

/* --- action.c --- */

uint64_t core_random(struct core *core);
/** core_jitter() - Evenly between the two */
int64_t core_jitter(struct core *core, int64_t low_us, int64_t high_us);
void action_clear(struct action *a);
/** action_send() - @to: NULL: the group */
void action_send(struct core *core, const struct endpoint *to, const char *data, size_t len);
void action_stopped(struct core *core);
/** core_say() - A log line; takes @about and @why */
void core_say(struct core *core, enum log_level level, const char *text, char *about, char *why, uint64_t held);
/** core_say_stack() - The same about a stack of ours */
void core_say_stack(struct core *core, enum log_level level, const char *text, char *about, char *why);
/** core_say_peer() - The same about a peer that came or went, unless thousands do */
void core_say_peer(struct core *core, int64_t now_us, enum log_level level, const char *text, const struct peer *peer,
		   char *why);
/** core_refuse() - Count it, and say it unless it was said a moment ago. */
void core_refuse(struct core *core, int64_t now_us, enum core_count count, const struct endpoint *from, const char *fmt,
		 ...) PRINTF(5, 6);
/** core_note() - A problem to be told for the next ten minutes */
void core_note(struct core *core, int64_t now_us, const char *object, const char *cure, const char *fmt, ...)
	PRINTF(5, 6);
/** core_note_end() - It is none any more */
void core_note_end(struct core *core, const char *object, const char *fmt, ...) PRINTF(3, 4);
void notes_expire(struct core *core, int64_t now_us);
/** peer_text() - "shop@nas (192.0.2.7), vni 1000"; to be freed */
char *peer_text(const struct peer *peer);

/* --- announce.c --- */

/** announce_refresh() - Something about being online may have changed: start or stop to speak */
void announce_refresh(struct core *core, struct core_now now, bool moved);
void announce_stacks(struct core *core, struct core_now now, const struct local_stack *stacks, size_t n);
void announce_stop(struct core *core, struct core_now now);
/** announce_local() - Something of @l has changed: say it; @nth of those that do so at once */
void announce_local(struct core *core, struct local *l, size_t nth, int64_t now_us);
/** announce_query() - Ask the group, three times; announce_ask() - one address, once */
void announce_query(struct core *core, int64_t now_us);
void announce_ask(struct core *core, struct core_now now, const struct endpoint *to);
enum answer_kind {
	ANSWER_ALONE, /* to its address only */
	ANSWER_QUERY, /* and a moment later by the group: a firewall, or a neighbour entry with the MAC of a machine
			 that was there before, may keep the first from it */
	ANSWER_OLDER, /* and by the group at once: older programs hear nothing else */
};
/** announce_answer() - Tell one address all our stacks. @h: whose it is, or NULL: not known yet */
void announce_answer(struct core *core, struct core_now now, struct host *h, const struct endpoint *to,
		     enum answer_kind kind);
void announce_timer(struct core *core, struct core_now now);
int64_t announce_due(const struct core *core);
/** announce_message() - What is said of a stack of ours */
void announce_message(const struct core *core, const struct local *l, struct wire_msg *m);
/** announce_seq() - Never fall behind what we said before the restart: @seen of the file, or 0 */
void announce_seq(struct core *core, wall_t wall, uint64_t seen);

/* --- receive.c --- */

void receive_datagram(struct core *core, struct core_now now, const struct endpoint *from, bool by_group,
		      const char *data, size_t len);
void receive_load(struct core *core, struct core_now now, const struct discovery *d);
void receive_timer(struct core *core, struct core_now now);
int64_t receive_due(const struct core *core);

/** peer_full() - The bounds allow no more of @from: @code as of peers_add() */
void peer_full(struct core *core, int64_t now_us, int code, const struct endpoint *from);
/** peer_update() - Take over what the message says. Return: did anything but time and number change? */
bool peer_update(struct core *core, int64_t now_us, struct entry *e, struct wire_msg *m);
/** peer_follow() - After that: tell of it, and who depends on it. @new_peer: it was not known */
void peer_follow(struct core *core, int64_t now_us, uint32_t place, bool new_peer, bool changed);

/* --- feed.c --- */

/** feed_message() - core_feed_put() for what came as a message, whole, from wire_decode() */
int feed_message(struct core *core, struct core_now now, enum feed feed, struct wire_msg *m, struct err *err) MUST_USE;
/** feed_of() - What feeds tell of such a peer. Return: a bit, or 0 */
uint8_t feed_bit_of(const struct core *core, enum peer_source source);
/** feed_seen_us() - When a feed that has the entry last answered, or INT64_MIN */
int64_t feed_seen_us(const struct core *core, const struct entry *e);

/* --- parts.c --- */

/** message_unite() - Put a part to the others. Return: true when *m holds the whole */
bool message_unite(struct core *core, int64_t now_us, const struct endpoint *from, struct wire_msg *m);

/** parts_forget() - All that are open */
void parts_forget(struct core *core);
/** message_add() - Put the lists of @part to those of @whole. Return: false when they are too long */
bool message_add(struct wire_msg *whole, const struct wire_msg *part);

/* --- subnets.c --- */

/**
 * subnets_take() - Give a peer the subnets, mapped prefixes and routes to avoid of @m, as far as it may have them
 * @m:   is sorted, and what is refused taken out
 * @say: refusals are logged
 *
 * Return: has anything of the peer changed?
 */
bool subnets_take(struct core *core, int64_t now_us, struct entry *e, struct wire_msg *m, bool say);
/** groups_take() - Give a peer the groups of @m, as far as they are any. Return: have they changed? */
bool groups_take(struct peer *peer, struct wire_msg *m);
/** subnets_copy() - The lists of a peer into @m */
void subnets_copy(struct wire_msg *m, const struct peer *peer);
/** subnets_underlay() - Our own networks have changed: look at all subnets again */
void subnets_underlay(struct core *core, int64_t now_us);

/* --- clash.c --- */

/** clash_changed() - A stack, a peer or a route has: clash_settle() soon */
void clash_changed(struct core *core);
/** clash_load() - What our stacks were mapped to */
void clash_load(struct core *core, const struct discovery *d);
/** clash_local() - A stack of ours that is new: what the file says of it */
void clash_local(const struct core *core, struct local *l);
/** clash_settle() - Map our stacks, or move them, now, if anything has changed */
void clash_settle(struct core *core, struct core_now now);
void clash_timer(struct core *core, struct core_now now);
int64_t clash_due(const struct core *core);

#endif
