/* SPDX-License-Identifier: Apache-2.0
 *
 * The desired state of the WireGuard namespace; see wireguard.h. Pure.
 */
#include "router/wireguard.h"

#include <inttypes.h>

#include "router/desired_parts.h"
#include "router/wg_path.h"

/* IP header, UDP 8, WireGuard 16, tag 16 */
#define OVERHEAD4 60
#define OVERHEAD6 80
#define MTU_MIN	  1280 /* IPv6 needs it inside; what is too long outside goes in fragments */
/* WireGuard fills packets up to a multiple of 16, but not beyond the MTU. wireguard-go does not hear of the MTU of a
 * device that has been moved away from it, and takes it for 1420 for ever: it would fill those of 1440 to 1452, and
 * each would leave in two fragments. So the longest packet is one that needs no filling in its eyes */
#define FILL   16
#define GO_MTU 1420

static const struct net_id net_id_wireguard = {.kind = NET_WIREGUARD};

bool wireguard_speaks(const struct desired_input *in, const struct peer *p)
{
	if (!in->wg)
		return !p->wireguard.key[0];
	return p->wireguard.key[0] && wg_common_key(&in->wg->say, &p->wireguard);
}

uint32_t wireguard_mtu(const struct desired_input *in)
{
	uint32_t underlay = in->config->underlay_mtu ? in->config->underlay_mtu : in->underlay_mtu;
	uint32_t overhead = in->local.family == AF_INET6 ? OVERHEAD6 : OVERHEAD4;

	if (!underlay)
		underlay = 1500;
	if (underlay > 65535)
		underlay = 65535;
	if (underlay <= MTU_MIN + overhead)
		return MTU_MIN;
	return underlay - overhead - (underlay - overhead) % GO_MTU % FILL;
}

#define KEEPALIVE_S  25	 /* on sessions that are to be there before anybody sends */
#define ALL_KEPT_MAX 256 /* where a host relays, so many others are tried before anybody sends */

static const struct wg_own_key *own_keys(const struct wg_own *own, size_t i)
{
	const struct wg_own_key *k = i ? &own->next : &own->now;

	return k->present ? k : NULL;
}

static bool is_relay(const struct wg_paths *paths, const struct wg_path *p)
{
	for (size_t i = 0; i < paths->n_relays; i++)
		if (paths->relays[i] == p)
			return true;
	return false;
}

/* --- peers of a device --- */

static uint16_t keepalive(const struct desired_input *in, const struct wg_paths *paths, const struct wg_path *p)
{
	uint32_t s = in->config->wireguard_keepalive_s;
	bool renewed = in->wg->next.present || p->keys[1].present;
	bool kept = paths->n_relays && (is_relay(paths, p) || p->relay || paths->n <= ALL_KEPT_MAX);

	if ((renewed || kept) && (!s || s > KEEPALIVE_S))
		s = KEEPALIVE_S;
	return (uint16_t)s;
}

static void allow(struct wg_peer *w, struct prefix p)
{
	w->allowed[w->n_allowed++] = p;
}

static void add_peer(const struct desired_input *in, const struct wg_paths *paths, const struct wg_path *p,
		     const struct wg_host_key *key, const struct wg_own_key *own, struct wg_device *dev)
{
	const char *host_id = p->peer->host_id;
	struct wg_peer w = {.endpoint = {p->peer->host_ip, key->port}, .keepalive_s = keepalive(in, paths, p)};

	memcpy(w.key, key->key, sizeof(w.key));
	memcpy(w.psk, p->psk, sizeof(w.psk));
	allow(&w, (struct prefix){wireguard_ip(host_id, key->slot), 128});
	if (in->wg->say.relay)
		allow(&w, (struct prefix){wireguard_relay_ip(in->host_id, own->slot, host_id, key->slot), 128});
	if (is_relay(paths, p))
		allow(&w, wireguard_relay_prefix(host_id, key->slot));
	*xgrow(&dev->peers, dev->n_peers, &dev->cap_peers) = w;
	dev->n_peers++;
	explicit_bzero(&w, sizeof(w));
}

static void add_peers(const struct desired_input *in, const struct wg_paths *paths, const struct wg_own_key *own,
		      struct wg_device *dev)
{
	for (size_t i = 0; i < paths->n; i++)
		for (size_t k = 0; k < ARRAY_LEN(paths->v[i].keys); k++)
			if (paths->v[i].keys[k].present)
				add_peer(in, paths, &paths->v[i], &paths->v[i].keys[k], own, dev);
	wg_peers_sort(dev);
	/* two that tell one key: WireGuard can have it once, and nobody else may be shut out by it */
	size_t kept = 0;
	for (size_t i = 0; i < dev->n_peers; i++)
		if (!kept || memcmp(dev->peers[kept - 1].key, dev->peers[i].key, WG_KEY_BYTES) != 0)
			dev->peers[kept++] = dev->peers[i];
	dev->n_peers = kept;
}

static void add_device(const struct desired_input *in, const struct wg_paths *paths, const struct wg_own_key *own,
		       struct net *net)
{
	struct net_wg *w = &net->wg[own->slot];
	struct ip inside = wireguard_ip(in->host_id, own->slot);
	char name[16];

	net_wg_name(in->host_id, own->slot, name);
	struct link *l = net_link_add(net, name);
	l->kind = LINK_WIREGUARD;
	str_copy(l->alias, ROUTER_ALIAS "wireguard");
	l->mtu = wireguard_mtu(in);
	l->up = true;
	add_addr(net, name, &inside, 128);
	w->present = true;
	memcpy(w->device.private_key, own->private_key, WG_KEY_BYTES);
	w->device.port = (uint16_t)(in->config->wireguard_port + own->slot);
	add_peers(in, paths, own, &w->device);
}

/* --- routes: which device, and from which address --- */

static void add_route(const struct desired_input *in, struct net *net, unsigned device, const struct prefix *dst,
		      const struct ip *from)
{
	char name[16];

	net_wg_name(in->host_id, device, name);
	struct entry r = entry_make(ENTRY_ROUTE, name, dst);
	r.table = 254;
	if (from)
		memcpy(r.src, from->b, sizeof(r.src));
	entry_set_put(&net->entries, &r);
}

/* We are reached by way of this relay, at every slot that is ours; and send by it */
static void add_relay(const struct desired_input *in, const struct wg_path *r, struct net *net)
{
	char name[16];

	for (unsigned k = 0; k < ARRAY_LEN(r->keys); k++) {
		if (!r->keys[k].present)
			continue;
		for (size_t i = 0; i < 2; i++) {
			const struct wg_own_key *own = own_keys(in->wg, i);
			if (!own)
				continue;
			struct ip ip = wireguard_relay_ip(r->peer->host_id, r->keys[k].slot, in->host_id, own->slot);
			net_wg_name(in->host_id, own->slot, name);
			add_addr(net, name, &ip, 128);
		}
		unsigned device = wg_relay_device(in, r, k);
		struct prefix all = wireguard_relay_prefix(r->peer->host_id, r->keys[k].slot);
		struct ip from = wireguard_relay_ip(r->peer->host_id, r->keys[k].slot, in->host_id, device);
		add_route(in, net, device, &all, &from);
	}
}

static void add_routes(const struct desired_input *in, const struct wg_paths *paths, struct net *net)
{
	const struct wg_own *own = in->wg;

	for (unsigned slot = 0; slot < WG_SLOTS; slot++) {
		struct prefix all = wireguard_net(slot);
		struct ip from = wireguard_ip(in->host_id, own->now.slot);
		add_route(in, net, own->now.slot, &all, &from);
	}
	for (size_t i = 0; i < paths->n; i++) {
		const struct wg_path *p = &paths->v[i];
		struct prefix to = prefix_host(&p->to);
		struct ip from = wireguard_ip(in->host_id, p->device);
		if (!p->relay && p->device != own->now.slot)
			add_route(in, net, p->device, &to, &from);
	}
	for (size_t i = 0; i < paths->n_relays; i++)
		add_relay(in, paths->relays[i], net);
	for (size_t i = 0; own->say.relay && i < 2; i++) {
		const struct wg_own_key *k = own_keys(own, i);
		struct prefix all = wireguard_relay_prefix(in->host_id, k ? k->slot : 0);
		if (k)
			add_route(in, net, k->slot, &all, NULL);
	}
}

/* --- router.json --- */

static const struct rs_wg_peer *told_before(const struct desired_input *in, const char *host_id)
{
	const struct rs_wireguard *before = in->before ? &in->before->wireguard : NULL;

	for (size_t i = 0; before && i < before->n_peers; i++)
		if (str_eq(before->peers[i].host_id, host_id))
			return &before->peers[i];
	return NULL;
}

static void tell_peer(const struct desired_input *in, const struct net *actual, const struct wg_path *p,
		      struct rs_wireguard *rs)
{
	struct rs_wg_peer *r = xgrow(&rs->peers, rs->n_peers, &rs->cap_peers);
	const struct wg_note *note;

	rs->n_peers++;
	str_copy(r->host_id, p->peer->host_id);
	str_copy(r->host_name, p->peer->host_name);
	str_copy(r->key, p->peer->wireguard.key);
	net_wg_name(in->host_id, p->device, r->device);
	r->address = p->to;
	if (p->relay) {
		str_copy(r->relay, p->relay->peer->host_id);
		str_copy(r->relay_name, p->relay->peer->host_name);
	}
	bool known = actual && actual->wg[in->wg->now.slot].known;
	const struct rs_wg_peer *b = known ? NULL : told_before(in, p->peer->host_id);
	if (b && str_eq(b->key, r->key)) {
		/* what the last run told, as long as the device has not been read */
		r->announced = b->announced;
		r->endpoint = b->endpoint;
		r->handshake = b->handshake;
		return;
	}
	if (wg_path_peer(actual, p, in->wg->now.slot, 0, &note))
		r->announced = note->announced;
	const struct wg_peer *is = p->relay ? wg_path_peer(actual, p->relay, p->relay->device, p->relay->key, &note)
					    : wg_path_peer(actual, p, p->device, p->key, &note);
	if (!is)
		return;
	r->endpoint = is->endpoint;
	r->handshake.ms = is->handshake_s * 1000;
}

static void tell_own(const struct desired_input *in, const struct wg_paths *paths, const struct net *actual,
		     struct rs_wireguard *rs)
{
	const struct wg_own *own = in->wg;

	net_wg_name(in->host_id, own->now.slot, rs->device);
	str_print(rs->ns, "%s/wireguard", in->ns_dir);
	str_copy(rs->key, own->say.key);
	rs->port = own->say.port;
	rs->address = wireguard_ip(in->host_id, own->now.slot);
	rs->mtu = wireguard_mtu(in);
	rs->relay = own->say.relay;
	const struct link *is = net_wg_link(actual, own->now.slot);
	rs->in_kernel = is && is->kind == LINK_WIREGUARD;
	if (!own->next.present)
		return;
	net_wg_name(in->host_id, own->next.slot, rs->next_device);
	str_copy(rs->next_key, own->say.next);
	rs->next_port = own->say.next_port;
	for (size_t i = 0; i < paths->n; i++)
		rs->n_ready += paths->v[i].ready;
}

void wireguard_add(const struct desired_input *in, struct desired *ret)
{
	struct net *net = net_list_add(&ret->nets, &net_id_wireguard);
	const struct net *actual = net_list_find(in->actual, &net_id_wireguard);
	struct wg_paths *paths = ret->paths = xcalloc(1, sizeof(*paths));

	wg_paths_make(in, paths);
	tell_own(in, paths, actual, &ret->state.wireguard);
	for (size_t i = 0; i < paths->n; i++)
		tell_peer(in, actual, &paths->v[i], &ret->state.wireguard);
	add_device(in, paths, &in->wg->now, net);
	if (in->wg->next.present)
		add_device(in, paths, &in->wg->next, net);
	add_routes(in, paths, net);
}

void wireguard_tell(const struct desired_input *in, struct desired *ret)
{
	size_t n;
	const struct peer **hosts = wireguard_hosts(in->discovery, &n);

	if (in->wg && !in->wg->ring.n) {
		struct rs_pending *t = xgrow(&ret->state.pending, ret->state.n_pending, &ret->state.cap_pending);
		ret->state.n_pending++;
		t->operation = xstrdup("WireGuard");
		t->why = xstrdup("there is no cluster key yet: docker-router join, or on the first host docker-router "
				 "keygen | docker-router key add");
		n = 0; /* of all others it is the same */
	}
	for (size_t i = 0; i < n; i++) {
		const struct peer *p = hosts[i];
		char ip[IP_STRLEN];
		if (wireguard_speaks(in, p) || ret->state.n_pending >= LIMIT_PROBLEMS)
			continue;
		struct rs_pending *t = xgrow(&ret->state.pending, ret->state.n_pending, &ret->state.cap_pending);
		ret->state.n_pending++;
		t->operation = xasprintf("routes to host %s (%s)", p->host_name[0] ? p->host_name : p->host_id,
					 ip_format(&p->host_ip, ip));
		t->why = xstrdup(!in->wg ? "it encrypts and this host does not: set ENCRYPTION=wireguard here"
				 : p->wireguard.key[0]
					 ? "no key of its CLUSTER_KEY_FILE is in ours: no pre-shared key"
					 : "it has told no WireGuard key, and nothing goes to it in clear: set "
					   "ENCRYPTION=wireguard there");
	}
	free(hosts);
}

/* What a member of a VNI sends from: its own addresses, and those by way of relays */
static void guard_host(const struct wg_paths *paths, const struct wg_path *p, uint32_t vni, struct nft_table *t)
{
	for (size_t k = 0; k < ARRAY_LEN(p->keys); k++) {
		if (!p->keys[k].present)
			continue;
		struct ip inside = wireguard_ip(p->peer->host_id, p->keys[k].slot);
		guard_add(t, vni, &inside);
		for (size_t i = 0; i < paths->n_relays; i++) {
			const struct wg_path *r = paths->relays[i];
			for (size_t m = 0; r != p && m < ARRAY_LEN(r->keys); m++) {
				if (!r->keys[m].present)
					continue;
				inside = wireguard_relay_ip(r->peer->host_id, r->keys[m].slot, p->peer->host_id,
							    p->keys[k].slot);
				guard_add(t, vni, &inside);
			}
		}
	}
}

void wireguard_finish(const struct desired_input *in, struct desired *d)
{
	struct net *net = net_list_find(&d->nets, &net_id_wireguard);
	struct ruleset_vni *vnis = xcalloc(d->nets.n + 1, sizeof(*vnis));
	struct prefix relayed[WG_SLOTS];
	size_t n = 0;

	for (size_t i = 0; net && i < d->nets.n; i++)
		if (d->nets.v[i]->id.kind == NET_VNI)
			vnis[n++] = (struct ruleset_vni){d->nets.v[i]->id.vni, in->config->vxlan_port};
	if (net) {
		struct ruleset_wireguard rw = {.host = {.vnis = vnis, .n_vnis = n, .port = in->config->vxlan_port}};
		for (size_t i = 0; i < net->n_links; i++)
			rw.devices[rw.n_devices++] = net->links[i].name;
		for (size_t i = 0; in->wg->say.relay && i < 2; i++)
			if (own_keys(in->wg, i)) {
				relayed[rw.n_relayed] = wireguard_relay_prefix(in->host_id, own_keys(in->wg, i)->slot);
				rw.relayed[rw.n_relayed] = &relayed[rw.n_relayed];
				rw.n_relayed++;
			}
		ruleset_wireguard(&rw, &net->nft);
		for (size_t i = 0; i < in->discovery->n_peers; i++) {
			const struct peer *p = &in->discovery->peers[i];
			const struct wg_path *path = p->host_id[0] ? wg_paths_find(d->paths, p->host_id) : NULL;
			if (path)
				guard_host(d->paths, path, p->vni, &net->nft);
		}
		sets_finish(&net->nft);
	}
	free(vnis);
}
