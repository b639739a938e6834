/* SPDX-License-Identifier: Apache-2.0
 *
 * Routes by rtnetlink: an event only says that something has changed, then all are read again, a moment later. A new
 * bridge is a route before inventory says that it is a stack's, and interfaces bring their routes one by one.
 */
#include "discovery/routes.h"

#include <linux/rtnetlink.h>

#include "base/log.h"
#include "state/peer_text.h"

#define SETTLE_US     USEC_PER_SEC
#define LOOK_AGAIN_US (10 * USEC_PER_SEC) /* after a failure */
#define LOG_US	      (60 * USEC_PER_SEC)
#define PROTOCOL_OURS 212
#define LEN4_MIN      8
#define LEN6_MIN      16

struct routes {
	uv_loop_t *loop;
	routes_fn *fn;
	void *arg;
	struct nl *dumps, *events;
	struct timer *timer;
	struct prefix *told; /* what fn was told last */
	size_t n_told;
	bool started;
	struct log_limit limit;
};

bool route_counts(const struct nlmsghdr *nlh, struct prefix *ret)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	struct prefix p = {0};
	uint32_t table;

	if ((nlh->nlmsg_type != RTM_NEWROUTE && nlh->nlmsg_type != RTM_DELROUTE) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) || rtm->rtm_type != RTN_UNICAST ||
	    rtm->rtm_flags & RTM_F_CLONED || rtm->rtm_protocol == PROTOCOL_OURS || ip_size(rtm->rtm_family) == 0 ||
	    rtm->rtm_dst_len > ip_bits(rtm->rtm_family) ||
	    rtm->rtm_dst_len < (rtm->rtm_family == AF_INET ? LEN4_MIN : LEN6_MIN))
		return false;
	table = rtm->rtm_table;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		if (mnl_attr_get_type(attr) == RTA_TABLE && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			table = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_DST &&
			 mnl_attr_get_payload_len(attr) == ip_size(rtm->rtm_family))
			p = (struct prefix){.ip = ip_from_bytes(rtm->rtm_family, mnl_attr_get_payload(attr)),
					    .len = rtm->rtm_dst_len};
	}
	if (table == RT_TABLE_LOCAL || p.len == 0 || ip_is_link_local(&p.ip) || ip_is_multicast(&p.ip) ||
	    ip_is_loopback(&p.ip))
		return false;
	*ret = prefix_mask(p);
	return true;
}

/* --- reading --- */

struct reading {
	struct prefix *v;
	size_t n, cap, begin; /* begin: of this family */
};

static void on_route(void *arg, const struct nlmsghdr *nlh)
{
	struct reading *reading = arg;
	struct prefix p;

	if (reading->n >= LIMIT_ROUTES || !route_counts(nlh, &p))
		return;
	*xgrow(&reading->v, reading->n, &reading->cap) = p;
	reading->n++;
}

static void on_restart(void *arg)
{
	struct reading *reading = arg;

	reading->n = reading->begin;
}

static int read_family(struct nl *nl, uint8_t family, struct reading *reading, struct err *err)
{
	char bytes[256] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(bytes);
	struct rtmsg *rtm;
	int rc;

	nlh->nlmsg_type = RTM_GETROUTE;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = family;
	reading->begin = reading->n;
	rc = nl_dump(nl, nlh, on_route, on_restart, reading, err);
	return rc == -ENOENT || rc == -EOPNOTSUPP ? 0 : rc; /* no route yet; no IPv6 */
}

static bool same_as_told(const struct routes *r, const struct prefix *v, size_t n)
{
	bool same = r->started && r->n_told == n;

	for (size_t i = 0; same && i < n; i++)
		same = prefix_cmp(&r->told[i], &v[i]) == 0;
	return same;
}

static int look(struct routes *r, struct err *err)
{
	struct reading reading = {0};
	int rc = read_family(r->dumps, AF_INET, &reading, err);

	if (rc == 0)
		rc = read_family(r->dumps, AF_INET6, &reading, err);
	if (rc < 0) {
		free(reading.v);
		return err_wrap(err, "read the routes");
	}
	reading.n = prefixes_tidy(reading.v, reading.n);
	if (same_as_told(r, reading.v, reading.n)) {
		free(reading.v);
		return 0;
	}
	free(r->told);
	r->told = reading.v;
	r->n_told = reading.n;
	r->fn(r->arg, r->told, r->n_told);
	return 0;
}

/* --- following --- */

static void on_timer(void *arg)
{
	struct routes *r = arg;
	struct err err = {0};
	uint64_t held;

	if (look(r, &err) == 0)
		return;
	r->limit.interval_us = LOG_US;
	if (log_limit_pass(&r->limit, mono_now().us, &held))
		log_warning("routes cannot be read, trying again", kv_str("why", err.text));
	timer_start(r->timer, LOOK_AGAIN_US);
}

/* Not put off by further events */
static void look_soon(struct routes *r)
{
	if (!timer_is_set(r->timer))
		timer_start(r->timer, SETTLE_US);
}

static void on_event(void *arg, const struct nlmsghdr *nlh)
{
	struct prefix p;

	if (route_counts(nlh, &p))
		look_soon(arg);
}

static void on_lost(void *arg)
{
	look_soon(arg);
}

struct routes *routes_new(uv_loop_t *loop, routes_fn *fn, void *arg)
{
	struct routes *r = xcalloc(1, sizeof(*r));

	*r = (struct routes){.loop = loop, .fn = fn, .arg = arg};
	r->timer = timer_new(loop, "look at the routes", on_timer, r);
	return r;
}

int routes_start(struct routes *r, struct err *err)
{
	static const unsigned groups[] = {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, 0};
	int rc = nl_open(NETLINK_ROUTE, &r->dumps, err);

	if (rc == 0)
		rc = nl_open(NETLINK_ROUTE, &r->events, err);
	if (rc == 0)
		rc = nl_listen(r->events, r->loop, groups, on_event, on_lost, r, err);
	if (rc == 0)
		rc = look(r, err);
	r->started = true;
	return rc;
}

void routes_free(struct routes *r)
{
	if (!r)
		return;
	nl_free(r->events);
	nl_free(r->dumps);
	timer_free(r->timer);
	free(r->told);
	free(r);
}
