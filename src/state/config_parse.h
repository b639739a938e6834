/* SPDX-License-Identifier: Apache-2.0
 *
 * What config.c and config_parse.c want of each other: a row of the table of options, and how each kind of value is
 * parsed.
 */
#ifndef STATE_CONFIG_PARSE_H
#define STATE_CONFIG_PARSE_H

#include "state/config.h"

/**
 * struct option - One setting
 * @name:    of the environment variable; --name and the file's key are made of it
 * @arg:     what stands for the value in --help; NULL: a flag that needs none
 * @initial: parsed as any other value; "" where nothing is the default
 * @allowed: behind "allowed is" in an error
 * @secret:  refused on the command line, which everybody on the machine can read
 * @parse:   sets what it is about, or returns -EINVAL and leaves it
 */
struct option {
	const char *name, *arg, *initial, *allowed, *help;
	int roles;
	int (*parse)(const struct option *o, struct config *c, const char *value);
	size_t offset, size;
	uint64_t min, max;
	bool secret;
};

#define FIELD(f) .offset = offsetof(struct config, f), .size = sizeof(((struct config *)0)->f)

typedef int option_parse_fn(const struct option *o, struct config *c, const char *value);
option_parse_fn parse_text;
option_parse_fn parse_number;
option_parse_fn parse_log_level;
option_parse_fn parse_log_format;
option_parse_fn parse_datapath;
option_parse_fn parse_mapping;
option_parse_fn parse_encryption;
option_parse_fn parse_multicast_querier;
option_parse_fn parse_multicast_hide;
option_parse_fn parse_goodbye;
option_parse_fn parse_flag;
option_parse_fn parse_roles;
option_parse_fn parse_docker_hosts;
option_parse_fn parse_name;
option_parse_fn parse_subnets;
option_parse_fn parse_modes;
option_parse_fn parse_gossip_join;
option_parse_fn parse_etcd_endpoints;
option_parse_fn parse_etcd_prefix;
option_parse_fn parse_group;
option_parse_fn parse_host_ip;
option_parse_fn parse_interface;
option_parse_fn parse_peers;
option_parse_fn parse_shadow;
option_parse_fn parse_domain;
option_parse_fn parse_listen;
option_parse_fn parse_dns_servers;
option_parse_fn parse_dns_update;

#endif
