/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies as dockerd 20.10 sends them, what people get wrong in them, and the answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "driver/request.h"

#define NET "b543c0d565ab511725fb948ceb57ff5759e054b19ca29500734a1726b2aa7876"
#define END "f6f32e8f5942d9ae5e999beb6e236a0a088c17efa5aacdd84e9eaa71b90a96db"

static int parse(const char *call, const char *body, struct driver_request *q, struct err *err)
{
	char *path = xasprintf("/NetworkDriver.%s", call);
	int rc = driver_request_parse(path, body, strlen(body), q, err);

	free(path);
	return rc;
}

static char *network_body(const char *options, const char *pool)
{
	return xasprintf(
		"{\"NetworkID\":\"" NET "\",\"Options\":{\"com.docker.network.enable_ipv6\":false,"
		"\"com.docker.network.generic\":{%s}},\"IPv4Data\":[{\"AddressSpace\":\"null\",%s}],\"IPv6Data\":[]}",
		options, pool);
}

#define NULL_POOL   "\"Pool\":\"0.0.0.0/0\""
#define STATIC_POOL "\"Gateway\":\"192.0.2.1/24\",\"Pool\":\"192.0.2.0/24\""

static void taken(const char *options, const char *pool, struct driver_network *ret)
{
	char *body = network_body(options, pool);
	struct driver_request q;
	struct err err = {0};

	if (parse("CreateNetwork", body, &q, &err) != 0)
		fail_msg("%s", err.text);
	*ret = q.net;
	free(body);
}

static void refused(const char *options, const char *pool, const char *why)
{
	char *body = network_body(options, pool);
	struct driver_request q;
	struct err err = {0};

	assert_int_equal(parse("CreateNetwork", body, &q, &err), -EINVAL);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	free(body);
}

static void test_network(void **state)
{
	struct driver_network n;
	char text[IP_STRLEN];

	taken("\"parent\":\"br-lan\"", NULL_POOL, &n);
	assert_string_equal(n.id, NET);
	assert_string_equal(n.parent, "br-lan");
	assert_int_equal(n.ipam, DRIVER_DHCP);
	assert_int_equal(n.kind, DRIVER_AUTO);
	assert_int_equal(n.wait_s, 10);
	taken("\"parent\":\"eth0\",\"kind\":\"macvlan\",\"ipam\":\"static\",\"mtu\":\"1400\",\"wait\":\"3\","
	      "\"com.docker.network.bridge.name\":\"x\"",
	      STATIC_POOL, &n);
	assert_int_equal(n.ipam, DRIVER_STATIC);
	assert_int_equal(n.kind, DRIVER_MACVLAN);
	assert_int_equal(n.mtu, 1400);
	assert_int_equal(n.wait_s, 3);
	assert_string_equal(ip_format(&n.gateways[0], text), "192.0.2.1");
}

static void test_network_refused(void **state)
{
	refused("", NULL_POOL, "-o parent=NAME is missing");
	refused("\"parnt\":\"br-lan\"", NULL_POOL, "did you mean parent?");
	refused("\"parent\":\"a/b\"", NULL_POOL, "allowed is the name of a bridge");
	refused("\"parent\":\"br-lan\",\"kind\":\"ipvlan\"", NULL_POOL, "auto, bridge, macvlan or macvlan-private");
	refused("\"parent\":\"br-lan\",\"mtu\":\"0\"", NULL_POOL, "-o mtu=0: allowed is a number from 68");
	refused("\"parent\":\"br-lan\",\"wait\":\"26\"", NULL_POOL, "from 1 to 25");
	/* what Docker makes up when nobody says --ipam-driver */
	refused("\"parent\":\"br-lan\",\"ipam\":\"dhcp\"", STATIC_POOL, "--ipam-driver null");
	refused("\"parent\":\"br-lan\"", STATIC_POOL, "add -o ipam=static");
	refused("\"parent\":\"br-lan\",\"ipam\":\"static\"", NULL_POOL, "needs --subnet");
	refused("\"parent\":\"br-lan\",\"x\\u001b\\\"\":\"y\"", NULL_POOL, "-o x\\x1b\\x22");
}

static void test_endpoint(void **state)
{
	struct driver_request q;
	struct err err = {0};
	char text[PREFIX_STRLEN];

	assert_int_equal(parse("CreateEndpoint",
			       "{\"NetworkID\":\"" NET "\",\"EndpointID\":\"" END
			       "\",\"Interface\":{\"Address\":\"192.0.2.7/24\",\"AddressIPv6\":\"\",\"MacAddress\":"
			       "\"02:42:ac:11:00:02\"},\"Options\":{\"com.docker.network.portmap\":[],\"docker-router."
			       "name\":\"web\"}}",
			       &q, &err),
			 0);
	assert_string_equal(prefix_format(&q.address, text), "192.0.2.7/24");
	assert_true(ip_is_none(&q.address6.ip));
	assert_string_equal(mac_format(&q.mac, text), "02:42:ac:11:00:02");
	assert_string_equal(q.name, "web");
	assert_int_equal(parse("CreateEndpoint",
			       "{\"NetworkID\":\"" NET "\",\"EndpointID\":\"" END
			       "\",\"Options\":{\"docker-router.name\":\"a b\"}}",
			       &q, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "docker-router.name=a b: allowed are"));
	assert_int_equal(parse("CreateEndpoint",
			       "{\"NetworkID\":\"" NET "\",\"EndpointID\":\"" END
			       "\",\"Interface\":{\"MacAddress\":\"03:00:00:00:00:01\"}}",
			       &q, &err),
			 -EINVAL);
	assert_int_equal(parse("Join",
			       "{\"NetworkID\":\"" NET "\",\"EndpointID\":\"" END
			       "\",\"SandboxKey\":\"/var/run/docker/netns/e025f57c9a9c\"}",
			       &q, &err),
			 0);
	assert_string_equal(q.sandbox, "/var/run/docker/netns/e025f57c9a9c");
}

static void test_broken(void **state)
{
	static const char *const bodies[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{\"NetworkID\":5}",
		"{\"NetworkID\":\"../../x\",\"EndpointID\":\"" END "\"}",
		"{\"NetworkID\":\"" NET "\",\"EndpointID\":\"" END "\",\"SandboxKey\":\"relative\"}",
		"{\"NetworkID\":\"" NET "\"} x",
	};
	struct driver_request q = {.call = CALL_NOTHING};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		assert_int_equal(parse("Join", bodies[i], &q, &err), -EBADMSG);
		assert_int_equal(q.call, CALL_NOTHING);
	}
	assert_int_equal(parse("Nonsense", "{}", &q, &err), -ENOENT);
	assert_int_equal(driver_request_parse("/Plugin.Activate", "", 0, &q, &err), 0);
	assert_int_equal(q.call, CALL_ACTIVATE);
}

static void test_answers(void **state)
{
	struct buf b = {0};
	struct driver_request q = {0};
	struct driver_network n = {0};
	struct driver_endpoint e = {.mac = {{2, 0, 0, 0, 0, 9}}};

	str_copy(e.id, END);
	assert_int_equal(prefix_parse("192.0.2.7/24", &e.address), 0);
	assert_int_equal(ip_parse("192.0.2.1", &e.gateway), 0);
	driver_answer_endpoint(&b, &q, &e);
	assert_string_equal(b.data,
			    "{\"Interface\":{\"MacAddress\":\"02:00:00:00:00:09\",\"Address\":\"192.0.2.7/24\"}}");
	buf_clear(&b);
	q.mac = e.mac;
	q.address = e.address; /* what Docker gave is not said again: it takes that for an error */
	driver_answer_endpoint(&b, &q, &e);
	assert_string_equal(b.data, "{\"Interface\":{}}");
	buf_clear(&b);
	driver_answer_join(&b, &n, &e);
	assert_non_null(strstr(b.data, "\"SrcName\":\"drq"));
	assert_non_null(
		strstr(b.data, "\"DstPrefix\":\"eth\"},\"Gateway\":\"192.0.2.1\",\"DisableGatewayService\":true}"));
	buf_clear(&b);
	driver_answer_error(&b, "a \"b\" \x1b");
	assert_string_equal(b.data, "{\"Err\":\"a \\\"b\\\" \\u001B\"}");
	buf_clear(&b);
	driver_answer_fixed(&b, CALL_ACTIVATE);
	assert_string_equal(b.data, "{\"Implements\":[\"NetworkDriver\"]}");
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network), cmocka_unit_test(test_network_refused), cmocka_unit_test(test_endpoint),
		cmocka_unit_test(test_broken),	cmocka_unit_test(test_answers),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
