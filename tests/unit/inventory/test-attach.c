/* SPDX-License-Identifier: Apache-2.0
 *
 * Labels and requests to the attach[] of an inventory; what is wrong costs the NIC that it is in, and is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "inventory/attach.h"

static struct docker_container *container(const char *name, const char *const *labels)
{
	struct docker_container *c = xcalloc(1, sizeof(*c));

	str_copy(c->id, "0123456789abcdef0123456789abcdef");
	str_copy(c->name, name);
	c->running = true;
	c->pid = 7;
	for (; labels && *labels; labels += 2) {
		struct docker_label *l = xgrow(&c->labels.v, c->labels.n, &c->labels.cap);

		c->labels.n++;
		l->key = xstrdup(labels[0]);
		l->value = xstrdup(labels[1]);
	}
	return c;
}

static void added(struct docker_container *c, const struct nic_requests *r, struct inventory *inv)
{
	*inv = (struct inventory){0};
	attach_add(c, r, inv);
	docker_container_free(c);
}

static void test_labels(void **state)
{
	struct inventory inv;

	added(container("web", (const char *const[]){"docker-router.attach", "br-lan:eth1 br-guest:vlan.7",
						     "docker-router.attach.eth1.address", "dhcp",
						     "docker-router.attach.vlan.7.mtu", "1400", NULL}),
	      NULL, &inv);
	assert_int_equal(inv.n_attach, 1);
	assert_int_equal(inv.problems.n, 0);
	assert_int_equal(inv.attach[0].n_nics, 2);
	assert_true(inv.attach[0].nics[0].dhcp);
	assert_int_equal(inv.attach[0].nics[1].mtu, 1400); /* a name with a dot in it */
	assert_string_equal(inv.attach[0].owner, "web");
	assert_string_equal(inv.attach[0].hostname, "web");
	inventory_done(&inv);
}

static void test_wrong(void **state)
{
	struct inventory inv;

	added(container("web",
			(const char *const[]){"docker-router.attach", "br-lan:a br-lan:b br-lan:c br-lan:d",
					      "docker-router.attach.a.mac", "01:00:00:00:00:00",
					      "docker-router.attach.b.gateway", "192.0.2.1",
					      "docker-router.attach.x.mtu", "1400", "docker-router.attach.c.colour",
					      "red", "docker-router.attach.mtu", "1400", NULL}),
	      NULL, &inv);
	assert_int_equal(inv.n_attach, 1);
	assert_int_equal(inv.attach[0].n_nics, 1);
	assert_string_equal(inv.attach[0].nics[0].name, "d");
	assert_int_equal(inv.problems.n, 5);
	inventory_done(&inv);
	added(container("web", (const char *const[]){"docker-router.attach", "nonsense", NULL}), NULL, &inv);
	assert_int_equal(inv.n_attach, 0);
	assert_int_equal(inv.problems.n, 1);
	inventory_done(&inv);
}

static void test_who(void **state)
{
	static const char *const label[] = {"docker-router.attach", "br-lan:eth1", NULL};
	struct docker_container *c = container("web", label);
	struct inventory inv;

	c->running = false;
	added(c, NULL, &inv);
	assert_int_equal(inv.n_attach, 0);
	c = container("web", label);
	c->pid = 0; /* listed, and not inspected yet */
	added(c, NULL, &inv);
	assert_int_equal(inv.n_attach, 0);
	c = container("web", NULL);
	assert_false(attach_wanted(c, NULL));
	added(c, NULL, &inv);
	assert_int_equal(inv.n_attach, 0);
	c = container("web", label);
	c->host_network = true;
	added(c, NULL, &inv);
	assert_non_null(strstr(inv.attach[0].refused, "host's network"));
	inventory_done(&inv);
	c = container("web", label);
	c->shares_network = true;
	c->paused = c->wants_flag = true;
	str_copy(c->project, "shop");
	str_copy(c->service, "Web_1");
	c->number = 2;
	added(c, NULL, &inv);
	assert_non_null(strstr(inv.attach[0].refused, "another container"));
	assert_true(inv.attach[0].paused && inv.attach[0].flag);
	assert_string_equal(inv.attach[0].owner, "shop/Web_1/2");
	assert_string_equal(inv.attach[0].hostname, "web-1-2");
	inventory_done(&inv);
	c = container("-a..b", label); /* no name of a host can be made of it */
	added(c, NULL, &inv);
	assert_string_equal(inv.attach[0].hostname, "");
	inventory_done(&inv);
}

static void test_requests(void **state)
{
	struct nic_requests r = {0};
	struct nic_specs specs;
	struct inventory inv = {0};

	assert_int_equal(nic_list_parse("br-other:eth1 br-other:eth2", "", &specs, NULL), 0);
	assert_int_equal(nic_request_put(nic_requests_for(&r, "web", "x"), &specs.v[0], NULL), 0);
	assert_int_equal(nic_request_put(nic_requests_for(&r, "web", "x"), &specs.v[1], NULL), 0);
	assert_int_equal(nic_request_put(nic_requests_for(&r, "gone", "x"), &specs.v[0], NULL), 0);
	/* of a name that a label has too, the request counts */
	added(container("web", (const char *const[]){"docker-router.attach", "br-lan:eth1 br-lan:eth0", NULL}), &r,
	      &inv);
	attach_add_missing(&r, &inv);
	inventory_sort(&inv);
	assert_int_equal(inv.n_attach, 2);
	assert_int_equal(inv.attach[0].n_nics, 3);
	assert_string_equal(inv.attach[0].nics[0].parent, "br-other");
	assert_string_equal(inv.attach[1].container.id, "gone");
	assert_false(inv.attach[1].running);
	/* and it comes through the file */
	json_t *o = inventory_to_json(&inv);
	struct inventory again = {0};
	assert_int_equal(inventory_from_json(o, &again, NULL), 0);
	assert_true(inventory_same(&inv, &again));
	again.attach[0].nics[0].mtu = 1400;
	assert_false(inventory_same(&inv, &again));
	json_decref(o);
	inventory_done(&inv);
	inventory_done(&again);
	nic_requests_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_requests),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
