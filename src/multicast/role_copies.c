/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel copies the groups that somebody wants: who listens behind bridges, and the rules; see groups.h.
 */
#include "multicast/role.h"

#include <sys/mman.h>
#include <sys/random.h>

#include "base/log.h"
#include "multicast/mdb.h"
#include "multicast/reach.h"

#define RULES_RETRY_US (1 * USEC_PER_SEC)

/* Hosts of the overlay are told of listeners by way of the file */
static void listeners_tell(struct role *r)
{
	int64_t now = mono_now().us;
	uint64_t changes = groups_changes(r->groups);

	if (changes == r->told_changes)
		return;
	r->told_changes = changes;
	if (r->told_us < now)
		r->told_us = now;
	if (r->told_us + WRITE_GROUPS_EACH_US - now > WRITE_GROUPS * WRITE_GROUPS_EACH_US) {
		role_write_soon(r, WRITE_GROUPS_EACH_US);
		return;
	}
	r->told_us += WRITE_GROUPS_EACH_US;
	role_write_soon(r, 0);
}

void role_adopt(struct role *r, const struct link *l)
{
	for (size_t i = 0; l->leg.lan && i < r->before.n_legs; i++) {
		const struct mcs_leg *was = &r->before.legs[i];

		for (size_t k = 0; was->lan && str_eq(was->interface, l->ifname) && k < r->before.n_groups; k++) {
			struct mcs_group *g = &r->before.groups[k];

			if (g->leg != was->leg || ip_is_none(&g->reporter))
				continue;
			groups_adopt(r->groups, mono_now(), l->leg.id, &g->group, &g->reporter);
			g->reporter = (struct ip){0}; /* once */
		}
	}
}

void role_rules_soon(struct role *r)
{
	listeners_tell(r);
	if (!timer_is_set(r->rules_timer))
		timer_start(r->rules_timer, RULES_US);
}

static void on_rules_done(void *arg, int code, int fd, const char *text)
{
	struct role *r = arg;

	r->rules_asked = false;
	if (code == 0) {
		if (r->rules_error[0])
			log_info("groups are routed again");
		r->rules_error[0] = '\0';
		role_rules_soon(r); /* they may be others by now */
		return;
	}
	if (r->ways_asked) {
		/* a kernel without nft's fwd still copies */
		str_print(r->ways_error, "%.190s", text[0] ? text : strerror(-code));
		log_warning("routed networks have no way past the firewall", kv_str("why", r->ways_error));
		r->rules_known = false;
		timer_start(r->rules_timer, RULES_US);
		return;
	}
	if (!r->rules_error[0])
		log_warning("groups are not routed, trying again", kv_str("why", text));
	str_print(r->rules_error, "%.190s", text[0] ? text : strerror(-code));
	r->rules_known = false;
	timer_start(r->rules_timer, RULES_RETRY_US);
	role_write_soon(r, WRITE_US);
}

/* Return: are there any, and were the same not refused? */
static bool ways_add(struct role *r, struct buf *rules)
{
	autobuf struct buf ways = {0};

	buf_puts(&ways, "");
	r->ways_left_out = reach_rules(&r->links, &ways);
	if (r->ways_error[0] && r->ways.data && str_eq(ways.data, r->ways.data))
		return false;
	r->ways_error[0] = '\0';
	buf_clear(&r->ways);
	buf_append(&r->ways, ways.data, ways.len + 1);
	buf_append(rules, ways.data, ways.len);
	buf_puts(rules, "");
	return ways.len > 0;
}

void role_on_rules(void *arg)
{
	struct broker_ns host = {.name = "host"};
	struct role *r = arg;
	struct buf now = {0};
	int fd;

	/* rules of what is known by half would end streams that somebody listens to */
	if (!r->broker || r->rules_asked || !r->looked || !r->mdb_known)
		return;
	buf_puts(&now, "");
	r->rules_left_out = groups_rules(r->groups, &now);
	r->ways_asked = ways_add(r, &now);
	lines_sort(&now);
	if (r->rules_known && str_eq(now.data, r->rules.data)) {
		buf_done(&now);
		return;
	}
	buf_done(&r->rules);
	r->rules = now;
	fd = memfd_create("multicast rules", MFD_CLOEXEC);
	if (fd < 0 || write(fd, now.data, now.len) != (ssize_t)now.len) {
		autoclose_(&fd);
		timer_start(r->rules_timer, RULES_RETRY_US);
		return;
	}
	r->rules_known = r->rules_asked = true;
	broker_call(r->broker, BROKER_FORWARD, &host, 0, fd, on_rules_done, r);
	close(fd);
	role_write_soon(r, WRITE_US);
}

void role_on_mdb(void *arg)
{
	struct role *r = arg;
	struct mdb m = {0};
	struct err err = {0};
	struct ip *groups;
	bool any = false;

	r->mdb_read_us = mono_now().us;
	for (size_t i = 0; i < r->links.n; i++)
		any |= !r->links.v[i]->leg.lan && r->links.v[i]->leg.wants & MC_GROUPS;
	if (!any) {
		r->mdb_known = true;
		role_rules_soon(r);
		return;
	}
	if (mdb_read(r->dumps, &m, &err) < 0) {
		log_debug("bridges cannot be asked who listens", kv_str("why", err.text));
		timer_start(r->mdb, LOOK_RETRY_US);
		return;
	}
	groups = xcalloc(m.n + 1, sizeof(*groups));
	for (size_t i = 0; i < r->links.n; i++) {
		size_t n = 0;

		for (size_t k = 0; k < m.n; k++)
			if (m.v[k].bridge == r->links.v[i]->ifindex)
				groups[n++] = m.v[k].group;
		if (!r->links.v[i]->leg.lan)
			groups_mdb(r->groups, mono_now(), r->links.v[i]->leg.id, groups, n);
	}
	free(groups);
	mdb_done(&m);
	r->mdb_known = true;
	role_rules_soon(r);
}

static void advertisement_send(struct role *r, uint32_t leg, const uint8_t *packet, size_t len)
{
	struct ip to;

	if (len && (ip_parse("ff02::1", &to) < 0 || wire_send(r->wire, leg, &to, packet, len) < 0))
		log_debug("router advertisement not sent");
}

bool role_advertises(const struct role *r)
{
	return r->before.n_advertised || advertise_due(&r->advertise) != INT64_MAX;
}

void role_advertise_end(struct role *r, const struct link *l)
{
	uint8_t packet[ADVERTISE_BYTES];

	if (l->leg.lan && l->leg.id == r->advertise_leg)
		advertisement_send(r, l->leg.id, packet, advertise_end(&r->advertise, &l->leg.ip6, packet));
}

/* What the run before us has told, and is no more, would be believed for half an hour. Beyond as many as fit it is */
static void advertise_before(struct role *r, const struct prefix *now, size_t n_now)
{
	struct multicast_state *before = &r->before;
	struct prefix over[ADVERTISE_PREFIXES];
	size_t n = 0;

	for (size_t i = 0; i < before->n_advertised && n < ARRAY_LEN(over); i++) {
		bool is = false;

		for (size_t k = 0; k < n_now; k++)
			is |= prefix_cmp(&before->advertised[i], &now[k]) == 0;
		if (!is)
			over[n++] = before->advertised[i];
	}
	if (n)
		advertise_set(&r->advertise, mono_now(), over, n);
	before->n_advertised = 0;
}

static void advertise_on(struct role *r)
{
	struct prefix ways[ADVERTISE_PREFIXES];
	uint8_t packet[ADVERTISE_BYTES];
	const struct link *lan = NULL;
	size_t n = 0;

	for (size_t i = 0; i < r->links.n; i++)
		if (r->links.v[i]->leg.lan && !ip_is_none(&r->links.v[i]->leg.ip6))
			lan = r->links.v[i];
	if (!r->config.multicast_advertise && !role_advertises(r))
		return;
	if (!lan || lan->leg.id != r->advertise_leg)
		r->advertise = (struct advertise){0};
	if (!lan)
		return;
	r->advertise_leg = lan->leg.id;
	if (r->config.multicast_advertise)
		n = reach_prefixes(&r->links, ways, ARRAY_LEN(ways));
	if (r->all_open)
		advertise_before(r, ways, n);
	advertise_set(&r->advertise, mono_now(), ways, n);
	advertisement_send(r, lan->leg.id, packet, advertise_next(&r->advertise, mono_now(), &lan->leg.ip6, packet));
}

void role_advertise(struct role *r)
{
	const bool was = role_advertises(r);

	advertise_on(r);
	if (was && !role_advertises(r))
		role_look_soon(r); /* the LAN may be left */
}

void role_solicited(struct role *r, uint32_t leg, const uint8_t *packet, size_t len)
{
	uint32_t random = 0;

	if (leg != r->advertise_leg)
		return;
	if (!advertise_is_solicitation(packet, len)) {
		role_drop(r, leg, "no valid router solicitation");
		return;
	}
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)mono_now().us;
	advertise_solicited(&r->advertise, mono_now(), random);
}
