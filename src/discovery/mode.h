/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Modes
 *
 * A mode is a way in which hosts find each other. Multicast and static are the datagrams of the core itself (core.h);
 * each of the others is one struct mode and a row in mode.c, and feeds the core (feed.c). All that are set in
 * DISCOVERY_MODE run side by side, and know nothing of each other.
 *
 *	open()      while still root: read what only root may
 *	load()      what discovery.json said before; not called where there is none
 *	start()     the core has started, and knows our stacks
 *	self()      our stacks, names or addresses may have changed: called after every event, so look whether they have
 *	keys()      the key ring is another
 *	file()      a file of STATE_DIR has changed (NULL: any may have)
 *	export()    what belongs into discovery.json beside peers
 *	stop()      say goodbye, or not; stopped() when that is done
 *
 * or, for `--say-goodbye`, open() and goodbye(). Then free(). What a mode has no use for is NULL.
 */
#ifndef DISCOVERY_MODE_H
#define DISCOVERY_MODE_H

#include "discovery/core.h"
#include "discovery/guard.h"
#include "io/loop.h"
#include "state/config.h"
#include "state/sandbox.h"

/** struct mode_env - What a mode may use; all borrowed, and there until free() */
struct mode_env {
	uv_loop_t *loop;
	const struct config *config;
	const char *host_id, *host_name;
	struct core *core; /* NULL: goodbye() */
	struct guard *guard;
	const struct state_dir *dir;
	const struct keyring *ring; /* for goodbye(): empty without a key; else guard has them */
	loop_fn *write;		    /* discovery.json is to be written, though the core was told nothing */
	loop_fn *changed; /* to be called after the core was told anything, a problem has changed, or all is stopped */
	void *arg;
};

struct mode {
	enum discovery_mode bit;
	unsigned (*sandbox)(const struct config *config); /* what it needs beside SANDBOX_NET */
	const char *elsewhere; /* it is in the executable whose name ends so; NULL: in this one */
	int (*open)(const struct config *config, void **ret, struct err *err);
	int (*start)(void *mode, const struct mode_env *env, struct err *err);
	void (*load)(void *mode, const struct discovery *last);
	void (*self)(void *mode);
	void (*keys)(void *mode);
	void (*file)(void *mode, const char *name);
	void (*stop)(void *mode);
	bool (*stopped)(const void *mode);
	void (*problems)(const void *mode, struct problems *ret);
	void (*export)(const void *mode, struct discovery *ret);
	/* Take away what an earlier process of this host, of which @last tells, left there. May run the loop */
	int (*goodbye)(void *mode, const struct mode_env *env, const struct discovery *last, struct err *err);
	void (*free)(void *mode);
};

extern const struct mode mode_gossip, mode_etcd, mode_dns;

#define MODES_MAX 8
/** struct modes - Those that are set; before modes_start() all but modes_open(), modes_load() and modes_goodbye() do
 * nothing */
struct modes {
	struct {
		const struct mode *mode;
		void *data;
	} of[MODES_MAX];
	size_t n, n_started;
};

/**
 * modes_become() - Where one of them is in another executable: become that, with @argv
 *
 * Return: 0: all are here; else a negative errno
 */
int modes_become(const struct config *config, char **argv, struct err *err) MUST_USE;
/** modes_open(), modes_start() - All, or a negative errno */
int modes_open(struct modes *m, const struct config *config, struct err *err) MUST_USE;
/** modes_sandbox() - For sandbox_enter() */
unsigned modes_sandbox(const struct modes *m, const struct config *config);
int modes_start(struct modes *m, const struct mode_env *env, struct err *err) MUST_USE;
void modes_load(struct modes *m, const struct discovery *last);
void modes_self(struct modes *m);
void modes_keys(struct modes *m);
void modes_file(struct modes *m, const char *name);
void modes_export(const struct modes *m, struct discovery *ret);
void modes_stop(struct modes *m);
bool modes_stopped(const struct modes *m);
void modes_problems(const struct modes *m, struct problems *ret);
/** modes_goodbye() - Each is asked, also after one has failed. Return: of the first that did */
int modes_goodbye(struct modes *m, const struct mode_env *env, const struct discovery *last, struct err *err) MUST_USE;
void modes_done(struct modes *m);

#endif
