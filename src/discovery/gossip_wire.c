/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of gossip to bytes and back. What is read may be hostile: every length is checked before it is believed, and
 * there is one way only to write each thing.
 */
#include "discovery/gossip_wire.h"

#define BUCKET_BYTES (GOSSIP_BUCKETS / 8)
#define SUM_BYTES    (GOSSIP_BUCKETS * sizeof(uint64_t))

static const uint8_t magic[] = {'D', 'G', GOSSIP_VERSION};

static uint64_t get(const uint8_t *p, size_t bytes)
{
	uint64_t v = 0;

	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

static void put(uint8_t *p, uint64_t v, size_t bytes)
{
	for (size_t i = bytes; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

uint64_t gossip_get64(const uint8_t *p)
{
	return get(p, 8);
}

void gossip_put64(uint8_t *p, uint64_t v)
{
	put(p, v, 8);
}

/* --- reading --- */

/* The next @len bytes, or NULL when there are not as many */
static const uint8_t *take(struct gossip_reader *r, size_t len)
{
	const uint8_t *p = r->at;

	if ((size_t)(r->end - r->at) < len)
		return NULL;
	r->at += len;
	return p;
}

static bool id_take(struct gossip_reader *r, struct gossip_id *ret)
{
	const uint8_t *p = take(r, sizeof(ret->b));

	if (p)
		memcpy(ret->b, p, sizeof(ret->b));
	return p != NULL;
}

static bool u64_take(struct gossip_reader *r, uint64_t *ret)
{
	const uint8_t *p = take(r, 8);

	if (p)
		*ret = get(p, 8);
	return p != NULL;
}

static bool incarnation_take(struct gossip_reader *r, uint64_t *ret)
{
	return u64_take(r, ret) && *ret < GOSSIP_INCARNATION_MAX;
}

/* Somebody's own address: neither nobody's nor a group's */
static bool address_take(struct gossip_reader *r, struct endpoint *ret)
{
	const uint8_t *family = take(r, 1), *ip, *port;

	if (!family || (*family != 4 && *family != 6))
		return false;
	ip = take(r, *family == 4 ? 4 : 16);
	port = take(r, 2);
	if (!ip || !port)
		return false;
	*ret = (struct endpoint){.ip = ip_from_bytes(*family == 4 ? AF_INET : AF_INET6, ip),
				 .port = (uint16_t)get(port, 2)};
	return ret->port != 0 && !ip_is_unspecified(&ret->ip) && !ip_is_multicast(&ret->ip);
}

static bool suspect_take(struct gossip_reader *r, struct gossip_update *u)
{
	const uint8_t *n = take(r, 1);

	if (!n || *n == 0 || *n > GOSSIP_ACCUSERS)
		return false;
	u->n_by = *n;
	for (size_t i = 0; i < u->n_by; i++) {
		if (!u64_take(r, &u->by[i]))
			return false;
	}
	return true;
}

static bool fact_take(struct gossip_reader *r, struct gossip_update *u)
{
	const uint8_t *len;

	if (!u64_take(r, &u->key) || !u64_take(r, &u->seq) || !(len = take(r, 2)))
		return false;
	u->len = (size_t)get(len, 2);
	u->data = take(r, u->len);
	return u->data && u->len <= GOSSIP_FACT_BYTES && u->seq < INT64_MAX;
}

int gossip_update_next(struct gossip_reader *r, struct gossip_update *ret)
{
	const uint8_t *kind;
	bool good = false;

	if (r->at == r->end)
		return 0;
	kind = take(r, 1);
	if (!kind || *kind < GOSSIP_UPDATE_ALIVE || *kind > GOSSIP_UPDATE_LOST)
		return -EBADMSG;
	memset(ret, 0, offsetof(struct gossip_update, by));
	ret->kind = (enum gossip_update_kind) * kind;
	ret->len = 0;
	if (!id_take(r, &ret->id) || (ret->kind != GOSSIP_UPDATE_FACT && !incarnation_take(r, &ret->incarnation)))
		return -EBADMSG;
	switch (ret->kind) {
	case GOSSIP_UPDATE_ALIVE:
	case GOSSIP_UPDATE_LOST:
		good = address_take(r, &ret->address);
		break;
	case GOSSIP_UPDATE_SUSPECT:
		good = suspect_take(r, ret);
		break;
	case GOSSIP_UPDATE_FACT:
		good = fact_take(r, ret);
		break;
	case GOSSIP_UPDATE_DEAD:
	case GOSSIP_UPDATE_LEFT:
		good = true;
		break;
	}
	return good ? 1 : -EBADMSG;
}

int gossip_decode(const void *data, size_t len, bool stream, struct gossip_head *ret, struct gossip_reader *ret_updates)
{
	struct gossip_reader r = {.at = data, .end = (const uint8_t *)data + len}, walk;
	struct gossip_head h = {0};
	const uint8_t *p = take(&r, 4), *number, *last;
	struct gossip_update u;
	int next;

	if (!p || len > (stream ? GOSSIP_FRAME_BYTES : GOSSIP_DATAGRAM) || memcmp(p, magic, 2) != 0)
		return -EBADMSG;
	if (p[2] != GOSSIP_VERSION)
		return -EPROTONOSUPPORT;
	if (p[3] < GOSSIP_PING || p[3] > GOSSIP_RECORDS || (!stream && p[3] >= GOSSIP_SUMS))
		return -EBADMSG;
	h.type = (enum gossip_type)p[3];
	if (!id_take(&r, &h.id) || !incarnation_take(&r, &h.incarnation) || !u64_take(&r, &h.sum) ||
	    !(number = take(&r, 4)))
		return -EBADMSG;
	h.number = (uint32_t)get(number, 4);
	if ((h.type == GOSSIP_PING || h.type == GOSSIP_PING_REQ) && !id_take(&r, &h.target))
		return -EBADMSG;
	if (h.type == GOSSIP_SUMS && !(h.sums = take(&r, SUM_BYTES)))
		return -EBADMSG;
	if (h.type == GOSSIP_RECORDS) {
		last = take(&r, 1);
		h.buckets = take(&r, BUCKET_BYTES);
		if (!last || !h.buckets || *last > 1)
			return -EBADMSG;
		h.last = *last == 1;
	}
	walk = r;
	while ((next = gossip_update_next(&walk, &u)) == 1)
		;
	if (next < 0)
		return next;
	*ret = h;
	*ret_updates = r;
	return 0;
}

/* --- writing --- */

static void add(struct gossip_writer *w, const void *data, size_t len)
{
	memcpy(w->data + w->len, data, len);
	w->len += len;
}

static void add_int(struct gossip_writer *w, uint64_t v, size_t bytes)
{
	put(w->data + w->len, v, bytes);
	w->len += bytes;
}

void gossip_head_write(struct gossip_writer *w, void *data, size_t room, const struct gossip_head *head)
{
	*w = (struct gossip_writer){.data = data, .room = room};
	add(w, magic, sizeof(magic));
	add_int(w, head->type, 1);
	add(w, head->id.b, sizeof(head->id.b));
	add_int(w, head->incarnation, 8);
	add_int(w, head->sum, 8);
	add_int(w, head->number, 4);
	if (head->type == GOSSIP_PING || head->type == GOSSIP_PING_REQ)
		add(w, head->target.b, sizeof(head->target.b));
	if (head->type == GOSSIP_SUMS)
		add(w, head->sums, SUM_BYTES);
	if (head->type == GOSSIP_RECORDS) {
		add_int(w, head->last, 1);
		add(w, head->buckets, BUCKET_BYTES);
	}
}

bool gossip_update_write(struct gossip_writer *w, const struct gossip_update *u)
{
	size_t ip = ip_size(u->address.ip.family), need = 1 + GOSSIP_ID_BYTES + 8;
	bool where = u->kind == GOSSIP_UPDATE_ALIVE || u->kind == GOSSIP_UPDATE_LOST;

	if (where)
		need += 1 + ip + 2;
	if (u->kind == GOSSIP_UPDATE_SUSPECT)
		need += 1 + 8 * u->n_by;
	if (u->kind == GOSSIP_UPDATE_FACT)
		need += 8 + 2 + u->len;
	if (need > w->room - w->len)
		return false;
	add_int(w, u->kind, 1);
	add(w, u->id.b, sizeof(u->id.b));
	if (u->kind == GOSSIP_UPDATE_FACT) {
		add_int(w, u->key, 8);
		add_int(w, u->seq, 8);
		add_int(w, u->len, 2);
		if (u->len)
			add(w, u->data, u->len);
		return true;
	}
	add_int(w, u->incarnation, 8);
	if (where) {
		add_int(w, u->address.ip.family == AF_INET ? 4 : 6, 1);
		add(w, u->address.ip.b, ip);
		add_int(w, u->address.port, 2);
	}
	if (u->kind == GOSSIP_UPDATE_SUSPECT) {
		add_int(w, u->n_by, 1);
		for (size_t i = 0; i < u->n_by; i++)
			add_int(w, u->by[i], 8);
	}
	return true;
}
