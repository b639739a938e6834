/* SPDX-License-Identifier: Apache-2.0
 *
 * The gate of the broker: what is let through, and what is not.
 */
#include "help.h"

#include <linux/netlink.h>

#include "io/broker_wire.h"

static struct broker_request request(enum broker_op op, int arg, const char *name)
{
	struct broker_request r = {.magic = BROKER_MAGIC, .id = 7, .op = op, .arg = arg};

	str_copy(r.ns.name, name);
	return r;
}

static int check(struct broker_request r, bool has_fd)
{
	struct broker_ask ask;

	return broker_request_check(&r, sizeof(r), has_fd, &ask, NULL);
}

static int check_sandbox(const char *path)
{
	struct broker_request r = request(BROKER_OPEN, 0, "ct:abc");

	assert_true(str_copy(r.ns.sandbox, path));
	return check(r, false);
}

static void test_what_is_done(void **state)
{
	struct broker_request r = request(BROKER_OPEN, BROKER_CREATE, "vni:16777215");
	struct broker_ask ask;

	(void)state;
	assert_int_equal(broker_request_check(&r, sizeof(r), false, &ask, NULL), 0);
	assert_int_equal(ask.op, BROKER_OPEN);
	assert_int_equal(ask.target, TARGET_VNI);
	assert_int_equal(ask.vni, 16777215);
	assert_int_equal(ask.arg, BROKER_CREATE);
	assert_int_equal(check(request(BROKER_OPEN, 0, "host"), false), 0);
	assert_int_equal(check(request(BROKER_NETLINK, NETLINK_ROUTE, "host"), false), 0);
	assert_int_equal(check(request(BROKER_NETLINK, NETLINK_NETFILTER, "vni:1"), false), 0);
	assert_int_equal(check(request(BROKER_NFT, 0, "vni:1"), true), 0);
	assert_int_equal(check(request(BROKER_REMOVE, 0, "vni:1"), false), 0);
	assert_int_equal(check(request(BROKER_LIST, 0, "host"), false), 0);
	assert_int_equal(check(request(BROKER_DNS, BROKER_DNS_LISTEN, "ct:abc"), false), 0);
	assert_int_equal(check(request(BROKER_DNS, BROKER_DNS_ASK, "ct:abc"), false), 0);
	assert_int_equal(check(request(BROKER_DNS_RULE, 65535, "ct:abc"), false), 0);
	assert_int_equal(check(request(BROKER_OPEN, BROKER_CREATE, "wireguard"), false), 0);
	assert_int_equal(check(request(BROKER_NETLINK, NETLINK_GENERIC, "wireguard"), false), 0);
	assert_int_equal(check(request(BROKER_REMOVE, 0, "wireguard"), false), 0);
	for (int i = 0; i < 2; i++) {
		r = request(i ? BROKER_WIREGUARD : BROKER_WIREGUARD_SOCKET, 0, "wireguard");
		str_copy(r.ns.iface, "drwg0123abcd");
		assert_int_equal(check(r, false), 0);
		str_copy(r.ns.name, "host");
		assert_int_equal(check(r, false), -EINVAL);
		str_copy(r.ns.name, "wireguard");
		static const char *const bad[] = {
			"", "drwg", "drwg0123abc", "drwg0123abcde", "drwg0123ABCD", "drwg../../x", "wg0"};
		for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
			str_copy(r.ns.iface, bad[k]);
			assert_int_equal(check(r, false), -EINVAL);
		}
	}
	assert_int_equal(check(request(BROKER_FORWARD, 0, "host"), true), 0);
	assert_int_equal(check(request(BROKER_PACKET, 0, "ct:abc"), false), 0);
	assert_int_equal(check(request(BROKER_NIC_CONF, 0, "ct:abc"), false), 0);
	assert_int_equal(check(request(BROKER_FLAG, 1, "ct:abc"), false), 0);
	assert_int_equal(check(request(BROKER_RESOLV, 0, "ct:abc"), true), 0);
	assert_int_equal(check(request(BROKER_DHCP_STOP, 7, "host"), false), 0);
	for (int i = 0; i < 2; i++) {
		static const char *const bad[] = {"", "-i", "lo", "all", "default", ".", "..", "a/b", "a b", "a:1"};

		r = request(i ? BROKER_DHCP : BROKER_NIC_SYSCTL, 0, "ct:abc");
		str_copy(r.ns.iface, "eth1.7");
		assert_int_equal(check(r, i), 0);
		str_copy(r.ns.name, "host");
		assert_int_equal(check(r, i), -EINVAL);
		str_copy(r.ns.name, "ct:abc");
		for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
			str_copy(r.ns.iface, bad[k]);
			assert_int_equal(check(r, i), -EINVAL);
		}
	}
	r = request(BROKER_IPV6_ON, 0, "ct:0123456789abcdef");
	str_copy(r.ns.iface, "dr0");
	assert_int_equal(check(r, false), 0);
}

static void test_what_is_not(void **state)
{
	static const struct {
		enum broker_op op;
		int arg;
		const char *name;
		bool has_fd;
	} bad[] = {
		{BROKER_OPEN, BROKER_CREATE, "host", false},
		{BROKER_OPEN, BROKER_CREATE, "ct:abc", false},
		{BROKER_OPEN, 2, "vni:1", false},
		{BROKER_OPEN, -1, "vni:1", false},
		{BROKER_OPEN, 0, "vni:1", true},
		{BROKER_NETLINK, NETLINK_GENERIC, "host", false},
		{BROKER_NETLINK, NETLINK_AUDIT, "host", false},
		{BROKER_NETLINK, -1, "host", false},
		{BROKER_NFT, 0, "vni:1", false},
		{BROKER_NFT, 1, "vni:1", true},
		{BROKER_REMOVE, 0, "host", false},
		{BROKER_REMOVE, 0, "ct:abc", false},
		{BROKER_LIST, 0, "vni:1", false},
		{BROKER_LIST, 1, "host", false},
		{BROKER_IPV6_ON, 0, "ct:abc", false}, /* of which interface? */
		{BROKER_DNS, BROKER_DNS_LISTEN, "host", false},
		{BROKER_DNS, BROKER_DNS_LISTEN, "vni:1", false},
		{BROKER_DNS, 2, "ct:abc", false},
		{BROKER_DNS, 0, "ct:abc", true},
		{BROKER_DNS_RULE, 40000, "host", false},
		{BROKER_DNS_RULE, 0, "ct:abc", false},
		{BROKER_DNS_RULE, 65536, "ct:abc", false},
		{BROKER_PACKET, 0, "host", false},
		{BROKER_PACKET, 0, "vni:1", false},
		{BROKER_PACKET, 1, "ct:abc", false},
		{BROKER_PACKET, 0, "ct:abc", true},
		{BROKER_NIC_CONF, 0, "host", false},
		{BROKER_NIC_CONF, 0, "vni:1", false},
		{BROKER_NIC_CONF, 1, "ct:abc", false},
		{BROKER_NIC_CONF, 0, "ct:abc", true},
		{BROKER_FORWARD, 0, "host", false},
		{BROKER_FORWARD, 1, "host", true},
		{BROKER_FORWARD, 0, "vni:1", true},
		{BROKER_FORWARD, 0, "ct:abc", true},
		{BROKER_FLAG, 2, "ct:abc", false},
		{BROKER_FLAG, 1, "host", false},
		{BROKER_FLAG, 1, "ct:abc", true},
		{BROKER_RESOLV, 0, "ct:abc", false},
		{BROKER_RESOLV, 0, "host", true},
		{BROKER_DHCP, 0, "ct:abc", true}, /* on which interface? */
		{BROKER_DHCP_STOP, -1, "host", false},
		{BROKER_DHCP_STOP, 0, "ct:abc", false},
		{BROKER_NIC_SYSCTL, 8, "ct:abc", false},
		{BROKER_OP_N_, 0, "host", false},
		{(enum broker_op) - 1, 0, "host", false},
		{(enum broker_op)0x7fffffff, 0, "host", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (check(request(bad[i].op, bad[i].arg, bad[i].name), bad[i].has_fd) != -EINVAL)
			fail_msg("case %zu was let through", i);
}

static void test_names(void **state)
{
	static const char *const bad[] = {
		"",
		"Host",
		"host ",
		"vni:",
		"vni:0",
		"vni:01",
		"vni:-1",
		"vni:+1",
		"vni:1 ",
		"vni:16777216",
		"vni:99999999999999999999",
		"vni:0x1",
		"vni:../1",
		"vni:1/2",
		"ct:",
		"ct:.",
		"ct:..",
		"ct:../host",
		"ct:a/b",
		"ct:-a",
		"ct:a b",
		"ct:a\n",
		"/run/netns/x",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (check(request(BROKER_OPEN, 0, bad[i]), false) != -EINVAL)
			fail_msg("\"%s\" was let through", bad[i]);
}

static void test_datagrams(void **state)
{
	struct broker_request r = request(BROKER_OPEN, 0, "host");
	char longer[sizeof(r) + 1] = {0};
	struct broker_ask ask;

	(void)state;
	memcpy(longer, &r, sizeof(r));
	assert_int_equal(broker_request_check(&r, sizeof(r) - 1, false, &ask, NULL), -EBADMSG);
	assert_int_equal(broker_request_check(longer, sizeof(longer), false, &ask, NULL), -EBADMSG);
	assert_int_equal(broker_request_check(&r, 0, false, &ask, NULL), -EBADMSG);
	r.magic++;
	assert_int_equal(check(r, false), -EBADMSG);
	r = request(BROKER_OPEN, 0, "");
	memset(r.ns.name, 'a', sizeof(r.ns.name));
	assert_int_equal(check(r, false), -EBADMSG);
	r = request(BROKER_OPEN, 0, "ct:abc");
	memset(r.ns.sandbox, '/', sizeof(r.ns.sandbox));
	assert_int_equal(check(r, false), -EBADMSG);
	r = request(BROKER_IPV6_ON, 0, "ct:abc");
	memcpy(r.ns.iface, "dr12345678901234", sizeof(r.ns.iface));
	assert_int_equal(check(r, false), -EBADMSG);
}

static void test_sandboxes(void **state)
{
	static const char *const bad[] = {
		"run/docker/netns/a",
		"/",
		"/etc/passwd",
		"/runx/a",
		"/run",
		"/run/",
		"/run/docker/../../etc/passwd",
		"/run/..",
		"/run/./a",
		"/run//a",
		"/data/netns/a/../../x",
		"/data/netns/a.b",
		"/data/netns/",
		"/data/xnetns/a",
		"/run/a b",
		"/run/a\nb",
		"/run/\x80",
	};
	struct broker_request r = request(BROKER_OPEN, 0, "host");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (check_sandbox(bad[i]) != -EINVAL)
			fail_msg("\"%s\" was let through", bad[i]);
	assert_int_equal(check_sandbox("/var/run/docker/netns/1234abcd"), 0);
	assert_int_equal(check_sandbox("/run/netns/netns-0123-45"), 0);
	assert_int_equal(check_sandbox("/srv/h1/exec/netns/1234abcd"), 0);
	/* only a container has one */
	str_copy(r.ns.sandbox, "/run/netns/a");
	assert_int_equal(check(r, false), -EINVAL);
	r = request(BROKER_OPEN, 0, "vni:1");
	r.ns.pid = 1;
	assert_int_equal(check(r, false), -EINVAL);
	r = request(BROKER_OPEN, 0, "ct:abc");
	r.ns.pid = -1;
	assert_int_equal(check(r, false), -EINVAL);
}

static void interfaces_refused(struct broker_request r, const char *const *bad, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		str_copy(r.ns.iface, bad[i]);
		if (check(r, false) != -EINVAL)
			fail_msg("\"%s\" was let through", bad[i]);
	}
}

static void test_interfaces(void **state)
{
	static const char *const bad[] = {"eth0", "dr", "drx", "dr0x", "dr-1", "dr0/../all", "all", "lo"};
	struct broker_request r = request(BROKER_IPV6_ON, 0, "ct:abc");

	(void)state;
	interfaces_refused(r, bad, ARRAY_LEN(bad));
	r = request(BROKER_IPV6_ON, 0, "vni:1");
	str_copy(r.ns.iface, "dr0");
	assert_int_equal(check(r, false), -EINVAL);
	r = request(BROKER_OPEN, 0, "ct:abc");
	str_copy(r.ns.iface, "dr0");
	assert_int_equal(check(r, false), -EINVAL);
}

static void test_gather(void **state)
{
	static const char *const bad[] = {"", "vx7", "vx70wg", "vx8wg", "vx07wg", "vx7wg/", "eth0"};
	struct broker_request r = request(BROKER_GATHER, 0, "vni:7");

	(void)state;
	interfaces_refused(r, bad, ARRAY_LEN(bad));
	str_copy(r.ns.iface, "vx7wg");
	assert_int_equal(check(r, false), 0);
	assert_int_equal(check(r, true), -EINVAL);
	str_copy(r.ns.name, "host");
	assert_int_equal(check(r, false), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_done), cmocka_unit_test(test_what_is_not),
		cmocka_unit_test(test_names),	     cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_sandboxes),    cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_gather),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
