/* SPDX-License-Identifier: Apache-2.0
 *
 * Key files: reading with care, and edits of their text. What goes wrong is told by the number of a line, never by what
 * stands on it.
 */
#include "state/keyring.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>

#include "io/file.h"

static const char fingerprint_of[] = "docker-router key fingerprint 1";

/* Names the key by a hash of it: a keyed one of a text, so that it is good for nothing else */
void key_name(struct key *k)
{
	uint8_t hash[KEY_PRINT_LEN / 2];

	crypto_generichash(hash, sizeof(hash), (const uint8_t *)fingerprint_of, sizeof(fingerprint_of) - 1, k->secret,
			   sizeof(k->secret));
	sodium_bin2hex(k->fingerprint, sizeof(k->fingerprint), hash, sizeof(hash));
	memcpy(k->id_bytes, hash, sizeof(k->id_bytes));
	memcpy(k->id, k->fingerprint, KEY_ID_LEN);
	k->id[KEY_ID_LEN] = '\0';
}

void key_make(struct key *ret)
{
	randombytes_buf(ret->secret, sizeof(ret->secret));
	key_name(ret);
}

void key_format(const struct key *k, char out[static KEY_TEXT_LEN + 1])
{
	sodium_bin2base64(out, KEY_TEXT_LEN + 1, k->secret, sizeof(k->secret), sodium_base64_VARIANT_ORIGINAL);
}

/* A line of the text, and the word in it that is a key; len 0: it has none */
struct line {
	const char *begin, *end; /* end: behind its newline */
	const char *word;
	size_t len;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* False at the end. What stands behind the word is a comment, or *@ret_more says that it is not */
static bool line_next(const char **at, const char *end, struct line *ret, bool *ret_more)
{
	const char *s = *at, *stop;

	*ret_more = false;
	if (s >= end)
		return false;
	stop = memchr(s, '\n', (size_t)(end - s));
	*ret = (struct line){.begin = s, .end = stop ? stop + 1 : end};
	stop = stop ? stop : end;
	while (s < stop && is_blank(*s))
		s++;
	ret->word = s;
	while (s < stop && !is_blank(*s) && *s != '#')
		s++;
	ret->len = (size_t)(s - ret->word);
	while (s < stop && is_blank(*s))
		s++;
	*ret_more = s < stop && *s != '#';
	*at = ret->end;
	return true;
}

static int key_parse(const char *word, size_t len, struct key *ret)
{
	size_t n = 0;
	int rc;

	if (len == 2 * (size_t)KEY_BYTES)
		rc = sodium_hex2bin(ret->secret, sizeof(ret->secret), word, len, NULL, &n, NULL);
	else if (len == KEY_TEXT_LEN)
		rc = sodium_base642bin(ret->secret, sizeof(ret->secret), word, len, NULL, &n, NULL,
				       sodium_base64_VARIANT_ORIGINAL);
	else
		return -EINVAL;
	/* A key of zeros is a file that was cut out of nothing */
	if (rc != 0 || n != sizeof(ret->secret) || sodium_is_zero(ret->secret, sizeof(ret->secret)))
		return -EINVAL;
	key_name(ret);
	return 0;
}

static int keyring_put(struct keyring *r, const struct line *l, bool more, unsigned number, struct err *err)
{
	struct key *k = &r->keys[r->n];

	if (r->n == KEYRING_MAX)
		return err_set(err, -E2BIG, "line %u: more than %d keys", number, KEYRING_MAX);
	if (more || key_parse(l->word, l->len, k) < 0)
		return err_set(err, -EINVAL,
			       "line %u: no key: 32 bytes in base64 or hex are expected, and nothing "
			       "behind them but a comment",
			       number);
	for (size_t i = 0; i < r->n; i++) {
		if (sodium_memcmp(r->keys[i].secret, k->secret, KEY_BYTES) == 0)
			return err_set(err, -EINVAL, "line %u: key %s is there twice", number, k->id);
		/* One in four thousand million, and hard to find out about later */
		if (memcmp(r->keys[i].id_bytes, k->id_bytes, KEY_ID_BYTES) == 0)
			return err_set(err, -EINVAL, "line %u: another key has the id %s too: make a new one", number,
				       k->id);
	}
	r->n++;
	return 0;
}

int keyring_parse(const char *text, size_t len, struct keyring *ret, struct err *err)
{
	struct keyring r = {.n = 0};
	const char *at = text;
	struct line l;
	unsigned number = 0;
	bool more;
	int rc = 0;

	while (rc == 0 && line_next(&at, text + len, &l, &more)) {
		number++;
		if (l.len || more)
			rc = keyring_put(&r, &l, more, number, err);
	}
	if (rc == 0 && r.n == 0)
		rc = err_set(err, -EINVAL, "there is no key in it: docker-router keygen prints one");
	if (rc == 0)
		*ret = r;
	keyring_done(&r);
	return rc;
}

void keyring_done(struct keyring *r)
{
	sodium_memzero(r, sizeof(*r));
}

/* --- the file --- */

void keyring_text_done(struct buf *text)
{
	if (text->data)
		sodium_memzero(text->data, text->cap);
	buf_done(text);
}

static int keyring_check(const char *path, const struct stat *st, struct err *err)
{
	if (!S_ISREG(st->st_mode))
		return err_set(err, -EINVAL, "%s: is not a regular file", path);
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return err_set(err, -EPERM, "%s: belongs to uid %u, who could read and change it: chown root", path,
			       st->st_uid);
	if (st->st_mode & 077)
		return err_set(err, -EPERM, "%s: mode %04o lets others at it: chmod 600", path,
			       (unsigned)(st->st_mode & 07777));
	if (st->st_size > KEYRING_FILE_BYTES)
		return err_set(err, -E2BIG, "%s: more than %d bytes", path, KEYRING_FILE_BYTES);
	return 0;
}

int keyring_load(const char *path, struct buf *ret_text, struct err *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct buf b = {0};
	struct stat st;
	int rc;

	if (fd < 0 && errno == ELOOP)
		return err_set(err, -ELOOP, "%s: is a symlink: name the file itself", path);
	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	if (fstat(fd, &st) < 0)
		return err_errno(err, -errno, "%s", path);
	rc = keyring_check(path, &st, err);
	if (rc < 0)
		return rc;
	/* Once for all of it: where a buffer moves, what it held stays behind */
	buf_reserve(&b, KEYRING_FILE_BYTES + 2);
	while (b.len <= KEYRING_FILE_BYTES) {
		ssize_t n = read(fd, b.data + b.len, KEYRING_FILE_BYTES + 1 - b.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = err_errno(err, -errno, "%s", path);
			break;
		}
		if (n == 0)
			break;
		b.len += (size_t)n;
	}
	b.data[b.len] = '\0';
	if (rc == 0 && b.len > KEYRING_FILE_BYTES)
		rc = err_set(err, -E2BIG, "%s: more than %d bytes", path, KEYRING_FILE_BYTES);
	if (rc == 0)
		*ret_text = b;
	else
		keyring_text_done(&b);
	return rc;
}

int keyring_read(const char *path, struct keyring *ret, struct err *err)
{
	struct buf text = {0};
	int rc = keyring_load(path, &text, err);

	if (rc < 0)
		return rc;
	rc = keyring_parse(text.data, text.len, ret, err);
	keyring_text_done(&text);
	return rc < 0 ? err_wrap(err, "%s", path) : 0;
}

int keyring_save(const char *path, const struct buf *text, struct err *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	autofree char *folder = slash ? xstrndup(path, slash == path ? 1 : (size_t)(slash - path)) : xstrdup(".");
	autoclose int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_errno(err, -errno, "%s", folder);
	return file_replace(dir, name, text->data, text->len, 0600, FILE_SYNC, err);
}

/* --- edits --- */

static bool key_is(const struct key *k, const char *id)
{
	return str_eq(id, k->id) || str_eq(id, k->fingerprint);
}

static int key_find(const struct keyring *r, const char *id, struct err *err)
{
	for (size_t i = 0; i < r->n; i++) {
		if (key_is(&r->keys[i], id))
			return (int)i;
	}
	return err_set(err, -ENOENT, "there is no such key in it: an id of `docker-router key list` is needed");
}

static void line_put(struct buf *b, const char *begin, const char *end)
{
	buf_append(b, begin, (size_t)(end - begin));
	if (end > begin && end[-1] != '\n')
		buf_puts(b, "\n");
}

/* The line of the @nth key */
static struct line line_of(const struct buf *text, size_t nth)
{
	const char *at = text->data;
	struct line l = {0};
	size_t n = 0;
	bool more;

	while (line_next(&at, text->data + text->len, &l, &more)) {
		if (l.len && n++ == nth)
			break;
	}
	return l;
}

static void text_begin(struct buf *ret, const struct buf *text)
{
	*ret = (struct buf){0};
	buf_reserve(ret, text->len + 256);
}

int keyring_add(const struct buf *text, const struct key *k, struct buf *ret, struct err *err)
{
	char word[KEY_TEXT_LEN + 1];
	struct keyring r;
	int rc = keyring_parse(text->data, text->len, &r, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < r.n; i++) {
		if (key_is(&r.keys[i], k->id))
			rc = err_set(err, -EEXIST, "key %s is in it already", k->id);
	}
	if (rc == 0 && r.n == KEYRING_MAX)
		rc = err_set(err, -E2BIG, "it has %d keys already: remove one that is no longer used", KEYRING_MAX);
	keyring_done(&r);
	if (rc < 0)
		return rc;
	text_begin(ret, text);
	line_put(ret, text->data, text->data + text->len);
	key_format(k, word);
	buf_printf(ret, "%s # %s\n", word, k->id);
	sodium_memzero(word, sizeof(word));
	return 0;
}

int keyring_use(const struct buf *text, const char *id, struct buf *ret, struct err *err)
{
	struct keyring r;
	int rc = keyring_parse(text->data, text->len, &r, err), nth;

	if (rc < 0)
		return rc;
	nth = key_find(&r, id, err);
	keyring_done(&r);
	if (nth < 0)
		return nth;
	struct line l = line_of(text, (size_t)nth), first = line_of(text, 0);

	text_begin(ret, text);
	line_put(ret, text->data, first.begin);
	line_put(ret, l.begin, l.end);
	if (nth > 0)
		line_put(ret, first.begin, l.begin);
	line_put(ret, l.end, text->data + text->len);
	return 0;
}

int keyring_remove(const struct buf *text, const char *id, struct buf *ret, struct err *err)
{
	struct keyring r;
	int rc = keyring_parse(text->data, text->len, &r, err), nth;

	if (rc < 0)
		return rc;
	nth = key_find(&r, id, err);
	keyring_done(&r);
	if (nth < 0)
		return nth;
	if (nth == 0)
		return err_set(err, -EBUSY,
			       "it is the key that seals: first let another one, with `docker-router key use ID`");
	struct line l = line_of(text, (size_t)nth);

	text_begin(ret, text);
	line_put(ret, text->data, l.begin);
	line_put(ret, l.end, text->data + text->len);
	return 0;
}
