/* SPDX-License-Identifier: Apache-2.0
 *
 * One query to one reply, or to the verdict that Docker's resolver is to be asked. Pure.
 */
#ifndef NAMES_ANSWER_H
#define NAMES_ANSWER_H

#include "names/dns.h"
#include "names/table.h"

enum verdict {
	VERDICT_REPLY,	/* send @out back */
	VERDICT_ASK_ON, /* it is none of ours */
	VERDICT_DROP,
};

/**
 * answer_query() - Judge a datagram
 * @v:    NULL: somebody who sees nothing
 * @turn: counted up, so that several addresses take turns
 */
enum verdict answer_query(const struct table *t, const struct viewer *v, uint32_t *turn, const uint8_t *in, size_t len,
			  uint8_t out[static DNS_REPLY_BYTES], size_t *ret_len);
/** answer_host() - The same for the host's own resolver, which asks others itself: what is not ours is REFUSED */
enum verdict answer_host(const struct table *t, uint32_t *turn, const uint8_t *in, size_t len,
			 uint8_t out[static DNS_REPLY_BYTES], size_t *ret_len);

#endif
