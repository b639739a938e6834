/* SPDX-License-Identifier: Apache-2.0
 *
 * Which containers are to have NICs of their own: from labels and from requests by name, to the attach[] of an
 * inventory. Where a container has both, a NIC of the same name is that of the request. Pure.
 */
#ifndef INVENTORY_ATTACH_H
#define INVENTORY_ATTACH_H

#include "inventory/docker.h"
#include "state/inventory.h"
#include "state/nic_request.h"

#define LABEL_ATTACH "docker-router.attach"

/** attach_wanted() - Has it the label, or does a request name it? */
bool attach_wanted(const struct docker_container *c, const struct nic_requests *requests);
/**
 * attach_add() - Into @inv, when it is wanted and runs
 *
 * A NIC of which something is malformed is left out; told in inv->problems.
 */
void attach_add(const struct docker_container *c, const struct nic_requests *requests, struct inventory *inv);
/**
 * attach_add_missing() - Those that requests name and that do not run, so that somebody sees that they are waited for
 *
 * To be called when all engines are in @inv.
 */
void attach_add_missing(const struct nic_requests *requests, struct inventory *inv);

#endif
