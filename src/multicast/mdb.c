/* SPDX-License-Identifier: Apache-2.0
 *
 * One dump of the bridges' multicast databases.
 */
#include "multicast/mdb.h"

#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/rtnetlink.h>

static void entry_take(struct mdb *m, int bridge, const struct nlattr *info)
{
	const struct br_mdb_entry *e = mnl_attr_get_payload(info);
	struct mdb_entry *to;

	if (mnl_attr_get_payload_len(info) < sizeof(*e) || (int)e->ifindex == bridge || m->n >= MDB_ENTRIES)
		return;
	if (e->addr.proto != htons(ETH_P_IP) && e->addr.proto != htons(ETH_P_IPV6))
		return;
	to = xgrow(&m->v, m->n, &m->cap);
	m->n++;
	to->bridge = bridge;
	to->group = e->addr.proto == htons(ETH_P_IP) ? ip_from_bytes(AF_INET, &e->addr.u.ip4)
						     : ip_from_bytes(AF_INET6, &e->addr.u.ip6);
}

static void on_mdb(void *arg, const struct nlmsghdr *nlh)
{
	const struct br_port_msg *port = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *top, *entry, *info;

	if (nlh->nlmsg_type != RTM_NEWMDB && nlh->nlmsg_type != RTM_GETMDB)
		return;
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*port))
		return;
	mnl_attr_for_each(top, nlh, sizeof(*port))
	{
		if (mnl_attr_get_type(top) != MDBA_MDB)
			continue;
		mnl_attr_for_each_nested(entry, top)
		{
			if (mnl_attr_get_type(entry) != MDBA_MDB_ENTRY)
				continue;
			mnl_attr_for_each_nested(info, entry)
			{
				if (mnl_attr_get_type(info) == MDBA_MDB_ENTRY_INFO)
					entry_take(arg, (int)port->ifindex, info);
			}
		}
	}
}

static void on_restart(void *arg)
{
	((struct mdb *)arg)->n = 0;
}

static int entry_cmp(const void *a, const void *b)
{
	const struct mdb_entry *x = a, *y = b;

	return x->bridge != y->bridge ? (x->bridge < y->bridge ? -1 : 1) : ip_cmp(&x->group, &y->group);
}

int mdb_read(struct nl *nl, struct mdb *ret, struct err *err)
{
	char buf[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct br_port_msg *port;
	struct mdb m = {0};
	int rc;

	nlh->nlmsg_type = RTM_GETMDB;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	port = mnl_nlmsg_put_extra_header(nlh, sizeof(*port));
	port->family = PF_BRIDGE;
	rc = nl_dump(nl, nlh, on_mdb, on_restart, &m, err);
	if (rc < 0) {
		mdb_done(&m);
		return rc;
	}
	if (m.n > 1)
		qsort(m.v, m.n, sizeof(*m.v), entry_cmp);
	*ret = m;
	return 0;
}

void mdb_done(struct mdb *m)
{
	free(m->v);
	*m = (struct mdb){0};
}
