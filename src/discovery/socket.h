/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Sockets
 *
 *	one per interface   bound to (group, port), SO_REUSEADDR: any number of processes of any users hear what is sent
 *to the group. Joined on that interface only, and nothing of other interfaces is let in. one to send         bound to
 *HOST_IP. The first process of a host has the discovery port, so that one open port in a firewall will do; the others
 *have any port. Answers come back to it.
 *
 * Interfaces and addresses are followed by netlink: what comes is joined, what goes is left; when HOST_IP goes, sending
 * waits until there is one again.
 */
#ifndef DISCOVERY_SOCKET_H
#define DISCOVERY_SOCKET_H

#include "discovery/core.h"
#include "io/loop.h"
#include "state/config.h"

struct sockets;

struct sockets_config {
	uint8_t family;
	struct ip group; /* none: no multicast */
	uint16_t port;
	struct ip host_ip;  /* none: to be found */
	char interface[16]; /* "": all that can */
};

/** sockets_datagram_fn - One datagram; only the first LIMIT_DATAGRAM_IN bytes are there when @len says more */
typedef void sockets_datagram_fn(void *arg, const struct endpoint *from, bool by_group, const char *data, size_t len);
/** sockets_moved_fn - Where we are has changed; also called once by sockets_start() */
typedef void sockets_moved_fn(void *arg, const struct core_addresses *addresses);

/** sockets_config_of() - As the settings say; one family for all that is sent */
struct sockets_config sockets_config_of(const struct config *c);

/** sockets_new() - Nothing happens before sockets_start() */
struct sockets *sockets_new(uv_loop_t *loop, const struct sockets_config *config, sockets_datagram_fn *datagram,
			    sockets_moved_fn *moved, void *arg);
/** sockets_start() - Fails only when netlink does; without any interface it waits for one */
int sockets_start(struct sockets *s, struct err *err) MUST_USE;
void sockets_free(struct sockets *s);

/** sockets_send() - To one address; sockets_send_group() - on every joined interface. Errors are logged, seldom */
void sockets_send(struct sockets *s, const struct endpoint *to, const char *data, size_t len);
void sockets_send_group(struct sockets *s, const char *data, size_t len);
/** sockets_from() - The address that all is sent from; without one, port 0 */
struct endpoint sockets_from(const struct sockets *s);
/** sockets_rescan() - Look at the interfaces again, now */
void sockets_rescan(struct sockets *s);

#endif
