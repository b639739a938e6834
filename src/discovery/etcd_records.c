/* SPDX-License-Identifier: Apache-2.0
 *
 * Our stacks at etcd: what is there, as far as is known, and what has to be put or deleted.
 */
#include "discovery/etcd_state.h"

#define TXN_OPS	  64	       /* etcd's own limit is 128 */
#define TXN_BYTES (512u << 10) /* and 1.5 MiB */

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

void etcd_self(struct etcd *e, const struct peer *peer)
{
	char *key = xasprintf("%s/%s/%s/%u", e->config.prefix, peer->stack_id, peer->host_id, peer->vni);
	struct buf value = {0};
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
	if (r->value && !r->gone && r->seq == peer->seq)
		return;
	peer_to_value(&value, peer);
	free(r->value);
	r->value = value.data;
	r->seq = peer->seq;
	r->put = r->gone = r->asked = false;
	r->not_before_us = 0;
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
	size_t n = 0;

	etcd_put_txn_begin(&e->body);
	for (size_t i = 0; i < e->n_records && n < TXN_OPS && e->body.len < TXN_BYTES; i++) {
		struct record *r = &e->records[i];

		if (!record_due(e, r, now))
			continue;
		etcd_put_txn_op(&e->body, r->key, r->gone ? NULL : r->value, e->lease);
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
	struct record *r = xgrow(&e->records, e->n_records, &e->cap_records);

	e->n_records++;
	r->key = xasprintf("%s/%s/%s/%u", e->config.prefix, peer->stack_id, peer->host_id, peer->vni);
	r->gone = true;
}

bool etcd_forgotten(const struct etcd *e)
{
	return e->n_records == 0;
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
