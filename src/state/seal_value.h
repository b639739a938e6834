/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Sealed values
 *
 * What lies in somebody else's store (etcd, DNS) for all members to read, sealed with the first key of the ring, and
 * opened with any of them. It is a text:
 *
 *	"DR1." base64 of	 0..3   id of the key
 *				 4..27  nonce, random
 *				28..    encrypted: what is sealed, and 16 bytes that prove it all
 *
 * XChaCha20-Poly1305, by a key that is derived from that of the ring for this purpose. Its place in the store is bound
 * in: a value that is copied to another place does not open there. Who can write to the store can still take values
 * away, and bring back one that was in the same place before.
 *
 * Pure; the random bytes are libsodium's.
 */
#ifndef STATE_SEAL_VALUE_H
#define STATE_SEAL_VALUE_H

#include "state/keyring.h"
#include "state/seal.h"

/** enum value_purpose - What keys are derived for; numbers are never used again, and differ from those in seal.c */
enum value_purpose { VALUE_ETCD = 16, VALUE_DNS = 17 };

/** struct value_keys - n 0: there is no key, and values are in clear */
struct value_keys {
	size_t n;
	struct value_key {
		uint8_t secret[32];
		uint8_t id_bytes[KEY_ID_BYTES];
	} keys[KEYRING_MAX];
};

/** value_keys_derive() - Out of a ring; value_keys_done() - wipe them */
void value_keys_derive(struct value_keys *ret, enum value_purpose purpose, const struct keyring *ring);
void value_keys_done(struct value_keys *k);

/** value_key_nth() - Where in the ring is the key of this id? Return: -1: nowhere */
int value_key_nth(const struct value_keys *k, const char *id);
/** value_sealed_len() - How long the text is that @len bytes become; without a key @len */
size_t value_sealed_len(const struct value_keys *k, size_t len);
/**
 * value_seal() - Append @data, sealed; without a key as it is
 * @about: where the value will be, for instance its key in the store
 */
void value_seal(const struct value_keys *k, const char *about, const void *data, size_t len, struct buf *ret);
/** value_seal_with() - The same with another key of the ring than the first */
void value_seal_with(const struct value_keys *k, size_t nth, const char *about, const void *data, size_t len,
		     struct buf *ret);
/**
 * value_open() - Append what was sealed, or without a key what is not
 * @ret_id: the id of its key, "" when it is not sealed
 *
 * Return: SEAL_OPENED; SEAL_CLEAR not sealed, and we have a key; SEAL_NO_KEY sealed with a key that we do not have, or
 * we have none; SEAL_FORGED changed, or of another place; SEAL_BROKEN sealed otherwise
 */
enum seal_verdict value_open(const struct value_keys *k, const char *about, const char *data, size_t len,
			     struct buf *ret, char ret_id[static KEY_ID_LEN + 1]) MUST_USE;

#endif
