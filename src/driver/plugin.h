/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The network driver
 *
 *	dockerd --POST--> io/http_server --> request.c --> main.c --> port.c --> link.c (netlink)
 *	                                                     |             |
 *	                                                 driver.json    dhcp.c <--> packet.c
 *
 * dockerd waits for each answer, some of them inside its own start. So nothing here asks dockerd anything, every answer
 *has a deadline, and what cannot be had until then - a DHCP server that is away - comes later. What Docker tells only
 *once is in driver.json before it is answered.
 *
 * An address is looked for when the endpoint is made, on the link that will be the container's, while it still is in
 *the host's namespace. Later the same client goes on inside the container, by a socket that the broker opens there, for
 *the seconds that a renewal takes: nothing of ours holds a namespace.
 */
#ifndef DRIVER_PLUGIN_H
#define DRIVER_PLUGIN_H

#include "driver/link.h"
#include "driver/request.h"
#include "io/broker.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "state/config.h"
#include "state/identity.h"

struct port;

struct plugin {
	uv_loop_t loop;
	struct config config;
	struct state_dir dir;
	char host_id[HOST_ID_LEN + 1];
	struct nl *nl, *events;
	struct broker *broker;
	struct http_server *server;
	struct driver_state state; /* networks and kept; endpoints are made of the next when it is written */
	struct port **endpoints;
	size_t n_endpoints, cap_endpoints;
	struct timer *listen_again, *beat;
	struct sigwatch *sigterm, *sigint;
	struct sigwatch *sighup;
};

/* --- state.c --- */

struct driver_network *plugin_network(struct plugin *p, const char *id); /* NULL: unknown */
/** plugin_save() - Write driver.json. Return: 0 or -errno; told in the log */
int plugin_save(struct plugin *p, bool sync, struct err *err);
/** kept_take() - The MAC of an endpoint that was on this network, and its last address; @mac: this one, none: any that
 * was not given. Return: false: there is none */
bool kept_take(struct plugin *p, const char *network, const struct mac *mac, struct driver_kept *ret);
void kept_add(struct plugin *p, const struct driver_endpoint *e);
void kept_forget(struct plugin *p, const char *network);
/** plugin_mac() - Derived from who it is for: the same whenever it is asked, another on another host */
struct mac plugin_mac(const struct plugin *p, const char *kind, const char *of);

/* --- port.c --- */

/** port_create() - CreateEndpoint; @x is answered now or within the network's wait */
void port_create(struct plugin *p, const struct driver_network *n, const struct driver_request *q,
		 struct http_exchange *x);
/** port_adopt() - One of driver.json, after a start */
void port_adopt(struct plugin *p, const struct driver_endpoint *r);
struct port *port_find(struct plugin *p, const char *id);
const struct driver_endpoint *port_record(const struct port *e);
void port_join(struct port *e, const char *sandbox);
/** port_leave() - Gives the lease back; @x is answered then, or after half a second */
void port_leave(struct port *e, struct http_exchange *x);
/** port_delete() - With its links; @keep: its MAC is for the next one */
void port_delete(struct port *e, bool keep);
/** port_free() - Only what this process has of it */
void port_free(struct port *e);
/** port_link_gone() - The host has lost a link of this name */
void port_link_gone(struct plugin *p, const char *name);
/** port_link_up() - One that was made carries traffic now */
void port_link_up(struct plugin *p, const char *name);

/** answer_ok(), answer_error() - Answer a call */
void answer_text(struct http_exchange *x, struct buf *text); /* takes the contents of @text */
void answer_error(struct http_exchange *x, int status, const char *why);

#endif
