/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router groups: what the role multicast relays between the LAN and containers, who was found and how the LAN
 * reaches it, who listens to which group, and what was dropped. Reads multicast.json and inventory.json, asks nobody.
 */
#include "cli/cli.h"
#include "state/multicast.h"

struct view {
	struct multicast_state s;
	const struct inventory *inv;
	const struct discovery *disc;
};

static const struct mcs_leg *leg_of(const struct view *v, int64_t id)
{
	for (size_t i = 0; i < v->s.n_legs; i++)
		if (v->s.legs[i].leg == id)
			return &v->s.legs[i];
	return NULL;
}

static void leg_label(const struct mcs_leg *l, char out[static LIMIT_NAME + 8])
{
	snprintf(out, LIMIT_NAME + 8, "%s%s", l && l->lan ? "LAN " : "", l ? l->name : "?");
}

static void cell_leg(struct table *t, const struct view *v, int64_t id)
{
	char label[LIMIT_NAME + 8];

	leg_label(leg_of(v, id), label);
	cell_str(t, label);
}

/* What people call an address on that leg: the container that has it, or the address */
static const char *who(const struct view *v, const struct mcs_leg *l, const struct ip *ip, char text[static IP_STRLEN])
{
	for (size_t i = 0; l && i < v->inv->n_multicast; i++) {
		const struct inv_multicast *m = &v->inv->multicast[i];

		for (size_t k = 0; str_eq(m->network.id, l->network) && k < m->n_containers; k++)
			for (size_t n = 0; n < m->containers[k].n_interfaces; n++)
				for (size_t a = 0; a < m->containers[k].interfaces[n].n_addresses; a++)
					if (ip_cmp(&m->containers[k].interfaces[n].addresses[a], ip) == 0)
						return m->containers[k].name;
	}
	return ip_format(ip, text);
}

/* "we ask", or who does */
static void cell_querier(struct table *t, const struct mcs_leg *l)
{
	char other[IP_STRLEN];

	if (str_eq(l->querier[0], "asking"))
		cell_value(t, json_text("asking"), "we");
	else if (str_eq(l->querier[0], "other"))
		cell_str(t, ip_format(&l->querier_other[0], other));
	else
		cell_value(t, json_text(l->querier[0]), str_eq(l->querier[0], "listening") ? "nobody yet" : "nobody");
}

static struct table *legs_table(const struct view *v)
{
	static const struct column columns[] = {
		{"name", "WHERE", COL_SHRINK}, {"interface", "INTERFACE", 0}, {"wants", "WHAT", COL_SHRINK},
		{"heard", "HEARD", COL_RIGHT}, {"sent", "SENT", COL_RIGHT},   {"dropped", "DROPPED", COL_RIGHT},
		{"querier", "WHO ASKS", 0},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < v->s.n_legs; i++) {
		const struct mcs_leg *l = &v->s.legs[i];
		int64_t dropped = 0;

		for (size_t k = 0; k < l->n_drops; k++)
			dropped += l->drops[k].n;
		cell_leg(t, v, l->leg);
		cell_str(t, l->interface);
		cell_str(t, l->wants);
		cell_int(t, l->heard);
		cell_int(t, l->sent);
		cell_int(t, dropped);
		cell_querier(t, l);
	}
	return t;
}

/* The authority of a URL is this endpoint: "http://172.30.0.2:8200/x" */
static bool leads_to(const char *url, const struct endpoint *e)
{
	char at[ENDPOINT_STRLEN];
	const char *s = strstr(url, "://");
	size_t len = s ? strcspn(s + 3, "/") : 0;

	endpoint_format(e, at);
	return s && len == strlen(at) && strncmp(s + 3, at, len) == 0;
}

static struct table *devices_table(const struct view *v)
{
	static const struct column columns[] = {
		{"device", "DEVICE", COL_SHRINK},
		{"where", "WHERE", COL_SHRINK},
		{"location", "ANNOUNCES", COL_SHRINK},
		{"reached", "REACHED AT", 0},
		{"seconds", "GOOD FOR", COL_RIGHT},
		{"usn", "", COL_JSON},
		{"from", "", COL_JSON},
		{"connections", "CONNECTIONS", COL_RIGHT},
		{"error", "LATEST ERROR", COL_HIDE | COL_SHRINK},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < v->s.n_devices; i++) {
		const struct mcs_device *d = &v->s.devices[i];
		const struct mcs_service *by = NULL;
		char text[ENDPOINT_STRLEN];

		for (size_t k = 0; k < v->s.n_services; k++)
			if (v->s.services[k].from == d->leg && leads_to(d->location, &v->s.services[k].inside) &&
			    (!by || (leg_of(v, v->s.services[k].to) && leg_of(v, v->s.services[k].to)->lan)))
				by = &v->s.services[k];
		cell_str(t, who(v, leg_of(v, d->leg), &d->from, text));
		cell_leg(t, v, d->leg);
		cell_str(t, d->location);
		if (by)
			cell_str(t, endpoint_format(&by->outside, text));
		else
			cell_value(t, json_null(), "as announced");
		str_print(text, "%llds", (long long)d->seconds);
		cell_value(t, json_integer(d->seconds), text);
		cell_str(t, d->usn);
		cell_ip(t, &d->from);
		cell_int(t, by ? by->connections : 0);
		cell_str(t, by ? by->error : "");
	}
	return t;
}

static struct table *groups_table(const struct view *v)
{
	static const struct column columns[] = {
		{"group", "GROUP", 0},	   {"where", "WANTED ON", COL_SHRINK},
		{"sources", "SOURCES", 0}, {"reporter", "LATEST REPORT", 0},
		{"bridge", "", COL_JSON},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < v->s.n_groups; i++) {
		const struct mcs_group *g = &v->s.groups[i];
		char text[48];

		cell_ip(t, &g->group);
		cell_leg(t, v, g->leg);
		str_print(text, "%s%lld", str_eq(g->mode, "include") ? "" : "all but ", (long long)g->n_sources);
		cell_str(t, !g->n_sources && !str_eq(g->mode, "include") ? "all" : text);
		if (ip_is_none(&g->reporter))
			cell_value(t, json_null(), "the bridge");
		else
			cell_str(t, who(v, leg_of(v, g->leg), &g->reporter, text));
		cell_value(t, json_boolean(g->by_bridge), "");
	}
	return t;
}

/* On other hosts, of the overlay */
static struct table *peers_table(const struct view *v)
{
	static const struct column columns[] = {
		{"group", "GROUP", 0},		{"host", "WANTED ON HOST", COL_SHRINK},
		{"stack", "STACK", COL_SHRINK}, {"vni", "VNI", COL_RIGHT},
		{"host_ip", "", COL_JSON},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < v->disc->n_peers; i++) {
		const struct peer *p = &v->disc->peers[i];
		char text[IP_STRLEN];

		for (size_t k = 0; k < p->n_groups; k++) {
			cell_ip(t, &p->groups[k].ip);
			cell_str(t, p->host_name[0] ? p->host_name : ip_format(&p->host_ip, text));
			cell_str(t, p->stack_id);
			cell_int(t, p->vni);
			cell_ip(t, &p->host_ip);
		}
	}
	return t;
}

static bool peers_listen(const struct view *v)
{
	for (size_t i = 0; i < v->disc->n_peers; i++)
		if (v->disc->peers[i].n_groups)
			return true;
	return false;
}

static struct table *drops_table(const struct view *v)
{
	static const struct column columns[] = {
		{"where", "DROPPED ON", COL_SHRINK}, {"why", "WHY", 0}, {"n", "TIMES", COL_RIGHT}};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < v->s.n_legs; i++)
		for (size_t k = 0; k < v->s.legs[i].n_drops; k++) {
			cell_leg(t, v, v->s.legs[i].leg);
			cell_str(t, v->s.legs[i].drops[k].why);
			cell_int(t, v->s.legs[i].drops[k].n);
		}
	return t;
}

static struct table *counts_table(const struct view *v)
{
	static const struct column columns[] = {{"what", "RELAYED", 0}, {"n", "TIMES", COL_RIGHT}};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < v->s.n_counts; i++) {
		cell_str(t, v->s.counts[i].what);
		cell_int(t, v->s.counts[i].n);
	}
	return t;
}

static int groups_print(struct cli *c, const struct view *v)
{
	struct output o;

	output_begin(&o, stdout, c->json, false);
	output_table(&o, "legs", NULL, "No network has the label docker-router.multicast, so nothing is relayed.",
		     legs_table(v));
	if (v->s.n_devices || c->json)
		output_table(&o, "devices", "", NULL, devices_table(v));
	if (v->s.n_groups || c->json)
		output_table(&o, "groups", "", NULL, groups_table(v));
	if (peers_listen(v) || c->json)
		output_table(&o, "peers", "", NULL, peers_table(v));
	if (c->json)
		output_table(&o, "counts", "", NULL, counts_table(v));
	output_table(&o, "dropped", "", NULL, drops_table(v));
	if (c->json)
		output_value(&o, "problems", problems_to_json(&v->s.problems));
	for (size_t i = 0; i < v->s.problems.n; i++) {
		const struct problem *p = &v->s.problems.v[i];

		if (!i)
			output_gap(&o);
		output_line(&o, "%s: %s", p->object, p->text);
		if (p->cure[0])
			output_block(&o, 4, p->cure);
	}
	return verb_end(c, &o, EXIT_DONE);
}

int verb_groups(struct cli *c)
{
	struct file_owner owner = owner_of_discovery(&c->dir);
	struct state_files f;
	struct view v = {.inv = &f.inventory, .disc = &f.discovery};
	struct err err = c->dir_why;
	int rc = c->dir.fd < 0 ? c->dir_why.code : multicast_state_read(c->dir.fd, &owner, &v.s, &err);
	int status = EXIT_FAILED;

	state_files_load(&c->dir, &f);
	if (rc == 0)
		status = groups_print(c, &v);
	else if (rc == -ENOENT)
		fprintf(stderr,
			"docker-router groups: there is no multicast.json in %s: does docker-router host run, with the "
			"role multicast?\n",
			c->config.state_dir);
	else
		fprintf(stderr, "docker-router groups: %s\n", err.text);
	if (rc == 0)
		multicast_state_done(&v.s);
	state_files_done(&f);
	return status;
}
