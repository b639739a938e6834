/* SPDX-License-Identifier: Apache-2.0
 *
 * WireGuard's secrets: the private key's file, and what is derived.
 */
#include "tempdir.h"

#include "state/wg_keys.h"
#include "state/wireguard.h"

static struct state_dir dir_of(const struct tempdir *t)
{
	struct state_dir d = {.fd = t->fd};

	str_copy(d.path, t->path);
	return d;
}

static void test_private(void **state)
{
	struct state_dir d = dir_of(*state);
	uint8_t key[32], again[32];
	struct stat st;
	struct err err;

	assert_int_equal(wg_private_load(&d, key, &err), 0);
	assert_int_equal(key[0] & 7, 0);
	assert_int_equal(key[31] & 192, 64);
	assert_int_equal(fstatat(d.fd, "keys", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fstatat(d.fd, "keys/wireguard.key", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(wg_private_load(&d, again, &err), 0);
	assert_memory_equal(key, again, sizeof(key));
	/* others can read it: whoever did may have done so */
	assert_int_equal(fchmodat(d.fd, "keys/wireguard.key", 0644, 0), 0);
	assert_int_equal(wg_private_load(&d, again, &err), -EPERM);
	assert_int_equal(fchmodat(d.fd, "keys/wireguard.key", 0600, 0), 0);
	assert_int_equal(fchmodat(d.fd, "keys", 0755, 0), 0);
	assert_int_equal(wg_private_load(&d, again, &err), -EPERM);
	assert_int_equal(fchmodat(d.fd, "keys", 0700, 0), 0);
	autoclose int keys = openat(d.fd, "keys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_replace(keys, "wireguard.key", "no key\n", 7, 0600, 0, &err), 0);
	assert_int_equal(wg_private_load(&d, again, &err), -EINVAL);
	assert_null(strstr(err.text, "no key\n"));
	assert_int_equal(wg_private_remove(&d, &err), 0);
	assert_int_equal(fstatat(d.fd, "keys", &st, 0), -1);
	assert_int_equal(wg_private_remove(&d, &err), 0);
	assert_int_equal(wg_private_load(&d, again, &err), 0);
	assert_memory_not_equal(key, again, sizeof(key));
	assert_int_equal(wg_private_remove(&d, &err), 0);
}

/* One key follows another, each time in the other slot */
static void test_next(void **state)
{
	struct state_dir d = dir_of(*state);
	uint8_t key[32], next[32], public_key[32];
	unsigned slot = 0;
	struct err err;

	assert_int_equal(wg_next_make(&d, &err), -ENOENT);
	assert_int_equal(wg_private_load(&d, key, &err), 0);
	for (int i = 0; i < 3; i++) {
		wg_public(key, public_key);
		assert_int_equal(wg_key_slot(public_key), slot);
		assert_int_equal(wg_next_load(&d, next, &err), -ENOENT);
		assert_int_equal(wg_next_take(&d, &err), -ENOENT);
		assert_int_equal(wg_next_make(&d, &err), 0);
		assert_int_equal(wg_next_make(&d, &err), -EEXIST);
		assert_int_equal(wg_next_load(&d, next, &err), 0);
		assert_int_equal(wg_next_take(&d, &err), 0);
		assert_int_equal(wg_private_load(&d, key, &err), 0);
		assert_memory_equal(key, next, 32);
		slot = 1 - slot;
	}
	assert_int_equal(wg_next_make(&d, &err), 0);
	assert_int_equal(wg_private_remove(&d, &err), 0);
	assert_int_equal(faccessat(d.fd, "keys", F_OK, 0), -1);
}

/* RFC 7748 section 6.1 */
static void test_public(void **state)
{
	uint8_t alice[32], public_key[32];
	char text[WG_KEY_TEXT];

	assert_true(wg_key_parse("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=", alice));
	wg_public(alice, public_key);
	wg_key_format(public_key, text);
	assert_string_equal(text, "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
}

static void test_psk(void **state)
{
	struct keyring ring;
	uint8_t ab[32], ba[32], ac[32], other[32];
	char text[WG_KEY_TEXT];
	static const char keys[] = "0101010101010101010101010101010101010101010101010101010101010101\n"
				   "0202020202020202020202020202020202020202020202020202020202020202\n";

	assert_int_equal(keyring_parse(keys, strlen(keys), &ring, NULL), 0);
	wg_psk(&ring.keys[0], "aaaa", "bbbb", ab);
	wg_psk(&ring.keys[0], "bbbb", "aaaa", ba);
	wg_psk(&ring.keys[0], "aaaa", "cccc", ac);
	wg_psk(&ring.keys[1], "aaaa", "bbbb", other);
	assert_memory_equal(ab, ba, 32);
	assert_memory_not_equal(ab, ac, 32);
	assert_memory_not_equal(ab, other, 32);
	/* known for ever: two releases must agree */
	wg_key_format(ab, text);
	assert_string_equal(text, "P9ykkNUWlYPXkb72/UmUD5vBimhKTF/GzcBNi2cntKc=");
	keyring_done(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_private, tempdir_make, tempdir_remove),
		cmocka_unit_test_setup_teardown(test_next, tempdir_make, tempdir_remove),
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_psk),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("tests", tests, NULL, NULL);
}
