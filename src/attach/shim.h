/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel lets a macvlan talk to everybody but the interface that it is on, and so a container to all of the LAN but
 * its own host. A shim is a macvlan of the host's on the same interface; a route for each container's address over it
 * is the way there, and back. One a parent, made when it is needed and taken away when not.
 */
#ifndef ATTACH_SHIM_H
#define ATTACH_SHIM_H

#include "attach/box.h"

/** shims_follow() - Bring the host's shims and their routes to what the containers need */
void shims_follow(struct boxes *all, struct box *const *boxes, size_t n, struct problems *problems);

#endif
