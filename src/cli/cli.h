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
#include "state/multicast.h"
#include "state/records.h"
#include "state/router.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum cli_option { /* beyond --format and --help, which every verb has */
		  OPT_ASCII = 1,
		  OPT_KERNEL_OPTIONS = 2,
		  OPT_DRY_RUN = 4,
		  OPT_PURGE = 8,
		  OPT_HERE = 16,
		  OPT_FROM = 32, /* these have a value */
		  OPT_COUNT = 64,
		  OPT_SIZE = 128,
		  OPT_TOKEN_FILE = 256,
		  OPT_EXPIRES = 512,
};

/** struct cli - One call of one verb */
struct cli {
	const char *verb;
	struct config config;
	bool json;
	int options;			  /* enum cli_option that were given */
	const char *arg;		  /* what stands behind the verb, or NULL */
	const char *arg2;		  /* behind that, or NULL */
	const char *from;		  /* --from, or NULL */
	uint32_t count, size;		  /* --count, --size */
	const char *token_file, *expires; /* or NULL */
	char default_key[300];		  /* the key file of STATE_DIR, "": there is none */
	wall_t now;			  /* DOCKER_ROUTER_NOW (seconds since 1970) stands in for the clock in tests */
	struct state_dir dir;		  /* fd -1: there is none, see dir_why */
	struct err dir_why;
};

/** verb_*() - Return: exit status */
int verb_status(struct cli *c);
int verb_peers(struct cli *c);
int verb_routes(struct cli *c);
int verb_map(struct cli *c);
int verb_stacks(struct cli *c);
int verb_records(struct cli *c);
int verb_resolve(struct cli *c);
int verb_groups(struct cli *c);
int verb_explain(struct cli *c);
int verb_nics(struct cli *c);
int verb_plug(struct cli *c);
int verb_unplug(struct cli *c);
int verb_ping(struct cli *c);
int verb_doctor(struct cli *c);
int verb_down(struct cli *c);
int verb_keygen(struct cli *c);
int verb_key(struct cli *c);
int verb_join(struct cli *c);
int verb_token(struct cli *c);
int verb_version(struct cli *c);

enum state_file {
	FILE_INVENTORY,
	FILE_DISCOVERY,
	FILE_ROUTER,
	FILE_HOST,
	FILE_ALWAYS_N_, /* those that are there wherever the host runs; the next only with the role names */
	FILE_RECORDS = FILE_ALWAYS_N_,
	FILE_N_
};

/** struct state_files - The files of STATE_DIR, those that could be read; the others are empty */
struct state_files {
	struct inventory inventory;
	struct discovery discovery;
	struct router_state router;
	struct host_state host;
	struct records records;		  /* only after state_files_load_records() */
	struct multicast_state multicast; /* only after state_files_load_multicast(), and when it is there and sound */
	bool has_multicast;
	int code[FILE_N_]; /* 0, -ENOENT, or why it was not believed */
	struct err why[FILE_N_];
};

/** state_dir_view() - Open STATE_DIR as it is: nothing is made or changed. 0 or -errno */
int state_dir_view(const char *path, struct state_dir *ret, struct err *err) MUST_USE;
/** state_files_load() - Read all but records.json; a broken one is told in @ret->why and leaves its struct empty */
void state_files_load(const struct state_dir *d, struct state_files *ret);
/** state_files_load_records() - records.json too, which can be large: for the verbs that are about names */
void state_files_load_records(const struct state_dir *d, struct state_files *f);
/** state_files_load_multicast() - multicast.json too. Return: 0 or -errno */
int state_files_load_multicast(const struct state_dir *d, struct state_files *f, struct err *err);
/** role_wanted() - Is it one of the roles that the host starts? True also when no host.json tells */
bool role_wanted(const struct state_files *f, const char *role);
/** role_down() - Does a role not run that the host was to start? Never where nobody supervises (two containers) */
bool role_down(const struct state_files *f, const char *role);
/** down_problems() - The host, or roles of it, that do not run, with what to do */
void down_problems(const struct state_files *f, struct problems *ret);
void state_files_done(struct state_files *f);
/** state_file_why() - One line for people: which file is missing or broken, and what to do */
void state_file_why(const struct cli *c, const struct state_files *f, enum state_file file, struct buf *out);
/** state_files_need() - Say on stderr what is missing. Return: false when @file could not be read */
bool state_files_need(const struct cli *c, const struct state_files *f, enum state_file file);
extern const char *const state_file_names[FILE_N_];

/** key_file_path() - CLUSTER_KEY_FILE, as given to us or else to the host that runs here, or that of STATE_DIR; "":
 * none */
const char *key_file_path(const struct cli *c, const struct state_files *f);
/** host_label() - What people call a host: its name, else its address, else the first digits of its id. Never empty */
void host_label(const struct state_files *f, const char *host_id, const struct ip *host_ip, char *out, size_t size);
/** host_ns_enter() - Into the host's network namespace, when this is another one. Return: 0, 1: entered, or -errno */
int host_ns_enter(const struct state_files *f, char ret_here[static 64]);
/** container_ns_open() - Its network namespace. Return: fd, -errno when it has ended or we may not */
int container_ns_open(const struct inv_container *c);
/** pid_alive() - Is there a process with this id that has not ended? (A zombie has) */
bool pid_alive(int32_t pid);
/** container_path() - "nic", "route", "leg", or "none" when the router has nothing for it */
const char *container_path(const struct router_state *s, const struct inv_stack *stack, const char *container);
/** engines_asked() - Is an engine asked what there is? In the two-container form none is: containers are not known */
bool engines_asked(const struct state_files *f);

/** mapped_prefixes() - What discovery says about a stack of any host, ours too: its mapped prefixes. Return: their
 * number
 */
size_t mapped_prefixes(const struct state_files *f, const char *host_id, const char *stack_id, uint32_t vni,
		       const struct mapped **ret);
/** cell_mapped() - The next cell: the prefixes by which others reach these subnets */
void cell_mapped(struct table *t, const struct mapped *m, size_t n);
json_t *mapped_json(const struct mapped *m, size_t n); /* [{"subnet", "as"}] */
/** refused_is_mapped() - A subnet that clashes, but whose stack is reached by a mapped prefix: nothing has to be done
 */
bool refused_is_mapped(const struct state_files *f, const struct rs_refused *r);
/** refused_mappable() - A clash that MAPPING=auto would end: the stack or one of ours in the VNI is not mapped */
bool refused_mappable(const struct state_files *f, const struct rs_refused *r);
/** refused_cure() - What ends the clash: which file is to be changed where, and the lines for it ("" when none are
 * known)
 */
void refused_cure(const struct state_files *f, const struct rs_refused *r, struct buf *ret_where,
		  struct buf *ret_lines);
/** problems_table() - Rows {source, object, text, cure} of all files */
struct table *problems_table(const struct state_files *f);
/** refused_table() - Rows {vni, prefix, stack_id, host, with, cure, mapped}; @all: those that are mapped too */
struct table *refused_table(const struct state_files *f, bool all);
/** cures_print() - Refused subnets and problems as text, with both sides and the lines to paste */
void cures_print(struct output *o, const struct state_files *f);
/** verb_end() - output_end(), an error told on stderr. Return: @status, or EXIT_FAILED */
int verb_end(const struct cli *c, struct output *o, int status);

#endif
