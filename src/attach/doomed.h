/* SPDX-License-Identifier: Apache-2.0
 *
 * Host ends that are to go. The kernel takes some 20 ms to remove a link, however many go together, and we can do
 * nothing else meanwhile. So those of containers that stop in one turn are removed by one message.
 */
#ifndef ATTACH_DOOMED_H
#define ATTACH_DOOMED_H

#include "io/loop.h"
#include "io/nl.h"

struct doomed;

/** doomed_new() - @nl: of the host, borrowed */
struct doomed *doomed_new(uv_loop_t *loop, struct nl *nl);
/** doomed_add() - Remove this link when the turn is over. Only links that are ours */
void doomed_add(struct doomed *d, int ifindex);
/** doomed_remove() - Now: their names are wanted again, or we end */
void doomed_remove(struct doomed *d);
/** doomed_free() - Removes them first */
void doomed_free(struct doomed *d);

#endif
