/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsing, printing and comparing addresses. Parsers are strict: the whole string, one way of writing it, nothing that
 * inet_aton() would guess ("10.1" or "010.0.0.1").
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <net/if.h>

struct ip ip_from_bytes(uint8_t family, const void *bytes)
{
	struct ip ip = {.family = family};
	if (!ip_size(family))
		return (struct ip){0};
	memcpy(ip.b, bytes, ip_size(family));
	return ip;
}

int ip_parse(const char *s, struct ip *ret_ip)
{
	struct ip ip = {0};
	/* inet_pton() reads to the NUL: do not let it walk through megabytes */
	if (strnlen(s, IP_STRLEN) >= IP_STRLEN)
		return -EINVAL;
	if (inet_pton(AF_INET, s, ip.b) == 1)
		ip.family = AF_INET;
	else if (inet_pton(AF_INET6, s, ip.b) == 1)
		ip.family = AF_INET6;
	else
		return -EINVAL;
	*ret_ip = ip;
	return 0;
}

const char *ip_format(const struct ip *ip, char out[static IP_STRLEN])
{
	if (!ip_size(ip->family) || !inet_ntop(ip->family, ip->b, out, IP_STRLEN))
		out[0] = '\0';
	return out;
}

int ip_cmp(const struct ip *a, const struct ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, ip_size(a->family));
}

bool ip_is_none(const struct ip *ip)
{
	return ip_size(ip->family) == 0;
}

bool ip_is_multicast(const struct ip *ip)
{
	return ip->family == AF_INET ? (ip->b[0] & 0xf0) == 0xe0 : ip->family == AF_INET6 && ip->b[0] == 0xff;
}

bool ip_is_loopback(const struct ip *ip)
{
	static const uint8_t one[16] = {[15] = 1};
	return ip->family == AF_INET ? ip->b[0] == 127 : ip->family == AF_INET6 && memcmp(ip->b, one, 16) == 0;
}

bool ip_is_link_local(const struct ip *ip)
{
	if (ip->family == AF_INET)
		return ip->b[0] == 169 && ip->b[1] == 254;
	return ip->family == AF_INET6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

bool ip_is_unspecified(const struct ip *ip)
{
	static const uint8_t zero[16];
	return !ip_is_none(ip) && memcmp(ip->b, zero, ip_size(ip->family)) == 0;
}

int prefix_parse(const char *s, struct prefix *ret_p)
{
	char address[IP_STRLEN];
	struct prefix p = {0};
	size_t len = strcspn(s, "/");
	if (len >= sizeof(address))
		return -EINVAL;
	memcpy(address, s, len);
	address[len] = '\0';
	if (ip_parse(address, &p.ip) < 0)
		return -EINVAL;
	p.len = ip_bits(p.ip.family);
	if (s[len] == '/') {
		uint64_t bits;
		const char *digits = s + len + 1;
		if (strnlen(digits, 4) > 3 || (digits[0] == '0' && digits[1]) || parse_u64(digits, 0, p.len, &bits) < 0)
			return -EINVAL;
		p.len = (uint8_t)bits;
	}
	*ret_p = p;
	return 0;
}

const char *prefix_format(const struct prefix *p, char out[static PREFIX_STRLEN])
{
	char address[IP_STRLEN];
	if (ip_is_none(&p->ip))
		out[0] = '\0';
	else
		snprintf(out, PREFIX_STRLEN, "%s/%u", ip_format(&p->ip, address), p->len);
	return out;
}

/* bits of byte @i that belong to a prefix of length @len */
static uint8_t byte_mask(uint8_t len, size_t i)
{
	size_t bits = len > i * 8 ? len - i * 8 : 0;
	return (uint8_t)(bits >= 8 ? 0xffu : 0xff00u >> bits);
}

struct prefix prefix_mask(struct prefix p)
{
	size_t size = ip_size(p.ip.family);
	if (p.len > size * 8)
		p.len = (uint8_t)(size * 8);
	for (size_t i = 0; i < size; i++)
		p.ip.b[i] = (uint8_t)(p.ip.b[i] & byte_mask(p.len, i));
	return p;
}

int prefix_cmp(const struct prefix *a, const struct prefix *b)
{
	int order = ip_cmp(&a->ip, &b->ip);
	return order ? order : (a->len > b->len) - (a->len < b->len);
}

bool prefix_has_ip(const struct prefix *p, const struct ip *ip)
{
	size_t size = ip_size(p->ip.family);
	if (!size || p->ip.family != ip->family)
		return false;
	for (size_t i = 0; i < size; i++)
		if ((p->ip.b[i] ^ ip->b[i]) & byte_mask(p->len, i))
			return false;
	return true;
}

bool prefixes_have_ip(const struct prefix *v, size_t n, const struct ip *ip)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_has_ip(&v[i], ip))
			return true;
	return false;
}

bool prefix_contains(const struct prefix *outer, const struct prefix *inner)
{
	return outer->len <= inner->len && prefix_has_ip(outer, &inner->ip);
}

bool prefix_overlaps(const struct prefix *a, const struct prefix *b)
{
	return a->len <= b->len ? prefix_has_ip(a, &b->ip) : prefix_has_ip(b, &a->ip);
}

struct ip prefix_last(const struct prefix *p)
{
	struct ip last = p->ip;
	for (size_t i = 0; i < ip_size(last.family); i++)
		last.b[i] = (uint8_t)(last.b[i] | (uint8_t)~byte_mask(p->len, i));
	return last;
}

struct ip prefix_translate(const struct prefix *to, const struct ip *ip)
{
	struct ip out = *ip;
	for (size_t i = 0; i < ip_size(out.family); i++) {
		uint8_t mask = byte_mask(to->len, i);
		out.b[i] = (uint8_t)((to->ip.b[i] & mask) | (ip->b[i] & ~mask));
	}
	return out;
}

bool prefix_nth(const struct prefix *pool, uint8_t len, uint64_t n, struct prefix *ret_p)
{
	uint8_t bits = ip_bits(pool->ip.family);
	if (!bits || len > bits || len < pool->len)
		return false;
	unsigned room = len - pool->len;
	if (room < 64 && n >> room)
		return false;
	struct prefix p = prefix_mask(*pool);
	p.len = len;
	/* the number's lowest bit is the address's bit len - 1, counted from the left */
	for (unsigned bit = len; n && bit > 0; bit--, n >>= 1)
		if (n & 1)
			p.ip.b[(bit - 1) / 8] = (uint8_t)(p.ip.b[(bit - 1) / 8] | 0x80u >> ((bit - 1) % 8));
	*ret_p = p;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int mac_parse(const char *s, struct mac *ret_mac)
{
	struct mac mac;
	for (size_t i = 0; i < 6; i++) {
		int high = hex_digit(s[0]);
		int low = high < 0 ? -1 : hex_digit(s[1]);
		if (low < 0 || s[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		mac.b[i] = (uint8_t)(high << 4 | low);
		s += 3;
	}
	*ret_mac = mac;
	return 0;
}

const char *mac_format(const struct mac *m, char out[static MAC_STRLEN])
{
	snprintf(out, MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0], m->b[1], m->b[2], m->b[3], m->b[4],
		 m->b[5]);
	return out;
}

bool mac_is_none(const struct mac *m)
{
	static const struct mac none;
	return mac_cmp(m, &none) == 0;
}

int mac_cmp(const struct mac *a, const struct mac *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

/* "192.0.2.1", "fe80::1", "fe80::1%2", "fe80::1%eth0" */
static int scoped_ip_parse(const char *s, size_t len, struct endpoint *ret_e)
{
	char text[IP_STRLEN + 1 + IF_NAMESIZE];
	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, len);
	text[len] = '\0';
	char *scope = strchr(text, '%');
	if (scope)
		*scope++ = '\0';
	if (ip_parse(text, &ret_e->ip) < 0)
		return -EINVAL;
	if (!scope)
		return 0;
	if (ret_e->ip.family != AF_INET6)
		return -EINVAL;
	uint64_t index;
	if (parse_u64(scope, 1, INT32_MAX, &index) < 0)
		index = if_nametoindex(scope);
	ret_e->scope = (uint32_t)index;
	return index ? 0 : -EINVAL;
}

int endpoint_parse(const char *s, uint16_t default_port, struct endpoint *ret_e)
{
	struct endpoint e = {.port = default_port};
	const char *port = NULL, *colon = strchr(s, ':');
	size_t len = strnlen(s, 128);
	if (len >= 128)
		return -EINVAL;
	bool brackets = *s == '[';
	if (brackets) {
		const char *close = strchr(++s, ']');
		if (!close)
			return -EINVAL;
		len = (size_t)(close - s);
		if (close[1] == ':')
			port = close + 2;
		else if (close[1])
			return -EINVAL;
	} else if (colon && !strchr(colon + 1, ':')) { /* one colon only: no bare IPv6 address */
		len = (size_t)(colon - s);
		port = colon + 1;
	}
	if (scoped_ip_parse(s, len, &e) < 0 || (brackets && e.ip.family != AF_INET6))
		return -EINVAL;
	if (port) {
		uint64_t n;
		if (strnlen(port, 6) > 5 || parse_u64(port, 1, UINT16_MAX, &n) < 0)
			return -EINVAL;
		e.port = (uint16_t)n;
	}
	*ret_e = e;
	return 0;
}

const char *endpoint_format(const struct endpoint *e, char out[static ENDPOINT_STRLEN])
{
	char address[IP_STRLEN], scope[12] = "";
	if (ip_is_none(&e->ip)) {
		out[0] = '\0';
		return out;
	}
	ip_format(&e->ip, address);
	if (e->scope)
		str_print(scope, "%%%u", e->scope);
	snprintf(out, ENDPOINT_STRLEN, e->ip.family == AF_INET6 ? "[%s%s]:%u" : "%s%s:%u", address, scope, e->port);
	return out;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *ret_ss)
{
	memset(ret_ss, 0, sizeof(*ret_ss));
	if (e->ip.family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret_ss;
		in->sin_family = AF_INET;
		in->sin_port = htons(e->port);
		memcpy(&in->sin_addr, e->ip.b, 4);
		return sizeof(*in);
	}
	if (e->ip.family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_ss;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(e->port);
		in6->sin6_scope_id = e->scope;
		memcpy(&in6->sin6_addr, e->ip.b, 16);
		return sizeof(*in6);
	}
	return 0;
}

struct endpoint endpoint_from_sockaddr(const struct sockaddr_storage *ss)
{
	struct endpoint e = {0};
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
		e.ip = ip_from_bytes(AF_INET, &in->sin_addr);
		e.port = ntohs(in->sin_port);
	} else if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
		e.ip = ip_from_bytes(AF_INET6, &in6->sin6_addr);
		e.port = ntohs(in6->sin6_port);
		e.scope = in6->sin6_scope_id;
	}
	return e;
}

struct mac vtep_mac(const char *host_id, uint32_t vni)
{
	uint64_t h = hash64(host_id, strlen(host_id), UINT64_C(0x6d61630000000000) | vni);
	struct mac mac;
	for (size_t i = 0; i < 6; i++)
		mac.b[i] = (uint8_t)(h >> (8 * i));
	mac.b[0] = (uint8_t)((mac.b[0] & 0xfc) | 0x02); /* locally administered, unicast */
	return mac;
}

struct ip vtep_ip(const char *host_id, uint32_t vni)
{
	uint64_t h = hash64(host_id, strlen(host_id), UINT64_C(0x6970000000000000) | vni);
	struct ip ip = {.family = AF_INET6, .b = {0xfe, 0x80}};
	for (size_t i = 0; i < 8; i++)
		ip.b[8 + i] = (uint8_t)(h >> (8 * i));
	return ip;
}

/* fd64:7277, 7278: hosts by their slot; 7279: by way of a relay */
static struct ip wireguard_base(uint8_t last)
{
	return (struct ip){.family = AF_INET6, .b = {0xfd, 0x64, 0x72, last}};
}

struct prefix wireguard_net(unsigned slot)
{
	return (struct prefix){wireguard_base(slot ? 0x78 : 0x77), 32};
}

struct prefix wireguard_relay_net(void)
{
	return (struct prefix){wireguard_base(0x79), 32};
}

struct ip wireguard_ip(const char *host_id, unsigned slot)
{
	struct ip ip = wireguard_net(slot).ip;
	uint64_t a = hash64(host_id, strlen(host_id), UINT64_C(0x7767610000000000)),
		 b = hash64(host_id, strlen(host_id), UINT64_C(0x7767620000000000));
	for (size_t i = 0; i < 8; i++)
		ip.b[8 + i] = (uint8_t)(a >> (8 * i));
	for (size_t i = 0; i < 4; i++)
		ip.b[4 + i] = (uint8_t)(b >> (8 * i));
	return ip;
}

/* 40 bits for the relay, 56 for the host; the last bit of each is the slot */
struct prefix wireguard_relay_prefix(const char *relay_id, unsigned relay_slot)
{
	struct prefix p = {wireguard_base(0x79), 72};
	uint64_t h = hash64(relay_id, strlen(relay_id), UINT64_C(0x7767720000000000));

	for (size_t i = 0; i < 5; i++)
		p.ip.b[4 + i] = (uint8_t)(h >> (8 * i));
	p.ip.b[8] = (uint8_t)((p.ip.b[8] & 0xfe) | (relay_slot & 1));
	return p;
}

struct ip wireguard_relay_ip(const char *relay_id, unsigned relay_slot, const char *host_id, unsigned slot)
{
	struct ip ip = wireguard_relay_prefix(relay_id, relay_slot).ip;
	uint64_t h = hash64(host_id, strlen(host_id), UINT64_C(0x7767680000000000));

	for (size_t i = 0; i < 7; i++)
		ip.b[9 + i] = (uint8_t)(h >> (8 * i));
	ip.b[15] = (uint8_t)((ip.b[15] & 0xfe) | (slot & 1));
	return ip;
}
