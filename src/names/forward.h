/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries on their way to Docker's resolver: whose they are, by the id that they were given. Pure; a bounded table that
 * needs no timer: an entry whose time is over is free. When all are taken, a new query takes the place of an old one,
 * whose client asks again as after any loss.
 */
#ifndef NAMES_FORWARD_H
#define NAMES_FORWARD_H

#include <netinet/in.h>

#include "base/base.h"

#define FORWARD_FIRST 16 /* of a container that is quiet */
#define FORWARD_MAX   1024
#define FORWARD_US    INT64_C(20000000) /* longer than Docker's resolver tries: three upstreams, 4 s and more each */
#define FORWARD_KEPT  16		/* queries that can be sent again */
#define FORWARD_BYTES 128		/* of each; longer ones are few */

struct forward_entry {
	int64_t until_us; /* 0: free */
	uint64_t question;
	struct sockaddr_in client;
	uint16_t id, client_id;
};

struct forward_query {
	uint16_t len; /* 0: none */
	uint8_t bytes[FORWARD_BYTES];
};

struct forward {
	struct forward_entry *v; /* an id's place is its low bits */
	size_t cap;
	struct forward_query *kept; /* FORWARD_KEPT of them, the last ones */
	unsigned at;		    /* where the next one goes: the oldest */
};

void forward_done(struct forward *f);

/**
 * forward_add() - Note a query
 * @random:   16 bits, of a good source; other ids are derived from it when that place is taken
 * @question: dns_question_hash()
 * Return: the id to send it with
 */
uint16_t forward_add(struct forward *f, int64_t now_us, uint16_t random, const struct sockaddr_in *client,
		     uint16_t client_id, uint64_t question);
/**
 * forward_take() - Whose answer is this?
 * @question: 0: the answer repeats none, as some errors do
 * Return: false: nobody's. What is taken is forgotten
 */
bool forward_take(struct forward *f, int64_t now_us, uint16_t id, uint64_t question, struct sockaddr_in *ret_client,
		  uint16_t *ret_id);
/** forward_keep() - Keep a copy of a query as it was sent, the id of forward_add() in it, for when it was refused */
void forward_keep(struct forward *f, const uint8_t *query, size_t len);
/**
 * forward_kept() - The @i-th of the queries that are kept, the oldest first
 * Return: NULL: none, or it has been answered, or its time is over. Borrowed, until the next forward_keep()
 */
const struct forward_query *forward_kept(const struct forward *f, int64_t now_us, unsigned i);

#endif
