/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The key ring
 *
 * CLUSTER_KEY_FILE, a text: one key of 256 bits a line, in base64 or as 64 hex digits; blank lines, and comments behind
 * a '#'. The first key seals, all of them open, so that a key can be changed without a moment in which two members do
 * not understand each other: add the new one everywhere, then put it first everywhere, then remove the old one
 * everywhere.
 *
 * A key is called by its id, which is the beginning of its fingerprint, a hash. Keys are wiped from memory when they
 * are no longer needed, and stand in no message, whatever is wrong with them.
 */
#ifndef STATE_KEYRING_H
#define STATE_KEYRING_H

#include "base/base.h"

#define KEYRING_MAX	   16
#define KEY_BYTES	   32
#define KEY_TEXT_LEN	   44 /* in base64 */
#define KEY_ID_LEN	   8  /* hex digits */
#define KEY_ID_BYTES	   4
#define KEY_PRINT_LEN	   32 /* hex digits of a fingerprint */
#define KEYRING_FILE_BYTES 8192

struct key {
	uint8_t secret[KEY_BYTES];
	uint8_t id_bytes[KEY_ID_BYTES];
	char fingerprint[KEY_PRINT_LEN + 1];
	char id[KEY_ID_LEN + 1];
};

struct keyring {
	struct key keys[KEYRING_MAX];
	size_t n;
};

/** key_make() - A new key, from the kernel's random source */
void key_make(struct key *ret);
/** key_name() - Its fingerprint and id, from the secret */
void key_name(struct key *k);
/** key_format() - As it stands in a file; wipe @out */
void key_format(const struct key *k, char out[static KEY_TEXT_LEN + 1]);

/** keyring_parse() - At least one key. Return: 0; -EINVAL a line that is none, the same twice, or none at all; -E2BIG
 */
int keyring_parse(const char *text, size_t len, struct keyring *ret, struct err *err) MUST_USE;
/** keyring_done() - Wipe it */
void keyring_done(struct keyring *r);

/**
 * keyring_load() - The text of a key file; end with keyring_text_done()
 *
 * It must be a regular file that belongs to root or to us, and that nobody else can read.
 * Return: 0; -ENOENT; -EPERM owner or mode; -E2BIG; else -errno
 */
int keyring_load(const char *path, struct buf *ret_text, struct err *err) MUST_USE;
/** keyring_read() - keyring_load() and keyring_parse() */
int keyring_read(const char *path, struct keyring *ret, struct err *err) MUST_USE;
/** keyring_save() - Replace the file at once; it survives power loss */
int keyring_save(const char *path, const struct buf *text, struct err *err) MUST_USE;
void keyring_text_done(struct buf *text); /* wipes it */

/**
 * keyring_add(), keyring_use(), keyring_remove() - Edit the text of a key file; pure
 * @id:  an id or a fingerprint
 * @ret: the new text; comments stay, unless they stand on the line of a key that is removed
 *
 * add puts a key behind the last one; use makes it the first; remove takes it out, unless it is the first.
 * Return: 0; -EEXIST, -ENOENT, -EBUSY (it is the first), -E2BIG, or as keyring_parse()
 */
int keyring_add(const struct buf *text, const struct key *k, struct buf *ret, struct err *err) MUST_USE;
int keyring_use(const struct buf *text, const char *id, struct buf *ret, struct err *err) MUST_USE;
int keyring_remove(const struct buf *text, const char *id, struct buf *ret, struct err *err) MUST_USE;

#endif
