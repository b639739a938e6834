/* SPDX-License-Identifier: Apache-2.0
 *
 * An open hash from keys to places in an array that somebody else keeps. It stores a hash and the index, never the key:
 * the caller compares.
 */
#ifndef DISCOVERY_TABLE_H
#define DISCOVERY_TABLE_H

#include "base/base.h"

#define TABLE_NONE UINT32_MAX

struct table_slot {
	uint32_t hash, place; /* place + 1; 0: empty */
};

/** struct table - Zeroed: empty */
struct table {
	struct table_slot *slots;
	size_t n, n_slots; /* n_slots: a power of two */
};

/** table_same_fn - Has the element at @place the key @key? */
typedef bool table_same_fn(const void *owner, uint32_t place, const void *key);

void table_done(struct table *t);
/** table_find() - Return: the place, or TABLE_NONE */
uint32_t table_find(const struct table *t, uint32_t hash, table_same_fn *same, const void *owner, const void *key);
/** table_put() - Add; the key must not be there yet */
void table_put(struct table *t, uint32_t hash, uint32_t place);
/** table_remove() - Take out the entry of @place, which must be there */
void table_remove(struct table *t, uint32_t hash, uint32_t place);

#endif
