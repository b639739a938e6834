/* SPDX-License-Identifier: Apache-2.0
 *
 * NICs that are no work of the role attach, for `nics` and `doctor`.
 */
#ifndef CLI_NICS_H
#define CLI_NICS_H

#include "cli/cli.h"
#include "state/attach.h"

#define NICS_OF_NETWORK "(network)" /* instead of a name: Docker calls it eth0, eth1 or so, and tells no driver */

/**
 * nics_add_driver() - Add the endpoints of the network driver, from driver.json
 * @inv: says whose they are; may be empty
 * Return: 0, -ENOENT: no driver has run here, or -errno; then @to is left alone
 */
int nics_add_driver(const struct state_dir *dir, const struct inventory *inv, struct attach_state *to,
		    struct err *err) MUST_USE;

#endif
