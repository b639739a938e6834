/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of settings: each parser sets what its row of the table is about, or returns -EINVAL and leaves it.
 */
#include "state/config_parse.h"

#include <assert.h>

#include "state/join.h"
#include "state/json.h"

const char *const datapath_names[] = {"auto", "leg", "route", "nic"};
static_assert(ARRAY_LEN(datapath_names) == DATAPATH_N_, "one name per datapath");
const char *const mapping_names[] = {"auto", "always", "never"};
const char *const encryption_names[] = {"none", "wireguard"};
static_assert(ARRAY_LEN(encryption_names) == ENCRYPTION_N_, "one name per kind");
const char *const multicast_querier_names[] = {"off", "auto", "on"};
static_assert(ARRAY_LEN(multicast_querier_names) == MULTICAST_QUERIER_N_, "one name per mode");
static_assert(ARRAY_LEN(mapping_names) == MAPPING_N_, "one name per way");
static const char *const goodbye_names[] = {"stop", "never"};
static_assert(ARRAY_LEN(goodbye_names) == GOODBYE_N_, "one name per way");
static const char *const level_names[] = {"error", "warning", "info", "debug"};
static_assert(ARRAY_LEN(level_names) == LOG_LEVEL_N_, "one name per level");
static const char *const format_names[] = {"text", "json"};
static const char *const role_names[] = {"inventory", "discovery", "router", "names", "multicast", "attach", "driver"};

#define NAMES_PORT 4753 /* of NAMES_LISTEN, where none is given */

static void *field(const struct option *o, struct config *c)
{
	return (char *)c + o->offset;
}

int parse_text(const struct option *o, struct config *c, const char *value)
{
	if (!*value || strlen(value) >= o->size)
		return -EINVAL;
	str_copy_(field(o, c), o->size, value);
	return 0;
}

int parse_number(const struct option *o, struct config *c, const char *value)
{
	uint64_t n;
	bool zero = o->initial[0] == '0'; /* "not given" lies outside the range */
	if (parse_u64(value, zero ? 0 : o->min, o->max, &n) < 0 || (n && n < o->min))
		return -EINVAL;
	if (o->size == sizeof(uint16_t)) {
		uint16_t v = (uint16_t)n;
		memcpy(field(o, c), &v, sizeof(v));
	} else {
		uint32_t v = (uint32_t)n;
		memcpy(field(o, c), &v, sizeof(v));
	}
	return 0;
}

static int name_index(const char *value, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(value, names[i]))
			return (int)i;
	return -EINVAL;
}

int parse_log_level(const struct option *o, struct config *c, const char *value)
{
	int i = name_index(value, level_names, ARRAY_LEN(level_names));
	if (i >= 0)
		c->log_level = (enum log_level)i;
	return i < 0 ? i : 0;
}

int parse_log_format(const struct option *o, struct config *c, const char *value)
{
	int i = name_index(value, format_names, ARRAY_LEN(format_names));
	if (i >= 0)
		c->log_format = (enum log_format)i;
	return i < 0 ? i : 0;
}

int parse_datapath(const struct option *o, struct config *c, const char *value)
{
	int i = name_index(value, datapath_names, DATAPATH_N_);
	if (i >= 0)
		c->datapath = (enum datapath)i;
	return i < 0 ? i : 0;
}

int parse_encryption(const struct option *o, struct config *c, const char *value)
{
	int i = name_index(value, encryption_names, ENCRYPTION_N_);
	if (i >= 0)
		c->encryption = (enum encryption)i;
	return i < 0 ? -EINVAL : 0;
}

int parse_multicast_querier(const struct option *o, struct config *c, const char *value)
{
	int i = name_index(value, multicast_querier_names, MULTICAST_QUERIER_N_);
	if (i >= 0)
		c->multicast_querier = (enum multicast_querier)i;
	return i >= 0 ? 0 : -EINVAL;
}

int parse_mapping(const struct option *o, struct config *c, const char *value)
{
	int i = name_index(value, mapping_names, MAPPING_N_);
	if (i >= 0)
		c->mapping = (enum mapping)i;
	return i < 0 ? i : 0;
}

int parse_goodbye(const struct option *o, struct config *c, const char *value)
{
	int i = name_index(value, goodbye_names, GOODBYE_N_);
	if (i >= 0)
		c->goodbye = (enum goodbye)i;
	return i < 0 ? i : 0;
}

int parse_flag(const struct option *o, struct config *c, const char *value)
{
	static const char *const words[] = {"false", "true", "no", "yes", "0", "1", "off", "on"};
	int i = name_index(value, words, ARRAY_LEN(words));
	if (i >= 0)
		*(bool *)field(o, c) = i % 2;
	return i < 0 ? i : 0;
}

/*
 * The next element of a list with commas, blanks around it cut; false at the end. -E2BIG and empty elements come out as
 * "", which no parser of an element takes.
 */
static bool list_next(const char **list, char *ret, size_t size)
{
	const char *s = *list;
	if (!s)
		return false;
	size_t len = strcspn(s, ",");
	*list = s[len] ? s + len + 1 : NULL;
	for (; len && (*s == ' ' || *s == '\t' || *s == '\n'); len--)
		s++;
	while (len && (s[len - 1] == ' ' || s[len - 1] == '\t' || s[len - 1] == '\n'))
		len--;
	if (len >= size)
		len = 0;
	memcpy(ret, s, len);
	ret[len] = '\0';
	return true;
}

int parse_roles(const struct option *o, struct config *c, const char *value)
{
	char element[32];
	struct buf roles = {0};
	while (list_next(&value, element, sizeof(element))) {
		if (name_index(element, role_names, ARRAY_LEN(role_names)) < 0 ||
		    roles.len + strlen(element) + 2 > sizeof(c->roles)) {
			buf_done(&roles);
			return -EINVAL;
		}
		buf_printf(&roles, "%s%s", roles.len ? "," : "", element);
	}
	str_copy(c->roles, roles.data);
	buf_done(&roles);
	return 0;
}

int parse_docker_hosts(const struct option *o, struct config *c, const char *value)
{
	char hosts[LIMIT_ENGINES][256] = {0};
	size_t n = 0;
	for (char element[256]; list_next(&value, element, sizeof(element)); n++) {
		bool is_unix = strncmp(element, "unix:///", 8) == 0 && element[8];
		bool is_tcp = strncmp(element, "tcp://", 6) == 0 && element[6];
		if (n >= LIMIT_ENGINES || (!is_unix && !is_tcp) || strpbrk(element, " \t\n\r@?#"))
			return -EINVAL;
		str_copy(hosts[n], element);
	}
	memset(c->docker_hosts, 0, sizeof(c->docker_hosts));
	memcpy(c->docker_hosts, hosts, n * sizeof(hosts[0]));
	c->n_docker_hosts = n;
	return 0;
}

int parse_name(const struct option *o, struct config *c, const char *value)
{
	return name_valid(value) ? parse_text(o, c, value) : -EINVAL;
}

int parse_multicast_hide(const struct option *o, struct config *c, const char *value)
{
	struct prefix p[LIMIT_HIDE] = {0};
	size_t n = 0;
	for (char element[PREFIX_STRLEN]; list_next(&value, element, sizeof(element)); n++) {
		if (n >= LIMIT_HIDE || prefix_parse(element, &p[n]) < 0 || ip_is_multicast(&p[n].ip))
			return -EINVAL;
		p[n] = prefix_mask(p[n]);
	}
	memcpy(c->multicast_hide, p, sizeof(p));
	c->n_multicast_hide = n;
	return 0;
}

int parse_subnets(const struct option *o, struct config *c, const char *value)
{
	struct prefix p[LIMIT_SUBNETS] = {0};
	size_t n = 0;
	for (char element[PREFIX_STRLEN]; list_next(&value, element, sizeof(element)); n++) {
		if (n >= LIMIT_SUBNETS || prefix_parse(element, &p[n]) < 0 || p[n].len == 0 ||
		    ip_is_multicast(&p[n].ip))
			return -EINVAL;
		p[n] = prefix_mask(p[n]);
	}
	memcpy(c->stack_subnets, p, n * sizeof(p[0]));
	c->n_stack_subnets = n;
	return 0;
}

static const struct {
	const char *name;
	enum discovery_mode mode;
} mode_names[] = {
	{"multicast", MODE_MULTICAST}, {"static", MODE_STATIC}, {"gossip", MODE_GOSSIP},
	{"etcd", MODE_ETCD},	       {"dns", MODE_DNS},
};

void modes_print(int modes, char *ret, size_t size)
{
	size_t len = 0;
	*ret = '\0';
	for (size_t i = 0; i < ARRAY_LEN(mode_names) && len < size; i++)
		if (modes & (int)mode_names[i].mode)
			len += (size_t)snprintf(ret + len, size - len, "%s%s", len ? "," : "", mode_names[i].name);
}

int parse_modes(const struct option *o, struct config *c, const char *value)
{
	int modes = 0;
	for (char element[32]; list_next(&value, element, sizeof(element));) {
		size_t i = 0;
		while (i < ARRAY_LEN(mode_names) && !str_eq(element, mode_names[i].name))
			i++;
		if (i == ARRAY_LEN(mode_names))
			return -EINVAL;
		modes |= (int)mode_names[i].mode;
	}
	c->modes = modes;
	return 0;
}

int parse_gossip_join(const struct option *o, struct config *c, const char *value)
{
	char to[LIMIT_JOIN][LIMIT_JOIN_BYTES] = {0};
	struct join_target target;
	size_t n = 0;
	for (char element[LIMIT_JOIN_BYTES]; list_next(&value, element, sizeof(element)); n++) {
		if (n >= LIMIT_JOIN || join_parse(element, 1, &target) < 0)
			return -EINVAL;
		str_copy(to[n], element);
	}
	memcpy(c->gossip_join, to, sizeof(to));
	c->n_gossip_join = n;
	return 0;
}

/* http or https, a host, a port; nothing that would be a way to a request of another kind */
static bool etcd_endpoint_valid(const char *s)
{
	const char *host = strncmp(s, "http://", 7) == 0 ? s + 7 : strncmp(s, "https://", 8) == 0 ? s + 8 : NULL;
	const char *colon = host ? strrchr(host, ':') : NULL;
	uint64_t port;
	if (!colon || colon == host || parse_u64(colon + 1, 1, UINT16_MAX, &port) < 0)
		return false;
	if (*host == '[')
		return colon[-1] == ']' && strspn(host + 1, "0123456789abcdefABCDEF:.") == (size_t)(colon - host - 2);
	for (const char *c = host; c < colon; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-' ||
		      *c == '.' || *c == '_'))
			return false;
	return true;
}

int parse_etcd_endpoints(const struct option *o, struct config *c, const char *value)
{
	char endpoints[LIMIT_ETCD_ENDPOINTS][256] = {0};
	size_t n = 0;
	for (char element[256]; list_next(&value, element, sizeof(element)); n++) {
		size_t len = strlen(element);
		if (len && element[len - 1] == '/')
			element[len - 1] = '\0';
		if (n >= LIMIT_ETCD_ENDPOINTS || !etcd_endpoint_valid(element))
			return -EINVAL;
		str_copy(endpoints[n], element);
	}
	memcpy(c->etcd_endpoints, endpoints, sizeof(endpoints));
	c->n_etcd_endpoints = n;
	return 0;
}

/* Never "/" alone: all keys of the cluster would be ours */
int parse_etcd_prefix(const struct option *o, struct config *c, const char *value)
{
	size_t len = strlen(value);
	while (len > 1 && value[len - 1] == '/')
		len--;
	if (len < 2 || len >= sizeof(c->etcd_prefix) || *value != '/')
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (!((value[i] >= 'a' && value[i] <= 'z') || (value[i] >= 'A' && value[i] <= 'Z') ||
		      (value[i] >= '0' && value[i] <= '9') || strchr("/-_.", value[i])))
			return -EINVAL;
	memcpy(c->etcd_prefix, value, len);
	c->etcd_prefix[len] = '\0';
	return 0;
}

int parse_group(const struct option *o, struct config *c, const char *value)
{
	struct ip ip;
	if (ip_parse(value, &ip) < 0 || !ip_is_multicast(&ip))
		return -EINVAL;
	c->multicast_group = ip;
	return 0;
}

int parse_host_ip(const struct option *o, struct config *c, const char *value)
{
	struct ip ip;
	if (ip_parse(value, &ip) < 0 || ip_is_multicast(&ip) || ip_is_unspecified(&ip))
		return -EINVAL;
	c->host_ip = ip;
	return 0;
}

int parse_interface(const struct option *o, struct config *c, const char *value)
{
	if (strpbrk(value, "/ \t\n:%") || str_eq(value, ".") || str_eq(value, ".."))
		return -EINVAL;
	return parse_text(o, c, value);
}

int parse_peers(const struct option *o, struct config *c, const char *value)
{
	struct endpoint peers[ARRAY_LEN(c->peers)] = {0};
	size_t n = 0;
	for (char element[ENDPOINT_STRLEN]; list_next(&value, element, sizeof(element)); n++)
		/* port 0: filled in when DISCOVERY_PORT is known for sure */
		if (n >= ARRAY_LEN(peers) || endpoint_parse(element, 0, &peers[n]) < 0 ||
		    ip_is_multicast(&peers[n].ip) || ip_is_unspecified(&peers[n].ip))
			return -EINVAL;
	memcpy(c->peers, peers, n * sizeof(peers[0]));
	c->n_peers = n;
	return 0;
}

int parse_shadow(const struct option *o, struct config *c, const char *value)
{
	struct prefix p, v4 = c->shadow4, v6 = c->shadow6;
	for (char element[PREFIX_STRLEN]; list_next(&value, element, sizeof(element));) {
		if (prefix_parse(element, &p) < 0 || ip_is_multicast(&p.ip))
			return -EINVAL;
		p = prefix_mask(p);
		if (p.ip.family == AF_INET && p.len >= 4 && p.len <= 24)
			v4 = p;
		else if (p.ip.family == AF_INET6 && p.len >= 8 && p.len <= 64)
			v6 = p;
		else
			return -EINVAL;
	}
	c->shadow4 = v4;
	c->shadow6 = v6;
	return 0;
}

/* A domain in lower case; a dot at either end is how some write it, and is cut */
int parse_domain(const struct option *o, struct config *c, const char *value)
{
	char domain[256];
	size_t n = 0, label = 0;
	value += *value == '.';
	for (; *value && !(str_eq(value, ".") && n); value++) {
		char ch = *value >= 'A' && *value <= 'Z' ? (char)(*value - 'A' + 'a') : *value;
		bool dot = ch == '.', hyphen = ch == '-';
		if (!dot && !hyphen && !(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9') && ch != '_')
			return -EINVAL;
		/* no label is empty, or begins or ends with '-' */
		if (n + 1 >= o->size || (hyphen && !label) || (dot && (!label || domain[n - 1] == '-')))
			return -EINVAL;
		label = dot ? 0 : label + 1;
		domain[n++] = ch;
	}
	if (!label || domain[n - 1] == '-')
		return -EINVAL;
	domain[n] = '\0';
	str_copy_(field(o, c), o->size, domain);
	return 0;
}

int parse_listen(const struct option *o, struct config *c, const char *value)
{
	struct endpoint e[LIMIT_LISTEN] = {0};
	size_t n = 0;
	if (str_eq(value, "off"))
		value = NULL;
	for (char element[ENDPOINT_STRLEN]; list_next(&value, element, sizeof(element)); n++) {
		if (n >= ARRAY_LEN(e) || strchr(element, '%') || endpoint_parse(element, NAMES_PORT, &e[n]) < 0 ||
		    !e[n].port || ip_is_multicast(&e[n].ip))
			return -EINVAL;
		for (size_t i = 0; i < n; i++)
			if (e[i].port == e[n].port && ip_cmp(&e[i].ip, &e[n].ip) == 0)
				return -EINVAL;
	}
	memcpy(c->names_listen, e, sizeof(e));
	c->n_names_listen = n;
	return 0;
}

#define DNS_PORT 53

int parse_dns_servers(const struct option *o, struct config *c, const char *value)
{
	struct endpoint e[LIMIT_DNS] = {0};
	size_t n = 0;
	for (char element[ENDPOINT_STRLEN]; list_next(&value, element, sizeof(element)); n++)
		if (n >= ARRAY_LEN(e) || strchr(element, '%') || endpoint_parse(element, DNS_PORT, &e[n]) < 0 ||
		    !e[n].port || ip_is_multicast(&e[n].ip) || ip_is_unspecified(&e[n].ip))
			return -EINVAL;
	memcpy(c->dns_servers, e, sizeof(e));
	c->n_dns_servers = n;
	return 0;
}

int parse_dns_update(const struct option *o, struct config *c, const char *value)
{
	struct endpoint e;
	if (strchr(value, '%') || endpoint_parse(value, DNS_PORT, &e) < 0 || !e.port || ip_is_multicast(&e.ip) ||
	    ip_is_unspecified(&e.ip))
		return -EINVAL;
	c->dns_update = e;
	return 0;
}
