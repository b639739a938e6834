/* SPDX-License-Identifier: Apache-2.0
 *
 * The frame around rules; see nft_netdev.h.
 */
#include "router/nft_netdev.h"

#include <inttypes.h>
#include <linux/netfilter.h>

#define DEVICES_MAX 256 /* NFT_NETDEVICE_MAX of the kernel */
#define CHAIN_BYTES (DEVICES_MAX * 24 + 512)

#define UDATA_COMMENT 0 /* nft's own number in user data of rules: no kernel header has it */

static void add_table(struct buf *out, int type, uint16_t flags)
{
	_Alignas(struct nlmsghdr) char bytes[256] = {0};

	nft_message_end(out, nft_message(bytes, type, flags, NFPROTO_NETDEV));
}

/* "Add" before "delete": it must not fail when there is none. */
void nft_netdev_remove(struct buf *out)
{
	add_table(out, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	add_table(out, NFT_MSG_DELTABLE, 0);
}

void nft_netdev_begin(struct nft_netdev *b, struct nft_table *t, int priority)
{
	*b = (struct nft_netdev){.t = t, .priority = priority};
	nft_netdev_remove(&t->raw);
	add_table(&t->raw, NFT_MSG_NEWTABLE, NLM_F_CREATE);
}

void nft_netdev_chain(struct nft_netdev *b, const char *name, enum nft_netdev_hook hook, const char (*devices)[16],
		      size_t n_devices)
{
	_Alignas(struct nlmsghdr) char bytes[CHAIN_BYTES] = {0};
	struct nlmsghdr *nlh = nft_message(bytes, NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFPROTO_NETDEV);

	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
	if (n_devices) {
		struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_CHAIN_HOOK);
		nft_put_be32(nlh, NFTA_HOOK_HOOKNUM, hook);
		nft_put_be32(nlh, NFTA_HOOK_PRIORITY, (uint32_t)b->priority);
		struct nlattr *list = mnl_attr_nest_start(nlh, NFTA_HOOK_DEVS);
		for (size_t i = 0; i < n_devices && i < DEVICES_MAX; i++)
			mnl_attr_put_strz(nlh, NFTA_DEVICE_NAME, devices[i]);
		mnl_attr_nest_end(nlh, list);
		mnl_attr_nest_end(nlh, nest);
		nft_put_be32(nlh, NFTA_CHAIN_POLICY, NF_ACCEPT);
		mnl_attr_put_strz(nlh, NFTA_CHAIN_TYPE, "filter");
	}
	nft_message_end(&b->t->raw, nlh);
}

struct nlmsghdr *nft_netdev_rule(struct nft_netdev_rule *rule, const char *chain)
{
	memset(rule, 0, sizeof(*rule));
	rule->nlh = nft_message(rule->bytes, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, NFPROTO_NETDEV);
	mnl_attr_put_strz(rule->nlh, NFTA_RULE_CHAIN, chain);
	rule->list = mnl_attr_nest_start(rule->nlh, NFTA_RULE_EXPRESSIONS);
	return rule->nlh;
}

void nft_netdev_rule_end(struct nft_netdev *b, struct nft_netdev_rule *rule)
{
	mnl_attr_nest_end(rule->nlh, rule->list);
	nft_message_end(&b->t->raw, rule->nlh);
	b->n++;
}

/* As in the table of the family inet, see ruleset.c */
void nft_netdev_end(struct nft_netdev *b)
{
	uint8_t udata[2 + sizeof(ROUTER_ALIAS) + 16];
	struct nft_netdev_rule rule;
	struct nft_table *t = b->t;

	t->fingerprint = hash64(t->raw.data, t->raw.len, 0);
	if (!t->fingerprint)
		t->fingerprint = 1; /* 0 means: not known */
	int len = snprintf((char *)udata + 2, sizeof(udata) - 2, ROUTER_ALIAS "%016" PRIx64, t->fingerprint);
	udata[0] = UDATA_COMMENT;
	udata[1] = (uint8_t)(len + 1);
	nft_netdev_chain(b, "fingerprint", NFT_NETDEV_INGRESS, NULL, 0);
	nft_verdict(nft_netdev_rule(&rule, "fingerprint"), NFT_RETURN);
	mnl_attr_nest_end(rule.nlh, rule.list);
	mnl_attr_put(rule.nlh, NFTA_RULE_USERDATA, (size_t)len + 3, udata);
	nft_message_end(&t->raw, rule.nlh);
	t->n_rules = b->n + 1;
	t->present = true;
}
