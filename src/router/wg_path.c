/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing; see wg_path.h. Pure.
 */
#include "router/wg_path.h"

#include "state/wg_keys.h"

static const struct net_id net_id_wireguard = {.kind = NET_WIREGUARD};

static int peer_host_cmp(const void *a, const void *b)
{
	return strcmp((*(const struct peer *const *)a)->host_id, (*(const struct peer *const *)b)->host_id);
}

const struct peer **wireguard_hosts(const struct discovery *disc, size_t *ret_n)
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

/* Our own key at another host's is a cloned disk, or a lie */
static bool is_own(const struct wg_own *own, const char *key)
{
	return str_eq(key, own->say.key) || (own->say.next[0] && str_eq(key, own->say.next));
}

static void host_key(const struct wg_own *own, const char *text, uint16_t port, struct wg_host_key *ret)
{
	if (!text[0] || is_own(own, text) || !wg_key_parse(text, ret->key))
		return;
	ret->present = true;
	ret->slot = wg_key_slot(ret->key);
	ret->port = port;
}

static bool path_init(const struct desired_input *in, const struct peer *p, struct wg_path *ret)
{
	const char *id = p->wireguard.key[0] ? wg_common_key(&in->wg->say, &p->wireguard) : NULL;
	const struct key *k = id ? ring_find(&in->wg->ring, id) : NULL;

	*ret = (struct wg_path){.peer = p};
	if (!k)
		return false;
	host_key(in->wg, p->wireguard.key, p->wireguard.port, &ret->keys[0]);
	if (!ret->keys[0].present)
		return false;
	host_key(in->wg, p->wireguard.next, p->wireguard.next_port, &ret->keys[1]);
	wg_psk(k, in->host_id, p->host_id, ret->psk);
	return true;
}

const struct wg_peer *wg_path_peer(const struct net *actual, const struct wg_path *p, unsigned slot, unsigned key,
				   const struct wg_note **ret_note)
{
	static const struct wg_note none;
	const struct net_wg *w = actual ? &actual->wg[slot] : NULL;
	const struct wg_peer *is =
		w && w->known && p->keys[key].present ? wg_peer_find(&w->device, p->keys[key].key) : NULL;

	*ret_note = is && w->notes ? &w->notes[is - w->device.peers] : &none;
	return is;
}

static bool settled(const struct net *actual, const struct wg_path *p, unsigned slot, unsigned key)
{
	const struct wg_note *note;

	return wg_path_peer(actual, p, slot, key, &note) && note->settled;
}

static bool any_settled(const struct net *actual, const struct wg_path *p, unsigned slot)
{
	return settled(actual, p, slot, 0) || settled(actual, p, slot, 1);
}

/* The newest session that works. Return: false: there is none */
static bool choose_direct(const struct wg_own *own, const struct net *actual, struct wg_path *p)
{
	const struct wg_own_key *const devices[] = {&own->next, &own->now};

	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		for (unsigned key = 2; devices[i]->present && key-- > 0;)
			if (settled(actual, p, devices[i]->slot, key)) {
				p->device = devices[i]->slot;
				p->key = key;
				return true;
			}
	p->device = own->now.slot;
	p->key = 0;
	return false;
}

static bool is_relay(const struct wg_paths *paths, const struct wg_path *p)
{
	for (size_t i = 0; i < paths->n_relays; i++)
		if (paths->relays[i] == p)
			return true;
	return false;
}

static bool tells_by(const struct peer *p, const char *relay_id)
{
	for (size_t i = 0; i < p->wireguard.n_by; i++)
		if (strncmp(p->wireguard.by[i], relay_id, WG_RING_ID - 1) == 0)
			return true;
	return false;
}

/* Relays have been chosen a way before */
static const struct wg_path *choose_relay(const struct net *actual, const struct wg_paths *paths,
					  const struct wg_path *p)
{
	for (size_t i = 0; i < paths->n_relays; i++) {
		const struct wg_path *r = paths->relays[i];
		if (r != p && tells_by(p->peer, r->peer->host_id) && settled(actual, r, r->device, r->key))
			return r;
	}
	return NULL;
}

static void path_address(const struct wg_path *r, struct wg_path *p)
{
	unsigned slot = p->keys[p->key].slot;

	p->relay = r;
	p->to = r ? wireguard_relay_ip(r->peer->host_id, r->keys[r->key].slot, p->peer->host_id, p->keys[0].slot)
		  : wireguard_ip(p->peer->host_id, slot);
	if (r)
		p->device = r->device;
}

/* As an earlier run had it, as long as our devices have not been read: what is under way must not be turned round */
static bool choose_before(const struct desired_input *in, const struct wg_paths *paths, struct wg_path *p)
{
	const struct rs_wireguard *before = in->before ? &in->before->wireguard : NULL;
	const struct rs_wg_peer *b = NULL;
	const struct wg_own *own = in->wg;
	const struct wg_path *r = NULL;
	char name[16];

	for (size_t i = 0; before && !b && i < before->n_peers; i++)
		if (str_eq(before->peers[i].host_id, p->peer->host_id))
			b = &before->peers[i];
	if (!b)
		return false;
	if (b->relay[0]) {
		for (size_t i = 0; i < paths->n_relays && !r; i++)
			if (str_eq(paths->relays[i]->peer->host_id, b->relay))
				r = paths->relays[i];
		if (!r)
			return false;
		p->key = 0;
	} else {
		net_wg_name(in->host_id, own->next.slot, name);
		p->device = own->next.present && str_eq(b->device, name) ? own->next.slot : own->now.slot;
		struct ip next = wireguard_ip(p->peer->host_id, p->keys[1].slot);
		p->key = p->keys[1].present && ip_cmp(&b->address, &next) == 0;
	}
	path_address(r, p);
	return true;
}

static void path_choose(const struct desired_input *in, const struct net *actual, const struct wg_paths *paths,
			struct wg_path *p)
{
	const struct wg_own *own = in->wg;
	const struct wg_note *note;

	p->ready = own->next.present && any_settled(actual, p, own->next.slot);
	p->live = any_settled(actual, p, own->now.slot);
	if (net_wg_link(actual, own->now.slot) && !actual->wg[own->now.slot].known && choose_before(in, paths, p))
		return;
	bool works = choose_direct(own, actual, p);
	/* it may have been answered to by its other key, which is a session too */
	bool lost = !works && wg_path_peer(actual, p, own->now.slot, 0, &note) && note->lost;
	path_address(lost && !is_relay(paths, p) ? choose_relay(actual, paths, p) : NULL, p);
}

static void tell_by(const struct desired_input *in, const struct net *actual, struct wg_paths *paths)
{
	paths->by_known = actual && actual->wg[in->wg->now.slot].known;
	for (size_t i = 0; i < paths->n_relays; i++) {
		const struct wg_path *r = paths->relays[i];
		if (!any_settled(actual, r, in->wg->now.slot) && !r->ready)
			continue;
		str_print(paths->by[paths->n_by], "%.8s", r->peer->host_id);
		paths->n_by++;
	}
}

void wg_paths_make(const struct desired_input *in, struct wg_paths *ret)
{
	const struct net *actual = net_list_find(in->actual, &net_id_wireguard);
	size_t n;
	const struct peer **hosts = wireguard_hosts(in->discovery, &n);

	*ret = (struct wg_paths){.v = xcalloc(n + 1, sizeof(*ret->v))};
	for (size_t i = 0; i < n && ret->n < WG_PEERS_MAX / 2; i++)
		if (path_init(in, hosts[i], &ret->v[ret->n]))
			ret->n++;
	free(hosts);
	for (size_t i = 0; i < ret->n && ret->n_relays < WG_RELAYS; i++)
		if (ret->v[i].peer->wireguard.relay)
			ret->relays[ret->n_relays++] = &ret->v[i];
	/* relays first: the others look at how those are reached */
	for (int relays = 1; relays >= 0; relays--)
		for (size_t i = 0; i < ret->n; i++)
			if (is_relay(ret, &ret->v[i]) == (relays != 0))
				path_choose(in, actual, ret, &ret->v[i]);
	tell_by(in, actual, ret);
}

void wg_paths_done(struct wg_paths *p)
{
	if (p->v)
		explicit_bzero(p->v, p->n * sizeof(*p->v));
	free(p->v);
	*p = (struct wg_paths){0};
}

static int path_cmp(const void *host_id, const void *path)
{
	return strcmp(host_id, ((const struct wg_path *)path)->peer->host_id);
}

const struct wg_path *wg_paths_find(const struct wg_paths *p, const char *host_id)
{
	return p->n ? bsearch(host_id, p->v, p->n, sizeof(*p->v), path_cmp) : NULL;
}

unsigned wg_relay_device(const struct desired_input *in, const struct wg_path *relay, unsigned key)
{
	const struct net *actual = net_list_find(in->actual, &net_id_wireguard);

	if (key == relay->key)
		return relay->device;
	return in->wg->next.present && settled(actual, relay, in->wg->next.slot, key) ? in->wg->next.slot
										      : in->wg->now.slot;
}
