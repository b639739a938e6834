/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker's DHCP clients, one for each NIC that wants one, inside the container's network namespace and outside of
 * all its others: busybox udhcpc; for IPv6 dhcpcd, below docker-router-dhcp6 (src/attach/launch6.c). What it finds out
 * it tells to the program docker-router-dhcp (src/attach/handler.c), which it runs as its script, and which writes one
 * message for each event to DHCP_EVENTS_FD: a socket whose other end the role attach gets. When that end says that all
 * is closed, the client has ended.
 *
 * What a client is started with comes from the role as lines of "key=value":
 *
 *	hostname   a DNS label               sent to the server (option 12)
 *	client_id  hex digits, 2 to 128      option 61, with its type
 *	duid       hex digits, 2 to 128      DHCPv6 is wanted, by this name of the client
 *	request    an IPv4 address           asked for first
 */
#ifndef IO_DHCP_CHILD_H
#define IO_DHCP_CHILD_H

#include "base/addr.h"
#include "io/dhcp_events.h"
#include "io/loop.h"

#define DHCP_ARGS_BYTES	 1024
#define DHCP_CLIENTS_MAX 8192
#define DHCP_HANDLER	 "docker-router-dhcp"
#define DHCP_LAUNCHER6	 "docker-router-dhcp6"

struct dhcp_args {
	char hostname[64], client_id[129], duid[129], request[IP_STRLEN]; /* "": not given */
};

/** dhcp_args_parse() - Pure. Return: 0; -EINVAL: what must not become an argument, and @err says why */
int dhcp_args_parse(const char *text, size_t len, struct dhcp_args *ret, struct err *err) MUST_USE;

struct dhcp_children;
struct dhcp_children *dhcp_children_new(uv_loop_t *loop);
void dhcp_children_free(struct dhcp_children *d); /* ends all, without telling the servers */
/**
 * dhcp_child_start()
 * @ns_fd:  borrowed
 * @ret_id: for dhcp_child_stop()
 * Return: the socket that events come from, or -errno
 */
int dhcp_child_start(struct dhcp_children *d, int ns_fd, const char *iface, const struct dhcp_args *args, int *ret_id,
		     struct err *err) MUST_USE;
/** dhcp_child_stop() - One that has ended is none. @release: tell the server that the address is free */
void dhcp_child_stop(struct dhcp_children *d, int id, bool release);

#endif
