/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The way to what was discovered
 *
 * A device in a container announces http://172.30.0.2:8200/..., which nobody on the LAN reaches. So a port of this host
 * is opened on the LAN for it, out of a range of its own, the same one after a restart; didl.h puts the addresses right
 * in what passes. Connections go from the host's own namespace to the container's bridge: Docker's chains, which are
 * about what is forwarded, have no say.
 *
 * A port leads to one endpoint in one network, for who is on the link where it was announced. Only the address that a
 * device has announced from is served, never the bridge's own.
 */
#ifndef MULTICAST_PROXY_H
#define MULTICAST_PROXY_H

#include "io/loop.h"
#include "multicast/multicast.h"

#define PROXY_PORT_FIRST  61900
#define PROXY_PORT_LAST	  61999
#define PROXY_SERVICES	  (PROXY_PORT_LAST - PROXY_PORT_FIRST + 1)
#define PROXY_CONNECTIONS 256

struct proxy;

struct proxy *proxy_new(uv_loop_t *loop);
void proxy_free(struct proxy *p);

/**
 * proxy_map() - The endpoint on leg @to that leads to @inside on leg @from; opened when it is not there yet
 * Return: 0; -EADDRNOTAVAIL: @to has no address of that family; -EADDRINUSE: no port of the range is free; -errno
 */
int proxy_map(struct proxy *p, const struct mc_leg *from, const struct endpoint *inside, const struct mc_leg *to,
	      struct endpoint *ret_outside) MUST_USE;
/** proxy_leg_over() - A leg is gone: what leads to it or from it is closed */
void proxy_leg_over(struct proxy *p, uint32_t leg);
/** proxy_leg_change() - It has other addresses: what is open at one that is gone is closed, and nothing else */
void proxy_leg_change(struct proxy *p, const struct mc_leg *leg);

/** struct proxy_service - For people */
struct proxy_service {
	uint32_t from, to;
	struct endpoint inside, outside;
	uint64_t connections, refused, bytes, rewritten;
	size_t open;
	char error[96]; /* of the latest connection that failed; "" none */
};
typedef void proxy_service_fn(void *arg, const struct proxy_service *s);
void proxy_services(const struct proxy *p, proxy_service_fn *fn, void *arg);

#endif
