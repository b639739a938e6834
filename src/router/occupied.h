/* SPDX-License-Identifier: Apache-2.0
 *
 * A VXLAN device that cannot be made because another has its VNI: who may that be, and what to do.
 */
#ifndef ROUTER_OCCUPIED_H
#define ROUTER_OCCUPIED_H

#include "base/base.h"

/**
 * occupied_explain() - What an operator must know beside the kernel's words
 * @ns_dir: RUN_DIR/INSTANCE of ours; pins of the same VNI are looked for in the folders beside it
 * @op, @why, @code: of the operation that failed
 * Return: @why with the cure behind it where there is one; the caller's
 */
char *occupied_explain(const char *ns_dir, const char *op, const char *why, int code);

#endif
