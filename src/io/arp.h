/* SPDX-License-Identifier: Apache-2.0
 *
 * Gratuitous ARP: says to a link who has an IPv4 address now, so that nobody sends to the one who had it before
 * (RFC 5227 section 3).
 */
#ifndef IO_ARP_H
#define IO_ARP_H

#include "base/addr.h"
#include "base/base.h"

/** arp_open() - A socket for arp_announce(), which receives nothing. Needs CAP_NET_RAW, now only. Return: fd or -errno
 */
int arp_open(struct err *err) MUST_USE;
/** arp_announce() - Broadcast on @ifindex that @mac has the IPv4 address @ip. Return: 0 or -errno */
int arp_announce(int fd, int ifindex, const struct mac *mac, const struct ip *ip) MUST_USE;

#endif
