/* SPDX-License-Identifier: Apache-2.0
 *
 * The socket that the host's own resolver can be pointed to. It answers what is ours and refuses the rest; when its
 * address cannot be had it goes on trying, since the address may come later, or whoever sits there may go.
 */
#ifndef NAMES_STUB_H
#define NAMES_STUB_H

#include "names/container.h"

struct stub;

/**
 * stub_new() - Listen at @at
 * @at: port 0: nowhere
 *
 * The first try is made at once: before privileges are dropped, for ports below 1024. stub_start() begins to serve.
 */
struct stub *stub_new(struct serve *s, const struct endpoint *at);
void stub_start(struct stub *s);
void stub_free(struct stub *s);
/** stub_error() - Why it does not listen, or "" */
const char *stub_error(const struct stub *s);

#endif
