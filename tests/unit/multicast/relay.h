/* SPDX-License-Identifier: Apache-2.0
 *
 * Legs and packets for the tests of the relays.
 */
#ifndef TEST_RELAY_H
#define TEST_RELAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "multicast/multicast.h"

#define LAN   1u
#define SHOP  2u
#define MEDIA 3u
#define LAN2  4u
#define S     USEC_PER_SEC
#define MS    USEC_PER_MSEC

static inline struct ip ip_of(const char *s)
{
	struct ip ip;

	assert_int_equal(ip_parse(s, &ip), 0);
	return ip;
}

static inline struct endpoint at(const char *s)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(s, 0, &e), 0);
	return e;
}

/* The LAN is 192.0.2.0/24, network n is 172.30.n.0/24; we are .1 there */
static inline struct mc_leg leg_of(uint32_t id, unsigned wants, struct prefix *subnet)
{
	struct mc_leg l = {.id = id, .lan = id == LAN || id == LAN2, .wants = wants, .subnets = subnet, .n_subnets = 1};
	char text[64];

	if (l.lan)
		snprintf(text, sizeof(text), id == LAN ? "192.0.2.1/24" : "198.51.100.1/24");
	else
		snprintf(text, sizeof(text), "172.30.%u.1/24", id);
	assert_int_equal(prefix_parse(text, subnet), 0);
	l.ip4 = subnet->ip;
	l.ip6 = ip_of("fe80::1");
	return l;
}

static inline struct mc_packet packet(uint32_t leg, const char *src, const char *dst, const void *data, size_t len)
{
	return (struct mc_packet){.leg = leg, .src = at(src), .dst = at(dst), .ttl = 4, .data = data, .len = len};
}

/* The first thing sent on that leg; NULL: none */
static inline const struct mc_action *sent_on(const struct mc_actions *a, uint32_t leg)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].kind == MC_SEND && a->v[i].leg == leg)
			return &a->v[i];
	return NULL;
}

static inline size_t sent_count(const struct mc_actions *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		n += a->v[i].kind == MC_SEND;
	return n;
}

static inline const char *dropped(const struct mc_actions *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].kind == MC_DROP)
			return a->v[i].why;
	return "";
}

#endif
