/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: A DHCPv4 client as a pure state machine (RFC 2131, 2132)
 *
 *	           OFFER              ACK                T1                T2
 *	SELECTING ------> REQUESTING -----> BOUND -----> RENEWING -----> REBINDING
 *	    ^  ^               | NAK, 3 tries  ^  ACK         | NAK           | NAK, expiry
 *	    |  +---------------+               +--------------+---------------+
 *	    +-----------------------------------------------------------------+
 *	REBOOTING: asks for what it had before; goes to BOUND, or to SELECTING after a NAK or 2 tries
 *
 * The driver needs an address before the container's namespace is there, and goes on inside it with the same identity:
 * so the machine knows neither sockets nor clocks nor interfaces. Ethernet frames and times come in, frames go out. All
 * times are microseconds of one clock. What servers send is bounded and checked in dhcp_wire.c.
 *
 * Not in it: probing an address by ARP (the server's task, which mostly does), and DECLINE.
 */
#ifndef DRIVER_DHCP_H
#define DRIVER_DHCP_H

#include "base/addr.h"
#include "base/clock.h"

#define DHCP_FRAME    600 /* bytes of what is sent */
#define DHCP_FOREVER  UINT32_MAX
#define DHCP_HOSTNAME 64

enum dhcp_state {
	DHCP_OFF,
	DHCP_SELECTING,
	DHCP_REQUESTING,
	DHCP_REBOOTING,
	DHCP_BOUND,
	DHCP_RENEWING,
	DHCP_REBINDING,
	DHCP_STATE_N_
};
extern const char *const dhcp_state_names[DHCP_STATE_N_];

struct dhcp_lease {
	struct prefix address; /* host bits kept; none: no lease */
	struct ip gateway;     /* none: there is none, or none inside the net */
	struct ip server;
	struct mac server_mac; /* who sent it: server or relay */
	uint32_t seconds;      /* DHCP_FOREVER: no end */
	uint32_t t1, t2;       /* seconds from the beginning */
	int64_t begin_us;
};

struct dhcp_out {
	uint8_t frame[DHCP_FRAME];
	size_t len; /* 0: nothing is to be sent */
};

enum dhcp_event {
	DHCP_GOT = 1,  /* ->lease is new, changed or renewed */
	DHCP_LOST = 2, /* refused, or it ran out: the address is not ours any more */
};

struct dhcp_client {
	enum dhcp_state state;
	struct mac mac;
	char hostname[DHCP_HOSTNAME]; /* "": none is told */
	uint32_t xid;
	struct ip want; /* asked for first, or none */
	struct dhcp_lease lease, offer;
	unsigned tries;
	int64_t began_us; /* for "secs" */
	int64_t due_us;	  /* when dhcp_timer() is to be called; INT64_MAX: never */
};

/** dhcp_begin() - Look for a server, asking for @want; due at once. @seed: another one for each call */
void dhcp_begin(struct dhcp_client *c, const struct mac *mac, const char *hostname, const struct ip *want,
		uint32_t seed, int64_t now_us);
/** dhcp_resume() - With a lease that is held already; it is asked for again at once when @verify, else at T1 */
void dhcp_resume(struct dhcp_client *c, const struct mac *mac, const char *hostname, const struct dhcp_lease *lease,
		 uint32_t seed, bool verify, int64_t now_us);
/** dhcp_timer() - due_us has come. Return: dhcp_event bits */
int dhcp_timer(struct dhcp_client *c, int64_t now_us, struct dhcp_out *out);
/** dhcp_input() - An Ethernet frame has come; what is not for this client is passed over. Return: dhcp_event bits */
int dhcp_input(struct dhcp_client *c, const uint8_t *frame, size_t len, int64_t now_us, struct dhcp_out *out);
/** dhcp_release() - Give the lease back, and be off; nothing is sent when there is none */
void dhcp_release(struct dhcp_client *c, struct dhcp_out *out);

/* --- on the wire: dhcp_wire.c --- */

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
	DHCP_RELEASE = 7,
};

/** struct dhcp_ask - What a client says */
struct dhcp_ask {
	enum dhcp_type type;
	uint32_t xid;
	uint16_t secs;
	struct mac mac;
	const char *hostname;	  /* "" none */
	struct ip ciaddr;	  /* the address in use, or none */
	struct ip want, server;	  /* options 50 and 54, or none */
	const struct mac *to_mac; /* NULL: broadcast; else unicast, to that and: */
	struct ip to;
};

/** struct dhcp_reply - What a server says */
struct dhcp_reply {
	enum dhcp_type type;
	struct dhcp_lease lease; /* of OFFER and ACK; begin_us is 0 */
};

void dhcp_build(const struct dhcp_ask *a, struct dhcp_out *out);
/**
 * dhcp_parse() - One Ethernet frame
 * Return: 0; -EAGAIN no reply to this client; -EBADMSG with @err: one that holds what cannot be (a mask of /0, an
 * address that no host can have, no time); what is only superfluous is left out
 */
int dhcp_parse(const uint8_t *frame, size_t len, const struct mac *mac, uint32_t xid, struct dhcp_reply *ret,
	       struct err *err) MUST_USE;

#endif
