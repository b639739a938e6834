/* SPDX-License-Identifier: Apache-2.0
 *
 * WireGuard over generic netlink (linux/wireguard.h). A device with many peers comes as several messages, and a peer
 * may begin in one and go on in the next.
 */
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "io/wg.h"

#define PEER_ROOM 320 /* what one peer of ours takes at most, with its nests */

void wg_device_done(struct wg_device *d)
{
	explicit_bzero(d->private_key, sizeof(d->private_key));
	if (d->peers)
		explicit_bzero(d->peers, d->n_peers * sizeof(*d->peers));
	free(d->peers);
	*d = (struct wg_device){0};
}

bool wg_key_is_none(const uint8_t key[static WG_KEY_BYTES])
{
	uint8_t any = 0;

	for (size_t i = 0; i < WG_KEY_BYTES; i++)
		any |= key[i];
	return any == 0;
}

/* --- requests --- */

static struct nlmsghdr *message(void *buf, uint16_t family, uint16_t flags, uint8_t command, uint8_t version)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = family;
	nlh->nlmsg_flags = flags;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = command;
	genl->version = version;
	return nlh;
}

struct nlmsghdr *wg_genl_family(void *buf)
{
	struct nlmsghdr *nlh = message(buf, GENL_ID_CTRL, NLM_F_REQUEST, CTRL_CMD_GETFAMILY, 1);

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	return nlh;
}

struct nlmsghdr *wg_genl_get(void *buf, uint16_t family, const char *name)
{
	struct nlmsghdr *nlh = message(buf, family, NLM_F_REQUEST | NLM_F_DUMP, WG_CMD_GET_DEVICE, WG_GENL_VERSION);

	mnl_attr_put_strz(nlh, WGDEVICE_A_IFNAME, name);
	return nlh;
}

static void put_endpoint(struct nlmsghdr *nlh, const struct endpoint *e)
{
	if (e->ip.family == AF_INET) {
		struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(e->port)};
		memcpy(&sin.sin_addr, e->ip.b, 4);
		mnl_attr_put(nlh, WGPEER_A_ENDPOINT, sizeof(sin), &sin);
	} else if (e->ip.family == AF_INET6) {
		struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(e->port)};
		memcpy(&sin6.sin6_addr, e->ip.b, 16);
		mnl_attr_put(nlh, WGPEER_A_ENDPOINT, sizeof(sin6), &sin6);
	}
}

static void put_allowed(struct nlmsghdr *nlh, const struct wg_peer *p)
{
	struct nlattr *all = mnl_attr_nest_start(nlh, WGPEER_A_ALLOWEDIPS);

	for (size_t i = 0; i < p->n_allowed && i < WG_ALLOWED; i++) {
		struct nlattr *one = mnl_attr_nest_start(nlh, 0);
		mnl_attr_put_u16(nlh, WGALLOWEDIP_A_FAMILY, p->allowed[i].ip.family);
		mnl_attr_put(nlh, WGALLOWEDIP_A_IPADDR, ip_size(p->allowed[i].ip.family), p->allowed[i].ip.b);
		mnl_attr_put_u8(nlh, WGALLOWEDIP_A_CIDR_MASK, p->allowed[i].len);
		mnl_attr_nest_end(nlh, one);
	}
	mnl_attr_nest_end(nlh, all);
}

static void put_peer(struct nlmsghdr *nlh, const struct wg_peer_change *c)
{
	struct nlattr *one = mnl_attr_nest_start(nlh, 0);
	uint32_t flags = c->remove ? WGPEER_F_REMOVE_ME : c->set_allowed ? WGPEER_F_REPLACE_ALLOWEDIPS : 0;

	mnl_attr_put(nlh, WGPEER_A_PUBLIC_KEY, WG_KEY_BYTES, c->peer.key);
	if (flags)
		mnl_attr_put_u32(nlh, WGPEER_A_FLAGS, flags);
	if (!c->remove) {
		if (c->set_psk)
			mnl_attr_put(nlh, WGPEER_A_PRESHARED_KEY, WG_KEY_BYTES, c->peer.psk);
		if (c->set_endpoint)
			put_endpoint(nlh, &c->peer.endpoint);
		if (c->set_keepalive)
			mnl_attr_put_u16(nlh, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, c->peer.keepalive_s);
		if (c->set_allowed)
			put_allowed(nlh, &c->peer);
	}
	mnl_attr_nest_end(nlh, one);
}

size_t wg_genl_set(void *buf, uint16_t family, const char *name, const struct wg_change *c, size_t from)
{
	struct nlmsghdr *nlh = message(buf, family, NLM_F_REQUEST, WG_CMD_SET_DEVICE, WG_GENL_VERSION);
	size_t i = from;

	mnl_attr_put_strz(nlh, WGDEVICE_A_IFNAME, name);
	if (from == 0 && c->set_private_key)
		mnl_attr_put(nlh, WGDEVICE_A_PRIVATE_KEY, WG_KEY_BYTES, c->private_key);
	if (from == 0 && c->set_port)
		mnl_attr_put_u16(nlh, WGDEVICE_A_LISTEN_PORT, c->port);
	if (i == c->n_peers)
		return i;
	struct nlattr *all = mnl_attr_nest_start(nlh, WGDEVICE_A_PEERS);
	for (; i < c->n_peers && nlh->nlmsg_len + PEER_ROOM <= WG_MESSAGE; i++)
		put_peer(nlh, &c->peers[i]);
	mnl_attr_nest_end(nlh, all);
	return i;
}

/* --- answers --- */

/* libmnl's own walk rounds the end of a message up, and reads behind one whose length is odd */
struct walk {
	const char *at;
	size_t left;
};

static struct walk walk_message(const struct nlmsghdr *nlh)
{
	size_t head = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct genlmsghdr));

	if (nlh->nlmsg_len <= head)
		return (struct walk){0};
	return (struct walk){(const char *)nlh + head, nlh->nlmsg_len - head};
}

static struct walk walk_nested(const struct nlattr *a)
{
	return (struct walk){mnl_attr_get_payload(a), mnl_attr_get_payload_len(a)};
}

static const struct nlattr *walk_next(struct walk *w)
{
	const struct nlattr *a = (const void *)w->at;

	if (w->left < sizeof(*a) || a->nla_len < sizeof(*a) || a->nla_len > w->left)
		return NULL;
	size_t step = NLA_ALIGN((size_t)a->nla_len);
	w->at += step < w->left ? step : w->left;
	w->left -= step < w->left ? step : w->left;
	return a;
}

/* The payload of @a when it has exactly @size bytes, else NULL */
static const void *exactly(const struct nlattr *a, size_t size)
{
	return mnl_attr_get_payload_len(a) == size ? mnl_attr_get_payload(a) : NULL;
}

uint16_t wg_genl_family_decode(const struct nlmsghdr *nlh)
{
	const struct nlattr *a;
	uint16_t id = 0;

	if (nlh->nlmsg_type != GENL_ID_CTRL || mnl_nlmsg_get_payload_len(nlh) < sizeof(struct genlmsghdr))
		return 0;
	for (struct walk w = walk_message(nlh); (a = walk_next(&w));) {
		const void *p = exactly(a, sizeof(id));
		if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID && p)
			memcpy(&id, p, sizeof(id));
	}
	return id;
}

static void take_endpoint(const struct nlattr *a, struct endpoint *ret)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;
	const void *p;

	if ((p = exactly(a, sizeof(sin)))) {
		memcpy(&sin, p, sizeof(sin));
		if (sin.sin_family != AF_INET)
			return;
		*ret = (struct endpoint){.ip = ip_from_bytes(AF_INET, (const uint8_t *)&sin.sin_addr),
					 .port = ntohs(sin.sin_port)};
	} else if ((p = exactly(a, sizeof(sin6)))) {
		memcpy(&sin6, p, sizeof(sin6));
		if (sin6.sin6_family != AF_INET6)
			return;
		*ret = (struct endpoint){.ip = ip_from_bytes(AF_INET6, (const uint8_t *)&sin6.sin6_addr),
					 .port = ntohs(sin6.sin6_port)};
	}
}

static void take_allowed(const struct nlattr *nest, struct wg_peer *p)
{
	const struct nlattr *a;
	uint16_t family = 0;
	uint8_t len = 0xff;
	const void *ip = NULL;
	size_t ip_len = 0;

	for (struct walk in = walk_nested(nest); (a = walk_next(&in));) {
		const void *v;
		switch (mnl_attr_get_type(a)) {
		case WGALLOWEDIP_A_FAMILY:
			if ((v = exactly(a, sizeof(family))))
				memcpy(&family, v, sizeof(family));
			break;
		case WGALLOWEDIP_A_IPADDR:
			ip = mnl_attr_get_payload(a);
			ip_len = mnl_attr_get_payload_len(a);
			break;
		case WGALLOWEDIP_A_CIDR_MASK:
			if ((v = exactly(a, sizeof(len))))
				len = *(const uint8_t *)v;
			break;
		default:
			break;
		}
	}
	if ((family != AF_INET && family != AF_INET6) || !ip || ip_len != ip_size((uint8_t)family) ||
	    len > ip_bits((uint8_t)family))
		return;
	if (p->n_allowed < WG_ALLOWED)
		p->allowed[p->n_allowed] = (struct prefix){ip_from_bytes((uint8_t)family, ip), len};
	p->n_allowed++;
}

static struct wg_peer *peer_of(const struct nlattr *nest, struct wg_device *d)
{
	const struct nlattr *a;
	const void *key = NULL;

	for (struct walk in = walk_nested(nest); (a = walk_next(&in));) {
		if (mnl_attr_get_type(a) == WGPEER_A_PUBLIC_KEY)
			key = exactly(a, WG_KEY_BYTES);
	}
	if (!key)
		return NULL;
	if (d->n_peers && memcmp(d->peers[d->n_peers - 1].key, key, WG_KEY_BYTES) == 0)
		return &d->peers[d->n_peers - 1];
	if (d->n_peers >= WG_PEERS_MAX)
		return NULL;
	struct wg_peer *p = xgrow(&d->peers, d->n_peers, &d->cap_peers);
	d->n_peers++;
	memcpy(p->key, key, WG_KEY_BYTES);
	return p;
}

static void take_peer(const struct nlattr *nest, struct wg_device *d)
{
	struct wg_peer *p = peer_of(nest, d);
	const struct nlattr *a, *one;

	if (!p)
		return;
	for (struct walk in = walk_nested(nest); (a = walk_next(&in));) {
		const void *v;
		switch (mnl_attr_get_type(a)) {
		case WGPEER_A_PRESHARED_KEY:
			if ((v = exactly(a, WG_KEY_BYTES)))
				memcpy(p->psk, v, WG_KEY_BYTES);
			break;
		case WGPEER_A_ENDPOINT:
			take_endpoint(a, &p->endpoint);
			break;
		case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL:
			if ((v = exactly(a, sizeof(p->keepalive_s))))
				memcpy(&p->keepalive_s, v, sizeof(p->keepalive_s));
			break;
		case WGPEER_A_LAST_HANDSHAKE_TIME:
			/* struct __kernel_timespec: seconds first */
			if ((v = exactly(a, 2 * sizeof(int64_t))))
				memcpy(&p->handshake_s, v, sizeof(p->handshake_s));
			break;
		case WGPEER_A_RX_BYTES:
			if ((v = exactly(a, sizeof(p->rx))))
				memcpy(&p->rx, v, sizeof(p->rx));
			break;
		case WGPEER_A_TX_BYTES:
			if ((v = exactly(a, sizeof(p->tx))))
				memcpy(&p->tx, v, sizeof(p->tx));
			break;
		case WGPEER_A_ALLOWEDIPS:
			for (struct walk each = walk_nested(a); (one = walk_next(&each));) {
				take_allowed(one, p);
			}
			break;
		default:
			break;
		}
	}
}

void wg_genl_decode(const struct nlmsghdr *nlh, struct wg_device *d)
{
	const struct nlattr *a, *one;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct genlmsghdr))
		return;
	for (struct walk w = walk_message(nlh); (a = walk_next(&w));) {
		const void *v;
		switch (mnl_attr_get_type(a)) {
		case WGDEVICE_A_PRIVATE_KEY:
			if ((v = exactly(a, WG_KEY_BYTES)))
				memcpy(d->private_key, v, WG_KEY_BYTES);
			break;
		case WGDEVICE_A_PUBLIC_KEY:
			if ((v = exactly(a, WG_KEY_BYTES)))
				memcpy(d->public_key, v, WG_KEY_BYTES);
			break;
		case WGDEVICE_A_LISTEN_PORT:
			if ((v = exactly(a, sizeof(d->port))))
				memcpy(&d->port, v, sizeof(d->port));
			break;
		case WGDEVICE_A_PEERS:
			for (struct walk each = walk_nested(a); (one = walk_next(&each));) {
				take_peer(one, d);
			}
			break;
		default:
			break;
		}
	}
}
