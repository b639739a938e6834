/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Who has just started, and is to be looked for
 *
 * What a program says in the moment in which it starts may be lost: its port of the bridge does not forward yet, or
 * this role was not there. It says it again after minutes. So a container that appears is asked, a few times in a row,
 * until something of it was heard; ssdp_look() and mdns_look() do the asking. Pure, bounded.
 */
#ifndef MULTICAST_STARTS_H
#define MULTICAST_STARTS_H

#include "base/addr.h"
#include "base/clock.h"

#define STARTS	   256 /* at once; what is more is heard when it speaks by itself */
#define STARTS_TRY 10  /* within 13 seconds, the first six within one */

struct start {
	uint32_t leg;
	struct ip who;
	int64_t since_us, due_us;
	unsigned tries;
};

/** struct starts - In place; all zeroes is empty */
struct starts {
	struct start v[STARTS];
	size_t n;
};

/** starts_add() - @who has appeared on @leg; when he is there already, from the first try again */
void starts_add(struct starts *s, mono_t now, uint32_t leg, const struct ip *who);
/** starts_next() - One to look for now; its next try is set, or it is forgotten after the last. Return: false: none */
bool starts_next(struct starts *s, mono_t now, struct start *ret);
/** starts_found() - No need to look for him any longer */
void starts_found(struct starts *s, uint32_t leg, const struct ip *who);
void starts_leg_over(struct starts *s, uint32_t leg);
int64_t starts_due(const struct starts *s); /* INT64_MAX: no timer */

#endif
