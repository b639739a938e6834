/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams of strangers: decoded, encoded again where they were accepted, and put into a core that has stacks, peers
 * and an address. The first two bytes choose who sends and how much time has passed; '\n' parts several datagrams.
 */
#include <assert.h>

#include "discovery/core.h"
#include "discovery/wire_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reencoded(void *arg, const char *data, size_t len)
{
	struct wire_msg m;
	struct err err = {0};

	/* What we send, we would accept */
	assert(len <= LIMIT_DATAGRAM);
	assert(wire_decode(data, len, &m, &err) == 0);
	assert(str_eq(m.stack_id, ((const struct wire_msg *)arg)->stack_id));
}

static void names_reencoded(void *arg, const char *data, size_t len)
{
	struct wire_names m;
	struct err err = {0};

	assert(len <= WIRE_BYTES && wire_names_is(data, len));
	assert(wire_names_decode(data, len, &m, &err) == 0);
	for (size_t i = 0; i < m.n_names; i++)
		*(size_t *)arg += m.names[i].n_addresses;
	wire_names_done(&m);
}

static void names_codec(const char *data, size_t len)
{
	struct wire_names m;
	struct err err = {0};
	size_t addresses = 0;

	if (wire_names_decode(data, len, &m, &err) < 0) {
		assert(*err.text);
		return;
	}
	assert(wire_names_encode(&m, names_reencoded, &addresses) == m.n_names);
	for (size_t i = 0; i < m.n_names; i++)
		addresses -= m.names[i].n_addresses;
	assert(addresses == 0);
	wire_names_done(&m);
}

static struct ip ip4(uint8_t last)
{
	return (struct ip){AF_INET, {192, 0, 2, last}};
}

static void drain(struct core *core)
{
	struct action a;
	struct wire_msg m;
	struct err err = {0};

	while (core_next_action(core, &a)) {
		if (a.kind != ACTION_SEND && a.kind != ACTION_SEND_GROUP)
			continue;
		if (wire_names_is(a.data, a.len))
			names_codec(a.data, a.len);
		else
			assert(wire_decode(a.data, a.len, &m, &err) == 0);
	}
}

static struct core *core_make(struct core_now now)
{
	struct core_config config = {.host_id = "0000000000000000000000000000000a",
				     .host_name = "me",
				     .vxlan_port = 4789,
				     .discovery_port = 4790,
				     .announce_us = 30 * USEC_PER_SEC,
				     .timeout_us = 90 * USEC_PER_SEC,
				     .multicast = true,
				     .goodbye = true,
				     .reserved = {{{AF_INET, {241}}, 8}, {{AF_INET6, {0xfd, 0x64, 0x72, 0x64}}, 32}},
				     .random = 1};
	struct ip own = ip4(1);
	struct prefix underlay = {ip4(0), 24};
	struct core_addresses where = {
		.host_ip = own, .port = 4790, .own = &own, .n_own = 1, .underlay = &underlay, .n_underlay = 1};
	struct local_stack stack = {.stack_id = "shop", .vni = 1000, .n_subnets = 2};
	struct prefix routes[] = {{{AF_INET, {10, 72, 5, 0}}, 24}, {{AF_INET, {241, 5, 0, 0}}, 16}};
	struct name_stack names = {.stack_id = "shop", .vni = 1000};
	struct name name = {.name = "web", .n_addresses = 1};
	struct core *core = core_new(&config);

	stack.subnets[0] = (struct prefix){{AF_INET, {10, 71, 0, 0}}, 24};
	stack.subnets[1] = (struct prefix){{AF_INET6, {0xfd, 0x71}}, 64};
	core_routes(core, now, routes, ARRAY_LEN(routes));
	core_addresses(core, now, &where);
	core_stacks(core, now, &stack, 1);
	name.addresses = xmemdup(&own, sizeof(own));
	*xgrow(&names.names, names.n_names, &names.cap_names) = name;
	names.n_names++;
	core_names(core, now, &names, 1);
	name_stack_done(&names);
	core_start(core, now);
	drain(core);
	return core;
}

/* What strangers said has made us choose: never what cannot be, or is in the way of our own route */
static void self_check(const struct self_stack *s)
{
	const struct prefix half4 = {{AF_INET, {241}}, 9}, half6 = {{AF_INET6, {0xfd, 0x64, 0x72, 0x64}}, 33};
	const struct prefix route = {{AF_INET, {241, 5, 0, 0}}, 16};

	assert(s->n_mapped <= s->n_subnets && s->n_avoid <= 2);
	for (size_t i = 0; i < s->n_mapped; i++) {
		const struct mapped *m = &s->mapped[i];

		assert(m->subnet.len == m->as.len && m->subnet.ip.family == m->as.ip.family);
		assert(prefix_contains(m->as.ip.family == AF_INET ? &half4 : &half6, &m->as));
		assert(!prefix_overlaps(&route, &m->as));
	}
}

/* Names are those of peers, and lead nowhere but into their subnets */
static void names_check(struct core *core, struct core_now now, const struct discovery *d)
{
	struct names all;

	core_names_export(core, now, &all);
	for (size_t i = 0; i < all.n_stacks; i++) {
		const struct name_stack *s = &all.stacks[i];
		const struct peer *p = NULL;

		for (size_t k = 0; k < d->n_peers; k++) {
			if (d->peers[k].vni == s->vni && str_eq(d->peers[k].stack_id, s->stack_id) &&
			    str_eq(d->peers[k].host_id, s->host_id))
				p = &d->peers[k];
		}
		assert(p && s->n_names && s->n_names <= LIMIT_NAMES_PER_STACK);
		for (size_t k = 0; k < s->n_names; k++) {
			const struct name *n = &s->names[k];
			bool inside = false;

			assert(label_valid(n->name) && n->n_addresses && n->n_addresses <= LIMIT_NAME_ADDRESSES);
			assert(k == 0 || strcmp(s->names[k - 1].name, n->name) < 0);
			for (size_t j = 0; j < p->n_subnets; j++)
				inside = inside || prefix_has_ip(&p->subnets[j], &n->addresses[0]);
			for (size_t j = 0; j < p->n_mapped; j++)
				inside = inside || prefix_has_ip(&p->mapped[j].subnet, &n->addresses[0]);
			assert(inside);
		}
	}
	names_done(&all);
}

/* The table must be whole, whatever was said: it is what the file is made of */
static void core_check(struct core *core, struct core_now now)
{
	struct discovery d;

	core_export(core, now, &d);
	for (size_t i = 0; i < d.n_peers; i++) {
		const struct peer *p = &d.peers[i];

		assert(p->vni >= 1 && p->vni <= VNI_MAX && p->vxlan_endpoint.port != 0);
		assert(!str_eq(p->host_id, "0000000000000000000000000000000a"));
		assert(p->n_subnets <= LIMIT_SUBNETS && (p->host_id[0] || p->n_subnets == 0));
		for (size_t j = 0; j < p->n_subnets; j++)
			assert(p->subnets[j].len >= (p->subnets[j].ip.family == AF_INET ? 8 : 16));
		assert(p->n_mapped <= LIMIT_SUBNETS && p->n_avoid <= LIMIT_AVOID);
		for (size_t j = 0; j < p->n_mapped; j++) {
			assert(p->mapped[j].as.len == p->mapped[j].subnet.len);
			for (size_t k = 0; k < j; k++)
				assert(!prefix_overlaps(&p->mapped[k].as, &p->mapped[j].as));
		}
	}
	assert(d.self.n_stacks == 1);
	self_check(&d.self.stacks[0]);
	names_check(core, now, &d);
	core_export_done(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct core_now now = {.mono = {1000 * USEC_PER_SEC}, .wall = {INT64_C(1700000000000)}};
	struct wire_msg m;
	struct err err = {0};
	struct core *core;

	if (size < 2)
		return 0;
	if (wire_decode((const char *)data + 2, size - 2, &m, &err) == 0)
		wire_encode(&m, reencoded, &m);
	names_codec((const char *)data + 2, size - 2);
	core = core_make(now);
	for (size_t at = 2; at < size;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = end ? (size_t)(end - (data + at)) : size - at;
		struct endpoint from = {.ip = ip4((uint8_t)(data[0] + at % 2)), .port = 4790};
		char *copy = xmemdup(data + at, len ? len : 1); /* so that reading behind its end is seen */

		core_datagram(core, now, &from, data[1] & 1, copy, len);
		free(copy);
		drain(core);
		now.mono.us += data[1] * USEC_PER_MSEC * 100;
		core_timer(core, now);
		drain(core);
		at += len + 1;
	}
	core_check(core, now);
	core_free(core);
	return 0;
}
