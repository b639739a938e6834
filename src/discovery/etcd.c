/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine of the mode etcd. What it sends and reads is made and parsed in etcd_wire.c.
 */
#include "discovery/etcd_state.h"

#include <assert.h>

#define REQUEST_MS     3000
#define PAGE_MS	       10000
#define STOP_MS	       1000
#define PAUSE_MIN_US   (100 * USEC_PER_MSEC)
#define PAUSE_MAX_US   (5 * USEC_PER_SEC)
#define HEEDED_MAX     4
#define WATCH_LIVED_US (5 * USEC_PER_SEC)

static int64_t alive_interval_us(const struct etcd *e)
{
	return e->config.ttl_s * USEC_PER_SEC / 6;
}

void etcd_say(struct etcd *e, enum log_level level, const char *text, const char *why)
{
	e->events.say(e->events.arg, level, text, why);
}

struct etcd *etcd_new(const struct etcd_config *config, const struct etcd_events *events)
{
	struct etcd *e = xcalloc(1, sizeof(*e));

	assert(config->n_endpoints > 0 && config->ttl_s > 0);
	e->config = *config;
	e->events = *events;
	e->random = config->random;
	e->endpoint = config->random % config->n_endpoints;
	e->good_us = INT64_MIN;
	e->page = ETCD_PAGE;
	return e;
}

void etcd_free(struct etcd *e)
{
	if (!e)
		return;
	records_done(e);
	free(e->problem);
	buf_done(&e->body);
	buf_done(&e->watch_body);
	buf_done(&e->page_after);
	explicit_bzero(e->config.password, sizeof(e->config.password));
	value_keys_done(&e->keys);
	free(e);
}

/* --- problems --- */

static void problem_set(struct etcd *e, enum ask ask, const char *cure, char *text)
{
	if (!e->problem || !str_eq(e->problem, text))
		etcd_say(e, LOG_LEVEL_DEBUG, "etcd cannot be used, peers stay as they are",
			 text); /* told as a problem */
	free(e->problem);
	e->problem = text;
	e->problem_ask = ask;
	e->cure = cure;
}

static void problem_clear(struct etcd *e)
{
	if (!e->problem)
		return;
	free(e->problem);
	e->problem = NULL;
	etcd_say(e, LOG_LEVEL_INFO, "etcd can be used again", NULL);
}

const char *etcd_problem(const struct etcd *e, const char **ret_cure)
{
	*ret_cure = e->cure;
	return e->problem;
}

static const char *cure_of(int code)
{
	switch (code) {
	case -ECONNREFUSED:
		return "Nobody listens there: is etcd up, and are ETCD_ENDPOINTS its client URLs (port 2379 by "
		       "default)?";
	case -ETIMEDOUT:
		return "Can this host reach it, or does a firewall drop what it sends? Is it up, with a majority of "
		       "its "
		       "members?";
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return "The host of ETCD_ENDPOINTS has no address here, or no route leads to it.";
	case -ECONNRESET:
		return "Something answers, and no etcd: https must stand in ETCD_ENDPOINTS where etcd speaks TLS, and "
		       "http where it does not.";
	default:
		return "Is etcd up, with a majority of its members? Are ETCD_ENDPOINTS its client URLs (https where it "
		       "speaks TLS), and can this host reach them?";
	}
}

/* Nobody answers. One who takes connections says more about it than those who do not; and it is told once, not for
 * each member in turn */
static void problem_away(struct etcd *e, enum ask ask, int code, const char *why)
{
	bool leaderless = e->leaderless && e->failures - e->leaderless < e->config.n_endpoints;
	const char *cure =
		leaderless ? "A majority of its members must be up and reach each other: etcdctl endpoint status."
			   : cure_of(code);

	if (e->problem && e->cure == cure)
		return;
	problem_set(e, ask, cure,
		    leaderless ? xasprintf("etcd takes connections and does not answer: it has no leader, or hangs: %s",
					   why)
			       : xasprintf("no member of etcd answers: %s", why));
}

/* Once for all members, which mostly have the same fault. The words are OpenSSL's: an alert is what etcd says of us */
static void problem_tls(struct etcd *e, enum ask ask, const char *why)
{
	bool alert = strstr(why, "alert") != NULL, late = strstr(why, "expired") || strstr(why, "not yet valid");
	const char *cure = alert && strstr(why, "unknown ca")
				   ? "ETCD_CERT must be signed by who etcd trusts (its --trusted-ca-file)."
			   : alert ? "etcd does not take our certificate: ETCD_CERT and ETCD_KEY must be there, be "
				     "signed by who etcd trusts "
				     "(its --trusted-ca-file), and not have expired."
			   : late  ? "Renew etcd's certificate; or is the clock of this host wrong?"
				   : "ETCD_CACERT must hold who signed etcd's certificate, which must name the host of "
				     "ETCD_ENDPOINTS; where etcd asks for ours, ETCD_CERT and ETCD_KEY are needed.";

	if (!e->problem || e->cure != cure)
		problem_set(e, ask, cure, xasprintf("TLS with etcd fails: %s", why));
}

static void problem_tell(struct etcd *e, enum ask ask, int code, const char *why)
{
	if (code == -EACCES && e->config.username[0])
		problem_set(e, ask, "ETCD_USERNAME and ETCD_PASSWORD must be those of a user of etcd.",
			    xasprintf("etcd refuses user and password: %s", why));
	else if (code == -EACCES)
		problem_set(e, ask, "Set ETCD_USERNAME and ETCD_PASSWORD.",
			    xasprintf("etcd wants a user and a password: %s", why));
	else if (code == -EPERM)
		problem_set(e, ask,
			    "Permit it: etcdctl role grant-permission ROLE readwrite --prefix=true ETCD_PREFIX/",
			    xasprintf("the user may not read and write keys below ETCD_PREFIX: %s", why));
	else if (code == -EPROTO)
		problem_tls(e, ask, why);
	else if (ask != ASK_NOTHING && e->failures >= e->config.n_endpoints)
		problem_away(e, ask, code, why);
}

/* --- failing and succeeding --- */

static int64_t pause_us(struct etcd *e, unsigned nth)
{
	int64_t us = PAUSE_MIN_US << (nth < 6 ? nth : 6);

	us = us < PAUSE_MAX_US ? us : PAUSE_MAX_US;
	e->random++;
	return us / 4 * 3 + (int64_t)(hash64(&e->random, sizeof(e->random), 1) % (uint64_t)(us / 2));
}

static void watch_drop(struct etcd *e)
{
	e->watch_stop = e->watch_stop || e->watching;
	e->watching = false;
}

/* The member does not do what it should: on to the next one; a pause when all were tried */
static void member_failed(struct etcd *e, mono_t now, enum ask ask, int code, const char *why)
{
	e->failures++;
	if (strstr(why, "no leader") || (code == -ETIMEDOUT && strstr(why, "bytes received")))
		e->leaderless = e->failures;
	problem_tell(e, ask, code, why);
	e->was_down = true;
	watch_drop(e);
	e->endpoint = (e->endpoint + 1) % e->config.n_endpoints;
	e->retry_us = now.us;
	if (e->failures % e->config.n_endpoints == 0)
		e->retry_us += pause_us(e, (unsigned)(e->failures / e->config.n_endpoints) - 1);
}

void etcd_list_anew(struct etcd *e, int64_t grace_us)
{
	e->listed = e->listing = false;
	e->page_revision = 0;
	buf_clear(&e->page_after);
	if (grace_us > e->grace_us)
		e->grace_us = grace_us;
	watch_drop(e);
}

static void member_answered(struct etcd *e, mono_t now, enum ask ask)
{
	int64_t ttl_us = e->config.ttl_s * USEC_PER_SEC;

	/* Longer away than half a lease, and others may have been: their leases may be gone though they are not */
	if (e->good_us == INT64_MIN || now.us - e->good_us > ttl_us / 2)
		etcd_list_anew(e, ttl_us);
	e->good_us = now.us;
	e->failures = e->leaderless = 0;
	e->was_down = false;
	if (e->problem && (e->problem_ask == ask || e->problem_ask == ASK_NOTHING || ask == ASK_PAGE))
		problem_clear(e);
	e->events.seen(e->events.arg);
}

/* --- what to ask --- */

static bool login_needed(const struct etcd *e)
{
	return e->config.username[0] && !e->token[0] && !e->no_login;
}

/* Keys that we have put go with our lease. Those that we have not may be there of an earlier process of ours */
static enum ask ask_last(const struct etcd *e, mono_t now)
{
	bool due = false;

	for (size_t i = 0; i < e->n_records; i++)
		due = due || record_due(e, &e->records[i], now);
	if ((due || e->lease) && login_needed(e))
		return ASK_LOGIN;
	return due ? ASK_TXN : e->lease ? ASK_REVOKE : ASK_NOTHING;
}

static enum ask ask_next(const struct etcd *e, mono_t now)
{
	bool mine = false, due = false;

	if (login_needed(e))
		return ASK_LOGIN;
	for (size_t i = 0; i < e->n_records; i++) {
		mine = mine || !e->records[i].gone;
		due = due || record_due(e, &e->records[i], now);
	}
	if (!e->lease && mine)
		return ASK_GRANT;
	if (e->alive_us <= now.us)
		return e->lease ? ASK_ALIVE : ASK_PROBE;
	if (due)
		return ASK_TXN;
	return e->listed ? ASK_NOTHING : ASK_PAGE;
}

static void request_fill(struct etcd *e, mono_t now, enum ask ask, struct etcd_request *ret)
{
	*ret = (struct etcd_request){.endpoint = e->endpoint,
				     .token = ask == ASK_LOGIN ? "" : e->token,
				     .max_bytes = 256u << 10,
				     .timeout_ms = REQUEST_MS};
	buf_clear(&e->body);
	switch (ask) {
	case ASK_NOTHING:
		return;
	case ASK_LOGIN:
		ret->path = "/v3/auth/authenticate";
		etcd_put_login(&e->body, e->config.username, e->config.password);
		break;
	case ASK_GRANT:
		ret->path = "/v3/lease/grant";
		etcd_put_grant(&e->body, e->config.ttl_s);
		break;
	case ASK_ALIVE:
		ret->path = "/v3/lease/keepalive";
		etcd_put_lease(&e->body, e->lease);
		break;
	case ASK_PROBE:
		ret->path = "/v3/kv/range";
		ret->max_bytes = ETCD_ANSWER_BYTES;
		etcd_put_range(&e->body, e->config.prefix, NULL, 0, 1);
		break;
	case ASK_TXN:
		ret->path = "/v3/kv/txn";
		records_ask(e, now);
		break;
	case ASK_PAGE:
		ret->path = "/v3/kv/range";
		ret->max_bytes = ETCD_ANSWER_BYTES;
		ret->timeout_ms = PAGE_MS;
		etcd_put_range(&e->body, e->config.prefix, &e->page_after, e->page_revision, e->page);
		break;
	case ASK_REVOKE:
		ret->path = "/v3/lease/revoke";
		etcd_put_lease(&e->body, e->lease);
		break;
	}
	ret->body = e->body.data;
}

bool etcd_request(struct etcd *e, mono_t now, struct etcd_request *ret)
{
	if (e->asked != ASK_NOTHING || e->stopped || now.us < e->retry_us)
		return false;
	e->asked = e->stopping ? ask_last(e, now) : ask_next(e, now);
	e->stopped = e->stopping && e->asked == ASK_NOTHING;
	if (e->asked == ASK_NOTHING)
		return false;
	request_fill(e, now, e->asked, ret);
	if (e->stopping)
		ret->timeout_ms = STOP_MS;
	return true;
}

/* --- what it says --- */

static void kv_ignore(void *arg, const struct etcd_kv *kv)
{
}

static int take_page(struct etcd *e, const char *data, size_t len, struct err *err)
{
	struct etcd_range range;
	int r;

	if (!e->listing)
		values_listing(e);
	e->listing = true;
	r = etcd_get_range(data, len, e->config.prefix, value_told, e, &range, err);
	if (r < 0)
		return r;
	if (!e->page_revision)
		e->page_revision = range.revision;
	buf_done(&e->page_after);
	e->page_after = range.last;
	if (range.more)
		return 0;
	e->listed = true;
	e->listing = false;
	e->revision = e->page_revision;
	e->page_revision = 0;
	buf_clear(&e->page_after);
	e->page = ETCD_PAGE;
	e->events.end(e->events.arg, e->grace_us);
	e->grace_us = 0;
	values_listed(e);
	e->watch_retry_us = 0;
	return 0;
}

static int take_alive(struct etcd *e, mono_t now, const char *data, size_t len, struct err *err)
{
	int64_t ttl_s, revision;
	int r = etcd_get_alive(data, len, &ttl_s, &revision, err);

	if (r < 0)
		return r;
	e->alive_us = now.us + alive_interval_us(e);
	if (ttl_s == 0) {
		etcd_say(e, LOG_LEVEL_INFO, "our lease at etcd ran out, taking another", NULL);
		records_lost(e);
	}
	/* Older than what was listed: another store, from a backup */
	if (revision && e->listed && revision < e->revision)
		etcd_list_anew(e, e->config.ttl_s * USEC_PER_SEC);
	return 0;
}

static int take(struct etcd *e, mono_t now, enum ask ask, const char *data, size_t len, struct err *err)
{
	struct etcd_range range = {0};
	int r = 0;

	switch (ask) {
	case ASK_NOTHING:
		break;
	case ASK_LOGIN:
		return etcd_get_token(data, len, e->token, sizeof(e->token), err);
	case ASK_GRANT:
		r = etcd_get_grant(data, len, &e->lease, err);
		e->alive_us = now.us + alive_interval_us(e);
		return r;
	case ASK_ALIVE:
		return take_alive(e, now, data, len, err);
	case ASK_PROBE:
		e->alive_us = now.us + alive_interval_us(e);
		r = etcd_get_range(data, len, e->config.prefix, kv_ignore, NULL, &range, err);
		buf_done(&range.last);
		return r;
	case ASK_TXN:
		r = etcd_get_txn(data, len, &e->put_revision, err);
		if (r == 0)
			records_answered(e);
		return r;
	case ASK_PAGE:
		return take_page(e, data, len, err);
	case ASK_REVOKE:
		e->lease = 0;
		break;
	}
	return 0;
}

/* A refusal that says what to do next, and nothing of the member. Return: was it one? */
static bool refusal_heeded(struct etcd *e, int code)
{
	if (++e->heeded > HEEDED_MAX)
		return false;
	switch (code) {
	case -EKEYEXPIRED:
		if (!e->config.username[0] || !e->token[0])
			return false;
		e->token[0] = '\0';
		return true;
	case -ENOKEY:
		records_lost(e);
		return true;
	case -ESTALE:
		etcd_list_anew(e, 0);
		return true;
	case -ENOTSUP:
		e->no_login = true;
		return true;
	default:
		return false;
	}
}

void etcd_answer(struct etcd *e, mono_t now, int code, int status, const char *data, size_t len, const struct err *err)
{
	enum ask ask = e->asked;
	struct err why = {0};
	int r = code;

	e->asked = ASK_NOTHING;
	if (code < 0)
		why = *err;
	else if (status != 200)
		r = etcd_refusal(status, data, len, &why);
	else
		r = take(e, now, ask, data, len, &why);
	if (r < 0)
		records_unask(e);
	if (r == -E2BIG && ask == ASK_PAGE && e->page > 1) { /* long values: fewer at a time */
		e->page = e->page > 4 ? e->page / 4 : 1;
		return;
	}
	if (e->stopping && r < 0 && (r == -ENOKEY || e->failures >= e->config.n_endpoints))
		e->stopped = true;
	if (r == 0 && ask != ASK_LOGIN && ask != ASK_GRANT)
		e->heeded = 0;
	if (r == 0 || (code == 0 && refusal_heeded(e, r)))
		member_answered(e, now, ask);
	else
		member_failed(e, now, ask, r, why.text);
}

/* --- the watch --- */

enum etcd_watch_do etcd_watch(struct etcd *e, mono_t now, struct etcd_request *ret)
{
	if (e->watch_stop) {
		e->watch_stop = false;
		return ETCD_WATCH_STOP;
	}
	if (e->watching || !e->listed || e->was_down || e->stopping || now.us < e->watch_retry_us || login_needed(e))
		return ETCD_WATCH_KEEP;
	buf_clear(&e->watch_body);
	etcd_put_watch(&e->watch_body, e->config.prefix, e->revision + 1);
	e->watching = true;
	e->watch_since_us = now.us;
	*ret = (struct etcd_request){.endpoint = e->endpoint,
				     .path = "/v3/watch",
				     .body = e->watch_body.data,
				     .token = e->token,
				     .max_bytes = ETCD_LINE_BYTES};
	return ETCD_WATCH_START;
}

static void watch_failed(struct etcd *e, mono_t now, int code, const char *why)
{
	if (now.us - e->watch_since_us > WATCH_LIVED_US)
		e->watch_failures = 0;
	e->watch_retry_us = now.us + (e->watch_failures ? pause_us(e, e->watch_failures - 1) : 0);
	e->watch_failures++;
	e->watching = false;
	/* That the member is well shows with the next request: not before that is a watch begun again */
	e->alive_us = now.us;
	if (!refusal_heeded(e, code))
		member_failed(e, now, ASK_NOTHING, code, why);
}

void etcd_watch_line(struct etcd *e, mono_t now, const char *line, size_t len)
{
	struct etcd_watch w;
	struct err err = {0};

	if (!e->watching)
		return;
	if (etcd_get_watch(line, len, e->config.prefix, value_told, e, &w, &err) < 0) {
		e->watch_stop = true;
		etcd_list_anew(e, 0);
		watch_failed(e, now, -EBADMSG, err.text);
		return;
	}
	if (w.revision)
		e->revision = w.fragment ? w.revision - 1 : w.revision;
	if (w.compact_revision)
		etcd_list_anew(e, 0);
	if (w.canceled) {
		e->watch_stop = true;
		watch_failed(e, now, w.compact_revision ? -ESTALE : etcd_reason(w.reason), w.reason);
	}
}

void etcd_watch_end(struct etcd *e, mono_t now, int code, int status, const char *data, size_t len,
		    const struct err *err)
{
	struct err why = {0};
	int r = code;

	if (!e->watching)
		return;
	if (code == 0 && status != 200)
		r = etcd_refusal(status, data, len, &why);
	else if (code == 0)
		r = err_set(&why, -ECONNRESET, "the watch has ended");
	else
		why = *err;
	if (r == -E2BIG)
		etcd_list_anew(e, 0);
	watch_failed(e, now, r, why.text);
	e->watch_stop = false; /* it has ended already */
}

/* --- the rest --- */

void etcd_stop(struct etcd *e, mono_t now)
{
	e->stopping = true;
	e->asked = ASK_NOTHING;
	e->retry_us = now.us;
	e->failures = 0;
	watch_drop(e);
	e->stopped = !e->config.goodbye;
	for (size_t i = 0; i < e->n_records; i++) {
		e->records[i].gone = e->records[i].gone || !e->records[i].put;
		e->records[i].asked = false;
		e->records[i].not_before_us = 0;
	}
}

bool etcd_stopped(const struct etcd *e)
{
	return e->stopped;
}

int64_t etcd_due(const struct etcd *e)
{
	int64_t due_us = e->alive_us;

	if (e->stopped)
		return INT64_MAX;
	if (e->asked != ASK_NOTHING)
		return INT64_MAX;
	if (e->listed && !e->watching && !e->was_down && e->watch_retry_us < due_us)
		due_us = e->watch_retry_us;
	if (!e->listed || e->stopping)
		due_us = 0;
	for (size_t i = 0; i < e->n_records; i++) {
		const struct record *r = &e->records[i];

		if (!r->put && r->not_before_us < due_us)
			due_us = r->not_before_us;
	}
	return due_us > e->retry_us ? due_us : e->retry_us;
}
