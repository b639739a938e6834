/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet sockets in, raw sockets out; see wire.h.
 */
#include "multicast/wire.h"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <sys/socket.h>

#include "base/log.h"
#include "multicast/datagram.h"

#define ROUNDS	  64  /* packets of one socket in one turn of the loop */
#define PORTS_MAX 256 /* searches that are open at a time */
#define RCVBUF	  (1 << 20)

enum family { FAMILY_4, FAMILY_6, FAMILY_N_ };
static const int family_af[] = {AF_INET, AF_INET6};

/* One family of a leg */
struct wire_in {
	struct wire_leg *leg;
	int fd, joined;
	struct fdwatch *watch;
};

struct wire_leg {
	struct wire *wire;
	struct mc_leg leg; /* its prefixes are not ours, and not looked at */
	int ifindex;
	struct wire_in in[FAMILY_N_];
};

/* The socket of a search */
struct port {
	uint32_t id, leg;
	int fd;
	uint8_t family;
	uint16_t number;
};

struct wire {
	uv_loop_t *loop;
	wire_packet_fn *packet;
	wire_bad_fn *bad;
	wire_gmp_fn *gmp;
	void *arg;
	int raw[FAMILY_N_];
	struct wire_leg *legs[MC_LEGS];
	size_t n_legs;
	bool solicitations;
	struct port ports[PORTS_MAX];
	size_t n_ports;
	uint16_t next_number;
	uint8_t data[MC_DATA + 128];
};

static struct wire_leg *leg_find(const struct wire *w, uint32_t id)
{
	for (size_t i = 0; i < w->n_legs; i++)
		if (w->legs[i]->leg.id == id)
			return w->legs[i];
	return NULL;
}

static bool family_in_use(const struct mc_leg *l, enum family f)
{
	return !ip_is_none(f == FAMILY_4 ? &l->ip4 : &l->ip6);
}

/* --- in --- */

/*
 * Not sent by this host: UDP that is no fragment, to a group at port 1900 or 5353, or to the ports of searches; IGMP;
 * what MLD is in, ICMPv6 behind hop-by-hop options; and solicitations of routers where they are wanted. The kernel
 * gives the packet from its IP header on.
 */
static int filter_attach(int fd, enum family f, bool solicitations)
{
	const uint8_t solicited = solicitations ? 0 : 1; /* how far to jump */
	const struct sock_filter v4[] = {
		/*  0 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		/*  1 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PACKET_OTHERHOST, 14, 0),
		/*  2 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		/*  3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 1, 0),
		/*  4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IGMP, 10, 11),
		/*  5 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
		/*  6 */ BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, 9, 0),
		/*  7 */ BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		/*  8 */ BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		/*  9 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SSDP_PORT, 3, 0),
		/* 10 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MDNS_PORT, 2, 0),
		/* 11 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, WIRE_PORT_FIRST, 0, 4),
		/* 12 */ BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, WIRE_PORT_LAST, 3, 2),
		/* 13 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 16),
		/* 14 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 224, 0, 1),
		/* 15 */ BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		/* 16 */ BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_filter v6[] = {
		/*  0 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		/*  1 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PACKET_OTHERHOST, 16, 0),
		/*  2 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
		/*  3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 6, 0),
		/*  4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 3, 0),
		/*  5 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_HOPOPTS, 0, 12),
		/*  6 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40),
		/*  7 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 9, 10),
		/*  8 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40),
		/*  9 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_ROUTER_SOLICIT, (uint8_t)(7 + solicited), 8),
		/* 10 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 42),
		/* 11 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SSDP_PORT, 3, 0),
		/* 12 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MDNS_PORT, 2, 0),
		/* 13 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, WIRE_PORT_FIRST, 0, 4),
		/* 14 */ BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, WIRE_PORT_LAST, 3, 2),
		/* 15 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 24),
		/* 16 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xff, 0, 1),
		/* 17 */ BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		/* 18 */ BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog p = {.len = f == FAMILY_4 ? ARRAY_LEN(v4) : ARRAY_LEN(v6),
				     .filter = (struct sock_filter *)(f == FAMILY_4 ? v4 : v6)};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) < 0 ? -errno : 0;
}

/* The search that is asked from there, 0: none. */
static uint32_t port_by_number(const struct wire *w, uint32_t leg, const struct endpoint *dst)
{
	for (size_t i = 0; i < w->n_ports; i++)
		if (w->ports[i].number == dst->port && w->ports[i].leg == leg && w->ports[i].family == dst->ip.family)
			return w->ports[i].id;
	return 0;
}

static void packet_in(struct wire_leg *l, const uint8_t *data, size_t len, bool check)
{
	struct mc_packet p = {.leg = l->leg.id};
	struct wire *w = l->wire;
	const char *why;

	if (len > 9 &&
	    (data[0] >> 4 == 4 ? data[9] == IPPROTO_IGMP : data[6] == IPPROTO_HOPOPTS || data[6] == IPPROTO_ICMPV6)) {
		w->gmp(w->arg, l->leg.id, data[0] >> 4 == 4 ? AF_INET : AF_INET6, data, len);
		return;
	}
	why = datagram_parse(data, len, check, &p);

	if (why) {
		w->bad(w->arg, l->leg.id, why);
		return;
	}
	if (!ip_is_multicast(&p.dst.ip)) {
		p.port = port_by_number(w, p.leg, &p.dst);
		/* packets for others' ports of that range, or for a search that is over */
		if (!p.port)
			return;
	}
	w->packet(w->arg, &p);
}

static bool needs_check(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		/* what comes over a veth has often no checksum yet */
		return !(aux.tp_status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID));
	}
	return true;
}

static void on_packet(void *arg, int events)
{
	struct wire_in *in = arg;
	struct wire_leg *l = in->leg;
	struct wire *w = l->wire;
	uint32_t id = l->leg.id;

	for (int i = 0; i < ROUNDS; i++) {
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct iovec iov = {.iov_base = w->data, .iov_len = sizeof(w->data)};
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(in->fd, &msg, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0)
			return;
		if ((size_t)n > sizeof(w->data))
			w->bad(w->arg, id, "too long");
		else
			packet_in(l, w->data, (size_t)n, needs_check(&msg));
	}
}

/* --- a leg --- */

static int in_open(const struct wire_leg *l, enum family f, struct err *err)
{
	int protocol = f == FAMILY_4 ? ETH_P_IP : ETH_P_IPV6, on = 1, size = RCVBUF, rc;
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol), .sll_ifindex = l->ifindex};
	struct packet_mreq all = {.mr_ifindex = l->ifindex, .mr_type = PACKET_MR_ALLMULTI};
	/* protocol 0: nothing is heard before the filter is in place */
	autoclose int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(err, -errno, "packet socket");
	rc = filter_attach(fd, f, l->wire->solicitations && l->leg.lan);
	if (rc < 0)
		return err_errno(err, rc, "filter of a packet socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0)
		return err_errno(err, -errno, "PACKET_AUXDATA");
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return err_errno(err, -errno, "bind a packet socket");
	/* reports of older versions go to the group that they are about */
	if (l->leg.wants & MC_GROUPS && setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0)
		return err_errno(err, -errno, "PACKET_MR_ALLMULTI");
	return steal_fd(fd);
}

static int join(int fd, enum family f, int ifindex, const char *group)
{
	struct ip ip;

	if (ip_parse(group, &ip) < 0)
		return -EINVAL;
	if (f == FAMILY_4) {
		struct ip_mreqn m = {.imr_ifindex = ifindex};

		memcpy(&m.imr_multiaddr, ip.b, 4);
		return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)) < 0 ? -errno : 0;
	}
	struct ipv6_mreq m = {.ipv6mr_interface = (unsigned)ifindex};

	memcpy(&m.ipv6mr_multiaddr, ip.b, 16);
	return setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m, sizeof(m)) < 0 ? -errno : 0;
}

/* The socket that has joined what the leg wants */
static int joined_open(const struct wire_leg *l, enum family f, struct err *err)
{
	static const char *const ssdp[FAMILY_N_][2] = {{"239.255.255.250"}, {"ff02::c", "ff05::c"}};
	static const char *const mdns[FAMILY_N_] = {"224.0.0.251", "ff02::fb"};
	autoclose int fd = socket(family_af[f], SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = 0;

	if (fd < 0)
		return err_errno(err, -errno, "UDP socket");
	for (int i = 0; i < 2 && l->leg.wants & MC_SSDP && rc == 0; i++)
		rc = ssdp[f][i] ? join(fd, f, l->ifindex, ssdp[f][i]) : 0;
	if (l->leg.wants & MC_MDNS && rc == 0)
		rc = join(fd, f, l->ifindex, mdns[f]);
	if (f == FAMILY_6 && l->wire->solicitations && l->leg.lan && rc == 0)
		rc = join(fd, f, l->ifindex, "ff02::2");
	return rc < 0 ? err_errno(err, rc, "join") : steal_fd(fd);
}

static void family_close(struct wire_in *in)
{
	fdwatch_free(in->watch);
	in->watch = NULL;
	autoclose_(&in->fd);
	autoclose_(&in->joined);
	in->fd = in->joined = -1;
}

static int family_open(struct wire_in *in, enum family f, struct err *err)
{
	in->fd = in_open(in->leg, f, err);
	in->joined = in->fd < 0 ? -1 : joined_open(in->leg, f, err);
	if (in->joined < 0) {
		family_close(in);
		return err->code;
	}
	in->watch = fdwatch_new(in->leg->wire->loop, "multicast packets", in->fd, UV_READABLE, on_packet, in);
	return 0;
}

static int leg_open(struct wire_leg *l, struct err *err)
{
	int rc = 0;

	for (enum family f = 0; f < FAMILY_N_; f++) {
		if (family_in_use(&l->leg, f) && l->in[f].fd < 0 && rc == 0)
			rc = family_open(&l->in[f], f, err);
		else if (!family_in_use(&l->leg, f))
			family_close(&l->in[f]);
	}
	return rc;
}

int wire_leg_add(struct wire *w, const struct mc_leg *leg, int ifindex, struct err *err)
{
	struct wire_leg *l;
	int rc;

	if (w->n_legs >= MC_LEGS)
		return err_set(err, -ENOSPC, "more than %d networks with multicast", MC_LEGS);
	l = xcalloc(1, sizeof(*l));
	*l = (struct wire_leg){.wire = w, .leg = *leg, .ifindex = ifindex};
	for (enum family f = 0; f < FAMILY_N_; f++)
		l->in[f] = (struct wire_in){.leg = l, .fd = -1, .joined = -1};
	rc = leg_open(l, err);
	w->legs[w->n_legs++] = l;
	if (rc < 0)
		wire_leg_remove(w, leg->id);
	return rc;
}

int wire_leg_change(struct wire *w, const struct mc_leg *leg, struct err *err)
{
	struct wire_leg *l = leg_find(w, leg->id);

	if (!l)
		return err_set(err, -ENOENT, "no such leg");
	for (enum family f = 0; f < FAMILY_N_ && leg->wants != l->leg.wants; f++)
		family_close(&l->in[f]);
	l->leg = *leg;
	return leg_open(l, err);
}

static void port_close(struct wire *w, size_t i)
{
	close(w->ports[i].fd);
	w->ports[i] = w->ports[--w->n_ports];
}

void wire_leg_remove(struct wire *w, uint32_t leg)
{
	for (size_t i = w->n_ports; i-- > 0;)
		if (w->ports[i].leg == leg)
			port_close(w, i);
	for (size_t i = 0; i < w->n_legs; i++) {
		struct wire_leg *l = w->legs[i];

		if (l->leg.id != leg)
			continue;
		for (enum family f = 0; f < FAMILY_N_; f++)
			family_close(&l->in[f]);
		w->legs[i] = w->legs[--w->n_legs];
		free(l);
		return;
	}
}

/* --- out --- */

/* Our address on that leg that goes with this destination */
static const struct ip *source_for(const struct mc_leg *l, const struct ip *dst)
{
	bool narrow = ip_is_link_local(dst) || (dst->b[0] == 0xff && (dst->b[1] & 0x0f) <= 2);

	if (dst->family == AF_INET)
		return &l->ip4;
	return narrow || ip_is_none(&l->ip6_wide) ? &l->ip6 : &l->ip6_wide;
}

static socklen_t address_of(const struct wire_leg *l, struct endpoint to, struct sockaddr_storage *ret)
{
	bool scoped = ip_is_link_local(&to.ip) || ip_is_multicast(&to.ip);

	to.scope = to.ip.family == AF_INET6 && scoped ? (uint32_t)l->ifindex : 0;
	return endpoint_to_sockaddr(&to, ret);
}

static size_t pktinfo_put(const struct wire_leg *l, const struct ip *src, struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	if (src->family == AF_INET) {
		struct in_pktinfo info = {.ipi_ifindex = l->ifindex};

		memcpy(&info.ipi_spec_dst, src->b, 4);
		*c = (struct cmsghdr){
			.cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO, .cmsg_len = CMSG_LEN(sizeof(info))};
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)l->ifindex};

	memcpy(&info.ipi6_addr, src->b, 16);
	*c = (struct cmsghdr){
		.cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO, .cmsg_len = CMSG_LEN(sizeof(info))};
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return CMSG_SPACE(sizeof(info));
}

static int send_raw(struct wire *w, const struct wire_leg *l, const struct mc_action *a)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
	struct endpoint src = {.ip = *source_for(&l->leg, &a->dst.ip), .port = a->src_port}, to = a->dst;
	uint8_t head[DATAGRAM_HEAD];
	struct sockaddr_storage ss;
	struct iovec iov[] = {{head, 0}, {a->data, a->len}};
	struct msghdr msg = {.msg_name = &ss,
			     .msg_iov = iov,
			     .msg_iovlen = ARRAY_LEN(iov),
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};

	if (ip_is_none(&src.ip))
		return -EADDRNOTAVAIL;
	iov[0].iov_len = datagram_head(&src, &a->dst, a->ttl, (const uint8_t *)a->data, a->len, head);
	to.port = 0; /* of a raw IPv6 socket it would be a protocol */
	msg.msg_namelen = address_of(l, to, &ss);
	msg.msg_controllen = pktinfo_put(l, &src.ip, &msg);
	return sendmsg(w->raw[a->dst.ip.family == AF_INET ? FAMILY_4 : FAMILY_6], &msg, MSG_DONTWAIT) < 0 ? -errno : 0;
}

int wire_send(struct wire *w, uint32_t leg, const struct ip *dst, const uint8_t *packet, size_t len)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
	const struct wire_leg *l = leg_find(w, leg);
	struct endpoint to = {.ip = *dst};
	struct sockaddr_storage ss;
	struct iovec iov = {(void *)packet, len};
	struct msghdr msg = {.msg_name = &ss,
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	const struct ip *src = l ? source_for(&l->leg, dst) : NULL;

	if (!src || ip_is_none(src))
		return -ENODEV;
	msg.msg_namelen = address_of(l, to, &ss);
	msg.msg_controllen = pktinfo_put(l, src, &msg);
	return sendmsg(w->raw[dst->family == AF_INET ? FAMILY_4 : FAMILY_6], &msg, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* Takes one number after the other, so that a late answer to the last search meets nobody */
static int port_bind(struct wire *w, const struct wire_leg *l, const struct ip *src, int fd, uint16_t *ret_number)
{
	int rc = -EADDRINUSE;

	for (int i = 0; i <= WIRE_PORT_LAST - WIRE_PORT_FIRST && rc == -EADDRINUSE; i++) {
		struct endpoint at = {.ip = *src, .port = w->next_number};
		struct sockaddr_storage ss;
		socklen_t len = address_of(l, at, &ss);

		rc = bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
		*ret_number = at.port;
		w->next_number = at.port == WIRE_PORT_LAST ? WIRE_PORT_FIRST : (uint16_t)(at.port + 1);
	}
	return rc;
}

static int port_open(struct wire *w, const struct wire_leg *l, const struct mc_action *a, struct port **ret)
{
	const struct sock_filter none[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct sock_fprog deaf = {.len = 1, .filter = (struct sock_filter *)none};
	const struct ip *src = source_for(&l->leg, &a->dst.ip);
	struct port p = {.id = a->port, .leg = a->leg, .family = a->dst.ip.family};
	autoclose int fd = -1;
	int rc;

	if (w->n_ports >= PORTS_MAX)
		return -ENOSPC;
	if (ip_is_none(src))
		return -EADDRNOTAVAIL;
	fd = socket(p.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &deaf, sizeof(deaf)) < 0)
		return -errno;
	rc = port_bind(w, l, src, fd, &p.number);
	if (rc < 0)
		return rc;
	p.fd = steal_fd(fd);
	w->ports[w->n_ports] = p;
	*ret = &w->ports[w->n_ports++];
	return 0;
}

static int send_port(struct wire *w, const struct wire_leg *l, const struct mc_action *a)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
	bool v4 = a->dst.ip.family == AF_INET;
	int ttl = a->ttl, rc = 0;
	struct port *p = NULL;
	struct sockaddr_storage ss;
	struct iovec iov = {a->data, a->len};
	struct msghdr msg = {.msg_name = &ss,
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};

	for (size_t i = 0; i < w->n_ports && !p; i++)
		if (w->ports[i].id == a->port && w->ports[i].leg == a->leg && w->ports[i].family == a->dst.ip.family)
			p = &w->ports[i];
	if (!p)
		rc = port_open(w, l, a, &p);
	if (rc < 0 || !p)
		return rc;
	if (v4) {
		(void)setsockopt(p->fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl));
		(void)setsockopt(p->fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	} else {
		(void)setsockopt(p->fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &ttl, sizeof(ttl));
		(void)setsockopt(p->fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof(ttl));
	}
	msg.msg_namelen = address_of(l, a->dst, &ss);
	msg.msg_controllen = pktinfo_put(l, source_for(&l->leg, &a->dst.ip), &msg);
	return sendmsg(p->fd, &msg, MSG_DONTWAIT) < 0 ? -errno : 0;
}

int wire_do(struct wire *w, const struct mc_action *a)
{
	const struct wire_leg *l = leg_find(w, a->leg);

	if (a->kind == MC_CLOSE) {
		for (size_t i = w->n_ports; i-- > 0;)
			if (w->ports[i].id == a->port && w->ports[i].leg == a->leg)
				port_close(w, i);
		return 0;
	}
	if (!l)
		return -ENODEV;
	return a->port ? send_port(w, l, a) : send_raw(w, l, a);
}

struct wire *wire_new(uv_loop_t *loop, wire_packet_fn *packet, wire_bad_fn *bad, wire_gmp_fn *gmp, void *arg,
		      struct err *err)
{
	struct wire *w = xcalloc(1, sizeof(*w));

	*w = (struct wire){.loop = loop,
			   .packet = packet,
			   .bad = bad,
			   .gmp = gmp,
			   .arg = arg,
			   .raw = {-1, -1},
			   .next_number = WIRE_PORT_FIRST};
	for (enum family f = 0; f < FAMILY_N_; f++) {
		w->raw[f] = socket(family_af[f], SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
		/* a kernel without IPv6 has no use for the second */
		if (w->raw[f] < 0 && !(f == FAMILY_6 && errno == EAFNOSUPPORT)) {
			err_errno(err, -errno, "raw socket");
			wire_free(w);
			return NULL;
		}
	}
	return w;
}

void wire_hear_solicitations(struct wire *w)
{
	w->solicitations = true;
}

void wire_free(struct wire *w)
{
	if (!w)
		return;
	while (w->n_legs)
		wire_leg_remove(w, w->legs[0]->leg.id);
	for (enum family f = 0; f < FAMILY_N_; f++)
		autoclose_(&w->raw[f]);
	free(w);
}
