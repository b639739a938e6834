/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has asked, and from which of our sockets it went on: a slot per asker (leg, address and port) for the time in
 * which answers may come. What comes back to a slot's sockets goes to its asker and to nobody else. Pure, bounded.
 */
#ifndef MULTICAST_ASKER_H
#define MULTICAST_ASKER_H

#include "base/addr.h"
#include "base/clock.h"

#define ASKER_SLOTS    256
#define ASKER_PER_HOST 32
#define ASKER_LEGS     32   /* that one asker's words go out on */
#define ASKER_SOCKETS  1024 /* pairs of slot and leg, of all slots */
#define ASKER_ANSWERS  512  /* of one slot, before it is asked again */

struct asker_socket {
	uint32_t leg, port; /* see struct mc_action */
};

struct asker {
	uint32_t leg; /* 0: free */
	struct endpoint from;
	int64_t until;
	struct asker_socket sockets[ASKER_LEGS];
	size_t n;
	unsigned answers;
	uint16_t ids[4]; /* of the latest queries, for those that have one */
	uint8_t n_ids;
};

/** struct askers - In place; all zeroes is empty */
struct askers {
	struct asker slots[ASKER_SLOTS];
	size_t n, sockets;
	uint32_t port; /* the latest that was given */
};

/** asker_get() - Who asked, remembered when there is room; @until only ever extends. Return: NULL: no room */
struct asker *asker_get(struct askers *a, uint32_t leg, const struct endpoint *from, int64_t until);
/** asker_port() - The socket on @leg for this asker, by the number that it has, or gets now. Return: 0: no room */
uint32_t asker_port(struct askers *a, struct asker *s, uint32_t leg);
/** asker_of() - Who is answered by what came to that socket on @leg; NULL: nobody any more, or too much */
struct asker *asker_of(struct askers *a, int64_t now, uint32_t leg, uint32_t port);
/** asker_over() - Somebody whose time is over: his sockets are to be closed, then asker_drop(). Return: NULL: nobody */
struct asker *asker_over(struct askers *a, int64_t now);
void asker_drop(struct askers *a, struct asker *s);
/** asker_leg_over() - Who asked on that leg is over; sockets there are forgotten, the driver has closed them */
void asker_leg_over(struct askers *a, uint32_t leg);
int64_t asker_due(const struct askers *a); /* INT64_MAX: none */

#endif
