/* SPDX-License-Identifier: Apache-2.0
 *
 * Dumps. Each replaces its part of a struct net as a whole. A dump that the kernel interrupts is repeated by nl_dump();
 * an entry that went away between two passes is not weeded out here, since the event that tells of it is waiting in the
 * event socket, which has been open before the dump began.
 */
#include "router/dump.h"

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#define REQUEST_BYTES 256

/* struct request - A complete message in a buffer of our own */
struct request {
	_Alignas(struct nlmsghdr) char bytes[REQUEST_BYTES];
};

static struct nlmsghdr *request_init(struct request *r, uint16_t type, size_t header, void **ret_header)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(r->bytes);

	nlh->nlmsg_type = type;
	*ret_header = mnl_nlmsg_put_extra_header(nlh, header);
	return nlh;
}

struct link *link_by_index(const struct net *n, int ifindex, size_t *hint)
{
	if (ifindex <= 0)
		return NULL;
	if (hint && *hint < n->n_links && n->links[*hint].ifindex == ifindex)
		return &n->links[*hint];
	for (size_t i = 0; i < n->n_links; i++) {
		if (n->links[i].ifindex != ifindex)
			continue;
		if (hint)
			*hint = i;
		return &n->links[i];
	}
	return NULL;
}

bool link_is_ours(const struct net *n, const struct link *l)
{
	if (strncmp(l->alias, ROUTER_ALIAS, strlen(ROUTER_ALIAS)) == 0)
		return true;
	if (n->id.kind == NET_WIREGUARD)
		return !l->alias[0] && (l->kind == LINK_WIREGUARD || l->kind == LINK_TUN);
	return n->id.kind == NET_VNI && !l->alias[0] && (l->kind == LINK_VETH || l->kind == LINK_VXLAN);
}

bool entry_keep(const struct net *n, struct decoded *d, const struct link *l)
{
	if (d->kind != DECODED_ENTRY)
		return false;
	switch ((enum entry_type)d->entry.type) {
	case ENTRY_ADDR:
		if (!l || !(n->all_addresses || link_is_ours(n, l)))
			return false;
		break;
	case ENTRY_FDB:
	case ENTRY_GROUP:
		if (!l || l->kind != LINK_VXLAN || !link_is_ours(n, l))
			return false;
		break;
	case ENTRY_NEIGH:
		if (!l || (!d->ours && !(n->id.kind == NET_VNI && link_is_ours(n, l))))
			return false;
		break;
	case ENTRY_ROUTE: /* one without a device is a stranger's under our number: to be removed */
		if (!d->ours)
			return false;
		break;
	case ENTRY_RULE:
		return d->ours;
	case ENTRY_TYPE_N_:
		return false;
	}
	if (l)
		memcpy(d->entry.dev, l->name, sizeof(d->entry.dev));
	return true;
}

struct link link_from_decoded(const struct net *n, const struct decoded *d)
{
	struct link l = d->link;
	const struct link *master = link_by_index(n, d->master, NULL);

	if (master)
		memcpy(l.master, master->name, sizeof(l.master));
	return l;
}

/* --- links --- */

struct link_dump {
	struct net *net; /* a scratch one */
	int *masters;	 /* as net->links: a bridge may come after its ports */
	size_t cap_masters;
	struct decoded d;
};

static void link_dump_message(void *arg, const struct nlmsghdr *nlh)
{
	struct link_dump *dump = arg;

	decode_rt(nlh, &dump->d);
	if (dump->d.kind != DECODED_LINK || dump->d.removed)
		return;
	*xgrow(&dump->masters, dump->net->n_links, &dump->cap_masters) = dump->d.master;
	*xgrow(&dump->net->links, dump->net->n_links, &dump->net->cap_links) = dump->d.link;
	dump->net->n_links++;
}

static void link_dump_restart(void *arg)
{
	struct link_dump *dump = arg;

	dump->net->n_links = 0;
}

int dump_links(struct nl *nl, struct net *n, struct err *err)
{
	struct net scratch = {0};
	struct link_dump dump = {.net = &scratch};
	struct request r;
	void *ifi;
	struct nlmsghdr *nlh = request_init(&r, RTM_GETLINK, sizeof(struct ifinfomsg), &ifi);

	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	int rc = nl_dump(nl, nlh, link_dump_message, link_dump_restart, &dump, err);
	if (rc == 0) {
		for (size_t i = 0; i < scratch.n_links; i++) {
			const struct link *master = link_by_index(&scratch, dump.masters[i], NULL);
			if (master)
				memcpy(scratch.links[i].master, master->name, sizeof(master->name));
		}
		free(n->links);
		n->links = steal_ptr(scratch.links);
		n->n_links = scratch.n_links;
		n->cap_links = scratch.cap_links;
	}
	free(scratch.links);
	free(dump.masters);
	return rc;
}

/* --- entries --- */

struct entry_dump {
	const struct net *net;
	struct entry_set set;
	struct host_addrs *addrs;
	size_t hint;
	struct decoded d;
};

static void entry_dump_message(void *arg, const struct nlmsghdr *nlh)
{
	struct entry_dump *dump = arg;
	struct decoded *d = &dump->d;

	decode_rt(nlh, d);
	if (d->kind != DECODED_ENTRY || d->removed)
		return;
	if (d->entry.type == ENTRY_ADDR && dump->addrs) {
		struct host_addr *a = xgrow(&dump->addrs->v, dump->addrs->n, &dump->addrs->cap);
		dump->addrs->n++;
		*a = (struct host_addr){.ip = ip_from_bytes(d->entry.family, d->entry.dst), .ifindex = d->ifindex};
	}
	if (entry_keep(dump->net, d, link_by_index(dump->net, d->ifindex, &dump->hint)))
		entry_set_put(&dump->set, &d->entry);
}

static int dump_routes_of(struct nl *nl, uint8_t family, uint8_t protocol, nl_msg_fn *fn, loop_fn *restart, void *arg,
			  struct err *err)
{
	struct request r;
	void *header;
	struct nlmsghdr *nlh = request_init(&r, RTM_GETROUTE, sizeof(struct rtmsg), &header);
	struct rtmsg *rtm = header;

	/* Strict checking makes the kernel filter; one that does not know it tells more, which is passed over */
	rtm->rtm_family = family;
	rtm->rtm_protocol = protocol;
	if (!protocol)
		rtm->rtm_type = RTN_UNICAST;
	return nl_dump(nl, nlh, fn, restart, arg, err);
}

static int dump_plain(struct nl *nl, uint16_t type, size_t header, struct entry_dump *dump, struct err *err)
{
	struct request r;
	void *zeroes; /* family 0: all */

	return nl_dump(nl, request_init(&r, type, header, &zeroes), entry_dump_message, NULL, dump, err);
}

static int dump_fdb(struct nl *nl, const struct link *l, struct entry_dump *dump, struct err *err)
{
	struct request r;
	void *header;
	struct nlmsghdr *nlh = request_init(&r, RTM_GETNEIGH, sizeof(struct ndmsg), &header);
	struct ndmsg *ndm = header;

	ndm->ndm_family = AF_BRIDGE;
	ndm->ndm_ifindex = l->ifindex;
	return nl_dump(nl, nlh, entry_dump_message, NULL, dump, err);
}

int dump_entries(struct nl *nl, struct net *n, struct host_addrs *addrs, struct err *err)
{
	struct host_addrs fresh = {0};
	struct entry_dump dump = {.net = n, .addrs = addrs ? &fresh : NULL};
	int rc;

	rc = dump_plain(nl, RTM_GETADDR, sizeof(struct ifaddrmsg), &dump, err);
	if (rc == 0)
		rc = dump_plain(nl, RTM_GETNEIGH, sizeof(struct ndmsg), &dump, err);
	for (size_t i = 0; rc == 0 && i < n->n_links; i++)
		if (n->links[i].kind == LINK_VXLAN && link_is_ours(n, &n->links[i])) {
			rc = dump_fdb(nl, &n->links[i], &dump, err);
			if (rc == -ENODEV) /* gone since the links were read: its event is on the way */
				rc = 0;
		}
	if (rc == 0)
		rc = dump_routes_of(nl, AF_INET, ROUTER_PROTOCOL, entry_dump_message, NULL, &dump, err);
	if (rc == 0)
		rc = dump_routes_of(nl, AF_INET6, ROUTER_PROTOCOL, entry_dump_message, NULL, &dump, err);
	if (rc == 0)
		rc = dump_plain(nl, RTM_GETRULE, sizeof(struct fib_rule_hdr), &dump, err);
	if (rc < 0) {
		entry_set_done(&dump.set);
		free(fresh.v);
		return rc;
	}
	entry_set_done(&n->entries);
	n->entries = dump.set;
	if (addrs) {
		free(addrs->v);
		*addrs = fresh;
	}
	return 0;
}

/* --- foreign routes --- */

struct foreign_dump {
	const struct net *net;
	struct foreign_route *v;
	size_t n, cap, hint;
	struct decoded d;
};

static void foreign_message(void *arg, const struct nlmsghdr *nlh)
{
	struct foreign_dump *dump = arg;

	decode_rt(nlh, &dump->d);
	if (dump->d.kind != DECODED_FOREIGN || !dump->d.counts || dump->n >= FOREIGN_MAX)
		return;
	const struct link *l = link_by_index(dump->net, dump->d.ifindex, &dump->hint);
	struct foreign_route *f = xgrow(&dump->v, dump->n, &dump->cap);
	dump->n++;
	f->dst = dump->d.foreign.dst;
	if (l)
		memcpy(f->dev, l->name, sizeof(f->dev));
}

static void foreign_restart(void *arg)
{
	struct foreign_dump *dump = arg;

	dump->n = 0;
}

static int foreign_cmp(const void *a, const void *b)
{
	const struct foreign_route *x = a, *y = b;
	int c = prefix_cmp(&x->dst, &y->dst);

	return c ? c : strcmp(x->dev, y->dev);
}

int dump_foreign(struct nl *nl, struct net *n, bool *ret_changed, struct err *err)
{
	struct foreign_dump dump = {.net = n};
	int rc;

	rc = dump_routes_of(nl, AF_INET, 0, foreign_message, foreign_restart, &dump, err);
	if (rc == 0) {
		/* the second family behind the first: what a repeat throws away is counted from there */
		struct foreign_dump six = {.net = n};
		rc = dump_routes_of(nl, AF_INET6, 0, foreign_message, foreign_restart, &six, err);
		for (size_t i = 0; rc == 0 && i < six.n && dump.n < FOREIGN_MAX; i++) {
			*xgrow(&dump.v, dump.n, &dump.cap) = six.v[i];
			dump.n++;
		}
		free(six.v);
	}
	if (rc < 0) {
		free(dump.v);
		return rc;
	}
	if (dump.n)
		qsort(dump.v, dump.n, sizeof(*dump.v), foreign_cmp);
	bool same = dump.n == n->n_foreign;
	for (size_t i = 0; same && i < dump.n; i++)
		same = foreign_cmp(&dump.v[i], &n->foreign[i]) == 0;
	free(n->foreign);
	n->foreign = dump.v;
	n->n_foreign = dump.n;
	n->cap_foreign = dump.cap;
	*ret_changed = !same;
	return 0;
}

/* --- nf_tables --- */

/* @family: of our table; NFPROTO_UNSPEC: without one */
static struct nlmsghdr *nft_request(struct request *r, int type, uint8_t family)
{
	void *header;
	struct nlmsghdr *nlh =
		request_init(r, (uint16_t)((NFNL_SUBSYS_NFTABLES << 8) | type), sizeof(struct nfgenmsg), &header);
	struct nfgenmsg *nfg = header;

	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	if (family != NFPROTO_UNSPEC) /* attribute 1 of every object, see decode_nft.c */
		mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, ROUTER_NFT_TABLE);
	return nlh;
}

static void generation_message(void *arg, const struct nlmsghdr *nlh)
{
	(void)decode_nft_event(nlh, arg);
}

int dump_nft_generation(struct nl *nl, uint32_t *ret_gen, struct err *err)
{
	struct request r;

	return nl_get(nl, nft_request(&r, NFT_MSG_GETGEN, NFPROTO_UNSPEC), generation_message, ret_gen, err);
}

static void nft_clear(struct nft_table *t)
{
	for (size_t i = 0; i < t->n_sets; i++)
		free(t->sets[i].v);
	free(t->sets);
	*t = (struct nft_table){0};
}

static void rule_message(void *arg, const struct nlmsghdr *nlh)
{
	decode_nft_rule(nlh, arg);
}

static void rule_restart(void *arg)
{
	struct nft_table *t = arg;

	t->n_rules = 0;
	t->fingerprint = 0;
}

static void set_message(void *arg, const struct nlmsghdr *nlh)
{
	decode_nft_set(nlh, arg);
}

struct elements_dump {
	size_t key_size;
	struct nft_points points;
	bool too_many;
};

static void elements_message(void *arg, const struct nlmsghdr *nlh)
{
	struct elements_dump *dump = arg;

	if (!decode_nft_elements(nlh, dump->key_size, &dump->points))
		dump->too_many = true;
}

static void elements_restart(void *arg)
{
	struct elements_dump *dump = arg;

	dump->points.n = 0;
	dump->too_many = false;
}

static int dump_elements(struct nl *nl, struct nft_table *t, struct nft_set *s, struct err *err)
{
	struct elements_dump dump = {.key_size = ip_size(s->family)};
	struct request r;
	struct nlmsghdr *nlh = nft_request(&r, NFT_MSG_GETSETELEM, NFPROTO_INET);

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, s->name);
	int rc = nl_dump(nl, nlh, elements_message, elements_restart, &dump, err);
	if (rc == 0 && (!nft_set_fill(s, &dump.points) || dump.too_many))
		t->fingerprint = 0; /* nothing that we made: the table as a whole is replaced */
	free(dump.points.v);
	return rc;
}

/* Of a table of the family netdev no sets are read: what the shortcut remembers is not ours to compare. */
static int dump_table(struct nl *nl, struct nft_table *t, uint8_t family, struct err *err)
{
	struct request r;
	int rc;

	rc = nl_get(nl, nft_request(&r, NFT_MSG_GETTABLE, family), NULL, NULL, err);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return rc;
	t->present = true;
	rc = nl_dump(nl, nft_request(&r, NFT_MSG_GETRULE, family), rule_message, rule_restart, t, err);
	if (rc == 0 && family == NFPROTO_INET)
		rc = nl_dump(nl, nft_request(&r, NFT_MSG_GETSET, family), set_message, NULL, t, err);
	for (size_t i = 0; rc == 0 && i < t->n_sets; i++)
		rc = dump_elements(nl, t, &t->sets[i], err);
	return rc;
}

int dump_nft(struct nl *nl, struct net *n, uint32_t *ret_gen, struct err *err)
{
	struct nft_table t = {0}, shortcut = {0};
	uint32_t before = 0, after = 0;
	int rc;

	/* The parts are read one after the other: only with one generation around them do they belong together */
	for (int i = 0; i < 4; i++) {
		nft_clear(&t);
		nft_clear(&shortcut);
		rc = dump_nft_generation(nl, &before, err);
		if (rc == 0)
			rc = dump_table(nl, &t, NFPROTO_INET, err);
		if (rc == 0 && (n->id.kind == NET_HOST || n->id.kind == NET_VNI))
			rc = dump_table(nl, &shortcut, NFPROTO_NETDEV, err);
		if (rc < 0 && rc != -ENOENT && rc != -EAGAIN) {
			nft_clear(&t);
			return rc;
		}
		if (dump_nft_generation(nl, &after, err) == 0 && rc == 0 && after == before)
			break;
	}
	nft_clear(&n->nft);
	n->nft = t;
	n->shortcut = shortcut;
	*ret_gen = before;
	return 0;
}
