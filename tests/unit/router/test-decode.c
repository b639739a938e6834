/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding without a kernel: what encode.c writes is read back; every message cut at every length, and with every
 * length field spoiled, is survived (under ASan that means: nothing behind it was read); nf_tables elements become
 * prefixes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h> /* before the kernel's headers, which know of it */

#include <cmocka.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#include "router/decode.h"
#include "router/encode.h"

struct message {
	_Alignas(struct nlmsghdr) char bytes[4096];
};

static struct nlmsghdr *begin(struct message *m, uint16_t type)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(m->bytes);

	nlh->nlmsg_type = type;
	return nlh;
}

static struct nlmsghdr *entry_message(struct message *m, const struct entry *e, bool remove)
{
	struct nlmsghdr *nlh = begin(m, encode_entry_head(e, remove).type);

	encode_entry(nlh, e, 7, remove);
	return nlh;
}

static struct entry entry(uint8_t type, const char *dst, const char *via)
{
	struct entry e = {.type = type};
	struct prefix p;
	struct ip ip;

	if (dst) {
		assert_int_equal(prefix_parse(dst, &p), 0);
		e.family = p.ip.family;
		memcpy(e.dst, p.ip.b, 16);
		if (type != ENTRY_NEIGH)
			e.len = p.len;
	}
	if (via) {
		assert_int_equal(ip_parse(via, &ip), 0);
		e.via_family = ip.family;
		memcpy(e.via, ip.b, 16);
	}
	if (type == ENTRY_NEIGH || type == ENTRY_FDB)
		e.mac = (struct mac){{2, 0, 0, 0, 0, 7}};
	if (type == ENTRY_ROUTE || type == ENTRY_RULE)
		e.table = 4711;
	return e;
}

static size_t samples(struct entry out[static 12])
{
	size_t n = 0;

	out[n++] = entry(ENTRY_ADDR, "10.9.0.1/24", NULL);
	out[n++] = entry(ENTRY_ADDR, "fe80::7/64", NULL);
	out[n++] = entry(ENTRY_NEIGH, "10.9.0.2", NULL);
	out[n++] = entry(ENTRY_NEIGH, "fe80::2", NULL);
	out[n++] = entry(ENTRY_FDB, NULL, "192.0.2.2");
	out[n] = entry(ENTRY_FDB, NULL, "2001:db8::2");
	out[n++].pref = 14789;
	out[n] = entry(ENTRY_ROUTE, "10.72.0.0/24", "fe80::2");
	out[n].onlink = 1;
	out[n].mtu = 1400;
	out[n++].src[0] = 10;
	out[n++] = entry(ENTRY_ROUTE, "10.72.0.0/24", "10.9.0.2");
	out[n++] = entry(ENTRY_ROUTE, "2001:db8::/32", "fe80::2");
	out[n++] = entry(ENTRY_ROUTE, "0.0.0.0/0", NULL);
	out[n] = entry(ENTRY_RULE, "10.0.0.0/8", NULL);
	out[n].pref = 90;
	str_copy(out[n++].dev, "br-0123456789ab");
	out[n] = entry(ENTRY_RULE, "::/0", NULL);
	out[n++].pref = 91;
	return n;
}

static void test_entries_come_back(void **state)
{
	struct entry e[12];
	struct message m;
	struct decoded d;
	size_t n = samples(e);

	for (size_t i = 0; i < n; i++) {
		decode_rt(entry_message(&m, &e[i], false), &d);
		assert_int_equal(d.kind, DECODED_ENTRY);
		assert_false(d.removed);
		assert_true(entry_same(&d.entry, &e[i]));
		assert_int_equal(d.ours,
				 e[i].type == ENTRY_NEIGH || e[i].type == ENTRY_ROUTE || e[i].type == ENTRY_RULE);
		assert_int_equal(d.ifindex, e[i].type == ENTRY_RULE ? 0 : 7);
		decode_rt(entry_message(&m, &e[i], true), &d);
		assert_true(d.kind == DECODED_ENTRY && d.removed);
	}
}

static struct nlmsghdr *link_message(struct message *m, const struct link *l)
{
	struct nlmsghdr *nlh = begin(m, RTM_NEWLINK);

	encode_link_add(nlh, l, -1, NULL, -1);
	((struct ifinfomsg *)NLMSG_DATA(nlh))->ifi_index = 7;
	mnl_attr_put_str(nlh, IFLA_IFALIAS, ROUTER_ALIAS "leg");
	mnl_attr_put_u32(nlh, IFLA_MASTER, 5);
	mnl_attr_put_u32(nlh, IFLA_LINK, 9);
	return nlh;
}

static struct link vxlan(void)
{
	struct link l = {.name = "vx1000", .kind = LINK_VXLAN, .mtu = 1450, .mac = {{2, 0, 0, 0, 0, 1}}};

	l.vxlan.vni = 1000;
	l.vxlan.port = 4789;
	l.vxlan.src_low = 3000;
	l.vxlan.src_high = 4000;
	assert_int_equal(ip_parse("2001:db8::1", &l.vxlan.local), 0);
	return l;
}

static void test_link(void **state)
{
	struct message m;
	struct decoded d;
	struct link l = vxlan();
	struct nlmsghdr *nlh = link_message(&m, &l);

	decode_rt(nlh, &d);
	assert_int_equal(d.kind, DECODED_LINK);
	assert_int_equal(d.ifindex, 7);
	assert_int_equal(d.master, 5);
	assert_int_equal(d.link.peer_ifindex, 9);
	assert_string_equal(d.link.name, "vx1000");
	assert_string_equal(d.link.alias, ROUTER_ALIAS "leg");
	assert_int_equal(d.link.kind, LINK_VXLAN);
	assert_int_equal(d.link.vxlan.vni, 1000);
	assert_int_equal(d.link.vxlan.port, 4789);
	assert_int_equal(d.link.vxlan.src_high, 4000);
	assert_int_equal(ip_cmp(&d.link.vxlan.local, &l.vxlan.local), 0);
	assert_int_equal(mac_cmp(&d.link.mac, &l.mac), 0);

	/* a port that leaves a bridge is told as RTM_DELLINK of AF_BRIDGE: the link stays */
	nlh->nlmsg_type = RTM_DELLINK;
	decode_rt(nlh, &d);
	assert_true(d.kind == DECODED_LINK && d.removed);
	((struct ifinfomsg *)NLMSG_DATA(nlh))->ifi_family = AF_BRIDGE;
	decode_rt(nlh, &d);
	assert_int_equal(d.kind, DECODED_NOTHING);
}

static void test_what_is_passed_over(void **state)
{
	struct message m;
	struct decoded d;
	struct entry route = entry(ENTRY_ROUTE, "10.72.0.0/24", "10.9.0.2"),
		     neigh = entry(ENTRY_NEIGH, "10.9.0.2", NULL);
	struct nlmsghdr *nlh = entry_message(&m, &route, false);
	struct rtmsg *rtm = NLMSG_DATA(nlh);

	/* somebody else's route: counts, unless default, of table local, unreachable or link-local */
	rtm->rtm_protocol = RTPROT_STATIC;
	decode_rt(nlh, &d);
	assert_int_equal(d.kind, DECODED_FOREIGN);
	assert_true(d.counts);
	assert_int_equal(d.foreign.dst.len, 24);
	assert_int_equal(d.ifindex, 7);
	rtm->rtm_type = RTN_UNREACHABLE;
	decode_rt(nlh, &d);
	assert_true(d.kind == DECODED_FOREIGN && !d.counts);
	rtm->rtm_type = RTN_UNICAST;
	rtm->rtm_flags = RTM_F_CLONED;
	decode_rt(nlh, &d);
	assert_int_equal(d.kind, DECODED_NOTHING);
	route.table = RT_TABLE_LOCAL;
	nlh = entry_message(&m, &route, false);
	((struct rtmsg *)NLMSG_DATA(nlh))->rtm_protocol = RTPROT_KERNEL;
	decode_rt(nlh, &d);
	assert_false(d.counts);

	/* ours with several next hops differs from everything that we want */
	route.table = 254;
	nlh = entry_message(&m, &route, false);
	mnl_attr_put(nlh, RTA_MULTIPATH, 0, NULL);
	decode_rt(nlh, &d);
	assert_true(d.kind == DECODED_ENTRY && d.ours && d.ifindex == 0 && d.entry.via_family == 0);

	/* a neighbour that is not permanent any more */
	nlh = entry_message(&m, &neigh, false);
	((struct ndmsg *)NLMSG_DATA(nlh))->ndm_state = NUD_STALE;
	decode_rt(nlh, &d);
	assert_true(d.kind == DECODED_ENTRY && d.removed);
	/* multicast neighbours are the kernel's */
	neigh = entry(ENTRY_NEIGH, "ff02::1", NULL);
	decode_rt(entry_message(&m, &neigh, false), &d);
	assert_int_equal(d.kind, DECODED_NOTHING);
	/* an FDB entry of a bridge, not of the device itself */
	struct entry fdb = entry(ENTRY_FDB, NULL, "192.0.2.2");
	nlh = entry_message(&m, &fdb, false);
	((struct ndmsg *)NLMSG_DATA(nlh))->ndm_flags = NTF_MASTER;
	decode_rt(nlh, &d);
	assert_int_equal(d.kind, DECODED_NOTHING);
}

/* In memory of exactly its size, so that ASan sees every byte too far */
static void decode_exactly(const void *bytes, size_t len)
{
	struct nft_table t = {0};
	struct nft_points points = {0};
	struct decoded d;
	uint32_t gen;

	if (len < sizeof(struct nlmsghdr))
		return;
	struct nlmsghdr *nlh = xmemdup(bytes, len);
	nlh->nlmsg_len = (uint32_t)len;
	decode_rt(nlh, &d);
	(void)decode_nft_event(nlh, &gen);
	decode_nft_rule(nlh, &t);
	decode_nft_set(nlh, &t);
	(void)decode_nft_elements(nlh, 16, &points);
	for (size_t i = 0; i < t.n_sets; i++)
		(void)nft_set_fill(&t.sets[i], &points);
	for (size_t i = 0; i < t.n_sets; i++)
		free(t.sets[i].v);
	free(t.sets);
	free(points.v);
	free(nlh);
}

static void torture(const struct nlmsghdr *nlh)
{
	size_t len = nlh->nlmsg_len;
	uint8_t *copy = xmemdup(nlh, len);

	for (size_t cut = 0; cut <= len; cut++)
		decode_exactly(copy, cut);
	for (size_t i = sizeof(*nlh); i < len; i++)
		for (unsigned v = 0; v < 256; v += 51) {
			uint8_t was = copy[i];
			copy[i] = (uint8_t)v;
			decode_exactly(copy, len);
			copy[i] = was;
		}
	free(copy);
}

static struct nlmsghdr *nft_message(struct message *m, int type, const char *table)
{
	struct nlmsghdr *nlh = begin(m, (uint16_t)((NFNL_SUBSYS_NFTABLES << 8) | type));
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = NFPROTO_INET;
	mnl_attr_put_strz(nlh, 1, table);
	return nlh;
}

static void put_comment(struct nlmsghdr *nlh, const char *comment)
{
	char udata[80] = {1, 2, 'x', 'y', 0, (char)(strlen(comment) + 1)};

	memcpy(udata + 6, comment, strlen(comment) + 1);
	mnl_attr_put(nlh, NFTA_RULE_USERDATA, 6 + strlen(comment) + 1, udata);
}

static struct nlmsghdr *rule_message(struct message *m, const char *chain, const char *comment)
{
	struct nlmsghdr *nlh = nft_message(m, NFT_MSG_NEWRULE, ROUTER_NFT_TABLE);

	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	if (comment)
		put_comment(nlh, comment);
	return nlh;
}

static struct nlmsghdr *set_message(struct message *m, const char *name, uint32_t type, uint32_t size, uint32_t flags)
{
	struct nlmsghdr *nlh = nft_message(m, NFT_MSG_NEWSET, ROUTER_NFT_TABLE);

	mnl_attr_put_strz(nlh, NFTA_SET_NAME, name);
	mnl_attr_put_u32(nlh, NFTA_SET_FLAGS, htonl(flags));
	mnl_attr_put_u32(nlh, NFTA_SET_KEY_TYPE, htonl(type));
	mnl_attr_put_u32(nlh, NFTA_SET_KEY_LEN, htonl(size));
	return nlh;
}

static void put_element(struct nlmsghdr *nlh, const char *address, bool end)
{
	struct nlattr *elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	struct ip ip;

	assert_int_equal(ip_parse(address, &ip), 0);
	struct nlattr *key = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(nlh, NFTA_DATA_VALUE, ip_size(ip.family), ip.b);
	mnl_attr_nest_end(nlh, key);
	if (end)
		mnl_attr_put_u32(nlh, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
	mnl_attr_nest_end(nlh, elem);
}

static void test_hostile_lengths(void **state)
{
	struct entry e[12];
	struct message m;
	struct link l = vxlan();
	size_t n = samples(e);

	for (size_t i = 0; i < n; i++)
		torture(entry_message(&m, &e[i], false));
	torture(link_message(&m, &l));
	torture(rule_message(&m, "fingerprint", ROUTER_ALIAS "0123456789abcdef"));
	torture(set_message(&m, "overlay4", 7, 4, NFT_SET_INTERVAL));
	struct nlmsghdr *nlh = nft_message(&m, NFT_MSG_NEWSETELEM, ROUTER_NFT_TABLE);
	struct nlattr *list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	put_element(nlh, "2001:db8::", false);
	put_element(nlh, "2001:db9::", true);
	mnl_attr_nest_end(nlh, list);
	torture(nlh);
}

static void test_nft_events(void **state)
{
	struct message m;
	uint32_t gen = 0;

	assert_int_equal(decode_nft_event(nft_message(&m, NFT_MSG_NEWRULE, "filter"), &gen), NFT_EVENT_OTHER);
	assert_int_equal(decode_nft_event(nft_message(&m, NFT_MSG_NEWRULE, ROUTER_NFT_TABLE), &gen), NFT_EVENT_OURS);
	assert_int_equal(decode_nft_event(nft_message(&m, NFT_MSG_DELTABLE, ROUTER_NFT_TABLE), &gen), NFT_EVENT_OURS);
	struct nlmsghdr *nlh = nft_message(&m, NFT_MSG_NEWRULE, ROUTER_NFT_TABLE);
	((struct nfgenmsg *)NLMSG_DATA(nlh))->nfgen_family = NFPROTO_IPV4;
	assert_int_equal(decode_nft_event(nlh, &gen), NFT_EVENT_OTHER);
	nlh = begin(&m, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct nfgenmsg));
	mnl_attr_put_u32(nlh, NFTA_GEN_ID, htonl(4711));
	assert_int_equal(decode_nft_event(nlh, &gen), NFT_EVENT_GENERATION);
	assert_int_equal(gen, 4711);
}

static void test_nft_rules_and_sets(void **state)
{
	struct message m;
	struct nft_table t = {0};

	decode_nft_rule(rule_message(&m, "prerouting", ROUTER_ALIAS "1111111111111111"), &t);
	assert_int_equal(t.n_rules, 1);
	assert_true(t.fingerprint == 0);
	decode_nft_rule(rule_message(&m, "fingerprint", ROUTER_ALIAS "0123456789abcdef"), &t);
	assert_true(t.fingerprint == UINT64_C(0x0123456789abcdef));
	decode_nft_rule(rule_message(&m, "fingerprint", ROUTER_ALIAS "0123456789abcdeg"), &t);
	assert_true(t.fingerprint == 0);
	decode_nft_rule(nft_message(&m, NFT_MSG_NEWRULE, "filter"), &t);
	assert_int_equal(t.n_rules, 3);

	decode_nft_set(set_message(&m, "peers4", 7, 4, 0), &t);
	decode_nft_set(set_message(&m, "peers4", 7, 4, 0), &t);
	decode_nft_set(set_message(&m, "overlay6", 8, 16, NFT_SET_INTERVAL), &t);
	decode_nft_set(set_message(&m, "__set0", 7, 4, NFT_SET_ANONYMOUS | NFT_SET_CONSTANT), &t);
	decode_nft_set(set_message(&m, "map", 7, 4, NFT_SET_MAP), &t);
	decode_nft_set(set_message(&m, "marks", 19, 4, 0), &t);
	decode_nft_set(set_message(&m, "a-name-that-is-longer-than-ours-are", 7, 4, 0), &t);
	assert_int_equal(t.n_sets, 2);
	assert_false(t.sets[0].interval);
	assert_true(t.sets[1].interval && t.sets[1].family == AF_INET6);
	free(t.sets);
}

/* "10.0.0.0-10.1.0.0" : start and end points; "" ends the list */
static bool fill(struct nft_set *s, uint8_t family, const char *const *points)
{
	struct message m;
	struct nft_points p = {0};

	free(s->v);
	*s = (struct nft_set){.family = family, .interval = true};
	struct nlmsghdr *nlh = nft_message(&m, NFT_MSG_NEWSETELEM, ROUTER_NFT_TABLE);
	struct nlattr *list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	for (; *points; points++)
		put_element(nlh, **points == '-' ? *points + 1 : *points, **points == '-');
	mnl_attr_nest_end(nlh, list);
	assert_true(decode_nft_elements(nlh, ip_size(family), &p));
	bool whole = nft_set_fill(s, &p);
	free(p.v);
	return whole;
}

static void prefix_is(const struct prefix *p, const char *expect)
{
	char s[PREFIX_STRLEN];

	assert_string_equal(prefix_format(p, s), expect);
}

static void test_intervals(void **state)
{
	struct nft_set s = {0};

	/* in the kernel's order (descending), side by side, with the mark below the first */
	assert_true(fill(&s, AF_INET,
			 (const char *[]){"-10.0.2.0", "10.0.1.0", "-10.0.1.0", "10.0.0.0", "-0.0.0.0", NULL}));
	assert_int_equal(s.n, 2);
	prefix_is(&s.v[0], "10.0.0.0/24");
	prefix_is(&s.v[1], "10.0.1.0/24");
	assert_true(fill(&s, AF_INET, (const char *[]){"10.0.0.7", "-10.0.0.8", "240.0.0.0", NULL}));
	prefix_is(&s.v[0], "10.0.0.7/32");
	prefix_is(&s.v[1], "240.0.0.0/4"); /* its end would be 2^32 */
	assert_true(fill(&s, AF_INET, (const char *[]){"0.0.0.0", NULL}));
	prefix_is(&s.v[0], "0.0.0.0/0");
	assert_true(fill(&s, AF_INET, (const char *[]){"10.128.0.0", "-11.0.0.0", NULL}));
	prefix_is(&s.v[0], "10.128.0.0/9");
	assert_true(fill(&s, AF_INET6, (const char *[]){"2001:db8::", "-2001:db9::", "fd00::1", "-fd00::2", NULL}));
	prefix_is(&s.v[0], "2001:db8::/32");
	prefix_is(&s.v[1], "fd00::1/128");
	/* none of these is a prefix */
	assert_false(fill(&s, AF_INET, (const char *[]){"10.0.0.1", "-10.0.0.3", NULL}));
	assert_false(fill(&s, AF_INET, (const char *[]){"10.0.1.0", "-10.0.3.0", NULL}));
	assert_false(fill(&s, AF_INET, (const char *[]){"10.0.0.0", "-10.0.3.0", NULL}));
	assert_false(fill(&s, AF_INET, (const char *[]){"10.0.0.0", "10.0.1.0", "-10.0.3.0", NULL}));
	assert_false(fill(&s, AF_INET, (const char *[]){"1.0.0.0", NULL}));
	free(s.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_come_back),   cmocka_unit_test(test_link),
		cmocka_unit_test(test_what_is_passed_over), cmocka_unit_test(test_hostile_lengths),
		cmocka_unit_test(test_nft_events),	    cmocka_unit_test(test_nft_rules_and_sets),
		cmocka_unit_test(test_intervals),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
