/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router peers and docker-router routes: what discovery heard, and what the router made of it.
 */
#include "cli/cli.h"

static void cell_mac(struct table *t, const struct mac *mac)
{
	char text[MAC_STRLEN];

	if (mac_is_none(mac))
		cell_value(t, json_null(), "");
	else
		cell_str(t, mac_format(mac, text));
}

/* For people those too that are not announced, since they are only reached mapped (MAPPING=always) */
static void cell_subnets(struct table *t, const struct peer *p)
{
	autobuf struct buf text = {0};
	char one[PREFIX_STRLEN];
	json_t *list = json_array();

	for (size_t i = 0; i < p->n_subnets; i++) {
		buf_printf(&text, "%s%s", text.len ? ", " : "", prefix_format(&p->subnets[i], one));
		json_array_append_new(list, json_string(one));
	}
	for (size_t i = 0; i < p->n_mapped; i++) {
		bool there = false;
		for (size_t j = 0; j < p->n_subnets; j++)
			there = there || prefix_cmp(&p->subnets[j], &p->mapped[i].subnet) == 0;
		if (!there)
			buf_printf(&text, "%s%s", text.len ? ", " : "", prefix_format(&p->mapped[i].subnet, one));
	}
	cell_value(t, list, text.data ? text.data : "");
}

/* Age of the last handshake; with many peers each host is looked for once a stack */
static void cell_handshake(struct table *t, const struct cli *c, const struct rs_wireguard *w, const struct peer *p)
{
	size_t i = 0;

	while (i < w->n_peers && !str_eq(w->peers[i].host_id, p->host_id))
		i++;
	if (!w->device[0] || !p->host_id[0])
		cell_value(t, json_null(), "");
	else if (i == w->n_peers)
		cell_value(t, json_null(), "no key");
	else if (!w->peers[i].handshake.ms)
		cell_value(t, json_null(), "none yet");
	else
		cell_age(t, w->peers[i].handshake, c->now);
}

/* The relay that traffic to it takes, "" for none */
static void cell_relay(struct table *t, const struct rs_wireguard *w, const struct peer *p)
{
	for (size_t i = 0; i < w->n_peers; i++)
		if (w->peers[i].relay[0] && str_eq(w->peers[i].host_id, p->host_id)) {
			cell_str(t, w->peers[i].relay_name[0] ? w->peers[i].relay_name : w->peers[i].relay);
			return;
		}
	cell_value(t, json_null(), "");
}

static struct table *peers_table(const struct cli *c, const struct state_files *f)
{
	const struct discovery *d = &f->discovery;
	static const struct column columns[] = {
		{"vni", "VNI", COL_RIGHT},
		{"stack_id", "STACK", COL_SHRINK},
		{"host_name", "HOST", COL_SHRINK},
		{"host_ip", "ADDRESS", 0},
		{"subnets", "SUBNETS", COL_SHRINK},
		{"mapped", "MAPPED", COL_HIDE | COL_SHRINK},
		{"status", "STATUS", 0},
		{"last_seen", "AGE", COL_RIGHT},
		{"source", "SOURCE", 0},
		{"handshake", "HANDSHAKE", COL_HIDE | COL_RIGHT},
		{"relay", "RELAY", COL_HIDE | COL_SHRINK},
		{"host_id", "", COL_JSON},
		{"vxlan_endpoint", "", COL_JSON},
		{"vtep_mac", "", COL_JSON},
		{"vtep_ip", "", COL_JSON},
		{"seq", "", COL_JSON},
		{"avoid", "", COL_JSON},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < d->n_peers; i++) {
		const struct peer *p = &d->peers[i];
		char endpoint[ENDPOINT_STRLEN];

		cell_int(t, p->vni);
		cell_str(t, p->stack_id);
		cell_str(t, p->host_name);
		cell_ip(t, &p->host_ip);
		cell_subnets(t, p);
		cell_mapped(t, p->mapped, p->n_mapped);
		cell_str(t, peer_status_names[p->status]);
		cell_age(t, p->last_seen, c->now);
		cell_str(t, peer_source_names[p->source]);
		cell_handshake(t, c, &f->router.wireguard, p);
		cell_relay(t, &f->router.wireguard, p);
		cell_str(t, p->host_id);
		cell_str(t, endpoint_format(&p->vxlan_endpoint, endpoint));
		cell_mac(t, &p->vtep_mac);
		cell_ip(t, &p->vtep_ip);
		cell_int(t, (int64_t)p->seq);
		cell_prefixes(t, p->avoid, p->n_avoid);
	}
	return t;
}

int verb_peers(struct cli *c)
{
	struct state_files f;
	struct output o;
	int status = EXIT_FAILED;

	state_files_load(&c->dir, &f);
	if (state_files_need(c, &f, FILE_DISCOVERY)) {
		output_begin(&o, stdout, c->json, false);
		output_table(&o, "peers", NULL, "No peers: nobody else has announced a stack yet.", peers_table(c, &f));
		status = verb_end(c, &o, EXIT_DONE);
	}
	state_files_done(&f);
	return status;
}

static struct table *routes_table(const struct state_files *f)
{
	static const struct column columns[] = {
		{"vni", "VNI", COL_RIGHT},	    {"prefix", "PREFIX", 0}, {"stack_id", "STACK", COL_SHRINK},
		{"host", "HOST", COL_SHRINK},	    {"via", "VIA", 0},	     {"host_id", "", COL_JSON},
		{"subnet", "STANDS FOR", COL_HIDE},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < f->router.n_vnis; i++) {
		const struct rs_vni *v = &f->router.vnis[i];
		for (size_t j = 0; j < v->n_routes; j++) {
			const struct rs_route *r = &v->routes[j];
			bool here = ip_is_none(&r->host_ip);
			char host[80] = "this host", prefix[PREFIX_STRLEN];

			if (!here || f->discovery.self.host_name[0])
				host_label(f, r->host_id, &r->host_ip, host, sizeof(host));
			cell_int(t, v->vni);
			cell_str(t, prefix_format(&r->prefix, prefix));
			cell_str(t, r->stack_id);
			cell_str(t, host);
			if (here)
				cell_value(t, json_null(), "leg");
			else
				cell_ip(t, &r->host_ip);
			cell_str(t, r->host_id);
			if (ip_is_none(&r->subnet.ip))
				cell_value(t, json_null(), "");
			else
				cell_str(t, prefix_format(&r->subnet, prefix));
		}
	}
	return t;
}

int verb_routes(struct cli *c)
{
	struct state_files f;
	struct output o;
	int status = EXIT_FAILED;

	state_files_load(&c->dir, &f);
	if (state_files_need(c, &f, FILE_ROUTER)) {
		output_begin(&o, stdout, c->json, false);
		output_table(&o, "routes", NULL, "No routes: no stack here, and none that was announced fits.",
			     routes_table(&f));
		output_table(&o, "refused", "Refused, since they clash (`docker-router status` prints the cure)", NULL,
			     refused_table(&f, c->json));
		status = verb_end(c, &o, EXIT_DONE);
	}
	state_files_done(&f);
	return status;
}
