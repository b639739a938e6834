/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the state of one namespace from the kernel, as a whole or in parts, synchronously. What is ours among what
 * the kernel tells is decided here, for dumps and events alike.
 */
#ifndef ROUTER_DUMP_H
#define ROUTER_DUMP_H

#include "io/nl.h"
#include "router/decode.h"
#include "router/net.h"

#define FOREIGN_MAX 65536 /* foreign routes that are looked at; a host with more is a router of the internet */

/** struct host_addr - An address of the host's namespace, of whoever */
struct host_addr {
	struct ip ip;
	int ifindex;
};
struct host_addrs {
	struct host_addr *v;
	size_t n, cap;
};

/** link_by_index() - @hint: where the last one was found, or NULL */
struct link *link_by_index(const struct net *n, int ifindex, size_t *hint);
/** link_is_ours() - By its alias; in a router namespace every veth and vxlan, also one that has no alias yet */
bool link_is_ours(const struct net *n, const struct link *l);
/**
 * entry_keep() - Does this entry belong into the actual state of @n? Then its device is filled in
 * @l: the link with d->ifindex, or NULL
 */
bool entry_keep(const struct net *n, struct decoded *d, const struct link *l);
/** link_from_decoded() - The link of a DECODED_LINK with the name of its bridge filled in */
struct link link_from_decoded(const struct net *n, const struct decoded *d);

/** dump_links() - Replaces n->links */
int dump_links(struct nl *nl, struct net *n, struct err *err) MUST_USE;
/** dump_entries() - Replaces n->entries, and @addrs (NULL: not wanted). The links must be there */
int dump_entries(struct nl *nl, struct net *n, struct host_addrs *addrs, struct err *err) MUST_USE;
/** dump_foreign() - Replaces n->foreign, sorted. @ret_changed: is it another list than before? */
int dump_foreign(struct nl *nl, struct net *n, bool *ret_changed, struct err *err) MUST_USE;
/** dump_nft() - Replaces n->nft and n->shortcut. @ret_gen: generation of the ruleset that was read, or an older one */
int dump_nft(struct nl *nl, struct net *n, uint32_t *ret_gen, struct err *err) MUST_USE;
/** dump_nft_generation() - The ruleset's generation now */
int dump_nft_generation(struct nl *nl, uint32_t *ret_gen, struct err *err) MUST_USE;

#endif
