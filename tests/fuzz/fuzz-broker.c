/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams against the gate of the namespace broker. The first byte tells whether a descriptor came along; the rest is
 * the request. What is let through must hold what the server relies on.
 */
#include <assert.h>

#include "io/broker_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct broker_ask ask;
	struct err err;

	if (size == 0)
		return 0;
	if (broker_request_check(data + 1, size - 1, data[0] & 1, &ask, &err) < 0) {
		assert(strnlen(err.text, sizeof(err.text)) < sizeof(err.text));
		return 0;
	}
	assert(ask.op < BROKER_OP_N_ && ask.target < TARGET_N_);
	assert((data[0] & 1) ==
	       (ask.op == BROKER_NFT || ask.op == BROKER_FORWARD || ask.op == BROKER_RESOLV || ask.op == BROKER_DHCP));
	assert(strnlen(ask.ns.name, sizeof(ask.ns.name)) < sizeof(ask.ns.name));
	assert(strnlen(ask.ns.iface, sizeof(ask.ns.iface)) < sizeof(ask.ns.iface));
	assert(strnlen(ask.ns.sandbox, sizeof(ask.ns.sandbox)) < sizeof(ask.ns.sandbox));
	assert(!strchr(ask.ns.iface, '/') && !strchr(ask.ns.name, '/'));
	assert(!strstr(ask.ns.sandbox, "/../") && (!ask.ns.sandbox[0] || ask.ns.sandbox[0] == '/'));
	if (ask.target == TARGET_VNI)
		assert(ask.vni >= 1 && ask.vni <= 16777215);
	else
		assert(ask.target == TARGET_WIREGUARD ||
		       (ask.op != BROKER_REMOVE && (ask.op != BROKER_OPEN || ask.arg != BROKER_CREATE)));
	if (ask.target != TARGET_CONTAINER)
		assert(!ask.ns.sandbox[0] && !ask.ns.pid && ask.op != BROKER_IPV6_ON);
	return 0;
}
