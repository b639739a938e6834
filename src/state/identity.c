/* SPDX-License-Identifier: Apache-2.0
 *
 * STATE_DIR, the host's identity in it, and becoming less than root. Nothing here is asked for again once a role runs.
 */
#include "state/identity.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "state/json.h"

#define USER	      "docker-router"
#define FALLBACK_USER "nobody"
#define FALLBACK_ID   65534

static void user_find(struct state_dir *d)
{
	const struct passwd *pw = getpwnam(USER);
	d->fallback = !pw;
	if (!pw)
		pw = getpwnam(FALLBACK_USER);
	d->uid = pw ? pw->pw_uid : FALLBACK_ID;
	d->gid = pw ? pw->pw_gid : FALLBACK_ID;
}

/* sticky, so that a role cannot replace another role's file although it may add its own */
static int dir_set_right(const struct state_dir *d, struct err *err)
{
	struct stat st;
	if (fstat(d->fd, &st) < 0)
		return err_errno(err, -errno, "%s", d->path);
	if (geteuid() != 0 || st.st_uid != 0)
		return 0; /* somebody's own directory: a test, or a volume that its owner has set up */
	if (st.st_gid != d->gid && fchown(d->fd, 0, d->gid) < 0)
		return err_errno(err, -errno, "%s: give to the group of %s", d->path, USER);
	if ((st.st_mode & 07777) != 01771 && fchmod(d->fd, 01771) < 0)
		return err_errno(err, -errno, "%s: set mode 1771", d->path);
	return 0;
}

int state_dir_open(const char *path, struct state_dir *ret, struct err *err)
{
	struct state_dir d = {.fd = -1};
	if (!str_copy(d.path, path))
		return err_set(err, -ENAMETOOLONG, "STATE_DIR: the path is longer than %zu bytes", sizeof(d.path) - 1);
	user_find(&d);
	int r = dir_make(path, 0755, err);
	if (r < 0)
		return r;
	d.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d.fd < 0)
		return err_errno(err, -errno, "STATE_DIR %s", path);
	r = dir_set_right(&d, err);
	if (r < 0) {
		close(d.fd);
		return r;
	}
	*ret = d;
	return 0;
}

void state_dir_done(struct state_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

struct file_owner owner_of_discovery(const struct state_dir *d)
{
	struct file_owner o = owner_of_root(d);
	struct stat st;

	file_owner_add(&o, d->uid);
	/* Seen from outside of a container: root gave the folder to the user that writes it there, by its group */
	if (fstat(d->fd, &st) == 0 && st.st_uid == 0 && st.st_gid != 0)
		file_owner_add(&o, (uid_t)st.st_gid);
	return o;
}

struct file_owner owner_of_root(const struct state_dir *d)
{
	struct file_owner o = {0};
	file_owner_add(&o, 0);
	file_owner_add(&o, geteuid());
	return o;
}

/* Return: 0; -ENOENT; -EINVAL it is there and broken; else -errno */
static int id_read(const struct state_dir *d, char ret_id[static HOST_ID_LEN + 1], struct err *err)
{
	autobuf struct buf text = {0};
	/* whoever serves discovery alone, in a container of its own, may have made it */
	struct file_owner owner = owner_of_discovery(d);
	int r = file_read(d->fd, STATE_HOST_ID, 4096, &owner, &text, err);
	if (r < 0 && r != -E2BIG)
		return r;
	while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.data[--text.len] = '\0';
	if (r < 0 || text.len != HOST_ID_LEN || strspn(text.data, "0123456789abcdef") != HOST_ID_LEN)
		return err_set(err, -EINVAL, "%s/%s held no host id", d->path, STATE_HOST_ID);
	memcpy(ret_id, text.data, HOST_ID_LEN + 1);
	return 0;
}

static int id_make(char ret_id[static HOST_ID_LEN + 1], struct err *err)
{
	unsigned char bytes[HOST_ID_LEN / 2];
	/* blocks only in the first seconds of a machine's first boot, where a predictable identity would be worse */
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return err_errno(err, -EIO, "random bytes for the host id");
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret_id + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

/*
 * Discovery and router of a stack start at the same moment on an empty volume, and must not take two identities: link()
 * lets one of them win, where a rename would let both believe so.
 */
static int id_publish(const struct state_dir *d, const char *id, struct err *err)
{
	char temporary[64], line[HOST_ID_LEN + 2];
	str_print(line, "%s\n", id);
	str_print(temporary, ".%s.%d", STATE_HOST_ID, (int)getpid());
	int r = file_replace(d->fd, temporary, line, HOST_ID_LEN + 1, 0644, FILE_SYNC, err);
	if (r < 0)
		return r;
	if (linkat(d->fd, temporary, d->fd, STATE_HOST_ID, 0) < 0)
		r = -errno;
	unlinkat(d->fd, temporary, 0);
	if (r == -EPERM || r == -EOPNOTSUPP || r == -ENOSYS) /* FAT and its kin have no links */
		return file_replace(d->fd, STATE_HOST_ID, line, HOST_ID_LEN + 1, 0644, FILE_SYNC, err);
	if (r == 0)
		fsync(d->fd);
	return r;
}

int identity_load(const struct state_dir *d, char ret_id[static HOST_ID_LEN + 1], struct err *err)
{
	char id[HOST_ID_LEN + 1], line[HOST_ID_LEN + 2];
	struct err why = {0};
	int r = id_read(d, ret_id, &why);
	bool broken = r == -EINVAL;
	if (r == -ENOENT) {
		if ((r = id_make(id, &why)) == 0 && (r = id_publish(d, id, &why)) == -EEXIST) {
			r = id_read(d, ret_id, &why); /* another role was faster */
			return r < 0 ? err_set(err, r, "%s", why.text) : 0;
		}
	} else if (broken) {
		struct err failed = {0};
		if ((r = id_make(id, &failed)) == 0) {
			str_print(line, "%s\n", id);
			r = file_replace(d->fd, STATE_HOST_ID, line, HOST_ID_LEN + 1, 0644, FILE_SYNC, &failed);
		}
		if (r < 0)
			why = failed;
		else
			err_set(err, 0, "%s: a new one was made, peers see a new host", why.text);
	} else if (r == 0) {
		return 0;
	}
	if (r < 0)
		return err_set(err, r, "host id: %s", why.text);
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

static const uint64_t one = 1;

static int caps_check(uint64_t caps, struct err *err)
{
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (!(caps & one << cap) || capng_have_capability(CAPNG_PERMITTED, cap))
			continue;
		char name[32];
		const char *found = capng_capability_to_name(cap);
		str_print(name, "%s", found ? found : "?");
		for (char *c = name; *c; c++)
			*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
		return err_set(err, -EPERM, "the capability CAP_%s is missing (in a container: --cap-add %s)", name,
			       name);
	}
	return 0;
}

/* what was given away cannot be won back by running a set-uid program */
static void bounding_drop(uint64_t caps)
{
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		return; /* the container's runtime has bounded us already */
	for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(caps & one << cap))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static int ids_set(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups, struct err *err)
{
	if ((n_groups || getgroups(0, NULL) > 0) && setgroups(n_groups, groups) < 0)
		return err_errno(err, -errno, "set the supplementary groups");
	if (setresgid(gid, gid, gid) < 0)
		return err_errno(err, -errno, "become group %u", gid);
	if (setresuid(uid, uid, uid) < 0)
		return err_errno(err, -errno, "become user %u", uid);
	return 0;
}

static int caps_set(uint64_t caps, struct err *err)
{
	capng_clear(CAPNG_SELECT_CAPS);
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (caps & one << cap)
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE, cap);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return err_set(err, -EPERM, "the kernel refused the reduced capabilities");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (caps & one << cap && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return err_errno(err, -errno, "keep capability %u for children", cap);
	return 0;
}

int privileges_drop(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups, uint64_t caps, struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, -errno, "no_new_privs");
	if (geteuid() != 0)
		return 0;
	if (capng_get_caps_process() < 0)
		return err_set(err, -EIO, "read our capabilities from /proc");
	int r = caps_check(caps, err);
	if (r < 0)
		return r;
	/* A change of user clears the death signal (prctl(2)); who started us may count on it */
	int death_signal = 0;
	prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0);
	bounding_drop(caps);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_errno(err, -errno, "keep capabilities");
	if ((r = ids_set(uid, gid, groups, n_groups, err)) < 0 || (r = caps_set(caps, err)) < 0)
		return r;
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0);
	/* no core file and no ptrace by other processes of that user */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(err, -errno, "not dumpable");
	return 0;
}
