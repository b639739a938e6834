/* SPDX-License-Identifier: Apache-2.0
 *
 * What is taken of the address space, and where the next free place in a pool is. Pure.
 */
#ifndef DISCOVERY_PLACES_H
#define DISCOVERY_PLACES_H

#include "base/addr.h"

/* From the first address to the last */
struct span {
	struct ip first, last;
};

/** struct places - Zeroed: nothing is taken */
struct places {
	struct span *v;
	size_t n, cap;
	size_t n_sorted; /* so many at the beginning are sorted and apart from each other */
};

void places_done(struct places *p);
/** places_take() - It need not be free */
void places_take(struct places *p, const struct prefix *prefix);
/**
 * places_choose() - The first place of length @len in @pool that is free in all @sets, from the one that @hash names
 * on, around
 *
 * There are at most 2^32 places, each of which has its own 1/2^32 of a larger pool.
 * Return: false when none is free, or @len is not longer than the pool's
 */
bool places_choose(struct places *const *sets, size_t n_sets, const struct prefix *pool, uint8_t len, uint64_t hash,
		   struct prefix *ret);

#endif
