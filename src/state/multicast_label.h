/* SPDX-License-Identifier: Apache-2.0
 *
 * The value of the label docker-router.multicast, and of `multicast:` in the config file: "ssdp", "mdns", group ranges
 * such as 239.1.0.0/16 or ff05::/16, "all"; types of service of mDNS such as _ipp._tcp; "routed"; several with commas
 * or spaces between. What they are for: with the LAN; with "overlay" with the stacks of the VNI on other hosts instead,
 * with "lan,overlay" both.
 */
#ifndef STATE_MULTICAST_LABEL_H
#define STATE_MULTICAST_LABEL_H

#include "base/addr.h"
#include "state/limits.h"

#define MULTICAST_LABEL_TEXT                                                    \
	"ssdp, mdns, ranges of groups such as 239.1.0.0/16 or ff05::/16, all, " \
	"types of mDNS such as _ipp._tcp, routed, lan, overlay; several with commas"

struct multicast_label {
	bool ssdp, mdns;
	bool routed; /* the LAN has a route to the network: what is announced is reached as it is */
	char types[LIMIT_MDNS_TYPES][LIMIT_MDNS_TYPE]; /* of mDNS that pass, lower case, sorted; none: all */
	size_t n_types;
	bool overlay;				  /* to other hosts */
	bool no_lan;				  /* and only there */
	struct prefix groups[LIMIT_GROUP_RANGES]; /* to be routed, host bits cleared, sorted; never link-local ones */
	size_t n_groups;
};

/**
 * multicast_label_parse() - Return: 0; -EINVAL with the element that is wrong and what is allowed; -E2BIG
 *
 * @ret is left alone on failure.
 */
int multicast_label_parse(const char *value, struct multicast_label *ret, struct err *err) MUST_USE;
/** multicast_label_print() - In canonical form, so that what is printed parses to the same */
#define MULTICAST_LABEL_STRLEN (48 + LIMIT_GROUP_RANGES * PREFIX_STRLEN + LIMIT_MDNS_TYPES * LIMIT_MDNS_TYPE)
const char *multicast_label_print(const struct multicast_label *l, char out[static MULTICAST_LABEL_STRLEN]);
bool multicast_label_same(const struct multicast_label *a, const struct multicast_label *b);

/** multicast_label_has() - Is the group of what the label asks for, where it goes over the overlay? */
bool multicast_label_has(const struct multicast_label *l, const struct ip *group);
/**
 * multicast_label_fixed() - The groups of ssdp and mdns, which others are told whether somebody is heard to listen or
 * not
 *
 * They are a few datagrams a second; and to 224.0.0.251 nobody says that he listens.
 * Return: how many
 */
#define MULTICAST_LABEL_FIXED 3
size_t multicast_label_fixed(const struct multicast_label *l, struct ip ret[static MULTICAST_LABEL_FIXED]);
/**
 * overlay_group_valid() - Can the group go over an overlay?
 *
 * What routers pass on, and 224.0.0.251. Not ff02::fb: those who send to it have addresses of their link only, which
 * are somebody else's elsewhere.
 */
bool overlay_group_valid(const struct ip *group);

#endif
