/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads that are written parse to the same; what is cut, forged or no UDP is dropped with its reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants those first */
#include <cmocka.h>

#include "multicast/datagram.h"

static struct endpoint at(const char *s)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(s, 0, &e), 0);
	return e;
}

static size_t made(const char *src, const char *dst, const char *text, uint8_t out[static 512])
{
	struct endpoint a = at(src), b = at(dst);
	size_t len = strlen(text), head = datagram_head(&a, &b, 2, (const uint8_t *)text, len, out);

	memcpy(out + head, text, len);
	return head + len;
}

static void round_trip(const char *src, const char *dst, const char *text)
{
	struct endpoint a = at(src), b = at(dst);
	struct mc_packet p = {.leg = 7};
	uint8_t packet[512] = {0};
	size_t len = made(src, dst, text, packet);

	assert_null(datagram_parse(packet, len, true, &p));
	assert_int_equal(p.leg, 7);
	assert_int_equal(p.ttl, 2);
	assert_int_equal(ip_cmp(&p.src.ip, &a.ip), 0);
	assert_int_equal(ip_cmp(&p.dst.ip, &b.ip), 0);
	assert_int_equal(p.src.port, a.port);
	assert_int_equal(p.dst.port, b.port);
	assert_int_equal(p.len, strlen(text));
	assert_memory_equal(p.data, text, p.len);
	/* padding of short frames */
	assert_null(datagram_parse(packet, len + 6, true, &p));
	assert_int_equal(p.len, strlen(text));
	/* any cut, and any bit of the data */
	for (size_t i = 0; i < len; i++)
		assert_non_null(datagram_parse(packet, i, true, &p));
	for (size_t i = len - strlen(text); i < len; i++) {
		packet[i] ^= 0x10;
		assert_string_equal(datagram_parse(packet, len, true, &p), "wrong checksum");
		assert_null(datagram_parse(packet, len, false, &p));
		packet[i] ^= 0x10;
	}
}

static void test_round_trip(void **state)
{
	round_trip("192.0.2.1:1900", "239.255.255.250:1900", "hello");
	round_trip("192.0.2.1:5353", "224.0.0.251:5353", "");
	round_trip("[fe80::1]:5353", "[ff02::fb]:5353", "odd number of bytes");
	round_trip("[2001:db8::1]:1", "[2001:db8::2]:65535", "even number of bytes");
}

static void test_dropped(void **state)
{
	struct mc_packet p = {0};
	uint8_t packet[512] = {0};
	size_t len = made("192.0.2.1:1", "192.0.2.2:2", "x", packet);

	packet[9] = IPPROTO_TCP;
	assert_string_equal(datagram_parse(packet, len, true, &p), "no whole UDP datagram");
	packet[9] = IPPROTO_UDP;
	packet[6] = 0x20; /* more fragments */
	assert_string_equal(datagram_parse(packet, len, true, &p), "no whole UDP datagram");
	packet[6] = 0;
	packet[0] = 0x44;
	assert_string_equal(datagram_parse(packet, len, true, &p), "no whole UDP datagram");
	packet[0] = 0x4f; /* options to behind the end */
	assert_string_equal(datagram_parse(packet, len, true, &p), "wrong length");
	packet[0] = 0x75;
	assert_string_equal(datagram_parse(packet, len, true, &p), "no IP packet");
	packet[0] = 0x45;
	packet[25] = 200; /* UDP longer than IP */
	assert_string_equal(datagram_parse(packet, len, true, &p), "wrong length");
	packet[25] = 7;
	assert_string_equal(datagram_parse(packet, len, true, &p), "wrong length");
	packet[25] = 9;
	packet[26] = packet[27] = 0; /* no checksum: IPv4 permits that */
	assert_null(datagram_parse(packet, len, true, &p));
	assert_int_equal(p.len, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_dropped)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
