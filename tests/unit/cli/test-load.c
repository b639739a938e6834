/* SPDX-License-Identifier: Apache-2.0
 *
 * STATE_DIR as the verbs see it.
 */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

#define NOBODY 65534

/* Mode 1771: others may not list it, and everybody may look at what runs */
static void test_view_without_listing(void **state)
{
	char path[] = "/tmp/docker-router-test-XXXXXX";
	static const char text[] = "0123456789abcdef0123456789abcdef\n";
	bool root = geteuid() == 0;
	struct file_owner owner = {.uids = {geteuid()}, .n = 1};
	struct state_dir d;
	struct buf b = {0};
	struct err err = {0};

	(void)state;
	assert_non_null(mkdtemp(path));
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	int fd = openat(dir, STATE_HOST_ID, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	assert_int_equal(fchmod(dir, 0311), 0);
	if (root)
		assert_int_equal(seteuid(NOBODY), 0);

	assert_int_equal(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), -1);
	assert_int_equal(state_dir_view(path, &d, &err), 0);
	assert_int_equal(file_read(d.fd, STATE_HOST_ID, 256, &owner, &b, &err), 0);
	assert_int_equal(b.len, sizeof(text) - 1);

	if (root)
		assert_int_equal(seteuid(0), 0);
	close(d.fd);
	buf_done(&b);
	assert_int_equal(fchmod(dir, 0700), 0);
	assert_int_equal(unlinkat(dir, STATE_HOST_ID, 0), 0);
	close(dir);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_view_without_listing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
