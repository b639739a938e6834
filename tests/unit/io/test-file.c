/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that others may have laid there, replacement on a full disk, and a directory that is itself replaced.
 */
#include "help.h"

#include <dirent.h>
#include <fcntl.h>

#include "io/file.h"

struct fixture {
	uv_loop_t loop;
	char path[64];
	int dir;
	struct dirwatch *watch;
	char names[512]; /* "a,b,*," as they were told */
	const char *wanted;
	bool done;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	loop_init(&f->loop);
	f->dir = open(help_mkdir(f->path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir >= 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_done(&f->loop);
	close(f->dir);
	help_rm(f->path);
	free(f);
	return 0;
}

static void lay(struct fixture *f, const char *name, const char *text)
{
	int fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static size_t entries(int dirfd)
{
	DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static void test_read(void **state)
{
	struct fixture *f = *state;
	autobuf struct buf b = {0};
	struct err err;

	lay(f, "x", "hello");
	assert_int_equal(file_read(f->dir, "x", 5, NULL, &b, &err), 0);
	assert_string_equal(b.data, "hello");
	assert_int_equal(b.len, 5);
	assert_int_equal(file_read(f->dir, "x", 4, NULL, &b, &err), -E2BIG);
	assert_string_equal(b.data, "hello"); /* untouched on failure */
	lay(f, "empty", "");
	assert_int_equal(file_read(f->dir, "empty", 4, NULL, &b, &err), 0);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	assert_int_equal(file_read(f->dir, "missing", 4, NULL, &b, &err), -ENOENT);
	assert_non_null(strstr(err.text, "missing"));
}

static void test_read_of_what_is_no_file(void **state)
{
	struct fixture *f = *state;
	autobuf struct buf b = {0};
	struct err err;

	lay(f, "x", "hello");
	assert_int_equal(symlinkat("x", f->dir, "link"), 0);
	assert_int_equal(mkdirat(f->dir, "folder", 0755), 0);
	assert_int_equal(mkfifoat(f->dir, "fifo", 0644), 0);
	assert_int_equal(file_read(f->dir, "link", 99, NULL, &b, &err), -EINVAL);
	assert_int_equal(file_read(f->dir, "folder", 99, NULL, &b, &err), -EISDIR);
	assert_int_equal(file_read(f->dir, "fifo", 99, NULL, &b, &err), -EINVAL); /* and did not wait for a writer */
	assert_int_equal(file_read(AT_FDCWD, "/dev/zero", 99, NULL, &b, &err), -EINVAL);
	assert_null(b.data);
}

static void test_read_checks_the_owner(void **state)
{
	struct fixture *f = *state;
	struct file_owner owner = {0};
	autobuf struct buf b = {0};

	lay(f, "x", "hello");
	file_owner_add(&owner, geteuid() + 1);
	file_owner_add(&owner, geteuid() + 1);
	assert_int_equal(owner.n, 1);
	assert_int_equal(file_read(f->dir, "x", 99, &owner, &b, NULL), -EPERM);
	file_owner_add(&owner, geteuid());
	assert_int_equal(file_read(f->dir, "x", 99, &owner, &b, NULL), 0);
}

static void test_replace(void **state)
{
	struct fixture *f = *state;
	autobuf struct buf b = {0};
	struct stat st;
	mode_t umask_before = umask(077);

	for (int flags = 0; flags <= FILE_SYNC; flags++) {
		assert_int_equal(file_replace(f->dir, "x", "one", 3, 0644, flags, NULL), 0);
		assert_int_equal(file_replace(f->dir, "x", "three", 5, 0644, flags, NULL), 0);
		assert_int_equal(file_read(f->dir, "x", 99, NULL, &b, NULL), 0);
		assert_string_equal(b.data, "three");
	}
	umask(umask_before);
	assert_int_equal(fstatat(f->dir, "x", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(entries(f->dir), 1);
}

static void test_replace_of_a_directory(void **state)
{
	struct fixture *f = *state;
	struct err err;

	assert_int_equal(mkdirat(f->dir, "x", 0755), 0);
	assert_int_equal(file_replace(f->dir, "x", "one", 3, 0644, 0, &err), -EISDIR);
	assert_non_null(strstr(err.text, "x: "));
	assert_int_equal(entries(f->dir), 1);
}

static void test_replace_on_a_full_disk(void **state)
{
	struct fixture *f = *state;
	autobuf struct buf b = {0};
	autofree char *big = xcalloc(1, 1 << 20);
	struct err err;
	int full;

	if (!help_own_namespaces())
		skip();
	assert_int_equal(mount("none", f->path, "tmpfs", 0, "size=64k"), 0);
	full = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_replace(full, "x", "old", 3, 0644, FILE_SYNC, NULL), 0);
	assert_int_equal(file_replace(full, "x", big, 1 << 20, 0644, 0, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "x: "));
	assert_int_equal(file_read(full, "x", 99, NULL, &b, NULL), 0);
	assert_string_equal(b.data, "old");
	assert_int_equal(entries(full), 1);
	close(full);
	assert_int_equal(umount2(f->path, MNT_DETACH), 0);
}

static void on_change(void *arg, const char *name)
{
	struct fixture *f = arg;
	size_t len = strlen(f->names);

	snprintf(f->names + len, sizeof(f->names) - len, "%s,", name ? name : "*");
	if (f->wanted && strstr(f->names, f->wanted))
		f->done = true;
}

static void expect(struct fixture *f, const char *name)
{
	f->wanted = name;
	f->done = strstr(f->names, name) != NULL;
	if (!help_wait(&f->loop, &f->done))
		fail_msg("waited for \"%s\", was told \"%s\"", name, f->names);
	f->names[0] = '\0';
}

static void test_watch_names_what_changed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(dirwatch_new(&f->loop, f->path, on_change, f, &f->watch, NULL), 0);
	assert_int_equal(file_replace(f->dir, "a.json", "{}", 2, 0644, 0, NULL), 0);
	expect(f, "a.json,");
	for (int i = 0; i < 3; i++) { /* a watch on the file itself would have died with the first */
		assert_int_equal(file_replace(f->dir, "a.json", "{}", 2, 0644, 0, NULL), 0);
		expect(f, "a.json,");
	}
	lay(f, "b.json", "[]");
	expect(f, "b.json,");
	assert_int_equal(unlinkat(f->dir, "b.json", 0), 0);
	expect(f, "b.json,");
	lay(f, ".temporary", "");
	assert_int_equal(renameat(f->dir, ".temporary", f->dir, "c.json"), 0);
	expect(f, "c.json,");
	assert_null(strstr(f->names, "temporary"));
	dirwatch_free(f->watch);
}

static void test_watch_survives_a_replaced_directory(void **state)
{
	struct fixture *f = *state;
	autofree char *path = xasprintf("%s/state/", f->path);
	int dir;

	assert_int_equal(mkdirat(f->dir, "state", 0755), 0);
	assert_int_equal(dirwatch_new(&f->loop, path, on_change, f, &f->watch, NULL), 0);
	/* moved away, another moved in */
	assert_int_equal(renameat(f->dir, "state", f->dir, "away"), 0);
	expect(f, "*,");
	assert_int_equal(mkdirat(f->dir, "new", 0755), 0);
	assert_int_equal(renameat(f->dir, "new", f->dir, "state"), 0);
	expect(f, "*,");
	dir = openat(f->dir, "state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_replace(dir, "x", "1", 1, 0644, 0, NULL), 0);
	expect(f, "x,");
	/* removed and made again */
	assert_int_equal(unlinkat(dir, "x", 0), 0);
	close(dir);
	assert_int_equal(unlinkat(f->dir, "state", AT_REMOVEDIR), 0);
	expect(f, "*,");
	assert_int_equal(mkdirat(f->dir, "state", 0755), 0);
	expect(f, "*,");
	dir = openat(f->dir, "state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_replace(dir, "y", "1", 1, 0644, 0, NULL), 0);
	expect(f, "y,");
	/* what was moved away is not ours any more */
	close(dir);
	dir = openat(f->dir, "away", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->names[0] = '\0';
	assert_int_equal(file_replace(dir, "z", "1", 1, 0644, 0, NULL), 0);
	help_spin(&f->loop);
	assert_null(strstr(f->names, "z"));
	close(dir);
	dirwatch_free(f->watch);
}

static void on_change_free(void *arg, const char *name)
{
	struct fixture *f = arg;

	(void)name;
	dirwatch_free(f->watch);
	f->watch = NULL;
	f->done = true;
}

static void test_watch_frees_itself(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(dirwatch_new(&f->loop, f->path, on_change_free, f, &f->watch, NULL), 0);
	lay(f, "a", "1");
	lay(f, "b", "1");
	assert_true(help_wait(&f->loop, &f->done));
	assert_null(f->watch);
}

static void test_watch_of_nothing_fails(void **state)
{
	struct fixture *f = *state;
	struct err err;

	assert_int_equal(dirwatch_new(&f->loop, "/no/such/folder", on_change, f, &f->watch, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/no/such/folder"));
}

static void test_dir_make(void **state)
{
	struct fixture *f = *state;
	autofree char *path = xasprintf("%s/a/b//c/", f->path);
	mode_t umask_before = umask(077);
	struct stat st;

	assert_int_equal(dir_make(path, 0755, NULL), 0);
	assert_int_equal(dir_make(path, 0700, NULL), 0);
	umask(umask_before);
	assert_int_equal(fstatat(f->dir, "a/b", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(fstatat(f->dir, "a/b/c", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755); /* one that is there stays as it is */
	lay(f, "file", "");
	free(steal_ptr(path));
	path = xasprintf("%s/file", f->path);
	assert_int_equal(dir_make(path, 0755, NULL), -ENOTDIR);
	free(steal_ptr(path));
	path = xasprintf("%s/file/below", f->path);
	assert_int_equal(dir_make(path, 0755, NULL), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_of_what_is_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_checks_the_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace_of_a_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watch_names_what_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watch_survives_a_replaced_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watch_frees_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watch_of_nothing_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dir_make, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace_on_a_full_disk, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
