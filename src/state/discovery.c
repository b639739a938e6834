/* SPDX-License-Identifier: Apache-2.0
 *
 * discovery.json as structs and back. With 10,000 peers the file has more than 3 MB, and as one tree of JSON values ten
 * times that: so file and structs are turned into each other peer by peer, and only what is beside peers[] is a tree.
 */
#include "state/discovery.h"

#include <assert.h>

#include "state/peer_text.h"

const char *const peer_status_names[] = {"active", "stale"};
static_assert(ARRAY_LEN(peer_status_names) == PEER_STATUS_N_, "one name per status");
const char *const peer_source_names[] = {"multicast", "static", "file", "etcd", "gossip", "dns"};
static_assert(ARRAY_LEN(peer_source_names) == PEER_SOURCE_N_, "one name per source");

const char *const member_status_names[] = {"alive", "suspect", "dead", "left"};
static_assert(ARRAY_LEN(member_status_names) == MEMBER_STATUS_N_, "one name per status");

#define VXLAN_PORT_DEFAULT 4789
/* what is beside peers[] in a file: all stacks of this host and all problems */
#define LARGE_BYTES (256u << 10)

const struct mapped *mapped_find(const struct mapped *v, size_t n, const struct ip *ip)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_has_ip(&v[i].subnet, ip))
			return &v[i];
	return NULL;
}

void peer_done(struct peer *p)
{
	free(p->subnets);
	free(p->mapped);
	free(p->avoid);
	free(p->groups);
	*p = (struct peer){0};
}

int peer_key_cmp(const struct peer *a, const struct peer *b)
{
	if (a->vni != b->vni)
		return a->vni < b->vni ? -1 : 1;
	int order = strcmp(a->host_id, b->host_id);
	if (!order && !*a->host_id)
		order = ip_cmp(&a->host_ip, &b->host_ip);
	return order ? order : strcmp(a->stack_id, b->stack_id);
}

static int peer_sort_cmp(const void *a, const void *b)
{
	return peer_key_cmp(a, b);
}

static int stack_sort_cmp(const void *a, const void *b)
{
	const struct self_stack *x = a, *y = b;
	if (x->vni != y->vni)
		return x->vni < y->vni ? -1 : 1;
	return strcmp(x->stack_id, y->stack_id);
}

static int member_sort_cmp(const void *a, const void *b)
{
	return strcmp(((const struct cluster_member *)a)->host_id, ((const struct cluster_member *)b)->host_id);
}

void discovery_done(struct discovery *d)
{
	for (size_t i = 0; i < d->n_peers; i++)
		peer_done(&d->peers[i]);
	free(d->peers);
	free(d->self.stacks);
	free(d->gossip.members);
	problems_done(&d->problems);
	*d = (struct discovery){0};
}

void discovery_sort(struct discovery *d)
{
	if (d->n_peers > 1)
		qsort(d->peers, d->n_peers, sizeof(*d->peers), peer_sort_cmp);
	if (d->self.n_stacks > 1)
		qsort(d->self.stacks, d->self.n_stacks, sizeof(*d->self.stacks), stack_sort_cmp);
}

/* nothing at all where there is nothing: most stacks are not mapped */
static void put_mapping(json_t *o, const struct mapped *mapped, size_t n_mapped, const struct prefix *avoid,
			size_t n_avoid)
{
	char text[PREFIX_STRLEN];
	json_t *array = n_mapped ? json_array() : NULL;
	for (size_t i = 0; i < n_mapped; i++) {
		json_t *pair = json_object();
		json_put_str(pair, "subnet", prefix_format(&mapped[i].subnet, text));
		json_put_str(pair, "as", prefix_format(&mapped[i].as, text));
		json_array_append_new(array, pair);
	}
	if (array)
		json_put(o, "mapped", array);
	if (n_avoid)
		json_put_prefixes(o, "avoid", avoid, n_avoid);
}

/* fields in the order of the seed family first, ours behind them; what is unknown is left away */
static json_t *peer_to_json(const struct peer *p)
{
	char text[ENDPOINT_STRLEN];
	json_t *o = json_object();
	json_put_str(o, "stack_id", p->stack_id);
	json_put_ip(o, "host_ip", &p->host_ip);
	json_put_str(o, "vxlan_endpoint", endpoint_format(&p->vxlan_endpoint, text));
	json_put_int(o, "vni", p->vni);
	json_put_wall(o, "last_seen", p->last_seen);
	json_put_str(o, "status", peer_status_names[p->status]);
	json_put_prefixes(o, "subnets", p->subnets, p->n_subnets);
	put_mapping(o, p->mapped, p->n_mapped, p->avoid, p->n_avoid);
	if (p->n_groups)
		json_put_prefixes(o, "groups", p->groups, p->n_groups);
	if (*p->host_id)
		json_put_str(o, "host_id", p->host_id);
	if (*p->host_name)
		json_put_str(o, "host_name", p->host_name);
	if (!mac_is_none(&p->vtep_mac))
		json_put_mac(o, "vtep_mac", &p->vtep_mac);
	if (!ip_is_none(&p->vtep_ip))
		json_put_ip(o, "vtep_ip", &p->vtep_ip);
	if (!ip_is_none(&p->uplink))
		json_put_ip(o, "uplink", &p->uplink);
	if (p->epoch)
		json_put_int(o, "epoch", p->epoch);
	if (p->wireguard.key[0])
		json_put(o, "wireguard", wg_say_to_json(&p->wireguard));
	json_put_int(o, "seq", (int64_t)p->seq);
	json_put_str(o, "source", peer_source_names[p->source]);
	return o;
}

static json_t *self_to_json(const struct discovery *d)
{
	json_t *o = json_object(), *modes = json_array(), *stacks = json_array();
	json_put_str(o, "host_id", d->self.host_id);
	json_put_str(o, "host_name", d->self.host_name);
	json_put_ip(o, "host_ip", &d->self.host_ip);
	json_put_int(o, "vxlan_port", d->self.vxlan_port);
	json_put_int(o, "seq", (int64_t)d->self.seq);
	if (d->self.key_id[0])
		json_put_str(o, "key_id", d->self.key_id);
	for (const char *m = d->self.modes; *m;) {
		size_t len = strcspn(m, ",");
		if (len)
			json_array_append_new(modes, json_stringn(m, len));
		m += len + (m[len] == ',');
	}
	json_put(o, "modes", modes);
	for (size_t i = 0; i < d->self.n_stacks; i++) {
		const struct self_stack *s = &d->self.stacks[i];
		struct mac mac = vtep_mac(d->self.host_id, s->vni);
		struct ip ip = vtep_ip(d->self.host_id, s->vni);
		json_t *os = json_object();
		json_put_str(os, "stack_id", s->stack_id);
		json_put_int(os, "vni", s->vni);
		json_put_prefixes(os, "subnets", s->subnets, s->n_subnets);
		put_mapping(os, s->mapped, s->n_mapped, s->avoid, s->n_avoid);
		if (s->n_groups)
			json_put_prefixes(os, "groups", s->groups, s->n_groups);
		json_put_mac(os, "vtep_mac", &mac);
		json_put_ip(os, "vtep_ip", &ip);
		json_array_append_new(stacks, os);
	}
	json_put(o, "stacks", stacks);
	return o;
}

void discovery_sort_members(struct discovery *d)
{
	if (d->gossip.n_members > 1)
		qsort(d->gossip.members, d->gossip.n_members, sizeof(*d->gossip.members), member_sort_cmp);
}

static json_t *gossip_to_json(const struct discovery *d)
{
	json_t *o = json_object(), *members = json_array();
	json_put_int(o, "port", d->gossip.port);
	json_put_int(o, "incarnation", (int64_t)d->gossip.incarnation);
	for (size_t i = 0; i < d->gossip.n_members; i++) {
		const struct cluster_member *m = &d->gossip.members[i];
		char text[ENDPOINT_STRLEN];
		json_t *om = json_object();
		json_put_str(om, "host_id", m->host_id);
		json_put_str(om, "address", endpoint_format(&m->address, text));
		json_put_int(om, "incarnation", (int64_t)m->incarnation);
		json_put_str(om, "status", member_status_names[m->status]);
		json_array_append_new(members, om);
	}
	json_put(o, "members", members);
	return o;
}

json_t *discovery_to_json(const struct discovery *d)
{
	json_t *o = json_object(), *peers = json_array();
	json_put_int(o, "version", 1);
	json_put_wall(o, "last_update", d->last_update);
	json_put(o, "self", self_to_json(d));
	if (d->gossip.port)
		json_put(o, "gossip", gossip_to_json(d));
	for (size_t i = 0; i < d->n_peers; i++)
		json_array_append_new(peers, peer_to_json(&d->peers[i]));
	json_put(o, "peers", peers);
	json_put(o, "problems", problems_to_json(&d->problems));
	return o;
}

static int host_id_from_json(const json_t *o, char ret[static HOST_ID_LEN + 1], struct err *err)
{
	char id[HOST_ID_LEN + 1] = "";
	int r = json_optional(json_get_str(o, "host_id", id, sizeof(id), err));
	if (r == 0 && *id && !host_id_valid(id))
		r = err_set(err, -EINVAL, "host_id is not %d lower-case hex digits", HOST_ID_LEN);
	if (r == 0)
		memcpy(ret, id, sizeof(id));
	return r;
}

static int host_ip_check(const struct ip *ip, const char *key, struct err *err)
{
	if (ip_is_unspecified(ip) || ip_is_multicast(ip))
		return err_set(err, -EINVAL, "%s is not the address of a host", key);
	return 0;
}

static int endpoint_from_json(const json_t *o, struct peer *p, struct err *err)
{
	char text[ENDPOINT_STRLEN];
	int r = json_get_str(o, "vxlan_endpoint", text, sizeof(text), err);
	if (r == -ENOENT) {
		p->vxlan_endpoint = (struct endpoint){.ip = p->host_ip, .port = VXLAN_PORT_DEFAULT};
		return 0;
	}
	if (r < 0)
		return r;
	/* an interface's name would be looked up, and is another one elsewhere */
	if (strchr(text, '%') || endpoint_parse(text, VXLAN_PORT_DEFAULT, &p->vxlan_endpoint) < 0)
		return err_set(err, -EINVAL, "vxlan_endpoint is not an address with a port");
	return host_ip_check(&p->vxlan_endpoint.ip, "vxlan_endpoint", err);
}

/* @ret has room for LIMIT_SUBNETS */
static int mapped_from_json(const json_t *o, struct mapped *ret, size_t *ret_n, struct err *err)
{
	const json_t *array = json_object_get(o, "mapped");
	size_t n = json_array_size(array);
	*ret_n = 0;
	if (!array || json_is_null(array))
		return 0;
	if (!json_is_array(array) || n > LIMIT_SUBNETS)
		return err_set(err, -EINVAL, "mapped is no array of at most %d pairs", LIMIT_SUBNETS);
	for (size_t i = 0; i < n; i++) {
		const json_t *pair = json_array_get(array, i);
		char subnet[PREFIX_STRLEN], as[PREFIX_STRLEN];
		if (!json_is_object(pair))
			return err_set(err, -EINVAL, "mapped[%zu] is no object", i);
		if (json_required(json_get_str(pair, "subnet", subnet, sizeof(subnet), err), "subnet", err) < 0 ||
		    json_required(json_get_str(pair, "as", as, sizeof(as), err), "as", err) < 0)
			return err_wrap(err, "mapped[%zu]", i);
		if (prefix_parse(subnet, &ret[i].subnet) < 0 || prefix_parse(as, &ret[i].as) < 0 ||
		    !mapped_valid(&ret[i]))
			return err_set(err, -EINVAL, "mapped[%zu] is no pair of prefixes of one family and length", i);
	}
	*ret_n = mapped_tidy(ret, n);
	return 0;
}

static int wireguard_from_json(const json_t *o, struct wg_say *ret, struct err *err)
{
	const json_t *say = json_object_get(o, "wireguard");
	return say && !json_is_null(say) ? wg_say_from_json(say, ret, err) : 0;
}

/* allocates the lists on success only */
static int peer_from_json(const json_t *o, struct peer *ret, struct err *err)
{
	struct peer p = {.source = PEER_FILE};
	struct prefix subnets[LIMIT_SUBNETS], avoid[LIMIT_AVOID], groups[LIMIT_GROUPS];
	struct mapped mapped[LIMIT_SUBNETS];
	int64_t vni, epoch = 0, seq = 0;
	size_t n = 0, n_mapped = 0, n_avoid = 0, n_groups = 0;
	int r;
	if ((r = json_required(json_get_str(o, "stack_id", p.stack_id, sizeof(p.stack_id), err), "stack_id", err)) <
		    0 ||
	    (r = json_required(json_get_ip(o, "host_ip", &p.host_ip, err), "host_ip", err)) < 0 ||
	    (r = host_ip_check(&p.host_ip, "host_ip", err)) < 0 ||
	    (r = json_required(json_get_int(o, "vni", 1, VNI_MAX, &vni, err), "vni", err)) < 0 ||
	    (r = endpoint_from_json(o, &p, err)) < 0 || (r = host_id_from_json(o, p.host_id, err)) < 0 ||
	    (r = json_optional(json_get_wall(o, "last_seen", &p.last_seen, err))) < 0 ||
	    (r = json_optional(json_get_prefixes(o, "subnets", subnets, LIMIT_SUBNETS, &n, err))) < 0 ||
	    (r = mapped_from_json(o, mapped, &n_mapped, err)) < 0 ||
	    (r = json_optional(json_get_prefixes(o, "avoid", avoid, LIMIT_AVOID, &n_avoid, err))) < 0 ||
	    (r = json_optional(json_get_prefixes(o, "groups", groups, LIMIT_GROUPS, &n_groups, err))) < 0 ||
	    (r = json_optional(json_get_str(o, "host_name", p.host_name, sizeof(p.host_name), err))) < 0 ||
	    (r = json_optional(json_get_mac(o, "vtep_mac", &p.vtep_mac, err))) < 0 ||
	    (r = json_optional(json_get_ip(o, "vtep_ip", &p.vtep_ip, err))) < 0 ||
	    (r = json_optional(json_get_ip(o, "uplink", &p.uplink, err))) < 0 ||
	    (r = json_optional(json_get_int(o, "epoch", 0, EPOCHS - 1, &epoch, err))) < 0 ||
	    (r = wireguard_from_json(o, &p.wireguard, err)) < 0 ||
	    (r = json_optional(json_get_int(o, "seq", 0, INT64_MAX, &seq, err))) < 0 ||
	    (r = json_optional(json_get_enum(o, "status", peer_status_names, PEER_STATUS_N_, err))) < 0)
		return r;
	p.status = (enum peer_status)r;
	if (!name_valid(p.stack_id))
		return err_set(err, -EINVAL, "stack_id is not a name of letters, digits, '_', '.' and '-'");
	/* a mode that came after us does not make a peer useless */
	r = json_get_enum(o, "source", peer_source_names, PEER_SOURCE_N_, NULL);
	if (r >= 0)
		p.source = (enum peer_source)r;
	p.vni = (uint32_t)vni;
	p.epoch = (uint8_t)epoch;
	p.seq = (uint64_t)seq;
	p.n_subnets = (uint16_t)prefixes_tidy(subnets, n);
	if (p.n_subnets)
		p.subnets = xmemdup(subnets, p.n_subnets * sizeof(*subnets));
	p.n_mapped = (uint16_t)n_mapped;
	if (p.n_mapped)
		p.mapped = xmemdup(mapped, n_mapped * sizeof(*mapped));
	p.n_avoid = (uint16_t)prefixes_tidy(avoid, n_avoid);
	if (p.n_avoid)
		p.avoid = xmemdup(avoid, p.n_avoid * sizeof(*avoid));
	p.n_groups = (uint16_t)groups_tidy(groups, n_groups);
	if (p.n_groups)
		p.groups = xmemdup(groups, p.n_groups * sizeof(*groups));
	*ret = p;
	return 0;
}

int peer_from_value(const char *s, size_t len, struct peer *ret, struct err *err)
{
	if (peer_from_text(s, len, ret))
		return 0;
	json_t *o = json_parse_bounded(s, len, err);
	int r = !o		    ? -EINVAL
		: json_is_object(o) ? peer_from_json(o, ret, err)
				    : err_set(err, -EINVAL, "no JSON object");
	json_decref(o);
	return r;
}

void peer_to_value(struct buf *b, const struct peer *p)
{
	if (peer_to_text(b, p))
		return;
	json_t *o = peer_to_json(p);
	json_print(b, o, JSON_COMPACT);
	json_decref(o);
}

/* room for one more; NULL when there are too many */
static struct peer *peer_new(struct discovery *d)
{
	if (d->n_peers < LIMIT_PEERS)
		return xgrow(&d->peers, d->n_peers, &d->cap_peers);
	problems_add(&d->problems, STATE_DISCOVERY, "", "more than %d peers: the rest is left out", LIMIT_PEERS);
	return NULL;
}

/* @p is from peer_new(); @o NULL: @why tells already */
static void peer_add(struct discovery *d, struct peer *p, const json_t *o, size_t i, struct err *why)
{
	if (!o || peer_from_json(o, p, why) < 0)
		problems_add(&d->problems, STATE_DISCOVERY, "", "peers[%zu] is left out: %s", i, why->text);
	else
		d->n_peers++;
}

/* the same key twice: who was seen last is right */
static void peers_tidy(struct discovery *d)
{
	size_t kept = 0;
	discovery_sort(d);
	for (size_t i = 0; i < d->n_peers; i++) {
		struct peer *p = &d->peers[i], *last = kept ? &d->peers[kept - 1] : NULL;
		if (!last || peer_key_cmp(last, p) != 0) {
			d->peers[kept++] = *p;
			continue;
		}
		problems_add(&d->problems, STATE_DISCOVERY, "", "stack %s of VNI %u is there twice", p->stack_id,
			     p->vni);
		struct peer gone = *p;
		if (p->last_seen.ms > last->last_seen.ms) {
			gone = *last;
			*last = *p;
		}
		peer_done(&gone);
	}
	d->n_peers = kept;
}

static int self_stack_from_json(const json_t *o, struct self_stack *s, struct err *err)
{
	int64_t vni;
	int r;
	if ((r = json_required(json_get_str(o, "stack_id", s->stack_id, sizeof(s->stack_id), err), "stack_id", err)) <
		    0 ||
	    (r = json_required(json_get_int(o, "vni", 1, VNI_MAX, &vni, err), "vni", err)) < 0 ||
	    (r = json_optional(json_get_prefixes(o, "subnets", s->subnets, LIMIT_SUBNETS, &s->n_subnets, err))) < 0 ||
	    (r = mapped_from_json(o, s->mapped, &s->n_mapped, err)) < 0 ||
	    (r = json_optional(json_get_prefixes(o, "avoid", s->avoid, LIMIT_AVOID, &s->n_avoid, err))) < 0 ||
	    (r = json_optional(json_get_prefixes(o, "groups", s->groups, LIMIT_GROUPS, &s->n_groups, err))) < 0)
		return r;
	s->n_avoid = prefixes_tidy(s->avoid, s->n_avoid);
	s->n_groups = groups_tidy(s->groups, s->n_groups);
	if (!name_valid(s->stack_id))
		return err_set(err, -EINVAL, "stack_id is not a name of letters, digits, '_', '.' and '-'");
	s->vni = (uint32_t)vni;
	return 0;
}

static void modes_from_json(const json_t *self, struct discovery *d)
{
	const json_t *array = json_get_array(self, "modes", &d->problems, STATE_DISCOVERY);
	size_t n = json_array_size(array), len = 0;
	for (size_t i = 0; i < n; i++) {
		const char *m = json_string_value(json_array_get(array, i));
		if (!m || !name_valid(m) || len + strlen(m) + 2 > sizeof(d->self.modes))
			continue;
		len += (size_t)snprintf(d->self.modes + len, sizeof(d->self.modes) - len, "%s%s", len ? "," : "", m);
	}
}

static int self_from_json(const json_t *o, struct discovery *d, struct err *err)
{
	int64_t port = VXLAN_PORT_DEFAULT, seq = 0;
	int r;
	if ((r = host_id_from_json(o, d->self.host_id, err)) < 0 ||
	    (r = json_optional(json_get_str(o, "host_name", d->self.host_name, sizeof(d->self.host_name), err))) < 0 ||
	    (r = json_optional(json_get_ip(o, "host_ip", &d->self.host_ip, err))) < 0 ||
	    (r = json_optional(json_get_str(o, "key_id", d->self.key_id, sizeof(d->self.key_id), err))) < 0 ||
	    (r = json_optional(json_get_int(o, "vxlan_port", 0, UINT16_MAX, &port, err))) < 0 ||
	    (r = json_optional(json_get_int(o, "seq", 0, INT64_MAX, &seq, err))) < 0)
		return r;
	d->self.vxlan_port = (uint16_t)port;
	d->self.seq = (uint64_t)seq;
	modes_from_json(o, d);
	const json_t *array = json_get_array(o, "stacks", &d->problems, STATE_DISCOVERY);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n && d->self.n_stacks < LIMIT_STACKS; i++) {
		struct err why = {0};
		struct self_stack *s = xgrow(&d->self.stacks, d->self.n_stacks, &d->self.cap_stacks);
		if (self_stack_from_json(json_array_get(array, i), s, &why) < 0)
			problems_add(&d->problems, STATE_DISCOVERY, "", "self.stacks[%zu] is left out: %s", i,
				     why.text);
		else
			d->self.n_stacks++;
	}
	return 0;
}

static int member_from_json(const json_t *o, struct cluster_member *ret, struct err *err)
{
	char text[ENDPOINT_STRLEN];
	int64_t incarnation = 0;
	int r;
	if ((r = json_required(json_get_str(o, "host_id", ret->host_id, sizeof(ret->host_id), err), "host_id", err)) <
		    0 ||
	    (r = json_required(json_get_str(o, "address", text, sizeof(text), err), "address", err)) < 0 ||
	    (r = json_optional(json_get_int(o, "incarnation", 0, INT64_MAX, &incarnation, err))) < 0 ||
	    (r = json_required(json_get_enum(o, "status", member_status_names, MEMBER_STATUS_N_, err), "status", err)) <
		    0)
		return r;
	ret->status = (enum member_status)r;
	ret->incarnation = (uint64_t)incarnation;
	if (!host_id_valid(ret->host_id))
		return err_set(err, -EINVAL, "host_id is not %d lower-case hex digits", HOST_ID_LEN);
	if (strchr(text, '%') || endpoint_parse(text, 0, &ret->address) < 0 || ret->address.port == 0)
		return err_set(err, -EINVAL, "address is not an address with a port");
	return host_ip_check(&ret->address.ip, "address", err);
}

static void gossip_from_json(const json_t *o, struct discovery *d)
{
	struct err why = {0};
	int64_t port = 0, incarnation = 0;
	if (json_optional(json_get_int(o, "port", 0, UINT16_MAX, &port, &why)) < 0 ||
	    json_optional(json_get_int(o, "incarnation", 0, INT64_MAX, &incarnation, &why)) < 0) {
		problems_add(&d->problems, STATE_DISCOVERY, "", "gossip: %s", why.text);
		return;
	}
	d->gossip.port = (uint16_t)port;
	d->gossip.incarnation = (uint64_t)incarnation;
	const json_t *array = json_get_array(o, "members", &d->problems, STATE_DISCOVERY);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n && d->gossip.n_members < LIMIT_PEERS; i++) {
		struct cluster_member *m = xgrow(&d->gossip.members, d->gossip.n_members, &d->gossip.cap_members);
		if (member_from_json(json_array_get(array, i), m, &why) < 0)
			problems_add(&d->problems, STATE_DISCOVERY, "", "gossip.members[%zu] is left out: %s", i,
				     why.text);
		else
			d->gossip.n_members++;
	}
}

/* everything but peers[] */
static int frame_from_json(const json_t *root, struct discovery *d, struct err *err)
{
	struct err why = {0};
	int r = json_check_version(root, STATE_DISCOVERY, err);
	if (r < 0)
		return r;
	/* taken for an empty list it would remove every route */
	r = json_check_array(root, "peers", err);
	if (r < 0)
		return err_wrap(err, STATE_DISCOVERY);
	problems_from_json(json_object_get(root, "problems"), &d->problems);
	if (json_get_wall(root, "last_update", &d->last_update, &why) == -EINVAL)
		problems_add(&d->problems, STATE_DISCOVERY, "", "%s", why.text);
	const json_t *self = json_object_get(root, "self");
	if (self && !json_is_null(self) && self_from_json(self, d, &why) < 0)
		problems_add(&d->problems, STATE_DISCOVERY, "", "self: %s", why.text);
	const json_t *gossip = json_object_get(root, "gossip");
	if (json_is_object(gossip))
		gossip_from_json(gossip, d);
	return 0;
}

static void peers_from_json(const json_t *root, struct discovery *d)
{
	const json_t *array = json_get_array(root, "peers", &d->problems, STATE_DISCOVERY);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n; i++) {
		struct err why = {0};
		struct peer *p = peer_new(d);
		if (!p)
			return;
		peer_add(d, p, json_array_get(array, i), i, &why);
	}
}

int discovery_from_json(const json_t *root, struct discovery *ret, struct err *err)
{
	struct discovery d = {0};
	int r = frame_from_json(root, &d, err);
	if (r < 0)
		return r;
	peers_from_json(root, &d);
	peers_tidy(&d);
	*ret = d;
	return 0;
}

static int peers_from_text(const char *s, size_t len, struct discovery *d, struct err *err)
{
	size_t i = 0, index = 0;
	while (i < len && json_is_space(s[i]))
		i++;
	if (i == len)
		return 0;
	for (;; index++, i++) {
		struct err why = {0};
		size_t end = json_skip_value(s, len, i);
		if (end == i)
			return err_set(err, -EINVAL, "%s: peers[%zu] is empty, no JSON", STATE_DISCOVERY, index);
		struct peer *p = peer_new(d);
		if (p && peer_from_text(s + i, end - i, p)) {
			d->n_peers++;
		} else if (p) {
			json_t *o = json_parse_bounded(s + i, end - i, &why);
			peer_add(d, p, o, index, &why);
			json_decref(o);
		}
		if (end >= len || !p)
			return 0;
		i = end;
	}
}

int discovery_from_text(const char *s, size_t len, struct discovery *ret, struct err *err)
{
	struct discovery d = {0};
	struct err why = {0};
	size_t begin, end;
	bool cut = json_find_array(s, len, "peers", &begin, &end);
	autobuf struct buf frame = {0};
	if (cut) {
		buf_append(&frame, s, begin);
		buf_append(&frame, s + end, len - end);
	}
	json_t *root = cut ? json_parse_bounded(frame.data, frame.len, &why) : json_parse_bounded(s, len, &why);
	if (!root)
		return err_set(err, why.code, "%s: %s", STATE_DISCOVERY, why.text);
	int r = frame_from_json(root, &d, err);
	if (r == 0 && cut)
		r = peers_from_text(s + begin, end - begin, &d, err);
	else if (r == 0)
		peers_from_json(root, &d);
	json_decref(root);
	if (r < 0) {
		discovery_done(&d);
		return r;
	}
	peers_tidy(&d);
	*ret = d;
	return 0;
}

int discovery_read(int dirfd, const struct file_owner *owner, struct discovery *ret, struct err *err)
{
	struct buf text = {0};
	int r = file_read(dirfd, STATE_DISCOVERY, LIMIT_FILE_BYTES, owner, &text, err);
	bool large = text.len > LARGE_BYTES;
	if (r == 0)
		r = discovery_from_text(text.data ? text.data : "", text.len, ret, err);
	buf_done(&text);
	if (large)
		alloc_trim();
	return r;
}

int discovery_write(int dirfd, const struct discovery *d, struct err *err)
{
	struct buf text = {0};
	char time[WALL_STRLEN];
	json_t *self = self_to_json(d), *problems = problems_to_json(&d->problems);
	buf_printf(&text,
		   "{\n \"version\": 1,\n \"last_update\": \"%s\",\n \"self\": ", wall_format(d->last_update, time));
	json_print(&text, self, JSON_INDENT(1));
	if (d->gossip.port) {
		json_t *gossip = gossip_to_json(d);
		buf_puts(&text, ",\n \"gossip\": ");
		json_print(&text, gossip, JSON_COMPACT);
		json_decref(gossip);
	}
	buf_puts(&text, ",\n \"peers\": [");
	for (size_t i = 0; i < d->n_peers; i++) {
		buf_puts(&text, i ? ",\n  " : "\n  ");
		peer_to_value(&text, &d->peers[i]);
	}
	buf_puts(&text, d->n_peers ? "\n ],\n \"problems\": " : "],\n \"problems\": ");
	json_print(&text, problems, JSON_INDENT(1));
	buf_puts(&text, "\n}\n");
	json_decref(self);
	json_decref(problems);
	int r = file_replace(dirfd, STATE_DISCOVERY, text.data, text.len, 0644, 0, err);
	bool large = text.len > LARGE_BYTES;
	buf_done(&text);
	if (large)
		alloc_trim();
	return r;
}
