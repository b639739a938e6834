/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The log pump.
 *
 * Goal: what programs write into the FIFOs of their logs (init/log_file.h) comes out of stdout or stderr, in whole
 * lines, without copying; no writer is killed, and none waits, unless it was told to.
 *
 *     writer --> FIFO ------ splice, while stdout takes it -----> stdout
 *                  '--- otherwise --> spill, a pipe of 1 MiB ------^
 *
 * It is a process of its own, a child of PID 1: a stdout that blocks blocks nobody else, and a pump that dies is
 * started again. FIFO and spill belong to PID 1, counters and half-done things are in memory that both share, so that
 * the next pump goes on where the last one ended.
 *
 * When stdout is slow, with --log-full=block the FIFO is not read, and its writers wait. With drop the spill fills;
 * then the FIFO is read and thrown away, line by line; when the spill has drained, one line tells how many were lost,
 * and what follows begins at the beginning of a line:
 *
 *     FLOW --spill full--> DROP --spill empty: the line that tells--> SKIP to the end of a line --> FLOW
 *
 * splice() moves whole buffers of a pipe, and the kernel does not cut a write() of less than a page in two, so lines
 * that a program writes as one stay whole, also when several logs go to one stdout. Where stdout is no pipe (a
 * terminal, a socket, a file opened to append) splice() is refused, and the spill is copied.
 *
 * Of a file that was made in the FIFO's place (a source that is_file) nothing is dropped: it waits on disk.
 */
#ifndef INIT_PUMP_H
#define INIT_PUMP_H

#include "init/log_file.h"

#define PUMP_COPY_BYTES 16384
#define PUMP_NAME	"log-pump" /* as ps shows it beside PID 1 */

enum pump_mode { PUMP_FLOW, PUMP_DROP, PUMP_SKIP };

/**
 * struct pump_bytes - What was read and is not written yet; of a pump that is killed too
 *
 * A read() that a SIGKILL ends has taken its bytes, but nobody was told how many. They are here all the same: behind
 * them there is nothing but zeros, which no text has.
 */
struct pump_bytes {
	size_t n, done; /* bytes, and how many of them are written; done >= n: none is left */
	bool reading;	/* @n is not known yet */
	char bytes[PUMP_COPY_BYTES];
};

/** struct pump_state - Of one log; survives a pump that is killed */
struct pump_state {
	enum pump_mode mode;
	bool at_line_start;		 /* of what was thrown away last */
	bool held_whole;		 /* the line in @held has its end */
	size_t held;			 /* the rest of the line that the spill ends with */
	uint64_t lost_bytes, lost_lines; /* not told yet */
	char holding[4096];
	struct pump_bytes taking;  /* on the way into the spill */
	struct pump_bytes copying; /* on the way out */
	/* @taking.done will be this when the spill holds that many bytes: was a write() that was killed carried out? */
	size_t done_then, spilled_then;
};

struct pump_log {
	struct log_file *file;
	struct pump_state *state;
	int spill[2];
};

/** pump_log_init() - Make spill and state. Return: 0 or a negative errno */
int pump_log_init(struct pump_log *p, struct log_file *file, bool block) MUST_USE;
void pump_log_done(struct pump_log *p);

/**
 * pump_run() - Be the pump, until SIGTERM (then what is there is passed on first) or SIGUSR1 (at once, for a successor
 * with other sources). Both, and SIGPIPE, must be blocked.
 *
 * Return: 0 all is out; PUMP_AGAIN another pump is to go on; a negative errno
 */
#define PUMP_AGAIN 1
int pump_run(struct pump_log *logs, size_t n, bool block);

#endif
