/* SPDX-License-Identifier: Apache-2.0
 *
 * The role multicast: follows labelled networks and this host's interfaces, feeds the relays' cores, carries out what
 * they say, and writes multicast.json. Holds CAP_NET_RAW and runs as the user docker-router: what strangers send is
 * parsed here.
 */
#include <linux/capability.h>
#include <linux/rtnetlink.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "base/log.h"
#include "io/broker.h"
#include "multicast/groups.h"
#include "multicast/links.h"
#include "multicast/mdb.h"
#include "multicast/mdns.h"
#include "multicast/proxy.h"
#include "multicast/ssdp.h"
#include "multicast/wire.h"
#include "state/config.h"
#include "state/identity.h"
#include "state/multicast.h"

/* The cores number their sockets alike; this tells them apart */
#define PORT_OF_MDNS 0x80000000u

#define LOOK_US	       (2 * USEC_PER_MSEC) /* one look at the interfaces for a burst of events */
#define RULES_US       (1 * USEC_PER_MSEC)
#define RULES_RETRY_US (1 * USEC_PER_SEC)
#define LOOK_RETRY_US  (500 * USEC_PER_MSEC) /* what could not be opened is tried again */
#define WRITE_US       (200 * USEC_PER_MSEC) /* of a change that people look for */
#define WRITE_COUNT_US (30 * USEC_PER_SEC)   /* of counters alone: home servers boot from SD cards */
#define WRITE_RETRY_US (5 * USEC_PER_SEC)

/* Numbers of one leg */
struct tally {
	uint32_t leg;
	uint64_t heard, sent;
	struct {
		const char *why;
		uint64_t n;
	} drops[LIMIT_MC_DROPS];
	size_t n_drops;
};

struct role {
	uv_loop_t loop;
	struct config config;
	struct state_dir dir;
	struct inventory inventory;
	bool have_inventory, bad_inventory, looked;
	struct nl *dumps, *events;
	struct wire *wire;
	struct proxy *proxy;
	struct ssdp *ssdp;
	struct mdns *mdns;
	struct groups *groups;
	struct broker *broker; /* NULL: nobody started us, groups are not routed */
	struct buf rules;      /* that the kernel has, as far as we know */
	bool rules_known, rules_asked;
	char rules_error[200];
	size_t rules_left_out;
	struct links links; /* in use */
	uint32_t last_leg;
	struct tally *tallies; /* of the links, at the same index */
	size_t cap_tallies;
	struct problems problems, told; /* now, and those that were logged */
	uint64_t written;		/* hash of what multicast.json says, without counters */
	bool write_failed;
	struct mc_actions of_ssdp, of_mdns;
	struct timer *look, *due, *write, *mdb, *rules_timer;
	int64_t write_at_us;
	size_t devices; /* when there was last something to do */
	struct dirwatch *watch;
	struct sigwatch *signals[3];
};

static void write_soon(struct role *r, int64_t delay_us)
{
	int64_t at = mono_now().us + delay_us;

	if (timer_is_set(r->write) && r->write_at_us <= at)
		return;
	r->write_at_us = at;
	timer_start(r->write, delay_us);
}

static struct tally *tally_of(struct role *r, uint32_t leg)
{
	for (size_t i = 0; i < r->links.n; i++)
		if (r->links.v[i]->leg.id == leg)
			return &r->tallies[i];
	return NULL;
}

static void tally_drop(struct role *r, uint32_t leg, const char *why)
{
	struct tally *t = tally_of(r, leg);

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

/* --- what the kernel copies --- */

static void rules_soon(struct role *r)
{
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
		rules_soon(r); /* they may be others by now */
		return;
	}
	if (!r->rules_error[0])
		log_warning("groups are not routed, trying again", kv_str("why", text));
	str_print(r->rules_error, "%.190s", text[0] ? text : strerror(-code));
	r->rules_known = false;
	timer_start(r->rules_timer, RULES_RETRY_US);
	write_soon(r, WRITE_US);
}

static void on_rules(void *arg)
{
	struct broker_ns host = {.name = "host"};
	struct role *r = arg;
	struct buf now = {0};
	int fd;

	if (!r->broker || r->rules_asked || !r->looked)
		return;
	buf_puts(&now, "");
	r->rules_left_out = groups_rules(r->groups, &now);
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
	write_soon(r, WRITE_US);
}

static void on_mdb(void *arg)
{
	struct role *r = arg;
	struct mdb m = {0};
	struct err err = {0};
	struct ip *groups;
	bool any = false;

	for (size_t i = 0; i < r->links.n; i++)
		any |= !r->links.v[i]->leg.lan && r->links.v[i]->leg.wants & MC_GROUPS;
	if (!any)
		return;
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
	rules_soon(r);
}

/* --- cores --- */

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
	struct tally *t = tally_of(r, a->leg);
	int rc = a->kind == MC_DROP ? 0 : wire_do(r->wire, a);

	if (a->kind == MC_DROP) {
		tally_drop(r, a->leg, a->why);
	} else if (rc < 0) {
		tally_drop(r, a->leg, "cannot be sent");
		log_debug("datagram not sent", kv_int("leg", a->leg), kv_str("why", strerror(-rc)));
	} else if (a->kind == MC_SEND && t) {
		t->sent++;
	}
}

static void device_count(void *arg, const struct ssdp_device *d)
{
	(*(size_t *)arg)++;
}

static void actions_do(struct role *r)
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
	write_soon(r, devices == r->devices ? WRITE_COUNT_US : WRITE_US);
	r->devices = devices;
}

static void on_due(void *arg)
{
	struct role *r = arg;

	ssdp_timer(r->ssdp, mono_now(), &r->of_ssdp);
	mdns_timer(r->mdns, mono_now(), &r->of_mdns);
	groups_timer(r->groups, mono_now());
	rules_soon(r);
	actions_do(r);
}

static void on_packet(void *arg, const struct mc_packet *p)
{
	struct role *r = arg;
	struct tally *t = tally_of(r, p->leg);
	struct mc_packet mine = *p;

	if (t)
		t->heard++;
	mine.port &= ~PORT_OF_MDNS;
	if (p->port ? p->port & PORT_OF_MDNS : p->dst.port == MDNS_PORT)
		mdns_input(r->mdns, mono_now(), &mine, &r->of_mdns);
	else
		ssdp_input(r->ssdp, mono_now(), &mine, &r->of_ssdp);
	actions_do(r);
}

static void on_bad(void *arg, uint32_t leg, const char *why)
{
	tally_drop(arg, leg, why);
}

static void on_gmp(void *arg, uint32_t leg, int family, const uint8_t *packet, size_t len)
{
	struct role *r = arg;
	const char *why = groups_heard(r->groups, mono_now(), leg, family, packet, len);

	if (why)
		tally_drop(r, leg, why);
	due_set(r);
	rules_soon(r);
}

static void on_gmp_send(void *arg, uint32_t leg, const struct ip *dst, const uint8_t *packet, size_t len)
{
	struct role *r = arg;
	int rc = wire_send(r->wire, leg, dst, packet, len);

	if (rc < 0)
		log_debug("IGMP or MLD not sent", kv_int("leg", leg), kv_str("why", strerror(-rc)));
}

static bool on_map(void *arg, uint32_t from, const struct endpoint *inside, uint32_t to, struct endpoint *ret_outside)
{
	struct role *r = arg;
	const struct link *a = link_of(r, from), *b = link_of(r, to);
	int rc;

	/* containers reach the LAN by themselves */
	if (!a || !b || a->leg.lan)
		return false;
	rc = proxy_map(r->proxy, &a->leg, inside, &b->leg, ret_outside);
	if (rc < 0) {
		tally_drop(r, from, "no port for what it announces");
		log_debug("no port for a device", kv_str("network", a->leg.name), kv_str("why", strerror(-rc)));
	}
	return rc == 0;
}

/* --- legs --- */

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
	return 0;
}

static int leg_change(struct role *r, struct link *l, const struct link *now, struct err *err)
{
	bool moved = ip_cmp(&l->leg.ip4, &now->leg.ip4) != 0 || ip_cmp(&l->leg.ip6_wide, &now->leg.ip6_wide) != 0;

	link_take(l, now);
	if (moved)
		proxy_leg_over(r->proxy, l->leg.id);
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
		if (!link_in(want, r->links.v[i]))
			leg_remove(r, i);
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

static void on_look(void *arg)
{
	struct role *r = arg;
	struct interfaces ifs = {0};
	struct links want;
	struct err err = {0};

	if (!r->have_inventory)
		return;
	problems_done(&r->problems);
	if (interfaces_read(r->dumps, r->config.interface[0] ? 0 : AF_INET, &ifs, &err) < 0) {
		problems_add(&r->problems, "interfaces", "", "cannot be read: %s", err.text);
		timer_start(r->look, LOOK_RETRY_US);
	} else {
		links_desired(&r->inventory, &ifs, r->config.interface, &want, &r->problems);
		if (!legs_apply(r, &want))
			timer_start(r->look, LOOK_RETRY_US);
		links_done(&want);
		interfaces_done(&ifs);
		actions_do(r);
		r->looked = true;
		timer_start(r->mdb, 0);
		rules_soon(r);
	}
	problems_log_new(&r->told, &r->problems, NULL);
	problems_done(&r->told);
	for (size_t i = 0; i < r->problems.n; i++)
		problems_add(&r->told, r->problems.v[i].object, r->problems.v[i].cure, "%s", r->problems.v[i].text);
	write_soon(r, WRITE_US);
}

static void look_soon(struct role *r)
{
	if (!timer_is_set(r->look))
		timer_start(r->look, LOOK_US);
}

static void on_link_event(void *arg, const struct nlmsghdr *nlh)
{
	struct role *r = arg;

	if (nlh->nlmsg_type != RTM_NEWMDB && nlh->nlmsg_type != RTM_DELMDB)
		look_soon(r);
	else if (!timer_is_set(r->mdb))
		timer_start(r->mdb, RULES_US);
}

static void on_link_lost(void *arg)
{
	look_soon(arg);
}

/* --- multicast.json --- */

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
	if (r->rules_left_out)
		problems_add(&s->problems, "groups", "Narrow the ranges in docker-router.multicast.",
			     "%zu pairs of group and network beyond the %d that are routed", r->rules_left_out,
			     GROUPS_RULES);
	if (failed)
		problems_add(&s->problems, "groups", "", "%zu could not be joined, the latest %s", failed, why);
}

static void state_make(const struct role *r, struct multicast_state *s)
{
	for (size_t i = 0; i < r->links.n; i++) {
		state_leg(r, i, s);
		if (r->links.v[i]->leg.n_ranges && !r->broker)
			problems_add(&s->problems, r->links.v[i]->leg.name, "Start it by `docker-router host`.",
				     "groups are not routed: there is nobody who makes the rules for it");
	}
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

static void on_write(void *arg)
{
	struct role *r = arg;
	struct multicast_state s = {0};
	struct err err = {0};
	uint64_t hash;

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
		write_soon(r, WRITE_RETRY_US);
	} else {
		if (r->write_failed)
			log_info(STATE_MULTICAST " is written again");
		r->write_failed = false;
		r->written = hash;
	}
	multicast_state_done(&s);
}

/* --- inventory.json --- */

static void read_inventory(struct role *r)
{
	struct file_owner owner = owner_of_root(&r->dir);
	struct inventory inv;
	struct err err = {0};
	int rc = inventory_read(r->dir.fd, &owner, &inv, &err);

	if (rc < 0) {
		if (!r->bad_inventory && (rc != -ENOENT || r->have_inventory))
			log_warning("inventory.json not taken over, the last good one stays", kv_str("why", err.text));
		r->bad_inventory = rc != -ENOENT || r->have_inventory;
		return;
	}
	r->bad_inventory = false;
	inventory_done(&r->inventory);
	r->inventory = inv;
	r->have_inventory = true;
	look_soon(r);
}

static void on_state_dir(void *arg, const char *name)
{
	struct role *r = arg;

	if (!name || str_eq(name, STATE_INVENTORY))
		read_inventory(r);
	if (name && str_eq(name, STATE_MULTICAST) &&
	    faccessat(r->dir.fd, STATE_MULTICAST, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		r->written = 0;
		write_soon(r, WRITE_US);
	}
}

/* --- start and end --- */

static void on_signal(void *arg, int signum)
{
	struct role *r = arg;

	if (signum == SIGHUP)
		read_inventory(r);
	else
		loop_stop(&r->loop);
}

/* Six descriptors a leg, two a connection, and a thousand are the usual bound */
static void files_raise(void)
{
	struct rlimit limit,
		want = {6 * MC_LEGS + 2 * PROXY_CONNECTIONS + 1024, 6 * MC_LEGS + 2 * PROXY_CONNECTIONS + 1024};

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < want.rlim_cur &&
	    setrlimit(RLIMIT_NOFILE, &want) < 0) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			log_debug("cannot raise the number of open files", kv_str("why", strerror(errno)));
	}
}

static int role_open(struct role *r, struct err *err)
{
	static const unsigned groups[] = {RTNLGRP_LINK,	      RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
					  RTNLGRP_IPV4_ROUTE, RTNLGRP_MDB,	   0};
	struct ssdp_config ssdp = {.map = on_map, .arg = r};
	uint64_t random;
	const char *given = getenv(BROKER_FD_ENV);
	uint64_t fd;
	int rc = state_dir_open(r->config.state_dir, &r->dir, err);

	if (rc < 0)
		return rc;
	if (given && parse_u64(given, 3, 1023, &fd) < 0)
		return err_set(err, -EINVAL, BROKER_FD_ENV ": \"%.20s\" is not a descriptor", given);
	if (given)
		r->broker = broker_connect(&r->loop, (int)fd);
	if (geteuid() == 0 && r->dir.fallback)
		log_warning("there is no user docker-router, running as nobody");
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_errno(err, -errno, "getrandom");
	files_raise();
	rc = privileges_drop(r->dir.uid, r->dir.gid, NULL, 0, UINT64_C(1) << CAP_NET_RAW, err);
	if (rc < 0)
		return rc;
	r->ssdp = ssdp_new(&ssdp, random);
	r->mdns = mdns_new(random);
	r->groups = groups_new(on_gmp_send, r, (enum querier_mode)r->config.multicast_querier);
	r->wire = wire_new(&r->loop, on_packet, on_bad, on_gmp, r, err);
	if (!r->wire)
		return err->code;
	r->proxy = proxy_new(&r->loop);
	r->look = timer_new(&r->loop, "look at the interfaces", on_look, r);
	r->mdb = timer_new(&r->loop, "ask bridges who listens", on_mdb, r);
	r->rules_timer = timer_new(&r->loop, "route groups", on_rules, r);
	r->due = timer_new(&r->loop, "relays", on_due, r);
	r->write = timer_new(&r->loop, "write " STATE_MULTICAST, on_write, r);
	rc = nl_open(NETLINK_ROUTE, &r->dumps, err);
	if (rc == 0)
		rc = nl_open(NETLINK_ROUTE, &r->events, err);
	if (rc == 0)
		rc = nl_listen(r->events, &r->loop, groups, on_link_event, on_link_lost, r, err);
	return rc;
}

static void role_start(struct role *r)
{
	static const int signals[] = {SIGHUP, SIGTERM, SIGINT};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		r->signals[i] = sigwatch_new(&r->loop, signals[i], on_signal, r);
	if (dirwatch_new(&r->loop, r->dir.path, on_state_dir, r, &r->watch, &err) < 0)
		log_warning("STATE_DIR cannot be watched", kv_str("why", err.text));
	read_inventory(r);
	write_soon(r, WRITE_US);
	log_info("started", kv_str("state_dir", r->dir.path));
}

static void role_done(struct role *r)
{
	broker_free(r->broker);
	groups_free(r->groups);
	buf_done(&r->rules);
	proxy_free(r->proxy);
	wire_free(r->wire);
	if (r->ssdp)
		ssdp_free(r->ssdp);
	if (r->mdns)
		mdns_free(r->mdns);
	links_done(&r->links);
	free(r->tallies);
	mc_actions_done(&r->of_ssdp);
	mc_actions_done(&r->of_mdns);
	nl_free(r->dumps);
	nl_free(r->events);
	timer_free(r->look);
	timer_free(r->due);
	timer_free(r->mdb);
	timer_free(r->rules_timer);
	timer_free(r->write);
	if (r->watch)
		dirwatch_free(r->watch);
	for (size_t i = 0; i < ARRAY_LEN(r->signals); i++)
		if (r->signals[i])
			sigwatch_free(r->signals[i]);
	loop_done(&r->loop);
	inventory_done(&r->inventory);
	problems_done(&r->problems);
	problems_done(&r->told);
	state_dir_done(&r->dir);
	config_done(&r->config);
}

int main(int argc, char **argv)
{
	struct role *r = xcalloc(1, sizeof(*r));
	struct err err = {0};
	int rest, rc;

	r->dir.fd = -1;
	rc = config_load(FOR_MULTICAST, "multicast", argc - 1, argv + 1, environ, &r->config, &rest, &err);
	if (rc == 0 && rest < argc - 1)
		rc = err_set(&err, -EINVAL, "\"%.100s\": no arguments are known but options, see --help",
			     argv[rest + 1]);
	if (rc != 0) {
		if (rc < 0)
			fprintf(stderr, "docker-router multicast: %s\n", err.text);
		free(r);
		return rc < 0 ? 2 : 0;
	}
	log_init("multicast", r->config.log_level, r->config.log_format);
	loop_init(&r->loop);
	rc = role_open(r, &err);
	if (rc < 0) {
		log_error("cannot start", kv_str("why", err.text));
	} else {
		role_start(r);
		malloc_trim(0);
		loop_run(&r->loop);
		log_info("stopped");
	}
	role_done(r);
	free(r);
	return rc < 0 ? 1 : 0;
}
