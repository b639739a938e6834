/* SPDX-License-Identifier: Apache-2.0
 *
 * The role multicast: follows labelled networks and this host's interfaces, feeds the relays' cores, carries out what
 * they say, and writes multicast.json. Holds CAP_NET_RAW and runs as the user docker-router: what strangers send is
 * parsed here.
 */
#include <linux/capability.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "base/log.h"
#include "multicast/role.h"

/* --- inventory.json --- */

/* Who else is in the VNIs. What cannot be read changes nothing */
static void read_discovery(struct role *r)
{
	struct file_owner owner = owner_of_discovery(&r->dir);
	struct discovery d;
	struct err err = {0};

	if (discovery_read(r->dir.fd, &owner, &d, &err) < 0)
		return;
	discovery_done(&r->discovery);
	r->discovery = d;
}

static void read_inventory(struct role *r)
{
	struct file_owner owner = owner_of_root(&r->dir);
	struct inventory inv;
	struct err err = {0};
	int rc = inventory_read(r->dir.fd, &owner, &inv, &err);

	if (rc < 0) {
		if (!r->bad_inventory && (rc != -ENOENT || r->have_inventory))
			log_warning("inventory.json not taken over, the last good one stays", kv_str("why", err.text));
		r->bad_inventory = rc != -ENOENT || r->have_inventory;
		return;
	}
	r->bad_inventory = false;
	inventory_done(&r->inventory);
	r->inventory = inv;
	r->have_inventory = true;
	if (links_need_discovery(&r->inventory))
		read_discovery(r);
	role_look_soon(r);
}

/* Who listened before we were started, and whose groups are in the kernel */
static void read_before(struct role *r)
{
	struct file_owner owner = owner_of_discovery(&r->dir);
	struct err err = {0};
	int rc = multicast_state_read(r->dir.fd, &owner, &r->before, &err);

	r->kept = rc == 0;
	r->started = mono_now();
	/* by then nobody believes it any longer */
	if (wall_now().ms - r->before.last_update.ms > ADVERTISE_LIFE_S * INT64_C(1000))
		r->before.n_advertised = 0;
	if (rc < 0 && rc != -ENOENT)
		log_warning(STATE_MULTICAST " cannot be used, starting with no listener known",
			    kv_str("why", err.text));
}

static void on_state_dir(void *arg, const char *name)
{
	struct role *r = arg;

	if (!name || str_eq(name, STATE_INVENTORY))
		read_inventory(r);
	if (name && str_eq(name, STATE_DISCOVERY) && links_need_discovery(&r->inventory)) {
		read_discovery(r);
		role_look_soon(r);
	}
	if (name && str_eq(name, STATE_MULTICAST) &&
	    faccessat(r->dir.fd, STATE_MULTICAST, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		r->written = 0;
		role_write_soon(r, WRITE_US);
	}
}

/* --- start and end --- */

static void on_signal(void *arg, int signum)
{
	struct role *r = arg;

	if (signum == SIGHUP)
		read_inventory(r);
	else
		loop_stop(&r->loop);
}

/* Six descriptors a leg, two a connection, and a thousand are the usual bound */
static void files_raise(void)
{
	struct rlimit limit,
		want = {6 * MC_LEGS + 2 * PROXY_CONNECTIONS + 1024, 6 * MC_LEGS + 2 * PROXY_CONNECTIONS + 1024};

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < want.rlim_cur &&
	    setrlimit(RLIMIT_NOFILE, &want) < 0) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			log_debug("cannot raise the number of open files", kv_str("why", strerror(errno)));
	}
}

static int role_open(struct role *r, struct err *err)
{
	static const unsigned groups[] = {RTNLGRP_LINK,	      RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
					  RTNLGRP_IPV4_ROUTE, RTNLGRP_MDB,	   0};
	struct ssdp_config ssdp = {
		.map = role_on_map, .same = role_on_same, .arg = r, .ttl = (uint8_t)r->config.multicast_ttl};
	uint64_t random;
	const char *given = getenv(BROKER_FD_ENV);
	uint64_t fd;
	int rc = state_dir_open(r->config.state_dir, &r->dir, err);

	if (rc < 0)
		return rc;
	if (given && parse_u64(given, 3, 1023, &fd) < 0)
		return err_set(err, -EINVAL, BROKER_FD_ENV ": \"%.20s\" is not a descriptor", given);
	if (given)
		r->broker = broker_connect(&r->loop, (int)fd);
	if (geteuid() == 0 && r->dir.fallback)
		log_warning("there is no user docker-router, running as nobody");
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_errno(err, -errno, "getrandom");
	files_raise();
	rc = privileges_drop(r->dir.uid, r->dir.gid, NULL, 0, UINT64_C(1) << CAP_NET_RAW, err);
	if (rc < 0)
		return rc;
	r->ssdp = ssdp_new(&ssdp, random);
	r->mdns = mdns_new(random);
	r->groups = groups_new(role_on_gmp_send, r, (enum querier_mode)r->config.multicast_querier);
	groups_interval(r->groups, (int64_t)r->config.multicast_query_interval_s * USEC_PER_SEC);
	groups_ttl(r->groups, (uint8_t)r->config.multicast_ttl);
	mdns_hide(r->mdns, r->config.multicast_hide, r->config.n_multicast_hide);
	r->wire = wire_new(&r->loop, role_on_packet, role_on_bad, role_on_gmp, r, err);
	if (!r->wire)
		return err->code;
	if (r->config.multicast_advertise)
		wire_hear_solicitations(r->wire);
	r->proxy = proxy_new(&r->loop);
	r->look = timer_new(&r->loop, "look at the interfaces", role_on_look, r);
	r->mdb = timer_new(&r->loop, "ask bridges who listens", role_on_mdb, r);
	r->rules_timer = timer_new(&r->loop, "route groups", role_on_rules, r);
	r->due = timer_new(&r->loop, "relays", role_on_due, r);
	r->write = timer_new(&r->loop, "write " STATE_MULTICAST, role_on_write, r);
	rc = nl_open(NETLINK_ROUTE, &r->dumps, err);
	if (rc == 0)
		rc = nl_open(NETLINK_ROUTE, &r->events, err);
	if (rc == 0)
		rc = nl_listen(r->events, &r->loop, groups, role_on_link_event, role_on_link_lost, r, err);
	return rc;
}

static void role_start(struct role *r)
{
	static const int signals[] = {SIGHUP, SIGTERM, SIGINT};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		r->signals[i] = sigwatch_new(&r->loop, signals[i], on_signal, r);
	if (dirwatch_new(&r->loop, r->dir.path, on_state_dir, r, &r->watch, &err) < 0)
		log_warning("STATE_DIR cannot be watched", kv_str("why", err.text));
	read_before(r);
	read_inventory(r);
	role_write_soon(r, WRITE_US);
	log_info("started", kv_str("state_dir", r->dir.path));
}

static void role_done(struct role *r)
{
	broker_free(r->broker);
	groups_free(r->groups);
	buf_done(&r->rules);
	buf_done(&r->ways);
	proxy_free(r->proxy);
	wire_free(r->wire);
	if (r->ssdp)
		ssdp_free(r->ssdp);
	if (r->mdns)
		mdns_free(r->mdns);
	links_done(&r->links);
	free(r->tallies);
	free(r->seen);
	mc_actions_done(&r->of_ssdp);
	mc_actions_done(&r->of_mdns);
	nl_free(r->dumps);
	nl_free(r->events);
	timer_free(r->look);
	timer_free(r->due);
	timer_free(r->mdb);
	timer_free(r->rules_timer);
	timer_free(r->write);
	if (r->watch)
		dirwatch_free(r->watch);
	for (size_t i = 0; i < ARRAY_LEN(r->signals); i++)
		if (r->signals[i])
			sigwatch_free(r->signals[i]);
	loop_done(&r->loop);
	inventory_done(&r->inventory);
	discovery_done(&r->discovery);
	multicast_state_done(&r->before);
	problems_done(&r->problems);
	problems_done(&r->told);
	state_dir_done(&r->dir);
	config_done(&r->config);
}

int main(int argc, char **argv)
{
	struct role *r = xcalloc(1, sizeof(*r));
	struct err err = {0};
	int rc;

	r->dir.fd = -1;
	rc = config_begin(FOR_MULTICAST, "multicast", argc - 1, argv + 1, environ, &r->config);
	if (rc >= 0) {
		free(r);
		return rc;
	}
	loop_init(&r->loop);
	rc = role_open(r, &err);
	if (rc < 0) {
		log_error("cannot start", kv_str("why", err.text));
	} else {
		role_start(r);
		alloc_trim();
		loop_run(&r->loop);
		log_info("stopped");
	}
	role_done(r);
	free(r);
	return rc < 0 ? 1 : 0;
}
