/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Which name leads where
 *
 * Built anew whenever a state file changes, out of inventory.json (our stacks, and who may ask), names.json (what peers
 * say of theirs), discovery.json (which peers there are, their subnets and mapped ones) and router.json (what is
 * refused). A pure function of them; the rules are those of docs/decisions/11-names.md:
 *
 *   NAME.STACK, STACK               of all hosts that have a stack of that name
 *   NAME.STACK.HOST, NAME.STACK@HOST, STACK@HOST, STACK.HOST   of one; HOST as it calls itself, or up to the first dot
 *   each also below the domain
 *
 * A name and a stack may have dots in them: the shortest stack at the end of the name that has it is taken. A viewer
 * sees the stacks of its VNIs. Addresses of a peer that lie outside the subnets of its stack are not believed. Those
 * that lead the viewer elsewhere, since it has that subnet itself or the router refused it, are not told: the name is
 * there, and has none.
 */
#ifndef NAMES_TABLE_H
#define NAMES_TABLE_H

#include "state/discovery.h"
#include "state/names.h"
#include "state/records.h"
#include "state/router.h"

#define FIND_MAX 256 /* addresses of one name; no answer holds more */

struct table;
struct viewer; /* who asks: a container, or the host */

/**
 * table_new() - All is borrowed for the table's life
 * @router: of which refused[] is looked at
 * @domain: lower case, without dots at its ends
 */
struct table *table_new(const struct inventory *inv, const struct names *names, const struct discovery *d,
			const struct router_state *router, const char *domain);
void table_free(struct table *t);
const char *table_domain(const struct table *t);

/** table_viewer() - A container of ours, or NULL; lives as long as the table */
const struct viewer *table_viewer(const struct table *t, const char *container_id);
/** table_host() - The host itself: it sees all VNIs that it has a stack in */
const struct viewer *table_host(const struct table *t);

enum find {
	FIND_NONE,   /* none of ours, or Docker's own resolver knows it: it is to be asked */
	FIND_NAME,   /* it is there, though perhaps without an address of that family */
	FIND_ABSENT, /* below the domain, and not there */
};

/**
 * table_find() - Look a name up
 * @name:   lower case, no dot at its end
 * @family: AF_INET, AF_INET6 or 0: both
 * @ret:    addresses, as @v is to use them
 */
enum find table_find(const struct table *t, const struct viewer *v, const char *name, uint8_t family,
		     struct ip ret[static FIND_MAX], size_t *ret_n);
/**
 * table_find_ip() - The name of an address, below the domain
 *
 * Return: FIND_NAME, or FIND_NONE: also for addresses in the viewer's own networks, which Docker knows
 */
enum find table_find_ip(const struct table *t, const struct viewer *v, const struct ip *ip, char *ret, size_t size);
/** table_below() - Does @name, lower case, lie below the domain, or is it the domain itself? */
bool table_below(const struct table *t, const char *name);

/** table_records() - All that is answered to anybody, sorted; and stacks whose names are held back. Adds to @ret */
void table_records(const struct table *t, struct records *ret);

#endif
