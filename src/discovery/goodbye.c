/* SPDX-License-Identifier: Apache-2.0
 *
 * What `down` says for a discovery that is no more: the stacks are those of discovery.json.
 */
#include "discovery/goodbye.h"

#include "base/log.h"
#include "discovery/mode.h"
#include "discovery/socket.h"
#include "state/discovery.h"
#include "state/identity.h"
#include "state/join.h"
#include "state/seal.h"

#define GOODBYE_US    (30 * USEC_PER_MSEC) /* between the datagrams */
#define GOODBYE_TIMES 3

struct farewell {
	struct modes modes;
	uv_loop_t *loop;
	const struct config *config;
	struct state_dir dir;
	struct discovery last;
	struct seal *seal; /* NULL: no key */
	struct sockets *sockets;
	struct timer *timer;
	int left;
};

static void goodbye_send(void *arg, const char *data, size_t len)
{
	struct farewell *g = arg;

	sockets_send_group(g->sockets, data, len);
	for (size_t i = 0; i < g->config->n_peers && g->config->modes & MODE_STATIC; i++)
		sockets_send(g->sockets, &g->config->peers[i], data, len);
	/* Whoever speaks to us alone is not told apart in the file: tell all that are no multicast peers */
	for (size_t i = 0; i < g->last.n_peers; i++) {
		struct endpoint to = {.ip = g->last.peers[i].host_ip, .port = g->config->discovery_port};

		if (g->last.peers[i].source != PEER_MULTICAST)
			sockets_send(g->sockets, &to, data, len);
	}
}

static void goodbye_part(void *arg, const char *data, size_t len)
{
	struct farewell *g = arg;
	struct endpoint from = sockets_from(g->sockets);

	if (g->seal)
		seal_data(g->seal, (struct seal_now){.mono = mono_now(), .wall = wall_now()}, &from, data, len,
			  goodbye_send, g);
	else
		goodbye_send(g, data, len);
}

static void on_timer(void *arg)
{
	struct farewell *g = arg;
	const struct discovery *d = &g->last;

	if (g->left-- == 0) {
		loop_stop(g->loop);
		return;
	}
	for (size_t i = 0; i < d->self.n_stacks; i++) {
		const struct self_stack *s = &d->self.stacks[i];
		/* Half of the margin that the next start adds to the number in the file */
		struct wire_msg m = {.type = WIRE_GOODBYE,
				     .host_ip = d->self.host_ip,
				     .vni = s->vni,
				     .timestamp = wall_now().ms / 1000,
				     .port = d->self.vxlan_port,
				     .seq = d->self.seq + 500,
				     .vtep_mac = vtep_mac(d->self.host_id, s->vni),
				     .vtep_ip = vtep_ip(d->self.host_id, s->vni)};

		str_copy(m.stack_id, s->stack_id);
		str_copy(m.host_id, d->self.host_id);
		str_copy(m.host_name, d->self.host_name);
		wire_encode(&m, goodbye_part, g);
	}
	timer_start(g->timer, GOODBYE_US);
}

static void goodbye_datagram(void *arg, const struct endpoint *from, bool by_group, const char *data, size_t len)
{
}

static void goodbye_moved(void *arg, const struct core_addresses *addresses)
{
}

static int goodbye_load(struct farewell *g, struct keyring *ring, struct err *err)
{
	struct file_owner owner;
	char path[512];
	int rc = state_dir_open(g->config->state_dir, &g->dir, err);

	if (rc == 0) {
		join_key_path(g->config->cluster_key_file, g->dir.path, path, sizeof(path));
		rc = keyring_read(path, ring, err);
		if (rc == -ENOENT && !g->config->cluster_key_file[0])
			rc = 0;
	}

	if (rc == 0)
		rc = modes_open(&g->modes, g->config, err);
	if (rc == 0)
		rc = privileges_drop(g->dir.uid, g->dir.gid, NULL, 0, 0, err);
	if (rc == 0 && sandbox_enter(modes_sandbox(&g->modes, g->config), err) < 0)
		log_debug("no seccomp: all system calls are allowed", kv_str("why", err->text));
	if (rc < 0)
		return rc;
	owner = owner_of_discovery(&g->dir);
	return discovery_read(g->dir.fd, &owner, &g->last, err);
}

static int goodbye_run(struct farewell *g, struct err *err)
{
	struct sockets_config config = sockets_config_of(g->config);
	int rc;

	/* Whoever hears us must take us for ourselves */
	config.host_ip = g->last.self.host_ip;
	g->sockets = sockets_new(g->loop, &config, goodbye_datagram, goodbye_moved, g);
	rc = sockets_start(g->sockets, err);
	if (rc < 0)
		return rc;
	g->left = GOODBYE_TIMES;
	g->timer = timer_new(g->loop, "goodbye", on_timer, g);
	timer_start(g->timer, 0);
	loop_run(g->loop);
	return 0;
}

int goodbye_say(uv_loop_t *loop, const struct config *config)
{
	struct farewell g = {.loop = loop, .config = config, .dir = {.fd = -1}};
	struct keyring ring = {.n = 0};
	struct err err = {0};
	int rc = goodbye_load(&g, &ring, &err);

	if (rc == -ENOENT || (rc == 0 && (g.last.self.n_stacks == 0 || !wire_host_id_valid(g.last.self.host_id) ||
					  ip_is_none(&g.last.self.host_ip)))) {
		log_info("nobody to say goodbye for");
		rc = 0;
	} else {
		/* Nobody would hear it, and others would read it */
		if (rc == 0 && g.last.self.key_id[0] && ring.n == 0)
			rc = err_set(&err, -ENOKEY, "discovery was sealed, and CLUSTER_KEY_FILE is not set");
		if (rc == 0 && ring.n > 0)
			g.seal = seal_new(SEAL_DISCOVERY, g.last.self.host_id, &ring, USEC_PER_SEC);
		if (rc == 0)
			rc = goodbye_run(&g, &err);
		if (rc == 0)
			rc = modes_goodbye(&g.modes,
					   &(struct mode_env){.loop = loop,
							      .config = config,
							      .host_id = g.last.self.host_id,
							      .dir = &g.dir,
							      .ring = &ring},
					   &g.last, &err);
		if (rc < 0)
			log_error("goodbye cannot be said", kv_str("why", err.text));
		else
			log_info("said goodbye", kv_int("stacks", (int64_t)g.last.self.n_stacks));
	}
	keyring_done(&ring);
	seal_free(g.seal);
	modes_done(&g.modes);
	sockets_free(g.sockets);
	timer_free(g.timer);
	discovery_done(&g.last);
	state_dir_done(&g.dir);
	return rc < 0 ? 1 : 0;
}
