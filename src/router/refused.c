/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells the log about subnets that clash; see refused.h. `status` and `doctor` tell the same from router.json.
 */
#include "router/refused.h"

#include <inttypes.h>

#include "base/log.h"

#define LINES_A_MINUTE 60
#define MINUTE_US      (60 * INT64_C(1000000))
#define MAPPING_US     INT64_C(1000000)	      /* until a clash is mapped, hosts and all */
#define UNKNOWN_US     (5 * INT64_C(1000000)) /* until discovery has heard of a stack of our own */

static bool same(const struct rs_refused *a, const struct rs_refused *b)
{
	return a->vni == b->vni && prefix_cmp(&a->prefix, &b->prefix) == 0 && str_eq(a->host_id, b->host_id) &&
	       str_eq(a->stack_id, b->stack_id) && str_eq(a->with, b->with);
}

static const struct rs_refused *find(const struct router_state *s, const struct rs_refused *r)
{
	for (size_t i = 0; s && i < s->n_refused; i++)
		if (same(&s->refused[i], r))
			return &s->refused[i];
	return NULL;
}

/* How long, from its beginning on, a refusal is likely to be mapped yet */
static int64_t patience(const struct discovery *d, enum mapping mapping, const struct rs_refused *r)
{
	if (mapping == MAPPING_NEVER)
		return 0;
	if (!str_eq(r->host_id, d->self.host_id))
		return MAPPING_US;
	for (size_t i = 0; i < d->self.n_stacks; i++)
		if (d->self.stacks[i].vni == r->vni && str_eq(d->self.stacks[i].stack_id, r->stack_id))
			return MAPPING_US;
	return UNKNOWN_US;
}

static const char *host_of(const struct discovery *d, const char *host_id)
{
	if (str_eq(d->self.host_id, host_id))
		return d->self.host_name[0] ? d->self.host_name : "this host";
	for (size_t i = 0; i < d->n_peers; i++)
		if (str_eq(d->peers[i].host_id, host_id) && d->peers[i].host_name[0])
			return d->peers[i].host_name;
	return host_id;
}

static bool may_tell(struct refused_budget *b, int64_t now_us)
{
	if (!b->minute_us || now_us - b->minute_us >= MINUTE_US)
		*b = (struct refused_budget){.minute_us = now_us};
	if (b->lines == LINES_A_MINUTE)
		log_warning("more subnets clash; docker-router status names them");
	return b->lines++ < LINES_A_MINUTE;
}

int64_t refused_tell(struct refused_budget *budget, int64_t now_us, const struct discovery *disc, enum mapping mapping,
		     const struct router_state *was, struct router_state *now)
{
	char prefix[PREFIX_STRLEN], text[512];
	int64_t again_us = 0;

	for (size_t i = 0; i < now->n_refused; i++) {
		struct rs_refused *r = &now->refused[i];
		const struct rs_refused *before = find(was, r);
		r->since_us = before ? before->since_us : now_us;
		r->told = before && before->told;
		if (r->told)
			continue;
		int64_t left_us = r->since_us + patience(disc, mapping, r) - now_us;
		if (left_us > 0) {
			if (!again_us || left_us < again_us)
				again_us = left_us;
			continue;
		}
		r->told = true;
		if (!may_tell(budget, now_us))
			continue;
		const char *offer = strstr(r->cure, "subnet: ");
		str_print(text, "VNI %" PRIu32 ": %s of stack %s on %s clashes with %s", r->vni,
			  prefix_format(&r->prefix, prefix), r->stack_id, host_of(disc, r->host_id), r->with);
		log_warning("a subnet is refused", kv_str("clash", text),
			    kv_str("cure", offer ? offer : "docker-router status"));
	}
	for (size_t i = 0; was && i < was->n_refused; i++) {
		const struct rs_refused *r = &was->refused[i];
		if (!r->told || find(now, r) || !may_tell(budget, now_us))
			continue;
		str_print(text, "VNI %" PRIu32 ": %s of stack %s on %s", r->vni, prefix_format(&r->prefix, prefix),
			  r->stack_id, host_of(disc, r->host_id));
		log_info("a clash is over", kv_str("subnet", text), kv_str("with", r->with));
	}
	return again_us;
}
