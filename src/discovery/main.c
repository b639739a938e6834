/* SPDX-License-Identifier: Apache-2.0
 *
 * The role discovery: drives the core with sockets, clocks and inventory.json, and keeps discovery.json. Started as
 * root it sets STATE_DIR up and becomes the user docker-router; it keeps no capability. What strangers send is parsed
 * here, so nothing of worth can be reached from here.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/log.h"
#include "discovery/goodbye.h"
#include "discovery/mode.h"
#include "discovery/names_file.h"
#include "discovery/receivers.h"
#include "discovery/routes.h"
#include "discovery/socket.h"
#include "discovery/stacks.h"
#include "state/config.h"
#include "state/identity.h"
#include "state/inventory.h"
#include "state/join.h"

/*
 * A change that comes alone is written at once; after a write the next waits WRITE_US, or twice as long as writing
 * takes, WRITE_MAX_US at most: thousands of peers come as a burst.
 */
#define WRITE_US       (5 * USEC_PER_MSEC)
#define WRITE_PAUSE_US (25 * USEC_PER_MSEC) /* alone: so long after the last write */
#define WRITE_MAX_US   (200 * USEC_PER_MSEC)
#define WRITE_RETRY_US (2 * USEC_PER_SEC)
#define LISTEN_US      USEC_PER_SEC /* before the first write, where what was known is lost */

struct role {
	uv_loop_t loop;
	struct config config;
	struct state_dir dir;
	char host_id[HOST_ID_LEN + 1], host_name[WIRE_HOST_NAME];
	bool supervised; /* by `host`: inventory.json will come */
	struct core *core;
	struct guard *guard;
	struct names_file *names;
	struct receivers *receivers;
	struct sockets *sockets;
	struct routes *routes;
	struct modes modes;
	struct mode_env env;
	uint64_t modes_problems; /* a hash of those that were told */
	struct timer *core_timer, *write_timer, *refresh_timer;
	struct dirwatch *watch;
	struct sigwatch *sighup, *sigterm, *sigint, *sigusr1;
	struct problems told; /* those that were logged */
	struct inventory inventory;
	bool have_inventory, inventory_bad;
	bool write_failed, stopped;
	bool listening;	       /* nothing was written yet, and the peers of the run before are not known */
	struct file_mark mark; /* of discovery.json as we wrote it */
	int64_t write_took_us, wrote_us;
};

static struct core_now role_now(void)
{
	return (struct core_now){.mono = mono_now(), .wall = wall_now()};
}

/* --- actions of the core --- */

static void role_say(const struct action *a)
{
	struct kv kv[4] = {0};
	size_t n = 0;

	if (a->about)
		kv[n++] = kv_str(a->key, a->about);
	if (a->why)
		kv[n++] = kv_str("why", a->why);
	if (a->held)
		kv[n++] = kv_int("held_back", (int64_t)a->held);
	log_write(a->level, a->text, kv);
}

static void role_write_soon(struct role *r)
{
	int64_t delay_us = 2 * r->write_took_us;

	if (timer_is_set(r->write_timer))
		return;
	/* without our stacks nobody is a peer: an empty list now would be a lie */
	if (r->listening && r->supervised && !r->have_inventory)
		return;
	delay_us = delay_us < WRITE_US ? WRITE_US : delay_us > WRITE_MAX_US ? WRITE_MAX_US : delay_us;
	if (mono_now().us - r->wrote_us > (delay_us > WRITE_PAUSE_US ? delay_us : WRITE_PAUSE_US))
		delay_us = 0;
	timer_start(r->write_timer, r->write_failed ? WRITE_RETRY_US : r->listening ? LISTEN_US : delay_us);
}

/* As above: without peers that are known no names are, and what the file holds is better than nothing */
static void role_names_soon(struct role *r)
{
	if (r->listening && r->supervised && !r->have_inventory)
		return;
	names_file_soon(r->names, r->listening ? LISTEN_US : 0);
}

static void send_to(void *arg, const struct endpoint *to, const char *data, size_t len)
{
	struct role *r = arg;

	sockets_send(r->sockets, to, data, len);
}

/* One datagram of an action, sealed or as it is */
struct sealed {
	struct role *role;
	const struct action *action;
	const char *data;
	size_t len;
};

static void send_unicast(void *arg, const struct endpoint *to)
{
	const struct sealed *s = arg;

	sockets_send(s->role->sockets, to, s->data, s->len);
}

static void send_sealed(void *arg, const char *data, size_t len)
{
	struct sealed *s = arg;

	if (s->action->kind == ACTION_SEND) {
		sockets_send(s->role->sockets, &s->action->to, data, len);
		return;
	}
	s->data = data;
	s->len = len;
	sockets_send_group(s->role->sockets, data, len);
	core_unicast(s->role->core, send_unicast, s);
}

static void role_send(struct role *r, const struct action *a)
{
	struct endpoint from = sockets_from(r->sockets);
	struct sealed s = {.role = r, .action = a};

	if (from.port)
		guard_seal(r->guard, SEAL_DISCOVERY, role_now(), &from, a->data, a->len, send_sealed, &s);
}

static void role_stop(struct role *r);

/* Do what the core wants, and set its timer. Called after every event */
static void role_drain(struct role *r)
{
	struct action a;
	int64_t due_us;

	while (core_next_action(r->core, &a)) {
		switch (a.kind) {
		case ACTION_SEND_GROUP:
		case ACTION_SEND:
			role_send(r, &a);
			break;
		case ACTION_CHANGED:
			role_write_soon(r);
			break;
		case ACTION_NAMES:
			role_names_soon(r);
			break;
		case ACTION_LOG:
			role_say(&a);
			break;
		case ACTION_STOPPED:
			r->stopped = true;
			break;
		case ACTION_KIND_N_:
			break;
		}
	}
	modes_self(&r->modes);
	due_us = core_due(r->core);
	if (due_us == INT64_MAX) {
		timer_stop(r->core_timer);
	} else {
		due_us -= mono_now().us;
		timer_start(r->core_timer, due_us > 0 ? due_us : 0);
	}
	if (r->stopped && modes_stopped(&r->modes))
		role_stop(r);
}

static void on_core_timer(void *arg)
{
	struct role *r = arg;

	core_timer(r->core, role_now());
	role_drain(r);
}

static void on_datagram(void *arg, const struct endpoint *from, bool by_group, const char *data, size_t len)
{
	struct role *r = arg;
	struct endpoint here = sockets_from(r->sockets);

	/* No mode that is spoken to by datagrams: who sends one is a stranger */
	if (!(r->config.modes & (MODE_MULTICAST | MODE_STATIC | MODE_DNS)))
		return;
	if (guard_open(r->guard, SEAL_DISCOVERY, r->core, role_now(), &here, from, &data, &len, send_to, r))
		core_datagram(r->core, role_now(), from, by_group, data, len);
	role_drain(r);
}

static void on_moved(void *arg, const struct core_addresses *addresses)
{
	struct role *r = arg;

	core_addresses(r->core, role_now(), addresses);
	role_drain(r);
}

static void on_routes(void *arg, const struct prefix *routes, size_t n)
{
	struct role *r = arg;

	core_routes(r->core, role_now(), routes, n);
	role_drain(r);
}

static void on_mode_write(void *arg)
{
	role_write_soon(arg);
}

static void on_mode(void *arg)
{
	struct role *r = arg;
	struct problems now = {0};
	uint64_t hash = 0;

	modes_problems(&r->modes, &now);
	for (size_t i = 0; i < now.n; i++)
		hash = hash64(now.v[i].text, strlen(now.v[i].text), hash);
	if (hash != r->modes_problems)
		role_write_soon(r);
	r->modes_problems = hash;
	problems_done(&now);
	role_drain(r);
}

/* --- discovery.json --- */

static void role_write(void *arg)
{
	struct role *r = arg;
	int64_t begin_us = mono_now().us;
	struct discovery d;
	struct err err = {0};
	int rc;

	timer_stop(r->write_timer);
	core_export(r->core, role_now(), &d);
	modes_problems(&r->modes, &d.problems);
	modes_export(&r->modes, &d);
	str_copy(d.self.key_id, guard_key_id(r->guard));
	rc = discovery_write(r->dir.fd, &d, &err);
	r->wrote_us = mono_now().us;
	r->write_took_us = r->wrote_us - begin_us;
	r->listening = false;
	if (rc < 0) {
		if (!r->write_failed)
			log_error("discovery.json cannot be written, the old one stays", kv_str("why", err.text));
		core_export_done(&d);
		r->write_failed = true;
		role_write_soon(r);
		return;
	}
	if (r->write_failed)
		log_info("discovery.json is written again");
	r->write_failed = false;
	r->mark = file_mark_get(r->dir.fd, STATE_DISCOVERY);
	problems_log_new(&r->told, &d.problems, NULL);
	problems_done(&r->told);
	r->told = d.problems;
	d.problems = (struct problems){0};
	core_export_done(&d);
	timer_start(r->refresh_timer, r->config.announce_interval_s * USEC_PER_SEC);
	/* Exporting may have mapped stacks: say it */
	timer_start(r->core_timer, 0);
}

/* That somebody was heard again is written now and then only: state directories lie on SD cards */
static void on_refresh(void *arg)
{
	struct role *r = arg;

	if (core_touched(r->core))
		role_write(r);
	else
		timer_start(r->refresh_timer, r->config.announce_interval_s * USEC_PER_SEC);
}

/*
 * Who was known before the restart. A file that is broken, or was taken away while the router has routes, costs a line;
 * the router keeps to what it has until the peers have answered
 */
static void role_load(struct role *r)
{
	struct file_owner owner = owner_of_discovery(&r->dir);
	struct discovery d = {0};
	struct err err = {0};
	int rc = discovery_read(r->dir.fd, &owner, &d, &err);

	if (rc == -ENOENT) {
		r->listening = faccessat(r->dir.fd, STATE_ROUTER, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
		return;
	}
	if (rc < 0) {
		r->listening = true;
		log_warning("discovery.json cannot be used, starting with nobody known", kv_str("why", err.text));
		return;
	}
	core_load(r->core, role_now(), &d);
	modes_load(&r->modes, &d);
	discovery_done(&d);
}

/* --- own stacks --- */

static void role_stacks(struct role *r)
{
	struct local_stack *stacks = xcalloc(r->inventory.n_stacks + 1, sizeof(*stacks));
	size_t n = stacks_collect(&r->inventory, &r->config, stacks);

	receivers_fill(r->receivers, &r->inventory, stacks, n);
	if (n > LIMIT_PEERS_PER_SOURCE)
		log_warning("more stacks than other hosts take from one address", kv_int("stacks", (int64_t)n),
			    kv_int("taken", LIMIT_PEERS_PER_SOURCE));
	core_stacks(r->core, role_now(), stacks, n);
	free(stacks);
}

/* Other groups are listened to */
static void on_receivers(void *arg)
{
	struct role *r = arg;

	if (!r->have_inventory)
		return;
	role_stacks(r);
	role_drain(r);
}

static void role_names(struct role *r)
{
	struct name_stack *names = xcalloc(r->inventory.n_stacks + 1, sizeof(*names));
	size_t n = 0;

	for (; n < r->inventory.n_stacks && n + 1 < LIMIT_STACKS; n++)
		names_of_stack(&r->inventory.stacks[n], &names[n]);
	core_names(r->core, role_now(), names, n);
	for (size_t i = 0; i < n; i++)
		name_stack_done(&names[i]);
	free(names);
}

/* What it says, or what it said last: stacks do not go because a file does */
static void role_read_inventory(struct role *r)
{
	struct file_owner owner = owner_of_root(&r->dir);
	struct inventory inv = {0};
	struct err err = {0};
	int rc = inventory_read(r->dir.fd, &owner, &inv, &err);

	if (rc < 0) {
		if (rc == -ENOENT && !r->have_inventory)
			return;
		if (!r->inventory_bad)
			log_warning("inventory.json cannot be used, the stacks that were known stay",
				    kv_str("why", rc == -ENOENT ? "it is gone" : err.text));
		r->inventory_bad = true;
		return;
	}
	if (r->inventory_bad)
		log_info("inventory.json can be used again");
	r->inventory_bad = false;
	inventory_done(&r->inventory);
	r->inventory = inv;
	r->have_inventory = true;
	role_stacks(r);
	role_names(r);
	if (r->listening) {
		role_write_soon(r);
		role_names_soon(r);
	}
}

/* What the router lets us tell of WireGuard. A file that is broken is as none: a wrong key is worth less than nothing
 */
static void role_read_wireguard(struct role *r)
{
	struct file_owner owner = owner_of_root(&r->dir);
	struct wg_say say = {0};
	struct err err = {0};
	int rc = -ENOENT;

	if (r->config.encryption == ENCRYPTION_WIREGUARD)
		rc = wg_file_read(r->dir.fd, &owner, &say, &err);
	if (rc < 0 && rc != -ENOENT)
		log_warning(STATE_WIREGUARD " cannot be used, peers are not told our public key",
			    kv_str("why", err.text));
	if (rc < 0)
		say = (struct wg_say){0};
	core_wireguard(r->core, role_now(), &say);
	role_drain(r);
}

static void on_state_dir(void *arg, const char *name)
{
	struct role *r = arg;

	/* Somebody else deleted, replaced or changed our file: what we know is still true */
	if ((!name || str_eq(name, STATE_DISCOVERY)) && r->wrote_us && !r->listening) {
		struct file_mark now = file_mark_get(r->dir.fd, STATE_DISCOVERY);
		if (!file_mark_same(&now, &r->mark))
			role_write_soon(r);
	}
	if (!name || str_eq(name, STATE_NAMES))
		names_file_seen(r->names);
	modes_file(&r->modes, name);
	/* the verb `join` writes the keys before it writes this */
	if (!name || str_eq(name, STATE_JOIN))
		guard_reload(r->guard);
	if (!name || str_eq(name, STATE_MULTICAST))
		receivers_file(r->receivers);
	if (!name || str_eq(name, STATE_WIREGUARD))
		role_read_wireguard(r);
	if (name && !str_eq(name, STATE_INVENTORY))
		return;
	role_read_inventory(r);
	role_drain(r);
}

/* --- signals --- */

static void on_sighup(void *arg, int signum)
{
	struct role *r = arg;

	guard_reload(r->guard);
	modes_file(&r->modes, NULL);
	sockets_rescan(r->sockets);
	role_read_inventory(r);
	role_drain(r);
}

static void on_sigterm(void *arg, int signum)
{
	struct role *r = arg;

	modes_stop(&r->modes);
	core_stop(r->core, role_now());
	role_drain(r);
}

static void role_count(const struct role *r)
{
	const uint64_t *counts = core_counts(r->core);
	struct kv kv[COUNT_N_ + 1] = {0};

	for (size_t i = 0; i < COUNT_N_; i++)
		kv[i] = kv_int(core_count_names[i], (int64_t)counts[i]);
	log_write(LOG_LEVEL_INFO, "datagrams", kv);
}

static void on_sigusr1(void *arg, int signum)
{
	role_count(arg);
}

static void role_stop(struct role *r)
{
	role_write(r);
	names_file_flush(r->names);
	loop_stop(&r->loop);
}

/* --- start --- */

/* The kernel's name of this host, made fit for the wire */
static void host_name_get(char *ret, size_t size)
{
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	name[size - 1] = '\0';
	for (char *c = name; *c; c++) {
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-' ||
		      *c == '.' || *c == '_'))
			*c = '_';
	}
	if (!name_valid(name))
		name[0] = '\0';
	memcpy(ret, name, size);
}

static int role_check(const struct role *r, struct err *err)
{
	const struct config *c = &r->config;
	uint8_t family = sockets_config_of(c).family;
	struct stat st;

	if (!ip_is_none(&c->host_ip) && c->host_ip.family != family)
		return err_set(err, -EINVAL, "HOST_IP must be of the family of MULTICAST_GROUP");
	/* That STACK_ID and VNI come together, config.c has seen to */
	if (c->stack_id[0] || r->supervised || fstatat(r->dir.fd, STATE_INVENTORY, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return err_set(err, -EINVAL,
		       "STACK_ID is required, VNI is required: there is no %s in %s that would name stacks to announce",
		       STATE_INVENTORY, c->state_dir);
}

/*
 * In a sticky directory we cannot replace a file of root's: one written by hand, or by an older program as root. So it
 * becomes ours while that is still possible. What is no plain file is left alone: writing will say so.
 */
static void file_take_over(const struct state_dir *dir, const char *name)
{
	int fd = openat(dir->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == 0 &&
	    fchown(fd, dir->uid, dir->gid) < 0)
		log_warning("a file belongs to root and cannot be taken over", kv_str("file", name),
			    kv_str("why", strerror(errno)));
	close(fd);
}

static void on_key(void *arg)
{
	struct role *r = arg;

	bool first = r->core && !core_is_sealed(r->core);

	role_write_soon(r);
	if (first) { /* before the modes: what they learned in clear they must not tell it once more */
		guard_keyed(r->guard, r->core);
		core_sealed(r->core, role_now(), true);
	}
	modes_keys(&r->modes);
	role_drain(r);
}

static int role_guard(struct role *r, struct err *err)
{
	char path[512];
	struct guard_config config = {.path = path,
				      .optional = !r->config.cluster_key_file[0],
				      .host_id = r->host_id,
				      .live_us = r->config.peer_timeout_s * USEC_PER_SEC,
				      .changed = on_key,
				      .arg = r};

	join_key_path(r->config.cluster_key_file, r->dir.path, path, sizeof(path));
	return guard_new(&r->loop, &config, &r->guard, err);
}

static int role_open(struct role *r, struct err *err)
{
	int rc = state_dir_open(r->config.state_dir, &r->dir, err);

	if (rc < 0)
		return rc;
	rc = role_check(r, err);
	if (rc < 0)
		return rc;
	if (geteuid() == 0) {
		file_take_over(&r->dir, STATE_DISCOVERY);
		file_take_over(&r->dir, STATE_NAMES);
		if (r->dir.fallback)
			log_warning("there is no user docker-router, running as nobody");
	}
	rc = modes_open(&r->modes, &r->config, err);
	if (rc < 0)
		return rc;
	rc = identity_load(&r->dir, r->host_id, err);
	if (rc < 0)
		return rc;
	if (err->text[0])
		log_warning("host_id is new", kv_str("why", err->text));
	err->text[0] = '\0';
	rc = role_guard(r, err);
	if (rc < 0)
		return rc;
	rc = privileges_drop(r->dir.uid, r->dir.gid, NULL, 0, 0, err);
	if (rc == 0 && sandbox_enter(modes_sandbox(&r->modes, &r->config), err) < 0) {
		log_warning("no seccomp: all system calls are allowed", kv_str("why", err->text));
		err->text[0] = '\0';
	}
	return rc;
}

static void role_core(struct role *r)
{
	const struct config *c = &r->config;
	struct core_config config = {.vxlan_port = c->vxlan_port,
				     .discovery_port = c->discovery_port,
				     .announce_us = c->announce_interval_s * USEC_PER_SEC,
				     .timeout_us = c->peer_timeout_s * USEC_PER_SEC,
				     .multicast = c->modes & MODE_MULTICAST,
				     .goodbye = c->goodbye == GOODBYE_STOP,
				     .sealed = guard_key_id(r->guard)[0] != '\0',
				     .peers = c->peers,
				     .n_peers = c->modes & MODE_STATIC ? c->n_peers : 0,
				     .mapping = c->mapping,
				     .feeds = (uint8_t)((c->modes & MODE_ETCD ? 1u << FEED_ETCD : 0) |
							(c->modes & MODE_GOSSIP ? 1u << FEED_GOSSIP : 0) |
							(c->modes & MODE_DNS ? 1u << FEED_DNS : 0)),
				     .reserved = {c->shadow4, c->shadow6}};

	str_copy(config.host_id, r->host_id);
	str_copy(config.host_name, r->host_name);
	modes_print(c->modes, config.modes, sizeof(config.modes));
	/* Nothing secret hangs on it: jitter, and where the hashes start */
	if (getrandom(&config.random, sizeof(config.random), GRND_NONBLOCK) != sizeof(config.random))
		config.random = (uint64_t)mono_now().us ^ (uint64_t)getpid() << 32;
	r->core = core_new(&config);
}

static int role_start(struct role *r, struct err *err)
{
	int rc;

	role_core(r);
	r->core_timer = timer_new(&r->loop, "discovery core", on_core_timer, r);
	r->write_timer = timer_new(&r->loop, "write discovery.json", role_write, r);
	r->refresh_timer = timer_new(&r->loop, "refresh discovery.json", on_refresh, r);
	r->sighup = sigwatch_new(&r->loop, SIGHUP, on_sighup, r);
	r->sigterm = sigwatch_new(&r->loop, SIGTERM, on_sigterm, r);
	r->sigint = sigwatch_new(&r->loop, SIGINT, on_sigterm, r);
	r->sigusr1 = sigwatch_new(&r->loop, SIGUSR1, on_sigusr1, r);
	role_load(r);
	r->receivers = receivers_new(&r->loop, &r->dir, on_receivers, r);
	r->names = names_file_new(&r->loop, &r->dir, r->core);
	names_file_load(r->names);
	if (dirwatch_new(&r->loop, r->dir.path, on_state_dir, r, &r->watch, err) < 0)
		log_warning("STATE_DIR cannot be watched", kv_str("why", err->text));
	struct sockets_config where = sockets_config_of(&r->config);
	r->sockets = sockets_new(&r->loop, &where, on_datagram, on_moved, r);
	rc = sockets_start(r->sockets, err);
	if (rc < 0)
		return rc;
	r->routes = routes_new(&r->loop, on_routes, r);
	if (routes_start(r->routes, err) < 0)
		log_warning("routes cannot be followed: what they clash with is not mapped", kv_str("why", err->text));
	/* Stacks first: then the first datagram says all */
	role_read_wireguard(r);
	receivers_file(r->receivers);
	role_read_inventory(r);
	if (!r->have_inventory)
		role_stacks(r);
	core_start(r->core, role_now());
	r->env = (struct mode_env){.loop = &r->loop,
				   .config = &r->config,
				   .host_id = r->host_id,
				   .host_name = r->host_name,
				   .core = r->core,
				   .guard = r->guard,
				   .dir = &r->dir,
				   .write = on_mode_write,
				   .changed = on_mode,
				   .arg = r};
	rc = modes_start(&r->modes, &r->env, err);
	if (rc < 0)
		return rc;
	role_drain(r);
	return 0;
}

static void role_done(struct role *r)
{
	modes_done(&r->modes);
	guard_free(r->guard);
	sockets_free(r->sockets);
	routes_free(r->routes);
	names_file_free(r->names);
	receivers_free(r->receivers);
	dirwatch_free(r->watch);
	timer_free(r->core_timer);
	timer_free(r->write_timer);
	timer_free(r->refresh_timer);
	sigwatch_free(r->sighup);
	sigwatch_free(r->sigterm);
	sigwatch_free(r->sigint);
	sigwatch_free(r->sigusr1);
	loop_done(&r->loop);
	core_free(r->core);
	inventory_done(&r->inventory);
	problems_done(&r->told);
	state_dir_done(&r->dir);
	config_done(&r->config);
}

/* Take --say-goodbye out of the arguments: a verb more than a setting. Return: was it there? */
static bool goodbye_wanted(int *argc, char **argv)
{
	int kept = 0, n = *argc;

	for (int i = 0; i < n; i++) {
		if (!str_eq(argv[i], "--say-goodbye"))
			argv[kept++] = argv[i];
	}
	*argc = kept;
	if (kept < n)
		argv[kept] = NULL;
	return kept < n;
}

int main(int argc, char **argv, char **env)
{
	struct role r = {.dir = {.fd = -1}};
	struct err err = {0};
	const char *supervised = getenv("DOCKER_ROUTER_HOST");
	bool goodbye;
	int n_args = argc - 1, rc;

	alloc_sparing();
	if (argc == 3 && str_eq(argv[1], GUARD_READER))
		return guard_reader_main(argv[2]);
	r.supervised = supervised && str_eq(supervised, "1");
	goodbye = goodbye_wanted(&n_args, argv + 1);
	rc = config_begin(FOR_DISCOVERY, "discovery", n_args, argv + 1, env, &r.config);
	if (rc >= 0)
		return rc;
	if (goodbye) { /* back to where modes_become() and nobody else will look for it */
		argv[1 + n_args] = (char *)"--say-goodbye";
		argv[2 + n_args] = NULL;
	}
	if (modes_become(&r.config, argv, &err) < 0) {
		log_error("cannot start", kv_str("why", err.text));
		config_done(&r.config);
		return 1;
	}
	host_name_get(r.host_name, sizeof(r.host_name));
	loop_init(&r.loop);
	if (goodbye) {
		rc = goodbye_say(&r.loop, &r.config);
		role_done(&r);
		return rc;
	}
	rc = role_open(&r, &err);
	if (rc == -EINVAL) {
		fprintf(stderr, "docker-router discovery: %s\n", err.text);
		role_done(&r);
		return 2;
	}
	if (rc == 0)
		rc = role_start(&r, &err);
	if (rc < 0) {
		log_error("cannot start", kv_str("why", err.text));
		role_done(&r);
		return 1;
	}
	log_info("started", kv_str("host_id", r.host_id), kv_str("state_dir", r.dir.path));
	loop_run(&r.loop);
	role_count(&r);
	role_done(&r);
	return 0;
}
