/* SPDX-License-Identifier: Apache-2.0
 *
 * UDP datagrams with their IP headers, as packet and raw sockets have them. Pure.
 */
#ifndef MULTICAST_DATAGRAM_H
#define MULTICAST_DATAGRAM_H

#include "multicast/multicast.h"

#define DATAGRAM_HEAD 48 /* bytes of the longest head: IPv6, UDP */

/**
 * datagram_parse() - From the IP header on; what lies behind the packet's own end is not looked at
 * @check: the checksum is to be verified
 * @ret:   src, dst, ttl, data (borrowed), len; the rest is left alone
 *
 * Return: NULL, or why it is dropped, a literal
 */
const char *datagram_parse(const uint8_t *packet, size_t len, bool check, struct mc_packet *ret) MUST_USE;

/** datagram_head() - The headers that go in front of @data. @src and @dst are of one family. Return: bytes of @out */
size_t datagram_head(const struct endpoint *src, const struct endpoint *dst, uint8_t ttl, const uint8_t *data,
		     size_t len, uint8_t out[static DATAGRAM_HEAD]);

#endif
