/* SPDX-License-Identifier: Apache-2.0
 *
 * What a DHCP client found out: the handler's message, parsed. It holds what a server on somebody's LAN said, so that
 * everything in it is bounded and judged, and what is senseless is left out, with the reason. Pure.
 *
 * A message is the event ("bound", "renew", "deconfig", "nak", "leasefail"), a NUL, then NAME=VALUE pairs of udhcpc's
 * environment, each ended by a NUL.
 */
#ifndef ATTACH_LEASE_H
#define ATTACH_LEASE_H

#include "state/attach.h"

enum lease_event { LEASE_BOUND, LEASE_DECONFIG, LEASE_NAK, LEASE_FAIL, LEASE_OTHER };

#define LEASE_SECONDS_MIN 30 /* what a server gives for less is taken for so long, as busybox does */

/**
 * lease_parse()
 * @ret: filled for LEASE_BOUND (which "renew" is too), but @since; its why says what was not taken
 *
 * Return: the event; LEASE_OTHER: nothing that we know; -EINVAL: not a message, or a lease that cannot be used
 */
int lease_parse(const void *data, size_t len, struct att_lease *ret, struct err *err) MUST_USE;

#endif
