/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The mode dns
 *
 * What to ask DNS next, and what to tell it, given its answers and the time: a state machine without socket, clock and
 * random source. The glue (dns_client.c) and the tests drive it alike: an event, then dns_ask() until it says false,
 * dns_update(), a timer for dns_due().
 *
 *	_docker-router._udp.DOMAIN  SRV   a record for each host: its name, and its discovery port
 *	that name		    TXT   a record for each of its stacks: a peer (dns_text.h), which is fed to the core
 *	that name		    A     (AAAA) where there is no such TXT: somebody wrote the SRV record by hand
 *
 * All hosts are spoken to by datagrams, as those of PEERS; where these do not get through, TXT says all but names of
 * containers.
 *
 * Each answer is asked for again when its TTL is over, but not before TTL_MIN and not after TTL_MAX; one that fails is
 * asked for again after a pause, and what was known stays meanwhile. An answer that says that something is no more is
 * believed; but when servers are back that were away, they may have lost what was written to them, and who is missing
 * then has GRACE to write it again.
 *
 * Our own host (dns_own.c) is dr-HOST_ID.DOMAIN. Its SRV, A and TXT are written with one update, which takes the place
 * of all that was there before, so nothing in between is ever seen; and again when a listing that is not older says
 * that they are not there.
 */
#ifndef DISCOVERY_DNS_H
#define DISCOVERY_DNS_H

#include "base/clock.h"
#include "base/log.h"
#include "discovery/dns_wire.h"
#include "state/discovery.h"

#define DNS_HOSTS_MAX	 1024 /* SRV records of a listing; more do not fit into 64 kB */
#define DNS_PARALLEL_MAX 16
#define DNS_UPDATE_BYTES (48u << 10) /* of TXT in an update, which is one message of 64 kB */

struct dns;

struct dns_config {
	char domain[DNS_NAME_BYTES], host_id[HOST_ID_LEN + 1];
	uint8_t family;	 /* of HOST_IP: others cannot be spoken to */
	uint16_t port;	 /* our discovery port */
	uint32_t ttl_s;	 /* of our records */
	bool update;	 /* write them */
	bool goodbye;	 /* and take them away when told to stop */
	bool sealed;	 /* there is a key */
	uint64_t random; /* for pauses */
};

/** struct dns_events - What follows from answers; called from within the functions below */
struct dns_events {
	void (*put)(void *arg, const struct peer *peer);
	void (*drop)(void *arg, const struct peer *key);		  /* host_id, stack_id and vni only */
	void (*begin)(void *arg);					  /* all there is follows by put() */
	void (*end)(void *arg, int64_t grace_us);			  /* that was all; others may stay so long */
	void (*seen)(void *arg);					  /* it answers */
	void (*hosts)(void *arg, const struct endpoint *hosts, size_t n); /* to be spoken to: all of them */
	void (*say)(void *arg, enum log_level level, const char *text, const char *why);
	/* what is sealed at the name @about, to and from a text; -ENOKEY: by another key, or there is none */
	void (*seal)(void *arg, const char *about, const char *in, size_t len, struct buf *ret);
	int (*unseal)(void *arg, const char *about, const char *in, size_t len, struct buf *ret, struct err *err);
	void *arg;
};

struct dns_question {
	uint64_t id;	  /* for dns_answer() */
	const char *name; /* borrowed until the next call */
	enum dns_type type;
};

struct dns *dns_new(const struct dns_config *config, const struct dns_events *events);
void dns_free(struct dns *d);

/** dns_self_begin(), dns_self(), dns_self_end() - All stacks that we have now */
void dns_self_begin(struct dns *d);
void dns_self(struct dns *d, const struct peer *peer);
void dns_self_end(struct dns *d);
/** dns_keys() - There are other keys: ask for and write all again */
void dns_keys(struct dns *d, mono_t now, bool sealed);
/** dns_forget() - For `--say-goodbye`: an earlier process wrote our records, take them away */
void dns_forget(struct dns *d);
/** dns_stop() - No more questions; an update that is under way is to be given up */
void dns_stop(struct dns *d, mono_t now);
bool dns_stopped(const struct dns *d);

/** dns_ask() - Return: is there one more question to ask now? */
bool dns_ask(struct dns *d, mono_t now, struct dns_question *ret);
/** dns_answer() - @code: 0: @data is the answer; -ETIMEDOUT, -ECONNREFUSED, -EACCES, -EAGAIN, ...: there is none */
void dns_answer(struct dns *d, mono_t now, uint64_t id, int code, const uint8_t *data, size_t len,
		const struct err *err);

/** dns_update() - Is there something to write now? Then nsupdate's commands for it. One at a time, until dns_updated()
 */
bool dns_update(struct dns *d, mono_t now, struct buf *ret);
/** dns_updated() - @code: 0, or -ENOENT: there is no nsupdate; else dns_update_code() */
void dns_updated(struct dns *d, mono_t now, int code, const struct err *err);
/**
 * dns_update_code() - What nsupdate's words mean
 *
 * Return: -EKEYREJECTED: the key is not known there (BADKEY); -EBADE: it is another (BADSIG); -ETIME: clocks differ;
 * -EACCES: refused; -ENXIO: the zone is not there; -ETIMEDOUT: no answer; -EIO: all else
 */
int dns_update_code(const char *text, struct err *err) MUST_USE;

int64_t dns_due(const struct dns *d);
/** dns_problems() - What keeps it from working, and what to do */
void dns_problems(const struct dns *d, struct problems *ret);

#endif
