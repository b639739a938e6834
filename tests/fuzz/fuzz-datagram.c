/* SPDX-License-Identifier: Apache-2.0
 *
 * IP and UDP headers of packets from the wire: what is taken for a datagram lies within the packet, and a head that we
 * write for the same ends and data parses back to them.
 */
#include <assert.h>

#include "multicast/datagram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void head_check(const struct mc_packet *p)
{
	uint8_t head[DATAGRAM_HEAD];
	size_t n = datagram_head(&p->src, &p->dst, p->ttl, p->data, p->len, head);
	uint8_t *packet = xcalloc(1, n + p->len);
	struct mc_packet back = {0};

	memcpy(packet, head, n);
	if (p->len)
		memcpy(packet + n, p->data, p->len);
	assert(!datagram_parse(packet, n + p->len, true, &back));
	assert(ip_cmp(&back.src.ip, &p->src.ip) == 0 && ip_cmp(&back.dst.ip, &p->dst.ip) == 0);
	assert(back.src.port == p->src.port && back.dst.port == p->dst.port && back.ttl == p->ttl);
	assert(back.len == p->len && (!p->len || !memcmp(back.data, p->data, p->len)));
	free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* a block of its exact size, so that reading behind it is seen */
	uint8_t *copy = xmemdup(size ? data : (const uint8_t *)"", size ? size : 1);
	struct mc_packet p = {.leg = 7}, q = {.leg = 7};

	for (int check = 0; check < 2; check++) {
		struct mc_packet *to = check ? &q : &p;
		const char *why = datagram_parse(copy, size, check, to);

		assert(to->leg == 7 && to->port == 0);
		if (why) {
			assert(*why && !to->data && !to->len);
			continue;
		}
		assert(to->data >= copy && to->len <= MC_DATA && to->data + to->len <= copy + size);
		head_check(to);
	}
	assert(!q.data || q.data == p.data); /* a sound one is sound without the check too */
	free(copy);
	return 0;
}
