/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands between the core and the sockets: with a CLUSTER_KEY_FILE all that goes out is sealed, and only what is
 * sealed comes in; without one all passes, and sealed datagrams are told apart from broken ones. What is refused is
 * counted and told as the core tells its own refusals.
 *
 * The key file belongs to root, and discovery is nobody. So a child of it stays root, without a capability and without
 * a socket to the world, and reads that one file again when it is told to (SIGHUP).
 */
#ifndef DISCOVERY_GUARD_H
#define DISCOVERY_GUARD_H

#include "discovery/core.h"
#include "io/loop.h"
#include "state/seal_value.h"

struct guard;

struct guard_config {
	const char *path; /* "": no key */
	bool optional;	  /* where there is no such file there is no key; guard_reload() looks for it again */
	const char *host_id;
	int64_t live_us;  /* how long a peer that was heard counts */
	loop_fn *changed; /* the keys were read again */
	void *arg;
};

/** guard_new() - Before privileges are dropped. Fails when there is a path, and no key to be had from it */
int guard_new(uv_loop_t *loop, const struct guard_config *config, struct guard **ret, struct err *err) MUST_USE;
void guard_free(struct guard *g); /* NULL is fine */
/** guard_reload() - Read the file again; what cannot be read leaves the keys as they are */
void guard_reload(struct guard *g);
/** guard_key_id() - Of the key that seals, "" without */
const char *guard_key_id(const struct guard *g);

/** guard_keyed() - The first key is there: what was told of others for want of one is over */
void guard_keyed(struct guard *g, struct core *core);

/** guard_value_keys() - For what lies in a store; others after @changed */
const struct value_keys *guard_value_keys(const struct guard *g, enum value_purpose purpose);

/** guard_seal() - @fn gets @data, or what it becomes sealed; @from is the address it will leave from */
void guard_seal(struct guard *g, enum seal_purpose purpose, struct core_now now, const struct endpoint *from,
		const char *data, size_t len, seal_fn *fn, void *arg);

typedef void guard_reply_fn(void *arg, const struct endpoint *to, const char *data, size_t len);
/**
 * guard_open() - May the core have it?
 * @here: the address that we send from
 * @data, @len: changed to what was sealed; good until the next call
 * @reply: sends what goes back at once, without the core
 */
bool guard_open(struct guard *g, enum seal_purpose purpose, struct core *core, struct core_now now,
		const struct endpoint *here, const struct endpoint *from, const char **data, size_t *len,
		guard_reply_fn *reply, void *arg) MUST_USE;

/** guard_seal_of() - What seals, NULL without a key: for streams. guard_no_key() - a stream has failed for want of a
 * common key: @key_id is theirs, "": they have none */
const struct seal *guard_seal_of(const struct guard *g, enum seal_purpose purpose);
void guard_no_key(struct guard *g, struct core *core, struct core_now now, const struct endpoint *from,
		  const char *key_id);

/** guard_reader_main() - The child: `docker-router-discovery --read-key-file PATH`. Return: exit status */
int guard_reader_main(const char *path);
#define GUARD_READER "--read-key-file"

#endif
