/* SPDX-License-Identifier: Apache-2.0
 *
 * The host id is made once, also by two at the same moment; STATE_DIR is set right; what a process cannot do any more
 * after privileges_drop(). What needs root is left out without it.
 */
#include "state/identity.h"

#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "state/json.h"
#include "tempdir.h"

static struct state_dir dir_of(const struct tempdir *t)
{
	return (struct state_dir){.fd = t->fd, .uid = 65534, .gid = 65534};
}

static void test_made_once(void **state)
{
	struct tempdir *t = *state;
	struct state_dir d = dir_of(t);
	char a[HOST_ID_LEN + 1], b[HOST_ID_LEN + 1];
	struct err e = {0};
	assert_int_equal(identity_load(&d, a, &e), 0);
	assert_string_equal(e.text, "");
	assert_int_equal(strspn(a, "0123456789abcdef"), HOST_ID_LEN);
	assert_int_equal(strlen(a), HOST_ID_LEN);
	assert_int_equal(identity_load(&d, b, &e), 0);
	assert_string_equal(a, b);
	autofree char *names = tempdir_list(t);
	assert_string_equal(names, "host_id ");
}

static void test_broken(void **state)
{
	static const char *const texts[] = {"", "\n", "0123456789ABCDEF0123456789ABCDEF\n", "0123\n",
					    "0123456789abcdef0123456789abcdef0\n"};
	struct tempdir *t = *state;
	struct state_dir d = dir_of(t);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char a[HOST_ID_LEN + 1], b[HOST_ID_LEN + 1];
		struct err e = {0}, none = {0};
		tempdir_put(t, STATE_HOST_ID, texts[i]);
		assert_int_equal(identity_load(&d, a, &e), 0);
		assert_int_equal(e.code, 0);
		assert_non_null(strstr(e.text, "a new one was made"));
		assert_int_equal(identity_load(&d, b, &none), 0);
		assert_string_equal(none.text, "");
		assert_string_equal(a, b);
	}
	assert_int_equal(unlinkat(t->fd, STATE_HOST_ID, 0), 0);
	assert_int_equal(mkdirat(t->fd, STATE_HOST_ID, 0755), 0);
	char id[HOST_ID_LEN + 1];
	struct err e = {0};
	assert_true(identity_load(&d, id, &e) < 0);
	assert_true(e.code < 0 && *e.text);
}

/* as discovery and router of a stack do on an empty volume */
static void test_at_once(void **state)
{
	struct tempdir *t = *state;
	struct state_dir d = dir_of(t);
	enum { N = 8 };
	pid_t pids[N];
	int go[2], result[2];
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(result, O_CLOEXEC), 0);
	for (int i = 0; i < N; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			char id[HOST_ID_LEN + 1], c;
			struct err e = {0};
			close(go[1]);
			if (read(go[0], &c, 1) < 0 || identity_load(&d, id, &e) < 0)
				_exit(1);
			_exit(write(result[1], id, HOST_ID_LEN) != HOST_ID_LEN);
		}
	}
	close(go[0]);
	close(go[1]); /* all start */
	char first[HOST_ID_LEN], id[HOST_ID_LEN];
	for (int i = 0; i < N; i++) {
		int status;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
		assert_int_equal(read(result[0], id, HOST_ID_LEN), HOST_ID_LEN);
		if (i == 0)
			memcpy(first, id, sizeof(first));
		assert_memory_equal(first, id, sizeof(first));
	}
	close(result[0]);
	close(result[1]);
	autofree char *names = tempdir_list(t);
	assert_string_equal(names, "host_id ");
}

static void test_dir(void **state)
{
	struct tempdir *t = *state;
	struct state_dir d;
	struct err e = {0};
	struct stat st;
	char path[128], longer[400];
	str_print(path, "%s/state", t->path);
	assert_int_equal(state_dir_open(path, &d, &e), 0);
	assert_int_equal(fstat(d.fd, &st), 0);
	assert_string_equal(d.path, path);
	if (geteuid() == 0) {
		assert_int_equal(st.st_mode & 07777, 01771);
		assert_int_equal(st.st_gid, d.gid);
		assert_int_equal(st.st_uid, 0);
		assert_int_not_equal(d.uid, 0);
		/* what somebody changed is set right, what is somebody's own is not */
		assert_int_equal(fchmod(d.fd, 0777), 0);
		state_dir_done(&d);
		assert_int_equal(state_dir_open(path, &d, &e), 0);
		assert_int_equal(fstat(d.fd, &st), 0);
		assert_int_equal(st.st_mode & 07777, 01771);
		assert_int_equal(fchown(d.fd, 12345, 12345), 0);
		assert_int_equal(fchmod(d.fd, 0700), 0);
		state_dir_done(&d);
		assert_int_equal(state_dir_open(path, &d, &e), 0);
		assert_int_equal(fstat(d.fd, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
	}
	state_dir_done(&d);
	assert_int_equal(d.fd, -1);
	tempdir_put(t, "file", "");
	str_print(path, "%s/file", t->path);
	assert_true(state_dir_open(path, &d, &e) < 0);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_true(state_dir_open(longer, &d, &e) < 0);
}

static void test_owners(void **state)
{
	struct state_dir d = {.uid = 65534};
	struct file_owner root = owner_of_root(&d), discovery = owner_of_discovery(&d);
	bool nobody = false, own = false;
	for (size_t i = 0; i < root.n; i++) {
		assert_true(root.uids[i] == 0 || root.uids[i] == geteuid());
		own |= root.uids[i] == geteuid();
	}
	for (size_t i = 0; i < discovery.n; i++)
		nobody |= discovery.uids[i] == 65534;
	assert_true(nobody && own);
}

static uint64_t caps_of(const char *key)
{
	char line[256];
	uint64_t value = UINT64_MAX;
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			value = strtoull(line + strlen(key) + 1, NULL, 16);
	if (f)
		fclose(f);
	return value;
}

#define CHECK(what)                                                      \
	do {                                                             \
		if (!(what)) {                                           \
			dprintf(STDERR_FILENO, "# not so: %s\n", #what); \
			_exit(1);                                        \
		}                                                        \
	} while (0)

static void dropped_user(void)
{
	const uint64_t net = UINT64_C(1) << CAP_NET_ADMIN;
	gid_t groups[] = {1234}, got[8];
	struct err e = {0};
	if (privileges_drop(65534, 65534, groups, 1, net, &e) < 0) {
		dprintf(STDERR_FILENO, "# %s\n", e.text);
		_exit(1);
	}
	CHECK(getuid() == 65534 && geteuid() == 65534 && getegid() == 65534);
	CHECK(getgroups(8, got) == 1 && got[0] == 1234);
	CHECK(caps_of("CapEff") == net && caps_of("CapPrm") == net && caps_of("CapInh") == net);
	CHECK(caps_of("CapAmb") == net && caps_of("CapBnd") == net);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CHECK(setuid(0) < 0);
	/* a second time there is nothing left to do */
	CHECK(privileges_drop(0, 0, NULL, 0, 0, &e) == 0 && geteuid() == 65534);
	_exit(0);
}

static void dropped_root(void)
{
	struct err e = {0};
	CHECK(privileges_drop(0, 0, NULL, 0, 0, &e) == 0);
	CHECK(geteuid() == 0 && getgroups(0, NULL) == 0);
	CHECK(caps_of("CapEff") == 0 && caps_of("CapPrm") == 0 && caps_of("CapBnd") == 0);
	/* asking for what was given away is told by name */
	CHECK(privileges_drop(0, 0, NULL, 0, UINT64_C(1) << CAP_NET_ADMIN, &e) == -EPERM);
	CHECK(strstr(e.text, "CAP_NET_ADMIN"));
	_exit(0);
}

static void in_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		fn();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_privileges(void **state)
{
	if (geteuid() != 0 || !(caps_of("CapEff") & UINT64_C(1) << CAP_NET_ADMIN)) {
		print_message("# without root only no_new_privs is tested\n");
		struct err e = {0};
		assert_int_equal(privileges_drop(65534, 65534, NULL, 0, 0, &e), 0);
		assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
		return;
	}
	in_child(dropped_user);
	in_child(dropped_root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_once, tempdir_make, tempdir_remove),
		cmocka_unit_test_setup_teardown(test_broken, tempdir_make, tempdir_remove),
		cmocka_unit_test_setup_teardown(test_at_once, tempdir_make, tempdir_remove),
		cmocka_unit_test_setup_teardown(test_dir, tempdir_make, tempdir_remove),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_privileges),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
