/* SPDX-License-Identifier: Apache-2.0
 *
 * In place of etcd_client.c in the ordinary executable: HTTP and TLS are 6 MB that only this mode needs. For it this
 * one becomes docker-router-discovery-etcd.
 */
#include "discovery/mode.h"

const struct mode mode_etcd = {.bit = MODE_ETCD, .elsewhere = "-etcd"};
