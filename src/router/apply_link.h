/* SPDX-License-Identifier: Apache-2.0
 *
 * Making, changing and removing links; internal to apply.c. Each of these is a few requests, one after the other, since
 * the later ones need the ifindex that the first one gave.
 */
#ifndef ROUTER_APPLY_LINK_H
#define ROUTER_APPLY_LINK_H

#include "router/observe.h"
#include "router/plan.h"

/** apply_link() - Carry out OP_LINK_ADD, OP_LINK_SET or OP_LINK_REMOVE. Return: 0 or -errno with the kernel's words */
int apply_link(struct observe *o, const struct op *op, struct err *err) MUST_USE;
/** apply_link_take() - What wireguard-go has made in the host's namespace, into its own, as OP_LINK_ADD wants it */
int apply_link_take(struct observe *o, const struct op *op, struct err *err) MUST_USE;

#endif
