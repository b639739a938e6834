/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of stacks: out of an inventory, to and from names.json. The file is written as text directly, a line per name,
 * since it is rewritten whenever one of many thousand names changes: labels and addresses need no escapes.
 */
#include "state/names.h"

#include <assert.h>

#include "state/peer_text.h"

#define LARGE_BYTES (1u << 20)

const char *const name_kind_names[] = {"service", "container", "alias"};
static_assert(ARRAY_LEN(name_kind_names) == NAME_KIND_N_, "one name per kind");

bool label_valid(const char *s)
{
	size_t n = 0;
	for (; n < LABEL_BYTES && s[n]; n++) {
		char c = s[n];
		if (c == '.' && (n == 0 || s[n - 1] == '.'))
			return false;
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
			return false;
	}
	return n > 0 && n < LABEL_BYTES && s[n - 1] != '.';
}

bool label_lower(const char *s, char ret[static LABEL_BYTES])
{
	size_t n = 0;
	for (; n < LABEL_BYTES - 1 && s[n]; n++)
		ret[n] = s[n] >= 'A' && s[n] <= 'Z' ? (char)(s[n] - 'A' + 'a') : s[n];
	ret[n] = '\0';
	return !s[n] && label_valid(ret);
}

static void name_done(struct name *n)
{
	free(n->addresses);
}

void name_stack_done(struct name_stack *s)
{
	for (size_t i = 0; i < s->n_names; i++)
		name_done(&s->names[i]);
	free(s->names);
	*s = (struct name_stack){0};
}

void names_done(struct names *n)
{
	for (size_t i = 0; i < n->n_stacks; i++)
		name_stack_done(&n->stacks[i]);
	free(n->stacks);
	problems_done(&n->problems);
	*n = (struct names){0};
}

static int name_cmp(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

static int name_stack_cmp(const void *a, const void *b)
{
	const struct name_stack *x = a, *y = b;
	if (x->vni != y->vni)
		return x->vni < y->vni ? -1 : 1;
	int order = strcmp(x->stack_id, y->stack_id);
	return order ? order : strcmp(x->host_id, y->host_id);
}

static int address_cmp(const void *a, const void *b)
{
	return ip_cmp(a, b);
}

static void sort(void *items, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	if (n > 1)
		qsort(items, n, size, cmp);
}

void names_sort(struct names *n)
{
	sort(n->stacks, n->n_stacks, sizeof(*n->stacks), name_stack_cmp);
	for (size_t i = 0; i < n->n_stacks; i++)
		sort(n->stacks[i].names, n->stacks[i].n_names, sizeof(*n->stacks[i].names), name_cmp);
}

bool name_stack_same(const struct name_stack *a, const struct name_stack *b)
{
	if (name_stack_cmp(a, b) != 0 || !str_eq(a->host_name, b->host_name) || a->n_names != b->n_names)
		return false;
	for (size_t i = 0; i < a->n_names; i++) {
		const struct name *x = &a->names[i], *y = &b->names[i];
		if (x->kind != y->kind || x->n_addresses != y->n_addresses || !str_eq(x->name, y->name))
			return false;
		for (size_t j = 0; j < x->n_addresses; j++)
			if (ip_cmp(&x->addresses[j], &y->addresses[j]) != 0)
				return false;
	}
	return true;
}

/* one name leading to one address */
struct claim {
	char name[LABEL_BYTES];
	enum name_kind kind;
	struct ip ip;
};

struct claims {
	struct claim *v;
	size_t n, cap;
};

static int claim_cmp(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	if (!order)
		order = (int)x->kind - (int)y->kind;
	return order ? order : ip_cmp(&x->ip, &y->ip);
}

static void claim_add(struct claims *all, const char *name, enum name_kind kind, const struct inv_interface *f)
{
	char label[LABEL_BYTES];
	if (!label_lower(name, label))
		return;
	for (size_t i = 0; i < f->n_addresses; i++) {
		struct claim *c = xgrow(&all->v, all->n, &all->cap);
		memcpy(c->name, label, sizeof(label));
		c->kind = kind;
		c->ip = f->addresses[i];
		all->n++;
	}
}

static int kind_cmp(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	return x->kind != y->kind ? (int)x->kind - (int)y->kind : name_cmp(a, b);
}

/* of too many names those of services stay: there are few of them, and people use them */
static void names_cut(struct name_stack *s)
{
	if (s->n_names <= LIMIT_NAMES_PER_STACK)
		return;
	sort(s->names, s->n_names, sizeof(*s->names), kind_cmp);
	while (s->n_names > LIMIT_NAMES_PER_STACK)
		name_done(&s->names[--s->n_names]);
	sort(s->names, s->n_names, sizeof(*s->names), name_cmp);
}

/* @c: sorted; of the first ones with one name those of one kind. Return: how many have that name */
static size_t name_from_claims(const struct claim *c, size_t n, struct name *ret)
{
	struct ip addresses[LIMIT_NAME_ADDRESSES];
	size_t i = 0;
	memcpy(ret->name, c->name, sizeof(ret->name));
	ret->kind = c->kind;
	ret->n_addresses = 0;
	for (; i < n && str_eq(c[i].name, c->name); i++) {
		if (c[i].kind != c->kind || ret->n_addresses >= LIMIT_NAME_ADDRESSES ||
		    (ret->n_addresses && ip_cmp(&addresses[ret->n_addresses - 1], &c[i].ip) == 0))
			continue;
		addresses[ret->n_addresses++] = c[i].ip;
	}
	ret->addresses = xmemdup(addresses, ret->n_addresses * sizeof(*addresses));
	return i;
}

void names_of_stack(const struct inv_stack *s, struct name_stack *ret)
{
	struct claims all = {0};
	for (size_t i = 0; i < s->n_containers; i++) {
		const struct inv_container *c = &s->containers[i];
		if (c->health == HEALTH_STARTING || c->health == HEALTH_UNHEALTHY)
			continue;
		for (size_t j = 0; j < c->n_interfaces; j++) {
			const struct inv_interface *f = &c->interfaces[j];
			claim_add(&all, c->service, NAME_SERVICE, f);
			claim_add(&all, c->name, NAME_CONTAINER, f);
			for (size_t k = 0; k < f->n_aliases; k++)
				claim_add(&all, f->aliases[k], NAME_ALIAS, f);
		}
	}
	sort(all.v, all.n, sizeof(*all.v), claim_cmp);
	name_stack_done(ret);
	str_copy(ret->stack_id, s->stack_id);
	ret->vni = s->vni;
	for (size_t i = 0; i < all.n;) {
		struct name *n = xgrow(&ret->names, ret->n_names, &ret->cap_names);
		i += name_from_claims(&all.v[i], all.n - i, n);
		ret->n_names++;
	}
	free(all.v);
	names_cut(ret);
}

static json_t *name_to_json(const struct name *n)
{
	char text[IP_STRLEN];
	json_t *o = json_object(), *addresses = json_array();
	json_put_str(o, "name", n->name);
	json_put_str(o, "kind", name_kind_names[n->kind]);
	for (size_t i = 0; i < n->n_addresses; i++)
		json_array_append_new(addresses, json_string(ip_format(&n->addresses[i], text)));
	json_put(o, "addresses", addresses);
	return o;
}

/* all but its names */
static json_t *head_to_json(const struct name_stack *s)
{
	json_t *o = json_object();
	json_put_str(o, "host_id", s->host_id);
	json_put_str(o, "host_name", s->host_name);
	json_put_str(o, "stack_id", s->stack_id);
	json_put_int(o, "vni", s->vni);
	return o;
}

json_t *names_to_json(const struct names *n)
{
	json_t *o = json_object(), *stacks = json_array();
	json_put_int(o, "version", 1);
	json_put_wall(o, "last_update", n->last_update);
	for (size_t i = 0; i < n->n_stacks; i++) {
		const struct name_stack *s = &n->stacks[i];
		json_t *os = head_to_json(s), *names = json_array();
		for (size_t j = 0; j < s->n_names; j++)
			json_array_append_new(names, name_to_json(&s->names[j]));
		json_put(os, "names", names);
		json_array_append_new(stacks, os);
	}
	json_put(o, "stacks", stacks);
	json_put(o, "problems", problems_to_json(&n->problems));
	return o;
}

static int addresses_from_json(const json_t *o, struct name *n, struct err *err)
{
	struct ip addresses[LIMIT_NAME_ADDRESSES];
	const json_t *array = json_object_get(o, "addresses");
	size_t count = json_array_size(array), kept = 0;
	if (!json_is_array(array) || !count || count > LIMIT_NAME_ADDRESSES)
		return err_set(err, -EINVAL, "addresses is not an array of 1 to %d addresses", LIMIT_NAME_ADDRESSES);
	for (size_t i = 0; i < count; i++) {
		const char *s = json_string_value(json_array_get(array, i));
		if (!s || ip_parse(s, &addresses[i]) < 0)
			return err_set(err, -EINVAL, "addresses: element %zu is not an IP address", i);
	}
	sort(addresses, count, sizeof(*addresses), address_cmp);
	for (size_t i = 0; i < count; i++)
		if (!kept || ip_cmp(&addresses[kept - 1], &addresses[i]) != 0)
			addresses[kept++] = addresses[i];
	n->addresses = xmemdup(addresses, kept * sizeof(*addresses));
	n->n_addresses = kept;
	return 0;
}

/* allocates on success only */
static int name_from_json(const json_t *o, struct name *n, struct err *err)
{
	int r = json_required(json_get_str(o, "name", n->name, sizeof(n->name), err), "name", err);
	if (r < 0)
		return r;
	if (!label_valid(n->name))
		return err_set(err, -EINVAL, "name is not a name of a-z, 0-9, '_', '-' and single dots inside");
	r = json_required(json_get_enum(o, "kind", name_kind_names, NAME_KIND_N_, err), "kind", err);
	if (r < 0)
		return r;
	n->kind = (enum name_kind)r;
	return addresses_from_json(o, n, err);
}

static int name_kind_cmp(const void *a, const void *b)
{
	int order = name_cmp(a, b);
	return order ? order : (int)((const struct name *)a)->kind - (int)((const struct name *)b)->kind;
}

/* one name twice: the kind that counts stays */
static void names_tidy(struct name_stack *s)
{
	size_t kept = 0;
	sort(s->names, s->n_names, sizeof(*s->names), name_kind_cmp);
	for (size_t i = 0; i < s->n_names; i++) {
		if (kept && str_eq(s->names[kept - 1].name, s->names[i].name))
			name_done(&s->names[i]);
		else
			s->names[kept++] = s->names[i];
	}
	s->n_names = kept;
}

/* what is allocated in @s stays also on failure */
static int stack_from_json(const json_t *o, struct name_stack *s, size_t *total, struct problems *problems,
			   struct err *err)
{
	char object[256];
	int64_t vni;
	int r;
	if ((r = json_required(json_get_str(o, "host_id", s->host_id, sizeof(s->host_id), err), "host_id", err)) < 0 ||
	    (r = json_optional(json_get_str(o, "host_name", s->host_name, sizeof(s->host_name), err))) < 0 ||
	    (r = json_required(json_get_str(o, "stack_id", s->stack_id, sizeof(s->stack_id), err), "stack_id", err)) <
		    0 ||
	    (r = json_required(json_get_int(o, "vni", 1, VNI_MAX, &vni, err), "vni", err)) < 0)
		return r;
	if (!host_id_valid(s->host_id))
		return err_set(err, -EINVAL, "host_id is not %d lower-case hex digits", HOST_ID_LEN);
	if (!name_valid(s->stack_id))
		return err_set(err, -EINVAL, "stack_id is not a name of letters, digits, '_', '.' and '-'");
	s->vni = (uint32_t)vni;
	str_print(object, "stack %s in %s", s->stack_id, STATE_NAMES);
	const json_t *array = json_get_array(o, "names", problems, object);
	size_t n = json_array_size(array);
	for (size_t i = 0; i < n; i++) {
		struct err why = {0};
		if (s->n_names >= LIMIT_NAMES_PER_STACK || *total >= LIMIT_NAMES) {
			problems_add(problems, object, "",
				     "more than %d names of a stack or %d in all: the rest is left out",
				     LIMIT_NAMES_PER_STACK, LIMIT_NAMES);
			break;
		}
		if (name_from_json(json_array_get(array, i), xgrow(&s->names, s->n_names, &s->cap_names), &why) < 0) {
			problems_add(problems, object, "", "names[%zu] is left out: %s", i, why.text);
			continue;
		}
		s->n_names++;
		(*total)++;
	}
	names_tidy(s);
	return 0;
}

static void stacks_from_json(const json_t *root, struct names *names)
{
	const json_t *array = json_get_array(root, "stacks", &names->problems, STATE_NAMES);
	size_t n = json_array_size(array), total = 0, kept = 0;
	for (size_t i = 0; i < n; i++) {
		struct err why = {0};
		if (names->n_stacks >= LIMIT_PEERS) {
			problems_add(&names->problems, STATE_NAMES, "", "more than %d stacks: the rest is left out",
				     LIMIT_PEERS);
			break;
		}
		struct name_stack *s = xgrow(&names->stacks, names->n_stacks, &names->cap_stacks);
		if (stack_from_json(json_array_get(array, i), s, &total, &names->problems, &why) < 0) {
			problems_add(&names->problems, STATE_NAMES, "", "stacks[%zu] is left out: %s", i, why.text);
			name_stack_done(s);
			continue;
		}
		names->n_stacks++;
	}
	names_sort(names);
	for (size_t i = 0; i < names->n_stacks; i++) {
		struct name_stack s = names->stacks[i];
		names->stacks[i] = (struct name_stack){0};
		if (!kept || name_stack_cmp(&names->stacks[kept - 1], &s) != 0) {
			names->stacks[kept++] = s;
			continue;
		}
		problems_add(&names->problems, STATE_NAMES, "", "stack %s of VNI %u is there twice", s.stack_id, s.vni);
		name_stack_done(&s);
	}
	names->n_stacks = kept;
}

int names_from_json(const json_t *root, struct names *ret, struct err *err)
{
	struct names n = {0};
	struct err why = {0};
	int r = json_check_version(root, STATE_NAMES, err);
	if (r < 0)
		return r;
	/* taken for an empty list it would take away every name */
	r = json_check_array(root, "stacks", err);
	if (r < 0)
		return err_wrap(err, STATE_NAMES);
	problems_from_json(json_object_get(root, "problems"), &n.problems);
	if (json_get_wall(root, "last_update", &n.last_update, &why) == -EINVAL)
		problems_add(&n.problems, STATE_NAMES, "", "%s", why.text);
	stacks_from_json(root, &n);
	*ret = n;
	return 0;
}

int names_read(int dirfd, const struct file_owner *owner, struct names *ret, struct err *err)
{
	json_t *root;
	int r = state_read_json(dirfd, STATE_NAMES, owner, &root, err);
	if (r < 0)
		return r;
	r = names_from_json(root, ret, err);
	json_decref(root);
	return r;
}

static void name_to_text(struct buf *b, const struct name *n)
{
	char text[IP_STRLEN];
	buf_puts(b, "{\"name\":\"");
	buf_puts(b, n->name);
	buf_puts(b, "\",\"kind\":\"");
	buf_puts(b, name_kind_names[n->kind]);
	buf_puts(b, "\",\"addresses\":[");
	for (size_t i = 0; i < n->n_addresses; i++) {
		buf_puts(b, i ? ",\"" : "\"");
		buf_puts(b, ip_format(&n->addresses[i], text));
		buf_puts(b, "\"");
	}
	buf_puts(b, "]}");
}

static void stack_to_text(struct buf *b, const struct name_stack *s)
{
	json_t *head = head_to_json(s);
	json_print(b, head, JSON_COMPACT);
	json_decref(head);
	b->len--; /* its closing bracket */
	buf_puts(b, ",\"names\":[");
	for (size_t i = 0; i < s->n_names; i++) {
		buf_puts(b, i ? ",\n   " : "\n   ");
		name_to_text(b, &s->names[i]);
	}
	buf_puts(b, s->n_names ? "\n  ]}" : "]}");
}

size_t name_stack_to_value(struct buf *b, const struct name_stack *s, uint64_t seq, size_t max_bytes)
{
	size_t begin = b->len, kept = 0;
	json_t *head = head_to_json(s);

	json_put_int(head, "seq", (int64_t)seq);
	json_print(b, head, JSON_COMPACT);
	json_decref(head);
	b->len--; /* its closing bracket */
	buf_puts(b, ",\"names\":[");
	for (; kept < s->n_names; kept++) {
		size_t before = b->len;

		if (kept)
			buf_puts(b, ",");
		name_to_text(b, &s->names[kept]);
		if (b->len - begin > max_bytes - strlen("]}")) {
			b->len = before;
			break;
		}
	}
	buf_puts(b, "]}");
	return kept;
}

int name_stack_from_value(const char *s, size_t len, struct name_stack *ret, uint64_t *ret_seq, struct err *err)
{
	json_t *o = json_parse_bounded(s, len, err);
	struct problems left_out = {0};
	struct name_stack names = {0};
	size_t total = 0;
	int64_t seq = 0;
	int r = !o ? -EINVAL : json_is_object(o) ? 0 : err_set(err, -EINVAL, "no JSON object");

	if (r == 0)
		r = json_required(json_get_int(o, "seq", 0, INT64_MAX, &seq, err), "seq", err);
	if (r == 0)
		r = json_check_array(o, "names", err);
	if (r == 0)
		r = stack_from_json(o, &names, &total, &left_out, err);
	json_decref(o);
	problems_done(&left_out);
	if (r < 0) {
		name_stack_done(&names);
		return -EINVAL;
	}
	*ret = names;
	*ret_seq = (uint64_t)seq;
	return 0;
}

int names_write(int dirfd, const struct names *n, struct err *err)
{
	struct buf text = {0};
	char time[WALL_STRLEN];
	buf_printf(&text, "{\n \"version\": 1,\n \"last_update\": \"%s\",\n \"stacks\": [",
		   wall_format(n->last_update, time));
	for (size_t i = 0; i < n->n_stacks; i++) {
		buf_puts(&text, i ? ",\n  " : "\n  ");
		stack_to_text(&text, &n->stacks[i]);
	}
	buf_puts(&text, n->n_stacks ? "\n ],\n \"problems\": " : "],\n \"problems\": ");
	json_t *problems = problems_to_json(&n->problems);
	json_print(&text, problems, JSON_INDENT(1));
	json_decref(problems);
	buf_puts(&text, "\n}\n");
	int r = file_replace(dirfd, STATE_NAMES, text.data, text.len, 0644, 0, err);
	bool large = text.len > LARGE_BYTES;
	buf_done(&text);
	if (large) /* kept at its peak, malloc would hold several times what the names need */
		alloc_trim();
	return r;
}
