/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings: defaults, precedence, every kind of value that is refused and in which words, help.
 */
#include "state/config.h"

#include "tempdir.h"

#define ALL (FOR_INVENTORY | FOR_DISCOVERY | FOR_ROUTER | FOR_HOST | FOR_CLI)

struct loaded {
	struct config c;
	struct err err;
	int rest, code;
};

static int count(char **v)
{
	int n = 0;
	while (v[n])
		n++;
	return n;
}

/* @args and @env end with NULL */
static struct loaded *load(int role, const char *const *args, const char *const *env)
{
	static struct loaded l;
	static char *none[] = {NULL};
	char **argv = args ? (char **)args : none;
	memset(&l, 0, sizeof(l));
	l.code = config_load(role, "router", count(argv), argv, env ? (char **)env : none, &l.c, &l.rest, &l.err);
	return &l;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_defaults(void **state)
{
	struct loaded *l = load(ALL, NULL, ARGS("CONFIG="));
	char text[PREFIX_STRLEN];
	assert_int_equal(l->code, 0);
	assert_string_equal(l->c.state_dir, "/var/lib/docker-router");
	assert_string_equal(l->c.run_dir, "/run/docker-router");
	assert_string_equal(l->c.roles, "inventory,discovery,router,names,multicast,attach");
	assert_int_equal(l->c.n_docker_hosts, 1);
	assert_string_equal(l->c.docker_hosts[0], "unix:///var/run/docker.sock");
	assert_int_equal(l->c.log_level, LOG_LEVEL_INFO);
	assert_int_equal(l->c.modes, MODE_MULTICAST);
	assert_string_equal(ip_format(&l->c.multicast_group, text), "239.1.1.1");
	assert_int_equal(l->c.discovery_port, 4790);
	assert_int_equal(l->c.vxlan_port, 4789);
	assert_int_equal(l->c.announce_interval_s, 30);
	assert_int_equal(l->c.peer_timeout_s, 90);
	assert_string_equal(prefix_format(&l->c.shadow4, text), "241.0.0.0/8");
	assert_string_equal(prefix_format(&l->c.shadow6, text), "fd64:7264::/32");
	assert_int_equal(l->c.vni, 0);
	assert_int_equal(l->c.datapath, DATAPATH_AUTO);
	assert_int_equal(l->c.mapping, MAPPING_AUTO);
	assert_string_equal(l->c.names_domain, "docker-router.internal");
	assert_string_equal(ip_format(&l->c.names_listen[0].ip, text), "127.0.0.1");
	assert_int_equal(l->c.names_listen[0].port, 4753);
	assert_false(l->c.dry_run);
	assert_int_equal(l->rest, 0);
	config_done(&l->c);
}

static void test_precedence(void **state)
{
	struct tempdir *t = *state;
	char file[128], config[160];
	str_print(file, "%s/c.yaml", t->path);
	str_print(config, "CONFIG=%s", file);
	tempdir_put(t, "c.yaml", "vxlan_port: 1001\ndiscovery-port: 1002\npeer_timeout: 1003\nlog_level: debug\n");
	struct loaded *l = load(ALL, ARGS("--vxlan-port", "3001", "--dry-run", "--log-level=error", "rest", "--x"),
				ARGS(config, "VXLAN_PORT=2001", "DISCOVERY_PORT=2002", "VNI="));
	assert_int_equal(l->code, 0);
	assert_int_equal(l->c.vxlan_port, 3001);
	assert_int_equal(l->c.discovery_port, 2002);
	assert_int_equal(l->c.peer_timeout_s, 1003);
	assert_int_equal(l->c.log_level, LOG_LEVEL_ERROR);
	assert_true(l->c.dry_run);
	assert_int_equal(l->rest, 4);
	/* --config wins over CONFIG, wherever it stands */
	l = load(ALL, ARGS("--dry-run=false", "--config", file, "--", "--x"), ARGS("CONFIG=/nonexistent"));
	assert_int_equal(l->code, 0);
	assert_int_equal(l->c.vxlan_port, 1001);
	assert_int_equal(l->rest, 4);
	l = load(ALL, NULL, ARGS("CONFIG=/nonexistent/x"));
	assert_int_equal(l->code, -EINVAL);
	assert_string_equal(l->err.text, "CONFIG=/nonexistent/x: No such file or directory");
	tempdir_put(t, "c.yaml", "vxlan_prt: 1\n");
	l = load(ALL, NULL, ARGS(config));
	assert_int_equal(l->code, -EINVAL);
	assert_non_null(strstr(l->err.text, "c.yaml line 1: vxlan_prt: unknown setting, did you mean vxlan_port?"));
	/* a symlink, as orchestrators mount it */
	tempdir_put(t, "d.yaml", "vxlan_port: 77\n");
	assert_int_equal(unlinkat(t->fd, "c.yaml", 0), 0);
	assert_int_equal(symlinkat("d.yaml", t->fd, "c.yaml"), 0);
	l = load(ALL, NULL, ARGS(config));
	assert_int_equal(l->code, 0);
	assert_int_equal(l->c.vxlan_port, 77);
}

static void test_values(void **state)
{
	struct loaded *l = load(
		ALL, NULL,
		ARGS("DOCKER_HOST=unix:///a.sock , tcp://192.0.2.1:2375", "STACK_ID=shop", "VNI=16777215",
		     "STACK_SUBNETS=10.71.0.9/24,fd71::/64", "DISCOVERY_MODE=static,multicast",
		     "MULTICAST_GROUP=ff02::1234", "PEERS=192.0.2.2,[2001:db8::2]:99,2001:db8::3", "HOST_IP=192.0.2.1",
		     "INTERFACE=lo", "GOODBYE=never", "SHADOW_POOL=10.9.0.0/16", "DATAPATH=nic", "UNDERLAY_MTU=9000",
		     "ROLES=discovery,router,names", "MAPPING=always", "NAMES_DOMAIN=.Home.Arpa.",
		     "NAMES_LISTEN=[::1], 172.17.0.1:53", "LOG_FORMAT=json", "DISCOVERY_PORT=5000"));
	char text[ENDPOINT_STRLEN];
	if (l->code)
		fail_msg("%s", l->err.text);
	assert_int_equal(l->c.n_docker_hosts, 2);
	assert_string_equal(l->c.docker_hosts[1], "tcp://192.0.2.1:2375");
	assert_int_equal(l->c.vni, 16777215);
	assert_int_equal(l->c.n_stack_subnets, 2);
	assert_string_equal(prefix_format(&l->c.stack_subnets[0], text), "10.71.0.0/24");
	assert_int_equal(l->c.modes, MODE_MULTICAST | MODE_STATIC);
	assert_int_equal(l->c.n_peers, 3);
	assert_string_equal(endpoint_format(&l->c.peers[0], text), "192.0.2.2:5000");
	assert_string_equal(endpoint_format(&l->c.peers[1], text), "[2001:db8::2]:99");
	assert_string_equal(endpoint_format(&l->c.peers[2], text), "[2001:db8::3]:5000");
	assert_string_equal(l->c.interface, "lo");
	assert_int_equal(l->c.goodbye, GOODBYE_NEVER);
	assert_string_equal(prefix_format(&l->c.shadow4, text), "10.9.0.0/16");
	assert_string_equal(prefix_format(&l->c.shadow6, text), "fd64:7264::/32");
	assert_int_equal(l->c.datapath, DATAPATH_NIC);
	assert_int_equal(l->c.underlay_mtu, 9000);
	assert_string_equal(l->c.roles, "discovery,router,names");
	assert_int_equal(l->c.mapping, MAPPING_ALWAYS);
	assert_string_equal(l->c.names_domain, "home.arpa");
	assert_string_equal(endpoint_format(&l->c.names_listen[0], text), "[::1]:4753");
	assert_string_equal(endpoint_format(&l->c.names_listen[1], text), "172.17.0.1:53");
	assert_int_equal(l->c.n_names_listen, 2);
	assert_int_equal(l->c.log_format, LOG_FORMAT_JSON);
	l = load(ALL, NULL, ARGS("NAMES_LISTEN=off"));
	assert_int_equal(l->code, 0);
	assert_int_equal(l->c.n_names_listen, 0);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"VNI=16777216",
		"VNI=abc",
		"VNI=-1",
		"VNI=1.0",
		"STACK_ID=a b",
		"STACK_ID=../x",
		"DISCOVERY_PORT=0",
		"DISCOVERY_PORT=65536",
		"ANNOUNCE_INTERVAL=0",
		"ANNOUNCE_INTERVAL=30s",
		"PEER_TIMEOUT=3601",
		"MULTICAST_GROUP=10.0.0.1",
		"MULTICAST_GROUP=x",
		"PEERS=nas",
		"PEERS=192.0.2.1,,",
		"PEERS=224.0.0.1",
		"HOST_IP=0.0.0.0",
		"HOST_IP=eth0",
		"INTERFACE=a/b",
		"INTERFACE=a-name-too-long-for-it",
		"GOODBYE=maybe",
		"VXLAN_PORT=x",
		"SHADOW_POOL=10.0.0.0/25",
		"SHADOW_POOL=x",
		"DATAPATH=fast",
		"UNDERLAY_MTU=500",
		"DOCKER_HOST=ssh://nas",
		"DOCKER_HOST=unix://",
		"DOCKER_HOST=,",
		"ROLES=router,attach",
		"LOG_LEVEL=loud",
		"LOG_FORMAT=xml",
		"STACK_SUBNETS=0.0.0.0/0",
		"STACK_SUBNETS=10.0.0.0/33",
		"DISCOVERY_MODE=telepathy",
		"DRY_RUN=perhaps",
		"MAPPING=maybe",
		"NAMES_DOMAIN=.",
		"NAMES_DOMAIN=a..b",
		"NAMES_DOMAIN=-a.b",
		"NAMES_DOMAIN=a-.b",
		"NAMES_DOMAIN=a.b-",
		"NAMES_DOMAIN=a b",
		"NAMES_DOMAIN=a.b..",
		"NAMES_DOMAIN=a234567890123456789012345678901234567890.b23456789012345678901234",
		"NAMES_LISTEN=no",
		"NAMES_LISTEN=127.0.0.1:0",
		"NAMES_LISTEN=off,127.0.0.1",
		"NAMES_LISTEN=127.0.0.1,,::1",
		"NAMES_LISTEN=127.0.0.1,127.0.0.1:4753",
		"NAMES_LISTEN=::1,::2,::3,::4,::5,::6,::7,::8,::9",
		"NAMES_LISTEN=224.0.0.1",
		"NAMES_LISTEN=fe80::1%lo",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct loaded *l = load(ALL, NULL, ARGS("STACK_ID=x", bad[i]));
		/* an earlier variable of the same name wins; give it alone too */
		if (l->code != -EINVAL)
			l = load(ALL, NULL, ARGS(bad[i]));
		if (l->code != -EINVAL)
			fail_msg("%s was taken", bad[i]);
	}
	struct loaded *l = load(FOR_DISCOVERY, NULL, ARGS("DISCOVERY_PORT=47x90"));
	assert_string_equal(l->err.text, "DISCOVERY_PORT=47x90 (environment): allowed is a port from 1 to 65535");
	l = load(FOR_DISCOVERY, ARGS("--multicast-group", "10.0.0.1"), NULL);
	assert_string_equal(l->err.text,
			    "MULTICAST_GROUP=10.0.0.1 (command line): allowed is an IPv4 or IPv6 multicast "
			    "address");
	/* what another role alone reads is not looked at */
	assert_int_equal(load(FOR_ROUTER, NULL, ARGS("DISCOVERY_MODE=telepathy"))->code, 0);
}

static void test_together(void **state)
{
	struct loaded *l = load(FOR_DISCOVERY, NULL, ARGS("ANNOUNCE_INTERVAL=90"));
	assert_string_equal(l->err.text,
			    "PEER_TIMEOUT=90: allowed is more than ANNOUNCE_INTERVAL=90, better at least twice that");
	assert_int_equal(load(FOR_DISCOVERY, NULL, ARGS("ANNOUNCE_INTERVAL=89"))->code, 0);
	assert_int_equal(load(FOR_DISCOVERY, NULL, ARGS("DISCOVERY_PORT=4789"))->code, -EINVAL);
	l = load(FOR_DISCOVERY, NULL, ARGS("STACK_ID=shop"));
	assert_string_equal(l->err.text,
			    "STACK_ID=shop is given without VNI (1 to 16777215): both are needed, or none");
	l = load(FOR_DISCOVERY, NULL, ARGS("VNI=5"));
	assert_string_equal(l->err.text, "VNI=5 is given without STACK_ID: both are needed, or none");
}

static void test_dns(void **state)
{
	static const char *const bad[] = {"DNS_DOMAIN=a..b",
					  "DNS_DOMAIN=-a",
					  "DNS_SERVER=dns.example",
					  "DNS_SERVER=192.0.2.1:0",
					  "DNS_SERVER=224.0.0.1",
					  "DNS_UPDATE=yes",
					  "DNS_TTL=1"};
	struct loaded *l = load(FOR_DISCOVERY, NULL,
				ARGS("CONFIG=", "DISCOVERY_MODE=dns,static", "DNS_DOMAIN=Router.Example.",
				     "DNS_SERVER=192.0.2.53,[2001:db8::53]:5353", "DNS_UPDATE=192.0.2.54",
				     "DNS_TSIG_KEY_FILE=/k", "DNS_TTL=2"));

	assert_int_equal(l->code, 0);
	assert_int_equal(l->c.modes, MODE_DNS | MODE_STATIC);
	assert_string_equal(l->c.dns_domain, "router.example");
	assert_int_equal(l->c.n_dns_servers, 2);
	assert_int_equal(l->c.dns_servers[0].port, 53);
	assert_int_equal(l->c.dns_servers[1].port, 5353);
	assert_int_equal(l->c.dns_update.port, 53);
	assert_int_equal(l->c.dns_ttl_s, 2);
	l = load(FOR_DISCOVERY, NULL, ARGS("CONFIG=", "DISCOVERY_MODE=dns"));
	assert_int_equal(l->code, -EINVAL);
	assert_non_null(strstr(l->err.text, "needs DNS_DOMAIN"));
	l = load(FOR_DISCOVERY, NULL, ARGS("CONFIG=", "DISCOVERY_MODE=dns", "DNS_DOMAIN=r", "DNS_TSIG_KEY_FILE=/k"));
	assert_int_equal(l->code, -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		l = load(FOR_DISCOVERY, NULL, ARGS("CONFIG=", bad[i]));
		assert_int_equal(l->code, -EINVAL);
	}
}

static void test_command_line(void **state)
{
	assert_string_equal(load(FOR_ROUTER, ARGS("--vxlan-prot", "5"), NULL)->err.text,
			    "unknown option --vxlan-prot of router; did you mean --vxlan-port?");
	assert_string_equal(load(FOR_ROUTER, ARGS("-x"), NULL)->err.text, "unknown option -x of router; see --help");
	assert_string_equal(load(FOR_INVENTORY, ARGS("--vxlan-port", "5"), NULL)->err.text,
			    "unknown option --vxlan-port of router; see --help");
	assert_string_equal(load(FOR_ROUTER, ARGS("--vxlan-port"), NULL)->err.text,
			    "--vxlan-port needs a value: a port from 1 to 65535");
	assert_int_equal(load(FOR_ROUTER, ARGS("--"), NULL)->rest, 1);
	assert_int_equal(load(FOR_ROUTER, ARGS("-"), NULL)->rest, 0);
	assert_int_equal(load(FOR_ROUTER, ARGS("--vxlan_port=6"), NULL)->c.vxlan_port, 6);
}

static char *options_text(int role, bool scdoc)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	config_print_options(f, role, scdoc);
	fclose(f);
	return text;
}

static void test_help(void **state)
{
	autofree char *router = options_text(FOR_ROUTER, false), *inventory = options_text(FOR_INVENTORY, false);
	autofree char *man = options_text(FOR_ROUTER, true);
	assert_non_null(strstr(router, "  --vxlan-port PORT, VXLAN_PORT\n        UDP port of VXLAN. Default: 4789\n"));
	assert_non_null(strstr(router, "  --dry-run, DRY_RUN\n"));
	assert_null(strstr(inventory, "VXLAN_PORT"));
	assert_non_null(strstr(inventory, "DOCKER_HOST"));
	assert_non_null(strstr(man, "*--vxlan-port* _PORT_, *VXLAN\\_PORT*\n\tUDP port of VXLAN\\. Default: 4789\n\n"));
	for (char *line = strtok(router, "\n"); line; line = strtok(NULL, "\n"))
		assert_in_range(strlen(line), 1, 80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test_setup_teardown(test_precedence, tempdir_make, tempdir_remove),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_dns),
		cmocka_unit_test(test_command_line),
		cmocka_unit_test(test_help),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
