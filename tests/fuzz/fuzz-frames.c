/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams of gossip, sealed with a known key and not, and join tokens. The first byte says what the rest is: a stream
 * that comes in pieces, or the text of a token, or the inside of one. Whatever comes, nothing is kept beyond its bound,
 * and what was sealed by the other side is what is read.
 */
#include <assert.h>
#include <sodium.h>

#include "discovery/gossip_frame.h"
#include "state/join.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct seal *seal_make(void)
{
	struct keyring r = {.n = 1};

	key_name(&r.keys[0]);
	return seal_new(SEAL_GOSSIP, "00000000000000000000000000000001", &r, USEC_PER_SEC);
}

/* What comes is hostile: it is cut off, or waited for */
static void stream_hostile(const uint8_t *data, size_t size, const struct seal *seal, bool opened)
{
	struct frames f;
	struct buf out = {0};
	const void *frame;
	size_t len, step = size ? 1 + data[0] : 1;

	frames_begin(&f, opened, seal, &out);
	for (size_t at = 0; at < size; at += step) {
		enum frames_got got;

		frames_feed(&f, data + at, size - at < step ? size - at : step);
		while ((got = frames_next(&f, seal, &out, &frame, &len)) == FRAMES_HELLO || got == FRAMES_FRAME)
			assert(got == FRAMES_HELLO || (len > 0 && len <= GOSSIP_FRAME_BYTES));
		if (got != FRAMES_MORE)
			break;
		assert(f.in.len - f.taken <= 4 + GOSSIP_FRAME_BYTES + SEAL_STREAM_BYTES + step);
	}
	frames_done(&f);
	buf_done(&out);
}

static void all_give(struct frames *from, struct frames *to, struct buf *wire, const struct seal *seal,
		     struct buf *back, struct buf *ret)
{
	const void *frame;
	size_t len;

	frames_feed(to, wire->data, wire->len);
	buf_clear(wire);
	for (;;) {
		switch (frames_next(to, seal, back, &frame, &len)) {
		case FRAMES_FRAME:
			buf_append(ret, frame, len);
			break;
		case FRAMES_HELLO:
			break;
		case FRAMES_MORE:
			return;
		case FRAMES_NO_KEY:
		case FRAMES_BAD:
			assert(false);
		}
	}
}

/* Two that understand each other: what one says the other one reads */
static void stream_sound(const uint8_t *data, size_t size, const struct seal *seal)
{
	struct buf there = {0}, back = {0}, heard = {0};
	struct frames a, b;
	size_t said = 0;

	frames_begin(&a, true, seal, &there);
	frames_begin(&b, false, seal, &back);
	all_give(&a, &b, &there, seal, &back, &heard);
	all_give(&b, &a, &back, seal, &there, &heard);
	assert(a.greeted && b.greeted && a.sealed == (seal != NULL) && b.sealed == a.sealed && heard.len == 0);
	for (size_t i = 0; size && i < 3; i++, said += size) {
		frames_put(&a, data, size, &there);
		assert(!seal || size < 16 || !memmem(there.data, there.len, data, size));
	}
	if (there.len)
		all_give(&a, &b, &there, seal, &back, &heard);
	assert(heard.len == said && (!size || memcmp(heard.data, data, size) == 0));
	frames_done(&a);
	frames_done(&b);
	buf_done(&there);
	buf_done(&back);
	buf_done(&heard);
}

static void token(const char *s, size_t len)
{
	wall_t now = {.ms = INT64_C(1700000000000)};
	struct join_token t, again;
	struct buf text = {0};
	struct err err = {0};

	if (join_token_parse(s, len, now, &t, &err) < 0) {
		assert(err.text[0] && !t.ring.n && !t.join.n);
		return;
	}
	assert(t.ring.n <= KEYRING_MAX && t.join.n <= LIMIT_JOIN && t.expires.ms > now.ms);
	join_token_print(&t, &text);
	assert(join_token_parse(text.data, text.len, now, &again, NULL) == 0);
	assert(again.ring.n == t.ring.n && memcmp(again.ring.keys, t.ring.keys, sizeof(t.ring.keys)) == 0);
	assert(again.join.n <= t.join.n && again.made.ms == t.made.ms && again.expires.ms == t.expires.ms);
	join_token_done(&t);
	join_token_done(&again);
	keyring_text_done(&text);
}

/* The hash of a token keeps a fuzzer out, which cannot guess it */
static void token_inside(const uint8_t *data, size_t size)
{
	uint8_t raw[JOIN_TOKEN_BYTES], hash[crypto_generichash_BYTES_MIN];
	char text[2 * JOIN_TOKEN_BYTES] = JOIN_TOKEN_HEAD;

	if (size > 2900)
		return;
	memcpy(raw, data, size);
	crypto_generichash(hash, sizeof(hash), raw, size, NULL, 0);
	memcpy(raw + size, hash, 8);
	sodium_bin2base64(text + strlen(text), sizeof(text) - strlen(text), raw, size + 8,
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	token(text, strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seal *seal;
	struct join_target target;
	char text[300];

	if (!seal)
		seal = seal_make();
	if (size < 1 || size > GOSSIP_FRAME_BYTES)
		return 0;
	switch (data[0] % 8) {
	case 0:
	case 1:
		stream_hostile(data + 1, size - 1, NULL, data[0] % 2);
		break;
	case 2:
	case 3:
		stream_hostile(data + 1, size - 1, seal, data[0] % 2);
		break;
	case 4:
		stream_sound(data + 1, size - 1, data[0] & 8 ? seal : NULL);
		break;
	case 5:
		token((const char *)data + 1, size - 1);
		break;
	case 6: /* as if the hash were right */
		token_inside(data + 1, size - 1);
		break;
	case 7:
		snprintf(text, sizeof(text), "%.*s", (int)(size - 1), (const char *)data + 1);
		if (join_parse(text, JOIN_PORT, &target) == 0)
			assert(target.address.port && target.host[0] && strlen(target.host) < sizeof(target.host));
		break;
	}
	return 0;
}
