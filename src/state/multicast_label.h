/* SPDX-License-Identifier: Apache-2.0
 *
 * The value of the label docker-router.multicast, and of `multicast:` in the config file: "ssdp", "mdns", group ranges
 * such as 239.1.0.0/16 or ff05::/16, "all"; types of service of mDNS such as _ipp._tcp; "routed"; several with commas
 * or spaces between.
 */
#ifndef STATE_MULTICAST_LABEL_H
#define STATE_MULTICAST_LABEL_H

#include "base/addr.h"
#include "state/limits.h"

#define MULTICAST_LABEL_TEXT                                                    \
	"ssdp, mdns, ranges of groups such as 239.1.0.0/16 or ff05::/16, all, " \
	"types of mDNS such as _ipp._tcp, routed; several with commas"

struct multicast_label {
	bool ssdp, mdns;
	bool routed; /* the LAN has a route to the network: what is announced is reached as it is */
	char types[LIMIT_MDNS_TYPES][LIMIT_MDNS_TYPE]; /* of mDNS that pass, lower case, sorted; none: all */
	size_t n_types;
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
#define MULTICAST_LABEL_STRLEN (32 + LIMIT_GROUP_RANGES * PREFIX_STRLEN + LIMIT_MDNS_TYPES * LIMIT_MDNS_TYPE)
const char *multicast_label_print(const struct multicast_label *l, char out[static MULTICAST_LABEL_STRLEN]);
bool multicast_label_same(const struct multicast_label *a, const struct multicast_label *b);

#endif
