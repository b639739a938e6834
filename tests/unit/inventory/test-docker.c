/* SPDX-License-Identifier: Apache-2.0
 *
 * Docker's and Podman's JSON as structs: recorded answers, and hostile ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "recorded.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static json_t *parse(const char *text)
{
	autofree char *copy = xstrdup(text);
	struct err err = {0};
	json_t *o = docker_json(copy, strlen(copy), &err);

	if (!o)
		fail_msg("%s", err.text);
	return o;
}

static struct docker_network *network(const char *text)
{
	json_t *o = parse(text);
	struct docker_network *n = docker_network_parse(o, NULL);

	json_decref(o);
	return n;
}

static struct docker_container *container(const char *text)
{
	json_t *o = parse(text);
	struct docker_container *c = docker_container_parse(o, NULL);

	json_decref(o);
	return c;
}

static struct docker_event event(const char *text)
{
	struct docker_event e = {0};
	struct err err = {0};
	json_t *o = parse(text);
	int rc = docker_event_parse(o, &e, &err);

	json_decref(o);
	if (rc < 0)
		e.kind = DOCKER_EVENT_KIND_N_;
	return e;
}

static int version(const char *text, struct docker_version *ret, struct err *err)
{
	json_t *o = parse(text);
	int rc = docker_version_parse(o, ret, err);

	json_decref(o);
	return rc;
}

static void test_version_recorded(void **state)
{
	static const struct {
		const char *engine, *api;
		bool podman;
	} cases[] = {{"docker-20.10", "1.41", false}, {"docker-28.5", "1.47", false}, {"podman-4.3", "1.41", true}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *o = recorded_json(cases[i].engine, "version.json");
		struct docker_version v = {0};

		assert_int_equal(docker_version_parse(o, &v, NULL), 0);
		assert_string_equal(v.api, cases[i].api);
		assert_int_equal(v.podman, cases[i].podman);
		json_decref(o);
	}
}

static void test_version(void **state)
{
	struct docker_version v = {0};
	struct err err = {0};

	assert_int_equal(version("{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}", &v, &err), 0);
	assert_string_equal(v.api, "1.47");
	assert_int_equal(version("{\"ApiVersion\":\"1.60\",\"MinAPIVersion\":\"1.48\"}", &v, &err), -EPROTONOSUPPORT);
	assert_non_null(strstr(err.text, "1.48 to 1.60"));
	assert_int_equal(version("{\"ApiVersion\":\"1.23\"}", &v, &err), -EPROTONOSUPPORT);
	assert_int_equal(version("{\"ApiVersion\":\"\"}", &v, &err), -EPROTO);
	assert_int_equal(version("{\"ApiVersion\":\"1.41/../x\"}", &v, &err), -EPROTO);
	assert_int_equal(version("[]", &v, &err), -EPROTO);
	assert_string_equal(v.api, "1.47"); /* untouched by failures */
}

static void test_network_defaults(void **state)
{
	struct docker_network *n =
		network("{\"Id\":\"" ID "\",\"Name\":\"x\",\"Driver\":\"bridge\",\"IPAM\":{\"Config\":["
			"{\"Subnet\":\"10.1.2.0/24\"},{\"Subnet\":\"fd00:1::/64\"}]}}");
	char s[IP_STRLEN];

	assert_string_equal(n->bridge, "br-0123456789ab");
	assert_int_equal(n->mtu, 1500);
	assert_true(n->icc);
	assert_false(n->internal);
	assert_int_equal(n->n_gateways, 2);
	assert_string_equal(ip_format(&n->gateways[0], s), "10.1.2.1");
	assert_string_equal(ip_format(&n->gateways[1], s), "fd00:1::1");
	docker_network_free(n);
}

static void test_network_gateways(void **state)
{
	struct docker_network *n =
		network("{\"Id\":\"" ID
			"\",\"Driver\":\"bridge\",\"Options\":{\"com.docker.network.bridge.inhibit_ipv4\":\"true\","
			"\"com.docker.network.bridge.enable_icc\":\"false\"},"
			"\"IPAM\":{\"Config\":[{\"Subnet\":\"10.1.2.0/24\",\"Gateway\":\"10.1.2.254\"},"
			"{\"Subnet\":\"fd00:1::/64\",\"Gateway\":\"fd00:1::9/64\"}]}}");
	char s[IP_STRLEN];

	assert_int_equal(n->n_subnets, 2);
	assert_int_equal(n->n_gateways, 1); /* no IPv4 address on the bridge */
	assert_string_equal(ip_format(&n->gateways[0], s), "fd00:1::9");
	assert_false(n->icc);
	docker_network_free(n);
	n = network("{\"Id\":\"" ID "\",\"Driver\":\"bridge\",\"Internal\":true,\"Options\":{"
		    "\"com.docker.network.bridge.gateway_mode_ipv4\":\"isolated\"},"
		    "\"IPAM\":{\"Config\":[{\"Subnet\":\"10.1.2.0/24\",\"Gateway\":\"10.1.2.1\"}]}}");
	assert_int_equal(n->n_gateways, 0);
	assert_true(n->internal);
	docker_network_free(n);
	/* a gateway outside of its subnet is not believed */
	n = network("{\"Id\":\"" ID "\",\"Driver\":\"bridge\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.1.2.0/24\","
		    "\"Gateway\":\"8.8.8.8\"}]}}");
	assert_string_equal(ip_format(&n->gateways[0], s), "10.1.2.1");
	docker_network_free(n);
}

static void test_network_bridge_names(void **state)
{
	struct docker_network *n = network("{\"Id\":\"" ID "\",\"Driver\":\"bridge\",\"Options\":{"
					   "\"com.docker.network.bridge.name\":\"sixteencharacter\"}}");

	assert_string_equal(n->bridge, "");
	docker_network_free(n);
	n = network("{\"Id\":\"" ID
		    "\",\"Driver\":\"bridge\",\"Options\":{\"com.docker.network.bridge.name\":\"../../etc\"}}");
	assert_string_equal(n->bridge, "");
	docker_network_free(n);
	n = network("{\"Id\":\"" ID
		    "\",\"Driver\":\"bridge\",\"Options\":{\"com.docker.network.bridge.default_bridge\":\"true\"}}");
	assert_string_equal(n->bridge, "docker0");
	docker_network_free(n);
	n = network("{\"Id\":\"" ID "\",\"Driver\":\"overlay\"}");
	assert_string_equal(n->bridge, "");
	docker_network_free(n);
}

static void test_network_podman(void **state)
{
	struct docker_set set = {0};
	struct docker_network *n;
	char s[IP_STRLEN];

	recorded_set("podman-4.3", &set);
	n = docker_set_network(&set, "no such id", "podnet");
	assert_non_null(n);
	assert_string_equal(n->bridge, "podman1");
	assert_int_equal(n->n_subnets, 1);
	assert_string_equal(ip_format(&n->gateways[0], s), "10.75.0.1");
	assert_int_equal(set.n_containers, 1);
	assert_string_equal(set.containers[0]->attachments[0].network_id, "podnet"); /* the name, not the id */
	docker_set_done(&set);
}

static void test_container_recorded(void **state)
{
	struct docker_set set = {0};
	const struct docker_container *db = NULL, *borrowed = NULL, *hosted = NULL;

	recorded_set("docker-28.5", &set);
	for (size_t i = 0; i < set.n_containers; i++) {
		const struct docker_container *c = set.containers[i];

		if (str_eq(c->name, "shop_db_1"))
			db = c;
		else if (str_eq(c->name, "borrowed"))
			borrowed = c;
		else if (str_eq(c->name, "hosted"))
			hosted = c;
		else if (str_eq(c->name, "gone"))
			fail_msg("a container that was stopped");
	}
	assert_non_null(db);
	assert_int_equal(db->n_attachments, 2);
	assert_string_equal(db->service, "db");
	assert_true(db->pid > 0);
	assert_int_equal(strncmp(db->sandbox, "/var/run/docker/netns/", 22), 0);
	assert_false(mac_is_none(&db->attachments[0].mac));
	assert_int_equal(db->attachments[0].n_addresses, 1);
	assert_int_equal(db->labels.n, 1);
	assert_int_equal(borrowed->n_attachments, 0);
	assert_int_equal(hosted->n_attachments, 0);
	docker_set_done(&set);
}

static void test_container_listed(void **state)
{
	json_t *o = recorded_json("docker-20.10", "containers.json"), *item;
	size_t i, attached = 0;

	json_array_foreach(o, i, item)
	{
		struct docker_container *c = docker_container_parse(item, NULL);

		assert_non_null(c);
		assert_true(c->running);
		assert_true(c->name[0] && c->name[0] != '/');
		assert_int_equal(c->pid, 0);
		attached += c->n_attachments;
		docker_container_free(c);
	}
	assert_int_equal(attached, 6); /* shop_web_1, shop_db_1 twice, wiki, plain, bridged */
	json_decref(o);
}

static void test_container_states(void **state)
{
	struct docker_container *c =
		container("{\"Id\":\"a\",\"State\":{\"Running\":true,\"Restarting\":true,\"Pid\":0}}");

	assert_false(c->running); /* between two tries */
	docker_container_free(c);
	c = container("{\"Id\":\"a\",\"State\":{\"Running\":true,\"Paused\":true,\"Pid\":77}}");
	assert_true(c->running);
	docker_container_free(c);
	c = container("{\"Id\":\"a\",\"State\":\"exited\"}");
	assert_false(c->running);
	docker_container_free(c);
	c = container("{\"Id\":\"a\",\"State\":{\"Running\":true,\"Pid\":99999999999}}");
	assert_false(c->running);
	docker_container_free(c);
}

/* starting, unhealthy, healthy, paused, stopped; aliases without id and name, whichever field tells them */
static void test_health_recorded(void **state)
{
	static const char *const engines[] = {"docker-20.10", "docker-28.5"};
	static const enum docker_health healths[] = {DOCKER_HEALTH_STARTING, DOCKER_HEALTH_UNHEALTHY,
						     DOCKER_HEALTH_HEALTHY};

	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		json_t *all = recorded_json(engines[i], "health.json"), *o;
		size_t k;

		assert_int_equal(json_array_size(all), 5);
		json_array_foreach(all, k, o)
		{
			struct docker_container *c = docker_container_parse(o, NULL);

			assert_non_null(c);
			if (k < ARRAY_LEN(healths))
				assert_int_equal(c->health, healths[k]);
			assert_int_equal(c->paused, k == 3);
			assert_int_equal(c->running, k != 4);
			assert_int_equal(c->n_attachments, k != 4);
			if (c->n_attachments) {
				assert_int_equal(c->attachments[0].n_aliases, 3);
				assert_string_equal(c->attachments[0].aliases[0], "WWW");
				assert_string_equal(c->attachments[0].aliases[1], "sick");
				assert_string_equal(c->attachments[0].aliases[2], "a..b");
			}
			docker_container_free(c);
		}
		json_decref(all);
	}
}

static void test_health(void **state)
{
	static const struct {
		const char *state;
		enum docker_health health;
	} cases[] = {
		{"", DOCKER_HEALTH_NONE},
		{",\"Health\":null", DOCKER_HEALTH_NONE},
		{",\"Health\":{}", DOCKER_HEALTH_NONE},
		{",\"Health\":7", DOCKER_HEALTH_NONE},
		{",\"Health\":{\"Status\":\"\"}", DOCKER_HEALTH_NONE}, /* Podman */
		{",\"Health\":{\"Status\":\"none\"}", DOCKER_HEALTH_NONE},
		{",\"Health\":{\"Status\":\"odd\"}", DOCKER_HEALTH_NONE},
		{",\"Healthcheck\":{\"Status\":\"starting\"}", DOCKER_HEALTH_STARTING}, /* older Podman */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *text =
			xasprintf("{\"Id\":\"a\",\"State\":{\"Running\":true,\"Pid\":7%s}}", cases[i].state);
		struct docker_container *c = container(text);

		assert_int_equal(c->health, cases[i].health);
		docker_container_free(c);
	}
}

static void test_dns(void **state)
{
	struct docker_container *c =
		container("{\"Id\":\"a\",\"HostConfig\":{\"Dns\":[\"172.17.0.1\",7,\"x\",\"fd00::53\"]}}");

	assert_int_equal(c->n_dns, 2);
	assert_int_equal(c->dns[0].b[3], 1);
	assert_int_equal(c->dns[1].family, AF_INET6);
	docker_container_free(c);
	c = container("{\"Id\":\"a\",\"HostConfig\":{\"Dns\":[\"::1\",\"::2\",\"::3\",\"::4\",\"::5\",\"::6\",\"::7\","
		      "\"::8\",\"::9\"]}}");
	assert_int_equal(c->n_dns, LIMIT_DNS);
	docker_container_free(c);
	c = container("{\"Id\":\"a\",\"HostConfig\":{\"Dns\":null}}");
	assert_int_equal(c->n_dns, 0);
	docker_container_free(c);
}

static void test_aliases(void **state)
{
	autobuf struct buf many = {0};
	struct docker_container *c;

	/* whatever is no text, empty, there twice, or the id is left out; "0123456789" is a name like another */
	c = container("{\"Id\":\"" ID "\",\"Name\":\"/web\",\"NetworkSettings\":{\"Networks\":{\"n\":{\"IPAddress\":"
		      "\"10.0.0.2\",\"Aliases\":[7,null,\"\",\"x\",\"0123456789ab\",\"" ID
		      "\",\"web\",\"0123456789\"],\"DNSNames\":[\"web\",\"x\",\"y\",\"0123456789ab\"]}}}}");
	assert_int_equal(c->attachments[0].n_aliases, 3);
	assert_string_equal(c->attachments[0].aliases[0], "x");
	assert_string_equal(c->attachments[0].aliases[1], "0123456789");
	assert_string_equal(c->attachments[0].aliases[2], "y");
	docker_container_detach(c, "other");
	assert_int_equal(c->n_attachments, 1);
	docker_container_detach(c, "n");
	assert_int_equal(c->n_attachments, 0);
	docker_container_free(c);
	buf_puts(&many,
		 "{\"Id\":\"a\",\"NetworkSettings\":{\"Networks\":{\"n\":{\"IPAddress\":\"10.0.0.2\",\"Aliases\":[");
	for (int i = 0; i < 100; i++)
		buf_printf(&many, "%s\"n%d\"", i ? "," : "", i);
	buf_puts(&many, "]}}}}");
	c = container(many.data);
	assert_int_equal(c->attachments[0].n_aliases, LIMIT_ALIASES);
	docker_container_free(c);
	c = container("{\"Id\":\"a\",\"NetworkSettings\":{\"Networks\":{\"n\":{\"IPAddress\":\"10.0.0.2\",\"Aliases\":"
		      "\"web\",\"DNSNames\":{\"a\":\"b\"}}}}}");
	assert_int_equal(c->attachments[0].n_aliases, 0);
	docker_container_free(c);
}

static void test_hostile(void **state)
{
	struct docker_container *c;

	assert_null(container("{\"Id\":\"../../x\"}"));
	assert_null(container("{\"Id\":17}"));
	assert_null(container("[]"));
	assert_null(container("{}"));
	assert_null(network("{\"Id\":\"a b\"}"));
	assert_null(network("{\"Name\":\"x\"}"));
	c = container("{\"Id\":\"a\",\"Name\":\"/ev\\nil\\u001b[2J\",\"State\":{\"Running\":true,\"Pid\":5},"
		      "\"Config\":{\"Labels\":{\"com.docker.compose.service\":\"x\\u0000y\\n\",\"docker-router.a\":7}},"
		      "\"NetworkSettings\":{\"SandboxKey\":\"relative\",\"Networks\":{\"n\":null,\"m\":[],\"o\":{"
		      "\"NetworkID\":\"o\","
		      "\"IPAddress\":\"0.0.0.0\",\"GlobalIPv6Address\":\"ff02::1\",\"MacAddress\":\"zz\"}}}}");
	assert_non_null(c);
	assert_string_equal(c->name, "a");
	assert_string_equal(c->service, "");
	assert_string_equal(c->sandbox, "");
	assert_int_equal(c->n_attachments, 0);
	assert_int_equal(c->labels.n, 1);
	docker_container_free(c);
}

static void test_nul(void **state)
{
	char text[] = "{\"a\\u0000b\":\"\\u0000\",\"c\":\"\\\\u0000\"}";
	struct err err = {0};
	json_t *o = docker_json(text, strlen(text), &err);

	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "c")), "\\u0000"); /* no escape: it says so itself */
	assert_string_equal(json_string_value(json_object_get(o, "a\xef\xbf\xbd"
								 "b")),
			    "\xef\xbf\xbd");
	json_decref(o);
	o = docker_json((char[]){"{\"a\":"}, 5, &err);
	assert_null(o);
	assert_non_null(strstr(err.text, "no JSON"));
}

static void test_many(void **state)
{
	autobuf struct buf b = {0};
	struct docker_container *c;
	struct docker_network *n;

	buf_puts(&b, "{\"Id\":\"a\",\"State\":{\"Running\":true,\"Pid\":5},\"Config\":{\"Labels\":{");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%s\"docker-router.%d\":\"x\"", i ? "," : "", i);
	buf_puts(&b, "}},\"NetworkSettings\":{\"Networks\":{");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%s\"n%d\":{\"NetworkID\":\"n%d\",\"IPAddress\":\"10.0.0.1\"}", i ? "," : "", i, i);
	buf_puts(&b, "}}}");
	c = container(b.data);
	assert_int_equal(c->labels.n, DOCKER_LABELS);
	assert_int_equal(c->n_attachments, DOCKER_ATTACHMENTS);
	docker_container_free(c);
	buf_clear(&b);
	buf_puts(&b, "{\"Id\":\"a\",\"Driver\":\"bridge\",\"IPAM\":{\"Config\":[");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%s{\"Subnet\":\"10.%d.%d.0/24\"}", i ? "," : "", i / 256, i % 256);
	buf_puts(&b, "]}}");
	n = network(b.data);
	assert_int_equal(n->n_subnets, LIMIT_SUBNETS);
	assert_int_equal(n->n_gateways, ARRAY_LEN(n->gateways));
	docker_network_free(n);
}

static void test_events_recorded(void **state)
{
	static const char *const engines[] = {"docker-20.10", "docker-28.5"};

	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		autobuf struct buf b = {0};
		size_t count[DOCKER_EVENT_KIND_N_] = {0};
		char *save = NULL;

		recorded_read(engines[i], "events", &b);
		for (char *line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			struct docker_event e = event(line);

			assert_int_not_equal(e.kind, DOCKER_EVENT_KIND_N_);
			assert_true(e.time_ns > 0); /* not in order: engines write from several threads */
			count[e.kind]++;
			if (e.kind == DOCKER_EVENT_CONNECTED)
				assert_true(strlen(e.container) == 64 && strlen(e.network) == 64);
		}
		assert_int_equal(count[DOCKER_EVENT_CONTAINER_CHANGED], 9); /* 8 starts and a rename */
		assert_int_equal(count[DOCKER_EVENT_CONTAINER_STOPPED], 1);
		assert_int_equal(count[DOCKER_EVENT_CONTAINER_REMOVED], 1);
		assert_int_equal(count[DOCKER_EVENT_NETWORK_CHANGED], 8);
		assert_int_equal(count[DOCKER_EVENT_NETWORK_REMOVED], 1);
		assert_int_equal(count[DOCKER_EVENT_CONNECTED], 8);
		assert_int_equal(count[DOCKER_EVENT_UNCLEAR], 0);
	}
}

static void test_events(void **state)
{
	struct docker_event e =
		event("{\"status\":\"died\",\"Type\":\"container\",\"Actor\":{\"ID\":\"c\"},\"time\":12}");

	assert_int_equal(e.kind, DOCKER_EVENT_CONTAINER_STOPPED);
	assert_string_equal(e.container, "c");
	assert_true(e.time_ns == INT64_C(12000000000));
	/* Podman: the container where Docker has the network */
	e = event("{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"c\",\"Attributes\":{\"name\":\"x\"}"
		  "}}");
	assert_int_equal(e.kind, DOCKER_EVENT_CONTAINER_CHANGED);
	assert_string_equal(e.container, "c");
	e = event("{\"Type\":\"container\",\"Action\":\"start\"}");
	assert_int_equal(e.kind, DOCKER_EVENT_UNCLEAR);
	e = event("{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"../x\"}}");
	assert_int_equal(e.kind, DOCKER_EVENT_UNCLEAR);
	e = event("{\"Type\":\"container\",\"Action\":\"exec_create: sh\",\"Actor\":{\"ID\":\"c\"}}");
	assert_int_equal(e.kind, DOCKER_EVENT_OTHER);
	e = event("{\"Type\":\"volume\",\"Action\":\"create\"}");
	assert_int_equal(e.kind, DOCKER_EVENT_OTHER);
	assert_int_equal(event("[]").kind, DOCKER_EVENT_KIND_N_);
	assert_int_equal(event("{}").kind, DOCKER_EVENT_KIND_N_);
}

static void test_events_of_health(void **state)
{
	static const char *const engines[] = {"docker-20.10", "docker-28.5"};

	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		autobuf struct buf b = {0};
		char *save = NULL;
		size_t n = 0;

		recorded_read(engines[i], "events-health", &b);
		for (char *line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save), n++) {
			struct docker_event e = event(line);

			assert_int_equal(e.kind, DOCKER_EVENT_CONTAINER_CHANGED);
			assert_int_equal(strlen(e.container), 64);
		}
		assert_int_equal(n, 4); /* unhealthy, healthy, pause, unpause */
	}
	assert_int_equal(event("{\"Type\":\"container\",\"Action\":\"health_status\",\"Actor\":{\"ID\":\"c\"}}").kind,
			 DOCKER_EVENT_CONTAINER_CHANGED); /* Podman */
}

static void test_set(void **state)
{
	struct docker_set set = {0};
	char text[64];

	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "{\"Id\":\"c%02d\"}", (i * 37) % 100);
		docker_set_put_container(&set, container(text));
		docker_set_put_container(&set, container(text)); /* replaces */
		snprintf(text, sizeof(text), "{\"Id\":\"n%02d\",\"Name\":\"name\"}", (i * 37) % 100);
		docker_set_put_network(&set, network(text));
		docker_set_put_network(&set, network(text));
	}
	assert_int_equal(set.n_containers, 100);
	assert_int_equal(set.n_networks, 100);
	for (size_t i = 1; i < set.n_containers; i++)
		assert_true(strcmp(set.containers[i - 1]->id, set.containers[i]->id) < 0);
	assert_true(docker_set_remove_container(&set, "c50"));
	assert_false(docker_set_remove_container(&set, "c50"));
	assert_null(docker_set_container(&set, "c50"));
	assert_non_null(docker_set_container(&set, "c51"));
	assert_true(docker_set_remove_network(&set, "n00"));
	assert_null(docker_set_network(&set, "n00", ""));
	assert_non_null(docker_set_network(&set, "n00", "name"));
	docker_set_done(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_recorded),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_network_defaults),
		cmocka_unit_test(test_network_gateways),
		cmocka_unit_test(test_network_bridge_names),
		cmocka_unit_test(test_network_podman),
		cmocka_unit_test(test_container_recorded),
		cmocka_unit_test(test_container_listed),
		cmocka_unit_test(test_container_states),
		cmocka_unit_test(test_health_recorded),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_dns),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_events_recorded),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_events_of_health),
		cmocka_unit_test(test_set),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
