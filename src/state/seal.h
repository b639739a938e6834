/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Sealed datagrams
 *
 *	 0      1 version (SEAL_VERSION); what is not sealed begins with '{'
 *	 1..4   id of the key
 *	 5..20  host_id of who seals
 *	21..28  session: random, of the process that seals
 *	29..32  counter: one more with each datagram of the session
 *	33..36  time: seconds since 1970
 *	37..44  random
 *	45..    encrypted: 1 byte kind, what is sealed, 16 bytes that prove it all
 *
 * XChaCha20-Poly1305; bytes 21 to 44 are the nonce; 0 to 20 and the address it is sent from are bound in too, so that
 * nobody can say it again from elsewhere. Its key is derived from that of the ring, for this purpose. Numbers are
 * big-endian.
 *
 * Nothing is opened twice. A session that is known needs no clock: its counter goes up, and the last SEAL_WINDOW
 * datagrams may come in any order. A session that is not known is believed when its time is ours, give or take
 * SEAL_SKEW_S; when it is not, its host is asked (SEAL_ASK), and answers with what only we could have asked, which no
 * recording holds (SEAL_ANSWER). See docs/decisions/12.
 *
 * While a member is heard that seals with another key of the ring than the first, what we say is sealed with that one
 * too, as a copy: it may not know the first key yet.
 *
 * A stream needs neither clock nor table: both sides say a random number first, and the keys of its two directions are
 * derived from both and from a key that both have, for this purpose. Frames are numbered, so none can be said again,
 * left out or exchanged.
 *
 * Pure: no socket and no clock; the random bytes are libsodium's.
 */
#ifndef STATE_SEAL_H
#define STATE_SEAL_H

#include "base/addr.h"
#include "base/clock.h"
#include "state/identity.h"
#include "state/keyring.h"
#include "state/limits.h"

#define SEAL_VERSION 1
#define SEAL_BYTES   LIMIT_SEAL /* longer than what is sealed */
#define SEAL_MAX     LIMIT_DATAGRAM_IN
#define SEAL_SKEW_S  300
#define SEAL_WINDOW  256
#define SEAL_SENDERS 16384 /* sessions that are known at a time */

struct seal;

/** enum seal_purpose - What is sealed for the one can never be taken for the other */
enum seal_purpose { SEAL_DISCOVERY, SEAL_GOSSIP, SEAL_PURPOSE_N_ };

/** struct seal_now - The time of a call */
struct seal_now {
	mono_t mono;
	wall_t wall;
};

enum seal_verdict {
	SEAL_OPENED, /* text and len are what was sealed */
	SEAL_ASKED,  /* nothing to read, but seal_answer() is to be sent back */
	SEAL_PROVED, /* nothing to read: a session is known now */
	SEAL_CLEAR,  /* not sealed at all: JSON, or gossip */
	SEAL_BROKEN, /* too short, too long, another version, not made as it should be */
	SEAL_NO_KEY, /* sealed with a key that we do not have */
	SEAL_FORGED, /* changed on the way, from another address, or not sealed with that key */
	SEAL_AGAIN,  /* has been opened before, or is too old to tell; where a host is heard twice this is no news */
	SEAL_SKEWED, /* a session that is not known, and a clock that is not ours: seal_ask() is to be sent back */
	SEAL_VERDICT_N_
};

struct seal_opened {
	char key_id[KEY_ID_LEN + 1];   /* of all that have one */
	char host_id[HOST_ID_LEN + 1]; /* proved, but for CLEAR, BROKEN, NO_KEY, FORGED */
	int64_t skew_s;		       /* likewise: its clock before ours */
	bool ours;		       /* likewise: we sealed it */
	size_t len;
	char text[SEAL_MAX + 1];
	/* for seal_ask() and seal_answer() */
	uint8_t key, session[8], sender[HOST_ID_LEN / 2], token[8];
};

/**
 * seal_new() - Who seals and opens
 * @ring:    copied; at least one key
 * @live_us: how long a member that was heard counts, for copies
 */
struct seal *seal_new(enum seal_purpose purpose, const char *host_id, const struct keyring *ring, int64_t live_us);
void seal_free(struct seal *s); /* wipes it; NULL is fine */
/** seal_keys() - Other keys; who is known stays known */
void seal_keys(struct seal *s, const struct keyring *ring);
/** seal_key_id() - Of the one that seals */
const char *seal_key_id(const struct seal *s);
/** seal_copies() - With how many others is sealed too, now? */
size_t seal_copies(const struct seal *s, mono_t now);

typedef void seal_fn(void *arg, const char *data, size_t len);
/**
 * seal_data() - Seal @len bytes, SEAL_MAX - SEAL_BYTES at most
 * @from: the address that it will be sent from
 * @fn:   gets one datagram, and one more for each other key that is in use
 */
void seal_data(struct seal *s, struct seal_now now, const struct endpoint *from, const char *data, size_t len,
	       seal_fn *fn, void *arg);

/** seal_open() - Open what came from @from. @ret is filled as far as the verdict says */
enum seal_verdict seal_open(struct seal *s, struct seal_now now, const struct endpoint *from, const char *data,
			    size_t len, struct seal_opened *ret) MUST_USE;

#define SEAL_TALK_BYTES (SEAL_BYTES + 8)
/** seal_ask(), seal_answer() - What goes back to who sent @o, SEAL_TALK_BYTES of it; @from is our address */
void seal_ask(struct seal *s, struct seal_now now, const struct endpoint *from, const struct seal_opened *o,
	      char out[static SEAL_TALK_BYTES]);
void seal_answer(struct seal *s, struct seal_now now, const struct endpoint *from, const struct seal_opened *o,
		 char out[static SEAL_TALK_BYTES]);

/* --- streams --- */

#define SEAL_STREAM_RANDOM 16
#define SEAL_STREAM_BYTES  16 /* a frame is longer than what is sealed */

struct seal_stream {
	uint8_t out[32], in[32]; /* keys */
	uint64_t sent, received;
};

/** seal_key_ids() - Of the whole ring, the first one first. Return: how many */
size_t seal_key_ids(const struct seal *s, uint8_t ret[static KEYRING_MAX][KEY_ID_BYTES]);
/**
 * seal_stream_begin() - The keys of a stream
 * @id:     of the key that both have
 * @opener: what who opened the stream said, SEAL_STREAM_RANDOM bytes; @accepter: likewise
 * @opened: it was us
 *
 * Return: false: there is no such key
 */
bool seal_stream_begin(const struct seal *s, const uint8_t id[static KEY_ID_BYTES], const uint8_t *opener,
		       const uint8_t *accepter, bool opened, struct seal_stream *ret) MUST_USE;
/** seal_stream_seal() - @out has room for SEAL_STREAM_BYTES more */
void seal_stream_seal(struct seal_stream *st, const void *data, size_t len, void *out);
/** seal_stream_open() - @out has room for @len. Return: how long it is, or -EBADMSG: the stream is worth nothing now */
ssize_t seal_stream_open(struct seal_stream *st, const void *data, size_t len, void *out) MUST_USE;

/** seal_key_of() - Is it sealed? Then the id of its key. Needs no key */
bool seal_key_of(const char *data, size_t len, char ret_id[static KEY_ID_LEN + 1]);

#endif
