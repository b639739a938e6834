/* SPDX-License-Identifier: Apache-2.0 */
#include "tempdir.h"

#include "state/keyring.h"

static const char hex_1[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static const char hex_2[] = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
static const char base64_1[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

static int parse(const char *text, struct keyring *ret, struct err *err)
{
	return keyring_parse(text, strlen(text), ret, err);
}

static struct buf text_of(const char *s)
{
	struct buf b = {0};

	buf_puts(&b, s);
	return b;
}

static void test_parse(void **state)
{
	struct keyring r, again;
	struct err err = {0};
	autofree char *text = xasprintf("# ours\n\n  %s # the old one\r\n%s", hex_2, base64_1);

	assert_int_equal(parse(text, &r, &err), 0);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.keys[0].secret[0], 0xff);
	assert_int_equal(r.keys[1].secret[31], 0x1f);
	assert_int_equal(strlen(r.keys[0].id), KEY_ID_LEN);
	assert_memory_equal(r.keys[0].id, r.keys[0].fingerprint, KEY_ID_LEN);
	/* the same key in the other way to write it has the same id */
	assert_int_equal(parse(hex_1, &again, &err), 0);
	assert_string_equal(again.keys[0].fingerprint, r.keys[1].fingerprint);
	/* known for ever: an id must not change with a release */
	assert_string_equal(again.keys[0].id, "db7485a0");
	keyring_done(&r);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.keys[0].secret[0], 0);
}

static void test_parse_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"# nothing\n",
		"short",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8==",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= more",
		"=",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	};
	struct keyring r;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};

		assert_int_equal(parse(bad[i], &r, &err), -EINVAL);
		assert_true(err.text[0]);
		/* what may be a key is not said */
		assert_null(strstr(err.text, "AAEC"));
		assert_null(strstr(err.text, "0001"));
	}
}

static void test_too_many(void **state)
{
	autobuf struct buf text = {0};
	struct keyring r;
	struct err err = {0};
	char word[KEY_TEXT_LEN + 1];
	struct key k;

	for (int i = 0; i < KEYRING_MAX + 1; i++) {
		key_make(&k);
		key_format(&k, word);
		buf_printf(&text, "%s\n", word);
		assert_int_equal(keyring_parse(text.data, text.len, &r, &err), i < KEYRING_MAX ? 0 : -E2BIG);
	}
	text.len = strlen(text.data) - KEY_TEXT_LEN - 1;
	text.data[text.len] = '\0';
	struct buf more;
	assert_int_equal(keyring_add(&text, &k, &more, &err), -E2BIG);
}

static void ids_must(const struct buf *text, size_t n, const char *const *ids)
{
	struct keyring r;
	struct err err = {0};

	assert_int_equal(keyring_parse(text->data, text->len, &r, &err), 0);
	assert_int_equal(r.n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(r.keys[i].id, ids[i]);
}

static void test_edits(void **state)
{
	autofree char *begin = xasprintf("# head\n%s # one\n# between\n%s", hex_1, hex_2);
	struct buf text = text_of(begin), added, used, removed, none;
	struct err err = {0};
	struct keyring r;
	struct key k;

	assert_int_equal(keyring_parse(text.data, text.len, &r, &err), 0);
	key_make(&k);
	const char *a = r.keys[0].id, *b = r.keys[1].id;

	assert_int_equal(keyring_add(&text, &k, &added, &err), 0);
	ids_must(&added, 3, (const char *[]){a, b, k.id});
	assert_int_equal(keyring_add(&added, &k, &none, &err), -EEXIST);

	assert_int_equal(keyring_use(&added, k.id, &used, &err), 0);
	ids_must(&used, 3, (const char *[]){k.id, a, b});
	assert_non_null(strstr(used.data, "# head\n"));
	assert_non_null(strstr(used.data, "# between\n"));
	assert_int_equal(keyring_use(&added, "00000000", &none, &err), -ENOENT);

	assert_int_equal(keyring_remove(&used, k.id, &none, &err), -EBUSY);
	assert_int_equal(keyring_remove(&used, r.keys[0].fingerprint, &removed, &err), 0);
	ids_must(&removed, 2, (const char *[]){k.id, b});
	assert_null(strstr(removed.data, "# one"));
	assert_non_null(strstr(removed.data, "# between"));
	/* the one in use again: nothing changes */
	struct buf same;
	assert_int_equal(keyring_use(&removed, k.id, &same, &err), 0);
	assert_string_equal(same.data, removed.data);

	keyring_text_done(&text);
	keyring_text_done(&added);
	keyring_text_done(&used);
	keyring_text_done(&removed);
	keyring_text_done(&same);
}

static void test_file(void **state)
{
	const char *dir = ((const struct tempdir *)*state)->path;
	autofree char *path = xasprintf("%s/key", dir), *link = xasprintf("%s/link", dir);
	struct buf text = text_of(hex_1);
	struct keyring r;
	struct err err = {0};
	struct stat st;

	assert_int_equal(keyring_read(path, &r, &err), -ENOENT);
	assert_int_equal(keyring_save(path, &text, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(keyring_read(path, &r, &err), 0);
	assert_int_equal(r.n, 1);

	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(keyring_read(path, &r, &err), -EPERM);
	assert_non_null(strstr(err.text, "chmod 600"));
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(keyring_read(path, &r, &err), 0);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(keyring_read(link, &r, &err), -ELOOP);
	assert_int_equal(keyring_read(dir, &r, &err), -EINVAL);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 0), 0);
		assert_int_equal(keyring_read(path, &r, &err), -EPERM);
		assert_int_equal(chown(path, 0, 0), 0);
	}
	buf_clear(&text);
	buf_reserve(&text, KEYRING_FILE_BYTES + 1);
	memset(text.data, '#', KEYRING_FILE_BYTES + 1);
	text.len = KEYRING_FILE_BYTES + 1;
	text.data[text.len] = '\0';
	assert_int_equal(keyring_save(path, &text, &err), 0);
	assert_int_equal(keyring_read(path, &r, &err), -E2BIG);
	keyring_text_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_bad),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_edits),
		cmocka_unit_test_setup_teardown(test_file, tempdir_make, tempdir_remove),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
