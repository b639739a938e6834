/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzer: what a WireGuard device says. The first byte tells which language: text in pieces of its length, or netlink
 * messages.
 */
#include <assert.h>
#include <stdint.h>

#include "io/wg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct wg_device *d)
{
	assert(d->n_peers <= WG_PEERS_MAX);
	for (size_t i = 0; i < d->n_peers; i++) {
		const struct wg_peer *p = &d->peers[i];
		assert(ip_is_none(&p->endpoint.ip) || ip_size(p->endpoint.ip.family));
		for (size_t k = 0; k < p->n_allowed && k < WG_ALLOWED; k++)
			assert(p->allowed[k].len <= ip_bits(p->allowed[k].ip.family));
	}
}

static void text(const uint8_t *data, size_t size, size_t piece, struct wg_device *d)
{
	struct wg_uapi_reader r = {.device = d};
	int rc = 0;

	for (size_t at = 0; at < size && rc == 0; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		char *copy = xmemdup(data + at, n); /* exactly: a read behind it is found */
		rc = wg_uapi_read(&r, copy, n, NULL);
		free(copy);
	}
	assert(r.len < sizeof(r.line));
}

static void netlink(const uint8_t *data, size_t size, struct wg_device *d)
{
	size_t at = 0;

	while (size - at >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr head, *nlh;

		memcpy(&head, data + at, sizeof(head));
		if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > size - at)
			break;
		nlh = xmemdup(data + at, head.nlmsg_len);
		wg_genl_decode(nlh, d);
		(void)wg_genl_family_decode(nlh);
		free(nlh);
		if (NLMSG_ALIGN(head.nlmsg_len) >= size - at)
			break;
		at += NLMSG_ALIGN(head.nlmsg_len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wg_device d = {0};

	if (size == 0)
		return 0;
	if (data[0] == 0)
		netlink(data + 1, size - 1, &d);
	else
		text(data + 1, size - 1, data[0], &d);
	check(&d);
	wg_device_done(&d);
	return 0;
}
