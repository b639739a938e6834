/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The two-container form
 *
 * The router container's own namespace is the router namespace. It has two legs that Docker made: one in the stack's
 * network, one in an uplink network. They are told apart by address, never by name or order: the stack's is the one
 * that a subnet of STACK_SUBNETS lies on. The stack's network is made with inhibit_ipv4, so the gateway's address is
 * free, and we take it: containers reach everything through us without knowing. Outwards we masquerade, since Docker
 * does not for such a network.
 *
 * VXLAN leaves by the uplink and a published UDP port. Stacks of one host that share the uplink network meet there
 * directly: through the published port it would pass docker-proxy, with inner checksums that nobody finishes.
 */
#include <inttypes.h>

#include "router/desired_parts.h"

#define ALONE_DEVICE "vxlan0" /* the name that stacks of this form have always seen */

struct ports {
	char stack_dev[16], uplink_dev[16];
	struct prefix uplink; /* our address there */
	struct ip uplink_gateway;
};

static struct ip first_address(const struct prefix *p)
{
	struct prefix net = prefix_mask(*p);
	net.ip.b[ip_size(net.ip.family) - 1] |= 1;
	return net.ip;
}

static void find_ports(const struct desired_input *in, const struct net *host, struct ports *ret)
{
	size_t it = 0;

	memset(ret, 0, sizeof(*ret));
	for (const struct entry *e; (e = entry_set_next(&host->entries, &it));) {
		struct ip ip = ip_from_bytes(e->family, e->dst);
		if (e->type != ENTRY_ADDR || str_eq(e->dev, ALONE_DEVICE) || ip_is_link_local(&ip) ||
		    ip_is_loopback(&ip))
			continue;
		if (prefixes_have_ip(in->config->stack_subnets, in->config->n_stack_subnets, &ip)) {
			str_copy(ret->stack_dev, e->dev);
			continue;
		}
		/* IPv4 first; among several the smallest, so that the choice is the same every time. */
		if (ip_is_none(&ret->uplink.ip) || ip_cmp(&ip, &ret->uplink.ip) < 0) {
			ret->uplink = (struct prefix){ip, e->len};
			str_copy(ret->uplink_dev, e->dev);
		}
	}
	if (!ip_is_none(&ret->uplink.ip))
		ret->uplink_gateway = first_address(&ret->uplink);
}

static void pending(struct desired *d, const char *operation, const char *why)
{
	struct rs_pending *p = xgrow(&d->state.pending, d->state.n_pending, &d->state.cap_pending);
	d->state.n_pending++;
	p->operation = xstrdup(operation);
	p->why = xstrdup(why);
}

static void add_gateway(const struct desired_input *in, struct net *net, const struct ports *ports)
{
	for (size_t i = 0; i < in->config->n_stack_subnets; i++) {
		const struct prefix *p = &in->config->stack_subnets[i];
		struct ip gateway = first_address(p);
		add_addr(net, ports->stack_dev, &gateway, p->len);
	}
}

static void add_default_route(struct net *net, const struct ports *ports)
{
	struct prefix all = {.ip = {.family = ports->uplink.ip.family}};
	struct entry r = entry_make(ENTRY_ROUTE, ports->uplink_dev, &all);

	r.table = 254;
	entry_set_via(&r, &ports->uplink_gateway);
	entry_set_put(&net->entries, &r);
}

/*
 * After a restart of the container, conntrack of the host can hold the old flow, not translated, for as long as packets
 * come. A new namespace takes another range of outer source ports; a device that is there keeps its own.
 */
static void move_source_ports(const struct desired_input *in, const struct net *actual, struct link *vx)
{
	const struct link *there = net_link(actual, ALONE_DEVICE);

	vx->vxlan.src_low = (uint16_t)(SOURCE_PORT_BASE + in->epoch * SOURCE_PORTS);
	vx->vxlan.src_high = (uint16_t)(vx->vxlan.src_low + SOURCE_PORTS - 1);
	if (there && there->vxlan.src_low) {
		vx->vxlan.src_low = there->vxlan.src_low;
		vx->vxlan.src_high = there->vxlan.src_high;
	}
}

void desired_make_alone(const struct desired_input *in, struct desired *ret)
{
	static const struct net_id id = {.kind = NET_HOST};
	const struct net *actual = net_list_find(in->actual, &id);
	struct ports ports;

	memset(ret, 0, sizeof(*ret));
	str_copy(ret->state.datapath, "router");
	desired_settle(in, ret);
	struct net *net = net_list_add(&ret->nets, &id);
	find_ports(in, actual, &ports);
	if (!ports.stack_dev[0]) {
		pending(ret, "gateway of the stack", "no interface has an address in STACK_SUBNETS");
		return;
	}
	add_gateway(in, net, &ports);
	if (!ports.uplink_dev[0]) {
		pending(ret, "tunnel", "no uplink network: the router joins the stack's network and one more");
		return;
	}
	add_default_route(net, &ports);

	struct desired_input here = *in;
	here.local = ports.uplink.ip;
	const struct link *up = net_link(actual, ports.uplink_dev);
	here.underlay_mtu = up ? up->mtu : 0;
	struct rs_vni *v = state_vni(&ret->state, in->config->vni);
	v->mtu = desired_add_vxlan(&here, net, in->config->vni, ALONE_DEVICE, in->config->vxlan_port);
	struct link *vx = net_link(net, ALONE_DEVICE);
	move_source_ports(in, actual, vx);
	/*
	 * Docker translates these packets, here and at the peer. Where the checksum inside is left to the device (TCP),
	 * the kernel takes the outer one for unfinished too and spoils it. IPv6 needs one.
	 */
	vx->vxlan.no_checksum = true;
	str_copy(v->devices[0].name, ALONE_DEVICE);
	v->devices[0].local = here.local;
	v->devices[0].port = in->config->vxlan_port;
	v->n_devices = 1;
	desired_add_peers(&here, ret, net, in->config->vni, ALONE_DEVICE, &in->discovery->self.host_ip);

	struct ruleset_alone ra = {.vni = {in->config->vni, in->config->vxlan_port},
				   .stack = in->config->stack_subnets,
				   .n_stack = in->config->n_stack_subnets,
				   .stack_dev = ports.stack_dev,
				   .uplink_dev = ports.uplink_dev,
				   .epochs = epochs_seen(in->discovery)};
	struct ruleset_mapped *mapped;
	mapped_make(&ret->claims, in->config->vni, &mapped, &ra.n_mapped);
	ra.mapped = mapped;
	for (size_t i = 0; i < ra.n_mapped; i++) {
		struct entry route = entry_make(ENTRY_ROUTE, ports.stack_dev, &mapped[i].as);
		route.table = 254;
		entry_set_put(&net->entries, &route);
	}
	ruleset_alone(&ra, &net->nft);
	free(mapped);
	mapped_fill(&ret->claims, in->config->vni, &net->nft);
	guard_fill(in->discovery, &net->nft);
	for (size_t i = 0; i < in->discovery->n_peers; i++)
		if (!ip_is_none(&in->discovery->peers[i].uplink))
			guard_add(&net->nft, in->config->vni, &in->discovery->peers[i].uplink);
	epochs_fill(in->discovery, &net->nft);
	sets_finish(&net->nft);
}

void alone_inventory(const struct desired_input *in, struct inventory *ret)
{
	static const struct net_id id = {.kind = NET_HOST};
	struct ports ports;

	memset(ret, 0, sizeof(*ret));
	find_ports(in, net_list_find(in->actual, &id), &ports);
	struct inv_stack *s = inventory_stack(ret, in->config->stack_id, in->config->vni);
	struct inv_network *nw = xgrow(&s->networks, s->n_networks, &s->cap_networks);
	s->n_networks++;
	str_copy(nw->id, in->config->stack_id);
	str_copy(nw->name, in->config->stack_id);
	nw->icc = true;
	for (size_t i = 0; i < in->config->n_stack_subnets; i++)
		nw->subnets[nw->n_subnets++] = prefix_mask(in->config->stack_subnets[i]);
	s->uplink = ports.uplink.ip;
	s->epoch = in->epoch;
}
