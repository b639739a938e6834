/* SPDX-License-Identifier: Apache-2.0
 *
 * The role names: reads what the other roles know, keeps a table of it, and answers every container of a member stack
 * out of it, and the host. Holds no capability and runs as the user docker-router: what containers send is parsed here.
 * Whatever becomes of this process, containers have Docker's resolver; see docs/decisions/11-names.md.
 */
#include <signal.h>

#include "base/log.h"
#include "names/container.h"
#include "names/stub.h"
#include "state/config.h"
#include "state/identity.h"
#include "state/records.h"
#include "state/sandbox.h"

/* A change that comes alone counts at once; in a burst the next waits twice as long as the last took */
#define READ_PAUSE_US  (25 * USEC_PER_MSEC)
#define READ_WAIT_US   (5 * USEC_PER_MSEC)
#define WRITE_US       (200 * USEC_PER_MSEC) /* records.json is for people */
#define WRITE_RETRY_US (5 * USEC_PER_SEC)

enum input { INPUT_INVENTORY, INPUT_NAMES, INPUT_DISCOVERY, INPUT_ROUTER, INPUT_N_ };
static const char *const input_files[] = {STATE_INVENTORY, STATE_NAMES, STATE_DISCOVERY, STATE_ROUTER};
_Static_assert(ARRAY_LEN(input_files) == INPUT_N_, "a file for every input");

struct role {
	uv_loop_t loop;
	struct config config;
	struct state_dir dir;
	struct serve serve;
	struct stub *stubs[LIMIT_LISTEN];
	size_t n_stubs;
	struct container **containers; /* sorted by id */
	size_t n_containers;
	struct inventory inventory;
	struct names names;
	struct discovery discovery;
	struct router_state router; /* refused[] and held[] alone */
	struct table *table;
	unsigned changed;    /* inputs that are to be read, bits */
	bool bad[INPUT_N_];  /* that was told */
	bool have[INPUT_N_]; /* read at least once */
	bool write_failed;
	int64_t read_us, read_took_us;
	uint64_t written; /* hash of what records.json says */
	struct timer *read_timer, *write_timer;
	struct dirwatch *watch;
	struct sigwatch *sighup, *sigterm, *sigint, *sigusr1;
	struct problems told;
};

/* --- records.json --- */

/* It asks at an address where we listen: it was given that for a name server */
static bool asks_stub(const struct role *r, const struct inv_container *c)
{
	for (size_t i = 0; i < c->n_dns; i++)
		for (size_t j = 0; j < r->n_stubs; j++)
			if (stub_answers(r->stubs[j], &c->dns[i]))
				return true;
	return false;
}

static void records_container(const struct role *r, const struct container *c, struct records *ret)
{
	struct record_container *rc = xgrow(&ret->containers, ret->n_containers, &ret->cap_containers);
	bool by_stub = false;

	ret->n_containers++;
	str_copy(rc->id, container_id(c));
	rc->answered = container_answered(c);
	for (size_t i = 0; i < r->inventory.n_stacks; i++) {
		const struct inv_stack *s = &r->inventory.stacks[i];
		bool there = false;

		for (size_t j = 0; j < s->n_containers; j++) {
			if (!str_eq(s->containers[j].id, rc->id))
				continue;
			str_copy(rc->name, s->containers[j].name);
			by_stub |= asks_stub(r, &s->containers[j]);
			for (size_t k = 0; k < rc->n_vnis; k++)
				there |= rc->vnis[k] == s->vni;
			if (!there && rc->n_vnis < ARRAY_LEN(rc->vnis))
				rc->vnis[rc->n_vnis++] = s->vni;
		}
	}
	by_stub &= !rc->answered;
	rc->answered |= by_stub;
	rc->why = xstrdup(by_stub ? "by NAMES_LISTEN" : container_why(c));
	if (container_failing(c) && !by_stub)
		problems_add(&ret->problems, rc->name, "", "its queries are not answered: %s", rc->why);
}

static void records_make(const struct role *r, struct records *ret)
{
	autobuf struct buf error = {0};

	str_copy(ret->domain, r->config.names_domain);
	for (size_t i = 0; i < r->n_stubs; i++) {
		char at[ENDPOINT_STRLEN];

		ret->listen[ret->n_listen++] = *stub_at(r->stubs[i]);
		if (stub_error(r->stubs[i])[0])
			buf_printf(&error, "%s%s: %s", error.len ? "; " : "", endpoint_format(stub_at(r->stubs[i]), at),
				   stub_error(r->stubs[i]));
	}
	ret->listen_error = xstrdup(error.data ? error.data : "");
	if (ret->listen_error[0])
		problems_add(&ret->problems, "NAMES_LISTEN", "", "the host's resolver is not served at %s",
			     ret->listen_error);
	for (size_t i = 0; i < r->n_containers; i++)
		records_container(r, r->containers[i], ret);
	if (r->table)
		table_records(r->table, ret);
}

static uint64_t hash_ips(const struct ip *ips, size_t n, uint64_t h)
{
	for (size_t i = 0; i < n; i++)
		h = hash64(ips[i].b, ip_size(ips[i].family), h);
	return h;
}

static uint64_t hash_text(const char *s, uint64_t h)
{
	return hash64(s, strlen(s) + 1, h);
}

static uint64_t records_hash(const struct records *r)
{
	uint64_t h = hash_text(r->listen_error, 1);

	for (size_t i = 0; i < r->n_containers; i++) {
		const struct record_container *c = &r->containers[i];

		h = hash_text(c->id, h + c->answered);
		h = hash_text(c->name, h);
		h = hash_text(c->why, h);
		h = hash64(c->vnis, c->n_vnis * sizeof(*c->vnis), h);
	}
	for (size_t i = 0; i < r->n_records; i++) {
		const struct record *e = &r->records[i];

		h = hash_text(e->name, h + e->kind);
		h = hash_text(e->stack_id, h + e->vni);
		h = hash_text(e->host_id, h);
		h = hash_text(e->host_name, h);
		h = hash_ips(e->addresses, e->n_addresses, h);
		h = hash_ips(e->mapped, e->n_mapped, h + e->n_mapped);
	}
	for (size_t i = 0; i < r->problems.n; i++) {
		h = hash_text(r->problems.v[i].object, h);
		h = hash_text(r->problems.v[i].text, h);
	}
	return h;
}

static void on_write(void *arg)
{
	struct role *r = arg;
	struct records out = {.last_update = wall_now()};
	struct err err = {0};
	uint64_t hash;

	records_make(r, &out);
	hash = records_hash(&out);
	if (hash == r->written) {
		records_done(&out);
		return;
	}
	if (records_write(r->dir.fd, &out, &err) < 0) {
		if (!r->write_failed)
			log_error(STATE_RECORDS " cannot be written, the old one stays", kv_str("why", err.text));
		r->write_failed = true;
		timer_start(r->write_timer, WRITE_RETRY_US);
	} else {
		if (r->write_failed)
			log_info(STATE_RECORDS " is written again");
		r->write_failed = false;
		r->written = hash;
	}
	problems_log_new(&r->told, &out.problems, NULL);
	problems_done(&r->told);
	r->told = out.problems;
	out.problems = (struct problems){0};
	records_done(&out);
	alloc_trim(); /* thousands of names as JSON are megabytes for a moment */
}

static void on_changed(void *arg)
{
	struct role *r = arg;

	if (!timer_is_set(r->write_timer))
		timer_start(r->write_timer, WRITE_US);
}

/* --- containers --- */

static int inv_container_cmp(const void *a, const void *b)
{
	return strcmp((*(const struct inv_container *const *)a)->id, (*(const struct inv_container *const *)b)->id);
}

/* Those of the inventory, each once though it may be in several stacks, sorted by id. Return: their number */
static size_t containers_list(const struct inventory *inv, const struct inv_container ***ret)
{
	const struct inv_container **v;
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < inv->n_stacks; i++)
		n += inv->stacks[i].n_containers;
	v = xcalloc(n + 1, sizeof(*v));
	n = 0;
	for (size_t i = 0; i < inv->n_stacks; i++)
		for (size_t j = 0; j < inv->stacks[i].n_containers; j++)
			v[n++] = &inv->stacks[i].containers[j];
	if (n > 1)
		qsort(v, n, sizeof(*v), inv_container_cmp);
	for (size_t i = 0; i < n; i++)
		if (!kept || !str_eq(v[kept - 1]->id, v[i]->id))
			v[kept++] = v[i];
	*ret = v;
	return kept;
}

static void containers_sync(struct role *r)
{
	const struct inv_container **want;
	size_t n = containers_list(&r->inventory, &want), i = 0, j = 0, k = 0;
	struct container **now = xcalloc(n + 1, sizeof(*now)); /* NOLINT(bugprone-sizeof-expression): pointers */

	while (i < n || j < r->n_containers) {
		int order = i == n		   ? 1
			    : j == r->n_containers ? -1
						   : strcmp(want[i]->id, container_id(r->containers[j]));

		if (order > 0) {
			container_free(r->containers[j++]);
		} else if (order < 0) {
			now[k++] = container_new(&r->serve, want[i++]);
		} else {
			container_table_changed(r->containers[j]);
			container_update(r->containers[j], want[i++]);
			now[k++] = r->containers[j++];
		}
	}
	free(r->containers);
	r->containers = now;
	r->n_containers = k;
	free(want);
}

/* --- what the other roles say --- */

/* Did it read @rc well? Otherwise what was known before stays, and that is told once */
static bool input_good(struct role *r, enum input i, int rc, const struct err *err)
{
	if (rc == -ENOENT && !r->have[i])
		return false;
	if (rc < 0) {
		if (!r->bad[i])
			log_warning("a state file cannot be used, what it said before stays",
				    kv_str("file", input_files[i]),
				    kv_str("why", rc == -ENOENT ? "it is gone" : err->text));
		r->bad[i] = true;
		return false;
	}
	if (r->bad[i])
		log_info("a state file can be used again", kv_str("file", input_files[i]));
	r->bad[i] = false;
	r->have[i] = true;
	return true;
}

/* What was read, until the table that points into what was before is gone */
struct fresh {
	struct inventory inventory;
	struct names names;
	struct discovery discovery;
	struct router_state router;
	bool good[INPUT_N_];
};

static void inputs_read(struct role *r, struct fresh *f)
{
	struct file_owner root = owner_of_root(&r->dir), discovery = owner_of_discovery(&r->dir);

	for (enum input i = 0; i < INPUT_N_; i++) {
		struct err err = {0};
		int rc = -ENOENT;

		if (!(r->changed & 1u << i))
			continue;
		switch (i) {
		case INPUT_INVENTORY:
			rc = inventory_read(r->dir.fd, &root, &f->inventory, &err);
			break;
		case INPUT_NAMES:
			rc = names_read(r->dir.fd, &discovery, &f->names, &err);
			break;
		case INPUT_DISCOVERY:
			rc = discovery_read(r->dir.fd, &discovery, &f->discovery, &err);
			break;
		case INPUT_ROUTER:
			rc = router_refused_read(r->dir.fd, &root, &f->router, &err);
			if (rc == -ENOENT) /* no router, nothing refused */
				rc = 0;
			break;
		case INPUT_N_:
			break;
		}
		f->good[i] = input_good(r, i, rc, &err);
	}
	r->changed = 0;
}

/* The routes are not in it */
static bool refused_same(const struct router_state *a, const struct router_state *b)
{
	json_t *x = router_state_to_json(a), *y = router_state_to_json(b);
	bool same = json_equal(x, y);

	json_decref(x);
	json_decref(y);
	return same;
}

static void on_read(void *arg)
{
	struct role *r = arg;
	int64_t begin_us = mono_now().us;
	struct fresh f = {0};

	inputs_read(r, &f);
	/* router.json changes with every counter in it, and for us hardly ever */
	if (f.good[INPUT_ROUTER] && refused_same(&f.router, &r->router)) {
		router_state_done(&f.router);
		f.good[INPUT_ROUTER] = false;
	}
	if (!f.good[INPUT_INVENTORY] && !f.good[INPUT_NAMES] && !f.good[INPUT_DISCOVERY] && !f.good[INPUT_ROUTER])
		return;
	table_free(r->table);
	r->table = NULL;
	if (f.good[INPUT_INVENTORY]) {
		inventory_done(&r->inventory);
		r->inventory = f.inventory;
	}
	if (f.good[INPUT_NAMES]) {
		names_done(&r->names);
		r->names = f.names;
	}
	if (f.good[INPUT_DISCOVERY]) {
		discovery_done(&r->discovery);
		r->discovery = f.discovery;
	}
	if (f.good[INPUT_ROUTER]) {
		router_state_done(&r->router);
		r->router = f.router;
	}
	if (r->have[INPUT_INVENTORY])
		r->table = table_new(&r->inventory, &r->names, &r->discovery, &r->router, r->config.names_domain);
	r->serve.table = r->table;
	containers_sync(r);
	r->read_us = mono_now().us;
	r->read_took_us = r->read_us - begin_us;
	log_debug("state files read", kv_int("took_us", r->read_took_us));
	on_changed(r);
}

static void inputs_changed(struct role *r, unsigned which)
{
	int64_t delay_us = 2 * r->read_took_us;

	r->changed |= which;
	if (timer_is_set(r->read_timer))
		return;
	delay_us = delay_us < READ_WAIT_US ? READ_WAIT_US : delay_us;
	if (mono_now().us - r->read_us > (delay_us > READ_PAUSE_US ? delay_us : READ_PAUSE_US))
		delay_us = 0;
	timer_start(r->read_timer, delay_us);
}

static void on_state_dir(void *arg, const char *name)
{
	struct role *r = arg;

	for (enum input i = 0; i < INPUT_N_; i++)
		if (!name || str_eq(name, input_files[i]))
			inputs_changed(r, 1u << i);
	if (name && str_eq(name, STATE_RECORDS) && faccessat(r->dir.fd, STATE_RECORDS, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		r->written = 0;
		on_changed(r);
	}
}

/* --- signals --- */

static void role_count(const struct role *r)
{
	log_info("queries", kv_int("answered", (int64_t)r->serve.answered),
		 kv_int("asked_on", (int64_t)r->serve.asked_on), kv_int("refused", (int64_t)r->serve.refused));
}

static void on_sighup(void *arg, int signum)
{
	inputs_changed(arg, (1u << INPUT_N_) - 1);
}

static void on_sigusr1(void *arg, int signum)
{
	role_count(arg);
}

static void on_sigterm(void *arg, int signum)
{
	struct role *r = arg;

	loop_stop(&r->loop);
}

/* --- start and end --- */

static int role_open(struct role *r, struct err *err)
{
	const char *given = getenv(BROKER_FD_ENV);
	uint64_t fd;
	int rc;

	if (!given)
		return err_set(err, -EINVAL,
			       "runs below `docker-router host`, which enters containers for it; docker-router records "
			       "lists the names");
	if (parse_u64(given, 3, 1023, &fd) < 0)
		return err_set(err, -EINVAL, BROKER_FD_ENV ": \"%.20s\" is not a descriptor", given);
	r->serve.broker = broker_connect(&r->loop, (int)fd);
	rc = state_dir_open(r->config.state_dir, &r->dir, err);
	if (rc < 0)
		return rc;
	if (geteuid() == 0 && r->dir.fallback)
		log_warning("there is no user docker-router, running as nobody");
	file_limit_raise(3 * LIMIT_CONTAINERS + 256); /* three a container, and a thousand are the usual bound */
	for (; r->n_stubs < r->config.n_names_listen; r->n_stubs++)
		r->stubs[r->n_stubs] = stub_new(&r->serve, &r->config.names_listen[r->n_stubs]);
	rc = privileges_drop(r->dir.uid, r->dir.gid, NULL, 0, 0, err);
	if (rc == 0 && sandbox_enter(SANDBOX_NET, err) < 0)
		log_warning("no seccomp: all system calls are allowed", kv_str("why", err->text));
	return rc;
}

static void role_start(struct role *r)
{
	struct err err;

	r->read_timer = timer_new(&r->loop, "read state files", on_read, r);
	r->write_timer = timer_new(&r->loop, "write " STATE_RECORDS, on_write, r);
	r->sighup = sigwatch_new(&r->loop, SIGHUP, on_sighup, r);
	r->sigterm = sigwatch_new(&r->loop, SIGTERM, on_sigterm, r);
	r->sigint = sigwatch_new(&r->loop, SIGINT, on_sigterm, r);
	r->sigusr1 = sigwatch_new(&r->loop, SIGUSR1, on_sigusr1, r);
	if (dirwatch_new(&r->loop, r->dir.path, on_state_dir, r, &r->watch, &err) < 0)
		log_warning("STATE_DIR cannot be watched", kv_str("why", err.text));
	for (size_t i = 0; i < r->n_stubs; i++)
		stub_start(r->stubs[i]);
	inputs_changed(r, (1u << INPUT_N_) - 1);
	on_changed(r);
}

static void role_done(struct role *r)
{
	broker_free(r->serve.broker);
	r->serve.broker = NULL;
	for (size_t i = 0; i < r->n_containers; i++)
		container_free(r->containers[i]);
	free(r->containers);
	for (size_t i = 0; i < r->n_stubs; i++)
		stub_free(r->stubs[i]);
	dirwatch_free(r->watch);
	timer_free(r->read_timer);
	timer_free(r->write_timer);
	sigwatch_free(r->sighup);
	sigwatch_free(r->sigterm);
	sigwatch_free(r->sigint);
	sigwatch_free(r->sigusr1);
	loop_done(&r->loop);
	table_free(r->table);
	inventory_done(&r->inventory);
	names_done(&r->names);
	discovery_done(&r->discovery);
	router_state_done(&r->router);
	problems_done(&r->told);
	free(r->serve.batch);
	state_dir_done(&r->dir);
	config_done(&r->config);
}

int main(int argc, char **argv, char **env)
{
	struct role r = {.dir = {.fd = -1}};
	struct err err = {0};
	int rc;

	alloc_sparing();
	rc = config_begin(FOR_NAMES, "names", argc - 1, argv + 1, env, &r.config);
	if (rc >= 0)
		return rc;
	loop_init(&r.loop);
	r.serve = (struct serve){
		.loop = &r.loop, .batch = xcalloc(1, sizeof(*r.serve.batch)), .changed = on_changed, .arg = &r};
	rc = role_open(&r, &err);
	if (rc < 0) {
		log_error("cannot start", kv_str("why", err.text));
		role_done(&r);
		return rc == -EINVAL ? 2 : 1;
	}
	role_start(&r);
	log_info("started", kv_str("state_dir", r.dir.path), kv_str("domain", r.config.names_domain));
	loop_run(&r.loop);
	role_count(&r);
	role_done(&r);
	return 0;
}
