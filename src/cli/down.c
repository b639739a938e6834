/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: docker-router down
 *
 * Removes every trace, with nothing but STATE_DIR and RUN_DIR to go by:
 *
 *   1. a running host is asked to stop (down_host.c), since it would heal what we take away
 *   2. peers are told goodbye
 *   3. the host's namespace: policy rules, routes, neighbours, links, the nft table
 *   4. the containers' namespaces: routes and neighbours that led them to a leg or NIC
 *   5. the router namespaces: their devices, then their pins
 *   6. the state files - last, and only when all else went: they are how a second run finds what is left
 *
 * Whatever is not there is not missed: a second run says so and is done.
 */
#include "cli/down.h"
#include "state/driver.h"
#include "state/join.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "cli/run.h"
#include "cli/sweep.h"
#include "io/instance.h"
#include "io/ns.h"
#include "state/wg_keys.h"

#define GOODBYE_TIMEOUT_MS 2000
#define NFT_TIMEOUT_MS	   10000

void down_told(struct down *d, const char *kind, const char *what, int code, const char *why)
{
	const char *result = code < 0 ? "failed" : d->dry_run ? "would be removed" : "removed";

	down_said(d, kind, what, result, why);
	if (code < 0)
		d->failed++;
}

void down_said(struct down *d, const char *kind, const char *what, const char *result, const char *why)
{
	d->n++;
	if (d->cli->json) {
		json_t *o = json_object();
		json_object_set_new(o, "kind", json_string(kind));
		json_object_set_new(o, "what", json_text(what));
		json_object_set_new(o, "where", json_text(d->where));
		json_object_set_new(o, "result", json_string(result));
		json_object_set_new(o, "why", json_text(why));
		json_array_append_new(d->rows, o);
		return;
	}
	/* line by line as it happens: who watches sees where it stands */
	autobuf struct buf text = {0}, safe = {0};
	buf_printf(&text, "%s: %s %s%s%s%s%s", d->where, kind, what, what[0] ? " " : "", result, why[0] ? ": " : "",
		   why);
	text_safe(&safe, text.data, d->utf8);
	printf("%s\n", safe.data);
	fflush(stdout);
}

static void swept(void *arg, const char *kind, const char *what, int code, const char *why)
{
	down_told(arg, kind, what, code, why);
}

static void down_where(struct down *d, const char *fmt, ...) PRINTF(2, 3);
static void down_where(struct down *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->where, sizeof(d->where), fmt, ap);
	va_end(ap);
}

static void goodbye(struct down *d)
{
	char path[600], text[160];
	const struct state_files *f = &d->files;
	autofree char *dir = xasprintf("STATE_DIR=%s", d->cli->dir.path);
	autofree char *keys = xasprintf("CLUSTER_KEY_FILE=%s", key_file_path(d->cli, f)); /* peers hear nothing else */
	struct run_result r;
	struct err err = {0};

	if (f->code[FILE_DISCOVERY] != 0 || f->discovery.self.n_stacks == 0)
		return;
	if (d->dry_run) {
		down_said(d, "peers", "", "would be told goodbye", "");
		return;
	}
	if (role_path("discovery", path, sizeof(path)) < 0)
		return; /* peers find out by themselves after PEER_TIMEOUT */

	size_t n = 0;
	while (environ[n])
		n++;
	autofree const char **env = xcalloc(n + 3, sizeof(*env));
	env[0] = dir; /* before an older one of that name: the first is found */
	env[1] = keys;
	memcpy(env + 2, environ, n * sizeof(*env));
	const char *argv[] = {path, "--say-goodbye", NULL};
	int code = run_wait(argv, d->host_ns, NULL, env, GOODBYE_TIMEOUT_MS, &r, &err);
	if (code < 0)
		down_said(d, "peers", "", "not told goodbye, they find out in a while", err.text);
	else if (r.status != 0)
		down_said(d, "peers", "", "not told goodbye, they find out in a while",
			  run_first_line(&r, text, sizeof(text)));
	else
		down_said(d, "peers", "", "told goodbye", "");
	if (code == 0)
		run_result_done(&r);
}

static void nft_remove(struct down *d, const char *family, const char *name)
{
	const char *argv[] = {"nft", "delete", "table", family, name, NULL};
	char what[96], text[160] = "";
	struct run_result r;
	struct err err = {0};

	str_print(what, "table %s %s", family, name);
	if (d->dry_run) {
		down_told(d, "nft", what, 0, "");
		return;
	}
	int code = run_wait(argv, d->host_ns, NULL, NULL, NFT_TIMEOUT_MS, &r, &err);
	if (code < 0) {
		down_told(d, "nft", what, code, err.text);
		return;
	}
	if (r.status != 0)
		run_first_line(&r, text, sizeof(text));
	down_told(d, "nft", what, r.status == 0 ? 0 : -EIO, text);
	run_result_done(&r);
}

static void nft_tables(struct down *d)
{
	const char *argv[] = {"nft", "list", "tables", NULL};
	char text[160], *save = NULL, family[16], name[64];
	struct run_result r;
	struct err err = {0};

	int code = run_wait(argv, d->host_ns, NULL, NULL, NFT_TIMEOUT_MS, &r, &err);
	if (code == -ENOENT && d->files.code[FILE_ROUTER] == -ENOENT)
		return; /* the router never ran here, and could not have without nft */
	if (code < 0) {
		down_told(d, "nft", "list tables", code, err.text);
		return;
	}
	if (r.status != 0)
		down_told(d, "nft", "list tables", -EIO, run_first_line(&r, text, sizeof(text)));
	for (char *line = strtok_r(r.out.data, "\n", &save); line && r.status == 0;
	     line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "table %15s %63s", family, name) == 2 &&
		    (str_eq(name, SWEEP_TABLE) || str_eq(name, SWEEP_MULTICAST)))
			nft_remove(d, family, name);
	}
	run_result_done(&r);
}

static void host_namespace(struct down *d)
{
	struct err err = {0};
	int flags = d->dry_run ? SWEEP_DRY_RUN : 0;

	down_where(d, "host");
	int code = sweep_home(d->host_ns, d->host_ns, flags, swept, d, &err);
	if (code == 0)
		code = sweep_namespace(d->host_ns, flags, swept, d, &err);
	if (code < 0)
		down_told(d, "links, routes and rules", "", code, err.text);
	nft_tables(d);
}

static void containers(struct down *d)
{
	const struct inventory *inv = &d->files.inventory;

	for (size_t i = 0; i < inv->n_stacks; i++) {
		for (size_t j = 0; j < inv->stacks[i].n_containers; j++) {
			const struct inv_container *c = &inv->stacks[i].containers[j];
			autoclose int fd = container_ns_open(c);
			struct err err = {0};

			if (fd < 0 || ns_same(fd, d->host_ns))
				continue; /* it has ended, and took all with it */
			down_where(d, "container %s", c->name);
			int code = sweep_namespace(fd, d->dry_run ? SWEEP_DRY_RUN : 0, swept, d, &err);
			if (code < 0)
				down_told(d, "routes", "", code, err.text);
		}
	}
}

/* What attach has put into containers: interfaces of the host go home, the rest goes */
static void attached(struct down *d)
{
	const struct inventory *inv = &d->files.inventory;
	int flags = d->dry_run ? SWEEP_DRY_RUN : 0;

	for (size_t i = 0; i < inv->n_attach; i++) {
		const struct inv_container *c = &inv->attach[i].container;
		autoclose int fd = inv->attach[i].running ? container_ns_open(c) : -1;
		struct err err = {0};

		if (fd < 0 || ns_same(fd, d->host_ns))
			continue;
		down_where(d, "container %s", c->name);
		int code = sweep_home(fd, d->host_ns, flags, swept, d, &err);
		if (code == 0)
			code = sweep_namespace(fd, flags, swept, d, &err);
		if (code < 0)
			down_told(d, "NICs", "", code, err.text);
	}
}

static void pin_remove(struct down *d, const char *path)
{
	struct err err = {0};
	autoclose int fd = ns_open(path, &err);

	/* its devices first: a VXLAN device's UDP socket lives in the host's namespace, and someone may hold this one
	 * open for a while yet */
	if (fd >= 0) {
		int flags = SWEEP_ALL_LINKS | (d->dry_run ? SWEEP_DRY_RUN : 0);
		int code = sweep_namespace(fd, flags, swept, d, &err);
		if (code < 0)
			down_told(d, "links", "", code, err.text);
	}
	int code = d->dry_run ? 0 : ns_unpin(path, &err);
	down_told(d, "namespace", path, code, code < 0 ? err.text : "");
}

static int pins_remove(struct down *d, const char *run_dir)
{
	struct dirent **names = NULL;
	int n = scandir(run_dir, &names, NULL, versionsort);

	for (int i = 0; i < n; i++) {
		if (instance_pin_name(names[i]->d_name)) {
			autofree char *path = xasprintf("%s/%s", run_dir, names[i]->d_name);
			if (str_eq(names[i]->d_name, PIN_WIREGUARD))
				down_where(d, "WireGuard namespace");
			else
				down_where(d, "router namespace %s", names[i]->d_name + 4);
			pin_remove(d, path);
		}
		free(names[i]);
	}
	free(names);
	return n;
}

static void run_dir_remove(struct down *d, const char *run_dir)
{
	if (pins_remove(d, run_dir) < 0)
		return;
	down_where(d, "host");
	if (d->dry_run) {
		down_told(d, "directory", run_dir, 0, "");
		return;
	}
	if (rmdir(run_dir) == 0)
		down_told(d, "directory", run_dir, 0, "");
	else if (errno == ENOTEMPTY || errno == EEXIST)
		down_said(d, "directory", run_dir, "kept", "there is something in it that is not ours");
	else if (errno != ENOENT && errno != EBUSY) /* busy: somebody's mount, a volume */
		down_told(d, "directory", run_dir, -errno, strerror(errno));
	rmdir(d->cli->config.run_dir); /* when no other instance is left */
}

/* The instance's folder: from host.json; without that, from the host id, as the host makes it; or "" */
static void instance_path(struct down *d, char *ret, size_t size)
{
	char id[HOST_ID_LEN + 8] = "";
	autobuf struct buf b = {0};

	ret[0] = 0;
	if (d->files.code[FILE_HOST] == 0 && d->files.host.run_dir[0] == '/') {
		snprintf(ret, size, "%s", d->files.host.run_dir);
		return;
	}
	struct file_owner owner = owner_of_root(&d->cli->dir);
	if (file_read(d->cli->dir.fd, STATE_HOST_ID, 256, &owner, &b, NULL) == 0)
		snprintf(id, sizeof(id), "%.8s", b.data);
	if (strspn(id, "0123456789abcdef") == 8)
		snprintf(ret, size, "%s/%s", d->cli->config.run_dir, id);
}

static void on_left(void *arg, const char *path)
{
	run_dir_remove(arg, path);
}

/*
 * Our own, and then what is in this network namespace of a host id that is forgotten: one that was removed, or went
 * with all of STATE_DIR. Not while another host works here: then they are its own.
 */
static void run_dirs(struct down *d)
{
	char own[300], dir[256];
	autoclose int claim = instance_claim(d->host_ns, NULL);

	instance_path(d, own, sizeof(own));
	if (own[0])
		run_dir_remove(d, own);
	if (claim < 0)
		return;
	str_copy(dir, d->cli->config.run_dir);
	instances_left(dir, d->host_ns, own, on_left, d);
	char *slash = strrchr(own, '/');
	if (!slash)
		return;
	str_print(dir, "%.*s", (int)(slash - own), own);
	if (!str_eq(dir, d->cli->config.run_dir))
		instances_left(dir, d->host_ns, own, on_left, d);
}

static void file_remove(struct down *d, const char *name)
{
	struct stat st;

	if (fstatat(d->cli->dir.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
		return;
	int code = d->dry_run || unlinkat(d->cli->dir.fd, name, 0) == 0 ? 0 : -errno;
	down_told(d, "file", name, code, code < 0 ? strerror(-code) : "");
}

/* What the roles write; who we are goes with --purge only */
static const char *const written[] = {STATE_HOST_ID,   STATE_INVENTORY, STATE_DISCOVERY, STATE_NAMES,
				      STATE_RECORDS,   STATE_ROUTER,	STATE_HOST,	 STATE_WIREGUARD,
				      STATE_MULTICAST, STATE_ATTACH,	STATE_DRIVER};

/* ".inventory.json.0123456789abcdef": left by a writer that was killed before its rename */
static bool temp_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(written); i++) {
		size_t len = strlen(written[i]);
		if (name[0] == '.' && strncmp(name + 1, written[i], len) == 0 && name[len + 1] == '.' &&
		    strlen(name + len + 2) == 16 && strspn(name + len + 2, "0123456789abcdef") == 16)
			return true;
	}
	return false;
}

/* WireGuard's private key: a host that comes back makes another, and tells the others */
static void key_remove(struct down *d)
{
	file_remove(d, WG_KEYS_DIR "/" WG_KEY_FILE);
	file_remove(d, WG_KEYS_DIR "/" WG_NEXT_FILE);
	if (!d->dry_run)
		(void)unlinkat(d->cli->dir.fd, WG_KEYS_DIR, AT_REMOVEDIR); /* unless there is something else in it */
}

static void files_remove(struct down *d)
{
	struct dirent **names = NULL;
	const char *dir = d->cli->dir.path;

	down_where(d, "%s", dir);
	for (size_t i = 1; i < ARRAY_LEN(written); i++)
		file_remove(d, written[i]);
	file_remove(d, HOST_LOCK);
	key_remove(d);
	int n = scandir(dir, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (temp_name(names[i]->d_name))
			file_remove(d, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	if (!(d->cli->options & OPT_PURGE))
		return;
	file_remove(d, STATE_HOST_ID);
	file_remove(d, STATE_JOIN);
	file_remove(d, STATE_PLUGS);
	file_remove(d, STATE_KEY_FILE);
	(void)!(d->dry_run || unlinkat(d->cli->dir.fd, STATE_KEYS, AT_REMOVEDIR) == 0);
	if (d->dry_run || rmdir(dir) == 0)
		down_told(d, "directory", dir, 0, "");
	else if (errno == ENOTEMPTY || errno == EEXIST)
		down_said(d, "directory", dir, "kept", "there is something in it that is not ours");
	else if (errno != EBUSY) /* a volume: its mount is not ours to take away */
		down_told(d, "directory", dir, -errno, strerror(errno));
}

static int down_finish(struct down *d, int status)
{
	if (d->cli->json) {
		struct output o;
		output_begin(&o, stdout, true, false);
		output_value(&o, "removed", d->rows);
		output_value(&o, "dry_run", json_boolean(d->dry_run));
		status = verb_end(d->cli, &o, status);
	} else if (d->n == 0 && status == EXIT_DONE) {
		printf("nothing to remove\n");
	}
	return status;
}

int verb_down(struct cli *c)
{
	struct down d = {.cli = c, .dry_run = c->options & OPT_DRY_RUN, .host_ns = -1, .lock = -1, .where = "host"};
	int status = EXIT_FAILED;

	d.utf8 = style_detect(stdout, false).utf8;
	if (c->dir.fd < 0 && c->dir_why.code != -ENOENT) {
		fprintf(stderr, "docker-router down: %s\n", c->dir_why.text);
		return EXIT_FAILED;
	}
	d.rows = c->json ? json_array() : NULL;
	if (c->dir.fd < 0)
		return down_finish(&d, EXIT_DONE);
	if (geteuid() != 0) {
		fprintf(stderr, "docker-router down: needs root, to enter the namespaces and change them\n");
		json_decref(d.rows);
		return EXIT_FAILED;
	}
	state_files_load(&c->dir, &d.files);
	if (down_host(&d) == 0) {
		goodbye(&d);
		attached(&d);
		host_namespace(&d);
		containers(&d);
		run_dirs(&d);
		if (d.failed == 0)
			files_remove(&d);
		else
			fprintf(stderr,
				"docker-router down: %zu could not be removed; the state files stay, so that it can be "
				"run again\n",
				d.failed);
		status = d.failed ? EXIT_FAILED : EXIT_DONE;
	}
	status = down_finish(&d, status);
	if (d.host_ns >= 0)
		close(d.host_ns);
	if (d.lock >= 0)
		close(d.lock);
	state_files_done(&d.files);
	return status;
}
