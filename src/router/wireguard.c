/* SPDX-License-Identifier: Apache-2.0
 *
 * The desired state of the WireGuard namespace; see wireguard.h. Pure.
 */
#include "router/wireguard.h"

#include <inttypes.h>

#include "router/desired_parts.h"
#include "state/wg_keys.h"

/* IP header, UDP 8, WireGuard 16, tag 16 */
#define OVERHEAD4     60
#define OVERHEAD6     80
#define MTU_MIN	      1280 /* IPv6 needs it inside; what is too long outside goes in fragments */
#define PREFIX_INSIDE 32   /* of all hosts: one connected route */

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
	return underlay > MTU_MIN + overhead ? underlay - overhead : MTU_MIN;
}

static int peer_host_cmp(const void *a, const void *b)
{
	return strcmp((*(const struct peer *const *)a)->host_id, (*(const struct peer *const *)b)->host_id);
}

/* One peer per host, by host_id; of several stacks the one that was said last */
static const struct peer **hosts_collect(const struct discovery *disc, size_t *ret_n)
{
	const struct peer **v = xcalloc(disc->n_peers + 1, sizeof(*v));
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < disc->n_peers; i++)
		if (disc->peers[i].host_id[0])
			v[n++] = &disc->peers[i];
	if (n)
		qsort(v, n, sizeof(struct peer *), peer_host_cmp);
	for (size_t i = 0; i < n; i++) {
		if (kept && peer_host_cmp(&v[kept - 1], &v[i]) == 0) {
			if (v[i]->seq > v[kept - 1]->seq)
				v[kept - 1] = v[i];
			continue;
		}
		v[kept++] = v[i];
	}
	*ret_n = kept;
	return v;
}

static const struct key *ring_find(const struct keyring *ring, const char *id)
{
	for (size_t i = 0; i < ring->n; i++)
		if (str_eq(ring->keys[i].id, id))
			return &ring->keys[i];
	return NULL;
}

static void tell_peer(const struct net *actual, struct rs_wireguard *rs, const struct peer *p,
		      const struct wg_peer *want)
{
	struct rs_wg_peer *r = xgrow(&rs->peers, rs->n_peers, &rs->cap_peers);
	const struct wg_peer *is = actual ? wg_peer_find(&actual->wg.device, want->key) : NULL;

	rs->n_peers++;
	str_copy(r->host_id, p->host_id);
	str_copy(r->host_name, p->host_name);
	str_copy(r->key, p->wireguard.key);
	r->address = want->allowed[0].ip;
	if (!is)
		return;
	r->announced = actual->wg.announced[is - actual->wg.device.peers];
	r->endpoint = is->endpoint;
	r->handshake.ms = is->handshake_s * 1000;
}

/* What the last run told, as long as the device has not been read */
static void tell_before(const struct rs_wireguard *before, struct rs_wireguard *rs)
{
	for (size_t i = 0; before && i < rs->n_peers; i++)
		for (size_t j = 0; j < before->n_peers; j++) {
			const struct rs_wg_peer *b = &before->peers[j];
			if (!str_eq(b->key, rs->peers[i].key))
				continue;
			rs->peers[i].announced = b->announced;
			rs->peers[i].endpoint = b->endpoint;
			rs->peers[i].handshake = b->handshake;
		}
}

static void add_peers(const struct desired_input *in, struct desired *d, struct net *net)
{
	const struct net *actual = net_list_find(in->actual, &net_id_wireguard);
	struct rs_wireguard *rs = &d->state.wireguard;
	struct wg_device *dev = &net->wg.device;
	size_t n;
	const struct peer **hosts = hosts_collect(in->discovery, &n);

	if (actual && !actual->wg.present)
		actual = NULL;
	for (size_t i = 0; i < n && dev->n_peers < WG_PEERS_MAX; i++) {
		const struct peer *p = hosts[i];
		struct wg_peer w = {.endpoint = {p->host_ip, p->wireguard.port}, .n_allowed = 1};
		const char *id = p->wireguard.key[0] ? wg_common_key(&in->wg->say, &p->wireguard) : NULL;
		const struct key *k = id ? ring_find(&in->wg->ring, id) : NULL;

		/* our own key at another host's is a cloned disk, or a lie */
		if (!k || !wg_key_parse(p->wireguard.key, w.key) || str_eq(p->wireguard.key, in->wg->say.key))
			continue;
		w.keepalive_s = (uint16_t)in->config->wireguard_keepalive_s;
		w.allowed[0] = (struct prefix){wireguard_ip(p->host_id), 128};
		wg_psk(k, in->host_id, p->host_id, w.psk);
		tell_peer(actual, rs, p, &w);
		*xgrow(&dev->peers, dev->n_peers, &dev->cap_peers) = w;
		dev->n_peers++;
	}
	if (!actual && in->before)
		tell_before(&in->before->wireguard, rs);
	wg_peers_sort(dev);
	/* two that tell one key: WireGuard can have it once, and nobody else may be shut out by it */
	size_t kept = 0;
	for (size_t i = 0; i < dev->n_peers; i++)
		if (!kept || memcmp(dev->peers[kept - 1].key, dev->peers[i].key, WG_KEY_BYTES) != 0)
			dev->peers[kept++] = dev->peers[i];
	dev->n_peers = kept;
	free(hosts);
}

void wireguard_add(const struct desired_input *in, struct desired *ret)
{
	struct net *net = net_list_add(&ret->nets, &net_id_wireguard);
	const struct net *actual = net_list_find(in->actual, &net_id_wireguard);
	struct rs_wireguard *rs = &ret->state.wireguard;
	struct ip inside = wireguard_ip(in->host_id);

	str_print(rs->device, "drwg%.8s", in->host_id);
	str_print(rs->ns, "%s/wireguard", in->ns_dir);
	str_copy(rs->key, in->wg->say.key);
	rs->port = in->wg->say.port;
	rs->address = inside;
	rs->mtu = wireguard_mtu(in);
	struct link *l = net_link_add(net, rs->device);
	l->kind = LINK_WIREGUARD;
	str_copy(l->alias, ROUTER_ALIAS "wireguard");
	l->mtu = rs->mtu;
	l->up = true;
	const struct link *is = actual ? net_link(actual, rs->device) : NULL;
	rs->in_kernel = is && is->kind == LINK_WIREGUARD;
	add_addr(net, rs->device, &inside, PREFIX_INSIDE);
	net->wg.present = true;
	memcpy(net->wg.device.private_key, in->wg->private_key, WG_KEY_BYTES);
	net->wg.device.port = in->wg->say.port;
	add_peers(in, ret, net);
}

void wireguard_tell(const struct desired_input *in, struct desired *ret)
{
	size_t n;
	const struct peer **hosts = hosts_collect(in->discovery, &n);

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

void wireguard_finish(const struct desired_input *in, struct desired *d)
{
	struct net *net = net_list_find(&d->nets, &net_id_wireguard);
	struct ruleset_vni *vnis = xcalloc(d->nets.n + 1, sizeof(*vnis));
	size_t n = 0;

	for (size_t i = 0; net && i < d->nets.n; i++)
		if (d->nets.v[i]->id.kind == NET_VNI)
			vnis[n++] = (struct ruleset_vni){d->nets.v[i]->id.vni, in->config->vxlan_port};
	if (net) {
		ruleset_wireguard(&(struct ruleset_host){.vnis = vnis, .n_vnis = n, .port = in->config->vxlan_port},
				  net->links[0].name, &net->nft);
		for (size_t i = 0; i < in->discovery->n_peers; i++) {
			const struct peer *p = &in->discovery->peers[i];
			struct ip inside = wireguard_ip(p->host_id);
			if (p->host_id[0] && wireguard_speaks(in, p))
				guard_add(&net->nft, p->vni, &inside);
		}
		sets_finish(&net->nft);
	}
	free(vnis);
}
