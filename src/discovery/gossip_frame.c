/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts a stream into frames, and seals and opens them.
 */
#include "discovery/gossip_frame.h"

#include <assert.h>
#include <sodium.h>

#define HELLO_HEAD 5 /* magic, version, n */

static const uint8_t magic[4] = {'D', 'G', 'S', FRAMES_VERSION};

static void hello_put(const struct frames *f, uint8_t n, uint8_t ids[][KEY_ID_BYTES], struct buf *out)
{
	buf_append(out, magic, sizeof(magic));
	buf_append(out, &n, 1);
	buf_append(out, ids, (size_t)n * KEY_ID_BYTES);
	buf_append(out, f->random, sizeof(f->random));
}

void frames_begin(struct frames *f, bool opened, const struct seal *seal, struct buf *out)
{
	uint8_t ids[KEYRING_MAX][KEY_ID_BYTES];

	*f = (struct frames){.opened = opened};
	randombytes_buf(f->random, sizeof(f->random));
	if (opened)
		hello_put(f, seal ? (uint8_t)seal_key_ids(seal, ids) : 0, ids, out);
}

void frames_done(struct frames *f)
{
	buf_done(&f->in);
	sodium_memzero(&f->seal, sizeof(f->seal));
}

void frames_feed(struct frames *f, const void *data, size_t len)
{
	if (f->taken) {
		memmove(f->in.data, f->in.data + f->taken, f->in.len - f->taken);
		f->in.len -= f->taken;
		f->taken = 0;
	}
	buf_append(&f->in, data, len);
}

/* Both have said which keys they have: is there one for both? */
static bool keys_agree(struct frames *f, const struct seal *seal, size_t n, const uint8_t (*theirs)[KEY_ID_BYTES],
		       const uint8_t *random, uint8_t ret_id[static KEY_ID_BYTES])
{
	uint8_t ids[KEYRING_MAX][KEY_ID_BYTES];
	size_t n_ids = seal ? seal_key_ids(seal, ids) : 0;

	if (n_ids)
		memcpy(ret_id, ids[0], KEY_ID_BYTES);
	for (size_t i = 0; i < n_ids; i++) {
		for (size_t k = 0; k < n; k++) {
			if (memcmp(ids[i], theirs[k], KEY_ID_BYTES) != 0)
				continue;
			memcpy(ret_id, ids[i], KEY_ID_BYTES);
			f->sealed = true;
			return seal_stream_begin(seal, ids[i], f->opened ? f->random : random,
						 f->opened ? random : f->random, f->opened, &f->seal);
		}
	}
	return n == 0 && n_ids == 0;
}

static enum frames_got hello_take(struct frames *f, const struct seal *seal, struct buf *out)
{
	const uint8_t *p = (const uint8_t *)f->in.data + f->taken;
	size_t have = f->in.len - f->taken, n, size;
	uint8_t id[1][KEY_ID_BYTES];
	bool agree;

	if (memcmp(p, magic, have < sizeof(magic) ? have : sizeof(magic)) != 0)
		return FRAMES_BAD;
	if (have < HELLO_HEAD)
		return FRAMES_MORE;
	n = p[HELLO_HEAD - 1];
	size = HELLO_HEAD + n * KEY_ID_BYTES + SEAL_STREAM_RANDOM;
	if (n > (f->opened ? 1 : KEYRING_MAX))
		return FRAMES_BAD;
	if (have < size)
		return FRAMES_MORE;
	f->taken += size;
	agree = keys_agree(f, seal, n, (const uint8_t(*)[KEY_ID_BYTES])(p + HELLO_HEAD), p + size - SEAL_STREAM_RANDOM,
			   id[0]);
	if (!f->opened)
		hello_put(f, seal ? 1 : 0, id, out);
	f->greeted = agree;
	if (!agree && n)
		sodium_bin2hex(f->key_id, sizeof(f->key_id), p + HELLO_HEAD, KEY_ID_BYTES);
	return agree ? FRAMES_HELLO : FRAMES_NO_KEY;
}

enum frames_got frames_next(struct frames *f, const struct seal *seal, struct buf *out, const void **ret_data,
			    size_t *ret_len)
{
	uint8_t *p = (uint8_t *)f->in.data + f->taken;
	size_t have = f->in.len - f->taken, extra = f->sealed ? SEAL_STREAM_BYTES : 0, len;
	ssize_t n;

	if (have == 0)
		return FRAMES_MORE;
	if (!f->greeted)
		return hello_take(f, seal, out);
	if (have < 4)
		return FRAMES_MORE;
	len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (len <= extra || len > GOSSIP_FRAME_BYTES + extra)
		return FRAMES_BAD;
	if (have < 4 + len)
		return FRAMES_MORE;
	f->taken += 4 + len;
	*ret_data = p + 4;
	*ret_len = len;
	if (!f->sealed)
		return FRAMES_FRAME;
	n = seal_stream_open(&f->seal, p + 4, len, p + 4);
	if (n < 0)
		return FRAMES_BAD;
	*ret_len = (size_t)n;
	return FRAMES_FRAME;
}

void frames_put(struct frames *f, const void *data, size_t len, struct buf *out)
{
	size_t size = len + (f->sealed ? SEAL_STREAM_BYTES : 0);
	uint8_t head[4] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};

	assert(f->greeted && len > 0 && len <= GOSSIP_FRAME_BYTES);
	buf_append(out, head, sizeof(head));
	if (!f->sealed) {
		buf_append(out, data, len);
		return;
	}
	buf_reserve(out, size);
	seal_stream_seal(&f->seal, data, len, out->data + out->len);
	out->len += size;
	out->data[out->len] = '\0';
}
