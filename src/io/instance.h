/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Whose router namespaces are these?
 *
 * Router namespaces are pinned at RUN_DIR/INSTANCE/vni-N, and INSTANCE comes from the host id. A host that got a new id
 * - it was removed, or STATE_DIR was lost - has a new INSTANCE, and nothing in STATE_DIR leads to the old one. Its
 * VXLAN devices still hold their UDP sockets in the host's namespace, and the kernel makes no second device of the same
 * VNI and port there.
 *
 * So the kernel is asked: it says of every link to which namespace it is tied. One host with a router works in a
 * network namespace, and holds a name there as long as it runs. Who holds that name knows that other instances whose
 * VXLAN devices and legs are tied to this network namespace are nobody's any more. Those of another namespace are never
 * touched, whether they run or not.
 */
#ifndef IO_INSTANCE_H
#define IO_INSTANCE_H

#include "base/base.h"

/**
 * instance_claim() - Take the name that one host with a router has in a network namespace
 * @ns_fd: the namespace, or -1: ours
 * Return: a descriptor, the name goes with it; -EADDRINUSE: another has it; -errno
 */
int instance_claim(int ns_fd, struct err *err) MUST_USE;

#define PIN_WIREGUARD "wireguard"
/** instance_pin_name() - "vni-1000" or "wireguard", and nothing else: what lies beside it is not ours */
bool instance_pin_name(const char *name);

/** instance_fn - @path: RUN_DIR/INSTANCE */
typedef void instance_fn(void *arg, const char *path);
/**
 * instances_left() - The instances in @run_dir that are tied to a network namespace and to no other; the claim is held
 * @host_ns: that namespace
 * @skip:    the path of the instance that is in use, or NULL
 * @fn:      may remove it
 *
 * What cannot be looked into is passed over.
 */
void instances_left(const char *run_dir, int host_ns, const char *skip, instance_fn *fn, void *arg);

/**
 * instance_remove() - Remove the devices in its router namespaces, the pins, and the folder when nothing else is in it
 * Return: 0, or what failed first; the rest was tried
 */
int instance_remove(const char *path, struct err *err) MUST_USE;

#endif
