/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: host
 *
 * One process per Docker host that starts the roles, restarts what dies, and is the namespace broker for those that
 * write the kernel. It holds the privileges that the roles lack, and therefore does little: it parses nothing that
 * comes from a network, and of its own children it believes only requests of the broker's grammar.
 *
 * Ending it ends the roles and nothing else. What they made is the kernel's, and traffic goes on; `docker-router down`
 * is what removes it.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/log.h"
#include "host/notify.h"
#include "host/supervise.h"
#include "io/broker.h"
#include "io/child.h"
#include "io/instance.h"
#include "io/loop.h"
#include "io/ns.h"
#include "state/config.h"
#include "state/host.h"
#include "state/identity.h"

#define HOST_LOCK "host.lock"
#define HOST_ALL                                                                                                    \
	(FOR_ALL | FOR_HOST | FOR_INVENTORY | FOR_DISCOVERY | FOR_ROUTER | FOR_NAMES | FOR_MULTICAST | FOR_ATTACH | \
	 FOR_DRIVER)
#define WRITE_WAIT_US  (10 * USEC_PER_MSEC) /* several roles that start together are one change */
#define WRITE_RETRY_US (2 * USEC_PER_SEC)

struct host {
	uv_loop_t loop;
	int argc;
	char **argv, **env;
	struct config config;
	struct state_dir dir;
	int lock, lock_ns;
	char host_id[HOST_ID_LEN + 1], run_dir[256], exe_dir[256];
	struct host_state state;
	bool write_failed, stopping;
	char **role_env;
	size_t n_role_env, cap_role_env;
	struct supervisor *supervisor;
	struct notify *notify;
	struct timer *write;
	struct sigwatch *sigterm, *sigint, *sighup, *sigchld;
};

/* --- the environment of the roles --- */

/* Is @pair, "NAME=value", of this name (which may itself go on with '=')? */
static bool pair_is(const char *pair, const char *name)
{
	size_t len = strcspn(name, "=");

	return strncmp(pair, name, len) == 0 && pair[len] == '=';
}

/* Takes @pair, "NAME=value"; one of the same name is replaced */
static void role_env_set(struct host *h, char *pair)
{
	for (size_t i = 0; i < h->n_role_env; i++) {
		if (pair_is(h->role_env[i], pair)) {
			free(h->role_env[i]);
			h->role_env[i] = pair;
			return;
		}
	}
	*xgrow(&h->role_env, h->n_role_env, &h->cap_role_env) = pair;
	h->n_role_env++;
}

/* "--state-dir" and "/x" to "STATE_DIR=/x" */
static char *option_to_env(const char *name, size_t len, const char *value)
{
	char *pair = xasprintf("%.*s=%s", (int)len, name, value);

	for (char *c = pair; *c != '='; c++)
		*c = *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
	return pair;
}

/*
 * Options of our command line go to the roles as environment variables: a role refuses options that are another's, but
 * passes over variables that are. That they parse has been seen before.
 */
static void role_env_init(struct host *h)
{
	static const char *const ours[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", BROKER_FD_ENV};

	for (char **e = h->env; *e; e++) {
		bool keep = strchr(*e, '=') != NULL;

		for (size_t i = 0; i < ARRAY_LEN(ours); i++)
			keep &= !pair_is(*e, ours[i]);
		if (keep)
			role_env_set(h, xstrdup(*e));
	}
	for (int i = 0; i < h->argc && strncmp(h->argv[i], "--", 2) == 0 && h->argv[i][2]; i++) {
		const char *name = h->argv[i] + 2;
		size_t len = strcspn(name, "=");
		const char *value = "true";

		if (name[len])
			value = name + len + 1;
		else if (i + 1 < h->argc && strncmp(h->argv[i + 1], "--", 2) != 0)
			value = h->argv[++i];
		role_env_set(h, option_to_env(name, len, value));
	}
	/* the end that readers look for */
	*xgrow(&h->role_env, h->n_role_env, &h->cap_role_env) = NULL;
}

/* --- host.json and the service manager --- */

static void host_write(void *arg)
{
	struct host *h = arg;
	size_t running = 0;
	struct err err;
	int rc;

	h->state.last_update = wall_now();
	h->state.n_roles = supervisor_state(h->supervisor, h->state.roles, ARRAY_LEN(h->state.roles));
	for (size_t i = 0; i < h->state.n_roles; i++)
		running += h->state.roles[i].state == ROLE_RUNNING;
	rc = host_state_write(h->dir.fd, &h->state, &err);
	if (rc < 0 && !h->write_failed)
		log_warning(STATE_HOST " cannot be written, the old one stays", kv_str("why", err.text));
	else if (rc == 0 && h->write_failed)
		log_info(STATE_HOST " is written again");
	h->write_failed = rc < 0;
	if (rc < 0 && !h->stopping)
		timer_start(h->write, WRITE_RETRY_US);
	notify_send(h->notify, "STATUS=%zu of %zu roles run", running, h->state.n_roles);
}

static void on_changed(void *arg)
{
	struct host *h = arg;

	if (!timer_is_set(h->write))
		timer_start(h->write, WRITE_WAIT_US);
}

static void on_stopped(void *arg)
{
	struct host *h = arg;

	timer_stop(h->write);
	host_write(h);
	loop_stop(&h->loop);
}

/* --- signals --- */

static void on_stop_signal(void *arg, int signum)
{
	struct host *h = arg;

	if (h->stopping)
		return;
	h->stopping = true;
	log_info("stopping; traffic goes on", kv_int("signal", signum));
	notify_send(h->notify, "STOPPING=1");
	supervisor_stop(h->supervisor);
}

static int host_config(struct host *h, struct config *ret, struct err *err)
{
	int rest = 0, rc = config_load(HOST_ALL, "host", h->argc, h->argv, h->env, ret, &rest, err);

	if (rc != 0)
		return rc;
	if (rest < h->argc)
		rc = err_set(err, -EINVAL, "\"%.100s\": no arguments are known but options, see --help", h->argv[rest]);
	else if (ret->dry_run)
		rc = err_set(err, -EINVAL, "--dry-run is for `docker-router router`: host starts what works");
	if (rc != 0)
		config_done(ret);
	return rc;
}

static void on_sighup(void *arg, int signum)
{
	struct host *h = arg;
	struct config c;
	struct err err;

	if (h->stopping)
		return;
	notify_reloading(h->notify);
	if (host_config(h, &c, &err) != 0) {
		log_error("settings stay as they were", kv_str("why", err.text));
		str_copy(h->state.refused, err.text);
	} else {
		log_set_level(c.log_level);
		supervisor_set_roles(h->supervisor, c.roles);
		/* a folder that was changed in the file is another host: that takes a restart */
		if (!str_eq(c.state_dir, h->config.state_dir) || !str_eq(c.run_dir, h->config.run_dir))
			log_warning("STATE_DIR and RUN_DIR are read at start only");
		config_done(&c);
		log_info("settings re-read");
		h->state.refused[0] = '\0';
	}
	host_write(h);
	supervisor_signal(h->supervisor, signum);
	notify_send(h->notify, "READY=1");
}

static void on_sigchld(void *arg, int signum)
{
	struct host *h = arg;

	(void)signum;
	child_reap_orphans(&h->loop);
}

/* --- start and end --- */

static int host_lock(struct host *h, struct err *err)
{
	char text[32] = "";
	ssize_t n;

	h->lock = openat(h->dir.fd, HOST_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (h->lock < 0)
		return err_errno(err, -errno, "%s/" HOST_LOCK, h->dir.path);
	if (flock(h->lock, LOCK_EX | LOCK_NB) < 0) {
		int rc = -errno;

		n = pread(h->lock, text, sizeof(text) - 1, 0);
		text[n > 0 ? strspn(text, "0123456789") : 0] = '\0';
		if (rc != -EWOULDBLOCK)
			return err_errno(err, rc, "lock %s/" HOST_LOCK, h->dir.path);
		return err_set(err, -EBUSY,
			       "another host, pid %s, works on %s: stop it, or give this one a STATE_DIR of its own",
			       text[0] ? text : "unknown", h->dir.path);
	}
	/* `down` takes the file away while it holds the lock: then ours is a lock on nothing */
	struct stat st;
	if (fstat(h->lock, &st) == 0 && st.st_nlink == 0)
		return err_set(err, -EAGAIN, "%s was just taken down: start again", h->dir.path);
	n = snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(h->lock, 0) < 0 || pwrite(h->lock, text, (size_t)n, 0) != n)
		log_warning("cannot write our pid into " HOST_LOCK, kv_str("why", strerror(errno)));
	return 0;
}

/*
 * Two routers in one network namespace would undo each other's work without end, and a STATE_DIR of its own does not
 * keep them apart.
 */
static int host_lock_namespace(struct host *h, struct err *err)
{
	if (!strstr(h->config.roles, "router"))
		return 0;
	h->lock_ns = instance_claim(-1, err);
	if (h->lock_ns == -EADDRINUSE)
		return err_set(err, -EBUSY,
			       "another host with a router works in this network namespace, on another STATE_DIR than "
			       "%s: stop it",
			       h->dir.path);
	return h->lock_ns < 0 ? h->lock_ns : 0;
}

/* --- what a host of another host_id left --- */

static void on_left(void *arg, const char *path)
{
	struct err err;

	(void)arg;
	if (instance_remove(path, &err) < 0)
		log_warning("router namespaces of an earlier host_id cannot be removed", kv_str("path", path),
			    kv_str("why", err.text));
	else
		log_info("router namespaces of an earlier host_id removed", kv_str("path", path));
}

/*
 * A new host_id has an INSTANCE of its own, and the kernel makes no VXLAN device as long as that of the old one is
 * there.
 */
static void host_remove_left(struct host *h, const struct host_state *before)
{
	autoclose int ns = h->lock_ns < 0 ? -1 : ns_open("/proc/self/ns/net", NULL);
	char dir[256] = "";

	if (ns < 0)
		return;
	instances_left(h->config.run_dir, ns, h->run_dir, on_left, NULL);
	/* RUN_DIR may have been another one */
	str_copy(dir, before->run_dir);
	char *slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	if (dir[0] == '/' && !str_eq(dir, h->config.run_dir))
		instances_left(dir, ns, h->run_dir, on_left, NULL);
}

static int host_find_self(struct host *h, struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", h->exe_dir, sizeof(h->exe_dir) - 1);
	char *slash;

	if (n <= 0)
		return err_errno(err, -errno, "/proc/self/exe");
	h->exe_dir[n] = '\0';
	slash = strrchr(h->exe_dir, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

static int host_init(struct host *h, struct err *err)
{
	struct host_state before = {0};
	struct file_owner owner;
	int rc;

	if (geteuid() != 0)
		return err_set(err, -EPERM, "needs root: it enters network namespaces for its roles");
	rc = state_dir_open(h->config.state_dir, &h->dir, err);
	if (rc < 0)
		return rc;
	rc = host_lock(h, err);
	if (rc == 0)
		rc = host_lock_namespace(h, err);
	if (rc < 0)
		return rc;
	err->text[0] = '\0';
	rc = identity_load(&h->dir, h->host_id, err);
	if (rc < 0)
		return rc;
	if (err->text[0])
		log_warning("new host_id made", kv_str("why", err->text));
	rc = host_find_self(h, err);
	if (rc < 0)
		return rc;
	owner = owner_of_root(&h->dir);
	if (host_state_read(h->dir.fd, &owner, &before, NULL) == 0)
		supervisor_end_leftovers(&before);
	else
		before = (struct host_state){0};
	str_print(h->state.instance, "%.8s", h->host_id);
	if (str_print(h->run_dir, "%s/%.8s", h->config.run_dir, h->host_id) >= (int)sizeof(h->run_dir))
		return err_set(err, -ENAMETOOLONG, "RUN_DIR=%s: too long", h->config.run_dir);
	host_remove_left(h, &before);
	str_copy(h->state.run_dir, h->run_dir);
	str_copy(h->state.key_file, h->config.cluster_key_file);
	str_copy(h->state.release, RELEASE);
	h->state.pid = getpid();
	if (readlink("/proc/self/ns/net", h->state.netns, sizeof(h->state.netns) - 1) < 0)
		return err_errno(err, -errno, "/proc/self/ns/net");
	return 0;
}

static void host_start(struct host *h)
{
	role_env_init(h);
	h->notify = notify_new(&h->loop, h->env);
	h->write = timer_new(&h->loop, "write", host_write, h);
	h->sigterm = sigwatch_new(&h->loop, SIGTERM, on_stop_signal, h);
	h->sigint = sigwatch_new(&h->loop, SIGINT, on_stop_signal, h);
	h->sighup = sigwatch_new(&h->loop, SIGHUP, on_sighup, h);
	if (getpid() == 1)
		h->sigchld = sigwatch_new(&h->loop, SIGCHLD, on_sigchld, h);
	h->supervisor = supervisor_new(&h->loop, &(struct supervisor_spec){.exe_dir = h->exe_dir,
									   .run_dir = h->run_dir,
									   .env = h->role_env,
									   .changed = on_changed,
									   .stopped = on_stopped,
									   .arg = h});
	log_info("starting", kv_str("release", RELEASE), kv_str("instance", h->state.instance),
		 kv_str("state_dir", h->dir.path), kv_str("roles", h->config.roles));
	supervisor_set_roles(h->supervisor, h->config.roles);
	notify_send(h->notify, "READY=1");
}

static void host_done(struct host *h)
{
	supervisor_free(h->supervisor);
	notify_free(h->notify);
	timer_free(h->write);
	sigwatch_free(h->sigterm);
	sigwatch_free(h->sigint);
	sigwatch_free(h->sighup);
	sigwatch_free(h->sigchld);
	loop_done(&h->loop);
	/* the file stays, so that there is no moment with two locks; an empty one means that nobody runs */
	if (h->lock >= 0 && h->supervisor && ftruncate(h->lock, 0) < 0)
		log_debug("cannot empty " HOST_LOCK);
	autoclose_(&h->lock);
	state_dir_done(&h->dir);
	for (size_t i = 0; i < h->n_role_env; i++)
		free(h->role_env[i]);
	free(h->role_env);
	config_done(&h->config);
}

int main(int argc, char **argv)
{
	struct host h = {.argc = argc - 1, .argv = argv + 1, .env = environ, .lock = -1, .lock_ns = -1, .dir.fd = -1};
	struct err err;
	int rc = host_config(&h, &h.config, &err);

	if (rc == 1)
		return 0;
	if (rc < 0) {
		fprintf(stderr, "docker-router host: %s\n", err.text);
		return 2;
	}
	log_init("host", h.config.log_level, h.config.log_format);
	loop_init(&h.loop);
	rc = host_init(&h, &err);
	if (rc < 0) {
		log_error("cannot start", kv_str("why", err.text));
	} else {
		host_start(&h);
		loop_run(&h.loop);
		log_info("stopped");
	}
	host_done(&h);
	return rc < 0 ? 1 : 0;
}
