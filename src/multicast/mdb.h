/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ports of bridges listen to, as the kernel's snooping has it (RTM_GETMDB).
 */
#ifndef MULTICAST_MDB_H
#define MULTICAST_MDB_H

#include "base/addr.h"
#include "io/nl.h"

#define MDB_ENTRIES 16384

struct mdb_entry {
	int bridge;
	struct ip group;
};

/** struct mdb - In place; sorted by bridge */
struct mdb {
	struct mdb_entry *v;
	size_t n, cap;
};

/** mdb_read() - All bridges of this namespace. What the bridge itself listens to is left out: that may be us */
int mdb_read(struct nl *nl, struct mdb *ret, struct err *err) MUST_USE;
void mdb_done(struct mdb *m);

#endif
