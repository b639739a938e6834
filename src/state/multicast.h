/* SPDX-License-Identifier: Apache-2.0
 *
 * multicast.json: what the role multicast relays, written by it, read by the verbs.
 *
 *	{"version":1,"last_update":"...",
 *	 "legs":[{"leg":1,"lan":false,"name":"media_default","network":"<id>","interface":"br-0123456789ab","wants":"ssdp",
 *	   "addresses":["172.30.0.1"],"subnets":["172.30.0.0/24"],
 *	   "heard":10,"sent":4,"dropped":[{"why":"rate of one source","n":2}]}],
 *	 "devices":[{"leg":1,"from":"172.30.0.2","usn":"uuid:...","location":"http://172.30.0.2:8200/rootDesc.xml",
 *	   "seconds":1795,"heard":3}],
 *	 "services":[{"from":1,"to":2,"inside":"172.30.0.2:8200","outside":"192.0.2.7:61942","connections":3,"open":1,
 *	   "refused":0,"bytes":12345,"rewritten":17,"error":""}],
 *	 "groups":[{"leg":1,"group":"239.1.2.3","mode":"exclude","sources":0,"reporter":"","bridge":true}],
 *	 "advertised":["2001:db8:30::/64"],
 *	 "counts":[{"what":"searches","n":3}],
 *	 "problems":[{"object":"LAN","text":"...","cure":"..."}]}
 */
#ifndef STATE_MULTICAST_H
#define STATE_MULTICAST_H

#include "state/json.h"

#define LIMIT_MC_LEGS	  256
#define LIMIT_MC_DROPS	  32 /* reasons of one leg */
#define LIMIT_MC_DEVICES  512
#define LIMIT_MC_SERVICES 100
#define LIMIT_MC_COUNTS	  64
#define LIMIT_MC_GROUPS	  4096
#define LIMIT_MC_ROUTES	  96

struct mcs_drop {
	char why[64];
	int64_t n;
};

struct mcs_leg {
	int64_t leg;
	bool lan;
	char name[LIMIT_NAME], network[LIMIT_ID], interface[16], wants[640];
	struct ip addresses[3];
	struct prefix subnets[LIMIT_SUBNETS];
	size_t n_subnets;
	char querier[2][16];	    /* of IPv4, IPv6: "silent", "listening", "asking", "other" */
	struct ip querier_other[2]; /* who else asks, or none */
	size_t n_addresses;
	int64_t heard, sent;
	struct mcs_drop drops[LIMIT_MC_DROPS];
	size_t n_drops;
};

struct mcs_device {
	int64_t leg, seconds, heard;
	struct ip from;
	char usn[128], location[256];
};

struct mcs_service {
	int64_t from, to, connections, open, refused, bytes, rewritten;
	struct endpoint inside, outside;
	char error[96];
};

struct mcs_group { /* that somebody on a leg listens to */
	int64_t leg, n_sources;
	struct ip group, reporter; /* reporter none: the bridge says so alone */
	char mode[16];		   /* exclude (all sources but n_sources), include (n_sources only) */
	bool by_bridge;
};

struct mcs_count {
	char what[64];
	int64_t n;
};

struct multicast_state {
	wall_t last_update;
	struct mcs_leg *legs;
	size_t n_legs, cap_legs;
	struct mcs_device *devices;
	size_t n_devices, cap_devices;
	struct mcs_service *services;
	size_t n_services, cap_services;
	struct mcs_group *groups;
	size_t n_groups, cap_groups;
	struct prefix advertised[LIMIT_MC_ROUTES]; /* that the LAN's machines may have by router advertisements */
	size_t n_advertised;
	struct mcs_count *counts;
	size_t n_counts, cap_counts;
	struct problems problems;
};

void multicast_state_done(struct multicast_state *s);
json_t *multicast_state_to_json(const struct multicast_state *s);
/** multicast_state_from_json() - What is malformed in it is left out and told in its problems */
int multicast_state_from_json(const json_t *root, struct multicast_state *ret, struct err *err) MUST_USE;
int multicast_state_read(int dirfd, const struct file_owner *owner, struct multicast_state *ret,
			 struct err *err) MUST_USE;
int multicast_state_write(int dirfd, const struct multicast_state *s, struct err *err) MUST_USE;

#endif
