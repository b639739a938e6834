/* SPDX-License-Identifier: Apache-2.0
 *
 * The role driver: Docker networks on the LAN. Takes the calls of dockerd, and hands them to who does the work. See
 * plugin.h; why it is no IPAM driver: docs/decisions.
 */
#include <linux/capability.h>
#include <linux/rtnetlink.h>
#include <signal.h>

#include "base/log.h"
#include "driver/plugin.h"

#define LISTEN_RETRY_US (5 * USEC_PER_SEC)
#define BEAT_US		(2 * USEC_PER_SEC)
#define BEATS_MISSED_S	10 /* then the kernel ends us, and host starts another: dockerd may wait for an answer */

void answer_text(struct http_exchange *x, struct buf *text)
{
	http_reply(x, 200, text->data, text->len);
	buf_done(text);
}

void answer_error(struct http_exchange *x, int status, const char *why)
{
	struct buf text = {0};

	driver_answer_error(&text, why);
	http_reply(x, status, text.data, text.len);
	buf_done(&text);
}

static void answer_fixed(struct http_exchange *x, enum driver_call call)
{
	struct buf text = {0};

	driver_answer_fixed(&text, call);
	answer_text(x, &text);
}

/* --- networks --- */

static void create_network(struct plugin *p, const struct driver_network *n, struct http_exchange *x)
{
	struct driver_network *old = plugin_network(p, n->id);
	struct link_found parent;
	struct err err = {0};

	if (!old && p->state.n_networks >= LIMIT_DRIVER_NETS) {
		answer_error(x, 200, "more networks than the driver keeps");
		return;
	}
	if (link_find(p->nl, n->parent, &parent, NULL) < 0) {
		log_warning("the parent of a network is not there yet", kv_str("parent", n->parent));
	} else if (n->kind == DRIVER_BRIDGE && !parent.is_bridge) {
		autofree char *why = xasprintf("-o kind=bridge: %s is no bridge", n->parent);

		answer_error(x, 200, why);
		return;
	}
	if (!old) {
		old = xgrow(&p->state.networks, p->state.n_networks, &p->state.cap_networks);
		p->state.n_networks++;
	}
	*old = *n;
	/* Docker tells it once, and the network outlives the machine */
	if (plugin_save(p, true, &err) < 0) {
		p->state.n_networks--;
		answer_error(x, 200, err.text);
		return;
	}
	log_info("network", kv_str("id", n->id), kv_str("parent", n->parent),
		 kv_str("kind", driver_kind_names[n->kind]), kv_str("ipam", driver_ipam_names[n->ipam]));
	answer_fixed(x, CALL_CREATE_NETWORK);
}

static void delete_network(struct plugin *p, const char *id, struct http_exchange *x)
{
	struct driver_network *n = plugin_network(p, id);

	for (size_t i = p->n_endpoints; i-- > 0;)
		if (i < p->n_endpoints && str_eq(port_record(p->endpoints[i])->network, id))
			port_delete(p->endpoints[i], false);
	if (n) {
		*n = p->state.networks[--p->state.n_networks];
		kept_forget(p, id);
		(void)plugin_save(p, true, NULL);
		log_info("network removed", kv_str("id", id));
	}
	answer_fixed(x, CALL_DELETE_NETWORK);
}

/* --- calls --- */

static void join(struct plugin *p, const struct driver_network *n, const struct driver_request *q,
		 struct http_exchange *x)
{
	struct port *e = port_find(p, q->endpoint);
	struct buf text = {0};

	if (!n || !e) {
		answer_error(x, 200, "the driver does not know this endpoint: start the container again");
		return;
	}
	port_join(e, q->sandbox);
	driver_answer_join(&text, n, port_record(e));
	answer_text(x, &text);
}

static void info(struct plugin *p, const char *id, struct http_exchange *x)
{
	struct port *e = port_find(p, id);
	struct buf text = {0};

	if (e)
		driver_answer_info(&text, port_record(e));
	else
		buf_puts(&text, "{\"Value\":{}}");
	answer_text(x, &text);
}

static void call(struct plugin *p, const struct driver_request *q, struct http_exchange *x)
{
	const struct driver_network *n = plugin_network(p, q->network);
	struct port *e = port_find(p, q->endpoint);

	switch (q->call) {
	case CALL_CREATE_NETWORK:
		create_network(p, &q->net, x);
		return;
	case CALL_DELETE_NETWORK:
		delete_network(p, q->network, x);
		return;
	case CALL_CREATE_ENDPOINT:
		if (n)
			port_create(p, n, q, x);
		else
			answer_error(
				x, 200,
				"the driver does not know this network (STATE_DIR is another?): remove it and make it "
				"again");
		return;
	case CALL_JOIN:
		join(p, n, q, x);
		return;
	case CALL_LEAVE:
		if (!e)
			break;
		port_leave(e, x);
		return;
	case CALL_DELETE_ENDPOINT:
		if (e)
			port_delete(e, true);
		break;
	case CALL_ENDPOINT_INFO:
		info(p, q->endpoint, x);
		return;
	case CALL_ACTIVATE:
	case CALL_CAPABILITIES:
	case CALL_GW_ALLOC:
	case CALL_NOTHING:
	case CALL_N_:
		break;
	}
	answer_fixed(x, q->call);
}

static void on_request(void *arg, struct http_exchange *x, const char *path, const struct buf *body)
{
	struct driver_request *q = xcalloc(1, sizeof(*q));
	struct err err = {0};
	int rc = driver_request_parse(path, body->data ? body->data : "", body->len, q, &err);

	log_debug("call", kv_str("path", path), kv_int("code", rc));
	if (rc < 0)
		answer_error(x, rc == -ENOENT ? 404 : rc == -EBADMSG ? 400 : 200, err.text);
	else
		call(arg, q, x);
	free(q);
}

/* --- events of the host --- */

static void on_link_event(void *arg, const struct nlmsghdr *nlh)
{
	struct link_event e;

	if (!link_event_parse(nlh, &e) || strncmp(e.name, "dr", 2) != 0)
		return;
	if (e.gone)
		port_link_gone(arg, e.name);
	else if (e.up)
		port_link_up(arg, e.name);
}

static void on_events_lost(void *arg)
{
	struct plugin *p = arg;

	log_debug("link events were lost");
	for (size_t i = p->n_endpoints; i-- > 0;) {
		char host[16], peer[16];
		struct link_found found;

		if (i >= p->n_endpoints)
			continue;
		driver_link_names(port_record(p->endpoints[i])->id, host, peer);
		if (link_find(p->nl, host, &found, NULL) == -ENODEV)
			port_link_gone(p, host);
	}
}

/* A loop that stands still for ten seconds gets SIGALRM, which ends us */
static void on_beat(void *arg)
{
	struct plugin *p = arg;

	alarm(BEATS_MISSED_S);
	timer_start(p->beat, BEAT_US);
}

static void on_signal(void *arg, int signum)
{
	struct plugin *p = arg;

	loop_stop(&p->loop);
}

static void on_sighup(void *arg, int signum)
{
	log_debug("there is nothing to read again");
}

/* --- start and end --- */

static void on_listen(void *arg)
{
	struct plugin *p = arg;
	struct err err;

	if (http_server_new(&p->loop, p->config.driver_socket, on_request, p, &p->server, &err) < 0) {
		log_error("Docker cannot ask us", kv_str("why", err.text),
			  kv_int("next_try_s", LISTEN_RETRY_US / USEC_PER_SEC));
		timer_start(p->listen_again, LISTEN_RETRY_US);
		return;
	}
	log_info("listening", kv_str("socket", p->config.driver_socket),
		 kv_int("networks", (int64_t)p->state.n_networks), kv_int("endpoints", (int64_t)p->n_endpoints));
}

static int state_load(struct plugin *p, struct err *err)
{
	struct file_owner owner = owner_of_root(&p->dir);
	struct driver_endpoint *endpoints;
	size_t bad = 0, n;
	int rc = driver_state_read(p->dir.fd, &owner, &p->state, &bad, err);

	if (rc == -ENOENT)
		return 0;
	/* what networks are for stands nowhere else: better none than an empty file over it */
	if (rc < 0)
		return rc;
	if (bad)
		log_warning(STATE_DRIVER " has entries that cannot be used", kv_int("entries", (int64_t)bad));
	endpoints = steal_ptr(p->state.endpoints);
	n = p->state.n_endpoints;
	p->state.n_endpoints = p->state.cap_endpoints = 0;
	for (size_t i = 0; i < n; i++)
		port_adopt(p, &endpoints[i]);
	free(endpoints);
	return 0;
}

static int plugin_open(struct plugin *p, struct err *err)
{
	static const unsigned groups[] = {RTNLGRP_LINK, 0};
	const char *given = getenv(BROKER_FD_ENV);
	uint64_t fd;
	int rc;

	if (!given)
		return err_set(err, -EINVAL, "runs below `docker-router host`, which enters containers for it");
	if (parse_u64(given, 3, 1023, &fd) < 0)
		return err_set(err, -EINVAL, BROKER_FD_ENV ": \"%.20s\" is not a descriptor", given);
	p->broker = broker_connect(&p->loop, (int)fd);
	rc = state_dir_open(p->config.state_dir, &p->dir, err);
	if (rc == 0)
		rc = identity_load(&p->dir, p->host_id, err);
	if (rc == 0)
		rc = nl_open(NETLINK_ROUTE, &p->nl, err);
	if (rc == 0)
		rc = nl_open(NETLINK_ROUTE, &p->events, err);
	if (rc == 0)
		rc = nl_listen(p->events, &p->loop, groups, on_link_event, on_events_lost, p, err);
	if (rc == 0)
		rc = privileges_drop(0, 0, NULL, 0, UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_NET_RAW, err);
	return rc;
}

static int plugin_start(struct plugin *p, struct err *err)
{
	int rc = plugin_open(p, err);

	if (rc < 0)
		return rc;
	p->listen_again = timer_new(&p->loop, "listen", on_listen, p);
	p->beat = timer_new(&p->loop, "beat", on_beat, p);
	p->sigterm = sigwatch_new(&p->loop, SIGTERM, on_signal, p);
	p->sigint = sigwatch_new(&p->loop, SIGINT, on_signal, p);
	p->sighup = sigwatch_new(&p->loop, SIGHUP, on_sighup, p);
	rc = state_load(p, err);
	if (rc == 0) {
		on_beat(p);
		on_listen(p);
	}
	return rc;
}

static void plugin_done(struct plugin *p)
{
	broker_free(p->broker);
	http_server_free(p->server);
	while (p->n_endpoints)
		port_free(p->endpoints[p->n_endpoints - 1]);
	free(p->endpoints);
	timer_free(p->listen_again);
	timer_free(p->beat);
	sigwatch_free(p->sigterm);
	sigwatch_free(p->sigint);
	sigwatch_free(p->sighup);
	nl_free(p->events);
	nl_free(p->nl);
	driver_state_done(&p->state);
	state_dir_done(&p->dir);
	config_done(&p->config);
	loop_done(&p->loop);
}

int main(int argc, char **argv, char **env)
{
	struct plugin p = {.dir = {.fd = -1}};
	struct err err = {0};
	int rc;

	alloc_sparing();
	rc = config_begin(FOR_DRIVER, "driver", argc - 1, argv + 1, env, &p.config);
	if (rc >= 0)
		return rc;
	loop_init(&p.loop);
	rc = plugin_start(&p, &err);
	if (rc < 0)
		log_error("cannot start", kv_str("why", err.text));
	else
		loop_run(&p.loop);
	plugin_done(&p);
	return rc == 0 ? 0 : rc == -EINVAL ? 2 : 1;
}
