/* SPDX-License-Identifier: Apache-2.0
 *
 * The YAML file: what it may hold, and the line that an error names.
 */
#include "state/config_file.h"

#include "tempdir.h"

static void taken(struct config *c, const char *text)
{
	struct err e = {0};
	memset(c, 0, sizeof(*c));
	if (config_file_parse(c, "x.yaml", text, strlen(text), &e) < 0)
		fail_msg("%s: %s", text, e.text);
}

static void refused(const char *text, const char *why)
{
	struct config c = {0};
	struct err e = {0};
	if (config_file_parse(&c, "x.yaml", text, strlen(text), &e) != -EINVAL)
		fail_msg("%s was taken", text);
	if (!strstr(e.text, why))
		fail_msg("\"%s\" does not tell of \"%s\"", e.text, why);
	config_done(&c);
}

static void test_taken(void **state)
{
	static struct config c;
	taken(&c, "# comment\n"
		  "discovery_mode: multicast\n"
		  "vxlan-port: 4800\n"
		  "docker_host:\n- unix:///a.sock\n- tcp://192.0.2.1:2375\n"
		  "dry_run: true\n"
		  "networks:\n"
		  "  br-container: {vni: 1000, stack: openwrt}\n"
		  "  shop_default:\n    vni: 7\n");
	assert_int_equal(c.modes, MODE_MULTICAST);
	assert_int_equal(c.vxlan_port, 4800);
	assert_int_equal(c.n_docker_hosts, 2);
	assert_string_equal(c.docker_hosts[1], "tcp://192.0.2.1:2375");
	assert_true(c.dry_run);
	assert_int_equal(c.n_networks, 2);
	assert_string_equal(c.networks[0].name, "br-container");
	assert_string_equal(c.networks[0].stack, "openwrt");
	assert_int_equal(c.networks[0].vni, 1000);
	assert_string_equal(c.networks[1].stack, "shop_default");
	config_done(&c);
	config_done(&c);
	taken(&c, "");
	taken(&c, "# nothing\n");
	taken(&c, "---\n");
	taken(&c, "networks:\n");
	assert_int_equal(c.n_networks, 0);
}

static void test_refused(void **state)
{
	refused("a\n", "line 1: settings as");
	refused("[1]", "line 1: settings as");
	refused("log_level: info\n: 5\n", "x.yaml line 2");
	refused("log_level: info\nlog_level:\n  a: b\n", "x.yaml line 3: a plain value");
	refused("log_level: info\nvxlan_port: many\n",
		"VXLAN_PORT=many (x.yaml line 2: vxlan_port): allowed is a port from 1 to 65535");
	refused("config: /x\n", "unknown setting");
	refused("VXLAN_PORT: 5\n", "unknown setting");
	refused("a: &x 1\nb: *x\n", "x.yaml line");
	refused("log_level: &x info\nlog_format: *x\n", "line 2: an alias");
	refused("log_level: info\n---\nlog_level: info\n", "second document");
	refused("\tx: 1\n", "x.yaml line 1: ");
	refused("\"a\\0b\": 1\n", "name of a setting");
	refused("log_level: \"in\\0fo\"\n", "a plain value");
	refused("networks: 5\n", "a mapping of names");
	refused("networks:\n  x: 5\n", "line 2: a network needs");
	refused("networks:\n  x: {}\n", "needs a vni");
	refused("networks:\n  x: {vni: 0}\n", "allowed is a whole number");
	refused("networks:\n  x: {vni: [1]}\n", "allowed is a whole number");
	refused("networks:\n  x: {vni: 1, stack: a b}\n", "allowed are 1 to 127");
	refused("networks:\n  x: {vni: 1, color: red}\n", "unknown setting of a network");
	refused("networks:\n  x: {vni: 1}\n  x: {vni: 2}\n", "line 3: this network is there twice");
	refused("networks:\n  a/b: {vni: 1}\n", "not the name of");
	refused("networks:\n  {a: b}: {vni: 1}\n", "name of a Docker network");
	refused("peers: [[[[[[[[[[[[[[[[[[[[", "list of plain values");
	refused("peers: {{{{{{{{{{{{", "a plain value");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_refused),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
