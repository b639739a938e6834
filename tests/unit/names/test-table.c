/* SPDX-License-Identifier: Apache-2.0
 *
 * Which name leads where, seen from whom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "names/public.h"
#include "world.h"

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	world_init(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_done(*state);
	free(*state);
	return 0;
}

/* What @who ("c1", or NULL: the host) finds: "10.71.0.2 fd71::2", "" when there is no address, "-" not ours, "!" absent
 */
static const char *find(const struct world *w, const char *who, const char *name, uint8_t family)
{
	static char text[FIND_MAX * IP_STRLEN];
	const struct viewer *v = who ? table_viewer(w->table, who) : table_host(w->table);
	struct ip ips[FIND_MAX];
	size_t n, len = 0;

	assert_non_null(v);
	switch (table_find(w->table, v, name, family, ips, &n)) {
	case FIND_NONE:
		assert_int_equal(n, 0);
		return "-";
	case FIND_ABSENT:
		assert_int_equal(n, 0);
		return "!";
	case FIND_NAME:
		break;
	}
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		char ip[IP_STRLEN];

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "", ip_format(&ips[i], ip));
	}
	return text;
}

#define must_find(who, name, expected) assert_string_equal(find(w, who, name, 0), expected)

static void test_forms(void **state)
{
	struct world *w = *state;

	must_find("c3", "db.shop", "10.71.0.3");
	must_find("c3", "database.shop", "10.71.0.3");
	must_find("c3", "shop_db_1.shop", "10.71.0.3");
	must_find("c3", "db.shop.docker-router.internal", "10.71.0.3");
	must_find("c3", "db.shop.h1", "10.71.0.3");
	must_find("c3", "db.shop@h1", "10.71.0.3");
	must_find("c3", "db.shop.h1.docker-router.internal", "10.71.0.3");
	must_find("c3", "db.shop@h1.docker-router.internal", "10.71.0.3");
	must_find("c3", "shop@h1", "10.71.0.2 10.71.0.3 fd71::2");
	must_find("c3", "shop.h1", "10.71.0.2 10.71.0.3 fd71::2");
	must_find("c3", "db.shop@nas", "-");
	must_find("c3", "cache.shop@nas", "241.2.0.9");
	must_find("c3", "cache.shop@nas.lan", "241.2.0.9");
	must_find("c3", "cache.shop.nas", "241.2.0.9");
	must_find("c3", "cache.shop.nas.lan.docker-router.internal", "241.2.0.9");
	/* a host with a domain of its own: to anybody else that is a name in .lan */
	must_find("c3", "cache.shop.nas.lan", "-");
	/* dots in names and stacks */
	must_find("c3", "a.b.my.shop", "10.83.0.2");
	must_find("c3", "my.shop", "10.83.0.2");
	must_find("c3", "a.b.my.shop.nas", "10.83.0.2");
	/* what is not there */
	must_find("c3", "nobody.shop", "-");
	must_find("c3", "nobody", "-");
	must_find("c3", "", "-");
	must_find("c3", "shop.", "-");
	must_find("c3", ".shop", "-");
	must_find("c3", "db@h1", "-");
	must_find("c3", "@h1", "-");
	must_find("c3", "shop@", "-");
	must_find("c3", "@", "-");
	must_find("c3", "nobody.shop.docker-router.internal", "!");
	must_find("c3", "com.docker-router.internal.", "-");
	must_find("c3", "docker-router.internal", "");
	must_find("c3", "xdocker-router.internal", "-");
}

static void test_several_hosts(void **state)
{
	struct world *w = *state;

	must_find("c3", "web.shop", "10.71.0.2 fd71::2 241.2.0.2");
	assert_string_equal(find(w, "c3", "web.shop", AF_INET), "10.71.0.2 241.2.0.2");
	assert_string_equal(find(w, "c3", "web.shop", AF_INET6), "fd71::2");
	assert_string_equal(find(w, "c3", "db.shop", AF_INET6), "");
	must_find("c3", "web.shop@h1", "10.71.0.2 fd71::2");
	must_find("c3", "shop", "10.71.0.2 10.71.0.3 fd71::2 241.2.0.2 241.2.0.9");
}

static void test_health(void **state)
{
	struct world *w = *state;

	must_find("c3", "bad.shop", "-");
	w->inventory.stacks[0].containers[0].health = HEALTH_NONE;
	for (size_t i = 0; i < w->inventory.n_stacks; i++)
		for (size_t j = 0; j < w->inventory.stacks[i].n_containers; j++)
			w->inventory.stacks[i].containers[j].health = HEALTH_HEALTHY;
	world_again(w);
	must_find("c3", "bad.shop", "10.71.0.9");
}

static void test_other_vni(void **state)
{
	struct world *w = *state;

	must_find("c4", "key.secret", "10.91.0.2");
	must_find("c4", "web.shop", "-");
	must_find("c4", "web.shop.docker-router.internal", "!");
	must_find("c1", "key.secret", "-");
	must_find("c1", "key.secret.docker-router.internal", "!");
	must_find("c1", "box.lab", "-");
	/* the host sees all of its VNIs */
	must_find(NULL, "key.secret", "10.91.0.2");
	must_find(NULL, "box.lab", "10.90.0.2");
	must_find(NULL, "db.shop", "10.71.0.3");
	assert_null(table_viewer(w->table, "c9"));
}

static void test_mapped(void **state)
{
	struct world *w = *state;

	/* c3 is in blog, which is mapped: mapped addresses of mapped stacks, true ones of others and of its own */
	must_find("c3", "cache.shop", "241.2.0.9");
	must_find("c3", "x.blog2.docker-router.internal", "10.82.0.2");
	must_find("c3", "wp.blog.docker-router.internal", "172.18.0.2");
	/* c1 is in Shop, which is not (yet): what it sends keeps its true source */
	must_find("c1", "cache.shop", "172.18.0.9");
	must_find("c1", "wp.blog", "172.18.0.2");
	/* the host may have 172.18.0.0/16 itself; to its own containers it has a route */
	must_find(NULL, "cache.shop", "241.2.0.9");
	must_find(NULL, "wp.blog", "172.18.0.2");
	/* a true subnet that is not announced leads nowhere */
	w->discovery.peers[3].n_subnets = 0;
	world_again(w);
	assert_string_equal(w->discovery.peers[3].stack_id, "shop");
	must_find("c1", "cache.shop", "241.2.0.9");
}

/* MAPPING=never, here or there: no answer rather than one that leads to somebody else */
static void test_own_subnet(void **state)
{
	struct world *w = *state;
	struct self_stack *blog = &w->discovery.self.stacks[1];
	struct peer *shop = &w->discovery.peers[3];

	assert_string_equal(blog->stack_id, "blog");
	assert_string_equal(shop->stack_id, "shop");
	/* we are not mapped, the other is: 172.18.0.9 would be one of c3's own network */
	blog->n_mapped = 0;
	world_again(w);
	must_find("c3", "cache.shop", "");
	must_find("c3", "cache.shop.docker-router.internal", "");
	must_find("c3", "web.shop", "10.71.0.2 fd71::2");
	must_find("c3", "wp.blog.docker-router.internal", "172.18.0.2");
	must_find("c1", "cache.shop", "172.18.0.9");
	/* the host has a bridge there, but for what is mapped */
	must_find(NULL, "cache.shop", "241.2.0.9");
	must_find(NULL, "wp.blog", "172.18.0.2");
	/* neither is mapped */
	shop->n_mapped = 0;
	world_again(w);
	must_find("c3", "cache.shop", "");
	must_find(NULL, "cache.shop", "");
	must_find(NULL, "cache.shop.docker-router.internal", "");
	/* the other is not, we are */
	blog->n_mapped = 1;
	world_again(w);
	must_find("c3", "cache.shop", "");
	must_find("c1", "cache.shop", "172.18.0.9");
}

static const char *find_ip(const struct world *w, const char *who, const char *address)
{
	static char name[256];
	struct ip ip;

	assert_int_equal(ip_parse(address, &ip), 0);
	return table_find_ip(w->table, who ? table_viewer(w->table, who) : table_host(w->table), &ip, name,
			     sizeof(name)) == FIND_NAME
		       ? name
		       : "-";
}

static size_t records_of(const struct world *w, const char *host_id, const char *stack_id)
{
	struct records r = {0};
	size_t n = 0;

	table_records(w->table, &r);
	for (size_t i = 0; i < r.n_records; i++)
		n += str_eq(r.records[i].host_id, host_id) && str_eq(r.records[i].stack_id, stack_id);
	records_done(&r);
	return n;
}

static void refuse(struct world *w, uint32_t vni, const char *prefix, const char *host_id, const char *stack_id)
{
	struct rs_refused *f = xgrow(&w->router.refused, w->router.n_refused, &w->router.cap_refused);

	w->router.n_refused++;
	f->vni = vni;
	assert_int_equal(prefix_parse(prefix, &f->prefix), 0);
	str_copy(f->host_id, host_id);
	str_copy(f->stack_id, stack_id);
}

static void test_refused(void **state)
{
	struct world *w = *state;

	assert_int_equal(records_of(w, HOST_B, "blog2"), 2);
	/* not this stack: another VNI, host, name */
	refuse(w, 2000, "10.82.0.0/24", HOST_B, "blog2");
	refuse(w, 1000, "10.82.0.0/24", HOST_C, "blog2");
	refuse(w, 1000, "10.82.0.0/24", HOST_B, "blog");
	world_again(w);
	must_find("c3", "x.blog2", "10.82.0.2");
	assert_int_equal(records_of(w, HOST_B, "blog2"), 2);
	refuse(w, 1000, "10.82.0.0/25", HOST_B, "blog2");
	world_again(w);
	must_find("c3", "x.blog2", "");
	must_find("c3", "x.blog2.docker-router.internal", "");
	must_find(NULL, "x.blog2", "");
	assert_string_equal(find_ip(w, "c3", "10.82.0.2"), "-");
	assert_int_equal(records_of(w, HOST_B, "blog2"), 0);
	must_find("c3", "a.b.my.shop", "10.83.0.2");
	/* a true subnet that is refused says nothing of the mapped one, and the other way round */
	refuse(w, 1000, "172.18.0.0/16", HOST_B, "shop");
	world_again(w);
	must_find("c3", "cache.shop", "241.2.0.9");
	must_find("c1", "cache.shop", "");
	assert_int_equal(records_of(w, HOST_B, "shop"), 4);
	refuse(w, 1000, "241.2.0.0/16", HOST_B, "shop");
	world_again(w);
	must_find("c3", "cache.shop", "");
	assert_int_equal(records_of(w, HOST_B, "shop"), 0);
	/* our own: refused to others, not to itself */
	refuse(w, 1000, "10.71.0.0/24", HOST_A, "Shop");
	world_again(w);
	must_find("c1", "db.shop", "10.71.0.3");
	must_find("c3", "db.shop", "");
	must_find(NULL, "db.shop", "10.71.0.3");
	assert_int_not_equal(records_of(w, HOST_A, "Shop"), 0);
}

static void test_not_believed(void **state)
{
	struct world *w = *state;

	/* an address outside the stack; a peer that is gone */
	must_find("c3", "evil.shop", "-");
	must_find("c3", "evil.shop.docker-router.internal", "!");
	must_find("c3", "web.shop@gone", "-");
	/* top-level domains are nobody's stack, but for the domain's own tree */
	must_find("c3", "google.com", "-");
	must_find("c3", "com", "-");
	must_find("c3", "google.com.nas", "10.80.0.2");
	must_find("c3", "google.com.docker-router.internal", "10.80.0.2");
	must_find("c3", "google.com@nas", "10.80.0.2");
}

static void test_docker_first(void **state)
{
	struct world *w = *state;

	/* an alias of a container in c1's network is called like a stack */
	must_find("c1", "blog2", "-");
	must_find("c1", "blog2.docker-router.internal", "10.82.0.2");
	must_find("c3", "blog2", "10.82.0.2");
	must_find(NULL, "blog2", "10.82.0.2");
	/* on a network of no stack may be a container called so */
	assert_string_equal(w->inventory.stacks[1].containers[0].id, "c3");
	w->inventory.stacks[1].containers[0].elsewhere = true;
	world_again(w);
	must_find("c3", "blog2", "-");
	must_find("c3", "blog2@nas", "10.82.0.2");
	must_find("c3", "x.blog2", "10.82.0.2");
	must_find("c3", "blog2.docker-router.internal", "10.82.0.2");
}

static void test_reverse(void **state)
{
	struct world *w = *state;
	struct ip ip;
	char small[8];

	assert_string_equal(find_ip(w, "c3", "10.71.0.2"), "shop_web_1.shop.docker-router.internal");
	assert_string_equal(find_ip(w, "c3", "fd71::2"), "shop_web_1.shop.docker-router.internal");
	assert_string_equal(find_ip(w, "c3", "241.2.0.9"), "cache.shop.docker-router.internal");
	/* its own network is Docker's to tell of; elsewhere it is whose address that is to the viewer */
	assert_string_equal(find_ip(w, "c3", "172.18.0.2"), "-");
	assert_string_equal(find_ip(w, "c1", "172.18.0.9"), "cache.shop.docker-router.internal");
	assert_string_equal(find_ip(w, NULL, "172.18.0.2"), "wp.blog.docker-router.internal");
	assert_string_equal(find_ip(w, NULL, "241.2.0.2"), "shop_web_1.shop.docker-router.internal");
	assert_string_equal(find_ip(w, "c4", "10.71.0.2"), "-");
	assert_string_equal(find_ip(w, "c3", "192.0.2.1"), "-");
	assert_int_equal(ip_parse("10.71.0.2", &ip), 0);
	assert_int_equal(table_find_ip(w->table, table_host(w->table), &ip, small, sizeof(small)), FIND_NONE);
}

static void test_records(void **state)
{
	struct world *w = *state;
	struct records r = {0};
	size_t mapped = 0;

	table_records(w->table, &r);
	for (size_t i = 0; i < r.n_records; i++) {
		const struct record *e = &r.records[i];

		assert_true(e->n_addresses > 0);
		assert_true(!str_eq(e->name, "evil") && !str_eq(e->host_id, HOST_D));
		if (i)
			assert_true(r.records[i - 1].vni <= e->vni);
		if (e->n_mapped) {
			mapped++;
			assert_int_equal(e->n_mapped, e->n_addresses);
			assert_true(e->mapped[0].b[0] == 241);
		}
	}
	/* shop of nas: itself, cache, web, its container; blog: itself, wp */
	assert_int_equal(mapped, 6);
	assert_int_equal(r.problems.n, 1);
	assert_string_equal(r.problems.v[0].object, "stack com");
	assert_string_equal(r.problems.v[0].text, "on nas.lan, is called like a top-level domain: its names are "
						  "answered only below docker-router.internal");
	assert_string_equal(r.problems.v[0].cure, "Ask google.com.docker-router.internal, or call it otherwise: "
						  "docker-router.stack on its network on nas.lan.");
	records_done(&r);
}

static void test_public(void **state)
{
	static const char *const yes[] = {"com",      "google.com", "a.b.de",	 "x.localhost", "localhost", "foo.arpa",
					  "xn--p1ai", "web.dev",    "nas.local", "aero",	"xyz",	     "zz"};
	static const char *const no[] = {"shop", "web.shop", "blog",	"com.shop",  "s1.x1",
					 "",	 "comx",     "1.2.3.4", "monitoring"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (!name_is_public(yes[i]))
			fail_msg("%s", yes[i]);
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (name_is_public(no[i]))
			fail_msg("%s", no[i]);
}

static void test_empty(void **state)
{
	struct inventory inventory = {0};
	struct names names = {0};
	struct discovery discovery = {0};
	struct router_state router = {0};
	struct world w = {.table = table_new(&inventory, &names, &discovery, &router, "d")};
	struct records r = {0};

	assert_string_equal(find(&w, NULL, "web.shop", 0), "-");
	assert_string_equal(find(&w, NULL, "web.d", 0), "!");
	assert_string_equal(find_ip(&w, NULL, "10.0.0.1"), "-");
	assert_null(table_viewer(w.table, "x"));
	table_records(w.table, &r);
	assert_int_equal(r.n_records, 0);
	table_free(w.table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_forms, setup, teardown),
		cmocka_unit_test_setup_teardown(test_several_hosts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_health, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_vni, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mapped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_subnet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_docker_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reverse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_records, setup, teardown),
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_empty),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
