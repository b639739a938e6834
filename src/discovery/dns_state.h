/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of dns.h, shared by the state machine (dns.c) and its part about our own records (dns_own.c).
 */
#ifndef DISCOVERY_DNS_STATE_H
#define DISCOVERY_DNS_STATE_H

#include "discovery/dns.h"
#include "discovery/dns_text.h"

#define DNS_HOST_PEERS LIMIT_PEERS_PER_SOURCE
#define DNS_HOST_IPS   8

/** struct dns_ask - A question that is asked again and again */
struct dns_ask {
	int64_t due_us;	   /* INT64_MAX: not at all */
	int64_t since_us;  /* when it was asked */
	unsigned failures; /* in a row */
	bool asked, known /* was ever answered */;
};

/** struct dns_host - A name that an SRV record points to */
struct dns_host {
	uint64_t uid;
	char name[DNS_NAME_BYTES];
	uint16_t port;
	bool kept;    /* is in the listing that is being read */
	bool missing; /* was not in the last one, and has time to come back */
	struct dns_ask text, address;
	struct peer *peers;
	size_t n_peers, cap_peers;
	unsigned unreadable; /* records of its that no key opens */
	struct ip ips[DNS_HOST_IPS];
	size_t n_ips;
};

/** struct dns_stack - One of ours; @text as it is written, not sealed */
struct dns_stack {
	struct peer key;
	uint64_t seq;
	struct buf text;
	bool kept;
};

struct dns_trouble {
	char *text;
	const char *cure;
	uint64_t about; /* id of the question */
};

struct dns {
	struct dns_config config;
	struct dns_events events;
	char listing[DNS_NAME_BYTES], own[DNS_NAME_BYTES];
	uint64_t random, uid;
	struct dns_ask srv;
	bool begun, ended; /* the first listing, with all that it leads to */
	int64_t grace_us;  /* who is missing has time until then; 0: was never away */
	struct dns_host **hosts;
	size_t n_hosts, cap_hosts, n_asked;
	struct endpoint *told; /* by hosts() */
	size_t n_told;
	bool many; /* was said */
	struct dns_trouble trouble, update_trouble;
	bool stopping, stopped;
	/* our own */
	struct dns_stack *stacks;
	size_t n_stacks, cap_stacks, n_left_out;
	struct ip host_ip;
	bool want, written /* as far as is known */, there /* we have written something */, updating, changed,
		forgetting;
	int64_t update_us, wrote_us;
	unsigned update_failures, n_lost; /* n_lost: how often our records were not seen, in a row */
};

int64_t dns_pause_us(struct dns *d, unsigned nth, int64_t max_us);
void dns_say(struct dns *d, enum log_level level, const char *text, const char *why);
/** trouble_set() - Takes @text */
void trouble_set(struct dns *d, struct dns_trouble *t, const char *what, uint64_t about, const char *cure, char *text);
void trouble_clear(struct dns *d, struct dns_trouble *t, const char *what);

/* dns_own.c */
/** own_seen() - A listing that was asked for at @asked_us: are we in it? own_text_seen() - these are our records */
void own_seen(struct dns *d, mono_t now, int64_t asked_us, bool there);
void own_text_seen(struct dns *d, mono_t now, const struct dns_host *h);
int64_t own_due(const struct dns *d);
void own_stop(struct dns *d, mono_t now);
void own_done(struct dns *d);

#endif
