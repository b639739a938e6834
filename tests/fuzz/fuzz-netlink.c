/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzer: netlink messages, as events or dumps bring them. The input is a buffer of messages, read by the same walk as
 * a socket's; what is decoded must keep its own promises, and an entry must survive the way through a set and the
 * printer.
 */
#include <assert.h>
#include <stdint.h>

#include "router/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct entry *e)
{
	struct entry_set s = {0};
	autobuf struct buf text = {0};

	assert(e->type < ENTRY_TYPE_N_);
	assert(strnlen(e->dev, sizeof(e->dev)) < sizeof(e->dev));
	assert(e->type == ENTRY_FDB || e->type == ENTRY_GROUP || ip_size(e->family));
	assert(e->len <= 128);
	assert(!e->via_family || ip_size(e->via_family));
	entry_set_put(&s, e);
	assert(entry_same(entry_set_find(&s, e), e));
	entry_set_remove(&s, e);
	assert(!entry_set_find(&s, e));
	entry_set_done(&s);
	entry_print(&text, e);
	assert(text.len > 0);
}

static void check_rt(const struct nlmsghdr *nlh)
{
	struct decoded d;

	decode_rt(nlh, &d);
	switch (d.kind) {
	case DECODED_NOTHING:
		return;
	case DECODED_LINK:
		assert(d.link.name[0] && strnlen(d.link.name, sizeof(d.link.name)) < sizeof(d.link.name));
		assert(strnlen(d.link.alias, sizeof(d.link.alias)) < sizeof(d.link.alias));
		assert(d.link.ifindex > 0);
		return;
	case DECODED_ENTRY:
		check_entry(&d.entry);
		return;
	case DECODED_FOREIGN:
		assert(!d.counts || (d.foreign.dst.len && d.foreign.dst.len <= ip_bits(d.foreign.dst.ip.family)));
		return;
	}
}

static void check_sets(struct nft_table *t, struct nft_points *points)
{
	for (size_t i = 0; i < t->n_sets; i++) {
		struct nft_set *s = &t->sets[i];
		(void)nft_set_fill(s, points);
		for (size_t j = 0; j < s->n; j++) {
			assert(s->v[j].len <= ip_bits(s->family));
			assert(j == 0 || prefix_cmp(&s->v[j - 1], &s->v[j]) <= 0);
		}
		free(s->v);
	}
	free(t->sets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nft_table t = {0};
	struct nft_points points[2] = {0};
	size_t at = 0;

	while (size - at >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr head, *nlh;
		uint32_t gen;

		memcpy(&head, data + at, sizeof(head));
		if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > size - at)
			break;
		nlh = xmemdup(data + at, head.nlmsg_len); /* exactly: a read behind it is found */
		check_rt(nlh);
		(void)decode_nft_event(nlh, &gen);
		decode_nft_rule(nlh, &t);
		decode_nft_set(nlh, &t);
		(void)decode_nft_elements(nlh, 4, &points[0]);
		(void)decode_nft_elements(nlh, 16, &points[1]);
		free(nlh);
		if (NLMSG_ALIGN(head.nlmsg_len) >= size - at)
			break;
		at += NLMSG_ALIGN(head.nlmsg_len);
	}
	check_sets(&t, &points[size & 1]);
	free(points[0].v);
	free(points[1].v);
	return 0;
}
