/* SPDX-License-Identifier: Apache-2.0
 *
 * The map of 1 to 1,000 hosts: who is on it, that the boxes and rails are straight, and that it does not depend on the
 * order of anything.
 */
#include "test.h"

#include <locale.h>

#include "cli/map.h"

static const struct style wide = {.utf8 = true}, plain = {.utf8 = false};

static void files_make(struct state_files *f, size_t n_hosts, size_t n_vnis)
{
	*f = (struct state_files){.code = {[FILE_INVENTORY] = -ENOENT, [FILE_ROUTER] = -ENOENT, [FILE_HOST] = -ENOENT}};
	struct discovery *d = &f->discovery;
	char text[64];

	str_copy(d->self.host_id, "ffffffffffffffffffffffffffffffff");
	str_copy(d->self.host_name, "self");
	assert_int_equal(ip_parse("192.0.2.1", &d->self.host_ip), 0);
	for (size_t v = 0; v < n_vnis; v++) {
		struct self_stack *s = xgrow(&d->self.stacks, d->self.n_stacks, &d->self.cap_stacks);
		d->self.n_stacks++;
		str_print(s->stack_id, "own%zu", v);
		s->vni = (uint32_t)(1000 * (v + 1));
		s->n_subnets = 1;
		assert_int_equal(prefix_parse("10.0.0.0/24", &s->subnets[0]), 0);
	}
	for (size_t h = 1; h < n_hosts; h++) {
		for (size_t v = 0; v < n_vnis; v++) {
			struct peer *p = xgrow(&d->peers, d->n_peers, &d->cap_peers);
			d->n_peers++;
			str_print(p->host_id, "%032zx", h);
			str_print(p->host_name, "h%zu", h);
			str_print(p->stack_id, "s%zu", v);
			str_print(text, "198.51.%zu.%zu", h / 250, h % 250 + 1);
			assert_int_equal(ip_parse(text, &p->host_ip), 0);
			p->vni = (uint32_t)(1000 * (v + 1));
			p->status = (h + v) % 3 == 2 ? PEER_STALE : PEER_ACTIVE;
			p->subnets = xcalloc(1, sizeof(*p->subnets));
			p->n_subnets = 1;
			str_print(text, "10.%zu.%zu.0/24", h / 250, h % 250);
			assert_int_equal(prefix_parse(text, &p->subnets[0]), 0);
		}
	}
}

static char *drawing(const struct state_files *f, const struct style *style)
{
	struct buf b = {0};
	struct map m;

	map_build(f, &m);
	map_draw(&b, &m, style);
	map_done(&m);
	return b.data;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

/* Column by column, what stands there must fit what stands above: checked with the ASCII form, a byte a column */
static void expect_straight(const char *text, size_t n_hosts, size_t n_vnis)
{
	size_t box = strcspn(strstr(text, "\n+-") + 1, "\n"), wall = 0, lines = 0;
	char first[256];

	snprintf(first, sizeof(first), "%.*s", (int)box, strstr(text, "\n+-") + 1);
	wall = (size_t)(strrchr(first, '-') + 1 - first);
	assert_int_equal(first[wall], '+');
	bool rail[256] = {false};
	for (const char *line = strchr(text, '\n') + 1; *line != '\n'; line = strchr(line, '\n') + 1) {
		size_t len = strcspn(line, "\n");
		assert_true(len == 0 || line[len - 1] != ' ');
		if (line[0] == '|' || line[0] == '+')
			assert_true(line[wall] == '|' || line[wall] == '+');
		for (size_t i = wall + 1; i < len; i++)
			rail[i] = rail[i] || strchr("|*ox", line[i]);
		lines++;
	}
	size_t rails = 0;
	for (size_t i = 0; i < ARRAY_LEN(rail); i++)
		rails += rail[i];
	assert_int_equal(rails, n_vnis); /* each VNI in a column of its own, from the top to its last dot */
	/* two edges, its stacks, and a gap between boxes */
	assert_int_equal(lines, n_hosts * (2 + n_vnis) + n_hosts - 1);
}

static void test_sizes(void **state)
{
	static const size_t hosts[] = {1, 2, 3, 10, 12};

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct state_files f;
		files_make(&f, hosts[i], 3);
		autofree char *text = drawing(&f, &plain), *unicode = drawing(&f, &wide);

		expect_straight(text, hosts[i], 3);
		assert_non_null(strstr(text, "VNI 1000"));
		assert_int_equal(count(text, "this host"), 1);
		assert_int_equal(count(unicode, "╭"), hosts[i]);
		/* a dot for each stack, whatever its state; the legend has one more */
		assert_int_equal(count(unicode, "●") + count(unicode, "○"), 3 * hosts[i] + (hosts[i] > 1));
		state_files_done(&f);
	}
}

static void test_local_first_then_as_people_count(void **state)
{
	struct state_files f;

	files_make(&f, 12, 1);
	autofree char *text = drawing(&f, &plain);
	const char *self = strstr(text, "self"), *h2 = strstr(text, "h2,"), *h10 = strstr(text, "h10,");
	assert_true(self && h2 && h10 && self < h2 && h2 < h10);
	state_files_done(&f);
}

static void test_order_of_peers_does_not_matter(void **state)
{
	struct state_files f;

	files_make(&f, 11, 2);
	autofree char *before = drawing(&f, &wide);
	for (size_t i = 0; i < f.discovery.n_peers; i++) {
		size_t j = (i * 7 + 3) % f.discovery.n_peers;
		struct peer swap = f.discovery.peers[i];
		f.discovery.peers[i] = f.discovery.peers[j];
		f.discovery.peers[j] = swap;
	}
	autofree char *after = drawing(&f, &wide);
	assert_string_equal(before, after);
	state_files_done(&f);
}

static void test_many_hosts_are_listed(void **state)
{
	struct state_files f;

	files_make(&f, 1000, 2);
	autofree char *text = drawing(&f, &wide);
	assert_null(strstr(text, "╭"));
	assert_non_null(strstr(text, "VNI 1000: 1000 hosts, 1000 stacks\n*  self"));
	assert_non_null(strstr(text, "\n   h999 "));
	assert_non_null(strstr(text, "1000 hosts, 2000 stacks, 2 VNIs; * is this host\n"));
	/* two heads, two gaps, the totals */
	assert_int_equal(count(text, "\n"), 2000 + 5);
	state_files_done(&f);
}

static void test_narrow_terminal_lists(void **state)
{
	struct state_files f;
	struct style narrow = {.utf8 = true, .width = 40}, enough = {.utf8 = true, .width = 120};

	files_make(&f, 3, 3);
	autofree char *small = drawing(&f, &narrow), *big = drawing(&f, &enough);
	assert_null(strstr(small, "╭"));
	assert_non_null(strstr(big, "╭"));
	state_files_done(&f);
}

static void test_refused_is_marked(void **state)
{
	struct state_files f;

	files_make(&f, 3, 1);
	f.code[FILE_ROUTER] = 0;
	struct rs_refused *r = xgrow(&f.router.refused, f.router.n_refused, &f.router.cap_refused);
	f.router.n_refused++;
	r->vni = 1000;
	str_copy(r->host_id, f.discovery.peers[0].host_id);
	str_copy(r->stack_id, f.discovery.peers[0].stack_id);
	r->with = xstrdup("");
	r->cure = xstrdup("");
	autofree char *text = drawing(&f, &wide);
	assert_int_equal(count(text, "✗"), 2); /* it and the legend */
	assert_int_equal(count(text, "refused"), 2);

	/* another host's stack of the same name is not meant */
	str_copy(r->host_id, "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
	autofree char *without = drawing(&f, &wide);
	assert_int_equal(count(without, "✗"), 0);
	state_files_done(&f);
}

static void test_json(void **state)
{
	struct state_files f;
	struct map m;
	json_t *hosts, *vnis;

	files_make(&f, 4, 2);
	map_build(&f, &m);
	map_json(&m, &hosts, &vnis);
	assert_int_equal(json_array_size(hosts), 4);
	assert_true(json_is_true(json_object_get(json_array_get(hosts, 0), "local")));
	assert_int_equal(json_array_size(vnis), 2);
	json_t *vni = json_array_get(vnis, 1);
	assert_int_equal(json_integer_value(json_object_get(vni, "vni")), 2000);
	assert_int_equal(json_array_size(json_object_get(vni, "stacks")), 4);
	json_decref(hosts);
	json_decref(vnis);
	map_done(&m);
	state_files_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_local_first_then_as_people_count),
		cmocka_unit_test(test_order_of_peers_does_not_matter),
		cmocka_unit_test(test_many_hosts_are_listed),
		cmocka_unit_test(test_narrow_terminal_lists),
		cmocka_unit_test(test_refused_is_marked),
		cmocka_unit_test(test_json),
	};

	setenv("LC_ALL", "C.UTF-8", 1);
	setlocale(LC_CTYPE, "");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
