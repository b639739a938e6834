/* SPDX-License-Identifier: Apache-2.0
 *
 * Which records a name means: the rules by which names answers, applied to records.json. Pure.
 */
#ifndef CLI_LOOKUP_H
#define CLI_LOOKUP_H

#include "state/discovery.h"
#include "state/records.h"
#include "state/router.h"

#define RECORD_NAME_BYTES (LABEL_BYTES + LIMIT_NAME)
#define QUESTION_BYTES	  320 /* longer ones name nothing */
#define NEAREST_MAX	  5
#define ASKER_MAX	  16 /* stacks, subnets of a container, as names looks at them */

/** struct lookup - Records that fit, borrowed, in the order of the file */
struct lookup {
	const struct record **v;
	size_t n, cap;
	bool below_domain; /* the question ended in the domain: nobody else is asked */
};

/** struct scope - VNIs that are looked at; n 0: all */
struct scope {
	const uint32_t *vnis;
	size_t n;
};

/** struct asker - A container that asks, as far as the answer depends on it */
struct asker {
	const struct record_container *container;
	struct asker_stack {
		const char *stack_id;
		uint32_t vni;
		bool mapped;
	} stacks[ASKER_MAX];
	size_t n_stacks;
	struct prefix subnets[ASKER_MAX];
	size_t n_subnets;
	bool elsewhere; /* on a network of no stack too: its names without a dot are Docker's */
};

/** enum seen - Which of its addresses a container is given */
enum seen {
	SEEN_TRUE,
	SEEN_MAPPED,
	SEEN_NOT, /* neither: it would lead into the asker's own network, or the router refused it */
};

/** asker_make() - @ret borrows all three */
void asker_make(const struct record_container *c, const struct inventory *inv, const struct discovery *d,
		struct asker *ret);
/** asker_is_of() - Is the record one of the asker's own stack? */
bool asker_is_of(const struct asker *a, const struct record *r, const struct discovery *d);
/** record_seen() - Which of the two i-th addresses @a is given. @a NULL: who is not of that stack, but mapped too */
enum seen record_seen(const struct record *r, size_t i, const struct asker *a, const struct discovery *d,
		      const struct router_state *router);
/** record_has() - Is @ip the i-th address of it, the true or the mapped one? */
bool record_has(const struct record *r, size_t i, const struct ip *ip);

/** record_name() - "web.shop", or "shop" for the stack itself: as people type it */
const char *record_name(const struct record *r, char out[static RECORD_NAME_BYTES]);
/** record_answer() - The i-th address that others are given: the mapped one where there is one */
const struct ip *record_answer(const struct record *r, size_t i);
/** record_host() - Its host's name, or the first digits of its id. Never empty */
const char *record_host(const struct record *r, char out[static 64]);

/**
 * lookup_name() - NAME.STACK, NAME.STACK@HOST, NAME.STACK.HOST, STACK, STACK@HOST, each also below the domain; upper
 * and lower case are one, a dot at the end is none
 */
void lookup_name(const struct records *r, const char *question, struct scope scope, struct lookup *ret);
/** lookup_part() - Records whose name without its stack is @name: "web" for all of web.shop, web.blog */
void lookup_part(const struct records *r, const char *name, struct lookup *ret);
/** lookup_address() - Who has @ip, as its own or as the mapped address: of each stack one record, rather a container's
 */
void lookup_address(const struct records *r, const struct ip *ip, struct scope scope, struct lookup *ret);
void lookup_done(struct lookup *l);

/** lookup_unhealthy() - Containers of this host that would be called so, were they healthy. Return: how many, <= @max
 */
size_t lookup_unhealthy(const struct inventory *inv, const char *domain, const char *host_name, const char *question,
			struct scope scope, const struct inv_container **ret, size_t max);
/**
 * lookup_docker() - What Docker's own resolver answers this container: another one of its networks is called so
 * @ret_ips: their addresses there, with commas
 * Return: is there one?
 */
bool lookup_docker(const struct inventory *inv, const char *container_id, const char *question, struct buf *ret_ips);

/** lookup_nearest() - What may have been meant: a slip, the same name in another stack, others of that stack */
size_t lookup_nearest(const struct records *r, const char *question, struct scope scope,
		      char ret[static NEAREST_MAX][RECORD_NAME_BYTES]);

#endif
