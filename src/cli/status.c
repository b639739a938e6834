/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router status: what runs here, how much of it, and what is wrong with it.
 */
#include "cli/cli.h"
#include "cli/privileges.h"

static const char *const engine_words[ENGINE_STATE_N_] = {
	[ENGINE_CONNECTING] = "connecting",
	[ENGINE_CONNECTED] = "connected",
	[ENGINE_LOST] = "lost",
};

struct counts {
	size_t stacks, networks, containers, peers, stale, hosts, vnis, routes, refused, pending, mapped, names,
		answered;
};

static int peer_host_cmp(const void *pa, const void *pb)
{
	const struct peer *a = *(const struct peer *const *)pa, *b = *(const struct peer *const *)pb;
	int c = strcmp(a->host_id, b->host_id);

	return c || a->host_id[0] ? c : ip_cmp(&a->host_ip, &b->host_ip);
}

/* A host is its id, or, of an older program, its address */
static size_t hosts_count(const struct discovery *d)
{
	autofree const struct peer **order = xcalloc(d->n_peers + 1, sizeof(struct peer *));
	size_t n = 0;

	for (size_t i = 0; i < d->n_peers; i++)
		order[i] = &d->peers[i];
	qsort(order, d->n_peers, sizeof(struct peer *), peer_host_cmp);
	for (size_t i = 0; i < d->n_peers; i++)
		n += i == 0 || peer_host_cmp(&order[i - 1], &order[i]) != 0;
	return n;
}

static struct counts counts_make(const struct state_files *f)
{
	struct counts n = {0};

	n.stacks = f->code[FILE_INVENTORY] == 0 ? f->inventory.n_stacks : f->discovery.self.n_stacks;
	for (size_t i = 0; i < f->inventory.n_stacks; i++) {
		n.networks += f->inventory.stacks[i].n_networks;
		n.containers += f->inventory.stacks[i].n_containers;
	}
	n.peers = f->discovery.n_peers;
	for (size_t i = 0; i < f->discovery.n_peers; i++)
		n.stale += f->discovery.peers[i].status == PEER_STALE;
	n.hosts = hosts_count(&f->discovery);
	n.vnis = f->router.n_vnis;
	for (size_t i = 0; i < f->router.n_vnis; i++)
		n.routes += f->router.vnis[i].n_routes;
	for (size_t i = 0; i < f->router.n_refused; i++)
		n.refused += !refused_is_mapped(f, &f->router.refused[i]);
	for (size_t i = 0; i < f->discovery.self.n_stacks; i++)
		n.mapped += f->discovery.self.stacks[i].n_mapped > 0;
	n.names = f->records.n_records;
	for (size_t i = 0; !role_down(f, "names") && i < f->records.n_containers; i++)
		n.answered += f->records.containers[i].answered;
	n.pending = f->router.n_pending;
	return n;
}

/* What it runs with, of a process that is there */
static void cell_privileges(struct table *t, int32_t pid)
{
	autobuf struct buf text = {0};
	struct privileges p;

	if (pid <= 0 || privileges_read(pid, &p) < 0) {
		cell_value(t, json_null(), "");
		return;
	}
	privileges_text(&p, &text);
	cell_value(t, privileges_json(&p), text.data);
}

static struct table *roles_table(const struct cli *c, const struct state_files *f)
{
	static const struct column columns[] = {{"role", "ROLE", 0},
						{"state", "STATE", 0},
						{"pid", "PID", COL_RIGHT},
						{"since", "SINCE", COL_RIGHT},
						{"restarts", "RESTARTS", COL_RIGHT},
						{"last_exit", "LAST EXIT", COL_HIDE},
						{"privileges", "RUNS AS", COL_HIDE | COL_SHRINK}};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	if (f->code[FILE_HOST] == 0) {
		cell_str(t, "host");
		cell_str(t, pid_alive(f->host.pid) ? "running" : "gone");
		cell_int(t, f->host.pid);
		cell_value(t, json_null(), "");
		cell_value(t, json_null(), "");
		cell_str(t, "");
		cell_privileges(t, f->host.pid);
	}
	for (size_t i = 0; i < f->host.n_roles; i++) {
		const struct host_role *r = &f->host.roles[i];
		bool gone = r->state == ROLE_RUNNING && !pid_alive(r->pid);

		cell_str(t, r->role);
		cell_str(t, gone ? "gone" : role_state_names[r->state]);
		if (r->pid > 0)
			cell_int(t, r->pid);
		else
			cell_value(t, json_null(), "");
		cell_age(t, r->since, c->now);
		cell_int(t, r->restarts);
		cell_str(t, r->last_exit);
		cell_privileges(t, gone ? 0 : r->pid);
	}
	return t;
}

/* Members of the mode gossip; those that left are no news */
static struct table *members_table(const struct state_files *f)
{
	static const struct column columns[] = {{"host_name", "MEMBER", COL_SHRINK},
						{"address", "ADDRESS", 0},
						{"status", "STATE", 0},
						{"host_id", "", COL_JSON},
						{"incarnation", "", COL_JSON}};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < f->discovery.gossip.n_members; i++) {
		const struct cluster_member *m = &f->discovery.gossip.members[i];
		char label[80], address[ENDPOINT_STRLEN];

		if (m->status == MEMBER_LEFT)
			continue;
		host_label(f, m->host_id, &m->address.ip, label, sizeof(label));
		cell_str(t, label);
		cell_str(t, endpoint_format(&m->address, address));
		cell_str(t, member_status_names[m->status]);
		cell_str(t, m->host_id);
		cell_int(t, (int64_t)m->incarnation);
	}
	return t;
}

static void members_print(struct output *o, const struct discovery *d)
{
	size_t n[MEMBER_STATUS_N_] = {0};

	if (!d->gossip.port)
		return;
	for (size_t i = 0; i < d->gossip.n_members; i++)
		n[d->gossip.members[i].status]++;
	output_line(o, "Gossip     port %u; with %zu other member%s, %zu suspected; %zu dead", d->gossip.port,
		    n[MEMBER_ALIVE] + n[MEMBER_SUSPECT], n[MEMBER_ALIVE] + n[MEMBER_SUSPECT] == 1 ? "" : "s",
		    n[MEMBER_SUSPECT], n[MEMBER_DEAD]);
}

static struct table *engines_table(const struct state_files *f)
{
	static const struct column columns[] = {{"endpoint", "ENGINE", 0},
						{"state", "STATE", 0},
						{"api", "API", COL_HIDE},
						{"engine", "VERSION", COL_HIDE},
						{"error", "ERROR", COL_HIDE | COL_SHRINK}};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < f->inventory.n_engines; i++) {
		const struct inv_engine *e = &f->inventory.engines[i];
		cell_str(t, e->endpoint);
		cell_str(t, engine_words[e->state]);
		cell_str(t, e->api);
		cell_str(t, e->engine);
		cell_str(t, e->error);
	}
	return t;
}

static struct table *pending_table(const struct state_files *f)
{
	static const struct column columns[] = {{"operation", "WAITS", COL_SHRINK}, {"why", "FOR", COL_SHRINK}};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < f->router.n_pending; i++) {
		cell_str(t, f->router.pending[i].operation);
		cell_str(t, f->router.pending[i].why);
	}
	return t;
}

static json_t *host_json(const struct state_files *f)
{
	json_t *h = json_object();
	const struct discovery *d = &f->discovery;

	json_object_set_new(h, "host_id", json_text(d->self.host_id));
	json_object_set_new(h, "host_name", json_text(d->self.host_name));
	json_put_ip(h, "host_ip", &d->self.host_ip);
	json_object_set_new(h, "modes", json_text(d->self.modes));
	json_object_set_new(h, "sealed", json_boolean(d->self.key_id[0]));
	json_object_set_new(h, "key_id", json_text(d->self.key_id));
	json_object_set_new(h, "encryption", json_string(f->router.wireguard.device[0] ? "wireguard" : "none"));
	json_object_set_new(h, "vxlan_port", json_integer(d->self.vxlan_port));
	json_object_set_new(h, "datapath", json_text(f->router.datapath));
	json_object_set_new(h, "release", json_text(f->host.release));
	json_object_set_new(h, "netns", json_text(f->host.netns));
	json_object_set_new(h, "run_dir", json_text(f->host.run_dir));
	return h;
}

static json_t *counts_json(const struct state_files *f, const struct counts *n)
{
	bool seen = engines_asked(f);
	json_t *o = json_object();

	json_object_set_new(o, "stacks", json_integer((json_int_t)n->stacks));
	json_object_set_new(o, "networks", json_integer((json_int_t)n->networks));
	json_object_set_new(o, "containers", seen ? json_integer((json_int_t)n->containers) : json_null());
	json_object_set_new(o, "peers", json_integer((json_int_t)n->peers));
	json_object_set_new(o, "peers_stale", json_integer((json_int_t)n->stale));
	json_object_set_new(o, "peer_hosts", json_integer((json_int_t)n->hosts));
	json_object_set_new(o, "vnis", json_integer((json_int_t)n->vnis));
	json_object_set_new(o, "routes", json_integer((json_int_t)n->routes));
	json_object_set_new(o, "refused", json_integer((json_int_t)n->refused));
	json_object_set_new(o, "pending", json_integer((json_int_t)n->pending));
	json_object_set_new(o, "mapped", json_integer((json_int_t)n->mapped));
	json_object_set_new(o, "names", json_integer((json_int_t)n->names));
	json_object_set_new(o, "answered", json_integer((json_int_t)n->answered));
	return o;
}

static json_t *missing_json(const struct cli *c, const struct state_files *f)
{
	json_t *list = json_array();

	for (int i = 0; i < FILE_ALWAYS_N_; i++) {
		autobuf struct buf why = {0};
		if (f->code[i] == 0)
			continue;
		state_file_why(c, f, (enum state_file)i, &why);
		json_t *o = json_object();
		json_object_set_new(o, "file", json_string(state_file_names[i]));
		json_object_set_new(o, "why", json_text(why.data));
		json_array_append_new(list, o);
	}
	return list;
}

/* In the two-container form nobody supervises and no engine is asked: then a missing host.json is no news */
static bool roles_alone(const struct state_files *f)
{
	return f->code[FILE_HOST] == -ENOENT && f->code[FILE_INVENTORY] == 0 && !engines_asked(f);
}

static void missing_print(const struct cli *c, struct output *o, const struct state_files *f)
{
	bool gap = false;

	for (int i = 0; i < FILE_ALWAYS_N_; i++) {
		autobuf struct buf why = {0};
		if (f->code[i] == 0 || (i == FILE_HOST && roles_alone(f)))
			continue;
		if (!gap)
			output_gap(o);
		gap = true;
		state_file_why(c, f, (enum state_file)i, &why);
		output_line(o, "%s", why.data);
	}
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void wireguard_print(struct output *o, const struct state_files *f)
{
	const struct rs_wireguard *w = &f->router.wireguard;
	size_t met = 0, relayed = 0;

	for (size_t i = 0; i < w->n_peers; i++) {
		met += w->peers[i].handshake.ms != 0;
		relayed += w->peers[i].relay[0] != '\0';
	}
	output_line(o, "Encrypted  by WireGuard (%s, %s), UDP port %u, MTU %u; %zu host%s, a handshake with %zu",
		    w->device, w->in_kernel ? "the kernel's" : "wireguard-go", (unsigned)w->port, (unsigned)w->mtu,
		    w->n_peers, plural(w->n_peers), met);
	if (relayed)
		output_line(o, "           %zu of them by way of a relay", relayed);
	if (w->relay)
		output_line(o, "           this host relays for those that do not reach each other");
	if (w->next_device[0])
		output_line(o, "New key    on its way (%s, UDP port %u): %zu of %zu host%s %s taken it", w->next_device,
			    (unsigned)w->next_port, w->n_ready, w->n_peers, plural(w->n_peers),
			    w->n_peers == 1 ? "has" : "have");
}

static void summary_print(const struct cli *c, struct output *o, const struct state_files *f, const struct counts *n)
{
	const struct discovery *d = &f->discovery;
	char ip[IP_STRLEN], age[24];

	if (f->code[FILE_DISCOVERY] == 0) {
		output_line(o, "Host       %s  %s  (id %s)", d->self.host_name[0] ? d->self.host_name : "-",
			    ip_is_none(&d->self.host_ip) ? "no address yet" : ip_format(&d->self.host_ip, ip),
			    d->self.host_id[0] ? d->self.host_id : "none yet");
		output_line(o, "Discovery  %s, %s%s; %zu peer%s on %zu host%s, %zu of them stale",
			    d->self.modes[0] ? d->self.modes : "mode unknown",
			    d->self.key_id[0] ? "sealed with key " : "NOT SEALED", d->self.key_id, n->peers,
			    plural(n->peers), n->hosts, plural(n->hosts), n->stale);
		if (!d->self.key_id[0])
			output_line(o, "           anybody on the network can join: see docker-router keygen --help");
		members_print(o, d);
	}
	if (f->code[FILE_INVENTORY] == 0 && !engines_asked(f))
		output_line(o, "Stacks     %zu here, with %zu network%s; no engine is asked for containers", n->stacks,
			    n->networks, plural(n->networks));
	else if (f->code[FILE_INVENTORY] == 0)
		output_line(o, "Stacks     %zu here, with %zu network%s and %zu container%s; %zu mapped", n->stacks,
			    n->networks, plural(n->networks), n->containers, plural(n->containers), n->mapped);
	if (f->code[FILE_ROUTER] == 0) {
		output_line(o, "Router     %zu VNI%s, %zu route%s, %zu refused, %zu waiting; datapath %s", n->vnis,
			    plural(n->vnis), n->routes, plural(n->routes), n->refused, n->pending,
			    f->router.datapath[0] ? f->router.datapath : "unknown");
		output_line(o, "           last change %s ago; %llu run%s, %llu operation%s, %llu failed",
			    text_age(f->router.last_update, c->now, age), (unsigned long long)f->router.runs,
			    plural(f->router.runs), (unsigned long long)f->router.operations,
			    plural(f->router.operations), (unsigned long long)f->router.failed);
	}
	if (f->code[FILE_ROUTER] == 0 && f->router.wireguard.device[0])
		wireguard_print(o, f);
	if (f->code[FILE_RECORDS] == 0 && role_down(f, "names")) {
		output_line(o, "Names      nobody is answered: the role names does not run");
	} else if (f->code[FILE_RECORDS] == 0) {
		output_line(o, "Names      %zu, below %s too; answered in %zu of %zu container%s", n->names,
			    f->records.domain[0] ? f->records.domain : "no domain", n->answered,
			    f->records.n_containers, plural(f->records.n_containers));
	}
}

/* Only where a network has the label */
static void multicast_print(struct output *o, const struct state_files *f)
{
	size_t networks = 0;

	for (size_t i = 0; i < f->multicast.n_legs; i++)
		networks += !f->multicast.legs[i].lan;
	if (!f->inventory.n_multicast && !networks)
		return;
	if (!f->has_multicast || role_down(f, "multicast") || !role_wanted(f, "multicast"))
		output_line(o, "Multicast  nothing is relayed: the role multicast does not run");
	else
		output_line(o,
			    "Multicast  %zu network%s with the LAN; %zu device%s, %zu group%s (docker-router groups)",
			    networks, plural(networks), f->multicast.n_devices, plural(f->multicast.n_devices),
			    f->multicast.n_groups, plural(f->multicast.n_groups));
}

int verb_status(struct cli *c)
{
	struct state_files f;
	struct err err;
	struct output o;
	size_t found = 0;

	state_files_load(&c->dir, &f);
	state_files_load_records(&c->dir, &f);
	(void)state_files_load_multicast(&c->dir, &f, &err); /* a role of its own tells why not */
	for (int i = 0; i < FILE_ALWAYS_N_; i++)
		found += f.code[i] != -ENOENT;
	if (!found) {
		(void)state_files_need(c, &f, FILE_HOST);
		return EXIT_FAILED;
	}

	struct counts n = counts_make(&f);
	output_begin(&o, stdout, c->json, false);
	output_value(&o, "host", host_json(&f));
	output_value(&o, "counts", counts_json(&f, &n));
	output_value(&o, "missing", missing_json(c, &f));
	output_value(&o, "refused", table_json(refused_table(&f, true)));
	output_value(&o, "problems", table_json(problems_table(&f)));
	summary_print(c, &o, &f, &n);
	multicast_print(&o, &f);
	output_table(&o, "roles", "", NULL, roles_table(c, &f));
	output_table(&o, "engines", "", NULL, engines_table(&f));
	if (f.discovery.gossip.port)
		output_table(&o, "members", "", NULL, members_table(&f));
	output_table(&o, "pending", "", NULL, pending_table(&f));
	missing_print(c, &o, &f);
	cures_print(&o, &f);
	struct problems down = {0};
	down_problems(&f, &down);
	int status = verb_end(c, &o, down.n ? EXIT_FAILED : EXIT_DONE);
	problems_done(&down);
	state_files_done(&f);
	return status;
}
