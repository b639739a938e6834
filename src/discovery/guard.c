/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealing on the way out, opening on the way in, and the child that reads keys.
 */
#include "discovery/guard.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/socket.h>

#include "base/log.h"
#include "discovery/core_state.h"
#include "io/child.h"
#include "state/identity.h"
#include "state/sandbox.h"

/* sealed since, and nothing else for so long (an announcement comes each half minute): it was cured */
#define CURED_US      (45 * USEC_PER_SEC)
#define CLEAR_TEXT    "speaks without a seal, and is not heard: it has no CLUSTER_KEY_FILE"
#define NO_KEY_TEXT   "seals with another key than ours (%s), and is not heard"
#define KEYLESS_TEXT  "discovery is sealed there, with key %s, and not here: the two do not hear each other"
#define KEYLESS_CURE  "Make this host a member: docker-router join; or copy its key file and set CLUSTER_KEY_FILE."
#define TOLD_US	      (600 * USEC_PER_SEC) /* as long as the core tells a problem */
#define TALK_US	      (10 * USEC_PER_MSEC) /* between two questions or answers, when many in a row are wanted */
#define TALK_BURST_US (256 * TALK_US)
#define READER_FD     3
#define READER_TEXT   (KEYRING_FILE_BYTES + 512)

/* Sources that problems are told of: strangers choose them, so they are few */
struct told {
	struct ip ip;
	enum seal_verdict what; /* SEAL_CLEAR, SEAL_NO_KEY, SEAL_SKEWED */
	char key_id[KEY_ID_LEN + 1];
	int64_t last_us, until_us;
};

struct guard {
	uv_loop_t *loop;
	char *path;
	loop_fn *changed;
	void *arg;
	char *host_id;
	int64_t live_us;
	struct seal *seals[SEAL_PURPOSE_N_]; /* NULL: no key */
	struct value_keys etcd, dns;
	struct seal_opened opened;
	int64_t talk_us;
	struct told told[8];
	/* the child; fd -1: none, and the file is read here */
	int fd;
	struct fdwatch *watch;
	struct child *reader;
	bool asked;
};

/* --- the child that reads --- */

/* '+' and the text; '0' there is no such file; or '-' and why not */
static size_t reader_answer(const char *path, char out[static READER_TEXT])
{
	struct buf text = {0};
	struct err err = {0};
	int rc = keyring_load(path, &text, &err);

	if (rc < 0) {
		out[0] = rc == -ENOENT ? '0' : '-';
		return (size_t)snprintf(out + 1, READER_TEXT - 1, "%s", err.text) + 1;
	}
	size_t len = text.len;
	out[0] = '+';
	memcpy(out + 1, text.data, len);
	keyring_text_done(&text);
	return len + 1;
}

int guard_reader_main(const char *path)
{
	char out[READER_TEXT], ask;
	struct err err = {0};

	if (privileges_drop(0, 0, NULL, 0, 0, &err) < 0) {
		fprintf(stderr, "docker-router discovery: key file: %s\n", err.text);
		return 1;
	}
	(void)!sandbox_enter(0, &err); /* where there is none discovery says so */
	for (;;) {
		ssize_t n = recv(READER_FD, &ask, 1, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) /* discovery has ended */
			return n < 0 ? 1 : 0;
		size_t len = reader_answer(path, out);
		n = send(READER_FD, out, len, MSG_NOSIGNAL);
		sodium_memzero(out, sizeof(out));
		if (n < 0)
			return 1;
	}
}

static void reader_ended(void *arg, const struct child_result *r)
{
	struct guard *g = arg;

	g->reader = NULL;
	log_warning("who reads the key file has ended: a change of it takes a restart", kv_int("status", r->status),
		    kv_int("signal", r->signal));
}

static void keys_set(struct guard *g, const struct keyring *ring)
{
	for (int i = 0; i < SEAL_PURPOSE_N_; i++) {
		if (g->seals[i])
			seal_keys(g->seals[i], ring);
		else
			g->seals[i] = seal_new((enum seal_purpose)i, g->host_id, ring, g->live_us);
	}
	value_keys_derive(&g->etcd, VALUE_ETCD, ring);
	value_keys_derive(&g->dns, VALUE_DNS, ring);
}

static void keys_apply(struct guard *g, const char *text, size_t len)
{
	struct keyring ring;
	struct err err = {0};
	bool first = !guard_key_id(g)[0];

	if (keyring_parse(text, len, &ring, &err) < 0) {
		log_error("the keys stay as they were", kv_str("file", g->path), kv_str("why", err.text));
		return;
	}
	keys_set(g, &ring);
	log_info(first ? "discovery is sealed from now on" : "keys read", kv_int("keys", (int64_t)ring.n),
		 kv_str("seals", guard_key_id(g)));
	keyring_done(&ring);
	g->changed(g->arg);
}

static void on_reader(void *arg, int events)
{
	struct guard *g = arg;
	char text[READER_TEXT + 1];
	ssize_t n = recv(g->fd, text, READER_TEXT, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fdwatch_free(g->watch);
		g->watch = NULL;
		return;
	}
	text[n] = '\0';
	if (text[0] == '+')
		keys_apply(g, text + 1, (size_t)n - 1);
	else if (text[0] == '-' || guard_key_id(g)[0])
		log_error("the keys stay as they were", kv_str("why", text + 1));
	sodium_memzero(text, sizeof(text));
}

static int reader_start(struct guard *g, struct err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(err, -errno, "make a socket pair");
	autoclose int theirs = pair[1];
	char self[512];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = '\0';
	const char *argv[] = {self, GUARD_READER, g->path, NULL};
	struct child_spec spec = {.argv = argv, .stdin_fd = -1, .pass_fds = &theirs, .n_pass_fds = 1, .ns_fd = -1};
	int rc = child_spawn(g->loop, &spec, reader_ended, g, &g->reader, err);

	if (rc < 0) {
		close(pair[0]);
		return rc;
	}
	g->fd = pair[0];
	g->watch = fdwatch_new(g->loop, "keys", g->fd, UV_READABLE, on_reader, g);
	return 0;
}

void guard_reload(struct guard *g)
{
	struct buf text = {0};
	struct err err = {0};
	int rc;

	if (!g->path[0])
		return;
	if (g->fd >= 0) {
		if (!g->watch || send(g->fd, "?", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			log_error("the key file cannot be read again: a change of it takes a restart");
		return;
	}
	rc = keyring_load(g->path, &text, &err);
	if (rc == -ENOENT && !guard_key_id(g)[0])
		return;
	if (rc < 0) {
		log_error("the keys stay as they were", kv_str("why", err.text));
		return;
	}
	keys_apply(g, text.data, text.len);
	keyring_text_done(&text);
}

/* --- life --- */

int guard_new(uv_loop_t *loop, const struct guard_config *config, struct guard **ret, struct err *err)
{
	struct keyring ring;
	struct guard *g;
	int rc = config->path[0] ? keyring_read(config->path, &ring, err) : -ENOENT;
	bool none = rc == -ENOENT && (config->optional || !config->path[0]);

	if (rc < 0 && !none)
		return err_wrap(err, "CLUSTER_KEY_FILE");
	g = xcalloc(1, sizeof(*g));
	*g = (struct guard){.loop = loop,
			    .path = xstrdup(config->path),
			    .host_id = xstrdup(config->host_id),
			    .live_us = config->live_us,
			    .changed = config->changed,
			    .arg = config->arg,
			    .fd = -1};
	*ret = g;
	if (none) {
		log_warning("discovery is not sealed: anybody on the network can join, and take part",
			    kv_str("cure",
				   "docker-router keygen | docker-router key add, on one host; then token there and "
				   "join on the others"));
	} else {
		keys_set(g, &ring);
		log_info("discovery is sealed", kv_int("keys", (int64_t)ring.n), kv_str("seals", guard_key_id(g)));
		keyring_done(&ring);
	}
	if (g->path[0] && geteuid() == 0 && reader_start(g, err) < 0)
		log_warning("the key file cannot be read again: a change of it takes a restart",
			    kv_str("why", err->text));
	return 0;
}

void guard_free(struct guard *g)
{
	if (!g)
		return;
	fdwatch_free(g->watch);
	if (g->fd >= 0)
		close(g->fd); /* which ends the child */
	child_abandon(g->reader);
	for (int i = 0; i < SEAL_PURPOSE_N_; i++)
		seal_free(g->seals[i]);
	value_keys_done(&g->etcd);
	value_keys_done(&g->dns);
	free(g->host_id);
	free(g->path);
	free(g);
}

const char *guard_key_id(const struct guard *g)
{
	return g->seals[0] ? seal_key_id(g->seals[0]) : "";
}

const struct value_keys *guard_value_keys(const struct guard *g, enum value_purpose purpose)
{
	return purpose == VALUE_ETCD ? &g->etcd : &g->dns;
}

const struct seal *guard_seal_of(const struct guard *g, enum seal_purpose purpose)
{
	return g->seals[purpose];
}

/* --- out --- */

static struct seal_now seal_now_of(struct core_now now)
{
	return (struct seal_now){.mono = now.mono, .wall = now.wall};
}

void guard_seal(struct guard *g, enum seal_purpose purpose, struct core_now now, const struct endpoint *from,
		const char *data, size_t len, seal_fn *fn, void *arg)
{
	if (g->seals[purpose])
		seal_data(g->seals[purpose], seal_now_of(now), from, data, len, fn, arg);
	else
		fn(arg, data, len);
}

/* --- in --- */

/* Is there room to tell of it, beside what other strangers caused? */
static bool tell_of(struct guard *g, int64_t now_us, const struct ip *ip, enum seal_verdict what, const char *key_id)
{
	struct told *place = NULL;

	for (size_t i = 0; i < ARRAY_LEN(g->told); i++) {
		struct told *t = &g->told[i];

		if (t->until_us > now_us && t->what == what && str_eq(t->key_id, key_id) && ip_cmp(&t->ip, ip) == 0) {
			t->last_us = now_us;
			t->until_us = now_us + TOLD_US;
			return true;
		}
		if (t->until_us <= now_us && !place)
			place = t;
	}
	if (place) {
		*place = (struct told){.ip = *ip, .what = what, .last_us = now_us, .until_us = now_us + TOLD_US};
		str_copy(place->key_id, key_id);
	}
	return place != NULL;
}

/* It is heard: what was told of it is over, unless somebody else speaks from there too */
static void cured(struct guard *g, struct core *core, int64_t now_us, const struct ip *ip)
{
	char s[IP_STRLEN];

	for (size_t i = 0; i < ARRAY_LEN(g->told); i++) {
		struct told *t = &g->told[i];

		if (t->until_us <= now_us || now_us - t->last_us < CURED_US || t->what == SEAL_SKEWED ||
		    ip_cmp(&t->ip, ip) != 0)
			continue;
		if (t->what == SEAL_CLEAR)
			core_note_end(core, ip_format(ip, s), CLEAR_TEXT);
		else
			core_note_end(core, ip_format(ip, s), NO_KEY_TEXT, t->key_id);
		t->until_us = 0;
	}
}

static const char *skew_text(int64_t skew_s, char *out, size_t size)
{
	int64_t s = skew_s < 0 ? -skew_s : skew_s;
	const char *unit = s < 7200 ? "minutes" : s < 172800 ? "hours" : "days";
	int64_t n = s < 7200 ? s / 60 : s < 172800 ? s / 3600 : s / 86400;

	snprintf(out, size, "%lld %s %s", (long long)n, unit, skew_s < 0 ? "behind" : "ahead of");
	return out;
}

static void tell_skew(struct guard *g, struct core *core, int64_t now_us, const struct endpoint *from)
{
	char ip[IP_STRLEN], text[48];

	if (!tell_of(g, now_us, &from->ip, SEAL_SKEWED, ""))
		return;
	core_note(core, now_us, ip_format(&from->ip, ip),
		  "Set the clock of the two that is wrong, for instance with systemd-timesyncd or chrony. Nothing is "
		  "lost "
		  "by it meanwhile but some time when one of them starts.",
		  "its clock is %s ours", skew_text(g->opened.skew_s, text, sizeof(text)));
}

static void tell_clear(struct guard *g, struct core *core, int64_t now_us, const struct endpoint *from)
{
	char ip[IP_STRLEN];

	core_refuse(core, now_us, COUNT_CLEAR, from, "not sealed, and here CLUSTER_KEY_FILE is set");
	if (tell_of(g, now_us, &from->ip, SEAL_CLEAR, ""))
		core_note(core, now_us, ip_format(&from->ip, ip),
			  "Is it one of your hosts? Copy the key file to it and set CLUSTER_KEY_FILE there.",
			  CLEAR_TEXT);
}

static void tell_no_key(struct guard *g, struct core *core, int64_t now_us, const struct endpoint *from,
			const char *key_id)
{
	char ip[IP_STRLEN];

	core_refuse(core, now_us, COUNT_KEY, from, "sealed with key %s, which is not in CLUSTER_KEY_FILE", key_id);
	if (tell_of(g, now_us, &from->ip, SEAL_NO_KEY, key_id))
		core_note(core, now_us, ip_format(&from->ip, ip),
			  "Is it one of your hosts? Compare `docker-router key list` here and there, and add what is "
			  "missing: docker-router key add FILE.",
			  NO_KEY_TEXT, key_id);
}

static bool open_without_key(struct guard *g, struct core *core, int64_t now_us, const struct endpoint *from,
			     const char *data, size_t len)
{
	char id[KEY_ID_LEN + 1], ip[IP_STRLEN];

	if (!seal_key_of(data, len, id))
		return true;
	core_refuse(core, now_us, COUNT_KEY, from, "sealed with key %s, and there is no CLUSTER_KEY_FILE here", id);
	if (tell_of(g, now_us, &from->ip, SEAL_NO_KEY, id))
		core_note(core, now_us, ip_format(&from->ip, ip), KEYLESS_CURE, KEYLESS_TEXT, id);
	return false;
}

void guard_no_key(struct guard *g, struct core *core, struct core_now now, const struct endpoint *from,
		  const char *key_id)
{
	char ip[IP_STRLEN];

	if (guard_key_id(g)[0] && key_id[0]) {
		tell_no_key(g, core, now.mono.us, from, key_id);
	} else if (guard_key_id(g)[0]) {
		tell_clear(g, core, now.mono.us, from);
	} else if (tell_of(g, now.mono.us, &from->ip, SEAL_NO_KEY, key_id)) {
		core_note(core, now.mono.us, ip_format(&from->ip, ip), KEYLESS_CURE, KEYLESS_TEXT, key_id);
	}
}

void guard_keyed(struct guard *g, struct core *core)
{
	char ip[IP_STRLEN];

	for (size_t i = 0; i < ARRAY_LEN(g->told); i++) {
		if (g->told[i].what == SEAL_NO_KEY && g->told[i].key_id[0])
			core_note_end(core, ip_format(&g->told[i].ip, ip), KEYLESS_TEXT, g->told[i].key_id);
	}
	memset(g->told, 0, sizeof(g->told));
}

/* Questions and answers are caused by others: so many a second, and no more */
static bool talk_pass(struct guard *g, int64_t now_us)
{
	int64_t next_us = g->talk_us > now_us ? g->talk_us : now_us;

	if (next_us - now_us > TALK_BURST_US)
		return false;
	g->talk_us = next_us + TALK_US;
	return true;
}

bool guard_open(struct guard *g, enum seal_purpose purpose, struct core *core, struct core_now now,
		const struct endpoint *here, const struct endpoint *from, const char **data, size_t *len,
		guard_reply_fn *reply, void *arg)
{
	const struct seal_opened *o = &g->opened;
	char back[SEAL_TALK_BYTES];
	int64_t now_us = now.mono.us;
	enum seal_verdict v;
	struct seal *seal = g->seals[purpose];

	if (!seal)
		return open_without_key(g, core, now_us, from, *data, *len);
	v = seal_open(seal, seal_now_of(now), from, *data, *len, &g->opened);
	if (o->host_id[0] && !o->ours && v != SEAL_AGAIN && (o->skew_s > SEAL_SKEW_S || o->skew_s < -SEAL_SKEW_S))
		tell_skew(g, core, now_us, from);
	switch (v) {
	case SEAL_OPENED:
		if (!o->ours)
			cured(g, core, now_us, &from->ip);
		*data = o->text;
		*len = o->len;
		return true;
	case SEAL_ASKED:
		if (talk_pass(g, now_us)) {
			seal_answer(seal, seal_now_of(now), here, o, back);
			reply(arg, from, back, sizeof(back));
		}
		break;
	case SEAL_SKEWED:
		core->counts[COUNT_SKEWED]++;
		if (talk_pass(g, now_us)) {
			seal_ask(seal, seal_now_of(now), here, o, back);
			reply(arg, from, back, sizeof(back));
		}
		break;
	case SEAL_PROVED:
		/* What it said before was lost: let it say all again. Gossip does so by itself */
		if (purpose == SEAL_DISCOVERY)
			announce_ask(core, now, from);
		break;
	case SEAL_CLEAR:
		tell_clear(g, core, now_us, from);
		break;
	case SEAL_NO_KEY:
		tell_no_key(g, core, now_us, from, o->key_id);
		break;
	case SEAL_BROKEN:
		core_refuse(core, now_us, COUNT_SHAPE, from, "%zu bytes that are not sealed as they should be", *len);
		break;
	case SEAL_FORGED:
		core_refuse(core, now_us, COUNT_FORGED, from,
			    "seal of key %s does not fit: changed, or sent from another address", o->key_id);
		break;
	case SEAL_AGAIN:
		core->counts[COUNT_AGAIN]++; /* no news where two networks lead to a host */
		break;
	case SEAL_VERDICT_N_:
		break;
	}
	return false;
}
