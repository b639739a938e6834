/* SPDX-License-Identifier: Apache-2.0
 *
 * inventory.json as structs and back. Reading is tolerant element by element: what is broken is left out and told,
 * since one odd container must not cut off the rest of a host.
 */
#include "state/inventory.h"

#include <assert.h>

#include "state/names.h"

const char *const health_names[] = {"none", "starting", "healthy", "unhealthy"};
static_assert(ARRAY_LEN(health_names) == HEALTH_N_, "one name per health");
static const char *const engine_state_names[] = {"connecting", "connected", "lost"};
static_assert(ARRAY_LEN(engine_state_names) == ENGINE_STATE_N_, "one name per state");

static void engine_done(struct inv_engine *e)
{
	free(e->endpoint);
	free(e->api);
	free(e->engine);
	free(e->error);
}

static void container_done(struct inv_container *c)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		for (size_t j = 0; j < c->interfaces[i].n_aliases; j++)
			free(c->interfaces[i].aliases[j]);
		free(c->interfaces[i].aliases);
	}
	free(c->interfaces);
}

static void stack_done(struct inv_stack *s)
{
	for (size_t i = 0; i < s->n_containers; i++)
		container_done(&s->containers[i]);
	free(s->containers);
	free(s->networks);
}

static void attach_done(struct inv_attach *a)
{
	container_done(&a->container);
	free(a->nics);
}

void inventory_done(struct inventory *inv)
{
	for (size_t i = 0; i < inv->n_engines; i++)
		engine_done(&inv->engines[i]);
	free(inv->engines);
	for (size_t i = 0; i < inv->n_stacks; i++)
		stack_done(&inv->stacks[i]);
	free(inv->stacks);
	for (size_t i = 0; i < inv->n_multicast; i++) {
		for (size_t j = 0; j < inv->multicast[i].n_containers; j++)
			container_done(&inv->multicast[i].containers[j]);
		free(inv->multicast[i].containers);
	}
	free(inv->multicast);
	for (size_t i = 0; i < inv->n_attach; i++)
		attach_done(&inv->attach[i]);
	free(inv->attach);
	problems_done(&inv->problems);
	*inv = (struct inventory){0};
}

static int stack_cmp(const void *a, const void *b)
{
	const struct inv_stack *x = a, *y = b;
	if (x->vni != y->vni)
		return x->vni < y->vni ? -1 : 1;
	return strcmp(x->stack_id, y->stack_id);
}

static int network_cmp(const void *a, const void *b)
{
	const struct inv_network *x = a, *y = b;
	int order = strcmp(x->id, y->id);
	return order ? order : strcmp(x->endpoint, y->endpoint);
}

static int multicast_cmp(const void *a, const void *b)
{
	return network_cmp(&((const struct inv_multicast *)a)->network, &((const struct inv_multicast *)b)->network);
}

static int container_cmp(const void *a, const void *b)
{
	return strcmp(((const struct inv_container *)a)->id, ((const struct inv_container *)b)->id);
}

static int attach_cmp(const void *a, const void *b)
{
	return container_cmp(&((const struct inv_attach *)a)->container, &((const struct inv_attach *)b)->container);
}

static int interface_cmp(const void *a, const void *b)
{
	return strcmp(((const struct inv_interface *)a)->network_id, ((const struct inv_interface *)b)->network_id);
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int problem_cmp(const void *a, const void *b)
{
	const struct problem *x = a, *y = b;
	int order = strcmp(x->object, y->object);
	if (!order)
		order = strcmp(x->text, y->text);
	return order ? order : strcmp(x->cure, y->cure);
}

static void sort(void *items, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	if (n > 1) /* an empty array is NULL, which qsort() must not be given */
		qsort(items, n, size, cmp);
}

static void container_sort(struct inv_container *c)
{
	sort(c->interfaces, c->n_interfaces, sizeof(*c->interfaces), interface_cmp);
	for (size_t i = 0; i < c->n_interfaces; i++)
		sort(c->interfaces[i].aliases, c->interfaces[i].n_aliases, sizeof(*c->interfaces[i].aliases), text_cmp);
}

void inventory_sort(struct inventory *inv)
{
	sort(inv->stacks, inv->n_stacks, sizeof(*inv->stacks), stack_cmp);
	for (size_t i = 0; i < inv->n_stacks; i++) {
		struct inv_stack *s = &inv->stacks[i];
		sort(s->networks, s->n_networks, sizeof(*s->networks), network_cmp);
		sort(s->containers, s->n_containers, sizeof(*s->containers), container_cmp);
		for (size_t j = 0; j < s->n_containers; j++)
			container_sort(&s->containers[j]);
	}
	sort(inv->multicast, inv->n_multicast, sizeof(*inv->multicast), multicast_cmp);
	for (size_t i = 0; i < inv->n_multicast; i++) {
		struct inv_multicast *m = &inv->multicast[i];
		sort(m->containers, m->n_containers, sizeof(*m->containers), container_cmp);
		for (size_t j = 0; j < m->n_containers; j++)
			container_sort(&m->containers[j]);
	}
	sort(inv->attach, inv->n_attach, sizeof(*inv->attach), attach_cmp);
	sort(inv->problems.v, inv->problems.n, sizeof(*inv->problems.v), problem_cmp);
}

static bool text_same(const char *a, const char *b)
{
	return str_eq(a ? a : "", b ? b : "");
}

static bool engine_same(const struct inv_engine *a, const struct inv_engine *b)
{
	return a->state == b->state && text_same(a->endpoint, b->endpoint) && text_same(a->api, b->api) &&
	       text_same(a->engine, b->engine) && text_same(a->error, b->error);
}

static bool ips_same(const struct ip *a, size_t n_a, const struct ip *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (ip_cmp(&a[i], &b[i]) != 0)
			return false;
	return true;
}

static bool network_same(const struct inv_network *a, const struct inv_network *b)
{
	if (network_cmp(a, b) != 0 || !str_eq(a->name, b->name) || !str_eq(a->bridge, b->bridge) ||
	    a->internal != b->internal || a->icc != b->icc || a->mtu != b->mtu || a->n_subnets != b->n_subnets)
		return false;
	for (size_t i = 0; i < a->n_subnets; i++)
		if (prefix_cmp(&a->subnets[i], &b->subnets[i]) != 0)
			return false;
	return ips_same(a->gateways, a->n_gateways, b->gateways, b->n_gateways);
}

static bool interface_same(const struct inv_interface *a, const struct inv_interface *b)
{
	if (!str_eq(a->network_id, b->network_id) || mac_cmp(&a->mac, &b->mac) != 0 || a->n_aliases != b->n_aliases ||
	    !ips_same(a->addresses, a->n_addresses, b->addresses, b->n_addresses))
		return false;
	for (size_t i = 0; i < a->n_aliases; i++)
		if (!str_eq(a->aliases[i], b->aliases[i]))
			return false;
	return true;
}

static bool container_same(const struct inv_container *a, const struct inv_container *b)
{
	if (!str_eq(a->id, b->id) || !str_eq(a->name, b->name) || !str_eq(a->service, b->service) ||
	    !str_eq(a->sandbox, b->sandbox) || a->pid != b->pid || a->health != b->health ||
	    a->elsewhere != b->elsewhere || !ips_same(a->dns, a->n_dns, b->dns, b->n_dns) ||
	    a->n_interfaces != b->n_interfaces)
		return false;
	for (size_t i = 0; i < a->n_interfaces; i++)
		if (!interface_same(&a->interfaces[i], &b->interfaces[i]))
			return false;
	return true;
}

static bool stack_same(const struct inv_stack *a, const struct inv_stack *b)
{
	if (stack_cmp(a, b) != 0 || a->n_networks != b->n_networks || a->n_containers != b->n_containers ||
	    ip_cmp(&a->uplink, &b->uplink) != 0 || a->epoch != b->epoch)
		return false;
	for (size_t i = 0; i < a->n_networks; i++)
		if (!network_same(&a->networks[i], &b->networks[i]))
			return false;
	for (size_t i = 0; i < a->n_containers; i++)
		if (!container_same(&a->containers[i], &b->containers[i]))
			return false;
	return true;
}

static bool multicast_same(const struct inv_multicast *a, const struct inv_multicast *b)
{
	if (!network_same(&a->network, &b->network) || !multicast_label_same(&a->label, &b->label) ||
	    a->n_containers != b->n_containers)
		return false;
	for (size_t i = 0; i < a->n_containers; i++)
		if (!container_same(&a->containers[i], &b->containers[i]))
			return false;
	return true;
}

static bool attach_same(const struct inv_attach *a, const struct inv_attach *b)
{
	if (!container_same(&a->container, &b->container) || !str_eq(a->owner, b->owner) ||
	    !str_eq(a->hostname, b->hostname) || a->running != b->running || a->paused != b->paused ||
	    a->flag != b->flag || !str_eq(a->refused, b->refused) || a->n_nics != b->n_nics)
		return false;
	for (size_t i = 0; i < a->n_nics; i++)
		if (!nic_same(&a->nics[i], &b->nics[i]))
			return false;
	return true;
}

bool inventory_same(const struct inventory *a, const struct inventory *b)
{
	if (a->n_engines != b->n_engines || a->n_stacks != b->n_stacks || a->n_multicast != b->n_multicast ||
	    a->n_attach != b->n_attach || a->problems.n != b->problems.n)
		return false;
	for (size_t i = 0; i < a->n_attach; i++)
		if (!attach_same(&a->attach[i], &b->attach[i]))
			return false;
	for (size_t i = 0; i < a->n_multicast; i++)
		if (!multicast_same(&a->multicast[i], &b->multicast[i]))
			return false;
	for (size_t i = 0; i < a->n_engines; i++)
		if (!engine_same(&a->engines[i], &b->engines[i]))
			return false;
	for (size_t i = 0; i < a->n_stacks; i++)
		if (!stack_same(&a->stacks[i], &b->stacks[i]))
			return false;
	for (size_t i = 0; i < a->problems.n; i++)
		if (problem_cmp(&a->problems.v[i], &b->problems.v[i]) != 0)
			return false;
	return true;
}

struct inv_stack *inventory_stack(struct inventory *inv, const char *stack_id, uint32_t vni)
{
	for (size_t i = 0; i < inv->n_stacks; i++)
		if (inv->stacks[i].vni == vni && str_eq(inv->stacks[i].stack_id, stack_id))
			return &inv->stacks[i];
	struct inv_stack *s = xgrow(&inv->stacks, inv->n_stacks, &inv->cap_stacks);
	inv->n_stacks++;
	str_copy(s->stack_id, stack_id);
	s->vni = vni;
	return s;
}

static json_t *ips_to_json(const struct ip *ips, size_t n)
{
	char text[IP_STRLEN];
	json_t *array = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_string(ip_format(&ips[i], text)));
	return array;
}

static json_t *engine_to_json(const struct inv_engine *e)
{
	json_t *o = json_object();
	json_put_str(o, "endpoint", e->endpoint ? e->endpoint : "");
	json_put_str(o, "state", engine_state_names[e->state]);
	json_put_str(o, "api", e->api ? e->api : "");
	json_put_str(o, "engine", e->engine ? e->engine : "");
	json_put_str(o, "error", e->error ? e->error : "");
	return o;
}

static json_t *network_to_json(const struct inv_network *n)
{
	json_t *o = json_object();
	json_put_str(o, "name", n->name);
	json_put_str(o, "id", n->id);
	json_put_str(o, "bridge", n->bridge);
	json_put_str(o, "endpoint", n->endpoint);
	json_put_prefixes(o, "subnets", n->subnets, n->n_subnets);
	json_put(o, "gateways", ips_to_json(n->gateways, n->n_gateways));
	json_put(o, "internal", json_boolean(n->internal));
	json_put(o, "icc", json_boolean(n->icc));
	json_put_int(o, "mtu", n->mtu);
	return o;
}

static json_t *aliases_to_json(const struct inv_interface *f)
{
	json_t *array = json_array();
	for (size_t i = 0; i < f->n_aliases; i++)
		json_array_append_new(array, json_string(f->aliases[i]));
	return array;
}

static json_t *container_to_json(const struct inv_container *c)
{
	json_t *o = json_object(), *interfaces = json_array();
	json_put_str(o, "id", c->id);
	json_put_str(o, "name", c->name);
	json_put_str(o, "service", c->service);
	json_put_int(o, "pid", c->pid);
	json_put_str(o, "sandbox", c->sandbox);
	if (c->health != HEALTH_NONE)
		json_put_str(o, "health", health_names[c->health]);
	if (c->n_dns)
		json_put(o, "dns", ips_to_json(c->dns, c->n_dns));
	if (c->elsewhere)
		json_put(o, "elsewhere", json_true());
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct inv_interface *f = &c->interfaces[i];
		json_t *of = json_object();
		json_put_str(of, "network", f->network_id);
		json_put_mac(of, "mac", &f->mac);
		json_put(of, "addresses", ips_to_json(f->addresses, f->n_addresses));
		if (f->n_aliases)
			json_put(of, "aliases", aliases_to_json(f));
		json_array_append_new(interfaces, of);
	}
	json_put(o, "interfaces", interfaces);
	return o;
}

static json_t *stack_to_json(const struct inv_stack *s)
{
	json_t *o = json_object(), *networks = json_array(), *containers = json_array();
	json_put_str(o, "stack_id", s->stack_id);
	json_put_int(o, "vni", s->vni);
	for (size_t i = 0; i < s->n_networks; i++)
		json_array_append_new(networks, network_to_json(&s->networks[i]));
	json_put(o, "networks", networks);
	json_put_ip(o, "uplink", &s->uplink);
	if (s->epoch)
		json_put_int(o, "epoch", s->epoch);
	for (size_t i = 0; i < s->n_containers; i++)
		json_array_append_new(containers, container_to_json(&s->containers[i]));
	json_put(o, "containers", containers);
	return o;
}

static json_t *multicast_to_json(const struct inv_multicast *m)
{
	json_t *o = json_object(), *containers = json_array();
	char label[MULTICAST_LABEL_STRLEN];
	json_put(o, "network", network_to_json(&m->network));
	json_put_str(o, "label", multicast_label_print(&m->label, label));
	for (size_t i = 0; i < m->n_containers; i++)
		json_array_append_new(containers, container_to_json(&m->containers[i]));
	json_put(o, "containers", containers);
	return o;
}

static json_t *attach_to_json(const struct inv_attach *a)
{
	json_t *o = json_object(), *nics = json_array();
	json_put(o, "container", container_to_json(&a->container));
	json_put_str(o, "owner", a->owner);
	json_put_str(o, "hostname", a->hostname);
	json_put(o, "running", json_boolean(a->running));
	json_put(o, "paused", json_boolean(a->paused));
	json_put(o, "flag", json_boolean(a->flag));
	json_put_str(o, "refused", a->refused);
	for (size_t i = 0; i < a->n_nics; i++)
		json_array_append_new(nics, nic_to_json(&a->nics[i]));
	json_put(o, "nics", nics);
	return o;
}

json_t *inventory_to_json(const struct inventory *inv)
{
	json_t *o = json_object(), *engines = json_array(), *stacks = json_array();
	json_put_int(o, "version", 1);
	json_put_wall(o, "last_update", inv->last_update);
	for (size_t i = 0; i < inv->n_engines; i++)
		json_array_append_new(engines, engine_to_json(&inv->engines[i]));
	json_put(o, "engines", engines);
	for (size_t i = 0; i < inv->n_stacks; i++)
		json_array_append_new(stacks, stack_to_json(&inv->stacks[i]));
	json_put(o, "stacks", stacks);
	if (inv->n_multicast) {
		json_t *multicast = json_array();
		for (size_t i = 0; i < inv->n_multicast; i++)
			json_array_append_new(multicast, multicast_to_json(&inv->multicast[i]));
		json_put(o, "multicast", multicast);
	}
	if (inv->n_attach) {
		json_t *attach = json_array();
		for (size_t i = 0; i < inv->n_attach; i++)
			json_array_append_new(attach, attach_to_json(&inv->attach[i]));
		json_put(o, "attach", attach);
	}
	json_put(o, "problems", problems_to_json(&inv->problems));
	return o;
}

static int ips_from_json(const json_t *o, const char *key, struct ip *ret, size_t max, size_t *ret_n, struct err *err)
{
	const json_t *array = json_object_get(o, key);
	if (!array || json_is_null(array))
		return 0;
	if (!json_is_array(array) || json_array_size(array) > max)
		return err_set(err, -EINVAL, "%s is not an array of at most %zu addresses", key, max);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(array, i));
		if (!s || ip_parse(s, &ret[i]) < 0)
			return err_set(err, -EINVAL, "%s: element %zu is not an IP address", key, i);
	}
	*ret_n = n;
	return 0;
}

static int engine_from_json(const json_t *o, struct inv_engine *ret, struct err *err)
{
	char endpoint[256], api[32] = "", engine[64] = "", error[512] = "";
	int state, r;
	if ((r = json_required(json_get_str(o, "endpoint", endpoint, sizeof(endpoint), err), "endpoint", err)) < 0 ||
	    (r = state = json_required(json_get_enum(o, "state", engine_state_names, ENGINE_STATE_N_, err), "state",
				       err)) < 0 ||
	    (r = json_optional(json_get_str(o, "api", api, sizeof(api), err))) < 0 ||
	    (r = json_optional(json_get_str(o, "engine", engine, sizeof(engine), err))) < 0 ||
	    (r = json_optional(json_get_str(o, "error", error, sizeof(error), err))) < 0)
		return r;
	*ret = (struct inv_engine){.endpoint = xstrdup(endpoint),
				   .api = xstrdup(api),
				   .engine = xstrdup(engine),
				   .error = xstrdup(error),
				   .state = (enum engine_state)state};
	return 0;
}

static int network_from_json(const json_t *o, struct inv_network *n, struct err *err)
{
	int64_t mtu = 0;
	int r;
	n->icc = true; /* Docker's default */
	if ((r = json_required(json_get_str(o, "id", n->id, sizeof(n->id), err), "id", err)) < 0 ||
	    (r = json_required(json_get_str(o, "name", n->name, sizeof(n->name), err), "name", err)) < 0 ||
	    (r = json_optional(json_get_str(o, "bridge", n->bridge, sizeof(n->bridge), err))) < 0 ||
	    (r = json_optional(json_get_str(o, "endpoint", n->endpoint, sizeof(n->endpoint), err))) < 0 ||
	    (r = json_optional(json_get_prefixes(o, "subnets", n->subnets, LIMIT_SUBNETS, &n->n_subnets, err))) < 0 ||
	    (r = ips_from_json(o, "gateways", n->gateways, ARRAY_LEN(n->gateways), &n->n_gateways, err)) < 0 ||
	    (r = json_optional(json_get_bool(o, "internal", &n->internal, err))) < 0 ||
	    (r = json_optional(json_get_bool(o, "icc", &n->icc, err))) < 0 ||
	    (r = json_optional(json_get_int(o, "mtu", 0, 65535, &mtu, err))) < 0)
		return r;
	if (!name_valid(n->id))
		return err_set(err, -EINVAL, "id is not an id");
	if (strchr(n->bridge, '/') || str_eq(n->bridge, ".") || str_eq(n->bridge, ".."))
		return err_set(err, -EINVAL, "bridge is not an interface name");
	n->mtu = (uint32_t)mtu;
	return 0;
}

/* a name less is no reason to lose the container */
static void aliases_from_json(const json_t *o, struct inv_interface *f, struct problems *problems, const char *object)
{
	const json_t *array = json_get_array(o, "aliases", problems, object);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(array, i);
		const char *s = json_string_value(v);
		if (f->n_aliases >= LIMIT_ALIASES) {
			problems_add(problems, object, "", "more than %d aliases: the rest is left out", LIMIT_ALIASES);
			return;
		}
		if (!s || strlen(s) != json_string_length(v) || !label_valid(s)) {
			problems_add(problems, object, "",
				     "aliases[%zu] is left out: not a name of a-z, 0-9, '_', '-' and '.'", i);
			continue;
		}
		*xgrow(&f->aliases, f->n_aliases, &f->cap_aliases) = xstrdup(s);
		f->n_aliases++;
	}
}

static int interface_from_json(const json_t *o, struct inv_interface *f, struct err *err)
{
	int r;
	if ((r = json_required(json_get_str(o, "network", f->network_id, sizeof(f->network_id), err), "network", err)) <
		    0 ||
	    (r = json_optional(json_get_mac(o, "mac", &f->mac, err))) < 0)
		return r;
	return ips_from_json(o, "addresses", f->addresses, ARRAY_LEN(f->addresses), &f->n_addresses, err);
}

/* @c may hold an allocation also on failure */
static int container_from_json(const json_t *o, struct inv_container *c, struct problems *problems, struct err *err)
{
	int64_t pid = 0;
	int r;
	if ((r = json_required(json_get_str(o, "id", c->id, sizeof(c->id), err), "id", err)) < 0 ||
	    (r = json_required(json_get_str(o, "name", c->name, sizeof(c->name), err), "name", err)) < 0 ||
	    (r = json_optional(json_get_str(o, "service", c->service, sizeof(c->service), err))) < 0 ||
	    (r = json_optional(json_get_str(o, "sandbox", c->sandbox, sizeof(c->sandbox), err))) < 0 ||
	    (r = json_optional(json_get_int(o, "pid", 0, INT32_MAX, &pid, err))) < 0 ||
	    (r = json_optional(json_get_bool(o, "elsewhere", &c->elsewhere, err))) < 0)
		return r;
	if (!name_valid(c->id))
		return err_set(err, -EINVAL, "id is not an id");
	c->pid = (int32_t)pid;
	struct err why = {0};
	r = json_optional(json_get_enum(o, "health", health_names, HEALTH_N_, &why));
	if (r < 0)
		problems_add(problems, c->name, "", "%s", why.text);
	else
		c->health = (enum health)r;
	if (ips_from_json(o, "dns", c->dns, ARRAY_LEN(c->dns), &c->n_dns, &why) < 0)
		problems_add(problems, c->name, "", "%s", why.text);
	const json_t *array = json_get_array(o, "interfaces", problems, c->name);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n; i++) {
		if (c->n_interfaces >= LIMIT_SUBNETS)
			return err_set(err, -EINVAL, "more than %d interfaces", LIMIT_SUBNETS);
		r = interface_from_json(json_array_get(array, i),
					xgrow(&c->interfaces, c->n_interfaces, &c->cap_interfaces), err);
		if (r < 0)
			return err_wrap(err, "interfaces[%zu]", i);
		aliases_from_json(json_array_get(array, i), &c->interfaces[c->n_interfaces++], problems, c->name);
	}
	return 0;
}

static void networks_from_json(const json_t *o, struct inv_stack *s, struct problems *problems)
{
	char object[256];
	str_print(object, "stack %s in inventory.json", s->stack_id);
	const json_t *array = json_get_array(o, "networks", problems, object);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n; i++) {
		struct err why = {0};
		if (s->n_networks >= LIMIT_STACKS) {
			problems_add(problems, object, "", "more than %d networks", LIMIT_STACKS);
			return;
		}
		if (network_from_json(json_array_get(array, i), xgrow(&s->networks, s->n_networks, &s->cap_networks),
				      &why) < 0)
			problems_add(problems, object, "", "networks[%zu] is left out: %s", i, why.text);
		else
			s->n_networks++;
	}
}

static void containers_from_json(const json_t *o, const char *object, struct inv_container **ret, size_t *ret_n,
				 size_t *ret_cap, size_t *total, struct problems *problems)
{
	const json_t *array = json_get_array(o, "containers", problems, object);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n; i++) {
		struct err why = {0};
		if (*total >= LIMIT_CONTAINERS) {
			problems_add(problems, "inventory.json", "", "more than %d containers: the rest is left out",
				     LIMIT_CONTAINERS);
			return;
		}
		struct inv_container *c = xgrow(ret, *ret_n, ret_cap);
		if (container_from_json(json_array_get(array, i), c, problems, &why) < 0) {
			problems_add(problems, object, "", "containers[%zu] is left out: %s", i, why.text);
			container_done(c);
			*c = (struct inv_container){0};
			continue;
		}
		(*ret_n)++;
		(*total)++;
	}
}

static int stack_from_json(const json_t *o, struct inventory *inv, size_t *n_containers, struct err *err)
{
	char stack_id[LIMIT_NAME] = "";
	int64_t vni, epoch = 0;
	struct ip uplink = {0};
	int r;
	if ((r = json_required(json_get_str(o, "stack_id", stack_id, sizeof(stack_id), err), "stack_id", err)) < 0 ||
	    (r = json_required(json_get_int(o, "vni", 1, VNI_MAX, &vni, err), "vni", err)) < 0 ||
	    (r = json_optional(json_get_ip(o, "uplink", &uplink, err))) < 0 ||
	    (r = json_optional(json_get_int(o, "epoch", 0, EPOCHS - 1, &epoch, err))) < 0)
		return r;
	if (!name_valid(stack_id))
		return err_set(err, -EINVAL, "stack_id is not a name of letters, digits, '_', '.' and '-'");
	size_t before = inv->n_stacks;
	struct inv_stack *s = inventory_stack(inv, stack_id, (uint32_t)vni);
	if (inv->n_stacks == before)
		return err_set(err, -EINVAL, "stack %s of VNI %u is there twice", stack_id, s->vni);
	s->uplink = uplink;
	s->epoch = (uint8_t)epoch;
	networks_from_json(o, s, &inv->problems);
	char object[256];
	str_print(object, "stack %s in inventory.json", s->stack_id);
	containers_from_json(o, object, &s->containers, &s->n_containers, &s->cap_containers, n_containers,
			     &inv->problems);
	return 0;
}

static int multicast_from_json(const json_t *o, struct inv_multicast *m, struct err *err)
{
	char label[MULTICAST_LABEL_STRLEN];
	if (network_from_json(json_object_get(o, "network"), &m->network, err) < 0)
		return err_wrap(err, "network");
	int r = json_required(json_get_str(o, "label", label, sizeof(label), err), "label", err);
	if (r < 0)
		return r;
	r = multicast_label_parse(label, &m->label, err);
	return r < 0 ? err_wrap(err, "label") : 0;
}

static void multicasts_from_json(const json_t *root, struct inventory *inv)
{
	const json_t *array = json_get_array(root, "multicast", &inv->problems, STATE_INVENTORY);
	size_t n = json_array_size(array), n_containers = 0;
	for (size_t i = 0; i < n && i < LIMIT_STACKS; i++) {
		struct inv_multicast *m = xgrow(&inv->multicast, inv->n_multicast, &inv->cap_multicast);
		const json_t *o = json_array_get(array, i);
		struct err why = {0};
		if (multicast_from_json(o, m, &why) < 0) {
			problems_add(&inv->problems, STATE_INVENTORY, "", "multicast[%zu] is left out: %s", i,
				     why.text);
			continue;
		}
		inv->n_multicast++;
		containers_from_json(o, m->network.name, &m->containers, &m->n_containers, &m->cap_containers,
				     &n_containers, &inv->problems);
	}
}

/* @a may hold allocations also on failure */
static int attach_from_json(const json_t *o, struct inv_attach *a, struct problems *problems, struct err *err)
{
	int r = container_from_json(json_object_get(o, "container"), &a->container, problems, err);
	if (r < 0)
		return err_wrap(err, "container");
	if ((r = json_required(json_get_str(o, "owner", a->owner, sizeof(a->owner), err), "owner", err)) < 0 ||
	    (r = json_optional(json_get_str(o, "hostname", a->hostname, sizeof(a->hostname), err))) < 0 ||
	    (r = json_optional(json_get_str(o, "refused", a->refused, sizeof(a->refused), err))) < 0 ||
	    (r = json_required(json_get_bool(o, "running", &a->running, err), "running", err)) < 0 ||
	    (r = json_optional(json_get_bool(o, "paused", &a->paused, err))) < 0 ||
	    (r = json_optional(json_get_bool(o, "flag", &a->flag, err))) < 0)
		return r;
	/* it becomes an argument of the DHCP client */
	if (a->hostname[0] && (!label_valid(a->hostname) || strchr(a->hostname, '.') || a->hostname[0] == '-'))
		return err_set(err, -EINVAL, "hostname is no label of a DNS name");
	const json_t *array = json_get_array(o, "nics", problems, a->container.name);
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct err why = {0};
		if (a->n_nics >= LIMIT_NICS)
			return err_set(err, -EINVAL, "more than %d NICs", LIMIT_NICS);
		struct nic_spec *nic = xgrow(&a->nics, a->n_nics, &a->cap_nics);
		r = nic_from_json(json_array_get(array, i), nic, &why);
		for (size_t k = 0; r == 0 && k < a->n_nics; k++)
			if (str_eq(a->nics[k].name, nic->name))
				r = err_set(&why, -EINVAL, "its name is there twice");
		if (r < 0)
			problems_add(problems, a->container.name, "", "nics[%zu] is left out: %s", i, why.text);
		else
			a->n_nics++;
	}
	return 0;
}

static void attaches_from_json(const json_t *root, struct inventory *inv)
{
	const json_t *array = json_get_array(root, "attach", &inv->problems, STATE_INVENTORY);
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct err why = {0};
		if (inv->n_attach >= LIMIT_CONTAINERS) {
			problems_add(&inv->problems, STATE_INVENTORY, "", "more than %d containers with NICs",
				     LIMIT_CONTAINERS);
			return;
		}
		struct inv_attach *a = xgrow(&inv->attach, inv->n_attach, &inv->cap_attach);
		if (attach_from_json(json_array_get(array, i), a, &inv->problems, &why) < 0) {
			problems_add(&inv->problems, STATE_INVENTORY, "", "attach[%zu] is left out: %s", i, why.text);
			attach_done(a);
			*a = (struct inv_attach){0};
			continue;
		}
		inv->n_attach++;
	}
}

struct inv_attach *inventory_attach_copy(struct inventory *inv, const struct inv_attach *a)
{
	struct inv_attach *to = xgrow(&inv->attach, inv->n_attach, &inv->cap_attach);
	inv->n_attach++;
	*to = *a;
	to->container.interfaces = NULL;
	to->container.n_interfaces = to->container.cap_interfaces = 0;
	to->nics = a->n_nics ? xmemdup(a->nics, a->n_nics * sizeof(*a->nics)) : NULL;
	to->cap_nics = a->n_nics;
	return to;
}

static void stacks_from_json(const json_t *root, struct inventory *inv)
{
	const json_t *array = json_get_array(root, "stacks", &inv->problems, STATE_INVENTORY);
	size_t n = json_array_size(array), n_containers = 0;
	for (size_t i = 0; i < n; i++) {
		struct err why = {0};
		if (inv->n_stacks >= LIMIT_STACKS) {
			problems_add(&inv->problems, STATE_INVENTORY, "", "more than %d stacks: the rest is left out",
				     LIMIT_STACKS);
			return;
		}
		if (stack_from_json(json_array_get(array, i), inv, &n_containers, &why) < 0)
			problems_add(&inv->problems, STATE_INVENTORY, "", "stacks[%zu] is left out: %s", i, why.text);
	}
}

int inventory_from_json(const json_t *root, struct inventory *ret, struct err *err)
{
	struct inventory inv = {0};
	struct err why = {0};
	int r = json_check_version(root, STATE_INVENTORY, err);
	if (r < 0)
		return r;
	/* taken for an empty list it would remove everything */
	r = json_check_array(root, "stacks", err);
	if (r < 0)
		return err_wrap(err, STATE_INVENTORY);
	problems_from_json(json_object_get(root, "problems"), &inv.problems);
	if (json_get_wall(root, "last_update", &inv.last_update, &why) == -EINVAL)
		problems_add(&inv.problems, STATE_INVENTORY, "", "%s", why.text);
	const json_t *array = json_get_array(root, "engines", &inv.problems, STATE_INVENTORY);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n && inv.n_engines < LIMIT_ENGINES; i++) {
		if (engine_from_json(json_array_get(array, i), xgrow(&inv.engines, inv.n_engines, &inv.cap_engines),
				     &why) < 0)
			problems_add(&inv.problems, STATE_INVENTORY, "", "engines[%zu] is left out: %s", i, why.text);
		else
			inv.n_engines++;
	}
	stacks_from_json(root, &inv);
	multicasts_from_json(root, &inv);
	attaches_from_json(root, &inv);
	inventory_sort(&inv);
	*ret = inv;
	return 0;
}

int inventory_read(int dirfd, const struct file_owner *owner, struct inventory *ret, struct err *err)
{
	json_t *root;
	int r = state_read_json(dirfd, STATE_INVENTORY, owner, &root, err);
	if (r < 0)
		return r;
	r = inventory_from_json(root, ret, err);
	json_decref(root);
	return r;
}

int inventory_write(int dirfd, const struct inventory *inv, struct err *err)
{
	json_t *root = inventory_to_json(inv);
	int r = state_write_json(dirfd, STATE_INVENTORY, root, err);
	json_decref(root);
	return r;
}
