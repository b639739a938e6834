/* SPDX-License-Identifier: Apache-2.0
 *
 * The mode dns on the loop: dns.h with c-ares (io/resolver.h), nsupdate, clocks and timers, between DNS and the core.
 *
 * nsupdate reads its commands, the TSIG key among them, from a descriptor that has no name: the key is in no argument,
 * no environment and no file.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "base/log.h"
#include "discovery/dns.h"
#include "discovery/dns_key.h"
#include "discovery/mode.h"
#include "discovery/socket.h"
#include "io/child.h"
#include "io/resolver.h"

#define STOP_US	   (1500 * USEC_PER_MSEC)
#define GOODBYE_US (4 * USEC_PER_SEC)
#define UPDATE_MS  20000

struct dns_client;

/** struct asked - A question that is under way */
struct asked {
	struct dns_client *client; /* NULL: a free place */
	uint64_t id;
};

struct dns_client {
	struct dns_key key; /* name "": none */
	/* since start() */
	struct mode_env env;
	struct dns *dns;
	struct resolver *resolver; /* NULL: to be made */
	struct ip local;	   /* that it asks from; none: the kernel chooses */
	bool resolver_bad;	   /* to be made anew: /etc/resolv.conf may be another */
	struct child *child;
	struct timer *timer;
	bool self_known;
	uint64_t self_version;
	struct ip host_ip;
	int64_t stop_us; /* 0: not stopping */
	struct asked asked[DNS_PARALLEL_MAX];
	size_t n_asked;
};

static struct core_now client_now(void)
{
	return (struct core_now){.mono = mono_now(), .wall = wall_now()};
}

/* --- from the state machine to the core --- */

static void on_put(void *arg, const struct peer *peer)
{
	struct dns_client *c = arg;
	struct err err = {0};

	if (core_feed_put(c->env.core, client_now(), FEED_DNS, peer, &err) < 0)
		log_debug("a peer in DNS is refused", kv_str("stack", peer->stack_id), kv_str("host", peer->host_id),
			  kv_str("why", err.text));
}

static void on_drop(void *arg, const struct peer *key)
{
	struct dns_client *c = arg;

	core_feed_drop(c->env.core, client_now(), FEED_DNS, key);
}

static void on_begin(void *arg)
{
	struct dns_client *c = arg;

	core_feed_begin(c->env.core, FEED_DNS);
}

static void on_end(void *arg, int64_t grace_us)
{
	struct dns_client *c = arg;

	core_feed_end(c->env.core, client_now(), FEED_DNS, grace_us);
}

static void on_seen(void *arg)
{
	struct dns_client *c = arg;

	core_feed_seen(c->env.core, client_now(), FEED_DNS);
}

static void on_hosts(void *arg, const struct endpoint *hosts, size_t n)
{
	struct dns_client *c = arg;

	core_found(c->env.core, client_now(), hosts, n);
}

static void on_say(void *arg, enum log_level level, const char *text, const char *why)
{
	struct kv kv[2] = {0};

	if (why)
		kv[0] = kv_str("why", why);
	log_write(level, text, kv);
}

static const struct value_keys *client_keys(const struct dns_client *c)
{
	static const struct value_keys none;

	return c->env.guard ? guard_value_keys(c->env.guard, VALUE_DNS) : &none;
}

static void on_seal(void *arg, const char *about, const char *in, size_t len, struct buf *ret)
{
	value_seal(client_keys(arg), about, in, len, ret);
}

static int on_open(void *arg, const char *about, const char *in, size_t len, struct buf *ret, struct err *err)
{
	char id[KEY_ID_LEN + 1] = "";
	enum seal_verdict verdict = value_open(client_keys(arg), about, in, len, ret, id);

	if (verdict == SEAL_OPENED && id[0])
		return 0;
	if (verdict == SEAL_NO_KEY)
		return err_set(err, -ENOKEY, "sealed with key %s, which we do not have", id);
	return err_set(err, -EBADMSG, "the seal does not fit");
}

/* --- questions --- */

static void on_answer(void *arg, int code, const uint8_t *data, size_t len, const struct err *err)
{
	struct asked *a = arg;
	struct dns_client *c = a->client;

	dns_answer(c->dns, mono_now(), a->id, code, data, len, err);
	c->resolver_bad = c->resolver_bad || code == -ETIMEDOUT || code == -ECONNREFUSED || code == -EIO;
	a->client = NULL;
	c->n_asked--;
	timer_start(c->timer, 0); /* not from here: c-ares is still at work */
}

static void client_ask(struct dns_client *c, const struct dns_question *q)
{
	const struct config *config = c->env.config;
	struct resolver_config rc = {.servers = config->dns_servers,
				     .n_servers = config->n_dns_servers,
				     .local = &c->local,
				     .n_local = !ip_is_none(&c->local)};
	struct asked *a = c->asked;
	struct err err = {0};

	while (a->client) /* one is free: the state machine asks DNS_PARALLEL_MAX at most */
		a++;
	*a = (struct asked){.client = c, .id = q->id};
	c->n_asked++;
	if (!c->resolver && resolver_new(c->env.loop, &rc, &c->resolver, &err) < 0)
		on_answer(a, err.code, NULL, 0, &err);
	else
		resolver_ask(c->resolver, q->name, (int)q->type, on_answer, a);
}

/* --- updates --- */

static void client_drive(struct dns_client *c);

static void on_updated(void *arg, const struct child_result *r)
{
	struct dns_client *c = arg;
	struct err err = {0};
	int code = 0;

	c->child = NULL;
	if (r->signal)
		code = err_set(&err, -ETIMEDOUT, "nsupdate took too long");
	else if (r->status != 0)
		code = dns_update_code(r->err_out->len ? r->err_out->data : "", &err);
	dns_updated(c->dns, mono_now(), code, &err);
	client_drive(c);
}

static int script_fd(struct dns_client *c, const struct buf *commands, struct err *err)
{
	const struct config *config = c->env.config;
	int fd = memfd_create("nsupdate", MFD_CLOEXEC), code = 0;
	autobuf struct buf b = {0};
	char ip[IP_STRLEN];

	if (fd < 0)
		return err_errno(err, -errno, "memfd");
	buf_reserve(&b, commands->len + 1024); /* where it grows it leaves the key behind */
	buf_printf(&b, "server %s %u\n", ip_format(&config->dns_update.ip, ip), config->dns_update.port);
	if (c->host_ip.family == config->dns_update.ip.family && !ip_is_loopback(&config->dns_update.ip))
		buf_printf(&b, "local %s\n", ip_format(&c->host_ip, ip));
	if (c->key.name[0])
		buf_printf(&b, "key %s:%s %s\n", c->key.algorithm, c->key.name, c->key.secret);
	buf_append(&b, commands->data, commands->len);
	for (size_t at = 0; at < b.len && code == 0;) {
		ssize_t n = write(fd, b.data + at, b.len - at);

		if (n < 0 && errno != EINTR)
			code = err_errno(err, -errno, "memfd");
		at += n > 0 ? (size_t)n : 0;
	}
	explicit_bzero(b.data, b.len);
	if (code == 0 && lseek(fd, 0, SEEK_SET) < 0)
		code = err_errno(err, -errno, "memfd");
	if (code == 0)
		return fd;
	close(fd);
	return code;
}

static void client_update(struct dns_client *c, const struct buf *commands)
{
	static const char *const argv[] = {"nsupdate", "-t", "10", "-u", "2", "-r", "2", NULL};
	static const char *const env[] = {"LC_ALL=C", "HOME=/nonexistent", NULL};
	struct err err = {0};
	autoclose int fd = script_fd(c, commands, &err);
	struct child_spec spec = {.argv = argv,
				  .env = env,
				  .stdin_fd = fd,
				  .ns_fd = -1,
				  .timeout_ms = UPDATE_MS,
				  .flags = CHILD_COLLECT | CHILD_PDEATHSIG};
	int code = fd < 0 ? fd : child_spawn(c->env.loop, &spec, on_updated, c, &c->child, &err);

	if (code < 0)
		dns_updated(c->dns, mono_now(), code, &err);
}

static void resolver_renew(struct dns_client *c)
{
	if (c->n_asked > 0 || (!c->resolver_bad && ip_cmp(&c->local, &c->host_ip) == 0))
		return;
	resolver_free(c->resolver);
	c->resolver = NULL;
	c->resolver_bad = false;
	c->local = c->host_ip;
}

/* Do what the state machine wants now, and set the timer for what it wants later */
static void client_drive(struct dns_client *c)
{
	struct dns_question q;
	autobuf struct buf commands = {0};
	mono_t now = mono_now();
	int64_t due_us;

	resolver_renew(c);
	while (!c->stop_us && dns_ask(c->dns, now, &q))
		client_ask(c, &q);
	if (dns_update(c->dns, now, &commands))
		client_update(c, &commands);
	due_us = dns_due(c->dns);
	if (c->stop_us && now.us >= c->stop_us)
		due_us = INT64_MAX;
	else if (c->stop_us && c->stop_us < due_us)
		due_us = c->stop_us;
	if (due_us == INT64_MAX)
		timer_stop(c->timer);
	else
		timer_start(c->timer, due_us > now.us ? due_us - now.us : 0);
	c->env.changed(c->env.arg);
}

static void on_timer(void *arg)
{
	client_drive(arg);
}

/* --- our stacks --- */

static void self_one(void *arg, const struct peer *peer)
{
	struct dns_client *c = arg;

	c->host_ip = peer->host_ip;
	dns_self(c->dns, peer);
}

static void client_self(void *mode)
{
	struct dns_client *c = mode;
	uint64_t version = core_self_version(c->env.core);

	if (c->stop_us || (c->self_known && version == c->self_version))
		return;
	c->self_known = true;
	c->self_version = version;
	dns_self_begin(c->dns);
	core_self(c->env.core, client_now(), self_one, c);
	dns_self_end(c->dns);
	timer_start(c->timer, 0);
}

static void client_keys_changed(void *mode)
{
	struct dns_client *c = mode;

	dns_keys(c->dns, mono_now(), client_keys(c)->n > 0);
	timer_start(c->timer, 0);
}

static void client_stop(void *mode)
{
	struct dns_client *c = mode;

	if (c->stop_us)
		return;
	c->stop_us = mono_now().us + STOP_US;
	if (c->child)
		child_forget(c->child);
	c->child = NULL;
	dns_stop(c->dns, mono_now());
	timer_start(c->timer, 0);
}

static bool client_stopped(const void *mode)
{
	const struct dns_client *c = mode;

	return c->stop_us && (dns_stopped(c->dns) || mono_now().us >= c->stop_us);
}

static void client_problems(const void *mode, struct problems *ret)
{
	const struct dns_client *c = mode;

	dns_problems(c->dns, ret);
}

/* --- made and freed --- */

static int key_read(const struct config *config, struct dns_key *ret, struct err *err)
{
	const char *path = config->dns_tsig_key_file;
	struct buf text = {0};
	int code;

	if (!path[0])
		return 0;
	code = keyring_load(path, &text, err);
	if (code < 0)
		return err_wrap(err, "DNS_TSIG_KEY_FILE");
	code = dns_key_parse(text.data, ret, err);
	keyring_text_done(&text);
	return code < 0 ? err_wrap(err, "DNS_TSIG_KEY_FILE: %s", path) : 0;
}

static int client_open(const struct config *config, void **ret, struct err *err)
{
	struct dns_client *c = xcalloc(1, sizeof(*c));
	int code = key_read(config, &c->key, err);

	if (code < 0)
		free(c);
	else
		*ret = c;
	return code;
}

static void client_new(struct dns_client *c, const struct mode_env *env)
{
	const struct config *config = env->config;
	struct dns_config dc = {.family = sockets_config_of(config).family,
				.port = config->discovery_port,
				.ttl_s = config->dns_ttl_s,
				.update = !ip_is_none(&config->dns_update.ip),
				.goodbye = config->goodbye == GOODBYE_STOP,
				.random = (uint64_t)mono_now().us ^ (uint64_t)getpid() << 32};
	struct dns_events events = {.put = on_put,
				    .drop = on_drop,
				    .begin = on_begin,
				    .end = on_end,
				    .seen = on_seen,
				    .hosts = on_hosts,
				    .say = on_say,
				    .unseal = on_open,
				    .seal = on_seal,
				    .arg = c};

	c->env = *env;
	c->host_ip = config->host_ip;
	dc.sealed = client_keys(c)->n > 0;
	str_copy(dc.domain, config->dns_domain);
	str_copy(dc.host_id, env->host_id);
	c->dns = dns_new(&dc, &events);
	c->timer = timer_new(env->loop, "dns", on_timer, c);
	timer_start(c->timer, 0);
}

static int client_start(void *mode, const struct mode_env *env, struct err *err)
{
	client_new(mode, env);
	return 0;
}

static void client_free(void *mode)
{
	struct dns_client *c = mode;

	child_abandon(c->child);
	resolver_free(c->resolver);
	timer_free(c->timer);
	dns_free(c->dns);
	explicit_bzero(&c->key, sizeof(c->key));
	free(c);
}

/* --- goodbye --- */

struct farewell {
	struct dns_client *client;
	uv_loop_t *loop;
};

static void farewell_changed(void *arg)
{
	struct farewell *f = arg;

	if (dns_stopped(f->client->dns))
		loop_stop(f->loop);
}

static void farewell_late(void *arg)
{
	struct farewell *f = arg;

	loop_stop(f->loop);
}

static int client_goodbye(void *mode, const struct mode_env *env, const struct discovery *last, struct err *err)
{
	struct dns_client *c = mode;
	struct farewell f = {.client = c, .loop = env->loop};
	struct mode_env mine = *env;
	struct problems problems = {0};
	struct timer *late;
	int code = 0;

	if (ip_is_none(&env->config->dns_update.ip))
		return 0;
	mine.changed = farewell_changed;
	mine.arg = &f;
	client_new(c, &mine);
	c->host_ip = last->self.host_ip;
	dns_forget(c->dns);
	c->stop_us = INT64_MAX; /* no questions */
	late = timer_new(env->loop, "dns goodbye", farewell_late, &f);
	timer_start(late, GOODBYE_US);
	loop_run(env->loop);
	dns_problems(c->dns, &problems);
	if (!dns_stopped(c->dns))
		code = err_set(err, -ETIMEDOUT, "our records stay in DNS: %s",
			       problems.n ? problems.v[0].text : "no answer to the update");
	problems_done(&problems);
	timer_free(late);
	return code;
}

/* nsupdate is another program, and has threads */
static unsigned client_sandbox(const struct config *config)
{
	return ip_is_none(&config->dns_update.ip) ? 0 : SANDBOX_CHILDREN | SANDBOX_THREADS;
}

const struct mode mode_dns = {
	.bit = MODE_DNS,
	.sandbox = client_sandbox,
	.open = client_open,
	.start = client_start,
	.self = client_self,
	.keys = client_keys_changed,
	.stop = client_stop,
	.stopped = client_stopped,
	.problems = client_problems,
	.goodbye = client_goodbye,
	.free = client_free,
};
