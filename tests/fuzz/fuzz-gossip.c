/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams and frames of gossip, from members and from strangers. The input is a sequence of messages, each behind two
 * bytes of length whose top bits say by which way it comes; each meets a cluster's state that the earlier ones made.
 * What comes out is sound, and what is taken can be written as it was.
 */
#include <assert.h>

#include "discovery/gossip_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void actions_check(struct gossip *g)
{
	struct gossip_reader updates;
	struct gossip_head head;
	struct gossip_action a;

	while (gossip_next_action(g, &a)) {
		if (a.kind == GOSSIP_SEND)
			assert(gossip_decode(a.data, a.len, false, &head, &updates) == 0);
		if (a.kind == GOSSIP_STREAM_SEND)
			assert(gossip_decode(a.data, a.len, true, &head, &updates) == 0);
	}
}

/* Written again it is the same bytes */
static void round_trip(const uint8_t *data, size_t len, bool stream)
{
	struct gossip_reader updates;
	struct gossip_update u;
	struct gossip_writer w;
	struct gossip_head head;

	if (gossip_decode(data, len, stream, &head, &updates) < 0)
		return;
	uint8_t *again = xmalloc(GOSSIP_FRAME_BYTES);

	gossip_head_write(&w, again, GOSSIP_FRAME_BYTES, &head);
	while (gossip_update_next(&updates, &u) == 1)
		assert(gossip_update_write(&w, &u));
	assert(w.len == len && memcmp(again, data, len) == 0);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gossip_config config = {.random = 1, .incarnation = 7};
	struct endpoint from;
	mono_t now = {.us = 1000000};
	uint32_t in;

	memset(config.id.b, 1, sizeof(config.id.b));
	assert(endpoint_parse("192.0.2.1:4791", 0, &config.address) == 0);
	assert(endpoint_parse("192.0.2.2:4791", 0, &from) == 0);
	config.join = &from;
	config.n_join = 1;
	struct gossip *g = gossip_new(&config);

	for (uint8_t i = 2; i < 6; i++) {
		struct endpoint e = from;
		struct gossip_id id;

		memset(id.b, i, sizeof(id.b));
		e.ip.b[3] = i;
		gossip_load(g, now, &id, &e, i);
	}
	assert(gossip_fact(g, now, 1, "fact", 4) == 0);
	gossip_start(g, now);
	in = gossip_stream_accept(g, now, &from);
	while (size >= 2) {
		size_t len = (size_t)(data[0] & 0x1f) << 8 | data[1];
		unsigned way = data[0] >> 5;
		uint8_t *copy;

		data += 2;
		size -= 2;
		len = len < size ? len : size;
		copy = xmemdup(data, len); /* so that reading behind its end is seen */
		round_trip(copy, len, way >= 4);
		if (way < 4)
			gossip_datagram(g, now, &from, copy, len);
		else
			gossip_stream_frame(g, now, way < 6 ? in : way - 5, copy, len);
		free(copy);
		actions_check(g);
		if (way & 1) {
			now.us += 100000;
			gossip_timer(g, now);
			gossip_stream_ready(g, now, in);
			gossip_stream_ready(g, now, 1);
			actions_check(g);
		}
		if (!in)
			in = gossip_stream_accept(g, now, &from);
		data += len;
		size -= len;
	}
	assert(gossip_alive(g) <= GOSSIP_MEMBERS && gossip_bytes(g) < 16u << 20);
	gossip_free(g);
	return 0;
}
