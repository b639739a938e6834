/* SPDX-License-Identifier: Apache-2.0
 *
 * When, and the packet; see advertise.h.
 */
#include "multicast/advertise.h"

#include "multicast/gmp.h"

#define IP6_HEAD       40
#define RA_HEAD	       16
#define RA_TYPE	       134
#define RS_HEAD	       8
#define RS_TYPE	       133
#define OPTION_SOURCE  1  /* link-layer address */
#define OPTION_ROUTE   24 /* RFC 4191 section 2.3 */
#define FAST	       3
#define NEXT_ICMPV6    58
#define ROUTE_BYTES(p) ((p)->len > 64 ? 24u : 16u) /* of one option */

static bool has(const struct prefix *v, size_t n, const struct prefix *p)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_cmp(&v[i], p) == 0)
			return true;
	return false;
}

/* Between two there must be some time, whatever the reason */
static int64_t not_sooner(const struct advertise *a, int64_t at_us)
{
	return a->last_us && at_us < a->last_us + ADVERTISE_MIN_US ? a->last_us + ADVERTISE_MIN_US : at_us;
}

void advertise_set(struct advertise *a, mono_t now, const struct prefix *v, size_t n)
{
	struct advertise next = {.fast = FAST, .due_us = not_sooner(a, now.us), .last_us = a->last_us};
	bool same = true;

	for (size_t i = 0; i < n; i++)
		if (next.n_now < ADVERTISE_PREFIXES && v[i].ip.family == AF_INET6 && v[i].len &&
		    !has(next.now, next.n_now, &v[i])) {
			next.now[next.n_now++] = v[i];
			same &= has(a->now, a->n_now, &v[i]);
		}
	if (same && next.n_now == a->n_now)
		return;
	/* what was told, and is no more; an older loss makes room */
	for (size_t i = 0; i < a->n_now; i++)
		if (!has(next.now, next.n_now, &a->now[i]))
			next.over[next.n_over++] = a->now[i];
	for (size_t i = 0; i < a->n_over && next.n_over < ADVERTISE_PREFIXES; i++)
		if (!has(next.now, next.n_now, &a->over[i]) && !has(next.over, next.n_over, &a->over[i]))
			next.over[next.n_over++] = a->over[i];
	*a = next;
}

bool advertise_is_solicitation(const uint8_t *p, size_t len)
{
	const uint8_t *rs = p + IP6_HEAD;
	struct ip from;
	size_t n;

	if (len < IP6_HEAD + RS_HEAD || p[0] >> 4 != 6 || p[6] != NEXT_ICMPV6 || p[7] != 255)
		return false;
	n = gmp_get16(p + 4);
	if (n < RS_HEAD || n > len - IP6_HEAD || rs[0] != RS_TYPE || rs[1] != 0 ||
	    gmp_checksum(gmp_sum((uint32_t)n + NEXT_ICMPV6, p + 8, 32), rs, n) != 0)
		return false;
	from = ip_from_bytes(AF_INET6, p + 8);
	for (size_t at = RS_HEAD; at < n; at += rs[at + 1] * (size_t)8)
		if (n - at < 8 || rs[at + 1] == 0 || rs[at + 1] * (size_t)8 > n - at ||
		    (rs[at] == OPTION_SOURCE && ip_is_unspecified(&from)))
			return false;
	return true;
}

void advertise_solicited(struct advertise *a, mono_t now, uint32_t random)
{
	int64_t at = not_sooner(a, now.us) + random % (ADVERTISE_DELAY_US + 1);

	if (at < a->due_us)
		a->due_us = at;
}

int64_t advertise_due(const struct advertise *a)
{
	return a->n_now || a->n_over ? a->due_us : INT64_MAX;
}

static size_t route_put(const struct prefix *p, uint32_t life_s, uint8_t *to)
{
	size_t len = ROUTE_BYTES(p);

	to[0] = OPTION_ROUTE;
	to[1] = (uint8_t)(len / 8);
	to[2] = p->len;
	to[3] = 0; /* preference: medium */
	to[4] = (uint8_t)(life_s >> 24);
	to[5] = (uint8_t)(life_s >> 16);
	gmp_set16(to + 6, life_s & 0xffff);
	memcpy(to + 8, p->ip.b, len - 8);
	return len;
}

size_t advertise_next(struct advertise *a, mono_t now, const struct ip *from, uint8_t out[static ADVERTISE_BYTES])
{
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	uint8_t *ra = out + IP6_HEAD;
	size_t len = RA_HEAD;

	if (advertise_due(a) > now.us || from->family != AF_INET6)
		return 0;
	memset(out, 0, ADVERTISE_BYTES);
	for (size_t i = 0; i < a->n_now; i++)
		len += route_put(&a->now[i], ADVERTISE_LIFE_S, ra + len);
	for (size_t i = 0; i < a->n_over && IP6_HEAD + len + 24 <= ADVERTISE_BYTES; i++)
		len += route_put(&a->over[i], 0, ra + len);
	ra[0] = RA_TYPE; /* hop limit, flags, lifetime of a default route, timers: 0, nothing is said of them */
	out[0] = 0x60;
	gmp_set16(out + 4, len);
	out[6] = NEXT_ICMPV6;
	out[7] = 255;
	memcpy(out + 8, from->b, 16);
	memcpy(out + 24, all_nodes, 16);
	gmp_set16(ra + 2, gmp_checksum(gmp_sum((uint32_t)len + NEXT_ICMPV6, out + 8, 32), ra, len));
	if (a->fast && --a->fast == 0)
		a->n_over = 0; /* told often enough */
	a->last_us = now.us;
	a->due_us = now.us + (a->fast ? ADVERTISE_MIN_US : ADVERTISE_EVERY_US);
	return IP6_HEAD + len;
}

size_t advertise_end(struct advertise *a, const struct ip *from, uint8_t out[static ADVERTISE_BYTES])
{
	size_t len;

	advertise_set(a, (mono_t){0}, NULL, 0);
	a->due_us = 0;
	len = advertise_next(a, (mono_t){0}, from, out);
	*a = (struct advertise){0};
	return len;
}
