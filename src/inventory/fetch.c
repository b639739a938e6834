/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue of single objects; see fetch.h.
 */
#include "inventory/fetch.h"

#define FETCH_BYTES  (4u << 20)
#define RETRY_MAX_US (30 * USEC_PER_SEC)

struct fetch {
	struct fetch *next;
	struct fetches *queue;
	enum fetch_kind kind;
	char id[LIMIT_ID];
	struct http_request *request; /* in flight, or NULL */
	bool again;		      /* ask once more after the answer */
	bool stale;		      /* throw the answer away */
	unsigned failures;
	int64_t not_before_us; /* after a failure */
};

struct fetches {
	struct http *http;
	const struct endpoint_address *address;
	fetch_fn *fn;
	void *arg;
	struct fetch *all; /* first come, first served */
	struct timer *retry;
};

struct fetches *fetches_new(uv_loop_t *loop, struct http *http, const struct endpoint_address *address, fetch_fn *fn,
			    loop_fn *retry, void *arg)
{
	struct fetches *q = xcalloc(1, sizeof(*q));

	q->http = http;
	q->address = address;
	q->fn = fn;
	q->arg = arg;
	q->retry = timer_new(loop, "engine fetches", retry, arg);
	return q;
}

static void fetch_free(struct fetch *f)
{
	struct fetch **at = &f->queue->all;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	http_cancel(f->request);
	free(f);
}

void fetches_clear(struct fetches *q)
{
	while (q->all)
		fetch_free(q->all);
	timer_stop(q->retry);
}

void fetches_free(struct fetches *q)
{
	if (!q)
		return;
	fetches_clear(q);
	timer_free(q->retry);
	free(q);
}

static struct fetch *fetch_find(const struct fetches *q, enum fetch_kind kind, const char *id)
{
	for (struct fetch *f = q->all; f; f = f->next) {
		if (f->kind == kind && str_eq(f->id, id))
			return f;
	}
	return NULL;
}

void fetches_add(struct fetches *q, enum fetch_kind kind, const char *id)
{
	struct fetch *f = fetch_find(q, kind, id), **at = &q->all;

	if (f) {
		f->again = f->request != NULL;
		f->not_before_us = 0;
		return;
	}
	f = xcalloc(1, sizeof(*f));
	f->queue = q;
	f->kind = kind;
	str_copy(f->id, id);
	while (*at)
		at = &(*at)->next;
	*at = f;
}

void fetches_forget(struct fetches *q, enum fetch_kind kind, const char *id)
{
	struct fetch *f = fetch_find(q, kind, id);

	if (!f)
		return;
	if (!f->request) {
		fetch_free(f);
		return;
	}
	f->again = false;
	f->stale = true; /* let it come, so that its connection stays usable */
}

bool fetches_outdate(struct fetches *q, enum fetch_kind kind, const char *id)
{
	struct fetch *f = fetch_find(q, kind, id);

	if (!f || !f->request)
		return false;
	f->stale = f->again = true;
	return true;
}

void fetches_hurry(struct fetches *q)
{
	for (struct fetch *f = q->all; f; f = f->next) {
		f->failures = 0;
		f->not_before_us = 0;
	}
}

static void fetch_failed(struct fetch *f)
{
	int64_t wait_us = USEC_PER_SEC << (f->failures < 5 ? f->failures : 5);

	f->failures++;
	f->not_before_us = mono_now().us + (wait_us < RETRY_MAX_US ? wait_us : RETRY_MAX_US);
}

static void on_answer(void *arg, int code, int status, const struct buf *body, const struct err *http_err)
{
	struct fetch *f = arg;
	struct fetches *q = f->queue;
	struct err err = {0};
	struct fetched got = {.kind = f->kind, .err = &err};

	f->request = NULL;
	str_copy(got.id, f->id);
	if (f->stale)
		got.outcome = FETCH_NOTHING;
	else if (code == 0 && status == 404)
		got.outcome = FETCH_GONE;
	else
		got.object = endpoint_answer(code, status, body, http_err, &err);
	if (!f->stale && got.outcome == FETCH_GOT && !got.object)
		got.outcome = FETCH_FAILED;
	got.say = f->failures == 1;

	/* the queue is in order before the callback looks at it */
	if (got.outcome == FETCH_FAILED)
		fetch_failed(f);
	if (f->again)
		f->not_before_us = 0;
	else if (got.outcome != FETCH_FAILED) {
		fetch_free(f);
		f = NULL;
	}
	if (f)
		f->again = f->stale = false;
	q->fn(q->arg, &got);
	json_decref(got.object);
}

static void fetch_start(struct fetch *f, const struct docker_version *version)
{
	const struct endpoint_address *to = f->queue->address;
	struct http_spec spec;

	if (f->kind == FETCH_CONTAINER)
		spec = endpoint_spec(to, "/v%s/containers/%s/json", version->api, f->id);
	else if (version->podman) /* its Docker form keeps the bridge's name to itself */
		spec = endpoint_spec(to, "/v4.0.0/libpod/networks/%s/json", f->id);
	else
		spec = endpoint_spec(to, "/v%s/networks/%s", version->api, f->id);
	spec.max_bytes = FETCH_BYTES;
	spec.timeout_ms = FETCH_TIMEOUT_MS;
	f->request = http_start(f->queue->http, &spec, on_answer, f);
	endpoint_spec_done(&spec);
}

size_t fetches_run(struct fetches *q, const struct docker_version *version)
{
	size_t in_flight = 0, fresh = 0;
	int64_t now_us = mono_now().us, soonest_us = INT64_MAX;

	for (struct fetch *f = q->all; f; f = f->next)
		in_flight += f->request != NULL;
	for (struct fetch *f = q->all; f; f = f->next) {
		if (!f->request && f->not_before_us <= now_us && in_flight < FETCH_PARALLEL) {
			fetch_start(f, version);
			in_flight++;
		}
		if (!f->request && f->not_before_us > now_us && f->not_before_us < soonest_us)
			soonest_us = f->not_before_us;
		fresh += f->failures == 0;
	}
	if (soonest_us != INT64_MAX)
		timer_start(q->retry, soonest_us - now_us);
	else
		timer_stop(q->retry);
	return fresh;
}
