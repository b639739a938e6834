/* SPDX-License-Identifier: Apache-2.0
 *
 * attach.json to structs and back; see attach.h.
 */
#include "state/attach.h"

#include <assert.h>

const char *const nic_state_names[] = {"waiting", "ready", "failed", "refused"};
static_assert(ARRAY_LEN(nic_state_names) == NIC_STATE_N_, "one name per state");
const char *const lease_kind_names[] = {"dhcp", "dhcp6"};
static_assert(ARRAY_LEN(lease_kind_names) == LEASE_KIND_N_, "one name per kind");

void attach_state_done(struct attach_state *s)
{
	free(s->nics);
	problems_done(&s->problems);
	*s = (struct attach_state){0};
}

/* --- writing --- */

static json_t *ips_to_json(const struct ip *v, size_t n)
{
	json_t *array = json_array();
	char text[IP_STRLEN];

	for (size_t i = 0; i < n; i++)
		if (!ip_is_none(&v[i]))
			json_array_append_new(array, json_string(ip_format(&v[i], text)));
	return array;
}

static json_t *route_to_json(const struct nic_route *r)
{
	json_t *o = json_object();
	char text[PREFIX_STRLEN];

	json_put_str(o, "to", prefix_format(&r->to, text));
	json_put_ip(o, "via", &r->via);
	return o;
}

static json_t *lease_to_json(const struct att_lease *l)
{
	json_t *o = json_object(), *routes = json_array();
	char text[PREFIX_STRLEN];

	json_put_str(o, "kind", lease_kind_names[l->kind]);
	json_put_str(o, "address", ip_is_none(&l->address.ip) ? "" : prefix_format(&l->address, text));
	json_put_ip(o, "gateway", &l->gateway);
	json_put_ip(o, "server", &l->server);
	for (size_t i = 0; i < l->n_routes; i++)
		json_array_append_new(routes, route_to_json(&l->routes[i]));
	json_put(o, "routes", routes);
	json_put(o, "dns", ips_to_json(l->dns, l->n_dns));
	json_put_str(o, "domain", l->domain);
	json_put_int(o, "mtu", l->mtu);
	json_put_wall(o, "since", l->since);
	json_put_int(o, "seconds", l->seconds);
	json_put_str(o, "why", l->why);
	return o;
}

static json_t *nic_state_to_json(const struct att_nic *n)
{
	json_t *o = json_object(), *leases = json_array();

	json_put_str(o, "container", n->container);
	json_put_str(o, "name", n->name);
	json_put_str(o, "nic", n->nic);
	json_put_str(o, "parent", n->parent);
	json_put_str(o, "kind", nic_kind_names[n->kind]);
	json_put_str(o, "host", n->host);
	json_put_str(o, "state", nic_state_names[n->state]);
	json_put_str(o, "why", n->why);
	json_put_wall(o, "since", n->since);
	json_put_int(o, "attach_us", n->attach_us);
	json_put_mac(o, "mac", &n->mac);
	json_put_int(o, "mtu", n->mtu);
	json_put_prefixes(o, "addresses", n->addresses, n->n_addresses);
	json_put(o, "gateways", ips_to_json(n->gateways, 2));
	for (size_t i = 0; i < n->n_leases; i++)
		json_array_append_new(leases, lease_to_json(&n->leases[i]));
	json_put(o, "leases", leases);
	return o;
}

json_t *attach_state_to_json(const struct attach_state *s)
{
	json_t *o = json_object(), *nics = json_array();

	json_put_int(o, "version", 1);
	json_put_wall(o, "last_update", s->last_update);
	for (size_t i = 0; i < s->n_nics; i++)
		json_array_append_new(nics, nic_state_to_json(&s->nics[i]));
	json_put(o, "nics", nics);
	json_put(o, "problems", problems_to_json(&s->problems));
	return o;
}

/* --- reading --- */

static int get_str(const json_t *o, const char *key, char *ret, size_t size, struct err *err)
{
	return json_optional(json_get_str(o, key, ret, size, err));
}

static int get_number(const json_t *o, const char *key, int64_t max, int64_t *ret, struct err *err)
{
	return json_optional(json_get_int(o, key, 0, max, ret, err));
}

static int get_ips(const json_t *o, const char *key, struct ip *ret, size_t max, size_t *ret_n, struct err *err)
{
	const json_t *array = json_object_get(o, key);
	size_t n = json_array_size(array);

	if (n > max)
		return err_set(err, -EINVAL, "%s holds more than %zu", key, max);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(array, i));

		if (!s || ip_parse(s, &ret[i]) < 0)
			return err_set(err, -EINVAL, "%s[%zu] is not an address", key, i);
	}
	*ret_n = n;
	return 0;
}

/* host bits stay: it is an address */
static int get_prefix(const json_t *v, const char *key, struct prefix *ret, struct err *err)
{
	const char *s = json_string_value(v);

	if (!s || prefix_parse(s, ret) < 0)
		return err_set(err, -EINVAL, "%s is not an address with its length", key);
	return 0;
}

static int get_routes(const json_t *o, struct att_lease *l, struct err *err)
{
	const json_t *array = json_object_get(o, "routes");
	size_t n = json_array_size(array);
	int rc;

	if (n > LIMIT_NIC_ROUTES)
		return err_set(err, -EINVAL, "more than %d routes", LIMIT_NIC_ROUTES);
	for (size_t i = 0; i < n; i++) {
		const json_t *r = json_array_get(array, i);

		rc = get_prefix(json_object_get(r, "to"), "routes", &l->routes[i].to, err);
		if (rc == 0)
			rc = json_optional(json_get_ip(r, "via", &l->routes[i].via, err));
		if (rc < 0)
			return rc;
	}
	l->n_routes = n;
	return 0;
}

static int lease_from_json(const json_t *o, struct att_lease *l, struct err *err)
{
	int64_t mtu = 0, seconds = 0;
	char address[PREFIX_STRLEN] = "";
	int rc, kind;

	if ((rc = kind = json_required(json_get_enum(o, "kind", lease_kind_names, LEASE_KIND_N_, err), "kind", err)) <
		    0 ||
	    (rc = get_str(o, "address", address, sizeof(address), err)) < 0 ||
	    (rc = json_optional(json_get_ip(o, "gateway", &l->gateway, err))) < 0 ||
	    (rc = json_optional(json_get_ip(o, "server", &l->server, err))) < 0 || (rc = get_routes(o, l, err)) < 0 ||
	    (rc = get_ips(o, "dns", l->dns, LIMIT_DNS, &l->n_dns, err)) < 0 ||
	    (rc = get_str(o, "domain", l->domain, sizeof(l->domain), err)) < 0 ||
	    (rc = get_number(o, "mtu", UINT16_MAX, &mtu, err)) < 0 ||
	    (rc = json_optional(json_get_wall(o, "since", &l->since, err))) < 0 ||
	    (rc = get_number(o, "seconds", UINT32_MAX, &seconds, err)) < 0 ||
	    (rc = get_str(o, "why", l->why, sizeof(l->why), err)) < 0)
		return rc;
	if (address[0] && prefix_parse(address, &l->address) < 0)
		return err_set(err, -EINVAL, "address is none");
	l->kind = (enum lease_kind)kind;
	l->mtu = (uint32_t)mtu;
	l->seconds = (uint32_t)seconds;
	return 0;
}

static int parts_from_json(const json_t *o, struct att_nic *n, struct err *err)
{
	const json_t *array = json_object_get(o, "addresses");
	size_t count = json_array_size(array), n_gateways;
	int rc;

	if (count > LIMIT_NIC_ADDRESSES)
		return err_set(err, -EINVAL, "more than %d addresses", LIMIT_NIC_ADDRESSES);
	for (size_t i = 0; i < count; i++) {
		rc = get_prefix(json_array_get(array, i), "addresses", &n->addresses[i], err);
		if (rc < 0)
			return rc;
	}
	n->n_addresses = count;
	rc = get_ips(o, "gateways", n->gateways, ARRAY_LEN(n->gateways), &n_gateways, err);
	array = json_object_get(o, "leases");
	count = json_array_size(array);
	if (rc == 0 && count > LEASE_KIND_N_)
		return err_set(err, -EINVAL, "more than %d leases", LEASE_KIND_N_);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = lease_from_json(json_array_get(array, i), &n->leases[i], err);
	n->n_leases = count;
	return rc;
}

static int nic_state_from_json(const json_t *o, struct att_nic *n, struct err *err)
{
	int64_t mtu = 0;
	int rc, state, kind;

	if ((rc = json_required(json_get_str(o, "container", n->container, sizeof(n->container), err), "container",
				err)) < 0 ||
	    (rc = json_required(json_get_str(o, "nic", n->nic, sizeof(n->nic), err), "nic", err)) < 0 ||
	    (rc = state = json_required(json_get_enum(o, "state", nic_state_names, NIC_STATE_N_, err), "state", err)) <
		    0 ||
	    (rc = kind = json_required(json_get_enum(o, "kind", nic_kind_names, NIC_KIND_N_, err), "kind", err)) < 0 ||
	    (rc = get_str(o, "name", n->name, sizeof(n->name), err)) < 0 ||
	    (rc = get_str(o, "parent", n->parent, sizeof(n->parent), err)) < 0 ||
	    (rc = get_str(o, "host", n->host, sizeof(n->host), err)) < 0 ||
	    (rc = get_str(o, "why", n->why, sizeof(n->why), err)) < 0 ||
	    (rc = json_optional(json_get_wall(o, "since", &n->since, err))) < 0 ||
	    (rc = get_number(o, "attach_us", INT64_MAX, &n->attach_us, err)) < 0 ||
	    (rc = json_optional(json_get_mac(o, "mac", &n->mac, err))) < 0 ||
	    (rc = get_number(o, "mtu", UINT16_MAX + 1, &mtu, err)) < 0)
		return rc;
	n->state = (enum nic_state)state;
	n->kind = (enum nic_kind)kind;
	n->mtu = (uint32_t)mtu;
	return parts_from_json(o, n, err);
}

int attach_state_from_json(const json_t *root, struct attach_state *ret, struct err *err)
{
	struct attach_state s = {0};
	struct err why = {0};
	int rc = json_check_version(root, STATE_ATTACH, err);

	if (rc == 0 && (rc = json_check_array(root, "nics", err)) < 0)
		err_wrap(err, STATE_ATTACH);
	if (rc < 0)
		return rc;
	problems_from_json(json_object_get(root, "problems"), &s.problems);
	if (json_get_wall(root, "last_update", &s.last_update, &why) == -EINVAL)
		problems_add(&s.problems, STATE_ATTACH, "", "%s", why.text);
	const json_t *array = json_object_get(root, "nics");
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (s.n_nics >= LIMIT_ALL_NICS) {
			problems_add(&s.problems, STATE_ATTACH, "", "more than %d NICs: the rest is left out",
				     LIMIT_ALL_NICS);
			break;
		}
		struct att_nic *n = xgrow(&s.nics, s.n_nics, &s.cap_nics);

		if (nic_state_from_json(json_array_get(array, i), n, &why) < 0)
			problems_add(&s.problems, STATE_ATTACH, "", "nics[%zu] is left out: %s", i, why.text);
		else
			s.n_nics++;
	}
	*ret = s;
	return 0;
}

int attach_state_read(int dirfd, const struct file_owner *owner, struct attach_state *ret, struct err *err)
{
	json_t *root;
	int rc = state_read_json(dirfd, STATE_ATTACH, owner, &root, err);

	if (rc < 0)
		return rc;
	rc = attach_state_from_json(root, ret, err);
	json_decref(root);
	return rc;
}

int attach_state_write(int dirfd, const struct attach_state *s, uint64_t *written, struct err *err)
{
	json_t *root = attach_state_to_json(s);
	autobuf struct buf text = {0};
	uint64_t hash;
	int rc = 1;

	json_object_del(root, "last_update");
	json_print(&text, root, JSON_COMPACT);
	hash = hash64(text.data, text.len, 1);
	if (hash != *written) {
		json_put_wall(root, "last_update", wall_now());
		rc = state_write_json(dirfd, STATE_ATTACH, root, err);
	}
	if (rc == 0)
		*written = hash;
	json_decref(root);
	return rc;
}
