/* SPDX-License-Identifier: Apache-2.0
 *
 * Which routes count, and that their coming and going is told: against the running kernel, in a namespace of its own.
 */
#include "../router/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include <linux/rtnetlink.h>

#include "discovery/routes.h"

#define DEADLINE_US (10 * USEC_PER_SEC)

struct told {
	uv_loop_t loop;
	struct routes *routes;
	struct prefix v[64];
	size_t n, times;
};

static void on_routes(void *arg, const struct prefix *routes, size_t n)
{
	struct told *t = arg;

	assert_true(n <= ARRAY_LEN(t->v));
	memcpy(t->v, routes, n * sizeof(*routes));
	t->n = n;
	t->times++;
}

static bool has(const struct told *t, const char *text)
{
	struct prefix p;

	assert_int_equal(prefix_parse(text, &p), 0);
	for (size_t i = 0; i < t->n; i++) {
		if (prefix_cmp(&t->v[i], &p) == 0)
			return true;
	}
	return false;
}

static void on_deadline(void *arg)
{
	*(bool *)arg = true;
}

/* Until it has been told @times times */
static void wait_for(struct told *t, size_t times)
{
	bool expired = false;
	struct timer *timer = timer_new(&t->loop, "deadline", on_deadline, &expired);

	timer_start(timer, DEADLINE_US);
	while (t->times < times && !expired)
		uv_run(&t->loop, UV_RUN_ONCE);
	timer_free(timer);
	assert_int_equal(t->times, times);
}

static void test_kernel(void **state)
{
	struct told t = {0};
	struct err err = {0};

	sh("ip route add 10.5.0.0/16 dev lo");
	sh("ip route add 10.6.0.0/16 dev lo proto 212");
	sh("ip route add default dev lo");
	sh("ip route add 0.0.0.0/1 dev lo");
	sh("ip route add 10.7.0.0/16 dev lo table 52");
	sh("ip route add unreachable 10.8.0.0/16");
	sh("ip route add 169.254.0.0/16 dev lo");
	sh("ip -6 route add fd05::/64 dev lo");
	sh("ip -6 route add 2000::/3 dev lo");
	loop_init(&t.loop);
	t.routes = routes_new(&t.loop, on_routes, &t);
	assert_int_equal(routes_start(t.routes, &err), 0);
	/* told before it returned */
	assert_int_equal(t.times, 1);
	assert_true(has(&t, "10.5.0.0/16") && has(&t, "10.7.0.0/16") && has(&t, "fd05::/64"));
	assert_int_equal(t.n, 3);
	/* several that come together are one change; what does not count is none */
	sh("ip route add 10.9.0.0/16 dev lo; ip route add 10.10.0.0/16 dev lo; ip route del 10.5.0.0/16 dev lo");
	wait_for(&t, 2);
	assert_int_equal(t.n, 4);
	assert_false(has(&t, "10.5.0.0/16"));
	sh("ip route add 10.11.0.0/16 dev lo proto 212; ip route del 0.0.0.0/1 dev lo");
	sh("ip -6 route del fd05::/64 dev lo");
	wait_for(&t, 3);
	assert_int_equal(t.n, 3);
	routes_free(t.routes);
	loop_done(&t.loop);
}

/* Cut short, or of no known family: passed over */
static void test_broken(void **state)
{
	_Alignas(struct nlmsghdr) char bytes[256] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(bytes);
	struct rtmsg *rtm;
	struct prefix p;

	nlh->nlmsg_type = RTM_NEWROUTE;
	assert_false(route_counts(nlh, &p));
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	*rtm = (struct rtmsg){
		.rtm_family = AF_INET, .rtm_dst_len = 16, .rtm_type = RTN_UNICAST, .rtm_table = RT_TABLE_MAIN};
	assert_false(route_counts(nlh, &p)); /* no address */
	mnl_attr_put_u32(nlh, RTA_DST, htonl(0x0a050102));
	assert_true(route_counts(nlh, &p));
	assert_int_equal(p.ip.b[3], 0);
	rtm->rtm_dst_len = 33;
	assert_false(route_counts(nlh, &p));
	rtm->rtm_dst_len = 64;
	rtm->rtm_family = AF_INET6; /* 4 bytes are no IPv6 address */
	assert_false(route_counts(nlh, &p));
	rtm->rtm_family = AF_UNIX;
	assert_false(route_counts(nlh, &p));
	*rtm = (struct rtmsg){
		.rtm_family = AF_INET, .rtm_dst_len = 16, .rtm_type = RTN_UNICAST, .rtm_table = RT_TABLE_MAIN};
	nlh->nlmsg_type = RTM_DELROUTE;
	assert_true(route_counts(nlh, &p));
	nlh->nlmsg_type = RTM_NEWLINK;
	assert_false(route_counts(nlh, &p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_kernel), cmocka_unit_test(test_broken)};

	if (!kernel_fresh())
		return kernel_skip("needs root");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
