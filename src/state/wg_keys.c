/* SPDX-License-Identifier: Apache-2.0
 *
 * The private key's file, and what is derived.
 */
#include "state/wg_keys.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>

#include "state/wireguard.h"

/* A purpose of its own beside those of seal.c: the context differs, so that the numbers cannot meet */
#define KDF_CONTEXT "dr-wgpsk"
#define KDF_NUMBER  1

static int keys_open(const struct state_dir *d, struct err *err)
{
	struct stat st;

	if (mkdirat(d->fd, WG_KEYS_DIR, 0700) < 0 && errno != EEXIST)
		return err_errno(err, -errno, "%s/" WG_KEYS_DIR, d->path);
	int fd = openat(d->fd, WG_KEYS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, -errno, "%s/" WG_KEYS_DIR, d->path);
	if (fstat(fd, &st) < 0 || st.st_mode & 077 || (st.st_uid != 0 && st.st_uid != geteuid())) {
		close(fd);
		return err_set(err, -EPERM, "%s/" WG_KEYS_DIR ": must be root's or ours, mode 0700", d->path);
	}
	return fd;
}

static int key_write(int dir, const char *name, const uint8_t key[static 32], struct err *err)
{
	char line[WG_KEY_TEXT + 1];

	wg_key_format(key, line);
	line[WG_KEY_TEXT - 1] = '\n';
	int rc = file_replace(dir, name, line, WG_KEY_TEXT, 0600, FILE_SYNC, err);
	sodium_memzero(line, sizeof(line));
	return rc;
}

static int key_make_file(int dir, const char *name, unsigned slot, uint8_t ret[static 32], struct err *err)
{
	uint8_t key[32], public_key[32];

	if (sodium_init() < 0)
		return err_set(err, -EIO, "no source of random numbers");
	do {
		randombytes_buf(key, sizeof(key));
		/* as `wg genkey` does (RFC 7748 section 5) */
		key[0] &= 248;
		key[31] = (uint8_t)((key[31] & 127) | 64);
		wg_public(key, public_key);
	} while (wg_key_slot(public_key) != slot);
	int rc = key_write(dir, name, key, err);
	if (rc == 0)
		memcpy(ret, key, sizeof(key));
	sodium_memzero(key, sizeof(key));
	return rc;
}

static int key_read(const struct state_dir *d, int dir, const char *name, uint8_t ret[static 32], struct err *err)
{
	char text[WG_KEY_TEXT + 1] = "";
	struct stat st;

	autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, -errno, "%s/" WG_KEYS_DIR "/%s", d->path, name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_mode & 077 ||
	    (st.st_uid != 0 && st.st_uid != geteuid()))
		return err_set(err, -EPERM, "%s/" WG_KEYS_DIR "/%s: must be a file of root's or ours, mode 0600",
			       d->path, name);
	ssize_t n = read(fd, text, WG_KEY_TEXT);
	text[n > 0 ? strcspn(text, "\r\n") : 0] = '\0';
	bool good = wg_key_parse(text, ret);
	sodium_memzero(text, sizeof(text));
	return good ? 0
		    : err_set(err, -EINVAL,
			      "%s/" WG_KEYS_DIR "/%s: 32 bytes in base64 are allowed; remove it for a new key", d->path,
			      name);
}

int wg_private_load(const struct state_dir *d, uint8_t ret[static 32], struct err *err)
{
	autoclose int dir = keys_open(d, err);

	if (dir < 0)
		return dir;
	int rc = key_read(d, dir, WG_KEY_FILE, ret, err);
	return rc == -ENOENT ? key_make_file(dir, WG_KEY_FILE, 0, ret, err) : rc;
}

int wg_next_load(const struct state_dir *d, uint8_t ret[static 32], struct err *err)
{
	autoclose int dir = keys_open(d, err);

	return dir < 0 ? dir : key_read(d, dir, WG_NEXT_FILE, ret, err);
}

int wg_next_make(const struct state_dir *d, struct err *err)
{
	autoclose int dir = keys_open(d, err);
	uint8_t key[32], public_key[32];

	if (dir < 0)
		return dir;
	if (faccessat(dir, WG_NEXT_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, -EEXIST, "a new key is on its way already");
	int rc = key_read(d, dir, WG_KEY_FILE, key, err);
	if (rc == 0) {
		wg_public(key, public_key);
		rc = key_make_file(dir, WG_NEXT_FILE, 1 - wg_key_slot(public_key), key, err);
	}
	sodium_memzero(key, sizeof(key));
	return rc;
}

int wg_next_take(const struct state_dir *d, struct err *err)
{
	autoclose int dir = keys_open(d, err);

	if (dir < 0)
		return dir;
	if (renameat(dir, WG_NEXT_FILE, dir, WG_KEY_FILE) < 0 || fsync(dir) < 0)
		return err_errno(err, -errno, "%s/" WG_KEYS_DIR "/" WG_NEXT_FILE, d->path);
	return 0;
}

int wg_private_remove(const struct state_dir *d, struct err *err)
{
	static const char *const names[] = {WG_KEYS_DIR "/" WG_KEY_FILE, WG_KEYS_DIR "/" WG_NEXT_FILE};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (unlinkat(d->fd, names[i], 0) < 0 && errno != ENOENT && errno != ENOTDIR)
			return err_errno(err, -errno, "%s/%s", d->path, names[i]);
	if (unlinkat(d->fd, WG_KEYS_DIR, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENOTEMPTY)
		return err_errno(err, -errno, "%s/" WG_KEYS_DIR, d->path);
	return 0;
}

void wg_public(const uint8_t private_key[static 32], uint8_t ret[static 32])
{
	if (crypto_scalarmult_base(ret, private_key) != 0)
		abort(); /* never of a clamped scalar */
}

void wg_psk(const struct key *k, const char *host_a, const char *host_b, uint8_t ret[static 32])
{
	uint8_t key[32];
	char pair[160];
	bool swap = strcmp(host_a, host_b) > 0;

	crypto_kdf_derive_from_key(key, sizeof(key), KDF_NUMBER, KDF_CONTEXT, k->secret);
	int n = str_print(pair, "%s/%s", swap ? host_b : host_a, swap ? host_a : host_b);
	crypto_generichash(ret, 32, (const uint8_t *)pair, (size_t)n, key, sizeof(key));
	sodium_memzero(key, sizeof(key));
}
