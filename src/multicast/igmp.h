/* SPDX-License-Identifier: Apache-2.0
 *
 * IGMPv1, v2 and v3 (RFC 1112, 2236, 3376): whole IPv4 packets in, whole IPv4 packets out. Pure.
 */
#ifndef MULTICAST_IGMP_H
#define MULTICAST_IGMP_H

#include "multicast/gmp.h"

#define IGMP_HEADER_BYTES 24 /* of IPv4 with router alert, in packets that are built; IGMP comes behind */

enum igmp_bad {
	IGMP_OK,
	IGMP_OTHER,	 /* a type that is not about membership (DVMRP, PIM, ...) */
	IGMP_BAD_IP,	 /* no whole IPv4 packet of protocol 2 */
	IGMP_BAD_LENGTH, /* too short, or records longer than it */
	IGMP_BAD_CHECKSUM,
	IGMP_BAD_TTL,	 /* came from beyond the link */
	IGMP_BAD_ALERT,	 /* v2 or v3 without router alert */
	IGMP_BAD_SOURCE, /* no unicast address; 0.0.0.0 is one */
	IGMP_BAD_TARGET, /* sent to where it does not belong */
	IGMP_BAD_GROUP,
	IGMP_BAD_N_
};
extern const char *const igmp_bad_names[IGMP_BAD_N_];

/**
 * igmp_parse() - A packet from its IPv4 header on, as raw and packet sockets give it
 *
 * IGMPv2 reports and leaves without router alert pass: real hosts send them. Bytes behind the IPv4 packet (padding of
 * short Ethernet frames) are not looked at. @ret borrows @packet.
 */
enum igmp_bad igmp_parse(const uint8_t *packet, size_t len, struct gmp_message *ret) MUST_USE;

/**
 * igmp_query_build() - A query from @from, which may be 0.0.0.0
 *
 * Versions 1 and 2 have no sources. Return: bytes of @out
 */
size_t igmp_query_build(const struct ip *from, const struct gmp_query *q, uint8_t out[static GMP_PACKET]);
/**
 * igmp_report_build() - A v3 report with as many of the records as fit into a packet
 * @ret_n: how many
 *
 * Return: bytes of @out, 0: none fits
 */
size_t igmp_report_build(const struct ip *from, const struct gmp_record *records, size_t n,
			 uint8_t out[static GMP_PACKET], size_t *ret_n);
/** igmp_v2_build() - A v2 report of @group, or a leave. Return: bytes of @out */
size_t igmp_v2_build(const struct ip *from, const struct ip *group, bool leave, uint8_t out[static GMP_PACKET]);
/** igmp_target() - Where a packet that was built goes: its destination address */
struct ip igmp_target(const uint8_t *packet);

#endif
