/* SPDX-License-Identifier: Apache-2.0
 *
 * What a host tells of its WireGuard device, as text and back.
 */
#include "state/wireguard.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool wg_say_same(const struct wg_say *a, const struct wg_say *b)
{
	if (!str_eq(a->key, b->key) || a->port != b->port || a->n_ring != b->n_ring)
		return false;
	for (size_t i = 0; i < a->n_ring; i++)
		if (!str_eq(a->ring[i], b->ring[i]))
			return false;
	return true;
}

bool wg_key_parse(const char *text, uint8_t ret[static 32])
{
	uint8_t key[33];
	uint32_t bits = 0;

	if (strlen(text) != WG_KEY_TEXT - 1 || text[43] != '=')
		return false;
	for (size_t i = 0; i < 44; i++) {
		const char *at = i == 43 ? base64 : strchr(base64, text[i]);
		if (!at)
			return false;
		bits = bits << 6 | (uint32_t)(at - base64);
		if (i % 4 == 3)
			for (size_t k = 0; k < 3; k++)
				key[i / 4 * 3 + k] = (uint8_t)(bits >> (16 - 8 * k));
	}
	/* two bits of the last character stand for nothing */
	if (key[32])
		return false;
	memcpy(ret, key, 32);
	explicit_bzero(key, sizeof(key));
	return true;
}

void wg_key_format(const uint8_t key[static 32], char ret[static WG_KEY_TEXT])
{
	for (size_t i = 0; i < 44; i++) {
		size_t bit = i * 6, at = bit / 8, shift = bit % 8;
		unsigned two = (unsigned)(key[at < 32 ? at : 31] << 8) | (at + 1 < 32 ? key[at + 1] : 0);
		ret[i] = base64[two >> (10 - shift) & 63];
	}
	ret[43] = '=';
	ret[44] = '\0';
}

bool wg_ring_id_valid(const char *s)
{
	return strlen(s) == WG_RING_ID - 1 && strspn(s, "0123456789abcdef") == WG_RING_ID - 1;
}

json_t *wg_say_to_json(const struct wg_say *w)
{
	json_t *o = json_object(), *ring = json_array();

	json_put_str(o, "key", w->key);
	json_put_int(o, "port", w->port);
	for (size_t i = 0; i < w->n_ring; i++)
		json_array_append_new(ring, json_string(w->ring[i]));
	json_put(o, "ring", ring);
	return o;
}

int wg_say_from_json(const json_t *o, struct wg_say *ret, struct err *err)
{
	const json_t *ring = json_object_get(o, "ring");
	struct wg_say w = {0};
	uint8_t key[32];
	int64_t port;
	int r;

	if (!json_is_object(o))
		return err_set(err, -EINVAL, "wireguard is no object");
	if ((r = json_required(json_get_str(o, "key", w.key, sizeof(w.key), err), "key of wireguard", err)) < 0 ||
	    (r = json_required(json_get_int(o, "port", 1, UINT16_MAX, &port, err), "port of wireguard", err)) < 0)
		return r;
	if (!wg_key_parse(w.key, key) || memcmp(key, (uint8_t[32]){0}, 32) == 0)
		return err_set(err, -EINVAL, "key of wireguard: 32 bytes in base64 are allowed");
	if (!json_is_array(ring) || json_array_size(ring) > WG_RING)
		return err_set(err, -EINVAL, "ring of wireguard: at most %d ids are allowed", WG_RING);
	for (size_t i = 0; i < json_array_size(ring); i++) {
		const char *id = json_string_value(json_array_get(ring, i));
		if (!id || !wg_ring_id_valid(id))
			return err_set(err, -EINVAL, "ring of wireguard: ids of 8 hex digits are allowed");
		str_copy(w.ring[w.n_ring++], id);
	}
	w.port = (uint16_t)port;
	*ret = w;
	return 0;
}

void wg_say_print(struct buf *b, const struct wg_say *w)
{
	buf_printf(b, "{\"key\":\"%s\",\"port\":%u,\"ring\":[", w->key, (unsigned)w->port);
	for (size_t i = 0; i < w->n_ring; i++)
		buf_printf(b, "%s\"%s\"", i ? "," : "", w->ring[i]);
	buf_puts(b, "]}");
}

static size_t ring_at(const struct wg_say *w, const char *id)
{
	size_t i = 0;

	while (i < w->n_ring && !str_eq(w->ring[i], id))
		i++;
	return i;
}

const char *wg_common_key(const struct wg_say *a, const struct wg_say *b)
{
	const char *best = NULL;
	size_t best_sum = 2 * WG_RING;

	for (size_t i = 0; i < a->n_ring; i++) {
		size_t sum = i + ring_at(b, a->ring[i]);
		if (ring_at(b, a->ring[i]) == b->n_ring)
			continue;
		/* of two that are alike the smaller id: both ends must choose the same */
		if (!best || sum < best_sum || (sum == best_sum && strcmp(a->ring[i], best) < 0)) {
			best = a->ring[i];
			best_sum = sum;
		}
	}
	return best;
}

int wg_file_read(int dirfd, const struct file_owner *owner, struct wg_say *ret, struct err *err)
{
	json_t *root = NULL;
	int r = state_read_json(dirfd, STATE_WIREGUARD, owner, &root, err);

	if (r < 0)
		return r;
	r = json_check_version(root, STATE_WIREGUARD, err);
	if (r == 0)
		r = wg_say_from_json(root, ret, err);
	json_decref(root);
	return r;
}

int wg_file_write(int dirfd, const struct wg_say *w, struct err *err)
{
	json_t *root = json_object(), *say = wg_say_to_json(w);
	int r;

	json_put_int(root, "version", 1);
	json_object_update(root, say);
	json_decref(say);
	r = state_write_json(dirfd, STATE_WIREGUARD, root, err);
	json_decref(root);
	return r;
}
