/* SPDX-License-Identifier: Apache-2.0
 *
 * Carries out what etcd.c wants: one request at a time and one endless one, by io/http.h.
 */
#include <fcntl.h>

#include "base/log.h"
#include "discovery/etcd.h"
#include "discovery/mode.h"
#include "io/http.h"

#define STOP_US	     (1500 * USEC_PER_MSEC)
#define GOODBYE_US   (4 * USEC_PER_SEC)
#define SECRET_BYTES (64u << 10)

/* What only root may read: taken in before privileges are dropped. All may be NULL */
struct etcd_secrets {
	char *password, *ca, *cert, *key;
};

struct etcd_client {
	struct core *core;	   /* NULL: goodbye is said, and nothing heard */
	const struct guard *guard; /* NULL likewise */
	struct etcd *etcd;
	struct etcd_secrets secrets;
	char endpoints[LIMIT_ETCD_ENDPOINTS][256];
	struct http *http;
	struct http_request *request, *watch;
	struct timer *timer;
	bool self_known;
	uint64_t self_version;
	loop_fn *changed;
	void *arg;
	int64_t stop_us; /* 0: not stopping */
	bool stopped;
};

static struct core_now client_now(void)
{
	return (struct core_now){.mono = mono_now(), .wall = wall_now()};
}

/* --- from the state machine to the core --- */

static void on_put(void *arg, const struct peer *peer)
{
	struct etcd_client *c = arg;
	struct err err = {0};

	if (!c->core)
		return;
	if (core_feed_put(c->core, client_now(), FEED_ETCD, peer, &err) < 0)
		log_debug("a peer in etcd is refused", kv_str("stack", peer->stack_id), kv_str("host", peer->host_id),
			  kv_str("why", err.text));
}

static void on_drop(void *arg, const struct peer *key)
{
	struct etcd_client *c = arg;

	if (!c->core)
		return;
	core_feed_drop(c->core, client_now(), FEED_ETCD, key);
}

static void on_names(void *arg, const struct peer *key, uint64_t seq, struct name_stack *names)
{
	struct etcd_client *c = arg;

	if (c->core)
		core_feed_names(c->core, client_now(), FEED_ETCD, key, seq, names);
}

static void on_names_drop(void *arg, const struct peer *key)
{
	struct etcd_client *c = arg;

	if (c->core)
		core_feed_names_drop(c->core, client_now(), FEED_ETCD, key);
}

static void on_begin(void *arg)
{
	struct etcd_client *c = arg;

	if (!c->core)
		return;
	core_feed_begin(c->core, FEED_ETCD);
}

static void on_end(void *arg, int64_t grace_us)
{
	struct etcd_client *c = arg;

	if (!c->core)
		return;
	core_feed_end(c->core, client_now(), FEED_ETCD, grace_us);
}

static void on_seen(void *arg)
{
	struct etcd_client *c = arg;

	if (!c->core)
		return;
	core_feed_seen(c->core, client_now(), FEED_ETCD);
}

static void on_say(void *arg, enum log_level level, const char *text, const char *why)
{
	struct kv kv[2] = {0};

	if (why)
		kv[0] = kv_str("why", why);
	log_write(level, text, kv);
}

/* --- HTTP --- */

static void client_drive(struct etcd_client *c);

static void client_changed(struct etcd_client *c)
{
	c->changed(c->arg);
	client_drive(c);
}

static void on_answer(void *arg, int code, int status, const struct buf *body, const struct err *err)
{
	struct etcd_client *c = arg;

	c->request = NULL;
	etcd_answer(c->etcd, mono_now(), code, status, body->data, body->len, err);
	client_changed(c);
}

static void on_watch_line(void *arg, char *line, size_t len)
{
	struct etcd_client *c = arg;

	etcd_watch_line(c->etcd, mono_now(), line, len);
	client_changed(c);
}

static void on_watch_end(void *arg, int code, int status, const struct buf *body, const struct err *err)
{
	struct etcd_client *c = arg;

	c->watch = NULL;
	etcd_watch_end(c->etcd, mono_now(), code, status, body->data ? body->data : "", body->len, err);
	client_changed(c);
}

static struct http_request *client_send(struct etcd_client *c, const struct etcd_request *r, bool watch)
{
	autofree char *url = xasprintf("%s%s", c->endpoints[r->endpoint], r->path);
	struct http_spec spec = {.method = "POST",
				 .url = url,
				 .body = r->body,
				 .max_bytes = r->max_bytes,
				 .timeout_ms = r->timeout_ms,
				 .ca_pem = c->secrets.ca,
				 .cert_pem = c->secrets.cert,
				 .key_pem = c->secrets.key,
				 .authorization = r->token[0] ? r->token : NULL};

	if (watch)
		return http_stream(c->http, &spec, NULL, on_watch_line, on_watch_end, c);
	return http_start(c->http, &spec, on_answer, c);
}

/* Do what the state machine wants now, and set the timer for what it wants later */
static void client_drive(struct etcd_client *c)
{
	struct etcd_request r;
	mono_t now = mono_now();
	enum etcd_watch_do what;
	int64_t due_us;

	while ((what = etcd_watch(c->etcd, now, &r)) != ETCD_WATCH_KEEP) {
		http_cancel(c->watch);
		c->watch = what == ETCD_WATCH_START ? client_send(c, &r, true) : NULL;
	}
	if (etcd_request(c->etcd, now, &r))
		c->request = client_send(c, &r, false);
	due_us = etcd_due(c->etcd);
	if (c->stop_us && (etcd_stopped(c->etcd) || now.us >= c->stop_us) && !c->stopped) {
		c->stopped = true;
		timer_stop(c->timer);
		c->changed(c->arg);
		return;
	}
	if (c->stop_us && c->stop_us < due_us)
		due_us = c->stop_us;
	if (due_us == INT64_MAX || c->stopped)
		timer_stop(c->timer);
	else
		timer_start(c->timer, due_us > now.us ? due_us - now.us : 0);
}

static void on_timer(void *arg)
{
	client_drive(arg);
}

/* --- our stacks --- */

static void self_one(void *arg, const struct peer *peer)
{
	struct etcd_client *c = arg;

	etcd_self(c->etcd, peer);
}

static void self_names(void *arg, const struct name_stack *names, uint64_t seq)
{
	struct etcd_client *c = arg;

	etcd_self_names(c->etcd, names, seq);
}

static void client_self(void *mode)
{
	struct etcd_client *c = mode;
	uint64_t version = core_self_version(c->core);

	if (c->stop_us || (c->self_known && version == c->self_version))
		return;
	c->self_known = true;
	c->self_version = version;
	etcd_self_begin(c->etcd);
	core_self(c->core, client_now(), self_one, c);
	core_self_names(c->core, self_names, c);
	etcd_self_end(c->etcd);
	timer_start(c->timer, 0);
}

/* Take our stacks out of etcd, or not (GOODBYE); takes a second at most */
static void client_stop(void *mode)
{
	struct etcd_client *c = mode;

	if (c->stop_us)
		return;
	c->stop_us = mono_now().us + STOP_US;
	http_cancel(c->request);
	c->request = NULL;
	etcd_stop(c->etcd, mono_now());
	timer_start(c->timer, 0);
}

static bool client_stopped(const void *mode)
{
	const struct etcd_client *c = mode;

	return c->stopped;
}

static void client_keys(void *mode)
{
	struct etcd_client *c = mode;

	etcd_keys(c->etcd, guard_value_keys(c->guard, VALUE_ETCD));
	timer_start(c->timer, 0);
}

static void client_problems(const void *mode, struct problems *ret)
{
	const struct etcd_client *c = mode;

	etcd_problems(c->etcd, ret);
}

/* --- made and freed --- */

static int secret_read(const char *path, const char *option, char **ret, struct err *err)
{
	autobuf struct buf text = {0};
	autoclose int fd = -1;
	ssize_t n;

	if (!path[0])
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_errno(err, -errno, "%s: %s", option, path);
	buf_reserve(&text, SECRET_BYTES + 1);
	while ((n = read(fd, text.data + text.len, SECRET_BYTES - text.len)) > 0)
		text.len += (size_t)n;
	if (n < 0)
		return err_errno(err, -errno, "%s: read %s", option, path);
	text.data[text.len] = '\0';
	if (text.len == 0 || text.len == SECRET_BYTES || strlen(text.data) != text.len)
		return err_set(err, -EINVAL, "%s: %s is empty, too long or no text", option, path);
	*ret = xstrdup(text.data);
	explicit_bzero(text.data, text.len);
	return 0;
}

static void secret_free(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

static void secrets_done(struct etcd_secrets *s)
{
	secret_free(s->password);
	secret_free(s->ca);
	secret_free(s->cert);
	secret_free(s->key);
	*s = (struct etcd_secrets){0};
}

static int secrets_read(const struct config *config, struct etcd_secrets *ret, struct err *err)
{
	struct etcd_secrets s = {0};
	int r = secret_read(config->etcd_password_file, "ETCD_PASSWORD_FILE", &s.password, err);

	if (r == 0)
		r = secret_read(config->etcd_cacert, "ETCD_CACERT", &s.ca, err);
	if (r == 0)
		r = secret_read(config->etcd_cert, "ETCD_CERT", &s.cert, err);
	if (r == 0)
		r = secret_read(config->etcd_key, "ETCD_KEY", &s.key, err);
	if (r == 0 && s.password) {
		s.password[strcspn(s.password, "\r\n")] = '\0';
		if (!s.password[0] || strlen(s.password) >= sizeof(((struct etcd_config *)0)->password))
			r = err_set(err, -EINVAL, "ETCD_PASSWORD_FILE: its first line is empty or too long");
	}
	if (r == 0)
		*ret = s;
	else
		secrets_done(&s);
	return r;
}

static int client_open(const struct config *config, void **ret, struct err *err)
{
	struct etcd_client *c = xcalloc(1, sizeof(*c));
	int r = secrets_read(config, &c->secrets, err);

	if (r < 0)
		free(c);
	else
		*ret = c;
	return r;
}

static int client_start(void *mode, const struct mode_env *env, struct err *err)
{
	struct etcd_client *c = mode;
	const struct config *config = env->config;
	struct etcd_config ec = {.n_endpoints = config->n_etcd_endpoints,
				 .ttl_s = config->etcd_lease_ttl_s,
				 .goodbye = config->goodbye == GOODBYE_STOP,
				 .random = (uint64_t)mono_now().us ^ (uint64_t)getpid() << 32};
	struct etcd_events events = {.put = on_put,
				     .drop = on_drop,
				     .names = on_names,
				     .names_drop = on_names_drop,
				     .begin = on_begin,
				     .end = on_end,
				     .seen = on_seen,
				     .say = on_say,
				     .arg = c};

	c->core = env->core;
	c->guard = env->guard;
	c->changed = env->changed;
	c->arg = env->arg;
	str_copy(ec.prefix, config->etcd_prefix);
	str_copy(ec.username, config->etcd_username);
	str_copy(ec.password, c->secrets.password ? c->secrets.password : config->etcd_password);
	str_copy(ec.host_id, env->host_id);
	memcpy(c->endpoints, config->etcd_endpoints, sizeof(c->endpoints));
	c->etcd = etcd_new(&ec, &events);
	explicit_bzero(ec.password, sizeof(ec.password));
	if (c->guard)
		etcd_keys(c->etcd, guard_value_keys(c->guard, VALUE_ETCD));
	c->http = http_new(env->loop);
	c->timer = timer_new(env->loop, "etcd", on_timer, c);
	timer_start(c->timer, 0);
	return 0;
}

static void client_free(void *mode)
{
	struct etcd_client *c = mode;

	http_free(c->http);
	timer_free(c->timer);
	etcd_free(c->etcd);
	secrets_done(&c->secrets);
	free(c);
}

/* --- goodbye --- */

struct farewell {
	uv_loop_t *loop;
	struct etcd_client *client;
	bool done;
};

static void farewell_changed(void *arg)
{
	struct farewell *f = arg;

	f->done = etcd_forgotten(f->client->etcd);
	if (f->done)
		loop_stop(f->loop);
}

static void farewell_late(void *arg)
{
	struct farewell *f = arg;

	loop_stop(f->loop);
}

/* Delete the keys of an earlier process of this host; 4 s at most */
static int client_goodbye(void *mode, const struct mode_env *env, const struct discovery *last, struct err *err)
{
	struct farewell f = {.loop = env->loop, .client = mode};
	struct mode_env alone = *env;
	struct timer *late;
	const char *cure, *why;
	int r;

	alone.core = NULL;
	alone.changed = farewell_changed;
	alone.arg = &f;
	r = client_start(mode, &alone, err);
	if (r < 0)
		return r;
	late = timer_new(env->loop, "etcd goodbye", farewell_late, &f);
	for (size_t i = 0; i < last->self.n_stacks; i++) {
		struct peer p = {.vni = last->self.stacks[i].vni};

		str_copy(p.stack_id, last->self.stacks[i].stack_id);
		str_copy(p.host_id, last->self.host_id);
		etcd_forget(f.client->etcd, &p);
	}
	timer_start(late, GOODBYE_US);
	loop_run(env->loop);
	why = etcd_problem(f.client->etcd, &cure);
	if (!f.done)
		r = err_set(err, -ETIMEDOUT, "our keys stay in etcd until their lease has run out: %s",
			    why ? why : "it does not answer");
	timer_free(late);
	return r;
}

/* libcurl looks names up in a thread */
static unsigned client_sandbox(const struct config *config)
{
	return SANDBOX_THREADS;
}

const struct mode mode_etcd = {
	.bit = MODE_ETCD,
	.sandbox = client_sandbox,
	.open = client_open,
	.start = client_start,
	.self = client_self,
	.keys = client_keys,
	.stop = client_stop,
	.stopped = client_stopped,
	.problems = client_problems,
	.goodbye = client_goodbye,
	.free = client_free,
};
