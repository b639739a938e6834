/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router stacks: the stacks of this host, and by which path each container reaches the others.
 */
#include "cli/cli.h"

static const struct rs_vni *vni_find(const struct router_state *s, uint32_t vni)
{
	for (size_t i = 0; i < s->n_vnis; i++) {
		if (s->vnis[i].vni == vni)
			return &s->vnis[i];
	}
	return NULL;
}

static bool leg_has(const struct rs_vni *v, const char *stack_id, const char *network)
{
	for (size_t i = 0; v && i < v->n_legs; i++) {
		if (str_eq(v->legs[i].stack_id, stack_id) && (!network || str_eq(v->legs[i].network, network)))
			return true;
	}
	return false;
}

const char *container_path(const struct router_state *s, const struct inv_stack *stack, const char *container)
{
	const struct rs_vni *v = vni_find(s, stack->vni);

	for (size_t i = 0; v && i < v->n_nics; i++) {
		if (str_eq(v->nics[i].container, container))
			return v->nics[i].grade;
	}
	return leg_has(v, stack->stack_id, NULL) ? "leg" : "none";
}

/* The prefixes by which others reach the subnets of this network: the stack may have more of them */
static void cell_network_mapped(struct table *t, const struct state_files *f, const struct inv_stack *s,
				const struct inv_network *n)
{
	const struct mapped *all;
	size_t n_all = mapped_prefixes(f, f->discovery.self.host_id, s->stack_id, s->vni, &all), n_own = 0;
	autofree struct mapped *own = xcalloc(n_all + 1, sizeof(*own));

	for (size_t i = 0; i < n_all; i++) {
		for (size_t j = 0; j < n->n_subnets; j++) {
			if (prefix_cmp(&n->subnets[j], &all[i].subnet) == 0)
				own[n_own++] = all[i];
		}
	}
	cell_mapped(t, own, n_own);
}

static struct table *networks_table(const struct state_files *f)
{
	static const struct column columns[] = {
		{"vni", "VNI", COL_RIGHT},
		{"stack_id", "STACK", COL_SHRINK},
		{"network", "NETWORK", COL_SHRINK},
		{"bridge", "BRIDGE", 0},
		{"subnets", "SUBNETS", COL_SHRINK},
		{"mapped", "MAPPED", COL_HIDE | COL_SHRINK},
		{"mtu", "MTU", COL_RIGHT},
		{"path_mtu", "PATH MTU", COL_RIGHT},
		{"leg", "LEG", 0},
		{"notes", "NOTES", COL_HIDE},
		{"internal", "", COL_JSON},
		{"icc", "", COL_JSON},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < f->inventory.n_stacks; i++) {
		const struct inv_stack *s = &f->inventory.stacks[i];
		const struct rs_vni *v = vni_find(&f->router, s->vni);

		for (size_t j = 0; j < s->n_networks; j++) {
			const struct inv_network *n = &s->networks[j];
			bool leg = leg_has(v, s->stack_id, n->name);

			cell_int(t, s->vni);
			cell_str(t, s->stack_id);
			cell_str(t, n->name);
			cell_str(t, n->bridge);
			cell_prefixes(t, n->subnets, n->n_subnets);
			cell_network_mapped(t, f, s, n);
			if (n->mtu)
				cell_int(t, n->mtu);
			else
				cell_value(t, json_null(), "");
			if (v && v->mtu)
				cell_int(t, v->mtu);
			else
				cell_value(t, json_null(), "");
			cell_value(t, json_boolean(leg), leg ? "yes" : "no");
			cell_str(t, n->internal && !n->icc ? "internal, icc=false"
				    : n->internal	   ? "internal"
				    : !n->icc		   ? "icc=false"
							   : "");
			cell_value(t, json_boolean(n->internal), "");
			cell_value(t, json_boolean(n->icc), "");
		}
	}
	return t;
}

static void cell_addresses(struct table *t, const struct inv_container *c)
{
	autobuf struct buf text = {0};
	char one[IP_STRLEN];
	json_t *list = json_array();

	for (size_t i = 0; i < c->n_interfaces; i++) {
		for (size_t j = 0; j < c->interfaces[i].n_addresses; j++) {
			ip_format(&c->interfaces[i].addresses[j], one);
			buf_printf(&text, "%s%s", text.len ? ", " : "", one);
			json_array_append_new(list, json_string(one));
		}
	}
	cell_value(t, list, text.data ? text.data : "");
}

static struct table *containers_table(const struct state_files *f)
{
	static const struct column columns[] = {
		{"vni", "VNI", COL_RIGHT},
		{"stack_id", "STACK", COL_SHRINK},
		{"container", "CONTAINER", COL_SHRINK},
		{"service", "SERVICE", COL_HIDE | COL_SHRINK},
		{"addresses", "ADDRESSES", COL_SHRINK},
		{"path", "PATH", 0},
		{"health", "HEALTH", COL_HIDE},
		{"id", "", COL_JSON},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < f->inventory.n_stacks; i++) {
		const struct inv_stack *s = &f->inventory.stacks[i];
		for (size_t j = 0; j < s->n_containers; j++) {
			const struct inv_container *ct = &s->containers[j];

			cell_int(t, s->vni);
			cell_str(t, s->stack_id);
			cell_str(t, ct->name);
			cell_str(t, ct->service);
			cell_addresses(t, ct);
			cell_str(t, f->code[FILE_ROUTER] == 0 ? container_path(&f->router, s, ct->name) : "unknown");
			cell_value(t, json_string(health_names[ct->health]),
				   ct->health == HEALTH_NONE ? "" : health_names[ct->health]);
			cell_str(t, ct->id);
		}
	}
	return t;
}

int verb_stacks(struct cli *c)
{
	struct state_files f;
	struct output o;
	int status = EXIT_FAILED;

	state_files_load(&c->dir, &f);
	if (state_files_need(c, &f, FILE_INVENTORY)) {
		if (!c->json)
			(void)state_files_need(c, &f, FILE_ROUTER);
		output_begin(&o, stdout, c->json, false);
		output_table(&o, "networks", NULL,
			     "No stacks: label a Compose network with docker-router.vni: \"1000\" to make one.",
			     networks_table(&f));
		output_table(&o, "containers", "", NULL, containers_table(&f));
		status = verb_end(c, &o, EXIT_DONE);
	}
	state_files_done(&f);
	return status;
}
