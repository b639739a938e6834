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
	int64_t due = ssdp_due(r->ssdp), other = mdns_due(r->mdns), third = groups_due(r->groups), now = mono_now().us;

	due = other < due ? other : due;
	due = third < due ? third : due;
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

void role_on_due(void *arg)
{
	struct role *r = arg;

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
	const char *why = groups_heard(r->groups, mono_now(), leg, family, packet, len);

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

	/* containers reach the LAN by themselves */
	if (!a || !b || a->leg.lan)
		return false;
	rc = proxy_map(r->proxy, &a->leg, inside, &b->leg, ret_outside);
	if (rc < 0) {
		role_drop(r, from, "no port for what it announces");
		log_debug("no port for a device", kv_str("network", a->leg.name), kv_str("why", strerror(-rc)));
	}
	return rc == 0;
}
