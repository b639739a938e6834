/* SPDX-License-Identifier: Apache-2.0
 *
 * A packet socket that hears DHCP servers and nothing else, on the loop. It is open only while an answer is awaited.
 */
#ifndef DRIVER_PACKET_H
#define DRIVER_PACKET_H

#include "base/base.h"
#include "io/loop.h"

struct packet;

/** packet_fn - A frame has come; packet_free() is allowed inside */
typedef void packet_fn(void *arg, const uint8_t *frame, size_t len);

/**
 * packet_new()
 * @fd:    an unbound AF_PACKET, SOCK_RAW socket of the namespace wanted (taken), or -1: one here
 * @index: of the interface there
 * @down:  the interface went (once, from the loop)
 */
int packet_new(uv_loop_t *loop, int fd, int index, packet_fn *fn, loop_fn *down, void *arg, struct packet **ret,
	       struct err *err) MUST_USE;
void packet_free(struct packet *p);
int packet_send(struct packet *p, const void *frame, size_t len);

#endif
