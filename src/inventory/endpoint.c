/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to an engine and its answers; see endpoint.h.
 */
#include "inventory/endpoint.h"
#include "inventory/docker.h"

int endpoint_address_parse(const char *text, struct endpoint_address *ret, struct err *err)
{
	struct endpoint_address a = {0};

	if (strncmp(text, "unix://", 7) == 0 && text[7] == '/') {
		a.unix_socket = xstrdup(text + 7);
		a.base_url = xstrdup("http://localhost");
	} else if (strncmp(text, "tcp://", 6) == 0 && text[6]) {
		a.base_url = xasprintf("http://%s", text + 6);
	} else if (strncmp(text, "http://", 7) == 0 && text[7]) {
		a.base_url = xstrdup(text);
	} else {
		return err_set(err, -EINVAL, "%s: endpoints are unix:///path or tcp://host:port", text);
	}
	for (size_t len = strlen(a.base_url); len && a.base_url[len - 1] == '/'; len--)
		a.base_url[len - 1] = '\0';
	a.text = xstrdup(text);
	*ret = a;
	return 0;
}

void endpoint_address_done(struct endpoint_address *a)
{
	free(a->text);
	free(a->unix_socket);
	free(a->base_url);
	*a = (struct endpoint_address){0};
}

struct http_spec endpoint_spec(const struct endpoint_address *a, const char *fmt, ...)
{
	struct http_spec spec = {.unix_socket = a->unix_socket};
	autobuf struct buf url = {0};
	char path[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	buf_printf(&url, "%s%s", a->base_url, path);
	spec.url = steal_ptr(url.data);
	return spec;
}

void endpoint_spec_done(struct http_spec *spec)
{
	free((char *)spec->url);
	spec->url = NULL;
}

json_t *endpoint_answer(int code, int status, const struct buf *body, const struct err *http_err, struct err *err)
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
