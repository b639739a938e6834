/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP of clients and servers through the relay: what comes out does not depend on how what comes in was cut, nothing
 * piles up, and a head that goes out is one that the relay itself would accept.
 */
#include <assert.h>

#include "feed.h"
#include "io/http_message.h"
#include "multicast/didl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct buf to_server, to_client;
	int rc;
};

static struct run run(const uint8_t *data, size_t size, size_t cut)
{
	struct endpoint inside = {.ip = ip_from_bytes(AF_INET, "\xac\x1e\0\2"), .port = size & 1 ? 80 : 8200};
	struct endpoint outside = {.ip = ip_from_bytes(AF_INET, "\xc0\0\2\1"), .port = 48200};
	struct didl *d = didl_new(&inside, &outside);
	struct feed f = {data, size};
	struct run r = {0};
	struct event e;

	while (!r.rc && feed_next(&f, &e)) {
		bool client = e.what[0] & 1;

		for (size_t at = 0, n; !r.rc && at < e.len; at += n) {
			n = cut && cut < e.len - at ? cut : e.len - at;
			uint8_t *part = xmemdup(e.data + at, n);

			r.rc = client ? didl_request(d, part, n, &r.to_server)
				      : didl_response(d, part, n, &r.to_client);
			free(part);
			assert(didl_kept(d) <= 2 * HTTP_HEAD_BYTES + 2 * (DIDL_XML_BYTES + HTTP_HEAD_BYTES + 65536));
		}
		free(e.data);
	}
	if (!r.rc)
		r.rc = didl_response_end(d, &r.to_client);
	assert(r.rc == 0 || r.rc == -EBADMSG);
	didl_free(d);
	return r;
}

static bool same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run whole = run(data, size, 0);
	struct http_head h;
	size_t end;

	for (size_t cut = 1; cut <= 7; cut += 3) {
		struct run parts = run(data, size, cut);

		assert(parts.rc == whole.rc);
		if (!whole.rc)
			assert(same(&parts.to_server, &whole.to_server) && same(&parts.to_client, &whole.to_client));
		buf_done(&parts.to_server);
		buf_done(&parts.to_client);
	}
	if (whole.to_server.len && (end = http_head_end(whole.to_server.data, whole.to_server.len)))
		assert(http_head_parse(whole.to_server.data, end, false, &h) == 0);
	if (whole.to_client.len && (end = http_head_end(whole.to_client.data, whole.to_client.len)))
		assert(http_head_parse(whole.to_client.data, end, true, &h) == 0);
	buf_done(&whole.to_server);
	buf_done(&whole.to_client);
	return 0;
}
