/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine that follows one Docker Engine; its picture is in engine.h.
 */
#include <libgen.h>
#include <strings.h>

#include "base/log.h"
#include "inventory/engine.h"
#include "io/file.h"

#define BACKOFF_MIN_US	   (100 * USEC_PER_MSEC)
#define BACKOFF_MAX_US	   (5 * USEC_PER_SEC)
#define STEADY_US	   (5 * USEC_PER_SEC) /* ready for so long: the next loss starts at the shortest back-off */
#define VERSION_MS	   10000	      /* an engine that starts has its socket long before it answers */
#define OPEN_US		   (2 * USEC_PER_SEC) /* some engines send the headers of /events with the first event only */
#define LIST_MS		   30000
#define FETCH_MS	   5000
#define FETCH_PARALLEL	   4
#define FETCH_RETRY_MAX_US (30 * USEC_PER_SEC)
#define RELIST_US	   (1 * USEC_PER_SEC)
#define PODMAN_RELIST_US   (30 * USEC_PER_SEC) /* it tells nothing about networks that come and go */
#define LIST_BYTES	   (32u << 20)
#define OBJECT_BYTES	   (4u << 20)
#define EVENT_BYTES	   (1u << 20)

/* type: container and network; event: what docker_event_parse() knows, so that health checks' execs do not wake us */
static const char event_filters[] =
	"%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%2C%22event%22%3A%5B%22start%22%2C%22rename%22%2C%22"
	"die%22%2C%22died%22%2C%22destroy%22%2C%22remove%22%2C%22create%22%2C%22update%22%2C%22connect%22%2C%22"
	"disconnect%22%5D%7D";

enum phase { PHASE_WAITING, PHASE_VERSION, PHASE_SUBSCRIBING, PHASE_LISTING, PHASE_INSPECTING, PHASE_READY };

enum fetch_kind { FETCH_CONTAINER, FETCH_NETWORK };

/** struct fetch - One object to ask for */
struct fetch {
	struct fetch *next;
	struct engine *engine;
	enum fetch_kind kind;
	char id[LIMIT_ID];
	struct http_request *request; /* in flight, or NULL */
	bool again;		      /* something happened meanwhile: ask once more after the answer */
	bool stale;		      /* what comes may be older than what we know: throw it away */
	unsigned failures;
	int64_t not_before_us; /* after a failure */
};

struct engine {
	uv_loop_t *loop;
	struct http *http;
	loop_fn *changed;
	void *arg;
	char *endpoint, *unix_socket, *base_url;
	struct config_network *config_networks;
	size_t n_config_networks;

	enum phase phase;
	enum engine_state state;
	bool settled, list_again;
	int64_t backoff_us, ready_since_us, relist_at_us;
	int64_t last_event_ns; /* the engine's clock */
	struct docker_version version;
	struct err error;

	struct docker_set now;	/* what is told */
	struct docker_set next; /* what is being listed */
	json_t *listed_networks, *listed_containers;

	struct http_request *request, *stream, *networks_request, *containers_request;
	struct fetch *fetches;
	struct timer *timer; /* of the phase */
	struct timer *retry; /* of the fetches */
	struct timer *relist;
	struct dirwatch *socket_watch; /* while waiting */
};

static void engine_start(struct engine *e);
static void engine_list(struct engine *e);
static void fetch_run(struct engine *e);

static void engine_tell(struct engine *e)
{
	e->changed(e->arg);
}

static struct model_config engine_config(const struct engine *e)
{
	return (struct model_config){.networks = e->config_networks, .n_networks = e->n_config_networks};
}

/* During a listing what comes belongs to the new set. */
static struct docker_set *engine_set(struct engine *e)
{
	return e->phase == PHASE_INSPECTING ? &e->next : &e->now;
}

/* ---- requests ---- */

PRINTF(2, 3) static struct http_spec spec_make(const struct engine *e, const char *fmt, ...)
{
	struct http_spec spec = {.unix_socket = e->unix_socket};
	autobuf struct buf url = {0};
	char path[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	buf_printf(&url, "%s%s", e->base_url, path);
	spec.url = steal_ptr(url.data);
	return spec;
}

static void spec_done(struct http_spec *spec)
{
	free((char *)spec->url);
	spec->url = NULL;
}

/* What went wrong with a request that should have brought JSON. Return: the JSON, or NULL and @err */
static json_t *answer_json(int code, int status, const struct buf *body, const struct err *http_err, struct err *err)
{
	autobuf struct buf words = {0};

	if (code < 0) {
		*err = *http_err;
		return NULL;
	}
	if (status != 200) {
		str_safe(&words, body->data);
		err_set(err, -EPROTO, "HTTP status %d: %s", status, words.data ? words.data : "");
		return NULL;
	}
	return docker_json(body->data, body->len, err);
}

static void engine_cancel(struct engine *e)
{
	struct fetch *f;

	http_cancel(e->request);
	http_cancel(e->stream);
	http_cancel(e->networks_request);
	http_cancel(e->containers_request);
	e->request = e->stream = e->networks_request = e->containers_request = NULL;
	while ((f = e->fetches)) {
		e->fetches = f->next;
		http_cancel(f->request);
		free(f);
	}
	json_decref(e->listed_networks);
	json_decref(e->listed_containers);
	e->listed_networks = e->listed_containers = NULL;
	docker_set_done(&e->next);
	timer_stop(e->timer);
	timer_stop(e->retry);
	timer_stop(e->relist);
	e->list_again = false;
}

/* ---- waiting ---- */

static void on_socket_dir(void *arg, const char *name)
{
	struct engine *e = arg;
	const char *slash = strrchr(e->unix_socket, '/');

	if (e->phase != PHASE_WAITING || (name && !str_eq(name, slash ? slash + 1 : e->unix_socket)) ||
	    access(e->unix_socket, F_OK) < 0)
		return;
	/* the socket is back: no need to sit the back-off out. It may not listen yet, so begin with the shortest again.
	 */
	e->backoff_us = BACKOFF_MIN_US;
	timer_start(e->timer, 5 * USEC_PER_MSEC);
}

static void socket_watch_start(struct engine *e)
{
	autofree char *path = e->unix_socket ? xstrdup(e->unix_socket) : NULL;

	/* the directory may be missing too: then the back-off has to do */
	if (path && !e->socket_watch &&
	    dirwatch_new(e->loop, dirname(path), on_socket_dir, e, &e->socket_watch, NULL) < 0)
		e->socket_watch = NULL;
}

static void engine_wait(struct engine *e)
{
	e->phase = PHASE_WAITING;
	socket_watch_start(e);
	timer_start(e->timer, e->backoff_us);
	e->backoff_us = e->backoff_us * 2 > BACKOFF_MAX_US ? BACKOFF_MAX_US : e->backoff_us * 2;
}

static void engine_fail(struct engine *e, const struct err *err)
{
	bool had = e->state == ENGINE_CONNECTED, same = str_eq(e->error.text, err->text);

	if (had && mono_now().us - e->ready_since_us > STEADY_US)
		e->backoff_us = BACKOFF_MIN_US;
	if (had)
		log_warning("engine lost, its stacks stay as they are", kv_str("endpoint", e->endpoint),
			    kv_str("why", err->text));
	else if (!same)
		log_warning("engine cannot be reached, trying again", kv_str("endpoint", e->endpoint),
			    kv_str("why", err->text));
	engine_cancel(e);
	if (had)
		e->state = ENGINE_LOST;
	e->settled = true;
	engine_wait(e);
	if (had || !same) {
		e->error = *err;
		engine_tell(e);
	}
}

/* ---- fetches: one object each ---- */

static struct fetch *fetch_find(const struct engine *e, enum fetch_kind kind, const char *id)
{
	for (struct fetch *f = e->fetches; f; f = f->next) {
		if (f->kind == kind && str_eq(f->id, id))
			return f;
	}
	return NULL;
}

static void fetch_add(struct engine *e, enum fetch_kind kind, const char *id)
{
	struct fetch *f = fetch_find(e, kind, id), **at = &e->fetches;

	if (f) {
		f->again = f->request != NULL;
		f->not_before_us = 0;
		return;
	}
	f = xcalloc(1, sizeof(*f));
	f->engine = e;
	f->kind = kind;
	str_copy(f->id, id);
	while (*at)
		at = &(*at)->next;
	*at = f;
}

static void fetch_free(struct fetch *f)
{
	struct fetch **at = &f->engine->fetches;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	http_cancel(f->request);
	free(f);
}

/* The object is gone: what is under way about it says nothing any more. */
static void fetch_forget(struct engine *e, enum fetch_kind kind, const char *id)
{
	struct fetch *f = fetch_find(e, kind, id);

	if (!f)
		return;
	if (!f->request) {
		fetch_free(f);
		return;
	}
	f->again = false;
	f->stale = true; /* let it come, so that the connection stays usable */
}

static void engine_relist_soon(struct engine *e)
{
	int64_t now_us = mono_now().us;

	if (e->phase != PHASE_READY) {
		e->list_again = true;
		return;
	}
	if (!timer_is_set(e->relist))
		timer_start(e->relist, now_us >= e->relist_at_us ? 0 : e->relist_at_us - now_us);
}

static void fetched_container(struct engine *e, json_t *o)
{
	struct docker_set *set = engine_set(e);
	struct docker_container *c = docker_container_parse(o, NULL);

	if (!c) {
		engine_relist_soon(e);
		return;
	}
	if (!c->running) {
		docker_set_remove_container(set, c->id);
		docker_container_free(c);
		return;
	}
	for (size_t i = 0; i < c->n_attachments; i++) {
		const struct docker_attachment *a = &c->attachments[i];

		if (!docker_set_network(set, a->network_id, a->network_name))
			fetch_add(e, FETCH_NETWORK, a->network_id);
	}
	if (set->n_containers < LIMIT_CONTAINERS * 2 || docker_set_container(set, c->id))
		docker_set_put_container(set, c);
	else
		docker_container_free(c);
}

static void fetched_network(struct engine *e, json_t *o)
{
	struct docker_set *set = engine_set(e);
	struct docker_network *n = docker_network_parse(o, NULL);

	if (!n)
		engine_relist_soon(e);
	else if (set->n_networks < LIMIT_STACKS * 4 || docker_set_network(set, n->id, NULL))
		docker_set_put_network(set, n);
	else
		docker_network_free(n);
}

static void fetch_failed(struct fetch *f, const struct err *err)
{
	struct engine *e = f->engine;
	int64_t wait_us = USEC_PER_SEC << (f->failures < 5 ? f->failures : 5);
	struct docker_container *old;

	if (f->failures == 0)
		log_warning("engine does not tell about an object, trying again", kv_str("endpoint", e->endpoint),
			    kv_str("id", f->id), kv_str("why", err->text));
	f->failures++;
	f->not_before_us = mono_now().us + (wait_us < FETCH_RETRY_MAX_US ? wait_us : FETCH_RETRY_MAX_US);
	/* the listing goes on without it, with what was known before */
	if (e->phase == PHASE_INSPECTING && f->kind == FETCH_CONTAINER && docker_set_container(&e->next, f->id)) {
		old = docker_set_take_container(&e->now, f->id);
		if (old)
			docker_set_put_container(&e->next, old);
	}
}

static void on_fetched(void *arg, int code, int status, const struct buf *body, const struct err *http_err)
{
	struct fetch *f = arg;
	struct engine *e = f->engine;
	bool again = f->again, done = true;
	struct err err = {0};
	json_t *o = NULL;

	f->request = NULL;
	f->again = false;
	if (!f->stale) {
		if (code == 0 && status == 404) {
			if (f->kind == FETCH_CONTAINER)
				docker_set_remove_container(engine_set(e), f->id);
			else
				docker_set_remove_network(engine_set(e), f->id);
		} else if (!(o = answer_json(code, status, body, http_err, &err))) {
			fetch_failed(f, &err);
			done = false;
		} else if (f->kind == FETCH_CONTAINER) {
			fetched_container(e, o);
		} else {
			fetched_network(e, o);
		}
		json_decref(o);
	}
	f->stale = false;
	if (again)
		f->not_before_us = 0;
	else if (done)
		fetch_free(f);
	fetch_run(e);
	if (e->phase == PHASE_READY)
		engine_tell(e);
}

static void fetch_start(struct fetch *f)
{
	const struct engine *e = f->engine;
	struct http_spec spec;

	if (f->kind == FETCH_CONTAINER)
		spec = spec_make(e, "/v%s/containers/%s/json", e->version.api, f->id);
	else if (e->version.podman)
		spec = spec_make(e, "/v4.0.0/libpod/networks/%s/json", f->id);
	else
		spec = spec_make(e, "/v%s/networks/%s", e->version.api, f->id);
	spec.max_bytes = OBJECT_BYTES;
	spec.timeout_ms = FETCH_MS;
	f->request = http_start(e->http, &spec, on_fetched, f);
	spec_done(&spec);
}

static void inspecting_done(struct engine *e)
{
	docker_set_done(&e->now);
	e->now = e->next;
	e->next = (struct docker_set){0};
	e->phase = PHASE_READY;
	e->relist_at_us = mono_now().us + RELIST_US;
	if (e->state != ENGINE_CONNECTED) {
		e->state = ENGINE_CONNECTED;
		e->ready_since_us = mono_now().us;
		log_info("engine connected", kv_str("endpoint", e->endpoint), kv_str("api", e->version.api),
			 kv_str("engine", e->version.engine), kv_int("networks", (int64_t)e->now.n_networks),
			 kv_int("containers", (int64_t)e->now.n_containers));
	}
	e->error = (struct err){0};
	e->settled = true;
	if (e->list_again) {
		e->list_again = false;
		engine_relist_soon(e);
	} else if (e->version.podman) {
		timer_start(e->relist, PODMAN_RELIST_US);
	}
	engine_tell(e);
}

/* Start what may start, and see whether a listing is complete: what failed once no longer holds it up. */
static void fetch_run(struct engine *e)
{
	size_t in_flight = 0, fresh = 0;
	int64_t now_us = mono_now().us, soonest_us = INT64_MAX;

	if (e->phase != PHASE_READY && e->phase != PHASE_INSPECTING)
		return;
	for (struct fetch *f = e->fetches; f; f = f->next)
		in_flight += f->request != NULL;
	for (struct fetch *f = e->fetches; f; f = f->next) {
		if (!f->request && f->not_before_us <= now_us && in_flight < FETCH_PARALLEL) {
			fetch_start(f);
			in_flight++;
		}
		if (!f->request && f->not_before_us > now_us && f->not_before_us < soonest_us)
			soonest_us = f->not_before_us;
		if (f->failures == 0)
			fresh++;
	}
	if (soonest_us != INT64_MAX)
		timer_start(e->retry, soonest_us - now_us);
	else
		timer_stop(e->retry);
	if (e->phase == PHASE_INSPECTING && fresh == 0)
		inspecting_done(e);
}

static void on_retry(void *arg)
{
	fetch_run(arg);
}

/* ---- events ---- */

static void event_disconnected(struct engine *e, const struct docker_event *ev)
{
	struct docker_container *c = docker_set_container(engine_set(e), ev->container);
	struct fetch *f = fetch_find(e, FETCH_CONTAINER, ev->container);

	if (c) {
		for (size_t i = 0; i < c->n_attachments; i++) {
			if (str_eq(c->attachments[i].network_id, ev->network)) {
				c->attachments[i] = c->attachments[--c->n_attachments];
				break;
			}
		}
	}
	if (f && f->request)
		f->stale = f->again = true;
	else if (c)
		fetch_add(e, FETCH_CONTAINER, ev->container);
}

static void event_apply(struct engine *e, const struct docker_event *ev)
{
	switch (ev->kind) {
	case DOCKER_EVENT_CONTAINER_CHANGED:
	case DOCKER_EVENT_CONNECTED:
		fetch_add(e, FETCH_CONTAINER, ev->container);
		break;
	case DOCKER_EVENT_CONTAINER_STOPPED:
	case DOCKER_EVENT_CONTAINER_REMOVED:
		docker_set_remove_container(engine_set(e), ev->container);
		fetch_forget(e, FETCH_CONTAINER, ev->container);
		break;
	case DOCKER_EVENT_NETWORK_CHANGED:
		fetch_add(e, FETCH_NETWORK, ev->network);
		break;
	case DOCKER_EVENT_NETWORK_REMOVED:
		docker_set_remove_network(engine_set(e), ev->network);
		fetch_forget(e, FETCH_NETWORK, ev->network);
		break;
	case DOCKER_EVENT_DISCONNECTED:
		event_disconnected(e, ev);
		break;
	case DOCKER_EVENT_UNCLEAR:
		engine_relist_soon(e);
		break;
	case DOCKER_EVENT_OTHER:
	case DOCKER_EVENT_KIND_N_:
		return;
	}
	fetch_run(e);
	if (e->phase == PHASE_READY)
		engine_tell(e);
}

static void on_event(void *arg, char *line, size_t len)
{
	struct engine *e = arg;
	struct docker_event ev;
	struct err err = {0};
	json_t *o = docker_json(line, len, &err);
	int rc = o ? docker_event_parse(o, &ev, &err) : -EINVAL;

	json_decref(o);
	if (rc < 0) {
		log_debug("event not understood", kv_str("endpoint", e->endpoint), kv_str("why", err.text));
		engine_relist_soon(e);
		return;
	}
	if (ev.time_ns > e->last_event_ns)
		e->last_event_ns = ev.time_ns;
	/*
	 * Before the lists have come there is nothing to apply it to. They were asked for after it happened, or it is
	 * fetched after them: an event while listing may be newer than the answer that is on its way.
	 */
	if (e->phase == PHASE_LISTING || e->phase == PHASE_SUBSCRIBING) {
		if (ev.container[0])
			fetch_add(e, FETCH_CONTAINER, ev.container);
		if (ev.network[0] && ev.kind != DOCKER_EVENT_CONNECTED && ev.kind != DOCKER_EVENT_DISCONNECTED)
			fetch_add(e, FETCH_NETWORK, ev.network);
		return;
	}
	event_apply(e, &ev);
}

static void on_stream_end(void *arg, int code, int status, const struct buf *body, const struct err *http_err)
{
	struct engine *e = arg;
	autobuf struct buf words = {0};
	struct err err = *http_err;

	e->stream = NULL;
	if (code == 0 && status >= 200 && status < 300) {
		err_set(&err, -ECONNRESET, "the event stream has ended");
	} else if (code == 0) {
		str_safe(&words, body->data);
		err_set(&err, -EPROTO, "events: HTTP status %d: %s", status, words.data ? words.data : "");
	}
	engine_fail(e, &err);
}

static void on_stream_open(void *arg)
{
	struct engine *e = arg;

	if (e->phase == PHASE_SUBSCRIBING)
		engine_list(e);
}

static void engine_subscribe(struct engine *e)
{
	int64_t now_ns = wall_now().ms * INT64_C(1000000), since_ns = e->last_event_ns;
	struct http_spec spec;

	/* a clock that was set back must not make us wait for its future */
	if (since_ns == 0 || since_ns > now_ns)
		since_ns = now_ns - INT64_C(1000000000);
	spec = spec_make(e, "/v%s/events?since=%lld.%09lld&filters=%s", e->version.api,
			 (long long)(since_ns / 1000000000), (long long)(since_ns % 1000000000), event_filters);
	spec.max_bytes = EVENT_BYTES;
	e->phase = PHASE_SUBSCRIBING;
	e->stream = http_stream(e->http, &spec, on_stream_open, on_event, on_stream_end, e);
	timer_start(e->timer, OPEN_US);
	spec_done(&spec);
}

/* ---- lists ---- */

static void list_networks_in(struct engine *e)
{
	size_t i;
	json_t *o;

	json_array_foreach(e->listed_networks, i, o)
	{
		struct docker_network *n = i < LIMIT_STACKS * 4 ? docker_network_parse(o, NULL) : NULL;

		if (n)
			docker_set_put_network(&e->next, n);
	}
}

static void list_containers_in(struct engine *e)
{
	struct model_config config = engine_config(e);
	size_t i;
	json_t *o;

	json_array_foreach(e->listed_containers, i, o)
	{
		struct docker_container *c = i < LIMIT_CONTAINERS * 2 ? docker_container_parse(o, NULL) : NULL;

		if (!c)
			continue;
		if (!c->running) {
			docker_container_free(c);
			continue;
		}
		if (model_container_matters(c, &e->next, &config))
			fetch_add(e, FETCH_CONTAINER, c->id);
		docker_set_put_container(&e->next, c);
	}
}

static void lists_complete(struct engine *e)
{
	docker_set_done(&e->next);
	list_networks_in(e);
	list_containers_in(e);
	json_decref(e->listed_networks);
	json_decref(e->listed_containers);
	e->listed_networks = e->listed_containers = NULL;
	e->phase = PHASE_INSPECTING;
	for (struct fetch *f = e->fetches; f; f = f->next)
		f->failures = 0, f->not_before_us = 0; /* left from before: another chance within this listing */
	fetch_run(e);
}

static void on_list(struct engine *e, const char *what, json_t **to, int code, int status, const struct buf *body,
		    const struct err *http_err)
{
	struct err err = {0};
	json_t *o = answer_json(code, status, body, http_err, &err);

	if (o && !json_is_array(o)) {
		json_decref(o);
		o = NULL;
		err_set(&err, -EPROTO, "no array");
	}
	if (!o) {
		err_wrap(&err, "list of %s", what);
		engine_fail(e, &err);
		return;
	}
	*to = o;
	if (e->listed_networks && e->listed_containers)
		lists_complete(e);
}

static void on_networks(void *arg, int code, int status, const struct buf *body, const struct err *err)
{
	struct engine *e = arg;

	e->networks_request = NULL;
	on_list(e, "networks", &e->listed_networks, code, status, body, err);
}

static void on_containers(void *arg, int code, int status, const struct buf *body, const struct err *err)
{
	struct engine *e = arg;

	e->containers_request = NULL;
	on_list(e, "containers", &e->listed_containers, code, status, body, err);
}

static void engine_list(struct engine *e)
{
	/* Podman's compatible form keeps the name of the bridge to itself */
	struct http_spec networks = e->version.podman ? spec_make(e, "/v4.0.0/libpod/networks/json")
						      : spec_make(e, "/v%s/networks", e->version.api);
	struct http_spec containers = spec_make(e, "/v%s/containers/json", e->version.api);

	e->phase = PHASE_LISTING;
	e->list_again = false;
	timer_stop(e->timer);
	timer_stop(e->relist);
	networks.max_bytes = containers.max_bytes = LIST_BYTES;
	networks.timeout_ms = containers.timeout_ms = LIST_MS;
	e->networks_request = http_start(e->http, &networks, on_networks, e);
	e->containers_request = http_start(e->http, &containers, on_containers, e);
	spec_done(&networks);
	spec_done(&containers);
}

static void on_relist(void *arg)
{
	struct engine *e = arg;

	if (e->phase == PHASE_READY)
		engine_list(e);
}

/* ---- start ---- */

static void on_version(void *arg, int code, int status, const struct buf *body, const struct err *http_err)
{
	struct engine *e = arg;
	struct err err = {0};
	json_t *o = answer_json(code, status, body, http_err, &err);
	int rc = o ? docker_version_parse(o, &e->version, &err) : -EPROTO;

	e->request = NULL;
	json_decref(o);
	if (rc < 0)
		engine_fail(e, &err);
	else
		engine_subscribe(e);
}

static void engine_start(struct engine *e)
{
	struct http_spec spec = spec_make(e, "/version");

	dirwatch_free(e->socket_watch);
	e->socket_watch = NULL;
	e->phase = PHASE_VERSION;
	spec.max_bytes = OBJECT_BYTES;
	spec.timeout_ms = VERSION_MS;
	e->request = http_start(e->http, &spec, on_version, e);
	spec_done(&spec);
}

static void on_phase_timer(void *arg)
{
	struct engine *e = arg;

	if (e->phase == PHASE_WAITING)
		engine_start(e);
	else if (e->phase == PHASE_SUBSCRIBING)
		engine_list(e); /* no headers yet, but it has taken the request */
}

/* ---- public ---- */

static int endpoint_read(struct engine *e, const char *endpoint, struct err *err)
{
	if (strncmp(endpoint, "unix://", 7) == 0 && endpoint[7] == '/') {
		e->unix_socket = xstrdup(endpoint + 7);
		e->base_url = xstrdup("http://localhost");
		return 0;
	}
	if (strncmp(endpoint, "tcp://", 6) == 0 && endpoint[6])
		e->base_url = xasprintf("http://%s", endpoint + 6);
	else if (strncmp(endpoint, "http://", 7) == 0 && endpoint[7])
		e->base_url = xstrdup(endpoint);
	else
		return err_set(err, -EINVAL, "%s: endpoints are unix:///path or tcp://host:port", endpoint);
	for (size_t len = strlen(e->base_url); len && e->base_url[len - 1] == '/'; len--)
		e->base_url[len - 1] = '\0';
	return 0;
}

static void config_copy(struct engine *e, const struct model_config *config)
{
	free(e->config_networks);
	e->n_config_networks = config->n_networks;
	e->config_networks = xcalloc(config->n_networks + 1, sizeof(*e->config_networks));
	if (config->n_networks)
		memcpy(e->config_networks, config->networks, config->n_networks * sizeof(*e->config_networks));
}

int engine_new(uv_loop_t *loop, struct http *http, const char *endpoint, const struct model_config *config,
	       loop_fn *changed, void *arg, struct engine **ret, struct err *err)
{
	struct engine *e = xcalloc(1, sizeof(*e));
	int rc;

	e->loop = loop;
	e->http = http;
	e->changed = changed;
	e->arg = arg;
	e->endpoint = xstrdup(endpoint);
	e->backoff_us = BACKOFF_MIN_US;
	rc = endpoint_read(e, endpoint, err);
	if (rc < 0) {
		free(e->endpoint);
		free(e);
		return rc;
	}
	config_copy(e, config);
	e->timer = timer_new(loop, "engine", on_phase_timer, e);
	e->retry = timer_new(loop, "engine fetches", on_retry, e);
	e->relist = timer_new(loop, "engine list", on_relist, e);
	e->phase = PHASE_WAITING;
	timer_start(e->timer, 0);
	*ret = e;
	return 0;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	engine_cancel(e);
	dirwatch_free(e->socket_watch);
	timer_free(e->timer);
	timer_free(e->retry);
	timer_free(e->relist);
	docker_set_done(&e->now);
	free(e->config_networks);
	free(e->endpoint);
	free(e->unix_socket);
	free(e->base_url);
	free(e);
}

const char *engine_endpoint(const struct engine *e)
{
	return e->endpoint;
}

static bool config_same(const struct engine *e, const struct model_config *config)
{
	if (e->n_config_networks != config->n_networks)
		return false;
	for (size_t i = 0; i < config->n_networks; i++) {
		const struct config_network *a = &e->config_networks[i], *b = &config->networks[i];

		if (!str_eq(a->name, b->name) || !str_eq(a->stack, b->stack) || a->vni != b->vni)
			return false;
	}
	return true;
}

void engine_configure(struct engine *e, const struct model_config *config)
{
	if (config_same(e, config))
		return;
	config_copy(e, config);
	engine_relist_soon(e); /* containers that did not matter may matter now */
}

void engine_view(const struct engine *e, struct model_source *ret)
{
	*ret = (struct model_source){
		.endpoint = e->endpoint,
		.api = e->version.api,
		.engine = e->version.engine,
		.error = e->error.text,
		.state = e->state,
		.set = &e->now,
	};
}

bool engine_settled(const struct engine *e)
{
	return e->settled;
}
