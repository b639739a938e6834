/* SPDX-License-Identifier: Apache-2.0
 *
 * The state files as the verbs see them: read what is there, say clearly what is not. Nothing is made, not even
 * STATE_DIR: a question must leave no trace.
 */
#include "cli/cli.h"

#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>

#include "io/ns.h"

const char *const state_file_names[FILE_N_] = {
	[FILE_INVENTORY] = STATE_INVENTORY, [FILE_DISCOVERY] = STATE_DISCOVERY, [FILE_ROUTER] = STATE_ROUTER,
	[FILE_HOST] = STATE_HOST,	    [FILE_RECORDS] = STATE_RECORDS,
};

static const char *const file_roles[FILE_N_] = {
	[FILE_INVENTORY] = "inventory", [FILE_DISCOVERY] = "discovery",	   [FILE_ROUTER] = "the router",
	[FILE_HOST] = "the host",	[FILE_RECORDS] = "the role names",
};

int state_dir_view(const char *path, struct state_dir *ret, struct err *err)
{
	struct state_dir d = {.uid = 65534, .gid = 65534, .fallback = true};

	if (!str_copy(d.path, path))
		return err_set(err, -ENAMETOOLONG, "STATE_DIR is too long: %s", path);
	/* O_PATH: who is neither root nor docker-router may open what is in it, but not list it (mode 1771) */
	d.fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (d.fd < 0 && errno == ENOENT)
		return err_set(err, -ENOENT,
			       "no directory %s: is the router running? start it with `docker-router host`, or name "
			       "another directory with --state-dir",
			       path);
	if (d.fd < 0)
		return err_errno(err, -errno, "cannot open %s", path);

	const struct passwd *user = getpwnam("docker-router");
	d.fallback = !user;
	if (!user)
		user = getpwnam("nobody");
	if (user) {
		d.uid = user->pw_uid;
		d.gid = user->pw_gid;
	}
	*ret = d;
	return 0;
}

void state_files_load(const struct state_dir *d, struct state_files *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->code[FILE_RECORDS] = -ENOENT;
	if (d->fd < 0) {
		for (int i = 0; i < FILE_ALWAYS_N_; i++)
			ret->code[i] = -ENOENT;
		return;
	}
	struct file_owner root = owner_of_root(d), discovery = owner_of_discovery(d);

	ret->code[FILE_INVENTORY] = inventory_read(d->fd, &root, &ret->inventory, &ret->why[FILE_INVENTORY]);
	ret->code[FILE_DISCOVERY] = discovery_read(d->fd, &discovery, &ret->discovery, &ret->why[FILE_DISCOVERY]);
	ret->code[FILE_ROUTER] = router_state_read(d->fd, &root, &ret->router, &ret->why[FILE_ROUTER]);
	ret->code[FILE_HOST] = host_state_read(d->fd, &root, &ret->host, &ret->why[FILE_HOST]);
}

void state_files_load_records(const struct state_dir *d, struct state_files *f)
{
	if (d->fd < 0)
		return;
	struct file_owner names = owner_of_discovery(d); /* the same user: it faces the containers */

	f->code[FILE_RECORDS] = records_read(d->fd, &names, &f->records, &f->why[FILE_RECORDS]);
}

bool role_wanted(const struct state_files *f, const char *role)
{
	if (f->code[FILE_HOST] != 0)
		return true;
	for (size_t i = 0; i < f->host.n_roles; i++) {
		if (str_eq(f->host.roles[i].role, role))
			return true;
	}
	return false;
}

static bool host_role_down(const struct host_role *r)
{
	return r->state != ROLE_RUNNING || !pid_alive(r->pid);
}

bool role_down(const struct state_files *f, const char *role)
{
	for (size_t i = 0; f->code[FILE_HOST] == 0 && i < f->host.n_roles; i++) {
		if (str_eq(f->host.roles[i].role, role))
			return host_role_down(&f->host.roles[i]);
	}
	return false;
}

void down_problems(const struct state_files *f, struct problems *ret)
{
	size_t down = 0;

	if (f->code[FILE_HOST] != 0)
		return;
	for (size_t i = 0; i < f->host.n_roles; i++)
		down += host_role_down(&f->host.roles[i]);
	if (!pid_alive(f->host.pid)) {
		bool all = down == f->host.n_roles;
		problems_add(ret, "docker-router",
			     "systemctl start docker-router, or docker start docker-router, or as it was started here.",
			     "%s%s",
			     all ? "it does not run; what stands here is from then. Traffic goes on as it was, changes "
				   "are not followed"
				 : "its role host does not run: what ends is not started again",
			     all && role_down(f, "names") ? ", nobody is answered" : "");
		if (all)
			return;
	}
	if (f->host.refused[0])
		problems_add(ret, "settings", "Correct them, then systemctl reload docker-router, or send it SIGHUP.",
			     "they stay as they were: %s", f->host.refused);
	for (size_t i = 0; i < f->host.n_roles; i++) {
		const struct host_role *r = &f->host.roles[i];
		char object[32];
		if (!host_role_down(r))
			continue;
		str_print(object, "role %s", r->role);
		problems_add(
			ret, object, "Its log says why: journalctl -u docker-router, or docker logs docker-router.",
			"it does not run%s%s%s", r->last_exit[0] ? " (" : "", r->last_exit, r->last_exit[0] ? ")" : "");
	}
}

int state_files_load_multicast(const struct state_dir *d, struct state_files *f, struct err *err)
{
	struct file_owner owner = owner_of_discovery(d); /* the same user: it faces the LAN */
	int rc = d->fd < 0 ? err_set(err, -ENOENT, "there is no STATE_DIR")
			   : multicast_state_read(d->fd, &owner, &f->multicast, err);

	f->has_multicast = rc == 0;
	return rc;
}

void state_files_done(struct state_files *f)
{
	multicast_state_done(&f->multicast);
	records_done(&f->records);
	inventory_done(&f->inventory);
	discovery_done(&f->discovery);
	router_state_done(&f->router);
}

void state_file_why(const struct cli *c, const struct state_files *f, enum state_file file, struct buf *out)
{
	if (c->dir.fd < 0)
		buf_puts(out, c->dir_why.text);
	else if (file == FILE_RECORDS && f->code[file] == -ENOENT && !role_wanted(f, "names"))
		buf_puts(out, "names are not answered on this host: ROLES leaves the role names out");
	else if (f->code[file] == -ENOENT)
		buf_printf(out, "no %s in %s: is %s running? start it with `docker-router host`",
			   state_file_names[file], c->dir.path, file_roles[file]);
	else
		buf_printf(out, "%s in %s cannot be used: %s", state_file_names[file], c->dir.path, f->why[file].text);
}

bool state_files_need(const struct cli *c, const struct state_files *f, enum state_file file)
{
	autobuf struct buf why = {0}, safe = {0};

	if (f->code[file] == 0)
		return true;
	state_file_why(c, f, file, &why);
	text_safe(&safe, why.data, false);
	fprintf(stderr, "docker-router %s: %s\n", c->verb, safe.data);
	return false;
}

void host_label(const struct state_files *f, const char *host_id, const struct ip *host_ip, char *out, size_t size)
{
	const char *name = "";
	char text[IP_STRLEN] = "";

	if (host_id[0] && str_eq(host_id, f->discovery.self.host_id)) {
		name = f->discovery.self.host_name[0] ? f->discovery.self.host_name : "this host";
	} else {
		for (size_t i = 0; i < f->discovery.n_peers && !name[0]; i++) {
			const struct peer *p = &f->discovery.peers[i];
			if (host_id[0] ? str_eq(p->host_id, host_id) : host_ip && ip_cmp(&p->host_ip, host_ip) == 0)
				name = p->host_name;
		}
	}
	if (!name[0] && host_ip && !ip_is_none(host_ip))
		name = ip_format(host_ip, text);
	if (name[0])
		snprintf(out, size, "%s", name);
	else
		snprintf(out, size, "%.8s", host_id[0] ? host_id : "unknown");
}

static bool is_zombie(int32_t pid)
{
	char path[32], line[512] = "";

	str_print(path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	fclose(f);
	const char *state = strrchr(line, ')'); /* the name before it may hold anything */
	return state && (strncmp(state, ") Z", 3) == 0 || strncmp(state, ") X", 3) == 0);
}

bool pid_alive(int32_t pid)
{
	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM) && !is_zombie(pid);
}

int host_ns_enter(const struct state_files *f, char ret_here[static 64])
{
	char path[64];
	struct err err = {0};
	const struct host_state *h = &f->host;
	ssize_t n = readlink("/proc/self/ns/net", ret_here, 63);

	if (f->code[FILE_HOST] != 0 || !h->netns[0] || n <= 0)
		return 0;
	ret_here[n] = 0;
	if (str_eq(ret_here, h->netns))
		return 0;
	if (geteuid() != 0)
		return -EPERM;
	str_print(path, "/proc/%d/ns/net", h->pid);
	autoclose int fd = pid_alive(h->pid) ? ns_open(path, &err) : -ESRCH;
	if (fd < 0)
		return fd;
	return setns(fd, CLONE_NEWNET) == 0 ? 1 : -errno;
}

/* As the broker does: Docker's key, the same seen from the host when we are in a container, then the process */
int container_ns_open(const struct inv_container *c)
{
	char path[300];
	struct err err;
	int fd = -1;

	if (c->sandbox[0]) {
		fd = ns_open(c->sandbox, &err);
		if (fd < 0) {
			str_print(path, "/proc/1/root%s", c->sandbox);
			fd = ns_open(path, &err);
		}
	}
	if (fd < 0 && c->pid > 0) {
		str_print(path, "/proc/%d/ns/net", c->pid);
		fd = ns_open(path, &err);
	}
	return fd;
}

bool engines_asked(const struct state_files *f)
{
	return f->inventory.n_engines > 0;
}

size_t mapped_prefixes(const struct state_files *f, const char *host_id, const char *stack_id, uint32_t vni,
		       const struct mapped **ret)
{
	const struct discovery *d = &f->discovery;

	for (size_t i = 0; str_eq(host_id, d->self.host_id) && i < d->self.n_stacks; i++) {
		const struct self_stack *s = &d->self.stacks[i];
		if (s->vni == vni && str_eq(s->stack_id, stack_id)) {
			*ret = s->mapped;
			return s->n_mapped;
		}
	}
	for (size_t i = 0; i < d->n_peers; i++) {
		const struct peer *p = &d->peers[i];
		if (p->vni == vni && str_eq(p->host_id, host_id) && str_eq(p->stack_id, stack_id)) {
			*ret = p->mapped;
			return p->n_mapped;
		}
	}
	*ret = NULL;
	return 0;
}

json_t *mapped_json(const struct mapped *m, size_t n)
{
	char subnet[PREFIX_STRLEN], as[PREFIX_STRLEN];
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *o = json_object();
		json_object_set_new(o, "subnet", json_string(prefix_format(&m[i].subnet, subnet)));
		json_object_set_new(o, "as", json_string(prefix_format(&m[i].as, as)));
		json_array_append_new(list, o);
	}
	return list;
}

void cell_mapped(struct table *t, const struct mapped *m, size_t n)
{
	autobuf struct buf b = {0};
	char as[PREFIX_STRLEN];

	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i ? ", " : "", prefix_format(&m[i].as, as));
	cell_value(t, mapped_json(m, n), b.data ? b.data : "");
}

bool refused_is_mapped(const struct state_files *f, const struct rs_refused *r)
{
	const struct mapped *m;
	size_t n = mapped_prefixes(f, r->host_id, r->stack_id, r->vni, &m);

	for (size_t i = 0; i < n; i++) {
		if (prefix_cmp(&m[i].subnet, &r->prefix) != 0)
			continue;
		for (size_t j = 0; j < f->router.n_refused; j++) {
			const struct rs_refused *other = &f->router.refused[j];
			if (other->vni == r->vni && prefix_cmp(&other->prefix, &m[i].as) == 0 &&
			    str_eq(other->host_id, r->host_id))
				return false;
		}
		return true;
	}
	return false;
}

bool refused_mappable(const struct state_files *f, const struct rs_refused *r)
{
	const struct mapped *m;

	for (size_t i = 0; i < f->discovery.self.n_stacks; i++) {
		if (f->discovery.self.stacks[i].vni == r->vni && !f->discovery.self.stacks[i].n_mapped)
			return true;
	}
	return f->code[FILE_DISCOVERY] == 0 && mapped_prefixes(f, r->host_id, r->stack_id, r->vni, &m) == 0;
}

/* Docker's default bridge has no Compose file */
static bool is_default_bridge(const struct state_files *f, const struct rs_refused *r)
{
	if (strstr(r->with, " dev docker0 of this host"))
		return true;
	for (size_t i = 0; str_eq(r->host_id, f->discovery.self.host_id) && i < f->inventory.n_stacks; i++) {
		const struct inv_stack *s = &f->inventory.stacks[i];
		for (size_t j = 0; j < s->n_networks; j++) {
			for (size_t k = 0; k < s->networks[j].n_subnets; k++) {
				if (prefix_cmp(&s->networks[j].subnets[k], &r->prefix) == 0)
					return str_eq(s->networks[j].bridge, "docker0");
			}
		}
	}
	return false;
}

void refused_cure(const struct state_files *f, const struct rs_refused *r, struct buf *ret_where, struct buf *ret_lines)
{
	const char *free_one = strstr(r->cure, "subnet: ");
	struct prefix p;
	char host[80], ip[IP_STRLEN];

	host_label(f, r->host_id, NULL, host, sizeof(host));
	if (free_one && is_default_bridge(f, r) && prefix_parse(free_one + strlen("subnet: "), &p) == 0) {
		buf_puts(ret_where,
			 "Docker's default bridge has it; a free one, for /etc/docker/daemon.json of this host, "
			 "then restart dockerd:");
		p.ip.b[p.ip.family == AF_INET ? 3 : 15] |= 1; /* the bridge's own address */
		if (p.ip.family == AF_INET)
			buf_printf(ret_lines, "{\"bip\": \"%s/%u\"}", ip_format(&p.ip, ip), p.len);
		else
			buf_printf(ret_lines, "{\"fixed-cidr-v6\": \"%s/%u\"}", ip_format(&p.ip, ip), p.len);
		return;
	}
	buf_printf(ret_where, "a free one, for the Compose file of stack %s on %s:", r->stack_id, host);
	buf_puts(ret_lines, r->cure);
}

static void problems_rows(struct table *t, const char *source, const struct problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		cell_str(t, source);
		cell_str(t, p->v[i].object);
		cell_str(t, p->v[i].text);
		cell_str(t, p->v[i].cure);
	}
}

struct table *problems_table(const struct state_files *f)
{
	static const struct column columns[] = {
		{"source", "FROM", 0}, {"object", "WHAT", 0}, {"text", "PROBLEM", COL_SHRINK}, {"cure", "CURE", 0}};
	struct table *t = table_new(columns, ARRAY_LEN(columns));
	struct problems down = {0};

	down_problems(f, &down);
	problems_rows(t, "host", &down);
	problems_done(&down);
	problems_rows(t, "inventory", &f->inventory.problems);
	problems_rows(t, "discovery", &f->discovery.problems);
	problems_rows(t, "router", &f->router.problems);
	problems_rows(t, "names", &f->records.problems);
	problems_rows(t, "multicast", &f->multicast.problems);
	return t;
}

struct table *refused_table(const struct state_files *f, bool all)
{
	static const struct column columns[] = {
		{"vni", "VNI", COL_RIGHT}, {"prefix", "SUBNET", 0}, {"stack_id", "STACK", 0}, {"host", "HOST", 0},
		{"with", "WITH", 0},	   {"cure", "", COL_JSON},  {"mapped", "", COL_JSON}};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < f->router.n_refused; i++) {
		const struct rs_refused *r = &f->router.refused[i];
		autobuf struct buf where = {0}, cure = {0};
		bool mapped = refused_is_mapped(f, r);
		char host[80];

		if (mapped && !all)
			continue;
		refused_cure(f, r, &where, &cure);
		host_label(f, r->host_id, NULL, host, sizeof(host));
		cell_int(t, r->vni);
		cell_prefixes(t, &r->prefix, 1);
		cell_str(t, r->stack_id);
		cell_str(t, host);
		cell_str(t, r->with);
		cell_str(t, cure.data);
		cell_value(t, json_boolean(mapped), "");
	}
	return t;
}

static void problems_print(struct output *o, const struct problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		output_line(o, "  %s: %s", p->v[i].object, p->v[i].text);
		output_block(o, 6, p->v[i].cure);
	}
}

void cures_print(struct output *o, const struct state_files *f)
{
	bool begun = false;

	for (size_t i = 0; i < f->router.n_refused; i++) {
		const struct rs_refused *r = &f->router.refused[i];
		autobuf struct buf where = {0}, cure = {0};
		char prefix[PREFIX_STRLEN], host[80];

		if (refused_is_mapped(f, r))
			continue;
		if (!begun) {
			output_gap(o);
			output_line(o, "Refused subnets: they clash, and what was there first stays");
		}
		if (!begun && refused_mappable(f, r))
			output_line(
				o,
				"  Set MAPPING=auto on all hosts of the VNI, or give one of the two another subnet:");
		begun = true;
		refused_cure(f, r, &where, &cure);
		host_label(f, r->host_id, NULL, host, sizeof(host));
		output_line(o, "  VNI %u: %s of stack %s on %s clashes with %s", r->vni,
			    prefix_format(&r->prefix, prefix), r->stack_id, host, r->with);
		if (cure.len) {
			output_line(o, "    %s", where.data);
			output_block(o, 6, cure.data);
		}
	}
	struct problems down = {0};
	down_problems(f, &down);
	if (down.n + f->inventory.problems.n + f->discovery.problems.n + f->router.problems.n + f->records.problems.n +
	    f->multicast.problems.n) {
		output_gap(o);
		output_line(o, "Problems");
	}
	problems_print(o, &down);
	problems_print(o, &f->inventory.problems);
	problems_print(o, &f->discovery.problems);
	problems_print(o, &f->router.problems);
	problems_print(o, &f->records.problems);
	problems_print(o, &f->multicast.problems);
	problems_done(&down);
}

int verb_end(const struct cli *c, struct output *o, int status)
{
	int code = output_end(o);

	if (code == -EPIPE) /* `... | head`: who read has seen enough */
		return EXIT_FAILED;
	if (code < 0) {
		fprintf(stderr, "docker-router %s: cannot write: %s\n", c->verb, strerror(-code));
		return EXIT_FAILED;
	}
	return status;
}
