/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting and ending DHCP clients; see dhcp_child.h.
 */
#include "io/dhcp_child.h"

#include <signal.h>
#include <sys/socket.h>

#include "base/log.h"
#include "io/child.h"

#define KILL_US (3 * USEC_PER_SEC)

struct dhcp_child {
	struct dhcp_children *all;
	struct dhcp_child *next;
	struct child *child;
	struct timer *patience; /* after the signal that ends it */
	int id;
};

struct dhcp_children {
	uv_loop_t *loop;
	struct dhcp_child *first;
	size_t n;
	int next_id;
	char handler[320], launcher6[320];
};

/* --- arguments --- */

static bool hostname_ok(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < 64 && s[0] != '-' && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == n;
}

/* In hex */
static bool client_id_ok(const char *s)
{
	size_t n = strlen(s);

	return n >= 2 && n <= 128 && n % 2 == 0 && strspn(s, "0123456789abcdef") == n;
}

static int line_take(const char *line, struct dhcp_args *a, struct err *err)
{
	const char *value = strchr(line, '=');
	size_t len = value ? (size_t)(value++ - line) : 0;
	struct ip ip;

	if (len == strlen("hostname") && strncmp(line, "hostname", len) == 0 && hostname_ok(value))
		return str_copy(a->hostname, value), 0;
	if (len == strlen("client_id") && strncmp(line, "client_id", len) == 0 && client_id_ok(value))
		return str_copy(a->client_id, value), 0;
	if (len == strlen("duid") && strncmp(line, "duid", len) == 0 && client_id_ok(value))
		return str_copy(a->duid, value), 0;
	if (len == strlen("request") && strncmp(line, "request", len) == 0 && ip_parse(value, &ip) == 0 &&
	    ip.family == AF_INET && strlen(value) < sizeof(a->request))
		return str_copy(a->request, value), 0;
	return err_set(err, -EINVAL, "dhcp: a line that is not allowed");
}

int dhcp_args_parse(const char *text, size_t len, struct dhcp_args *ret, struct err *err)
{
	struct dhcp_args a = {0};
	char line[160];

	if (len > DHCP_ARGS_BYTES || memchr(text, '\0', len))
		return err_set(err, -EINVAL, "dhcp: arguments of more than %d bytes, or with a NUL", DHCP_ARGS_BYTES);
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		if (!end || n >= sizeof(line))
			return err_set(err, -EINVAL, "dhcp: a line that does not end, or is too long");
		memcpy(line, text, n);
		line[n] = '\0';
		int rc = line_take(line, &a, err);
		if (rc < 0)
			return rc;
		text += n + 1;
		len -= n + 1;
	}
	*ret = a;
	return 0;
}

/* --- clients --- */

struct dhcp_children *dhcp_children_new(uv_loop_t *loop)
{
	struct dhcp_children *d = xcalloc(1, sizeof(*d));
	char self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	d->loop = loop;
	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	/* beside us where they are installed, in their own folder in the build tree */
	str_print(d->handler, "%s/" DHCP_HANDLER, self);
	if (access(d->handler, X_OK) < 0)
		str_print(d->handler, "%s/../attach/" DHCP_HANDLER, self);
	str_print(d->launcher6, "%s/" DHCP_LAUNCHER6, self);
	if (access(d->launcher6, X_OK) < 0)
		str_print(d->launcher6, "%s/../attach/" DHCP_LAUNCHER6, self);
	return d;
}

static void dhcp_child_free(struct dhcp_child *c)
{
	timer_free(c->patience);
	free(c);
}

static void child_unlink(struct dhcp_child *c)
{
	struct dhcp_child **at = &c->all->first;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->all->n--;
	dhcp_child_free(c);
}

static void on_ended(void *arg, const struct child_result *r)
{
	struct dhcp_child *c = arg;

	(void)r; /* its end of the socket is closed: the role knows */
	child_unlink(c);
}

static void on_patience(void *arg)
{
	struct dhcp_child *c = arg;

	child_signal(c->child, SIGKILL);
}

void dhcp_children_free(struct dhcp_children *d)
{
	if (!d)
		return;
	while (d->first) {
		struct dhcp_child *c = d->first;

		child_signal(c->child, SIGKILL);
		child_forget(c->child);
		d->first = c->next;
		dhcp_child_free(c);
	}
	free(d);
}

/* What a client is started with, and what that points to */
struct command {
	const char *argv[32];
	char hostname[80], client_id[160], program[CHILD_PATH_MAX];
};

static void command_v4(const struct dhcp_children *d, const char *iface, const struct dhcp_args *args,
		       struct command *ret)
{
	static const char *const fixed[] = {"-f", "-R", "-t",		"3",  "-T", "2", "-A",
					    "5",  "-O", "staticroutes", "-O", "mtu"};
	const char **argv = ret->argv;
	int n = 0;

	argv[n++] = "udhcpc";
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		argv[n++] = fixed[i];
	argv[n++] = "-i";
	argv[n++] = iface;
	argv[n++] = "-s";
	argv[n++] = d->handler;
	if (args->hostname[0]) {
		str_print(ret->hostname, "hostname:%s", args->hostname);
		argv[n++] = "-x";
		argv[n++] = ret->hostname;
	}
	if (args->client_id[0]) {
		str_print(ret->client_id, "0x3d:%s", args->client_id);
		argv[n++] = "-C";
		argv[n++] = "-x";
		argv[n++] = ret->client_id;
	}
	if (args->request[0]) {
		argv[n++] = "-r";
		argv[n++] = args->request;
	}
	argv[n] = NULL;
}

static int command_v6(const struct dhcp_children *d, const char *iface, const struct dhcp_args *args,
		      struct command *ret, struct err *err)
{
	int rc = child_find("dhcpcd", ret->program), n = 0;

	if (rc < 0)
		return err_set(err, rc, "dhcp6: there is no dhcpcd here (Debian: dhcpcd-base)");
	if (access(d->launcher6, X_OK) < 0)
		return err_errno(err, -errno, "dhcp6: %s", d->launcher6);
	ret->argv[n++] = d->launcher6;
	ret->argv[n++] = ret->program;
	ret->argv[n++] = d->handler;
	ret->argv[n++] = iface;
	ret->argv[n++] = args->duid;
	if (args->hostname[0])
		ret->argv[n++] = args->hostname;
	ret->argv[n] = NULL;
	return 0;
}

static int client_spawn(struct dhcp_child *c, struct child_spec *spec, struct command *cmd, struct err *err)
{
	int rc;

	spec->argv = cmd->argv;
	rc = child_spawn(c->all->loop, spec, on_ended, c, &c->child, err);
	if (rc != -ENOENT)
		return rc;
	/* one program with busybox where it is no link of its own */
	memmove(cmd->argv + 1, cmd->argv, sizeof(cmd->argv) - sizeof(cmd->argv[0]));
	cmd->argv[0] = "busybox";
	rc = child_spawn(c->all->loop, spec, on_ended, c, &c->child, err);
	return rc == -ENOENT ? err_set(err, rc, "dhcp: there is neither udhcpc nor busybox here") : rc;
}

int dhcp_child_start(struct dhcp_children *d, int ns_fd, const char *iface, const struct dhcp_args *args, int *ret_id,
		     struct err *err)
{
	static const char *const env[] = {"LC_ALL=C", NULL};
	autoclose int ours = -1, theirs = -1;
	struct command cmd;
	int pair[2], thrice[3], rc = 0;
	struct child_spec spec = {.env = env, .stdin_fd = -1, .ns_fd = ns_fd, .flags = CHILD_PDEATHKILL | CHILD_QUIET};

	if (d->n >= DHCP_CLIENTS_MAX)
		return err_set(err, -E2BIG, "dhcp: more than %d clients", DHCP_CLIENTS_MAX);
	if (access(d->handler, X_OK) < 0)
		return err_errno(err, -errno, "dhcp: %s", d->handler);
	if (args->duid[0])
		rc = command_v6(d, iface, args, &cmd, err);
	else
		command_v4(d, iface, args, &cmd);
	if (rc < 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return err_errno(err, -errno, "make a socket pair");
	ours = pair[0];
	theirs = pair[1];
	/* udhcpc takes 3 and 4 for itself, whatever they are: the handler finds it at 5 */
	for (size_t i = 0; i < ARRAY_LEN(thrice); i++)
		thrice[i] = theirs;
	spec.pass_fds = thrice;
	spec.n_pass_fds = ARRAY_LEN(thrice);

	struct dhcp_child *c = xcalloc(1, sizeof(*c));
	c->all = d;
	rc = client_spawn(c, &spec, &cmd, err);
	if (rc < 0) {
		free(c);
		return rc;
	}
	c->patience = timer_new(d->loop, "dhcp client", on_patience, c);
	c->id = d->next_id;
	d->next_id = (d->next_id + 1) & 0x3fffffff;
	c->next = d->first;
	d->first = c;
	d->n++;
	*ret_id = c->id;
	return steal_fd(ours);
}

void dhcp_child_stop(struct dhcp_children *d, int id, bool release)
{
	struct dhcp_child *c = d ? d->first : NULL;

	while (c && c->id != id)
		c = c->next;
	if (!c)
		return;
	/* At SIGTERM it gives the lease back (-R, release): the lease of a container that lives on outlasts the client
	 */
	child_signal(c->child, release ? SIGTERM : SIGKILL);
	timer_start(c->patience, KILL_US);
}
