/* SPDX-License-Identifier: Apache-2.0
 *
 * Labelled networks and interfaces to legs; see links.h.
 */
#include "multicast/links.h"

static void link_point(struct link *l)
{
	l->leg.subnets = l->subnets;
	l->leg.ranges = l->ranges;
}

static struct link *links_add(struct links *l)
{
	struct link *to = xcalloc(1, sizeof(*to));

	*xgrow(&l->v, l->n, &l->cap) = to; /* NOLINT(bugprone-sizeof-expression): it holds pointers */
	l->n++;
	link_point(to);
	return to;
}

void links_done(struct links *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct links){0};
}

static const struct iface *iface_find(const struct interfaces *ifs, const char *name, int index)
{
	for (size_t i = 0; i < ifs->n_ifaces; i++)
		if (name ? str_eq(ifs->ifaces[i].name, name) : ifs->ifaces[i].index == index)
			return &ifs->ifaces[i];
	return NULL;
}

static void subnet_add(struct link *l, const struct prefix *p)
{
	struct prefix net = prefix_mask(*p);

	for (size_t i = 0; i < l->leg.n_subnets; i++)
		if (prefix_cmp(&l->subnets[i], &net) == 0)
			return;
	if (l->leg.n_subnets < ARRAY_LEN(l->subnets))
		l->subnets[l->leg.n_subnets++] = net;
}

/* The first address of each kind; a temporary one only when there is no other */
static void addresses_take(struct link *l, const struct interfaces *ifs)
{
	struct ip second = {0};

	for (size_t i = 0; i < ifs->n_addresses; i++) {
		const struct iface_address *a = &ifs->addresses[i];
		const struct ip *ip = &a->prefix.ip;
		bool narrow = ip_is_link_local(ip);
		struct ip *to = ip->family == AF_INET ? &l->leg.ip4 : narrow ? &l->leg.ip6 : &l->leg.ip6_wide;

		if (a->index != l->ifindex)
			continue;
		if (l->n_own < ARRAY_LEN(l->own))
			l->own[l->n_own++] = *ip;
		if (!a->usable && !narrow)
			continue;
		if (a->second_rate && ip_is_none(&second) && to == &l->leg.ip6_wide)
			second = *ip;
		else if (!a->second_rate && ip_is_none(to))
			*to = *ip;
		subnet_add(l, &a->prefix);
	}
	if (ip_is_none(&l->leg.ip6_wide))
		l->leg.ip6_wide = second;
}

static void elsewhere_add(struct link *l, const struct prefix *p, size_t *left_out)
{
	struct prefix net = prefix_mask(*p);

	for (size_t i = 0; i < l->n_elsewhere; i++)
		if (prefix_contains(&l->elsewhere[i], &net))
			return;
	if (l->n_elsewhere < ARRAY_LEN(l->elsewhere))
		l->elsewhere[l->n_elsewhere++] = net;
	else
		++*left_out;
}

static const struct inv_stack *stack_of(const struct inventory *inv, const char *network_id)
{
	for (size_t i = 0; i < inv->n_stacks; i++)
		for (size_t k = 0; k < inv->stacks[i].n_networks; k++)
			if (str_eq(inv->stacks[i].networks[k].id, network_id))
				return &inv->stacks[i];
	return NULL;
}

/* Whatever has such a source on the LAN is a copy that another host, or another stack of this one, has put there */
static void elsewhere_take(const struct inventory *inv, const struct discovery *d, struct link *l,
			   struct problems *problems)
{
	size_t left_out = 0;

	for (size_t i = 0; i < inv->n_stacks; i++)
		for (size_t k = 0; inv->stacks[i].vni == l->vni && k < inv->stacks[i].n_networks; k++) {
			const struct inv_network *n = &inv->stacks[i].networks[k];

			for (size_t s = 0; !str_eq(n->id, l->network_id) && s < n->n_subnets; s++)
				elsewhere_add(l, &n->subnets[s], &left_out);
		}
	for (size_t i = 0; d && i < d->n_peers; i++) {
		const struct peer *p = &d->peers[i];

		for (size_t s = 0; p->vni == l->vni && s < p->n_subnets; s++)
			elsewhere_add(l, &p->subnets[s], &left_out);
		for (size_t s = 0; p->vni == l->vni && s < p->n_mapped; s++)
			elsewhere_add(l, &p->mapped[s].subnet, &left_out);
	}
	if (left_out)
		problems_add(
			problems, l->leg.name, "Take lan or overlay out of the label.",
			"%zu subnets of the VNI beyond %d: what their containers send comes by the LAN as well as by "
			"the overlay",
			left_out, LINK_ELSEWHERE);
}

static void overlay_take(const struct inventory *inv, const struct discovery *d, const struct inv_multicast *m,
			 const char *object, struct link *l, struct problems *problems)
{
	const struct inv_stack *stack = stack_of(inv, m->network.id);

	if (!m->label.overlay)
		return;
	l->apart = m->label.no_lan;
	if (l->apart) {
		l->leg.wants &= MC_GROUPS;
		l->leg.routed = false; /* which is a matter of the LAN */
	}
	if (!stack) {
		problems_add(problems, object, "Give it the labels docker-router.vni and docker-router.stack.",
			     "its multicast is for the overlay, and it is of no stack");
		return;
	}
	l->vni = stack->vni;
	if (!l->apart)
		elsewhere_take(inv, d, l, problems);
}

static void network_link(const struct inventory *inv, const struct discovery *d, const struct inv_multicast *m,
			 const struct interfaces *ifs, struct links *ret, struct problems *problems)
{
	const struct iface *f = iface_find(ifs, m->network.bridge, 0);
	char object[LIMIT_NAME + 16];
	struct link *l;

	str_print(object, "network %s", m->network.name);
	if (!f) {
		problems_add(problems, object, "", "its bridge %s is not there; waiting for it", m->network.bridge);
		return;
	}
	l = links_add(ret);
	l->ifindex = f->index;
	str_copy(l->ifname, f->name);
	str_copy(l->network_id, m->network.id);
	str_copy(l->leg.name, m->network.name);
	l->leg.wants =
		(m->label.ssdp ? MC_SSDP : 0) | (m->label.mdns ? MC_MDNS : 0) | (m->label.n_groups ? MC_GROUPS : 0);
	multicast_label_print(&m->label, l->label);
	l->leg.routed = m->label.routed;
	l->leg.n_types = m->label.n_types;
	memcpy(l->leg.types, m->label.types, sizeof(l->leg.types));
	memcpy(l->ranges, m->label.groups, sizeof(l->ranges));
	l->leg.n_ranges = m->label.n_groups;
	for (size_t i = 0; i < m->network.n_subnets; i++)
		subnet_add(l, &m->network.subnets[i]);
	addresses_take(l, ifs);
	overlay_take(inv, d, m, object, l, problems);
	if (ip_is_none(&l->leg.ip4) && ip_is_none(&l->leg.ip6))
		problems_add(problems, object,
			     "Give the bridge an address: inhibit_ipv4 and gateway_mode isolated take it away.",
			     "its bridge %s has no address, so that nothing can be sent there", f->name);
}

static void lan_link(const struct interfaces *ifs, const char *lan, struct links *ret, struct problems *problems)
{
	const struct iface *f = iface_find(ifs, *lan ? lan : NULL, ifs->default_index);
	struct link *l;

	if (!f || !f->up) {
		if (*lan)
			problems_add(problems, "LAN", "", "the interface %s is %s; waiting for it", lan,
				     f ? "down" : "not there");
		else
			problems_add(problems, "LAN", "Set INTERFACE to the interface on the LAN.",
				     "there is no default route, whose interface would be that of the LAN");
		return;
	}
	l = links_add(ret);
	l->leg.lan = true;
	l->leg.wants = MC_SSDP | MC_MDNS | MC_GROUPS;
	l->ifindex = f->index;
	str_copy(l->ifname, f->name);
	str_copy(l->leg.name, f->name);
	addresses_take(l, ifs);
	if (ip_is_none(&l->leg.ip4) && ip_is_none(&l->leg.ip6))
		problems_add(problems, "LAN", "", "the interface %s has no address; waiting for one", f->name);
}

bool links_need_discovery(const struct inventory *inv)
{
	for (size_t i = 0; i < inv->n_multicast; i++)
		if (inv->multicast[i].label.overlay && !inv->multicast[i].label.no_lan)
			return true;
	return false;
}

void links_desired(const struct inventory *inv, const struct discovery *d, const struct interfaces *ifs,
		   const char *lan, bool lan_anyway, struct links *ret, struct problems *problems)
{
	unsigned wants = 0;
	bool any = lan_anyway;

	*ret = (struct links){0};
	for (size_t i = 0; i < inv->n_multicast; i++)
		network_link(inv, d, &inv->multicast[i], ifs, ret, problems);
	for (size_t i = 0; i < ret->n; i++)
		wants |= ret->v[i]->apart ? 0 : ret->v[i]->leg.wants;
	for (size_t i = 0; i < inv->n_multicast; i++)
		any |= !inv->multicast[i].label.no_lan;
	if (!any)
		return;
	lan_link(ifs, lan, ret, problems);
	/* what nobody wants is not joined on the LAN either */
	for (size_t i = 0; i < ret->n; i++)
		if (ret->v[i]->leg.lan)
			ret->v[i]->leg.wants &= wants;
}

bool link_is(const struct link *a, const struct link *b)
{
	return a->ifindex == b->ifindex && a->leg.lan == b->leg.lan && str_eq(a->network_id, b->network_id);
}

static bool prefixes_same(const struct prefix *a, size_t n_a, const struct prefix *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (prefix_cmp(&a[i], &b[i]) != 0)
			return false;
	return true;
}

static bool ips_same(const struct ip *a, size_t n_a, const struct ip *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (ip_cmp(&a[i], &b[i]) != 0)
			return false;
	return true;
}

bool link_same(const struct link *a, const struct link *b)
{
	return link_is(a, b) && a->leg.wants == b->leg.wants && str_eq(a->label, b->label) &&
	       str_eq(a->leg.name, b->leg.name) && str_eq(a->ifname, b->ifname) &&
	       ip_cmp(&a->leg.ip4, &b->leg.ip4) == 0 && ip_cmp(&a->leg.ip6, &b->leg.ip6) == 0 &&
	       ip_cmp(&a->leg.ip6_wide, &b->leg.ip6_wide) == 0 && ips_same(a->own, a->n_own, b->own, b->n_own) &&
	       a->vni == b->vni && a->apart == b->apart &&
	       prefixes_same(a->elsewhere, a->n_elsewhere, b->elsewhere, b->n_elsewhere) &&
	       prefixes_same(a->subnets, a->leg.n_subnets, b->subnets, b->leg.n_subnets) &&
	       prefixes_same(a->ranges, a->leg.n_ranges, b->ranges, b->leg.n_ranges);
}

void link_take(struct link *to, const struct link *from)
{
	uint32_t id = to->leg.id;

	*to = *from;
	to->leg.id = id;
	link_point(to);
}
