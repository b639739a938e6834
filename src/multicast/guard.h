/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: What keeps relays from feeding each other
 *
 * Relays meet: two of ours on one LAN, or one of ours and a stranger's reflector. A datagram that a relay has sent
 *comes back to it, from its own address or as somebody's copy. So everything that is heard or sent is remembered for a
 *few seconds by a hash of what it says:
 *
 *	echo        we have sent the very same on this leg a moment ago
 *	duplicate   somebody else has said it a moment ago; only where saying it twice has no use
 *	muted       the same words for the tenth time: whatever goes round is stopped by a few seconds of silence
 *	rate        this source, or its leg, talks too much
 *
 * Pure; a fixed amount of memory. Old entries make room for new ones.
 */
#ifndef MULTICAST_GUARD_H
#define MULTICAST_GUARD_H

#include "base/addr.h"
#include "base/clock.h"

#define GUARD_LEGS    32 /* a datagram that went out on more counts as sent everywhere */
#define GUARD_ECHO_US (2 * USEC_PER_SEC)
#define GUARD_MUTE_US (3 * USEC_PER_SEC)
#define GUARD_REPEATS 10 /* of the same words, in a burst; one a second in the long run */

enum guard_verdict { GUARD_PASS, GUARD_ECHO, GUARD_DUPLICATE, GUARD_MUTED, GUARD_RATE, GUARD_VERDICT_N_ };
extern const char *const guard_verdict_names[GUARD_VERDICT_N_];

struct guard_config {
	uint64_t seed;			    /* of the hashes, best a random number */
	unsigned source_rate, source_burst; /* datagrams a second, and at once, of one source */
	unsigned leg_rate, leg_burst;
};

struct guard;

struct guard *guard_new(const struct guard_config *conf);
void guard_free(struct guard *g);
/** guard_hash() - @part tells apart what is never to be compared: the domain, say */
uint64_t guard_hash(const struct guard *g, uint64_t part, const void *data, size_t len);

enum guard_kind {
	GUARD_REPEATABLE, /* others may say the same: a search */
	GUARD_UNIQUE,	  /* only its author says it, twice if he likes: an announcement */
	GUARD_ONCE,	  /* nobody needs to hear it twice within a second: mDNS */
};

/** guard_heard() - Something came in: is it to be forwarded? It counts as forwarded when it is */
enum guard_verdict guard_heard(struct guard *g, mono_t now, uint32_t leg, const struct endpoint *from,
			       enum guard_kind kind, uint64_t hash);
/** guard_sent() - What was heard before goes out on @leg */
void guard_sent(struct guard *g, mono_t now, uint32_t leg, uint64_t hash);
/** guard_rate() - For what has no copies: only its rate. Return: is it within? */
bool guard_rate(struct guard *g, mono_t now, uint32_t leg, const struct ip *from);

#endif
