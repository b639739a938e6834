/* SPDX-License-Identifier: Apache-2.0
 *
 * Join tokens: what goes in comes out, each damaged character is seen, and time binds.
 */
#include "tempdir.h"

#include <sodium.h>

#include "state/join.h"

static const wall_t made = {INT64_C(1705314600000)}, expires = {INT64_C(1705318200000)};

static struct join_token example(size_t keys)
{
	struct join_token t = {.made = made, .expires = expires};

	for (size_t i = 0; i < keys; i++) {
		memset(t.ring.keys[i].secret, (int)(0x40 + i), KEY_BYTES);
		key_name(&t.ring.keys[i]);
		t.ring.n++;
	}
	join_list_add(&t.join, "[2001:db8::1]:4791");
	join_list_add(&t.join, "nas.lan");
	return t;
}

static void test_round(void **state)
{
	for (size_t keys = 0; keys <= KEYRING_MAX; keys++) {
		struct join_token t = example(keys), again;
		autofree char *spaced = NULL;
		struct err err = {0};
		struct buf text = {0};

		join_token_print(&t, &text);
		assert_true(text.len < JOIN_TOKEN_BYTES);
		assert_int_equal(
			strspn(text.data, "drj1.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
			text.len);
		spaced = xasprintf(" \t%s\r\n", text.data);
		assert_int_equal(join_token_parse(spaced, strlen(spaced), made, &again, &err), 0);
		assert_int_equal(again.ring.n, keys);
		for (size_t i = 0; i < keys; i++) {
			assert_memory_equal(again.ring.keys[i].secret, t.ring.keys[i].secret, KEY_BYTES);
			assert_string_equal(again.ring.keys[i].id, t.ring.keys[i].id);
		}
		assert_int_equal(again.join.n, 2);
		assert_string_equal(again.join.to[0], "nas.lan");
		assert_string_equal(again.join.to[1], "[2001:db8::1]:4791");
		assert_int_equal(again.made.ms, made.ms);
		assert_int_equal(again.expires.ms, expires.ms);
		join_token_done(&again);
		assert_int_equal(again.ring.keys[0].secret[0], 0);
		keyring_text_done(&text);
	}
}

/* The longest of everything: addresses that do not fit are left out, keys never */
static void test_long(void **state)
{
	struct join_token t = example(KEYRING_MAX), again;
	struct err err = {0};
	struct buf text = {0};
	char to[LIMIT_JOIN_BYTES];

	for (unsigned i = 0; i < LIMIT_JOIN; i++) {
		memset(to, (int)('a' + i % 26), sizeof(to) - 1);
		to[sizeof(to) - 1] = '\0';
		to[i % 8] = '-';
		to[0] = 'x';
		if (sizeof(to) > 254)
			to[253] = '\0';
		join_list_add(&t.join, to);
	}
	join_token_print(&t, &text);
	assert_true(text.len < JOIN_TOKEN_BYTES);
	assert_int_equal(join_token_parse(text.data, text.len, made, &again, &err), 0);
	assert_int_equal(again.ring.n, KEYRING_MAX);
	assert_true(again.join.n >= 1);
	assert_string_equal(again.join.to[0], t.join.to[0]);
	join_token_done(&again);
	keyring_text_done(&text);
}

static void test_damaged(void **state)
{
	struct join_token t = example(2), out;
	struct err err = {0};
	struct buf text = {0};

	join_token_print(&t, &text);
	for (size_t i = 0; i < text.len; i++) {
		char was = text.data[i];

		text.data[i] = was == 'A' ? 'B' : 'A';
		if (join_token_parse(text.data, text.len, made, &out, &err) != -EINVAL)
			fail_msg("character %zu may be another", i);
		assert_int_equal(out.ring.n, 0);
		text.data[i] = was;
		assert_int_equal(join_token_parse(text.data, i, made, &out, &err), -EINVAL);
	}
	/* nothing of it is said again */
	assert_null(strstr(err.text, text.data + 20));
	buf_puts(&text, "AAAA");
	assert_int_equal(join_token_parse(text.data, text.len, made, &out, &err), -EINVAL);
	assert_int_equal(join_token_parse("", 0, made, &out, &err), -EINVAL);
	assert_int_equal(join_token_parse(" \n ", 3, made, &out, &err), -EINVAL);
	assert_int_equal(join_token_parse("drj1.", 5, made, &out, &err), -EINVAL);
	keyring_text_done(&text);
}

/* With the hash that belongs to it: a program that lies */
static int parse_raw(const uint8_t *raw, size_t len)
{
	uint8_t whole[512], hash[crypto_generichash_BYTES_MIN];
	char text[1024] = JOIN_TOKEN_HEAD;
	struct join_token out;
	struct err err = {0};
	int r;

	memcpy(whole, raw, len);
	crypto_generichash(hash, sizeof(hash), raw, len, NULL, 0);
	memcpy(whole + len, hash, 8);
	sodium_bin2base64(text + strlen(text), sizeof(text) - strlen(text), whole, len + 8,
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	r = join_token_parse(text, strlen(text), made, &out, &err);
	if (r == 0)
		join_token_done(&out);
	return r;
}

static void test_lies(void **state)
{
	const uint32_t from = (uint32_t)(made.ms / 1000), to = (uint32_t)(expires.ms / 1000);
	uint8_t raw[64] = {0};

	for (int i = 0; i < 4; i++) {
		raw[4 + i] = (uint8_t)(from >> (24 - 8 * i));
		raw[12 + i] = (uint8_t)(to >> (24 - 8 * i));
	}
	raw[16] = 0; /* keys */
	raw[17] = 1; /* addresses */
	raw[18] = 3;
	memcpy(raw + 19, "nas", 3);
	assert_int_equal(parse_raw(raw, 22), 0);
	assert_int_equal(parse_raw(raw, 23), -EINVAL); /* something behind it */
	assert_int_equal(parse_raw(raw, 21), -EINVAL);
	assert_int_equal(parse_raw(raw, 17), -EINVAL);
	raw[18] = 200; /* longer than all of it */
	assert_int_equal(parse_raw(raw, 22), -EINVAL);
	raw[18] = 3;
	raw[17] = 255; /* more than there are */
	assert_int_equal(parse_raw(raw, 22), -EINVAL);
	raw[17] = 1;
	raw[16] = 1; /* no room for a key */
	assert_int_equal(parse_raw(raw, 22), -EINVAL);
	raw[16] = 255;
	assert_int_equal(parse_raw(raw, sizeof(raw)), -EINVAL);
	raw[16] = 0;
	raw[19] = '/'; /* no address */
	assert_int_equal(parse_raw(raw, 22), -EINVAL);
	raw[19] = '\0';
	assert_int_equal(parse_raw(raw, 22), -EINVAL);
	raw[19] = 'n';
	raw[3] = 1; /* the year 2000 times as far away */
	assert_int_equal(parse_raw(raw, 22), -EINVAL);
}

static void test_time(void **state)
{
	struct join_token t = example(1), out;
	struct err err = {0};
	struct buf text = {0};
	wall_t now;

	join_token_print(&t, &text);
	now = (wall_t){expires.ms - 1};
	assert_int_equal(join_token_parse(text.data, text.len, now, &out, &err), 0);
	join_token_done(&out);
	assert_int_equal(join_token_parse(text.data, text.len, expires, &out, &err), -EKEYEXPIRED);
	assert_non_null(strstr(err.text, "expired"));
	assert_int_equal(out.ring.n, 0);
	now = (wall_t){made.ms - JOIN_SKEW_S * 1000};
	assert_int_equal(join_token_parse(text.data, text.len, now, &out, &err), 0);
	join_token_done(&out);
	now.ms--;
	assert_int_equal(join_token_parse(text.data, text.len, now, &out, &err), -ETIME);
	assert_non_null(strstr(err.text, "clock"));
	keyring_text_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round), cmocka_unit_test(test_long), cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_lies),  cmocka_unit_test(test_time),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
