/* SPDX-License-Identifier: Apache-2.0
 *
 * nf_tables messages -> what we compare of our own table: how many rules it has, the fingerprint that one of them bears
 * as comment, and the elements of its named sets of addresses. Rules themselves are not read back: a table whose
 * fingerprint or number of rules is off is replaced as a whole. Pure and bounded.
 */
#include "router/decode.h"

#include <assert.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#define FINGERPRINT_CHAIN "fingerprint"
#define SETS_MAX	  4096 /* two of each VNI, and a few */
#define POINTS_MAX	  (1u << 20)

/* nft's own numbers inside the user data of a rule and of sets' key types: no kernel header has them */
#define UDATA_COMMENT 0
#define KEY_TYPE_IPV4 7
#define KEY_TYPE_IPV6 8

/* Open a message of nf_tables about one of our tables: who dumps asks for one family. Every object carries the table's
 * name as attribute 1. */
static bool open_ours(const struct nlmsghdr *nlh, struct attrs *a)
{
	char table[sizeof(ROUTER_NFT_TABLE) + 1];

	if (nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || !attrs_message(a, nlh, sizeof(struct nfgenmsg)))
		return false;
	const struct nfgenmsg *nfg = NLMSG_DATA(nlh);
	return (nfg->nfgen_family == NFPROTO_INET || nfg->nfgen_family == NFPROTO_NETDEV) &&
	       attr_str(a->v[1], table, sizeof(table)) && str_eq(table, ROUTER_NFT_TABLE);
}

static_assert((int)NFTA_TABLE_NAME == 1 && (int)NFTA_CHAIN_TABLE == 1 && (int)NFTA_RULE_TABLE == 1 &&
		      (int)NFTA_SET_TABLE == 1 && (int)NFTA_SET_ELEM_LIST_TABLE == 1 && (int)NFTA_OBJ_TABLE == 1 &&
		      (int)NFTA_FLOWTABLE_TABLE == 1,
	      "attribute 1 names the table");

enum nft_event decode_nft_event(const struct nlmsghdr *nlh, uint32_t *ret_gen)
{
	struct attrs a;

	if (nlh->nlmsg_type == ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN)) {
		if (!attrs_message(&a, nlh, sizeof(struct nfgenmsg)) || !attr_data(a.v[NFTA_GEN_ID], 4))
			return NFT_EVENT_OTHER;
		*ret_gen = attr_be32(a.v[NFTA_GEN_ID], 0);
		return NFT_EVENT_GENERATION;
	}
	return open_ours(nlh, &a) ? NFT_EVENT_OURS : NFT_EVENT_OTHER;
}

/* User data is a list of type, length, value, a byte each for the first two */
static bool udata_comment(const struct nlattr *udata, char *ret, size_t size)
{
	const uint8_t *p = attr_data(udata, 2);
	size_t len = p ? attr_size(udata) : 0;

	while (len >= 2 && p[1] <= len - 2) {
		size_t n = p[1];
		if (p[0] == UDATA_COMMENT) {
			n = strnlen((const char *)p + 2, n);
			if (n >= size)
				return false;
			memcpy(ret, p + 2, n);
			ret[n] = '\0';
			return true;
		}
		p += 2 + n;
		len -= 2 + n;
	}
	return false;
}

static uint64_t fingerprint_parse(const char *comment)
{
	static const char prefix[] = ROUTER_ALIAS;
	const char *hex = comment + sizeof(prefix) - 1;

	if (strncmp(comment, prefix, sizeof(prefix) - 1) != 0 || strlen(hex) != 16 ||
	    strspn(hex, "0123456789abcdef") != 16)
		return 0;
	return strtoull(hex, NULL, 16);
}

void decode_nft_rule(const struct nlmsghdr *nlh, struct nft_table *t)
{
	struct attrs a;
	char chain[sizeof(FINGERPRINT_CHAIN) + 1], comment[64];

	if (nlh->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWRULE) || !open_ours(nlh, &a))
		return;
	t->n_rules++;
	if (attr_str(a.v[NFTA_RULE_CHAIN], chain, sizeof(chain)) && str_eq(chain, FINGERPRINT_CHAIN) &&
	    udata_comment(a.v[NFTA_RULE_USERDATA], comment, sizeof(comment)))
		t->fingerprint = fingerprint_parse(comment);
}

void decode_nft_set(const struct nlmsghdr *nlh, struct nft_table *t)
{
	struct attrs a;
	char name[sizeof(t->sets->name)];

	if (nlh->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWSET) || !open_ours(nlh, &a))
		return;
	uint32_t flags = attr_be32(a.v[NFTA_SET_FLAGS], 0), type = attr_be32(a.v[NFTA_SET_KEY_TYPE], 0);
	uint32_t size = attr_be32(a.v[NFTA_SET_KEY_LEN], 0);
	bool v4 = type == KEY_TYPE_IPV4 && size == 4, v6 = type == KEY_TYPE_IPV6 && size == 16;
	if ((flags & (NFT_SET_ANONYMOUS | NFT_SET_MAP | NFT_SET_OBJECT)) || (!v4 && !v6) || t->n_sets >= SETS_MAX ||
	    !attr_str(a.v[NFTA_SET_NAME], name, sizeof(name)) || nft_table_set(t, name))
		return;
	struct nft_set *s = xgrow(&t->sets, t->n_sets, &t->cap_sets);
	t->n_sets++;
	memcpy(s->name, name, sizeof(s->name));
	s->family = v4 ? AF_INET : AF_INET6;
	s->interval = (flags & NFT_SET_INTERVAL) != 0;
}

bool decode_nft_elements(const struct nlmsghdr *nlh, size_t key_size, struct nft_points *ret)
{
	struct attrs a, elem, key;

	if (nlh->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWSETELEM) || !open_ours(nlh, &a))
		return true;
	const struct nlattr *list = a.v[NFTA_SET_ELEM_LIST_ELEMENTS];
	const char *p = attr_data(list, sizeof(struct nlattr));
	size_t len = p ? attr_size(list) : 0;
	while (len >= sizeof(struct nlattr)) {
		const struct nlattr *at = (const void *)p;
		if (at->nla_len < sizeof(*at) || at->nla_len > len)
			break;
		if ((at->nla_type & NLA_TYPE_MASK) == NFTA_LIST_ELEM && attrs_nested(&elem, at) &&
		    attrs_nested(&key, elem.v[NFTA_SET_ELEM_KEY])) {
			const void *bytes = attr_data(key.v[NFTA_DATA_VALUE], key_size);
			if (ret->n >= POINTS_MAX)
				return false;
			if (bytes && key_size <= sizeof(ret->v->key)) {
				struct nft_point *pt = xgrow(&ret->v, ret->n, &ret->cap);
				ret->n++;
				memcpy(pt->key, bytes, key_size);
				pt->end = (attr_be32(elem.v[NFTA_SET_ELEM_FLAGS], 0) & NFT_SET_ELEM_INTERVAL_END) != 0;
			}
		}
		size_t step = NLA_ALIGN((size_t)at->nla_len);
		if (step >= len)
			break;
		p += step;
		len -= step;
	}
	return true;
}

/* By key; where one interval ends and the next begins, the end comes first */
static int point_cmp(const void *a, const void *b)
{
	const struct nft_point *x = a, *y = b;
	int c = memcmp(x->key, y->key, sizeof(x->key));
	return c ? c : (int)y->end - (int)x->end;
}

/* Subtract one from a big-endian number of @n bytes. */
static void bytes_decrement(uint8_t *b, size_t n)
{
	while (n-- > 0)
		if (b[n]-- != 0)
			return;
}

/* The prefix from @start up to and with @last, if it is one */
static bool prefix_of_range(uint8_t family, const uint8_t *start, const uint8_t *last, struct prefix *ret)
{
	size_t n = ip_size(family), i = 0;
	unsigned len = 0;

	while (i < n && start[i] == last[i])
		i++, len += 8;
	if (i < n) {
		uint8_t differ = start[i] ^ last[i];
		/* the bits that differ are 0 in the one, 1 in the other, down to the last of all */
		if ((differ & (differ + 1)) != 0 || (start[i] & differ) != 0)
			return false;
		for (unsigned bit = 0x80; bit && !(differ & bit); bit >>= 1)
			len++;
		for (i++; i < n; i++)
			if (start[i] != 0 || last[i] != 0xff)
				return false;
	}
	*ret = (struct prefix){.ip = ip_from_bytes(family, start), .len = (uint8_t)len};
	return true;
}

static void nft_set_add(struct nft_set *s, struct prefix p)
{
	*xgrow(&s->v, s->n, &s->cap) = p;
	s->n++;
}

static int prefix_order(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

static bool fill_intervals(struct nft_set *s, const struct nft_points *points)
{
	static const uint8_t highest[16] = {255, 255, 255, 255, 255, 255, 255, 255,
					    255, 255, 255, 255, 255, 255, 255, 255};
	const struct nft_point *open = NULL;
	struct prefix p;

	for (size_t i = 0; i < points->n; i++) {
		const struct nft_point *pt = &points->v[i];
		if (!pt->end) {
			if (open)
				return false; /* a start within an interval: not read whole */
			open = pt;
		} else if (open) {
			uint8_t last[16];
			memcpy(last, pt->key, sizeof(last));
			bytes_decrement(last, ip_size(s->family));
			if (!prefix_of_range(s->family, open->key, last, &p))
				return false;
			nft_set_add(s, p);
			open = NULL;
		} /* else: an end without start marks what lies below the first interval */
	}
	if (open) { /* up to the highest address: its end does not fit */
		if (!prefix_of_range(s->family, open->key, highest, &p))
			return false;
		nft_set_add(s, p);
	}
	return true;
}

bool nft_set_fill(struct nft_set *s, struct nft_points *points)
{
	bool whole = true;

	s->n = 0;
	if (points->n)
		qsort(points->v, points->n, sizeof(*points->v), point_cmp);
	if (s->interval) {
		whole = fill_intervals(s, points);
	} else {
		for (size_t i = 0; i < points->n; i++)
			nft_set_add(s, (struct prefix){.ip = ip_from_bytes(s->family, points->v[i].key),
						       .len = ip_bits(s->family)});
	}
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), prefix_order);
	return whole;
}
