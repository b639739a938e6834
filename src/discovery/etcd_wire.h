/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to and answers of etcd's v3 JSON gateway, etcd 3.4 to 3.6. Keys and values are base64, 64-bit numbers are
 * strings, and what has its default value is left out: a dead lease's keep-alive has no TTL.
 *
 * Pure: text in, structs out and back. Every answer is a stranger's: bounded, and keys outside of the prefix are none.
 */
#ifndef DISCOVERY_ETCD_WIRE_H
#define DISCOVERY_ETCD_WIRE_H

#include "base/base.h"

#define ETCD_KEY_BYTES	  512	      /* NUL included; the longest prefix, stack and numbers make 299 */
#define ETCD_VALUE_BYTES  (1u << 20)  /* what a value is sealed, and with copies */
#define ETCD_PEER_BYTES	  (32u << 10) /* a peer with all lists full has some 8 kB */
#define ETCD_NAMES_BYTES  (320u << 10)
#define ETCD_PAGE	  256	      /* keys of one answer to a listing */
#define ETCD_LINE_BYTES	  (8u << 20)  /* of a watch */
#define ETCD_ANSWER_BYTES (16u << 20) /* a page; where it is longer, it is asked for in smaller ones */
#define ETCD_TOKEN_BYTES  2048	      /* JWTs are long */

/* --- requests: the text of the body is appended --- */

void etcd_put_login(struct buf *b, const char *username, const char *password);
void etcd_put_grant(struct buf *b, uint32_t ttl_s);
void etcd_put_lease(struct buf *b, int64_t lease); /* keep-alive, revoke */
/** etcd_put_range() - A page of all below @prefix; @after: behind this key; @revision: as of then. Both may be none */
void etcd_put_range(struct buf *b, const char *prefix, const struct buf *after, int64_t revision, unsigned limit);
void etcd_put_watch(struct buf *b, const char *prefix, int64_t start_revision);
/** etcd_put_txn_begin(), etcd_put_txn_op(), etcd_put_txn_end() - @value NULL: delete the key */
void etcd_put_txn_begin(struct buf *b);
void etcd_put_txn_op(struct buf *b, const char *key, const struct buf *value, int64_t lease);
void etcd_put_txn_end(struct buf *b);

/* --- answers --- */

/** struct etcd_kv - A key below the prefix, without it; the value is borrowed and not NUL-terminated */
struct etcd_kv {
	const char *key;
	const char *value;
	size_t value_len;
	int64_t revision, lease;
	bool deleted;
};
typedef void etcd_kv_fn(void *arg, const struct etcd_kv *kv);

struct etcd_range {
	int64_t revision;
	bool more;
	struct buf last; /* the whole last key; buf_done() */
};
struct etcd_watch {
	int64_t revision; /* all events up to it were told; 0: none were */
	int64_t compact_revision;
	bool created, canceled, fragment;
	char reason[200];
};

/**
 * etcd_refusal() - What an answer that is not 200 means
 *
 * Return: -EACCES user or password is wrong, or more is needed; -EPERM the user may not; -EKEYEXPIRED log in again;
 * -ENOKEY the lease is gone; -ESTALE the revision was compacted; -ENOTSUP there is nothing to log in to; -EIO all else
 */
int etcd_refusal(int status, const char *data, size_t len, struct err *err) MUST_USE;
/** etcd_reason() - The same for the words of a message alone */
int etcd_reason(const char *message) MUST_USE;

/*
 * Return: 0 or -EBADMSG with @err, also when a key is not below @prefix. What is too long is left out.
 */
int etcd_get_token(const char *data, size_t len, char *ret, size_t size, struct err *err) MUST_USE;
int etcd_get_grant(const char *data, size_t len, int64_t *ret_lease, struct err *err) MUST_USE;
/** etcd_get_alive() - @ret_ttl_s 0: the lease is no more. @ret_revision: of the store, or 0 */
int etcd_get_alive(const char *data, size_t len, int64_t *ret_ttl_s, int64_t *ret_revision, struct err *err) MUST_USE;
int etcd_get_txn(const char *data, size_t len, int64_t *ret_revision, struct err *err) MUST_USE;
int etcd_get_range(const char *data, size_t len, const char *prefix, etcd_kv_fn *fn, void *arg, struct etcd_range *ret,
		   struct err *err) MUST_USE;
/** etcd_get_watch() - One line. @fn is called for each event, in order. An error in the stream is @ret->canceled */
int etcd_get_watch(const char *data, size_t len, const char *prefix, etcd_kv_fn *fn, void *arg, struct etcd_watch *ret,
		   struct err *err) MUST_USE;

/** base64_put() - Append; base64_get() - the bytes of @s into a new buffer. Return: 0 or -EBADMSG */
void base64_put(struct buf *b, const void *data, size_t len);
int base64_get(const char *s, size_t len, struct buf *ret) MUST_USE;

#endif
