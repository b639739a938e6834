/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the old device is still needed; see wg_renew.h. Pure.
 */
#include "router/wg_renew.h"

#define WAIT_US	 (60 * USEC_PER_SEC)  /* for hosts that had no session with the old device */
#define QUIET_US (12 * USEC_PER_SEC)  /* a few readings */
#define NOISY_US (120 * USEC_PER_SEC) /* with hosts that are relayed */
#define QUIET_RX 1024		      /* bytes of a peer in that time: keepalives and handshakes, no flow */

void wg_renew_free(struct wg_renew *r)
{
	free(r->quiet);
	*r = (struct wg_renew){0};
}

static uint64_t rx_before(const struct wg_renew *r, const uint8_t *key)
{
	for (size_t i = 0; i < r->n_quiet; i++)
		if (memcmp(r->quiet[i].key, key, WG_KEY_BYTES) == 0)
			return r->quiet[i].rx;
	return 0;
}

static bool has_come(const struct wg_renew *r, const struct wg_device *d)
{
	for (size_t i = 0; i < d->n_peers; i++) {
		bool same = i < r->n_quiet && memcmp(r->quiet[i].key, d->peers[i].key, WG_KEY_BYTES) == 0;
		uint64_t was = same ? r->quiet[i].rx : rx_before(r, d->peers[i].key);
		if (d->peers[i].rx > was + QUIET_RX)
			return true;
	}
	return false;
}

static void quiet_begin(struct wg_renew *r, const struct wg_device *d, int64_t now_us)
{
	free(r->quiet);
	r->n_quiet = d->n_peers;
	r->quiet = xcalloc(d->n_peers + 1, sizeof(*r->quiet));
	for (size_t i = 0; i < d->n_peers; i++) {
		memcpy(r->quiet[i].key, d->peers[i].key, WG_KEY_BYTES);
		r->quiet[i].rx = d->peers[i].rx;
	}
	r->quiet_us = now_us;
}

bool wg_renew_done(struct wg_renew *r, const struct wg_own *own, const struct wg_paths *paths, const struct net *actual,
		   int64_t now_us)
{
	const struct net_wg *old = actual ? &actual->wg[own->now.slot] : NULL;
	bool all = true, live = true, relayed = false;

	if (!old || !old->known || !actual->wg[own->next.slot].known)
		return false;
	if (!r->begun_us)
		r->begun_us = now_us;
	for (size_t i = 0; i < paths->n; i++) {
		const struct wg_path *p = &paths->v[i];
		all = all && p->ready;
		live = live && (p->ready || !p->live);
		relayed = relayed || p->relay;
	}
	if (!all && (!live || now_us - r->begun_us < WAIT_US)) {
		r->ready_us = r->quiet_us = 0;
		return false;
	}
	if (!r->ready_us)
		r->ready_us = now_us;
	if (!r->quiet_us || has_come(r, &old->device))
		quiet_begin(r, &old->device, now_us);
	return now_us - r->quiet_us >= QUIET_US || (relayed && now_us - r->ready_us >= NOISY_US);
}
