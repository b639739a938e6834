/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages in parts: kept until all parts are there, not long, and few of each sender.
 */
#include "discovery/core_state.h"

static void partial_drop(struct core *core, size_t nth)
{
	free(core->partials[nth]);
	core->partials[nth] = core->partials[--core->n_partials];
	core->partials[core->n_partials] = NULL;
}

static void partial_close(struct core *core, const struct partial *p)
{
	for (size_t i = 0; i < core->n_partials; i++) {
		if (core->partials[i] == p) {
			partial_drop(core, i);
			return;
		}
	}
}

static bool partial_same(const struct partial *p, const struct endpoint *from, const struct wire_msg *m)
{
	return ip_cmp(&p->from.ip, &from->ip) == 0 && p->msg.vni == m->vni && str_eq(p->msg.host_id, m->host_id) &&
	       str_eq(p->msg.stack_id, m->stack_id);
}

/* Find or make room. NULL: this source has too many open */
static struct partial *partial_open(struct core *core, int64_t now_us, const struct endpoint *from,
				    const struct wire_msg *m)
{
	size_t oldest = 0, of_source = 0;
	struct partial *p;

	for (size_t i = core->n_partials; i-- > 0;) {
		p = core->partials[i];
		if (partial_same(p, from, m)) {
			if (p->msg.seq == m->seq && p->msg.parts == m->parts && now_us - p->since_us < PARTIAL_US)
				return p;
			partial_drop(core, i);
		} else if (now_us - p->since_us >= PARTIAL_US) {
			core->counts[COUNT_PART]++;
			partial_drop(core, i);
		}
	}
	for (size_t i = 0; i < core->n_partials; i++) {
		of_source += ip_cmp(&core->partials[i]->from.ip, &from->ip) == 0;
		if (core->partials[i]->since_us < core->partials[oldest]->since_us)
			oldest = i;
	}
	if (of_source >= LIMIT_PARTIALS_PER_SOURCE)
		return NULL;
	if (core->n_partials == LIMIT_PARTIALS) {
		core->counts[COUNT_PART]++;
		partial_drop(core, oldest);
	}
	p = xcalloc(1, sizeof(*p));
	p->msg = *m;
	p->msg.n_subnets = p->msg.n_mapped = p->msg.n_avoid = p->msg.n_groups = 0;
	p->from = *from;
	p->since_us = now_us;
	core->partials[core->n_partials++] = p;
	return p;
}

void parts_forget(struct core *core)
{
	while (core->n_partials)
		partial_drop(core, core->n_partials - 1);
}

bool message_add(struct wire_msg *whole, const struct wire_msg *part)
{
	if (whole->n_subnets + part->n_subnets > LIMIT_SUBNETS || whole->n_mapped + part->n_mapped > LIMIT_SUBNETS ||
	    whole->n_avoid + part->n_avoid > LIMIT_AVOID || whole->n_groups + part->n_groups > LIMIT_GROUPS)
		return false;
	if (part->part == 1)
		whole->wireguard = part->wireguard;
	memcpy(&whole->subnets[whole->n_subnets], part->subnets, part->n_subnets * sizeof(part->subnets[0]));
	whole->n_subnets += part->n_subnets;
	memcpy(&whole->mapped[whole->n_mapped], part->mapped, part->n_mapped * sizeof(part->mapped[0]));
	whole->n_mapped += part->n_mapped;
	memcpy(&whole->avoid[whole->n_avoid], part->avoid, part->n_avoid * sizeof(part->avoid[0]));
	whole->n_avoid += part->n_avoid;
	memcpy(&whole->groups[whole->n_groups], part->groups, part->n_groups * sizeof(part->groups[0]));
	whole->n_groups += part->n_groups;
	return true;
}

bool message_unite(struct core *core, int64_t now_us, const struct endpoint *from, struct wire_msg *m)
{
	struct partial *p;

	if (m->parts == 1)
		return true;
	p = partial_open(core, now_us, from, m);
	if (!p) {
		core_refuse(core, now_us, COUNT_PART, from, "part: more than %d messages in parts at once",
			    LIMIT_PARTIALS_PER_SOURCE);
		return false;
	}
	if (p->have & (1u << (m->part - 1)))
		return false;
	if (!message_add(&p->msg, m)) {
		core_refuse(core, now_us, COUNT_PART, from,
			    "more than %d subnets or mapped, %d to avoid, or %d groups, in all parts", LIMIT_SUBNETS,
			    LIMIT_AVOID, LIMIT_GROUPS);
		partial_close(core, p);
		return false;
	}
	p->have |= 1u << (m->part - 1);
	if (p->have != (1u << p->msg.parts) - 1)
		return false;
	*m = p->msg;
	partial_close(core, p);
	return true;
}
