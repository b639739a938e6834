/* SPDX-License-Identifier: Apache-2.0
 *
 * The role inventory: follows the engines of DOCKER_HOST and keeps inventory.json. It runs as uid 0 without any
 * capability: it needs the Docker socket, which is root already, and nothing else.
 *
 * A change that comes alone is written at once; while changes keep coming they are gathered for 5 ms after the last, 25
 * ms at most. Nothing is written when nothing changed.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/log.h"
#include "inventory/engine.h"
#include "state/identity.h"

#define GATHER_US      (5 * USEC_PER_MSEC)
#define GATHER_MAX_US  (25 * USEC_PER_MSEC)
#define WRITE_RETRY_US (2 * USEC_PER_SEC)

struct role {
	int argc;
	char **argv, **env;
	uv_loop_t loop;
	struct config config;
	struct state_dir dir;
	struct http *http;
	struct engine **engines;
	size_t n_engines;
	struct inventory before; /* of an earlier run since the machine was started */
	struct inventory written;
	struct file_mark mark; /* of the file as we wrote it */
	bool have_written, write_failed;
	int64_t last_write_us, pending_since_us; /* pending_since_us 0: nothing is pending */
	struct timer *write_timer;
	struct nic_requests requests; /* of the config file, of ATTACH_UCI, of plugs.json: in this order */
	struct problems request_problems;
	struct dirwatch *watch, *uci_watch;
	struct sigwatch *sighup, *sigterm, *sigint;
};

/* ---- writing ---- */

static struct model_config role_networks(const struct role *r)
{
	return (struct model_config){
		.networks = r->config.networks, .n_networks = r->config.n_networks, .attach = &r->requests};
}

static void role_build(const struct role *r, struct inventory *ret)
{
	struct model_source *sources = xcalloc(r->n_engines + 1, sizeof(*sources));
	struct model_config config = role_networks(r);

	for (size_t i = 0; i < r->n_engines; i++)
		engine_view(r->engines[i], &sources[i]);
	model_build(sources, r->n_engines, &config, ret);
	for (size_t i = 0; i < r->request_problems.n; i++)
		problems_add(&ret->problems, r->request_problems.v[i].object, "", "%s", r->request_problems.v[i].text);
	model_carry_over(&r->before, ret);
	free(sources);
}

static void role_write(void *arg)
{
	struct role *r = arg;
	struct inventory inv;
	struct err err = {0};

	r->pending_since_us = 0;
	role_build(r, &inv);
	if (r->have_written && inventory_same(&inv, &r->written)) {
		inventory_done(&inv);
		return;
	}
	inv.last_update = wall_now();
	if (inventory_write(r->dir.fd, &inv, &err) < 0) {
		if (!r->write_failed)
			log_error("inventory.json cannot be written, the old one stays", kv_str("why", err.text));
		r->write_failed = true;
		timer_start(r->write_timer, WRITE_RETRY_US);
		inventory_done(&inv);
		return;
	}
	if (r->write_failed)
		log_info("inventory.json is written again");
	r->write_failed = false;
	r->mark = file_mark_get(r->dir.fd, STATE_INVENTORY);
	r->last_write_us = mono_now().us;
	problems_log_new(&r->written.problems, &inv.problems, NULL);
	log_debug("inventory.json written", kv_int("stacks", (int64_t)inv.n_stacks));
	inventory_done(&r->written);
	r->written = inv;
	r->have_written = true;
}

static bool role_settled(const struct role *r)
{
	for (size_t i = 0; i < r->n_engines; i++) {
		if (!engine_settled(r->engines[i]))
			return false;
	}
	return true;
}

static void on_changed(void *arg)
{
	struct role *r = arg;
	int64_t now_us = mono_now().us, at_us;

	/* at the start the file of the run before is better than half of the engines */
	if (!r->have_written && !role_settled(r))
		return;
	if (r->write_failed && timer_is_set(r->write_timer))
		return;
	if (!r->pending_since_us)
		r->pending_since_us = now_us;
	at_us = now_us - r->last_write_us < GATHER_MAX_US ? now_us + GATHER_US : now_us;
	if (at_us > r->pending_since_us + GATHER_MAX_US)
		at_us = r->pending_since_us + GATHER_MAX_US;
	timer_start(r->write_timer, at_us > now_us ? at_us - now_us : 0);
}

/* ---- NICs for containers that are named ---- */

static void uci_read(struct role *r)
{
	autobuf struct buf text = {0};
	struct err err;
	int rc = file_read(AT_FDCWD, r->config.attach_uci, LIMIT_UCI_BYTES, NULL, &text, &err);

	if (rc == -ENOENT || rc == -ENOTDIR)
		return; /* no OpenWrt */
	if (rc == 0)
		rc = uci_nics_parse(r->config.attach_uci, text.data ? text.data : "", text.len, &r->requests,
				    &r->request_problems, &err);
	if (rc < 0)
		problems_add(&r->request_problems, r->config.attach_uci, "", "%s", err.text);
}

static void requests_read(struct role *r)
{
	struct file_owner owner = owner_of_root(&r->dir);
	struct err err;

	nic_requests_done(&r->requests);
	problems_done(&r->request_problems);
	nic_requests_copy(&r->config.attach, &r->requests);
	uci_read(r);
	int rc = plugs_read(r->dir.fd, &owner, &r->requests, &r->request_problems, &err);
	if (rc < 0 && rc != -ENOENT)
		problems_add(&r->request_problems, STATE_PLUGS, "", "%s", err.text);
}

static void requests_changed(struct role *r)
{
	struct model_config config;

	requests_read(r);
	config = role_networks(r);
	for (size_t i = 0; i < r->n_engines; i++)
		engine_configure(r->engines[i], &config);
	on_changed(r);
}

static void on_uci_dir(void *arg, const char *name)
{
	struct role *r = arg;
	const char *slash = strrchr(r->config.attach_uci, '/');

	if (!name || str_eq(name, slash ? slash + 1 : r->config.attach_uci))
		requests_changed(r);
}

static void uci_watch(struct role *r)
{
	autofree char *dir = xstrdup(r->config.attach_uci);
	char *slash = strrchr(dir, '/');

	dirwatch_free(r->uci_watch);
	r->uci_watch = NULL;
	if (!slash || slash == dir)
		return;
	*slash = '\0';
	if (access(dir, F_OK) < 0 || dirwatch_new(&r->loop, dir, on_uci_dir, r, &r->uci_watch, NULL) < 0)
		r->uci_watch = NULL; /* SIGHUP does it too */
}

/* Somebody else deleted, replaced or changed our file: what we know is still true. */
static void on_state_dir(void *arg, const char *name)
{
	struct role *r = arg;

	if (!name || str_eq(name, STATE_PLUGS))
		requests_changed(r);
	if (!r->have_written || (name && !str_eq(name, STATE_INVENTORY)))
		return;
	struct file_mark now = file_mark_get(r->dir.fd, STATE_INVENTORY);
	if (file_mark_same(&now, &r->mark))
		return;
	r->have_written = false;
	timer_start(r->write_timer, 0);
}

/* ---- engines ---- */

static struct engine *engine_take(struct role *r, const char *endpoint)
{
	for (size_t i = 0; i < r->n_engines; i++) {
		struct engine *e = r->engines[i];

		if (e && str_eq(engine_endpoint(e), endpoint)) {
			r->engines[i] = NULL;
			return e;
		}
	}
	return NULL;
}

/* Follow the engines of the config: those that stay go on undisturbed. */
static int role_engines(struct role *r, const struct config *config, struct err *err)
{
	struct model_config networks = {
		.networks = config->networks, .n_networks = config->n_networks, .attach = &r->requests};
	struct engine **engines = xcalloc(config->n_docker_hosts + 1, sizeof(struct engine *));
	int rc = 0;

	for (size_t i = 0; i < config->n_docker_hosts && rc == 0; i++) {
		engines[i] = engine_take(r, config->docker_hosts[i]);
		if (engines[i])
			engine_configure(engines[i], &networks);
		else
			rc = engine_new(&r->loop, r->http, config->docker_hosts[i], &networks, on_changed, r,
					&engines[i], err);
	}
	for (size_t i = 0; i < r->n_engines; i++)
		engine_free(r->engines[i]);
	free(r->engines);
	r->engines = engines;
	r->n_engines = 0;
	while (r->n_engines < config->n_docker_hosts && engines[r->n_engines])
		r->n_engines++;
	return rc;
}

static void on_sighup(void *arg, int signum)
{
	struct role *r = arg;
	struct config config = {0};
	struct err err = {0};
	int rest;

	if (config_load(FOR_INVENTORY, "inventory", r->argc, r->argv, r->env, &config, &rest, &err) != 0) {
		log_error("the new config is refused, the old one stays", kv_str("why", err.text));
		return;
	}
	if (!str_eq(config.state_dir, r->config.state_dir))
		log_warning("STATE_DIR cannot change while running", kv_str("stays", r->config.state_dir));
	str_copy(config.state_dir, r->config.state_dir);
	log_init("inventory", config.log_level, config.log_format);
	struct config before = r->config;
	r->config = config;
	requests_read(r);
	uci_watch(r);
	if (role_engines(r, &config, &err) < 0)
		log_error("an engine of the new config is left out", kv_str("why", err.text));
	config_done(&before);
	log_info("config read again", kv_int("engines", (int64_t)r->n_engines),
		 kv_int("networks", (int64_t)config.n_networks));
	on_changed(r);
}

static void on_sigterm(void *arg, int signum)
{
	struct role *r = arg;

	loop_stop(&r->loop);
}

/* ---- start ---- */

/* What an earlier run knew stands for engines that do not answer yet; but not over a start of the machine. */
static void role_read_before(struct role *r)
{
	struct file_owner owner = owner_of_root(&r->dir);
	int64_t booted_ms = wall_now().ms - mono_now().us / USEC_PER_MSEC;
	struct err err = {0};

	if (inventory_read(r->dir.fd, &owner, &r->before, &err) < 0) {
		if (err.code != -ENOENT)
			log_warning("inventory.json of before is not used", kv_str("why", err.text));
		r->before = (struct inventory){0};
	} else if (r->before.last_update.ms < booted_ms) {
		inventory_done(&r->before);
	}
}

/* The groups of the sockets: without CAP_DAC_OVERRIDE uid 0 is nobody special to a socket of somebody else. */
static size_t socket_groups(const struct config *c, gid_t *ret, size_t max)
{
	size_t n = 0;
	struct stat st;

	for (size_t i = 0; i < c->n_docker_hosts && n < max; i++) {
		const char *endpoint = c->docker_hosts[i];

		if (strncmp(endpoint, "unix://", 7) == 0 && stat(endpoint + 7, &st) == 0)
			ret[n++] = st.st_gid;
	}
	return n;
}

static int role_open(struct role *r, struct err *err)
{
	gid_t groups[LIMIT_ENGINES];
	int rc = state_dir_open(r->config.state_dir, &r->dir, err);

	if (rc < 0)
		return rc;
	if (geteuid() == 0) {
		rc = privileges_drop(0, 0, groups, socket_groups(&r->config, groups, ARRAY_LEN(groups)), 0, err);
		if (rc < 0)
			return rc;
	}
	role_read_before(r);
	loop_init(&r->loop);
	r->http = http_new(&r->loop);
	r->write_timer = timer_new(&r->loop, "write inventory", role_write, r);
	r->sighup = sigwatch_new(&r->loop, SIGHUP, on_sighup, r);
	r->sigterm = sigwatch_new(&r->loop, SIGTERM, on_sigterm, r);
	r->sigint = sigwatch_new(&r->loop, SIGINT, on_sigterm, r);
	if (dirwatch_new(&r->loop, r->dir.path, on_state_dir, r, &r->watch, err) < 0)
		log_warning("STATE_DIR cannot be watched", kv_str("why", err->text));
	requests_read(r);
	uci_watch(r);
	return role_engines(r, &r->config, err);
}

static void role_done(struct role *r)
{
	for (size_t i = 0; i < r->n_engines; i++)
		engine_free(r->engines[i]);
	free(r->engines);
	http_free(r->http);
	dirwatch_free(r->watch);
	dirwatch_free(r->uci_watch);
	nic_requests_done(&r->requests);
	problems_done(&r->request_problems);
	timer_free(r->write_timer);
	sigwatch_free(r->sighup);
	sigwatch_free(r->sigterm);
	sigwatch_free(r->sigint);
	loop_done(&r->loop);
	inventory_done(&r->before);
	inventory_done(&r->written);
	config_done(&r->config);
	state_dir_done(&r->dir);
}

int main(int argc, char **argv, char **env)
{
	struct role r = {.argc = argc - 1, .argv = argv + 1, .env = env, .dir = {.fd = -1}};
	struct err err = {0};
	int rc;

	alloc_sparing();
	rc = config_begin(FOR_INVENTORY, "inventory", r.argc, r.argv, env, &r.config);
	if (rc >= 0)
		return rc;
	if (role_open(&r, &err) < 0) {
		log_error("cannot start", kv_str("why", err.text));
		return 1;
	}
	log_info("started", kv_int("engines", (int64_t)r.n_engines), kv_str("state_dir", r.dir.path));
	loop_run(&r.loop);
	role_done(&r);
	return 0;
}
