/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting, restarting and ending the roles. A role's timer means the next start while it waits, and the last patience
 * while it is being ended.
 */
#include "host/supervise.h"

#include <signal.h>
#include <sys/socket.h>

#include "base/log.h"
#include "io/broker.h"
#include "io/child.h"

#define RESTART_FIRST_US (100 * USEC_PER_MSEC)
#define RESTART_LAST_US	 (30 * USEC_PER_SEC)
#define RESTART_RESET_US (60 * USEC_PER_SEC)
#define STOP_US		 (5 * USEC_PER_SEC)
#define EXIT_USAGE	 2

struct role {
	struct supervisor *supervisor;
	char name[16];
	bool wanted;
	struct child *child;
	struct timer *timer;
	struct backoff backoff;
	mono_t started;
	wall_t since;
	uint32_t restarts;
	char last_exit[64];
};

struct supervisor {
	uv_loop_t *loop;
	char exe_dir[256], run_dir[256];
	char *const *env;
	loop_fn *changed, *stopped;
	void *arg;
	struct role *roles[ARRAY_LEN(((struct host_state *)0)->roles)];
	size_t n_roles;
	bool stopping;
	struct timer *stopped_timer;
};

int64_t backoff_next(struct backoff *b, int64_t ran_us, int status)
{
	int64_t delay_us = 0;

	if (ran_us >= RESTART_RESET_US)
		b->failures = 0;
	if (b->failures > 0) {
		delay_us = RESTART_FIRST_US;
		for (unsigned i = 1; i < b->failures && delay_us < RESTART_LAST_US; i++)
			delay_us *= 2;
	}
	if (delay_us > RESTART_LAST_US || status == EXIT_USAGE)
		delay_us = RESTART_LAST_US;
	b->failures++;
	return delay_us;
}

/* Beside us where it is installed, in its own folder in the build tree */
static int role_path(const struct supervisor *s, const char *name, char *ret, size_t size)
{
	if (snprintf(ret, size, "%s/docker-router-%s", s->exe_dir, name) < (int)size && access(ret, X_OK) == 0)
		return 0;
	if (snprintf(ret, size, "%s/../%s/docker-router-%s", s->exe_dir, name, name) < (int)size &&
	    access(ret, X_OK) == 0)
		return 0;
	return -ENOENT;
}

static bool env_has(char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; *env; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			return true;
	return false;
}

static void role_ended(void *arg, const struct child_result *r);

static int role_spawn(struct role *role, struct err *err)
{
	struct supervisor *s = role->supervisor;
	autoclose int broker_ours = -1, broker_theirs = -1;
	autofree const char **env = NULL;
	char path[320];
	const char *argv[] = {path, NULL};
	struct child_spec spec = {
		.argv = argv,
		.stdin_fd = -1,
		.pass_fds = &broker_theirs,
		.ns_fd = -1,
		.flags = CHILD_PDEATHSIG,
	};
	size_t n = 0;
	unsigned ops = 0; /* that the broker does for it */
	int rc = role_path(s, role->name, path, sizeof(path));

	if (rc < 0)
		return err_set(err, rc, "no executable docker-router-%s beside %s", role->name, s->exe_dir);
	while (s->env[n])
		n++;
	env = xcalloc(n + 4, sizeof(*env));
	memcpy(env, s->env, n * sizeof(*env));
	env[n++] = "DOCKER_ROUTER_HOST=1"; /* wait for the files of the other roles instead of asking for settings */
	/* A supervisor that stops or restarts its roles does not leave: peers must not take our routes away for it */
	if (str_eq(role->name, "discovery") && !env_has(s->env, "GOODBYE"))
		env[n++] = "GOODBYE=never";
	if (str_eq(role->name, "router"))
		ops = BROKER_OPS_ROUTER;
	else if (str_eq(role->name, "names"))
		ops = BROKER_OPS_NAMES;
	else if (str_eq(role->name, "multicast"))
		ops = BROKER_OPS_MULTICAST;
	else if (str_eq(role->name, "attach"))
		ops = BROKER_OPS_ATTACH;
	else if (str_eq(role->name, "driver"))
		ops = BROKER_OPS_DRIVER;
	if (ops) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
			return err_errno(err, -errno, "make a socket pair");
		broker_ours = pair[0];
		broker_theirs = pair[1];
		spec.n_pass_fds = 1;
		env[n++] = BROKER_FD_ENV "=3";
	}
	spec.env = env;
	rc = child_spawn(s->loop, &spec, role_ended, role, &role->child, err);
	/* it frees itself when the role, and with it the other end, is gone */
	if (rc == 0 && broker_ours >= 0 && !broker_serve(s->loop, steal_fd(broker_ours), s->run_dir, ops))
		log_error("no broker for role", kv_str("role", role->name));
	return rc;
}

static void role_wait(struct role *role, int64_t delay_us)
{
	timer_start(role->timer, delay_us);
}

static void role_start(struct role *role)
{
	struct err err;
	int rc;

	role->started = mono_now();
	role->since = wall_now();
	rc = role_spawn(role, &err);
	if (rc < 0) {
		int64_t delay_us = backoff_next(&role->backoff, 0, EXIT_USAGE);

		role->child = NULL;
		str_print(role->last_exit, "%.60s", "not started");
		log_error("cannot start role", kv_str("role", role->name), kv_str("why", err.text),
			  kv_int("next_try_ms", delay_us / USEC_PER_MSEC));
		role_wait(role, delay_us);
	} else {
		log_info("role started", kv_str("role", role->name), kv_int("pid", child_pid(role->child)));
	}
	role->supervisor->changed(role->supervisor->arg);
}

static void supervisor_tell_stopped(void *arg)
{
	struct supervisor *s = arg;

	s->stopped(s->arg);
}

static void supervisor_check_stopped(struct supervisor *s)
{
	for (size_t i = 0; i < s->n_roles; i++)
		if (s->roles[i]->child)
			return;
	if (s->stopping && !timer_is_set(s->stopped_timer))
		timer_start(s->stopped_timer, 0);
}

static void role_ended(void *arg, const struct child_result *r)
{
	struct role *role = arg;
	struct supervisor *s = role->supervisor;
	int64_t ran_us = mono_now().us - role->started.us, delay_us;

	role->child = NULL;
	role->since = wall_now();
	if (r->signal)
		str_print(role->last_exit, "signal %d", r->signal);
	else
		str_print(role->last_exit, "exit %d", r->status);
	timer_stop(role->timer);
	if (!role->wanted) {
		log_info("role stopped", kv_str("role", role->name), kv_str("how", role->last_exit));
	} else {
		delay_us = backoff_next(&role->backoff, ran_us, r->status);
		role->restarts++;
		log_warning("role ended", kv_str("role", role->name), kv_str("how", role->last_exit),
			    kv_int("ran_s", ran_us / USEC_PER_SEC), kv_int("next_start_ms", delay_us / USEC_PER_MSEC));
		if (delay_us == 0) {
			role_start(role);
			return;
		}
		role_wait(role, delay_us);
	}
	s->changed(s->arg);
	supervisor_check_stopped(s);
}

static void role_timer(void *arg)
{
	struct role *role = arg;

	if (role->wanted && !role->child) {
		role_start(role);
	} else if (role->child) {
		log_warning("role does not end, killing it", kv_str("role", role->name),
			    kv_int("pid", child_pid(role->child)));
		child_signal(role->child, SIGKILL);
	}
}

static void role_end(struct role *role)
{
	role->wanted = false;
	timer_stop(role->timer);
	if (role->child) {
		child_signal(role->child, SIGTERM);
		timer_start(role->timer, STOP_US);
	}
}

struct supervisor *supervisor_new(uv_loop_t *loop, const struct supervisor_spec *spec)
{
	struct supervisor *s = xcalloc(1, sizeof(*s));

	s->loop = loop;
	str_copy(s->exe_dir, spec->exe_dir);
	str_copy(s->run_dir, spec->run_dir);
	s->env = spec->env;
	s->changed = spec->changed;
	s->stopped = spec->stopped;
	s->arg = spec->arg;
	s->stopped_timer = timer_new(loop, "stopped", supervisor_tell_stopped, s);
	return s;
}

void supervisor_free(struct supervisor *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_roles; i++) {
		child_abandon(s->roles[i]->child);
		timer_free(s->roles[i]->timer);
		free(s->roles[i]);
	}
	timer_free(s->stopped_timer);
	free(s);
}

static struct role *role_get(struct supervisor *s, const char *name)
{
	struct role *role;

	for (size_t i = 0; i < s->n_roles; i++)
		if (str_eq(s->roles[i]->name, name))
			return s->roles[i];
	if (s->n_roles == ARRAY_LEN(s->roles))
		return NULL;
	role = xcalloc(1, sizeof(*role));
	role->supervisor = s;
	str_copy(role->name, name);
	role->timer = timer_new(s->loop, "role", role_timer, role);
	s->roles[s->n_roles++] = role;
	return role;
}

void supervisor_set_roles(struct supervisor *s, const char *roles)
{
	bool listed[ARRAY_LEN(s->roles)] = {0};
	autofree char *list = xstrdup(roles);
	char *save = NULL;

	for (char *name = strtok_r(list, ", ", &save); name; name = strtok_r(NULL, ", ", &save)) {
		struct role *role = role_get(s, name);

		if (!role)
			continue;
		for (size_t i = 0; i < s->n_roles; i++)
			listed[i] |= s->roles[i] == role;
	}
	for (size_t i = 0; i < s->n_roles; i++) {
		struct role *role = s->roles[i];

		if (!listed[i]) {
			role_end(role);
		} else if (!role->wanted) {
			role->wanted = true;
			role->backoff = (struct backoff){0};
			/* one that is still ending starts again when it has ended */
			if (!role->child)
				role_start(role);
		}
	}
	s->changed(s->arg);
}

void supervisor_stop(struct supervisor *s)
{
	s->stopping = true;
	for (size_t i = 0; i < s->n_roles; i++)
		role_end(s->roles[i]);
	s->changed(s->arg);
	supervisor_check_stopped(s);
}

void supervisor_signal(struct supervisor *s, int signum)
{
	for (size_t i = 0; i < s->n_roles; i++)
		if (s->roles[i]->child)
			child_signal(s->roles[i]->child, signum);
}

size_t supervisor_state(const struct supervisor *s, struct host_role *ret, size_t max)
{
	size_t n = 0;

	for (; n < s->n_roles && n < max; n++) {
		const struct role *role = s->roles[n];

		ret[n] = (struct host_role){
			.pid = role->child ? child_pid(role->child) : 0,
			.state = role->child	? ROLE_RUNNING
				 : role->wanted ? ROLE_WAITING
						: ROLE_STOPPED,
			.since = role->since,
			.restarts = role->restarts,
		};
		str_copy(ret[n].role, role->name);
		str_copy(ret[n].last_exit, role->last_exit);
	}
	return n;
}

/* The last component of the executable of @pid, without what the kernel appends when it was replaced */
static bool process_runs(pid_t pid, const char *program)
{
	char path[48], exe[512], *end;
	const char *base;
	ssize_t n;

	str_print(path, "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return false;
	exe[n] = '\0';
	end = strstr(exe, " (deleted)");
	if (end)
		*end = '\0';
	base = strrchr(exe, '/');
	return base && str_eq(base + 1, program);
}

static pid_t process_parent(pid_t pid)
{
	char path[48], line[128];
	int parent = 0;
	FILE *f;

	str_print(path, "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "PPid: %d", &parent) == 1)
			break;
	if (f)
		fclose(f);
	return parent;
}

void supervisor_end_leftovers(const struct host_state *before)
{
	for (size_t i = 0; i < before->n_roles; i++) {
		const struct host_role *r = &before->roles[i];
		char program[40];

		str_print(program, "docker-router-%s", r->role);
		if (r->pid <= 1 || !process_runs(r->pid, program) ||
		    process_runs(process_parent(r->pid), "docker-router-host"))
			continue;
		log_warning("ending a role that a killed host left behind", kv_str("role", r->role),
			    kv_int("pid", r->pid));
		kill(r->pid, SIGTERM);
	}
}
