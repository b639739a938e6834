/* SPDX-License-Identifier: Apache-2.0
 *
 * Multicast DNS on a LAN and two networks: what goes out is as long as what came in, sound, holds no address that its
 * link alone can reach, and goes where it may.
 */
#include <assert.h>

#include "feed.h"
#include "multicast/mdns.h"
#include "multicast/mdns_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sent_check(const struct mc_packet *p, const struct mc_action *a)
{
	const uint8_t *b = (const uint8_t *)a->data;
	struct mdns_walk w;
	struct mdns_item item;
	int rc;

	assert(a->len == p->len && a->len <= MDNS_BYTES);
	assert(mdns_walk_begin(&w, b, a->len) == 0);
	while ((rc = mdns_walk_next(&w, &item)) == 1) {
		assert(strlen(item.name) < MDNS_NAME_BYTES - 1);
		if (item.question && !mdns_is_response(b))
			assert(!(item.class & 0x8000));
		if (mdns_is_response(b) && item.type == MDNS_A && item.data_len == 4)
			assert(b[item.data_at] != 127 && b[item.data_at] != 10);
	}
	assert(rc == 0);
	if (p->port)
		assert(a->dst.port != MDNS_PORT || !ip_is_multicast(&a->dst.ip));
	else
		assert(a->leg != p->leg && a->dst.port == MDNS_PORT && ip_is_multicast(&a->dst.ip));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = {data, size};
	struct mdns *m = mdns_new(1);
	struct mc_actions a = {0};
	struct prefix hidden;
	struct event e;
	int64_t now = 0;
	uint32_t port = 0;

	assert(prefix_parse("10.0.0.0/8", &hidden) == 0);
	mdns_hide(m, &hidden, 1);
	for (uint32_t id = 1; id <= 3; id++) {
		struct mc_leg leg = {.id = id,
				     .lan = id == 1,
				     .wants = MC_MDNS,
				     .ip4 = ip_from_bytes(AF_INET, "\xc0\0\2\1"),
				     .ip6 = ip_from_bytes(AF_INET6, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1")};

		if (id == 2 && size && data[0] & 0x80) {
			str_copy(leg.types[0], "_googlecast._tcp");
			str_copy(leg.types[1], "_ipp._tcp");
			leg.n_types = 2;
		}
		mdns_leg_set(m, (mono_t){0}, &leg, &a);
	}
	while (feed_next(&f, &e)) {
		struct mc_packet p = {
			.leg = 1 + (e.what[0] & 3) % 3, .port = e.what[0] & 4 ? port : 0, .data = e.data, .len = e.len};

		now += e.what[1] * USEC_PER_MSEC * 10;
		p.src = (struct endpoint){.ip = ip_from_bytes(AF_INET, (uint8_t[]){192, 0, 2, e.what[2]}),
					  .port = e.what[3] & 1 ? e.what[3] : MDNS_PORT};
		p.dst = (struct endpoint){.ip = mdns_group_ip(MDNS_V4), .port = MDNS_PORT};
		mc_actions_clear(&a);
		mdns_input(m, (mono_t){now}, &p, &a);
		for (size_t i = 0; i < a.n; i++)
			if (a.v[i].kind == MC_SEND) {
				sent_check(&p, &a.v[i]);
				port = a.v[i].port ? a.v[i].port : port;
			}
		free(e.data);
	}
	mc_actions_clear(&a);
	mdns_timer(m, (mono_t){now + 10 * USEC_PER_SEC}, &a);
	assert(mdns_due(m) == INT64_MAX);
	mc_actions_done(&a);
	mdns_free(m);
	return 0;
}
