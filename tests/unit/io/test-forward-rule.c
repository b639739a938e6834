/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be copied, as text for nft; and that nothing else gets into it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "io/forward_rule.h"

#define HEAD "table netdev docker-router-multicast\ndelete table netdev docker-router-multicast\n"

static void good(const char *text, const char *made)
{
	autobuf struct buf out = {0};
	struct err err = {0};

	if (forward_rule_make(text, strlen(text), &out, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(out.data, made);
}

static void test_good(void **state)
{
	good("", HEAD);
	good("eth0 br-a 239.1.2.3\neth0 br-b 239.1.2.3\nbr-a eth0 ff05::1\n",
	     HEAD "table netdev docker-router-multicast {\n"
		  "\tchain from-eth0 {\n\t\ttype filter hook ingress device \"eth0\" priority -150; policy accept;\n"
		  "\t\tip daddr 239.1.2.3 meta l4proto udp dup to \"br-a\"\n"
		  "\t\tip daddr 239.1.2.3 meta l4proto udp dup to \"br-b\"\n"
		  "\t}\n"
		  "\tchain from-br-a {\n\t\ttype filter hook ingress device \"br-a\" priority -150; policy accept;\n"
		  "\t\tip6 daddr ff05::1 meta l4proto udp dup to \"eth0\"\n"
		  "\t}\n}\n");
}

static void test_options(void **state)
{
	good("br-a eth0 239.1.2.3 from=172.30.0.0/24,172.31.0.9 not=172.30.0.7 ttl=4\n"
	     "br-a eth0 ff05::1 ttl=2\n",
	     HEAD "table netdev docker-router-multicast {\n"
		  "\tchain from-br-a {\n\t\ttype filter hook ingress device \"br-a\" priority -150; policy accept;\n"
		  "\t\tip saddr { 172.30.0.0/24, 172.31.0.9 } ip saddr != { 172.30.0.7 } ip daddr 239.1.2.3 "
		  "meta l4proto udp ip ttl set 4 dup to \"eth0\"\n"
		  "\t\tip6 daddr ff05::1 meta l4proto udp ip6 hoplimit set 2 dup to \"eth0\"\n"
		  "\t}\n}\n");
	good("eth0 br-a 172.30.0.0/24 from=192.0.2.0/24 but=172.30.0.1,172.30.0.255\n"
	     "eth0 br-a 2001:db8:30::/64 from=2001:db8::/64\n",
	     HEAD
	     "table netdev docker-router-multicast {\n"
	     "\tchain from-eth0 {\n\t\ttype filter hook ingress device \"eth0\" priority -150; policy accept;\n"
	     "\t\tip saddr { 192.0.2.0/24 } ip daddr != { 172.30.0.1, 172.30.0.255 } ip daddr 172.30.0.0/24 fwd ip "
	     "to ip daddr device \"br-a\"\n"
	     "\t\tip6 saddr { 2001:db8::/64 } ip6 daddr 2001:db8:30::/64 fwd ip6 to ip6 daddr device \"br-a\"\n"
	     "\t}\n}\n");
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"eth0 br-a 239.1.2.3",		     /* does not end */
		"eth0 br-a\n",			     /* no group */
		"eth0 br-a 239.1.2.3 x\n",	     /* more */
		"eth0  239.1.2.3\n",		     /* no name */
		"eth0 eth0 239.1.2.3\n",	     /* to itself */
		"eth0 br-a 192.0.2.1\n",	     /* no group */
		"eth0 br-a 224.0.0.251\n",	     /* of the link */
		"eth0 br-a ff02::fb\n",		     /* of the link */
		"eth0 br-a 239.1.2.0/24\n",	     /* a range */
		"eth0 br\"a 239.1.2.3\n",	     /* a quote */
		"eth0 br{a 239.1.2.3\n",	     /* a bracket */
		"eth0 br;a 239.1.2.3\n",	     /* a separator */
		"eth0\tx br-a 239.1.2.3\n",	     /* a tab */
		"0123456789abcdef br-a 239.1.2.3\n", /* longer than a name */
		".. br-a 239.1.2.3\n",		     /* no name */
		"\n",
		"a b 239.1.2.3 \n",			       /* ends with a space */
		"a b 239.1.2.3 ttl=0\n",		       /* no TTL */
		"a b 239.1.2.3 ttl=256\n",		       /* no TTL */
		"a b 239.1.2.3 ttl=4 ttl=4\n",		       /* twice */
		"a b 239.1.2.3 from=\n",		       /* no list */
		"a b 239.1.2.3 from=192.0.2.1,\n",	       /* an empty one */
		"a b 239.1.2.3 from=2001:db8::1\n",	       /* another family */
		"a b 239.1.2.3 from=192.0.2.1}\n",	       /* a bracket */
		"a b 239.1.2.3 from=239.1.1.1\n",	       /* groups send nothing */
		"a b 239.1.2.3 but=192.0.2.1\n",	       /* of a network only */
		"a b 172.30.0.0/24\n",			       /* from anybody */
		"a b 172.30.0.0/24 from=0.0.0.0/0\n",	       /* the same */
		"a b 0.0.0.0/0 from=192.0.2.0/24\n",	       /* to anybody */
		"a b 172.30.0.1/24 from=192.0.2.0/24\n",       /* no network */
		"a b 127.0.0.0/8 from=192.0.2.0/24\n",	       /* the host itself */
		"a b fe80::/64 from=2001:db8::/64\n",	       /* a link's own */
		"a b 172.30.0.0/24 from=192.0.2.0/24 ttl=4\n", /* counted down, not set */
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		autobuf struct buf out = {0};
		struct err err = {0};

		if (forward_rule_make(bad[i], strlen(bad[i]), &out, &err) != -EINVAL)
			fail_msg("let through: %s", bad[i]);
	}
}

static void test_bounds(void **state)
{
	autobuf struct buf in = {0}, out = {0};
	struct err err = {0};

	for (int i = 0; i <= FORWARD_RULES_MAX; i++)
		buf_printf(&in, "a b 239.1.%d.%d\n", i / 256, i % 256);
	assert_int_equal(forward_rule_make(in.data, in.len, &out, &err), -E2BIG);
	buf_clear(&in);
	while (in.len <= FORWARD_BYTES_MAX)
		buf_puts(&in, "xxxxxxxxxxxxxxxx");
	assert_int_equal(forward_rule_make(in.data, in.len, &out, &err), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_options),
					   cmocka_unit_test(test_bad), cmocka_unit_test(test_bounds)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
