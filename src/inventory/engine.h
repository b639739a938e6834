/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: One Docker Engine
 *
 *	waiting --timer, or the socket appears--> version --> subscribing --> listing --> inspecting --> ready
 *	   ^                                                                                              |
 *	   +------------------- any request fails, the event stream ends ---------------------------------+
 *
 *	version      GET /version, without a prefix: which API do both speak
 *	subscribing  GET /events, from the time of the last event seen (at first: a second ago), so that nothing which
 *	             happens between the headers of the answer and the engine's own subscription is lost
 *	listing      GET /networks and /containers/json, at the same time
 *	inspecting   GET /containers/ID/json of those that matter; then the new set takes the place of the old
 *	ready        an event makes us fetch what it names, nothing more
 *
 * While an engine is lost, what it had stays (fail static). A new listing is built beside it and replaces it in one
 * step, so that nobody sees half of one. What happens during a listing is fetched after it.
 *
 * What can be known without asking is not asked: a container that died or a network that was destroyed is taken out on
 * the event itself. An answer that was on its way meanwhile is thrown away, since it may be older than the event.
 *
 * Limits: 4 fetches in flight; 3 s for one, after which it is tried again (an engine whose container hangs answers
 * everything else); something that does not fit together leads to a new listing, at most one a second.
 */
#ifndef INVENTORY_ENGINE_H
#define INVENTORY_ENGINE_H

#include "inventory/model.h"
#include "io/http.h"
#include "io/loop.h"

struct engine;

/**
 * engine_new() - Follow one engine; the first step is taken from the loop
 * @http:     borrowed
 * @endpoint: unix:///path, tcp://host:port or http://host:port; copied
 * @config:   which networks the config file names; copied
 * @changed:  called from the loop when engine_view() may have changed
 *
 * Return: -EINVAL with @err when the endpoint is of no known form
 */
int engine_new(uv_loop_t *loop, struct http *http, const char *endpoint, const struct model_config *config,
	       loop_fn *changed, void *arg, struct engine **ret, struct err *err) MUST_USE;
void engine_free(struct engine *e);
const char *engine_endpoint(const struct engine *e);
/** engine_configure() - The config file was read again; lists anew when it says something else */
void engine_configure(struct engine *e, const struct model_config *config);
/** engine_view() - What is known now; borrowed until the loop runs on */
void engine_view(const struct engine *e, struct model_source *ret);
/** engine_settled() - Has it told what it has, or failed to, at least once since it was made? */
bool engine_settled(const struct engine *e);

#endif
