/* SPDX-License-Identifier: Apache-2.0
 *
 * MLDv1 and v2 (RFC 2710, 3810): IPv6 packets, or ICMPv6 messages with what a raw socket tells beside them, in; whole
 * IPv6 packets out. Pure.
 */
#ifndef MULTICAST_MLD_H
#define MULTICAST_MLD_H

#include "multicast/gmp.h"

#define MLD_HEADER_BYTES 48 /* IPv6 and hop-by-hop options of packets that are built; ICMPv6 comes behind */

enum mld_bad {
	MLD_OK,
	MLD_OTHER,  /* ICMPv6 that is not about membership */
	MLD_BAD_IP, /* no whole IPv6 packet with ICMPv6 */
	MLD_BAD_LENGTH,
	MLD_BAD_CHECKSUM,
	MLD_BAD_HOPS,	/* hop limit is not 1 */
	MLD_BAD_ALERT,	/* no router alert */
	MLD_BAD_SOURCE, /* not link-local */
	MLD_BAD_TARGET,
	MLD_BAD_GROUP,
	MLD_BAD_N_
};
extern const char *const mld_bad_names[MLD_BAD_N_];

/** struct mld_envelope - What stood around an ICMPv6 message */
struct mld_envelope {
	struct ip from, to;
	int hops;
	bool alert;
};

/** mld_parse() - A packet from its IPv6 header on, as packet sockets give it. @ret borrows @packet */
enum mld_bad mld_parse(const uint8_t *packet, size_t len, struct gmp_message *ret) MUST_USE;
/** mld_message_parse() - An ICMPv6 message, as raw sockets give it: the kernel has seen to its checksum */
enum mld_bad mld_message_parse(const struct mld_envelope *e, const uint8_t *p, size_t len,
			       struct gmp_message *ret) MUST_USE;

/** mld_query_build() - A query from @from, a link-local address. Version 1 has no sources. Return: bytes of @out */
size_t mld_query_build(const struct ip *from, const struct gmp_query *q, uint8_t out[static GMP_PACKET]);
/** mld_report_build() - A v2 report with the @ret_n first of the records that fit. Return: bytes of @out, 0: none fits
 */
size_t mld_report_build(const struct ip *from, const struct gmp_record *records, size_t n,
			uint8_t out[static GMP_PACKET], size_t *ret_n);
/** mld_v1_build() - A v1 report of @group, or a Done. Return: bytes of @out */
size_t mld_v1_build(const struct ip *from, const struct ip *group, bool done, uint8_t out[static GMP_PACKET]);
/** mld_target() - Where a packet that was built goes: its destination address */
struct ip mld_target(const uint8_t *packet);

#endif
