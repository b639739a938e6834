/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Facts
 *
 * What a source that carries datagrams for others, as gossip does, is given of us and gives us of others: ANNOUNCE and
 * NAMES datagrams, each under a key of its own. It tells what it has until it says that it has it no more, so facts are
 * a feed (feed.c), and are checked as datagrams are, but for the address that they come from.
 *
 * Parts of a message are facts of their own and may come in any order, hours apart: they are put together when the
 * store has all of them.
 */
#ifndef DISCOVERY_FACTS_H
#define DISCOVERY_FACTS_H

#include "discovery/core.h"

/** core_facts_fn - Something that we tell; @data is borrowed */
typedef void core_facts_fn(void *arg, uint64_t key, const char *data, size_t len);
/** core_facts() - All that we tell of our stacks and their names; nothing while there is no address */
void core_facts(struct core *core, core_facts_fn *fn, void *arg);

/** struct fact_store - Where facts are: @get returns NULL where there is none of that key of that host */
struct fact_store {
	const void *(*get)(void *arg, const char *host_id, uint64_t key, size_t *ret_len);
	void *arg;
};

/**
 * core_feed_fact() - The store has this of @host_id, anew or for the first time
 * Return: 0, also when something newer is known from elsewhere; -EINVAL with @err: it says nothing that can be believed
 */
int core_feed_fact(struct core *core, struct core_now now, enum feed feed, const struct fact_store *store,
		   const char *host_id, const void *data, size_t len, struct err *err) MUST_USE;
/** core_feed_fact_drop() - It has the fact of that key no more */
void core_feed_fact_drop(struct core *core, struct core_now now, enum feed feed, const char *host_id, uint64_t key);
/** core_feed_host_drop() - It has nothing of that host any more */
void core_feed_host_drop(struct core *core, struct core_now now, enum feed feed, const char *host_id);

#endif
