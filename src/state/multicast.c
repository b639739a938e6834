/* SPDX-License-Identifier: Apache-2.0
 *
 * multicast.json to structs and back; see multicast.h.
 */
#include "state/multicast.h"

#define COUNT_MAX INT64_MAX

void multicast_state_done(struct multicast_state *s)
{
	free(s->legs);
	free(s->devices);
	free(s->services);
	free(s->groups);
	free(s->counts);
	problems_done(&s->problems);
	*s = (struct multicast_state){0};
}

/* --- writing --- */

static json_t *leg_to_json(const struct mcs_leg *l)
{
	json_t *o = json_object(), *addresses = json_array(), *dropped = json_array(), *others = json_array();
	char text[IP_STRLEN];

	json_put_int(o, "leg", l->leg);
	json_put(o, "lan", json_boolean(l->lan));
	json_put_str(o, "name", l->name);
	json_put_str(o, "network", l->network);
	json_put_str(o, "interface", l->interface);
	json_put_str(o, "wants", l->wants);
	for (size_t i = 0; i < l->n_addresses; i++)
		json_array_append_new(addresses, json_string(ip_format(&l->addresses[i], text)));
	json_put(o, "addresses", addresses);
	if (l->n_subnets)
		json_put_prefixes(o, "subnets", l->subnets, l->n_subnets);
	json_put(o, "querier", json_pack("[ss]", l->querier[0], l->querier[1]));
	for (size_t i = 0; i < 2; i++)
		json_array_append_new(
			others,
			json_string(ip_is_none(&l->querier_other[i]) ? "" : ip_format(&l->querier_other[i], text)));
	json_put(o, "querier_other", others);
	json_put_int(o, "heard", l->heard);
	json_put_int(o, "sent", l->sent);
	for (size_t i = 0; i < l->n_drops; i++) {
		json_t *d = json_object();

		json_put_str(d, "why", l->drops[i].why);
		json_put_int(d, "n", l->drops[i].n);
		json_array_append_new(dropped, d);
	}
	json_put(o, "dropped", dropped);
	return o;
}

static json_t *device_to_json(const struct mcs_device *d)
{
	json_t *o = json_object();

	json_put_int(o, "leg", d->leg);
	json_put_ip(o, "from", &d->from);
	json_put_str(o, "usn", d->usn);
	json_put_str(o, "location", d->location);
	json_put_int(o, "seconds", d->seconds);
	json_put_int(o, "heard", d->heard);
	return o;
}

static json_t *service_to_json(const struct mcs_service *s)
{
	json_t *o = json_object();
	char text[ENDPOINT_STRLEN];

	json_put_int(o, "from", s->from);
	json_put_int(o, "to", s->to);
	json_put_str(o, "inside", endpoint_format(&s->inside, text));
	json_put_str(o, "outside", endpoint_format(&s->outside, text));
	json_put_int(o, "connections", s->connections);
	json_put_int(o, "open", s->open);
	json_put_int(o, "refused", s->refused);
	json_put_int(o, "bytes", s->bytes);
	json_put_int(o, "rewritten", s->rewritten);
	json_put_str(o, "error", s->error);
	return o;
}

json_t *multicast_state_to_json(const struct multicast_state *s)
{
	json_t *o = json_object(), *legs = json_array(), *devices = json_array(), *services = json_array(),
	       *counts = json_array(), *groups = json_array();

	json_put_int(o, "version", 1);
	json_put_wall(o, "last_update", s->last_update);
	for (size_t i = 0; i < s->n_legs; i++)
		json_array_append_new(legs, leg_to_json(&s->legs[i]));
	json_put(o, "legs", legs);
	for (size_t i = 0; i < s->n_devices; i++)
		json_array_append_new(devices, device_to_json(&s->devices[i]));
	json_put(o, "devices", devices);
	for (size_t i = 0; i < s->n_services; i++)
		json_array_append_new(services, service_to_json(&s->services[i]));
	json_put(o, "services", services);
	for (size_t i = 0; i < s->n_groups; i++) {
		const struct mcs_group *g = &s->groups[i];
		json_t *c = json_object();

		json_put_int(c, "leg", g->leg);
		json_put_ip(c, "group", &g->group);
		json_put_str(c, "mode", g->mode);
		json_put_int(c, "sources", g->n_sources);
		json_put_ip(c, "reporter", &g->reporter);
		json_put(c, "bridge", json_boolean(g->by_bridge));
		json_array_append_new(groups, c);
	}
	json_put(o, "groups", groups);
	if (s->n_advertised)
		json_put_prefixes(o, "advertised", s->advertised, s->n_advertised);
	for (size_t i = 0; i < s->n_counts; i++) {
		json_t *c = json_object();

		json_put_str(c, "what", s->counts[i].what);
		json_put_int(c, "n", s->counts[i].n);
		json_array_append_new(counts, c);
	}
	json_put(o, "counts", counts);
	json_put(o, "problems", problems_to_json(&s->problems));
	return o;
}

/* --- reading --- */

static int get_str(const json_t *o, const char *key, char *ret, size_t size, struct err *err)
{
	return json_optional(json_get_str(o, key, ret, size, err));
}

static int get_count(const json_t *o, const char *key, int64_t *ret, struct err *err)
{
	return json_optional(json_get_int(o, key, 0, COUNT_MAX, ret, err));
}

static int get_endpoint(const json_t *o, const char *key, struct endpoint *ret, struct err *err)
{
	char text[ENDPOINT_STRLEN];
	int rc = json_required(json_get_str(o, key, text, sizeof(text), err), key, err);

	if (rc < 0)
		return rc;
	return endpoint_parse(text, 0, ret) < 0 ? err_set(err, -EINVAL, "%s is no address with port", key) : 0;
}

static int addresses_from_json(const json_t *o, struct mcs_leg *l, struct err *err)
{
	const json_t *array = json_object_get(o, "addresses");

	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *s = json_string_value(json_array_get(array, i));

		if (i >= ARRAY_LEN(l->addresses) || !s || ip_parse(s, &l->addresses[i]) < 0)
			return err_set(err, -EINVAL, "addresses: must be at most %zu IP addresses",
				       ARRAY_LEN(l->addresses));
		l->n_addresses = i + 1;
	}
	return 0;
}

/* Two of each, where they are there */
static void querier_from_json(const json_t *o, struct mcs_leg *l)
{
	for (size_t i = 0; i < 2; i++) {
		const char *state = json_string_value(json_array_get(json_object_get(o, "querier"), i));
		const char *other = json_string_value(json_array_get(json_object_get(o, "querier_other"), i));

		if (state)
			str_copy(l->querier[i], state);
		if (other && ip_parse(other, &l->querier_other[i]) < 0)
			l->querier_other[i] = (struct ip){0};
	}
}

static int leg_from_json(const json_t *o, struct mcs_leg *l, struct err *err)
{
	const json_t *dropped = json_object_get(o, "dropped");
	int rc;

	if ((rc = json_required(json_get_int(o, "leg", 1, UINT32_MAX, &l->leg, err), "leg", err)) < 0 ||
	    (rc = json_optional(json_get_bool(o, "lan", &l->lan, err))) < 0 ||
	    (rc = get_str(o, "name", l->name, sizeof(l->name), err)) < 0 ||
	    (rc = get_str(o, "network", l->network, sizeof(l->network), err)) < 0 ||
	    (rc = get_str(o, "interface", l->interface, sizeof(l->interface), err)) < 0 ||
	    (rc = get_str(o, "wants", l->wants, sizeof(l->wants), err)) < 0 ||
	    (rc = addresses_from_json(o, l, err)) < 0 ||
	    (rc = json_optional(json_get_prefixes(o, "subnets", l->subnets, LIMIT_SUBNETS, &l->n_subnets, err))) < 0 ||
	    (rc = get_count(o, "heard", &l->heard, err)) < 0 || (rc = get_count(o, "sent", &l->sent, err)) < 0)
		return rc;
	querier_from_json(o, l);
	for (size_t i = 0; i < json_array_size(dropped) && i < LIMIT_MC_DROPS; i++) {
		struct mcs_drop *d = &l->drops[i];

		if ((rc = get_str(json_array_get(dropped, i), "why", d->why, sizeof(d->why), err)) < 0 ||
		    (rc = get_count(json_array_get(dropped, i), "n", &d->n, err)) < 0)
			return rc;
		l->n_drops = i + 1;
	}
	return 0;
}

static int device_from_json(const json_t *o, struct mcs_device *d, struct err *err)
{
	int rc;

	if ((rc = get_count(o, "leg", &d->leg, err)) < 0 ||
	    (rc = json_required(json_get_ip(o, "from", &d->from, err), "from", err)) < 0 ||
	    (rc = get_str(o, "usn", d->usn, sizeof(d->usn), err)) < 0 ||
	    (rc = get_str(o, "location", d->location, sizeof(d->location), err)) < 0 ||
	    (rc = get_count(o, "seconds", &d->seconds, err)) < 0)
		return rc;
	return get_count(o, "heard", &d->heard, err);
}

static int service_from_json(const json_t *o, struct mcs_service *s, struct err *err)
{
	int rc;

	if ((rc = get_count(o, "from", &s->from, err)) < 0 || (rc = get_count(o, "to", &s->to, err)) < 0 ||
	    (rc = get_endpoint(o, "inside", &s->inside, err)) < 0 ||
	    (rc = get_endpoint(o, "outside", &s->outside, err)) < 0 ||
	    (rc = get_count(o, "connections", &s->connections, err)) < 0 ||
	    (rc = get_count(o, "open", &s->open, err)) < 0 || (rc = get_count(o, "refused", &s->refused, err)) < 0 ||
	    (rc = get_count(o, "bytes", &s->bytes, err)) < 0 ||
	    (rc = get_count(o, "rewritten", &s->rewritten, err)) < 0)
		return rc;
	return get_str(o, "error", s->error, sizeof(s->error), err);
}

static int group_from_json(const json_t *o, struct mcs_group *g, struct err *err)
{
	int rc;

	if ((rc = get_count(o, "leg", &g->leg, err)) < 0 ||
	    (rc = json_required(json_get_ip(o, "group", &g->group, err), "group", err)) < 0 ||
	    (rc = get_str(o, "mode", g->mode, sizeof(g->mode), err)) < 0 ||
	    (rc = get_count(o, "sources", &g->n_sources, err)) < 0 ||
	    (rc = json_optional(json_get_ip(o, "reporter", &g->reporter, err))) < 0)
		return rc;
	return json_optional(json_get_bool(o, "bridge", &g->by_bridge, err));
}

static int count_from_json(const json_t *o, struct mcs_count *c, struct err *err)
{
	int rc = json_required(json_get_str(o, "what", c->what, sizeof(c->what), err), "what", err);

	return rc < 0 ? rc : get_count(o, "n", &c->n, err);
}

/* Each element that parses */
#define ARRAY_READ(root, s, name, max, one)                                                                         \
	do {                                                                                                        \
		const json_t *array_ = json_get_array(root, #name, &(s)->problems, STATE_MULTICAST);                \
		for (size_t i_ = 0; i_ < json_array_size(array_) && i_ < (max); i_++) {                             \
			struct err why_ = {0};                                                                      \
			if (one(json_array_get(array_, i_), xgrow(&(s)->name, (s)->n_##name, &(s)->cap_##name),     \
				&why_) == 0)                                                                        \
				(s)->n_##name++;                                                                    \
			else                                                                                        \
				problems_add(&(s)->problems, STATE_MULTICAST, "", "%s[%zu] is left out: %s", #name, \
					     i_, why_.text);                                                        \
		}                                                                                                   \
	} while (0)

int multicast_state_from_json(const json_t *root, struct multicast_state *ret, struct err *err)
{
	struct multicast_state s = {0};
	struct err why = {0};
	int rc = json_check_version(root, STATE_MULTICAST, err);

	if (rc < 0)
		return rc;
	problems_from_json(json_object_get(root, "problems"), &s.problems);
	if (json_get_wall(root, "last_update", &s.last_update, &why) == -EINVAL)
		problems_add(&s.problems, STATE_MULTICAST, "", "%s", why.text);
	ARRAY_READ(root, &s, legs, LIMIT_MC_LEGS, leg_from_json);
	ARRAY_READ(root, &s, devices, LIMIT_MC_DEVICES, device_from_json);
	ARRAY_READ(root, &s, services, LIMIT_MC_SERVICES, service_from_json);
	ARRAY_READ(root, &s, groups, LIMIT_MC_GROUPS, group_from_json);
	if (json_optional(json_get_prefixes(root, "advertised", s.advertised, LIMIT_MC_ROUTES, &s.n_advertised, &why)) <
	    0) {
		problems_add(&s.problems, STATE_MULTICAST, "", "%s", why.text);
		s.n_advertised = 0;
	}
	ARRAY_READ(root, &s, counts, LIMIT_MC_COUNTS, count_from_json);
	*ret = s;
	return 0;
}

int multicast_state_read(int dirfd, const struct file_owner *owner, struct multicast_state *ret, struct err *err)
{
	json_t *root;
	int rc = state_read_json(dirfd, STATE_MULTICAST, owner, &root, err);

	if (rc < 0)
		return rc;
	rc = multicast_state_from_json(root, ret, err);
	json_decref(root);
	return rc;
}

int multicast_state_write(int dirfd, const struct multicast_state *s, struct err *err)
{
	json_t *root = multicast_state_to_json(s);
	int rc = state_write_json(dirfd, STATE_MULTICAST, root, err);

	json_decref(root);
	return rc;
}
