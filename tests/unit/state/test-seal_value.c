/* SPDX-License-Identifier: Apache-2.0
 *
 * Values in a store, and an enemy who can write there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/seal_value.h"

#define PLACE "shop/00000000000000000000000000000001/1000"
#define TEXT  "{\"stack_id\":\"shop\"}"

static struct value_keys keys(const char *letters, enum value_purpose purpose)
{
	struct value_keys k = {.n = 0};
	autobuf struct buf text = {0};
	struct keyring r;
	struct err err = {0};

	for (; *letters; letters++) {
		for (int i = 0; i < KEY_BYTES; i++)
			buf_printf(&text, "%02x", *letters);
		buf_puts(&text, "\n");
	}
	if (!text.len)
		return k;
	assert_int_equal(keyring_parse(text.data, text.len, &r, &err), 0);
	value_keys_derive(&k, purpose, &r);
	keyring_done(&r);
	return k;
}

static enum seal_verdict open_with(const char *letters, const char *place, const struct buf *b, char *id)
{
	struct value_keys k = keys(letters, VALUE_ETCD);
	autobuf struct buf out = {0};
	char own_id[KEY_ID_LEN + 1];
	enum seal_verdict v = value_open(&k, place, b->data, b->len, &out, id ? id : own_id);

	if (v == SEAL_OPENED)
		assert_string_equal(out.data, TEXT);
	else
		assert_int_equal(out.len, 0);
	value_keys_done(&k);
	return v;
}

static struct buf sealed(const char *letters, enum value_purpose purpose)
{
	struct value_keys k = keys(letters, purpose);
	struct buf b = {0};

	value_seal(&k, PLACE, TEXT, strlen(TEXT), &b);
	assert_int_equal(b.len, value_sealed_len(&k, strlen(TEXT)));
	value_keys_done(&k);
	return b;
}

static void test_open(void **state)
{
	autobuf struct buf b = sealed("a", VALUE_ETCD), again = sealed("a", VALUE_ETCD);
	char id[KEY_ID_LEN + 1];

	assert_null(strstr(b.data, "shop"));
	assert_string_not_equal(b.data, again.data);
	assert_int_equal(open_with("a", PLACE, &b, id), SEAL_OPENED);
	assert_int_equal(strlen(id), KEY_ID_LEN);
}

static void test_place(void **state)
{
	autobuf struct buf b = sealed("a", VALUE_ETCD);

	assert_int_equal(open_with("a", "shop/00000000000000000000000000000001/1001", &b, NULL), SEAL_FORGED);
	assert_int_equal(open_with("a", "", &b, NULL), SEAL_FORGED);
}

static void test_purpose(void **state)
{
	autobuf struct buf b = sealed("a", VALUE_DNS);

	assert_int_equal(open_with("a", PLACE, &b, NULL), SEAL_FORGED);
}

static void test_ring(void **state)
{
	autobuf struct buf old = sealed("a", VALUE_ETCD), new = sealed("ba", VALUE_ETCD);
	char old_id[KEY_ID_LEN + 1], new_id[KEY_ID_LEN + 1];

	assert_int_equal(open_with("ba", PLACE, &old, old_id), SEAL_OPENED);
	assert_int_equal(open_with("ab", PLACE, &new, new_id), SEAL_OPENED);
	assert_string_not_equal(old_id, new_id);
	assert_int_equal(open_with("a", PLACE, &new, new_id), SEAL_NO_KEY);
	assert_int_equal(strlen(new_id), KEY_ID_LEN);
	assert_int_equal(open_with("b", PLACE, &old, NULL), SEAL_NO_KEY);
}

static void test_none(void **state)
{
	autobuf struct buf clear = sealed("", VALUE_ETCD), b = sealed("a", VALUE_ETCD);
	char id[KEY_ID_LEN + 1];

	assert_string_equal(clear.data, TEXT);
	assert_int_equal(open_with("", PLACE, &clear, id), SEAL_OPENED);
	assert_string_equal(id, "");
	assert_int_equal(open_with("a", PLACE, &clear, id), SEAL_CLEAR);
	assert_string_equal(id, "");
	assert_int_equal(open_with("", PLACE, &b, id), SEAL_NO_KEY);
	assert_int_equal(strlen(id), KEY_ID_LEN);
}

static void test_changed(void **state)
{
	autobuf struct buf b = sealed("a", VALUE_ETCD);

	for (size_t i = 0; i < b.len; i++) {
		char was = b.data[i];

		b.data[i] = was == 'A' ? 'B' : 'A';
		assert_int_not_equal(open_with("a", PLACE, &b, NULL), SEAL_OPENED);
		b.data[i] = was;
	}
	for (size_t len = 0; len < b.len; len++) {
		struct buf cut = {.data = b.data, .len = len};

		assert_int_not_equal(open_with("a", PLACE, &cut, NULL), SEAL_OPENED);
	}
}

/* libsodium takes 0xff for a '/' */
static void test_high_bytes(void **state)
{
	for (int n = 0; n < 30; n++) {
		autobuf struct buf b = sealed("a", VALUE_ETCD);

		for (size_t i = 0; i < b.len; i++) {
			char was = b.data[i];

			b.data[i] = (char)0xff;
			assert_int_not_equal(open_with("a", PLACE, &b, NULL), SEAL_OPENED);
			b.data[i] = was;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),	   cmocka_unit_test(test_place), cmocka_unit_test(test_purpose),
		cmocka_unit_test(test_ring),	   cmocka_unit_test(test_none),	 cmocka_unit_test(test_changed),
		cmocka_unit_test(test_high_bytes),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
