/* SPDX-License-Identifier: Apache-2.0
 *
 * A short list; see starts.h.
 */
#include "multicast/starts.h"

/* After each try: a program that is fast is found at once, one that is slow is not pestered */
static const int64_t waits_ms[STARTS_TRY] = {20, 30, 50, 100, 300, 500, 1000, 2000, 4000, 5000};

static struct start *start_find(struct starts *s, uint32_t leg, const struct ip *who)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].leg == leg && ip_cmp(&s->v[i].who, who) == 0)
			return &s->v[i];
	return NULL;
}

void starts_add(struct starts *s, mono_t now, uint32_t leg, const struct ip *who)
{
	struct start *to = start_find(s, leg, who);

	if (!to && s->n >= STARTS)
		return;
	if (!to)
		to = &s->v[s->n++];
	*to = (struct start){.leg = leg, .who = *who, .since_us = now.us, .due_us = now.us};
}

bool starts_next(struct starts *s, mono_t now, struct start *ret)
{
	for (size_t i = 0; i < s->n; i++) {
		struct start *e = &s->v[i];

		if (e->due_us > now.us)
			continue;
		*ret = *e;
		e->due_us = now.us + waits_ms[e->tries] * USEC_PER_MSEC;
		if (++e->tries == STARTS_TRY)
			*e = s->v[--s->n];
		return true;
	}
	return false;
}

void starts_found(struct starts *s, uint32_t leg, const struct ip *who)
{
	struct start *e = start_find(s, leg, who);

	if (e)
		*e = s->v[--s->n];
}

void starts_leg_over(struct starts *s, uint32_t leg)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].leg != leg)
			s->v[kept++] = s->v[i];
	s->n = kept;
}

int64_t starts_due(const struct starts *s)
{
	int64_t due = INT64_MAX;

	for (size_t i = 0; i < s->n; i++)
		due = s->v[i].due_us < due ? s->v[i].due_us : due;
	return due;
}
