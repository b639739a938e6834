/* SPDX-License-Identifier: Apache-2.0
 *
 * The sockets of gossip: UDP and TCP on one address, GOSSIP_PORT. Nothing waits, and everything is bounded: who has
 * opened a stream has FRESH_US to send a frame that is one (sealed, where we have a key), and only then counts as one;
 * a few of those are kept for an address; what is not read is not buffered.
 */
#ifndef DISCOVERY_GOSSIP_NET_H
#define DISCOVERY_GOSSIP_NET_H

#include "discovery/gossip_frame.h"
#include "io/loop.h"

struct gossip_net;

/** struct gossip_net_events - @number: of a stream, as it was given by open() or accept() */
struct gossip_net_events {
	const struct seal *(*seal)(void *arg); /* for streams, or NULL: no key */
	void (*datagram)(void *arg, const struct endpoint *from, const char *data, size_t len);
	uint32_t (*accept)(void *arg, const struct endpoint *from); /* Return: its number, or 0: close it */
	void (*ready)(void *arg, uint32_t number);
	void (*frame)(void *arg, uint32_t number, const void *data, size_t len);
	void (*closed)(void *arg, uint32_t number);
	/* how an attempt to open a stream ended: @code 0, or a negative errno */
	void (*opened)(void *arg, const struct endpoint *to, int code);
	void (*no_key)(void *arg, const struct endpoint *with, const char *key_id);
	void *arg;
};

struct gossip_net *gossip_net_new(uv_loop_t *loop, const struct gossip_net_events *events);
void gossip_net_free(struct gossip_net *n);
/** gossip_net_bind() - Be at this address from now on (ip none: nowhere); all streams are closed */
int gossip_net_bind(struct gossip_net *n, const struct endpoint *at, struct err *err) MUST_USE;
/** gossip_net_send() - Return: 0 or a negative errno */
int gossip_net_send(struct gossip_net *n, const struct endpoint *to, const char *data, size_t len);

/** gossip_net_open() - events->ready or ->closed follows, not from within */
void gossip_net_open(struct gossip_net *n, uint32_t number, const struct endpoint *to);
/** gossip_net_frame() - One at a time: the next after events->ready */
void gossip_net_frame(struct gossip_net *n, uint32_t number, const void *data, size_t len);
/** gossip_net_close() - After what was sent; events->closed does not follow */
void gossip_net_close(struct gossip_net *n, uint32_t number);

#endif
