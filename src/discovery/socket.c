/* SPDX-License-Identifier: Apache-2.0
 *
 * UDP sockets, multicast membership, and the netlink events that keep both right.
 */
#include "discovery/socket.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/log.h"
#include "io/interfaces.h"

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

#define SETTLE_US	 (5 * USEC_PER_MSEC) /* events come in bursts: look once, when they are through */
#define LOOK_AGAIN_US	 (10 * USEC_PER_SEC) /* while the address is none or just the first that came along */
#define DATAGRAMS_A_TURN 256
#define RECEIVE_BYTES	 (4 << 20)
#define SEND_LOG_US	 (60 * USEC_PER_SEC)

/* A socket that is read: one per joined interface, and the one that is sent from (ifindex 0) */
struct port {
	struct sockets *owner;
	int ifindex;
	int fd;
	struct fdwatch *watch;
};

struct sockets {
	uv_loop_t *loop;
	struct sockets_config config;
	sockets_datagram_fn *datagram;
	sockets_moved_fn *moved;
	void *arg;
	struct nl *dumps, *events;
	struct timer *look;
	struct port *joined[LIMIT_JOINED];
	size_t n_joined;
	struct port *out; /* bound to host_ip, or NULL */
	struct ip host_ip;
	uint16_t out_port;
	bool firm;
	bool started;
	bool soon;     /* the timer is set because of an event */
	uint64_t told; /* hash of what moved() was told last */
	struct log_limit send_limit, look_limit;
	char join_failed[16]; /* the interface it was last said of */
};

/* --- receiving --- */

static void port_read(void *arg, int events)
{
	struct port *p = arg;
	char data[LIMIT_DATAGRAM_IN + 1];

	for (int i = 0; i < DATAGRAMS_A_TURN; i++) {
		struct sockaddr_storage ss;
		struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
		struct msghdr msg = {.msg_name = &ss, .msg_namelen = sizeof(ss), .msg_iov = &iov, .msg_iovlen = 1};
		struct endpoint from;
		ssize_t n = recvmsg(p->fd, &msg, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0)
			continue; /* EINTR, or an ICMP error of something sent: bounded by the turn */
		from = endpoint_from_sockaddr(&ss);
		p->owner->datagram(p->owner->arg, &from, p->ifindex != 0, data, (size_t)n);
	}
}

static void port_free(struct port *p)
{
	if (!p)
		return;
	fdwatch_free(p->watch);
	close(p->fd);
	free(p);
}

static struct port *port_new(struct sockets *s, int ifindex, int fd)
{
	struct port *p = xcalloc(1, sizeof(*p));
	int bytes = RECEIVE_BYTES;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	*p = (struct port){.owner = s, .ifindex = ifindex, .fd = fd};
	p->watch = fdwatch_new(s->loop, "discovery datagrams", fd, UV_READABLE, port_read, p);
	return p;
}

static int udp_socket(uint8_t family, struct err *err)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0)
		return err_errno(err, -errno, "open a UDP socket");
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	return fd;
}

static int udp_bind(int fd, const struct endpoint *e, struct err *err)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(e, &ss);
	char s[ENDPOINT_STRLEN];

	if (bind(fd, (struct sockaddr *)&ss, len) < 0)
		return err_errno(err, -errno, "bind to %s", endpoint_format(e, s));
	return 0;
}

/* --- joining --- */

/* Groups ff?1:: and ff?2:: mean another group on each interface */
static bool group_needs_scope(const struct ip *group)
{
	return group->family == AF_INET6 && (group->b[1] & 0x0f) <= 2;
}

static int membership_add(int fd, const struct ip *group, int ifindex, struct err *err)
{
	int off = 0, r;

	/* Otherwise we would hear what other processes joined on interfaces that are not ours to hear */
	if (group->family == AF_INET) {
		struct ip_mreqn mreq = {.imr_ifindex = ifindex};

		memcpy(&mreq.imr_multiaddr, group->b, 4);
		(void)setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof(off));
		r = setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq));
	} else {
		struct ipv6_mreq mreq = {.ipv6mr_interface = (unsigned)ifindex};

		memcpy(&mreq.ipv6mr_multiaddr, group->b, 16);
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off, sizeof(off));
		r = setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &mreq, sizeof(mreq));
	}
	return r < 0 ? err_errno(err, -errno, "join the group") : 0;
}

static int join_open(const struct sockets *s, int ifindex, struct err *err)
{
	struct endpoint e = {.ip = s->config.group, .port = s->config.port};
	int fd = udp_socket(s->config.family, err), on = 1, r;

	if (fd < 0)
		return fd;
	if (group_needs_scope(&s->config.group))
		e.scope = (uint32_t)ifindex;
	/* SO_REUSEADDR lets processes of different users share the group. Programs that only set SO_REUSEPORT want it
	 * of us too; multicast comes to every socket all the same */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	r = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ? err_errno(err, -errno, "SO_REUSEADDR") : 0;
	if (r == 0)
		r = udp_bind(fd, &e, err);
	if (r == 0)
		r = membership_add(fd, &s->config.group, ifindex, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static void join(struct sockets *s, int ifindex)
{
	struct err err = {0};
	char name[IF_NAMESIZE] = "?";
	int fd = join_open(s, ifindex, &err);

	if_indextoname((unsigned)ifindex, name);
	if (fd < 0) {
		if (!str_eq(name, s->join_failed))
			log_warning("multicast cannot be heard on an interface", kv_str("interface", name),
				    kv_str("why", err.text));
		str_copy(s->join_failed, name);
		return;
	}
	s->joined[s->n_joined++] = port_new(s, ifindex, fd);
	log_info("multicast joined", kv_str("interface", name));
}

static void leave(struct sockets *s, size_t nth)
{
	log_info("multicast left", kv_int("ifindex", s->joined[nth]->ifindex));
	port_free(s->joined[nth]);
	s->joined[nth] = s->joined[--s->n_joined];
}

static void join_all(struct sockets *s, const struct interfaces_choice *c)
{
	for (size_t i = s->n_joined; i-- > 0;) {
		bool wanted = false;

		for (size_t j = 0; j < c->n_joined; j++)
			wanted = wanted || c->joined[j] == s->joined[i]->ifindex;
		if (!wanted)
			leave(s, i);
	}
	for (size_t j = 0; j < c->n_joined; j++) {
		bool there = false;

		for (size_t i = 0; i < s->n_joined; i++)
			there = there || c->joined[j] == s->joined[i]->ifindex;
		if (!there && s->n_joined < LIMIT_JOINED)
			join(s, c->joined[j]);
	}
}

/* --- the socket that is sent from --- */

static int out_open(const struct sockets *s, const struct ip *host_ip, struct err *err)
{
	struct endpoint e = {.ip = *host_ip, .port = s->config.port};
	int fd = udp_socket(s->config.family, err), one = 1, r;

	if (fd < 0)
		return fd;
	r = udp_bind(fd, &e, err);
	if (r == -EADDRINUSE) { /* another process of this host has it */
		e.port = 0;
		r = udp_bind(fd, &e, err);
	}
	if (r < 0) {
		close(fd);
		return r;
	}
	/* One hop, and heard by other processes of this host: the defaults, said all the same */
	if (s->config.family == AF_INET) {
		(void)setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &one, sizeof(one));
		(void)setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &one, sizeof(one));
	} else {
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &one, sizeof(one));
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &one, sizeof(one));
	}
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return 0;
	return endpoint_from_sockaddr(&ss).port;
}

static void out_move(struct sockets *s, const struct ip *host_ip)
{
	struct err err = {0};
	char ip[IP_STRLEN];
	int fd;

	if (s->out && ip_cmp(&s->host_ip, host_ip) == 0)
		return;
	port_free(s->out);
	s->out = NULL;
	s->out_port = 0;
	if (ip_is_none(host_ip)) {
		if (!ip_is_none(&s->host_ip) || !s->started)
			log_warning("no address to send from, waiting for one");
		s->host_ip = *host_ip;
		return;
	}
	fd = out_open(s, host_ip, &err);
	if (fd < 0) {
		log_warning("cannot send, trying again", kv_str("why", err.text));
		s->host_ip = (struct ip){0};
		return;
	}
	s->host_ip = *host_ip;
	s->out = port_new(s, 0, fd);
	s->out_port = port_of(fd);
	if (ip_is_loopback(host_ip) && s->config.group.family == AF_INET6)
		log_warning("the kernel has no IPv6 multicast on loopback",
			    kv_str("cure", "an IPv4 MULTICAST_GROUP, or DISCOVERY_MODE=static"));
	log_info("sending", kv_str("host_ip", ip_format(host_ip, ip)), kv_int("port", s->out_port));
}

static void send_failed(struct sockets *s, const struct endpoint *to, int code)
{
	uint64_t held;
	char e[ENDPOINT_STRLEN];

	s->send_limit.interval_us = SEND_LOG_US;
	if (log_limit_pass(&s->send_limit, mono_now().us, &held))
		log_warning("datagram not sent", kv_str("to", endpoint_format(to, e)), kv_str("why", strerror(-code)),
			    kv_int("held_back", (int64_t)held));
}

void sockets_send(struct sockets *s, const struct endpoint *to, const char *data, size_t len)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = endpoint_to_sockaddr(to, &ss);

	if (!s->out || to->ip.family != s->config.family)
		return;
	if (sendto(s->out->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&ss, ss_len) < 0)
		send_failed(s, to, -errno);
}

struct endpoint sockets_from(const struct sockets *s)
{
	return (struct endpoint){.ip = s->host_ip, .port = s->out_port};
}

/* The control message that says which interface to send on, from which address */
static size_t pktinfo_put(const struct sockets *s, int ifindex, struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	if (s->config.family == AF_INET) {
		struct in_pktinfo info = {.ipi_ifindex = ifindex};

		memcpy(&info.ipi_spec_dst, s->host_ip.b, 4);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)ifindex};

	memcpy(&info.ipi6_addr, s->host_ip.b, 16);
	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return CMSG_SPACE(sizeof(info));
}

void sockets_send_group(struct sockets *s, const char *data, size_t len)
{
	struct endpoint to = {.ip = s->config.group, .port = s->config.port};

	if (!s->out || ip_is_none(&s->config.group))
		return;
	for (size_t i = 0; i < s->n_joined; i++) {
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
		struct sockaddr_storage ss;
		struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
		struct msghdr msg = {.msg_name = &ss,
				     .msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control,
				     .msg_controllen = sizeof(control)};

		to.scope = group_needs_scope(&to.ip) ? (uint32_t)s->joined[i]->ifindex : 0;
		msg.msg_namelen = endpoint_to_sockaddr(&to, &ss);
		msg.msg_controllen = pktinfo_put(s, s->joined[i]->ifindex, &msg);
		if (sendmsg(s->out->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			send_failed(s, &to, -errno);
	}
}

/* --- following the interfaces --- */

static void tell_moved(struct sockets *s, const struct interfaces *i, int host_index)
{
	struct ip *own = xcalloc(i->n_addresses + 1, sizeof(*own));
	struct prefix *underlay = xcalloc(i->n_addresses + 1, sizeof(*underlay));
	struct core_addresses a = {.host_ip = s->host_ip, .port = s->out_port, .own = own, .underlay = underlay};
	uint64_t told;

	for (size_t n = 0; n < i->n_addresses; n++) {
		own[a.n_own++] = i->addresses[n].prefix.ip;
		/* Only where the tunnels run: what else is routed here is for the router to compare */
		if (i->addresses[n].index == host_index && !ip_is_link_local(&i->addresses[n].prefix.ip))
			underlay[a.n_underlay++] = prefix_mask(i->addresses[n].prefix);
	}
	told = hash64(own, a.n_own * sizeof(*own), hash64(&s->host_ip, sizeof(s->host_ip), s->out_port));
	told = hash64(underlay, a.n_underlay * sizeof(*underlay), told);
	if (told != s->told || !s->started)
		s->moved(s->arg, &a);
	s->told = told;
	free(own);
	free(underlay);
}

static int look(struct sockets *s, struct err *err)
{
	bool route_matters = ip_is_none(&s->config.host_ip) && !s->config.interface[0];
	struct interfaces_wish wish = {.family = s->config.family,
				       .host_ip = s->config.host_ip,
				       .name = s->config.interface,
				       .current = s->host_ip,
				       .current_firm = s->firm};
	struct interfaces_choice c;
	struct interfaces i;
	int r = interfaces_read(s->dumps, route_matters ? s->config.family : 0, &i, err);

	if (r < 0)
		return r;
	interfaces_choose(&i, &wish, &c);
	s->firm = c.firm;
	if (!ip_is_none(&s->config.group))
		join_all(s, &c);
	out_move(s, &c.host_ip);
	tell_moved(s, &i, c.host_index);
	interfaces_done(&i);
	if (ip_is_none(&s->host_ip) || !s->firm)
		timer_start(s->look, LOOK_AGAIN_US);
	else
		timer_stop(s->look);
	return 0;
}

void sockets_rescan(struct sockets *s)
{
	struct err err = {0};
	uint64_t held;

	s->soon = false;
	s->look_limit.interval_us = SEND_LOG_US;
	if (look(s, &err) == 0)
		return;
	if (log_limit_pass(&s->look_limit, mono_now().us, &held))
		log_warning("interfaces cannot be read, trying again", kv_str("why", err.text));
	timer_start(s->look, LOOK_AGAIN_US);
}

static void on_look(void *arg)
{
	sockets_rescan(arg);
}

/* Not put off by further events: under a storm of them we still look every few milliseconds */
static void look_soon(struct sockets *s)
{
	if (s->soon)
		return;
	s->soon = true;
	timer_start(s->look, SETTLE_US);
}

static void on_event(void *arg, const struct nlmsghdr *nlh)
{
	struct sockets *s = arg;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	/* Its membership has gone with it, whatever comes under the same number next */
	if (nlh->nlmsg_type == RTM_DELLINK && mnl_nlmsg_get_payload_len(nlh) >= sizeof(*ifi) &&
	    ifi->ifi_family == AF_UNSPEC) {
		for (size_t i = s->n_joined; i-- > 0;) {
			if (s->joined[i]->ifindex == ifi->ifi_index)
				leave(s, i);
		}
	}
	look_soon(s);
}

static void on_lost(void *arg)
{
	look_soon(arg);
}

/* One family for all that is sent: the group's, else that of the address or of the first peer */
static uint8_t family_choose(const struct config *c)
{
	if (c->modes & MODE_MULTICAST)
		return c->multicast_group.family;
	if (!ip_is_none(&c->host_ip))
		return c->host_ip.family;
	return c->n_peers > 0 ? c->peers[0].ip.family : AF_INET;
}

struct sockets_config sockets_config_of(const struct config *c)
{
	struct sockets_config ret = {.family = family_choose(c), .port = c->discovery_port, .host_ip = c->host_ip};

	str_copy(ret.interface, c->interface);
	if (c->modes & MODE_MULTICAST)
		ret.group = c->multicast_group;
	return ret;
}

struct sockets *sockets_new(uv_loop_t *loop, const struct sockets_config *config, sockets_datagram_fn *datagram,
			    sockets_moved_fn *moved, void *arg)
{
	struct sockets *s = xcalloc(1, sizeof(*s));

	*s = (struct sockets){.loop = loop, .config = *config, .datagram = datagram, .moved = moved, .arg = arg};
	s->look = timer_new(loop, "look at the interfaces", on_look, s);
	return s;
}

int sockets_start(struct sockets *s, struct err *err)
{
	static const unsigned groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, 0};
	int r = nl_open(NETLINK_ROUTE, &s->dumps, err);

	if (r == 0)
		r = nl_open(NETLINK_ROUTE, &s->events, err);
	if (r == 0)
		r = nl_listen(s->events, s->loop, groups, on_event, on_lost, s, err);
	if (r == 0)
		r = look(s, err);
	s->started = true;
	return r;
}

void sockets_free(struct sockets *s)
{
	if (!s)
		return;
	while (s->n_joined > 0)
		port_free(s->joined[--s->n_joined]);
	port_free(s->out);
	nl_free(s->events);
	nl_free(s->dumps);
	timer_free(s->look);
	free(s);
}
