/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: A container that is answered
 *
 *   waiting --> socket for queries, socket to Docker's resolver --> probe --> rule --> answered
 *      ^                                                              |
 *      +------- back-off: too young, gone, no resolver, no kernel ----+
 *
 * The rule comes last, when queries can be answered, and goes first: all is given up by closing it. The probe is a
 * header without a question, which Docker's resolver answers or passes over; the kernel refuses it where there is none
 * (Docker's default bridge, Podman).
 *
 * After a restart of dockerd with live-restore its resolver listens on another port, and the kernel's connection
 * tracking would hold our one flow to the old one for ever. It tells us, as a refusal; then the socket takes another
 * port, which makes another flow, and what was refused is sent again, until there is an answer or nobody waits for it
 * any more. Meanwhile what we know ourselves is answered as ever. A flow that began while dockerd was replacing its
 * rules is not refused and may lead elsewhere: each new one is left again after 1, 3, 7, 15 and 31 seconds.
 */
#ifndef NAMES_CONTAINER_H
#define NAMES_CONTAINER_H

#include "io/broker.h"
#include "names/dns.h"
#include "names/table.h"

#define BATCH 16 /* datagrams a system call */

/** struct batch - Room for what comes in and goes out in one go; one for all, since one is served at a time */
struct batch {
	uint8_t in[BATCH][DNS_QUERY_BYTES], out[BATCH][DNS_REPLY_BYTES];
	uint8_t answer[65536]; /* of Docker's resolver: passed on whatever its size */
};

/** struct serve - What all containers share; its owner changes @table, and lives longer than they do */
struct serve {
	uv_loop_t *loop;
	struct broker *broker;	   /* NULL: freed, and nothing is answered any more */
	const struct table *table; /* NULL: nothing is known yet, all is passed on */
	struct batch *batch;
	uint32_t turn;
	uint64_t answered, asked_on, refused;
	loop_fn *changed; /* container_answered() or container_why() of one differs */
	void *arg;
};

struct container;

/** container_new() - Begin to answer @c. Everything needed of it is copied */
struct container *container_new(struct serve *s, const struct inv_container *c);
/** container_free() - Queries go to Docker's resolver again, at once */
void container_free(struct container *c);
/** container_update() - What the inventory says now: another sandbox is another container */
void container_update(struct container *c, const struct inv_container *now);
/** container_table_changed() - serve.table is another one: what pointed into the old one is looked up anew */
void container_table_changed(struct container *c);
const char *container_id(const struct container *c);
bool container_answered(const struct container *c);
/** container_why() - Why it is not answered, in words; "" while it is, or nothing is known yet */
const char *container_why(const struct container *c);
/** container_failing() - Has it been tried in vain for a while, so that people should know? */
bool container_failing(const struct container *c);

#endif
