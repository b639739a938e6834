/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in the way to other members: which of UDP and TCP gets through to the addresses that streams were opened
 * to, so that a firewall that lets one of them pass is named as that. Pure.
 */
#ifndef DISCOVERY_GOSSIP_PATHS_H
#define DISCOVERY_GOSSIP_PATHS_H

#include "base/addr.h"
#include "base/clock.h"
#include "state/json.h"

#define GOSSIP_PATHS 64

/* struct gossip_path - Times are 0: never */
struct gossip_path {
	struct endpoint to;
	int64_t udp_us, open_us, failed_us;
	unsigned opened; /* streams since the last datagram */
	int code;	 /* of failed_us */
};

struct gossip_paths {
	struct gossip_path v[GOSSIP_PATHS];
	size_t n;
};

/** gossip_path_heard() - A datagram came from there */
void gossip_path_heard(struct gossip_paths *p, mono_t now, const struct endpoint *from);
/** gossip_path_opened() - A stream was opened, or could not be (@code). Return: is that another failure than before? */
bool gossip_path_opened(struct gossip_paths *p, mono_t now, const struct endpoint *to, int code);
/** gossip_path_problems() - @join: who does not answer at all is a problem of these only: others are just dead */
void gossip_path_problems(const struct gossip_paths *p, mono_t now, const struct endpoint *join, size_t n_join,
			  struct problems *ret);

#endif
