/* SPDX-License-Identifier: Apache-2.0
 *
 * The front: a table of commands, each an executable of its own that links only what it needs. The front looks for it
 * and becomes it, so that the pid that was started is the role's. It is also Docker's CLI plugin `docker router`.
 */
#include <limits.h>
#include <sys/stat.h>

#include "base/base.h"

struct command {
	const char *name;
	const char *folder; /* of the executable docker-router-FOLDER in the build tree */
	bool is_role;	    /* a role gets the arguments behind its name, the CLI the name too */
	const char *line;
};

static const struct command commands[] = {
	{"host", "host", true, "run the roles below and restart what dies: what most people start"},
	{"inventory", "inventory", true, "what runs here: networks, stacks and containers of the Docker Engines"},
	{"discovery", "discovery", true, "who else is out there: announce our stacks, hear of the peers"},
	{"router", "router", true, "make the VXLAN devices, routes and firewall that the peers ask for"},
	{"names", "names", true, "answer containers who is called what, on all hosts"},
	{"multicast", "multicast", true, "what the LAN and containers discover of each other: SSDP, mDNS"},
	{"attach", "attach", true, "give containers NICs on bridges and on the LAN, and DHCP for them"},
	{"driver", "driver", true, "Docker networks on the LAN: the network driver docker-router-lan"},
	{"init", "init", true, "PID 1 of a container of any image: signals, log files to stdout, wait for the network"},
	{"status", "cli", false, "what runs, what was made, what is wrong"},
	{"peers", "cli", false, "the stacks of other hosts, and when they were last heard"},
	{"routes", "cli", false, "the prefixes that lead to other stacks, and those refused"},
	{"stacks", "cli", false, "the stacks of this host with their networks and containers"},
	{"map", "cli", false, "draw hosts, stacks and links"},
	{"records", "cli", false, "the names that containers can ask for, and what they stand for"},
	{"resolve", "cli", false, "what a container gets that asks for a name, and why"},
	{"groups", "cli", false, "what LAN and containers find of each other, who listens to what"},
	{"explain", "cli", false, "how the LAN reaches containers, with the lines for this host"},
	{"nics", "cli", false, "the NICs of containers on bridges and on the LAN, and their leases"},
	{"plug", "cli", false, "give a container a NIC on a bridge"},
	{"unplug", "cli", false, "take away what plug has given"},
	{"ping", "cli", false, "the way to a container: hops, latency, loss, path MTU"},
	{"doctor", "cli", false, "check what can stand in the way, and name cause and cure"},
	{"keygen", "cli", false, "print a new key, so that only your hosts take part"},
	{"key", "cli", false, "change the keys of the cluster, or of this host (WireGuard)"},
	{"join", "cli", false, "join a cluster of the mode gossip"},
	{"token", "cli", false, "print a token, with which a new host can join"},
	{"hold", "init", false, "hold a network that other containers join"},
	{"wait-net", "init", false, "wait until an interface is there, for entry points"},
	{"down", "cli", false, "stop host and remove every trace from the kernel"},
	{"version", "cli", false, "print the version"},
};

/* set by the docker command when it runs a plugin */
#define PLUGIN_ENV "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (str_eq(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void print_help(FILE *out, const char *self)
{
	fprintf(out,
		"Usage: %s COMMAND [OPTION...]\n\n"
		"Containers of different Docker hosts reach each other over VXLAN.\n\nRoles, to be started:\n",
		self);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (i && commands[i - 1].is_role && !commands[i].is_role)
			fputs("\nVerbs, to be typed:\n", out);
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].line);
	}
	fprintf(out, "\n%s COMMAND --help tells the options of a command.\n", self);
}

static int unknown(const char *name, const char *self)
{
	const char *words[ARRAY_LEN(commands) + 1] = {0};
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		words[i] = commands[i].name;
	const char *nearest = str_nearest(name, words);
	autobuf struct buf given = {0};
	str_safe(&given, name);
	fprintf(stderr, "docker-router: unknown command \"%s\"; ", given.data);
	if (nearest)
		fprintf(stderr, "did you mean %s?\n", nearest);
	else
		fprintf(stderr, "%s --help lists them\n", self);
	return 2;
}

/* @path is an executable file and not the front itself, which would run itself for ever */
static bool is_other_executable(const char *path)
{
	struct stat st, self;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0 &&
	       (stat("/proc/self/exe", &self) < 0 || st.st_ino != self.st_ino || st.st_dev != self.st_dev);
}

/* 0, or the exit status of a failure; does not return when it works */
static int become(const struct command *c, int argc, char **argv)
{
	char self[PATH_MAX], path[PATH_MAX + 64];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1); /* resolved: the command may be a symlink */
	self[len > 0 ? len : 0] = '\0';
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';

	autofree char **args = xcalloc((size_t)argc + 3, sizeof(*args)), *name = xstrdup(c->name);
	size_t n = 1;
	if (!c->is_role)
		args[n++] = name;
	for (int i = 0; i < argc; i++)
		args[n++] = argv[i];

	for (int place = 0; place < 3; place++) {
		if (place < 2 && !slash)
			continue;
		if (place == 0)
			str_print(path, "%s/%s/docker-router-%s", self, c->folder, c->folder);
		else
			str_print(path, "%s/docker-router-%s", place == 1 ? self : LIBEXEC, c->folder);
		if (!is_other_executable(path))
			continue;
		args[0] = path;
		execv(path, args);
		fprintf(stderr, "docker-router: %s: %s\n", path, strerror(errno));
		return 1;
	}
	fprintf(stderr, "docker-router: docker-router-%s is not installed: it is neither in %s nor in %s\n", c->folder,
		slash ? self : "?", LIBEXEC);
	return 1;
}

static int print_metadata(void)
{
	printf("{\"SchemaVersion\":\"0.1.0\",\"Vendor\":\"Docker Router\",\"Version\":\"%s\","
	       "\"ShortDescription\":\"Connect stacks of different Docker hosts\"}\n",
	       RELEASE);
	return 0;
}

/*
 * Docker runs a plugin with its own arguments, its global options in front: --context lab router peers. Return: the
 * index behind "router", or -2 (exit status 2) for an option that would be passed over against the user's intent.
 */
static int plugin_args(int argc, char **argv)
{
	static const char *const with_value[] = {"--config",	"--context", "-c",	    "--host",	 "-H",
						 "--log-level", "-l",	     "--tlscacert", "--tlscert", "--tlskey"};
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		const char *a = argv[i], *value = NULL;
		size_t len = strcspn(a, "=");
		bool takes = false;
		for (size_t j = 0; j < ARRAY_LEN(with_value); j++)
			takes |= strlen(with_value[j]) == len && strncmp(a, with_value[j], len) == 0;
		if (takes)
			value = a[len] == '=' ? a + len + 1 : i + 1 < argc ? argv[++i] : "";
		if (value && (strncmp(a, "--context", 9) == 0 || strncmp(a, "-c", 2) == 0) &&
		    !str_eq(value, "default")) {
			fprintf(stderr,
				"docker-router: acts on this host only, not in the context \"%s\": run it there\n",
				value);
			return -2;
		}
		if (value && (strncmp(a, "--host", 6) == 0 || strncmp(a, "-H", 2) == 0))
			setenv("DOCKER_HOST", value, 1);
	}
	return i < argc && str_eq(argv[i], "router") ? i + 1 : 1;
}

/*
 * `--format json status` is `status --format json`: options in front of the command go behind it. All have a value that
 * may stand apart, but those named here. Return: the index of the command in @args; @argc when there is none
 */
static int options_turn(int argc, char **args)
{
	static const char *const alone[] = {"--ascii", "--kernel-options", "--dry-run", "--purge",
					    "--here",  "--help",	   "-h"};
	int n = 0;

	while (n < argc && args[n][0] == '-') {
		bool value = !strchr(args[n], '=');
		for (size_t i = 0; i < ARRAY_LEN(alone); i++)
			value = value && !str_eq(args[n], alone[i]);
		n += value ? 2 : 1;
	}
	if (n == 0 || n >= argc)
		return n == 0 ? 0 : argc;
	char *command = args[n];
	memmove(args + 1, args, (size_t)n * sizeof(*args));
	args[0] = command;
	return 0;
}

int main(int argc, char **argv)
{
	const char *self = "docker-router";
	int first = 1;
	const char *base = argc > 0 ? strrchr(argv[0], '/') : NULL;
	base = base ? base + 1 : argc > 0 ? argv[0] : "";

	/* the image docker-router-discovery, and whoever links the front under that name */
	if (str_eq(base, "docker-router-discovery"))
		return become(command_find("discovery"), argc - 1, argv + 1);
	if (argc > 1 && str_eq(argv[1], "docker-cli-plugin-metadata"))
		return print_metadata();
	if (getenv(PLUGIN_ENV)) {
		self = "docker router";
		first = plugin_args(argc, argv);
		if (first < 0)
			return -first;
		unsetenv(PLUGIN_ENV); /* what the command starts is no plugin */
	}
	if (argc <= first) {
		print_help(stderr, self);
		return 2;
	}
	const char *name = argv[first];
	if (str_eq(name, "--help") || str_eq(name, "-h") || (str_eq(name, "help") && argc == first + 1)) {
		print_help(stdout, self);
		return 0;
	}
	if (str_eq(name, "--version"))
		name = "version";
	else if (options_turn(argc - first, argv + first) == 0)
		name = argv[first];
	char help[] = "--help", *help_args[] = {help, NULL};
	bool wants_help = str_eq(name, "help");
	if (wants_help)
		name = argv[first + 1];
	const struct command *c = command_find(name);
	if (!c)
		return unknown(name, self);
	return wants_help ? become(c, 1, help_args) : become(c, argc - first - 1, argv + first + 1);
}
