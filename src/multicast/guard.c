/* SPDX-License-Identifier: Apache-2.0
 *
 * Two tables of fixed size, in sets of four: the least recently used of a set makes room.
 */
#include "multicast/guard.h"

#define WAYS	4
#define WORDS	512 /* sets */
#define BUCKETS 128
#define ONCE_US (900 * USEC_PER_MSEC) /* who means it asks again after a second, RFC 6762 section 5.2 */
#define KEEP_US (10 * USEC_PER_SEC)

const char *const guard_verdict_names[GUARD_VERDICT_N_] = {
	"pass",
	"copy of what we sent",
	"copy of what was said a moment ago",
	"the same too often",
	"too many from there",
};

/* What was said */
struct words {
	uint64_t hash;	/* 0: free */
	uint32_t leg;	/* where it was heard first */
	struct ip from; /* by whom; a program that is started again has another port */
	int64_t heard, passed, sent, muted_until;
	int64_t tokens_us; /* a second each */
	uint32_t legs[GUARD_LEGS];
	uint8_t n_legs;
	bool everywhere;
};

/* A token bucket */
struct rate {
	uint64_t key;
	int64_t at, tokens_us; /* a datagram costs a second divided by the rate */
};

struct guard {
	struct guard_config conf;
	struct words words[WORDS][WAYS];
	struct rate rates[BUCKETS][WAYS];
};

struct guard *guard_new(const struct guard_config *conf)
{
	struct guard *g = xcalloc(1, sizeof(*g));

	g->conf = *conf;
	return g;
}

void guard_free(struct guard *g)
{
	free(g);
}

uint64_t guard_hash(const struct guard *g, uint64_t part, const void *data, size_t len)
{
	uint64_t hash = hash64(data, len, g->conf.seed ^ hash64(&part, sizeof(part), 0));

	return hash ? hash : 1;
}

/* --- rates --- */

static bool take(struct guard *g, int64_t now, uint64_t key, unsigned rate, unsigned burst)
{
	struct rate *set = g->rates[key % BUCKETS], *r = &set[0];
	int64_t cost = USEC_PER_SEC / (rate ? rate : 1), full = cost * (burst ? burst : 1);

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].key == key) {
			r = &set[i];
			break;
		}
		if (set[i].at < r->at)
			r = &set[i];
	}
	if (r->key != key)
		*r = (struct rate){.key = key, .at = now, .tokens_us = full};
	if (now > r->at)
		r->tokens_us = now - r->at > full ? full : r->tokens_us + now - r->at;
	if (r->tokens_us > full)
		r->tokens_us = full;
	r->at = now;
	if (r->tokens_us < cost)
		return false;
	r->tokens_us -= cost;
	return true;
}

bool guard_rate(struct guard *g, mono_t now, uint32_t leg, const struct ip *from)
{
	uint64_t source = guard_hash(g, leg, from->b, sizeof(from->b)), whole = guard_hash(g, leg, "leg", 3);

	/* first the source: one that talks too much must not use up its leg's share */
	return take(g, now.us, source, g->conf.source_rate, g->conf.source_burst) &&
	       take(g, now.us, whole, g->conf.leg_rate, g->conf.leg_burst);
}

/* --- words --- */

/* The words' place: where they are, or where they would be */
static struct words *words_place(struct guard *g, uint64_t hash)
{
	struct words *set = g->words[hash % WORDS], *w = &set[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].hash == hash)
			return &set[i];
		if (set[i].heard < w->heard)
			w = &set[i];
	}
	return w;
}

/* NULL: not said lately */
static struct words *words_find(struct guard *g, int64_t now, uint64_t hash)
{
	struct words *w = words_place(g, hash);

	return w->hash == hash && now - w->heard <= KEEP_US ? w : NULL;
}

static struct words *words_new(struct guard *g, int64_t now, uint64_t hash)
{
	struct words *w = words_place(g, hash);

	*w = (struct words){.hash = hash, .heard = now, .tokens_us = GUARD_REPEATS * USEC_PER_SEC};
	return w;
}

static bool was_sent(const struct words *w, uint32_t leg)
{
	if (w->everywhere && leg != w->leg)
		return true;
	for (size_t i = 0; i < w->n_legs; i++)
		if (w->legs[i] == leg)
			return true;
	return false;
}

/* Is it said too often? */
static bool words_muted(struct words *w, int64_t now)
{
	int64_t full = GUARD_REPEATS * USEC_PER_SEC;

	if (w->muted_until > now)
		return true;
	w->tokens_us += now - w->heard;
	if (w->muted_until || w->tokens_us > full)
		w->tokens_us = full;
	w->muted_until = 0;
	if (w->tokens_us < USEC_PER_SEC) {
		w->muted_until = now + GUARD_MUTE_US;
		return true;
	}
	w->tokens_us -= USEC_PER_SEC;
	return false;
}

enum guard_verdict guard_heard(struct guard *g, mono_t now, uint32_t leg, const struct endpoint *from,
			       enum guard_kind kind, uint64_t hash)
{
	struct words *w = words_find(g, now.us, hash);
	bool author = w && w->leg == leg && !ip_cmp(&w->from, &from->ip);
	int64_t last = w ? w->passed : 0;

	/* copies first: they must not use up anybody's rate */
	if (w && was_sent(w, leg) && now.us - w->sent < GUARD_ECHO_US) {
		w->heard = now.us;
		return GUARD_ECHO;
	}
	if (w && now.us - last < (kind == GUARD_ONCE ? ONCE_US : GUARD_ECHO_US) &&
	    (kind == GUARD_ONCE || (kind == GUARD_UNIQUE && !author))) {
		w->heard = now.us;
		return GUARD_DUPLICATE;
	}
	/* and the rate before anything is remembered: a flood must not make us forget */
	if (!guard_rate(g, now, leg, &from->ip))
		return GUARD_RATE;
	if (!w)
		w = words_new(g, now.us, hash);
	bool muted = words_muted(w, now.us);

	w->heard = now.us;
	if (muted)
		return GUARD_MUTED;
	if (!author && (!last || now.us - last >= GUARD_ECHO_US)) {
		/* said anew: what was long ago is forgotten */
		w->leg = leg;
		w->from = from->ip;
		w->n_legs = 0;
		w->everywhere = false;
	}
	w->passed = now.us;
	return GUARD_PASS;
}

void guard_sent(struct guard *g, mono_t now, uint32_t leg, uint64_t hash)
{
	struct words *w = words_find(g, now.us, hash);

	if (!w)
		w = words_new(g, now.us, hash);
	w->sent = now.us;
	if (was_sent(w, leg))
		return;
	if (w->n_legs < GUARD_LEGS)
		w->legs[w->n_legs++] = leg;
	else
		w->everywhere = true;
}
