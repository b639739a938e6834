/* SPDX-License-Identifier: Apache-2.0
 *
 * Docker JSON to structs; see docker.h. Fields that are missing or of a wrong type count as empty: engines differ, and
 * Podman leaves out more than one would think.
 */
#include <assert.h>
#include <strings.h>

#include "inventory/docker.h"
#include "state/json.h"

#define LABEL_PREFIX  "docker-router."
#define API_MAX_MINOR 47 /* newest that this was read against */
#define API_MIN_MINOR 24

/* ---- small getters ---- */

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* Docker says Name, Podman's own API says name. */
static const char *text2(const json_t *o, const char *docker, const char *podman)
{
	const char *s = text(o, docker);

	return s[0] ? s : text(o, podman);
}

static const json_t *either(const json_t *o, const char *docker, const char *podman)
{
	const json_t *v = json_object_get(o, docker);

	return v ? v : json_object_get(o, podman);
}

static bool flag(const json_t *o, const char *key, bool otherwise)
{
	const char *s = text(o, key);

	return s[0] ? strcasecmp(s, "true") == 0 || str_eq(s, "1") : otherwise;
}

/* An id goes into URLs and file contents: nothing but name characters. */
static bool id_copy(char dst[static LIMIT_ID], const char *s)
{
	if (!name_valid(s) || strlen(s) >= LIMIT_ID)
		return false;
	memcpy(dst, s, strlen(s) + 1);
	return true;
}

static void labels_parse(const json_t *o, struct docker_labels *ret)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)o, key, value)
	{
		struct docker_label *l;

		if (strncmp(key, LABEL_PREFIX, strlen(LABEL_PREFIX)) != 0 || ret->n >= DOCKER_LABELS)
			continue;
		l = xgrow(&ret->v, ret->n, &ret->cap);
		l->key = xstrndup(key, 256);
		l->value = xstrndup(json_is_string(value) ? json_string_value(value) : "", 1024);
		ret->n++;
	}
}

static void labels_done(struct docker_labels *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].key);
		free(l->v[i].value);
	}
	free(l->v);
	*l = (struct docker_labels){0};
}

void docker_network_free(struct docker_network *n)
{
	if (!n)
		return;
	labels_done(&n->labels);
	free(n);
}

static void attachment_done(struct docker_attachment *a)
{
	for (size_t i = 0; i < a->n_aliases; i++)
		free(a->aliases[i]);
	free(a->aliases);
}

void docker_container_detach(struct docker_container *c, const char *network_id)
{
	for (size_t i = 0; i < c->n_attachments; i++) {
		if (!str_eq(c->attachments[i].network_id, network_id))
			continue;
		attachment_done(&c->attachments[i]);
		c->attachments[i] = c->attachments[--c->n_attachments];
		return;
	}
}

void docker_container_free(struct docker_container *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_attachments; i++)
		attachment_done(&c->attachments[i]);
	labels_done(&c->labels);
	free(c->attachments);
	free(c);
}

/* ---- parsing ---- */

json_t *docker_json(char *data, size_t len, struct err *err)
{
	json_error_t je;
	json_t *root;

	/* one label with a NUL in it must not blind us for everything else; \uFFFD is as long as \u0000 */
	for (size_t i = 0; i + 1 < len; i++) {
		if (data[i] != '\\')
			continue;
		if (data[i + 1] == 'u' && len - i >= 6 && memcmp(data + i + 2, "0000", 4) == 0)
			memcpy(data + i + 2, "fffd", 4);
		i++;
	}
	root = json_loadb(data, len, 0, &je);
	if (!root)
		err_set(err, -EINVAL, "answer is no JSON: %s (at byte %d)", je.text, je.position);
	return root;
}

static bool api_parse(const char *s, unsigned *ret_minor)
{
	unsigned major = 0, minor = 0;
	char rest;

	if (sscanf(s, "%5u.%5u%c", &major, &minor, &rest) != 2 || major < 1)
		return false;
	*ret_minor = major > 1 ? 9999 : minor;
	return true;
}

int docker_version_parse(const json_t *o, struct docker_version *ret, struct err *err)
{
	const char *api = text(o, "ApiVersion"), *least = text(o, "MinAPIVersion");
	unsigned max, min = 0;
	struct docker_version v = {0};
	size_t i;
	json_t *component;

	if (!api_parse(api, &max))
		return err_set(err, -EPROTO, "no Docker Engine: its answer to /version names no ApiVersion");
	if (least[0] && !api_parse(least, &min))
		min = 0;
	if (max < API_MIN_MINOR || min > API_MAX_MINOR)
		return err_set(err, -EPROTONOSUPPORT, "speaks API %.15s to %.15s, and we speak 1.%d to 1.%d",
			       least[0] ? least : "?", api, API_MIN_MINOR, API_MAX_MINOR);
	str_print(v.api, "1.%u", max < API_MAX_MINOR ? max : API_MAX_MINOR);
	str_copy(v.engine, text(o, "Version"));
	json_array_foreach(json_object_get(o, "Components"), i, component)
	{
		if (strncmp(text(component, "Name"), "Podman", 6) == 0)
			v.podman = true;
	}
	*ret = v;
	return 0;
}

static struct ip prefix_first(const struct prefix *p)
{
	struct ip ip = prefix_mask(*p).ip;

	if (p->len < ip_bits(ip.family))
		ip.b[ip_size(ip.family) - 1] |= 1;
	return ip;
}

/* Has the bridge an address of this family, as far as options tell? */
static bool bridge_has_address(const json_t *options, uint8_t family)
{
	const char *mode = text(options, family == AF_INET ? "com.docker.network.bridge.gateway_mode_ipv4"
							   : "com.docker.network.bridge.gateway_mode_ipv6");

	if (str_eq(mode, "isolated"))
		return false;
	return family != AF_INET || !flag(options, "com.docker.network.bridge.inhibit_ipv4", false);
}

static void subnet_parse(struct docker_network *n, const json_t *config, const json_t *options)
{
	const char *s = text2(config, "Subnet", "subnet"), *g = text2(config, "Gateway", "gateway");
	struct prefix subnet, gateway;
	struct ip ip;

	if (!s[0] || prefix_parse(s, &subnet) < 0 || n->n_subnets >= ARRAY_LEN(n->subnets))
		return;
	n->subnets[n->n_subnets++] = prefix_mask(subnet);
	if (n->n_gateways >= ARRAY_LEN(n->gateways) || !bridge_has_address(options, subnet.ip.family))
		return;
	ip = prefix_first(&subnet);
	/* some releases write the gateway of an IPv6 pool with its /64 */
	if (g[0] && prefix_parse(g, &gateway) == 0 && prefix_has_ip(&subnet, &gateway.ip))
		ip = gateway.ip;
	n->gateways[n->n_gateways++] = ip;
}

static void bridge_name(struct docker_network *n, const json_t *o, const json_t *options)
{
	const char *name = text(options, "com.docker.network.bridge.name");

	if (!str_eq(n->driver, "bridge"))
		return;
	if (!name[0])
		name = text(o, "network_interface");
	if (!name[0] && flag(options, "com.docker.network.bridge.default_bridge", false))
		name = "docker0";
	if (!name[0])
		str_print(n->bridge, "br-%.12s", n->id);
	else if (strlen(name) < sizeof(n->bridge) && !strchr(name, '/'))
		str_copy(n->bridge, name);
}

struct docker_network *docker_network_parse(const json_t *o, struct err *err)
{
	const json_t *options = either(o, "Options", "options"), *labels = either(o, "Labels", "labels");
	const json_t *configs = json_object_get(json_object_get(o, "IPAM"), "Config"), *config;
	struct docker_network *n = xcalloc(1, sizeof(*n));
	const char *mtu = text(options, "com.docker.network.driver.mtu");
	uint64_t number;
	size_t i;

	if (!id_copy(n->id, text2(o, "Id", "id"))) {
		docker_network_free(n);
		err_set(err, -EINVAL, "a network without a usable id");
		return NULL;
	}
	str_copy(n->name, text2(o, "Name", "name"));
	if (!n->name[0])
		str_copy(n->name, n->id);
	str_copy(n->driver, text2(o, "Driver", "driver"));
	str_copy(n->project, text(labels, "com.docker.compose.project"));
	labels_parse(labels, &n->labels);
	bridge_name(n, o, options);
	n->internal = json_is_true(either(o, "Internal", "internal"));
	n->icc = flag(options, "com.docker.network.bridge.enable_icc", true);
	n->mtu = 1500;
	if (!mtu[0])
		mtu = text(options, "mtu");
	if (mtu[0] && parse_u64(mtu, 68, 65535, &number) == 0)
		n->mtu = (uint32_t)number;
	if (!configs)
		configs = json_object_get(o, "subnets");
	json_array_foreach((json_t *)configs, i, config)
	{
		subnet_parse(n, config, options);
	}
	return n;
}

static void address_add(struct docker_attachment *a, const char *s)
{
	struct ip ip;

	if (!s[0] || a->n_addresses >= ARRAY_LEN(a->addresses) || ip_parse(s, &ip) < 0 || ip_is_unspecified(&ip) ||
	    ip_is_multicast(&ip))
		return;
	a->addresses[a->n_addresses++] = ip;
}

/* Up to Docker 25 the short id is one of Aliases, from 26 on it and the container's name are among DNSNames. */
static void aliases_parse(const struct docker_container *c, const json_t *names, struct docker_attachment *a)
{
	size_t i;
	json_t *o;

	json_array_foreach((json_t *)names, i, o)
	{
		const char *s = json_string_value(o);
		bool known =
			!s || !s[0] || str_eq(s, c->name) || (strlen(s) >= 12 && strncmp(s, c->id, strlen(s)) == 0);

		for (size_t k = 0; !known && k < a->n_aliases; k++)
			known = str_eq(a->aliases[k], s);
		if (known || a->n_aliases >= LIMIT_ALIASES)
			continue;
		*xgrow(&a->aliases, a->n_aliases, &a->cap_aliases) = xstrndup(s, 256);
		a->n_aliases++;
	}
}

static void attachments_parse(struct docker_container *c, const json_t *networks)
{
	const char *name;
	json_t *o;

	json_object_foreach((json_t *)networks, name, o)
	{
		struct docker_attachment *a, got = {0};

		str_copy(got.network_name, name);
		if (!id_copy(got.network_id, text(o, "NetworkID")) && !id_copy(got.network_id, name))
			continue;
		if (mac_parse(text(o, "MacAddress"), &got.mac) < 0)
			got.mac = (struct mac){0};
		address_add(&got, text(o, "IPAddress"));
		address_add(&got, text(o, "GlobalIPv6Address"));
		/* a network that is configured but not joined (a stopped container) has neither */
		if ((mac_is_none(&got.mac) && got.n_addresses == 0) || c->n_attachments >= DOCKER_ATTACHMENTS)
			continue;
		aliases_parse(c, json_object_get(o, "Aliases"), &got);
		aliases_parse(c, json_object_get(o, "DNSNames"), &got);
		a = xgrow(&c->attachments, c->n_attachments, &c->cap_attachments);
		*a = got;
		c->n_attachments++;
	}
}

static void name_parse(struct docker_container *c, const json_t *o)
{
	const char *s = text(o, "Name");

	if (!s[0]) {
		/* a legacy link gives further names, with a slash in the middle: "/web/db" */
		size_t i;
		json_t *name;

		json_array_foreach(json_object_get(o, "Names"), i, name)
		{
			const char *candidate = json_is_string(name) ? json_string_value(name) : "";

			if (candidate[0] == '/')
				candidate++;
			if (candidate[0] && !strchr(candidate, '/') && !s[0])
				s = candidate;
		}
	}
	if (s[0] == '/')
		s++;
	str_copy(c->name, s);
	if (!name_valid(c->name))
		str_print(c->name, "%.12s", c->id);
}

/* Podman says "" where there is no check, or nothing at all */
static enum docker_health health_parse(const json_t *state)
{
	const char *s = text(either(state, "Health", "Healthcheck"), "Status");

	if (str_eq(s, "starting"))
		return DOCKER_HEALTH_STARTING;
	if (str_eq(s, "healthy"))
		return DOCKER_HEALTH_HEALTHY;
	return str_eq(s, "unhealthy") ? DOCKER_HEALTH_UNHEALTHY : DOCKER_HEALTH_NONE;
}

static void state_parse(struct docker_container *c, const json_t *o)
{
	const json_t *state = json_object_get(o, "State"), *pid = json_object_get(state, "Pid");

	if (json_is_string(state)) { /* listed */
		c->paused = str_eq(json_string_value(state), "paused");
		c->running = str_eq(json_string_value(state), "running") || c->paused;
		return;
	}
	if (json_is_integer(pid) && json_integer_value(pid) > 0 && json_integer_value(pid) <= INT32_MAX)
		c->pid = (int32_t)json_integer_value(pid);
	/* between two tries of a restart policy it is "running", without a process */
	c->running = json_is_true(json_object_get(state, "Running")) && c->pid > 0;
	c->paused = json_is_true(json_object_get(state, "Paused"));
	c->health = health_parse(state);
}

static void dns_parse(struct docker_container *c, const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array) && c->n_dns < ARRAY_LEN(c->dns); i++) {
		const char *s = json_string_value(json_array_get(array, i));

		c->n_dns += s && ip_parse(s, &c->dns[c->n_dns]) == 0;
	}
}

/* NETWORKWAIT=1: it waits for a file that says that its network is ready */
static bool wants_flag(const json_t *env)
{
	static const char name[] = "NETWORKWAIT=";

	for (size_t i = 0; i < json_array_size(env); i++) {
		const char *s = json_string_value(json_array_get(env, i));

		if (s && strncmp(s, name, strlen(name)) == 0 && s[strlen(name)])
			return true;
	}
	return false;
}

static void compose_parse(struct docker_container *c, const json_t *labels)
{
	uint64_t number;

	str_copy(c->project, text(labels, "com.docker.compose.project"));
	if (!name_valid(c->project))
		c->project[0] = '\0';
	if (parse_u64(text(labels, "com.docker.compose.container-number"), 1, UINT32_MAX, &number) == 0)
		c->number = (uint32_t)number;
}

struct docker_container *docker_container_parse(const json_t *o, struct err *err)
{
	const json_t *settings = json_object_get(o, "NetworkSettings");
	const json_t *labels = json_object_get(json_object_get(o, "Config"), "Labels");
	const char *mode = text(json_object_get(o, "HostConfig"), "NetworkMode");
	struct docker_container *c = xcalloc(1, sizeof(*c));
	const char *sandbox = text(settings, "SandboxKey");

	if (!id_copy(c->id, text(o, "Id"))) {
		docker_container_free(c);
		err_set(err, -EINVAL, "a container without a usable id");
		return NULL;
	}
	if (!labels)
		labels = json_object_get(o, "Labels");
	name_parse(c, o);
	state_parse(c, o);
	str_copy(c->service, text(labels, "com.docker.compose.service"));
	if (!name_valid(c->service))
		c->service[0] = '\0';
	labels_parse(labels, &c->labels);
	compose_parse(c, labels);
	c->host_network = str_eq(mode, "host");
	c->shares_network = strncmp(mode, "container:", 10) == 0;
	c->wants_flag = wants_flag(json_object_get(json_object_get(o, "Config"), "Env"));
	dns_parse(c, json_object_get(json_object_get(o, "HostConfig"), "Dns"));
	if (sandbox[0] == '/' && strlen(sandbox) < sizeof(c->sandbox))
		str_copy(c->sandbox, sandbox);
	/* who lives in somebody else's namespace has no interfaces of his own */
	if (strncmp(mode, "container:", 10) != 0 && !str_eq(mode, "host") && !str_eq(mode, "none"))
		attachments_parse(c, json_object_get(settings, "Networks"));
	return c;
}

static enum docker_event_kind container_event(const char *action)
{
	if (str_eq(action, "start") || str_eq(action, "rename") || str_eq(action, "pause") || str_eq(action, "unpause"))
		return DOCKER_EVENT_CONTAINER_CHANGED;
	/* "health_status: healthy", and Podman "health_status" */
	if (strncmp(action, "health_status", strlen("health_status")) == 0)
		return DOCKER_EVENT_CONTAINER_CHANGED;
	if (str_eq(action, "die") || str_eq(action, "died"))
		return DOCKER_EVENT_CONTAINER_STOPPED;
	if (str_eq(action, "destroy") || str_eq(action, "remove"))
		return DOCKER_EVENT_CONTAINER_REMOVED;
	return DOCKER_EVENT_OTHER;
}

static enum docker_event_kind network_event(const char *action)
{
	if (str_eq(action, "create") || str_eq(action, "update"))
		return DOCKER_EVENT_NETWORK_CHANGED;
	if (str_eq(action, "destroy") || str_eq(action, "remove"))
		return DOCKER_EVENT_NETWORK_REMOVED;
	if (str_eq(action, "connect"))
		return DOCKER_EVENT_CONNECTED;
	if (str_eq(action, "disconnect"))
		return DOCKER_EVENT_DISCONNECTED;
	return DOCKER_EVENT_OTHER;
}

static int64_t event_time(const json_t *o)
{
	const json_t *nano = json_object_get(o, "timeNano"), *sec = json_object_get(o, "time");

	if (json_is_integer(nano) && json_integer_value(nano) > 0)
		return json_integer_value(nano);
	if (json_is_integer(sec) && json_integer_value(sec) > 0 &&
	    json_integer_value(sec) < INT64_MAX / INT64_C(1000000000))
		return json_integer_value(sec) * INT64_C(1000000000);
	return 0;
}

int docker_event_parse(const json_t *o, struct docker_event *ret, struct err *err)
{
	const char *type = text(o, "Type"), *action = text2(o, "Action", "status");
	const json_t *actor = json_object_get(o, "Actor"), *attributes = json_object_get(actor, "Attributes");
	const char *id = text2(actor, "ID", "Id");
	struct docker_event e = {.time_ns = event_time(o)};
	bool known = true;

	if (!json_is_object(o) || !action[0])
		return err_set(err, -EINVAL, "an event without an action");
	if (!id[0])
		id = text(o, "id");
	if (str_eq(type, "network")) {
		const char *container = text(attributes, "container");

		e.kind = network_event(action);
		if (e.kind != DOCKER_EVENT_CONNECTED && e.kind != DOCKER_EVENT_DISCONNECTED) {
			known = id_copy(e.network, id);
		} else if (container[0]) {
			known = id_copy(e.network, id) && id_copy(e.container, container);
		} else { /* Podman names the container where Docker names the network */
			e.kind = DOCKER_EVENT_CONTAINER_CHANGED;
			known = id_copy(e.container, id);
		}
	} else if (str_eq(type, "container")) {
		e.kind = container_event(action);
		known = id_copy(e.container, id);
	}
	if (e.kind != DOCKER_EVENT_OTHER && !known)
		e.kind = DOCKER_EVENT_UNCLEAR;
	*ret = e;
	return 0;
}

/* ---- sets ---- */

void docker_set_done(struct docker_set *s)
{
	for (size_t i = 0; i < s->n_networks; i++)
		docker_network_free(s->networks[i]);
	for (size_t i = 0; i < s->n_containers; i++)
		docker_container_free(s->containers[i]);
	free(s->networks);
	free(s->containers);
	*s = (struct docker_set){0};
}

/* Both structs begin with their id, so that one search serves both. */
static_assert(offsetof(struct docker_network, id) == 0, "id first");
static_assert(offsetof(struct docker_container, id) == 0, "id first");

/* Return: whether it is there; *ret_at is where it is or belongs */
static bool set_search(void *const *v, size_t n, const char *id, size_t *ret_at)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(v[mid], id);

		if (c == 0) {
			*ret_at = mid;
			return true;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_at = low;
	return false;
}

/* Make room at @at, or close it */
static void set_open(void ***v, size_t *n, size_t *cap, size_t at)
{
	xgrow(v, *n, cap);
	memmove(*v + at + 1, *v + at, (*n - at) * sizeof(void *));
	(*n)++;
}

static void set_close(void **v, size_t *n, size_t at)
{
	(*n)--;
	memmove(v + at, v + at + 1, (*n - at) * sizeof(void *));
}

void docker_set_put_network(struct docker_set *s, struct docker_network *n)
{
	size_t at;

	if (set_search((void *const *)s->networks, s->n_networks, n->id, &at)) {
		docker_network_free(s->networks[at]);
	} else {
		set_open((void ***)&s->networks, &s->n_networks, &s->cap_networks, at);
	}
	s->networks[at] = n;
}

void docker_set_put_container(struct docker_set *s, struct docker_container *c)
{
	size_t at;

	if (set_search((void *const *)s->containers, s->n_containers, c->id, &at)) {
		docker_container_free(s->containers[at]);
	} else {
		set_open((void ***)&s->containers, &s->n_containers, &s->cap_containers, at);
	}
	s->containers[at] = c;
}

bool docker_set_remove_network(struct docker_set *s, const char *id)
{
	size_t at;

	if (!set_search((void *const *)s->networks, s->n_networks, id, &at))
		return false;
	docker_network_free(s->networks[at]);
	set_close((void **)s->networks, &s->n_networks, at);
	return true;
}

struct docker_container *docker_set_take_container(struct docker_set *s, const char *id)
{
	struct docker_container *c;
	size_t at;

	if (!set_search((void *const *)s->containers, s->n_containers, id, &at))
		return NULL;
	c = s->containers[at];
	set_close((void **)s->containers, &s->n_containers, at);
	return c;
}

bool docker_set_remove_container(struct docker_set *s, const char *id)
{
	struct docker_container *c = docker_set_take_container(s, id);

	docker_container_free(c);
	return c != NULL;
}

struct docker_container *docker_set_container(const struct docker_set *s, const char *id)
{
	size_t at;

	return set_search((void *const *)s->containers, s->n_containers, id, &at) ? s->containers[at] : NULL;
}

struct docker_network *docker_set_network(const struct docker_set *s, const char *id, const char *name)
{
	size_t at;

	if (set_search((void *const *)s->networks, s->n_networks, id, &at))
		return s->networks[at];
	for (size_t i = 0; name && name[0] && i < s->n_networks; i++) {
		if (str_eq(s->networks[i]->name, name))
			return s->networks[i];
	}
	return NULL;
}
