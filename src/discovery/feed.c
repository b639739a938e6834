/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Feeds
 *
 * A feed is a source of peers that is no datagram: a store that tells what it has, and what it has no more. It stands
 * for the silence of its peers itself, so they neither grow stale nor time out while it has them; a store that is away
 * tells nothing, and they stay. One peer may be known by several feeds and by datagrams:
 *
 *	the newest seq counts, whoever tells it; an older one is believed of the only one who tells anything
 *	it is gone when no feed has it any more, and it was not heard by datagrams for PEER_TIMEOUT or said GOODBYE
 *
 * A record is checked like a datagram, but for where it came from. MAC and inner address are computed.
 */
#include <assert.h>

#include "discovery/core_state.h"
#include "discovery/names.h"

static const enum peer_source feed_sources[] = {PEER_ETCD, PEER_GOSSIP, PEER_DNS};
static_assert(ARRAY_LEN(feed_sources) == FEED_N_, "one source per feed");

static uint8_t feed_bit(enum feed feed)
{
	return (uint8_t)(1u << feed);
}

uint8_t feed_bit_of(const struct core *core, enum peer_source source)
{
	for (size_t i = 0; i < FEED_N_; i++) {
		if (feed_sources[i] == source)
			return core->config.feeds & feed_bit((enum feed)i);
	}
	return 0;
}

int64_t feed_seen_us(const struct core *core, const struct entry *e)
{
	int64_t seen_us = INT64_MIN;

	for (size_t i = 0; i < FEED_N_; i++) {
		if (e->fed & feed_bit((enum feed)i) && core->feed_seen_us[i] > seen_us)
			seen_us = core->feed_seen_us[i];
	}
	return seen_us;
}

void core_feed_seen(struct core *core, struct core_now now, enum feed feed)
{
	core->feed_seen_us[feed] = now.mono.us;
	if (core->peers.n_alive)
		core->touched = true;
}

/* --- put --- */

static int record_check(const struct peer *p, struct err *err)
{
	struct mac mac;
	struct ip ip;

	if (!wire_host_id_valid(p->host_id) || !name_valid(p->stack_id) || p->vni == 0 || p->vni > VNI_MAX)
		return err_set(err, -EINVAL, "no host_id, stack_id or vni");
	if (p->host_name[0] && !name_valid(p->host_name))
		return err_set(err, -EINVAL, "host_name is no name");
	if (ip_cmp(&p->vxlan_endpoint.ip, &p->host_ip) != 0 || p->vxlan_endpoint.port == 0)
		return err_set(err, -EINVAL, "vxlan_endpoint is not at host_ip");
	if (p->n_subnets > LIMIT_SUBNETS || p->n_mapped > LIMIT_SUBNETS || p->n_avoid > LIMIT_AVOID ||
	    p->n_groups > LIMIT_GROUPS)
		return err_set(err, -EINVAL, "too many subnets");
	mac = vtep_mac(p->host_id, p->vni);
	ip = vtep_ip(p->host_id, p->vni);
	if ((!mac_is_none(&p->vtep_mac) && mac_cmp(&mac, &p->vtep_mac) != 0) ||
	    (!ip_is_none(&p->vtep_ip) && ip_cmp(&ip, &p->vtep_ip) != 0))
		return err_set(err, -EINVAL, "vtep_mac and vtep_ip are not those of the host_id");
	return 0;
}

static void record_msg(struct wire_msg *m, const struct peer *p)
{
	*m = (struct wire_msg){.type = WIRE_ANNOUNCE,
			       .host_ip = p->host_ip,
			       .vni = p->vni,
			       .port = p->vxlan_endpoint.port,
			       .uplink = p->uplink,
			       .epoch = p->epoch,
			       .seq = p->seq,
			       .part = 1,
			       .parts = 1,
			       .vtep_mac = vtep_mac(p->host_id, p->vni),
			       .vtep_ip = vtep_ip(p->host_id, p->vni)};
	m->wireguard = p->wireguard;
	str_copy(m->stack_id, p->stack_id);
	str_copy(m->host_id, p->host_id);
	str_copy(m->host_name, p->host_name);
	subnets_copy(m, p);
}

static int address_check(const struct core *core, const struct ip *ip, struct err *err)
{
	char s[IP_STRLEN];

	if (ip_is_none(ip) || ip_is_unspecified(ip) || ip_is_multicast(ip) ||
	    (ip_is_loopback(ip) && !ip_is_loopback(&core->host_ip)))
		return err_set(err, -EINVAL, "host_ip %s: no host can have it", ip_format(ip, s));
	return 0;
}

static struct peer_key record_key(const struct peer *p)
{
	return (struct peer_key){.host_id = p->host_id, .stack_id = p->stack_id, .host_ip = &p->host_ip, .vni = p->vni};
}

/* Does somebody else tell of it what is newer? */
static bool record_is_old(const struct core *core, int64_t now_us, const struct entry *e, uint8_t bit, uint64_t seq)
{
	if (e->gone || seq >= e->peer.seq)
		return false;
	return e->fed & ~bit || (e->wire && now_us - e->heard_us <= 2 * core->config.announce_us);
}

/* A host that was not heard by datagrams is where the record says; who speaks to us is where he speaks from */
static void host_follow(struct core *core, struct entry *e)
{
	struct host *h = &core->peers.hosts[e->host];

	if (!e->wire && ip_cmp(&h->from.ip, &e->peer.host_ip) != 0)
		h->from = (struct endpoint){.ip = e->peer.host_ip, .port = core->config.discovery_port};
}

int core_feed_put(struct core *core, struct core_now now, enum feed feed, const struct peer *peer, struct err *err)
{
	struct wire_msg m;
	int r;

	if (str_eq(peer->host_id, core->config.host_id) || core->stopping)
		return 0;
	r = record_check(peer, err);
	if (r < 0)
		return r;
	record_msg(&m, peer);
	return feed_message(core, now, feed, &m, err);
}

int feed_message(struct core *core, struct core_now now, enum feed feed, struct wire_msg *m, struct err *err)
{
	struct peer_key key = {.host_id = m->host_id, .stack_id = m->stack_id, .host_ip = &m->host_ip, .vni = m->vni};
	struct endpoint from = {.ip = m->host_ip, .port = core->config.discovery_port};
	uint8_t bit = feed_bit(feed);
	uint32_t place;
	struct entry *e;
	bool new_host, new_peer, changed;
	int r;

	if (str_eq(m->host_id, core->config.host_id) || core->stopping)
		return 0;
	if (!m->host_id[0])
		return err_set(err, -EINVAL, "no host_id");
	r = address_check(core, &m->host_ip, err);
	if (r < 0)
		return r;
	place = peers_find(&core->peers, &key);
	new_peer = place == TABLE_NONE || core->peers.entries[place].gone;
	if (feed == FEED_DNS && place != TABLE_NONE && new_peer && m->seq <= core->peers.entries[place].peer.seq) {
		core->counts[COUNT_OLD]++; /* from before its goodbye */
		return 0;
	}
	if (!new_peer && record_is_old(core, now.mono.us, &core->peers.entries[place], bit, m->seq)) {
		core->peers.entries[place].fed |= bit;
		core->peers.entries[place].fed_again |= bit;
		core->counts[COUNT_OLD]++;
		return 0;
	}
	if (new_peer)
		r = peers_add(&core->peers, &key, &from, now.mono.us, &place, &new_host);
	else if (ip_cmp(&core->peers.entries[place].peer.host_ip, &m->host_ip) != 0)
		r = peers_move(&core->peers, place, &m->host_ip);
	if (r < 0) {
		peer_full(core, now.mono.us, r, &from);
		return 0;
	}
	e = &core->peers.entries[place];
	e->fed |= bit;
	e->fed_again |= bit;
	/* DNS does not know who listens to what: datagrams say it */
	if (feed == FEED_DNS && (m->n_groups = e->peer.n_groups))
		memcpy(m->groups, e->peer.groups, m->n_groups * sizeof(m->groups[0]));
	changed = peer_update(core, now.mono.us, e, m);
	if (!e->wire && e->peer.source != feed_sources[feed]) {
		e->peer.source = feed_sources[feed];
		core->changed = true;
	}
	host_follow(core, e);
	peer_follow(core, now.mono.us, place, new_peer, changed);
	core->touched = true;
	clash_timer(core, now);
	return 0;
}

/* --- drop --- */

static void entry_drop(struct core *core, struct core_now now, uint32_t place, uint8_t bit, int64_t grace_us)
{
	struct entry *e = &core->peers.entries[place];
	int64_t heard_us = now.mono.us - core->config.timeout_us + grace_us;

	e->fed &= (uint8_t)~bit;
	if (e->fed)
		return;
	if (e->wire && e->heard_us > heard_us)
		heard_us = e->heard_us;
	if (now.mono.us - heard_us < core->config.timeout_us) {
		peers_heard(&core->peers, place, heard_us);
		return;
	}
	core_say_peer(core, now.mono.us, LOG_LEVEL_INFO, "peer has gone", &e->peer,
		      xstrdup("no source has it any more"));
	names_peer_gone(core, place);
	peers_bury(&core->peers, place, false, now.mono.us);
	core->changed = true;
	clash_changed(core);
}

void core_feed_drop(struct core *core, struct core_now now, enum feed feed, const struct peer *peer)
{
	struct peer_key key = record_key(peer);
	uint32_t place = peers_find(&core->peers, &key);

	if (place == TABLE_NONE || core->peers.entries[place].gone ||
	    !(core->peers.entries[place].fed & feed_bit(feed)))
		return;
	entry_drop(core, now, place, feed_bit(feed), 0);
	clash_timer(core, now);
}

void core_feed_begin(struct core *core, enum feed feed)
{
	for (size_t i = 0; i < core->peers.n_entries; i++)
		core->peers.entries[i].fed_again &= (uint8_t)~feed_bit(feed);
	names_feed_begin(core, feed_bit(feed));
}

void core_feed_end(struct core *core, struct core_now now, enum feed feed, int64_t grace_us)
{
	uint8_t bit = feed_bit(feed);

	for (size_t i = 0; i < core->peers.n_entries; i++) {
		const struct entry *e = &core->peers.entries[i];

		if (e->used && !e->gone && e->fed & bit && !(e->fed_again & bit))
			entry_drop(core, now, (uint32_t)i, bit, grace_us);
	}
	names_feed_end(core, now.mono.us, bit);
	clash_timer(core, now);
}

/* --- what we are --- */

void core_self(const struct core *core, struct core_now now, core_self_fn *fn, void *arg)
{
	for (size_t i = 0; i < core->n_locals && !ip_is_none(&core->host_ip); i++) {
		struct local *l = core->locals[i];
		struct peer p = {.vni = l->stack.vni,
				 .host_ip = core->host_ip,
				 .vxlan_endpoint = {.ip = core->host_ip, .port = core->config.vxlan_port},
				 .vtep_mac = vtep_mac(core->config.host_id, l->stack.vni),
				 .vtep_ip = vtep_ip(core->config.host_id, l->stack.vni),
				 .uplink = l->stack.uplink,
				 .epoch = l->stack.epoch,
				 .seq = l->seq,
				 .last_seen = now.wall,
				 .source = PEER_ETCD,
				 .subnets = l->subnets,
				 .n_subnets = (uint16_t)l->n_subnets,
				 .mapped = l->mapped,
				 .n_mapped = (uint16_t)l->n_mapped,
				 .avoid = l->avoid,
				 .n_avoid = (uint16_t)l->n_avoid,
				 .groups = l->stack.groups,
				 .n_groups = (uint16_t)l->stack.n_groups};

		if (l->leaving)
			continue;
		if (core->config.sealed)
			p.wireguard = core->wireguard;
		str_copy(p.stack_id, l->stack.stack_id);
		str_copy(p.host_id, core->config.host_id);
		str_copy(p.host_name, core->config.host_name);
		fn(arg, &p);
	}
}

uint64_t core_self_version(const struct core *core)
{
	return hash64(&core->host_ip, sizeof(core->host_ip), core->seq);
}
