/* SPDX-License-Identifier: Apache-2.0
 *
 * What keys and values below the prefix say, and how they are sealed.
 */
#include "discovery/etcd_state.h"
#include "state/peer_text.h"

#define NAMES	   "/names"
#define COPIES_MAX ((size_t)ETCD_VALUE_BYTES / 4 * 3) /* a value with copies is no longer than that */

int etcd_key_parse(const char *key, struct peer *ret, bool *ret_names)
{
	const char *host = strchr(key, '/'), *vni = host ? strchr(host + 1, '/') : NULL;
	char number[16] = "";
	struct peer p = {0};
	size_t len;
	uint64_t n;

	if (!vni || (size_t)(host - key) >= sizeof(p.stack_id) || vni - host - 1 != HOST_ID_LEN || vni[1] == '0')
		return -EINVAL;
	len = strcspn(++vni, "/");
	if (len >= sizeof(number) || (vni[len] && !str_eq(vni + len, NAMES)))
		return -EINVAL;
	memcpy(number, vni, len);
	if (parse_u64(number, 1, VNI_MAX, &n) < 0)
		return -EINVAL;
	memcpy(p.stack_id, key, (size_t)(host - key));
	memcpy(p.host_id, host + 1, HOST_ID_LEN);
	if (!name_valid(p.stack_id) || !host_id_valid(p.host_id))
		return -EINVAL;
	p.vni = (uint32_t)n;
	*ret = p;
	*ret_names = vni[len] != '\0';
	return 0;
}

/* --- sealing --- */

void value_put(const struct etcd *e, const struct record *r, struct buf *b)
{
	const char *about = r->key + strlen(e->config.prefix) + 1;
	size_t len = strlen(r->value), room = value_sealed_len(&e->keys, len) + 1;

	value_seal(&e->keys, about, r->value, len, b);
	for (size_t i = 1; i < e->keys.n; i++) {
		if (!(e->used & 1u << i) || b->len + room > COPIES_MAX)
			continue;
		buf_puts(b, "\n");
		value_seal_with(&e->keys, i, about, r->value, len, b);
	}
}

void etcd_keys(struct etcd *e, const struct value_keys *keys)
{
	if (keys->n == e->keys.n && memcmp(keys->keys, e->keys.keys, sizeof(keys->keys)) == 0)
		return;
	e->keys = *keys;
	e->used = 0;
	records_again(e);
	/* what could not be opened may be now, and the other way round; who has not put his with a new key yet gets
	 * time */
	etcd_list_anew(e, e->config.ttl_s * USEC_PER_SEC);
}

/* Somebody seals with this one: ours are sealed with it too */
static void key_used(struct etcd *e, const char *id)
{
	int nth = value_key_nth(&e->keys, id);

	if (nth <= 0)
		return;
	e->used_now |= 1u << nth;
	if (e->used & 1u << nth)
		return;
	e->used |= 1u << nth;
	records_again(e);
}

void values_listing(struct etcd *e)
{
	e->events.begin(e->events.arg);
	e->used_now = 0;
	e->n_refused = 0;
}

void values_listed(struct etcd *e)
{
	if (e->used == e->used_now)
		return;
	e->used = e->used_now;
	records_again(e);
}

/* The value and its copies: the first that can be opened. @ret_id: the key of the value itself */
static enum seal_verdict value_open_any(const struct etcd *e, const struct etcd_kv *kv, struct buf *ret,
					char ret_id[static KEY_ID_LEN + 1])
{
	const char *at = kv->value, *end = kv->value + kv->value_len;
	enum seal_verdict first = SEAL_BROKEN;

	if (!e->keys.n)
		return value_open(&e->keys, kv->key, kv->value, kv->value_len, ret, ret_id);
	for (size_t i = 0; at <= end && i < KEYRING_MAX; i++) {
		const char *next = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((next ? next : end) - at);
		char id[KEY_ID_LEN + 1];
		enum seal_verdict v = value_open(&e->keys, kv->key, at, len, ret, i == 0 ? ret_id : id);

		if (v == SEAL_OPENED)
			return v;
		if (i == 0)
			first = v;
		if (!next || v == SEAL_CLEAR)
			break;
		at = next + 1;
	}
	return first;
}

/* --- whose values cannot be opened --- */

static struct refused *refused_find(struct etcd *e, const char *host_id)
{
	for (size_t i = 0; i < e->n_refused; i++) {
		if (str_eq(e->refused[i].host_id, host_id))
			return &e->refused[i];
	}
	return NULL;
}

static void refused_forget(struct etcd *e, const char *host_id)
{
	struct refused *r = refused_find(e, host_id);

	if (r)
		*r = e->refused[--e->n_refused];
}

static void refused_note(struct etcd *e, const char *host_id, enum seal_verdict why, const char *key_id)
{
	struct refused *r = refused_find(e, host_id);

	if (r && r->why == why && str_eq(r->key_id, key_id))
		return;
	if (!r && e->n_refused == REFUSED_MAX)
		return;
	if (!r)
		r = &e->refused[e->n_refused++];
	*r = (struct refused){.why = why};
	str_copy(r->host_id, host_id);
	str_copy(r->key_id, key_id);
	etcd_say(e, LOG_LEVEL_DEBUG, "a value in etcd cannot be opened", host_id);
}

static void refused_problem(const struct etcd *e, const struct refused *r, struct problems *ret)
{
	switch (r->why) {
	case SEAL_NO_KEY:
		if (e->keys.n)
			problems_add(ret, "etcd",
				     "Is it one of your hosts? Compare `docker-router key list` here and there, and "
				     "add what "
				     "is missing: docker-router key add FILE.",
				     "host %s seals its values with another key than ours (%s): they are not read",
				     r->host_id, r->key_id);
		else
			problems_add(ret, "etcd", "Copy its key file to this host and set CLUSTER_KEY_FILE.",
				     "host %s seals its values with key %s, and here is no CLUSTER_KEY_FILE: they are "
				     "not read",
				     r->host_id, r->key_id);
		break;
	case SEAL_CLEAR:
		problems_add(
			ret, "etcd", "Is it one of your hosts? Copy the key file to it and set CLUSTER_KEY_FILE there.",
			"host %s puts its values without a seal, and here CLUSTER_KEY_FILE is set: they are not read",
			r->host_id);
		break;
	case SEAL_OPENED:
	case SEAL_ASKED:
	case SEAL_PROVED:
	case SEAL_BROKEN:
	case SEAL_FORGED:
	case SEAL_AGAIN:
	case SEAL_SKEWED:
	case SEAL_VERDICT_N_:
		problems_add(
			ret, "etcd",
			"Let only your hosts write below ETCD_PREFIX: with users and roles, and TLS certificates.",
			"the seal of a value of host %s does not fit: somebody changed it, or copied it there: it is "
			"not read",
			r->host_id);
		break;
	}
}

void etcd_problems(const struct etcd *e, struct problems *ret)
{
	if (e->problem)
		problems_add(ret, "etcd", e->cure, "%s", e->problem);
	for (size_t i = 0; i < e->n_refused; i++)
		refused_problem(e, &e->refused[i], ret);
	for (size_t i = 0; i < e->n_records; i++) {
		if (e->records[i].n_left_out && !e->records[i].gone)
			problems_add(ret, "etcd", "Give fewer aliases, or part the stack.",
				     "%s: %zu names are left out: a value has %d kB at most",
				     e->records[i].key + strlen(e->config.prefix) + 1, e->records[i].n_left_out,
				     ETCD_NAMES_BYTES >> 10);
	}
}

/* --- what is told --- */

static void own_told(struct etcd *e, const struct etcd_kv *kv)
{
	struct record *own = record_find(e, kv->key);

	if (!own || !own->put || own->gone)
		return;
	if (kv->deleted) {
		own->put = false;
		own->not_before_us = e->good_us + PUT_AGAIN_US;
		e->alive_us = INT64_MIN; /* has our lease gone? Then it is put at once */
	} else if (kv->revision > e->put_revision && kv->lease != e->lease && !e->cloned) {
		e->cloned = true;
		etcd_say(e, LOG_LEVEL_WARNING, "somebody else puts our stacks into etcd: cloned disk?", kv->key);
	}
}

static void peer_told(struct etcd *e, const struct peer *key, const char *name, const struct buf *value)
{
	struct err err = {0};
	struct peer p;

	if (value->len > ETCD_PEER_BYTES || peer_from_value(value->data, value->len, &p, &err) < 0) {
		etcd_say(e, LOG_LEVEL_DEBUG, "a value in etcd is no peer", name);
		return;
	}
	if (!e->keys.n) /* anybody could put his own there */
		p.wireguard = (struct wg_say){0};
	if (str_eq(p.stack_id, key->stack_id) && str_eq(p.host_id, key->host_id) && p.vni == key->vni)
		e->events.put(e->events.arg, &p);
	else
		etcd_say(e, LOG_LEVEL_DEBUG, "a value in etcd is not what its key says", name);
	peer_done(&p);
}

static void names_told(struct etcd *e, const struct peer *key, const char *name, const struct buf *value)
{
	struct name_stack n;
	struct err err = {0};
	uint64_t seq;

	if (value->len > ETCD_NAMES_BYTES || name_stack_from_value(value->data, value->len, &n, &seq, &err) < 0) {
		etcd_say(e, LOG_LEVEL_DEBUG, "a value in etcd is no list of names", name);
		return;
	}
	if (str_eq(n.stack_id, key->stack_id) && str_eq(n.host_id, key->host_id) && n.vni == key->vni)
		e->events.names(e->events.arg, key, seq, &n);
	else
		etcd_say(e, LOG_LEVEL_DEBUG, "a value in etcd is not what its key says", name);
	name_stack_done(&n);
}

void value_told(void *arg, const struct etcd_kv *kv)
{
	struct etcd *e = arg;
	autobuf struct buf value = {0};
	char key_id[KEY_ID_LEN + 1] = "";
	enum seal_verdict v;
	struct peer key;
	bool names;

	if (etcd_key_parse(kv->key, &key, &names) < 0)
		return;
	if (str_eq(key.host_id, e->config.host_id)) {
		own_told(e, kv);
		return;
	}
	if (kv->deleted) {
		refused_forget(e, key.host_id);
		(names ? e->events.names_drop : e->events.drop)(e->events.arg, &key);
		return;
	}
	buf_reserve(&value, 1);
	v = value_open_any(e, kv, &value, key_id);
	if (v != SEAL_OPENED) { /* what was known of it stays: it may have a key that comes here in a moment */
		refused_note(e, key.host_id, v, key_id);
		return;
	}
	refused_forget(e, key.host_id);
	key_used(e, key_id);
	if (names)
		names_told(e, &key, kv->key, &value);
	else
		peer_told(e, &key, kv->key, &value);
}
