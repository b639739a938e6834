/* SPDX-License-Identifier: Apache-2.0
 *
 * multicast.json and labels to groups of stacks; see receivers.h.
 */
#include "discovery/receivers.h"

#include "base/log.h"
#include "discovery/peers.h"
#include "state/peer_text.h"

struct receivers {
	const struct state_dir *dir;
	void (*changed)(void *arg);
	void *arg;
	struct timer *later;
	struct multicast_state state; /* legs and groups only */
	struct bucket rate;
	bool bad;
};

static bool stack_has(const struct inventory *inv, const struct local_stack *stack, const char *network_id)
{
	for (size_t i = 0; i < inv->n_stacks; i++) {
		const struct inv_stack *s = &inv->stacks[i];

		if (s->vni != stack->vni || !str_eq(s->stack_id, stack->stack_id))
			continue;
		for (size_t k = 0; k < s->n_networks; k++)
			if (str_eq(s->networks[k].id, network_id))
				return true;
	}
	return false;
}

/* Return: 1 when there is no room for it, else 0 */
static size_t group_add(struct local_stack *stack, const struct ip *group)
{
	struct prefix p = {.ip = *group, .len = ip_bits(group->family)};

	for (size_t i = 0; i < stack->n_groups; i++)
		if (prefix_cmp(&stack->groups[i], &p) == 0)
			return 0;
	if (stack->n_groups >= LIMIT_GROUPS)
		return 1;
	stack->groups[stack->n_groups++] = p;
	return 0;
}

static size_t network_groups(const struct inv_multicast *m, const struct multicast_state *s, struct local_stack *stack)
{
	struct ip fixed[MULTICAST_LABEL_FIXED];
	size_t n = multicast_label_fixed(&m->label, fixed), left_out = 0;

	for (size_t i = 0; i < n; i++)
		left_out += group_add(stack, &fixed[i]);
	for (size_t i = 0; i < s->n_legs; i++) {
		if (s->legs[i].lan || !str_eq(s->legs[i].network, m->network.id))
			continue;
		for (size_t k = 0; k < s->n_groups; k++)
			if (s->groups[k].leg == s->legs[i].leg && multicast_label_has(&m->label, &s->groups[k].group))
				left_out += group_add(stack, &s->groups[k].group);
	}
	return left_out;
}

size_t receivers_of(const struct inventory *inv, const struct multicast_state *s, struct local_stack *stack)
{
	size_t left_out = 0;

	stack->n_groups = 0;
	for (size_t i = 0; i < inv->n_multicast; i++)
		if (inv->multicast[i].label.overlay && stack_has(inv, stack, inv->multicast[i].network.id))
			left_out += network_groups(&inv->multicast[i], s, stack);
	stack->n_groups = groups_tidy(stack->groups, stack->n_groups);
	return left_out;
}

void receivers_fill(const struct receivers *r, const struct inventory *inv, struct local_stack *stacks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (receivers_of(inv, &r->state, &stacks[i]))
			log_warning("more groups are listened to than other hosts are told of",
				    kv_str("stack", stacks[i].stack_id), kv_int("told", LIMIT_GROUPS));
}

static void read_now(void *arg)
{
	struct receivers *r = arg;
	struct file_owner owner = owner_of_discovery(r->dir);
	struct multicast_state s = {0}, keep;
	struct err err = {0};
	int rc = multicast_state_read(r->dir->fd, &owner, &s, &err);

	if (rc < 0) {
		if (rc != -ENOENT && !r->bad)
			log_warning(STATE_MULTICAST " cannot be used, other hosts are told of the listeners that were "
						    "known",
				    kv_str("why", err.text));
		r->bad = rc != -ENOENT;
		return;
	}
	r->bad = false;
	keep = (struct multicast_state){.legs = s.legs, .n_legs = s.n_legs, .groups = s.groups, .n_groups = s.n_groups};
	s.legs = NULL;
	s.groups = NULL;
	s.n_legs = s.n_groups = 0;
	multicast_state_done(&s);
	multicast_state_done(&r->state);
	r->state = keep;
	r->changed(r->arg);
}

void receivers_file(struct receivers *r)
{
	if (timer_is_set(r->later))
		return;
	if (rate_pass(&r->rate, mono_now().us, RECEIVERS_RATE, RECEIVERS_BURST))
		read_now(r);
	else
		timer_start(r->later, USEC_PER_SEC / RECEIVERS_RATE);
}

struct receivers *receivers_new(uv_loop_t *loop, const struct state_dir *dir, void (*changed)(void *arg), void *arg)
{
	struct receivers *r = xcalloc(1, sizeof(*r));

	r->dir = dir;
	r->changed = changed;
	r->arg = arg;
	r->later = timer_new(loop, "multicast.json", read_now, r);
	return r;
}

void receivers_free(struct receivers *r)
{
	if (!r)
		return;
	timer_free(r->later);
	multicast_state_done(&r->state);
	free(r);
}
