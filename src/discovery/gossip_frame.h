/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: A stream of gossip on the wire
 *
 *	hello    'D' 'G' 'S' version   n[1]   n key ids[4]   random[16]
 *	frame    length[4]   what gossip_wire.h says, sealed where both have a key
 *
 * Who opens the stream says hello first, with the ids of all his keys; who accepts it answers with the one of them that
 * he has too, and from then on all is sealed with what follows from that key and both random numbers (seal.h). None and
 * none: in clear. Where they have no key in common the answer says another one, and that is the end.
 *
 * Pure: bytes in, frames out, but for the random number. What is kept is bounded by one frame.
 */
#ifndef DISCOVERY_GOSSIP_FRAME_H
#define DISCOVERY_GOSSIP_FRAME_H

#include "discovery/gossip.h"
#include "state/seal.h"

#define FRAMES_VERSION 1

struct frames {
	bool opened; /* by us */
	bool greeted, sealed;
	uint8_t random[SEAL_STREAM_RANDOM];
	struct seal_stream seal;
	struct buf in;
	size_t taken;		     /* of in, from its beginning */
	char key_id[KEY_ID_LEN + 1]; /* FRAMES_NO_KEY: of their first key, "": they have none */
};

enum frames_got {
	FRAMES_MORE,   /* is needed */
	FRAMES_HELLO,  /* frames may be sent now */
	FRAMES_FRAME,  /* there is one */
	FRAMES_NO_KEY, /* they have none of our keys, or one of the two has none at all: the end, after what is in @out
			*/
	FRAMES_BAD     /* the end */
};

/** frames_begin() - @seal: NULL: no key; @out: what is to be sent first */
void frames_begin(struct frames *f, bool opened, const struct seal *seal, struct buf *out);
void frames_done(struct frames *f);
void frames_feed(struct frames *f, const void *data, size_t len);
/**
 * frames_next() - To be asked until it wants more
 * @out:      what is to be sent is put behind it
 * @ret_data: of FRAMES_FRAME; good until the next call
 */
enum frames_got frames_next(struct frames *f, const struct seal *seal, struct buf *out, const void **ret_data,
			    size_t *ret_len);
/** frames_put() - One frame, after FRAMES_HELLO */
void frames_put(struct frames *f, const void *data, size_t len, struct buf *out);

#endif
