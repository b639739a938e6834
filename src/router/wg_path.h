/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Which way a packet takes to another host, inside WireGuard
 *
 * A host has one key, and two while it changes it; each key has a device, an address and a port of its own (its slot).
 * So between two hosts there may be four sessions at once, and whoever sends chooses one that works, the newest keys
 * first: the other end takes what comes by any of them. Nobody has to agree with anybody on the moment of a change, and
 * nothing is lost by it.
 *
 *	direct        A fd64:7277:<a>  ------------------------------->  fd64:7277:<b> B      (7278: slot 1)
 *	by a relay R  A fd64:7279:<R><a>  -->  R  forwards  -->  fd64:7279:<R><b> B
 *
 * By way of a relay hosts have other addresses, one for each relay: WireGuard takes an address from one peer only, and
 * like this those for R are R's, whatever goes the direct way meanwhile. R passes on from its prefix to its prefix, and
 * WireGuard there proves who sends, as it does anywhere.
 *
 * Who relays says so (WIREGUARD_RELAY), and all others keep a session with it, and tell with whom they have one. A host
 * that got no answer for some seconds (struct wg_note) is reached by the first relay, by host_id, that we and it have a
 * session with. Both ends choose on their own, from facts that all have. It goes the direct way again once there is a
 * session, which is tried all the time.
 */
#ifndef ROUTER_WG_PATH_H
#define ROUTER_WG_PATH_H

#include "router/desired.h"
#include "router/wireguard.h"

/** struct wg_host_key - One key of another host */
struct wg_host_key {
	bool present;
	uint8_t key[WG_KEY_BYTES];
	unsigned slot;
	uint16_t port;
};

/** struct wg_path - To one host; sorted by host_id */
struct wg_path {
	const struct peer *peer;    /* borrowed from discovery */
	struct wg_host_key keys[2]; /* now, next */
	uint8_t psk[WG_KEY_BYTES];
	unsigned device;	     /* slot of ours that it leaves by */
	unsigned key;		     /* of @keys: the session that it takes; by a relay: now */
	const struct wg_path *relay; /* NULL: direct */
	struct ip to;		     /* address inside */
	bool ready;		     /* a session of our next device with the host works */
	bool live;		     /* one of the device that is to go works */
};

struct wg_paths {
	struct wg_path *v;
	size_t n;
	const struct wg_path *relays[WG_RELAYS]; /* in order */
	size_t n_relays;
	char by[WG_RELAYS][WG_RING_ID]; /* what we tell: relays with a session */
	uint8_t n_by;
	bool by_known; /* else the devices have not been read yet */
};

/** wg_paths_make() - Of all hosts that we can have a session with */
void wg_paths_make(const struct desired_input *in, struct wg_paths *ret);
void wg_paths_done(struct wg_paths *p); /* wiped */
/** wg_paths_find() - NULL: none, or no such host */
const struct wg_path *wg_paths_find(const struct wg_paths *p, const char *host_id);
/** wg_path_peer() - What the device tells of the session with key @key (of wg_path.keys) on device @slot; or NULL */
const struct wg_peer *wg_path_peer(const struct net *actual, const struct wg_path *p, unsigned slot, unsigned key,
				   const struct wg_note **ret_note);
/** wg_paths_relay_keys() - Which device of ours takes us to key @key of a relay */
unsigned wg_relay_device(const struct desired_input *in, const struct wg_path *relay, unsigned key);

#endif
