/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: SSDP relay
 *
 * Control points search by a datagram to 239.255.255.250, ff02::c or ff05::c, port 1900, and every device answers to
 *the searcher's own port; devices tell by NOTIFY to the group when they come and go. Routers do not forward that, or
 *only until a TTL of 1 or 4 runs out, and firewalls drop the answers. This relay says searches again on the other legs,
 *from a socket of our own for each searcher, and sends on what comes back to it:
 *
 *	asker --M-SEARCH--> leg A   mc_send_by(B, port)   --M-SEARCH from that socket--> devices on B
 *	asker <----answer-- leg A   mc_send(A)            <--answer to that socket------ ssdp_input()
 *	                            mc_close(port), a while after MX seconds
 *	device --NOTIFY---> leg B   mc_send(A), mc_send(C)   --NOTIFY--> all others
 *
 * From a LAN to networks, from a network to LANs and other networks, never from LAN to LAN. Messages are written anew
 * (ssdp_message.h) and carry the numbers of the routers that they passed, so that none comes back; copies by strangers'
 * relays are found by guard.h. LOCATION is changed where the role has a way to what it names. What only its own link
 * can reach is not told elsewhere.
 *
 * Pure; see multicast.h for the shape.
 */
#ifndef MULTICAST_SSDP_H
#define MULTICAST_SSDP_H

#include "multicast/multicast.h"

#define SSDP_LEGS	     MC_LEGS
#define SSDP_GRACE_US	     (2 * USEC_PER_SEC) /* for answers, after MX seconds */
#define SSDP_DEVICES	     512		/* that are remembered, for people */
#define SSDP_DEVICES_PER_LEG 128
#define SSDP_AGE_MAX_S	     86400
#define SSDP_TTL	     2 /* UDA 2.0, section 1.1 */

enum ssdp_group { SSDP_V4, SSDP_V6_LINK, SSDP_V6_SITE, SSDP_GROUP_N_ };
/** ssdp_group_ip() - 239.255.255.250, ff02::c, ff05::c */
struct ip ssdp_group_ip(enum ssdp_group group);

/** struct ssdp_config - map: how another leg reaches what is announced; NULL: as it is */
struct ssdp_config {
	mc_map_fn *map;
	/* Are both addresses one machine's on that leg? NULL: only when they are the same */
	bool (*same)(void *arg, uint32_t leg, const struct ip *a, const struct ip *b);
	void *arg;
	uint8_t ttl; /* of what goes to the group; 0: SSDP_TTL */
};

struct ssdp;

/** ssdp_new() - @random: also our number among routers, so it must differ from theirs */
struct ssdp *ssdp_new(const struct ssdp_config *config, uint64_t random);
void ssdp_free(struct ssdp *s);

/** ssdp_leg_set() - A leg is there, or differs now; without MC_SSDP among its wants it is not */
void ssdp_leg_set(struct ssdp *s, mono_t now, const struct mc_leg *leg, struct mc_actions *out);
void ssdp_leg_remove(struct ssdp *s, mono_t now, uint32_t leg, struct mc_actions *out);
void ssdp_input(struct ssdp *s, mono_t now, const struct mc_packet *p, struct mc_actions *out);
void ssdp_timer(struct ssdp *s, mono_t now, struct mc_actions *out);
int64_t ssdp_due(const struct ssdp *s); /* INT64_MAX: no timer */

/** ssdp_look() - Ask on @leg what is there, by the family of @who, and announce to the others what @who answers */
void ssdp_look(struct ssdp *s, mono_t now, uint32_t leg, const struct ip *who, struct mc_actions *out);
/** ssdp_has_heard() - Has a device at @who announced itself or answered, since then? */
bool ssdp_has_heard(const struct ssdp *s, uint32_t leg, const struct ip *who, int64_t since_us);

/** struct ssdp_device - What was heard to be alive */
struct ssdp_device {
	uint32_t leg;
	struct ip from;
	char usn[128];	    /* its uuid: "uuid:..." without what follows */
	char location[256]; /* as announced */
	int64_t until_us;   /* mono_t; by its max-age */
	int64_t heard_us;   /* when it was heard last */
	uint32_t heard;	    /* how often */
};
typedef void ssdp_device_fn(void *arg, const struct ssdp_device *d);
void ssdp_devices(const struct ssdp *s, mono_t now, ssdp_device_fn *fn, void *arg);

enum ssdp_count {
	SSDP_COUNT_SEARCHES, /* forwarded */
	SSDP_COUNT_NOTIFIES,
	SSDP_COUNT_ANSWERS,
	SSDP_COUNT_REWRITTEN, /* LOCATION */
	SSDP_COUNT_N_
};
extern const char *const ssdp_count_names[SSDP_COUNT_N_];
const uint64_t *ssdp_counts(const struct ssdp *s);
size_t ssdp_askers(const struct ssdp *s);

#endif
