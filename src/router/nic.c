/* SPDX-License-Identifier: Apache-2.0
 *
 * Desired state inside containers: grade nic, a veth straight into the router namespace, past bridge and host; and
 * grade route, a route to the leg. Both leave the container's own addresses and default route alone. The leg stays
 * beneath: until the NIC is in, and where nothing may be put into a container, traffic takes that.
 */
#include <inttypes.h>

#include "router/desired_parts.h"

/* One container in one VNI: a stack may hold it several times by several networks, several stacks too. */
struct plug {
	const struct inv_container *c;
	uint32_t vni;
	struct net_id id;
};

static bool is_on(const struct inventory *inv, const struct inv_container *c, const char *network_id)
{
	for (size_t i = 0; i < inv->n_stacks; i++) {
		const struct inv_stack *s = &inv->stacks[i];
		for (size_t j = 0; j < s->n_containers; j++) {
			const struct inv_container *ct = &s->containers[j];
			for (size_t k = 0; str_eq(ct->id, c->id) && k < ct->n_interfaces; k++)
				if (str_eq(ct->interfaces[k].network_id, network_id))
					return true;
		}
	}
	return false;
}

/* struct own - What a container reaches over its own interfaces */
struct own {
	const struct inv_network **v;
	size_t n, cap;
};

static void own_collect(const struct inventory *inv, const struct inv_container *c, struct own *ret)
{
	for (size_t i = 0; i < inv->n_stacks; i++)
		for (size_t j = 0; j < inv->stacks[i].n_networks; j++) {
			if (!is_on(inv, c, inv->stacks[i].networks[j].id))
				continue;
			*xgrow(&ret->v, ret->n, &ret->cap) = &inv->stacks[i].networks[j];
			ret->n++;
		}
}

static bool own_overlaps(const struct own *own, const struct prefix *p)
{
	for (size_t i = 0; i < own->n; i++)
		if (overlaps_own(own->v[i], p))
			return true;
	return false;
}

/* The container's address in this VNI that talks to a family, and the interface that holds it. */
static const struct ip *source_of(const struct inv_container *c, uint8_t family, const struct inv_interface **ret_if)
{
	for (size_t i = 0; i < c->n_interfaces; i++)
		for (size_t j = 0; j < c->interfaces[i].n_addresses; j++)
			if (c->interfaces[i].addresses[j].family == family) {
				*ret_if = &c->interfaces[i];
				return &c->interfaces[i].addresses[j];
			}
	return NULL;
}

static bool accepted(const struct claims *cs, uint32_t vni, const struct ip *ip)
{
	size_t i, to;
	for (claims_of(cs, vni, &i, &to); i < to; i++)
		if (!cs->v[i].refused && cs->v[i].network && prefix_has_ip(&cs->v[i].real, ip))
			return true;
	return false;
}

/* The address that a prefix of ours, mapped or not, gives to one of its containers; false: it is not for this one */
static bool address_in(const struct claim *c, const struct ip *ip, struct ip *ret)
{
	if (c->refused || !c->network || !prefix_has_ip(&c->real, ip))
		return false;
	*ret = prefix_translate(&c->prefix, ip);
	return true;
}

/*
 * In a table of their own, behind the connected routes of the main one: before Docker connects a container to one more
 * network it refuses when the main table has a route there, and then it looks whether the gateway is directly reached.
 */
static void add_routes(const struct desired_input *in, struct desired *d, struct net *ct, const struct plug *plug,
		       uint8_t family, const char *dev, const struct ip *src)
{
	uint32_t mtu = overlay_mtu(in);
	struct own own = {0};
	bool found = false;
	size_t i, to;

	own_collect(in->inventory, plug->c, &own);
	for (claims_of(&d->claims, plug->vni, &i, &to); i < to; i++) {
		const struct claim *c = &d->claims.v[i];
		if (c->refused || c->prefix.ip.family != family || own_overlaps(&own, &c->prefix))
			continue;
		struct entry r = entry_make(ENTRY_ROUTE, dev, &c->prefix);
		r.table = TABLE_CONTAINER;
		entry_set_via(&r, family == AF_INET ? &leg_next_hop4 : &leg_next_hop6);
		r.onlink = family == AF_INET;
		memcpy(r.src, src->b, sizeof(r.src));
		r.mtu = c->peer ? mtu : 0;
		entry_set_put(&ct->entries, &r);
		found = true;
	}
	free(own.v);
	if (!found)
		return;
	struct entry rule = entry_make(ENTRY_RULE, "", NULL);
	rule.family = family;
	rule.pref = RULE_PREF_CONNECTED;
	rule.table = 254;
	entry_set_put(&ct->entries, &rule);
	rule.pref = RULE_PREF_BRIDGE;
	rule.table = TABLE_CONTAINER;
	entry_set_put(&ct->entries, &rule);
}

/* In the router namespace: all addresses that lead to this one. */
static void add_own_routes(struct desired *d, struct net *vn, uint32_t vni, const char *dev, const struct ip *ip)
{
	size_t i, to;

	for (claims_of(&d->claims, vni, &i, &to); i < to; i++) {
		struct ip at;
		if (!address_in(&d->claims.v[i], ip, &at))
			continue;
		struct prefix p = prefix_host(&at);
		struct entry r = entry_make(ENTRY_ROUTE, dev, &p);
		r.table = 254;
		entry_set_put(&vn->entries, &r);
	}
}

static void report(struct desired *d, const struct plug *plug, const char *name, const char *grade)
{
	struct rs_vni *v = state_vni(&d->state, plug->vni);
	struct rs_nic *n = xgrow(&v->nics, v->n_nics, &v->cap_nics);
	v->n_nics++;
	str_copy(n->container, plug->c->name);
	str_copy(n->name, name);
	str_copy(n->grade, grade);
}

static void add_nic(const struct desired_input *in, struct desired *d, const struct plug *plug,
		    const struct net *actual)
{
	const uint8_t families[] = {AF_INET, AF_INET6};
	struct net_id vni_id = net_id_vni(plug->vni);
	struct net *ct = net_list_add(&d->nets, &plug->id), *vn = net_list_find(&d->nets, &vni_id);
	char inside[16], outside[16], seed[LIMIT_ID + 16];

	str_print(inside, "dr%" PRIu32, plug->vni);
	str_print(seed, "%s/%" PRIu32, plug->c->id, plug->vni);
	name_derive(outside, "nic-", seed);
	struct mac in_mac = mac_derive("nic-inside", in->host_id, seed, 0x02);
	struct mac out_mac = mac_derive("nic-outside", in->host_id, seed, 0x02);
	/*
	 * Docker switches IPv6 off by default inside; the role switches it on for our link, then this comes true. While
	 * the container is still being looked at (a restart of ours) nothing that stands may go: taken for true.
	 */
	const struct link *there = actual && actual->ready ? net_link(actual, inside) : NULL;
	bool six = there ? !there->ipv6_off : !actual || !actual->ready;

	struct link *l = net_link_add(ct, inside);
	l->kind = LINK_VETH;
	str_print(l->alias, ROUTER_ALIAS "nic:%" PRIu32, plug->vni);
	l->mac = in_mac;
	l->mtu = 1500;
	l->up = true;
	l->peer_net = vni_id;
	str_copy(l->peer_name, outside);
	l->veth_primary = true;
	l = net_link_add(vn, outside);
	l->kind = LINK_VETH;
	str_print(l->alias, ROUTER_ALIAS "nic:%.40s", plug->c->name);
	l->mac = out_mac;
	l->mtu = 1500;
	l->up = true;
	l->peer_net = plug->id;
	str_copy(l->peer_name, inside);

	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		const struct inv_interface *itf;
		uint8_t family = families[f];
		const struct ip *src = source_of(plug->c, family, &itf);
		if (!src || !accepted(&d->claims, plug->vni, src) || (family == AF_INET6 && !six))
			continue;
		add_neigh(ct, inside, family == AF_INET ? &leg_next_hop4 : &leg_next_hop6, &out_mac);
		if (family == AF_INET6)
			add_addr(vn, outside, &leg_next_hop6, 64);
		add_routes(in, d, ct, plug, family, inside, src);
	}
	for (size_t i = 0; i < plug->c->n_interfaces; i++)
		for (size_t j = 0; j < plug->c->interfaces[i].n_addresses; j++) {
			const struct ip *ip = &plug->c->interfaces[i].addresses[j];
			if (!accepted(&d->claims, plug->vni, ip) || (ip->family == AF_INET6 && !six))
				continue;
			add_neigh(vn, outside, ip, &in_mac); /* a mapped one is the true one again by then */
			add_own_routes(d, vn, plug->vni, outside, ip);
		}
	report(d, plug, inside, "nic");
}

static void add_route_grade(const struct desired_input *in, struct desired *d, const struct plug *plug,
			    const struct net *actual)
{
	const uint8_t families[] = {AF_INET, AF_INET6};
	struct net *ct = net_list_add(&d->nets, &plug->id);
	const char *used = "";

	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		const struct inv_interface *itf;
		const struct ip *src = source_of(plug->c, families[f], &itf);
		const struct link *eth = NULL;
		if (!src || !accepted(&d->claims, plug->vni, src))
			continue;
		for (size_t i = 0; i < actual->n_links; i++)
			if (mac_cmp(&actual->links[i].mac, &itf->mac) == 0)
				eth = &actual->links[i];
		if (!eth || (families[f] == AF_INET6 && eth->ipv6_off))
			continue;
		struct mac leg = mac_derive("leg", in->host_id, itf->network_id, 0x02);
		add_neigh(ct, eth->name, families[f] == AF_INET ? &leg_next_hop4 : &leg_next_hop6, &leg);
		add_routes(in, d, ct, plug, families[f], eth->name, src);
		used = eth->name;
	}
	if (used[0])
		report(d, plug, used, "route");
}

static bool is_clean(const struct net *n)
{
	for (size_t i = 0; i < n->n_links; i++)
		if (strncmp(n->links[i].alias, ROUTER_ALIAS, strlen(ROUTER_ALIAS)) == 0)
			return false;
	return n->entries.n == 0;
}

/* DATAPATH was changed to leg: what another grade left inside a container is looked at until it is gone. */
static void want_leftovers(const struct desired_input *in, struct desired *d)
{
	for (size_t i = 0; in->before && i < in->before->n_vnis; i++)
		for (size_t j = 0; j < in->before->vnis[i].n_nics; j++)
			for (size_t s = 0; s < in->inventory->n_stacks; s++)
				for (size_t k = 0; k < in->inventory->stacks[s].n_containers; k++) {
					const struct rs_nic *was = &in->before->vnis[i].nics[j];
					struct plug plug = {.c = &in->inventory->stacks[s].containers[k],
							    .vni = in->before->vnis[i].vni,
							    .id.kind = NET_CONTAINER};
					if (plug.vni != in->inventory->stacks[s].vni ||
					    !str_eq(plug.c->name, was->container))
						continue;
					str_copy(plug.id.container, plug.c->id);
					const struct net *n = net_list_find(in->actual, &plug.id);
					if (n && n->ready && is_clean(n))
						continue;
					struct desired_want *w = xgrow(&d->wants, d->n_wants, &d->cap_wants);
					d->n_wants++;
					w->container = plug.c;
					report(d, &plug, was->name, was->grade);
				}
}

void desired_add_nics(const struct desired_input *in, struct desired *d)
{
	enum datapath grade = in->config->datapath;
	size_t routes = 0, from, to;

	if (!in->nics)
		return;
	if (grade == DATAPATH_LEG) {
		want_leftovers(in, d);
		return;
	}
	for (size_t s = 0; s < in->inventory->n_stacks; s++) {
		const struct inv_stack *stack = &in->inventory->stacks[s];
		claims_of(&d->claims, stack->vni, &from, &to);
		for (size_t i = 0; i < stack->n_containers; i++) {
			struct plug plug = {.c = &stack->containers[i], .vni = stack->vni};
			bool again = false;
			if (!plug.c->pid && !plug.c->sandbox[0])
				continue;
			plug.id.kind = NET_CONTAINER;
			str_copy(plug.id.container, plug.c->id);
			/* A container of two stacks of one VNI has one NIC: by the first. */
			for (size_t t = 0; t < s && !again; t++)
				for (size_t j = 0; in->inventory->stacks[t].vni == stack->vni &&
						   j < in->inventory->stacks[t].n_containers && !again;
				     j++)
					again = str_eq(in->inventory->stacks[t].containers[j].id, plug.c->id);
			if (again || (routes += to - from) > NIC_ROUTES_MAX)
				continue;
			struct desired_want *w = xgrow(&d->wants, d->n_wants, &d->cap_wants);
			d->n_wants++;
			w->container = plug.c;
			const struct net *actual = net_list_find(in->actual, &plug.id);
			if (actual && actual->broken[0])
				continue;
			if (grade != DATAPATH_ROUTE)
				add_nic(in, d, &plug, actual);
			else if (actual && actual->ready)
				add_route_grade(in, d, &plug, actual);
		}
	}
}
