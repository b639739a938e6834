/* SPDX-License-Identifier: Apache-2.0
 *
 * Interfaces and labelled networks become legs, and everybody is told; see links.h.
 */
#include "multicast/role.h"

#include <linux/rtnetlink.h>

#include "base/log.h"

#define LOOK_US (2 * USEC_PER_MSEC) /* one look at the interfaces for a burst of events */

static void leg_tell(struct role *r, const struct link *l)
{
	ssdp_leg_set(r->ssdp, mono_now(), &l->leg, &r->of_ssdp);
	mdns_leg_set(r->mdns, mono_now(), &l->leg, &r->of_mdns);
	groups_leg_set(r->groups, mono_now(), l);
}

static void leg_remove(struct role *r, size_t i)
{
	struct link *l = r->links.v[i];

	log_info("no longer there", kv_str(l->leg.lan ? "lan" : "network", l->leg.name),
		 kv_str("interface", l->ifname));
	ssdp_leg_remove(r->ssdp, mono_now(), l->leg.id, &r->of_ssdp);
	mdns_leg_remove(r->mdns, mono_now(), l->leg.id, &r->of_mdns);
	proxy_leg_over(r->proxy, l->leg.id);
	groups_leg_remove(r->groups, mono_now(), l->leg.id);
	starts_leg_over(&r->starts, l->leg.id);
	wire_leg_remove(r->wire, l->leg.id);
	free(l);
	r->links.n--;
	r->links.v[i] = r->links.v[r->links.n];
	r->tallies[i] = r->tallies[r->links.n];
}

/* Takes *@l, and leaves NULL, when it works */
static int leg_add(struct role *r, struct link **l, struct err *err)
{
	struct link *n = *l;
	int rc;

	if (!n)
		return 0;
	n->leg.id = r->last_leg + 1;
	rc = wire_leg_add(r->wire, &n->leg, n->ifindex, err);
	if (rc < 0)
		return rc;
	r->last_leg++;
	*xgrow(&r->links.v, r->links.n, &r->links.cap) = n; /* NOLINT(bugprone-sizeof-expression): it holds pointers */
	xgrow(&r->tallies, r->links.n, &r->cap_tallies)->leg = n->leg.id;
	r->links.n++;
	*l = NULL;
	log_info("relaying", kv_str(n->leg.lan ? "lan" : "network", n->leg.name), kv_str("interface", n->ifname));
	leg_tell(r, n);
	role_adopt(r, n);
	return 0;
}

static int leg_change(struct role *r, struct link *l, const struct link *now, struct err *err)
{
	link_take(l, now);
	proxy_leg_change(r->proxy, &l->leg);
	leg_tell(r, l);
	return wire_leg_change(r->wire, &l->leg, err);
}

static struct link *link_in(const struct links *l, const struct link *of)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i] && link_is(l->v[i], of))
			return l->v[i];
	return NULL;
}

/* Return: could all be opened? */
static bool legs_apply(struct role *r, struct links *want)
{
	bool good = true;

	for (size_t i = r->links.n; i-- > 0;)
		if (!link_in(want, r->links.v[i])) {
			role_advertise_end(r, r->links.v[i]);
			leg_remove(r, i);
		}
	for (size_t i = 0; i < want->n; i++) {
		struct link *is = link_in(&r->links, want->v[i]);
		struct err err = {0};
		int rc = 0;

		if (!is)
			rc = leg_add(r, &want->v[i], &err);
		else if (!link_same(is, want->v[i]))
			rc = leg_change(r, is, want->v[i], &err);
		if (rc < 0) {
			problems_add(&r->problems, want->v[i] ? want->v[i]->leg.name : is->leg.name, "",
				     "cannot listen there: %s", err.text);
			good = false;
		}
	}
	return good;
}

void role_on_look(void *arg)
{
	struct role *r = arg;
	struct interfaces ifs = {0};
	struct links want;
	struct err err = {0};
	bool advertises;

	if (!r->have_inventory)
		return;
	if (mono_now().us - r->started.us > ADVERTISE_LIFE_S * USEC_PER_SEC)
		r->before.n_advertised = 0;
	advertises = role_advertises(r);
	problems_done(&r->problems);
	if (interfaces_read(r->dumps, r->config.interface[0] ? 0 : AF_INET, &ifs, &err) < 0) {
		problems_add(&r->problems, "interfaces", "", "cannot be read: %s", err.text);
		timer_start(r->look, LOOK_RETRY_US);
	} else {
		links_desired(&r->inventory, &r->discovery, &ifs, r->config.interface, advertises, &want, &r->problems);
		r->all_open = legs_apply(r, &want);
		if (!r->all_open)
			timer_start(r->look, LOOK_RETRY_US);
		links_done(&want);
		interfaces_done(&ifs);
		role_starts(r);
		role_advertise(r);
		if (advertises && !role_advertises(r))
			role_look_soon(r);
		role_actions(r);
		r->looked = true;
		timer_start(r->mdb, 0);
		role_rules_soon(r);
	}
	problems_log_new(&r->told, &r->problems, NULL);
	problems_done(&r->told);
	for (size_t i = 0; i < r->problems.n; i++)
		problems_add(&r->told, r->problems.v[i].object, r->problems.v[i].cure, "%s", r->problems.v[i].text);
	role_write_soon(r, WRITE_US);
}

void role_look_soon(struct role *r)
{
	if (!timer_is_set(r->look))
		timer_start(r->look, LOOK_US);
}

void role_on_link_event(void *arg, const struct nlmsghdr *nlh)
{
	struct role *r = arg;

	if (nlh->nlmsg_type != RTM_NEWMDB && nlh->nlmsg_type != RTM_DELMDB)
		role_look_soon(r);
	else if (!timer_is_set(r->mdb)) /* the first one at once, for somebody waits; a burst is read together */
		timer_start(r->mdb, mono_now().us - r->mdb_read_us > MDB_QUIET_US ? 0 : RULES_US);
}

void role_on_link_lost(void *arg)
{
	role_look_soon(arg);
}
