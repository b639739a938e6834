/* SPDX-License-Identifier: Apache-2.0
 *
 * router.json as structs and back. The routes in it are the router's memory of who came first: a broken one is
 * forgotten alone, the others stay established.
 */
#include "state/router.h"

static void vni_done(struct rs_vni *v)
{
	free(v->legs);
	free(v->nics);
	free(v->routes);
}

void router_state_done(struct router_state *s)
{
	for (size_t i = 0; i < s->n_vnis; i++)
		vni_done(&s->vnis[i]);
	free(s->vnis);
	for (size_t i = 0; i < s->n_refused; i++) {
		free(s->refused[i].with);
		free(s->refused[i].cure);
	}
	free(s->refused);
	free(s->held);
	free(s->wireguard.peers);
	for (size_t i = 0; i < s->n_pending; i++) {
		free(s->pending[i].operation);
		free(s->pending[i].why);
	}
	free(s->pending);
	problems_done(&s->problems);
	*s = (struct router_state){0};
}

static void put_prefix(json_t *o, const char *key, const struct prefix *p)
{
	char text[PREFIX_STRLEN];
	json_put_str(o, key, prefix_format(p, text));
}

static json_t *devices_to_json(const struct rs_vni *v)
{
	json_t *array = json_array();
	for (size_t i = 0; i < v->n_devices; i++) {
		json_t *o = json_object();
		json_put_str(o, "name", v->devices[i].name);
		json_put_ip(o, "local", &v->devices[i].local);
		json_put_int(o, "port", v->devices[i].port);
		json_array_append_new(array, o);
	}
	return array;
}

static json_t *legs_to_json(const struct rs_vni *v)
{
	json_t *array = json_array();
	for (size_t i = 0; i < v->n_legs; i++) {
		json_t *o = json_object();
		json_put_str(o, "stack_id", v->legs[i].stack_id);
		json_put_str(o, "network", v->legs[i].network);
		json_put_str(o, "bridge", v->legs[i].bridge);
		json_put_str(o, "name", v->legs[i].name);
		json_array_append_new(array, o);
	}
	return array;
}

static json_t *nics_to_json(const struct rs_vni *v)
{
	json_t *array = json_array();
	for (size_t i = 0; i < v->n_nics; i++) {
		json_t *o = json_object();
		json_put_str(o, "container", v->nics[i].container);
		json_put_str(o, "name", v->nics[i].name);
		json_put_str(o, "grade", v->nics[i].grade);
		json_array_append_new(array, o);
	}
	return array;
}

static json_t *routes_to_json(const struct rs_vni *v)
{
	json_t *array = json_array();
	for (size_t i = 0; i < v->n_routes; i++) {
		json_t *o = json_object();
		put_prefix(o, "prefix", &v->routes[i].prefix);
		if (!ip_is_none(&v->routes[i].subnet.ip))
			put_prefix(o, "subnet", &v->routes[i].subnet);
		json_put_str(o, "host_id", v->routes[i].host_id);
		json_put_str(o, "stack_id", v->routes[i].stack_id);
		json_put_ip(o, "host_ip", &v->routes[i].host_ip);
		json_array_append_new(array, o);
	}
	return array;
}

static json_t *vni_to_json(const struct rs_vni *v)
{
	json_t *o = json_object();
	json_put_int(o, "vni", v->vni);
	json_put_str(o, "namespace", v->ns);
	json_put_int(o, "mtu", v->mtu);
	json_put(o, "devices", devices_to_json(v));
	json_put(o, "legs", legs_to_json(v));
	json_put(o, "nics", nics_to_json(v));
	json_put(o, "routes", routes_to_json(v));
	return o;
}

static json_t *refused_to_json(const struct rs_refused *r)
{
	json_t *o = json_object();
	json_put_int(o, "vni", r->vni);
	put_prefix(o, "prefix", &r->prefix);
	json_put_str(o, "host_id", r->host_id);
	json_put_str(o, "stack_id", r->stack_id);
	if (r->established)
		json_put(o, "established", json_true());
	json_put_str(o, "with", r->with ? r->with : "");
	json_put_str(o, "cure", r->cure ? r->cure : "");
	return o;
}

static json_t *held_to_json(const struct rs_held *h)
{
	json_t *o = json_object();
	json_put_int(o, "vni", h->vni);
	put_prefix(o, "prefix", &h->prefix);
	json_put_str(o, "host_id", h->host_id);
	json_put_str(o, "stack_id", h->stack_id);
	return o;
}

static void put_endpoint(json_t *o, const char *key, const struct endpoint *e)
{
	char text[ENDPOINT_STRLEN];
	if (!ip_is_none(&e->ip))
		json_put_str(o, key, endpoint_format(e, text));
}

static json_t *wireguard_to_json(const struct rs_wireguard *w)
{
	json_t *o = json_object(), *peers = json_array();
	json_put_str(o, "device", w->device);
	json_put_str(o, "namespace", w->ns);
	json_put(o, "in_kernel", json_boolean(w->in_kernel));
	json_put_str(o, "key", w->key);
	json_put_int(o, "port", w->port);
	json_put_ip(o, "address", &w->address);
	json_put_int(o, "mtu", w->mtu);
	if (w->relay)
		json_put(o, "relay", json_true());
	if (w->next_device[0]) {
		json_t *next = json_object();
		json_put_str(next, "device", w->next_device);
		json_put_str(next, "key", w->next_key);
		json_put_int(next, "port", w->next_port);
		json_put_int(next, "ready", (int64_t)w->n_ready);
		json_put(o, "next", next);
	}
	for (size_t i = 0; i < w->n_peers; i++) {
		const struct rs_wg_peer *p = &w->peers[i];
		json_t *op = json_object();
		json_put_str(op, "host_id", p->host_id);
		json_put_str(op, "host_name", p->host_name);
		json_put_str(op, "key", p->key);
		json_put_ip(op, "address", &p->address);
		if (p->device[0])
			json_put_str(op, "device", p->device);
		if (p->relay[0]) {
			json_put_str(op, "relay", p->relay);
			json_put_str(op, "relay_name", p->relay_name);
		}
		put_endpoint(op, "announced", &p->announced);
		put_endpoint(op, "endpoint", &p->endpoint);
		if (p->handshake.ms)
			json_put_wall(op, "handshake", p->handshake);
		json_array_append_new(peers, op);
	}
	json_put(o, "peers", peers);
	return o;
}

json_t *router_state_to_json(const struct router_state *s)
{
	json_t *o = json_object(), *plan = json_object(), *vnis = json_array(), *refused = json_array(),
	       *pending = json_array();
	json_put_int(o, "version", 1);
	json_put_wall(o, "last_update", s->last_update);
	json_put_str(o, "datapath", s->datapath);
	json_put_int(plan, "runs", (int64_t)s->runs);
	json_put_int(plan, "operations", (int64_t)s->operations);
	json_put_int(plan, "failed", (int64_t)s->failed);
	json_put_int(plan, "last_us", (int64_t)s->last_us);
	json_put(o, "plan", plan);
	for (size_t i = 0; i < s->n_vnis; i++)
		json_array_append_new(vnis, vni_to_json(&s->vnis[i]));
	json_put(o, "vnis", vnis);
	for (size_t i = 0; i < s->n_refused; i++)
		json_array_append_new(refused, refused_to_json(&s->refused[i]));
	json_put(o, "refused", refused);
	if (s->n_held) {
		json_t *held = json_array();
		for (size_t i = 0; i < s->n_held; i++)
			json_array_append_new(held, held_to_json(&s->held[i]));
		json_put(o, "held", held);
	}
	if (s->wireguard.device[0])
		json_put(o, "wireguard", wireguard_to_json(&s->wireguard));
	for (size_t i = 0; i < s->n_pending; i++) {
		json_t *p = json_object();
		json_put_str(p, "operation", s->pending[i].operation ? s->pending[i].operation : "");
		json_put_str(p, "why", s->pending[i].why ? s->pending[i].why : "");
		json_array_append_new(pending, p);
	}
	json_put(o, "pending", pending);
	json_put(o, "problems", problems_to_json(&s->problems));
	return o;
}

static int prefix_from_json(const json_t *o, const char *key, struct prefix *ret, struct err *err)
{
	char text[PREFIX_STRLEN];
	int r = json_required(json_get_str(o, key, text, sizeof(text), err), key, err);
	if (r == 0 && prefix_parse(text, ret) < 0)
		return err_set(err, -EINVAL, "%s is not a prefix", key);
	if (r == 0)
		*ret = prefix_mask(*ret);
	return r;
}

static int endpoint_get(const json_t *o, const char *key, struct endpoint *ret, struct err *err)
{
	char text[ENDPOINT_STRLEN];
	int r = json_get_str(o, key, text, sizeof(text), err);
	if (r == 0 && endpoint_parse(text, 0, ret) < 0)
		return err_set(err, -EINVAL, "%s is no address with a port", key);
	return json_optional(r);
}

static int wg_peer_from_json(const json_t *o, struct rs_wg_peer *p, struct err *err)
{
	uint8_t key[32];
	int r;
	if ((r = json_required(json_get_str(o, "host_id", p->host_id, sizeof(p->host_id), err), "host_id", err)) < 0 ||
	    (r = json_optional(json_get_str(o, "host_name", p->host_name, sizeof(p->host_name), err))) < 0 ||
	    (r = json_required(json_get_str(o, "key", p->key, sizeof(p->key), err), "key", err)) < 0 ||
	    (r = json_optional(json_get_ip(o, "address", &p->address, err))) < 0 ||
	    (r = json_optional(json_get_str(o, "device", p->device, sizeof(p->device), err))) < 0 ||
	    (r = json_optional(json_get_str(o, "relay", p->relay, sizeof(p->relay), err))) < 0 ||
	    (r = json_optional(json_get_str(o, "relay_name", p->relay_name, sizeof(p->relay_name), err))) < 0 ||
	    (r = endpoint_get(o, "announced", &p->announced, err)) < 0 ||
	    (r = endpoint_get(o, "endpoint", &p->endpoint, err)) < 0 ||
	    (r = json_optional(json_get_wall(o, "handshake", &p->handshake, err))) < 0)
		return r;
	return wg_key_parse(p->key, key) ? 0 : err_set(err, -EINVAL, "key is no WireGuard key");
}

static void wireguard_from_json(const json_t *o, struct router_state *s)
{
	struct rs_wireguard *w = &s->wireguard;
	const json_t *next = json_object_get(o, "next");
	int64_t port = 0, mtu = 0, next_port = 0, ready = 0;
	struct err err;
	if (json_get_str(o, "device", w->device, sizeof(w->device), NULL) < 0 ||
	    json_optional(json_get_str(o, "namespace", w->ns, sizeof(w->ns), NULL)) < 0 ||
	    json_optional(json_get_str(o, "key", w->key, sizeof(w->key), NULL)) < 0 ||
	    json_optional(json_get_int(o, "port", 0, UINT16_MAX, &port, NULL)) < 0 ||
	    json_optional(json_get_int(o, "mtu", 0, UINT32_MAX, &mtu, NULL)) < 0 ||
	    json_optional(json_get_bool(o, "in_kernel", &w->in_kernel, NULL)) < 0 ||
	    json_optional(json_get_bool(o, "relay", &w->relay, NULL)) < 0 ||
	    (json_is_object(next) &&
	     (json_get_str(next, "device", w->next_device, sizeof(w->next_device), NULL) < 0 ||
	      json_optional(json_get_str(next, "key", w->next_key, sizeof(w->next_key), NULL)) < 0 ||
	      json_optional(json_get_int(next, "port", 0, UINT16_MAX, &next_port, NULL)) < 0 ||
	      json_optional(json_get_int(next, "ready", 0, LIMIT_PEERS, &ready, NULL)) < 0)) ||
	    json_optional(json_get_ip(o, "address", &w->address, NULL)) < 0) {
		*w = (struct rs_wireguard){0};
		problems_add(&s->problems, STATE_ROUTER, "", "wireguard cannot be read");
		return;
	}
	w->port = (uint16_t)port;
	w->mtu = (uint32_t)mtu;
	w->next_port = (uint16_t)next_port;
	w->n_ready = (size_t)ready;
	json_t *peers = json_get_array(o, "peers", &s->problems, "wireguard");
	for (size_t i = 0; i < json_array_size(peers) && i < LIMIT_PEERS; i++) {
		struct rs_wg_peer p = {0};
		if (wg_peer_from_json(json_array_get(peers, i), &p, &err) < 0) {
			problems_add(&s->problems, STATE_ROUTER, "", "wireguard: peers[%zu]: %s", i, err.text);
			continue;
		}
		*xgrow(&w->peers, w->n_peers, &w->cap_peers) = p;
		w->n_peers++;
	}
}

static int device_from_json(const json_t *o, struct rs_device *d, struct err *err)
{
	int64_t port;
	int r;
	if ((r = json_required(json_get_str(o, "name", d->name, sizeof(d->name), err), "name", err)) < 0 ||
	    (r = json_optional(json_get_ip(o, "local", &d->local, err))) < 0 ||
	    (r = json_required(json_get_int(o, "port", 0, UINT16_MAX, &port, err), "port", err)) < 0)
		return r;
	d->port = (uint16_t)port;
	return 0;
}

static int leg_from_json(const json_t *o, struct rs_leg *l, struct err *err)
{
	int r;
	if ((r = json_required(json_get_str(o, "stack_id", l->stack_id, sizeof(l->stack_id), err), "stack_id", err)) <
		    0 ||
	    (r = json_optional(json_get_str(o, "network", l->network, sizeof(l->network), err))) < 0 ||
	    (r = json_optional(json_get_str(o, "bridge", l->bridge, sizeof(l->bridge), err))) < 0)
		return r;
	return json_required(json_get_str(o, "name", l->name, sizeof(l->name), err), "name", err);
}

static int nic_from_json(const json_t *o, struct rs_nic *n, struct err *err)
{
	int r;
	if ((r = json_required(json_get_str(o, "container", n->container, sizeof(n->container), err), "container",
			       err)) < 0 ||
	    (r = json_optional(json_get_str(o, "name", n->name, sizeof(n->name), err))) < 0)
		return r;
	return json_optional(json_get_str(o, "grade", n->grade, sizeof(n->grade), err));
}

static int route_from_json(const json_t *o, struct rs_route *t, struct err *err)
{
	int r;
	if ((r = prefix_from_json(o, "prefix", &t->prefix, err)) < 0 ||
	    (json_object_get(o, "subnet") && (r = prefix_from_json(o, "subnet", &t->subnet, err)) < 0) ||
	    (r = json_required(json_get_str(o, "host_id", t->host_id, sizeof(t->host_id), err), "host_id", err)) < 0 ||
	    (r = json_required(json_get_str(o, "stack_id", t->stack_id, sizeof(t->stack_id), err), "stack_id", err)) <
		    0 ||
	    (r = json_optional(json_get_ip(o, "host_ip", &t->host_ip, err))) < 0)
		return r;
	return 0;
}

static void left_out(struct problems *p, const char *where, size_t i, const struct err *why)
{
	problems_add(p, STATE_ROUTER, "", "%s[%zu] is left out: %s", where, i, why->text);
}

static void devices_from_json(const json_t *o, struct rs_vni *v, struct problems *p)
{
	const json_t *array = json_get_array(o, "devices", p, STATE_ROUTER);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n && v->n_devices < ARRAY_LEN(v->devices); i++) {
		struct err why = {0};
		struct rs_device d = {0};
		if (device_from_json(json_array_get(array, i), &d, &why) < 0)
			left_out(p, "devices", i, &why);
		else
			v->devices[v->n_devices++] = d;
	}
}

static void legs_from_json(const json_t *o, struct rs_vni *v, struct problems *p)
{
	const json_t *array = json_get_array(o, "legs", p, STATE_ROUTER);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n && v->n_legs < LIMIT_STACKS; i++) {
		struct err why = {0};
		if (leg_from_json(json_array_get(array, i), xgrow(&v->legs, v->n_legs, &v->cap_legs), &why) < 0)
			left_out(p, "legs", i, &why);
		else
			v->n_legs++;
	}
}

static void nics_from_json(const json_t *o, struct rs_vni *v, struct problems *p)
{
	const json_t *array = json_get_array(o, "nics", p, STATE_ROUTER);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n && v->n_nics < LIMIT_CONTAINERS; i++) {
		struct err why = {0};
		if (nic_from_json(json_array_get(array, i), xgrow(&v->nics, v->n_nics, &v->cap_nics), &why) < 0)
			left_out(p, "nics", i, &why);
		else
			v->n_nics++;
	}
}

static void routes_from_json(const json_t *o, struct rs_vni *v, struct problems *p)
{
	const json_t *array = json_get_array(o, "routes", p, STATE_ROUTER);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n; i++) {
		struct err why = {0};
		if (route_from_json(json_array_get(array, i), xgrow(&v->routes, v->n_routes, &v->cap_routes), &why) < 0)
			left_out(p, "routes", i, &why);
		else
			v->n_routes++;
	}
}

static int route_sort_cmp(const void *a, const void *b)
{
	const struct rs_route *x = a, *y = b;
	int order = prefix_cmp(&x->prefix, &y->prefix);
	if (!order)
		order = strcmp(x->host_id, y->host_id);
	return order ? order : strcmp(x->stack_id, y->stack_id);
}

static int vni_from_json(const json_t *o, struct rs_vni *v, struct problems *p, struct err *err)
{
	int64_t vni, mtu = 0;
	int r;
	if ((r = json_required(json_get_int(o, "vni", 1, VNI_MAX, &vni, err), "vni", err)) < 0 ||
	    (r = json_optional(json_get_str(o, "namespace", v->ns, sizeof(v->ns), err))) < 0 ||
	    (r = json_optional(json_get_int(o, "mtu", 0, 65535, &mtu, err))) < 0)
		return r;
	v->vni = (uint32_t)vni;
	v->mtu = (uint32_t)mtu;
	devices_from_json(o, v, p);
	legs_from_json(o, v, p);
	nics_from_json(o, v, p);
	routes_from_json(o, v, p);
	if (v->n_routes > 1)
		qsort(v->routes, v->n_routes, sizeof(*v->routes), route_sort_cmp);
	return 0;
}

static int refused_from_json(const json_t *o, struct rs_refused *f, struct err *err)
{
	char with[512] = "", cure[2048] = "";
	int64_t vni;
	int r;
	if ((r = json_required(json_get_int(o, "vni", 1, VNI_MAX, &vni, err), "vni", err)) < 0 ||
	    (r = prefix_from_json(o, "prefix", &f->prefix, err)) < 0 ||
	    (r = json_optional(json_get_str(o, "host_id", f->host_id, sizeof(f->host_id), err))) < 0 ||
	    (r = json_optional(json_get_str(o, "stack_id", f->stack_id, sizeof(f->stack_id), err))) < 0 ||
	    (r = json_optional(json_get_bool(o, "established", &f->established, err))) < 0 ||
	    (r = json_optional(json_get_str(o, "with", with, sizeof(with), err))) < 0 ||
	    (r = json_optional(json_get_str(o, "cure", cure, sizeof(cure), err))) < 0)
		return r;
	f->vni = (uint32_t)vni;
	f->with = xstrdup(with);
	f->cure = xstrdup(cure);
	return 0;
}

static int held_from_json(const json_t *o, struct rs_held *h, struct err *err)
{
	int64_t vni;
	int r;
	if ((r = json_required(json_get_int(o, "vni", 1, VNI_MAX, &vni, err), "vni", err)) < 0 ||
	    (r = prefix_from_json(o, "prefix", &h->prefix, err)) < 0 ||
	    (r = json_required(json_get_str(o, "host_id", h->host_id, sizeof(h->host_id), err), "host_id", err)) < 0)
		return r;
	h->vni = (uint32_t)vni;
	return json_required(json_get_str(o, "stack_id", h->stack_id, sizeof(h->stack_id), err), "stack_id", err);
}

static int pending_from_json(const json_t *o, struct rs_pending *p, struct err *err)
{
	char operation[512], why[512] = "";
	int r;
	if ((r = json_required(json_get_str(o, "operation", operation, sizeof(operation), err), "operation", err)) <
		    0 ||
	    (r = json_optional(json_get_str(o, "why", why, sizeof(why), err))) < 0)
		return r;
	p->operation = xstrdup(operation);
	p->why = xstrdup(why);
	return 0;
}

static void vnis_from_json(const json_t *root, struct router_state *s)
{
	const json_t *array = json_get_array(root, "vnis", &s->problems, STATE_ROUTER);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n && s->n_vnis < LIMIT_STACKS; i++) {
		struct err why = {0};
		struct rs_vni *v = xgrow(&s->vnis, s->n_vnis, &s->cap_vnis);
		if (vni_from_json(json_array_get(array, i), v, &s->problems, &why) < 0) /* has allocated nothing */
			left_out(&s->problems, "vnis", i, &why);
		else
			s->n_vnis++;
	}
}

static void refused_all_from_json(const json_t *root, struct router_state *s)
{
	const json_t *array = json_get_array(root, "refused", &s->problems, STATE_ROUTER);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n && s->n_refused < LIMIT_PEERS; i++) {
		struct err why = {0};
		if (refused_from_json(json_array_get(array, i), xgrow(&s->refused, s->n_refused, &s->cap_refused),
				      &why) < 0)
			left_out(&s->problems, "refused", i, &why);
		else
			s->n_refused++;
	}
}

static void held_all_from_json(const json_t *root, struct router_state *s)
{
	const json_t *array = json_get_array(root, "held", &s->problems, STATE_ROUTER);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n && s->n_held < LIMIT_PEERS; i++) {
		struct err why = {0};
		if (held_from_json(json_array_get(array, i), xgrow(&s->held, s->n_held, &s->cap_held), &why) < 0)
			left_out(&s->problems, "held", i, &why);
		else
			s->n_held++;
	}
}

static void pending_all_from_json(const json_t *root, struct router_state *s)
{
	const json_t *array = json_get_array(root, "pending", &s->problems, STATE_ROUTER);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n && s->n_pending < LIMIT_PEERS; i++) {
		struct err why = {0};
		if (pending_from_json(json_array_get(array, i), xgrow(&s->pending, s->n_pending, &s->cap_pending),
				      &why) < 0)
			left_out(&s->problems, "pending", i, &why);
		else
			s->n_pending++;
	}
}

static uint64_t counter(const json_t *o, const char *key)
{
	int64_t n = 0;
	int r = json_get_int(o, key, 0, INT64_MAX, &n, NULL);
	return r < 0 ? 0 : (uint64_t)n;
}

int router_state_from_json(const json_t *root, struct router_state *ret, struct err *err)
{
	struct router_state s = {0};
	struct err why = {0};
	int r = json_check_version(root, STATE_ROUTER, err);
	if (r < 0)
		return r;
	problems_from_json(json_object_get(root, "problems"), &s.problems);
	if (json_get_wall(root, "last_update", &s.last_update, &why) == -EINVAL ||
	    json_get_str(root, "datapath", s.datapath, sizeof(s.datapath), &why) == -EINVAL)
		problems_add(&s.problems, STATE_ROUTER, "", "%s", why.text);
	const json_t *plan = json_object_get(root, "plan");
	s.runs = counter(plan, "runs");
	s.operations = counter(plan, "operations");
	s.failed = counter(plan, "failed");
	s.last_us = counter(plan, "last_us");
	vnis_from_json(root, &s);
	refused_all_from_json(root, &s);
	held_all_from_json(root, &s);
	pending_all_from_json(root, &s);
	if (json_is_object(json_object_get(root, "wireguard")))
		wireguard_from_json(json_object_get(root, "wireguard"), &s);
	*ret = s;
	return 0;
}

/* 10,000 routes leave megabytes of free chunks behind */
static void trim(const struct router_state *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_vnis; i++)
		n += s->vnis[i].n_routes;
	if (n > 1000)
		alloc_trim();
}

int router_state_read(int dirfd, const struct file_owner *owner, struct router_state *ret, struct err *err)
{
	json_t *root;
	int r = state_read_json(dirfd, STATE_ROUTER, owner, &root, err);
	if (r < 0)
		return r;
	r = router_state_from_json(root, ret, err);
	json_decref(root);
	if (r == 0)
		trim(ret);
	return r;
}

/* One array out of the text, as a small document of its own */
static json_t *array_cut(const struct buf *text, const char *name, struct err *err)
{
	autobuf struct buf part = {0};
	size_t begin, end;
	buf_printf(&part, "{\"%s\":[", name);
	if (text->len && json_find_array(text->data, text->len, name, &begin, &end))
		buf_append(&part, text->data + begin, end - begin);
	buf_puts(&part, "]}");
	return json_parse_bounded(part.data, part.len, err);
}

int router_refused_read(int dirfd, const struct file_owner *owner, struct router_state *ret, struct err *err)
{
	autobuf struct buf text = {0};
	struct router_state s = {0};
	int r = file_read(dirfd, STATE_ROUTER, LIMIT_FILE_BYTES, owner, &text, err);
	if (r < 0)
		return r;
	json_t *refused = array_cut(&text, "refused", err), *held = refused ? array_cut(&text, "held", err) : NULL;
	if (held) {
		refused_all_from_json(refused, &s);
		held_all_from_json(held, &s);
		*ret = s;
	}
	json_decref(refused);
	json_decref(held);
	return held ? 0 : err_wrap(err, STATE_ROUTER);
}

int router_state_write(int dirfd, const struct router_state *s, struct err *err)
{
	json_t *root = router_state_to_json(s);
	int r = state_write_json(dirfd, STATE_ROUTER, root, err);
	json_decref(root);
	trim(s);
	return r;
}
