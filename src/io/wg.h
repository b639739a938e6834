/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: What is said to and by a WireGuard device
 *
 * One set of structs, two languages for it: generic netlink for the kernel's (wg_genl.c), text over a unix socket for
 * wireguard-go (wg_uapi.c). Both are pure: bytes in, struct out and back. What comes is bounded and checked, since the
 * process at the other end of that socket reads what strangers send.
 */
#ifndef IO_WG_H
#define IO_WG_H

#include <libmnl/libmnl.h>

#include "base/addr.h"
#include "base/base.h"

#define WG_KEY_BYTES 32
#define WG_ALLOWED   3		 /* that are kept; ours have no more */
#define WG_PEERS_MAX 16384	 /* as LIMIT_PEERS; more is not read */
#define WG_LINE	     256	 /* of text, and more than any line that is known */
#define WG_REPLY_MAX (16u << 20) /* of text in one answer */
#define WG_MESSAGE   8192	 /* room for one message of wg_genl_set() */

/** struct wg_peer - One peer of a device */
struct wg_peer {
	uint8_t key[WG_KEY_BYTES]; /* public */
	uint8_t psk[WG_KEY_BYTES]; /* zero: none */
	struct endpoint endpoint;  /* none: not known */
	uint16_t keepalive_s;	   /* 0: off */
	uint32_t n_allowed;	   /* may be more than are kept */
	struct prefix allowed[WG_ALLOWED];
	/* read only */
	int64_t handshake_s; /* wall clock of the last one; 0: none yet */
	uint64_t rx, tx;     /* bytes */
};

struct wg_device {
	uint8_t private_key[WG_KEY_BYTES], public_key[WG_KEY_BYTES]; /* zero: none */
	uint16_t port;
	struct wg_peer *peers; /* in the order they came */
	size_t n_peers, cap_peers;
};

void wg_device_done(struct wg_device *d); /* wipes it */
bool wg_key_is_none(const uint8_t key[static WG_KEY_BYTES]);

/** struct wg_peer_change - What is to be so of one peer */
struct wg_peer_change {
	bool remove;
	bool set_psk, set_endpoint, set_keepalive, set_allowed; /* else it stays as it is */
	struct wg_peer peer;
};

/** struct wg_change - What is to be so of a device; what is not named stays */
struct wg_change {
	bool set_private_key, set_port;
	uint8_t private_key[WG_KEY_BYTES];
	uint16_t port;
	const struct wg_peer_change *peers;
	size_t n_peers;
};

/* --- generic netlink --- */

/** wg_genl_family() - Ask for the number of the family "wireguard"; @buf is a message's room */
struct nlmsghdr *wg_genl_family(void *buf);
/** wg_genl_family_decode() - Return: the number, 0 when the message does not tell it */
uint16_t wg_genl_family_decode(const struct nlmsghdr *nlh);
/** wg_genl_get() - Ask for a device: a dump */
struct nlmsghdr *wg_genl_get(void *buf, uint16_t family, const char *name);
/**
 * wg_genl_set() - One message of a change
 * @buf:  WG_MESSAGE bytes
 * @from: peers before it are said already
 * Return: the first peer that did not fit, or n_peers: that was the last message
 */
size_t wg_genl_set(void *buf, uint16_t family, const char *name, const struct wg_change *c, size_t from);
/** wg_genl_decode() - One message of a dump into @d, which begins zeroed. A peer may go on in the next message */
void wg_genl_decode(const struct nlmsghdr *nlh, struct wg_device *d);

/* --- text --- */

/** wg_uapi_get(), wg_uapi_set() - A request, appended */
void wg_uapi_get(struct buf *b);
void wg_uapi_set(struct buf *b, const struct wg_change *c);

/** struct wg_uapi_reader - An answer as it comes in; begins zeroed but for @device, which may be NULL */
struct wg_uapi_reader {
	struct wg_device *device;
	char line[WG_LINE];
	size_t len, total;
	bool done, in_peer;
	int code; /* of errno=: 0 or -errno */
};
/**
 * wg_uapi_read() - Take in what came
 * Return: 1 the answer is complete, and code says how it ended; 0 more is to come; -EBADMSG, -E2BIG: no answer that we
 * understand
 */
int wg_uapi_read(struct wg_uapi_reader *r, const char *data, size_t len, struct err *err) MUST_USE;

#endif
