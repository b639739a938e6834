/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: The namespace broker
 *
 * Entering or creating a network namespace needs CAP_SYS_ADMIN (and /proc/PID/ns/net CAP_SYS_PTRACE). Only `host` holds
 * them; the roles ask it over a SOCK_SEQPACKET pair that they inherit. It does the things below and no others; every
 * request is one datagram (struct broker_request), answered by one (struct broker_reply, a descriptor by SCM_RIGHTS).
 * Namespaces are named, never given by path, except a container's sandbox key, which must lie below /run or /var/run
 * (or an exec-root: any path that ends in /netns/ID) and be a network namespace.
 *
 *   name          means
 *   host          the namespace that the broker runs in
 *   vni:1000      the router namespace of a VNI, pinned at RUN_DIR/INSTANCE/vni-1000
 *   wireguard     the namespace of the WireGuard device, pinned at RUN_DIR/INSTANCE/wireguard
 *   ct:ID         a container; sandbox path and pid go along; the sandbox path is tried first (also below /proc/1/root,
 *                 when we are in a container ourselves), then /proc/PID/ns/net
 *
 * Opening vni:N creates it when it is missing and BROKER_CREATE is set, and makes it a router: forwarding on, rp_filter
 * off, redirects off, no IPv6 autoconfiguration, lo up. Likewise wireguard, which forwards nothing without
 * BROKER_RELAY.
 */
#ifndef IO_BROKER_H
#define IO_BROKER_H

#include "base/base.h"
#include "io/loop.h"

#define DNS_ADDRESS "127.77.53.1" /* inside a container, where names answers; nobody outside sees it */

#define BROKER_FD_ENV "DOCKER_ROUTER_BROKER_FD"

enum broker_op {
	BROKER_OPEN,	 /* -> namespace fd */
	BROKER_NETLINK,	 /* -> netlink socket, protocol in arg (NETLINK_ROUTE, NETLINK_NETFILTER; wireguard:
			    NETLINK_GENERIC too),  events not joined */
	BROKER_NFT,	 /* run `nft -j -f -` inside; the transaction comes as a memfd -> code, first 1 KiB of stderr;
			    -EINVAL: nft refused it, -ETIMEDOUT, -ENOENT: there is no nft */
	BROKER_REMOVE,	 /* vni: and wireguard only: unpin the namespace */
	BROKER_LIST,	 /* host: -> text: VNIs of the router namespaces that are pinned, one a line; and "wireguard" */
	BROKER_IPV6_ON,	 /* ct: only: net.ipv6.conf.IFACE.disable_ipv6 = 0 and addr_gen_mode = 1, IFACE being ours:
			    dr[0-9]+ */
	BROKER_DNS,	 /* ct: only: -> UDP socket inside, which one in arg: enum broker_dns */
	BROKER_DNS_RULE, /* ct: only: -> netlink socket that owns the nft table "docker-router-names" inside: queries to
			    Docker's resolver (127.0.0.11 port 53, UDP) go to DNS_ADDRESS port arg instead, but those
			    that come from there, and answers seem to come from the resolver. The table goes when the
			    descriptor is closed, by the kernel (NFT_TABLE_F_OWNER, Linux 5.12): whoever dies, Docker's
			    resolver answers again */
	BROKER_WIREGUARD,	 /* wireguard only: where the kernel has none, run `wireguard-go IFACE` in the host's
				    namespace, IFACE being ours: drwg, 8 hex digits and b or nothing; answered when it
				    listens, also when it did before. It outlives us */
	BROKER_WIREGUARD_SOCKET, /* wireguard only: -> unix socket, connected to it (its UAPI) */
	BROKER_FORWARD, /* host: only: make the kernel copy multicast; the lines of forward_rule.h come as a memfd. The
			   table stays when the role ends; no line removes it. Answers as BROKER_NFT */
	BROKER_NIC_SYSCTL, /* ct: only: IPv6 of the interface IFACE, any but lo, as arg says: enum broker_nic */
	BROKER_FLAG,   /* ct: only: make (arg 1) or take away (0) the file of NETWORKWAIT, also when the container has
			  stopped since; see ct_file.h */
	BROKER_RESOLV, /* ct: only: the memfd's text into its resolv.conf; arg 1: also where Docker's resolver is in
			  it -> code 1: left alone */
	BROKER_DHCP,   /* ct: only: a DHCP client on IFACE; lines for it come as a memfd: dhcp_child.h -> socket that
			  events come from, and its number as text */
	BROKER_DHCP_STOP, /* host: only: end the client with the number arg / 2; arg % 2: and release its lease */
	BROKER_PACKET,	  /* ct: only: -> AF_PACKET, SOCK_RAW socket, not bound */
	BROKER_NIC_CONF,  /* ct: only: -> its net/ipv6/conf, a directory to write BROKER_NIC_SYSCTL's settings into
			     oneself; -EROFS where we cannot write there ourselves: see nic_conf.h */
	BROKER_GATHER, /* vni: only: what comes through IFACE, the VXLAN device above WireGuard (vxVNIwg), one packet at
			  a time is put together: 100 us of GRO */
	BROKER_OP_N_
};

enum broker_nic {
	BROKER_NIC_NO_IPV6 = 1,	 /* none at all; else it is switched on */
	BROKER_NIC_RA = 2,	 /* believe router advertisements: routes */
	BROKER_NIC_AUTOCONF = 4, /* and make addresses of them */
	BROKER_NIC_ALL = 7
};

enum broker_flags { BROKER_CREATE = 1, BROKER_RELAY = 2 };
enum broker_dns {
	BROKER_DNS_LISTEN, /* bound to DNS_ADDRESS and a port of the kernel's choice: here the queries come */
	BROKER_DNS_ASK	   /* from DNS_ADDRESS, connected to Docker's resolver: here they go on, see dns_rule.h */
};

/* What a role may ask for: bits 1 << broker_op */
#define BROKER_OPS_NAMES     (1u << BROKER_DNS | 1u << BROKER_DNS_RULE)
#define BROKER_OPS_MULTICAST (1u << BROKER_FORWARD)
#define BROKER_OPS_ATTACH_OWN                                                                    \
	(1u << BROKER_NIC_SYSCTL | 1u << BROKER_FLAG | 1u << BROKER_RESOLV | 1u << BROKER_DHCP | \
	 1u << BROKER_DHCP_STOP | 1u << BROKER_NIC_CONF)
#define BROKER_OPS_ROUTER             \
	(((1u << BROKER_OP_N_) - 1) & \
	 ~(BROKER_OPS_NAMES | BROKER_OPS_MULTICAST | BROKER_OPS_ATTACH_OWN | 1u << BROKER_PACKET))
/* and of these two, only for containers */
#define BROKER_OPS_ATTACH (BROKER_OPS_ATTACH_OWN | 1u << BROKER_OPEN | 1u << BROKER_NETLINK | BROKER_CONTAINERS)
#define BROKER_CONTAINERS (1u << 31)
#define BROKER_OPS_DRIVER (1u << BROKER_PACKET | 1u << BROKER_NETLINK | BROKER_CONTAINERS)

struct broker_ns {
	char name[96];	   /* as above */
	char sandbox[256]; /* ct: only */
	int32_t pid;	   /* ct: only, 0: unknown */
	char iface[16];	   /* BROKER_IPV6_ON, BROKER_WIREGUARD, BROKER_WIREGUARD_SOCKET, BROKER_NIC_SYSCTL, BROKER_DHCP,
			      BROKER_GATHER only */
};

/** broker_fn - An answer. @code 0 or -errno; @fd (taken by the callee) or -1; @text: stderr, list or error message */
typedef void broker_fn(void *arg, int code, int fd, const char *text);

struct broker; /* client side */

/** broker_connect() - Client over @fd (taken). */
struct broker *broker_connect(uv_loop_t *loop, int fd);
void broker_free(struct broker *b); /* no more callbacks */
/**
 * broker_call() - Ask; answers come in any order, each calls its @fn once, from the loop
 * @ns:     NULL for BROKER_LIST
 * @arg_n:  netlink protocol for BROKER_NETLINK, broker_flags for BROKER_OPEN, broker_dns for BROKER_DNS, else 0
 * @send_fd: memfd for BROKER_NFT and others (borrowed), else -1
 *
 * When the broker goes away every open call is answered with -ECONNRESET.
 */
void broker_call(struct broker *b, enum broker_op op, const struct broker_ns *ns, int arg_n, int send_fd, broker_fn *fn,
		 void *arg);

struct broker_server; /* in `host` */
/**
 * broker_serve() - Serve one role over @fd (taken)
 * @run_dir: RUN_DIR/INSTANCE; made when missing
 * @ops:     what it may ask for, BROKER_OPS_...; all else is answered -EPERM
 * Return: freed by itself when the other end closes, or by broker_server_free(); NULL (and @fd closed) without /proc
 */
struct broker_server *broker_serve(uv_loop_t *loop, int fd, const char *run_dir, unsigned ops);
void broker_server_free(struct broker_server *s);

#endif
