/* SPDX-License-Identifier: Apache-2.0
 *
 * Labels, which names follow from an inventory, and names.json.
 */
#include "state/names.h"

#include "base/clock.h"
#include "tempdir.h"

#define HOST "0123456789abcdef0123456789abcdef"

static struct inventory inventory_of(const char *containers)
{
	autofree char *text =
		xasprintf("{\"version\":1,\"stacks\":[{\"stack_id\":\"shop\",\"vni\":1000,\"networks\":[],"
			  "\"containers\":[%s]}]}",
			  containers);
	struct inventory inv = {0};
	struct err e = {0};
	json_t *o = json_parse_bounded(text, strlen(text), &e);

	if (!o || inventory_from_json(o, &inv, &e) < 0)
		fail_msg("%s", e.text);
	json_decref(o);
	assert_int_equal(inv.n_stacks, 1);
	return inv;
}

/* "web service 10.0.0.2; shop-web-1 container 10.0.0.2" */
static char *names_text(const struct name_stack *s)
{
	struct buf b = {0};
	char ip[IP_STRLEN];

	buf_puts(&b, "");
	for (size_t i = 0; i < s->n_names; i++) {
		buf_printf(&b, "%s%s %s", i ? "; " : "", s->names[i].name, name_kind_names[s->names[i].kind]);
		for (size_t k = 0; k < s->names[i].n_addresses; k++)
			buf_printf(&b, " %s", ip_format(&s->names[i].addresses[k], ip));
	}
	return b.data;
}

static void check(const char *containers, const char *expected)
{
	struct inventory inv = inventory_of(containers);
	struct name_stack s = {0};

	names_of_stack(&inv.stacks[0], &s);
	assert_string_equal(s.stack_id, "shop");
	assert_int_equal(s.vni, 1000);
	autofree char *text = names_text(&s);
	assert_string_equal(text, expected);
	/* what was made before is freed */
	names_of_stack(&inv.stacks[0], &s);
	name_stack_done(&s);
	inventory_done(&inv);
}

static void test_labels(void **state)
{
	static const char *const good[] = {"a",
					   "0",
					   "_x",
					   "-x",
					   "a-b_c.d",
					   "xn--bcher-kva",
					   "012345678901234567890123456789012345678901234567890123456789012"};
	static const char *const bad[] = {"",	   ".",
					  "a.",	   ".a",
					  "a..b",  "A",
					  "a b",   "b\xc3\xbc",
					  "a/b",   "a\nb",
					  "a\x7f", "a@host1",
					  "*",	   "0123456789012345678901234567890123456789012345678901234567890123"};
	char lower[LABEL_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(label_valid(good[i]));
		assert_true(label_lower(good[i], lower));
		assert_string_equal(lower, good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(label_valid(bad[i]));
	assert_true(label_lower("Web.EU", lower));
	assert_string_equal(lower, "web.eu");
	assert_false(label_lower("Web.", lower));
	assert_false(label_lower(bad[ARRAY_LEN(bad) - 1], lower));
	assert_false(label_lower("", lower));
}

#define CONTAINER(id, name, service, more, interfaces)                                                                 \
	"{\"id\":\"" id "\",\"name\":\"" name "\",\"service\":\"" service "\"" more ",\"interfaces\":[" interfaces "]" \
	"}"
#define INTERFACE(net, addresses, aliases) \
	"{\"network\":\"" net "\",\"addresses\":[" addresses "],\"aliases\":[" aliases "]}"

static void test_of_stack(void **state)
{
	check("", "");
	check(CONTAINER("c1", "shop-web-1", "web", "", INTERFACE("n1", "\"10.0.0.2\",\"fd00::2\"", "")),
	      "shop-web-1 container 10.0.0.2 fd00::2; web service 10.0.0.2 fd00::2");
	/* replicas; names with other letters; an alias of one network leads to that network's address only */
	check(CONTAINER("c1", "Shop_Web_1", "Web", "", INTERFACE("n1", "\"10.0.0.3\"", "\"www\"")) "," CONTAINER(
		      "c2", "shop_web_2", "Web", "",
		      INTERFACE("n1", "\"10.0.0.2\"", "\"www\"") "," INTERFACE("n2", "\"10.1.0.2\"", "")),
	      "shop_web_1 container 10.0.0.3; shop_web_2 container 10.0.0.2 10.1.0.2; "
	      "web service 10.0.0.2 10.0.0.3 10.1.0.2; www alias 10.0.0.2 10.0.0.3");
	/* nobody is called "": without Compose there is no service; no address, no name */
	check(CONTAINER("c1", "solo", "", "", INTERFACE("n1", "\"10.0.0.2\"", "")) "," CONTAINER(
		      "c2", "mute", "mute", "", INTERFACE("n1", "", "\"x\"")),
	      "solo container 10.0.0.2");
}

static void test_of_kinds(void **state)
{
	/* db is a service, somebody's container name, and an alias of a third: the service alone counts */
	check(CONTAINER("c1", "one", "db", "", INTERFACE("n1", "\"10.0.0.2\"", "")) "," CONTAINER(
		      "c2", "db", "x", "",
		      INTERFACE("n1", "\"10.0.0.3\"", "")) "," CONTAINER("c3", "two", "x", "",
									 INTERFACE("n1", "\"10.0.0.4\"",
										   "\"db\",\"one\"")),
	      "db service 10.0.0.2; one container 10.0.0.2; two container 10.0.0.4; x service 10.0.0.3 10.0.0.4");
}

static void test_of_health(void **state)
{
	check(CONTAINER("c1", "a", "web", ",\"health\":\"healthy\"", INTERFACE("n1", "\"10.0.0.2\"", "")) "," CONTAINER(
		      "c2", "b", "web", ",\"health\":\"starting\"",
		      INTERFACE("n1", "\"10.0.0.3\"",
				"")) "," CONTAINER("c3", "c", "web", ",\"health\":\"unhealthy\"",
						   INTERFACE("n1", "\"10.0.0.4\"",
							     "\"z\"")) "," CONTAINER("c4", "d", "web",
										     ",\"health\":\"none\"",
										     INTERFACE("n1", "\"10.0.0.5\"",
											       "")),
	      "a container 10.0.0.2; d container 10.0.0.5; web service 10.0.0.2 10.0.0.5");
}

static void test_of_bad_names(void **state)
{
	check(CONTAINER("c1", "a..b", "web.", "", INTERFACE("n1", "\"10.0.0.2\"", "\"ok\"")), "ok alias 10.0.0.2");
	check(CONTAINER("c1", "0123456789012345678901234567890123456789012345678901234567890123", "w", "",
			INTERFACE("n1", "\"10.0.0.2\"", "")),
	      "w service 10.0.0.2");
}

/* Of too many the services stay, and of one name's addresses the first */
static void test_of_limits(void **state)
{
	struct inv_stack s = {.stack_id = "big", .vni = 1};
	struct name_stack names = {0};

	s.n_containers = 4096;
	s.containers = xcalloc(s.n_containers, sizeof(*s.containers));
	for (size_t i = 0; i < s.n_containers; i++) {
		struct inv_container *c = &s.containers[i];

		str_print(c->name, "a-%zu", i);
		str_print(c->service, "z-%zu", i % 200);
		c->interfaces = xcalloc(1, sizeof(*c->interfaces));
		c->n_interfaces = c->interfaces[0].n_addresses = 1;
		c->interfaces[0].addresses[0] = (struct ip){AF_INET, {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};
	}
	for (size_t i = 0; i < s.n_containers; i++)
		str_copy(s.containers[i].service, i < 100 ? "one" : s.containers[i].service);
	names_of_stack(&s, &names);
	assert_int_equal(names.n_names, LIMIT_NAMES_PER_STACK);
	size_t services = 0;
	for (size_t i = 0; i < names.n_names; i++) {
		services += names.names[i].kind == NAME_SERVICE;
		assert_true(i == 0 || strcmp(names.names[i - 1].name, names.names[i].name) < 0);
		if (str_eq(names.names[i].name, "one"))
			assert_int_equal(names.names[i].n_addresses, LIMIT_NAME_ADDRESSES);
	}
	assert_int_equal(services, 201);
	name_stack_done(&names);
	for (size_t i = 0; i < s.n_containers; i++)
		free(s.containers[i].interfaces);
	free(s.containers);
}

static void test_same(void **state)
{
	struct inventory inv = inventory_of(CONTAINER("c1", "a", "web", "", INTERFACE("n1", "\"10.0.0.2\"", "")));
	struct name_stack a = {0}, b = {0};

	names_of_stack(&inv.stacks[0], &a);
	names_of_stack(&inv.stacks[0], &b);
	assert_true(name_stack_same(&a, &b));
	b.names[0].addresses[0].b[3] = 9;
	assert_false(name_stack_same(&a, &b));
	names_of_stack(&inv.stacks[0], &b);
	b.names[1].kind = NAME_ALIAS;
	assert_false(name_stack_same(&a, &b));
	names_of_stack(&inv.stacks[0], &b);
	str_copy(b.host_name, "x");
	assert_false(name_stack_same(&a, &b));
	name_stack_done(&a);
	name_stack_done(&b);
	inventory_done(&inv);
}

static const char example[] =
	"{\"version\":1,\"last_update\":\"2024-01-15T10:30:00Z\",\"stacks\":[{\"host_id\":\"" HOST "\",\"host_name\":"
	"\"nas\",\"stack_id\":\"shop\",\"vni\":1000,\"names\":[{\"name\":\"db\",\"kind\":\"container\",\"addresses\":["
	"\"172.18.0.3\"]},{\"name\":\"web\",\"kind\":\"service\",\"addresses\":[\"172.18.0.2\",\"fd00::2\"]}]}],"
	"\"problems\":[{\"object\":\"x\",\"text\":\"y\",\"cure\":\"\"}]}";

static int from_text(const char *text, struct names *ret, struct err *e)
{
	json_t *o = json_parse_bounded(text, strlen(text), e);

	assert_non_null(o);
	int r = names_from_json(o, ret, e);
	json_decref(o);
	return r;
}

static void test_golden(void **state)
{
	struct tempdir *t = *state;
	struct names n = {0}, again = {0};
	struct err e = {0};

	assert_int_equal(from_text(example, &n, &e), 0);
	autobuf struct buf b = {0}, c = {0};
	json_t *o = names_to_json(&n);
	json_print(&b, o, JSON_COMPACT);
	json_decref(o);
	assert_string_equal(b.data, example);
	/* the file is written another way */
	assert_int_equal(names_write(t->fd, &n, &e), 0);
	assert_int_equal(names_read(t->fd, NULL, &again, &e), 0);
	o = names_to_json(&again);
	json_print(&c, o, JSON_COMPACT);
	json_decref(o);
	assert_string_equal(c.data, example);
	names_done(&n);
	names_done(&again);
	assert_int_equal(names_write(t->fd, &n, &e), 0);
	assert_int_equal(names_read(t->fd, NULL, &again, &e), 0);
	assert_int_equal(again.n_stacks, 0);
	names_done(&again);
	struct stat st;
	assert_int_equal(fstatat(t->fd, STATE_NAMES, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void test_broken(void **state)
{
	struct tempdir *t = *state;
	struct names n = {0};
	struct err e = {0};

	assert_int_equal(names_read(t->fd, NULL, &n, &e), -ENOENT);
	assert_int_equal(from_text("[]", &n, &e), -EINVAL);
	assert_int_equal(from_text("{\"version\":2}", &n, &e), -EINVAL);
	assert_int_equal(from_text("{\"version\":1,\"stacks\":{}}", &n, &e), -EINVAL);
	assert_non_null(strstr(e.text, "names.json: stacks"));
#define STACK(names) "{\"host_id\":\"" HOST "\",\"stack_id\":\"shop\",\"vni\":1000,\"names\":" names "}"
	static const struct {
		const char *stacks;
		size_t n_stacks, n_names, n_problems;
	} cases[] = {
		{"5", 0, 0, 1},
		{"{}", 0, 0, 1},
		{"{\"host_id\":\"x\",\"stack_id\":\"shop\",\"vni\":1000,\"names\":[]}", 0, 0, 1},
		{"{\"host_id\":\"" HOST "\",\"stack_id\":\"a b\",\"vni\":1000,\"names\":[]}", 0, 0, 1},
		{"{\"host_id\":\"" HOST "\",\"stack_id\":\"a\",\"vni\":0,\"names\":[]}", 0, 0, 1},
		{STACK("[]") "," STACK("[]"), 1, 0, 1},
		{STACK("7"), 1, 0, 1},
		{STACK("[7,{},{\"name\":\"A\",\"kind\":\"service\",\"addresses\":[\"10.0.0.1\"]},"
		       "{\"name\":\"a\",\"kind\":\"what\",\"addresses\":[\"10.0.0.1\"]},"
		       "{\"name\":\"a\",\"kind\":\"alias\",\"addresses\":[]},"
		       "{\"name\":\"a\",\"kind\":\"alias\",\"addresses\":[7]},"
		       "{\"name\":\"a\",\"kind\":\"alias\",\"addresses\":[\"10.0.0.1\",\"10.0.0.1\"]}]"),
		 1, 1, 6},
		/* twice: the service counts */
		{STACK("[{\"name\":\"a\",\"kind\":\"alias\",\"addresses\":[\"10.0.0.1\"]},"
		       "{\"name\":\"a\",\"kind\":\"service\",\"addresses\":[\"10.0.0.2\"]}]"),
		 1, 1, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *text = xasprintf("{\"version\":1,\"stacks\":[%s]}", cases[i].stacks);

		assert_int_equal(from_text(text, &n, &e), 0);
		assert_int_equal(n.n_stacks, cases[i].n_stacks);
		assert_int_equal(n.n_stacks ? n.stacks[0].n_names : 0, cases[i].n_names);
		assert_int_equal(n.problems.n, cases[i].n_problems);
		if (cases[i].n_names) {
			assert_int_equal(n.stacks[0].names[0].n_addresses, 1);
			assert_int_equal(n.stacks[0].names[0].kind, i == 8 ? NAME_SERVICE : NAME_ALIAS);
		}
		names_done(&n);
	}
}

/* 10,000 names are written in milliseconds */
static void test_large(void **state)
{
	struct tempdir *t = *state;
	struct names n = {0}, again = {0};
	struct err e = {0};

	for (unsigned i = 0; i < 5; i++) {
		struct name_stack *s = xgrow(&n.stacks, n.n_stacks, &n.cap_stacks);

		n.n_stacks++;
		str_print(s->host_id, "%032x", i);
		str_copy(s->stack_id, "shop");
		s->vni = 1000;
		for (unsigned k = 0; k < 2000; k++) {
			struct name *name = xgrow(&s->names, s->n_names, &s->cap_names);
			struct ip ip = {AF_INET, {10, (uint8_t)i, (uint8_t)(k >> 8), (uint8_t)k}};

			s->n_names++;
			str_print(name->name, "shop-service-with-a-name-%04u", k);
			name->kind = NAME_CONTAINER;
			name->addresses = xmemdup(&ip, sizeof(ip));
			name->n_addresses = 1;
		}
	}
	int64_t begin_us = mono_now().us;
	assert_int_equal(names_write(t->fd, &n, &e), 0);
	int64_t wrote_us = mono_now().us;
	assert_int_equal(names_read(t->fd, NULL, &again, &e), 0);
	printf("# 10,000 names: written in %lld us, read in %lld us\n", (long long)(wrote_us - begin_us),
	       (long long)(mono_now().us - wrote_us));
	assert_int_equal(again.n_stacks, 5);
	assert_int_equal(again.problems.n, 0);
	for (size_t i = 0; i < 5; i++)
		assert_true(name_stack_same(&n.stacks[i], &again.stacks[i]));
	names_done(&n);
	names_done(&again);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tempdir_make, tempdir_remove)
	const struct CMUnitTest tests[] = {T(test_labels),	 T(test_of_stack),  T(test_of_kinds), T(test_of_health),
					   T(test_of_bad_names), T(test_of_limits), T(test_same),     T(test_golden),
					   T(test_broken),	 T(test_large)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
