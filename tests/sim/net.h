/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The virtual network
 *
 * Any number of real gossip cores in one process under virtual time, with a network that loses, delays, reorders and
 * doubles datagrams, splits, and hosts that crash, sleep, are slow and whose clocks run wrong. All that is random comes
 * from one seed: the same seed is the same run.
 *
 * A stream is like TCP: what is lost arrives 200 ms later, or 1 s while it connects, doubled each time; nothing arrives
 * out of order.
 */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "discovery/gossip.h"

struct host {
	struct gossip *gossip; /* NULL: is not running */
	struct endpoint address;
	uint64_t incarnation; /* of its latest start */
	uint32_t life;	      /* how often it has started */
	bool leaving;
	uint8_t side;	   /* of a partition: only those of one side reach each other */
	int32_t skew_ppm;  /* its clock is so much too fast */
	int64_t clock_us;  /* and was this at the beginning */
	int64_t slow_us;   /* all it does is late by up to this */
	int64_t asleep_us; /* does nothing before this */
	int64_t timer_us;  /* when its timer event is, INT64_MAX: there is none */
	int64_t knows_us;  /* when it learned what is watched, INT64_MAX: not yet */
	uint64_t bytes, datagrams, wakes;
	uint32_t facts;
};

struct net_event;
struct net_packet;
struct net_stream;

struct net {
	uint64_t random;
	int64_t now_us;
	struct host *hosts;
	size_t n_hosts, n_running;
	/* the weather; in parts of 1,000 */
	unsigned loss, doubled;
	int64_t delay_min_us, delay_max_us;
	bool trace;
	/* what is watched: when does everybody hear that it is up, or down? */
	uint32_t watched;
	bool watched_up;
	/* what was seen */
	uint64_t false_alarms, events, deaths;
	/* inside */
	struct gossip_book *book; /* of all cores: what they hold of each other otherwise fills the memory */
	struct net_event *heap;
	size_t n_heap, cap_heap;
	uint64_t order;
	struct net_packet *free_packets;
	struct net_stream *streams;
	size_t n_streams, cap_streams;
	uint32_t free_stream;
};

void net_init(struct net *net, size_t hosts, uint64_t seed);
void net_done(struct net *net);
uint64_t net_random(struct net *net, uint64_t below);

struct gossip_id net_id(const struct net *net, uint32_t host);
/** net_start() - @join: hosts; @known: those running are known from before */
void net_start(struct net *net, uint32_t host, uint64_t incarnation, const uint32_t *join, size_t n_join, bool known);
void net_crash(struct net *net, uint32_t host);
void net_leave(struct net *net, uint32_t host);
/** net_tell() - A fact of @host; @len 0: it is no more */
void net_tell(struct net *net, uint32_t host, uint64_t key, size_t len);
/** net_run() - Until then */
void net_run(struct net *net, int64_t until_us);
/** net_watch() - Begin to note who hears that @host is up, or down */
void net_watch(struct net *net, uint32_t host, bool up);
/** net_agreed() - Does everybody that runs know exactly those that run, with their facts? (Without partition.) */
bool net_agreed(const struct net *net);
/**
 * net_untrue() - What does @host believe that is not so: who is up and who is not, and what each tells?
 * @keys: facts have the keys 1 to this
 *
 * Return: about whom, or UINT32_MAX: all is true
 */
uint32_t net_untrue(const struct net *net, uint32_t host, uint64_t keys);
/** net_disagreement() - In words, for people */
void net_disagreement(const struct net *net);

#endif
