/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Gossip on the wire
 *
 * Binary, big-endian, since an update takes 32 bytes so, and some 150 as JSON: a datagram then carries 40 instead of
 * 8, and after a partition there are thousands to tell.
 *
 *	'D' 'G' version type  id[16]  incarnation[8]  sum[8]  number[4]      of the sender; number: of the PING it is
 *about
 *
 *	PING      target[16]   updates      the target answers ACK with the same number; target 0: whoever is there,
 *					    and says ALIVE of himself in the ACK
 *	ACK                    updates
 *	PING_REQ  target[16]   updates      the receiver pings the target and hands its ACK on; NACK: none came
 *	NACK                   updates
 *	GOSSIP                 updates
 *	SUMS      256 sums[8]  updates: the sender, ALIVE                 streams only
 *	RECORDS   last[1]  buckets[32]  updates                            streams only
 *
 *	update:  1 ALIVE    id[16] incarnation[8] family[1]=4|6 address[4|16] port[2]
 *	         2 SUSPECT  id[16] incarnation[8] n[1]=1..4 by[8]...       by: hash of who says so
 *	         3 DEAD     id[16] incarnation[8]
 *	         4 LEFT     id[16] incarnation[8]
 *	         5 FACT     id[16] key[8] seq[8] len[2] data               len 0: is no more
 *	         6 LOST     as ALIVE: is dead for the sender, and where it was
 *
 * A message is taken whole or not at all.
 */
#ifndef DISCOVERY_GOSSIP_WIRE_H
#define DISCOVERY_GOSSIP_WIRE_H

#include "discovery/gossip.h"
#include "state/limits.h"

#define GOSSIP_VERSION	       1
#define GOSSIP_DATAGRAM	       (LIMIT_DATAGRAM - LIMIT_SEAL) /* bytes sent, and accepted; sealed it is longer */
#define GOSSIP_HEAD	       40
#define GOSSIP_BUCKETS	       256
#define GOSSIP_ACCUSERS	       4
#define GOSSIP_UPDATE_MAX      (3 + GOSSIP_ID_BYTES + 16 + GOSSIP_FACT_BYTES)
#define GOSSIP_INCARNATION_MAX (UINT64_C(1) << 48) /* nobody comes there honestly; so one more is always possible */

enum gossip_type {
	GOSSIP_PING = 1,
	GOSSIP_ACK,
	GOSSIP_PING_REQ,
	GOSSIP_NACK,
	GOSSIP_NEWS,
	GOSSIP_SUMS,
	GOSSIP_RECORDS
};

enum gossip_update_kind {
	GOSSIP_UPDATE_ALIVE = 1,
	GOSSIP_UPDATE_SUSPECT,
	GOSSIP_UPDATE_DEAD,
	GOSSIP_UPDATE_LEFT,
	GOSSIP_UPDATE_FACT,
	GOSSIP_UPDATE_LOST
};

struct gossip_head {
	enum gossip_type type;
	struct gossip_id id;
	uint64_t incarnation, sum;
	uint32_t number;
	struct gossip_id target;       /* PING, PING_REQ */
	bool last;		       /* RECORDS */
	const uint8_t *buckets, *sums; /* RECORDS: a bit each; SUMS: 8 bytes each; borrowed */
};

struct gossip_update {
	enum gossip_update_kind kind;
	struct gossip_id id;
	uint64_t incarnation;
	struct endpoint address; /* ALIVE, LOST */
	size_t n_by;
	uint64_t by[GOSSIP_ACCUSERS];
	uint64_t key, seq;
	const uint8_t *data; /* borrowed */
	size_t len;
};

/** struct gossip_reader - Where a reader is in the updates of a message */
struct gossip_reader {
	const uint8_t *at, *end;
};

/**
 * gossip_decode() - Read a message and look through all of its updates
 * @stream: it came over a stream, as one frame
 *
 * Return: 0 with *ret_updates at the first update; -EPROTONOSUPPORT another version; -EBADMSG
 */
int gossip_decode(const void *data, size_t len, bool stream, struct gossip_head *ret,
		  struct gossip_reader *ret_updates) MUST_USE;
/** gossip_update_next() - Return: 1 the next one; 0 there is none; -EBADMSG (not after gossip_decode() was content) */
int gossip_update_next(struct gossip_reader *r, struct gossip_update *ret);

/** struct gossip_writer - A message in the making */
struct gossip_writer {
	uint8_t *data;
	size_t len, room;
};

/** gossip_head_write() - Begin a message in @data of @room bytes; there has to be room for every head */
void gossip_head_write(struct gossip_writer *w, void *data, size_t room, const struct gossip_head *head);
/** gossip_update_write() - Return: false, and nothing is written, when it does not fit */
bool gossip_update_write(struct gossip_writer *w, const struct gossip_update *u);

uint64_t gossip_get64(const uint8_t *p);
void gossip_put64(uint8_t *p, uint64_t v);

#endif
