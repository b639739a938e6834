/* SPDX-License-Identifier: Apache-2.0
 *
 * What others say. Every check on a datagram that wire.c cannot make, since it needs to know who sent it and who we
 * are; then parts are united, and the table of peers is brought up to date. Whoever sends nonsense costs one log line
 * per ten seconds and kind, and nothing else.
 */
#include <assert.h>

#include "discovery/core_state.h"
#include "discovery/names.h"

/* --- who sends --- */

static bool ip_is_ours(const struct core *core, const struct ip *ip)
{
	if (ip_cmp(ip, &core->host_ip) == 0)
		return true;
	for (size_t i = 0; i < core->n_own; i++) {
		if (ip_cmp(ip, &core->own[i]) == 0)
			return true;
	}
	return false;
}

/* May @m come from @from? Tells when not */
static bool sender_check(struct core *core, int64_t now_us, const struct endpoint *from, const struct wire_msg *m)
{
	char a[IP_STRLEN], b[IP_STRLEN];

	if (m->host_id[0] && str_eq(m->host_id, core->config.host_id)) {
		if (ip_is_ours(core, &from->ip)) {
			core->counts[COUNT_OWN]++;
			return false;
		}
		ip_format(&from->ip, a);
		core_refuse(core, now_us, COUNT_IDENTITY, from, "host_id %s is ours: cloned disk?", m->host_id);
		core_note(core, now_us, a, "Remove STATE_DIR/host_id on one of the two and restart it there.",
			  "another host uses our host_id: cloned disk? remove STATE_DIR/host_id on one of them");
		return false;
	}
	if (ip_cmp(&m->host_ip, &from->ip) != 0) {
		core_refuse(core, now_us, COUNT_SENDER, from, "host_ip %s: it came from %s", ip_format(&m->host_ip, a),
			    ip_format(&from->ip, b));
		return false;
	}
	if (ip_is_loopback(&m->host_ip) && !ip_is_loopback(&core->host_ip)) {
		core_refuse(core, now_us, COUNT_SENDER, from, "host_ip %s: loopback", ip_format(&m->host_ip, a));
		return false;
	}
	return true;
}

/* --- who claims to be somebody --- */

static void claim_end(struct core *core, size_t nth, int64_t now_us)
{
	struct host *h = &core->peers.hosts[core->claims[nth]];

	h->claim_us = 0;
	h->claim_next_us = now_us + CLAIM_PAUSE_US;
	core->claims[nth] = core->claims[--core->n_claims];
}

static void host_move(struct core *core, struct host *h, const struct endpoint *from)
{
	h->from = *from;
	core->changed = true;
}

/* The host at @place is known at another address than @from. Is @from to be believed? */
static bool claim_check(struct core *core, struct core_now now, uint32_t place, const struct endpoint *from)
{
	struct host *h = &core->peers.hosts[place];

	if (now.mono.us - h->heard_us >= core->peers.stale_us || !core->online) {
		host_move(core, h, from);
		return true;
	}
	if (h->claim_us == 0 && now.mono.us >= h->claim_next_us && core->n_claims < LIMIT_CLAIMS) {
		h->claim = *from;
		h->claim_us = now.mono.us;
		h->claim_asked = 1;
		core->claims[core->n_claims++] = place;
		announce_ask(core, now, &h->from);
	}
	core->counts[COUNT_CLAIM]++;
	return false;
}

/* The host speaks from where it always did: who else claims to be it, is not it */
static void claim_refute(struct core *core, int64_t now_us, uint32_t place)
{
	struct host *h = &core->peers.hosts[place];
	char a[IP_STRLEN], b[IP_STRLEN];

	if (h->claim_us == 0)
		return;
	for (size_t i = 0; i < core->n_claims; i++) {
		if (core->claims[i] != place)
			continue;
		ip_format(&h->from.ip, a);
		core_refuse(core, now_us, COUNT_CLAIM, &h->claim, "host_id %s: it still answers at %s", h->host_id, a);
		core_note(core, now_us, ip_format(&h->claim.ip, b),
			  "If a disk was cloned: remove STATE_DIR/host_id on one of the two and restart it there.",
			  "claims the host_id of %s, which still answers", a);
		claim_end(core, i, now_us);
		return;
	}
}

static void claims_timer(struct core *core, struct core_now now)
{
	for (size_t i = core->n_claims; i-- > 0;) {
		struct host *h = &core->peers.hosts[core->claims[i]];
		struct endpoint from = h->claim;

		if (!h->used || h->claim_us == 0) { /* its last stack has gone meanwhile */
			core->claims[i] = core->claims[--core->n_claims];
			continue;
		}
		if (h->claim_asked == 1 && now.mono.us >= h->claim_us + CLAIM_ASK_US) {
			h->claim_asked = 2;
			announce_ask(core, now, &h->from);
		}
		if (now.mono.us < h->claim_us + CLAIM_US)
			continue;
		host_move(core, h, &from);
		claim_end(core, i, now.mono.us);
		h->claim_next_us = 0;
		announce_ask(core, now, &from);
	}
}

/* --- peers --- */

static struct peer_key msg_key(const struct wire_msg *m)
{
	return (struct peer_key){.host_id = m->host_id, .stack_id = m->stack_id, .host_ip = &m->host_ip, .vni = m->vni};
}

static bool is_configured(const struct core *core, const struct endpoint *from)
{
	for (size_t i = 0; i < core->config.n_peers; i++) {
		if (ip_cmp(&core->peers_config[i].ip, &from->ip) == 0)
			return true;
	}
	return false;
}

/* How this host is reached, for people; it never turns back from multicast */
static enum peer_source host_source(const struct core *core, const struct host *h)
{
	if (h->by_group)
		return PEER_MULTICAST;
	return !core->config.multicast || h->by_unicast || is_configured(core, &h->from) ? PEER_STATIC : PEER_MULTICAST;
}

/* Is what @m says older than what is known of the entry? */
static bool msg_is_old(const struct core *core, int64_t now_us, const struct entry *e, const struct wire_msg *m)
{
	if (e->gone)
		return m->host_id[0] && m->seq <= e->peer.seq;
	return m->seq < e->peer.seq && (e->fed || now_us - e->heard_us <= 2 * core->config.announce_us);
}

void peer_full(struct core *core, int64_t now_us, int code, const struct endpoint *from)
{
	char s[IP_STRLEN];

	ip_format(&from->ip, s);
	if (code == -ENOSPC) {
		core_refuse(core, now_us, COUNT_FULL, from, "%d peers are known, no more are allowed", LIMIT_PEERS);
		core_note(core, now_us, "peers", "Find who announces so many stacks.",
			  "%d peers are known, new ones are refused", LIMIT_PEERS);
	} else {
		core_refuse(core, now_us, COUNT_FULL, from, "%d peers of one address are known, no more are allowed",
			    LIMIT_PEERS_PER_SOURCE);
		core_note(core, now_us, s, "Find what announces so many stacks there.",
			  "announces more than %d stacks, new ones are refused", LIMIT_PEERS_PER_SOURCE);
	}
}

bool peer_update(struct core *core, int64_t now_us, struct entry *e, struct wire_msg *m)
{
	struct peer *peer = &e->peer;
	bool anew = m->seq != peer->seq, changed = false;
	struct endpoint vxlan = {.ip = m->host_ip, .port = m->port};

	if (!str_eq(peer->host_name, m->host_name)) {
		str_copy(peer->host_name, m->host_name);
		changed = true;
	}
	if (ip_cmp(&peer->vxlan_endpoint.ip, &vxlan.ip) != 0 || peer->vxlan_endpoint.port != vxlan.port) {
		peer->vxlan_endpoint = vxlan;
		changed = true;
	}
	if (ip_cmp(&peer->uplink, &m->uplink) != 0 || peer->epoch != m->epoch) {
		peer->uplink = m->uplink;
		peer->epoch = m->epoch;
		changed = true;
	}
	if (core->config.sealed && !wg_say_same(&peer->wireguard, &m->wireguard)) {
		peer->wireguard = m->wireguard;
		changed = true;
	}
	peer->vtep_mac = m->vtep_mac;
	peer->vtep_ip = m->vtep_ip;
	if (subnets_take(core, now_us, e, m, anew))
		changed = true;
	/* receivers come and go: that is no line in the log */
	if (groups_take(peer, m))
		core->changed = true;
	if (anew)
		core->changed = true;
	peer->seq = m->seq;
	return changed;
}

/* Is another host known at the address of this one? */
static bool host_is_doubled(const struct peers *p, uint32_t place)
{
	for (uint32_t i = 0; i < p->n_hosts; i++) {
		if (i != place && p->hosts[i].used && ip_cmp(&p->hosts[i].from.ip, &p->hosts[place].from.ip) == 0)
			return true;
	}
	return false;
}

/* A stack is new where there was one of its name under another host_id: a host that was made anew and had no time to
 * say goodbye. The older one counts for nothing, unless it is heard again: two that run at one address both do */
static void ghosts_find(struct core *core, const struct entry *new)
{
	struct peers *p = &core->peers;

	if (!new->peer.host_id[0] || peers_source(p, &new->peer.host_ip)->n_peers < 2 || !host_is_doubled(p, new->host))
		return;
	for (uint32_t i = 0; i < p->n_entries; i++) {
		struct entry *e = &p->entries[i];

		if (!e->used || e->gone || e->fed || e->host == new->host || e->peer.vni != new->peer.vni ||
		    ip_cmp(&e->peer.host_ip, &new->peer.host_ip) != 0 || !str_eq(e->peer.stack_id, new->peer.stack_id))
			continue;
		e->ghost = true;
		names_peer_changed(core, i);
		clash_changed(core);
	}
}

void peer_follow(struct core *core, int64_t now_us, uint32_t place, bool new_peer, bool changed)
{
	struct entry *e = &core->peers.entries[place];

	if (e->hearsay) {
		e->hearsay = false;
		clash_changed(core);
	}
	if (e->ghost) {
		e->ghost = false;
		core->changed = true;
		names_peer_changed(core, place);
		clash_changed(core);
	}
	if (new_peer)
		ghosts_find(core, e);
	if (new_peer)
		core_say_peer(core, now_us, LOG_LEVEL_INFO, "peer appeared", &e->peer, NULL);
	else if (e->peer.status == PEER_STALE)
		core_say_peer(core, now_us, LOG_LEVEL_INFO, "peer is back", &e->peer, NULL);
	else if (changed)
		core_say_peer(core, now_us, LOG_LEVEL_INFO, "peer changed", &e->peer, NULL);
	if (changed)
		names_peer_changed(core, place);
	if (new_peer || changed || e->peer.status != PEER_ACTIVE)
		core->changed = true;
	e->peer.status = PEER_ACTIVE;
}

/* Bring the table up to date with a whole message. Return: 1 its host is new, 0 it is not, -1 it was not taken */
static int peer_apply(struct core *core, struct core_now now, const struct endpoint *from, struct wire_msg *m)
{
	struct peers *p = &core->peers;
	struct peer_key key = msg_key(m);
	uint32_t place = peers_find(p, &key);
	bool new_host = false, new_peer = place == TABLE_NONE || p->entries[place].gone, changed;
	struct entry *e;
	int r = 0;

	if (place != TABLE_NONE && msg_is_old(core, now.mono.us, &p->entries[place], m)) {
		core->counts[COUNT_OLD]++;
		return -1;
	}
	if (new_peer)
		r = peers_add(p, &key, from, now.mono.us, &place, &new_host);
	else if (ip_cmp(&p->entries[place].peer.host_ip, &m->host_ip) != 0)
		r = peers_move(p, place, &m->host_ip);
	if (r < 0) {
		peer_full(core, now.mono.us, r, from);
		return -1;
	}
	e = &p->entries[place];
	changed = peer_update(core, now.mono.us, e, m);
	peer_follow(core, now.mono.us, place, new_peer, changed);
	e->wire = true;
	peers_heard(p, place, now.mono.us);
	core->touched = true;
	return new_host;
}

static void peer_goodbye(struct core *core, struct core_now now, const struct wire_msg *m)
{
	struct peer_key key = msg_key(m);
	uint32_t place = peers_find(&core->peers, &key);
	struct entry *e = place == TABLE_NONE ? NULL : &core->peers.entries[place];

	if (!e || e->gone)
		return;
	if (m->seq < e->peer.seq) {
		core->counts[COUNT_OLD]++;
		return;
	}
	e->wire = false;
	e->fed &= (uint8_t) ~(1u << FEED_DNS); /* what DNS says may be as old as its TTL */
	if (e->fed) /* gone when nobody has it any more: the other source hears of it in its own way */
		return;
	core_say_peer(core, now.mono.us, LOG_LEVEL_INFO, "peer said goodbye", &e->peer, NULL);
	e->peer.seq = m->seq;
	names_peer_gone(core, place);
	peers_bury(&core->peers, place, m->host_id[0] != '\0', now.mono.us);
	core->changed = true;
	clash_changed(core);
}

/* Remember how the host was heard: its port may be another since it restarted */
static void host_heard(struct core *core, struct core_now now, uint32_t place, const struct endpoint *from,
		       bool by_group, enum wire_type type)
{
	struct host *h = &core->peers.hosts[place];

	h->from = *from;
	h->heard_us = now.mono.us;
	h->by_group = h->by_group || by_group;
	h->by_unicast = h->by_unicast || (!by_group && type != WIRE_RESPONSE);
}

/* All entries of a host tell the same way; said after the host is up to date */
static void peer_tell_source(struct core *core, const struct wire_msg *m)
{
	struct peer_key key = msg_key(m);
	uint32_t place = peers_find(&core->peers, &key);
	struct entry *e;
	enum peer_source source;

	if (place == TABLE_NONE)
		return;
	e = &core->peers.entries[place];
	/* the mode dns speaks by datagrams too, with who is there */
	source = e->fed & feed_bit_of(core, PEER_DNS) ? PEER_DNS : host_source(core, &core->peers.hosts[e->host]);
	if (e->peer.source != source) {
		e->peer.source = source;
		core->changed = true;
	}
}

static struct host *host_at(struct core *core, uint32_t place)
{
	return place == TABLE_NONE ? NULL : &core->peers.hosts[place];
}

/* --- a datagram --- */

static bool decode(struct core *core, int64_t now_us, const struct endpoint *from, const char *data, size_t len,
		   struct wire_msg *m)
{
	struct err err = {0};
	int r = wire_decode(data, len, m, &err);

	if (r == 0)
		return true;
	core_refuse(core, now_us,
		    r == -EBADMSG	    ? COUNT_SHAPE
		    : r == -EPROTONOSUPPORT ? COUNT_VERSION
					    : COUNT_FIELD,
		    from, "%s", err.text);
	return false;
}

/* What has to be checked before a datagram is parsed */
static bool admit(struct core *core, int64_t now_us, const struct endpoint *from, bool names)
{
	struct source *source;

	if (ip_cmp(&from->ip, &core->host_ip) == 0 && from->port == core->port && core->port != 0) {
		core->counts[COUNT_OWN]++;
		return false;
	}
	if (ip_is_none(&from->ip) || ip_is_unspecified(&from->ip) || ip_is_multicast(&from->ip) || from->port == 0) {
		core_refuse(core, now_us, COUNT_SENDER, from, "source address: a unicast address and port is allowed");
		return false;
	}
	source = peers_source(&core->peers, &from->ip);
	if (names && source->n_peers > 0 ? !names_admit(source, now_us) : !bucket_pass(&source->in, now_us)) {
		core_refuse(core, now_us, COUNT_RATE, from, "%d a second are allowed, %d at once", SOURCE_RATE,
			    SOURCE_BURST);
		return false;
	}
	return true;
}

void receive_datagram(struct core *core, struct core_now now, const struct endpoint *from, bool by_group,
		      const char *data, size_t len)
{
	struct wire_msg m;
	uint32_t host;
	bool first, names = wire_names_is(data, len);
	int taken = -1; /* as peer_apply() says */

	core->counts[COUNT_RECEIVED]++;
	if (!admit(core, now.mono.us, from, names))
		return;
	if (names) {
		names_datagram(core, now, from, data, len);
		return;
	}
	if (!decode(core, now.mono.us, from, data, len, &m) || !sender_check(core, now.mono.us, from, &m))
		return;
	first = m.part == 1; /* a question in parts is answered once */
	host = peers_host(&core->peers, m.host_id, &m.host_ip);
	if (host != TABLE_NONE) {
		if (ip_cmp(&core->peers.hosts[host].from.ip, &from->ip) != 0) {
			if (!claim_check(core, now, host, from))
				return;
		} else {
			claim_refute(core, now.mono.us, host);
		}
		/* One part of several may be a probe from a port that nobody listens on later: the whole counts */
		if (m.parts <= 1)
			host_heard(core, now, host, from, by_group, m.type);
	}
	if (m.type == WIRE_GOODBYE) {
		peer_goodbye(core, now, &m);
		return;
	}
	if (message_unite(core, now.mono.us, from, &m))
		taken = peer_apply(core, now, from, &m);
	host = peers_host(&core->peers, m.host_id, &m.host_ip);
	if (taken == 1)
		host_heard(core, now, host, from, by_group, m.type);
	if (taken >= 0)
		peer_tell_source(core, &m);
	if (m.type == WIRE_QUERY && first)
		announce_answer(core, now, host_at(core, host), from, m.host_id[0] ? ANSWER_QUERY : ANSWER_OLDER);
	else if (m.type == WIRE_ANNOUNCE && taken == 1)
		announce_answer(core, now, host_at(core, host), from, m.host_id[0] ? ANSWER_ALONE : ANSWER_OLDER);
}

/* --- what the file says --- */

static bool peer_loadable(const struct core *core, const struct peer *peer)
{
	struct mac mac;
	struct ip ip;

	if (!name_valid(peer->stack_id) || peer->vni == 0 || peer->vni > VNI_MAX || ip_is_none(&peer->host_ip) ||
	    ip_is_multicast(&peer->host_ip) || ip_is_unspecified(&peer->host_ip) || peer->n_subnets > LIMIT_SUBNETS ||
	    peer->n_mapped > LIMIT_SUBNETS || peer->n_avoid > LIMIT_AVOID || peer->n_groups > LIMIT_GROUPS)
		return false;
	if (!peer->host_id[0])
		return true;
	if (!wire_host_id_valid(peer->host_id) || str_eq(peer->host_id, core->config.host_id))
		return false;
	mac = vtep_mac(peer->host_id, peer->vni);
	ip = vtep_ip(peer->host_id, peer->vni);
	return mac_cmp(&mac, &peer->vtep_mac) == 0 && ip_cmp(&ip, &peer->vtep_ip) == 0;
}

static void peer_load(struct core *core, struct core_now now, const struct peer *peer)
{
	struct endpoint from = {.ip = peer->host_ip, .port = core->config.discovery_port};
	struct peer_key key = {
		.host_id = peer->host_id, .stack_id = peer->stack_id, .host_ip = &peer->host_ip, .vni = peer->vni};
	int64_t age_us = (now.wall.ms - peer->last_seen.ms) * USEC_PER_MSEC, max_us = core->config.timeout_us / 2;
	struct wire_msg m = {0};
	uint32_t place, host;
	bool new_host;
	struct entry *e;
	bool old = age_us > core->config.timeout_us;

	/* The clock may have jumped: whoever is in the file has half the timeout at least to be heard again */
	age_us = age_us < 0 ? 0 : age_us > max_us ? max_us : age_us;
	if (!peer_loadable(core, peer) || peers_find(&core->peers, &key) != TABLE_NONE)
		return;
	host = peers_host(&core->peers, peer->host_id, &peer->host_ip);
	if (host != TABLE_NONE && ip_cmp(&core->peers.hosts[host].from.ip, &peer->host_ip) != 0)
		return; /* one host at two addresses: no file of ours */
	if (peers_add(&core->peers, &key, &from, now.mono.us - age_us, &place, &new_host) < 0)
		return;
	e = &core->peers.entries[place];
	str_copy(e->peer.host_name, name_valid(peer->host_name) ? peer->host_name : "");
	subnets_copy(&m, peer);
	subnets_take(core, now.mono.us, e, &m, true);
	groups_take(&e->peer, &m);
	e->hearsay = old;
	e->peer.vxlan_endpoint = peer->vxlan_endpoint;
	if (ip_cmp(&e->peer.vxlan_endpoint.ip, &peer->host_ip) != 0 || e->peer.vxlan_endpoint.port == 0)
		e->peer.vxlan_endpoint = (struct endpoint){.ip = peer->host_ip, .port = WIRE_VXLAN_PORT};
	e->peer.vtep_mac = peer->host_id[0] ? peer->vtep_mac : (struct mac){0};
	e->peer.vtep_ip = peer->host_id[0] ? peer->vtep_ip : (struct ip){0};
	e->peer.uplink = peer->uplink;
	e->peer.epoch = peer->epoch;
	if (core->config.sealed)
		e->peer.wireguard = peer->wireguard;
	e->peer.seq = peer->seq;
	e->peer.source = peer->source;
	e->fed = feed_bit_of(core, peer->source);
	core->peers.hosts[e->host].by_group = peer->source == PEER_MULTICAST && core->config.multicast;
	core->peers.hosts[e->host].by_unicast = peer->source == PEER_STATIC;
}

void receive_load(struct core *core, struct core_now now, const struct discovery *d)
{
	for (size_t i = 0; i < d->n_peers; i++)
		peer_load(core, now, &d->peers[i]);
}

/* --- the timer --- */

struct scan {
	struct core *core;
	int64_t now_us;
};

static void peer_silent(void *arg, struct entry *e, bool gone)
{
	struct scan *s = arg;
	int64_t silent_s = (s->now_us - e->heard_us) / USEC_PER_SEC;

	s->core->changed = true;
	if (gone)
		clash_changed(s->core);
	if (gone)
		names_peer_gone(s->core, (uint32_t)(e - s->core->peers.entries));
	core_say_peer(s->core, s->now_us, LOG_LEVEL_INFO, gone ? "peer has gone" : "peer is stale", &e->peer,
		      xasprintf("silent for %lld s", (long long)silent_s));
}

void receive_timer(struct core *core, struct core_now now)
{
	claims_timer(core, now);
	if (now.mono.us >= core->patience_us && now.mono.us >= core->peers.scan_us)
		peers_scan(&core->peers, now.mono.us, peer_silent, &(struct scan){core, now.mono.us});
}

int64_t receive_due(const struct core *core)
{
	int64_t due_us = core->peers.scan_us, at_us;

	if (due_us != INT64_MAX && due_us < core->patience_us)
		due_us = core->patience_us;
	for (size_t i = 0; i < core->n_claims; i++) {
		const struct host *h = &core->peers.hosts[core->claims[i]];

		at_us = h->claim_us + (h->claim_asked == 1 ? CLAIM_ASK_US : CLAIM_US);
		if (at_us < due_us)
			due_us = at_us;
	}
	return due_us;
}
