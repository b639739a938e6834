/* SPDX-License-Identifier: Apache-2.0
 *
 * Find and remove what the router made in one network namespace: policy rules, routes and neighbours of our protocol
 * number, links that carry our alias. Nothing of anybody else's is touched.
 */
#ifndef CLI_SWEEP_H
#define CLI_SWEEP_H

#include "base/base.h"
#include "state/attach.h"

/* What the kernel shows of ours; the router's net.h has the same words */
#define SWEEP_PROTOCOL	212
#define SWEEP_ALIAS	"docker-router:"
#define SWEEP_LENT	ATTACH_ALIAS "physical:" /* somebody's interface in a container; its own name follows */
#define SWEEP_TABLE	"docker-router"
#define SWEEP_MULTICAST "docker-router-multicast" /* netdev: the copies of BROKER_FORWARD */

enum sweep_flags {
	SWEEP_DRY_RUN = 1,
	SWEEP_ALL_LINKS = 2, /* a router namespace: every link but lo is ours */
};

/**
 * sweep_fn - One thing of ours
 * @kind: "rule", "route", "neighbour", "link"; @what: as `ip` would say it
 * @code: 0: removed (or would be), else -errno and @why
 */
typedef void sweep_fn(void *arg, const char *kind, const char *what, int code, const char *why);

/**
 * sweep_namespace() - Rules first, then routes, neighbours and links, so that nobody is sent where nothing waits
 * @ns_fd: or -1: ours
 *
 * What vanished by itself meanwhile (the other end of a veth) counts as removed.
 * Return: 0, also when single things failed; -errno when the namespace could not be asked
 */
int sweep_namespace(int ns_fd, int flags, sweep_fn *fn, void *arg, struct err *err) MUST_USE;

/**
 * sweep_home() - Interfaces that were moved into a container, back to the host under their names
 * @ns_fd: the container's; or the host's, where they lose the alias that says so
 * @home:  the host's
 */
int sweep_home(int ns_fd, int home, int flags, sweep_fn *fn, void *arg, struct err *err) MUST_USE;

#endif
