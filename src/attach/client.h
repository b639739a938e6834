/* SPDX-License-Identifier: Apache-2.0
 *
 * The DHCP client of one NIC: started through the broker, started again when it ends, and what it says as a lease that
 * lasts until its time is over, whatever becomes of the client.
 */
#ifndef ATTACH_CLIENT_H
#define ATTACH_CLIENT_H

#include "attach/lease.h"
#include "io/broker.h"

struct client;

/** client_new() - @changed: the lease changed, or its why */
struct client *client_new(uv_loop_t *loop, struct broker *broker, enum lease_kind kind, loop_fn *changed, void *arg);
/** client_free() - @release: tell the server too; from then on nothing is called */
void client_free(struct client *c, bool release);

/**
 * client_start() - Once the NIC is up; does nothing when it runs
 * @ns, @nic:  where
 * @hostname:  "" for none
 * @client_id: want_client_id() of the kind
 */
void client_start(struct client *c, const struct broker_ns *ns, const char *nic, const char *hostname,
		  const char *client_id);
/** client_keep() - What an earlier run had: good until it is over, and asked for again */
void client_keep(struct client *c, const struct att_lease *before);
/** client_lease() - Address none: there is none, and its why says what is known */
const struct att_lease *client_lease(const struct client *c);
/** client_release() - Tell the server and end; client_ended() becomes true */
void client_release(struct client *c);
bool client_ended(const struct client *c);

#endif
