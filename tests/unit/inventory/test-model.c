/* SPDX-License-Identifier: Apache-2.0
 *
 * From engines to an inventory: recorded engines against goldens (UPDATE=1 writes them anew), labels and problems.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "recorded.h"

#define NETWORK_HEAD "\"Driver\":\"bridge\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.1.2.0/24\"}]},"

static const struct model_config no_config;

static struct docker_network *network(const char *text)
{
	autofree char *copy = xstrdup(text);
	json_t *o = docker_json(copy, strlen(copy), NULL);
	struct docker_network *n = docker_network_parse(o, NULL);

	assert_non_null(n);
	json_decref(o);
	return n;
}

static struct docker_network *labelled(const char *labels)
{
	autofree char *text = xasprintf("{\"Id\":\"abc\",\"Name\":\"net\"," NETWORK_HEAD "\"Labels\":{%s}}", labels);

	return network(text);
}

/* Return: the stack's name, "" when it does not join */
static const char *joins(struct docker_network *n, const struct model_config *config, uint32_t *ret_vni,
			 struct problems *problems)
{
	static char stack[LIMIT_NAME];

	stack[0] = '\0';
	*ret_vni = 0;
	if (!model_network_joins(n, config, stack, ret_vni, problems))
		stack[0] = '\0';
	docker_network_free(n);
	return stack;
}

static void test_stack_names(void **state)
{
	uint32_t vni;

	assert_string_equal(joins(labelled("\"docker-router.vni\":\"1000\""), &no_config, &vni, NULL), "net");
	assert_int_equal(vni, 1000);
	assert_string_equal(joins(labelled("\"docker-router.vni\":\"1\",\"com.docker.compose.project\":\"shop\""),
				  &no_config, &vni, NULL),
			    "shop");
	assert_string_equal(joins(labelled("\"docker-router.vni\":\"1\",\"com.docker.compose.project\":\"shop\","
					   "\"docker-router.stack\":\"mine\""),
				  &no_config, &vni, NULL),
			    "mine");
	assert_string_equal(joins(labelled(""), &no_config, &vni, NULL), "");
}

static void test_bad_vni(void **state)
{
	static const char *const bad[] = {"0",	     "16777216", "-1", "1e3", "", "0x10", " 5", "99999999999999999999",
					  "a\\u0000"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		autofree char *l = xasprintf("\"docker-router.vni\":\"%s\"", bad[i]);
		struct problems p = {0};
		uint32_t vni;

		assert_string_equal(joins(labelled(l), &no_config, &vni, &p), "");
		assert_int_equal(p.n, 1);
		assert_string_equal(p.v[0].object, "network net");
		assert_non_null(strstr(p.v[0].text, "docker-router.vni"));
		assert_non_null(strstr(p.v[0].text, "1 to 16777215"));
		if (i < 5)
			assert_non_null(strstr(p.v[0].text, bad[i]));
		problems_done(&p);
	}
}

static void test_bad_stack(void **state)
{
	struct problems p = {0};
	uint32_t vni;

	assert_string_equal(
		joins(labelled("\"docker-router.vni\":\"1\",\"docker-router.stack\":\"a b\""), &no_config, &vni, &p),
		"");
	assert_string_equal(
		joins(labelled("\"docker-router.vni\":\"1\",\"docker-router.stack\":\"\""), &no_config, &vni, &p), "");
	assert_int_equal(p.n, 2);
	assert_non_null(strstr(p.v[0].text, "\"a b\""));
	problems_done(&p);
}

static void test_unknown_labels(void **state)
{
	struct problems p = {0};
	uint32_t vni;

	joins(labelled("\"docker-router.vnni\":\"1\",\"docker-router.multicast\":\"ssdp\",\"docker-routers\":\"x\","
		       "\"docker-router.stack\":\"s\""),
	      &no_config, &vni, &p);
	assert_int_equal(p.n, 2);
	assert_non_null(strstr(p.v[0].text, "unknown label docker-router.vnni; known"));
	assert_non_null(strstr(p.v[1].text, "no effect without docker-router.vni"));
	problems_done(&p);
}

static void test_config(void **state)
{
	struct config_network c[] = {{.name = "br-abc", .stack = "", .vni = 7},
				     {.name = "other", .stack = "s", .vni = 8}};
	struct model_config config = {.networks = c, .n_networks = 2};
	struct problems p = {0};
	uint32_t vni;

	/* by the bridge; the file wins over the label, even over a bad one */
	assert_string_equal(joins(labelled("\"docker-router.vni\":\"junk\""), &config, &vni, &p), "net");
	assert_int_equal(vni, 7);
	str_copy(c[1].name, "net");
	str_copy(c[0].name, "none");
	assert_string_equal(joins(labelled("\"docker-router.stack\":\"label\""), &config, &vni, &p), "s");
	assert_int_equal(vni, 8);
	assert_int_equal(p.n, 0);
	problems_done(&p);
}

static void test_unsupported(void **state)
{
	struct problems p = {0};
	uint32_t vni;

	assert_string_equal(joins(network("{\"Id\":\"a\",\"Name\":\"m\",\"Driver\":\"macvlan\",\"Labels\":{"
					  "\"docker-router.vni\":\"5\"}}"),
				  &no_config, &vni, &p),
			    "");
	assert_string_equal(joins(network("{\"Id\":\"a\",\"Name\":\"m\",\"Driver\":\"bridge\",\"Labels\":{"
					  "\"docker-router.vni\":\"5\"}}"),
				  &no_config, &vni, &p),
			    "");
	assert_int_equal(p.n, 2);
	assert_non_null(strstr(p.v[0].text, "driver macvlan is not supported"));
	assert_non_null(strstr(p.v[1].text, "no subnet"));
	problems_done(&p);
}

/* ---- goldens ---- */

static void source_of(const char *engine, const struct docker_set *set, struct model_source *ret)
{
	static const char endpoint[] = "unix:///var/run/docker.sock";

	*ret = (struct model_source){.endpoint = endpoint,
				     .api = "1.41",
				     .engine = engine,
				     .error = "",
				     .state = ENGINE_CONNECTED,
				     .set = set};
}

static void golden(const char *engine, const struct model_config *config)
{
	autofree char *path = xasprintf(DATA "/%s/inventory.json", engine), *text = NULL;
	autobuf struct buf want = {0};
	struct docker_set set = {0};
	struct model_source source;
	struct inventory inv;
	json_t *o;

	recorded_set(engine, &set);
	source_of(engine, &set, &source);
	model_build(&source, 1, config, &inv);
	o = inventory_to_json(&inv);
	text = json_dumps(o, JSON_INDENT(1));
	assert_non_null(text);
	if (getenv("UPDATE")) {
		FILE *f = fopen(path, "w");

		assert_non_null(f);
		fprintf(f, "%s\n", text);
		fclose(f);
	}
	recorded_read(engine, "inventory.json", &want);
	want.data[want.len - 1] = '\0'; /* the last newline */
	assert_string_equal(text, want.data);
	json_decref(o);
	inventory_done(&inv);
	docker_set_done(&set);
}

static void test_golden(void **state)
{
	struct config_network c[] = {{.name = "docker0", .stack = "default", .vni = 3000},
				     {.name = "nosuch", .stack = "", .vni = 5}};
	struct model_config config = {.networks = c, .n_networks = 2};

	golden("docker-20.10", &no_config);
	golden("docker-28.5", &config);
	golden("podman-4.3", &no_config);
}

static void test_two_engines(void **state)
{
	struct docker_set a = {0}, b = {0}, none = {0};
	struct model_source s[4];
	struct inventory inv, again;
	size_t containers = 0, networks = 0;

	recorded_set("docker-20.10", &a);
	recorded_set("docker-28.5", &b);
	source_of("a", &a, &s[0]);
	source_of("b", &b, &s[1]);
	source_of("a again by another endpoint", &a, &s[2]);
	source_of("lost", &none, &s[3]);
	s[3].state = ENGINE_LOST;
	model_build(s, 4, &no_config, &inv);
	assert_int_equal(inv.n_engines, 4);
	for (size_t i = 0; i < inv.n_stacks; i++) {
		networks += inv.stacks[i].n_networks;
		containers += inv.stacks[i].n_containers;
	}
	/* typo, shop, wiki, back, noaddr of each; web, db in shop, wiki in wiki, db in back of each; nothing twice */
	assert_int_equal(inv.n_stacks, 5);
	assert_int_equal(networks, 10);
	assert_int_equal(containers, 8);
	for (size_t i = 0; i < inv.problems.n; i++) {
		for (size_t k = 0; k < i; k++)
			assert_false(str_eq(inv.problems.v[i].object, inv.problems.v[k].object) &&
				     str_eq(inv.problems.v[i].text, inv.problems.v[k].text));
	}
	/* the order of the engines' answers does not matter to the stacks */
	source_of("b", &b, &s[0]);
	source_of("a", &a, &s[1]);
	model_build(s, 2, &no_config, &again);
	assert_int_equal(again.n_stacks, inv.n_stacks);
	for (size_t i = 0; i < inv.n_stacks; i++) {
		assert_string_equal(again.stacks[i].stack_id, inv.stacks[i].stack_id);
		for (size_t k = 0; k < inv.stacks[i].n_containers; k++)
			assert_string_equal(again.stacks[i].containers[k].id, inv.stacks[i].containers[k].id);
	}
	inventory_done(&inv);
	inventory_done(&again);
	docker_set_done(&a);
	docker_set_done(&b);
}

static void test_carry_over(void **state)
{
	struct docker_set a = {0}, b = {0}, none = {0};
	struct model_source s[2];
	struct inventory before, inv;

	recorded_set("docker-20.10", &a);
	recorded_set("docker-28.5", &b);
	source_of("a", &a, &s[0]);
	source_of("b", &b, &s[1]);
	s[1].endpoint = "unix:///b";
	model_build(s, 2, &no_config, &before);
	/* after a restart: a answers, b does not yet */
	s[1].set = &none;
	s[1].state = ENGINE_CONNECTING;
	model_build(s, 2, &no_config, &inv);
	assert_false(inventory_same(&before, &inv));
	model_carry_over(&before, &inv);
	assert_int_equal(inv.engines[1].state, ENGINE_LOST);
	inv.engines[1].state = ENGINE_CONNECTED;
	problems_done(&before.problems);
	problems_done(&inv.problems);
	assert_true(inventory_same(&before, &inv));
	inventory_done(&inv);
	/* when it has answered, what it says counts */
	s[1].state = ENGINE_CONNECTED;
	model_build(s, 2, &no_config, &inv);
	model_carry_over(&before, &inv);
	assert_int_equal(inv.n_stacks, 5);
	assert_int_equal(inv.stacks[0].n_networks, 1);
	inventory_done(&inv);
	/* nor is anything kept of an engine that is no longer followed */
	model_build(s, 1, &no_config, &inv);
	model_carry_over(&before, &inv);
	assert_int_equal(inv.stacks[0].n_networks, 1);
	inventory_done(&inv);
	inventory_done(&before);
	docker_set_done(&a);
	docker_set_done(&b);
}

/* Health, and aliases as names: in lower case, each once; what can be none is told once */
static void test_health_and_aliases(void **state)
{
	static const char *const engines[] = {"docker-20.10", "docker-28.5"};
	static const enum health healths[] = {HEALTH_STARTING, HEALTH_UNHEALTHY, HEALTH_HEALTHY, HEALTH_UNHEALTHY};

	for (size_t i = 0; i < 2 * ARRAY_LEN(healths); i++) {
		json_t *all = recorded_json(engines[i / ARRAY_LEN(healths)], "health.json");
		struct docker_container *c = docker_container_parse(json_array_get(all, i % ARRAY_LEN(healths)), NULL);
		struct docker_network *n = labelled("\"docker-router.vni\":\"1000\"");
		struct docker_set set = {0};
		struct model_source s;
		struct inventory inv, carried;

		assert_non_null(c);
		str_copy(n->id, c->attachments[0].network_id);
		docker_set_put_network(&set, n);
		docker_set_put_container(&set, c);
		source_of("a", &set, &s);
		model_build(&s, 1, &no_config, &inv);
		assert_int_equal(inv.stacks[0].n_containers, 1);
		assert_int_equal(inv.stacks[0].containers[0].health, healths[i % ARRAY_LEN(healths)]);
		assert_int_equal(inv.stacks[0].containers[0].interfaces[0].n_aliases, 2);
		assert_string_equal(inv.stacks[0].containers[0].interfaces[0].aliases[0], "sick");
		assert_string_equal(inv.stacks[0].containers[0].interfaces[0].aliases[1], "www");
		assert_int_equal(inv.problems.n, 1);
		assert_string_equal(inv.problems.v[0].object, "container shop_sick_1");
		assert_non_null(strstr(inv.problems.v[0].text, "alias \"a..b\" is not answered; allowed are 1 to 63"));
		/* kept over a restart of ours, with memory of its own */
		s.set = NULL;
		s.state = ENGINE_CONNECTING;
		model_build(&s, 1, &no_config, &carried);
		model_carry_over(&inv, &carried);
		assert_int_equal(carried.stacks[0].containers[0].health, healths[i % ARRAY_LEN(healths)]);
		assert_int_equal(carried.stacks[0].containers[0].interfaces[0].n_aliases, 2);
		inventory_done(&inv);
		assert_string_equal(carried.stacks[0].containers[0].interfaces[0].aliases[1], "www");
		inventory_done(&carried);
		docker_set_done(&set);
		json_decref(all);
	}
}

static void test_matters(void **state)
{
	struct docker_set set = {0};
	size_t n = 0;

	recorded_set("docker-20.10", &set);
	for (size_t i = 0; i < set.n_containers; i++)
		n += model_container_matters(set.containers[i], &set, &no_config);
	assert_int_equal(n, 3); /* web, db, wiki */
	docker_set_done(&set);
}

/* The label multicast stands apart from stacks: with and without vni, and the config file goes before it */
static void test_multicast(void **state)
{
	const struct config_network file = {.name = "br-two", .multicast = {.mdns = true}, .has_multicast = true};
	const struct model_config config = {.networks = &file, .n_networks = 1};
	static const char *const texts[] = {
		"{\"Id\":\"one\",\"Name\":\"one\"," NETWORK_HEAD "\"Labels\":{\"docker-router.multicast\":\"ssdp\"}}",
		"{\"Id\":\"two\",\"Name\":\"two\"," NETWORK_HEAD
		"\"Options\":{\"com.docker.network.bridge.name\":\"br-two\"},"
		"\"Labels\":{\"docker-router.vni\":\"7\",\"docker-router.multicast\":\"ssdp\"}}",
		"{\"Id\":\"three\",\"Name\":\"three\"," NETWORK_HEAD
		"\"Labels\":{\"docker-router.multicast\":\"sspd\"}}",
	};
	struct docker_set set = {0};
	struct model_source s;
	struct inventory inv, again = {0};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		*xgrow(&set.networks, set.n_networks, &set.cap_networks) = network(texts[i]);
		set.n_networks++;
	}
	source_of("a", &set, &s);
	model_build(&s, 1, &config, &inv);
	assert_int_equal(inv.n_stacks, 1); /* two alone has a VNI */
	assert_int_equal(inv.n_multicast, 2);
	assert_string_equal(inv.multicast[0].network.name, "one");
	assert_true(inv.multicast[0].label.ssdp);
	assert_true(inv.multicast[1].label.mdns);
	assert_false(inv.multicast[1].label.ssdp);
	assert_int_equal(inv.problems.n, 1);
	assert_string_equal(inv.problems.v[0].object, "network three");
	assert_non_null(strstr(inv.problems.v[0].text, "\"sspd\" is unknown"));

	json_t *root = inventory_to_json(&inv);
	assert_int_equal(inventory_from_json(root, &again, &err), 0);
	assert_true(inventory_same(&inv, &again));
	again.multicast[0].label.mdns = true;
	assert_false(inventory_same(&inv, &again));
	json_decref(root);
	inventory_done(&inv);
	inventory_done(&again);
	docker_set_done(&set);
}

static void test_limits(void **state)
{
	struct docker_set set = {0};
	struct model_source s;
	struct inventory inv;

	for (int i = 0; i < LIMIT_STACKS + 10; i++) {
		autofree char *text = xasprintf("{\"Id\":\"n%d\",\"Name\":\"n%d\"," NETWORK_HEAD
						"\"Labels\":{\"docker-router.vni\":\"%d\",\"docker-router.x\":\"\"}}",
						i, i, i + 1);

		docker_set_put_network(&set, network(text));
	}
	source_of("x", &set, &s);
	model_build(&s, 1, &no_config, &inv);
	assert_int_equal(inv.n_stacks, LIMIT_STACKS);
	assert_true(inv.problems.n <= LIMIT_PROBLEMS);
	inventory_done(&inv);
	docker_set_done(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack_names),
		cmocka_unit_test(test_bad_vni),
		cmocka_unit_test(test_bad_stack),
		cmocka_unit_test(test_unknown_labels),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_unsupported),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_two_engines),
		cmocka_unit_test(test_health_and_aliases),
		cmocka_unit_test(test_matters),
		cmocka_unit_test(test_multicast),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_carry_over),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
