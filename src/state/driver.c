/* SPDX-License-Identifier: Apache-2.0
 *
 * driver.json as a struct and back.
 */
#include "state/driver.h"

#include <assert.h>

const char *const driver_kind_names[] = {"auto", "bridge", "macvlan", "macvlan-private"};
static_assert(ARRAY_LEN(driver_kind_names) == DRIVER_KIND_N_, "one name per kind");
const char *const driver_ipam_names[] = {"dhcp", "static"};
static_assert(ARRAY_LEN(driver_ipam_names) == DRIVER_IPAM_N_, "one name per way");

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool driver_id_valid(const char *s)
{
	size_t n = 0;

	while (is_alnum(s[n]))
		n++;
	return !s[n] && n >= 12 && n < LIMIT_ID;
}

bool driver_name_valid(const char *s)
{
	size_t n = 0;

	while (is_alnum(s[n]) || s[n] == '-')
		n++;
	return !s[n] && n >= 1 && n < 64 && s[0] != '-' && s[n - 1] != '-';
}

void driver_link_names(const char *endpoint_id, char ret_host[static 16], char ret_peer[static 16])
{
	uint32_t hash = (uint32_t)hash64(endpoint_id, strlen(endpoint_id), 0x6472);

	snprintf(ret_host, 16, "drp%08x", hash);
	snprintf(ret_peer, 16, "drq%08x", hash);
}

void driver_state_done(struct driver_state *s)
{
	free(s->networks);
	free(s->endpoints);
	free(s->kept);
	*s = (struct driver_state){0};
}

static void put_prefix(json_t *o, const char *key, const struct prefix *p)
{
	char text[PREFIX_STRLEN] = "";

	if (!ip_is_none(&p->ip))
		prefix_format(p, text);
	json_put_str(o, key, text);
}

static int get_prefix(const json_t *o, const char *key, struct prefix *ret, struct err *err)
{
	char text[PREFIX_STRLEN + 1] = "";
	int r = json_optional(json_get_str(o, key, text, sizeof(text), err));

	if (r == 0 && text[0] && prefix_parse(text, ret) < 0)
		return err_set(err, -EINVAL, "%s: an address with its length is allowed", key);
	return r;
}

static json_t *network_to_json(const struct driver_network *n)
{
	json_t *o = json_object(), *gateways = json_array();

	json_put_str(o, "id", n->id);
	json_put_str(o, "parent", n->parent);
	json_put_str(o, "kind", driver_kind_names[n->kind]);
	json_put_str(o, "ipam", driver_ipam_names[n->ipam]);
	json_put_int(o, "mtu", n->mtu);
	json_put_int(o, "wait", n->wait_s);
	for (size_t i = 0; i < 2; i++) {
		char text[IP_STRLEN];

		if (!ip_is_none(&n->gateways[i]))
			json_array_append_new(gateways, json_string(ip_format(&n->gateways[i], text)));
	}
	json_put(o, "gateways", gateways);
	json_put(o, "internal", json_boolean(n->internal));
	return o;
}

static int required_id(const json_t *o, const char *key, char *ret, struct err *err)
{
	int r = json_required(json_get_str(o, key, ret, LIMIT_ID, err), key, err);

	return r == 0 && !driver_id_valid(ret) ? err_set(err, -EINVAL, "%s: an id of Docker is allowed", key) : r;
}

static int network_from_json(const json_t *o, struct driver_network *ret, struct err *err)
{
	struct driver_network n = {0};
	int64_t mtu = 0, wait = 10;
	const json_t *gateways = json_object_get(o, "gateways");
	int r, kind, ipam;

	if ((r = required_id(o, "id", n.id, err)) < 0 ||
	    (r = json_required(json_get_str(o, "parent", n.parent, sizeof(n.parent), err), "parent", err)) < 0 ||
	    (r = json_optional(json_get_int(o, "mtu", 0, 65535, &mtu, err))) < 0 ||
	    (r = json_optional(json_get_int(o, "wait", 1, DRIVER_WAIT_MAX_S, &wait, err))) < 0 ||
	    (r = json_optional(json_get_bool(o, "internal", &n.internal, err))) < 0)
		return r;
	kind = json_required(json_get_enum(o, "kind", driver_kind_names, DRIVER_KIND_N_, err), "kind", err);
	ipam = json_required(json_get_enum(o, "ipam", driver_ipam_names, DRIVER_IPAM_N_, err), "ipam", err);
	if (kind < 0 || ipam < 0)
		return -EINVAL;
	n.kind = (enum driver_kind)kind;
	n.ipam = (enum driver_ipam)ipam;
	n.mtu = (uint32_t)mtu;
	n.wait_s = (uint32_t)wait;
	for (size_t i = 0; i < json_array_size(gateways) && i < 2; i++) {
		struct ip ip;
		const char *s = json_string_value(json_array_get(gateways, i));

		if (s && ip_parse(s, &ip) == 0)
			n.gateways[ip.family == AF_INET6] = ip;
	}
	*ret = n;
	return 0;
}

static json_t *endpoint_to_json(const struct driver_endpoint *e)
{
	json_t *o = json_object();

	json_put_str(o, "id", e->id);
	json_put_str(o, "network", e->network);
	json_put_str(o, "name", e->name);
	json_put_str(o, "kind", driver_kind_names[e->kind]);
	json_put_mac(o, "mac", &e->mac);
	json_put(o, "mac_given", json_boolean(e->mac_given));
	put_prefix(o, "address", &e->address);
	put_prefix(o, "address6", &e->address6);
	if (!ip_is_none(&e->gateway))
		json_put_ip(o, "gateway", &e->gateway);
	json_put_str(o, "sandbox", e->sandbox);
	json_put_wall(o, "since", e->since);
	if (e->lease.seconds) {
		json_t *l = json_object();

		json_put_ip(l, "server", &e->lease.server);
		json_put_mac(l, "server_mac", &e->lease.server_mac);
		json_put_wall(l, "since", e->lease.since);
		json_put_int(l, "seconds", e->lease.seconds);
		json_put_int(l, "t1", e->lease.t1);
		json_put_int(l, "t2", e->lease.t2);
		json_put(o, "lease", l);
	}
	return o;
}

static int lease_from_json(const json_t *o, struct driver_lease *ret, struct err *err)
{
	struct driver_lease l = {0};
	int64_t seconds = 0, t1 = 0, t2 = 0;
	int r;

	if ((r = json_required(json_get_ip(o, "server", &l.server, err), "server", err)) < 0 ||
	    (r = json_required(json_get_mac(o, "server_mac", &l.server_mac, err), "server_mac", err)) < 0 ||
	    (r = json_required(json_get_wall(o, "since", &l.since, err), "since", err)) < 0 ||
	    (r = json_required(json_get_int(o, "seconds", 1, UINT32_MAX, &seconds, err), "seconds", err)) < 0 ||
	    (r = json_required(json_get_int(o, "t1", 0, seconds, &t1, err), "t1", err)) < 0 ||
	    (r = json_required(json_get_int(o, "t2", t1, seconds, &t2, err), "t2", err)) < 0)
		return r;
	if (l.server.family != AF_INET)
		return err_set(err, -EINVAL, "server: an IPv4 address is allowed");
	l.seconds = (uint32_t)seconds;
	l.t1 = (uint32_t)t1;
	l.t2 = (uint32_t)t2;
	*ret = l;
	return 0;
}

static int endpoint_from_json(const json_t *o, struct driver_endpoint *ret, struct err *err)
{
	struct driver_endpoint e = {0};
	const json_t *lease = json_object_get(o, "lease");
	int r, kind;

	if ((r = required_id(o, "id", e.id, err)) < 0 || (r = required_id(o, "network", e.network, err)) < 0 ||
	    (r = json_optional(json_get_str(o, "name", e.name, sizeof(e.name), err))) < 0 ||
	    (r = json_required(json_get_mac(o, "mac", &e.mac, err), "mac", err)) < 0 ||
	    (r = json_optional(json_get_bool(o, "mac_given", &e.mac_given, err))) < 0 ||
	    (r = get_prefix(o, "address", &e.address, err)) < 0 ||
	    (r = get_prefix(o, "address6", &e.address6, err)) < 0 ||
	    (r = json_optional(json_get_ip(o, "gateway", &e.gateway, err))) < 0 ||
	    (r = json_optional(json_get_str(o, "sandbox", e.sandbox, sizeof(e.sandbox), err))) < 0 ||
	    (r = json_optional(json_get_wall(o, "since", &e.since, err))) < 0)
		return r;
	if (e.name[0] && !driver_name_valid(e.name))
		return err_set(err, -EINVAL, "name: a label of a host's name is allowed");
	kind = json_required(json_get_enum(o, "kind", driver_kind_names, DRIVER_KIND_N_, err), "kind", err);
	if (kind <= DRIVER_AUTO)
		return err_set(err, -EINVAL, "kind: bridge, macvlan or macvlan-private is allowed");
	e.kind = (enum driver_kind)kind;
	if (json_is_object(lease) && e.address.ip.family == AF_INET && (r = lease_from_json(lease, &e.lease, err)) < 0)
		return r;
	*ret = e;
	return 0;
}

json_t *driver_state_to_json(const struct driver_state *s)
{
	json_t *o = json_object(), *networks = json_array(), *endpoints = json_array(), *kept = json_array();

	json_put_int(o, "version", 1);
	json_put_wall(o, "last_update", s->last_update);
	for (size_t i = 0; i < s->n_networks; i++)
		json_array_append_new(networks, network_to_json(&s->networks[i]));
	for (size_t i = 0; i < s->n_endpoints; i++)
		json_array_append_new(endpoints, endpoint_to_json(&s->endpoints[i]));
	for (size_t i = 0; i < s->n_kept; i++) {
		json_t *k = json_object();

		json_put_str(k, "network", s->kept[i].network);
		json_put_mac(k, "mac", &s->kept[i].mac);
		json_put(k, "mac_given", json_boolean(s->kept[i].mac_given));
		if (!ip_is_none(&s->kept[i].address))
			json_put_ip(k, "address", &s->kept[i].address);
		json_array_append_new(kept, k);
	}
	json_put(o, "networks", networks);
	json_put(o, "endpoints", endpoints);
	json_put(o, "kept", kept);
	return o;
}

static int kept_from_json(const json_t *o, struct driver_kept *ret, struct err *err)
{
	struct driver_kept k = {0};
	int r;

	if ((r = required_id(o, "network", k.network, err)) < 0 ||
	    (r = json_required(json_get_mac(o, "mac", &k.mac, err), "mac", err)) < 0 ||
	    (r = json_optional(json_get_bool(o, "mac_given", &k.mac_given, err))) < 0 ||
	    (r = json_optional(json_get_ip(o, "address", &k.address, err))) < 0)
		return r;
	*ret = k;
	return 0;
}

int driver_state_from_json(const json_t *root, struct driver_state *ret, size_t *ret_bad, struct err *err)
{
	struct driver_state s = {0};
	const json_t *v;
	size_t bad = 0, n;
	int r = json_check_version(root, STATE_DRIVER, err);

	if (r < 0)
		return r;
	r = json_optional(json_get_wall(root, "last_update", &s.last_update, err));
	if (r < 0)
		return err_wrap(err, "%s", STATE_DRIVER);
	v = json_object_get(root, "networks");
	n = json_array_size(v);
	for (size_t i = 0; i < n; i++) {
		struct driver_network network;

		if (s.n_networks == LIMIT_DRIVER_NETS || network_from_json(json_array_get(v, i), &network, NULL) < 0)
			bad++;
		else
			*xgrow(&s.networks, s.n_networks, &s.cap_networks) = network, s.n_networks++;
	}
	v = json_object_get(root, "endpoints");
	n = json_array_size(v);
	for (size_t i = 0; i < n; i++) {
		struct driver_endpoint endpoint;

		if (s.n_endpoints == LIMIT_DRIVER_ENDS || endpoint_from_json(json_array_get(v, i), &endpoint, NULL) < 0)
			bad++;
		else
			*xgrow(&s.endpoints, s.n_endpoints, &s.cap_endpoints) = endpoint, s.n_endpoints++;
	}
	v = json_object_get(root, "kept");
	n = json_array_size(v);
	for (size_t i = 0; i < n; i++) {
		struct driver_kept kept;

		if (s.n_kept == (size_t)LIMIT_DRIVER_NETS * LIMIT_DRIVER_KEPT ||
		    kept_from_json(json_array_get(v, i), &kept, NULL) < 0)
			bad++;
		else
			*xgrow(&s.kept, s.n_kept, &s.cap_kept) = kept, s.n_kept++;
	}
	*ret = s;
	*ret_bad = bad;
	return 0;
}

int driver_state_read(int dirfd, const struct file_owner *owner, struct driver_state *ret, size_t *ret_bad,
		      struct err *err)
{
	json_t *root;
	int r = state_read_json(dirfd, STATE_DRIVER, owner, &root, err);

	if (r < 0)
		return r;
	r = driver_state_from_json(root, ret, ret_bad, err);
	json_decref(root);
	return r;
}

int driver_state_write(int dirfd, const struct driver_state *s, bool sync, struct err *err)
{
	json_t *root = driver_state_to_json(s);
	autobuf struct buf text = {0};

	json_print(&text, root, JSON_INDENT(1));
	json_decref(root);
	buf_puts(&text, "\n");
	return file_replace(dirfd, STATE_DRIVER, text.data, text.len, 0644, sync ? FILE_SYNC : 0, err);
}
