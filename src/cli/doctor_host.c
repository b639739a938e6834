/* SPDX-License-Identifier: Apache-2.0
 *
 * What runs here and with which rights: roles, programs, Docker Engines, and network managers that would take our links
 * for theirs.
 */
#include <dirent.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "cli/doctor.h"

#define READ_MAX 8192

static int proc_read(const char *path, char out[static READ_MAX])
{
	FILE *f = fopen(path, "re");

	if (!f)
		return -errno;
	size_t n = fread(out, 1, READ_MAX - 1, f);
	out[n] = 0;
	fclose(f);
	return 0;
}

/* --- roles and what they may --- */

struct capability {
	int number;
	const char *name, *why;
};

static const struct capability host_needs[] = {
	{CAP_NET_ADMIN, "CAP_NET_ADMIN", "to write routes"},
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "to make and enter namespaces"},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "to find containers' namespaces by their process"},
};

static const struct capability router_needs[] = {
	{CAP_NET_ADMIN, "CAP_NET_ADMIN", "to write routes"},
};

static void capabilities_check(struct doctor *d, const char *role, int32_t pid, const struct capability *needs,
			       size_t n_needs)
{
	char path[64], text[READ_MAX];
	unsigned long long have = 0;

	str_print(path, "/proc/%d/status", pid);
	if (proc_read(path, text) < 0)
		return;
	const char *line = strstr(text, "\nCapEff:");
	if (!line || sscanf(line, "\nCapEff: %llx", &have) != 1)
		return;
	for (size_t i = 0; i < n_needs; i++) {
		if (have >> needs[i].number & 1)
			continue;
		doctor_add(
			d, "capabilities", CHECK_ERROR,
			"Start it as root; in a container: docker run --privileged, or --cap-add NET_ADMIN --cap-add "
			"SYS_ADMIN --cap-add SYS_PTRACE --security-opt apparmor=unconfined.",
			"%s (pid %d) has not %s, which it needs %s", role, pid, needs[i].name, needs[i].why);
	}
}

void doctor_roles(struct doctor *d)
{
	const struct host_state *h = &d->files.host;
	size_t bad = 0;

	if (d->files.code[FILE_HOST] != 0)
		return;
	if (!pid_alive(h->pid)) {
		doctor_add(d, "roles", CHECK_ERROR,
			   "Start it: docker-router host. What it made goes on working; docker-router down removes it.",
			   "host (pid %d) does not run: what changes is not followed any more", h->pid);
		return;
	}
	capabilities_check(d, "host", h->pid, host_needs, ARRAY_LEN(host_needs));
	for (size_t i = 0; i < h->n_roles; i++) {
		const struct host_role *r = &h->roles[i];
		if (r->state == ROLE_RUNNING && pid_alive(r->pid)) {
			if (str_eq(r->role, "router"))
				capabilities_check(d, "router", r->pid, router_needs, ARRAY_LEN(router_needs));
			continue;
		}
		bad++;
		doctor_add(d, "roles", CHECK_ERROR, "Its log says why; host starts it again and again.", "%s is %s%s%s",
			   r->role, r->state == ROLE_RUNNING ? "gone" : role_state_names[r->state],
			   r->last_exit[0] ? ", last: " : "", r->last_exit);
	}
	if (bad == 0)
		doctor_add(d, "roles", CHECK_OK, NULL, "host and its %zu roles run", h->n_roles);
}

/* --- programs --- */

void doctor_programs(struct doctor *d)
{
	const char *version[] = {"nft", "--version", NULL}, *json[] = {"nft", "-j", "list", "tables", NULL};
	char text[160];
	struct run_result r;
	struct err err = {0};

	int code = doctor_run(d, version, -1, NULL, &r, &err);
	if (code < 0) {
		doctor_add(d, "nft", code == -ENOENT ? CHECK_ERROR : CHECK_SKIPPED,
			   "Install nftables (on OpenWrt nftables-json).", "the program nft: %s", err.text);
		return;
	}
	autofree char *first = xstrdup(run_first_line(&r, text, sizeof(text)));
	run_result_done(&r);
	if (doctor_run(d, json, -1, NULL, &r, &err) < 0)
		return;
	if (strstr(r.err_out.data, "JSON support not compiled"))
		doctor_add(d, "nft", CHECK_ERROR, "Install it with JSON: nftables-json on OpenWrt.",
			   "nft was built without JSON");
	else
		doctor_add(d, "nft", CHECK_OK, NULL, "%s", first);
	run_result_done(&r);
}

/* --- Docker Engines --- */

static bool socket_answers(const char *path, int *ret_errno)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	if (!str_copy(sun.sun_path, path)) {
		*ret_errno = ENAMETOOLONG;
		return false;
	}
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 || errno == EAGAIN))
		return true;
	*ret_errno = errno;
	return false;
}

/* Return: false when a row says what is wrong with it */
static bool socket_check(struct doctor *d, const char *path)
{
	struct stat st;
	int why = 0;

	if (stat(path, &st) < 0) {
		doctor_add(d, "docker socket", errno == EACCES ? CHECK_SKIPPED : CHECK_ERROR,
			   errno == EACCES
				   ? "Run doctor as root."
				   : "Is dockerd running? In a container: mount it with -v "
				     "/var/run/docker.sock:/var/run/docker.sock, or name another in DOCKER_HOST.",
			   "%s: %s", path, strerror(errno));
		return false;
	}
	if (!S_ISSOCK(st.st_mode)) {
		/* docker run -v makes a missing source as a directory */
		doctor_add(
			d, "docker socket", CHECK_ERROR,
			"It was bind-mounted before dockerd had made it. Stop what mounts it, remove it (rmdir, rm), "
			"start dockerd, then start it again; mounting the folder /var/run instead avoids it for good.",
			"%s: socket mounted as a %s", path, S_ISDIR(st.st_mode) ? "directory" : "file");
		return false;
	}
	if (socket_answers(path, &why))
		return true;
	if (why == EACCES || why == EPERM)
		doctor_add(d, "docker socket", CHECK_SKIPPED, "Run doctor as root.", "%s: %s", path, strerror(why));
	else
		doctor_add(d, "docker socket", CHECK_ERROR,
			   "Start dockerd. If it runs, the socket was made anew since it was mounted here: start the "
			   "container again, or mount the folder /var/run.",
			   "%s: nobody answers (%s)", path, strerror(why));
	return false;
}

static void engine_state_check(struct doctor *d, const struct inv_engine *e)
{
	const char *error = e->error && e->error[0] ? e->error : "no word from it yet";

	if (e->state == ENGINE_CONNECTED)
		doctor_add(d, "engine", CHECK_OK, NULL, "%s: version %s, API %s", e->endpoint,
			   e->engine ? e->engine : "?", e->api ? e->api : "?");
	else
		doctor_add(
			d, "engine", CHECK_ERROR,
			"Start dockerd, or name the right endpoint in DOCKER_HOST. Stacks stay as they were meanwhile.",
			"%s: not connected: %s", e->endpoint, error);
}

void doctor_engines(struct doctor *d)
{
	const struct inventory *inv = &d->files.inventory;
	const struct config *c = &d->cli->config;

	for (size_t i = 0; i < inv->n_engines; i++) {
		const struct inv_engine *e = &inv->engines[i];
		if (e->state != ENGINE_CONNECTED && strncmp(e->endpoint, "unix://", 7) == 0 &&
		    !socket_check(d, e->endpoint + 7))
			continue;
		engine_state_check(d, e);
	}
	for (size_t i = 0; d->files.code[FILE_INVENTORY] != 0 && i < c->n_docker_hosts; i++) {
		if (strncmp(c->docker_hosts[i], "unix://", 7) == 0 && socket_check(d, c->docker_hosts[i] + 7))
			doctor_add(d, "docker socket", CHECK_OK, NULL, "%s answers", c->docker_hosts[i] + 7);
	}
}

void doctor_pids(struct doctor *d)
{
	const struct inventory *inv = &d->files.inventory;
	size_t n = 0;

	for (size_t i = 0; i < inv->n_engines; i++) {
		if (strncmp(inv->engines[i].endpoint, "unix://", 7) != 0)
			return; /* their processes may be another machine's */
	}
	for (size_t i = 0; i < inv->n_stacks; i++) {
		const struct inv_stack *s = &inv->stacks[i];
		for (size_t j = 0; j < s->n_containers; j++) {
			if (s->containers[j].pid <= 0)
				continue;
			if (pid_alive(s->containers[j].pid))
				return;
			n++;
		}
	}
	if (n > 0)
		doctor_add(d, "processes", CHECK_ERROR, "Run docker-router in a container with --pid host.",
			   "%zu container%s, but no process of theirs is seen from here: their namespaces are not "
			   "found (names, "
			   "and paths nic and route)",
			   n, n == 1 ? " runs" : "s run");
}

/* --- network managers --- */

static const struct manager {
	const char *comm; /* /proc/PID/comm holds 15 bytes */
	const char *name;
	const char *snippets[3];
	const char *cure;
} managers[] = {
	{"NetworkManager",
	 "NetworkManager",
	 {"/etc/NetworkManager/conf.d/docker-router.conf", "/usr/lib/NetworkManager/conf.d/docker-router.conf", NULL},
	 "Put packaging/NetworkManager/docker-router.conf into /etc/NetworkManager/conf.d/, then: nmcli general "
	 "reload"},
	{"systemd-network",
	 "systemd-networkd",
	 {"/etc/systemd/networkd.conf.d/docker-router.conf", "/usr/lib/systemd/networkd.conf.d/docker-router.conf",
	  NULL},
	 "Put packaging/networkd/docker-router.conf into /etc/systemd/networkd.conf.d/, then: systemctl "
	 "restart systemd-networkd"},
};

static bool comm_runs(const char *comm)
{
	DIR *dir = opendir("/proc");
	bool found = false;
	struct dirent *e;

	while (dir && !found && (e = readdir(dir))) {
		char path[280], text[READ_MAX];
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		str_print(path, "/proc/%s/comm", e->d_name);
		if (proc_read(path, text) < 0)
			continue;
		text[strcspn(text, "\n")] = 0;
		found = str_eq(text, comm);
	}
	if (dir)
		closedir(dir);
	return found;
}

void doctor_managers(struct doctor *d, const char *root_dir)
{
	for (size_t i = 0; i < ARRAY_LEN(managers); i++) {
		const struct manager *m = &managers[i];
		bool there = false;

		if (!comm_runs(m->comm))
			continue;
		for (size_t j = 0; m->snippets[j] && !there; j++) {
			autofree char *path = xasprintf("%s%s", root_dir, m->snippets[j]);
			there = access(path, F_OK) == 0;
		}
		if (there)
			doctor_add(d, "managers", CHECK_OK, NULL, "%s leaves our links and rules alone (%s)", m->name,
				   "docker-router.conf");
		else
			doctor_add(d, "managers", CHECK_WARNING, m->cure,
				   "%s runs and was not told to leave our links and rules alone", m->name);
	}
}
