/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom to join by: what is understood as an address, the list, the file, the folder of keys.
 */
#include "tempdir.h"

#include "state/join.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
		bool name;
	} good[] = {
		{"nas", "nas", 4791, true},
		{"nas.lan:5000", "nas.lan", 5000, true},
		{"192.0.2.1", "192.0.2.1", 4791, false},
		{"192.0.2.1:65535", "192.0.2.1:65535", 65535, false},
		{"2001:db8::1", "2001:db8::1", 4791, false},
		{"[2001:db8::1]:1", "[2001:db8::1]:1", 1, false},
		{"7-of-9_x.example", "7-of-9_x.example", 4791, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct join_target t;

		assert_int_equal(join_parse(good[i].text, JOIN_PORT, &t), 0);
		assert_string_equal(t.host, good[i].host);
		assert_int_equal(t.address.port, good[i].port);
		assert_int_equal(ip_is_none(&t.address.ip), good[i].name);
	}
}

static void test_parse_bad(void **state)
{
	static const char *const bad[] = {"",		":4791",	"nas:0",	   "nas:65536",
					  "nas:x",	"nas:",		"nas lan",	   "-nas",
					  ".nas",	"192.0.2",	"192.0.2.256",	   "224.0.0.1",
					  "0.0.0.0",	"::",		"ff02::1",	   "192.0.2.1:0",
					  "nas/24",	"fe80::1%eth0", "[2001:db8::1]:0", "na\ns",
					  "n\xc3\xa4s", "1.2.3.4.5",	"[2001:db8::1",	   "$(id)"};
	char big[400];
	struct join_target t;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (join_parse(bad[i], JOIN_PORT, &t) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	}
	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(join_parse(big, JOIN_PORT, &t), -EINVAL);
	big[253] = '\0';
	assert_int_equal(join_parse(big, JOIN_PORT, &t), 0);
	big[253] = 'a';
	big[254] = '\0';
	assert_int_equal(join_parse(big, JOIN_PORT, &t), -EINVAL);
}

static void test_list(void **state)
{
	struct join_list l = {0};
	char to[16];

	join_list_add(&l, "a");
	join_list_add(&l, "b");
	join_list_add(&l, "c");
	join_list_add(&l, "a"); /* to the front, not twice */
	assert_int_equal(l.n, 3);
	assert_string_equal(l.to[0], "a");
	assert_string_equal(l.to[1], "c");
	assert_string_equal(l.to[2], "b");
	for (unsigned i = 0; i < 2 * LIMIT_JOIN; i++) {
		str_print(to, "host%u", i);
		join_list_add(&l, to);
	}
	assert_int_equal(l.n, LIMIT_JOIN);
	assert_string_equal(l.to[0], to);
	str_print(to, "host%u", LIMIT_JOIN);
	assert_string_equal(l.to[LIMIT_JOIN - 1], to);
}

static void write_text(const struct tempdir *t, const char *text)
{
	int fd = openat(t->fd, STATE_JOIN, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void test_file(void **state)
{
	const struct tempdir *t = *state;
	struct join_file f = {.refused_at = {INT64_C(1705314600000)}}, again;
	struct err err = {0};

	assert_int_equal(join_file_read(t->fd, NULL, &again, &err), -ENOENT);
	join_list_add(&f.join, "192.0.2.1:4791");
	join_list_add(&f.join, "nas.lan");
	assert_int_equal(join_file_write(t->fd, &f, &err), 0);
	assert_int_equal(join_file_read(t->fd, NULL, &again, &err), 0);
	assert_int_equal(again.join.n, 2);
	assert_string_equal(again.join.to[0], "nas.lan");
	assert_string_equal(again.refused, "");
	str_copy(f.refused, "the token has expired \"\xff\"");
	assert_int_equal(join_file_write(t->fd, &f, &err), 0);
	assert_int_equal(join_file_read(t->fd, NULL, &again, &err), 0);
	assert_non_null(strstr(again.refused, "the token has expired"));
	assert_int_equal(again.refused_at.ms, f.refused_at.ms);
}

static void test_file_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"version\":2,\"join\":[]}",
		"{\"version\":1,\"join\":\"nas\"}",
		"{\"version\":1,\"join\":[7]}",
		"{\"version\":1,\"join\":[\"\"]}",
		"{\"version\":1,\"join\":[\"nas:0\"]}",
		"{\"version\":1,\"join\":[\"nas\",\"224.0.0.1\"]}",
		"{\"version\":1,\"join\":[],\"refused\":7}",
		"{\"version\":1,\"join\":[],\"refused_at\":\"yesterday\"}",
	};
	const struct tempdir *t = *state;
	struct join_file f;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		write_text(t, bad[i]);
		if (join_file_read(t->fd, NULL, &f, &err) >= 0)
			fail_msg("taken: %s", bad[i]);
	}
	/* more than there may be are passed over, and so is what a later release may write */
	autobuf struct buf b = {0};
	buf_puts(&b, "{\"version\":1,\"later\":{},\"join\":[\"nas\"");
	for (unsigned i = 0; i < 2 * LIMIT_JOIN; i++)
		buf_printf(&b, ",\"host%u\"", i);
	buf_puts(&b, "]}");
	write_text(t, b.data);
	assert_int_equal(join_file_read(t->fd, NULL, &f, &err), 0);
	assert_int_equal(f.join.n, LIMIT_JOIN);
}

static void test_keys(void **state)
{
	const struct tempdir *t = *state;
	struct err err = {0};
	struct stat st;
	char path[64];

	assert_int_equal(join_key_folder(t->fd, &err), 0);
	assert_int_equal(join_key_folder(t->fd, &err), 0);
	assert_int_equal(fstatat(t->fd, STATE_KEYS, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fchmodat(t->fd, STATE_KEYS, 0710, 0), 0);
	assert_int_equal(join_key_folder(t->fd, &err), -EPERM);
	assert_int_equal(unlinkat(t->fd, STATE_KEYS, AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat(".", t->fd, STATE_KEYS), 0);
	assert_int_equal(join_key_folder(t->fd, &err), -EPERM);
	join_key_path("", "/var/lib/x", path, sizeof(path));
	assert_string_equal(path, "/var/lib/x/keys/cluster.key");
	join_key_path("/etc/k", "/var/lib/x", path, sizeof(path));
	assert_string_equal(path, "/etc/k");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_bad),
		cmocka_unit_test(test_list),
		cmocka_unit_test_setup_teardown(test_file, tempdir_make, tempdir_remove),
		cmocka_unit_test_setup_teardown(test_file_bad, tempdir_make, tempdir_remove),
		cmocka_unit_test_setup_teardown(test_keys, tempdir_make, tempdir_remove),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
