/* SPDX-License-Identifier: Apache-2.0
 *
 * Join tokens, see join.h. Pure; every copy of a key is wiped.
 */
#include <sodium.h>

#include "state/join.h"

#define HASH_BYTES 8
#define B64	   sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define RAW_MAX	   3072

static void put64(struct buf *b, uint64_t n)
{
	for (int i = 7; i >= 0; i--)
		buf_append(b, &(uint8_t){(uint8_t)(n >> (8 * i))}, 1);
}

static void hash_of(const void *data, size_t len, uint8_t out[static HASH_BYTES])
{
	uint8_t hash[crypto_generichash_BYTES_MIN];

	crypto_generichash(hash, sizeof(hash), data, len, NULL, 0);
	memcpy(out, hash, HASH_BYTES);
}

void join_token_print(const struct join_token *t, struct buf *out)
{
	struct buf raw = {0};
	uint8_t hash[HASH_BYTES], n = (uint8_t)t->ring.n;

	buf_reserve(&raw, RAW_MAX + LIMIT_JOIN * LIMIT_JOIN_BYTES); /* it never moves, so no copy of a key stays */
	put64(&raw, (uint64_t)(t->made.ms / 1000));
	put64(&raw, (uint64_t)(t->expires.ms / 1000));
	buf_append(&raw, &n, 1);
	for (size_t i = 0; i < t->ring.n; i++)
		buf_append(&raw, t->ring.keys[i].secret, KEY_BYTES);
	n = 0;
	for (size_t i = 0, size = raw.len; i < t->join.n; i++) {
		size += 1 + strlen(t->join.to[i]);
		if (size + HASH_BYTES + 1 > (size_t)(JOIN_TOKEN_BYTES - 16) / 4 * 3)
			break;
		n++;
	}
	buf_append(&raw, &n, 1);
	for (size_t i = 0; i < n; i++) {
		uint8_t len = (uint8_t)strnlen(t->join.to[i], 255);

		buf_append(&raw, &len, 1);
		buf_append(&raw, t->join.to[i], len);
	}
	hash_of(raw.data, raw.len, hash);
	buf_append(&raw, hash, sizeof(hash));
	buf_reserve(out, JOIN_TOKEN_BYTES);
	buf_puts(out, JOIN_TOKEN_HEAD);
	sodium_bin2base64(out->data + out->len, out->cap - out->len, (const uint8_t *)raw.data, raw.len, B64);
	out->len += strlen(out->data + out->len);
	keyring_text_done(&raw);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | p[i];
	return n;
}

/* What stands in the token, its hash taken off */
static int token_read(const uint8_t *p, size_t len, struct join_token *t)
{
	const uint8_t *end = p + len;
	struct join_target target;

	if (len < 18 || p[16] > KEYRING_MAX || (size_t)(end - p) < 18 + (size_t)p[16] * KEY_BYTES)
		return -EINVAL;
	if (get64(p) > UINT32_MAX || get64(p + 8) > UINT32_MAX)
		return -EINVAL;
	t->made.ms = (int64_t)get64(p) * 1000;
	t->expires.ms = (int64_t)get64(p + 8) * 1000;
	size_t n = p[16];
	p += 17;
	for (size_t i = 0; i < n; i++, p += KEY_BYTES) {
		memcpy(t->ring.keys[i].secret, p, KEY_BYTES);
		key_name(&t->ring.keys[i]);
		t->ring.n++;
	}
	n = *p++;
	for (size_t i = 0; i < n; i++) {
		if (end - p < 1 || end - p - 1 < p[0] || t->join.n >= LIMIT_JOIN)
			return -EINVAL;
		memcpy(t->join.to[i], p + 1, p[0]);
		t->join.to[i][p[0]] = '\0';
		if (join_parse(t->join.to[i], JOIN_PORT, &target) < 0)
			return -EINVAL;
		t->join.n++;
		p += 1 + p[0];
	}
	return p == end ? 0 : -EINVAL;
}

static int token_time(const struct join_token *t, wall_t now, struct err *err)
{
	char then[WALL_STRLEN], here[WALL_STRLEN];

	if (now.ms >= t->expires.ms)
		return err_set(err, -EKEYEXPIRED,
			       "the token has expired at %s, and here it is %s: make a new one with docker-router "
			       "token, or set the clock",
			       wall_format(t->expires, then), wall_format(now, here));
	if (now.ms + JOIN_SKEW_S * INT64_C(1000) < t->made.ms)
		return err_set(err, -ETIME,
			       "the token was made at %s, and here it is %s: set the clock of this host first",
			       wall_format(t->made, then), wall_format(now, here));
	return 0;
}

int join_token_parse(const char *s, size_t len, wall_t now, struct join_token *ret, struct err *err)
{
	uint8_t raw[JOIN_TOKEN_BYTES], hash[HASH_BYTES];
	const size_t head = strlen(JOIN_TOKEN_HEAD);
	size_t n = 0;
	int r;

	while (len && strchr(" \t\r\n", s[len - 1]))
		len--;
	while (len && strchr(" \t\r\n", *s)) {
		s++;
		len--;
	}
	*ret = (struct join_token){.join.n = 0};
	if (len < head || memcmp(s, JOIN_TOKEN_HEAD, head) != 0 || len > JOIN_TOKEN_BYTES)
		return err_set(err, -EINVAL, "this is no token: one word is expected that begins with %s",
			       JOIN_TOKEN_HEAD);
	r = sodium_base642bin(raw, sizeof(raw), s + head, len - head, NULL, &n, NULL, B64) != 0 || n < HASH_BYTES
		    ? -EINVAL
		    : 0;
	if (r == 0) {
		hash_of(raw, n - HASH_BYTES, hash);
		r = memcmp(hash, raw + n - HASH_BYTES, HASH_BYTES) == 0 ? token_read(raw, n - HASH_BYTES, ret)
									: -EINVAL;
	}
	sodium_memzero(raw, sizeof(raw));
	if (r < 0)
		err_set(err, r, "the token is damaged: copy all of it, in one word");
	else
		r = token_time(ret, now, err);
	if (r < 0)
		join_token_done(ret);
	return r;
}

void join_token_done(struct join_token *t)
{
	keyring_done(&t->ring);
	sodium_memzero(t, sizeof(*t));
}
