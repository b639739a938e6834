/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the table of forward_rule.h in the kernel as it is to be? Then it is not stated anew: while one table takes the
 * place of the other no datagram is lost, but now and then one is copied by both.
 */
#ifndef IO_FORWARD_TABLE_H
#define IO_FORWARD_TABLE_H

#include "base/base.h"

/**
 * forward_table_mark() - Add to @ruleset, which forward_rule_make() made of @lines, a chain whose name tells what it
 * was made from: the rules, and the numbers that devices have in this namespace
 */
void forward_table_mark(const char *lines, size_t len, struct buf *ruleset);
/** forward_table_is() - Is that what is there, down to the number of rules? Of no lines: is there no table? */
bool forward_table_is(const char *lines, size_t len);

#endif
