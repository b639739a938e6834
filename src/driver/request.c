/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of requests and answers. Field names are those of moby's libnetwork/drivers/remote/api.
 */
#include "driver/request.h"

#include <assert.h>
#include <strings.h>

#include "state/nic.h"

#define OPT_GENERIC  "com.docker.network.generic"
#define OPT_INTERNAL "com.docker.network.internal"
#define OPT_MTU	     "com.docker.network.driver.mtu"
#define OPT_NAME     "docker-router.name"
#define WAIT_S	     10

static const struct {
	const char *path;
	enum driver_call call;
} calls[] = {
	{"/Plugin.Activate", CALL_ACTIVATE},
	{"/NetworkDriver.GetCapabilities", CALL_CAPABILITIES},
	{"/NetworkDriver.GwAllocCheck", CALL_GW_ALLOC},
	{"/NetworkDriver.CreateNetwork", CALL_CREATE_NETWORK},
	{"/NetworkDriver.DeleteNetwork", CALL_DELETE_NETWORK},
	{"/NetworkDriver.CreateEndpoint", CALL_CREATE_ENDPOINT},
	{"/NetworkDriver.DeleteEndpoint", CALL_DELETE_ENDPOINT},
	{"/NetworkDriver.EndpointOperInfo", CALL_ENDPOINT_INFO},
	{"/NetworkDriver.Join", CALL_JOIN},
	{"/NetworkDriver.Leave", CALL_LEAVE},
	{"/NetworkDriver.ProgramExternalConnectivity", CALL_NOTHING},
	{"/NetworkDriver.RevokeExternalConnectivity", CALL_NOTHING},
	{"/NetworkDriver.DiscoverNew", CALL_NOTHING},
	{"/NetworkDriver.DiscoverDelete", CALL_NOTHING},
};

/* --- options of a network --- */

static const char *const option_names[] = {"parent", "kind", "ipam", "mtu", "wait", NULL};

static int refuse(struct err *err, const char *name, const char *value, const char *allowed)
{
	autobuf struct buf safe = {0};

	str_safe(&safe, value);
	return err_set(err, -EINVAL, "-o %s=%.60s: allowed is %s", name, safe.data, allowed);
}

static int option_enum(const char *name, const char *value, const char *const *names, int n, const char *allowed,
		       int *ret, struct err *err)
{
	for (int i = 0; i < n; i++) {
		if (str_eq(value, names[i])) {
			*ret = i;
			return 0;
		}
	}
	return refuse(err, name, value, allowed);
}

static int option_number(const char *name, const char *value, uint64_t min, uint64_t max, const char *allowed,
			 uint32_t *ret, struct err *err)
{
	uint64_t n;

	if (parse_u64(value, min, max, &n) < 0)
		return refuse(err, name, value, allowed);
	*ret = (uint32_t)n;
	return 0;
}

/* @ret_ipam: -1: not told */
static int option_take(const char *name, const char *value, struct driver_network *n, int *ret_ipam, struct err *err)
{
	int kind = 0, rc = 0;

	if (str_eq(name, "parent")) {
		if (!nic_name_valid(value))
			return refuse(err, name, value, "the name of a bridge or interface of the host");
		str_copy(n->parent, value);
	} else if (str_eq(name, "kind")) {
		rc = option_enum(name, value, driver_kind_names, DRIVER_KIND_N_,
				 "auto, bridge, macvlan or macvlan-private", &kind, err);
		n->kind = (enum driver_kind)kind;
	} else if (str_eq(name, "ipam")) {
		rc = option_enum(name, value, driver_ipam_names, DRIVER_IPAM_N_, "dhcp or static", ret_ipam, err);
	} else if (str_eq(name, "mtu") || str_eq(name, OPT_MTU)) {
		rc = option_number(name, value, 68, 65535, "a number from 68 to 65535", &n->mtu, err);
	} else if (str_eq(name, "wait")) {
		rc = option_number(name, value, 1, DRIVER_WAIT_MAX_S, "a number of seconds from 1 to 25", &n->wait_s,
				   err);
	} else if (strncmp(name, "com.docker.", 11) != 0) { /* those are for Docker's own drivers */
		const char *nearest = str_nearest(name, option_names);
		autobuf struct buf safe = {0};

		str_safe(&safe, name);
		return err_set(err, -EINVAL, "-o %.60s: allowed are parent, kind, ipam, mtu and wait%s%s%s", safe.data,
			       nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
	}
	return rc;
}

/*
 * "192.0.2.1/24" or "192.0.2.1" of the first pool in IPv4Data or IPv6Data. @ret_pool: its text, "" none; Docker's IPAM
 * "null" says 0.0.0.0/0
 */
static int pool_take(const json_t *data, char ret_pool[static PREFIX_STRLEN], struct ip *ret_gateway, struct err *err)
{
	const json_t *first = json_array_get(data, 0);
	const char *pool = json_string_value(json_object_get(first, "Pool"));
	const char *gateway = json_string_value(json_object_get(first, "Gateway"));
	struct prefix p;

	ret_pool[0] = '\0';
	if (pool && *pool) {
		if (prefix_parse(pool, &p) < 0)
			return err_set(err, -EBADMSG, "Pool: a prefix is allowed");
		if (p.len)
			prefix_format(&p, ret_pool);
	}
	if (gateway && *gateway && ret_pool[0]) {
		if (prefix_parse(gateway, &p) < 0)
			return err_set(err, -EBADMSG, "Gateway: an address is allowed");
		*ret_gateway = p.ip;
	}
	return 0;
}

static int network_check(struct driver_network *n, int ipam, const char *pool, struct err *err)
{
	if (!n->parent[0])
		return err_set(err, -EINVAL,
			       "-o parent=NAME is missing: the bridge or interface of the host to attach to");
	if (!pool[0] && ipam == DRIVER_STATIC)
		return err_set(err, -EINVAL, "-o ipam=static: needs --subnet, and no --ipam-driver");
	if (pool[0] && ipam == DRIVER_DHCP)
		return err_set(err, -EINVAL,
			       "-o ipam=dhcp: also needs --ipam-driver null (in Compose: ipam: {driver: \"null\"}); "
			       "Docker would "
			       "give out addresses of %s that no DHCP server knows of",
			       pool);
	if (pool[0] && ipam < 0)
		return err_set(err, -EINVAL,
			       "for addresses by DHCP add --ipam-driver null, for those of %s add -o ipam=static",
			       pool);
	n->ipam = pool[0] ? DRIVER_STATIC : DRIVER_DHCP;
	return 0;
}

static int create_network(const json_t *root, struct driver_request *q, struct err *err)
{
	json_t *options = json_object_get(root, "Options"), *generic = json_object_get(options, OPT_GENERIC), *v;
	struct driver_network *n = &q->net;
	char pool4[PREFIX_STRLEN], pool6[PREFIX_STRLEN];
	const char *key;
	int ipam = -1, rc;

	str_copy(n->id, q->network);
	n->wait_s = WAIT_S;
	json_object_foreach(generic, key, v)
	{
		if (!json_is_string(v))
			continue;
		rc = option_take(key, json_string_value(v), n, &ipam, err);
		if (rc < 0)
			return rc;
	}
	n->internal = json_is_true(json_object_get(options, OPT_INTERNAL));
	rc = pool_take(json_object_get(root, "IPv4Data"), pool4, &n->gateways[0], err);
	if (rc == 0)
		rc = pool_take(json_object_get(root, "IPv6Data"), pool6, &n->gateways[1], err);
	if (rc < 0)
		return rc;
	return network_check(n, ipam, pool4[0] ? pool4 : pool6, err);
}

/* --- endpoints --- */

static int interface_prefix(const json_t *o, const char *key, uint8_t family, struct prefix *ret, struct err *err)
{
	const char *s = json_string_value(json_object_get(o, key));
	struct prefix p;

	if (!s || !*s)
		return 0;
	if (prefix_parse(s, &p) < 0 || p.ip.family != family)
		return err_set(err, -EBADMSG, "%s: an address with its length is allowed", key);
	*ret = p;
	return 0;
}

static int create_endpoint(const json_t *root, struct driver_request *q, struct err *err)
{
	const json_t *i = json_object_get(root, "Interface");
	const char *mac = json_string_value(json_object_get(i, "MacAddress"));
	const char *name = json_string_value(json_object_get(json_object_get(root, "Options"), OPT_NAME));
	int rc = interface_prefix(i, "Address", AF_INET, &q->address, err);

	if (rc == 0)
		rc = interface_prefix(i, "AddressIPv6", AF_INET6, &q->address6, err);
	if (rc < 0)
		return rc;
	if (mac && *mac && mac_parse(mac, &q->mac) < 0)
		return err_set(err, -EBADMSG, "MacAddress: a MAC address is allowed");
	if (q->mac.b[0] & 1)
		return err_set(err, -EINVAL, "MacAddress %s: allowed is one that is not multicast", mac);
	if (name && !driver_name_valid(name)) {
		autobuf struct buf safe = {0};

		str_safe(&safe, name);
		return err_set(err, -EINVAL, OPT_NAME "=%.80s: allowed are 1 to 63 letters, digits and '-'", safe.data);
	}
	if (name)
		str_copy(q->name, name);
	return 0;
}

static int id_take(const json_t *root, const char *key, char ret[static LIMIT_ID], struct err *err)
{
	const char *s = json_string_value(json_object_get(root, key));

	if (!s || !driver_id_valid(s))
		return err_set(err, -EBADMSG, "%s: an id of Docker is allowed", key);
	snprintf(ret, LIMIT_ID, "%s", s);
	return 0;
}

static int join(const json_t *root, struct driver_request *q, struct err *err)
{
	const char *s = json_string_value(json_object_get(root, "SandboxKey"));

	if (!s || s[0] != '/' || !str_copy(q->sandbox, s))
		return err_set(err, -EBADMSG, "SandboxKey: an absolute path of at most 255 bytes is allowed");
	return 0;
}

static int body_take(const json_t *root, struct driver_request *q, struct err *err)
{
	int rc = id_take(root, "NetworkID", q->network, err);

	if (rc < 0)
		return rc;
	if (q->call == CALL_CREATE_NETWORK)
		return create_network(root, q, err);
	if (q->call == CALL_DELETE_NETWORK)
		return 0;
	rc = id_take(root, "EndpointID", q->endpoint, err);
	if (rc == 0 && q->call == CALL_CREATE_ENDPOINT)
		rc = create_endpoint(root, q, err);
	if (rc == 0 && q->call == CALL_JOIN)
		rc = join(root, q, err);
	return rc;
}

static bool call_has_body(enum driver_call call)
{
	return call >= CALL_CREATE_NETWORK && call <= CALL_LEAVE;
}

int driver_request_parse(const char *path, const char *body, size_t len, struct driver_request *ret, struct err *err)
{
	struct driver_request q = {.call = CALL_N_};
	json_t *root;
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if (str_eq(calls[i].path, path))
			q.call = calls[i].call;
	if (q.call == CALL_N_)
		return err_set(err, -ENOENT, "no such call");
	if (call_has_body(q.call)) {
		/* dockerd that repeats a request sends it without its body */
		if (!len)
			return err_set(err, -EBADMSG, "a request without body: the driver was restarted, try again");
		root = json_parse_bounded(body, len, err);
		if (!root)
			return -EBADMSG;
		rc = json_is_object(root) ? body_take(root, &q, err) : err_set(err, -EBADMSG, "an object is allowed");
		json_decref(root);
		if (rc < 0)
			return rc;
	}
	*ret = q;
	return 0;
}

/* --- answers --- */

static void answer(struct buf *out, json_t *o)
{
	json_print(out, o, JSON_COMPACT);
	json_decref(o);
}

void driver_answer_error(struct buf *out, const char *why)
{
	json_t *o = json_object();

	json_put_str(o, "Err", why);
	answer(out, o);
}

void driver_answer_fixed(struct buf *out, enum driver_call call)
{
	switch (call) {
	case CALL_ACTIVATE:
		buf_puts(out, "{\"Implements\":[\"NetworkDriver\"]}");
		break;
	case CALL_CAPABILITIES:
		buf_puts(out, "{\"Scope\":\"local\",\"ConnectivityScope\":\"local\"}");
		break;
	case CALL_GW_ALLOC:
	case CALL_CREATE_NETWORK:
	case CALL_DELETE_NETWORK:
	case CALL_CREATE_ENDPOINT:
	case CALL_DELETE_ENDPOINT:
	case CALL_ENDPOINT_INFO:
	case CALL_JOIN:
	case CALL_LEAVE:
	case CALL_NOTHING:
	case CALL_N_:
		buf_puts(out, "{}");
		break;
	}
}

static void put_address(json_t *o, const char *key, const struct prefix *p)
{
	char text[PREFIX_STRLEN];

	if (!ip_is_none(&p->ip))
		json_put_str(o, key, prefix_format(p, text));
}

void driver_answer_endpoint(struct buf *out, const struct driver_request *q, const struct driver_endpoint *e)
{
	json_t *o = json_object(), *i = json_object();

	if (mac_is_none(&q->mac))
		json_put_mac(i, "MacAddress", &e->mac);
	if (ip_is_none(&q->address.ip))
		put_address(i, "Address", &e->address);
	json_put(o, "Interface", i);
	answer(out, o);
}

void driver_answer_join(struct buf *out, const struct driver_network *n, const struct driver_endpoint *e)
{
	json_t *o = json_object(), *names = json_object();
	char host[16], peer[16];

	driver_link_names(e->id, host, peer);
	json_put_str(names, "SrcName", peer);
	json_put_str(names, "DstPrefix", "eth");
	json_put(o, "InterfaceName", names);
	if (!ip_is_none(&e->gateway))
		json_put_ip(o, "Gateway", &e->gateway);
	if (!n->internal && !ip_is_none(&n->gateways[1]) && !ip_is_none(&e->address6.ip))
		json_put_ip(o, "GatewayIPv6", &n->gateways[1]);
	/* else Docker gives the container a leg in docker_gwbridge when there is no gateway */
	json_put(o, "DisableGatewayService", json_true());
	answer(out, o);
}

void driver_answer_info(struct buf *out, const struct driver_endpoint *e)
{
	json_t *o = json_object(), *v = json_object();

	if (e->lease.seconds) {
		json_put_ip(v, "dhcp-server", &e->lease.server);
		json_put_int(v, "lease-seconds", e->lease.seconds);
	}
	json_put(o, "Value", v);
	answer(out, o);
}
