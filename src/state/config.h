/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings: one table of options is the parser of environment, command line and file, the text of --help and the list
 * in the man page. Precedence: command line, environment, file (CONFIG, default
 * /etc/docker-router/docker-router.yaml), default. A value that does not parse is refused at start with the variable's
 * name, what was given and what is allowed.
 *
 * The file (YAML): the same names in lower case with '-' or '_', and the networks that labels cannot reach:
 *
 *	discovery_mode: multicast
 *	networks:
 *	  br-container: {vni: 1000, stack: openwrt}     # a Docker network's name or its bridge's
 *	attach:
 *	  web:                                          # a container's name
 *	    nics: br-lan:eth1
 *	    eth1: {address: dhcp}                       # as the labels docker-router.attach.eth1.*
 */
#ifndef STATE_CONFIG_H
#define STATE_CONFIG_H

#include "base/addr.h"
#include "base/base.h"
#include "base/log.h"
#include "state/limits.h"
#include "state/multicast_label.h"
#include "state/nic_request.h"

/* who reads an option, for --help */
enum option_role {
	FOR_ALL = 1,
	FOR_INVENTORY = 2,
	FOR_DISCOVERY = 4,
	FOR_ROUTER = 8,
	FOR_HOST = 16,
	FOR_CLI = 32,
	FOR_NAMES = 64,
	FOR_MULTICAST = 128,
	FOR_ATTACH = 256,
	FOR_DRIVER = 512,
};

enum discovery_mode { MODE_MULTICAST = 1, MODE_STATIC = 2, MODE_GOSSIP = 4, MODE_ETCD = 8, MODE_DNS = 16 };
/** modes_print() - As DISCOVERY_MODE takes it */
void modes_print(int modes, char *ret, size_t size);
enum datapath { DATAPATH_AUTO, DATAPATH_LEG, DATAPATH_ROUTE, DATAPATH_NIC, DATAPATH_N_ };
extern const char *const datapath_names[DATAPATH_N_];
enum mapping { MAPPING_AUTO, MAPPING_ALWAYS, MAPPING_NEVER, MAPPING_N_ };
extern const char *const mapping_names[MAPPING_N_];
enum encryption { ENCRYPTION_NONE, ENCRYPTION_WIREGUARD, ENCRYPTION_N_ };
extern const char *const encryption_names[ENCRYPTION_N_];
enum goodbye { GOODBYE_STOP /* when the process is told to stop */, GOODBYE_NEVER, GOODBYE_N_ };

enum multicast_querier { MULTICAST_QUERIER_OFF, MULTICAST_QUERIER_AUTO, MULTICAST_QUERIER_ON, MULTICAST_QUERIER_N_ };
extern const char *const multicast_querier_names[MULTICAST_QUERIER_N_];

struct config_network { /* a network named in the file */
	char name[LIMIT_NAME], stack[LIMIT_NAME];
	uint32_t vni;			  /* 0: joins no overlay, then it has: */
	struct multicast_label multicast; /* all zero: none */
	bool has_multicast;
};

struct config {
	/* STATE_DIR, RUN_DIR, CONFIG, LOG_LEVEL (error..debug), LOG_FORMAT (text, json) */
	char state_dir[256], run_dir[256], config_file[256];
	enum log_level log_level;
	enum log_format log_format;
	/* ROLES: "inventory,discovery,router,names,multicast,attach" by default */
	char roles[128];
	/* DOCKER_HOST: endpoints, commas between; unix:///path, tcp://host:port (http), default
	 * unix:///var/run/docker.sock */
	char docker_hosts[LIMIT_ENGINES][256];
	size_t n_docker_hosts;
	/* the two-container form and discovery alone */
	char stack_id[LIMIT_NAME];		    /* STACK_ID */
	uint32_t vni;				    /* VNI; 0: not given */
	struct prefix stack_subnets[LIMIT_SUBNETS]; /* STACK_SUBNETS */
	size_t n_stack_subnets;
	/* discovery */
	int modes;		      /* DISCOVERY_MODE */
	struct ip multicast_group;    /* MULTICAST_GROUP 239.1.1.1 */
	uint16_t discovery_port;      /* DISCOVERY_PORT 4790 */
	uint32_t announce_interval_s; /* ANNOUNCE_INTERVAL 30; 1..3600 */
	uint32_t peer_timeout_s;      /* PEER_TIMEOUT 90; 1..3600, > interval is demanded, >= 2 x interval is advised */
	struct endpoint peers[256];   /* PEERS: addresses with optional port */
	size_t n_peers;
	uint16_t gossip_port;				/* GOSSIP_PORT 4791 */
	char gossip_join[LIMIT_JOIN][LIMIT_JOIN_BYTES]; /* GOSSIP_JOIN: as join_parse() takes them */
	size_t n_gossip_join;
	char cluster_key_file[256]; /* CLUSTER_KEY_FILE; "": nothing is sealed */
	struct ip host_ip;	    /* HOST_IP; none: found */
	char interface[16];	    /* INTERFACE; "": all that can */
	enum goodbye goodbye;	    /* GOODBYE stop | never */
	/* ETCD_...: endpoints are http://host:port or https://host:port; the prefix begins with '/' and does not end so
	 */
	char etcd_endpoints[LIMIT_ETCD_ENDPOINTS][256];
	size_t n_etcd_endpoints;
	char etcd_prefix[128];
	uint32_t etcd_lease_ttl_s;
	char etcd_username[128], etcd_password[256], etcd_password_file[256]; /* "": none */
	char etcd_cacert[256], etcd_cert[256], etcd_key[256];
	/* DNS_...: no server: those of /etc/resolv.conf; dns_update none: our records are not written */
	char dns_domain[128];
	struct endpoint dns_servers[LIMIT_DNS];
	size_t n_dns_servers;
	struct endpoint dns_update;
	char dns_tsig_key_file[256];
	uint32_t dns_ttl_s;
	/* router */
	uint16_t vxlan_port;		/* VXLAN_PORT 4789 */
	struct prefix shadow4, shadow6; /* SHADOW_POOL 241.0.0.0/8,fd64:7264::/32 */
	enum datapath datapath;		/* DATAPATH auto */
	bool leg_shortcut;		/* LEG_SHORTCUT on */
	enum mapping mapping;		/* MAPPING auto; discovery and router */
	uint32_t underlay_mtu;		/* UNDERLAY_MTU; 0: the interface's */
	enum encryption encryption;	/* ENCRYPTION none; discovery and router */
	uint16_t wireguard_port;	/* WIREGUARD_PORT 51820 */
	uint32_t wireguard_keepalive_s; /* WIREGUARD_KEEPALIVE; 0: none */
	bool wireguard_relay;		/* WIREGUARD_RELAY off */
	bool dry_run;			/* --dry-run */
	/* names */
	char names_domain[64]; /* NAMES_DOMAIN docker-router.internal; lower case, without dots at its ends */
	struct endpoint names_listen[LIMIT_LISTEN]; /* NAMES_LISTEN 127.0.0.1:4753, for the host's own resolver */
	size_t n_names_listen;			    /* 0: "off" */
	enum multicast_querier multicast_querier;   /* MULTICAST_QUERIER auto */
	uint32_t multicast_query_interval_s;	    /* MULTICAST_QUERY_INTERVAL 125 */
	uint16_t multicast_ttl;			    /* MULTICAST_TTL; 0: see there */
	struct prefix multicast_hide[LIMIT_HIDE];   /* MULTICAST_HIDE */
	size_t n_multicast_hide;
	bool multicast_advertise; /* MULTICAST_ADVERTISE off */
	char attach_uci[256];	  /* ATTACH_UCI /etc/config/docker; read by inventory */
	/* driver */
	char driver_socket[108]; /* DRIVER_SOCKET; its name is the driver's */
	/* networks of the file, and NICs of containers */
	struct config_network *networks;
	size_t n_networks, cap_networks;
	struct nic_requests attach;
};

/**
 * config_load() - Defaults, file, environment, then argv
 * @role:   option_role bits of the caller
 * @argc, @argv: without the role's name; options as --state-dir X, --state-dir=X, --dry-run; NULL-terminated
 * environment
 * @ret_rest: index of the first argument that is no option
 *
 * A missing file at the default path is fine, one that CONFIG names is not.
 * Return: 0; 1: --help was printed; -EINVAL: @err holds the one line to print (exit status 2)
 */
int config_load(int role, const char *command, int argc, char **argv, char **env, struct config *ret, int *ret_rest,
		struct err *err) MUST_USE;
/**
 * config_begin() - With what a role starts: config_load(), which may leave no argument over, and the log
 * @argc, @argv: as of config_load()
 *
 * Return: -1: go on, @ret is the caller's; else the exit status: 0 after --help, 2 after one line on stderr
 */
int config_begin(int role, const char *command, int argc, char **argv, char **env, struct config *ret) MUST_USE;
void config_done(struct config *c);
/** config_print_options() - The options of @role, for --help and (as scdoc) for the man page */
void config_print_options(FILE *out, int role, bool scdoc);

#endif
