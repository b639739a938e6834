/* SPDX-License-Identifier: Apache-2.0
 *
 * NAMES datagrams: what is written is read again, in parts that fit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "discovery/wire_names.h"

static struct wire_names head(void)
{
	struct wire_names m = {.stack_id = "shop",
			       .host_id = "0123456789abcdef0123456789abcdef",
			       .host_name = "nas",
			       .vni = 1000,
			       .seq = 17,
			       .timestamp = 1700000000};

	assert_int_equal(ip_parse("192.0.2.1", &m.host_ip), 0);
	return m;
}

static void name_add(struct wire_names *m, const char *name, enum name_kind kind, const char *addresses)
{
	struct name *n = xgrow(&m->names, m->n_names, &m->cap_names);
	struct ip ips[LIMIT_NAME_ADDRESSES];
	char text[IP_STRLEN];

	m->n_names++;
	str_copy(n->name, name);
	n->kind = kind;
	for (const char *s = addresses; *s; s += strcspn(s, " "), s += *s == ' ') {
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(s, " "), s);
		assert_int_equal(ip_parse(text, &ips[n->n_addresses++]), 0);
	}
	n->addresses = xmemdup(ips, n->n_addresses * sizeof(*ips));
}

struct seen {
	size_t n_datagrams, n_pieces, n_addresses;
	struct buf first;
};

static void on_datagram(void *arg, const char *data, size_t len)
{
	struct seen *s = arg;
	struct wire_names m;
	struct err err = {0};

	assert_true(len <= WIRE_BYTES);
	assert_true(wire_names_is(data, len));
	if (wire_names_decode(data, len, &m, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(m.part, ++s->n_datagrams);
	assert_true(m.part <= m.parts);
	assert_string_equal(m.host_name, "nas");
	assert_int_equal(m.seq, 17);
	for (size_t i = 0; i < m.n_names; i++)
		s->n_addresses += m.names[i].n_addresses;
	s->n_pieces += m.n_names;
	if (!s->first.data)
		buf_append(&s->first, data, len);
	wire_names_done(&m);
}

static struct seen encode(struct wire_names *m, size_t expected)
{
	struct seen s = {0};

	assert_int_equal(wire_names_encode(m, on_datagram, &s), expected);
	wire_names_done(m);
	return s;
}

static void test_form(void **state)
{
	struct wire_names m = head();
	struct seen s;

	name_add(&m, "web", NAME_SERVICE, "172.18.0.2 fd00::2");
	name_add(&m, "shop-web-1", NAME_CONTAINER, "172.18.0.2");
	s = encode(&m, 2);
	assert_int_equal(s.n_datagrams, 1);
	assert_string_equal(
		s.first.data,
		"{\"type\":\"NAMES\",\"version\":1,\"stack_id\":\"shop\",\"host_ip\":\"192.0.2.1\",\"vni\":1000,"
		"\"timestamp\":1700000000,\"host_id\":\"0123456789abcdef0123456789abcdef\",\"host_name\":\"nas\","
		"\"seq\":17,\"names\":[[\"web\",\"service\",[\"172.18.0.2\",\"fd00::2\"]],[\"shop-web-1\","
		"\"container\",[\"172.18.0.2\"]]]}");
	buf_done(&s.first);
	/* none are said, too */
	m = head();
	s = encode(&m, 0);
	assert_int_equal(s.n_datagrams, 1);
	assert_non_null(strstr(s.first.data, "\"names\":[]}"));
	buf_done(&s.first);
}

/* The longest of everything, and a name whose addresses do not fit into one datagram */
static void test_parts(void **state)
{
	struct wire_names m = head();
	struct seen s;
	autobuf struct buf addresses = {0};

	memset(m.stack_id, 's', sizeof(m.stack_id) - 1);
	str_copy(m.host_name, "nas");
	assert_int_equal(ip_parse("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", &m.host_ip), 0);
	m.vni = VNI_MAX;
	for (unsigned i = 0; i < LIMIT_NAME_ADDRESSES; i++)
		buf_printf(&addresses, "%s2001:db8:aaaa:bbbb:cccc:dddd:eeee:%x", i ? " " : "", 0x1000 + i);
	for (unsigned i = 0; i < 100; i++) {
		char name[LABEL_BYTES];

		snprintf(name, sizeof(name), "%063u", i);
		name_add(&m, name, NAME_CONTAINER, i % 10 ? "10.0.0.1" : addresses.data);
	}
	s = encode(&m, 100);
	assert_true(s.n_datagrams > 30);
	assert_true(s.n_pieces > 100);
	assert_int_equal(s.n_addresses, 90 + 10 * LIMIT_NAME_ADDRESSES);
	buf_done(&s.first);
}

static void test_too_many(void **state)
{
	struct wire_names m = head();
	struct seen s;

	for (unsigned i = 0; i < LIMIT_NAMES_PER_STACK + 10; i++) {
		char name[LABEL_BYTES];

		snprintf(name, sizeof(name), "%05u", i);
		name_add(&m, name, NAME_ALIAS, "10.0.0.1");
	}
	s = encode(&m, LIMIT_NAMES_PER_STACK);
	assert_int_equal(s.n_pieces, LIMIT_NAMES_PER_STACK);
	buf_done(&s.first);
}

/* A stack that is called NAMES is no set of names; fields in another order are */
static void test_is(void **state)
{
	static const char announce[] =
		"{\"type\":\"ANNOUNCE\",\"version\":1,\"stack_id\":\"NAMES\",\"host_ip\":\"192.0.2.1\"}";
	static const char other[] = "{\"version\":1, \"type\" : \"NAMES\"}";

	assert_false(wire_names_is(announce, strlen(announce)));
	assert_true(wire_names_is(other, strlen(other)));
	assert_false(wire_names_is("", 0));
	assert_false(wire_names_is("\"NAMES\"", 7));
	assert_false(wire_names_is("{\"type\":\"NAME", 13));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_form), cmocka_unit_test(test_parts),
					   cmocka_unit_test(test_too_many), cmocka_unit_test(test_is)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("wire_names", tests, NULL, NULL);
}
