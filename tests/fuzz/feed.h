/* SPDX-License-Identifier: Apache-2.0
 *
 * A fuzzer's input as a row of events: four bytes that say what, two with a length, and as many bytes. Each block is
 * copied to one of its exact size, so that reading behind it is seen.
 */
#ifndef FUZZ_FEED_H
#define FUZZ_FEED_H

#include "base/base.h"

struct feed {
	const uint8_t *p;
	size_t len;
};

struct event {
	uint8_t what[4];
	uint8_t *data; /* freed by the caller */
	size_t len;
};

static inline bool feed_next(struct feed *f, struct event *ret)
{
	if (f->len < 6)
		return false;
	memcpy(ret->what, f->p, 4);
	ret->len = (size_t)(f->p[4] << 8 | f->p[5]);
	f->p += 6;
	f->len -= 6;
	if (ret->len > f->len)
		ret->len = f->len;
	ret->data = xmemdup(f->p, ret->len);
	f->p += ret->len;
	f->len -= ret->len;
	return true;
}

#endif
