/* SPDX-License-Identifier: Apache-2.0
 *
 * docker-router explain multicast: discovery tells the LAN of a container, but how does the LAN get there? The three
 * ways, best first, each with the lines for this host and this network. Reads multicast.json and inventory.json,
 * changes nothing.
 */
#include "cli/cli.h"

#define RELAY_PORTS "61900-61999" /* of the role's HTTP relay */

enum way { WAY_LAN, WAY_ROUTED, WAY_PORT, WAY_N_ };

static const struct {
	const char *key, *title, *good, *but;
} ways[WAY_N_] = {
	{"lan-address", "An address on the LAN",
	 "The container is on the LAN like any other machine: all protocols, nothing in between.",
	 "Not on Wi-Fi, where access points drop a second MAC. Where the container has a network of Docker's beside "
	 "it, the server must be told to use lan0. As a Docker network with macvlan, this host itself does not reach "
	 "the container."},
	{"routed", "A route on the home router",
	 "The LAN reaches the container's own address: all protocols, no NAT. This host lets the LAN in past FORWARD, "
	 "Docker's drops and masquerade; no rule of theirs is changed.",
	 "Only the LAN's own subnets get in. A client that has a static default route of its own needs the route too."},
	{"published", "A port of this host",
	 "Works at once, without a setting anywhere: addresses in LOCATION, in descriptions and in lists of media are "
	 "rewritten to a port of this host.",
	 "HTTP of what was announced by SSDP only. What names the container's address in another way (https, "
	 "compressed "
	 "or very long XML, a playlist) still does, and is not reached."},
};

struct view {
	const struct multicast_state *s;
	const struct inv_multicast *m;
	const struct mcs_leg *leg, *lan; /* lan NULL: not known yet */
	bool advertise;
};

static void line(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
static void line(struct buf *b, const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	buf_printf(b, "%s\n", text);
}

/* The LAN's address of that family that routes can lead to, "" without one */
static const char *lan_address(const struct view *v, uint8_t family, bool link_local, char text[static IP_STRLEN])
{
	for (size_t i = 0; v->lan && i < v->lan->n_addresses; i++)
		if (v->lan->addresses[i].family == family && ip_is_link_local(&v->lan->addresses[i]) == link_local)
			return ip_format(&v->lan->addresses[i], text);
	text[0] = '\0';
	return text;
}

static const struct prefix *lan_subnet(const struct view *v, uint8_t family)
{
	for (size_t i = 0; v->lan && i < v->lan->n_subnets; i++)
		if (v->lan->subnets[i].ip.family == family && !ip_is_link_local(&v->lan->subnets[i].ip))
			return &v->lan->subnets[i];
	return NULL;
}

static void lines_lan(const struct view *v, struct buf *b)
{
	const char *lan = v->lan ? v->lan->interface : "LAN-INTERFACE";

	line(b, "docker-router.attach: \"%s:lan0\"   # labels of the service", lan);
	line(b, "docker-router.attach.lan0.kind: macvlan   # not where %s is a bridge", lan);
	line(b, "docker-router.attach.lan0.address: dhcp");
	line(b, "or a Docker network for it (driver among the ROLES of host):");
	line(b, "docker network create -d docker-router-lan --ipam-driver null -o parent=%s lan", lan);
}

static void lines_routed(const struct view *v, struct buf *b)
{
	char net[PREFIX_STRLEN], via[IP_STRLEN], label[MULTICAST_LABEL_STRLEN];
	struct multicast_label routed = v->m->label;
	bool six = false;

	routed.routed = true;
	line(b, "docker-router.multicast: \"%s\"   # the network's label", multicast_label_print(&routed, label));
	for (size_t i = 0; i < v->m->network.n_subnets; i++) {
		const struct prefix *p = &v->m->network.subnets[i];

		if (p->ip.family == AF_INET6) {
			six = true;
			continue;
		}
		line(b, "%s via %s   # a static route on the home router", prefix_format(p, net),
		     *lan_address(v, AF_INET, false, via) ? via : "THIS-HOST");
	}
	if (six && v->advertise)
		line(b, "IPv6: MULTICAST_ADVERTISE=on, the LAN learns the route by itself.");
	else if (six)
		line(b,
		     "MULTICAST_ADVERTISE=on   # IPv6: the LAN learns the route by router advertisements; or by hand:");
	for (size_t i = 0; i < v->m->network.n_subnets && !v->advertise; i++)
		if (v->m->network.subnets[i].ip.family == AF_INET6)
			line(b, "%s via %s", prefix_format(&v->m->network.subnets[i], net),
			     *lan_address(v, AF_INET6, false, via)  ? via
			     : *lan_address(v, AF_INET6, true, via) ? via
								    : "THIS-HOST");
	line(b, "Give the network a fixed subnet, since the route names it.");
}

static void lines_port(const struct view *v, struct buf *b)
{
	const struct prefix *net = lan_subnet(v, AF_INET);
	char text[PREFIX_STRLEN], inside[ENDPOINT_STRLEN], outside[ENDPOINT_STRLEN];

	for (size_t i = 0; i < v->s->n_services; i++) {
		const struct mcs_service *s = &v->s->services[i];

		if (v->leg && v->lan && s->from == v->leg->leg && s->to == v->lan->leg)
			line(b, "%s is reached at %s", endpoint_format(&s->inside, inside),
			     endpoint_format(&s->outside, outside));
	}
	line(b, "This host's own firewall must let the LAN in to TCP " RELAY_PORTS ":");
	line(b, "ufw allow in on %s from %s to any port 61900:61999 proto tcp",
	     v->lan ? v->lan->interface : "LAN-INTERFACE", net ? prefix_format(net, text) : "LAN-SUBNET");
	line(b, "iptables -I INPUT -i %s -s %s -p tcp --dport 61900:61999 -j ACCEPT",
	     v->lan ? v->lan->interface : "LAN-INTERFACE", net ? prefix_format(net, text) : "LAN-SUBNET");
}

static void way_lines(const struct view *v, enum way w, struct buf *b)
{
	buf_puts(b, "");
	switch (w) {
	case WAY_LAN:
		lines_lan(v, b);
		break;
	case WAY_ROUTED:
		lines_routed(v, b);
		break;
	case WAY_PORT:
		lines_port(v, b);
		break;
	case WAY_N_:
		break;
	}
}

static bool way_in_use(const struct view *v, enum way w)
{
	return w == WAY_ROUTED ? v->m->label.routed : w == WAY_PORT && v->m->label.ssdp && !v->m->label.routed;
}

static json_t *way_json(const struct view *v, enum way w, const char *text)
{
	autofree char *copy = xstrdup(text);
	json_t *o = json_object(), *lines = json_array();
	char *save = NULL;

	json_object_set_new(o, "way", json_string(ways[w].key));
	json_object_set_new(o, "in_use", json_boolean(way_in_use(v, w)));
	json_object_set_new(o, "good", json_string(ways[w].good));
	json_object_set_new(o, "but", json_string(ways[w].but));
	for (char *s = strtok_r(copy, "\n", &save); s; s = strtok_r(NULL, "\n", &save))
		json_array_append_new(lines, json_text(s));
	json_object_set_new(o, "lines", lines);
	return o;
}

static json_t *network_explain(struct output *o, const struct view *v)
{
	autobuf struct buf subnets = {0};
	json_t *j = json_object(), *list = json_array();
	char text[PREFIX_STRLEN], label[MULTICAST_LABEL_STRLEN];

	buf_puts(&subnets, "");
	for (size_t i = 0; i < v->m->network.n_subnets; i++)
		buf_printf(&subnets, "%s%s", i ? ", " : "", prefix_format(&v->m->network.subnets[i], text));
	multicast_label_print(&v->m->label, label);
	json_object_set_new(j, "network", json_text(v->m->network.name));
	json_object_set_new(j, "label", json_text(label));
	output_gap(o);
	output_line(o, "Network %s (%s), docker-router.multicast: %s", v->m->network.name, subnets.data, label);
	if (v->lan && *lan_address(v, AF_INET, false, text))
		output_line(o, "LAN on %s, where this host is %s", v->lan->interface, text);
	else
		output_line(o, "The LAN is not known%s",
			    v->lan ? " by an IPv4 address" : " yet: does the role multicast run?");
	for (enum way w = 0; w < WAY_N_; w++) {
		autobuf struct buf lines = {0};

		way_lines(v, w, &lines);
		output_gap(o);
		output_line(o, "(%c) %s%s", 'a' + (int)w, ways[w].title, way_in_use(v, w) ? " - in use" : "");
		output_block(o, 4, ways[w].good);
		output_block(o, 8, lines.data);
		output_block(o, 4, ways[w].but);
		json_array_append_new(list, way_json(v, w, lines.data));
	}
	json_object_set_new(j, "ways", list);
	return j;
}

static void legs_find(struct view *v)
{
	v->leg = v->lan = NULL;
	for (size_t i = 0; i < v->s->n_legs; i++) {
		if (v->s->legs[i].lan && !v->lan)
			v->lan = &v->s->legs[i];
		if (str_eq(v->s->legs[i].network, v->m->network.id))
			v->leg = &v->s->legs[i];
	}
}

int verb_explain(struct cli *c)
{
	struct view v = {.advertise = c->config.multicast_advertise};
	struct state_files f;
	struct output o;
	struct err err;
	json_t *list;

	if (!str_eq(c->arg, "multicast")) {
		fprintf(stderr, "docker-router explain: it explains multicast, and nothing else\n");
		return EXIT_USAGE;
	}
	state_files_load(&c->dir, &f);
	if (!state_files_need(c, &f, FILE_INVENTORY)) {
		state_files_done(&f);
		return EXIT_FAILED;
	}
	(void)state_files_load_multicast(&c->dir, &f, &err); /* without it there are gaps */
	v.s = &f.multicast;
	output_begin(&o, stdout, c->json, false);
	list = json_array();
	for (size_t i = 0; i < f.inventory.n_multicast; i++) {
		v.m = &f.inventory.multicast[i];
		legs_find(&v);
		json_array_append_new(list, network_explain(&o, &v));
	}
	output_value(&o, "networks", list);
	if (!f.inventory.n_multicast)
		output_line(&o,
			    "No network has the label docker-router.multicast. The first step is a line in the Compose "
			    "file:");
	if (!f.inventory.n_multicast)
		output_block(&o, 4, "networks: { default: { labels: { docker-router.multicast: ssdp } } }");
	int status = verb_end(c, &o, EXIT_DONE);
	state_files_done(&f);
	return status;
}
