/* SPDX-License-Identifier: Apache-2.0
 *
 * What one host puts, another one reads: peers and names, sealed and not, while keys change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "discovery/etcd_state.h"

#define HOST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HOST_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define PREFIX "/docker-router/discovery"

struct host {
	struct etcd *etcd;
	const char *id;
	size_t n_puts, n_names;
	uint64_t seq, names_seq;
	char key[WG_KEY_TEXT];
	bool dropped, names_dropped;
};

static void on_put(void *arg, const struct peer *peer)
{
	struct host *h = arg;

	h->n_puts++;
	h->seq = peer->seq;
	str_copy(h->key, peer->wireguard.key);
	assert_string_equal(peer->stack_id, "shop");
}

static void on_drop(void *arg, const struct peer *key)
{
	((struct host *)arg)->dropped = true;
}

static void on_names(void *arg, const struct peer *key, uint64_t seq, struct name_stack *names)
{
	struct host *h = arg;

	h->n_names = names->n_names;
	h->names_seq = seq;
	assert_string_equal(names->stack_id, "shop");
}

static void on_names_drop(void *arg, const struct peer *key)
{
	((struct host *)arg)->names_dropped = true;
}

static void on_nothing(void *arg)
{
}

static void on_end(void *arg, int64_t grace_us)
{
}

static void on_say(void *arg, enum log_level level, const char *text, const char *why)
{
}

static void keys(struct host *h, const char *letters)
{
	autobuf struct buf text = {0};
	struct value_keys k = {.n = 0};
	struct keyring r;
	struct err err = {0};

	for (const char *c = letters; *c; c++) {
		for (int i = 0; i < KEY_BYTES; i++)
			buf_printf(&text, "%02x", *c);
		buf_puts(&text, "\n");
	}
	if (*letters) {
		assert_int_equal(keyring_parse(text.data, text.len, &r, &err), 0);
		value_keys_derive(&k, VALUE_ETCD, &r);
	}
	etcd_keys(h->etcd, &k);
}

static void host_self(struct host *h, uint64_t seq, size_t n_names)
{
	struct peer p = {.vni = 1000, .seq = seq};
	struct name_stack n = {.vni = 1000, .n_names = n_names};
	struct ip ip;

	str_copy(p.stack_id, "shop");
	str_copy(p.host_id, h->id);
	assert_int_equal(ip_parse("192.0.2.2", &p.host_ip), 0);
	p.vxlan_endpoint = (struct endpoint){.ip = p.host_ip, .port = 4789};
	p.wireguard = (struct wg_say){.key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=", .port = 51820};
	str_copy(n.stack_id, "shop");
	assert_int_equal(ip_parse("10.0.0.2", &ip), 0);
	n.names = xcalloc(n_names + 1, sizeof(*n.names));
	for (size_t i = 0; i < n_names; i++) {
		str_print(n.names[i].name, "a-name-of-some-length-that-is-number-%zu", i);
		n.names[i].addresses = &ip;
		n.names[i].n_addresses = 1;
	}
	etcd_self_begin(h->etcd);
	etcd_self(h->etcd, &p);
	if (n_names)
		etcd_self_names(h->etcd, &n, seq);
	etcd_self_end(h->etcd);
	free(n.names);
}

static void host_start(struct host *h, const char *id, const char *letters)
{
	struct etcd_config c = {.n_endpoints = 1, .ttl_s = 30};
	struct etcd_events e = {on_put, on_drop, on_names, on_names_drop, on_nothing, on_end, on_nothing, on_say, h};

	*h = (struct host){.id = id};
	str_copy(c.prefix, PREFIX);
	str_copy(c.host_id, id);
	h->etcd = etcd_new(&c, &e);
	keys(h, letters);
}

static void tell(struct host *to, const char *key, const char *value, size_t len, bool deleted)
{
	struct etcd_kv kv = {.key = key, .value = value, .value_len = len, .revision = 5, .deleted = deleted};

	value_told(to->etcd, &kv);
}

/* What @from has to put is put, and @to hears of it. Return: how long it was */
static size_t put_all(struct host *from, struct host *to)
{
	size_t len = 0;

	for (size_t i = 0; i < from->etcd->n_records; i++) {
		struct record *r = &from->etcd->records[i];
		autobuf struct buf b = {0};

		if (r->put)
			continue;
		value_put(from->etcd, r, &b);
		assert_true(b.len <= ETCD_VALUE_BYTES);
		r->put = true;
		tell(to, r->key + strlen(PREFIX) + 1, b.data, b.len, false);
		len += b.len;
	}
	return len;
}

static void problem_is(const struct host *h, const char *words)
{
	struct problems p = {0};

	etcd_problems(h->etcd, &p);
	if (words)
		assert_non_null(strstr(p.v[0].text, words));
	else
		assert_int_equal(p.n, 0);
	problems_done(&p);
}

static void test_names(void **state)
{
	struct host a, b;
	struct peer key;
	bool names;

	host_start(&a, HOST_A, "");
	host_start(&b, HOST_B, "");
	host_self(&a, 7, 3);
	put_all(&a, &b);
	assert_int_equal(b.seq, 7);
	assert_int_equal(b.n_names, 3);
	assert_int_equal(b.names_seq, 7);
	assert_string_equal(b.key, ""); /* of WireGuard: only what is sealed may bring one */
	assert_int_equal(etcd_key_parse("shop/" HOST_A "/1000/names", &key, &names), 0);
	tell(&b, "shop/" HOST_A "/1000/names", "", 0, true);
	assert_true(b.names_dropped);
	assert_false(b.dropped);
	/* of another stack, or broken: nothing */
	b.n_names = 0;
	tell(&b, "blog/" HOST_A "/1000/names",
	     "{\"host_id\":\"" HOST_A "\",\"stack_id\":\"shop\",\"vni\":1000,\"seq\":1}",
	     strlen("{\"host_id\":\"" HOST_A "\",\"stack_id\":\"shop\",\"vni\":1000,\"seq\":1}"), false);
	tell(&b, "shop/" HOST_A "/1000/names", "[]", 2, false);
	assert_int_equal(b.names_seq, 7);
	/* they go with the containers */
	host_self(&a, 8, 0);
	assert_true(record_find(a.etcd, "shop/" HOST_A "/1000/names")->gone);
	etcd_free(a.etcd);
	etcd_free(b.etcd);
}

static void test_many_names(void **state)
{
	struct host a, b;

	host_start(&a, HOST_A, "k");
	host_start(&b, HOST_B, "k");
	host_self(&a, 7, 4096);
	put_all(&a, &b);
	assert_in_range(b.n_names, 3000, 4095);
	problem_is(&a, "names are left out");
	host_self(&a, 8, 2000);
	put_all(&a, &b);
	assert_int_equal(b.n_names, 2000);
	problem_is(&a, NULL);
	etcd_free(a.etcd);
	etcd_free(b.etcd);
}

static void test_sealed(void **state)
{
	struct host a, b;
	autobuf struct buf v = {0};

	host_start(&a, HOST_A, "k");
	host_start(&b, HOST_B, "k");
	host_self(&a, 7, 1);
	put_all(&a, &b);
	assert_int_equal(b.seq, 7);
	assert_int_equal(b.n_names, 1);
	assert_int_equal(strlen(b.key), 44);
	value_put(a.etcd, &a.etcd->records[0], &v);
	assert_null(strstr(v.data, "shop"));
	problem_is(&b, NULL);
	/* the same elsewhere */
	b.n_puts = 0;
	tell(&b, "shop/" HOST_A "/1001", v.data, v.len, false);
	assert_int_equal(b.n_puts, 0);
	problem_is(&b, "does not fit");
	tell(&b, "shop/" HOST_A "/1000", v.data, v.len, false);
	assert_int_equal(b.n_puts, 1);
	problem_is(&b, NULL);
	etcd_free(a.etcd);
	etcd_free(b.etcd);
}

static void test_not_sealed(void **state)
{
	struct host a, b;

	host_start(&a, HOST_A, "");
	host_start(&b, HOST_B, "k");
	host_self(&a, 7, 1);
	host_self(&b, 8, 1);
	put_all(&a, &b);
	assert_int_equal(b.n_puts, 0);
	problem_is(&b, "without a seal");
	put_all(&b, &a);
	assert_int_equal(a.n_puts, 0);
	problem_is(&a, "here is no CLUSTER_KEY_FILE");
	/* what goes is no problem any more */
	tell(&b, "shop/" HOST_A "/1000", "", 0, true);
	problem_is(&b, NULL);
	assert_true(b.dropped);
	etcd_free(a.etcd);
	etcd_free(b.etcd);
}

/* add on both, use on one, use on the other, remove; at no time is there a value that is not opened */
static void test_rotation(void **state)
{
	struct host a, b;

	host_start(&a, HOST_A, "k");
	host_start(&b, HOST_B, "k");
	host_self(&a, 1, 1);
	host_self(&b, 1, 1);
	put_all(&a, &b);
	put_all(&b, &a);
	static const char *const steps[][2] = {{"kl", "k"},  {"kl", "kl"}, {"lk", "kl"},
					       {"lk", "lk"}, {"l", "lk"},  {"l", "l"}};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		keys(&a, steps[i][0]);
		keys(&b, steps[i][1]);
		a.n_puts = b.n_puts = 0;
		for (int k = 0; k < 3; k++) {
			put_all(&a, &b);
			put_all(&b, &a);
		}
		assert_true(i == 1 || i == 3 ? b.n_puts + a.n_puts > 0 : true);
		problem_is(&a, NULL);
		problem_is(&b, NULL);
		assert_true(a.etcd->records[0].put && b.etcd->records[0].put);
	}
	etcd_free(a.etcd);
	etcd_free(b.etcd);
}

/* One that was away during the rotation comes back with the old key only, and hears and is heard */
static void test_rotation_with_one_away(void **state)
{
	struct host a, b;
	size_t alone;

	host_start(&a, HOST_A, "lk");
	host_start(&b, HOST_B, "k");
	host_self(&a, 1, 1);
	host_self(&b, 2, 1);
	alone = put_all(&a, &b);
	assert_int_equal(b.n_puts, 0);
	problem_is(&b, "another key than ours");
	put_all(&b, &a);
	assert_int_equal(a.n_puts, 1);
	assert_true(put_all(&a, &b) > alone * 2 - 2);
	assert_int_equal(b.n_puts, 1);
	assert_int_equal(b.n_names, 1);
	problem_is(&b, NULL);
	/* it has caught up: with the next listing the copies end */
	keys(&b, "lk");
	values_listing(a.etcd);
	put_all(&b, &a);
	values_listed(a.etcd);
	assert_int_equal(put_all(&a, &b), alone);
	/* a copy alone keeps no old key alive */
	assert_int_equal(a.etcd->used, 0);
	assert_int_equal(b.etcd->used, 0);
	etcd_free(a.etcd);
	etcd_free(b.etcd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	 cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_sealed),	 cmocka_unit_test(test_not_sealed),
		cmocka_unit_test(test_rotation), cmocka_unit_test(test_rotation_with_one_away),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
