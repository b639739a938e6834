/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations in words: what --dry-run prints and what an error names.
 */
#include <inttypes.h>

#include "router/plan.h"

static void print_link(struct buf *out, const struct op *o)
{
	const struct link *l = o->link;
	char ip[IP_STRLEN], net[96];

	buf_printf(out, "link add %s", l->name);
	if (l->kind == LINK_VXLAN)
		buf_printf(out, " type vxlan id %" PRIu32 " local %s dstport %u nolearning mtu %" PRIu32, l->vxlan.vni,
			   l->vxlan.local.family ? ip_format(&l->vxlan.local, ip) : "any", l->vxlan.port, l->mtu);
	else if (l->kind == LINK_WIREGUARD)
		buf_printf(out, " type wireguard mtu %" PRIu32, l->mtu);
	else
		buf_printf(out, " type veth peer %s in %s", l->peer_name, net_id_print(&l->peer_net, net));
	if (l->master[0])
		buf_printf(out, " master %s", l->master);
}

static void print_set(struct buf *out, const struct op *o)
{
	const struct link *l = o->link;
	char mac[MAC_STRLEN], ip[IP_STRLEN];

	buf_printf(out, "link set %s", o->set_name ? o->was.name : l->name);
	if (o->set_name)
		buf_printf(out, " name %s", l->name);
	if (o->set_mac)
		buf_printf(out, " address %s", mac_format(&l->mac, mac));
	if (o->set_mtu)
		buf_printf(out, " mtu %" PRIu32, l->mtu);
	if (o->set_master)
		buf_printf(out, l->master[0] ? " master %s" : " nomaster%s", l->master);
	if (o->set_mcast_router)
		buf_printf(out, " mcast_router %u", (unsigned)l->mcast_router);
	if (o->set_alias)
		buf_printf(out, " alias \"%s\"", l->alias);
	if (o->set_vxlan)
		buf_printf(out, " local %s nolearning", l->vxlan.local.family ? ip_format(&l->vxlan.local, ip) : "any");
	if (o->set_up)
		buf_puts(out, l->up ? " up" : " down");
}

/* A public key by its beginning, as `wg` cuts none: enough to find it */
static void print_wg(struct buf *out, const struct op *o)
{
	const struct wg_peer_change *c = &o->wg->peer;
	char text[ENDPOINT_STRLEN], prefix[PREFIX_STRLEN];

	buf_puts(out, o->wg->slot ? "wireguard-b " : "wireguard ");
	if (o->kind == OP_WG_DEVICE) {
		buf_puts(out, "set");
		if (o->wg->set_private_key)
			buf_puts(out, " private-key ...");
		if (o->wg->set_port)
			buf_printf(out, " listen-port %u", (unsigned)o->wg->port);
		return;
	}
	buf_puts(out, o->kind == OP_WG_PEER ? "peer " : "remove peer ");
	for (size_t i = 0; i < 4; i++)
		buf_printf(out, "%02x", c->peer.key[i]);
	if (c->set_endpoint)
		buf_printf(out, " endpoint %s", endpoint_format(&c->peer.endpoint, text));
	if (c->set_psk)
		buf_puts(out, " preshared-key ...");
	if (c->set_keepalive)
		buf_printf(out, " persistent-keepalive %u", (unsigned)c->peer.keepalive_s);
	for (size_t i = 0; c->set_allowed && i < c->peer.n_allowed && i < WG_ALLOWED; i++)
		buf_printf(out, " allowed-ips %s", prefix_format(&c->peer.allowed[i], prefix));
}

void op_print(struct buf *out, const struct op *o)
{
	char net[96];

	buf_printf(out, "%s ", net_id_print(&o->net->id, net));
	switch (o->kind) {
	case OP_NFT_REPLACE:
		buf_printf(out, "nft replace table inet " ROUTER_NFT_TABLE " (%zu rules)", o->nft->n_rules);
		break;
	case OP_NFT_ELEMENTS:
		buf_puts(out, "nft change elements of table inet " ROUTER_NFT_TABLE);
		break;
	case OP_NFT_REMOVE:
		buf_puts(out, "nft delete table inet " ROUTER_NFT_TABLE);
		break;
	case OP_SHORTCUT_REPLACE:
		buf_printf(out, "nft replace table netdev " ROUTER_NFT_TABLE " (%zu rules)", o->nft->n_rules);
		break;
	case OP_SHORTCUT_REMOVE:
		buf_puts(out, "nft delete table netdev " ROUTER_NFT_TABLE);
		break;
	case OP_LINK_REMOVE:
		buf_printf(out, "link del %s", o->link->name);
		break;
	case OP_LINK_ADD:
		print_link(out, o);
		break;
	case OP_LINK_SET:
		print_set(out, o);
		break;
	case OP_WG_DEVICE:
	case OP_WG_PEER:
	case OP_WG_REMOVE:
		print_wg(out, o);
		break;
	case OP_ENTRY_ADD:
	case OP_ENTRY_REMOVE:
		buf_puts(out, o->kind == OP_ENTRY_ADD ? "add " : "del ");
		entry_print(out, o->entry);
		break;
	case OP_KIND_N_:
		break;
	}
}
