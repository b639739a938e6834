/* SPDX-License-Identifier: Apache-2.0
 *
 * The role attach: gives the containers in inventory.json the NICs that they ask for, keeps them true, and writes
 * attach.json. Holds CAP_NET_ADMIN, as uid 0; the broker of `host` enters namespaces for it.
 *
 * Ending it ends its DHCP clients and nothing else: NICs, addresses and leases stay, and the next start finds them.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <sys/file.h>

#include "attach/box.h"
#include "attach/kernel.h"
#include "attach/shim.h"
#include "base/log.h"
#include "io/ns.h"
#include "state/config.h"
#include "state/identity.h"

#define WRITE_US       (20 * USEC_PER_MSEC)
#define WRITE_SHARE    10 /* and no more than a tenth of the time goes into writing while hundreds of NICs are made */
#define WRITE_RETRY_US (5 * USEC_PER_SEC)
#define PATIENCE_US    (3 * USEC_PER_SEC) /* before it is a problem that a NIC waits */

struct role {
	uv_loop_t loop;
	struct config config;
	struct state_dir dir;
	struct boxes all;
	struct nl *host_events;
	struct box **boxes; /* running, and those that are waited for */
	size_t n_boxes, cap_boxes;
	struct box **stopping;
	size_t n_stopping, cap_stopping;
	struct attach_state before;
	struct problems shim_problems, told;
	uint64_t written; /* hash of what attach.json says */
	int64_t write_us; /* until what has changed is written */
	bool have_inventory, bad_inventory, write_failed, write_soon;
	struct timer *read_timer, *write_timer, *look_timer;
	struct dirwatch *watch;
	struct sigwatch *sighup, *sigterm, *sigint;
};

/* --- attach.json --- */

static int nic_cmp(const void *a, const void *b)
{
	const struct att_nic *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->nic, y->nic);
}

/* Return: one is left out, since it may have been overcome in a moment */
static bool problems_of(const struct attach_state *s, struct problems *ret)
{
	int64_t now_ms = wall_now().ms;
	bool young = false;

	for (size_t i = 0; i < s->n_nics && ret->n < LIMIT_PROBLEMS; i++) {
		const struct att_nic *n = &s->nics[i];
		char object[LIMIT_NAME + 16];

		if (!n->why[0])
			continue;
		if (n->state == NIC_WAITING && now_ms - n->since.ms < PATIENCE_US / USEC_PER_MSEC) {
			young = true;
			continue;
		}
		str_print(object, "container %s", n->name);
		problems_add(ret, object, "", "%s: %s", n->nic, n->why);
	}
	return young;
}

static void on_write(void *arg)
{
	struct role *r = arg;
	struct attach_state out = {0};
	struct err err = {0};
	int64_t begin_us = mono_now().us;
	int rc;

	r->write_soon = false;
	if (!r->have_inventory)
		return;
	problems_done(&r->shim_problems);
	shims_follow(&r->all, r->boxes, r->n_boxes, &r->shim_problems);
	for (size_t i = 0; i < r->n_boxes; i++)
		box_state(r->boxes[i], &out);
	if (out.n_nics > 1)
		qsort(out.nics, out.n_nics, sizeof(*out.nics), nic_cmp);
	if (problems_of(&out, &out.problems))
		timer_start(r->write_timer, PATIENCE_US);
	for (size_t i = 0; i < r->shim_problems.n; i++)
		problems_add(&out.problems, r->shim_problems.v[i].object, r->shim_problems.v[i].cure, "%s",
			     r->shim_problems.v[i].text);
	rc = attach_state_write(r->dir.fd, &out, &r->written, &err);
	if (rc <= 0) {
		if (rc < 0) {
			if (!r->write_failed)
				log_error(STATE_ATTACH " cannot be written, the old one stays",
					  kv_str("why", err.text));
			r->write_failed = true;
			timer_start(r->write_timer, WRITE_RETRY_US);
		} else {
			if (r->write_failed)
				log_info(STATE_ATTACH " is written again");
			r->write_failed = false;
		}
		problems_log_new(&r->told, &out.problems, NULL);
		problems_done(&r->told);
		r->told = out.problems;
		out.problems = (struct problems){0};
	}
	attach_state_done(&out);
	alloc_trim();
	r->write_us = WRITE_SHARE * (mono_now().us - begin_us);
}

static void on_changed(void *arg)
{
	struct role *r = arg;

	if (!r->write_soon)
		timer_start(r->write_timer, r->write_us < WRITE_US ? WRITE_US : r->write_us);
	r->write_soon = true;
	if (r->n_stopping && !timer_is_set(r->look_timer))
		timer_start(r->look_timer, 0);
}

/* --- containers --- */

/* Those that have taken all away and may go; not from inside their own callbacks */
static void on_look(void *arg)
{
	struct role *r = arg;

	for (size_t i = 0; i < r->n_stopping;) {
		if (box_gone(r->stopping[i])) {
			box_free(r->stopping[i]);
			r->stopping[i] = r->stopping[--r->n_stopping];
		} else {
			i++;
		}
	}
}

static void box_let_go(struct role *r, struct box *b)
{
	*xgrow(&r->stopping, r->n_stopping, &r->cap_stopping) = b; /* NOLINT(bugprone-sizeof-expression): pointers */
	r->n_stopping++;
	box_stop(b);
}

static const struct inv_attach *attach_of(const struct inventory *inv, const char *id)
{
	size_t low = 0, high = inv->n_attach; /* sorted */

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(inv->attach[mid].container.id, id);

		if (order == 0)
			return &inv->attach[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Another start of the same container is another namespace: the old one is let go as that of any other */
static bool started_anew(const struct inv_attach *before, const struct inv_attach *now)
{
	return before->running && now->running && !str_eq(before->container.sandbox, now->container.sandbox);
}

static int box_cmp(const void *a, const void *b)
{
	return strcmp(box_id(*(struct box *const *)a), box_id(*(struct box *const *)b));
}

static void boxes_follow(struct role *r, const struct inventory *inv)
{
	size_t kept = 0, known;

	for (size_t i = 0; i < r->n_boxes; i++) {
		struct box *b = r->boxes[i];
		const struct inv_attach *a = attach_of(inv, box_id(b));

		if (!a || started_anew(box_wants(b), a)) {
			box_let_go(r, b);
		} else {
			box_update(b, a);
			r->boxes[kept++] = b;
		}
	}
	r->n_boxes = known = kept;
	for (size_t i = 0, k = 0; i < inv->n_attach; i++) {
		while (k < known && strcmp(box_id(r->boxes[k]), inv->attach[i].container.id) < 0)
			k++;
		if (k < known && str_eq(box_id(r->boxes[k]), inv->attach[i].container.id))
			continue;
		*xgrow(&r->boxes, r->n_boxes, &r->cap_boxes) = /* NOLINT(bugprone-sizeof-expression): pointers */
			box_new(&r->all, &inv->attach[i]);
		r->n_boxes++;
	}
	if (r->n_boxes > 1)
		qsort(r->boxes, r->n_boxes, sizeof(struct box *), box_cmp);
}

/* "dra" and ten hex digits: a name that nobody else gives */
static bool host_end_name(const char *name)
{
	return strlen(name) == 13 && strncmp(name, "dra", 3) == 0 && strspn(name + 3, "0123456789abcdef") == 10;
}

static bool wanted_by_any(const struct role *r, const char *link)
{
	for (size_t i = 0; i < r->n_boxes; i++)
		if (box_owns(r->boxes[i], link))
			return true;
	for (size_t i = 0; i < r->n_stopping; i++)
		if (box_owns(r->stopping[i], link))
			return true;
	return false;
}

/* A physical interface that came home when its container died while we did not run: under the container's name for it
 */
static void physical_home(struct role *r, const struct seen_link *l)
{
	const char *name = l->alias + strlen(ATTACH_ALIAS "physical:");
	struct err err;

	if (wanted_by_any(r, name))
		return;
	if (kernel_set_alias(r->all.host_nl, l->ifindex, "", str_eq(l->name, name) ? NULL : name, &err) < 0)
		log_warning("an interface that came back keeps its other name", kv_str("name", l->name),
			    kv_str("was", name), kv_str("why", err.text));
}

/* Host ends of containers that nobody asks for any more, of an earlier run */
static void leftovers_remove(struct role *r)
{
	for (size_t i = 0; i < r->all.host.n_links;) {
		struct seen_link l = r->all.host.links[i];
		bool ours = strncmp(l.alias, ATTACH_ALIAS, strlen(ATTACH_ALIAS)) == 0;
		struct err err;

		i++;
		if (strncmp(l.alias, ATTACH_ALIAS "physical:", strlen(ATTACH_ALIAS "physical:")) == 0)
			physical_home(r, &l);
		if (l.kind != SEEN_VETH || !host_end_name(l.name) || (!ours && l.alias[0]) || wanted_by_any(r, l.name))
			continue;
		if (kernel_remove_link(r->all.host_nl, l.ifindex, &err) < 0) {
			log_warning("a host's end that nobody wants cannot be removed", kv_str("name", l.name),
				    kv_str("why", err.text));
			continue;
		}
		seen_remove(&r->all.host, l.ifindex);
		i--;
	}
}

static void on_read(void *arg)
{
	struct role *r = arg;
	struct file_owner owner = owner_of_root(&r->dir);
	struct inventory inv;
	struct err err = {0};
	int rc = inventory_read(r->dir.fd, &owner, &inv, &err);

	if (rc < 0) {
		if (!r->bad_inventory && (rc != -ENOENT || r->have_inventory))
			log_warning("a state file cannot be used, what it said before stays",
				    kv_str("file", STATE_INVENTORY),
				    kv_str("why", rc == -ENOENT ? "it is gone" : err.text));
		r->bad_inventory = rc != -ENOENT || r->have_inventory;
		return;
	}
	if (r->bad_inventory)
		log_info("a state file can be used again", kv_str("file", STATE_INVENTORY));
	r->bad_inventory = false;
	boxes_follow(r, &inv);
	if (!r->have_inventory) {
		leftovers_remove(r);
		attach_state_done(&r->before); /* who was there has taken what is his */
		r->all.before = NULL;
	}
	r->have_inventory = true;
	inventory_done(&inv);
	on_changed(r);
}

static void on_state_dir(void *arg, const char *name)
{
	struct role *r = arg;

	if (!name || str_eq(name, STATE_INVENTORY))
		timer_start(r->read_timer, 0);
	if (name && str_eq(name, STATE_ATTACH) && faccessat(r->dir.fd, STATE_ATTACH, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		r->written = 0;
		on_changed(r);
	}
}

/* --- the host's links --- */

static void host_changed(struct role *r, const char *link)
{
	for (size_t i = 0; i < r->n_boxes; i++)
		box_host_changed(r->boxes[i], link);
}

/*
 * Does it change what a plan may say? A bridge tells of itself whenever it gets a port, and with hundreds of containers
 * on it all of them would be looked at for each.
 */
static bool host_differs(const struct seen_link *a, const struct seen_link *b)
{
	if (!str_eq(a->name, b->name) || a->kind != b->kind || a->mtu != b->mtu)
		return true;
	if (a->kind == SEEN_BRIDGE)
		return false;
	return !str_eq(a->alias, b->alias) || a->master != b->master || a->lower != b->lower || a->up != b->up ||
	       a->isolated != b->isolated || mac_cmp(&a->mac, &b->mac) != 0;
}

static void on_host_event(void *arg, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct role *r = arg;
	struct seen_link *l;
	struct seen_link before = {0};

	if (nlh->nlmsg_type == RTM_NEWADDR || nlh->nlmsg_type == RTM_DELADDR)
		on_changed(r); /* the routes of shims name them */
	if ((nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return;
	l = seen_by_index(&r->all.host, ifi->ifi_index);
	if (l)
		before = *l;
	kernel_decode(nlh, &r->all.host);
	l = seen_by_index(&r->all.host, ifi->ifi_index);
	if (l && before.ifindex && !host_differs(&before, l))
		return;
	if (before.name[0])
		host_changed(r, before.name);
	if (l && !str_eq(l->name, before.name))
		host_changed(r, l->name);
}

static void on_host_lost(void *arg)
{
	struct role *r = arg;
	struct err err;

	if (kernel_dump_links(r->all.host_nl, &r->all.host, &err) < 0)
		log_error("links of the host cannot be read", kv_str("why", err.text));
	host_changed(r, NULL);
}

/* --- start and end --- */

static void on_sighup(void *arg, int signum)
{
	struct role *r = arg;

	(void)signum;
	timer_start(r->read_timer, 0);
}

static void on_sigterm(void *arg, int signum)
{
	struct role *r = arg;

	(void)signum;
	loop_stop(&r->loop);
}

static int role_open(struct role *r, struct err *err)
{
	static const unsigned groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, 0};
	const char *given = getenv(BROKER_FD_ENV);
	struct file_owner owner;
	uint64_t fd;
	int rc;

	if (!given)
		return err_set(err, -EINVAL,
			       "runs below `docker-router host`, which enters containers for it; docker-router nics "
			       "lists the NICs");
	if (parse_u64(given, 3, 1023, &fd) < 0)
		return err_set(err, -EINVAL, BROKER_FD_ENV ": \"%.20s\" is not a descriptor", given);
	r->all.broker = broker_connect(&r->loop, (int)fd);
	rc = state_dir_open(r->config.state_dir, &r->dir, err);
	if (rc == 0)
		rc = identity_load(&r->dir, r->all.host_id, err);
	if (rc < 0)
		return rc;
	file_limit_raise(4 * LIMIT_CONTAINERS + 256);
	r->all.host_fd = ns_open("/proc/self/ns/net", err);
	if (r->all.host_fd < 0)
		return r->all.host_fd;
	rc = privileges_drop(0, 0, NULL, 0, 1ull << CAP_NET_ADMIN, err);
	if (rc == 0)
		rc = nl_open(NETLINK_ROUTE, &r->all.host_nl, err);
	if (rc == 0)
		rc = nl_open(NETLINK_ROUTE, &r->host_events, err);
	if (rc == 0)
		rc = nl_listen(r->host_events, &r->loop, groups, on_host_event, on_host_lost, r, err);
	if (rc == 0)
		rc = kernel_dump_links(r->all.host_nl, &r->all.host, err);
	if (rc < 0)
		return rc;
	owner = owner_of_root(&r->dir);
	r->all.doomed = doomed_new(&r->loop, r->all.host_nl);
	rc = attach_state_read(r->dir.fd, &owner, &r->before, err);
	if (rc < 0 && rc != -ENOENT)
		log_warning(STATE_ATTACH " of before is not used", kv_str("why", err->text));
	r->all.before = &r->before;
	return 0;
}

static void role_start(struct role *r)
{
	struct err err;

	r->read_timer = timer_new(&r->loop, "read " STATE_INVENTORY, on_read, r);
	r->write_timer = timer_new(&r->loop, "write " STATE_ATTACH, on_write, r);
	r->look_timer = timer_new(&r->loop, "containers that ended", on_look, r);
	r->sighup = sigwatch_new(&r->loop, SIGHUP, on_sighup, r);
	r->sigterm = sigwatch_new(&r->loop, SIGTERM, on_sigterm, r);
	r->sigint = sigwatch_new(&r->loop, SIGINT, on_sigterm, r);
	if (dirwatch_new(&r->loop, r->dir.path, on_state_dir, r, &r->watch, &err) < 0)
		log_warning("STATE_DIR cannot be watched", kv_str("why", err.text));
	timer_start(r->read_timer, 0);
}

static void role_done(struct role *r)
{
	for (size_t i = 0; i < r->n_boxes; i++)
		box_free(r->boxes[i]);
	free(r->boxes);
	for (size_t i = 0; i < r->n_stopping; i++)
		box_free(r->stopping[i]);
	free(r->stopping);
	doomed_free(r->all.doomed);
	broker_free(r->all.broker);
	nl_free(r->host_events);
	nl_free(r->all.host_nl);
	autoclose_(&r->all.host_fd);
	seen_done(&r->all.host);
	dirwatch_free(r->watch);
	timer_free(r->read_timer);
	timer_free(r->write_timer);
	timer_free(r->look_timer);
	sigwatch_free(r->sighup);
	sigwatch_free(r->sigterm);
	sigwatch_free(r->sigint);
	loop_done(&r->loop);
	attach_state_done(&r->before);
	problems_done(&r->shim_problems);
	problems_done(&r->told);
	state_dir_done(&r->dir);
	config_done(&r->config);
}

int main(int argc, char **argv, char **env)
{
	struct role r = {.dir = {.fd = -1}, .all = {.host_fd = -1}};
	struct err err = {0};
	int rc;

	alloc_sparing();
	rc = config_begin(FOR_ATTACH, "attach", argc - 1, argv + 1, env, &r.config);
	if (rc >= 0)
		return rc;
	loop_init(&r.loop);
	r.all.loop = &r.loop;
	r.all.changed = on_changed;
	r.all.arg = &r;
	rc = role_open(&r, &err);
	if (rc < 0) {
		log_error("cannot start", kv_str("why", err.text));
		role_done(&r);
		return rc == -EINVAL ? 2 : 1;
	}
	role_start(&r);
	log_info("started", kv_str("state_dir", r.dir.path));
	loop_run(&r.loop);
	role_done(&r);
	return 0;
}
