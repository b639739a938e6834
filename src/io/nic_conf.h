/* SPDX-License-Identifier: Apache-2.0
 *
 * IPv6 of one interface in another namespace. Netlink cannot set it, only files below /proc/sys can, and these show the
 * namespace of who opens them. But a directory that was opened inside stays that namespace's: whoever gets it from the
 * broker writes at once, without asking for every NIC.
 */
#ifndef IO_NIC_CONF_H
#define IO_NIC_CONF_H

#include "base/base.h"

#define NIC_CONF_N 3
struct nic_conf {
	const char *name, *value; /* below net/ipv6/conf/IFACE */
};

/** nic_conf_make() - What follows from enum broker_nic, in the order in which it is to be written */
void nic_conf_make(int what, struct nic_conf ret[static NIC_CONF_N]);
/**
 * nic_conf_open() - The directory of these settings inside @ns_fd. Needs CAP_SYS_ADMIN
 *
 * Return: a descriptor (O_PATH), which does not keep the namespace alive; -EROFS: /proc/sys is read-only here, as
 * Docker mounts it in containers; -errno: so also on a kernel without IPv6
 */
int nic_conf_open(int ns_fd, struct err *err) MUST_USE;
/** nic_conf_write() - Needs CAP_NET_ADMIN. Files that hold the value already are left alone */
int nic_conf_write(int conf_fd, const char *iface, int what, struct err *err) MUST_USE;

#endif
