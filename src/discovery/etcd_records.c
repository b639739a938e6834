/* SPDX-License-Identifier: Apache-2.0
 *
 * Our stacks at etcd: what is there, as far as is known, and what has to be put or deleted.
 */
#include "discovery/etcd_state.h"

#define TXN_OPS	  64	       /* etcd's own limit is 128 */
#define TXN_BYTES (256u << 10) /* and 1.5 MiB: this, and a value of any length */

static void record_free(struct record *r)
{
	free(r->key);
	free(r->value);
}

void etcd_self_begin(struct etcd *e)
{
	for (size_t i = 0; i < e->n_records; i++)
		e->records[i].kept = false;
}

/* The record of @key, taken over. Return: NULL: its value is that of @seq already */
static struct record *record_open(struct etcd *e, char *key, uint64_t seq)
{
	struct record *r = NULL;

	for (size_t i = 0; !r && i < e->n_records; i++) {
		if (str_eq(e->records[i].key, key))
			r = &e->records[i];
	}
	if (!r) {
		r = xgrow(&e->records, e->n_records, &e->cap_records);
		e->n_records++;
		r->key = steal_ptr(key);
	}
	free(key);
	r->kept = true;
	if (r->value && !r->gone && r->seq == seq)
		return NULL;
	free(r->value);
	r->value = NULL;
	r->seq = seq;
	r->put = r->gone = r->asked = false;
	r->not_before_us = 0;
	return r;
}

static char *record_key(const struct etcd *e, const char *stack_id, const char *host_id, uint32_t vni, const char *end)
{
	return xasprintf("%s/%s/%s/%u%s", e->config.prefix, stack_id, host_id, vni, end);
}

void etcd_self(struct etcd *e, const struct peer *peer)
{
	struct record *r = record_open(e, record_key(e, peer->stack_id, peer->host_id, peer->vni, ""), peer->seq);
	struct buf value = {0};

	if (!r)
		return;
	peer_to_value(&value, peer);
	r->value = value.data;
}

void etcd_self_names(struct etcd *e, const struct name_stack *names, uint64_t seq)
{
	struct record *r = record_open(e, record_key(e, names->stack_id, e->config.host_id, names->vni, "/names"), seq);
	struct name_stack own = *names;
	struct buf value = {0};

	if (!r)
		return;
	str_copy(own.host_id, e->config.host_id);
	r->n_left_out = own.n_names - name_stack_to_value(&value, &own, seq, ETCD_NAMES_BYTES);
	r->value = value.data;
}

static void records_sweep(struct etcd *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->n_records; i++) {
		struct record *r = &e->records[i];

		if (r->gone && r->put)
			record_free(r);
		else
			e->records[kept++] = *r;
	}
	e->n_records = kept;
}

void etcd_self_end(struct etcd *e)
{
	for (size_t i = 0; i < e->n_records; i++) {
		struct record *r = &e->records[i];

		if (r->kept || r->gone)
			continue;
		r->gone = true;
		r->put = r->asked = false;
		r->not_before_us = 0;
	}
}

/* Without its lease nothing is there: all has to be put, nothing deleted */
void records_lost(struct etcd *e)
{
	e->lease = 0;
	for (size_t i = 0; i < e->n_records; i++) {
		e->records[i].put = e->records[i].gone;
		e->records[i].asked = false;
		e->records[i].not_before_us = 0;
	}
	records_sweep(e);
}

struct record *record_find(const struct etcd *e, const char *key)
{
	size_t len = strlen(e->config.prefix) + 1;

	for (size_t i = 0; i < e->n_records; i++) {
		if (str_eq(e->records[i].key + len, key))
			return &e->records[i];
	}
	return NULL;
}

bool record_due(const struct etcd *e, const struct record *r, mono_t now)
{
	return !r->put && r->not_before_us <= now.us && (e->lease || r->gone);
}

void records_ask(struct etcd *e, mono_t now)
{
	autobuf struct buf value = {0};
	size_t n = 0;

	etcd_put_txn_begin(&e->body);
	for (size_t i = 0; i < e->n_records && n < TXN_OPS && e->body.len < TXN_BYTES; i++) {
		struct record *r = &e->records[i];

		if (!record_due(e, r, now))
			continue;
		buf_clear(&value);
		if (!r->gone)
			value_put(e, r, &value);
		etcd_put_txn_op(&e->body, r->key, r->gone ? NULL : &value, e->lease);
		r->asked = true;
		n++;
	}
	etcd_put_txn_end(&e->body);
}

void records_answered(struct etcd *e)
{
	for (size_t i = 0; i < e->n_records; i++) {
		if (e->records[i].asked)
			e->records[i].put = true;
		e->records[i].asked = false;
	}
	records_sweep(e);
}

void etcd_forget(struct etcd *e, const struct peer *peer)
{
	for (int names = 0; names < 2; names++) {
		struct record *r = xgrow(&e->records, e->n_records, &e->cap_records);

		e->n_records++;
		r->key = record_key(e, peer->stack_id, peer->host_id, peer->vni, names ? "/names" : "");
		r->gone = true;
	}
}

bool etcd_forgotten(const struct etcd *e)
{
	return e->n_records == 0;
}

void records_again(struct etcd *e)
{
	for (size_t i = 0; i < e->n_records; i++) {
		struct record *r = &e->records[i];

		if (r->gone)
			continue;
		r->put = r->asked = false;
		r->not_before_us = 0;
	}
}

void records_unask(struct etcd *e)
{
	for (size_t i = 0; i < e->n_records; i++)
		e->records[i].asked = false;
}

void records_done(struct etcd *e)
{
	for (size_t i = 0; i < e->n_records; i++)
		record_free(&e->records[i]);
	free(e->records);
}
