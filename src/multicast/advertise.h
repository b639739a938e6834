/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Router advertisements of the ways to networks
 *
 * With MULTICAST_ADVERTISE=on the LAN is told by ICMPv6 that the IPv6 subnets of routed networks are behind this host:
 * a Route Information Option each (RFC 4191), and a router lifetime of 0: we are nobody's default router. Three times
 * when something changes, then every minute; a solicitation is answered to all within half a second. Between any two
 * are three seconds (RFC 4861 section 6.2.6), but before the one that takes all back when the LAN is left. A route that
 * is over is told with a lifetime of 0, three times. Pure.
 */
#ifndef MULTICAST_ADVERTISE_H
#define MULTICAST_ADVERTISE_H

#include "base/addr.h"
#include "base/clock.h"

#define ADVERTISE_PREFIXES 32
#define ADVERTISE_BYTES	   (40 + 16 + ADVERTISE_PREFIXES * 24) /* a whole packet */
#define ADVERTISE_LIFE_S   1800
#define ADVERTISE_EVERY_US (60 * USEC_PER_SEC)
#define ADVERTISE_DELAY_US (500 * USEC_PER_MSEC) /* MAX_RA_DELAY_TIME */
#define ADVERTISE_MIN_US   (3 * USEC_PER_SEC)	 /* MIN_DELAY_BETWEEN_RAS */

/** struct advertise - Of one LAN; all zeroes says nothing */
struct advertise {
	struct prefix now[ADVERTISE_PREFIXES], over[ADVERTISE_PREFIXES];
	size_t n_now, n_over;
	unsigned fast;		 /* that follow quickly */
	int64_t due_us, last_us; /* the last one was sent; 0: none yet */
};

/** advertise_set() - These are the routes now; told as soon as may be when they differ from those before */
void advertise_set(struct advertise *a, mono_t now, const struct prefix *v, size_t n);
/** advertise_is_solicitation() - Is that packet, from its IP header on, a valid one (RFC 4861 section 6.1.1)? */
bool advertise_is_solicitation(const uint8_t *packet, size_t len);
/** advertise_solicited() - Somebody asks. @random: any number, so that not all routers answer at once */
void advertise_solicited(struct advertise *a, mono_t now, uint32_t random);
/** advertise_due() - INT64_MAX: no timer */
int64_t advertise_due(const struct advertise *a);
/**
 * advertise_next() - The packet to send now, from its IP header on, to ff02::1
 * @from: our link-local address there
 *
 * Return: its length; 0: nothing is due
 */
size_t advertise_next(struct advertise *a, mono_t now, const struct ip *from, uint8_t out[static ADVERTISE_BYTES]);

/** advertise_end() - The LAN is left: the packet that takes everything back, at once. As advertise_next() */
size_t advertise_end(struct advertise *a, const struct ip *from, uint8_t out[static ADVERTISE_BYTES]);

#endif
