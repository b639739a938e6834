/* SPDX-License-Identifier: Apache-2.0
 *
 * Joining a cluster of the mode gossip: whom by, and the token that carries what a new host needs.
 *
 * STATE_DIR/join.json, written by the verb `join` as root; discovery reads it at start and whenever it changes:
 *
 *	{"version":1,"join":["nas.lan:4791"],"refused":"the token has expired ...","refused_at":"..."}
 *
 * STATE_DIR/keys/cluster.key is the key file where CLUSTER_KEY_FILE names no other; the folder is root's, mode 0700.
 *
 * A token is one word, "drj1." and base64url of: made, expires (s since 1970, 8 bytes each), number of keys and keys of
 * 32 bytes, number of addresses and each with a byte of length in front, 8 bytes of hash of all that. Whoever has it
 * has the keys, so its time binds those who use it as it is meant: it is there against tokens that lie about.
 */
#ifndef STATE_JOIN_H
#define STATE_JOIN_H

#include "state/json.h"
#include "state/keyring.h"

#define STATE_JOIN	 "join.json"
#define STATE_KEYS	 "keys"
#define STATE_KEY_FILE	 STATE_KEYS "/cluster.key"
#define JOIN_PORT	 4791
#define JOIN_TOKEN_BYTES 4096 /* of text, more than any token has */
#define JOIN_TOKEN_HEAD	 "drj1."
#define JOIN_SKEW_S	 300 /* that clocks may differ by */

struct join_target {
	char host[256];		 /* a name, or the text of an address */
	struct endpoint address; /* ip none: it is a name; port is set in both cases */
};

/** join_parse() - "name", "name:port", "192.0.2.1", "192.0.2.1:4791", "2001:db8::1", "[2001:db8::1]:4791". 0 or -EINVAL
 */
int join_parse(const char *s, uint16_t default_port, struct join_target *ret) MUST_USE;

struct join_list {
	char to[LIMIT_JOIN][LIMIT_JOIN_BYTES];
	size_t n;
};
/** join_list_add() - In front; the same one once, the last one falls out where there are too many */
void join_list_add(struct join_list *l, const char *to);

struct join_file {
	struct join_list join;
	char refused[200]; /* why the last attempt was refused, "": it was not */
	wall_t refused_at;
};
/** join_file_read() - Return: 0; -ENOENT; -EINVAL; ... */
int join_file_read(int dirfd, const struct file_owner *owner, struct join_file *ret, struct err *err) MUST_USE;
int join_file_write(int dirfd, const struct join_file *f, struct err *err) MUST_USE;

/** join_key_path() - The key file: @configured (CLUSTER_KEY_FILE), or that of STATE_DIR where it is "" */
void join_key_path(const char *configured, const char *state_dir, char *ret, size_t size);
/** join_key_folder() - Make it, or see that it is root's (or ours) and nobody else can look into it */
int join_key_folder(int dirfd, struct err *err) MUST_USE;

struct join_token {
	wall_t made, expires;
	struct keyring ring; /* may be empty: a cluster without a key */
	struct join_list join;
};
/** join_token_print() - @out: wipe it: keyring_text_done() */
void join_token_print(const struct join_token *t, struct buf *out);
/**
 * join_token_parse() - White space around it is passed over
 * Return: 0; -EINVAL no token, or damaged; -EKEYEXPIRED; -ETIME the clock here is before it was made
 */
int join_token_parse(const char *s, size_t len, wall_t now, struct join_token *ret, struct err *err) MUST_USE;
void join_token_done(struct join_token *t);

#endif
