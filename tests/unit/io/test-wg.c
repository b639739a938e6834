/* SPDX-License-Identifier: Apache-2.0
 *
 * WireGuard's two languages: what is written is what is meant, byte by byte; what comes is taken as far as it makes
 * sense, cut wherever it may be cut, and bounded.
 */
#include "help.h"

#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>

#include "io/wg.h"

static struct ip ip_of(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

static struct wg_peer_change peer_of(uint8_t number, const char *endpoint)
{
	struct wg_peer_change c = {.set_psk = true, .set_endpoint = true, .set_keepalive = true, .set_allowed = true};

	memset(c.peer.key, number, WG_KEY_BYTES);
	memset(c.peer.psk, number + 1, WG_KEY_BYTES);
	c.peer.endpoint = (struct endpoint){ip_of(endpoint), 51820};
	c.peer.keepalive_s = 25;
	c.peer.n_allowed = 1;
	c.peer.allowed[0] = (struct prefix){ip_of("fd64:7277::1"), 128};
	c.peer.allowed[0].ip.b[15] = number;
	return c;
}

/* --- text --- */

#define KEY_1 "0101010101010101010101010101010101010101010101010101010101010101"
#define KEY_2 "0202020202020202020202020202020202020202020202020202020202020202"

static void test_text_request(void **state)
{
	struct wg_peer_change peers[] = {peer_of(1, "192.0.2.1"), peer_of(1, "2001:db8::1"), peer_of(2, "192.0.2.2")};
	struct wg_change c = {.set_private_key = true, .set_port = true, .port = 51820, .peers = peers, .n_peers = 3};
	autobuf struct buf b = {0};

	memset(c.private_key, 2, WG_KEY_BYTES);
	peers[1].set_psk = peers[1].set_keepalive = peers[1].set_allowed = false;
	peers[2] = (struct wg_peer_change){.remove = true, .peer = peers[2].peer};
	wg_uapi_set(&b, &c);
	assert_string_equal(b.data, "set=1\nprivate_key=" KEY_2 "\nlisten_port=51820\n"
				    "public_key=" KEY_1 "\npreshared_key=" KEY_2
				    "\nendpoint=192.0.2.1:51820\npersistent_keepalive_interval=25\n"
				    "replace_allowed_ips=true\nallowed_ip=fd64:7277::1/128\n"
				    "public_key=" KEY_1 "\nendpoint=[2001:db8::1]:51820\n"
				    "public_key=" KEY_2 "\nremove=true\n\n");
	buf_clear(&b);
	wg_uapi_get(&b);
	assert_string_equal(b.data, "get=1\n\n");
}

static const char answer[] = "private_key=" KEY_2 "\nlisten_port=51820\nfwmark=7\n"
			     "public_key=" KEY_1 "\npreshared_key=" KEY_2 "\nprotocol_version=1\n"
			     "endpoint=[2001:db8::9]:4000\nlast_handshake_time_sec=1700000000\n"
			     "last_handshake_time_nsec=5\ntx_bytes=18446744073709551615\nrx_bytes=7\n"
			     "persistent_keepalive_interval=25\nallowed_ip=fd64:7277::1/128\n"
			     "allowed_ip=10.0.0.0/8\nallowed_ip=10.1.0.0/16\n"
			     "public_key=" KEY_2 "\nendpoint=[fe80::1%eth0]:4000\nallowed_ip=0.0.0.0/0\n"
			     "errno=0\n\n";

static void test_text_answer(void **state)
{
	for (size_t cut = 0; cut < sizeof(answer) - 1; cut++) {
		struct wg_device d = {0};
		struct wg_uapi_reader r = {.device = &d};
		struct err err;

		assert_int_equal(wg_uapi_read(&r, answer, cut, &err), 0);
		assert_int_equal(wg_uapi_read(&r, answer + cut, sizeof(answer) - 1 - cut, &err), 1);
		assert_int_equal(r.code, 0);
		assert_int_equal(d.port, 51820);
		assert_int_equal(d.private_key[31], 2);
		assert_int_equal(d.n_peers, 2);
		const struct wg_peer *p = &d.peers[0];
		assert_int_equal(p->key[0], 1);
		assert_int_equal(p->psk[0], 2);
		assert_int_equal(p->endpoint.port, 4000);
		assert_int_equal(p->endpoint.ip.b[15], 9);
		assert_int_equal(p->handshake_s, 1700000000);
		assert_int_equal(p->tx, UINT64_MAX);
		assert_int_equal(p->rx, 7);
		assert_int_equal(p->keepalive_s, 25);
		assert_int_equal(p->n_allowed, 3);
		assert_int_equal(p->allowed[1].len, 8);
		assert_true(ip_is_none(&d.peers[1].endpoint.ip));
		assert_int_equal(d.peers[1].n_allowed, 1);
		wg_device_done(&d);
	}
}

static int text_says(const char *text)
{
	struct wg_device d = {0};
	struct wg_uapi_reader r = {.device = &d};
	struct err err;
	int rc = wg_uapi_read(&r, text, strlen(text), &err);

	wg_device_done(&d);
	return rc == 1 ? r.code : rc == 0 ? 1 : rc;
}

static void test_text_hostile(void **state)
{
	autobuf struct buf b = {0};
	struct wg_uapi_reader r = {0};
	struct err err;
	int rc = 0;

	assert_int_equal(text_says("errno=0\n\n"), 0);
	assert_int_equal(text_says("errno=22\n\n"), -22);
	assert_int_equal(text_says("errno=-98\n\n"), -98);
	assert_int_equal(text_says("something_new=1\nerrno=0\n\n"), 0);
	assert_int_equal(text_says("errno=0\n"), 1);
	assert_int_equal(text_says("errno=99999999999999999999\n\n"), -EBADMSG);
	assert_int_equal(text_says("no line\n\n"), -EBADMSG);
	assert_int_equal(text_says("public_key=01\n\n"), -EBADMSG);
	assert_int_equal(text_says("public_key=" KEY_1 "01\n\n"), -EBADMSG);
	assert_int_equal(text_says("private_key=" KEY_1 "\nlisten_port=65536\n\n"), -EBADMSG);
	assert_int_equal(text_says("public_key=" KEY_1 "\nendpoint=nowhere\n\n"), -EBADMSG);
	assert_int_equal(text_says("public_key=" KEY_1 "\nallowed_ip=10.0.0.0/33\n\n"), -EBADMSG);
	assert_int_equal(text_says("public_key=" KEY_1 "\nlast_handshake_time_sec=-1\n\n"), -EBADMSG);
	/* a line without an end, and peers without end */
	for (size_t i = 0; i < WG_LINE; i++)
		buf_puts(&b, "a");
	assert_int_equal(text_says(b.data), -EBADMSG);
	for (size_t i = 0; i <= WG_REPLY_MAX / 16384 && rc == 0; i++) {
		buf_clear(&b);
		while (b.len < 16384)
			buf_puts(&b, "fwmark=1\n");
		rc = wg_uapi_read(&r, b.data, b.len, &err);
	}
	assert_int_equal(rc, -E2BIG);
	struct wg_device d = {0};
	r = (struct wg_uapi_reader){.device = &d};
	rc = 0;
	for (size_t i = 0; i <= WG_PEERS_MAX && rc == 0; i++)
		rc = wg_uapi_read(&r, "public_key=" KEY_1 "\n", 12 + 64, &err);
	assert_int_equal(rc, -E2BIG);
	wg_device_done(&d);
}

/* --- generic netlink --- */

/* What the kernel would be told, read back by the reader of its dumps: the attributes are the same ones */
static void test_netlink(void **state)
{
	_Alignas(8) char buf[WG_MESSAGE];
	struct wg_peer_change *peers = xcalloc(100, sizeof(*peers));
	struct wg_change c = {.set_private_key = true, .set_port = true, .port = 51820, .peers = peers, .n_peers = 100};
	struct wg_device d = {0};
	size_t at = 0, messages = 0;

	memset(c.private_key, 9, WG_KEY_BYTES);
	for (size_t i = 0; i < 100; i++)
		peers[i] = peer_of((uint8_t)(i + 1), i % 2 ? "192.0.2.1" : "2001:db8::1");
	while (at < c.n_peers) {
		size_t next = wg_genl_set(buf, 31, "wg0", &c, at);
		const struct nlmsghdr *nlh = (const void *)buf;
		assert_true(next > at);
		assert_true(nlh->nlmsg_len <= WG_MESSAGE);
		assert_int_equal(nlh->nlmsg_type, 31);
		wg_genl_decode(nlh, &d);
		at = next;
		messages++;
	}
	assert_true(messages > 1);
	assert_int_equal(d.port, 51820);
	assert_int_equal(d.private_key[0], 9);
	assert_int_equal(d.n_peers, 100);
	for (size_t i = 0; i < 100; i++) {
		const struct wg_peer *p = &d.peers[i], *want = &peers[i].peer;
		assert_memory_equal(p->key, want->key, WG_KEY_BYTES);
		assert_memory_equal(p->psk, want->psk, WG_KEY_BYTES);
		assert_int_equal(ip_cmp(&p->endpoint.ip, &want->endpoint.ip), 0);
		assert_int_equal(p->endpoint.port, 51820);
		assert_int_equal(p->keepalive_s, 25);
		assert_int_equal(p->n_allowed, 1);
		assert_int_equal(prefix_cmp(&p->allowed[0], &want->allowed[0]), 0);
	}
	/* a peer that goes on in the next message */
	c.n_peers = 1;
	c.peers = &peers[99];
	assert_int_equal(wg_genl_set(buf, 31, "wg0", &c, 0), 1);
	wg_genl_decode((const void *)buf, &d);
	assert_int_equal(d.n_peers, 100);
	assert_int_equal(d.peers[99].n_allowed, 2);
	wg_device_done(&d);
	free(peers);
}

static const struct nlattr *attr_of(const void *message, uint16_t type)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, (const struct nlmsghdr *)message, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(a) == type)
			return a;
	}
	return NULL;
}

static void test_netlink_requests(void **state)
{
	_Alignas(8) char buf[WG_MESSAGE];
	const struct nlmsghdr *nlh = wg_genl_family(buf);
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(nlh);

	assert_int_equal(nlh->nlmsg_type, GENL_ID_CTRL);
	assert_int_equal(genl->cmd, CTRL_CMD_GETFAMILY);
	assert_string_equal(mnl_attr_get_str(attr_of(buf, CTRL_ATTR_FAMILY_NAME)), "wireguard");
	assert_int_equal(wg_genl_family_decode(nlh), 0);
	nlh = wg_genl_get(buf, 31, "wg0");
	genl = mnl_nlmsg_get_payload(nlh);
	assert_int_equal(genl->cmd, WG_CMD_GET_DEVICE);
	assert_string_equal(mnl_attr_get_str(attr_of(buf, WGDEVICE_A_IFNAME)), "wg0");
	/* removing one: its key and the flag, nothing else */
	struct wg_peer_change gone = {.remove = true};
	struct wg_change c = {.peers = &gone, .n_peers = 1};
	assert_int_equal(wg_genl_set(buf, 31, "wg0", &c, 0), 1);
	assert_null(attr_of(buf, WGDEVICE_A_PRIVATE_KEY));
	const struct nlattr *peer = mnl_attr_get_payload(attr_of(buf, WGDEVICE_A_PEERS)), *a;
	size_t n = 0;
	mnl_attr_for_each_nested(a, peer)
	{
		n++;
		if (mnl_attr_get_type(a) == WGPEER_A_FLAGS)
			assert_int_equal(mnl_attr_get_u32(a), WGPEER_F_REMOVE_ME);
		else
			assert_int_equal(mnl_attr_get_type(a), WGPEER_A_PUBLIC_KEY);
	}
	assert_int_equal(n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_request),	 cmocka_unit_test(test_text_answer),
		cmocka_unit_test(test_text_hostile),	 cmocka_unit_test(test_netlink),
		cmocka_unit_test(test_netlink_requests),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("tests", tests, NULL, NULL);
}
