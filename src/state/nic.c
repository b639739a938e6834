/* SPDX-License-Identifier: Apache-2.0
 *
 * What a NIC is to be, from text and back; see nic.h.
 */
#include "state/nic.h"

#include <assert.h>

#define WORD_BYTES 512

const char *const nic_kind_names[] = {"veth", "macvlan", "macvlan-private", "physical"};
static_assert(ARRAY_LEN(nic_kind_names) == NIC_KIND_N_, "one name per kind");

const char *const nic_keys[] = {"kind", "address", "gateway",  "mac",  "mtu", "routes",
				"dns",	"metric",  "isolated", "shim", NULL};

bool nic_name_valid(const char *name)
{
	size_t n = strlen(name);

	if (n < 1 || n >= NIC_NAME || name[0] == '-' || str_eq(name, ".") || str_eq(name, "..") || str_eq(name, "lo") ||
	    str_eq(name, "all") || str_eq(name, "default"))
		return false;
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c > '~' || strchr("/:%\"\\", *c))
			return false;
	return true;
}

/*
 * The next word of a list. Return: true: it is in @word; false: the end, or (*s not at the end then) it does not fit
 */
static bool word_next(const char **s, const char *separators, char *word, size_t size)
{
	size_t len;

	*s += strspn(*s, separators);
	len = strcspn(*s, separators);
	if (len == 0 || len >= size)
		return false;
	memcpy(word, *s, len);
	word[len] = '\0';
	*s += len;
	return true;
}

PRINTF(3, 4)
static int refuse(struct err *err, const char *given, const char *fmt, ...)
{
	autobuf struct buf shown = {0};
	char words[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	str_safe(&shown, given);
	return err_set(err, -EINVAL, "\"%.100s\" %s", shown.data ? shown.data : "", words);
}

/* --- the list --- */

static int list_add(struct nic_specs *specs, const char *word, const char *prefix, struct err *err)
{
	static const char allowed[] = "is not BRIDGE:NAME; both are interface names of 1 to 15 characters";
	const char *colon = strchr(word, ':');
	struct nic_spec nic = {.metric = -1};
	char parent[WORD_BYTES];

	if (!colon)
		return refuse(err, word, "%s", allowed);
	snprintf(parent, sizeof(parent), "%s%.*s", prefix, (int)(colon - word), word);
	if (!nic_name_valid(parent) || !nic_name_valid(colon + 1) || colon == word)
		return refuse(err, word, "%s", allowed);
	if (nic_find(specs, colon + 1))
		return refuse(err, colon + 1, "is the name of two NICs; each needs one of its own");
	if (specs->n >= LIMIT_NICS)
		return err_set(err, -E2BIG, "more than %d NICs for one container", LIMIT_NICS);
	str_copy(nic.parent, parent);
	str_copy(nic.name, colon + 1);
	specs->v[specs->n++] = nic;
	return 0;
}

int nic_list_parse(const char *value, const char *prefix, struct nic_specs *ret, struct err *err)
{
	struct nic_specs specs = {0};
	char word[WORD_BYTES];

	while (word_next(&value, ", \t\r\n", word, sizeof(word))) {
		int rc = list_add(&specs, word, prefix, err);

		if (rc < 0)
			return rc;
	}
	if (*value)
		return err_set(err, -EINVAL, "a word of more than %d characters", WORD_BYTES - 1);
	if (!specs.n)
		return err_set(err, -EINVAL, "is empty; allowed are BRIDGE:NAME, several with spaces between");
	*ret = specs;
	return 0;
}

struct nic_spec *nic_find(struct nic_specs *specs, const char *name)
{
	for (size_t i = 0; i < specs->n; i++)
		if (str_eq(specs->v[i].name, name))
			return &specs->v[i];
	return NULL;
}

/* --- settings --- */

/* An address that a host may have, with its length; host bits say which one of the subnet */
static bool address_usable(const struct prefix *p)
{
	struct prefix net = prefix_mask(*p);
	struct ip last = prefix_last(p);
	bool v4 = p->ip.family == AF_INET;

	if (ip_is_none(&p->ip) || ip_is_unspecified(&p->ip) || ip_is_multicast(&p->ip) || ip_is_loopback(&p->ip) ||
	    p->len == 0)
		return false;
	if (v4 && p->ip.b[0] >= 240)
		return false;
	/* those of the subnet itself and of all in it */
	return !v4 || p->len >= 31 || (ip_cmp(&net.ip, &p->ip) != 0 && ip_cmp(&last, &p->ip) != 0);
}

static int set_address(struct nic_spec *nic, const char *value, struct err *err)
{
	static const char allowed[] = "is not allowed; dhcp, dhcp6, slaac and addresses with their length, such as "
				      "192.0.2.5/24, are";
	struct nic_spec n = *nic;
	char word[WORD_BYTES];

	n.dhcp = n.dhcp6 = n.slaac = false;
	n.n_addresses = 0;
	while (word_next(&value, ", \t", word, sizeof(word))) {
		struct prefix p;

		if (str_eq(word, "dhcp")) {
			n.dhcp = true;
		} else if (str_eq(word, "dhcp6")) {
			n.dhcp6 = true;
		} else if (str_eq(word, "slaac")) {
			n.slaac = true;
		} else if (!strchr(word, '/') || prefix_parse(word, &p) < 0 || !address_usable(&p)) {
			return refuse(err, word, "%s", allowed);
		} else if (n.n_addresses >= LIMIT_NIC_ADDRESSES) {
			return err_set(err, -E2BIG, "more than %d addresses", LIMIT_NIC_ADDRESSES);
		} else {
			n.addresses[n.n_addresses++] = p;
		}
	}
	if (*value || (!n.dhcp && !n.dhcp6 && !n.slaac && !n.n_addresses))
		return refuse(err, value, "%s", allowed);
	*nic = n;
	return 0;
}

static bool ip_usable(const char *word, struct ip *ret)
{
	return ip_parse(word, ret) == 0 && !ip_is_unspecified(ret) && !ip_is_multicast(ret) && !ip_is_loopback(ret);
}

static int set_gateway(struct nic_spec *nic, const char *value, struct err *err)
{
	static const char allowed[] = "is not allowed; an IPv4 address, an IPv6 address, or one of each is";
	struct ip gateways[2] = {0};
	char word[WORD_BYTES];

	while (word_next(&value, ", \t", word, sizeof(word))) {
		struct ip ip;

		if (!ip_usable(word, &ip) || !ip_is_none(&gateways[ip.family == AF_INET6]))
			return refuse(err, word, "%s", allowed);
		gateways[ip.family == AF_INET6] = ip;
	}
	if (*value || (ip_is_none(&gateways[0]) && ip_is_none(&gateways[1])))
		return refuse(err, value, "%s", allowed);
	memcpy(nic->gateways, gateways, sizeof(gateways));
	return 0;
}

static int route_parse(const char *text, struct nic_route *ret)
{
	struct nic_route r = {0};
	char word[WORD_BYTES];

	if (!word_next(&text, " \t", word, sizeof(word)) || !strchr(word, '/') || prefix_parse(word, &r.to) < 0 ||
	    ip_is_multicast(&r.to.ip))
		return -EINVAL;
	r.to = prefix_mask(r.to);
	if (word_next(&text, " \t", word, sizeof(word))) {
		if (!str_eq(word, "via") || !word_next(&text, " \t", word, sizeof(word)) || !ip_usable(word, &r.via) ||
		    r.via.family != r.to.ip.family)
			return -EINVAL;
	}
	if (*(text + strspn(text, " \t")))
		return -EINVAL;
	*ret = r;
	return 0;
}

static int set_routes(struct nic_spec *nic, const char *value, struct err *err)
{
	struct nic_route routes[LIMIT_NIC_ROUTES];
	char text[WORD_BYTES];
	size_t n = 0;

	while (word_next(&value, ",", text, sizeof(text))) {
		if (n >= LIMIT_NIC_ROUTES)
			return err_set(err, -E2BIG, "more than %d routes", LIMIT_NIC_ROUTES);
		if (route_parse(text, &routes[n++]) < 0)
			return refuse(err, text, "is not allowed; 10.0.0.0/8 via 192.0.2.1 is, or 10.0.0.0/8 alone");
	}
	if (*value || !n)
		return refuse(err, value, "is not allowed; routes such as 10.0.0.0/8 via 192.0.2.1 are, with commas");
	memcpy(nic->routes, routes, n * sizeof(routes[0]));
	nic->n_routes = n;
	return 0;
}

static int set_dns(struct nic_spec *nic, const char *value, struct err *err)
{
	struct ip dns[LIMIT_DNS];
	char word[WORD_BYTES];
	size_t n = 0;

	nic->no_dns = str_eq(value, "none");
	if (nic->no_dns) {
		nic->n_dns = 0;
		return 0;
	}
	while (word_next(&value, ", \t", word, sizeof(word))) {
		if (n >= LIMIT_DNS)
			return err_set(err, -E2BIG, "more than %d name servers", LIMIT_DNS);
		if (ip_parse(word, &dns[n]) < 0 || ip_is_multicast(&dns[n]) || ip_is_unspecified(&dns[n]))
			return refuse(err, word,
				      "is no address of a name server; addresses with commas are allowed, or none");
		n++;
	}
	if (*value || !n)
		return refuse(err, value, "is not allowed; addresses of name servers with commas are, or none");
	memcpy(nic->dns, dns, n * sizeof(dns[0]));
	nic->n_dns = n;
	return 0;
}

static int set_mac(struct nic_spec *nic, const char *value, struct err *err)
{
	struct mac m;

	if (mac_parse(value, &m) < 0 || mac_is_none(&m) || m.b[0] & 1)
		return refuse(err, value,
			      "is no MAC of one interface; 02:00:00:00:00:01 and the like are allowed, not those "
			      "of groups");
	nic->mac = m;
	return 0;
}

static int number_set(const char *value, uint64_t min, uint64_t max, uint64_t *ret, struct err *err)
{
	if (parse_u64(value, min, max, ret) < 0)
		return refuse(err, value, "is not allowed; whole numbers from %llu to %llu are",
			      (unsigned long long)min, (unsigned long long)max);
	return 0;
}

static int flag_set(const char *value, bool *ret, struct err *err)
{
	if (!str_eq(value, "true") && !str_eq(value, "false"))
		return refuse(err, value, "is not allowed; true or false is");
	*ret = value[0] == 't';
	return 0;
}

static int set_kind(struct nic_spec *nic, const char *value, struct err *err)
{
	for (int i = 0; i < NIC_KIND_N_; i++) {
		if (str_eq(value, nic_kind_names[i])) {
			nic->kind = (enum nic_kind)i;
			return 0;
		}
	}
	return refuse(err, value, "is not allowed; veth, macvlan, macvlan-private or physical is");
}

int nic_set(struct nic_spec *nic, const char *key, const char *value, struct err *err)
{
	uint64_t number = 0;
	bool flag = true;
	int rc;

	if (str_eq(key, "kind"))
		return set_kind(nic, value, err);
	if (str_eq(key, "address"))
		return set_address(nic, value, err);
	if (str_eq(key, "gateway"))
		return set_gateway(nic, value, err);
	if (str_eq(key, "mac"))
		return set_mac(nic, value, err);
	if (str_eq(key, "routes"))
		return set_routes(nic, value, err);
	if (str_eq(key, "dns"))
		return set_dns(nic, value, err);
	if (str_eq(key, "mtu")) {
		rc = number_set(value, 576, 65535, &number, err);
		if (rc == 0)
			nic->mtu = (uint32_t)number;
		return rc;
	}
	if (str_eq(key, "metric")) {
		rc = number_set(value, 0, INT32_MAX, &number, err);
		if (rc == 0)
			nic->metric = (int64_t)number;
		return rc;
	}
	if (str_eq(key, "isolated"))
		return flag_set(value, &nic->isolated, err);
	if (str_eq(key, "shim")) {
		rc = flag_set(value, &flag, err);
		if (rc == 0)
			nic->no_shim = !flag;
		return rc;
	}
	const char *nearest = str_nearest(key, nic_keys);
	return refuse(err, key, "is no setting of a NIC%s%s%s", nearest ? ", did you mean " : "",
		      nearest ? nearest : "", nearest ? "?" : "");
}

static bool has_family(const struct nic_spec *nic, uint8_t family)
{
	for (size_t i = 0; i < nic->n_addresses; i++)
		if (nic->addresses[i].ip.family == family)
			return true;
	return family == AF_INET ? nic->dhcp : nic->dhcp6 || nic->slaac;
}

int nic_check(const struct nic_spec *nic, struct err *err)
{
	for (int i = 0; i < 2; i++) {
		uint8_t family = i ? AF_INET6 : AF_INET;

		if (ip_is_none(&nic->gateways[i]) || has_family(nic, family))
			continue;
		if (family == AF_INET6 && ip_is_link_local(&nic->gateways[i]) && nic->n_addresses)
			continue;
		return err_set(err, -EINVAL, "gateway: the NIC has no address of IPv%c to reach it with",
			       i ? '6' : '4');
	}
	for (size_t i = 0; i < nic->n_routes; i++)
		if (!has_family(nic, nic->routes[i].to.ip.family))
			return err_set(err, -EINVAL, "routes: the NIC has no address of IPv%c",
				       nic->routes[i].to.ip.family == AF_INET6 ? '6' : '4');
	if (nic->isolated && nic->kind != NIC_VETH)
		return err_set(err, -EINVAL, "isolated: only for kind veth, which is a port of a bridge");
	if (nic->mtu && nic->mtu < 1280 && has_family(nic, AF_INET6))
		return err_set(err, -EINVAL, "mtu: IPv6 needs at least 1280");
	return 0;
}

/* --- what stays --- */

void nic_owner(const char *project, const char *service, uint32_t number, const char *name, char *ret, size_t size)
{
	if (project[0] && service[0])
		snprintf(ret, size, "%s/%s/%u", project, service, number ? number : 1);
	else
		snprintf(ret, size, "%s", name);
}

struct mac nic_mac(const char *owner, const char *nic_name)
{
	uint64_t h = hash64(nic_name, strlen(nic_name) + 1, hash64(owner, strlen(owner) + 1, 0x6e6963));
	struct mac m = {{0x02}};

	for (size_t i = 1; i < sizeof(m.b); i++, h >>= 8)
		m.b[i] = (uint8_t)h;
	return m;
}

/* --- JSON --- */

static void routes_print(struct buf *b, const struct nic_route *v, size_t n)
{
	char to[PREFIX_STRLEN], via[IP_STRLEN];

	for (size_t i = 0; i < n; i++) {
		buf_printf(b, "%s%s", i ? "," : "", prefix_format(&v[i].to, to));
		if (!ip_is_none(&v[i].via))
			buf_printf(b, " via %s", ip_format(&v[i].via, via));
	}
}

static void ips_print(struct buf *b, const struct ip *v, size_t n)
{
	char text[IP_STRLEN];

	for (size_t i = 0; i < n; i++)
		if (!ip_is_none(&v[i]))
			buf_printf(b, "%s%s", b->len ? "," : "", ip_format(&v[i], text));
}

static void put_buf(json_t *o, const char *key, struct buf *b)
{
	if (b->len)
		json_put_str(o, key, b->data);
	buf_done(b);
	*b = (struct buf){0};
}

/* As nic_set() takes it, so that what reads inventory.json is that one parser */
json_t *nic_to_json(const struct nic_spec *nic)
{
	json_t *o = json_object();
	struct buf b = {0};
	char text[PREFIX_STRLEN];

	json_put_str(o, "parent", nic->parent);
	json_put_str(o, "name", nic->name);
	json_put_str(o, "kind", nic_kind_names[nic->kind]);
	buf_printf(&b, "%s%s%s", nic->dhcp ? "dhcp," : "", nic->dhcp6 ? "dhcp6," : "", nic->slaac ? "slaac," : "");
	for (size_t i = 0; i < nic->n_addresses; i++)
		buf_printf(&b, "%s,", prefix_format(&nic->addresses[i], text));
	if (b.len)
		b.data[--b.len] = '\0';
	put_buf(o, "address", &b);
	ips_print(&b, nic->gateways, 2);
	put_buf(o, "gateway", &b);
	if (!mac_is_none(&nic->mac))
		json_put_mac(o, "mac", &nic->mac);
	if (nic->mtu)
		json_put_int(o, "mtu", nic->mtu);
	routes_print(&b, nic->routes, nic->n_routes);
	put_buf(o, "routes", &b);
	ips_print(&b, nic->dns, nic->n_dns);
	put_buf(o, "dns", &b);
	if (nic->no_dns)
		json_put_str(o, "dns", "none");
	if (nic->metric >= 0)
		json_put_int(o, "metric", nic->metric);
	if (nic->isolated)
		json_put(o, "isolated", json_true());
	if (nic->no_shim)
		json_put(o, "shim", json_false());
	return o;
}

static int setting_from_json(const json_t *o, const char *key, struct nic_spec *nic, struct err *err)
{
	const json_t *v = json_object_get(o, key);
	char number[24];
	const char *s;

	if (!v || json_is_null(v))
		return 0;
	if (json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v)) {
		s = json_string_value(v);
	} else if (json_is_boolean(v)) {
		s = json_is_true(v) ? "true" : "false";
	} else if (json_is_integer(v)) {
		str_print(number, "%lld", (long long)json_integer_value(v));
		s = number;
	} else {
		return err_set(err, -EINVAL, "%s is neither text nor a number", key);
	}
	int rc = nic_set(nic, key, s, err);
	return rc < 0 ? err_wrap(err, "%s", key) : 0;
}

int nic_from_json(const json_t *o, struct nic_spec *ret, struct err *err)
{
	struct nic_spec nic = {.metric = -1};
	int rc;

	if ((rc = json_required(json_get_str(o, "parent", nic.parent, sizeof(nic.parent), err), "parent", err)) < 0 ||
	    (rc = json_required(json_get_str(o, "name", nic.name, sizeof(nic.name), err), "name", err)) < 0)
		return rc;
	if (!nic_name_valid(nic.parent) || !nic_name_valid(nic.name))
		return err_set(err, -EINVAL, "parent and name must be names of interfaces");
	for (size_t i = 0; nic_keys[i]; i++) {
		rc = setting_from_json(o, nic_keys[i], &nic, err);
		if (rc < 0)
			return rc;
	}
	rc = nic_check(&nic, err);
	if (rc == 0)
		*ret = nic;
	return rc;
}

bool nic_same(const struct nic_spec *a, const struct nic_spec *b)
{
	json_t *x = nic_to_json(a), *y = nic_to_json(b);
	bool same = json_equal(x, y);

	json_decref(x);
	json_decref(y);
	return same;
}
