/* SPDX-License-Identifier: Apache-2.0
 *
 * What a DHCP client found out: the handler's message, parsed. It holds what a server on somebody's LAN said, so that
 * everything in it is bounded and judged, and what is senseless is left out, with the reason. Pure.
 *
 * A message is the event ("bound", "renew", "deconfig", "nak", "leasefail" of udhcpc; "BOUND6", "RENEW6", "REBIND6",
 * "REBOOT6" of dhcpcd; "broken" of who was to start it), a NUL, then NAME=VALUE pairs of the client's environment, each
 * ended by a NUL. dhcpcd's "EXPIRE6" is LEASE_OTHER: it says that also when only the link was down for a moment, and a
 * lease lasts until its time is over.
 */
#ifndef ATTACH_LEASE_H
#define ATTACH_LEASE_H

#include "state/attach.h"

enum lease_event { LEASE_BOUND, LEASE_DECONFIG, LEASE_NAK, LEASE_FAIL, LEASE_BROKEN, LEASE_OTHER };

#define LEASE_SECONDS_MIN 30 /* what a server gives for less is taken for so long, as busybox does */

/**
 * lease_parse()
 * @kind: of the client that says it
 * @ret: filled for LEASE_BOUND (which "renew" is too), but @since; its why says what was not taken. For LEASE_BROKEN
 *only its why: the client cannot run
 *
 * Return: the event; LEASE_OTHER: nothing that we know; -EINVAL: not a message, or a lease that cannot be used
 */
int lease_parse(enum lease_kind kind, const void *data, size_t len, struct att_lease *ret, struct err *err) MUST_USE;

#endif
