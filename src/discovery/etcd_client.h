/* SPDX-License-Identifier: Apache-2.0
 *
 * The mode etcd on the loop: etcd.h with HTTP, clocks and timers, between an etcd cluster and the core.
 */
#ifndef DISCOVERY_ETCD_CLIENT_H
#define DISCOVERY_ETCD_CLIENT_H

#include "discovery/core.h"
#include "io/loop.h"
#include "state/config.h"

struct etcd_client;

/**
 * etcd_client_become() - In the executable without the mode (etcd_none.c): become the one that has it, with @argv
 *
 * Return: 0: it is here; else a negative errno
 */
int etcd_client_become(char **argv, struct err *err) MUST_USE;

/** struct etcd_secrets - What only root may read: taken in before privileges are dropped. All may be NULL */
struct etcd_secrets {
	char *password, *ca, *cert, *key;
};
/** etcd_secrets_read() - Return: 0 or a negative errno with the option that names the file in @err */
int etcd_secrets_read(const struct config *config, struct etcd_secrets *ret, struct err *err) MUST_USE;
void etcd_secrets_done(struct etcd_secrets *s);

/**
 * etcd_client_new() - Begins with the next event of the loop
 * @secrets: taken over
 * @changed: called after anything was told to @core
 * @stopped: called once after etcd_client_stop()
 */
struct etcd_client *etcd_client_new(uv_loop_t *loop, const struct config *config, struct etcd_secrets *secrets,
				    struct core *core, const char *host_id, uint64_t random, loop_fn *changed,
				    loop_fn *stopped, void *arg);
void etcd_client_free(struct etcd_client *c);

/** etcd_client_self() - Our stacks may have changed */
void etcd_client_self(struct etcd_client *c);
/** etcd_client_stop() - Take our stacks out of etcd, or not (GOODBYE); takes a second at most */
void etcd_client_stop(struct etcd_client *c);
void etcd_client_problems(const struct etcd_client *c, struct problems *ret);

/** etcd_goodbye() - Delete the keys of an earlier process of this host, of which @last tells; runs the loop, 4 s at
 * most */
int etcd_goodbye(uv_loop_t *loop, const struct config *config, struct etcd_secrets *secrets,
		 const struct discovery *last, struct err *err) MUST_USE;

#endif
