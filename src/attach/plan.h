/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The plan for one NIC
 *
 * A pure difference: what is wanted (want.h), what the host and the container have (seen.h) -> what to do next. It is
 * asked again after its operations were carried out, until there are none: a NIC is made first, and what belongs on it
 * is planned when it is seen. So a start, a restart of ours, somebody's `ip link del` and a changed label are one
 * thing.
 */
#ifndef ATTACH_PLAN_H
#define ATTACH_PLAN_H

#include "attach/seen.h"
#include "attach/want.h"

enum op_kind {
	OP_MAKE,	/* the NIC: veth pair, macvlan, or the physical interface moved */
	OP_HOST_REMOVE, /* host: the link @ifindex */
	OP_NIC_REMOVE,	/* container: likewise */
	OP_HOST_SET,	/* host's end of a veth: @set */
	OP_NIC_SET,	/* the NIC: @set */
	OP_SYSCTL,	/* its IPv6, by the broker; before it comes up */
	OP_ADDR_ADD,
	OP_ADDR_REMOVE,
	OP_ROUTE_ADD,
	OP_ROUTE_REMOVE,
	OP_KIND_N_
};
extern const char *const op_kind_names[OP_KIND_N_];

enum op_set {
	SET_ALIAS = 1,
	SET_MAC = 2,
	SET_MTU = 4,
	SET_MASTER = 8,
	SET_ISOLATED = 16,
	SET_UP = 32,
};

struct op {
	enum op_kind kind;
	int ifindex; /* what it is about; 0 for OP_MAKE */
	int set;     /* OP_..._SET: enum op_set */
	int master;
	uint32_t mtu;
	struct prefix address;
	bool look_for_duplicates;
	struct want_route route;
};

struct ops {
	struct op *v;
	size_t n, cap;
};
void ops_done(struct ops *o);
/** op_print() - For --dry-run, logs and goldens: one line */
void op_print(const struct op *op, const struct want *w, struct buf *ret);

/**
 * plan_nic()
 * @sysctl_done: OP_SYSCTL was carried out since the NIC was made
 * @known:       addresses that we have put there, for kernels that do not keep whose an address is
 * @why:         what is waited for, or why it cannot be; "" when ready
 *
 * Return: NIC_READY only when @ret is empty and the kernel has all of it.
 */
enum nic_state plan_nic(const struct want *w, const struct seen *host, const struct seen *ct, bool sysctl_done,
			const struct prefix *known, size_t n_known, struct ops *ret, char why[static 200]);
/**
 * plan_expect() - @host and @ct as they are after @op was carried out, so that nobody has to look for it
 *
 * Return: false: it cannot be known from here (a link that was made, whatever goes along with one that was removed).
 * The kernel's own events follow, and who looks then sees whether it is true.
 */
bool plan_expect(const struct want *w, const struct op *op, struct seen *host, struct seen *ct) MUST_USE;
/** plan_remove() - What takes the NIC away from a container that lives on, or that is to die */
void plan_remove(const struct want *w, const struct seen *host, const struct seen *ct, struct ops *ret);

#endif
