/* SPDX-License-Identifier: Apache-2.0
 *
 * The states of the client; see dhcp.h.
 */
#include "driver/dhcp.h"

#include <assert.h>

#include "base/log.h"

#define NEVER	       INT64_MAX
#define FIRST_US       (2 * USEC_PER_SEC) /* until the first repeat, then doubled */
#define LAST_US	       (64 * USEC_PER_SEC)
#define REBOOT_US      (1 * USEC_PER_SEC)
#define RENEW_LEAST_US (5 * USEC_PER_SEC)
#define REQUEST_TRIES  3
#define REBOOT_TRIES   2

const char *const dhcp_state_names[] = {"off",	 "selecting", "requesting", "rebooting",
					"bound", "renewing",  "rebinding"};
static_assert(ARRAY_LEN(dhcp_state_names) == DHCP_STATE_N_, "one name per state");

static int64_t lease_at(const struct dhcp_lease *l, uint32_t seconds)
{
	return l->seconds == DHCP_FOREVER ? NEVER : l->begin_us + seconds * USEC_PER_SEC;
}

static bool has_lease(const struct dhcp_client *c)
{
	return !ip_is_none(&c->lease.address.ip);
}

static void to_state(struct dhcp_client *c, enum dhcp_state state, int64_t due_us)
{
	c->state = state;
	c->tries = 0;
	c->due_us = due_us;
}

static void select_again(struct dhcp_client *c, int64_t now_us)
{
	c->began_us = now_us;
	c->xid = (uint32_t)hash64(&c->xid, sizeof(c->xid), 1);
	to_state(c, DHCP_SELECTING, now_us);
}

static void client_init(struct dhcp_client *c, const struct mac *mac, const char *hostname, uint32_t seed,
			int64_t now_us)
{
	*c = (struct dhcp_client){
		.mac = *mac, .xid = (uint32_t)hash64(mac->b, sizeof(mac->b), seed), .began_us = now_us};
	str_copy(c->hostname, hostname);
}

void dhcp_begin(struct dhcp_client *c, const struct mac *mac, const char *hostname, const struct ip *want,
		uint32_t seed, int64_t now_us)
{
	client_init(c, mac, hostname, seed, now_us);
	if (want)
		c->want = *want;
	to_state(c, DHCP_SELECTING, now_us);
}

void dhcp_resume(struct dhcp_client *c, const struct mac *mac, const char *hostname, const struct dhcp_lease *lease,
		 uint32_t seed, bool verify, int64_t now_us)
{
	client_init(c, mac, hostname, seed, now_us);
	c->lease = *lease;
	c->want = lease->address.ip;
	if (verify)
		to_state(c, DHCP_REBOOTING, now_us);
	else
		to_state(c, DHCP_BOUND, lease_at(lease, lease->t1));
}

static void ask(const struct dhcp_client *c, enum dhcp_type type, int64_t now_us, struct dhcp_out *out)
{
	int64_t secs = (now_us - c->began_us) / USEC_PER_SEC;
	struct dhcp_ask a = {
		.type = type,
		.xid = c->xid,
		.secs = (uint16_t)(secs > UINT16_MAX ? UINT16_MAX : secs),
		.mac = c->mac,
		.hostname = c->hostname,
	};

	switch (c->state) {
	case DHCP_SELECTING:
	case DHCP_REBOOTING:
		a.want = c->want;
		break;
	case DHCP_REQUESTING:
		a.want = c->offer.address.ip;
		a.server = c->offer.server;
		break;
	case DHCP_BOUND:    /* RELEASE */
	case DHCP_RENEWING: /* names no server, it is only sent to it: RFC 2131 table 5 */
		a.ciaddr = c->lease.address.ip;
		a.to = c->lease.server;
		a.to_mac = &c->lease.server_mac;
		if (type == DHCP_RELEASE)
			a.server = c->lease.server;
		break;
	case DHCP_REBINDING:
		a.ciaddr = c->lease.address.ip;
		break;
	case DHCP_OFF:
	case DHCP_STATE_N_:
		return;
	}
	dhcp_build(&a, out);
}

/* Half of what is left until @end_us, as RFC 2131 section 4.4.5 wants it, but for leases of minutes too */
static int64_t half_way(int64_t now_us, int64_t end_us)
{
	int64_t half = (end_us - now_us) / 2;

	if (half < RENEW_LEAST_US)
		half = RENEW_LEAST_US;
	return now_us + half < end_us ? now_us + half : end_us;
}

static int64_t back_off(const struct dhcp_client *c)
{
	int64_t us = FIRST_US;

	for (unsigned i = 1; i < c->tries && us < LAST_US; i++)
		us *= 2;
	/* hosts that begin together do not go on together */
	return us + (int64_t)(hash64(&c->xid, sizeof(c->xid), c->tries) % (uint64_t)(us / 4));
}

static int lose(struct dhcp_client *c, int64_t now_us)
{
	int event = has_lease(c) ? DHCP_LOST : 0;

	c->lease = (struct dhcp_lease){0};
	select_again(c, now_us);
	return event;
}

int dhcp_timer(struct dhcp_client *c, int64_t now_us, struct dhcp_out *out)
{
	int64_t t2 = lease_at(&c->lease, c->lease.t2), end = lease_at(&c->lease, c->lease.seconds);
	int event = 0;

	out->len = 0;
	if (c->state == DHCP_OFF || now_us < c->due_us)
		return 0;
	if (has_lease(c) && now_us >= end)
		event = lose(c, now_us);
	if ((c->state == DHCP_REQUESTING && c->tries >= REQUEST_TRIES) ||
	    (c->state == DHCP_REBOOTING && c->tries >= REBOOT_TRIES)) {
		if (c->state == DHCP_REBOOTING && has_lease(c)) { /* nobody says no: it is ours until it ends */
			to_state(c, DHCP_REBINDING, now_us);
		} else {
			select_again(c, now_us);
		}
	}
	if (c->state == DHCP_BOUND) {
		c->began_us = now_us;
		c->xid = (uint32_t)hash64(&c->xid, sizeof(c->xid), 2);
		to_state(c, DHCP_RENEWING, now_us);
	}
	if (c->state == DHCP_RENEWING && now_us >= t2)
		to_state(c, DHCP_REBINDING, now_us);
	c->tries++;
	ask(c, c->state == DHCP_SELECTING ? DHCP_DISCOVER : DHCP_REQUEST, now_us, out);
	if (c->state == DHCP_RENEWING)
		c->due_us = half_way(now_us, t2);
	else if (c->state == DHCP_REBINDING)
		c->due_us = half_way(now_us, end);
	else
		c->due_us = now_us + (c->state == DHCP_REBOOTING ? REBOOT_US : back_off(c));
	return event;
}

int dhcp_input(struct dhcp_client *c, const uint8_t *frame, size_t len, int64_t now_us, struct dhcp_out *out)
{
	struct dhcp_reply r;
	struct err err;
	int rc;

	out->len = 0;
	if (c->state == DHCP_OFF || c->state == DHCP_BOUND)
		return 0;
	rc = dhcp_parse(frame, len, &c->mac, c->xid, &r, &err);
	if (rc < 0) {
		if (rc != -EAGAIN)
			log_debug("DHCP message passed over", kv_str("why", err.text));
		return 0;
	}
	if (r.type == DHCP_OFFER && c->state == DHCP_SELECTING) {
		c->offer = r.lease;
		to_state(c, DHCP_REQUESTING, now_us);
		dhcp_timer(c, now_us, out);
	} else if (r.type == DHCP_NAK && c->state != DHCP_SELECTING) {
		rc = lose(c, now_us);
		c->want = (struct ip){0};
		return rc;
	} else if (r.type == DHCP_ACK && c->state != DHCP_SELECTING) {
		c->lease = r.lease;
		c->lease.begin_us = now_us;
		c->want = r.lease.address.ip;
		to_state(c, DHCP_BOUND, lease_at(&c->lease, c->lease.t1));
		return DHCP_GOT;
	}
	return 0;
}

void dhcp_release(struct dhcp_client *c, struct dhcp_out *out)
{
	out->len = 0;
	if (c->state != DHCP_OFF && has_lease(c)) {
		c->state = DHCP_BOUND;
		ask(c, DHCP_RELEASE, c->began_us, out);
	}
	c->state = DHCP_OFF;
	c->due_us = NEVER;
}
