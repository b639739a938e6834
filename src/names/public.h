/* SPDX-License-Identifier: Apache-2.0
 *
 * Names that somebody else in the world is asked for.
 */
#ifndef NAMES_PUBLIC_H
#define NAMES_PUBLIC_H

#include "base/base.h"

/**
 * name_is_public() - Does the name, lower case, end in a top-level domain that strangers' sites are in, or one with a
 * meaning of its own (localhost, local, internal, arpa, ...)?
 *
 * Not all of the thousand that were sold are among them: people call their stacks shop, blog or cloud, and a name in
 * such a stack is theirs first.
 */
bool name_is_public(const char *name);

#endif
