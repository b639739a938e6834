/* SPDX-License-Identifier: Apache-2.0
 *
 * See nic_conf.h.
 */
#include "io/nic_conf.h"

#include <fcntl.h>
#include <sys/statvfs.h>

#include "io/broker.h"
#include "io/ns.h"

#define CONF "/proc/sys/net/ipv6/conf"

void nic_conf_make(int what, struct nic_conf ret[static NIC_CONF_N])
{
	/* 2: also where the container forwards, as routers in containers do */
	ret[0] = (struct nic_conf){"accept_ra", what & BROKER_NIC_RA ? "2" : "0"};
	ret[1] = (struct nic_conf){"autoconf", what & BROKER_NIC_AUTOCONF ? "1" : "0"};
	ret[2] = (struct nic_conf){"disable_ipv6", what & BROKER_NIC_NO_IPV6 ? "1" : "0"};
}

int nic_conf_open(int ns_fd, struct err *err)
{
	autoclose int fd = -1;
	struct statvfs fs;
	struct ns_guard g;
	int rc = ns_enter(ns_fd, &g, err);

	if (rc < 0)
		return rc;
	fd = open(CONF, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		rc = err_errno(err, -errno, CONF);
	ns_leave(&g);
	if (rc < 0)
		return rc;
	if (fstatvfs(fd, &fs) < 0)
		return err_errno(err, -errno, CONF);
	return fs.f_flag & ST_RDONLY ? err_set(err, -EROFS, CONF ": is read-only") : steal_fd(fd);
}

int nic_conf_write(int conf_fd, const char *iface, int what, struct err *err)
{
	struct nic_conf conf[NIC_CONF_N];
	char path[64];

	nic_conf_make(what, conf);
	for (size_t i = 0; i < NIC_CONF_N; i++) {
		str_print(path, "%s/%s", iface, conf[i].name);
		int rc = ns_sysctl_at(conf_fd, path, conf[i].value);
		if (rc < 0)
			return err_errno(err, rc, "sysctl net/ipv6/conf/%s = %s", path, conf[i].value);
	}
	return 0;
}
