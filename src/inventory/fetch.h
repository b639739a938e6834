/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Single objects of an engine, asked for as events name them
 *
 * A queue with one place per object. Asking for what is queued already costs nothing; asking for what is in flight asks
 * once more after the answer, because the answer may be from before. At most FETCH_PARALLEL are in flight, and one that
 * fails is tried again after 1, 2, 4, ... 30 s: an engine with one container that hangs answers everything else.
 */
#ifndef INVENTORY_FETCH_H
#define INVENTORY_FETCH_H

#include "inventory/docker.h"
#include "inventory/endpoint.h"
#include "io/loop.h"

#define FETCH_PARALLEL	 4
#define FETCH_TIMEOUT_MS 3000

enum fetch_kind { FETCH_CONTAINER, FETCH_NETWORK };

enum fetch_outcome {
	FETCH_GOT,
	FETCH_GONE,    /* the engine does not know it */
	FETCH_FAILED,  /* will be tried again */
	FETCH_NOTHING, /* an answer that was no longer wanted */
};

struct fetched {
	enum fetch_kind kind;
	enum fetch_outcome outcome;
	char id[LIMIT_ID];
	json_t *object;	       /* FETCH_GOT; borrowed */
	const struct err *err; /* FETCH_FAILED */
	bool say;	       /* FETCH_FAILED: tell a person. Once may be a container that starts slowly */
};

typedef void fetch_fn(void *arg, const struct fetched *f);

struct fetches;

/** fetches_new() - @http and @address are borrowed; @fn is called from the loop, @retry when fetches_run() is due again
 */
struct fetches *fetches_new(uv_loop_t *loop, struct http *http, const struct endpoint_address *address, fetch_fn *fn,
			    loop_fn *retry, void *arg);
void fetches_free(struct fetches *q);

void fetches_add(struct fetches *q, enum fetch_kind kind, const char *id);
/** fetches_forget() - It is gone: an answer under way says nothing any more */
void fetches_forget(struct fetches *q, enum fetch_kind kind, const char *id);
/** fetches_outdate() - An answer under way may be older than what we know: throw it away, ask again. false: none is */
bool fetches_outdate(struct fetches *q, enum fetch_kind kind, const char *id);
void fetches_clear(struct fetches *q);
/** fetches_hurry() - Forget about failures: everything that waits may start at once */
void fetches_hurry(struct fetches *q);

/** fetches_run() - Start what may start, in this dialect. Return: how many are open that have not failed yet */
size_t fetches_run(struct fetches *q, const struct docker_version *version);

#endif
