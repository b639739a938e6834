/* SPDX-License-Identifier: Apache-2.0
 *
 * A small table, searched from end to end: searches are few a second.
 */
#include "multicast/asker.h"

struct asker *asker_get(struct askers *a, uint32_t leg, const struct endpoint *from, int64_t until)
{
	struct asker *free = NULL;
	size_t of_host = 0;

	for (size_t i = 0; i < ASKER_SLOTS; i++) {
		struct asker *s = &a->slots[i];

		if (!s->leg) {
			free = free ? free : s;
			continue;
		}
		if (s->leg != leg || ip_cmp(&s->from.ip, &from->ip))
			continue;
		of_host++;
		if (s->from.port != from->port)
			continue;
		s->until = until > s->until ? until : s->until;
		s->answers = 0;
		return s;
	}
	if (!free || of_host >= ASKER_PER_HOST)
		return NULL;
	*free = (struct asker){.leg = leg, .from = *from, .until = until};
	a->n++;
	return free;
}

uint32_t asker_port(struct askers *a, struct asker *s, uint32_t leg)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->sockets[i].leg == leg)
			return s->sockets[i].port;
	if (s->n >= ASKER_LEGS || a->sockets >= ASKER_SOCKETS)
		return 0;
	/* 2^32 searches later, the first is long over */
	a->port = a->port + 1 ? a->port + 1 : 1;
	s->sockets[s->n++] = (struct asker_socket){leg, a->port};
	a->sockets++;
	return a->port;
}

struct asker *asker_of(struct askers *a, int64_t now, uint32_t leg, uint32_t port)
{
	for (size_t i = 0; i < ASKER_SLOTS; i++) {
		struct asker *s = &a->slots[i];

		for (size_t k = 0; s->leg && k < s->n; k++) {
			if (s->sockets[k].port != port)
				continue;
			if (s->sockets[k].leg != leg || s->until <= now || s->answers >= ASKER_ANSWERS)
				return NULL;
			s->answers++;
			return s;
		}
	}
	return NULL;
}

struct asker *asker_over(struct askers *a, int64_t now)
{
	for (size_t i = 0; a->n && i < ASKER_SLOTS; i++)
		if (a->slots[i].leg && a->slots[i].until <= now)
			return &a->slots[i];
	return NULL;
}

void asker_drop(struct askers *a, struct asker *s)
{
	a->sockets -= s->n;
	a->n--;
	s->leg = 0;
}

void asker_leg_over(struct askers *a, uint32_t leg)
{
	for (size_t i = 0; i < ASKER_SLOTS; i++) {
		struct asker *s = &a->slots[i];

		if (!s->leg)
			continue;
		if (s->leg == leg)
			s->until = INT64_MIN;
		for (size_t k = 0; k < s->n; k++)
			if (s->sockets[k].leg == leg) {
				s->sockets[k--] = s->sockets[--s->n];
				a->sockets--;
			}
	}
}

int64_t asker_due(const struct askers *a)
{
	int64_t due = INT64_MAX;

	for (size_t i = 0; a->n && i < ASKER_SLOTS; i++)
		if (a->slots[i].leg && a->slots[i].until < due)
			due = a->slots[i].until;
	return due;
}
