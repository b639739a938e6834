/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear probing at a load of at most one half; a removal shifts what follows back, so that there are no graves.
 */
#include "discovery/table.h"

#include <assert.h>

void table_done(struct table *t)
{
	free(t->slots);
	*t = (struct table){0};
}

uint32_t table_find(const struct table *t, uint32_t hash, table_same_fn *same, const void *owner, const void *key)
{
	size_t mask = t->n_slots - 1;

	if (t->n_slots == 0)
		return TABLE_NONE;
	for (size_t i = hash & mask; t->slots[i].place; i = (i + 1) & mask) {
		if (t->slots[i].hash == hash && same(owner, t->slots[i].place - 1, key))
			return t->slots[i].place - 1;
	}
	return TABLE_NONE;
}

static void slot_put(struct table *t, struct table_slot slot)
{
	size_t mask = t->n_slots - 1, i = slot.hash & mask;

	while (t->slots[i].place)
		i = (i + 1) & mask;
	t->slots[i] = slot;
}

static void table_grow(struct table *t)
{
	struct table old = *t;

	t->n_slots = old.n_slots ? old.n_slots * 2 : 16;
	t->slots = xcalloc(t->n_slots, sizeof(*t->slots));
	for (size_t i = 0; i < old.n_slots; i++) {
		if (old.slots[i].place)
			slot_put(t, old.slots[i]);
	}
	free(old.slots);
}

void table_put(struct table *t, uint32_t hash, uint32_t place)
{
	if ((t->n + 1) * 2 > t->n_slots)
		table_grow(t);
	slot_put(t, (struct table_slot){.hash = hash, .place = place + 1});
	t->n++;
}

static size_t slot_of(const struct table *t, uint32_t hash, uint32_t place)
{
	size_t mask = t->n_slots - 1, i = hash & mask;

	while (t->slots[i].place != place + 1) {
		assert(t->slots[i].place);
		i = (i + 1) & mask;
	}
	return i;
}

void table_remove(struct table *t, uint32_t hash, uint32_t place)
{
	size_t mask = t->n_slots - 1, hole = slot_of(t, hash, place);

	for (size_t i = (hole + 1) & mask; t->slots[i].place; i = (i + 1) & mask) {
		/* May it move back to the hole? Only when its home is not between the two */
		if (((i - t->slots[i].hash) & mask) >= ((i - hole) & mask)) {
			t->slots[hole] = t->slots[i];
			hole = i;
		}
	}
	t->slots[hole] = (struct table_slot){0};
	t->n--;
}
