/* SPDX-License-Identifier: Apache-2.0
 *
 * WireGuard's text over a unix socket: key=value lines, a blank one ends a request and an answer. Keys are in hex. The
 * format is https://www.wireguard.com/xplatform/.
 */
#include <inttypes.h>

#include "io/wg.h"

/* --- requests --- */

static void put_hex(struct buf *b, const char *key, const uint8_t value[static WG_KEY_BYTES])
{
	char hex[2 * WG_KEY_BYTES + 1];

	for (size_t i = 0; i < WG_KEY_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", value[i]);
	buf_printf(b, "%s=%s\n", key, hex);
	explicit_bzero(hex, sizeof(hex));
}

void wg_uapi_get(struct buf *b)
{
	buf_puts(b, "get=1\n\n");
}

static void put_peer(struct buf *b, const struct wg_peer_change *c)
{
	const struct wg_peer *p = &c->peer;
	char text[ENDPOINT_STRLEN], prefix[PREFIX_STRLEN];

	put_hex(b, "public_key", p->key);
	if (c->remove) {
		buf_puts(b, "remove=true\n");
		return;
	}
	if (c->set_psk)
		put_hex(b, "preshared_key", p->psk);
	if (c->set_endpoint && !ip_is_none(&p->endpoint.ip))
		buf_printf(b, "endpoint=%s\n", endpoint_format(&p->endpoint, text));
	if (c->set_keepalive)
		buf_printf(b, "persistent_keepalive_interval=%u\n", (unsigned)p->keepalive_s);
	if (c->set_allowed) {
		buf_puts(b, "replace_allowed_ips=true\n");
		for (size_t i = 0; i < p->n_allowed && i < WG_ALLOWED; i++)
			buf_printf(b, "allowed_ip=%s\n", prefix_format(&p->allowed[i], prefix));
	}
}

void wg_uapi_set(struct buf *b, const struct wg_change *c)
{
	buf_puts(b, "set=1\n");
	if (c->set_private_key)
		put_hex(b, "private_key", c->private_key);
	if (c->set_port)
		buf_printf(b, "listen_port=%u\n", (unsigned)c->port);
	for (size_t i = 0; i < c->n_peers; i++)
		put_peer(b, &c->peers[i]);
	buf_puts(b, "\n");
}

/* --- answers --- */

static int bad(const char *key, struct err *err)
{
	return err_set(err, -EBADMSG, "the WireGuard process says what is no %s", key);
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(const char *s, uint8_t ret[static WG_KEY_BYTES])
{
	for (size_t i = 0; i < WG_KEY_BYTES; i++) {
		int high = digit(s[2 * i]), low = high < 0 ? -1 : digit(s[2 * i + 1]);
		if (low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return s[(size_t)2 * WG_KEY_BYTES] == '\0';
}

static bool take_number(const char *s, uint64_t max, uint64_t *ret)
{
	return parse_u64(s, 0, max, ret) == 0;
}

static int take_peer_line(struct wg_peer *p, const char *key, const char *value, struct err *err)
{
	uint64_t n;

	if (str_eq(key, "preshared_key"))
		return take_hex(value, p->psk) ? 0 : bad(key, err);
	if (str_eq(key, "endpoint")) {
		struct endpoint e;
		/* one with a scope is of no use to us */
		if (!strchr(value, '%') && (endpoint_parse(value, 0, &e) < 0 || !e.port))
			return bad(key, err);
		if (!strchr(value, '%'))
			p->endpoint = e;
		return 0;
	}
	if (str_eq(key, "allowed_ip")) {
		struct prefix prefix;
		if (prefix_parse(value, &prefix) < 0)
			return bad(key, err);
		if (p->n_allowed < WG_ALLOWED)
			p->allowed[p->n_allowed] = prefix;
		p->n_allowed++;
		return 0;
	}
	if (str_eq(key, "persistent_keepalive_interval")) {
		if (!take_number(value, UINT16_MAX, &n))
			return bad(key, err);
		p->keepalive_s = (uint16_t)n;
	} else if (str_eq(key, "last_handshake_time_sec")) {
		if (!take_number(value, INT64_MAX, &n))
			return bad(key, err);
		p->handshake_s = (int64_t)n;
	} else if (str_eq(key, "rx_bytes")) {
		return take_number(value, UINT64_MAX, &p->rx) ? 0 : bad(key, err);
	} else if (str_eq(key, "tx_bytes")) {
		return take_number(value, UINT64_MAX, &p->tx) ? 0 : bad(key, err);
	}
	return 0; /* something newer */
}

static int take_device_line(struct wg_device *d, const char *key, const char *value, struct err *err)
{
	uint64_t n;

	if (str_eq(key, "private_key"))
		return take_hex(value, d->private_key) ? 0 : bad(key, err);
	if (str_eq(key, "listen_port")) {
		if (!take_number(value, UINT16_MAX, &n))
			return bad(key, err);
		d->port = (uint16_t)n;
	}
	return 0;
}

static int take_line(struct wg_uapi_reader *r, struct err *err)
{
	char *value = strchr(r->line, '=');
	struct wg_device *d = r->device;

	if (!r->line[0]) {
		r->done = true;
		return 1;
	}
	if (!value)
		return bad("line", err);
	*value++ = '\0';
	if (str_eq(r->line, "errno")) {
		/* Go's are negative numbers on Linux, the protocol's positive */
		uint64_t n;
		if (!take_number(value + (value[0] == '-'), 4095, &n))
			return bad("errno", err);
		r->code = -(int)n;
		return 0;
	}
	if (!d)
		return 0;
	if (str_eq(r->line, "public_key")) {
		uint8_t key[WG_KEY_BYTES];
		if (!take_hex(value, key))
			return bad("public_key", err);
		if (d->n_peers >= WG_PEERS_MAX)
			return err_set(err, -E2BIG, "the WireGuard process tells of too many peers");
		struct wg_peer *p = xgrow(&d->peers, d->n_peers, &d->cap_peers);
		d->n_peers++;
		memcpy(p->key, key, sizeof(key));
		r->in_peer = true;
		return 0;
	}
	return r->in_peer ? take_peer_line(&d->peers[d->n_peers - 1], r->line, value, err)
			  : take_device_line(d, r->line, value, err);
}

int wg_uapi_read(struct wg_uapi_reader *r, const char *data, size_t len, struct err *err)
{
	if (len > WG_REPLY_MAX - r->total)
		return err_set(err, -E2BIG, "the WireGuard process says more than %u bytes", WG_REPLY_MAX);
	r->total += len;
	for (size_t i = 0; i < len && !r->done; i++) {
		if (data[i] != '\n') {
			if (data[i] == '\0' || r->len + 1 >= sizeof(r->line))
				return err_set(err, -EBADMSG, "the WireGuard process says too long a line");
			r->line[r->len++] = data[i];
			continue;
		}
		r->line[r->len] = '\0';
		r->len = 0;
		int rc = take_line(r, err);
		explicit_bzero(r->line, sizeof(r->line));
		if (rc < 0)
			return rc;
	}
	return r->done;
}
