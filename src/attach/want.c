/* SPDX-License-Identifier: Apache-2.0
 *
 * From spec and leases to what the kernel shall have; see want.h.
 */
#include "attach/want.h"

#include "io/broker.h"

#define METRIC_IPV6 1024u /* what the kernel makes of 0 */

static void hex_name(const char *head, uint64_t h, char ret[static NIC_NAME])
{
	snprintf(ret, NIC_NAME, "%s%010llx", head, (unsigned long long)(h & 0xffffffffffull));
}

void want_host_name(const char *container_id, const char *nic, char ret[static NIC_NAME])
{
	uint64_t h = hash64(container_id, strlen(container_id) + 1, 1);

	hex_name("dra", hash64(nic, strlen(nic) + 1, h), ret);
}

void want_shim_name(const char *parent, char ret[static NIC_NAME])
{
	hex_name("dras", hash64(parent, strlen(parent) + 1, 2), ret);
}

static void address_add(struct want *w, const struct prefix *p, bool leased)
{
	for (size_t i = 0; i < w->n_addresses; i++)
		if (ip_cmp(&w->addresses[i].ip, &p->ip) == 0)
			return;
	if (w->n_addresses >= ARRAY_LEN(w->addresses))
		return;
	w->leased[w->n_addresses] = leased;
	w->addresses[w->n_addresses++] = *p;
}

static bool on_link(const struct want *w, const struct ip *ip)
{
	if (ip->family == AF_INET6 && ip_is_link_local(ip))
		return true;
	for (size_t i = 0; i < w->n_addresses; i++) {
		struct prefix net = prefix_mask(w->addresses[i]);

		if (prefix_has_ip(&net, ip))
			return true;
	}
	return false;
}

static void route_add(struct want *w, const struct prefix *to, const struct ip *via, uint32_t metric)
{
	struct want_route r = {.to = *to, .via = *via, .metric = metric};

	if (to->ip.family == AF_INET6 && !metric)
		r.metric = METRIC_IPV6;
	r.onlink = !ip_is_none(via) && !on_link(w, via);
	for (size_t i = 0; i < w->n_routes; i++)
		if (prefix_cmp(&w->routes[i].to, to) == 0 && w->routes[i].metric == r.metric)
			return; /* the first that was said counts: labels before servers */
	if (w->n_routes < ARRAY_LEN(w->routes))
		w->routes[w->n_routes++] = r;
}

static void default_add(struct want *w, const struct ip *via, uint32_t metric)
{
	struct prefix all = {.ip = {.family = via->family}};

	if (!ip_is_none(via))
		route_add(w, &all, via, metric);
}

static int sysctl_of(const struct nic_spec *s)
{
	bool ipv6 = s->slaac || s->dhcp6;

	for (size_t i = 0; i < s->n_addresses; i++)
		ipv6 |= s->addresses[i].ip.family == AF_INET6;
	if (!ipv6)
		return BROKER_NIC_NO_IPV6;
	if (s->slaac)
		return BROKER_NIC_RA | BROKER_NIC_AUTOCONF;
	return s->dhcp6 ? BROKER_NIC_RA : 0; /* DHCPv6 gives neither the default route nor the prefix */
}

static void lease_add(struct want *w, const struct att_lease *l, uint32_t metric)
{
	if (ip_is_none(&l->address.ip))
		return;
	/* a label's gateway goes before that of a lease, and then none of another place is wanted */
	for (size_t i = 0; i < l->n_routes; i++) {
		bool is_default = l->routes[i].to.len == 0;

		if (is_default && !ip_is_none(&w->spec->gateways[l->address.ip.family == AF_INET6]))
			continue;
		route_add(w, &l->routes[i].to, &l->routes[i].via, is_default ? metric : 0);
	}
	if (ip_is_none(&w->spec->gateways[l->address.ip.family == AF_INET6]))
		default_add(w, &l->gateway, metric);
	if (!w->mtu)
		w->mtu = l->mtu;
}

static void owner_print(const char *host_id, const struct inv_attach *a, char *ret, size_t size)
{
	snprintf(ret, size, "%s/%s", host_id, a->owner);
}

void want_client_id(const char *host_id, const struct inv_attach *a, const char *nic, enum lease_kind kind,
		    char ret[static 129])
{
	char owner[sizeof(a->owner) + 64];
	uint64_t h;

	owner_print(host_id, a, owner, sizeof(owner));
	if (kind == LEASE_DHCP6) { /* type 4, a UUID (RFC 6355): of the container, its NICs have their MACs */
		snprintf(ret, 129, "0004%016llx%016llx", (unsigned long long)hash64(owner, strlen(owner) + 1, 4),
			 (unsigned long long)hash64(owner, strlen(owner) + 1, 5));
		return;
	}
	h = hash64(nic, strlen(nic) + 1, hash64(owner, strlen(owner) + 1, 3));
	/* type 0: no hardware address, but whatever we like (RFC 2132, 9.14); "docker-router" */
	snprintf(ret, 129, "00646f636b65722d726f75746572%016llx", (unsigned long long)h);
}

void want_make(const char *host_id, const struct inv_attach *a, size_t index, const struct att_lease *leases,
	       struct want *ret)
{
	const struct nic_spec *s = &a->nics[index];
	uint32_t metric = s->metric >= 0 ? (uint32_t)s->metric : WANT_METRIC + (uint32_t)index;
	char owner[sizeof(a->owner) + 64];

	*ret = (struct want){.spec = s, .mac = s->mac, .mtu = s->mtu};
	want_host_name(a->container.id, s->name, ret->host);
	if (s->kind == NIC_PHYSICAL)
		str_print(ret->alias, ATTACH_ALIAS "physical:%s", s->parent);
	else
		str_print(ret->alias, ATTACH_ALIAS "%.64s:%s", a->container.id, s->name);
	owner_print(host_id, a, owner, sizeof(owner));
	if (mac_is_none(&ret->mac) && s->kind != NIC_PHYSICAL)
		ret->mac = nic_mac(owner, s->name);
	/* a bridge takes the lowest MAC of its ports for its own, and its peers must not see that change */
	ret->host_mac = nic_mac(a->container.id, s->name);
	ret->host_mac.b[0] = 0xfe;
	ret->alone = !s->dhcp && !s->dhcp6 && !s->slaac && !s->n_addresses;
	ret->sysctl = sysctl_of(s);
	for (size_t i = 0; i < s->n_addresses; i++)
		address_add(ret, &s->addresses[i], false);
	for (size_t i = 0; i < LEASE_KIND_N_; i++)
		if (!ip_is_none(&leases[i].address.ip))
			address_add(ret, &leases[i].address, true);
	for (size_t i = 0; i < 2; i++)
		default_add(ret, &s->gateways[i], metric);
	for (size_t i = 0; i < s->n_routes; i++)
		route_add(ret, &s->routes[i].to, &s->routes[i].via, s->routes[i].to.len == 0 ? metric : 0);
	for (size_t i = 0; i < LEASE_KIND_N_; i++)
		lease_add(ret, &leases[i], metric);
}
