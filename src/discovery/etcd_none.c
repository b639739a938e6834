/* SPDX-License-Identifier: Apache-2.0
 *
 * In place of etcd_client.c in the ordinary executable: HTTP and TLS are 6 MB that only this mode needs. For it this
 * one becomes docker-router-discovery-etcd.
 */
#include <limits.h>
#include <unistd.h>

#include "discovery/etcd_client.h"

int etcd_client_become(char **argv, struct err *err)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof("-etcd"));

	if (len < 0)
		return err_errno(err, -errno, "/proc/self/exe");
	memcpy(path + len, "-etcd", sizeof("-etcd"));
	execv(path, argv);
	return err_errno(err, -errno, "%s, which has the mode etcd", path);
}

int etcd_secrets_read(const struct config *config, struct etcd_secrets *ret, struct err *err)
{
	return err_set(err, -ENOSYS, "the mode etcd is in docker-router-discovery-etcd");
}

void etcd_secrets_done(struct etcd_secrets *s)
{
}

struct etcd_client *etcd_client_new(uv_loop_t *loop, const struct config *config, struct etcd_secrets *secrets,
				    struct core *core, const char *host_id, uint64_t random, loop_fn *changed,
				    loop_fn *stopped, void *arg)
{
	return NULL;
}

void etcd_client_free(struct etcd_client *c)
{
}

void etcd_client_self(struct etcd_client *c)
{
}

void etcd_client_stop(struct etcd_client *c)
{
}

void etcd_client_problems(const struct etcd_client *c, struct problems *ret)
{
}

int etcd_goodbye(uv_loop_t *loop, const struct config *config, struct etcd_secrets *secrets,
		 const struct discovery *last, struct err *err)
{
	return err_set(err, -ENOSYS, "the mode etcd is in docker-router-discovery-etcd");
}
