/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings: one table, read by everything that takes or tells options. The YAML file is read in config_file.c.
 */
#include "state/config.h"

#include "state/config_file.h"
#include "state/config_parse.h"
#include "state/json.h"

#define DEFAULT_CONFIG "/etc/docker-router/docker-router.yaml"

static const struct option options[] = {
	{"STATE_DIR", "PATH", "/var/lib/docker-router", "a path of at most 255 bytes",
	 "Folder of the state files, the only wire between the roles.", FOR_ALL, parse_text, FIELD(state_dir)},
	{"RUN_DIR", "PATH", "/run/docker-router", "a path of at most 255 bytes",
	 "Folder of the broker's socket and of the pinned router namespaces.", FOR_ROUTER | FOR_HOST | FOR_CLI,
	 parse_text, FIELD(run_dir)},
	{"CONFIG", "FILE", DEFAULT_CONFIG, "a path of at most 255 bytes", "Settings as YAML.", FOR_ALL, parse_text,
	 FIELD(config_file)},
	{"LOG_LEVEL", "LEVEL", "info", "error, warning, info or debug",
	 "How much is logged: error, warning, info, debug.", FOR_ALL, parse_log_level},
	{"LOG_FORMAT", "FORMAT", "text", "text or json", "How it is logged: text, or json with one object a line.",
	 FOR_ALL, parse_log_format},
	{"ROLES", "LIST", "inventory,discovery,router,names,multicast,attach",
	 "some of inventory, discovery, router, names, multicast, attach, driver, with commas",
	 "The roles that host starts.", FOR_HOST, parse_roles},
	{"DOCKER_HOST", "LIST", "unix:///var/run/docker.sock",
	 "unix:///path or tcp://host:port, at most 16 of them with commas",
	 "The Docker Engines to ask, with commas: unix:///path, tcp://host:port (HTTP).", FOR_INVENTORY | FOR_CLI,
	 parse_docker_hosts},
	{"STACK_ID", "NAME", "", "1 to 127 of letters, digits, '_', '.', '-'",
	 "Name of the stack, for discovery or router without inventory. Needs VNI.", FOR_DISCOVERY | FOR_ROUTER,
	 parse_name, FIELD(stack_id)},
	{"VNI", "NUMBER", "0", "a whole number from 1 to 16777215",
	 "The VXLAN network that the stack joins, 1 to 16777215. Needs STACK_ID.", FOR_DISCOVERY | FOR_ROUTER,
	 parse_number, FIELD(vni), 1, VNI_MAX},
	{"STACK_SUBNETS", "LIST", "", "prefixes such as 10.71.0.0/24, at most 64 with commas",
	 "Subnets of that stack, with commas; the router needs them, discovery takes them from it.",
	 FOR_DISCOVERY | FOR_ROUTER, parse_subnets},
	{"DISCOVERY_MODE", "LIST", "multicast", "some of multicast, static, gossip, etcd, dns, with commas",
	 "How peers are found: multicast, static, gossip, etcd, dns, or several of them with commas.", FOR_DISCOVERY,
	 parse_modes},
	{"MULTICAST_GROUP", "ADDRESS", "239.1.1.1", "an IPv4 or IPv6 multicast address", "Group of the announcements.",
	 FOR_DISCOVERY, parse_group},
	{"DISCOVERY_PORT", "PORT", "4790", "a port from 1 to 65535", "UDP port of the announcements.", FOR_DISCOVERY,
	 parse_number, FIELD(discovery_port), 1, UINT16_MAX},
	{"ANNOUNCE_INTERVAL", "SECONDS", "30", "a whole number of seconds from 1 to 3600",
	 "Time between two announcements.", FOR_DISCOVERY, parse_number, FIELD(announce_interval_s), 1, 3600},
	{"PEER_TIMEOUT", "SECONDS", "90", "a whole number of seconds from 1 to 3600",
	 "Time after which a peer that is silent is gone; more than ANNOUNCE_INTERVAL, better twice that.",
	 FOR_DISCOVERY, parse_number, FIELD(peer_timeout_s), 1, 3600},
	{"PEERS", "LIST", "", "addresses with or without port, at most 256 with commas",
	 "Hosts to announce to in mode static, with commas: 192.0.2.2 or [2001:db8::2]:4790.", FOR_DISCOVERY,
	 parse_peers},
	{"GOSSIP_PORT", "PORT", "4791", "a port from 1 to 65535", "UDP and TCP port of the mode gossip, on HOST_IP.",
	 FOR_DISCOVERY | FOR_CLI, parse_number, FIELD(gossip_port), 1, UINT16_MAX},
	{"GOSSIP_JOIN", "LIST", "", "names or addresses with or without port, at most 16 with commas",
	 "Members to join by in mode gossip, with commas: nas.lan,192.0.2.2:4791. One that can be reached is enough.",
	 FOR_DISCOVERY, parse_gossip_join},
	{"CLUSTER_KEY_FILE", "FILE", "", "a path of at most 255 bytes",
	 "Keys that discovery is sealed with; the same on all hosts. Where it is not set: STATE_DIR/keys/cluster.key, "
	 "if "
	 "`join` or `key add` has made it. Without keys anybody on the network can join.",
	 FOR_DISCOVERY | FOR_ROUTER | FOR_CLI, parse_text, FIELD(cluster_key_file)},
	{"ENCRYPTION", "KIND", "none", "none or wireguard",
	 "How traffic between hosts is encrypted: none, or wireguard, which needs a cluster key: CLUSTER_KEY_FILE, or "
	 "what "
	 "`join` brings. The same on all hosts.",
	 FOR_DISCOVERY | FOR_ROUTER, parse_encryption},
	{"WIREGUARD_PORT", "PORT", "51820", "a port from 1 to 65534",
	 "UDP port of WireGuard; the next one too, to which the host moves with every new key, and back.", FOR_ROUTER,
	 parse_number, FIELD(wireguard_port), 1, UINT16_MAX - 1},
	{"WIREGUARD_KEEPALIVE", "SECONDS", "0", "0 or a whole number of seconds up to 65535",
	 "Time between two packets that keep the way through a NAT in front of this host open; 25 is usual, 0 is off.",
	 FOR_ROUTER, parse_number, FIELD(wireguard_keepalive_s), 0, UINT16_MAX},
	{"WIREGUARD_RELAY", "WHEN", "off", "on or off",
	 "Whether this host passes on what two others cannot send to each other: on at a host that all of them reach.",
	 FOR_ROUTER, parse_flag, FIELD(wireguard_relay)},
	{"HOST_IP", "ADDRESS", "", "the address of an interface of this host",
	 "Address that everything is sent from. Default: that of the default route's interface.",
	 FOR_DISCOVERY | FOR_ROUTER, parse_host_ip},
	{"INTERFACE", "NAME", "", "the name of a network interface",
	 "Interface of the announcements, and of the LAN for multicast. Default: all that can do multicast; that of "
	 "the "
	 "default route.",
	 FOR_DISCOVERY | FOR_ROUTER | FOR_MULTICAST, parse_interface, FIELD(interface)},
	{"GOODBYE", "WHEN", "stop", "stop or never",
	 "When peers are told that this host leaves: stop (as the process ends) or never.", FOR_DISCOVERY,
	 parse_goodbye},
	{"ETCD_ENDPOINTS", "LIST", "", "http://host:port or https://host:port, at most 8 of them with commas",
	 "Members of the etcd cluster to ask in mode etcd, with commas: https://192.0.2.9:2379.", FOR_DISCOVERY,
	 parse_etcd_endpoints},
	{"ETCD_PREFIX", "PATH", "/docker-router/discovery",
	 "a path of at most 127 letters, digits, '/', '-', '_' and dots that begins with '/'",
	 "Keys below it are read and written, and no others.", FOR_DISCOVERY, parse_etcd_prefix},
	{"ETCD_LEASE_TTL", "SECONDS", "30", "a whole number of seconds from 5 to 3600",
	 "Time after which a host that no longer speaks to etcd is gone for the others.", FOR_DISCOVERY, parse_number,
	 FIELD(etcd_lease_ttl_s), 5, 3600},
	{"ETCD_USERNAME", "NAME", "", "a name of at most 127 bytes", "User at etcd.", FOR_DISCOVERY, parse_text,
	 FIELD(etcd_username)},
	{"ETCD_PASSWORD", "PASSWORD", "", "at most 255 bytes; not on the command line",
	 "Password of that user; better in a file.", FOR_DISCOVERY, parse_text, FIELD(etcd_password), .secret = true},
	{"ETCD_PASSWORD_FILE", "FILE", "", "a path of at most 255 bytes",
	 "File whose first line is the password. Read at start, before root is given up.", FOR_DISCOVERY, parse_text,
	 FIELD(etcd_password_file)},
	{"ETCD_CACERT", "FILE", "", "a path of at most 255 bytes",
	 "Certificates (PEM) of who may sign for etcd. Default: the system's.", FOR_DISCOVERY, parse_text,
	 FIELD(etcd_cacert)},
	{"ETCD_CERT", "FILE", "", "a path of at most 255 bytes",
	 "Our certificate (PEM), where etcd asks for one. Needs ETCD_KEY.", FOR_DISCOVERY, parse_text,
	 FIELD(etcd_cert)},
	{"ETCD_KEY", "FILE", "", "a path of at most 255 bytes",
	 "Its key (PEM). Read at start, before root is given up.", FOR_DISCOVERY, parse_text, FIELD(etcd_key)},
	{"DNS_DOMAIN", "DOMAIN", "", "a domain of at most 127 letters, digits, '-', '_' and dots",
	 "Domain whose SRV records _docker-router._udp tell the hosts in mode dns.", FOR_DISCOVERY, parse_domain,
	 FIELD(dns_domain)},
	{"DNS_SERVER", "LIST", "", "at most 8 addresses, with or without port, with commas",
	 "DNS servers to ask in mode dns, with commas. Default: those of /etc/resolv.conf.", FOR_DISCOVERY,
	 parse_dns_servers},
	{"DNS_UPDATE", "ADDRESS", "", "an address, with or without port",
	 "Primary DNS server of the zone, to write our records to. Without it somebody else writes them.",
	 FOR_DISCOVERY, parse_dns_update},
	{"DNS_TSIG_KEY_FILE", "FILE", "", "a path of at most 255 bytes",
	 "TSIG key that these updates are signed with. Read at start, before root is given up.", FOR_DISCOVERY,
	 parse_text, FIELD(dns_tsig_key_file)},
	{"DNS_TTL", "SECONDS", "60", "a whole number of seconds from 2 to 3600",
	 "Time that our records may be kept by those who asked for them.", FOR_DISCOVERY, parse_number,
	 FIELD(dns_ttl_s), 2, 3600},
	{"VXLAN_PORT", "PORT", "4789", "a port from 1 to 65535", "UDP port of VXLAN.", FOR_DISCOVERY | FOR_ROUTER,
	 parse_number, FIELD(vxlan_port), 1, UINT16_MAX},
	{"SHADOW_POOL", "LIST", "241.0.0.0/8,fd64:7264::/32",
	 "an IPv4 prefix (/4 to /24), an IPv6 prefix (/8 to /64), or both",
	 "Prefixes that nobody uses: mapped subnets, and rewriting between stacks of one host.",
	 FOR_DISCOVERY | FOR_ROUTER, parse_shadow},
	{"MAPPING", "WHEN", "auto", "auto, always or never",
	 "When stacks get mapped subnets: auto (as soon as subnets clash), always, never.", FOR_DISCOVERY | FOR_ROUTER,
	 parse_mapping},
	{"DATAPATH", "GRADE", "auto", "auto, leg, route or nic",
	 "Path between container and overlay: leg, route, nic, or auto for the fastest that is permitted.", FOR_ROUTER,
	 parse_datapath},
	{"LEG_SHORTCUT", "WHEN", "on", "on or off",
	 "Whether what the host's firewall let through goes past it then, with DATAPATH leg or route: on or off.",
	 FOR_ROUTER, parse_flag, FIELD(leg_shortcut)},
	{"UNDERLAY_MTU", "BYTES", "0", "0 or a whole number from 1280 to 65535",
	 "MTU between the hosts. Default: that of the interface.", FOR_ROUTER, parse_number, FIELD(underlay_mtu), 1280,
	 65535},
	{"NAMES_DOMAIN", "DOMAIN", "docker-router.internal",
	 "a domain of at most 63 letters, digits, '-', '_' and dots",
	 "Domain below which all names of containers are found.", FOR_NAMES | FOR_CLI, parse_domain,
	 FIELD(names_domain)},
	{"NAMES_LISTEN", "LIST", "127.0.0.1:4753", "at most 8 addresses, with or without port, with commas; or off",
	 "Addresses and UDP ports where the host's own resolver can ask for names, with commas, or off.",
	 FOR_NAMES | FOR_CLI, parse_listen},
	{"MULTICAST_QUERIER", "WHEN", "auto", "off, auto or on",
	 "When listeners are asked by IGMP and MLD, for switches that forget: auto (while nobody else does), on, off.",
	 FOR_MULTICAST, parse_multicast_querier},
	{"MULTICAST_QUERY_INTERVAL", "SECONDS", "125", "a whole number of seconds from 2 to 3600",
	 "Time between two queries of IGMP and MLD; less where a switch forgets sooner.", FOR_MULTICAST, parse_number,
	 FIELD(multicast_query_interval_s), 2, 3600},
	{"MULTICAST_TTL", "TTL", "0", "0 or a whole number up to 255",
	 "Time to live of what is relayed and copied: set, never counted up. 0: SSDP 2, streams as they come.",
	 FOR_MULTICAST, parse_number, FIELD(multicast_ttl), 1, UINT8_MAX},
	{"MULTICAST_HIDE", "LIST", "", "at most 32 prefixes, with commas",
	 "Addresses that mDNS does not tell on other links, with commas: 10.8.0.0/24,fd00::/8.", FOR_MULTICAST,
	 parse_multicast_hide},
	{"MULTICAST_ADVERTISE", "WHEN", "off", "on or off",
	 "Whether routers' advertisements tell the LAN the IPv6 route to networks that are routed: on or off.",
	 FOR_MULTICAST | FOR_CLI, parse_flag, FIELD(multicast_advertise)},
	{"ATTACH_UCI", "FILE", "/etc/config/docker", "a path of at most 255 bytes",
	 "OpenWrt's settings of Docker, whose sections config container say which NICs a container gets.",
	 FOR_INVENTORY, parse_text, FIELD(attach_uci)},
	{"DRIVER_SOCKET", "FILE", "/run/docker/plugins/docker-router-lan.sock", "a path of at most 103 bytes",
	 "Where Docker asks the network driver. The file's name without .sock is that of the driver.", FOR_DRIVER,
	 parse_text, FIELD(driver_socket)},
	{"DRY_RUN", NULL, "false", "true or false", "Print what would be changed in the kernel, and change nothing.",
	 FOR_ROUTER, parse_flag, FIELD(dry_run)},
};

static bool option_is_for(const struct option *o, int role)
{
	return o->roles & FOR_ALL || o->roles & role;
}

/* does @key, in the spelling of flags and files ("vxlan-port", "vxlan_port"), mean @name? */
static bool key_is(const char *key, size_t len, const char *name)
{
	for (size_t i = 0; i < len; i++, name++) {
		char c = key[i] == '-' ? '_' : key[i];
		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		else if (c >= 'A' && c <= 'Z')
			return false;
		if (c != *name)
			return false;
	}
	return *name == '\0';
}

static const struct option *option_find(const char *key, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (key_is(key, len, options[i].name))
			return &options[i];
	return NULL;
}

static void option_flag(const struct option *o, char out[static 32])
{
	size_t i = 0;
	for (; i < 31 && o->name[i]; i++)
		out[i] = o->name[i] == '_'			  ? '-'
			 : o->name[i] >= 'A' && o->name[i] <= 'Z' ? (char)(o->name[i] - 'A' + 'a')
								  : o->name[i];
	out[i] = '\0';
}

/* "did you mean", or where to look */
static const char *flag_nearest(const char *word, size_t len, int role, char out[static 32])
{
	char flags[ARRAY_LEN(options)][32], key[40];
	const char *words[ARRAY_LEN(options) + 1];
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (option_is_for(&options[i], role)) {
			option_flag(&options[i], flags[n]);
			words[n] = flags[n];
			n++;
		}
	words[n] = NULL;
	str_print(key, "%.*s", (int)(len < sizeof(key) ? len : sizeof(key) - 1), word);
	for (char *k = key; *k; k++)
		*k = *k == '_' ? '-' : *k;
	const char *nearest = str_nearest(key, words);
	snprintf(out, 32, "%s", nearest ? nearest : "");
	return nearest ? out : NULL;
}

static int option_set(const struct option *o, struct config *c, const char *value, const char *where, struct err *err)
{
	if (o->parse(o, c, value) == 0)
		return 0;
	autobuf struct buf given = {0};
	str_safe(&given, value);
	return err_set(err, -EINVAL, "%s=%.90s (%.90s): allowed is %s", o->name, given.data, where, o->allowed);
}

int config_set(struct config *c, const char *key, const char *value, const char *where, struct err *err)
{
	const struct option *o = option_find(key, strlen(key));
	char nearest[32];
	if (!o || str_eq(o->name, "CONFIG")) {
		const char *n = flag_nearest(key, strlen(key), -1, nearest);
		for (char *k = nearest; *k; k++)
			*k = *k == '-' ? '_' : *k;
		return err_set(err, -EINVAL, "%s: unknown setting%s%s%s", where, n ? ", did you mean " : "", n ? n : "",
			       n ? "?" : "");
	}
	return option_set(o, c, value, where, err);
}

static const char *env_find(char **env, const char *name)
{
	size_t len = strlen(name);
	for (; env && *env; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			return *env + len + 1;
	return NULL;
}

static int env_load(int role, char **env, struct config *c, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		const struct option *o = &options[i];
		const char *value = option_is_for(o, role) ? env_find(env, o->name) : NULL;
		if (!value || !*value) /* Compose sets ${VNI:-} to nothing where it means "not given" */
			continue;
		int r = option_set(o, c, value, "environment", err);
		if (r < 0)
			return r;
	}
	return 0;
}

/**
 * args_load() - Walk over the options in front of the first argument that is none
 * @only: NULL, or the one option that is to be set in this pass
 * Return: 0; 1: help is wanted; -EINVAL
 */
static int args_load(int role, const char *command, int argc, char **argv, const struct option *only, struct config *c,
		     int *ret_rest, struct err *err)
{
	char nearest[32];
	int i = 0, r;
	for (; i < argc; i++) {
		const char *a = argv[i];
		if (a[0] != '-' || !a[1])
			break;
		if (str_eq(a, "--")) {
			i++;
			break;
		}
		if (str_eq(a, "--help") || str_eq(a, "-h"))
			return 1;
		size_t len = a[1] == '-' ? strcspn(a + 2, "=") : 0;
		const struct option *o = len ? option_find(a + 2, len) : NULL;
		if (!o || !option_is_for(o, role)) {
			const char *n = len ? flag_nearest(a + 2, len, role, nearest) : NULL;
			autobuf struct buf given = {0};
			str_safe(&given, a);
			return err_set(err, -EINVAL, "unknown option %s of %s; %s%s%s", given.data, command,
				       n ? "did you mean --" : "see --help", n ? n : "", n ? "?" : "");
		}
		const char *value = a[2 + len] == '=' ? a + 3 + len : NULL;
		if (!value && !o->arg)
			value = "true";
		else if (!value && i + 1 < argc)
			value = argv[++i];
		if (!value)
			return err_set(err, -EINVAL, "%s needs a value: %s", a, o->allowed);
		if (only && o != only)
			continue;
		if (o->secret)
			return err_set(err, -EINVAL, "%s is not for the command line: allowed is %s", o->name,
				       o->allowed);
		if ((r = option_set(o, c, value, "command line", err)) < 0)
			return r;
	}
	*ret_rest = i;
	return 0;
}

static int check_etcd(const struct config *c, struct err *err)
{
	if (!(c->modes & MODE_ETCD))
		return 0;
	if (!c->n_etcd_endpoints)
		return err_set(err, -EINVAL, "DISCOVERY_MODE=etcd needs ETCD_ENDPOINTS: http://host:port");
	if (!*c->etcd_cert != !*c->etcd_key)
		return err_set(err, -EINVAL, "ETCD_CERT and ETCD_KEY: both are needed, or none");
	if (*c->etcd_password && *c->etcd_password_file)
		return err_set(err, -EINVAL, "ETCD_PASSWORD and ETCD_PASSWORD_FILE: allowed is one of them");
	if (!*c->etcd_username != !(*c->etcd_password || *c->etcd_password_file))
		return err_set(err, -EINVAL,
			       "ETCD_USERNAME and ETCD_PASSWORD (or ETCD_PASSWORD_FILE): both are needed, or none");
	return 0;
}

static int check_dns(const struct config *c, struct err *err)
{
	if (!(c->modes & MODE_DNS))
		return 0;
	if (!*c->dns_domain)
		return err_set(err, -EINVAL,
			       "DISCOVERY_MODE=dns needs DNS_DOMAIN: a domain such as router.example.org");
	if (*c->dns_tsig_key_file && ip_is_none(&c->dns_update.ip))
		return err_set(err, -EINVAL, "DNS_TSIG_KEY_FILE is given without DNS_UPDATE, which it is for");
	return 0;
}

static int check_together(int role, struct config *c, struct err *err)
{
	for (size_t i = 0; i < c->n_peers; i++)
		if (!c->peers[i].port)
			c->peers[i].port = c->discovery_port;
	if (!(role & (FOR_DISCOVERY | FOR_ROUTER)))
		return 0;
	if (c->peer_timeout_s <= c->announce_interval_s)
		return err_set(err, -EINVAL,
			       "PEER_TIMEOUT=%u: allowed is more than ANNOUNCE_INTERVAL=%u, better at least twice that",
			       c->peer_timeout_s, c->announce_interval_s);
	if (c->gossip_port == c->vxlan_port || c->gossip_port == c->discovery_port)
		return err_set(err, -EINVAL, "GOSSIP_PORT=%u: allowed is any port but VXLAN_PORT and DISCOVERY_PORT",
			       c->gossip_port);
	if (c->discovery_port == c->vxlan_port)
		return err_set(err, -EINVAL, "DISCOVERY_PORT=%u: allowed is any port but VXLAN_PORT",
			       c->discovery_port);
	if (*c->stack_id && !c->vni)
		return err_set(err, -EINVAL,
			       "STACK_ID=%s is given without VNI (1 to 16777215): both are needed, or none",
			       c->stack_id);
	if (c->vni && !*c->stack_id)
		return err_set(err, -EINVAL, "VNI=%u is given without STACK_ID: both are needed, or none", c->vni);
	if (c->encryption == ENCRYPTION_WIREGUARD && (*c->stack_id || c->vni))
		return err_set(
			err, -EINVAL,
			"ENCRYPTION=wireguard: allowed with `docker-router host` only, not with STACK_ID and VNI");
	if (!(role & FOR_DISCOVERY))
		return 0;
	int r = check_etcd(c, err);
	return r < 0 ? r : check_dns(c, err);
}

int config_load(int role, const char *command, int argc, char **argv, char **env, struct config *ret, int *ret_rest,
		struct err *err)
{
	struct config *c = xcalloc(1, sizeof(*c));
	const struct option *config = option_find("config", 6);
	int rest = 0, r = 0;
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (*options[i].initial && options[i].parse(&options[i], c, options[i].initial) < 0)
			abort(); /* a default of the table does not parse */
	if ((r = args_load(role, command, argc, argv, config, c, &rest, err)) != 0)
		goto out;
	const char *from_env = env_find(env, config->name);
	bool named = !str_eq(c->config_file, config->initial);
	if (!named && from_env && *from_env) {
		named = true;
		if ((r = option_set(config, c, from_env, "environment", err)) < 0)
			goto out;
	}
	if ((r = config_file_load(c, named, err)) < 0 || (r = env_load(role, env, c, err)) < 0 ||
	    (r = args_load(role, command, argc, argv, NULL, c, &rest, err)) != 0 ||
	    (r = check_together(role, c, err)) < 0)
		goto out;
	*ret = *c;
	*ret_rest = rest;
	c->networks = NULL;
	c->attach = (struct nic_requests){0};
out:
	if (r == 1) {
		printf("Usage: docker-router %s [OPTION...]\n\nOptions, each with the environment variable that does "
		       "the same:\n",
		       command);
		config_print_options(stdout, role, false);
	}
	config_done(c);
	free(c);
	return r < 0 ? -EINVAL : r;
}

int config_begin(int role, const char *command, int argc, char **argv, char **env, struct config *ret)
{
	struct err err = {0};
	int rest = 0, rc = config_load(role, command, argc, argv, env, ret, &rest, &err);

	if (rc > 0)
		return 0;
	if (rc == 0 && rest < argc) {
		config_done(ret);
		rc = err_set(&err, -EINVAL, "%s takes no argument: %.100s", command, argv[rest]);
	}
	if (rc < 0) {
		fprintf(stderr, "docker-router %s: %s\n", command, err.text);
		return 2;
	}
	log_init(command, ret->log_level, ret->log_format);
	return -1;
}

void config_done(struct config *c)
{
	nic_requests_done(&c->attach);
	free(c->networks);
	c->networks = NULL;
	c->n_networks = c->cap_networks = 0;
}

/* words of @s in lines of at most 72 columns behind @indent */
static void print_wrapped(FILE *out, const char *s, const char *indent)
{
	size_t column = 0;
	while (*s) {
		size_t len = strcspn(s, " ");
		if (column && column + 1 + len > 72) {
			fputc('\n', out);
			column = 0;
		}
		fprintf(out, "%s%.*s", column ? " " : indent, (int)len, s);
		column += len + (column > 0);
		s += len + (s[len] == ' ');
	}
	fputc('\n', out);
}

/* scdoc underlines between underscores and makes bold between stars */
static void print_escaped(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (strchr("_*\\#[]<>.~", *s))
			fputc('\\', out);
		fputc(*s, out);
	}
}

/* nothing to tell of where the default is nothing */
static bool has_default(const struct option *o)
{
	return *o->initial && !str_eq(o->initial, "0") && o->arg;
}

static void print_scdoc(FILE *out, const struct option *o, const char *flag)
{
	if (!o->secret) {
		fputs("*--", out);
		print_escaped(out, flag);
		fputc('*', out);
		if (o->arg)
			fprintf(out, " _%s_", o->arg);
		fputs(", ", out);
	}
	fputc('*', out);
	print_escaped(out, o->name);
	fputs("*\n\t", out);
	print_escaped(out, o->help);
	if (has_default(o)) {
		fputs(" Default: ", out);
		print_escaped(out, o->initial);
	}
	fputs("\n\n", out);
}

void config_print_options(FILE *out, int role, bool scdoc)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		const struct option *o = &options[i];
		char flag[32];
		if (!option_is_for(o, role))
			continue;
		option_flag(o, flag);
		if (scdoc) {
			print_scdoc(out, o, flag);
			continue;
		}
		if (o->secret) /* not on the command line */
			fprintf(out, "  %s\n", o->name);
		else
			fprintf(out, "  --%s%s%s, %s\n", flag, o->arg ? " " : "", o->arg ? o->arg : "", o->name);
		char *text = has_default(o) ? xasprintf("%s Default: %s", o->help, o->initial) : xstrdup(o->help);
		print_wrapped(out, text, "        ");
		free(text);
	}
	if (!scdoc)
		fputs("  --help\n        Print this.\n", out);
}
