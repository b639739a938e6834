/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the desired state share among themselves: making entries and names, and what the host's namespace
 * needs across all stacks (tables, shadows, nft sets).
 */
#ifndef ROUTER_DESIRED_PARTS_H
#define ROUTER_DESIRED_PARTS_H

#include "router/desired.h"

/** entry_make() - Zeroed, with type, device and (may be NULL) destination */
struct entry entry_make(enum entry_type type, const char *dev, const struct prefix *dst);
void entry_set_via(struct entry *e, const struct ip *via);
void add_neigh(struct net *net, const char *dev, const struct ip *ip, const struct mac *mac);
void add_addr(struct net *net, const char *dev, const struct ip *ip, uint8_t len);
struct prefix prefix_host(const struct ip *ip);
/** mac_derive() - Stable; @first is its first byte: 0x02 locally administered, 0xfe the same and higher than all others
 */
struct mac mac_derive(const char *what, const char *a, const char *b, uint8_t first);
/** name_derive() - "KIND" and 8 hex digits of @id */
void name_derive(char out[static 16], const char *kind, const char *id);
struct net_id net_id_vni(uint32_t vni);
/** has_family() - Has the network an accepted prefix of that family? */
bool has_family(const struct claims *cs, const struct inv_network *net, uint8_t family);
/** overlaps_own() - Does @p hold addresses of the network itself? */
bool overlaps_own(const struct inv_network *nw, const struct prefix *p);
/** claims_of() - The range of a VNI's claims */
void claims_of(const struct claims *cs, uint32_t vni, size_t *ret_from, size_t *ret_to);
struct rs_vni *state_vni(struct router_state *s, uint32_t vni);
uint32_t overlay_mtu(const struct desired_input *in);

struct host_parts;
struct host_parts *parts_new(const struct desired_input *in, const struct desired *d, const struct net *actual_host);
/** parts_table() - Routing table of a network: from its id, the next free one when two fall together */
uint32_t parts_table(const struct host_parts *p, const char *network_id);
void parts_add_bridge(struct host_parts *p, const char *bridge);
/** parts_bridge() - The bridge as the kernel has it, when it has got a leg; else NULL */
const struct link *parts_bridge(const struct host_parts *p, const char *bridge);
/** parts_shadow() - The shadow of another stack's prefix, where it needs one, as seen from @bridge; false: there is
 * none to be had */
bool parts_shadow(struct host_parts *p, const char *bridge, const struct claim *c, struct prefix *ret);
/** parts_is_local() - Does it overlap a subnet of any stack of this host? */
bool parts_is_local(const struct host_parts *p, const struct prefix *prefix);
/** parts_shortcut() - Shorten the way of a network by @leg */
void parts_shortcut(struct host_parts *p, const char *bridge, const char *leg, const struct mac *leg_mac);
/** parts_finish() - The nft tables of the host and of the router namespaces; frees @p */
void parts_finish(struct host_parts *p, const struct desired_input *in, struct desired *d, struct net *host);

/** guard_fill(), sets_finish() - Peers of the VNIs into their guard sets; sort them, drop doubles and overlaps */
void guard_fill(const struct discovery *disc, struct nft_table *t);
void guard_add(struct nft_table *t, uint32_t vni, const struct ip *ip);
/** mapped_make() - Our accepted mapped prefixes of a VNI, to be freed. mapped_fill() - Those of all into the sets */
void mapped_make(const struct claims *cs, uint32_t vni, struct ruleset_mapped **ret, size_t *ret_n);
void mapped_fill(const struct claims *cs, uint32_t vni, struct nft_table *t);
/** epochs_seen(), epochs_fill() - Has a peer an epoch? Those that have into the sets of its bits */
bool epochs_seen(const struct discovery *disc);
void epochs_fill(const struct discovery *disc, struct nft_table *t);
void sets_finish(struct nft_table *t);

/** desired_add_nics() - Containers: grades nic and route */
void desired_add_nics(const struct desired_input *in, struct desired *d);

#endif
