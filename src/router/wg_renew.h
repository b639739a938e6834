/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: When the key that is to follow may do so
 *
 * While it is on its way a host has two devices, and everybody who sends to it or hears from it takes the one with the
 * new key as soon as there is a session (wg_path.h). The old device may go when nobody needs it:
 *
 *   - whoever has a session with it has one with the new device too; a host that has none has nothing to lose, but is
 *     waited for a little while all the same;
 *   - and nothing but keepalives and handshakes has come in by it for some seconds: the other ends have moved as well.
 *
 * One that cannot be moved (its program does not know of this) is waited for without end. Of hosts that send by a relay
 * the second cannot be seen from here, so it is not waited for longer than two minutes.
 */
#ifndef ROUTER_WG_RENEW_H
#define ROUTER_WG_RENEW_H

#include "router/wg_path.h"

/** struct wg_renew - Begins zeroed. Times are monotonic, 0: not so */
struct wg_renew {
	int64_t begun_us, ready_us, quiet_us;
	struct wg_renew_peer {
		uint8_t key[WG_KEY_BYTES];
		uint64_t rx;
	} * quiet; /* what had come in when it was quiet last */
	size_t n_quiet;
};

/** wg_renew_done() - Look now. Return: the old key is not needed any more */
bool wg_renew_done(struct wg_renew *r, const struct wg_own *own, const struct wg_paths *paths, const struct net *actual,
		   int64_t now_us);
void wg_renew_free(struct wg_renew *r);

#endif
