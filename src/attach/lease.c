/* SPDX-License-Identifier: Apache-2.0
 *
 * A DHCP lease from the handler's message; see lease.h.
 */
#include "attach/lease.h"

#define PAIRS 24

struct pairs {
	const char *name[PAIRS], *value[PAIRS];
	size_t n;
};

static const char *get(const struct pairs *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++) {
		size_t len = strlen(name);

		if (strncmp(p->name[i], name, len) == 0 && p->name[i][len] == '=')
			return p->value[i];
	}
	return "";
}

/* The next of words with blanks between, or "" */
static const char *word(const char **s, char ret[static 64])
{
	size_t len;

	*s += strspn(*s, " ");
	len = strcspn(*s, " ");
	snprintf(ret, 64, "%.*s", len < 64 ? (int)len : 0, *s);
	*s += len;
	return ret;
}

static bool host_address(const struct ip *ip)
{
	return ip->family == AF_INET && !ip_is_unspecified(ip) && !ip_is_multicast(ip) && !ip_is_loopback(ip) &&
	       ip->b[0] != 0 && ip->b[0] < 240;
}

static bool host_address6(const struct ip *ip)
{
	return ip->family == AF_INET6 && !ip_is_unspecified(ip) && !ip_is_multicast(ip) && !ip_is_loopback(ip) &&
	       !ip_is_link_local(ip);
}

PRINTF(2, 3)
static void skipped(struct att_lease *l, const char *fmt, ...)
{
	va_list ap;

	if (l->why[0]) /* the first says enough */
		return;
	va_start(ap, fmt);
	vsnprintf(l->why, sizeof(l->why), fmt, ap);
	va_end(ap);
}

static int address_parse(const struct pairs *p, struct att_lease *l, struct err *err)
{
	uint64_t len;

	if (ip_parse(get(p, "ip"), &l->address.ip) < 0 || !host_address(&l->address.ip))
		return err_set(err, -EINVAL, "the server gave no address that a host can have");
	/* busybox makes "mask" of the option: its number of bits */
	if (parse_u64(get(p, "mask"), 1, 32, &len) < 0)
		return err_set(err, -EINVAL, "the server gave no subnet mask that can be used");
	l->address.len = (uint8_t)len;
	if (len < 31) {
		struct prefix net = prefix_mask(l->address);
		struct ip last = prefix_last(&l->address);

		if (ip_cmp(&net.ip, &l->address.ip) == 0 || ip_cmp(&last, &l->address.ip) == 0)
			return err_set(err, -EINVAL, "the server gave the address of a whole subnet");
	}
	return 0;
}

/* Is it a neighbour? With a mask of 32 bits everybody is, as some providers have it */
static bool reachable(const struct att_lease *l, const struct ip *via)
{
	struct prefix net = prefix_mask(l->address);

	return host_address(via) && ip_cmp(via, &l->address.ip) != 0 &&
	       (l->address.len == 32 || prefix_has_ip(&net, via));
}

static void gateway_parse(const struct pairs *p, struct att_lease *l)
{
	const char *s = get(p, "router");
	char text[64];
	struct ip ip;

	if (!*word(&s, text))
		return;
	if (ip_parse(text, &ip) < 0 || !reachable(l, &ip))
		skipped(l, "its gateway is not in the subnet that it gave");
	else
		l->gateway = ip;
}

/* "10.0.0.0/8 192.0.2.1 0.0.0.0/0 192.0.2.1": where they are given, the gateway is one of them (RFC 3442) */
static void routes_parse(const struct pairs *p, struct att_lease *l)
{
	const char *s = get(p, "staticroutes");
	char to[64], via[64];

	while (*word(&s, to) && *word(&s, via)) {
		struct nic_route r = {0};

		if (l->n_routes >= LIMIT_NIC_ROUTES) {
			skipped(l, "more than %d routes", LIMIT_NIC_ROUTES);
			return;
		}
		if (prefix_parse(to, &r.to) < 0 || r.to.ip.family != AF_INET || ip_parse(via, &r.via) < 0 ||
		    r.via.family != AF_INET || ip_is_multicast(&r.to.ip) || ip_is_loopback(&r.to.ip)) {
			skipped(l, "a route that is none");
			continue;
		}
		r.to = prefix_mask(r.to);
		if (ip_is_unspecified(&r.via)) {
			r.via = (struct ip){0};
		} else if (!reachable(l, &r.via)) {
			skipped(l, "a route by a gateway that is not in the subnet");
			continue;
		}
		l->routes[l->n_routes++] = r;
	}
	if (l->n_routes)
		l->gateway = (struct ip){0};
}

static void dns_parse(const char *s, const char *domain, struct att_lease *l)
{
	char text[64];

	while (*word(&s, text) && l->n_dns < LIMIT_DNS) {
		struct ip ip;

		if (ip_parse(text, &ip) < 0 || ip_is_unspecified(&ip) || ip_is_multicast(&ip))
			skipped(l, "a name server that is no address");
		else
			l->dns[l->n_dns++] = ip;
	}
	/* it goes into a file of the container, word by word */
	if (strspn(domain, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == strlen(domain) &&
	    strlen(domain) < sizeof(l->domain) && domain[0] != '.' && domain[0] != '-')
		str_copy(l->domain, domain);
	else
		skipped(l, "a domain that is none");
}

static void seconds_take(uint64_t n, struct att_lease *l)
{
	if (n < LEASE_SECONDS_MIN)
		skipped(l, "a lease of %u seconds", (unsigned)n);
	l->seconds = n < LEASE_SECONDS_MIN ? LEASE_SECONDS_MIN : (uint32_t)n;
}

static int bound_parse(const struct pairs *p, struct att_lease *ret, struct err *err)
{
	struct att_lease l = {.kind = LEASE_DHCP};
	uint64_t n;
	int rc = address_parse(p, &l, err);

	if (rc < 0)
		return rc;
	if (ip_parse(get(p, "serverid"), &l.server) < 0 || !host_address(&l.server))
		l.server = (struct ip){0};
	gateway_parse(p, &l);
	routes_parse(p, &l);
	dns_parse(get(p, "dns"), get(p, "domain"), &l);
	l.seconds = UINT32_MAX; /* as of BOOTP: for ever */
	if (parse_u64(get(p, "lease"), 0, UINT32_MAX, &n) == 0)
		seconds_take(n, &l);
	if (parse_u64(get(p, "mtu"), 576, 65535, &n) == 0)
		l.mtu = (uint32_t)n;
	else if (*get(p, "mtu"))
		skipped(&l, "an MTU that is none");
	*ret = l;
	return 0;
}

/* Only the address: prefix and default route of IPv6 come by router advertisement */
static int bound6_parse(const struct pairs *p, struct att_lease *ret, struct err *err)
{
	static const char *const names[][2] = {{"new_dhcp6_ia_na1_ia_addr1", "new_dhcp6_ia_na1_ia_addr1_vltime"},
					       {"new_dhcp6_ia_na1_ia_addr2", "new_dhcp6_ia_na1_ia_addr2_vltime"},
					       {"new_dhcp6_ia_na1_ia_addr3", "new_dhcp6_ia_na1_ia_addr3_vltime"}};
	const char *domains = get(p, "new_dhcp6_domain_search");
	struct att_lease l = {.kind = LEASE_DHCP6};
	char domain[64];
	uint64_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(names) && ip_is_none(&l.address.ip); i++) {
		struct ip ip;

		/* one with no time left is one that the server takes back */
		if (ip_parse(get(p, names[i][0]), &ip) == 0 && host_address6(&ip) &&
		    parse_u64(get(p, names[i][1]), 1, UINT32_MAX, &n) == 0)
			l.address = (struct prefix){.ip = ip, .len = 128};
	}
	if (ip_is_none(&l.address.ip))
		return err_set(err, -EINVAL, "the server gave no address of IPv6 that a host can have");
	seconds_take(n, &l);
	dns_parse(get(p, "new_dhcp6_name_servers"), word(&domains, domain), &l);
	*ret = l;
	return 0;
}

static enum lease_event event_of(enum lease_kind kind, const char *event)
{
	if (str_eq(event, "broken"))
		return LEASE_BROKEN;
	if (kind == LEASE_DHCP6)
		return str_eq(event, "BOUND6") || str_eq(event, "RENEW6") || str_eq(event, "REBIND6") ||
				       str_eq(event, "REBOOT6")
			       ? LEASE_BOUND
			       : LEASE_OTHER;
	if (str_eq(event, "bound") || str_eq(event, "renew"))
		return LEASE_BOUND;
	if (str_eq(event, "deconfig"))
		return LEASE_DECONFIG;
	if (str_eq(event, "nak"))
		return LEASE_NAK;
	return str_eq(event, "leasefail") ? LEASE_FAIL : LEASE_OTHER;
}

int lease_parse(enum lease_kind kind, const void *data, size_t len, struct att_lease *ret, struct err *err)
{
	enum lease_event what;
	const char *text = data, *end = text + len;
	struct pairs p = {.n = 0};
	const char *event = text;

	if (len < 2 || end[-1] != '\0')
		return err_set(err, -EINVAL, "not a message of the handler");
	for (const char *s = text + strlen(text) + 1; s < end && p.n < PAIRS; s += strlen(s) + 1) {
		const char *eq = strchr(s, '=');

		if (!eq)
			return err_set(err, -EINVAL, "not a message of the handler");
		p.name[p.n] = s;
		p.value[p.n++] = eq + 1;
	}
	what = event_of(kind, event);
	if (what == LEASE_BOUND) {
		int rc = kind == LEASE_DHCP6 ? bound6_parse(&p, ret, err) : bound_parse(&p, ret, err);

		return rc < 0 ? rc : LEASE_BOUND;
	}
	if (what == LEASE_BROKEN)
		str_print(ret->why, "%s", get(&p, "why"));
	return (int)what;
}
