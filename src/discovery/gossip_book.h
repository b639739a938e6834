/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is who: the ids and the addresses of members, each kept once and known by a number from then on. A table of
 * members is an array in the order of these numbers, so that what a core holds of a member is half a cache line. A core
 * has a book of its own; where thousands of cores share a process, as in the simulation, they share one book too.
 *
 * Hashes are seeded: strangers cannot foresee which ids collide.
 */
#ifndef DISCOVERY_GOSSIP_BOOK_H
#define DISCOVERY_GOSSIP_BOOK_H

#include "discovery/gossip.h"

#define BOOK_KEY  20
#define BOOK_NONE UINT16_MAX

/** struct book_list - Things of BOOK_KEY bytes, at most BOOK_NONE of them */
struct book_list {
	struct book_entry {
		uint8_t key[BOOK_KEY];
		uint32_t users; /* how many know its number; 0: free, and the key begins with the next free place */
	} * entries;
	size_t n, cap, n_used;
	uint32_t *index; /* 16 bits of the hash, and place + 1; 0: nothing */
	size_t index_size;
	uint16_t free;
};

struct gossip_book {
	uint64_t seed;
	size_t cores;
	struct book_list ids, addresses;
};

/** book_id_find() - Return: its number, or BOOK_NONE */
uint16_t book_id_find(const struct gossip_book *b, const struct gossip_id *id);
/** book_id_add() - One user more. Return: its number, or BOOK_NONE: the book is full */
uint16_t book_id_add(struct gossip_book *b, const struct gossip_id *id);
void book_id_drop(struct gossip_book *b, uint16_t n);
/** book_id() - Good until the next one is added */
static inline const struct gossip_id *book_id(const struct gossip_book *b, uint16_t n)
{
	return (const struct gossip_id *)b->ids.entries[n].key;
}

/** book_address_add() - As book_id_add() */
uint16_t book_address_add(struct gossip_book *b, const struct endpoint *e);
void book_address_drop(struct gossip_book *b, uint16_t n);
struct endpoint book_address(const struct gossip_book *b, uint16_t n);
/** book_address_is() - Is it that? */
bool book_address_is(const struct gossip_book *b, uint16_t n, const struct endpoint *e);
size_t book_bytes(const struct gossip_book *b);

#endif
