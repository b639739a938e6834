/* SPDX-License-Identifier: Apache-2.0
 *
 * multicast.json, for people and other roles.
 */
#include "multicast/role.h"

#include "base/log.h"
#include "multicast/reach.h"

#define WRITE_RETRY_US (5 * USEC_PER_SEC)

void role_write_soon(struct role *r, int64_t delay_us)
{
	int64_t at = mono_now().us + delay_us;

	if (timer_is_set(r->write) && r->write_at_us <= at)
		return;
	r->write_at_us = at;
	timer_start(r->write, delay_us);
}

static void state_leg(const struct role *r, size_t at, struct multicast_state *s)
{
	const struct link *l = r->links.v[at];
	const struct tally *t = &r->tallies[at];
	const struct ip *ips[] = {&l->leg.ip4, &l->leg.ip6, &l->leg.ip6_wide};
	struct mcs_leg *to = xgrow(&s->legs, s->n_legs, &s->cap_legs);

	s->n_legs++;
	to->leg = l->leg.id;
	to->lan = l->leg.lan;
	str_copy(to->name, l->leg.name);
	str_copy(to->network, l->network_id);
	str_copy(to->interface, l->ifname);
	static const char *const words[] = {"ssdp", "mdns", "groups"}; /* as the bits of enum mc_want */
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (l->leg.wants & 1u << i)
			snprintf(to->wants + strlen(to->wants), sizeof(to->wants) - strlen(to->wants), "%s%s",
				 to->wants[0] ? "," : "", words[i]);
	if (!l->leg.lan)
		str_copy(to->wants, l->label);
	for (size_t i = 0; i < ARRAY_LEN(ips); i++)
		if (!ip_is_none(ips[i]))
			to->addresses[to->n_addresses++] = *ips[i];
	for (size_t i = 0; i < l->leg.n_subnets && i < LIMIT_SUBNETS; i++)
		to->subnets[to->n_subnets++] = l->leg.subnets[i];
	for (int f = 0; f < 2; f++) {
		const struct querier *q = groups_querier(r->groups, l->leg.id, f ? AF_INET6 : AF_INET);

		if (q)
			str_copy(to->querier[f], querier_state_names[q->state]);
		if (q)
			to->querier_other[f] = q->other;
	}
	to->heard = (int64_t)t->heard;
	to->sent = (int64_t)t->sent;
	for (size_t i = 0; i < t->n_drops; i++) {
		str_copy(to->drops[i].why, t->drops[i].why);
		to->drops[i].n = (int64_t)t->drops[i].n;
	}
	to->n_drops = t->n_drops;
}

static void state_device(void *arg, const struct ssdp_device *d)
{
	struct multicast_state *s = arg;
	struct mcs_device *to = xgrow(&s->devices, s->n_devices, &s->cap_devices);
	int64_t left = (d->until_us - mono_now().us) / USEC_PER_SEC;

	s->n_devices++;
	to->leg = d->leg;
	to->from = d->from;
	str_copy(to->usn, d->usn);
	str_copy(to->location, d->location);
	to->seconds = left > 0 ? left : 0;
	to->heard = d->heard;
}

static void state_service(void *arg, const struct proxy_service *p)
{
	struct multicast_state *s = arg;
	struct mcs_service *to = xgrow(&s->services, s->n_services, &s->cap_services);

	s->n_services++;
	*to = (struct mcs_service){.from = p->from,
				   .to = p->to,
				   .inside = p->inside,
				   .outside = p->outside,
				   .connections = (int64_t)p->connections,
				   .open = (int64_t)p->open,
				   .refused = (int64_t)p->refused,
				   .bytes = (int64_t)p->bytes,
				   .rewritten = (int64_t)p->rewritten};
	str_copy(to->error, p->error);
}

static void state_count(struct multicast_state *s, const char *relay, const char *what, uint64_t n)
{
	struct mcs_count *c = xgrow(&s->counts, s->n_counts, &s->cap_counts);

	s->n_counts++;
	str_print(c->what, "%s %s", relay, what);
	c->n = (int64_t)n;
}

static void state_entry(void *arg, const struct membership_entry *e)
{
	struct multicast_state *s = arg;
	struct mcs_group *g;

	if (s->n_groups >= LIMIT_MC_GROUPS)
		return;
	g = xgrow(&s->groups, s->n_groups, &s->cap_groups);
	s->n_groups++;
	g->leg = e->leg;
	g->group = e->group;
	g->reporter = e->reporter;
	g->n_sources = (int64_t)e->filter.n;
	str_copy(g->mode, e->filter.exclude ? "exclude" : "include");
	g->by_bridge = e->origins & 1u << MEMBERSHIP_MDB;
}

static void state_groups(const struct role *r, struct multicast_state *s)
{
	const char *why;
	size_t failed = groups_join_failed(r->groups, &why);

	membership_entries(groups_membership(r->groups), state_entry, s);
	if (r->rules_error[0])
		problems_add(&s->problems, "groups", "", "not routed: %s", r->rules_error);
	if (r->ways_error[0])
		problems_add(&s->problems, "routed networks",
			     "See docker-router explain multicast for the rules by hand.",
			     "no way past this host's firewall: %s", r->ways_error);
	if (r->ways_left_out)
		problems_add(&s->problems, "routed networks", "", "%zu ways beyond the %d that are opened",
			     r->ways_left_out, REACH_RULES);
	if (r->rules_left_out)
		problems_add(&s->problems, "groups", "Narrow the ranges in docker-router.multicast.",
			     "%zu pairs of group and network beyond the %d that are routed", r->rules_left_out,
			     GROUPS_RULES);
	if (failed)
		problems_add(&s->problems, "groups", "", "%zu could not be joined, the latest %s", failed, why);
}

static void state_routes(struct multicast_state *s, const struct prefix *v, size_t n)
{
	for (size_t i = 0; i < n && s->n_advertised < LIMIT_MC_ROUTES; i++) {
		bool is = false;

		for (size_t k = 0; k < s->n_advertised; k++)
			is |= prefix_cmp(&s->advertised[k], &v[i]) == 0;
		if (!is)
			s->advertised[s->n_advertised++] = v[i];
	}
}

static void state_make(const struct role *r, struct multicast_state *s)
{
	for (size_t i = 0; i < r->links.n; i++) {
		state_leg(r, i, s);
		if (r->links.v[i]->leg.n_ranges && !r->broker)
			problems_add(&s->problems, r->links.v[i]->leg.name, "Start it by `docker-router host`.",
				     "groups are not routed: there is nobody who makes the rules for it");
	}
	state_routes(s, r->advertise.now, r->advertise.n_now);
	state_routes(s, r->advertise.over, r->advertise.n_over);
	state_routes(s, r->before.advertised, r->before.n_advertised);
	ssdp_devices(r->ssdp, mono_now(), state_device, s);
	proxy_services(r->proxy, state_service, s);
	for (size_t i = 0; i < SSDP_COUNT_N_; i++)
		state_count(s, "ssdp", ssdp_count_names[i], ssdp_counts(r->ssdp)[i]);
	for (size_t i = 0; i < MDNS_COUNT_N_; i++)
		state_count(s, "mdns", mdns_count_names[i], mdns_counts(r->mdns)[i]);
	state_groups(r, s);
	for (size_t i = 0; i < r->problems.n; i++)
		problems_add(&s->problems, r->problems.v[i].object, r->problems.v[i].cure, "%s", r->problems.v[i].text);
}

static uint64_t state_hash(const struct multicast_state *s)
{
	autobuf struct buf text = {0};
	json_t *root = multicast_state_to_json(s);

	json_print(&text, root, JSON_COMPACT);
	json_decref(root);
	return hash64(text.data, text.len, 1);
}

void role_on_write(void *arg)
{
	struct role *r = arg;
	struct multicast_state s = {0};
	struct err err = {0};
	uint64_t hash;

	/* what the run before us wrote is true until we know better */
	if (r->kept && !(r->looked && r->mdb_known)) {
		role_write_soon(r, WRITE_RETRY_US);
		return;
	}
	state_make(r, &s);
	hash = state_hash(&s);
	s.last_update = wall_now();
	if (hash == r->written) {
		multicast_state_done(&s);
		return;
	}
	if (multicast_state_write(r->dir.fd, &s, &err) < 0) {
		if (!r->write_failed)
			log_warning(STATE_MULTICAST " cannot be written, the old one stays", kv_str("why", err.text));
		r->write_failed = true;
		role_write_soon(r, WRITE_RETRY_US);
	} else {
		if (r->write_failed)
			log_info(STATE_MULTICAST " is written again");
		r->write_failed = r->kept = false;
		r->written = hash;
	}
	multicast_state_done(&s);
}
