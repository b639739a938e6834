/* SPDX-License-Identifier: Apache-2.0
 *
 * Children of the verbs. A verb has nothing else to do while it waits, so each run has a loop of its own.
 */
#include "cli/run.h"

#include <sys/mman.h>

#include "cli/output.h"
#include "io/child.h"
#include "io/loop.h"

struct run {
	uv_loop_t *loop;
	struct run_result *ret;
};

static void run_ended(void *arg, const struct child_result *r)
{
	struct run *run = arg;

	run->ret->status = r->status;
	run->ret->signal = r->signal;
	buf_puts(&run->ret->out, r->out->data ? r->out->data : "");
	buf_puts(&run->ret->err_out, r->err_out->data ? r->err_out->data : "");
	loop_stop(run->loop);
}

static int input_open(const char *input, struct err *err)
{
	autoclose int fd = memfd_create("input", MFD_CLOEXEC);
	size_t len = strlen(input);

	if (fd < 0 || write(fd, input, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, errno ? -errno : -EIO, "memfd");
	return steal_fd(fd);
}

int run_wait(const char *const *argv, int ns_fd, const char *input, const char *const *env, int timeout_ms,
	     struct run_result *ret, struct err *err)
{
	autoclose int in = -1;
	uv_loop_t loop;
	struct child *child;
	struct run run = {.loop = &loop, .ret = ret};

	*ret = (struct run_result){.status = -1};
	if (input) {
		in = input_open(input, err);
		if (in < 0)
			return in;
	}
	struct child_spec spec = {.argv = argv,
				  .env = env,
				  .stdin_fd = in,
				  .ns_fd = ns_fd,
				  .timeout_ms = timeout_ms,
				  .flags = CHILD_COLLECT | CHILD_PDEATHSIG};
	loop_init(&loop);
	int code = child_spawn(&loop, &spec, run_ended, &run, &child, err);
	if (code == 0)
		loop_run(&loop);
	loop_done(&loop);
	return code;
}

void run_result_done(struct run_result *r)
{
	buf_done(&r->out);
	buf_done(&r->err_out);
}

const char *run_first_line(const struct run_result *r, char *out, size_t size)
{
	const struct buf *said = r->err_out.len ? &r->err_out : &r->out;
	autobuf struct buf safe = {0};

	if (said->len) {
		autofree char *line = xstrndup(said->data, strcspn(said->data, "\n"));
		text_safe(&safe, line, false);
	} else if (r->signal) {
		buf_printf(&safe, "killed by signal %d", r->signal);
	} else {
		buf_printf(&safe, "exit status %d", r->status);
	}
	snprintf(out, size, "%s", safe.data ? safe.data : "");
	return out;
}

int role_path(const char *role, char *out, size_t size)
{
	char self[512];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0 || !out)
		return -ENOENT;
	self[n] = 0;
	char *slash = strrchr(self, '/');
	if (!slash)
		return -ENOENT;
	*slash = 0;
	snprintf(out, size, "%s/docker-router-%s", self, role);
	if (access(out, X_OK) == 0)
		return 0;
	snprintf(out, size, "%s/../%s/docker-router-%s", self, role, role);
	return access(out, X_OK) == 0 ? 0 : -ENOENT;
}
