/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of an endpoint. An address comes from Docker (static), or from a DHCP server; that is asked on the link
 * while it is on the host, and inside the container when it has been moved there. See plugin.h.
 */
#include "base/log.h"
#include "driver/dhcp.h"
#include "driver/packet.h"
#include "driver/plugin.h"

#define PARENT_RETRY_US (200 * USEC_PER_MSEC)
#define INSIDE_RETRY_US (250 * USEC_PER_MSEC)
#define INSIDE_TRIES	240 /* a minute: then the container is taken for gone */
#define UP_US		(200 * USEC_PER_MSEC)
#define LEAVE_US	(500 * USEC_PER_MSEC)
#define UNJOINED_US	(10 * USEC_PER_SEC) /* Docker joins at once what it made */

enum phase { PHASE_PARENT, PHASE_LEASE, PHASE_READY, PHASE_LEAVING };

/* A question to the broker that is on its way: it outlives the endpoint */
struct inside {
	struct port *port; /* NULL: nobody wants to know any more */
	int index;
};

struct port {
	struct plugin *plugin;
	struct driver_endpoint r;
	struct driver_request ask;
	struct http_exchange *waiting;
	enum phase phase;
	struct timer *deadline, *timer, *retry;
	struct dhcp_client dhcp;
	struct dhcp_out out; /* to be sent as soon as there is a socket */
	struct packet *packet;
	struct prefix applied; /* the address that the container has */
	bool apply, probe;     /* to be done inside */
	struct inside *inside; /* asked */
	unsigned tries;
};

static void port_go_inside(struct port *e);

const struct driver_endpoint *port_record(const struct port *e)
{
	return &e->r;
}

struct port *port_find(struct plugin *p, const char *id)
{
	for (size_t i = 0; i < p->n_endpoints; i++)
		if (str_eq(p->endpoints[i]->r.id, id))
			return p->endpoints[i];
	return NULL;
}

static void log_endpoint(enum log_level level, const struct port *e, const char *text, const char *why)
{
	char address[PREFIX_STRLEN] = "", mac[MAC_STRLEN], id[16];
	const struct driver_network *n = plugin_network(e->plugin, e->r.network);

	if (!ip_is_none(&e->r.address.ip))
		prefix_format(&e->r.address, address);
	str_print(id, "%.12s", e->r.id);
	log_write(level, text,
		  LOG_PAIRS_(kv_str("endpoint", id), kv_str("parent", n ? n->parent : ""),
			     kv_str("mac", mac_format(&e->r.mac, mac)), kv_str("address", address),
			     kv_str("why", why)));
}

/* --- the end --- */

void port_free(struct port *e)
{
	struct plugin *p = e->plugin;

	for (size_t i = 0; i < p->n_endpoints; i++)
		if (p->endpoints[i] == e)
			p->endpoints[i] = p->endpoints[--p->n_endpoints];
	if (e->inside)
		e->inside->port = NULL;
	timer_free(e->deadline);
	timer_free(e->timer);
	timer_free(e->retry);
	packet_free(e->packet);
	free(e);
}

/* What is only on the host can be given back at once */
static void port_release_here(struct port *e)
{
	struct link_found found;
	char host[16], peer[16];

	dhcp_release(&e->dhcp, &e->out);
	driver_link_names(e->r.id, host, peer);
	if (e->out.len && !e->packet && link_find(e->plugin->nl, peer, &found, NULL) == 0 &&
	    packet_new(&e->plugin->loop, -1, found.index, NULL, NULL, e, &e->packet, NULL) < 0)
		return;
	if (e->out.len && e->packet)
		(void)packet_send(e->packet, e->out.frame, e->out.len);
}

void port_delete(struct port *e, bool keep)
{
	struct plugin *p = e->plugin;
	struct err err;

	if (e->r.lease.seconds && !e->r.sandbox[0])
		port_release_here(e);
	if (link_remove(p->nl, e->r.id, &err) < 0)
		log_endpoint(LOG_LEVEL_WARNING, e, "links are left behind", err.text);
	if (keep)
		kept_add(p, &e->r);
	port_free(e);
	(void)plugin_save(p, false, NULL);
}

/* CreateEndpoint cannot be answered well: nothing of it stays */
static void create_fail(struct port *e, const char *why)
{
	struct http_exchange *x = e->waiting;

	e->waiting = NULL;
	log_endpoint(LOG_LEVEL_WARNING, e, "endpoint refused", why);
	port_delete(e, !ip_is_none(&e->r.address.ip));
	if (x) {
		http_exchange_gone(x, NULL, NULL);
		answer_error(x, 200, why);
	}
}

static void on_client_gone(void *arg)
{
	struct port *e = arg;

	e->waiting = NULL;
	if (e->phase != PHASE_LEAVING)
		create_fail(e, "dockerd did not wait for the answer");
}

void port_link_gone(struct plugin *p, const char *name)
{
	for (size_t i = 0; i < p->n_endpoints; i++) {
		struct port *e = p->endpoints[i];
		char host[16], peer[16];

		driver_link_names(e->r.id, host, peer);
		if (e->r.kind != DRIVER_BRIDGE || !str_eq(host, name) || e->phase != PHASE_READY || !e->r.sandbox[0])
			continue;
		log_endpoint(LOG_LEVEL_INFO, e, "container is gone", "");
		port_delete(e, true);
		return;
	}
}

/* --- the lease --- */

static void lease_record(struct port *e)
{
	const struct dhcp_lease *l = &e->dhcp.lease;
	int64_t age_us = mono_now().us - l->begin_us;
	const struct driver_network *n = plugin_network(e->plugin, e->r.network);

	e->r.address = l->address;
	e->r.gateway = l->gateway;
	if (n && n->internal)
		memset(&e->r.gateway, 0, sizeof(e->r.gateway));
	e->r.lease = (struct driver_lease){
		.server = l->server,
		.server_mac = l->server_mac,
		.since = {wall_now().ms - age_us / USEC_PER_MSEC},
		.seconds = l->seconds,
		.t1 = l->t1,
		.t2 = l->t2,
	};
}

/* What the client had to say is said, or will be when there is a socket; and when it wants to be asked again */
static void dhcp_go_on(struct port *e)
{
	int64_t wait_us = e->dhcp.due_us == INT64_MAX ? -1 : e->dhcp.due_us - mono_now().us;

	timer_stop(e->timer);
	if (wait_us >= 0 || e->dhcp.due_us != INT64_MAX)
		timer_start(e->timer, wait_us > 0 ? wait_us : 0);
	if (e->dhcp.state == DHCP_BOUND || e->dhcp.state == DHCP_OFF) {
		packet_free(e->packet);
		e->packet = NULL;
	}
}

static void create_answer(struct port *e)
{
	struct http_exchange *x = e->waiting;
	struct buf text = {0};

	timer_stop(e->deadline);
	e->waiting = NULL;
	e->phase = PHASE_READY;
	e->applied = e->r.address;
	(void)plugin_save(e->plugin, false, NULL);
	if (!x)
		return;
	http_exchange_gone(x, NULL, NULL);
	driver_answer_endpoint(&text, &e->ask, &e->r);
	answer_text(x, &text);
}

static void dhcp_happened(struct port *e, int events)
{
	bool got = events & DHCP_GOT, lost = events & DHCP_LOST;

	if (!got && !lost)
		return;
	if (lost && !got) {
		log_endpoint(LOG_LEVEL_WARNING, e, "lease lost", "refused by the server, or run out");
		e->r.lease = (struct driver_lease){0};
		e->r.address = (struct prefix){0};
		e->r.gateway = (struct ip){0};
	}
	if (got)
		lease_record(e);
	if (e->phase == PHASE_LEASE && got) {
		log_endpoint(LOG_LEVEL_INFO, e, "lease", "");
		create_answer(e);
		return;
	}
	if (e->phase != PHASE_READY)
		return;
	(void)plugin_save(e->plugin, false, NULL);
	if (prefix_cmp(&e->applied, &e->r.address) == 0) {
		log_debug("lease renewed");
		return;
	}
	if (got)
		log_endpoint(LOG_LEVEL_WARNING, e, "lease with another address than Docker knows of", "");
	e->apply = true;
	if (e->r.sandbox[0])
		port_go_inside(e);
}

static void on_packet_down(void *arg)
{
	struct port *e = arg;

	/* Docker moves the link; what was not answered is asked again inside */
	packet_free(e->packet);
	e->packet = NULL;
}

static void dhcp_send(struct port *e);

static void on_packet(void *arg, const uint8_t *frame, size_t len)
{
	struct port *e = arg;
	int events = dhcp_input(&e->dhcp, frame, len, mono_now().us, &e->out);

	if (e->out.len)
		dhcp_send(e);
	dhcp_go_on(e);
	dhcp_happened(e, events);
}

static int packet_open_here(struct port *e, struct err *err)
{
	char host[16], peer[16];
	struct link_found found;
	int rc;

	driver_link_names(e->r.id, host, peer);
	rc = link_find(e->plugin->nl, peer, &found, err);
	return rc < 0 ? rc
		      : packet_new(&e->plugin->loop, -1, found.index, on_packet, on_packet_down, e, &e->packet, err);
}

/* e->out is to be sent: now, or as soon as there is a socket inside the container */
static void dhcp_send(struct port *e)
{
	struct err err;

	if (!e->packet && !e->r.sandbox[0] && packet_open_here(e, &err) < 0) {
		log_debug("no socket for DHCP", kv_str("why", err.text));
		e->out.len = 0;
		return;
	}
	if (e->packet) {
		int rc = packet_send(e->packet, e->out.frame, e->out.len);

		if (rc < 0)
			log_debug("DHCP message not sent", kv_str("why", strerror(-rc)));
		e->out.len = 0;
		return;
	}
	port_go_inside(e);
}

static void on_dhcp_timer(void *arg)
{
	struct port *e = arg;
	int events = dhcp_timer(&e->dhcp, mono_now().us, &e->out);

	if (e->out.len)
		dhcp_send(e);
	dhcp_go_on(e);
	dhcp_happened(e, events);
}

/* --- inside the container --- */

static void leave_answer(struct port *e)
{
	struct http_exchange *x = e->waiting;
	struct buf text = {0};

	timer_stop(e->deadline);
	e->waiting = NULL;
	e->phase = PHASE_READY;
	e->r.sandbox[0] = '\0';
	e->r.lease = (struct driver_lease){0};
	e->r.since = wall_now();
	packet_free(e->packet);
	e->packet = NULL;
	e->out.len = 0;
	(void)plugin_save(e->plugin, false, NULL);
	if (!x)
		return;
	http_exchange_gone(x, NULL, NULL);
	driver_answer_fixed(&text, CALL_LEAVE);
	answer_text(x, &text);
}

/* The container, or its interface, is not there: not yet, or not any more */
static void inside_failed(struct port *e, const char *why)
{
	if (e->phase == PHASE_LEAVING) {
		leave_answer(e);
		return;
	}
	if (++e->tries < INSIDE_TRIES) {
		timer_start(e->retry, INSIDE_RETRY_US);
		return;
	}
	log_endpoint(LOG_LEVEL_INFO, e, "container is gone", why);
	port_delete(e, true);
}

static struct port *inside_end(struct inside *i)
{
	struct port *e = i->port;

	if (e)
		e->inside = NULL;
	free(i);
	return e;
}

static void on_inside_packet(void *arg, int code, int fd, const char *text)
{
	struct inside *i = arg;
	int index = i->index;
	struct port *e = inside_end(i);
	struct err err = {0};

	if (!e || code < 0) {
		autoclose_(&fd);
		if (e)
			inside_failed(e, text);
		return;
	}
	packet_free(e->packet);
	e->packet = NULL;
	if (packet_new(&e->plugin->loop, fd, index, on_packet, on_packet_down, e, &e->packet, &err) < 0) {
		inside_failed(e, err.text);
		return;
	}
	e->tries = 0;
	if (e->out.len)
		dhcp_send(e);
	if (e->phase == PHASE_LEAVING)
		leave_answer(e);
}

/* "ct:ID" of a sandbox key */
static struct broker_ns port_ns(const struct port *e)
{
	struct broker_ns ns = {0};
	const char *base = strrchr(e->r.sandbox, '/');

	str_print(ns.name, "ct:%.80s", base ? base + 1 : "");
	str_copy(ns.sandbox, e->r.sandbox);
	return ns;
}

/* Return: the index of the interface; or -errno */
static int inside_netlink(struct port *e, int fd, struct err *err)
{
	struct nl *nl;
	int rc = nl_adopt(fd, &nl, err), index;

	if (rc < 0)
		return rc;
	index = link_find_mac(nl, &e->r.mac, err);
	if (index > 0 && e->apply) {
		rc = link_readdress(nl, index, &e->applied, &e->r.address, &e->r.gateway, err);
		if (rc == 0) {
			e->applied = e->r.address;
			e->apply = false;
			log_endpoint(LOG_LEVEL_INFO, e, "address changed inside the container", "");
		}
	}
	nl_free(nl);
	return rc < 0 ? rc : index;
}

static void on_inside_netlink(void *arg, int code, int fd, const char *text)
{
	struct inside *i = arg;
	struct port *e = i->port;
	struct err err = {.text = ""};
	struct broker_ns ns;

	if (!e || code < 0) {
		autoclose_(&fd);
		inside_end(i);
		if (e)
			inside_failed(e, text);
		return;
	}
	i->index = inside_netlink(e, fd, &err);
	if (i->index < 0) {
		inside_end(i);
		inside_failed(e, err.text);
		return;
	}
	e->probe = false;
	if (!e->out.len) {
		inside_end(i);
		e->tries = 0;
		return;
	}
	ns = port_ns(e);
	broker_call(e->plugin->broker, BROKER_PACKET, &ns, 0, -1, on_inside_packet, i);
}

static void port_go_inside(struct port *e)
{
	struct broker_ns ns;

	if (e->inside || timer_is_set(e->retry))
		return;
	e->inside = xcalloc(1, sizeof(*e->inside));
	e->inside->port = e;
	ns = port_ns(e);
	broker_call(e->plugin->broker, BROKER_NETLINK, &ns, 0, -1, on_inside_netlink, e->inside);
}

static void on_unjoined(struct port *e)
{
	log_endpoint(LOG_LEVEL_WARNING, e, "endpoint that no container joined is removed", "");
	port_delete(e, true);
}

/* --- the beginning --- */

static void create_with_parent(struct port *e, const struct driver_network *n, const struct link_found *parent)
{
	struct err err;
	struct driver_kept kept;
	struct link_found made;
	char host[16], peer[16];

	e->r.kind = n->kind != DRIVER_AUTO ? n->kind : parent->is_bridge ? DRIVER_BRIDGE : DRIVER_MACVLAN;
	if (e->r.kind == DRIVER_BRIDGE && !parent->is_bridge) {
		autofree char *why = xasprintf("-o kind=bridge: %s is no bridge", n->parent);

		create_fail(e, why);
		return;
	}
	if (n->ipam == DRIVER_DHCP) {
		bool again = kept_take(e->plugin, n->id, &e->r.mac, &kept);

		if (again)
			e->r.mac = kept.mac;
		else if (mac_is_none(&e->r.mac))
			e->r.mac = plugin_mac(e->plugin, "endpoint", e->r.id);
		dhcp_begin(&e->dhcp, &e->r.mac, e->r.name, again && !ip_is_none(&kept.address) ? &kept.address : NULL,
			   (uint32_t)hash64(e->r.id, strlen(e->r.id), 0), mono_now().us);
	}
	/* first remembered, then made: whatever kills us, somebody knows what to take away */
	(void)plugin_save(e->plugin, false, NULL);
	if (link_make(e->plugin->nl, n, &e->r, parent, &err) < 0) {
		create_fail(e, err.text);
		return;
	}
	if (n->ipam == DRIVER_STATIC) {
		create_answer(e);
		return;
	}
	e->phase = PHASE_LEASE;
	/* the kernel enables a port of a bridge a moment later: what is sent before is lost, and costs two seconds */
	driver_link_names(e->r.id, host, peer);
	if (link_find(e->plugin->nl, e->r.kind == DRIVER_BRIDGE ? host : peer, &made, NULL) == 0 && made.up)
		on_dhcp_timer(e);
	else
		timer_start(e->timer, UP_US);
}

void port_link_up(struct plugin *p, const char *name)
{
	for (size_t i = 0; i < p->n_endpoints; i++) {
		struct port *e = p->endpoints[i];
		char host[16], peer[16];

		driver_link_names(e->r.id, host, peer);
		if (e->phase == PHASE_LEASE && !e->dhcp.tries && e->dhcp.state == DHCP_SELECTING &&
		    str_eq(name, e->r.kind == DRIVER_BRIDGE ? host : peer)) {
			on_dhcp_timer(e);
			return;
		}
	}
}

static void create_try(struct port *e)
{
	const struct driver_network *n = plugin_network(e->plugin, e->r.network);
	struct link_found parent;
	struct err err;
	int rc = n ? link_find(e->plugin->nl, n->parent, &parent, &err) : err_set(&err, -ENOENT, "the network is gone");

	if (rc == 0 && n)
		create_with_parent(e, n, &parent);
	else if (rc == -ENODEV && timer_is_set(e->deadline))
		timer_start(e->retry, PARENT_RETRY_US);
	else
		create_fail(e, err.text);
}

static void on_retry(void *arg)
{
	struct port *e = arg;

	if (e->phase == PHASE_PARENT)
		create_try(e);
	else if (!e->r.sandbox[0])
		on_unjoined(e);
	else if (e->out.len || e->apply || e->probe)
		port_go_inside(e);
}

static void on_deadline(void *arg)
{
	struct port *e = arg;

	switch (e->phase) {
	case PHASE_PARENT:
		create_try(e);
		break;
	case PHASE_LEASE:
		log_endpoint(LOG_LEVEL_WARNING, e, "no DHCP server answers, the container starts without address",
			     "it gets one as soon as a server is there");
		create_answer(e);
		break;
	case PHASE_LEAVING:
		leave_answer(e);
		break;
	case PHASE_READY:
		break;
	}
}

static struct port *port_new(struct plugin *p)
{
	struct port *e = xcalloc(1, sizeof(*e));

	e->plugin = p;
	e->deadline = timer_new(&p->loop, "endpoint deadline", on_deadline, e);
	e->timer = timer_new(&p->loop, "dhcp", on_dhcp_timer, e);
	e->retry = timer_new(&p->loop, "endpoint retry", on_retry, e);
	*xgrow(&p->endpoints, p->n_endpoints, &p->cap_endpoints) = e;
	p->n_endpoints++;
	return e;
}

static bool mac_taken(const struct plugin *p, const struct port *e)
{
	for (size_t i = 0; i < p->n_endpoints; i++)
		if (p->endpoints[i] != e && str_eq(p->endpoints[i]->r.network, e->r.network) &&
		    mac_cmp(&p->endpoints[i]->r.mac, &e->r.mac) == 0)
			return true;
	return false;
}

static void choose_mac(struct port *e, const struct driver_network *n)
{
	autofree char *of = NULL;
	char text[PREFIX_STRLEN];

	e->r.mac = e->ask.mac;
	e->r.mac_given = true;
	if (!mac_is_none(&e->r.mac))
		return;
	if (e->r.name[0])
		of = xasprintf("%s %s", n->parent, e->r.name);
	else if (n->ipam == DRIVER_STATIC)
		of = xstrdup(prefix_format(ip_is_none(&e->r.address.ip) ? &e->r.address6 : &e->r.address, text));
	if (of)
		e->r.mac = plugin_mac(e->plugin, e->r.name[0] ? "name" : "address", of);
	else
		e->r.mac_given = false;
}

void port_create(struct plugin *p, const struct driver_network *n, const struct driver_request *q,
		 struct http_exchange *x)
{
	struct port *e = port_find(p, q->endpoint);

	if (e) /* asked again, after an answer that did not arrive */
		port_delete(e, true);
	if (p->n_endpoints >= LIMIT_DRIVER_ENDS) {
		answer_error(x, 200, "more endpoints than the driver keeps");
		return;
	}
	e = port_new(p);
	e->ask = *q;
	e->waiting = x;
	str_copy(e->r.id, q->endpoint);
	str_copy(e->r.network, q->network);
	str_copy(e->r.name, q->name);
	e->r.kind = n->kind == DRIVER_AUTO ? DRIVER_BRIDGE : n->kind;
	e->r.since = wall_now();
	if (n->ipam == DRIVER_STATIC) {
		e->r.address = q->address;
		e->r.address6 = q->address6;
		if (!n->internal)
			e->r.gateway = n->gateways[0];
	}
	choose_mac(e, n);
	if (e->r.mac_given && mac_taken(p, e)) {
		autofree char *why = xasprintf("%s%s is in use by another container of this network",
					       e->r.name[0] ? "docker-router.name=" : "its MAC address", e->r.name);

		e->r.address = (struct prefix){0};
		create_fail(e, why);
		return;
	}
	http_exchange_gone(x, on_client_gone, e);
	timer_start(e->deadline, n->wait_s * USEC_PER_SEC);
	create_try(e);
}

void port_join(struct port *e, const char *sandbox)
{
	str_copy(e->r.sandbox, sandbox);
	timer_stop(e->retry);
	(void)plugin_save(e->plugin, false, NULL);
	/* a lease that comes only now, or came between, is for inside */
	if (e->dhcp.state != DHCP_OFF && e->dhcp.state != DHCP_BOUND) {
		packet_free(e->packet);
		e->packet = NULL;
		e->dhcp.due_us = mono_now().us;
		timer_start(e->timer, INSIDE_RETRY_US);
	} else if (prefix_cmp(&e->applied, &e->r.address) != 0) {
		e->apply = true;
		timer_start(e->retry, INSIDE_RETRY_US);
	}
}

void port_leave(struct port *e, struct http_exchange *x)
{
	e->waiting = x;
	timer_stop(e->timer);
	timer_stop(e->retry);
	e->apply = false;
	dhcp_release(&e->dhcp, &e->out);
	if (!e->out.len || !e->r.sandbox[0]) {
		leave_answer(e);
		return;
	}
	e->phase = PHASE_LEAVING;
	http_exchange_gone(x, on_client_gone, e);
	timer_start(e->deadline, LEAVE_US);
	port_go_inside(e);
}

void port_adopt(struct plugin *p, const struct driver_endpoint *r)
{
	struct port *e = port_new(p);
	const struct driver_network *n = plugin_network(p, r->network);
	char host[16], peer[16];
	struct link_found found;

	e->r = *r;
	e->phase = PHASE_READY;
	e->applied = r->address;
	driver_link_names(r->id, host, peer);
	if (!n || (r->kind == DRIVER_BRIDGE && link_find(p->nl, host, &found, NULL) < 0)) {
		log_endpoint(LOG_LEVEL_INFO, e, "container is gone", "while the driver did not run");
		e->r.lease = (struct driver_lease){0};
		port_delete(e, n != NULL);
		return;
	}
	if (!r->sandbox[0]) {
		timer_start(e->retry, UNJOINED_US);
		return;
	}
	e->probe = true;
	if (n->ipam == DRIVER_DHCP) {
		struct dhcp_lease l = {
			.address = r->address,
			.gateway = r->gateway,
			.server = r->lease.server,
			.server_mac = r->lease.server_mac,
			.seconds = r->lease.seconds,
			.t1 = r->lease.t1,
			.t2 = r->lease.t2,
			.begin_us = mono_now().us - (wall_now().ms - r->lease.since.ms) * USEC_PER_MSEC,
		};
		uint32_t seed = (uint32_t)hash64(r->id, strlen(r->id), (uint64_t)mono_now().us);

		if (l.seconds)
			dhcp_resume(&e->dhcp, &r->mac, r->name, &l, seed, false, mono_now().us);
		else
			dhcp_begin(&e->dhcp, &r->mac, r->name, NULL, seed, mono_now().us);
		dhcp_go_on(e);
	}
	port_go_inside(e);
}
