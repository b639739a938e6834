/* SPDX-License-Identifier: Apache-2.0
 *
 * --say-goodbye: tell all peers that the stacks of this host are gone, and end.
 */
#ifndef DISCOVERY_GOODBYE_H
#define DISCOVERY_GOODBYE_H

#include "io/loop.h"
#include "state/config.h"

/** goodbye_say() - Drops privileges, runs @loop. Return: exit status */
int goodbye_say(uv_loop_t *loop, const struct config *config);

#endif
