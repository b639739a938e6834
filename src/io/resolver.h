/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to DNS servers by c-ares on the loop: several servers one after the other, again after a silence, by TCP
 * where an answer is cut off, with EDNS0. The answers are messages as they came: who asks reads them.
 */
#ifndef IO_RESOLVER_H
#define IO_RESOLVER_H

#include "base/addr.h"
#include "base/base.h"
#include "io/loop.h"

struct resolver;

struct resolver_config {
	const struct endpoint *servers; /* none: those of /etc/resolv.conf */
	size_t n_servers;
	const struct ip
		*local; /* of each family one at most, to ask from; not used for servers on a loopback address */
	size_t n_local;
};

/**
 * resolver_fn - An answer
 * @code: 0: @data is a message, whatever it says; -ETIMEDOUT, -ECONNREFUSED; -EACCES, -EAGAIN: every server refuses or
 *	  fails; -EBADMSG; -EIO
 *
 * It may be called from within resolver_ask(), and must not free the resolver.
 */
typedef void resolver_fn(void *arg, int code, const uint8_t *data, size_t len, const struct err *err);

int resolver_new(uv_loop_t *loop, const struct resolver_config *config, struct resolver **ret,
		 struct err *err) MUST_USE;
/** resolver_free() - Questions that are under way are not answered; NULL is fine */
void resolver_free(struct resolver *r);
/** resolver_ask() - @type: as DNS numbers it */
void resolver_ask(struct resolver *r, const char *name, int type, resolver_fn *fn, void *arg);

#endif
