/* SPDX-License-Identifier: Apache-2.0
 *
 * Names in feeds (feed.c): a store says once what it has, and when it has it no more; so they neither time out nor are
 * said again.
 */
#include "discovery/names_state.h"

static uint32_t place_of(const struct core *core, const struct peer *p)
{
	struct peer_key key = {.host_id = p->host_id, .stack_id = p->stack_id, .host_ip = &p->host_ip, .vni = p->vni};

	return peers_find(&core->peers, &key);
}

static void mark(struct heard *h, uint8_t bit, int64_t now_us)
{
	h->fed |= bit;
	h->fed_again |= bit;
	h->heard_us = now_us;
}

/* As record_is_old() in feed.c */
static bool set_is_old(const struct core *core, int64_t now_us, const struct heard *h, const struct entry *e,
		       uint8_t bit, uint64_t seq)
{
	if (seq >= h->seq)
		return false;
	return h->fed & ~bit || (e->wire && now_us - h->heard_us <= 2 * core->config.announce_us);
}

void core_feed_names(struct core *core, struct core_now now, enum feed feed, const struct peer *key, uint64_t seq,
		     struct name_stack *names)
{
	uint32_t place = place_of(core, key);
	const struct entry *e = names_entry(core, place);
	uint8_t bit = (uint8_t)(1u << feed);
	struct heard *h;

	if (!e || !(e->fed & bit)) {
		core->counts[COUNT_NAMES]++;
		return;
	}
	h = names_heard(core, place);
	if (h && (h->seq == seq || set_is_old(core, now.mono.us, h, e, bit, seq))) {
		mark(h, bit, now.mono.us);
		return;
	}
	names_take(core, now.mono.us, &core->peers.hosts[e->host].from, place, seq, names);
	h = names_heard(core, place);
	if (h && h->seq == seq)
		mark(h, bit, now.mono.us);
}

static void names_drop(struct core *core, int64_t now_us, uint32_t place, uint8_t bit)
{
	struct heard *h = names_heard(core, place);

	if (!h || !(h->fed & bit))
		return;
	h->fed &= (uint8_t)~bit;
	if (h->fed)
		return;
	if (core->peers.entries[place].wire)
		h->heard_us = now_us; /* datagrams say them again, or do not */
	else
		names_heard_drop(core, place);
}

void core_feed_names_drop(struct core *core, struct core_now now, enum feed feed, const struct peer *key)
{
	names_drop(core, now.mono.us, place_of(core, key), (uint8_t)(1u << feed));
}

void names_feed_begin(struct core *core, uint8_t bit)
{
	for (uint32_t i = 0; i < core->names->n_heard; i++) {
		struct heard *h = names_heard(core, i);

		if (h)
			h->fed_again &= (uint8_t)~bit;
	}
}

/* The names of a peer that has got some time to come back stay with it */
void names_feed_end(struct core *core, int64_t now_us, uint8_t bit)
{
	for (uint32_t i = 0; i < core->names->n_heard; i++) {
		struct heard *h = names_heard(core, i);

		if (!h || !(h->fed & bit) || h->fed_again & bit)
			continue;
		if (core->peers.entries[i].fed & bit) {
			names_drop(core, now_us, i, bit);
		} else {
			h->fed &= (uint8_t)~bit;
			h->heard_us = now_us;
		}
	}
}

void core_self_names(const struct core *core, core_self_names_fn *fn, void *arg)
{
	const struct names_state *s = core->names;

	for (size_t i = 0; i < s->n_own && !ip_is_none(&core->host_ip); i++) {
		const struct own *o = s->own[i];

		if (o->names.n_names)
			fn(arg, &o->names, o->seq);
	}
}
