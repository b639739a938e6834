/* SPDX-License-Identifier: Apache-2.0
 *
 * A list, and questions to it.
 */
#include "multicast/leg.h"

static void leg_done(struct mc_leg *l)
{
	free((void *)l->subnets);
	free((void *)l->ranges);
}

bool legs_set(struct legs *l, const struct mc_leg *leg)
{
	struct mc_leg *to = (struct mc_leg *)legs_find(l, leg->id), copy = *leg;

	if (!leg->id || (!to && l->n >= MC_LEGS))
		return false;
	copy.n_subnets = leg->n_subnets > LIMIT_SUBNETS ? LIMIT_SUBNETS : leg->n_subnets;
	copy.n_ranges = leg->n_ranges > MC_RANGES ? MC_RANGES : leg->n_ranges;
	copy.subnets = copy.n_subnets ? xmemdup(leg->subnets, copy.n_subnets * sizeof(*leg->subnets)) : NULL;
	copy.ranges = copy.n_ranges ? xmemdup(leg->ranges, copy.n_ranges * sizeof(*leg->ranges)) : NULL;
	if (to) {
		leg_done(to);
	} else {
		to = xgrow(&l->v, l->n, &l->cap);
		l->n++;
	}
	*to = copy;
	return true;
}

bool legs_remove(struct legs *l, uint32_t id)
{
	struct mc_leg *leg = (struct mc_leg *)legs_find(l, id);

	if (!leg)
		return false;
	leg_done(leg);
	*leg = l->v[--l->n];
	return true;
}

const struct mc_leg *legs_find(const struct legs *l, uint32_t id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].id == id)
			return &l->v[i];
	return NULL;
}

void legs_done(struct legs *l)
{
	for (size_t i = 0; i < l->n; i++)
		leg_done(&l->v[i]);
	free(l->v);
	*l = (struct legs){0};
}

bool leg_reaches(const struct mc_leg *in, const struct mc_leg *out)
{
	return in->id != out->id && !(in->lan && out->lan);
}

bool leg_has_family(const struct mc_leg *l, uint8_t family)
{
	return !ip_is_none(family == AF_INET ? &l->ip4 : &l->ip6);
}

bool leg_is_from(const struct mc_leg *l, const struct endpoint *src)
{
	bool known = false;

	if (!src->port || ip_is_none(&src->ip) || ip_is_multicast(&src->ip) || ip_is_unspecified(&src->ip))
		return false;
	if (src->ip.family == AF_INET6 && ip_is_link_local(&src->ip))
		return true;
	for (size_t i = 0; i < l->n_subnets; i++) {
		if (prefix_has_ip(&l->subnets[i], &src->ip))
			return true;
		known |= l->subnets[i].ip.family == src->ip.family;
	}
	return !known;
}
