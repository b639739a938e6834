/* SPDX-License-Identifier: Apache-2.0
 *
 * Gratuitous ARP; see arp.h.
 */
#include "io/arp.h"

#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>

int arp_open(struct err *err)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? err_errno(err, -errno, "packet socket") : fd;
}

int arp_announce(int fd, int ifindex, const struct mac *mac, const struct ip *ip)
{
	struct ether_arp a = {
		.ea_hdr = {.ar_hrd = htons(ARPHRD_ETHER),
			   .ar_pro = htons(ETHERTYPE_IP),
			   .ar_hln = 6,
			   .ar_pln = 4,
			   .ar_op = htons(ARPOP_REQUEST)},
	};
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETHERTYPE_ARP),
				 .sll_ifindex = ifindex,
				 .sll_halen = 6,
				 .sll_addr = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

	memcpy(a.arp_sha, mac->b, 6);
	memcpy(a.arp_spa, ip->b, 4);
	memcpy(a.arp_tpa, ip->b, 4);
	return sendto(fd, &a, sizeof(a), 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}
