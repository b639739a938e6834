/* SPDX-License-Identifier: Apache-2.0
 *
 * A LAN full of DHCP servers against the client: frames, and times that go by. See feed.h.
 */
#include <assert.h>

#include "driver/dhcp.h"
#include "feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mac mac = {{2, 1, 2, 3, 4, 5}};
	struct feed f = {data, size};
	struct dhcp_client c;
	struct dhcp_out out;
	struct event e;
	int64_t now_us = 1000 * USEC_PER_SEC;

	dhcp_begin(&c, &mac, "web", NULL, 1, now_us);
	while (feed_next(&f, &e)) {
		int events;

		now_us += e.what[1] * USEC_PER_SEC;
		if (e.what[0] & 1 && e.len >= 50) /* what could know the id does */
			memcpy(e.data + 46,
			       (const uint8_t[]){(uint8_t)(c.xid >> 24), (uint8_t)(c.xid >> 16), (uint8_t)(c.xid >> 8),
						 (uint8_t)c.xid},
			       4);
		if (e.what[0] & 2)
			events = dhcp_timer(&c, now_us, &out);
		else
			events = dhcp_input(&c, e.data, e.len, now_us, &out);
		assert(out.len <= sizeof(out.frame));
		assert(c.state < DHCP_STATE_N_);
		if (events & DHCP_GOT)
			assert(c.lease.seconds && c.lease.address.len && c.lease.address.ip.family == AF_INET &&
			       c.lease.t1 <= c.lease.t2 && c.lease.t2 <= c.lease.seconds);
		if (e.what[0] & 4) {
			dhcp_release(&c, &out);
			dhcp_begin(&c, &mac, "", NULL, 2, now_us);
		}
		free(e.data);
	}
	return 0;
}
