/* SPDX-License-Identifier: Apache-2.0
 *
 * inventory.json: round trip, canonical order, and what happens to broken parts.
 */
#include "state/inventory.h"

#include "tempdir.h"

static struct inventory from_text(const char *text)
{
	struct inventory inv = {0};
	struct err e = {0};
	json_t *o = json_parse_bounded(text, strlen(text), &e);
	if (!o || inventory_from_json(o, &inv, &e) < 0)
		fail_msg("%s", e.text);
	json_decref(o);
	return inv;
}

static const char example[] =
	"{\"version\":1,\"last_update\":\"2024-01-15T10:30:00Z\",\"engines\":[{\"endpoint\":\"unix:///var/run/"
	"docker.sock\",\"state\":\"connected\",\"api\":\"1.41\",\"engine\":\"20.10.24\",\"error\":\"\"}],\"stacks\":["
	"{\"stack_id\":\"shop\",\"vni\":1000,\"networks\":[{\"name\":\"shop_default\",\"id\":\"abc123\",\"bridge\":"
	"\"br-"
	"0123456789ab\",\"endpoint\":\"unix:///var/run/docker.sock\",\"subnets\":[\"10.71.0.0/24\",\"fd71::/64\"],"
	"\"gateways\":[\"10.71.0.1\"],\"internal\":false,\"icc\":true,\"mtu\":1500}],\"uplink\":\"\",\"containers\":[{"
	"\"id\":\"c1\",\"name\":\"shop_web_1\",\"service\":\"web\",\"pid\":4711,\"sandbox\":\"/var/run/docker/netns/"
	"1\",\"dns\":[\"172.17.0.1\",\"fd00::53\"],\"elsewhere\":true,\"interfaces\":[{\"network\":\"abc123\",\"mac\":"
	"\"02:42:0a:47:00:02\",\"addresses\":[\"10.71.0.2\"]}]}]}],"
	"\"problems\":[{\"object\":\"network x\",\"text\":\"bad\",\"cure\":\"mend it\"}]}";

static void test_golden(void **state)
{
	struct inventory inv = from_text(example);
	assert_int_equal(inv.n_stacks, 1);
	assert_int_equal(inv.stacks[0].n_networks, 1);
	assert_int_equal(inv.stacks[0].networks[0].n_subnets, 2);
	assert_int_equal(inv.stacks[0].containers[0].pid, 4711);
	assert_int_equal(inv.stacks[0].containers[0].n_dns, 2);
	assert_int_equal(inv.stacks[0].containers[0].interfaces[0].n_addresses, 1);
	assert_int_equal(inv.engines[0].state, ENGINE_CONNECTED);
	autobuf struct buf b = {0};
	json_t *o = inventory_to_json(&inv);
	json_print(&b, o, JSON_COMPACT);
	assert_string_equal(b.data, example);
	json_decref(o);
	inventory_done(&inv);
	assert_null(inv.stacks);
	inventory_done(&inv);
}

static void test_same(void **state)
{
	struct inventory a = from_text(example), b = from_text(example);
	b.last_update.ms = 0;
	assert_true(inventory_same(&a, &b));
	/* what stands behind the NUL of an array does not count */
	b.stacks[0].containers[0].name[100] = 'x';
	assert_true(inventory_same(&a, &b));
#define DIFFERS(change, back)                 \
	change;                               \
	assert_false(inventory_same(&a, &b)); \
	back;                                 \
	assert_true(inventory_same(&a, &b))
	struct inv_stack *s = &b.stacks[0];
	DIFFERS(s->vni++, s->vni--);
	DIFFERS(s->networks[0].mtu++, s->networks[0].mtu--);
	DIFFERS(s->networks[0].icc = false, s->networks[0].icc = true);
	DIFFERS(s->networks[0].subnets[1].len++, s->networks[0].subnets[1].len--);
	DIFFERS(s->networks[0].gateways[0].b[3]++, s->networks[0].gateways[0].b[3]--);
	DIFFERS(s->containers[0].pid++, s->containers[0].pid--);
	DIFFERS(s->containers[0].health = HEALTH_STARTING, s->containers[0].health = HEALTH_NONE);
	DIFFERS(s->containers[0].elsewhere = false, s->containers[0].elsewhere = true);
	DIFFERS(s->containers[0].n_dns--, s->containers[0].n_dns++);
	DIFFERS(s->containers[0].sandbox[3]++, s->containers[0].sandbox[3]--);
	DIFFERS(s->containers[0].interfaces[0].mac.b[5]++, s->containers[0].interfaces[0].mac.b[5]--);
	DIFFERS(s->containers[0].interfaces[0].n_addresses--, s->containers[0].interfaces[0].n_addresses++);
	DIFFERS(b.engines[0].state = ENGINE_LOST, b.engines[0].state = ENGINE_CONNECTED);
	DIFFERS(b.problems.v[0].cure[0]++, b.problems.v[0].cure[0]--);
	inventory_done(&a);
	inventory_done(&b);
}

static void test_order(void **state)
{
	struct inventory inv = {0};
	inventory_stack(&inv, "b", 5);
	inventory_stack(&inv, "a", 7);
	inventory_stack(&inv, "a", 5);
	inventory_stack(&inv, "b", 5); /* there already */
	assert_int_equal(inv.n_stacks, 3);
	inventory_sort(&inv);
	assert_int_equal(inv.stacks[0].vni, 5);
	assert_string_equal(inv.stacks[0].stack_id, "a");
	assert_string_equal(inv.stacks[1].stack_id, "b");
	assert_int_equal(inv.stacks[2].vni, 7);
	inventory_done(&inv);
}

static void test_tolerance(void **state)
{
	struct inventory inv = from_text(
		"{\"version\":1,\"last_update\":\"yesterday\",\"engines\":[7,{\"endpoint\":\"x\",\"state\":\"odd\"}],"
		"\"stacks\":[5,null,{},{\"stack_id\":\"../x\",\"vni\":1},{\"stack_id\":\"x\",\"vni\":16777216},"
		"{\"stack_id\":\"x\",\"vni\":0},{\"stack_id\":\"good\",\"vni\":1,\"networks\":[{\"id\":\"n1\"},"
		"{\"id\":\"n2\",\"name\":\"n\",\"bridge\":\"a-name-that-is-too-long\"},"
		"{\"id\":\"n3\",\"name\":\"n\",\"bridge\":\"../x\"},"
		"{\"id\":\"n4\",\"name\":\"kept\",\"subnets\":null,\"mtu\":null}],"
		"\"containers\":[{\"id\":\"c\",\"name\":\"c\",\"interfaces\":[{\"network\":\"n\",\"mac\":\"x\"}]},"
		"{\"id\":\"c\",\"name\":\"c\",\"pid\":-1},{\"id\":\"kept\",\"name\":\"kept\",\"interfaces\":7}]},"
		"{\"stack_id\":\"good\",\"vni\":1},{\"stack_id\":\"other\",\"vni\":2,\"networks\":{},\"containers\":3}]"
		","
		"\"problems\":\"none\"}");
	assert_int_equal(inv.n_engines, 0);
	assert_int_equal(inv.n_stacks, 2);
	assert_int_equal(inv.stacks[0].n_networks, 1);
	assert_string_equal(inv.stacks[0].networks[0].name, "kept");
	assert_true(inv.stacks[0].networks[0].icc);
	assert_int_equal(inv.stacks[0].n_containers, 1);
	assert_string_equal(inv.stacks[0].containers[0].name, "kept");
	/* time, 2 engines, 7 stacks, 3 networks, 2 containers, 3 that are no arrays */
	assert_int_equal(inv.problems.n, 1 + 2 + 7 + 3 + 2 + 3);
	bool told = false;
	for (size_t i = 0; i < inv.problems.n; i++)
		told |= str_eq(inv.problems.v[i].text,
			       "stacks[4] is left out: vni: 16777216 is not a whole number from 1 to 16777215");
	assert_true(told);
	inventory_done(&inv);
}

static void test_limits(void **state)
{
	struct buf b = {0};
	buf_puts(&b, "{\"version\":1,\"stacks\":[");
	for (int i = 0; i < LIMIT_STACKS + 5; i++)
		buf_printf(&b, "%s{\"stack_id\":\"s%d\",\"vni\":1}", i ? "," : "", i);
	buf_puts(&b, "]}");
	struct inventory inv = from_text(b.data);
	assert_int_equal(inv.n_stacks, LIMIT_STACKS);
	assert_int_equal(inv.problems.n, 1);
	inventory_done(&inv);
	buf_clear(&b);
	buf_puts(&b, "{\"version\":1,\"stacks\":[{\"stack_id\":\"s\",\"vni\":1,\"containers\":[");
	for (int i = 0; i < LIMIT_CONTAINERS + 5; i++)
		buf_printf(&b, "%s{\"id\":\"c%d\",\"name\":\"n\",\"interfaces\":[{\"network\":\"n\"}]}", i ? "," : "",
			   i);
	buf_puts(&b, "]}]}");
	inv = from_text(b.data);
	assert_int_equal(inv.stacks[0].n_containers, LIMIT_CONTAINERS);
	inventory_done(&inv);
	buf_done(&b);
}

static void test_file(void **state)
{
	struct tempdir *t = *state;
	struct inventory a = from_text(example), b = {0};
	struct err e = {0};
	assert_int_equal(inventory_read(t->fd, NULL, &b, &e), -ENOENT);
	assert_int_equal(inventory_write(t->fd, &a, &e), 0);
	assert_int_equal(inventory_read(t->fd, NULL, &b, &e), 0);
	assert_true(inventory_same(&a, &b));
	assert_true(a.last_update.ms == b.last_update.ms);
	inventory_done(&b);
	tempdir_put(t, STATE_INVENTORY, "{\"version\":1,\"stacks\":[");
	assert_true(inventory_read(t->fd, NULL, &b, &e) < 0);
	tempdir_put(t, STATE_INVENTORY, "{\"version\":1,\"stacks\":7}");
	assert_true(inventory_read(t->fd, NULL, &b, &e) < 0);
	assert_null(b.stacks);
	struct file_owner nobody = {.uids = {12345}, .n = 1};
	assert_int_equal(inventory_read(t->fd, &nobody, &b, &e), -EPERM);
	autofree char *names = tempdir_list(t);
	assert_string_equal(names, "inventory.json ");
	inventory_done(&a);
}

/* Written where there are any; what is odd in them does not cost the container */
static void test_health_and_aliases(void **state)
{
	static const char *const healths[HEALTH_N_] = {"none", "starting", "healthy", "unhealthy"};
	for (size_t i = 0; i < HEALTH_N_; i++) {
		autofree char *text = xasprintf("{\"version\":1,\"stacks\":[{\"stack_id\":\"s\",\"vni\":1,"
						"\"containers\":[{\"id\":\"c\",\"name\":"
						"\"n\",\"health\":\"%s\",\"interfaces\":[{\"network\":\"x\","
						"\"addresses\":[],\"aliases\":[\"web\","
						"\"db\"]}]}]}]}",
						healths[i]);
		struct inventory inv = from_text(text), again;
		struct inv_container *c = &inv.stacks[0].containers[0];
		assert_int_equal(c->health, i);
		assert_int_equal(c->interfaces[0].n_aliases, 2);
		assert_string_equal(c->interfaces[0].aliases[0], "db"); /* sorted */
		json_t *o = inventory_to_json(&inv);
		assert_int_equal(inventory_from_json(o, &again, NULL), 0);
		assert_true(inventory_same(&inv, &again));
		again.stacks[0].containers[0].interfaces[0].aliases[1][0] = 'x';
		assert_false(inventory_same(&inv, &again));
		json_decref(o);
		inventory_done(&inv);
		inventory_done(&again);
	}
	struct inventory inv = from_text(
		"{\"version\":1,\"stacks\":[{\"stack_id\":\"s\",\"vni\":1,\"containers\":[{\"id\":\"c\",\"name\":"
		"\"n\",\"health\":\"dizzy\",\"interfaces\":[{\"network\":\"x\",\"aliases\":[\"Web\",7,\"a..b\",\"ok\"]}"
		","
		"{\"network\":\"y\",\"aliases\":8}]}]}]}");
	assert_int_equal(inv.stacks[0].n_containers, 1);
	assert_int_equal(inv.stacks[0].containers[0].health, HEALTH_NONE);
	assert_int_equal(inv.stacks[0].containers[0].interfaces[0].n_aliases, 1);
	assert_int_equal(inv.problems.n, 5);
	inventory_done(&inv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden),
					   cmocka_unit_test(test_same),
					   cmocka_unit_test(test_order),
					   cmocka_unit_test(test_tolerance),
					   cmocka_unit_test(test_limits),
					   cmocka_unit_test_setup_teardown(test_file, tempdir_make, tempdir_remove),
					   cmocka_unit_test(test_health_and_aliases)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
