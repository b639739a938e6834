/* SPDX-License-Identifier: Apache-2.0
 *
 * The desired state of the host form; see desired.h. The nft sets and the shadows are in shadow.c, containers in nic.c.
 */
#include "router/desired.h"

#include <inttypes.h>

#include "router/desired_parts.h"
#include "router/mcast.h"
#include "router/wg_path.h"
#include "router/wireguard.h"

const struct ip leg_next_hop4 = {AF_INET, {169, 254, 77, 77}};
const struct ip leg_next_hop6 = {AF_INET6, {0xfe, 0x80, [13] = 0x77, [15] = 0x77}};

#define VXLAN_OVERHEAD4 50 /* outer Ethernet is not counted by an MTU: IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14 */
#define VXLAN_OVERHEAD6 70

struct entry entry_make(enum entry_type type, const char *dev, const struct prefix *dst)
{
	struct entry e = {.type = (uint8_t)type};

	str_copy(e.dev, dev);
	if (dst) {
		e.family = dst->ip.family;
		e.len = dst->len;
		memcpy(e.dst, dst->ip.b, sizeof(e.dst));
	}
	return e;
}

void entry_set_via(struct entry *e, const struct ip *via)
{
	e->via_family = via->family;
	memcpy(e->via, via->b, sizeof(e->via));
}

struct prefix prefix_host(const struct ip *ip)
{
	return (struct prefix){*ip, ip_bits(ip->family)};
}

struct mac mac_derive(const char *what, const char *a, const char *b, uint8_t first)
{
	char text[512];
	struct mac m;

	int n = str_print(text, "%s/%s/%s", what, a, b);
	uint64_t h = hash64(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, 0x6d6163);
	m.b[0] = first;
	for (int i = 1; i < 6; i++)
		m.b[i] = (uint8_t)(h >> 8 * i);
	return m;
}

void name_derive(char out[static 16], const char *kind, const char *id)
{
	snprintf(out, 16, "%s%08" PRIx32, kind, (uint32_t)hash64(id, strlen(id), 0x6e616d65));
}

/* A permanent neighbour, and on our own links an address. */
void add_neigh(struct net *net, const char *dev, const struct ip *ip, const struct mac *mac)
{
	struct prefix p = prefix_host(ip);
	struct entry e = entry_make(ENTRY_NEIGH, dev, &p);

	e.len = 0;
	e.mac = *mac;
	entry_set_put(&net->entries, &e);
}

void add_addr(struct net *net, const char *dev, const struct ip *ip, uint8_t len)
{
	struct prefix p = {*ip, len};
	struct entry e = entry_make(ENTRY_ADDR, dev, &p);

	entry_set_put(&net->entries, &e);
}

struct net_id net_id_vni(uint32_t vni)
{
	return (struct net_id){.kind = NET_VNI, .vni = vni};
}

static const struct net_id net_id_host = {.kind = NET_HOST};

bool has_family(const struct claims *cs, const struct inv_network *net, uint8_t family)
{
	for (size_t i = 0; i < cs->n; i++)
		if (cs->v[i].network == net && !cs->v[i].refused && cs->v[i].prefix.ip.family == family)
			return true;
	return false;
}

/* The claims of a VNI lie together. */
void claims_of(const struct claims *cs, uint32_t vni, size_t *ret_from, size_t *ret_to)
{
	size_t lo = 0, hi = cs->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (cs->v[mid].vni < vni)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_from = lo;
	while (lo < cs->n && cs->v[lo].vni == vni)
		lo++;
	*ret_to = lo;
}

struct rs_vni *state_vni(struct router_state *s, uint32_t vni)
{
	for (size_t i = 0; i < s->n_vnis; i++)
		if (s->vnis[i].vni == vni)
			return &s->vnis[i];
	struct rs_vni *v = xgrow(&s->vnis, s->n_vnis, &s->cap_vnis);
	s->n_vnis++;
	v->vni = vni;
	return v;
}

static void tell_refused(struct router_state *s, const struct claims *cs, const struct claim *c,
			 const struct claim_input *in)
{
	struct buf cure = {0};

	if (s->n_refused >= LIMIT_PROBLEMS)
		return;
	struct rs_refused *r = xgrow(&s->refused, s->n_refused, &s->cap_refused);
	s->n_refused++;
	r->vni = c->vni;
	r->prefix = c->prefix;
	str_copy(r->host_id, c->host_id);
	str_copy(r->stack_id, c->stack_id);
	r->established = c->established;
	r->with = xstrdup(c->with);
	if (!c->mapped) /* a mapped prefix is discovery's to move */
		claim_cure(&cure, cs, c, in);
	r->cure = cure.data ? cure.data : xstrdup("");
}

/* Its mapped prefix is the answer. What it had before it clashed with a route of this host is remembered. */
static void hold_refused(struct router_state *s, const struct claim *c)
{
	if (!c->established)
		return;
	struct rs_held *h = xgrow(&s->held, s->n_held, &s->cap_held);
	s->n_held++;
	h->vni = c->vni;
	h->prefix = c->prefix;
	str_copy(h->host_id, c->host_id);
	str_copy(h->stack_id, c->stack_id);
}

void desired_settle(const struct desired_input *in, struct desired *ret)
{
	const struct net *host = net_list_find(in->actual, &net_id_host);
	struct claim_input ci = {.host_id = in->host_id,
				 .now_us = in->now_us,
				 .mapping = in->config->mapping,
				 .inventory = in->inventory,
				 .discovery = in->discovery,
				 .before = in->before,
				 .foreign = host ? host->foreign : NULL,
				 .n_foreign = host ? host->n_foreign : 0};

	claims_settle(&ci, &ret->claims);
	for (size_t i = 0; i < ret->claims.n; i++) {
		const struct claim *c = &ret->claims.v[i];
		if (c->refused) {
			if (c->other && !c->mapped)
				hold_refused(&ret->state, c);
			else
				tell_refused(&ret->state, &ret->claims, c, &ci);
			continue;
		}
		struct rs_vni *v = state_vni(&ret->state, c->vni);
		struct rs_route *r = xgrow(&v->routes, v->n_routes, &v->cap_routes);
		v->n_routes++;
		r->prefix = c->prefix;
		if (c->mapped)
			r->subnet = c->real;
		str_copy(r->host_id, c->host_id);
		str_copy(r->stack_id, c->stack_id);
		if (c->peer)
			r->host_ip = c->peer->host_ip;
		r->since_us = c->since_us;
	}
}

uint32_t overlay_mtu(const struct desired_input *in)
{
	uint32_t underlay = in->config->underlay_mtu ? in->config->underlay_mtu : in->underlay_mtu;
	uint32_t overhead = in->local.family == AF_INET6 ? VXLAN_OVERHEAD6 : VXLAN_OVERHEAD4;

	if (in->wg)
		return wireguard_mtu(in) - VXLAN_OVERHEAD6;
	if (!underlay)
		underlay = 1500;
	if (underlay > 65535)
		underlay = 65535; /* lo */
	return underlay > overhead + 68 ? underlay - overhead : 68;
}

uint32_t desired_add_vxlan(const struct desired_input *in, struct net *net, uint32_t vni, const char *name,
			   uint16_t port)
{
	struct link *l = net_link_add(net, name);
	struct ip inner = vtep_ip(in->host_id, vni);

	l->kind = LINK_VXLAN;
	/* another word: not tied to the host's namespace, see io/instance.h */
	str_print(l->alias, ROUTER_ALIAS "%s:%" PRIu32, in->wg ? "inside" : "vxlan", vni);
	l->mac = vtep_mac(in->host_id, vni);
	l->mtu = overlay_mtu(in);
	l->up = true;
	l->vxlan.vni = vni;
	if (!in->wg) /* else the routes there say what each packet is sent from */
		l->vxlan.local = in->local;
	l->vxlan.inside = in->wg != NULL;
	l->vxlan.port = port;
	uint32_t mtu = l->mtu; /* @l dies with the next link */
	add_addr(net, name, &inner, 64);
	return mtu;
}

/*
 * The kernel shares the next hops of IPv4 routes, and looks for an equal one in a hash of device, metric, scope and
 * protocol, but not of the gateway (net/ipv4/fib_semantics.c, fib_info_hashfn): 10,000 peers behind one device are one
 * chain, and adding them takes 2.4 s. With a metric of each host's own they spread: 0.26 s. Nothing else competes for
 * the prefix.
 */
static uint32_t spreading_metric(const char *host_id)
{
	return 1 + (uint32_t)(hash64(host_id, strlen(host_id), 0x6d6574) & 0x3fffffff);
}

/* Two-container form: the stack's network is one of our own interfaces. */
static bool overlaps_stack(const struct config *c, const struct prefix *p)
{
	for (size_t i = 0; i < c->n_stack_subnets; i++)
		if (prefix_overlaps(&c->stack_subnets[i], p))
			return true;
	return false;
}

void desired_add_peers(const struct desired_input *in, struct desired *d, struct net *net, uint32_t vni,
		       const char *dev, const struct ip *same_host_via)
{
	size_t i, to;

	for (claims_of(&d->claims, vni, &i, &to); i < to; i++) {
		const struct claim *c = &d->claims.v[i];
		if (c->refused || !c->peer || (same_host_via && overlaps_stack(in->config, &c->prefix)))
			continue;
		const struct wg_path *path = d->paths ? wg_paths_find(d->paths, c->peer->host_id) : NULL;
		if (!wireguard_speaks(in, c->peer) || !in->wg != !path)
			continue;
		struct ip outer = path ? path->to : c->peer->vxlan_endpoint.ip;
		uint16_t port = c->peer->vxlan_endpoint.port;
		/* Two stacks of one host, each with a router container: they meet on the uplink network that they
		 * share. */
		if (same_host_via && !ip_is_none(&c->peer->uplink) && ip_cmp(&c->peer->host_ip, same_host_via) == 0) {
			outer = c->peer->uplink;
		}
		if (!in->wg && outer.family != in->local.family)
			continue;
		struct ip next = vtep_ip(c->peer->host_id, vni);
		struct mac mac = vtep_mac(c->peer->host_id, vni);
		add_neigh(net, dev, &next, &mac);
		struct entry fdb = entry_make(ENTRY_FDB, dev, NULL);
		fdb.mac = mac;
		entry_set_via(&fdb, &outer);
		const struct link *vx = net_link(net, dev);
		fdb.pref = vx && port == vx->vxlan.port ? 0 : port;
		entry_set_put(&net->entries, &fdb);
		mcast_add_peer(in, net, c->peer, &fdb);
		struct entry route = entry_make(ENTRY_ROUTE, dev, &c->prefix);
		route.table = 254;
		entry_set_via(&route, &next);
		route.onlink = c->prefix.ip.family == AF_INET;
		if (route.onlink)
			route.pref = spreading_metric(c->peer->host_id);
		entry_set_put(&net->entries, &route);
	}
}

/* A prefix of others that holds addresses of the network's own is not for those inside: to them it is next door. */
bool overlaps_own(const struct inv_network *nw, const struct prefix *p)
{
	for (size_t i = 0; i < nw->n_subnets; i++)
		if (prefix_overlaps(&nw->subnets[i], p))
			return true;
	return false;
}

/* Everything that one network of one stack needs, on the host and in the router namespace. */
static void add_leg(const struct desired_input *in, struct desired *d, struct net *host, struct net *vni_net,
		    const struct inv_stack *stack, const struct inv_network *nw, const struct link *bridge,
		    struct host_parts *parts)
{
	char host_end[16], ns_end[16];
	const uint8_t families[] = {AF_INET, AF_INET6};

	name_derive(host_end, "drl-", nw->id);
	name_derive(ns_end, "leg-", nw->id);
	struct link *l = net_link_add(host, host_end);
	l->kind = LINK_VETH;
	str_print(l->alias, ROUTER_ALIAS "leg:%.40s", stack->stack_id);
	/* High, so that a bridge without an address of its own does not take the leg's. */
	l->mac = mac_derive("leg-host", in->host_id, nw->id, 0xfe);
	l->mtu = nw->mtu ? nw->mtu : bridge->mtu;
	l->up = true;
	str_copy(l->master, nw->bridge);
	l->peer_net = vni_net->id;
	str_copy(l->peer_name, ns_end);
	l->veth_primary = true;
	uint32_t mtu = l->mtu;

	struct link *p = net_link_add(vni_net, ns_end);
	p->kind = LINK_VETH;
	str_print(p->alias, ROUTER_ALIAS "leg:%.40s", stack->stack_id);
	p->mac = mac_derive("leg", in->host_id, nw->id, 0x02);
	p->mtu = mtu;
	p->up = true;
	p->peer_net = host->id;
	str_copy(p->peer_name, host_end);
	struct mac leg_mac = p->mac;

	add_addr(vni_net, ns_end, &leg_next_hop4, 32);
	add_addr(vni_net, ns_end, &leg_next_hop6, 64);

	struct rs_leg *rs;
	struct rs_vni *v = state_vni(&d->state, stack->vni);
	rs = xgrow(&v->legs, v->n_legs, &v->cap_legs);
	v->n_legs++;
	str_copy(rs->stack_id, stack->stack_id);
	str_copy(rs->network, nw->name);
	str_copy(rs->bridge, nw->bridge);
	str_copy(rs->name, host_end);

	uint32_t table = parts_table(parts, nw->id);
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		uint8_t family = families[f];
		if (!has_family(&d->claims, nw, family) || (family == AF_INET6 && bridge->ipv6_off))
			continue;
		const struct ip *hop = family == AF_INET ? &leg_next_hop4 : &leg_next_hop6;
		add_neigh(host, nw->bridge, hop, &leg_mac);
		struct entry rule = entry_make(ENTRY_RULE, nw->bridge, NULL);
		rule.family = family;
		rule.pref = RULE_PREF_BRIDGE;
		rule.table = table;
		entry_set_put(&host->entries, &rule);
	}
	for (size_t i = 0; i < d->claims.n; i++) {
		const struct claim *c = &d->claims.v[i];
		if (c->network != nw || c->refused)
			continue;
		struct entry route = entry_make(ENTRY_ROUTE, ns_end, &c->prefix);
		route.table = 254;
		entry_set_put(&vni_net->entries, &route);
		struct entry rule = entry_make(ENTRY_RULE, "lo", &c->real);
		rule.pref = RULE_PREF_SOURCE;
		rule.table = table;
		if (c->prefix.ip.family == AF_INET || !bridge->ipv6_off)
			entry_set_put(&host->entries, &rule);
	}
	parts_add_bridge(parts, nw->bridge);
	/* With auto and nic the leg is for moments: nothing that is made anew with each container is worth it. */
	if (in->config->leg_shortcut &&
	    (in->config->datapath == DATAPATH_LEG || in->config->datapath == DATAPATH_ROUTE))
		parts_shortcut(parts, nw->bridge, host_end, &leg_mac);
}

static const struct ip *gateway_of(const struct inv_network *nw, uint8_t family)
{
	for (size_t i = 0; i < nw->n_gateways; i++)
		if (nw->gateways[i].family == family)
			return &nw->gateways[i];
	return NULL;
}

/* Routes of the host towards a VNI: in the table of each stack of ours, and once for the host's own processes. */
static void add_host_routes(const struct desired_input *in, struct desired *d, struct net *host, uint32_t vni,
			    uint32_t mtu, struct host_parts *parts)
{
	size_t from, to;

	claims_of(&d->claims, vni, &from, &to);
	for (size_t s = 0; s < in->inventory->n_stacks; s++) {
		const struct inv_stack *stack = &in->inventory->stacks[s];
		if (stack->vni != vni)
			continue;
		for (size_t j = 0; j < stack->n_networks; j++) {
			const struct inv_network *nw = &stack->networks[j];
			const struct link *bridge = parts_bridge(parts, nw->bridge);
			if (!bridge)
				continue;
			uint32_t table = parts_table(parts, nw->id);
			bool v4 = has_family(&d->claims, nw, AF_INET);
			bool v6 = has_family(&d->claims, nw, AF_INET6) && !bridge->ipv6_off;
			for (size_t i = from; i < to; i++) {
				const struct claim *c = &d->claims.v[i];
				uint8_t family = c->prefix.ip.family;
				if (c->refused || !(family == AF_INET ? v4 : v6) || overlaps_own(nw, &c->prefix))
					continue;
				struct entry r = entry_make(ENTRY_ROUTE, nw->bridge, &c->prefix);
				r.table = table;
				entry_set_via(&r, family == AF_INET ? &leg_next_hop4 : &leg_next_hop6);
				r.onlink = family == AF_INET;
				r.mtu = c->peer ? mtu : 0;
				entry_set_put(&host->entries, &r);
				/*
				 * Two stacks of this host meet below raw, under a shadow; see ruleset.h. Without an
				 * MTU: who knows no shadow understands no error about one, the router namespace tells
				 * the true address.
				 */
				struct prefix shadow;
				if (parts_shadow(parts, nw->bridge, c, &shadow)) {
					struct entry sh = r;
					memcpy(sh.dst, shadow.ip.b, sizeof(sh.dst));
					sh.mtu = 0;
					entry_set_put(&host->entries, &sh);
				}
				/*
				 * The host's own processes: by the first network of the VNI that gives them an address;
				 * to a mapped prefix of our own by its own.
				 */
				const struct ip *gw = gateway_of(nw, family);
				if (!gw || parts_is_local(parts, &c->prefix) ||
				    (!c->peer && (!c->mapped || c->network != nw)))
					continue;
				r.table = TABLE_HOST;
				memcpy(r.src, gw->b, sizeof(r.src));
				if (!entry_set_find(&host->entries, &r)) {
					entry_set_put(&host->entries, &r);
					struct entry rule = entry_make(ENTRY_RULE, "lo", NULL);
					rule.family = family;
					rule.pref = RULE_PREF_HOST;
					rule.table = TABLE_HOST;
					entry_set_put(&host->entries, &rule);
				}
			}
		}
	}
}

/*
 * What ICMPv6 errors of the router namespace come from: one from a link-local address is not forwarded (RFC 4291
 * section 2.5.6), and a path's MTU would not be learned. (IPv4 has 192.0.0.8 for that by itself.) Nobody sends to it:
 * of the half of the pool that never leaves a host, with the host's own number behind.
 */
static void add_error_source(const struct desired_input *in, struct net *net, const char *dev, uint32_t vni)
{
	const struct prefix *pool = &in->config->shadow6;
	struct ip inner = vtep_ip(in->host_id, vni), ip = pool->ip;

	if (ip_is_none(&pool->ip) || pool->len > 63)
		return;
	ip.b[pool->len / 8] |= (uint8_t)(0x80 >> pool->len % 8);
	memcpy(ip.b + 8, inner.b + 8, 8);
	add_addr(net, dev, &ip, 128);
}

void desired_make(const struct desired_input *in, struct desired *ret)
{
	const struct net *actual_host = net_list_find(in->actual, &net_id_host);

	memset(ret, 0, sizeof(*ret));
	str_copy(ret->state.datapath, datapath_names[in->config->datapath]);
	desired_settle(in, ret);

	struct net *host = net_list_add(&ret->nets, &net_id_host);
	struct host_parts *parts = parts_new(in, ret, actual_host);
	if (in->wg)
		wireguard_add(in, ret);
	wireguard_tell(in, ret);
	for (size_t s = 0; s < in->inventory->n_stacks; s++) {
		const struct inv_stack *stack = &in->inventory->stacks[s];
		struct net_id id = net_id_vni(stack->vni);
		struct net *vni_net = net_list_find(&ret->nets, &id);
		if (!vni_net) {
			char dev[16];
			vni_net = net_list_add(&ret->nets, &id);
			struct rs_vni *v = state_vni(&ret->state, stack->vni);
			str_print(v->ns, "%s/vni-%" PRIu32, in->ns_dir, stack->vni);
			if (!ip_is_none(&in->local)) {
				str_print(dev, "vx%" PRIu32 "%s", stack->vni,
					  in->wg			 ? "wg"
					  : in->local.family == AF_INET6 ? "v6"
									 : "");
				v->mtu = desired_add_vxlan(in, vni_net, stack->vni, dev, in->config->vxlan_port);
				add_error_source(in, vni_net, dev, stack->vni);
				str_copy(v->devices[0].name, dev);
				v->devices[0].local = in->wg ? ret->state.wireguard.address : in->local;
				v->devices[0].port = in->config->vxlan_port;
				v->n_devices = 1;
				desired_add_peers(in, ret, vni_net, stack->vni, dev, NULL);
			}
		}
		for (size_t j = 0; j < stack->n_networks; j++) {
			const struct inv_network *nw = &stack->networks[j];
			const struct link *bridge = actual_host ? net_link(actual_host, nw->bridge) : NULL;
			if (!nw->bridge[0] ||
			    (!has_family(&ret->claims, nw, AF_INET) && !has_family(&ret->claims, nw, AF_INET6)))
				continue;
			if (!bridge || bridge->kind != LINK_BRIDGE) {
				if (actual_host && actual_host->ready) {
					struct rs_pending *p = xgrow(&ret->state.pending, ret->state.n_pending,
								     &ret->state.cap_pending);
					ret->state.n_pending++;
					p->operation = xasprintf("leg of stack %s", stack->stack_id);
					p->why = xasprintf("waits for bridge %s of network %s", nw->bridge, nw->name);
				}
				continue;
			}
			add_leg(in, ret, host, vni_net, stack, nw, bridge, parts);
		}
	}
	for (size_t i = 0; i < ret->nets.n; i++)
		if (ret->nets.v[i]->id.kind == NET_VNI)
			add_host_routes(in, ret, host, ret->nets.v[i]->id.vni, overlay_mtu(in), parts);
	desired_add_nics(in, ret);
	mcast_add(in, ret);
	if (in->wg)
		wireguard_finish(in, ret);
	parts_finish(parts, in, ret, host);
}

void desired_done(struct desired *d)
{
	net_list_done(&d->nets);
	claims_done(&d->claims);
	if (d->paths)
		wg_paths_done(d->paths);
	free(d->paths);
	free(d->wants);
	router_state_done(&d->state);
	memset(d, 0, sizeof(*d));
}
