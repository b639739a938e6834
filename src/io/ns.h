/* SPDX-License-Identifier: Apache-2.0
 *
 * Network namespaces: open, create and pin, and work inside one for the length of a call. Needs CAP_SYS_ADMIN; only the
 * broker has that (and tests, and a role that is root and alone).
 */
#ifndef IO_NS_H
#define IO_NS_H

#include "base/base.h"

/** ns_open() - A namespace by path (/proc/self/ns/net, a pin, a sandbox key). Return: fd or -errno; refuses what is no
 * netns */
int ns_open(const char *path, struct err *err) MUST_USE;
/** ns_create() - Make a namespace and pin it at @path (bind mount, file made 0444). Return: fd, -EEXIST, -errno */
int ns_create(const char *path, struct err *err) MUST_USE;
/** ns_unpin() - Unmount and remove the pin; the namespace goes when nobody is in it. 0 also when there is none */
int ns_unpin(const char *path, struct err *err) MUST_USE;
/** ns_same() - Do two descriptors mean the same namespace? */
bool ns_same(int a, int b);

/** struct ns_guard - Work inside another namespace between ns_enter() and ns_leave(), which aborts if it cannot return
 */
struct ns_guard {
	int home;
};
int ns_enter(int ns_fd, struct ns_guard *g, struct err *err) MUST_USE;
void ns_leave(struct ns_guard *g);

/** ns_socket() - socket(2) inside @ns_fd (-1: here), close-on-exec, non-blocking */
int ns_socket(int ns_fd, int domain, int type, int protocol, struct err *err) MUST_USE;
/** ns_sysctl() - Write /proc/sys/net/@name inside @ns_fd (-1: here) unless it already holds @value */
int ns_sysctl(int ns_fd, const char *name, const char *value, struct err *err) MUST_USE;
/** ns_device() - Write /sys/class/net/@device/@name inside @ns_fd unless it already holds @value */
int ns_device(int ns_fd, const char *device, const char *name, const char *value, struct err *err) MUST_USE;
/** ns_sysctl_at() - Write the file @path below a directory of a procfs unless it already holds @value. Return: 0 or
 * -errno
 */
int ns_sysctl_at(int dirfd, const char *path, const char *value) MUST_USE;

#endif
