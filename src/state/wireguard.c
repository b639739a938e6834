/* SPDX-License-Identifier: Apache-2.0
 *
 * What a host tells of its WireGuard device, as text and back.
 */
#include "state/wireguard.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool wg_say_same(const struct wg_say *a, const struct wg_say *b)
{
	if (!str_eq(a->key, b->key) || a->port != b->port || a->n_ring != b->n_ring || !str_eq(a->next, b->next) ||
	    a->next_port != b->next_port || a->relay != b->relay || a->n_by != b->n_by)
		return false;
	for (size_t i = 0; i < a->n_ring; i++)
		if (!str_eq(a->ring[i], b->ring[i]))
			return false;
	for (size_t i = 0; i < a->n_by; i++)
		if (!str_eq(a->by[i], b->by[i]))
			return false;
	return true;
}

bool wg_say_slots_differ(const struct wg_say *w)
{
	uint8_t a[32], b[32];

	return wg_key_parse(w->key, a) && wg_key_parse(w->next, b) && wg_key_slot(a) != wg_key_slot(b);
}

unsigned wg_key_slot(const uint8_t public_key[static 32])
{
	return public_key[31] & 1; /* the highest bits of it are always 0 */
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
	if (w->next[0]) {
		json_t *next = json_object();
		json_put_str(next, "key", w->next);
		json_put_int(next, "port", w->next_port);
		json_put(o, "next", next);
	}
	if (w->relay)
		json_put(o, "relay", json_true());
	if (w->n_by) {
		json_t *by = json_array();
		for (size_t i = 0; i < w->n_by; i++)
			json_array_append_new(by, json_string(w->by[i]));
		json_put(o, "by", by);
	}
	return o;
}

/* A key and its port. @what: for the message */
static int key_from_json(const json_t *o, const char *what, char ret_key[static WG_KEY_TEXT], uint16_t *ret_port,
			 struct err *err)
{
	uint8_t key[32];
	int64_t port;
	int r;

	if ((r = json_required(json_get_str(o, "key", ret_key, WG_KEY_TEXT, err), "key of wireguard", err)) < 0 ||
	    (r = json_required(json_get_int(o, "port", 1, UINT16_MAX, &port, err), "port of wireguard", err)) < 0)
		return r;
	if (!wg_key_parse(ret_key, key) || memcmp(key, (uint8_t[32]){0}, 32) == 0)
		return err_set(err, -EINVAL, "%s of wireguard: 32 bytes in base64 are allowed", what);
	*ret_port = (uint16_t)port;
	return 0;
}

/* At most @max ids; NULL is none where @optional */
static int ids_from_json(const json_t *list, const char *what, bool optional, size_t max, char (*ret)[WG_RING_ID],
			 uint8_t *ret_n, struct err *err)
{
	*ret_n = 0;
	if (optional && (!list || json_is_null(list)))
		return 0;
	if (!json_is_array(list) || json_array_size(list) > max)
		return err_set(err, -EINVAL, "%s of wireguard: at most %zu ids are allowed", what, max);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *id = json_string_value(json_array_get(list, i));
		if (!id || !wg_ring_id_valid(id))
			return err_set(err, -EINVAL, "%s of wireguard: ids of 8 hex digits are allowed", what);
		snprintf(ret[i], WG_RING_ID, "%s", id);
		++*ret_n;
	}
	return 0;
}

int wg_say_from_json(const json_t *o, struct wg_say *ret, struct err *err)
{
	const json_t *next = json_object_get(o, "next"), *relay = json_object_get(o, "relay");
	struct wg_say w = {0};
	int r;

	if (!json_is_object(o))
		return err_set(err, -EINVAL, "wireguard is no object");
	if ((r = key_from_json(o, "key", w.key, &w.port, err)) < 0 ||
	    (r = ids_from_json(json_object_get(o, "ring"), "ring", false, WG_RING, w.ring, &w.n_ring, err)) < 0 ||
	    (r = ids_from_json(json_object_get(o, "by"), "by", true, WG_RELAYS, w.by, &w.n_by, err)) < 0)
		return r;
	if (next && !json_is_null(next)) {
		if (!json_is_object(next))
			return err_set(err, -EINVAL, "next of wireguard is no object");
		if ((r = key_from_json(next, "next", w.next, &w.next_port, err)) < 0)
			return r;
		if (!wg_say_slots_differ(&w))
			return err_set(err, -EINVAL, "next of wireguard: must be in the other slot than key");
	}
	if (relay && !json_is_null(relay) && !json_is_boolean(relay))
		return err_set(err, -EINVAL, "relay of wireguard: true or false is allowed");
	w.relay = json_is_true(relay);
	*ret = w;
	return 0;
}

void wg_say_print(struct buf *b, const struct wg_say *w)
{
	buf_printf(b, "{\"key\":\"%s\",\"port\":%u,\"ring\":[", w->key, (unsigned)w->port);
	for (size_t i = 0; i < w->n_ring; i++)
		buf_printf(b, "%s\"%s\"", i ? "," : "", w->ring[i]);
	buf_puts(b, "]");
	if (w->next[0])
		buf_printf(b, ",\"next\":{\"key\":\"%s\",\"port\":%u}", w->next, (unsigned)w->next_port);
	if (w->relay)
		buf_puts(b, ",\"relay\":true");
	for (size_t i = 0; i < w->n_by; i++)
		buf_printf(b, "%s\"%s\"", i ? "," : ",\"by\":[", w->by[i]);
	buf_puts(b, w->n_by ? "]}" : "}");
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
	size_t best_sum = (size_t)2 * WG_RING;

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
