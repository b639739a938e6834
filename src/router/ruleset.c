/* SPDX-License-Identifier: Apache-2.0
 *
 * Builds our nft table as JSON text. Written as text, not as a tree: 10,000 elements need no 10,000 objects.
 */
#include "router/ruleset.h"

#include <inttypes.h>

#include "router/inner.h"

#define PRIORITY_BELOW_RAW (-310)
#define OBJ		   "\"family\":\"inet\",\"table\":\"" ROUTER_NFT_TABLE "\""

/* Collects the commands of one table. */
struct rules {
	struct buf b, raw;
	size_t n_rules;
};

static void command(struct rules *r, const char *kind, const char *fmt, ...) PRINTF(3, 4);
static void command(struct rules *r, const char *kind, const char *fmt, ...)
{
	va_list ap;
	autofree char *body = NULL;

	va_start(ap, fmt);
	if (vasprintf(&body, fmt, ap) < 0)
		abort();
	va_end(ap);
	buf_printf(&r->b, "%s{\"add\":{\"%s\":{" OBJ ",%s}}}", r->b.len ? "," : "", kind, body);
	if (str_eq(kind, "rule"))
		r->n_rules++;
}

static void chain(struct rules *r, const char *name, const char *hook, const char *type, int priority)
{
	if (hook)
		command(r, "chain", "\"name\":\"%s\",\"type\":\"%s\",\"hook\":\"%s\",\"prio\":%d,\"policy\":\"accept\"",
			name, type, hook, priority);
	else
		command(r, "chain", "\"name\":\"%s\"", name);
}

static void set(struct rules *r, struct nft_table *t, const char *name, uint8_t family, bool interval)
{
	command(r, "set", "\"name\":\"%s\",\"type\":\"%s\"%s", name, family == AF_INET ? "ipv4_addr" : "ipv6_addr",
		interval ? ",\"flags\":[\"interval\"]" : "");
	struct nft_set *s = xgrow(&t->sets, t->n_sets, &t->cap_sets);
	t->n_sets++;
	str_copy(s->name, name);
	s->family = family;
	s->interval = interval;
}

#define PAYLOAD(proto, field)  "{\"payload\":{\"protocol\":\"" proto "\",\"field\":\"" field "\"}}"
#define MATCH(left, right)     "{\"match\":{\"op\":\"==\",\"left\":" left ",\"right\":" right "}}"
#define RAW_SPORT	       "{\"payload\":{\"base\":\"th\",\"offset\":0,\"len\":16}}"
#define TUNNEL_FLAGS	       "{\"payload\":{\"base\":\"th\",\"offset\":64,\"len\":32}}"
#define TUNNEL_VNI	       "{\"payload\":{\"base\":\"th\",\"offset\":96,\"len\":24}}"
#define MATCH_NOT(left, right) "{\"match\":{\"op\":\"!=\",\"left\":" left ",\"right\":" right "}}"
#define OIFNAME		       "{\"meta\":{\"key\":\"oifname\"}}"
#define IIFNAME		       "{\"meta\":{\"key\":\"iifname\"}}"
#define IS_LOCAL	       MATCH("{\"fib\":{\"result\":\"type\",\"flags\":[\"daddr\"]}}", "\"local\"")

/*
 * Rewrites the prefix of an address ("saddr" or "daddr"), host bits kept; no conntrack, and the checksums follow
 * (nft_payload.c). @match: what else must be so, each with a comma behind it.
 */
static void rewrite(struct rules *r, const char *chain_name, const char *match, const char *field,
		    const struct prefix *from, const struct prefix *to)
{
	const char *proto = from->ip.family == AF_INET ? "ip" : "ip6";
	char a[IP_STRLEN], m[IP_STRLEN], t[IP_STRLEN];
	struct ip host_mask = {.family = from->ip.family};

	for (unsigned bit = from->len; bit < ip_bits(from->ip.family); bit++)
		host_mask.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	command(r, "rule",
		"\"chain\":\"%s\",\"expr\":[%s{\"match\":{\"op\":\"==\",\"left\":{\"payload\":{\"protocol\":\"%s\","
		"\"field\":\"%s\"}},\"right\":{\"prefix\":{\"addr\":\"%s\",\"len\":%u}}}},"
		"{\"mangle\":{\"key\":{\"payload\":{\"protocol\":\"%s\",\"field\":\"%s\"}},\"value\":{\"^\":[{\"&\":"
		"["
		"{\"payload\":{\"protocol\":\"%s\",\"field\":\"%s\"}},\"%s\"]},\"%s\"]}}}]",
		chain_name, match, proto, field, ip_format(&from->ip, a), from->len, proto, field, proto, field,
		ip_format(&host_mask, m), ip_format(&to->ip, t));
}

/* Ends a table: its fingerprint is a hash of all commands before it. */
static void finish(struct rules *r, struct nft_table *t)
{
	t->fingerprint = hash64(r->b.data, r->b.len, r->raw.len ? hash64(r->raw.data, r->raw.len, 0) : 0);
	if (!t->fingerprint)
		t->fingerprint = 1; /* 0 means: not known */
	chain(r, "fingerprint", NULL, NULL, 0);
	command(r, "rule",
		"\"chain\":\"fingerprint\",\"comment\":\"" ROUTER_ALIAS "%016" PRIx64 "\",\"expr\":[{\"return\":null}]",
		t->fingerprint);
	t->n_rules = r->n_rules;
	t->json = r->b.data;
	t->raw = r->raw;
	t->present = true;
}

/* No frame of our VNIs comes in or goes out in clear. Counted, so that one can see that somebody tries. */
static void guard_closed(struct rules *r, const struct ruleset_host *in)
{
	static const char *const ways[][2] = {{"prerouting", "," IS_LOCAL}, {"output", ""}};
	autobuf struct buf ours = {0};

	for (size_t i = 0; i < in->n_vnis; i++)
		buf_printf(&ours, "%s%" PRIu32, i ? "," : "", in->vnis[i].vni);
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		command(r, "rule",
			"\"chain\":\"%s\",\"expr\":[" MATCH(PAYLOAD("udp", "dport"), "%u") "%s," MATCH(
				TUNNEL_VNI, "{\"set\":[%s]}") ",{\"counter\":null},{\"drop\":null}]",
			ways[i][0], in->port, ways[i][1], ours.data);
}

static void guard(struct rules *r, struct nft_table *t, const struct ruleset_host *in)
{
	autobuf struct buf map = {0};

	for (size_t i = 0; i < in->n_vnis; i++) {
		char name[32];
		for (int six = 0; six < 2; six++) {
			str_print(name, "peers%d-%" PRIu32, six ? 6 : 4, in->vnis[i].vni);
			set(r, t, name, six ? AF_INET6 : AF_INET, false);
		}
		str_print(name, "vni-%" PRIu32, in->vnis[i].vni);
		chain(r, name, NULL, NULL, 0);
		command(r, "rule",
			"\"chain\":\"%s\",\"expr\":[" MATCH(PAYLOAD("ip", "saddr"),
							    "\"@peers4-%" PRIu32
							    "\"") ",{\"notrack\":null},{\"accept\":null}]",
			name, in->vnis[i].vni);
		command(r, "rule",
			"\"chain\":\"%s\",\"expr\":[" MATCH(PAYLOAD("ip6", "saddr"),
							    "\"@peers6-%" PRIu32
							    "\"") ",{\"notrack\":null},{\"accept\":null}]",
			name, in->vnis[i].vni);
		command(r, "rule", "\"chain\":\"%s\",\"expr\":[{\"drop\":null}]", name);
		buf_printf(&map, "%s[%" PRIu32 ",{\"jump\":{\"target\":\"%s\"}}]", map.len ? "," : "", in->vnis[i].vni,
			   name);
	}
	if (!map.len)
		return;
	/* VXLAN: 8 bytes UDP, 4 bytes flags, then 24 bits VNI (RFC 7348 section 5). */
	command(r, "rule",
		"\"chain\":\"prerouting\",\"expr\":[" MATCH(
			PAYLOAD("udp", "dport"), "%u") "," IS_LOCAL
						       ",{\"vmap\":{\"key\":{\"payload\":{\"base\":\"th\",\"offset\":"
						       "96,\"len\":24}},\"data\":{\"set\":[%s]}}}]",
		in->port, map.data);
	/*
	 * Nobody could say of which VNI a packet is that ends before it: a first fragment cut so short, to be put
	 * together behind us where nothing tracks connections. No VXLAN datagram is that short, whoever sends it.
	 */
	command(r, "rule",
		"\"chain\":\"prerouting\",\"expr\":[" MATCH(
			PAYLOAD("udp", "dport"), "%u") "," IS_LOCAL
						       ",{\"match\":{\"op\":\">=\",\"left\":{\"payload\":{\"base\":"
						       "\"th\",\"offset\":96,\"len\":24}},\"right\":0}},"
						       "{\"accept\":null}]",
		in->port);
	command(r, "rule",
		"\"chain\":\"prerouting\",\"expr\":[" MATCH(PAYLOAD("udp", "dport"), "%u") "," IS_LOCAL
											   ",{\"drop\":null}]",
		in->port);
	/* What we send is not tracked either, by VNI for the same reason. */
	autobuf struct buf ours = {0};
	for (size_t i = 0; i < in->n_vnis; i++)
		buf_printf(&ours, "%s%" PRIu32, i ? "," : "", in->vnis[i].vni);
	/*
	 * Whatever port such a peer has published: the flags tell VXLAN (0x08000000) as well. The source port is
	 * written as raw bytes, which leaves the checksum as it is: there is none, see desired_make_alone().
	 */
	for (unsigned bit = 1; in->epochs && bit < EPOCHS; bit <<= 1) {
		char name[32];
		str_print(name, "epoch4-%u", bit);
		set(r, t, name, AF_INET, false);
		command(r, "rule",
			"\"chain\":\"output\",\"expr\":[" MATCH(PAYLOAD("ip", "daddr"), "\"@%s\"") "," MATCH(
				"{\"meta\":{\"key\":\"l4proto\"}}",
				"\"udp\"") "," MATCH(TUNNEL_FLAGS,
						     "134217728") "," MATCH(TUNNEL_VNI,
									    "{\"set\":[%s]}") ","
											      "{\"mangle\":{"
											      "\"key\":" RAW_SPORT
											      ",\"value\":{\"^\":"
											      "[" RAW_SPORT ",%u]}}}]",
			name, ours.data, bit * SOURCE_PORTS);
	}
	command(r, "rule",
		"\"chain\":\"output\",\"expr\":[" MATCH(PAYLOAD("udp", "dport"), "%u") "," MATCH(
			TUNNEL_VNI, "{\"set\":[%s]}") ",{\"notrack\":null}]",
		in->port, ours.data);
}

void ruleset_host(const struct ruleset_host *in, struct nft_table *t)
{
	struct rules r = {0};

	chain(&r, "prerouting", "prerouting", "filter", PRIORITY_BELOW_RAW);
	chain(&r, "output", "output", "filter", PRIORITY_BELOW_RAW);
	set(&r, t, "overlay4", AF_INET, true);
	set(&r, t, "overlay6", AF_INET6, true);
	if (in->closed)
		guard_closed(&r, in);
	else
		guard(&r, t, in);
	/* For this host itself: the host's own firewall may count on connection tracking. */
	command(&r, "rule", "\"chain\":\"prerouting\",\"expr\":[" IS_LOCAL ",{\"accept\":null}]");
	command(&r, "rule",
		"\"chain\":\"prerouting\",\"expr\":[" MATCH(PAYLOAD("ip", "saddr"), "\"@overlay4\"") "," MATCH(
			PAYLOAD("ip", "daddr"), "\"@overlay4\"") ",{\"notrack\":null}]");
	command(&r, "rule",
		"\"chain\":\"prerouting\",\"expr\":[" MATCH(PAYLOAD("ip6", "saddr"), "\"@overlay6\"") "," MATCH(
			PAYLOAD("ip6", "daddr"), "\"@overlay6\"") ",{\"notrack\":null}]");
	for (size_t i = 0; i < in->n_shadows; i++) {
		char match[128];
		str_print(match, MATCH(IIFNAME, "\"%s\"") ",", in->shadows[i].bridge);
		rewrite(&r, "prerouting", match, "daddr", &in->shadows[i].real, &in->shadows[i].shadow);
	}
	for (size_t i = 0; i < in->n_bridges; i++) {
		command(&r, "rule",
			"\"chain\":\"output\",\"expr\":[" MATCH("{\"meta\":{\"key\":\"oifname\"}}", "\"%s\"") "," MATCH(
				PAYLOAD("icmp", "type"), "\"redirect\"") ",{\"drop\":null}]",
			in->bridges[i]);
		command(&r, "rule",
			"\"chain\":\"output\",\"expr\":[" MATCH("{\"meta\":{\"key\":\"oifname\"}}", "\"%s\"") "," MATCH(
				PAYLOAD("icmpv6", "type"), "\"nd-redirect\"") ",{\"drop\":null}]",
			in->bridges[i]);
	}
	finish(&r, t);
}

/* The path's MTU is known here and nowhere else: hold TCP to it from its first packet on. */
static void clamp_mss(struct rules *r)
{
	chain(r, "forward", "forward", "filter", 0);
	command(r, "rule",
		"\"chain\":\"forward\",\"expr\":[{\"match\":{\"op\":\"in\",\"left\":" PAYLOAD(
			"tcp", "flags") ",\"right\":\"syn\"}},{\"mangle\":{\"key\":{\"tcp "
					"option\":{\"name\":\"maxseg\",\"field\":\"size\"}},"
					"\"value\":{\"rt\":{\"key\":\"mtu\"}}}}]");
}

/* struct mapper - The rules for mapped subnets in one namespace */
struct mapper {
	const struct ruleset_mapped *v;
	size_t n;
	/* matches, with a comma behind each: comes from a stack, leaves for one */
	const char *from_stack, *to_stack;
	const char *unheld; /* sets that a subnet which is not held is mapped for, without 4 or 6; NULL: everything */
	bool router_is_gateway; /* has the first address of a stack's subnet, see alone.c */
};

/* The set that the other end must be in, or NULL */
static const char *map_set(const struct mapper *m, const struct ruleset_mapped *at, char name[static 16])
{
	const char *base = at->held ? "mapped" : m->unheld;

	if (!base)
		return NULL;
	snprintf(name, 16, "%s%d", base, at->subnet.ip.family == AF_INET ? 4 : 6);
	return name;
}

static void map_source(struct rules *r, const struct mapper *m, const char *chain_name, const char *match)
{
	for (size_t i = 0; i < m->n; i++) {
		const char *proto = m->v[i].subnet.ip.family == AF_INET ? "ip" : "ip6";
		char name[16];
		const char *other = map_set(m, &m->v[i], name);
		autobuf struct buf all = {0};
		buf_puts(&all, match);
		if (other)
			buf_printf(&all,
				   MATCH("{\"payload\":{\"protocol\":\"%s\",\"field\":\"daddr\"}}", "\"@%s\"") ",",
				   proto, other);
		rewrite(r, chain_name, all.data, "saddr", &m->v[i].subnet, &m->v[i].as);
	}
}

/* What is for this namespace itself must be so before routing. */
static void map_gateway(struct rules *r, const struct mapper *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct prefix real = m->v[i].subnet, as = m->v[i].as;
		uint8_t last = (uint8_t)(ip_size(real.ip.family) - 1);
		real.len = as.len = ip_bits(real.ip.family);
		real.ip.b[last] |= 1;
		as.ip.b[last] |= 1;
		rewrite(r, "prerouting", "", "daddr", &as, &real);
	}
}

/* RFC 792: unreachable, time exceeded, parameter problem. RFC 4443: these, and packet too big */
#define ERRORS4 MATCH(PAYLOAD("icmp", "type"), "{\"set\":[3,11,12]}")
#define ERRORS6 MATCH(PAYLOAD("icmpv6", "type"), "{\"set\":[1,2,3,4]}")

static void map_errors(struct rules *r, const char *chain_name, const char *match, const char *direction)
{
	command(r, "rule", "\"chain\":\"%s\",\"expr\":[%s" ERRORS4 ",{\"jump\":{\"target\":\"errors4-%s\"}}]",
		chain_name, match, direction);
	command(r, "rule", "\"chain\":\"%s\",\"expr\":[%s" ERRORS6 ",{\"jump\":{\"target\":\"errors6-%s\"}}]",
		chain_name, match, direction);
}

static void map_inner(struct rules *r, const struct mapper *m)
{
	for (size_t i = 0; i < m->n; i++) {
		bool v4 = m->v[i].subnet.ip.family == AF_INET;
		char name[16];
		const struct inner_rule from = {.chain = v4 ? "errors4-from" : "errors6-from",
						.set = map_set(m, &m->v[i], name),
						.from = m->v[i].subnet,
						.to = m->v[i].as};
		const struct inner_rule to = {.chain = v4 ? "errors4-to" : "errors6-to",
					      .source = true,
					      .from = m->v[i].as,
					      .to = m->v[i].subnet};
		inner_encode(&r->raw, &from);
		inner_encode(&r->raw, &to);
		r->n_rules += 2;
	}
}

/*
 * The chains "prerouting" and "output" must be there. What this namespace itself says in an error passes output alone:
 * a container that does not answer is missed after its address has become the true one.
 */
static void map(struct rules *r, struct nft_table *t, const struct mapper *m)
{
	static const char *const chains[] = {"errors4-from", "errors6-from", "errors4-to", "errors6-to"};

	set(r, t, "mapped4", AF_INET, true);
	set(r, t, "mapped6", AF_INET6, true);
	for (int six = 0; m->unheld && six < 2; six++) {
		char name[16];
		str_print(name, "%s%d", m->unheld, six ? 6 : 4);
		set(r, t, name, six ? AF_INET6 : AF_INET, true);
	}
	for (size_t i = 0; i < ARRAY_LEN(chains); i++)
		chain(r, chains[i], NULL, NULL, 0);
	chain(r, "to-stack", "postrouting", "filter", PRIORITY_BELOW_RAW);
	map_source(r, m, "prerouting", m->from_stack);
	if (m->router_is_gateway) {
		map_source(r, m, "output", "");
		map_gateway(r, m);
	}
	for (size_t i = 0; i < m->n; i++)
		rewrite(r, "to-stack", "", "daddr", &m->v[i].as, &m->v[i].subnet);
	map_errors(r, "prerouting", m->from_stack, "from");
	map_errors(r, "output", "", "from");
	map_errors(r, "to-stack", m->to_stack, "to");
	map_inner(r, m);
}

void ruleset_alone(const struct ruleset_alone *alone, struct nft_table *t)
{
	struct rules r = {0};
	struct ruleset_host in = {.vnis = &alone->vni, .n_vnis = 1, .port = alone->vni.port, .epochs = alone->epochs};
	char a[IP_STRLEN], from_stack[128], to_stack[128];

	chain(&r, "prerouting", "prerouting", "filter", PRIORITY_BELOW_RAW);
	chain(&r, "output", "output", "filter", PRIORITY_BELOW_RAW);
	guard(&r, t, &in);
	clamp_mss(&r);
	chain(&r, "postrouting", "postrouting", "nat", 100);
	for (size_t i = 0; i < alone->n_stack; i++)
		command(&r, "rule",
			"\"chain\":\"postrouting\",\"expr\":[" MATCH(
				"{\"meta\":{\"key\":\"oifname\"}}",
				"\"%s\"") "," MATCH("{\"payload\":{\"protocol\":\"%s\",\"field\":\"saddr\"}}",
						    "{\"prefix\":{\"addr\":\"%s\",\"len\":%u}}") ",{\"masquerade\":"
												 "null}]",
			alone->uplink_dev, alone->stack[i].ip.family == AF_INET ? "ip" : "ip6",
			ip_format(&alone->stack[i].ip, a), alone->stack[i].len);
	/* Its stack has other things to say than to the overlay: those go out with the true address. */
	str_print(from_stack, MATCH(IIFNAME, "\"%s\"") ",", alone->stack_dev);
	str_print(to_stack, MATCH(OIFNAME, "\"%s\"") ",", alone->stack_dev);
	if (alone->n_mapped)
		map(&r, t,
		    &(struct mapper){.v = alone->mapped,
				     .n = alone->n_mapped,
				     .from_stack = from_stack,
				     .to_stack = to_stack,
				     .unheld = "members",
				     .router_is_gateway = true});
	finish(&r, t);
}

void ruleset_router(const struct ruleset_router *in, struct nft_table *t)
{
	struct rules r = {0};
	char from_stack[128] = "", to_stack[128] = "";

	clamp_mss(&r);
	if (in->n_shadows || in->n_mapped)
		chain(&r, "prerouting", "prerouting", "filter", PRIORITY_BELOW_RAW);
	for (size_t i = 0; i < in->n_shadows; i++) {
		bool again = false; /* one real prefix has one shadow, whoever asks for it */
		for (size_t j = 0; j < i && !again; j++)
			again = prefix_cmp(&in->shadows[j].shadow, &in->shadows[i].shadow) == 0;
		if (!again)
			rewrite(&r, "prerouting", "", "daddr", &in->shadows[i].shadow, &in->shadows[i].real);
	}
	if (in->tunnel[0]) {
		str_print(from_stack, MATCH_NOT(IIFNAME, "\"%s\"") ",", in->tunnel);
		str_print(to_stack, MATCH_NOT(OIFNAME, "\"%s\"") ",", in->tunnel);
	}
	if (in->n_mapped) {
		chain(&r, "output", "output", "filter", PRIORITY_BELOW_RAW);
		map(&r, t,
		    &(struct mapper){
			    .v = in->mapped, .n = in->n_mapped, .from_stack = from_stack, .to_stack = to_stack});
	}
	finish(&r, t);
}

/* From one host to another that does not reach it; each prefix is of one session's hosts */
static void relay_rule(struct rules *r, const char *chain_name, const struct prefix *p, const char *untracked)
{
#define WITHIN "{\"prefix\":{\"addr\":\"%s\",\"len\":%u}}"
	char a[IP_STRLEN];
	const char *ip = ip_format(&p->ip, a);

	command(r, "rule",
		"\"chain\":\"%s\",\"expr\":[" MATCH(PAYLOAD("ip6", "saddr"), WITHIN) "," MATCH(
			PAYLOAD("ip6", "daddr"), WITHIN) ",%s{\"accept\":null}]",
		chain_name, ip, p->len, ip, p->len, untracked);
#undef WITHIN
}

void ruleset_wireguard(const struct ruleset_wireguard *in, struct nft_table *t)
{
	struct rules r = {0};

	chain(&r, "prerouting", "prerouting", "filter", PRIORITY_BELOW_RAW);
	chain(&r, "output", "output", "filter", PRIORITY_BELOW_RAW);
	chain(&r, "forward", "forward", "filter", 0);
	guard(&r, t, &in->host);
	for (size_t i = 0; i < in->n_relayed; i++) {
		relay_rule(&r, "prerouting", in->relayed[i], "{\"notrack\":null},");
		relay_rule(&r, "forward", in->relayed[i], "");
	}
	/* What is left is for nobody here, but errors (ICMPv6; by number, the name needs /etc/protocols): a path's MTU
	 * must be learned. */
	for (size_t i = 0; i < in->n_devices; i++)
		command(&r, "rule",
			"\"chain\":\"prerouting\",\"expr\":[" MATCH(IIFNAME, "\"%s\"") "," MATCH_NOT(
				"{\"meta\":{\"key\":\"l4proto\"}}", "58") ",{\"drop\":null}]",
			in->devices[i]);
	command(&r, "rule", "\"chain\":\"forward\",\"expr\":[{\"drop\":null}]");
	finish(&r, t);
}

static void element_list(struct buf *b, const char *verb, const struct nft_set *s, const struct prefix *v, size_t n)
{
	char a[IP_STRLEN];

	if (!n)
		return;
	buf_printf(b, ",{\"%s\":{\"element\":{" OBJ ",\"name\":\"%s\",\"elem\":[", verb, s->name);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_puts(b, ",");
		if (s->interval)
			buf_printf(b, "{\"prefix\":{\"addr\":\"%s\",\"len\":%u}}", ip_format(&v[i].ip, a), v[i].len);
		else
			buf_printf(b, "\"%s\"", ip_format(&v[i].ip, a));
	}
	buf_puts(b, "]}}}");
}

#define TABLE_COMMAND(verb) "{\"" verb "\":{\"table\":{\"family\":\"inet\",\"name\":\"" ROUTER_NFT_TABLE "\"}}}"

char *ruleset_replace(const struct nft_table *t, bool elements)
{
	struct buf b = {0};

	/* "add" before "delete": it must not fail when there is none. One transaction: there is never a moment without.
	 */
	buf_puts(&b, "{\"nftables\":[" TABLE_COMMAND("add") "," TABLE_COMMAND("delete") "," TABLE_COMMAND("add") ",");
	buf_puts(&b, t->json);
	for (size_t i = 0; elements && i < t->n_sets; i++)
		element_list(&b, "add", &t->sets[i], t->sets[i].v, t->sets[i].n);
	buf_puts(&b, "]}");
	return b.data;
}

char *ruleset_elements(const struct nft_table *desired, const struct nft_table *actual)
{
	struct buf b = {0};

	for (size_t i = 0; i < desired->n_sets; i++) {
		const struct nft_set *d = &desired->sets[i], *a = nft_table_set((struct nft_table *)actual, d->name);
		static const struct nft_set none;
		size_t n_add = 0, n_remove = 0, x = 0, y = 0;
		if (!a)
			a = &none;
		struct prefix *add = xcalloc(d->n + 1, sizeof(*add)), *remove = xcalloc(a->n + 1, sizeof(*remove));
		while (x < d->n || y < a->n) {
			int c = x == d->n ? 1 : y == a->n ? -1 : prefix_cmp(&d->v[x], &a->v[y]);
			if (c < 0)
				add[n_add++] = d->v[x];
			else if (c > 0)
				remove[n_remove++] = a->v[y];
			x += c <= 0;
			y += c >= 0;
		}
		element_list(&b, "delete", d, remove, n_remove);
		element_list(&b, "add", d, add, n_add);
		free(add);
		free(remove);
	}
	if (!b.len)
		return NULL;
	char *json = xasprintf("{\"nftables\":[%s]}", b.data + 1); /* without the first comma */
	buf_done(&b);
	return json;
}

char *ruleset_remove(void)
{
	return xstrdup("{\"nftables\":[" TABLE_COMMAND("add") "," TABLE_COMMAND("delete") "]}");
}
