/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router-cli VERB [options]: the table of verbs and their options. What a verb does is in the file of its name.
 */
#include "cli/cli.h"

#include <signal.h>

#include "state/join.h"

extern char **environ;

struct verb {
	const char *name;
	int (*run)(struct cli *c);
	const char *arg; /* what may stand behind it, "[X]", or must, "X"; NULL: nothing */
	int options;	 /* enum cli_option that it knows */
	int settings;	 /* enum option_role: whose settings it uses */
	const char *summary;
	const char *help; /* more, for VERB --help */
	const char *arg2; /* what may stand behind arg */
};

static const struct verb verbs[] = {
	{"status", verb_status, NULL, 0, FOR_CLI, "roles, engines, counts, problems and their cures",
	 "Says what runs here, from the state files alone. Problems stand at the end, each with what to do about it;\n"
	 "for subnets that clash these are the lines to paste into the Compose file.\n"},
	{"peers", verb_peers, NULL, 0, FOR_CLI, "stacks of other hosts, as discovery sees them", NULL},
	{"routes", verb_routes, NULL, 0, FOR_CLI, "which subnet is reached by which stack on which host", NULL},
	{"map", verb_map, NULL, OPT_ASCII, FOR_CLI, "draw hosts, stacks and the VNIs between them",
	 "A box is a host (this one first), a line down is a VNI, a dot is a stack on it. Stale hosts are dashed.\n"
	 "Beyond 12 hosts, or where the terminal is too narrow, the same as a list.\n"},
	{"stacks", verb_stacks, NULL, 0, FOR_CLI, "stacks of this host: networks, containers, the path of each", NULL},
	{"records", verb_records, "[NAME]", 0, FOR_CLI, "which names there are, and what they stand for",
	 "NAME is one of them, web.shop, or only web: that name in every stack. A stack that is mapped is reached by "
	 "the\n"
	 "address under MAPPED; the one under ADDRESSES is what its container has.\n"},
	{"resolve", verb_resolve, "NAME|ADDRESS", OPT_FROM, FOR_CLI,
	 "what a container gets that asks for a name, and why",
	 "NAME as a container asks for it: web.shop, shop, web.shop.nas, any of them below NAMES_DOMAIN, or an "
	 "address.\n"
	 "Nobody is asked: it reads what the role names answers. Ends with 1 when nothing is called so.\n"},
	{"groups", verb_groups, NULL, 0, FOR_CLI,
	 "what the LAN and containers find of each other, and who listens to which group",
	 "Devices (SSDP) with what they announce and where the LAN reaches it, groups with who wants them where, and "
	 "what\n"
	 "was dropped and why.\n"},
	{"explain", verb_explain, "multicast", 0, FOR_CLI | FOR_MULTICAST,
	 "how the LAN reaches what it found in containers: the ways there are, with the lines for this host",
	 "For each network with the label docker-router.multicast, best first: an address on the LAN, a route on the "
	 "home\n"
	 "router, a port of this host. Nothing is changed.\n"},
	{"nics", verb_nics, NULL, 0, FOR_CLI, "which NICs containers have on bridges and on the LAN, with their leases",
	 "STATE is ready, waiting (WHY says for what), failed (tried again when something changes), or refused.\n"},
	{"plug", verb_plug, "CONTAINER", 0, FOR_CLI, "give a container a NIC on a bridge, from now on",
	 "  docker-router plug web br-lan:eth1\n"
	 "  docker-router plug web 'br-lan:eth1 address=dhcp mtu=1400'\n"
	 "Settings are those of the labels docker-router.attach.NAME.*, see docker-router-labels(7). Needs root. The "
	 "container\n"
	 "need not be there yet. Written to STATE_DIR/plugs.json, so it holds until docker-router unplug.\n",
	 "'BRIDGE:NAME [KEY=VALUE...]'"},
	{"unplug", verb_unplug, "CONTAINER", 0, FOR_CLI, "take away what docker-router plug has given", NULL, "[NAME]"},
	{"ping", verb_ping, "NAME|ADDRESS", OPT_COUNT | OPT_SIZE, FOR_CLI,
	 "the way to a container: each hop, its latency and loss, and the path MTU",
	 "Sends ICMP echoes from this host through the overlay, one for each hop, and larger ones until they do not "
	 "fit.\n"
	 "Needs root. Ends with 1 when the container does not answer.\n"},
	{"doctor", verb_doctor, NULL, OPT_KERNEL_OPTIONS, FOR_CLI | FOR_DISCOVERY | FOR_ROUTER,
	 "check what the overlay depends on; name cause and cure",
	 "Ends with 1 when a check says error. As root it tries more: kernel features in a namespace of its own, and\n"
	 "whether VXLAN gets through to the peers. It changes nothing and takes 5 seconds at most.\n"},
	{"keygen", verb_keygen, NULL, 0, FOR_CLI, "print a new key, for all hosts of a cluster",
	 "With the same key file on all hosts, discovery is sealed: only members take part, and nobody else can read "
	 "along.\n"
	 "  (umask 077; docker-router keygen >cluster.key)\n"
	 "Then copy that file to the other hosts, and on all: docker-router key add <cluster.key. How to change it: "
	 "docker-router key --help.\n"},
	{"key", verb_key, "add|use|remove|list|renew", 0, FOR_CLI, "change the keys of a cluster, or of this host",
	 "  add [FILE]   put the keys of FILE (or stdin) behind those that are there: they open\n"
	 "  use ID       let this key seal from now on\n"
	 "  remove ID    take a key out that does not seal\n"
	 "  list         ids and fingerprints, never keys\n"
	 "  renew        WireGuard: another key for this host. Flows go on; status tells how far it is\n"
	 "For another key on all hosts: add it everywhere, then use it everywhere, then remove the old one "
	 "everywhere.\n"
	 "The file is that of the host that runs here (made by add where it has none), or --cluster-key-file FILE.\n",
	 "[FILE|ID]"},
	{"join", verb_join, "[HOST[:PORT]]", OPT_TOKEN_FILE, FOR_CLI, "join a cluster of the mode gossip",
	 "HOST is any member that can be reached; a token names some. Needs root. Writes the keys of the token to "
	 "CLUSTER_KEY_FILE,\n"
	 "or to STATE_DIR/keys/cluster.key where there is none, and the members to STATE_DIR/join.json, and tells a "
	 "running\n"
	 "discovery. Ends with 1 when nobody answers within 10 seconds; discovery goes on trying.\n"},
	{"token", verb_token, "[HOST[:PORT]]", OPT_EXPIRES, FOR_CLI, "print a token, with which a new host can join",
	 "It holds the keys of the cluster, members to join by (HOST is one more, as the new host is to call it), and "
	 "a time.\n"
	 "  (umask 077; docker-router token >FILE), copy it, and there: docker-router join --token-file FILE\n"},
	{"down", verb_down, NULL, OPT_DRY_RUN | OPT_PURGE | OPT_HERE, FOR_CLI,
	 "stop the host and remove every trace from the kernel",
	 "Keeps host_id, so that the host is the same to its peers when it comes back.\n"},
	{"version", verb_version, NULL, 0, FOR_CLI, "release, kernel, libraries, formats", NULL},
};

struct flag {
	const char *name;
	enum cli_option option;
	const char *value; /* what follows it, or NULL */
	const char *help;
};

static const struct flag flags[] = {
	{"--ascii", OPT_ASCII, NULL, "draw without Unicode (taken by itself where the locale is not UTF-8)"},
	{"--kernel-options", OPT_KERNEL_OPTIONS, NULL,
	 "only list the kernel options that are needed, for who builds images"},
	{"--dry-run", OPT_DRY_RUN, NULL, "only print what would be removed"},
	{"--purge", OPT_PURGE, NULL, "remove host_id and an empty STATE_DIR too"},
	{"--from", OPT_FROM, "CONTAINER", "a container of this host, by name or id: what that one gets"},
	{"--count", OPT_COUNT, "N", "echoes for each hop, 1 to 1000 (5)"},
	{"--size", OPT_SIZE, "BYTES", "of each, behind its headers, 0 to 65000 (56)"},
	{"--token-file", OPT_TOKEN_FILE, "FILE", "the token; - or without it: stdin"},
	{"--expires", OPT_EXPIRES, "TIME", "how long it is good: 30m, 12h, 7d (1h)"},
	{"--here", OPT_HERE, NULL, "this is the host's network namespace, whatever host.json says"},
};

static void usage_print(FILE *out)
{
	fputs("Usage: docker-router VERB [OPTION...]\n\n", out);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(out, "  %-9s %s\n", verbs[i].name, verbs[i].summary);
	fputs("\nEvery verb prints a table, or JSON with --format json; docker-router VERB --help tells more.\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
	      out);
}

static void verb_help(const struct verb *v)
{
	printf("Usage: docker-router %s%s%s%s%s [OPTION...]\n\n%s\n", v->name, v->arg ? " " : "", v->arg ? v->arg : "",
	       v->arg2 ? " " : "", v->arg2 ? v->arg2 : "", v->summary);
	if (v->help)
		printf("\n%s", v->help);
	printf("\nOptions:\n");
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		char name[40];
		str_print(name, "%s%s%s", flags[i].name, flags[i].value ? " " : "",
			  flags[i].value ? flags[i].value : "");
		if (v->options & flags[i].option)
			printf("  %-20s %s\n", name, flags[i].help);
	}
	printf("  %-20s %s\n", "--format table|json", "for people (default) or for programs");
	printf("  %-20s %s\n", "--state-dir PATH", "where the state files are (/var/lib/docker-router)");
	printf("  %-20s %s\n", "--help", "print this");
	printf("%s\nMore: man docker-router, and man docker-router.conf for the other settings.\n",
	       v->settings != FOR_CLI
		       ? "It takes the settings of discovery and router too: give it those that they have.\n"
		       : "");
}

static int usage_error(const char *verb, const char *text, const char *what)
{
	autobuf struct buf safe = {0};

	text_safe(&safe, what, false);
	fprintf(stderr, "docker-router%s%s: %s%s; see --help\n", verb[0] ? " " : "", verb, text,
		safe.data ? safe.data : "");
	return EXIT_USAGE;
}

static int format_parse(struct cli *c, const char *value)
{
	if (value && (str_eq(value, "json") || str_eq(value, "table"))) {
		c->json = str_eq(value, "json");
		return 0;
	}
	return usage_error(c->verb, "--format takes table or json, not ", value ? value : "nothing");
}

/* @value: set to what stands behind a '=' */
static const struct flag *flag_find(const struct verb *v, const char *arg, const char **value)
{
	size_t len = strcspn(arg, "=");

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if ((v->options & flags[i].option) && strlen(flags[i].name) == len &&
		    strncmp(flags[i].name, arg, len) == 0 && (flags[i].value || !arg[len])) {
			*value = arg[len] ? arg + len + 1 : NULL;
			return &flags[i];
		}
	}
	return NULL;
}

/* Return: 0 or EXIT_USAGE */
static int flag_set(struct cli *c, const struct flag *f, const char *value)
{
	uint64_t n = 0;

	c->options |= (int)f->option;
	if (f->value && !value) {
		fprintf(stderr, "docker-router %s: %s needs a value: %s\n", c->verb, f->name, f->value);
		return EXIT_USAGE;
	}
	if (f->option == OPT_FROM)
		c->from = value;
	if (f->option == OPT_TOKEN_FILE)
		c->token_file = value;
	if (f->option == OPT_EXPIRES)
		c->expires = value;
	if (f->option == OPT_COUNT && parse_u64(value, 1, 1000, &n) != 0)
		return usage_error(c->verb, "--count takes 1 to 1000, not ", value);
	if (f->option == OPT_COUNT)
		c->count = (uint32_t)n;
	if (f->option == OPT_SIZE && parse_u64(value, 0, 65000, &n) != 0)
		return usage_error(c->verb, "--size takes 0 to 65000, not ", value);
	if (f->option == OPT_SIZE)
		c->size = (uint32_t)n;
	return 0;
}

/*
 * What is left of argv is for the settings, but for the one argument of the verb: config_load() ends in front of it,
 * and goes on without it. Return: 0 or EXIT_USAGE
 */
static int settings_parse(struct cli *c, const struct verb *v, int n, char **rest)
{
	int first = 0;
	struct err err = {0};

	for (;;) {
		if (config_load(v->settings, v->name, n, rest, environ, &c->config, &first, &err) != 0) {
			autobuf struct buf safe = {0};
			text_safe(&safe, err.text, false);
			fprintf(stderr, "docker-router %s: %s\n", v->name, safe.data);
			return EXIT_USAGE;
		}
		if (first >= n)
			break;
		config_done(&c->config);
		if (!v->arg || (c->arg && (!v->arg2 || c->arg2)))
			return usage_error(v->name, "does not know what to do with ", rest[first]);
		*(c->arg ? &c->arg2 : &c->arg) = rest[first];
		memmove(rest + first, rest + first + 1, (size_t)(n - first) * sizeof(*rest));
		n--;
	}
	if (v->arg && v->arg[0] != '[' && !c->arg) {
		fprintf(stderr, "docker-router %s: %s is missing; see --help\n", v->name, v->arg);
		config_done(&c->config);
		return EXIT_USAGE;
	}
	return 0;
}

/* Our own options are taken out of argv. Return: 0, or an exit status + 1 */
static int options_parse(struct cli *c, const struct verb *v, int argc, char **argv)
{
	autofree char **rest = xcalloc((size_t)argc + 1, sizeof(*rest));
	const char *value = NULL;
	int n = 0, code;

	for (int i = 0; i < argc; i++) {
		const struct flag *f = flag_find(v, argv[i], &value);
		if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h")) {
			verb_help(v);
			return EXIT_DONE + 1;
		} else if (str_eq(argv[i], "--format")) {
			if (format_parse(c, i + 1 < argc ? argv[i + 1] : NULL) != 0)
				return EXIT_USAGE + 1;
			i++;
		} else if (strncmp(argv[i], "--format=", 9) == 0) {
			if (format_parse(c, argv[i] + 9) != 0)
				return EXIT_USAGE + 1;
		} else if (f) {
			if (f->value && !value && i + 1 < argc)
				value = argv[++i];
			if (flag_set(c, f, value) != 0)
				return EXIT_USAGE + 1;
		} else {
			rest[n++] = argv[i];
		}
	}
	code = settings_parse(c, v, n, rest);
	return code ? code + 1 : 0;
}

static wall_t now_get(void)
{
	const char *given = getenv("DOCKER_ROUTER_NOW");
	uint64_t seconds;

	if (given && parse_u64(given, 0, UINT32_MAX, &seconds) == 0)
		return (wall_t){.ms = (int64_t)seconds * 1000};
	return wall_now();
}

int main(int argc, char **argv)
{
	const struct verb *verb = NULL;

	if (argc < 2) {
		usage_print(stderr);
		return EXIT_USAGE;
	}
	if (str_eq(argv[1], "--help") || str_eq(argv[1], "-h")) {
		usage_print(stdout);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (str_eq(verbs[i].name, argv[1]))
			verb = &verbs[i];
	}
	if (!verb)
		return usage_error("", "no such verb: ", argv[1]);

	struct cli c = {.verb = verb->name, .now = now_get(), .dir.fd = -1, .count = 5, .size = 56};
	log_init("cli", LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
	signal(SIGPIPE, SIG_IGN); /* `... | head` ends as an error of write, not as a signal in the middle of `down` */
	int code = options_parse(&c, verb, argc - 2, argv + 2);
	if (code)
		return code - 1;
	int view = state_dir_view(c.config.state_dir, &c.dir, &c.dir_why);
	if (view < 0)
		c.dir.fd = -1;

	str_print(c.default_key, "%s/%s", c.config.state_dir, STATE_KEY_FILE);
	if (access(c.default_key, F_OK) < 0)
		c.default_key[0] = '\0';

	int status = verb->run(&c);
	if (c.dir.fd >= 0)
		close(c.dir.fd);
	config_done(&c.config);
	return status;
}
