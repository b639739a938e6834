/* SPDX-License-Identifier: Apache-2.0
 *
 * A core's own list of the legs that it was told, and who may talk to whom.
 */
#ifndef MULTICAST_LEG_H
#define MULTICAST_LEG_H

#include "multicast/multicast.h"

/** struct legs - In place; all zeroes is empty */
struct legs {
	struct mc_leg *v; /* their prefixes are ours */
	size_t n, cap;
};

/** legs_set() - Copy @leg, new or in place of the one with its number. Return: false: it is number 0, or one too many
 */
bool legs_set(struct legs *l, const struct mc_leg *leg);
bool legs_remove(struct legs *l, uint32_t id);
const struct mc_leg *legs_find(const struct legs *l, uint32_t id);
void legs_done(struct legs *l);

/** leg_reaches() - Is what came in on @in told on @out? Anything but LAN to LAN */
bool leg_reaches(const struct mc_leg *in, const struct mc_leg *out);
/** leg_has_family() - Have we an address there to send from? */
bool leg_has_family(const struct mc_leg *l, uint8_t family);
/** leg_is_from() - Can this be who it says, on that link? Where no prefix of its family is known, anybody */
bool leg_is_from(const struct mc_leg *l, const struct endpoint *src);

#endif
