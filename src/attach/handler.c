/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router-dhcp: what udhcpc and dhcpcd run at every event, in the container's network namespace. It understands
 * nothing: the event and what the client put into the environment go as one message to descriptor 5, where the role
 * attach judges them (lease.h). A program of a few system calls, since it runs for every renewal of every container.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "io/dhcp_events.h"

static const char *const names[] = {
	/* of udhcpc */
	"ip", "mask", "router", "staticroutes", "dns", "domain", "mtu", "lease", "serverid",
	/* of dhcpcd, for DHCPv6: a server may give several addresses, and let some of them end */
	"new_dhcp6_ia_na1_ia_addr1", "new_dhcp6_ia_na1_ia_addr1_vltime", "new_dhcp6_ia_na1_ia_addr2",
	"new_dhcp6_ia_na1_ia_addr2_vltime", "new_dhcp6_ia_na1_ia_addr3", "new_dhcp6_ia_na1_ia_addr3_vltime",
	"new_dhcp6_name_servers", "new_dhcp6_domain_search"};

static size_t put(char *out, size_t at, const char *a, const char *b, const char *c)
{
	size_t n = strlen(a) + strlen(b) + strlen(c) + 1;

	if (at + n > DHCP_EVENT_BYTES)
		return at; /* better without it than not at all */
	snprintf(out + at, n, "%s%s%s", a, b, c);
	return at + n;
}

int main(int argc, char **argv)
{
	const char *event = argc >= 2 ? argv[1] : getenv("reason"); /* dhcpcd has it in the environment */
	char out[DHCP_EVENT_BYTES];
	size_t at;

	if (!event || strlen(event) > 32)
		return 2;
	at = put(out, 0, event, "", "");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value)
			at = put(out, at, names[i], "=", value);
	}
	while (send(DHCP_EVENTS_FD, out, at, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return 1;
	return 0;
}
