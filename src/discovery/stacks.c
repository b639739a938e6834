/* SPDX-License-Identifier: Apache-2.0
 *
 * The stacks of this host, as inventory.json and the settings name them.
 */
#include "discovery/stacks.h"

#include "base/log.h"

static size_t subnets_add(struct local_stack *s, const struct prefix *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && s->n_subnets < LIMIT_SUBNETS; i++) {
		bool there = false;

		for (size_t j = 0; j < s->n_subnets; j++)
			there = there || prefix_cmp(&s->subnets[j], &p[i]) == 0;
		if (!there)
			s->subnets[s->n_subnets++] = p[i];
	}
	return i;
}

static void stack_from_inventory(const struct inv_stack *in, struct local_stack *ret)
{
	*ret = (struct local_stack){.vni = in->vni, .uplink = in->uplink, .epoch = in->epoch};
	str_copy(ret->stack_id, in->stack_id);
	for (size_t i = 0; i < in->n_networks; i++) {
		const struct inv_network *n = &in->networks[i];

		if (subnets_add(ret, n->subnets, n->n_subnets) < n->n_subnets)
			log_warning("stack has more subnets than can be announced", kv_str("stack", in->stack_id),
				    kv_int("announced", LIMIT_SUBNETS));
	}
}

/* STACK_ID and VNI: a stack that inventory.json need not name; what STACK_SUBNETS says of it goes before the file */
static void stack_from_config(const struct config *c, struct local_stack *stacks, size_t *n)
{
	struct local_stack *s = NULL;

	if (!c->stack_id[0])
		return;
	for (size_t i = 0; i < *n; i++) {
		if (stacks[i].vni == c->vni && str_eq(stacks[i].stack_id, c->stack_id))
			s = &stacks[i];
	}
	if (!s) {
		s = &stacks[(*n)++];
		s->vni = c->vni;
		str_copy(s->stack_id, c->stack_id);
	}
	if (c->n_stack_subnets > 0) {
		s->n_subnets = 0;
		subnets_add(s, c->stack_subnets, c->n_stack_subnets);
	}
}

size_t stacks_collect(const struct inventory *inventory, const struct config *config, struct local_stack *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < inventory->n_stacks && n + 1 < LIMIT_STACKS; i++)
		stack_from_inventory(&inventory->stacks[i], &ret[n++]);
	stack_from_config(config, ret, &n);
	return n;
}
