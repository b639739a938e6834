/* SPDX-License-Identifier: Apache-2.0
 *
 * A socket that the host's own resolver can be pointed to, or containers that have no resolver of Docker's. It answers
 * what is ours and refuses the rest. The address need not be there yet, as docker0's before dockerd: the socket is made
 * at the start all the same, since ports below 1024 cannot be had later. When somebody else has the port it goes on
 * trying.
 */
#ifndef NAMES_STUB_H
#define NAMES_STUB_H

#include "names/container.h"

struct stub;

/**
 * stub_new() - Listen at @at
 *
 * The first try is made at once: before privileges are dropped, for ports below 1024. stub_start() begins to serve.
 */
struct stub *stub_new(struct serve *s, const struct endpoint *at);
void stub_start(struct stub *s);
void stub_free(struct stub *s);
const struct endpoint *stub_at(const struct stub *s);
/** stub_error() - Why nobody is answered there, or "" */
const char *stub_error(const struct stub *s);
/** stub_answers() - Is who has @ip for a name server, which is port 53 always, answered here? */
bool stub_answers(const struct stub *s, const struct ip *ip);

#endif
