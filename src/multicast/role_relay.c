/* SPDX-License-Identifier: Apache-2.0
 *
 * The seam in use: what is heard goes to its core, and what the cores say is carried out and counted.
 */
#include "multicast/role.h"

#include "base/log.h"

/* The cores number their sockets alike; this tells them apart */
#define PORT_OF_MDNS 0x80000000u

struct tally *role_tally(struct role *r, uint32_t leg)
{
	for (size_t i = 0; i < r->links.n; i++)
		if (r->links.v[i]->leg.id == leg)
			return &r->tallies[i];
	return NULL;
}

void role_drop(struct role *r, uint32_t leg, const char *why)
{
	struct tally *t = role_tally(r, leg);

	for (size_t i = 0; t && i < t->n_drops; i++)
		if (str_eq(t->drops[i].why, why)) {
			t->drops[i].n++;
			return;
		}
	if (t && t->n_drops < LIMIT_MC_DROPS) {
		t->drops[t->n_drops].why = why;
		t->drops[t->n_drops++].n = 1;
	}
}

static const struct link *link_of(const struct role *r, uint32_t leg)
{
	for (size_t i = 0; i < r->links.n; i++)
		if (r->links.v[i]->leg.id == leg)
			return r->links.v[i];
	return NULL;
}

static void due_set(struct role *r)
{
	int64_t dues[] = {ssdp_due(r->ssdp), mdns_due(r->mdns), groups_due(r->groups), starts_due(&r->starts),
			  advertise_due(&r->advertise)};
	int64_t due = INT64_MAX, now = mono_now().us;

	for (size_t i = 0; i < ARRAY_LEN(dues); i++)
		due = dues[i] < due ? dues[i] : due;
	if (due == INT64_MAX)
		timer_stop(r->due);
	else
		timer_start(r->due, due > now ? due - now : 0);
}

static void action_do(struct role *r, const struct mc_action *a)
{
	struct tally *t = role_tally(r, a->leg);
	int rc = a->kind == MC_DROP ? 0 : wire_do(r->wire, a);

	if (a->kind == MC_DROP) {
		role_drop(r, a->leg, a->why);
	} else if (rc < 0) {
		role_drop(r, a->leg, "cannot be sent");
		log_debug("datagram not sent", kv_int("leg", a->leg), kv_str("why", strerror(-rc)));
	} else if (a->kind == MC_SEND && t) {
		t->sent++;
	}
}

static void device_count(void *arg, const struct ssdp_device *d)
{
	(*(size_t *)arg)++;
}

void role_actions(struct role *r)
{
	size_t devices = 0;

	for (size_t i = 0; i < r->of_ssdp.n; i++)
		action_do(r, &r->of_ssdp.v[i]);
	for (size_t i = 0; i < r->of_mdns.n; i++) {
		if (r->of_mdns.v[i].port)
			r->of_mdns.v[i].port |= PORT_OF_MDNS;
		action_do(r, &r->of_mdns.v[i]);
	}
	mc_actions_clear(&r->of_ssdp);
	mc_actions_clear(&r->of_mdns);
	due_set(r);
	ssdp_devices(r->ssdp, mono_now(), device_count, &devices);
	role_write_soon(r, devices == r->devices ? WRITE_COUNT_US : WRITE_US);
	r->devices = devices;
}

/* The address that a kernel gives itself on the link, by its MAC (RFC 4291, appendix A) */
static struct ip link_local_of(const struct mac *mac)
{
	struct ip ip = {.family = AF_INET6, .b = {0xfe, 0x80}};

	memcpy(ip.b + 8, mac->b, 3);
	ip.b[8] ^= 2;
	ip.b[11] = 0xff;
	ip.b[12] = 0xfe;
	memcpy(ip.b + 13, mac->b + 3, 3);
	return ip;
}

static bool interface_has(const struct inv_interface *i, const struct ip *ip)
{
	struct ip own = link_local_of(&i->mac);

	if (ip_cmp(&own, ip) == 0)
		return true;
	for (size_t k = 0; k < i->n_addresses; k++)
		if (ip_cmp(&i->addresses[k], ip) == 0)
			return true;
	return false;
}

bool role_on_same(void *arg, uint32_t leg, const struct ip *a, const struct ip *b)
{
	const struct role *r = arg;
	const struct link *l = link_of(r, leg);

	for (size_t i = 0; l && i < r->inventory.n_multicast; i++) {
		const struct inv_multicast *m = &r->inventory.multicast[i];

		for (size_t c = 0; str_eq(m->network.id, l->network_id) && c < m->n_containers; c++)
			for (size_t k = 0; k < m->containers[c].n_interfaces; k++)
				if (interface_has(&m->containers[c].interfaces[k], a) &&
				    interface_has(&m->containers[c].interfaces[k], b))
					return true;
	}
	return false;
}

/* --- what has started --- */

static int seen_cmp(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->leg != y->leg)
		return x->leg < y->leg ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static void container_see(struct role *r, uint32_t leg, const struct inv_container *c, struct seen *to)
{
	const struct inv_interface *on = c->n_interfaces ? &c->interfaces[0] : NULL;
	uint64_t start = hash64(c->id, strlen(c->id), (uint64_t)c->pid);

	for (size_t i = 0; on && i < on->n_addresses; i++)
		start = hash64(&on->addresses[i], sizeof(on->addresses[i]), start);
	*to = (struct seen){leg, start};
	if (r->n_seen && bsearch(to, r->seen, r->n_seen, sizeof(*to), seen_cmp))
		return;
	for (size_t i = 0; on && i < on->n_addresses; i++)
		starts_add(&r->starts, mono_now(), leg, &on->addresses[i]);
}

void role_starts(struct role *r)
{
	struct seen *now;
	size_t n = 0, cap = 0;

	for (size_t i = 0; i < r->inventory.n_multicast; i++)
		cap += r->inventory.multicast[i].n_containers;
	now = xcalloc(cap + 1, sizeof(*now));
	for (size_t i = 0; i < r->links.n; i++) {
		const struct link *l = r->links.v[i];

		for (size_t k = 0; !l->leg.lan && k < r->inventory.n_multicast; k++) {
			const struct inv_multicast *m = &r->inventory.multicast[k];

			for (size_t c = 0; str_eq(m->network.id, l->network_id) && c < m->n_containers && n < cap; c++)
				container_see(r, l->leg.id, &m->containers[c], &now[n++]);
		}
	}
	if (n > 1)
		qsort(now, n, sizeof(*now), seen_cmp);
	free(r->seen);
	r->seen = now;
	r->n_seen = n;
}

static void starts_do(struct role *r, mono_t now)
{
	struct start s;

	while (starts_next(&r->starts, now, &s)) {
		if (ssdp_has_heard(r->ssdp, s.leg, &s.who, s.since_us)) {
			starts_found(&r->starts, s.leg, &s.who);
			continue;
		}
		/* in its first second our own address there may be tentative yet */
		if (s.who.family == AF_INET || s.tries >= STARTS_TRY / 2)
			ssdp_look(r->ssdp, now, s.leg, &s.who, &r->of_ssdp);
		if (s.tries % 3 == 0)
			mdns_look(r->mdns, s.leg, &r->of_mdns);
	}
}

void role_on_due(void *arg)
{
	struct role *r = arg;

	starts_do(r, mono_now());
	role_advertise(r);
	ssdp_timer(r->ssdp, mono_now(), &r->of_ssdp);
	mdns_timer(r->mdns, mono_now(), &r->of_mdns);
	groups_timer(r->groups, mono_now());
	role_rules_soon(r);
	role_actions(r);
}

void role_on_packet(void *arg, const struct mc_packet *p)
{
	struct role *r = arg;
	struct tally *t = role_tally(r, p->leg);
	struct mc_packet mine = *p;

	if (t)
		t->heard++;
	mine.port &= ~PORT_OF_MDNS;
	if (p->port ? p->port & PORT_OF_MDNS : p->dst.port == MDNS_PORT)
		mdns_input(r->mdns, mono_now(), &mine, &r->of_mdns);
	else
		ssdp_input(r->ssdp, mono_now(), &mine, &r->of_ssdp);
	role_actions(r);
}

void role_on_bad(void *arg, uint32_t leg, const char *why)
{
	role_drop(arg, leg, why);
}

void role_on_gmp(void *arg, uint32_t leg, int family, const uint8_t *packet, size_t len)
{
	struct role *r = arg;
	const char *why = NULL;

	if (family == AF_INET6 && len > 6 && packet[6] == IPPROTO_ICMPV6)
		role_solicited(r, leg, packet, len);
	else
		why = groups_heard(r->groups, mono_now(), leg, family, packet, len);
	if (why)
		role_drop(r, leg, why);
	due_set(r);
	role_rules_soon(r);
}

void role_on_gmp_send(void *arg, uint32_t leg, const struct ip *dst, const uint8_t *packet, size_t len)
{
	struct role *r = arg;
	int rc = wire_send(r->wire, leg, dst, packet, len);

	if (rc < 0)
		log_debug("IGMP or MLD not sent", kv_int("leg", leg), kv_str("why", strerror(-rc)));
}

bool role_on_map(void *arg, uint32_t from, const struct endpoint *inside, uint32_t to, struct endpoint *ret_outside)
{
	struct role *r = arg;
	const struct link *a = link_of(r, from), *b = link_of(r, to);
	int rc;

	/* containers reach the LAN by themselves, and the LAN a network that it has a route to */
	if (!a || !b || a->leg.lan || (a->leg.routed && b->leg.lan))
		return false;
	rc = proxy_map(r->proxy, &a->leg, inside, &b->leg, ret_outside);
	if (rc < 0) {
		role_drop(r, from, "no port for what it announces");
		log_debug("no port for a device", kv_str("network", a->leg.name), kv_str("why", strerror(-rc)));
	}
	return rc == 0;
}
