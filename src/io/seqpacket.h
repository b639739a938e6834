/* SPDX-License-Identifier: Apache-2.0
 *
 * One end of a SOCK_SEQPACKET pair on the loop: whole messages in and out, each with a descriptor or without. What does
 * not fit into the socket waits in a queue.
 */
#ifndef IO_SEQPACKET_H
#define IO_SEQPACKET_H

#include "base/base.h"
#include "io/loop.h"

struct seqpacket;

/** seqpacket_fn - A message; @fd is taken by the callee, -1: none came (several count as none) */
typedef void seqpacket_fn(void *arg, const void *data, size_t len, int fd);

enum seqpacket_flags {
	SEQPACKET_ANSWER_FIRST =
		1, /* read nothing while something waits to be sent: bounds what a client can make us keep */
};

/**
 * seqpacket_new() - Over @fd (taken)
 * @max:    bytes of a message; a longer one is handed over as @max + 1 bytes, for the callee to refuse
 * @closed: the other end is gone; called once, from the loop; only seqpacket_free() is to be done then
 */
struct seqpacket *seqpacket_new(uv_loop_t *loop, int fd, size_t max, int flags, seqpacket_fn *fn, loop_fn *closed,
				void *arg);
void seqpacket_free(struct seqpacket *p);
/** seqpacket_send() - @fd: taken, or -1 */
void seqpacket_send(struct seqpacket *p, const void *data, size_t len, int fd);
/** seqpacket_pause() - Read no more until told otherwise */
void seqpacket_pause(struct seqpacket *p, bool pause);

#endif
