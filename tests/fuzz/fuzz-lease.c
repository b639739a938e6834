/* SPDX-License-Identifier: Apache-2.0
 *
 * The DHCP handler's message: 'm' and the message, '6' of a client of DHCPv6; and what the broker takes for arguments
 * of a client: 'a' and lines.
 */
#include <assert.h>

#include "attach/lease.h"
#include "io/dhcp_child.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void message(enum lease_kind kind, const uint8_t *data, size_t size)
{
	bool six = kind == LEASE_DHCP6;
	struct att_lease l = {0};
	struct err err = {0};
	int rc = lease_parse(kind, data, size, &l, &err);

	if (rc < 0)
		assert(err.text[0] && ip_is_none(&l.address.ip));
	if (rc != LEASE_BOUND)
		return;
	assert(l.kind == kind && l.address.ip.family == (six ? AF_INET6 : AF_INET));
	assert(l.address.len > 0 && l.address.len <= (six ? 128 : 32));
	assert(!ip_is_multicast(&l.address.ip) && !ip_is_unspecified(&l.address.ip));
	assert(l.seconds >= LEASE_SECONDS_MIN && l.n_routes <= LIMIT_NIC_ROUTES && l.n_dns <= LIMIT_DNS);
	assert(!strpbrk(l.domain, " \n;$"));
}

static void arguments(const char *text, size_t size)
{
	struct dhcp_args a = {0};

	if (dhcp_args_parse(text, size, &a, NULL) < 0)
		return;
	assert(!strpbrk(a.hostname, " \n;:/'\"") && a.hostname[0] != '-');
	assert(strspn(a.client_id, "0123456789abcdef") == strlen(a.client_id));
	assert(strspn(a.duid, "0123456789abcdef") == strlen(a.duid));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree uint8_t *copy = NULL;

	if (size < 1)
		return 0;
	copy = xmemdup(data + 1, size - 1); /* of its exact size: reading behind it is seen */
	if (data[0] == 'm')
		message(LEASE_DHCP, copy, size - 1);
	else if (data[0] == '6')
		message(LEASE_DHCP6, copy, size - 1);
	else if (data[0] == 'a')
		arguments((const char *)copy, size - 1);
	return 0;
}
