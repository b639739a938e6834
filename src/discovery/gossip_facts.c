/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts: what members tell of themselves. The newest sequence number wins. A fact of ours that we do not know is of an
 * earlier run, and is told to be no more; so it is with a number of ours that others have already seen higher. The sums
 * are over what a fact says as well: who was started again may tell something else by a number that is known.
 */
#include "discovery/gossip_state.h"

uint64_t fact_hash(const struct gossip_id *id, const struct fact *f)
{
	uint64_t w[4];

	memcpy(w, id->b, sizeof(id->b));
	w[2] = f->key;
	w[3] = f->seq;
	return hash64(f->data, f->len, hash64(w, sizeof(w), 2));
}

void fact_update(const struct gossip *g, uint32_t n, const struct fact *f, struct gossip_update *ret)
{
	*ret = (struct gossip_update){.kind = GOSSIP_UPDATE_FACT,
				      .id = *node_id(g, n),
				      .key = f->key,
				      .seq = f->seq,
				      .data = f->data,
				      .len = f->len};
}

static struct fact **fact_find(struct gossip *g, uint32_t n, uint64_t key, size_t *ret_count)
{
	struct fact **at = &g->nodes[n].facts;

	for (*ret_count = 0; *at && (*at)->key < key; at = &(*at)->next)
		++*ret_count;
	return at;
}

static size_t fact_count(const struct node *n)
{
	size_t count = 0;

	for (const struct fact *f = n->facts; f; f = f->next)
		count++;
	return count;
}

/* Put in at @at, where a fact of that key is or belongs. Return: NULL: there are too many */
static struct fact *fact_put(struct gossip *g, uint32_t n, struct fact **at, uint64_t key, uint64_t seq,
			     const void *data, size_t len)
{
	struct fact *old = *at && (*at)->key == key ? *at : NULL, *f;

	if (!old && (g->n_facts >= GOSSIP_FACTS || fact_count(&g->nodes[n]) >= GOSSIP_HOST_FACTS)) {
		g->counts[GOSSIP_COUNT_FULL]++;
		return NULL;
	}
	f = xmalloc(sizeof(*f) + len);
	*f = (struct fact){.next = *at, .key = key, .seq = seq, .update = NONE, .len = (uint16_t)len};
	if (len)
		memcpy(f->data, data, len);
	if (old) {
		f->next = old->next;
		queue_drop(g, &old->update);
		members_sum(g, n, fact_hash(node_id(g, n), old), false);
		free(old);
		g->n_facts--;
	}
	*at = f;
	g->n_facts++;
	members_sum(g, n, fact_hash(node_id(g, n), f), true);
	return f;
}

void facts_drop(struct gossip *g, uint32_t n)
{
	struct fact *next;

	for (struct fact *f = g->nodes[n].facts; f; f = next) {
		next = f->next;
		queue_drop(g, &f->update);
		members_sum(g, n, fact_hash(node_id(g, n), f), false);
		free(f);
		g->n_facts--;
	}
	g->nodes[n].facts = NULL;
}

void facts_tell(struct gossip *g, int64_t now_us)
{
	for (struct fact *f = g->nodes[g->self].facts; f; f = f->next)
		queue_fact(g, now_us, g->self, f);
}

/* One number, two texts: any order will do that is the same for all. The member itself then counts up, if it is not its
 */
static int fact_order(const struct fact *f, const struct gossip_update *u)
{
	if (f->seq != u->seq)
		return f->seq < u->seq ? -1 : 1;
	if (f->len != u->len)
		return f->len < u->len ? -1 : 1;
	return u->len ? memcmp(f->data, u->data, u->len) : 0;
}

/* Somebody knows a fact of ours that is newer than ours, or that we do not have */
static void own_fact(struct gossip *g, int64_t now_us, const struct gossip_update *u)
{
	size_t count;
	struct fact **at = fact_find(g, g->self, u->key, &count), *f = *at && (*at)->key == u->key ? *at : NULL;

	if (f && (u->seq < f->seq || fact_order(f, u) == 0))
		return;
	if (f) {
		members_sum(g, g->self, fact_hash(&g->id, f), false);
		f->seq = u->seq + 1;
		members_sum(g, g->self, fact_hash(&g->id, f), true);
	} else {
		f = fact_put(g, g->self, at, u->key, u->seq + 1, NULL, 0);
	}
	if (f)
		queue_fact(g, now_us, g->self, f);
}

bool fact_take(struct gossip *g, int64_t now_us, const struct gossip_update *u, struct stream *s)
{
	uint32_t n = node_find(g, &u->id);
	struct gossip_action *a;
	struct fact **at, *f;
	size_t count;

	if (n == g->self) {
		own_fact(g, now_us, u);
		return false;
	}
	if (n == NONE || !node_lives(&g->nodes[n]))
		return false;
	at = fact_find(g, n, u->key, &count);
	if (*at && (*at)->key == u->key && fact_order(*at, u) >= 0)
		return false;
	f = fact_put(g, n, at, u->key, u->seq, u->data, u->len);
	if (!f)
		return false;
	if (!s || ++s->news <= SYNC_NEWS)
		queue_fact(g, now_us, n, f);
	a = action_push(g, GOSSIP_FACT, f->data, f->len);
	a->key = f->key;
	node_tell(g, n, &a->member);
	return true;
}

const void *gossip_fact_of(const struct gossip *g, const struct gossip_id *id, uint64_t key, size_t *ret_len)
{
	uint32_t n = node_find(g, id);

	for (const struct fact *f = n == NONE ? NULL : g->nodes[n].facts; f && f->key <= key; f = f->next) {
		if (f->key == key && f->len) {
			*ret_len = f->len;
			return f->data;
		}
	}
	return NULL;
}

int gossip_fact(struct gossip *g, mono_t now, uint64_t key, const void *data, size_t len)
{
	size_t count;
	struct fact **at = fact_find(g, g->self, key, &count), *f = *at && (*at)->key == key ? *at : NULL;

	if (len > GOSSIP_FACT_BYTES)
		return -E2BIG;
	if (f ? f->len == len && (!len || memcmp(f->data, data, len) == 0) : len == 0)
		return 0;
	f = fact_put(g, g->self, at, key, f ? f->seq + 1 : 1, data, len);
	if (!f)
		return -ENOSPC;
	queue_fact(g, now.us, g->self, f);
	return 0;
}
