/* SPDX-License-Identifier: Apache-2.0
 *
 * records.json as structs and back. Nothing depends on it, so what is broken in it is left out and told.
 */
#include "state/records.h"

#include "state/peer_text.h"

static void record_done(struct record *r)
{
	free(r->addresses);
	free(r->mapped);
}

void records_done(struct records *r)
{
	for (size_t i = 0; i < r->n_containers; i++)
		free(r->containers[i].why);
	free(r->containers);
	for (size_t i = 0; i < r->n_records; i++)
		record_done(&r->records[i]);
	free(r->records);
	free(r->listen_error);
	problems_done(&r->problems);
	*r = (struct records){0};
}

static void put_ips(json_t *o, const char *key, const struct ip *ips, size_t n)
{
	char text[IP_STRLEN];
	json_t *array = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_string(ip_format(&ips[i], text)));
	json_put(o, key, array);
}

static json_t *record_to_json(const struct record *r)
{
	json_t *o = json_object();
	json_put_str(o, "name", r->name);
	json_put_str(o, "kind", name_kind_names[r->kind]);
	json_put_str(o, "stack_id", r->stack_id);
	json_put_str(o, "host_id", r->host_id);
	json_put_str(o, "host_name", r->host_name);
	json_put_int(o, "vni", r->vni);
	put_ips(o, "addresses", r->addresses, r->n_addresses);
	put_ips(o, "mapped", r->mapped, r->n_mapped);
	return o;
}

static json_t *container_to_json(const struct record_container *c)
{
	json_t *o = json_object(), *vnis = json_array();
	json_put_str(o, "id", c->id);
	json_put_str(o, "name", c->name);
	for (size_t i = 0; i < c->n_vnis; i++)
		json_array_append_new(vnis, json_integer(c->vnis[i]));
	json_put(o, "vnis", vnis);
	json_put(o, "answered", json_boolean(c->answered));
	json_put_str(o, "why", c->why ? c->why : "");
	return o;
}

json_t *records_to_json(const struct records *r)
{
	char listen[ENDPOINT_STRLEN];
	json_t *o = json_object(), *array = json_array(), *containers = json_array(), *records = json_array();
	json_put_int(o, "version", 1);
	json_put_wall(o, "last_update", r->last_update);
	json_put_str(o, "domain", r->domain);
	for (size_t i = 0; i < r->n_listen; i++)
		json_array_append_new(array, json_string(endpoint_format(&r->listen[i], listen)));
	json_put(o, "listen", array);
	json_put_str(o, "listen_error", r->listen_error ? r->listen_error : "");
	for (size_t i = 0; i < r->n_containers; i++)
		json_array_append_new(containers, container_to_json(&r->containers[i]));
	json_put(o, "containers", containers);
	for (size_t i = 0; i < r->n_records; i++)
		json_array_append_new(records, record_to_json(&r->records[i]));
	json_put(o, "records", records);
	json_put(o, "problems", problems_to_json(&r->problems));
	return o;
}

static int ips_from_json(const json_t *o, const char *key, struct ip **ret, size_t *ret_n, struct err *err)
{
	struct ip ips[LIMIT_NAME_ADDRESSES];
	const json_t *array = json_object_get(o, key);
	size_t n = json_array_size(array);
	if (array && !json_is_null(array) && (!json_is_array(array) || n > ARRAY_LEN(ips)))
		return err_set(err, -EINVAL, "%s is not an array of at most %zu addresses", key, ARRAY_LEN(ips));
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(array, i));
		if (!s || ip_parse(s, &ips[i]) < 0)
			return err_set(err, -EINVAL, "%s: element %zu is not an IP address", key, i);
	}
	*ret = n ? xmemdup(ips, n * sizeof(*ips)) : NULL;
	*ret_n = n;
	return 0;
}

/* what is allocated in @ret stays also on failure */
static int record_from_json(const json_t *o, struct record *ret, struct err *err)
{
	int64_t vni;
	int r;
	if ((r = json_required(json_get_str(o, "name", ret->name, sizeof(ret->name), err), "name", err)) < 0 ||
	    (r = json_required(json_get_str(o, "stack_id", ret->stack_id, sizeof(ret->stack_id), err), "stack_id",
			       err)) < 0 ||
	    (r = json_optional(json_get_str(o, "host_id", ret->host_id, sizeof(ret->host_id), err))) < 0 ||
	    (r = json_optional(json_get_str(o, "host_name", ret->host_name, sizeof(ret->host_name), err))) < 0 ||
	    (r = json_required(json_get_int(o, "vni", 1, VNI_MAX, &vni, err), "vni", err)) < 0 ||
	    (r = json_required(json_get_enum(o, "kind", name_kind_names, NAME_KIND_N_, err), "kind", err)) < 0)
		return r;
	ret->kind = (enum name_kind)r;
	ret->vni = (uint32_t)vni;
	if (*ret->name && !label_valid(ret->name))
		return err_set(err, -EINVAL, "name is not a name of a-z, 0-9, '_', '-' and single dots inside");
	if (!name_valid(ret->stack_id))
		return err_set(err, -EINVAL, "stack_id is not a name of letters, digits, '_', '.' and '-'");
	if (*ret->host_id && !host_id_valid(ret->host_id))
		return err_set(err, -EINVAL, "host_id is not %d lower-case hex digits", HOST_ID_LEN);
	if ((r = ips_from_json(o, "addresses", &ret->addresses, &ret->n_addresses, err)) < 0 ||
	    (r = ips_from_json(o, "mapped", &ret->mapped, &ret->n_mapped, err)) < 0)
		return r;
	if (ret->n_mapped && ret->n_mapped != ret->n_addresses)
		return err_set(err, -EINVAL, "mapped has not as many addresses as addresses");
	return 0;
}

/* allocates on success only */
static int container_from_json(const json_t *o, struct record_container *ret, struct err *err)
{
	char why[1024] = "";
	int r;
	if ((r = json_required(json_get_str(o, "id", ret->id, sizeof(ret->id), err), "id", err)) < 0 ||
	    (r = json_optional(json_get_str(o, "name", ret->name, sizeof(ret->name), err))) < 0 ||
	    (r = json_optional(json_get_bool(o, "answered", &ret->answered, err))) < 0 ||
	    (r = json_optional(json_get_str(o, "why", why, sizeof(why), err))) < 0)
		return r;
	const json_t *vnis = json_object_get(o, "vnis");
	size_t n = json_array_size(vnis);
	if (n > ARRAY_LEN(ret->vnis))
		return err_set(err, -EINVAL, "more than %zu vnis", ARRAY_LEN(ret->vnis));
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(vnis, i);
		json_int_t vni = json_integer_value(v);
		if (!json_is_integer(v) || vni < 1 || vni > VNI_MAX)
			return err_set(err, -EINVAL, "vnis: element %zu is not a number from 1 to %u", i, VNI_MAX);
		ret->vnis[i] = (uint32_t)vni;
	}
	ret->n_vnis = n;
	ret->why = xstrdup(why);
	return 0;
}

static void containers_from_json(const json_t *root, struct records *s)
{
	const json_t *array = json_get_array(root, "containers", &s->problems, STATE_RECORDS);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n && s->n_containers < LIMIT_CONTAINERS; i++) {
		struct err why = {0};
		struct record_container *c = xgrow(&s->containers, s->n_containers, &s->cap_containers);
		if (container_from_json(json_array_get(array, i), c, &why) < 0)
			problems_add(&s->problems, STATE_RECORDS, "", "containers[%zu] is left out: %s", i, why.text);
		else
			s->n_containers++;
	}
}

static void records_list_from_json(const json_t *root, struct records *s)
{
	const json_t *array = json_get_array(root, "records", &s->problems, STATE_RECORDS);
	size_t n = json_array_size(array);
	/* our own names and a record for each stack come to those of peers */
	for (size_t i = 0; i < n && s->n_records < (size_t)2 * LIMIT_NAMES; i++) {
		struct err why = {0};
		struct record *r = xgrow(&s->records, s->n_records, &s->cap_records);
		if (record_from_json(json_array_get(array, i), r, &why) < 0) {
			problems_add(&s->problems, STATE_RECORDS, "", "records[%zu] is left out: %s", i, why.text);
			record_done(r);
			continue;
		}
		s->n_records++;
	}
}

/* A list, or (older) one string */
static int listen_from_json(const json_t *root, struct records *s, struct err *err)
{
	const json_t *v = json_object_get(root, "listen");
	size_t n = json_is_string(v) ? *json_string_value(v) != '\0' : json_array_size(v);
	if (v && !json_is_null(v) && !json_is_string(v) && !json_is_array(v))
		return err_set(err, -EINVAL, "listen is not an array");
	if (n > ARRAY_LEN(s->listen))
		return err_set(err, -EINVAL, "listen has more than %zu elements", ARRAY_LEN(s->listen));
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_is_string(v) ? v : json_array_get(v, i));
		if (!text || endpoint_parse(text, 0, &s->listen[i]) < 0)
			return err_set(err, -EINVAL, "listen: element %zu is not an address with a port", i);
	}
	s->n_listen = n;
	return 0;
}

int records_from_json(const json_t *root, struct records *ret, struct err *err)
{
	struct records s = {0};
	struct err why = {0};
	char listen_error[4096] = "";
	int r = json_check_version(root, STATE_RECORDS, err);
	if (r < 0)
		return r;
	if (json_check_array(root, "records", err) < 0 || json_check_array(root, "containers", err) < 0 ||
	    json_optional(json_get_str(root, "domain", s.domain, sizeof(s.domain), err)) < 0 ||
	    listen_from_json(root, &s, err) < 0 ||
	    json_optional(json_get_str(root, "listen_error", listen_error, sizeof(listen_error), err)) < 0)
		return err_wrap(err, STATE_RECORDS);
	s.listen_error = xstrdup(listen_error);
	problems_from_json(json_object_get(root, "problems"), &s.problems);
	if (json_get_wall(root, "last_update", &s.last_update, &why) == -EINVAL)
		problems_add(&s.problems, STATE_RECORDS, "", "%s", why.text);
	containers_from_json(root, &s);
	records_list_from_json(root, &s);
	*ret = s;
	return 0;
}

int records_read(int dirfd, const struct file_owner *owner, struct records *ret, struct err *err)
{
	json_t *root;
	int r = state_read_json(dirfd, STATE_RECORDS, owner, &root, err);
	if (r < 0)
		return r;
	r = records_from_json(root, ret, err);
	json_decref(root);
	return r;
}

static bool is_plain(const char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~' || *s == '"' || *s == '\\')
			return false;
	return true;
}

static void ips_to_text(struct buf *b, const char *key, const struct ip *ips, size_t n)
{
	char text[IP_STRLEN];
	buf_puts(b, key);
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, i ? ",\"" : "\"");
		buf_puts(b, ip_format(&ips[i], text));
		buf_puts(b, "\"");
	}
	buf_puts(b, "]");
}

/* What json_print() makes of record_to_json(), in a fifth of the time */
static void record_to_text(struct buf *b, const struct record *r)
{
	if (!is_plain(r->name) || !is_plain(r->stack_id) || !is_plain(r->host_id) || !is_plain(r->host_name)) {
		json_t *record = record_to_json(r);
		json_print(b, record, JSON_COMPACT);
		json_decref(record);
		return;
	}
	buf_printf(b,
		   "{\"name\":\"%s\",\"kind\":\"%s\",\"stack_id\":\"%s\",\"host_id\":\"%s\",\"host_name\":\"%s\","
		   "\"vni\":%u",
		   r->name, name_kind_names[r->kind], r->stack_id, r->host_id, r->host_name, r->vni);
	ips_to_text(b, ",\"addresses\":[", r->addresses, r->n_addresses);
	ips_to_text(b, ",\"mapped\":[", r->mapped, r->n_mapped);
	buf_puts(b, "}");
}

/* A line for each record, printed one by one: as one tree, thousands of them are ten times the text */
int records_write(int dirfd, const struct records *r, struct err *err)
{
	static const char place[] = "\n \"records\": [";
	struct records frame = *r;
	autobuf struct buf outer = {0}, text = {0};
	frame.n_records = 0;
	json_t *root = records_to_json(&frame);
	json_print(&outer, root, JSON_INDENT(1));
	json_decref(root);
	/* a newline inside a string is escaped: there is no second place */
	const char *rest = strstr(outer.data, place) + sizeof(place) - 1;
	buf_append(&text, outer.data, (size_t)(rest - outer.data));
	for (size_t i = 0; i < r->n_records; i++) {
		buf_puts(&text, i ? ",\n  " : "\n  ");
		record_to_text(&text, &r->records[i]);
	}
	buf_puts(&text, r->n_records ? "\n " : "");
	buf_puts(&text, rest);
	buf_puts(&text, "\n");
	return file_replace(dirfd, STATE_RECORDS, text.data, text.len, 0644, 0, err);
}
