/* SPDX-License-Identifier: Apache-2.0
 *
 * The book of ids and addresses: open addressing, by a seeded hash of which each place holds some bits, so that the
 * entries of others are not looked at.
 */
#include "discovery/gossip_book.h"

#define TAG(h)	 ((uint32_t)((h) >> 48) << 16)
#define PLACE(i) ((uint16_t)(((i)&0xffff) - 1))

static uint64_t hash(const struct gossip_book *b, const uint8_t *key)
{
	uint64_t w[2], h;
	uint32_t last;

	memcpy(w, key, sizeof(w));
	memcpy(&last, key + sizeof(w), sizeof(last));
	h = (w[0] ^ b->seed) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ h >> 32 ^ w[1]) * (b->seed | 1);
	h = (h ^ h >> 32 ^ last) * UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 32;
}

/* Return: where in the index it is, or the gap where it would be */
static size_t index_find(const struct book_list *l, uint64_t h, const uint8_t *key)
{
	size_t mask = l->index_size - 1, i = h & mask;

	for (; l->index[i]; i = (i + 1) & mask) {
		if ((l->index[i] & 0xffff0000) == TAG(h) &&
		    memcmp(l->entries[PLACE(l->index[i])].key, key, BOOK_KEY) == 0)
			break;
	}
	return i;
}

static void index_grow(const struct gossip_book *b, struct book_list *l)
{
	free(l->index);
	l->index_size = l->index_size ? l->index_size * 2 : 16;
	l->index = xcalloc(l->index_size, sizeof(*l->index));
	for (size_t n = 0; n < l->n; n++) {
		const uint8_t *key = l->entries[n].key;
		uint64_t h = hash(b, key);

		if (l->entries[n].users)
			l->index[index_find(l, h, key)] = TAG(h) | ((uint32_t)n + 1);
	}
}

/* Those behind the gap that would not be found any more move up */
static void index_remove(const struct gossip_book *b, struct book_list *l, const uint8_t *key)
{
	size_t mask = l->index_size - 1, gap = index_find(l, hash(b, key), key);

	l->index[gap] = 0;
	for (size_t i = (gap + 1) & mask; l->index[i]; i = (i + 1) & mask) {
		size_t home = hash(b, l->entries[PLACE(l->index[i])].key) & mask;

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		l->index[gap] = l->index[i];
		l->index[i] = 0;
		gap = i;
	}
}

static uint16_t list_find(const struct gossip_book *b, const struct book_list *l, const uint8_t *key)
{
	return l->index_size ? PLACE(l->index[index_find(l, hash(b, key), key)]) : BOOK_NONE;
}

static uint16_t list_add(const struct gossip_book *b, struct book_list *l, const uint8_t *key)
{
	uint16_t n = list_find(b, l, key);

	if (n != BOOK_NONE) {
		l->entries[n].users++;
		return n;
	}
	if (l->free != BOOK_NONE) {
		n = l->free;
		memcpy(&l->free, l->entries[n].key, sizeof(l->free));
	} else {
		if (l->n == BOOK_NONE)
			return BOOK_NONE;
		xgrow(&l->entries, l->n, &l->cap);
		n = (uint16_t)l->n++;
	}
	memcpy(l->entries[n].key, key, BOOK_KEY);
	l->entries[n].users = 1;
	if (++l->n_used * 4 > l->index_size * 3)
		index_grow(b, l);
	else
		l->index[index_find(l, hash(b, key), key)] = TAG(hash(b, key)) | ((uint32_t)n + 1);
	return n;
}

static void list_drop(const struct gossip_book *b, struct book_list *l, uint16_t n)
{
	struct book_entry *e = &l->entries[n];

	if (--e->users)
		return;
	index_remove(b, l, e->key);
	memcpy(e->key, &l->free, sizeof(l->free));
	l->free = n;
	l->n_used--;
}

struct gossip_book *gossip_book_new(uint64_t random)
{
	struct gossip_book *b = xcalloc(1, sizeof(*b));

	b->seed = random;
	b->cores = 1;
	b->ids.free = b->addresses.free = BOOK_NONE;
	return b;
}

void gossip_book_free(struct gossip_book *b)
{
	if (!b || --b->cores)
		return;
	free(b->ids.entries);
	free(b->ids.index);
	free(b->addresses.entries);
	free(b->addresses.index);
	free(b);
}

static void id_key(const struct gossip_id *id, uint8_t key[BOOK_KEY])
{
	memcpy(key, id->b, sizeof(id->b));
	memset(key + sizeof(id->b), 0, BOOK_KEY - sizeof(id->b));
}

uint16_t book_id_find(const struct gossip_book *b, const struct gossip_id *id)
{
	uint8_t key[BOOK_KEY];

	id_key(id, key);
	return list_find(b, &b->ids, key);
}

uint16_t book_id_add(struct gossip_book *b, const struct gossip_id *id)
{
	uint8_t key[BOOK_KEY];

	id_key(id, key);
	return list_add(b, &b->ids, key);
}

void book_id_drop(struct gossip_book *b, uint16_t n)
{
	list_drop(b, &b->ids, n);
}

static void address_key(const struct endpoint *e, uint8_t key[BOOK_KEY])
{
	memcpy(key, e->ip.b, sizeof(e->ip.b));
	memcpy(key + 16, &e->port, sizeof(e->port));
	key[18] = e->ip.family;
	key[19] = 0;
}

uint16_t book_address_add(struct gossip_book *b, const struct endpoint *e)
{
	uint8_t key[BOOK_KEY];

	address_key(e, key);
	return list_add(b, &b->addresses, key);
}

void book_address_drop(struct gossip_book *b, uint16_t n)
{
	list_drop(b, &b->addresses, n);
}

struct endpoint book_address(const struct gossip_book *b, uint16_t n)
{
	const uint8_t *key = b->addresses.entries[n].key;
	struct endpoint e = {.ip.family = key[18]};

	memcpy(e.ip.b, key, sizeof(e.ip.b));
	memcpy(&e.port, key + 16, sizeof(e.port));
	return e;
}

bool book_address_is(const struct gossip_book *b, uint16_t n, const struct endpoint *e)
{
	uint8_t key[BOOK_KEY];

	address_key(e, key);
	return memcmp(b->addresses.entries[n].key, key, sizeof(key)) == 0;
}

size_t book_bytes(const struct gossip_book *b)
{
	return sizeof(*b) + (b->ids.cap + b->addresses.cap) * sizeof(struct book_entry) +
	       (b->ids.index_size + b->addresses.index_size) * sizeof(uint32_t);
}
