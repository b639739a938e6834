/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealing and opening of values in a store.
 */
#include "state/seal_value.h"

#include <sodium.h>
#include <stdlib.h>

#define MAGIC	    "DR1."
#define MAGIC_LEN   (sizeof(MAGIC) - 1)
#define AT_NONCE    KEY_ID_BYTES
#define AT_SEALED   (AT_NONCE + crypto_aead_xchacha20poly1305_ietf_NPUBBYTES)
#define LONGER	    (AT_SEALED + crypto_aead_xchacha20poly1305_ietf_ABYTES)
#define BASE64	    sodium_base64_VARIANT_ORIGINAL
#define KDF_CONTEXT "dr-seal"

void value_keys_derive(struct value_keys *ret, enum value_purpose purpose, const struct keyring *ring)
{
	if (sodium_init() < 0)
		abort(); /* there is no source of random numbers */
	value_keys_done(ret);
	ret->n = ring->n;
	for (size_t i = 0; i < ring->n; i++) {
		crypto_kdf_derive_from_key(ret->keys[i].secret, sizeof(ret->keys[i].secret), purpose, KDF_CONTEXT,
					   ring->keys[i].secret);
		memcpy(ret->keys[i].id_bytes, ring->keys[i].id_bytes, KEY_ID_BYTES);
	}
}

void value_keys_done(struct value_keys *k)
{
	sodium_memzero(k, sizeof(*k));
}

size_t value_sealed_len(const struct value_keys *k, size_t len)
{
	return k->n ? MAGIC_LEN + sodium_base64_encoded_len(LONGER + len, BASE64) - 1 : len;
}

int value_key_nth(const struct value_keys *k, const char *id)
{
	char of[KEY_ID_LEN + 1];

	for (size_t i = 0; i < k->n; i++) {
		sodium_bin2hex(of, sizeof(of), k->keys[i].id_bytes, KEY_ID_BYTES);
		if (str_eq(of, id))
			return (int)i;
	}
	return -1;
}

void value_seal(const struct value_keys *k, const char *about, const void *data, size_t len, struct buf *ret)
{
	value_seal_with(k, 0, about, data, len, ret);
}

void value_seal_with(const struct value_keys *k, size_t nth, const char *about, const void *data, size_t len,
		     struct buf *ret)
{
	size_t text_len = value_sealed_len(k, len) - MAGIC_LEN;
	autofree uint8_t *raw = NULL;

	if (!k->n) {
		buf_append(ret, data, len);
		return;
	}
	raw = xmalloc(LONGER + len);
	memcpy(raw, k->keys[nth].id_bytes, KEY_ID_BYTES);
	randombytes_buf(raw + AT_NONCE, AT_SEALED - AT_NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(raw + AT_SEALED, NULL, data, len, (const uint8_t *)about,
						   strlen(about), NULL, raw + AT_NONCE, k->keys[nth].secret);
	buf_puts(ret, MAGIC);
	buf_reserve(ret, text_len + 1);
	sodium_bin2base64(ret->data + ret->len, text_len + 1, raw, LONGER + len, BASE64);
	ret->len += text_len;
}

enum seal_verdict value_open(const struct value_keys *k, const char *about, const char *data, size_t len,
			     struct buf *ret, char ret_id[static KEY_ID_LEN + 1])
{
	autofree uint8_t *raw = NULL;
	size_t raw_len, nth = 0;

	ret_id[0] = '\0';
	if (len < MAGIC_LEN || memcmp(data, MAGIC, MAGIC_LEN) != 0) {
		if (k->n)
			return SEAL_CLEAR;
		buf_append(ret, data, len);
		return SEAL_OPENED;
	}
	raw = xmalloc(len);
	for (size_t i = 0; i < len; i++) { /* libsodium takes some bytes above for digits: one text, one value */
		if ((unsigned char)data[i] >= 0x80)
			return SEAL_BROKEN;
	}
	if (sodium_base642bin(raw, len, data + MAGIC_LEN, len - MAGIC_LEN, NULL, &raw_len, NULL, BASE64) != 0 ||
	    raw_len < LONGER)
		return SEAL_BROKEN;
	sodium_bin2hex(ret_id, KEY_ID_LEN + 1, raw, KEY_ID_BYTES);
	while (nth < k->n && memcmp(k->keys[nth].id_bytes, raw, KEY_ID_BYTES) != 0)
		nth++;
	if (nth == k->n)
		return SEAL_NO_KEY;
	buf_reserve(ret, raw_len - LONGER + 1);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt((uint8_t *)ret->data + ret->len, NULL, NULL, raw + AT_SEALED,
						       raw_len - AT_SEALED, (const uint8_t *)about, strlen(about),
						       raw + AT_NONCE, k->keys[nth].secret) != 0)
		return SEAL_FORGED;
	ret->len += raw_len - LONGER;
	ret->data[ret->len] = '\0';
	return SEAL_OPENED;
}
