/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router token, and docker-router join: a new host gets the keys of a cluster and somebody to ask, by one word
 * that is never on a command line, in a log or in a state file. join writes the key file first and join.json then,
 * which is what discovery watches.
 */
#include "state/join.h"

#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <sys/stat.h>

#include "cli/cli.h"

#define EXPIRES_S     3600
#define EXPIRES_MAX_S (UINT64_C(365) * 86400)
#define STDIN_MS      3000
#define WAIT_US	      (10 * USEC_PER_SEC)
#define WAIT_STEP_MS  20
#define TOKEN_MEMBERS 3 /* others that a token names beside us */

static int fail(const struct cli *c, const char *text)
{
	autobuf struct buf safe = {0};

	text_safe(&safe, text, false);
	fprintf(stderr, "docker-router %s: %s\n", c->verb, safe.data ? safe.data : "");
	return EXIT_FAILED;
}

/* --- token --- */

/* "90s", "30m", "12h", "7d" */
static int duration_parse(const char *s, uint64_t *ret_s)
{
	static const struct {
		char unit;
		uint64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char number[16];
	size_t len = strlen(s);

	if (len < 2 || len > sizeof(number))
		return -EINVAL;
	memcpy(number, s, len - 1);
	number[len - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (s[len - 1] != units[i].unit || parse_u64(number, 1, EXPIRES_MAX_S / units[i].s, ret_s) < 0)
			continue;
		*ret_s *= units[i].s;
		return 0;
	}
	return -EINVAL;
}

/* Ourselves, and some others that are there: one of them that can be reached is enough */
static void token_members(const struct discovery *d, struct join_list *ret)
{
	struct endpoint self = {.ip = d->self.host_ip, .port = d->gossip.port};
	char text[ENDPOINT_STRLEN];
	size_t n = 0;

	for (size_t i = 0; i < d->gossip.n_members && n < TOKEN_MEMBERS; i++) {
		if (d->gossip.members[i].status != MEMBER_ALIVE)
			continue;
		join_list_add(ret, endpoint_format(&d->gossip.members[i].address, text));
		n++;
	}
	if (!ip_is_none(&self.ip))
		join_list_add(ret, endpoint_format(&self, text));
}

static int token_make(const struct cli *c, const struct state_files *f, struct join_token *t, struct err *err)
{
	const struct discovery *d = &f->discovery;
	const char *path = key_file_path(c, f);
	uint64_t expires_s = EXPIRES_S;
	struct join_target target;
	int rc;

	if (c->expires && duration_parse(c->expires, &expires_s) < 0)
		return err_set(err, -EINVAL, "--expires=%s: allowed is a number with s, m, h or d, at most 365d",
			       c->expires);
	if (c->arg && join_parse(c->arg, c->config.gossip_port, &target) < 0)
		return err_set(err, -EINVAL, "%s: allowed is a name or an address, with or without port", c->arg);
	t->made = c->now;
	t->expires.ms = c->now.ms + (int64_t)expires_s * 1000;
	if (f->code[FILE_DISCOVERY] == 0 && d->gossip.port)
		token_members(d, &t->join);
	if (c->arg)
		join_list_add(&t->join, c->arg);
	if (t->join.n == 0)
		return err_set(err, -ENOENT,
			       "whom is it to join by? Discovery does not run here in mode gossip: name a member");
	if (!path[0])
		return 0;
	rc = keyring_read(path, &t->ring, err);
	return rc;
}

int verb_token(struct cli *c)
{
	struct join_token t = {.join.n = 0};
	struct buf text = {0};
	struct state_files f;
	struct err err = {0};
	char until[WALL_STRLEN];
	int rc, status = EXIT_DONE;

	if (sodium_init() < 0)
		return EXIT_FAILED;
	state_files_load(&c->dir, &f);
	rc = token_make(c, &f, &t, &err);
	if (rc < 0) {
		status = fail(c, err.text);
		status = rc == -EINVAL ? EXIT_USAGE : status;
	} else {
		join_token_print(&t, &text);
		wall_format(t.expires, until);
		if (c->json)
			printf("{\"token\":\"%s\",\"expires\":\"%s\",\"sealed\":%s}\n", text.data, until,
			       t.ring.n ? "true" : "false");
		else
			printf("%s\n", text.data);
		keyring_text_done(&text);
		fprintf(stderr, "Good until %s. On the new host: docker-router join --token-file FILE, as root.\n",
			until);
		if (t.ring.n)
			fprintf(stderr, "It holds the keys of the cluster: whoever reads it is a member.\n");
		else
			fprintf(stderr, "It holds no key: discovery is not sealed, anybody on the network can join.\n");
		if (fflush(stdout) != 0)
			status = fail(c, "cannot write");
	}
	join_token_done(&t);
	state_files_done(&f);
	return status;
}

/* --- join --- */

/* What is piped in, if anything is. Nobody types a token */
static int stdin_read(bool wanted, struct buf *text, struct err *err)
{
	struct stat st;
	char data[512];
	int64_t end_us = mono_now().us + STDIN_MS * USEC_PER_MSEC;

	if (!wanted && (isatty(STDIN_FILENO) || fstat(STDIN_FILENO, &st) < 0 ||
			!(S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode))))
		return 0;
	buf_reserve(text, JOIN_TOKEN_BYTES + sizeof(data));
	while (text->len <= JOIN_TOKEN_BYTES) {
		struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
		int64_t left_us = end_us - mono_now().us;

		/* an open pipe that says nothing is no token, unless one is expected there */
		if (!wanted && poll(&p, 1, left_us > 0 ? (int)(left_us / USEC_PER_MSEC) : 0) == 0)
			break;
		ssize_t n = read(STDIN_FILENO, data, sizeof(data));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		buf_append(text, data, (size_t)n);
	}
	sodium_memzero(data, sizeof(data));
	return text->len > JOIN_TOKEN_BYTES ? err_set(err, -E2BIG, "stdin holds more than a token") : 0;
}

static int token_read(const struct cli *c, struct buf *text, struct err *err)
{
	if (!c->token_file)
		return stdin_read(false, text, err);
	if (str_eq(c->token_file, "-"))
		return stdin_read(true, text, err);
	return file_read(AT_FDCWD, c->token_file, JOIN_TOKEN_BYTES, NULL, text, err);
}

/* The keys of the token first, what was there before behind them */
static int ring_write(const char *path, const struct keyring *ring, struct err *err)
{
	struct buf text = {0}, next = {0};
	int rc = keyring_load(path, &text, err);

	if (rc == -ENOENT) {
		char word[KEY_TEXT_LEN + 1];

		buf_reserve(&text, KEYRING_FILE_BYTES);
		buf_puts(&text, "# Keys of docker-router: the first seals, all open.\n");
		for (size_t i = 0; i < ring->n; i++) {
			key_format(&ring->keys[i], word);
			buf_printf(&text, "%s # %s\n", word, ring->keys[i].id);
		}
		sodium_memzero(word, sizeof(word));
		rc = 0;
	} else if (rc == 0) {
		for (size_t i = 0; i < ring->n && rc == 0; i++) {
			rc = keyring_add(&text, &ring->keys[i], &next, err);
			if (rc == -EEXIST) {
				rc = 0;
				continue;
			}
			if (rc < 0)
				break;
			keyring_text_done(&text);
			text = next;
			next = (struct buf){0};
		}
		if (rc == 0)
			rc = keyring_use(&text, ring->keys[0].id, &next, err);
		if (rc == 0) {
			keyring_text_done(&text);
			text = next;
		}
	}
	if (rc == 0)
		rc = keyring_save(path, &text, err);
	keyring_text_done(&text);
	return rc;
}

struct joining {
	struct cli *cli;
	struct state_dir dir;
	struct state_files files;
	struct join_file file;
	char key_path[512];
};

/* Said to doctor too, which looks at another time */
static int refuse(struct joining *j, const struct err *why)
{
	struct err err = {0};

	str_copy(j->file.refused, why->text);
	j->file.refused_at = j->cli->now;
	if (join_file_write(j->dir.fd, &j->file, &err) < 0)
		fail(j->cli, err.text);
	return fail(j->cli, why->text);
}

static int join_write(struct joining *j, const struct join_token *t, struct err *err)
{
	const char *named = key_file_path(j->cli, &j->files);
	struct join_target target;
	int rc = 0;

	for (size_t i = t->join.n; i-- > 0;)
		join_list_add(&j->file.join, t->join.to[i]);
	if (j->cli->arg && join_parse(j->cli->arg, j->cli->config.gossip_port, &target) < 0)
		return err_set(err, -EINVAL, "%s: allowed is a name or an address, with or without port", j->cli->arg);
	if (j->cli->arg)
		join_list_add(&j->file.join, j->cli->arg);
	if (j->file.join.n == 0)
		return err_set(err, -EINVAL, "whom by? Name a member, HOST[:PORT], or give a token");
	join_key_path(named, j->dir.path, j->key_path, sizeof(j->key_path));
	if (t->ring.n && !named[0])
		rc = join_key_folder(j->dir.fd, err);
	if (rc == 0 && t->ring.n)
		rc = ring_write(j->key_path, &t->ring, err);
	if (rc < 0)
		return rc;
	j->file.refused[0] = '\0';
	return join_file_write(j->dir.fd, &j->file, err);
}

static size_t alive(const struct discovery *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->gossip.n_members; i++)
		n += d->gossip.members[i].status <= MEMBER_SUSPECT;
	return n;
}

/* Return: how many members there are; 0 and @d as it was last */
static size_t join_wait(const struct joining *j, struct discovery *d)
{
	struct file_owner owner = owner_of_discovery(&j->dir);
	int64_t end_us = mono_now().us + WAIT_US;
	size_t n = 0;

	do {
		struct discovery now;

		poll(NULL, 0, WAIT_STEP_MS);
		if (discovery_read(j->dir.fd, &owner, &now, NULL) < 0)
			continue;
		discovery_done(d);
		*d = now;
		n = d->last_update.ms >= j->cli->now.ms / 1000 * 1000 ? alive(d) : 0;
	} while (n == 0 && mono_now().us < end_us);
	return n;
}

static int join_tell(struct joining *j, bool keys)
{
	struct discovery d = {0};
	struct output o;
	size_t n = 0;
	bool there = j->files.code[FILE_DISCOVERY] == 0, mode = j->files.discovery.gossip.port != 0;
	int status = EXIT_DONE;

	if (there && mode)
		n = join_wait(j, &d);
	output_begin(&o, stdout, j->cli->json, false);
	output_value(&o, "members", json_integer((json_int_t)n));
	if (keys)
		output_line(&o, "The keys are in %s.", j->key_path);
	if (n) {
		output_line(&o, "Joined: %zu other member%s.", n, n == 1 ? "" : "s");
	} else if (!there) {
		output_line(&o, "Discovery does not run here yet. It joins when it starts with DISCOVERY_MODE=gossip.");
	} else if (!mode) {
		output_line(&o,
			    "Discovery runs here in mode %s: start it again with DISCOVERY_MODE=gossip, and it joins.",
			    j->files.discovery.self.modes[0] ? j->files.discovery.self.modes : "unknown");
	} else {
		status = EXIT_FAILED;
		output_line(&o, "Nobody has answered within %d s. Discovery goes on trying, if it runs.",
			    (int)(WAIT_US / USEC_PER_SEC));
		for (size_t i = 0; i < d.problems.n; i++) {
			output_line(&o, "%s: %s", d.problems.v[i].object, d.problems.v[i].text);
			output_block(&o, 2, d.problems.v[i].cure);
		}
	}
	discovery_done(&d);
	return verb_end(j->cli, &o, status);
}

static int join_run(struct joining *j)
{
	struct file_owner owner = owner_of_root(&j->dir);
	struct join_token t = {.join.n = 0};
	struct buf text = {0};
	struct err err = {0};
	bool keys = false;
	int rc = join_file_read(j->dir.fd, &owner, &j->file, &err), status = EXIT_FAILED;

	if (rc < 0 && rc != -ENOENT)
		fail(j->cli, err.text); /* it is written anew */
	err = (struct err){0};
	rc = token_read(j->cli, &text, &err);
	if (rc == 0 && (text.len || j->cli->token_file))
		rc = join_token_parse(text.data ? text.data : "", text.len, j->cli->now, &t, &err);
	keyring_text_done(&text);
	if (rc == -EKEYEXPIRED || rc == -ETIME)
		status = refuse(j, &err);
	else if (rc < 0)
		fail(j->cli, err.text);
	else {
		keys = t.ring.n > 0;
		rc = join_write(j, &t, &err);
		if (rc < 0)
			fail(j->cli, err.text);
		status = rc == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	}
	join_token_done(&t);
	return rc < 0 ? status : join_tell(j, keys);
}

int verb_join(struct cli *c)
{
	struct joining j = {.cli = c, .dir.fd = -1};
	struct err err = {0};
	int status;

	if (sodium_init() < 0)
		return EXIT_FAILED;
	if (c->arg && strncmp(c->arg, JOIN_TOKEN_HEAD, strlen(JOIN_TOKEN_HEAD)) == 0)
		return fail(c,
			    "a token is not for the command line, where everybody on the machine can read it: make a "
			    "new one, and give it by --token-file or stdin");
	if (state_dir_open(c->config.state_dir, &j.dir, &err) < 0)
		return fail(c, err.text);
	state_files_load(&j.dir, &j.files);
	status = join_run(&j);
	state_files_done(&j.files);
	state_dir_done(&j.dir);
	return status;
}
