/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of queries in flight: as many places as a power of two, doubled until the bound when places are taken.
 */
#include "names/forward.h"

#define TRIES 4 /* places that are looked at before the table grows */

void forward_done(struct forward *f)
{
	free(f->v);
	free(f->kept);
	*f = (struct forward){0};
}

/* Ids that had a place each in the small table have one each in the large */
static void grow(struct forward *f)
{
	size_t cap = f->cap ? f->cap * 2 : FORWARD_FIRST;
	struct forward_entry *v = xcalloc(cap, sizeof(*v));

	for (size_t i = 0; i < f->cap; i++)
		if (f->v[i].until_us)
			v[f->v[i].id & (cap - 1)] = f->v[i];
	free(f->v);
	f->v = v;
	f->cap = cap;
}

uint16_t forward_add(struct forward *f, int64_t now_us, uint16_t random, const struct sockaddr_in *client,
		     uint16_t client_id, uint64_t question)
{
	uint16_t id = random;

	if (!f->cap)
		grow(f);
	for (unsigned i = 0; f->v[id & (f->cap - 1)].until_us > now_us; i++) {
		if (i == TRIES && f->cap == FORWARD_MAX)
			break;
		if (i == TRIES) {
			grow(f);
			i = 0;
		}
		/* odd steps: the low bits take all values, the high ones stay unguessed */
		id = (uint16_t)(id + 0x9e37);
	}
	f->v[id & (f->cap - 1)] = (struct forward_entry){
		.until_us = now_us + FORWARD_US,
		.question = question,
		.client = *client,
		.id = id,
		.client_id = client_id,
	};
	return id;
}

bool forward_take(struct forward *f, int64_t now_us, uint16_t id, uint64_t question, struct sockaddr_in *ret_client,
		  uint16_t *ret_id)
{
	struct forward_entry *e;

	if (!f->cap)
		return false;
	e = &f->v[id & (f->cap - 1)];
	if (e->until_us <= now_us || e->id != id || (question && e->question != question))
		return false;
	*ret_client = e->client;
	*ret_id = e->client_id;
	e->until_us = 0;
	return true;
}

void forward_keep(struct forward *f, const uint8_t *query, size_t len)
{
	if (len < sizeof(uint16_t) || len > FORWARD_BYTES)
		return;
	if (!f->kept)
		f->kept = xcalloc(FORWARD_KEPT, sizeof(*f->kept));
	struct forward_query *q = &f->kept[f->at++ % FORWARD_KEPT];
	memcpy(q->bytes, query, len);
	q->len = (uint16_t)len;
}

const struct forward_query *forward_kept(const struct forward *f, int64_t now_us, unsigned i)
{
	if (!f->kept || !f->cap || i >= FORWARD_KEPT)
		return NULL;
	const struct forward_query *q = &f->kept[(f->at + i) % FORWARD_KEPT];
	if (!q->len)
		return NULL;
	uint16_t id;
	memcpy(&id, q->bytes, sizeof(id));
	const struct forward_entry *e = &f->v[id & (f->cap - 1)];
	return e->until_us > now_us && e->id == id ? q : NULL;
}
