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

static void own_key(const struct config *c, struct wg_own_key *k, char ret_text[static WG_KEY_TEXT], uint16_t *ret_port)
{
	uint8_t public_key[WG_KEY_BYTES];

	wg_public(k->private_key, public_key);
	wg_key_format(public_key, ret_text);
	k->present = true;
	k->slot = wg_key_slot(public_key);
	*ret_port = (uint16_t)(c->wireguard_port + k->slot);
}

/* @ret->say: what is not read here stays */
static int own_read(const struct state_dir *d, const struct config *c, struct wg_own *ret, struct err *err)
{
	char path[512];
	int rc = wg_private_load(d, ret->now.private_key, err), next;

	join_key_path(c->cluster_key_file, d->path, path, sizeof(path));
	if (rc == 0)
		rc = keyring_read(path, &ret->ring, err);
	/* the verb `join` will bring one; until then nobody has a key in common with us, and nothing leaves */
	if (rc == -ENOENT && !c->cluster_key_file[0])
		rc = 0;
	if (rc < 0)
		return rc;
	own_key(c, &ret->now, ret->say.key, &ret->say.port);
	next = wg_next_load(d, ret->next.private_key, err);
	if (next < 0 && next != -ENOENT)
		return next;
	if (next == 0)
		own_key(c, &ret->next, ret->say.next, &ret->say.next_port);
	if (ret->next.present && ret->next.slot == ret->now.slot)
		return err_set(err, -EINVAL,
			       "%s/" WG_KEYS_DIR "/" WG_NEXT_FILE ": not made by `docker-router key renew`", d->path);
	ret->say.n_ring = 0;
	for (size_t i = 0; i < ret->ring.n && i < WG_RING; i++) {
		str_copy(ret->say.ring[i], ret->ring.keys[i].id);
		ret->say.n_ring++;
	}
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

/* Until the devices have been read, what an earlier run told of relays is as good as any */
static void own_remember_by(const struct state_dir *d, struct wg_say *say)
{
	struct file_owner owner = owner_of_root(d);
	struct wg_say told = {0};

	if (wg_file_read(d->fd, &owner, &told, NULL) < 0)
		return;
	say->n_by = told.n_by;
	memcpy(say->by, told.by, sizeof(say->by));
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
	own_remember_by(d, &w->say);
	w->say.relay = c->wireguard_relay;
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
	if (c->wireguard_relay != w->say.relay)
		log_warning("WIREGUARD_RELAY is read at start only");
	now.say.relay = w->say.relay;
	now.say.n_by = w->say.n_by;
	memcpy(now.say.by, w->say.by, sizeof(now.say.by));
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

int wg_own_renewed(const struct state_dir *d, const struct config *c, struct wg_own *w, struct err *err)
{
	int rc = wg_next_take(d, err);

	if (rc < 0)
		return rc;
	w->now = w->next;
	sodium_memzero(&w->next, sizeof(w->next));
	str_copy(w->say.key, w->say.next);
	w->say.port = w->say.next_port;
	w->say.next[0] = '\0';
	w->say.next_port = 0;
	return own_tell(d, c, w, err);
}

void wg_own_by(const struct state_dir *d, const struct config *c, struct wg_own *w, const struct wg_paths *paths)
{
	struct wg_say now = w->say;
	struct err err;

	if (!paths->by_known)
		return;
	now.n_by = paths->n_by;
	memcpy(now.by, paths->by, sizeof(now.by));
	if (wg_say_same(&now, &w->say))
		return;
	w->say = now;
	if (own_tell(d, c, w, &err) < 0)
		log_warning(STATE_WIREGUARD " not written", kv_str("why", err.text));
}

void wg_own_free(struct wg_own *w)
{
	if (w)
		sodium_memzero(w, sizeof(*w));
	free(w);
}

void wg_own_remember(const struct router_state *before, const struct wg_own *w, struct wg_control *c)
{
	for (size_t i = 0; w && i < before->wireguard.n_peers; i++) {
		const struct rs_wg_peer *p = &before->wireguard.peers[i];
		uint8_t key[WG_KEY_BYTES];
		if ((!ip_is_none(&p->announced.ip) || p->relay[0]) && wg_key_parse(p->key, key))
			wg_control_remember(c, w->now.slot, key, &p->announced, p->relay[0] != '\0');
	}
}
