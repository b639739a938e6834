/* SPDX-License-Identifier: Apache-2.0
 *
 * SSDP on a LAN and two networks: whatever comes in, what goes out is one sound message that says what came in and has
 * our number on it, never where it came from, unless it is an answer to who asked; and it is bounded.
 */
#include <assert.h>

#include "feed.h"
#include "multicast/asker.h"
#include "multicast/ssdp.h"
#include "multicast/ssdp_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool map(void *arg, uint32_t from, const struct endpoint *inside, uint32_t to, struct endpoint *ret_outside)
{
	assert(from != 1 && from != to);
	*ret_outside = (struct endpoint){.ip = ip_from_bytes(AF_INET, "\xc0\0\2\1"), .port = 48200};
	return inside->port == 8200;
}

static void sent_check(const struct mc_packet *p, const struct mc_action *a)
{
	struct ssdp_message in, out;

	assert(ssdp_parse(p->data, p->len, &in) == SSDP_OK);
	assert(ssdp_parse(a->data, a->len, &out) == SSDP_OK);
	assert(out.kind == in.kind && out.n == in.n && out.n_path == in.n_path + 1);
	for (size_t i = 0; i < in.n; i++) {
		assert(in.headers[i].name.len == out.headers[i].name.len);
		assert(!memcmp(in.headers[i].name.s, out.headers[i].name.s, in.headers[i].name.len));
	}
	assert((in.kind == SSDP_RESPONSE) == (p->port != 0));
	if (in.kind != SSDP_RESPONSE)
		assert(a->leg != p->leg && a->dst.port == SSDP_PORT && ip_is_multicast(&a->dst.ip));
	assert((a->port != 0) == (in.kind == SSDP_SEARCH));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = {data, size};
	struct ssdp_config config = {.map = map};
	struct ssdp *s = ssdp_new(&config, 1);
	struct mc_actions a = {0};
	struct event e;
	int64_t now = 0;
	uint32_t port = 0;
	size_t open = 0;

	for (uint32_t id = 1; id <= 3; id++) {
		struct mc_leg leg = {.id = id,
				     .lan = id == 1,
				     .wants = MC_SSDP,
				     .ip4 = ip_from_bytes(AF_INET, "\xc0\0\2\1"),
				     .ip6 = ip_from_bytes(AF_INET6, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1")};

		ssdp_leg_set(s, (mono_t){0}, &leg, &a);
	}
	while (feed_next(&f, &e)) {
		struct mc_packet p = {.leg = 1 + (e.what[0] & 3) % 3,
				      .port = e.what[0] & 4 ? port : 0,
				      .ttl = 4,
				      .data = e.data,
				      .len = e.len};

		now += e.what[1] * USEC_PER_MSEC * 10;
		p.src = (struct endpoint){.ip = ip_from_bytes(AF_INET, (uint8_t[]){192, 0, 2, e.what[2]}),
					  .port = e.what[3]};
		p.dst = (struct endpoint){.ip = ssdp_group_ip(SSDP_V4), .port = SSDP_PORT};
		if (e.what[0] & 8) {
			p.src.ip = ip_from_bytes(AF_INET6, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\7");
			p.dst.ip = ssdp_group_ip(e.what[0] & 16 ? SSDP_V6_LINK : SSDP_V6_SITE);
		}
		mc_actions_clear(&a);
		ssdp_input(s, (mono_t){now}, &p, &a);
		for (size_t i = 0; i < a.n; i++) {
			if (a.v[i].kind == MC_SEND) {
				sent_check(&p, &a.v[i]);
				port = a.v[i].port ? a.v[i].port : port;
			}
			open += a.v[i].kind == MC_SEND && a.v[i].port;
		}
		assert(ssdp_askers(s) <= ASKER_SLOTS && a.n <= 4 + ASKER_SOCKETS);
		free(e.data);
	}
	mc_actions_clear(&a);
	ssdp_timer(s, (mono_t){now + 10 * USEC_PER_SEC}, &a);
	assert(ssdp_due(s) == INT64_MAX && ssdp_askers(s) == 0 && a.n <= open);
	mc_actions_done(&a);
	ssdp_free(s);
	return 0;
}
