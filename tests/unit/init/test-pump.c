/* SPDX-License-Identifier: Apache-2.0
 *
 * The pump in a process of its own, between a FIFO and a pipe that are ours to fill and to leave unread: what is
 * dropped is counted to the byte, and nothing else is lost. Programs, readers that die and rotation are in logs.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "init/pump.h"
#include "init/signals.h"

#define LINE_BYTES 100

struct fixture {
	char dir[64], path[96];
	struct log_file file;
	struct pump_log log;
	int out[2]; /* a pipe of one page */
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	bool is_new;

	str_copy(f->dir, "/tmp/test-pump-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	str_print(f->path, "%s/sub/log", f->dir);
	assert_int_equal(pipe2(f->out, O_CLOEXEC), 0);
	f->file = (struct log_file){.path = f->path, .out = f->out[1]};
	assert_int_equal(log_file_place(&f->file, -1, &is_new, NULL), 0);
	assert_true(is_new);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pump_log_done(&f->log);
	log_file_done(&f->file);
	autoclose_(&f->out[0]);
	autoclose_(&f->out[1]);
	unlink(f->path);
	*strrchr(f->path, '/') = '\0';
	rmdir(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static pid_t pump_fork(struct fixture *f, bool block)
{
	uint64_t before = signals_block(~SIGNALS_OWN); /* as PID 1 has them: none may come too early */
	pid_t pid = fork();

	if (pid == 0) {
		close(f->out[0]);
		_exit(pump_run(&f->log, 1, block) == 0 ? 0 : 9);
	}
	signals_block(before);
	assert_true(pid > 0);
	return pid;
}

/* it must be a number of lines that no pipe between here and there holds */
static void lines_write(const struct fixture *f, int n)
{
	autoclose int fd = open(f->path, O_WRONLY);
	char line[LINE_BYTES + 1];

	assert_true(fd >= 0);
	for (int i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "%099d\n", i);
		assert_int_equal(write(fd, line, LINE_BYTES), LINE_BYTES);
	}
}

static void out_read(int fd, struct buf *b)
{
	char in[4096];
	ssize_t n;

	while ((n = read(fd, in, sizeof(in))) > 0)
		buf_append(b, in, (size_t)n);
}

static void pump_end(struct fixture *f, pid_t pid, struct buf *b)
{
	int status;

	assert_int_equal(kill(pid, SIGTERM), 0);
	autoclose_(&f->out[1]); /* the pump's is the last: its end is the end */
	f->out[1] = -1;
	out_read(f->out[0], b);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_drop_is_counted(void **state)
{
	struct fixture *f = *state;
	const int n = 50000;
	unsigned long long lost_lines = 0, lost_bytes = 0, kept = 0;
	autobuf struct buf b = {0};

	assert_int_equal(pump_log_init(&f->log, &f->file, false), 0);
	pid_t pid = pump_fork(f, false);
	lines_write(f, n); /* returns although nobody reads */
	pump_end(f, pid, &b);
	int last = -1;
	for (char *line = b.data, *end; *line; line = end + 1) {
		unsigned long long a, c;
		end = strchr(line, '\n');
		assert_non_null(end);
		const char *words = strstr(line, "log: ");
		if (strncmp(line, "docker-router-init: ", 20) == 0 && words && words < end &&
		    sscanf(words + 5, "%llu lines (%llu bytes) were lost", &a, &c) == 2) {
			lost_lines += a;
			lost_bytes += c;
			continue;
		}
		assert_int_equal(end - line, LINE_BYTES - 1); /* whole */
		assert_true(atoi(line) > last);
		last = atoi(line);
		kept++;
	}
	assert_true(lost_lines > 0);
	assert_int_equal(kept + lost_lines, n);
	assert_int_equal(kept * LINE_BYTES + lost_bytes, (long long)n * LINE_BYTES);
}

static void test_a_killed_pump_loses_nothing(void **state)
{
	struct fixture *f = *state;
	autobuf struct buf b = {0}, want = {0};
	int status;

	assert_int_equal(pump_log_init(&f->log, &f->file, false), 0);
	pid_t pid = pump_fork(f, false);
	lines_write(f, 5000); /* more than the pipe, less than the spill */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	pid = pump_fork(f, false);
	pump_end(f, pid, &b);
	for (int i = 0; i < 5000; i++)
		buf_printf(&want, "%099d\n", i);
	assert_int_equal(b.len, want.len);
	assert_memory_equal(b.data, want.data, want.len);
}

/* A pump that was killed when its read() had taken @text, and a write() of the first @written bytes was carried out */
static void killed_at(struct fixture *f, const char *text, size_t written)
{
	struct pump_bytes *b = &f->log.state->taking;

	b->reading = true;
	memcpy(b->bytes, text, strlen(text));
	if (!written)
		return;
	b->n = strlen(text);
	b->reading = false;
	assert_int_equal(write(f->log.spill[1], text, written), written);
	f->log.state->done_then = f->log.state->spilled_then = written;
}

/* What the next pump passes on, after that one */
static void next_pump_says(struct fixture *f, const char *want)
{
	autobuf struct buf b = {0};

	pump_end(f, pump_fork(f, false), &b);
	assert_string_equal(b.data, want);
}

static void test_what_a_killed_pump_had_read(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pump_log_init(&f->log, &f->file, false), 0);
	killed_at(f, "it was read\n", 0);
	next_pump_says(f, "it was read\n");
}

static void test_what_a_killed_pump_had_written(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pump_log_init(&f->log, &f->file, false), 0);
	killed_at(f, "written\nnot yet\n", strlen("written\n"));
	next_pump_says(f, "written\nnot yet\n");
}

static void test_what_a_killed_pump_had_written_not(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pump_log_init(&f->log, &f->file, false), 0);
	killed_at(f, "one\ntwo\n", strlen("one\n"));
	f->log.state->taking.done = strlen("one\n");
	f->log.state->done_then = f->log.state->spilled_then = strlen("one\ntwo\n");
	next_pump_says(f, "one\ntwo\n");
}

/* What follows a gap begins at the beginning of a line, also when the pump was killed there */
static void test_a_pump_killed_behind_a_gap(void **state)
{
	struct fixture *f = *state;
	autobuf struct buf b = {0};

	assert_int_equal(pump_log_init(&f->log, &f->file, false), 0);
	f->log.state->mode = PUMP_SKIP;
	killed_at(f, "half a line\na whole one\n", 0);
	pump_end(f, pump_fork(f, false), &b);
	assert_memory_equal(b.data, "a whole one\n", 12);
	assert_non_null(strstr(b.data, ": 1 lines (12 bytes) were lost"));
}

static void test_stdout_that_is_closed(void **state)
{
	struct fixture *f = *state;
	autobuf struct buf b = {0};
	int status;

	assert_int_equal(pump_log_init(&f->log, &f->file, true), 0);
	pid_t pid = pump_fork(f, true);
	close(f->out[0]);
	f->out[0] = -1;
	lines_write(f, 50000); /* with block too: nobody will ever read */
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_handover(void **state)
{
	struct fixture *f = *state;
	int status;

	assert_int_equal(pump_log_init(&f->log, &f->file, true), 0);
	pid_t pid = pump_fork(f, true);
	assert_int_equal(kill(pid, SIGUSR1), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 9);
}

static void test_placing_again_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct stat a, b;
	bool is_new;

	assert_int_equal(stat(f->path, &a), 0);
	assert_true(S_ISFIFO(a.st_mode) && (a.st_mode & 0777) == 0666);
	assert_int_equal(log_file_place(&f->file, -1, &is_new, NULL), 0);
	assert_false(is_new);
	/* removed: a new one; the old one is still read, who has it open writes on */
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(log_file_place(&f->file, -1, &is_new, NULL), 0);
	assert_true(is_new);
	assert_int_equal(f->file.n_sources, 2);
	assert_int_equal(stat(f->path, &b), 0);
	assert_true(S_ISFIFO(b.st_mode));
	/* however often */
	for (int i = 0; i < 10; i++) {
		assert_int_equal(unlink(f->path), 0);
		assert_int_equal(log_file_place(&f->file, -1, &is_new, NULL), 0);
	}
	assert_int_equal(f->file.n_sources, LIMIT_LOG_SOURCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_drop_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_killed_pump_loses_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_a_killed_pump_had_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_a_killed_pump_had_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_a_killed_pump_had_written_not, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_pump_killed_behind_a_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stdout_that_is_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_handover, setup, teardown),
		cmocka_unit_test_setup_teardown(test_placing_again_changes_nothing, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
