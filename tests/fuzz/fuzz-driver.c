/* SPDX-License-Identifier: Apache-2.0
 *
 * What dockerd sends to the network driver: the first byte says which call, the rest is the body. What is taken must
 * hold what the driver relies on, and every answer must be made of it.
 */
#include <assert.h>

#include "driver/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const paths[] = {
	"/NetworkDriver.CreateNetwork",
	"/NetworkDriver.DeleteNetwork",
	"/NetworkDriver.CreateEndpoint",
	"/NetworkDriver.DeleteEndpoint",
	"/NetworkDriver.EndpointOperInfo",
	"/NetworkDriver.Join",
	"/NetworkDriver.Leave",
	"/Plugin.Activate",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct driver_request q = {0};
	struct driver_endpoint e = {0};
	struct buf text = {0};
	struct err err = {0};
	char *body;
	int rc;

	if (size == 0)
		return 0;
	body = xmalloc(size); /* of its exact size, so that reading behind it is seen */
	memcpy(body, data + 1, size - 1);
	body = xrealloc(body, size - 1 ? size - 1 : 1);
	rc = driver_request_parse(paths[data[0] % ARRAY_LEN(paths)], body, size - 1, &q, &err);
	free(body);
	if (rc < 0) {
		assert(err.text[0]);
		driver_answer_error(&text, err.text);
	} else {
		if (q.call == CALL_CREATE_NETWORK)
			assert(q.net.parent[0] && !strchr(q.net.parent, '/') && q.net.wait_s >= 1 &&
			       q.net.wait_s <= 25);
		if (q.call == CALL_CREATE_ENDPOINT)
			assert(!(q.mac.b[0] & 1) && (!q.name[0] || driver_name_valid(q.name)));
		if (q.call == CALL_JOIN)
			assert(q.sandbox[0] == '/');
		str_copy(e.id, q.endpoint);
		e.mac = q.mac;
		e.address = q.address;
		driver_answer_endpoint(&text, &q, &e);
		driver_answer_join(&text, &q.net, &e);
		driver_answer_info(&text, &e);
	}
	assert(text.len && text.data[text.len - 1] == '}');
	buf_done(&text);
	return 0;
}
