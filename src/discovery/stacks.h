/* SPDX-License-Identifier: Apache-2.0
 *
 * Which stacks this host announces. Pure, but for a line in the log.
 */
#ifndef DISCOVERY_STACKS_H
#define DISCOVERY_STACKS_H

#include "discovery/core.h"
#include "state/config.h"
#include "state/inventory.h"

/**
 * stacks_collect() - The stacks of @inventory, and that of STACK_ID
 * @ret: room for one more than the inventory has, zeroed
 *
 * Return: how many, LIMIT_STACKS at most
 */
size_t stacks_collect(const struct inventory *inventory, const struct config *config, struct local_stack *ret);

#endif
