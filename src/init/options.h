/* SPDX-License-Identifier: Apache-2.0
 *
 * What the command line of docker-router-init says. Pure: reads no file, no environment, no clock.
 */
#ifndef INIT_OPTIONS_H
#define INIT_OPTIONS_H

#include "base/base.h"

#define LIMIT_INIT_LOGS	   16
#define LIMIT_INIT_ALSO	   16
#define LIMIT_INIT_IFS	   16
#define LIMIT_INIT_TARGETS 16
#define LIMIT_INIT_WORDS   64	/* of one --also */
#define LIMIT_INIT_TEXT	   4096 /* bytes of one value */
#define LIMIT_INIT_SECONDS 86400
#define SIGNAL_MAX	   64

/** struct target - Something that must take a connection: tcp://HOST:PORT, unix:/PATH, unix:@NAME */
struct target {
	const char *text; /* as it was given */
	bool is_unix;
	char host[256]; /* a name or an address, without brackets; of unix the path, '@' first when it is abstract */
	char port[6];
};

/** struct wait_options - What is waited for, in this order: interfaces, the flag of NETWORKWAIT, targets */
struct wait_options {
	const char *ifs[LIMIT_INIT_IFS];
	size_t n_ifs;
	bool address; /* each interface must have an address that can be used */
	struct target targets[LIMIT_INIT_TARGETS];
	size_t n_targets;
	unsigned timeout_s; /* 0: for ever */
};

enum restart { RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NEVER, RESTART_N_ };

struct also_option {
	const char *text; /* as it was given */
	char **argv;	  /* one block, freed by init_options_done() */
	enum restart restart;
};

struct log_option {
	char *path; /* absolute; freed by init_options_done() */
	int fd;	    /* where it goes: 1 or 2 */
};

struct init_options {
	struct wait_options wait;
	struct log_option logs[LIMIT_INIT_LOGS];
	size_t n_logs;
	bool log_block; /* --log-full=block */
	struct also_option also[LIMIT_INIT_ALSO];
	size_t n_also;
	bool group;			 /* signals go to the whole process group */
	int death_signal;		 /* we get it when our parent dies; 0: none */
	uint64_t ok_status[4];		 /* bit n: exit status n of the program counts as 0 */
	uint8_t rewrite[SIGNAL_MAX + 1]; /* [n]: what is sent for signal n; 0: nothing */
	char **command;			 /* borrowed from argv */
	bool help, version;		 /* asked for: nothing else counts */
};

/**
 * init_options_parse() - The arguments of `docker-router init`, without the program's name
 * @args: NULL-terminated; borrowed for as long as @ret lives
 * @err:  names the option, what was given and what is allowed
 *
 * Return: 0; -EINVAL, and then @ret needs no init_options_done()
 */
int init_options_parse(char **args, struct init_options *ret, struct err *err) MUST_USE;
void init_options_done(struct init_options *o);

/** wait_options_parse() - The arguments of `docker-router wait-net`. Return: 0; 1 --help was asked for; -EINVAL */
int wait_options_parse(char **args, struct wait_options *ret, struct err *err) MUST_USE;

/** target_parse() - "tcp://db:5432", "tcp://[2001:db8::1]:80", "unix:/run/x.sock". @text is borrowed */
int target_parse(const char *text, struct target *ret, struct err *err) MUST_USE;

/**
 * words_split() - A command line as words, as a shell would cut it: by blanks, with '...', "..." and \x. Nothing is
 * expanded, since many images have no shell.
 * @ret: NULL-terminated, one block, freed with free()
 */
int words_split(const char *text, char ***ret, struct err *err) MUST_USE;

/** signal_parse() - "TERM", "SIGTERM", "15", "RTMIN+3". Return: 0 or -EINVAL */
int signal_parse(const char *text, int *ret_signal) MUST_USE;

#endif
