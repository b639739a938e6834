/* SPDX-License-Identifier: Apache-2.0
 *
 * Which records a name means: the rules by which names answers, applied to records.json. Pure.
 */
#ifndef CLI_LOOKUP_H
#define CLI_LOOKUP_H

#include "state/records.h"

#define RECORD_NAME_BYTES (LABEL_BYTES + LIMIT_NAME)
#define QUESTION_BYTES	  320 /* longer ones name nothing */
#define NEAREST_MAX	  5

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
/** lookup_address() - Records that have @ip, as their own or as the mapped one */
void lookup_address(const struct records *r, const struct ip *ip, struct scope scope, struct lookup *ret);
void lookup_done(struct lookup *l);

/** lookup_nearest() - What may have been meant: a slip, the same name in another stack, others of that stack */
size_t lookup_nearest(const struct records *r, const char *question, struct scope scope,
		      char ret[static NEAREST_MAX][RECORD_NAME_BYTES]);

#endif
