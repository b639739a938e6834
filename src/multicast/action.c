/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of actions that the cores fill; see multicast.h.
 */
#include "multicast/multicast.h"

static struct mc_action *action_add(struct mc_actions *a, enum mc_action_kind kind, uint32_t leg)
{
	struct mc_action *to = xgrow(&a->v, a->n, &a->cap);

	a->n++;
	to->kind = kind;
	to->leg = leg;
	return to;
}

static struct mc_action *send_add(struct mc_actions *a, uint32_t leg, const struct endpoint *dst, uint8_t ttl,
				  const void *data, size_t len)
{
	struct mc_action *to = action_add(a, MC_SEND, leg);

	to->dst = *dst;
	to->ttl = ttl;
	to->data = len ? xmemdup(data, len) : NULL;
	to->len = len;
	return to;
}

void mc_send(struct mc_actions *a, uint32_t leg, uint16_t src_port, const struct endpoint *dst, uint8_t ttl,
	     const void *data, size_t len)
{
	send_add(a, leg, dst, ttl, data, len)->src_port = src_port;
}

void mc_send_by(struct mc_actions *a, uint32_t leg, uint32_t port, const struct endpoint *dst, uint8_t ttl,
		const void *data, size_t len)
{
	send_add(a, leg, dst, ttl, data, len)->port = port;
}

void mc_close(struct mc_actions *a, uint32_t leg, uint32_t port)
{
	action_add(a, MC_CLOSE, leg)->port = port;
}

void mc_drop(struct mc_actions *a, uint32_t leg, const char *why)
{
	action_add(a, MC_DROP, leg)->why = why;
}

void mc_actions_clear(struct mc_actions *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i].data);
	a->n = 0;
}

void mc_actions_done(struct mc_actions *a)
{
	mc_actions_clear(a);
	free(a->v);
	*a = (struct mc_actions){0};
}
