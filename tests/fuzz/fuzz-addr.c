/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses, prefixes, MACs, endpoints, times and numbers from text. What is taken must print to something that is
 * taken again and means the same.
 */
#include <assert.h>

#include "base/addr.h"
#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void prefix_relations(const struct prefix *p)
{
	struct prefix masked = prefix_mask(*p), sub;
	assert(prefix_contains(p, &masked) && prefix_contains(&masked, p));
	assert(prefix_has_ip(p, &p->ip) && prefix_overlaps(p, &masked));
	if (prefix_nth(p, ip_bits(p->ip.family), 0, &sub))
		assert(prefix_contains(p, &sub) && ip_cmp(&sub.ip, &masked.ip) == 0);
	assert(!prefix_nth(p, p->len, 1, &sub));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *s = xmalloc(size + 1);
	char text[128];
	if (size)
		memcpy(s, data, size);
	s[size] = '\0';

	struct ip ip, ip2;
	if (ip_parse(s, &ip) == 0)
		assert(ip_parse(ip_format(&ip, text), &ip2) == 0 && ip_cmp(&ip, &ip2) == 0);
	struct prefix p, p2;
	if (prefix_parse(s, &p) == 0) {
		assert(prefix_parse(prefix_format(&p, text), &p2) == 0 && prefix_cmp(&p, &p2) == 0);
		prefix_relations(&p);
	}
	struct mac m, m2;
	if (mac_parse(s, &m) == 0)
		assert(mac_parse(mac_format(&m, text), &m2) == 0 && mac_cmp(&m, &m2) == 0);
	struct endpoint e, e2;
	struct sockaddr_storage ss;
	if (endpoint_parse(s, 4789, &e) == 0) {
		assert(e.port && endpoint_parse(endpoint_format(&e, text), 1, &e2) == 0);
		assert(memcmp(&e, &e2, sizeof(e)) == 0);
		assert(endpoint_to_sockaddr(&e, &ss) > 0);
		e2 = endpoint_from_sockaddr(&ss);
		assert(memcmp(&e, &e2, sizeof(e)) == 0);
	}
	wall_t t, t2;
	if (wall_parse(s, &t) == 0 && t.ms >= INT64_C(-62167219200000) && t.ms <= INT64_C(253402300799000))
		assert(wall_parse(wall_format(t, text), &t2) == 0 && t.ms == t2.ms);
	uint64_t n;
	if (parse_u64(s, 3, 5, &n) == 0)
		assert(n >= 3 && n <= 5);
	autobuf struct buf safe = {0};
	str_safe(&safe, s);
	for (size_t i = 0; i < safe.len; i++)
		assert(safe.data[i] >= 0x20 && safe.data[i] < 0x7f && safe.data[i] != '"');
	static const char *const words[] = {"status", "peers", NULL};
	str_nearest(s, words);
	vtep_mac(s, 1);
	return 0;
}
