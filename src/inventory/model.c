/* SPDX-License-Identifier: Apache-2.0
 *
 * Docker's objects, labels and the config file to an inventory; see model.h.
 */
#include "inventory/model.h"

#include "inventory/attach.h"
#include "state/names.h"

#define LABEL_VNI	"docker-router.vni"
#define LABEL_STACK	"docker-router.stack"
#define LABEL_MULTICAST "docker-router.multicast"

static const char *const network_labels[] = {LABEL_VNI, LABEL_STACK, LABEL_MULTICAST};
#define NETWORK_LABELS_TEXT LABEL_VNI ", " LABEL_STACK ", " LABEL_MULTICAST

/* "attach" stands for itself and for "attach.eth1.address" and the like */
static const char *const container_labels[] = {"docker-router.attach", "docker-router.publish",
					       "docker-router.restart-on", LABEL_MULTICAST};
#define CONTAINER_LABELS_TEXT                                                   \
	"docker-router.attach, docker-router.attach.*, docker-router.publish, " \
	"docker-router.restart-on, " LABEL_MULTICAST

static void object_name(struct buf *b, const char *kind, const char *name)
{
	buf_printf(b, "%s ", kind);
	str_safe(b, name);
}

PRINTF(5, 6)
static void problem(struct problems *p, const char *kind, const char *name, const char *cure, const char *fmt, ...)
{
	autobuf struct buf object = {0};
	char words[512];
	va_list ap;

	if (!p || p->n >= LIMIT_PROBLEMS)
		return;
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	object_name(&object, kind, name);
	/* two engines that are run alike say the same twice */
	for (size_t i = 0; i < p->n; i++) {
		if (str_eq(p->v[i].object, object.data) && str_eq(p->v[i].text, words))
			return;
	}
	problems_add(p, object.data, cure, "%s", words);
}

static const char *label(const struct docker_labels *l, const char *key)
{
	for (size_t i = 0; i < l->n; i++) {
		if (str_eq(l->v[i].key, key))
			return l->v[i].value;
	}
	return NULL;
}

/* ---- labels ---- */

static bool label_known(const char *key, const char *const *known, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(known[i]);

		if (str_eq(key, known[i]))
			return true;
		if (str_eq(known[i], "docker-router.attach") && strncmp(key, known[i], len) == 0 && key[len] == '.')
			return true;
	}
	return false;
}

static void labels_check(const struct docker_labels *l, const char *kind, const char *name, const char *const *known,
			 size_t n_known, const char *known_text, struct problems *problems)
{
	for (size_t i = 0; problems && i < l->n; i++) {
		autobuf struct buf key = {0};
		bool of_network = label_known(l->v[i].key, network_labels, ARRAY_LEN(network_labels));

		if (label_known(l->v[i].key, known, n_known))
			continue;
		str_safe(&key, l->v[i].key);
		problem(problems, kind, name, of_network ? "Put it on the network instead of the service." : "",
			"unknown label %s; known on a %s are %s", key.data, kind, known_text);
	}
}

/* ---- networks ---- */

static const struct config_network *config_of(const struct docker_network *n, const struct model_config *config)
{
	for (size_t i = 0; config && i < config->n_networks; i++) {
		const struct config_network *c = &config->networks[i];

		if (str_eq(c->name, n->name) || (n->bridge[0] && str_eq(c->name, n->bridge)))
			return c;
	}
	return NULL;
}

/* What its label asks for, or the config file, which goes before it. false: nothing */
static bool multicast_of(const struct docker_network *n, const struct model_config *config, struct multicast_label *ret,
			 struct problems *problems)
{
	const struct config_network *c = config_of(n, config);
	const char *value = label(&n->labels, LABEL_MULTICAST);
	struct err why;

	if (c && c->has_multicast) {
		*ret = c->multicast;
	} else if (!value) {
		return false;
	} else if (multicast_label_parse(value, ret, &why) < 0) {
		problem(problems, "network", n->name, "", "label " LABEL_MULTICAST ": %s", why.text);
		return false;
	}
	if (str_eq(n->driver, "bridge") && n->bridge[0])
		return true;
	problem(problems, "network", n->name, "Use a network with driver bridge.",
		"label " LABEL_MULTICAST " has an effect on networks with driver bridge only");
	return false;
}

/* Why a network that is meant to join cannot: no bridge, no leg. */
static bool network_supported(const struct docker_network *n, struct problems *problems)
{
	autobuf struct buf driver = {0};

	if (!str_eq(n->driver, "bridge")) {
		str_safe(&driver, n->driver);
		problem(problems, "network", n->name, "Use a network with driver bridge.",
			"driver %s is not supported: only networks with driver bridge have a bridge to join to",
			driver.data);
		return false;
	}
	if (!n->bridge[0]) {
		problem(problems, "network", n->name, "",
			"its com.docker.network.bridge.name is no interface name (1 to 15 characters, no slash)");
		return false;
	}
	if (n->n_subnets == 0) {
		problem(problems, "network", n->name, "Give it a subnet (ipam: config: - subnet: ...).",
			"it has no subnet, so nothing can be routed to it");
		return false;
	}
	return true;
}

static bool vni_of_label(const struct docker_network *n, const char *value, uint32_t *ret_vni,
			 struct problems *problems)
{
	autobuf struct buf shown = {0};
	uint64_t number;

	if (parse_u64(value, 1, VNI_MAX, &number) == 0) {
		*ret_vni = (uint32_t)number;
		return true;
	}
	str_safe(&shown, value);
	problem(problems, "network", n->name, "",
		"label " LABEL_VNI " is \"%s\"; allowed are whole numbers from 1 to %u", shown.data ? shown.data : "",
		VNI_MAX);
	return false;
}

static bool stack_of_network(const struct docker_network *n, const char *from_config, char ret[static LIMIT_NAME],
			     struct problems *problems)
{
	const char *of_label = label(&n->labels, LABEL_STACK);
	const char *stack = from_config && from_config[0] ? from_config : of_label ? of_label : n->project;
	autobuf struct buf shown = {0};

	if (!of_label && !stack[0])
		stack = n->name;
	if (name_valid(stack)) {
		str_copy_(ret, LIMIT_NAME, stack);
		return true;
	}
	str_safe(&shown, stack);
	problem(problems, "network", n->name, "",
		"stack name \"%s\"%s; allowed are 1 to %d characters of A-Z a-z 0-9 _ . -, the first no - or .",
		shown.data ? shown.data : "", of_label == stack ? " (label " LABEL_STACK ")" : "", LIMIT_NAME - 1);
	return false;
}

bool model_network_joins(const struct docker_network *n, const struct model_config *config,
			 char ret_stack[static LIMIT_NAME], uint32_t *ret_vni, struct problems *problems)
{
	const struct config_network *c = config_of(n, config);
	const char *of_label = label(&n->labels, LABEL_VNI);
	char stack[LIMIT_NAME];
	uint32_t vni = 0;

	labels_check(&n->labels, "network", n->name, network_labels, ARRAY_LEN(network_labels), NETWORK_LABELS_TEXT,
		     problems);
	if (c && !c->vni)
		c = NULL; /* the file speaks of something else */
	if (!c && !of_label) {
		if (label(&n->labels, LABEL_STACK))
			problem(problems, "network", n->name, "Add the label " LABEL_VNI ".",
				"label " LABEL_STACK " has no effect without " LABEL_VNI);
		return false;
	}
	if (c)
		vni = c->vni;
	else if (!vni_of_label(n, of_label, &vni, problems))
		return false;
	if (!network_supported(n, problems) || !stack_of_network(n, c ? c->stack : NULL, stack, problems))
		return false;
	memcpy(ret_stack, stack, sizeof(stack));
	*ret_vni = vni;
	return true;
}

bool model_container_matters(const struct docker_container *c, const struct docker_set *set,
			     const struct model_config *config)
{
	struct multicast_label multicast;
	char stack[LIMIT_NAME];
	uint32_t vni;

	if (attach_wanted(c, config ? config->attach : NULL))
		return true;
	for (size_t i = 0; i < c->n_attachments; i++) {
		const struct docker_attachment *a = &c->attachments[i];
		const struct docker_network *n = docker_set_network(set, a->network_id, a->network_name);

		if (!n || model_network_joins(n, config, stack, &vni, NULL) ||
		    multicast_of(n, config, &multicast, NULL))
			return true;
	}
	return false;
}

/* ---- the whole ---- */

/** struct joined - What model_network_joins() said about a network of the set, same index */
struct joined {
	bool yes;
	char stack[LIMIT_NAME];
	uint32_t vni;
};

static void network_fill(struct inv_network *to, const struct docker_network *n, const char *endpoint)
{
	str_copy(to->id, n->id);
	str_copy(to->name, name_valid(n->name) ? n->name : n->id);
	str_copy(to->endpoint, endpoint);
	str_copy(to->bridge, n->bridge);
	memcpy(to->subnets, n->subnets, sizeof(to->subnets));
	to->n_subnets = n->n_subnets;
	memcpy(to->gateways, n->gateways, sizeof(to->gateways));
	to->n_gateways = n->n_gateways;
	to->internal = n->internal;
	to->icc = n->icc;
	to->mtu = n->mtu;
}

static void network_add(struct inventory *inv, const struct docker_network *n, const struct joined *j,
			const char *endpoint)
{
	struct inv_stack *stack = inventory_stack(inv, j->stack, j->vni);

	for (size_t i = 0; i < stack->n_networks; i++) {
		if (str_eq(stack->networks[i].id, n->id))
			return; /* one engine by two endpoints */
	}
	network_fill(xgrow(&stack->networks, stack->n_networks, &stack->cap_networks), n, endpoint);
	stack->n_networks++;
}

/* A paused container answers nobody, so it is not to be found; its NIC and routes stay for when it goes on. */
static enum health health_of(const struct docker_container *c)
{
	if (c->paused)
		return HEALTH_UNHEALTHY;
	switch (c->health) {
	case DOCKER_HEALTH_NONE:
		break;
	case DOCKER_HEALTH_STARTING:
		return HEALTH_STARTING;
	case DOCKER_HEALTH_HEALTHY:
		return HEALTH_HEALTHY;
	case DOCKER_HEALTH_UNHEALTHY:
		return HEALTH_UNHEALTHY;
	}
	return HEALTH_NONE;
}

static void container_fill(struct inv_container *to, const struct docker_container *c)
{
	str_copy(to->id, c->id);
	str_copy(to->name, c->name);
	str_copy(to->service, c->service);
	str_copy(to->sandbox, c->sandbox);
	to->pid = c->pid;
	to->health = health_of(c);
	memcpy(to->dns, c->dns, sizeof(to->dns));
	to->n_dns = c->n_dns;
}

static struct inv_container *container_in(struct inv_stack *stack, const struct docker_container *c)
{
	struct inv_container *to;

	/* one engine gives a container's attachments in a row */
	if (stack->n_containers && str_eq(stack->containers[stack->n_containers - 1].id, c->id))
		return &stack->containers[stack->n_containers - 1];
	to = xgrow(&stack->containers, stack->n_containers, &stack->cap_containers);
	stack->n_containers++;
	container_fill(to, c);
	return to;
}

static void alias_add(struct inv_interface *i, const char *alias)
{
	for (size_t k = 0; k < i->n_aliases; k++) {
		if (str_eq(i->aliases[k], alias))
			return;
	}
	*xgrow(&i->aliases, i->n_aliases, &i->cap_aliases) = xstrdup(alias);
	i->n_aliases++;
}

static void aliases_add(struct inv_interface *i, const struct docker_container *c, const struct docker_attachment *a,
			struct problems *problems)
{
	char label[LABEL_BYTES];

	for (size_t k = 0; k < a->n_aliases; k++) {
		autobuf struct buf shown = {0};

		if (label_lower(a->aliases[k], label)) {
			alias_add(i, label);
			continue;
		}
		str_safe(&shown, a->aliases[k]);
		problem(problems, "container", c->name, "",
			"alias \"%s\" is not answered; allowed are 1 to %d characters of a-z 0-9 _ - ., no dot at the "
			"ends, "
			"no two in a row",
			shown.data ? shown.data : "", LABEL_BYTES - 1);
	}
}

static void interface_add(struct inventory *inv, const struct docker_container *c, const struct docker_attachment *a,
			  const struct docker_network *n, const struct joined *j, bool elsewhere)
{
	struct inv_container *to = container_in(inventory_stack(inv, j->stack, j->vni), c);
	struct inv_interface *i = xgrow(&to->interfaces, to->n_interfaces, &to->cap_interfaces);

	to->n_interfaces++;
	to->elsewhere = elsewhere;
	str_copy(i->network_id, n->id);
	i->mac = a->mac;
	memcpy(i->addresses, a->addresses, sizeof(i->addresses));
	i->n_addresses = a->n_addresses;
	aliases_add(i, c, a, &inv->problems);
}

/* ---- networks with multicast ---- */

static struct inv_multicast *multicast_find(struct inventory *inv, const char *network_id)
{
	for (size_t i = 0; i < inv->n_multicast; i++) {
		if (str_eq(inv->multicast[i].network.id, network_id))
			return &inv->multicast[i];
	}
	return NULL;
}

static void multicast_container(struct inv_multicast *m, const struct docker_container *c,
				const struct docker_attachment *a)
{
	struct inv_container *to = xgrow(&m->containers, m->n_containers, &m->cap_containers);
	struct inv_interface *i = xgrow(&to->interfaces, to->n_interfaces, &to->cap_interfaces);

	m->n_containers++;
	to->n_interfaces++;
	container_fill(to, c);
	str_copy(i->network_id, m->network.id);
	i->mac = a->mac;
	memcpy(i->addresses, a->addresses, sizeof(i->addresses));
	i->n_addresses = a->n_addresses;
}

static void source_multicast(const struct model_source *s, const struct model_config *config, struct inventory *inv)
{
	size_t before = inv->n_multicast;

	for (size_t i = 0; i < s->set->n_networks; i++) {
		const struct docker_network *n = s->set->networks[i];
		struct multicast_label l;

		if (!multicast_of(n, config, &l, &inv->problems) || multicast_find(inv, n->id))
			continue;
		if (inv->n_multicast >= LIMIT_STACKS) {
			problem(&inv->problems, "network", n->name, "", "more than %d networks with multicast",
				LIMIT_STACKS);
			break;
		}
		struct inv_multicast *m = xgrow(&inv->multicast, inv->n_multicast, &inv->cap_multicast);
		inv->n_multicast++;
		network_fill(&m->network, n, s->endpoint);
		m->label = l;
	}
	for (size_t i = 0; i < s->set->n_containers; i++) {
		const struct docker_container *c = s->set->containers[i];

		for (size_t k = 0; c->running && k < c->n_attachments; k++) {
			const struct docker_attachment *a = &c->attachments[k];
			const struct docker_network *n = docker_set_network(s->set, a->network_id, a->network_name);
			struct inv_multicast *m = n ? multicast_find(inv, n->id) : NULL;

			if (m && m >= inv->multicast + before && m->n_containers < LIMIT_CONTAINERS)
				multicast_container(m, c, a);
		}
	}
}

/* Was this network brought in by an engine before this one? Then so were its containers. */
static bool seen_before(const struct model_source *sources, size_t n, const char *network_id)
{
	for (size_t i = 0; i < n; i++) {
		if (sources[i].set && docker_set_network(sources[i].set, network_id, NULL))
			return true;
	}
	return false;
}

static void source_networks(const struct model_source *s, const struct model_config *config, struct joined *joined,
			    struct inventory *inv)
{
	for (size_t i = 0; i < s->set->n_networks; i++) {
		const struct docker_network *n = s->set->networks[i];
		struct joined *j = &joined[i];

		j->yes = model_network_joins(n, config, j->stack, &j->vni, &inv->problems);
		if (j->yes && inv->n_stacks >= LIMIT_STACKS) {
			problem(&inv->problems, "network", n->name, "", "more than %d stacks on one host",
				LIMIT_STACKS);
			j->yes = false;
		}
		if (j->yes)
			network_add(inv, n, j, s->endpoint);
	}
}

static const struct joined *joined_of(const struct model_source *s, const struct joined *joined,
				      const struct docker_attachment *a, const struct docker_network **ret_n)
{
	const struct docker_network *n = docker_set_network(s->set, a->network_id, a->network_name);

	for (size_t i = 0; n && i < s->set->n_networks; i++) {
		if (s->set->networks[i] == n && joined[i].yes) {
			*ret_n = n;
			return &joined[i];
		}
	}
	return NULL;
}

/* Is it on a network of no stack, too? Docker's default bridge has no names, and so does not count */
static bool is_elsewhere(const struct model_source *s, const struct joined *joined, const struct docker_container *c)
{
	for (size_t k = 0; k < c->n_attachments; k++) {
		const struct docker_network *n;

		if (!joined_of(s, joined, &c->attachments[k], &n) && !str_eq(c->attachments[k].network_name, "bridge"))
			return true;
	}
	return false;
}

static void source_containers(const struct model_source *sources, size_t at, const struct joined *joined,
			      struct inventory *inv)
{
	const struct model_source *s = &sources[at];
	size_t taken = 0;

	for (size_t i = 0; i < s->set->n_containers; i++) {
		const struct docker_container *c = s->set->containers[i];
		bool counted = false, elsewhere;

		if (!c->running)
			continue;
		elsewhere = is_elsewhere(s, joined, c);
		labels_check(&c->labels, "container", c->name, container_labels, ARRAY_LEN(container_labels),
			     CONTAINER_LABELS_TEXT, &inv->problems);
		for (size_t k = 0; k < c->n_attachments; k++) {
			const struct docker_network *n;
			const struct joined *j = joined_of(s, joined, &c->attachments[k], &n);

			if (!j || seen_before(sources, at, n->id))
				continue;
			if (!counted && taken >= LIMIT_CONTAINERS) {
				problem(&inv->problems, "engine", s->endpoint, "",
					"more than %d containers on stacks; the rest is left out", LIMIT_CONTAINERS);
				return;
			}
			taken += !counted;
			counted = true;
			interface_add(inv, c, &c->attachments[k], n, j, elsewhere);
		}
	}
}

/* A name in the config file that no network has; told only when every engine was asked. */
static void config_check(const struct model_source *sources, size_t n, const struct model_config *config,
			 struct problems *problems)
{
	for (size_t i = 0; i < n; i++) {
		if (sources[i].state != ENGINE_CONNECTED)
			return;
	}
	for (size_t c = 0; config && c < config->n_networks; c++) {
		struct model_config one = {.networks = &config->networks[c], .n_networks = 1};
		bool found = false;

		for (size_t i = 0; i < n; i++) {
			for (size_t k = 0; !found && sources[i].set && k < sources[i].set->n_networks; k++)
				found = config_of(sources[i].set->networks[k], &one) != NULL;
		}
		if (!found)
			problem(problems, "network", config->networks[c].name, "",
				"the config file names it, but no engine has a network or a bridge of that name");
	}
}

void model_build(const struct model_source *sources, size_t n, const struct model_config *config, struct inventory *ret)
{
	*ret = (struct inventory){0};
	for (size_t i = 0; i < n; i++) {
		const struct model_source *s = &sources[i];
		struct inv_engine *e = xgrow(&ret->engines, ret->n_engines, &ret->cap_engines);
		autofree struct joined *joined = NULL;

		ret->n_engines++;
		e->endpoint = xstrdup(s->endpoint);
		e->api = xstrdup(s->api ? s->api : "");
		e->engine = xstrdup(s->engine ? s->engine : "");
		e->error = xstrdup(s->error ? s->error : "");
		e->state = s->state;
		if (!s->set)
			continue;
		joined = xcalloc(s->set->n_networks + 1, sizeof(*joined));
		source_networks(s, config, joined, ret);
		source_containers(sources, i, joined, ret);
		source_multicast(s, config, ret);
		for (size_t k = 0; k < s->set->n_containers; k++)
			attach_add(s->set->containers[k], config ? config->attach : NULL, ret);
	}
	attach_add_missing(config ? config->attach : NULL, ret);
	config_check(sources, n, config, &ret->problems);
	inventory_sort(ret);
}

/* ---- from the run before ---- */

static const struct inv_interface *interface_on(const struct inv_container *c, const char *network_id)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		if (str_eq(c->interfaces[i].network_id, network_id))
			return &c->interfaces[i];
	}
	return NULL;
}

static struct inv_container *carried_container(struct inv_stack *stack, const struct inv_container *c)
{
	struct inv_container *to;

	for (size_t i = 0; i < stack->n_containers; i++) {
		if (str_eq(stack->containers[i].id, c->id))
			return &stack->containers[i];
	}
	to = xgrow(&stack->containers, stack->n_containers, &stack->cap_containers);
	stack->n_containers++;
	*to = *c;
	to->interfaces = NULL;
	to->n_interfaces = to->cap_interfaces = 0;
	return to;
}

static void carry_interface(struct inv_container *c, const struct inv_interface *was)
{
	struct inv_interface *to = xgrow(&c->interfaces, c->n_interfaces, &c->cap_interfaces);

	c->n_interfaces++;
	*to = *was;
	to->aliases = NULL;
	to->n_aliases = to->cap_aliases = 0;
	for (size_t i = 0; i < was->n_aliases; i++)
		alias_add(to, was->aliases[i]);
}

static void carry_network(const struct inv_stack *from, const struct inv_network *n, struct inventory *inv)
{
	struct inv_stack *stack = inventory_stack(inv, from->stack_id, from->vni);
	struct inv_network *to = xgrow(&stack->networks, stack->n_networks, &stack->cap_networks);

	stack->n_networks++;
	*to = *n;
	for (size_t i = 0; i < from->n_containers; i++) {
		const struct inv_interface *was = interface_on(&from->containers[i], n->id);
		struct inv_container *c;

		if (!was)
			continue;
		c = carried_container(stack, &from->containers[i]);
		carry_interface(c, was);
	}
}

static void carry_multicast(const struct inv_multicast *from, struct inventory *inv)
{
	struct inv_multicast *to = xgrow(&inv->multicast, inv->n_multicast, &inv->cap_multicast);

	inv->n_multicast++;
	to->network = from->network;
	to->label = from->label;
	for (size_t i = 0; i < from->n_containers; i++) {
		struct inv_container *c = xgrow(&to->containers, to->n_containers, &to->cap_containers);

		to->n_containers++;
		*c = from->containers[i];
		c->interfaces = NULL;
		c->n_interfaces = c->cap_interfaces = 0;
		for (size_t k = 0; k < from->containers[i].n_interfaces; k++)
			carry_interface(c, &from->containers[i].interfaces[k]);
	}
}

/* It does not say which engine has it; with several of them each may, until its own has answered */
static void carry_attach(const struct inventory *before, struct inventory *inv)
{
	for (size_t i = 0; i < before->n_attach; i++) {
		const struct inv_attach *a = &before->attach[i];
		bool there = !a->running;

		for (size_t k = 0; !there && k < inv->n_attach; k++)
			there = str_eq(inv->attach[k].container.id, a->container.id);
		if (!there)
			inventory_attach_copy(inv, a);
	}
}

static bool has_network(const struct inventory *inv, const char *id)
{
	for (size_t i = 0; i < inv->n_stacks; i++) {
		for (size_t k = 0; k < inv->stacks[i].n_networks; k++) {
			if (str_eq(inv->stacks[i].networks[k].id, id))
				return true;
		}
	}
	return false;
}

static bool was_known(const struct inventory *before, const char *endpoint)
{
	for (size_t i = 0; i < before->n_engines; i++) {
		if (str_eq(before->engines[i].endpoint, endpoint))
			return before->engines[i].state != ENGINE_CONNECTING;
	}
	return false;
}

void model_carry_over(const struct inventory *before, struct inventory *inv)
{
	for (size_t e = 0; e < inv->n_engines; e++) {
		if (inv->engines[e].state != ENGINE_CONNECTING || !was_known(before, inv->engines[e].endpoint))
			continue;
		inv->engines[e].state = ENGINE_LOST;
		for (size_t i = 0; i < before->n_stacks; i++) {
			const struct inv_stack *from = &before->stacks[i];

			for (size_t k = 0; k < from->n_networks; k++) {
				if (str_eq(from->networks[k].endpoint, inv->engines[e].endpoint) &&
				    !has_network(inv, from->networks[k].id))
					carry_network(from, &from->networks[k], inv);
			}
		}
		for (size_t i = 0; i < before->n_multicast; i++) {
			const struct inv_multicast *m = &before->multicast[i];

			if (str_eq(m->network.endpoint, inv->engines[e].endpoint) &&
			    !multicast_find(inv, m->network.id))
				carry_multicast(m, inv);
		}
		carry_attach(before, inv);
	}
	inventory_sort(inv);
}
