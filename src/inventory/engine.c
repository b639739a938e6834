/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine that follows one Docker Engine; its picture is in engine.h.
 */
#include <libgen.h>
#include <strings.h>

#include "base/log.h"
#include "inventory/engine.h"
#include "inventory/fetch.h"
#include "io/file.h"

#define BACKOFF_MIN_US	 (100 * USEC_PER_MSEC)
#define BACKOFF_MAX_US	 (5 * USEC_PER_SEC)
#define STEADY_US	 (5 * USEC_PER_SEC) /* ready for so long: the next loss starts at the shortest back-off */
#define VERSION_MS	 10000		    /* an engine that starts has its socket long before it answers */
#define OPEN_US		 (2 * USEC_PER_SEC) /* some engines send the headers of /events with the first event only */
#define LIST_MS		 30000
#define FETCH_MS	 5000
#define FETCH_PARALLEL	 4
#define RELIST_US	 (1 * USEC_PER_SEC)
#define PODMAN_RELIST_US (30 * USEC_PER_SEC) /* it tells nothing about networks that come and go */
#define LIST_BYTES	 (32u << 20)
#define OBJECT_BYTES	 (4u << 20)
/* kept of one engine, on stacks or not */
#define MAX_NETWORKS   ((size_t)LIMIT_STACKS * 4)
#define MAX_CONTAINERS ((size_t)LIMIT_CONTAINERS * 2)
#define EVENT_BYTES    (1u << 20)

/*
 * type: container and network; event: what docker_event_parse() knows, so that health checks' execs do not wake us.
 * With health_status among them engines compare beginnings: its action goes on with the result.
 */
static const char event_filters[] =
	"%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%2C%22event%22%3A%5B%22start%22%2C%22rename%22%2C%22"
	"die%22%2C%22died%22%2C%22destroy%22%2C%22remove%22%2C%22create%22%2C%22update%22%2C%22connect%22%2C%22"
	"disconnect%22%2C%22health_status%22%2C%22pause%22%2C%22unpause%22%5D%7D";

enum phase { PHASE_WAITING, PHASE_VERSION, PHASE_SUBSCRIBING, PHASE_LISTING, PHASE_INSPECTING, PHASE_READY };

struct engine {
	uv_loop_t *loop;
	struct http *http;
	loop_fn *changed;
	void *arg;
	struct endpoint_address address;
	struct config_network *config_networks;
	size_t n_config_networks;
	struct nic_requests config_attach;

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
	struct fetches *fetches;
	struct timer *timer; /* of the phase */
	struct timer *relist;
	struct dirwatch *socket_watch; /* while waiting */
};

static void engine_list(struct engine *e);
static void engine_step(struct engine *e);

static void engine_tell(struct engine *e)
{
	e->changed(e->arg);
}

static struct model_config engine_config(const struct engine *e)
{
	return (struct model_config){
		.networks = e->config_networks, .n_networks = e->n_config_networks, .attach = &e->config_attach};
}

/* During a listing what comes belongs to the new set. */
static struct docker_set *engine_set(struct engine *e)
{
	return e->phase == PHASE_INSPECTING ? &e->next : &e->now;
}

static void engine_cancel(struct engine *e)
{
	http_cancel(e->request);
	http_cancel(e->stream);
	http_cancel(e->networks_request);
	http_cancel(e->containers_request);
	e->request = e->stream = e->networks_request = e->containers_request = NULL;
	fetches_clear(e->fetches);
	json_decref(e->listed_networks);
	json_decref(e->listed_containers);
	e->listed_networks = e->listed_containers = NULL;
	docker_set_done(&e->next);
	timer_stop(e->timer);
	timer_stop(e->relist);
	e->list_again = false;
}

/* ---- waiting ---- */

static void on_socket_dir(void *arg, const char *name)
{
	struct engine *e = arg;
	const char *slash = strrchr(e->address.unix_socket, '/');

	if (e->phase != PHASE_WAITING || (name && !str_eq(name, slash ? slash + 1 : e->address.unix_socket)) ||
	    access(e->address.unix_socket, F_OK) < 0)
		return;
	/* the socket is back: no need to sit the back-off out. It may not listen yet, so begin with the shortest again.
	 */
	e->backoff_us = BACKOFF_MIN_US;
	timer_start(e->timer, 5 * USEC_PER_MSEC);
}

static void socket_watch_start(struct engine *e)
{
	autofree char *path = e->address.unix_socket ? xstrdup(e->address.unix_socket) : NULL;

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
		log_warning("engine lost, its stacks stay as they are", kv_str("endpoint", e->address.text),
			    kv_str("why", err->text));
	else if (!same)
		log_warning("engine cannot be reached, trying again", kv_str("endpoint", e->address.text),
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

/* ---- single objects ---- */

static void engine_relist_soon(struct engine *e)
{
	int64_t now_us = mono_now().us;

	if (e->phase != PHASE_READY) {
		e->list_again = true;
		return;
	}
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
			fetches_add(e->fetches, FETCH_NETWORK, a->network_id);
	}
	if (set->n_containers < MAX_CONTAINERS || docker_set_container(set, c->id))
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
	else if (set->n_networks < MAX_NETWORKS || docker_set_network(set, n->id, NULL))
		docker_set_put_network(set, n);
	else
		docker_network_free(n);
}

static void fetch_failed(struct engine *e, const struct fetched *f)
{
	struct docker_container *old;

	if (f->say)
		log_warning("engine does not tell about an object, trying again", kv_str("endpoint", e->address.text),
			    kv_str("id", f->id), kv_str("why", f->err->text));
	/* a listing goes on without it, with what was known before */
	if (e->phase == PHASE_INSPECTING && f->kind == FETCH_CONTAINER && docker_set_container(&e->next, f->id)) {
		old = docker_set_take_container(&e->now, f->id);
		if (old)
			docker_set_put_container(&e->next, old);
	}
}

static void on_fetched(void *arg, const struct fetched *f)
{
	struct engine *e = arg;

	switch (f->outcome) {
	case FETCH_GOT:
		if (f->kind == FETCH_CONTAINER)
			fetched_container(e, f->object);
		else
			fetched_network(e, f->object);
		break;
	case FETCH_GONE:
		if (f->kind == FETCH_CONTAINER)
			docker_set_remove_container(engine_set(e), f->id);
		else
			docker_set_remove_network(engine_set(e), f->id);
		break;
	case FETCH_FAILED:
		fetch_failed(e, f);
		break;
	case FETCH_NOTHING:
		break;
	}
	engine_step(e);
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
		log_info("engine connected", kv_str("endpoint", e->address.text), kv_str("api", e->version.api),
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

/* Go on after anything: start fetches, see whether a listing is complete (what failed does not hold it up), tell. */
static void engine_step(struct engine *e)
{
	size_t fresh;

	if (e->phase != PHASE_READY && e->phase != PHASE_INSPECTING)
		return; /* they wait for the lists */
	fresh = fetches_run(e->fetches, &e->version);
	if (e->phase == PHASE_INSPECTING && fresh == 0)
		inspecting_done(e);
	else if (e->phase == PHASE_READY)
		engine_tell(e);
}

static void on_retry(void *arg)
{
	engine_step(arg);
}

/* ---- events ---- */

static void event_disconnected(struct engine *e, const struct docker_event *ev)
{
	struct docker_container *c = docker_set_container(engine_set(e), ev->container);

	if (c)
		docker_container_detach(c, ev->network);
	if (!fetches_outdate(e->fetches, FETCH_CONTAINER, ev->container) && c)
		fetches_add(e->fetches, FETCH_CONTAINER, ev->container);
}

static void event_apply(struct engine *e, const struct docker_event *ev)
{
	switch (ev->kind) {
	case DOCKER_EVENT_CONTAINER_CHANGED:
	case DOCKER_EVENT_CONNECTED:
		fetches_add(e->fetches, FETCH_CONTAINER, ev->container);
		break;
	case DOCKER_EVENT_CONTAINER_STOPPED:
	case DOCKER_EVENT_CONTAINER_REMOVED:
		docker_set_remove_container(engine_set(e), ev->container);
		fetches_forget(e->fetches, FETCH_CONTAINER, ev->container);
		break;
	case DOCKER_EVENT_NETWORK_CHANGED:
		fetches_add(e->fetches, FETCH_NETWORK, ev->network);
		break;
	case DOCKER_EVENT_NETWORK_REMOVED:
		docker_set_remove_network(engine_set(e), ev->network);
		fetches_forget(e->fetches, FETCH_NETWORK, ev->network);
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
	engine_step(e);
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
		log_debug("event not understood", kv_str("endpoint", e->address.text), kv_str("why", err.text));
		engine_relist_soon(e);
		return;
	}
	log_debug("event", kv_str("endpoint", e->address.text), kv_int("kind", ev.kind),
		  kv_str("container", ev.container), kv_str("network", ev.network),
		  kv_int("age_us", wall_now().ms * 1000 - ev.time_ns / 1000));
	if (ev.time_ns > e->last_event_ns)
		e->last_event_ns = ev.time_ns;
	/*
	 * Before the lists have come there is nothing to apply it to. They were asked for after it happened, or it is
	 * fetched after them: an event while listing may be newer than the answer that is on its way.
	 */
	if (e->phase == PHASE_LISTING || e->phase == PHASE_SUBSCRIBING) {
		if (ev.container[0])
			fetches_add(e->fetches, FETCH_CONTAINER, ev.container);
		if (ev.network[0] && ev.kind != DOCKER_EVENT_CONNECTED && ev.kind != DOCKER_EVENT_DISCONNECTED)
			fetches_add(e->fetches, FETCH_NETWORK, ev.network);
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
	spec = endpoint_spec(&e->address, "/v%s/events?since=%lld.%09lld&filters=%s", e->version.api,
			     (long long)(since_ns / 1000000000), (long long)(since_ns % 1000000000), event_filters);
	spec.max_bytes = EVENT_BYTES;
	e->phase = PHASE_SUBSCRIBING;
	e->stream = http_stream(e->http, &spec, on_stream_open, on_event, on_stream_end, e);
	timer_start(e->timer, OPEN_US);
	endpoint_spec_done(&spec);
}

/* ---- lists ---- */

static void list_networks_in(struct engine *e)
{
	size_t i;
	json_t *o;

	json_array_foreach(e->listed_networks, i, o)
	{
		struct docker_network *n = i < MAX_NETWORKS ? docker_network_parse(o, NULL) : NULL;

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
		struct docker_container *c = i < MAX_CONTAINERS ? docker_container_parse(o, NULL) : NULL;

		if (!c)
			continue;
		if (!c->running) {
			docker_container_free(c);
			continue;
		}
		if (model_container_matters(c, &e->next, &config))
			fetches_add(e->fetches, FETCH_CONTAINER, c->id);
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
	alloc_trim(); /* a list of 5 MB takes 40 MB to parse */
	e->phase = PHASE_INSPECTING;
	fetches_hurry(e->fetches); /* left from before: another chance within this listing */
	engine_step(e);
}

static void on_list(struct engine *e, const char *what, json_t **to, int code, int status, const struct buf *body,
		    const struct err *http_err)
{
	struct err err = {0};
	json_t *o = endpoint_answer(code, status, body, http_err, &err);

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
	struct http_spec networks = e->version.podman ? endpoint_spec(&e->address, "/v4.0.0/libpod/networks/json")
						      : endpoint_spec(&e->address, "/v%s/networks", e->version.api);
	struct http_spec containers = endpoint_spec(&e->address, "/v%s/containers/json", e->version.api);

	e->phase = PHASE_LISTING;
	e->list_again = false;
	timer_stop(e->timer);
	timer_stop(e->relist);
	networks.max_bytes = containers.max_bytes = LIST_BYTES;
	networks.timeout_ms = containers.timeout_ms = LIST_MS;
	e->networks_request = http_start(e->http, &networks, on_networks, e);
	e->containers_request = http_start(e->http, &containers, on_containers, e);
	endpoint_spec_done(&networks);
	endpoint_spec_done(&containers);
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
	json_t *o = endpoint_answer(code, status, body, http_err, &err);
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
	struct http_spec spec = endpoint_spec(&e->address, "/version");

	dirwatch_free(e->socket_watch);
	e->socket_watch = NULL;
	e->phase = PHASE_VERSION;
	spec.max_bytes = OBJECT_BYTES;
	spec.timeout_ms = VERSION_MS;
	e->request = http_start(e->http, &spec, on_version, e);
	endpoint_spec_done(&spec);
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

static void config_copy(struct engine *e, const struct model_config *config)
{
	free(e->config_networks);
	e->n_config_networks = config->n_networks;
	e->config_networks = xcalloc(config->n_networks + 1, sizeof(*e->config_networks));
	if (config->n_networks)
		memcpy(e->config_networks, config->networks, config->n_networks * sizeof(*e->config_networks));
	nic_requests_done(&e->config_attach);
	if (config->attach)
		nic_requests_copy(config->attach, &e->config_attach);
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
	e->backoff_us = BACKOFF_MIN_US;
	rc = endpoint_address_parse(endpoint, &e->address, err);
	if (rc < 0) {
		free(e);
		return rc;
	}
	config_copy(e, config);
	e->timer = timer_new(loop, "engine", on_phase_timer, e);
	e->fetches = fetches_new(loop, http, &e->address, on_fetched, on_retry, e);
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
	fetches_free(e->fetches);
	dirwatch_free(e->socket_watch);
	timer_free(e->timer);
	timer_free(e->relist);
	docker_set_done(&e->now);
	free(e->config_networks);
	nic_requests_done(&e->config_attach);
	endpoint_address_done(&e->address);
	free(e);
}

const char *engine_endpoint(const struct engine *e)
{
	return e->address.text;
}

static bool config_same(const struct engine *e, const struct model_config *config)
{
	static const struct nic_requests none;

	if (e->n_config_networks != config->n_networks ||
	    !nic_requests_same(&e->config_attach, config->attach ? config->attach : &none))
		return false;
	for (size_t i = 0; i < config->n_networks; i++) {
		const struct config_network *a = &e->config_networks[i], *b = &config->networks[i];

		if (!str_eq(a->name, b->name) || !str_eq(a->stack, b->stack) || a->vni != b->vni ||
		    a->has_multicast != b->has_multicast || !multicast_label_same(&a->multicast, &b->multicast))
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
		.endpoint = e->address.text,
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
