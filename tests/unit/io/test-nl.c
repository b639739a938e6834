/* SPDX-License-Identifier: Apache-2.0
 *
 * Netlink against the real kernel, in a namespace of the test's own: batches, errors, dumps, overruns.
 */
#include "help.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include "io/nl.h"

#define TABLE 100

struct fixture {
	uv_loop_t loop;
	struct nl *nl, *other;
	size_t seen, restarts, lost, fails;
	intptr_t first_cookie, last_cookie;
	int code;
	char extack[256];
	bool in_order, done;
	unsigned made;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	loop_init(&f->loop);
	assert_int_equal(nl_open(NETLINK_ROUTE, &f->nl, NULL), 0);
	assert_int_equal(nl_open(NETLINK_ROUTE, &f->other, NULL), 0);
	f->in_order = true;
	f->last_cookie = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	nl_free(f->nl);
	nl_free(f->other);
	loop_done(&f->loop);
	free(f);
	return 0;
}

static void on_fail(void *arg, void *cookie, int code, const char *extack)
{
	struct fixture *f = arg;

	if (f->fails++ == 0)
		f->first_cookie = (intptr_t)cookie;
	f->in_order &= (intptr_t)cookie > f->last_cookie;
	f->last_cookie = (intptr_t)cookie;
	f->code = code;
	str_copy(f->extack, extack);
}

static void put_route(struct nl *nl, uint16_t type, uint16_t flags, uint32_t dst, intptr_t cookie)
{
	struct nlmsghdr *h = nl_begin(nl, type, flags, (void *)cookie);
	struct rtmsg *r = mnl_nlmsg_put_extra_header(h, sizeof(*r));

	r->rtm_family = AF_INET;
	r->rtm_dst_len = 32;
	r->rtm_table = TABLE;
	r->rtm_protocol = RTPROT_STATIC;
	r->rtm_scope = RT_SCOPE_LINK;
	r->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(h, RTA_DST, htonl(dst));
	mnl_attr_put_u32(h, RTA_OIF, if_nametoindex("lo"));
	nl_end(nl);
}

static int routes(struct fixture *f, uint16_t type, uint16_t flags, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put_route(f->nl, type, flags, 0x0a000000 + i, (intptr_t)i);
	return nl_commit(f->nl, on_fail, f);
}

static int add_routes(struct fixture *f, unsigned n)
{
	return routes(f, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, n);
}

static int remove_routes(struct fixture *f, unsigned n)
{
	return routes(f, RTM_DELROUTE, 0, n);
}

static void on_route(void *arg, const struct nlmsghdr *h)
{
	struct fixture *f = arg;
	const struct rtmsg *r = mnl_nlmsg_get_payload(h);

	if (r->rtm_table == TABLE)
		f->seen++;
}

static void on_restart(void *arg)
{
	struct fixture *f = arg;

	f->restarts++;
	f->seen = 0;
}

static size_t count_routes(struct fixture *f)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *r;

	h->nlmsg_type = RTM_GETROUTE;
	r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
	r->rtm_family = AF_INET;
	mnl_attr_put_u32(h, RTA_TABLE, TABLE);
	f->seen = 0;
	assert_int_equal(nl_dump(f->nl, h, on_route, on_restart, f, NULL), 0);
	return f->seen;
}

static void test_batch_of_thousands(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(add_routes(f, 5000), 0);
	assert_int_equal(f->fails, 0);
	assert_int_equal(count_routes(f), 5000);
	assert_int_equal(remove_routes(f, 5000), 0);
	assert_int_equal(count_routes(f), 0);
	assert_int_equal(nl_commit(f->nl, on_fail, f), 0); /* of nothing */
}

static void test_failures_find_their_requests(void **state)
{
	struct fixture *f = *state;

	/* every 500th is there already */
	for (unsigned i = 0; i < 3000; i += 500)
		put_route(f->nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, 0x0a000000 + i, -1);
	assert_int_equal(nl_commit(f->nl, on_fail, f), 0);
	assert_int_equal(add_routes(f, 3000), 6);
	assert_int_equal(f->fails, 6);
	assert_int_equal(f->code, -EEXIST);
	assert_int_equal(f->first_cookie, 0);
	assert_int_equal(f->last_cookie, 2500);
	assert_true(f->in_order);
	assert_int_equal(count_routes(f), 3000);
	assert_int_equal(remove_routes(f, 3000), 0);
}

static void test_last_of_a_batch_fails(void **state)
{
	struct fixture *f = *state;

	put_route(f->nl, RTM_DELROUTE, 0, 0x0a000001, 42);
	assert_int_equal(nl_commit(f->nl, on_fail, f), 1);
	assert_int_equal(f->code, -ESRCH);
	assert_int_equal(f->first_cookie, 42);
}

static void test_extended_ack(void **state)
{
	struct fixture *f = *state;
	struct nlmsghdr *h = nl_begin(f->nl, RTM_NEWROUTE, NLM_F_CREATE, f);
	struct rtmsg *r = mnl_nlmsg_put_extra_header(h, sizeof(*r));

	r->rtm_family = AF_INET;
	r->rtm_dst_len = 32;
	r->rtm_table = TABLE;
	r->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(h, RTA_DST, htonl(0x0a000001));
	mnl_attr_put_u32(h, RTA_GATEWAY, htonl(0xc0000201)); /* nobody knows the way to it */
	nl_end(f->nl);
	assert_int_equal(nl_commit(f->nl, on_fail, f), 1);
	assert_int_equal(f->code, -ENETUNREACH);
	assert_string_equal(f->extack, "Nexthop has invalid gateway");
}

/* More errors than the buffer holds: none may pass for a success */
static void test_failures_in_a_small_buffer(void **state)
{
	struct fixture *f = *state;

	nl_set_rcvbuf(f->nl, 1);
	assert_int_equal(remove_routes(f, 3000), 3000);
	assert_int_equal(f->fails, 3000);
	assert_true(f->in_order);
	assert_int_equal(f->last_cookie, 2999);
	assert_int_equal(f->code, -ESRCH);
}

/* The buffer overflows in the middle of a batch, behind our back */
static void test_overrun_in_a_batch(void **state)
{
	struct fixture *f = *state;
	int bytes = 1;

	assert_int_equal(setsockopt(nl_fd(f->nl), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
	assert_int_equal(remove_routes(f, 500), 500);
	assert_int_equal(f->fails, 500);
	assert_true(f->in_order);
	assert_int_equal(f->code, -ENOBUFS);
	/* what was done and what was not is unknown: nothing of it may be left over for the next */
	f->fails = 0;
	f->last_cookie = -1;
	put_route(f->nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, 0x0a000000, 7);
	assert_int_equal(nl_commit(f->nl, on_fail, f), 0);
	assert_int_equal(count_routes(f), 1);
	assert_int_equal(remove_routes(f, 1), 0);
}

static void on_link(void *arg, const struct nlmsghdr *h)
{
	(void)h;
	((struct fixture *)arg)->seen++;
}

static void link_request(struct nlmsghdr *h, const char *name)
{
	struct ifinfomsg *ifi;

	h->nlmsg_type = RTM_GETLINK;
	ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	if (name)
		mnl_attr_put_strz(h, IFLA_IFNAME, name);
}

static void test_get(void **state)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct fixture *f = *state;
	struct err err;

	link_request(h, "lo");
	assert_int_equal(nl_get(f->nl, h, on_link, f, NULL), 0);
	assert_int_equal(f->seen, 1);
	h = mnl_nlmsg_put_header(buf);
	link_request(h, "nosuch0");
	assert_int_equal(nl_get(f->nl, h, on_link, f, &err), -ENODEV);
	assert_int_equal(f->seen, 1);
	assert_non_null(strstr(err.text, "No such device"));
}

static void put_veth(struct nl *nl, unsigned i)
{
	struct nlmsghdr *h = nl_begin(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, NULL);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	struct nlattr *info;
	char name[16];

	ifi->ifi_family = AF_UNSPEC;
	str_print(name, "v%u", i);
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	mnl_attr_nest_end(h, info);
	nl_end(nl);
}

/* In the middle of the first two passes a link comes: the kernel says that the dump is not of one moment */
static void on_link_disturb(void *arg, const struct nlmsghdr *h)
{
	struct fixture *f = arg;

	(void)h;
	f->seen++;
	if (f->seen == 1 && f->restarts < 2) {
		put_veth(f->other, 1000 + f->made++);
		if (nl_commit(f->other, on_fail, f) != 0)
			f->made = 999;
	}
}

static void test_interrupted_dump_is_repeated(void **state)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct fixture *f = *state;

	for (unsigned i = 0; i < 60; i++)
		put_veth(f->nl, i);
	assert_int_equal(nl_commit(f->nl, on_fail, f), 0);
	link_request(h, NULL);
	assert_int_equal(nl_dump(f->nl, h, on_link_disturb, on_restart, f, NULL), 0);
	assert_int_equal(f->restarts, 2);
	assert_int_equal(f->made, 2);
	assert_int_equal(f->seen, 1 + 2 * (60 + 2)); /* lo, and pairs */
}

static void on_link_disturb_always(void *arg, const struct nlmsghdr *h)
{
	struct fixture *f = arg;

	(void)h;
	if (++f->seen == 1) {
		put_veth(f->other, 2000 + f->made++);
		assert_int_equal(nl_commit(f->other, on_fail, f), 0);
	}
}

static void test_dump_gives_up_in_the_end(void **state)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct fixture *f = *state;

	link_request(h, NULL);
	assert_int_equal(nl_dump(f->nl, h, on_link_disturb_always, on_restart, f, NULL), -EAGAIN);
	assert_int_equal(f->restarts, 5);
	/* and the socket is good for the next */
	assert_int_equal(count_routes(f), 0);
}

static void test_dump_that_is_refused(void **state)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct fixture *f = *state;
	struct err err;

	h->nlmsg_type = RTM_GETLINK; /* strict checking wants a longer header behind it */
	mnl_nlmsg_put_extra_header(h, sizeof(struct rtgenmsg));
	assert_int_equal(nl_dump(f->nl, h, on_link, NULL, f, &err), -EINVAL);
	assert_non_null(strstr(err.text, "Invalid header for link dump"));
	assert_int_equal(f->seen, 0);
}

static void on_event(void *arg, const struct nlmsghdr *h)
{
	struct fixture *f = arg;

	on_route(f, h);
	f->done = true;
}

static void on_lost(void *arg)
{
	struct fixture *f = arg;

	f->lost++;
	f->done = true;
}

static const unsigned route_group[] = {RTNLGRP_IPV4_ROUTE, 0};

static void test_events(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(nl_listen(f->other, &f->loop, route_group, on_event, on_lost, f, NULL), 0);
	assert_int_equal(add_routes(f, 2000), 0);
	while (f->seen < 2000) {
		f->done = false;
		if (!help_wait(&f->loop, &f->done))
			fail_msg("%zu of 2000 events came", f->seen);
	}
	assert_int_equal(f->lost, 0);
	assert_int_equal(remove_routes(f, 2000), 0);
}

static void test_overrun_is_told(void **state)
{
	struct fixture *f = *state;

	nl_set_rcvbuf(f->other, 1);
	assert_int_equal(nl_listen(f->other, &f->loop, route_group, on_event, on_lost, f, NULL), 0);
	assert_int_equal(add_routes(f, 2000), 0);
	assert_true(help_wait(&f->loop, &f->done));
	help_spin(&f->loop);
	assert_int_equal(f->lost, 1);
	assert_true(f->seen < 2000);
	/* what comes after it is heard, and one more overrun is told again */
	f->seen = 0;
	f->done = false;
	assert_int_equal(remove_routes(f, 1), 0);
	assert_true(help_wait(&f->loop, &f->done));
	assert_int_equal(f->seen, 1);
	assert_int_equal(f->lost, 1);
	f->done = false;
	for (unsigned i = 1; i < 2000; i++)
		put_route(f->nl, RTM_DELROUTE, 0, 0x0a000000 + i, (intptr_t)i);
	assert_int_equal(nl_commit(f->nl, on_fail, f), 0);
	while (f->lost < 2) {
		f->done = false;
		assert_true(help_wait(&f->loop, &f->done));
	}
}

static void on_event_free(void *arg, const struct nlmsghdr *h)
{
	struct fixture *f = arg;

	(void)h;
	f->seen++;
	nl_free(f->other);
	f->other = NULL;
	f->done = true;
}

static void test_event_socket_freed_in_its_callback(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(nl_listen(f->other, &f->loop, route_group, on_event_free, on_lost, f, NULL), 0);
	assert_int_equal(add_routes(f, 10), 0);
	assert_true(help_wait(&f->loop, &f->done));
	help_spin(&f->loop);
	assert_int_equal(f->seen, 1);
	assert_int_equal(remove_routes(f, 10), 0);
}

static void test_nftables_dump(void **state)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct fixture *f = *state;
	struct nfgenmsg *g;
	struct nl *nft;

	if (system("nft add table inet one 2>/dev/null && nft add table ip two") != 0)
		skip(); /* there is no nft */
	assert_int_equal(nl_open(NETLINK_NETFILTER, &nft, NULL), 0);
	h->nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETTABLE;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_UNSPEC;
	assert_int_equal(nl_dump(nft, h, on_link, on_restart, f, NULL), 0);
	assert_int_equal(f->seen, 2);
	nl_free(nft);
}

static void test_adopt_refuses_what_is_no_netlink(void **state)
{
	struct nl *nl = NULL;

	(void)state;
	assert_int_equal(nl_adopt(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), &nl, NULL), -EINVAL);
	assert_null(nl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_batch_of_thousands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures_find_their_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_of_a_batch_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_extended_ack, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures_in_a_small_buffer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overrun_in_a_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_get, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupted_dump_is_repeated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump_gives_up_in_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump_that_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overrun_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_event_socket_freed_in_its_callback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nftables_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adopt_refuses_what_is_no_netlink, setup, teardown),
	};

	if (!help_own_namespaces())
		return help_skip_all("needs root");
	if (system("ip link set dev lo up") != 0)
		return help_skip_all("needs iproute2");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
