/* SPDX-License-Identifier: Apache-2.0
 *
 * Is discovery sealed, and does it seal with what the key file says? Who cannot be heard for a wrong key, and whose
 * clock is wrong, discovery.json tells among its problems.
 */
#include "cli/doctor.h"
#include "state/keyring.h"

#define HINT_KEY                                                                                                   \
	"On one host: (umask 077; docker-router keygen >cluster.key); copy the file to the others. On all, while " \
	"docker-router runs: docker-router key add <cluster.key\n"                                                 \
	"Until then open the discovery and VXLAN ports to hosts that you trust only."

static int ring_read(const struct doctor *d, struct keyring *ret, struct err *err)
{
	const char *path = key_file_path(d->cli, &d->files);

	if (!path[0])
		return err_set(err, -ENOENT, "where the key file is, is not known here");
	return keyring_read(path, ret, err);
}

static void check_file(struct doctor *d, const char *id)
{
	struct keyring ring = {.n = 0};
	struct err err = {0};

	if (ring_read(d, &ring, &err) < 0)
		doctor_add(d, "sealing", CHECK_WARNING,
			   "Name the key file as the host has it: --cluster-key-file FILE. If it is broken, discovery "
			   "will not start again.",
			   "discovery is sealed with key %s; the key file was not compared: %s", id, err.text);
	else if (!str_eq(ring.keys[0].id, id))
		doctor_add(d, "sealing", CHECK_WARNING,
			   "Let discovery read it again: docker-router key use ID, or SIGHUP; and look at its log.",
			   "discovery seals with key %s, but the first in the key file is %s", id, ring.keys[0].id);
	else
		doctor_add(d, "sealing", CHECK_OK, NULL, "discovery is sealed with key %s, the first of %zu", id,
			   ring.n);
	keyring_done(&ring);
}

void doctor_sealing(struct doctor *d)
{
	const char *id = d->files.discovery.self.key_id;

	if (!id[0])
		doctor_add(d, "sealing", CHECK_WARNING, HINT_KEY,
			   "discovery is not sealed: anybody on the network can join");
	else if (!d->root)
		doctor_add(d, "sealing", CHECK_OK, NULL, "discovery is sealed with key %s", id);
	else
		check_file(d, id);
}

int doctor_seal_new(const struct doctor *d, struct seal **ret, struct err *err)
{
	const struct discovery *disc = &d->files.discovery;
	struct keyring ring = {.n = 0};
	int rc;

	*ret = NULL;
	if (!disc->self.key_id[0])
		return 0;
	rc = ring_read(d, &ring, err);
	if (rc < 0)
		return rc;
	*ret = seal_new(SEAL_DISCOVERY, disc->self.host_id, &ring, USEC_PER_SEC);
	keyring_done(&ring);
	return 0;
}
