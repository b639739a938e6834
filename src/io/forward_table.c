/* SPDX-License-Identifier: Apache-2.0
 *
 * Two questions to nf_tables: for the chain that bears the fingerprint, and for the rules; see forward_table.h.
 */
#include "io/forward_table.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>

#include "io/forward_rule.h"
#include "io/nl.h"

#define NAME_SIZE 24

/* Rules name devices, and the kernel keeps numbers: a device that was made anew is another one */
static uint64_t fingerprint(const char *lines, size_t len)
{
	uint64_t hash = hash64(lines, len, 0);

	for (const char *at = lines, *end = lines + len; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		for (int i = 0; i < 2; i++) {
			char name[IF_NAMESIZE] = "";
			unsigned index = 0;

			for (size_t n = 0; at < end && *at != ' ' && *at != '\n'; at++)
				if (n < sizeof(name) - 1)
					name[n++] = *at;
			if (at < end && *at == ' ')
				at++;
			if (name[0])
				index = if_nametoindex(name);
			hash = hash64(&index, sizeof(index), hash);
		}
		at = stop ? stop + 1 : end;
	}
	return hash;
}

static void chain_name(char ret[static NAME_SIZE], const char *lines, size_t len)
{
	snprintf(ret, NAME_SIZE, "is-%016" PRIx64, fingerprint(lines, len));
}

void forward_table_mark(const char *lines, size_t len, struct buf *ruleset)
{
	char name[NAME_SIZE];

	if (!len)
		return;
	chain_name(name, lines, len);
	buf_printf(ruleset, "table netdev " FORWARD_TABLE " {\n\tchain %s {\n\t}\n}\n", name);
}

struct request {
	_Alignas(struct nlmsghdr) char bytes[256];
};

/* Attribute 1 of every object names the table */
static struct nlmsghdr *request(struct request *r, int type)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(r->bytes);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = (uint16_t)((NFNL_SUBSYS_NFTABLES << 8) | type);
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nfg->nfgen_family = NFPROTO_NETDEV;
	nfg->version = NFNETLINK_V0;
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, FORWARD_TABLE);
	return nlh;
}

struct count {
	size_t rules;
};

static void on_rule(void *arg, const struct nlmsghdr *nlh)
{
	struct count *c = arg;
	const struct nlattr *a;

	if (nlh->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWRULE))
		return;
	/* kernels that do not look at the table in the question answer with the rules of all */
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_RULE_TABLE && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0 &&
		    str_eq(mnl_attr_get_str(a), FORWARD_TABLE))
			c->rules++;
	}
}

static void on_restart(void *arg)
{
	*(struct count *)arg = (struct count){0};
}

static bool is_there(struct nl *nl, const char *lines, size_t len)
{
	struct count count = {0};
	struct err err = {0};
	struct request r;
	struct nlmsghdr *nlh;
	char name[NAME_SIZE];
	size_t wanted = 0;

	if (!len)
		return nl_get(nl, request(&r, NFT_MSG_GETTABLE), NULL, NULL, &err) == -ENOENT;
	for (size_t i = 0; i < len; i++)
		wanted += lines[i] == '\n';
	chain_name(name, lines, len);
	nlh = request(&r, NFT_MSG_GETCHAIN);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
	if (nl_get(nl, nlh, NULL, NULL, &err) < 0)
		return false;
	return nl_dump(nl, request(&r, NFT_MSG_GETRULE), on_rule, on_restart, &count, &err) == 0 &&
	       count.rules == wanted;
}

bool forward_table_is(const char *lines, size_t len)
{
	struct err err = {0};
	struct nl *nl;
	bool is;

	if (nl_open(NETLINK_NETFILTER, &nl, &err) < 0)
		return false;
	is = is_there(nl, lines, len);
	nl_free(nl);
	return is;
}
