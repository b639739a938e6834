/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed datagrams, with a key that is known, and key files. The first byte chooses: bytes as they come from a
 * stranger; bytes that a member seals, changed on the way as the next bytes say; the text of a key file; head and
 * contents of what a member seals with a program of its own, made as docker-router-wire(7) says.
 */
#include <assert.h>
#include <sodium.h>

#include "state/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key_text[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
			       "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100\n";
static const struct endpoint here = {.ip = {.family = AF_INET, .b = {192, 0, 2, 1}}, .port = 4790};
static const struct seal_now now = {.mono.us = 1000 * USEC_PER_SEC, .wall.ms = INT64_C(1700000000000)};

struct world {
	struct seal *a, *b, *other;
	uint8_t other_id[KEY_ID_BYTES];
	struct seal_opened opened;
	char sealed[SEAL_MAX];
	size_t len;
};

static struct seal *member(const char *id)
{
	struct keyring r;
	struct err err = {0};

	if (keyring_parse(key_text, strlen(key_text), &r, &err) < 0)
		abort();
	return seal_new(SEAL_DISCOVERY, id, &r, USEC_PER_SEC);
}

static void sealed_put(void *arg, const char *data, size_t len)
{
	struct world *w = arg;

	memcpy(w->sealed, data, len);
	w->len = len;
}

/* So that reading behind its end is seen */
static enum seal_verdict open_copy(struct world *w, const void *data, size_t len)
{
	char *copy = xmalloc(len ? len : 1);
	enum seal_verdict v;

	memcpy(copy, data, len);
	v = seal_open(w->b, now, &here, copy, len, &w->opened);
	free(copy);
	return v;
}

/* The fuzzer reads along what members say. So this key it does not know; its id it may have */
static void stranger(struct world *w, const uint8_t *data, size_t size)
{
	uint8_t *copy = xmalloc(size ? size : 1);
	enum seal_verdict v;

	memcpy(copy, data, size);
	if (size > 1 + KEY_ID_BYTES && data[1] % 2)
		memcpy(copy + 1, w->other_id, KEY_ID_BYTES);
	v = seal_open(w->other, now, &here, (const char *)copy, size, &w->opened);
	free(copy);
	assert(v == SEAL_CLEAR || v == SEAL_BROKEN || v == SEAL_NO_KEY || v == SEAL_FORGED);
	assert(v != SEAL_CLEAR || size > 0);
}

/* What a member seals whose program is not ours: 32 bytes for the head from host_id on, then kind and text */
static void other_program(struct world *w, const uint8_t *data, size_t size)
{
	uint8_t d[SEAL_MAX], ad[21 + 19] = {0}, key[32];
	struct keyring r;
	struct err err = {0};
	char back[SEAL_TALK_BYTES];
	enum seal_verdict v;

	if (size < 40 || size - 40 > SEAL_MAX - SEAL_BYTES || keyring_parse(key_text, strlen(key_text), &r, &err) < 0)
		return;
	d[0] = SEAL_VERSION;
	memcpy(d + 1, r.keys[0].id_bytes, KEY_ID_BYTES);
	memcpy(d + 5, data, 40);
	memcpy(ad, d, 21);
	ad[21] = 4;
	memcpy(ad + 22, here.ip.b, 4);
	ad[38] = 4790 >> 8;
	ad[39] = 4790 & 255;
	crypto_kdf_derive_from_key(key, sizeof(key), 1, "dr-seal", r.keys[0].secret);
	crypto_aead_xchacha20poly1305_ietf_encrypt(d + 45, NULL, data + 40, size - 40, ad, sizeof(ad), NULL, d + 21,
						   key);
	v = open_copy(w, d, 45 + size - 40 + 16);
	assert(v != SEAL_CLEAR && v != SEAL_NO_KEY && v != SEAL_FORGED);
	assert(v != SEAL_BROKEN || size == 40 || data[40] < 1 || data[40] > 2);
	if (v == SEAL_OPENED)
		assert(w->opened.len == size - 41 && memcmp(w->opened.text, data + 41, size - 41) == 0);
	if (v == SEAL_SKEWED)
		seal_ask(w->b, now, &here, &w->opened, back);
	if (v == SEAL_ASKED)
		seal_answer(w->b, now, &here, &w->opened, back);
}

/* Two bytes where, one byte what: until there are no more, then what is sealed */
static void changed(struct world *w, const uint8_t *data, size_t size)
{
	size_t changes = size ? data[0] % 4 : 0;
	bool same = true;
	enum seal_verdict v;

	if (size < 1 + 3 * changes)
		return;
	size_t len = size - 1 - 3 * changes;
	const uint8_t *text = data + 1 + 3 * changes;
	if (len > SEAL_MAX - SEAL_BYTES)
		len = SEAL_MAX - SEAL_BYTES;
	seal_data(w->a, now, &here, (const char *)text, len, sealed_put, w);
	assert(w->len == len + SEAL_BYTES);
	char *before = xmemdup(w->sealed, w->len);

	for (size_t i = 0; i < changes; i++)
		w->sealed[(size_t)(data[1 + 3 * i] << 8 | data[2 + 3 * i]) % w->len] ^= (char)data[3 + 3 * i];
	same = memcmp(before, w->sealed, w->len) == 0;
	free(before);
	v = open_copy(w, w->sealed, w->len);
	if (!same) {
		assert(v == SEAL_CLEAR || v == SEAL_BROKEN || v == SEAL_NO_KEY || v == SEAL_FORGED);
		return;
	}
	assert(v == SEAL_OPENED && w->opened.len == len && memcmp(w->opened.text, text, len) == 0);
	assert(open_copy(w, w->sealed, w->len) == SEAL_AGAIN);
	/* and cut off anywhere it is nothing */
	v = open_copy(w, w->sealed, len);
	assert(v == SEAL_BROKEN || v == SEAL_FORGED);
}

static void key_file(const uint8_t *data, size_t size)
{
	struct buf text = {0}, next = {0}, back = {0};
	struct keyring r, again;
	struct err err = {0};
	struct key k;

	buf_append(&text, data, size);
	if (keyring_parse(text.data, text.len, &r, &err) == 0) {
		assert(r.n > 0 && r.n <= KEYRING_MAX);
		assert(keyring_use(&text, r.keys[r.n - 1].id, &next, &err) == 0);
		assert(keyring_parse(next.data, next.len, &again, &err) == 0);
		assert(again.n == r.n && strcmp(again.keys[0].id, r.keys[r.n - 1].id) == 0);
		if (r.n > 1) {
			assert(keyring_remove(&next, r.keys[0].fingerprint, &back, &err) == 0);
			assert(keyring_parse(back.data, back.len, &again, &err) == 0 && again.n == r.n - 1);
		}
		buf_done(&back);
		key_make(&k);
		if (r.n < KEYRING_MAX) {
			assert(keyring_add(&text, &k, &back, &err) == 0);
			assert(keyring_parse(back.data, back.len, &again, &err) == 0 && again.n == r.n + 1);
			assert(memcmp(again.keys[r.n].secret, k.secret, KEY_BYTES) == 0);
		}
	} else {
		assert(err.text[0]);
	}
	keyring_text_done(&text);
	keyring_text_done(&next);
	keyring_text_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;

	if (!w.a) {
		w.a = member("00000000000000000000000000000001");
		w.b = member("00000000000000000000000000000002");
		struct keyring r = {.n = 1};
		key_make(&r.keys[0]);
		memcpy(w.other_id, r.keys[0].id_bytes, KEY_ID_BYTES);
		w.other = seal_new(SEAL_DISCOVERY, "00000000000000000000000000000003", &r, USEC_PER_SEC);
	}
	if (size < 1)
		return 0;
	switch (data[0] % 4) {
	case 0:
		stranger(&w, data + 1, size - 1);
		break;
	case 1:
		changed(&w, data + 1, size - 1);
		break;
	case 2:
		key_file(data + 1, size - 1);
		break;
	case 3:
		other_program(&w, data + 1, size - 1);
		break;
	}
	return 0;
}
