/* SPDX-License-Identifier: Apache-2.0
 *
 * DHCP on the wire: what is sent, what is taken, and what servers can offer that nobody should take.
 */
#include "server.h"

#define XID 0x12345678

static int parse(const struct frame *f, struct dhcp_reply *ret, struct err *err)
{
	/* of its exact size, so that reading behind it is seen */
	uint8_t *copy = xmemdup(f->b, f->len);
	int rc = dhcp_parse(copy, f->len, &client_mac, XID, ret, err);

	free(copy);
	return rc;
}

static void test_offer(void **state)
{
	struct frame f = frame_reply(DHCP_OFFER, XID, "192.0.2.7", 3600);
	struct dhcp_reply r;
	struct err err;
	char text[PREFIX_STRLEN];

	assert_int_equal(parse(&f, &r, &err), 0);
	assert_int_equal(r.type, DHCP_OFFER);
	assert_string_equal(prefix_format(&r.lease.address, text), "192.0.2.7/24");
	assert_string_equal(ip_format(&r.lease.gateway, text), "192.0.2.1");
	assert_string_equal(ip_format(&r.lease.server, text), "192.0.2.1");
	assert_int_equal(mac_cmp(&r.lease.server_mac, &server_mac), 0);
	assert_int_equal(r.lease.seconds, 3600);
	assert_int_equal(r.lease.t1, 1800);
	assert_int_equal(r.lease.t2, 3150);
}

static void test_not_ours(void **state)
{
	struct frame f = frame_reply(DHCP_OFFER, XID + 1, "192.0.2.7", 3600);
	struct dhcp_reply r;

	assert_int_equal(parse(&f, &r, NULL), -EAGAIN);
	f = frame_reply(DHCP_OFFER, XID, "192.0.2.7", 3600);
	f.b[42 + 28]++; /* another's MAC */
	assert_int_equal(parse(&f, &r, NULL), -EAGAIN);
	f = frame_reply(DHCP_DISCOVER, XID, "192.0.2.7", 3600); /* no server says that */
	assert_int_equal(parse(&f, &r, NULL), -EAGAIN);
	f = frame_reply(DHCP_OFFER, XID, "192.0.2.7", 3600);
	f.b[14 + 6] = 0x20; /* a fragment */
	assert_int_equal(parse(&f, &r, NULL), -EAGAIN);
	f = frame_reply(DHCP_OFFER, XID, "192.0.2.7", 3600);
	f.b[14] = 0x4f; /* a head of 60 bytes: the rest is where it is not looked for */
	assert_int_equal(parse(&f, &r, NULL), -EAGAIN);
	/* cut at every byte: never read over the end */
	f = frame_reply(DHCP_ACK, XID, "192.0.2.7", 3600);
	for (size_t n = 0, whole = f.len; n < whole; n++) {
		f.len = n;
		assert_true(parse(&f, &r, NULL) < 0);
		if (n >= FRAME_OPTIONS) {
			struct frame cut = f;

			frame_close(&cut); /* and with lengths that agree */
			(void)!parse(&cut, &r, NULL);
		}
	}
}

static void refused(const struct frame *f, const char *why)
{
	struct dhcp_reply r;
	struct err err = {0};

	assert_int_equal(parse(f, &r, &err), -EBADMSG);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static struct frame offer_of(const char *address, const char *mask, uint32_t seconds)
{
	struct frame f = frame_bare(DHCP_OFFER, XID, address);

	frame_ip(&f, 54, "192.0.2.1");
	frame_seconds(&f, 51, seconds);
	if (mask)
		frame_ip(&f, 1, mask);
	return f;
}

static void test_garbage(void **state)
{
	struct frame f = offer_of("192.0.2.7", "0.0.0.0", 60);

	refused(&f, "mask 00000000");
	f = offer_of("192.0.2.7", "255.0.255.0", 60);
	refused(&f, "mask ff00ff00");
	f = offer_of("192.0.2.7", NULL, 60);
	refused(&f, "mask");
	f = offer_of("0.0.0.0", "255.255.255.0", 60);
	refused(&f, "no host can have");
	f = offer_of("127.0.0.1", "255.255.255.0", 60);
	refused(&f, "no host can have");
	f = offer_of("239.1.1.1", "255.255.255.0", 60);
	refused(&f, "no host can have");
	f = offer_of("192.0.2.0", "255.255.255.0", 60);
	refused(&f, "broadcast");
	f = offer_of("192.0.2.255", "255.255.255.0", 60);
	refused(&f, "broadcast");
	f = offer_of("192.0.2.7", "255.255.255.0", 0);
	refused(&f, "no time");
	f = frame_bare(DHCP_OFFER, XID, "192.0.2.7");
	frame_ip(&f, 1, "255.255.255.0");
	refused(&f, "option 54");
	/* an option that reaches over the end */
	f = frame_reply(DHCP_OFFER, XID, "192.0.2.7", 60);
	f.b[f.len++] = 12;
	f.b[f.len++] = 200;
	frame_close(&f);
	refused(&f, "over its end");
}

static void test_superfluous(void **state)
{
	struct frame f = offer_of("192.0.2.7", "255.255.255.0", 60);
	struct dhcp_reply r;

	frame_ip(&f, 3, "198.51.100.1"); /* a gateway outside of the net */
	frame_seconds(&f, 58, 4000);	 /* T1 behind the end */
	frame_seconds(&f, 59, 1);	 /* T2 in front of T1 */
	frame_option(&f, 1, "", 0);	 /* a second mask: the first counts */
	assert_int_equal(parse(&f, &r, NULL), 0);
	assert_true(ip_is_none(&r.lease.gateway));
	assert_int_equal(r.lease.t1, 30);
	assert_int_equal(r.lease.t2, 53);
	assert_int_equal(r.lease.address.len, 24);
	/* for ever */
	f = offer_of("192.0.2.7", "255.255.255.254", DHCP_FOREVER);
	assert_int_equal(parse(&f, &r, NULL), 0);
	assert_int_equal(r.lease.address.len, 31);
}

static uint32_t sum16(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void test_build(void **state)
{
	struct dhcp_ask a = {.type = DHCP_DISCOVER, .xid = XID, .mac = client_mac, .hostname = "web"};
	struct dhcp_out out;
	const uint8_t *p;
	size_t n;

	assert_int_equal(ip_parse("192.0.2.7", &a.want), 0);
	dhcp_build(&a, &out);
	assert_true(out.len >= 14 + 20 + 8 + 300);
	assert_int_equal(sum16(out.frame + 14, 20), 0xffff); /* the IP head's checksum holds */
	assert_int_equal(out.frame[42 + 10], 0x80);	     /* answer by broadcast */
	assert_int_equal(out_type(&out), DHCP_DISCOVER);
	p = out_option(&out, 12, &n);
	assert_non_null(p);
	assert_int_equal(n, 3);
	assert_memory_equal(p, "web", 3);
	p = out_option(&out, 50, &n);
	assert_memory_equal(p, a.want.b, 4);
	p = out_option(&out, 61, &n);
	assert_int_equal(n, 7);
	assert_int_equal(p[0], 1);
	assert_memory_equal(p + 1, client_mac.b, 6);
	/* UDP's checksum with its pseudo header */
	size_t udp_len = out.len - 34;
	uint32_t sum = sum16(out.frame + 34, udp_len) + sum16(out.frame + 26, 8) + 17 + (uint32_t)udp_len;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	assert_int_equal(sum, 0xffff);
	/* the longest name fits */
	char longest[DHCP_HOSTNAME];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	a.hostname = longest;
	dhcp_build(&a, &out);
	assert_true(out.len < sizeof(out.frame));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offer),	    cmocka_unit_test(test_not_ours), cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_superfluous), cmocka_unit_test(test_build),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
