/* SPDX-License-Identifier: Apache-2.0
 *
 * Drives gossip: one event, then all actions, then the timer.
 */
#include <sodium.h>
#include <sys/random.h>

#include "base/log.h"
#include "discovery/core_state.h"
#include "discovery/facts.h"
#include "discovery/gossip_joins.h"
#include "discovery/gossip_net.h"
#include "discovery/gossip_paths.h"
#include "discovery/mode.h"

#define BIND_RETRY_US (2 * USEC_PER_SEC)
#define JOIN_KEYS_US  (300 * USEC_PER_MSEC) /* join.json waits so long for who reads keys */
#define LOOK_US	      (2 * USEC_PER_SEC)
#define STOP_US	      USEC_PER_SEC
#define LINES_US      (50 * USEC_PER_MSEC) /* between two log lines about members */
#define ID_AT	      4			   /* of who sends, in a datagram */

struct gossip_client {
	const struct mode_env *env; /* NULL: not started */
	const struct config *config;
	struct seal *seal; /* of goodbye(), where there is a key */
	uint64_t incarnation;
	struct gossip *gossip; /* NULL: no address yet */
	struct gossip_net *net;
	struct gossip_joins *joins;
	struct join_file join_file;
	struct endpoint at; /* ip none: nowhere */
	bool bound;
	char bind_why[200];
	struct timer *timer, *bind_timer, *sweep_timer, *stop_timer, *join_timer;
	struct cluster_member *loaded; /* until gossip begins */
	size_t n_loaded;
	uint64_t self_version;
	bool self_known;
	uint64_t *keys; /* of our facts */
	size_t n_keys, cap_keys;
	struct gossip_paths paths;
	bool told, stopping, stopped;
	bool full;   /* not all of our facts found room */
	bool sealed; /* there was a key the last time we looked */
	struct log_limit lines;
	int64_t looked_us;
	size_t n_problems;
};

static struct core_now client_now(void)
{
	return (struct core_now){.mono = mono_now(), .wall = wall_now()};
}

static void id_text(const struct gossip_id *id, char out[static HOST_ID_LEN + 1])
{
	sodium_bin2hex(out, HOST_ID_LEN + 1, id->b, sizeof(id->b));
}

static bool id_parse(const char *s, struct gossip_id *ret)
{
	size_t len = 0;

	return sodium_hex2bin(ret->b, sizeof(ret->b), s, strlen(s), NULL, &len, NULL) == 0 && len == sizeof(ret->b);
}

static bool endpoint_same(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && ip_cmp(&a->ip, &b->ip) == 0;
}

/* --- from gossip to the core --- */

static const void *store_get(void *arg, const char *host_id, uint64_t key, size_t *ret_len)
{
	struct gossip_client *c = arg;
	struct gossip_id id;

	return id_parse(host_id, &id) ? gossip_fact_of(c->gossip, &id, key, ret_len) : NULL;
}

static void fact_heard(struct gossip_client *c, const struct gossip_action *a)
{
	const struct fact_store store = {.get = store_get, .arg = c};
	char host_id[HOST_ID_LEN + 1];
	struct err err = {0};

	if (!c->env->core)
		return;
	id_text(&a->member.id, host_id);
	c->told = true;
	if (a->len == 0)
		core_feed_fact_drop(c->env->core, client_now(), FEED_GOSSIP, host_id, a->key);
	else if (core_feed_fact(c->env->core, client_now(), FEED_GOSSIP, &store, host_id, a->data, a->len, &err) < 0)
		log_debug("what a member tells is refused", kv_str("host_id", host_id), kv_str("why", err.text));
}

static void member_changed(struct gossip_client *c, const struct gossip_action *a)
{
	char host_id[HOST_ID_LEN + 1], e[ENDPOINT_STRLEN];
	uint64_t held;

	id_text(&a->member.id, host_id);
	c->lines.interval_us = LINES_US;
	if (log_limit_pass(&c->lines, mono_now().us, &held))
		log_info(a->kind == GOSSIP_UP		   ? "member is there"
			 : a->member.status == GOSSIP_LEFT ? "member has left"
							   : "member does not answer",
			 kv_str("host_id", host_id), kv_str("address", endpoint_format(&a->member.address, e)),
			 kv_int("members", (int64_t)gossip_alive(c->gossip)));
	if (a->kind == GOSSIP_DOWN && c->env->core) {
		core_feed_host_drop(c->env->core, client_now(), FEED_GOSSIP, host_id);
		c->told = true;
	}
	c->env->write(c->env->arg);
}

/* --- actions --- */

struct sending {
	struct gossip_client *client;
	const struct endpoint *to;
};

static void send_sealed(void *arg, const char *data, size_t len)
{
	struct sending *s = arg;
	int r = gossip_net_send(s->client->net, s->to, data, len);

	if (r < 0 && r != -EAGAIN && r != -EINTR)
		log_debug("a datagram of gossip is not sent", kv_str("why", strerror(-r)));
}

static void client_send(struct gossip_client *c, const struct gossip_action *a)
{
	struct sending s = {.client = c, .to = &a->to};
	struct core_now now = client_now();

	if (!c->bound)
		return;
	if (c->env->guard)
		guard_seal(c->env->guard, SEAL_GOSSIP, now, &c->at, a->data, a->len, send_sealed, &s);
	else if (c->seal)
		seal_data(c->seal, (struct seal_now){.mono = now.mono, .wall = now.wall}, &c->at, a->data, a->len,
			  send_sealed, &s);
	else
		send_sealed(&s, a->data, a->len);
}

static void client_stopped(void *arg)
{
	struct gossip_client *c = arg;

	c->stopped = true;
	c->env->changed(c->env->arg);
}

static void client_problems(const void *mode, struct problems *ret);

/* What stands in the way to others shows by and by, without an event of its own */
static void problems_look(struct gossip_client *c)
{
	struct problems now = {0};
	int64_t now_us = mono_now().us;

	if (now_us - c->looked_us < LOOK_US)
		return;
	c->looked_us = now_us;
	client_problems(c, &now);
	if (now.n != c->n_problems)
		c->env->write(c->env->arg);
	c->n_problems = now.n;
	problems_done(&now);
}

static void client_drain(struct gossip_client *c)
{
	struct gossip_action a;
	int64_t due_us;

	if (!c->gossip)
		return;
	while (gossip_next_action(c->gossip, &a)) {
		switch (a.kind) {
		case GOSSIP_SEND:
			client_send(c, &a);
			break;
		case GOSSIP_STREAM_OPEN:
			gossip_net_open(c->net, a.stream, &a.to);
			break;
		case GOSSIP_STREAM_SEND:
			gossip_net_frame(c->net, a.stream, a.data, a.len);
			break;
		case GOSSIP_STREAM_CLOSE:
			gossip_net_close(c->net, a.stream);
			break;
		case GOSSIP_UP:
		case GOSSIP_DOWN:
			member_changed(c, &a);
			break;
		case GOSSIP_FACT:
			fact_heard(c, &a);
			break;
		case GOSSIP_STOPPED:
			timer_start(c->stop_timer, 0);
			break;
		case GOSSIP_ACTION_KIND_N_:
			break;
		}
	}
	/* While there is no address nobody is accused: the silence is ours */
	due_us = c->bound ? gossip_due(c->gossip) : INT64_MAX;
	if (due_us == INT64_MAX) {
		timer_stop(c->timer);
	} else {
		due_us -= mono_now().us;
		timer_start(c->timer, due_us > 0 ? due_us : 0);
	}
	problems_look(c);
	if (!c->told)
		return;
	c->told = false;
	c->env->changed(c->env->arg);
}

static void on_timer(void *arg)
{
	struct gossip_client *c = arg;

	gossip_timer(c->gossip, mono_now());
	client_drain(c);
}

/* --- events of the sockets --- */

static const struct seal *on_seal(void *arg)
{
	const struct gossip_client *c = arg;

	return c->env->guard ? guard_seal_of(c->env->guard, SEAL_GOSSIP) : c->seal;
}

static void reply(void *arg, const struct endpoint *to, const char *data, size_t len)
{
	struct gossip_client *c = arg;

	(void)gossip_net_send(c->net, to, data, len);
}

/* Somebody else is us: two clones of one machine, each telling what the other one is not */
static bool is_double(const struct gossip_client *c, const struct endpoint *from, const char *data, size_t len)
{
	struct gossip_id self;

	return len >= ID_AT + sizeof(self.b) && id_parse(c->env->host_id, &self) &&
	       memcmp(data + ID_AT, self.b, sizeof(self.b)) == 0 && !endpoint_same(from, &c->at);
}

static void double_tell(struct gossip_client *c, const struct endpoint *from)
{
	char ip[IP_STRLEN];

	core_refuse(c->env->core, mono_now().us, COUNT_IDENTITY, from, "host_id %s: it is ours", c->env->host_id);
	core_note(c->env->core, mono_now().us, ip_format(&from->ip, ip),
		  "Remove host_id from STATE_DIR there and start docker-router again.",
		  "uses our host_id too: a copy of this machine?");
}

static void on_datagram(void *arg, const struct endpoint *from, const char *data, size_t len)
{
	struct gossip_client *c = arg;
	if (!c->gossip || !c->env->core ||
	    !guard_open(c->env->guard, SEAL_GOSSIP, c->env->core, client_now(), &c->at, from, &data, &len, reply, c))
		return;
	if (is_double(c, from, data, len)) {
		double_tell(c, from);
		return;
	}
	gossip_path_heard(&c->paths, mono_now(), from);
	gossip_datagram(c->gossip, mono_now(), from, data, len);
	core_feed_seen(c->env->core, client_now(), FEED_GOSSIP);
	client_drain(c);
}

static uint32_t on_accept(void *arg, const struct endpoint *from)
{
	struct gossip_client *c = arg;

	return c->gossip ? gossip_stream_accept(c->gossip, mono_now(), from) : 0;
}

static void on_ready(void *arg, uint32_t number)
{
	struct gossip_client *c = arg;

	gossip_stream_ready(c->gossip, mono_now(), number);
	client_drain(c);
}

static void on_frame(void *arg, uint32_t number, const void *data, size_t len)
{
	struct gossip_client *c = arg;

	gossip_stream_frame(c->gossip, mono_now(), number, data, len);
	client_drain(c);
}

static void on_closed(void *arg, uint32_t number)
{
	struct gossip_client *c = arg;

	gossip_stream_closed(c->gossip, mono_now(), number);
	client_drain(c);
}

static void on_opened(void *arg, const struct endpoint *to, int code)
{
	struct gossip_client *c = arg;

	if (gossip_path_opened(&c->paths, mono_now(), to, code))
		c->env->write(c->env->arg);
}

static void on_no_key(void *arg, const struct endpoint *with, const char *key_id)
{
	struct gossip_client *c = arg;

	if (!c->env->core)
		return;
	guard_no_key(c->env->guard, c->env->core, client_now(), with, key_id);
	c->env->write(c->env->arg);
}

/* --- whom to join by --- */

static void on_joins(void *arg)
{
	struct gossip_client *c = arg;
	struct endpoint join[GOSSIP_JOINS];
	size_t n = gossip_joins_get(c->joins, c->at.ip.family, join);

	c->env->write(c->env->arg);
	if (!c->gossip)
		return;
	gossip_join(c->gossip, mono_now(), join, n);
	client_drain(c);
}

/* GOSSIP_JOIN, and what the verb `join` has written */
static void client_join(struct gossip_client *c)
{
	struct file_owner owner = owner_of_root(c->env->dir);
	struct join_list list = {.n = 0};
	char text[ENDPOINT_STRLEN];
	struct join_file f;
	struct err err = {0};
	int rc = join_file_read(c->env->dir->fd, &owner, &f, &err);

	if (rc == 0 || rc == -ENOENT)
		c->join_file = f;
	else
		log_warning("join.json cannot be used", kv_str("why", err.text));
	/* Who has left may be back since, and nobody else may know: asked last. In the list the last comes first */
	for (size_t i = 0; i < c->n_loaded; i++) {
		if (c->loaded[i].status == MEMBER_LEFT)
			join_list_add(&list, endpoint_format(&c->loaded[i].address, text));
	}
	for (size_t i = c->join_file.join.n; i-- > 0;)
		join_list_add(&list, c->join_file.join.to[i]);
	for (size_t i = c->config->n_gossip_join; i-- > 0;)
		join_list_add(&list, c->config->gossip_join[i]);
	gossip_joins_set(c->joins, &list);
}

/* --- address --- */

static void gossip_begin(struct gossip_client *c)
{
	struct endpoint join[GOSSIP_JOINS];
	struct gossip_config config = {.address = c->at,
				       .incarnation = c->incarnation,
				       .join = join,
				       .n_join = gossip_joins_get(c->joins, c->at.ip.family, join)};

	if (!id_parse(c->env->host_id, &config.id))
		return;
	/* Nothing secret hangs on it */
	if (getrandom(&config.random, sizeof(config.random), GRND_NONBLOCK) != sizeof(config.random))
		config.random = (uint64_t)mono_now().us ^ (uint64_t)getpid() << 32;
	c->gossip = gossip_new(&config);
	for (size_t i = 0; i < c->n_loaded; i++) {
		struct gossip_id id;

		if (c->loaded[i].status != MEMBER_LEFT && id_parse(c->loaded[i].host_id, &id))
			gossip_load(c->gossip, mono_now(), &id, &c->loaded[i].address, c->loaded[i].incarnation);
	}
	if (c->env->core) {
		core_feed_begin(c->env->core, FEED_GOSSIP);
		timer_start(c->sweep_timer, c->config->peer_timeout_s * USEC_PER_SEC);
	}
	gossip_start(c->gossip, mono_now());
}

/* What the file said of hosts that are no members has had its time */
static void on_sweep(void *arg)
{
	struct gossip_client *c = arg;

	core_feed_end(c->env->core, client_now(), FEED_GOSSIP, 0);
	c->env->changed(c->env->arg);
}

static void client_bind(void *arg)
{
	struct gossip_client *c = arg;
	struct err err = {0};
	char e[ENDPOINT_STRLEN];

	c->bound = false;
	if (gossip_net_bind(c->net, &c->at, &err) < 0) {
		if (!str_eq(c->bind_why, err.text))
			log_warning("gossip cannot be heard, trying again", kv_str("why", err.text));
		str_copy(c->bind_why, err.text);
		timer_start(c->bind_timer, BIND_RETRY_US);
		c->env->write(c->env->arg);
		return;
	}
	c->bind_why[0] = '\0';
	timer_stop(c->bind_timer);
	if (ip_is_none(&c->at.ip)) {
		client_drain(c);
		return;
	}
	c->bound = true;
	log_info("gossip", kv_str("address", endpoint_format(&c->at, e)));
	if (!c->gossip)
		gossip_begin(c);
	else
		gossip_address(c->gossip, mono_now(), &c->at);
	client_drain(c);
}

static void client_move(struct gossip_client *c, const struct ip *host_ip)
{
	bool family = host_ip->family != c->at.ip.family;

	if (ip_cmp(&c->at.ip, host_ip) == 0)
		return;
	c->at = (struct endpoint){.ip = *host_ip, .port = c->config->gossip_port};
	client_bind(c);
	if (family)
		on_joins(c);
}

/* --- our facts --- */

struct telling {
	struct gossip_client *client;
	uint64_t *keys;
	size_t n, cap;
};

static void tell(void *arg, uint64_t key, const char *data, size_t len)
{
	struct telling *t = arg;

	if (gossip_fact(t->client->gossip, mono_now(), key, data, len) < 0) {
		t->client->full = true;
		return;
	}
	*xgrow(&t->keys, t->n, &t->cap) = key;
	t->n++;
}

static void client_self(void *mode)
{
	struct gossip_client *c = mode;
	struct telling t = {.client = c};
	uint64_t version;

	if (c->stopping)
		return;
	client_move(c, &c->env->core->host_ip);
	if (!c->gossip)
		return;
	version = core_self_version(c->env->core);
	if (c->self_known && version == c->self_version)
		return;
	c->self_known = true;
	c->self_version = version;
	c->full = false;
	core_facts(c->env->core, tell, &t);
	for (size_t i = 0; i < c->n_keys; i++) {
		bool kept = false;

		for (size_t k = 0; k < t.n && !kept; k++)
			kept = t.keys[k] == c->keys[i];
		if (!kept)
			(void)!gossip_fact(c->gossip, mono_now(), c->keys[i], NULL, 0);
	}
	free(c->keys);
	c->keys = t.keys;
	c->n_keys = t.n;
	c->cap_keys = t.cap;
	gossip_timer(c->gossip, mono_now());
	client_drain(c);
}

/* --- life --- */

static int client_open(const struct config *config, void **ret, struct err *err)
{
	struct gossip_client *c = xcalloc(1, sizeof(*c));
	int64_t s = wall_now().ms / 1000;

	c->config = config;
	c->incarnation = s > 0 ? (uint64_t)s : 0;
	*ret = c;
	return 0;
}

static void client_load(void *mode, const struct discovery *last)
{
	struct gossip_client *c = mode;

	if (last->gossip.incarnation >= c->incarnation)
		c->incarnation = last->gossip.incarnation + 1;
	free(c->loaded);
	c->n_loaded = last->gossip.n_members;
	c->loaded = c->n_loaded ? xmemdup(last->gossip.members, c->n_loaded * sizeof(*c->loaded)) : NULL;
}

static void on_join_timer(void *arg)
{
	client_join(arg);
}

static void client_make(struct gossip_client *c, const struct mode_env *env)
{
	const struct gossip_net_events events = {.seal = on_seal,
						 .datagram = on_datagram,
						 .accept = on_accept,
						 .ready = on_ready,
						 .frame = on_frame,
						 .closed = on_closed,
						 .opened = on_opened,
						 .no_key = on_no_key,
						 .arg = c};

	c->env = env;
	c->net = gossip_net_new(env->loop, &events);
	c->joins = gossip_joins_new(env->loop, c->config->gossip_port, on_joins, c);
	c->timer = timer_new(env->loop, "gossip", on_timer, c);
	c->bind_timer = timer_new(env->loop, "gossip sockets", client_bind, c);
	c->sweep_timer = timer_new(env->loop, "gossip sweep", on_sweep, c);
	c->join_timer = timer_new(env->loop, "gossip join", on_join_timer, c);
	c->stop_timer = timer_new(env->loop, "gossip stop", client_stopped, c);
}

static int client_start(void *mode, const struct mode_env *env, struct err *err)
{
	struct gossip_client *c = mode;

	client_make(c, env);
	c->sealed = guard_key_id(env->guard)[0] != '\0';
	client_join(c);
	client_self(c);
	return 0;
}

static void export_member(void *arg, const struct gossip_member *m)
{
	struct discovery *d = arg;
	struct cluster_member *to = xgrow(&d->gossip.members, d->gossip.n_members, &d->gossip.cap_members);

	id_text(&m->id, to->host_id);
	to->address = m->address;
	to->incarnation = m->incarnation;
	to->status = (enum member_status)m->status;
	d->gossip.n_members++;
}

/*
 * The first key: members that were heard in clear must prove themselves, and what they told is not to be passed on
 * under our seal. So we begin as after a restart, with their addresses alone.
 */
static void client_anew(struct gossip_client *c)
{
	const struct endpoint nowhere = {.port = 0};
	struct discovery d = {0};
	struct err err;

	if (!c->gossip)
		return;
	(void)!gossip_net_bind(c->net, &nowhere, &err); /* which ends all streams */
	c->incarnation = gossip_incarnation(c->gossip) + 1;
	gossip_members(c->gossip, export_member, &d);
	free(c->loaded);
	c->loaded = d.gossip.members;
	c->n_loaded = d.gossip.n_members;
	gossip_free(c->gossip);
	c->gossip = NULL;
	c->self_known = false;
	c->n_keys = 0;
	client_bind(c);
	client_self(c);
}

/* Other keys: what was tried with the old ones is tried again */
static void client_keys(void *mode)
{
	struct gossip_client *c = mode;
	const struct join_list none = {.n = 0};

	if (!c->sealed)
		client_anew(c);
	c->sealed = true;
	timer_stop(c->join_timer);
	gossip_joins_set(c->joins, &none);
	client_join(c);
}

/* The verb `join` has written the keys before: they are read first */
static void client_file(void *mode, const char *name)
{
	struct gossip_client *c = mode;

	if (name && !str_eq(name, STATE_JOIN))
		return;
	if (!name) {
		client_join(c);
		return;
	}
	timer_start(c->join_timer, JOIN_KEYS_US);
}

static void client_leave(struct gossip_client *c)
{
	c->stopping = true;
	timer_start(c->stop_timer, STOP_US);
	gossip_leave(c->gossip, mono_now());
	client_drain(c);
}

static void client_stop(void *mode)
{
	struct gossip_client *c = mode;

	if (c->stopping)
		return;
	if (c->gossip && c->bound && c->config->goodbye != GOODBYE_NEVER) {
		client_leave(c);
		return;
	}
	c->stopping = true;
	timer_start(c->stop_timer, 0);
}

static bool client_is_stopped(const void *mode)
{
	return ((const struct gossip_client *)mode)->stopped;
}

static void goodbye_said(void *arg)
{
	loop_stop(arg);
}

static void goodbye_write(void *arg)
{
}

static int client_goodbye(void *mode, const struct mode_env *env, const struct discovery *last, struct err *err)
{
	struct gossip_client *c = mode;
	struct mode_env own = *env;

	if (last->gossip.n_members == 0)
		return 0;
	client_load(c, last);
	own.changed = goodbye_said;
	own.write = goodbye_write;
	own.arg = env->loop;
	client_make(c, &own);
	if (env->ring && env->ring->n)
		c->seal = seal_new(SEAL_GOSSIP, env->host_id, env->ring, USEC_PER_SEC);
	c->at = (struct endpoint){.ip = last->self.host_ip, .port = c->config->gossip_port};
	client_bind(c);
	if (!c->bound) {
		c->env = env;
		return err_set(err, -EADDRINUSE, "%s", c->bind_why);
	}
	client_leave(c);
	loop_run(env->loop);
	c->env = env;
	return 0;
}

static void client_free(void *mode)
{
	struct gossip_client *c = mode;

	if (c->env) {
		gossip_net_free(c->net);
		gossip_joins_free(c->joins);
		timer_free(c->timer);
		timer_free(c->bind_timer);
		timer_free(c->sweep_timer);
		timer_free(c->stop_timer);
		timer_free(c->join_timer);
	}
	gossip_free(c->gossip);
	seal_free(c->seal);
	free(c->loaded);
	free(c->keys);
	free(c);
}

/* --- what is known --- */

static void client_export(const void *mode, struct discovery *d)
{
	const struct gossip_client *c = mode;

	d->gossip.port = c->config->gossip_port;
	d->gossip.incarnation = c->gossip ? gossip_incarnation(c->gossip) : c->incarnation;
	if (c->gossip)
		gossip_members(c->gossip, export_member, d);
	for (size_t i = 0; i < c->n_loaded && !c->gossip; i++) {
		*xgrow(&d->gossip.members, d->gossip.n_members, &d->gossip.cap_members) = c->loaded[i];
		d->gossip.n_members++;
	}
	discovery_sort_members(d);
}

static void client_problems(const void *mode, struct problems *ret)
{
	const struct gossip_client *c = mode;

	if (c->bind_why[0])
		problems_add(ret, "gossip", "Is another docker-router here, or another program at GOSSIP_PORT?",
			     "GOSSIP_PORT cannot be used: %s", c->bind_why);
	if (c->full)
		problems_add(ret, "gossip", "Give fewer aliases, or part the stacks.",
			     "more stacks and names here than can be told: %d datagrams are allowed",
			     GOSSIP_HOST_FACTS);
	if (c->join_file.refused[0])
		problems_add(ret, "join", "docker-router token on a member, docker-router join here.",
			     "the last attempt was refused: %s", c->join_file.refused);
	struct endpoint join[GOSSIP_JOINS];
	size_t n = gossip_joins_get(c->joins, c->at.ip.family, join);

	gossip_path_problems(&c->paths, mono_now(), join, n, ret);
	gossip_joins_problems(c->joins, c->at.ip.family, ret);
}

/* Names to join by are looked up in a thread of libuv's; `join` may bring one at any time */
static unsigned client_sandbox(const struct config *config)
{
	return SANDBOX_THREADS;
}

const struct mode mode_gossip = {.bit = MODE_GOSSIP,
				 .sandbox = client_sandbox,
				 .open = client_open,
				 .start = client_start,
				 .load = client_load,
				 .self = client_self,
				 .keys = client_keys,
				 .file = client_file,
				 .stop = client_stop,
				 .stopped = client_is_stopped,
				 .problems = client_problems,
				 .export = client_export,
				 .goodbye = client_goodbye,
				 .free = client_free};
