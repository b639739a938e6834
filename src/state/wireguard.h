/* SPDX-License-Identifier: Apache-2.0
 *
 * What a host tells of its WireGuard device, in every place where it stands: wireguard.json (the router writes it,
 * discovery announces it), datagrams, discovery.json. Public halves only.
 *
 *	{"version":1,"key":"44 characters of base64","port":51820,"ring":["1a2b3c4d"],
 *	 "next":{"key":"...","port":51821},"relay":true,"by":["5e6f7a8b"]}
 *
 * ring: ids of the keys of CLUSTER_KEY_FILE that the host has, its first ones in their order. From two of them both
 * ends of a pair find the same pre-shared key; see wg_common_key(). next: a second device, with the key that is to
 * follow. relay: the host passes on what others cannot send to each other. by: the relays that it has a session with,
 *by the beginnings of their host ids. What is not so is left out.
 *
 * A key has a slot, 0 or 1, a bit of its public half: the two keys of a host are never in the same one. Which of two
 * devices, addresses and ports is meant follows from it, without another word to agree on.
 */
#ifndef STATE_WIREGUARD_H
#define STATE_WIREGUARD_H

#include "state/json.h"

#define STATE_WIREGUARD "wireguard.json"
#define WG_KEY_TEXT	45 /* of a key in base64, NUL included */
#define WG_RING		4  /* ids that are told */
#define WG_RING_ID	9  /* of one, NUL included */
#define WG_RELAYS	4  /* hosts that relay, at most: the first ones by host_id */
#define WG_SLOTS	2

/** struct wg_say - key "": the host does not encrypt, or nothing is known of it */
struct wg_say {
	char key[WG_KEY_TEXT];
	uint16_t port;
	uint8_t n_ring;
	char ring[WG_RING][WG_RING_ID];
	char next[WG_KEY_TEXT]; /* "": none */
	uint16_t next_port;
	bool relay;
	uint8_t n_by;
	char by[WG_RELAYS][WG_RING_ID];
};

bool wg_say_same(const struct wg_say *a, const struct wg_say *b);

/** wg_key_parse() - 32 bytes in base64, in the one way that there is to write them. wg_key_format() is the way back */
bool wg_key_parse(const char *text, uint8_t ret[static 32]);
void wg_key_format(const uint8_t key[static 32], char ret[static WG_KEY_TEXT]);
/** wg_key_slot() - Of a public key: 0 or 1 */
unsigned wg_key_slot(const uint8_t public_key[static 32]);
bool wg_say_slots_differ(const struct wg_say *w); /* key and next, as they must */
/** wg_ring_id_valid() - 8 lower-case hex digits? */
bool wg_ring_id_valid(const char *s);

/** wg_say_to_json() - The object, without a version. wg_say_from_json() - Return: 0, -EINVAL with @err */
json_t *wg_say_to_json(const struct wg_say *w);
int wg_say_from_json(const json_t *o, struct wg_say *ret, struct err *err) MUST_USE;
/** wg_say_print() - The same as text in one line */
void wg_say_print(struct buf *b, const struct wg_say *w);

/**
 * wg_common_key() - Which key of the ring a pair takes: the first of both when that is the same, else of those that
 * both have the one that stands first in both lists taken together
 *
 * Both ends come to the same, whatever the order in which the keys of the ring are changed on the two.
 * Return: its id, borrowed from @a; NULL: they have none in common
 */
const char *wg_common_key(const struct wg_say *a, const struct wg_say *b);

int wg_file_read(int dirfd, const struct file_owner *owner, struct wg_say *ret, struct err *err) MUST_USE;
int wg_file_write(int dirfd, const struct wg_say *w, struct err *err) MUST_USE;

#endif
