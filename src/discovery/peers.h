/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The table of peers
 *
 *	source   an address that datagrams come from: its rate, how many peers it has made us keep
 *	host     a program elsewhere (host_id; of older programs the address): where it is heard from, who claims to be
 *it entry    a stack on a host: (host_id, stack_id, vni), a struct peer and when it was last heard
 *
 * Places in the three arrays stay the same while something lives there; pointers are good until the next addition.
 *
 * An entry that said GOODBYE stays for a while as a grave (gone): an announcement sent earlier that arrives later must
 * not wake it. Graves are not exported and count for nothing.
 */
#ifndef DISCOVERY_PEERS_H
#define DISCOVERY_PEERS_H

#include "discovery/table.h"
#include "state/discovery.h"

#define SOURCE_RATE  100  /* datagrams per second that one address may send, and be sent in answer */
#define SOURCE_BURST 512  /* at once */
#define SOURCES_IDLE 1024 /* addresses without a peer that are remembered; the one unheard for longest gives way */
#define GRAVES	     4096
#define GRAVE_US     (10 * USEC_PER_SEC)

/** struct bucket - When the next datagram would be due at the permitted rate (0: never used) */
struct bucket {
	int64_t next_us;
};
bool bucket_pass(struct bucket *b, int64_t now_us);
/** rate_pass() - As bucket_pass(), for another rate */
bool rate_pass(struct bucket *b, int64_t now_us, int64_t rate, int64_t burst);

struct source {
	struct ip ip; /* none: a free place */
	struct bucket in, out, names_in, names_out;
	uint32_t n_peers;
	uint32_t older, newer; /* of those without a peer, by last use */
};

struct host {
	bool used;
	char host_id[HOST_ID_LEN + 1]; /* "": from.ip is its name */
	struct endpoint from;	       /* what its datagrams come from, and answers go to */
	int64_t heard_us, answered_us;
	uint32_t n_entries;
	bool by_group;	 /* multicast from it reaches us */
	bool by_unicast; /* it spoke to us alone, unasked: it may not hear our multicast */
	/* somebody else says that he is this host: the old address is asked whether it is still there */
	struct endpoint claim;
	int64_t claim_us;      /* when it was said; 0: nobody does */
	uint8_t claim_asked;   /* how often the old address was asked */
	int64_t claim_next_us; /* no further claim is looked at before */
};

struct entry {
	bool used, gone;
	bool hearsay; /* from a file that was older than the timeout, and not heard since */
	bool ghost;   /* the same stack came up at the same address under another host_id, and it was not heard since */
	bool wire;    /* heard by datagrams; else heard_us is when it was put or loaded */
	/* by a bit for each enum feed, see feed.c: has it now; was confirmed since core_feed_begin() */
	uint8_t fed, fed_again;
	uint32_t host;
	int64_t heard_us; /* or gone since */
	struct peer peer;
	struct prefix *refused; /* of what it announced: overlaps networks of ours */
	uint16_t n_refused;
};

struct peers {
	struct entry *entries;
	size_t n_entries, cap_entries; /* places, used or free */
	struct host *hosts;
	size_t n_hosts, cap_hosts;
	struct source *sources;
	size_t n_sources, cap_sources;
	struct table entry_table, host_table, source_table;
	uint32_t *free_entries, *free_hosts;
	size_t n_free_entries, cap_free_entries, n_free_hosts, cap_free_hosts;
	uint32_t idle_oldest, idle_newest;
	size_t n_idle;
	size_t n_alive, n_graves;
	uint64_t hash_seed; /* strangers must not know where they collide */
	int64_t stale_us, timeout_us;
	int64_t scan_us; /* no entry changes its state by itself before this; INT64_MAX: none */
};

/** struct peer_key - What names an entry; without host_id the address does */
struct peer_key {
	const char *host_id, *stack_id;
	const struct ip *host_ip;
	uint32_t vni;
};

void peers_init(struct peers *p, int64_t timeout_us, uint64_t hash_seed);
void peers_done(struct peers *p);

/** peers_source() - Find or add an address; may let another one be forgotten */
struct source *peers_source(struct peers *p, const struct ip *ip);

/** peers_host() - Find. Return: the place, or TABLE_NONE */
uint32_t peers_host(const struct peers *p, const char *host_id, const struct ip *ip);

/** peers_find() - Return: the place of the entry (it may be a grave), or TABLE_NONE */
uint32_t peers_find(const struct peers *p, const struct peer_key *key);
/**
 * peers_add() - A new entry, or a grave opened again, with its host when that is new
 * @from: what it was heard from
 * @ret_new_host: the host was not known
 *
 * The key's fields of the peer are filled in, nothing else.
 * Return: 0; -ENOSPC: LIMIT_PEERS are there; -EDQUOT: LIMIT_PEERS_PER_SOURCE of this address are
 */
int peers_add(struct peers *p, const struct peer_key *key, const struct endpoint *from, int64_t now_us,
	      uint32_t *ret_place, bool *ret_new_host) MUST_USE;
/** peers_heard() - Word from it: the next scan may come later, never earlier than it must */
void peers_heard(struct peers *p, uint32_t place, int64_t heard_us);
/** peers_move() - The entry's address is another now. Return: 0 or -EDQUOT */
int peers_move(struct peers *p, uint32_t place, const struct ip *ip) MUST_USE;
/** peers_bury() - It said GOODBYE, or was silent for too long (@grave: leave one) */
void peers_bury(struct peers *p, uint32_t place, bool grave, int64_t now_us);

/* Entries that a feed has (fed) are neither stale nor gone, however long they are silent */
/** peers_scan_fn - An entry is stale now, or @gone: it is buried right after */
typedef void peers_scan_fn(void *arg, struct entry *e, bool gone);
/** peers_scan() - Look who was silent for too long, and set the time of the next look */
void peers_scan(struct peers *p, int64_t now_us, peers_scan_fn *fn, void *arg);

#endif
