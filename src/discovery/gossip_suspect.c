/* SPDX-License-Identifier: Apache-2.0
 *
 * Suspicions. A member has the longer time to answer, the fewer others share the suspicion: one that accuses many
 * alone has more likely a fault of its own. Those who hear of a suspect look for themselves, some of them, at once.
 */
#include "discovery/gossip_state.h"

/* Parts in 1024 of the way from the longest time to the shortest: log(c + 1) / log(k + 1), c of k wanted */
static const uint16_t shorter[CONFIRMS + 1][CONFIRMS + 1] = {{1024}, {0, 1024}, {0, 646, 1024}, {0, 512, 812, 1024}};

static unsigned confirms_wanted(const struct gossip *g)
{
	/* neither the suspect nor who accused it first */
	size_t others = g->n_live > 1 ? g->n_live - 1 : 0;

	return others < CONFIRMS ? (unsigned)others : CONFIRMS;
}

static int64_t suspicion_time(const struct gossip *g, unsigned confirms)
{
	unsigned wanted = confirms_wanted(g);
	int64_t min_us = gossip_scale(g, SUSPECT_MIN_US), max_us;

	if (wanted < CONFIRMS && min_us < SUSPECT_ALONE_US)
		min_us = SUSPECT_ALONE_US;
	max_us = min_us * (wanted ? SUSPECT_MAX_FACTOR : 1);
	if (confirms > wanted)
		confirms = wanted;
	return max_us - (max_us - min_us) * shorter[wanted][confirms] / 1024;
}

static bool share(struct suspicion *s, uint64_t by)
{
	for (size_t i = 0; i < s->n_by; i++) {
		if (s->by[i] == by)
			return false;
	}
	if (s->n_by == GOSSIP_ACCUSERS)
		return false;
	s->by[s->n_by++] = by;
	return true;
}

static int64_t suspicion_next(const struct suspicion *s)
{
	return s->start_us + (s->reprobe_us < s->deadline_us ? s->reprobe_us : s->deadline_us);
}

bool suspicion_add(struct gossip *g, int64_t now_us, uint32_t n, const uint64_t *by, size_t n_by, bool ours)
{
	struct node *node = &g->nodes[n];
	bool fresh = node->status != GOSSIP_SUSPECT, news = fresh;
	struct suspicion *s;

	if (fresh) {
		s = xgrow(&g->suspicions, g->n_suspicions, &g->cap_suspicions);
		*s = (struct suspicion){.node = (uint16_t)n, .start_us = now_us, .reprobe_us = NONE};
		node->since = (uint32_t)g->n_suspicions++;
		node->status = GOSSIP_SUSPECT;
		g->counts[GOSSIP_COUNT_SUSPECTED]++;
	}
	s = &g->suspicions[node->since];
	for (size_t i = 0; i < n_by; i++)
		news |= share(s, by[i]);
	if (ours && s->reprobe_us == NONE)
		s->reprobe_us = (uint32_t)(now_us - s->start_us + SUSPECT_REPROBE_US);
	s->deadline_us = (uint32_t)suspicion_time(g, s->n_by ? s->n_by - 1 : 0);
	if (suspicion_next(s) < g->suspicion_us)
		g->suspicion_us = suspicion_next(s);
	if (fresh && !ours && gossip_random(g) % g->n_live < CONFIRMERS)
		probe_start(g, now_us, n, PROBE_EXTRA);
	return news;
}

void suspicion_end(struct gossip *g, uint32_t n)
{
	uint32_t at = g->nodes[n].since;

	g->suspicions[at] = g->suspicions[--g->n_suspicions];
	g->nodes[g->suspicions[at].node].since = at;
	g->nodes[n].since = 0;
	if (g->n_suspicions == 0)
		g->suspicion_us = INT64_MAX;
}

void suspicion_timer(struct gossip *g, int64_t now_us)
{
	if (g->suspicion_us > now_us)
		return;
	g->suspicion_us = INT64_MAX;
	for (size_t i = g->n_suspicions; i-- > 0;) {
		struct suspicion *s = &g->suspicions[i];

		if (s->start_us + s->deadline_us <= now_us) {
			struct gossip_id id = *node_id(g, s->node);

			member_gone(g, now_us, &id, g->nodes[s->node].incarnation, GOSSIP_DEAD);
			continue;
		}
		if (s->reprobe_us != NONE && s->start_us + s->reprobe_us <= now_us) {
			s->reprobe_us = (uint32_t)(now_us - s->start_us + SUSPECT_REPROBE_US);
			probe_start(g, now_us, s->node, PROBE_QUIET);
		}
	}
	for (size_t i = 0; i < g->n_suspicions; i++) {
		int64_t next_us = suspicion_next(&g->suspicions[i]);

		if (next_us < g->suspicion_us)
			g->suspicion_us = next_us;
	}
}
