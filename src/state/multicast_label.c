/* SPDX-License-Identifier: Apache-2.0
 *
 * "ssdp,239.1.0.0/16" to a struct and back; see multicast_label.h.
 */
#include "state/multicast_label.h"

static int group_cmp(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

/* What routers pass on: not 224.0.0.0/24, and of IPv6 no scope below that of an admin-local group */
static bool is_routable(const struct prefix *p)
{
	static const struct prefix local4 = {{AF_INET, {224}}, 24}, v4 = {{AF_INET, {224}}, 4};

	if (p->ip.family == AF_INET)
		return prefix_contains(&v4, p) && !prefix_contains(&local4, p);
	return p->ip.b[0] == 0xff && p->len >= 8 && (p->len < 16 || (p->ip.b[1] & 0x0f) > 3);
}

static int group_add(struct multicast_label *l, const struct prefix *group)
{
	for (size_t i = 0; i < l->n_groups; i++)
		if (prefix_contains(&l->groups[i], group))
			return 0;
	if (l->n_groups >= LIMIT_GROUP_RANGES)
		return -E2BIG;
	l->groups[l->n_groups++] = *group;
	return 0;
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* "_ipp._tcp", RFC 6335 section 5.1: letters, digits and '-', at most 15 */
static bool type_read(const char *word, char ret[static LIMIT_MDNS_TYPE])
{
	size_t n = strlen(word), name = n > 6 ? n - 6 : 0;

	if (name < 1 || name > 15 || word[0] != '_' ||
	    (!str_eq(word + n - 5, "._tcp") && !str_eq(word + n - 5, "._udp")))
		return false;
	for (size_t i = 0; i <= n; i++)
		ret[i] = (char)(word[i] >= 'A' && word[i] <= 'Z' ? word[i] - 'A' + 'a' : word[i]);
	for (size_t i = 1; i <= name; i++)
		if (!(ret[i] >= 'a' && ret[i] <= 'z') && !(ret[i] >= '0' && ret[i] <= '9') && ret[i] != '-')
			return false;
	return true;
}

static int type_add(struct multicast_label *l, const char *type)
{
	l->mdns = true;
	for (size_t i = 0; i < l->n_types; i++)
		if (str_eq(l->types[i], type))
			return 0;
	if (l->n_types >= LIMIT_MDNS_TYPES)
		return -E2BIG;
	str_copy(l->types[l->n_types], type);
	l->n_types++;
	return 0;
}

bool overlay_group_valid(const struct ip *group)
{
	static const struct ip mdns = {AF_INET, {224, 0, 0, 251}};
	const struct prefix p = {*group, (uint8_t)ip_bits(group->family)};

	return ip_cmp(group, &mdns) == 0 || (ip_is_multicast(group) && is_routable(&p));
}

size_t multicast_label_fixed(const struct multicast_label *l, struct ip ret[static MULTICAST_LABEL_FIXED])
{
	size_t n = 0;

	if (l->mdns)
		ret[n++] = (struct ip){AF_INET, {224, 0, 0, 251}};
	if (l->ssdp)
		ret[n++] = (struct ip){AF_INET, {239, 255, 255, 250}};
	if (l->ssdp)
		ret[n++] = (struct ip){AF_INET6, {0xff, 0x05, [15] = 0x0c}};
	return n;
}

bool multicast_label_has(const struct multicast_label *l, const struct ip *group)
{
	struct ip fixed[MULTICAST_LABEL_FIXED];
	size_t n = multicast_label_fixed(l, fixed);

	for (size_t i = 0; i < n; i++)
		if (ip_cmp(&fixed[i], group) == 0)
			return true;
	if (group->family == AF_INET && group->b[0] == 224 && !group->b[1] && !group->b[2])
		return false;
	for (size_t i = 0; i < l->n_groups; i++)
		if (prefix_has_ip(&l->groups[i], group))
			return overlay_group_valid(group);
	return false;
}

/* Where it goes, which the words say together */
struct where {
	bool lan, overlay;
};

static int word_add(struct multicast_label *l, struct where *w, const char *word, struct err *err)
{
	static const struct prefix all[] = {{{AF_INET, {224}}, 4}, {{AF_INET6, {0xff}}, 8}};
	autobuf struct buf given = {0};
	char type[LIMIT_MDNS_TYPE];
	struct prefix p;
	int rc = 0;

	str_safe(&given, word);
	if (str_eq(word, "ssdp")) {
		l->ssdp = true;
	} else if (str_eq(word, "mdns")) {
		l->mdns = true;
	} else if (str_eq(word, "routed")) {
		l->routed = true;
	} else if (word[0] == '_') {
		if (!type_read(word, type))
			return err_set(
				err, -EINVAL,
				"\"%s\" is no type of service such as _ipp._tcp; allowed are " MULTICAST_LABEL_TEXT,
				given.data);
		if (type_add(l, type) < 0)
			return err_set(err, -E2BIG, "more than %d types of service", LIMIT_MDNS_TYPES);
	} else if (str_eq(word, "lan")) {
		w->lan = true;
	} else if (str_eq(word, "overlay")) {
		w->overlay = true;
	} else if (str_eq(word, "all")) {
		l->ssdp = l->mdns = true;
		l->n_groups = 0;
		for (size_t i = 0; i < ARRAY_LEN(all) && rc == 0; i++)
			rc = group_add(l, &all[i]);
	} else if (prefix_parse(word, &p) == 0) {
		p = prefix_mask(p);
		if (!is_routable(&p))
			return err_set(
				err, -EINVAL,
				"\"%s\" is no range of groups that can be routed; allowed are " MULTICAST_LABEL_TEXT,
				given.data);
		rc = group_add(l, &p);
	} else {
		return err_set(err, -EINVAL, "\"%s\" is unknown; allowed are " MULTICAST_LABEL_TEXT, given.data);
	}
	return rc < 0 ? err_set(err, rc, "more than %d ranges of groups", LIMIT_GROUP_RANGES) : 0;
}

int multicast_label_parse(const char *value, struct multicast_label *ret, struct err *err)
{
	struct multicast_label l = {0};
	struct where where = {0};

	for (const char *s = value; *s;) {
		size_t len = strcspn(s, ", \t");
		char word[PREFIX_STRLEN + 8];

		if (len) {
			snprintf(word, sizeof(word), "%.*s", (int)(len < sizeof(word) ? len : sizeof(word) - 1), s);
			int rc = word_add(&l, &where, word, err);

			if (rc < 0)
				return rc;
		}
		s += len + (s[len] != '\0');
	}
	l.overlay = where.overlay;
	l.no_lan = where.overlay && !where.lan;
	if (!l.ssdp && !l.mdns && !l.n_groups)
		return err_set(err, -EINVAL, "%s; allowed are " MULTICAST_LABEL_TEXT,
			       where.lan || l.overlay || l.routed ? "says how, and not what" : "is empty");
	if (l.n_groups > 1)
		qsort(l.groups, l.n_groups, sizeof(l.groups[0]), group_cmp);
	if (l.n_types > 1)
		qsort(l.types, l.n_types, sizeof(l.types[0]), text_cmp);
	*ret = l;
	return 0;
}

const char *multicast_label_print(const struct multicast_label *l, char out[static MULTICAST_LABEL_STRLEN])
{
	size_t at = 0;

	out[0] = '\0';
	if (l->ssdp)
		at += (size_t)snprintf(out, MULTICAST_LABEL_STRLEN, "ssdp");
	if (l->mdns)
		at += (size_t)snprintf(out + at, MULTICAST_LABEL_STRLEN - at, "%smdns", at ? "," : "");
	for (size_t i = 0; i < l->n_types; i++)
		at += (size_t)snprintf(out + at, MULTICAST_LABEL_STRLEN - at, ",%s", l->types[i]);
	for (size_t i = 0; i < l->n_groups; i++) {
		char text[PREFIX_STRLEN];

		at += (size_t)snprintf(out + at, MULTICAST_LABEL_STRLEN - at, "%s%s", at ? "," : "",
				       prefix_format(&l->groups[i], text));
	}
	if (l->routed)
		at += (size_t)snprintf(out + at, MULTICAST_LABEL_STRLEN - at, "%srouted", at ? "," : "");
	if (l->overlay)
		snprintf(out + at, MULTICAST_LABEL_STRLEN - at, "%s%soverlay", at ? "," : "", l->no_lan ? "" : "lan,");
	return out;
}

bool multicast_label_same(const struct multicast_label *a, const struct multicast_label *b)
{
	if (a->ssdp != b->ssdp || a->mdns != b->mdns || a->routed != b->routed || a->overlay != b->overlay ||
	    a->no_lan != b->no_lan || a->n_types != b->n_types || a->n_groups != b->n_groups)
		return false;
	for (size_t i = 0; i < a->n_groups; i++)
		if (prefix_cmp(&a->groups[i], &b->groups[i]) != 0)
			return false;
	for (size_t i = 0; i < a->n_types; i++)
		if (!str_eq(a->types[i], b->types[i]))
			return false;
	return true;
}
