/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of etcd.h, shared by the state machine (etcd.c) and its part about our own stacks (etcd_records.c).
 */
#ifndef DISCOVERY_ETCD_STATE_H
#define DISCOVERY_ETCD_STATE_H

#include "discovery/etcd.h"
#include "discovery/etcd_wire.h"

enum ask { ASK_NOTHING, ASK_LOGIN, ASK_GRANT, ASK_ALIVE, ASK_PROBE, ASK_TXN, ASK_PAGE, ASK_REVOKE };

#define REFUSED_MAX 8

/** struct record - A stack of ours at etcd, or its names */
struct record {
	char *key, *value; /* the value in clear */
	size_t n_left_out; /* names that are not in it */
	uint64_t seq;
	bool put;   /* is there, as far as is known */
	bool gone;  /* has to be deleted */
	bool asked; /* is in the transaction under way */
	bool kept;  /* was seen since etcd_self_begin() */
	int64_t not_before_us;
};

/** struct refused - A host whose values cannot be opened */
struct refused {
	char host_id[HOST_ID_LEN + 1], key_id[KEY_ID_LEN + 1];
	enum seal_verdict why;
};

struct etcd {
	struct etcd_config config;
	struct etcd_events events;
	uint64_t random;
	struct record *records;
	size_t n_records, cap_records;
	struct buf body, watch_body;
	/* requests */
	enum ask asked;
	size_t endpoint;
	unsigned failures, heeded; /* in a row: failures; refusals that were answered by another request */
	int64_t retry_us;
	char token[ETCD_TOKEN_BYTES];
	bool no_login; /* etcd knows no users */
	int64_t lease, alive_us /* next keep-alive */, good_us /* the last good answer; INT64_MIN: none yet */;
	bool was_down, stopping, stopped;
	/* listing and watch */
	bool listed, listing;
	unsigned page;	       /* keys of one page: fewer where values are long */
	int64_t grace_us;      /* of the next listing */
	int64_t page_revision; /* 0: the first page comes */
	struct buf page_after;
	int64_t revision; /* all up to it is known */
	bool watching, watch_stop;
	int64_t watch_since_us, watch_retry_us;
	unsigned watch_failures;
	/* seals: by a bit for each key of the ring: who else's first one is it; found by the listing under way */
	struct value_keys keys;
	uint32_t used, used_now;
	struct refused refused[REFUSED_MAX];
	size_t n_refused;
	/* for people */
	enum ask problem_ask;
	unsigned leaderless; /* failures, when a member said that there is no leader; 0: none did */
	char *problem;
	const char *cure;
	bool cloned;	      /* was said */
	int64_t put_revision; /* of our last transaction */
};

/** record_find() - By what stands behind the prefix in its key, or NULL */
struct record *record_find(const struct etcd *e, const char *key);
/** record_due() - Is it to be put or deleted now? */
bool record_due(const struct etcd *e, const struct record *r, mono_t now);
/** records_ask() - A transaction for those that are due, or some of them, into e->body */
void records_ask(struct etcd *e, mono_t now);
/** records_answered() - It was carried out; records_unask() - it was not */
void records_answered(struct etcd *e);
void records_unask(struct etcd *e);
/** records_lost() - The lease is gone, and they with it: all has to be put, nothing deleted */
void records_lost(struct etcd *e);
/** records_again() - All has to be put once more, as they are */
void records_again(struct etcd *e);
void records_done(struct etcd *e);

/* --- etcd_values.c --- */

/** value_put() - Append what is put for @r, sealed */
void value_put(const struct etcd *e, const struct record *r, struct buf *b);
/** value_told() - A key of somebody else, or of ours, has changed, or is listed */
void value_told(void *arg, const struct etcd_kv *kv);
/** values_listing(), values_listed() - A listing begins; it has ended */
void values_listing(struct etcd *e);
void values_listed(struct etcd *e);

/* --- etcd.c --- */

/** etcd_say() - A log line */
void etcd_say(struct etcd *e, enum log_level level, const char *text, const char *why);
/** etcd_list_anew() - List, then watch again; who is missing then may stay for @grace_us */
void etcd_list_anew(struct etcd *e, int64_t grace_us);

#define PUT_AGAIN_US USEC_PER_SEC /* what somebody deletes is not put again more often */

#endif
