/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router keygen, and docker-router key: what CLUSTER_KEY_FILE holds. Keys go in by a file or by stdin, never by
 * the command line, where `ps` shows them; and out by keygen alone.
 */
#include <signal.h>
#include <sodium.h>

#include "cli/cli.h"
#include "cli/down.h"
#include "state/identity.h"
#include "state/join.h"
#include "state/keyring.h"
#include "state/wg_keys.h"

int verb_keygen(struct cli *c)
{
	char word[KEY_TEXT_LEN + 1], now[WALL_STRLEN];
	struct key k;

	if (sodium_init() < 0) {
		fputs("docker-router keygen: the system has no random numbers\n", stderr);
		return EXIT_FAILED;
	}
	key_make(&k);
	key_format(&k, word);
	if (c->json)
		printf("{\n \"id\": \"%s\",\n \"key\": \"%s\",\n \"made\": \"%s\"\n}\n", k.id, word,
		       wall_format(c->now, now));
	else
		printf("# A key of docker-router, for CLUSTER_KEY_FILE of all hosts of a cluster. Whoever has it is a "
		       "member.\n"
		       "# Keep it to root: chmod 600.\n%s # %s, made %s\n",
		       word, k.id, wall_format(c->now, now));
	sodium_memzero(word, sizeof(word));
	sodium_memzero(&k, sizeof(k));
	if (fflush(stdout) == 0)
		return EXIT_DONE;
	fprintf(stderr, "docker-router keygen: cannot write: %s\n", strerror(errno));
	return EXIT_FAILED;
}

const char *key_file_path(const struct cli *c, const struct state_files *f)
{
	if (c->config.cluster_key_file[0])
		return c->config.cluster_key_file;
	if (f->code[FILE_HOST] == 0 && f->host.key_file[0])
		return f->host.key_file;
	return c->default_key;
}

/* The keys that are to be added. "-" is stdin: wherever that comes from, it has no owner to be looked at */
static int keys_get(const char *from, struct keyring *ret, struct err *err)
{
	char text[KEYRING_FILE_BYTES + 1];
	size_t len;
	int rc;

	if (!str_eq(from, "-"))
		return keyring_read(from, ret, err);
	len = fread(text, 1, sizeof(text), stdin);
	if (ferror(stdin) || len > KEYRING_FILE_BYTES)
		rc = err_set(err, -EINVAL, "stdin is no key file");
	else
		rc = keyring_parse(text, len, ret, err);
	sodium_memzero(text, sizeof(text));
	return rc;
}

/* Where there is no file yet, the first key makes one */
static int key_add(struct buf *text, const struct key *k, struct err *err)
{
	char word[KEY_TEXT_LEN + 1];
	struct buf next = {0};
	int rc = 0;

	if (text->len) {
		rc = keyring_add(text, k, &next, err);
	} else {
		key_format(k, word);
		buf_reserve(&next, KEYRING_FILE_BYTES);
		buf_printf(&next, "# Keys of docker-router: the first seals, all open.\n%s # %s\n", word, k->id);
		sodium_memzero(word, sizeof(word));
	}
	if (rc < 0)
		return rc;
	keyring_text_done(text);
	*text = next;
	return 0;
}

static int keys_add(const struct cli *c, struct buf *text, struct err *err)
{
	struct keyring more = {.n = 0};
	size_t added = 0;
	int rc = keys_get(c->arg2 ? c->arg2 : "-", &more, err);

	for (size_t i = 0; rc == 0 && i < more.n; i++) {
		rc = key_add(text, &more.keys[i], err);
		added += rc == 0;
		if (rc == -EEXIST && more.n > 1)
			rc = 0;
	}
	keyring_done(&more);
	if (rc == 0 && added == 0)
		rc = err_set(err, -EEXIST, "all these keys are in it already");
	return rc;
}

static int text_edit(const struct cli *c, struct buf *text, struct err *err)
{
	struct buf next = {0};
	int rc;

	if (str_eq(c->arg, "add"))
		return keys_add(c, text, err);
	rc = str_eq(c->arg, "use") ? keyring_use(text, c->arg2, &next, err) : keyring_remove(text, c->arg2, &next, err);
	if (rc < 0)
		return rc;
	keyring_text_done(text);
	*text = next;
	return 0;
}

/* A running role of the host shall read the file again; *ret_pid is 0 when there is none */
static int role_tell(const struct state_files *f, const char *role, int32_t *ret_pid)
{
	*ret_pid = 0;
	for (size_t i = 0; f->code[FILE_HOST] == 0 && i < f->host.n_roles; i++) {
		const struct host_role *r = &f->host.roles[i];

		if (!str_eq(r->role, role) || r->pid <= 1)
			continue;
		autoclose int pidfd = pidfd_of(r->pid);
		if (pidfd < 0 || !role_runs(r->role, r->pid))
			continue;
		*ret_pid = r->pid;
		return pidfd_signal(pidfd, SIGHUP);
	}
	return 0;
}

static struct table *keys_table(const struct keyring *r)
{
	static const struct column columns[] = {{"id", "ID", 0}, {"use", "USE", 0}, {"fingerprint", "FINGERPRINT", 0}};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < r->n; i++) {
		cell_str(t, r->keys[i].id);
		cell_str(t, i == 0 ? "seals and opens" : "opens");
		cell_str(t, r->keys[i].fingerprint);
	}
	return t;
}

static int keys_print(const struct cli *c, const char *path, const struct keyring *r, const char *told)
{
	struct output o;

	output_begin(&o, stdout, c->json, false);
	output_value(&o, "file", json_text(path));
	output_table(&o, "keys", NULL, NULL, keys_table(r));
	if (told[0]) {
		output_gap(&o);
		output_line(&o, "%s", told);
	}
	return verb_end(c, &o, EXIT_DONE);
}

static int key_run(const struct cli *c, const struct state_files *f, const char *path, char *told, size_t size,
		   struct keyring *ret, struct err *err)
{
	bool edit = !str_eq(c->arg, "list");
	struct buf text = {0};
	int32_t pid = 0;
	int rc = keyring_load(path, &text, err);

	if (rc == -ENOENT && str_eq(c->arg, "add"))
		rc = 0;
	if (rc == 0 && edit)
		rc = text_edit(c, &text, err);
	if (rc == 0)
		rc = keyring_parse(text.data, text.len, ret, err);
	if (rc == 0 && edit)
		rc = keyring_save(path, &text, err);
	if (rc == -EROFS || rc == -EBUSY)
		err_set(err, rc, "%s: %s: where it is mounted into a container, mount its folder, and writable", path,
			strerror(-rc));
	keyring_text_done(&text);
	if (rc < 0 || !edit)
		return rc;
	/* WireGuard's pre-shared keys come from these */
	if (f->router.wireguard.device[0] && (rc = role_tell(f, "router", &pid)) < 0)
		return err_errno(err, rc, "the file is changed, but the router (pid %d) could not be told", pid);
	rc = role_tell(f, "discovery", &pid);
	if (rc < 0)
		return err_errno(err, rc, "the file is changed, but discovery (pid %d) could not be told", pid);
	if (pid)
		snprintf(told, size, "Discovery (pid %d) was told.", pid);
	else
		snprintf(told, size, "No host runs here; a discovery of its own reads the file again on SIGHUP.");
	return 0;
}

/* Where the key goes that no CLUSTER_KEY_FILE has a place for */
static int key_folder(const struct cli *c, struct err *err)
{
	struct state_dir dir;
	int rc = state_dir_open(c->config.state_dir, &dir, err);

	if (rc < 0)
		return rc;
	rc = join_key_folder(dir.fd, err);
	state_dir_done(&dir);
	return rc;
}

/* Another private key of WireGuard: made here, since the router changes nothing unasked, and taken over by the router
 */
static int key_renew(const struct cli *c, const struct state_files *f)
{
	struct err err = {0};
	int32_t pid = 0;
	int rc = 0;

	if (c->dir.fd < 0)
		rc = err_set(&err, -ENOENT, "%s", c->dir_why.text);
	else if (f->code[FILE_ROUTER] != 0 || !f->router.wireguard.device[0])
		rc = err_set(&err, -EINVAL, "this host does not use WireGuard (ENCRYPTION)");
	if (rc == 0)
		rc = wg_next_make(&c->dir, &err);
	if (rc == 0 && role_tell(f, "router", &pid) < 0)
		rc = err_set(&err, -ESRCH, "the key is made, but the router (pid %d) could not be told", pid);
	if (rc < 0) {
		fprintf(stderr, "docker-router key: %s\n", err.text);
		return EXIT_FAILED;
	}
	struct output o;
	output_begin(&o, stdout, c->json, false);
	output_value(&o, "told", pid ? json_integer(pid) : json_null());
	output_line(&o,
		    "A new key is made. %s Traffic goes on; `docker-router status` tells how many hosts have taken it.",
		    pid ? "The router was told." : "No router runs; one takes it over when it starts.");
	return verb_end(c, &o, EXIT_DONE);
}

int verb_key(struct cli *c)
{
	bool list = str_eq(c->arg, "list"), add = str_eq(c->arg, "add");
	struct state_files f;
	struct keyring ring = {.n = 0};
	struct err err = {0};
	char told[120] = "";
	int status;

	bool renew = str_eq(c->arg, "renew");

	if ((!list && !add && !renew && !str_eq(c->arg, "use") && !str_eq(c->arg, "remove")) ||
	    ((list || renew) && c->arg2) || (!list && !add && !renew && !c->arg2)) {
		fputs("docker-router key: add [FILE], use ID, remove ID, list or renew is expected; see --help\n",
		      stderr);
		return EXIT_USAGE;
	}
	if (sodium_init() < 0)
		return EXIT_FAILED;
	state_files_load(&c->dir, &f);
	if (renew) {
		status = key_renew(c, &f);
		state_files_done(&f);
		return status;
	}
	const char *path = key_file_path(c, &f);
	char made[512];

	if (!path[0] && add && f.code[FILE_HOST] == 0) { /* the first key of a host without CLUSTER_KEY_FILE */
		if (key_folder(c, &err) < 0) {
			fprintf(stderr, "docker-router key: %s\n", err.text);
			state_files_done(&f);
			return EXIT_FAILED;
		}
		join_key_path("", c->config.state_dir, made, sizeof(made));
		path = made;
	}
	if (!path[0]) {
		fputs("docker-router key: which file? No host runs here: start it first, or name the file with "
		      "--cluster-key-file\n",
		      stderr);
		status = EXIT_USAGE;
	} else if (key_run(c, &f, path, told, sizeof(told), &ring, &err) < 0) {
		fprintf(stderr, "docker-router key: %s\n", err.text);
		status = EXIT_FAILED;
	} else {
		status = keys_print(c, path, &ring, told);
	}
	keyring_done(&ring);
	state_files_done(&f);
	return status;
}
