/* SPDX-License-Identifier: Apache-2.0
 *
 * What every verb is given, and how it gets at the state files. The verbs read files and need no daemon; only `doctor`
 * asks the kernel and the network too, and only `down` changes anything.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/output.h"
#include "state/config.h"
#include "state/discovery.h"
#include "state/host.h"
#include "state/identity.h"
#include "state/inventory.h"
#include "state/router.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum cli_option { /* beyond --format and --help, which every verb has */
		  OPT_ASCII = 1,
		  OPT_KERNEL_OPTIONS = 2,
		  OPT_DRY_RUN = 4,
		  OPT_PURGE = 8,
		  OPT_HERE = 16,
};

/** struct cli - One call of one verb */
struct cli {
	const char *verb;
	struct config config;
	bool json;
	int options;	      /* enum cli_option that were given */
	wall_t now;	      /* DOCKER_ROUTER_NOW (seconds since 1970) stands in for the clock in tests */
	struct state_dir dir; /* fd -1: there is none, see dir_why */
	struct err dir_why;
};

/** verb_*() - Return: exit status */
int verb_status(struct cli *c);
int verb_peers(struct cli *c);
int verb_routes(struct cli *c);
int verb_map(struct cli *c);
int verb_stacks(struct cli *c);
int verb_doctor(struct cli *c);
int verb_down(struct cli *c);
int verb_version(struct cli *c);

enum state_file { FILE_INVENTORY, FILE_DISCOVERY, FILE_ROUTER, FILE_HOST, FILE_N_ };

/** struct state_files - The files of STATE_DIR, those that could be read; the others are empty */
struct state_files {
	struct inventory inventory;
	struct discovery discovery;
	struct router_state router;
	struct host_state host;
	int code[FILE_N_]; /* 0, -ENOENT, or why it was not believed */
	struct err why[FILE_N_];
};

/** state_dir_view() - Open STATE_DIR as it is: nothing is made or changed. 0 or -errno */
int state_dir_view(const char *path, struct state_dir *ret, struct err *err) MUST_USE;
/** state_files_load() - Read all four; a broken one is told in @ret->why and leaves its struct empty */
void state_files_load(const struct state_dir *d, struct state_files *ret);
void state_files_done(struct state_files *f);
/** state_file_why() - One line for people: which file is missing or broken, and what to do */
void state_file_why(const struct cli *c, const struct state_files *f, enum state_file file, struct buf *out);
/** state_files_need() - Say on stderr what is missing. Return: false when @file could not be read */
bool state_files_need(const struct cli *c, const struct state_files *f, enum state_file file);
extern const char *const state_file_names[FILE_N_];

/** host_label() - What people call a host: its name, else its address, else the first digits of its id. Never empty */
void host_label(const struct state_files *f, const char *host_id, const struct ip *host_ip, char *out, size_t size);
/** container_ns_open() - Its network namespace. Return: fd, -errno when it has ended or we may not */
int container_ns_open(const struct inv_container *c);
/** pid_alive() - Is there a process with this id? */
bool pid_alive(int32_t pid);
/** container_path() - "nic", "route", "leg", or "none" when the router has nothing for it */
const char *container_path(const struct router_state *s, const struct inv_stack *stack, const char *container);
/** problems_table() - Rows {source, object, text, cure} of all files */
struct table *problems_table(const struct state_files *f);
/** refused_table() - Rows {vni, prefix, stack_id, host, with, cure} */
struct table *refused_table(const struct state_files *f);
/** cures_print() - Refused subnets and problems as text, with both sides and the lines to paste */
void cures_print(struct output *o, const struct state_files *f);
/** verb_end() - output_end(), an error told on stderr. Return: @status, or EXIT_FAILED */
int verb_end(const struct cli *c, struct output *o, int status);

#endif
