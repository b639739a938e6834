/* SPDX-License-Identifier: Apache-2.0
 *
 * One namespace under observation: its sockets, what is known of it, and what an event does to that. Internal to
 * observe.c, which opens the sockets, keeps the list and the timers.
 */
#ifndef ROUTER_WATCH_H
#define ROUTER_WATCH_H

#include "router/dump.h"
#include "router/observe.h"

/** watch_soon_fn - There is something to do (watch_work()) or to tell (watch.dirty) in the next turn of the loop */
typedef void watch_soon_fn(struct observe *o);

enum watch_socket { WATCH_RT, WATCH_RT_EVENTS, WATCH_NF, WATCH_NF_EVENTS, WATCH_GENL, WATCH_SOCKET_N_ };

struct watch {
	struct observe *o;
	watch_soon_fn *soon;
	struct net *net; /* borrowed: of the list of actual nets */
	int ns_fd;	 /* -1: our own */
	struct nl *nl[WATCH_SOCKET_N_];
	struct host_addrs addrs; /* NET_HOST */
	/* due in the next turn */
	bool dirty, resync, foreign, nft;
	mono_t foreign_not_before, resync_not_before;
	/* nf_tables: the generation that was read last; events of our table whose generation is still to come */
	uint32_t nft_gen;
	bool nft_touched;
	size_t hint; /* of link_by_index() */
	/* how it was opened, for observe.c */
	char sandbox[256];
	int32_t pid;
	mono_t tried;
	unsigned waiting; /* answers of the broker that are still to come */
};

/** watch_listen() - All sockets are there: join the groups, read everything. Return: 0, then net->ready is set */
int watch_listen(struct watch *w, uv_loop_t *loop, struct err *err) MUST_USE;
/** watch_close() - Close the sockets and forget what was read; the watch can be opened again */
void watch_close(struct watch *w);
/**
 * watch_work() - Do what is due
 * Return: microseconds until the rest of it may be done; 0: nothing is left
 */
int64_t watch_work(struct watch *w);
/** watch_links() - Read the links again now */
int watch_links(struct watch *w, struct err *err) MUST_USE;
/** watch_nft() - Read our table again now, unless nothing has happened since it was read last */
void watch_nft(struct watch *w);

/** observe_watch() - The watch of a namespace, or NULL; for tests */
struct watch *observe_watch(const struct observe *o, const struct net_id *id);

#endif
