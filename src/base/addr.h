/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses: IP of either family, prefix, MAC, endpoint. All are plain values in network byte order, compared with the
 * functions here; a zeroed struct is "none".
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/base.h"

struct ip {
	uint8_t family; /* AF_INET, AF_INET6, or 0: none */
	uint8_t b[16];	/* 4 or 16 bytes in use, the rest 0 */
};

struct prefix {
	struct ip ip; /* as given: host bits may be set; prefix_mask() clears them */
	uint8_t len;
};

struct mac {
	uint8_t b[6];
};

struct endpoint {
	struct ip ip;
	uint16_t port;	/* host byte order */
	uint32_t scope; /* ifindex of a link-local address, or 0 */
};

#define IP_STRLEN	INET6_ADDRSTRLEN
#define PREFIX_STRLEN	(INET6_ADDRSTRLEN + 4)
#define MAC_STRLEN	18
#define ENDPOINT_STRLEN (INET6_ADDRSTRLEN + 20)

static inline size_t ip_size(uint8_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

static inline uint8_t ip_bits(uint8_t family)
{
	return (uint8_t)(ip_size(family) * 8);
}

struct ip ip_from_bytes(uint8_t family, const void *bytes);
int ip_parse(const char *s, struct ip *ret_ip) MUST_USE; /* 0 or -EINVAL */
const char *ip_format(const struct ip *ip, char out[static IP_STRLEN]);
int ip_cmp(const struct ip *a, const struct ip *b); /* by family, then by bytes */
bool ip_is_none(const struct ip *ip);
bool ip_is_multicast(const struct ip *ip);
bool ip_is_loopback(const struct ip *ip);
bool ip_is_link_local(const struct ip *ip);
bool ip_is_unspecified(const struct ip *ip); /* 0.0.0.0 or :: */

int prefix_parse(const char *s, struct prefix *ret_p) MUST_USE; /* "10.0.0.0/8"; without /len a host. 0 or -EINVAL */
const char *prefix_format(const struct prefix *p, char out[static PREFIX_STRLEN]);
struct prefix prefix_mask(struct prefix p);			/* host bits cleared */
int prefix_cmp(const struct prefix *a, const struct prefix *b); /* ip, then len; host bits count */
bool prefix_has_ip(const struct prefix *p, const struct ip *ip);
bool prefixes_have_ip(const struct prefix *v, size_t n, const struct ip *ip); /* is it in one of them? */
bool prefix_contains(const struct prefix *outer, const struct prefix *inner);
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);
struct ip prefix_last(const struct prefix *p); /* all host bits set */
/** prefix_translate() - The address at the same place in @to as @ip has in its own prefix of that length */
struct ip prefix_translate(const struct prefix *to, const struct ip *ip);
/** prefix_nth() - The n-th prefix of length @len inside @pool. Return: false when there is none */
bool prefix_nth(const struct prefix *pool, uint8_t len, uint64_t n, struct prefix *ret_p);

int mac_parse(const char *s, struct mac *ret_mac) MUST_USE; /* 0 or -EINVAL */
const char *mac_format(const struct mac *m, char out[static MAC_STRLEN]);
bool mac_is_none(const struct mac *m);
int mac_cmp(const struct mac *a, const struct mac *b);

/** endpoint_parse() - "192.0.2.1:4789", "[2001:db8::1]:4789", or without port: @default_port. 0 or -EINVAL */
int endpoint_parse(const char *s, uint16_t default_port, struct endpoint *ret_e) MUST_USE;
const char *endpoint_format(const struct endpoint *e, char out[static ENDPOINT_STRLEN]);
socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *ret_ss);
struct endpoint endpoint_from_sockaddr(const struct sockaddr_storage *ss);

/**
 * vtep_mac(), vtep_ip() - A VTEP's MAC and inner address, derived from (host, VNI)
 * @host_id: see identity.h
 *
 * Discovery announces them before the router has made anything. The MAC is locally administered unicast; the inner
 * address is fe80::/64 with a 64-bit hash: next hop inside the VNI, never on the wire of a stack.
 */
struct mac vtep_mac(const char *host_id, uint32_t vni);
struct ip vtep_ip(const char *host_id, uint32_t vni);
/**
 * wireguard_ip() - A host's address inside the WireGuard tunnels, derived from host_id
 * @slot: 0 or 1, that of the key whose device has it; of fd64:7277::/32 or fd64:7278::/32
 */
struct ip wireguard_ip(const char *host_id, unsigned slot);
/** wireguard_net() - All addresses of a slot. wireguard_relay_net() - All addresses by way of relays */
struct prefix wireguard_net(unsigned slot);
struct prefix wireguard_relay_net(void);
/**
 * wireguard_relay_prefix() - All hosts by way of one relay, of whose keys' slots one is meant: a /72 of fd64:7279::/32
 * wireguard_relay_ip() - One host by way of it
 */
struct prefix wireguard_relay_prefix(const char *relay_id, unsigned relay_slot);
struct ip wireguard_relay_ip(const char *relay_id, unsigned relay_slot, const char *host_id, unsigned slot);

#define VNI_MAX 16777215u

#endif
