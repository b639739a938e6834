/* SPDX-License-Identifier: Apache-2.0
 *
 * What the log says of clashing subnets: what is new, what is over, and no more than so much.
 */
#include "router/refused.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/log.h"

#define HOST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HOST_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct discovery disc;
static struct refused_budget budget;
static enum mapping mapping;
static int64_t again_us;

static int start(void **state)
{
	memset(&disc, 0, sizeof(disc));
	memset(&budget, 0, sizeof(budget));
	mapping = MAPPING_NEVER;
	str_copy(disc.self.host_id, HOST_A);
	str_copy(disc.self.host_name, "nas");
	log_init("router", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	return 0;
}

/* What refused_tell() says, through a file in place of stderr. */
static char *told(const struct router_state *was, struct router_state *now, int64_t now_us)
{
	static char text[65536];
	FILE *f = tmpfile();
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	assert_non_null(f);
	dup2(fileno(f), STDERR_FILENO);
	again_us = refused_tell(&budget, now_us, &disc, mapping, was, now);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void add(struct router_state *s, const char *prefix, const char *host_id, const char *with)
{
	struct rs_refused *r = xgrow(&s->refused, s->n_refused, &s->cap_refused);
	s->n_refused++;
	r->vni = 100;
	assert_int_equal(prefix_parse(prefix, &r->prefix), 0);
	str_copy(r->host_id, host_id);
	str_copy(r->stack_id, "shop");
	r->with = xstrdup(with);
	r->cure = xstrdup("networks:\n  default:\n    ipam:\n      config:\n        - subnet: 10.93.1.0/24");
}

static size_t lines(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void test_difference(void **state)
{
	struct router_state none = {0}, one = {0}, other = {0};
	const char *t;

	add(&one, "172.18.0.0/16", HOST_A, "172.18.0.0/16 of stack blog on pi (192.0.2.2)");
	t = told(&none, &one, 1);
	assert_int_equal(lines(t), 1);
	assert_non_null(strstr(t, "VNI 100: 172.18.0.0/16 of stack shop on nas clashes with "
				  "172.18.0.0/16 of stack blog on pi (192.0.2.2)"));
	assert_non_null(strstr(t, "subnet: 10.93.1.0/24"));
	assert_int_equal(lines(told(&one, &one, 2)), 0);
	assert_int_equal(lines(told(NULL, &one, 3)), 1);
	add(&other, "172.18.0.0/16", HOST_A, "route 172.18.0.0/16 dev eth0 of this host");
	assert_int_equal(lines(told(&one, &other, 4)), 2); /* a new reason; the old one is over */
	t = told(&one, &none, 5);
	assert_int_equal(lines(t), 1);
	assert_non_null(strstr(t, "a clash is over"));
	router_state_done(&one);
	router_state_done(&other);
}

static void test_names(void **state)
{
	struct router_state none = {0}, one = {0};

	add(&one, "10.1.0.0/16", HOST_B, "x");
	assert_non_null(strstr(told(&none, &one, 1), "shop on " HOST_B));
	struct peer *p = xgrow(&disc.peers, disc.n_peers, &disc.cap_peers);
	disc.n_peers++;
	str_copy(p->host_id, HOST_B);
	str_copy(p->host_name, "pi");
	assert_non_null(strstr(told(&none, &one, 1), "shop on pi clashes"));
	discovery_done(&disc);
	router_state_done(&one);
}

static void test_flood(void **state)
{
	struct router_state none = {0}, many = {0};
	char prefix[32];

	for (int i = 0; i < 200; i++) {
		str_print(prefix, "10.%d.0.0/16", i);
		add(&many, prefix, HOST_B, "x");
	}
	const char *t = told(&none, &many, 1);
	assert_int_equal(lines(t), 61);
	assert_non_null(strstr(t, "more subnets clash"));
	assert_int_equal(lines(told(&many, &none, 59 * 1000000)), 0);
	assert_int_equal(lines(told(&none, &many, 61 * 1000000)), 61);
	router_state_done(&many);
}

/* Where subnets are mapped only what stays is told; that of a stack which discovery does not know yet, later. */
static void test_mapping(void **state)
{
	struct router_state none = {0}, one = {0}, theirs = {0};
	const int64_t second = 1000000;

	mapping = MAPPING_AUTO;
	add(&one, "172.18.0.0/16", HOST_A, "172.18.0.0/16 of stack blog on pi (192.0.2.2)");
	assert_int_equal(lines(told(NULL, &one, 7)), 0);
	assert_int_equal(again_us, 5 * second);
	assert_int_equal(lines(told(&one, &one, 7 + 4 * second)), 0);
	assert_int_equal(again_us, second);
	assert_int_equal(lines(told(&one, &none, 7 + 4 * second)), 0); /* over before it was told */
	struct self_stack *s = xgrow(&disc.self.stacks, disc.self.n_stacks, &disc.self.cap_stacks);
	disc.self.n_stacks++;
	str_copy(s->stack_id, "shop");
	s->vni = 100;
	assert_int_equal(lines(told(NULL, &one, 7)), 0);
	assert_int_equal(again_us, second);
	assert_int_equal(lines(told(&one, &one, 7 + second)), 1);
	assert_int_equal(again_us, 0);
	assert_int_equal(lines(told(&one, &one, 7 + 2 * second)), 0);
	assert_int_equal(lines(told(&one, &none, 7 + 3 * second)), 1);
	add(&theirs, "172.18.0.0/16", HOST_B, "x");
	assert_int_equal(lines(told(&none, &theirs, 7)), 0);
	assert_int_equal(again_us, second);
	assert_int_equal(lines(told(&theirs, &theirs, 7 + second)), 1);
	discovery_done(&disc);
	router_state_done(&one);
	router_state_done(&theirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_difference, start),
		cmocka_unit_test_setup(test_names, start),
		cmocka_unit_test_setup(test_flood, start),
		cmocka_unit_test_setup(test_mapping, start),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
