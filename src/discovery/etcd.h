/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The mode etcd
 *
 * What to ask etcd next, given its answers and the time: a state machine without socket, clock and random source. The
 * glue (etcd_client.c) and the tests drive it alike: an event, then etcd_request() and etcd_watch(), a timer for
 * etcd_due().
 *
 *	our stacks      PREFIX/{stack-id}/{host-id}/{vni}, a peer as in discovery.json, and below it /names, where it
 *has any; bound to a lease that is kept alive; what etcd lost, or somebody deleted, is put again all others      a
 *listing in pages, then a watch from its revision on; after a compaction the same again
 *
 * Requests go one at a time to one member; when it fails, or is silent, the next one is asked, for the watch too. That
 * the lease is kept alive shows that the member has a leader, so a watch that tells nothing is known to be true.
 *
 *	etcd away          peers stay as they are
 *	back, soon         the watch goes on where it ended
 *	back, after so     all is listed, and who is missing has the time of a lease to come back: his lease has run out
 *	long that leases   as ours did
 *	may have run out
 *	watch says DELETE  gone at once: its host said so, or was silent for ETCD_LEASE_TTL in a healthy etcd
 *
 * Nothing but what is below PREFIX is asked for or written.
 *
 * With a key values are sealed (state/seal_value.h), and those that are not are not read. While somebody's value is
 * sealed with another key of the ring than the first, ours are too, as a copy behind a line feed: he may not know the
 * first one yet.
 */
#ifndef DISCOVERY_ETCD_H
#define DISCOVERY_ETCD_H

#include "base/clock.h"
#include "base/log.h"
#include "state/config.h"
#include "state/discovery.h"
#include "state/names.h"
#include "state/seal_value.h"

struct etcd;

struct etcd_config {
	size_t n_endpoints;
	char prefix[128], username[128], password[256];
	char host_id[HOST_ID_LEN + 1];
	uint32_t ttl_s;
	bool goodbye;	 /* revoke the lease when told to stop */
	uint64_t random; /* for pauses */
};

/** struct etcd_events - What follows from answers; called from within the functions below */
struct etcd_events {
	void (*put)(void *arg, const struct peer *peer);
	void (*drop)(void *arg, const struct peer *key); /* host_id, stack_id and vni only */
	void (*names)(void *arg, const struct peer *key, uint64_t seq,
		      struct name_stack *names); /* takes its contents */
	void (*names_drop)(void *arg, const struct peer *key);
	void (*begin)(void *arg);		  /* all there is follows by put() */
	void (*end)(void *arg, int64_t grace_us); /* that was all; others may stay so long */
	void (*seen)(void *arg);		  /* it answers */
	void (*say)(void *arg, enum log_level level, const char *text, const char *why);
	void *arg;
};

/** struct etcd_request - To be sent by POST; @body is borrowed until the next call */
struct etcd_request {
	size_t endpoint;		 /* of the configured ones */
	const char *path, *body, *token; /* token "": none */
	size_t max_bytes;
	int timeout_ms;
};

struct etcd *etcd_new(const struct etcd_config *config, const struct etcd_events *events);
void etcd_free(struct etcd *e);

/** etcd_self_begin(), etcd_self(), etcd_self_end() - All stacks that we have now */
void etcd_self_begin(struct etcd *e);
void etcd_self(struct etcd *e, const struct peer *peer);
/** etcd_self_names() - The names of one of them */
void etcd_self_names(struct etcd *e, const struct name_stack *names, uint64_t seq);
void etcd_self_end(struct etcd *e);
/** etcd_keys() - What values are sealed with from now on; n 0: nothing is. Ours are put again, all others read again */
void etcd_keys(struct etcd *e, const struct value_keys *keys);
/** etcd_forget() - A key that an earlier process of this host put: delete it. etcd_forgotten() - are all of them gone?
 */
void etcd_forget(struct etcd *e, const struct peer *peer);
bool etcd_forgotten(const struct etcd *e);
/** etcd_stop() - A request that is under way is to be given up */
void etcd_stop(struct etcd *e, mono_t now);
bool etcd_stopped(const struct etcd *e);

/** etcd_request() - Return: is there something to ask now? One at a time, until etcd_answer() */
bool etcd_request(struct etcd *e, mono_t now, struct etcd_request *ret);
/** etcd_answer() - @code, @status, @err as in http_done_fn */
void etcd_answer(struct etcd *e, mono_t now, int code, int status, const char *data, size_t len, const struct err *err);

enum etcd_watch_do { ETCD_WATCH_KEEP /* as it is */, ETCD_WATCH_START, ETCD_WATCH_STOP };
/** etcd_watch() - Start @ret as an endless request, or end the one that runs (etcd_watch_end() is not called then) */
enum etcd_watch_do etcd_watch(struct etcd *e, mono_t now, struct etcd_request *ret);
void etcd_watch_line(struct etcd *e, mono_t now, const char *line, size_t len);
void etcd_watch_end(struct etcd *e, mono_t now, int code, int status, const char *data, size_t len,
		    const struct err *err);

int64_t etcd_due(const struct etcd *e);
/** etcd_problem() - What keeps it from working, and what to do; NULL: nothing */
const char *etcd_problem(const struct etcd *e, const char **ret_cure);
/** etcd_problems() - That, and whose values cannot be opened, and what of ours is left out */
void etcd_problems(const struct etcd *e, struct problems *ret);

/** etcd_key_parse() - "stack/host/vni" into the three fields of @ret, all else zero; @ret_names: "/names" followed.
 * Return: 0 or -EINVAL */
int etcd_key_parse(const char *key, struct peer *ret, bool *ret_names) MUST_USE;

#endif
