/* SPDX-License-Identifier: Apache-2.0
 *
 * What to do next for one NIC; see plan.h.
 */
#include "attach/plan.h"

#include <assert.h>

const char *const op_kind_names[] = {"make",   "host-remove", "remove",	     "host-set",  "set",
				     "sysctl", "addr-add",    "addr-remove", "route-add", "route-remove"};
static_assert(ARRAY_LEN(op_kind_names) == OP_KIND_N_, "one name per operation");

void ops_done(struct ops *o)
{
	free(o->v);
	*o = (struct ops){0};
}

static struct op *add(struct ops *o, enum op_kind kind, int ifindex)
{
	struct op *op = xgrow(&o->v, o->n, &o->cap);

	o->n++;
	op->kind = kind;
	op->ifindex = ifindex;
	return op;
}

void op_print(const struct op *op, const struct want *w, struct buf *ret)
{
	static const char *const sets[] = {"alias", "mac", "mtu", "master", "isolated", "up"};
	char text[PREFIX_STRLEN], via[IP_STRLEN];

	buf_printf(ret, "%s %s", op_kind_names[op->kind], w->spec->name);
	switch (op->kind) {
	case OP_MAKE:
		buf_printf(ret, " %s on %s", nic_kind_names[w->spec->kind], w->spec->parent);
		break;
	case OP_HOST_SET:
	case OP_NIC_SET:
		for (size_t i = 0; i < ARRAY_LEN(sets); i++)
			if (op->set & 1 << i)
				buf_printf(ret, " %s", sets[i]);
		break;
	case OP_ADDR_ADD:
	case OP_ADDR_REMOVE:
		buf_printf(ret, " %s", prefix_format(&op->address, text));
		break;
	case OP_ROUTE_ADD:
	case OP_ROUTE_REMOVE:
		buf_printf(ret, " %s", prefix_format(&op->route.to, text));
		if (!ip_is_none(&op->route.via))
			buf_printf(ret, " via %s", ip_format(&op->route.via, via));
		buf_printf(ret, " metric %u%s", op->route.metric, op->route.onlink ? " onlink" : "");
		break;
	case OP_HOST_REMOVE:
	case OP_NIC_REMOVE:
	case OP_SYSCTL:
	case OP_KIND_N_:
		break;
	}
}

/* --- the link --- */

static bool kind_fits(const struct nic_spec *s, const struct seen_link *l, const struct seen_link *parent)
{
	switch (s->kind) {
	case NIC_VETH:
		return l->kind == SEEN_VETH;
	case NIC_MACVLAN:
	case NIC_MACVLAN_PRIVATE:
		return l->kind == SEEN_MACVLAN && l->macvlan_private == (s->kind == NIC_MACVLAN_PRIVATE) &&
		       (!parent || l->lower == parent->ifindex);
	case NIC_PHYSICAL:
		return true;
	case NIC_KIND_N_:
		break;
	}
	return false;
}

/*
 * Ours by its alias. Or without one, since we died before it could be given: a veth whose other end has the name that
 * only we give, a macvlan with our MAC.
 */
static bool is_ours(const struct want *w, const struct seen_link *l, const struct seen_link *host_end)
{
	if (str_eq(l->alias, w->alias))
		return true;
	if (!l->alias[0] && l->kind == SEEN_MACVLAN && mac_cmp(&l->mac, &w->mac) == 0)
		return true;
	return !l->alias[0] && l->kind == SEEN_VETH && host_end && host_end->kind == SEEN_VETH &&
	       host_end->lower == l->ifindex && l->lower == host_end->ifindex;
}

static enum nic_state parent_check(const struct want *w, const struct seen_link *parent, char why[static 200])
{
	const struct nic_spec *s = w->spec;

	if (!parent) {
		snprintf(why, 200, "%s does not exist; it is waited for", s->parent);
		return NIC_WAITING;
	}
	if (s->kind == NIC_VETH && parent->kind != SEEN_BRIDGE) {
		snprintf(why, 200, "%s is no bridge: name one, or set kind to macvlan or physical", s->parent);
		return NIC_REFUSED;
	}
	if (s->kind == NIC_PHYSICAL && (parent->kind == SEEN_BRIDGE || str_eq(parent->name, "lo"))) {
		snprintf(why, 200, "%s cannot be moved: it is a bridge or lo", s->parent);
		return NIC_REFUSED;
	}
	if (s->kind != NIC_VETH && s->kind != NIC_PHYSICAL && parent->kind == SEEN_MACVLAN) {
		snprintf(why, 200, "%s is a macvlan itself: name the interface below it", s->parent);
		return NIC_REFUSED;
	}
	return NIC_READY;
}

static void host_end_plan(const struct want *w, const struct seen_link *l, const struct seen_link *parent,
			  struct ops *ret)
{
	struct op op = {.kind = OP_HOST_SET, .ifindex = l->ifindex, .master = parent->ifindex, .mtu = parent->mtu};

	op.set = (str_eq(l->alias, w->alias) ? 0 : SET_ALIAS) | (l->master == parent->ifindex ? 0 : SET_MASTER) |
		 (l->mtu == parent->mtu ? 0 : SET_MTU) | (l->up ? 0 : SET_UP);
	if (l->isolated != w->spec->isolated || (op.set & SET_MASTER && w->spec->isolated))
		op.set |= SET_ISOLATED;
	if (op.set)
		*add(ret, OP_HOST_SET, l->ifindex) = op;
}

static void nic_plan(const struct want *w, const struct seen_link *l, const struct seen_link *parent, bool sysctl_done,
		     struct ops *ret)
{
	uint32_t mtu = w->mtu ? w->mtu : parent ? parent->mtu : l->mtu;
	struct op op = {.kind = OP_NIC_SET, .ifindex = l->ifindex, .mtu = mtu};

	/* a macvlan cannot have more than what it is on */
	if (parent && w->spec->kind != NIC_VETH && w->spec->kind != NIC_PHYSICAL && mtu > parent->mtu)
		op.mtu = parent->mtu;
	op.set = (str_eq(l->alias, w->alias) ? 0 : SET_ALIAS) | (l->mtu == op.mtu ? 0 : SET_MTU);
	if (!mac_is_none(&w->mac) && mac_cmp(&w->mac, &l->mac) != 0)
		op.set |= SET_MAC;
	if (!w->alone && !sysctl_done)
		add(ret, OP_SYSCTL, l->ifindex);
	else if (!l->up)
		op.set |= SET_UP;
	if (op.set)
		*add(ret, OP_NIC_SET, l->ifindex) = op;
}

/* --- addresses and routes --- */

static bool was_put(const struct prefix *known, size_t n, const struct prefix *p)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_cmp(&known[i], p) == 0)
			return true;
	return false;
}

static void addrs_plan(const struct want *w, const struct seen *ct, int ifindex, const struct prefix *known,
		       size_t n_known, struct ops *ret)
{
	for (size_t i = 0; i < ct->n_addrs; i++) {
		const struct seen_addr *a = &ct->addrs[i];
		bool wanted = false;

		for (size_t k = 0; k < w->n_addresses; k++)
			wanted |= prefix_cmp(&w->addresses[k], &a->p) == 0;
		if (a->ifindex == ifindex && !wanted && (a->ours || was_put(known, n_known, &a->p)))
			add(ret, OP_ADDR_REMOVE, ifindex)->address = a->p;
	}
	for (size_t k = 0; k < w->n_addresses; k++) {
		bool there = false;
		struct op *op;

		for (size_t i = 0; i < ct->n_addrs; i++)
			there |= ct->addrs[i].ifindex == ifindex && prefix_cmp(&w->addresses[k], &ct->addrs[i].p) == 0;
		if (there)
			continue;
		op = add(ret, OP_ADDR_ADD, ifindex);
		op->address = w->addresses[k];
		op->look_for_duplicates = w->leased[k];
	}
}

static bool route_same(const struct want_route *a, const struct seen_route *b)
{
	return prefix_cmp(&a->to, &b->to) == 0 && ip_cmp(&a->via, &b->via) == 0 && a->metric == b->metric;
}

static void routes_plan(const struct want *w, const struct seen *ct, int ifindex, struct ops *ret)
{
	for (size_t i = 0; i < ct->n_routes; i++) {
		const struct seen_route *r = &ct->routes[i];
		bool wanted = false;

		for (size_t k = 0; k < w->n_routes; k++)
			wanted |= route_same(&w->routes[k], r);
		if (r->ifindex == ifindex && !wanted)
			add(ret, OP_ROUTE_REMOVE, ifindex)->route =
				(struct want_route){.to = r->to, .via = r->via, .metric = r->metric};
	}
	for (size_t k = 0; k < w->n_routes; k++) {
		bool there = false;

		for (size_t i = 0; i < ct->n_routes; i++)
			there |= ct->routes[i].ifindex == ifindex && route_same(&w->routes[k], &ct->routes[i]);
		if (!there)
			add(ret, OP_ROUTE_ADD, ifindex)->route = w->routes[k];
	}
}

/* --- the whole --- */

static enum nic_state make_plan(const struct want *w, const struct seen_link *taken, const struct seen_link *host_end,
				struct ops *ret, char why[static 200])
{
	if (taken) {
		snprintf(why, 200, "the container has an interface %s that is not ours", w->spec->name);
		return NIC_FAILED;
	}
	if (host_end && w->spec->kind == NIC_VETH) {
		/* its other end was renamed, or is in a namespace that nobody is in any more */
		if (!str_eq(host_end->alias, w->alias) && host_end->alias[0]) {
			snprintf(why, 200, "the host has an interface %s that is not ours", w->host);
			return NIC_FAILED;
		}
		add(ret, OP_HOST_REMOVE, host_end->ifindex);
	}
	add(ret, OP_MAKE, 0);
	return NIC_WAITING;
}

/* A physical interface that has been moved already is in the container, and not on the host */
static struct seen_link *moved_already(const struct want *w, const struct seen *ct)
{
	for (size_t i = 0; w->spec->kind == NIC_PHYSICAL && i < ct->n_links; i++)
		if (str_eq(ct->links[i].alias, w->alias))
			return &ct->links[i];
	return NULL;
}

enum nic_state plan_nic(const struct want *w, const struct seen *host, const struct seen *ct, bool sysctl_done,
			const struct prefix *known, size_t n_known, struct ops *ret, char why[static 200])
{
	const struct seen_link *parent = seen_by_name(host, w->spec->parent), *host_end = seen_by_name(host, w->host),
			       *l = seen_by_name(ct, w->spec->name), *moved = moved_already(w, ct);
	enum nic_state state = moved ? NIC_READY : parent_check(w, parent, why);
	bool ours = l && is_ours(w, l, host_end);

	if (state != NIC_READY)
		return state;
	why[0] = '\0';
	if (ours && (!kind_fits(w->spec, l, parent) || (w->spec->kind == NIC_VETH && !host_end))) {
		add(ret, OP_NIC_REMOVE, l->ifindex); /* another kind, or on another parent, is wanted now */
		return NIC_WAITING;
	}
	if (!ours)
		return make_plan(w, l, host_end, ret, why);
	if (w->spec->kind == NIC_VETH)
		host_end_plan(w, host_end, parent, ret);
	nic_plan(w, l, parent, sysctl_done, ret);
	if (!w->alone && !sysctl_done)
		return NIC_WAITING;
	/* after it was set up: the kernel takes no route over a link that is down */
	addrs_plan(w, ct, l->ifindex, known, n_known, ret);
	routes_plan(w, ct, l->ifindex, ret);
	return ret->n ? NIC_WAITING : NIC_READY;
}

static bool link_expect(const struct want *w, const struct op *op, const struct mac *mac, struct seen_link *l)
{
	if (!l)
		return false;
	if (op->set & SET_ALIAS)
		str_copy(l->alias, w->alias);
	if (op->set & SET_MAC)
		l->mac = *mac;
	if (op->set & SET_MTU)
		l->mtu = op->mtu;
	if (op->set & SET_MASTER)
		l->master = op->master;
	if (op->set & SET_ISOLATED)
		l->isolated = w->spec->isolated;
	if (op->set & SET_UP)
		l->up = true;
	return true;
}

bool plan_expect(const struct want *w, const struct op *op, struct seen *host, struct seen *ct)
{
	switch (op->kind) {
	case OP_HOST_SET:
		return link_expect(w, op, &w->host_mac, seen_by_index(host, op->ifindex));
	case OP_NIC_SET:
		return link_expect(w, op, &w->mac, seen_by_index(ct, op->ifindex));
	case OP_SYSCTL:
		return true;
	case OP_ADDR_ADD:
		*xgrow(&ct->addrs, ct->n_addrs, &ct->cap_addrs) =
			(struct seen_addr){.ifindex = op->ifindex, .p = op->address, .ours = true, .permanent = true};
		ct->n_addrs++;
		return true;
	case OP_ROUTE_ADD:
		*xgrow(&ct->routes, ct->n_routes, &ct->cap_routes) = (struct seen_route){.ifindex = op->ifindex,
											 .to = op->route.to,
											 .via = op->route.via,
											 .src = op->route.src,
											 .metric = op->route.metric};
		ct->n_routes++;
		return true;
	case OP_MAKE:
	case OP_HOST_REMOVE:
	case OP_NIC_REMOVE:
	case OP_ADDR_REMOVE:
	case OP_ROUTE_REMOVE:
	case OP_KIND_N_:
		break;
	}
	return false;
}

void plan_remove(const struct want *w, const struct seen *host, const struct seen *ct, struct ops *ret)
{
	const struct seen_link *host_end = seen_by_name(host, w->host), *l = seen_by_name(ct, w->spec->name);

	if (w->spec->kind == NIC_VETH && host_end && str_eq(host_end->alias, w->alias))
		add(ret, OP_HOST_REMOVE, host_end->ifindex);
	else if (l && is_ours(w, l, host_end))
		add(ret, OP_NIC_REMOVE, l->ifindex);
}
