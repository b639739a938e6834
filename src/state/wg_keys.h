/* SPDX-License-Identifier: Apache-2.0
 *
 * The secret halves of WireGuard. The private key is made on the host and never leaves it:
 * STATE_DIR/keys/wireguard.key, 0600 in a folder 0700, read by the router; while it changes wireguard.next.key lies
 * beside it. Pre-shared keys come from the key ring, one
 * for each pair of hosts, so that a host that is not a member gets no handshake, whatever public key somebody believes
 * to be its own.
 */
#ifndef STATE_WG_KEYS_H
#define STATE_WG_KEYS_H

#include "state/identity.h"
#include "state/keyring.h"

#define WG_KEYS_DIR  "keys"
#define WG_KEY_FILE  "wireguard.key"
#define WG_NEXT_FILE "wireguard.next.key"

/**
 * wg_private_load() - Read the private key, make it when there is none
 * Return: 0; -EPERM: others can read it, or it is not root's or ours; -EINVAL: it holds no key; else -errno
 */
int wg_private_load(const struct state_dir *d, uint8_t ret[static 32], struct err *err) MUST_USE;
/**
 * wg_next_make() - A key that is to follow, in the other slot
 * Return: 0; -EEXIST there is one; -ENOENT there is no key that it could follow
 */
int wg_next_make(const struct state_dir *d, struct err *err) MUST_USE;
/** wg_next_load() - Return: 0; -ENOENT there is none; else as wg_private_load() */
int wg_next_load(const struct state_dir *d, uint8_t ret[static 32], struct err *err) MUST_USE;
/** wg_next_take() - It follows now: it takes the place of the one before */
int wg_next_take(const struct state_dir *d, struct err *err) MUST_USE;
/** wg_private_remove() - Both, for `down` */
int wg_private_remove(const struct state_dir *d, struct err *err) MUST_USE;
void wg_public(const uint8_t private_key[static 32], uint8_t ret[static 32]);
/** wg_psk() - Of a pair of hosts, in any order, under one key of the ring */
void wg_psk(const struct key *k, const char *host_a, const char *host_b, uint8_t ret[static 32]);

#endif
