/* SPDX-License-Identifier: Apache-2.0
 *
 * What the log tells of subnets that clash: each refusal once, when it is new, with both sides and a free subnet; and
 * its end. Where subnets are mapped a clash is over as soon as discovery has chosen the prefixes: it is told when it
 * stays.
 */
#ifndef ROUTER_REFUSED_H
#define ROUTER_REFUSED_H

#include "state/config.h"
#include "state/discovery.h"
#include "state/router.h"

/** struct refused_budget - Strangers can cause clashes: so many lines a minute and no more; starts zeroed */
struct refused_budget {
	int64_t minute_us;
	unsigned lines;
};

/**
 * refused_tell() - Log the difference
 * @disc: gives hosts their names
 * @was:  NULL at the start: all are told
 * @now:  what has been told is noted there
 *
 * Return: 0, or after how many microseconds there may be more to tell, also when nothing changes
 */
int64_t refused_tell(struct refused_budget *budget, int64_t now_us, const struct discovery *disc, enum mapping mapping,
		     const struct router_state *was, struct router_state *now);

#endif
