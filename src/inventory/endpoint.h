/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an engine listens, requests to it, and its answers as JSON.
 */
#ifndef INVENTORY_ENDPOINT_H
#define INVENTORY_ENDPOINT_H

#include <jansson.h>

#include "io/http.h"

struct endpoint_address {
	char *text;	   /* as it was given */
	char *unix_socket; /* or NULL */
	char *base_url;
};

/** endpoint_address_parse() - unix:///path, tcp://host:port or http://host:port. 0 or -EINVAL */
int endpoint_address_parse(const char *text, struct endpoint_address *ret, struct err *err) MUST_USE;
void endpoint_address_done(struct endpoint_address *a);

/** endpoint_spec() - A GET of a path; freed by endpoint_spec_done(); borrows the socket's path from @a */
struct http_spec endpoint_spec(const struct endpoint_address *a, const char *fmt, ...) PRINTF(2, 3);
void endpoint_spec_done(struct http_spec *spec);

/**
 * endpoint_answer() - The JSON of a http_done_fn's arguments
 * Return: new reference, or NULL and @err: the request failed, its status is not 200, or what came is no JSON
 */
json_t *endpoint_answer(int code, int status, const struct buf *body, const struct err *http_err, struct err *err);

#endif
