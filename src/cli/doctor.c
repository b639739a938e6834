/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router doctor: checks what the overlay depends on, and names cause and cure. This file has the order of the
 * checks, what the state files tell by themselves, and how it is printed.
 */
#include "cli/doctor.h"

static const char *const state_words[CHECK_STATE_N_] = {
	[CHECK_OK] = "ok",	 [CHECK_INFO] = "info",	      [CHECK_WARNING] = "warning",
	[CHECK_ERROR] = "error", [CHECK_SKIPPED] = "skipped",
};

void doctor_add(struct doctor *d, const char *check, enum check_state state, const char *cure, const char *fmt, ...)
{
	struct check *c = xgrow(&d->checks, d->n, &d->cap);
	va_list ap;

	d->n++;
	c->check = check;
	c->state = state;
	va_start(ap, fmt);
	if (vasprintf(&c->what, fmt, ap) < 0)
		abort();
	va_end(ap);
	c->cure = xstrdup(cure ? cure : "");
}

static int64_t elapsed_ms(const struct doctor *d)
{
	return (mono_now().us - d->start.us) / USEC_PER_MSEC;
}

int doctor_left_ms(const struct doctor *d, int max)
{
	int64_t left = DOCTOR_MS - elapsed_ms(d);

	return left <= 0 ? 0 : left < max ? (int)left : max;
}

int doctor_run(const struct doctor *d, const char *const *argv, int ns_fd, const char *input, struct run_result *ret,
	       struct err *err)
{
	int left = doctor_left_ms(d, 1000);

	if (left == 0) /* to run_wait() that would mean: for ever */
		return err_set(err, -ETIME, "%s: no time is left for it", argv[0]);
	return run_wait(argv, ns_fd, input, NULL, left, ret, err);
}

void doctor_step(struct doctor *d, const char *what)
{
	/* what waits longest (the probes, 1 s each) announces itself before it begins */
	if (d->tty && (elapsed_ms(d) > 1000 || strstr(what, "peers"))) {
		fprintf(stderr, "\r\033[Kchecking %s ...", what);
		d->progress_shown = true;
	}
}

bool doctor_has_ipv6(const struct doctor *d)
{
	const struct inventory *inv = &d->files.inventory;

	for (size_t i = 0; i < inv->n_stacks; i++) {
		for (size_t j = 0; j < inv->stacks[i].n_networks; j++) {
			const struct inv_network *n = &inv->stacks[i].networks[j];
			for (size_t k = 0; k < n->n_subnets; k++) {
				if (n->subnets[k].ip.family == AF_INET6)
					return true;
			}
		}
	}
	return false;
}

/* sysctls, firewall and interfaces are those of a namespace: look at the host's */
static void namespace_enter(struct doctor *d)
{
	char here[64];
	int code = host_ns_enter(&d->files, here);

	if (code == 0)
		return;
	if (code == 1) {
		doctor_add(d, "namespace", CHECK_INFO, NULL, "checked in the host's network namespace %s",
			   d->files.host.netns);
		return;
	}
	d->other_ns = true;
	doctor_add(d, "namespace", CHECK_WARNING,
		   "Run it there: nsenter --net=/run/netns/NAME docker-router doctor, or as root while the host runs.",
		   "the host works in network namespace %s, this is %s: what depends on it is not checked",
		   d->files.host.netns, here);
}

static void check_files(struct doctor *d)
{
	for (int i = 0; i < FILE_ALWAYS_N_; i++) {
		autobuf struct buf why = {0};
		int code = d->files.code[i];
		if (code == 0)
			continue;
		if (i == FILE_HOST && code == -ENOENT && d->files.code[FILE_ROUTER] == 0)
			continue; /* roles on their own: the two-container form */
		state_file_why(d->cli, &d->files, (enum state_file)i, &why);
		doctor_add(d, "state files", CHECK_ERROR,
			   code == -ENOENT ? "Start it: docker-router host"
					   : "Look at the file, or remove it: its role writes it anew.",
			   "%s", why.data);
		if (d->cli->dir.fd < 0)
			return; /* once is enough */
	}
}

/* Stacks whose clash with one of ours is mapped away, ours too */
static size_t clashes_mapped(const struct discovery *disc)
{
	size_t n = 0;

	for (size_t i = 0; i < disc->self.n_stacks; i++) {
		const struct self_stack *s = &disc->self.stacks[i];
		size_t others = 0;
		for (size_t j = 0; j < disc->n_peers; j++) {
			const struct peer *p = &disc->peers[j];
			bool clash = false;
			for (size_t k = 0; p->vni == s->vni && k < s->n_mapped; k++) {
				for (size_t m = 0; m < p->n_mapped; m++)
					clash = clash || prefix_overlaps(&s->mapped[k].subnet, &p->mapped[m].subnet);
			}
			others += clash;
		}
		n += others ? others + 1 : 0;
	}
	return n;
}

static void check_refused(struct doctor *d)
{
	const struct router_state *r = &d->files.router;
	size_t bad = 0, mapped = clashes_mapped(&d->files.discovery);

	for (size_t i = 0; i < r->n_refused; i++) {
		const struct rs_refused *x = &r->refused[i];
		autobuf struct buf where = {0}, lines = {0};
		char prefix[PREFIX_STRLEN], host[80];

		if (refused_is_mapped(&d->files, x))
			continue;
		bad++;
		refused_cure(&d->files, x, &where, &lines);
		autofree char *cure = xasprintf(
			"%s%s%s%s",
			refused_mappable(&d->files, x)
				? "Set MAPPING=auto on all hosts of the VNI. Or give one of the two another subnet; "
				: "Give one of the two another subnet; ",
			where.data, lines.len ? "\n" : "", lines.len ? lines.data : "");
		host_label(&d->files, x->host_id, NULL, host, sizeof(host));
		doctor_add(d, "subnets", CHECK_ERROR, cure, "VNI %u: %s of stack %s on %s clashes with %s", x->vni,
			   prefix_format(&x->prefix, prefix), x->stack_id, host, x->with);
	}
	if (d->files.code[FILE_ROUTER] == 0 && bad == 0 && mapped)
		doctor_add(d, "subnets", CHECK_OK, NULL, "clashing subnets are mapped (%zu stacks)", mapped);
	else if (d->files.code[FILE_ROUTER] == 0 && bad == 0)
		doctor_add(d, "subnets", CHECK_OK, NULL, "no subnet clashes");
	for (size_t i = 0; i < r->n_pending; i++)
		doctor_add(d, "waiting", CHECK_WARNING, NULL, "%s: %s", r->pending[i].operation, r->pending[i].why);
}

/* doctor_names() tells it, with a cure: the stub, or a container that is not answered */
static bool is_told_by_names(const struct doctor *d, const struct problems *p, const char *object)
{
	const struct records *r = &d->files.records;

	for (size_t i = 0; p == &r->problems && i < r->n_containers; i++) {
		if (!r->containers[i].answered && str_eq(r->containers[i].name, object))
			return true;
	}
	return str_eq(object, "NAMES_LISTEN");
}

static void check_problems(struct doctor *d, const char *check, const struct problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (is_told_by_names(d, p, p->v[i].object))
			continue;
		doctor_add(d, check, CHECK_WARNING, p->v[i].cure, "%s: %s", p->v[i].object, p->v[i].text);
	}
}

static void check_discovery(struct doctor *d)
{
	const struct discovery *disc = &d->files.discovery;
	size_t stale = 0;

	if (d->files.code[FILE_DISCOVERY] != 0)
		return;
	for (size_t i = 0; i < disc->n_peers; i++) {
		const struct peer *p = &disc->peers[i];
		char ip[IP_STRLEN];
		if (p->status == PEER_STALE && stale++ < 16)
			doctor_add(d, "peers", CHECK_WARNING,
				   "Is it switched off? Then nothing is wrong, it is forgotten after PEER_TIMEOUT.",
				   "stack %s on %s (%s) was not heard of for a while", p->stack_id,
				   p->host_name[0] ? p->host_name : "a host", ip_format(&p->host_ip, ip));
		/* our own id elsewhere: a disk image that was copied with its STATE_DIR */
		if (p->host_id[0] && str_eq(p->host_id, disc->self.host_id))
			doctor_add(d, "identity", CHECK_ERROR,
				   "On one of them: docker-router down --purge, then start docker-router host again.",
				   "%s (%s) has the same host_id as this host", p->host_name,
				   ip_format(&p->host_ip, ip));
	}
	doctor_sealing(d);
}

/* Rows that have a cure, in one state, under a heading: each once, so the table above has only the others */
static void cures(struct output *o, const struct doctor *d, enum check_state state, const char *heading)
{
	bool begun = false;

	for (size_t i = 0; i < d->n; i++) {
		const struct check *c = &d->checks[i];
		if (!c->cure[0] || c->state != state)
			continue;
		output_gap(o);
		if (!begun)
			output_line(o, "%s", heading);
		begun = true;
		output_line(o, "  %s  %s  %s", c->check, state_words[c->state], c->what);
		output_block(o, 4, c->cure);
	}
}

static struct table *checks_table(const struct doctor *d, bool all)
{
	static const struct column columns[] = {
		{"check", "CHECK", 0}, {"state", "STATE", 0}, {"what", "WHAT", 0}, {"cure", "", COL_JSON}};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < d->n; i++) {
		const struct check *c = &d->checks[i];
		if (c->cure[0] && !all)
			continue;
		cell_str(t, c->check);
		cell_str(t, state_words[c->state]);
		cell_str(t, c->what);
		cell_str(t, c->cure);
	}
	return t;
}

static int checks_print(struct doctor *d)
{
	size_t count[CHECK_STATE_N_] = {0};
	struct output o;

	for (size_t i = 0; i < d->n; i++)
		count[d->checks[i].state]++;
	output_begin(&o, stdout, d->cli->json, false);
	output_table(&o, "checks", NULL, NULL, checks_table(d, d->cli->json));
	cures(&o, d, CHECK_ERROR, "Errors, and what to do");
	cures(&o, d, CHECK_WARNING, "Warnings, and what to do");
	cures(&o, d, CHECK_SKIPPED, "Not checked");
	cures(&o, d, CHECK_INFO, "Good to know");
	output_gap(&o);
	output_line(&o, "%zu error%s, %zu warning%s, %zu skipped, %zu to know, %zu fine", count[CHECK_ERROR],
		    count[CHECK_ERROR] == 1 ? "" : "s", count[CHECK_WARNING], count[CHECK_WARNING] == 1 ? "" : "s",
		    count[CHECK_SKIPPED], count[CHECK_INFO], count[CHECK_OK]);
	return verb_end(d->cli, &o, count[CHECK_ERROR] ? EXIT_FAILED : EXIT_DONE);
}

static int kernel_options_print(struct cli *c)
{
	struct output o;

	output_begin(&o, stdout, c->json, false);
	output_table(&o, "kernel_options", NULL, NULL, kernel_options_table());
	return verb_end(c, &o, EXIT_DONE);
}

int verb_doctor(struct cli *c)
{
	struct doctor d = {.cli = c, .root = geteuid() == 0, .start = mono_now(), .tty = isatty(STDERR_FILENO)};

	if (c->options & OPT_KERNEL_OPTIONS)
		return kernel_options_print(c);
	state_files_load(&c->dir, &d.files);
	state_files_load_records(&c->dir, &d.files);
	check_files(&d);
	namespace_enter(&d);
	doctor_step(&d, "roles");
	doctor_roles(&d);
	doctor_step(&d, "programs");
	doctor_programs(&d);
	doctor_step(&d, "kernel");
	doctor_kernel(&d);
	doctor_step(&d, "Docker Engines");
	doctor_engines(&d);
	doctor_pids(&d);
	doctor_step(&d, "forwarding and firewall");
	doctor_forwarding(&d);
	doctor_firewall(&d);
	doctor_step(&d, "MTU and paths");
	doctor_mtu(&d);
	doctor_paths(&d);
	doctor_managers(&d, "");
	check_refused(&d);
	check_problems(&d, "inventory", &d.files.inventory.problems);
	check_problems(&d, "discovery", &d.files.discovery.problems);
	check_problems(&d, "router", &d.files.router.problems);
	check_problems(&d, "names", &d.files.records.problems);
	check_discovery(&d);
	doctor_mapping(&d);
	doctor_pool(&d);
	doctor_names(&d);
	doctor_multicast(&d);
	doctor_attach(&d);
	doctor_step(&d, "the peers' discovery port");
	doctor_discovery_port(&d);
	doctor_step(&d, "the way to the peers");
	doctor_vxlan_port(&d);
	if (d.progress_shown)
		fputs("\r\033[K", stderr);

	int status = checks_print(&d);
	for (size_t i = 0; i < d.n; i++) {
		free(d.checks[i].what);
		free(d.checks[i].cure);
	}
	free(d.checks);
	state_files_done(&d.files);
	return status;
}
