/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router-cli VERB [options]: the table of verbs and their options. What a verb does is in the file of its name.
 */
#include "cli/cli.h"

#include <signal.h>

extern char **environ;

struct verb {
	const char *name;
	int (*run)(struct cli *c);
	int options;  /* enum cli_option that it knows */
	int settings; /* enum option_role: whose settings it uses */
	const char *summary;
	const char *help; /* more, for VERB --help */
};

static const struct verb verbs[] = {
	{"status", verb_status, 0, FOR_CLI, "roles, engines, counts, problems and their cures",
	 "Says what runs here, from the state files alone. Problems stand at the end, each with what to do about it;\n"
	 "for subnets that clash these are the lines to paste into the Compose file.\n"},
	{"peers", verb_peers, 0, FOR_CLI, "stacks of other hosts, as discovery sees them", NULL},
	{"routes", verb_routes, 0, FOR_CLI, "which subnet is reached by which stack on which host", NULL},
	{"map", verb_map, OPT_ASCII, FOR_CLI, "draw hosts, stacks and the VNIs between them",
	 "A box is a host (this one first), a line down is a VNI, a dot is a stack on it. Stale hosts are dashed.\n"
	 "Beyond 12 hosts, or where the terminal is too narrow, the same as a list.\n"},
	{"stacks", verb_stacks, 0, FOR_CLI, "stacks of this host: networks, containers, the path of each", NULL},
	{"doctor", verb_doctor, OPT_KERNEL_OPTIONS, FOR_CLI | FOR_DISCOVERY | FOR_ROUTER,
	 "check what the overlay depends on; name cause and cure",
	 "Ends with 1 when a check says error. As root it tries more: kernel features in a namespace of its own, and\n"
	 "whether VXLAN gets through to the peers. It changes nothing and takes 5 seconds at most.\n"},
	{"down", verb_down, OPT_DRY_RUN | OPT_PURGE | OPT_HERE, FOR_CLI,
	 "stop the host and remove every trace from the kernel",
	 "Keeps host_id, so that the host is the same to its peers when it comes back.\n"},
	{"version", verb_version, 0, FOR_CLI, "release, kernel, libraries, formats", NULL},
};

struct flag {
	const char *name;
	enum cli_option option;
	const char *help;
};

static const struct flag flags[] = {
	{"--ascii", OPT_ASCII, "draw without Unicode (taken by itself where the locale is not UTF-8)"},
	{"--kernel-options", OPT_KERNEL_OPTIONS, "only list the kernel options that are needed, for who builds images"},
	{"--dry-run", OPT_DRY_RUN, "only print what would be removed"},
	{"--purge", OPT_PURGE, "remove host_id and an empty STATE_DIR too"},
	{"--here", OPT_HERE, "this is the host's network namespace, whatever host.json says"},
};

static void usage_print(FILE *out)
{
	fputs("usage: docker-router VERB [options]\n\n", out);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(out, "  %-9s %s\n", verbs[i].name, verbs[i].summary);
	fputs("\nEvery verb prints a table, or JSON with --format json; docker-router VERB --help tells more.\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
	      out);
}

static void verb_help(const struct verb *v)
{
	printf("usage: docker-router %s [options]\n\n%s\n", v->name, v->summary);
	if (v->help)
		printf("\n%s", v->help);
	printf("\n  %-20s %s\n", "--format table|json", "for people (default) or for programs");
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (v->options & flags[i].option)
			printf("  %-20s %s\n", flags[i].name, flags[i].help);
	}
	printf("\nOptions, or the environment variables of the same name:\n");
	config_print_options(stdout, v->settings, false);
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

static enum cli_option flag_find(const struct verb *v, const char *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if ((v->options & flags[i].option) && str_eq(flags[i].name, arg))
			return flags[i].option;
	}
	return 0;
}

/* Our own options are taken out of argv, what is left is for the settings. Return: 0, or an exit status + 1 */
static int options_parse(struct cli *c, const struct verb *v, int argc, char **argv)
{
	autofree char **rest = xcalloc((size_t)argc + 1, sizeof(*rest));
	int n = 0, first = 0;
	struct err err = {0};

	for (int i = 0; i < argc; i++) {
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
		} else if (flag_find(v, argv[i])) {
			c->options |= (int)flag_find(v, argv[i]);
		} else {
			rest[n++] = argv[i];
		}
	}
	if (config_load(v->settings, v->name, n, rest, environ, &c->config, &first, &err) != 0) {
		autobuf struct buf safe = {0};
		text_safe(&safe, err.text, false);
		fprintf(stderr, "docker-router %s: %s\n", v->name, safe.data);
		return EXIT_USAGE + 1;
	}
	if (first < n) {
		usage_error(v->name, "does not know what to do with ", rest[first]);
		config_done(&c->config);
		return EXIT_USAGE + 1;
	}
	return 0;
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

	struct cli c = {.verb = verb->name, .now = now_get(), .dir.fd = -1};
	log_init("cli", LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
	signal(SIGPIPE, SIG_IGN); /* `... | head` ends as an error of write, not as a signal in the middle of `down` */
	int code = options_parse(&c, verb, argc - 2, argv + 2);
	if (code)
		return code - 1;
	int view = state_dir_view(c.config.state_dir, &c.dir, &c.dir_why);
	if (view < 0)
		c.dir.fd = -1;

	int status = verb->run(&c);
	if (c.dir.fd >= 0)
		close(c.dir.fd);
	config_done(&c.config);
	return status;
}
