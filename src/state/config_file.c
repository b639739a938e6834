/* SPDX-License-Identifier: Apache-2.0
 *
 * The YAML file of the settings: a mapping of options, and the networks that labels cannot reach. Read event by event,
 * three levels deep and no deeper; anchors and aliases are refused, since nothing here needs them.
 */
#include "state/config_file.h"

#include <fcntl.h>
#include <limits.h>
#include <yaml.h>

#include "state/json.h"

#define LIMIT_CONFIG_BYTES (1u << 20)
#define LIMIT_VALUE_BYTES  16384

struct reader {
	yaml_parser_t yaml;
	yaml_event_t event;
	bool have_event;
	const char *name;
	struct config *config;
	struct err *err;
};

static size_t line_of(const struct reader *r)
{
	return (r->have_event ? r->event.start_mark.line : r->yaml.problem_mark.line) + 1;
}

static int refuse(struct reader *r, const char *what)
{
	return err_set(r->err, -EINVAL, "%s line %zu: %s", r->name, line_of(r), what);
}

/* the next event; NULL-safe to call again after a failure */
static int next(struct reader *r)
{
	if (r->have_event)
		yaml_event_delete(&r->event);
	r->have_event = false;
	if (!yaml_parser_parse(&r->yaml, &r->event)) {
		autobuf struct buf why = {0};
		str_safe(&why, r->yaml.problem ? r->yaml.problem : "not YAML");
		return refuse(r, why.data);
	}
	r->have_event = true;
	if (r->event.type == YAML_ALIAS_EVENT)
		return refuse(r, "an alias; write the value here");
	return 0;
}

/* the scalar that the reader stands on, copied; -EINVAL with @what when it is none */
static int scalar(struct reader *r, const char *what, char *ret, size_t size)
{
	if (r->event.type != YAML_SCALAR_EVENT)
		return refuse(r, what);
	const char *s = (const char *)r->event.data.scalar.value;
	if (strlen(s) != r->event.data.scalar.length || strlen(s) >= size)
		return refuse(r, what);
	memcpy(ret, s, strlen(s) + 1);
	return 0;
}

/* the value of an option: a scalar, or a sequence of scalars, which is a list */
static int value_read(struct reader *r, struct buf *ret)
{
	char element[LIMIT_VALUE_BYTES];
	int rc;
	if (r->event.type != YAML_SEQUENCE_START_EVENT) {
		if ((rc = scalar(r, "a plain value or a list of such is expected", element, sizeof(element))) == 0)
			buf_puts(ret, element);
		return rc;
	}
	while ((rc = next(r)) == 0 && r->event.type != YAML_SEQUENCE_END_EVENT) {
		if ((rc = scalar(r, "a list of plain values is expected", element, sizeof(element))) < 0)
			return rc;
		if (ret->len + strlen(element) > LIMIT_VALUE_BYTES)
			return refuse(r, "the list is too long");
		buf_printf(ret, "%s%s", ret->len ? "," : "", element);
	}
	return rc;
}

/* multicast: ssdp, or [ssdp, mdns] */
static int multicast_read(struct reader *r, struct config_network *network)
{
	autobuf struct buf value = {0}, message = {0};
	struct err why;
	int rc = value_read(r, &value);
	if (rc < 0)
		return rc;
	if (multicast_label_parse(value.data ? value.data : "", &network->multicast, &why) < 0) {
		buf_printf(&message, "multicast: %s", why.text);
		return refuse(r, message.data);
	}
	network->has_multicast = true;
	return 0;
}

/* {vni: 1000, stack: openwrt, multicast: ssdp} */
static int network_read(struct reader *r, const char *name)
{
	struct config_network network = {0};
	char key[64], value[LIMIT_NAME];
	uint64_t vni;
	int rc;
	str_copy(network.name, name);
	if ((rc = next(r)) < 0)
		return rc;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return refuse(r, "a network needs {vni: NUMBER, stack: NAME, multicast: WHAT}");
	while ((rc = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
		if ((rc = scalar(r, "vni, stack or multicast is expected", key, sizeof(key))) < 0 || (rc = next(r)) < 0)
			return rc;
		if (str_eq(key, "vni")) {
			if ((rc = scalar(r, "vni: allowed is a whole number from 1 to 16777215", value,
					 sizeof(value))) < 0)
				return rc;
			if (parse_u64(value, 1, VNI_MAX, &vni) < 0)
				return refuse(r, "vni: allowed is a whole number from 1 to 16777215");
			network.vni = (uint32_t)vni;
		} else if (str_eq(key, "stack")) {
			static const char allowed[] = "stack: allowed are 1 to 127 of letters, digits, '_', '.', '-'";
			if ((rc = scalar(r, allowed, value, sizeof(value))) < 0)
				return rc;
			if (!name_valid(value))
				return refuse(r, allowed);
			str_copy(network.stack, value);
		} else if (str_eq(key, "multicast")) {
			if ((rc = multicast_read(r, &network)) < 0)
				return rc;
		} else {
			return refuse(r, "unknown setting of a network; vni, stack and multicast are known");
		}
	}
	if (rc < 0)
		return rc;
	if (!network.vni && (!network.has_multicast || *network.stack))
		return refuse(r, *network.stack ? "a stack needs a vni" : "a network needs a vni, or multicast");
	if (!*network.stack && network.vni)
		str_copy(network.stack, name);
	struct config *c = r->config;
	for (size_t i = 0; i < c->n_networks; i++)
		if (str_eq(c->networks[i].name, name))
			return refuse(r, "this network is there twice");
	if (c->n_networks >= LIMIT_STACKS)
		return refuse(r, "too many networks");
	*xgrow(&c->networks, c->n_networks, &c->cap_networks) = network;
	c->n_networks++;
	return 0;
}

static int networks_read(struct reader *r)
{
	char name[LIMIT_NAME];
	int rc;
	if (r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0)
		return 0; /* "networks:" and nothing below it */
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return refuse(r, "networks: a mapping of names is expected");
	while ((rc = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
		if ((rc = scalar(r, "the name of a Docker network or of its bridge is expected", name, sizeof(name))) <
		    0)
			return rc;
		if (!name_valid(name))
			return refuse(r, "this is not the name of a Docker network or of its bridge");
		if ((rc = network_read(r, name)) < 0)
			return rc;
	}
	return rc;
}

/* {address: dhcp, mtu: 1400, routes: [10.0.0.0/8 via 192.0.2.1]} */
static int nic_read(struct reader *r, struct nic_spec *nic)
{
	char key[64];
	int rc;
	if ((rc = next(r)) < 0)
		return rc;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return refuse(r, "settings of a NIC are expected, {address: dhcp}");
	while ((rc = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
		autobuf struct buf value = {0}, message = {0};
		struct err why;
		if ((rc = scalar(r, "the name of a setting is expected", key, sizeof(key))) < 0 || (rc = next(r)) < 0 ||
		    (rc = value_read(r, &value)) < 0)
			return rc;
		if (nic_set(nic, key, value.data ? value.data : "", &why) == 0)
			continue;
		str_safe(&message, key);
		buf_printf(&message, ": %s", why.text);
		return refuse(r, message.data);
	}
	return rc;
}

/* {nics: "br-lan:eth1", eth1: {...}}; nics comes first, since it says what NICs there are */
static int attach_container_read(struct reader *r, const char *name, struct nic_specs *specs)
{
	struct nic_request *to;
	char key[NIC_NAME];
	struct err why;
	int rc;
	if ((rc = next(r)) < 0)
		return rc;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return refuse(r, "nics: BRIDGE:NAME is expected, and settings for each NAME");
	while ((rc = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
		if ((rc = scalar(r, "nics, or the name of a NIC is expected", key, sizeof(key))) < 0)
			return rc;
		if (str_eq(key, "nics")) {
			autobuf struct buf value = {0}, message = {0};
			if ((rc = next(r)) < 0 || (rc = value_read(r, &value)) < 0)
				return rc;
			if (nic_list_parse(value.data ? value.data : "", "", specs, &why) < 0) {
				buf_printf(&message, "nics: %s", why.text);
				return refuse(r, message.data);
			}
			continue;
		}
		struct nic_spec *nic = nic_find(specs, key);
		if (!nic)
			return refuse(r, "there is no NIC of this name in nics, which must come first");
		if ((rc = nic_read(r, nic)) < 0)
			return rc;
		if (nic_check(nic, &why) < 0)
			return refuse(r, why.text);
	}
	if (rc < 0)
		return rc;
	if (!specs->n)
		return refuse(r, "a container needs nics");
	if (nic_requests_find(&r->config->attach, name))
		return refuse(r, "this container is there twice");
	to = nic_requests_for(&r->config->attach, name, "the config file");
	if (!to)
		return refuse(r, "too many containers");
	for (size_t i = 0; rc == 0 && i < specs->n; i++)
		rc = nic_request_put(to, &specs->v[i], r->err);
	return rc;
}

static int attach_read(struct reader *r)
{
	char name[LIMIT_NAME];
	int rc;
	if (r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0)
		return 0;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return refuse(r, "attach: a mapping of containers' names is expected");
	while ((rc = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
		autofree struct nic_specs *specs = xcalloc(1, sizeof(*specs));
		if ((rc = scalar(r, "the name of a container is expected", name, sizeof(name))) < 0)
			return rc;
		if (!name_valid(name))
			return refuse(r, "this is not the name of a container");
		if ((rc = attach_container_read(r, name, specs)) < 0)
			return rc;
	}
	return rc;
}

static int option_read(struct reader *r)
{
	char key[64], where[PATH_MAX + 64];
	int rc = scalar(r, "the name of a setting is expected", key, sizeof(key));
	if (rc < 0)
		return rc;
	autobuf struct buf value = {0}, safe = {0};
	str_safe(&safe, key);
	str_print(where, "%s line %zu: %s", r->name, line_of(r), safe.data);
	if ((rc = next(r)) < 0)
		return rc;
	if (str_eq(key, "networks"))
		return networks_read(r);
	if (str_eq(key, "attach"))
		return attach_read(r);
	buf_puts(&value, "");
	if ((rc = value_read(r, &value)) < 0)
		return rc;
	return config_set(r->config, key, value.data, where, r->err);
}

static int document_read(struct reader *r)
{
	int rc;
	if ((rc = next(r)) < 0) /* the stream */
		return rc;
	if ((rc = next(r)) < 0) /* a document */
		return rc;
	if (r->event.type == YAML_STREAM_END_EVENT)
		return 0; /* nothing but comments */
	if ((rc = next(r)) < 0)
		return rc;
	if (r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0)
		return 0;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return refuse(r, "settings as \"name: value\" are expected");
	while ((rc = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT)
		if ((rc = option_read(r)) < 0)
			return rc;
	if (rc < 0)
		return rc;
	if ((rc = next(r)) < 0) /* the document ends */
		return rc;
	if ((rc = next(r)) < 0)
		return rc;
	return r->event.type == YAML_STREAM_END_EVENT ? 0 : refuse(r, "a second document");
}

int config_file_parse(struct config *c, const char *name, const char *text, size_t len, struct err *err)
{
	struct reader r = {.name = name, .config = c, .err = err};
	if (!yaml_parser_initialize(&r.yaml))
		abort();
	yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, len);
	int rc = document_read(&r);
	if (r.have_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.yaml);
	return rc;
}

int config_file_load(struct config *c, bool named, struct err *err)
{
	autobuf struct buf text = {0};
	struct err why = {0};
	char path[PATH_MAX];
	/* file_read() follows no symlink; configuration is mounted as one by some orchestrators, and root's anyway */
	if (!realpath(c->config_file, path)) {
		if (errno == ENOENT && !named)
			return 0;
		return err_set(err, -EINVAL, "CONFIG=%s: %s", c->config_file, strerror(errno));
	}
	int r = file_read(AT_FDCWD, path, LIMIT_CONFIG_BYTES, NULL, &text, &why);
	if (r < 0)
		return err_set(err, -EINVAL, "CONFIG=%s: %s", c->config_file, why.text);
	return config_file_parse(c, c->config_file, text.data ? text.data : "", text.len, err);
}
