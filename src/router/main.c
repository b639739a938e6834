/* SPDX-License-Identifier: Apache-2.0
 *
 * The role router: state files -> desired -> plan -> kernel, again whenever a file or the kernel changes. Holds no
 * state that matters: the kernel's is adopted at the start, and stays when we go.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/log.h"
#include "io/arp.h"
#include "io/broker.h"
#include "io/file.h"
#include "io/loop.h"
#include "router/apply.h"
#include "router/desired.h"
#include "router/gather.h"
#include "router/observe.h"
#include "router/occupied.h"
#include "router/plan.h"
#include "router/refused.h"
#include "router/wg_control.h"
#include "router/wg_own.h"
#include "router/wg_renew.h"
#include "state/config.h"
#include "state/identity.h"
#include "state/join.h"

#define REPLAN_DELAY_US 1000		      /* one plan for a burst of events */
#define RETRY_MIN_US	(250 * USEC_PER_MSEC) /* what failed is tried again, ever less often */
#define RETRY_MAX_US	(30 * USEC_PER_SEC)
#define FAILURE_TOLD_US (3 * USEC_PER_SEC)
#define STREAK_MAX	16 /* plans in a row that changed something: somebody works against us, slow down */
#define WRITE_DELAY_US	(20 * USEC_PER_MSEC)
#define RENEW_US	(2 * USEC_PER_SEC) /* between two looks whether the old WireGuard key may go */
#define WRITE_RETRY_US	(2 * USEC_PER_SEC)

struct failure {
	char *op, *why;
	mono_t first;
	bool told;
};

struct router {
	uv_loop_t loop;
	struct config config;
	int argc;
	char **argv, **env;
	struct state_dir dir;
	char host_id[HOST_ID_LEN + 1], ns_dir[512];
	struct broker *broker;
	struct broker_server *own_broker; /* when nobody gave us one */
	bool alone;			  /* two-container form */
	uint8_t epoch;			  /* two-container form */
	int arp_fd;			  /* two-container form, or -1 */
	bool announced;			  /* our addresses, since they were last changed */
	struct observe *observe;
	struct apply *apply;
	struct dirwatch *watch;
	struct sigwatch *signals[3];
	struct timer *replan, *retry, *write, *tell, *renew;
	struct wg_own *wg; /* NULL: traffic between hosts is not encrypted */
	struct wg_renew renewal;
	struct inventory inventory;
	struct discovery discovery;
	bool have_inventory, have_discovery;
	struct router_state state; /* as last desired: what is established */
	struct refused_budget refused_budget;
	bool write_failed;
	char *written;		  /* router.json without what changes on every run */
	struct file_mark mark;	  /* of router.json as we have written it */
	struct failure *failures; /* of the last run */
	size_t n_failures;
	int64_t retry_us;
	unsigned streak;
	mono_t since; /* the first change that the next plan answers; 0: none */
	uint32_t underlay_mtu;
	uint64_t runs, operations, failed, last_us;
	bool trim;
	bool listed; /* namespaces of an earlier run are known */
	int exit_code;
};

static void plan_later(struct router *r)
{
	if (!timer_is_set(r->replan))
		timer_start(r->replan, r->streak > STREAK_MAX ? RETRY_MIN_US : REPLAN_DELAY_US);
}

/* ---- state files ---- */

/* Keeps the last good one when a file is missing, broken or not whose it must be. */
static void read_inventory(struct router *r)
{
	struct file_owner owner = owner_of_root(&r->dir);
	struct inventory inv;
	struct err err;

	int code = inventory_read(r->dir.fd, &owner, &inv, &err);
	if (code) {
		if (code != -ENOENT || r->have_inventory)
			log_warning("inventory.json not taken over, the last good one stays", kv_str("why", err.text));
		return;
	}
	problems_log_new(&r->inventory.problems, &inv.problems, STATE_INVENTORY);
	inventory_done(&r->inventory);
	r->inventory = inv;
	r->have_inventory = true;
	plan_later(r);
}

static void read_discovery(struct router *r)
{
	struct file_owner owner = owner_of_discovery(&r->dir);
	struct discovery disc;
	struct err err;

	int code = discovery_read(r->dir.fd, &owner, &disc, &err);
	if (code) {
		if (code != -ENOENT || r->have_discovery)
			log_warning("discovery.json not taken over, the last good one stays", kv_str("why", err.text));
		return;
	}
	problems_log_new(&r->discovery.problems, &disc.problems, STATE_DISCOVERY);
	discovery_done(&r->discovery);
	r->discovery = disc;
	r->have_discovery = true;
	plan_later(r);
}

static void on_file(void *arg, const char *name)
{
	struct router *r = arg;

	if (!r->since.us)
		r->since = mono_now();
	if (!r->alone && (!name || str_eq(name, STATE_INVENTORY)))
		read_inventory(r);
	if (!name || str_eq(name, STATE_DISCOVERY))
		read_discovery(r);
	if (r->wg && (!name || str_eq(name, STATE_JOIN))) { /* the verb `join` writes the keys before it writes this */
		wg_own_reload(&r->dir, &r->config, r->wg);
		plan_later(r);
	}
	if (r->written && (!name || str_eq(name, STATE_ROUTER))) {
		struct file_mark mark = file_mark_get(r->dir.fd, STATE_ROUTER);
		if (!file_mark_same(&mark, &r->mark)) { /* removed, or somebody else's now */
			free(steal_ptr(r->written));
			timer_start(r->write, WRITE_DELAY_US);
		}
	}
}

/* ---- router.json ---- */

static void fill_pending(const struct router *r, struct router_state *s)
{
	for (size_t i = 0; i < r->n_failures; i++) {
		struct rs_pending *p = xgrow(&s->pending, s->n_pending, &s->cap_pending);
		s->n_pending++;
		p->operation = xstrdup(r->failures[i].op);
		p->why = xstrdup(r->failures[i].why);
	}
}

static void fill_blocked(const struct plan *plan, struct router_state *s)
{
	for (size_t i = 0; i < plan->n_blocked; i++) {
		const struct plan_blocked *b = &plan->blocked[i];
		struct rs_pending *p = xgrow(&s->pending, s->n_pending, &s->cap_pending);
		char net[96];
		s->n_pending++;
		p->operation = xasprintf("%s link %s", net_id_print(&b->net->id, net), b->link->name);
		p->why = xstrdup("somebody else has made a link of that name there; rename or remove it");
	}
}

static void on_write(void *arg)
{
	struct router *r = arg;
	struct router_state s = r->state; /* shallow: only counters are ours */
	struct err err;

	s.runs = s.operations = s.failed = s.last_us = 0;
	s.last_update = (wall_t){0};
	json_t *root = router_state_to_json(&s);
	char *text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (r->written && text && str_eq(text, r->written)) {
		free(text);
		return;
	}
	free(r->written);
	r->written = text;
	s.runs = r->runs;
	s.operations = r->operations;
	s.failed = r->failed;
	s.last_us = r->last_us;
	s.last_update = wall_now();
	if (router_state_write(r->dir.fd, &s, &err) != 0) {
		if (!r->write_failed)
			log_warning("router.json not written, the old one stays", kv_str("why", err.text));
		free(steal_ptr(r->written));
		r->write_failed = true;
		timer_start(r->write, WRITE_RETRY_US);
		return;
	}
	r->mark = file_mark_get(r->dir.fd, STATE_ROUTER);
	if (r->write_failed)
		log_info("router.json is written again");
	r->write_failed = false;
}

/* ---- plan ---- */

/*
 * Two-container form: a router container that was made again has another MAC where Docker picks one at random (28), and
 * containers and host keep the old one for the gateway and the tunnel's end.
 */
static void announce_addresses(struct router *r, const struct net *net)
{
	size_t it = 0;

	r->announced = true;
	for (const struct entry *e; r->arp_fd >= 0 && (e = entry_set_next(&net->entries, &it));) {
		const struct link *l = e->type == ENTRY_ADDR && e->family == AF_INET ? net_link(net, e->dev) : NULL;
		struct ip ip = ip_from_bytes(e->family, e->dst);
		if (!l || mac_is_none(&l->mac) || strncmp(l->alias, ROUTER_ALIAS, strlen(ROUTER_ALIAS)) == 0)
			continue;
		if (arp_announce(r->arp_fd, l->ifindex, &l->mac, &ip) != 0)
			log_debug("address not announced", kv_str("interface", l->name));
	}
}

static bool is_desired(const struct desired *d, const struct net_id *id)
{
	for (size_t i = 0; i < d->n_wants && id->kind == NET_CONTAINER; i++)
		if (str_eq(d->wants[i].container->id, id->container))
			return true;
	return net_list_find(&d->nets, id) != NULL;
}

static void on_removed(void *arg, int code, int fd, const char *text)
{
	if (code && code != -ECONNRESET)
		log_warning("router namespace not removed", kv_str("why", text));
}

/* Watch what is wanted; let go of what is not, once it is empty. */
static void watch_nets(struct router *r, const struct desired *d)
{
	const struct net_list *nets = observe_nets(r->observe);
	struct net_id *gone = xcalloc(nets->n + 1, sizeof(*gone));
	size_t n_gone = 0;

	for (size_t i = 0; i < nets->n; i++) {
		const struct net *n = nets->v[i];
		if (n->id.kind == NET_HOST || is_desired(d, &n->id))
			continue;
		bool empty = true;
		for (size_t j = 0; j < n->n_links; j++)
			if (strncmp(n->links[j].alias, ROUTER_ALIAS, strlen(ROUTER_ALIAS)) == 0)
				empty = false;
		if (n->id.kind == NET_CONTAINER || (n->ready && empty && !n->nft.present && !n->shortcut.present) ||
		    n->broken[0])
			gone[n_gone++] = n->id;
	}
	for (size_t i = 0; i < n_gone; i++) {
		if ((gone[i].kind == NET_VNI || gone[i].kind == NET_WIREGUARD) && r->broker) {
			struct broker_ns ns = {0};
			char name[96];
			str_copy(ns.name, net_id_print(&gone[i], name));
			log_info("namespace removed", kv_str("name", name));
			observe_forget(r->observe, &gone[i]);
			broker_call(r->broker, BROKER_REMOVE, &ns, 0, -1, on_removed, r);
		} else {
			observe_forget(r->observe, &gone[i]);
		}
	}
	free(gone);
	for (size_t i = 0; i < d->nets.n; i++)
		if (d->nets.v[i]->id.kind == NET_VNI || d->nets.v[i]->id.kind == NET_WIREGUARD)
			observe_want(r->observe, &d->nets.v[i]->id, "", 0);
	for (size_t i = 0; i < d->n_wants; i++) {
		const struct inv_container *c = d->wants[i].container;
		struct net_id id = {.kind = NET_CONTAINER};
		str_copy(id.container, c->id);
		observe_want(r->observe, &id, c->sandbox, c->pid);
	}
}

static void on_ipv6_on(void *arg, int code, int fd, const char *text)
{
	if (code && code != -ECONNRESET)
		log_debug("IPv6 not switched on in a container", kv_str("why", text));
}

/* Docker switches IPv6 off for new interfaces inside a container; ours carries the stack's IPv6. */
static void switch_on_ipv6(struct router *r)
{
	for (size_t i = 0; i < r->inventory.n_stacks; i++)
		for (size_t j = 0; j < r->inventory.stacks[i].n_containers; j++) {
			const struct inv_container *c = &r->inventory.stacks[i].containers[j];
			struct net_id id = {.kind = NET_CONTAINER};
			struct broker_ns ns = {.pid = c->pid};
			char name[96];
			bool six = false;
			for (size_t k = 0; k < c->n_interfaces; k++)
				for (size_t m = 0; m < c->interfaces[k].n_addresses; m++)
					six |= c->interfaces[k].addresses[m].family == AF_INET6;
			str_copy(id.container, c->id);
			const struct net *n = six ? net_list_find(observe_nets(r->observe), &id) : NULL;
			str_print(ns.iface, "dr%" PRIu32, r->inventory.stacks[i].vni);
			const struct link *l = n && n->ready ? net_link(n, ns.iface) : NULL;
			if (!l || !l->ipv6_off)
				continue;
			str_copy(ns.name, net_id_print(&id, name));
			str_copy(ns.sandbox, c->sandbox);
			broker_call(r->broker, BROKER_IPV6_ON, &ns, 0, -1, on_ipv6_on, r);
		}
}

static void failures_free(struct router *r)
{
	for (size_t i = 0; i < r->n_failures; i++) {
		free(r->failures[i].op);
		free(r->failures[i].why);
	}
	free(steal_ptr(r->failures));
	r->n_failures = 0;
}

static const struct failure *failure_find(const struct router *r, const char *op, const char *why)
{
	for (size_t i = 0; i < r->n_failures; i++)
		if (str_eq(r->failures[i].op, op) && str_eq(r->failures[i].why, why))
			return &r->failures[i];
	return NULL;
}

/*
 * What fails for a moment lost a race with the kernel: of a container that stops, the addresses go before the news that
 * it does; and the IPv6 address of a bridge that has just come up is a route's source only after two seconds, when
 * nobody else has it. What fails for longer is told, once.
 */
static void failures_take(struct router *r, const struct apply_result *res)
{
	struct failure *now = xcalloc(res->n_failures + 1, sizeof(*now));

	for (size_t i = 0; i < res->n_failures; i++) {
		const struct apply_failure *f = &res->failures[i];
		char *why = occupied_explain(r->ns_dir, f->op, f->why, f->code);
		const struct failure *was = failure_find(r, f->op, why);
		now[i] = (struct failure){xstrdup(f->op), why, was ? was->first : mono_now(), was && was->told};
		if (!was)
			log_debug("operation failed", kv_str("operation", f->op), kv_str("why", why));
		else if (!was->told && mono_now().us - was->first.us >= FAILURE_TOLD_US) {
			now[i].told = true;
			log_warning("operation fails, is tried again", kv_str("operation", f->op), kv_str("why", why));
		}
	}
	failures_free(r);
	r->failures = now;
	r->n_failures = res->n_failures;
}

static void on_applied(void *arg, const struct apply_result *res)
{
	struct router *r = arg;

	r->operations += res->done;
	r->failed += res->failed;
	failures_take(r, res);
	if (res->failed) {
		r->retry_us = r->retry_us ? r->retry_us * 2 : RETRY_MIN_US;
		if (r->retry_us > RETRY_MAX_US)
			r->retry_us = RETRY_MAX_US;
		timer_start(r->retry, r->retry_us);
	} else {
		r->retry_us = 0;
	}
	if (res->done)
		plan_later(r); /* until nothing is left to do */
}

static void print_plan(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		autobuf struct buf line = {0};
		op_print(&line, &plan->ops[i]);
		puts(line.data);
	}
	if (!plan->n)
		puts("nothing to do");
}

/* A dry run prints when all namespaces that are there have been looked at; those to be created would be, by a real run.
 */
static bool dry_run_ready(const struct router *r, const struct desired *d)
{
	for (size_t i = 0; i < d->n_wants; i++) {
		struct net_id id = {.kind = NET_CONTAINER};
		str_copy(id.container, d->wants[i].container->id);
		const struct net *n = net_list_find(observe_nets(r->observe), &id);
		if (!n || (!n->ready && !n->broken[0]))
			return false;
	}
	for (size_t i = 0; i < d->nets.n; i++) {
		const struct net *n = net_list_find(observe_nets(r->observe), &d->nets.v[i]->id);
		if (!n || (!n->ready && !n->broken[0]))
			return false;
	}
	return true;
}

static void desired_input_fill(struct router *r, struct desired_input *in)
{
	char dev[16];
	uint32_t mtu;

	*in = (struct desired_input){.config = &r->config,
				     .host_id = r->host_id,
				     .now_us = mono_now().us,
				     .ns_dir = r->ns_dir,
				     .inventory = &r->inventory,
				     .discovery = &r->discovery,
				     .before = &r->state,
				     .actual = observe_nets(r->observe),
				     .wg = r->wg,
				     .local = r->discovery.self.host_ip,
				     .nics = r->broker != NULL};
	if (ip_is_none(&in->local))
		in->local = r->config.host_ip;
	if (!ip_is_none(&in->local) && observe_underlay(r->observe, &in->local, dev, &mtu))
		r->underlay_mtu = mtu;
	in->underlay_mtu = r->underlay_mtu;
	in->epoch = r->epoch;
}

/* Two-container form: we see the stack's network, discovery does not, so inventory.json is ours to write. */
static void write_inventory(struct router *r, const struct desired_input *in)
{
	struct inventory now;
	struct err err;

	alone_inventory(in, &now);
	if (!r->have_inventory || !inventory_same(&now, &r->inventory)) {
		now.last_update = wall_now();
		if (inventory_write(r->dir.fd, &now, &err) != 0)
			log_warning("inventory.json not written", kv_str("why", err.text));
		inventory_done(&r->inventory);
		r->inventory = now;
		r->have_inventory = true;
	} else {
		inventory_done(&now);
	}
}

/* Router namespaces are opened within milliseconds; a plan without them would be half of one. */
static bool vnis_opening(const struct router *r, const struct desired *d)
{
	for (size_t i = 0; i < d->nets.n; i++) {
		const struct net *n = net_list_find(observe_nets(r->observe), &d->nets.v[i]->id);
		if (n && (n->id.kind == NET_VNI || n->id.kind == NET_WIREGUARD) && !n->ready && !n->broken[0])
			return true;
	}
	return false;
}

/* WireGuard: what the others are to be told of relays, and whether the key that is to follow may do so */
static void wireguard_step(struct router *r, const struct wg_paths *paths)
{
	static const struct net_id id = {.kind = NET_WIREGUARD};
	struct err err;

	if (r->config.dry_run)
		return;
	wg_own_by(&r->dir, &r->config, r->wg, paths);
	if (!r->wg->next.present)
		return;
	if (!timer_is_set(r->renew))
		timer_start(r->renew, RENEW_US);
	if (!wg_renew_done(&r->renewal, r->wg, paths, net_list_find(observe_nets(r->observe), &id), mono_now().us))
		return;
	wg_renew_free(&r->renewal);
	if (wg_own_renewed(&r->dir, &r->config, r->wg, &err) < 0)
		log_warning("the new WireGuard key is not kept", kv_str("why", err.text));
	else
		log_info("the new WireGuard key has taken over", kv_int("port", r->wg->say.port));
	plan_later(r);
}

static void on_replan(void *arg)
{
	struct router *r = arg;
	const struct net *host = net_list_find(observe_nets(r->observe), &(struct net_id){.kind = NET_HOST});
	struct desired_input in;
	struct desired d;
	struct plan plan;

	if (apply_busy(r->apply) || !observe_settled(r->observe) || !host || !host->ready || !r->listed)
		return; /* each of them comes back here when it is there */
	desired_input_fill(r, &in);
	if (r->alone)
		write_inventory(r, &in);
	if (!r->have_inventory || !r->have_discovery)
		return;
	int64_t start = mono_now().us;
	if (r->alone)
		desired_make_alone(&in, &d);
	else
		desired_make(&in, &d);
	if (d.paths)
		wireguard_step(r, d.paths);
	watch_nets(r, &d);
	if (vnis_opening(r, &d)) {
		desired_done(&d);
		return; /* its end is a change */
	}
	if (r->runs == 0 && !r->config.dry_run) /* one that was killed may not have come to it */
		gather_all(r->broker, observe_nets(r->observe));
	plan_make(&d.nets, observe_nets(r->observe), &plan);
	int64_t again_us = refused_tell(&r->refused_budget, start, &r->discovery, r->config.mapping,
					r->runs ? &r->state : NULL, &d.state);
	if (again_us)
		timer_start(r->tell, again_us);
	/* The new state first: claims borrow from the files, and what is established counts from now on. */
	router_state_done(&r->state);
	r->state = d.state;
	memset(&d.state, 0, sizeof(d.state));
	fill_pending(r, &r->state);
	fill_blocked(&plan, &r->state);
	r->runs++;
	if (r->config.dry_run) {
		if (dry_run_ready(r, &d)) {
			print_plan(&plan);
			loop_stop(&r->loop);
		}
	} else {
		if (!timer_is_set(r->write))
			timer_start(r->write, WRITE_DELAY_US);
		if (plan.n) {
			r->announced = false;
			autobuf struct buf line = {0};
			op_print(&line, &plan.ops[0]);
			if (++r->streak < STREAK_MAX) {
				log_info("bringing the kernel in line", kv_int("operations", (int64_t)plan.n),
					 kv_str("first", line.data));
			} else if (r->streak == STREAK_MAX) {
				log_warning("what was set does not stay; going on more slowly",
					    kv_str("operation", line.data));
			}
			apply_run(r->apply, &plan, on_applied, r);
		} else {
			failures_free(r);
			log_debug("nothing to change", kv_int("us", r->since.us ? mono_now().us - r->since.us : 0));
			r->since.us = 0;
			r->retry_us = 0;
			r->streak = 0;
			timer_stop(r->retry);
			if (r->broker)
				switch_on_ipv6(r);
			else if (!r->announced)
				announce_addresses(r, host);
		}
	}
	size_t n_ops = plan.n;
	plan_done(&plan);
	desired_done(&d);
	r->last_us = (uint64_t)(mono_now().us - start);
	/* After a large change, give back what it took. */
	if (n_ops > 1000)
		r->trim = true;
	else if (!n_ops && r->trim) {
		r->trim = false;
		alloc_trim();
	}
}

static void on_changed(void *arg)
{
	struct router *r = arg;

	if (!r->since.us)
		r->since = mono_now();
	plan_later(r);
}

/* Router namespaces that an earlier run left: watched, so that what is not desired any more is taken away. */
static void on_list(void *arg, int code, int fd, const char *text)
{
	struct router *r = arg;
	autofree char *copy = xstrdup(code ? "" : text);
	char *save = NULL;
	uint64_t vni;

	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (str_eq(line, "wireguard"))
			observe_want(r->observe, &(struct net_id){.kind = NET_WIREGUARD}, "", 0);
		else if (parse_u64(line, 1, VNI_MAX, &vni) == 0)
			observe_want(r->observe, &(struct net_id){.kind = NET_VNI, .vni = (uint32_t)vni}, "", 0);
	r->listed = true;
	plan_later(r);
}

/* ---- start and stop ---- */

static void on_signal(void *arg, int signum)
{
	struct router *r = arg;
	struct config c;
	struct err err;
	int rest;

	if (signum != SIGHUP) {
		log_info("stopping, traffic goes on");
		loop_stop(&r->loop);
		return;
	}
	if (config_load(FOR_ROUTER, "router", r->argc, r->argv, r->env, &c, &rest, &err) != 0) {
		log_error("settings not re-read", kv_str("why", err.text));
		return;
	}
	config_done(&r->config);
	r->config = c;
	log_set_level(c.log_level);
	log_info("settings re-read");
	wg_own_reload(&r->dir, &r->config, r->wg);
	observe_resync(r->observe, NULL);
	plan_later(r);
}

/* One more than at the last start, which our own inventory.json tells; without it any. */
static uint8_t epoch_next(struct router *r)
{
	struct file_owner owner = owner_of_root(&r->dir);
	struct inventory before;
	struct err err;
	uint8_t epoch = (uint8_t)wall_now().ms;

	if (inventory_read(r->dir.fd, &owner, &before, &err) == 0) {
		for (size_t i = 0; i < before.n_stacks; i++)
			if (str_eq(before.stacks[i].stack_id, r->config.stack_id))
				epoch = (uint8_t)(before.stacks[i].epoch + 1);
		inventory_done(&before);
	}
	return epoch % EPOCHS;
}

static int broker_setup(struct router *r, struct err *err)
{
	const char *given = getenv(BROKER_FD_ENV);
	uint64_t fd;
	int pair[2];

	if (given) {
		if (parse_u64(given, 3, 1023, &fd) != 0)
			return err_set(err, -EINVAL, BROKER_FD_ENV ": \"%s\" is not a descriptor", given);
		r->broker = broker_connect(&r->loop, (int)fd);
		return 0;
	}
	if (r->config.stack_id[0] || r->config.vni) {
		r->alone = true;
		if (!r->config.stack_id[0])
			return err_set(err, -EINVAL, "STACK_ID is required beside VNI: a name for this stack");
		if (!r->config.vni)
			return err_set(err, -EINVAL, "VNI is required beside STACK_ID: 1 to %u", VNI_MAX);
		if (!r->config.n_stack_subnets)
			return err_set(err, -EINVAL,
				       "STACK_SUBNETS is required beside STACK_ID: the subnets of the stack's "
				       "network, like 10.71.0.0/24");
		r->arp_fd = arp_open(err);
		if (r->arp_fd < 0)
			log_debug("addresses cannot be announced", kv_str("why", err->text));
		r->epoch = epoch_next(r);
		return 0;
	}
	if (geteuid() != 0)
		return err_set(
			err, -EPERM,
			"needs root, or `docker-router host` above it, or STACK_ID and VNI inside a stack's router "
			"container");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return err_errno(err, -errno, "socketpair");
	r->own_broker = broker_serve(&r->loop, pair[0], r->ns_dir, BROKER_OPS_ROUTER);
	r->broker = broker_connect(&r->loop, pair[1]);
	return 0;
}

static int router_init(struct router *r, struct err *err)
{
	struct file_owner owner;
	int code;

	if ((code = state_dir_open(r->config.state_dir, &r->dir, err)) != 0)
		return code;
	err->text[0] = 0;
	if ((code = identity_load(&r->dir, r->host_id, err)) != 0)
		return code;
	if (err->text[0])
		log_warning("new host_id made", kv_str("why", err->text));
	str_print(r->ns_dir, "%s/%.8s", r->config.run_dir, r->host_id);
	if ((code = broker_setup(r, err)) != 0)
		return code;
	if (!r->own_broker && (code = privileges_drop(0, 0, NULL, 0, UINT64_C(1) << CAP_NET_ADMIN, err)) != 0)
		return code;
	owner = owner_of_root(&r->dir);
	struct err ignored;
	if (router_state_read(r->dir.fd, &owner, &r->state, &ignored) != 0)
		memset(&r->state, 0, sizeof(r->state));
	r->replan = timer_new(&r->loop, "replan", on_replan, r);
	r->retry = timer_new(&r->loop, "retry", on_changed, r);
	r->tell = timer_new(&r->loop, "tell", on_changed, r);
	r->write = timer_new(&r->loop, "write", on_write, r);
	r->renew = timer_new(&r->loop, "renew", on_changed, r);
	r->observe = observe_new(&r->loop, r->broker, on_changed, r);
	r->apply = apply_new(&r->loop, r->broker, r->observe);
	if ((code = wg_own_load(&r->dir, &r->config, &r->wg, err)) != 0)
		return code;
	wg_own_remember(&r->state, r->wg, observe_wireguard(r->observe));
	if (r->wg && r->wg->say.relay)
		observe_wireguard_relay(r->observe);
	observe_want(r->observe, &(struct net_id){.kind = NET_HOST}, "", 0);
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		r->signals[i] = sigwatch_new(&r->loop, signals[i], on_signal, r);
	if ((code = dirwatch_new(&r->loop, r->config.state_dir, on_file, r, &r->watch, err)) != 0)
		return code;
	on_file(r, NULL);
	if (r->broker) {
		broker_call(r->broker, BROKER_LIST, &(struct broker_ns){.name = "host"}, 0, -1, on_list, r);
	} else {
		r->listed = true;
		plan_later(r);
	}
	if (!r->have_inventory && !r->alone)
		log_info("waiting for inventory.json", kv_str("in", r->config.state_dir));
	if (!r->have_discovery)
		log_info("waiting for discovery.json", kv_str("in", r->config.state_dir));
	return 0;
}

static void router_done(struct router *r)
{
	if (r->write && timer_is_set(r->write))
		on_write(r);
	timer_free(r->replan);
	timer_free(r->retry);
	timer_free(r->tell);
	timer_free(r->renew);
	wg_renew_free(&r->renewal);
	timer_free(r->write);
	for (size_t i = 0; i < ARRAY_LEN(r->signals); i++)
		sigwatch_free(r->signals[i]);
	dirwatch_free(r->watch);
	apply_free(r->apply);
	observe_free(r->observe);
	broker_free(r->broker);
	broker_server_free(r->own_broker);
	wg_own_free(r->wg);
	inventory_done(&r->inventory);
	discovery_done(&r->discovery);
	router_state_done(&r->state);
	failures_free(r);
	free(r->written);
	autoclose_(&r->arp_fd);
	state_dir_done(&r->dir);
	config_done(&r->config);
	loop_done(&r->loop);
}

int main(int argc, char **argv)
{
	extern char **environ;
	static struct router r;
	struct err err = {0};

	r.arp_fd = -1;
	r.argc = argc - 1;
	r.argv = argv + 1;
	r.env = environ;
	int code = config_begin(FOR_ROUTER, "router", r.argc, r.argv, environ, &r.config);
	if (code >= 0)
		return code;
	loop_init(&r.loop);
	code = router_init(&r, &err);
	if (code) {
		log_error("cannot start", kv_str("why", err.text));
		r.exit_code = 1;
	} else {
		loop_run(&r.loop);
	}
	router_done(&r);
	return r.exit_code;
}
