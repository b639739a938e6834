/* SPDX-License-Identifier: Apache-2.0
 *
 * The label docker-router.multicast: what parses, what does not and is named, and that printing is the way back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "state/multicast_label.h"

static void good(const char *value, const char *printed)
{
	char text[MULTICAST_LABEL_STRLEN];
	struct multicast_label l, again;
	struct err err = {0};

	if (multicast_label_parse(value, &l, &err) != 0)
		fail_msg("%s: %s", value, err.text);
	assert_string_equal(multicast_label_print(&l, text), printed);
	assert_int_equal(multicast_label_parse(text, &again, &err), 0);
	assert_true(multicast_label_same(&l, &again));
}

static void bad(const char *value, int code, const char *words)
{
	struct multicast_label l = {.ssdp = true};
	struct err err = {0};

	assert_int_equal(multicast_label_parse(value, &l, &err), code);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" is not in: %s", words, err.text);
	assert_true(l.ssdp); /* untouched */
}

static void test_good(void **state)
{
	good("ssdp", "ssdp");
	good("mdns, ssdp", "ssdp,mdns");
	good("  ssdp ", "ssdp");
	good("239.1.2.3", "239.1.2.3/32");
	good("ff05::/16,239.255.0.1/16", "239.255.0.0/16,ff05::/16");
	good("_ipp._tcp", "mdns,_ipp._tcp");
	good("ssdp,_IPP._tcp,mdns,_googlecast._tcp,_ipp._tcp", "ssdp,mdns,_googlecast._tcp,_ipp._tcp");
	good("routed,_a-really-long1._udp,239.1.2.3", "mdns,_a-really-long1._udp,239.1.2.3/32,routed");
	good("ssdp routed", "ssdp,routed");
	good("all", "ssdp,mdns,224.0.0.0/4,ff00::/8");
	good("239.1.0.0/16,all", "ssdp,mdns,224.0.0.0/4,ff00::/8");
	good("239.1.0.0/16,239.1.2.0/24", "239.1.0.0/16");
	good("lan,ssdp", "ssdp");
	good("overlay,239.1.0.0/16", "239.1.0.0/16,overlay");
	good("overlay,mdns,lan", "mdns,lan,overlay");
}

static void has(const char *value, const char *group, bool yes)
{
	struct multicast_label l;
	struct err err = {0};
	struct ip ip;

	assert_int_equal(multicast_label_parse(value, &l, &err), 0);
	assert_int_equal(ip_parse(group, &ip), 0);
	if (multicast_label_has(&l, &ip) != yes)
		fail_msg("%s, %s", value, group);
}

/* What goes over the overlay of what is asked for */
static void test_has(void **state)
{
	has("overlay,ssdp", "239.255.255.250", true);
	has("overlay,ssdp", "ff05::c", true);
	has("overlay,ssdp", "224.0.0.251", false);
	has("overlay,mdns", "224.0.0.251", true);
	has("overlay,239.1.0.0/16", "239.1.2.3", true);
	has("overlay,239.1.0.0/16", "239.2.2.3", false);
	has("overlay,all", "224.0.0.1", false);
	has("overlay,all", "224.0.1.1", true);
	has("overlay,all", "ff02::fb", false);
	has("overlay,all", "ff0e::7", true);
}

static void test_bad(void **state)
{
	char many[1024] = "239.0.0.1";

	bad("", -EINVAL, "empty");
	bad(" , ", -EINVAL, "empty");
	bad("overlay", -EINVAL, "not what");
	bad("lan,overlay", -EINVAL, "not what");
	bad("routed", -EINVAL, "says how, and not what");
	bad("_ipp", -EINVAL, "\"_ipp\" is no type of service");
	bad("_._tcp", -EINVAL, "no type of service");
	bad("_ipp._tcp.local", -EINVAL, "no type of service");
	bad("_i.pp._tcp", -EINVAL, "no type of service");
	bad("_sixteen-letters1._tcp", -EINVAL, "no type of service");
	bad("sspd", -EINVAL, "\"sspd\" is unknown");
	bad("ssdp;mdns", -EINVAL, "\"ssdp;mdns\"");
	bad("SSDP", -EINVAL, "allowed are ssdp, mdns");
	bad("10.0.0.0/8", -EINVAL, "no range of groups");
	bad("224.0.0.251", -EINVAL, "no range of groups");
	bad("0.0.0.0/0", -EINVAL, "no range of groups");
	bad("ff02::fb", -EINVAL, "no range of groups");
	bad("::/0", -EINVAL, "no range of groups");
	for (int i = 2; i < 20; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), ",239.0.0.%d", i);
	bad(many, -E2BIG, "more than 16");
	memset(many, 'x', sizeof(many) - 1);
	bad(many, -EINVAL, "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_has),
					   cmocka_unit_test(test_bad)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
