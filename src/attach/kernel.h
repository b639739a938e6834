/* SPDX-License-Identifier: Apache-2.0
 *
 * Links, addresses and routes: read from the kernel, and changed as plan.h says. Every call is answered by the kernel
 * at once; nothing here waits for anybody else.
 */
#ifndef ATTACH_KERNEL_H
#define ATTACH_KERNEL_H

#include "attach/plan.h"
#include "io/nl.h"

/** kernel_decode() - One message of rtnetlink into @s; of an event too (a link that is gone is removed). Pure */
void kernel_decode(const struct nlmsghdr *nlh, struct seen *s);
/** kernel_dump_links() - Of the socket's namespace, in place of what @s had */
int kernel_dump_links(struct nl *nl, struct seen *s, struct err *err) MUST_USE;
/** kernel_dump_rest() - Likewise addresses, and routes of ATTACH_PROTOCOL */
int kernel_dump_rest(struct nl *nl, struct seen *s, struct err *err) MUST_USE;
/** kernel_forget_rest() - There are none that matter */
void kernel_forget_rest(struct seen *s);
/** kernel_read_link() - The one of this name anew into @s; one that is not there is no failure */
void kernel_read_link(struct nl *nl, const char *name, struct seen *s);

/** struct places - Where operations on one container are carried out; all borrowed */
struct places {
	struct nl *host, *ct;
	int host_fd, ct_fd; /* namespaces */
};

/** kernel_apply() - Carry out one operation but OP_SYSCTL. What is there (gone) already is done */
int kernel_apply(const struct places *p, const struct seen *host, const struct want *w, const struct op *op,
		 struct err *err) MUST_USE;

/** kernel_give_back() - Move a physical interface to the host again, under the name that it had there */
int kernel_give_back(const struct places *p, int ifindex, const char *name, struct err *err) MUST_USE;
int kernel_remove_link(struct nl *nl, int ifindex, struct err *err) MUST_USE;
/** kernel_remove_links() - All of them together, which takes no longer than one. Those that are gone already are no
 * failure */
int kernel_remove_links(struct nl *nl, const int *ifindex, size_t n, struct err *err) MUST_USE;
/** kernel_set_alias() - "" takes it away; @rename: NULL, or a new name (down links only) */
int kernel_set_alias(struct nl *nl, int ifindex, const char *alias, const char *rename, struct err *err) MUST_USE;
/** kernel_make_shim() - A macvlan on @parent in the host's own namespace, up */
int kernel_make_shim(struct nl *nl, const char *name, int parent, const char *alias, struct err *err) MUST_USE;
/** kernel_route() - Add or remove a route of ours on the link @ifindex */
int kernel_route(struct nl *nl, int ifindex, const struct want_route *r, bool remove, struct err *err) MUST_USE;

#endif
