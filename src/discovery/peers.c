/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of peers: three arrays with free lists, three hashes over them. It keeps the bounds that stand in limits.h,
 * and knows nothing of datagrams.
 */
#include "discovery/peers.h"

#include <assert.h>

/* The earliest of all expiries is looked for by walking; not more often than this, whatever comes and goes */
#define SCAN_MIN_US (250 * USEC_PER_MSEC)

bool bucket_pass(struct bucket *b, int64_t now_us)
{
	const int64_t cost_us = USEC_PER_SEC / SOURCE_RATE;
	int64_t next_us = b->next_us > now_us ? b->next_us : now_us;

	if (next_us + cost_us - now_us > SOURCE_BURST * cost_us)
		return false;
	b->next_us = next_us + cost_us;
	return true;
}

void peers_init(struct peers *p, int64_t timeout_us, uint64_t hash_seed)
{
	*p = (struct peers){.hash_seed = hash_seed,
			    .timeout_us = timeout_us,
			    .stale_us = timeout_us / 4 * 3,
			    .scan_us = INT64_MAX,
			    .idle_oldest = TABLE_NONE,
			    .idle_newest = TABLE_NONE};
}

static void lists_free(struct entry *e)
{
	free(e->peer.subnets);
	free(e->peer.mapped);
	free(e->peer.avoid);
	free(e->peer.groups);
	free(e->refused);
	e->peer.subnets = e->peer.avoid = e->peer.groups = e->refused = NULL;
	e->peer.mapped = NULL;
	e->peer.n_subnets = e->peer.n_mapped = e->peer.n_avoid = e->peer.n_groups = e->n_refused = 0;
	e->hearsay = e->ghost = e->wire = false;
	e->fed = e->fed_again = 0;
}

void peers_done(struct peers *p)
{
	for (size_t i = 0; i < p->n_entries; i++)
		lists_free(&p->entries[i]);
	free(p->entries);
	free(p->hosts);
	free(p->sources);
	free(p->free_entries);
	free(p->free_hosts);
	table_done(&p->entry_table);
	table_done(&p->host_table);
	table_done(&p->source_table);
	*p = (struct peers){0};
}

/* --- sources --- */

static uint32_t ip_hash(const struct peers *p, const struct ip *ip)
{
	return (uint32_t)hash64(ip, sizeof(*ip), p->hash_seed);
}

static bool source_same(const void *owner, uint32_t place, const void *key)
{
	return ip_cmp(&((const struct peers *)owner)->sources[place].ip, key) == 0;
}

static void idle_unlink(struct peers *p, uint32_t place)
{
	struct source *s = &p->sources[place];

	*(s->older == TABLE_NONE ? &p->idle_oldest : &p->sources[s->older].newer) = s->newer;
	*(s->newer == TABLE_NONE ? &p->idle_newest : &p->sources[s->newer].older) = s->older;
	p->n_idle--;
}

static void idle_append(struct peers *p, uint32_t place)
{
	struct source *s = &p->sources[place];

	s->older = p->idle_newest;
	s->newer = TABLE_NONE;
	*(s->older == TABLE_NONE ? &p->idle_oldest : &p->sources[s->older].newer) = place;
	p->idle_newest = place;
	p->n_idle++;
}

static uint32_t source_add(struct peers *p, const struct ip *ip)
{
	uint32_t place;

	if (p->n_idle >= SOURCES_IDLE) {
		place = p->idle_oldest;
		idle_unlink(p, place);
		table_remove(&p->source_table, ip_hash(p, &p->sources[place].ip), place);
	} else {
		xgrow(&p->sources, p->n_sources, &p->cap_sources);
		place = (uint32_t)p->n_sources++;
	}
	p->sources[place] = (struct source){.ip = *ip};
	table_put(&p->source_table, ip_hash(p, ip), place);
	idle_append(p, place);
	return place;
}

struct source *peers_source(struct peers *p, const struct ip *ip)
{
	uint32_t place = table_find(&p->source_table, ip_hash(p, ip), source_same, p, ip);

	if (place == TABLE_NONE) {
		place = source_add(p, ip);
	} else if (p->sources[place].n_peers == 0) {
		idle_unlink(p, place);
		idle_append(p, place);
	}
	return &p->sources[place];
}

static int source_hold(struct peers *p, const struct ip *ip)
{
	struct source *s = peers_source(p, ip);

	if (s->n_peers >= LIMIT_PEERS_PER_SOURCE)
		return -EDQUOT;
	if (s->n_peers++ == 0)
		idle_unlink(p, (uint32_t)(s - p->sources));
	return 0;
}

static void source_release(struct peers *p, const struct ip *ip)
{
	struct source *s = peers_source(p, ip);

	assert(s->n_peers > 0);
	if (--s->n_peers == 0)
		idle_append(p, (uint32_t)(s - p->sources));
}

/* --- hosts --- */

struct host_key {
	const char *host_id;
	const struct ip *ip;
};

static uint32_t host_hash(const struct peers *p, const char *host_id, const struct ip *ip)
{
	return host_id[0] ? (uint32_t)hash64(host_id, strlen(host_id), p->hash_seed) : ip_hash(p, ip);
}

static bool host_same(const void *owner, uint32_t place, const void *arg)
{
	const struct host *h = &((const struct peers *)owner)->hosts[place];
	const struct host_key *key = arg;

	return str_eq(h->host_id, key->host_id) && (h->host_id[0] || ip_cmp(&h->from.ip, key->ip) == 0);
}

uint32_t peers_host(const struct peers *p, const char *host_id, const struct ip *ip)
{
	return table_find(&p->host_table, host_hash(p, host_id, ip), host_same, p,
			  &(struct host_key){.host_id = host_id, .ip = ip});
}

static uint32_t host_add(struct peers *p, const char *host_id, const struct endpoint *from, int64_t now_us)
{
	struct host *h;
	uint32_t place;

	if (p->n_free_hosts) {
		place = p->free_hosts[--p->n_free_hosts];
	} else {
		xgrow(&p->hosts, p->n_hosts, &p->cap_hosts);
		place = (uint32_t)p->n_hosts++;
	}
	h = &p->hosts[place];
	*h = (struct host){.used = true, .from = *from, .heard_us = now_us};
	str_copy(h->host_id, host_id);
	table_put(&p->host_table, host_hash(p, host_id, &from->ip), place);
	return place;
}

static void host_release(struct peers *p, uint32_t place)
{
	struct host *h = &p->hosts[place];

	assert(h->n_entries > 0);
	if (--h->n_entries > 0)
		return;
	table_remove(&p->host_table, host_hash(p, h->host_id, &h->from.ip), place);
	*h = (struct host){0};
	*xgrow(&p->free_hosts, p->n_free_hosts, &p->cap_free_hosts) = place;
	p->n_free_hosts++;
}

/* --- entries --- */

static uint32_t entry_hash(const struct peers *p, const struct peer_key *key)
{
	uint64_t h = key->host_id[0] ? hash64(key->host_id, strlen(key->host_id), p->hash_seed)
				     : hash64(key->host_ip, sizeof(*key->host_ip), p->hash_seed);

	return (uint32_t)hash64(key->stack_id, strlen(key->stack_id), h ^ key->vni);
}

static struct peer_key entry_key(const struct entry *e)
{
	return (struct peer_key){.host_id = e->peer.host_id,
				 .stack_id = e->peer.stack_id,
				 .host_ip = &e->peer.host_ip,
				 .vni = e->peer.vni};
}

static bool entry_same(const void *owner, uint32_t place, const void *arg)
{
	const struct peer *peer = &((const struct peers *)owner)->entries[place].peer;
	const struct peer_key *key = arg;

	return peer->vni == key->vni && str_eq(peer->stack_id, key->stack_id) && str_eq(peer->host_id, key->host_id) &&
	       (key->host_id[0] || ip_cmp(&peer->host_ip, key->host_ip) == 0);
}

uint32_t peers_find(const struct peers *p, const struct peer_key *key)
{
	return table_find(&p->entry_table, entry_hash(p, key), entry_same, p, key);
}

/* What is there about the peer beside its key is forgotten */
static void peer_begin(struct entry *e, const struct peer_key *key)
{
	struct peer new = {.vni = key->vni, .host_ip = *key->host_ip};

	str_copy(new.stack_id, key->stack_id);
	str_copy(new.host_id, key->host_id);
	lists_free(e);
	e->peer = new;
}

static uint32_t entry_new(struct peers *p)
{
	if (p->n_free_entries)
		return p->free_entries[--p->n_free_entries];
	xgrow(&p->entries, p->n_entries, &p->cap_entries);
	return (uint32_t)p->n_entries++;
}

int peers_add(struct peers *p, const struct peer_key *key, const struct endpoint *from, int64_t now_us,
	      uint32_t *ret_place, bool *ret_new_host)
{
	uint32_t place = peers_find(p, key), host;
	struct peer_key own;
	struct entry *e;
	int r;

	if (p->n_alive >= LIMIT_PEERS)
		return -ENOSPC;
	r = source_hold(p, key->host_ip);
	if (r < 0)
		return r;
	host = peers_host(p, key->host_id, key->host_ip);
	*ret_new_host = host == TABLE_NONE;
	if (host == TABLE_NONE)
		host = host_add(p, key->host_id, from, now_us);
	if (place == TABLE_NONE) {
		place = entry_new(p);
		e = &p->entries[place];
		e->host = host;
		p->hosts[host].n_entries++;
		peer_begin(e, key);
		own = entry_key(e);
		table_put(&p->entry_table, entry_hash(p, &own), place);
	} else {
		e = &p->entries[place];
		assert(e->gone);
		peer_begin(e, key);
		p->n_graves--;
	}
	e->used = true;
	e->gone = false;
	p->n_alive++;
	peers_heard(p, place, now_us);
	*ret_place = place;
	return 0;
}

void peers_heard(struct peers *p, uint32_t place, int64_t heard_us)
{
	struct entry *e = &p->entries[place];

	e->heard_us = heard_us;
	if (heard_us + p->stale_us < p->scan_us)
		p->scan_us = heard_us + p->stale_us;
}

int peers_move(struct peers *p, uint32_t place, const struct ip *ip)
{
	struct ip old = p->entries[place].peer.host_ip;
	int r;

	assert(p->entries[place].peer.host_id[0] && !p->entries[place].gone);
	r = source_hold(p, ip);
	if (r < 0)
		return r;
	source_release(p, &old);
	p->entries[place].peer.host_ip = *ip;
	return 0;
}

static void entry_free(struct peers *p, uint32_t place)
{
	struct entry *e = &p->entries[place];
	struct peer_key key = entry_key(e);

	table_remove(&p->entry_table, entry_hash(p, &key), place);
	host_release(p, e->host);
	lists_free(e);
	*e = (struct entry){0};
	*xgrow(&p->free_entries, p->n_free_entries, &p->cap_free_entries) = place;
	p->n_free_entries++;
}

void peers_bury(struct peers *p, uint32_t place, bool grave, int64_t now_us)
{
	struct entry *e = &p->entries[place];

	assert(e->used && !e->gone);
	source_release(p, &e->peer.host_ip);
	p->n_alive--;
	if (!grave || p->n_graves >= GRAVES) {
		entry_free(p, place);
		return;
	}
	lists_free(e);
	e->gone = true;
	e->heard_us = now_us;
	p->n_graves++;
	if (now_us + GRAVE_US < p->scan_us)
		p->scan_us = now_us + GRAVE_US;
}

/* Look at one entry. Return: when it has to be looked at again */
static int64_t entry_scan(struct peers *p, uint32_t place, int64_t now_us, peers_scan_fn *fn, void *arg)
{
	struct entry *e = &p->entries[place];
	int64_t age_us = now_us - e->heard_us;

	if (e->gone) {
		if (age_us < GRAVE_US)
			return e->heard_us + GRAVE_US;
		p->n_graves--;
		entry_free(p, place);
		return INT64_MAX;
	}
	if (e->fed) {
		if (e->wire && age_us < p->timeout_us)
			return e->heard_us + p->timeout_us;
		e->wire = false;
		return INT64_MAX; /* peers_heard() when that ends */
	}
	if (age_us >= p->timeout_us) {
		fn(arg, e, true);
		peers_bury(p, place, false, now_us);
		return INT64_MAX;
	}
	if (age_us < p->stale_us)
		return e->heard_us + p->stale_us;
	if (e->peer.status != PEER_STALE) {
		e->peer.status = PEER_STALE;
		fn(arg, e, false);
	}
	return e->heard_us + p->timeout_us;
}

void peers_scan(struct peers *p, int64_t now_us, peers_scan_fn *fn, void *arg)
{
	int64_t next_us = INT64_MAX, at_us;

	for (size_t i = 0; i < p->n_entries; i++) {
		if (!p->entries[i].used)
			continue;
		at_us = entry_scan(p, (uint32_t)i, now_us, fn, arg);
		if (at_us < next_us)
			next_us = at_us;
	}
	if (next_us != INT64_MAX && next_us < now_us + SCAN_MIN_US)
		next_us = now_us + SCAN_MIN_US;
	p->scan_us = next_us;
}
