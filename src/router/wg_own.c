/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading what is ours of WireGuard, and telling the public part.
 */
#include "router/wg_own.h"

#include <fcntl.h>
#include <sodium.h>

#include "base/log.h"
#include "state/join.h"
#include "state/wg_keys.h"

static int own_read(const struct state_dir *d, const struct config *c, struct wg_own *ret, struct err *err)
{
	uint8_t public_key[WG_KEY_BYTES];
	char path[512];
	int rc = wg_private_load(d, ret->private_key, err);

	join_key_path(c->cluster_key_file, d->path, path, sizeof(path));
	if (rc == 0)
		rc = keyring_read(path, &ret->ring, err);
	/* the verb `join` will bring one; until then nobody has a key in common with us, and nothing leaves */
	if (rc == -ENOENT && !c->cluster_key_file[0])
		rc = 0;
	if (rc < 0)
		return rc;
	wg_public(ret->private_key, public_key);
	wg_key_format(public_key, ret->say.key);
	ret->say.port = c->wireguard_port;
	ret->say.n_ring = 0;
	for (size_t i = 0; i < ret->ring.n && i < WG_RING; i++)
		str_copy(ret->say.ring[ret->say.n_ring++], ret->ring.keys[i].id);
	return 0;
}

static int own_tell(const struct state_dir *d, const struct config *c, const struct wg_own *w, struct err *err)
{
	struct file_owner owner = owner_of_root(d);
	struct wg_say told = {0};

	if (!c->dry_run && !w->ring.n)
		unlinkat(d->fd, STATE_WIREGUARD, 0);
	if (c->dry_run || !w->ring.n || (wg_file_read(d->fd, &owner, &told, NULL) == 0 && wg_say_same(&told, &w->say)))
		return 0;
	return wg_file_write(d->fd, &w->say, err);
}

int wg_own_load(const struct state_dir *d, const struct config *c, struct wg_own **ret, struct err *err)
{
	struct wg_own *w;
	int rc;

	*ret = NULL;
	if (c->encryption != ENCRYPTION_WIREGUARD) {
		if (!c->dry_run)
			unlinkat(d->fd, STATE_WIREGUARD, 0);
		return 0;
	}
	w = xcalloc(1, sizeof(*w));
	rc = own_read(d, c, w, err);
	if (rc == 0)
		rc = own_tell(d, c, w, err);
	if (rc < 0) {
		wg_own_free(w);
		return rc;
	}
	if (!w->ring.n)
		log_warning("there is no cluster key yet, and without one nothing goes to other hosts",
			    kv_str("cure", "docker-router join, or on the first host docker-router keygen | "
					   "docker-router key add"));
	*ret = w;
	return 0;
}

void wg_own_reload(const struct state_dir *d, const struct config *c, struct wg_own *w)
{
	struct wg_own now = {0};
	struct err err;

	if (!w != (c->encryption != ENCRYPTION_WIREGUARD))
		log_warning("ENCRYPTION is read at start only");
	if (!w)
		return;
	if (c->encryption == ENCRYPTION_WIREGUARD && own_read(d, c, &now, &err) < 0) {
		log_warning("keys stay as they were", kv_str("why", err.text));
	} else if (c->encryption == ENCRYPTION_WIREGUARD && !now.ring.n && w->ring.n) {
		log_warning("keys stay as they were", kv_str("why", "the key file is gone"));
	} else if (c->encryption == ENCRYPTION_WIREGUARD) {
		if (now.ring.n && !w->ring.n)
			log_info("the cluster key is there", kv_str("key", now.ring.keys[0].id));
		*w = now;
		if (own_tell(d, c, w, &err) < 0)
			log_warning(STATE_WIREGUARD " not written", kv_str("why", err.text));
	}
	sodium_memzero(&now, sizeof(now));
}

void wg_own_free(struct wg_own *w)
{
	if (w)
		sodium_memzero(w, sizeof(*w));
	free(w);
}

void wg_own_remember(const struct router_state *before, struct wg_control *c)
{
	for (size_t i = 0; i < before->wireguard.n_peers; i++) {
		const struct rs_wg_peer *p = &before->wireguard.peers[i];
		uint8_t key[WG_KEY_BYTES];
		if (!ip_is_none(&p->announced.ip) && wg_key_parse(p->key, key))
			wg_control_remember(c, key, &p->announced);
	}
}
