/* SPDX-License-Identifier: Apache-2.0
 *
 * Queriers, membership, joins, and the rules that follow; see groups.h.
 */
#include "multicast/groups.h"

#include <sys/socket.h>

#include "io/forward_rule.h"
#include "multicast/igmp.h"
#include "multicast/mld.h"

enum family { FAMILY_4, FAMILY_6, FAMILY_N_ };
static const uint8_t family_af[] = {AF_INET, AF_INET6};

/* A group that we listen to on a leg, since somebody on another wants it */
struct joined {
	struct ip group;
	int fd;
};

struct group_leg {
	uint32_t id;
	int ifindex;
	char ifname[16];
	bool routed; /* has ranges */
	bool lan;
	bool apart;			      /* nothing is copied */
	struct prefix subnets[LIMIT_SUBNETS]; /* of a network: who may send from there */
	size_t n_subnets;
	uint32_t vni;
	struct prefix elsewhere[LINK_ELSEWHERE]; /* see links.h */
	size_t n_elsewhere;
	unsigned wants;
	struct ip ip[FAMILY_N_];
	struct querier querier[FAMILY_N_];
	struct joined *joined;
	size_t n_joined, cap_joined;
	struct ip *mdb; /* groups that were held for the bridge */
	size_t n_mdb;
};

struct groups {
	groups_send_fn *send;
	void *arg;
	enum querier_mode mode;
	int64_t interval_us; /* of queries; 0: the usual one */
	uint8_t ttl;	     /* of copies; 0: as they are */
	struct membership *membership;
	struct group_leg *legs[MC_LEGS];
	size_t n_legs, join_failed;
	uint64_t changes;
	char join_why[96];
};

static struct group_leg *leg_find(const struct groups *g, uint32_t id)
{
	for (size_t i = 0; i < g->n_legs; i++)
		if (g->legs[i]->id == id)
			return g->legs[i];
	return NULL;
}

/* --- joins --- */

static int join_filter(int fd, int ifindex, const struct ip *group, const struct membership_filter *f)
{
	size_t size = GROUP_FILTER_SIZE(f->n ? f->n : 1);
	autofree struct group_filter *gf = xcalloc(1, size);
	struct endpoint e = {.ip = *group};
	int level = group->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;

	gf->gf_interface = (uint32_t)ifindex;
	endpoint_to_sockaddr(&e, &gf->gf_group);
	gf->gf_fmode = f->exclude ? MCAST_EXCLUDE : MCAST_INCLUDE;
	gf->gf_numsrc = (uint32_t)f->n;
	for (size_t i = 0; i < f->n; i++) {
		struct endpoint s = {.ip = f->sources[i]};

		endpoint_to_sockaddr(&s, &gf->gf_slist[i]);
	}
	return setsockopt(fd, level, MCAST_MSFILTER, gf, (socklen_t)size) < 0 ? -errno : 0;
}

static int join_open(int ifindex, const struct ip *group)
{
	struct group_req r = {.gr_interface = (uint32_t)ifindex};
	struct endpoint e = {.ip = *group};
	int level = group->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	autoclose int fd = socket(group->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	endpoint_to_sockaddr(&e, &r.gr_group);
	return setsockopt(fd, level, MCAST_JOIN_GROUP, &r, sizeof(r)) < 0 ? -errno : steal_fd(fd);
}

static void join_drop(struct group_leg *l, size_t i)
{
	close(l->joined[i].fd);
	l->joined[i] = l->joined[--l->n_joined];
}

static void join_failed(struct groups *g, const struct group_leg *l, const struct ip *group, int code)
{
	char text[IP_STRLEN];

	g->join_failed++;
	str_print(g->join_why, "%s on %s: %s", ip_format(group, text), l->ifname,
		  code == -ENOSPC ? "too many groups" : strerror(-code));
}

static void join_ask(struct groups *g, struct group_leg *l, const struct ip *group, const struct membership_filter *f)
{
	size_t i = 0;
	int fd, rc;

	while (i < l->n_joined && ip_cmp(&l->joined[i].group, group) != 0)
		i++;
	if (!f || (!f->exclude && !f->n)) {
		if (i < l->n_joined)
			join_drop(l, i);
		return;
	}
	if (i == l->n_joined) {
		fd = l->n_joined < GROUPS_JOINED ? join_open(l->ifindex, group) : -ENOSPC;
		if (fd < 0) {
			join_failed(g, l, group, fd);
			return;
		}
		*xgrow(&l->joined, l->n_joined, &l->cap_joined) = (struct joined){*group, fd};
		l->n_joined++;
	}
	/* a kernel with a lower bound of sources (igmp_max_msf) gets all of them: a superset */
	rc = join_filter(l->joined[i].fd, l->ifindex, group, f);
	if (rc < 0 && f->n)
		rc = join_filter(l->joined[i].fd, l->ifindex, group, &(struct membership_filter){.exclude = true});
	if (rc < 0)
		join_failed(g, l, group, rc);
}

/* --- what is said --- */

static void query_send(struct groups *g, const struct group_leg *l, enum family f, const struct ip *from,
		       const struct gmp_query *q)
{
	uint8_t packet[GMP_PACKET];
	size_t len = f == FAMILY_4 ? igmp_query_build(from, q, packet) : mld_query_build(from, q, packet);
	struct ip to;

	if (!len)
		return;
	to = f == FAMILY_4 ? igmp_target(packet) : mld_target(packet);
	g->send(g->arg, l->id, &to, packet, len);
}

/* What the relays listen to on the leg, said again where nobody asks */
static void report_send(struct groups *g, const struct group_leg *l, enum family f)
{
	static const char *const ssdp[] = {"239.255.255.250", "ff05::c"};
	struct gmp_record records[GROUPS_JOINED + 1] = {0};
	uint8_t packet[GMP_PACKET];
	size_t n = 0, at = 0, said = 0, len;

	if (l->wants & MC_SSDP && ip_parse(ssdp[f], &records[n].group) == 0)
		records[n++].type = GMP_IS_EXCLUDE;
	for (size_t i = 0; i < l->n_joined; i++)
		if (l->joined[i].group.family == family_af[f])
			records[n++] = (struct gmp_record){.type = GMP_IS_EXCLUDE, .group = l->joined[i].group};
	for (; at < n; at += said) {
		struct ip to;

		len = f == FAMILY_4 ? igmp_report_build(&l->ip[f], records + at, n - at, packet, &said)
				    : mld_report_build(&l->ip[f], records + at, n - at, packet, &said);
		if (!len || !said)
			return;
		to = f == FAMILY_4 ? igmp_target(packet) : mld_target(packet);
		g->send(g->arg, l->id, &to, packet, len);
	}
}

static void querier_do(struct groups *g, mono_t now, struct group_leg *l, enum family f)
{
	static const struct ip nobody = {.family = AF_INET};
	struct querier *q = &l->querier[f];
	enum querier_action a;

	while (querier_next_action(q, &a)) {
		struct gmp_query query = querier_query(q);

		switch (a) {
		case QUERIER_SEND:
			query_send(g, l, f, &l->ip[f], &query);
			break;
		case QUERIER_SEND_ANY:
			query_send(g, l, f, &nobody, &query);
			break;
		case QUERIER_REPORT:
			report_send(g, l, f);
			break;
		case QUERIER_CHANGED:
			membership_querier(g->membership, now, l->id, family_af[f], querier_is_us(q));
			break;
		}
	}
}

static void membership_do(struct groups *g)
{
	struct membership_action a;

	while (membership_next_action(g->membership, &a)) {
		struct group_leg *l = leg_find(g, a.leg);
		enum family f = a.group.family == AF_INET ? FAMILY_4 : FAMILY_6;

		if (a.kind == MEMBERSHIP_CHANGED)
			g->changes++;
		if (!l)
			continue;
		if (a.kind == MEMBERSHIP_ASK) {
			join_ask(g, l, &a.group, a.filter);
		} else if (a.kind == MEMBERSHIP_QUERY) {
			struct gmp_query q = querier_query(&l->querier[f]);

			q.group = a.group;
			q.max_response_us = a.response_us;
			q.sources = a.sources;
			q.n_sources = a.n_sources;
			query_send(g, l, f, &l->ip[f], &q);
		}
	}
}

/* --- events --- */

/* Listeners answer within that; the usual 10 s, or less where queries follow sooner */
static int64_t response_for(int64_t interval_us)
{
	return interval_us < 4 * QUERIER_RESPONSE_US ? interval_us / 4 : QUERIER_RESPONSE_US;
}

void groups_leg_set(struct groups *g, mono_t now, const struct link *link)
{
	struct group_leg *l = leg_find(g, link->leg.id);
	struct membership_leg m = {.id = link->leg.id,
				   .domain = link->apart ? 1 + link->leg.id : 1,
				   .upstream = true,
				   .ranges = link->leg.ranges,
				   .n_ranges = link->leg.n_ranges};
	static const struct prefix all[] = {{{AF_INET, {224}}, 4}, {{AF_INET6, {0xff}}, 8}};

	if (!l) {
		if (g->n_legs >= MC_LEGS)
			return;
		l = g->legs[g->n_legs++] = xcalloc(1, sizeof(*l));
		l->id = link->leg.id;
	}
	l->ifindex = link->ifindex;
	str_copy(l->ifname, link->ifname);
	l->lan = link->leg.lan;
	l->n_subnets = 0;
	for (size_t i = 0; i < link->leg.n_subnets && i < LIMIT_SUBNETS; i++)
		l->subnets[l->n_subnets++] = link->leg.subnets[i];
	l->vni = link->vni;
	l->n_elsewhere = link->n_elsewhere;
	memcpy(l->elsewhere, link->elsewhere, sizeof(l->elsewhere));
	l->apart = link->apart;
	l->wants = link->leg.wants;
	l->ip[FAMILY_4] = link->leg.ip4;
	l->ip[FAMILY_6] = link->leg.ip6;
	for (enum family f = 0; f < FAMILY_N_; f++) {
		struct querier_config c = {.mode = g->mode,
					   .family = family_af[f],
					   .self = l->ip[f],
					   .interval_us = g->interval_us,
					   .response_us = g->interval_us ? response_for(g->interval_us) : 0,
					   .listen_us = link->leg.lan ? QUERIER_LISTEN : 0};

		/* nothing is heard of that family, nor can be said; or the LAN is there for other things */
		if (ip_is_none(&l->ip[f]) || (l->lan && !l->wants)) {
			l->querier[f] = (struct querier){0};
			continue;
		}
		querier_config(&l->querier[f], now, &c);
		querier_do(g, now, l, f);
	}
	if (link->leg.lan) {
		m.ranges = all;
		m.n_ranges = ARRAY_LEN(all);
	}
	l->routed = link->leg.wants & MC_GROUPS && membership_leg_set(g->membership, now, &m) == 0;
	if (!l->routed)
		membership_leg_remove(g->membership, now, l->id);
	for (enum family f = 0; f < FAMILY_N_ && l->routed; f++)
		membership_querier(g->membership, now, l->id, family_af[f], querier_is_us(&l->querier[f]));
	membership_do(g);
}

void groups_leg_remove(struct groups *g, mono_t now, uint32_t leg)
{
	membership_leg_remove(g->membership, now, leg);
	membership_do(g);
	for (size_t i = 0; i < g->n_legs; i++) {
		struct group_leg *l = g->legs[i];

		if (l->id != leg)
			continue;
		while (l->n_joined)
			join_drop(l, 0);
		free(l->joined);
		free(l->mdb);
		free(l);
		g->legs[i] = g->legs[--g->n_legs];
		return;
	}
}

const char *groups_heard(struct groups *g, mono_t now, uint32_t leg, int family, const uint8_t *packet, size_t len)
{
	struct group_leg *l = leg_find(g, leg);
	enum family f = family == AF_INET ? FAMILY_4 : FAMILY_6;
	struct gmp_message m;

	if (!l)
		return NULL;
	if (f == FAMILY_4) {
		enum igmp_bad bad = igmp_parse(packet, len, &m);

		if (bad != IGMP_OK)
			return bad == IGMP_OTHER ? NULL : igmp_bad_names[bad];
	} else {
		enum mld_bad bad = mld_parse(packet, len, &m);

		if (bad != MLD_OK)
			return bad == MLD_OTHER ? NULL : mld_bad_names[bad];
	}
	if (m.kind == GMP_QUERY)
		querier_heard(&l->querier[f], now, &m);
	querier_do(g, now, l, f);
	if (l->routed)
		membership_heard(g->membership, now, leg, &m);
	membership_do(g);
	return NULL;
}

void groups_adopt(struct groups *g, mono_t now, uint32_t leg, const struct ip *group, const struct ip *from)
{
	struct group_leg *l = leg_find(g, leg);
	struct gmp_message m = {.kind = GMP_REPORT,
				.family = group->family,
				.version = group->family == AF_INET ? 3 : 2,
				.from = *from,
				.single = true,
				.single_type = GMP_IS_EXCLUDE,
				.group = *group};

	if (!l || !l->routed || gmp_group_refused(group) || gmp_group_is_local(group))
		return;
	membership_heard(g->membership, now, leg, &m);
	membership_do(g);
}

uint64_t groups_changes(const struct groups *g)
{
	return g->changes;
}

static bool ip_in(const struct ip *v, size_t n, const struct ip *ip)
{
	for (size_t i = 0; i < n; i++)
		if (ip_cmp(&v[i], ip) == 0)
			return true;
	return false;
}

void groups_mdb(struct groups *g, mono_t now, uint32_t leg, const struct ip *groups, size_t n)
{
	static const struct membership_filter all = {.exclude = true};
	struct group_leg *l = leg_find(g, leg);
	struct ip *held;
	size_t n_held = 0;

	if (!l || !l->routed)
		return;
	held = xcalloc(n + 1, sizeof(*held));
	for (size_t i = 0; i < l->n_mdb; i++)
		if (!ip_in(groups, n, &l->mdb[i]) &&
		    membership_hold(g->membership, now, leg, MEMBERSHIP_MDB, &l->mdb[i], NULL) < 0)
			continue;
	for (size_t i = 0; i < n; i++) {
		if (gmp_group_is_local(&groups[i]) || ip_in(held, n_held, &groups[i]))
			continue;
		if (ip_in(l->mdb, l->n_mdb, &groups[i]) ||
		    membership_hold(g->membership, now, leg, MEMBERSHIP_MDB, &groups[i], &all) == 0)
			held[n_held++] = groups[i];
	}
	free(l->mdb);
	l->mdb = held;
	l->n_mdb = n_held;
	membership_do(g);
}

void groups_timer(struct groups *g, mono_t now)
{
	for (size_t i = 0; i < g->n_legs; i++)
		for (enum family f = 0; f < FAMILY_N_; f++) {
			querier_timer(&g->legs[i]->querier[f], now);
			querier_do(g, now, g->legs[i], f);
		}
	membership_timer(g->membership, now);
	membership_do(g);
}

int64_t groups_due(const struct groups *g)
{
	int64_t due = membership_due(g->membership);

	for (size_t i = 0; i < g->n_legs; i++)
		for (enum family f = 0; f < FAMILY_N_; f++) {
			int64_t at = querier_due(&g->legs[i]->querier[f]);

			due = at < due ? at : due;
		}
	return due;
}

/* --- rules --- */

struct rule {
	const struct group_leg *in, *out;
	struct ip group;
	struct membership_filter filter; /* of who wants it */
};

struct rules {
	const struct groups *g;
	struct rule *v;
	size_t n, cap, left_out;
};

static int rule_cmp(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;
	int order = strcmp(x->in->ifname, y->in->ifname);

	if (!order)
		order = ip_cmp(&x->group, &y->group);
	return order ? order : strcmp(x->out->ifname, y->out->ifname);
}

static void on_entry(void *arg, const struct membership_entry *e)
{
	struct rules *r = arg;
	const struct group_leg *out = leg_find(r->g, e->leg);

	if (!out || !membership_wants(r->g->membership, e->leg, &e->group, NULL))
		return;
	for (size_t i = 0; i < r->g->n_legs; i++) {
		const struct group_leg *in = r->g->legs[i];

		if (in == out || !in->routed || in->apart || out->apart || (in->vni && in->vni == out->vni) ||
		    !membership_permitted(r->g->membership, in->id, &e->group))
			continue;
		if (r->n >= GROUPS_RULES) {
			r->left_out++;
			continue;
		}
		*xgrow(&r->v, r->n, &r->cap) = (struct rule){in, out, e->group, e->filter};
		r->n++;
	}
}

/*
 * From whom: those that are asked for, and of a network only its own. More than fit into a rule are not told apart.
 * Return: false: from nobody
 */
static bool rule_sources(const struct rule *r, struct buf *b)
{
	const struct group_leg *in = r->in;
	size_t sources = r->filter.n <= FORWARD_LISTED ? r->filter.n : 0, n = 0;
	char text[PREFIX_STRLEN], ip[IP_STRLEN];

	if (!r->filter.exclude && sources) {
		for (size_t i = 0; i < sources; i++)
			if (in->lan ? !prefixes_have_ip(r->out->elsewhere, r->out->n_elsewhere, &r->filter.sources[i])
				    : !in->n_subnets ||
					      prefixes_have_ip(in->subnets, in->n_subnets, &r->filter.sources[i]))
				buf_printf(b, "%s%s", n++ ? "," : " from=", ip_format(&r->filter.sources[i], ip));
		return n > 0;
	}
	for (size_t i = 0; !in->lan && i < in->n_subnets && i < FORWARD_LISTED; i++)
		if (in->subnets[i].ip.family == r->group.family)
			buf_printf(b, "%s%s", n++ ? "," : " from=", prefix_format(&in->subnets[i], text));
	n = 0;
	for (size_t i = 0; i < sources; i++)
		buf_printf(b, "%s%s", n++ ? "," : " not=", ip_format(&r->filter.sources[i], ip));
	for (size_t i = 0; in->lan && i < r->out->n_elsewhere && n < FORWARD_LISTED; i++)
		if (r->out->elsewhere[i].ip.family == r->group.family)
			buf_printf(b, "%s%s", n++ ? "," : " not=", prefix_format(&r->out->elsewhere[i], text));
	return true;
}

size_t groups_rules(const struct groups *g, struct buf *out)
{
	struct rules r = {.g = g};

	membership_entries(g->membership, on_entry, &r);
	if (r.n > 1)
		qsort(r.v, r.n, sizeof(*r.v), rule_cmp);
	for (size_t i = 0; i < r.n; i++) {
		autobuf struct buf sources = {0};
		char text[IP_STRLEN];

		if (!rule_sources(&r.v[i], &sources))
			continue;
		buf_printf(out, "%s %s %s%s", r.v[i].in->ifname, r.v[i].out->ifname, ip_format(&r.v[i].group, text),
			   sources.data ? sources.data : "");
		if (g->ttl)
			buf_printf(out, " ttl=%u", g->ttl);
		buf_puts(out, "\n");
	}
	free(r.v);
	return r.left_out;
}

const struct membership *groups_membership(const struct groups *g)
{
	return g->membership;
}

const struct querier *groups_querier(const struct groups *g, uint32_t leg, uint8_t family)
{
	const struct group_leg *l = leg_find(g, leg);

	return l ? &l->querier[family == AF_INET ? FAMILY_4 : FAMILY_6] : NULL;
}

size_t groups_join_failed(const struct groups *g, const char **ret_why)
{
	*ret_why = g->join_why;
	return g->join_failed;
}

void groups_interval(struct groups *g, int64_t interval_us)
{
	g->interval_us = interval_us;
}

void groups_ttl(struct groups *g, uint8_t ttl)
{
	g->ttl = ttl;
}

struct groups *groups_new(groups_send_fn *send, void *arg, enum querier_mode mode)
{
	struct groups *g = xcalloc(1, sizeof(*g));

	g->send = send;
	g->arg = arg;
	g->mode = mode;
	g->membership = membership_new();
	return g;
}

void groups_free(struct groups *g)
{
	if (!g)
		return;
	while (g->n_legs)
		groups_leg_remove(g, (mono_t){0}, g->legs[0]->id);
	membership_free(g->membership);
	free(g);
}
