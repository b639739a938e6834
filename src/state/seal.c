/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealing, opening, and the table of sessions that keeps recordings out.
 */
#include "state/seal.h"

#include <assert.h>
#include <sodium.h>

#define AT_KEY	   1
#define AT_HOST	   5
#define AT_NONCE   21
#define AT_COUNTER 29
#define AT_TIME	   33
#define AT_RANDOM  37
#define AT_SEALED  45

#define HOST_BYTES    (HOST_ID_LEN / 2)
#define SESSION_BYTES 8
#define TOKEN_BYTES   8
#define AD_BYTES      (AT_NONCE + 1 + 16 + 2) /* the head, and family, address, port */

#define WAYS	    16
#define SETS	    (SEAL_SENDERS / WAYS)
#define TOKEN_S	    16 /* a question may be answered so long, and as long again */
#define KDF_CONTEXT "dr-seal"

static_assert(AT_SEALED - AT_NONCE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "the nonce");
static_assert(SEAL_BYTES == AT_SEALED + 1 + crypto_aead_xchacha20poly1305_ietf_ABYTES, "as limits.h says");

/* What keys are derived for; a number is never used for anything else */
enum purpose { PURPOSE_DATAGRAM = 1, PURPOSE_GOSSIP, PURPOSE_GOSSIP_STREAM };

enum kind { KIND_DATA = 1, KIND_COPY, KIND_ASK, KIND_ANSWER };

/* A process that seals; heard_s 0: none */
struct sender {
	uint8_t host[HOST_BYTES], session[SESSION_BYTES];
	uint32_t top; /* the highest counter */
	uint32_t heard_s;
	uint64_t seen[SEAL_WINDOW / 64]; /* counter c at bit c % SEAL_WINDOW: those from top down */
};

struct seal_key {
	uint8_t datagram[32], stream[32];
	uint8_t id_bytes[KEY_ID_BYTES];
	char id[KEY_ID_LEN + 1];
	int64_t used_us; /* when somebody else was heard that seals with it; INT64_MIN: never */
};

struct seal {
	enum seal_purpose purpose;
	uint8_t host[HOST_BYTES], session[SESSION_BYTES];
	uint32_t counter;
	uint8_t secret[32]; /* of this process, for tokens */
	uint64_t salt;	    /* of the table */
	int64_t live_us;
	struct seal_key keys[KEYRING_MAX];
	size_t n_keys;
	struct sender *senders; /* SETS of WAYS; pages that nobody is in cost nothing */
};

static void be32_put(uint8_t *p, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(n >> (24 - 8 * i));
}

static uint32_t be32_get(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* --- keys --- */

void seal_keys(struct seal *s, const struct keyring *ring)
{
	struct seal_key old[KEYRING_MAX];
	size_t n_old = s->n_keys;

	assert(ring->n > 0);
	memcpy(old, s->keys, sizeof(old));
	sodium_memzero(s->keys, sizeof(s->keys));
	s->n_keys = ring->n;
	for (size_t i = 0; i < ring->n; i++) {
		struct seal_key *k = &s->keys[i];

		crypto_kdf_derive_from_key(k->datagram, sizeof(k->datagram),
					   s->purpose == SEAL_GOSSIP ? PURPOSE_GOSSIP : PURPOSE_DATAGRAM, KDF_CONTEXT,
					   ring->keys[i].secret);
		crypto_kdf_derive_from_key(k->stream, sizeof(k->stream), PURPOSE_GOSSIP_STREAM, KDF_CONTEXT,
					   ring->keys[i].secret);
		memcpy(k->id_bytes, ring->keys[i].id_bytes, sizeof(k->id_bytes));
		str_copy(k->id, ring->keys[i].id);
		k->used_us = INT64_MIN;
		for (size_t j = 0; j < n_old; j++) {
			if (sodium_memcmp(old[j].datagram, k->datagram, sizeof(k->datagram)) == 0)
				k->used_us = old[j].used_us;
		}
	}
	sodium_memzero(old, sizeof(old));
}

const char *seal_key_id(const struct seal *s)
{
	return s->keys[0].id;
}

static bool key_is_used(const struct seal *s, size_t nth, mono_t now)
{
	return s->keys[nth].used_us != INT64_MIN && now.us - s->keys[nth].used_us < s->live_us;
}

size_t seal_copies(const struct seal *s, mono_t now)
{
	size_t n = 0;

	for (size_t i = 1; i < s->n_keys; i++)
		n += key_is_used(s, i, now);
	return n;
}

struct seal *seal_new(enum seal_purpose purpose, const char *host_id, const struct keyring *ring, int64_t live_us)
{
	struct seal *s = xcalloc(1, sizeof(*s));

	s->purpose = purpose;
	if (sodium_init() < 0)
		abort(); /* there is no source of random numbers */
	if (sodium_hex2bin(s->host, sizeof(s->host), host_id, strlen(host_id), NULL, NULL, NULL) != 0)
		abort(); /* host ids are checked where they are read */
	randombytes_buf(s->session, sizeof(s->session));
	randombytes_buf(s->secret, sizeof(s->secret));
	randombytes_buf(&s->salt, sizeof(s->salt));
	s->live_us = live_us;
	s->senders = xcalloc(SEAL_SENDERS, sizeof(*s->senders));
	seal_keys(s, ring);
	return s;
}

void seal_free(struct seal *s)
{
	if (!s)
		return;
	free(s->senders);
	sodium_memzero(s, sizeof(*s));
	free(s);
}

/* --- sealing --- */

static void ad_put(uint8_t ad[static AD_BYTES], const uint8_t *head, const struct endpoint *from)
{
	memset(ad, 0, AD_BYTES);
	memcpy(ad, head, AT_NONCE);
	ad[AT_NONCE] = from->ip.family == AF_INET6 ? 6 : 4;
	memcpy(ad + AT_NONCE + 1, from->ip.b, from->ip.family == AF_INET6 ? 16 : 4);
	ad[AD_BYTES - 2] = (uint8_t)(from->port >> 8);
	ad[AD_BYTES - 1] = (uint8_t)from->port;
}

/* A counter that has come to its end is another session */
static uint32_t counter_next(struct seal *s)
{
	if (s->counter == UINT32_MAX) {
		s->counter = 0;
		randombytes_buf(s->session, sizeof(s->session));
	}
	return ++s->counter;
}

static void wrap(struct seal *s, struct seal_now now, size_t nth, enum kind kind, uint32_t counter,
		 const struct endpoint *from, const void *data, size_t len, char *out)
{
	uint8_t *o = (uint8_t *)out, ad[AD_BYTES], plain[SEAL_MAX];
	const struct seal_key *k = &s->keys[nth];

	o[0] = SEAL_VERSION;
	memcpy(o + AT_KEY, k->id_bytes, KEY_ID_BYTES);
	memcpy(o + AT_HOST, s->host, HOST_BYTES);
	memcpy(o + AT_NONCE, s->session, SESSION_BYTES);
	be32_put(o + AT_COUNTER, counter);
	be32_put(o + AT_TIME, (uint32_t)(now.wall.ms / 1000));
	randombytes_buf(o + AT_RANDOM, AT_SEALED - AT_RANDOM);
	ad_put(ad, o, from);
	plain[0] = (uint8_t)kind;
	memcpy(plain + 1, data, len);
	crypto_aead_xchacha20poly1305_ietf_encrypt(o + AT_SEALED, NULL, plain, len + 1, ad, sizeof(ad), NULL,
						   o + AT_NONCE, k->datagram);
}

void seal_data(struct seal *s, struct seal_now now, const struct endpoint *from, const char *data, size_t len,
	       seal_fn *fn, void *arg)
{
	char out[SEAL_MAX];
	uint32_t counter = counter_next(s);

	assert(len <= SEAL_MAX - SEAL_BYTES);
	/* Copies have the same counter: who has both keys takes the first that comes */
	for (size_t i = 0; i < s->n_keys; i++) {
		if (i > 0 && !key_is_used(s, i, now.mono))
			continue;
		wrap(s, now, i, i == 0 ? KIND_DATA : KIND_COPY, counter, from, data, len, out);
		fn(arg, out, len + SEAL_BYTES);
	}
}

/* --- sessions --- */

static uint32_t seconds(mono_t now)
{
	return (uint32_t)(now.us / USEC_PER_SEC) + 1;
}

static struct sender *set_of(const struct seal *s, const uint8_t *host, const uint8_t *session)
{
	uint64_t h = hash64(session, SESSION_BYTES, hash64(host, HOST_BYTES, s->salt));

	return &s->senders[h % SETS * WAYS];
}

static struct sender *sender_find(const struct seal *s, const uint8_t *host, const uint8_t *session)
{
	struct sender *set = set_of(s, host, session);

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].heard_s && memcmp(set[i].session, session, SESSION_BYTES) == 0 &&
		    memcmp(set[i].host, host, HOST_BYTES) == 0)
			return &set[i];
	}
	return NULL;
}

/* In place of who was silent for longest, when there is no other */
static struct sender *sender_add(struct seal *s, const uint8_t *host, const uint8_t *session)
{
	struct sender *set = set_of(s, host, session), *oldest = set;

	for (size_t i = 1; i < WAYS; i++) {
		if (set[i].heard_s < oldest->heard_s)
			oldest = &set[i];
	}
	*oldest = (struct sender){.heard_s = 1};
	memcpy(oldest->host, host, HOST_BYTES);
	memcpy(oldest->session, session, SESSION_BYTES);
	return oldest;
}

static uint64_t *seen_word(struct sender *x, uint32_t counter, uint64_t *ret_bit)
{
	*ret_bit = UINT64_C(1) << counter % 64;
	return &x->seen[counter % SEAL_WINDOW / 64];
}

/* Is it for the first time? Then it is no more */
static bool sender_take(struct sender *x, uint32_t counter)
{
	uint64_t bit, *word;

	if (counter > x->top) {
		uint32_t from = counter - x->top > SEAL_WINDOW ? counter - SEAL_WINDOW : x->top;

		for (uint32_t c = from + 1; c <= counter && c != 0; c++) {
			word = seen_word(x, c, &bit);
			*word &= ~bit;
		}
		x->top = counter;
	} else if (x->top - counter >= SEAL_WINDOW) {
		return false;
	}
	word = seen_word(x, counter, &bit);
	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}

/* --- questions --- */

static void token_make(const struct seal *s, const struct seal_opened *o, int64_t slot, uint8_t out[static TOKEN_BYTES])
{
	uint8_t hash[crypto_generichash_BYTES_MIN], about[HOST_BYTES + SESSION_BYTES + sizeof(slot)];

	memcpy(about, o->sender, HOST_BYTES);
	memcpy(about + HOST_BYTES, o->session, SESSION_BYTES);
	memcpy(about + HOST_BYTES + SESSION_BYTES, &slot, sizeof(slot));
	crypto_generichash(hash, sizeof(hash), about, sizeof(about), s->secret, sizeof(s->secret));
	memcpy(out, hash, TOKEN_BYTES);
}

static int64_t slot_of(mono_t now)
{
	return now.us / (TOKEN_S * USEC_PER_SEC);
}

static bool token_is_ours(const struct seal *s, mono_t now, const struct seal_opened *o)
{
	uint8_t token[TOKEN_BYTES];

	for (int back = 0; back < 2; back++) {
		token_make(s, o, slot_of(now) - back, token);
		if (sodium_memcmp(token, o->token, sizeof(token)) == 0)
			return true;
	}
	return false;
}

void seal_ask(struct seal *s, struct seal_now now, const struct endpoint *from, const struct seal_opened *o,
	      char out[static SEAL_TALK_BYTES])
{
	uint8_t token[TOKEN_BYTES];

	token_make(s, o, slot_of(now.mono), token);
	wrap(s, now, o->key, KIND_ASK, counter_next(s), from, token, sizeof(token), out);
}

void seal_answer(struct seal *s, struct seal_now now, const struct endpoint *from, const struct seal_opened *o,
		 char out[static SEAL_TALK_BYTES])
{
	wrap(s, now, o->key, KIND_ANSWER, counter_next(s), from, o->token, sizeof(o->token), out);
}

/* --- opening --- */

static bool begins_in_clear(uint8_t c)
{
	return c == 'D' || c == '{' || c == '[' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool seal_key_of(const char *data, size_t len, char ret_id[static KEY_ID_LEN + 1])
{
	if (len < SEAL_BYTES || len > SEAL_MAX || data[0] != SEAL_VERSION)
		return false;
	sodium_bin2hex(ret_id, KEY_ID_LEN + 1, (const uint8_t *)data + AT_KEY, KEY_ID_BYTES);
	return true;
}

/* SEAL_OPENED: text is what was sealed, the byte of its kind in front */
static enum seal_verdict unwrap(struct seal *s, const struct endpoint *from, const uint8_t *d, size_t len,
				struct seal_opened *o)
{
	uint8_t ad[AD_BYTES];
	size_t nth = 0;

	if (len > 0 && begins_in_clear(d[0]))
		return SEAL_CLEAR;
	if (!seal_key_of((const char *)d, len, o->key_id))
		return SEAL_BROKEN;
	while (nth < s->n_keys && memcmp(s->keys[nth].id_bytes, d + AT_KEY, KEY_ID_BYTES) != 0)
		nth++;
	if (nth == s->n_keys)
		return SEAL_NO_KEY;
	ad_put(ad, d, from);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt((uint8_t *)o->text, NULL, NULL, d + AT_SEALED, len - AT_SEALED,
						       ad, sizeof(ad), d + AT_NONCE, s->keys[nth].datagram) != 0)
		return SEAL_FORGED;
	o->key = (uint8_t)nth;
	o->len = len - SEAL_BYTES;
	memcpy(o->sender, d + AT_HOST, HOST_BYTES);
	memcpy(o->session, d + AT_NONCE, SESSION_BYTES);
	sodium_bin2hex(o->host_id, sizeof(o->host_id), o->sender, HOST_BYTES);
	o->ours = memcmp(o->sender, s->host, HOST_BYTES) == 0 && memcmp(o->session, s->session, SESSION_BYTES) == 0;
	return SEAL_OPENED;
}

/* The kind out of the text; 0: none that there is */
static enum kind kind_take(struct seal_opened *o)
{
	uint8_t kind = (uint8_t)o->text[0];

	memmove(o->text, o->text + 1, o->len);
	o->text[o->len] = '\0';
	if (kind == KIND_DATA || kind == KIND_COPY)
		return (enum kind)kind;
	if ((kind != KIND_ASK && kind != KIND_ANSWER) || o->len != TOKEN_BYTES)
		return (enum kind)0;
	memcpy(o->token, o->text, TOKEN_BYTES);
	return (enum kind)kind;
}

/* What is authentic: is it new, and what is it? */
static enum seal_verdict admit(struct seal *s, struct seal_now now, uint32_t counter, enum kind kind,
			       const struct seal_opened *o)
{
	struct sender *x = sender_find(s, o->sender, o->session);
	bool in_time = o->skew_s <= SEAL_SKEW_S && o->skew_s >= -SEAL_SKEW_S;

	if (!x && kind == KIND_ASK && !in_time)
		return SEAL_ASKED; /* its clock and ours differ for both of us; an answer tells nobody anything */
	if (!x && !in_time && !(kind == KIND_ANSWER && token_is_ours(s, now.mono, o)))
		return SEAL_SKEWED;
	if (!x)
		x = sender_add(s, o->sender, o->session);
	if (!sender_take(x, counter))
		return SEAL_AGAIN;
	x->heard_s = seconds(now.mono);
	if (!o->ours && kind != KIND_COPY)
		s->keys[o->key].used_us = now.mono.us;
	if (kind == KIND_ASK)
		return o->ours ? SEAL_AGAIN : SEAL_ASKED;
	return kind == KIND_ANSWER ? SEAL_PROVED : SEAL_OPENED;
}

enum seal_verdict seal_open(struct seal *s, struct seal_now now, const struct endpoint *from, const char *data,
			    size_t len, struct seal_opened *ret)
{
	const uint8_t *d = (const uint8_t *)data;
	enum seal_verdict v;
	enum kind kind;

	ret->key_id[0] = ret->host_id[0] = '\0';
	ret->ours = false;
	ret->skew_s = 0;
	ret->len = 0;
	v = unwrap(s, from, d, len, ret);
	if (v != SEAL_OPENED)
		return v;
	ret->skew_s = (int64_t)be32_get(d + AT_TIME) - now.wall.ms / 1000;
	kind = kind_take(ret);
	if (!kind)
		return SEAL_BROKEN;
	return admit(s, now, be32_get(d + AT_COUNTER), kind, ret);
}

/* --- streams --- */

size_t seal_key_ids(const struct seal *s, uint8_t ret[static KEYRING_MAX][KEY_ID_BYTES])
{
	for (size_t i = 0; i < s->n_keys; i++)
		memcpy(ret[i], s->keys[i].id_bytes, KEY_ID_BYTES);
	return s->n_keys;
}

bool seal_stream_begin(const struct seal *s, const uint8_t id[static KEY_ID_BYTES], const uint8_t *opener,
		       const uint8_t *accepter, bool opened, struct seal_stream *ret)
{
	uint8_t both[2 * SEAL_STREAM_RANDOM], keys[2][32];
	size_t nth = 0;

	while (nth < s->n_keys && memcmp(s->keys[nth].id_bytes, id, KEY_ID_BYTES) != 0)
		nth++;
	if (nth == s->n_keys)
		return false;
	memcpy(both, opener, SEAL_STREAM_RANDOM);
	memcpy(both + SEAL_STREAM_RANDOM, accepter, SEAL_STREAM_RANDOM);
	crypto_generichash(keys[0], sizeof(keys), both, sizeof(both), s->keys[nth].stream, sizeof(s->keys[nth].stream));
	*ret = (struct seal_stream){.sent = 0};
	memcpy(ret->out, keys[!opened], sizeof(ret->out));
	memcpy(ret->in, keys[opened], sizeof(ret->in));
	sodium_memzero(keys, sizeof(keys));
	return true;
}

static void frame_nonce(uint64_t number, uint8_t nonce[static crypto_aead_chacha20poly1305_ietf_NPUBBYTES])
{
	memset(nonce, 0, crypto_aead_chacha20poly1305_ietf_NPUBBYTES);
	be32_put(nonce + 4, (uint32_t)(number >> 32));
	be32_put(nonce + 8, (uint32_t)number);
}

void seal_stream_seal(struct seal_stream *st, const void *data, size_t len, void *out)
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	frame_nonce(st->sent++, nonce);
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, data, len, NULL, 0, NULL, nonce, st->out);
}

ssize_t seal_stream_open(struct seal_stream *st, const void *data, size_t len, void *out)
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	frame_nonce(st->received++, nonce);
	if (len < SEAL_STREAM_BYTES ||
	    crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, data, len, NULL, 0, nonce, st->in) != 0)
		return -EBADMSG;
	return (ssize_t)(len - SEAL_STREAM_BYTES);
}
